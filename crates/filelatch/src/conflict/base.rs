//! Finding what a writer's content was made from (MERGE-3).
//!
//! The expectation of a write is a hash; merging needs the bytes. They are looked for in this order: what the caller gave, the kept
//! versions of the workspace, then the sources that the engine was built with ([`Builder::base_source`](crate::Builder::base_source)). The
//! library itself starts no process and knows no version control: the command line gives it a source that asks git.
//!
//! What a source answers is hashed before it is believed.

use std::fmt;
use std::path::Path;

use crate::entry::Entry;
use crate::keep;
use crate::version::{Expect, Version};

/// Somebody who may know former versions of a file.
pub trait BaseSource: fmt::Debug + Send + Sync {
    /// What it is called in messages: `the history of git`.
    fn name(&self) -> String;

    /// The bytes of a version of the file that `wanted` admits, or `None`. Called without any lock, before a conflicting write is merged.
    ///
    /// # Errors
    /// Why it could not be found out, as a sentence without a full stop. The other sources are asked all the same.
    fn find(&self, path: &Path, wanted: &Expect) -> Result<Option<Vec<u8>>, String>;
}

/// Where a base was looked for in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Looked {
    /// What was asked: `the kept versions`, `the history of git`.
    pub place: String,
    /// Why it could not answer, if it could not.
    pub problem: Option<String>,
}

impl fmt::Display for Looked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Some(problem) => write!(f, "{} ({problem})", self.place),
            None => f.write_str(&self.place),
        }
    }
}

/// Looks everywhere for a version that `wanted` admits. The places, if it is nowhere.
pub(crate) fn find(entry: &Entry, wanted: &Expect) -> Result<Vec<u8>, Vec<Looked>> {
    let mut looked = Vec::new();
    if entry.history().is_some() {
        match keep::find(entry, wanted) {
            Some(bytes) if wanted.admits(Some(&Version::of(&bytes))) => return Ok(bytes),
            _ => looked.push(Looked { place: "the kept versions".to_owned(), problem: None }),
        }
    }
    for source in &entry.parts().base_sources {
        match source.find(&entry.place().path, wanted) {
            Ok(Some(bytes)) if wanted.admits(Some(&Version::of(&bytes))) => return Ok(bytes),
            Ok(_) => looked.push(Looked { place: source.name(), problem: None }),
            Err(problem) => looked.push(Looked { place: source.name(), problem: Some(problem) }),
        }
    }
    Err(looked)
}
