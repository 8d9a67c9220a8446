//! What is to be written to several files, and what became of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::lock::LockOptions;
use crate::snapshot::Content;
use crate::version::{Expect, Version};
use crate::write::{Durability, Notice};

/// What [`Filelatch::apply_many`](crate::Filelatch::apply_many) is to do with one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    pub(super) path: PathBuf,
    /// `None`: the file goes.
    pub(super) new: Option<Vec<u8>>,
    pub(super) expect: Expect,
}

impl FileChange {
    /// The file gets this content; it is created if it does not exist, its directory must.
    pub fn write(path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> FileChange {
        FileChange { path: path.into(), new: Some(bytes.into()), expect: Expect::Any }
    }

    /// The file is removed. One that does not exist is left at that, unless a version is expected.
    pub fn remove(path: impl Into<PathBuf>) -> FileChange {
        FileChange { path: path.into(), new: None, expect: Expect::Any }
    }

    /// What must be there, or nothing is written to any of the files.
    #[must_use]
    pub fn expect(mut self, expect: Expect) -> FileChange {
        self.expect = expect;
        self
    }

    /// The file, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Options of a write of several files.
#[derive(Clone, Debug, Default)]
pub struct ManyOptions<'a> {
    /// What the write has survived when it returns, if no more than one file has to be changed; else the file's policy's. A write of
    /// several is always [`Durability::Full`]: what completes it after a power cut depends on that.
    pub durability: Option<Durability>,
    /// How to wait for the locks, all together; else as the policies say.
    pub lock: LockOptions<'a>,
    /// Who writes; else the engine's session.
    pub session: Option<Arc<str>>,
    /// Which files, by their place in the call, are written under a lease of this number.
    pub leases: Vec<(usize, u64)>,
}

impl<'a> ManyOptions<'a> {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a write of one file has survived when it returns.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// How to wait for the locks.
    #[must_use]
    pub fn lock(mut self, lock: LockOptions<'a>) -> Self {
        self.lock = lock;
        self
    }

    /// The file at this place in the call is written under the lease of this number, as through
    /// [`LatchFile::lock_under`](crate::LatchFile::lock_under). If that is over, nothing is written ([`Error::LeaseLost`](crate::Error::LeaseLost)).
    #[must_use]
    pub fn under(mut self, file: usize, token: u64) -> Self {
        self.leases.push((file, token));
        self
    }

    /// Who writes, for a program that writes for others, as [`WriteOptions::session`](crate::WriteOptions::session).
    #[must_use]
    pub fn session(mut self, name: impl Into<Arc<str>>) -> Self {
        self.session = Some(name.into());
        self
    }
}

/// One of the files that a closure of [`Filelatch::update_many`](crate::Filelatch::update_many) looks at and changes.
#[derive(Debug)]
pub struct FileContent {
    pub(super) path: PathBuf,
    pub(super) before: Option<Arc<Content>>,
    pub(super) after: Option<Arc<Content>>,
}

impl FileContent {
    pub(super) fn new(path: PathBuf, before: Option<Arc<Content>>) -> FileContent {
        FileContent { path, after: before.clone(), before }
    }

    /// The file, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its content, as changed so far; `None`: it does not exist.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.after.as_ref().map(|content| &*content.bytes)
    }

    /// The version that is on disk; `None`: it does not exist. Computed when it is asked for.
    pub fn version(&self) -> Option<Version> {
        self.before.as_ref().map(|content| content.version())
    }

    /// The file is to have this content.
    pub fn write(&mut self, bytes: impl Into<Vec<u8>>) {
        self.after = Some(Content::new(bytes.into()));
    }

    /// The file is to go.
    pub fn remove(&mut self) {
        self.after = None;
    }

    pub(super) fn is_changed(&self) -> bool {
        match (&self.before, &self.after) {
            (None, None) => false,
            (Some(before), Some(after)) => !Arc::ptr_eq(before, after) && before.bytes[..] != after.bytes[..],
            _ => true,
        }
    }
}

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
#[non_exhaustive]
pub enum FileOutcome {
    /// The content is in place.
    Written,
    /// It is gone.
    Removed,
    /// It was like that already.
    Unchanged,
    /// A program that ignores locks changed it after everything had been compared. What it wrote stays.
    Conflict {
        /// The stored conflict, which has the content that was to be written.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// Why it is stored nowhere.
        #[serde(skip_serializing_if = "Option::is_none")]
        not_stored: Option<String>,
    },
}

/// One file of a write of several.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AppliedFile {
    /// As it was given.
    pub path: PathBuf,
    /// What became of it.
    pub outcome: FileOutcome,
    /// The version that is there now: what a later conditional write of the same writer expects. `None`: it does not exist, or there was a
    /// conflict.
    pub version: Option<Version>,
    /// What there is to know besides.
    pub notices: Vec<Notice>,
}

/// What became of a write of several files, in the order in which they were given.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Applied {
    /// One for each file.
    pub files: Vec<AppliedFile>,
    /// The intent, by which the audit log knows what belongs together; `None`: no more than one file had to be changed.
    pub intent: Option<String>,
}

impl Applied {
    /// Some file met a foreign change and was not written.
    pub fn is_partial(&self) -> bool {
        self.conflict().is_some()
    }

    pub(crate) fn hints(&self) -> Vec<String> {
        let hint = |file: &AppliedFile| match &file.outcome {
            FileOutcome::Conflict { id: Some(id), .. } => {
                Some(format!("both versions of `{}` are kept: `filelatch conflicts show {id}`", file.path.display()))
            }
            FileOutcome::Conflict { not_stored, .. } => {
                let why = not_stored.as_deref().unwrap_or("it could not be stored");
                Some(format!("the content that `{}` was to have is kept nowhere: {why}", file.path.display()))
            }
            _ => None,
        };
        self.files.iter().filter_map(hint).collect()
    }

    pub(crate) fn conflict(&self) -> Option<&AppliedFile> {
        self.files.iter().find(|file| matches!(file.outcome, FileOutcome::Conflict { .. }))
    }
}
