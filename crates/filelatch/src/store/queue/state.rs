//! A queue in memory: what its events come to. No input or output, no clock.
//!
//! # Invariants
//! - The state is a function of the events: whoever has read the same log has the same state, to the last place in the order.
//! - Each command is in `order`, and in exactly one of `ready` and `delayed` if it is pending, in `claimed` if it is claimed.
//! - Tokens only grow; `token` is the greatest that was given.
//! - An event that does not fit (a claim of what is done, a token that is not the claim's) is damage: whoever wrote it did not decide under
//!   the log's lock.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use serde_json::Value;

use super::event::{Beside, CommandState, Do, Event, FORM};

/// From one command's place to the next's: so often can something be moved in between until places are given anew.
const GAP: u64 = 1 << 20;

/// Where a command stands: the higher priority first, then the place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    priority: Reverse<i32>,
    place: u64,
    pub(crate) id: Arc<str>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Command {
    pub(crate) id: Arc<str>,
    pub(crate) words: Vec<String>,
    pub(crate) priority: i32,
    pub(crate) place: u64,
    pub(crate) added: u64,
    pub(crate) not_before: u64,
    /// How often it is tried again after it has failed; `None`: the runner decides.
    pub(crate) retries: Option<u32>,
    pub(crate) retry_delay: Option<u64>,
    pub(crate) backoff: Option<u32>,
    /// Claims so far.
    pub(crate) attempts: u32,
    /// Of them, so many have failed.
    pub(crate) failures: u32,
    /// Of the last claim; 0: there was none.
    pub(crate) token: u64,
    pub(crate) phase: Phase,
    /// How the last attempt ended, if one has.
    pub(crate) exit: Option<i32>,
    pub(crate) result: Option<Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Phase {
    Pending,
    Claimed(Hold),
    Done { at: u64 },
    Failed { at: u64 },
}

/// A claim.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hold {
    pub(crate) runner: Arc<str>,
    pub(crate) life: Option<u64>,
    pub(crate) boot: u64,
    pub(crate) lease: u64,
    pub(crate) until: u64,
    pub(crate) wall: u64,
    pub(crate) since: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    commands: HashMap<Arc<str>, Command>,
    order: BTreeSet<Key>,
    ready: BTreeSet<Key>,
    /// Pending, but not before a time.
    delayed: BTreeSet<(u64, Key)>,
    claimed: BTreeSet<Key>,
    pub(crate) token: u64,
    /// The number that the next command without a name may get.
    pub(crate) next: u64,
    next_place: u64,
    /// The log has said that it is a queue.
    pub(crate) begun: bool,
    /// Bytes of words and results, for the size of a snapshot.
    bytes: u64,
}

impl Command {
    pub(crate) fn key(&self) -> Key {
        Key { priority: Reverse(self.priority), place: self.place, id: Arc::clone(&self.id) }
    }

    pub(crate) fn state(&self) -> CommandState {
        match self.phase {
            Phase::Pending => CommandState::Pending,
            Phase::Claimed(_) => CommandState::Claimed,
            Phase::Done { .. } => CommandState::Done,
            Phase::Failed { .. } => CommandState::Failed,
        }
    }

    pub(crate) fn hold(&self) -> Option<&Hold> {
        if let Phase::Claimed(hold) = &self.phase { Some(hold) } else { None }
    }

    fn size(&self) -> u64 {
        let words: usize = self.words.iter().map(|word| word.len() + 3).sum();
        let result = self.result.as_ref().map_or(0, |result| result.to_string().len());
        (words + result + self.id.len() + 150) as u64
    }
}

impl State {
    /// About as many bytes has a snapshot.
    pub(crate) fn size(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Command> {
        self.commands.get(id)
    }

    /// All commands, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Command> {
        self.order.iter().filter_map(|key| self.commands.get(&key.id))
    }

    /// Those that a runner has, in order.
    pub(crate) fn claimed(&self) -> impl Iterator<Item = (&Key, &Command, &Hold)> {
        self.claimed.iter().filter_map(|key| {
            let command = self.commands.get(&key.id)?;
            Some((key, command, command.hold()?))
        })
    }

    pub(crate) fn pending_count(&self) -> usize {
        self.ready.len() + self.delayed.len()
    }

    pub(crate) fn claimed_count(&self) -> usize {
        self.claimed.len()
    }

    /// The first pending command whose time has come.
    pub(crate) fn first_ready(&self, now: u64) -> Option<&Key> {
        // One that became ready before the clock was set back has to wait again.
        let ready = self.ready.iter().find(|key| self.get(&key.id).is_some_and(|command| command.not_before <= now));
        let due = self.delayed.iter().take_while(|(at, _)| *at <= now).map(|(_, key)| key).min();
        ready.into_iter().chain(due).min()
    }

    /// When the next pending command's time comes.
    pub(crate) fn next_ready(&self) -> Option<u64> {
        self.delayed.first().map(|(at, _)| *at)
    }

    /// Commands whose time has come are found faster from now on. Changes nothing that anybody sees.
    pub(crate) fn promote(&mut self, now: u64) {
        while let Some((at, _)) = self.delayed.first()
            && *at <= now
            && let Some((_, key)) = self.delayed.pop_first()
        {
            self.ready.insert(key);
        }
    }

    fn add_to_index(&mut self, command: &Command) {
        let key = command.key();
        match command.phase {
            Phase::Pending if command.not_before > 0 => drop(self.delayed.insert((command.not_before, key.clone()))),
            Phase::Pending => drop(self.ready.insert(key.clone())),
            Phase::Claimed(_) => drop(self.claimed.insert(key.clone())),
            Phase::Done { .. } | Phase::Failed { .. } => {}
        }
        self.order.insert(key);
        self.bytes += command.size();
    }

    fn take(&mut self, id: &str) -> Result<Command, String> {
        let command = self.commands.remove(id).ok_or_else(|| format!("there is no command `{id}`"))?;
        let key = command.key();
        match command.phase {
            Phase::Pending if self.ready.remove(&key) => {}
            Phase::Pending => drop(self.delayed.remove(&(command.not_before, key.clone()))),
            Phase::Claimed(_) => drop(self.claimed.remove(&key)),
            Phase::Done { .. } | Phase::Failed { .. } => {}
        }
        self.order.remove(&key);
        self.bytes = self.bytes.saturating_sub(command.size());
        Ok(command)
    }

    fn put(&mut self, command: Command) {
        self.add_to_index(&command);
        self.commands.insert(Arc::clone(&command.id), command);
    }

    /// Takes an event in. An error says what does not fit; the state is of no use then.
    pub(crate) fn apply(&mut self, event: Event<'_>) -> Result<(), String> {
        if !self.begun && event.action != Do::Queue {
            return Err("this is no queue: its first record does not say so".to_owned());
        }
        let id = &*event.id;
        match event.action {
            Do::Queue => {
                self.begun = true;
                self.token = self.token.max(event.token.unwrap_or(0));
                self.next = self.next.max(event.next.unwrap_or(0));
                self.next_place = self.next_place.max(event.place.unwrap_or(0));
                Ok(())
            }
            Do::Add => self.add(event),
            Do::State => self.restore(event),
            Do::Remove => self.take(id).map(drop),
            Do::Update => {
                let mut command = self.take(id)?;
                if let Some(words) = event.command {
                    command.words = words;
                }
                if let Some(priority) = event.priority.filter(|priority| *priority != command.priority) {
                    command.priority = priority;
                    command.place = self.new_place();
                }
                command.not_before = event.not_before.unwrap_or(command.not_before);
                command.retries = event.retries.or(command.retries);
                command.retry_delay = event.retry_delay.or(command.retry_delay);
                command.backoff = event.backoff.or(command.backoff);
                self.put(command);
                Ok(())
            }
            Do::Move => self.shift(id, event.to.as_ref().ok_or("it does not say where to")?),
            Do::Claim => self.claim(&event),
            Do::Beat => {
                let mut command = self.take_claimed(&event)?;
                if let Phase::Claimed(hold) = &mut command.phase {
                    hold.boot = event.boot.unwrap_or(hold.boot);
                    hold.lease = event.lease.unwrap_or(hold.lease);
                    hold.until = event.until.unwrap_or(hold.until);
                    hold.wall = event.wall.unwrap_or(hold.wall);
                }
                self.put(command);
                Ok(())
            }
            Do::Complete => {
                let mut command = self.take_claimed(&event)?;
                command.phase = Phase::Done { at: event.at.unwrap_or(0) };
                (command.exit, command.result) = (event.exit, event.result);
                self.put(command);
                Ok(())
            }
            Do::Fail => {
                let mut command = self.take_claimed(&event)?;
                command.failures = command.failures.saturating_add(1);
                command.phase = match event.not_before {
                    Some(_) => Phase::Pending,
                    None => Phase::Failed { at: event.at.unwrap_or(0) },
                };
                command.not_before = event.not_before.unwrap_or(0);
                (command.exit, command.result) = (event.exit, event.result);
                self.put(command);
                Ok(())
            }
            Do::Release => {
                let mut command = self.take_claimed(&event)?;
                command.phase = Phase::Pending;
                command.not_before = event.not_before.unwrap_or(0);
                self.put(command);
                Ok(())
            }
            Do::Again => {
                let mut command = self.take(id)?;
                if !matches!(command.phase, Phase::Done { .. } | Phase::Failed { .. }) {
                    return Err(format!("command `{id}` is {}", command.state().word()));
                }
                command.phase = Phase::Pending;
                (command.failures, command.not_before) = (0, event.not_before.unwrap_or(0));
                self.put(command);
                Ok(())
            }
        }
    }

    /// After all others of any priority.
    fn new_place(&mut self) -> u64 {
        let place = self.next_place;
        self.next_place = place.saturating_add(GAP);
        place
    }

    fn add(&mut self, event: Event<'_>) -> Result<(), String> {
        let id: Arc<str> = Arc::from(&*event.id);
        if self.commands.contains_key(&id) {
            return Err(format!("there is a command `{id}` already"));
        }
        if let Some(number) = number_of(&id) {
            self.next = self.next.max(number + 1);
        }
        let place = self.new_place();
        self.put(Command {
            id,
            words: event.command.ok_or("a command without words")?,
            priority: event.priority.unwrap_or(0),
            place,
            added: event.added.unwrap_or(0),
            not_before: event.not_before.unwrap_or(0),
            retries: event.retries,
            retry_delay: event.retry_delay,
            backoff: event.backoff,
            attempts: 0,
            failures: 0,
            token: 0,
            phase: Phase::Pending,
            exit: None,
            result: None,
        });
        Ok(())
    }

    fn claim(&mut self, event: &Event<'_>) -> Result<(), String> {
        let token = event.token.ok_or("a claim without a token")?;
        let mut command = self.take(&event.id)?;
        if !matches!(command.phase, Phase::Pending | Phase::Claimed(_)) {
            return Err(format!("command `{}` is {}, and claimed", command.id, command.state().word()));
        }
        if token <= self.token {
            return Err(format!("token {token} is not greater than {}", self.token));
        }
        self.token = token;
        command.token = token;
        command.attempts = command.attempts.saturating_add(1);
        command.not_before = 0;
        command.phase = Phase::Claimed(hold(event));
        self.put(command);
        Ok(())
    }

    /// The command of an event that only its runner may cause.
    fn take_claimed(&mut self, event: &Event<'_>) -> Result<Command, String> {
        let command = self.take(&event.id)?;
        match (&command.phase, event.token) {
            (Phase::Claimed(_), Some(token)) if token == command.token => Ok(command),
            (Phase::Claimed(_), _) => Err(format!("the token is not that of the claim of `{}`", command.id)),
            _ => Err(format!("command `{}` is {}, not claimed", command.id, command.state().word())),
        }
    }

    /// As [`State::snapshot`] has written it.
    fn restore(&mut self, event: Event<'_>) -> Result<(), String> {
        let id: Arc<str> = Arc::from(&*event.id);
        if self.commands.contains_key(&id) {
            return Err(format!("command `{id}` is there twice"));
        }
        let at = event.at.unwrap_or(0);
        let phase = match event.state.unwrap_or(CommandState::Pending) {
            CommandState::Pending => Phase::Pending,
            CommandState::Claimed => Phase::Claimed(hold(&event)),
            CommandState::Done => Phase::Done { at },
            CommandState::Failed => Phase::Failed { at },
        };
        self.put(Command {
            id,
            words: event.command.ok_or("a command without words")?,
            priority: event.priority.unwrap_or(0),
            place: event.place.unwrap_or(0),
            added: event.added.unwrap_or(0),
            not_before: event.not_before.unwrap_or(0),
            retries: event.retries,
            retry_delay: event.retry_delay,
            backoff: event.backoff,
            attempts: event.attempts.unwrap_or(0),
            failures: event.failures.unwrap_or(0),
            token: event.token.unwrap_or(0),
            phase,
            exit: event.exit,
            result: event.result,
        });
        Ok(())
    }

    fn shift(&mut self, id: &str, to: &Beside) -> Result<(), String> {
        let mut command = self.take(id)?;
        let missing = |other: &str| format!("there is no command `{other}`");
        let beside = match to {
            Beside::Before(other) | Beside::After(other) => Some(self.get(other).ok_or_else(|| missing(other))?.key()),
            Beside::First => self.order.first().cloned(),
            Beside::Last => self.order.last().cloned(),
        };
        // Otherwise it is alone, and stays where it is.
        if let Some(beside) = beside {
            let before = matches!(to, Beside::Before(_) | Beside::First);
            let mut place = self.room(&beside, before);
            if place.is_none() {
                self.spread(beside.priority);
                let beside = self.get(&beside.id).ok_or_else(|| missing(&beside.id))?.key();
                place = self.room(&beside, before);
            }
            command.place = place.ok_or("there is no place left")?;
            // What is added from now on comes after it.
            self.next_place = self.next_place.max(command.place.saturating_add(GAP));
            command.priority = beside.priority.0;
        }
        self.put(command);
        Ok(())
    }

    /// A place directly beside a command, if there is one between it and its neighbour.
    fn room(&self, beside: &Key, before: bool) -> Option<u64> {
        let same = |key: &&Key| key.priority == beside.priority;
        if before {
            let neighbour = self.order.range(..beside).next_back().filter(same);
            let (low, high) = (neighbour.map_or(0, |key| key.place + 1), beside.place);
            return (low < high).then(|| low + (high - low) / 2);
        }
        let after = (Bound::Excluded(beside), Bound::Unbounded);
        match self.order.range::<Key, _>(after).find(same) {
            Some(neighbour) if beside.place + 1 < neighbour.place => {
                Some(beside.place + 1 + (neighbour.place - beside.place - 1) / 2)
            }
            Some(_) => None,
            None => beside.place.checked_add(GAP),
        }
    }

    /// Gives the commands of a priority places with room between them.
    fn spread(&mut self, priority: Reverse<i32>) {
        let ids: Vec<_> =
            self.order.iter().filter(|key| key.priority == priority).map(|key| Arc::clone(&key.id)).collect();
        let mut place = GAP;
        for id in ids {
            if let Ok(mut command) = self.take(&id) {
                command.place = place;
                self.put(command);
            }
            place = place.saturating_add(GAP);
        }
        self.next_place = self.next_place.max(place);
    }

    /// The events that make this state.
    pub(crate) fn snapshot(&self) -> impl Iterator<Item = Event<'_>> {
        let first = Event {
            form: Some(FORM),
            token: Some(self.token),
            next: Some(self.next),
            place: Some(self.next_place),
            ..Event::new(Do::Queue, "")
        };
        std::iter::once(first).chain(self.iter().map(as_it_is))
    }
}

fn as_it_is(command: &Command) -> Event<'_> {
    let some = |number: u64| (number > 0).then_some(number);
    let mut event = Event {
        command: Some(command.words.clone()),
        priority: Some(command.priority),
        place: Some(command.place),
        added: some(command.added),
        not_before: some(command.not_before),
        retries: command.retries,
        retry_delay: command.retry_delay,
        backoff: command.backoff,
        attempts: Some(command.attempts),
        failures: Some(command.failures),
        token: some(command.token),
        state: Some(command.state()),
        exit: command.exit,
        result: command.result.clone(),
        ..Event::new(Do::State, &*command.id)
    };
    match &command.phase {
        Phase::Pending => {}
        Phase::Done { at } | Phase::Failed { at } => event.at = some(*at),
        Phase::Claimed(hold) => {
            event.at = some(hold.since);
            event.runner = Some((&*hold.runner).into());
            (event.life, event.boot) = (hold.life, Some(hold.boot));
            (event.lease, event.until, event.wall) = (Some(hold.lease), Some(hold.until), Some(hold.wall));
        }
    }
    event
}

fn hold(event: &Event<'_>) -> Hold {
    Hold {
        runner: Arc::from(event.runner.as_deref().unwrap_or_default()),
        life: event.life,
        boot: event.boot.unwrap_or(0),
        lease: event.lease.unwrap_or(0),
        until: event.until.unwrap_or(0),
        wall: event.wall.unwrap_or(0),
        since: event.at.unwrap_or(0),
    }
}

/// The name of the command with a number: sorted as text they are in order, up to a million.
pub(crate) fn name_of(number: u64) -> String {
    format!("{number:06}")
}

/// The number of a name that the queue may have given.
pub(crate) fn number_of(id: &str) -> Option<u64> {
    let number = (id.len() >= 6 && id.bytes().all(|byte| byte.is_ascii_digit())).then(|| id.parse().ok()).flatten()?;
    (number < u64::MAX / 2 && name_of(number) == id).then_some(number)
}
