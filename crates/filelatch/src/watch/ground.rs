//! What the watched paths stand on: the directories where cookies are made, their file systems and workspaces.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use filelatch_fs::{FileKind, Fs, FsKind};

use super::tracker::Root;
use crate::engine::Filelatch;
use crate::error::{Error, Result};
use crate::workspace::Workspace;

#[derive(Debug)]
pub(super) struct Ground {
    /// The directories of the paths, canonical, as far as they are there.
    dirs: Vec<PathBuf>,
    /// One of them for each file system.
    samples: Vec<PathBuf>,
    /// By the directory of a path, as the path is spelled.
    workspaces: BTreeMap<PathBuf, Option<Arc<Workspace>>>,
    first: PathBuf,
    remote: Option<&'static str>,
    /// A path is a link to a file, whose directory is not among these.
    links: bool,
}

impl Ground {
    pub(super) fn under(latch: &Filelatch, paths: &[PathBuf]) -> Result<Ground> {
        let fs = &*latch.parts().fs;
        let (dirs, samples, workspaces) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut ground = Ground { dirs, samples, workspaces, first: PathBuf::new(), remote: None, links: false };
        let mut devices = BTreeSet::new();
        for path in paths {
            let spelled = dir_of(fs, path);
            ground.links |= fs.stat(path).is_ok_and(|stat| stat.kind == FileKind::Symlink) && spelled != *path;
            if ground.workspaces.contains_key(&spelled) {
                continue;
            }
            // One that is missing stands on the nearest directory above that is there.
            let there = spelled.ancestors().find_map(|above| real(fs, above).ok());
            let Some(dir) = there else {
                let missing = io::Error::from(io::ErrorKind::NotFound);
                return Err(Error::io("find", path, missing));
            };
            let workspace = latch.workspace(&dir)?.map(Arc::new);
            let open = fs.open_dir(&dir).map_err(|e| Error::io("open", &dir, e))?;
            if ground.workspaces.is_empty() {
                ground.first.clone_from(&dir);
            }
            if real(fs, &spelled).is_ok() && !ground.dirs.contains(&dir) {
                if devices.insert(open.id().dev) {
                    ground.samples.push(dir.clone());
                }
                ground.dirs.push(dir);
            }
            if open.caps().kind != FsKind::Local {
                ground.remote.get_or_insert(open.caps().name);
            }
            ground.workspaces.insert(spelled, workspace);
        }
        Ok(ground)
    }

    pub(super) fn dirs(&self) -> &[PathBuf] {
        &self.dirs
    }

    pub(super) fn samples(&self) -> &[PathBuf] {
        &self.samples
    }

    /// Is everything that is watched in one of the directories, or below?
    pub(super) fn is_complete(&self) -> bool {
        !self.links
    }

    /// The directory of the first path.
    pub(super) fn first(&self) -> &Path {
        &self.first
    }

    /// The name of a file system that other machines may change without this one being told.
    pub(super) fn remote(&self) -> Option<&'static str> {
        self.remote
    }

    pub(super) fn roots(&self, fs: &dyn Fs, paths: &[PathBuf]) -> Vec<Root> {
        let workspace = |path: &PathBuf| self.workspaces.get(&dir_of(fs, path)).cloned().flatten();
        paths.iter().map(|path| Root { path: path.clone(), workspace: workspace(path) }).collect()
    }
}

/// The directory that a path is, or else lies in, as the path is spelled.
fn dir_of(fs: &dyn Fs, path: &Path) -> PathBuf {
    let is_dir = match fs.stat(path) {
        Ok(stat) if stat.kind == FileKind::Symlink => real(fs, path).is_ok_and(|real| fs.open_dir(&real).is_ok()),
        Ok(stat) => stat.kind == FileKind::Dir,
        Err(_) => false,
    };
    let parent = || path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if is_dir { path.to_owned() } else { parent().to_owned() }
}

fn real(fs: &dyn Fs, dir: &Path) -> io::Result<PathBuf> {
    fs.canonicalize(if dir.as_os_str().is_empty() { Path::new(".") } else { dir })
}
