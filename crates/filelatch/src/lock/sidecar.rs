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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use filelatch_fs::fs::read_to_end;
use filelatch_fs::real::LOCK_RECORD_OFFSET;
use filelatch_fs::{Access, FileId, FileKind, FsDir, FsFile, FsKind, LockKind, Stat};

use super::heart::Heart;
use super::held::{Fallback, Recovery};
use super::locality::local_locks;
use super::options::LockMode;
use super::record::{Found, RECORD_LIMIT, Record};
use super::records::{FIRST, RECORDS};
use super::resource::locked;
use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::path::{LockFileName, Place, temp_name};

/// The byte that waiters queue on (P2). Beyond every record, and beside the regions of record locks (P10).
const GATE: u64 = (1 << 62) - 2;

/// Between two looks at a fallback lock that somebody holds: the first and the longest pause. A random part of it is left out, so
/// that waiters do not keep step (LOCK-4).
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

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
    /// The lock beside the whole-file lock, or in its place (P4). Dropped first: it must be given back before the file is closed, because
    /// whoever gets the whole-file lock may take its holder for dead.
    fallback: Option<Box<Fallback>>,
    file: Box<dyn FsFile>,
    id: FileId,
    writable: bool,
    gated: bool,
    /// The lock that came with the open file from the process that started this one (P12). It is that process's, too:
    /// nothing is locked, unlocked or converted here.
    inherited: Option<LockKind>,
    gate: Mutex<Gate>,
    /// Whole-file locks are missing here.
    no_flock: AtomicBool,
    /// Where other machines write the record: to be read by a file that is opened for it, because an open one may show what it
    /// showed before (close-to-open consistency, L45).
    elsewhere: Option<(Arc<dyn FsDir>, OsString)>,
    /// A shared lock takes the bytes of all records, too (P10).
    excludes_records: bool,
    /// It has them.
    has_records: AtomicBool,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    Had,
    /// Nobody wants it any more, and it was not had.
    CalledOff,
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
    /// From now on a shared lock excludes those who lock records.
    pub(crate) fn excluding_records(self, dir: &dyn FsDir) -> Sidecar {
        Sidecar { excludes_records: dir.caps().range_locks, ..self }
    }

    /// Opens the lock file, creating it if need be.
    pub(crate) fn open(
        parts: &Arc<Parts>,
        place: &Place,
        lock: &LockPath,
        mode: LockMode,
        heart: &Arc<Heart>,
    ) -> Result<Opened> {
        for _ in 0..MAX_REOPENS {
            match open_existing(place, lock)? {
                Some(sidecar) => return Ok(Opened::Sidecar(sidecar.with(parts, place, lock, mode, heart)?)),
                None => match create(parts, place, lock) {
                    Ok(Some(sidecar)) => return Ok(Opened::Sidecar(sidecar.with(parts, place, lock, mode, heart)?)),
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

    fn new(place: &Place, file: Box<dyn FsFile>, id: FileId, writable: bool) -> Sidecar {
        Sidecar {
            file,
            id,
            writable,
            gated: writable && place.dir.caps().range_locks,
            inherited: None,
            gate: Mutex::default(),
            no_flock: AtomicBool::new(false),
            fallback: None,
            elsewhere: None,
            excludes_records: false,
            has_records: AtomicBool::new(false),
        }
    }

    /// With a fallback lock if the policy wants one, or if whole-file locks exclude nobody here.
    fn with(
        mut self,
        parts: &Arc<Parts>,
        place: &Place,
        lock: &LockPath,
        mode: LockMode,
        heart: &Arc<Heart>,
    ) -> Result<Sidecar> {
        let wanted = match mode {
            LockMode::Os => false,
            LockMode::File => true,
            // The disks of this machine are not under suspicion; what they lack shows at the first lock.
            LockMode::Auto if place.dir.caps().kind == FsKind::Local => false,
            LockMode::Auto if is_known_local(&*place.dir) => true,
            LockMode::Auto => {
                let excludes = self.flock_excludes(&*place.dir, &lock.name);
                !excludes.map_err(|e| Error::io("try the lock file", &lock.path, e))?
            }
        };
        if place.dir.caps().kind != FsKind::Local {
            self.elsewhere = Some((Arc::clone(&place.dir), lock.name.clone()));
        }
        if wanted {
            self.fallback = Some(Box::new(Fallback::new(parts, place, &lock.name, heart)));
        }
        Ok(self)
    }

    /// Does a lock of one open file keep another one out?
    fn flock_excludes(&self, dir: &dyn FsDir, name: &OsStr) -> io::Result<bool> {
        match self.file.try_lock(LockKind::Shared) {
            // Somebody keeps us out.
            Ok(false) => return Ok(true),
            Ok(true) => {}
            Err(e) if e.kind() == io::ErrorKind::Unsupported => return Ok(false),
            Err(e) => return Err(e),
        }
        let lies = another_has(dir, name, LockKind::Exclusive);
        self.file.unlock()?;
        lies.map(|lies| !lies)
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
        Ok(held.map(|kind| {
            let sidecar = Sidecar::new(place, file, id, true);
            Sidecar { inherited: Some(kind), ..sidecar }
        }))
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
        if (waited_for && !overtake) || !self.try_flock(kind)? {
            return Ok(Try::Refused);
        }
        if kind == LockKind::Shared && !self.try_records()? {
            self.unlock_flock()?;
            return Ok(Try::Refused);
        }
        if let Some(fallback) = &self.fallback {
            let taken = self.try_fallback(fallback, kind);
            fallback.give_up();
            if !matches!(taken, Ok(true)) {
                self.unlock_flock()?;
                return taken.map(|_| Try::Refused);
            }
        }
        Ok(if waited_for { Try::Overtook } else { Try::Had })
    }

    fn try_flock(&self, kind: LockKind) -> io::Result<bool> {
        match self.file.try_lock(kind) {
            Err(e) if self.goes_without(&e) => Ok(true),
            tried => tried,
        }
    }

    /// With a fallback lock, whole-file locks may be missing.
    fn goes_without(&self, error: &io::Error) -> bool {
        let missing = self.fallback.is_some() && error.kind() == io::ErrorKind::Unsupported;
        if missing {
            self.no_flock.store(true, Ordering::Relaxed);
        }
        missing
    }

    fn try_fallback(&self, fallback: &Fallback, kind: LockKind) -> io::Result<bool> {
        let flock = if self.no_flock.load(Ordering::Relaxed) { 0 } else { self.id.ino };
        let alone = || kind == LockKind::Exclusive && fallback.another_has(LockKind::Shared).is_ok_and(|has| !has);
        fallback.try_take(flock, &alone)
    }

    /// Queues at the gate, then waits for the lock in the kernel. Both queues are first come, first served: the gate keeps
    /// newcomers, and readers that would otherwise keep joining, behind the one who waits (P2).
    pub(crate) fn lock(&self, kind: LockKind) -> io::Result<Waited> {
        if self.inherited.is_some() {
            return Ok(Waited::Had);
        }
        if !self.gated {
            self.flock(kind)?;
            self.lock_records(kind)?;
            return self.wait_for_fallback(kind);
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
        let had = self.flock(kind).and_then(|()| self.lock_records(kind));
        let mut gate = locked(&self.gate);
        let opened = if gate.shut { self.file.unlock_range(GATE, 1) } else { Ok(()) };
        (gate.past, gate.shut) = (false, false);
        drop(gate);
        had?;
        if let Err(e) = opened {
            self.unlock_flock()?;
            return Err(e);
        }
        self.wait_for_fallback(kind)
    }

    fn flock(&self, kind: LockKind) -> io::Result<()> {
        match self.file.lock(kind) {
            Err(e) if self.goes_without(&e) => Ok(()),
            had => had,
        }
    }

    /// The whole-file lock is the queue of this machine; here its first looks for the fallback lock.
    fn wait_for_fallback(&self, kind: LockKind) -> io::Result<Waited> {
        let Some(fallback) = &self.fallback else { return Ok(Waited::Had) };
        let mut pause = PAUSES.0;
        let ended = loop {
            match self.try_fallback(fallback, kind) {
                Ok(true) => break Ok(Waited::Had),
                Ok(false) => {}
                Err(e) => break Err(e),
            }
            if locked(&self.gate).called_off {
                break Ok(Waited::CalledOff);
            }
            fallback.pause(pause);
            pause = (pause * 2).min(PAUSES.1);
        };
        fallback.give_up();
        if !matches!(ended, Ok(Waited::Had)) {
            self.unlock_flock()?;
        }
        ended
    }

    /// Takes the bytes of all records for reading, if nobody has one of them.
    fn try_records(&self) -> io::Result<bool> {
        let had = !self.excludes_records || self.file.try_lock_range(FIRST, RECORDS, LockKind::Shared)?;
        self.has_records.store(had && self.excludes_records, Ordering::Relaxed);
        Ok(had)
    }

    /// Waits for the bytes of all records: whoever has some may go on to the end, and the gate keeps further ones out.
    fn lock_records(&self, kind: LockKind) -> io::Result<()> {
        if kind == LockKind::Shared && self.excludes_records {
            self.file.lock_range(FIRST, RECORDS, LockKind::Shared)?;
            self.has_records.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// A wait in [`Sidecar::lock`] is about to begin, and wanted: what came too late for the last one is not meant for it.
    pub(crate) fn expect_wait(&self) {
        locked(&self.gate).called_off = false;
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
        let released = self.fallback.as_ref().map_or(Ok(()), |fallback| fallback.release());
        self.unlock_flock().and(released)
    }

    fn unlock_flock(&self) -> io::Result<()> {
        let records =
            if self.has_records.swap(false, Ordering::Relaxed) { self.unlock_bytes(FIRST, RECORDS) } else { Ok(()) };
        let flock = if self.no_flock.load(Ordering::Relaxed) { Ok(()) } else { self.file.unlock() };
        flock.and(records)
    }

    /// Is the lock still had? Only a fallback lock can be lost.
    pub(crate) fn is_held(&self) -> io::Result<bool> {
        self.fallback.as_ref().map_or(Ok(true), |fallback| fallback.is_held())
    }

    /// Has it been found to be lost?
    pub(crate) fn is_lost(&self) -> bool {
        self.fallback.as_ref().is_some_and(|fallback| fallback.is_lost())
    }

    /// The dead holder from whom the lock was taken over, once.
    pub(crate) fn recovery(&self) -> Option<Recovery> {
        self.fallback.as_ref().and_then(|fallback| fallback.recovery())
    }

    /// Waits for a byte of a record (P10), or for its gate, in the kernel.
    pub(crate) fn lock_byte(&self, byte: u64) -> io::Result<()> {
        self.file.lock_range(byte, 1, LockKind::Exclusive)
    }

    pub(crate) fn try_lock_byte(&self, byte: u64) -> io::Result<bool> {
        self.file.try_lock_range(byte, 1, LockKind::Exclusive)
    }

    pub(crate) fn unlock_byte(&self, byte: u64) -> io::Result<()> {
        self.unlock_bytes(byte, 1)
    }

    fn unlock_bytes(&self, start: u64, len: u64) -> io::Result<()> {
        self.file.unlock_range(start, len)
    }

    /// Does another open file have this byte?
    pub(crate) fn byte_is_locked(&self, byte: u64) -> io::Result<bool> {
        self.file.range_is_locked(byte, 1)
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
        let opened = self.elsewhere.as_ref().map(|(dir, name)| dir.open(name, Access::Read)).transpose()?;
        let file = opened.as_deref().unwrap_or(&*self.file);
        if opened.is_some() {
            // The length that reads go by is asked for as well.
            file.stat()?;
        }
        let mut head = [0; RECORD_LIMIT];
        let mut len = 0;
        // A read may be short, and a record read by half would be none: an unfinished write could be missed. Ours end with a line.
        while len < RECORD_LIMIT && (len == 0 || head[len - 1] != b'\n') {
            match file.read_at(&mut head[len..], LOCK_RECORD_OFFSET + len as u64)? {
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

    /// Do other machines write the record? Its time of change proves nothing then.
    pub(crate) fn is_shared_by_machines(&self) -> bool {
        self.elsewhere.is_some()
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Can bytes of it be locked, beside a shared lock that counts?
    pub(crate) fn has_records(&self) -> bool {
        self.writable && self.fallback.is_none()
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

/// Are the locks of this file system known to end at this machine, although others reach its files?
fn is_known_local(dir: &dyn FsDir) -> bool {
    let mount = dir.mount().ok().flatten().unwrap_or_default();
    local_locks(&mount, dir.caps()).is_some()
}

/// Can another open file have this lock although one has one that excludes it?
pub(super) fn another_has(dir: &dyn FsDir, name: &OsStr, kind: LockKind) -> io::Result<bool> {
    let other = match dir.open(name, Access::ReadWrite) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => dir.open(name, Access::Read)?,
        opened => opened?,
    };
    let has = other.try_lock(kind)?;
    if has {
        other.unlock()?;
    }
    Ok(has)
}

fn open_existing(place: &Place, lock: &LockPath) -> Result<Option<Sidecar>> {
    let dir = &*place.dir;
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
    Ok(Some(Sidecar::new(place, file, stat.id, writable)))
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
            Ok(Some(Sidecar::new(place, file, id, true)))
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

fn prepare(file: &dyn FsFile, data: Option<Stat>) -> io::Result<()> {
    filelatch_fs::fs::write_all_at(file, &blank(), 0)?;
    share_with_writers_of(data, file)
}

/// Mode and owner: read and write for exactly those who may write the data file, so that root's lock file does not shut
/// its owner out for good (P1); 0600 if there is no data file yet.
pub(crate) fn share_with_writers_of(data: Option<Stat>, file: &dyn FsFile) -> io::Result<()> {
    let own = file.stat()?;
    let Some(data) = data.filter(Stat::is_file) else {
        // A mask may have taken the owner's rights, too, and then nobody opens it again.
        return if own.mode & 0o600 == 0o600 { Ok(()) } else { file.set_mode(0o600) };
    };
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
