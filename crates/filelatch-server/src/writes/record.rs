//! What is stored of a write, and what is told of it.

use std::sync::Arc;

use filelatch::{Expect, Outcome, Strategy, Version};
use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::extract::FilePath;
use crate::problem::{ConflictInfo, Problem, Result};

/// How far a write is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// It waits for the lock, or for its turn.
    Queued,
    /// It was made.
    Written,
    /// The file was not what it expected.
    Conflict,
    /// It can't be made.
    Failed,
    /// It was called off.
    Cancelled,
}

impl State {
    pub(crate) fn word(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Written => "written",
            State::Conflict => "conflict",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
        }
    }
}

/// A write that came to its end, for those who listen.
#[derive(Clone, Debug)]
pub struct Done {
    /// Its id.
    pub id: String,
    /// Its file.
    pub path: String,
    /// `written`, `conflict`, `failed` or `cancelled`.
    pub state: &'static str,
}

/// A write, as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "as it is stored and told")]
pub(crate) struct Queued {
    pub(crate) path: String,
    pub(crate) session: String,
    pub(crate) state: State,
    /// The hash of `content`, which stays when that goes.
    pub(crate) content_hash: String,
    pub(crate) content: Option<String>,
    /// `absent`, digits of a hash, or nothing.
    pub(crate) expect: Option<String>,
    pub(crate) strategy: Option<String>,
    pub(crate) base: Option<String>,
    pub(crate) lease: Option<u64>,
    pub(crate) mkdir: bool,
    /// A server has begun to make it.
    pub(crate) begun: bool,
    pub(crate) queued_at: String,
    #[serde(default)]
    pub(crate) done_at: Option<String>,
    #[serde(default)]
    pub(crate) outcome: Option<String>,
    #[serde(default)]
    pub(crate) hash: Option<String>,
    #[serde(default)]
    pub(crate) error: Option<String>,
    #[serde(default)]
    pub(crate) conflict_info: Option<ConflictInfo>,
}

/// What becomes of a write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Update {
    pub(crate) outcome: Option<String>,
    pub(crate) hash: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) conflict_info: Option<ConflictInfo>,
}

impl Update {
    /// It was made.
    pub(crate) fn made(outcome: Outcome, hash: Option<Version>) -> Update {
        Update { outcome: Some(outcome.to_string()), hash: hash.map(|hash| hash.to_string()), ..Update::default() }
    }

    /// It was not.
    pub(crate) fn refused(problem: &Problem) -> Update {
        Update {
            error: Some(problem.detail.clone()),
            conflict_info: problem.conflict_info.clone(),
            ..Update::default()
        }
    }
}

impl Queued {
    /// Of a change; refused if it is no text.
    pub(crate) fn of(change: &Change, session: &str, now: String) -> Result<Queued> {
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).map_err(|_| {
                Problem::impossible("not-text", "only text can be left queued").hint("nothing was changed")
            })
        };
        Ok(Queued {
            path: change.path.as_str().to_owned(),
            session: session.to_owned(),
            state: State::Queued,
            content_hash: Version::of(&change.bytes).to_string(),
            content: Some(text(&change.bytes)?),
            expect: match &change.expect {
                Expect::Any => None,
                Expect::Absent => Some("absent".to_owned()),
                Expect::Version(version) => Some(version.to_string()),
                Expect::Prefix(prefix) => Some(prefix.clone()),
            },
            strategy: change.strategy.map(|strategy| word(strategy).to_owned()),
            base: change.base.as_deref().map(text).transpose()?,
            lease: change.lease,
            mkdir: change.mkdir,
            begun: false,
            queued_at: now,
            done_at: None,
            outcome: None,
            hash: None,
            error: None,
            conflict_info: None,
        })
    }

    /// The change that it is.
    pub(crate) fn change(&self) -> Result<Change> {
        let damaged = |what: &str| Problem::impossible("damaged", format!("its stored `{what}` can't be read"));
        let content = self.content.clone().ok_or_else(|| damaged("content"))?;
        let mut change = Change::new(FilePath::parse(&self.path)?, content.into_bytes().into());
        change.expect = match &self.expect {
            None => Expect::Any,
            Some(text) => text.parse().map_err(|_| damaged("expect"))?,
        };
        let strategy = self.strategy.as_deref().map(str::parse).transpose();
        change.strategy = strategy.map_err(|_| damaged("strategy"))?;
        change.base = self.base.as_ref().map(|base| Arc::from(base.as_bytes()));
        (change.lease, change.mkdir) = (self.lease, self.mkdir);
        Ok(change)
    }

    /// What became of it. What it was to write stays only where somebody may still want it.
    pub(crate) fn end(&mut self, state: State, update: Update, now: String) {
        self.state = state;
        self.done_at = Some(now);
        if state == State::Written {
            self.content = None;
            self.base = None;
        }
        Update { outcome: self.outcome, hash: self.hash, error: self.error, conflict_info: self.conflict_info } =
            update;
    }
}

fn word(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::FailFast => "fail-fast",
        Strategy::Queue => "queue",
        Strategy::LastWriteWins => "last-write-wins",
        Strategy::Merge => "merge",
    }
}
