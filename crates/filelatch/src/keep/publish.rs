//! What a publish keeps, and what becomes of what it can't keep.
//!
//! Keeping is no part of the write: the new version is in its place before anything is kept, and an error here is a notice of a write that
//! has succeeded. What could not be kept is removed as it would be without keeping.

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;

use filelatch_fs::{Access, FsDir, FsFile};

use super::history::{History, Source};
use super::limits::Keep;
use super::name::{Hash, VersionName};
use crate::audit::trail::Trail;
use crate::error::plain;
use crate::parts::{Parts, epoch_millis};
use crate::snapshot::Content;
use crate::version::Version;
use crate::write::attribution::{self, Attribution, Mark};
use crate::write::current::Current;
use crate::write::{Durability, Notice};

/// Keeping, as one publish does it.
pub(crate) struct Keeping<'a> {
    pub(crate) history: &'a History,
    pub(crate) parts: &'a Parts,
    pub(crate) durability: Durability,
    /// Versions between the old and the new one that were never published.
    pub(crate) passed: &'a [Arc<Content>],
    /// Where is recorded what goes.
    pub(crate) trail: Option<&'a Trail>,
}

/// What became of a displaced file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// It is the version.
    Away,
    /// A copy of it is the version.
    Copied,
}

/// The version that a publish puts in place.
#[derive(Clone, Copy)]
pub(crate) struct New<'a> {
    pub(crate) attribution: &'a Attribution,
    /// The file system carries attributions.
    pub(crate) marks: bool,
}

impl Keeping<'_> {
    /// The name of a version that `new` replaces.
    fn name(&self, old: Option<&Attribution>, version: Option<Version>, new: New<'_>) -> VersionName {
        let replaced = epoch_millis(new.attribution.at);
        let own = old.filter(|old| version.is_none_or(|version| old.is_of(&version)));
        // Never newer than what replaces it, whatever the clock or a forged attribution says.
        let millis = own.map_or(replaced, |own| epoch_millis(own.at).min(replaced));
        let generation = own.map_or(0, |own| own.generation);
        let hash = match (version, own) {
            (Some(version), _) => Hash::Proved(version),
            (None, Some(own)) => Hash::Claimed(own.digits().to_owned()),
            #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
            (None, None) => Hash::Unread(self.parts.host.random() as u32),
        };
        if new.marks || generation > 0 {
            return VersionName { millis, generation, hash };
        }
        // Nothing but the order in this process tells two versions of one millisecond apart.
        VersionName { millis, generation: self.history.counted_so_far(), hash }
    }

    /// The displaced file, which stands under `name` and which nobody writes to any more, becomes a version. `version`: what it is, if that
    /// was proved; else its attribution is believed until somebody reads it.
    pub(crate) fn displaced(
        &self,
        dir: &dyn FsDir,
        name: &OsStr,
        old: &Current,
        version: Option<Version>,
        new: New<'_>,
    ) -> io::Result<Moved> {
        let stat = dir.stat(name)?;
        let mark = if stat.id == old.stat.id {
            old.attribution.clone()
        } else {
            match attribution::read(&*dir.open(name, Access::Read)?)? {
                Mark::By(mark) => Some(mark),
                Mark::None | Mark::Preparing => None,
            }
        };
        let to = self.name(mark.as_ref(), version, new);
        let moved = if stat.nlink > 1 {
            // Its other names go on being written to, and these bytes would change with them.
            let file = dir.open(name, Access::Read)?;
            self.history.copy(self.parts, Source::File(&*file), mark.as_ref(), &to, self.durability)?;
            Moved::Copied
        } else {
            self.history.take(self.parts, dir, name, &to, mark.as_ref(), self.durability)?
        };
        self.bound(stat.size, new);
        Ok(moved)
    }

    /// The old version is kept by a copy, of these bytes if they are at hand: its file is not to be had.
    pub(crate) fn copied(&self, old: &Current, bytes: Option<&[u8]>, new: New<'_>) -> Option<Notice> {
        let version = bytes.map(Version::of);
        let mark = old.attribution.as_ref();
        let to = self.name(mark, version, new);
        let source = bytes.map_or(Source::File(&*old.file), |bytes| Source::Bytes(bytes, &*old.file));
        match self.history.copy(self.parts, source, mark, &to, self.durability) {
            Ok(()) => {
                self.bound(old.stat.size, new);
                None
            }
            Err(e) => Some(not_kept(&e)),
        }
    }

    /// The new version is in its place: what the policy keeps of it and of those before it.
    pub(crate) fn published(&self, file: io::Result<&dyn FsFile>, version: &Version, new: New<'_>) -> Option<Notice> {
        if self.history.keep < Keep::Current {
            return None;
        }
        let kept = file.and_then(|file| {
            let at = new.attribution;
            for (mark, content) in (at.generation - self.passed.len() as u64..).zip(self.passed) {
                let mark = Attribution::between(at, mark, &content.version());
                let to = self.name(Some(&mark), Some(content.version()), new);
                let source = Source::Bytes(&content.bytes, file);
                self.history.copy(self.parts, source, new.marks.then_some(&mark), &to, self.durability)?;
            }
            let to = self.name(Some(at), Some(*version), new);
            self.history.copy(self.parts, Source::File(file), new.marks.then_some(at), &to, self.durability)
        });
        kept.err().map(|e| not_kept(&e))
    }

    /// One more was kept.
    fn bound(&self, size: u64, new: New<'_>) {
        if self.history.counted(new.attribution.generation, new.marks, size) {
            // What can't be removed now is there the next time.
            if let Ok(pruned) = self.history.prune(self.parts, &self.history.limits) {
                self.trail.inspect(|trail| trail.pruned(&pruned));
            }
        }
    }
}

pub(crate) fn not_kept(e: &io::Error) -> Notice {
    Notice::NotKept { why: plain(e) }
}
