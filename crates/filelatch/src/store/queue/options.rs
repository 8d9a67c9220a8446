//! What a queue is asked for, and what it tells.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::decide::{Ending, Retrying, Wish};
use super::event::CommandState;
use super::state::{Command, Phase};
use crate::lock::{CancelToken, Wait};

/// Lease of a runner, whose lock tells earlier whether it lives.
pub(crate) const LEASE: Duration = Duration::from_secs(30);
/// Lease of a claim that no process stands for.
pub(crate) const LEASE_ONLY: Duration = Duration::from_secs(5 * 60);

/// A command to be added.
#[derive(Clone, Debug, Default)]
pub struct NewCommand {
    pub(crate) id: Option<String>,
    pub(crate) wish: Wish,
    pub(crate) delay: Option<Duration>,
}

impl NewCommand {
    /// A program and its arguments.
    pub fn new(words: impl IntoIterator<Item = impl Into<String>>) -> NewCommand {
        let words = words.into_iter().map(Into::into).collect();
        NewCommand { id: None, wish: Wish { words: Some(words), ..Wish::default() }, delay: None }
    }

    /// Its name, which no other command of the queue may have: up to 128 bytes, no blanks or slashes. Else it gets a number.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Higher ones come first; 0 by default.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.wish.priority = Some(priority);
        self
    }

    /// Not claimed before so much time has passed, by the wall clock.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// How often it is tried again after it has failed; else the runner decides. A runner's death is no failure.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.wish.retries = Some(retries);
        self
    }

    /// How long after the first failure it is tried again.
    #[must_use]
    pub fn retry_delay(mut self, delay: Duration) -> Self {
        self.wish.retry_delay = Some(millis(delay));
        self
    }

    /// By what that is multiplied with each further failure; 2 by default. The longest delay is a day, or the first if that is longer.
    #[must_use]
    pub fn backoff(mut self, factor: u32) -> Self {
        self.wish.backoff = Some(factor);
        self
    }
}

/// What is to be different of a pending command.
#[derive(Clone, Debug, Default)]
pub struct CommandUpdate {
    pub(crate) wish: Wish,
    pub(crate) delay: Option<Duration>,
}

impl CommandUpdate {
    /// Nothing yet.
    pub fn new() -> CommandUpdate {
        CommandUpdate::default()
    }

    /// Another program and its arguments.
    #[must_use]
    pub fn command(mut self, words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.wish.words = Some(words.into_iter().map(Into::into).collect());
        self
    }

    /// Another priority: the command goes to its end.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.wish.priority = Some(priority);
        self
    }

    /// Not claimed before so much time has passed from now on; nothing: at once.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// How often it is tried again after it has failed.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.wish.retries = Some(retries);
        self
    }

    /// How long after the first failure it is tried again.
    #[must_use]
    pub fn retry_delay(mut self, delay: Duration) -> Self {
        self.wish.retry_delay = Some(millis(delay));
        self
    }

    /// By what that is multiplied with each further failure.
    #[must_use]
    pub fn backoff(mut self, factor: u32) -> Self {
        self.wish.backoff = Some(factor);
        self
    }
}

/// How a command is claimed.
#[derive(Clone, Debug, Default)]
pub struct ClaimOptions {
    pub(crate) lease: Option<Duration>,
    pub(crate) wait: Option<Wait>,
    pub(crate) until_empty: bool,
    pub(crate) cancel: Option<CancelToken>,
    pub(crate) runner: Option<String>,
}

impl ClaimOptions {
    /// No wait; a lease of 30 s for a [`Claim`](super::Claim), of 5 minutes for a claim by lease only.
    pub fn new() -> ClaimOptions {
        ClaimOptions::default()
    }

    /// How long the claim lasts without a sign of its runner. At least a millisecond.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// How long to wait for something to claim; not at all by default.
    #[must_use]
    pub fn wait(mut self, wait: Wait) -> Self {
        self.wait = Some(wait);
        self
    }

    /// A wait ends when nothing is pending or claimed any more.
    #[must_use]
    pub fn until_empty(mut self) -> Self {
        self.until_empty = true;
        self
    }

    /// Lets the wait be called off from elsewhere; it ends with [`Error::Cancelled`](crate::Error::Cancelled).
    #[must_use]
    pub fn cancel(mut self, token: &CancelToken) -> Self {
        self.cancel = Some(token.clone());
        self
    }

    /// Who claims, for those who look at the list; the engine's session by default.
    #[must_use]
    pub fn runner(mut self, name: impl Into<String>) -> Self {
        self.runner = Some(name.into());
        self
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub(crate) ending: Ending,
    pub(crate) retrying: Retrying,
}

impl Outcome {
    /// Without an exit code or result.
    pub fn new() -> Outcome {
        Outcome::default()
    }

    /// The exit code, shown in the list.
    #[must_use]
    pub fn exit_code(mut self, code: i32) -> Self {
        self.ending.exit = Some(code);
        self
    }

    /// What came out, at most 64 KiB as JSON.
    #[must_use]
    pub fn result(mut self, result: impl Into<Value>) -> Self {
        self.ending.result = Some(result.into());
        self
    }

    /// After a failure: how often such a command is tried again that does not say so itself.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retrying.retries = retries;
        self
    }

    /// After a failure: how long later, where the command does not say so itself.
    #[must_use]
    pub fn retry_delay(mut self, delay: Duration) -> Self {
        self.retrying.delay = millis(delay);
        self
    }
}

/// A command as it stands in the list.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QueuedCommand {
    /// Its name.
    pub id: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How far it is.
    pub state: CommandState,
    /// Higher ones come first.
    pub priority: i32,
    /// How often it was claimed.
    pub attempts: u32,
    /// How many of these have failed.
    pub failures: u32,
    /// The number of the last claim.
    pub token: Option<u64>,
    /// Who has it.
    pub runner: Option<String>,
    /// Its runner is gone, or has not been heard of for its lease: whoever claims next may have it.
    pub claimable: bool,
    /// The exit code of the last attempt that ended.
    pub exit_code: Option<i32>,
    /// What came out of it.
    pub result: Option<Value>,
    /// When it was added.
    pub added: SystemTime,
    /// Not to be claimed before.
    pub not_before: Option<SystemTime>,
    /// When it was claimed.
    pub claimed_at: Option<SystemTime>,
    /// When it was done, or failed for good.
    pub ended_at: Option<SystemTime>,
}

impl QueuedCommand {
    pub(crate) fn of(command: &Command, claimable: bool) -> QueuedCommand {
        let (mut claimed_at, mut ended_at) = (None, None);
        match &command.phase {
            Phase::Pending => {}
            Phase::Claimed(hold) => claimed_at = Some(moment(hold.since)),
            Phase::Done { at } | Phase::Failed { at } => ended_at = Some(moment(*at)),
        }
        QueuedCommand {
            id: command.id.to_string(),
            command: command.words.clone(),
            state: command.state(),
            priority: command.priority,
            attempts: command.attempts,
            failures: command.failures,
            token: (command.token > 0).then_some(command.token),
            runner: command.hold().map(|hold| hold.runner.to_string()),
            claimable,
            exit_code: command.exit,
            result: command.result.clone(),
            added: moment(command.added),
            not_before: (command.not_before > 0).then(|| moment(command.not_before)),
            claimed_at,
            ended_at,
        }
    }
}

/// Which commands that have ended are forgotten.
#[derive(Clone, Copy, Debug, Default)]
pub struct PruneOptions {
    pub(crate) keep: Option<usize>,
    pub(crate) older_than: Option<Duration>,
    pub(crate) failed: bool,
}

impl PruneOptions {
    /// All that are done.
    pub fn new() -> PruneOptions {
        PruneOptions::default()
    }

    /// Not the last so many.
    #[must_use]
    pub fn keep(mut self, newest: usize) -> Self {
        self.keep = Some(newest);
        self
    }

    /// Only those that ended longer ago.
    #[must_use]
    pub fn older_than(mut self, time: Duration) -> Self {
        self.older_than = Some(time);
        self
    }

    /// Also those that have failed.
    #[must_use]
    pub fn failed_too(mut self) -> Self {
        self.failed = true;
        self
    }
}

/// In milliseconds.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn moment(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(SystemTime::UNIX_EPOCH)
}
