//! Documents by name, and by routes of their own.

use axum::Router;
use axum::routing::{MethodRouter, get};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use axum::response::Response;

use super::files::{self, Contents, File, Taken, Write, Written};
use crate::access::{Reader, Writer};
use crate::documents::Document;
use crate::extract::{FilePath, Json, Param, Query};
use crate::problem::{Problem, Refusals, Result};
use crate::state::State;
use crate::work::Work;

pub(crate) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(read, write))
}

/// The routes that the configuration gives.
pub(crate) fn own_routes(documents: &[Document]) -> Router<State> {
    let mut router = Router::new();
    for document in documents {
        if let Some(route) = &document.route {
            router = router.route(route, own_route(&document.path));
        }
    }
    router
}

fn own_route(path: &FilePath) -> MethodRouter<State> {
    let (read, written) = (path.clone(), path.clone());
    get(|state: State, caller: Reader| async move { read_at(&state, &caller, read).await }).put(
        |state: State, caller: Writer, Query(contents): Query<Contents>, Json(body): Json<Write>| async move {
            files::put(&state, &caller, written, contents, body).await
        },
    )
}

/// The documents that have names.
#[derive(Debug, Serialize, ToSchema)]
struct Documents {
    documents: Vec<Named>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Named {
    name: String,
    path: String,
    /// Its own route, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
}

/// The documents that the workspace's configuration names.
#[utoipa::path(
    get, path = "/api/documents", tag = "documents",
    responses((status = 200, body = Documents), (status = 401, body = Problem, content_type = "application/problem+json"))
)]
async fn list(state: State, _: Reader) -> axum::Json<Documents> {
    let named = |document: &Document| Named {
        name: document.name.clone(),
        path: document.path.as_str().to_owned(),
        route: document.route.clone(),
    };
    axum::Json(Documents { documents: state.documents().iter().map(named).collect() })
}

fn find(state: &State, name: &str) -> Result<FilePath> {
    let found = state.documents().iter().find(|document| document.name == name);
    found.map(|document| document.path.clone()).ok_or_else(|| {
        Problem::not_found("no-such-document", "there is no document of this name")
            .hint("`/api/documents` lists them; `[[document]]` in .filelatch/config.toml names one")
    })
}

async fn read_at(state: &State, caller: &Reader, path: FilePath) -> Result<axum::Json<File>> {
    state.blocking(Work::Look, caller.session(), move |call| File::of(call, &path)).await.map(axum::Json)
}

/// A document's text, by its name; as `/api/files/{path}`.
#[utoipa::path(
    get, path = "/api/documents/{name}", tag = "documents", params(("name" = String, Path, description = "The document")),
    responses(
        (status = 200, body = File),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
async fn read(state: State, caller: Reader, Param(name): Param) -> Result<axum::Json<File>> {
    read_at(&state, &caller, find(&state, &name)?).await
}

/// Replaces a document, by its name; as `/api/files/{path}`.
#[utoipa::path(
    put, path = "/api/documents/{name}", tag = "documents",
    params(
        ("name" = String, Path, description = "The document"),
        ("contents" = Option<bool>, Query, description = "A conflict tells both contents"),
    ),
    request_body = Write,
    responses(
        (status = 200, body = Written), (status = 202, body = Taken),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        (status = 423, body = Problem, content_type = "application/problem+json"),
        Refusals,
    )
)]
async fn write(
    state: State,
    caller: Writer,
    Param(name): Param,
    Query(contents): Query<Contents>,
    Json(body): Json<Write>,
) -> Result<Response> {
    files::put(&state, &caller, find(&state, &name)?, contents, body).await
}
