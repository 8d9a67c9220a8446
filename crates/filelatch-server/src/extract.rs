//! What handlers take from requests: files, bodies, queries, and who asks. Each refuses with a [`Problem`].

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::problem::{Problem, Result};
use crate::state::State;

/// Longest name of a session.
const SESSION: usize = 100;

/// A file, as a request names it: relative to the root, nothing but names joined by `/`, none of them `.` or `..`, and not hidden.
///
/// As an argument of a handler it is the wildcard `{*path}` of the route. That no symbolic link leads out of the root is checked when the
/// file is opened ([`Call::file`](crate::work::Call::file)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePath {
    text: String,
}

impl FilePath {
    /// Checks a path that a request gives, percent-decoded.
    pub fn parse(text: &str) -> Result<FilePath> {
        let wrong = |why: &str| {
            Err(Problem::new(StatusCode::BAD_REQUEST, "bad-path", format!("the path {why}"))
                .hint("nothing was changed; a path is relative to the root: names joined by `/`"))
        };
        if text.is_empty() {
            return wrong("is empty");
        }
        if text.chars().any(char::is_control) {
            return wrong("has a control character");
        }
        if text.contains('\\') {
            return wrong("has a backslash");
        }
        let names = text.split('/');
        for name in names.clone() {
            match name {
                "" => return wrong("has an empty name"),
                "." | ".." => return wrong("has the name `.` or `..`"),
                _ => {}
            }
        }
        // What the system itself takes for something else: a drive, a stream, a device.
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        let path = Path::new(text);
        if cfg!(windows) && text.contains(':')
            || !path.components().all(plain)
            || path.components().count() != names.count()
        {
            return wrong("is not made of names only");
        }
        Ok(FilePath { text: text.to_owned() })
    }

    /// As it is written in answers.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Relative to the root.
    pub fn relative(&self) -> PathBuf {
        self.text.split('/').map(OsStr::new).collect()
    }
}

impl FromRequestParts<State> for FilePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<FilePath> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| {
            Problem::new(StatusCode::BAD_REQUEST, "bad-path", "the path is not UTF-8 once it is percent-decoded")
        })?;
        let path = params.iter().find(|(name, _)| *name == "path").map(|(_, path)| path);
        let path = FilePath::parse(path.unwrap_or_default())?;
        state.check_shown(&path)?;
        Ok(path)
    }
}

/// A parameter of the route, percent-decoded: the first that is not a file's path.
#[derive(Clone, Debug)]
pub struct Param(pub String);

impl FromRequestParts<State> for Param {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Param> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| Problem::malformed("the path is not UTF-8 once it is percent-decoded"))?;
        let found = params.iter().find(|(name, _)| *name != "path").map(|(_, value)| value.to_owned());
        found.map(Param).ok_or_else(|| Problem::malformed("the path has no such part"))
    }
}

/// The parameters of the route, percent-decoded, in order.
#[derive(Clone, Debug)]
pub(crate) struct Params<const N: usize>(pub [String; N]);

impl<const N: usize> FromRequestParts<State> for Params<N> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Params<N>> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| Problem::malformed("the path is not UTF-8 once it is percent-decoded"))?;
        let values: Vec<_> = params.iter().map(|(_, value)| value.to_owned()).collect();
        values.try_into().map(Params).map_err(|_| Problem::malformed("the path has not all its parts"))
    }
}

/// The query of the request, as a type.
#[derive(Clone, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<State> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Query<T>> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        let query = query.map_err(|e| Problem::malformed(format!("the query is wrong: {}", e.body_text())))?;
        Ok(Query(query.0))
    }
}

/// The body of the request, whole: nothing is locked before it is there.
#[derive(Clone, Debug)]
pub struct Content(pub Bytes);

impl FromRequest<State> for Content {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &State) -> Result<Content> {
        let limit = state.limits().body;
        let declared =
            request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if declared.is_some_and(|length: u64| length > limit) {
            return Err(too_large(limit));
        }
        read(request.into_body(), limit, state.limits().body_time).await.map(Content)
    }
}

async fn read(body: Body, limit: u64, time: Duration) -> Result<Bytes> {
    let body = Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX));
    match tokio::time::timeout(time, body.collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(e)) if e.downcast_ref::<LengthLimitError>().is_some() => Err(too_large(limit)),
        Ok(Err(_)) => Err(Problem::malformed("the body did not arrive whole").hint("nothing was changed")),
        Err(_) => {
            let detail = format!("the body did not arrive within {} s", time.as_secs());
            let problem = Problem::new(StatusCode::REQUEST_TIMEOUT, "too-slow", detail).hint("nothing was changed");
            Err(problem.header(header::CONNECTION, header::HeaderValue::from_static("close")))
        }
    }
}

fn too_large(limit: u64) -> Problem {
    let detail = format!("the body is larger than the limit of {limit} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
        .hint("nothing was changed; the server's limit is `--max-body`")
        .header(header::CONNECTION, header::HeaderValue::from_static("close"))
}

/// The body of the request as JSON, as a type. Fields that the type does not know are refused if it says so.
#[derive(Clone, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<State> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &State) -> Result<Json<T>> {
        if !is_json(request.headers()) {
            return Err(not_json());
        }
        let body = Content::from_request(request, state).await?.0;
        parse_object(&body).map(Json)
    }
}

/// As [`Json`], where a body may be left out, or be `null`.
#[derive(Clone, Debug)]
pub struct MaybeJson<T>(pub T);

impl<T: DeserializeOwned + Default> FromRequest<State> for MaybeJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &State) -> Result<MaybeJson<T>> {
        let says_json = is_json(request.headers());
        let body = Content::from_request(request, state).await?.0;
        match (body.trim_ascii(), says_json) {
            (b"", _) | (b"null", true) => Ok(MaybeJson(T::default())),
            (_, true) => parse_object(&body).map(MaybeJson),
            (_, false) => Err(not_json()),
        }
    }
}

fn not_json() -> Problem {
    let detail = "the body must be JSON, and say so: `Content-Type: application/json`";
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail).hint("nothing was changed")
}

fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|found| found == "application/json" || found.ends_with("+json"))
}

/// The media type of the body, without parameters, in lower case.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

pub(crate) fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    let wrong =
        |e: &serde_json::Error| Problem::malformed(format!("the body is wrong: {e}")).hint("nothing was changed");
    serde_json::from_slice(body).map_err(|e| wrong(&e))
}

/// A body of named fields. For the parser a list would do, too: of the fields' values in the order in which the type has them.
fn parse_object<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    match body.trim_ascii_start().first() {
        Some(b'[') => Err(Problem::malformed("the body must be an object: `{…}`").hint("nothing was changed")),
        _ => parse_json(body),
    }
}

/// A length of time in a body or a query: `"5s"`, `"500ms"`, or a number of milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl PartialSchema for Span {
    fn schema() -> RefOr<Schema> {
        let millis = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build();
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9]{1,9}(ms|s|m|h|d)?$")).build();
        let either = OneOfBuilder::new().item(millis).item(text);
        either.description(Some("Milliseconds, or text: 500ms, 5s, 2m")).into()
    }
}

impl ToSchema for Span {}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Millis(u64),
            Text(String),
        }
        let wrong = || {
            serde::de::Error::custom(
                "a length of time is a number of milliseconds, or text such as `5s`, `500ms`, `2m`",
            )
        };
        match Raw::deserialize(deserializer).map_err(|_| wrong())? {
            Raw::Millis(millis) => Ok(Span(Duration::from_millis(millis))),
            Raw::Text(text) => {
                let millis = text.parse().map(Duration::from_millis);
                let parsed = millis.or_else(|_| text.parse::<filelatch::Period>().map(|period| period.0));
                parsed.map(Span).map_err(|_| wrong())
            }
        }
    }
}

/// Checks the name of a session that a request gives.
pub(crate) fn session_name(name: &str) -> Result<&str> {
    let fits = (1..=SESSION).contains(&name.len()) && !name.trim().is_empty() && !name.chars().any(char::is_control);
    if fits {
        return Ok(name);
    }
    Err(Problem::malformed(format!("the name of a session has 1 to {SESSION} bytes and no control characters"))
        .hint("nothing was changed"))
}
