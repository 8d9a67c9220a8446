//! Removing what was generated.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use filelatch_fs::{Access, FileKind, FsDir};

use super::publish::record_name;
use super::register::{Owner, Row, Rows};
use super::{Generated, Handle};
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::file::WriteOptions;
use crate::keep::Keep;
use crate::keep::history::version_of;
use crate::keep::name::{Hash, VersionName};
use crate::keep::publish::Moved;
use crate::lock::LockOptions;
use crate::lock::removal::remove_lock_file;
use crate::lock::resource::Tenure;
use crate::parts::epoch_millis;
use crate::version::Version;
use crate::write::{Durability, sweep};

/// Rounds in which somebody else generates files for an owner while they are removed.
const ROUNDS: usize = 8;
/// Names in a folder that are looked at for what a killed publisher has left.
const SWEEP_LIMIT: usize = 1024;
/// What the name of a file ends with that is being removed.
const ASIDE: &str = ".removing";
const NAME_MAX: usize = 255;

/// How to remove generated files.
#[derive(Clone, Debug, Default)]
pub struct RemoveOptions<'a> {
    /// Edited files go, too, once they are kept as a version (`filelatch history`). Where none can be kept they are left.
    pub keep_edited: bool,
    /// How to wait for locks.
    pub lock: LockOptions<'a>,
}

impl<'a> RemoveOptions<'a> {
    /// Edited files are left.
    pub fn new() -> Self {
        RemoveOptions::default()
    }

    /// Edited files are kept as versions, and go.
    #[must_use]
    pub fn keep_edited(mut self, keep: bool) -> Self {
        self.keep_edited = keep;
        self
    }

    /// How to wait for locks.
    #[must_use]
    pub fn lock(mut self, lock: LockOptions<'a>) -> Self {
        self.lock = lock;
        self
    }
}

/// What became of an owner's files. Paths are relative to the workspace's folder.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Removal {
    /// Removed as they were generated.
    pub removed: Vec<PathBuf>,
    /// Not there any more.
    pub missing: Vec<PathBuf>,
    /// Edited, and left: from now on they are ordinary files.
    pub left: Vec<PathBuf>,
    /// Edited, kept as a version, and removed.
    pub kept: Vec<PathBuf>,
    /// Folders that were made for them, and removed.
    pub folders: Vec<PathBuf>,
    /// Could not be removed, and stay registered: the next call tries again.
    pub failed: Vec<(PathBuf, Error)>,
}

impl Removal {
    /// Was there nothing?
    pub fn is_empty(&self) -> bool {
        let Removal { removed, missing, left, kept, folders, failed } = self;
        [removed, missing, left, kept, folders].iter().all(|paths| paths.is_empty()) && failed.is_empty()
    }

    fn append(&mut self, mut other: Removal) {
        self.removed.append(&mut other.removed);
        self.missing.append(&mut other.missing);
        self.left.append(&mut other.left);
        self.kept.append(&mut other.kept);
        self.folders.append(&mut other.folders);
        self.failed.append(&mut other.failed);
    }
}

/// What became of one file.
enum Fate {
    Removed(Version),
    Missing,
    Left,
    Kept(Version),
}

impl Generated {
    /// Removes the files of an owner: those that are as they were generated. What is left is named.
    ///
    /// # Errors
    /// Of the register and its locks. What goes wrong with one file is in [`Removal::failed`] and keeps none of the others.
    pub fn remove(&self, owner: &Owner, options: &RemoveOptions<'_>) -> Result<Removal> {
        let mut removal = Removal::default();
        for _ in 0..ROUNDS {
            let Some(rows) = self.rows()? else { break };
            let mut paths = rows.files.iter().filter(|(_, row)| row.owner == *owner).map(|(path, _)| path.clone());
            let failed = |path: &PathBuf| removal.failed.iter().any(|(failed, _)| failed == path);
            let paths: BTreeSet<_> = paths.by_ref().filter(|path| !failed(path)).collect();
            if paths.is_empty() {
                break;
            }
            removal.append(self.remove_all(owner, paths, options)?);
        }
        Ok(removal)
    }

    /// Removes the files of all owners that are not living any more. Nothing says when an owner of a name of its own ends but this.
    pub fn gc(&self, is_living: impl Fn(&Owner) -> bool, options: &RemoveOptions<'_>) -> Result<Vec<(Owner, Removal)>> {
        let mut all = Vec::new();
        for owner in self.owners()? {
            if !is_living(&owner) {
                let removal = self.remove(&owner, options)?;
                all.push((owner, removal));
            }
        }
        Ok(all)
    }

    fn remove_all(&self, owner: &Owner, paths: BTreeSet<PathBuf>, options: &RemoveOptions<'_>) -> Result<Removal> {
        let register = self.open_register()?;
        let names: Vec<_> = paths.iter().map(|path| record_name(path)).collect();
        let guards = register.lock_records(names.iter().map(String::as_str), &options.lock)?;
        let Some(guard) = guards.first() else { return Ok(Removal::default()) };
        // Under the locks of the paths their rows are ours alone.
        let mut rows = self.rows()?.unwrap_or_default();
        let mut removal = Removal::default();
        let mut done = BTreeSet::new();
        for path in paths {
            let Some(row) = rows.files.remove(&path).filter(|row| row.owner == *owner) else { continue };
            match self.remove_one(&path, &row, options) {
                Ok(fate) => {
                    done.insert(path.clone());
                    match fate {
                        Fate::Removed(_) => removal.removed.push(path),
                        Fate::Missing => removal.missing.push(path),
                        Fate::Left => removal.left.push(path),
                        Fate::Kept(_) => removal.kept.push(path),
                    }
                }
                Err(error) => removal.failed.push((path, error)),
            }
        }
        if done.is_empty() {
            return Ok(removal);
        }
        let writing = WriteOptions::new().durability(Durability::Full).lock(options.lock.clone());
        guard.update_bytes(&writing, |old| {
            let Some(old) = old else { return Ok(None) };
            let mut rows = Rows::parse(old).map_err(|source| self.wrong(source))?;
            rows.files.retain(|path, _| !done.contains(path));
            self.remove_folders(&mut rows, &mut removal);
            let bytes = rows.write(&*self.latch.parts().host).map_err(|source| self.wrong(source))?;
            Ok::<_, Error>(Some(bytes))
        })?;
        Ok(removal)
    }

    fn remove_one(&self, path: &Path, row: &Row, options: &RemoveOptions<'_>) -> Result<Fate> {
        let file = match self.handle(path, row.private)? {
            Handle::Missing => return Ok(Fate::Missing),
            Handle::Other => return Ok(Fate::Left),
            Handle::File(file) => file,
        };
        let held = file.hold_to_write(&options.lock)?;
        let entry = &held.entry;
        let fate = Taking { entry, row, options }.take_away()?;
        if let (Fate::Removed(version) | Fate::Kept(version), Some(trail)) = (&fate, entry.trail()) {
            trail.removed(version, None, None);
        }
        if let (Fate::Removed(_) | Fate::Kept(_) | Fate::Missing, Some(tenure)) = (&fate, &held.tenure) {
            clear_temps(entry, tenure, &row.versions);
            // It would keep a folder from being empty. Who waits for it keeps it in its place.
            remove_lock_file(tenure).ok();
        }
        drop(held);
        if let Some(trail) = file.entry()?.trail() {
            trail.flush();
        }
        Ok(fate)
    }

    /// Removes the folders that were made here, as far as nothing is in them and nothing generated is to come.
    fn remove_folders(&self, rows: &mut Rows, removal: &mut Removal) {
        let folders: Vec<_> = rows.folders.iter().rev().cloned().collect();
        for folder in folders {
            if rows.files.keys().any(|path| path.starts_with(&folder)) {
                continue;
            }
            let full = self.root.join(&folder);
            let (Some(parent), Some(name)) = (full.parent(), full.file_name()) else { continue };
            let gone = self.latch.parts().fs.open_dir(parent).and_then(|parent| {
                parent.remove_dir(name)?;
                parent.sync()
            });
            match gone {
                Ok(()) => removal.folders.push(folder.clone()),
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                // Somebody has put something there.
                Err(_) => continue,
            }
            rows.folders.remove(&folder);
        }
    }
}

/// Removes what a killed publisher had begun to write: that was generated, too. What can't be removed now harms nobody.
fn clear_temps(entry: &Entry, tenure: &Tenure, versions: &[Version]) {
    let dir = &entry.place().dir;
    let (stands, remove) = (|| tenure.resource.stands(), |name: &OsStr| dir.remove(name));
    let swept = sweep::sweep(entry.place(), &entry.resource.lock, SWEEP_LIMIT, &stands, &remove, &|_| false);
    for left in swept.unwrap_or_default().iter().filter(|left| !left.in_use) {
        // A power cut may have taken what says whose it is. Its bytes say it, too.
        let Some(name) = left.path.file_name() else { continue };
        if let Ok(Some(version)) = version_at(&**dir, name)
            && versions.contains(&version)
            && stands()
        {
            dir.remove(name).ok();
        }
    }
}

/// One file, under its lock.
struct Taking<'a> {
    entry: &'a Entry,
    row: &'a Row,
    options: &'a RemoveOptions<'a>,
}

impl Taking<'_> {
    fn take_away(&self) -> Result<Fate> {
        let place = self.entry.place();
        let (dir, name) = (&*place.dir, &*place.name);
        let aside = aside(name);
        let fail = |action| move |e| Error::io(action, &place.spelled, e);
        // A removal was interrupted.
        let mut was_removed = None;
        if let Some(version) = version_at(dir, &aside).map_err(fail("examine"))? {
            if self.row.versions.contains(&version) {
                dir.remove(&aside).map_err(fail("remove"))?;
                was_removed = Some(version);
            } else {
                self.put_back(&aside)?;
            }
        }
        let stat = match dir.stat(name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                dir.sync().map_err(fail("remove"))?;
                return Ok(was_removed.map_or(Fate::Missing, Fate::Removed));
            }
            stat => stat.map_err(fail("examine"))?,
        };
        if stat.kind != FileKind::File {
            return Ok(Fate::Left);
        }
        let seen = version_at(dir, name).map_err(fail("read"))?;
        let is_edited = seen.is_none_or(|seen| !self.row.versions.contains(&seen));
        let keeps = self.options.keep_edited && self.entry.history().is_some_and(|history| history.keep != Keep::None);
        if is_edited && !keeps {
            return Ok(Fate::Left);
        }
        dir.rename_new(name, &aside).map_err(fail("rename away"))?;
        // What was renamed is what counts: somebody who knows no locks may have replaced it since it was looked at.
        let taken = match version_at(dir, &aside) {
            Ok(Some(taken)) => taken,
            other => {
                self.put_back(&aside)?;
                return Err(fail("read")(other.err().unwrap_or_else(|| io::ErrorKind::NotFound.into())));
            }
        };
        if self.row.versions.contains(&taken) {
            dir.remove(&aside).map_err(fail("remove"))?;
            dir.sync().map_err(fail("remove"))?;
            return Ok(Fate::Removed(taken));
        }
        if !keeps {
            self.put_back(&aside)?;
            return Ok(Fate::Left);
        }
        if let Err(e) = self.keep(&aside, taken) {
            self.put_back(&aside)?;
            return Err(fail("keep a version of")(e));
        }
        dir.sync().map_err(fail("remove"))?;
        Ok(Fate::Kept(taken))
    }

    fn keep(&self, aside: &OsStr, version: Version) -> io::Result<()> {
        let Some(history) = self.entry.history() else { return Err(io::ErrorKind::Unsupported.into()) };
        let dir = &*self.entry.place().dir;
        let stat = dir.stat(aside)?;
        let millis = epoch_millis(stat.mtime.to_system_time());
        let name = VersionName { millis, generation: 0, hash: Hash::Proved(version) };
        match history.take(self.entry.parts(), dir, aside, &name, None, Durability::Full)? {
            Moved::Away => Ok(()),
            Moved::Copied => dir.remove(aside),
        }
    }

    /// What is no file of ours gets its name back, unless the name is taken by now: then it stays aside, and the error says where.
    fn put_back(&self, aside: &OsStr) -> Result<()> {
        let place = self.entry.place();
        let back = place.dir.rename_new(aside, &place.name).and_then(|()| place.dir.sync());
        back.map_err(|e| Error::io("give its name back to", place.dir.path().join(aside), e))
    }
}

/// The name of a file that is being removed, beside it.
fn aside(name: &OsStr) -> OsString {
    let mut aside = OsString::from(".");
    if name.len() + ASIDE.len() < NAME_MAX {
        aside.push(name);
    } else {
        aside.push(&blake3::hash(name.as_encoded_bytes()).to_hex()[..32]);
    }
    aside.push(ASIDE);
    aside
}

/// `None`: there is no such file.
fn version_at(dir: &dyn FsDir, name: &OsStr) -> io::Result<Option<Version>> {
    match dir.open(name, Access::Read) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => version_of(&*opened?).map(Some),
    }
}
