//! The swap: a prepared version takes its place, and what it displaced is looked at (P5).
//!
//! # Invariants
//! - Runs under the exclusive lock of the file (or with locks switched off, when only the look at the displaced file is left).
//! - Until the swap the old file is untouched; after it exactly one of new and old is under the name at any moment.
//! - What the swap displaced is removed only when it is proved to be what was compared and nobody writes to it any more.
//!
//! # Case analysis: a foreign program writes between comparison and swap
//! | it … | seen as | then |
//! |---|---|---|
//! | replaced the file by rename | another inode was displaced | swapped back, conflict |
//! | wrote into it and closed it | the displaced bytes differ | swapped back, conflict |
//! | still has it open for writing | a writable descriptor (read lease refused) | wait 50 ms, then kept beside the file, reported |
//! | removed it | nothing to swap with | conflict |
//! | replaced *our* version meanwhile | what comes back is not ours | swapped again; both kept after three rounds |
//!
//! What was displaced and is not needed any more becomes a kept version ([`keep`](crate::keep)), or is removed where none are kept.
//!
//! Killed between swap and look, the displaced file stays under the temporary name; the sweep finds it and keeps it unless it
//! is provably an old version of ours.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use filelatch_fs::fs::read_to_end;
use filelatch_fs::{Access, FileId, FsFile, WriterProbe};

use super::current::{self, Current};
use super::in_place;
use super::options::{Durability, HardLinks, Notice};
use super::temp::Temp;
use crate::error::{Conflict, Error, Result};
use crate::keep::publish::{Keeping, Moved, not_kept};
use crate::lease::desk::LeaseDesk;
use crate::lock::resource::Resource;
use crate::many::Several;
use crate::parts::Parts;
use crate::path::Place;
use crate::snapshot::Content;
use crate::version::{Expect, Version};
use crate::write::Author;

/// How long a program that still has the displaced file open for writing is waited for (P5.3).
const LATE_WRITER: Duration = Duration::from_millis(50);
/// Rounds of putting a foreign version back while a foreign program goes on writing (P5.4).
const ROUNDS: usize = 3;

/// What the new version was made from; the displaced file must still be that.
#[derive(Debug)]
pub(crate) enum Base<'a> {
    /// Whatever is there may be overwritten.
    Unchecked(Option<&'a Current>),
    /// Nothing was there.
    Absent,
    /// These bytes.
    Bytes(&'a Current, &'a Content),
}

impl Base<'_> {
    pub(super) fn current(&self) -> Option<&Current> {
        match self {
            Base::Unchecked(current) => *current,
            Base::Absent => None,
            Base::Bytes(current, _) => Some(current),
        }
    }
}

/// How to publish.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct How {
    pub(crate) durability: Durability,
    pub(crate) hard_links: HardLinks,
}

/// A version in its place.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) version: Version,
    pub(crate) notices: Vec<Notice>,
    /// Version of what was overwritten unchecked.
    pub(crate) displaced: Option<Version>,
}

/// What a publish works on.
pub(crate) struct Publisher<'a> {
    pub(crate) parts: &'a Arc<Parts>,
    pub(crate) place: &'a Place,
    /// The locked resource; `None` with locks switched off.
    pub(crate) resource: Option<&'a Resource>,
    pub(crate) how: How,
    /// Report the version that an unchecked write displaced (last-write-wins).
    pub(crate) report_displaced: bool,
    /// Keeps what is replaced.
    pub(crate) keeping: Option<Keeping<'a>>,
    /// What a file that does not exist takes metadata from.
    pub(crate) like: Option<&'a Current>,
    /// The lease that is written under.
    pub(crate) fence: Option<(&'a LeaseDesk, u64)>,
    /// It is a part of a write of several files, whose intent is its journal.
    pub(crate) several: Option<&'a Several<'a>>,
}

impl Publisher<'_> {
    /// Publishes what is in `temp`.
    pub(crate) fn publish(&self, mut temp: Temp, base: &Base<'_>) -> Result<Published> {
        let version = temp.version();
        let fail = |action, e| Error::io(action, &self.place.spelled, e);
        let mut notices = Vec::new();
        let old = base.current();
        notices.extend(
            temp.dress(old.or(self.like), &version, self.least_generation(old))
                .map_err(|e| fail("prepare a new version of", e))?,
        );
        if let Some(old) = old {
            let others = old.stat.nlink.saturating_sub(1);
            if others > 0 && self.how.hard_links == HardLinks::InPlace {
                self.still_locked()?;
                return self.in_place(temp, version, base, notices);
            }
            if others > 0 {
                notices.push(Notice::HardLinks { others });
            }
        }
        if self.how.durability >= Durability::File {
            temp.sync().map_err(|e| fail("make a new version durable of", e))?;
        }
        self.still_locked()?;
        self.check_fence()?;
        temp.let_read();
        #[cfg(feature = "watch")]
        let publishing = self.parts.own_writes.begin(&self.place.id, version, temp.marks());
        let swapped = match old {
            None => self.create(&mut temp),
            Some(_) => self.swap(&mut temp, base, &mut notices),
        };
        #[cfg(feature = "watch")]
        if swapped.is_ok() {
            publishing.done();
        } else {
            drop(publishing);
        }
        let displaced = match swapped {
            Ok(displaced) => displaced,
            Err(Stop::Error(e)) => return Err(e),
            Err(Stop::Busy) => return self.in_place(temp, version, base, notices),
            Err(Stop::Foreign { kept }) => return Err(self.conflict(base, kept)?),
        };
        temp.keep_name();
        self.keep_new(&temp, &version, &mut notices);
        if self.how.durability == Durability::Full {
            let path = self.place.spelled.clone();
            self.place.dir.sync().map_err(|source| Error::PublishedNotDurable { path, version, source })?;
        }
        Ok(Published { version, notices, displaced })
    }

    /// As late as possible: a fallback lock may have been taken over while this machine was silent (L8, L10).
    pub(super) fn still_locked(&self) -> Result<()> {
        match self.resource {
            Some(resource) if !resource.is_still_held()? => Err(Error::LockLost { path: self.place.spelled.clone() }),
            _ => Ok(()),
        }
    }

    /// As late as possible: everything that takes long is done, and under the lock nobody can become the next holder.
    pub(super) fn check_fence(&self) -> Result<()> {
        self.fence.map_or(Ok(()), |(leases, token)| leases.current(self.parts, self.place, token).map(drop))
    }

    /// What the attribution's generation must reach: with it the file remembers the lease that wrote.
    pub(super) fn generation(&self) -> u64 {
        self.fence.map_or(0, |(_, token)| token)
    }

    /// The versions between the old one and this have numbers, too.
    pub(super) fn least_generation(&self, old: Option<&Current>) -> u64 {
        let passed = self.keeping.as_ref().map_or(0, |keeping| keeping.passed.len() as u64);
        let previous = old.and_then(|old| old.attribution.as_ref()).map_or(0, |old| old.generation);
        self.generation().max(previous.saturating_add(passed).saturating_add(1))
    }

    /// The generation that the new version gets.
    pub(crate) fn generation_on(&self, base: &Base<'_>) -> u64 {
        let old = base.current();
        let previous = old.or(self.like).and_then(|old| old.attribution.as_ref());
        let next = previous.map_or(0, |previous| previous.generation).wrapping_add(1);
        next.max(self.least_generation(old))
    }

    /// What stands under `name`, an old version that is not needed any more, is kept, or removed. Removing it is tidying up: the new version
    /// is in place, and the sweep knows an old one of ours.
    fn put_away(&self, name: &OsStr, old: &Current, version: Option<Version>, temp: &Temp, notices: &mut Vec<Notice>) {
        let dir = &*self.place.dir;
        if let Some((keeping, new)) = self.keeping.as_ref().zip(temp.new_version()) {
            match keeping.displaced(dir, name, old, version, new) {
                Ok(Moved::Away) => return,
                Ok(Moved::Copied) => {}
                Err(e) => notices.push(not_kept(&e)),
            }
        }
        dir.remove(name).ok();
    }

    /// The file that was replaced, or is about to be written to, can't be moved: a copy is kept, of these bytes if they are at hand.
    pub(super) fn keep_copy(&self, old: &Current, bytes: Option<&[u8]>, temp: &Temp, notices: &mut Vec<Notice>) {
        if let Some((keeping, new)) = self.keeping.as_ref().zip(temp.new_version()) {
            notices.extend(keeping.copied(old, bytes, new));
        }
    }

    /// The new version is in its place.
    pub(super) fn keep_new(&self, temp: &Temp, version: &Version, notices: &mut Vec<Notice>) {
        if let Some((keeping, new)) = self.keeping.as_ref().zip(temp.new_version()) {
            notices.extend(keeping.published(temp.file(), version, new));
        }
    }

    fn in_place(&self, temp: Temp, version: Version, base: &Base<'_>, mut notices: Vec<Notice>) -> Result<Published> {
        notices.retain(|notice| !matches!(notice, Notice::HardLinks { .. }));
        notices.push(Notice::InPlace);
        match in_place::write(self, temp, &version, base, &mut notices)? {
            in_place::Outcome::Written => Ok(Published { version, notices, displaced: None }),
            in_place::Outcome::Foreign => Err(self.conflict(base, None)?),
        }
    }

    fn fail(&self, action: &'static str, e: io::Error) -> Stop {
        Stop::Error(Error::io(action, &self.place.spelled, e))
    }

    fn create(&self, temp: &mut Temp) -> Result<Option<Version>, Stop> {
        match self.place.dir.rename_new(temp.name(), &self.place.name) {
            Ok(()) => Ok(None),
            Err(_) if self.stands_for(&self.place.name, temp) => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(Stop::Foreign { kept: None }),
            Err(e) => Err(self.fail("create", e)),
        }
    }

    /// Does a name stand for the new version? Some systems report an error for what they did all the same (L29).
    fn stands_for(&self, name: &OsStr, temp: &Temp) -> bool {
        let ours = temp.file().and_then(FsFile::stat).map(|stat| stat.id);
        let there = self.place.dir.stat(name).map(|stat| stat.id);
        matches!((ours, there), (Ok(ours), Ok(there)) if ours == there)
    }

    fn swap(&self, temp: &mut Temp, base: &Base<'_>, notices: &mut Vec<Notice>) -> Result<Option<Version>, Stop> {
        let (dir, name) = (&*self.place.dir, self.place.name.as_os_str());
        match dir.exchange(name, temp.name()) {
            Ok(()) => {}
            Err(e) if e.kind() != io::ErrorKind::Unsupported && self.stands_for(name, temp) => {}
            Err(e) => {
                return match e.kind() {
                    io::ErrorKind::Unsupported => self.rename_over(temp, base, notices),
                    io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices => Err(Stop::Busy),
                    io::ErrorKind::NotFound => self.vanished(temp, base),
                    _ => Err(self.fail("replace", e)),
                };
            }
        }
        match base {
            Base::Unchecked(Some(old)) => {
                let displaced = self.report_displaced.then(|| self.version_of(temp)).flatten();
                temp.keep_name();
                self.put_away(temp.name(), old, displaced, temp, notices);
                Ok(displaced)
            }
            Base::Unchecked(None) | Base::Absent => Ok(None),
            Base::Bytes(old, content) => {
                let bytes = &content.bytes;
                let looked = dir.stat(temp.name()).and_then(|stat| Ok((stat.id, self.examine(stat.id, old, bytes)?)));
                match looked {
                    Ok((_, Displaced::AsCompared)) => {
                        temp.keep_name();
                        let version = self.keeping.is_some().then(|| content.version());
                        self.put_away(temp.name(), old, version, temp, notices);
                        Ok(None)
                    }
                    Ok((_, Displaced::LateWriter)) => {
                        temp.keep_name();
                        self.keep_copy(old, Some(bytes), temp, notices);
                        notices.push(Notice::LateWriter { kept: self.beside(temp) });
                        Ok(None)
                    }
                    Ok((displaced, Displaced::Foreign)) => Err(self.put_back(temp, displaced)),
                    // It can't be looked at: then it must not be lost. The new version is in place.
                    Err(_) => {
                        temp.keep_name();
                        notices.push(Notice::ForeignKept { kept: self.beside(temp) });
                        Ok(None)
                    }
                }
            }
        }
    }

    /// The name was there when it was read and is gone now.
    fn vanished(&self, temp: &mut Temp, base: &Base<'_>) -> Result<Option<Version>, Stop> {
        match base {
            Base::Unchecked(_) => self.create(temp),
            Base::Absent | Base::Bytes(..) => Err(Stop::Foreign { kept: None }),
        }
    }

    fn version_of(&self, temp: &Temp) -> Option<Version> {
        let file = self.place.dir.open(temp.name(), Access::Read).ok()?;
        read_to_end(&*file, u64::MAX - 1).ok().map(|bytes| Version::of(&bytes))
    }

    fn beside(&self, temp: &Temp) -> PathBuf {
        self.place.dir.path().join(temp.name())
    }

    /// Is the displaced file what was compared, and finished?
    pub(super) fn examine(&self, displaced: FileId, old: &Current, bytes: &[u8]) -> io::Result<Displaced> {
        if displaced != old.stat.id {
            return Ok(Displaced::Foreign);
        }
        let host = &self.parts.host;
        let began = host.monotonic();
        // First the proof that nobody can write any more, then the look at the bytes: in the other order a write between the
        // two would be missed.
        let mut probe = old.file.probe_writers()?;
        while probe == WriterProbe::Some && host.monotonic().saturating_sub(began) < LATE_WRITER {
            host.sleep(Duration::from_millis(1));
            probe = old.file.probe_writers()?;
        }
        if !has_bytes(&*old.file, bytes)? {
            return Ok(Displaced::Foreign);
        }
        Ok(if probe == WriterProbe::Some { Displaced::LateWriter } else { Displaced::AsCompared })
    }

    /// A foreign version was displaced: swaps it back, until what comes back is our own, or what stands there is foreign
    /// and newer (P5.4).
    fn put_back(&self, temp: &mut Temp, displaced: FileId) -> Stop {
        let (dir, name) = (&*self.place.dir, self.place.name.as_os_str());
        let version = temp.version();
        let Ok(ours) = temp.file().and_then(FsFile::stat) else {
            temp.keep_name();
            return Stop::Foreign { kept: Some(self.beside(temp)) };
        };
        // Our own writable descriptor would look like a foreign writer's.
        temp.close();
        // What the round before put under the name, and what this round puts there.
        let (mut before, mut put) = (None, displaced);
        for _ in 0..ROUNDS {
            if dir.exchange(name, temp.name()).is_err() {
                // Gone again, or not ours to change: what is here is foreign and must not be lost.
                break;
            }
            let Ok(came) = dir.stat(temp.name()) else { break };
            if came.id == ours.id && self.is_unmodified(temp, &version) {
                return match temp.remove_name() {
                    Ok(()) => Stop::Foreign { kept: None },
                    // Somebody has tidied up after us.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => Stop::Foreign { kept: None },
                    Err(e) => self.fail("remove the refused version of", e),
                };
            }
            if Some(came.id) == before {
                // Nobody came between the last two rounds: the name shows the newer foreign file, the older stays here.
                break;
            }
            (before, put) = (Some(put), came.id);
        }
        temp.keep_name();
        Stop::Foreign { kept: Some(self.beside(temp)) }
    }

    fn is_unmodified(&self, temp: &Temp, version: &Version) -> bool {
        let Ok(file) = self.place.dir.open(temp.name(), Access::Read) else { return false };
        let closed = matches!(file.probe_writers(), Ok(WriterProbe::None | WriterProbe::Unknown));
        closed && read_to_end(&*file, temp.len() + 1).is_ok_and(|bytes| Version::of(&bytes) == *version)
    }

    /// Where names can't be swapped: a second name keeps the old file, then rename, then compare. A foreign rename within
    /// the last microseconds is lost; [`Notice::NoSwap`] says so (P5.6).
    fn rename_over(
        &self,
        temp: &mut Temp,
        base: &Base<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<Option<Version>, Stop> {
        let (dir, name) = (&*self.place.dir, self.place.name.as_os_str());
        notices.push(Notice::NoSwap);
        let replace = || match dir.rename(temp.name(), name) {
            Ok(()) => Ok(()),
            Err(_) if self.stands_for(name, temp) => Ok(()),
            Err(e) => Err(match e.kind() {
                io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices => Stop::Busy,
                _ => self.fail("replace", e),
            }),
        };
        let aside = crate::path::temp_name(&self.place.name, self.parts.host.pid(), self.parts.host.random());
        let Base::Bytes(old, content) = base else {
            let Base::Unchecked(Some(old)) = base else { return replace().map(|()| None) };
            let read = || read_to_end(&*dir.open(name, Access::Read)?, u64::MAX - 1);
            let displaced = if self.report_displaced { read().ok().map(|bytes| Version::of(&bytes)) } else { None };
            let linked = self.keeping.is_some() && dir.link(name, &aside).is_ok();
            if let Err(stop) = replace() {
                if linked {
                    dir.remove(&aside).ok();
                }
                return Err(stop);
            }
            temp.keep_name();
            if linked {
                self.put_away(&aside, old, displaced, temp, notices);
            } else {
                self.keep_copy(old, None, temp, notices);
            }
            return Ok(displaced);
        };
        let bytes = &content.bytes;
        let look = |e| self.fail("look at", e);
        let same = match dir.stat(name) {
            Ok(stat) => stat.id == old.stat.id && has_bytes(&*old.file, bytes).map_err(look)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            Err(e) => return Err(look(e)),
        };
        if !same {
            return Err(Stop::Foreign { kept: None });
        }
        let linked = dir.link(name, &aside).is_ok();
        if let Err(stop) = replace() {
            if linked {
                dir.remove(&aside).ok();
            }
            return Err(stop);
        }
        temp.keep_name();
        if !linked {
            self.keep_copy(old, Some(bytes), temp, notices);
            return Ok(None);
        }
        // By content: not every file server gives both names of a file one number.
        let unchanged = dir.open(&aside, Access::Read).and_then(|file| has_bytes(&*file, bytes));
        if matches!(unchanged, Ok(true)) {
            let version = self.keeping.is_some().then(|| content.version());
            self.put_away(&aside, old, version, temp, notices);
        } else {
            // Too late to put it back without another window, and the new version is in place: both are kept.
            notices.push(Notice::ForeignKept { kept: dir.path().join(&aside) });
        }
        Ok(None)
    }

    /// The error for "not what was compared", with what is there now.
    pub(super) fn conflict(&self, base: &Base<'_>, kept: Option<PathBuf>) -> Result<Error> {
        let expected = match base {
            Base::Bytes(_, content) => Expect::Version(content.version()),
            Base::Absent => Expect::Absent,
            Base::Unchecked(_) => Expect::Any,
        };
        let mut conflict = Conflict {
            path: self.place.spelled.clone(),
            expected,
            current: None,
            last_modified_by: Author::Unknown,
            last_modified_at: None,
            kept,
            unmerged: None,
        };
        if let Some(current) = current::open(self.place)? {
            let version = Version::of(&current.read(self.place, u64::MAX - 1)?);
            conflict.current = Some(version);
            conflict.last_modified_by = current.author(&version);
            conflict.last_modified_at = Some(current.written_at(&version));
        }
        Ok(Error::Conflict(Box::new(conflict)))
    }
}

/// Why a swap did not end with the new version in place.
enum Stop {
    Error(Error),
    /// A mount point: only writing in place can change it.
    Busy,
    /// A foreign program changed the file.
    Foreign {
        kept: Option<PathBuf>,
    },
}

pub(super) enum Displaced {
    AsCompared,
    LateWriter,
    Foreign,
}

/// Are these exactly the file's bytes?
pub(crate) fn has_bytes(file: &dyn FsFile, bytes: &[u8]) -> io::Result<bool> {
    if file.stat()?.size != bytes.len() as u64 {
        return Ok(false);
    }
    // In pieces: the comparison ends at the first difference and needs no second copy.
    let mut buf = vec![0; bytes.len().clamp(1, 64 << 10)];
    let mut done = 0;
    loop {
        let n = file.read_at(&mut buf, done as u64)?;
        if n == 0 {
            return Ok(done == bytes.len());
        }
        if bytes.get(done..done + n) != Some(&buf[..n]) {
            return Ok(false);
        }
        done += n;
        if done == bytes.len() && file.stat()?.size == done as u64 {
            return Ok(true);
        }
    }
}
