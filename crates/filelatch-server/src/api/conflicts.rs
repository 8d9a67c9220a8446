//! Stored conflicts: what could not be merged, both versions kept, until somebody decides.

use filelatch::conflict::{Cause, ConflictState, Side};
use filelatch::show::{author, time};
use filelatch::{Resolution, StoredConflict};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::merge::{Segment, rendered, segments, text};
use crate::access::{Reader, Writer};
use crate::extract::{FilePath, Json, Param};
use crate::problem::{Problem, Refusals, Result};
use crate::state::State;
use crate::work::{Call, Failure, Work};

pub(crate) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one, resolve))
}

/// One of the versions that do not fit together.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SideView {
    /// The name of a session, `external`, or null.
    by: Option<String>,
    at: Option<String>,
    hash: String,
}

impl SideView {
    fn of(side: &Side) -> SideView {
        SideView { by: author(&side.author), at: side.at.map(time), hash: side.version.to_string() }
    }
}

/// A stored conflict.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ConflictView {
    id: String,
    path: String,
    /// When it was stored.
    at: Option<String>,
    /// Why the versions did not become one: `merge`, `no-base`, `deleted`, `foreign`.
    #[schema(value_type = String)]
    cause: Cause,
    /// `open` or `resolved`.
    state: &'static str,
    /// What was to be written; null: the file was to be removed.
    mine: Option<SideView>,
    /// What it met; null: the file was gone.
    theirs: Option<SideView>,
    /// How many places do not fit together.
    hunks: usize,
}

impl ConflictView {
    fn of(conflict: &StoredConflict, path: &FilePath) -> ConflictView {
        ConflictView {
            id: conflict.id.clone(),
            path: path.as_str().to_owned(),
            at: conflict.stored_at.map(time),
            cause: conflict.cause,
            state: if conflict.state == ConflictState::Open { "open" } else { "resolved" },
            mine: conflict.ours.as_ref().map(SideView::of),
            theirs: conflict.theirs.as_ref().map(SideView::of),
            hunks: conflict.conflicts,
        }
    }
}

/// All stored conflicts.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ConflictList {
    /// The oldest first.
    conflicts: Vec<ConflictView>,
}

/// The stored conflicts about files that are shown.
#[utoipa::path(
    get, path = "/api/conflicts", tag = "merging",
    responses(
        (status = 200, body = ConflictList),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    )
)]
async fn list(state: State, caller: Reader) -> Result<axum::Json<ConflictList>> {
    let call = |call: &Call| {
        let stored = call.latch().conflicts(call.state().root())?.stored;
        let shown = stored.iter().filter_map(|conflict| {
            let path = call.state().shown(&conflict.path)?;
            Some(ConflictView::of(conflict, &path))
        });
        Ok(ConflictList { conflicts: shown.collect() })
    };
    Ok(axum::Json(state.blocking(Work::Look, caller.session(), call).await?))
}

/// A stored conflict with its contents.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ConflictWhole)]
pub(crate) struct Whole {
    #[serde(flatten)]
    conflict: ConflictView,
    /// What both were made from, if that is known.
    base: Option<String>,
    mine_content: Option<String>,
    theirs_content: Option<String>,
    /// Both brought together as far as possible, with markers; null: one side removed the file.
    merged: Option<String>,
    segments: Vec<Segment>,
}

fn find(call: &Call, id: &str) -> Result<(StoredConflict, FilePath), Failure> {
    let missing =
        || filelatch::Error::NoSuchConflict { path: call.state().root().to_owned(), id: id.to_owned(), matches: 0 };
    let conflict = call.latch().conflict(call.state().root(), id)?;
    match call.state().shown(&conflict.path) {
        Some(path) => Ok((conflict, path)),
        None => Err(missing().into()),
    }
}

/// A stored conflict with the versions that do not fit together.
#[utoipa::path(
    get, path = "/api/conflicts/{id}", tag = "merging",
    params(("id" = String, Path, description = "Its id, or at least four digits of it")),
    responses(
        (status = 200, body = Whole),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
async fn one(state: State, caller: Reader, Param(id): Param) -> Result<axum::Json<Whole>> {
    let call = move |call: &Call| {
        let (conflict, path) = find(call, &id)?;
        let contents = call.latch().conflict_contents(&conflict)?;
        let side = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| text(&path, bytes)).transpose();
        let file = call.file(&path)?;
        Ok(Whole {
            conflict: ConflictView::of(&conflict, &path),
            base: side(&contents.base)?,
            mine_content: side(&contents.ours)?,
            theirs_content: side(&contents.theirs)?,
            merged: contents.merged.as_ref().map(|merged| rendered(&file, merged)),
            segments: contents.merged.as_ref().map(segments).unwrap_or_default(),
        })
    };
    Ok(axum::Json(state.blocking(Work::Look, caller.session(), call).await?))
}

/// How a conflict is decided.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Decision {
    /// `mine`, `theirs`, `merged` (the document beside the conflict, if it has no markers any more) or `content`.
    keep: String,
    /// For `content`: what the file is to be.
    content: Option<String>,
    /// The version of the file that this is decided for.
    expected_hash: Option<String>,
    /// Who decides.
    session_id: Option<String>,
}

/// A conflict that is decided.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Decided {
    success: bool,
    path: String,
    /// Of what is there now.
    hash: Option<String>,
    /// `written`, `unchanged` or `merged` (with what was written since).
    outcome: String,
}

/// Decides a stored conflict: writes what is to be, and notes it. What is written over is saved before.
#[utoipa::path(
    post, path = "/api/conflicts/{id}", tag = "merging",
    params(("id" = String, Path, description = "Its id, or at least four digits of it")), request_body = Decision,
    responses(
        (status = 200, body = Decided),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        (status = 423, body = Problem, content_type = "application/problem+json"),
        Refusals,
    )
)]
async fn resolve(
    state: State,
    caller: Writer,
    Param(id): Param,
    Json(ask): Json<Decision>,
) -> Result<axum::Json<Decided>> {
    let session = caller.session_or(ask.session_id.as_deref())?;
    let wrong = |what: &str| Problem::malformed(what).hint("nothing was changed");
    let resolution = match (&*ask.keep, ask.content) {
        ("mine", None) => Resolution::Mine,
        ("theirs", None) => Resolution::Theirs,
        ("merged", None) => Resolution::Merged,
        ("content", Some(content)) => Resolution::Content(content.into_bytes()),
        ("content", None) => return Err(wrong("`keep: \"content\"` needs the `content`")),
        ("mine" | "theirs" | "merged", Some(_)) => return Err(wrong("`content` belongs to `keep: \"content\"` only")),
        _ => return Err(wrong("`keep` is `mine`, `theirs`, `merged` or `content`")),
    };
    let expect = super::files::expectation(ask.expected_hash.as_deref(), false)?;
    let call = move |call: &Call| {
        let (conflict, path) = find(call, &id)?;
        let file = call.file(&path)?;
        let options = call.options(None).expect(expect.clone());
        let resolved = file.resolve(&conflict.id, &resolution, &options)?;
        let decided = match resolved.written {
            Some(written) => (written.version, written.outcome.to_string()),
            None => (file.try_read()?.map(|current| current.version()), "unchanged".to_owned()),
        };
        let (hash, outcome) = (decided.0.map(|hash| hash.to_string()), decided.1);
        Ok(Decided { success: true, path: path.as_str().to_owned(), hash, outcome })
    };
    Ok(axum::Json(state.blocking(Work::Change, &session, call).await?))
}
