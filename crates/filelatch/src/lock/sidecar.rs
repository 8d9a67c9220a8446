//! The lock file beside a data file: opened, created, locked, rechecked, signed (P1).
//!
//! # Invariants
//! - The data file itself is never locked: publishing replaces it, and Windows locks would stop its readers (L4).
//! - A lock file is created complete (mode, owner and marker set) under a temporary name and appears by a rename that
//!   replaces nothing; no other process ever sees it half made.
//! - What is not ours is locked but never written; a link, a directory or a device in its place is an error (L19).
//! - A lock counts only when, after it was had, the path still names the locked file (L5).

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;

use filelatch_fs::fs::read_to_end;
use filelatch_fs::real::LOCK_RECORD_OFFSET;
use filelatch_fs::{Access, FileId, FileKind, FsDir, FsFile, LockKind, Stat};

use super::record::{Found, RECORD_LIMIT, Record};
use super::resource::locked;
use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::path::{LockFileName, Place, temp_name};

/// The byte that waiters queue on (P2). Beyond every record, and beside the regions of record locks (P10).
const GATE: u64 = (1 << 62) - 2;

/// Times a lock file may vanish under us before we say so.
const MAX_REOPENS: usize = 100;

/// Where a file's lock file is.
#[derive(Clone, Debug)]
pub(crate) struct LockPath {
    pub(crate) name: OsString,
    pub(crate) path: PathBuf,
}

impl LockPath {
    pub(crate) fn of(place: &Place, style: LockFileName) -> LockPath {
        let name = style.of(&place.name);
        LockPath { path: place.dir.path().join(&name), name }
    }
}

/// An open lock file.
#[derive(Debug)]
pub(crate) struct Sidecar {
    file: Box<dyn FsFile>,
    id: FileId,
    writable: bool,
    gated: bool,
    /// The lock that came with the open file from the process that started this one (P12). It is that process's, too:
    /// nothing is locked, unlocked or converted here.
    inherited: Option<LockKind>,
    gate: Mutex<Gate>,
}

/// The gate, as far as this open file is concerned.
#[derive(Debug, Default)]
struct Gate {
    /// A thread waits for the lock, and is past the gate.
    past: bool,
    /// This open file keeps the gate shut.
    shut: bool,
    /// Its wait was called off: it must keep nobody out.
    called_off: bool,
}

/// What became of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Try {
    Had,
    /// Had, although others queue.
    Overtook,
    Refused,
}

/// What [`Sidecar::open`] found.
pub(crate) enum Opened {
    Sidecar(Sidecar),
    /// The directory can't be written and there is no lock file: nobody can lock here (P1).
    Impossible(io::Error),
}

impl Sidecar {
    /// Opens the lock file, creating it if need be.
    pub(crate) fn open(parts: &Parts, place: &Place, lock: &LockPath) -> Result<Opened> {
        let dir = &*place.dir;
        for _ in 0..MAX_REOPENS {
            match open_existing(dir, lock)? {
                Some(sidecar) => return Ok(Opened::Sidecar(sidecar)),
                None => match create(parts, place, lock) {
                    Ok(Some(sidecar)) => return Ok(Opened::Sidecar(sidecar)),
                    Ok(None) => {}
                    Err(e)
                        if matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) =>
                    {
                        return Ok(Opened::Impossible(e));
                    }
                    Err(e) => return Err(Error::io("create the lock file", &lock.path, e)),
                },
            }
        }
        Err(Error::io("lock", &lock.path, io::Error::other("the lock file is removed as fast as it is made")))
    }

    /// The lock file behind an inherited descriptor, if that is what it is and it really holds the lock.
    pub(crate) fn adopt(parts: &Parts, place: &Place, lock: &LockPath, number: u64) -> io::Result<Option<Sidecar>> {
        let file = parts.fs.inherited(number)?;
        let id = file.stat()?.id;
        if place.dir.stat(&lock.name)?.id != id {
            return Ok(None);
        }
        let held = match file.held_lock() {
            Err(e) if e.kind() == io::ErrorKind::Unsupported => probe(&*place.dir, lock, &*file)?,
            held => held?,
        };
        let gated = place.dir.caps().range_locks;
        Ok(held.map(|kind| Sidecar { file, id, writable: true, gated, inherited: Some(kind), gate: Mutex::default() }))
    }

    /// The lock that was inherited with this file.
    pub(crate) fn inherited(&self) -> Option<LockKind> {
        self.inherited
    }

    /// Takes the lock if it is free and nobody queues for it; or past those who do, if it is still this process's turn.
    pub(crate) fn try_lock(&self, kind: LockKind, overtake: bool) -> io::Result<Try> {
        if self.inherited.is_some() {
            return Ok(Try::Had);
        }
        let waited_for = self.somebody_waits()?;
        if (waited_for && !overtake) || !self.file.try_lock(kind)? {
            return Ok(Try::Refused);
        }
        Ok(if waited_for { Try::Overtook } else { Try::Had })
    }

    /// Queues at the gate, then waits for the lock in the kernel. Both queues are first come, first served: the gate keeps
    /// newcomers, and readers that would otherwise keep joining, behind the one who waits (P2).
    pub(crate) fn lock(&self, kind: LockKind) -> io::Result<()> {
        if self.inherited.is_some() {
            return Ok(());
        }
        if !self.gated {
            return self.file.lock(kind);
        }
        self.file.lock_range(GATE, 1, LockKind::Exclusive)?;
        let called_off = {
            let mut gate = locked(&self.gate);
            (gate.past, gate.shut) = (true, true);
            gate.called_off
        };
        if called_off {
            self.open_gate();
        }
        let had = self.file.lock(kind);
        let mut gate = locked(&self.gate);
        let opened = if gate.shut { self.file.unlock_range(GATE, 1) } else { Ok(()) };
        *gate = Gate::default();
        had?;
        if let Err(e) = opened {
            self.file.unlock()?;
            return Err(e);
        }
        Ok(())
    }

    /// A wait in [`Sidecar::lock`] that nobody wants any more goes on, but keeps nobody out.
    pub(crate) fn open_gate(&self) {
        let mut gate = locked(&self.gate);
        gate.called_off = true;
        if gate.shut && self.file.unlock_range(GATE, 1).is_ok() {
            gate.shut = false;
        }
    }

    /// The wait is wanted again; it keeps newcomers behind it again if nobody else has taken the gate.
    pub(crate) fn shut_gate(&self) {
        let mut gate = locked(&self.gate);
        gate.called_off = false;
        if gate.past && !gate.shut {
            gate.shut = self.file.try_lock_range(GATE, 1, LockKind::Exclusive).unwrap_or(false);
        }
    }

    pub(crate) fn unlock(&self) -> io::Result<()> {
        if self.inherited.is_some() {
            return Ok(());
        }
        self.file.unlock()
    }

    /// Does another process of ours wait for the lock?
    pub(crate) fn somebody_waits(&self) -> io::Result<bool> {
        Ok(self.gated && self.file.range_is_locked(GATE, 1)?)
    }

    /// Facts of this file if the name still stands for it (L5). `ESTALE` counts as no.
    pub(crate) fn current(&self, dir: &dyn FsDir, lock: &LockPath) -> io::Result<Option<Stat>> {
        match dir.stat(&lock.name) {
            Ok(stat) => Ok(Some(stat).filter(|stat| stat.id == self.id)),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::StaleNetworkFileHandle) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The head of the file, where the record is, and how much of it there is.
    pub(crate) fn read_head(&self) -> io::Result<([u8; RECORD_LIMIT], usize)> {
        let mut head = [0; RECORD_LIMIT];
        let mut len = 0;
        // A read may be short, and a record read by half would be none: an unfinished write could be missed. Ours end with a line.
        while len < RECORD_LIMIT && (len == 0 || head[len - 1] != b'\n') {
            match self.file.read_at(&mut head[len..], LOCK_RECORD_OFFSET + len as u64)? {
                0 => break,
                n => len += n,
            }
        }
        Ok((head, len))
    }

    /// Replaces the record by one write. Only for the exclusive holder, and only if the file is ours.
    pub(crate) fn write_line(&self, line: &[u8]) -> io::Result<()> {
        filelatch_fs::fs::write_all_at(&*self.file, line, LOCK_RECORD_OFFSET)
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    pub(crate) fn make_inheritable(&self) -> io::Result<u64> {
        self.file.make_inheritable()
    }
}

/// Where the system does not tell which open file holds a lock: what a file of our own is refused is held by somebody, and
/// asking the inherited one for what it has already changes nothing.
fn probe(dir: &dyn FsDir, lock: &LockPath, inherited: &dyn FsFile) -> io::Result<Option<LockKind>> {
    let own = dir.open(&lock.name, Access::Read)?;
    if !own.try_lock(LockKind::Shared)? {
        return Ok(inherited.try_lock(LockKind::Exclusive)?.then_some(LockKind::Exclusive));
    }
    own.unlock()?;
    if own.try_lock(LockKind::Exclusive)? {
        own.unlock()?;
        return Ok(None);
    }
    Ok(inherited.try_lock(LockKind::Shared)?.then_some(LockKind::Shared))
}

fn open_existing(dir: &dyn FsDir, lock: &LockPath) -> Result<Option<Sidecar>> {
    let bad = |what| Error::BadLockFile { path: lock.path.clone(), what };
    // Writable if possible: an exclusive lock on NFS needs it (L13), and so does the record.
    let (file, writable) = match dir.open(&lock.name, Access::ReadWrite) {
        Ok(file) => (file, true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => {
            match dir.stat(&lock.name).map(|stat| stat.kind) {
                Ok(FileKind::Symlink) => return Err(bad("a symbolic link")),
                Ok(FileKind::Dir) => return Err(bad("a directory")),
                Ok(FileKind::Other) => return Err(bad("a FIFO, socket or device")),
                _ => {}
            }
            let read_only = matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem);
            match dir.open(&lock.name, Access::Read) {
                Ok(file) if read_only => (file, false),
                _ => return Err(Error::io("open the lock file", &lock.path, e)),
            }
        }
    };
    let stat = file.stat().map_err(|e| Error::io("examine the lock file", &lock.path, e))?;
    if !stat.is_file() {
        return Err(bad("a FIFO, socket or device"));
    }
    Ok(Some(Sidecar {
        file,
        id: stat.id,
        writable,
        gated: dir.caps().range_locks && writable,
        inherited: None,
        gate: Mutex::default(),
    }))
}

/// `None`: somebody else was first.
fn create(parts: &Parts, place: &Place, lock: &LockPath) -> io::Result<Option<Sidecar>> {
    let dir = &*place.dir;
    let temp = temp_name(&lock.name, parts.host.pid(), parts.host.random());
    let file = dir.create_new(&temp, 0o600)?;
    let made = prepare(&*file, dir.stat(&place.name).ok()).and_then(|()| dir.rename_new(&temp, &lock.name));
    match made {
        Ok(()) => {
            let id = file.stat()?.id;
            let gated = dir.caps().range_locks;
            Ok(Some(Sidecar { file, id, writable: true, gated, inherited: None, gate: Mutex::default() }))
        }
        Err(e) => {
            drop(file);
            // Best effort: the sweep takes what stays.
            dir.remove(&temp).ok();
            // Somebody else's is there; or was, and its holder has swept ours.
            let lost = matches!(e.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound);
            if lost { Ok(None) } else { Err(e) }
        }
    }
}

/// Is a temporary file a lock file that never got its name? For the holder of the lock: whoever is just making one is too late.
pub(crate) fn is_unfinished(dir: &dyn FsDir, temp: &OsStr) -> io::Result<bool> {
    let file = match dir.open(temp, Access::Read) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
    };
    let stat = file.stat()?;
    if !stat.is_file() || stat.nlink != 1 || stat.size > RECORD_LIMIT as u64 {
        return Ok(false);
    }
    let bytes = read_to_end(&*file, RECORD_LIMIT as u64)?;
    // A power cut may have left as much of it as it liked. What promises an unfinished write is somebody's all the same.
    let record = bytes.get(usize::try_from(LOCK_RECORD_OFFSET).unwrap_or_default()..).unwrap_or_default();
    Ok(match Record::find(record, stat.size) {
        Found::Record(record) => record.intent.is_none(),
        Found::Damaged => true,
        Found::Foreign => blank().starts_with(&bytes),
    })
}

/// The content of a lock file that has had no exclusive holder yet: what lies before the record is one empty line (P1).
fn blank() -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..LOCK_RECORD_OFFSET).map(|_| b'\n').collect();
    bytes.extend(Record::blank().line(0));
    bytes
}

/// Mode and owner: read and write for exactly those who may write the data file, so that root's lock file does not shut
/// its owner out for good (P1); 0600 if there is no data file yet.
fn prepare(file: &dyn FsFile, data: Option<Stat>) -> io::Result<()> {
    filelatch_fs::fs::write_all_at(file, &blank(), 0)?;
    let Some(data) = data.filter(Stat::is_file) else { return Ok(()) };
    let own = file.stat()?;
    let mut shared_with = 0o002 | 0o020;
    if (own.uid, own.gid) != (data.uid, data.gid) && file.set_owner(data.uid, data.gid).is_err() {
        // Another owner's file in a directory of ours: those who share the file through its group or through everybody
        // keep that, as far as we may give it.
        if own.gid != data.gid && file.set_owner(own.uid, data.gid).is_err() {
            shared_with = 0o002;
        }
    }
    let mut mode = 0o600;
    for (may_write, read_write) in [(0o020, 0o060), (0o002, 0o006)] {
        if data.mode & may_write & shared_with != 0 {
            mode |= read_write;
        }
    }
    if mode == own.mode { Ok(()) } else { file.set_mode(mode) }
}
