//! Many writers, one file, nothing lost.
//!
//! Threads, processes, command lines, daemons and agents change the same files. This crate gives them locks that the kernel releases,
//! replacement that is atomic and durable, versions that find every change, and edits that keep the comments. It prints nothing, reads no
//! environment and knows no home directory: faces such as the `filelatch` command build on it.
//!
//! # A tour
//!
//! An engine, and a handle on one file. The file need not exist; its directory must.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("state.json");
//! use filelatch::{Filelatch, WriteOptions};
//!
//! let latch = Filelatch::new();
//! let state = latch.file(&path)?;
//! state.write(b"{\n  \"count\": 1 // of runs\n}\n", &WriteOptions::new())?;
//! # Ok(())
//! # }
//! ```
//!
//! **Change it.** The change is applied to the newest content, under the lock, and the call returns when it is on disk. Sixteen threads
//! that do this at once share locks and fsyncs; other processes take their turns. Nothing but the changed node changes.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use filelatch::{Filelatch, WriteOptions};
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("state.json");
//! # std::fs::write(&path, "{\n  \"count\": 1 // of runs\n}\n")?;
//! # let state = Filelatch::new().file(&path)?;
//! state.update_document(&WriteOptions::new(), |document| {
//!     let count = document.get("/count")?.and_then(|count| count.as_u64()).unwrap_or(0);
//!     document.set("/count", (count + 1).into())?;
//!     Ok::<_, Box<dyn std::error::Error>>(())
//! })?;
//! assert_eq!(state.read()?.bytes(), b"{\n  \"count\": 2 // of runs\n}\n");
//! # Ok(())
//! # }
//! ```
//!
//! [`LatchFile::update`] does the same with a type of your own, [`LatchFile::update_value`] with a dynamic value,
//! [`LatchFile::update_bytes`] with bytes.
//!
//! **Replace it, if it is still what you read.** A version is the hash of the bytes; the comparison is with the disk, under the lock, so
//! an editor's save counts as well as another agent's write.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use filelatch::{Filelatch, WriteOptions};
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("notes.md");
//! # let notes = Filelatch::new().file(&path)?;
//! use filelatch::{Error, Expect};
//!
//! notes.write(b"one\n", &WriteOptions::new().expect(Expect::Absent))?;
//! let seen = notes.read()?;
//! std::fs::write(&path, "one\ntwo, by a program that knows nothing of locks\n")?;
//! let refused = notes.write(b"three\n", &WriteOptions::new().expect(Expect::Version(seen.version())));
//! assert!(matches!(refused, Err(Error::Conflict(_))));
//! # Ok(())
//! # }
//! ```
//!
//! **Hold it.** A guard excludes everybody who asks, in any process, until it is dropped or its process dies. [`Filelatch::lock_all`] takes
//! several files in one order; a circle of waiting owners is found and named.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use filelatch::Filelatch;
//! # let dir = tempfile::tempdir()?;
//! # let file = Filelatch::new().file(dir.path().join("state.json"))?;
//! use filelatch::{LockOptions, Wait, WriteOptions};
//! use std::time::Duration;
//!
//! let guard = file.lock(&LockOptions::new().wait(Wait::For(Duration::from_secs(5))))?;
//! guard.write(b"{}\n", &WriteOptions::new())?;
//! drop(guard);
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised, and where
//!
//! | | |
//! |---|---|
//! | locks, waiting, fairness, deadlocks | [`lock`] |
//! | leases: locks that can be lost, and writes that are then refused | [`lease`] |
//! | atomicity, durability, what is carried over, foreign writers | [`mod@write`] |
//! | several files as one | [`many`] |
//! | documents: what an edit keeps | [`doc`] |
//! | documents with a draft, that follow the disk (feature `watch`) | `live` |
//! | tasks instead of threads (feature `tokio`) | `tokio` |
//! | hearing of changes (feature `watch`) | `watch` |
//! | ready-made stores: repository, log, queue, tokens, credentials (feature `store`) | `store` |
//! | policies for the files of a project | [`Policy`] |
//! | errors: code, path, hints | [`Error`] |
//!
//! Everything below the engine is injected ([`Filelatch::builder`]): a simulated file system and machine, with power cuts and I/O errors,
//! take the place of the real ones in the tests of this crate and in yours (`filelatch-testkit`).

mod attribute;
pub mod audit;
mod bytes;
pub mod conflict;
pub mod diff;
pub mod doc;
pub mod doctor;
mod engine;
mod entry;
mod error;
mod file;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod guard;
pub mod keep;
pub mod lease;
#[cfg(feature = "watch")]
pub mod live;
pub mod lock;
pub mod many;
pub mod merge;
mod merge_path;
mod named;
mod parts;
mod path;
mod policy;
mod privacy;
mod record_guard;
mod root;
pub mod show;
mod snapshot;
#[cfg(feature = "store")]
pub mod store;
#[cfg(feature = "tokio")]
pub mod tokio;
mod update;
mod version;
#[cfg(feature = "watch")]
pub mod watch;
mod workspace;
pub mod write;
mod write_path;
mod writer;

pub use attribute::Attributed;
pub use conflict::{BaseSource, Conflicts, Resolution, StoredConflict};
pub use engine::{Builder, Filelatch, Inherited};
pub use error::{Conflict, Error, Result, Unmerged};
pub use file::{LatchFile, WriteOptions};
pub use guard::{Guard, SharedGuard, Validity};
pub use keep::{Keep, KeepLimits, KeptVersion, Pruned};
pub use lease::{InheritedLease, Lease, LeaseOptions, LeaseState, Leases};
pub use lock::holder::LockState;
pub use lock::{
    CancelToken, HeldLock, Holder, IfUnavailable, LockKind, LockMode, LockOptions, LockScope, LockService, Recovered,
    Wait, Waiting,
};
pub use many::{Applied, AppliedFile, FileChange, FileContent, ManyOptions};
pub use named::NamedDocument;
pub use path::{LockFileName, ResourceId};
pub use policy::{Period, Policy, Strategy};
pub use record_guard::RecordGuard;
pub use root::{Hidden, ListedFile, Listing, LockedFile, Root};
pub use snapshot::Snapshot;
pub use version::{Expect, ParseVersionError, Version};
pub use workspace::{Initialized, WORKSPACE_DIR};
pub use write::{Author, Durability, HardLinks, Leftover, Notice};
pub use write_path::{Outcome, Written};
pub use writer::{CommitError, FileWriter};
