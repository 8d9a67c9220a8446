//! Markdown and plain text: conflicts of lines that people resolve without thinking.
//!
//! # What this module promises
//!
//! - Only conflicts are touched, and with them one kind of clean result: a line that would slip into another release of a
//!   changelog. Everything else stays as the lines were merged.
//! - In a result every line that a side added is there, once, and every line that a side removed is gone; or both changed the words
//!   of one line, and all changed words are there.
//! - What is not resolved stays a conflict, as small as it can be shown with whole lines.
//! - With ours and theirs exchanged the same conflicts are resolved, to the same lines; of two insertions ours comes first.
//!
//! # Rules
//!
//! | both sides … | |
//! |---|---|
//! | changed neighbouring lines | both changes |
//! | inserted at one place | both, ours first; what both inserted, once; sorted lines stay sorted |
//! | inserted sections | both; below a heading that both inserted, both contents |
//! | one an entry, the other a heading | the entry stays under the heading that it was written under, so it comes first |
//! | inserted almost the same, or two entries of one name | a conflict |
//! | changed one line | by words ([`words`](super::words)) |
//! | inserted into a block of program text | a conflict |
//! | one changed, the other only white space at line ends, or blank lines | the change |

mod check;
mod hunk;
mod insertions;
mod lines;
mod releases;
mod units;

use std::collections::HashSet;
use std::ops::Range;

use self::lines::{Fences, first_entry, split};
use super::merged::{Fallback, Hunk, Merged, Piece, Source};
use super::options::{Kind, MergeOptions};
use super::text;

/// Where a conflict stands.
#[derive(Clone, Copy, Debug)]
pub(in crate::merge) struct Around<'a> {
    kind: Kind,
    /// Inside a code block, or the data at the head of the document: lines are no prose there.
    code: bool,
    /// The line before.
    before: &'a [u8],
    /// The line behind.
    next: &'a [u8],
    /// The first line behind that is not blank.
    after: &'a [u8],
}

impl Around<'_> {
    /// Did a side make a comment of lines, or text of a comment? It means that they do not count, or count again.
    fn is_commented_out(&self, base: &[&[u8]], side: &[&[u8]]) -> bool {
        let is_comment = |line: &&[u8]| {
            let line = line.trim_ascii_start();
            [&b"#"[..], b"//", b";", b"--"].into_iter().any(|mark| line.starts_with(mark))
        };
        let prose = self.kind == Kind::Markdown && !self.code;
        !prose && base.iter().any(is_comment) != side.iter().any(is_comment)
    }
}

/// Merges lines, and resolves what can be resolved of their conflicts.
pub(in crate::merge) fn merge(base: &[u8], ours: &[u8], theirs: &[u8], options: &MergeOptions) -> Merged {
    let merged = text::merge(base, ours, theirs, options.algorithm);
    if !merged.is_clean()
        && let Some(line_end) = new_line_end(base, ours, theirs)
    {
        // Where one side wrote other line ends, the other side's changes are written with them.
        let [base, ours, theirs] = [base, ours, theirs].map(|bytes| with_line_end(bytes, line_end));
        return super::merge(&base, &ours, &theirs, options);
    }
    let kind = options.kind;
    let mut out = Out::default();
    match slip([base, ours, theirs], options) {
        None => resolve(merged.pieces(), kind, &[], &mut out),
        Some([before, Sides { base, ours, theirs }, behind]) => {
            let part = |Sides { base, ours, theirs }: Sides<'_>| text::merge(base, ours, theirs, options.algorithm);
            resolve(part(before).pieces(), kind, &[], &mut out);
            let (base, ours, theirs) = (base.to_vec(), ours.to_vec(), theirs.to_vec());
            out.pieces.push(Piece::Conflict(Hunk { base, ours, theirs, place: None }));
            resolve(part(behind).pieces(), kind, before.ours, &mut out);
        }
    }
    if out.pieces == merged.pieces() {
        return merged;
    }
    end_lines(&mut out.pieces, line_end(base).unwrap_or(b"\n"));
    let resolved = Merged::of_structure(out.pieces, &merged);
    match resolved.content() {
        Some(content) if !check::holds(&content, base, [ours, theirs], &out.mixed, kind) => merged
            .fell_back(Fallback::Unproved { why: "a line would be lost, or a table or code block broken".to_owned() }),
        _ => resolved,
    }
}

/// Gives a line its end that was the last one of a side and is not the last one of the result.
fn end_lines(pieces: &mut [Piece], line_end: &[u8]) {
    let mut is_last = true;
    for piece in pieces.iter_mut().rev() {
        match piece {
            Piece::Unchanged(bytes) | Piece::Taken { bytes, .. } if !bytes.is_empty() => {
                if !is_last && !bytes.ends_with(b"\n") {
                    bytes.extend_from_slice(line_end);
                }
                is_last = false;
            }
            Piece::Conflict(_) => is_last = false,
            _ => {}
        }
    }
}

/// What a merge has come to.
#[derive(Debug, Default)]
struct Out {
    pieces: Vec<Piece>,
    /// Lines that are in the result by their words, without white space around them.
    mixed: HashSet<Vec<u8>>,
}

/// The line end of the side that wrote every line with another one than the base and the other side have.
fn new_line_end(base: &[u8], ours: &[u8], theirs: &[u8]) -> Option<&'static [u8]> {
    let [base, ours, theirs] = [base, ours, theirs].map(line_end);
    let (base, ours, theirs) = (base?, ours?, theirs?);
    match (ours == base, theirs == base) {
        (false, true) => Some(ours),
        (true, false) => Some(theirs),
        _ => None,
    }
}

/// The end of all lines, if they have one.
fn line_end(bytes: &[u8]) -> Option<&'static [u8]> {
    let mut ends = split(bytes).filter(|line| line.ends_with(b"\n")).map(|line| line.ends_with(b"\r\n"));
    let crlf = ends.next()?;
    ends.all(|end| end == crlf).then_some(if crlf { b"\r\n" } else { b"\n" })
}

fn with_line_end(bytes: &[u8], line_end: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 16);
    for line in split(bytes) {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
                out.extend_from_slice(line_end);
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}

/// A part of each document.
#[derive(Clone, Copy, Debug)]
struct Sides<'a> {
    base: &'a [u8],
    ours: &'a [u8],
    theirs: &'a [u8],
}

/// Cuts the documents around entries that would slip into another release.
fn slip<'a>(sides: [&'a [u8]; 3], options: &MergeOptions) -> Option<[Sides<'a>; 3]> {
    if options.kind != Kind::Markdown {
        return None;
    }
    let [base, ours, theirs] = sides.map(|bytes| split(bytes).collect::<Vec<_>>());
    let cuts = releases::slip(&base, &ours, &theirs, options.algorithm)?;
    let cut = |bytes: &'a [u8], lines: &[&[u8]], range: &Range<usize>| {
        let length = |lines: &[&[u8]]| lines.iter().map(|line| line.len()).sum::<usize>();
        let (before, rest) = bytes.split_at(length(&lines[..range.start]));
        let (inside, behind) = rest.split_at(length(&lines[range.clone()]));
        [before, inside, behind]
    };
    let [base, ours, theirs] =
        [cut(sides[0], &base, &cuts[0]), cut(sides[1], &ours, &cuts[1]), cut(sides[2], &theirs, &cuts[2])];
    let part = |at: usize| Sides { base: base[at], ours: ours[at], theirs: theirs[at] };
    Some([part(0), part(1), part(2)])
}

/// Appends the pieces with conflicts resolved. `text` stands before them.
fn resolve(pieces: &[Piece], kind: Kind, text: &[u8], out: &mut Out) {
    // What a conflict leaves open, it can leave open on one side only.
    let mut fences = [Fences::new(kind); 2];
    for fences in &mut fences {
        fences.read(text);
    }
    let mut before = split(text).last().unwrap_or_default();
    for (at, piece) in pieces.iter().enumerate() {
        let begin = out.pieces.len();
        if let Piece::Conflict(conflict) = piece {
            let behind = || pieces[at + 1..].iter().map(|piece| ours_and_theirs(piece)[0]);
            let around = Around {
                kind,
                code: fences.iter().any(Fences::is_open),
                before,
                next: behind().find_map(|bytes| split(bytes).next()).unwrap_or_default(),
                after: behind().find_map(first_entry).unwrap_or_default(),
            };
            hunk::resolve(conflict, &around, out);
        } else {
            out.pieces.push(piece.clone());
        }
        for piece in &out.pieces[begin..] {
            for (fences, bytes) in fences.iter_mut().zip(ours_and_theirs(piece)) {
                fences.read(bytes);
            }
        }
        before = split(ours_and_theirs(piece)[0]).last().unwrap_or(before);
    }
}

fn ours_and_theirs(piece: &Piece) -> [&[u8]; 2] {
    match piece {
        Piece::Unchanged(bytes) | Piece::Taken { bytes, .. } => [bytes, bytes],
        Piece::Conflict(hunk) => [&hunk.ours, &hunk.theirs],
    }
}
