//! How to ask for a lease.

use std::fmt;
use std::time::Duration;

use crate::lock::{CancelToken, LockScope, OnWait, Wait};

/// How long a lease lasts unless something else is said.
const MAX_HOLD: Duration = Duration::from_secs(30);

/// Options of a lease. The default: 30 s, waited for as the policy says, not renewed.
#[derive(Clone)]
pub struct LeaseOptions<'a> {
    pub(crate) max_hold: Duration,
    pub(crate) wait: Option<Wait>,
    pub(crate) scope: Option<LockScope>,
    pub(crate) on_wait: Option<OnWait<'a>>,
    pub(crate) cancel: Option<CancelToken>,
    pub(crate) purpose: Option<String>,
    pub(crate) renewed: bool,
    pub(crate) session: Option<String>,
    pub(crate) detached: bool,
}

impl Default for LeaseOptions<'_> {
    fn default() -> Self {
        LeaseOptions {
            max_hold: MAX_HOLD,
            wait: None,
            scope: None,
            on_wait: None,
            cancel: None,
            purpose: None,
            renewed: false,
            session: None,
            detached: false,
        }
    }
}

impl<'a> LeaseOptions<'a> {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long it lasts without being renewed, in whole milliseconds. Its holder treats it as lost a tenth of that before, a second
    /// at most, so that a renewal or an end comes in time.
    #[must_use]
    pub fn max_hold(mut self, time: Duration) -> Self {
        self.max_hold = time;
        self
    }

    /// How to wait for a lease, or lock, that somebody has.
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

    /// Called after 200 ms of waiting and about once a second from then on, on the waiting thread.
    #[must_use]
    pub fn on_wait(mut self, callback: OnWait<'a>) -> Self {
        self.on_wait = Some(callback);
        self
    }

    /// Lets the wait be called off from elsewhere; it ends with [`Error::Cancelled`](crate::Error::Cancelled).
    #[must_use]
    pub fn cancel(mut self, token: &CancelToken) -> Self {
        self.cancel = Some(token.clone());
        self
    }

    /// What it is for, as others are told; else the engine's purpose.
    #[must_use]
    pub fn purpose(mut self, purpose: impl Into<String>) -> Self {
        self.purpose = Some(purpose.into());
        self
    }

    /// Whose it is, as others are told, for a program that takes it for somebody else; else the engine's session's.
    #[must_use]
    pub fn session(mut self, name: impl Into<String>) -> Self {
        self.session = Some(name.into());
        self
    }

    /// Renews it in the background, for as long as the process runs and the [`Lease`](crate::Lease) is there. Then it is lost by
    /// a process that dies, is stopped, or can't reach the file; not by a thread that hangs.
    #[must_use]
    pub fn keep_renewed(mut self) -> Self {
        self.renewed = true;
        self
    }

    /// It belongs to nobody's process, for a program that takes it for somebody elsewhere: it does not end with this one, but by its time, or
    /// when it is given back. (With the machine it ends all the same, as every lease does.)
    #[must_use]
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }
}

impl fmt::Debug for LeaseOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseOptions")
            .field("max_hold", &self.max_hold)
            .field("wait", &self.wait)
            .field("scope", &self.scope)
            .field("on_wait", &self.on_wait.is_some())
            .field("purpose", &self.purpose)
            .field("renewed", &self.renewed)
            .field("session", &self.session)
            .field("detached", &self.detached)
            .finish()
    }
}
