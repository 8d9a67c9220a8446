//! Live documents: a file with a draft of its next content, that follows the disk (WATCH-3).
//!
//! For faces in which people or programs work on a text for longer than one call: pages, editors, agents. [`LatchFile::update`] and its
//! kin are simpler where a change can be applied in one go.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("settings.json");
//! use filelatch::live::{LiveChange, LiveOptions};
//! use filelatch::watch::Origin;
//! use filelatch::{Filelatch, WriteOptions};
//!
//! std::fs::write(&path, "{\n  \"theme\": \"light\",\n  \"size\": 12\n}\n")?;
//! let mut settings = Filelatch::new().live(&path, &LiveOptions::new())?;
//!
//! // Somebody types …
//! settings.set_draft("{\n  \"theme\": \"dark\",\n  \"size\": 12\n}\n");
//! // … somebody else writes …
//! let other = Filelatch::new().file(&path)?;
//! other.write(b"{\n  \"theme\": \"light\",\n  \"size\": 14\n}\n", &WriteOptions::new())?;
//!
//! // … and both are there.
//! let event = settings.next(None)?.expect("without a limit something comes");
//! assert!(matches!(event.what, LiveChange::Merged));
//! assert_ne!(event.by, Origin::Own);
//! settings.save(&WriteOptions::new())?;
//! assert_eq!(std::fs::read_to_string(&path)?, "{\n  \"theme\": \"dark\",\n  \"size\": 14\n}\n");
//! # Ok(())
//! # }
//! ```
//!
//! # Promise
//! - What was typed is the draft, or can be had ([`Live::before_merge`]), until it is saved, discarded, decided against or typed over. What
//!   happens on disk drops nothing.
//! - A save writes over exactly the version that was taken in last. What others wrote is in the text, or was decided against in a conflict
//!   that was shown.
//! - What the disk has is taken in whole, as it is when it is looked at: no change is applied twice, and none is missed for good as long
//!   as somebody looks. The document's own saves are no news.
//!
//! # Non-promise
//! - The draft is in memory only.
//! - A clean merge can still be wrong in meaning ([`merge`](crate::merge)).
//! - A program that is writing into the file just now may be seen half done. Hearing of changes through a watch means to look when they
//!   have settled; a save looks at once, and then what was half done comes as another change.
//!
//! # States
//! | the disk has | no draft | a draft |
//! |---|---|---|
//! | the base | [clean](LiveState::Clean) | [draft](LiveState::Draft) |
//! | another version | reloaded: clean | agrees, or is merged; else [conflict](LiveState::Conflict) |
//! | no file | [gone](LiveState::Gone) | gone, with the draft |
//! | what can't be read | [unreadable](LiveState::Unreadable) | unreadable, with the draft |
//!
//! A conflict is computed against what the draft was made from, again for each version that comes: when they take back what does not fit, it
//! is over. From gone and unreadable a document comes back as if nothing had been between.
//!
//! # Order of operations
//! Told of a change → look at the file, by path → take it in (`core.rs`, which does no input or output) → tell what came of it. A save does
//! the same, takes the file's lock, does the same once more (usually nothing is left to be merged), and writes.

mod core;
mod document;
mod event;
mod options;

use std::path::Path;

use document::Hearing;
pub use document::Live;
pub use event::{LiveChange, LiveConflict, LiveEvent, LiveState, NotResolved};
pub use options::LiveOptions;

use crate::engine::Filelatch;
use crate::error::Result;
#[cfg(doc)]
use crate::file::LatchFile;
use crate::watch::Reader;

impl Filelatch {
    /// A live document with a watch of its own, and so with a thread ([`Filelatch::watch`]). For many documents
    /// [`Filelatch::live_on`] shares one. The file need not exist; its directory must.
    pub fn live(&self, path: impl AsRef<Path>, options: &LiveOptions) -> Result<Live> {
        let path = path.as_ref();
        // What this engine's other documents save must be heard, too.
        let watch = self.watch([path], &options.watch.clone().own(true))?;
        Live::new(self, path, options, Hearing::Own(watch.reader(None), watch))
    }

    /// A live document that hears of changes from a watch which covers its file, through a reader made for it
    /// ([`Watch::reader`](crate::watch::Watch::reader)), now or before. Takes no thread: one watch serves any number of documents.
    ///
    /// The watch must report own changes, if other documents of this engine are to be heard of.
    pub fn live_on(&self, path: impl AsRef<Path>, reader: Reader, options: &LiveOptions) -> Result<Live> {
        Live::new(self, path.as_ref(), options, Hearing::Others(reader))
    }

    /// A live document that hears nothing by itself: whoever has it tells it ([`Live::hear`]) or makes it look ([`Live::refresh`]). For a
    /// thread that reads one watch and hands each change to the document that it is about.
    pub fn live_unheard(&self, path: impl AsRef<Path>, options: &LiveOptions) -> Result<Live> {
        Live::new(self, path.as_ref(), options, Hearing::Nobody)
    }
}
