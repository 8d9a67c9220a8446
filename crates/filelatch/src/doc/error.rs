//! What can go wrong with a document, and what to do about it.

use super::Format;
use super::splice::Position;

/// Why a document could not be read or changed. Nothing was changed when you hold one of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocError {
    /// The text does not follow the rules of its format.
    #[error("not valid {format}: {message} at line {line}, column {column}")]
    Parse {
        /// The format the text was read as.
        format: Format,
        /// The line, counted from 1.
        line: usize,
        /// The column in characters, counted from 1.
        column: usize,
        /// What is wrong there, in plain words.
        message: String,
    },

    /// The bytes are not text.
    #[error("not text: the byte at offset {offset} is not valid UTF-8")]
    NotUtf8 {
        /// Offset of the first bad byte, counted from 0.
        offset: usize,
    },

    /// The same key stands twice in one object, so a path through it names two nodes.
    #[error(
        "duplicate key `{key}` at line {line} (first at line {first_line}); which one is meant is unclear; fix by hand"
    )]
    DuplicateKey {
        /// The key.
        key: String,
        /// Line of its first occurrence, counted from 1.
        first_line: usize,
        /// Line of its second occurrence.
        line: usize,
        /// Column of its second occurrence.
        column: usize,
    },

    /// The format has no way to write this value here.
    #[error("{format} cannot express {message} (at `{pointer}`)")]
    Unrepresentable {
        /// The format of the document.
        format: Format,
        /// JSON pointer to the place.
        pointer: String,
        /// What cannot be expressed.
        message: String,
    },

    /// The value at this place is shared with other places of the document (YAML anchors and merge keys), so a change here
    /// would show there too, or cannot be made here alone.
    #[error("`{pointer}` cannot be changed on its own: {message}")]
    Shared {
        /// JSON pointer to the place.
        pointer: String,
        /// With what it is shared.
        message: String,
    },

    /// A JSON pointer is malformed or leads nowhere.
    #[error("`{pointer}`: {message}")]
    Pointer {
        /// The pointer as given.
        pointer: String,
        /// What is wrong with it.
        message: String,
    },

    /// A patch is malformed or one of its operations failed. None of its operations was applied.
    #[error("patch not applied{}: {message}", at_operation(*.operation))]
    PatchFailed {
        /// Index of the failing operation, counted from 0; none if the patch as a whole is malformed.
        operation: Option<usize>,
        /// What went wrong.
        message: String,
    },

    /// The document holds other types than the program expects, or the program's value does not fit into a document.
    #[error("unexpected content{}: {message}", at_pointer(.pointer))]
    TypeMismatch {
        /// JSON pointer to the offending node; empty for the whole document.
        pointer: String,
        /// What was expected and what was found.
        message: String,
    },

    /// The edited text, read back by an independent parser, does not mean what was asked for. The text was thrown away.
    #[error("the edited {format} did not read back as intended, so it was thrown away: {message}")]
    VerifyFailed {
        /// The format of the document.
        format: Format,
        /// The first difference found.
        message: String,
    },

    /// The document is larger than the editor can address (4 GiB).
    #[error("the document has {bytes} bytes; more than 4 GiB cannot be edited as a document")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
}

fn at_operation(operation: Option<usize>) -> String {
    operation.map_or_else(String::new, |index| format!(" (operation {index})"))
}

fn at_pointer(pointer: &str) -> String {
    if pointer.is_empty() { String::new() } else { format!(" at `{pointer}`") }
}

impl DocError {
    /// A parse error at a byte offset of `text`.
    pub(super) fn parse(format: Format, text: &str, offset: usize, message: impl Into<String>) -> Self {
        let Position { line, column } = Position::of(text, offset);
        Self::Parse { format, line, column, message: message.into() }
    }

    /// A key that stands at two offsets of `text`.
    pub(super) fn duplicate(text: &str, key: impl Into<String>, first: usize, second: usize) -> Self {
        let at = Position::of(text, second);
        Self::DuplicateKey {
            key: key.into(),
            first_line: Position::of(text, first).line,
            line: at.line,
            column: at.column,
        }
    }

    /// What the user can do about it, one sentence each. Data beside the message, so that every front end can show it.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Parse { format, .. } => {
                format!("nothing was written; repair the file, or treat it as text if it is not {format}")
            }
            Self::NotUtf8 { .. } => "documents must be UTF-8; replace such files as a whole instead".to_owned(),
            Self::DuplicateKey { key, .. } => format!("remove or rename one of the two `{key}`"),
            Self::Unrepresentable { format: Format::Toml, message, .. } if message.contains("null") => {
                "TOML has no null: remove the key instead".to_owned()
            }
            Self::Shared { .. } => {
                "edit the anchor by hand, or replace the alias with a value of its own first".to_owned()
            }
            Self::VerifyFailed { .. } => {
                "this is a bug in the editor or an unusual file; your file is unchanged; make this edit by hand"
                    .to_owned()
            }
            Self::TypeMismatch { .. } => "check the file against what the program expects".to_owned(),
            _ => return Vec::new(),
        };
        vec![hint]
    }
}
