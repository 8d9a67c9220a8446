//! What must survive a power cut before a session's folder is deleted (L55).
//!
//! git does not sync small commits by itself, and never a directory. What was committed in a session may be nowhere but in the cache, while its
//! files are already on disk: deleting them before the objects are there could lose both. So the objects that only the session brought, the
//! ref that keeps them, and the directories that name both are synced here, whoever wrote them.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use filelatch_fs::{Access, Fs};

use crate::error::{Error, Result};
use crate::git::Git;
use crate::repo::Repo;

/// For commands that make commits: each object and ref is synced as it is written.
pub(crate) const FSYNC: &str = "core.fsync=committed";
/// More refs that have the same commits need not be durable, too.
const REFS: usize = 20;

/// Makes the objects of these commits durable, but for those that `known` has, and the refs that have them.
pub(crate) fn keep(repo: &Repo, git: &Git, tips: &[String], known: Option<&str>, refs: &[String]) -> Result<()> {
    // What a partial clone has not fetched is not ours to sync.
    let mut words = vec!["rev-list", "--objects", "--no-object-names", "--missing=allow-promisor"];
    words.extend(tips.iter().map(String::as_str));
    words.extend(known.into_iter().flat_map(|known| ["--not", known]));
    let listed = git.ask(words)?;
    let objects = repo.common.join("objects");
    let fs = &*git.fs;
    let mut folders = BTreeSet::new();
    for id in listed.out.split(|&byte| byte == b'\n') {
        let Some((folder, name)) = std::str::from_utf8(id).ok().and_then(|id| id.split_at_checked(2)) else { continue };
        // One that is not there is in a pack; packs are synced by git.
        if sync_file(fs, &objects.join(folder), name)? {
            folders.insert(objects.join(folder));
        }
    }
    folders.extend([objects.join("pack"), objects]);
    for folder in &folders {
        sync_dir(fs, folder)?;
    }
    for name in refs.iter().take(REFS) {
        sync_ref(fs, &repo.common, name)?;
    }
    sync_file(fs, &repo.common, "packed-refs")?;
    sync_tables(fs, &repo.common.join("reftable"))?;
    sync_dir(fs, &repo.common)
}

/// The file of a ref, if it has one, and the directories that name it.
fn sync_ref(fs: &dyn Fs, common: &Path, name: &str) -> Result<()> {
    let path = common.join(name);
    let (Some(parent), Some(file)) = (path.parent(), path.file_name().and_then(|file| file.to_str())) else {
        return Ok(());
    };
    if sync_file(fs, parent, file)? {
        for dir in parent.ancestors().take_while(|dir| *dir != common) {
            sync_dir(fs, dir)?;
        }
    }
    Ok(())
}

/// Refs in the form of tables, where the repository has them so.
fn sync_tables(fs: &dyn Fs, dir: &Path) -> Result<()> {
    let Ok(open) = fs.open_dir(dir) else { return Ok(()) };
    let names = filelatch_fs::fs::names(&*open).map_err(Error::io("list", dir))?;
    for name in names.iter().filter_map(|name| name.to_str()) {
        sync_file(fs, dir, name)?;
    }
    sync_dir(fs, dir)
}

/// False: there is no such file.
fn sync_file(fs: &dyn Fs, dir: &Path, name: &str) -> Result<bool> {
    let synced = fs.open_dir(dir).and_then(|dir| dir.open(name.as_ref(), Access::Read)).and_then(|file| file.sync());
    match synced {
        Ok(()) => Ok(true),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        // Windows syncs only what is open for writing, and git's objects are for reading only.
        Err(e) if cfg!(windows) && e.kind() == io::ErrorKind::PermissionDenied => Ok(true),
        Err(e) => Err(Error::io("sync", dir.join(name))(e)),
    }
}

fn sync_dir(fs: &dyn Fs, dir: &Path) -> Result<()> {
    match fs.open_dir(dir).and_then(|open| open.sync()) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        synced => synced.map_err(Error::io("sync", PathBuf::from(dir))),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
