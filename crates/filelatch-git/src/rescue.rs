//! Keeping all of a session in a ref, before it is removed.
//!
//! # Promise
//! The commit that `refs/filelatch/rescue/NAME-TIME` names has the files as they were, tracked or not, but for ignored ones; its parents are HEAD, the
//! session's branch where that is elsewhere, what was staged (if that is something else again), and what was being merged. The user's index
//! is not touched, no hook runs. Files that were included are never in it: those that were changed are copied beside it, into
//! `filelatch/rescue/NAME-TIME` in the folder that all worktrees share.
//!
//! # Order of operations
//! Objects → ref (which must not exist) → included files; the caller makes all of it durable before anything is deleted.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use filelatch_fs::Access;
use filelatch_fs::fs::{read_to_end, write_all_at};

use crate::durable::FSYNC;
use crate::error::{Error, Result};
use crate::git::{Git, path_of};
use crate::include;
use crate::record::Record;
use crate::repo;
use crate::sessions::Sessions;
use crate::status::OwnIndex;

const REFS: &str = "refs/filelatch/rescue/";
/// Rescues of one session within a second.
const TRIES: u32 = 100;
/// An index that is longer is none.
const LONGEST_INDEX: u64 = 1 << 30;

/// Where everything is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rescue {
    /// `refs/filelatch/rescue/NAME-TIME`.
    pub reference: String,
    /// What it names.
    pub commit: String,
    /// It has files that were not committed, in the commit that it names; else it names what was HEAD.
    pub has_changes: bool,
    /// Where changed files that had been included are; `None`: there were none.
    pub files: Option<PathBuf>,
}

impl Rescue {
    /// The command that brings it back as a branch of this name.
    pub fn command(&self, branch: &str) -> String {
        format!("git switch -c {branch} {}", self.reference)
    }
}

/// What is to be kept.
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a str,
    pub(crate) record: Option<&'a Record>,
    /// `None`: the folder is gone.
    pub(crate) folder: Option<&'a Path>,
    /// HEAD and the branch.
    pub(crate) tips: Vec<String>,
    /// Files are not as they are committed.
    pub(crate) is_dirty: bool,
    /// Included files that were changed.
    pub(crate) included: Vec<PathBuf>,
}

impl Sessions {
    /// Answers the tree of the files, too, if there is one.
    pub(crate) fn rescue(&self, wanted: &Wanted<'_>) -> Result<(Rescue, Option<String>)> {
        let git = identified(self.git().clone().setting(FSYNC))?;
        let mut parents = wanted.tips.clone();
        let mut tree = None;
        if let (Some(folder), true) = (wanted.folder, wanted.is_dirty) {
            let git = git.at(folder);
            tree = Some(tree_of_files(&git, wanted)?);
            parents.extend(staged(&git, wanted.name, tree.as_deref())?);
            for begun in ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD"] {
                parents.extend(git.word(["rev-parse", "--verify", "--quiet", begun])?);
            }
        }
        let parents = self.independent(parents, tree.is_some())?;
        let commit = match (&tree, &parents[..]) {
            (None, [only]) => only.clone(),
            (None, [first, ..]) => {
                let both = format!("{first}^{{tree}}");
                commit(&git, &both, &parents, &format!("filelatch: tips of the session {}", wanted.name))?
            }
            (Some(tree), _) => commit(
                &git,
                tree,
                &parents,
                &format!("filelatch: what was not committed in the session {}", wanted.name),
            )?,
            (None, []) => return Err(Error::Answer { action: "git rev-parse HEAD" }),
        };
        let (reference, key) = name_rescue(&git, wanted.name, &commit)?;
        let files = self.keep_files(&key, wanted)?;
        Ok((Rescue { reference, commit, has_changes: tree.is_some(), files }, tree))
    }

    /// Without those that others have. `first` says that the first one stays: the files were made from it.
    fn independent(&self, mut all: Vec<String>, first: bool) -> Result<Vec<String>> {
        let mut at = usize::from(first);
        while at < all.len() {
            let (one, mut others) = (all[at].clone(), all.iter().enumerate().filter(|(other, _)| *other != at));
            if others.try_fold(false, |has, (_, other)| Ok::<_, Error>(has || self.repo.is_ancestor(&one, other)?))? {
                all.remove(at);
            } else {
                at += 1;
            }
        }
        Ok(all)
    }

    fn keep_files(&self, key: &str, wanted: &Wanted<'_>) -> Result<Option<PathBuf>> {
        let (Some(folder), false) = (wanted.folder, wanted.included.is_empty()) else { return Ok(None) };
        let fs = &*self.git().fs;
        let mut to = self.repo.common.clone();
        for (part, mode) in [("filelatch", 0o777), ("rescue", 0o700), (key, 0o700)] {
            let dir = fs.open_dir(&to).map_err(Error::io("open", &to))?;
            match dir.create_dir(part.as_ref(), mode) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::io("create", to.join(part))(e));
                }
                _ => dir.sync().map_err(Error::io("sync", &to))?,
            }
            to.push(part);
        }
        include::keep(fs, folder, &to, &wanted.included)?;
        Ok(Some(to))
    }
}

/// The files of a session as a tree of git's: tracked and untracked ones, not ignored ones, not those that were included.
pub(crate) fn tree_of_files(git: &Git, wanted: &Wanted<'_>) -> Result<String> {
    let own = OwnIndex::of_head(git)?;
    add_all(&own.git.clone().setting("core.safecrlf=false"), wanted.record)?;
    let tree = own.git.ask(["write-tree"])?;
    Ok(String::from_utf8_lossy(tree.line()).into_owned())
}

fn name_rescue(git: &Git, name: &str, commit: &str) -> Result<(String, String)> {
    let now = jiff::Timestamp::try_from(git.host.now()).unwrap_or_default();
    let time = now.strftime("%Y%m%dT%H%M%SZ");
    for n in 1..=TRIES {
        let key = if n == 1 { format!("{name}-{time}") } else { format!("{name}-{time}-{n}") };
        let reference = format!("{REFS}{key}");
        // An empty old value: it must not exist.
        let told = git.run(["update-ref", "-m", "filelatch session remove", &reference, commit, ""])?;
        if told.is_ok() {
            return Ok((reference, key));
        }
        if git.word(["rev-parse", "--verify", "--quiet", &reference])?.is_none() {
            return Err(Error::Git { action: "git update-ref".to_owned(), told: told.reason() });
        }
    }
    Err(Error::Overtaken { branch: format!("{REFS}{name}-{time}") })
}

/// Adds all that is not ignored, but for what was included, to the index of `git`.
pub(crate) fn add_all(git: &Git, record: Option<&Record>) -> Result<()> {
    let mut words: Vec<OsString> = ["add", "--all", "--", "."].map(OsString::from).into();
    let included = record.map(|record| &record.included[..]).unwrap_or_default();
    if !included.is_empty() {
        // To leave out what is ignored anyway would be an error to git.
        let listed = git.ask(["ls-files", "--others", "--exclude-standard", "-z"])?;
        let others: HashSet<_> = listed.out.split(|&byte| byte == 0).map(path_of).collect();
        for file in included.iter().filter(|file| others.contains(&file.path)) {
            let mut spec = OsString::from(":(top,literal,exclude)");
            spec.push(&file.path);
            words.push(spec);
        }
    }
    git.ask(words).map(drop)
}

/// Commits need somebody who made them; where nobody is configured it is filelatch.
fn identified(git: Git) -> Result<Git> {
    if git.run(["var", "GIT_COMMITTER_IDENT"])?.is_ok() && git.run(["var", "GIT_AUTHOR_IDENT"])?.is_ok() {
        return Ok(git);
    }
    Ok(git.setting("user.name=filelatch").setting("user.email=filelatch@localhost"))
}

fn commit(git: &Git, tree: &str, parents: &[String], message: &str) -> Result<String> {
    let mut words = vec!["commit-tree", tree];
    words.extend(parents.iter().flat_map(|parent| ["-p", parent.as_str()]));
    let told = git.ask_with(words.into_iter().chain(["-F", "-"]), format!("{message}\n").as_bytes())?;
    Ok(String::from_utf8_lossy(told.line()).into_owned())
}

/// A commit of what is staged, when that is neither what is committed nor what the files are. In the middle of a merge there is no such tree.
fn staged(git: &Git, name: &str, files: Option<&str>) -> Result<Option<String>> {
    let own = repo::own_dir(git)?;
    let dir = git.fs.open_dir(&own).map_err(Error::io("open", &own))?;
    let index = match dir.open("index".as_ref(), Access::Read) {
        Ok(index) => read_to_end(&*index, LONGEST_INDEX).map_err(Error::io("read", own.join("index")))?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("open", own.join("index"))(e)),
    };
    // git would lock the user's index to write a tree of it.
    let copy = OwnIndex::empty(git)?;
    let made = dir.create_new(copy.name.as_ref(), 0o600).map_err(Error::io("create", &own))?;
    write_all_at(&*made, &index, 0).map_err(Error::io("write", &own))?;
    let told = copy.git.run(["write-tree"])?;
    if !told.is_ok() {
        return Ok(None);
    }
    let tree = String::from_utf8_lossy(told.line()).into_owned();
    let head = git.word(["rev-parse", "HEAD^{tree}"])?;
    if head.as_ref() == Some(&tree) || files == Some(&tree) {
        return Ok(None);
    }
    commit(git, &tree, &["HEAD".to_owned()], &format!("filelatch: what was staged in the session {name}")).map(Some)
}
