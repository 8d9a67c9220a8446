//! Histories made by hand, one for each rule; and histories of a simulated register, right ones and spoiled ones.
#![expect(clippy::ptr_arg, reason = "one type for all that spoil a history, with the two that add to it")]

use std::collections::BTreeMap;
use std::time::Duration;

use filelatch::{LockKind, Version};

use super::*;
use crate::random::Random;

fn v(content: &str) -> Version {
    Version::of(content.as_bytes())
}

fn us(n: u64) -> Duration {
    Duration::from_micros(n)
}

fn operation(process: u64, number: u64, action: Action, began: u64, end: Option<(u64, End)>) -> Operation {
    let name = match action {
        Action::Read => "read",
        Action::Change => "append",
        Action::Hold(_) => "lock",
    };
    Operation {
        id: OpId { process, number },
        name: name.to_owned(),
        file: "f".to_owned(),
        action,
        began: us(began),
        attempts: Vec::new(),
        hold: None,
        ended: end.map(|(at, end)| (us(at), end)),
    }
}

/// An acknowledged change of `from` (nothing when empty) to `to`.
fn change(process: u64, number: u64, (began, ended): (u64, u64), from: &str, to: &str) -> Operation {
    let mut change = operation(process, number, Action::Change, began, Some((ended, End::Changed(Some(v(to))))));
    change.attempts.push(Attempt { at: us(began + 1), from: (!from.is_empty()).then(|| v(from)), to: v(to) });
    change
}

fn read(process: u64, number: u64, (began, ended): (u64, u64), saw: &str) -> Operation {
    operation(process, number, Action::Read, began, Some((ended, End::Saw((!saw.is_empty()).then(|| v(saw))))))
}

fn hold(process: u64, number: u64, kind: LockKind, (acquired, until): (u64, u64)) -> Operation {
    let mut hold = operation(process, number, Action::Hold(kind), acquired - 1, Some((until + 1, End::Released)));
    hold.hold = Some(Hold { acquired: us(acquired), until: us(until) });
    hold
}

fn left(last: &str) -> FileState {
    FileState { first: None, last: (!last.is_empty()).then(|| v(last)), changes: None }
}

fn run(operations: &[Operation], state: FileState) -> Result<VerifiedOperations, Violations> {
    check(operations, &BTreeMap::from([("f".to_owned(), state)]))
}

/// The kind and the history of the only violation.
#[track_caller]
fn only(operations: &[Operation], state: FileState) -> (ViolationKind, Vec<String>, String) {
    let violations = run(operations, state).unwrap_err();
    assert_eq!(violations.all().len(), 1, "{violations}");
    let violation = &violations.all()[0];
    let ids = violation.history.iter().map(|operation| operation.id.to_string()).collect();
    (violation.kind, ids, violation.message.clone())
}

/// TEST-2: what is right passes, with killed writers whose change is there, is not there, and is there in the second attempt.
#[test]
fn test_2_a_right_history_passes() {
    let mut there = change(2, 0, (20, 30), "a", "b");
    there.ended = None;
    let mut absent = change(3, 0, (21, 31), "a", "x");
    absent.ended = None;
    let mut again = change(4, 0, (32, 50), "a", "c0");
    again.attempts.push(Attempt { at: us(40), from: Some(v("b")), to: v("c") });
    again.ended = Some((us(50), End::Changed(None)));
    let mut refused = change(5, 0, (60, 70), "b", "y");
    refused.ended = Some((us(70), End::Refused(Some(v("c")))));
    let unchanged = operation(6, 0, Action::Change, 80, Some((90, End::Changed(Some(v("c"))))));
    let operations = [
        change(1, 0, (0, 10), "", "a"),
        there,
        absent,
        again,
        refused,
        unchanged,
        read(7, 0, (0, 5), ""),
        read(7, 1, (22, 60), "a"),
        read(7, 2, (70, 80), "c"),
        hold(8, 0, LockKind::Shared, (62, 70)),
        hold(9, 0, LockKind::Shared, (65, 75)),
    ];
    let verified = run(&operations, left("c")).unwrap();
    let expected = VerifiedOperations { acknowledged: 3, unanswered: 1, refused: 1, reads: 3, holds: 2 };
    assert_eq!(verified, expected);
}

/// TEST-2: lost updates, with the rival and what both replaced, and nothing else.
#[test]
fn test_2_lost_updates() {
    let operations = [
        change(1, 0, (0, 10), "", "a"),
        change(2, 0, (20, 40), "a", "b"),
        change(3, 0, (21, 41), "a", "c"),
        change(1, 1, (50, 60), "c", "d"),
        read(4, 0, (70, 80), "d"),
    ];
    let (kind, ids, message) = only(&operations, left("d"));
    assert_eq!((kind, ids), (ViolationKind::LostUpdate, vec!["1#0".into(), "2#0".into(), "3#0".into()]));
    assert!(
        message.starts_with("2#0 was acknowledged, but what it wrote is not in the file: 3#0 replaced"),
        "{message}"
    );
    // The last one, with no rival.
    let (kind, ids, _) = only(&operations[..2], left("a"));
    assert_eq!((kind, ids), (ViolationKind::LostUpdate, vec!["1#0".into(), "2#0".into()]));
    // Never acknowledged, but seen, and then gone.
    let mut seen = operations.to_vec();
    seen[1].ended = None;
    seen.push(read(5, 0, (30, 35), "b"));
    assert_eq!(only(&seen, left("d")).0, ViolationKind::LostUpdate);
    // Gone as a whole.
    assert!(run(&operations, left("")).unwrap_err().by_kind().contains_key(&ViolationKind::LostUpdate));
}

/// TEST-2: changes that are there twice, or although they were refused; refusals without a reason.
#[test]
fn test_2_twice_and_refused() {
    let mut twice = change(1, 0, (0, 10), "", "a");
    twice.attempts.push(Attempt { at: us(5), from: Some(v("b")), to: v("a2") });
    let operations = [twice, change(2, 0, (1, 9), "a", "b")];
    assert_eq!(only(&operations, left("a2")).0, ViolationKind::AppliedTwice);

    let mut refused = change(1, 0, (0, 10), "", "a");
    refused.ended = Some((us(10), End::Refused(Some(v("b")))));
    let operations = [refused, change(2, 0, (1, 9), "a", "b")];
    assert_eq!(only(&operations, left("b")).0, ViolationKind::WrongRefusal);

    let mut refused = change(2, 0, (20, 30), "a", "b");
    refused.ended = Some((us(30), End::Refused(Some(v("a")))));
    let (kind, ids, _) = only(&[change(1, 0, (0, 10), "", "a"), refused], left("a"));
    assert_eq!((kind, ids), (ViolationKind::WrongRefusal, vec!["2#0".into()]));
}

/// TEST-2: contents that nobody wrote, seen, at the end, and as the ground of a change; and those that contradict themselves.
#[test]
fn test_2_torn() {
    let first = change(1, 0, (0, 10), "", "a");
    let (kind, ids, _) = only(&[first.clone(), read(2, 0, (5, 15), "half")], left("a"));
    assert_eq!((kind, ids), (ViolationKind::TornRead, vec!["2#0".into()]));
    assert_eq!(only(std::slice::from_ref(&first), left("half")).0, ViolationKind::TornRead);
    let on_half = change(2, 0, (20, 30), "half", "b");
    assert_eq!(only(&[first.clone(), on_half], left("b")).0, ViolationKind::TornRead);
    let damaged = operation(2, 0, Action::Read, 5, Some((15, End::Damaged("3 of 9 bytes".to_owned()))));
    assert!(only(&[first, damaged], left("a")).2.contains("3 of 9 bytes"));
}

/// TEST-2: reads of what was replaced before they began; changes that take effect out of time.
#[test]
fn test_2_stale_and_out_of_order() {
    let changes = [change(1, 0, (0, 10), "", "a"), change(1, 1, (20, 30), "a", "b")];
    let with = |read: Operation| [changes.to_vec(), vec![read]].concat();
    // At the same moment by the clock: not before.
    run(&with(read(2, 0, (30, 40), "a")), left("b")).unwrap();
    let (kind, ids, message) = only(&with(read(2, 0, (31, 40), "a")), left("b"));
    assert_eq!((kind, ids), (ViolationKind::StaleRead, vec!["1#0".into(), "1#1".into(), "2#0".into()]));
    assert_eq!(message, "2#0 saw a state 1 change(s) older than 1#1, acknowledged before");
    // Backwards: the newer one was only seen so far.
    let mut unanswered = changes.to_vec();
    unanswered[1].ended = None;
    unanswered.extend([read(2, 0, (40, 50), "b"), read(3, 0, (60, 70), "a")]);
    assert_eq!(only(&unanswered, left("b")).0, ViolationKind::StaleRead);
    // Before it was begun.
    let early = [changes.to_vec(), vec![read(2, 0, (11, 15), "b")]].concat();
    let kinds: Vec<_> = run(&early, left("b")).unwrap_err().all().iter().map(|v| v.kind).collect();
    assert!(kinds.contains(&ViolationKind::WrongOrder), "{kinds:?}");
    // A writer that comes back when later ones are done, and takes effect before them.
    let late = [change(1, 0, (0, 10), "", "a"), change(2, 0, (20, 30), "c", "b"), change(3, 0, (40, 50), "a", "c")];
    assert_eq!(only(&late, left("b")).0, ViolationKind::WrongOrder);
}

/// TEST-2: two holders; a change by somebody else while a lock is held; a holder whose file changes.
#[test]
fn test_2_double_holders() {
    use LockKind::{Exclusive, Shared};

    run(&[hold(1, 0, Exclusive, (10, 20)), hold(2, 0, Exclusive, (20, 30))], left("")).unwrap();
    for (one, two) in [(Exclusive, Exclusive), (Exclusive, Shared), (Shared, Exclusive)] {
        let (kind, ids, message) = only(&[hold(1, 0, one, (10, 20)), hold(2, 0, two, (19, 30))], left(""));
        assert_eq!((kind, ids), (ViolationKind::DoubleHolder, vec!["1#0".into(), "2#0".into()]));
        assert_eq!(message, "2#0 got the lock while 1#0 held it");
    }
    // Killed while it held: until it was last heard of.
    let mut killed = hold(1, 0, Exclusive, (10, 20));
    killed.ended = None;
    assert_eq!(only(&[killed, hold(2, 0, Exclusive, (15, 30))], left("")).0, ViolationKind::DoubleHolder);

    let changed = |from, to| [hold(1, 0, Shared, (10, 40)), change(2, 0, (from, to), "", "a")];
    run(&changed(5, 15), left("a")).unwrap();
    run(&changed(35, 45), left("a")).unwrap();
    assert_eq!(only(&changed(15, 35), left("a")).0, ViolationKind::DoubleHolder);
    let own = [hold(1, 0, Exclusive, (10, 40)), change(1, 1, (15, 35), "", "a")];
    run(&own, left("a")).unwrap();

    let mut unsteady = changed(5, 45).to_vec();
    unsteady.extend([read(1, 1, (11, 12), ""), read(1, 2, (20, 30), "a")]);
    let (kind, ids, _) = only(&unsteady, left("a"));
    assert_eq!(kind, ViolationKind::DoubleHolder);
    assert_eq!(ids, ["2#0", "1#0", "1#1", "1#2"]);
    let mut own = own.to_vec();
    own.extend([read(1, 2, (11, 12), ""), read(1, 3, (36, 38), "a")]);
    run(&own, left("a")).unwrap();
}

/// TEST-2: the content's own list of changes.
#[test]
fn test_2_content() {
    let id = |process, number| OpId { process, number };
    let operations =
        [change(1, 0, (0, 10), "", "a"), change(1, 1, (20, 30), "a", "b"), change(2, 0, (40, 50), "b", "c")];
    let found = |changes: &[OpId]| FileState { changes: Some(changes.to_vec()), ..left("c") };
    run(&operations, found(&[id(1, 0), id(1, 1), id(2, 0)])).unwrap();
    let kind = |changes: &[OpId]| only(&operations, found(changes)).0;
    assert_eq!(kind(&[id(1, 0), id(2, 0)]), ViolationKind::LostUpdate);
    assert_eq!(kind(&[id(1, 1), id(1, 0), id(2, 0)]), ViolationKind::WrongOrder);
    assert_eq!(kind(&[id(1, 0), id(1, 1), id(2, 0), id(2, 0)]), ViolationKind::AppliedTwice);
    assert_eq!(kind(&[id(1, 0), id(1, 1), id(2, 0), id(3, 0)]), ViolationKind::TornRead);
}

/// TEST-2: contents that are not unique prove nothing, and that is said.
#[test]
fn test_2_contents_have_to_be_unique() {
    let operations = [change(1, 0, (0, 10), "", "a"), change(2, 0, (20, 30), "", "a")];
    let kinds: Vec<_> = run(&operations, left("a")).unwrap_err().all().iter().map(|v| v.kind).collect();
    assert!(kinds.contains(&ViolationKind::Ambiguous), "{kinds:?}");
}

/// TEST-2: what people see.
#[test]
fn test_2_a_violation_as_text() {
    let operations = [change(1, 0, (1000, 3000), "", "a"), read(2, 0, (4000, 5000), "")];
    let text = run(&operations, left("a")).unwrap_err().to_string();
    let version = v("a").short();
    let expected = format!(
        "stale read: `f`: 2#0 saw a state 1 change(s) older than 1#0, acknowledged before
       0.000 ms  1#0       begins: append f
       0.001 ms  1#0       is about to put {version} in place of no file
       2.000 ms  1#0       ends: acknowledged, {version}
       3.000 ms  2#0       begins: read f
       4.000 ms  2#0       ends: saw no file"
    );
    assert_eq!(text, expected);
}

/// TEST-2: what is noted is what is read; a line that was cut off by a kill does not count, a damaged one is told of.
#[test]
fn test_2_logs() {
    let mut log = Vec::new();
    let recorder = Recorder::new(&mut log);
    let lock = recorder.begin(Action::Hold(LockKind::Exclusive), "lock", "a b").unwrap();
    lock.acquired().unwrap();
    let append = recorder.begin(Action::Change, "append", "a b").unwrap();
    append.attempt(None, v("x")).unwrap();
    append.end(&End::Changed(Some(v("x")))).unwrap();
    assert!(recorder.begin(Action::Read, "two words", "f").is_err());
    assert!(recorder.begin(Action::Read, "read", "f\n").is_err());
    let operations = gather(7, &log).unwrap();
    let [lock, append] = &operations[..] else { panic!("{operations:?}") };
    assert_eq!((lock.id, lock.file.as_str(), &lock.ended), (OpId { process: 7, number: 0 }, "a b", &None));
    let (at, end) = append.ended.as_ref().unwrap();
    assert_eq!((append.name.as_str(), end), ("append", &End::Changed(Some(v("x")))));
    assert_eq!((append.attempts[0].from, append.attempts[0].to), (None, v("x")));
    // It was not given back: held until the process was last heard of.
    assert_eq!(lock.hold.map(|hold| hold.until), Some(*at));

    let whole = log.len();
    log.extend_from_slice(b"999 1 chan");
    assert_eq!(gather(7, &log).unwrap(), operations);
    log.extend_from_slice(b"ge\n");
    let line = log[..whole].iter().filter(|byte| **byte == b'\n').count() + 1;
    assert_eq!(gather(7, &log).unwrap_err(), ParseLogError { line, text: "999 1 change".to_owned() });
    let ends = [
        End::Saw(None),
        End::Damaged("a b".to_owned()),
        End::Changed(None),
        End::Refused(Some(v("x"))),
        End::Released,
        End::Failed("no".to_owned()),
    ];
    for end in ends {
        assert_eq!(end.to_string().parse(), Ok(end));
    }
}

/// A register and its users, simulated step by step: what a right implementation may do.
struct Simulation {
    random: Random,
    now: u64,
    current: Option<Version>,
    applied: Vec<OpId>,
    /// Who holds the lock, and how.
    holders: Vec<(usize, LockKind)>,
    users: Vec<User>,
    operations: Vec<Operation>,
    next_process: u64,
}

#[derive(Default)]
struct User {
    process: u64,
    number: u64,
    doing: Option<Operation>,
    /// The effect has happened.
    done: bool,
    /// A change that gives up when it finds another version than it began with.
    strict: bool,
}

impl Simulation {
    fn run(seed: u64, steps: usize) -> (Vec<Operation>, FileState) {
        let users = (0..4).map(|process| User { process, ..User::default() }).collect();
        let mut simulation = Simulation {
            random: Random::new(seed),
            now: 1000,
            current: None,
            applied: Vec::new(),
            holders: Vec::new(),
            users,
            operations: Vec::new(),
            next_process: 4,
        };
        for _ in 0..steps {
            simulation.step();
        }
        let open = simulation.users.iter_mut().filter_map(|user| user.doing.take());
        simulation.operations.extend(open.map(|operation| Operation { ended: None, ..operation }));
        for operation in &mut simulation.operations {
            if let Some(hold) = operation.hold.as_mut().filter(|hold| hold.until == Duration::MAX) {
                hold.until = hold.acquired;
            }
        }
        let state = FileState { first: None, last: simulation.current, changes: Some(simulation.applied) };
        (simulation.operations, state)
    }

    fn step(&mut self) {
        self.now += 10;
        let now = us(self.now);
        let who = usize::try_from(self.random.up_to(3)).unwrap();
        let fate = self.random.up_to(99);
        let content = format!("content {}", self.now);
        let others: Vec<_> = self.holders.iter().filter(|(user, _)| *user != who).map(|(_, kind)| *kind).collect();
        let user = &mut self.users[who];
        let Some(operation) = &mut user.doing else {
            let action = match fate {
                0..40 => Action::Read,
                40..80 => Action::Change,
                80..90 => Action::Hold(LockKind::Exclusive),
                _ => Action::Hold(LockKind::Shared),
            };
            user.strict = self.random.up_to(1) == 0;
            user.done = false;
            user.doing = Some(operation_at(user.process, user.number, action, self.now));
            user.number += 1;
            return;
        };
        if fate < 3 {
            // Killed: what it held is free, what it has done stays.
            let dead = user.doing.take();
            *user = User { process: self.next_process, ..User::default() };
            self.next_process += 1;
            self.holders.retain(|(user, _)| *user != who);
            let mut dead = Operation { ended: None, ..dead.unwrap() };
            if let Some(hold) = &mut dead.hold {
                hold.until = hold.until.min(now);
            }
            self.operations.push(dead);
            return;
        }
        match operation.action {
            _ if user.done => return self.end(who),
            Action::Read => operation.ended = Some((now, End::Saw(self.current))),
            Action::Change => {
                let tried = operation.attempts.last().copied();
                match tried {
                    Some(Attempt { from, to, .. }) if from == self.current => {
                        if !others.is_empty() {
                            return;
                        }
                        self.current = Some(to);
                        self.applied.push(operation.id);
                        operation.ended = Some((now, End::Changed(Some(to))));
                    }
                    Some(_) if user.strict => operation.ended = Some((now, End::Refused(self.current))),
                    _ => {
                        let to = v(&content);
                        operation.attempts.push(Attempt { at: now, from: self.current, to });
                        return;
                    }
                }
            }
            Action::Hold(kind) if operation.hold.is_none() => {
                let free = match kind {
                    LockKind::Exclusive => others.is_empty(),
                    LockKind::Shared => !others.contains(&LockKind::Exclusive),
                };
                if free {
                    operation.hold = Some(Hold { acquired: now, until: Duration::MAX });
                    self.holders.push((who, kind));
                }
                return;
            }
            Action::Hold(_) => {
                operation.hold.as_mut().unwrap().until = now;
                operation.ended = Some((now, End::Released));
                self.holders.retain(|(user, _)| *user != who);
            }
        }
        user.done = true;
    }

    /// The answer comes later than the effect.
    fn end(&mut self, who: usize) {
        let mut operation = self.users[who].doing.take().unwrap();
        if let Some((at, _)) = &mut operation.ended {
            *at = us(self.now);
        }
        self.operations.push(operation);
    }
}

fn operation_at(process: u64, number: u64, action: Action, began: u64) -> Operation {
    operation(process, number, action, began, None)
}

fn seeds() -> impl Iterator<Item = u64> {
    0..300
}

/// TEST-2: whatever a right register does, however its users are interrupted, nobody complains.
#[test]
fn test_2_no_complaint_about_a_right_register() {
    let (mut acknowledged, mut unanswered, mut refused, mut holds) = (0, 0, 0, 0);
    for seed in seeds() {
        let (operations, state) = Simulation::run(seed, 400);
        let verified = run(&operations, state).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        acknowledged += verified.acknowledged;
        unanswered += verified.unanswered;
        refused += verified.refused;
        holds += verified.holds;
    }
    // The simulation does all of it, or the test would prove little.
    assert!([acknowledged, unanswered, refused, holds].iter().all(|n| *n > 100));
}

/// Spoils a right history; false: there is nothing here that it could spoil.
type Spoil = fn(&mut Vec<Operation>, &mut FileState, &mut Random) -> bool;

fn pick(random: &mut Random, from: &[usize]) -> Option<usize> {
    let last = u64::try_from(from.len()).unwrap().checked_sub(1)?;
    Some(from[usize::try_from(random.up_to(last)).unwrap()])
}

fn indices(operations: &[Operation], of: impl Fn(&Operation) -> bool) -> Vec<usize> {
    operations.iter().enumerate().filter(|(_, operation)| of(operation)).map(|(i, _)| i).collect()
}

fn acknowledged(operation: &Operation) -> bool {
    matches!(operation.ended, Some((_, End::Changed(_))))
}

/// What a change has made, and from what.
fn made(operation: &Operation) -> (Option<Version>, Version) {
    let attempt = operation.attempts.last().unwrap();
    (attempt.from, attempt.to)
}

/// Points whoever has built on `old` to `new`.
fn rebase(operations: &mut [Operation], state: &mut FileState, old: Version, new: Option<Version>) {
    for attempt in operations.iter_mut().flat_map(|operation| &mut operation.attempts) {
        if attempt.from == Some(old) {
            attempt.from = new;
        }
    }
    if state.last == Some(old) {
        state.last = new;
    }
}

fn lose(operations: &mut Vec<Operation>, state: &mut FileState, random: &mut Random) -> bool {
    let Some(i) = pick(random, &indices(operations, acknowledged)) else { return false };
    let (from, to) = made(&operations[i]);
    rebase(operations, state, to, from);
    state.changes = None;
    true
}

fn lose_in_content(operations: &mut Vec<Operation>, state: &mut FileState, random: &mut Random) -> bool {
    let Some(i) = pick(random, &indices(operations, acknowledged)) else { return false };
    state.changes.as_mut().unwrap().retain(|id| *id != operations[i].id);
    true
}

fn double_in_content(_: &mut Vec<Operation>, state: &mut FileState, random: &mut Random) -> bool {
    let changes = state.changes.as_mut().unwrap();
    let all: Vec<_> = (0..changes.len()).collect();
    let Some(i) = pick(random, &all) else { return false };
    changes.insert(i, changes[i]);
    true
}

fn reorder_content(_: &mut Vec<Operation>, state: &mut FileState, random: &mut Random) -> bool {
    let changes = state.changes.as_mut().unwrap();
    let later = |i: &usize| changes[i + 1..].iter().any(|other| other.process == changes[*i].process);
    let all: Vec<_> = (0..changes.len()).filter(later).collect();
    let Some(i) = pick(random, &all) else { return false };
    let process = changes[i].process;
    let j = changes.iter().rposition(|other| other.process == process).unwrap();
    changes.swap(i, j);
    true
}

/// Two changes in a row, one after the other in time, change places.
fn swap(operations: &mut Vec<Operation>, state: &mut FileState, random: &mut Random) -> bool {
    let second = |first: &Operation| {
        let (_, to) = made(first);
        operations.iter().position(|next| {
            acknowledged(next) && made(next).0 == Some(to) && first.ended.as_ref().unwrap().0 < next.began
        })
    };
    let firsts = indices(operations, |o| acknowledged(o) && second(o).is_some());
    let Some(i) = pick(random, &firsts) else { return false };
    let j = second(&operations[i]).unwrap();
    let ((from, a), (_, b)) = (made(&operations[i]), made(&operations[j]));
    rebase(operations, state, b, Some(a));
    operations[j].attempts.last_mut().unwrap().from = from;
    operations[i].attempts.last_mut().unwrap().from = Some(b);
    state.changes = None;
    true
}

fn stale(operations: &mut Vec<Operation>, _: &mut FileState, random: &mut Random) -> bool {
    let before = |read: &Operation| {
        let earlier = operations.iter().filter(|o| acknowledged(o) && o.ended.as_ref().unwrap().0 < read.began);
        earlier.max_by_key(|change| change.ended.as_ref().unwrap().0).map(|change| made(change).0)
    };
    let reads = indices(operations, |o| matches!(o.ended, Some((_, End::Saw(_)))) && before(o).is_some());
    let Some(i) = pick(random, &reads) else { return false };
    let old = before(&operations[i]).unwrap();
    operations[i].ended.as_mut().unwrap().1 = End::Saw(old);
    true
}

fn tear(operations: &mut Vec<Operation>, _: &mut FileState, random: &mut Random) -> bool {
    let reads = indices(operations, |o| matches!(o.ended, Some((_, End::Saw(_)))));
    let Some(i) = pick(random, &reads) else { return false };
    operations[i].ended.as_mut().unwrap().1 = End::Saw(Some(v("half of this and half of that")));
    true
}

fn overstay(operations: &mut Vec<Operation>, _: &mut FileState, random: &mut Random) -> bool {
    let next = |one: &Operation| {
        let one_hold = one.hold.filter(|hold| hold.acquired < hold.until)?;
        let others = operations.iter().filter_map(|other| {
            let hold = other.hold.filter(|hold| hold.acquired < hold.until && hold.acquired >= one_hold.until)?;
            let exclusive = Action::Hold(LockKind::Exclusive);
            (one.action == exclusive || other.action == exclusive).then_some(hold.acquired)
        });
        others.min()
    };
    let Some(i) = pick(random, &indices(operations, |o| next(o).is_some())) else { return false };
    let until = next(&operations[i]).unwrap() + us(1);
    operations[i].hold.as_mut().unwrap().until = until;
    true
}

fn refuse(operations: &mut Vec<Operation>, _: &mut FileState, random: &mut Random) -> bool {
    let Some(i) = pick(random, &indices(operations, acknowledged)) else { return false };
    let (_, to) = made(&operations[i]);
    operations[i].ended.as_mut().unwrap().1 = End::Refused(Some(to));
    true
}

/// A change is there a second time: it gets the attempt of another one, which vanishes.
fn repeat(operations: &mut Vec<Operation>, state: &mut FileState, random: &mut Random) -> bool {
    let all = indices(operations, acknowledged);
    let (Some(i), Some(j)) = (pick(random, &all), pick(random, &all)) else { return false };
    if i == j {
        return false;
    }
    let attempt = *operations[j].attempts.last().unwrap();
    operations[i].attempts.push(attempt);
    operations.remove(j);
    state.changes = None;
    true
}

/// Another process changes the file while somebody holds its lock.
fn intrude(operations: &mut Vec<Operation>, state: &mut FileState, random: &mut Random) -> bool {
    let holds = indices(operations, |o| o.hold.is_some_and(|hold| hold.acquired < hold.until));
    let Some(i) = pick(random, &holds) else { return false };
    let hold = operations[i].hold.unwrap();
    let mut intruder = change(99, 0, (0, 0), "", "intruder");
    intruder.began = hold.acquired + us(1);
    intruder.attempts[0].at = intruder.began;
    intruder.ended.as_mut().unwrap().0 = hold.acquired + us(2);
    // In the place of time: after all that was there before the lock was had.
    let position = |o: &Operation| acknowledged(o) && o.ended.as_ref().unwrap().0 < hold.acquired;
    let before = operations.iter().filter(|o| position(o)).max_by_key(|o| o.ended.as_ref().unwrap().0);
    let from = before.map(|o| made(o).1);
    match from {
        Some(from) => rebase(operations, state, from, Some(v("intruder"))),
        None => return false,
    }
    intruder.attempts[0].from = from;
    state.changes = None;
    operations.push(intruder);
    true
}

/// TEST-2: each kind of spoiled history is found, and told as what it is.
#[test]
fn test_2_every_mutation_is_found() {
    use ViolationKind::{AppliedTwice, DoubleHolder, LostUpdate, StaleRead, TornRead, WrongOrder, WrongRefusal};
    let spoils: [(&str, Spoil, ViolationKind); 12] = [
        ("lose", lose, LostUpdate),
        ("lose in content", lose_in_content, LostUpdate),
        ("double in content", double_in_content, AppliedTwice),
        ("reorder content", reorder_content, WrongOrder),
        ("swap", swap, WrongOrder),
        ("stale", stale, StaleRead),
        ("tear", tear, TornRead),
        ("overstay", overstay, DoubleHolder),
        ("refuse", refuse, WrongRefusal),
        ("repeat", repeat, AppliedTwice),
        ("intrude", intrude, DoubleHolder),
        ("forget the end", |_, state, _| state.last.take().is_some(), LostUpdate),
    ];
    for (name, spoil, expected) in spoils {
        let mut spoiled = 0;
        for seed in seeds() {
            let (mut operations, mut state) = Simulation::run(seed, 400);
            if !spoil(&mut operations, &mut state, &mut Random::new(seed)) {
                continue;
            }
            spoiled += 1;
            let Err(violations) = run(&operations, state) else { panic!("{name}, seed {seed}: not found") };
            assert!(violations.by_kind().contains_key(&expected), "{name}, seed {seed}: {violations}");
        }
        assert!(spoiled > 100, "{name}: only {spoiled} histories spoiled");
    }
}
