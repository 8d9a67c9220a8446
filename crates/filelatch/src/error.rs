//! What can go wrong, once, for every face: the command line, JSON and the web page render the same value.
//!
//! Every error says what happened ([`std::fmt::Display`]), which file ([`Error::path`]), a stable code for programs
//! ([`Error::code`]) and what to do next ([`Error::hints`]). Unless a variant says otherwise, the file has its old content.

mod conflict;
mod text;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::conflict::HowResolved;
use crate::doc::DocError;
use crate::lock::Holder;
use crate::version::Version;

pub use conflict::{Conflict, Unmerged};
use text::{held_by, overtaken, partly, several};
pub(crate) use text::{plain, seconds};

/// The result of most calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused something.
    #[error("cannot {action} `{}`: {}", path.display(), plain(source))]
    Io {
        /// What was tried, as a verb: `read`, `create`, `lock`…
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },

    /// There is no such file.
    #[error("`{}` does not exist", path.display())]
    NotFound {
        /// The file asked for.
        path: PathBuf,
    },

    /// The path names something that can't be read and replaced as a file.
    #[error("`{}` is {what}, not a regular file", path.display())]
    NotAFile {
        /// The path asked for.
        path: PathBuf,
        /// What it is instead: `a directory`, `a FIFO, socket or device`.
        what: &'static str,
    },

    /// The path, or a link on its way, leads out of the directory that is all there is for this caller ([`Root`](crate::Root)).
    #[error("`{}` leads out of the folder: {why}", path.display())]
    OutsideRoot {
        /// The path asked for.
        path: PathBuf,
        /// How.
        why: &'static str,
    },

    /// The path has a name in it that no file can have, or that means something else to the system.
    #[error("`{}` is no path: {problem}", path.display())]
    BadPath {
        /// The path asked for.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },

    /// The file is larger than the limit for files that are held in memory.
    #[error("`{}` is larger than the limit of {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },

    /// The lock was asked for without waiting, and somebody holds it.
    #[error("`{}` is locked: {}", path.display(), held_by(holders))]
    Locked {
        /// The locked file.
        path: PathBuf,
        /// Who holds it, as far as the system tells.
        holders: Vec<Holder>,
    },

    /// The lock was not had in time.
    #[error("`{}` is still locked after {}: {}", path.display(), seconds(*waited), held_by(holders))]
    Timeout {
        /// The locked file.
        path: PathBuf,
        /// How long the call waited.
        waited: Duration,
        /// Who holds it, as far as the system tells.
        holders: Vec<Holder>,
    },

    /// Somebody has a lease of the file, and it was not over in time.
    #[error("`{}` is leased for at most {} more: {}", path.display(), seconds(*remaining), held_by(std::slice::from_ref(holder)))]
    Leased {
        /// The file.
        path: PathBuf,
        /// Who has the lease.
        holder: Box<Holder>,
        /// How long it lasts, unless it is renewed.
        remaining: Duration,
    },

    /// The lease that was to be written under is over, or somebody else has one by now. Nothing was written.
    #[error("the lease on `{}` (number {token}) is lost{}", path.display(), overtaken(*current, *token, holder.as_deref()))]
    LeaseLost {
        /// The file.
        path: PathBuf,
        /// Its number.
        token: u64,
        /// The number that counts now; `None` when there is none, or nobody looked.
        current: Option<u64>,
        /// Who has that.
        holder: Option<Box<Holder>>,
    },

    /// A store refused.
    #[cfg(feature = "store")]
    #[error("`{}`: {source}", path.display())]
    Store {
        /// The store's file.
        path: PathBuf,
        /// Why.
        source: crate::store::StoreError,
    },

    /// The name of the lease file is taken by something that is none.
    #[error("the lease file `{}` is {what}", path.display())]
    BadLeaseFile {
        /// The lease file's path.
        path: PathBuf,
        /// What it is: `a symbolic link`, `a directory`…
        what: &'static str,
    },

    /// Waiting on would never end: each of a circle of owners waits for what the next one holds. This owner was chosen to
    /// give up; the others go on.
    #[error("deadlock on `{}`: {}", path.display(), cycle.join(", "))]
    Deadlock {
        /// What this owner waited for.
        path: PathBuf,
        /// The circle, one sentence for each owner.
        cycle: Vec<String>,
    },

    /// The same owner asked again for what it holds. Waiting for oneself would never end.
    #[error("`{}` is already locked by the same owner", path.display())]
    Reentrant {
        /// The file.
        path: PathBuf,
    },

    /// The process that started this one holds the lock in a way that this one can't use. Waiting would never end.
    #[error("`{}` is locked by the command that started this one, which did not hand on the lock that is needed here", path.display())]
    HeldByParent {
        /// The file.
        path: PathBuf,
    },

    /// The name of the lock file is taken by something that can't be one.
    #[error("the lock file `{}` is {what}", path.display())]
    BadLockFile {
        /// The lock file's path.
        path: PathBuf,
        /// What it is: `a symbolic link`, `a directory`…
        what: &'static str,
    },

    /// The wait was called off.
    #[error("waiting for `{}` was called off", path.display())]
    Cancelled {
        /// The file.
        path: PathBuf,
    },

    /// The fallback lock is gone or somebody else's: this machine was silent for so long that another one took it over, or
    /// somebody removed it. Nothing was written.
    #[error("the lock on `{}` was lost", path.display())]
    LockLost {
        /// The file.
        path: PathBuf,
    },

    /// A guard was used in a process that did not take it (after a fork).
    #[error("the lock on `{}` belongs to the parent process", path.display())]
    Forked {
        /// The file.
        path: PathBuf,
    },

    /// The lock file promises an unfinished write that can't be completed, so nobody may go on.
    #[error("`{}` has an unfinished write that cannot be completed: {problem}", path.display())]
    Unrecovered {
        /// The file.
        path: PathBuf,
        /// What is missing.
        problem: String,
    },

    /// A write of several files could not be brought to its end. It is not taken back: whoever locks one of the files next writes what is missing
    /// of it; or drops the whole, if it was never decided.
    #[error("the write of several files {intent} is not finished: {source}")]
    Unfinished {
        /// The file that is in the way.
        path: PathBuf,
        /// Its intent.
        intent: String,
        /// What went wrong.
        source: Box<Error>,
    },

    /// A program that ignores locks changed some of several files while they were written: its versions stay, the other files are written.
    #[error("{}", partly(_0))]
    Partial(Box<crate::many::Applied>),

    /// The file is not what the writer expected; nothing was written.
    #[error("{0}")]
    Conflict(Box<Conflict>),

    /// What needs memory needs a workspace, and the path is in none, or in one that belongs to another user.
    #[error("`{}` is in no workspace: {without}", path.display())]
    NoWorkspace {
        /// The file or directory.
        path: PathBuf,
        /// What there is not, without one.
        without: &'static str,
    },

    /// No such version of the file is kept.
    #[error("no version {wanted} of `{}` is kept", path.display())]
    NoSuchVersion {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        wanted: String,
    },

    /// Several kept versions begin with these digits.
    #[error("{} kept versions of `{}` begin with {prefix}", versions.len(), path.display())]
    AmbiguousVersion {
        /// The file.
        path: PathBuf,
        /// The digits.
        prefix: String,
        /// The versions.
        versions: Vec<Version>,
    },

    /// The version was kept, and its bytes were changed since: it is not what it was, and is not used.
    #[error("the kept version {} of `{}` was changed since it was kept", version.short(), path.display())]
    DamagedVersion {
        /// The file.
        path: PathBuf,
        /// The version that was asked for.
        version: Version,
        /// Where its file lies.
        kept: PathBuf,
    },

    /// There is no stored conflict of this id.
    #[error("no stored conflict is called `{id}`{}", several(*matches))]
    NoSuchConflict {
        /// Where they are stored.
        path: PathBuf,
        /// What was asked for.
        id: String,
        /// How many have an id that begins so, if they are several.
        matches: usize,
    },

    /// The stored conflict can't be read.
    #[error("the stored conflict in `{}` is damaged: {problem}", path.display())]
    BadConflict {
        /// Its folder.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },

    /// The stored conflict can't be resolved like that.
    #[error("conflict {id} is not resolved: {problem}")]
    Unresolved {
        /// The file that it is about, or its merged document.
        path: PathBuf,
        /// Which.
        id: String,
        /// Why not.
        problem: String,
    },

    /// The stored conflict was resolved before.
    #[error("conflict {id} on `{}` was resolved already ({how})", path.display())]
    AlreadyResolved {
        /// The file that it was about.
        path: PathBuf,
        /// Which.
        id: String,
        /// How.
        how: HowResolved,
    },

    /// The document can't be read or changed as asked.
    #[error("`{}`: {source}", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        source: DocError,
    },

    /// The new content is in place and visible, but the system failed to make it durable: a power cut may bring the old
    /// content back. It is not rolled back (P5.8).
    #[error("`{}` was replaced, but making it durable failed: {}", path.display(), plain(source))]
    PublishedNotDurable {
        /// The file.
        path: PathBuf,
        /// The version that is visible now.
        version: Version,
        /// The system's answer.
        source: io::Error,
    },

    /// This writer's change was combined with others into one publish, and that failed. None of them was written.
    #[error("`{}` was not written: {message}", path.display())]
    BatchFailed {
        /// The file.
        path: PathBuf,
        /// What the publish failed with.
        message: String,
        /// The code of that failure.
        code: &'static str,
    },

    /// A configuration that can't be obeyed.
    #[error("`{}`: {message}", path.display())]
    Config {
        /// The configuration file.
        path: PathBuf,
        /// What is wrong, with the line where it can be told.
        message: String,
    },

    /// Changes of the path are not told, and looking again and again was not allowed ([`Polling::Never`](crate::watch::Polling::Never)).
    #[error("changes of `{}` cannot be watched: {why}", path.display())]
    NotWatchable {
        /// What was to be watched.
        path: PathBuf,
        /// Why not.
        why: String,
    },

    /// It is not known that everything before the call was reported: it took longer than the call was to wait.
    #[error("after {} it is not known whether all changes of `{}` were seen", seconds(*waited), path.display())]
    NotInSync {
        /// What is watched.
        path: PathBuf,
        /// How long the call waited.
        waited: Duration,
    },

    /// A glob that can't be understood.
    #[error("`{glob}` is not a glob: {problem}")]
    BadGlob {
        /// Its text.
        glob: String,
        /// What is wrong with it.
        problem: String,
    },

    /// A thread of the library could not be started or has panicked.
    #[error("cannot work on `{}`: {message}", path.display())]
    Internal {
        /// The file.
        path: PathBuf,
        /// What happened.
        message: String,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Error::Io { action, path: path.into(), source }
    }

    /// The same error for another caller that it hit too.
    pub(crate) fn share(&self) -> Error {
        let again = |e: &io::Error| io::Error::new(e.kind(), plain(e));
        match self {
            Error::Io { action, path, source } => Error::io(action, path, again(source)),
            Error::PublishedNotDurable { path, version, source } => {
                Error::PublishedNotDurable { path: path.clone(), version: *version, source: again(source) }
            }
            Error::Conflict(conflict) => Error::Conflict(conflict.clone()),
            Error::LeaseLost { path, token, current, holder } => {
                let (path, holder) = (path.clone(), holder.clone());
                Error::LeaseLost { path, token: *token, current: *current, holder }
            }
            #[cfg(feature = "store")]
            Error::Store { path, source } => Error::Store { path: path.clone(), source: source.clone() },
            other => {
                let message = other.to_string();
                Error::BatchFailed { path: other.path().to_owned(), message, code: other.code() }
            }
        }
    }

    /// A stable word for programs (the `kind` of the command line's JSON).
    pub fn code(&self) -> &'static str {
        match self {
            Error::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => "permission-denied",
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "disk-full",
                io::ErrorKind::ReadOnlyFilesystem => "read-only",
                _ => "io",
            },
            Error::NotFound { .. } => "not-found",
            Error::NotAFile { .. } => "not-a-file",
            Error::OutsideRoot { .. } => "outside-root",
            Error::BadPath { .. } => "bad-path",
            Error::TooLarge { .. } => "too-large",
            Error::Locked { .. } => "locked",
            Error::Timeout { .. } => "timeout",
            Error::Leased { .. } => "leased",
            Error::LeaseLost { .. } => "lease-lost",
            #[cfg(feature = "store")]
            Error::Store { source, .. } => source.code(),
            Error::BadLeaseFile { .. } => "bad-lease-file",
            Error::Deadlock { .. } => "deadlock",
            Error::Reentrant { .. } | Error::HeldByParent { .. } => "held-by-parent",
            Error::Cancelled { .. } => "cancelled",
            Error::BadLockFile { .. } => "bad-lock-file",
            Error::LockLost { .. } => "lock-lost",
            Error::Forked { .. } => "forked",
            Error::Unrecovered { .. } => "unrecovered",
            Error::Unfinished { .. } => "unfinished",
            Error::Partial(_) => "partial",
            Error::Conflict(_) => "conflict",
            Error::NoWorkspace { .. } => "no-workspace",
            Error::NoSuchVersion { .. } => "no-such-version",
            Error::AmbiguousVersion { .. } => "ambiguous-version",
            Error::DamagedVersion { .. } => "damaged-version",
            Error::NoSuchConflict { .. } => "no-such-conflict",
            Error::BadConflict { .. } => "bad-conflict",
            Error::Unresolved { .. } => "unresolved",
            Error::AlreadyResolved { .. } => "already-resolved",
            Error::Document { source, .. } => match source {
                DocError::Parse { .. } => "not-parseable",
                DocError::NotUtf8 { .. } => "not-utf8",
                DocError::DuplicateKey { .. } => "duplicate-key",
                DocError::Unrepresentable { .. } => "unrepresentable",
                DocError::PatchFailed { .. } => "patch-failed",
                DocError::TypeMismatch { .. } => "type-mismatch",
                _ => "document",
            },
            Error::PublishedNotDurable { .. } => "published-not-durable",
            Error::BatchFailed { code, .. } => code,
            Error::Config { .. } => "config",
            Error::BadGlob { .. } => "bad-glob",
            Error::NotWatchable { .. } => "not-watchable",
            Error::NotInSync { .. } => "not-in-sync",
            Error::Internal { .. } => "internal",
        }
    }

    /// The file that the error is about.
    pub fn path(&self) -> &Path {
        match self {
            Error::Conflict(conflict) => &conflict.path,
            Error::Partial(applied) => applied.conflict().map_or(Path::new(""), |file| &file.path),
            #[cfg(feature = "store")]
            Error::Store { path, .. } => path,
            Error::BadGlob { glob, .. } => Path::new(glob),
            Error::Io { path, .. }
            | Error::NotFound { path }
            | Error::NotAFile { path, .. }
            | Error::TooLarge { path, .. }
            | Error::Locked { path, .. }
            | Error::Timeout { path, .. }
            | Error::Leased { path, .. }
            | Error::LeaseLost { path, .. }
            | Error::BadLeaseFile { path, .. }
            | Error::Deadlock { path, .. }
            | Error::Reentrant { path }
            | Error::HeldByParent { path }
            | Error::Cancelled { path }
            | Error::BadLockFile { path, .. }
            | Error::LockLost { path }
            | Error::Forked { path }
            | Error::Unrecovered { path, .. }
            | Error::Unfinished { path, .. }
            | Error::NoWorkspace { path, .. }
            | Error::NoSuchVersion { path, .. }
            | Error::AmbiguousVersion { path, .. }
            | Error::DamagedVersion { path, .. }
            | Error::NoSuchConflict { path, .. }
            | Error::BadConflict { path, .. }
            | Error::Unresolved { path, .. }
            | Error::AlreadyResolved { path, .. }
            | Error::Document { path, .. }
            | Error::PublishedNotDurable { path, .. }
            | Error::BatchFailed { path, .. }
            | Error::Config { path, .. }
            | Error::NotWatchable { path, .. }
            | Error::NotInSync { path, .. }
            | Error::OutsideRoot { path, .. }
            | Error::BadPath { path, .. }
            | Error::Internal { path, .. } => path,
        }
    }

    /// What to do next: short sentences, the likeliest first.
    pub fn hints(&self) -> Vec<String> {
        let hint = |text: &str| vec![text.to_owned()];
        match self {
            Error::Io { action: "lock", source, .. } if source.kind() == io::ErrorKind::Unsupported => hint(
                "nothing was changed; the file system has no such locks: set `lock = \"auto\"` or `\"file\"` for it",
            ),
            Error::Io { source, path, .. } => io_hints(source, path),
            Error::NotFound { .. } => {
                hint("check the path; a command that can make the file does so with `--create`, or `--expect absent`")
            }
            Error::Locked { .. } | Error::Timeout { .. } => {
                hint("nothing was changed; try again, or wait longer with a larger timeout")
            }
            Error::Leased { .. } => vec![
                "nothing was changed; try again, or wait longer with a larger timeout".to_owned(),
                "the holder writes through its lease: `Lease::write`, or a filelatch command inside `filelatch run --max-hold`"
                    .to_owned(),
            ],
            Error::LeaseLost { .. } => hint(
                "nothing was changed; take the lease again, read the file, and apply the change to what is there now",
            ),
            #[cfg(feature = "store")]
            Error::Store { source, path } => source.hints(path),
            Error::Deadlock { .. } => vec![
                "nothing was changed and this owner's wait is over; release what it holds and try again".to_owned(),
                "lock several files in one call: they are then taken in one order and cannot deadlock".to_owned(),
            ],
            Error::Reentrant { .. } => vec![
                "use the guard that is already held".to_owned(),
                "a guard that was handed to another thread needs a lock scope of its own".to_owned(),
            ],
            Error::HeldByParent { .. } => hint(
                "nothing was changed; the outer command must hold an exclusive lock and hand it on (no `--shared`, no `--close`)",
            ),
            Error::BadLockFile { path, .. } | Error::BadLeaseFile { path, .. } => {
                vec![format!("nothing was changed; look at `{}` and move it away if it is not needed", path.display())]
            }
            Error::Unrecovered { .. } => vec![
                "nothing was changed; `filelatch doctor` shows what is left".to_owned(),
                "`filelatch doctor --fix` completes what can be completed, and says what to do about the rest".to_owned(),
            ],
            Error::Unfinished { source, .. } => {
                let mut hints = vec![
                    "some of the files may have their new content; do not write the others yourself".to_owned(),
                    "whoever locks one of them next goes on with it; `filelatch doctor --fix` does so now".to_owned(),
                ];
                // What they say was not changed may have been.
                let unsaid = |hint: String| hint.strip_prefix("nothing was changed; ").map(str::to_owned).unwrap_or(hint);
                hints.extend(source.hints().into_iter().map(unsaid));
                hints
            }
            Error::Partial(applied) => applied.hints(),
            Error::Conflict(conflict) => conflict.hints(),
            Error::NoWorkspace { .. } => {
                hint("`filelatch init` in the project's folder makes a workspace, which remembers from then on")
            }
            Error::NoSuchVersion { path, .. } => vec![
                format!("nothing was changed; `filelatch history {}` lists what is kept", path.display()),
                "a version is named by at least 16 of its digits".to_owned(),
            ],
            Error::AmbiguousVersion { .. } => hint("nothing was changed; give more digits"),
            Error::DamagedVersion { kept, .. } => vec![
                "nothing was changed; an older or newer version may be whole".to_owned(),
                format!("what is left of it lies in `{}`", kept.display()),
            ],
            Error::NoSuchConflict { matches: 0 | 1, .. } => hint("`filelatch conflicts` lists them"),
            Error::NoSuchConflict { .. } => hint("give more digits of the id; `filelatch conflicts` lists them"),
            Error::BadConflict { path, .. } => vec![format!(
                "nothing was changed; its contents may still be in `{}`: look at them, then remove the folder",
                path.display()
            )],
            Error::Document { source, .. } => source.hints(),
            Error::PublishedNotDurable { .. } => {
                hint("the disk reported an error: check it; write the content again once it is healthy")
            }
            Error::BatchFailed { .. } => hint("the file still has its old content; try again"),
            Error::TooLarge { .. } => hint("nothing was changed; raise the limit, or use the streaming writer"),
            Error::Cancelled { .. } | Error::Unresolved { .. } | Error::AlreadyResolved { .. } => {
                hint("nothing was changed")
            }
            Error::LockLost { .. } => vec![
                "nothing was written; lock the file again and look at what is there now".to_owned(),
                "a machine that sleeps or is cut off for 30 s loses its fallback locks to others".to_owned(),
            ],
            Error::NotWatchable { .. } => hint("allow looking again and again: `--poll`, or `Polling::Auto`"),
            Error::NotInSync { .. } => vec![
                "what was reported is true, and what is missing will still be reported".to_owned(),
                "wait longer: everything may have to be looked at".to_owned(),
            ],
            Error::BadGlob { .. } => hint("`*`, `?`, `[abc]`, `{a,b}` and `**` have a meaning; `\\` takes it away"),
            Error::OutsideRoot { .. } => hint(
                "nothing was read or changed; give a path relative to the folder, without `..`; links to other places are not followed",
            ),
            Error::BadPath { .. } => hint("nothing was read or changed; a path is names, with one `/` between two of them"),
            Error::NotAFile { .. } | Error::Forked { .. } | Error::Config { .. } | Error::Internal { .. } => Vec::new(),
        }
    }
}

fn io_hints(source: &io::Error, path: &Path) -> Vec<String> {
    let nothing = "nothing was changed";
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            vec![format!("{nothing}; check the permissions of `{}` and of its directory", path.display())]
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            vec![format!("{nothing}; free some space and try again")]
        }
        io::ErrorKind::ReadOnlyFilesystem => vec![format!("{nothing}; the file system is mounted read-only")],
        _ => Vec::new(),
    }
}
