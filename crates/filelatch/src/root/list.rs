//! The files beneath a root.
//!
//! # Promise
//! Regular files, sorted by path, and links that lead to one beneath the root; no directory is entered through a link. Work and memory are
//! bounded by the limit that the caller gives.
//!
//! # Non-promise
//! It is no picture of one moment: what comes or goes meanwhile may or may not be there.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use filelatch_fs::{FileKind, FsDir, Stat};

use super::Root;
use super::names::check;
use crate::error::{Error, Result};

/// So many entries are looked at for each file that may be listed, before the rest is left out.
const LOOKS_PER_FILE: usize = 16;
/// And so many in any case.
const LOOKS: usize = 4096;

/// The files beneath a directory, from [`Root::list`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// Sorted by path.
    pub files: Vec<ListedFile>,
    /// There are more, or there may be: what lies deep was left out first.
    pub truncated: bool,
    /// So many directories could not be read, for want of the right to.
    pub unreadable: usize,
}

/// A file in a [`Listing`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedFile {
    /// Relative to the root.
    pub path: PathBuf,
    /// Length in bytes.
    pub size: u64,
    /// Last change of the content.
    pub modified: SystemTime,
}

impl Root {
    /// The files in a directory (empty: the root itself) and, if `deep`, in those below it: at most `limit` of them.
    ///
    /// `admit` is asked for each path, relative to the root, before it is looked at: what it refuses is not there, nor what is below it, nor a link to it.
    pub fn list(
        &self,
        dir: impl AsRef<Path>,
        deep: bool,
        limit: usize,
        mut admit: impl FnMut(&Path) -> bool,
    ) -> Result<Listing> {
        self.search(dir.as_ref(), deep, limit, &mut admit, &|_| true)
    }

    /// As [`Root::list`], of the files that are `wanted` only.
    pub(super) fn search(
        &self,
        dir: &Path,
        deep: bool,
        limit: usize,
        admit: &mut dyn FnMut(&Path) -> bool,
        wanted: &dyn Fn(&Path) -> bool,
    ) -> Result<Listing> {
        if !dir.as_os_str().is_empty() {
            check(dir)?;
        }
        let mut search = Search {
            root: self,
            limit,
            deep,
            wanted,
            left: limit.saturating_mul(LOOKS_PER_FILE).max(LOOKS),
            found: Listing::default(),
        };
        let mut dirs = VecDeque::from([dir.to_owned()]);
        let mut first = true;
        while let Some(path) = dirs.pop_front() {
            if search.left == 0 || search.found.files.len() >= limit {
                search.found.truncated = true;
                break;
            }
            let open =
                if path.as_os_str().is_empty() { Ok(Arc::clone(&self.dir)) } else { self.dir.open_beneath(&path) };
            let looked = open.and_then(|open| search.look(&*open, &path, &mut dirs, admit));
            match looked {
                Ok(()) => {}
                Err(e) if first && e.kind() == io::ErrorKind::NotFound => return Err(Error::NotFound { path }),
                Err(e) if first => return Err(Error::io("list", path, e)),
                // Gone, or another thing, since it was seen.
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => search.found.unreadable += 1,
                Err(e) if e.kind() == io::ErrorKind::InvalidFilename => search.found.truncated = true,
                Err(e) => return Err(Error::io("list", path, e)),
            }
            first = false;
        }
        let mut found = search.found;
        found.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }
}

struct Search<'a> {
    root: &'a Root,
    limit: usize,
    deep: bool,
    wanted: &'a dyn Fn(&Path) -> bool,
    /// Entries that may still be looked at.
    left: usize,
    found: Listing,
}

impl Search<'_> {
    fn look(
        &mut self,
        dir: &dyn FsDir,
        path: &Path,
        dirs: &mut VecDeque<PathBuf>,
        admit: &mut dyn FnMut(&Path) -> bool,
    ) -> io::Result<()> {
        for name in self.names(dir, path, admit)? {
            let path = path.join(&name);
            let stat = match dir.stat(&name) {
                Ok(stat) if stat.kind == FileKind::Symlink => self.behind(&path, admit),
                other => other.ok(),
            };
            match stat {
                Some(stat) if stat.is_file() && !(self.wanted)(&path) => {}
                Some(stat) if stat.is_file() && self.found.files.len() < self.limit => {
                    self.found.files.push(ListedFile { path, size: stat.size, modified: stat.mtime.to_system_time() });
                }
                Some(stat) if stat.is_file() => {
                    self.found.truncated = true;
                    break;
                }
                Some(stat) if stat.kind == FileKind::Dir && self.deep => dirs.push_back(path),
                _ => {}
            }
        }
        Ok(())
    }

    /// The names, sorted, of as many entries as may be looked at.
    fn names(
        &mut self,
        dir: &dyn FsDir,
        path: &Path,
        admit: &mut dyn FnMut(&Path) -> bool,
    ) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        let mut looks = self.left;
        dir.list(&mut |name| {
            if looks == 0 {
                self.found.truncated = true;
                return false;
            }
            looks -= 1;
            if admit(&path.join(&name)) {
                names.push(name);
            }
            true
        })?;
        self.left = looks;
        names.sort_unstable();
        Ok(names)
    }

    /// The file that a link leads to, if it lies beneath the root and is admitted itself.
    fn behind(&self, link: &Path, admit: &mut dyn FnMut(&Path) -> bool) -> Option<Stat> {
        let (place, _) = self.root.find(link, None).ok()?;
        let target = place.path.strip_prefix(self.root.path()).ok()?;
        let mut folders: Vec<_> = target.ancestors().filter(|path| !path.as_os_str().is_empty()).collect();
        folders.reverse();
        if !folders.into_iter().all(admit) {
            return None;
        }
        place.dir.stat(&place.name).ok()
    }
}
