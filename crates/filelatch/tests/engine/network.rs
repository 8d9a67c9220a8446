//! A real network file system: one directory by two mounts of sshfs, like two machines, and where it really is (LOCK-3, LOCK-20, L45).
//!
//! The mounts share nothing but the server: whole-file locks end at the mount, file numbers are invented by each of them, and what they
//! know of a file may be 20 seconds old. Needs root, `/dev/fuse`, sshfs and OpenSSH's `sftp-server`; no network and no sshd.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use filelatch::{Error, Filelatch, LatchFile, LockMode, Policy, WriteOptions};
use tempfile::TempDir;

use super::support::*;

const SERVERS: [&str; 4] = [
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/libexec/sftp-server",
    "/usr/lib/ssh/sftp-server",
];

/// A directory, and mounts of it. Unmounted when dropped.
struct Share {
    dir: TempDir,
    mounts: Vec<PathBuf>,
}

impl Share {
    /// `None`: not possible here.
    fn new(options: &str) -> Option<Share> {
        let skipped = |why: &str| {
            eprintln!("skipped: {why}");
            None
        };
        let Some(server) = SERVERS.iter().find(|server| Path::new(server).exists()) else {
            return skipped("no sftp-server here");
        };
        if !is_root() || !Path::new("/dev/fuse").exists() {
            return skipped("not root, or no /dev/fuse");
        }
        if !Command::new("sshfs").arg("--version").output().is_ok_and(|out| out.status.success()) {
            return skipped("no sshfs here");
        }
        let mut share = Share { dir: tempfile::tempdir().unwrap(), mounts: Vec::new() };
        fs::create_dir(share.served()).unwrap();
        // In the place of ssh: the server, on this machine.
        let script = share.dir.path().join("server");
        fs::write(&script, format!("#!/bin/sh\nexec {server}\n")).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["one", "two"] {
            let point = share.dir.path().join(name);
            fs::create_dir(&point).unwrap();
            let with = format!("ssh_command={}{options}", script.display());
            let mut sshfs = Command::new("sshfs");
            sshfs.args(["-o", &with]).arg(format!("server:{}", share.served().display())).arg(&point);
            // Before it is known whether it worked: what is not mounted can be unmounted in vain.
            share.mounts.push(point);
            if !sshfs.status().unwrap().success() {
                return skipped("sshfs cannot mount here");
            }
        }
        Some(share)
    }

    /// Where the files really are.
    fn served(&self) -> PathBuf {
        self.dir.path().join("served")
    }

    /// The file by each way to it: first mount, second mount, server.
    fn ways(&self) -> [PathBuf; 3] {
        [self.mounts[0].join("a"), self.mounts[1].join("a"), self.served().join("a")]
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        for point in &self.mounts {
            // Also while somebody is still in it.
            Command::new("umount").arg("-l").arg(point).output().ok();
        }
    }
}

fn by_file(path: &Path) -> LatchFile {
    with_lock(path, LockMode::File)
}

fn with_lock(path: &Path, lock: LockMode) -> LatchFile {
    let mut policy = Policy::default();
    policy.lock = lock;
    Filelatch::builder().without_workspaces().defaults(policy).build().file(path).unwrap()
}

/// VER-7, LOCK-3, LOCK-20: processes of two machines and of the server add to one file under fallback locks, four threads in each; on every
/// machine one is killed. Nothing is lost, and nothing is left but a version that its writer could not remove any more.
#[test]
fn updates_from_two_machines_and_the_server() {
    let Some(share) = Share::new("") else { return };
    let ways = share.ways();
    let start = |path: &PathBuf| Worker::start(&["count-by-file", path.to_str().unwrap(), "10"]);
    let mut victims: Vec<_> = ways.iter().map(start).collect();
    let mut workers: Vec<_> = ways.iter().map(start).collect();
    let mut acknowledged = 0;
    for victim in &mut victims {
        for _ in 0..3 {
            victim.expect("counted");
        }
        victim.kill();
        while let Some(said) = victim.hear() {
            assert_eq!(said, "counted");
            acknowledged += 1;
        }
        acknowledged += 3;
    }
    for worker in workers.drain(..) {
        let said = worker.finish();
        acknowledged += said.iter().filter(|said| *said == "counted").count() as u64;
    }
    let count = count(&ways[2]);
    // Each of the killed may have had one change more in each of its threads.
    assert!((acknowledged..=acknowledged + 12).contains(&count), "{count} of {acknowledged}");
    assert!(acknowledged >= 3 * 40 + 3 * 3);
}

/// VER-9, L45: what another machine wrote is read as a whole at once: not by the length that this machine remembers, not from its cache.
#[test]
fn reads_are_of_now() {
    let Some(share) = Share::new("") else { return };
    let ways = share.ways();
    let files = ways.each_ref().map(|path| by_file(path));
    for round in 0..30 {
        let text = "x".repeat(1 + round * 7 % 30) + &round.to_string();
        files[round % 3].write(text.as_bytes(), &quick()).unwrap();
        for (file, way) in files.iter().zip(["one", "two", "server"]) {
            // As any program does that looks at it first.
            fs::metadata(file.path()).unwrap();
            let read = file.read().unwrap();
            assert_eq!(String::from_utf8_lossy(read.bytes()), text, "round {round}, {way}");
        }
    }
}

/// LOCK-3: a holder keeps out those on the other machine and on the server, and is named; killed, it is taken over from.
#[test]
fn holders_are_seen_by_all() {
    let Some(share) = Share::new("") else { return };
    for by in 0..3 {
        let ways = share.ways();
        let mut holder = Worker::start(&["hold-by-file", ways[by].to_str().unwrap()]);
        holder.expect("held");
        for way in &ways {
            match by_file(way).lock(&no_wait()) {
                // Others may be named, too: files of different mounts have the same numbers.
                Err(Error::Locked { holders, .. }) => {
                    assert!(holders.iter().any(|h| h.pid == Some(holder.pid())), "{way:?}: {holders:?}");
                }
                other => panic!("{way:?} while {by} holds: {other:?}"),
            }
        }
        holder.kill();
        let guard = by_file(&ways[(by + 1) % 3]).lock(&no_wait()).unwrap();
        assert_eq!(guard.recovered().and_then(|recovered| recovered.from.pid), Some(holder.pid()));
        drop(guard);
        drop(by_file(&ways[by]).lock(&no_wait()).unwrap());
        let mut left = litter(&share.served(), &[]);
        // What is removed while somebody has it open: sshfs gives it another name until then.
        left.retain(|name| !name.starts_with(".fuse_hidden"));
        assert_eq!(left, Vec::<String>::new());
    }
}

/// P4: locks of the system end at the mount: two machines with `lock = "os"` have one file's lock at the same time. That is why the doctor
/// asks for `lock = "file"`.
#[test]
fn locks_of_the_system_end_at_the_mount() {
    let Some(share) = Share::new("") else { return };
    let ways = share.ways();
    fs::write(&ways[2], "x").unwrap();
    let first = with_lock(&ways[0], LockMode::Os).lock(&no_wait()).unwrap();
    let second = with_lock(&ways[1], LockMode::Os).lock(&no_wait());
    assert!(second.is_ok(), "they exclude each other by now: the doctor need not warn");
    drop((first, second));
}

fn quick<'a>() -> WriteOptions<'a> {
    WriteOptions::new().durability(filelatch::Durability::None)
}
