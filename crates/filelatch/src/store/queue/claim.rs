//! Claims: what a runner has of a command.

use std::sync::Arc;
use std::time::Duration;

use super::decide;
use super::handle::{Inner, Queue};
use super::life::Sign;
use super::options::{ClaimOptions, LEASE, Outcome};
use crate::error::{Error, Result};
use crate::lock::resource::locked;

/// A claim that no process stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseClaim {
    /// The command's name.
    pub id: String,
    /// The number that ends it: an older one is refused.
    pub token: u64,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How long it lasts without a [`Queue::beat`].
    pub lease: Duration,
}

/// A claimed command, from [`Queue::claim`]. Its sign of life is a lock that the kernel holds: when this process is gone, and with it
/// everything that [`Claim::hand_on`] has started, the command is claimable at once.
///
/// **Dropping it gives that lock back without a word in the queue: the command is then claimable, and whoever claims it begins anew.**
/// A claim ends properly with [`Claim::complete`], [`Claim::fail`] or [`Claim::release`]. Call [`Claim::beat`] about three times for each
/// lease: a runner that is stopped, or cut off, loses the command when its lease is over, also while its lock is held.
#[must_use = "dropping the claim makes the command claimable"]
#[derive(Debug)]
pub struct Claim {
    queue: Queue,
    told: LeaseClaim,
    sign: Option<Sign>,
}

impl Claim {
    pub(super) fn new(inner: &Arc<Inner>, told: LeaseClaim, sign: Option<Sign>) -> Claim {
        Claim { queue: Queue { inner: Arc::clone(inner) }, told, sign }
    }

    /// The command's name.
    pub fn id(&self) -> &str {
        &self.told.id
    }

    /// The program and its arguments.
    pub fn command(&self) -> &[String] {
        &self.told.command
    }

    /// The number of this claim. It grows with each claim of the queue: what the command changes elsewhere can be protected by comparing
    /// it there (L9).
    pub fn token(&self) -> u64 {
        self.told.token
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.told.attempt
    }

    /// How long the claim lasts without a beat.
    pub fn lease(&self) -> Duration {
        self.told.lease
    }

    /// Does a lock tell that this process lives? Otherwise (file systems without locks) only the lease does.
    pub fn has_sign_of_life(&self) -> bool {
        self.sign.is_some()
    }

    /// Makes the claim last for its lease from now on. An error with the code `stale-token` or `no-such-item`: the command is somebody
    /// else's by now.
    pub fn beat(&self) -> Result<()> {
        self.queue.inner.beat(self.id(), self.token(), None)
    }

    /// Runs `start`, which starts programs: they inherit the sign of life (P12), and the command is not given to anybody else while one of
    /// them lives, unless the lease is over. What other threads of this process start meanwhile, past this function, inherits it, too. On Windows the
    /// lock stays this process's own.
    pub fn hand_on<R>(&mut self, start: impl FnOnce() -> R) -> Result<R> {
        let starting = locked(&self.queue.inner.starting);
        let Some(sign) = &mut self.sign else { return Ok(start()) };
        let started = sign.hand_on(start).map_err(|e| Error::io("hand on the lock of", self.queue.path(), e));
        drop(starting);
        started
    }

    /// The command was run, and it went well. When this returns that survives a power cut; it is accepted once, and only if nobody has
    /// claimed the command since.
    pub fn complete(mut self, outcome: &Outcome) -> Result<()> {
        let done = self.queue.complete(self.id(), self.token(), outcome);
        self.ended(done)
    }

    /// As [`Claim::complete`], and claims the next command in the same step, if there is one: one lock and one sync for both.
    pub fn complete_and_claim(mut self, outcome: &Outcome, next: &ClaimOptions) -> Result<Option<Claim>> {
        let inner = Arc::clone(&self.queue.inner);
        // The sign is of the next claim, unless programs have it that may still be there then.
        let other = if self.sign.as_ref().is_none_or(Sign::is_handed_on) { inner.sign()? } else { None };
        let sign = other.as_ref().or(self.sign.as_ref());
        let (id, token) = (self.id().to_owned(), self.token());
        let both = inner.end_and_claim(next, LEASE, sign, |state, now| {
            decide::complete(state, &id, token, outcome.ending.clone(), now)
        });
        if other.is_some() {
            let both = self.ended(both);
            return inner.claimed(both, other);
        }
        let sign = if both.is_ok() { self.sign.take() } else { None };
        inner.claimed(both, sign)
    }

    /// The command was run, and it went wrong: it is pending again, or failed.
    pub fn fail(mut self, outcome: &Outcome) -> Result<()> {
        let failed = self.queue.fail(self.id(), self.token(), outcome);
        self.ended(failed)
    }

    /// Gives the command back: it is pending, at its place.
    pub fn release(mut self) -> Result<()> {
        let released = self.queue.release(self.id(), self.token());
        self.ended(released)
    }

    /// If the queue took it, the sign is of no claim any more.
    fn ended<R>(&mut self, ended: Result<R>) -> Result<R> {
        if ended.is_ok()
            && let Some(sign) = self.sign.take()
        {
            self.queue.inner.lives.put_back(sign);
        }
        ended
    }
}
