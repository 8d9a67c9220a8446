//! Raw files: bytes and conditional requests (RFC 9110).

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use filelatch::{Snapshot, WriteOptions};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::files::Written;
use crate::access::{Reader, Writer};
use crate::extract::{Content, FilePath};
use crate::problem::{Problem, Result};
use crate::state::State;
use crate::work::Work;

pub(crate) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(get, put))
}

/// A file's bytes.
#[utoipa::path(
    get, path = "/files/{*path}", tag = "raw files", params(("path" = String, Path, description = "The file")),
    responses((status = 200, description = "Its bytes"), (status = 404, body = Problem))
)]
async fn get(state: State, caller: Reader, path: FilePath) -> Result<Response> {
    let media = crate::mime::of_file(path.as_str());
    let snapshot = state.blocking(Work::Look, caller.session(), move |call| Ok(call.file(&path)?.read()?)).await?;
    let etag = etag(&snapshot);
    Ok(([(header::ETAG, etag.as_str()), (header::CONTENT_TYPE, media)], snapshot.bytes().to_vec()).into_response())
}

fn etag(snapshot: &Snapshot) -> String {
    format!("\"{}\"", snapshot.version())
}

/// Replaces a file.
#[utoipa::path(
    put, path = "/files/{*path}", tag = "raw files", params(("path" = String, Path, description = "The file")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Written), (status = 201, body = Written), (status = 412, body = Problem))
)]
async fn put(state: State, caller: Writer, path: FilePath, _: HeaderMap, Content(body): Content) -> Result<Response> {
    let call = move |call: &crate::work::Call| {
        let written = call.file(&path)?.write(&body, &WriteOptions::new().lock(call.lock(None)))?;
        Ok(Written::new(&path, &written))
    };
    let written = state.blocking(Work::Change, caller.session(), call).await?;
    Ok((StatusCode::OK, axum::Json(written)).into_response())
}
