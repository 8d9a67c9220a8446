//! What can go wrong in a store, beside what can go wrong with any file.

use std::path::Path;

/// Why a store refused. Unless a variant says otherwise nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The content is not what the store writes.
    #[error("{}{problem}", place_of(*line, *offset))]
    Damaged {
        /// The line, counted from 1, if the damage is in a line.
        line: Option<u64>,
        /// The first byte that is wrong, counted from 0, if one can be named.
        offset: Option<u64>,
        /// What is wrong there.
        problem: String,
        /// What to do.
        way_out: String,
    },
    /// There is nothing of this name.
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// What was asked for: `command`, `token`…
        what: &'static str,
        /// By this name.
        id: String,
    },
    /// The name is taken.
    #[error("there is a {what} `{id}` already")]
    Exists {
        /// What was to be made.
        what: &'static str,
        /// Under this name.
        id: String,
    },
    /// Somebody else's turn has begun since.
    #[error("token {token} of {what} `{id}` is not the current one{}", current_token(*current))]
    StaleToken {
        /// What the token is of.
        what: &'static str,
        /// Which.
        id: String,
        /// The token that was given.
        token: u64,
        /// The one that was given out last, if there is one.
        current: Option<u64>,
    },
    /// What was asked for does not go with how things are.
    #[error("{what} `{id}` is {state}: {why}")]
    WrongState {
        /// What it is about.
        what: &'static str,
        /// Which.
        id: String,
        /// How it is.
        state: &'static str,
        /// Why that is in the way.
        why: &'static str,
    },
    /// A generated file is not what was generated any more.
    #[error("`{}` was changed since it was generated", path.display())]
    Edited {
        /// Which, relative to the workspace's folder.
        path: std::path::PathBuf,
    },
    /// What was asked for can't be stored.
    #[error("{problem}")]
    Invalid {
        /// Why not.
        problem: String,
        /// What can.
        hint: String,
    },
    /// Others may open a file that is to hold secrets, or it is another user's.
    #[error("{problem}")]
    NotPrivate {
        /// What is wrong.
        problem: String,
        /// What to do.
        way_out: String,
    },
    /// The file is encrypted, and there is no passphrase.
    #[error("it is encrypted")]
    Encrypted {
        /// Could it be decrypted with one? Else this program was built without the feature `encryption`.
        can: bool,
    },
    /// The file does not open with this passphrase.
    #[error("the passphrase is wrong, or the head of the encrypted file is damaged")]
    WrongPassphrase,
    /// The store was written by a newer program.
    #[error("it has version {found} of its form, and this program knows {known}")]
    Newer {
        /// The version in the file.
        found: u64,
        /// The newest that this program knows.
        known: u64,
    },
    /// What was written could not be made durable.
    #[error("it was written, but it may not be durable: {problem}")]
    NotDurable {
        /// Why not.
        problem: String,
    },
}

impl StoreError {
    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            StoreError::Damaged { .. } => "damaged",
            StoreError::NotFound { .. } => "no-such-item",
            StoreError::Exists { .. } => "exists",
            StoreError::StaleToken { .. } => "stale-token",
            StoreError::WrongState { .. } => "wrong-state",
            StoreError::Edited { .. } => "edited",
            StoreError::Invalid { .. } => "invalid",
            StoreError::NotPrivate { .. } => "not-private",
            StoreError::Encrypted { .. } => "encrypted",
            StoreError::WrongPassphrase => "wrong-passphrase",
            StoreError::Newer { .. } => "newer-form",
            StoreError::NotDurable { .. } => "not-durable",
        }
    }

    /// What to do next.
    pub(crate) fn hints(&self, path: &Path) -> Vec<String> {
        match self {
            StoreError::Damaged { way_out, .. } => {
                vec![format!("nothing was changed; what is intact is still in `{}`", path.display()), way_out.clone()]
            }
            StoreError::NotFound { .. } => vec!["nothing was changed; `list` shows what there is".to_owned()],
            StoreError::Exists { .. } => vec!["nothing was changed; choose another name".to_owned()],
            StoreError::StaleToken { .. } => {
                vec![
                    "nothing was changed; what this claim was for is somebody else's now, or was never this one's"
                        .to_owned(),
                ]
            }
            StoreError::WrongState { .. } => vec!["nothing was changed; `list` shows how things are".to_owned()],
            StoreError::Edited { .. } => {
                vec!["nothing was changed; save what is yours under another name, or have it replaced".to_owned()]
            }
            StoreError::Invalid { hint, .. } => vec![format!("nothing was changed; {hint}")],
            StoreError::NotPrivate { way_out, .. } => vec![format!("nothing was changed; {way_out}")],
            StoreError::NotDurable { .. } => vec![
                "what was to be added may or may not be there, now and after a power cut: read before adding it again"
                    .to_owned(),
            ],
            StoreError::Encrypted { can: true } => vec!["nothing was changed; give its passphrase".to_owned()],
            StoreError::Encrypted { can: false } => {
                vec!["nothing was changed; this program was built without encryption".to_owned()]
            }
            StoreError::WrongPassphrase => {
                vec![
                    "nothing was changed; try again, or restore the file from a backup if you are sure of it"
                        .to_owned(),
                ]
            }
            StoreError::Newer { .. } => vec!["nothing was changed; a newer filelatch can read it".to_owned()],
        }
    }
}

fn place_of(line: Option<u64>, offset: Option<u64>) -> String {
    match (line, offset) {
        (Some(line), Some(offset)) => format!("line {line} (byte {offset}): "),
        (Some(line), None) => format!("line {line}: "),
        (None, Some(offset)) => format!("byte {offset}: "),
        (None, None) => String::new(),
    }
}

fn current_token(current: Option<u64>) -> String {
    current.map_or_else(|| ": none was given".to_owned(), |current| format!(": that is {current}"))
}
