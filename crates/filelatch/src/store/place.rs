//! Where stores lie: at a path, or under a name in `.filelatch/stores/` of a workspace.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::engine::Filelatch;
use crate::error::{Error, Result};
use crate::workspace::WORKSPACE_DIR;

pub(crate) const STORES: &str = "stores";
/// Longer names are paths.
const NAME: usize = 100;

/// Stores of a kind that a workspace can have many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFolder {
    /// Append logs.
    Logs,
    /// Command queues.
    Queues,
}

impl StoreFolder {
    fn folder(self) -> &'static str {
        match self {
            StoreFolder::Logs => "logs",
            StoreFolder::Queues => "queues",
        }
    }

    fn what(self) -> &'static str {
        match self {
            StoreFolder::Logs => "there are no logs",
            StoreFolder::Queues => "there are no queues",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            StoreFolder::Logs => "jsonl",
            StoreFolder::Queues => "queue",
        }
    }
}

/// Stores of which a workspace has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnStore {
    /// Hashes of API tokens.
    Tokens,
    /// Credentials.
    Credentials,
    /// Bookmarks.
    Bookmarks,
    /// Groups of sessions.
    Groups,
    /// The index of changed files.
    Changes,
    /// What was generated for whom.
    Generated,
    /// Writes that a server has taken and not made yet: a folder, with a file for each.
    Writes,
    /// What servers of agents remember: keys of calls, who waits for leases. A folder.
    Agents,
}

impl OwnStore {
    fn file(self) -> &'static str {
        match self {
            OwnStore::Tokens => "tokens.json",
            OwnStore::Credentials => "credentials.json",
            OwnStore::Bookmarks => "bookmarks.json",
            OwnStore::Groups => "groups.json",
            OwnStore::Changes => "changes.jsonl",
            OwnStore::Generated => "generated.json",
            OwnStore::Writes => "writes",
            OwnStore::Agents => "mcp",
        }
    }

    fn what(self) -> &'static str {
        match self {
            OwnStore::Tokens => "there are no tokens",
            OwnStore::Credentials => "there are no credentials",
            OwnStore::Bookmarks => "there are no bookmarks",
            OwnStore::Groups => "there are no groups",
            OwnStore::Changes => "there is no index of changes",
            OwnStore::Generated => "there is no list of generated files",
            OwnStore::Writes => "there is no place for writes that are to be made later",
            OwnStore::Agents => "there is no place for what agents are to find again",
        }
    }
}

impl Filelatch {
    /// The path of a store that a user names from a directory: a plain word (letters, digits, `-`, `_`) is a store of the directory's
    /// workspace, unless there is no workspace or a file of that name lies in the directory; everything else is a path.
    ///
    /// `create`: the folder is made if it is missing, with mode 0700.
    pub fn store_path(
        &self,
        dir: impl AsRef<Path>,
        folder: StoreFolder,
        name: impl AsRef<OsStr>,
        create: bool,
    ) -> Result<PathBuf> {
        let (dir, name) = (dir.as_ref(), name.as_ref());
        let path = if dir == Path::new(".") { PathBuf::from(name) } else { dir.join(name) };
        if !is_word(name) || self.parts().fs.stat(&path).is_ok() {
            return Ok(path);
        }
        let file = format!("{}.{}", name.to_string_lossy(), folder.extension());
        match self.in_stores(dir, &[folder.folder()], &file, create)? {
            Some(path) => Ok(path),
            None => Ok(path),
        }
    }

    /// The path of a store that the workspace of a directory has under a plain word; there is no other way to name it. `None`: it is no plain
    /// word (letters, digits, `-`, `_`). Otherwise as [`Filelatch::store_path`].
    pub fn named_store(
        &self,
        dir: impl AsRef<Path>,
        folder: StoreFolder,
        name: &str,
        create: bool,
    ) -> Result<Option<PathBuf>> {
        let dir = dir.as_ref();
        if !is_word(OsStr::new(name)) {
            return Ok(None);
        }
        let file = format!("{name}.{}", folder.extension());
        let found = self.in_stores(dir, &[folder.folder()], &file, create)?;
        found.map(Some).ok_or_else(|| Error::NoWorkspace { path: dir.to_owned(), without: folder.what() })
    }

    /// The names under which the workspace of a directory has stores of a kind, sorted; none where there is no workspace.
    pub fn named_stores(&self, dir: impl AsRef<Path>, folder: StoreFolder) -> Result<Vec<String>> {
        let Some(workspace) = self.find_workspace(dir.as_ref())? else { return Ok(Vec::new()) };
        let names = [OsStr::new(STORES), OsStr::new(folder.folder())];
        let fail = |e| Error::io("list the stores in", workspace.own_path().join(STORES), e);
        let Some(open) = workspace.private_folder(self.parts(), &names, false).map_err(fail)? else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        open.list(&mut |entry| {
            let name = entry.to_str().and_then(|entry| entry.strip_suffix(folder.extension())?.strip_suffix('.'));
            found.extend(name.filter(|name| is_word(OsStr::new(name))).map(str::to_owned));
            true
        })
        .map_err(fail)?;
        found.sort();
        Ok(found)
    }

    /// The path of a store of which the workspace of a directory has one. `create`: its folder is made if it is missing, with mode 0700.
    pub fn own_store(&self, dir: impl AsRef<Path>, store: OwnStore, create: bool) -> Result<PathBuf> {
        let dir = dir.as_ref();
        let found = self.in_stores(dir, &[], store.file(), create)?;
        found.ok_or_else(|| Error::NoWorkspace { path: dir.to_owned(), without: store.what() })
    }

    fn in_stores(&self, dir: &Path, folders: &[&str], file: &str, create: bool) -> Result<Option<PathBuf>> {
        let Some(workspace) = self.find_workspace(dir)? else { return Ok(None) };
        let mut names = vec![OsStr::new(STORES)];
        names.extend(folders.iter().map(OsStr::new));
        let mut path = workspace.root.join(WORKSPACE_DIR);
        path.extend(&names);
        if create {
            let made = workspace.private_folder(self.parts(), &names, true);
            made.map_err(|e| Error::io("create", &path, e))?;
        }
        Ok(Some(path.join(file)))
    }
}

fn is_word(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=NAME).contains(&name.len()) && name.iter().all(plain)
}
