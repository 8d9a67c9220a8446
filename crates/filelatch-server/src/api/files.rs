//! Files as JSON.

use filelatch::{Expect, WriteOptions};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Reader, Writer};
use crate::extract::{FilePath, Json};
use crate::problem::{Problem, Result, author, time};
use crate::state::State;
use crate::work::Work;

pub(crate) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(read, write))
}

/// A file, as it is.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct File {
    success: bool,
    path: String,
    exists: bool,
    content: Option<String>,
    hash: Option<String>,
    size: u64,
    last_modified_by: Option<String>,
    last_modified_at: Option<String>,
}

/// A file's content, hash, and who wrote it.
#[utoipa::path(
    get, path = "/api/files/{*path}", tag = "files", params(("path" = String, Path, description = "The file")),
    responses((status = 200, body = File), (status = 422, body = Problem))
)]
async fn read(state: State, caller: Reader, path: FilePath) -> Result<axum::Json<File>> {
    let name = path.as_str().to_owned();
    let snapshot = state.blocking(Work::Look, caller.session(), move |call| Ok(call.file(&path)?.try_read()?)).await?;
    let Some(snapshot) = snapshot else {
        return Ok(axum::Json(File {
            success: true,
            path: name,
            exists: false,
            content: None,
            hash: None,
            size: 0,
            last_modified_by: None,
            last_modified_at: None,
        }));
    };
    let content = std::str::from_utf8(snapshot.bytes())
        .map_err(|_| Problem::impossible("not-text", format!("`{name}` is not UTF-8")).about(name.as_str()))?;
    Ok(axum::Json(File {
        success: true,
        path: name,
        exists: true,
        content: Some(content.to_owned()),
        hash: Some(snapshot.version().to_string()),
        size: snapshot.bytes().len() as u64,
        last_modified_by: author(snapshot.author()),
        last_modified_at: Some(time(snapshot.modified_at())),
    }))
}

/// A write as JSON.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Write {
    content: String,
    expected_hash: Option<String>,
    session_id: Option<String>,
}

/// What became of a write.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Written {
    pub(crate) success: bool,
    pub(crate) path: String,
    pub(crate) hash: Option<String>,
    pub(crate) outcome: String,
}

impl Written {
    pub(crate) fn new(path: &FilePath, written: &filelatch::Written) -> Written {
        Written {
            success: true,
            path: path.as_str().to_owned(),
            hash: written.version.map(|version| version.to_string()),
            outcome: written.outcome.to_string(),
        }
    }
}

/// Replaces a file, if it is what was expected.
#[utoipa::path(
    put, path = "/api/files/{*path}", tag = "files", params(("path" = String, Path, description = "The file")),
    request_body = Write, responses((status = 200, body = Written), (status = 409, body = Problem))
)]
async fn write(state: State, caller: Writer, path: FilePath, Json(body): Json<Write>) -> Result<axum::Json<Written>> {
    let session = caller.session_or(body.session_id.as_deref())?;
    let expect = match &body.expected_hash {
        Some(hash) => hash.parse().map_err(|e| Problem::malformed(format!("`expectedHash`: {e}")))?,
        None => Expect::Any,
    };
    let call = move |call: &crate::work::Call| {
        let options = WriteOptions::new().expect(expect).lock(call.lock(None));
        let written = call.file(&path)?.write(body.content.as_bytes(), &options)?;
        Ok(Written::new(&path, &written))
    };
    Ok(axum::Json(state.blocking(Work::Change, &session, call).await?))
}
