//! Further services under the server's own roof: what another crate answers, behind this server's checks and limits.
//!
//! # Promise
//! A mounted service gets only requests that have passed what every route's requests pass: limits, `Host`, `Origin`, credentials with at least
//! the scope `read`. It is told who asks.
//!
//! # Non-promise
//! What a request may change is the service's to decide by [`Caller::allows`]; how long its answers take, too. Its bodies are limited as it says
//! itself.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::future::BoxFuture;

use crate::access::{Caller, Reader};
use crate::state::State;

/// What answers the requests of a path.
#[derive(Clone)]
pub(crate) struct Mount {
    path: &'static str,
    answer: Arc<dyn Fn(Caller, Request) -> BoxFuture<'static, Response> + Send + Sync>,
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mount").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Mount {
    pub(crate) fn new<F, A>(path: &'static str, answer: F) -> Mount
    where
        F: Fn(Caller, Request) -> A + Send + Sync + 'static,
        A: Future<Output: IntoResponse> + Send + 'static,
    {
        let answer = move |caller, request| -> BoxFuture<'static, Response> {
            let answer = answer(caller, request);
            Box::pin(async move { answer.await.into_response() })
        };
        Mount { path, answer: Arc::new(answer) }
    }
}

/// The routes of what is mounted.
pub(crate) fn routes(mounted: &[Mount]) -> Router<State> {
    mounted.iter().fold(Router::new(), |router, Mount { path, answer }| {
        let answer = Arc::clone(answer);
        router.route(path, any(move |Reader(caller): Reader, request: Request| answer(caller, request)))
    })
}
