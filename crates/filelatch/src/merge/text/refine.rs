//! A document with conflicts, as it is shown: conflicts made smaller, or joined, as the style has it.
//!
//! | style | what a conflict shows |
//! |---|---|
//! | diff3 | all that lies between lines that the three contents share |
//! | zdiff3 | the same, without the lines that both sides begin or end with |
//! | merge | only where ours and theirs differ from each other; conflicts with no more than three lines between them, or with no letter or digit in them, are one |

use super::diff::Numbers;
use super::lines::{Lines, split};
use crate::merge::merged::{Hunk, Merged, Piece, Source};
use crate::merge::options::{Algorithm, ConflictStyle};

/// So many lines between two conflicts are too few to part them.
const MAX_GAP: usize = 3;

/// A stretch of a document with conflicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::merge) enum Part {
    /// The same on both sides.
    Shared(Vec<u8>),
    /// One side's, or both sides' though found by different changes. Conflicts on both sides of it stay apart.
    Settled(Vec<u8>),
    /// Both sides, and in the styles that show it the base.
    Conflict(Hunk),
}

/// The parts of `merged` in this style.
pub(in crate::merge) fn parts(merged: &Merged, style: ConflictStyle) -> Vec<Part> {
    let mut parts = Parts { done: Vec::new(), style, algorithm: merged.lines().algorithm };
    let mut agreed = merged.lines().agreed.iter().peekable();
    for (at, piece) in merged.pieces().iter().enumerate() {
        match piece {
            Piece::Unchanged(bytes) => parts.done.push(Part::Shared(bytes.clone())),
            Piece::Taken { bytes, from: Source::Both } => match agreed.next_if(|(place, _)| *place == at) {
                Some((_, base)) => parts.conflict(&Hunk {
                    base: base.clone(),
                    ours: bytes.clone(),
                    theirs: bytes.clone(),
                    place: None,
                }),
                None => parts.done.push(Part::Shared(bytes.clone())),
            },
            Piece::Taken { bytes, .. } => parts.done.push(Part::Settled(bytes.clone())),
            Piece::Conflict(hunk) => parts.conflict(hunk),
        }
    }
    match style {
        ConflictStyle::Merge => join(parts.done),
        ConflictStyle::Diff3 | ConflictStyle::Zdiff3 => parts.done,
    }
}

struct Parts {
    done: Vec<Part>,
    style: ConflictStyle,
    algorithm: Algorithm,
}

impl Parts {
    fn conflict(&mut self, hunk: &Hunk) {
        match self.style {
            ConflictStyle::Diff3 => self.done.push(Part::Conflict(hunk.clone())),
            ConflictStyle::Zdiff3 => self.trimmed(hunk),
            ConflictStyle::Merge => self.split(hunk),
        }
    }

    /// Without the lines that both sides begin or end with.
    fn trimmed(&mut self, hunk: &Hunk) {
        let (ours, theirs) = (&hunk.ours[..], &hunk.theirs[..]);
        let head: usize = split(ours).zip(split(theirs)).take_while(|(a, b)| a == b).map(|(line, _)| line.len()).sum();
        let (our_rest, their_rest) = (&ours[head..], &theirs[head..]);
        let tail: usize = split(our_rest)
            .rev()
            .zip(split(their_rest).rev())
            .take_while(|(a, b)| a == b)
            .map(|(line, _)| line.len())
            .sum();
        let (our_middle, tail) = our_rest.split_at(our_rest.len() - tail);
        let their_middle = &their_rest[..their_rest.len() - tail.len()];
        self.shared(&ours[..head]);
        self.done.push(Part::Conflict(Hunk {
            base: hunk.base.clone(),
            ours: our_middle.to_vec(),
            theirs: their_middle.to_vec(),
            place: hunk.place.clone(),
        }));
        self.shared(tail);
    }

    /// One conflict for each difference between ours and theirs.
    fn split(&mut self, hunk: &Hunk) {
        let mut numbers = Numbers::default();
        let ours = Lines::new(&hunk.ours, &mut numbers);
        let theirs = Lines::new(&hunk.theirs, &mut numbers);
        let changes = numbers.diff(&ours.numbers, &theirs.numbers, self.algorithm);
        if changes.is_empty() {
            self.done.push(Part::Settled(hunk.ours.clone()));
            return;
        }
        let mut done = 0;
        for change in changes {
            self.shared(ours.get(done..change.before.start));
            done = change.before.end;
            self.done.push(Part::Conflict(Hunk {
                base: Vec::new(),
                ours: ours.get(change.before).to_vec(),
                theirs: theirs.get(change.after).to_vec(),
                place: hunk.place.clone(),
            }));
        }
        self.shared(ours.get(done..ours.count()));
    }

    fn shared(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.done.push(Part::Shared(bytes.to_vec()));
        }
    }
}

/// Conflicts that too little parts become one.
fn join(parts: Vec<Part>) -> Vec<Part> {
    let mut joined: Vec<Part> = Vec::with_capacity(parts.len());
    // What was shared since the last part of `joined`, if that is a conflict.
    let mut gap: Vec<Vec<u8>> = Vec::new();
    for part in parts {
        match (part, joined.last_mut()) {
            (Part::Shared(bytes), Some(Part::Conflict(_))) => gap.push(bytes),
            (Part::Conflict(next), Some(Part::Conflict(last))) if is_little(&gap) => {
                for bytes in gap.drain(..) {
                    last.ours.extend_from_slice(&bytes);
                    last.theirs.extend_from_slice(&bytes);
                }
                last.ours.extend(next.ours);
                last.theirs.extend(next.theirs);
            }
            (part, _) => {
                joined.extend(gap.drain(..).map(Part::Shared));
                joined.push(part);
            }
        }
    }
    joined.extend(gap.drain(..).map(Part::Shared));
    joined
}

fn is_little(gap: &[Vec<u8>]) -> bool {
    let lines: usize = gap.iter().map(|bytes| split(bytes).count()).sum();
    lines <= MAX_GAP || !gap.iter().flatten().any(u8::is_ascii_alphanumeric)
}
