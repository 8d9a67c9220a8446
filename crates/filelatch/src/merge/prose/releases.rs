//! Headings of changelogs, and lines that would come under the wrong one.
//!
//! A release is made by a heading put between "Unreleased" and its entries. An entry that the other side adds among them meanwhile
//! was never in that release, but lines alone do not tell: git puts it there without a word.

use std::ops::Range;

use super::lines::{Fences, heading, is_blank};
use crate::merge::options::{Algorithm, Kind};
use crate::merge::text::{Change, diff};

/// What a heading of a changelog announces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Release {
    /// A version or a date.
    Numbered(Vec<u64>),
    /// What is not released yet.
    Next,
}

/// The release that a heading is about.
pub(super) fn release(heading: &[u8]) -> Option<Release> {
    let line = heading.split(|&byte| byte == b'\n').next()?;
    let level = line.iter().take_while(|&&byte| byte == b'#').count();
    let title = String::from_utf8_lossy(line.get(level..)?).trim().to_lowercase();
    if level == 0 || title.is_empty() {
        return None;
    }
    let mut words = title.split(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+')));
    let first = words.find(|word| !word.is_empty())?;
    if matches!(first, "unreleased" | "vnext" | "next" | "tbd" | "upcoming" | "head" | "master" | "develop") {
        return Some(Release::Next);
    }
    title
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+')))
        .find_map(numbers)
        .map(Release::Numbered)
}

/// `v1.2.3-rc.1` and `2024-09-02`: their numbers.
fn numbers(word: &str) -> Option<Vec<u64>> {
    let word = word.strip_prefix('v').unwrap_or(word);
    let begins = word.starts_with(|c: char| c.is_ascii_digit());
    let numbers: Vec<u64> = word
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map_while(|digits| digits.parse().ok())
        .collect();
    (begins && numbers.len() >= 2).then_some(numbers)
}

/// The deepest headings.
const MAX_LEVEL: usize = 6;

/// What one side did to the base.
struct Side<'l, 't> {
    lines: &'l [&'t [u8]],
    changes: Vec<Change>,
}

impl<'l, 't> Side<'l, 't> {
    fn new(base: &[&'t [u8]], lines: &'l [&'t [u8]], algorithm: Algorithm) -> Self {
        Side { lines, changes: diff(base, lines, algorithm) }
    }

    fn additions(&self, base: &[&[u8]]) -> Vec<Addition<'_>> {
        let entries = |lines: &[&[u8]]| lines.iter().filter(|line| !is_blank(line)).count();
        let mut additions = Vec::new();
        for change in &self.changes {
            let new = &self.lines[change.after.clone()];
            if entries(new) > entries(&base[change.before.clone()]) {
                let first = new.iter().find(|line| !is_blank(line));
                additions.push(Addition { change, begins_section: first.is_some_and(|line| heading(line).is_some()) });
            }
        }
        additions
    }

    /// Where a place of the base is, if no change goes over it. `behind`: what was inserted there comes before it.
    fn place(&self, at: usize, behind: bool) -> usize {
        let before = |change: &&Change| {
            change.before.end < at || (change.before.end == at && (behind || !change.before.is_empty()))
        };
        match self.changes.iter().rev().find(before) {
            Some(change) => change.after.end + (at - change.before.end),
            None => at,
        }
    }
}

/// The lines of the base, ours and theirs in which one side put a release heading over entries and the other side added entries below
/// it.
pub(super) fn slip(
    base: &[&[u8]],
    ours: &[&[u8]],
    theirs: &[&[u8]],
    algorithm: Algorithm,
) -> Option<[Range<usize>; 3]> {
    let levels = [base, ours, theirs].map(headings);
    let releases = |levels: &[Heading]| levels.iter().filter(|heading| heading.release).count();
    if releases(&levels[1]).max(releases(&levels[2])) <= releases(&levels[0]) {
        return None;
    }
    let (ours, theirs) = (Side::new(base, ours, algorithm), Side::new(base, theirs, algorithm));
    // Where sections of each level end.
    let ends: Vec<Vec<usize>> = (0..=MAX_LEVEL)
        .map(|level| levels[0].iter().filter(|heading| heading.level <= level).map(|heading| heading.at).collect())
        .collect();
    let mut range: Option<Range<usize>> = None;
    for (released, inserted, added) in [(&ours, &levels[1], &theirs), (&theirs, &levels[2], &ours)] {
        let added = added.additions(base);
        for change in &released.changes {
            let new: Vec<&Heading> = of(inserted, &change.after).filter(|heading| heading.release).collect();
            let old = of(&levels[0], &change.before).filter(|heading| heading.release).count();
            let Some(last) = new.last().filter(|_| new.len() > old) else { continue };
            // Down to here the lines of the base came under the new heading.
            let ends = &ends[last.level];
            let end = ends.get(ends.partition_point(|&end| end < change.before.end)).copied().unwrap_or(base.len());
            let section = change.before.end..end;
            if base[section.clone()].iter().all(|line| is_blank(line)) {
                continue;
            }
            let before = added.partition_point(|addition| addition.change.before.start <= section.end);
            let slipped = added[..before]
                .iter()
                .rev()
                .take_while(|addition| addition.change.before.start >= section.start)
                .find(|addition| addition.is_in(&section, change));
            if let Some(slipped) = slipped {
                let slipped = change.before.start..slipped.change.before.end;
                range = Some(match range {
                    None => slipped,
                    Some(range) => range.start.min(slipped.start)..range.end.max(slipped.end),
                });
            }
        }
    }
    let mut range = range?;
    // Whole changes of both sides.
    let mut all: Vec<&Change> = ours.changes.iter().chain(&theirs.changes).collect();
    all.sort_unstable_by_key(|change| change.before.start);
    for change in &all {
        if change.before.start < range.end && range.end < change.before.end {
            range.end = change.before.end;
        }
    }
    all.sort_unstable_by_key(|change| change.before.end);
    for change in all.iter().rev() {
        if change.before.start < range.start && range.start < change.before.end {
            range.start = change.before.start;
        }
    }
    let lines = |side: &Side<'_, '_>| side.place(range.start, false)..side.place(range.end, true);
    Some([range.clone(), lines(&ours), lines(&theirs)])
}

/// A change that adds entries.
struct Addition<'c> {
    change: &'c Change,
    begins_section: bool,
}

impl Addition<'_> {
    /// Are its entries in the section that the heading was put over? What is inserted at the place of the heading itself is not.
    fn is_in(&self, section: &Range<usize>, heading: &Change) -> bool {
        let before = &self.change.before;
        let beside = before.start == section.start && before.is_empty() && heading.before.is_empty();
        before.start >= section.start
            && before.end <= section.end
            && !beside
            && !(self.begins_section && before.start == section.end)
    }
}

struct Heading {
    at: usize,
    level: usize,
    release: bool,
}

fn of<'h>(headings: &'h [Heading], lines: &Range<usize>) -> impl Iterator<Item = &'h Heading> + use<'h> {
    let begin = headings.partition_point(|heading| heading.at < lines.start);
    let end = headings.partition_point(|heading| heading.at < lines.end);
    headings[begin..end.max(begin)].iter()
}

fn headings(lines: &[&[u8]]) -> Vec<Heading> {
    let mut fences = Fences::new(Kind::Markdown);
    let mut headings = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if fences.read_line(line) {
            continue;
        }
        if let Some(level) = heading(line) {
            headings.push(Heading { at, level, release: release(line).is_some() });
        }
    }
    headings
}
