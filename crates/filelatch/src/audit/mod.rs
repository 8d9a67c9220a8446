//! The audit log: what happened to the files of a workspace, in a chain that shows when somebody has changed it (KEEP-2, P15).
//!
//! # Promise
//! - Each publish through filelatch in a workspace has one record: which file, who, when, the versions before and after. So have locks that
//!   were waited for, taken over or not had, leases, foreign changes that were found, conflicts and their resolutions, restores, and what
//!   was removed by policy.
//! - Records are chained: whoever edits, removes, adds or reorders some of them and does not write the whole rest of the chain anew is
//!   found, and the record is named. Whoever does that, or cuts the end off, is found by an anchor that was kept elsewhere
//!   ([`Audit::head`]), or by a key that he has not got.
//! - A record is no content and no secret: names, hashes, times.
//!
//! # Non-promise
//! - Who may write the folder can remove it. A log is evidence, not a fence.
//! - Records are written after the lock of their file is released, and not synced: a process killed in between, or a power cut, may leave a
//!   publish without a record. [`Audit::verify`] names it where the file system carries attributions.
//! - What programs that are not filelatch do is seen only when filelatch comes upon it.
//!
//! # Order of operations
//! Publish → lock released → records queued (`log`) → under the log's own lock, at the end of the newest file, one write → answer.

mod append;
mod key;
pub(crate) mod limits;
pub(crate) mod line;
pub(crate) mod log;
#[cfg(feature = "store")]
pub(crate) mod place;
mod read;
pub(crate) mod record;
mod scan;
#[cfg(test)]
mod tamper_tests;
pub(crate) mod trail;
mod unrecorded;
mod verify;

/// The log's own folder, relative to the workspace's. What is changed there is not recorded.
pub(crate) fn own_folder() -> std::path::PathBuf {
    std::path::Path::new(crate::workspace::WORKSPACE_DIR).join(log::AUDIT)
}

pub use limits::{AuditLocks, AuditPolicy};
pub use read::{Audit, AuditFilter, AuditRecords, AuditTail};
pub use record::AuditRecord;
pub use verify::{Anchor, Problem, ProblemKind, Verified, VerifyOptions};
