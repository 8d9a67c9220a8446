//! The store of conflicts of one workspace.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use filelatch_fs::fs::{read_to_end, write_all_at};
use filelatch_fs::{Access, FsDir, FsFile, LockKind};

use super::record::{self, Cause, ConflictState, Damaged, Side, Sides, StoredConflict, file_name};
use crate::error::{Error, Result};
use crate::merge::{ConflictStyle, Markers, Merged, Method};
use crate::parts::Parts;
use crate::path::temp_name;
use crate::version::Version;
use crate::workspace::{WORKSPACE_DIR, Workspace};
use crate::write::Author;

const CONFLICTS: &str = "conflicts";
const RECORD: &str = "conflict.json";
const LOCK: &str = ".lock";
/// Digits of an id.
const ID: usize = 12;
/// Digits that must be given to name a conflict.
const PREFIX: usize = 4;
/// A record longer than this is not one.
const RECORD_LIMIT: u64 = 1 << 20;
/// Resolved conflicts that are kept to be looked at.
const RESOLVED: usize = 64;
/// Conflicts of one workspace. Beyond that something is wrong that more conflicts do not cure.
const MOST: usize = 1000;
/// How long somebody who tidies up is waited for.
const BUSY: Duration = Duration::from_secs(2);
/// Times that the same versions may meet again.
const AGAIN: u32 = 1000;
/// Length of markers where nothing in the contents looks like one; git's.
const MARKER: usize = 7;
/// And the longest that they get.
const LONGEST_MARKER: usize = 100;

/// The stored conflicts of a workspace.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Conflicts {
    /// Those that can be read, the oldest first.
    pub stored: Vec<StoredConflict>,
    /// Those that can't.
    pub damaged: Vec<Damaged>,
}

/// A content that is to be stored.
#[derive(Clone, Debug)]
pub(crate) struct NewSide<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) version: Version,
    pub(crate) author: Author,
    pub(crate) at: Option<SystemTime>,
}

impl NewSide<'_> {
    fn side(&self) -> Side {
        Side { version: self.version, size: self.bytes.len() as u64, author: self.author.clone(), at: self.at }
    }
}

/// A conflict that is to be stored.
#[derive(Debug)]
pub(crate) struct NewConflict<'a> {
    /// Canonical.
    pub(crate) path: &'a Path,
    pub(crate) cause: Cause,
    pub(crate) base: Option<NewSide<'a>>,
    pub(crate) ours: Option<NewSide<'a>>,
    pub(crate) theirs: Option<NewSide<'a>>,
    pub(crate) on_disk: Sides,
    pub(crate) merged: Option<&'a Merged>,
    pub(crate) style: ConflictStyle,
}

pub(crate) struct Store<'a> {
    pub(crate) parts: &'a Arc<Parts>,
    /// The workspace's folder.
    pub(crate) root: &'a Path,
    /// The workspace, where it is not to be found by that path.
    pub(crate) workspace: Option<&'a Workspace>,
}

impl Store<'_> {
    fn path(&self) -> PathBuf {
        self.root.join(WORKSPACE_DIR).join(CONFLICTS)
    }

    fn fail(&self, action: &'static str) -> impl Fn(io::Error) -> Error {
        let path = self.path();
        move |e| Error::io(action, &path, e)
    }

    fn workspace_folder(&self) -> io::Result<Arc<dyn FsDir>> {
        match self.workspace {
            Some(workspace) => workspace.folder(self.parts)?.open_dir(WORKSPACE_DIR.as_ref()),
            None => self.parts.fs.open_dir(&self.root.join(WORKSPACE_DIR)),
        }
    }

    fn open(&self) -> io::Result<Option<Arc<dyn FsDir>>> {
        let own = self.workspace_folder()?;
        match own.open_dir(CONFLICTS.as_ref()) {
            Ok(dir) => Ok(Some(dir)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn create(&self) -> io::Result<Arc<dyn FsDir>> {
        let own = self.workspace_folder()?;
        make_dir(&*own, CONFLICTS.as_ref())?;
        // Whoever made it may not have come to this.
        own.sync()?;
        own.open_dir(CONFLICTS.as_ref())
    }

    /// Stores a conflict, or finds it stored already. Durable when it returns.
    pub(crate) fn put(&self, new: &NewConflict<'_>) -> Result<StoredConflict> {
        let stored = (|| {
            let dir = self.create()?;
            self.make_room(&*dir)?;
            let _shared = self.share(&*dir)?;
            for again in 0..AGAIN {
                let id = id_of(new, again);
                match self.read(&*dir, &id) {
                    Ok(Some(Ok(stored))) if stored.is_open() => return Ok(stored),
                    Ok(Some(_)) => {}
                    Ok(None) => {
                        if let Some(stored) = self.write(&*dir, id, new)? {
                            return Ok(stored);
                        }
                    }
                    Err(e) => return Err(e),
                }
            }
            Err(io::Error::other("the same conflict was stored too often"))
        })();
        stored.map_err(self.fail("store a conflict in"))
    }

    /// `None`: somebody else has stored one of this id meanwhile, and it can't be used.
    fn write(&self, dir: &dyn FsDir, id: String, new: &NewConflict<'_>) -> io::Result<Option<StoredConflict>> {
        let merged = new.merged.filter(|merged| merged.method() != Method::Binary);
        let contents = [("base", &new.base), ("ours", &new.ours), ("theirs", &new.theirs)];
        let marker_size = marker_size(contents.iter().filter_map(|(_, side)| side.as_ref()).map(|side| side.bytes));
        let places = merged.into_iter().flat_map(Merged::conflicts);
        let conflict = StoredConflict {
            path: new.path.to_owned(),
            cause: new.cause,
            base: new.base.as_ref().map(NewSide::side),
            ours: new.ours.as_ref().map(NewSide::side),
            theirs: new.theirs.as_ref().map(NewSide::side),
            on_disk: new.on_disk,
            stored_at: Some(self.parts.host.now()),
            conflicts: new.merged.map_or(0, |merged| merged.shown(new.style)),
            places: places.filter_map(|hunk| hunk.place.clone()).collect(),
            marker_size,
            state: ConflictState::Open,
            dir: self.path().join(&id),
            id,
        };
        let id = OsStr::new(&conflict.id);
        make_dir(dir, id)?;
        let own = dir.open_dir(id)?;
        for (what, side) in contents {
            if let Some(side) = side {
                self.put_file(&*own, &file_name(what, new.path), side.bytes, true)?;
            }
        }
        if let Some(merged) = merged {
            let markers = Markers { style: new.style, size: marker_size, labels: labels(&conflict) };
            self.put_file(&*own, &file_name("merged", new.path), &merged.render(&markers), true)?;
        }
        // The contents' names, and the folder's, before the record's: that makes them count.
        own.sync()?;
        dir.sync()?;
        let record = record::write(&conflict, self.root);
        match self.put_file(&*own, RECORD, &record, false) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                own.sync()?;
                return Ok(self.read(dir, &conflict.id)?.and_then(Result::ok).filter(StoredConflict::is_open));
            }
            Err(e) => return Err(e),
        }
        own.sync()?;
        Ok(Some(conflict))
    }

    /// Writes one file under its name, whole. The name is durable with the next sync of the directory.
    fn put_file(&self, dir: &dyn FsDir, name: &str, bytes: &[u8], replace: bool) -> io::Result<()> {
        let temp = temp_name(name.as_ref(), self.parts.host.pid(), self.parts.host.random());
        let file = dir.create_new(&temp, 0o600)?;
        let put = write_all_at(&*file, bytes, 0).and_then(|()| file.sync()).and_then(|()| {
            if replace { dir.rename(&temp, name.as_ref()) } else { dir.rename_new(&temp, name.as_ref()) }
        });
        if put.is_err() {
            dir.remove(&temp).ok();
        }
        put
    }

    /// All of them.
    pub(crate) fn list(&self) -> Result<Conflicts> {
        let listed = (|| {
            let mut conflicts = Conflicts::default();
            let Some(dir) = self.open()? else { return Ok(conflicts) };
            for name in ids(&*dir)? {
                match self.read(&*dir, &name) {
                    Ok(Some(Ok(conflict))) => conflicts.stored.push(conflict),
                    Ok(Some(Err(problem))) => {
                        conflicts.damaged.push(Damaged { dir: dir.path().join(&name), problem });
                    }
                    // Not complete, or tidied up meanwhile.
                    Ok(None) => {}
                    Err(e) => return Err(e),
                }
            }
            conflicts.stored.sort_by(|a, b| (a.stored_at, &a.id).cmp(&(b.stored_at, &b.id)));
            Ok(conflicts)
        })();
        listed.map_err(self.fail("list"))
    }

    /// One of them, by its id or the first digits of it.
    pub(crate) fn get(&self, id: &str) -> Result<StoredConflict> {
        let unknown = |matches| Error::NoSuchConflict { path: self.path(), id: id.to_owned(), matches };
        let fail = self.fail("read");
        let Some(dir) = self.open().map_err(&fail)? else { return Err(unknown(0)) };
        let mut ids = ids(&*dir).map_err(&fail)?;
        ids.retain(|name| name == id || (id.len() >= PREFIX && name.starts_with(id)));
        let mut found = Vec::new();
        for name in ids {
            found.extend(self.read(&*dir, &name).map_err(&fail)?.map(|read| (name, read)));
        }
        if found.len() > 1 {
            return Err(unknown(found.len()));
        }
        match found.pop() {
            None => Err(unknown(0)),
            Some((_, Ok(conflict))) => Ok(conflict),
            Some((name, Err(problem))) => Err(Error::BadConflict { path: dir.path().join(name), problem }),
        }
    }

    /// `None`: there is none of this id, or it is not complete. An error inside: it can't be read.
    fn read(&self, dir: &dyn FsDir, id: &str) -> io::Result<Option<Result<StoredConflict, String>>> {
        let own = match dir.open_dir(id.as_ref()) {
            Ok(own) => own,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
            Err(e) => return Err(e),
        };
        let Some(file) = open_file(&*own, RECORD)? else { return Ok(None) };
        let bytes = match read_to_end(&*file, RECORD_LIMIT) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::FileTooLarge => return Ok(Some(Err("it is too long".to_owned()))),
            Err(e) => return Err(e),
        };
        Ok(Some(record::read(&bytes, id, &self.path().join(id), self.root)))
    }

    fn own(&self, conflict: &StoredConflict) -> io::Result<Arc<dyn FsDir>> {
        let dir = self.open()?.ok_or(io::ErrorKind::NotFound)?;
        dir.open_dir(conflict.id.as_ref())
    }

    /// One content, proved to be the one that was stored.
    pub(crate) fn content(&self, conflict: &StoredConflict, what: &str, side: &Side) -> Result<Vec<u8>> {
        let name = conflict.file_name(what);
        let damaged = |problem: String| Error::BadConflict { path: conflict.dir.clone(), problem };
        let file = self.own(conflict).and_then(|own| open_file(&*own, &name)).map_err(self.fail("read"))?;
        let file = file.ok_or_else(|| damaged(format!("`{name}` is missing")))?;
        match read_to_end(&*file, side.size) {
            Ok(bytes) if Version::of(&bytes) == side.version => Ok(bytes),
            Ok(_) => Err(damaged(format!("`{name}` was changed"))),
            Err(e) if e.kind() == io::ErrorKind::FileTooLarge => Err(damaged(format!("`{name}` was changed"))),
            Err(e) => Err(Error::io("read", conflict.dir.join(name), e)),
        }
    }

    /// The merged document as people have edited it. `None`: there is none.
    pub(crate) fn merged(&self, conflict: &StoredConflict, limit: u64) -> Result<Option<Vec<u8>>> {
        let path = conflict.merged_path();
        let read = self.own(conflict).and_then(|own| match open_file(&*own, &conflict.file_name("merged"))? {
            Some(file) => read_to_end(&*file, limit).map(Some),
            None => Ok(None),
        });
        read.map_err(|e| match e.kind() {
            io::ErrorKind::FileTooLarge => Error::TooLarge { path: path.clone(), limit },
            _ => Error::io("read", &path, e),
        })
    }

    /// Saves the file as it is before the conflict is resolved. Durable when it returns.
    pub(crate) fn back_up(&self, conflict: &StoredConflict, bytes: &[u8]) -> Result<PathBuf> {
        let name = conflict.file_name("backup");
        let saved = self.own(conflict).and_then(|own| {
            self.put_file(&*own, &name, bytes, true)?;
            own.sync()
        });
        let path = conflict.dir.join(&name);
        saved.map(|()| path.clone()).map_err(|e| Error::io("save the file in", path, e))
    }

    /// Writes the record anew. Only under the lock of the conflict's file.
    pub(crate) fn update(&self, conflict: &StoredConflict) -> Result<()> {
        let record = record::write(conflict, self.root);
        let updated = self.own(conflict).and_then(|own| {
            self.put_file(&*own, RECORD, &record, true)?;
            own.sync()
        });
        updated.map_err(|e| Error::io("note the resolution in", &conflict.dir, e))
    }

    fn lock_file(dir: &dyn FsDir) -> io::Result<Box<dyn FsFile>> {
        match dir.create_new(LOCK.as_ref(), 0o600) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => dir.open(LOCK.as_ref(), Access::ReadWrite),
            made => made,
        }
    }

    /// Keeps those out who tidy up. Where files can't be locked nobody does.
    fn share(&self, dir: &dyn FsDir) -> io::Result<Box<dyn FsFile>> {
        let file = Self::lock_file(dir)?;
        let host = &self.parts.host;
        let began = host.monotonic();
        loop {
            match file.try_lock(LockKind::Shared) {
                Ok(false) if host.monotonic().saturating_sub(began) > BUSY => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "somebody tidies up there and does not end"));
                }
                Ok(false) => host.sleep(Duration::from_millis(1)),
                Ok(true) | Err(_) => return Ok(file),
            }
        }
    }

    /// Removes what was left incomplete, and the oldest of many resolved conflicts.
    fn make_room(&self, dir: &dyn FsDir) -> io::Result<()> {
        let mut count = ids(dir)?.len();
        if count <= RESOLVED {
            return Ok(());
        }
        let alone = Self::lock_file(dir)?;
        if matches!(alone.try_lock(LockKind::Exclusive), Ok(true)) {
            let mut resolved = Vec::new();
            for id in ids(dir)? {
                match self.read(dir, &id)? {
                    Some(Ok(conflict)) if !conflict.is_open() => resolved.push((conflict.stored_at, id)),
                    Some(_) => {}
                    None => {
                        remove(dir, id.as_ref()).ok();
                    }
                }
            }
            resolved.sort();
            for (_, id) in resolved.iter().take(resolved.len().saturating_sub(RESOLVED)) {
                remove(dir, id.as_ref())?;
            }
            count = ids(dir)?.len();
        }
        if count < MOST {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::QuotaExceeded, format!("{count} conflicts are there already; resolve some")))
    }
}

/// Its record first: a conflict that is only partly there is not there.
fn remove(dir: &dyn FsDir, id: &OsStr) -> io::Result<()> {
    let own = dir.open_dir(id)?;
    match own.remove(RECORD.as_ref()) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => own.sync()?,
    }
    for name in filelatch_fs::fs::names(&*own)? {
        own.remove(&name)?;
    }
    dir.remove_dir(id)
}

fn make_dir(dir: &dyn FsDir, name: &OsStr) -> io::Result<()> {
    match dir.create_dir(name, 0o700) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

fn open_file(dir: &dyn FsDir, name: &str) -> io::Result<Option<Box<dyn FsFile>>> {
    match dir.open(name.as_ref(), Access::Read) {
        Ok(file) if file.stat()?.is_file() => Ok(Some(file)),
        Ok(_) => Err(io::Error::other("it is not a regular file")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn ids(dir: &dyn FsDir) -> io::Result<Vec<String>> {
    let mut ids = Vec::new();
    let is_id = |text: &str| text.len() == ID && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    dir.list(&mut |name: OsString| {
        ids.extend(name.into_string().ok().filter(|text| is_id(text)));
        true
    })?;
    ids.sort();
    Ok(ids)
}

/// The same versions of the same file are the same conflict.
fn id_of(new: &NewConflict<'_>, again: u32) -> String {
    let mut hasher = blake3::Hasher::new();
    let path = new.path.as_os_str().as_encoded_bytes();
    hasher.update(&(path.len() as u64).to_le_bytes()).update(path);
    for side in [&new.base, &new.ours, &new.theirs] {
        match side {
            Some(side) => hasher.update(b"+").update(side.version.as_bytes()),
            None => hasher.update(b"-"),
        };
    }
    hasher.update(&again.to_le_bytes());
    hasher.finalize().to_hex()[..ID].to_owned()
}

/// What stands behind the markers.
fn labels(conflict: &StoredConflict) -> [String; 3] {
    let named = |what: &str, side: &Option<Side>| match side.as_ref().map(|side| &side.author) {
        // A name is somebody else's text: it must not become lines of the document.
        Some(Author::Session(name)) => {
            let name: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(80).collect();
            format!("{what} ({name})")
        }
        Some(Author::External) => format!("{what} (another program)"),
        _ => what.to_owned(),
    };
    [named("mine", &conflict.ours), "base".to_owned(), named("theirs", &conflict.theirs)]
}

/// So long that no line of the contents looks like a marker.
fn marker_size<'a>(contents: impl Iterator<Item = &'a [u8]>) -> usize {
    let longest = contents.flat_map(|bytes| bytes.split(|b| *b == b'\n')).map(marker_run).max().unwrap_or_default();
    if longest < MARKER { MARKER } else { (longest + 1).min(LONGEST_MARKER) }
}

/// How many characters of a marker a line begins with.
fn marker_run(line: &[u8]) -> usize {
    match line.first() {
        Some(mark @ (b'<' | b'|' | b'=' | b'>')) => line.iter().take_while(|b| *b == mark).count(),
        _ => 0,
    }
}

/// Has the text markers of this length? The number of the first line with one.
pub(super) fn first_marker(bytes: &[u8], size: usize) -> Option<usize> {
    let found = bytes.split(|b| *b == b'\n').position(|line| {
        let rest = line.get(size);
        marker_run(line) == size && matches!(rest, None | Some(b' ' | b'\r'))
    });
    found.map(|line| line + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MERGE-4: markers are told from lines of the contents that look like some.
    #[test]
    fn markers() {
        let of = |texts: &[&str]| marker_size(texts.iter().map(|text| text.as_bytes()));
        assert_eq!(of(&[]), 7);
        assert_eq!(of(&["a\n======\n"]), 7);
        assert_eq!(of(&["a", "Title\n==========\n", "<<<<<<< mine\n"]), 11);
        assert_eq!(of(&[&"=".repeat(5000)]), LONGEST_MARKER);
        assert_eq!(first_marker(b"a\n<<<<<<< mine\n", 7), Some(2));
        assert_eq!(first_marker(b"=======\r\nx", 7), Some(1));
        assert_eq!(first_marker(b"a\n>>>>>>>>\n <<<<<<<\n<<<<<<<x\n======\n", 7), None);
    }
}
