//! Locks of open files.

use std::io::ErrorKind;

use super::*;
use crate::fs::FsFile;
use crate::types::{Access, FsKind, LockKind};

const GATE: u64 = 1 << 61;

fn open(fs: &SimFs) -> Box<dyn FsFile> {
    root(fs).open("l".as_ref(), Access::ReadWrite).unwrap()
}

/// LOCK-2 (L2): two opens exclude each other, also within one process; shared ones do not.
#[test]
fn whole_file_locks() {
    let fs = with_file("/l", b"");
    let (a, b, c) = (open(&fs), open(&fs), open(&fs.process()));
    assert!(a.try_lock(LockKind::Shared).unwrap());
    assert!(b.try_lock(LockKind::Shared).unwrap());
    assert!(!c.try_lock(LockKind::Exclusive).unwrap());
    a.unlock().unwrap();
    drop(b);
    assert!(c.try_lock(LockKind::Exclusive).unwrap());
    assert!(!a.try_lock(LockKind::Shared).unwrap());
}

/// L3 (measured on Linux): a failed conversion drops what was held.
#[test]
fn a_failed_conversion_drops_the_lock() {
    let fs = with_file("/l", b"");
    let (a, b, c) = (open(&fs), open(&fs), open(&fs));
    assert!(a.try_lock(LockKind::Shared).unwrap());
    assert!(b.try_lock(LockKind::Shared).unwrap());
    assert!(!a.try_lock(LockKind::Exclusive).unwrap());
    b.unlock().unwrap();
    assert!(c.try_lock(LockKind::Exclusive).unwrap());
}

/// P2: byte ranges beyond the end, beside whole-file locks; they split, and can be asked about.
#[test]
fn byte_ranges() {
    let fs = with_file("/l", b"");
    let (a, b) = (open(&fs), open(&fs));
    assert!(a.try_lock(LockKind::Exclusive).unwrap());
    assert!(b.try_lock_range(GATE, 10, LockKind::Exclusive).unwrap());
    assert!(a.range_is_locked(GATE + 9, 1).unwrap());
    assert!(!a.range_is_locked(GATE + 10, 1).unwrap());
    assert!(!b.range_is_locked(GATE, 10).unwrap(), "one's own lock is not another's");
    b.unlock_range(GATE + 4, 2).unwrap();
    assert!(a.try_lock_range(GATE + 4, 2, LockKind::Exclusive).unwrap());
    assert!(!a.try_lock_range(GATE + 3, 1, LockKind::Shared).unwrap());
    assert!(!a.try_lock_range(GATE + 6, 0, LockKind::Shared).unwrap(), "0 reaches to the end");
    b.lock_range(GATE, 1, LockKind::Shared).unwrap();
    assert!(a.try_lock_range(GATE, 1, LockKind::Shared).unwrap(), "one's own lock is replaced");

    let none = SimFs::new(Dials { range_locks: false, ..Dials::default() });
    none.foreign().create("/l", b"").unwrap();
    assert_eq!(open(&none).try_lock_range(0, 1, LockKind::Shared).unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(!root(&none).caps().range_locks);
}

/// L13: a server wants a writable descriptor for an exclusive lock.
#[test]
fn network_locks_want_writable_files() {
    let fs = SimFs::new(Dials { kind: FsKind::Network, ..Dials::default() });
    fs.foreign().create("/l", b"").unwrap();
    let file = root(&fs).open("l".as_ref(), Access::Read).unwrap();
    file.try_lock(LockKind::Exclusive).unwrap_err();
    assert!(file.try_lock(LockKind::Shared).unwrap());
    let fs = with_file("/l", b"");
    let file = root(&fs).open("l".as_ref(), Access::Read).unwrap();
    assert!(file.try_lock(LockKind::Exclusive).unwrap());
}

/// LOCK-7: the table names holders and waiters.
#[test]
fn the_table_tells() {
    let fs = with_file("/l", b"");
    let (holder, waiter) = (open(&fs), open(&fs.process()));
    let id = holder.stat().unwrap().id;
    assert!(holder.try_lock(LockKind::Exclusive).unwrap());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| waiter.lock(LockKind::Shared));
        let row = |waiting| {
            let table = fs.lock_table(id).unwrap().unwrap();
            table.entries.iter().find(|row| row.waiting == waiting).copied()
        };
        while row(true).is_none() {
            std::thread::yield_now();
        }
        assert_eq!(row(true).unwrap().pid, Some(1001));
        let held = row(false).unwrap();
        assert_eq!((held.pid, held.kind), (Some(1000), LockKind::Exclusive));
        holder.unlock().unwrap();
        waiting.join().unwrap().unwrap();
        assert!(row(true).is_none());
        assert_eq!(row(false).unwrap().pid, Some(1001));
    });
    let blind = SimFs::new(Dials { lock_table: false, ..Dials::default() });
    assert_eq!(blind.lock_table(id).unwrap(), None);
}

/// L2: the death of a process frees its locks and wakes who waits for them.
#[test]
fn death_frees_locks() {
    let fs = with_file("/l", b"");
    let victim = fs.process();
    let (held, next) = (open(&victim), open(&fs));
    assert!(held.try_lock(LockKind::Exclusive).unwrap());
    assert!(held.try_lock_range(GATE, 1, LockKind::Exclusive).unwrap());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| next.lock(LockKind::Exclusive));
        victim.kill();
        waiting.join().unwrap().unwrap();
    });
    assert!(next.try_lock_range(GATE, 1, LockKind::Exclusive).unwrap());
}

/// Who waits when the power goes, or is killed, waits no longer.
#[test]
fn waits_end_with_the_waiter() {
    let fs = with_file("/l", b"");
    let holder = open(&fs);
    assert!(holder.try_lock(LockKind::Exclusive).unwrap());
    let id = holder.stat().unwrap().id;
    let waiting = |n: usize| {
        while fs.lock_table(id).unwrap().unwrap().entries.iter().filter(|row| row.waiting).count() < n {
            std::thread::yield_now();
        }
    };
    let (first, second) = (fs.process(), fs.process());
    let (a, b) = (open(&first), open(&second));
    std::thread::scope(|scope| {
        let killed = scope.spawn(|| a.lock(LockKind::Exclusive));
        let cut = scope.spawn(|| b.lock(LockKind::Exclusive));
        waiting(2);
        first.kill();
        assert!(crate::sim::is_killed(&killed.join().unwrap().unwrap_err()));
        fs.power_cut();
        assert!(crate::sim::is_power_cut(&cut.join().unwrap().unwrap_err()));
    });
}
