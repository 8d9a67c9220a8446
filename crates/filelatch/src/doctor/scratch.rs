//! The folder in which the doctor tries things: made, and removed again whatever happens.
//!
//! # Invariants
//! - The doctor holds the lock of the file [`ALIVE`] in it as long as it lives: whoever gets that lock knows that the folder was
//!   left behind, where locks exclude.
//! - That file is the first that is made in it and the last that is removed, on the disk as well: a folder without it is empty, or not
//!   a doctor's.
//! - Nothing but plain files with the names of [`NAMES`] is ever made in it, and nothing else is removed from it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use filelatch_fs::{Access, FsDir, FsFile, LockKind};

use crate::parts::Parts;

const PREFIX: &str = ".filelatch-doctor-";
pub(super) const ALIVE: &str = "alive";
/// Everything that probes make. `CASE` and `case` may be one.
pub(super) const NAMES: [&str; 9] = [ALIVE, "lock", "a", "b", "c", "link", "case", "CASE", "fresh"];
/// Times that somebody may take the folder for one that was left behind, before its lock is had.
const TRIES: u32 = 10;

/// Is this the name of such a folder?
pub(super) fn is_scratch(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
}

#[derive(Debug)]
pub(super) struct Scratch {
    parent: Arc<dyn FsDir>,
    name: OsString,
    pub(super) dir: Arc<dyn FsDir>,
    /// Closed before the folder is removed.
    alive: Option<Box<dyn FsFile>>,
}

impl Scratch {
    pub(super) fn make(parts: &Parts, parent: &Arc<dyn FsDir>) -> io::Result<Scratch> {
        for _ in 0..TRIES {
            let name = OsString::from(format!("{PREFIX}{}-{:016x}", parts.host.pid(), parts.host.random()));
            let path = parent.path().join(&name);
            parts.fs.create_dir(&path)?;
            let opened = parts.fs.open_dir(&path);
            let dir = opened.inspect_err(|_| drop(parent.remove_dir(&name)))?;
            let mut scratch = Scratch { parent: Arc::clone(parent), name, dir, alive: None };
            let alive = match scratch.dir.create_new(ALIVE.as_ref(), 0o600) {
                // Removed already, by a doctor that thought it was left behind.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            // Where files can't be locked nobody can prove the folder abandoned, so it is safe without.
            let looked_at = matches!(alive.try_lock(LockKind::Exclusive), Ok(false));
            if !looked_at && alive.stat()?.nlink > 0 {
                scratch.alive = Some(alive);
                return Ok(scratch);
            }
        }
        Err(io::Error::other("the scratch folder is removed as fast as it is made"))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A new file, open for reading and writing.
    pub(super) fn file(&self, name: &str) -> io::Result<Box<dyn FsFile>> {
        self.dir.create_new(name.as_ref(), 0o600)
    }

    /// The same file once more.
    pub(super) fn again(&self, name: &str, access: Access) -> io::Result<Box<dyn FsFile>> {
        self.dir.open(name.as_ref(), access)
    }

    /// Removes the folder and what is in it.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.alive = None;
        clear(&*self.parent, &self.name, &*self.dir)
    }

    /// Makes room for the next probe.
    pub(super) fn remove(&self, names: &[&str]) {
        for name in names {
            self.dir.remove(name.as_ref()).ok();
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.alive = None;
        clear(&*self.parent, &self.name, &*self.dir).ok();
    }
}

fn clear(parent: &dyn FsDir, name: &OsStr, dir: &dyn FsDir) -> io::Result<()> {
    let remove = |inside: &str| match dir.remove(inside.as_ref()) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    };
    NAMES.iter().filter(|inside| **inside != ALIVE).try_for_each(|inside| remove(inside))?;
    // Where a directory can't be synced, a power cut may leave a folder that a person has to remove.
    dir.sync().ok();
    remove(ALIVE)?;
    parent.remove_dir(name)
}

/// Removes a folder that a killed doctor left, if that is proved: its lock is free. False: its doctor lives, or nobody can tell.
/// Only where locks exclude.
pub(super) fn remove_abandoned(parts: &Parts, parent: &dyn FsDir, name: &OsStr) -> io::Result<bool> {
    let dir = parts.fs.open_dir(&parent.path().join(name))?;
    if parent.stat(name)?.id != dir.id() {
        return Ok(false);
    }
    let alive = match dir.open(ALIVE.as_ref(), Access::ReadWrite) {
        Ok(alive) => alive,
        // Only empty ones: a doctor that is about to begin makes another.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(parent.remove_dir(name).is_ok()),
        Err(e) => return Err(e),
    };
    if !alive.try_lock(LockKind::Exclusive)? {
        return Ok(false);
    }
    clear(parent, name, &*dir)?;
    Ok(true)
}
