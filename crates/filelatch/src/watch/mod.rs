//! Hearing of changes of files and trees: what is there now, and whose it was.
//!
//! # Promise
//! From when [`Filelatch::watch`](crate::Filelatch::watch) returns, whoever applies all reports in their order to a copy has what is on the
//! disk, as soon as nothing is pending; and everything before a [`Watch::sync`] is reported when it returns. Where reports are missing for a
//! reader it is told so ([`Event::Reset`]).
//!
//! # Non-promise
//! A file that changes and changes back between two looks has not changed. The page *Watching* among the concepts has the rest.
//!
//! # Layout
//! - `watch.rs`: [`Watch`], and how it begins. `options.rs`, `event.rs`: what is asked for, what is reported.
//! - `run.rs`: its thread. `inbox.rs`: what the thread is told and asked. `feed.rs`: the reports, and [`Reader`]s.
//! - `cookie.rs`, `ground.rs`: barriers, and where they are made. `poll.rs`: looking again and again. `state.rs`: what a resumed watch knows.
//! - `tracker.rs`: hints and looks become reports, without threads and clocks. `queue.rs`: what is pending, and until when; `look.rs`, `scan.rs`,
//!   `read.rs`: one name, a tree, a content; `table.rs`: what is known; `way.rs`, `watches.rs`: what is watched for that.
//! - `origin.rs`, `own.rs`: whose it was. `touched.rs`: whose locks may be others now.
//!
//! # Order of operations
//! hint → inbox → the thread: tracker, look, compare → feed → readers; then, with a name, saved.

mod cookie;
pub mod event;
mod feed;
mod ground;
mod inbox;
mod look;
mod options;
pub(crate) mod origin;
pub(crate) mod own;
mod poll;
mod queue;
mod read;
mod run;
mod scan;
mod state;
pub(crate) mod table;
mod touched;
pub(crate) mod tracker;
#[expect(clippy::module_inception, reason = "the type's own")]
mod watch;
mod watches;
mod way;

pub use event::{Change, ChangeKind, Cursor, Event, Origin, ParseCursorError, RescanCause};
pub use feed::Reader;
pub use options::{Polling, Settle, WatchOptions};
pub use poll::{Mode, PollReason};
pub use touched::TouchedLocks;
pub use watch::{Listening, Resumed, Watch};

#[cfg(test)]
mod tests;
