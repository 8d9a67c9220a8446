//! What happens to a queue, as its log has it: one JSON object for each event, in the order in which they count.
//!
//! An event says what was decided, not what was asked: tokens, times and the end of a lease are in it, so that everybody who reads the
//! log comes to the same state. What was refused is no event.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::store::StoreError;

/// The form of the events that this program writes.
pub(crate) const FORM: u64 = 1;

/// What an event does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Do {
    /// The log is a queue, of this form. The first event of each.
    Queue,
    /// A new command, at the end of its priority.
    Add,
    /// A command as it is, in a snapshot.
    State,
    /// Other words, priority, time or retries.
    Update,
    Remove,
    Move,
    /// A runner has it from now on, whoever had it before.
    Claim,
    /// The claim lasts longer.
    Beat,
    /// It went well.
    Complete,
    /// It went wrong: over, or again later.
    Fail,
    /// The runner gives it back.
    Release,
    /// A failed or done command is pending once more.
    Again,
}

/// Where a command is moved to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Beside {
    /// Directly before this one, with its priority.
    Before(String),
    /// Directly after this one, with its priority.
    After(String),
    /// Before all others, with the priority of the first.
    First,
    /// After all others, with the priority of the last.
    Last,
}

/// How far a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum CommandState {
    /// To be claimed, at once or from its time on.
    Pending,
    /// A runner has it.
    Claimed,
    /// It was completed.
    Done,
    /// It failed as often as it may.
    Failed,
}

impl CommandState {
    /// The word for it: `pending`, `claimed`, `done`, `failed`.
    pub fn word(self) -> &'static str {
        match self {
            CommandState::Pending => "pending",
            CommandState::Claimed => "claimed",
            CommandState::Done => "done",
            CommandState::Failed => "failed",
        }
    }
}

/// One event. Times are milliseconds since the epoch, but for `until`, which is of the machine's own clock since its boot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Event<'a> {
    #[serde(rename = "do")]
    pub(crate) action: Do,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    pub(crate) id: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) form: Option<u64>,
    /// The number that the next command without a name gets, if it is not the one after the last (snapshot).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) priority: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<u64>,
    /// When a command was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) added: Option<u64>,
    /// When it was claimed, or ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) not_before: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retries: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry_delay: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) backoff: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attempts: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failures: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<CommandState>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) runner: Option<Cow<'a, str>>,
    /// The sign of life: part of the name of a file that is locked as long as the runner lives. Without: by lease only.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hex")]
    pub(crate) life: Option<u64>,
    /// The boot that `until` is of.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hex")]
    pub(crate) boot: Option<u64>,
    /// Length of the lease, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lease: Option<u64>,
    /// Its end, on the clock of that boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<u64>,
    /// Its end, on the wall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) wall: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) exit: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<Beside>,
}

impl<'a> Event<'a> {
    pub(crate) fn new(action: Do, id: impl Into<Cow<'a, str>>) -> Event<'a> {
        Event {
            action,
            id: id.into(),
            form: None,
            next: None,
            token: None,
            command: None,
            priority: None,
            place: None,
            added: None,
            at: None,
            not_before: None,
            retries: None,
            retry_delay: None,
            backoff: None,
            attempts: None,
            failures: None,
            state: None,
            runner: None,
            life: None,
            boot: None,
            lease: None,
            until: None,
            wall: None,
            exit: None,
            result: None,
            to: None,
        }
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, StoreError> {
        serde_json::to_vec(self).map_err(|e| StoreError::Invalid {
            problem: format!("it can't be written as JSON: {e}"),
            hint: "nothing was changed".to_owned(),
        })
    }

    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Event<'a>, String> {
        serde_json::from_slice(bytes).map_err(|e| e.to_string())
    }
}

/// Numbers that are names: sixteen digits.
mod hex {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::ref_option, reason = "as serde calls it")]
    pub(super) fn serialize<S: Serializer>(number: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{:016x}", number.unwrap_or_default()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        let text = Cow::<str>::deserialize(from)?;
        u64::from_str_radix(&text, 16).map(Some).map_err(|_| D::Error::custom("not sixteen digits"))
    }
}
