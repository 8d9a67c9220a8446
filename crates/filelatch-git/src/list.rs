//! What sessions there are, and how they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::Result;
use crate::git::Git;
use crate::name;
use crate::reason::{Inside, inside};
use crate::record::{Record, Stage};
use crate::repo::{self, Worktree};
use crate::sessions::Sessions;
use crate::status::{self, Status};

/// Changed files that are looked at for the time of the last activity.
const LOOKED_AT: usize = 200;

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionState {
    /// In use.
    Ready,
    /// Somebody is starting it now.
    Starting,
    /// Starting it was interrupted: `start` completes it.
    Incomplete,
    /// Somebody is removing it now.
    Removing,
    /// Removing it was interrupted: `remove` completes it.
    HalfRemoved,
    /// Its folder is gone; its branch may be there.
    FolderGone,
    /// There is a worktree in the place of sessions, or a worktree on a session's branch, but no record: made or left by other means.
    Unrecorded,
}

impl SessionState {
    /// A stable word for programs.
    pub fn code(self) -> &'static str {
        match self {
            SessionState::Ready => "ready",
            SessionState::Starting => "starting",
            SessionState::Incomplete => "incomplete",
            SessionState::Removing => "removing",
            SessionState::HalfRemoved => "half-removed",
            SessionState::FolderGone => "folder-gone",
            SessionState::Unrecorded => "unrecorded",
        }
    }
}

/// Files that are not committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dirty {
    /// Files whose staged content is not that of HEAD.
    pub staged: usize,
    /// Files that differ from what is staged, are gone, or not merged yet.
    pub modified: usize,
    /// Files that git neither knows nor ignores; of those that were included only changed ones.
    pub untracked: usize,
}

impl Dirty {
    /// Is there anything?
    pub fn is_dirty(self) -> bool {
        self != Dirty::default()
    }
}

/// A session as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session {
    /// Its name.
    pub name: String,
    /// How far it is.
    pub state: SessionState,
    /// Its branch.
    pub branch: String,
    /// The branch that is checked out there now, if it is another one; `Some(None)`: a commit without a branch.
    pub switched_to: Option<Option<String>>,
    /// The commit that is checked out there; that of the branch, when the folder is gone.
    pub head: Option<String>,
    /// Its folder.
    pub folder: PathBuf,
    /// The branch that it began at, or what was asked for.
    pub base: Option<String>,
    /// The commit that it began at.
    pub base_commit: Option<String>,
    /// What is not committed; `None` where it can't be known.
    pub dirty: Option<Dirty>,
    /// Commits that it has and its base has not.
    pub ahead: Option<usize>,
    /// Commits that its base has and it has not.
    pub behind: Option<usize>,
    /// Its base has all its commits: there is nothing to merge, or it is merged.
    pub merged: Option<bool>,
    /// A merge or the like that is not finished there.
    pub in_progress: Option<&'static str>,
    /// Programs whose current folder is there; `None` where the system does not tell.
    pub inside: Option<Vec<Inside>>,
    /// Who started it.
    pub created_by: Option<String>,
    /// When.
    pub created_at: Option<SystemTime>,
    /// When something was last done there, as far as its files tell: HEAD, index, changed files.
    pub active_at: Option<SystemTime>,
    /// Where a removal has kept what was in it.
    pub rescue: Option<String>,
    /// Why it can't be told more.
    pub problem: Option<String>,
}

impl Sessions {
    /// All sessions by name: those that are recorded, and worktrees that look like one.
    pub fn list(&self) -> Result<Vec<Session>> {
        let mut trees: BTreeMap<String, Worktree> = BTreeMap::new();
        for tree in self.repo.worktrees()? {
            if let Some(name) = self.name_of(&tree) {
                trees.insert(name, tree);
            }
        }
        let mut names = self.records.names()?;
        names.extend(trees.keys().cloned());
        names.sort();
        names.dedup();
        Ok(names.into_iter().map(|name| self.describe(&name, trees.get(&name))).collect())
    }

    /// One of them.
    pub fn find(&self, name: &str) -> Result<Session> {
        name::check(name)?;
        let tree = self.repo.worktrees()?.into_iter().find(|tree| self.name_of(tree).as_deref() == Some(name));
        if tree.is_none() {
            self.record(name)?;
        }
        Ok(self.describe(name, tree.as_ref()))
    }

    /// Which session a worktree is: by its place, else by its branch.
    pub(crate) fn name_of(&self, tree: &Worktree) -> Option<String> {
        if tree.path == self.repo.main {
            return None;
        }
        let below = tree.path.strip_prefix(self.place.worktrees()).ok();
        let by_place = below
            .and_then(|path| path.iter().next()?.to_str())
            .filter(|name| name::check(name).is_ok() && self.place.folder_of(name) == tree.path);
        let branch = tree.branch.as_deref().and_then(|branch| branch.strip_prefix("refs/heads/"));
        let by_branch =
            branch.and_then(|branch| branch.strip_prefix(name::PREFIX)).filter(|name| name::check(name).is_ok());
        by_place.or(by_branch).map(str::to_owned)
    }

    /// What can't be found out is left open, and told as a problem.
    fn describe(&self, name: &str, tree: Option<&Worktree>) -> Session {
        let mut problem = None;
        let record = self.records.read(name).unwrap_or_else(|error| {
            problem = Some(error.to_string());
            None
        });
        let folder = tree.map_or_else(|| self.place.folder_of(name), |tree| tree.path.clone());
        let is_there = tree.is_some_and(|tree| !tree.is_prunable) && self.git().fs.stat(&folder.join(".git")).is_ok();
        let branch = name::branch(name);
        let full = format!("refs/heads/{branch}");
        let mut session = Session {
            name: name.to_owned(),
            state: self.state(name, record.as_ref(), is_there),
            switched_to: tree.filter(|tree| is_there && tree.branch.as_deref() != Some(&full)).map(|tree| {
                tree.branch.as_deref().map(|other| other.strip_prefix("refs/heads/").unwrap_or(other).to_owned())
            }),
            head: tree.map(|tree| tree.head.clone()).filter(|_| is_there),
            branch,
            base: record.as_ref().map(|record| record.base_ref.clone()),
            base_commit: record.as_ref().map(|record| record.base_commit.clone()),
            dirty: None,
            ahead: None,
            behind: None,
            merged: None,
            in_progress: None,
            inside: None,
            created_by: record.as_ref().map(|record| record.created_by.clone()),
            created_at: record.as_ref().and_then(Record::created),
            active_at: None,
            rescue: record.as_ref().and_then(|record| record.rescue.clone()),
            folder,
            problem,
        };
        if let Err(error) = self.look_closer(&mut session, record.as_ref(), is_there) {
            session.problem.get_or_insert_with(|| error.to_string());
        }
        session
    }

    fn state(&self, name: &str, record: Option<&Record>, is_there: bool) -> SessionState {
        let is_busy = || self.records.is_busy(name).unwrap_or(false);
        match record.map(|record| record.stage) {
            None => SessionState::Unrecorded,
            Some(Stage::Starting) if is_busy() => SessionState::Starting,
            Some(Stage::Starting) => SessionState::Incomplete,
            Some(Stage::Removing) if is_busy() => SessionState::Removing,
            Some(Stage::Removing) => SessionState::HalfRemoved,
            Some(Stage::Ready) if is_there => SessionState::Ready,
            Some(Stage::Ready) => SessionState::FolderGone,
        }
    }

    fn look_closer(&self, session: &mut Session, record: Option<&Record>, is_there: bool) -> Result<()> {
        let git = self.git().at(&session.folder);
        if is_there {
            session.inside = inside(&*git.host, &session.folder);
            let own = repo::own_dir(&git)?;
            session.in_progress = repo::in_progress(&git, &own);
            if !matches!(session.state, SessionState::Starting | SessionState::Incomplete) {
                let found = without_included(&git, status::status(&git)?, record);
                session.active_at = active_at(&git, &own, &found);
                session.dirty = Some(Dirty {
                    staged: found.staged.len(),
                    modified: found.modified.len() + found.missing.len() + found.unmerged.len(),
                    untracked: found.untracked.len() + found.nested.len(),
                });
            }
        } else {
            session.head = self.repo.tip(&session.branch)?;
        }
        session.active_at = session.active_at.max(session.created_at);
        let (Some(head), Some(base)) = (&session.head, self.base_now(record)?) else { return Ok(()) };
        let both = format!("{base}...{head}");
        let counts = self.git().ask(["rev-list", "--left-right", "--count", &both])?;
        let text = String::from_utf8_lossy(counts.line()).into_owned();
        let mut counts = text.split_whitespace().map(|count| count.parse().ok());
        (session.behind, session.ahead) = (counts.next().flatten(), counts.next().flatten());
        session.merged = session.ahead.map(|ahead| ahead == 0);
        Ok(())
    }

    /// The base as it is now: its branch, if that is there, else the commit.
    pub(crate) fn base_now(&self, record: Option<&Record>) -> Result<Option<String>> {
        let Some(record) = record else { return Ok(None) };
        let base = format!("{}^{{commit}}", record.base_ref);
        let local = format!("refs/heads/{base}");
        let remote = format!("refs/remotes/{base}");
        for name in [local, remote] {
            if let Some(id) = self.git().word(["rev-parse", "--verify", "--quiet", &name])? {
                return Ok(Some(id));
            }
        }
        Ok(Some(record.base_commit.clone()))
    }
}

/// Files that were included and are as they were are no changes.
pub(crate) fn without_included(git: &Git, mut status: Status, record: Option<&Record>) -> Status {
    let included = record.map(|record| &record.included[..]).unwrap_or_default();
    let changed = status::changed_since(git, git.dir(), included);
    status.untracked.retain(|path| !included.iter().any(|file| file.path == *path) || changed.contains(path));
    status
}

/// The newest of HEAD, index and changed files.
fn active_at(git: &Git, own: &Path, status: &Status) -> Option<SystemTime> {
    let changed = [&status.modified, &status.untracked, &status.staged].into_iter().flatten().take(LOOKED_AT);
    let paths = ["HEAD", "index", "logs/HEAD"]
        .iter()
        .map(|name| own.join(name))
        .chain(changed.map(|path| git.dir().join(path)));
    let times = paths.filter_map(|path| Some(git.fs.stat(&path).ok()?.mtime.to_system_time()));
    times.max()
}
