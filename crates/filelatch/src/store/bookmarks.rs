//! Bookmarks: names for places in the files of a workspace (STORE-4).
//!
//! A bookmark is a name for a path of the workspace, relative to its folder, and what there is to say of it. It is not moved when the file is.
//! Bookmarks lie in `.filelatch/stores/bookmarks.json`, a [`Repository`], for all sessions of the workspace.

use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::own::OwnCollection;
use super::place::OwnStore;
use super::repository::{Record, Repository, Survey};
use super::stamp;
use crate::engine::Filelatch;
use crate::error::{Error, Result};
use crate::lock::LockOptions;

/// A name for a place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bookmark {
    /// Its name: any text of up to 256 bytes without control characters.
    pub name: String,
    /// The file or folder, relative to the workspace's folder, its components separated by `/`; `.` is the folder itself.
    pub path: String,
    /// The line, counted from 1.
    pub line: Option<u64>,
    /// What there is to say of it.
    pub note: Option<String>,
    /// Words to find it by, sorted.
    pub tags: Vec<String>,
    /// Who added it.
    pub added_by: String,
    /// When; `None`: what is stored is no point in time.
    pub added_at: Option<SystemTime>,
}

/// What is to be said of a new bookmark.
#[derive(Clone, Debug, Default)]
pub struct NewBookmark {
    /// The line, counted from 1.
    pub line: Option<u64>,
    /// What there is to say of it.
    pub note: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// It takes the place of one of the same name.
    pub replace: bool,
}

/// The bookmarks of a workspace, from [`Filelatch::bookmarks`].
#[derive(Clone, Debug)]
pub struct Bookmarks {
    own: OwnCollection,
}

/// As it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    added_by: String,
    #[serde(with = "stamp")]
    added_at: Option<SystemTime>,
}

impl Filelatch {
    /// The bookmarks of the workspace of a directory; [`Error::NoWorkspace`] if there is none.
    pub fn bookmarks(&self, dir: impl AsRef<Path>) -> Result<Bookmarks> {
        let own = OwnCollection::open(self, dir.as_ref().to_owned(), OwnStore::Bookmarks)?;
        Ok(Bookmarks { own })
    }
}

impl Bookmarks {
    /// The file they are in; it need not exist.
    pub fn path(&self) -> Result<PathBuf> {
        self.own.path()
    }

    /// All bookmarks, by name.
    pub fn list(&self) -> Result<Vec<Bookmark>> {
        match self.own.existing::<Stored>()? {
            Some(stored) => Ok(stored.list()?.into_iter().map(Bookmark::of).collect()),
            None => Ok(Vec::new()),
        }
    }

    /// The bookmarks that can be read, by name, and the names of the others, with the reason.
    pub fn survey(&self) -> Result<Survey<Bookmark>> {
        match self.own.existing::<Stored>()? {
            Some(stored) => Ok(stored.survey()?.map(Bookmark::of)),
            None => Ok(Survey::default()),
        }
    }

    /// The bookmark of this name.
    pub fn get(&self, name: &str) -> Result<Bookmark> {
        let found = match self.own.existing::<Stored>()? {
            Some(stored) => stored.find(name)?,
            None => None,
        };
        found.map(Bookmark::of).ok_or_else(|| self.missing(name))
    }

    /// Adds a bookmark. `path` is absolute, or relative to the directory that the bookmarks were opened from; it must exist, in the
    /// workspace, and its last component is not followed if it is a link. A name that is taken is an error, unless it is to be replaced.
    pub fn add(
        &self,
        name: &str,
        path: impl AsRef<Path>,
        new: &NewBookmark,
        lock: &LockOptions<'_>,
    ) -> Result<Bookmark> {
        let parts = self.own.latch.parts();
        let mut tags = new.tags.clone();
        tags.sort();
        tags.dedup();
        let stored = Stored {
            path: self.relative(path.as_ref())?,
            line: new.line,
            note: new.note.clone(),
            tags,
            added_by: parts.session.clone(),
            added_at: Some(parts.host.now()),
        };
        self.made()?.modify_with(lock, |records| {
            if new.replace {
                records.delete(name)?;
            } else if records.exists(name)? {
                return Err(self.refused(StoreError::Exists { what: "bookmark", id: name.to_owned() }));
            }
            records.insert(name, &stored)
        })?;
        Ok(Bookmark::from_stored(name.to_owned(), stored))
    }

    /// Removes a bookmark, readable or not; it is an error if there is none.
    pub fn remove(&self, name: &str, lock: &LockOptions<'_>) -> Result<()> {
        let Some(stored) = self.own.existing::<Stored>()? else { return Err(self.missing(name)) };
        let (_, found) = stored.modify_with(lock, |records| records.delete(name))?;
        if found { Ok(()) } else { Err(self.missing(name)) }
    }

    /// Gives a bookmark another name, in one step; it is an error if that is taken.
    pub fn rename(&self, name: &str, to: &str, lock: &LockOptions<'_>) -> Result<Bookmark> {
        let Some(stored) = self.own.existing::<Stored>()? else { return Err(self.missing(name)) };
        let (_, renamed) = stored.modify_with(lock, |records| {
            let Some(bookmark) = records.find(name)? else { return Err(self.missing(name)) };
            if name != to {
                if records.exists(to)? {
                    return Err(self.refused(StoreError::Exists { what: "bookmark", id: to.to_owned() }));
                }
                records.rename(name, to)?;
            }
            Ok(bookmark)
        })?;
        Ok(Bookmark::of(Record { id: to.to_owned(), ..renamed }))
    }

    fn made(&self) -> Result<Repository<Stored>> {
        self.own.made()
    }

    fn missing(&self, name: &str) -> Error {
        self.refused(StoreError::NotFound { what: "bookmark", id: name.to_owned() })
    }

    fn refused(&self, source: StoreError) -> Error {
        Error::Store { path: self.own.path().unwrap_or_else(|_| self.own.dir.clone()), source }
    }

    /// The path as it is kept.
    fn relative(&self, path: &Path) -> Result<String> {
        let fs = &self.own.latch.parts().fs;
        let invalid = |problem: &str, hint: &str| {
            let problem = format!("`{}` {problem}", path.display());
            self.refused(StoreError::Invalid { problem, hint: hint.to_owned() })
        };
        let asked = self.own.dir.join(path);
        let not_found = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
                Error::NotFound { path: path.to_owned() }
            }
            _ => Error::io("find", path, e),
        };
        fs.stat(&asked).map_err(not_found)?;
        // What ends in `..`, or is a root, has no name of its own.
        let found = match (asked.parent(), asked.file_name()) {
            (Some(parent), Some(name)) => {
                let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
                fs.canonicalize(parent).map_err(not_found)?.join(name)
            }
            _ => fs.canonicalize(&asked).map_err(not_found)?,
        };
        let root = self.own.latch.workspace_of(&self.own.dir)?.unwrap_or_default();
        let inside = found
            .strip_prefix(&root)
            .map_err(|_| invalid("lies outside of the workspace", "a bookmark is for what lies in it"))?;
        let names = inside.components().map(|component| match component {
            Component::Normal(name) => name.to_str(),
            _ => None,
        });
        let names: Option<Vec<_>> = names.collect();
        let names = names.ok_or_else(|| invalid("is not text", "rename the file"))?;
        Ok(if names.is_empty() { ".".to_owned() } else { names.join("/") })
    }

    /// Where a bookmark leads, as a path of the system.
    pub fn target(&self, bookmark: &Bookmark) -> Result<PathBuf> {
        let root = self.own.latch.workspace_of(&self.own.dir)?.unwrap_or_default();
        // What somebody wrote into the file by hand must not lead out of the workspace.
        let is_inside = |name: &str| {
            let mut parts = Path::new(name).components();
            matches!((parts.next(), parts.next()), (Some(Component::Normal(_) | Component::CurDir), None))
        };
        if !bookmark.path.split('/').all(is_inside) {
            let problem = format!("the bookmark `{}` leads out of the workspace: `{}`", bookmark.name, bookmark.path);
            let hint = "remove it, or correct its path".to_owned();
            return Err(self.refused(StoreError::Invalid { problem, hint }));
        }
        Ok(bookmark.path.split('/').filter(|name| *name != ".").fold(root, |path, name| path.join(name)))
    }
}

impl Bookmark {
    fn of(record: Record<Stored>) -> Bookmark {
        Bookmark::from_stored(record.id, record.value)
    }

    fn from_stored(name: String, stored: Stored) -> Bookmark {
        let Stored { path, line, note, tags, added_by, added_at } = stored;
        Bookmark { name, path, line, note, tags, added_by, added_at }
    }
}
