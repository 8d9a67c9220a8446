//! Doors for the fuzz targets to what is private (feature `fuzzing`). Not part of the API; anything here may change at any time.

use std::ffi::{OsStr, OsString};

use crate::doc::{DocError, Document};
use crate::lock::record;
use crate::path;
use crate::write::attribution::Attribution;

/// A lock file's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record(Box<record::Record>);

/// What the head of a lock file is taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// A record.
    Record(Record),
    /// Ours, without a readable record.
    Damaged,
    /// Somebody else's file.
    Foreign,
}

impl Record {
    /// Reads the head of a lock file of `size` bytes.
    pub fn find(head: &[u8], size: u64) -> Head {
        match record::Record::find(head, size) {
            record::Found::Record(record) => Head::Record(Record(record)),
            record::Found::Damaged => Head::Damaged,
            record::Found::Foreign => Head::Foreign,
        }
    }

    /// The line that would be written over one of `len` bytes.
    pub fn line(&self, len: usize) -> Vec<u8> {
        self.0.line(len)
    }

    /// The fields that a long line is shortened in: session and purpose.
    pub fn shortened(&mut self) -> [&mut String; 2] {
        [&mut self.0.session, &mut self.0.purpose]
    }
}

/// Lock files that are as large as this are not ours.
pub const RECORD_LIMIT: usize = record::RECORD_LIMIT;

/// The hidden lock file's name.
pub fn lock_name(name: &OsStr) -> OsString {
    crate::LockFileName::Hidden.of(name)
}

/// The file whose hidden lock file is called so, if it can be one.
pub fn locked_by(entry: &OsStr) -> Option<OsString> {
    path::locked_by(entry)
}

/// A temporary file's name.
pub fn temp_name(name: &OsStr, pid: u32, random: u64) -> OsString {
    path::temp_name(name, pid, random)
}

/// Is `entry` the name of a temporary file beside `name`?
pub fn is_temp_of(entry: &OsStr, name: &OsStr) -> bool {
    path::is_temp_of(entry, name)
}

/// An attribution, read and written again; `None` if it is not one.
pub fn attribution(text: &[u8]) -> Option<String> {
    Attribution::parse(text).map(|attribution| attribution.text())
}

/// Renders the document and makes it the document of the rendered bytes, if it can.
pub fn settle(document: &mut Document) -> Result<(Vec<u8>, bool), DocError> {
    document.settle().map(|(bytes, settled)| (bytes.to_vec(), settled))
}
