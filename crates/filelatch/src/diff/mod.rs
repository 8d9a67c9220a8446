//! What differs between two contents, for people and for `patch`.
//!
//! ```
//! use filelatch::diff::{DiffOptions, diff};
//!
//! let change = diff(b"one\ntwo\nthree\n", b"one\nzwei\nthree\n", &DiffOptions::default());
//! assert_eq!(
//!     String::from_utf8_lossy(&change.unified("a/list", "b/list")),
//!     "--- a/list\n+++ b/list\n@@ -1,3 +1,3 @@\n one\n-two\n+zwei\n three\n",
//! );
//! ```
//!
//! # What this module promises
//!
//! - The hunks are those of `git diff --no-index` with the same algorithm and context; `patch` and `git apply` turn the old content
//!   into the new one by them, whatever bytes the lines have, with and without a line end at the end.
//! - A content with a NUL byte among its first 8000 bytes is binary, as for git: that the two differ is all that is said.
//! - Inside changed lines, the [changed words](Line::changed) are marked where enough of the line is the same; marks never cut a
//!   UTF-8 character.
//!
//! # What it does not promise
//!
//! The shortest list of changes: on long unlike stretches a good one is taken, see `merge`. Renames, modes, and colours are not
//! its business.

mod unified;
mod words;

pub use unified::NO_LINE_END;

use std::ops::Range;

use crate::merge::{Algorithm, Change, Lines, Numbers, is_binary};

/// How contents are compared, and how much is shown around changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffOptions {
    /// How many unchanged lines are shown before and after a change; 3 by default.
    pub context: usize,
    /// How lines are matched; [`Algorithm::Myers`] by default, as `git diff` does.
    pub algorithm: Algorithm,
}

impl Default for DiffOptions {
    fn default() -> Self {
        DiffOptions { context: 3, algorithm: Algorithm::Myers }
    }
}

/// What differs between two contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Nothing.
    None,
    /// They differ, and at least one is no text.
    Binary,
    /// Lines.
    Lines(Vec<Hunk>),
}

/// Changes that lie close together, with the lines around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk {
    /// Which lines of the old content, counted from 0.
    pub old: Range<usize>,
    /// Which lines of the new content, counted from 0.
    pub new: Range<usize>,
    /// The beginning of the nearest line above the hunk that begins with a letter, `_` or `$`: the name of a section or function,
    /// often.
    pub heading: Option<String>,
    /// The lines: in each change the removed ones first.
    pub lines: Vec<Line>,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// It is the same.
    Context,
    /// Only the old content has it.
    Removed,
    /// Only the new content has it.
    Added,
}

/// A line of a hunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What became of it.
    pub kind: LineKind,
    /// Its bytes with the line end, which the last line of a content may lack.
    pub bytes: Vec<u8>,
    /// Which of its bytes the other side's lines do not have. Empty if the line counts as changed whole, and in unchanged lines.
    pub changed: Vec<Range<usize>>,
}

/// What turns `old` into `new`.
pub fn diff(old: &[u8], new: &[u8], options: &DiffOptions) -> Difference {
    if old == new {
        return Difference::None;
    }
    if is_binary(old) || is_binary(new) {
        return Difference::Binary;
    }
    let mut numbers = Numbers::default();
    let old = Lines::new(old, &mut numbers);
    let new = Lines::like(new, &old, &mut numbers);
    let changes = numbers.diff_for_readers(&old.numbers, &new.numbers, options.algorithm);
    let mut hunks = Vec::new();
    let mut rest = &changes[..];
    while !rest.is_empty() {
        let far = |pair: &[Change]| pair[1].before.start - pair[0].before.end > options.context.saturating_mul(2);
        let count = rest.windows(2).position(far).map_or(rest.len(), |at| at + 1);
        let (close, others) = rest.split_at(count);
        let mut hunk = hunk(close, &old, &new, options.context);
        let searched = hunks.last().map_or(0, |last: &Hunk| last.old.start);
        hunk.heading = (searched..hunk.old.start)
            .rev()
            .find_map(|at| heading(old.get(at..at + 1)))
            .or_else(|| hunks.last().and_then(|last| last.heading.clone()));
        hunks.push(hunk);
        rest = others;
    }
    Difference::Lines(hunks)
}

fn hunk(changes: &[Change], old: &Lines<'_>, new: &Lines<'_>, context: usize) -> Hunk {
    let (first, last) = (&changes[0], &changes[changes.len() - 1]);
    let before = context.min(first.before.start);
    let after = context.min(old.count() - last.before.end);
    let mut hunk = Hunk {
        old: first.before.start - before..last.before.end + after,
        new: first.after.start - before..last.after.end + after,
        heading: None,
        lines: Vec::new(),
    };
    let mut done = hunk.old.start;
    for change in changes {
        hunk.context(old, done..change.before.start);
        let removed = change.before.clone().map(|at| old.get(at..at + 1)).collect();
        let added = change.after.clone().map(|at| new.get(at..at + 1)).collect();
        hunk.lines.extend(words::marked(removed, added));
        done = change.before.end;
    }
    let end = hunk.old.end;
    hunk.context(old, done..end);
    hunk
}

impl Hunk {
    fn context(&mut self, old: &Lines<'_>, lines: Range<usize>) {
        self.lines.extend(lines.map(|at| Line {
            kind: LineKind::Context,
            bytes: old.get(at..at + 1).to_vec(),
            changed: Vec::new(),
        }));
    }
}

/// git shows so many bytes of a heading.
const MAX_HEADING: usize = 80;

fn heading(line: &[u8]) -> Option<String> {
    let first = *line.first()?;
    if !(first.is_ascii_alphabetic() || first == b'_' || first == b'$') {
        return None;
    }
    let shown = line[..line.len().min(MAX_HEADING)].trim_ascii_end();
    shown.utf8_chunks().next().map(|chunk| chunk.valid().to_owned())
}
