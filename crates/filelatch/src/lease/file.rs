//! The file `.name.lease` beside the lock file: read by everybody, changed only under the exclusive lock.
//!
//! # Invariants
//! - It is replaced as a whole by a rename of a synced temporary file: whoever reads it without a lock sees one record or another.
//! - What is not ours at its name (a link, a directory, somebody's data) is never followed, written or replaced.
//! - It may be used by exactly those who may use the lock file: it gets that one's owner, group and mode.
//! - It stays when a lease is given back: the number in it is what the next one grows from.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;

use filelatch_fs::fs::{read_to_end, write_all_at};
use filelatch_fs::{Access, FileId, FileKind, FsDir, FsFile, Stat};

use super::record::{BEGIN, Content, LIMIT, LeaseRecord};
use crate::error::{Error, Result};
use crate::lock::resource::Resource;
use crate::path::{Place, lease_name, temp_name};

/// Times a file that is replaced on a file server while it is read is opened again (ESTALE, L12).
const REOPENS: u32 = 5;

/// What is at a lease file's name.
#[derive(Debug)]
pub(crate) enum Found {
    Absent,
    Record(Box<LeaseRecord>, FileId),
    /// Ours, and unreadable.
    Damaged(FileId),
    Newer(u32),
    /// Not ours, and what it is.
    Foreign(&'static str),
}

/// Where a file's lease file is.
#[derive(Clone, Debug)]
pub(crate) struct LeaseFile {
    name: OsString,
    pub(crate) path: PathBuf,
}

impl LeaseFile {
    pub(crate) fn of(place: &Place) -> LeaseFile {
        let name = lease_name(&place.name);
        LeaseFile { path: place.dir.path().join(&name), name }
    }

    /// Reads it. One call when there is none.
    pub(crate) fn read(&self, dir: &dyn FsDir) -> Result<Found> {
        let mut tries = 0;
        loop {
            match self.try_read(dir) {
                Err(e) if e.kind() == io::ErrorKind::StaleNetworkFileHandle && tries < REOPENS => tries += 1,
                found => return found.map_err(|e| Error::io("read the lease file", &self.path, e)),
            }
        }
    }

    fn try_read(&self, dir: &dyn FsDir) -> io::Result<Found> {
        let file = match dir.open(&self.name, Access::Read) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Found::Absent),
            Err(e) => {
                return match dir.stat(&self.name).ok().and_then(|stat| foreign(stat.kind)) {
                    Some(what) => Ok(Found::Foreign(what)),
                    None => Err(e),
                };
            }
        };
        let stat = file.stat()?;
        if let Some(what) = foreign(stat.kind) {
            return Ok(Found::Foreign(what));
        }
        let content = match read_to_end(&*file, LIMIT) {
            Ok(bytes) => LeaseRecord::find(&bytes),
            Err(e) if e.kind() == io::ErrorKind::FileTooLarge => Content::Foreign,
            Err(e) => return Err(e),
        };
        Ok(match content {
            Content::Record(record) => Found::Record(record, stat.id),
            Content::Damaged => Found::Damaged(stat.id),
            Content::Newer(v) => Found::Newer(v),
            Content::Foreign => Found::Foreign("no lease file of filelatch's"),
        })
    }

    /// Puts a record in its place: of `over`, or of nothing. Its bytes are durable before they are under the name; the name is
    /// after [`FsDir::sync`]. Only under the exclusive lock.
    pub(crate) fn write(&self, resource: &Resource, record: &LeaseRecord, over: Option<FileId>) -> io::Result<()> {
        let (parts, lock, dir) = (&resource.parts, &resource.lock, &*resource.place.dir);
        let temp = temp_name(&self.name, parts.host.pid(), parts.host.random());
        let made = (|| {
            let file = dir.create_new(&temp, 0o600)?;
            write_all_at(&*file, &record.line(), 0)?;
            if let Ok(like) = dir.stat(&lock.name) {
                share_as(&*file, &like)?;
            }
            file.sync()?;
            // A fallback lock can be lost.
            if !resource.is_still_held().map_err(io::Error::other)? {
                return Err(io::Error::other("the lock was taken over by somebody else"));
            }
            let placed = match over {
                None => dir.rename_new(&temp, &self.name),
                Some(over) if dir.stat(&self.name)?.id == over => dir.rename(&temp, &self.name),
                Some(_) => Err(io::Error::other("another program has just replaced it")),
            };
            let own = file.stat()?.id;
            // Some systems report an error for what they did all the same (L29).
            placed.or_else(|e| if dir.stat(&self.name).is_ok_and(|stat| stat.id == own) { Ok(()) } else { Err(e) })
        })();
        if made.is_err() {
            // Best effort: the sweep takes what stays.
            dir.remove(&temp).ok();
        }
        made
    }

    /// Is a temporary file a record that never got its name? For the holder of the lock: nobody else is making one.
    pub(crate) fn is_unfinished(&self, dir: &dyn FsDir, temp: &OsStr) -> io::Result<bool> {
        if !crate::path::is_temp_of(temp, &self.name) {
            return Ok(false);
        }
        let file = match dir.open(temp, Access::Read) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e),
        };
        let stat = file.stat()?;
        if !stat.is_file() || stat.nlink != 1 || stat.size > LIMIT {
            return Ok(false);
        }
        let bytes = read_to_end(&*file, LIMIT)?;
        // A power cut may have left as much of it as it liked.
        Ok(BEGIN.starts_with(&bytes) || matches!(LeaseRecord::find(&bytes), Content::Record(_) | Content::Damaged))
    }
}

fn foreign(kind: FileKind) -> Option<&'static str> {
    match kind {
        FileKind::File => None,
        FileKind::Dir => Some("a directory"),
        FileKind::Symlink => Some("a symbolic link"),
        FileKind::Other => Some("a FIFO, socket or device"),
    }
}

/// Owner, group and mode of the lock file, as far as they may be given: who shares it by a group that can't be given shares
/// nothing.
fn share_as(file: &dyn FsFile, like: &Stat) -> io::Result<()> {
    let own = file.stat()?;
    let mut mode = like.mode & 0o666;
    if (own.uid, own.gid) != (like.uid, like.gid)
        && file.set_owner(like.uid, like.gid).is_err()
        && own.gid != like.gid
        && file.set_owner(own.uid, like.gid).is_err()
    {
        mode &= !0o060;
    }
    if mode == own.mode { Ok(()) } else { file.set_mode(mode) }
}
