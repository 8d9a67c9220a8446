//! Is the server there?

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::State;

pub(crate) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(health))
}

/// Is the server there? Needs no token.
#[utoipa::path(get, path = "/healthz", tag = "server", responses((status = 200, description = "`ok`", body = String)))]
async fn health() -> &'static str {
    "ok"
}
