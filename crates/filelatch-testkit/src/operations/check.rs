//! The check of a whole run: file by file, all rules of the module's head.

use std::collections::{BTreeMap, HashMap, HashSet};

use filelatch::Version;

use super::chain::Chain;
use super::record::{Action, End, OpId, Operation};
use super::violation::{Violation, ViolationKind, Violations};
use super::{holds, order};
use crate::verify_no_lost_updates;

/// A file as the run found it and left it. The default: it does not exist, before and after.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileState {
    /// Its version before; `None`: no file.
    pub first: Option<Version>,
    /// Its version at the end.
    pub last: Option<Version>,
    /// If the content itself tells them: the changes that are in it, in its order.
    pub changes: Option<Vec<OpId>>,
}

/// What a check that found nothing wrong has looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedOperations {
    /// Changes that were acknowledged, all of them there.
    pub acknowledged: usize,
    /// Changes without an answer (of killed processes) that are there.
    pub unanswered: usize,
    /// Changes that were refused, none of them there.
    pub refused: usize,
    /// Reads, each of a whole version and not too old.
    pub reads: usize,
    /// Locks that were had, with no overlap.
    pub holds: usize,
}

/// Checks the operations of all processes against what they left; see the [module](super). A file that is not in `files` does not
/// exist, before and after.
pub fn check(operations: &[Operation], files: &BTreeMap<String, FileState>) -> Result<VerifiedOperations, Violations> {
    let mut by_file: BTreeMap<&str, Vec<&Operation>> = files.keys().map(|file| (file.as_str(), Vec::new())).collect();
    for operation in operations {
        by_file.entry(&operation.file).or_default().push(operation);
    }
    let mut verified = VerifiedOperations::default();
    let mut violations = Vec::new();
    let nothing = FileState::default();
    for (file, operations) in by_file {
        let state = files.get(file).unwrap_or(&nothing);
        check_file(file, &operations, state, &mut verified, &mut violations);
    }
    if violations.is_empty() { Ok(verified) } else { Err(Violations::new(violations)) }
}

fn check_file(
    file: &str,
    operations: &[&Operation],
    state: &FileState,
    verified: &mut VerifiedOperations,
    violations: &mut Vec<Violation>,
) {
    let chain = Chain::walk(file, operations, state, violations);
    let mut told = HashSet::new();
    for operation in operations.iter().copied() {
        match (operation.action, operation.ended.as_ref().map(|(_, end)| end)) {
            (_, Some(End::Damaged(how))) => {
                let message = format!("{} saw a content that contradicts itself: {how}", operation.id);
                violations.push(Violation::new(ViolationKind::TornRead, file, message, [operation]));
            }
            (Action::Read, Some(End::Saw(seen))) => {
                verified.reads += 1;
                violations.extend(chain.judge_sighting(file, *seen, operation));
            }
            (Action::Change, end) => {
                match end {
                    Some(End::Changed(_)) => verified.acknowledged += 1,
                    Some(End::Refused(_)) => verified.refused += 1,
                    _ => verified.unanswered += usize::from(!chain.places(operation).is_empty()),
                }
                let wrong = chain.judge_change(file, operation);
                told.extend(wrong.as_ref().map(|_| operation.id));
                violations.extend(wrong);
                let seen = match end {
                    Some(End::Refused(seen)) => Some(*seen),
                    Some(End::Changed(seen @ Some(_))) if operation.attempts.is_empty() => Some(*seen),
                    _ => None,
                };
                violations.extend(seen.and_then(|seen| chain.judge_sighting(file, seen, operation)));
            }
            (Action::Hold(_), _) => verified.holds += usize::from(operation.hold.is_some()),
            (Action::Read, _) => {}
        }
    }
    let sightings: Vec<_> = operations.iter().filter_map(|operation| order::sighting(&chain, operation)).collect();
    order::judge(file, &chain, &sightings, violations);
    holds::judge(file, operations, &chain, &sightings, violations);
    if let Some(found) = &state.changes {
        judge_content(file, operations, found, &told, violations);
    }
}

/// The content itself: each acknowledged change once, no refused one, those of one process in its order. Changes that are `told` of
/// are not told of again.
fn judge_content(
    file: &str,
    operations: &[&Operation],
    found: &[OpId],
    told: &HashSet<OpId>,
    violations: &mut Vec<Violation>,
) {
    let changes: HashMap<OpId, &Operation> =
        operations.iter().filter(|o| o.action == Action::Change).map(|o| (o.id, *o)).collect();
    let ended = |o: &Operation, how: fn(&End) -> bool| o.ended.as_ref().is_some_and(|(_, end)| how(end));
    let mut wrong = |kind, message, ids: &[OpId]| {
        if ids.iter().any(|id| told.contains(id)) {
            return;
        }
        let history = ids.iter().filter_map(|id| changes.get(id).copied());
        violations.push(Violation::new(kind, file, message, history));
    };
    let acknowledged = changes.values().filter(|o| ended(o, |end| matches!(end, End::Changed(_)))).map(|o| o.id);
    if let Err(lost) = verify_no_lost_updates(acknowledged, found.iter().copied()) {
        for (id, _) in lost.lost {
            wrong(ViolationKind::LostUpdate, format!("{id} was acknowledged, but the content lacks it"), &[id]);
        }
        for (id, _) in lost.duplicated {
            wrong(ViolationKind::AppliedTwice, format!("{id} is in the content more than once"), &[id]);
        }
    }
    let mut last = HashMap::<u64, OpId>::new();
    for id in found {
        match changes.get(id) {
            None => wrong(ViolationKind::TornRead, format!("the content has {id}, which nobody wrote"), &[*id]),
            Some(change) if ended(change, |end| matches!(end, End::Refused(_))) => {
                wrong(ViolationKind::WrongRefusal, format!("{id} was refused, but the content has it"), &[*id]);
            }
            Some(_) => {}
        }
        let before = last.insert(id.process, *id);
        if let Some(before) = before.filter(|before| before.number > id.number) {
            let message = format!("the content has {before} before {id}, which was made before it");
            wrong(ViolationKind::WrongOrder, message, &[before, *id]);
        }
    }
}
