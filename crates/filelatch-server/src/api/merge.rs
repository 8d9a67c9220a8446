//! Merging, as a preview: nothing is written.

use filelatch::merge::{Hunk, Markers, Merged, Piece, Source};
use filelatch::show::{author, time};
use filelatch::{LatchFile, Version};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::Reader;
use crate::extract::{FilePath, Json};
use crate::problem::{Problem, Result};
use crate::state::State;
use crate::work::{Call, Failure, Work};

/// Contents together may have so many bytes: merging takes a few times as many.
const MOST: usize = 24 << 20;

pub(crate) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(preview))
}

/// A stretch of a merged document.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Segment {
    /// Nobody changed this.
    Same { text: String },
    /// Changed, and settled.
    Merged {
        text: String,
        /// `ours`, `theirs` or `both`.
        from: &'static str,
    },
    /// Not settled.
    Conflict { base: String, ours: String, theirs: String },
}

/// The stretches of a merged document, in order.
pub(crate) fn segments(merged: &Merged) -> Vec<Segment> {
    let pieces: Option<Vec<_>> = merged.pieces().iter().map(segment).collect();
    // The contents are text; a piece of them that is none was cut inside a character. Then they are not cut.
    pieces.unwrap_or_else(|| vec![uncut(merged)])
}

fn uncut(merged: &Merged) -> Segment {
    if let Some(whole) = merged.content() {
        return Segment::Merged { text: lossy(&whole), from: "both" };
    }
    let join = |of: fn(&Hunk) -> &[u8]| {
        let bytes: Vec<u8> = merged.pieces().iter().flat_map(|piece| piece_of(piece, of).to_vec()).collect();
        lossy(&bytes)
    };
    Segment::Conflict {
        base: join(|hunk| &hunk.base),
        ours: join(|hunk| &hunk.ours),
        theirs: join(|hunk| &hunk.theirs),
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn piece_of(piece: &Piece, of: fn(&Hunk) -> &[u8]) -> &[u8] {
    match piece {
        Piece::Unchanged(bytes) | Piece::Taken { bytes, .. } => bytes,
        Piece::Conflict(hunk) => of(hunk),
    }
}

fn segment(piece: &Piece) -> Option<Segment> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    Some(match piece {
        Piece::Unchanged(bytes) => Segment::Same { text: text(bytes)? },
        Piece::Taken { bytes, from } => {
            let from = match from {
                Source::Ours => "ours",
                Source::Theirs => "theirs",
                Source::Both | Source::Merged => "both",
            };
            Segment::Merged { text: text(bytes)?, from }
        }
        Piece::Conflict(hunk) => {
            Segment::Conflict { base: text(&hunk.base)?, ours: text(&hunk.ours)?, theirs: text(&hunk.theirs)? }
        }
    })
}

/// The merged document; with markers where it is not settled.
pub(crate) fn rendered(file: &LatchFile, merged: &Merged) -> String {
    let labels = ["mine".to_owned(), "base".to_owned(), "theirs".to_owned()];
    let markers = Markers { style: file.conflict_style(), labels, ..Markers::default() };
    lossy(&merged.render(&markers))
}

/// Contents to bring together.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = MergeRequest)]
pub(crate) struct Ask {
    /// The file: its name says how it is merged.
    path: String,
    /// What both were made from.
    base: Option<String>,
    /// Or its hash, if it is kept or on disk.
    base_hash: Option<String>,
    /// Our content.
    ours: String,
    /// Their content; left out: what is on disk.
    theirs: Option<String>,
}

/// What became of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Preview {
    /// Is everything settled?
    clean: bool,
    /// The merged text; with markers where it is not settled.
    merged: String,
    /// Their content.
    theirs: String,
    /// Its hash; null: there is no such file.
    theirs_hash: Option<String>,
    theirs_by: Option<String>,
    theirs_at: Option<String>,
    /// The stretches of the merged text, in order.
    segments: Vec<Segment>,
}

/// Brings two contents of a file together. Writes nothing.
#[utoipa::path(
    post, path = "/api/merge", tag = "merging", request_body = Ask,
    responses(
        (status = 200, body = Preview),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
async fn preview(state: State, caller: Reader, Json(ask): Json<Ask>) -> Result<axum::Json<Preview>> {
    let path = FilePath::parse(&ask.path)?;
    state.check_shown(&path)?;
    let sum = ask.ours.len() + [&ask.base, &ask.theirs].into_iter().flatten().map(String::len).sum::<usize>();
    if sum > MOST {
        let detail = format!("the contents together are larger than {MOST} bytes");
        return Err(Problem::new(axum::http::StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail));
    }
    let call = move |call: &Call| {
        let file = call.file(&path)?;
        let on_disk = if ask.theirs.is_none() { file.try_read()? } else { None };
        let theirs = match (&ask.theirs, &on_disk) {
            (Some(theirs), _) => theirs.clone(),
            (None, Some(snapshot)) => text(&path, snapshot.bytes())?,
            (None, None) => String::new(),
        };
        if theirs.len() > MOST {
            return Err(filelatch::Error::TooLarge { path: file.path().to_owned(), limit: MOST as u64 }.into());
        }
        let base = match (ask.base, &ask.base_hash) {
            (Some(base), _) => Some(base),
            (None, Some(hash)) => Some(former(&file, &path, hash)?),
            (None, None) => None,
        };
        let merged = file.merge(base.as_ref().map(String::as_bytes), ask.ours.as_bytes(), theirs.as_bytes())?;
        let hash = match &on_disk {
            Some(snapshot) => Some(snapshot.version()),
            None => ask.theirs.as_ref().map(|theirs| Version::of(theirs.as_bytes())),
        };
        Ok(Preview {
            clean: merged.is_clean(),
            merged: rendered(&file, &merged),
            segments: segments(&merged),
            theirs_hash: hash.map(|hash| hash.to_string()),
            theirs_by: on_disk.as_ref().and_then(|snapshot| author(snapshot.author())),
            theirs_at: on_disk.as_ref().map(|snapshot| time(snapshot.modified_at())),
            theirs,
        })
    };
    Ok(axum::Json(state.blocking(Work::Look, caller.session(), call).await?))
}

/// A content as text.
pub(crate) fn text(path: &FilePath, bytes: &[u8]) -> Result<String, Failure> {
    String::from_utf8(bytes.to_vec()).map_err(|_| {
        let detail = format!("`{}` is not UTF-8", path.as_str());
        Problem::impossible("not-text", detail).about(path.as_str()).into()
    })
}

/// A version by its hash: what is on disk, or kept.
fn former(file: &LatchFile, path: &FilePath, hash: &str) -> Result<String, Failure> {
    let current = file.try_read()?.filter(|current| hash.len() >= 16 && current.version().starts_with(hash));
    let snapshot = match current {
        Some(current) => current,
        None => file.find_kept(hash).and_then(|version| file.kept(&version)).map_err(|_| {
            let detail = format!("no version {hash} of `{}` is kept", path.as_str());
            Problem::impossible("no-base", detail)
                .hint("give the text that both were made from: `base`")
                .about(path.as_str())
        })?,
    };
    text(path, snapshot.bytes())
}
