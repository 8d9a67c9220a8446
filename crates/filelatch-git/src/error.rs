//! Every error: what happened, a stable code, and what to do next.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::contention::GitLock;
use crate::reason::{Reason, processes};
use crate::unmerged::Unmerged;

/// What the functions of this crate answer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was not done.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The library says so.
    Library(filelatch::Error),
    /// git can't be started, or not be waited for.
    NotRun {
        /// The system's word.
        source: io::Error,
    },
    /// git says no.
    Git {
        /// What it was asked: `git worktree add`.
        action: String,
        /// Its reason.
        told: String,
    },
    /// A lock file of git's was in the way until the end.
    Contended {
        /// What git was asked.
        action: String,
        /// The lock.
        lock: GitLock,
        /// How long it was waited for.
        waited: Duration,
    },
    /// git took too long and was ended.
    TooLong {
        /// What it was asked.
        action: String,
        /// How long it may take.
        limit: Duration,
    },
    /// git's answer is too long.
    TooMuch {
        /// What it was asked.
        action: String,
        /// How many bytes it may have.
        limit: u64,
    },
    /// git's answer is not what it should be.
    Answer {
        /// What it was asked.
        action: &'static str,
    },
    /// The folder is in no repository.
    NoRepository {
        /// The folder.
        dir: PathBuf,
        /// git's reason.
        told: String,
    },
    /// The repository has no working tree of its own.
    Bare {
        /// The repository.
        repository: PathBuf,
    },
    /// What the session should begin with is no commit.
    NoCommit {
        /// As it was asked for.
        base: String,
        /// The repository has none at all yet.
        is_empty: bool,
    },
    /// No name for a session.
    BadName {
        /// The name.
        name: String,
        /// Why.
        why: &'static str,
    },
    /// There is a session of this name.
    Exists {
        /// Its name.
        name: String,
        /// Where it is.
        folder: PathBuf,
    },
    /// Something that is not a session has the name.
    Taken {
        /// The name.
        name: String,
        /// The branch or the folder.
        what: String,
    },
    /// Somebody is starting it right now.
    Starting {
        /// Its name.
        name: String,
        /// The process.
        pid: u32,
    },
    /// There is no such session.
    NoSuchSession {
        /// The name.
        name: String,
    },
    /// Somebody works on it right now.
    Busy {
        /// Its name.
        name: String,
    },
    /// Its folder is on another branch.
    Switched {
        /// Its name.
        name: String,
        /// Where it is.
        folder: PathBuf,
        /// The branch; `None`: none at all.
        branch: Option<String>,
    },
    /// Its removal was interrupted.
    HalfRemoved {
        /// Its name.
        name: String,
    },
    /// It is not whole, so this can't be done with it.
    Incomplete {
        /// Its name.
        name: String,
        /// What is missing.
        what: String,
    },
    /// A record can't be read.
    BadRecord {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// Removing it would lose something.
    WouldLose {
        /// Its name.
        name: String,
        /// What.
        reasons: Vec<Reason>,
    },
    /// It has changes that are not committed, and what is merged are commits.
    Uncommitted {
        /// Its name.
        name: String,
        /// Where it is.
        folder: PathBuf,
        /// How many files.
        files: usize,
    },
    /// Something has been begun there and is not finished: a merge, a rebase.
    InProgress {
        /// Where.
        folder: PathBuf,
        /// What.
        what: &'static str,
    },
    /// The branch to merge into is none, or is the session's own.
    BadTarget {
        /// As it was asked for.
        branch: String,
        /// Why.
        why: &'static str,
    },
    /// Files there have changes that the merge would overwrite.
    InTheWay {
        /// Where.
        folder: PathBuf,
        /// In git's words.
        told: String,
    },
    /// The branch was moved by somebody else again and again.
    Overtaken {
        /// The branch.
        branch: String,
    },
    /// What does not fit together.
    Unmerged(Box<Unmerged>),
    /// A file or folder can't be read, made or removed.
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { action, path, source }
    }

    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Library(error) => error.code(),
            Error::NotRun { .. } | Error::Io { .. } => "io",
            Error::Git { .. } | Error::TooLong { .. } | Error::TooMuch { .. } | Error::Answer { .. } => "git",
            Error::Contended { .. } => "git-locked",
            Error::NoRepository { .. } | Error::Bare { .. } => "no-repository",
            Error::NoCommit { .. } => "no-commit",
            Error::BadName { .. } => "usage",
            Error::Exists { .. } | Error::Taken { .. } => "session-exists",
            Error::Starting { .. } => "session-starting",
            Error::NoSuchSession { .. } => "no-such-session",
            Error::Busy { .. } => "session-busy",
            Error::Switched { .. } => "session-switched",
            Error::Incomplete { .. } | Error::HalfRemoved { .. } => "session-incomplete",
            Error::BadRecord { .. } => "bad-record",
            Error::WouldLose { .. } => "would-lose",
            Error::Uncommitted { .. } => "uncommitted",
            Error::InProgress { .. } => "in-progress",
            Error::BadTarget { .. } => "bad-target",
            Error::InTheWay { .. } => "in-the-way",
            Error::Overtaken { .. } => "overtaken",
            Error::Unmerged(_) => "conflict",
        }
    }

    /// What to do next, one sentence each.
    pub fn hints(&self) -> Vec<String> {
        let nothing = "nothing was changed";
        match self {
            Error::Library(error) => error.hints(),
            Error::NotRun { .. } => vec![format!("{nothing}; git must be installed and in the PATH")],
            Error::Contended { lock, .. } => vec![
                "another git is at work there; try again when it has ended".to_owned(),
                format!(
                    "if none is, a git was killed: look at `{}`, and remove that file yourself when nobody works there",
                    lock.path.display()
                ),
            ],
            Error::NoRepository { .. } => {
                vec![format!("{nothing}; sessions are git worktrees: run it inside a repository")]
            }
            Error::Bare { .. } => {
                vec![format!("{nothing}; sessions are merged into a working tree: run it in a clone that has one")]
            }
            Error::NoCommit { is_empty: true, .. } => {
                vec![format!("{nothing}; commit something first: a session begins with a commit")]
            }
            Error::NoCommit { .. } => vec![format!("{nothing}; `git branch --all` and `git log` show what there is")],
            Error::BadName { .. } => vec![format!("{nothing}; for example `fix-login`")],
            Error::Exists { folder, .. } => vec![
                format!("enter it: cd '{}'", folder.display()),
                "or take another name; `filelatch session list` shows all".to_owned(),
            ],
            Error::Taken { .. } => vec![format!("{nothing}; take another name")],
            Error::Starting { .. } => vec![format!("{nothing}; wait for it, or take another name")],
            Error::NoSuchSession { .. } => vec!["`filelatch session list` shows those that there are".to_owned()],
            Error::Busy { .. } => vec![format!("{nothing}; try again when that has ended")],
            Error::Switched { name, folder, .. } => {
                vec![format!("{nothing}; go back first: git -C '{}' switch session/{name}", folder.display())]
            }
            Error::HalfRemoved { name } => vec![format!("`filelatch session remove {name}` completes it")],
            Error::Incomplete { name, .. } => vec![
                format!("`filelatch session start {name}` completes it"),
                format!("`filelatch session remove {name} --rescue` removes it and keeps what is in it"),
            ],
            Error::BadRecord { path, .. } => vec![format!(
                "{nothing}; the branch and the folder are git's and untouched; remove `{}` to have them listed without it",
                path.display()
            )],
            Error::WouldLose { name, reasons } => would_lose_hints(name, reasons),
            Error::Uncommitted { name, .. } => {
                vec![format!("{nothing}; commit them there, or: filelatch session merge {name} --commit MESSAGE")]
            }
            Error::InProgress { folder, .. } => {
                vec![format!("{nothing}; finish or abort it in `{}` first", folder.display())]
            }
            Error::BadTarget { .. } => vec![format!("{nothing}; name a branch: --into BRANCH")],
            Error::InTheWay { folder, .. } => {
                vec![format!("nothing was merged; commit or stash these changes in `{}` first", folder.display())]
            }
            Error::Overtaken { .. } => vec![format!("{nothing}; try again")],
            Error::Unmerged(unmerged) => unmerged.hints(),
            Error::Git { .. }
            | Error::TooLong { .. }
            | Error::TooMuch { .. }
            | Error::Answer { .. }
            | Error::Io { .. } => Vec::new(),
        }
    }
}

fn would_lose_hints(name: &str, reasons: &[Reason]) -> Vec<String> {
    let mut hints = vec!["nothing was removed".to_owned()];
    if reasons.iter().all(Reason::can_be_rescued) {
        hints.push(format!("keep it: filelatch session merge {name}"));
        hints.push(format!("or remove it and keep everything in a ref: filelatch session remove {name} --rescue"));
    } else {
        hints.push("these can't be kept in a ref: end or move them first".to_owned());
    }
    hints
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Library(error) => error.fmt(f),
            Error::NotRun { source } if source.kind() == io::ErrorKind::NotFound => f.write_str("git is not installed"),
            Error::NotRun { source } => write!(f, "git can't be run: {source}"),
            Error::Git { action, told } => write!(f, "`{action}` failed: {told}"),
            Error::Contended { action, lock, waited } => {
                let path = lock.path.display();
                write!(f, "`{action}` waited {} for `{path}`, a lock of another git", span(*waited))?;
                match lock.age {
                    Some(age) => write!(f, ", made {} ago", span(age))?,
                    None => f.write_str(", which is gone by now")?,
                }
                match &lock.gits {
                    Some(gits) if gits.is_empty() => f.write_str("; no git is seen to work there"),
                    Some(gits) => write!(f, "; at work there: {}", processes(gits)),
                    None => Ok(()),
                }
            }
            Error::TooLong { action, limit } => write!(f, "`{action}` took longer than {} and was ended", span(*limit)),
            Error::TooMuch { action, limit } => write!(f, "`{action}` answers more than {limit} bytes"),
            Error::Answer { action } => write!(f, "git's answer can't be read: {action}"),
            Error::NoRepository { dir, told } => write!(f, "`{}` is in no git repository: {told}", dir.display()),
            Error::Bare { repository } => write!(f, "`{}` is a bare repository", repository.display()),
            Error::NoCommit { is_empty: true, .. } => f.write_str("the repository has no commit yet"),
            Error::NoCommit { base, .. } => write!(f, "`{base}` is no commit"),
            Error::BadName { name, why } => write!(f, "`{name}` can't be a session's name: {why}"),
            Error::Exists { name, folder } => {
                write!(f, "the session {name} is there already, in `{}`", folder.display())
            }
            Error::Taken { name, what } => write!(f, "no session {name} was started: {what} is there already"),
            Error::Starting { name, pid } => write!(f, "the session {name} is being started by process {pid}"),
            Error::NoSuchSession { name } => write!(f, "there is no session {name}"),
            Error::Busy { name } => write!(f, "somebody is at work on the session {name}"),
            Error::Switched { name, branch: Some(branch), .. } => {
                write!(f, "the folder of the session {name} is on the branch {branch}, not on its own")
            }
            Error::Switched { name, .. } => write!(f, "the folder of the session {name} is on no branch"),
            Error::HalfRemoved { name } => write!(f, "the session {name} is half removed"),
            Error::Incomplete { name, what } => write!(f, "the session {name} is not complete: {what}"),
            Error::BadRecord { path, message } => write!(f, "the record `{}` can't be read: {message}", path.display()),
            Error::WouldLose { name, reasons } => {
                let reasons: Vec<_> = reasons.iter().map(ToString::to_string).collect();
                write!(f, "removing the session {name} would lose something: {}", reasons.join("; "))
            }
            Error::Uncommitted { name, folder, files } => {
                let files = match files {
                    1 => "1 file has".to_owned(),
                    n => format!("{n} files have"),
                };
                write!(f, "{files} changes that are not committed in the session {name} (`{}`)", folder.display())
            }
            Error::InProgress { folder, what } => write!(f, "a {what} is in progress in `{}`", folder.display()),
            Error::BadTarget { branch, why } => write!(f, "can't merge into `{branch}`: {why}"),
            Error::InTheWay { folder, told } => write!(f, "changes in `{}` are in the way: {told}", folder.display()),
            Error::Overtaken { branch } => {
                write!(f, "`{branch}` was moved by others each time it was to be merged into")
            }
            Error::Unmerged(unmerged) => unmerged.fmt(f),
            Error::Io { action, path, source } => write!(f, "cannot {action} `{}`: {source}", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Library(error) => Some(error),
            Error::NotRun { source } | Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<filelatch::Error> for Error {
    fn from(error: filelatch::Error) -> Self {
        Error::Library(error)
    }
}

/// `1.5 s`, `200 ms`, `3 min`, `2 h`, `5 d`.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..10 => format!("{}.{} s", seconds, time.subsec_millis() / 100),
        10..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
