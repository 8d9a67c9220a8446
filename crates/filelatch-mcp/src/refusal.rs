//! Why a call was not done, in one shape, for models: what happened, what did not, which call comes next.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use filelatch::show::{author, inside, time, without_root};
use filelatch::{Conflict, Error, Expect, Holder};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A refusal: the structured content of an answer with `isError`. Paths are relative to the root.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Refusal {
    /// Always false.
    pub ok: bool,
    /// A stable word for it.
    pub kind: String,
    /// What happened.
    pub message: String,
    /// What did not happen.
    pub not_done: String,
    /// What to do now, best first.
    pub next: Vec<Next>,
    /// The file that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What is there instead of what was expected, and whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflict: Option<Box<ConflictView>>,
    /// Where the text was found, if it is ambiguous; or nearly found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Spot>,
    /// Who holds the lock or the lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<Box<HolderView>>,
    /// When it may be worth trying again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// A call that may help.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Next {
    /// The tool to call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Its arguments, as far as they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Map<String, Value>>,
    /// A command to run in a terminal instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// What for.
    pub why: String,
}

/// Two versions that do not fit together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct ConflictView {
    /// The version that the call was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_hash: Option<String>,
    /// The version that is there; absent: no file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_hash: Option<String>,
    /// Who wrote it: a session, or `external`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The stored conflict, for `conflicts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What this call wants there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mine: Option<String>,
    /// What is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theirs: Option<String>,
    /// The lines of the current content that it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Spot>,
}

/// A place in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Spot {
    /// The line, from 1.
    pub line: usize,
    /// Its text.
    pub text: String,
}

/// Who holds a lock or a lease, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct HolderView {
    /// The session that it writes as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Its process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Its program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// What it is doing, in its own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The place in the queue, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<usize>,
}

impl From<&Holder> for HolderView {
    fn from(holder: &Holder) -> HolderView {
        HolderView {
            session: holder.session.clone(),
            pid: holder.pid,
            program: holder.program.clone(),
            purpose: holder.purpose.clone(),
            since: holder.since.map(time),
            place: None,
        }
    }
}

const NOTHING: &str = "nothing was changed";

impl Refusal {
    /// A refusal: nothing was changed.
    pub(crate) fn new(kind: &str, message: impl Into<String>) -> Refusal {
        Refusal { kind: kind.to_owned(), message: message.into(), not_done: NOTHING.to_owned(), ..Refusal::default() }
    }

    /// The arguments are wrong.
    pub(crate) fn malformed(message: impl Into<String>) -> Refusal {
        Refusal::new("malformed", message)
    }

    /// Names the file.
    pub(crate) fn about(mut self, path: impl Into<String>) -> Refusal {
        self.path = Some(path.into());
        self
    }

    /// Says what did not happen, where it is not that nothing was changed.
    pub(crate) fn not_done(mut self, what: impl Into<String>) -> Refusal {
        self.not_done = what.into();
        self
    }

    /// Adds a call that may help. `arguments` is a JSON object.
    pub(crate) fn next(mut self, tool: &str, arguments: Value, why: impl Into<String>) -> Refusal {
        let arguments = match arguments {
            Value::Object(arguments) => Some(arguments),
            _ => None,
        };
        self.next.push(Next { tool: Some(tool.to_owned()), arguments, run: None, why: why.into() });
        self
    }

    /// Adds a command that may help.
    pub(crate) fn run(mut self, command: &str, why: impl Into<String>) -> Refusal {
        self.next.push(Next { run: Some(command.to_owned()), why: why.into(), ..Next::default() });
        self
    }

    /// Adds what may help, in words.
    pub(crate) fn hint(mut self, why: impl Into<String>) -> Refusal {
        self.next.push(Next { why: why.into(), ..Next::default() });
        self
    }

    /// Says when to try again.
    pub(crate) fn retry(mut self, after: Duration) -> Refusal {
        self.retry_after_ms = Some(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// What the library says, with paths relative to `root`.
    pub(crate) fn of(error: &Error, root: &Path) -> Refusal {
        let mut refusal = Refusal::new(error.code(), without_root(&error.to_string(), root));
        refusal.path = inside(error.path(), root);
        let file = json!({ "path": refusal.path });
        match error {
            Error::Locked { holders, .. } | Error::Timeout { holders, .. } => {
                refusal.holder = holders.first().map(|holder| Box::new(holder.into()));
                refusal.retry(Duration::from_secs(1)).hint("make the same call again, or with a larger `wait_ms`")
            }
            Error::Leased { holder, remaining, .. } => {
                refusal.holder = Some(Box::new((&**holder).into()));
                refusal
                    .retry((*remaining).max(Duration::from_millis(100)))
                    .next("lease", with(&file, "action", "acquire"), "waits for its turn; then write with its token")
                    .hint("or make the same call again when the lease is over; with its token, if it is yours")
            }
            Error::LeaseLost { holder, .. } => {
                refusal.holder = holder.as_deref().map(|holder| Box::new(holder.into()));
                refusal.next("lease", with(&file, "action", "acquire"), "takes the lease again").next(
                    "read",
                    file,
                    "shows what is there by now",
                )
            }
            Error::Conflict(conflict) => {
                refusal.conflict = Some(Box::new(ConflictView::from(&**conflict)));
                let refusal = match conflict.unmerged.as_ref().and_then(|unmerged| unmerged.id.clone()) {
                    Some(id) => refusal.next("conflicts", json!({"action": "show", "id": id}), "shows both versions"),
                    None => refusal,
                };
                let file = with(&file, "known_hash", &conflict_hash(conflict));
                refusal.next("read", file, "shows what is there; make the change for that")
            }
            Error::Deadlock { .. } | Error::Cancelled { .. } => {
                refusal.retry(Duration::from_millis(100)).hint("make the same call again")
            }
            Error::Io { source, .. } if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                // A directory on its way.
                "not-found".clone_into(&mut refusal.kind);
                refusal.hint("check the path")
            }
            Error::NotFound { .. } => {
                refusal.next("status", json!({}), "tells the root that paths are relative to").hint("check the path")
            }
            Error::NoWorkspace { .. } => {
                refusal.run("filelatch init", "makes a workspace, which remembers from then on")
            }
            Error::OutsideRoot { .. } | Error::BadPath { .. } => {
                refusal.hint("give a path relative to the root: names joined by `/`, no `..`")
            }
            Error::PublishedNotDurable { .. } => {
                let what = "the new content is in place, but a power cut may bring the old one back";
                refusal.not_done(what).next("read", file, "shows what is there")
            }
            Error::Partial(applied) => {
                let not = "the files that another program changed meanwhile were not written; the others were";
                refusal.path = applied.files.first().and_then(|file| inside(&file.path, root));
                refusal.not_done(not).next("conflicts", json!({}), "lists what could not be written")
            }
            Error::Unfinished { .. } => refusal
                .not_done(
                    "some of the files may have their new content; the rest follows when one of them is locked next",
                )
                .next("doctor", json!({"fix": true}), "completes it now"),
            other => {
                let hints = other.hints();
                hints.iter().fold(refusal, |refusal, hint| refusal.hint(without_root(hint, root)))
            }
        }
    }
}

fn conflict_hash(conflict: &Conflict) -> String {
    match &conflict.expected {
        Expect::Version(version) => version.to_string(),
        _ => String::new(),
    }
}

fn with(object: &Value, key: &str, value: &str) -> Value {
    let mut object = object.clone();
    if !value.is_empty() {
        object[key] = json!(value);
    }
    object
}

impl From<&Conflict> for ConflictView {
    fn from(conflict: &Conflict) -> ConflictView {
        ConflictView {
            expected_hash: match &conflict.expected {
                Expect::Any => None,
                Expect::Absent => Some("absent".to_owned()),
                Expect::Version(version) => Some(version.to_string()),
                Expect::Prefix(prefix) => Some(prefix.clone()),
            },
            current_hash: conflict.current.map(|version| version.to_string()),
            by: conflict.current.and_then(|_| author(&conflict.last_modified_by)),
            at: conflict.last_modified_at.map(time),
            id: conflict.unmerged.as_ref().and_then(|unmerged| unmerged.id.clone()),
            ..ConflictView::default()
        }
    }
}
