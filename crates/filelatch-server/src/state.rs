//! What all requests share: one engine, the root, limits, and what a shutdown waits for.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::response::IntoResponse;
use filelatch::show::{slashed, without_root};
use filelatch::store::Tokens;
use filelatch::{Error, Filelatch, Hidden, Root};
use filelatch_fs::Host;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::{Caller, Logins};
use crate::documents::{self, Document};
use crate::events::Events;
use crate::extract::FilePath;
use crate::metrics::{Gauge, Metrics};
use crate::mount::Mount;
use crate::options::{Limits, ServerOptions};
use crate::problem::Problem;
use crate::work::{Failure, Pool};
use crate::writes::Lanes;

/// A server before, or while, it listens. Cheap to clone; clones are the same server.
///
/// Handlers take it as an argument.
#[derive(Clone, Debug)]
pub struct State {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    latch: Filelatch,
    host: Arc<dyn Host>,
    options: ServerOptions,
    root: PathBuf,
    folder: Root,
    workspace: bool,
    hidden: Hidden,
    documents: Vec<Document>,
    started: Duration,
    pool: Pool,
    tasks: TaskTracker,
    ending: CancellationToken,
    logins: Logins,
    metrics: Metrics,
    lanes: Lanes,
    requests: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
    events: Arc<Events>,
    tokens: OnceLock<Tokens>,
    address: OnceLock<Address>,
    mounted: Mutex<Vec<Mount>>,
}

/// Where the server is reached.
#[derive(Clone, Copy, Debug)]
struct Address {
    listens: SocketAddr,
    secure: bool,
}

impl State {
    /// A server of the options' root on an engine. `host` is the engine's own.
    ///
    /// Fails if the root can't be found or is not a folder, if a glob is wrong, or if the workspace gives a document a route that is taken.
    pub fn new(latch: Filelatch, host: Arc<dyn Host>, options: ServerOptions) -> Result<State, Error> {
        let folder = latch.root(&options.root)?;
        let root = folder.path().to_owned();
        let workspace = latch.workspace_of(&root)?.is_some();
        let hidden = Hidden::new(&options.allow, &options.deny)?;
        let documents = documents::of(&latch, &root, &hidden)?;
        Ok(State {
            inner: Arc::new(Inner {
                hidden,
                documents,
                pool: Pool::new(&options.limits),
                started: host.monotonic(),
                tasks: TaskTracker::new(),
                ending: CancellationToken::new(),
                logins: Logins::default(),
                metrics: Metrics::default(),
                lanes: Lanes::default(),
                requests: Arc::new(Semaphore::new(options.limits.requests)),
                bodies: Arc::new(Semaphore::new(pieces(options.limits.bodies.max(options.limits.body)) as usize)),
                events: Arc::new(Events::new(host.random(), options.limits.sockets)),
                tokens: OnceLock::new(),
                address: OnceLock::new(),
                mounted: Mutex::default(),
                latch,
                host,
                options,
                root,
                folder,
                workspace,
            }),
        })
    }

    /// The engine. Everything that touches files goes through [`State::blocking`].
    pub fn latch(&self) -> &Filelatch {
        &self.inner.latch
    }

    /// Clock and process facts: the seam's.
    pub fn host(&self) -> &Arc<dyn Host> {
        &self.inner.host
    }

    /// The folder that is served: absolute, without symbolic links.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// The folder that is served, open: files are looked up in it, and nothing leaves it.
    pub fn folder(&self) -> &Root {
        &self.inner.folder
    }

    /// What the server was made from.
    pub fn options(&self) -> &ServerOptions {
        &self.inner.options
    }

    /// What one request, and all of them together, may take.
    pub fn limits(&self) -> &Limits {
        &self.inner.options.limits
    }

    /// Is there a workspace at the root, or above it? Without one there is no history, and there are no stored conflicts.
    pub fn has_workspace(&self) -> bool {
        self.inner.workspace
    }

    /// How long the server has been there.
    pub fn uptime(&self) -> Duration {
        self.inner.host.monotonic().saturating_sub(self.inner.started)
    }

    /// What a shutdown waits for: everything that must come to its end is spawned on it.
    pub fn tasks(&self) -> &TaskTracker {
        &self.inner.tasks
    }

    /// Cancelled when the server ends: sockets close, long polls return.
    pub fn ending(&self) -> &CancellationToken {
        &self.inner.ending
    }

    /// Lets another service answer the requests for a path, behind the checks and limits of all routes: it gets those of callers with the scope
    /// `read` at least, and decides by [`Caller::allows`] what they may do. For before [`app`](crate::app()) and [`serve`](crate::serve()).
    pub fn mount<F, A>(&self, path: &'static str, answer: F)
    where
        F: Fn(Caller, Request) -> A + Send + Sync + 'static,
        A: Future<Output: IntoResponse> + Send + 'static,
    {
        self.inner.mounted.lock().unwrap_or_else(PoisonError::into_inner).push(Mount::new(path, answer));
    }

    pub(crate) fn mounted(&self) -> Vec<Mount> {
        self.inner.mounted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn lanes(&self) -> &Lanes {
        &self.inner.lanes
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Counts web sockets.
    pub fn sockets(&self) -> &Gauge {
        &self.inner.metrics.sockets
    }

    /// Room for one more request.
    pub(crate) fn room(&self) -> Option<OwnedSemaphorePermit> {
        let room = Arc::clone(&self.inner.requests).try_acquire_owned().ok();
        if room.is_none() {
            self.inner.metrics.refused.fetch_add(1, Ordering::Relaxed);
        }
        room
    }

    /// Room for a body of so many bytes.
    pub(crate) fn room_for(&self, body: u64) -> Option<OwnedSemaphorePermit> {
        let room = Arc::clone(&self.inner.bodies).try_acquire_many_owned(pieces(body)).ok();
        if room.is_none() {
            self.inner.metrics.refused.fetch_add(1, Ordering::Relaxed);
        }
        room
    }

    /// Requests that are being answered.
    pub(crate) fn open_requests(&self) -> usize {
        self.limits().requests.saturating_sub(self.inner.requests.available_permits())
    }

    pub(crate) fn logins(&self) -> &Logins {
        &self.inner.logins
    }

    /// What web sockets are told.
    pub(crate) fn events(&self) -> &Arc<Events> {
        &self.inner.events
    }

    pub(crate) fn opened_tokens(&self, open: impl FnOnce() -> Result<Tokens, Error>) -> Result<Tokens, Error> {
        match self.inner.tokens.get() {
            Some(tokens) => Ok(tokens.clone()),
            // Two that open it at once open the same file.
            None => open().map(|tokens| self.inner.tokens.get_or_init(|| tokens).clone()),
        }
    }

    /// Says where the server is reached, before anybody is told. [`serve`](crate::serve()) does it, too; only the first call counts.
    pub fn listens_on(&self, listens: SocketAddr, secure: bool) {
        self.inner.address.get_or_init(|| Address { listens, secure });
    }

    /// Where it listens, if it does.
    pub fn address(&self) -> Option<SocketAddr> {
        self.inner.address.get().map(|address| address.listens)
    }

    /// Does it speak TLS?
    pub fn is_secure(&self) -> bool {
        self.inner.address.get().is_some_and(|address| address.secure)
    }

    /// How this machine's browsers reach it: `http://127.0.0.1:8080`.
    pub fn url(&self) -> String {
        let scheme = if self.is_secure() { "https" } else { "http" };
        match self.address() {
            Some(address) if address.ip().is_unspecified() => format!("{scheme}://localhost:{}", address.port()),
            Some(address) => format!("{scheme}://{address}"),
            None => format!("{scheme}://localhost"),
        }
    }

    /// The name of the served folder.
    pub fn root_name(&self) -> String {
        self.root().file_name().map_or_else(|| "/".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    /// The documents that have names.
    pub(crate) fn documents(&self) -> &[Document] {
        &self.inner.documents
    }

    /// Is this file one that the server does not show?
    pub fn is_hidden(&self, path: &FilePath) -> bool {
        self.inner.hidden.hides(path.as_str())
    }

    /// A file of the root by its whole path, if it is shown.
    pub(crate) fn shown(&self, path: &Path) -> Option<FilePath> {
        let path = FilePath::parse(&slashed(path.strip_prefix(self.root()).ok()?)).ok()?;
        (!self.is_hidden(&path)).then_some(path)
    }

    /// Refuses a file that is hidden, as if it were not there.
    pub fn check_shown(&self, path: &FilePath) -> Result<(), Problem> {
        if self.is_hidden(path) {
            let detail = format!("`{}` does not exist", path.as_str());
            return Err(Problem::not_found("not-found", detail).about(path.as_str()));
        }
        Ok(())
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.inner.pool
    }

    /// A text of the library's with paths relative to the root.
    pub fn told(&self, text: &str) -> String {
        without_root(text, &self.inner.root)
    }

    /// Why a call failed, as a refusal.
    pub(crate) fn refusal(&self, failure: Failure) -> Problem {
        match failure {
            Failure::Library(error) => self.problem(&error),
            Failure::Own(problem) => *problem,
        }
    }

    /// An error of the library as a refusal, with paths relative to the root.
    pub fn problem(&self, error: &Error) -> Problem {
        Problem::of(error, &self.inner.root)
    }
}

/// Bodies are counted in KiB.
fn pieces(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX >> 4).min(u32::MAX >> 4)
}

impl FromRequestParts<State> for State {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut Parts, state: &State) -> Result<State, Self::Rejection> {
        Ok(state.clone())
    }
}
