//! A queue of commands that any number of runners share (STORE-2, P14).
//!
//! # Promise
//! - Each command is completed exactly once: a claim has a number, and only that of the newest claim is accepted. What was acknowledged
//!   survives kills and power cuts.
//! - Exactly one runner has a command, in the order of priority and place. A runner's lock tells that it lives: when it is gone, with all
//!   that inherited the lock, the command is claimable at once. One that is stopped, or has no such lock, loses it when its lease is over.
//! - Who waits for a command is woken: by whatever is written to the queue, by the end of a runner, by the time that a delay or a lease ends.
//! - Everybody who reads the file comes to the same list in the same order.
//!
//! # Non-promise
//! - The command's *effect* happens at least once: a runner may be killed between the last thing that its command does and the note of it. The
//!   number of the claim is there for what the command changes elsewhere.
//! - A stopped runner's command may still run when another one has begun: its lock says that it lives, its lease that it has lost. It is
//!   refused when it comes to its end.
//! - Claims are not synced: a power cut ends the runners, too. Numbers stay unique by the clock on the wall, as long as that is not set back
//!   over a power cut.
//! - On file systems whose locks end at one machine, or that have none, there is no sign of life, only the lease.
//!
//! # How
//! The queue is an append log of events (`event`), under whose lock everything is decided (`decide`) from the state that the events come to
//! (`state`). A claim names its runner's sign of life, a locked file beside the queue (`life`).
//!
//! # Order of operations
//! A claim: the sign of life is locked → the log's lock → what is new is read → the first that is pending and due, or whose runner is gone →
//! the event, not synced → the log's lock is released. An end: the log's lock → is the number that of the newest claim? → the event (with the
//! next claim, if wanted) → released → synced together with others → answered → the sign is free for the next claim.

mod claim;
mod decide;
mod event;
mod handle;
mod life;
mod options;
mod state;
#[cfg(test)]
mod tests;

pub use claim::{Claim, LeaseClaim};
pub use event::{Beside, CommandState};
pub use handle::Queue;
pub use options::{ClaimOptions, CommandUpdate, NewCommand, Outcome, PruneOptions, QueuedCommand};
