//! Waiting for the end of somebody's lease, without holding the lock: its holder needs that to renew it and to give it back.
//!
//! # Non-promise
//! There is no queue: the lease file is looked at every few milliseconds, and who comes first after its end gets it.

use std::time::Duration;

use super::desk::Look;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::lock::cancel::Watched;
use crate::lock::options::{OnWait, Waiting};
use crate::lock::{CancelToken, Wait};

/// Between two looks, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));
/// When a wait is told of for the first time, and between later times.
const TELL: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(1));

/// The wait of one request, over all its looks.
pub(crate) struct Patience<'a> {
    entry: &'a Entry,
    wait: Wait,
    on_wait: Option<OnWait<'a>>,
    cancel: Option<&'a CancelToken>,
    began: Duration,
    next_tell: Duration,
    pause: Duration,
}

impl<'a> Patience<'a> {
    pub(crate) fn new(
        entry: &'a Entry,
        wait: Wait,
        on_wait: Option<OnWait<'a>>,
        cancel: Option<&'a CancelToken>,
    ) -> Patience<'a> {
        let began = entry.parts().host.monotonic();
        Patience { entry, wait, on_wait, cancel, began, next_tell: began + TELL.0, pause: PAUSE.0 }
    }

    /// How to wait for the lock from now on.
    pub(crate) fn left(&self) -> Wait {
        match (self.wait, self.wait.limit()) {
            (Wait::No, _) | (_, None) => self.wait,
            (_, Some(limit)) => Wait::For(limit.saturating_sub(self.elapsed())),
        }
    }

    fn elapsed(&self) -> Duration {
        self.entry.parts().host.monotonic().saturating_sub(self.began)
    }

    /// Waits until the lease is over or given back. Fails when the wait is.
    pub(crate) fn until_over(&mut self) -> Result<()> {
        let (parts, place) = (self.entry.parts(), self.entry.place());
        let cancel = Watched::new(self.cancel);
        loop {
            let live = match self.entry.leases.look(parts, place)? {
                Look::Live(live) => live,
                Look::Free { .. } | Look::Foreign(_) => return Ok(()),
            };
            if cancel.is_cancelled() {
                return Err(Error::Cancelled { path: place.spelled.clone() });
            }
            let elapsed = self.elapsed();
            let left = self.wait.limit().map(|limit| limit.saturating_sub(elapsed));
            if self.wait == Wait::No || left.is_some_and(|left| left.is_zero()) {
                return Err(live.refusal(parts, place));
            }
            if let Some(on_wait) = self.on_wait.filter(|_| self.began + elapsed >= self.next_tell) {
                on_wait(&Waiting { path: &place.spelled, elapsed, holders: &[live.holder(parts)] });
                self.next_tell = self.began + elapsed + TELL.1;
            }
            let pause = self.pause.min(live.remaining).min(left.unwrap_or(Duration::MAX));
            parts.host.park(Some(pause.max(Duration::from_millis(1))));
            self.pause = (self.pause * 2).min(PAUSE.1);
        }
    }
}
