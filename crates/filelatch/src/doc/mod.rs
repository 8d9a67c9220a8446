//! Documents: JSON, YAML, TOML and text, read and changed without losing a comment.
//!
//! # What this module promises
//!
//! A change touches the changed nodes and nothing else. Comments, key order, indentation, quoting, line endings, the byte
//! order mark and the presence or absence of a final newline are, outside the changed nodes, the same bytes as before. An
//! update that changes no value changes no byte.
//!
//! # How: one road for every change
//!
//! ```text
//!  set / remove / replace / patch / typed write
//!                   │            (diff.rs, patch.rs, typed.rs)
//!                   ▼
//!                 Delta          what changes, by path; small, shared, format-free (delta.rs)
//!                   │
//!                   ▼
//!                Splices         byte ranges of the old text and what replaces them (json/, toml/, yaml/)
//!                   │
//!                   ▼
//!               new text ──► parsed again by a parser the editor does not use, compared with the Delta
//!                   │                                                           │
//!                 bytes                                              DocError::VerifyFailed
//! ```
//!
//! The editors never print a document. They find the exact bytes of a node and replace those, so what is not touched
//! cannot change. Whether the replaced bytes *mean* what was asked for is not left to the editor's judgement: the result
//! is parsed by an independent parser, which must see the old document plus the change and nothing else. A bug in an
//! editor therefore costs an error message, never data.
//!
//! # Rules worth knowing
//!
//! - A document that does not parse is an error with line and column. It is never taken for empty.
//! - Numbers keep their text: `1.0` is not `1`, and `12345678901234567890123` survives.
//! - Removing a node takes the comment on its line along. Comments on lines of their own stay.
//! - A duplicate key is an error for whoever meets it: reading or changing the rest of the document still works.
//! - Nesting deeper than [`MAX_DEPTH`] is refused.
//!
//! The module works on bytes in memory. It opens no files and knows no locks.

mod change;
mod delta;
mod diff;
mod document;
mod error;
mod flow;
mod format;
mod json;
mod number;
mod patch;
mod pointer;
mod splice;
mod syntax;
mod text;
mod toml;
mod typed;
mod yaml;

pub use document::Document;
pub use error::DocError;
pub use format::{Format, UnknownFormat};
pub use syntax::MAX_DEPTH;
pub(crate) use toml::string_value as toml_string;
#[cfg(feature = "store")]
pub(crate) use typed::{laid_over, read as from_value};
