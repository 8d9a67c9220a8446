//! Where sessions have their folders.
//!
//! In `.filelatch/worktrees/NAME` of the workspace that the main working tree belongs to; one is made at its top when there is none.
//! There, and not beside the repository, because the folder above may be nobody's to write in (a container's mount, a home), and because
//! everything that filelatch makes is in one place. What that costs: `git clean -fdx` leaves worktrees alone, `git clean -ffdx` does not.
//! The folder is named in `info/exclude`, so no `git add` in the main working tree takes it up.
//!
//! Where the workspace begins above the repository, the path between them is repeated inside: `NAME/PATH`. The folder `NAME` gets a
//! `.filelatch` of its own with the configuration of the workspace, so its files have the policies, by the same globs, that they have in the
//! main working tree, and kept versions, conflicts and attributions of their own.

use std::io;
use std::path::{Path, PathBuf};

use filelatch::{Filelatch, WORKSPACE_DIR};
use filelatch_fs::fs::{read_to_end, write_all_at};
use filelatch_fs::{Access, FileKind, FsDir};

use crate::error::{Error, Result};
use crate::exclude::exclude;
use crate::git::Git;
use crate::record::Records;
use crate::repo::{Repo, plain};

const WORKTREES: &str = "worktrees";
const CONFIG: &str = "config.toml";
const CONFIG_LIMIT: u64 = 1 << 20;
/// Unlike a workspace's usual one it names itself, too: nothing of it is a change of the session's.
const IGNORE_ALL: &[u8] = b"*\n";

/// The place of all sessions of one repository.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The workspace.
    root: PathBuf,
    /// From there to the main working tree; mostly nothing.
    between: PathBuf,
}

impl Place {
    /// Where it is, or would be; makes nothing.
    pub(crate) fn find(repo: &Repo, latch: &Filelatch) -> Result<Place> {
        let root = latch.workspace_of(&repo.main)?.map_or_else(|| repo.main.clone(), plain);
        let between = repo.main.strip_prefix(&root).map(Path::to_owned).unwrap_or_default();
        Ok(Place { root, between })
    }

    /// Makes what is missing. Answers what `info/exclude` got.
    pub(crate) fn prepare(&self, repo: &Repo, latch: &Filelatch, records: &Records) -> Result<Vec<&'static str>> {
        let fs = &repo.git.fs;
        let dir = self.root.join(WORKSPACE_DIR);
        if fs.stat(&dir).is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
            latch.init(&self.root)?;
        }
        let worktrees = self.worktrees();
        match fs.create_dir(&worktrees) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(Error::io("create", worktrees)(e)),
            _ => {}
        }
        // A link, which the repository itself may have brought, would lead elsewhere.
        if fs.stat(&worktrees).map_err(Error::io("look at", &worktrees))?.kind != FileKind::Dir {
            return Err(Error::io("use", worktrees)(io::ErrorKind::NotADirectory.into()));
        }
        // Lock files beside the files of a session would be changes of it.
        Ok(exclude(records.engine(), &repo.common.join("info").join("exclude"), |_| {})?)
    }

    /// The workspace.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// From the workspace to the main working tree.
    pub(crate) fn between(&self) -> &Path {
        &self.between
    }

    /// The folder of all.
    pub(crate) fn worktrees(&self) -> PathBuf {
        self.root.join(WORKSPACE_DIR).join(WORKTREES)
    }

    /// The workspace of a session.
    fn root_of(&self, name: &str) -> PathBuf {
        self.worktrees().join(name)
    }

    /// The working tree of a session.
    pub(crate) fn folder_of(&self, name: &str) -> PathBuf {
        let root = self.root_of(name);
        // A path that ends in a separator is another one to git.
        if self.between.as_os_str().is_empty() { root } else { root.join(&self.between) }
    }

    /// Makes the session's folder a workspace of its own. What git has brought along is left alone.
    /// Answers its own folder.
    pub(crate) fn make_workspace(&self, git: &Git, name: &str) -> Result<PathBuf> {
        let root = self.root_of(name);
        let fail = |e| Error::io("create", root.join(WORKSPACE_DIR))(e);
        let top = git.fs.open_dir(&root).map_err(fail)?;
        let own = folder(&*top, WORKSPACE_DIR).map_err(fail)?;
        folder(&*own, "sessions").map_err(fail)?;
        let main = git.fs.open_dir(&self.root.join(WORKSPACE_DIR)).map_err(Error::io("open", &self.root))?;
        let config = match main.open(CONFIG.as_ref(), Access::Read) {
            Ok(file) => Some(read_to_end(&*file, CONFIG_LIMIT).map_err(Error::io("read", main.path().join(CONFIG)))?),
            Err(_) => None,
        };
        for (file, text) in [(".gitignore", Some(IGNORE_ALL)), (CONFIG, config.as_deref())] {
            let Some(text) = text else { continue };
            match own.create_new(file.as_ref(), 0o666) {
                Ok(made) => write_all_at(&*made, text, 0).map_err(fail)?,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(fail(e)),
            }
        }
        Ok(root.join(WORKSPACE_DIR))
    }

    /// After the worktree is gone: the folders above it that were the session's.
    pub(crate) fn clear(&self, git: &Git, name: &str) {
        if self.between.as_os_str().is_empty() {
            return;
        }
        let root = self.root_of(name);
        let own = git.fs.open_dir(&root).and_then(|top| top.open_dir(WORKSPACE_DIR.as_ref()));
        if let Ok(own) = own {
            for file in [".gitignore", CONFIG] {
                own.remove(file.as_ref()).ok();
            }
        }
        // Only what is empty goes: stored conflicts, kept versions and files beside the repository stay.
        let sessions = Path::new(WORKSPACE_DIR).join("sessions");
        for dir in [&*sessions, WORKSPACE_DIR.as_ref()].into_iter().chain(self.between.ancestors()) {
            // `ancestors` ends with the empty path: the root itself.
            remove_empty(git, &root.join(dir));
        }
    }
}

fn remove_empty(git: &Git, dir: &Path) {
    if let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) {
        git.fs.open_dir(parent).and_then(|parent| parent.remove_dir(name)).ok();
    }
}

/// A folder in another; made if it is missing. A link is not followed.
fn folder(dir: &dyn FsDir, name: &str) -> io::Result<std::sync::Arc<dyn FsDir>> {
    match dir.create_dir(name.as_ref(), 0o777) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => dir.open_dir(name.as_ref()),
    }
}
