//! The verbs of an open directory.

use std::any::Any;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fs::{FsDir, FsFile, names_of};
use crate::types::{Access, Caps, FileId, Mount, Stat};

use super::call::Verb;
use super::errors;
use super::faults::Verdict;
use super::file::SimFile;
use super::inode::Node;
use super::simfs::{SimFs, Turn};
use super::store::Ino;

#[derive(Debug)]
pub(super) struct SimDir {
    fs: SimFs,
    ino: Ino,
    path: PathBuf,
    id: FileId,
    caps: Caps,
}

impl SimDir {
    pub(super) fn new(fs: SimFs, ino: Ino, path: PathBuf, id: FileId, caps: Caps) -> Self {
        SimDir { fs, ino, path, id, caps }
    }

    fn enter(&self, verb: Verb, names: &[&OsStr]) -> io::Result<Turn<'_>> {
        let paths = names.iter().map(|name| self.path.join(name)).collect();
        self.fs.enter(verb, paths, String::new())
    }

    /// Another directory of this file system.
    fn neighbour(&self, dir: &dyn FsDir) -> io::Result<Ino> {
        let dir = dir.as_any().downcast_ref::<SimDir>().filter(|dir| Arc::ptr_eq(&dir.fs.world, &self.fs.world));
        dir.map(|dir| dir.ino).ok_or_else(|| errors::os(ErrorKind::CrossesDevices))
    }

    fn file(&self, name: &OsStr, handle: u64) -> Box<dyn FsFile> {
        Box::new(SimFile::new(self.fs.clone(), handle, self.path.join(name)))
    }
}

impl FsDir for SimDir {
    fn path(&self) -> &Path {
        &self.path
    }

    fn id(&self) -> FileId {
        self.id
    }

    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        let turn = self.enter(Verb::StatEntry, &[name])?;
        turn.run(|state| Ok(state.store.stat(state.store.lookup(self.ino, name)?)))
    }

    fn open(&self, name: &OsStr, access: Access) -> io::Result<Box<dyn FsFile>> {
        self.enter(Verb::Open, &[name])?.run(|state| {
            let ino = state.store.lookup(self.ino, name)?;
            let writable = access != Access::Read;
            match &state.store.inode(ino).node {
                Node::Symlink(_) => return Err(errors::link_loop()),
                Node::Dir if writable => return Err(errors::os(ErrorKind::IsADirectory)),
                _ => {}
            }
            let by = state.store.way(self.ino, name)?;
            let handle = state.open(self.fs.process, ino, by, access);
            Ok(self.file(name, handle))
        })
    }

    fn create_new(&self, name: &OsStr, mode: u32) -> io::Result<Box<dyn FsFile>> {
        self.enter(Verb::CreateNew, &[name])?.run(|state| {
            let ino = state.store.create(self.ino, name, Node::File, mode)?;
            let by = state.store.way(self.ino, name)?;
            let handle = state.open(self.fs.process, ino, by, Access::ReadWrite);
            Ok(self.file(name, handle))
        })
    }

    fn open_dir(&self, name: &OsStr) -> io::Result<Arc<dyn FsDir>> {
        self.enter(Verb::OpenDirEntry, &[name])?.run(|state| {
            let ino = state.store.lookup(self.ino, name)?;
            if state.store.inode(ino).node != Node::Dir {
                return Err(errors::os(ErrorKind::NotADirectory));
            }
            let (id, caps) = (state.store.id(ino), state.store.dials.caps());
            Ok(Arc::new(SimDir::new(self.fs.clone(), ino, self.path.join(name), id, caps)) as Arc<dyn FsDir>)
        })
    }

    fn open_beneath(&self, path: &Path) -> io::Result<Arc<dyn FsDir>> {
        self.enter(Verb::OpenBeneath, &[path.as_os_str()])?.run(|state| {
            let mut ino = self.ino;
            for name in names_of(path)? {
                ino = state.store.lookup(ino, name)?;
                if state.store.inode(ino).node != Node::Dir {
                    return Err(errors::os(ErrorKind::NotADirectory));
                }
            }
            let (id, caps) = (state.store.id(ino), state.store.dials.caps());
            Ok(Arc::new(SimDir::new(self.fs.clone(), ino, self.path.join(path), id, caps)) as Arc<dyn FsDir>)
        })
    }

    fn read_link(&self, name: &OsStr) -> io::Result<PathBuf> {
        self.enter(Verb::ReadLinkEntry, &[name])?.run(|state| {
            let ino = state.store.lookup(self.ino, name)?;
            match &state.store.inode(ino).node {
                Node::Symlink(text) => Ok(text.clone()),
                _ => Err(errors::os(ErrorKind::InvalidInput)),
            }
        })
    }

    fn create_dir(&self, name: &OsStr, mode: u32) -> io::Result<()> {
        let turn = self.enter(Verb::CreateDirEntry, &[name])?;
        turn.run(|state| state.store.create(self.ino, name, Node::Dir, mode).map(drop))
    }

    fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        let turn = self.enter(Verb::Rename, &[from, to])?;
        turn.run(|state| state.store.rename((self.ino, from), (self.ino, to)))
    }

    fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        let turn = self.enter(Verb::RenameNew, &[from, to])?;
        turn.run(|state| state.store.rename_new((self.ino, from), (self.ino, to)))
    }

    fn exchange(&self, a: &OsStr, b: &OsStr) -> io::Result<()> {
        self.enter(Verb::Exchange, &[a, b])?.run(|state| state.store.exchange(self.ino, a, b))
    }

    fn link(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        let turn = self.enter(Verb::Link, &[from, to])?;
        turn.run(|state| state.store.link((self.ino, from), (self.ino, to)))
    }

    fn move_to(&self, from: &OsStr, dir: &dyn FsDir, to: &OsStr) -> io::Result<()> {
        let paths = vec![self.path.join(from), dir.path().join(to)];
        self.fs
            .enter(Verb::MoveTo, paths, String::new())?
            .run(|state| state.store.rename_new((self.ino, from), (self.neighbour(dir)?, to)))
    }

    fn move_over(&self, from: &OsStr, dir: &dyn FsDir, to: &OsStr) -> io::Result<()> {
        let paths = vec![self.path.join(from), dir.path().join(to)];
        let turn = self.fs.enter(Verb::MoveOver, paths, String::new())?;
        turn.run(|state| state.store.rename((self.ino, from), (self.neighbour(dir)?, to)))
    }

    fn remove(&self, name: &OsStr) -> io::Result<()> {
        self.enter(Verb::Remove, &[name])?.run(|state| state.store.remove(self.ino, name))
    }

    fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        self.enter(Verb::RemoveDir, &[name])?.run(|state| state.store.remove_dir(self.ino, name))
    }

    fn symlink(&self, text: &Path, name: &OsStr) -> io::Result<()> {
        self.enter(Verb::Symlink, &[name])?.run(|state| {
            if !state.store.dials.links {
                return Err(ErrorKind::Unsupported.into());
            }
            state.store.create(self.ino, name, Node::Symlink(text.to_owned()), 0o777).map(drop)
        })
    }

    fn mount(&self) -> io::Result<Option<Mount>> {
        self.enter(Verb::Mount, &[OsStr::new("")])?.run(|state| Ok(Some(state.store.dials.mount())))
    }

    fn sync(&self) -> io::Result<()> {
        let mut turn = self.enter(Verb::SyncDir, &[OsStr::new("")])?;
        if let Verdict::Fail(_) = turn.verdict {
            turn.state.store.sync_dir_failed(self.ino);
        }
        turn.run(|state| {
            state.store.sync_dir(self.ino);
            Ok(())
        })
    }

    fn list(&self, each: &mut dyn FnMut(OsString) -> bool) -> io::Result<()> {
        // The names are copied first: the callback may use the file system.
        let names: Vec<OsString> = self
            .enter(Verb::List, &[OsStr::new("")])?
            .run(|state| Ok(state.store.entries(self.ino).map(|entry| entry.name.clone()).collect()))?;
        for name in names {
            if !each(name) {
                break;
            }
        }
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
