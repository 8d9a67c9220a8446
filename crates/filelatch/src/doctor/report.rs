//! What the doctor says: values, serialisable, in plain words. Faces only lay them out.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::error::plain;

/// What was found out about a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Report {
    /// The directory, as it was asked for.
    #[serde(serialize_with = "lossy")]
    pub dir: PathBuf,
    /// All facts in one word, and what to do about it.
    pub overall: Overall,
    /// What this mount guarantees, one by one.
    pub facts: Vec<Fact>,
    /// What was found in the directory and below.
    pub findings: Vec<Finding>,
    /// Directory entries that were looked at.
    pub entries: usize,
    /// What was not looked at, and why: sentences.
    pub skipped: Vec<String>,
}

impl Report {
    /// Nothing is wrong, or nothing any more: no probe failed, locks exclude (or the policy is the fallback lock), no problem is left.
    pub fn is_healthy(&self) -> bool {
        (self.overall.level != Level::FileLock || self.overall.settled)
            && !self.facts.iter().any(|fact| fact.error.is_some())
            && !self.findings.iter().any(Finding::is_open)
    }

    /// The fact of this name.
    pub fn fact(&self, name: &str) -> Option<&Fact> {
        self.facts.iter().find(|fact| fact.name == name)
    }
}

/// How much of what filelatch promises holds on this mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Level {
    /// All of it.
    Strict,
    /// All but what is named.
    Limited,
    /// The system's locks exclude nobody, or only some: every participant must use the fallback lock (P4).
    FileLock,
    /// Nothing could be tried.
    Unknown,
}

/// The level, the reasons for it, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Overall {
    /// The level.
    pub level: Level,
    /// Why it is not strict: sentences.
    pub why: Vec<String>,
    /// What to do.
    pub advice: Option<String>,
    /// The policy of the directory does so already.
    pub settled: bool,
}

/// How a guarantee is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As filelatch wants it.
    Good,
    /// Partly, or under conditions.
    Limited,
    /// Not at all.
    Missing,
    /// Could not be found out.
    Unknown,
}

/// One guarantee of a mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Fact {
    /// A stable word: `lock-processes`, `exchange`…
    pub name: &'static str,
    /// How it is kept.
    pub verdict: Verdict,
    /// What was named or measured: `ext4`, `10 ms`.
    pub value: Option<String>,
    /// What it means for files kept with filelatch: one sentence.
    pub meaning: String,
    /// A promise is weaker for it.
    pub weakens: bool,
    /// Why it could not be found out, if the probe failed.
    pub error: Option<String>,
}

impl Fact {
    pub(super) fn new(name: &'static str, verdict: Verdict, meaning: impl Into<String>) -> Fact {
        Fact { name, verdict, value: None, meaning: meaning.into(), weakens: false, error: None }
    }

    pub(super) fn good(name: &'static str, meaning: &str) -> Fact {
        Fact::new(name, Verdict::Good, meaning)
    }

    pub(super) fn missing(name: &'static str, meaning: impl Into<String>) -> Fact {
        Fact { weakens: true, ..Fact::new(name, Verdict::Missing, meaning) }
    }

    pub(super) fn limited(name: &'static str, meaning: impl Into<String>) -> Fact {
        Fact { weakens: true, ..Fact::new(name, Verdict::Limited, meaning) }
    }

    pub(super) fn failed(name: &'static str, error: &io::Error) -> Fact {
        let error = Some(plain(error));
        Fact { error, ..Fact::new(name, Verdict::Unknown, "the probe failed, so nothing is known about it") }
    }

    #[must_use]
    pub(super) fn value(mut self, value: impl Into<String>) -> Fact {
        self.value = Some(value.into());
        self
    }

    /// It is worth knowing, but no promise depends on it.
    #[must_use]
    pub(super) fn harmless(mut self) -> Fact {
        self.weakens = false;
        self
    }
}

/// What kind of thing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// A lock that is held.
    Held,
    /// A lock file that another program made: locked, never written or removed.
    ForeignLockFile,
    /// A lock file of filelatch's whose data file is gone.
    OrphanedLockFile,
    /// A lock file that keeps out who should get in, or lets in who should not.
    LockFileMode,
    /// Something in the place of a lock file that can't be one.
    BadLockFile,
    /// The record of a newer filelatch.
    NewerRecord,
    /// A write in place, or of several files, that was interrupted.
    UnfinishedWrite,
    /// A temporary file.
    Leftover,
    /// A version that another program wrote, or may have written, kept under a temporary name.
    KeptVersion,
    /// A kept version whose bytes were changed since.
    DamagedVersion,
    /// More kept versions than the policy allows.
    KeptVersions,
    /// A fallback lock (P4).
    FallbackLock,
    /// A lease file (P11).
    Lease,
    /// What an interrupted doctor left.
    Scratch,
    /// A workspace that is not obeyed, or a configuration that can't be.
    Workspace,
    /// Something that could not be looked at.
    Unreadable,
}

/// What `fix` does about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fix {
    /// Removes it.
    Remove,
    /// Completes the interrupted write.
    Complete,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result", content = "why")]
pub enum Outcome {
    /// Done.
    Done,
    /// Left as it was, with the reason.
    Left(String),
}

/// Something in the directory that a person may want to know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Finding {
    /// Where.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// What kind of thing it is.
    pub kind: Kind,
    /// Something should be done about it; otherwise it is only good to know.
    pub problem: bool,
    /// What it is, and how that is known: one sentence.
    pub what: String,
    /// What a fix does about it.
    pub fix: Option<Fix>,
    /// What a person can do about it.
    pub advice: Option<String>,
    /// What the fix did; absent if none was asked for or none is known.
    pub outcome: Option<Outcome>,
}

impl Finding {
    pub(super) fn note(path: PathBuf, kind: Kind, what: impl Into<String>) -> Finding {
        Finding { path, kind, problem: false, what: what.into(), fix: None, advice: None, outcome: None }
    }

    pub(super) fn fixable(path: PathBuf, kind: Kind, what: impl Into<String>, fix: Fix) -> Finding {
        Finding { problem: true, fix: Some(fix), ..Finding::note(path, kind, what) }
    }

    pub(super) fn problem(path: PathBuf, kind: Kind, what: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { problem: true, advice: Some(advice.into()), ..Finding::note(path, kind, what) }
    }

    /// A problem that is still there.
    pub fn is_open(&self) -> bool {
        self.problem && self.outcome != Some(Outcome::Done)
    }
}

/// Names that are not text are shown with replacement characters.
fn lossy<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}
