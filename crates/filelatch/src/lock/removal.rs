//! Removing a lock file for good, which only `doctor --fix` does (P1).
//!
//! # Promise
//! Removed is a lock file that carries our record, whose data file is gone, by the holder of its exclusive lock. Who waits for the
//! lock by this protocol finds out that the name does not stand for the locked file any more, and starts over (L5).
//!
//! # Non-promise
//! `flock(1)` does not look again: if it waits for the file it will hold a lock that nobody else sees (measured). Who is seen to wait
//! keeps the file in place; not every system shows it.
//!
//! # Order of operations
//! Is the held file the one that the name stands for? Is the data file gone? Is the record ours, and nothing left to complete? Does
//! nobody wait? → removed → closed, never handed over inside the process: the lock counts for nothing from here on.

use std::io;

use filelatch_fs::FileId;

use super::record::{Found, NEWEST, Record};
use super::resource::{Resource, Tenure};
use crate::error::{Error, Result};

/// Removes the lock file of a held lock. `Some`: why it stays.
pub(crate) fn remove_lock_file(tenure: &Tenure) -> Result<Option<&'static str>> {
    let Resource { parts, lock, .. } = &*tenure.resource;
    let waited_for = |file| {
        let table = parts.fs.lock_table(file).map_err(|e| Error::io("examine", &lock.path, e))?;
        Ok(table.is_some_and(|table| table.entries.iter().any(|entry| entry.waiting)))
    };
    remove(tenure, waited_for)
}

fn remove(tenure: &Tenure, waited_for: impl FnOnce(FileId) -> Result<bool>) -> Result<Option<&'static str>> {
    let resource = &tenure.resource;
    let (dir, lock) = (&*resource.place.dir, &resource.lock);
    let fail = |action, e| Error::io(action, &lock.path, e);
    let Some(sidecar) = resource.end_with_this_tenure().filter(|sidecar| sidecar.inherited().is_none()) else {
        return Ok(Some("its lock is not this process's alone"));
    };
    let Some(stat) = sidecar.current(dir, lock).map_err(|e| fail("examine", e))? else {
        return Ok(Some("it was replaced meanwhile"));
    };
    match dir.stat(&resource.place.name) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(Error::io("look for", &resource.place.spelled, e)),
        Ok(_) => return Ok(Some("its data file is there again")),
    }
    let (head, len) = sidecar.read_head().map_err(|e| fail("read", e))?;
    match Record::find(&head[..len], stat.size) {
        Found::Record(record) if record.v <= NEWEST && record.intent.is_none() => {}
        _ => return Ok(Some("it does not carry filelatch's record")),
    }
    if waited_for(stat.id)? {
        return Ok(Some("somebody waits for its lock"));
    }
    dir.remove(&lock.name).map_err(|e| fail("remove", e))?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::lock::{LockOptions, Wait};
    use crate::{Filelatch, Guard, LatchFile};

    fn engine() -> Filelatch {
        Filelatch::builder().without_workspaces().build()
    }

    fn lock(file: &LatchFile) -> Guard {
        file.lock(&LockOptions::new().wait(Wait::For(Duration::from_secs(60)))).unwrap()
    }

    fn take_away(guard: &Guard) -> Option<&'static str> {
        remove_lock_file(guard.tenure().unwrap()).unwrap()
    }

    /// P1, L5: lockers of a file that does not exist, and others that remove its lock file whenever they have it, in three engines (so
    /// that threads of one engine stand in line behind a removal), on a system that does not show who waits: never two holders.
    #[test]
    fn races_with_lockers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let (inside, removed, over) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        let engines = [engine(), engine(), engine()];
        let hold = |file: &LatchFile, act: &dyn Fn(&Guard)| {
            let guard = lock(file);
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
            std::thread::yield_now();
            assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1, "two holders");
            // The lock counts for nothing after the removal.
            act(&guard);
            std::thread::yield_now();
            drop(guard);
        };
        std::thread::scope(|scope| {
            let (hold, removed, over) = (&hold, &removed, &over);
            let lockers: Vec<_> = (0..6)
                .map(|t| {
                    let file = engines[t % 3].file(&path).unwrap();
                    scope.spawn(move || (0..300).for_each(|_| hold(&file, &|_| {})))
                })
                .collect();
            for engine in &engines[..2] {
                let file = engine.file(&path).unwrap();
                scope.spawn(move || {
                    while !over.load(Ordering::SeqCst) {
                        hold(&file, &|guard| {
                            removed.fetch_add(
                                usize::from(remove(guard.tenure().unwrap(), |_| Ok(false)).unwrap().is_none()),
                                Ordering::SeqCst,
                            );
                        });
                    }
                });
            }
            for locker in lockers {
                locker.join().unwrap();
            }
            over.store(true, Ordering::SeqCst);
        });
        let removed = removed.load(Ordering::SeqCst);
        assert!(removed > 100, "removed only {removed} times");
    }

    /// P1: what keeps a lock file in place.
    #[test]
    fn what_stays() {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine();
        let file = engine.file(dir.path().join("a")).unwrap();
        file.write(b"x", &crate::WriteOptions::new()).unwrap();
        assert_eq!(take_away(&lock(&file)), Some("its data file is there again"));
        let other = engine.file(dir.path().join("b")).unwrap();
        let guard = lock(&other);
        assert_eq!(take_away(&guard), None);
        assert_eq!(take_away(&guard), Some("it was replaced meanwhile"), "it is gone");
        drop(guard);
        drop(lock(&other));
        assert_eq!(take_away(&lock(&other)), None, "made anew, removed anew");
        // Somebody else's.
        let foreign = engine.file(dir.path().join(".c.lock")).unwrap();
        foreign.write(b"4211\n", &crate::WriteOptions::new()).unwrap();
        let file = engine.file(dir.path().join("c")).unwrap();
        assert_eq!(take_away(&lock(&file)), Some("it does not carry filelatch's record"));
    }

    /// P1: `flock(1)` that waits would hold what nobody else sees: the file stays where the system shows it.
    #[cfg(target_os = "linux")]
    #[test]
    fn who_waits_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = engine().file(dir.path().join("a")).unwrap();
        let guard = lock(&file);
        let foreign = filelatch_fs::Fs::open_dir(&filelatch_fs::RealFs, dir.path()).unwrap();
        let foreign = foreign.open(".a.lock".as_ref(), filelatch_fs::Access::ReadWrite).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(move || foreign.lock(filelatch_fs::LockKind::Exclusive).unwrap());
            while file.lock_state().unwrap().waiting == 0 {
                std::thread::yield_now();
            }
            assert_eq!(take_away(&guard), Some("somebody waits for its lock"));
            drop(guard);
            waiter.join().unwrap();
        });
    }
}
