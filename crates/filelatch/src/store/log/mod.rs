//! Append logs: one file of JSON records that many processes add to, each record whole and durable (STORE-8).
//!
//! # Promise
//! - A record that was acknowledged is there after every kill and, unless less was asked for, every power cut; one that was not is there
//!   whole or not at all.
//! - Records of one writer stand in the order in which it appended them; a record never stands within another.
//! - One sync serves all who wait for one, threads and processes.
//! - What is not as it was written is an error that names the place, or was never acknowledged; intact records are never passed over.
//!
//! # Non-promise
//! - Lines that are taken out or doubled as a whole, or whose sums were made anew, are not noticed: this is no audit log.
//! - Programs that write to the file without appending whole lines are found out, not kept out.
//!
//! # The files
//! `FILE`: the records (`line`, `segment`); `FILE.snapshot`: what a compaction has left of those before (`snapshot`). `.FILE.lock`: the ordinary lock, shared by appenders, exclusive for deciding, repairing and
//! compacting. `.FILE.sync`: how much is durable (`mark`). Beside them, if there was a reason: `FILE.torn-<n>`, `FILE.failed-<n>`.

pub(crate) mod compact;
pub(crate) mod core;
mod handle;
pub(crate) mod journal;
mod keyed;
mod line;
mod mark;
mod read;
mod reader;
mod renew;
mod repair;
mod scan;
mod segment;
mod snapshot;
mod sync;
mod verify;
pub(crate) mod wait;

pub use compact::Compacted;
pub use handle::{Log, LogOptions, Triggers};
pub use keyed::Keyed;
pub use read::{Follow, LogRecord, Records};
pub use verify::{LogProblem, RepairedLog, VerifiedLog};

/// What a snapshot's name has behind the log's.
const SNAPSHOT: &str = ".snapshot";

#[cfg(test)]
mod tests;
