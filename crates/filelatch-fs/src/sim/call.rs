//! One call through the seam: what is counted, traced, hooked and made to fail.

use std::ffi::OsStr;
use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;

/// The verbs of the seam, named after the methods of [`Fs`](crate::Fs), [`FsDir`](crate::FsDir) and
/// [`FsFile`](crate::FsFile). Where two traits use one word, the variant says which is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the method of that name")]
pub enum Verb {
    /// `Fs::open_dir`
    OpenDir,
    Canonicalize,
    /// `Fs::stat`
    StatPath,
    ReadLink,
    /// `Fs::create_dir`
    CreateDir,
    CurrentDir,
    LockTable,
    /// `Fs::events`
    Events,
    /// `Events::add`
    AddWatch,
    /// `Events::remove`
    RemoveWatch,
    /// `FsDir::stat`
    StatEntry,
    Open,
    CreateNew,
    /// `FsDir::open_dir`
    OpenDirEntry,
    OpenBeneath,
    /// `FsDir::read_link`
    ReadLinkEntry,
    /// `FsDir::create_dir`
    CreateDirEntry,
    Rename,
    RenameNew,
    Exchange,
    Link,
    MoveTo,
    MoveOver,
    Remove,
    RemoveDir,
    Symlink,
    Mount,
    /// `FsDir::sync`
    SyncDir,
    List,
    /// `FsFile::stat`
    StatFile,
    ReadAt,
    WriteAt,
    Append,
    SetLen,
    /// `FsFile::sync`
    SyncFile,
    SyncData,
    SetMode,
    SetOwner,
    ListXattrs,
    GetXattr,
    SetXattr,
    Lock,
    TryLock,
    Unlock,
    LockRange,
    TryLockRange,
    UnlockRange,
    RangeIsLocked,
    ProbeWriters,
    CloneFrom,
    MakeInheritable,
}

impl Verb {
    /// Does the call change bytes, names or metadata (locks do not count)?
    pub fn mutates(self) -> bool {
        self.renames()
            || matches!(
                self,
                Verb::CreateDir
                    | Verb::CreateDirEntry
                    | Verb::CreateNew
                    | Verb::Remove
                    | Verb::RemoveDir
                    | Verb::Symlink
                    | Verb::WriteAt
                    | Verb::Append
                    | Verb::SetLen
                    | Verb::SetMode
                    | Verb::SetOwner
                    | Verb::SetXattr
                    | Verb::CloneFrom
            )
    }

    /// Does the call make something durable?
    pub fn syncs(self) -> bool {
        matches!(self, Verb::SyncFile | Verb::SyncData | Verb::SyncDir)
    }

    /// Does the call give an existing file another name?
    pub fn renames(self) -> bool {
        matches!(self, Verb::Rename | Verb::RenameNew | Verb::Exchange | Verb::Link | Verb::MoveTo | Verb::MoveOver)
    }

    /// Would a system ever answer this verb with this error? Keeps lasting faults and sweeps free of absurd runs, such as a
    /// full disk that can't be read.
    pub fn may_fail_with(self, kind: ErrorKind) -> bool {
        match kind {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                self.syncs()
                    || self == Verb::AddWatch
                    || (self.mutates()
                        && !matches!(self, Verb::Remove | Verb::RemoveDir | Verb::SetMode | Verb::SetOwner))
            }
            ErrorKind::ReadOnlyFilesystem => self.mutates(),
            ErrorKind::CrossesDevices => self.renames(),
            ErrorKind::ResourceBusy => self.renames() || matches!(self, Verb::Remove | Verb::RemoveDir),
            ErrorKind::Unsupported => {
                use Verb::{
                    CloneFrom, Events, Exchange, Link, ListXattrs, LockRange, RangeIsLocked, SetXattr, Symlink,
                    TryLockRange, UnlockRange,
                };
                matches!(
                    self,
                    Events
                        | Exchange
                        | Link
                        | Symlink
                        | ListXattrs
                        | SetXattr
                        | LockRange
                        | TryLockRange
                        | UnlockRange
                        | RangeIsLocked
                        | CloneFrom
                )
            }
            _ => true,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One call, as an observer sees it before it happens and the trace afterwards.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its number, from 0, over all processes of the file system.
    pub number: u64,
    /// The process that makes it.
    pub pid: u32,
    /// What it does.
    pub verb: Verb,
    /// To what: for an open file the path by which it was opened.
    pub paths: Vec<PathBuf>,
    /// Offsets, lengths, kinds; for people.
    pub detail: String,
}

impl Call {
    /// Is one of the paths called this?
    pub fn names(&self, name: impl AsRef<OsStr>) -> bool {
        self.paths.iter().any(|path| path.file_name() == Some(name.as_ref()))
    }
}

impl Call {
    /// What it does, without number and process.
    pub(super) fn action(&self) -> String {
        let mut text = self.verb.to_string();
        for (i, path) in self.paths.iter().enumerate() {
            text += if i == 0 { " " } else { " -> " };
            text += &path.to_string_lossy();
        }
        if !self.detail.is_empty() {
            text = format!("{text} ({})", self.detail);
        }
        text
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} [{}] {}", self.number, self.pid, self.action())
    }
}
