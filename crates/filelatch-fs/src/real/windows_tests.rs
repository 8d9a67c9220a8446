//! What only Windows does: mandatory locks, sharing rules.
#![expect(clippy::disallowed_methods, reason = "tests look at the disk behind the seam's back")]

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::windows::fs::OpenOptionsExt;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::tests::{content, put, scratch};
use super::windows::kind_of;
use super::{LOCK_RECORD_OFFSET, RealFs, RealHost, raw_windows};
use crate::fs::{Fs, FsDir, write_all_at};
use crate::host::Host;
use crate::types::{Access, FileKind, LockKind};

const ERROR_SHARING_VIOLATION: i32 = 32;
const ERROR_LOCK_VIOLATION: i32 = 33;
const ERROR_PRIVILEGE_NOT_HELD: i32 = 1314;
const ERROR_CANT_RESOLVE_FILENAME: i32 = 1921;
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;

fn names(dir: &Arc<dyn FsDir>) -> Vec<OsString> {
    let mut names = Vec::new();
    let push = &mut |name| {
        names.push(name);
        true
    };
    dir.list(push).expect("the directory can be listed");
    names.sort();
    names
}

/// LOCK-1 (P1): the whole-file lock is byte 0 and nothing else, as other programs take it; the record behind it stays
/// readable while another open file holds the lock.
#[test]
fn the_record_is_readable_under_the_lock() {
    let (_tmp, dir) = scratch();
    put(&dir, "l", b"\n{\"v\":1}\n");
    let open = || dir.open("l".as_ref(), Access::ReadWrite).unwrap();
    let (holder, reader) = (open(), open());
    assert!(holder.try_lock(LockKind::Exclusive).unwrap());
    let mut buf = [0; 16];
    assert_eq!(reader.read_at(&mut buf, LOCK_RECORD_OFFSET).unwrap(), 8);
    assert_eq!(&buf[..8], b"{\"v\":1}\n");
    assert_eq!(reader.read_at(&mut buf, 0).unwrap_err().raw_os_error(), Some(ERROR_LOCK_VIOLATION));
    write_all_at(&*holder, b"\n{\"v\":2}\n", 0).unwrap();
    assert!(!reader.try_lock_range(0, 1, LockKind::Shared).unwrap(), "byte 0 is the lock");
    assert!(reader.try_lock_range(1, 1, LockKind::Exclusive).unwrap(), "byte 1 is not");
}

/// LOCK-1: a blocking lock waits for the holder.
#[test]
fn a_blocking_lock_waits() {
    let (_tmp, dir) = scratch();
    put(&dir, "l", b"\n");
    let holder = dir.open("l".as_ref(), Access::ReadWrite).unwrap();
    let waiter = dir.open("l".as_ref(), Access::ReadWrite).unwrap();
    assert!(holder.try_lock(LockKind::Exclusive).unwrap());
    let (send, taken) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        waiter.lock(LockKind::Exclusive).unwrap();
        send.send(()).unwrap();
        waiter
    });
    assert!(taken.recv_timeout(Duration::from_millis(100)).is_err());
    holder.unlock().unwrap();
    taken.recv_timeout(Duration::from_secs(10)).unwrap();
    let waiter = thread.join().unwrap();
    assert!(!holder.try_lock(LockKind::Shared).unwrap());
    waiter.unlock().unwrap();
    waiter.unlock().unwrap();
    assert!(holder.try_lock(LockKind::Shared).unwrap());
}

/// P2: what this open file holds itself is not somebody else's, and what it can't answer it says.
#[test]
fn own_ranges_are_told_apart() {
    let (_tmp, dir) = scratch();
    put(&dir, "l", b"");
    let open = || dir.open("l".as_ref(), Access::ReadWrite).unwrap();
    let (a, b) = (open(), open());
    assert!(a.try_lock_range(1000, 10, LockKind::Exclusive).unwrap());
    assert!(a.try_lock_range(1000, 10, LockKind::Exclusive).unwrap(), "held already");
    a.lock_range(1000, 10, LockKind::Exclusive).unwrap();
    assert_eq!(a.lock_range(1005, 10, LockKind::Exclusive).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(!a.range_is_locked(990, 30).unwrap());
    assert!(b.range_is_locked(1009, 5).unwrap());
    assert!(b.try_lock_range(1015, 1, LockKind::Shared).unwrap());
    assert!(a.range_is_locked(990, 30).unwrap(), "behind one's own");
    assert_eq!(b.range_is_locked(1015, 1).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(a.unlock_range(1000, 5).unwrap_err().kind(), ErrorKind::InvalidInput);
    a.unlock_range(1000, 10).unwrap();
    a.unlock_range(1000, 10).unwrap();
    assert!(b.try_lock_range(1000, 10, LockKind::Exclusive).unwrap());
}

/// ATOM-1 (L35): a rename replaces a file that others have open, at once; they keep the old content, which has no name any
/// more. Removing works the same way. Being marked read-only is in nobody's way.
#[test]
fn open_files_are_replaced_and_removed() {
    let (_tmp, dir) = scratch();
    put(&dir, "f", b"old");
    let old = dir.open("f".as_ref(), Access::ReadWrite).unwrap();
    old.set_mode(0o444).unwrap();
    assert_eq!(old.stat().unwrap().mode, 0o444);
    put(&dir, "t", b"new");
    dir.rename("t".as_ref(), "f".as_ref()).unwrap();
    assert_eq!(content(&dir, "f"), b"new");
    assert_eq!(dir.stat("t".as_ref()).unwrap_err().kind(), ErrorKind::NotFound);
    let mut buf = [0; 8];
    assert_eq!(old.read_at(&mut buf, 0).unwrap(), 3);
    assert_eq!(&buf[..3], b"old");
    assert_eq!(old.stat().unwrap().nlink, 0);

    let new = dir.open("f".as_ref(), Access::ReadWrite).unwrap();
    new.set_mode(0o444).unwrap();
    dir.remove("f".as_ref()).unwrap();
    put(&dir, "f", b"again");
    drop(new);
    assert_eq!(content(&dir, "f"), b"again");
}

/// L35: who shares nothing stops a rename and a removal for about a second, not for ever; who lets go in time does not.
#[test]
fn retries_are_bounded() {
    let (tmp, dir) = scratch();
    put(&dir, "f", b"old");
    put(&dir, "t", b"new");
    let path = tmp.path().join("f");
    let alone = move || std::fs::OpenOptions::new().read(true).share_mode(0).open(&path).unwrap();
    let scanner = alone();
    let began = Instant::now();
    let in_the_way = |e: &std::io::Error| {
        e.kind() == ErrorKind::PermissionDenied || e.raw_os_error() == Some(ERROR_SHARING_VIOLATION)
    };
    assert!(in_the_way(&dir.rename("t".as_ref(), "f".as_ref()).unwrap_err()));
    assert_eq!(dir.remove("f".as_ref()).unwrap_err().raw_os_error(), Some(ERROR_SHARING_VIOLATION));
    assert!(began.elapsed() > Duration::from_millis(1500) && began.elapsed() < Duration::from_secs(20));
    assert_eq!(content(&dir, "t"), b"new", "nothing happened");

    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(150));
        drop(scanner);
    });
    dir.rename("t".as_ref(), "f".as_ref()).unwrap();
    thread.join().unwrap();
    assert_eq!(content(&dir, "f"), b"new");
}

/// ATOM-1: links, lists and moves between directories.
#[test]
fn links_lists_and_moves() {
    let (tmp, dir) = scratch();
    put(&dir, "f", b"x");
    dir.link("f".as_ref(), "g".as_ref()).unwrap();
    assert_eq!(dir.link("f".as_ref(), "g".as_ref()).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(dir.stat("g".as_ref()).unwrap().nlink, 2);
    assert_eq!(dir.stat("f".as_ref()).unwrap().id, dir.stat("g".as_ref()).unwrap().id);
    assert_eq!(names(&dir), ["f", "g"]);
    std::fs::create_dir(tmp.path().join("d")).unwrap();
    let other = RealFs.open_dir(&RealFs.canonicalize(&tmp.path().join("d")).unwrap()).unwrap();
    put(&other, "taken", b"y");
    assert_eq!(dir.move_to("g".as_ref(), &*other, "taken".as_ref()).unwrap_err().kind(), ErrorKind::AlreadyExists);
    dir.move_to("g".as_ref(), &*other, "h".as_ref()).unwrap();
    assert_eq!(names(&other), ["h", "taken"]);
    assert_eq!(names(&dir), ["d", "f"]);
}

/// ATOM-1: an open directory keeps nobody from renaming it, and names stay with it.
#[test]
fn names_are_relative_to_the_open_directory() {
    let (tmp, _dir) = scratch();
    let (before, after) = (tmp.path().join("before"), tmp.path().join("after"));
    std::fs::create_dir(&before).unwrap();
    let dir = RealFs.open_dir(&RealFs.canonicalize(&before).unwrap()).unwrap();
    let handle = std::fs::OpenOptions::new().read(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(&before).unwrap();
    put(&dir, "f", b"old");
    std::fs::rename(&before, &after).unwrap();
    std::fs::create_dir(&before).unwrap();
    if !raw_windows::final_path(&handle).unwrap().ends_with("after") {
        return eprintln!(
            "This system (Wine) tells the path a directory had when it was opened: the rest is not tested."
        );
    }
    assert_eq!(content(&dir, "f"), b"old");
    put(&dir, "t", b"new");
    dir.rename("t".as_ref(), "f".as_ref()).unwrap();
    dir.link("f".as_ref(), "g".as_ref()).unwrap();
    assert_eq!(std::fs::read(after.join("g")).unwrap(), b"new");
    assert_eq!(names(&dir), ["f", "g"]);
    assert_eq!(std::fs::read_dir(&before).unwrap().count(), 0);
}

/// LOCK-19 (L19): what stands for another name is a link, whatever its tag; files kept elsewhere are files.
#[test]
fn kinds_of_reparse_points() {
    let kind = |attributes, tag| kind_of(attributes, || Ok(tag)).unwrap();
    let (directory, reparse) = (0x10, 0x400);
    for tag in [0xA000_000C, 0xA000_0003, 0xA000_001D] {
        assert_eq!(kind(reparse, tag), FileKind::Symlink);
        assert_eq!(kind(reparse | directory, tag), FileKind::Symlink);
    }
    assert_eq!(kind(reparse, 0x8000_0013), FileKind::File, "deduplicated");
    assert_eq!(kind(reparse | directory, 0x9000_001A), FileKind::Dir, "in a cloud");
    assert_eq!(kind(reparse, 0x8000_0023), FileKind::Other, "socket");
    assert_eq!(kind(0, 0xA000_000C), FileKind::File);
}

/// LOCK-19 (L19): links are not followed, and can be removed. Not tested where links can't be made.
#[test]
fn links_are_not_followed() {
    let (tmp, dir) = scratch();
    put(&dir, "f", b"x");
    std::fs::create_dir(tmp.path().join("d")).unwrap();
    let made = std::os::windows::fs::symlink_file("f", tmp.path().join("link"))
        .and_then(|()| std::os::windows::fs::symlink_dir("d", tmp.path().join("dirlink")));
    if made.is_err_and(|e| e.raw_os_error() == Some(ERROR_PRIVILEGE_NOT_HELD)) {
        return eprintln!("No right to make symbolic links: not tested.");
    }
    for link in ["link", "dirlink"] {
        assert_eq!(dir.stat(link.as_ref()).unwrap().kind, FileKind::Symlink);
        let error = dir.open(link.as_ref(), Access::Read).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(ERROR_CANT_RESOLVE_FILENAME));
        dir.remove(link.as_ref()).unwrap();
    }
    assert_eq!(names(&dir), ["d", "f"]);
}

/// LOCK-19 (L19): an entry is one name, not a path and not a stream; directories are refused.
#[test]
fn names_and_directories() {
    let (tmp, dir) = scratch();
    std::fs::create_dir(tmp.path().join("d")).unwrap();
    for name in ["", ".", "..", "d\\x", "d/x", "f:stream", "nul\0"] {
        assert_eq!(dir.create_new(name.as_ref(), 0o600).unwrap_err().kind(), ErrorKind::InvalidFilename, "{name:?}");
    }
    assert_eq!(dir.stat("d".as_ref()).unwrap().kind, FileKind::Dir);
    assert_eq!(dir.open("d".as_ref(), Access::Read).unwrap().stat().unwrap().kind, FileKind::Dir);
    assert_eq!(dir.open("d".as_ref(), Access::ReadWrite).unwrap_err().kind(), ErrorKind::IsADirectory);
    assert_eq!(dir.remove("d".as_ref()).unwrap_err().kind(), ErrorKind::IsADirectory);
    put(&dir, "f", b"x");
    assert_eq!(dir.rename("f".as_ref(), "d".as_ref()).unwrap_err().kind(), ErrorKind::IsADirectory);
    assert_eq!(RealFs.open_dir(&tmp.path().join("f")).unwrap_err().kind(), ErrorKind::NotADirectory);
    assert_eq!(dir.create_new("f".as_ref(), 0o600).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(RealFs.stat(&tmp.path().join("f")).unwrap().id, dir.stat("f".as_ref()).unwrap().id);
}

/// ATOM-2: a file opened for reading can be made durable too.
#[test]
fn readers_can_sync() {
    let (_tmp, dir) = scratch();
    put(&dir, "f", b"x");
    dir.open("f".as_ref(), Access::Read).unwrap().sync().unwrap();
    dir.open("f".as_ref(), Access::ReadWrite).unwrap().sync().unwrap();
    dir.sync().unwrap();
}

/// LOCK-10 (L7): a process that has ended has no start time, also while somebody still has it open; there is no name of a boot that could change with the clock.
#[test]
fn ended_processes_are_gone() {
    let mut child = std::process::Command::new("cmd").args(["/c", "exit 3"]).spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    assert_eq!(RealHost.start_of(pid).unwrap(), None);
    assert_eq!(RealHost.start_of(RealHost.pid() + 1).unwrap(), None, "numbers are not rounded");
    let facts = RealHost.facts();
    assert!(facts.boot.is_empty());
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(RealHost.facts(), facts);
    assert!(RealHost.monotonic() > Duration::ZERO);
}
