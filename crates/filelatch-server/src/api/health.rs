//! Is the server there, and how is it?

use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Reader;
use crate::metrics::Reading;
use crate::state::State;

pub(crate) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(metrics)).routes(routes!(description))
}

/// Is the server there? Needs no token.
#[utoipa::path(get, path = "/healthz", tag = "server", security(()), responses((status = 200, description = "`ok`", body = String)))]
async fn health() -> &'static str {
    "ok"
}

/// Figures for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "server", responses((status = 200, description = "Text format 0.0.4", body = String)))]
async fn metrics(state: State, _: Reader) -> Response {
    #[expect(clippy::cast_precision_loss, reason = "numbers of requests")]
    let readings = [
        Reading {
            name: "filelatch_requests",
            help: "Requests that are being answered.",
            value: state.open_requests() as f64,
        },
        Reading {
            name: "filelatch_changes",
            help: "Calls under way that may wait for a lock.",
            value: state.pool().changing(state.limits()) as f64,
        },
        Reading { name: "filelatch_uptime_seconds", help: "Since the start.", value: state.uptime().as_secs_f64() },
    ];
    let text = state.metrics().text(&readings);
    ([(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"))], text).into_response()
}

/// This description.
#[utoipa::path(
    get, path = "/openapi.json", tag = "server",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value))
)]
async fn description(_: Reader) -> axum::Json<utoipa::openapi::OpenApi> {
    axum::Json(crate::open_api())
}
