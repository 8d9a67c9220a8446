//! What the seam speaks about: identities, stats, lock kinds, capabilities.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Which file or directory something is, whatever its names: device and inode number (volume serial and file index on
/// Windows). Unique among existing files of one machine; numbers are used again after a file is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    /// Device (volume serial number on Windows).
    pub dev: u64,
    /// Inode number (file index on Windows).
    pub ino: u64,
}

/// A point in time as a file system stores it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds since the epoch.
    pub secs: i64,
    /// Nanoseconds within the second.
    pub nanos: u32,
}

impl Timestamp {
    /// The same moment as a [`SystemTime`]; times before the epoch become the epoch.
    pub fn to_system_time(self) -> SystemTime {
        u64::try_from(self.secs).map_or(UNIX_EPOCH, |secs| UNIX_EPOCH + Duration::new(secs, self.nanos))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp { secs: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanos: since.subsec_nanos() }
    }
}

/// What kind of thing a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link (also a Windows reparse point that is one).
    Symlink,
    /// A FIFO, socket or device: never opened for content.
    Other,
}

/// The facts of one inode at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Identity.
    pub id: FileId,
    /// Kind.
    pub kind: FileKind,
    /// Length in bytes.
    pub size: u64,
    /// Permission bits (`0o7777`); on Windows `0o666` or, read-only, `0o444`.
    pub mode: u32,
    /// Owner; 0 on Windows.
    pub uid: u32,
    /// Group; 0 on Windows.
    pub gid: u32,
    /// Number of names; 0 means that the file has been unlinked.
    pub nlink: u64,
    /// Last change of the content.
    pub mtime: Timestamp,
    /// Last change of the inode (the last write time on Windows).
    pub ctime: Timestamp,
}

impl Stat {
    /// Is the inode a regular file?
    pub fn is_file(&self) -> bool {
        self.kind == FileKind::File
    }
}

/// What a file is opened for. Opening never follows a symbolic link in the last component, never blocks on a FIFO, never
/// truncates, and is never inherited by other programs (L19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing; the file must exist.
    ReadWrite,
    /// Reading, and writing behind the end only ([`FsFile::append`](crate::FsFile::append)); the file must exist.
    Append,
}

/// What an append has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Where it begins: the length of the file just before.
    pub at: u64,
    /// So many bytes; fewer than were given when the disk is full, or the process was being killed (L36).
    pub len: usize,
}

/// Kind of a whole-file lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockKind {
    /// Many holders at once, no exclusive one among them.
    Shared,
    /// One holder.
    Exclusive,
}

/// Kind of a byte-range lock.
pub type RangeKind = LockKind;

/// One row of the system's table of locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockEntry {
    /// The process that asked for the lock, as this process numbers it; `None` where the system does not say (a lock of an
    /// open file description, a process of another PID namespace). The process may have ended since and left the lock to
    /// its heirs.
    pub pid: Option<u32>,
    /// Kind asked for.
    pub kind: LockKind,
    /// Not held: waited for.
    pub waiting: bool,
    /// A byte-range lock, not a whole-file one.
    pub range: bool,
    /// Its first byte; 0 for a whole-file lock.
    pub start: u64,
}

/// The system's answer to "who has locks on this file".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockTable {
    /// Holders and waiters, in the order of the system.
    pub entries: Vec<LockEntry>,
}

impl LockTable {
    /// Is the whole-file lock held by anybody?
    pub fn is_held(&self) -> bool {
        self.holders().next().is_some()
    }

    /// The rows of whole-file locks that are held.
    pub fn holders(&self) -> impl Iterator<Item = &LockEntry> {
        self.entries.iter().filter(|e| !e.waiting && !e.range)
    }
}

/// Did anybody still have the file open for writing?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriterProbe {
    /// Proved: no writable descriptor exists.
    None,
    /// Somebody has it open for writing.
    Some,
    /// The system can't tell (not Linux, a file of another owner, a file system without leases).
    Unknown,
}

/// What family of file system a directory is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsKind {
    /// A disk or memory of this machine.
    Local,
    /// A file server's: locks may be emulated, events do not come, attributes are cached (L13–L15, L45).
    Network,
    /// Not known: treated with the caution due to a network.
    Unknown,
}

/// What the file system of one directory can do. Found out once for each open directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Local or network.
    pub kind: FsKind,
    /// Name of the file-system type, for people (`ext4`, `nfs`, …), or `unknown`.
    pub name: &'static str,
    /// Names that differ only in case are one name.
    pub case_insensitive: bool,
    /// Two changes closer together than this may carry one timestamp (L40).
    pub timestamp_granule: Duration,
    /// Byte-range locks owned by the open file exist beside whole-file locks and do not collide with them.
    pub range_locks: bool,
}

/// How a file system is mounted, in the system's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// Where. On Windows empty: the path tells.
    pub point: PathBuf,
    /// The type, with the subtype of a file system in user space: `ext4`, `nfs4`, `fuse.sshfs`. More exact than
    /// [`Caps::name`], which is found out for every directory.
    pub fs_type: String,
    /// The device, server or image.
    pub source: String,
    /// The options of the mount and of the file system: `rw`, `noatime`, `local_lock=none`. Linux names them all, macOS and the
    /// BSDs only `ro`, Windows none.
    pub options: Vec<String>,
}

impl Mount {
    /// Is this option set, by its whole text?
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|own| own == option)
    }
}
