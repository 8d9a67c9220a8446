//! Typed records in a file, or in files of their own (STORE-1, STORE-7).
//!
//! # Promise
//! - Each change is made to the newest version, under the lock; none is lost, whatever the number of threads and processes. What was
//!   acknowledged is there after a kill and, unless less was asked for, after a power cut.
//! - [`Repository::modify`] changes any number of records in one step: all of it, or nothing.
//! - A change touches the bytes of the changed records only: comments, order and formatting of the others stay, and so do fields that the
//!   program's type does not know.
//! - What can't be read as a record is an error that names file, line and id. It is not written over; only [`Repository::delete`] removes it.
//! - A file that a newer program has written is refused.
//!
//! # Non-promise
//! - Readers take no lock: a record that was read may be old at once. [`Repository::update`] reads and changes in one step.
//! - The version in the header is believed: a program that writes records of another form under the same version is not found out.
//!
//! # Invariants
//! - A collection is an object `{"version": N, "records": {ID: RECORD}}`, its keys in any order, further keys left alone; without a header
//!   it is `{ID: RECORD}`. Where one of these is missing it is damaged, not empty.
//! - All records of a file are of the version in its header: who migrates one migrates all.

mod collection;
mod directory;
mod ground;
mod handle;
mod id;
mod options;
mod record_lock;
mod transaction;

pub use handle::{Repository, Survey};
pub use options::{Layout, RepositoryOptions};
pub use record_lock::RecordLock;
pub use transaction::{Record, Transaction};
