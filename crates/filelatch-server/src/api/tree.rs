//! What files there are.

use filelatch::show::{slashed, time};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Reader;
use crate::extract::FilePath;
use crate::problem::{Problem, Result};
use crate::state::State;
use crate::work::Work;

/// More files are not listed.
const MOST: usize = 20_000;

pub(crate) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(tree))
}

/// The files of the root.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tree {
    /// The folder's name.
    root: String,
    entries: Vec<Entry>,
    /// There are more.
    truncated: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Entry {
    path: String,
    size: u64,
    modified_at: String,
}

/// The files of the root, sorted by path, without those that are hidden; at most 20,000.
#[utoipa::path(
    get, path = "/api/tree", tag = "files",
    responses((status = 200, body = Tree), (status = 401, body = Problem, content_type = "application/problem+json"))
)]
async fn tree(state: State, caller: Reader) -> Result<axum::Json<Tree>> {
    let root = state.root_name();
    let list = state.blocking(Work::Look, caller.session(), |call| {
        // What can't be asked for is not listed.
        let shown = |path: &std::path::Path| {
            let Some(text) = path.to_str() else { return false };
            FilePath::parse(&text.replace(std::path::MAIN_SEPARATOR, "/"))
                .is_ok_and(|path| !call.state().is_hidden(&path))
        };
        Ok(call.state().folder().list("", true, MOST, shown)?)
    });
    let list = list.await?;
    let entry = |file: &filelatch::ListedFile| Entry {
        path: slashed(&file.path),
        size: file.size,
        modified_at: time(file.modified),
    };
    Ok(axum::Json(Tree { root, entries: list.files.iter().map(entry).collect(), truncated: list.truncated }))
}
