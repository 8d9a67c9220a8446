//! Which words of changed lines changed.

use std::ops::Range;

use super::{Line, LineKind};
use crate::merge::{Algorithm, Change, diff};

/// Larger changes are shown as whole lines.
const MAX_BYTES: usize = 64 * 1024;

/// A line of which less than one byte in so many stayed is shown as changed whole.
const LEAST_KEPT: usize = 4;

/// The lines of a change, with their changed words.
pub(super) fn marked(removed: Vec<&[u8]>, added: Vec<&[u8]>) -> Vec<Line> {
    let size = |lines: &[&[u8]]| lines.iter().map(|line| line.len()).sum::<usize>();
    let (mut in_removed, mut in_added) = (vec![Vec::new(); removed.len()], vec![Vec::new(); added.len()]);
    if !removed.is_empty() && !added.is_empty() && size(&removed) <= MAX_BYTES && size(&added) <= MAX_BYTES {
        if removed.len() == added.len() {
            for at in 0..removed.len() {
                let [old, new] = changed(&removed[at..=at], &added[at..=at]);
                (in_removed[at], in_added[at]) = (old.concat(), new.concat());
            }
        } else {
            [in_removed, in_added] = changed(&removed, &added);
        }
    }
    let line = |kind: LineKind, (bytes, changed): (&[u8], Vec<Range<usize>>)| Line {
        kind,
        changed: if is_mostly_changed(bytes, &changed) { Vec::new() } else { changed },
        bytes: bytes.to_vec(),
    };
    let removed = removed.into_iter().zip(in_removed).map(|marked| line(LineKind::Removed, marked));
    let added = added.into_iter().zip(in_added).map(|marked| line(LineKind::Added, marked));
    removed.chain(added).collect()
}

fn is_mostly_changed(line: &[u8], changed: &[Range<usize>]) -> bool {
    let visible = |range: Range<usize>| line[range].iter().filter(|byte| !byte.is_ascii_whitespace()).count();
    let all = visible(0..line.len());
    let gone: usize = changed.iter().cloned().map(visible).sum();
    (all - gone) * LEAST_KEPT < all
}

/// A word: which line, and which of its bytes.
struct Word<'a> {
    line: usize,
    at: Range<usize>,
    text: &'a [u8],
}

/// For each line of both sides, its bytes that the other side does not have.
fn changed(removed: &[&[u8]], added: &[&[u8]]) -> [Vec<Vec<Range<usize>>>; 2] {
    let (old, new) = (words(removed), words(added));
    let texts = |words: &[Word<'_>]| words.iter().map(|word| word.text.to_vec()).collect::<Vec<_>>();
    let changes = diff(&texts(&old), &texts(&new), Algorithm::Myers);
    let marks = |words: &[Word<'_>], lines: usize, side: fn(&Change) -> Range<usize>| {
        let mut marks: Vec<Vec<Range<usize>>> = vec![Vec::new(); lines];
        for word in changes.iter().flat_map(|change| &words[side(change)]) {
            match marks[word.line].last_mut() {
                Some(last) if last.end == word.at.start => last.end = word.at.end,
                _ => marks[word.line].push(word.at.clone()),
            }
        }
        marks
    };
    [
        marks(&old, removed.len(), |change| change.before.clone()),
        marks(&new, added.len(), |change| change.after.clone()),
    ]
}

/// Letters and digits in a row, blanks in a row, line ends, and other characters one by one. The points of a number belong to it.
fn words<'a>(lines: &[&'a [u8]]) -> Vec<Word<'a>> {
    let mut words = Vec::new();
    for (line, &bytes) in lines.iter().enumerate() {
        let mut start = 0;
        while start < bytes.len() {
            let end = start + word_length(&bytes[start..]);
            words.push(Word { line, at: start..end, text: &bytes[start..end] });
            start = end;
        }
    }
    words
}

/// How long the word is that these bytes begin with.
fn word_length(bytes: &[u8]) -> usize {
    let class = Class::of(bytes[0]);
    let is_number = bytes[0].is_ascii_digit();
    let belongs = |at: usize| {
        let is_point = bytes[at] == b'.' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        (is_number && is_point) || (class != Class::Sign && Class::of(bytes[at]) == class)
    };
    (1..bytes.len()).find(|&at| !belongs(at)).unwrap_or(bytes.len())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Also all bytes beyond ASCII, so that no character is cut.
    Letter,
    Blank,
    LineEnd,
    Sign,
}

impl Class {
    fn of(byte: u8) -> Class {
        match byte {
            b'\r' | b'\n' => Class::LineEnd,
            b' ' | b'\t' => Class::Blank,
            b'_' | 0x80.. => Class::Letter,
            byte if byte.is_ascii_alphanumeric() => Class::Letter,
            _ => Class::Sign,
        }
    }
}
