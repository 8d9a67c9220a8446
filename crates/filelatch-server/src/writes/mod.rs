//! Writes that were taken and are made as soon as the lock can be had: for whoever does not want to wait (SERVE-6a, P17).
//!
//! # Promise
//! - A write is durable before it is acknowledged (202), and is made also when the server was killed or the power failed meanwhile: the next
//!   server on this folder goes on with it.
//! - Writes of one file are made in the order in which they were taken.
//! - It is made with the expectation that it came with. If the file is another one by then, it becomes a conflict and nothing is written; what
//!   was to be written stays in its record.
//! - One that was called off before it was made is not made; the call says which it was.
//! - Several servers on one folder make each write once: whoever makes it holds its record.
//!
//! # Non-promise
//! A server that is killed between the write and the note of it finds, when it is started again, that the file has this content, or that it
//! is kept as a version, and notes that. If neither is so (nothing is kept of the file, and others have replaced it since), a write without
//! an expectation is made once more.
//!
//! # Order
//! The record with everything of it is stored → 202 → a lane for each file makes them one after another: lock the record, note that it
//! begins, write the file, note what became of it.

mod lane;
mod record;
mod store;

pub(crate) use lane::Lanes;
pub use record::Done;
pub(crate) use record::{Queued, State as WriteState};
