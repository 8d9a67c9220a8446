//! Calls of the library: on threads of their own, so many at a time, called off when the client calls them off.
//!
//! # Promise
//! - No call of the library runs on a thread of the runtime.
//! - Calls that may wait for a lock ([`Work::Change`]), those that wait for something to happen ([`Work::Wait`]) and those that do not wait
//!   ([`Work::Look`]) have numbers of their own: however many wait, looking goes on.
//! - When as many as may wait do wait, the next is refused (`busy`), a change after some seconds, and nothing of it was done.
//! - A client that calls a call off ends its wait; what was applied already is published all the same (P8).
//! - An end waits for calls that have begun.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use filelatch::show::slashed;
use filelatch::{CancelToken, Error, Filelatch, LatchFile, LockOptions, LockScope, Wait, WriteOptions};
use rmcp::model::{CallToolResult, ContentBlock, JsonObject};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::asker::Asker;
use crate::keys::Key;
use crate::options::Limits;
use crate::place::Place;
use crate::progress::Progress;
use crate::refusal::Refusal;
use crate::state::Server;
use crate::tools::Entry;

/// Looking calls at the same time. Others wait for their turn: none of them waits for anybody else.
const LOOKS: usize = 16;

/// How long a change waits until it may begin.
const QUEUE: Duration = Duration::from_secs(5);

/// What kind of call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// It waits for no lock.
    Look,
    /// It may wait for a lock.
    Change,
    /// It waits for something to happen.
    Wait,
}

/// How many calls there may be.
#[derive(Debug)]
pub(crate) struct Pool {
    looks: Arc<Semaphore>,
    changes: Arc<Semaphore>,
    waits: Arc<Semaphore>,
}

impl Pool {
    pub(crate) fn new(limits: &Limits) -> Pool {
        let of = |count| Arc::new(Semaphore::new(count));
        Pool { looks: of(LOOKS), changes: of(limits.changes), waits: of(limits.waits) }
    }

    /// Threads that calls can take together, for whoever builds the runtime.
    pub(crate) fn threads(limits: &Limits) -> usize {
        LOOKS + limits.changes + limits.waits + 4
    }

    pub(crate) async fn admit(&self, work: Work) -> Option<OwnedSemaphorePermit> {
        match work {
            Work::Look => Arc::clone(&self.looks).acquire_owned().await.ok(),
            Work::Change => tokio::time::timeout(QUEUE, Arc::clone(&self.changes).acquire_owned()).await.ok()?.ok(),
            Work::Wait => Arc::clone(&self.waits).try_acquire_owned().ok(),
        }
    }
}

/// What a call works with.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    server: Server,
    asker: Asker,
    scope: LockScope,
    cancel: CancelToken,
    key: Option<Key>,
    progress: Option<Arc<Progress>>,
}

impl Call {
    /// A call of its own, which nobody has called off.
    pub(crate) fn new(server: &Server, asker: Asker, progress: Option<Arc<Progress>>) -> Call {
        let (scope, cancel) = (LockScope::new(), CancelToken::new());
        Call { server: server.clone(), asker, scope, cancel, key: None, progress }
    }

    /// The same call, with its key.
    pub(crate) fn with_key(&self, key: Option<Key>) -> Call {
        Call { key, ..self.clone() }
    }

    /// The key of this call, if it was given one.
    pub(crate) fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    /// The server.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// The engine.
    pub(crate) fn latch(&self) -> &Filelatch {
        self.server.latch()
    }

    /// Who writes.
    pub(crate) fn session(&self) -> &Arc<str> {
        &self.asker.session
    }

    /// Tells the client what is waited for, if it wants to know.
    pub(crate) fn tell(&self, message: &str) {
        if let Some(progress) = &self.progress {
            progress.tell(message);
        }
    }

    /// Whose the locks of this call are: its own, for its thread serves others, too.
    pub(crate) fn scope(&self) -> &LockScope {
        &self.scope
    }

    /// Cancelled when the client calls the call off.
    pub(crate) fn cancel(&self) -> &CancelToken {
        &self.cancel
    }

    /// The path of a request, as answers name it. Hidden ones are refused.
    pub(crate) fn place(&self, path: &str) -> Result<Place, Refusal> {
        let place = Place::parse(&self.server, path)?;
        if self.asker.covers(place.as_str()) {
            return Ok(place);
        }
        let message = format!("`{}` is not in the roots that your client has named", place.as_str());
        Err(Refusal::new("outside-root", message)
            .about(place.as_str())
            .not_done("nothing was read or changed")
            .hint("keep to your client's roots, or ask the user to add the folder"))
    }

    /// How answers name a file that the library names by its whole path; `None`: it is not shown.
    pub(crate) fn shown(&self, path: &Path) -> Option<String> {
        let relative = slashed(path.strip_prefix(self.server.root().path()).ok()?);
        self.place(&relative).ok().map(|place| place.as_str().to_owned())
    }

    /// Is a file or folder, by its path relative to the root, shown to anybody?
    pub(crate) fn shows(&self, path: &Path) -> bool {
        path.as_os_str().is_empty() || Place::parse(&self.server, &slashed(path)).is_ok()
    }

    /// Is a file that is shown in the client's roots?
    pub(crate) fn covers(&self, path: &str) -> bool {
        self.asker.covers(path)
    }

    /// A handle on a file of the root.
    pub(crate) fn file(&self, path: &str) -> Result<(Place, LatchFile), Refusal> {
        let place = self.place(path)?;
        let file = place.open(&self.server, false)?;
        Ok((place, file))
    }

    /// What the library says, as a refusal.
    pub(crate) fn refused(&self, error: &Error) -> Refusal {
        Refusal::of(error, self.server.root().path())
    }

    /// Refuses where nothing may be written.
    pub(crate) fn may_write(&self) -> Result<(), Refusal> {
        if !self.server.options().read_only && self.asker.may_write {
            return Ok(());
        }
        if !self.server.options().read_only {
            return Err(Refusal::new("forbidden", "your token may read, and not write").run(
                "filelatch token create NAME --scope write",
                "makes a token that may; the user has to give it to you",
            ));
        }
        Err(Refusal::new("read-only", "this server only reads: it was started with `--read-only`")
            .hint("tell the user what you wanted to change"))
    }

    /// How long to wait: as asked, within the limits.
    pub(crate) fn wait(&self, wait_ms: Option<u64>) -> Duration {
        let limits = self.server.limits();
        wait_ms.map_or(limits.wait, |millis| Duration::from_millis(millis).min(limits.max_wait))
    }

    /// As [`Call::wait`]; who queues waits as long as may be, unless it is said.
    pub(crate) fn wait_for(&self, wait_ms: Option<u64>, queues: bool) -> Duration {
        if queues && wait_ms.is_none() { self.server.limits().max_wait } else { self.wait(wait_ms) }
    }

    /// How to wait for a lock: until the client calls the call off.
    pub(crate) fn lock(&self, wait: Duration) -> LockOptions<'static> {
        let wait = if wait.is_zero() { Wait::No } else { Wait::For(wait) };
        LockOptions::new().wait(wait).scope(&self.scope).cancel(&self.cancel)
    }

    /// Options of a write by the client's session, that waits as [`Call::lock`] says.
    pub(crate) fn options(&self, wait: Duration) -> WriteOptions<'static> {
        WriteOptions::new().session(Arc::clone(self.session())).lock(self.lock(wait))
    }
}

impl Server {
    /// Makes a call of a tool for a session.
    pub(crate) async fn call(
        &self,
        tool: &'static Entry,
        arguments: JsonObject,
        asker: Asker,
        progress: Option<Arc<Progress>>,
        ended: CancellationToken,
    ) -> CallToolResult {
        let Some(permit) = self.pool().admit(tool.work).await else {
            let message = "as many calls as may wait at once are waiting";
            return refused(&Refusal::new("busy", message).retry(Duration::from_secs(1)).hint("make the call again"));
        };
        let call = Call::new(self, asker, progress);
        let cancel = call.cancel.clone();
        let mut work = self.tasks().spawn_blocking(move || {
            let result = match (tool.run)(&call, arguments) {
                Ok(answer) => answered(&answer),
                Err(refusal) => refused(&refusal),
            };
            drop(permit);
            result
        });
        let done = tokio::select! {
            done = &mut work => done,
            () = ended.cancelled() => {
                cancel.cancel();
                work.await
            }
            () = self.leaving().cancelled(), if tool.work == Work::Wait => {
                cancel.cancel();
                work.await
            }
        };
        done.unwrap_or_else(|_| {
            let refusal = Refusal::new("internal", "the server could not finish the call");
            refused(&refusal.not_done("what became of it is not known: read the file to see"))
        })
    }
}

fn answered(answer: &Value) -> CallToolResult {
    let mut result = CallToolResult::success(vec![ContentBlock::text(text(answer))]);
    result.structured_content = Some(answer.clone());
    result
}

fn refused(refusal: &Refusal) -> CallToolResult {
    let value = serde_json::to_value(refusal).unwrap_or_default();
    let mut result = CallToolResult::error(vec![ContentBlock::text(text(&value))]);
    result.structured_content = Some(value);
    result
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
