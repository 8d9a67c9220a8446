//! What a session has changed: by its commits, and by what is not committed.
//!
//! # Promise
//! - Told are the commits of the session itself: those on its branch since it began, by first parents, without merges. So what others have
//!   done and the session has merged is not the session's.
//! - One change for each file: its time is that of the newest commit that changed it, the versions are those before the oldest and after the
//!   newest. A file that is as it was is none. The same commits give the same answer.
//!
//! # Non-promise
//! - A merge commit's own changes (how conflicts were resolved) are not told.
//! - Renames are a file that goes and one that comes.
//! - A session that was moved onto other commits (`git rebase`) and merged by other means than these has what it was moved onto in its
//!   list, too: nobody has noted where it ended.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::git::path_of;
use crate::name;
use crate::record::Record;
use crate::sessions::Sessions;
use crate::status;

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFate {
    /// It had not been there.
    Created,
    /// It has another content.
    Changed,
    /// It is not there any more.
    Deleted,
}

/// A file that a session has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangedFile {
    /// Relative to the folder of the workspace ([`Sessions::workspace`]).
    pub path: PathBuf,
    /// What became of it.
    pub fate: FileFate,
    /// When.
    pub at: SystemTime,
    /// The id of the blob before.
    pub before: Option<String>,
    /// The id of the blob after it; `None` also where nothing is committed.
    pub after: Option<String>,
}

/// Between which commits to look.
#[derive(Clone, Debug, Default)]
pub struct ChangesOptions {
    /// What is known already: the commit up to which it was looked before. One that is not there any more does not count.
    pub since: Option<String>,
    /// Up to this commit, if it is there; else up to the session's branch.
    pub until: Option<String>,
    /// Not what this commit has: where the branch stood that the session was merged into ([`MergedSession::before`](crate::MergedSession)).
    /// Else the session's base, as long as that has not all of the session.
    pub not: Option<String>,
}

/// What a session has committed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommittedChanges {
    /// The commit up to which it was looked.
    pub tip: String,
    /// By path.
    pub files: Vec<ChangedFile>,
}

/// One file on the way from the newest to the oldest commit.
struct Run {
    at: SystemTime,
    before: Option<String>,
    after: Option<String>,
}

impl Sessions {
    /// The folder of the workspace that the sessions belong to.
    pub fn workspace(&self) -> &Path {
        self.place.root()
    }

    /// What a session has committed. `None`: it has no branch (any more).
    ///
    /// # Errors
    /// Those of git.
    pub fn changes(&self, name: &str, options: &ChangesOptions) -> Result<Option<CommittedChanges>> {
        name::check(name)?;
        let until = match &options.until {
            Some(until) => self.commit_of(until)?,
            None => None,
        };
        let Some(tip) = (match until {
            Some(until) => Some(until),
            None => self.repo.tip(&name::branch(name))?,
        }) else {
            return Ok(None);
        };
        let record = self.records.read(name)?;
        let mut words: Vec<String> =
            ["log", "-z", "--raw", "--no-abbrev", "--no-renames", "--no-ext-diff", "--first-parent", "--no-merges"]
                .map(str::to_owned)
                .to_vec();
        words.extend(["--ignore-submodules=none".to_owned(), "--format=tformat:%H %ct".to_owned(), tip.clone()]);
        let base = record.as_ref().map(|record| record.base_commit.clone());
        for known in [options.since.clone(), base].into_iter().flatten() {
            words.extend(self.commit_of(&known)?.map(|known| format!("^{known}")));
        }
        let not = match &options.not {
            Some(not) => Some(not.clone()),
            None => self.base_without(&tip, record.as_ref())?,
        };
        if let Some(not) = not {
            words.extend(self.commit_of(&not)?.map(|not| format!("^{not}")));
        }
        words.push("--".to_owned());
        let told = self.git().ask(words)?;
        let files = parse(&told.out, self.place.between()).ok_or(Error::Answer { action: "git log" })?;
        Ok(Some(CommittedChanges { tip, files }))
    }

    /// What differs in a session's folder from its last commit: also files that git does not know yet, not those that it ignores. Nothing when
    /// it has no folder.
    pub fn uncommitted(&self, name: &str) -> Result<Vec<ChangedFile>> {
        name::check(name)?;
        let record = self.records.read(name)?;
        let tree = self.tree_of(name)?.filter(|tree| !tree.is_prunable);
        let Some(tree) = tree.filter(|tree| self.git().fs.stat(&tree.path.join(".git")).is_ok()) else {
            return Ok(Vec::new());
        };
        let git = self.git().at(&tree.path);
        let included = record.as_ref().map(|record| &record.included[..]).unwrap_or_default();
        let changed_included = status::changed_since(&git, &tree.path, included);
        let mut files = status::against_last_commit(&git)?;
        files.retain(|file| {
            !included.iter().any(|included| included.path == file.path) || changed_included.contains(&file.path)
        });
        let now = self.git().host.now();
        Ok(files
            .into_iter()
            .map(|file| {
                let stat = git.fs.stat(&tree.path.join(&file.path));
                let at = stat.map_or(now, |stat| stat.mtime.to_system_time());
                ChangedFile { path: self.place.between().join(&file.path), at, ..file }
            })
            .collect())
    }

    /// The base of a session, unless it has all of it. Without a record: what the main working tree has is not the session's.
    fn base_without(&self, tip: &str, record: Option<&Record>) -> Result<Option<String>> {
        let Some(base) = self.base_now(record)? else {
            return self.git().word(["rev-parse", "--verify", "--quiet", "HEAD"]);
        };
        Ok(if self.repo.is_ancestor(tip, &base)? { None } else { Some(base) })
    }

    /// The commit that a name stands for; `None`: it is not there.
    fn commit_of(&self, id: &str) -> Result<Option<String>> {
        let commit = format!("{id}^{{commit}}");
        self.git().word(["rev-parse", "--verify", "--quiet", "--end-of-options", &commit])
    }
}

/// `git log -z --raw --format='%H %ct'`: for each commit, from the newest on, a line, then `:MODE MODE ID ID STATUS` and a path for each file, all
/// ended by NUL; the first file of a commit has the end of a line before it. `None`: it is something else.
fn parse(told: &[u8], between: &Path) -> Option<Vec<ChangedFile>> {
    let mut files: BTreeMap<PathBuf, Run> = BTreeMap::new();
    let mut at = SystemTime::UNIX_EPOCH;
    let mut fields = told.split(|&byte| byte == 0);
    while let Some(field) = fields.next() {
        let field = field.strip_prefix(b"\n").unwrap_or(field);
        let text = std::str::from_utf8(field).ok()?;
        let Some(raw) = text.strip_prefix(':') else {
            if let Some((_, seconds)) = text.split_once(' ') {
                at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.trim().parse().ok()?);
            }
            continue;
        };
        let mut words = raw.split(' ').skip(2);
        let (before, after) = (blob(words.next()?), blob(words.next()?));
        let path = between.join(path_of(fields.next()?));
        match files.get_mut(&path) {
            Some(run) => run.before = before,
            None => drop(files.insert(path, Run { at, before, after })),
        }
    }
    let fate = |run: &Run| match (&run.before, &run.after) {
        (None, Some(_)) => Some(FileFate::Created),
        (Some(_), None) => Some(FileFate::Deleted),
        (before, after) if before == after => None,
        _ => Some(FileFate::Changed),
    };
    let all = files.into_iter().filter_map(|(path, run)| {
        let fate = fate(&run)?;
        Some(ChangedFile { path, fate, at: run.at, before: run.before, after: run.after })
    });
    Some(all.collect())
}

/// Nothing but zeros: there is none.
fn blob(id: &str) -> Option<String> {
    id.bytes().any(|byte| byte != b'0').then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// STORE-5: the newest commit first; a file in several commits, one that came and went, one that is as it was, a commit without files.
    #[test]
    fn parsed() {
        let line = |before: &str, after: &str, path: &str| format!(":100644 100644 {before} {after} M\0{path}\0");
        let told = [
            "c3 300\0\n".to_owned(),
            line("b1", "c1", "a b"),
            line("e1", "00", "gone"),
            line("f2", "f1", "back"),
            "c2 200\0".to_owned(),
            "c1 100\0\n".to_owned(),
            line("a1", "b1", "a b"),
            line("00", "d1", "new\nline"),
            line("00", "e1", "gone"),
            line("f1", "f2", "back"),
        ];
        let files = parse(told.concat().as_bytes(), Path::new("sub")).unwrap();
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let file = |path: &str, fate, seconds, before: Option<&str>, after: &str| ChangedFile {
            path: path.into(),
            fate,
            at: at(seconds),
            before: before.map(str::to_owned),
            after: Some(after.to_owned()),
        };
        let expected = [
            file("sub/a b", FileFate::Changed, 300, Some("a1"), "c1"),
            file("sub/new\nline", FileFate::Created, 100, None, "d1"),
        ];
        assert_eq!(files, expected);
        assert_eq!(parse(b"", Path::new("")), Some(Vec::new()));
        assert_eq!(parse(b"c1 100\0\n:100644 100644 a b M\0", Path::new("")).map(|files| files.len()), Some(1));
        assert_eq!(parse(b"c1 100\0\n:1 2\0", Path::new("")), None);
    }
}
