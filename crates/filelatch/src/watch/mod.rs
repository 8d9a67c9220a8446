//! Hearing of changes.

pub mod event;

pub use event::{Change, ChangeKind, Cursor, Event, Origin, ParseCursorError, RescanCause};
