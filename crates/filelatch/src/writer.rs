//! The streaming writer: content of any size, published whole or not at all.

use std::io;
use std::sync::Arc;

use filelatch_fs::fs::read_to_end;

use crate::audit::trail::Passage;
use crate::entry::{Entry, Extra};
use crate::error::{Error, Result};
use crate::file::{LatchFile, WriteOptions};
use crate::guard::Guard;
use crate::lock::LockOptions;
use crate::policy::Strategy;
use crate::snapshot::Content;
use crate::update::combine::Ended;
use crate::version::{Expect, Version};
use crate::write::Durability;
use crate::write::publish::Base;
use crate::write::temp::Temp;
use crate::write_path::Written;

/// Collects content in a temporary file beside the target. Dropped without [`FileWriter::commit`], it leaves no trace.
///
/// No lock is held while content is written, only during the commit.
#[must_use = "content is published by `commit` only"]
#[derive(Debug)]
pub struct FileWriter {
    file: LatchFile,
    entry: Arc<Entry>,
    temp: Temp,
    expect: Expect,
    base: Option<Arc<[u8]>>,
    strategy: Strategy,
    durability: Durability,
    session: Option<Arc<str>>,
}

/// A commit that failed; the content is still there for another try.
#[derive(Debug)]
pub struct CommitError {
    /// Why.
    pub error: Error,
    /// The writer; `None` when the content was used up on the way.
    pub writer: Option<Box<FileWriter>>,
}

impl From<CommitError> for Error {
    fn from(failed: CommitError) -> Error {
        failed.error
    }
}

impl FileWriter {
    pub(crate) fn new(file: LatchFile, entry: Arc<Entry>, options: &WriteOptions<'_>) -> Result<FileWriter> {
        let replaces = entry.current()?.is_some();
        let mut temp = Temp::create(entry.parts(), entry.place(), entry.readers(replaces))
            .map_err(|e| Error::io("write a new version of", &entry.place().spelled, e))?;
        let durability = options.durability.unwrap_or(entry.policy.durability);
        let strategy = options.strategy.unwrap_or(entry.policy.strategy);
        let (expect, base, session) = (options.expect.clone(), options.base.clone(), options.session.clone());
        if let Some(session) = &session {
            temp.written_by(session);
        }
        Ok(FileWriter { file, entry, temp, expect, base, strategy, durability, session })
    }

    /// Version of what was written so far.
    pub fn version(&self) -> Version {
        self.temp.version()
    }

    /// Publishes the content under the exclusive lock, if the file is what the options of [`LatchFile::writer`] expect. With
    /// [`Strategy::Merge`] the content is read into memory and written as [`LatchFile::write`] does; [`Error::TooLarge`] when it is
    /// longer than the engine reads.
    ///
    /// # Errors
    /// Hands the writer back where that is possible, so that the caller may try again.
    pub fn commit(self, lock: &LockOptions<'_>) -> Result<Written, CommitError> {
        let back = |writer, error| CommitError { error, writer: Some(Box::new(writer)) };
        match self.file.clone().hold_to_write(lock) {
            Ok(held) if self.strategy == Strategy::Merge => self.merge_under(&Guard::new(held)),
            Ok(held) => self.commit_under(&Guard::new(held)),
            Err(error) => Err(back(self, error)),
        }
    }

    fn merge_under(self, guard: &Guard) -> Result<Written, CommitError> {
        let limit = self.entry.read_limit;
        let read = self.temp.file().and_then(|file| read_to_end(file, limit));
        let path = &self.entry.place().spelled;
        let written = read.map_err(|e| match e.kind() {
            io::ErrorKind::FileTooLarge => Error::TooLarge { path: path.clone(), limit },
            _ => Error::io("read the new version of", path, e),
        });
        let options = WriteOptions {
            expect: self.expect.clone(),
            strategy: Some(self.strategy),
            base: self.base.clone(),
            durability: Some(self.durability),
            session: self.session.clone(),
            ..WriteOptions::default()
        };
        let written = written.and_then(|bytes| guard.write(&bytes, &options));
        written.map_err(|error| CommitError { error, writer: Some(Box::new(self)) })
    }

    fn commit_under(self, guard: &Guard) -> Result<Written, CommitError> {
        let place = self.entry.place();
        let back = |writer: FileWriter, error| CommitError { error, writer: Some(Box::new(writer)) };
        let old = match self.entry.current() {
            Ok(old) => old,
            Err(error) => return Err(back(self, error)),
        };
        let mut content = Content::new(Vec::new());
        if let Some(old) = old.as_ref().filter(|_| self.expect != Expect::Any) {
            content = match old.read(place, self.entry.read_limit) {
                Ok(bytes) => Content::new(bytes),
                Err(error) => return Err(back(self, error)),
            };
        }
        let version = old.as_ref().map(|_| content.version());
        if self.expect != Expect::Any && !self.expect.admits(version.as_ref()) {
            let error = self.entry.conflict(&self.expect, version, old.as_ref());
            return Err(back(self, error));
        }
        let base = match &old {
            None => Base::Absent,
            Some(old) if self.expect == Expect::Any => Base::Unchecked(Some(old)),
            Some(old) => Base::Bytes(old, &content),
        };
        let entry = Arc::clone(&self.entry);
        entry.register(self.session.as_deref());
        let passage = Passage { by: self.session, ..Passage::default() };
        let extra = Extra { passage: Some(&passage), ..Extra::default() };
        let published = entry.publish(guard.tenure(), self.temp, &base, self.durability, &extra);
        let published = published.map_err(|error| CommitError { error, writer: None })?;
        let ended = Ended {
            version: Some(published.version),
            unchanged: false,
            created: old.is_none(),
            last: true,
            superseded: false,
            notices: published.notices,
            displaced: None,
        };
        Ok(Written::of(&ended))
    }
}

impl io::Write for FileWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.temp.append(buf)?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
