//! The workspace: the nearest folder above a file that has `.filelatch/`, found as git finds `.git`.
//!
//! Everything works without one, except what needs memory: policies, full names of sessions.
//!
//! A workspace is obeyed only when its folder and configuration belong to the user or to root, or when it was listed as
//! trusted (P16): a planted configuration must not switch locks off. One that is not obeyed is reported, not ignored in silence.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use filelatch_fs::fs::{read_to_end, write_all_at};
use filelatch_fs::{Access, FileKind, FsDir, Stat};

use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::policy::Policies;
use crate::write::Author;
use crate::write::attribution::{is_session_id, short_session};

/// Name of the workspace's own folder.
pub const WORKSPACE_DIR: &str = ".filelatch";
const CONFIG: &str = "config.toml";
const SESSIONS: &str = "sessions";
/// A configuration longer than this is not one.
const CONFIG_LIMIT: u64 = 1 << 20;

/// Folders of workspaces that are obeyed whoever owns them.
pub(crate) type Trusted = Vec<PathBuf>;

/// A workspace that was found.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The folder that holds `.filelatch`.
    pub(crate) root: PathBuf,
    /// That folder, open, where its path may lead elsewhere by now: it was found beneath a [`Root`](crate::Root).
    held: Option<Arc<dyn FsDir>>,
    pub(crate) policies: Arc<Policies>,
    /// Its folder is the user's or root's, or was listed: what is in files may be put there.
    pub(crate) is_trusted: bool,
    /// The folder's owner.
    owner: u32,
}

impl Workspace {
    /// Looks in `dir` and above. `None`: there is none.
    pub(crate) fn find(parts: &Parts, dir: &Path, trusted: &Trusted) -> Result<Option<Workspace>> {
        for root in dir.ancestors() {
            let own = root.join(WORKSPACE_DIR);
            if let Some(stat) = own_folder(&own, parts.fs.stat(&own))? {
                let dir = parts.fs.open_dir(&own).map_err(|e| Error::io("open", &own, e))?;
                return Workspace::open(parts, root, None, &*dir, &stat, trusted).map(Some);
            }
        }
        Ok(None)
    }

    /// Looks in `dir`, which lies beneath `base`, and above. As far as `base` nothing is asked by path.
    pub(crate) fn find_beneath(
        parts: &Parts,
        base: &Arc<dyn FsDir>,
        dir: &Arc<dyn FsDir>,
        trusted: &Trusted,
    ) -> Result<Option<Workspace>> {
        let relative = dir.path().strip_prefix(base.path()).unwrap_or(Path::new(""));
        for folder in relative.ancestors() {
            let held = if folder == relative {
                Arc::clone(dir)
            } else if folder.as_os_str().is_empty() {
                Arc::clone(base)
            } else {
                // What has been moved away meanwhile is above nothing here.
                match base.open_beneath(&folder.join(WORKSPACE_DIR)).and_then(|_| base.open_beneath(folder)) {
                    Ok(held) => held,
                    Err(e) if nothing_there(&e) => continue,
                    Err(e) => return Err(Error::io("look for a workspace at", base.path().join(folder), e)),
                }
            };
            let root = base.path().join(folder);
            let own = root.join(WORKSPACE_DIR);
            if let Some(stat) = own_folder(&own, held.stat(WORKSPACE_DIR.as_ref()))? {
                let dir = held.open_dir(WORKSPACE_DIR.as_ref()).map_err(|e| Error::io("open", &own, e))?;
                return Workspace::open(parts, &root, Some(Arc::clone(&held)), &*dir, &stat, trusted).map(Some);
            }
        }
        base.path().parent().map_or(Ok(None), |above| Workspace::find(parts, above, trusted))
    }

    fn open(
        parts: &Parts,
        root: &Path,
        held: Option<Arc<dyn FsDir>>,
        dir: &dyn FsDir,
        stat: &Stat,
        trusted: &Trusted,
    ) -> Result<Workspace> {
        let path = root.join(WORKSPACE_DIR).join(CONFIG);
        let fail = |e| Error::io("read", &path, e);
        let owned = |stat: &Stat| stat.uid == parts.host.uid() || stat.uid == 0;
        let listed = trusted.iter().any(|t| t == root);
        let workspace = Workspace {
            root: root.to_owned(),
            held,
            policies: Arc::default(),
            is_trusted: owned(stat) || listed,
            owner: stat.uid,
        };
        let file = match dir.open(CONFIG.as_ref(), Access::Read) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Ok(workspace);
            }
            Err(e) => return Err(fail(e)),
        };
        let config = file.stat().map_err(fail)?;
        let obeyed = owned(stat) && owned(&config) || listed;
        if !obeyed {
            let message = "it belongs to another user, so it is not obeyed; list its folder as trusted if you know it";
            return Err(Error::Config { path, message: message.to_owned() });
        }
        if !config.is_file() {
            return Err(Error::NotAFile { path, what: "something else" });
        }
        let text = read_to_end(&*file, CONFIG_LIMIT).map_err(fail)?;
        Ok(Workspace { policies: parts.policies.parsed(text, &path)?, ..workspace })
    }

    /// Is it the other, also where others have moved folders about?
    pub(crate) fn is(&self, other: &Workspace) -> bool {
        let id = |workspace: &Workspace| workspace.held.as_ref().map(|dir| dir.id());
        self.root == other.root && id(other).is_none_or(|other| id(self) == Some(other))
    }

    /// The folder that holds `.filelatch`, if it was found beneath a root.
    pub(crate) fn held(&self) -> Option<Arc<dyn FsDir>> {
        self.held.clone()
    }

    /// The folder that holds `.filelatch`.
    pub(crate) fn folder(&self, parts: &Parts) -> io::Result<Arc<dyn FsDir>> {
        match &self.held {
            Some(dir) => Ok(Arc::clone(dir)),
            None => parts.fs.open_dir(&self.root),
        }
    }

    /// The workspace's own folder.
    pub(crate) fn own_path(&self) -> PathBuf {
        self.root.join(WORKSPACE_DIR)
    }

    /// A folder in the workspace's own, by the names that lead to it, for what is in files. `None`: it is not there, and is not to be made.
    ///
    /// Only its owner may enter it, unless he has opened it to his group: what is made in it then is open to the group, too. Links are not
    /// followed, and a stranger's folder is refused. With `create` its name is durable when this returns.
    pub(crate) fn private_folder(
        &self,
        parts: &Parts,
        names: &[&OsStr],
        create: bool,
    ) -> io::Result<Option<Arc<dyn FsDir>>> {
        let mut parent = self.folder(parts)?.open_dir(WORKSPACE_DIR.as_ref())?;
        let mut mode = 0o700;
        for name in names {
            if create {
                match parent.create_dir(name, mode) {
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                    // Where it can't be made it may still be there.
                    Err(e) => drop(parent.stat(name).map_err(|_| e)?),
                    Ok(()) => {}
                }
            }
            let folder = match parent.open_dir(name) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                other => other?,
            };
            let stat = parent.stat(name)?;
            let owned = stat.uid == parts.host.uid() || stat.uid == 0 || stat.uid == self.owner;
            if stat.id != folder.id() || !owned {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the folder belongs to another user"));
            }
            // Whoever puts the first thing in syncs before: then a folder that is not empty has a durable name, whoever made it.
            if create && is_empty(&*folder)? {
                parent.sync()?;
            }
            mode = stat.mode & 0o770 | 0o700;
            parent = folder;
        }
        Ok(Some(parent))
    }

    fn sessions(&self, parts: &Parts) -> io::Result<Arc<dyn FsDir>> {
        self.folder(parts)?.open_dir(WORKSPACE_DIR.as_ref())?.open_dir(SESSIONS.as_ref())
    }

    /// Notes the full name of a session whose short id is in attributions. Once for each name; best effort.
    pub(crate) fn register_session(&self, parts: &Parts, session: &str) -> io::Result<()> {
        let id = short_session(session);
        if !is_session_id(&id) {
            return Ok(());
        }
        let dir = self.sessions(parts)?;
        if dir.stat(id.as_ref()).is_ok() {
            return Ok(());
        }
        let temp = crate::path::temp_name(id.as_ref(), parts.host.pid(), parts.host.random());
        let file = dir.create_new(&temp, 0o600)?;
        let named = write_all_at(&*file, session.as_bytes(), 0).and_then(|()| dir.rename_new(&temp, id.as_ref()));
        match named {
            Err(e) => {
                dir.remove(&temp).ok();
                if e.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(e) }
            }
            Ok(()) => Ok(()),
        }
    }

    /// The full name of a session that an attribution names by id.
    pub(crate) fn resolve(&self, parts: &Parts, author: Author) -> Author {
        let Author::Session(id) = &author else { return author };
        if !is_session_id(id) {
            return author;
        }
        let name = self
            .sessions(parts)
            .and_then(|dir| dir.open(id.as_ref(), Access::Read))
            .and_then(|f| read_to_end(&*f, 4096));
        match name.ok().and_then(|bytes| String::from_utf8(bytes).ok()).filter(|name| short_session(name) == *id) {
            Some(name) => Author::Session(name),
            None => author,
        }
    }
}

/// The facts of a workspace's folder, if it is one.
fn own_folder(path: &Path, found: io::Result<Stat>) -> Result<Option<Stat>> {
    match found {
        Ok(stat) => Ok((stat.kind == FileKind::Dir).then_some(stat)),
        Err(e) if nothing_there(&e) => Ok(None),
        Err(e) => Err(Error::io("look for a workspace at", path, e)),
    }
}

fn nothing_there(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory)
}

pub(crate) fn is_empty(dir: &dyn FsDir) -> io::Result<bool> {
    let mut empty = true;
    dir.list(&mut |_| {
        empty = false;
        false
    })?;
    Ok(empty)
}

/// What `init` made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initialized {
    /// The workspace's own folder.
    pub dir: PathBuf,
    /// False: it was there already.
    pub created: bool,
}

const CONFIG_TEXT: &str = "\
# How filelatch treats the files below this folder. The first policy whose glob matches counts.
#
# lock = \"auto\"               # what locks are made of; or \"os\", \"file\" (for network drives without locks)
#
# [[policy]]
# glob = \"**/*.json\"
# strategy = \"fail-fast\"      # or \"queue\", \"last-write-wins\", \"merge\"
# durability = \"full\"         # or \"file\", \"none\"
# timeout = \"30s\"
# hard_links = \"replace\"      # or \"in-place\"
# lock_file = \"hidden\"        # .name.lock; or \"suffix\": name.lock
# if_unavailable = \"error\"    # or \"proceed\": warn and go on without the lock
# keep = \"displaced\"          # replaced versions stay in .filelatch/versions; \"none\" for files with secrets
# keep_versions = 50
# keep_age = \"30d\"
# keep_bytes = \"256MB\"
#
# [audit]
# enabled = true              # who changed what when is recorded in .filelatch/audit; \"filelatch audit\" shows it
# locks = \"contended\"         # or \"all\"
# file_bytes = \"8MiB\"
# keep_bytes = \"64MiB\"
#
# [session]
# include = [\".env\"]          # files that git does not track, and that each session in a git worktree gets a copy of
";

/// Makes a workspace in `root`. What exists already is left alone.
pub(crate) fn init(parts: &Parts, root: &Path) -> Result<Initialized> {
    let root = parts.fs.canonicalize(root).map_err(|e| Error::io("find", root, e))?;
    let dir = root.join(WORKSPACE_DIR);
    let fail = |e| Error::io("create", &dir, e);
    let make = |path: &Path| match parts.fs.create_dir(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e),
    };
    let created = make(&dir).map_err(fail)?;
    make(&dir.join(SESSIONS)).map_err(fail)?;
    let open = parts.fs.open_dir(&dir).map_err(fail)?;
    // The workspace's folder is everybody's own: nothing in it belongs into version control but the configuration.
    for (name, text) in [(CONFIG, CONFIG_TEXT), (".gitignore", "*\n!.gitignore\n!config.toml\n")] {
        match open.create_new(name.as_ref(), 0o666) {
            Ok(file) => write_all_at(&*file, text.as_bytes(), 0).and_then(|()| file.sync()).map_err(fail)?,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(fail(e)),
        }
    }
    open.sync().and_then(|()| parts.fs.open_dir(&root)?.sync()).map_err(fail)?;
    Ok(Initialized { dir, created })
}
