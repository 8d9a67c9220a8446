//! The order of time against the order of versions.

use std::time::Duration;

use super::chain::Chain;
use super::record::{Action, End, Operation};
use super::violation::{Violation, ViolationKind};

/// That an operation was at a place of the path.
#[derive(Clone, Copy)]
pub(super) struct Sighting<'a> {
    pub(super) operation: &'a Operation,
    pub(super) position: usize,
    /// When it can't have been later; `None`: it never ended.
    pub(super) ended: Option<Duration>,
}

/// Where an operation stands: a change at its own version, the others at the one they saw.
pub(super) fn sighting<'a>(chain: &Chain<'_>, operation: &'a Operation) -> Option<Sighting<'a>> {
    let at = |position, ended| Some(Sighting { operation, position, ended });
    if operation.action == Action::Change
        && let Some(place) = chain.places(operation).first()
    {
        let answered = operation.ended.as_ref().filter(|(_, end)| matches!(end, End::Changed(_)));
        return at(*place, answered.map(|(ended, _)| *ended));
    }
    let (ended, end) = operation.ended.as_ref()?;
    match end {
        End::Saw(seen) | End::Refused(seen) => at(chain.position(*seen)?, Some(*ended)),
        // It changed nothing.
        End::Changed(Some(seen)) => at(chain.position(Some(*seen))?, Some(*ended)),
        _ => None,
    }
}

/// No operation that ended before another began stands behind it; no version is seen before its writer began.
pub(super) fn judge(file: &str, chain: &Chain<'_>, sightings: &[Sighting<'_>], violations: &mut Vec<Violation>) {
    let mut by_end: Vec<_> = sightings.iter().filter_map(|s| s.ended.map(|ended| (ended, s))).collect();
    by_end.sort_by_key(|(ended, _)| *ended);
    let mut by_begin: Vec<_> = sightings.iter().collect();
    by_begin.sort_by_key(|sighting| sighting.operation.began);
    let mut ended = by_end.into_iter().peekable();
    let mut newest: Option<&Sighting<'_>> = None;
    for late in by_begin {
        while let Some((_, early)) = ended.next_if(|(ended, _)| *ended < late.operation.began) {
            if newest.is_none_or(|newest| newest.position < early.position) {
                newest = Some(early);
            }
        }
        if let Some(early) = newest.filter(|early| early.position > late.position) {
            violations.push(behind(file, chain, early, late));
        }
        let writer = late.position.checked_sub(1).map(|place| chain.path[place].1);
        if let Some(writer) = writer.filter(|writer| late.ended.is_some_and(|ended| ended < writer.began)) {
            let message = format!("{} saw what {} began to write only later", late.operation.id, writer.id);
            violations.push(Violation::new(ViolationKind::WrongOrder, file, message, [late.operation, writer]));
        }
    }
}

fn behind(file: &str, chain: &Chain<'_>, early: &Sighting<'_>, late: &Sighting<'_>) -> Violation {
    let changed = |sighting: &Sighting<'_>| {
        sighting.operation.action == Action::Change && !chain.places(sighting.operation).is_empty()
    };
    let writer = |sighting: &Sighting<'_>| sighting.position.checked_sub(1).map(|place| chain.path[place].1);
    let (a, b) = (early.operation.id, late.operation.id);
    let versions = early.position - late.position;
    let (kind, message) = match (changed(early), changed(late)) {
        (true, true) => {
            (ViolationKind::WrongOrder, format!("{b} began when {a} had been acknowledged, but took effect before it"))
        }
        (false, true) => {
            (ViolationKind::WrongOrder, format!("{b} began when {a} had seen a later version than {b} made"))
        }
        (true, false) => (
            ViolationKind::StaleRead,
            format!("{b} saw a state {versions} change(s) older than {a}, acknowledged before"),
        ),
        (false, false) => {
            (ViolationKind::StaleRead, format!("{b} saw a state {versions} change(s) older than {a} had seen before"))
        }
    };
    let makers = [writer(early), writer(late)].into_iter().flatten();
    Violation::new(kind, file, message, [early.operation, late.operation].into_iter().chain(makers))
}
