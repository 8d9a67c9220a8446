//! What the seam promises, on the system the tests run on.

#[cfg(target_os = "linux")]
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::sync::Arc;

use super::{RealFs, RealHost};
use crate::fs::{Fs, FsDir, read_to_end, write_all_at};
use crate::host::Host;
#[cfg(unix)]
use crate::types::FileKind;
#[cfg(target_os = "linux")]
use crate::types::WriterProbe;
use crate::types::{Access, LockKind};

pub(super) fn scratch() -> (tempfile::TempDir, Arc<dyn FsDir>) {
    let tmp = tempfile::tempdir().unwrap();
    let path = RealFs.canonicalize(tmp.path()).unwrap();
    let dir = RealFs.open_dir(&path).unwrap();
    (tmp, dir)
}

pub(super) fn put(dir: &Arc<dyn FsDir>, name: &str, bytes: &[u8]) {
    write_all_at(&*dir.create_new(name.as_ref(), 0o600).unwrap(), bytes, 0).unwrap();
}

pub(super) fn content(dir: &Arc<dyn FsDir>, name: &str) -> Vec<u8> {
    read_to_end(&*dir.open(name.as_ref(), Access::Read).unwrap(), u64::MAX - 1).unwrap()
}

/// ATOM-1 (L33): two names swap their files; neither is ever absent.
#[cfg(target_os = "linux")]
#[test]
fn exchange_swaps() {
    let (_tmp, dir) = scratch();
    put(&dir, "a", b"first");
    put(&dir, "b", b"second");
    let (a, b) = (dir.stat("a".as_ref()).unwrap().id, dir.stat("b".as_ref()).unwrap().id);
    dir.exchange("a".as_ref(), "b".as_ref()).unwrap();
    assert_eq!(content(&dir, "a"), b"second");
    assert_eq!((dir.stat("b".as_ref()).unwrap().id, dir.stat("a".as_ref()).unwrap().id), (a, b));
    assert_eq!(dir.exchange("a".as_ref(), "absent".as_ref()).unwrap_err().kind(), ErrorKind::NotFound);
}

/// ATOM-1 (L33): creation by rename never replaces.
#[test]
fn rename_new_never_replaces() {
    let (_tmp, dir) = scratch();
    put(&dir, "a", b"first");
    put(&dir, "b", b"second");
    assert_eq!(dir.rename_new("a".as_ref(), "b".as_ref()).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(content(&dir, "b"), b"second");
    dir.rename_new("a".as_ref(), "c".as_ref()).unwrap();
    assert_eq!(content(&dir, "c"), b"first");
}

/// LOCK-2 (L2): two opens in one process exclude each other; shared ones do not.
#[test]
fn whole_file_locks() {
    let (_tmp, dir) = scratch();
    put(&dir, "l", b"");
    let open = || dir.open("l".as_ref(), Access::ReadWrite).unwrap();
    let (a, b, c) = (open(), open(), open());
    assert!(a.try_lock(LockKind::Shared).unwrap());
    assert!(b.try_lock(LockKind::Shared).unwrap());
    assert!(!c.try_lock(LockKind::Exclusive).unwrap());
    a.unlock().unwrap();
    b.unlock().unwrap();
    assert!(c.try_lock(LockKind::Exclusive).unwrap());
    assert!(!a.try_lock(LockKind::Shared).unwrap());
    drop(c);
    assert!(a.try_lock(LockKind::Exclusive).unwrap());
}

/// P2: the gate byte lies beyond the end, beside the whole-file lock, and can be asked about without taking it.
#[cfg(any(target_os = "linux", windows))]
#[test]
fn range_locks_do_not_collide_with_whole_file_locks() {
    let (_tmp, dir) = scratch();
    put(&dir, "l", b"");
    let open = || dir.open("l".as_ref(), Access::ReadWrite).unwrap();
    let (a, b) = (open(), open());
    let gate = 1 << 61;
    assert!(a.try_lock(LockKind::Exclusive).unwrap());
    assert!(b.try_lock_range(gate, 1, LockKind::Exclusive).unwrap());
    assert!(a.range_is_locked(gate, 1).unwrap());
    assert!(!b.range_is_locked(gate, 1).unwrap(), "one's own lock is not another's");
    assert!(!a.try_lock_range(gate, 1, LockKind::Exclusive).unwrap());
    b.unlock_range(gate, 1).unwrap();
    assert!(!a.range_is_locked(gate, 1).unwrap());
}

/// LOCK-7: the system's table knows the holder.
#[cfg(target_os = "linux")]
#[test]
fn lock_table_names_this_process() {
    let (_tmp, dir) = scratch();
    put(&dir, "l", b"");
    let file = dir.open("l".as_ref(), Access::ReadWrite).unwrap();
    let id = file.stat().unwrap().id;
    assert!(!RealFs.lock_table(id).unwrap().is_some_and(|table| table.is_held()));
    assert!(file.try_lock(LockKind::Exclusive).unwrap());
    let table = RealFs.lock_table(id).unwrap().unwrap();
    let holder = table.holders().next().expect("a holder");
    assert_eq!((holder.pid, holder.kind), (Some(RealHost.pid()), LockKind::Exclusive));
}

/// VER-11 (P5.3): a writable descriptor is seen, its closing too.
#[cfg(target_os = "linux")]
#[test]
fn writers_are_seen() {
    let (_tmp, dir) = scratch();
    put(&dir, "f", b"x");
    let probe = dir.open("f".as_ref(), Access::Read).unwrap();
    let writer = dir.open("f".as_ref(), Access::ReadWrite).unwrap();
    assert_eq!(probe.probe_writers().unwrap(), WriterProbe::Some);
    drop(writer);
    assert_eq!(probe.probe_writers().unwrap(), WriterProbe::None);
    dir.remove("f".as_ref()).unwrap();
    assert_eq!(probe.probe_writers().unwrap(), WriterProbe::None, "also after the last name is gone");
}

/// LOCK-19 (L19): links are not followed, a FIFO does not block.
#[cfg(unix)]
#[test]
fn links_and_fifos() {
    let (tmp, dir) = scratch();
    put(&dir, "f", b"x");
    std::os::unix::fs::symlink("f", tmp.path().join("link")).unwrap();
    assert!(dir.open("link".as_ref(), Access::Read).is_err());
    assert_eq!(dir.stat("link".as_ref()).unwrap().kind, FileKind::Symlink);
    assert!(std::process::Command::new("mkfifo").arg(tmp.path().join("fifo")).status().unwrap().success());
    let fifo = dir.open("fifo".as_ref(), Access::Read).unwrap();
    assert_eq!(fifo.stat().unwrap().kind, FileKind::Other);
}

/// ATOM-3: attributes can be listed, read and set; an absent one is no error.
#[cfg(target_os = "linux")]
#[test]
fn extended_attributes() {
    let (_tmp, dir) = scratch();
    put(&dir, "f", b"x");
    let file = dir.open("f".as_ref(), Access::ReadWrite).unwrap();
    let name = OsStr::new("user.filelatch");
    assert_eq!(file.get_xattr(name).unwrap(), None);
    file.set_xattr(name, &[7; 600]).unwrap();
    assert_eq!(file.get_xattr(name).unwrap(), Some(vec![7; 600]));
    assert_eq!(file.list_xattrs().unwrap(), [name]);
}

/// LOCK-10 (L7): this process has a start time, and a process that never was has none.
#[test]
fn process_facts() {
    let facts = RealHost.facts();
    assert_eq!(facts.pid, RealHost.pid());
    assert_eq!(RealHost.start_of(facts.pid).unwrap(), Some(facts.start));
    assert_eq!(RealHost.start_of(u32::MAX - 1).unwrap(), None);
    assert!(!facts.host.is_empty() && !facts.user.is_empty());
    assert_ne!(RealHost.random(), RealHost.random());
}

/// STORE-3: secrets come from the system, any number of bytes of them, and no two are alike.
#[test]
fn secrets() {
    for len in [0, 1, 32, 255, 257, 100_000] {
        let mut drawn = [vec![0; len], vec![0; len]];
        for bytes in &mut drawn {
            RealHost.secret(bytes).unwrap();
        }
        assert!(len < 16 || drawn[0] != drawn[1]);
        assert!(len < 1000 || drawn.iter().all(|bytes| (0..=255).all(|byte| bytes.contains(&byte))));
    }
}

/// STORE-8 (P13): whoever waits at a place of a file is woken by a ring through another open file, does not sleep when the place has changed,
/// and is not harmed when the file has been cut off.
#[cfg(target_os = "linux")]
#[test]
fn bells() {
    use std::time::Duration;
    let long = Duration::from_secs(600);
    let scratch = tempfile::tempdir().unwrap();
    let dir = RealFs.open_dir(scratch.path()).unwrap();
    let file = dir.create_new("bell".as_ref(), 0o600).unwrap();
    // Nothing there yet.
    assert!(file.wait_at(8, *b"aaaa", Duration::ZERO).is_err());
    write_all_at(&*file, b"........aaaa", 0).unwrap();
    file.wait_at(8, *b"bbbb", long).unwrap();
    file.wait_at(8, *b"aaaa", Duration::from_micros(1)).unwrap();
    assert!(file.wait_at(7, *b"aaaa", long).is_err() && file.wait_at(4096, *b"aaaa", long).is_err());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| file.wait_at(8, *b"aaaa", long).unwrap());
        let other = dir.open("bell".as_ref(), Access::ReadWrite).unwrap();
        while !waiter.is_finished() {
            other.ring(8).unwrap();
            std::thread::yield_now();
        }
    });
    file.set_len(0).unwrap();
    assert!(file.wait_at(8, *b"aaaa", long).is_err());
    file.ring(8).ok();
}

/// LOCK-20: a directory knows what it is mounted as, also through a link, and by a type that agrees with the number's.
#[cfg(target_os = "linux")]
#[test]
fn mounts() {
    let (_tmp, dir) = scratch();
    let mount = dir.mount().unwrap().expect("this system has a mount table");
    assert!(dir.path().starts_with(&mount.point), "{mount:?}");
    assert!(mount.has("rw") && !mount.fs_type.is_empty(), "{mount:?}");
    let proc = RealFs.open_dir("/proc".as_ref()).unwrap().mount().unwrap().unwrap();
    assert_eq!((proc.point.to_str(), proc.fs_type.as_str()), (Some("/proc"), "proc"));
}

/// SERVE-6: a process is found by its current directory, at or below the one that is asked for, until it has ended.
#[cfg(target_os = "linux")]
#[test]
fn processes_in_a_directory() {
    let (_tmp, dir) = scratch();
    dir.create_dir("a".as_ref(), 0o700).unwrap();
    dir.create_dir("ab".as_ref(), 0o700).unwrap();
    let inside = dir.path().join("a");
    let mut sleeper = std::process::Command::new("sleep").arg("600").current_dir(&inside).spawn().unwrap();
    let of = |path: &std::path::Path| {
        let found = RealHost.processes_in(path).unwrap().expect("/proc is there");
        found.into_iter().filter(|process| process.pid == sleeper.id()).collect::<Vec<_>>()
    };
    for path in [dir.path(), &inside] {
        let [process] = &of(path)[..] else { panic!("{path:?}") };
        assert_eq!((process.program.as_deref(), process.dir.as_path()), (Some("sleep"), inside.as_path()));
    }
    assert!(of(&dir.path().join("ab")).is_empty() && of(&inside.join("b")).is_empty());
    let pid = sleeper.id();
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    assert!(!RealHost.processes_in(dir.path()).unwrap().unwrap().iter().any(|process| process.pid == pid));
}
