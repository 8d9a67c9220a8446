//! Which schedule is next: all of them by depth-first search, some by chance, or a given one.
//!
//! # Invariants
//! - A schedule is what was chosen where there was a choice; where nobody chooses otherwise, the first option is taken. So the
//!   same text replays under any limits.
//! - The first option is free: it lets the thread go on that made the last step, if it can.

use std::fmt::Write;

use crate::sim::call::Verb;
use crate::sim::dials::Rng;

/// One thing that can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// This thread goes on.
    Run(usize),
    /// The process of this thread is killed.
    Kill(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) step: Step,
    /// The call that it makes.
    pub(super) verb: Option<Verb>,
    /// Somebody else's turn although the last one could go on.
    pub(super) preempts: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    choices: Vec<Choice>,
    taken: usize,
    /// Preemptions before this choice.
    used: usize,
}

#[derive(Debug)]
enum Mode {
    /// Up to so many preemptions in one schedule.
    All { preemptions: usize },
    /// One in so many choices is not the first.
    Random { rng: Rng, one_in: usize },
    /// Position and choice, where it is not the first.
    Given(Vec<(usize, usize)>),
}

/// The schedules so far and the one under way.
#[derive(Debug)]
pub(super) struct Search {
    mode: Mode,
    path: Vec<Node>,
    /// Choices of the present run.
    at: usize,
    /// So many of them were made in the last run, too.
    known: usize,
    used: usize,
    diverged: bool,
}

impl Search {
    fn new(mode: Mode) -> Search {
        Search { mode, path: Vec::new(), at: 0, known: 0, used: 0, diverged: false }
    }

    pub(super) fn all(preemptions: usize) -> Search {
        Search::new(Mode::All { preemptions })
    }

    pub(super) fn random(seed: u64) -> Search {
        let mut rng = Rng::new(seed);
        // Few switches find other bugs than many.
        let one_in = [2, 4, 10, 30][rng.below(4)];
        Search::new(Mode::Random { rng, one_in })
    }

    /// `None`: this is no schedule.
    pub(super) fn given(text: &str) -> Option<Search> {
        let parse = |part: &str| {
            let (at, choice) = part.split_once(':')?;
            Some((at.parse().ok()?, choice.parse().ok()?))
        };
        let words = text.split_whitespace().filter(|word| *word != "-");
        words.map(parse).collect::<Option<_>>().map(|given| Search::new(Mode::Given(given)))
    }

    /// The next run begins.
    pub(super) fn begin(&mut self) {
        (self.at, self.used, self.diverged) = (0, 0, false);
        if !matches!(self.mode, Mode::All { .. }) {
            self.path.clear();
        }
        self.known = self.path.len();
    }

    /// Has this run left what was seen in earlier ones?
    pub(super) fn is_new(&self) -> bool {
        self.at >= self.known
    }

    /// The choices of the last run, or those that were given, did not come: the program does not do the same each time.
    pub(super) fn has_diverged(&self) -> bool {
        let given = match &self.mode {
            Mode::Given(given) => given.iter().map(|(at, _)| at + 1).max().unwrap_or(0),
            Mode::All { .. } | Mode::Random { .. } => self.known,
        };
        self.diverged || self.at < given
    }

    /// What happens next. `choices` is not empty.
    pub(super) fn choose(&mut self, choices: Vec<Choice>) -> Step {
        if let [only] = choices[..] {
            return only.step;
        }
        if self.at < self.known && self.path[self.at].choices != choices {
            self.diverged = true;
            self.path.truncate(self.at);
            self.known = self.at;
        }
        if self.at >= self.known {
            let taken = match &mut self.mode {
                Mode::All { .. } => 0,
                Mode::Random { rng, one_in } => {
                    let chosen = if rng.below(*one_in) == 0 { rng.below(choices.len()) } else { 0 };
                    // A kill ends much of what there is to see: not at once.
                    let kills = matches!(choices[chosen].step, Step::Kill(_));
                    if kills && rng.below(8) > 0 { 0 } else { chosen }
                }
                Mode::Given(given) => {
                    let choice = given.iter().find(|(at, _)| *at == self.at).map_or(0, |(_, choice)| *choice);
                    self.diverged |= choice >= choices.len();
                    choice.min(choices.len() - 1)
                }
            };
            self.path.push(Node { choices, taken, used: self.used });
        }
        let node = &self.path[self.at];
        let choice = node.choices[node.taken];
        self.at += 1;
        self.used += usize::from(choice.preempts);
        choice.step
    }

    /// What the run that begins now is to do.
    pub(super) fn checkpoint(&self) -> Vec<Node> {
        self.path.clone()
    }

    /// Has that run made again.
    pub(super) fn restore(&mut self, checkpoint: Vec<Node>) {
        self.path = checkpoint;
    }

    /// Goes to the next schedule. False: there is none.
    pub(super) fn next(&mut self) -> bool {
        let Mode::All { preemptions } = self.mode else { return false };
        while let Some(mut node) = self.path.pop() {
            let affordable = |choice: &Choice| node.used + usize::from(choice.preempts) <= preemptions;
            let rest = node.choices.iter().enumerate().skip(node.taken + 1);
            if let Some((next, _)) = rest.into_iter().find(|(_, choice)| affordable(choice)) {
                node.taken = next;
                self.path.push(node);
                return true;
            }
        }
        false
    }

    /// The present schedule: `position:choice` where it is not the first; `-` if it always is.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (at, node) in self.path.iter().take(self.at).enumerate().filter(|(_, node)| node.taken > 0) {
            let space = if text.is_empty() { "" } else { " " };
            // Writing to a string does not fail.
            write!(text, "{space}{at}:{}", node.taken).ok();
        }
        if text.is_empty() { "-".to_owned() } else { text }
    }
}
