//! A server over a folder of its own, and requests to it.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use filelatch::Filelatch;
use filelatch_fs::RealHost;
use filelatch_server::{ServerOptions, State, app};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;

/// A server over a folder that is removed with it.
pub(crate) struct Server {
    pub(crate) state: State,
    app: Router,
    dir: TempDir,
}

/// A server over the folder of another one.
pub(crate) struct Beside {
    app: Router,
}

impl Beside {
    /// Sends a request.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        answer(&self.app, request).await
    }
}

async fn answer(app: &Router, request: Request<Body>) -> Answer {
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Answer { status: parts.status, headers: parts.headers, body }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Server {
    /// In a workspace.
    pub(crate) fn new() -> Server {
        Server::with(|_| {})
    }

    /// In a workspace, with other options.
    pub(crate) fn with(change: impl FnOnce(&mut ServerOptions)) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let latch = Filelatch::builder().session("server").build();
        latch.init(dir.path()).unwrap();
        Server::over(dir, latch, change)
    }

    /// In a workspace with this configuration.
    pub(crate) fn configured(config: &str) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let latch = Filelatch::builder().session("server").build();
        latch.init(dir.path()).unwrap();
        std::fs::write(dir.path().join(".filelatch/config.toml"), config).unwrap();
        Server::over(dir, latch, |_| {})
    }

    /// Another server over the same folder, as after a restart.
    pub(crate) fn again(self) -> Server {
        self.state.ending().cancel();
        Server::over(self.dir, Filelatch::builder().session("server").build(), |_| {})
    }

    fn over(dir: TempDir, latch: Filelatch, change: impl FnOnce(&mut ServerOptions)) -> Server {
        let mut options = ServerOptions::new(dir.path());
        options.no_auth = true;
        change(&mut options);
        let state = State::new(latch, Arc::new(RealHost), options).unwrap();
        Server { app: app(state.clone()), state, dir }
    }

    /// In no workspace.
    pub(crate) fn without_workspace() -> Server {
        Server::over(tempfile::tempdir().unwrap(), Filelatch::builder().session("server").build(), |_| {})
    }

    /// Another server over the same folder.
    pub(crate) fn beside(&self, change: impl FnOnce(&mut ServerOptions)) -> Beside {
        let mut options = ServerOptions::new(self.root());
        options.no_auth = true;
        change(&mut options);
        let latch = Filelatch::builder().session("server").build();
        Beside { app: app(State::new(latch, Arc::new(RealHost), options).unwrap()) }
    }

    /// Over the same folder, with a mounted service that fails as no handler should.
    pub(crate) fn with_a_fault(&self, change: impl FnOnce(&mut ServerOptions)) -> Beside {
        let mut options = ServerOptions::new(self.root());
        options.no_auth = true;
        change(&mut options);
        let state = State::new(Filelatch::builder().session("server").build(), Arc::new(RealHost), options).unwrap();
        // A path has no host.
        state.mount("/fault", |_, request| async move { request.uri().host().unwrap().to_owned() });
        Beside { app: app(state) }
    }

    /// The served folder.
    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Sends a request.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        answer(&self.app, request).await
    }

    /// Sends a request without a body.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).header("host", "localhost").body(Body::empty()).unwrap()).await
    }

    /// Sends JSON.
    pub(crate) async fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        let request = request.header("content-type", "application/json").body(Body::from(body.to_string()));
        self.send(request.unwrap()).await
    }
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}
