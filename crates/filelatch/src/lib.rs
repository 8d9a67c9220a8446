//! Many writers, one file, nothing lost.

pub mod doc;
mod engine;
mod entry;
mod error;
mod file;
mod guard;
pub mod lock;
mod parts;
mod path;
mod policy;
mod snapshot;
#[cfg(feature = "tokio")]
pub mod tokio;
mod update;
mod version;
mod workspace;
pub mod write;
mod write_path;
mod writer;

pub use engine::{Builder, Filelatch, Inherited};
pub use error::{Conflict, Error, Result};
pub use file::{LatchFile, WriteOptions};
pub use guard::{Guard, SharedGuard, Validity};
pub use lock::holder::LockState;
pub use lock::{
    CancelToken, HeldLock, Holder, IfUnavailable, LockKind, LockOptions, LockScope, LockService, Wait, Waiting,
};
pub use path::{LockFileName, ResourceId};
pub use policy::{Period, Policy, Strategy};
pub use snapshot::Snapshot;
pub use version::{Expect, ParseVersionError, Version};
pub use workspace::{Initialized, WORKSPACE_DIR};
pub use write::{Author, Durability, HardLinks, Leftover, Notice};
pub use write_path::{Outcome, Written};
pub use writer::{CommitError, FileWriter};
