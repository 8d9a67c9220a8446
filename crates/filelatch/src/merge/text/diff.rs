//! The difference of two sequences: which stretches of one were replaced by which of the other.
//!
//! # What this module promises
//!
//! - The changes are those that git finds between lines: the same matches, and the same choice where a change could stand at
//!   several places.
//! - Changes are in order, do not touch each other, and what lies between them is equal.
//! - Time is bounded as git bounds it: Myers' method gives up the shortest answer for a good one on long unlike stretches, and the
//!   histogram becomes Myers' where every shared item is frequent. Two bounds are not git's: [`histogram`] has a budget, and Myers'
//!   method gets no more than [`MAX_ITEMS`] items of two sequences. Beyond that the histogram is used, whatever was asked for, and what
//!   it leaves over is one change.
//!
//! Myers' method and the choice of places are the crate `gix-imara-diff`'s, which only this folder knows. The histogram is ours: the
//! crate's takes off what the sequences begin and end with alike before it counts, and goes on at another place after a match, so that
//! its answers are not always git's.

use std::hash::Hash;
use std::ops::Range;

use gix_imara_diff::{Diff, IndentHeuristic, IndentLevel, Interner, NoSliderHeuristic, SliderHeuristic, Token};

use super::histogram::{self, Matching};
use crate::merge::options::Algorithm;

/// A stretch of one sequence that became another stretch; one of the two may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) before: Range<usize>,
    pub(crate) after: Range<usize>,
}

/// What turns `before` into `after`.
pub(crate) fn diff<T: Eq + Hash>(before: &[T], after: &[T], algorithm: Algorithm) -> Vec<Change> {
    let mut numbers = Numbers::default();
    let before: Vec<Token> = before.iter().map(|item| numbers.number(item)).collect();
    let after: Vec<Token> = after.iter().map(|item| numbers.number(item)).collect();
    numbers.diff(&before, &after, algorithm)
}

/// Equal items get equal numbers.
pub(crate) struct Numbers<T> {
    interner: Interner<T>,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Numbers { interner: Interner::new(0) }
    }
}

impl<T: Eq + Hash> Numbers<T> {
    pub(super) fn number(&mut self, item: T) -> Token {
        self.interner.intern(item)
    }

    /// How many different items were numbered; their numbers are those below.
    pub(super) fn count(&self) -> usize {
        self.interner.num_tokens() as usize
    }

    /// What turns `before` into `after`, both of this object's numbers.
    pub(super) fn diff(&self, before: &[Token], after: &[Token], algorithm: Algorithm) -> Vec<Change> {
        self.changes(before, after, algorithm, NoSliderHeuristic)
    }

    fn changes(
        &self,
        before: &[Token],
        after: &[Token],
        algorithm: Algorithm,
        places: impl SliderHeuristic,
    ) -> Vec<Change> {
        if before.len().max(after.len()) > MAX_LENGTH {
            return vec![Change { before: 0..before.len(), after: 0..after.len() }];
        }
        let mut diff = self.matched(before, after, algorithm);
        diff.postprocess_with(before, after, places);
        diff.hunks()
            .map(|hunk| Change {
                before: hunk.before.start as usize..hunk.before.end as usize,
                after: hunk.after.start as usize..hunk.after.end as usize,
            })
            .collect()
    }

    fn matched(&self, before: &[Token], after: &[Token], algorithm: Algorithm) -> Diff {
        match algorithm {
            Algorithm::Myers if differing(before, after) <= MAX_ITEMS => myers(before, after),
            Algorithm::Myers | Algorithm::Histogram => {
                let matching = histogram::matching(before, after, self.count());
                of_partners(&partners(before, after, matching), after.len())
            }
        }
    }
}

/// How many items stand between those that the two begin and end with alike.
fn differing(before: &[Token], after: &[Token]) -> usize {
    let equal = |(a, b): &(&Token, &Token)| a == b;
    let head = before.iter().zip(after).take_while(equal).count();
    let tail = before[head..].iter().rev().zip(after[head..].iter().rev()).take_while(equal).count();
    before.len() + after.len() - 2 * (head + tail)
}

/// For each item of `before` the one of `after` that it became.
fn partners(before: &[Token], after: &[Token], matching: Matching) -> Vec<Option<u32>> {
    let mut partners = vec![None; before.len()];
    for same in matching.same {
        for (in_before, in_after) in same.before.zip(same.after) {
            partners[in_before] = Some(number(in_after));
        }
    }
    let mut items_left = MAX_ITEMS;
    for left in matching.left {
        let (before, after) = (&before[left.before.clone()], &after[left.after.clone()]);
        let Some(rest) = items_left.checked_sub(differing(before, after)) else { continue };
        items_left = rest;
        let diff = myers(before, after);
        let mut kept = left.after.clone().filter(|&at| !diff.is_added(number(at - left.after.start)));
        for at in left.before.clone() {
            if !diff.is_removed(number(at - left.before.start)) {
                partners[at] = kept.next().map(number);
            }
        }
    }
    partners
}

impl Numbers<&[u8]> {
    /// As [`diff`](Self::diff), for readers: where a change could stand at several places, indentation and blank lines tell which.
    pub(crate) fn diff_for_readers(&self, before: &[Token], after: &[Token], algorithm: Algorithm) -> Vec<Change> {
        let indent = |line: Token| IndentLevel::for_ascii_line(self.interner[line].iter().copied(), TAB);
        self.changes(before, after, algorithm, IndentHeuristic::new(indent))
    }
}

fn myers(before: &[Token], after: &[Token]) -> Diff {
    let mut diff = Diff::default();
    diff.compute_with(gix_imara_diff::Algorithm::Myers, before, after, 0);
    diff
}

/// The difference in which each item of `before` has the partner in `after` that is given, if any. The crate makes differences only
/// by finding them, so it is given sequences in which nothing else can be found.
fn of_partners(partners: &[Option<u32>], after: usize) -> Diff {
    let alone = |at: usize| number(after + at);
    let before: Vec<Token> =
        partners.iter().enumerate().map(|(at, partner)| Token(partner.unwrap_or_else(|| alone(at)))).collect();
    let after: Vec<Token> = (0..after).map(|at| Token(number(at))).collect();
    myers(&before, &after)
}

/// A place in a sequence of at most `MAX_LENGTH` items, or in two.
fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// A tab indents to the next multiple of so many columns.
const TAB: u8 = 8;

/// Longer sequences are one change: places are counted in 31 bits.
const MAX_LENGTH: usize = 1 << 30;

/// Two such sequences with nothing in common take Myers' method a few seconds.
const MAX_ITEMS: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// MERGE-1: what is too long and too much alike for Myers' method is one change, soon.
    #[test]
    fn long_sequences_of_frequent_items_are_one_change() {
        let sequence = |mut state: u32| -> Vec<bool> {
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state >> 31 == 1
            };
            (0..MAX_ITEMS * 3 / 5).map(|_| next()).collect()
        };
        let (before, after) = (sequence(1), sequence(2));
        for algorithm in [Algorithm::Myers, Algorithm::Histogram] {
            assert_eq!(diff(&before, &after, algorithm).len(), 1, "{algorithm:?}");
        }
        let mut edited = before.clone();
        edited.splice(1000..1003, [true; 5]);
        assert!(!diff(&before, &edited, Algorithm::Myers).is_empty());
    }

    /// MERGE-1: changes are in order, apart from each other, and turn the one sequence into the other.
    #[test]
    fn changes_turn_one_into_the_other() {
        let mut state = 7_u32;
        let mut sequence = || -> Vec<u32> {
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state >> 24
            };
            let length = next() % 40;
            (0..length).map(|_| next() % 5).collect()
        };
        for round in 0..500 {
            let (before, after) = (sequence(), sequence());
            for algorithm in [Algorithm::Myers, Algorithm::Histogram] {
                let changes = diff(&before, &after, algorithm);
                let mut rebuilt = Vec::new();
                let mut done = 0;
                for (n, change) in changes.iter().enumerate() {
                    assert!(n == 0 || change.before.start > done, "touching changes in round {round}: {changes:?}");
                    assert!(!change.before.is_empty() || !change.after.is_empty());
                    rebuilt.extend_from_slice(&before[done..change.before.start]);
                    assert_eq!(rebuilt.len(), change.after.start);
                    rebuilt.extend_from_slice(&after[change.after.clone()]);
                    done = change.before.end;
                }
                rebuilt.extend_from_slice(&before[done..]);
                assert_eq!(rebuilt, after, "round {round}, {algorithm:?}");
            }
        }
    }
}
