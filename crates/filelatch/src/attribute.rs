//! A name for bytes that a program wrote without filelatch.
//!
//! # Promise
//! - A name is given to exactly the version that the caller names, and only while the file is it: the comparison and the note are under the
//!   lock, and the note carries the version's digits, so it stops counting as soon as anybody writes other bytes.
//! - A version that a session of filelatch's wrote keeps that name.
//! - The content is not touched: not its bytes, not its time of change.
//!
//! # Non-promise
//! - That the caller did write these bytes: nobody can tell. Who calls must have seen them made.
//! - It is not synced, and it is a hint that whoever may write can forge, as every attribution (P6).
//! - Leases are not asked: nothing is written that they protect.
//!
//! # Order of operations
//! lock → open, read, compare → does a note speak of these bytes? → note on the same open file → release, record. A file that is replaced
//! meanwhile keeps the note to itself; one that is changed in place makes it void.

use filelatch_fs::LockKind;

use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::file::{LatchFile, WriteOptions};
use crate::version::{Expect, Version};
use crate::write::Author;
use crate::write::attribution::Attribution;

/// What became of a name for a version; see [`LatchFile::attribute`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attributed {
    /// The version has the name now, and the audit log a record, where there is one.
    Recorded,
    /// The version had an author already, who stays: it was written through filelatch.
    Known(Author),
    /// Files carry no notes here (no extended attributes). The audit log has a record, where there is one.
    Unsupported,
}

impl LatchFile {
    /// Says that `options.session` (else the engine's session) wrote `version`, which another program has put there: for tools that edit
    /// files by themselves and report it afterwards. Of the options only the session and the way to wait for the lock count.
    ///
    /// Promises nothing but that the name belongs to exactly these bytes; whether they are the caller's work is the caller's word.
    ///
    /// # Errors
    /// [`Error::Conflict`]: the file is another version by now, and nobody is named. [`Error::NotFound`]: there is none.
    /// [`Error::Timeout`] and the like: the lock was not had. An error of the system where the file may not be written.
    pub fn attribute(&self, version: &Version, options: &WriteOptions<'_>) -> Result<Attributed> {
        let held = self.hold(LockKind::Exclusive, &options.lock)?;
        let entry = &held.entry;
        let by = options.session.as_deref();
        let told = note(entry, version, by)?;
        entry.cache.forget();
        entry.register(by.or(Some(&entry.parts().session)));
        if let Some(trail) = entry.trail() {
            if let Some(generation) = told.1 {
                trail.attributed(version, generation, by);
            }
            if held.tenure.is_none() {
                trail.flush();
            }
        }
        Ok(told.0)
    }
}

/// The outcome, and the generation that was given.
fn note(entry: &Entry, version: &Version, by: Option<&str>) -> Result<(Attributed, Option<u64>)> {
    let place = entry.place();
    let missing = || Error::NotFound { path: place.spelled.clone() };
    let current = entry.current()?.ok_or_else(missing)?;
    let found = Version::of(&current.read(place, entry.read_limit)?);
    if found != *version {
        return Err(entry.conflict(&Expect::Version(*version), Some(found), Some(&current)));
    }
    if let author @ Author::Session(_) = current.author(version) {
        return Ok((Attributed::Known(entry.resolve(author)), None));
    }
    let session = by.unwrap_or(&entry.parts().session);
    let mark = Attribution::new(current.attribution.as_ref(), version, entry.parts().host.now(), session);
    match mark.write(&*current.file) {
        Ok(()) => Ok((Attributed::Recorded, Some(mark.generation))),
        Err(e) if e.kind() == std::io::ErrorKind::Unsupported => Ok((Attributed::Unsupported, Some(mark.generation))),
        Err(e) => Err(Error::io("note who wrote", &place.spelled, e)),
    }
}
