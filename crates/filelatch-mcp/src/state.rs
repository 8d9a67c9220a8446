//! What all clients of a server share: one engine, the root, what is hidden, the contents that were shown.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use filelatch::{Error, Filelatch, Hidden, Root};
use filelatch_fs::Host;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::feed::Feed;
use crate::held::Held;
use crate::keys::Keys;
use crate::known::Known;
use crate::line::Lines;
use crate::options::{Limits, Options};
use crate::server::Connection;
use crate::work::Pool;

/// A server of one folder. Cheap to clone; clones are the same server.
#[derive(Clone, Debug)]
pub struct Server {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    latch: Filelatch,
    host: Arc<dyn Host>,
    options: Options,
    root: Root,
    /// As it was given, if that was absolute.
    given: Option<PathBuf>,
    workspace: Option<PathBuf>,
    hidden: Hidden,
    pool: Pool,
    tasks: TaskTracker,
    known: Known,
    keys: Keys,
    shared: Shared,
}

/// What only some tools use.
#[derive(Debug, Default)]
struct Shared {
    feed: Feed,
    held: Held,
    lines: Lines,
    leaving: CancellationToken,
}

impl Server {
    /// A server of a folder on an engine. `host` is the engine's own.
    ///
    /// Fails if the folder can't be opened, if a glob is wrong, or if the workspace's configuration is.
    pub fn new(
        latch: Filelatch,
        host: Arc<dyn Host>,
        root: impl AsRef<Path>,
        options: Options,
    ) -> Result<Server, Error> {
        let given = root.as_ref();
        let root = latch.root(given)?;
        let workspace = latch.workspace_of(root.path())?;
        let hidden = Hidden::new(&options.allow, &options.deny)?;
        let given = given.is_absolute().then(|| given.to_owned());
        let pool = Pool::new(&options.limits);
        let (tasks, known, keys) = (TaskTracker::new(), Known::default(), Keys::default());
        let inner = Inner {
            latch,
            host,
            options,
            root,
            given,
            workspace,
            hidden,
            pool,
            tasks,
            known,
            keys,
            shared: Shared::default(),
        };
        Ok(Server { inner: Arc::new(inner) })
    }

    /// What answers one client.
    pub fn connection(&self) -> Connection {
        Connection::new(self.clone())
    }

    /// The engine. Everything that touches files goes through [`work`](crate::work).
    pub(crate) fn latch(&self) -> &Filelatch {
        &self.inner.latch
    }

    /// Clock and chance: the seam's.
    pub(crate) fn host(&self) -> &Arc<dyn Host> {
        &self.inner.host
    }

    /// The folder, open: files are looked up in it, and nothing leaves it.
    pub(crate) fn root(&self) -> &Root {
        &self.inner.root
    }

    /// How absolute paths of the folder may begin.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = &Path> {
        [self.inner.root.path()].into_iter().chain(self.inner.given.as_deref())
    }

    /// The workspace's folder (what `.filelatch` lies in), if there is one at the root or above it.
    pub(crate) fn workspace(&self) -> Option<&Path> {
        self.inner.workspace.as_deref()
    }

    pub(crate) fn hidden(&self) -> &Hidden {
        &self.inner.hidden
    }

    pub(crate) fn options(&self) -> &Options {
        &self.inner.options
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.options.limits
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.inner.pool
    }

    /// Library calls that have begun: an end waits for them.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.inner.tasks
    }

    /// Keys of calls, where there is no workspace.
    pub(crate) fn keys(&self) -> &Keys {
        &self.inner.keys
    }

    /// Contents that clients were shown or have written.
    pub(crate) fn known(&self) -> &Known {
        &self.inner.known
    }

    /// What changes, for those who want to know.
    pub(crate) fn feed(&self) -> &Feed {
        &self.inner.shared.feed
    }

    /// Leases that were taken through this server.
    pub(crate) fn held(&self) -> &Held {
        &self.inner.shared.held
    }

    /// Who waits for leases, where there is no workspace.
    pub(crate) fn lines(&self) -> &Lines {
        &self.inner.shared.lines
    }

    /// Cancelled when the only client has gone: whatever still waits for something to happen need not.
    pub(crate) fn leaving(&self) -> &CancellationToken {
        &self.inner.shared.leaving
    }

    /// Gives back what outlives calls. On a thread for blocking work, when there are no calls any more.
    pub(crate) fn let_go(&self) {
        self.held().give_back(self.root());
        self.feed().close();
    }
}
