//! The repository that a folder is in, and its worktrees.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::git::{Git, path_of};

/// A repository with a working tree.
#[derive(Clone, Debug)]
pub(crate) struct Repo {
    /// In the folder that was asked about.
    pub(crate) here: Git,
    /// In the main working tree.
    pub(crate) git: Git,
    /// What all worktrees share: `.git` of the main working tree.
    pub(crate) common: PathBuf,
    /// The top of the main working tree.
    pub(crate) main: PathBuf,
}

/// A worktree, as git lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Worktree {
    pub(crate) path: PathBuf,
    pub(crate) head: String,
    /// `refs/heads/…`; `None`: detached.
    pub(crate) branch: Option<String>,
    pub(crate) is_bare: bool,
    /// With the reason.
    pub(crate) locked: Option<String>,
    /// Its folder is gone.
    pub(crate) is_prunable: bool,
}

impl Repo {
    pub(crate) fn open(here: Git) -> Result<Repo> {
        let dir = here.dir().to_owned();
        let told = here.run(["rev-parse", "--path-format=absolute", "--git-common-dir"])?;
        if !told.is_ok() {
            return Err(Error::NoRepository { dir, told: told.reason() });
        }
        let common = path_of(told.line());
        let common = plain(here.fs.canonicalize(&common).map_err(Error::io("find", &common))?);
        let first = worktrees(&here)?.into_iter().next().ok_or(Error::Answer { action: "git worktree list" })?;
        if first.is_bare {
            return Err(Error::Bare { repository: common });
        }
        // Of a submodule git tells where its repository lies, not where its files are.
        let main = if here.fs.stat(&first.path.join(".git")).is_ok() {
            first.path
        } else {
            path_of(here.ask(["rev-parse", "--path-format=absolute", "--show-toplevel"])?.line())
        };
        let main = plain(here.fs.canonicalize(&main).map_err(Error::io("find", &main))?);
        Ok(Repo { git: here.at(&main), here, common, main })
    }

    pub(crate) fn worktrees(&self) -> Result<Vec<Worktree>> {
        worktrees(&self.git)
    }

    /// The commit that a branch stands at.
    pub(crate) fn tip(&self, branch: &str) -> Result<Option<String>> {
        self.git.word(["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("refs/heads/{branch}")])
    }

    /// Is one commit among those that another has?
    pub(crate) fn is_ancestor(&self, old: &str, new: &str) -> Result<bool> {
        let told = self.git.run(["merge-base", "--is-ancestor", old, new])?;
        match told.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(Error::Git { action: "git merge-base".to_owned(), told: told.reason() }),
        }
    }
}

/// A path as git writes it: on Windows without the prefix `\\?\` of canonical ones.
pub(crate) fn plain(path: PathBuf) -> PathBuf {
    let short = path.to_str().filter(|_| cfg!(windows)).and_then(|text| text.strip_prefix(r"\\?\"));
    match short {
        Some(text) if !text.starts_with("UNC") => PathBuf::from(text),
        _ => path,
    }
}

fn worktrees(git: &Git) -> Result<Vec<Worktree>> {
    Ok(parse(&git.ask(["worktree", "list", "--porcelain", "-z"])?.out))
}

/// `git worktree list --porcelain -z`: lines that end in NUL, an empty one after each worktree.
fn parse(listed: &[u8]) -> Vec<Worktree> {
    let mut all = Vec::new();
    for line in listed.split(|&byte| byte == 0) {
        let mut words = line.splitn(2, |&byte| byte == b' ');
        let (key, value) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if key == b"worktree" {
            all.push(Worktree { path: path_of(value), ..Worktree::default() });
            continue;
        }
        let Some(last) = all.last_mut() else { continue };
        let text = String::from_utf8_lossy(value).into_owned();
        match key {
            b"HEAD" => last.head = text,
            b"branch" => last.branch = Some(text),
            b"bare" => last.is_bare = true,
            b"locked" => last.locked = Some(text),
            b"prunable" => last.is_prunable = true,
            _ => {}
        }
    }
    all
}

/// The folder in which git keeps what belongs to one worktree alone.
pub(crate) fn own_dir(git: &Git) -> Result<PathBuf> {
    Ok(path_of(git.ask(["rev-parse", "--absolute-git-dir"])?.line()))
}

/// What has been begun in a worktree and is not finished; `own` is its folder of git's.
pub(crate) fn in_progress(git: &Git, own: &Path) -> Option<&'static str> {
    let signs = [
        ("rebase-merge", "rebase"),
        ("rebase-apply", "rebase"),
        ("MERGE_HEAD", "merge"),
        ("CHERRY_PICK_HEAD", "cherry-pick"),
        ("REVERT_HEAD", "revert"),
        ("BISECT_LOG", "bisect"),
    ];
    signs.into_iter().find(|(name, _)| git.fs.stat(&own.join(name)).is_ok()).map(|(_, what)| what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SERVE-6: paths with line ends in them, locked, detached, gone.
    #[test]
    fn listed() {
        let text = b"worktree /a\nb\0HEAD 12\0branch refs/heads/main\0\0\
                     worktree /c d\0HEAD 34\0detached\0locked on a stick\0prunable gone\0\0worktree /e\0bare\0\0";
        let all = parse(text);
        assert_eq!(all.len(), 3);
        assert_eq!((all[0].path.to_str(), all[0].branch.as_deref()), (Some("/a\nb"), Some("refs/heads/main")));
        assert_eq!((all[1].locked.as_deref(), all[1].is_prunable, &all[1].branch), (Some("on a stick"), true, &None));
        assert!(all[2].is_bare && !all[0].is_bare);
    }
}
