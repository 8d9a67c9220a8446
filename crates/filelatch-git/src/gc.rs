//! Leftovers: sessions that nobody needs any more, found and removed.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::list::{Session, SessionState};
use crate::remove::{RemoveOptions, Removed};
use crate::sessions::Sessions;

/// Why a session is a leftover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Leftover {
    /// Its start was interrupted, and nobody is at it.
    Incomplete,
    /// Its removal was interrupted, and nobody is at it.
    HalfRemoved,
    /// Its folder is gone.
    FolderGone,
    /// Its base has all that it has, nothing in it is uncommitted, nobody is inside, and nothing was done there for so long.
    Merged,
}

impl Leftover {
    /// A stable word for programs.
    pub fn code(self) -> &'static str {
        match self {
            Leftover::Incomplete => "incomplete",
            Leftover::HalfRemoved => "half-removed",
            Leftover::FolderGone => "folder-gone",
            Leftover::Merged => "merged",
        }
    }
}

/// How to look for leftovers.
#[derive(Clone, Copy, Debug)]
pub struct GcOptions {
    /// Merged sessions are leftovers when nothing was done in them for so long; a week by default. Others are at once.
    pub older_than: Duration,
    /// Remove them, too. What would be lost is kept in refs.
    pub apply: bool,
}

impl Default for GcOptions {
    fn default() -> Self {
        GcOptions { older_than: Duration::from_secs(7 * 86_400), apply: false }
    }
}

/// A leftover.
#[derive(Debug)]
#[non_exhaustive]
pub struct Collected {
    /// As it was found.
    pub session: Session,
    /// Why it is one.
    pub why: Leftover,
    /// What became of it; `None`: it was only looked for.
    pub removed: Option<Result<Removed>>,
}

impl Sessions {
    /// Finds leftovers, and removes them by the rules of [`Sessions::remove`]: one that can't be removed does not keep others from it. Only
    /// sessions that have a record: other worktrees are nobody's business here.
    pub fn gc(&self, options: &GcOptions) -> Result<Vec<Collected>> {
        let mut all = Vec::new();
        for session in self.list()? {
            let Some(why) = self.leftover(&session, options.older_than) else { continue };
            let removed = options.apply.then(|| self.remove(&session.name, &RemoveOptions { rescue: true }));
            if let Some(Err(Error::NoSuchSession { .. } | Error::Busy { .. })) = removed {
                continue;
            }
            all.push(Collected { session, why, removed });
        }
        Ok(all)
    }

    fn leftover(&self, session: &Session, older_than: Duration) -> Option<Leftover> {
        match session.state {
            SessionState::Incomplete => Some(Leftover::Incomplete),
            SessionState::HalfRemoved => Some(Leftover::HalfRemoved),
            SessionState::FolderGone => Some(Leftover::FolderGone),
            SessionState::Ready => {
                let is_clean = session.dirty.is_some_and(|dirty| !dirty.is_dirty());
                // Where the system does not tell who is inside, somebody may be.
                let is_empty = session.inside.as_ref().is_some_and(Vec::is_empty);
                let rests = session.in_progress.is_none() && session.switched_to.is_none();
                let now = self.git().host.now();
                let age = session.active_at.and_then(|time| now.duration_since(time).ok()).unwrap_or_default();
                let is_done = session.merged == Some(true) && is_clean && is_empty && rests && age >= older_than;
                (is_done && session.problem.is_none()).then_some(Leftover::Merged)
            }
            _ => None,
        }
    }
}
