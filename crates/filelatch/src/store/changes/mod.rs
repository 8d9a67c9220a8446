//! The index of changed files: which files a session has changed, and who has changed a file since when (STORE-5).
//!
//! `.filelatch/stores/changes.jsonl` is a [log](super::log) whose records say what changed, and how far their source is taken in with them. Sources
//! are the audit log (what was published through filelatch) and git (what a session has committed), which the caller asks: the library
//! starts no programs.
//!
//! # Promise
//! - An answer reads the index, and no source.
//! - What was taken in is there once, whoever takes it in at the same time, and durable. A change of the audit log is missing only when the log was
//!   removed by its policy before it was taken in, and then that is told.
//! - Changes stay when the files of the audit log that had them, or the session, are removed.
//! - [`Changes::rebuild`] makes of the sources what taking in bit by bit has made, and takes over what they have not any more. The old index is there
//!   until the new one is, whole and durable.
//! - A damaged index is an error with its place, and is not written to; [`Changes::rebuild`] is the way out.
//!
//! # Non-promise
//! - It knows what its sources know: what other programs write and nobody commits is not in it.
//! - Times are by the clocks of those who made the changes.
//! - It is no evidence: nothing in it is chained. That is the audit log.
//!
//! # Invariants
//! - A record goes on from the place that the index is at, or does not count (`record`).
//! - The place in the audit log is a record's number and chain value. While the log has that record it is the same up to there. If it has it not, it
//!   has lost its end or was begun anew: taking in goes on behind the last change that both have, or from the beginning.

mod change;
mod feed;
mod filter;
mod index;
mod rebuild;
mod record;
mod state;

pub use change::{Change, ChangeKind, ChangeSource};
pub use filter::ChangeFilter;
pub use index::{Changes, SessionChanges, SessionTaken, Updated};
pub use rebuild::{CompactOptions, Compacted, Rebuilt};
