//! The versions of one file, walked backwards from what is on disk: what was published, by whom, in which order.

use std::collections::HashMap;

use filelatch::Version;

use super::check::FileState;
use super::record::{Action, Attempt, End, Operation};
use super::violation::{Violation, ViolationKind};

/// The path of versions that were published.
///
/// Invariant: `path[i]` was made from `path[i - 1]`; its position is `i + 1`. Position 0 is the first version, when the path is whole.
pub(super) struct Chain<'a> {
    pub(super) path: Vec<(Version, &'a Operation)>,
    /// It begins where the file began; else what is not on it can't be judged.
    whole: bool,
    made: HashMap<Version, (&'a Operation, Option<Version>)>,
    positions: HashMap<Option<Version>, usize>,
}

/// What of an operation's attempts is real; a change that changes nothing makes no version.
fn versions(operation: &Operation) -> impl Iterator<Item = &Attempt> {
    operation.attempts.iter().filter(|attempt| attempt.from != Some(attempt.to))
}

impl<'a> Chain<'a> {
    pub(super) fn walk(
        file: &str,
        operations: &[&'a Operation],
        state: &FileState,
        violations: &mut Vec<Violation>,
    ) -> Self {
        let mut made = HashMap::<Version, (&Operation, Option<Version>)>::new();
        let mut broken = |kind, message, history: &[&Operation]| {
            violations.push(Violation::new(kind, file, message, history.iter().copied()));
        };
        for operation in operations.iter().copied().filter(|operation| operation.action == Action::Change) {
            for Attempt { from, to, .. } in versions(operation) {
                // Of several attempts with one content the last one counts: the others were not published.
                let before = made.insert(*to, (operation, *from)).map(|(other, _)| other);
                if let Some(other) = before.filter(|other| other.id != operation.id) {
                    let message = format!("{} and {} both made the content {}", other.id, operation.id, to.short());
                    broken(ViolationKind::Ambiguous, message, &[other, operation]);
                }
            }
        }
        let mut path = Vec::new();
        let mut at = state.last;
        let mut whole = true;
        while at != state.first {
            let maker = at.and_then(|version| made.get(&version).map(|(maker, from)| (version, *maker, *from)));
            let next = path.last().map(|(_, operation): &(Version, &Operation)| *operation);
            let Some((version, maker, from)) = maker.filter(|_| path.len() < made.len()) else {
                whole = false;
                let (kind, message) = match (at, next) {
                    (None, None) => (ViolationKind::LostUpdate, "the file is gone at the end".to_owned()),
                    (None, Some(next)) => {
                        (ViolationKind::LostUpdate, format!("{} found no file where there had been one", next.id))
                    }
                    (Some(version), None) => {
                        let version = version.short();
                        (ViolationKind::TornRead, format!("nobody wrote what is there at the end ({version})"))
                    }
                    (Some(version), Some(next)) => {
                        let version = version.short();
                        (ViolationKind::TornRead, format!("nobody wrote {version}, which {} changed", next.id))
                    }
                };
                broken(kind, message, next.as_slice());
                break;
            };
            path.push((version, maker));
            at = from;
        }
        path.reverse();
        let mut positions: HashMap<_, _> = path.iter().enumerate().map(|(i, (v, _))| (Some(*v), i + 1)).collect();
        if whole {
            positions.insert(state.first, 0);
        }
        Chain { path, whole, made, positions }
    }

    /// The position of a version that was published.
    pub(super) fn position(&self, version: Option<Version>) -> Option<usize> {
        self.positions.get(&version).copied()
    }

    /// Positions at which a change is in the file.
    pub(super) fn places(&self, operation: &Operation) -> Vec<usize> {
        let place = |attempt: &Attempt| {
            let place = self.position(Some(attempt.to))?;
            // Position 0 is nobody's.
            (place > 0 && self.path[place - 1].1.id == operation.id).then_some(place)
        };
        let mut places: Vec<_> = versions(operation).filter_map(place).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Is each change there as often as its answer says?
    pub(super) fn judge_change(&self, file: &str, change: &'a Operation) -> Option<Violation> {
        let places = self.places(change);
        let id = change.id;
        if places.len() > 1 {
            let history = places.iter().map(|place| self.path[place - 1].1).chain([change]);
            let message = format!("{id} took effect {} times", places.len());
            return Some(Violation::new(ViolationKind::AppliedTwice, file, message, history));
        }
        match change.ended.as_ref().map(|(_, end)| end)? {
            End::Changed(version) => {
                let made = versions(change).find(|attempt| version.is_none_or(|version| version == attempt.to));
                // One that changed nothing has seen what was there.
                let made = made.or_else(|| versions(change).last())?;
                if !places.is_empty() || !self.whole {
                    return None;
                }
                let message = format!("{id} was acknowledged, but what it wrote is not in the file");
                Some(self.lost(file, message, made.to, change))
            }
            End::Refused(found) if !places.is_empty() => {
                let next = found.and_then(|found| self.made.get(&found)).map(|(maker, _)| *maker);
                let message = format!("{id} was refused, but what it wrote is in the file");
                Some(Violation::new(ViolationKind::WrongRefusal, file, message, [change].into_iter().chain(next)))
            }
            End::Refused(found) if change.attempts.last().is_some_and(|attempt| attempt.from == *found) => {
                let message = format!("{id} was refused although the file was what it expected");
                Some(Violation::new(ViolationKind::WrongRefusal, file, message, [change]))
            }
            _ => None,
        }
    }

    /// A version that was seen and is not on the path.
    pub(super) fn judge_sighting(&self, file: &str, seen: Option<Version>, by: &'a Operation) -> Option<Violation> {
        if self.position(seen).is_some() {
            return None;
        }
        let (kind, message, also) = match seen.map(|seen| (seen, self.made.get(&seen))) {
            _ if !self.whole && seen.is_none_or(|seen| self.made.contains_key(&seen)) => return None,
            None => (ViolationKind::LostUpdate, format!("{} found no file where there had been one", by.id), None),
            Some((seen, None)) => {
                (ViolationKind::TornRead, format!("{} saw {}, which nobody wrote", by.id, seen.short()), None)
            }
            Some((seen, Some((maker, _)))) => {
                let message = format!("{} saw what {} wrote, but it is not in the file", by.id, maker.id);
                let mut lost = self.lost(file, message, seen, maker);
                lost.history.push(by.clone());
                return Some(Violation::new(lost.kind, file, lost.message.clone(), &lost.history));
            }
        };
        Some(Violation::new(kind, file, message, [by].into_iter().chain(also)))
    }

    /// How a version was lost: two were made from one, and the path goes on with the other.
    fn lost(&self, file: &str, message: String, version: Version, change: &'a Operation) -> Violation {
        let (mut at, mut first) = (version, change);
        let mut steps = 0;
        let fork = loop {
            let Some((maker, from)) = self.made.get(&at) else { break None };
            first = maker;
            steps += 1;
            match (self.position(*from), from) {
                (Some(place), _) => break Some(place),
                (None, Some(from)) if steps <= self.made.len() => at = *from,
                _ => break None,
            }
        };
        let on_path = |place: usize| self.path.get(place).map(|(_, operation)| *operation);
        let rival = fork.and_then(on_path);
        let base = fork.and_then(|place| place.checked_sub(1)).and_then(on_path);
        let message = match rival {
            Some(rival) if first.id == change.id => {
                format!("{message}: {} replaced the same version, and its result is", rival.id)
            }
            Some(rival) => format!(
                "{message}: {} and {} replaced the same version; the file goes on with {1}'s, it was made from {0}'s",
                first.id, rival.id
            ),
            None => message,
        };
        let history = [Some(change), Some(first), rival, base].into_iter().flatten();
        Violation::new(ViolationKind::LostUpdate, file, message, history)
    }
}
