//! A directory that nothing leaves: for those who take paths from others (SERVE-7).
//!
//! # Promise
//! - What is asked of a [`Root`] is looked up beneath its directory, which is opened once. No path, and no symbolic link on it, leads out: not
//!   while others rename directories, and not while they put links in their place (openat2(2) with `RESOLVE_BENEATH`, else one directory
//!   after the other, each opened from the one before).
//! - What is done with a file from here is done in the directory that was found, by names: its lock file, temporary files, the workspace's
//!   policy and kept versions. Whatever becomes of the path meanwhile, nothing outside is read or changed.
//! - Errors and [`LatchFile::path`] have the path as it was asked for, relative to the root.
//!
//! # Non-promise
//! - What is mounted beneath the directory is beneath it, and a further name (hard link) of a file elsewhere is that file: making either takes
//!   rights that somebody outside has given.
//! - A link whose text is absolute counts as leading out, also where it leads back in.
//! - Who may write below the root can still replace the files there, and the workspace's folder. It is others' files that are safe from him.
//! - A workspace above the root counts, and is found by the root's path.
//!
//! # Order of operations
//! 1. Is the path one? Absolute paths and `..` are refused ([`Error::OutsideRoot`]), then what can't be a name ([`Error::BadPath`]).
//! 2. Its directory is opened in one call that follows no link; if that does not succeed, step by step: a link is read, and its text takes
//!    its place in what is left to go; `..` in it goes back to the directory that was come from, never above the root.
//! 3. The name is looked up in the open directory. From here on it is a file like any other.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use filelatch_fs::{FileKind, FsDir, FsKind};

use crate::engine::Filelatch;
use crate::error::{Error, Result};
use crate::file::LatchFile;
use crate::path::{MAX_LINKS, Place, missing_dir, name_on_disk};
use crate::snapshot::Snapshot;
use crate::workspace::is_empty;

mod hidden;
mod list;
mod locked;
mod names;

pub use hidden::Hidden;
pub use list::{ListedFile, Listing};
pub use locked::LockedFile;
use names::check;

/// How often a directory that vanishes or becomes something else while it is opened is looked at again.
const ATTEMPTS: usize = 64;

/// A directory that nothing leaves, from [`Filelatch::root`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Root {
    engine: Filelatch,
    dir: Arc<dyn FsDir>,
}

impl Filelatch {
    /// Opens a directory beneath which files are looked up and which no path leaves. It stays this directory, also when it is renamed.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// use filelatch::{Filelatch, WriteOptions};
    ///
    /// let root = Filelatch::new().root(dir.path())?;
    /// root.file_with_dirs("notes/today.md")?.write(b"# Today\n", &WriteOptions::new())?;
    /// assert_eq!(root.file("../etc/passwd").unwrap_err().code(), "outside-root");
    /// # Ok(())
    /// # }
    /// ```
    pub fn root(&self, dir: impl AsRef<Path>) -> Result<Root> {
        let dir = dir.as_ref();
        let fs = &self.parts().fs;
        let open = fs.canonicalize(dir).and_then(|path| fs.open_dir(&path));
        let dir = open.map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Error::NotFound { path: dir.to_owned() },
            _ => Error::io("open", dir, e),
        })?;
        Ok(Root { engine: self.clone(), dir })
    }
}

impl Root {
    /// The directory's absolute path without symbolic links, as it was when it was opened.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The engine it belongs to.
    pub fn engine(&self) -> &Filelatch {
        &self.engine
    }

    /// A handle on a file beneath the root, as [`Filelatch::file`] makes one: the directory must exist, the file need not.
    ///
    /// [`Error::OutsideRoot`] for what leads out, [`Error::BadPath`] for what is no path.
    pub fn file(&self, relative: impl AsRef<Path>) -> Result<LatchFile> {
        let relative = relative.as_ref();
        let (place, is_straight) = self.find(relative, None)?;
        let file = self.open(place)?;
        let caps = self.dir.caps();
        // The name that was asked for is the name on the disk, so a look at it is a look at the file.
        if is_straight && !caps.case_insensitive && caps.kind == FsKind::Local {
            self.engine.remember_glanced(self.dir.id(), relative, &file.entry()?);
        }
        Ok(file)
    }

    /// A handle as from [`Root::file`], for a file whose directories may have to be made first. The names of those that were made for it are
    /// durable when it returns, also of those that a call in another process has begun with; what other programs make is not looked after.
    pub fn file_with_dirs(&self, relative: impl AsRef<Path>) -> Result<LatchFile> {
        self.file_with_dirs_where(relative, |_| true)
    }

    /// As [`Root::file_with_dirs`], where the file's place is one that may be. Before a directory is made that place is asked for: the file's path
    /// relative to this root, without the links on its way. [`Error::NotFound`] if it may not be; then nothing has been made.
    pub fn file_with_dirs_where(
        &self,
        relative: impl AsRef<Path>,
        may_be: impl Fn(&Path) -> bool,
    ) -> Result<LatchFile> {
        self.open(self.find(relative.as_ref(), Some(&may_be))?.0)
    }

    /// What this engine has read of a file before, if a look at its name shows that it is still that; `None` says nothing. It reads nothing and
    /// waits for nobody: two system calls on a local disk, none elsewhere. As a plain [`LatchFile::read`] it does not see what is stored through
    /// a memory mapping.
    pub fn glance(&self, relative: impl AsRef<Path>) -> Option<Snapshot> {
        let relative = relative.as_ref();
        let entry = self.engine.glanced(self.dir.id(), relative)?;
        entry.cached(&self.dir.stat_beneath(relative).ok()?)
    }

    /// Where a file of this root really is, relative to it: without the links that its path has on its way. Rules by path go by this one, too.
    pub fn place_of<'f>(&self, file: &'f LatchFile) -> &'f Path {
        let path = file.canonical_path();
        path.strip_prefix(self.path()).unwrap_or(path)
    }

    fn open(&self, place: Place) -> Result<LatchFile> {
        let entry = self.engine.entry(place.clone())?;
        Ok(LatchFile::new(self.engine.clone(), place, entry))
    }

    /// A place, and whether it was found straight away. With `make` missing directories are made.
    fn find(&self, asked: &Path, make: Option<MayBe<'_>>) -> Result<(Place, bool)> {
        let names = check(asked)?;
        if make.is_none()
            && let Some(place) = self.straight(asked, &names)
        {
            return Ok((place, true));
        }
        let mut way = Way { root: self, asked, open: Vec::new(), links: 0, attempts: 0 };
        way.walk(names.into_iter().map(OsStr::to_owned).collect(), make).map(|place| (place, false))
    }

    /// The usual case: no link on the way. `None`: it is another, or an error, which going step by step finds.
    fn straight(&self, asked: &Path, names: &[&OsStr]) -> Option<Place> {
        let (name, dirs) = names.split_last()?;
        let dir = match dirs {
            [] => Arc::clone(&self.dir),
            // The directories' names are to be as the disk has them.
            _ if self.dir.caps().case_insensitive => return None,
            _ => self.dir.open_beneath(&dirs.iter().collect::<PathBuf>()).ok()?,
        };
        let is_file = match dir.stat(name) {
            Ok(stat) => !matches!(stat.kind, FileKind::Symlink | FileKind::Dir),
            Err(e) => e.kind() == io::ErrorKind::NotFound,
        };
        is_file.then(|| Place::beneath(&self.dir, dir, (*name).to_owned(), asked))
    }
}

/// May directories be made for a file here?
type MayBe<'a> = &'a dyn Fn(&Path) -> bool;

/// A walk from the root, step by step.
struct Way<'a> {
    root: &'a Root,
    asked: &'a Path,
    /// The directories below the root that lead to where it is.
    open: Vec<Arc<dyn FsDir>>,
    links: usize,
    attempts: usize,
}

impl Way<'_> {
    fn here(&self) -> &Arc<dyn FsDir> {
        self.open.last().unwrap_or(&self.root.dir)
    }

    fn outside(&self, why: &'static str) -> Error {
        Error::OutsideRoot { path: self.asked.to_owned(), why }
    }

    fn fail(&self, e: io::Error) -> Error {
        Error::io("resolve", self.asked, e)
    }

    fn walk(&mut self, mut rest: VecDeque<OsString>, make: Option<MayBe<'_>>) -> Result<Place> {
        while let Some(name) = rest.pop_front() {
            if name == ".." {
                if self.open.pop().is_none() {
                    return Err(self.outside("a symbolic link on its way leads out"));
                }
                continue;
            }
            let here = Arc::clone(self.here());
            let last = rest.is_empty();
            match here.stat(&name) {
                Ok(stat) if stat.kind == FileKind::Symlink => self.follow(&*here, &name, &mut rest)?,
                Ok(stat) if stat.kind == FileKind::Dir && !last => {
                    self.enter(&here, name, &mut rest, make.is_some())?;
                }
                Ok(stat) if stat.kind == FileKind::Dir => break,
                Err(e) if e.kind() == io::ErrorKind::NotFound && !last => {
                    let Some(may_be) = make else {
                        return Err(missing_dir(self.asked, self.asked.parent().unwrap_or(Path::new(""))));
                    };
                    if !may_be(&self.place(&name, &rest)) {
                        return Err(Error::NotFound { path: self.asked.to_owned() });
                    }
                    match here.create_dir(&name, 0o777) {
                        // Made durable where it is entered.
                        Ok(()) => rest.push_front(name),
                        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => self.again(name, &mut rest)?,
                        Err(e) => return Err(Error::io("create the directory", here.path().join(name), e)),
                    }
                }
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(self.fail(e)),
                Ok(_) if !last => return Err(self.fail(io::ErrorKind::NotADirectory.into())),
                _ => return Ok(Place::beneath(&self.root.dir, here, name, self.asked)),
            }
        }
        Err(Error::NotAFile { path: self.asked.to_owned(), what: "a directory" })
    }

    /// Where the file is going to be: what is not there yet has no links.
    fn place(&self, name: &OsStr, rest: &VecDeque<OsString>) -> PathBuf {
        let here = self.here().path();
        let mut place = here.strip_prefix(self.root.path()).unwrap_or(here).join(name);
        for step in rest {
            if step == ".." {
                place.pop();
            } else {
                place.push(step);
            }
        }
        place
    }

    /// What was looked at is another thing by now.
    fn again(&mut self, name: OsString, rest: &mut VecDeque<OsString>) -> Result<()> {
        self.attempts += 1;
        if self.attempts > ATTEMPTS {
            return Err(self.fail(io::Error::other("its directories are moved about as fast as they are looked at")));
        }
        rest.push_front(name);
        Ok(())
    }

    fn enter(
        &mut self,
        here: &Arc<dyn FsDir>,
        name: OsString,
        rest: &mut VecDeque<OsString>,
        make: bool,
    ) -> Result<()> {
        let name = if here.caps().case_insensitive { name_on_disk(&**here, name) } else { name };
        match here.open_dir(&name) {
            Ok(dir) => {
                // Whoever puts the first thing in syncs before: a directory that is not empty has a durable name, whoever made it.
                if make && is_empty(&*dir).unwrap_or(false) {
                    dir.sync().and_then(|()| here.sync()).map_err(|e| Error::io("make durable", dir.path(), e))?;
                }
                self.open.push(dir);
                Ok(())
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                self.again(name, rest)
            }
            Err(e) => Err(self.fail(e)),
        }
    }

    fn follow(&mut self, here: &dyn FsDir, name: &OsStr, rest: &mut VecDeque<OsString>) -> Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(self.fail(io::Error::other("too many symbolic links follow one another")));
        }
        // Not a link any more, or gone: looked at again.
        let Ok(text) = here.read_link(name) else { return self.again(name.to_owned(), rest) };
        let mut steps = Vec::new();
        for part in text.components() {
            match part {
                Component::Normal(name) => steps.push(name.to_owned()),
                Component::ParentDir => steps.push("..".into()),
                Component::CurDir => {}
                Component::RootDir | Component::Prefix(_) => {
                    return Err(self.outside("a symbolic link on its way is absolute"));
                }
            }
        }
        steps.into_iter().rev().for_each(|step| rest.push_front(step));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
