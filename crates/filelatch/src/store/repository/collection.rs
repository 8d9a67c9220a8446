//! One file for all records: a change is a change of the document, which touches the bytes of the changed records only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::{Map, Value};

use super::ground::{Ground, Sheet, VERSION};
use super::transaction::{Source, Staged};
use crate::doc::{DocError, Document};
use crate::error::{Error, Result};
use crate::file::LatchFile;
use crate::lock::{LockOptions, Wait};
use crate::record_guard::RecordGuard;
use crate::version::Version;
use crate::write_path::Written;

/// After so many searches by key all records are indexed.
const FEW: u32 = 16;
/// A change of more records is made in one go.
const MANY: usize = 32;
/// Longer than this nobody has the whole file's lock while single records are changed: somebody holds a record.
const BRIEF: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Collection {
    pub(super) file: LatchFile,
    /// What was read last.
    read: Mutex<Option<Arc<Reading>>>,
}

/// The collection as it was at one moment.
#[derive(Debug)]
pub(super) struct Reading {
    version: Version,
    document: Document,
    index: Index,
}

/// What is known of the records of a document.
#[derive(Debug, Default)]
struct Index {
    /// The version that they were written in.
    written_in: u64,
    searched: AtomicU32,
    all: OnceLock<BTreeMap<String, Value>>,
}

/// The records of a document.
pub(super) struct View<'a> {
    sheet: Sheet<'a>,
    index: &'a Index,
}

/// Why a change did not come to its end.
pub(super) enum Stop<R, E> {
    Own(Error),
    Callers(E),
    /// There is nothing to be written.
    Idle(R),
}

impl<R, E> From<Error> for Stop<R, E> {
    fn from(error: Error) -> Self {
        Stop::Own(error)
    }
}

impl Index {
    fn of(sheet: &Sheet<'_>) -> Result<Index> {
        Ok(Index { written_in: sheet.version()?, ..Index::default() })
    }
}

impl View<'_> {
    fn load(&self) -> Result<&BTreeMap<String, Value>, DocError> {
        if let Some(all) = self.index.all.get() {
            return Ok(all);
        }
        let all = match self.sheet.document.get(self.sheet.ground.base())? {
            Some(Value::Object(all)) => all.into_iter().collect(),
            _ => BTreeMap::new(),
        };
        Ok(self.index.all.get_or_init(|| all))
    }

    fn newest(&self, id: &str, value: Value) -> Result<Value> {
        self.sheet.migrated(id, self.index.written_in, value)
    }
}

impl View<'_> {
    fn search(&self, id: &str) -> Result<Option<Value>> {
        // Two records of one id are an error for those who ask for all; the others can be had one by one.
        let indexed = if self.index.searched.fetch_add(1, Ordering::Relaxed) < FEW {
            self.index.all.get()
        } else {
            self.load().ok()
        };
        match indexed {
            Some(all) => Ok(all.get(id).cloned()),
            None => self.sheet.document.get(&self.sheet.place(id)).map_err(|e| self.sheet.document_error(e)),
        }
    }
}

impl Source for View<'_> {
    fn find(&self, id: &str) -> Result<Option<Value>> {
        self.search(id)?.map(|value| self.newest(id, value)).transpose()
    }

    fn exists(&self, id: &str) -> Result<bool> {
        Ok(self.search(id)?.is_some())
    }

    fn all(&self) -> Result<BTreeMap<String, Value>> {
        let all = self.load().map_err(|e| self.sheet.document_error(e))?;
        all.iter().map(|(id, value)| Ok((id.clone(), self.newest(id, value.clone())?))).collect()
    }

    fn unreadable(&self, id: &str, source: &DocError) -> Error {
        self.sheet.unreadable(id, source)
    }
}

impl Reading {
    pub(super) fn view<'a>(&'a self, ground: &'a Ground) -> View<'a> {
        View { sheet: Sheet { ground, path: &ground.path, document: &self.document }, index: &self.index }
    }

    /// The ids as they are written; one that stands twice is there once.
    pub(super) fn ids(&self, ground: &Ground) -> Result<BTreeSet<String>> {
        let keys = self.document.keys(ground.base());
        let keys = keys.map_err(|source| Error::Document { path: ground.path.clone(), source })?;
        Ok(keys.unwrap_or_default().into_iter().collect())
    }
}

impl Collection {
    pub(super) fn new(file: LatchFile) -> Self {
        Collection { file, read: Mutex::default() }
    }

    /// What is there now; `None`: no file.
    pub(super) fn read(&self, ground: &Ground) -> Result<Option<Arc<Reading>>> {
        let Some(snapshot) = self.file.try_read()? else { return Ok(None) };
        // Not waited for: in a forked child nobody would release it.
        if let Ok(read) = self.read.try_lock()
            && let Some(read) = read.as_ref().filter(|read| read.version == snapshot.version())
        {
            return Ok(Some(Arc::clone(read)));
        }
        let wrong = |source| Error::Document { path: ground.path.clone(), source };
        let document = Document::parse(snapshot.bytes(), ground.format).map_err(wrong)?;
        let index = Index::of(&Sheet { ground, path: &ground.path, document: &document })?;
        let reading = Arc::new(Reading { version: snapshot.version(), document, index });
        if let Ok(mut read) = self.read.try_lock() {
            *read = Some(Arc::clone(&reading));
        }
        Ok(Some(reading))
    }

    /// Changes records under the file's lock. `only`: the one record that is meant.
    ///
    /// Who changes a single record does not wait for long for those who hold others: then the record's own lock is taken.
    pub(super) fn change<R, E: From<Error>>(
        &self,
        ground: &Ground,
        lock: &LockOptions<'_>,
        only: Option<&str>,
        mut decide: impl FnMut(&dyn Source) -> Result<(Staged, R), E>,
    ) -> Result<(Option<Written>, R), E> {
        let options = ground.writing(lock, Value::Object(Map::new()));
        let mut body = |document: &mut Document| body(ground, document, &mut decide);
        let parts = Arc::clone(self.file.entry()?.parts());
        let began = parts.host.monotonic();
        let wait = options.lock.wait.unwrap_or(self.file.policy().wait);
        let left = || wait.after(parts.host.monotonic().saturating_sub(began));
        let Some(id) = only else {
            return ended(self.file.update_document(&options, body));
        };
        let brief = match wait.limit() {
            Some(limit) if limit <= BRIEF => wait,
            _ => Wait::For(BRIEF),
        };
        let brief = options.clone().lock(options.lock.clone().wait(brief));
        match self.file.update_document(&brief, &mut body) {
            Err(Stop::Own(Error::Timeout { .. } | Error::Locked { .. } | Error::Reentrant { .. })) => {}
            Err(Stop::Own(Error::Leased { .. })) => {
                let patient = options.clone().lock(options.lock.clone().wait(left()));
                return ended(self.file.update_document(&patient, &mut body));
            }
            done => return ended(done),
        }
        let record = self.file.lock_record(id, &options.lock.clone().wait(left()))?;
        let patient = options.clone().lock(options.lock.clone().wait(left()));
        ended(record.update_document(&patient, body))
    }

    /// Changes a record under the lock of it.
    pub(super) fn change_held<R, E: From<Error>>(
        ground: &Ground,
        guard: &RecordGuard,
        decide: impl FnOnce(&dyn Source) -> Result<(Staged, R), E>,
    ) -> Result<(Option<Written>, R), E> {
        let options = ground.writing(&LockOptions::new(), Value::Object(Map::new()));
        ended(guard.update_document(&options, |document| body(ground, document, decide)))
    }
}

fn ended<R, E: From<Error>>(result: Result<(Written, R), Stop<R, E>>) -> Result<(Option<Written>, R), E> {
    match result {
        Ok((written, result)) => Ok((Some(written), result)),
        Err(Stop::Idle(result)) => Ok((None, result)),
        Err(Stop::Own(error)) => Err(error.into()),
        Err(Stop::Callers(error)) => Err(error),
    }
}

fn body<R, E: From<Error>>(
    ground: &Ground,
    document: &mut Document,
    decide: impl FnOnce(&dyn Source) -> Result<(Staged, R), E>,
) -> Result<R, Stop<R, E>> {
    let sheet = Sheet { ground, path: &ground.path, document };
    let index = Index::of(&sheet)?;
    let (staged, result) = decide(&View { sheet, index: &index }).map_err(Stop::Callers)?;
    if staged.is_empty() {
        return Err(Stop::Idle(result));
    }
    let written_in = index.written_in;
    if document.is_new() || ground.schema.is_old(written_in) || staged.len() > MANY {
        let records = all(&Sheet { ground, path: &ground.path, document }, written_in, staged)?;
        replace(ground, document, records).map_err(|source| wrong(ground, source))?;
    } else {
        edit(ground, document, staged).map_err(|source| wrong(ground, source))?;
    }
    Ok(result)
}

fn wrong(ground: &Ground, source: DocError) -> Error {
    Error::Document { path: ground.path.clone(), source }
}

/// All records in the order of the file, brought up to date, with the changes.
fn all(sheet: &Sheet<'_>, written_in: u64, mut staged: Staged) -> Result<Map<String, Value>> {
    let found = sheet.document.get(sheet.ground.base()).map_err(|e| sheet.document_error(e))?;
    let mut records = Map::new();
    if let Some(Value::Object(found)) = found {
        for (id, value) in found {
            let value = match staged.remove(&id) {
                Some(staged) => staged,
                None => Some(sheet.migrated(&id, written_in, value)?),
            };
            records.extend(value.map(|value| (id, value)));
        }
    }
    records.extend(staged.into_iter().filter_map(|(id, value)| Some((id, value?))));
    Ok(records)
}

fn replace(ground: &Ground, document: &mut Document, records: Map<String, Value>) -> Result<(), DocError> {
    if document.is_new() {
        *document = Document::new_with(&ground.whole(Value::Object(records)), ground.format)?;
        return Ok(());
    }
    document.set(ground.base(), Value::Object(records))?;
    match ground.schema.version {
        Some(version) => document.set(&super::ground::pointer("", VERSION), version.into()),
        None => Ok(()),
    }
}

fn edit(ground: &Ground, document: &mut Document, staged: Staged) -> Result<(), DocError> {
    for (id, value) in staged {
        let place = super::ground::pointer(ground.base(), &id);
        match value {
            Some(value) => document.set(&place, value)?,
            None => drop(document.remove(&place)?),
        }
    }
    Ok(())
}
