//! Errors on order.

use std::io::{self, ErrorKind};

use super::call::{Call, Verb};
use super::errors;

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing happens but this error. [`ErrorKind::Other`] stands for `EIO`. A sync that fails so puts in doubt what it
    /// should have made durable (L26).
    Error(ErrorKind),
    /// The call does its work and reports this error all the same (L29).
    Late(ErrorKind),
    /// At most so many bytes are read or written (L36).
    Short(usize),
}

impl Fault {
    /// `EIO`.
    pub const EIO: Fault = Fault::Error(ErrorKind::Other);

    /// Would a system ever do this to this verb?
    pub fn may_hit(self, verb: Verb) -> bool {
        match self {
            Fault::Error(kind) => verb.may_fail_with(kind),
            Fault::Late(kind) => (verb.renames() || verb == Verb::Remove) && verb.may_fail_with(kind),
            Fault::Short(_) => matches!(verb, Verb::ReadAt | Verb::WriteAt | Verb::Append),
        }
    }
}

impl From<ErrorKind> for Fault {
    fn from(kind: ErrorKind) -> Self {
        Fault::Error(kind)
    }
}

/// What the call now has to do.
#[derive(Debug)]
pub(super) enum Verdict {
    Go,
    Fail(io::Error),
    GoThenFail(io::Error),
    AtMost(usize),
}

#[derive(Clone, Copy, Debug)]
enum When {
    Call(u64),
    From(u64),
    Verb(Verb),
}

/// The faults that were ordered.
#[derive(Debug, Default)]
pub(super) struct Faults {
    rules: Vec<(When, Fault)>,
    /// How many calls they hit.
    pub(super) hits: u64,
}

impl Faults {
    pub(super) fn at_call(&mut self, number: u64, fault: Fault) {
        self.rules.push((When::Call(number), fault));
    }

    pub(super) fn since_call(&mut self, number: u64, fault: Fault) {
        self.rules.push((When::From(number), fault));
    }

    pub(super) fn at_verb(&mut self, verb: Verb, fault: Fault) {
        self.rules.push((When::Verb(verb), fault));
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(super) fn verdict(&mut self, call: &Call) -> Verdict {
        let hit = self.rules.iter().find(|(when, fault)| match when {
            When::Call(n) => *n == call.number && (fault.may_hit(call.verb) || !matches!(fault, Fault::Short(_))),
            When::From(n) => *n <= call.number && fault.may_hit(call.verb),
            When::Verb(verb) => *verb == call.verb,
        });
        let Some((_, fault)) = hit else { return Verdict::Go };
        self.hits += 1;
        match fault {
            Fault::Error(kind) => Verdict::Fail(errors::os(*kind)),
            Fault::Late(kind) => Verdict::GoThenFail(errors::os(*kind)),
            Fault::Short(most) => Verdict::AtMost((*most).max(1)),
        }
    }
}
