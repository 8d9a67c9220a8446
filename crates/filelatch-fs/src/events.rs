//! What the system tells of changes, reduced to what can be relied on.
//!
//! # Promise
//! A [`Hint`] says where to look. While an [`Events`] lives and has not said [`Hint::Lost`], each change of an entry in a directory that
//! was added, made after [`Events::add`] returned by a program on this machine through this file system, is followed by a hint that
//! names the entry.
//!
//! # Non-promise
//! Hints come late, in any order, merged, twice, or for nothing, and say nothing of the state that they find: who hears one looks at
//! the file. Changes through a memory mapping, by other machines, through a hard link in another directory, and (depending on the system)
//! through another mount of the same files bring none (L42). Of a directory that was added only its own removal and renaming are told,
//! not those of a directory above it; and a removal, on Linux, not before the last program that has it open has closed it. The directory
//! above tells at once.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What an [`Events`] tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Hint {
    /// Something happened to an entry, named by the path of the directory as it was added (or, where trees are covered, of one
    /// below it) and its name; or to a directory itself that was added.
    At {
        /// The entry.
        path: PathBuf,
        /// What happened, as far as the system tells.
        what: Happened,
    },
    /// The system's queue has overflowed, or a watch has ended by itself: anything may have changed anywhere (inotify(7)
    /// `IN_Q_OVERFLOW`, `FSEvents` `MustScanSubDirs`, `ERROR_NOTIFY_ENUM_DIR`).
    Lost,
}

/// What happened to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Happened {
    /// The name was created and may be written to now.
    Created,
    /// A file has moved to the name, whole.
    MovedIn,
    /// The name is gone: removed, or moved away.
    Gone,
    /// Bytes were written, or the length was changed; more may follow.
    Written,
    /// A program that had it open for writing has closed it. Never told where [`Events::tells_close`] is false.
    Closed,
    /// Something: the system does not say what, or permissions, times or attributes.
    Other,
}

/// Who is told. Called on a thread of the source's own (in a simulation: of the one who made the change); must not block, and must not
/// call the source. A panic ends that one call.
pub type Tell = Arc<dyn Fn(Hint) + Send + Sync>;

/// A source of hints. Dropped, it tells nothing more: a call of [`Tell`] that is under way is waited for, so nobody should drop it who
/// holds what [`Tell`] wants. A process that was forked meanwhile is told nothing and can't add.
pub trait Events: Debug + Send + Sync + 'static {
    /// Does [`Events::add`] cover everything below the directory (macOS, Windows), or its own entries only (Linux)?
    fn covers_trees(&self) -> bool;

    /// Is [`Happened::Closed`] told?
    fn tells_close(&self) -> bool;

    /// From when this returns, changes of the entries of a directory are told. Adding what was added again is allowed, also when another
    /// directory has the path by now: then that one is watched. [`io::ErrorKind::StorageFull`] when the system's limit of watches is
    /// reached (`max_user_watches`).
    fn add(&self, dir: &Path) -> io::Result<()>;

    /// The directory is of no interest any more. Nothing if it was not added.
    fn remove(&self, dir: &Path);
}
