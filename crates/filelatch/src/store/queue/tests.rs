//! The fold and the decisions against a plain model: a list in which everything is looked for from the front.

use std::collections::BTreeSet;

use super::decide::{self, Ending, Life, Now, Retrying, Runner, Wish};
use super::event::{Beside, CommandState, Do, Event};
use super::state::{Hold, State};
use crate::store::StoreError;

/// Numbers from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Plain {
    id: String,
    priority: i32,
    state: CommandState,
    not_before: u64,
    retries: u32,
    failures: u32,
    attempts: u32,
    token: u64,
    life: Option<u64>,
    /// On the clock.
    until: u64,
}

/// The queue as a list in order; what is refused is refused with a code.
#[derive(Debug, Default)]
struct Model {
    list: Vec<Plain>,
    token: u64,
    number: u64,
    dead: BTreeSet<u64>,
}

type Answer = Result<Option<(String, u64)>, &'static str>;

impl Model {
    fn at(&self, id: &str) -> Result<usize, &'static str> {
        self.list.iter().position(|c| c.id == id).ok_or("no-such-item")
    }

    fn insert_last(&mut self, command: Plain) {
        let at = self.list.iter().position(|c| c.priority < command.priority).unwrap_or(self.list.len());
        self.list.insert(at, command);
    }

    fn add(&mut self, id: Option<&str>, priority: i32, not_before: u64, retries: u32) -> Answer {
        if let Some(id) = id
            && self.at(id).is_ok()
        {
            return Err("exists");
        }
        let id = id.map_or_else(|| format!("{:06}", self.number), str::to_owned);
        if let Ok(number) = id.parse::<u64>() {
            self.number = self.number.max(number + 1);
        }
        let state = CommandState::Pending;
        let (failures, attempts, token, until) = (0, 0, 0, 0);
        let command = Plain {
            id: id.clone(),
            priority,
            state,
            not_before,
            retries,
            failures,
            attempts,
            token,
            life: None,
            until,
        };
        self.insert_last(command);
        Ok(Some((id, 0)))
    }

    fn shift(&mut self, id: &str, to: &Beside) -> Answer {
        let at = self.at(id)?;
        if let Beside::Before(other) | Beside::After(other) = to {
            self.at(other)?;
            if other == id {
                return Err("invalid");
            }
        }
        let mut command = self.list.remove(at);
        let to = match to {
            Beside::Before(other) => self.at(other)?,
            Beside::After(other) => self.at(other)? + 1,
            Beside::First => 0,
            Beside::Last => self.list.len(),
        };
        let beside = match to {
            0 => self.list.first(),
            _ => self.list.get(to - 1),
        };
        // Before somebody with another priority than the one in front: it is the one behind that counts.
        command.priority = beside.map_or(command.priority, |beside| beside.priority);
        self.list.insert(to, command);
        Ok(None)
    }

    fn shift_exact(&mut self, id: &str, to: &Beside) -> Answer {
        let mut priority = None;
        if let Beside::Before(other) = to
            && let Ok(at) = self.at(other)
        {
            priority = Some(self.list[at].priority);
        }
        let answer = self.shift(id, to)?;
        if let Some(priority) = priority {
            let at = self.at(id)?;
            self.list[at].priority = priority;
        }
        Ok(answer)
    }

    fn claim(&mut self, now: Now, life: Option<u64>, lease: u64) -> Option<(String, u64)> {
        let dead = &self.dead;
        let free = |c: &&mut Plain| match c.state {
            CommandState::Pending => c.not_before <= now.wall,
            CommandState::Claimed => c.until <= now.clock || c.life.is_some_and(|life| dead.contains(&life)),
            _ => false,
        };
        let command = self.list.iter_mut().find(free)?;
        self.token = now.wall.max(self.token + 1);
        command.token = self.token;
        command.attempts += 1;
        command.state = CommandState::Claimed;
        command.not_before = 0;
        (command.life, command.until) = (life, now.clock + lease);
        Some((command.id.clone(), self.token))
    }

    fn held(&mut self, id: &str, token: u64) -> Result<&mut Plain, &'static str> {
        let at = self.at(id)?;
        let command = &mut self.list[at];
        if command.token != token {
            return Err("stale-token");
        }
        if command.state == CommandState::Claimed { Ok(command) } else { Err("wrong-state") }
    }
}

fn add_one(state: &State, id: Option<&str>, wish: Wish, now: Now) -> Result<Event<'static>, StoreError> {
    let events = decide::add(state, [(id.map(str::to_owned), wish)], now);
    events.map(|mut events| events.pop().unwrap())
}

fn code(error: &StoreError) -> &'static str {
    error.code()
}

struct Pair {
    state: State,
    model: Model,
    now: Now,
    /// Every token that was given, with its command.
    given: Vec<(String, u64)>,
    lives: u64,
    log: Vec<Vec<u8>>,
}

impl Pair {
    fn new() -> Pair {
        let now = Now { wall: 1_000_000, clock: 5_000, boot: 1 };
        let mut pair = Pair {
            state: State::default(),
            model: Model::default(),
            now,
            given: Vec::new(),
            lives: 0,
            log: Vec::new(),
        };
        let begin = decide::begin(&pair.state).unwrap();
        pair.take(&begin);
        pair
    }

    fn take(&mut self, event: &Event<'_>) {
        let bytes = event.to_bytes().unwrap();
        self.state.apply(Event::parse(&bytes).unwrap()).unwrap();
        self.log.push(bytes);
    }

    fn both(&mut self, decided: Result<Event<'static>, StoreError>, answer: &Answer) {
        match (decided, answer) {
            (Ok(event), Ok(_)) => self.take(&event),
            (Err(error), Err(refused)) => assert_eq!(code(&error), *refused, "{error}"),
            (decided, answer) => panic!("{decided:?}, and the model says {answer:?}"),
        }
    }

    fn some_id(&self, chance: &mut Chance) -> String {
        if self.model.list.is_empty() || chance.below(10) == 0 {
            return "nobody".to_owned();
        }
        self.model.list[chance.below(self.model.list.len())].id.clone()
    }

    fn some_token(&self, chance: &mut Chance) -> (String, u64) {
        match self.given.len() {
            0 => ("nobody".to_owned(), 7),
            n => self.given[n - 1 - chance.below(n.min(6))].clone(),
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each operation")]
    fn step(&mut self, chance: &mut Chance) {
        let now = self.now;
        match chance.below(20) {
            0..5 => {
                let id = (chance.below(4) == 0).then(|| format!("{:06}", chance.below(30)));
                let priority = i32::try_from(chance.below(3)).unwrap() - 1;
                let not_before = if chance.below(4) == 0 { now.wall + chance.below(300) as u64 } else { 0 };
                let retries = u32::try_from(chance.below(3)).unwrap();
                let wish = Wish {
                    words: Some(vec!["true".to_owned()]),
                    priority: Some(priority),
                    not_before: (not_before > 0).then_some(not_before),
                    retries: Some(retries),
                    ..Wish::default()
                };
                let decided = add_one(&self.state, id.as_deref(), wish, now);
                let answer = self.model.add(id.as_deref(), priority, not_before, retries);
                if let (Ok(event), Ok(Some((id, _)))) = (&decided, &answer) {
                    assert_eq!(event.id, *id);
                }
                self.both(decided, &answer);
            }
            5..10 => {
                let life = (chance.below(2) == 0).then(|| {
                    self.lives += 1;
                    self.lives
                });
                let lease = 50 + chance.below(200) as u64;
                let runner = Runner { name: "r".into(), life, lease };
                let dead = self.model.dead.clone();
                let judge = |hold: &Hold| if dead.contains(&hold.life.unwrap()) { Life::Dead } else { Life::Alive };
                let event = decide::claim(&self.state, &runner, None, now, judge);
                let answer = self.model.claim(now, life, lease);
                let got = event.as_ref().map(|event| (event.id.to_string(), event.token.unwrap()));
                assert_eq!(got, answer);
                if let Some(event) = event {
                    self.take(&event);
                    self.given.extend(answer);
                }
            }
            10..12 => {
                let (id, token) = self.some_token(chance);
                let decided = decide::complete(&self.state, &id, token, Ending { exit: Some(0), result: None }, now);
                let answer = self.model.held(&id, token).map(|c| c.state = CommandState::Done).map(|()| None);
                self.both(decided, &answer);
            }
            12..14 => {
                let (id, token) = self.some_token(chance);
                let or = Retrying { retries: 9, delay: 10, backoff: 2 };
                let decided = decide::fail(&self.state, &id, token, Ending::default(), or, now);
                let answer = self.model.held(&id, token).map(|c| {
                    let again = c.failures < c.retries;
                    c.not_before = if again { now.wall + (10 << c.failures) } else { 0 };
                    c.failures += 1;
                    c.state = if again { CommandState::Pending } else { CommandState::Failed };
                    None
                });
                self.both(decided, &answer);
            }
            14 => {
                let (id, token) = self.some_token(chance);
                let decided = decide::release(&self.state, &id, token, 0);
                let answer = self.model.held(&id, token).map(|c| c.state = CommandState::Pending).map(|()| None);
                self.both(decided, &answer);
            }
            15 => {
                let (id, token) = self.some_token(chance);
                let decided = decide::beat(&self.state, &id, token, Some(100), now);
                let answer = self.model.held(&id, token).map(|c| c.until = now.clock + 100).map(|()| None);
                self.both(decided, &answer);
            }
            16 => {
                let id = self.some_id(chance);
                let to = match chance.below(4) {
                    0 => Beside::Before(self.some_id(chance)),
                    1 => Beside::After(self.some_id(chance)),
                    2 => Beside::First,
                    _ => Beside::Last,
                };
                let decided = decide::shift(&self.state, &id, to.clone());
                let answer = self.model.shift_exact(&id, &to);
                self.both(decided, &answer);
            }
            17 => {
                let (id, force) = (self.some_id(chance), chance.below(3) == 0);
                let decided = decide::remove(&self.state, &id, force);
                let model = &mut self.model;
                let answer = model.at(&id).and_then(|at| {
                    let claimed = model.list[at].state == CommandState::Claimed;
                    if claimed && !force {
                        return Err("wrong-state");
                    }
                    model.list.remove(at);
                    Ok(None)
                });
                self.both(decided, &answer);
            }
            18 => {
                let id = self.some_id(chance);
                let priority = i32::try_from(chance.below(3)).unwrap();
                let wish = Wish { priority: Some(priority), ..Wish::default() };
                let decided = decide::update(&self.state, &id, wish);
                let model = &mut self.model;
                let answer = model.at(&id).and_then(|at| {
                    if model.list[at].state != CommandState::Pending {
                        return Err("wrong-state");
                    }
                    if model.list[at].priority != priority {
                        let mut command = model.list.remove(at);
                        command.priority = priority;
                        model.insert_last(command);
                    }
                    Ok(None)
                });
                self.both(decided, &answer);
            }
            _ => {
                let id = self.some_id(chance);
                let decided = decide::again(&self.state, &id);
                let model = &mut self.model;
                let answer = model.at(&id).and_then(|at| {
                    let command = &mut model.list[at];
                    if !matches!(command.state, CommandState::Done | CommandState::Failed) {
                        return Err("wrong-state");
                    }
                    (command.state, command.failures, command.not_before) = (CommandState::Pending, 0, 0);
                    Ok(None)
                });
                self.both(decided, &answer);
            }
        }
        if chance.below(3) == 0 {
            let step = chance.below(60) as u64;
            (self.now.wall, self.now.clock) = (now.wall + step, now.clock + step);
        }
        if self.lives > 0 && chance.below(6) == 0 {
            self.model.dead.insert(1 + chance.below(usize::try_from(self.lives).unwrap()) as u64);
        }
        if chance.below(5) == 0 {
            self.state.promote(now.wall);
        }
    }

    fn compare(&self) {
        let seen: Vec<_> = self
            .state
            .iter()
            .map(|c| (c.id.to_string(), c.priority, c.state(), c.attempts, c.failures, c.token, c.not_before))
            .collect();
        let wanted: Vec<_> = self
            .model
            .list
            .iter()
            .map(|c| (c.id.clone(), c.priority, c.state, c.attempts, c.failures, c.token, c.not_before))
            .collect();
        assert_eq!(seen, wanted);
        let of = |state| self.model.list.iter().filter(|c| c.state == state).count();
        assert_eq!(self.state.pending_count(), of(CommandState::Pending));
        assert_eq!(self.state.claimed_count(), of(CommandState::Claimed));
    }
}

fn again(state: &State) -> State {
    let mut other = State::default();
    for event in state.snapshot() {
        let bytes = event.to_bytes().unwrap();
        other.apply(Event::parse(&bytes).unwrap()).unwrap();
    }
    other
}

/// STORE-2: whatever is asked in whatever order, the queue answers and orders as a plain list would, and refuses what that refuses.
#[test]
fn as_a_plain_list() {
    for seed in 0..400 {
        let mut chance = Chance(seed);
        let mut pair = Pair::new();
        for _ in 0..120 {
            pair.step(&mut chance);
            pair.compare();
        }
    }
}

/// STORE-2: a state that came out of a snapshot goes on as the one that the snapshot was made of, also through moves that need room.
#[test]
fn a_snapshot_is_the_state() {
    for seed in 0..200 {
        let mut chance = Chance(seed + 10_000);
        let mut pair = Pair::new();
        for _ in 0..10 {
            for _ in 0..20 {
                pair.step(&mut chance);
            }
            let read = again(&pair.state);
            let list = |state: &State| state.iter().cloned().collect::<Vec<_>>();
            assert_eq!(list(&read), list(&pair.state));
            assert_eq!((read.token, read.next), (pair.state.token, pair.state.next));
            pair.state = read;
            pair.compare();
        }
    }
}

/// STORE-2: whoever reads the log from the beginning comes to the same state as who has followed it.
#[test]
fn the_log_is_the_state() {
    let mut chance = Chance(77);
    let mut pair = Pair::new();
    for _ in 0..500 {
        pair.step(&mut chance);
    }
    let mut other = State::default();
    for bytes in &pair.log {
        other.apply(Event::parse(bytes).unwrap()).unwrap();
    }
    assert_eq!(other.iter().collect::<Vec<_>>(), pair.state.iter().collect::<Vec<_>>());
}

fn queue_of(n: usize) -> State {
    let mut state = State::default();
    state.apply(decide::begin(&state).unwrap()).unwrap();
    for i in 0..n {
        let wish = Wish { words: Some(vec!["echo".to_owned(), i.to_string()]), ..Wish::default() };
        let event = add_one(&state, None, wish, NOW).unwrap();
        state.apply(event).unwrap();
    }
    state
}

const NOW: Now = Now { wall: 1_000_000, clock: 5_000, boot: 1 };

/// STORE-2: moving into one gap again and again runs out of places, and the order stays what was asked for.
#[test]
fn moves_into_one_gap() {
    let mut state = queue_of(40);
    let mut order: Vec<String> = state.iter().map(|c| c.id.to_string()).collect();
    for i in 0..200 {
        let moved = order.remove(2 + i % 37);
        let event = decide::shift(&state, &moved, Beside::Before(order[1].clone())).unwrap();
        state.apply(event).unwrap();
        order.insert(1, moved);
        assert_eq!(state.iter().map(|c| c.id.to_string()).collect::<Vec<_>>(), order);
    }
}

/// STORE-2: what a lease's end is, on this boot, on another one, and by the runner's death.
#[test]
fn ends_of_leases() {
    let mut state = queue_of(1);
    let runner = Runner { name: "r".into(), life: Some(3), lease: 100 };
    let event = decide::claim(&state, &runner, None, NOW, |_| Life::Alive).unwrap();
    state.apply(event).unwrap();
    let hold = state.get("000000").unwrap().hold().unwrap().clone();
    let over = |now: Now, life: Life| decide::is_over(&hold, now, |_| life);
    let later = |clock: u64, wall: u64, boot: u64| Now { wall: NOW.wall + wall, clock: NOW.clock + clock, boot };
    assert!(!over(NOW, Life::Alive) && !over(NOW, Life::Unknown));
    assert!(over(NOW, Life::Dead));
    // The machine's own clock decides, whatever the wall says.
    assert!(!over(later(99, 5_000_000, 1), Life::Alive));
    assert!(over(later(100, 0, 1), Life::Alive));
    // Another boot: the wall.
    assert!(!over(Now { clock: 10, ..later(0, 99, 2) }, Life::Unknown));
    assert!(over(Now { clock: 10, ..later(0, 100, 2) }, Life::Unknown));
    // A clock that began again without a name for its boot.
    assert!(over(Now { clock: 10, wall: NOW.wall + 100, boot: 1 }, Life::Unknown));
    assert!(!over(Now { clock: 10, wall: NOW.wall + 99, boot: 1 }, Life::Unknown));
}

/// STORE-2: who completes a command late, and claims in the same step, is not given it again.
#[test]
fn what_is_about_to_end_is_not_claimed() {
    let mut state = queue_of(2);
    let runner = Runner { name: "r".into(), life: None, lease: 100 };
    state.apply(decide::claim(&state, &runner, None, NOW, |_| Life::Alive).unwrap()).unwrap();
    let late = Now { clock: NOW.clock + 100, ..NOW };
    let claimed = |except| decide::claim(&state, &runner, except, late, |_| Life::Alive).unwrap().id.to_string();
    assert_eq!([claimed(None), claimed(Some("000000"))], ["000000", "000001"]);
}

/// STORE-2: what can't be stored is refused before anything is.
#[test]
fn bad_wishes() {
    let state = queue_of(1);
    let add = |id: Option<&str>, words: Vec<String>| {
        let wish = Wish { words: Some(words), ..Wish::default() };
        add_one(&state, id, wish, NOW).map_err(|e| code(&e))
    };
    let word = || vec!["true".to_owned()];
    assert_eq!(add(Some(""), word()), Err("invalid"));
    assert_eq!(add(Some("-x"), word()), Err("invalid"));
    assert_eq!(add(Some("a b"), word()), Err("invalid"));
    assert_eq!(add(Some("../x"), word()), Err("invalid"));
    assert_eq!(add(Some("a/b"), word()), Err("invalid"));
    assert_eq!(add(Some(&"x".repeat(129)), word()), Err("invalid"));
    assert_eq!(add(Some("000000"), word()), Err("exists"));
    assert_eq!(add(None, Vec::new()), Err("invalid"));
    assert_eq!(add(None, vec![String::new()]), Err("invalid"));
    assert_eq!(add(None, vec!["a\0b".to_owned()]), Err("invalid"));
    assert_eq!(add(None, vec!["x".repeat(200_000)]), Err("invalid"));
    assert!(add(Some(&"x".repeat(128)), word()).is_ok());
    // A number beyond all others is a name like any other, and the queue goes on to number.
    let mut state = queue_of(0);
    let wish = || Wish { words: Some(word()), ..Wish::default() };
    state.apply(add_one(&state, Some(&u64::MAX.to_string()), wish(), NOW).unwrap()).unwrap();
    let event = add_one(&state, None, wish(), NOW).unwrap();
    assert_eq!(event.id, "000000");
}

/// STORE-2: several are added together or not at all, each with a name of its own.
#[test]
fn several_at_once() {
    let state = queue_of(2);
    let wish = || Wish { words: Some(vec!["true".to_owned()]), ..Wish::default() };
    let ids = |names: &[Option<&str>]| {
        let commands = names.iter().map(|name| (name.map(str::to_owned), wish()));
        let events = decide::add(&state, commands, NOW).map_err(|e| code(&e))?;
        Ok(events.iter().map(|event| event.id.to_string()).collect::<Vec<_>>())
    };
    let wanted = |ids: [&str; 3]| Ok(ids.map(str::to_owned).to_vec());
    assert_eq!(ids(&[None, Some("000007"), None]), wanted(["000002", "000007", "000008"]));
    assert_eq!(ids(&[Some("x"), None, Some("x")]), Err("exists"));
    assert_eq!(ids(&[None, Some("000002")]), Err("exists"));
}

/// STORE-2: what nobody can have decided is damage, whatever was written.
#[test]
fn events_that_do_not_fit() {
    let state = queue_of(2);
    let bad = |event: Event<'static>| state.clone().apply(event).unwrap_err();
    bad(Event::new(Do::Add, "000001"));
    bad(Event::new(Do::Remove, "x"));
    bad(Event { token: Some(1), ..Event::new(Do::Complete, "000001") });
    bad(Event { token: Some(1), ..Event::new(Do::Beat, "000001") });
    bad(Event::new(Do::Move, "000001"));
    bad(Event::new(Do::Claim, "000001"));
    bad(Event::new(Do::Again, "000001"));
    let runner = Runner { name: "r".into(), life: None, lease: 100 };
    let mut claimed = state.clone();
    claimed.apply(decide::claim(&state, &runner, None, NOW, |_| Life::Alive).unwrap()).unwrap();
    let late = Event { token: Some(claimed.token), ..Event::new(Do::Claim, "000001") };
    assert!(claimed.clone().apply(late).unwrap_err().contains("not greater"));
    let other = Event { token: Some(claimed.token - 1), ..Event::new(Do::Complete, "000000") };
    assert!(claimed.apply(other).unwrap_err().contains("token"));
    let none = State::default().apply(Event { command: Some(Vec::new()), ..Event::new(Do::Add, "x") });
    assert!(none.unwrap_err().contains("no queue"));
}

/// STORE-2: the longest delay is a day, and no number of failures overflows.
#[test]
fn delays() {
    let mut state = queue_of(1);
    let runner = Runner { name: "r".into(), life: None, lease: 1 };
    let mut now = NOW;
    let or = Retrying { retries: u32::MAX, delay: 1000, backoff: 3 };
    let mut delays = Vec::new();
    for _ in 0..60 {
        let event = decide::claim(&state, &runner, None, now, |_| Life::Alive).unwrap();
        let token = event.token.unwrap();
        state.apply(event).unwrap();
        let event = decide::fail(&state, "000000", token, Ending::default(), or, now).unwrap();
        delays.push(event.not_before.unwrap() - now.wall);
        now.wall = event.not_before.unwrap();
        state.apply(event).unwrap();
    }
    assert_eq!(delays[..4], [1000, 3000, 9000, 27_000]);
    assert_eq!(delays[59], 24 * 60 * 60 * 1000);
}

/// STORE-2: the oldest are pruned first; what failed is kept unless it is named.
#[test]
fn pruning() {
    let mut state = queue_of(6);
    let runner = Runner { name: "r".into(), life: None, lease: 1000 };
    for i in 0..5 {
        let now = Now { wall: NOW.wall + i * 10, ..NOW };
        let event = decide::claim(&state, &runner, None, now, |_| Life::Alive).unwrap();
        let (id, token) = (event.id.to_string(), event.token.unwrap());
        state.apply(event).unwrap();
        let event = match i {
            4 => decide::fail(&state, &id, token, Ending::default(), Retrying::default(), now),
            _ => decide::complete(&state, &id, token, Ending::default(), now),
        };
        state.apply(event.unwrap()).unwrap();
    }
    let pruned = |keep, before, failed| {
        let mut ids: Vec<_> = decide::prune(&state, keep, before, failed).iter().map(|e| e.id.to_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(pruned(None, None, false), ["000000", "000001", "000002", "000003"]);
    assert_eq!(pruned(Some(3), None, false), ["000000"]);
    assert_eq!(pruned(Some(3), None, true), ["000000", "000001"]);
    assert_eq!(pruned(None, Some(NOW.wall + 20), true), ["000000", "000001"]);
    assert_eq!(pruned(Some(3), Some(NOW.wall), true), [""; 0]);
}
