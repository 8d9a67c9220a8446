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

/// Places that are told of one file, and characters of one side.
const PLACES: usize = 100;
const WIDTH: usize = 4000;

/// The places between markers.
pub(crate) fn hunks(content: &[u8]) -> Vec<UnmergedHunk> {
    let mut hunks = Vec::new();
    // Where the current one begins, and which side is read: ours, base, theirs.
    let mut current: Option<(UnmergedHunk, u8)> = None;
    for (at, line) in content.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let is = |marker: &[u8; 7]| line.starts_with(marker) && line.get(7).is_none_or(|&next| next != marker[0]);
        current = match current {
            _ if is(b"<<<<<<<") => Some((UnmergedHunk { line: at + 1, ours: String::new(), theirs: String::new() }, 0)),
            Some((hunk, 0)) if is(b"|||||||") => Some((hunk, 1)),
            Some((hunk, 0 | 1)) if is(b"=======") => Some((hunk, 2)),
            Some((hunk, 2)) if is(b">>>>>>>") => {
                hunks.push(hunk);
                None
            }
            Some((mut hunk, side)) => {
                let to = match side {
                    0 => Some(&mut hunk.ours),
                    1 => None,
                    _ => Some(&mut hunk.theirs),
                };
                if let Some(to) = to.filter(|to| to.len() < WIDTH) {
                    to.push_str(&String::from_utf8_lossy(&line[..line.len().min(WIDTH)]));
                }
                Some((hunk, side))
            }
            None => None,
        };
        if hunks.len() == PLACES {
            break;
        }
    }
    hunks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SERVE-6: places are read from markers, with and without a base; what only looks like a marker is content.
    #[test]
    fn places() {
        let text = b"a\n<<<<<<< x\nours\n||||||| b\nbase\n=======\ntheirs\n========= no\n>>>>>>> y\n\
            b\n=======\n<<<<<<< x\n=======\nt\n>>>>>>> y\n<<<<<<< open\n";
        let found: Vec<_> = hunks(text).into_iter().map(|hunk| (hunk.line, hunk.ours, hunk.theirs)).collect();
        let expected = [(2, "ours\n", "theirs\n========= no\n"), (12, "", "t\n")];
        assert_eq!(found, expected.map(|(line, ours, theirs)| (line, ours.to_owned(), theirs.to_owned())));
    }
}
