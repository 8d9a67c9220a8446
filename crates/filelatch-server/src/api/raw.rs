//! Raw files: bytes and conditional requests (RFC 9110, RFC 5789).

use axum::body::Body;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use filelatch::doc::{DocError, Document, Format};
use filelatch::show::author;
use filelatch::{Durability, Error, Expect, Snapshot, Strategy};
use serde::Deserialize;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::files::{Removed, Written};
use crate::access::{Reader, Writer};
use crate::change::{self, Change};
use crate::conditional::{Conditions, ROUNDS, Verdict, etag};
use crate::extract::{Content, FilePath, Query, Span, media_type, parse_json};
use crate::mime;
use crate::problem::{Problem, Refusals, Result};
use crate::state::State;
use crate::work::{Call, Failure, Work};

pub(crate) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(get, put, patch, delete))
}

/// The number of a lease that is written under.
const LEASE: HeaderName = HeaderName::from_static("filelatch-lease");
/// Who wrote the bytes.
const MODIFIED_BY: HeaderName = HeaderName::from_static("filelatch-modified-by");
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
const MERGE_PATCH: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
/// A longer patch is none: the whole file is shorter.
const PATCH_LIMIT: usize = 4 << 20;
/// A user's file is looked at by nobody but its user: nothing in it runs in a browser.
const SANDBOX: &str = "default-src 'none'; sandbox; frame-ancestors 'none'";

#[derive(Debug, Deserialize)]
struct Asked {
    durability: Option<String>,
    wait: Option<Span>,
    #[serde(default)]
    mkdir: bool,
}

/// What a change says besides its content.
struct How {
    conditions: Conditions,
    lease: Option<u64>,
    durability: Option<Durability>,
    wait: Option<std::time::Duration>,
    mkdir: bool,
}

impl How {
    fn of(headers: &HeaderMap, asked: Asked) -> Result<How> {
        let wrong = |what: String| Problem::malformed(what).hint("nothing was changed");
        let lease = headers.get(LEASE).map(|token| token.to_str().ok().and_then(|token| token.trim().parse().ok()));
        let lease =
            lease.map(|token| token.ok_or_else(|| wrong("`Filelatch-Lease` is the number of a lease".to_owned())));
        let durability = asked.durability.map(|word| word.parse()).transpose().map_err(wrong)?;
        let conditions = Conditions::of(headers)?;
        Ok(How {
            conditions,
            lease: lease.transpose()?,
            durability,
            wait: asked.wait.map(|wait| wait.0),
            mkdir: asked.mkdir,
        })
    }

    /// Makes a change on what the conditions admit, and decides anew when that is another file by then.
    fn on_condition<T>(
        &self,
        call: &Call,
        path: &FilePath,
        mut make: impl FnMut(Expect) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.conditions.are_none()
            && self.lease.is_none()
            && call.file(path).is_ok_and(|file| file.policy().require_condition)
        {
            let detail =
                format!("a write of `{}` must say what it replaces: `If-Match` or `If-None-Match: *`", path.as_str());
            let problem = Problem::new(StatusCode::PRECONDITION_REQUIRED, "condition-required", detail);
            return Err(problem
                .hint("nothing was changed; GET the file, and send its ETag")
                .about(path.as_str())
                .into());
        }
        if let Some(expect) = self.conditions.expectation() {
            return make(expect);
        }
        for _ in 0..ROUNDS {
            let current = match call.file(path) {
                Ok(file) => file.try_read()?,
                // A directory that is missing has no file either; making it is the change's business.
                Err(Failure::Library(Error::Io { action: "find", .. })) => None,
                Err(failure) => return Err(failure),
            };
            if self.conditions.verdict(current.as_ref(), false) != Verdict::Go {
                return Err(self.conditions.failed(path.as_str(), current.as_ref()).into());
            }
            let expect = current.map_or(Expect::Absent, |current| Expect::Version(current.version()));
            match make(expect) {
                Err(Failure::Library(Error::Conflict(_))) => {}
                done => return done,
            }
        }
        Err(Problem::busy(format!("`{}` changes faster than it can be compared", path.as_str()))
            .about(path.as_str())
            .into())
    }
}

/// What the API for JSON calls a conflict is a failed precondition here.
fn raw(mut problem: Problem) -> Problem {
    if problem.kind == "conflict" {
        problem = problem.with_status(StatusCode::PRECONDITION_FAILED);
    }
    problem
}

/// The bytes of a file that was read, without a copy of them.
struct Read(Snapshot);

impl AsRef<[u8]> for Read {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// A file's bytes.
#[utoipa::path(
    get, path = "/files/{*path}", tag = "raw files",
    params(
        ("path" = String, Path, description = "The file"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag that is known already"),
    ),
    responses(
        (status = 200, description = "Its bytes", body = Vec<u8>, content_type = "*/*", headers(
            ("ETag" = String, description = "Its hash, in quotes"),
            ("Last-Modified" = String),
            ("Filelatch-Modified-By" = String, description = "Who wrote it"),
        )),
        (status = 304, description = "It is what is known"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 412, body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It is no file", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn get(state: State, caller: Reader, path: FilePath, headers: HeaderMap) -> Result<Response> {
    let conditions = Conditions::of(&headers)?;
    let snapshot = state.read(&path, caller.session()).await?;
    let name = path.as_str();
    let verdict = conditions.verdict(Some(&snapshot), true);
    if verdict == Verdict::Failed {
        return Err(conditions.failed(name, Some(&snapshot)));
    }
    let mut fields = HeaderMap::new();
    let mut put = |name: HeaderName, value: &str| {
        // What can't stand in a header is left out.
        HeaderValue::from_bytes(value.as_bytes()).map(|value| fields.insert(name, value)).ok();
    };
    put(header::ETAG, &etag(&snapshot.version()));
    put(header::LAST_MODIFIED, &httpdate::fmt_http_date(snapshot.modified_at()));
    put(header::CACHE_CONTROL, "private, no-cache");
    if let Some(author) = author(snapshot.author()) {
        put(MODIFIED_BY, &author);
    }
    if verdict == Verdict::NotModified {
        return Ok((StatusCode::NOT_MODIFIED, fields).into_response());
    }
    put(header::CONTENT_TYPE, mime::of_file(name));
    put(header::CONTENT_DISPOSITION, "attachment");
    put(header::CONTENT_SECURITY_POLICY, SANDBOX);
    put(header::ACCEPT_RANGES, "none");
    Ok((fields, Body::from(Bytes::from_owner(Read(snapshot)))).into_response())
}

/// Replaces a file, or makes it.
#[utoipa::path(
    put, path = "/files/{*path}", tag = "raw files",
    params(
        ("path" = String, Path, description = "The file"),
        ("If-Match" = Option<String>, Header, description = "The ETag of what is replaced"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if there is no such file"),
        ("Filelatch-Lease" = Option<u64>, Header, description = "The number of the lease that is written under"),
        ("Filelatch-Session" = Option<String>, Header, description = "Who writes"),
        ("durability" = Option<String>, Query, description = "full, file or none"),
        ("wait" = inline(Option<Span>), Query, description = "How long to wait for the lock: 5s"),
        ("mkdir" = Option<bool>, Query, description = "Make missing folders"),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, body = Written), (status = 201, body = Written, description = "It is new"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "Its folder does not exist, or it is hidden"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The lease is lost"),
        (status = 412, body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 423, body = Problem, content_type = "application/problem+json"),
        (status = 428, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
async fn put(
    state: State,
    caller: Writer,
    path: FilePath,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    Content(body): Content,
) -> Result<Response> {
    let how = How::of(&headers, asked)?;
    if headers.contains_key(header::CONTENT_RANGE) {
        // A part would take the place of the whole (RFC 9110 §14.5).
        return Err(Problem::malformed("a PUT replaces the whole file; `Content-Range` is not taken")
            .hint("nothing was changed"));
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        let detail = "the bytes are written as they are; `Content-Encoding` is not taken";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-encoding", detail)
            .hint("nothing was changed"));
    }
    let call = move |call: &Call| {
        let mut change = Change::new(path.clone(), body);
        // What is expected is said, or nothing is.
        change.strategy = Some(Strategy::FailFast);
        (change.lease, change.durability, change.wait, change.mkdir) = (how.lease, how.durability, how.wait, how.mkdir);
        how.on_condition(call, &path, |expect| {
            change.expect = expect;
            let (_, written) = change.apply(call)?;
            Ok((written.created, Written::new(call, &path, &written)))
        })
    };
    let (created, written) = state.blocking(Work::Change, caller.session(), call).await.map_err(raw)?;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, written.etag(), axum::Json(written)).into_response())
}

/// Changes a JSON, YAML or TOML document by a patch (RFC 7396, RFC 6902). Comments and formatting stay.
#[utoipa::path(
    patch, path = "/files/{*path}", tag = "raw files",
    params(
        ("path" = String, Path, description = "The file"),
        ("If-Match" = Option<String>, Header, description = "The ETag of what is changed"),
        ("Filelatch-Lease" = Option<u64>, Header, description = "The number of the lease that is written under"),
        ("durability" = Option<String>, Query, description = "full, file or none"),
        ("wait" = inline(Option<Span>), Query, description = "How long to wait for the lock: 5s"),
    ),
    request_body(content(
        (serde_json::Value = "application/merge-patch+json"),
        (Vec<serde_json::Value> = "application/json-patch+json"),
    )),
    responses(
        (status = 200, body = Written),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The lease is lost"),
        (status = 412, body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 415, body = Problem, content_type = "application/problem+json"),
        (status = 423, body = Problem, content_type = "application/problem+json"),
        (status = 428, body = Problem, content_type = "application/problem+json"),
        Refusals,
    )
)]
async fn patch(
    state: State,
    caller: Writer,
    path: FilePath,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    Content(body): Content,
) -> Result<Response> {
    let how = How::of(&headers, asked)?;
    let is_merge = match media_type(&headers).as_deref() {
        Some(MERGE_PATCH) => true,
        Some(JSON_PATCH) => false,
        _ => {
            let detail = format!("a patch is `{MERGE_PATCH}` or `{JSON_PATCH}`");
            let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail);
            let accepted = HeaderValue::from_static("application/merge-patch+json, application/json-patch+json");
            return Err(problem.hint("nothing was changed").header(ACCEPT_PATCH, accepted));
        }
    };
    if body.len() > PATCH_LIMIT {
        let detail = format!("a patch has at most {PATCH_LIMIT} bytes");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail).hint("nothing was changed"));
    }
    let patch: Value = parse_json(&body)?;
    let call = move |call: &Call| {
        let file = call.file(&path)?;
        let format = Format::from_path(file.canonical_path()).filter(|format| *format != Format::Text);
        let format = format.ok_or_else(|| {
            let detail = format!("`{}` is no JSON, YAML or TOML by its name", path.as_str());
            Problem::impossible("unknown-format", detail)
                .hint("nothing was changed; PUT the whole file")
                .about(path.as_str())
        })?;
        // Before the lock is taken: a mistyped name leaves no lock file behind.
        if !file.exists()? {
            return Err(Error::NotFound { path: file.path().to_owned() }.into());
        }
        let apply = |document: &mut Document| -> Result<(), DocError> {
            if is_merge { document.merge_patch(&patch) } else { document.json_patch(&patch) }
        };
        let wrong = |source| Failure::Library(Error::Document { path: file.path().to_owned(), source });
        how.on_condition(call, &path, |expect| {
            let mut options = call.options(how.wait).expect(expect).format(format);
            options.durability = how.durability;
            let change = |document: &mut Document| apply(document).map_err(wrong);
            let (written, ()) = match how.lease {
                Some(token) => file.lock_under(token, &options.lock)?.update_document(&options, change)?,
                None => file.update_document(&options, change)?,
            };
            Ok(Written::new(call, &path, &written))
        })
    };
    let written = state.blocking(Work::Change, caller.session(), call).await.map_err(raw)?;
    Ok((written.etag(), axum::Json(written)).into_response())
}

/// Removes a file. What was there is kept as a version, where there is a workspace.
#[utoipa::path(
    delete, path = "/files/{*path}", tag = "raw files",
    params(
        ("path" = String, Path, description = "The file"),
        ("If-Match" = Option<String>, Header, description = "The ETag of what is removed"),
        ("Filelatch-Lease" = Option<u64>, Header, description = "The number of the lease that is written under"),
    ),
    responses(
        (status = 200, body = Removed),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The lease is lost"),
        (status = 412, body = Problem, content_type = "application/problem+json"),
        (status = 423, body = Problem, content_type = "application/problem+json"),
        (status = 428, body = Problem, content_type = "application/problem+json"),
        Refusals,
    )
)]
async fn delete(
    state: State,
    caller: Writer,
    path: FilePath,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<axum::Json<Removed>> {
    let how = How::of(&headers, asked)?;
    let removed = Removed::new(&path);
    let call = move |call: &Call| {
        // Without conditions this would be a 404: then they do not count (§13.2.1).
        call.file(&path)?.read()?;
        how.on_condition(call, &path, |expect| change::remove(call, &path, expect, how.lease, how.wait, how.durability))
    };
    state.blocking(Work::Change, caller.session(), call).await.map_err(raw)?;
    Ok(axum::Json(removed))
}
