//! Starting a session.
//!
//! # Promise
//! A session that is told of is whole: branch, worktree, files, what was to be included. One that was interrupted, at whatever moment, has a
//! record that says so: [`Sessions::list`] shows it, starting it again completes it. Any number of sessions can be started at once.
//!
//! # Order of operations
//! Under the lock of the name: find out what it begins with → **under the lock of all**: record (durable) → branch and worktree without
//! files → unlock → check out → workspace → included files → record says that it is whole.
//!
//! Only what changes the shared part of the repository is done one after another; files are checked out at the same time. When a step fails
//! it is undone, unless somebody has put something there.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use crate::contention::is_pruned_meanwhile;
use crate::error::{Error, Result};
use crate::include::{self, Skipped};
use crate::name;
use crate::record::{Record, Stage};
use crate::sessions::Sessions;

/// How many generated names are tried.
const TRIES: usize = 64;

/// How often a worktree is added that other gits prune meanwhile.
const ATTEMPTS: usize = 8;

/// Longest time of a checkout, with all that its filters fetch.
pub(crate) const CHECKOUT: Duration = Duration::from_secs(3600);

/// How to start a session.
#[derive(Clone, Debug, Default)]
pub struct StartOptions {
    /// A branch, a tag or a commit; `None`: HEAD of the folder in which it is asked for.
    pub base: Option<String>,
    /// Files that are copied, beside those that the workspace's configuration names (`[session] include`): paths from the top of the main
    /// working tree, with `*`, `?`, `[…]` within a name and `**` across folders.
    pub include: Vec<String>,
}

/// A session that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Started {
    /// Its name.
    pub name: String,
    /// Its branch.
    pub branch: String,
    /// The branch that it began at, or what was asked for.
    pub base: String,
    /// The commit that it began at.
    pub base_commit: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Files that were copied into it, by path from its top.
    pub included: Vec<PathBuf>,
    /// Files that were not, and why.
    pub skipped: Vec<Skipped>,
    /// Lines that `info/exclude` of the repository got: what filelatch makes beside files does not belong into it.
    pub excluded: Vec<&'static str>,
    /// It was there already, interrupted, and is whole now.
    pub completed: bool,
}

impl Sessions {
    /// Starts a session; without a name, by one that people can say.
    ///
    /// A session that was interrupted while it was started is completed, with the base that it had; the options are then for its files only.
    pub fn start(&self, name: Option<&str>, options: &StartOptions) -> Result<Started> {
        if let Some(name) = name {
            name::check(name)?;
            return self.start_named(name, options, false);
        }
        for _ in 0..TRIES {
            let name = name::generated(self.git().host.random());
            match self.start_named(&name, options, true) {
                Err(Error::Exists { .. } | Error::Taken { .. } | Error::Starting { .. }) => {}
                done => return done,
            }
        }
        let random = self.git().host.random();
        self.start_named(&format!("{}-{random:08x}", name::generated(random)), options, true)
    }

    fn start_named(&self, name: &str, options: &StartOptions, is_new: bool) -> Result<Started> {
        let base = self.base(options)?;
        let Some(_busy) = self.records.try_lock_session(name)? else {
            let pid = self.records.read(name)?.map_or(0, |record| record.worker.pid);
            return Err(Error::Starting { name: name.to_owned(), pid });
        };
        match self.records.read(name)? {
            Some(mut record) if record.stage == Stage::Starting && !is_new => {
                record.folder = self.place.folder_of(name);
                self.make(record, options, true)
            }
            Some(record) if record.stage == Stage::Removing && !is_new => Err(Error::HalfRemoved { name: record.name }),
            Some(record) => Err(Error::Exists { name: record.name, folder: record.folder }),
            None => {
                let folder = self.place.folder_of(name);
                let record = Record::new(name, base, folder, self.latch.session(), self.git());
                let done = self.make(record.clone(), options, false);
                if done.is_err() {
                    self.undo(&record);
                }
                done
            }
        }
    }

    /// The branch, or what was asked for, and its commit.
    fn base(&self, options: &StartOptions) -> Result<(String, String)> {
        let here = &self.repo.here;
        let asked = options.base.as_deref().unwrap_or("HEAD");
        let commit = format!("{asked}^{{commit}}");
        let Some(id) = here.word(["rev-parse", "--verify", "--quiet", "--end-of-options", &commit])? else {
            let any = here.word(["rev-list", "-n1", "--all"])?;
            return Err(Error::NoCommit { base: asked.to_owned(), is_empty: any.is_none_or(|id| id.is_empty()) });
        };
        let full = here.word(["rev-parse", "--symbolic-full-name", asked])?.unwrap_or_default();
        let name = full.strip_prefix("refs/heads/").or_else(|| full.strip_prefix("refs/remotes/"));
        Ok((name.unwrap_or(asked).to_owned(), id))
    }

    fn make(&self, mut record: Record, options: &StartOptions, completes: bool) -> Result<Started> {
        let excluded = self.add(&record, completes)?;
        let git = self.git().at(&record.folder).lazy_fetch().limit(CHECKOUT);
        if completes {
            self.check_remains(&record)?;
        }
        git.ask(["reset", "--hard", "--quiet", "--no-recurse-submodules", "HEAD", "--"])?;
        let own = self.place.make_workspace(self.git(), &record.name)?;
        let mut patterns = self.latch.session_include(&self.repo.main)?;
        patterns.extend(options.include.iter().cloned());
        let (included, skipped) = include::copy(self.git(), [&self.repo.main, &record.folder, &own], &patterns)?;
        record.included = included;
        record.stage = Stage::Ready;
        self.records.write(&record)?;
        Ok(Started {
            included: record.included.into_iter().map(|file| file.path).collect(),
            name: record.name,
            branch: record.branch,
            base: record.base_ref,
            base_commit: record.base_commit,
            folder: record.folder,
            skipped,
            excluded,
            completed: completes,
        })
    }

    /// The short part: record, branch, worktree.
    fn add(&self, record: &Record, completes: bool) -> Result<Vec<&'static str>> {
        let _guard = self.records.lock()?;
        let excluded = self.place.prepare(&self.repo, &self.latch, &self.records)?;
        let found = self.repo.worktrees()?.into_iter().find(|tree| tree.path == record.folder);
        let full = format!("refs/heads/{}", record.branch);
        let tip = self.repo.tip(&record.branch)?;
        if !completes {
            let taken = |what: String| Err(Error::Taken { name: record.name.clone(), what });
            if tip.is_some() {
                return taken(format!("the branch {}", record.branch));
            }
            if found.is_some() || self.git().fs.stat(&record.folder).is_ok() {
                return taken(format!("`{}`", record.folder.display()));
            }
            self.records.write(record)?;
        }
        if let Some(tree) = &found
            && !tree.is_prunable
        {
            if tree.branch.as_deref() == Some(&full) {
                return Ok(excluded);
            }
            let what = format!("`{}` is not on its branch", tree.path.display());
            return Err(Error::Incomplete { name: record.name.clone(), what });
        }
        let (mut is_known, mut has_branch) = (found.is_some(), tip.is_some());
        for _ in 1..ATTEMPTS {
            match self.add_worktree(record, is_known, has_branch) {
                Err(Error::Git { told, .. }) if is_pruned_meanwhile(&told) => {}
                done => return done.map(|()| excluded),
            }
            // git makes the branch first, and leaves it there when it fails afterwards.
            is_known = self.repo.worktrees()?.iter().any(|tree| tree.path == record.folder);
            has_branch = self.repo.tip(&record.branch)?.is_some();
        }
        self.add_worktree(record, is_known, has_branch).map(|()| excluded)
    }

    fn add_worktree(&self, record: &Record, is_known: bool, has_branch: bool) -> Result<()> {
        // Twice forced: also in place of a worktree that git knows and whose folder is gone.
        let mut words: Vec<&OsStr> = ["worktree", "add", "--quiet", "--no-checkout"].map(OsStr::new).into();
        if is_known {
            words.extend(["--force", "--force"].map(OsStr::new));
        }
        if !has_branch {
            words.extend(["--no-track", "-b", &record.branch].map(OsStr::new));
        }
        let base = if has_branch { &record.branch } else { &record.base_commit };
        words.extend([OsStr::new("--"), record.folder.as_os_str(), base.as_ref()]);
        self.git().ask(words).map(drop)
    }

    /// A checkout that was interrupted may have left some of the files, but nothing that is somebody's: a file that is neither as it was
    /// committed nor as it is in the main working tree is not overwritten.
    fn check_remains(&self, record: &Record) -> Result<()> {
        let found = self.remains(&self.git().at(&record.folder), &record.folder)?;
        if found.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = found.iter().take(3).map(|path| path.display().to_string()).collect();
        let what = format!("files in it are not as they were committed: {} ({} in all)", names.join(", "), found.len());
        Err(Error::Incomplete { name: record.name.clone(), what })
    }

    /// Takes back what a start has made; what can't be taken back stays listed as incomplete.
    fn undo(&self, record: &Record) {
        let Ok(_guard) = self.records.lock() else { return };
        if !matches!(self.records.read(&record.name), Ok(Some(found)) if found.stage == Stage::Starting) {
            return;
        }
        if self.git().fs.stat(&record.folder).is_ok() {
            if self.check_remains(record).is_err() {
                return;
            }
            let words = ["worktree", "remove", "--force", "--"].map(OsStr::new);
            if self.git().ask(words.into_iter().chain([record.folder.as_os_str()])).is_err() {
                return;
            }
        }
        if let Ok(Some(tip)) = self.repo.tip(&record.branch) {
            let full = format!("refs/heads/{}", record.branch);
            if tip != record.base_commit || self.git().ask(["update-ref", "-d", &full, &tip]).is_err() {
                return;
            }
        }
        self.place.clear(self.git(), &record.name);
        self.records.remove(&record.name).ok();
    }
}
