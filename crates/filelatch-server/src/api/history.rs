//! Versions that were replaced, and bringing one back.

use filelatch::show::{author, time};
use filelatch::{LatchFile, Snapshot};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::files::Written;
use super::merge::text;
use crate::access::{Reader, Writer};
use crate::extract::{FilePath, Json, Query};
use crate::problem::{Problem, Refusals, Result};
use crate::state::State;
use crate::work::{Call, Failure, Work};

pub(crate) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(versions, restore))
}

/// A version of a file.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct VersionView {
    hash: String,
    size: u64,
    /// The name of a session, `external`, or null.
    by: Option<String>,
    at: String,
    /// How manieth version it was, as far as filelatch wrote them.
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
}

impl VersionView {
    fn of(now: &Snapshot) -> VersionView {
        VersionView {
            hash: now.version().to_string(),
            size: now.bytes().len() as u64,
            by: author(now.author()),
            at: time(now.modified_at()),
            generation: None,
        }
    }
}

/// What is known of a file's versions.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = VersionList)]
pub(crate) struct Listed {
    path: String,
    /// What is there now.
    current: Option<VersionView>,
    /// What was replaced, newest first.
    versions: Vec<VersionView>,
}

/// A version of a file, with its content.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = KeptVersion)]
pub(crate) struct Kept {
    path: String,
    hash: String,
    content: String,
    size: u64,
    by: Option<String>,
    at: String,
}

/// The versions of a file, or one of them.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = History)]
pub(crate) enum Answer {
    /// All.
    All(Listed),
    /// One, with its content.
    One(Kept),
}

#[derive(Clone, Debug, Deserialize)]
struct Which {
    version: Option<String>,
}

/// The versions of a file that were replaced; or one of them, with its content.
#[utoipa::path(
    get, path = "/api/history/{*path}", tag = "history",
    params(
        ("path" = String, Path, description = "The file"),
        ("version" = Option<String>, Query, description = "A hash, or at least 16 digits of it: this version with its content"),
    ),
    responses(
        (status = 200, body = Answer),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
async fn versions(
    state: State,
    caller: Reader,
    path: FilePath,
    Query(which): Query<Which>,
) -> Result<axum::Json<Answer>> {
    let call = move |call: &Call| {
        let file = call.file(&path)?;
        match which.version {
            Some(hash) => one(&file, &path, &hash).map(Answer::One),
            None => all(&file, &path).map(Answer::All),
        }
    };
    Ok(axum::Json(state.blocking(Work::Look, caller.session(), call).await?))
}

fn all(file: &LatchFile, path: &FilePath) -> Result<Listed, Failure> {
    let versions = file.history()?.into_iter().map(|kept| VersionView {
        hash: kept.version.to_string(),
        size: kept.size,
        by: author(&kept.by),
        at: time(kept.at),
        generation: kept.generation,
    });
    let versions = versions.collect();
    let current = file.try_read()?.as_ref().map(VersionView::of);
    Ok(Listed { path: path.as_str().to_owned(), current, versions })
}

fn one(file: &LatchFile, path: &FilePath, hash: &str) -> Result<Kept, Failure> {
    let current = file.try_read()?.filter(|current| hash.len() >= 16 && current.version().starts_with(hash));
    let snapshot = match current {
        Some(current) => current,
        None => file.kept(&file.find_kept(hash)?)?,
    };
    let VersionView { hash, size, by, at, .. } = VersionView::of(&snapshot);
    Ok(Kept { path: path.as_str().to_owned(), hash, content: text(path, snapshot.bytes())?, size, by, at })
}

/// Which version is brought back.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = RestoreRequest)]
pub(crate) struct Wanted {
    /// Its hash, or at least 16 digits of it.
    restore: String,
    /// What must be there.
    expected_hash: Option<String>,
    /// Who does it.
    session_id: Option<String>,
}

/// Brings a version back: a write like any other, and what it replaces is kept.
#[utoipa::path(
    post, path = "/api/history/{*path}", tag = "history", params(("path" = String, Path, description = "The file")),
    request_body = Wanted,
    responses(
        (status = 200, body = Written),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        (status = 423, body = Problem, content_type = "application/problem+json"),
        Refusals,
    )
)]
async fn restore(state: State, caller: Writer, path: FilePath, Json(ask): Json<Wanted>) -> Result<axum::Json<Written>> {
    let session = caller.session_or(ask.session_id.as_deref())?;
    let expect = super::files::expectation(ask.expected_hash.as_deref(), false)?;
    let call = move |call: &Call| {
        let file = call.file(&path)?;
        let version = file.find_kept(&ask.restore)?;
        let written = file.restore(&version, &call.options(None).expect(expect.clone()))?;
        Ok(Written::new(call, &path, &written).with_merged(&file, &written)?)
    };
    Ok(axum::Json(state.blocking(Work::Change, &session, call).await?))
}
