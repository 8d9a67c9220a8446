//! One look at the content of one file.
//!
//! # Promise
//! A version is of bytes that were all there at one moment: the file's facts are the same before and after it was read, or it says that they
//! were not.

use std::ffi::OsStr;
use std::io;

use filelatch_fs::{Access, FsDir, FsFile, Stat};

use super::event::Origin;
use super::origin::{self, Found};
use super::table::{Entry, Kind, Stamp};
use crate::parts::Parts;
use crate::path::ResourceId;
use crate::version::Version;
use crate::workspace::Workspace;
use crate::write::attribution::{self, Mark};

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;
/// Times that a file is read again because it changed meanwhile.
const TRIES: usize = 3;

/// What was found.
#[derive(Debug)]
pub(super) enum Read {
    /// The file as it was, and whose bytes they are.
    File(Entry, Origin),
    /// It changed while it was read, again and again, or the system had no answer; its facts before the last time. [`Entry::is_owed`] says that
    /// its version is to be found out.
    Unsettled(Entry),
    /// It is no regular file any more, or it is gone.
    Other,
}

/// Reads a file. One that may not be read, or has more bytes than `limit`, is found without a version.
pub(super) fn read(parts: &Parts, workspace: Option<&Workspace>, dir: &dyn FsDir, name: &OsStr, limit: u64) -> Read {
    let mut last = None;
    for _ in 0..TRIES {
        match attempt(parts, workspace, dir, name, limit) {
            Ok(Read::Unsettled(entry)) => last = Some(entry),
            Ok(read) => return read,
            Err(e) => {
                let Some(stat) = dir.stat(name).ok().filter(Stat::is_file) else { return Read::Other };
                let entry = Entry { kind: Kind::File, stamp: Stamp::of(&stat), version: None, racy: false };
                if e.kind() == io::ErrorKind::PermissionDenied {
                    return Read::File(entry, Origin::Unknown);
                }
                last = Some(entry);
            }
        }
    }
    last.map_or(Read::Other, |entry| Read::Unsettled(Entry { racy: true, ..entry }))
}

fn attempt(
    parts: &Parts,
    workspace: Option<&Workspace>,
    dir: &dyn FsDir,
    name: &OsStr,
    limit: u64,
) -> io::Result<Read> {
    let look = parts.own_writes.look();
    let at = parts.host.now();
    let file = dir.open(name, Access::Read)?;
    let stat = file.stat()?;
    if !stat.is_file() {
        return Ok(Read::Other);
    }
    let stamp = Stamp::of(&stat);
    let racy = stamp.is_racy(at, dir.caps());
    let mut entry = Entry { kind: Kind::File, stamp, version: None, racy };
    if stat.size > limit {
        return Ok(Read::File(entry, Origin::Unknown));
    }
    let mark = match attribution::read(&*file)? {
        Mark::By(attribution) => Some(attribution),
        Mark::None | Mark::Preparing => None,
    };
    let Some(version) = hash(&*file, stat.size)? else { return Ok(Read::Unsettled(entry)) };
    if Stamp::of(&file.stat()?) != stamp {
        return Ok(Read::Unsettled(entry));
    }
    entry.version = Some(version);
    let id = ResourceId::of(dir, name);
    let found = Found { look, id: &id, version: &version, mark: mark.as_ref() };
    let origin = origin::of(&parts.own_writes, parts, workspace, &found, || file.list_xattrs().is_ok());
    Ok(Read::File(entry, origin))
}

/// `None`: it has more bytes than it had. (One that grows while it is read might have no end.)
fn hash(file: &dyn FsFile, size: u64) -> io::Result<Option<Version>> {
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK];
    let mut offset = 0;
    while offset <= size {
        let n = file.read_at(&mut chunk, offset)?;
        if n == 0 {
            return Ok(Some(hasher.finalize().into()));
        }
        hasher.update(&chunk[..n]);
        offset += n as u64;
    }
    Ok(None)
}
