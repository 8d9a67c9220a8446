//! Locks and leases.
//!
//! # Promise
//! A lease taken here is known by its number alone: it is written under, renewed and given back by whoever names it, and outlives the server. It
//! ends by its time, also when its holder is gone.
//!
//! # Non-promise
//! The number is no secret: it keeps writers from overtaking each other by mistake, not by malice.

use std::time::Duration;

use axum::http::StatusCode;
use filelatch::{Error, LatchFile, LeaseOptions, Wait};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Reader, Writer};
use crate::events::lookout::{LeaseView, LockView, look, look_at_all};
use crate::extract::{FilePath, Json, Query, Span};
use crate::problem::{HolderView, Problem, Refusals, Result};
use crate::state::State;
use crate::work::{Call, Failure, Work};

/// How long a lease lasts unless it is said.
const HOLD: Duration = Duration::from_secs(30);
/// And at least and at most.
const LENGTHS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));
/// Longest text that says what a lease is for, in bytes.
const PURPOSE: usize = 200;

pub(crate) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(all)).routes(routes!(one, take, renew, release))
}

/// Files that are locked or leased.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Locks {
    /// Sorted by path.
    locks: Vec<LockView>,
}

/// The files that somebody holds now.
#[utoipa::path(get, path = "/api/locks", tag = "locks", responses(
        (status = 200, body = Locks),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    )
)]
async fn all(state: State, caller: Reader) -> Result<axum::Json<Locks>> {
    let locks = state.blocking(Work::Look, caller.session(), look_at_all).await?;
    Ok(axum::Json(Locks { locks }))
}

/// Who holds a file's lock, who waits for it, and who has a lease.
#[utoipa::path(
    get, path = "/api/locks/{*path}", tag = "locks", params(("path" = String, Path, description = "The file")),
    responses(
        (status = 200, body = LockView),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
async fn one(state: State, caller: Reader, path: FilePath) -> Result<axum::Json<LockView>> {
    let view = state.blocking(Work::Look, caller.session(), move |call| look(call, &path)).await?;
    Ok(axum::Json(view))
}

/// What lease is wanted.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Take {
    /// How long it is to last unless it is renewed; 30 s.
    max_hold: Option<Span>,
    /// How long to wait for it if somebody has it; not at all.
    wait: Option<Span>,
    /// What it is for, for others to see.
    purpose: Option<String>,
    /// Whose it is.
    session_id: Option<String>,
}

/// Which lease is renewed.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Renew {
    /// Its number.
    token: u64,
    /// How long it is to last from now on; as before.
    max_hold: Option<Span>,
}

#[derive(Clone, Debug, Deserialize)]
struct Release {
    token: u64,
}

/// A lease that was had.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Leased {
    /// The file.
    path: String,
    /// Its number: what is written under it names it.
    token: u64,
    /// When it is over unless it is renewed.
    expires_at: String,
    /// Who has it.
    holder: HolderView,
}

/// A lease that was given back.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Released {
    success: bool,
    path: String,
}

/// Takes a lease: the right to write a file, for a time.
#[utoipa::path(
    post, path = "/api/locks/{*path}", tag = "locks", params(("path" = String, Path, description = "The file")),
    request_body = Take,
    responses(
        (status = 201, body = Leased),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        (status = 423, body = Problem, content_type = "application/problem+json"),
        Refusals,
    )
)]
async fn take(
    state: State,
    caller: Writer,
    path: FilePath,
    Json(ask): Json<Take>,
) -> Result<(StatusCode, axum::Json<Leased>)> {
    let session = caller.session_or(ask.session_id.as_deref())?;
    let max_hold = length(ask.max_hold)?.unwrap_or(HOLD);
    if ask.purpose.as_ref().is_some_and(|purpose| purpose.len() > PURPOSE || purpose.chars().any(char::is_control)) {
        return Err(Problem::malformed(format!("`purpose` has at most {PURPOSE} bytes and no control characters")));
    }
    let call = move |call: &Call| {
        let file = call.file(&path)?;
        let wait = ask.wait.map_or(Duration::ZERO, |wait| wait.0.min(call.state().limits().max_wait));
        let wait = if wait.is_zero() { Wait::No } else { Wait::For(wait) };
        let mut options = LeaseOptions::new().max_hold(max_hold).wait(wait).scope(call.scope()).cancel(call.cancel());
        options = options.session(call.session()).detached();
        if let Some(purpose) = &ask.purpose {
            options = options.purpose(purpose);
        }
        let token = file.lease(&options)?.detach();
        leased(call, &path, &file, token)
    };
    let leased = state.blocking(Work::Change, &session, call).await?;
    Ok((StatusCode::CREATED, axum::Json(leased)))
}

/// Renews a lease.
#[utoipa::path(
    put, path = "/api/locks/{*path}", tag = "locks", params(("path" = String, Path, description = "The file")),
    request_body = Renew, responses(
        (status = 200, body = Leased),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
async fn renew(state: State, caller: Writer, path: FilePath, Json(ask): Json<Renew>) -> Result<axum::Json<Leased>> {
    let max_hold = length(ask.max_hold)?;
    let call = move |call: &Call| {
        let file = call.file(&path)?;
        let lease = file.resume_lease(ask.token, &call.lock(None)).map_err(stale)?;
        let renewed = max_hold.map_or_else(|| lease.renew(), |length| lease.renew_for(length));
        lease.detach();
        renewed.map_err(stale)?;
        leased(call, &path, &file, ask.token)
    };
    Ok(axum::Json(state.blocking(Work::Change, caller.session(), call).await?))
}

/// Gives a lease back.
#[utoipa::path(
    delete, path = "/api/locks/{*path}", tag = "locks",
    params(("path" = String, Path, description = "The file"), ("token" = u64, Query, description = "The lease's number")),
    responses(
        (status = 200, body = Released),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        Refusals,
    )
)]
async fn release(
    state: State,
    caller: Writer,
    path: FilePath,
    Query(ask): Query<Release>,
) -> Result<axum::Json<Released>> {
    let call = move |call: &Call| {
        let file = call.file(&path)?;
        file.resume_lease(ask.token, &call.lock(None)).and_then(filelatch::Lease::release).map_err(stale)?;
        call.state().events().lock_is(&look(call, &path)?);
        Ok(Released { success: true, path: path.as_str().to_owned() })
    };
    Ok(axum::Json(state.blocking(Work::Change, caller.session(), call).await?))
}

fn length(asked: Option<Span>) -> Result<Option<Duration>> {
    let Some(Span(length)) = asked else { return Ok(None) };
    let (least, most) = LENGTHS;
    if (least..=most).contains(&length) {
        return Ok(Some(length));
    }
    Err(Problem::malformed("`maxHold` is between 1 s and 24 h").hint("nothing was changed"))
}

/// A number that does not count any more has one word in this interface, whatever it is the number of.
fn stale(error: Error) -> Failure {
    match error {
        Error::LeaseLost { ref holder, .. } => {
            let mut problem = Problem::new(StatusCode::CONFLICT, "stale-token", error.to_string());
            problem.holder = holder.as_deref().map(HolderView::from);
            problem.hints = error.hints();
            problem.path = Some(filelatch::show::slashed(error.path()));
            problem.into()
        }
        other => other.into(),
    }
}

/// The lease as it is now; everybody is told.
fn leased(call: &Call, path: &FilePath, file: &LatchFile, token: u64) -> Result<Leased, Failure> {
    let state = call.state();
    let lease = file.lease_state()?;
    let view = LockView::of(state, path.as_str().to_owned(), &file.lock_state()?, lease.as_ref());
    state.events().lock_is(&view);
    let Some(LeaseView { holder, expires_at, .. }) = view.lease.filter(|lease| lease.token == token) else {
        return Err(stale(Error::LeaseLost { path: file.path().to_owned(), token, current: None, holder: None }));
    };
    Ok(Leased { path: view.path, token, expires_at, holder })
}
