//! A simulated file system and machine: every disk that a power cut can leave, every error, every moment for somebody else.
//!
//! # Promise
//! [`SimFs`] does what the [real systems](crate::real) do, call by call, in memory and always the same way. Before any call
//! a test can cut the power, kill the process, order an error, or let another program act; afterwards
//! [`SimFs::possible_disks`] is every disk that could be left (or, where there are too many, the extremes and a sample drawn
//! by a seed), each mounted again by a machine that has rebooted. A protocol that keeps its word on all of them needs
//! nothing of a disk beyond the list below.
//!
//! ```
//! use filelatch_fs::fs::{Fs, FsDir, write_all_at};
//! use filelatch_fs::sim::{SimFs, for_each_cut};
//!
//! // L24: after "done" the new text is there; before it, one of the two is.
//! for_each_cut(
//!     |fs| fs.foreign().create("/f", b"old").unwrap(),
//!     |fs| {
//!         let publish = || {
//!             let dir = fs.open_dir("/".as_ref())?;
//!             let temp = dir.create_new(".f.tmp".as_ref(), 0o600)?;
//!             write_all_at(&*temp, b"new", 0)?;
//!             temp.sync()?;
//!             dir.rename(".f.tmp".as_ref(), "f".as_ref())?;
//!             dir.sync()
//!         };
//!         publish().is_ok()
//!     },
//!     |disk, done| match disk.foreign().read("/f") {
//!         Ok(text) if text == b"new" || (text == b"old" && !*done) => Ok(()),
//!         other => Err(format!("done: {done}, and yet the file is {other:?}")),
//!     },
//! );
//! ```
//!
//! # What is assumed of a disk and its file system
//! 1. A sector of 512 bytes is written whole or not at all, and what was written reads back unchanged.
//! 2. A sync that succeeds keeps its word: [`FsFile::sync`](crate::FsFile::sync) for bytes, length and metadata of that
//!    inode, [`FsDir::sync`](crate::FsDir::sync) for the names in that directory. Each for nothing else: a synced file without a
//!    synced name is lost, a synced name leads to a file that may be empty.
//! 3. One change of names is atomic: a rename is never half done, an exchange neither.
//! 4. Changes of names reach the disk in order if they touch the same name, and what a sync makes durable takes along what it
//!    depends on. No other order is assumed, not even within one directory.
//! 5. Space that a lost write was to fill reads as zeros, never as another file's old bytes.
//!
//! Nothing becomes durable by itself, and everything may have: each unsynced write is lost, kept, there only in length, or
//! torn between sectors, each for itself. A sync that fails leaves the bytes visible but in doubt for good, even if a later
//! one succeeds (L26); only what is written again is safe again.
//!
//! # Not promised
//! - Permissions are kept, not enforced; there is one user. No mount points: order `EXDEV` and `EBUSY` as faults.
//! - Heirs of an open file ([`FsFile::make_inheritable`](crate::FsFile::make_inheritable)): a killed process leaves none.
//! - Memory mappings, bit rot, a disk that lies about a successful sync.
//! - Threads that share a `SimFs` by themselves run as the machine pleases; [`Schedules`] runs them in every order.
//!
//! # Layout
//! - `simfs.rs`: [`SimFs`], processes, power, hooks. `dir.rs`, `file.rs`: the verbs. `locks.rs`: locks of open files.
//! - `store.rs`: names and inodes as programs see them. `journal.rs`: changes of names that are not durable yet, `inode.rs`:
//!   changes of one inode; `image.rs`: their fates. `disk.rs`: all fates together, [`Disks`].
//! - `state.rs`: what ends with the power. `call.rs`, `faults.rs`, `errors.rs`, `dials.rs`: what can be told, ordered, set.
//! - `hints.rs`: what is told of changes, and [`HintFault`].
//! - `foreign.rs`: [`Foreign`], programs that ignore us. `host.rs`: [`SimHost`].
//! - `schedule/`: [`Schedules`], every order of calls. It holds threads in the observer ([`SimFs::observe`]), which runs in the thread that
//!   is about to call and holds no lock, in the waits for locks, and in the host's sleeps and parks.
//! - `sweep.rs`: [`Sweep`] and its short forms [`for_each_mishap`], [`for_each_cut`], [`for_each_fault`], [`for_each_kill`],
//!   [`for_each_intrusion`].

mod call;
mod dials;
mod dir;
mod disk;
mod errors;
mod faults;
mod file;
mod foreign;
mod hints;
mod host;
mod image;
mod inode;
mod journal;
mod locks;
mod schedule;
mod simfs;
mod state;
mod store;
mod sweep;

pub use call::{Call, Verb};
pub use dials::{Dials, Flock, Watching};
pub use disk::{Disk, Disks};
pub use errors::{is_killed, is_power_cut};
pub use faults::Fault;
pub use foreign::Foreign;
pub use hints::HintFault;
pub use host::SimHost;
pub use schedule::{BadSchedule, Explored, Plan, Schedules};
pub use simfs::SimFs;
pub use sweep::{
    Report, Sweep, Violation, for_each_cut, for_each_fault, for_each_intrusion, for_each_kill, for_each_mishap,
};

#[cfg(test)]
mod tests;
