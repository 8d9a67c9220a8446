//! What other programs do to files: editors, shells, installers. None of them knows our locks; they sync only if told to.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fs::{Fs, FsDir, FsFile, read_to_end, write_all_at};
use crate::types::Access;

use super::inode::Node;
use super::simfs::SimFs;
use super::store::Ino;

/// A program that ignores filelatch. Its calls are not counted, not hooked and never fail on order; they do fail when the
/// power is off. Also the eyes and hands of a test: what it reads is what every program would read now.
#[derive(Clone, Debug)]
pub struct Foreign {
    fs: SimFs,
}

impl Foreign {
    pub(super) fn new(fs: SimFs) -> Self {
        Foreign { fs }
    }

    fn dir_of<'a>(&self, path: &'a Path) -> io::Result<(Arc<dyn FsDir>, &'a OsStr)> {
        let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.fs.open_dir(dir)?, path.file_name().ok_or(io::ErrorKind::InvalidInput)?))
    }

    /// The bytes of a file.
    pub fn read(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        read_to_end(&*self.open(path, Access::Read)?, u64::MAX >> 2)
    }

    /// The names in a directory, sorted.
    pub fn names(&self, dir: impl AsRef<Path>) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        self.fs.open_dir(dir.as_ref())?.list(&mut |name| {
            names.push(name.to_string_lossy().into_owned());
            true
        })?;
        names.sort();
        Ok(names)
    }

    /// Opens a file and keeps it open: a late writer, a reader of an old inode, a lock holder.
    pub fn open(&self, path: impl AsRef<Path>, access: Access) -> io::Result<Box<dyn FsFile>> {
        let (dir, name) = self.dir_of(path.as_ref())?;
        dir.open(name, access)
    }

    /// Creates a file that must not exist.
    pub fn create(&self, path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
        let (dir, name) = self.dir_of(path.as_ref())?;
        write_all_at(&*dir.create_new(name, 0o666)?, bytes, 0)
    }

    /// Writes over the same inode, then cuts what is left of the old content.
    pub fn overwrite(&self, path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
        let file = self.open(path, Access::ReadWrite)?;
        write_all_at(&*file, bytes, 0)?;
        file.set_len(bytes.len() as u64)
    }

    /// Empties the same inode, then writes, as `echo > file` does.
    pub fn truncate_and_write(&self, path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
        let file = self.open(path, Access::ReadWrite)?;
        file.set_len(0)?;
        write_all_at(&*file, bytes, 0)
    }

    /// Adds to the end of the same inode.
    pub fn append(&self, path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
        let file = self.open(path, Access::ReadWrite)?;
        write_all_at(&*file, bytes, file.stat()?.size)
    }

    /// Puts another inode in the place of whatever has this name, as editors do.
    pub fn replace(&self, path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
        let path = path.as_ref();
        let temp = path.with_file_name("foreign.tmp");
        self.create(&temp, bytes)?;
        self.rename(temp, path)
    }

    /// Renames within a directory or between two, replacing.
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
        self.locked(|store| {
            let from = store.resolve_parent(from.as_ref())?;
            let to = store.resolve_parent(to.as_ref())?;
            store.rename((from.0, &from.1), (to.0, &to.1))
        })
    }

    /// Makes a hard link.
    pub fn link(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
        self.locked(|store| {
            let from = store.resolve_parent(from.as_ref())?;
            let to = store.resolve_parent(to.as_ref())?;
            store.link((from.0, &from.1), (to.0, &to.1))
        })
    }

    /// Removes a file.
    pub fn remove(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let (dir, name) = self.dir_of(path.as_ref())?;
        dir.remove(name)
    }

    /// Makes a directory and those above it.
    pub fn create_dirs(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let mut here = PathBuf::new();
        for part in path.as_ref().components() {
            here.push(part);
            match self.fs.create_dir(&here) {
                Err(e) if self.fs.stat(&here).is_err() => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes the names in a directory durable, as a careful program does.
    pub fn sync_dir(&self, dir: impl AsRef<Path>) -> io::Result<()> {
        self.fs.open_dir(dir.as_ref())?.sync()
    }

    /// Makes a symbolic link.
    pub fn symlink(&self, text: impl AsRef<Path>, path: impl AsRef<Path>) -> io::Result<()> {
        self.make(path.as_ref(), Node::Symlink(text.as_ref().to_owned()))
    }

    /// Makes a FIFO.
    pub fn mkfifo(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.make(path.as_ref(), Node::Other)
    }

    fn make(&self, path: &Path, node: Node) -> io::Result<()> {
        self.locked(|store| {
            let (dir, name) = store.resolve_parent(path)?;
            let _: Ino = store.create(dir, &name, node, 0o777)?;
            Ok(())
        })
    }

    /// For what the seam has no verb.
    fn locked<T>(&self, act: impl FnOnce(&mut super::store::Store) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.fs.world.lock();
        state.admit(self.fs.process)?;
        state.tick();
        let done = act(&mut state.store);
        let hints = state.hints();
        drop(state);
        hints.tell();
        done
    }
}
