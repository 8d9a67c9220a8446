//! Doors for the fuzz targets to what is private (feature `fuzzing`). Not part of the API; anything here may change at any time.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use crate::doc::{DocError, Document};
use crate::lease::record as lease;
use crate::lock::{held, record};
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

/// The head of a fallback lock: its record and the heartbeat behind it.
pub fn held(bytes: &[u8]) -> (Option<Record>, Vec<u8>) {
    let (record, beat) = held::read(bytes.to_vec());
    (record.map(|record| Record(Box::new(record))), beat)
}

/// A fallback lock as it is made, and what its first bytes become when it can be given back only in words.
pub fn held_written(record: &Record) -> (Vec<u8>, Vec<u8>) {
    let (bytes, beat_at) = held::written(&record.0);
    (bytes, held::given_back(&record.0, beat_at))
}

impl Record {
    /// The number of its tenure.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Was it given back?
    pub fn is_released(&self) -> bool {
        self.0.released
    }
}

/// The name of the right over a tenure of a file's fallback lock.
pub fn right_name(name: &OsStr, id: &str) -> OsString {
    path::right_name(&path::held_name(&lock_name(name)), id)
}

/// A lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease(lease::LeaseRecord);

/// What a lease file is taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseContent {
    /// A lease.
    Lease(Lease),
    /// Ours, and unreadable.
    Damaged,
    /// Of a later version.
    Newer,
    /// Somebody else's file.
    Foreign,
}

impl Lease {
    /// Reads a lease file.
    pub fn find(bytes: &[u8]) -> LeaseContent {
        match lease::LeaseRecord::find(bytes) {
            lease::Content::Record(record) => LeaseContent::Lease(Lease(*record)),
            lease::Content::Damaged => LeaseContent::Damaged,
            lease::Content::Newer(_) => LeaseContent::Newer,
            lease::Content::Foreign => LeaseContent::Foreign,
        }
    }

    /// The line of its file.
    pub fn line(&self) -> Vec<u8> {
        self.0.line()
    }

    /// The number that only grows.
    pub fn token(&self) -> u64 {
        self.0.token
    }

    /// When it is over for its holder and for others, on the clock of its boot.
    pub fn ends(&self) -> [Duration; 2] {
        [self.0.until(), self.0.expires()]
    }

    /// The same lease from now on.
    #[must_use]
    pub fn renewed(&self, now: Duration) -> Lease {
        Lease(self.0.renewed(now))
    }

    /// The same lease, given back.
    #[must_use]
    pub fn given_back(&self) -> Lease {
        Lease(self.0.given_back())
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
