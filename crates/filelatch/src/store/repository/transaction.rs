//! Several records in one step: what was read, and what is to become of it.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ground::{Ground, version_of};
use crate::doc::{self, DocError};
use crate::error::{Conflict, Error, Result};
use crate::version::{Expect, Version};
use crate::write::Author;

use super::super::StoreError;

/// A record, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<T> {
    /// Its id.
    pub id: String,
    /// What is stored under it.
    pub value: T,
    /// The hash of what is stored, whatever its formatting; for [`save_if`](super::Repository::save_if).
    pub version: Version,
}

/// Where records are read from.
pub(super) trait Source {
    /// A record's value in the newest version; `None`: there is none.
    fn find(&self, id: &str) -> Result<Option<Value>>;

    /// Is there a record, whatever is in it?
    fn exists(&self, id: &str) -> Result<bool>;

    /// All records, by id.
    fn all(&self) -> Result<BTreeMap<String, Value>>;

    /// The error for a value that is not of the program's type.
    fn unreadable(&self, id: &str, source: &DocError) -> Error;
}

/// What becomes of records; `None`: it is removed.
pub(super) type Staged = BTreeMap<String, Option<Value>>;

/// What [`Repository::modify`](super::Repository::modify) works on: the newest records, and the changes made so far. Nothing of it is
/// written before the closure has returned, and nothing at all if it returns an error.
pub struct Transaction<'t, T> {
    ground: &'t Ground,
    source: &'t dyn Source,
    staged: Staged,
    of: PhantomData<fn(T) -> T>,
}

impl<'t, T> Transaction<'t, T> {
    pub(super) fn new(ground: &'t Ground, source: &'t dyn Source) -> Self {
        Transaction { ground, source, staged: Staged::new(), of: PhantomData }
    }

    pub(super) fn into_staged(self) -> Staged {
        self.staged
    }

    fn now(&self, id: &str) -> Result<Option<Value>> {
        match self.staged.get(id) {
            Some(staged) => Ok(staged.clone()),
            None => self.source.find(id),
        }
    }
}

impl<T: Serialize + DeserializeOwned> Transaction<'_, T> {
    fn read(&self, id: &str, value: &Value) -> Result<T> {
        doc::from_value(value).map_err(|source| self.source.unreadable(id, &source))
    }

    fn record(&self, id: &str, value: &Value) -> Result<Record<T>> {
        Ok(Record { id: id.to_owned(), value: self.read(id, value)?, version: version_of(value) })
    }

    /// The record of this id; it is an error if there is none.
    pub fn get(&self, id: &str) -> Result<T> {
        self.try_get(id)?.ok_or_else(|| self.ground.missing(id))
    }

    /// The record of this id; `None`: there is none.
    pub fn try_get(&self, id: &str) -> Result<Option<T>> {
        Ok(self.find(id)?.map(|record| record.value))
    }

    /// The record of this id with its version; `None`: there is none.
    pub fn find(&self, id: &str) -> Result<Option<Record<T>>> {
        self.now(id)?.map(|value| self.record(id, &value)).transpose()
    }

    /// Is there a record of this id, readable or not?
    pub fn exists(&self, id: &str) -> Result<bool> {
        match self.staged.get(id) {
            Some(staged) => Ok(staged.is_some()),
            None => self.source.exists(id),
        }
    }

    /// All records, by id.
    pub fn list(&self) -> Result<Vec<Record<T>>> {
        self.values()?.iter().map(|(id, value)| self.record(id, value)).collect()
    }

    /// The records that `wanted` says yes to, by id.
    pub fn filter(&self, mut wanted: impl FnMut(&str, &T) -> bool) -> Result<Vec<Record<T>>> {
        let mut records = self.list()?;
        records.retain(|record| wanted(&record.id, &record.value));
        Ok(records)
    }

    fn values(&self) -> Result<BTreeMap<String, Value>> {
        let mut values = self.source.all()?;
        for (id, staged) in &self.staged {
            match staged {
                Some(value) => values.insert(id.clone(), value.clone()),
                None => values.remove(id),
            };
        }
        Ok(values)
    }

    /// Adds a record; it is an error if there is one of this id, readable or not.
    pub fn insert(&mut self, id: &str, record: &T) -> Result<Version> {
        self.ground.check(id)?;
        if self.exists(id)? {
            return Err(self.ground.refused(StoreError::Exists { what: "record", id: id.to_owned() }));
        }
        self.put(id, None, record)
    }

    /// Adds a record, or changes the one of this id to it. Fields that are stored and that the type does not know stay. What is stored and
    /// can't be read as the type is not overwritten.
    pub fn save(&mut self, id: &str, record: &T) -> Result<Version> {
        self.ground.check(id)?;
        let current = self.now(id)?;
        if let Some(current) = &current {
            self.read(id, current)?;
        }
        self.put(id, current.as_ref(), record)
    }

    /// Saves a record if what is stored is what is expected; else [`Error::Conflict`].
    pub fn save_if(&mut self, id: &str, expected: &Expect, record: &T) -> Result<Version> {
        self.ground.check(id)?;
        let current = self.now(id)?.as_ref().map(version_of);
        if !expected.admits(current.as_ref()) {
            return Err(self.conflict(id, expected, current));
        }
        self.save(id, record)
    }

    /// Changes a record; it is an error if there is none. An error of the closure leaves it as it was.
    pub fn update<R, E: From<Error>>(&mut self, id: &str, change: impl FnOnce(&mut T) -> Result<R, E>) -> Result<R, E> {
        let current = self.now(id)?.ok_or_else(|| self.ground.missing(id))?;
        let mut record = self.read(id, &current)?;
        let result = change(&mut record)?;
        self.put(id, Some(&current), &record)?;
        Ok(result)
    }

    /// Removes a record, readable or not; false: there was none.
    pub fn delete(&mut self, id: &str) -> Result<bool> {
        let found = self.exists(id)?;
        if found {
            self.staged.insert(id.to_owned(), None);
        }
        Ok(found)
    }

    /// Gives a record another id, as it is stored, readable or not; it is an error if there is none, or one of the other id.
    pub fn rename(&mut self, id: &str, to: &str) -> Result<()> {
        self.ground.check(to)?;
        let value = self.now(id)?.ok_or_else(|| self.ground.missing(id))?;
        if id == to {
            return Ok(());
        }
        if self.exists(to)? {
            return Err(self.ground.refused(StoreError::Exists { what: "record", id: to.to_owned() }));
        }
        self.staged.insert(id.to_owned(), None);
        self.staged.insert(to.to_owned(), Some(value));
        Ok(())
    }

    fn put(&mut self, id: &str, current: Option<&Value>, record: &T) -> Result<Version> {
        let value = self.ground.stored(id, current, record)?;
        let version = version_of(&value);
        self.staged.insert(id.to_owned(), Some(value));
        Ok(version)
    }

    fn conflict(&self, id: &str, expected: &Expect, current: Option<Version>) -> Error {
        let mut path = self.ground.path.clone().into_os_string();
        path.push(format!("#{id}"));
        Error::Conflict(Box::new(Conflict {
            path: path.into(),
            expected: expected.clone(),
            current,
            last_modified_by: Author::default(),
            last_modified_at: None,
            kept: None,
            unmerged: None,
        }))
    }
}

impl<T> std::fmt::Debug for Transaction<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction").field("path", &self.ground.path).field("staged", &self.staged).finish()
    }
}

/// No records at all.
pub(super) struct Nothing;

impl Source for Nothing {
    fn find(&self, _: &str) -> Result<Option<Value>> {
        Ok(None)
    }

    fn exists(&self, _: &str) -> Result<bool> {
        Ok(false)
    }

    fn all(&self) -> Result<BTreeMap<String, Value>> {
        Ok(BTreeMap::new())
    }

    fn unreadable(&self, _: &str, source: &DocError) -> Error {
        Error::Document { path: std::path::PathBuf::new(), source: source.clone() }
    }
}
