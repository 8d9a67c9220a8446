//! Calls of the library: on threads of their own, so many at a time, called off when nobody waits for the answer.
//!
//! # Promise
//! - No call of the library runs on a thread of the runtime, but a look at a name on a local disk ([`Root::glance`](filelatch::Root::glance)).
//! - Calls that may wait for a lock ([`Work::Change`]) and those that do not ([`Work::Look`]) have numbers of their own: however many wait for
//!   locks, looking goes on.
//! - When as many as may wait do wait, the next is refused at once with 503, and nothing of it was done.
//! - A client that goes away takes its wait with it; what was applied already is published all the same (P8).
//! - A shutdown waits for calls that have begun.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use filelatch::show::slashed;
use filelatch::{CancelToken, Error, Filelatch, LatchFile, LockOptions, LockScope, Snapshot, Wait, WriteOptions};
use tokio::sync::Semaphore;

use crate::extract::FilePath;
use crate::options::Limits;
use crate::problem::{Problem, Result};
use crate::state::State;

/// Looking calls at the same time. Others wait for their turn: none of them waits for anybody else.
const LOOKS: usize = 32;

/// What kind of call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It waits for no lock.
    Look,
    /// It may wait for a lock.
    Change,
}

/// How many calls there may be.
#[derive(Debug)]
pub(crate) struct Pool {
    looks: Arc<Semaphore>,
    changes: Arc<Semaphore>,
}

impl Pool {
    pub(crate) fn new(limits: &Limits) -> Pool {
        Pool { looks: Arc::new(Semaphore::new(LOOKS)), changes: Arc::new(Semaphore::new(limits.waits)) }
    }

    /// Calls that may wait for locks and are under way.
    pub(crate) fn changing(&self, limits: &Limits) -> usize {
        limits.waits.saturating_sub(self.changes.available_permits())
    }

    /// Threads that calls can take together, for whoever builds the runtime.
    pub(crate) fn threads(limits: &Limits) -> usize {
        LOOKS + limits.waits + 16
    }
}

/// What a call works with.
#[derive(Clone, Debug)]
pub struct Call {
    state: State,
    session: String,
    scope: LockScope,
    cancel: CancelToken,
}

/// Why a call failed: the library says so, or the server itself.
#[derive(Debug)]
pub enum Failure {
    /// The library.
    Library(Error),
    /// The server.
    Own(Box<Problem>),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Library(error)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        Failure::Own(Box::new(problem))
    }
}

impl Call {
    /// A call of the server's own, that nobody waits for.
    pub(crate) fn of_server(state: &State, cancel: &CancelToken) -> Call {
        Call { state: state.clone(), session: String::new(), scope: LockScope::new(), cancel: cancel.clone() }
    }

    /// The same call, as this session.
    pub(crate) fn as_session(&self, session: &str) -> Call {
        Call { session: session.to_owned(), ..Call::clone(self) }
    }

    /// The engine, as the session of this request.
    pub fn latch(&self) -> &Filelatch {
        self.state.latch()
    }

    /// The server.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The session that the request writes as.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Whose the locks of this request are: its own, for its thread serves others, too.
    pub fn scope(&self) -> &LockScope {
        &self.scope
    }

    /// Called off when the client goes away.
    pub fn cancel(&self) -> &CancelToken {
        &self.cancel
    }

    /// A handle on a file of the root.
    pub fn file(&self, path: &FilePath) -> Result<LatchFile, Failure> {
        self.shown(self.state.folder().file(path.relative())?)
    }

    /// A handle on a file of the root whose directories are made if they are missing.
    pub fn file_with_dirs(&self, path: &FilePath) -> Result<LatchFile, Failure> {
        let may_be = |place: &Path| FilePath::parse(&slashed(place)).is_ok_and(|place| !self.state.is_hidden(&place));
        self.shown(self.state.folder().file_with_dirs_where(path.relative(), may_be)?)
    }

    /// A link to a hidden file is hidden, too.
    fn shown(&self, file: LatchFile) -> Result<LatchFile, Failure> {
        let place = FilePath::parse(&slashed(self.state.folder().place_of(&file)))?;
        if self.state.is_hidden(&place) {
            return Err(Error::NotFound { path: file.path().to_owned() }.into());
        }
        Ok(file)
    }

    /// How to wait for a lock: as the request says, within the server's limits, until the client goes away.
    pub fn lock(&self, wait: Option<Duration>) -> LockOptions<'static> {
        let limits = self.state.limits();
        let wait = match wait {
            Some(Duration::ZERO) => Wait::No,
            Some(wait) => Wait::For(wait.min(limits.max_wait)),
            None => Wait::For(limits.wait),
        };
        LockOptions::new().wait(wait).scope(&self.scope).cancel(&self.cancel)
    }

    /// Options of a write by the request's session, that waits as [`Call::lock`] says.
    pub fn options(&self, wait: Option<Duration>) -> WriteOptions<'static> {
        WriteOptions::new().session(self.session()).lock(self.lock(wait))
    }
}

struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl State {
    /// A file as it is now: by a look if it is known, else read on a thread for that.
    pub async fn read(&self, path: &FilePath, session: &str) -> Result<Snapshot> {
        // Of a path without links, which this one is then, `path` itself says whether it is shown.
        if let Some(known) = self.folder().glance(path.relative()) {
            return Ok(known);
        }
        let path = path.clone();
        self.blocking(Work::Look, session, move |call| Ok(call.file(&path)?.read()?)).await
    }

    /// Runs a call of the library for a session: on a thread for that, when there is room.
    pub async fn blocking<T, F>(&self, work: Work, session: &str, call: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Call) -> Result<T, Failure> + Send + 'static,
    {
        let pool = self.pool();
        let permit = match work {
            Work::Look => Arc::clone(&pool.looks).acquire_owned().await.ok(),
            Work::Change => Arc::clone(&pool.changes).try_acquire_owned().ok(),
        };
        let Some(permit) = permit else {
            return Err(Problem::busy("as many changes as may be under way at once are under way"));
        };
        let cancel = CancelToken::new();
        let called_off = CancelOnDrop(cancel.clone());
        let given = Call { state: self.clone(), session: session.to_owned(), scope: LockScope::new(), cancel };
        let work = self.tasks().spawn_blocking(move || {
            let result = call(&given);
            drop(permit);
            result
        });
        let result = work.await;
        drop(called_off);
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(failure)) => Err(self.refusal(failure)),
            Err(join) => {
                tracing::error!(panicked = join.is_panic(), "a call of the library did not come to its end");
                Err(Problem::new(
                    axum::http::StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "the server could not finish the call; what became of it can be seen by reading the file",
                ))
            }
        }
    }
}
