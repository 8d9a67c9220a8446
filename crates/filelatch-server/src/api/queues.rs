//! Command queues: what `filelatch queue` does, over HTTP.
//!
//! # Promise
//! A command that was claimed here or by a runner anywhere is its claimer's alone, until its lease is over: who is late with its end is refused
//! (409) by the number of the claim.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use filelatch::Wait;
use filelatch::show::time;
use filelatch::store::StoreFolder;
use filelatch::store::queue::{Beside, ClaimOptions, CommandUpdate, NewCommand, Outcome, Queue, QueuedCommand};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Reader, Writer};
use crate::extract::{Json, MaybeJson, Params, Span};
use crate::problem::{Problem, Refusals, Result};
use crate::state::State;
use crate::work::{Call, Failure, Work};

/// How long a claim lasts unless it is said.
const LEASE: Duration = Duration::from_secs(60);

pub(crate) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(commands, add))
        .routes(routes!(update, remove))
        .routes(routes!(move_to))
        .routes(routes!(claim))
        .routes(routes!(complete))
        .routes(routes!(fail))
        .routes(routes!(release))
        .routes(routes!(heartbeat))
}

/// The queues of the workspace.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = QueueNames)]
pub(crate) struct Names {
    queues: Vec<String>,
}

/// A command in a queue.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CommandView {
    id: String,
    command: Vec<String>,
    /// `pending`, `claimed`, `done` or `failed`.
    state: &'static str,
    attempts: u32,
    priority: i32,
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    runner: Option<String>,
    /// Claimed, and its runner is gone or late: anybody may have it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    claimable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    result: Option<Value>,
    added_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
}

impl From<QueuedCommand> for CommandView {
    fn from(command: QueuedCommand) -> CommandView {
        CommandView {
            id: command.id,
            command: command.command,
            state: command.state.word(),
            attempts: command.attempts,
            priority: command.priority,
            failures: command.failures,
            runner: command.runner,
            claimable: command.claimable,
            exit_code: command.exit_code,
            result: command.result,
            added_at: time(command.added),
            not_before: command.not_before.map(time),
            claimed_at: command.claimed_at.map(time),
            ended_at: command.ended_at.map(time),
        }
    }
}

/// What is in a queue.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Commands {
    queue: String,
    commands: Vec<CommandView>,
}

/// Which command.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CommandId)]
pub(crate) struct Id {
    id: String,
}

/// A command, after what was asked for.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CommandDone)]
pub(crate) struct Done {
    success: bool,
    id: String,
    /// `pending`, `claimed`, `done` or `failed`; left out when it was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
}

/// A queue of the workspace; 404 if there is none of this name, unless it is to be made.
fn open(call: &Call, name: &str, create: bool) -> Result<Queue, Failure> {
    let latch = call.latch();
    let Some(path) = latch.named_store(call.state().root(), StoreFolder::Queues, name, create)? else {
        let problem = Problem::malformed("the name of a queue is of letters, digits, `-` and `_`");
        return Err(problem.hint("nothing was changed").into());
    };
    let known =
        create || latch.named_stores(call.state().root(), StoreFolder::Queues)?.iter().any(|other| other == name);
    if !known {
        let problem = Problem::not_found("no-such-queue", format!("there is no queue `{name}`"));
        return Err(problem.hint("adding a command to it makes it").into());
    }
    Ok(latch.queue(path)?)
}

fn state_of(queue: &Queue, id: &str) -> Result<Done, Failure> {
    let state = queue.get(id)?.state.word();
    Ok(Done { success: true, id: id.to_owned(), state: Some(state) })
}

/// The names of all queues.
#[utoipa::path(
    get, path = "/api/queues", tag = "queues",
    responses(
        (status = 200, body = Names),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(state: State, caller: Reader) -> Result<axum::Json<Names>> {
    let call = |call: &Call| Ok(Names { queues: call.latch().named_stores(call.state().root(), StoreFolder::Queues)? });
    Ok(axum::Json(state.blocking(Work::Look, caller.session(), call).await?))
}

/// All commands of a queue, in the order in which they are claimed.
#[utoipa::path(
    get, path = "/api/queues/{queue}", tag = "queues", params(("queue" = String, Path, description = "Its name")),
    responses(
        (status = 200, body = Commands),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
async fn commands(state: State, caller: Reader, Params([queue]): Params<1>) -> Result<axum::Json<Commands>> {
    let call = move |call: &Call| {
        let commands = open(call, &queue, false)?.list()?;
        Ok(Commands { queue, commands: commands.into_iter().map(CommandView::from).collect() })
    };
    Ok(axum::Json(state.blocking(Work::Look, caller.session(), call).await?))
}

/// A command to be added.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewCommand)]
pub(crate) struct Add {
    /// The program and its arguments.
    command: Vec<String>,
    /// Its id; else one is made. With an id that is there already nothing is added twice.
    id: Option<String>,
    /// Greater ones first; 0.
    priority: Option<i32>,
    /// Not before so long from now.
    delay: Option<Span>,
    /// How often it is tried again when it fails.
    retries: Option<u32>,
    /// And how long after.
    retry_delay: Option<Span>,
}

/// Adds a command. The queue is made if there is none of this name.
#[utoipa::path(
    post, path = "/api/queues/{queue}", tag = "queues", params(("queue" = String, Path, description = "Its name")),
    request_body = Add,
    responses(
        (status = 201, body = Id),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        Refusals,
    )
)]
async fn add(
    state: State,
    caller: Writer,
    Params([queue]): Params<1>,
    Json(ask): Json<Add>,
) -> Result<(StatusCode, axum::Json<Id>)> {
    if ask.command.first().is_none_or(String::is_empty) {
        return Err(Problem::malformed("`command` is a program and its arguments").hint("nothing was changed"));
    }
    let mut command = NewCommand::new(&ask.command);
    if let Some(id) = &ask.id {
        command = command.id(id);
    }
    if let Some(priority) = ask.priority {
        command = command.priority(priority);
    }
    if let Some(Span(delay)) = ask.delay {
        command = command.delay(delay);
    }
    if let Some(retries) = ask.retries {
        command = command.retries(retries);
    }
    if let Some(Span(delay)) = ask.retry_delay {
        command = command.retry_delay(delay);
    }
    let call = move |call: &Call| Ok(Id { id: open(call, &queue, true)?.add(command)? });
    Ok((StatusCode::CREATED, axum::Json(state.blocking(Work::Change, caller.session(), call).await?)))
}

/// What is to be another.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = CommandChange)]
pub(crate) struct Change {
    command: Option<Vec<String>>,
    priority: Option<i32>,
    delay: Option<Span>,
    retries: Option<u32>,
    retry_delay: Option<Span>,
}

/// Changes a command that is pending.
#[utoipa::path(
    patch, path = "/api/queues/{queue}/{id}", tag = "queues",
    params(("queue" = String, Path, description = "Its name"), ("id" = String, Path, description = "The command's id")),
    request_body = Change,
    responses(
        (status = 200, body = Done),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        Refusals,
    )
)]
async fn update(
    state: State,
    caller: Writer,
    Params([queue, id]): Params<2>,
    Json(ask): Json<Change>,
) -> Result<axum::Json<Done>> {
    let mut update = CommandUpdate::new();
    if let Some(command) = &ask.command {
        if command.first().is_none_or(String::is_empty) {
            return Err(Problem::malformed("`command` is a program and its arguments").hint("nothing was changed"));
        }
        update = update.command(command);
    }
    if let Some(priority) = ask.priority {
        update = update.priority(priority);
    }
    if let Some(Span(delay)) = ask.delay {
        update = update.delay(delay);
    }
    if let Some(retries) = ask.retries {
        update = update.retries(retries);
    }
    if let Some(Span(delay)) = ask.retry_delay {
        update = update.retry_delay(delay);
    }
    let call = move |call: &Call| {
        let queue = open(call, &queue, false)?;
        queue.update(&id, update)?;
        state_of(&queue, &id)
    };
    Ok(axum::Json(state.blocking(Work::Change, caller.session(), call).await?))
}

/// Removes a command that nobody has claimed.
#[utoipa::path(
    delete, path = "/api/queues/{queue}/{id}", tag = "queues",
    params(("queue" = String, Path, description = "Its name"), ("id" = String, Path, description = "The command's id")),
    responses(
        (status = 200, body = Done),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        Refusals,
    )
)]
async fn remove(state: State, caller: Writer, Params([queue, id]): Params<2>) -> Result<axum::Json<Done>> {
    let call = move |call: &Call| {
        open(call, &queue, false)?.remove(&id)?;
        Ok(Done { success: true, id, state: None })
    };
    Ok(axum::Json(state.blocking(Work::Change, caller.session(), call).await?))
}

/// Where a command is to stand: exactly one of these.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Where {
    /// The id of the command that it is to stand before.
    before: Option<String>,
    /// The id of the command that it is to stand after.
    after: Option<String>,
    /// True: before all.
    #[serde(default)]
    first: bool,
    /// True: after all.
    #[serde(default)]
    last: bool,
}

/// Moves a command within its queue.
#[utoipa::path(
    post, path = "/api/queues/{queue}/{id}/move", tag = "queues",
    params(("queue" = String, Path, description = "Its name"), ("id" = String, Path, description = "The command's id")),
    request_body = Where,
    responses(
        (status = 200, body = Done),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        Refusals,
    )
)]
async fn move_to(
    state: State,
    caller: Writer,
    Params([queue, id]): Params<2>,
    Json(ask): Json<Where>,
) -> Result<axum::Json<Done>> {
    let to = match (ask.before, ask.after, ask.first, ask.last) {
        (Some(other), None, false, false) => Beside::Before(other),
        (None, Some(other), false, false) => Beside::After(other),
        (None, None, true, false) => Beside::First,
        (None, None, false, true) => Beside::Last,
        _ => {
            let problem = Problem::malformed("exactly one of `before`, `after`, `first` and `last` is needed");
            return Err(problem.hint("nothing was changed"));
        }
    };
    let call = move |call: &Call| {
        let queue = open(call, &queue, false)?;
        queue.move_to(&id, &to)?;
        state_of(&queue, &id)
    };
    Ok(axum::Json(state.blocking(Work::Change, caller.session(), call).await?))
}

/// What claim is wanted.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Claim {
    /// How long it lasts unless it is prolonged; 60 s.
    #[serde(default)]
    lease: Option<Span>,
    /// How long to wait for a command; not at all.
    #[serde(default)]
    wait: Option<Span>,
    /// Who runs it, for others to see.
    #[serde(default)]
    runner: Option<String>,
}

/// A command that was claimed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Claimed {
    id: String,
    /// The number of the claim: its end names it.
    token: u64,
    command: Vec<String>,
    /// How manieth try it is.
    attempt: u32,
    /// How long the claim lasts, in milliseconds.
    lease: u64,
}

/// Claims the next command.
#[utoipa::path(
    post, path = "/api/queues/{queue}/claim", tag = "queues", params(("queue" = String, Path, description = "Its name")),
    request_body(content = inline(Option<Claim>), description = "May be left out"),
    responses(
        (status = 200, body = Claimed),
        (status = 204, description = "There is nothing to be done now"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        Refusals,
    )
)]
async fn claim(
    state: State,
    caller: Writer,
    Params([queue]): Params<1>,
    MaybeJson(ask): MaybeJson<Claim>,
) -> Result<Response> {
    let lease = ask.lease.map_or(LEASE, |lease| lease.0);
    if !(Duration::from_secs(1)..=Duration::from_secs(24 * 3600)).contains(&lease) {
        return Err(Problem::malformed("`lease` is between 1 s and 24 h").hint("nothing was changed"));
    }
    let wait = ask.wait.map_or(Duration::ZERO, |wait| wait.0.min(state.limits().max_wait));
    let runner = ask.runner.unwrap_or_else(|| caller.session().to_owned());
    let call = move |call: &Call| {
        let mut options = ClaimOptions::new().lease(lease).runner(runner).cancel(call.cancel());
        options = options.wait(if wait.is_zero() { Wait::No } else { Wait::For(wait) });
        let claimed = open(call, &queue, false)?.claim_by_lease(&options)?;
        Ok(claimed.map(|claim| Claimed {
            id: claim.id,
            token: claim.token,
            command: claim.command,
            attempt: claim.attempt,
            lease: u64::try_from(claim.lease.as_millis()).unwrap_or(u64::MAX),
        }))
    };
    Ok(match state.blocking(Work::Change, caller.session(), call).await? {
        Some(claimed) => axum::Json(claimed).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// The end of a claim, or that it goes on.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ClaimEnd)]
pub(crate) struct End {
    /// The number of the claim.
    token: u64,
    exit_code: Option<i32>,
    /// What came of it.
    #[schema(value_type = Option<Object>)]
    result: Option<Value>,
    /// Why it failed.
    error: Option<String>,
    /// For the heartbeat: how long the claim lasts from now on.
    lease: Option<Span>,
}

impl End {
    fn outcome(&self) -> Outcome {
        let mut outcome = Outcome::new();
        if let Some(code) = self.exit_code {
            outcome = outcome.exit_code(code);
        }
        match (&self.result, &self.error) {
            (Some(result), _) => outcome.result(result.clone()),
            (None, Some(error)) => outcome.result(serde_json::json!({ "error": error })),
            (None, None) => outcome,
        }
    }
}

async fn end(
    state: State,
    caller: Writer,
    [queue, id]: [String; 2],
    ask: End,
    how: fn(&Queue, &str, &End) -> filelatch::Result<()>,
) -> Result<axum::Json<Done>> {
    let call = move |call: &Call| {
        let queue = open(call, &queue, false)?;
        how(&queue, &id, &ask)?;
        state_of(&queue, &id)
    };
    Ok(axum::Json(state.blocking(Work::Change, caller.session(), call).await?))
}

/// A claimed command has come to a good end.
#[utoipa::path(
    post, path = "/api/queues/{queue}/{id}/complete", tag = "queues",
    params(("queue" = String, Path, description = "Its name"), ("id" = String, Path, description = "The command's id")),
    request_body = End,
    responses(
        (status = 200, body = Done),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        Refusals,
    )
)]
async fn complete(
    state: State,
    caller: Writer,
    Params(which): Params<2>,
    Json(ask): Json<End>,
) -> Result<axum::Json<Done>> {
    end(state, caller, which, ask, |queue, id, ask| queue.complete(id, ask.token, &ask.outcome())).await
}

/// A claimed command has failed: it is tried again, if it is to be, else it stays failed.
#[utoipa::path(
    post, path = "/api/queues/{queue}/{id}/fail", tag = "queues",
    params(("queue" = String, Path, description = "Its name"), ("id" = String, Path, description = "The command's id")),
    request_body = End,
    responses(
        (status = 200, body = Done),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        Refusals,
    )
)]
async fn fail(
    state: State,
    caller: Writer,
    Params(which): Params<2>,
    Json(ask): Json<End>,
) -> Result<axum::Json<Done>> {
    end(state, caller, which, ask, |queue, id, ask| queue.fail(id, ask.token, &ask.outcome())).await
}

/// Gives a claim back: the command is pending again.
#[utoipa::path(
    post, path = "/api/queues/{queue}/{id}/release", tag = "queues",
    params(("queue" = String, Path, description = "Its name"), ("id" = String, Path, description = "The command's id")),
    request_body = End,
    responses(
        (status = 200, body = Done),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        Refusals,
    )
)]
async fn release(
    state: State,
    caller: Writer,
    Params(which): Params<2>,
    Json(ask): Json<End>,
) -> Result<axum::Json<Done>> {
    end(state, caller, which, ask, |queue, id, ask| queue.release(id, ask.token)).await
}

/// A claim goes on: its lease begins anew.
#[utoipa::path(
    post, path = "/api/queues/{queue}/{id}/heartbeat", tag = "queues",
    params(("queue" = String, Path, description = "Its name"), ("id" = String, Path, description = "The command's id")),
    request_body = End,
    responses(
        (status = 200, body = Done),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        Refusals,
    )
)]
async fn heartbeat(
    state: State,
    caller: Writer,
    Params(which): Params<2>,
    Json(ask): Json<End>,
) -> Result<axum::Json<Done>> {
    end(state, caller, which, ask, |queue, id, ask| queue.beat(id, ask.token, ask.lease.map(|lease| lease.0))).await
}
