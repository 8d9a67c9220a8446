//! The file system as traits: what filelatch asks of it, verb by verb.
//!
//! # Invariants
//! - Names are looked up relative to an open directory wherever a protocol runs, so a directory that is renamed or swapped
//!   for a symlink while it runs can't divert it. On Windows too, and the open directory keeps nobody from renaming it; only
//!   the target of a rename or link is a path there, which holds still as long as the source is open.
//! - No verb follows a symbolic link in the last component.
//! - `EINTR` is retried inside, and on Windows, for about a second, a rename, link or removal that somebody is in the way of
//!   (L35); every other error surfaces unchanged, once.
//! - Durability is explicit: [`FsFile::sync`] for bytes and metadata of a file, [`FsDir::sync`] for names (L24).

use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::events::{Events, Tell};
use crate::types::{Access, Appended, Caps, FileId, LockKind, LockTable, Mount, RangeKind, Stat, WriterProbe};

/// A file system.
pub trait Fs: Debug + Send + Sync + 'static {
    /// Opens a directory; symbolic links on the way are followed. The path should be canonical, so that
    /// [`FsDir::path`] tells the truth.
    fn open_dir(&self, path: &Path) -> io::Result<Arc<dyn FsDir>>;

    /// The absolute path without symbolic links, `.` and `..` of a directory that exists (realpath(3)).
    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf>;

    /// Facts of what `path` names; a symbolic link in the last component is described, not followed.
    fn stat(&self, path: &Path) -> io::Result<Stat>;

    /// The text of a symbolic link.
    fn read_link(&self, path: &Path) -> io::Result<PathBuf>;

    /// Creates one directory (mode `0o777` less the umask). Not durable before the parent's [`FsDir::sync`].
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// The process's current directory.
    fn current_dir(&self) -> io::Result<PathBuf>;

    /// Who holds or waits for locks on a file, by the system's own table; `None` where there is no such table. Takes no
    /// lock itself. Locks of other PID namespaces and other machines may be missing.
    fn lock_table(&self, file: FileId) -> io::Result<Option<LockTable>>;

    /// The open file that this process was started with under a number (see [`FsFile::make_inheritable`]), by a handle of its
    /// own: the number stays open for programs that are started from here. [`io::ErrorKind::Unsupported`] where open files are
    /// not inherited with their locks.
    fn inherited(&self, number: u64) -> io::Result<Box<dyn FsFile>> {
        let _ = number;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// A source that tells of changes from now on. [`io::ErrorKind::Unsupported`] where the system has none, or without the feature
    /// `events`.
    fn events(&self, tell: Tell) -> io::Result<Box<dyn Events>> {
        drop(tell);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// An open directory.
pub trait FsDir: Debug + Send + Sync + 'static {
    /// The path it was opened by.
    fn path(&self) -> &Path;

    /// Identity of the directory.
    fn id(&self) -> FileId;

    /// What its file system can do.
    fn caps(&self) -> &Caps;

    /// Facts of an entry, links not followed.
    fn stat(&self, name: &OsStr) -> io::Result<Stat>;

    /// Opens an entry that is a regular file. A symbolic link is `ELOOP`; what else is not a regular file opens without
    /// blocking and is for the caller to refuse (see [`FsFile::stat`]).
    fn open(&self, name: &OsStr, access: Access) -> io::Result<Box<dyn FsFile>>;

    /// Creates an entry that must not exist, open for reading and writing. `mode` is reduced by the umask.
    fn create_new(&self, name: &OsStr, mode: u32) -> io::Result<Box<dyn FsFile>>;

    /// Opens an entry that is a directory. A symbolic link is not followed: [`io::ErrorKind::NotADirectory`].
    fn open_dir(&self, name: &OsStr) -> io::Result<Arc<dyn FsDir>>;

    /// Opens a directory some way below this one. Nothing outside can be reached, whatever others rename or replace meanwhile: a symbolic
    /// link anywhere on the way is not followed ([`io::ErrorKind::NotADirectory`]). [`io::ErrorKind::InvalidInput`] unless `path` consists of names
    /// only: it is relative, not empty, and has no `.` in front and no `..`.
    ///
    /// On Linux one call (openat2(2), `RESOLVE_BENEATH`); elsewhere, and where that call is not let through, one directory after the other.
    /// What is mounted below counts as below.
    fn open_beneath(&self, path: &Path) -> io::Result<Arc<dyn FsDir>> {
        descend(path, |name| self.open_dir(name))
    }

    /// Facts of an entry some way below this directory, reached as [`FsDir::open_beneath`] reaches one: no symbolic link is followed, and one
    /// at the end is described.
    ///
    /// A single name is described as by [`FsDir::stat`], also where something is mounted on it. For a longer path Linux takes two calls, whose
    /// answer comes from this machine's memory or disk: a way through another mount is refused ([`io::ErrorKind::CrossesDevices`]). Elsewhere one
    /// directory is opened after the other, also those of other mounts.
    fn stat_beneath(&self, path: &Path) -> io::Result<Stat> {
        let mut dirs = names_of(path)?;
        match (dirs.pop(), dirs.is_empty()) {
            (None, _) => Err(io::ErrorKind::InvalidInput.into()),
            (Some(name), true) => self.stat(name),
            (Some(name), false) => self.open_beneath(&dirs.iter().collect::<PathBuf>())?.stat(name),
        }
    }

    /// The text of an entry that is a symbolic link; an error (`EINVAL` on Unix) if it is none.
    fn read_link(&self, name: &OsStr) -> io::Result<PathBuf>;

    /// Creates an entry that is a directory; [`io::ErrorKind::AlreadyExists`] when there is one of this name. `mode` is reduced by
    /// the umask; Windows knows none. Not durable before [`FsDir::sync`].
    fn create_dir(&self, name: &OsStr, mode: u32) -> io::Result<()>;

    /// rename(2): replaces `to`.
    fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()>;

    /// Renames without replacing: [`io::ErrorKind::AlreadyExists`] when `to` exists (L33). Falls back to link + unlink where
    /// the system has no such call.
    fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()>;

    /// Swaps two entries atomically (renameat2 `RENAME_EXCHANGE`; the last event a watcher sees is for `a`).
    /// [`io::ErrorKind::Unsupported`] where the system or file system can't.
    fn exchange(&self, a: &OsStr, b: &OsStr) -> io::Result<()>;

    /// A further name for an entry; [`io::ErrorKind::AlreadyExists`] when `to` exists.
    fn link(&self, from: &OsStr, to: &OsStr) -> io::Result<()>;

    /// Moves an entry into another directory of the same file system without replacing anything there.
    fn move_to(&self, from: &OsStr, dir: &dyn FsDir, to: &OsStr) -> io::Result<()>;

    /// Moves an entry into another directory of the same file system; replaces what has the name there. One atomic operation, also
    /// where [`FsDir::move_to`] is two; [`io::ErrorKind::CrossesDevices`] where the directories have not one file system.
    fn move_over(&self, from: &OsStr, dir: &dyn FsDir, to: &OsStr) -> io::Result<()>;

    /// Removes an entry that is not a directory.
    fn remove(&self, name: &OsStr) -> io::Result<()>;

    /// Removes an entry that is an empty directory.
    fn remove_dir(&self, name: &OsStr) -> io::Result<()>;

    /// Makes a symbolic link with this text; [`io::ErrorKind::AlreadyExists`] when `name` exists,
    /// [`io::ErrorKind::Unsupported`] where there are none (and on Windows, where they need a privilege).
    fn symlink(&self, text: &Path, name: &OsStr) -> io::Result<()>;

    /// How the directory's file system is mounted; `None` where the system does not tell.
    fn mount(&self) -> io::Result<Option<Mount>>;

    /// Makes creations, renames and removals of entries durable (fsync(2) of the directory). On Windows there is no such
    /// call; renames are written through there, NTFS journals names, and this does nothing.
    fn sync(&self) -> io::Result<()>;

    /// Calls `each` for the entries until it answers false. The order is the system's; entries that come or go meanwhile
    /// may or may not be seen.
    fn list(&self, each: &mut dyn FnMut(OsString) -> bool) -> io::Result<()>;

    /// The concrete directory, for [`FsDir::move_to`] of the same implementation.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// An open file.
///
/// Whole-file locks belong to this open file (flock(2), `LockFileEx`): dropped with it, invisible to other opens of the same
/// process except as conflicts. On Windows one open file serves one call after the other: while a thread waits for a lock,
/// other threads' calls on the same open file wait with it.
pub trait FsFile: Debug + Send + Sync + 'static {
    /// Facts of the inode: on network file systems of Linux as the server knows them now, and reads that follow go by its length.
    fn stat(&self) -> io::Result<Stat>;

    /// Reads at an offset; may be short; 0 at the end.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes at an offset; may be short (L36), never 0 for a non-empty buffer without an error.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize>;

    /// Writes behind the end of a file opened with [`Access::Append`], by one call of the system: on local file systems no other append
    /// comes in between, whichever process makes it (L37; `O_APPEND`, `FILE_APPEND_DATA`). May be short, never 0 for a non-empty buffer
    /// without an error. One call at a time on one open file: the place is told by its position.
    ///
    /// A file opened so takes no [`FsFile::write_at`] and no [`FsFile::set_len`].
    fn append(&self, buf: &[u8]) -> io::Result<Appended>;

    /// Sets the length.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes bytes and metadata durable (fsync(2); `F_FULLFSYNC` on macOS, L28). After an error nothing may be assumed of the
    /// bytes since the last success, and a retry proves nothing (L26).
    fn sync(&self) -> io::Result<()>;

    /// Makes bytes and length durable, not times (fdatasync(2)); [`FsFile::sync`] where there is no such call. Errors as there.
    fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    /// Sleeps until somebody, in whichever process of this machine, [rings](FsFile::ring) at the four bytes at `offset`, at most so long; not at all
    /// if they are not what was `seen`. May also return early for no reason. `offset` is a multiple of 4, below 4096.
    ///
    /// Nobody who dies rings: what is waited for must be looked at again when the time is over. [`io::ErrorKind::Unsupported`] where the
    /// system has no such thing (all but Linux, futex(2)): then sleeping is all there is.
    fn wait_at(&self, offset: u64, seen: [u8; 4], time: Duration) -> io::Result<()> {
        let _ = (offset, seen, time);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Wakes all who wait at this place of the file ([`FsFile::wait_at`]), after its four bytes were changed.
    fn ring(&self, offset: u64) -> io::Result<()> {
        let _ = offset;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Sets the permission bits.
    fn set_mode(&self, mode: u32) -> io::Result<()>;

    /// Sets owner and group; may drop set-id bits, so set the mode afterwards. Nothing on Windows.
    fn set_owner(&self, uid: u32, gid: u32) -> io::Result<()>;

    /// Names of the extended attributes (also those that carry access control lists).
    /// [`io::ErrorKind::Unsupported`] where there are none.
    fn list_xattrs(&self) -> io::Result<Vec<OsString>>;

    /// One extended attribute; `None` when it is not set or attributes are not supported.
    fn get_xattr(&self, name: &OsStr) -> io::Result<Option<Vec<u8>>>;

    /// Sets an extended attribute. [`io::ErrorKind::Unsupported`] where there are none.
    fn set_xattr(&self, name: &OsStr, value: &[u8]) -> io::Result<()>;

    /// Takes the whole-file lock or waits for it, without limit, in the kernel. The open file must hold no lock.
    fn lock(&self, kind: LockKind) -> io::Result<()>;

    /// Takes the whole-file lock if nobody holds a conflicting one. The open file must hold no lock: a failed conversion
    /// would drop it (P1, L3).
    fn try_lock(&self, kind: LockKind) -> io::Result<bool>;

    /// Gives the whole-file lock back, for every heir of this open file too (L2).
    fn unlock(&self) -> io::Result<()>;

    /// The whole-file lock that this very open file holds, by the system's word. Takes none.
    /// [`io::ErrorKind::Unsupported`] where the system does not tell.
    fn held_lock(&self) -> io::Result<Option<LockKind>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Takes a lock on a byte range (which may lie beyond the end) or waits for it. Owned by this open file.
    /// [`io::ErrorKind::Unsupported`] without [`Caps::range_locks`].
    fn lock_range(&self, start: u64, len: u64, kind: RangeKind) -> io::Result<()>;

    /// Takes a byte-range lock if nobody holds a conflicting one.
    fn try_lock_range(&self, start: u64, len: u64, kind: RangeKind) -> io::Result<bool>;

    /// Gives a byte range back.
    fn unlock_range(&self, start: u64, len: u64) -> io::Result<()>;

    /// Does another open file hold a lock anywhere in the range? Takes none itself where the system can tell.
    fn range_is_locked(&self, start: u64, len: u64) -> io::Result<bool>;

    /// Does anybody (this open file excepted) have the inode open for writing? Must be asked of a file opened with
    /// [`Access::Read`]. A writer that opens it during the call is delayed for its duration, not harmed.
    fn probe_writers(&self) -> io::Result<WriterProbe>;

    /// Makes this empty file share the content of `source` (`FICLONE`). [`io::ErrorKind::Unsupported`] where the file
    /// system can't.
    fn clone_from(&self, source: &dyn FsFile) -> io::Result<()>;

    /// Lets programs that this process starts from now on inherit the open file, and with it the lock; answers its number
    /// (the descriptor; on Windows the handle, and there the lock stays this process's own and ends with it).
    fn make_inheritable(&self) -> io::Result<u64>;

    /// Programs that this process starts from now on do not inherit the open file any more ([`FsFile::make_inheritable`]); those that
    /// have it keep it.
    fn end_inheritance(&self) -> io::Result<()> {
        Ok(())
    }

    /// The concrete file, for [`FsFile::clone_from`] of the same implementation.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// Reads from `offset` to the end, at most `limit` bytes; longer is [`io::ErrorKind::FileTooLarge`].
pub fn read_to_end(file: &dyn FsFile, limit: u64) -> io::Result<Vec<u8>> {
    let size = file.stat()?.size;
    if size > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    // One byte more than the stat said, so that an unchanged file ends with one read that is short.
    let mut buf = vec![0; usize::try_from(size).map_err(|_| io::ErrorKind::FileTooLarge)? + 1];
    let mut len = 0;
    loop {
        if len == buf.len() {
            if len as u64 > limit {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            buf.resize(len * 2, 0);
        }
        let n = file.read_at(&mut buf[len..], len as u64)?;
        if n == 0 {
            buf.truncate(len);
            return Ok(buf);
        }
        len += n;
        if n < buf.len() - (len - n) && len as u64 == size {
            buf.truncate(len);
            return Ok(buf);
        }
    }
}

/// Opens one directory after the other; the first as `open` does.
pub(crate) fn descend(
    path: &Path,
    open: impl FnOnce(&OsStr) -> io::Result<Arc<dyn FsDir>>,
) -> io::Result<Arc<dyn FsDir>> {
    let mut names = names_of(path)?.into_iter();
    let first = names.next().ok_or(io::ErrorKind::InvalidInput)?;
    names.try_fold(open(first)?, |dir, name| dir.open_dir(name))
}

/// The names that a path consists of, which must be nothing else.
pub(crate) fn names_of(path: &Path) -> io::Result<Vec<&OsStr>> {
    let name = |part| if let Component::Normal(name) = part { Some(name) } else { None };
    let names: Option<Vec<_>> = path.components().map(name).collect();
    names.filter(|names| !names.is_empty()).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// The names of all entries, in the system's order (see [`FsDir::list`]).
pub fn names(dir: &dyn FsDir) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    dir.list(&mut |name| {
        names.push(name);
        true
    })?;
    Ok(names)
}

/// Writes all of `buf` at `offset`.
pub fn write_all_at(file: &dyn FsFile, mut buf: &[u8], mut offset: u64) -> io::Result<()> {
    while !buf.is_empty() {
        let n = file.write_at(buf, offset)?;
        if n == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        buf = &buf[n..];
        offset += n as u64;
    }
    Ok(())
}
