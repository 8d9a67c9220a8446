//! Locks: one holder, or many readers, among threads, tasks and processes.
//!
//! # Promise
//! - Exclusive means one holder among all that use this protocol, on this machine, until the guard is dropped or its process
//!   dies, however it dies: the kernel holds the lock (flock(2), `LockFileEx`).
//! - Waiting is first come, first served inside a process, and nobody starves among processes (P2).
//! - A wait that timed out or was cancelled leaves nothing behind (LOCK-8).
//! - The same owner asking again gets an error at once, a circle of owners is found and named (P3).
//!
//! # Non-promise
//! - Programs that do not ask are not stopped (L17); publishing finds what they did (VER-11).
//! - On network file systems a lock is as good as the server's (L13–L15).
//!
//! # How a lock is had
//! 1. The queue of the process (`resource`): free → 2; held here → wait for the hand-over, no system call.
//! 2. Is somebody of another process at the gate? → 4. Else try the OS lock on the lock file (`sidecar`).
//! 3. Had it: does the path still name the locked file? Sign it (`record`). Done.
//! 4. A helper thread (`helpers`) queues at the gate and in the kernel, once for all waiters of this file in this process.
//!
//! A lock on a record in a file is a byte of the lock file on top of a shared lock: see `records`, `slots`.
//!
//! Locks on several files are taken in the order of [`ResourceId`](crate::ResourceId), so calls that take several at once can't
//! deadlock with each other; what nests calls is watched by `waits`.

pub(crate) mod acquire;
pub(crate) mod cancel;
pub(crate) mod heart;
pub(crate) mod held;
pub(crate) mod helpers;
pub(crate) mod holder;
pub(crate) mod locality;
pub(crate) mod options;
pub(crate) mod owner;
pub(crate) mod record;
pub(crate) mod records;
pub(crate) mod removal;
pub(crate) mod resource;
pub(crate) mod service;
pub(crate) mod sidecar;
pub(crate) mod slots;
pub(crate) mod stale;
pub(crate) mod waiter;
pub(crate) mod waits;

pub use cancel::CancelToken;
pub use filelatch_fs::LockKind;
pub use holder::{Holder, Recovered};
pub use options::{IfUnavailable, LockMode, LockOptions, OnWait, Wait, Waiting};
pub use owner::LockScope;
pub use service::{HeldLock, LockService};
