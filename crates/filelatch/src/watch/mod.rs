//! Hearing of changes.

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
pub(crate) mod tracker;
#[expect(clippy::module_inception, reason = "the type's own")]
mod watch;
mod watches;
mod way;

pub use event::{Change, ChangeKind, Cursor, Event, Origin, ParseCursorError, RescanCause};
pub use feed::Reader;
pub use options::{Polling, Settle, WatchOptions};
pub use poll::{Mode, PollReason};
pub use watch::{Listening, Resumed, Watch};

#[cfg(test)]
mod tests;
