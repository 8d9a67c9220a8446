//! Locks: nobody else holds, and nobody else changes, while somebody holds.

use std::collections::HashMap;
use std::time::Duration;

use filelatch::LockKind;

use super::chain::Chain;
use super::order::Sighting;
use super::record::{Action, End, Hold, Operation};
use super::violation::{Violation, ViolationKind};
use crate::history::{self, History};

struct Held<'a> {
    operation: &'a Operation,
    kind: LockKind,
    hold: Hold,
}

pub(super) fn judge<'a>(
    file: &str,
    operations: &[&'a Operation],
    chain: &Chain<'a>,
    sightings: &[Sighting<'a>],
    violations: &mut Vec<Violation>,
) {
    let held = |operation: &&'a Operation| match (operation.action, operation.hold) {
        // Too short for the clock: nothing can overlap it.
        (Action::Hold(kind), Some(hold)) if hold.acquired < hold.until => Some(Held { operation, kind, hold }),
        _ => None,
    };
    let mut held: Vec<_> = operations.iter().filter_map(held).collect();
    held.sort_by_key(|held| held.hold.acquired);
    violations.extend(overlap(file, &held));
    intruders(file, operations, &held, violations);
    unsteady(file, &held, chain, sightings, violations);
}

/// The first two that held the lock at once.
fn overlap(file: &str, held: &[Held<'_>]) -> Option<Violation> {
    use history::{Event, EventKind};

    let event = |task, kind, lock| Event { task, resource: file.to_owned(), lock, kind };
    let both = |(i, held): (usize, &Held<'_>)| {
        let acquired = (held.hold.acquired, 1, event(i, EventKind::Acquired, held.kind));
        [acquired, (held.hold.until, 0, event(i, EventKind::Released, held.kind))]
    };
    let mut events: Vec<_> = held.iter().enumerate().flat_map(both).collect();
    // At the same moment the one who leaves goes first.
    events.sort_by_key(|(at, order, _)| (*at, *order));
    let overlap = History::from_events(events.into_iter().map(|(_, _, event)| event)).check().err()?;
    let second = held[overlap.event.task].operation;
    let others = overlap.holders.iter().map(|(task, ..)| held[*task].operation);
    let first = others.clone().next()?;
    let message = format!("{} got the lock while {} held it", second.id, first.id);
    Some(Violation::new(ViolationKind::DoubleHolder, file, message, [second].into_iter().chain(others)))
}

/// Changes that began and ended while another process held the lock.
fn intruders(file: &str, operations: &[&Operation], held: &[Held<'_>], violations: &mut Vec<Violation>) {
    let mut latest = Duration::ZERO;
    // The latest end of all holds up to here: tells when to stop looking back.
    let ends: Vec<_> = held
        .iter()
        .map(|held| {
            latest = latest.max(held.hold.until);
            latest
        })
        .collect();
    for change in operations.iter().copied().filter(|operation| operation.action == Action::Change) {
        let Some((ended, End::Changed(_))) = &change.ended else { continue };
        let mut i = held.partition_point(|held| held.hold.acquired < change.began);
        while i > 0 && ends[i - 1] > *ended {
            i -= 1;
            let Held { operation: holder, hold, .. } = &held[i];
            if hold.until > *ended && holder.id.process != change.id.process {
                let message = format!("{} changed the file while {} held its lock", change.id, holder.id);
                violations.push(Violation::new(ViolationKind::DoubleHolder, file, message, [change, *holder]));
                break;
            }
        }
    }
}

/// What a holder sees twice was changed by nobody else in between.
fn unsteady<'a>(
    file: &str,
    held: &[Held<'a>],
    chain: &Chain<'a>,
    sightings: &[Sighting<'a>],
    violations: &mut Vec<Violation>,
) {
    let mut by_process = HashMap::<u64, Vec<&Sighting<'_>>>::new();
    for sighting in sightings {
        by_process.entry(sighting.operation.id.process).or_default().push(sighting);
    }
    for sightings in by_process.values_mut() {
        sightings.sort_by_key(|sighting| sighting.operation.began);
    }
    for Held { operation: holder, hold, .. } in held {
        let Some(own) = by_process.get(&holder.id.process) else { continue };
        let from = own.partition_point(|sighting| sighting.operation.began < hold.acquired);
        let within = |sighting: &&&Sighting<'_>| sighting.ended.is_some_and(|ended| ended <= hold.until);
        let inside: Vec<_> = own[from..].iter().take_while(within).collect();
        for pair in inside.windows(2) {
            let (one, two) = (pair[0], pair[1]);
            let Some(between) = chain.path.get(one.position..two.position) else { continue };
            let stranger = between.iter().find(|(_, operation)| operation.id.process != holder.id.process);
            if let Some((_, stranger)) = stranger {
                let message = format!("what {} saw under its lock was changed meanwhile by {}", holder.id, stranger.id);
                let history = [*holder, one.operation, two.operation, *stranger];
                violations.push(Violation::new(ViolationKind::DoubleHolder, file, message, history));
                break;
            }
        }
    }
}
