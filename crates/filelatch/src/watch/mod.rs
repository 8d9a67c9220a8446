//! Hearing of changes.

pub mod event;
mod options;

pub use event::{Change, ChangeKind, Cursor, Event, Origin, ParseCursorError, RescanCause};
pub use options::{Polling, Settle, WatchOptions};
