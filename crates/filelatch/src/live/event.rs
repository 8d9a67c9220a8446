//! What a live document tells, and what it is asked.

use std::sync::Arc;
use std::time::SystemTime;

use crate::error::Error;
use crate::merge::Merged;
use crate::version::Version;
use crate::watch::Origin;
use crate::write_path::Outcome;

/// How a live document stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LiveState {
    /// There is no draft: the text is that of the disk, or, where there is no file, empty.
    Clean,
    /// There is a draft, made on what the disk has.
    Draft,
    /// The disk has a version that does not fit together with the draft ([`Live::conflict`](crate::live::Live::conflict)).
    Conflict,
    /// The file was removed. The text is kept.
    Gone,
    /// The file can't be read: no permission, no file any more, too large. The text is kept.
    Unreadable,
}

/// Something happened to a live document.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LiveEvent {
    /// What.
    pub what: LiveChange,
    /// The version that the disk has; `None`: there is no file, or it can't be read.
    pub version: Option<Version>,
    /// Whose doing it is.
    pub by: Origin,
    /// When that version was written; of what is gone or can't be read, when it was noticed.
    pub at: SystemTime,
}

/// What happened to a live document.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LiveChange {
    /// There was no draft; the text is that of the disk now.
    Reloaded,
    /// The disk's changes were merged into the draft: the text is another, and still to be saved.
    /// [`Live::before_merge`](crate::live::Live::before_merge) has the draft as it was.
    Merged,
    /// The disk has all that the draft had: there is no draft any more.
    Agreed,
    /// The disk has a version that does not fit together with the draft. Told again when that version becomes another.
    Conflict {
        /// Places that don't fit; 0 if it would all fit together, and the last merge was taken back.
        places: usize,
    },
    /// The conflict is over: the disk has again what the draft was made from.
    Settled,
    /// The file was removed.
    Gone,
    /// The file is back, or readable again, with the content that it had.
    Back,
    /// The file can't be read.
    Unreadable(Arc<Error>),
    /// The text was saved.
    Saved(Outcome),
}

impl LiveChange {
    /// The word for it: `reloaded`, `merged`, `agreed`, `conflict`, `settled`, `gone`, `back`, `unreadable`, `saved`.
    pub fn word(&self) -> &'static str {
        match self {
            LiveChange::Reloaded => "reloaded",
            LiveChange::Merged => "merged",
            LiveChange::Agreed => "agreed",
            LiveChange::Conflict { .. } => "conflict",
            LiveChange::Settled => "settled",
            LiveChange::Gone => "gone",
            LiveChange::Back => "back",
            LiveChange::Unreadable(_) => "unreadable",
            LiveChange::Saved(_) => "saved",
        }
    }
}

/// What a draft and the disk do not agree on.
#[derive(Clone, Copy, Debug)]
pub struct LiveConflict<'a> {
    pub(super) base: Option<&'a [u8]>,
    pub(super) draft: &'a [u8],
    pub(super) theirs: &'a [u8],
    pub(super) version: Version,
    pub(super) by: &'a Origin,
    pub(super) at: SystemTime,
    pub(super) merged: &'a Merged,
}

impl<'a> LiveConflict<'a> {
    /// What the draft was made from; `None`: there was no file.
    pub fn base(&self) -> Option<&'a [u8]> {
        self.base
    }

    /// The draft: ours.
    pub fn draft(&self) -> &'a [u8] {
        self.draft
    }

    /// What the disk has.
    pub fn theirs(&self) -> &'a [u8] {
        self.theirs
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Who wrote it.
    pub fn by(&self) -> &'a Origin {
        self.by
    }

    /// When it was written.
    pub fn at(&self) -> SystemTime {
        self.at
    }

    /// Both brought together as far as possible.
    pub fn merged(&self) -> &'a Merged {
        self.merged
    }
}

/// Why there is nothing that could be settled so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotResolved {
    /// The document is not in conflict, and its file is not gone.
    #[error("there is no conflict to be settled")]
    NoConflict,
    /// The merge has places that somebody must decide about.
    #[error("{0} places of the merged text are not settled")]
    Places(usize),
}
