//! Conflicts as markers in the text, as git writes them.
//!
//! # What this module promises
//!
//! For a merge of lines, the bytes that `git merge-file` writes with the same style, size, labels and algorithm. In particular:
//!
//! - Marker lines end with CR LF where the lines before the conflict (or the first line), on both sides, and the first line of
//!   the base do.
//! - A side whose last line has no line end gets one, so that the next marker begins a line.
//!
//! - Styles decide how much a conflict shows, and so how many there are: lines that both sides came to by different changes are
//!   shown as a conflict in style diff3 although the merge is clean.
//!
//! One difference: an empty label leaves the marker bare, without git's space behind it.

use super::merged::{Hunk, Merged};
use super::options::ConflictStyle;
use super::text::{Part, first_is_crlf, parts};

/// What markers look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markers {
    /// Which contents are shown.
    pub style: ConflictStyle,
    /// How many characters a marker has; git's default is 7, which 0 also stands for.
    pub size: usize,
    /// What stands behind the markers: ours, base, theirs. An empty one leaves the marker bare.
    pub labels: [String; 3],
}

/// git's default number of characters of a marker.
const DEFAULT_SIZE: usize = 7;

impl Default for Markers {
    fn default() -> Self {
        let labels = ["ours".to_owned(), "base".to_owned(), "theirs".to_owned()];
        Markers { style: ConflictStyle::default(), size: DEFAULT_SIZE, labels }
    }
}

/// Whose lines are taken where the sides do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Favor {
    /// Ours alone.
    Ours,
    /// Theirs alone.
    Theirs,
    /// Ours, then theirs.
    Union,
}

impl Merged {
    /// The document with markers around what is not settled; the merged content itself when everything is.
    pub fn render(&self, markers: &Markers) -> Vec<u8> {
        self.write(markers.style, |out, hunk, line_end| conflict(out, hunk, markers, line_end))
    }

    /// The document with one side's lines, or both sides', where they do not fit together: `git merge-file` with `--ours`,
    /// `--theirs` or `--union`. For [`Favor::Union`] the style decides how much of the text around a conflict is repeated.
    pub fn favoring(&self, favor: Favor, style: ConflictStyle) -> Vec<u8> {
        self.write(style, |out, hunk, line_end| match favor {
            Favor::Ours => out.extend_from_slice(&hunk.ours),
            Favor::Theirs => out.extend_from_slice(&hunk.theirs),
            Favor::Union => {
                lines(out, &hunk.ours, line_end);
                out.extend_from_slice(&hunk.theirs);
            }
        })
    }

    /// How many conflicts [`render`](Self::render) shows in this style. It differs from the number of
    /// [`conflicts`](Self::conflicts) where a style parts or joins them.
    pub fn shown(&self, style: ConflictStyle) -> usize {
        parts(self, style).iter().filter(|part| matches!(part, Part::Conflict(_))).count()
    }

    fn write(&self, style: ConflictStyle, mut unsettled: impl FnMut(&mut Vec<u8>, &Hunk, &[u8])) -> Vec<u8> {
        let mut out = Vec::new();
        let parts = parts(self, style);
        let sides: [fn(&Part) -> &[u8]; 2] = [ours, theirs];
        // Does what each side has before the conflict end with CR LF? At the beginning: does its first line?
        let mut crlf = sides.map(|side| parts.iter().map(side).find_map(first_is_crlf));
        for part in &parts {
            match part {
                Part::Shared(bytes) | Part::Settled(bytes) => out.extend_from_slice(bytes),
                Part::Conflict(hunk) => {
                    let is_crlf = !crlf.contains(&Some(false)) && self.lines().base_is_crlf == Some(true);
                    unsettled(&mut out, hunk, if is_crlf { b"\r\n" } else { b"\n" });
                }
            }
            for (crlf, bytes) in crlf.iter_mut().zip(sides.map(|side| side(part))) {
                if !bytes.is_empty() {
                    *crlf = Some(bytes.ends_with(b"\r\n"));
                }
            }
        }
        out
    }
}

fn ours(part: &Part) -> &[u8] {
    match part {
        Part::Shared(bytes) | Part::Settled(bytes) => bytes,
        Part::Conflict(hunk) => &hunk.ours,
    }
}

fn theirs(part: &Part) -> &[u8] {
    match part {
        Part::Shared(bytes) | Part::Settled(bytes) => bytes,
        Part::Conflict(hunk) => &hunk.theirs,
    }
}

fn conflict(out: &mut Vec<u8>, hunk: &Hunk, markers: &Markers, line_end: &[u8]) {
    let [ours, base, theirs] = &markers.labels;
    let size = if markers.size == 0 { DEFAULT_SIZE } else { markers.size };
    let marker = |out: &mut Vec<u8>, mark: u8, label: &str| {
        out.extend(std::iter::repeat_n(mark, size));
        if !label.is_empty() {
            out.push(b' ');
            out.extend_from_slice(label.as_bytes());
        }
        out.extend_from_slice(line_end);
    };
    if out.last().is_some_and(|&last| last != b'\n') {
        out.extend_from_slice(line_end);
    }
    marker(out, b'<', ours);
    lines(out, &hunk.ours, line_end);
    if markers.style != ConflictStyle::Merge {
        marker(out, b'|', base);
        lines(out, &hunk.base, line_end);
    }
    marker(out, b'=', "");
    lines(out, &hunk.theirs, line_end);
    marker(out, b'>', theirs);
}

/// A side's lines, the last one with a line end.
fn lines(out: &mut Vec<u8>, bytes: &[u8], line_end: &[u8]) {
    out.extend_from_slice(bytes);
    if bytes.last().is_some_and(|&last| last != b'\n') {
        out.extend_from_slice(line_end);
    }
}
