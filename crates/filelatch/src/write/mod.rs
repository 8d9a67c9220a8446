//! Publishing: a new version takes the place of the old one, whole and durable.
//!
//! # Promise
//! - A reader sees the old or the new bytes, never a mix, and so after a power cut at durability *full* or *file* (in-place
//!   writes excepted, see `in_place`).
//! - Before the swap an error leaves the old file as it was and no temporary file behind. After it the new version stays, and
//!   an error says that it may not be durable (P5.8).
//! - Mode, owner, access control lists and extended attributes are carried over; what can't be is reported.
//! - What is displaced is looked at: bytes that a program which ignores locks had finished writing are never lost (VER-11).
//!
//! # Non-promise
//! - A foreign program that replaces the file after us replaces our version; nobody can stop it (L17).
//! - Where the system can't swap two names (Windows, network file systems) a moment remains between looking and replacing.
//!
//! # Order of operations (P5)
//! Temporary file in the same directory, marked `0` → bytes → metadata → attribution → fsync → swap → look at the displaced
//! file → remove it → fsync of the directory. See `publish`.

pub(crate) mod attribution;
pub(crate) mod current;
pub(crate) mod in_place;
pub(crate) mod options;
pub(crate) mod publish;
mod remove;
pub(crate) mod sweep;
pub(crate) mod temp;

pub use attribution::Author;
pub use options::{Durability, HardLinks, Notice};
pub use sweep::Leftover;
