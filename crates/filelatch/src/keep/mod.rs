//! Kept versions: what a publish replaces stays, for a while, and can be looked at and brought back (KEEP-1, P5.3).
//!
//! # Promise
//! - In a workspace each publish keeps the version that it replaces, by renaming its file into `.filelatch/versions/`: no byte is written a
//!   second time, whatever the size.
//! - A kept version is used only while its bytes have the hash that it was kept by. Whoever writes through an old descriptor, or into the
//!   folder, makes it unusable, not wrong.
//! - At durability *full* the replaced version is on the medium, under its kept name, before the write is answered: the rename out of the
//!   directory is one operation, which the fsync of that directory covers where a rename is one transaction (file systems with a journal;
//!   tried on ext4); the folder's own name was synced before.
//! - Nothing here makes a publish fail. What can't be kept is reported by [`Notice::NotKept`](crate::Notice::NotKept), and removed as it
//!   would be without keeping.
//! - Of a writer that was killed between swap and keep, the replaced version is kept by the next process's first publish.
//! - Bounded by count, age and bytes for each file ([`KeepLimits`]).
//!
//! # Non-promise
//! - A version that a foreign program replaces or overwrites is not kept: nobody was asked. `keep = "current"` keeps a copy of ours.
//! - Without extended attributes nothing tells a version's author and generation; versions of one millisecond that several processes
//!   replaced may then be listed in another order.
//! - The history is the name's: a file that is renamed begins a new one.
//!
//! # Where the bytes are copied
//! Where the file can't be moved, a reflink or, if the file system has none, a copy is made: from another file system than the workspace's;
//! when the file has further names (they go on being written to); when it is written in place; when a foreign program still has it open
//! for writing.
//!
//! # Privacy
//! `versions/` is made for its owner alone (0700); files keep their own mode and owner. Opened to a group by hand (`chmod 2770`), it serves the
//! group, and so do the folders that are made in it from then on. Nothing is kept of files in `.filelatch/` itself (credentials, tokens)
//! and where the policy says `none` (P16).

mod calls;
pub(crate) mod history;
mod limits;
pub(crate) mod name;
mod prune;
pub(crate) mod publish;

pub use calls::KeptVersion;
pub(crate) use calls::find;
pub use limits::{Keep, KeepLimits, Size};
pub use prune::{PRUNE_EVERY, Pruned};
