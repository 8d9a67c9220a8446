//! Conflicts as data: what could not be brought together, kept until somebody decides (MERGE-3, MERGE-4, VER-11).
//!
//! # Promise
//! - A stored conflict holds both versions and the base, byte for byte, and the document as far as it was brought together, with markers
//!   around the rest. It is complete when it can be seen, and survives a power cut when its id was told.
//! - Resolving it is itself a publish, compared with the version that was on disk when the conflict arose. What others have written since
//!   is merged, or the resolution is refused; and before anything is written, the file is saved beside the conflict.
//! - One conflict is stored once, however often the refused write is tried.
//!
//! # Non-promise
//! - Without a workspace nothing is stored: a refused write is refused, and a foreign version that can't be put back stays beside its
//!   file under a temporary name.
//! - Resolved conflicts are removed when there are many of them. Open ones never are: when there are too many, no more are stored, and
//!   the refusal says so.
//!
//! # On disk
//! ```text
//! .filelatch/conflicts/          mode 0700
//!   .lock                        held shared while a conflict is stored, exclusively while old ones are removed
//!   4f1d2c…/                     the id: a hash of the file's path and both versions
//!     base.json ours.json theirs.json    contents, with the file's extension; who has none was not there
//!     merged.json                what was brought together, with markers; to be edited by people
//!     backup.json                the file as it was before it was resolved
//!     conflict.json              the record; written last, removed first: without it the folder counts for nothing
//! ```
//!
//! # Invariants
//! - Every file of a conflict is written under a temporary name, synced, and renamed. A content counts only if its hash is the one in the
//!   record.
//! - The record of a conflict changes only under the lock of the file that it is about.

mod base;
mod record;
mod resolve;
mod store;

pub(crate) use base::find;
pub use base::{BaseSource, Looked};
pub use record::{Cause, ConflictState, Damaged, HowResolved, Side, Sides, StoredConflict};
pub(crate) use record::{exact, path_of};
pub use resolve::{ConflictContents, Resolution, Resolved};
pub use store::Conflicts;
pub(crate) use store::{NewConflict, NewSide, Store};
