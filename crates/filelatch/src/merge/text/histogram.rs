//! Matching by histogram: of the runs that two sequences share, the one with the rarest item first, then what is before it and what is
//! behind it.
//!
//! The method is Bram Cohen's patience diff as Shawn Pearce extended it (`HistogramDiff` of `JGit`). How ties are broken
//! is what git was seen to do.
//!
//! # Bounds
//!
//! Every search looks at the whole of its stretch, so the worst inputs, made of many short runs that occur again and again, take time
//! with the square of their length. A budget of steps ends that: when it is used up, the stretches that are left are matched by
//! Myers' method, as are stretches in which every shared item occurs more than [`MAX_COUNT`] times. Stretches to do are kept in a list;
//! nothing recurses.

use std::ops::Range;

use gix_imara_diff::Token;

/// An item that occurs more often in a stretch does not begin a match.
const MAX_COUNT: u32 = 64;

/// The steps that searches may take altogether, so many, and so many for each item.
const STEPS: usize = 1 << 27;
const STEPS_PER_ITEM: usize = 64;

/// A stretch of both sequences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) before: Range<usize>,
    pub(super) after: Range<usize>,
}

impl Stretch {
    fn is_empty(&self) -> bool {
        self.before.is_empty() || self.after.is_empty()
    }
}

/// What became of two sequences.
pub(super) struct Matching {
    /// Equal stretches, in no particular order.
    pub(super) same: Vec<Stretch>,
    /// Stretches to be matched in another way.
    pub(super) left: Vec<Stretch>,
}

/// Matches two sequences of numbers below `numbers`.
pub(super) fn matching(before: &[Token], after: &[Token], numbers: usize) -> Matching {
    matching_within(STEPS + STEPS_PER_ITEM * (before.len() + after.len()), before, after, numbers)
}

fn matching_within(steps: usize, before: &[Token], after: &[Token], numbers: usize) -> Matching {
    let mut search = Search::new(before, after, numbers, steps);
    let mut done = Matching { same: Vec::new(), left: Vec::new() };
    let mut open = vec![Stretch { before: 0..before.len(), after: 0..after.len() }];
    while let Some(stretch) = open.pop() {
        if stretch.is_empty() {
            continue;
        }
        match search.best_run(&stretch) {
            Found::Nothing => {}
            Found::OnlyFrequent => done.left.push(stretch),
            Found::Run(run) => {
                open.push(Stretch {
                    before: run.before.end..stretch.before.end,
                    after: run.after.end..stretch.after.end,
                });
                open.push(Stretch {
                    before: stretch.before.start..run.before.start,
                    after: stretch.after.start..run.after.start,
                });
                done.same.push(run);
            }
        }
    }
    done
}

enum Found {
    /// The sides share no item.
    Nothing,
    /// All that they share is too frequent, or the budget is used up.
    OnlyFrequent,
    Run(Stretch),
}

struct Search<'a> {
    before: &'a [Token],
    after: &'a [Token],
    /// For each place in `before`, the next one with the same item; its length if there is none.
    next: Vec<u32>,
    /// For each number, where it first occurs in the stretch of `before`, and how often it occurs there.
    first: Vec<u32>,
    count: Vec<u32>,
    steps_left: usize,
}

impl<'a> Search<'a> {
    fn new(before: &'a [Token], after: &'a [Token], numbers: usize, steps_left: usize) -> Self {
        let none = place(before.len());
        let mut first = vec![none; numbers];
        let mut next = vec![none; before.len()];
        for (at, token) in before.iter().enumerate().rev() {
            next[at] = std::mem::replace(&mut first[token.0 as usize], place(at));
        }
        Search { before, after, next, first, count: vec![0; numbers], steps_left }
    }

    fn best_run(&mut self, stretch: &Stretch) -> Found {
        let steps = stretch.before.len() + stretch.after.len();
        if steps > self.steps_left {
            return Found::OnlyFrequent;
        }
        self.steps_left -= steps;
        for at in stretch.before.clone().rev() {
            let number = self.before[at].0 as usize;
            self.first[number] = place(at);
            self.count[number] += 1;
        }
        let found = self.search(stretch);
        for at in stretch.before.clone() {
            self.count[self.before[at].0 as usize] = 0;
        }
        found
    }

    fn search(&mut self, stretch: &Stretch) -> Found {
        let mut best = Stretch { before: 0..0, after: 0..0 };
        let mut best_count = MAX_COUNT + 1;
        let mut shares_any = false;
        let mut at = stretch.after.start;
        while at < stretch.after.end {
            let number = self.after[at].0 as usize;
            let count = self.count[number];
            shares_any |= count > 0;
            let mut resume = at + 1;
            if count > 0 && count <= best_count {
                let mut occurrence = self.first[number] as usize;
                while occurrence < stretch.before.end {
                    let (run, rarest) = self.run_around(occurrence, at, stretch);
                    let Some(left) = self.steps_left.checked_sub(run.before.len()) else { return Found::OnlyFrequent };
                    self.steps_left = left;
                    resume = resume.max(run.after.end);
                    while occurrence < run.before.end {
                        occurrence = self.next[occurrence] as usize;
                    }
                    if run.before.len() > best.before.len() || rarest < best_count {
                        best_count = rarest;
                        best = run;
                    }
                }
            }
            at = resume;
        }
        match best_count {
            0..=MAX_COUNT => Found::Run(best),
            _ if shares_any => Found::OnlyFrequent,
            _ => Found::Nothing,
        }
    }

    /// The equal run around two equal items, and how often its rarest item occurs.
    fn run_around(&self, in_before: usize, in_after: usize, stretch: &Stretch) -> (Stretch, u32) {
        let (before, after) = (&self.before[stretch.before.clone()], &self.after[stretch.after.clone()]);
        let (b, a) = (in_before - stretch.before.start, in_after - stretch.after.start);
        let equal = |(x, y): &(&Token, &Token)| x == y;
        let behind = before[b..].iter().zip(&after[a..]).take_while(equal).count();
        let ahead = before[..b].iter().rev().zip(after[..a].iter().rev()).take_while(equal).count();
        let run = Stretch { before: in_before - ahead..in_before + behind, after: in_after - ahead..in_after + behind };
        let counts = self.before[run.before.clone()].iter().map(|token| self.count[token.0 as usize]);
        (run, counts.min().unwrap_or(0))
    }
}

/// A place as the search keeps it; sequences are shorter than 2³² items.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MERGE-1: when the budget is used up, what is left to match is said, and nothing is matched twice.
    #[test]
    fn the_budget_ends_the_search() {
        // Runs that occur fifty times, with something else after every two items: one search for each of them.
        let before: Vec<Token> = (0..2000).map(|at| Token(at % 40)).collect();
        let after: Vec<Token> = (0..3000).map(|at| Token(if at % 3 == 2 { 40 + at } else { at % 40 })).collect();
        let covered = |stretches: &[Stretch]| stretches.iter().map(|stretch| stretch.after.len()).sum::<usize>();
        let all = matching(&before, &after, 3040);
        assert_eq!(all.left, []);
        let mut matched = 0;
        for steps in [0, 10_000, 50_000, 200_000] {
            let some = matching_within(steps, &before, &after, 3040);
            assert!(some.same.iter().all(|run| all.same.contains(run)), "{steps}");
            assert!(!some.left.is_empty(), "{steps}");
            assert!(covered(&some.same) >= matched, "{steps}");
            matched = covered(&some.same);
        }
        assert!(matched > 0 && matched < covered(&all.same));
    }
}
