//! Sessions: places to work that are isolated in git worktrees.

use std::time::Duration;

use axum::http::StatusCode;
use filelatch::show::time;
use filelatch_git::{Git, MergeOptions, RemoveOptions, Session, Sessions, StartOptions};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Reader, Writer};
use crate::extract::{Json, MaybeJson, Param, Query};
use crate::problem::{Problem, Refusals, Result};
use crate::state::State;
use crate::work::{Call, Failure, Work};

/// How long another git at work is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest name of a branch, tag or commit, in bytes.
const LONGEST: usize = 200;

pub(crate) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list, start)).routes(routes!(merge)).routes(routes!(remove))
}

/// A session.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionView {
    name: String,
    /// Its folder; relative where it lies below the root.
    path: String,
    branch: String,
    /// `ready`, or what is the matter.
    state: &'static str,
    head: Option<String>,
    base: Option<String>,
    base_commit: Option<String>,
    /// Has it changes that are not committed?
    dirty: Option<bool>,
    staged: Option<usize>,
    modified: Option<usize>,
    untracked: Option<usize>,
    /// Commits that the branch it began at has not.
    ahead: Option<usize>,
    behind: Option<usize>,
    merged: Option<bool>,
    created_by: Option<String>,
    created_at: Option<String>,
    active_at: Option<String>,
    problem: Option<String>,
}

impl SessionView {
    fn of(state: &State, session: Session) -> SessionView {
        SessionView {
            path: state.told(&session.folder.to_string_lossy()),
            name: session.name,
            branch: session.branch,
            state: session.state.code(),
            head: session.head,
            base: session.base,
            base_commit: session.base_commit,
            dirty: session.dirty.map(filelatch_git::Dirty::is_dirty),
            staged: session.dirty.map(|dirty| dirty.staged),
            modified: session.dirty.map(|dirty| dirty.modified),
            untracked: session.dirty.map(|dirty| dirty.untracked),
            ahead: session.ahead,
            behind: session.behind,
            merged: session.merged,
            created_by: session.created_by,
            created_at: session.created_at.map(time),
            active_at: session.active_at.map(time),
            problem: session.problem.map(|problem| state.told(&problem)),
        }
    }
}

/// All sessions.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SessionList {
    sessions: Vec<SessionView>,
}

fn open(call: &Call) -> Result<Sessions, Failure> {
    let git = Git::new(call.state().root()).patience(PATIENCE);
    Sessions::open_with(git, call.latch()).map_err(|e| refused(call, &e))
}

/// What git, or the library beside it, says, as a refusal.
fn refused(call: &Call, error: &filelatch_git::Error) -> Failure {
    let status = match error.code() {
        "no-such-session" | "no-repository" | "no-commit" => StatusCode::NOT_FOUND,
        "usage" | "bad-target" => StatusCode::BAD_REQUEST,
        "git-locked" | "session-busy" | "session-starting" | "overtaken" => StatusCode::SERVICE_UNAVAILABLE,
        "conflict" | "session-exists" | "would-lose" | "uncommitted" | "in-progress" | "in-the-way"
        | "session-switched" => StatusCode::CONFLICT,
        "io" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let mut problem = match error {
        filelatch_git::Error::Library(error) => call.state().problem(error),
        error => Problem::new(status, error.code(), call.state().told(&error.to_string())),
    };
    problem.hints = error.hints().iter().map(|hint| call.state().told(hint)).collect();
    if problem.status() == StatusCode::SERVICE_UNAVAILABLE {
        problem = problem.retry(Duration::from_secs(1));
    }
    problem.into()
}

/// The sessions of the repository.
#[utoipa::path(
    get, path = "/api/sessions", tag = "sessions",
    responses(
        (status = 200, body = SessionList),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(state: State, caller: Reader) -> Result<axum::Json<SessionList>> {
    let call = |call: &Call| {
        let all = open(call)?.list().map_err(|e| refused(call, &e))?;
        Ok(SessionList { sessions: all.into_iter().map(|session| SessionView::of(call.state(), session)).collect() })
    };
    Ok(axum::Json(state.blocking(Work::Change, caller.session(), call).await?))
}

/// What session is wanted.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSession)]
pub(crate) struct Start {
    name: String,
    /// A branch, a tag or a commit; else where the served folder is.
    base: Option<String>,
}

/// A session that was started.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StartedSession)]
pub(crate) struct Started {
    success: bool,
    name: String,
    path: String,
    branch: String,
    base: String,
    base_commit: String,
}

/// Starts a session: a worktree on a branch of its own.
#[utoipa::path(
    post, path = "/api/sessions", tag = "sessions", request_body = Start,
    responses(
        (status = 201, body = Started),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        Refusals,
    )
)]
async fn start(state: State, caller: Writer, Json(ask): Json<Start>) -> Result<(StatusCode, axum::Json<Started>)> {
    // To git a dash begins an option.
    let odd = |name: &String| {
        name.is_empty() || name.len() > LONGEST || name.starts_with('-') || name.chars().any(char::is_control)
    };
    if ask.base.as_ref().is_some_and(odd) {
        return Err(Problem::malformed("`base` is a branch, a tag or a commit").hint("nothing was changed"));
    }
    let call = move |call: &Call| {
        let options = StartOptions { base: ask.base, include: Vec::new() };
        let started = open(call)?.start(Some(&ask.name), &options).map_err(|e| refused(call, &e))?;
        Ok(Started {
            success: true,
            path: call.state().told(&started.folder.to_string_lossy()),
            name: started.name,
            branch: started.branch,
            base: started.base,
            base_commit: started.base_commit,
        })
    };
    Ok((StatusCode::CREATED, axum::Json(state.blocking(Work::Change, caller.session(), call).await?)))
}

/// How a session is merged.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SessionMerge)]
pub(crate) struct Merge {
    /// What the commit says; else git's own words.
    #[serde(default)]
    message: Option<String>,
}

/// A session that was merged.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = MergedSession)]
pub(crate) struct Merged {
    success: bool,
    name: String,
    branch: String,
    /// The branch that has it now.
    into: String,
    outcome: &'static str,
    commit: String,
}

/// Merges a session's branch into the one that it began at.
#[utoipa::path(
    post, path = "/api/sessions/{name}/merge", tag = "sessions", params(("name" = String, Path, description = "The session")),
    request_body(content = inline(Option<Merge>), description = "May be left out"),
    responses(
        (status = 200, body = Merged),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        Refusals,
    )
)]
async fn merge(
    state: State,
    caller: Writer,
    Param(name): Param,
    MaybeJson(ask): MaybeJson<Merge>,
) -> Result<axum::Json<Merged>> {
    let call = move |call: &Call| {
        let driver = call.state().options().merge_driver.clone();
        let options = MergeOptions { message: ask.message, driver, ..MergeOptions::default() };
        let merged = open(call)?.merge(&name, &options).map_err(|e| refused(call, &e))?;
        Ok(Merged {
            success: true,
            name: merged.name,
            branch: merged.branch,
            into: merged.into,
            outcome: merged.outcome.code(),
            commit: merged.commit,
        })
    };
    Ok(axum::Json(state.blocking(Work::Change, caller.session(), call).await?))
}

#[derive(Clone, Debug, Deserialize)]
struct Remove {
    #[serde(default)]
    rescue: bool,
}

/// A session that was removed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RemovedSession)]
pub(crate) struct Removed {
    success: bool,
    name: String,
    branch: String,
    /// The branch is in use elsewhere, and stays.
    branch_kept: bool,
    /// The git reference that keeps what was not merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    rescue: Option<String>,
}

/// Removes a session. What would be lost is refused (409), or kept under a reference (`rescue`).
#[utoipa::path(
    delete, path = "/api/sessions/{name}", tag = "sessions",
    params(
        ("name" = String, Path, description = "The session"),
        ("rescue" = Option<bool>, Query, description = "Keep what would be lost"),
    ),
    responses(
        (status = 200, body = Removed),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        Refusals,
    )
)]
async fn remove(
    state: State,
    caller: Writer,
    Param(name): Param,
    Query(ask): Query<Remove>,
) -> Result<axum::Json<Removed>> {
    let call = move |call: &Call| {
        let removed =
            open(call)?.remove(&name, &RemoveOptions { rescue: ask.rescue }).map_err(|e| refused(call, &e))?;
        Ok(Removed {
            success: true,
            name: removed.name,
            branch: removed.branch,
            branch_kept: removed.branch_kept,
            rescue: removed.rescue.map(|rescue| rescue.reference),
        })
    };
    Ok(axum::Json(state.blocking(Work::Change, caller.session(), call).await?))
}
