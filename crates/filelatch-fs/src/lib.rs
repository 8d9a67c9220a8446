//! The seam below filelatch: everything that asks the operating system for something.
//!
//! # Promise
//! Two traits, [`Fs`] and [`Host`], are the only way in which filelatch touches files, locks, clocks and process facts.
//! Each verb means something after a crash (it is durable, or it is not) and can be made to fail, so a simulated pair
//! (module `sim`, feature `sim`) can cut the power before any of them and reopen every disk that could be left.
//!
//! # Non-promise
//! No policy lives here: no retries (except `EINTR`, and virus scanners in the way on Windows), no waiting with a timeout, no
//! choice of names. The seam does not know what a lock file or a version is.
//!
//! # Layout
//! - [`fs`](mod@fs): the traits of the file system, [`types`]: what they speak about.
//! - [`events`]: what the system tells of changes.
//! - [`host`]: clock, process facts, parking of threads.
//! - [`real`]: the operating systems; all unsafe code of the project is in one file there for each of them.
//! - `sim` (feature `sim`): the simulated file system and host; every disk that a power cut can leave.

pub mod events;
pub mod fs;
pub mod host;
pub mod real;
#[cfg(feature = "sim")]
pub mod sim;
pub mod types;

pub use events::{Events, Happened, Hint, Tell};
pub use fs::{Fs, FsDir, FsFile};
pub use host::{Host, ProcessFacts, ProcessIn};
pub use real::{RealFs, RealHost};
pub use types::{
    Access, Appended, Caps, FileId, FileKind, FsKind, LockEntry, LockKind, LockTable, Mount, RangeKind, Stat,
    Timestamp, WriterProbe,
};
