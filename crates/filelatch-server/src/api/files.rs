//! Files as JSON: text, its hash, and who wrote it.

use axum::http::StatusCode;
use axum::http::header::{ETAG, HeaderName, HeaderValue, LOCATION};
use axum::response::{IntoResponse as _, Response};
use filelatch::show::{author, time};
use filelatch::{Error, Expect, LatchFile, Strategy, Version};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Reader, Writer};
use crate::change::{self, Change};
use crate::extract::{FilePath, Json, MaybeJson, Query, Span};
use crate::problem::{Problem, Refusals, Result};
use crate::state::State;
use crate::work::{Call, Failure, Work};
use crate::writes::Queued;

pub(crate) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(read, write, delete))
}

/// A file, as it is.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct File {
    /// Always true.
    success: bool,
    path: String,
    /// False: there is no such file; everything else is null then.
    exists: bool,
    /// Its text.
    content: Option<String>,
    /// The hash of its bytes: BLAKE3, 64 digits.
    hash: Option<String>,
    size: u64,
    /// The name of a session, `external`, or null.
    last_modified_by: Option<String>,
    last_modified_at: Option<String>,
}

impl File {
    /// Reads a file.
    pub(crate) fn of(call: &Call, path: &FilePath) -> Result<File, Failure> {
        let name = path.as_str().to_owned();
        let snapshot = match call.file(path) {
            Ok(file) => file.try_read()?,
            // Nor is there a file in a folder that there is not.
            Err(Failure::Library(Error::Io { action: "find", source, .. }))
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                None
            }
            Err(failure) => return Err(failure),
        };
        let content =
            snapshot.as_ref().map(|snapshot| std::str::from_utf8(snapshot.bytes())).transpose().map_err(|_| {
                Problem::impossible("not-text", format!("`{name}` is not UTF-8"))
                    .hint(format!("its bytes are at `/files/{name}`"))
                    .about(name.as_str())
            })?;
        let content = content.map(str::to_owned);
        Ok(File {
            success: true,
            exists: snapshot.is_some(),
            content,
            hash: snapshot.as_ref().map(|snapshot| snapshot.version().to_string()),
            size: snapshot.as_ref().map_or(0, |snapshot| snapshot.bytes().len() as u64),
            last_modified_by: snapshot.as_ref().and_then(|snapshot| author(snapshot.author())),
            last_modified_at: snapshot.as_ref().map(|snapshot| time(snapshot.modified_at())),
            path: name,
        })
    }
}

/// A write as JSON.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Write {
    /// The new text.
    pub(crate) content: String,
    /// The hash of what is to be replaced, or at least 16 digits of it. Left out: whatever is there.
    #[serde(default)]
    pub(crate) expected_hash: Option<String>,
    /// True: there must be no such file.
    #[serde(default)]
    pub(crate) expect_absent: bool,
    /// `fail-fast`, `queue`, `last-write-wins` or `merge`; else the policy's.
    #[serde(default)]
    #[schema(example = "merge")]
    pub(crate) strategy: Option<String>,
    /// For `merge`: the text that the new one was made from.
    #[serde(default)]
    pub(crate) base: Option<String>,
    /// For `merge`: its hash, if it is kept.
    #[serde(default)]
    pub(crate) base_hash: Option<String>,
    /// Who writes; else the header `Filelatch-Session`, the token's name, `web`.
    #[serde(default)]
    pub(crate) session_id: Option<String>,
    /// The number of the lease that is written under.
    #[serde(default)]
    pub(crate) lease_token: Option<u64>,
    /// How long to wait for the lock: `5s`, or milliseconds.
    #[serde(default)]
    pub(crate) wait: Option<Span>,
    /// What to do when the lock is not had in time: `fail` (503), or `queue`: the write is stored and made later (202).
    #[serde(default)]
    pub(crate) if_locked: Option<String>,
    /// Make missing folders.
    #[serde(default)]
    pub(crate) mkdir: bool,
}

impl Write {
    /// What is to be written, as far as the request tells.
    pub(crate) fn change(&self, path: &FilePath) -> Result<Change> {
        let wrong = |what: String| Problem::malformed(what).hint("nothing was changed");
        let mut change = Change::new(path.clone(), self.content.clone().into_bytes().into());
        change.expect = expectation(self.expected_hash.as_deref(), self.expect_absent)?;
        let strategy = self.strategy.as_deref().map(str::parse::<Strategy>).transpose();
        change.strategy = strategy.map_err(|e| wrong(format!("`strategy`: {e}")))?;
        change.base = self.base.as_ref().map(|base| base.as_bytes().into());
        change.lease = self.lease_token;
        change.wait = self.wait.map(|wait| wait.0);
        change.mkdir = self.mkdir;
        Ok(change)
    }

    fn queues(&self) -> Result<bool> {
        match self.if_locked.as_deref() {
            None | Some("fail") => Ok(false),
            Some("queue") => Ok(true),
            Some(_) => Err(Problem::malformed("`ifLocked` is `fail` or `queue`").hint("nothing was changed")),
        }
    }
}

/// What a request expects to replace.
pub(crate) fn expectation(hash: Option<&str>, absent: bool) -> Result<Expect> {
    let wrong = |what: String| Err(Problem::malformed(what).hint("nothing was changed"));
    match (hash, absent) {
        (Some(_), true) => wrong("`expectedHash` and `expectAbsent` exclude each other".to_owned()),
        (None, true) => Ok(Expect::Absent),
        (None, false) => Ok(Expect::Any),
        (Some(hash), false) => match hash.parse() {
            Ok(Expect::Any) | Err(_) => {
                wrong("`expectedHash` is 64 hexadecimal digits, or at least the first 16".to_owned())
            }
            Ok(expect) => Ok(expect),
        },
    }
}

/// What became of a write.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Written {
    /// Always true.
    pub(crate) success: bool,
    pub(crate) path: String,
    /// The version with this change in it; null: others' changes were published with it and came after it, read to see them.
    pub(crate) hash: Option<String>,
    /// `written`, `unchanged`, `merged` or `superseded`.
    pub(crate) outcome: String,
    /// The version that was overwritten although another one was expected (last-write-wins).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) overwrote: Option<String>,
    /// What was written, when it was merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<String>,
    /// What there is to know besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notices: Vec<String>,
}

impl Written {
    pub(crate) fn new(call: &Call, path: &FilePath, written: &filelatch::Written) -> Written {
        Written {
            success: true,
            path: path.as_str().to_owned(),
            hash: written.version.map(|version| version.to_string()),
            outcome: written.outcome.to_string(),
            overwrote: written.overwrote.map(|version| version.to_string()),
            content: None,
            notices: written.notices.iter().map(|notice| call.state().told(&notice.to_string())).collect(),
        }
    }

    /// With the content, if it was merged and is still that.
    pub(crate) fn with_merged(mut self, file: &LatchFile, written: &filelatch::Written) -> Result<Written, Error> {
        if written.outcome == filelatch::Outcome::Merged {
            let current = file.try_read()?.filter(|current| Some(current.version()) == written.version);
            self.content = current.and_then(|current| String::from_utf8(current.bytes().to_vec()).ok());
        }
        Ok(self)
    }

    /// The header that belongs to `hash`.
    pub(crate) fn etag(&self) -> Option<[(HeaderName, HeaderValue); 1]> {
        let tag = HeaderValue::try_from(format!("\"{}\"", self.hash.as_ref()?));
        tag.ok().map(|tag| [(ETAG, tag)])
    }
}

/// A file that was removed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Removed {
    /// Always true.
    success: bool,
    path: String,
    /// `removed`.
    outcome: &'static str,
}

impl Removed {
    pub(crate) fn new(path: &FilePath) -> Removed {
        Removed { success: true, path: path.as_str().to_owned(), outcome: "removed" }
    }
}

/// A file's text, its hash, and who wrote it.
#[utoipa::path(
    get, path = "/api/files/{*path}", tag = "files", params(("path" = String, Path, description = "The file")),
    responses(
        (status = 200, body = File, description = "Also of a file that does not exist: `exists` is false"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "It is hidden"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "It is not UTF-8, or no file"),
    )
)]
async fn read(state: State, caller: Reader, path: FilePath) -> Result<axum::Json<File>> {
    state.blocking(Work::Look, caller.session(), move |call| File::of(call, &path)).await.map(axum::Json)
}

#[derive(Debug, Deserialize)]
pub(crate) struct Contents {
    #[serde(default)]
    contents: bool,
}

/// Replaces a file, if it is what was expected; or as the strategy has it.
#[utoipa::path(
    put, path = "/api/files/{*path}", tag = "files",
    params(
        ("path" = String, Path, description = "The file"),
        ("contents" = Option<bool>, Query, description = "A conflict tells both contents"),
    ),
    request_body = Write,
    responses(
        (status = 200, body = Written),
        (status = 202, body = Taken, description = "It is stored, and made as soon as the lock can be had"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "Its folder does not exist, or it is hidden"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 423, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
async fn write(
    state: State,
    caller: Writer,
    path: FilePath,
    Query(contents): Query<Contents>,
    Json(body): Json<Write>,
) -> Result<Response> {
    put(&state, &caller, path, contents, body).await
}

/// A write as JSON, by whichever route.
pub(crate) async fn put(
    state: &State,
    caller: &Writer,
    path: FilePath,
    Contents { contents }: Contents,
    body: Write,
) -> Result<Response> {
    let session = caller.session_or(body.session_id.as_deref())?;
    let change = body.change(&path)?;
    let queues = body.queues()?;
    let call = move |call: &Call| {
        let change = with_base(call, change, body.base_hash.as_deref())?;
        let written = change.apply(call);
        match written {
            Ok((file, written)) => Ok(Put::Made(Written::new(call, &path, &written).with_merged(&file, &written)?)),
            Err(Failure::Library(Error::Locked { .. } | Error::Timeout { .. } | Error::Leased { .. }))
                if queues && call.state().has_workspace() =>
            {
                let write = Queued::of(&change, call.session(), time(call.state().host().now()))?;
                Ok(Put::Taken(Taken::new(call.state().take_write(call, &write)?)))
            }
            Err(Failure::Library(error)) if contents => Err(with_contents(call, &change, &error).into()),
            Err(failure) => Err(failure),
        }
    };
    Ok(match state.blocking(Work::Change, &session, call).await? {
        Put::Made(written) => axum::Json(written).into_response(),
        Put::Taken(taken) => {
            let at = HeaderValue::try_from(format!("/api/writes/{}", taken.id)).ok();
            let mut response = (StatusCode::ACCEPTED, axum::Json(taken)).into_response();
            at.map(|at| response.headers_mut().insert(LOCATION, at));
            response
        }
    })
}

/// What a write comes to.
enum Put {
    Made(Written),
    /// Its lock was not had in time: it is made later.
    Taken(Taken),
}

/// A write that is made later.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Taken {
    /// Always true.
    success: bool,
    /// `queued`.
    outcome: &'static str,
    /// For `/api/writes/{id}`.
    id: String,
}

impl Taken {
    fn new(id: String) -> Taken {
        Taken { success: true, outcome: "queued", id }
    }
}

/// With what the content was made from, if the request names it by its hash.
fn with_base(call: &Call, mut change: Change, hash: Option<&str>) -> Result<Change, Failure> {
    let Some(hash) = hash.filter(|_| change.base.is_none()) else { return Ok(change) };
    let expect = expectation(Some(hash), false)?;
    // What is on disk or kept; if it is neither, the library looks further, and says where it did.
    if let (Ok(file), Expect::Version(version)) = (call.file(&change.path), &expect) {
        let current = file.try_read()?.filter(|current| current.version() == *version);
        let known = current.or_else(|| file.kept(version).ok());
        change.base = known.map(|known| known.bytes().into());
    }
    if change.expect == Expect::Any {
        change.expect = expect;
    }
    Ok(change)
}

/// A conflict with both contents, as far as they are known and text.
fn with_contents(call: &Call, change: &Change, error: &Error) -> Problem {
    let mut problem = call.state().problem(error);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    if let (Error::Conflict(conflict), Some(info), Ok(file)) =
        (error, problem.conflict_info.as_mut(), call.file(&change.path))
    {
        let current = file.try_read().ok().flatten();
        let current = current.filter(|current| Some(current.version()) == conflict.current);
        info.current_content = current.and_then(|current| text(current.bytes()));
        let base = change.base.as_ref().filter(|base| conflict.expected == Expect::Version(Version::of(base)));
        let kept = |version: &Version| file.kept(version).ok().and_then(|kept| text(kept.bytes()));
        info.expected_content = match (base, &conflict.expected) {
            (Some(base), _) => text(base),
            (None, Expect::Version(version)) => kept(version),
            (None, Expect::Prefix(prefix)) => file.find_kept(prefix).ok().as_ref().and_then(kept),
            (None, _) => None,
        };
    }
    problem
}

/// What must be there for the file to be removed.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Delete {
    /// The hash of what is to be removed.
    #[serde(default)]
    expected_hash: Option<String>,
    #[serde(default)]
    session_id: Option<String>,
    #[serde(default)]
    lease_token: Option<u64>,
    #[serde(default)]
    wait: Option<Span>,
}

/// Removes a file. What was there is kept as a version, where there is a workspace.
#[utoipa::path(
    delete, path = "/api/files/{*path}", tag = "files", params(("path" = String, Path, description = "The file")),
    request_body(content = inline(Option<Delete>), description = "May be left out"),
    responses(
        (status = 200, body = Removed),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        (status = 423, body = Problem, content_type = "application/problem+json"),
        Refusals,
    )
)]
async fn delete(
    state: State,
    caller: Writer,
    path: FilePath,
    MaybeJson(body): MaybeJson<Delete>,
) -> Result<axum::Json<Removed>> {
    let session = caller.session_or(body.session_id.as_deref())?;
    let expect = expectation(body.expected_hash.as_deref(), false)?;
    let removed = Removed::new(&path);
    let wait = body.wait.map(|wait| wait.0);
    let call = move |call: &Call| change::remove(call, &path, expect, body.lease_token, wait, None);
    state.blocking(Work::Change, &session, call).await?;
    Ok(axum::Json(removed))
}
