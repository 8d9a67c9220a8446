//! The kept versions of one document: its folder, what goes into it, what is read from it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use filelatch_fs::fs::{read_to_end, write_all_at};
use filelatch_fs::{Access, FsDir, FsFile, LockKind};

use super::limits::{Keep, KeepLimits};
use super::name::{Hash, VersionName, copy_name};
use super::publish::Moved;
use crate::lock::resource::locked;
use crate::parts::{Parts, epoch_millis};
use crate::path::Place;
use crate::version::Version;
use crate::workspace::Workspace;
use crate::write::attribution::{self, Attribution, Mark};
use crate::write::current::Current;
use crate::write::temp::copy_metadata;
use crate::write::{Author, Durability};

/// Name of the folder in the workspace's own.
pub(crate) const VERSIONS: &str = "versions";
/// Bytes that are copied or hashed at a time.
const CHUNK: usize = 256 << 10;

/// Where the versions of one document are kept.
#[derive(Debug)]
pub(crate) struct History {
    workspace: Arc<Workspace>,
    /// Name of the document's folder.
    key: OsString,
    pub(crate) keep: Keep,
    pub(crate) limits: KeepLimits,
    folder: Mutex<Option<Arc<dyn FsDir>>>,
    /// Versions that this process kept.
    count: AtomicU64,
}

/// A version as it lies there.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) name: VersionName,
    pub(crate) entry: OsString,
    /// A copy was kept when it was published, and is listed: this is the file itself, displaced unseen.
    pub(crate) is_twin: bool,
}

/// A kept version that was opened and whose hash is known, by its name or because it was read.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) version: Version,
    /// With the attribution only if it is these bytes'.
    pub(crate) current: Current,
    pub(crate) author: Author,
    pub(crate) at: SystemTime,
    pub(crate) entry: OsString,
}

/// What the bytes of a kept version come from when its file can't be moved.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// This file as it is.
    File(&'a dyn FsFile),
    /// These bytes; mode and owner are the file's.
    Bytes(&'a [u8], &'a dyn FsFile),
}

impl History {
    /// `None`: nothing is ever kept of this file: it is one of the workspace's own, or the workspace is not to be trusted.
    pub(crate) fn of(workspace: &Arc<Workspace>, relative: &Path, keep: Keep, limits: KeepLimits) -> Option<History> {
        let own = relative.starts_with(crate::workspace::WORKSPACE_DIR);
        (workspace.is_trusted && !own).then(|| History {
            workspace: Arc::clone(workspace),
            key: super::name::document_key(relative),
            keep,
            limits,
            folder: Mutex::default(),
            count: AtomicU64::new(0),
        })
    }

    /// Where the versions lie.
    pub(crate) fn path(&self) -> PathBuf {
        self.workspace.own_path().join(VERSIONS).join(&self.key)
    }

    /// The document's folder; `None`: there is none, and none is to be made.
    pub(super) fn folder(&self, parts: &Parts, create: bool) -> io::Result<Option<Arc<dyn FsDir>>> {
        if let Some(folder) = &*locked(&self.folder) {
            return Ok(Some(Arc::clone(folder)));
        }
        let names = [VERSIONS.as_ref(), self.key.as_os_str()];
        let Some(folder) = self.workspace.private_folder(parts, &names, create)? else { return Ok(None) };
        *locked(&self.folder) = Some(Arc::clone(&folder));
        Ok(Some(folder))
    }

    fn made_folder(&self, parts: &Parts) -> io::Result<Arc<dyn FsDir>> {
        self.folder(parts, true)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The entry `name` of `dir`, which nobody needs any more, becomes a version. Not moved away, or on an error, it is still there.
    pub(crate) fn take(
        &self,
        parts: &Parts,
        dir: &dyn FsDir,
        name: &OsStr,
        version: &VersionName,
        mark: Option<&Attribution>,
        durability: Durability,
    ) -> io::Result<Moved> {
        let to = version.to_name();
        let mut folder = self.made_folder(parts)?;
        let mut moved = dir.move_over(name, &*folder, &to);
        if matches!(&moved, Err(e) if e.kind() == io::ErrorKind::NotFound) && dir.stat(name).is_ok() {
            // Somebody removed the folder.
            *locked(&self.folder) = None;
            folder = self.made_folder(parts)?;
            moved = dir.move_over(name, &*folder, &to);
        }
        let Err(e) = moved else { return Ok(Moved::Away) };
        // Some systems report an error for what they did all the same (L29).
        if dir.stat(name).is_err() && folder.stat(&to).is_ok() {
            return Ok(Moved::Away);
        }
        if matches!(
            e.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem
        ) {
            return Err(e);
        }
        // Another file system, most likely.
        let file = dir.open(name, Access::Read)?;
        self.copy(parts, Source::File(&*file), mark, version, durability)?;
        Ok(Moved::Copied)
    }

    /// A dead writer's file, whose bytes are what its attribution says: if it is proved to have been the document before it was replaced, it
    /// becomes a version. Only for the holder of the file's exclusive lock, after a publish or before any.
    ///
    /// The proof: its generation is less than the file's, and none that is kept has the same. Otherwise it may be a version that was
    /// never published, or refused.
    pub(crate) fn inherit(&self, parts: &Parts, place: &Place, name: &OsStr) -> io::Result<bool> {
        let mark = |name: &OsStr| match attribution::read(&*place.dir.open(name, Access::Read)?)? {
            Mark::By(mark) => Ok::<_, io::Error>(Some(mark)),
            Mark::None | Mark::Preparing => Ok(None),
        };
        let Some(own) = mark(name)? else { return Ok(false) };
        let replaced = mark(&place.name)?.is_some_and(|newest| own.generation < newest.generation);
        if !replaced || self.list(parts)?.iter().any(|kept| kept.name.generation == own.generation) {
            return Ok(false);
        }
        let version = VersionName {
            millis: epoch_millis(own.at),
            generation: own.generation,
            hash: Hash::Claimed(own.digits().to_owned()),
        };
        // Durable with the next thing that is; it has survived so far.
        Ok(self.take(parts, &*place.dir, name, &version, Some(&own), Durability::File)? == Moved::Away)
    }

    /// Makes a version of a reflink of the source, or of its bytes. `mark` is its attribution.
    pub(crate) fn copy(
        &self,
        parts: &Parts,
        source: Source<'_>,
        mark: Option<&Attribution>,
        version: &VersionName,
        durability: Durability,
    ) -> io::Result<()> {
        let folder = self.made_folder(parts)?;
        let name = copy_name(parts.host.random());
        let file = match folder.create_new(&name, 0o600) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                *locked(&self.folder) = None;
                return self.made_folder(parts).and_then(|_| self.copy(parts, source, mark, version, durability));
            }
            other => other?,
        };
        let made = (|| {
            // A sign of life for whoever clears the copies of the dead away. Where there are no locks, none are cleared away.
            file.try_lock(LockKind::Exclusive).ok();
            let like = match source {
                Source::File(from) => {
                    if file.clone_from(from).is_err() {
                        copy_bytes(from, &*file)?;
                    }
                    from
                }
                Source::Bytes(bytes, like) => {
                    write_all_at(&*file, bytes, 0)?;
                    like
                }
            };
            copy_metadata(like, &like.stat()?, &*file, &mut Vec::new())?;
            match mark.map(|mark| mark.write(&*file)) {
                Some(Err(e)) if e.kind() != io::ErrorKind::Unsupported => return Err(e),
                _ => {}
            }
            if durability >= Durability::File {
                file.sync()?;
            }
            folder.rename(&name, &version.to_name())?;
            if durability == Durability::Full { folder.sync() } else { Ok(()) }
        })();
        if made.is_err() {
            folder.remove(&name).ok();
        }
        made
    }

    /// All that is there, newest first.
    pub(crate) fn list(&self, parts: &Parts) -> io::Result<Vec<Kept>> {
        let Some(folder) = self.folder(parts, false)? else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        folder.list(&mut |entry| {
            all.extend(VersionName::parse(&entry).map(|name| Kept { name, entry, is_twin: false }));
            true
        })?;
        all.sort_by(|a, b| b.name.order().cmp(&a.name.order()).then_with(|| b.entry.cmp(&a.entry)));
        // The longer name stands before the one that it begins with.
        for i in 1..all.len() {
            let longer = all[i - 1].entry.as_encoded_bytes();
            all[i].is_twin = longer.starts_with(all[i].entry.as_encoded_bytes());
        }
        Ok(all)
    }

    /// Opens a version and finds out what it is. `None`: it is gone by now.
    pub(crate) fn open(&self, parts: &Parts, kept: &Kept) -> io::Result<Option<Opened>> {
        let Some(folder) = self.folder(parts, false)? else { return Ok(None) };
        let file = match folder.open(&kept.entry, Access::Read) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let stat = file.stat()?;
        if !stat.is_file() {
            return Ok(None);
        }
        let mark = match attribution::read(&*file)? {
            Mark::By(mark) => Some(mark),
            Mark::None | Mark::Preparing => None,
        };
        let (mut entry, version) = (
            kept.entry.clone(),
            match &kept.name.hash {
                Hash::Proved(version) => *version,
                Hash::Claimed(_) | Hash::Unread(_) => version_of(&*file)?,
            },
        );
        let own = mark.filter(|mark| mark.is_of(&version));
        if !matches!(kept.name.hash, Hash::Proved(_)) {
            // Read once, known from now on. Where nothing can be renamed it is read again the next time.
            let generation = own.as_ref().map_or(0, |own| own.generation);
            let full = VersionName { generation, hash: Hash::Proved(version), ..kept.name.clone() }.to_name();
            if folder.rename(&kept.entry, &full).is_ok() {
                entry = full;
            }
        }
        let author = match &own {
            Some(own) => self.workspace.resolve(parts, Author::Session(own.session.clone())),
            None if file.list_xattrs().is_ok() => Author::External,
            None => Author::Unknown,
        };
        let at = own.as_ref().map_or_else(|| stat.mtime.to_system_time(), |own| own.at);
        let current = Current { file, stat, attribution: own };
        Ok(Some(Opened { version, current, author, at, entry }))
    }

    /// The bytes of a version, from the newest of its files that still has them.
    pub(crate) fn find(&self, parts: &Parts, version: &Version, limit: u64) -> io::Result<Found> {
        let mut damaged = None;
        for kept in self.list(parts)?.iter().filter(|kept| kept.name.hash.may_be(version)) {
            let Some(opened) = self.open(parts, kept)? else { continue };
            if opened.version != *version {
                continue;
            }
            let bytes = read_to_end(&*opened.current.file, limit)?;
            if Version::of(&bytes) == *version {
                return Ok(Found::Whole(bytes, Box::new(opened)));
            }
            damaged.get_or_insert_with(|| self.path().join(&opened.entry));
        }
        Ok(damaged.map_or(Found::Nothing, Found::Damaged))
    }

    /// Versions that this process kept.
    pub(super) fn counted_so_far(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Counts one more kept version; true: it is time to look at the bounds.
    pub(crate) fn counted(&self, generation: u64, marks: bool, size: u64) -> bool {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        // The generation counts the publishes of all processes; where there is none, every process begins with a look.
        let turn = if marks { generation } else { count };
        turn.is_multiple_of(super::PRUNE_EVERY) || size.saturating_mul(super::PRUNE_EVERY) > self.limits.bytes
    }
}

/// What was found of a version.
#[derive(Debug)]
pub(crate) enum Found {
    Whole(Vec<u8>, Box<Opened>),
    /// It is kept, and its bytes have been changed since.
    Damaged(PathBuf),
    Nothing,
}

fn copy_bytes(from: &dyn FsFile, to: &dyn FsFile) -> io::Result<()> {
    let (mut buf, mut done) = (vec![0; CHUNK], 0);
    loop {
        let n = from.read_at(&mut buf, done)?;
        if n == 0 {
            return Ok(());
        }
        write_all_at(to, &buf[..n], done)?;
        done += n as u64;
    }
}

/// The version of a file of any size.
pub(crate) fn version_of(file: &dyn FsFile) -> io::Result<Version> {
    let (mut buf, mut done) = (vec![0; CHUNK], 0);
    let mut hasher = blake3::Hasher::new();
    loop {
        let n = file.read_at(&mut buf, done)?;
        if n == 0 {
            return Ok(hasher.finalize().into());
        }
        hasher.update(&buf[..n]);
        done += n as u64;
    }
}
