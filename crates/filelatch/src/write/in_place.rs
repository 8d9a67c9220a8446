//! Writing into the file itself, where it can't be replaced: a mount point (a file bound into a container), or a file whose
//! other names shall see the change (P5.9).
//!
//! # Promise
//! Readers that hold a lock see old or new. A write that fails is taken back, or, if that fails too, completed by the next holder. After a crash at any point the next holder completes the write before it sees the
//! file: the new bytes are durable in a journal, named by the lock file's record, before the first byte changes.
//!
//! # Non-promise
//! Readers without a lock may see a mix. A foreign write within the last microseconds before ours is overwritten.
//!
//! # Order of operations
//! journal (the temporary file) durable → a copy of the old bytes kept, where versions are kept → the record names it, durable → it is marked as a journal, durable → write, cut to length,
//! fsync → it is marked as done → the record forgets it, durable → journal removed.
//!
//! The mark is for the case that somebody wipes the record meanwhile: programs that open a lock file with `O_TRUNC` before they have
//! its lock do that (filelock for Python up to 3.9). If the writer dies then, nobody completes the write; but the sweep leaves
//! the journal alone, and it is listed.

use std::io;
use std::sync::Arc;

use filelatch_fs::fs::{read_to_end, write_all_at};
use filelatch_fs::{Access, FsFile};

use super::attribution::{self, Attribution};
use super::current;
use super::options::Notice;
use super::publish::{Base, Publisher, has_bytes};
use super::temp::Temp;
use crate::error::{Error, Result};
use crate::lock::record::Intent;
use crate::lock::resource::Resource;
use crate::many::Several;
use crate::parts::Parts;
use crate::path::Place;
use crate::version::Version;

const KIND: &str = "in-place";

pub(crate) enum Outcome {
    Written,
    Foreign,
}

pub(crate) fn write(
    publisher: &Publisher<'_>,
    mut temp: Temp,
    version: &Version,
    base: &Base<'_>,
    notices: &mut Vec<Notice>,
) -> Result<Outcome> {
    let place = publisher.place;
    let fail = |action, e| Error::io(action, &place.spelled, e);
    let Some(resource) = publisher.resource else {
        let problem = "locks are switched off, and writing in place needs one to be recoverable";
        return Err(fail("write in place", io::Error::other(problem)));
    };
    let journal = (|| {
        temp.sync()?;
        place.dir.sync()
    })();
    journal.map_err(|e| fail("write a journal for", e))?;
    if let Base::Bytes(old, content) = base
        && !has_bytes(&*old.file, &content.bytes).map_err(|e| fail("read", e))?
    {
        return Ok(Outcome::Foreign);
    }
    let journal = temp.name().to_str().ok_or_else(|| {
        let problem = "its name is not valid text, so a journal could not be named";
        fail("write in place", io::Error::new(io::ErrorKind::InvalidInput, problem))
    })?;
    // What to go back to if the new bytes do not fit.
    let before = match base {
        Base::Bytes(_, content) => content.bytes.to_vec(),
        _ => place
            .dir
            .open(&place.name, Access::Read)
            .and_then(|f| read_to_end(&*f, u64::MAX - 1))
            .map_err(|e| fail("read", e))?,
    };
    // Before the record names the journal: from then on somebody may complete the write, and nothing would be left of the old bytes.
    if let Some(old) = base.current() {
        publisher.keep_copy(old, Some(&before), &temp, notices);
    }
    if let Some(several) = publisher.several {
        return part_of_several(publisher, several, &mut temp, version, base, &before, notices);
    }
    let intent = Intent { kind: KIND.to_owned(), journal: journal.to_owned(), hash: version.to_string(), part: 0 };
    publisher.check_fence()?;
    // From here on the journal must outlive us: the note may be there whatever the system answers, and a note without its journal
    // would keep everybody out.
    temp.keep_name();
    let mark = || temp.file().and_then(attribution::mark_journal).and_then(|()| temp.sync());
    let begun = resource.set_intent(Some(intent)).and_then(|()| mark().map_err(|e| fail("mark the journal of", e)));
    if let Err(e) = begun {
        done(temp.file());
        if resource.set_intent(None).is_ok() {
            temp.remove_name().ok();
        }
        return Err(e);
    }
    let bytes = temp.file().and_then(|f| read_to_end(f, temp.len())).map_err(|e| fail("read the journal for", e))?;
    // The attribution comes after the bytes: until then there is none of them.
    #[cfg(feature = "watch")]
    let publishing = publisher.parts.own_writes.begin(&place.id, *version, false);
    let file = match overwrite(
        publisher.parts,
        place,
        &bytes,
        version,
        publisher.least_generation(base.current()),
        temp.author(),
    ) {
        Ok((file, _)) => file,
        Err(e) => {
            // A full disk, most likely. The old bytes had their place already; if not even they can be written, the next holder
            // completes the write, and the caller has to know that it may yet be made.
            let restored = restore(place, &before).inspect(|()| done(temp.file()));
            if restored.is_err() || resource.set_intent(None).is_err() {
                let path = place.spelled.clone();
                return Err(Error::PublishedNotDurable { path, version: *version, source: e });
            }
            temp.remove_name().ok();
            return Err(fail("write in place", e));
        }
    };
    #[cfg(feature = "watch")]
    publishing.done();
    if let Err(source) = file.sync() {
        // In place and visible, and the note stays: the next holder writes it once more (L26).
        return Err(Error::PublishedNotDurable { path: place.spelled.clone(), version: *version, source });
    }
    publisher.keep_new(&temp, version, notices);
    // A note that can't be taken back makes the next holder do it again, to no harm.
    done(temp.file());
    if resource.set_intent(None).is_ok() {
        temp.remove_name().ok();
    }
    Ok(Outcome::Written)
}

/// The record names the intent already, which has the new bytes; it must not name anything else until all of them are in.
fn part_of_several(
    publisher: &Publisher<'_>,
    several: &Several<'_>,
    temp: &mut Temp,
    version: &Version,
    base: &Base<'_>,
    before: &[u8],
    notices: &mut Vec<Notice>,
) -> Result<Outcome> {
    let place = publisher.place;
    let fail = |e| Error::io("write in place", &place.spelled, e);
    publisher.check_fence()?;
    let bytes = temp.file().and_then(|file| read_to_end(file, temp.len())).map_err(fail)?;
    several.begin_in_place().map_err(fail)?;
    #[cfg(feature = "watch")]
    let publishing = publisher.parts.own_writes.begin(&place.id, *version, false);
    let generation = publisher.least_generation(base.current());
    let written =
        overwrite(publisher.parts, place, &bytes, version, generation, temp.author()).and_then(|(file, _)| file.sync());
    if let Err(e) = written {
        // Whoever locks the file next completes it; until then readers without a lock are better off with the old bytes.
        restore(place, before).ok();
        return Err(fail(e));
    }
    #[cfg(feature = "watch")]
    publishing.done();
    publisher.keep_new(temp, version, notices);
    temp.remove_name().ok();
    Ok(Outcome::Written)
}

/// Completes a part of a write of several files that was being written in place.
pub(crate) fn complete_part(resource: &Resource, bytes: &[u8], version: &Version) -> Result<()> {
    let place = &resource.place;
    let completed =
        overwrite(&resource.parts, place, bytes, version, 0, &resource.parts.session).and_then(|(file, generation)| {
            resource.trail().inspect(|trail| trail.completed(version, generation));
            file.sync()
        });
    completed.map_err(|e| Error::io("complete a write of", &place.spelled, e))
}

/// The journal is not needed any more. Best effort: one that keeps its mark is listed as a leftover.
fn done(journal: io::Result<&dyn FsFile>) {
    journal.and_then(attribution::mark_preparing).ok();
}

fn restore(place: &Place, bytes: &[u8]) -> io::Result<()> {
    let file = place.dir.open(&place.name, Access::ReadWrite)?;
    write_all_at(&*file, bytes, 0)?;
    file.set_len(bytes.len() as u64)?;
    file.sync()
}

/// Not synced.
fn overwrite(
    parts: &Arc<Parts>,
    place: &Place,
    bytes: &[u8],
    version: &Version,
    generation: u64,
    session: &str,
) -> io::Result<(Box<dyn FsFile>, u64)> {
    let file = place.dir.open(&place.name, Access::ReadWrite)?;
    let previous = current::open(place).ok().flatten().and_then(|current| current.attribution);
    write_all_at(&*file, bytes, 0)?;
    file.set_len(bytes.len() as u64)?;
    let attribution = Attribution::new(previous.as_ref(), version, parts.host.now(), session);
    let attribution = attribution.at_least(generation);
    match attribution.write(&*file) {
        Err(e) if e.kind() != io::ErrorKind::Unsupported => return Err(e),
        _ => {}
    }
    Ok((file, attribution.generation))
}

/// Only while nobody else may write.
pub(crate) fn recover(resource: &Resource, intent: &Intent) -> Result<()> {
    let place = &resource.place;
    let stuck = |problem: String| Error::Unrecovered { path: place.spelled.clone(), problem };
    if intent.kind != KIND {
        return Err(stuck(format!("its kind, `{}`, is not known to this version of filelatch", intent.kind)));
    }
    let Ok(version) = intent.hash.parse::<Version>() else {
        return Err(stuck("the record of it is damaged".to_owned()));
    };
    let journal = std::ffi::OsStr::new(&intent.journal);
    if !crate::path::is_temp_of(journal, &place.name) {
        return Err(stuck(format!("`{}` is not the name of a journal", intent.journal)));
    }
    let bytes = match place.dir.open(journal, Access::Read).and_then(|f| read_to_end(&*f, u64::MAX - 1)) {
        Ok(bytes) if Version::of(&bytes) == version => bytes,
        // Finished but for the note, or nothing to finish it with.
        Ok(_) => {
            return finished_or(resource, &version, || stuck(format!("its journal `{}` is damaged", intent.journal)));
        }
        Err(e) => {
            return finished_or(resource, &version, || {
                stuck(format!("its journal `{}` can't be read: {e}", intent.journal))
            });
        }
    };
    let completed = overwrite(&resource.parts, place, &bytes, &version, 0, &resource.parts.session).and_then(
        |(file, generation)| {
            resource.trail().inspect(|trail| trail.completed(&version, generation));
            file.sync()
        },
    );
    completed.map_err(|e| Error::io("complete a write of", &place.spelled, e))?;
    done(place.dir.open(journal, Access::ReadWrite).as_deref().map_err(|e| e.kind().into()));
    resource.set_intent(None)?;
    place.dir.remove(journal).ok();
    Ok(())
}

fn finished_or(resource: &Resource, version: &Version, error: impl FnOnce() -> Error) -> Result<()> {
    let current = current::open(&resource.place)?;
    let bytes = current.map(|current| current.read(&resource.place, u64::MAX - 1)).transpose()?;
    if bytes.is_some_and(|bytes| Version::of(&bytes) == *version) { resource.set_intent(None) } else { Err(error()) }
}
