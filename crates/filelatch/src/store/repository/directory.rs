//! One file for each record, in a folder. A change of one record is an ordinary write of its file; a change of several is a write of several
//! files as one ([`many`](crate::many)).
//!
//! # Order of operations of [`Directory::modify`]
//! 1. The closure runs on what is read without locks: this tells which records it looks at.
//! 2. These are locked, in one order, and the closure runs again, on what is there now. Should it look at others this time, the locks are
//!    released, and again with those.
//! 3. What it changed is published under the locks.
//!
//! A closure that lists is answered all records, also those of an unfinished write of several files, so that all are locked, and whole; and so that no two of them add a record that the other should
//! have seen, the lock of a further name, [`LISTED`], excludes them from each other.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::StoreError;
use super::ground::{Ground, Sheet};
use super::id::is_name;
use super::transaction::{Source, Staged};
use crate::doc::{DocError, Document, Format};
use crate::engine::Filelatch;
use crate::error::{Error, Result};
use crate::file::{LatchFile, WriteOptions};
use crate::guard::Guard;
use crate::lock::LockOptions;
use crate::many::intent::{Intents, State, Unreadable};
use crate::many::{FileContent, ManyOptions};
use crate::version::{Expect, Version};
use crate::write::Notice;

/// Who changes several records and has looked at all of them locks this name; there is no such file.
const LISTED: &str = "repository";
/// Most records that one step may look at: each has a lock file that is open meanwhile.
const MOST: usize = 256;
/// Times that a closure is run before it is given up.
const ATTEMPTS: u32 = 100;
/// Intents that are looked at.
const INTENTS: usize = 4096;

#[derive(Debug)]
pub(super) struct Directory {
    latch: Filelatch,
}

/// What becomes of a file.
enum Next {
    Stays,
    Content(Vec<u8>),
    Gone,
}

/// Why a change did not come to its end.
enum Stop<R, E> {
    Own(Error),
    Callers(E),
    /// The file is to go.
    Remove,
    /// Nothing of it is to be written.
    Idle(R),
    /// It looked at records that are not locked.
    Again,
}

impl<R, E> From<Error> for Stop<R, E> {
    fn from(error: Error) -> Self {
        Stop::Own(error)
    }
}

impl<R, E: From<Error>> Stop<R, E> {
    fn told(self, ground: &Ground) -> E {
        match self {
            Stop::Own(error) => error.into(),
            Stop::Callers(error) => error,
            Stop::Remove | Stop::Idle(_) | Stop::Again => {
                let message = "the change was neither made nor refused".to_owned();
                Error::Internal { path: ground.path.clone(), message }.into()
            }
        }
    }
}

/// Reads records from their files, and remembers which.
pub(super) struct Reader<'a> {
    directory: &'a Directory,
    ground: &'a Ground,
    /// What is in the files that are locked; the others are read without a lock.
    locked: BTreeMap<String, Option<Vec<u8>>>,
    seen: RefCell<BTreeSet<String>>,
    listed: Cell<bool>,
}

impl Directory {
    pub(super) fn new(latch: Filelatch) -> Self {
        Directory { latch }
    }

    pub(super) fn reader<'a>(&'a self, ground: &'a Ground) -> Reader<'a> {
        Reader { directory: self, ground, locked: BTreeMap::new(), seen: RefCell::default(), listed: Cell::new(false) }
    }

    /// The ids of the records, sorted. Files whose names are not those of records are left alone.
    pub(super) fn ids(&self, ground: &Ground) -> Result<BTreeSet<String>> {
        let mut ids = BTreeSet::new();
        let mut each = |name: OsString| {
            ids.extend(id_of(ground, &name));
            true
        };
        let listed = self.latch.parts().fs.open_dir(&ground.path).and_then(|dir| dir.list(&mut each));
        match listed {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(e) => Err(Error::io("list", &ground.path, e)),
            Ok(()) => Ok(ids),
        }
    }

    /// Records that a write of several files names which is not done with yet, or whose maker has died. Some of them may not be there.
    fn unfinished(&self, ground: &Ground) -> Result<BTreeSet<String>> {
        let parts = self.latch.parts();
        let dir = match parts.fs.canonicalize(&ground.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            dir => dir.map_err(|e| Error::io("find", &ground.path, e))?,
        };
        let Some(workspace) = self.latch.workspace(&dir)? else { return Ok(BTreeSet::new()) };
        let fail = |e| Error::io("look for unfinished writes below", &workspace.root, e);
        let Some(intents) = Intents::open(parts, &workspace).map_err(fail)? else { return Ok(BTreeSet::new()) };
        let mut ids = BTreeSet::new();
        for (id, state) in intents.list(INTENTS).map_err(fail)? {
            if !matches!(state, State::Prepared | State::Committed) {
                continue;
            }
            let journal = match intents.read(&id, state) {
                Ok(journal) => journal,
                // It is done, or was never ready.
                Err(Unreadable::Io(e)) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(Unreadable::Incomplete) => continue,
                Err(problem) => {
                    let problem = format!("the intent {id} can't be read: {problem}");
                    return Err(Error::Unrecovered { path: ground.path.clone(), problem });
                }
            };
            let names = journal.parts.iter().map(|part| workspace.root.join(&part.path));
            let records = names.filter(|path| path.parent() == Some(&*dir));
            ids.extend(records.filter_map(|path| id_of(ground, path.file_name()?)));
        }
        Ok(ids)
    }

    /// A record's file; `None`: there is no folder.
    fn file(&self, ground: &Ground, id: &str) -> Result<Option<LatchFile>> {
        ground.check(id)?;
        let path = path_of(ground, id);
        let file = match self.latch.file(&path) {
            Err(Error::Io { action: "find", source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            file => file?,
        };
        // A link, or the name of another file where case does not count.
        let dir = self.latch.parts().fs.canonicalize(&ground.path).map_err(|e| Error::io("find", &ground.path, e))?;
        if path.file_name().is_some_and(|name| dir.join(name) == file.canonical_path()) {
            return Ok(Some(file));
        }
        let problem = format!("the name is taken: it leads to `{}`", file.canonical_path().display());
        let source = StoreError::Invalid { problem, hint: "move that away, or choose another id".to_owned() };
        Err(Error::Store { path, source })
    }

    /// A record's file, whose folder may have to be made.
    fn made(&self, ground: &Ground, id: &str) -> Result<LatchFile> {
        ground.check(id)?;
        self.latch.file_with_dirs(path_of(ground, id))?;
        self.file(ground, id)?.ok_or_else(|| Error::NotFound { path: ground.path.clone() })
    }

    /// Locks a record's file.
    pub(super) fn lock(&self, ground: &Ground, id: &str, lock: &LockOptions<'_>) -> Result<Guard> {
        self.made(ground, id)?.lock(lock)
    }

    /// Changes one record, under the lock of its file.
    pub(super) fn change<R, E: From<Error>>(
        &self,
        ground: &Ground,
        lock: &LockOptions<'_>,
        id: &str,
        mut decide: impl FnMut(&dyn Source) -> Result<(Staged, R), E>,
    ) -> Result<(Vec<Notice>, R), E> {
        let file = if let Some(file) = self.file(ground, id)? {
            file
        } else {
            let (staged, result) = decide(&self.reader(ground))?;
            if staged.is_empty() {
                return Ok((Vec::new(), result));
            }
            self.made(ground, id)?
        };
        let options = ground.writing(lock, Value::Null);
        let mut answer = None;
        let written = file.update_bytes(&options, |old| {
            let (next, result) = self.next(ground, id, old.map(<[u8]>::to_vec), &mut decide)?;
            answer = Some(result);
            match next {
                Next::Stays => answer.take().map_or(Err(Stop::Again), |result| Err(Stop::Idle(result))),
                Next::Content(bytes) => Ok(Some(bytes)),
                Next::Gone => Err(Stop::Remove),
            }
        });
        match (written, answer) {
            (Ok(written), Some(result)) => Ok((written.notices, result)),
            (Err(Stop::Remove), _) => self.change_several(ground, &options, id, &mut decide),
            (Err(Stop::Idle(result)), _) => Ok((Vec::new(), result)),
            (Err(stop), _) => Err(stop.told(ground)),
            (Ok(_), None) => Err(Stop::<R, E>::Again.told(ground)),
        }
    }

    /// Changes one record that may come to be removed.
    fn change_several<R, E: From<Error>>(
        &self,
        ground: &Ground,
        options: &WriteOptions<'_>,
        id: &str,
        decide: &mut impl FnMut(&dyn Source) -> Result<(Staged, R), E>,
    ) -> Result<(Vec<Notice>, R), E> {
        let mut many = ManyOptions::new().lock(options.lock.clone());
        many.durability = ground.durability;
        let done = self.latch.update_many([path_of(ground, id)], &many, |files| {
            let Some(file) = files.first_mut() else { return Err(Stop::Again) };
            let (next, result) = self.next(ground, id, file.bytes().map(<[u8]>::to_vec), decide)?;
            put(file, next);
            Ok(result)
        });
        match done {
            Ok((applied, result)) => Ok((applied.files.into_iter().flat_map(|file| file.notices).collect(), result)),
            Err(stop) => Err(Stop::<R, E>::told(stop, ground)),
        }
    }

    /// Changes a record whose file is locked.
    pub(super) fn change_held<R, E: From<Error>>(
        &self,
        ground: &Ground,
        guard: &Guard,
        id: &str,
        decide: impl FnOnce(&dyn Source) -> Result<(Staged, R), E>,
    ) -> Result<R, E> {
        let options = ground.writing(&LockOptions::new(), Value::Null);
        let mut answer = None;
        let mut seen = None;
        let written = guard.update_bytes(&options, |old| {
            seen = old.map(Version::of);
            let (next, result) = self.next(ground, id, old.map(<[u8]>::to_vec), decide)?;
            answer = Some(result);
            match next {
                Next::Stays => Ok(None),
                Next::Content(bytes) => Ok(Some(bytes)),
                Next::Gone => Err(Stop::<R, E>::Remove),
            }
        });
        match written {
            Ok(_) => {}
            Err(Stop::Remove) => {
                let expect = seen.map_or(Expect::Absent, Expect::Version);
                guard.remove(&options.expect(expect))?;
            }
            Err(stop) => return Err(stop.told(ground)),
        }
        answer.ok_or_else(|| Stop::<R, E>::Again.told(ground))
    }

    /// Changes any records in one step.
    pub(super) fn modify<R, E: From<Error>>(
        &self,
        ground: &Ground,
        lock: &LockOptions<'_>,
        mut decide: impl FnMut(&dyn Source) -> Result<(Staged, R), E>,
    ) -> Result<(Vec<Notice>, R), E> {
        let first = self.reader(ground);
        let decided = decide(&first);
        let (mut seen, mut listed) = (first.seen.into_inner(), first.listed.get());
        if !self.is_there(ground) {
            let (staged, result) = decided?;
            if staged.is_empty() {
                return Ok((Vec::new(), result));
            }
            self.made(ground, LISTED)?;
        } else if seen.is_empty() && !listed {
            return decided.map(|(_, result)| (Vec::new(), result));
        }
        let mut lock = lock.clone();
        lock.wait = lock.wait.or(ground.wait);
        let mut options = ManyOptions::new().lock(lock);
        options.durability = ground.durability;
        for _ in 0..ATTEMPTS {
            if seen.len() > MOST {
                return Err(ground.refused(too_many(seen.len())).into());
            }
            let ids: Vec<_> = seen.iter().cloned().collect();
            for id in &ids {
                self.file(ground, id)?;
            }
            let mut paths: Vec<_> = ids.iter().map(|id| path_of(ground, id)).collect();
            paths.extend(listed.then(|| ground.path.join(LISTED)));
            let done = self.latch.update_many(paths, &options, |files| {
                let contents = ids.iter().zip(&*files).map(|(id, file)| (id.clone(), file.bytes().map(<[u8]>::to_vec)));
                let mut reader = self.reader(ground);
                reader.locked = contents.collect();
                let decided = decide(&reader);
                let (now, lists) = (reader.seen.into_inner(), reader.listed.get());
                if (lists && !listed) || !now.is_subset(&seen) {
                    seen.extend(now);
                    listed |= lists;
                    return Err(Stop::Again);
                }
                let (staged, result) = decided.map_err(Stop::Callers)?;
                for (id, value) in staged {
                    let Ok(at) = ids.binary_search(&id) else { return Err(Stop::Again) };
                    let next = next(ground, &id, files[at].bytes(), value)?;
                    put(&mut files[at], next);
                }
                Ok(result)
            });
            match done {
                Ok((applied, result)) => {
                    return Ok((applied.files.into_iter().flat_map(|file| file.notices).collect(), result));
                }
                Err(Stop::Again) => {}
                Err(stop) => return Err(Stop::<R, E>::told(stop, ground)),
            }
        }
        Err(Stop::<R, E>::Again.told(ground))
    }

    fn is_there(&self, ground: &Ground) -> bool {
        self.latch.parts().fs.stat(&ground.path).is_ok()
    }

    /// What a change of one record makes of its file.
    fn next<R, E>(
        &self,
        ground: &Ground,
        id: &str,
        bytes: Option<Vec<u8>>,
        decide: impl FnOnce(&dyn Source) -> Result<(Staged, R), E>,
    ) -> Result<(Next, R), Stop<R, E>> {
        let mut reader = self.reader(ground);
        reader.locked = BTreeMap::from([(id.to_owned(), bytes)]);
        let (mut staged, result) = decide(&reader).map_err(Stop::Callers)?;
        let next = match staged.remove(id) {
            Some(value) => next(ground, id, reader.locked.get(id).and_then(Option::as_deref), value)?,
            None => Next::Stays,
        };
        Ok((next, result))
    }
}

fn put(file: &mut FileContent, next: Next) {
    match next {
        Next::Stays => {}
        Next::Content(bytes) => file.write(bytes),
        Next::Gone => file.remove(),
    }
}

fn too_many(found: usize) -> StoreError {
    StoreError::Invalid {
        problem: format!("one step looks at {found} records that have files of their own, and can at {MOST}"),
        hint: "look at fewer, or keep the records in a collection".to_owned(),
    }
}

/// A record's file with this value in it; `old` is what it has.
fn next(ground: &Ground, id: &str, old: Option<&[u8]>, value: Option<Value>) -> Result<Next> {
    let path = path_of(ground, id);
    let wrong = |source| Error::Document { path: path.clone(), source };
    let Some(value) = value else { return Ok(Next::Gone) };
    let Some(old) = old else {
        let mut document = Document::new_with(&ground.whole(value), ground.format).map_err(wrong)?;
        return document.render().map(Next::Content).map_err(wrong);
    };
    let mut document = Document::parse(old, ground.format).map_err(wrong)?;
    document.set(ground.base(), value).map_err(wrong)?;
    if let Some(version) = ground.schema.version {
        document.set("/version", version.into()).map_err(wrong)?;
    }
    document.render().map(Next::Content).map_err(wrong)
}

fn path_of(ground: &Ground, id: &str) -> PathBuf {
    ground.path.join(format!("{id}{}", extension(ground.format)))
}

/// The id of the record that a file of this name is; `None`: it is none.
fn id_of(ground: &Ground, name: &OsStr) -> Option<String> {
    let id = name.to_str()?.strip_suffix(extension(ground.format))?;
    is_name(id).then(|| id.to_owned())
}

fn extension(format: Format) -> &'static str {
    match format {
        Format::Yaml => ".yaml",
        Format::Toml => ".toml",
        Format::Jsonc => ".jsonc",
        Format::Json | Format::Text => ".json",
    }
}

impl Reader<'_> {
    /// What is in a record's file.
    fn bytes(&self, id: &str) -> Result<Option<Vec<u8>>> {
        self.seen.borrow_mut().insert(id.to_owned());
        if let Some(bytes) = self.locked.get(id) {
            return Ok(bytes.clone());
        }
        match self.directory.file(self.ground, id)? {
            Some(file) => Ok(file.try_read()?.map(|snapshot| snapshot.bytes().to_vec())),
            None => Ok(None),
        }
    }

    fn value(&self, path: &Path, id: &str, bytes: &[u8]) -> Result<Value> {
        let wrong = |source| Error::Document { path: path.to_owned(), source };
        let document = Document::parse(bytes, self.ground.format).map_err(wrong)?;
        let sheet = Sheet { ground: self.ground, path, document: &document };
        let written_in = sheet.version()?;
        let value = document.get(self.ground.base()).map_err(wrong)?.unwrap_or_default();
        sheet.migrated(id, written_in, value)
    }
}

impl Source for Reader<'_> {
    fn find(&self, id: &str) -> Result<Option<Value>> {
        let bytes = self.bytes(id)?;
        bytes.map(|bytes| self.value(&path_of(self.ground, id), id, &bytes)).transpose()
    }

    fn exists(&self, id: &str) -> Result<bool> {
        Ok(self.bytes(id)?.is_some())
    }

    fn all(&self) -> Result<BTreeMap<String, Value>> {
        self.listed.set(true);
        let mut all = BTreeMap::new();
        let mut ids = self.directory.ids(self.ground)?;
        // Seen, they are locked, and so completed.
        ids.extend(self.directory.unfinished(self.ground)?);
        for id in ids {
            if let Some(value) = self.find(&id)? {
                all.insert(id, value);
            }
        }
        Ok(all)
    }

    fn unreadable(&self, id: &str, source: &DocError) -> Error {
        let path = path_of(self.ground, id);
        let bytes = self.bytes(id).ok().flatten().unwrap_or_default();
        match Document::parse(&bytes, self.ground.format) {
            Ok(document) => Sheet { ground: self.ground, path: &path, document: &document }.unreadable(id, source),
            Err(_) => Error::Document { path, source: source.clone() },
        }
    }
}
