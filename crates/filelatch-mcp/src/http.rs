//! The same over streamable HTTP, for a server that has its own listener, checks and limits.
//!
//! # Promise
//! Every request is answered for the [`Caller`] in its extensions, whatever MCP session it names: what one may not do by itself it can't do in
//! another's session. A request without one may read, and change nothing.
//!
//! # Non-promise
//! Where requests come from (`Host`, `Origin`), who sends them, and how many there may be, is checked before: by whoever hands them on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::combinators::BoxBody;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::CancellationToken;

use crate::server::Connection;
use crate::state::Server;

/// How often a stream that has nothing to say shows that it is there.
const ALIVE: Duration = Duration::from_secs(15);

/// Answers HTTP requests. Cheap to clone.
#[derive(Clone)]
pub struct HttpService {
    service: StreamableHttpService<Connection, LocalSessionManager>,
}

impl fmt::Debug for HttpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpService").finish_non_exhaustive()
    }
}

impl Server {
    /// What answers HTTP requests with this server, until `ending` is cancelled.
    pub fn http(&self, ending: &CancellationToken) -> HttpService {
        let server = self.clone();
        let chance = self.host().random();
        let config = StreamableHttpServerConfig::default()
            .disable_allowed_hosts()
            .disable_allowed_origins()
            .with_sse_keep_alive(Some(ALIVE))
            .with_max_request_body_bytes(self.limits().message)
            .with_cancellation_token(ending.clone());
        let sessions = Arc::new(LocalSessionManager::default());
        let connection = move || Ok(server.connection().over_http(chance));
        HttpService { service: StreamableHttpService::new(connection, sessions, config) }
    }

    /// Waits for calls that have begun, gives back leases that were taken through this server, and notes how far its clients have heard of
    /// changes. When nothing more is answered.
    pub async fn end(&self) {
        self.tasks().close();
        self.tasks().wait().await;
        let server = self.clone();
        tokio::task::spawn_blocking(move || server.let_go()).await.ok();
    }
}

impl HttpService {
    /// Answers a request, for the [`Caller`](crate::Caller) in its extensions.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<BoxBody<Bytes, std::convert::Infallible>>
    where
        B: Body<Data: Send, Error: fmt::Display> + Send + 'static,
    {
        self.service.handle(request).await
    }
}
