//! Locks of other gits: recognised in what git says, and looked at when they do not go.
//!
//! git's lock files carry no record of who made them: nobody but their owner can know whether he lives. So they are only looked at.

use std::path::{Path, PathBuf};
use std::time::Duration;

use filelatch_fs::{Fs, Host};

use crate::reason::{Inside, inside};

/// A lock file of git's that was in the way until the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitLock {
    /// The file.
    pub path: PathBuf,
    /// How long ago it was made; `None`: it is gone by now.
    pub age: Option<Duration>,
    /// Programs called git that work in that repository, one of which may hold it; `None` where the system does not tell.
    pub gits: Option<Vec<Inside>>,
}

/// The lock file that git says was in its way.
///
/// - `Unable to create 'PATH.lock': File exists.`, of the index, of HEAD, of a ref, of packed-refs, of shallow
/// - `could not lock config file PATH: File exists`
/// - `failed to read PATH/commondir: Success`: no lock, but a worktree that another git is just adding; it has made that file and not
///   written it yet
pub(crate) fn lock_in_the_way(talk: &str) -> Option<PathBuf> {
    talk.lines().find_map(|line| {
        if let Some((_, rest)) = line.split_once("failed to read ")
            && let Some((path, _)) = rest.split_once("/commondir")
        {
            return Some(PathBuf::from(format!("{path}/commondir")));
        }
        let line = line.trim_end().trim_end_matches('.');
        let before = line.strip_suffix(": File exists")?;
        if let Some((_, name)) = before.split_once("Unable to create '") {
            return Some(PathBuf::from(name.strip_suffix('\'')?)).filter(|path| is_lock(path));
        }
        let (_, name) = before.split_once("could not lock config file ")?;
        Some(PathBuf::from(format!("{name}.lock")))
    })
}

/// Did another git's `worktree prune`, which every collection makes, take away a worktree that was just being added? It looks for `locked` and
/// `gitdir` in the folder that git has made, and removes the folder also if both come in between.
pub(crate) fn is_pruned_meanwhile(talk: &str) -> bool {
    let is_of_one = |line: &str| {
        line.contains("/worktrees/")
            && (line.contains("No such file or directory") || line.contains("not a git repository"))
    };
    talk.lines().any(is_of_one)
}

fn is_lock(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "lock")
}

/// As it is now; `dir` is where git was run.
pub(crate) fn look_at(fs: &dyn Fs, host: &dyn Host, dir: &Path, lock: &Path) -> GitLock {
    let path = dir.join(lock);
    let age =
        fs.stat(&path).ok().map(|stat| host.now().duration_since(stat.mtime.to_system_time()).unwrap_or_default());
    // The folder that holds `.git`, else the one in which git was run.
    let own = path.ancestors().find(|dir| dir.file_name().is_some_and(|name| name == ".git"));
    let top = own.and_then(Path::parent).unwrap_or(dir);
    let gits = inside(host, top).map(|all| {
        let is_git = |one: &Inside| one.program.as_deref().is_some_and(|program| program.starts_with("git"));
        all.into_iter().filter(is_git).collect()
    });
    GitLock { path, age, gits }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SERVE-6: what git says whose new worktree was pruned, and of a folder that was never there.
    #[test]
    fn pruned() {
        for told in [
            "Preparing worktree (new branch 'a')\nfatal: could not open '.git/worktrees/a/gitdir' for writing: No such file or directory\n",
            "could not open '/r/.git/worktrees/a/commondir' for writing: No such file or directory",
            "fatal: not a git repository: /r/.git/worktrees/a",
        ] {
            assert!(is_pruned_meanwhile(told), "{told}");
        }
        for told in [
            "fatal: could not create directory of '/w/.git': No such file or directory",
            "fatal: '/r/.git/worktrees/a' exists",
        ] {
            assert!(!is_pruned_meanwhile(told), "{told}");
        }
    }

    /// SERVE-6, L53: what git 2.47 says when a lock is in its way, and what only looks like it.
    #[test]
    fn recognised() {
        let found = |talk: &str| lock_in_the_way(talk).map(|path| path.to_string_lossy().into_owned());
        let index = "fatal: Unable to create '/r/.git/index.lock': File exists.\n\nAnother git process seems\n";
        assert_eq!(found(index).unwrap(), "/r/.git/index.lock");
        let after = "Preparing worktree (new branch 'q')\n\
                     fatal: cannot lock ref 'refs/heads/q': Unable to create '/r/.git/refs/heads/q.lock': File exists.\n";
        assert_eq!(found(after).unwrap(), "/r/.git/refs/heads/q.lock");
        let quoted = "error: Unable to create '/it's/.git/packed-refs.lock': File exists.\n";
        assert_eq!(found(quoted).unwrap(), "/it's/.git/packed-refs.lock");
        let config = "error: could not lock config file .git/config: File exists\n";
        assert_eq!(found(config).unwrap(), ".git/config.lock");
        let adding = "fatal: failed to read .git/worktrees/s11/commondir: Success\nfatal: failed to run repack\n";
        assert_eq!(found(adding).unwrap(), ".git/worktrees/s11/commondir");
        for other in [
            "fatal: cannot lock ref 'refs/heads/a': 'refs/heads/a/b' exists; cannot create 'refs/heads/a'",
            "fatal: cannot lock ref 'refs/heads/a': is at 1 but expected 2",
            "fatal: Unable to create '/r/.git/index.lock': Permission denied",
            "fatal: Unable to create '/r/folder': File exists.",
            "",
        ] {
            assert_eq!(found(other), None, "{other}");
        }
    }
}
