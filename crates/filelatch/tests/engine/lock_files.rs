//! Lock files never clutter or harm (LOCK-19).
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use filelatch::{Error, Filelatch, LockFileName, LockOptions, Policy, WriteOptions};
use tempfile::tempdir;

use super::support::*;

type Make = fn(&Path);

/// LOCK-19: what stands in the lock file's place and can't be one is refused, named, and left as it is.
#[test]
fn bad_lock_files() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("victim"), "precious").unwrap();
    let make: [(&str, Make); 4] = [
        ("a symbolic link", |lock| symlink("victim", lock).unwrap()),
        ("a symbolic link", |lock| symlink("nowhere", lock).unwrap()),
        ("a directory", |lock| fs::create_dir(lock).unwrap()),
        ("a FIFO, socket or device", |lock| {
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(rustix::fs::CWD, lock, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        }),
    ];
    for (i, (what, make)) in make.into_iter().enumerate() {
        let path = dir.path().join(format!("f{i}"));
        let here = file(&path);
        make(&here.lock_path());
        let before = fs::symlink_metadata(here.lock_path()).unwrap();
        for error in [
            here.lock(&LockOptions::new()).map(drop).unwrap_err(),
            here.lock_shared(&no_wait()).map(drop).unwrap_err(),
            here.write(b"x", &WriteOptions::new()).map(drop).unwrap_err(),
        ] {
            assert!(matches!(&error, Error::BadLockFile { what: said, .. } if *said == what), "{error}");
        }
        assert_eq!(before.ino(), fs::symlink_metadata(here.lock_path()).unwrap().ino());
        assert!(!path.exists());
    }
    assert_eq!(fs::read(dir.path().join("victim")).unwrap(), b"precious");
    assert!(!dir.path().join("nowhere").exists());
}

/// LOCK-19: a file that is not ours is locked, never written, never removed, never given another mode: whatever it holds.
#[test]
fn foreign_lock_files() {
    for content in [&b""[..], b"4211\n", b"#!/bin/sh\necho precious\n", b"{\"pid\": 1}", &[b'x'; 5000], &[0; 5000]] {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a");
        let here = file(&path);
        fs::write(here.lock_path(), content).unwrap();
        fs::set_permissions(here.lock_path(), fs::Permissions::from_mode(0o604)).unwrap();
        for _ in 0..2 {
            let guard = here.try_lock().unwrap();
            assert!(matches!(file(&path).try_lock(), Err(Error::Locked { .. })));
            guard.write(b"x", &WriteOptions::new()).unwrap();
            drop(guard);
            drop(here.lock_shared(&no_wait()).unwrap());
            here.write(b"y", &WriteOptions::new()).unwrap();
        }
        assert_eq!(fs::read(here.lock_path()).unwrap(), content);
        assert_eq!(fs::metadata(here.lock_path()).unwrap().mode() & 0o7777, 0o604);
    }
}

/// LOCK-19, P1: a record that a power cut tore or zeroed is ours still, and is signed anew.
#[test]
fn damaged_records() {
    for content in [&b"{\"v\":1,\"mode\":\"fl"[..], &[0; 200], b"{\"v\":1}\n"] {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a");
        let here = file(&path);
        fs::write(here.lock_path(), content).unwrap();
        let guard = here.try_lock().unwrap();
        let state = file(&path).lock_state().unwrap();
        assert!(state.holders[0].session.is_some(), "{state:?}");
        drop(guard);
    }
}

/// LOCK-19, P1: a long purpose and session do not make the record too long to be known again as ours.
#[test]
fn long_records() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    for long in ["p".repeat(3000), "\u{1}\"\\é".repeat(700)] {
        let engine = Filelatch::builder().without_workspaces().purpose(&long).session(&long).build();
        let here = engine.file(&path).unwrap();
        let guard = here.try_lock().unwrap();
        let state = file(&path).lock_state().unwrap();
        let purpose = state.holders[0].purpose.clone().expect("its record is not known as one");
        assert!(purpose.len() >= 10 && long.starts_with(purpose.trim_end_matches('…')), "{purpose}");
        drop(guard);
        let other = Filelatch::builder().without_workspaces().purpose("short").build().file(&path).unwrap();
        let guard = other.try_lock().unwrap();
        let state = file(&path).lock_state().unwrap();
        assert_eq!(state.holders[0].purpose.as_deref(), Some("short"));
        drop(guard);
    }
}

/// LOCK-19, P1: a lock file lets in exactly those who may write the data file, and belongs to its owner; 0600 if there is none.
#[test]
fn modes_and_owners() {
    let dir = tempdir().unwrap();
    for (data, lock) in
        [(None, 0o600), (Some(0o600), 0o600), (Some(0o644), 0o600), (Some(0o664), 0o660), (Some(0o666), 0o666)]
    {
        let path = dir.path().join(format!("f{:o}", data.unwrap_or(0)));
        if let Some(mode) = data {
            fs::write(&path, "x").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            if is_root() {
                std::os::unix::fs::chown(&path, Some(1234), Some(5678)).unwrap();
            }
        }
        let here = file(&path);
        drop(here.try_lock().unwrap());
        let made = fs::metadata(here.lock_path()).unwrap();
        assert_eq!(made.mode() & 0o7777, lock, "{data:?}");
        if data.is_some() && is_root() {
            assert_eq!((made.uid(), made.gid()), (1234, 5678));
        }
    }
}

/// LOCK-19: `name.lock` by policy, for scripts that use it already; it is still never confused with the data.
#[test]
fn suffix_names() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let mut policy = Policy::default();
    policy.lock_file = LockFileName::Suffix;
    let engine = Filelatch::builder().without_workspaces().defaults(policy).build();
    let here = engine.file(&path).unwrap();
    let guard = here.try_lock().unwrap();
    assert_eq!(guard.lock_path().file_name().unwrap(), "a.lock");
    assert!(dir.path().join("a.lock").exists() && !dir.path().join(".a.lock").exists());
    drop(guard);
}

/// P1, L5: a temp cleaner that removes lock files while they are waited for never lets two of the waiters in together; and a
/// process whose threads hand the lock to each other notices soon that it holds a file nobody else can find.
#[test]
fn removed_while_waited_for() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let (inside, rounds, over) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let first = file(&path);
    let lock_path = first.lock_path();
    let engines = [engine(), engine(), engine()];
    let held = first.try_lock().unwrap();
    std::thread::scope(|scope| {
        for t in 0..6 {
            let file = engines[t % 3].file(&path).unwrap();
            let (inside, rounds) = (&inside, &rounds);
            scope.spawn(move || {
                for _ in 0..50 {
                    let guard = file.lock(&LockOptions::new()).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
                    std::thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    rounds.fetch_add(1, Ordering::SeqCst);
                    drop(guard);
                }
            });
        }
        // All wait on the old file; it goes away before anybody has it.
        until("some wait", || first.lock_state().unwrap().waiting >= 1);
        fs::remove_file(&lock_path).unwrap();
        drop(held);
    });
    over.store(true, Ordering::SeqCst);
    assert_eq!(rounds.load(Ordering::SeqCst), 300);
}

/// P1: the lock file stays, and asking who holds leaves nothing.
#[test]
fn no_clutter() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let here = file(&path);
    assert!(here.read().is_err() && !here.is_locked().unwrap());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "reading leaves something");
    for _ in 0..3 {
        drop(file(&path).try_lock().unwrap());
    }
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, [".a.lock"]);
}

/// P1, L5: the lock of a file that the name does not stand for any more is no lock: who waited for it goes on waiting, for the
/// one that is there now.
#[test]
fn a_removed_lock_file_is_no_lock() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let first = file(&path);
    let held = first.try_lock().unwrap();
    std::thread::scope(|scope| {
        let waiter = file(&path);
        let waiting = scope.spawn(move || waiter.lock(&waits(400)).map(drop));
        until("it waits", || first.lock_state().unwrap().waiting == 1);
        fs::remove_file(first.lock_path()).unwrap();
        let newcomer = file(&path).try_lock().unwrap();
        drop(held);
        let waited = waiting.join().unwrap();
        assert!(matches!(waited, Err(Error::Timeout { .. })), "two holders");
        drop(newcomer);
    });
    first.lock(&waits(20_000)).unwrap().release();
}
