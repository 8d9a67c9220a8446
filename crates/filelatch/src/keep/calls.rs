//! The calls of a handle: history, kept versions, restore, prune.

use std::sync::Arc;
use std::time::SystemTime;

use super::history::{Found, History, Opened};
use super::limits::KeepLimits;
use super::prune::Pruned;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::file::{LatchFile, WriteOptions};
use crate::policy::Strategy;
use crate::snapshot::{Content, Snapshot};
use crate::version::{Expect, Version};
use crate::write::Author;
use crate::write_path::Written;

/// Digits that a prefix of a version must have.
const PREFIX: usize = 16;

/// A version that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptVersion {
    /// Its version, as it was when it was kept. Whether the bytes are still that is found out when they are read ([`LatchFile::kept`]).
    pub version: Version,
    /// Length in bytes.
    pub size: u64,
    /// Who wrote it.
    pub by: Author,
    /// When it was written.
    pub at: SystemTime,
    /// How manieth version it was, as far as filelatch wrote them; `None` where its writer is not known.
    pub generation: Option<u64>,
}

/// The bytes of a kept version of the file, if they are still what they were. For the search of a merge base.
pub(crate) fn find(entry: &Entry, wanted: &Expect) -> Option<Vec<u8>> {
    let history = entry.history()?;
    let version = match wanted {
        Expect::Any | Expect::Absent => return None,
        Expect::Version(version) => *version,
        Expect::Prefix(_) => {
            let list = history.list(entry.parts()).ok()?;
            let mut opened = list.iter().filter_map(|kept| history.open(entry.parts(), kept).ok().flatten());
            opened.find(|opened| wanted.admits(Some(&opened.version)))?.version
        }
    };
    match history.find(entry.parts(), &version, entry.read_limit) {
        Ok(Found::Whole(bytes, _)) => Some(bytes),
        Ok(Found::Damaged(_) | Found::Nothing) | Err(_) => None,
    }
}

impl LatchFile {
    /// The versions that are kept of this file, newest first. Without the current content, and without a lock: what is replaced or removed
    /// meanwhile may be missing.
    ///
    /// The bytes are not read, but for those of which nobody has known the hash so far: a version that was overwritten unseen.
    ///
    /// # Errors
    /// [`Error::NoWorkspace`] where nothing is kept.
    pub fn history(&self) -> Result<Vec<KeptVersion>> {
        let entry = self.entry()?;
        let history = history(self, &entry)?;
        let list = history.list(entry.parts()).map_err(|e| unlisted(history, e))?;
        let mut all = Vec::with_capacity(list.len());
        for kept in list.iter().filter(|kept| !kept.is_twin) {
            let opened = history.open(entry.parts(), kept).map_err(|e| unlisted(history, e))?;
            all.extend(opened.as_ref().map(KeptVersion::of));
        }
        Ok(all)
    }

    /// The kept version that begins with these digits: at least 16 of its 64.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`], also for fewer digits; [`Error::AmbiguousVersion`].
    pub fn find_kept(&self, prefix: &str) -> Result<Version> {
        let wanted = prefix.to_ascii_lowercase();
        let missing = || Error::NoSuchVersion { path: self.path().to_owned(), wanted: prefix.to_owned() };
        if wanted.len() < PREFIX || wanted.len() > 64 || !wanted.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(missing());
        }
        let mut found: Vec<_> = self.history()?.iter().map(|kept| kept.version).collect();
        found.retain(|version| version.starts_with(&wanted));
        found.sort_unstable();
        found.dedup();
        match found[..] {
            [] => Err(missing()),
            [one] => Ok(one),
            _ => Err(Error::AmbiguousVersion { path: self.path().to_owned(), prefix: wanted, versions: found }),
        }
    }

    /// A kept version, verified: its bytes have the hash.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`]; [`Error::DamagedVersion`] when it is kept but its bytes have been changed since;
    /// [`Error::NoWorkspace`].
    pub fn kept(&self, version: &Version) -> Result<Snapshot> {
        let entry = self.entry()?;
        let (bytes, opened) = self.whole(&entry, version)?;
        Ok(Snapshot::new(self.path().to_owned(), Content::new(bytes), opened.author, opened.at))
    }

    /// Brings a kept version back: a write like any other, with its expectation, strategy and durability; what it replaces is kept in turn. A
    /// file that does not exist any more gets the mode and owner that the version has. Without an expectation it replaces whatever is there,
    /// also where the policy merges: nothing is known that it was made from.
    ///
    /// # Errors
    /// As [`LatchFile::kept`] and [`LatchFile::write`]. Nothing was written then.
    pub fn restore(&self, version: &Version, options: &WriteOptions<'_>) -> Result<Written> {
        let entry = self.entry()?;
        let (bytes, opened) = self.whole(&entry, version)?;
        let mut options = options.clone();
        if options.expect == Expect::Any && options.strategy.is_none() && entry.policy.strategy == Strategy::Merge {
            options.strategy = Some(Strategy::FailFast);
        }
        let written = self.write_like(&bytes, &options, Some(&Arc::new(opened.current)))?;
        if let Some(trail) = entry.trail() {
            trail.restored(version, options.session.as_deref());
            trail.flush();
        }
        Ok(written)
    }

    /// Removes kept versions beyond these limits, now. The newest goes only when the limits allow no version at all.
    pub fn prune(&self, limits: &KeepLimits) -> Result<Pruned> {
        let entry = self.entry()?;
        let history = history(self, &entry)?;
        let pruned = history.prune(entry.parts(), limits);
        let pruned = pruned.map_err(|e| Error::io("remove kept versions in", history.path(), e))?;
        if let Some(trail) = entry.trail() {
            trail.pruned(&pruned);
            trail.flush();
        }
        Ok(pruned)
    }

    fn whole(&self, entry: &Entry, version: &Version) -> Result<(Vec<u8>, Box<Opened>)> {
        let history = history(self, entry)?;
        match history.find(entry.parts(), version, entry.read_limit) {
            Ok(Found::Whole(bytes, opened)) => Ok((bytes, opened)),
            Ok(Found::Damaged(kept)) => {
                Err(Error::DamagedVersion { path: self.path().to_owned(), version: *version, kept })
            }
            Ok(Found::Nothing) => {
                Err(Error::NoSuchVersion { path: self.path().to_owned(), wanted: version.to_string() })
            }
            Err(e) if e.kind() == std::io::ErrorKind::FileTooLarge => {
                Err(Error::TooLarge { path: history.path(), limit: entry.read_limit })
            }
            Err(e) => Err(unlisted(history, e)),
        }
    }
}

impl KeptVersion {
    fn of(opened: &Opened) -> KeptVersion {
        let Opened { version, current, author, at, .. } = opened;
        let generation = current.attribution.as_ref().map(|own| own.generation);
        KeptVersion { version: *version, size: current.stat.size, by: author.clone(), at: *at, generation }
    }
}

fn history<'a>(file: &LatchFile, entry: &'a Entry) -> Result<&'a History> {
    entry
        .history()
        .ok_or_else(|| Error::NoWorkspace { path: file.path().to_owned(), without: "no versions of it are kept" })
}

fn unlisted(history: &History, e: std::io::Error) -> Error {
    Error::io("read the kept versions in", history.path(), e)
}
