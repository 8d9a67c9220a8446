//! One conflict of lines.

use std::collections::HashSet;
use std::ops::Range;

use super::insertions;
use super::lines::{is_blank, key, split};
use super::{Around, Out, Piece, Source};
use crate::merge::merged::Hunk;
use crate::merge::options::Algorithm;
use crate::merge::text::{Change, diff};
use crate::merge::words;

/// Appends to `out` what becomes of a conflict.
pub(super) fn resolve(hunk: &Hunk, around: &Around<'_>, out: &mut Out) {
    let [base, ours, theirs] = [&hunk.base, &hunk.ours, &hunk.theirs].map(|bytes| split(bytes).collect::<Vec<_>>());
    let begin = out.pieces.len();
    lines([&base, &ours, &theirs], Grain::Lines, around, hunk, out);
    finish(&mut out.pieces, begin);
}

/// How changes of lines are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grain {
    /// Stretches of changed lines.
    Lines,
    /// Lines that are versions of one line, each for itself.
    Versions,
}

fn lines(sides: [&[&[u8]]; 3], grain: Grain, around: &Around<'_>, hunk: &Hunk, out: &mut Out) {
    let [base, ours, theirs] = sides;
    let (ours, theirs) = (Side::new(base, ours, grain), Side::new(base, theirs, grain));
    let mut place = Around { ..*around };
    for group in groups(base, &ours, &theirs) {
        let (b, o, t) =
            (&base[group.base.clone()], &ours.lines[group.ours.clone()], &theirs.lines[group.theirs.clone()]);
        match group.who {
            None => unchanged(b, o, t, out),
            Some(Who::Ours) => taken(o, Source::Ours, out),
            Some(Who::Theirs) => taken(t, Source::Theirs, out),
            Some(Who::Both) => {
                let behind = &ours.lines[group.ours.end..];
                place.next = behind.first().copied().unwrap_or(around.next);
                place.after = behind.iter().find(|line| !is_blank(line)).copied().unwrap_or(around.after);
                if let Some(settled) = both(b, o, t, &place) {
                    if settled.by_words {
                        out.mixed.extend([o, t].into_iter().flatten().map(|line| line.trim_ascii().to_vec()));
                    }
                    taken(&[&settled.bytes], settled.from, out);
                } else if grain == Grain::Lines {
                    lines([b, o, t], Grain::Versions, &place, hunk, out);
                } else {
                    conflict(b, o, t, hunk.place.clone(), out);
                }
            }
        }
        if let Some(line) = o.last().or(t.last()) {
            place.before = line;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Ours,
    Theirs,
    Both,
}

/// A stretch of the base and what the sides have there.
struct Group {
    /// `None`: unchanged.
    who: Option<Who>,
    base: Range<usize>,
    ours: Range<usize>,
    theirs: Range<usize>,
}

struct Side<'l, 't> {
    lines: &'l [&'t [u8]],
    changes: Vec<Change>,
}

impl<'l, 't> Side<'l, 't> {
    fn new(base: &[&'t [u8]], lines: &'l [&'t [u8]], grain: Grain) -> Self {
        let keys = |lines: &[&'t [u8]]| lines.iter().map(|line| key(line)).collect::<Vec<_>>();
        let mut changes = diff(&keys(base), &keys(lines), Algorithm::Myers);
        if grain == Grain::Versions {
            changes = changes.into_iter().flat_map(|change| versions(base, lines, change)).collect();
        }
        Side { lines, changes }
    }
}

/// Cuts a change where it has versions of one line.
fn versions<'t>(base: &[&'t [u8]], side: &[&'t [u8]], change: Change) -> Vec<Change> {
    let text = |lines: &[&'t [u8]]| lines.iter().map(|line| std::str::from_utf8(line)).collect::<Result<Vec<_>, _>>();
    let (Ok(before), Ok(after)) = (text(&base[change.before.clone()]), text(&side[change.after.clone()])) else {
        return vec![change];
    };
    let mut cut = Vec::new();
    let (mut at, mut to) = (change.before.start, change.after.start);
    let mut pairs = words::pairs(&before, &after);
    if pairs.is_empty() && before.len() == after.len() {
        pairs = (0..before.len()).map(|at| (at, at)).collect();
    }
    let end = (before.len(), after.len());
    for (before, after) in pairs.into_iter().chain([end]) {
        let (before, after) = (change.before.start + before, change.after.start + after);
        if at < before || to < after {
            cut.push(Change { before: at..before, after: to..after });
        }
        if before < change.before.end && after < change.after.end {
            cut.push(Change { before: before..before + 1, after: after..after + 1 });
        }
        (at, to) = (before + 1, after + 1);
    }
    cut
}

/// Cuts a conflict into groups: changes that touch stay apart, changes that overlap, or insert at one place, fall into one.
fn groups(base: &[&[u8]], ours: &Side<'_, '_>, theirs: &Side<'_, '_>) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut walks = [Walk::new(&ours.changes), Walk::new(&theirs.changes)];
    let mut done = 0;
    while let Some(first) = walks.iter().filter_map(Walk::next).min_by_key(|range| (range.start, range.end)) {
        groups.extend(unchanged_group(done..first.start, &mut walks));
        let mut range = first;
        let mut took = [false; 2];
        while walks.iter_mut().zip(&mut took).any(|(walk, took)| {
            let takes = walk.take_overlapping(&mut range);
            *took |= takes;
            takes
        }) {}
        let who = match took {
            [true, false] => Who::Ours,
            [false, true] => Who::Theirs,
            _ => Who::Both,
        };
        let [ours, theirs] = walks.each_mut().map(|walk| walk.advance(&range));
        done = range.end;
        groups.push(Group { who: Some(who), base: range, ours, theirs });
    }
    groups.extend(unchanged_group(done..base.len(), &mut walks));
    groups.into_iter().fold(Vec::new(), |mut groups: Vec<Group>, next| {
        match groups.last_mut() {
            Some(last) if last.adds_the_same(&next, ours, theirs) => {
                last.who = Some(Who::Both);
                last.base.end = next.base.end;
                last.ours.end = next.ours.end;
                last.theirs.end = next.theirs.end;
            }
            _ => groups.push(next),
        }
        groups
    })
}

impl Group {
    /// Did the two sides, in neighbouring changes, add the same line?
    fn adds_the_same(&self, next: &Group, ours: &Side<'_, '_>, theirs: &Side<'_, '_>) -> bool {
        let (ours, theirs) = match (self.who, next.who) {
            (Some(Who::Ours), Some(Who::Theirs)) => {
                (&ours.lines[self.ours.clone()], &theirs.lines[next.theirs.clone()])
            }
            (Some(Who::Theirs), Some(Who::Ours)) => {
                (&ours.lines[next.ours.clone()], &theirs.lines[self.theirs.clone()])
            }
            _ => return false,
        };
        let added: HashSet<&[u8]> = ours.iter().map(|line| key(line)).collect();
        theirs.iter().any(|line| !is_blank(line) && added.contains(key(line)))
    }
}

/// One side's changes, and how far they have been gone through.
struct Walk<'c> {
    changes: &'c [Change],
    /// The next change.
    at: usize,
    /// How many of the changes before it are of the current group.
    taken: usize,
    /// The side's line that corresponds to the end of what is done.
    line: usize,
}

impl<'c> Walk<'c> {
    fn new(changes: &'c [Change]) -> Self {
        Walk { changes, at: 0, taken: 0, line: 0 }
    }

    fn next(&self) -> Option<Range<usize>> {
        self.changes.get(self.at).map(|change| change.before.clone())
    }

    /// Takes the next change into the group if it overlaps with it; the group grows.
    fn take_overlapping(&mut self, group: &mut Range<usize>) -> bool {
        let overlaps = |next: &Range<usize>| (next.start < group.end && group.start < next.end) || next == group;
        let Some(next) = self.next().filter(overlaps) else { return false };
        *group = group.start.min(next.start)..group.end.max(next.end);
        self.at += 1;
        self.taken += 1;
        true
    }

    /// The lines that stand for these lines of the base; they are done.
    fn advance(&mut self, base: &Range<usize>) -> Range<usize> {
        let start = self.line;
        self.line = match self.changes[..self.at].last() {
            Some(last) if self.taken > 0 => last.after.end + (base.end - last.before.end),
            _ => start + base.len(),
        };
        self.taken = 0;
        start..self.line
    }
}

fn unchanged_group(base: Range<usize>, walks: &mut [Walk<'_>; 2]) -> Option<Group> {
    if base.is_empty() {
        return None;
    }
    let [ours, theirs] = walks.each_mut().map(|walk| walk.advance(&base));
    Some(Group { who: None, base, ours, theirs })
}

/// Lines that nobody changed but for white space at their ends.
fn unchanged(base: &[&[u8]], ours: &[&[u8]], theirs: &[&[u8]], out: &mut Out) {
    for ((base, ours), theirs) in base.iter().zip(ours).zip(theirs) {
        if ours == base && theirs == base {
            out.pieces.push(Piece::Unchanged(base.to_vec()));
        } else if ours == base {
            taken(&[theirs], Source::Theirs, out);
        } else if theirs == base || ours == theirs {
            taken(&[ours], if ours == theirs { Source::Both } else { Source::Ours }, out);
        } else {
            conflict(&[base], &[ours], &[theirs], None, out);
        }
    }
}

/// What became of a change of both sides.
struct Settled {
    bytes: Vec<u8>,
    from: Source,
    by_words: bool,
}

/// What becomes of what both sides changed. `None`: a conflict.
fn both(base: &[&[u8]], ours: &[&[u8]], theirs: &[&[u8]], around: &Around<'_>) -> Option<Settled> {
    let entries = |lines: &[&[u8]]| -> Vec<Vec<u8>> {
        lines.iter().filter(|line| !is_blank(line)).map(|line| key(line).to_vec()).collect()
    };
    let (b, o, t) = (entries(base), entries(ours), entries(theirs));
    let settled = |bytes, from| Some(Settled { bytes, from, by_words: false });
    if o == t {
        // They differ in blank lines or white space at line ends at most.
        let more = if (theirs.len(), theirs) > (ours.len(), ours) { theirs } else { ours };
        settled(more.concat(), Source::Both)
    } else if o == b {
        settled(theirs.concat(), Source::Theirs)
    } else if t == b {
        settled(ours.concat(), Source::Ours)
    } else if b.is_empty() {
        settled(insertions::both(ours, theirs, around)?, Source::Merged)
    } else if includes(&t, &o, &b) {
        settled(theirs.concat(), Source::Theirs)
    } else if includes(&o, &t, &b) {
        settled(ours.concat(), Source::Ours)
    } else if around.is_commented_out(base, ours) || around.is_commented_out(base, theirs) {
        None
    } else if base.len() == 1 || !around.code {
        Some(Settled { bytes: by_words(base, ours, theirs)?, from: Source::Merged, by_words: true })
    } else {
        None
    }
}

/// Did the side with `more` do all that the other one did: take out the same lines of the base, and put in the same in this order?
/// With fewer lines than the base the other side has deleted some, and that the one with more has others there may be an answer to it.
fn includes(more: &[Vec<u8>], less: &[Vec<u8>], base: &[Vec<u8>]) -> bool {
    let kept: HashSet<&[u8]> = less.iter().map(Vec::as_slice).collect();
    let mut gone = base.iter().map(Vec::as_slice).filter(|line| !kept.contains(line)).collect::<HashSet<_>>();
    gone.retain(|line| more.iter().any(|other| other == line));
    let mut left = more.iter();
    less.len() >= base.len() && gone.is_empty() && less.iter().all(|line| left.any(|other| other == line))
}

fn by_words(base: &[&[u8]], ours: &[&[u8]], theirs: &[&[u8]]) -> Option<Vec<u8>> {
    let [base, ours, theirs] = [base, ours, theirs].map(|lines| String::from_utf8(lines.concat()));
    words::merge(&base.ok()?, &ours.ok()?, &theirs.ok()?).map(String::into_bytes)
}

fn taken(lines: &[&[u8]], from: Source, out: &mut Out) {
    let bytes = lines.concat();
    if !bytes.is_empty() {
        out.pieces.push(Piece::Taken { bytes, from });
    }
}

/// A conflict, without the lines that both sides begin or end with.
fn conflict(base: &[&[u8]], ours: &[&[u8]], theirs: &[&[u8]], place: Option<String>, out: &mut Out) {
    let head = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
    let (shared, ours) = ours.split_at(head);
    let theirs = &theirs[head..];
    let tail = ours.iter().rev().zip(theirs.iter().rev()).take_while(|(a, b)| a == b).count();
    let (ours, shared_tail) = ours.split_at(ours.len() - tail);
    let theirs = &theirs[..theirs.len() - tail];
    taken(shared, Source::Both, out);
    out.pieces.push(Piece::Conflict(Hunk { base: base.concat(), ours: ours.concat(), theirs: theirs.concat(), place }));
    taken(shared_tail, Source::Both, out);
}

/// Joins conflicts that touch.
fn finish(out: &mut Vec<Piece>, begin: usize) {
    let pieces = out.split_off(begin);
    for piece in pieces {
        match (piece, out.get_mut(begin..).and_then(|pieces| pieces.last_mut())) {
            (Piece::Conflict(next), Some(Piece::Conflict(last))) => {
                last.base.extend(next.base);
                last.ours.extend(next.ours);
                last.theirs.extend(next.theirs);
            }
            (piece, _) => out.push(piece),
        }
    }
}
