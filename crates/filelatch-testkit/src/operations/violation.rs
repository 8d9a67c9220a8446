//! What can be wrong, and the events that show it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use filelatch::Version;

use super::record::{Action, End, Operation};

/// What kind of wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ViolationKind {
    /// A change that was acknowledged, or seen, is not in the file.
    LostUpdate,
    /// A change is in the file more than once.
    AppliedTwice,
    /// A change that was refused is in the file, or was refused although the file was what it expected.
    WrongRefusal,
    /// Two held a lock at once that excludes that, or a file was changed under its holder's hands.
    DoubleHolder,
    /// A content that nobody wrote, or that contradicts itself.
    TornRead,
    /// A read saw an older version than was acknowledged, or seen, before it began.
    StaleRead,
    /// Changes took effect in another order than that of time: a late writer was not stopped.
    WrongOrder,
    /// Two operations made the same content: nothing can be told. A mistake of the test.
    Ambiguous,
}

/// One violation, with as many operations as are needed to see it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// What kind.
    pub kind: ViolationKind,
    /// The file.
    pub file: String,
    /// What is wrong, in a sentence.
    pub message: String,
    /// The operations that show it.
    pub history: Vec<Operation>,
}

/// All violations of a run, the clearest first. At least one.
#[derive(Clone, PartialEq, Eq)]
pub struct Violations(pub(super) Vec<Violation>);

impl ViolationKind {
    /// Its name, as in [`Display`](fmt::Display), and as a word for programs.
    pub fn code(self) -> &'static str {
        match self {
            ViolationKind::LostUpdate => "lost-update",
            ViolationKind::AppliedTwice => "applied-twice",
            ViolationKind::WrongRefusal => "wrong-refusal",
            ViolationKind::DoubleHolder => "double-holder",
            ViolationKind::TornRead => "torn-read",
            ViolationKind::StaleRead => "stale-read",
            ViolationKind::WrongOrder => "wrong-order",
            ViolationKind::Ambiguous => "ambiguous",
        }
    }
}

impl fmt::Display for ViolationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code().replace('-', " "))
    }
}

impl Violation {
    pub(super) fn new<'a>(
        kind: ViolationKind,
        file: &str,
        message: String,
        history: impl IntoIterator<Item = &'a Operation>,
    ) -> Violation {
        let mut history: Vec<Operation> = history.into_iter().cloned().collect();
        history.sort_by_key(|operation| (operation.began, operation.id));
        history.dedup_by_key(|operation| operation.id);
        Violation { kind, file: file.to_owned(), message, history }
    }

    /// The events of [`Violation::history`], one line each, in the order of time, counted from the first.
    pub fn events(&self) -> Vec<String> {
        let mut events: Vec<_> = self.history.iter().flat_map(events_of).collect();
        events.sort_by_key(|(at, ..)| *at);
        let first = events.first().map_or(Duration::ZERO, |(at, ..)| *at);
        let line = |(at, id, text): &(Duration, _, String)| {
            let ms = at.saturating_sub(first).as_secs_f64() * 1000.0;
            format!("{ms:>12.3} ms  {id:<9} {text}")
        };
        events.iter().map(line).collect()
    }
}

fn short(version: Option<Version>) -> String {
    version.map_or_else(|| "no file".to_owned(), |version| version.short())
}

fn events_of(operation: &Operation) -> Vec<(Duration, String, String)> {
    let Operation { name, file, .. } = operation;
    let mut events = vec![(operation.began, format!("begins: {name} {file}"))];
    for attempt in &operation.attempts {
        let (from, to) = (short(attempt.from), attempt.to.short());
        events.push((attempt.at, format!("is about to put {to} in place of {from}")));
    }
    let killed = operation.ended.is_none();
    if let (Some(hold), Action::Hold(kind)) = (operation.hold, operation.action) {
        events.push((hold.acquired, format!("has the lock ({})", format!("{kind:?}").to_lowercase())));
        let until = if killed { "was last heard of, holding the lock" } else { "is about to release the lock" };
        events.push((hold.until, until.to_owned()));
    }
    if let Some((at, end)) = &operation.ended {
        let text = match end {
            End::Saw(version) => format!("ends: saw {}", short(*version)),
            End::Damaged(how) => format!("ends: saw a damaged content: {how}"),
            End::Changed(Some(version)) => format!("ends: acknowledged, {}", version.short()),
            End::Changed(None) => "ends: acknowledged".to_owned(),
            End::Refused(version) => format!("ends: refused, for {} was there", short(*version)),
            End::Released => "ends: the lock was released".to_owned(),
            End::Failed(why) => format!("ends with an error: {why}"),
        };
        events.push((*at, text));
    }
    let id = operation.id.to_string();
    let unanswered = if killed { " (never ended)" } else { "" };
    let mut events: Vec<_> = events.into_iter().map(|(at, text)| (at, id.clone(), text)).collect();
    events[0].2.push_str(unanswered);
    events
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}`: {}", self.kind, self.file, self.message)?;
        self.events().iter().try_for_each(|event| write!(f, "\n{event}"))
    }
}

impl fmt::Debug for Violation {
    /// As displayed: this is what `unwrap` prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Violations {
    /// Puts the clearest first: of each kind the one with the shortest history, but with one.
    pub(super) fn new(mut all: Vec<Violation>) -> Violations {
        all.sort_by_key(|violation| {
            (violation.kind, violation.history.is_empty(), violation.history.len(), began(violation))
        });
        Violations(all)
    }

    /// All of them.
    pub fn all(&self) -> &[Violation] {
        &self.0
    }

    /// Of each kind how many, and the clearest one.
    pub fn by_kind(&self) -> BTreeMap<ViolationKind, (usize, &Violation)> {
        let mut kinds = BTreeMap::new();
        for violation in &self.0 {
            kinds.entry(violation.kind).or_insert((0, violation)).0 += 1;
        }
        kinds
    }
}

fn began(violation: &Violation) -> Option<Duration> {
    violation.history.first().map(|operation| operation.began)
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (kind, (count, first))) in self.by_kind().iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "\n" })?;
            match count {
                1 => write!(f, "{first}")?,
                _ => write!(f, "{count} times {kind}; the clearest:\n{first}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Violations {
    /// As displayed: this is what `unwrap` prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Violations {}
