//! Two lists of changes of one base, brought together.

use std::ops::Range;

use super::diff::Change;

/// Who changed a stretch of the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Nobody,
    Ours,
    Theirs,
    /// Both replaced the same lines; by what, is still to be compared.
    Both,
    /// Both, and their changes overlap or touch.
    Overlap,
}

/// A stretch of the base and what it is on each side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) who: Who,
    pub(super) base: Range<usize>,
    pub(super) ours: Range<usize>,
    pub(super) theirs: Range<usize>,
}

/// Cuts the base into stretches. Changes that overlap or touch fall into one stretch, with all that touch them in turn.
pub(super) fn regions(ours: &[Change], theirs: &[Change], base_lines: usize) -> Vec<Region> {
    let mut regions = Vec::new();
    let (mut ours, mut theirs) = (Side::new(ours), Side::new(theirs));
    let mut done = 0;
    while let Some(start) = [ours.next_start(), theirs.next_start()].into_iter().flatten().min() {
        regions.extend(unchanged(done..start, &mut ours, &mut theirs));
        let mut end = start;
        while ours.take_touching(&mut end) | theirs.take_touching(&mut end) {}
        let who = match (ours.taken(), theirs.taken()) {
            ([_], []) => Who::Ours,
            ([], [_]) => Who::Theirs,
            ([a], [b]) if a.before == b.before => Who::Both,
            _ => Who::Overlap,
        };
        regions.push(Region {
            who,
            base: start..end,
            ours: ours.advance(start..end),
            theirs: theirs.advance(start..end),
        });
        done = end;
    }
    regions.extend(unchanged(done..base_lines, &mut ours, &mut theirs));
    regions
}

fn unchanged(base: Range<usize>, ours: &mut Side<'_>, theirs: &mut Side<'_>) -> Option<Region> {
    (!base.is_empty()).then(|| Region {
        who: Who::Nobody,
        ours: ours.advance(base.clone()),
        theirs: theirs.advance(base.clone()),
        base,
    })
}

/// One side's changes, and how far they have been gone through.
struct Side<'a> {
    changes: &'a [Change],
    /// Changes before this one lie in stretches that are done.
    done: usize,
    /// Changes before this one lie in the current stretch or before it.
    taken: usize,
    /// The side's line that corresponds to the end of what is done.
    line: usize,
}

impl<'a> Side<'a> {
    fn new(changes: &'a [Change]) -> Self {
        Side { changes, done: 0, taken: 0, line: 0 }
    }

    fn next_start(&self) -> Option<usize> {
        self.changes.get(self.taken).map(|change| change.before.start)
    }

    /// Takes changes that begin at or before `end` into the stretch, which may move its end.
    fn take_touching(&mut self, end: &mut usize) -> bool {
        let mut any = false;
        while let Some(change) = self.changes.get(self.taken).filter(|change| change.before.start <= *end) {
            *end = (*end).max(change.before.end);
            self.taken += 1;
            any = true;
        }
        any
    }

    fn taken(&self) -> &'a [Change] {
        &self.changes[self.done..self.taken]
    }

    /// The lines that stand for these lines of the base; they are done.
    fn advance(&mut self, base: Range<usize>) -> Range<usize> {
        let start = self.line;
        self.line = match self.taken().last() {
            Some(last) => last.after.end + (base.end - last.before.end),
            None => start + base.len(),
        };
        self.done = self.taken;
        start..self.line
    }
}
