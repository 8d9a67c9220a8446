//! git for filelatch.
//!
//! - [`Sessions`]: places to work that are isolated in git worktrees, and merged back.
//! - [`Git`]: the runner. Every git is started by it; locks of other gits are waited out.
//! - [`GitHistory`]: former versions of files, for merging.
//!
//! It prints nothing and reads no environment; git itself does.

mod base;
mod changes;
mod contention;
mod durable;
mod error;
mod exclude;
mod gc;
mod git;
mod include;
mod list;
mod merge;
mod name;
mod place;
mod reason;
mod record;
mod remove;
mod repo;
mod rescue;
mod sessions;
mod start;
mod status;
mod unmerged;

pub use base::GitHistory;
pub use changes::{ChangedFile, ChangesOptions, CommittedChanges, FileFate};
pub use contention::GitLock;
pub use error::{Error, Result};
pub use exclude::exclude;
pub use gc::{Collected, GcOptions, Leftover};
pub use git::{Git, Told, path_of};
pub use include::Skipped;
pub use list::{Dirty, Session, SessionState};
pub use merge::{MergeOptions, MergeOutcome, MergedSession};
pub use reason::{Inside, Reason};
pub use remove::{RemoveOptions, Removed};
pub use rescue::Rescue;
pub use sessions::Sessions;
pub use start::{StartOptions, Started};
pub use unmerged::{Unmerged, UnmergedFile, UnmergedHunk};
