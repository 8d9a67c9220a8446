//! Hearing of changes.

pub mod event;
mod look;
mod options;
pub(crate) mod origin;
pub(crate) mod own;
mod queue;
mod read;
mod scan;
pub(crate) mod table;
#[cfg_attr(not(test), allow(dead_code, reason = "until the thread that runs it, which comes next"))]
pub(crate) mod tracker;
mod watches;
mod way;

pub use event::{Change, ChangeKind, Cursor, Event, Origin, ParseCursorError, RescanCause};
pub use options::{Polling, Settle, WatchOptions};

#[cfg(test)]
mod tests;
