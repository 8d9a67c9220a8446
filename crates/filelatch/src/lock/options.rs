//! How to ask for a lock: values, not flags.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::Holder;
use super::cancel::CancelToken;
use super::owner::LockScope;

/// How long to wait for a lock that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// At most so long. The library's default is 30 s.
    For(Duration),
    /// At most `times` × `interval`: how long, said the usual way. The wait itself is the same as of [`Wait::For`]: it does not poll.
    Retry {
        /// Time between two tries (100 ms is usual).
        interval: Duration,
        /// Tries after the first.
        times: u32,
    },
    /// Without limit.
    Forever,
}

impl Default for Wait {
    fn default() -> Self {
        Wait::For(Duration::from_secs(30))
    }
}

impl Wait {
    /// The limit, if there is one.
    pub fn limit(self) -> Option<Duration> {
        match self {
            Wait::No => Some(Duration::ZERO),
            Wait::For(limit) => Some(limit),
            Wait::Retry { interval, times } => Some(interval.saturating_mul(times)),
            Wait::Forever => None,
        }
    }

    /// What is left of it after some time.
    pub(crate) fn after(self, spent: Duration) -> Wait {
        match (self, self.limit()) {
            (Wait::No, _) | (_, None) => self,
            (_, Some(limit)) => Wait::For(limit.saturating_sub(spent)),
        }
    }
}

/// What to do when the lock can't be had (LOCK-18).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IfUnavailable {
    /// Fail.
    #[default]
    Error,
    /// Go on without the lock; the guard says so ([`Guard::warning`](crate::Guard::warning)). Other writers may be lost then.
    Proceed,
}

/// What a lock is made of (P4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockMode {
    /// The system's whole-file locks; where they are missing, exclude nobody, or are known to end at one machine although others reach the
    /// files (9p, sshfs, NFS with `nolock`…), a lock file whose existence is the lock.
    #[default]
    Auto,
    /// The system's whole-file locks or an error.
    Os,
    /// A lock file whose existence is the lock, and the system's lock as well where it works. For file systems whose locks are
    /// only known to one machine: everybody who writes there must be set to it.
    File,
}

/// What a wait tells while it lasts (LOCK-16).
#[derive(Debug)]
pub struct Waiting<'a> {
    /// The file waited for.
    pub path: &'a Path,
    /// For how long so far.
    pub elapsed: Duration,
    /// Who holds it, as far as the system tells.
    pub holders: &'a [Holder],
}

/// A callback of a wait.
pub type OnWait<'a> = &'a (dyn Fn(&Waiting<'_>) + Send + Sync);

/// Options of a lock. `LockOptions::default()` waits 30 s.
#[derive(Clone, Default)]
pub struct LockOptions<'a> {
    pub(crate) wait: Option<Wait>,
    pub(crate) scope: Option<LockScope>,
    pub(crate) if_unavailable: IfUnavailable,
    pub(crate) on_wait: Option<OnWait<'a>>,
    pub(crate) cancel: Option<CancelToken>,
}

impl<'a> LockOptions<'a> {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long to wait; else the policy's or the engine's default.
    #[must_use]
    pub fn wait(mut self, wait: Wait) -> Self {
        self.wait = Some(wait);
        self
    }

    /// On whose behalf; else the calling thread's.
    #[must_use]
    pub fn scope(mut self, scope: &LockScope) -> Self {
        self.scope = Some(scope.clone());
        self
    }

    /// What to do when the lock can't be had.
    #[must_use]
    pub fn if_unavailable(mut self, choice: IfUnavailable) -> Self {
        self.if_unavailable = choice;
        self
    }

    /// Lets the wait be called off from elsewhere; it ends with [`Error::Cancelled`](crate::Error::Cancelled).
    #[must_use]
    pub fn cancel(mut self, token: &CancelToken) -> Self {
        self.cancel = Some(token.clone());
        self
    }

    /// Called after 200 ms of waiting and about once a second from then on (every 200 ms for an owner that holds other locks), on the
    /// waiting thread.
    #[must_use]
    pub fn on_wait(mut self, callback: OnWait<'a>) -> Self {
        self.on_wait = Some(callback);
        self
    }

    /// How long the caller asked to wait; `None`: as the policy or the service has it. For implementations of
    /// [`LockService`](crate::LockService), as the others.
    pub fn asked_wait(&self) -> Option<Wait> {
        self.wait
    }

    /// On whose behalf; `None`: the calling thread's.
    pub fn asked_scope(&self) -> Option<&LockScope> {
        self.scope.as_ref()
    }

    /// What the caller wants when the lock can't be had.
    pub fn asked_if_unavailable(&self) -> IfUnavailable {
        self.if_unavailable
    }

    /// Who is to be told of a wait.
    pub fn asked_on_wait(&self) -> Option<OnWait<'a>> {
        self.on_wait
    }

    /// What calls the wait off.
    pub fn asked_cancel(&self) -> Option<&CancelToken> {
        self.cancel.as_ref()
    }
}

impl fmt::Debug for LockOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockOptions")
            .field("wait", &self.wait)
            .field("scope", &self.scope)
            .field("if_unavailable", &self.if_unavailable)
            .field("on_wait", &self.on_wait.is_some())
            .finish()
    }
}
