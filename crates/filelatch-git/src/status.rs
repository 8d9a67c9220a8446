//! What is in a worktree that is not committed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use filelatch_fs::FileKind;

use crate::changes::{ChangedFile, FileFate};
use crate::error::Result;
use crate::git::{Git, path_of};
use crate::include;
use crate::repo;

/// Paths are relative to the top of the worktree. One file can be in several lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// The index differs from HEAD.
    pub(crate) staged: Vec<PathBuf>,
    /// The file differs from the index.
    pub(crate) modified: Vec<PathBuf>,
    /// The file is gone, and nothing else is the matter with it.
    pub(crate) missing: Vec<PathBuf>,
    /// Not merged yet.
    pub(crate) unmerged: Vec<PathBuf>,
    /// Not known to git, not ignored.
    pub(crate) untracked: Vec<PathBuf>,
    /// Folders not known to git that are repositories of their own.
    pub(crate) nested: Vec<PathBuf>,
}

impl Status {
    /// Tracked files whose content or staging is not committed; files that are only gone are not among them.
    pub(crate) fn changed(&self) -> Vec<PathBuf> {
        let mut all: Vec<_> = [&self.staged, &self.modified, &self.unmerged].into_iter().flatten().cloned().collect();
        all.sort();
        all.dedup();
        all
    }
}

/// Whatever the configuration says: all untracked files, all submodules. Takes no lock, writes no index.
pub(crate) fn status(git: &Git) -> Result<Status> {
    let words = ["status", "--porcelain=v2", "-z", "--untracked-files=all", "--ignore-submodules=none", "--no-renames"];
    let mut status = parse(&git.ask(words)?.out);
    status.modified.extend(hidden(git)?);
    status.modified.sort();
    status.modified.dedup();
    Ok(status)
}

/// `git status --porcelain=v2 -z`.
fn parse(told: &[u8]) -> Status {
    let mut status = Status::default();
    for line in told.split(|&byte| byte == 0) {
        let (kind, rest) = line.split_at(line.len().min(2));
        // `XY SUB MODE… ID… PATH`: so many words before the path.
        let words = match kind {
            b"1 " => 7,
            b"u " => 9,
            b"? " => {
                match rest.strip_suffix(b"/") {
                    Some(folder) => status.nested.push(path_of(folder)),
                    None => status.untracked.push(path_of(rest)),
                }
                continue;
            }
            _ => continue,
        };
        let Some(path) = rest.splitn(words + 1, |&byte| byte == b' ').nth(words).map(path_of) else { continue };
        match (kind, rest.first(), rest.get(1)) {
            (b"u ", ..) => status.unmerged.push(path),
            (_, Some(b'.'), Some(b'D')) => status.missing.push(path),
            (_, staged, modified) => {
                if staged != Some(&b'.') {
                    status.staged.push(path.clone());
                }
                if modified != Some(&b'.') {
                    status.modified.push(path);
                }
            }
        }
    }
    status
}

/// What became of each file since the last commit, by path. Times are not looked at.
pub(crate) fn against_last_commit(git: &Git) -> Result<Vec<ChangedFile>> {
    let words = ["status", "--porcelain=v2", "-z", "--untracked-files=all", "--ignore-submodules=none", "--no-renames"];
    let mut files = parse_fates(&git.ask(words)?.out);
    let listed: BTreeSet<_> = files.iter().map(|file| file.path.clone()).collect();
    let hidden = hidden(git)?.into_iter().filter(|path| !listed.contains(path));
    files.extend(hidden.map(|path| changed(path, FileFate::Changed, None)));
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn changed(path: PathBuf, fate: FileFate, before: Option<String>) -> ChangedFile {
    ChangedFile { path, fate, at: SystemTime::UNIX_EPOCH, before, after: None }
}

/// `git status --porcelain=v2 -z`, as it is against HEAD.
fn parse_fates(told: &[u8]) -> Vec<ChangedFile> {
    let mut files = Vec::new();
    for line in told.split(|&byte| byte == 0) {
        let (kind, rest) = line.split_at(line.len().min(2));
        let words: Vec<_> = match kind {
            // `XY SUB MODE-HEAD MODE-INDEX MODE-FILE ID-HEAD ID-INDEX PATH`
            b"1 " => rest.splitn(8, |&byte| byte == b' ').collect(),
            // `XY SUB MODE MODE MODE MODE-FILE ID ID ID PATH`
            b"u " => rest.splitn(10, |&byte| byte == b' ').collect(),
            b"? " => {
                let path = rest.strip_suffix(b"/").unwrap_or(rest);
                files.push(changed(path_of(path), FileFate::Created, None));
                continue;
            }
            _ => continue,
        };
        match words[..] {
            [_, _, b"000000", _, b"000000", _, _, _] => {}
            [_, _, b"000000", _, _, _, _, path] => files.push(changed(path_of(path), FileFate::Created, None)),
            [_, _, _, _, file, id, _, path] => {
                let fate = if file == b"000000" { FileFate::Deleted } else { FileFate::Changed };
                files.push(changed(path_of(path), fate, Some(String::from_utf8_lossy(id).into_owned())));
            }
            [_, _, _, _, _, file, _, _, _, path] => {
                let fate = if file == b"000000" { FileFate::Deleted } else { FileFate::Changed };
                files.push(changed(path_of(path), fate, None));
            }
            _ => {}
        }
    }
    files
}

/// Files that differ although git was told not to look at them (`git update-index --assume-unchanged`, `--skip-worktree`).
fn hidden(git: &Git) -> Result<Vec<PathBuf>> {
    let listed = git.ask(["ls-files", "-v", "-s", "-z"])?;
    let mut flagged = Vec::new();
    for line in listed.out.split(|&byte| byte == 0) {
        // `TAG MODE ID STAGE\tPATH`
        let Some(at) = line.iter().position(|&byte| byte == b'\t') else { continue };
        let words: Vec<_> = line[..at].split(|&byte| byte == b' ').collect();
        let (&[tag, _, id, _], path) = (&words[..], &line[at + 1..]) else { continue };
        if tag.first().is_some_and(|tag| tag.is_ascii_lowercase() || *tag == b'S') {
            flagged.push((path_of(path), String::from_utf8_lossy(id).into_owned()));
        }
    }
    flagged.retain(|(path, _)| git.fs.stat(&git.dir().join(path)).is_ok_and(|stat| stat.kind == FileKind::File));
    let mut differing = Vec::new();
    for (path, id) in flagged {
        let now = git.ask([OsStr::new("hash-object"), OsStr::new("--"), path.as_os_str()])?;
        if now.line() != id.as_bytes() {
            differing.push(path);
        }
    }
    Ok(differing)
}

/// An index of our own, so that the user's is not touched. Its name is used once: a git that is killed leaves its lock.
pub(crate) struct OwnIndex {
    pub(crate) git: Git,
    pub(crate) name: String,
    dir: PathBuf,
}

impl OwnIndex {
    /// Of what HEAD has; `git` is in the worktree.
    pub(crate) fn of_head(git: &Git) -> Result<OwnIndex> {
        let own = OwnIndex::empty(git)?;
        own.git.ask(["read-tree", "HEAD"])?;
        Ok(own)
    }

    pub(crate) fn empty(git: &Git) -> Result<OwnIndex> {
        let dir = repo::own_dir(git)?;
        let name = format!("filelatch-index-{:016x}", git.host.random());
        let own = git.clone().env("GIT_INDEX_FILE", dir.join(&name));
        Ok(OwnIndex { git: own, name, dir })
    }
}

impl Drop for OwnIndex {
    fn drop(&mut self) {
        self.git.fs.open_dir(&self.dir).and_then(|dir| dir.remove(self.name.as_ref())).ok();
    }
}

/// Files that are neither as HEAD has them nor gone, whatever the index says or whether there is one.
pub(crate) fn against_head(git: &Git) -> Result<Vec<PathBuf>> {
    let own = OwnIndex::of_head(git)?;
    let found = status(&own.git)?;
    let mut all = found.changed();
    all.extend(found.untracked);
    all.extend(found.nested);
    Ok(all)
}

/// Of these files those that are not as they were when they were included.
pub(crate) fn changed_since(git: &Git, folder: &Path, included: &[crate::record::Included]) -> Vec<PathBuf> {
    let now = |path: &Path| include::hash_at(&*git.fs, folder, path);
    let there = |path: &Path| git.fs.stat(&folder.join(path)).is_ok();
    let changed = included.iter().filter(|file| there(&file.path) && now(&file.path).as_ref() != Some(&file.hash));
    changed.map(|file| file.path.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SERVE-6: blanks and bytes that are no text in names; staged, modified, both, gone, unmerged, nested.
    #[test]
    fn parsed() {
        let told = b"# branch.oid 1\0\
            1 M. N... 100644 100644 100644 1 2 a b\0\
            1 .M N... 100644 100644 100644 1 2 c\0\
            1 AM N... 000000 100644 100644 0 2 d\0\
            1 .D N... 100644 100644 000000 1 2 e\0\
            1 D. N... 100644 000000 000000 1 0 f\0\
            u UU N... 100644 100644 100644 100644 1 2 3 g h\0\
            ? i j\0? repo/\0";
        let status = parse(told);
        let names = |paths: &[PathBuf]| paths.iter().map(|p| p.to_str().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&status.staged), ["a b", "d", "f"]);
        assert_eq!(names(&status.modified), ["c", "d"]);
        assert_eq!(names(&status.missing), ["e"]);
        assert_eq!(names(&status.unmerged), ["g h"]);
        assert_eq!(names(&status.untracked), ["i j"]);
        assert_eq!(names(&status.nested), ["repo"]);
        assert_eq!(names(&status.changed()), ["a b", "c", "d", "f", "g h"]);
        assert_eq!(parse(b""), Status::default());
    }

    /// STORE-5: what became of each file since the last commit: staged or not, added and removed again, not merged, not known.
    #[test]
    fn fates() {
        use FileFate::{Changed, Created, Deleted};
        let told = b"# branch.oid 1\0\
            1 M. N... 100644 100644 100644 a1 a2 a b\0\
            1 A. N... 000000 100644 100644 00 2 new\0\
            1 AD N... 000000 100644 000000 00 2 fleeting\0\
            1 .D N... 100644 100644 000000 c1 c1 gone\0\
            1 D. N... 100644 000000 000000 d1 00 staged\0\
            u UU N... 100644 100644 100644 100644 1 2 3 both\0\
            u DU N... 100644 000000 100644 000000 1 2 3 half gone\0\
            ? e f\0? repo/\0";
        let told = parse_fates(told);
        let told: Vec<_> =
            told.iter().map(|file| (file.path.to_str().unwrap(), file.fate, file.before.as_deref())).collect();
        let expected = [
            ("a b", Changed, Some("a1")),
            ("new", Created, None),
            ("gone", Deleted, Some("c1")),
            ("staged", Deleted, Some("d1")),
            ("both", Changed, None),
            ("half gone", Deleted, None),
            ("e f", Created, None),
            ("repo", Created, None),
        ];
        assert_eq!(told, expected);
    }
}
