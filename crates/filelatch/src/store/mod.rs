//! Stores: ready-made files that several programs share (STORE-1 to STORE-9, feature `store`).
//!
//! Each is an ordinary file that people can read, beside an ordinary lock file; several programs use it at once through the same locks,
//! publishes and checks as everything else. A store is opened by path, or by name in a workspace ([`place`]).
//!
//! # Promise, for every store
//! - What was acknowledged is there after a kill and, unless less was asked for, after a power cut.
//! - What does not look like the store's own writing is an error that names the place and a way out ([`StoreError`]), and is not written over.

pub mod bookmarks;
pub mod changes;
pub mod credentials;
mod error;
pub mod generated;
pub mod groups;
pub mod log;
mod own;
pub mod place;
pub mod queue;
pub mod repository;
pub mod secret;
mod sheet;
mod stamp;
pub mod tokens;

pub use bookmarks::{Bookmark, Bookmarks, NewBookmark};
#[cfg(feature = "encryption")]
pub use credentials::Passphrase;
pub use credentials::{Credential, CredentialInfo, Credentials, Imported, NewCredential, Refreshed};
pub use error::StoreError;
pub use groups::{Group, Groups, Member};
pub use place::{OwnStore, StoreFolder};
pub use repository::{Layout, Record, RecordLock, Repository, RepositoryOptions, Survey, Transaction};
pub use secret::Secret;
pub use tokens::{NewToken, Scope, TokenInfo, TokenState, Tokens, Verified};
