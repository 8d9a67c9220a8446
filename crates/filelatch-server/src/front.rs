//! What every request goes through first: its number, limits, who sends it, the log, the figures, and headers that every answer has.
//!
//! # Decision
//! It is one layer. Each layer of a router costs a copy of the service and boxes for every request: with one instead of three, and without asking
//! what is hidden anew each time, a GET of a known file took a fifth less.

use std::convert::Infallible;
use std::mem;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tower::{Layer, Service};
use tracing::Instrument as _;

use crate::access::guard;
use crate::problem::{Kind, Problem, Result};
use crate::state::State;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// On every answer but a 304, unless its handler says otherwise.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Puts a [`Front`] before a service.
#[derive(Clone, Debug)]
pub(crate) struct FrontLayer {
    state: State,
}

impl FrontLayer {
    pub(crate) fn new(state: State) -> FrontLayer {
        FrontLayer { state }
    }
}

impl<S> Layer<S> for FrontLayer {
    type Service = Front<S>;

    fn layer(&self, inner: S) -> Front<S> {
        Front { state: self.state.clone(), inner }
    }
}

/// What every request goes through.
#[derive(Clone, Debug)]
pub(crate) struct Front<S> {
    state: State,
    inner: S,
}

impl<S> Service<Request> for Front<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The one that is ready.
        let next = self.inner.clone();
        let inner = mem::replace(&mut self.inner, next);
        Box::pin(answer(self.state.clone(), inner, request).map(Ok))
    }
}

/// Numbers, limits, lets in, logs and counts a request.
async fn answer<S>(state: State, mut inner: S, mut request: Request) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    let began = state.host().monotonic();
    let id = id_of(&state, request.headers());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let uri = request.uri().clone();
    let span = tracing::info_span!("request", id, by = tracing::field::Empty);
    let mut response = match admitted(&state, &request) {
        Ok(room) => {
            let handled = async {
                match guard(&state, &mut request).await {
                    Ok(()) => inner.call(request).await.unwrap_or_else(|never| match never {}),
                    Err(problem) => problem.into_response(),
                }
            };
            let handled = AssertUnwindSafe(handled).catch_unwind().instrument(span.clone()).await;
            drop(room);
            handled.unwrap_or_else(|_| panicked())
        }
        Err(problem) => problem.into_response(),
    };
    let time = state.host().monotonic().saturating_sub(began);
    let status = response.status().as_u16();
    state.metrics().answered(route.as_ref().map_or("none", MatchedPath::as_str), &method, status, time);
    let kind = response.extensions_mut().remove::<Kind>().map(|kind| kind.0);
    // Without the query: that of `/login` is a secret.
    let path = uri.path();
    let took = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    span.in_scope(|| match kind.as_deref() {
        Some(kind) if status >= 500 => tracing::warn!(%method, path, status, kind, micros = took, "answered"),
        Some(kind) => tracing::info!(%method, path, status, kind, micros = took, "answered"),
        None => tracing::info!(%method, path, status, micros = took, "answered"),
    });
    let fields = response.headers_mut();
    // What is stored keeps the headers that it came with (RFC 9111 §3.2).
    if status != StatusCode::NOT_MODIFIED.as_u16() {
        for (name, value) in HEADERS {
            fields.entry(name).or_insert(HeaderValue::from_static(value));
        }
    }
    if let Ok(id) = HeaderValue::try_from(id) {
        fields.insert(REQUEST_ID, id);
    }
    response
}

/// The client's own number, if it is one, so that its log and ours can be laid side by side.
fn id_of(state: &State, headers: &HeaderMap) -> String {
    let plain = |text: &&str| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(plain);
    given.map_or_else(|| format!("{:016x}", state.host().random()), str::to_owned)
}

/// What a request holds while it is answered.
type Room = (OwnedSemaphorePermit, OwnedSemaphorePermit);

fn admitted(state: &State, request: &Request) -> Result<Room> {
    let limits = state.limits();
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if path > limits.path {
        let detail = format!("the path has {path} bytes, and {} are the limit", limits.path);
        return Err(Problem::new(StatusCode::URI_TOO_LONG, "path-too-long", detail));
    }
    let headers: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if headers > limits.headers {
        let detail = format!("the headers have {headers} bytes, and {} are the limit", limits.headers);
        return Err(Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers-too-large", detail));
    }
    let busy = |what: &str| Problem::busy(what).header(header::CONNECTION, HeaderValue::from_static("close"));
    let room = state.room().ok_or_else(|| busy("as many requests as are answered at once are under way"))?;
    let bodies = state.room_for(body(request, limits.body));
    Ok((room, bodies.ok_or_else(|| busy("as much as is taken at once is being sent"))?))
}

/// What its body may take: what it says, or as much as it may. One that says more is refused before it is read.
fn body(request: &Request, limit: u64) -> u64 {
    let hint = axum::body::HttpBody::size_hint(request.body());
    hint.exact().unwrap_or(limit).min(limit)
}

/// What became of a handler that panicked.
fn panicked() -> Response {
    tracing::error!("a handler panicked");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed in the middle of this request")
        .hint("what became of it can be seen by reading the file")
        .retry(Duration::from_secs(1))
        .into_response()
}
