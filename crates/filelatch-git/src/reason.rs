//! What would be lost with a session.

use std::fmt;
use std::path::{Path, PathBuf};

use filelatch_fs::Host;

/// A program whose current folder is in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inside {
    /// Its process.
    pub pid: u32,
    /// Its name, where the system tells.
    pub program: Option<String>,
}

/// One thing that would be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Files that differ from what is committed, or were told to git but not committed; relative to the session's folder.
    Changed(Vec<PathBuf>),
    /// Files that git does not know and does not ignore.
    Untracked(Vec<PathBuf>),
    /// Files that were copied into it when it was started, and have been changed there since.
    Included(Vec<PathBuf>),
    /// Commits that no other branch, tag or remote branch has.
    Commits(usize),
    /// Stored conflicts that are open.
    Conflicts(usize),
    /// A merge, rebase or the like that is not finished.
    InProgress(&'static str),
    /// Programs that work there.
    Inside(Vec<Inside>),
    /// Repositories and worktrees inside it: what they hold is not this repository's to keep.
    Nested(Vec<PathBuf>),
    /// Submodules that have been set up there: their commits are theirs alone.
    Submodules,
    /// The folder is no worktree any more, and not empty: whose it is can't be told.
    Broken(PathBuf),
    /// Somebody has locked the worktree (`git worktree lock`).
    Locked(String),
}

impl Reason {
    /// Can it be kept in a ref (`--rescue`)?
    pub fn can_be_rescued(&self) -> bool {
        !matches!(
            self,
            Reason::Inside(_)
                | Reason::Nested(_)
                | Reason::Submodules
                | Reason::Conflicts(_)
                | Reason::Broken(_)
                | Reason::Locked(_)
        )
    }

    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Reason::Changed(_) => "changed",
            Reason::Untracked(_) => "untracked",
            Reason::Included(_) => "included",
            Reason::Commits(_) => "commits",
            Reason::Conflicts(_) => "conflicts",
            Reason::InProgress(_) => "in-progress",
            Reason::Inside(_) => "inside",
            Reason::Nested(_) => "nested",
            Reason::Submodules => "submodules",
            Reason::Broken(_) => "broken",
            Reason::Locked(_) => "locked",
        }
    }
}

/// Names of so many files are told.
const SHOWN: usize = 3;

fn files(f: &mut fmt::Formatter<'_>, paths: &[PathBuf], what: &str) -> fmt::Result {
    let shown: Vec<_> = paths.iter().take(SHOWN).map(|path| path.display().to_string()).collect();
    let more = match paths.len().saturating_sub(SHOWN) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    write!(f, "{what}: {}{more}", shown.join(", "))
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Changed(paths) => files(f, paths, "changed, not committed"),
            Reason::Untracked(paths) => files(f, paths, "not known to git"),
            Reason::Included(paths) => files(f, paths, "copied there and changed since"),
            Reason::Commits(1) => f.write_str("1 commit that no other branch has"),
            Reason::Commits(n) => write!(f, "{n} commits that no other branch has"),
            Reason::Conflicts(1) => f.write_str("1 open conflict (`filelatch conflicts`)"),
            Reason::Conflicts(n) => write!(f, "{n} open conflicts (`filelatch conflicts`)"),
            Reason::InProgress(what) => write!(f, "a {what} in progress"),
            Reason::Inside(inside) => write!(f, "programs that work there: {}", processes(inside)),
            Reason::Nested(paths) => files(f, paths, "repositories or worktrees inside"),
            Reason::Submodules => f.write_str("submodules that are set up there"),
            Reason::Broken(path) => {
                write!(f, "`{}` is no worktree any more (`git worktree repair` may help) and not empty", path.display())
            }
            Reason::Locked(why) if why.is_empty() => f.write_str("it is locked (`git worktree unlock`)"),
            Reason::Locked(why) => write!(f, "it is locked (`git worktree unlock`): {why}"),
        }
    }
}

/// `vi (123), make (456)`.
pub(crate) fn processes(all: &[Inside]) -> String {
    let one = |process: &Inside| match &process.program {
        Some(program) => format!("{program} ({})", process.pid),
        None => process.pid.to_string(),
    };
    let shown: Vec<_> = all.iter().take(SHOWN).map(one).collect();
    match all.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Programs whose current folder is in this one, but for this very process. `None` where the system does not tell.
pub(crate) fn inside(host: &dyn Host, folder: &Path) -> Option<Vec<Inside>> {
    let all = host.processes_in(folder).ok()??;
    let others = all.into_iter().filter(|process| process.pid != host.pid());
    Some(others.map(|process| Inside { pid: process.pid, program: process.program }).collect())
}
