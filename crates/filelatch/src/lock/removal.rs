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

use super::record::{Found, NEWEST, Record};
use super::resource::Tenure;
use crate::error::{Error, Result};

/// Removes the lock file of a held lock. `Some`: why it stays.
pub(crate) fn remove_lock_file(tenure: &Tenure) -> Result<Option<&'static str>> {
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
    let table = resource.parts.fs.lock_table(stat.id).map_err(|e| fail("examine", e))?;
    if table.is_some_and(|table| table.entries.iter().any(|entry| entry.waiting)) {
        return Ok(Some("somebody waits for its lock"));
    }
    dir.remove(&lock.name).map_err(|e| fail("remove", e))?;
    Ok(None)
}
