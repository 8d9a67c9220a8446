//! What is decided under the log's lock: from the state and a wish to an event, or a refusal. No input or output, no clock.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use super::event::{Beside, CommandState, Do, Event, FORM};
use super::state::{Command, Hold, Key, Phase, State, name_of, number_of};
use crate::store::StoreError;

/// Longest name of a command, in bytes.
const NAME: usize = 128;
/// Words of a command, with what separates them.
const WORDS: usize = 128 << 10;
/// Longest result, as JSON.
pub(crate) const RESULT: usize = 64 << 10;
/// Longest wait between two attempts, whatever the backoff comes to.
const LONGEST_DELAY: u64 = 24 * 60 * 60 * 1000;

const COMMAND: &str = "command";

/// What time it is, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Now {
    /// Since the epoch.
    pub(crate) wall: u64,
    /// On the machine's own clock since its boot, which nobody sets.
    pub(crate) clock: u64,
    /// Which boot.
    pub(crate) boot: u64,
}

/// Does whoever has a claim live?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Alive,
    Dead,
    /// Nobody can tell: the lease decides.
    Unknown,
}

/// What a command is to be like.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) words: Option<Vec<String>>,
    pub(crate) priority: Option<i32>,
    pub(crate) not_before: Option<u64>,
    pub(crate) retries: Option<u32>,
    pub(crate) retry_delay: Option<u64>,
    pub(crate) backoff: Option<u32>,
}

/// Who claims.
#[derive(Clone, Debug)]
pub(crate) struct Runner {
    pub(crate) name: Arc<str>,
    pub(crate) life: Option<u64>,
    pub(crate) lease: u64,
}

/// How an attempt ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ending {
    pub(crate) exit: Option<i32>,
    pub(crate) result: Option<Value>,
}

/// What a failure leads to, where the command does not say so itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retrying {
    pub(crate) retries: u32,
    pub(crate) delay: u64,
    pub(crate) backoff: u32,
}

impl Default for Retrying {
    fn default() -> Self {
        Retrying { retries: 0, delay: 0, backoff: 2 }
    }
}

/// The event that makes a log a queue, if it is none yet.
pub(crate) fn begin(state: &State) -> Option<Event<'static>> {
    (!state.begun).then(|| Event { form: Some(FORM), ..Event::new(Do::Queue, "") })
}

/// All of them, or none.
pub(crate) fn add(
    state: &State,
    commands: impl IntoIterator<Item = (Option<String>, Wish)>,
    now: Now,
) -> Result<Vec<Event<'static>>, StoreError> {
    let mut next = state.next;
    let mut names = HashSet::new();
    let add = |(id, wish): (Option<String>, Wish)| {
        let id = match id {
            Some(id) => {
                check_name(&id)?;
                id
            }
            None => name_of(next),
        };
        if state.get(&id).is_some() || !names.insert(id.clone()) {
            return Err(StoreError::Exists { what: COMMAND, id });
        }
        next = next.max(number_of(&id).map_or(0, |number| number + 1));
        check_words(wish.words.as_deref().unwrap_or_default())?;
        Ok(Event { added: Some(now.wall), ..wished(Do::Add, id, wish) })
    };
    commands.into_iter().map(add).collect()
}

pub(crate) fn update(state: &State, id: &str, wish: Wish) -> Result<Event<'static>, StoreError> {
    let command = find(state, id)?;
    if let Some(words) = &wish.words {
        check_words(words)?;
    }
    match command.phase {
        Phase::Pending => Ok(wished(Do::Update, id.to_owned(), wish)),
        _ => Err(wrong_state(command, "only a pending command can be changed")),
    }
}

fn wished(action: Do, id: String, wish: Wish) -> Event<'static> {
    let Wish { words, priority, not_before, retries, retry_delay, backoff } = wish;
    Event { command: words, priority, not_before, retries, retry_delay, backoff, ..Event::new(action, id) }
}

/// `over`: also one that a runner has, who is then refused when it comes to an end.
pub(crate) fn remove(state: &State, id: &str, over: bool) -> Result<Event<'static>, StoreError> {
    let command = find(state, id)?;
    if matches!(command.phase, Phase::Claimed(_)) && !over {
        return Err(wrong_state(command, "a runner has it: wait for its end, or remove it by force"));
    }
    Ok(Event::new(Do::Remove, id.to_owned()))
}

pub(crate) fn shift(state: &State, id: &str, to: Beside) -> Result<Event<'static>, StoreError> {
    find(state, id)?;
    if let Beside::Before(other) | Beside::After(other) = &to {
        find(state, other)?;
        if other == id {
            let problem = format!("command `{id}` can't be moved beside itself");
            return Err(StoreError::Invalid { problem, hint: "name another one".to_owned() });
        }
    }
    Ok(Event { to: Some(to), ..Event::new(Do::Move, id.to_owned()) })
}

pub(crate) fn again(state: &State, id: &str) -> Result<Event<'static>, StoreError> {
    let command = find(state, id)?;
    match command.phase {
        Phase::Done { .. } | Phase::Failed { .. } => Ok(Event::new(Do::Again, id.to_owned())),
        _ => Err(wrong_state(command, "only a done or failed command can be run again")),
    }
}

/// Is nobody entitled to this claim any more? `life` is asked for a claim that has a sign of life.
pub(crate) fn is_over(hold: &Hold, now: Now, life: impl FnOnce(&Hold) -> Life) -> bool {
    let left = hold.until.saturating_sub(now.clock);
    // An end further away than the lease is long is none of this clock: a boot that can't be told from another.
    let by_clock = hold.boot == now.boot && left <= hold.lease;
    let over = if by_clock { left == 0 } else { now.wall >= hold.wall };
    over || (hold.life.is_some() && life(hold) == Life::Dead)
}

/// For so long, if nothing is heard from its runner.
pub(crate) fn remaining(hold: &Hold, now: Now) -> u64 {
    let left = hold.until.saturating_sub(now.clock);
    if hold.boot == now.boot && left <= hold.lease { left } else { hold.wall.saturating_sub(now.wall) }
}

/// The first command that may be claimed: pending and due, or of a runner who lost it. `except` is about to end.
pub(crate) fn first_claimable<'s>(
    state: &'s State,
    except: Option<&str>,
    now: Now,
    mut life: impl FnMut(&Hold) -> Life,
) -> Option<&'s Key> {
    let ready = state.first_ready(now.wall);
    // What comes after the first pending one is not asked about.
    let before = state.claimed().take_while(|(key, ..)| ready.is_none_or(|ready| *key < ready));
    let mut others = before.filter(|(key, ..)| Some(&*key.id) != except);
    others.find(|(_, _, hold)| is_over(hold, now, &mut life)).map(|(key, ..)| key).or(ready)
}

pub(crate) fn claim(
    state: &State,
    runner: &Runner,
    except: Option<&str>,
    now: Now,
    life: impl FnMut(&Hold) -> Life,
) -> Option<Event<'static>> {
    let key = first_claimable(state, except, now, life)?;
    let (clock, wall) = (now.clock.saturating_add(runner.lease), now.wall.saturating_add(runner.lease));
    Some(Event {
        token: Some(now.wall.max(state.token.saturating_add(1))),
        at: Some(now.wall),
        runner: Some(runner.name.to_string().into()),
        life: runner.life,
        boot: Some(now.boot),
        lease: Some(runner.lease),
        until: Some(clock),
        wall: Some(wall),
        ..Event::new(Do::Claim, key.id.to_string())
    })
}

pub(crate) fn beat(
    state: &State,
    id: &str,
    token: u64,
    lease: Option<u64>,
    now: Now,
) -> Result<Event<'static>, StoreError> {
    let (_, hold) = held(state, id, token)?;
    let lease = lease.unwrap_or(hold.lease);
    Ok(Event {
        token: Some(token),
        boot: Some(now.boot),
        lease: Some(lease),
        until: Some(now.clock.saturating_add(lease)),
        wall: Some(now.wall.saturating_add(lease)),
        ..Event::new(Do::Beat, id.to_owned())
    })
}

pub(crate) fn complete(
    state: &State,
    id: &str,
    token: u64,
    ending: Ending,
    now: Now,
) -> Result<Event<'static>, StoreError> {
    held(state, id, token)?;
    ended(Do::Complete, id, token, ending, now)
}

pub(crate) fn fail(
    state: &State,
    id: &str,
    token: u64,
    ending: Ending,
    or: Retrying,
    now: Now,
) -> Result<Event<'static>, StoreError> {
    let (command, _) = held(state, id, token)?;
    let again = (command.failures < command.retries.unwrap_or(or.retries)).then(|| {
        let delay = command.retry_delay.unwrap_or(or.delay);
        let factor = u64::from(command.backoff.unwrap_or(or.backoff));
        let delay = delay.saturating_mul(factor.saturating_pow(command.failures)).min(LONGEST_DELAY.max(delay));
        if delay == 0 { 0 } else { now.wall.saturating_add(delay) }
    });
    Ok(Event { not_before: again, ..ended(Do::Fail, id, token, ending, now)? })
}

pub(crate) fn release(state: &State, id: &str, token: u64, not_before: u64) -> Result<Event<'static>, StoreError> {
    held(state, id, token)?;
    let not_before = (not_before > 0).then_some(not_before);
    Ok(Event { token: Some(token), not_before, ..Event::new(Do::Release, id.to_owned()) })
}

/// Commands that have ended, and are not among the `keep` that ended last, or ended before a moment.
pub(crate) fn prune(state: &State, keep: Option<usize>, before: Option<u64>, failed: bool) -> Vec<Event<'static>> {
    let mut ended: Vec<(u64, &Command)> = state
        .iter()
        .filter_map(|command| match command.phase {
            Phase::Done { at } => Some((at, command)),
            Phase::Failed { at } if failed => Some((at, command)),
            _ => None,
        })
        .collect();
    // The newest first; those of one millisecond by their tokens, which only grow.
    ended.sort_by_key(|(at, command)| std::cmp::Reverse((*at, command.token)));
    let old = ended
        .into_iter()
        .enumerate()
        .filter(|(place, (at, _))| keep.is_none_or(|keep| *place >= keep) && before.is_none_or(|before| *at < before));
    old.map(|(_, (_, command))| Event::new(Do::Remove, command.id.to_string())).collect()
}

fn ended(action: Do, id: &str, token: u64, ending: Ending, now: Now) -> Result<Event<'static>, StoreError> {
    let Ending { exit, result } = ending;
    if let Some(length) = result.as_ref().map(|result| result.to_string().len())
        && length > RESULT
    {
        let problem = format!("the result has {length} bytes, and at most {RESULT} are kept");
        return Err(StoreError::Invalid { problem, hint: "write it to a file and give its name".to_owned() });
    }
    Ok(Event { token: Some(token), at: Some(now.wall), exit, result, ..Event::new(action, id.to_owned()) })
}

/// The claim that a token is of.
fn held<'s>(state: &'s State, id: &str, token: u64) -> Result<(&'s Command, &'s Hold), StoreError> {
    let command = find(state, id)?;
    match command.hold() {
        Some(hold) if command.token == token => Ok((command, hold)),
        _ if command.token != token => {
            let current = (command.token > 0).then_some(command.token);
            Err(StoreError::StaleToken { what: COMMAND, id: id.to_owned(), token, current })
        }
        _ => Err(wrong_state(command, "its claim is over")),
    }
}

fn find<'s>(state: &'s State, id: &str) -> Result<&'s Command, StoreError> {
    state.get(id).ok_or_else(|| StoreError::NotFound { what: COMMAND, id: id.to_owned() })
}

fn wrong_state(command: &Command, why: &'static str) -> StoreError {
    let state = match command.state() {
        CommandState::Done => "done already",
        CommandState::Failed => "failed already",
        other => other.word(),
    };
    StoreError::WrongState { what: COMMAND, id: command.id.to_string(), state, why }
}

fn check_name(id: &str) -> Result<(), StoreError> {
    let fits = (1..=NAME).contains(&id.len())
        && !id.starts_with(['-', '.'])
        && id.chars().all(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '/' | '\\'));
    if fits {
        return Ok(());
    }
    let problem = format!("`{}` can't be the name of a command", id.escape_debug());
    let hint = format!("a name has 1 to {NAME} bytes, no blanks or slashes, and begins with neither `-` nor `.`");
    Err(StoreError::Invalid { problem, hint })
}

fn check_words(words: &[String]) -> Result<(), StoreError> {
    let hint = |hint: &str| hint.to_owned();
    if words.first().is_none_or(String::is_empty) {
        let problem = "a command has at least one word, the program".to_owned();
        return Err(StoreError::Invalid { problem, hint: hint("give a program and its arguments") });
    }
    if words.iter().any(|word| word.contains('\0')) {
        let problem = "a word of a command can't hold a NUL byte".to_owned();
        return Err(StoreError::Invalid { problem, hint: hint("no program could be given it") });
    }
    let length: usize = words.iter().map(|word| word.len() + 1).sum();
    if length > WORDS {
        let problem = format!("the command has {length} bytes, and at most {WORDS} are kept");
        return Err(StoreError::Invalid { problem, hint: hint("write them to a file and give its name") });
    }
    Ok(())
}
