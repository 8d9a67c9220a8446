//! The lock on one record, and what is done under it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::handle::Repository;
use super::transaction::Record;
use crate::error::{Error, Result};
use crate::guard::Guard;
use crate::record_guard::RecordGuard;
use crate::version::Version;

/// The lock on one record, from [`Repository::lock_record`]. Dropping it releases the lock at once.
///
/// The record is read and changed through it; calls of the repository for this record would wait for it, and are refused
/// ([`Error::Reentrant`]) on the thread that has it. So is [`Repository::modify`], which waits for all who hold a record.
#[must_use = "dropping the guard releases the lock at once"]
#[derive(Debug)]
pub struct RecordLock<T> {
    repository: Repository<T>,
    id: String,
    guard: Held,
}

/// What is locked for it.
#[derive(Debug)]
pub(super) enum Held {
    Record(RecordGuard),
    File(Guard),
}

impl<T: Serialize + DeserializeOwned> RecordLock<T> {
    pub(super) fn new(repository: Repository<T>, id: String, guard: Held) -> Self {
        RecordLock { repository, id, guard }
    }

    /// The record's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Does the lock still protect the record?
    pub fn is_held(&self) -> bool {
        match &self.guard {
            Held::Record(guard) => guard.is_held(),
            Held::File(guard) => guard.is_held(),
        }
    }

    /// The record as it is; it is an error if there is none.
    pub fn get(&self) -> Result<T> {
        self.repository.get(&self.id)
    }

    /// The record as it is; `None`: there is none.
    pub fn try_get(&self) -> Result<Option<T>> {
        self.repository.try_get(&self.id)
    }

    /// The record as it is, with its version; `None`: there is none.
    pub fn find(&self) -> Result<Option<Record<T>>> {
        self.repository.find(&self.id)
    }

    /// Adds the record, or changes it, as [`Repository::save`] does.
    pub fn save(&self, record: &T) -> Result<Version> {
        self.repository.change_held(&self.id, &self.guard, |records| records.save(&self.id, record))
    }

    /// Changes the record, as [`Repository::update`] does, but once.
    pub fn update<R, E: From<Error>>(&self, change: impl FnOnce(&mut T) -> Result<R, E>) -> Result<R, E> {
        self.repository.change_held(&self.id, &self.guard, |records| records.update(&self.id, change))
    }

    /// Removes the record; false: there was none.
    pub fn delete(&self) -> Result<bool> {
        self.repository.change_held(&self.id, &self.guard, |records| records.delete(&self.id))
    }

    /// Releases the lock; the same as dropping, but says so.
    pub fn release(self) {
        drop(self);
    }
}
