//! Leftovers: temporary files of writers that died (P5.5).
//!
//! # Promise
//! Removed is only what is proved to hold nothing that could be missed: the file of a dead writer that is empty, still marked
//! as being prepared, or holds exactly the bytes that its attribution names (an old or a refused version of ours). Everything
//! else may be a foreign program's data: it is removed only when it was stored as a conflict, durably, and reported otherwise.
//!
//! # Proof of death
//! A writer holds the lock of its temporary file while it prepares, and the lock of the data file while it publishes. Whoever
//! has both is alone, as long as the lock file is there: if somebody removes it, another may hold another. So before each removal
//! the lock file is looked for, and whether the name still shows what was just published: if not, somebody is at work, and the
//! leftover may be what they are about to put back. Only what happens between that look and the removal goes unseen.
//! Process ids prove nothing here: the directory may be shared with another PID namespace.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;

use filelatch_fs::fs::read_to_end;
use filelatch_fs::{Access, FsDir, LockKind, WriterProbe};

use super::attribution::{self, Mark};
use crate::lease::file::LeaseFile;
use crate::lock::sidecar::{LockPath, is_unfinished};
use crate::path::{Place, is_temp_of, temp_base};
use crate::version::Version;

/// A temporary file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Where.
    pub path: PathBuf,
    /// Its length in bytes.
    pub size: u64,
    /// Its writer is alive, or may be.
    pub in_use: bool,
    /// It holds nothing that could be missed, and the first publish of the next process to its file removes it.
    pub disposable: bool,
}

/// Names of temporary files in a directory, and nothing after `limit` entries.
fn temps(dir: &dyn FsDir, limit: usize) -> io::Result<Vec<OsString>> {
    let (mut names, mut seen) = (Vec::new(), 0);
    dir.list(&mut |name| {
        seen += 1;
        if temp_base(&name).is_some() {
            names.push(name);
        }
        seen < limit
    })?;
    Ok(names)
}

/// What a name stands for.
pub(crate) fn judge(dir: &dyn FsDir, name: &OsStr) -> io::Result<Leftover> {
    let path = dir.path().join(name);
    let file = dir.open(name, Access::Read)?;
    let stat = file.stat()?;
    if !stat.is_file() {
        return Ok(Leftover { path, size: stat.size, in_use: true, disposable: false });
    }
    // The lock goes with the file at the end of this function. Before the bytes are looked at: a foreign program that still has
    // it open for writing (a late writer's version was kept for it) is not done with it, whatever it holds now (P5.3).
    let in_use = !file.try_lock(LockKind::Exclusive)? || file.probe_writers()? == WriterProbe::Some;
    let stat = file.stat()?;
    let disposable = stat.size == 0
        || match attribution::read(&*file)? {
            Mark::Preparing => true,
            Mark::By(attribution) => attribution.is_of(&Version::of(&read_to_end(&*file, u64::MAX - 1)?)),
            Mark::None => false,
        };
    Ok(Leftover { path, size: stat.size, in_use, disposable: disposable && stat.nlink == 1 })
}

/// Removes the leftovers of one file. Only for the holder of its exclusive lock, with no write in place pending. Leaves
/// everything when `is_alone` says no: the lock is not the one that others see. `put_away` removes a file that nobody could miss, or keeps it as
/// an old version. `rescue` stores what may be foreign data, and says whether it is safe now.
pub(crate) fn sweep(
    place: &Place,
    lock: &LockPath,
    limit: usize,
    is_alone: &dyn Fn() -> bool,
    put_away: &dyn Fn(&OsStr) -> io::Result<()>,
    rescue: &dyn Fn(&OsStr) -> bool,
) -> io::Result<Vec<Leftover>> {
    let mut kept = Vec::new();
    let lease = LeaseFile::of(place);
    for name in temps(&*place.dir, limit)? {
        let unfinished = is_temp_of(&name, &lock.name) && is_unfinished(&*place.dir, &name)?;
        if (unfinished || lease.is_unfinished(&*place.dir, &name)?) && is_alone() {
            place.dir.remove(&name)?;
        }
        if !is_temp_of(&name, &place.name) {
            continue;
        }
        let leftover = match judge(&*place.dir, &name) {
            Ok(leftover) => leftover,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        if leftover.disposable && !leftover.in_use && is_alone() {
            put_away(&name)?;
        } else if !leftover.in_use && is_alone() && rescue(&name) && is_alone() {
            place.dir.remove(&name)?;
        } else {
            kept.push(leftover);
        }
    }
    Ok(kept)
}

/// Lists the leftovers of a directory; changes nothing.
pub(crate) fn list(dir: &dyn FsDir) -> io::Result<Vec<Leftover>> {
    let mut found = Vec::new();
    for name in temps(dir, usize::MAX)? {
        match judge(dir, &name) {
            Ok(leftover) => found.push(leftover),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(found)
}
