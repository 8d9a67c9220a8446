//! Leases where code wants a [`LockService`].

use std::io;
use std::path::Path;
use std::time::Duration;

use super::held::Lease;
use super::options::LeaseOptions;
use crate::engine::Filelatch;
use crate::error::{Error, Result};
use crate::guard::Validity;
use crate::lock::holder::LockState;
use crate::lock::{HeldLock, LockOptions, LockService};

/// A [`LockService`] whose locks are leases: [`HeldLock::token`] has a number, and [`HeldLock::validity`] may become
/// [`Validity::Lost`].
///
/// A request that was not had in time fails with [`Error::Leased`]. There are no shared leases: asking for one is an error.
///
/// ```
/// use std::time::Duration;
/// use filelatch::{Filelatch, Leases, LockOptions, LockService};
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let target = dir.path().join("target");
/// let leases = Leases::new(&Filelatch::new(), Duration::from_secs(30));
/// let held = leases.acquire(&target, &LockOptions::new())?;
/// assert!(held.is_held() && held.token().is_some());
/// # Ok::<_, filelatch::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Leases {
    latch: Filelatch,
    max_hold: Duration,
    renewed: bool,
}

impl Leases {
    /// Leases that last so long.
    pub fn new(latch: &Filelatch, max_hold: Duration) -> Leases {
        Leases { latch: latch.clone(), max_hold, renewed: false }
    }

    /// Leases that are renewed in the background ([`LeaseOptions::keep_renewed`]).
    #[must_use]
    pub fn keep_renewed(mut self) -> Self {
        self.renewed = true;
        self
    }
}

impl LockService for Leases {
    fn acquire(&self, path: &Path, options: &LockOptions<'_>) -> Result<Box<dyn HeldLock>> {
        let mut lease = LeaseOptions::new().max_hold(self.max_hold);
        lease.wait = options.asked_wait();
        lease.scope = options.asked_scope().cloned();
        lease.on_wait = options.asked_on_wait();
        lease.cancel = options.asked_cancel().cloned();
        lease.renewed = self.renewed;
        Ok(Box::new(self.latch.file(path)?.lease(&lease)?))
    }

    fn acquire_shared(&self, path: &Path, _: &LockOptions<'_>) -> Result<Box<dyn HeldLock>> {
        let source = io::Error::new(io::ErrorKind::Unsupported, "a lease has one holder: there are no shared ones");
        Err(Error::io("lease", path, source))
    }

    /// Who has the lease.
    fn lock_state(&self, path: &Path) -> Result<LockState> {
        let state = self.latch.file(path)?.lease_state()?;
        Ok(LockState { holders: state.into_iter().map(|state| state.holder).collect(), ..LockState::default() })
    }
}

impl HeldLock for Lease {
    fn path(&self) -> &Path {
        self.path()
    }

    fn validity(&self) -> Validity {
        self.validity()
    }

    fn token(&self) -> Option<u64> {
        Some(self.token())
    }
}
