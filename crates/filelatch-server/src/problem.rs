//! The one body of every refusal: `application/problem+json` (RFC 9457), for programs and for people.
//!
//! # Promise
//! - `status`, `title`, `detail`, `kind`, `hints`, `success: false` and `error` are always there; `kind` is the library's stable code.
//! - Paths are relative to the root: a refusal does not tell where the root lies.
//! - What a request can bring about by itself is a 4xx, or a 503 or 507 that says when to try again. A 500 means that the machine, or this
//!   program, is at fault.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::time::Duration;

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use filelatch::show::{author, inside, time, without_root};
use filelatch::{Conflict, Error, Expect, Holder};
use serde::{Deserialize, Serialize};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder, Schema};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

/// The result of a handler.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// Media type of the body.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was refused.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Problem(Box<Fields>);

/// What a [`Problem`] says.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fields {
    /// Always `about:blank`: `kind` tells what it is.
    #[serde(rename = "type")]
    pub type_: &'static str,
    /// The status in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What happened.
    pub detail: String,
    /// Always false.
    pub success: bool,
    /// The same as `detail`.
    pub error: String,
    /// A stable word for programs.
    pub kind: String,
    /// What to do next.
    pub hints: Vec<String>,
    /// The file, relative to the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What was expected and what is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflict_info: Option<ConflictInfo>,
    /// Who is in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<HolderView>,
    /// Seconds after which trying again makes sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The id of the stored conflict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflict_id: Option<String>,
    /// Further headers of the answer.
    #[serde(skip)]
    pub headers: Vec<(axum::http::HeaderName, HeaderValue)>,
}

/// What was expected and what is there.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConflictInfo {
    /// What the writer expected: a hash, `absent`, or null.
    pub expected_hash: Option<String>,
    /// What is there; null: nothing.
    pub current_hash: Option<String>,
    /// Who wrote it: the name of a session, `external`, or null.
    pub last_modified_by: Option<String>,
    /// When.
    pub last_modified_at: Option<String>,
    /// The expected content, if it was asked for and is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_content: Option<String>,
    /// The current content, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_content: Option<String>,
}

/// Who holds a lock or a lease. What is not known is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HolderView {
    /// The session that it writes as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Its process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Its program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// What it is doing, in its own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Its machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Shared locks have many holders.
    pub shared: bool,
    /// The system confirmed it; else it is what a record says, which may be old.
    pub confirmed: bool,
}

impl From<&Holder> for HolderView {
    fn from(holder: &Holder) -> HolderView {
        HolderView {
            session: holder.session.clone(),
            pid: holder.pid,
            program: holder.program.clone(),
            purpose: holder.purpose.clone(),
            host: holder.host.clone(),
            since: holder.since.map(time),
            shared: holder.shared,
            confirmed: holder.confirmed,
        }
    }
}

impl Deref for Problem {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        &self.0
    }
}

impl DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut Fields {
        &mut self.0
    }
}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        Fields::schema()
    }
}

impl ToSchema for Problem {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Fields::schemas(schemas);
    }
}

/// For the description: the refusals that any route for files may answer with.
pub(crate) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let one = |status: u16| {
            let title =
                StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Refused");
            let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            let response = ResponseBuilder::new().description(title).content(MEDIA_TYPE, body).build();
            (status.to_string(), response.into())
        };
        [400, 401, 403, 404, 422, 503].map(one).into()
    }
}

impl Problem {
    /// A refusal of the server's own.
    pub fn new(status: StatusCode, kind: impl Into<String>, detail: impl Into<String>) -> Problem {
        let detail = detail.into();
        Problem(Box::new(Fields {
            type_: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            error: detail.clone(),
            detail,
            success: false,
            kind: kind.into(),
            hints: Vec::new(),
            path: None,
            conflict_info: None,
            holder: None,
            retry_after: None,
            conflict_id: None,
            headers: Vec::new(),
        }))
    }

    /// 400: the request can't be understood.
    pub fn malformed(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// 404.
    pub fn not_found(kind: &str, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, kind, detail)
    }

    /// 422: well-formed, but impossible.
    pub fn impossible(kind: &str, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, kind, detail)
    }

    /// 503: there is too much to do.
    pub fn busy(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
            .hint("nothing was changed; try again in a moment")
            .retry(Duration::from_secs(1))
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hints.push(hint.into());
        self
    }

    /// Names the file, relative to the root.
    #[must_use]
    pub fn about(mut self, path: impl Into<String>) -> Problem {
        self.path = Some(path.into());
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry(mut self, after: Duration) -> Problem {
        self.retry_after = Some(after.as_secs() + u64::from(after.subsec_nanos() > 0));
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: axum::http::HeaderName, value: HeaderValue) -> Problem {
        self.headers.push((name, value));
        self
    }

    /// With another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Problem {
        self.status = status.as_u16();
        self.title = status.canonical_reason().unwrap_or("Error");
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What the library says, told with paths relative to `root`.
    pub fn of(error: &Error, root: &Path) -> Problem {
        let detail = without_root(&error.to_string(), root);
        let mut problem = Problem::new(status_of(error), error.code(), detail);
        problem.hints = error.hints().iter().map(|hint| without_root(hint, root)).collect();
        problem.path = inside(error.path(), root);
        match error {
            // The library's words are for the command line.
            Error::NotFound { .. } => {
                problem.hints = vec!["check the path; `/api/tree` lists what there is".to_owned()];
            }
            Error::Locked { holders, .. } | Error::Timeout { holders, .. } => {
                problem.holder = holders.first().map(HolderView::from);
                problem = problem.retry(Duration::from_secs(1));
            }
            Error::Leased { holder, remaining, .. } => {
                problem.holder = Some(HolderView::from(&**holder));
                problem = problem.retry((*remaining).max(Duration::from_secs(1)));
            }
            Error::LeaseLost { holder, .. } => problem.holder = holder.as_deref().map(HolderView::from),
            Error::Conflict(conflict) => {
                problem.conflict_info = Some(ConflictInfo::from(&**conflict));
                problem.conflict_id = conflict.unmerged.as_ref().and_then(|unmerged| unmerged.id.clone());
            }
            Error::Deadlock { .. } | Error::Cancelled { .. } => problem = problem.retry(Duration::from_secs(1)),
            _ => {}
        }
        problem
    }
}

impl From<&Conflict> for ConflictInfo {
    fn from(conflict: &Conflict) -> ConflictInfo {
        let expected_hash = match &conflict.expected {
            Expect::Any => None,
            Expect::Absent => Some("absent".to_owned()),
            Expect::Version(version) => Some(version.to_string()),
            Expect::Prefix(prefix) => Some(prefix.clone()),
        };
        ConflictInfo {
            expected_hash,
            current_hash: conflict.current.map(|version| version.to_string()),
            last_modified_by: conflict.current.and_then(|_| author(&conflict.last_modified_by)),
            last_modified_at: conflict.last_modified_at.map(time),
            expected_content: None,
            current_content: None,
        }
    }
}

/// Which status an error of the library is.
fn status_of(error: &Error) -> StatusCode {
    match error.code() {
        "not-found" | "no-workspace" | "no-such-version" | "no-such-conflict" | "no-such-item" => StatusCode::NOT_FOUND,
        "conflict" | "lease-lost" | "stale-token" | "already-resolved" | "exists" | "wrong-state" | "edited"
        | "partial" | "ambiguous-version" => StatusCode::CONFLICT,
        "locked" | "timeout" | "deadlock" | "held-by-parent" | "cancelled" | "lock-lost" => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        "leased" => StatusCode::LOCKED,
        "too-large" => StatusCode::PAYLOAD_TOO_LARGE,
        "disk-full" => StatusCode::INSUFFICIENT_STORAGE,
        "permission-denied" | "read-only" | "not-private" | "outside-root" => StatusCode::FORBIDDEN,
        "bad-glob" | "bad-path" => StatusCode::BAD_REQUEST,
        // What is asked for is well-formed, and can't be done with what is there.
        "not-a-file" | "bad-lock-file" | "bad-lease-file" | "not-parseable" | "not-utf8" | "duplicate-key"
        | "unrepresentable" | "patch-failed" | "type-mismatch" | "document" | "unresolved" | "damaged-version"
        | "bad-conflict" | "invalid" | "config" | "unrecovered" | "unfinished" | "damaged" | "encrypted"
        | "newer-form" => StatusCode::UNPROCESSABLE_ENTITY,
        "io" => match error {
            Error::Io { source, .. } => status_of_io(source.kind()),
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        },
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn status_of_io(kind: std::io::ErrorKind) -> StatusCode {
    use std::io::ErrorKind;
    match kind {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        // A file where the path has a directory, a name that no file system takes, a circle of links.
        ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::InvalidFilename
        | ErrorKind::InvalidInput
        | ErrorKind::CrossesDevices
        | ErrorKind::Unsupported
        | ErrorKind::Other => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let headers = std::mem::take(&mut self.headers);
        let (status, retry) = (self.status(), self.retry_after);
        let kind = std::sync::Arc::<str>::from(self.kind.as_str());
        let mut response = (status, Json(self)).into_response();
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(seconds) = retry {
            fields.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        fields.extend(headers);
        response.extensions_mut().insert(Kind(kind));
        response
    }
}

/// The kind of a refusal, for the log.
#[derive(Clone, Debug)]
pub(crate) struct Kind(pub(crate) std::sync::Arc<str>);
