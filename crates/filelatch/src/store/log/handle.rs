//! The handle on a log.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::IgnoredAny;

use super::core::Core;
use super::line::{self, RECORD_LIMIT};
use super::segment::beside;
use crate::engine::Filelatch;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::file::LatchFile;
use crate::lock::LockOptions;
use crate::store::StoreError;
use crate::write::Durability;

/// A log, from [`Filelatch::log`]. The file need not exist: the first append makes it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Log {
    pub(super) file: LatchFile,
}

/// When a log is compacted by itself. The default: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Triggers {
    /// The file, without its snapshot, is longer than so many bytes.
    pub bytes: Option<u64>,
    /// So long ago its first record was written.
    pub age: Option<Duration>,
}

/// Options of an append.
#[derive(Clone, Debug, Default)]
pub struct LogOptions<'a> {
    /// What the records have survived when the call returns; else as the policy says. There is nothing between "in the file" and
    /// "durable": [`Durability::File`] is [`Durability::Full`] here.
    pub durability: Option<Durability>,
    /// How to wait for the lock; else as the policy says.
    pub lock: LockOptions<'a>,
    /// When the log is compacted after the append. That a compaction fails is no error of the append; the next one tries again, and
    /// [`Log::compact`] tells why.
    pub compact_when: Triggers,
}

impl Filelatch {
    /// A handle on a log.
    pub fn log(&self, path: impl AsRef<Path>) -> Result<Log> {
        Ok(Log { file: self.file(path)? })
    }
}

impl Log {
    /// The log, as it was asked for.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The log as a file, for its locks.
    pub fn file(&self) -> &LatchFile {
        &self.file
    }

    pub(super) fn entry(&self) -> Result<Arc<Entry>> {
        self.file.entry()
    }

    /// A file beside it, for its lock.
    pub(super) fn engine_file(&self, name: &OsStr) -> Result<LatchFile> {
        self.file.engine().file(self.file.canonical_path().with_file_name(name))
    }

    /// In a forked child it begins afresh.
    pub(super) fn core(entry: &Entry) -> &Core {
        entry.log.get_or_init(|| Core::new(Arc::clone(entry.parts()), entry.place().clone()))
    }

    /// Appends one record, any JSON value without a newline in it; it is kept byte for byte. Answers its offset.
    ///
    /// The record is there whole or not at all, after everything that had been acknowledged before, and when the call returns it survives
    /// kills and, unless less was asked for, power cuts. Appends of other threads and processes share its sync.
    pub fn append(&self, record: &[u8], options: &LogOptions<'_>) -> Result<u64> {
        Ok(self.append_many([record], options)?.first().copied().unwrap_or_default())
    }

    /// Appends a value as JSON.
    pub fn append_json<T: Serialize + ?Sized>(&self, value: &T, options: &LogOptions<'_>) -> Result<u64> {
        let record =
            serde_json::to_vec(value).map_err(|e| self.invalid(format!("the value cannot be written as JSON: {e}")))?;
        self.append(&record, options)
    }

    /// Appends several records by one write, one after the other with nothing in between. A kill, a power cut or a full disk may leave
    /// the first of them without the rest; an error then says so, and what is there can be read.
    pub fn append_many<'r>(
        &self,
        records: impl IntoIterator<Item = &'r [u8]>,
        options: &LogOptions<'_>,
    ) -> Result<Vec<u64>> {
        let mut bytes = Vec::new();
        let mut places = Vec::new();
        for record in records {
            self.check(record)?;
            places.push(bytes.len() as u64);
            line::append(&mut bytes, record);
        }
        if places.is_empty() {
            return Ok(places);
        }
        let entry = self.entry()?;
        let durability = options.durability.unwrap_or(entry.policy.durability);
        let core = Log::core(&entry);
        let first = core.append(&self.file, &options.lock, bytes, durability != Durability::None)?;
        self.compact_if(options.compact_when, &options.lock).ok();
        Ok(places.into_iter().map(|place| first + place).collect())
    }

    /// Is the file there, or its snapshot?
    pub fn exists(&self) -> Result<bool> {
        let entry = self.entry()?;
        let place = entry.place();
        let is_there = |name: &OsStr| match place.dir.stat(name) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(Error::io("examine", &place.spelled, e)),
        };
        Ok(is_there(&place.name)? || is_there(&beside(place, super::SNAPSHOT))?)
    }

    /// Can this be a record? Else an error that says why not.
    pub fn check(&self, record: &[u8]) -> Result<()> {
        if record.len() > RECORD_LIMIT {
            return Err(self.invalid(format!("the record has {} bytes", record.len())));
        }
        if record.contains(&b'\n') {
            return Err(self.invalid("the record has a newline in it".to_owned()));
        }
        let text = std::str::from_utf8(record).map_err(|e| self.invalid(format!("the record is not UTF-8: {e}")))?;
        // Skips without recursion, however deep it goes.
        serde_json::from_str::<IgnoredAny>(text)
            .map(drop)
            .map_err(|e| self.invalid(format!("the record is not JSON: {e}")))
    }

    fn invalid(&self, problem: String) -> Error {
        let hint = format!("a record is one JSON value on one line, at most {} MiB long", RECORD_LIMIT >> 20);
        Error::Store { path: self.path().to_owned(), source: StoreError::Invalid { problem, hint } }
    }
}
