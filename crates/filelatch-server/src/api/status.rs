//! What the server is doing, at a glance.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Reader;
use crate::events::lookout::{LockView, look_at_all};
use crate::problem::{Problem, Result};
use crate::state::State;
use crate::work::{Call, Work};

pub(crate) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(status))
}

/// The server's state.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    /// Of filelatch.
    version: &'static str,
    /// The name of the served folder.
    root: String,
    /// Is there a workspace? Without one there is no history, and there are no stored conflicts.
    workspace: bool,
    /// The name of writers that give none.
    session: String,
    /// How long the server has been there, in milliseconds.
    uptime: u64,
    /// Files that somebody holds.
    locks: Vec<LockView>,
    /// How many of them are leased.
    leases: usize,
    /// Stored conflicts about files that are shown.
    open_conflicts: usize,
    /// Writes that wait for a lock.
    queued_writes: usize,
    /// Web sockets.
    clients: Vec<ClientView>,
    /// How changes are heard of: `events` or `polling`; `null` until somebody wants to hear of them.
    watch: Option<&'static str>,
}

/// A web socket.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ClientView {
    id: String,
    session: String,
    /// The file that is open there.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

/// What the server is doing.
#[utoipa::path(get, path = "/api/status", tag = "server", responses(
        (status = 200, body = Status),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    )
)]
async fn status(state: State, caller: Reader) -> Result<axum::Json<Status>> {
    let look = |call: &Call| {
        let locks = look_at_all(call)?;
        let stored = call.latch().conflicts(call.state().root())?.stored;
        let open = stored.iter().filter(|conflict| conflict.is_open() && call.state().shown(&conflict.path).is_some());
        Ok((locks, open.count()))
    };
    let (locks, open_conflicts) = state.blocking(Work::Look, caller.session(), look).await?;
    let clients = state.events().clients().into_iter();
    Ok(axum::Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        root: state.root_name(),
        workspace: state.has_workspace(),
        session: state.options().session.clone(),
        uptime: u64::try_from(state.uptime().as_millis()).unwrap_or(u64::MAX),
        leases: locks.iter().filter(|lock| lock.lease.is_some()).count(),
        locks,
        open_conflicts,
        queued_writes: state.queued_writes(),
        clients: clients.map(|(id, (session, path))| ClientView { id, session, path }).collect(),
        watch: state.events().mode(),
    }))
}
