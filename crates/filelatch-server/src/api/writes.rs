//! Writes that wait for a lock.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Reader, Writer};
use crate::extract::{FilePath, Param};
use crate::problem::{ConflictInfo, HolderView, Problem, Result};
use crate::state::State;
use crate::work::{Call, Failure, Work};
use crate::writes::{Queued, WriteState};

pub(crate) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(read, cancel))
}

/// A write that was left queued.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View {
    id: String,
    path: String,
    state: WriteState,
    /// `written`, `unchanged`, `merged` or `superseded`, once it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    /// Of what was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    /// Why it was not made.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Who is in the way, while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<HolderView>,
    /// What was expected and what was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    conflict_info: Option<ConflictInfo>,
    queued_at: String,
}

impl View {
    fn of(call: &Call, id: String, write: Queued) -> View {
        let holder = (write.state == WriteState::Queued).then(|| holder(call, &write.path)).flatten();
        let Queued { path, state, outcome, hash, error, conflict_info, queued_at, .. } = write;
        View { id, path, state, outcome, hash, error, holder, conflict_info, queued_at }
    }
}

/// Who has the lock or a lease, as far as anybody can tell.
fn holder(call: &Call, path: &str) -> Option<HolderView> {
    let file = call.file(&FilePath::parse(path).ok()?).ok()?;
    let lock = file.lock_state().ok()?;
    let lease = || file.lease_state().ok().flatten().map(|lease| HolderView::from(&lease.holder));
    lock.holders.first().map(HolderView::from).or_else(lease)
}

fn missing() -> Problem {
    Problem::not_found("no-such-write", "there is no queued write of this id")
        .hint("those that came to their end are remembered for a week")
}

/// How far a queued write is.
#[utoipa::path(
    get, path = "/api/writes/{id}", tag = "files", params(("id" = String, Path, description = "From the answer 202")),
    responses(
        (status = 200, body = View),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
async fn read(state: State, caller: Reader, Param(id): Param) -> Result<axum::Json<View>> {
    let call = move |call: &Call| {
        let store = call.state().writes(call.latch())?;
        // An id that can't be one is none.
        let write = store.and_then(|store| store.try_get(&id).transpose()).transpose();
        let write = match write {
            Err(filelatch::Error::Store { .. }) | Ok(None) => return Err(Failure::from(missing())),
            found => found?,
        };
        Ok(write.map(|write| View::of(call, id, write)))
    };
    state.blocking(Work::Look, caller.session(), call).await?.map(axum::Json).ok_or_else(missing)
}

/// Calls a queued write off. One that was made already stays: 409.
#[utoipa::path(
    delete, path = "/api/writes/{id}", tag = "files", params(("id" = String, Path, description = "From the answer 202")),
    responses(
        (status = 200, body = View),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
async fn cancel(state: State, caller: Writer, Param(id): Param) -> Result<axum::Json<View>> {
    let call = move |call: &Call| {
        let write = call.state().call_off(call, &id)?;
        Ok(View::of(call, id, write))
    };
    state.blocking(Work::Change, caller.session(), call).await.map(axum::Json)
}
