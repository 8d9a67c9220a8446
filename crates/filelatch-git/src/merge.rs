//! Merging a session.
//!
//! # Promise
//! Both sides are merged as trees of git's, beside all working trees; only a whole result is published, by git's own fast-forward in the working
//! tree that has the branch, or by a compare-and-swap of the ref where none has. So a conflict changes nothing anywhere, unless it is asked to
//! be left. If the branch is moved meanwhile, all of it is done again. Commits that this makes are synced (L55).
//!
//! Files are merged by the driver that the caller gives (`merge.default` for this once): where the user's own attributes or configuration say
//! something else, they count.
//!
//! # Non-promise
//! The files of the target's working tree are written by git, not by the engine of filelatch: without its locks, versions and attribution. git
//! does not overwrite uncommitted changes; a program that writes a file in the moment that git replaces it can lose that write.
//! Hooks: those of a commit in the session (`commit`) and `post-merge` of a fast-forward run; `pre-merge-commit` and `commit-msg` do not.
//!
//! # Order of operations
//! Under the lock of the name: look → commit what is not committed, if asked → tips of both → merge → commit → fast-forward.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::durable::FSYNC;
use crate::error::{Error, Result};
use crate::git::{Git, Told, path_of};
use crate::list::without_included;
use crate::name;
use crate::record::Stage;
use crate::repo::{self, Worktree};
use crate::rescue::add_all;
use crate::sessions::Sessions;
use crate::start::CHECKOUT;
use crate::status;
use crate::unmerged::{Unmerged, UnmergedFile, hunks};

/// How often somebody may be faster.
const TRIES: usize = 20;
/// Files with conflicts that are looked into, and how long they may be.
const SHOWN: usize = 100;
const LONGEST: usize = 4 << 20;

/// How to merge a session.
#[derive(Clone, Debug, Default)]
pub struct MergeOptions {
    /// The branch to merge into; `None`: the one that is checked out in the main working tree.
    pub into: Option<String>,
    /// The message of the merge; with one there is a merge commit even where a fast-forward would do.
    pub message: Option<String>,
    /// Commit with this message what is not committed in the session, before.
    pub commit: Option<String>,
    /// On a conflict: leave it in the working tree that has the branch, for somebody to resolve.
    pub leave_conflicts: bool,
    /// The command that merges files, as gitattributes(5) has it of `merge.*.driver`; `None`: git does.
    pub driver: Option<String>,
}

/// How a session was merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeOutcome {
    /// By a commit with two parents.
    Merged,
    /// The branch had nothing new: it stands where the session is.
    FastForward,
    /// The branch has it all already.
    UpToDate,
}

impl MergeOutcome {
    /// A stable word for programs.
    pub fn code(self) -> &'static str {
        match self {
            MergeOutcome::Merged => "merged",
            MergeOutcome::FastForward => "fast-forward",
            MergeOutcome::UpToDate => "up-to-date",
        }
    }
}

/// A session that was merged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MergedSession {
    /// Its name.
    pub name: String,
    /// Its branch.
    pub branch: String,
    /// The branch that has it now.
    pub into: String,
    /// How.
    pub outcome: MergeOutcome,
    /// Where that branch stands.
    pub commit: String,
    /// Where it stood before.
    pub before: String,
    /// The last commit of the session.
    pub tip: String,
    /// The commit of what was not committed.
    pub committed: Option<String>,
}

/// What one merge works with.
struct Target {
    into: String,
    /// The worktree that has the branch.
    tree: Option<Worktree>,
    git: Git,
}

impl Sessions {
    /// Merges a session's branch.
    pub fn merge(&self, name: &str, options: &MergeOptions) -> Result<MergedSession> {
        name::check(name)?;
        let Some(_busy) = self.records.try_lock_session(name)? else {
            return Err(Error::Busy { name: name.to_owned() });
        };
        let branch = name::branch(name);
        let committed = self.settle(name, options)?;
        let target = self.target(&branch, options)?;
        let git = &target.git;
        for _ in 0..TRIES {
            let Some(theirs) = self.repo.tip(&branch)? else {
                return Err(Error::Incomplete { name: name.to_owned(), what: format!("its branch {branch} is gone") });
            };
            let Some(ours) = self.repo.tip(&target.into)? else {
                return Err(Error::BadTarget { branch: target.into, why: "there is no such branch" });
            };
            let done = |outcome, commit| MergedSession {
                name: name.to_owned(),
                branch: branch.clone(),
                into: target.into.clone(),
                outcome,
                commit,
                before: ours.clone(),
                tip: theirs.clone(),
                committed: committed.clone(),
            };
            if self.repo.is_ancestor(&theirs, &ours)? {
                return Ok(done(MergeOutcome::UpToDate, ours.clone()));
            }
            let (outcome, new) = if options.message.is_none() && self.repo.is_ancestor(&ours, &theirs)? {
                (MergeOutcome::FastForward, theirs.clone())
            } else {
                match merge_trees(git, &ours, &theirs)? {
                    Ok(tree) => (MergeOutcome::Merged, self.commit(git, name, options, [&tree, &ours, &theirs])?),
                    Err(files) => {
                        let folder = self.place.folder_of(name);
                        let into = target.into.clone();
                        let unmerged = Unmerged { name: name.to_owned(), branch, into, files, left_in: None, folder };
                        return Err(self.leave(&target, options, unmerged));
                    }
                }
            };
            if self.publish(&target, &ours, &new, name)? {
                return Ok(done(outcome, new));
            }
        }
        Err(Error::Overtaken { branch: target.into })
    }

    /// What is not committed is committed, or in the way.
    fn settle(&self, name: &str, options: &MergeOptions) -> Result<Option<String>> {
        let record = self.records.read(name)?;
        match record.as_ref().map(|record| record.stage) {
            Some(Stage::Starting) => {
                return Err(Error::Incomplete { name: name.to_owned(), what: "its start was interrupted".to_owned() });
            }
            Some(Stage::Removing) => return Err(Error::HalfRemoved { name: name.to_owned() }),
            _ => {}
        }
        let tree = self.tree_of(name)?;
        if tree.is_none() && record.is_none() {
            return Err(Error::NoSuchSession { name: name.to_owned() });
        }
        // Without a folder there is nothing but the branch.
        let Some(tree) = tree.filter(|tree| !tree.is_prunable) else { return Ok(None) };
        let full = format!("refs/heads/{}", name::branch(name));
        if tree.branch.as_deref() != Some(&full) {
            let branch =
                tree.branch.map(|branch| branch.strip_prefix("refs/heads/").map_or(branch.clone(), str::to_owned));
            return Err(Error::Switched { name: name.to_owned(), folder: tree.path, branch });
        }
        let git = self.git().at(&tree.path).limit(CHECKOUT).setting(FSYNC);
        if let Some(what) = repo::in_progress(&git, &repo::own_dir(&git)?) {
            return Err(Error::InProgress { folder: tree.path, what });
        }
        let status = without_included(&git, status::status(&git)?, record.as_ref());
        let mut files = status.changed();
        files.extend(status.missing.iter().chain(&status.untracked).chain(&status.nested).cloned());
        files.sort();
        files.dedup();
        let included = record.as_ref().map(|record| &record.included[..]).unwrap_or_default();
        files.retain(|path| !included.iter().any(|file| file.path == *path));
        if files.is_empty() {
            return Ok(None);
        }
        let (Some(message), true) = (&options.commit, status.nested.is_empty()) else {
            return Err(Error::Uncommitted { name: name.to_owned(), folder: tree.path, files: files.len() });
        };
        add_all(&git, record.as_ref())?;
        git.ask_with(["commit", "--quiet", "-F", "-"], format!("{message}\n").as_bytes())?;
        git.word(["rev-parse", "HEAD"])
    }

    fn target(&self, branch: &str, options: &MergeOptions) -> Result<Target> {
        let current = || self.git().word(["symbolic-ref", "--quiet", "--short", "HEAD"]);
        let into = match &options.into {
            Some(into) => into.clone(),
            None => current()?.ok_or_else(|| Error::BadTarget {
                branch: "HEAD".to_owned(),
                why: "no branch is checked out in the main working tree",
            })?,
        };
        let bad = |why| Err(Error::BadTarget { branch: into.clone(), why });
        if into == branch {
            return bad("it is the session's own branch");
        }
        if into.starts_with('-') || self.repo.tip(&into)?.is_none() {
            return bad("there is no such branch");
        }
        let full = format!("refs/heads/{into}");
        let tree =
            self.repo.worktrees()?.into_iter().find(|tree| tree.branch.as_deref() == Some(&full) && !tree.is_prunable);
        let dir = tree.as_ref().map_or(&self.repo.main, |tree| &tree.path);
        let mut git = self.git().at(dir).lazy_fetch().limit(CHECKOUT).setting(FSYNC);
        if let Some(tree) = &tree
            && let Some(what) = repo::in_progress(&git, &repo::own_dir(&git)?)
        {
            return Err(Error::InProgress { folder: tree.path.clone(), what });
        }
        if let Some(driver) = &options.driver {
            // What the user has set up counts more.
            if git.word(["config", "--get", "merge.filelatch.driver"])?.is_none() {
                git = git.setting(format!("merge.filelatch.driver={driver}"));
            }
            if git.word(["config", "--get", "merge.default"])?.is_none() {
                git = git.setting("merge.default=filelatch");
            }
        }
        Ok(Target { into, tree, git })
    }

    fn commit(&self, git: &Git, name: &str, options: &MergeOptions, [tree, ours, theirs]: [&str; 3]) -> Result<String> {
        let message = options.message.clone().unwrap_or_else(|| format!("Merge session {name}"));
        let mut words = vec!["commit-tree", tree, "-p", ours, "-p", theirs, "-F", "-"];
        if self.git().word(["config", "--type=bool", "--get", "commit.gpgSign"])?.as_deref() == Some("true") {
            words.push("-S");
        }
        let told = git.ask_with(words, format!("{message}\n").as_bytes())?;
        Ok(String::from_utf8_lossy(told.line()).into_owned())
    }

    /// False: the branch is not where it was.
    fn publish(&self, target: &Target, old: &str, new: &str, name: &str) -> Result<bool> {
        // git moves files and index first and the branch after: two at once would leave the files of one with the branch of the other.
        let _guard = self.records.lock_merge()?;
        if self.repo.tip(&target.into)?.as_deref() != Some(old) {
            return Ok(false);
        }
        let (told, folder) = if let Some(tree) = &target.tree {
            // The branch that is checked out there may be another by now.
            let head = target.git.word(["symbolic-ref", "--quiet", "--short", "HEAD"])?;
            if head.as_deref() != Some(&target.into) {
                return Err(Error::Overtaken { branch: target.into.clone() });
            }
            (target.git.run(["merge", "--ff-only", "--quiet", "--no-autostash", new])?, tree.path.clone())
        } else {
            let full = format!("refs/heads/{}", target.into);
            let why = format!("filelatch session merge {name}");
            (target.git.run(["update-ref", "-m", &why, &full, new, old])?, self.repo.main.clone())
        };
        let now = self.repo.tip(&target.into)?;
        if now.as_deref() == Some(new) {
            return Ok(true);
        }
        if told.is_ok() || now.as_deref() != Some(old) {
            return Ok(false);
        }
        Err(Error::InTheWay { folder, told: in_the_way(&told) })
    }

    /// Answers the error that says where the conflict is now.
    fn leave(&self, target: &Target, options: &MergeOptions, mut unmerged: Unmerged) -> Error {
        if !options.leave_conflicts {
            return Error::Unmerged(Box::new(unmerged));
        }
        let Some(tree) = &target.tree else {
            return Error::BadTarget {
                branch: unmerged.into,
                why: "it is checked out nowhere, so no conflict can be left there",
            };
        };
        let message = options.message.clone().unwrap_or_else(|| format!("Merge session {}", unmerged.name));
        let words = ["merge", "--no-ff", "--quiet", "--no-autostash", "-m", &message, &unmerged.branch];
        let left = target.git.run(words).and_then(|told| {
            let own = repo::own_dir(&target.git)?;
            Ok((told, self.git().fs.stat(&own.join("MERGE_HEAD")).is_ok()))
        });
        match left {
            Ok((_, true)) => {
                unmerged.left_in = Some(tree.path.clone());
                Error::Unmerged(Box::new(unmerged))
            }
            Ok((told, false)) => Error::InTheWay { folder: tree.path.clone(), told: in_the_way(&told) },
            Err(error) => error,
        }
    }
}

/// The files that git names, else what it says.
fn in_the_way(told: &Told) -> String {
    let files: Vec<_> = told.err.lines().filter_map(|line| line.strip_prefix('\t')).take(10).collect();
    if files.is_empty() { told.reason() } else { files.join(", ") }
}

/// The tree of both, or the files that do not fit together.
fn merge_trees(git: &Git, ours: &str, theirs: &str) -> Result<Result<String, Vec<UnmergedFile>>> {
    let told = git.run(["merge-tree", "--write-tree", "-z", "--messages", ours, theirs])?;
    let tree = told.out.split(|&byte| byte == 0).next().unwrap_or_default();
    let tree = String::from_utf8_lossy(tree).trim().to_owned();
    let is_id = matches!(tree.len(), 40 | 64) && tree.bytes().all(|byte| byte.is_ascii_hexdigit());
    match told.code {
        Some(0) if is_id => Ok(Ok(tree)),
        Some(1) if is_id => {
            let mut files = conflicts(&told.out);
            for file in files.iter_mut().take(SHOWN) {
                file.hunks = content(git, &tree, &file.path)?.map(|content| hunks(&content)).unwrap_or_default();
            }
            Ok(Err(files))
        }
        _ if told.err.contains("usage: git merge-tree") => Err(Error::Git {
            action: "git merge-tree".to_owned(),
            told: "git 2.38 or later is needed to merge".to_owned(),
        }),
        _ => Err(Error::Git { action: "git merge-tree".to_owned(), told: told.reason() }),
    }
}

/// The file as it would be, with markers.
fn content(git: &Git, tree: &str, path: &Path) -> Result<Option<Vec<u8>>> {
    let mut object = OsString::from(format!("{tree}:"));
    object.push(path);
    let told = git.run([OsStr::new("cat-file"), "blob".as_ref(), &object])?;
    Ok((told.is_ok() && told.out.len() <= LONGEST).then_some(told.out))
}

/// `git merge-tree -z`: the tree, `MODE ID STAGE\tPATH` of what is not merged, an empty field, then messages: how many paths, the paths, a kind,
/// a text.
fn conflicts(told: &[u8]) -> Vec<UnmergedFile> {
    let mut fields = told.split(|&byte| byte == 0);
    let mut files: Vec<UnmergedFile> = Vec::new();
    let mut add = |path: PathBuf, message: Option<String>| match files.iter_mut().find(|file| file.path == path) {
        Some(file) => {
            if let Some(message) = message.filter(|_| file.message.is_empty()) {
                file.message = message;
            }
        }
        None => files.push(UnmergedFile { path, message: message.unwrap_or_default(), hunks: Vec::new() }),
    };
    for field in fields.by_ref().skip(1).take_while(|field| !field.is_empty()) {
        if let Some(at) = field.iter().position(|&byte| byte == b'\t') {
            add(path_of(&field[at + 1..]), None);
        }
    }
    while let Some(count) = fields.next().and_then(|field| std::str::from_utf8(field).ok()?.parse::<usize>().ok()) {
        let paths: Vec<_> = fields.by_ref().take(count).map(path_of).collect();
        let (Some(kind), Some(text)) = (fields.next(), fields.next()) else { break };
        if kind.starts_with(b"CONFLICT")
            && let Some(path) = paths.into_iter().next()
        {
            add(path, Some(String::from_utf8_lossy(text).trim_end().to_owned()));
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SERVE-6: what git 2.47 answers: one file in two lists, a file of a conflict that is not about lines, messages of other kinds.
    #[test]
    fn parsed() {
        let told = b"6d63\x00100644 75 1\ta b\x00100644 2b 2\ta b\x00100644 71 3\ta b\0\0\
            1\0a b\0Auto-merging\0Auto-merging a b\n\0\
            1\0a b\0CONFLICT (contents)\0CONFLICT (content): Merge conflict in a b\n\0\
            2\0c\0d\0CONFLICT (modify/delete)\0CONFLICT (modify/delete): c deleted\n\0";
        let files = conflicts(told);
        let told: Vec<_> = files.iter().map(|file| (file.path.to_str().unwrap(), file.message.as_str())).collect();
        let expected =
            [("a b", "CONFLICT (content): Merge conflict in a b"), ("c", "CONFLICT (modify/delete): c deleted")];
        assert_eq!(told, expected);
        assert!(conflicts(b"").is_empty() && conflicts(b"6d63\0\x005\0a").is_empty());
    }
}
