//! Removing a session.
//!
//! # Promise
//! Nothing is lost (L54). Refused, with everything that is in the way, when there is: a program inside, a change that is not committed, a file
//! that git neither knows nor ignores, an included file that was changed, a commit that is reachable from no other branch, tag, remote
//! branch or rescue, an open conflict, a merge that is not finished, a repository, worktree or submodule inside, a lock. With `rescue` what can be
//! kept in a ref is kept there first, durably.
//!
//! # Non-promise
//! Ignored files, kept versions and audit records of the session's files, its reflog and refs of the worktree alone (`refs/worktree/`, `refs/bisect/`) go with it.
//! A program that writes into the folder while it is being deleted, and was not inside when it was looked, loses that.
//!
//! # Order of operations
//! Under the lock of the name: look → rescue → record says that it is being removed, and where it is kept → sync objects and refs → look again →
//! worktree → branch (if it still is where it was) → record. Interrupted anywhere, it is listed as half removed, and removing it again goes on.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::durable;
use crate::error::{Error, Result};
use crate::git::Git;
use crate::include;
use crate::list::without_included;
use crate::name;
use crate::reason::{Reason, inside};
use crate::record::{Record, Stage};
use crate::repo::{self, Worktree};
use crate::rescue::{self, Rescue, Wanted};
use crate::sessions::Sessions;
use crate::status::{self, Status};

/// git's own lock on a worktree that it is about to add.
const INITIALIZING: &str = "initializing";

/// How to remove a session.
#[derive(Clone, Debug, Default)]
pub struct RemoveOptions {
    /// Keep what would be lost in a ref.
    pub rescue: bool,
}

/// A session that was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removed {
    /// Its name.
    pub name: String,
    /// Its branch.
    pub branch: String,
    /// The branch is still there: it is checked out elsewhere, or was moved meanwhile.
    pub branch_kept: bool,
    /// Where everything is kept that would have been lost.
    pub rescue: Option<Rescue>,
}

/// What there is of a session, and what would be lost with it.
struct Found {
    tree: Option<Worktree>,
    /// `None`: it is gone.
    folder: Option<PathBuf>,
    /// Of the branch.
    tip: Option<String>,
    tips: Vec<String>,
    reasons: Vec<Reason>,
    is_dirty: bool,
    included: Vec<PathBuf>,
}

impl Sessions {
    /// Removes a session: its folder, its branch, its record.
    pub fn remove(&self, name: &str, options: &RemoveOptions) -> Result<Removed> {
        name::check(name)?;
        let Some(_busy) = self.records.try_lock_session(name)? else {
            return Err(Error::Busy { name: name.to_owned() });
        };
        let record = self.records.read(name)?;
        let found = self.look(name, record.as_ref())?;
        // A branch alone, of whatever name, is nobody's session.
        if record.is_none() && found.tree.is_none() {
            return Err(Error::NoSuchSession { name: name.to_owned() });
        }
        let can_go_on = found.reasons.is_empty() || options.rescue && found.reasons.iter().all(Reason::can_be_rescued);
        if !can_go_on {
            return Err(Error::WouldLose { name: name.to_owned(), reasons: found.reasons });
        }
        let mut rescued = None;
        if !found.reasons.is_empty() {
            rescued = Some(self.rescue(&found.wanted(name, record.as_ref()))?);
        }
        let mut record = record.unwrap_or_else(|| {
            let base = (name::branch(name), found.tips.first().cloned().unwrap_or_default());
            Record::new(name, base, self.place.folder_of(name), self.latch.session(), self.git())
        });
        let before = record.stage;
        record.stage = Stage::Removing;
        record.rescue = rescued.as_ref().map(|(rescue, _)| rescue.reference.clone()).or(record.rescue);
        self.records.write(&record)?;
        self.make_durable(&found, &record)?;
        let kept = rescued.as_ref().and_then(|(_, tree)| tree.as_deref());
        if let Err(error) = self.remove_tree(&found, &record, kept, before) {
            // Nothing of it is gone yet.
            if matches!(error, Error::WouldLose { .. } | Error::Contended { .. }) {
                record.stage = before;
                self.records.write(&record)?;
            }
            return Err(error);
        }
        let branch_kept = self.remove_branch(&found, &record)?;
        self.place.clear(self.git(), name);
        self.records.remove(name)?;
        Ok(Removed {
            name: name.to_owned(),
            branch: record.branch,
            branch_kept,
            rescue: rescued.map(|(rescue, _)| rescue),
        })
    }

    /// The worktree of a session, wherever it is by now.
    pub(crate) fn tree_of(&self, name: &str) -> Result<Option<Worktree>> {
        Ok(self.repo.worktrees()?.into_iter().find(|tree| self.name_of(tree).as_deref() == Some(name)))
    }

    fn look(&self, name: &str, record: Option<&Record>) -> Result<Found> {
        let tree = self.tree_of(name)?;
        let path = tree.as_ref().map_or_else(|| self.place.folder_of(name), |tree| tree.path.clone());
        let is_there = self.git().fs.stat(&path).is_ok();
        let tip = self.repo.tip(&name::branch(name))?;
        let mut found = Found {
            folder: (is_there && tree.is_some()).then(|| path.clone()),
            tips: tip.iter().cloned().collect(),
            tree,
            tip,
            reasons: Vec::new(),
            is_dirty: false,
            included: Vec::new(),
        };
        let is_starting = record.is_some_and(|record| record.stage == Stage::Starting);
        if let Some(why) = found.tree.as_ref().and_then(|tree| tree.locked.clone())
            && !(is_starting && why == INITIALIZING)
        {
            found.reasons.push(Reason::Locked(why));
        }
        // A folder without `.git`, or one that no worktree is known for: whose it is can't be told.
        if is_there && (found.tree.is_none() || self.git().fs.stat(&path.join(".git")).is_err()) {
            found.folder = None;
            if !self.is_empty(&path) {
                found.reasons.push(Reason::Broken(path));
            }
        } else if is_there {
            self.look_inside(&mut found, &path, record)?;
        }
        self.look_for_commits(&mut found, name)?;
        Ok(found)
    }

    fn is_empty(&self, folder: &Path) -> bool {
        let mut empty = true;
        let mut each = |_| {
            empty = false;
            false
        };
        self.git().fs.open_dir(folder).and_then(|dir| dir.list(&mut each)).is_ok() && empty
    }

    fn look_inside(&self, found: &mut Found, folder: &Path, record: Option<&Record>) -> Result<()> {
        let git = self.git().at(folder);
        let head = git.word(["rev-parse", "--verify", "--quiet", "HEAD"])?;
        found.tips.splice(0..0, head);
        if let Some(inside) = inside(&*git.host, folder).filter(|inside| !inside.is_empty()) {
            found.reasons.push(Reason::Inside(inside));
        }
        let own = repo::own_dir(&git)?;
        found.reasons.extend(repo::in_progress(&git, &own).map(Reason::InProgress));
        if !self.is_empty_or_missing(&own.join("modules")) {
            found.reasons.push(Reason::Submodules);
        }
        let stage = record.map_or(Stage::Ready, |record| record.stage);
        let status = match stage {
            // An interrupted checkout has no index yet: what counts are the files.
            Stage::Starting => Status { modified: self.remains(&git, folder)?, ..Status::default() },
            // An interrupted removal has deleted files, of which there is nothing to be lost.
            Stage::Removing => Status { missing: Vec::new(), ..status::status(&git)? },
            Stage::Ready => status::status(&git)?,
        };
        let mut nested: Vec<_> = status.nested.clone();
        let below = |tree: &Worktree| tree.path != folder && tree.path.starts_with(folder);
        nested.extend(self.repo.worktrees()?.into_iter().filter(below).map(|tree| tree.path));
        if !nested.is_empty() {
            found.reasons.push(Reason::Nested(nested));
        }
        let included = record.map(|record| &record.included[..]).unwrap_or_default();
        let mut changed_included = status::changed_since(&git, folder, included);
        let fs = &*git.fs;
        changed_included
            .retain(|path| include::hash_at(fs, folder, path) != include::hash_at(fs, &self.repo.main, path));
        let status = without_included(&git, status, record);
        let mut changed = status.changed();
        changed.extend(status.missing);
        let untracked: Vec<_> = status.untracked.into_iter().filter(|path| !changed_included.contains(path)).collect();
        found.is_dirty = !changed.is_empty() || !untracked.is_empty();
        found.included.clone_from(&changed_included);
        for (paths, reason) in [
            (changed, Reason::Changed as fn(Vec<PathBuf>) -> Reason),
            (untracked, Reason::Untracked),
            (changed_included, Reason::Included),
        ] {
            if !paths.is_empty() {
                found.reasons.push(reason(paths));
            }
        }
        // Without a workspace of its own the conflicts are the main working tree's.
        if self.latch.workspace_of(folder)?.is_some_and(|root| root != self.repo.main && folder.starts_with(&root)) {
            let stored = self.latch.conflicts(folder)?;
            let open = stored.stored.iter().filter(|conflict| conflict.is_open()).count() + stored.damaged.len();
            if open > 0 {
                found.reasons.push(Reason::Conflicts(open));
            }
        }
        Ok(())
    }

    fn is_empty_or_missing(&self, folder: &Path) -> bool {
        self.git().fs.stat(folder).is_err() || self.is_empty(folder)
    }

    /// By reachability: what a branch, a tag, a remote branch or a rescue has.
    fn look_for_commits(&self, found: &mut Found, name: &str) -> Result<()> {
        if found.tips.is_empty() {
            return Ok(());
        }
        let own = format!("--exclude={}", name::branch(name));
        let mut words = vec!["rev-list", "--count"];
        words.extend(found.tips.iter().map(String::as_str));
        words.extend(["--not", &own, "--branches", "--tags", "--remotes", "--glob=refs/filelatch/rescue/*"]);
        let counted = self.git().ask(words)?;
        let count = String::from_utf8_lossy(counted.line()).trim().parse().unwrap_or(usize::MAX);
        if count > 0 {
            found.reasons.push(Reason::Commits(count));
        }
        Ok(())
    }

    fn make_durable(&self, found: &Found, record: &Record) -> Result<()> {
        let mut tips = found.tips.clone();
        let mut refs = Vec::new();
        if let Some(rescue) = &record.rescue {
            tips.extend(self.git().word(["rev-parse", "--verify", "--quiet", rescue])?);
            refs.push(rescue.clone());
        }
        if tips.is_empty() {
            return Ok(());
        }
        for tip in &found.tips {
            let told = self.git().ask(["for-each-ref", "--format=%(refname)", "--contains", tip])?;
            refs.extend(String::from_utf8_lossy(&told.out).lines().map(str::to_owned));
        }
        let known = (!record.base_commit.is_empty()
            && self.git().run(["cat-file", "-e", &record.base_commit])?.is_ok())
        .then_some(record.base_commit.as_str());
        durable::keep(&self.repo, self.git(), &tips, known, &refs)
    }

    /// `kept` is the tree that was rescued: what is there now must be that, or nothing that could be lost.
    fn remove_tree(&self, found: &Found, record: &Record, kept: Option<&str>, before: Stage) -> Result<()> {
        let was_starting = before == Stage::Starting;
        let Some(tree) = &found.tree else { return self.remove_empty(&record.name) };
        let _guard = self.records.lock()?;
        let words = ["worktree", "remove"].map(OsStr::new);
        let path = [OsStr::new("--"), tree.path.as_os_str()];
        if kept.is_none() {
            // git looks by itself, once more and last.
            if self.git().run(words.into_iter().chain(path))?.is_ok() {
                return Ok(());
            }
        }
        let mut look = record.clone();
        if was_starting {
            look.stage = Stage::Starting;
        }
        let mut again = self.look(&record.name, Some(&look))?;
        if let Some(kept) = kept {
            let git = self.git().at(&tree.path);
            let now = rescue::tree_of_files(&git, &again.wanted(&record.name, Some(record)))?;
            // What is in the ref is no reason any more; a commit that it does not have is a new one.
            let is_kept = now == kept && again.included == found.included;
            let is_new = |reason: &Reason| !reason.can_be_rescued() || matches!(reason, Reason::Commits(_));
            again.reasons.retain(|reason| !is_kept || is_new(reason));
        } else {
            let rescued = record.rescue.is_some();
            again.reasons.retain(|reason| {
                !(rescued && matches!(reason, Reason::Included(_)) && again.included == found.included)
            });
        }
        if !again.reasons.is_empty() {
            return Err(Error::WouldLose { name: record.name.clone(), reasons: again.reasons });
        }
        // Once for files that git does not know to be kept, twice for its own lock of an interrupted start.
        let force = ["--force", "--force"].map(OsStr::new);
        let times = if was_starting { 2 } else { 1 };
        self.git().ask(words.into_iter().chain(force.into_iter().take(times)).chain(path)).map(drop)
    }

    /// A folder that was made and never became a worktree.
    fn remove_empty(&self, name: &str) -> Result<()> {
        let folder = self.place.folder_of(name);
        let (Some(parent), Some(last)) = (folder.parent(), folder.file_name()) else { return Ok(()) };
        if self.git().fs.stat(&folder).is_err() {
            return Ok(());
        }
        let removed = self.git().fs.open_dir(parent).and_then(|dir| dir.remove_dir(last));
        removed.map_err(Error::io("remove", folder))
    }

    /// True: it is still there.
    fn remove_branch(&self, found: &Found, record: &Record) -> Result<bool> {
        let Some(tip) = &found.tip else { return Ok(false) };
        let full = format!("refs/heads/{}", record.branch);
        if self.repo.worktrees()?.iter().any(|tree| tree.branch.as_deref() == Some(&full) && !tree.is_prunable) {
            return Ok(true);
        }
        if !self.git().run(["update-ref", "-d", &full, tip])?.is_ok() {
            return Ok(self.repo.tip(&record.branch)?.is_some());
        }
        self.remove_settings(&record.branch)?;
        Ok(false)
    }

    /// What `git branch -d` would take out of the configuration.
    fn remove_settings(&self, branch: &str) -> Result<()> {
        let section = format!("branch.{branch}");
        let listed = self.git().ask(["config", "--local", "--name-only", "--list", "-z"])?;
        let prefix = format!("{section}.");
        let is_there = listed.out.split(|&byte| byte == 0).any(|name| name.starts_with(prefix.as_bytes()));
        if is_there {
            self.git().run(["config", "--local", "--remove-section", &section])?;
        }
        Ok(())
    }

    /// Files that an interrupted start can't have made.
    pub(crate) fn remains(&self, git: &Git, folder: &Path) -> Result<Vec<PathBuf>> {
        // Who was killed was filelatch; the git that it had started may still be at it.
        git.wait_for(&repo::own_dir(git)?.join("index.lock"), "filelatch session")?;
        let mut found = status::against_head(git)?;
        found.retain(|path| {
            let there = include::hash_at(&*git.fs, folder, path);
            there.is_none() || there != include::hash_at(&*git.fs, &self.repo.main, path)
        });
        Ok(found)
    }
}

impl Found {
    fn wanted<'a>(&'a self, name: &'a str, record: Option<&'a Record>) -> Wanted<'a> {
        Wanted {
            name,
            record,
            folder: self.folder.as_deref(),
            tips: self.tips.clone(),
            is_dirty: self.is_dirty || self.reasons.iter().any(|reason| matches!(reason, Reason::InProgress(_))),
            included: self.included.clone(),
        }
    }
}
