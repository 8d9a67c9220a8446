//! The verbs of an open file. A [`SimFile`] is one open file description.

use std::any::Any;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use crate::events::Happened;
use crate::fs::FsFile;
use crate::types::{Access, Appended, LockKind, RangeKind, Stat, WriterProbe};

use super::call::Verb;
use super::errors;
use super::faults::Verdict;
use super::image::Change;
use super::locks::Wish;
use super::simfs::{SimFs, Turn};
use super::state::{Handle, State};
use super::store::Ino;

#[derive(Debug)]
pub(super) struct SimFile {
    fs: SimFs,
    handle: Handle,
    path: PathBuf,
}

impl SimFile {
    pub(super) fn new(fs: SimFs, handle: Handle, path: PathBuf) -> Self {
        SimFile { fs, handle, path }
    }

    fn enter(&self, verb: Verb, detail: String) -> io::Result<Turn<'_>> {
        self.fs.enter(verb, vec![self.path.clone()], detail)
    }

    fn ino(&self, state: &State) -> io::Result<Ino> {
        Ok(state.opened(self.handle)?.ino)
    }

    fn opened_for(&self, access: Access, state: &State) -> io::Result<Ino> {
        let open = state.opened(self.handle)?;
        if open.access == access { Ok(open.ino) } else { Err(errors::bad_descriptor()) }
    }

    fn writable(&self, state: &State) -> io::Result<Ino> {
        self.opened_for(Access::ReadWrite, state)
    }

    fn make_durable(&self, verb: Verb) -> io::Result<()> {
        let mut turn = self.enter(verb, String::new())?;
        if let (Verdict::Fail(_), Ok(ino)) = (&turn.verdict, self.ino(&turn.state)) {
            turn.state.store.inode_mut(ino).sync_failed();
        }
        turn.run(|state| {
            let ino = self.ino(state)?;
            state.store.inode_mut(ino).sync();
            state.store.sync_dir(ino); // fsync(2) does not ask how a directory was opened
            Ok(())
        })
    }

    fn change(&self, verb: Verb, change: Change) -> io::Result<()> {
        self.enter(verb, change.to_string())?.run(|state| {
            let ino = self.ino(state)?;
            state.store.change(ino, change);
            state.note_open(self.handle, Happened::Other);
            Ok(())
        })
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.fs.world.lock();
        state.close(self.handle);
        let hints = state.hints();
        drop(state);
        self.fs.world.changed.notify_all();
        hints.tell();
    }
}

/// A position or length as this machine can hold it.
fn size(n: u64) -> io::Result<usize> {
    usize::try_from(n).ok().filter(|n| isize::try_from(*n).is_ok()).ok_or_else(|| ErrorKind::FileTooLarge.into())
}

fn range_detail(start: u64, len: u64, kind: RangeKind) -> String {
    format!("{kind:?} {start}+{len}")
}

impl FsFile for SimFile {
    fn stat(&self) -> io::Result<Stat> {
        self.enter(Verb::StatFile, String::new())?.run(|state| Ok(state.store.stat(self.ino(state)?)))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let turn = self.enter(Verb::ReadAt, format!("{offset}+{}", buf.len()))?;
        let most = if let Verdict::AtMost(most) = turn.verdict { most } else { usize::MAX };
        turn.run(|state| {
            let bytes = state.store.bytes(self.ino(state)?)?;
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            let n = buf.len().min(bytes.len() - start).min(most);
            buf[..n].copy_from_slice(&bytes[start..start + n]);
            Ok(n)
        })
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let turn = self.enter(Verb::WriteAt, format!("{offset}+{}", buf.len()))?;
        let most = if let Verdict::AtMost(most) = turn.verdict { most } else { usize::MAX };
        turn.run(|state| {
            let (ino, offset) = (self.writable(state)?, size(offset)?);
            size(offset as u64 + buf.len() as u64)?;
            if buf.is_empty() {
                return Ok(0);
            }
            let n = state.store.room(ino, offset, buf.len()).min(most);
            if n == 0 {
                return Err(errors::os(ErrorKind::StorageFull));
            }
            state.store.change(ino, Change::Write { offset, data: buf[..n].into() });
            state.note_open(self.handle, Happened::Written);
            Ok(n)
        })
    }

    fn append(&self, buf: &[u8]) -> io::Result<Appended> {
        let turn = self.enter(Verb::Append, buf.len().to_string())?;
        let most = if let Verdict::AtMost(most) = turn.verdict { most } else { usize::MAX };
        turn.run(|state| {
            let ino = self.opened_for(Access::Append, state)?;
            let offset = state.store.bytes(ino)?.len();
            if buf.is_empty() {
                return Ok(Appended { at: offset as u64, len: 0 });
            }
            let len = state.store.room(ino, offset, buf.len()).min(most);
            if len == 0 {
                return Err(errors::os(ErrorKind::StorageFull));
            }
            state.store.change(ino, Change::Write { offset, data: buf[..len].into() });
            state.note_open(self.handle, Happened::Written);
            Ok(Appended { at: offset as u64, len })
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.enter(Verb::SetLen, len.to_string())?.run(|state| {
            // ftruncate(2) answers otherwise than write(2) here.
            let ino = self.writable(state).map_err(|_| errors::os(ErrorKind::InvalidInput))?;
            state.store.change(ino, Change::SetLen(size(len)?));
            state.note_open(self.handle, Happened::Written);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.make_durable(Verb::SyncFile)
    }

    /// Like a whole sync: a simulated disk has no times that could be left out.
    fn sync_data(&self) -> io::Result<()> {
        self.make_durable(Verb::SyncData)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.change(Verb::SetMode, Change::Mode(mode & 0o7777))
    }

    fn set_owner(&self, uid: u32, gid: u32) -> io::Result<()> {
        self.change(Verb::SetOwner, Change::Owner(uid, gid))
    }

    fn list_xattrs(&self) -> io::Result<Vec<OsString>> {
        self.enter(Verb::ListXattrs, String::new())?.run(|state| {
            if !state.store.dials.xattrs {
                return Err(ErrorKind::Unsupported.into());
            }
            Ok(state.store.inode(self.ino(state)?).now.xattrs.keys().cloned().collect())
        })
    }

    fn get_xattr(&self, name: &OsStr) -> io::Result<Option<Vec<u8>>> {
        let turn = self.enter(Verb::GetXattr, name.display().to_string())?;
        turn.run(|state| Ok(state.store.inode(self.ino(state)?).now.xattrs.get(name).cloned()))
    }

    fn set_xattr(&self, name: &OsStr, value: &[u8]) -> io::Result<()> {
        let change = Change::Xattr(name.to_owned(), value.to_owned());
        self.enter(Verb::SetXattr, change.to_string())?.run(|state| {
            if !state.store.dials.xattrs {
                return Err(ErrorKind::Unsupported.into());
            }
            let ino = self.ino(state)?;
            state.store.change(ino, change);
            state.note_open(self.handle, Happened::Other);
            Ok(())
        })
    }

    fn lock(&self, kind: LockKind) -> io::Result<()> {
        let turn = self.enter(Verb::Lock, format!("{kind:?}"))?;
        turn.lock(&self.fs.world, self.fs.process, self.handle, Wish::Whole(kind))
    }

    fn try_lock(&self, kind: LockKind) -> io::Result<bool> {
        let turn = self.enter(Verb::TryLock, format!("{kind:?}"))?;
        turn.try_lock(&self.fs.world, self.handle, Wish::Whole(kind))
    }

    fn unlock(&self) -> io::Result<()> {
        self.enter(Verb::Unlock, String::new())?.run(|state| {
            state.unlock(self.handle);
            self.fs.world.changed.notify_all();
            Ok(())
        })
    }

    fn lock_range(&self, start: u64, len: u64, kind: RangeKind) -> io::Result<()> {
        let turn = self.enter(Verb::LockRange, range_detail(start, len, kind))?;
        turn.lock(&self.fs.world, self.fs.process, self.handle, Wish::Range { start, len, kind })
    }

    fn try_lock_range(&self, start: u64, len: u64, kind: RangeKind) -> io::Result<bool> {
        let turn = self.enter(Verb::TryLockRange, range_detail(start, len, kind))?;
        turn.try_lock(&self.fs.world, self.handle, Wish::Range { start, len, kind })
    }

    fn unlock_range(&self, start: u64, len: u64) -> io::Result<()> {
        self.enter(Verb::UnlockRange, format!("{start}+{len}"))?.run(|state| {
            if !state.store.dials.range_locks {
                return Err(ErrorKind::Unsupported.into());
            }
            state.unlock_range(self.handle, start, len);
            self.fs.world.changed.notify_all();
            Ok(())
        })
    }

    fn range_is_locked(&self, start: u64, len: u64) -> io::Result<bool> {
        let turn = self.enter(Verb::RangeIsLocked, format!("{start}+{len}"))?;
        turn.run(|state| state.range_is_locked(self.handle, start, len))
    }

    fn probe_writers(&self) -> io::Result<WriterProbe> {
        self.enter(Verb::ProbeWriters, String::new())?.run(|state| {
            let ino = self.ino(state)?;
            if !state.store.dials.leases {
                return Ok(WriterProbe::Unknown);
            }
            let written = state.opens.values().any(|open| open.ino == ino && open.writable());
            Ok(if written { WriterProbe::Some } else { WriterProbe::None })
        })
    }

    fn clone_from(&self, source: &dyn FsFile) -> io::Result<()> {
        self.enter(Verb::CloneFrom, String::new())?.run(|state| {
            let source = source.as_any().downcast_ref::<SimFile>();
            let source = source.filter(|file| Arc::ptr_eq(&file.fs.world, &self.fs.world));
            let Some(source) = source.filter(|_| state.store.dials.reflinks) else {
                return Err(ErrorKind::Unsupported.into());
            };
            let (ino, bytes) = (self.writable(state)?, state.store.bytes(source.ino(state)?)?);
            state.store.change(ino, Change::Content(bytes));
            state.note_open(self.handle, Happened::Written);
            Ok(())
        })
    }

    fn make_inheritable(&self) -> io::Result<u64> {
        self.enter(Verb::MakeInheritable, String::new())?.run(|state| state.opened(self.handle).map(|_| self.handle))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
