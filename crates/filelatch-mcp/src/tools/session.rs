//! `session`: places to work of one's own: git worktrees.

use std::time::Duration;

use filelatch::show::{time, without_root};
use filelatch_git::{Git, MergeOptions, RemoveOptions, Session as Found, Sessions, StartOptions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Access, Tool};
use crate::refusal::Refusal;
use crate::work::{Call, Work};

/// How long another git at work is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest name of a branch, tag or commit, and of a message, in bytes.
const LONGEST: (usize, usize) = (200, 10_000);

pub(super) struct Session;

/// What to do.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Action {
    #[default]
    List,
    Start,
    Merge,
    Remove,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// `list` (the default), `start` one, `merge` its branch into the one it began at, `remove` it.
    #[serde(default)]
    action: Action,
    /// Its name: letters, digits, and `- _ + .` between them. `start` finds one if there is none.
    name: Option<String>,
    /// For `start`: the branch, tag or commit to begin at; default: where the root is.
    base: Option<String>,
    /// For `merge`: what the commit says.
    message: Option<String>,
    /// For `remove`: keep what is not merged or committed under a git reference, instead of refusing.
    #[serde(default)]
    rescue: bool,
}

/// A session.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct View {
    name: String,
    /// Its folder; relative where it lies below the root.
    folder: String,
    branch: String,
    /// `ready`, or what is the matter.
    state: String,
    /// The branch that it began at.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    /// Has it changes that are not committed?
    #[serde(skip_serializing_if = "Option::is_none")]
    dirty: Option<bool>,
    /// Commits that its base has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    ahead: Option<usize>,
    /// Commits of its base that it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    behind: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<String>,
    /// When something was last done there.
    #[serde(skip_serializing_if = "Option::is_none")]
    active_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// What became of a session that was merged.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Merged {
    branch: String,
    /// The branch that has it now.
    into: String,
    outcome: String,
    commit: String,
}

/// What became of a session that was removed.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Removed {
    branch: String,
    /// The branch is in use elsewhere, and stays.
    branch_kept: bool,
    /// The git reference that keeps what was not merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    rescue: Option<String>,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Answer {
    ok: bool,
    /// All sessions; or the one that was started.
    sessions: Vec<View>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merged: Option<Merged>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<Removed>,
}

impl Tool for Session {
    type Arguments = Arguments;
    type Answer = Answer;
    const NAME: &'static str = "session";
    const TITLE: &'static str = "Isolated work places";
    const DESCRIPTION: &'static str = "Work places of your own in git: `start` makes a worktree on a branch of its own and tells its `folder`; commit \
        there; `merge` brings its branch into the one it began at; `remove` takes it away. `conflict`: the branches do not fit, nothing was \
        merged. `would-lose`: something there is not merged; merge or give `rescue: true`.";
    const ACCESS: Access = Access::Both;
    const DESTROYS: bool = true;
    const WORK: Work = Work::Change;

    fn run(call: &Call, arguments: Arguments) -> Result<Answer, Refusal> {
        if !matches!(arguments.action, Action::List) {
            call.may_write()?;
        }
        let refused = |e: &filelatch_git::Error| refused(call, e);
        let git = Git::new(call.server().root().path()).patience(PATIENCE);
        let sessions = Sessions::open_with(git, call.latch()).map_err(|e| refused(&e))?;
        let name = || {
            let message = "`name` is missing: the session's";
            arguments
                .name
                .as_deref()
                .ok_or_else(|| Refusal::malformed(message).next("session", json!({}), "lists them"))
        };
        let mut answer = Answer { ok: true, ..Answer::default() };
        match arguments.action {
            Action::List => {
                let all = sessions.list().map_err(|e| refused(&e))?;
                answer.sessions = all.into_iter().map(|session| view(call, session)).collect();
            }
            Action::Start => {
                let base = arguments.base.as_ref().map(|base| fit("base", base)).transpose()?.map(str::to_owned);
                let options = StartOptions { base, include: Vec::new() };
                let started = sessions.start(arguments.name.as_deref(), &options).map_err(|e| refused(&e))?;
                answer.sessions = vec![View {
                    folder: folder(call, &started.folder.to_string_lossy()),
                    name: started.name,
                    branch: started.branch,
                    state: "ready".to_owned(),
                    base: Some(started.base),
                    ..View::default()
                }];
            }
            Action::Merge => {
                if arguments.message.as_ref().is_some_and(|message| message.len() > LONGEST.1 || message.contains('\0'))
                {
                    return Err(Refusal::malformed(format!("`message` is text of at most {} bytes", LONGEST.1)));
                }
                let driver = call.server().options().merge_driver.clone();
                let message = arguments.message.clone();
                let options = MergeOptions { message, driver, ..MergeOptions::default() };
                let merged = sessions.merge(name()?, &options).map_err(|e| refused(&e))?;
                answer.merged = Some(Merged {
                    branch: merged.branch,
                    into: merged.into,
                    outcome: merged.outcome.code().to_owned(),
                    commit: merged.commit,
                });
            }
            Action::Remove => {
                let options = RemoveOptions { rescue: arguments.rescue };
                let removed = sessions.remove(name()?, &options).map_err(|e| refused(&e))?;
                answer.removed = Some(Removed {
                    branch: removed.branch,
                    branch_kept: removed.branch_kept,
                    rescue: removed.rescue.map(|rescue| rescue.reference),
                });
            }
        }
        Ok(answer)
    }
}

/// To git a dash begins an option.
fn fit<'a>(what: &str, text: &'a str) -> Result<&'a str, Refusal> {
    let odd = text.is_empty() || text.len() > LONGEST.0 || text.starts_with('-') || text.chars().any(char::is_control);
    if odd { Err(Refusal::malformed(format!("`{what}` is a branch, a tag or a commit"))) } else { Ok(text) }
}

fn folder(call: &Call, folder: &str) -> String {
    without_root(folder, call.server().root().path())
}

fn view(call: &Call, session: Found) -> View {
    View {
        folder: folder(call, &session.folder.to_string_lossy()),
        name: session.name,
        branch: session.branch,
        state: session.state.code().to_owned(),
        base: session.base,
        dirty: session.dirty.map(filelatch_git::Dirty::is_dirty),
        ahead: session.ahead,
        behind: session.behind,
        created_by: session.created_by,
        active_at: session.active_at.map(time),
        problem: session.problem.map(|problem| folder(call, &problem)),
    }
}

/// What git, or the library beside it, says.
fn refused(call: &Call, error: &filelatch_git::Error) -> Refusal {
    if let filelatch_git::Error::Library(error) = error {
        return call.refused(error);
    }
    let told = |text: &str| folder(call, text);
    let refusal = Refusal::new(error.code(), told(&error.to_string()));
    let refusal = match error.code() {
        "git-locked" | "session-busy" | "session-starting" | "overtaken" => refusal.retry(Duration::from_secs(1)),
        "no-such-session" => refusal.next("session", json!({}), "lists the sessions"),
        _ => refusal,
    };
    error.hints().iter().fold(refusal, |refusal, hint| refusal.hint(told(hint)))
}
