//! The repository and its calls.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::collection::Collection;
use super::directory::Directory;
use super::ground::Ground;
use super::options::{Layout, RepositoryOptions};
use super::record_lock::{Held, RecordLock};
use super::transaction::{Nothing, Record, Source, Staged, Transaction};
use crate::engine::Filelatch;
use crate::error::{Error, Result};
use crate::lock::LockOptions;
use crate::version::{Expect, Version};
use crate::write::Notice;

/// Typed records in a file, or in files of their own; see [`repository`](crate::store::repository). Cheap to clone.
pub struct Repository<T> {
    inner: Arc<Inner>,
    of: PhantomData<fn(T) -> T>,
}

#[derive(Debug)]
struct Inner {
    ground: Ground,
    records: Records,
}

#[derive(Debug)]
enum Records {
    Collection(Collection),
    Directory(Directory),
}

/// What is there, where not all of it can be read ([`Repository::survey`]).
#[derive(Debug)]
pub struct Survey<R> {
    /// What can be read, by id.
    pub intact: Vec<R>,
    /// The ids of the others, and why they can't.
    pub damaged: Vec<(String, Error)>,
}

impl<R> Default for Survey<R> {
    fn default() -> Self {
        Survey { intact: Vec::new(), damaged: Vec::new() }
    }
}

impl<R> Survey<R> {
    pub(in crate::store) fn map<S>(self, of: impl FnMut(R) -> S) -> Survey<S> {
        Survey { intact: self.intact.into_iter().map(of).collect(), damaged: self.damaged }
    }
}

impl<T: Serialize + DeserializeOwned> Repository<T> {
    /// Opens a repository. Nothing is read or made yet. The file of a collection comes to be with the first change, and its folder must exist;
    /// the folder of records with files of their own comes to be with the first change or lock.
    pub fn open(latch: &Filelatch, path: impl AsRef<Path>, options: &RepositoryOptions) -> Result<Self> {
        let path = path.as_ref();
        let refused = |source| Error::Store { path: path.to_owned(), source };
        let ground = Ground {
            path: path.to_owned(),
            layout: options.layout,
            format: options.format_of(path).map_err(refused)?,
            schema: options.schema.clone(),
            durability: options.durability,
            wait: options.wait,
        };
        let records = match ground.layout {
            Layout::Collection => Records::Collection(Collection::new(latch.file(path)?)),
            Layout::Directory => Records::Directory(Directory::new(latch.clone())),
        };
        Ok(Repository { inner: Arc::new(Inner { ground, records }), of: PhantomData })
    }

    /// The file or folder, as it was asked for.
    pub fn path(&self) -> &Path {
        &self.inner.ground.path
    }

    fn ground(&self) -> &Ground {
        &self.inner.ground
    }

    /// Reads without a lock.
    fn look<R>(&self, look: impl FnOnce(&Transaction<'_, T>) -> Result<R>) -> Result<R> {
        let ground = self.ground();
        match &self.inner.records {
            Records::Collection(collection) => match collection.read(ground)? {
                Some(reading) => look(&Transaction::new(ground, &reading.view(ground))),
                None => look(&Transaction::new(ground, &Nothing)),
            },
            Records::Directory(directory) => look(&Transaction::new(ground, &directory.reader(ground))),
        }
    }

    /// The record of this id; [`NoSuchItem`](crate::store::StoreError::NotFound) if there is none.
    pub fn get(&self, id: &str) -> Result<T> {
        self.look(|records| records.get(id))
    }

    /// The record of this id; `None`: there is none.
    pub fn try_get(&self, id: &str) -> Result<Option<T>> {
        self.look(|records| records.try_get(id))
    }

    /// The record of this id with its version, for [`Repository::save_if`]; `None`: there is none.
    pub fn find(&self, id: &str) -> Result<Option<Record<T>>> {
        self.look(|records| records.find(id))
    }

    /// Is there a record of this id, readable or not?
    pub fn exists(&self, id: &str) -> Result<bool> {
        self.look(|records| records.exists(id))
    }

    /// All records, by id. One that can't be read is an error; [`Repository::survey`] goes on.
    pub fn list(&self) -> Result<Vec<Record<T>>> {
        self.filter(|_, _| true)
    }

    /// The records that `wanted` says yes to, by id.
    pub fn filter(&self, wanted: impl FnMut(&str, &T) -> bool) -> Result<Vec<Record<T>>> {
        self.look(|records| records.filter(wanted))
    }

    /// The records that can be read, and why the others can't. An error is what leaves nothing to be read: a collection that is not JSON
    /// any more, or has a newer version.
    pub fn survey(&self) -> Result<Survey<Record<T>>> {
        let ground = self.ground();
        match &self.inner.records {
            Records::Collection(collection) => match collection.read(ground)? {
                Some(reading) => Ok(self.survey_of(reading.ids(ground)?, &reading.view(ground))),
                None => Ok(Survey::default()),
            },
            Records::Directory(directory) => Ok(self.survey_of(directory.ids(ground)?, &directory.reader(ground))),
        }
    }

    fn survey_of(&self, ids: BTreeSet<String>, source: &dyn Source) -> Survey<Record<T>> {
        let records = Transaction::<T>::new(self.ground(), source);
        let mut survey = Survey::default();
        for id in ids {
            match records.find(&id) {
                Ok(record) => survey.intact.extend(record),
                Err(error) => survey.damaged.push((id, error)),
            }
        }
        survey
    }

    /// Adds a record; it is an error if there is one of this id, readable or not. Answers its version.
    pub fn insert(&self, id: &str, record: &T) -> Result<Version> {
        self.single(id, |records| records.insert(id, record))
    }

    /// Adds a record, or changes the one of this id to it; answers its version. Fields that are stored and that the type does not know
    /// stay. What is stored and can't be read as the type is not overwritten.
    ///
    /// Whatever others saved since it was read is overwritten: [`Repository::update`] changes the newest, [`Repository::save_if`] refuses.
    pub fn save(&self, id: &str, record: &T) -> Result<Version> {
        self.single(id, |records| records.save(id, record))
    }

    /// Saves a record if what is stored is what is expected; else [`Error::Conflict`].
    pub fn save_if(&self, id: &str, expected: &Expect, record: &T) -> Result<Version> {
        self.single(id, |records| records.save_if(id, expected, record))
    }

    /// Changes the newest version of a record, under the lock; it is an error if there is none. An error of the closure leaves it as it
    /// was. The closure may run more than once, when a program that ignores locks writes at the same time.
    pub fn update<R, E: From<Error>>(&self, id: &str, mut change: impl FnMut(&mut T) -> Result<R, E>) -> Result<R, E> {
        self.single(id, |records| records.update(id, &mut change))
    }

    /// Removes a record, readable or not; false: there was none.
    pub fn delete(&self, id: &str) -> Result<bool> {
        self.single(id, |records| records.delete(id))
    }

    /// Reads and changes any number of records in one step, under the lock: the closure sees the newest, and all of its changes are
    /// written, or, after an error of it, a kill or a power cut before the end, none.
    ///
    /// It may run more than once, when a program that ignores locks writes at the same time. It must not call this repository, but what
    /// it is given.
    pub fn modify<R, E: From<Error>>(
        &self,
        change: impl FnMut(&mut Transaction<'_, T>) -> Result<R, E>,
    ) -> Result<R, E> {
        self.modify_with(&LockOptions::new(), change).map(|(_, result)| result)
    }

    /// As [`Repository::modify`]; `lock` says how to wait. Answers also what could not be kept of a replaced file.
    pub fn modify_with<R, E: From<Error>>(
        &self,
        lock: &LockOptions<'_>,
        change: impl FnMut(&mut Transaction<'_, T>) -> Result<R, E>,
    ) -> Result<(Vec<Notice>, R), E> {
        self.change(lock, None, change)
    }

    /// Locks a record, that need not exist: nobody else locks or changes it meanwhile, while others do so with other records. See
    /// [`LatchFile::lock_record`](crate::LatchFile::lock_record) for what fails, and for systems where it is the lock of the whole file.
    pub fn lock_record(&self, id: &str, lock: &LockOptions<'_>) -> Result<RecordLock<T>> {
        self.ground().check(id)?;
        let mut lock = lock.clone();
        lock.wait = lock.wait.or(self.ground().wait);
        let guard = match &self.inner.records {
            Records::Collection(collection) => Held::Record(collection.file.lock_record(id, &lock)?),
            Records::Directory(directory) => Held::File(directory.lock(self.ground(), id, &lock)?),
        };
        Ok(RecordLock::new(self.clone(), id.to_owned(), guard))
    }

    fn single<R, E: From<Error>>(
        &self,
        id: &str,
        change: impl FnMut(&mut Transaction<'_, T>) -> Result<R, E>,
    ) -> Result<R, E> {
        self.ground().check(id)?;
        self.change(&LockOptions::new(), Some(id), change).map(|(_, result)| result)
    }

    fn change<R, E: From<Error>>(
        &self,
        lock: &LockOptions<'_>,
        only: Option<&str>,
        mut change: impl FnMut(&mut Transaction<'_, T>) -> Result<R, E>,
    ) -> Result<(Vec<Notice>, R), E> {
        let ground = self.ground();
        let decide = |source: &dyn Source| self.decide(source, &mut change);
        match (&self.inner.records, only) {
            (Records::Collection(collection), _) => {
                let (written, result) = collection.change(ground, lock, only, decide)?;
                Ok((written.map(|written| written.notices).unwrap_or_default(), result))
            }
            (Records::Directory(directory), Some(id)) => directory.change(ground, lock, id, decide),
            (Records::Directory(directory), None) => directory.modify(ground, lock, decide),
        }
    }

    /// Runs a change on what is there.
    pub(super) fn decide<R, E>(
        &self,
        source: &dyn Source,
        change: impl FnOnce(&mut Transaction<'_, T>) -> Result<R, E>,
    ) -> Result<(Staged, R), E> {
        let mut records = Transaction::new(self.ground(), source);
        let result = change(&mut records)?;
        Ok((records.into_staged(), result))
    }

    /// Changes a record under the lock of it.
    pub(super) fn change_held<R, E: From<Error>>(
        &self,
        id: &str,
        guard: &Held,
        change: impl FnOnce(&mut Transaction<'_, T>) -> Result<R, E>,
    ) -> Result<R, E> {
        let decide = |source: &dyn Source| self.decide(source, change);
        match (&self.inner.records, guard) {
            (Records::Directory(directory), Held::File(guard)) => {
                directory.change_held(self.ground(), guard, id, decide)
            }
            (_, Held::Record(guard)) => Collection::change_held(self.ground(), guard, decide).map(|(_, result)| result),
            (Records::Collection(collection), Held::File(_)) => Err(collection.file.unanswered().into()),
        }
    }

    /// Is it one file?
    pub fn layout(&self) -> Layout {
        self.ground().layout
    }
}

impl<T> Clone for Repository<T> {
    fn clone(&self) -> Self {
        Repository { inner: Arc::clone(&self.inner), of: PhantomData }
    }
}

impl<T> fmt::Debug for Repository<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository").field("path", &self.inner.ground.path).finish_non_exhaustive()
    }
}
