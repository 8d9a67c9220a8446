//! Where lines and changed places are while a text is edited.

use std::ops::Range;

use super::Changed;
use crate::anchors::Lines;

/// More places than these are told as one.
const MOST: usize = 100;

/// A piece that is replaced.
#[derive(Clone, Debug)]
pub(super) struct Splice {
    pub(super) at: usize,
    pub(super) removed: usize,
    pub(super) new: Vec<u8>,
}

/// Lines that anchors name, and what was changed so far: as they are in the text now.
#[derive(Debug)]
pub(super) struct Marks {
    lines: Vec<Mark>,
    changes: Vec<Change>,
}

#[derive(Debug)]
struct Mark {
    range: Range<usize>,
    /// Behind what was inserted behind them.
    after: usize,
    touched: bool,
    gone: bool,
}

#[derive(Clone, Debug)]
struct Change {
    range: Range<usize>,
    /// Line endings that were removed there.
    removed: usize,
    /// Nothing but whole lines was removed and inserted.
    whole: bool,
}

impl Marks {
    pub(super) fn new() -> Marks {
        Marks { lines: Vec::new(), changes: Vec::new() }
    }

    /// Remembers lines with their endings.
    pub(super) fn mark(&mut self, range: Range<usize>) -> usize {
        self.lines.push(Mark { after: range.end, range, touched: false, gone: false });
        self.lines.len() - 1
    }

    /// Where lines are, and where more are inserted behind them; `None`: they were removed.
    pub(super) fn lines(&self, mark: usize) -> Option<(Range<usize>, usize)> {
        self.lines.get(mark).filter(|mark| !mark.gone).map(|mark| (mark.range.clone(), mark.after))
    }

    /// Was something in them replaced?
    pub(super) fn is_touched(&self, mark: usize) -> bool {
        self.lines.get(mark).is_none_or(|mark| mark.touched)
    }

    /// Pieces of `text` are about to be replaced: in order, none overlapping another.
    pub(super) fn splice(&mut self, text: &[u8], splices: &[Splice]) {
        let shift = Shift::new(splices);
        for mark in self.lines.iter_mut().filter(|mark| !mark.gone) {
            let Range { start, end } = mark.range;
            for splice in shift.touching(start, end) {
                let splice_end = splice.at + splice.removed;
                mark.touched |= splice.at < end && splice_end > start;
                mark.gone |= splice.removed > 0 && splice.at <= start && splice_end >= end;
            }
            mark.range = shift.start(start)..shift.end(end).max(shift.start(start));
            mark.after = shift.after(mark.after).max(mark.range.end);
        }
        for change in &mut self.changes {
            let start = shift.start(change.range.start);
            change.range = start..shift.end(change.range.end).max(start);
        }
        let mut grown = 0isize;
        let mut new = Vec::with_capacity(splices.len());
        for splice in splices {
            let start = splice.at.saturating_add_signed(grown);
            let old = &text[splice.at..splice.at + splice.removed];
            let at_line = splice.at == 0 || text[splice.at - 1] == b'\n';
            let whole = |bytes: &[u8]| bytes.is_empty() || bytes.ends_with(b"\n");
            new.push(Change {
                range: start..start + splice.new.len(),
                removed: endings(old),
                whole: at_line && whole(old) && whole(&splice.new),
            });
            grown += splice.new.len().cast_signed() - splice.removed.cast_signed();
        }
        self.changes.append(&mut new);
        if self.changes.len() > MOST {
            self.join_all();
        }
    }

    /// The changed places of the text as it is now.
    pub(super) fn changed(mut self, text: &[u8]) -> Vec<Changed> {
        self.changes.sort_by_key(|change| (change.range.start, change.range.end));
        let lines = Lines::new(text);
        let mut told: Vec<Changed> = Vec::new();
        for change in &self.changes {
            let part = usize::from(!change.whole);
            let this = Changed {
                start_line: lines.line_at(change.range.start) + 1,
                lines_removed: change.removed + part,
                lines_added: endings(&text[change.range.clone()]) + part,
            };
            match told.last_mut() {
                // In one line, or overlapping: one place. The line that both touch counts once.
                Some(last) if last.lines_added > 0 && this.start_line < last.start_line + last.lines_added => {
                    let shared = last.start_line + last.lines_added - this.start_line;
                    last.lines_removed += this.lines_removed.saturating_sub(shared);
                    last.lines_added += this.lines_added.saturating_sub(shared);
                }
                _ => told.push(this),
            }
        }
        told
    }

    fn join_all(&mut self) {
        let start = self.changes.iter().map(|change| change.range.start).min().unwrap_or(0);
        let end = self.changes.iter().map(|change| change.range.end).max().unwrap_or(0);
        let removed = self.changes.iter().map(|change| change.removed).sum();
        self.changes = vec![Change { range: start..end, removed, whole: false }];
    }
}

fn endings(bytes: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', bytes).count()
}

/// How positions move.
struct Shift<'a> {
    splices: &'a [Splice],
    /// How much the text has grown before each.
    grown: Vec<isize>,
}

impl<'a> Shift<'a> {
    fn new(splices: &'a [Splice]) -> Shift<'a> {
        let mut sum = 0isize;
        let mut grown = Vec::with_capacity(splices.len());
        for splice in splices {
            grown.push(sum);
            sum += splice.new.len().cast_signed() - splice.removed.cast_signed();
        }
        grown.push(sum);
        Shift { splices, grown }
    }

    /// Those that a range meets, its ends included.
    fn touching(&self, start: usize, end: usize) -> &'a [Splice] {
        let from = self.splices.partition_point(|splice| splice.at + splice.removed < start);
        let to = self.splices.partition_point(|splice| splice.at <= end);
        &self.splices[from..to.max(from)]
    }

    /// Where something begins: behind what is inserted at its beginning, at the beginning of what replaces it.
    fn start(&self, position: usize) -> usize {
        let before = self.splices.partition_point(|splice| splice.at + splice.removed <= position);
        match self.splices.get(before) {
            Some(splice) if splice.at < position => splice.at.saturating_add_signed(self.grown[before]),
            _ => position.saturating_add_signed(self.grown[before]),
        }
    }

    /// Where something ends: before what is inserted at its end, at the end of what replaces its end.
    fn end(&self, position: usize) -> usize {
        // What is inserted at the position is not before it, what ends there is.
        let before = |splice: &Splice| splice.at < position && splice.at + splice.removed <= position;
        let before = self.splices.partition_point(before);
        self.past(before, position)
    }

    /// As [`Shift::end`], but behind what is inserted there.
    fn after(&self, position: usize) -> usize {
        self.past(self.splices.partition_point(|splice| splice.at + splice.removed <= position), position)
    }

    /// Where a position moves that so many splices lie before: to the end of the next, if that begins before it.
    fn past(&self, before: usize, position: usize) -> usize {
        match self.splices.get(before) {
            Some(splice) if splice.at < position => {
                splice.at.saturating_add_signed(self.grown[before]) + splice.new.len()
            }
            _ => position.saturating_add_signed(self.grown[before]),
        }
    }
}
