//! Hearing of changes.

pub mod event;
mod options;
#[cfg_attr(not(test), allow(dead_code, reason = "the tracker asks"))]
pub(crate) mod origin;
#[cfg_attr(not(test), allow(dead_code, reason = "the tracker asks"))]
pub(crate) mod own;

pub use event::{Change, ChangeKind, Cursor, Event, Origin, ParseCursorError, RescanCause};
pub use options::{Polling, Settle, WatchOptions};
