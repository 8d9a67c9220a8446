//! What did not fit together when a session was merged.

use std::fmt;
use std::path::PathBuf;

/// A merge that was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmerged {
    /// The session.
    pub name: String,
    /// Its branch.
    pub branch: String,
    /// The branch that it was to be merged into.
    pub into: String,
    /// The files, by path.
    pub files: Vec<UnmergedFile>,
    /// Where the conflict was left for somebody to resolve; `None`: nothing was changed anywhere.
    pub left_in: Option<PathBuf>,
    /// The session's folder.
    pub folder: PathBuf,
}

/// A file of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmergedFile {
    /// Relative to the top of the repository.
    pub path: PathBuf,
    /// In git's words: `CONFLICT (content): Merge conflict in a.json`.
    pub message: String,
    /// The places; none for conflicts that are not about lines (deleted on one side, binary).
    pub hunks: Vec<UnmergedHunk>,
}

/// One place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmergedHunk {
    /// Where it begins, with 1 for the first line, in the file as it would be with markers.
    pub line: usize,
    /// What the branch has there.
    pub ours: String,
    /// What the session has there.
    pub theirs: String,
}

impl Unmerged {
    pub(crate) fn hints(&self) -> Vec<String> {
        match &self.left_in {
            Some(folder) => vec![
                format!("resolve the markers in `{}`, then: git add FILE… && git commit", folder.display()),
                "or take it back: git merge --abort".to_owned(),
            ],
            None => vec![
                "nothing was changed; both branches are as they were".to_owned(),
                format!("bring {} into the session, resolve it there, merge again:", self.into),
                format!("  cd '{}' && git merge {}", self.folder.display(), self.into),
                format!("or resolve it in the target: filelatch session merge {} --leave-conflicts", self.name),
            ],
        }
    }
}

impl fmt::Display for Unmerged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: usize = self.files.iter().map(|file| file.hunks.len().max(1)).sum();
        let names: Vec<_> = self.files.iter().take(5).map(|file| file.path.display().to_string()).collect();
        let more = if self.files.len() > 5 { ", …" } else { "" };
        let places = if places == 1 { "1 place".to_owned() } else { format!("{places} places") };
        write!(f, "{} and {} conflict in {places}: {}{more}", self.branch, self.into, names.join(", "))
    }
}
