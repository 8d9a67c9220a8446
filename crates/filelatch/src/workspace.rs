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
    pub(crate) policies: Policies,
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
            match parts.fs.stat(&own) {
                Ok(stat) if stat.kind == FileKind::Dir => {
                    return Workspace::open(parts, root, &own, &stat, trusted).map(Some);
                }
                // Nothing there, or something that is not a workspace's folder.
                Ok(_) => {}
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory
                    ) => {}
                Err(e) => return Err(Error::io("look for a workspace at", own, e)),
            }
        }
        Ok(None)
    }

    fn open(parts: &Parts, root: &Path, own: &Path, stat: &Stat, trusted: &Trusted) -> Result<Workspace> {
        let path = own.join(CONFIG);
        let fail = |e| Error::io("read", &path, e);
        let dir = parts.fs.open_dir(own).map_err(|e| Error::io("open", own, e))?;
        let owned = |stat: &Stat| stat.uid == parts.host.uid() || stat.uid == 0;
        let listed = trusted.iter().any(|t| t == root);
        let workspace = Workspace {
            root: root.to_owned(),
            policies: Policies::default(),
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
        Ok(Workspace { policies: Policies::parse(&text, &path)?, ..workspace })
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
        let mut parent = parts.fs.open_dir(&self.root)?.open_dir(WORKSPACE_DIR.as_ref())?;
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
        parts.fs.open_dir(&self.root.join(WORKSPACE_DIR).join(SESSIONS))
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

fn is_empty(dir: &dyn FsDir) -> io::Result<bool> {
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
