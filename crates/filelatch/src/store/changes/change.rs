//! One change of one file, and how it is written down.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::conflict::{exact, path_of};
use crate::parts::{parse_rfc3339, rfc3339};

/// What became of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ChangeKind {
    /// It had not been there.
    Created,
    /// It has another content.
    Changed,
    /// It is not there any more.
    Deleted,
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ChangeKind::Created => "created",
            ChangeKind::Changed => "changed",
            ChangeKind::Deleted => "deleted",
        })
    }
}

/// How the index knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeSource {
    /// The audit log has a record of it, with this number.
    Publish {
        /// The record's number.
        record: u64,
    },
    /// A session in a git worktree has it in a commit.
    Git,
    /// A session in a git worktree has it, not committed. Such changes are told, not stored.
    Worktree,
}

impl ChangeSource {
    /// A stable word for programs.
    pub fn code(self) -> &'static str {
        match self {
            ChangeSource::Publish { .. } => "publish",
            ChangeSource::Git => "git",
            ChangeSource::Worktree => "worktree",
        }
    }
}

/// One change of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The file, relative to the workspace's folder.
    pub path: PathBuf,
    /// The session that did it, as its writer was called, or as its git worktree is; empty where nobody has said.
    pub by: String,
    /// When, by the clock of who did it. Of several commits of one session: the last that changed the file.
    pub at: SystemTime,
    /// What became of the file.
    pub kind: ChangeKind,
    /// The version before, if it is known: as in the audit log 64 digits, or 16 where nobody has compared the bytes; of git `git:` and the
    /// id of the blob.
    pub before: Option<String>,
    /// The version after it, in the same form.
    pub after: Option<String>,
    /// How the index knows of it.
    pub source: ChangeSource,
    /// The first digits of the audit record's chain value: with its number it is the identity of the change.
    pub(crate) mark: Option<u64>,
}

impl Change {
    /// One that git tells of.
    pub fn of_git(path: impl Into<PathBuf>, by: impl Into<String>, at: SystemTime, kind: ChangeKind) -> Change {
        let (path, by) = (path.into(), by.into());
        Change { path, by, at, kind, before: None, after: None, source: ChangeSource::Git, mark: None }
    }

    /// With the versions before and after.
    #[must_use]
    pub fn versions(mut self, before: Option<String>, after: Option<String>) -> Change {
        (self.before, self.after) = (before, after);
        self
    }

    /// That is not committed.
    #[must_use]
    pub fn uncommitted(mut self) -> Change {
        self.source = ChangeSource::Worktree;
        self
    }

    /// All of it.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "path": self.path.to_string_lossy(),
            "by": self.by,
            "at": rfc3339(self.at),
            "kind": self.kind,
            "before": self.before,
            "after": self.after,
            "source": self.source.code(),
            "record": match self.source {
                ChangeSource::Publish { record } => Some(record),
                _ => None,
            },
        })
    }
}

/// A change as it stands in the index.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Written<'a> {
    #[serde(borrow)]
    pub(super) path: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    bytes: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) at: Cow<'a, str>,
    kind: ChangeKind,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    pub(super) by: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    before: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    after: Option<Cow<'a, str>>,
    /// Of the audit log: the record's number, and 16 digits of its chain value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) n: Option<u64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    mark: Option<Cow<'a, str>>,
}

impl<'a> Written<'a> {
    pub(super) fn of(change: &'a Change) -> Written<'a> {
        let path = change.path.to_string_lossy();
        Written {
            path: if cfg!(windows) { path.replace('\\', "/").into() } else { path },
            bytes: exact(&change.path).map(Cow::Owned),
            at: rfc3339(change.at).into(),
            kind: change.kind,
            by: Cow::Borrowed(&change.by),
            before: change.before.as_deref().map(Cow::Borrowed),
            after: change.after.as_deref().map(Cow::Borrowed),
            n: match change.source {
                ChangeSource::Publish { record } => Some(record),
                _ => None,
            },
            mark: change.mark.map(|mark| format!("{mark:016x}").into()),
        }
    }

    pub(super) fn path(&self) -> Option<PathBuf> {
        path_of(&self.path, self.bytes.as_deref())
    }

    pub(super) fn at(&self) -> Option<SystemTime> {
        parse_rfc3339(&self.at)
    }

    /// Number and mark of the audit record.
    pub(super) fn identity(&self) -> Option<(u64, u64)> {
        Some((self.n?, u64::from_str_radix(self.mark.as_deref()?, 16).ok()?))
    }

    /// `None`: it is not what is written here.
    pub(super) fn change(&self) -> Option<Change> {
        Some(Change {
            path: self.path()?,
            by: self.by.clone().into_owned(),
            at: self.at()?,
            kind: self.kind,
            before: self.before.as_deref().map(str::to_owned),
            after: self.after.as_deref().map(str::to_owned),
            source: self.n.map_or(ChangeSource::Git, |record| ChangeSource::Publish { record }),
            mark: self.identity().map(|(_, mark)| mark),
        })
    }
}
