//! What processes did with files, and whether that can have been right (TEST-2): lost updates, double holders, torn and stale reads.
//!
//! Each process notes its operations with a [`Recorder`]: that one began, what it is about to put in place of what, and how it ended, one
//! line by one write each, so that a SIGKILL loses nothing that was noted before. [`gather`] makes [`Operation`]s of the lines, and
//! [`check`] compares those of all processes with what is on disk at the end.
//!
//! ```
//! use filelatch::{Expect, Filelatch, Version, WriteOptions};
//! use filelatch_testkit::operations::{Action, End, FileState, OpId, Recorder, check, gather};
//! use std::collections::BTreeMap;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let log = dir.path().join("process-1.log");
//! # let file = Filelatch::new().file(dir.path().join("f"))?;
//! // In each process:
//! let recorder = Recorder::to_file(&log)?;
//! let begun = recorder.begin(Action::Change, "create", "f")?;
//! let new = b"unique: process 1, operation 0";
//! begun.attempt(None, Version::of(new))?; // before it can happen
//! let written = file.write(new, &WriteOptions::new().expect(Expect::Absent))?;
//! begun.end(&End::Changed(written.version))?; // after it has happened
//!
//! // In the test, when all have ended:
//! let operations = gather(1, &std::fs::read(&log)?)?;
//! let found = FileState { first: None, last: Some(file.read()?.version()), changes: None };
//! let verified = check(&operations, &BTreeMap::from([("f".to_owned(), found)]))?;
//! assert_eq!(verified.acknowledged, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # What is asked of the caller
//! - Every content that is written is unique: it carries the writer's process and operation number, or the like. Then a version (a hash)
//!   names the one operation that made it. Two operations with the same content are answered as [`ViolationKind::Ambiguous`].
//! - A change notes, before it can become visible, which version it puts in place of which. It may do so several times, when it starts
//!   over.
//! - Notes of a held lock lie inside the time it is held: acquired after, releasing before.
//! - One clock for all processes: [`Recorder`] uses `CLOCK_BOOTTIME` and what is like it.
//!
//! # Why this is a proof for the run at hand
//! A file is a register. Each change names its predecessor, and contents are unique, so the versions of a file form a tree, and
//! what was published is one path of it, from the first version to the one on disk at the end: walked backwards, there is no choice.
//! - A change that was acknowledged is on the path, or it was lost. One without an answer (its process was killed) may be there or not, but
//!   at most once; one that was refused is not there.
//! - A version that was read is on the path. One that nobody made is a mix of several (torn) or somebody else's. One that somebody made
//!   and that is not on the path was visible and then lost.
//! - The path gives each operation a position: a change its own, a read the one it saw, a refusal the one that it was refused for. With the
//!   order of the writes known and all contents unique, the history is linearizable if and only if no operation that ended before
//!   another began has a later position, and no version is read before its writer began (Gibbons & Korach, *Testing shared memories*,
//!   1997: clusters of one write and its reads, ordered). That is stale reads, reads that go backwards, and late writers that a
//!   fence should have stopped, in one comparison.
//! - Locks: the noted times of two holders that exclude each other do not overlap; no change of another process begins and ends within
//!   them; and what a holder sees twice has only been changed by itself.
//! - Where the content itself tells which changes it holds ([`FileState::changes`]), it is compared as well: each acknowledged one
//!   once, those of a process in its order.
//!
//! # What it does not see
//! Two holders for a time in which neither noted anything; changes of a program that keeps no log, except as versions that nobody
//! made; what a power cut would lose.

mod chain;
mod check;
mod holds;
mod order;
mod record;
mod violation;

#[cfg(test)]
mod tests;

pub use check::{FileState, VerifiedOperations, check};
pub use record::{Action, Attempt, Begun, End, Hold, OpId, Operation, ParseLogError, Recorder, gather};
pub use violation::{Violation, ViolationKind, Violations};
