//! git for filelatch.
//!
//! - [`Sessions`]: places to work that are isolated in git worktrees, and merged back.
//! - [`Git`]: the runner. Every git is started by it; locks of other gits are waited out.
//! - [`GitHistory`]: former versions of files, for merging.
//!
//! It prints nothing and reads no environment; git itself does.

mod base;
mod contention;
mod error;
mod git;
mod include;
mod list;
mod name;
mod place;
mod reason;
mod record;
mod repo;
mod sessions;
mod start;
mod status;
mod unmerged;

pub use base::GitHistory;
pub use contention::GitLock;
pub use error::{Error, Result};
pub use git::{Git, Told, path_of};
pub use include::Skipped;
pub use list::{Dirty, Session, SessionState};
pub use place::EXCLUDED;
pub use reason::{Inside, Reason};
pub use sessions::Sessions;
pub use start::{StartOptions, Started};
pub use unmerged::{Unmerged, UnmergedFile, UnmergedHunk};
