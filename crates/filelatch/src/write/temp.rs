//! The temporary file: a version in preparation, beside its file.
//!
//! # Invariants
//! - Its name is unique among threads, processes and hosts (ATOM-6), and it is created, never opened.
//! - It is empty, then carries the mark `0`, until its bytes are complete, so that a dead writer's is known to hold nothing (P5.5).
//! - Its writer holds its whole-file lock while it prepares: whoever gets that lock knows the writer is dead.
//!   On Windows until just before it is published: a locked file can't be read there.
//! - Dropped unpublished, it is removed; in a forked child it is left to the parent.

use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::Arc;

use filelatch_fs::fs::write_all_at;
use filelatch_fs::{FsDir, FsFile, LockKind, Stat};

use super::attribution::{self, Attribution};
use super::current::Current;
use super::options::Notice;
use crate::keep::publish::New;
use crate::parts::Parts;
use crate::path::{Place, temp_name};
use crate::privacy;
use crate::snapshot::Content;
use crate::version::Version;

/// Times that a temporary file may be taken away before it is locked.
const TRIES: u32 = 100;

#[derive(Debug)]
pub(crate) struct Temp {
    parts: Arc<Parts>,
    dir: Arc<dyn FsDir>,
    name: OsString,
    file: Option<Box<dyn FsFile>>,
    len: u64,
    hasher: blake3::Hasher,
    /// The version, where it need not be computed from what was appended.
    known: Option<Version>,
    /// Remove the name when dropped.
    armed: bool,
    marks: bool,
    /// Who wrote it, when it is dressed.
    attribution: Option<Attribution>,
    /// Whose bytes they are, if not this engine's session's.
    session: Option<String>,
    made_by: u32,
    readers: Readers,
}

/// Who may open a temporary file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Whoever the umask admits: there is no file that it could be more open than.
    Usual,
    /// Its owner, until it gets the mode of the version that it replaces.
    OwnerAtFirst,
    /// Its owner, whatever the umask, the directory and the replaced version say (P16).
    Owner,
}

impl Temp {
    /// Creates the file.
    pub(crate) fn create(parts: &Arc<Parts>, place: &Place, readers: Readers) -> io::Result<Temp> {
        for _ in 0..TRIES {
            if let Some(temp) = Temp::try_create(parts, place, readers)? {
                return Ok(temp);
            }
        }
        Err(io::Error::other("temporary files are removed as fast as they are made"))
    }

    /// `None`: between its creation and its lock somebody took the file for a dead writer's. That can only happen to a writer that
    /// does not hold the lock of the data file, but asking costs little.
    fn try_create(parts: &Arc<Parts>, place: &Place, readers: Readers) -> io::Result<Option<Temp>> {
        let made_by = parts.host.pid();
        let name = temp_name(&place.name, made_by, parts.host.random());
        let file = place.dir.create_new(&name, if readers == Readers::Usual { 0o666 } else { 0o600 })?;
        let mut temp = Temp {
            parts: Arc::clone(parts),
            dir: Arc::clone(&place.dir),
            name,
            file: None,
            len: 0,
            hasher: blake3::Hasher::new(),
            known: None,
            armed: true,
            marks: false,
            attribution: None,
            session: None,
            made_by,
            readers,
        };
        // A sign of life for the sweep. Where files can't be locked, the sweep can't prove death and leaves everything.
        let looked_at = matches!(file.try_lock(LockKind::Exclusive), Ok(false));
        if looked_at || file.stat()?.nlink == 0 {
            return Ok(None);
        }
        if readers == Readers::Owner {
            privacy::close(parts, &*file)?;
        }
        temp.marks = attribution::mark_preparing(&*file)?;
        temp.file = Some(file);
        Ok(Some(temp))
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        write_all_at(self.file()?, bytes, self.len)?;
        self.len += bytes.len() as u64;
        self.hasher.update(bytes);
        Ok(())
    }

    /// Writes the whole content.
    pub(crate) fn fill(&mut self, content: &Content) -> io::Result<()> {
        write_all_at(self.file()?, &content.bytes, 0)?;
        self.len = content.bytes.len() as u64;
        self.known = Some(content.version());
        Ok(())
    }

    /// The bytes are another session's: one that did not come to publish them, or for which this process writes.
    pub(crate) fn written_by(&mut self, session: &str) {
        self.session = Some(session.to_owned());
    }

    /// Whose the bytes are.
    pub(crate) fn author(&self) -> &str {
        self.session.as_deref().unwrap_or(&self.parts.session)
    }

    /// Version of what was written so far.
    pub(crate) fn version(&self) -> Version {
        self.known.unwrap_or_else(|| self.hasher.finalize().into())
    }

    pub(crate) fn name(&self) -> &OsStr {
        &self.name
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn file(&self) -> io::Result<&dyn FsFile> {
        self.file.as_deref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Gives the version the metadata of the one it replaces, and its attribution. Answers what could not be carried over.
    pub(crate) fn dress(
        &mut self,
        old: Option<&Current>,
        version: &Version,
        generation: u64,
    ) -> io::Result<Option<Notice>> {
        let file = self.file()?;
        let mut not_copied = Vec::new();
        // A private file has no metadata but its mode, and that is known.
        if let Some(old) = old.filter(|_| self.readers != Readers::Owner) {
            copy_metadata(&*old.file, &old.stat, file, &mut not_copied)?;
        }
        let previous = old.and_then(|old| old.attribution.as_ref());
        let now = self.parts.host.now();
        let attribution = Attribution::new(previous, version, now, self.author()).at_least(generation);
        if self.marks {
            attribution.write(file)?;
        }
        self.attribution = Some(attribution);
        Ok((!not_copied.is_empty()).then_some(Notice::NotCopied { what: not_copied }))
    }

    /// What the version says of itself; `None` before it is dressed.
    pub(crate) fn new_version(&self) -> Option<New<'_>> {
        self.attribution.as_ref().map(|attribution| New { attribution, marks: self.marks })
    }

    /// Does it carry its attribution once it is dressed?
    #[cfg(feature = "watch")]
    pub(crate) fn marks(&self) -> bool {
        self.marks
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file()?.sync()
    }

    /// Gives back the lock where nobody else can read a locked file (Windows): the name is about to be published. Who publishes
    /// has the lock of the data file, and so nobody sweeps.
    pub(crate) fn let_read(&self) {
        if cfg!(windows)
            && let Some(file) = &self.file
        {
            // Where it could not be taken there is nothing to give back.
            file.unlock().ok();
        }
    }

    /// Closes the file (its lock goes with it): whether somebody else writes to it can be told only then.
    pub(crate) fn close(&mut self) {
        self.file = None;
    }

    /// The name now stands for something that must stay, or for nothing.
    pub(crate) fn keep_name(&mut self) {
        self.armed = false;
    }

    /// Removes what the name stands for now.
    pub(crate) fn remove_name(&mut self) -> io::Result<()> {
        self.armed = false;
        self.dir.remove(&self.name)
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if self.armed && self.parts.host.pid() == self.made_by {
            // What can't be removed now is the sweep's.
            self.dir.remove(&self.name).ok();
        }
    }
}

/// Owner first (it may clear set-id bits), then attributes (an access control list changes the mode), then the mode (L32).
pub(crate) fn copy_metadata(
    from: &dyn FsFile,
    stat: &Stat,
    to: &dyn FsFile,
    not_copied: &mut Vec<String>,
) -> io::Result<()> {
    let own = to.stat()?;
    if (own.uid, own.gid) != (stat.uid, stat.gid) && to.set_owner(stat.uid, stat.gid).is_err() {
        not_copied.push("owner".to_owned());
        // Not root, but perhaps a member of the group.
        if own.gid != stat.gid {
            to.set_owner(own.uid, stat.gid).ok();
        }
    }
    let names = match from.list_xattrs() {
        Ok(names) => names,
        Err(e) if e.kind() == io::ErrorKind::Unsupported => Vec::new(),
        Err(e) => return Err(e),
    };
    for name in names.iter().filter(|name| !attribution::is_own_xattr(name)) {
        // Capabilities belong to a program's bytes, and the kernel drops them when the bytes change.
        if name == "security.capability" {
            continue;
        }
        let copied = match from.get_xattr(name) {
            Ok(Some(value)) => to.set_xattr(name, &value),
            Ok(None) => Ok(()),
            Err(e) => Err(e),
        };
        match copied {
            Err(e) if e.kind() == io::ErrorKind::StorageFull => return Err(e),
            Err(_) => not_copied.push(name.to_string_lossy().into_owned()),
            Ok(()) => {}
        }
    }
    // A set-id bit means the owner or group that it was given by; what has another now must not have it.
    let own = to.stat()?;
    let mut mode = stat.mode;
    if own.uid != stat.uid {
        mode &= !0o4000;
    }
    if own.gid != stat.gid {
        mode &= !0o2000;
    }
    if own.mode != mode && to.set_mode(mode).is_err() {
        not_copied.push("mode".to_owned());
    }
    Ok(())
}
