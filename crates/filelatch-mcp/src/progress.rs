//! What a client that asked for it is told while a call waits.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RoleServer};
use tokio::runtime::Handle;

/// Where progress of one call is told.
pub(crate) struct Progress {
    peer: Peer<RoleServer>,
    token: ProgressToken,
    runtime: Handle,
    told: AtomicU64,
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("token", &self.token).finish_non_exhaustive()
    }
}

impl Progress {
    /// From within the runtime.
    pub(crate) fn new(peer: Peer<RoleServer>, token: ProgressToken) -> Progress {
        Progress { peer, token, runtime: Handle::current(), told: AtomicU64::new(0) }
    }

    /// Tells it, and returns when it is sent: nothing of it comes after the answer. From a thread for blocking work.
    pub(crate) fn tell(&self, message: &str) {
        let count = u32::try_from(self.told.fetch_add(1, Ordering::Relaxed)).unwrap_or(u32::MAX);
        let mut told = ProgressNotificationParam::new(self.token.clone(), f64::from(count) + 1.0);
        told.message = Some(message.to_owned());
        // A client that is gone is told nothing more.
        self.runtime.block_on(self.peer.notify_progress(told)).ok();
    }
}
