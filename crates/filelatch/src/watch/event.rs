//! What a watch reports.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::SystemTime;

use crate::version::Version;
use crate::write::attribution::short_session;

/// One thing that a [`Watch`](crate::watch::Watch) reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A file changed.
    Change(Change),
    /// The system lost track of changes, or somebody asked for it: everything below `path` was looked at again. The differences that
    /// were found are reported as changes, before this; what changed and changed back meanwhile is not.
    Rescanned {
        /// Comes after all that was reported before, and before all that is reported after.
        cursor: Cursor,
        /// A file or directory that is watched, or the directory of several such files.
        path: PathBuf,
        /// Why.
        cause: RescanCause,
    },
    /// This reader was too slow, or resumed from a cursor that is too old: changes are missing before what comes next. Read again
    /// whatever you keep.
    Reset {
        /// Where reading goes on.
        cursor: Cursor,
    },
}

/// Why everything was looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RescanCause {
    /// The system's queue of events has overflowed, or a watch was lost.
    Overflow,
    /// A watch has begun where another one ended ([`WatchOptions::resume`](crate::watch::WatchOptions::resume)).
    Resumed,
    /// The watched directory, or one above it, was replaced.
    Replaced,
}

impl RescanCause {
    /// The word for it: `overflow`, `resumed`, `replaced`.
    pub fn word(&self) -> &'static str {
        match self {
            RescanCause::Overflow => "overflow",
            RescanCause::Resumed => "resumed",
            RescanCause::Replaced => "replaced",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<RescanCause> {
        [RescanCause::Overflow, RescanCause::Resumed, RescanCause::Replaced]
            .into_iter()
            .find(|cause| cause.word() == word)
    }
}

impl Event {
    /// Where in the order of all that was reported it stands.
    pub fn cursor(&self) -> Cursor {
        match self {
            Event::Change(change) => change.cursor,
            Event::Rescanned { cursor, .. } | Event::Reset { cursor } => *cursor,
        }
    }
}

/// A file that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where in the order of all changes it stands.
    pub cursor: Cursor,
    /// What happened.
    pub kind: ChangeKind,
    /// The file: below the path that was asked for, spelled as that was.
    pub path: PathBuf,
    /// The version that is there now. `None`: there is no file, it is not a regular one, it can't be read, it is larger than
    /// [`WatchOptions::hash_limit`](crate::watch::WatchOptions::hash_limit), or it was changing whenever it was read; then it is reported again
    /// with its version when it has come to rest.
    pub version: Option<Version>,
    /// Its length in bytes.
    pub size: Option<u64>,
    /// Whose change it was.
    pub origin: Origin,
    /// When it was seen.
    pub at: SystemTime,
}

/// What happened to a file, as the sum of all that happened since it was reported last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Created,
    /// Its content is another.
    Modified,
    /// It is gone.
    Deleted,
    /// It has another name now; its content is the same unless [`ChangeKind::Modified`] is reported too.
    Renamed {
        /// Its name before.
        from: PathBuf,
    },
}

/// Whose change it was, by the bytes that are there (L43): never by when they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This engine published these bytes under this name.
    Own,
    /// Another session of filelatch's did, by its attribution. A hint that whoever may write can forge (P6).
    Session(String),
    /// A program that is not filelatch, or the file is gone.
    External,
    /// The file system carries no attributions, and this engine did not do it.
    Unknown,
}

impl Origin {
    /// Is it the session of this name? Attributions carry at most 12 bytes: a longer name is known by a short form where no workspace
    /// resolves it.
    pub fn is_session(&self, name: &str) -> bool {
        matches!(self, Origin::Session(session) if session == name || *session == short_session(name))
    }

    /// The word for the kind of origin: `own`, `session`, `external`, `unknown`.
    pub fn word(&self) -> &'static str {
        match self {
            Origin::Own => "own",
            Origin::Session(_) => "session",
            Origin::External => "external",
            Origin::Unknown => "unknown",
        }
    }
}

impl ChangeKind {
    /// The word for it: `created`, `modified`, `deleted`, `renamed`.
    pub fn word(&self) -> &'static str {
        match self {
            ChangeKind::Created => "created",
            ChangeKind::Modified => "modified",
            ChangeKind::Deleted => "deleted",
            ChangeKind::Renamed { .. } => "renamed",
        }
    }
}

/// A place in the order of changes that one watch, or a chain of watches that resumed each other, has reported. As text
/// `RUN-NUMBER`; to others it means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Which watch: drawn at random when it began.
    pub(crate) run: u64,
    /// How many reports it had made.
    pub(crate) number: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.run, self.number)
    }
}

/// A text that is no cursor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a cursor: 16 hex digits, `-`, a number")]
pub struct ParseCursorError(String);

impl FromStr for Cursor {
    type Err = ParseCursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('-').and_then(|(run, number)| {
            let hex = run.len() == 16 && run.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
            let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            (hex && digits)
                .then(|| Some(Cursor { run: u64::from_str_radix(run, 16).ok()?, number: number.parse().ok()? }))?
        });
        parsed.ok_or_else(|| ParseCursorError(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WATCH-1: a cursor survives being text; what is none is refused.
    #[test]
    fn cursors_as_text() {
        let cursor = Cursor { run: 0x12ab, number: 77 };
        assert_eq!(cursor.to_string(), "00000000000012ab-77");
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in [
            "",
            "-",
            "12ab-77",
            "00000000000012ab-",
            "00000000000012AB-7",
            "00000000000012ab-+7",
            "00000000000012ab--7",
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
