//! Locks as a service: what code that only takes locks depends on.
//!
//! [`Filelatch`] is one implementation, the mock of the test kit another; a lock server on several machines can be a third (P11).
//! Code that takes `&dyn LockService` runs with each of them.
//!
//! ```
//! use std::path::Path;
//! use filelatch::{Filelatch, LockOptions, LockService, Result};
//!
//! fn deploy(locks: &dyn LockService, target: &Path) -> Result<()> {
//!     let lock = locks.acquire(target, &LockOptions::new())?;
//!     // … the work …
//!     assert!(lock.is_held());
//!     Ok(())
//! } // dropping the lock releases it
//!
//! # let dir = tempfile::tempdir().unwrap();
//! # let target = dir.path().join("target");
//! deploy(&Filelatch::new(), &target)?;
//! # Ok::<_, filelatch::Error>(())
//! ```

use std::fmt::Debug;
use std::path::Path;

use super::holder::LockState;
use super::options::LockOptions;
use crate::engine::Filelatch;
use crate::error::Result;
use crate::guard::{Guard, SharedGuard, Validity};

/// Something that gives locks on paths.
///
/// An implementation promises what the [`lock`](crate::lock) module promises: exclusive means one holder; a request that failed
/// never holds the lock later; the same owner asking again for what it holds gets [`Error::Reentrant`](crate::Error::Reentrant).
pub trait LockService: Send + Sync {
    /// Takes the exclusive lock: one holder.
    ///
    /// Fails with [`Error::Locked`](crate::Error::Locked) when the options say not to wait and somebody holds it, with
    /// [`Error::Timeout`](crate::Error::Timeout) when it was not had in time.
    fn acquire(&self, path: &Path, options: &LockOptions<'_>) -> Result<Box<dyn HeldLock>>;

    /// Takes a shared lock: many holders, no exclusive one among them. Fails as [`LockService::acquire`] does.
    fn acquire_shared(&self, path: &Path, options: &LockOptions<'_>) -> Result<Box<dyn HeldLock>>;

    /// Who holds the lock now and how many wait.
    fn lock_state(&self, path: &Path) -> Result<LockState>;

    /// Does anybody hold the lock now?
    fn is_locked(&self, path: &Path) -> Result<bool> {
        Ok(!self.lock_state(path)?.holders.is_empty())
    }
}

/// A lock that was had. Dropping it releases the lock at once.
#[must_use = "dropping the lock releases it at once"]
pub trait HeldLock: Debug + Send {
    /// What is locked, as it was asked for.
    fn path(&self) -> &Path;

    /// Whether, and if not why, the lock protects the file.
    fn validity(&self) -> Validity;

    /// The fencing token of a lock that can be lost: a number that grows with each grant, for the store to check at each write
    /// (L9). `None` for locks that can't be lost.
    fn token(&self) -> Option<u64>;

    /// Does the lock still protect the file?
    fn is_held(&self) -> bool {
        self.validity() == Validity::Held
    }
}

impl LockService for Filelatch {
    fn acquire(&self, path: &Path, options: &LockOptions<'_>) -> Result<Box<dyn HeldLock>> {
        Ok(Box::new(self.file(path)?.lock(options)?))
    }

    fn acquire_shared(&self, path: &Path, options: &LockOptions<'_>) -> Result<Box<dyn HeldLock>> {
        Ok(Box::new(self.file(path)?.lock_shared(options)?))
    }

    fn lock_state(&self, path: &Path) -> Result<LockState> {
        self.file(path)?.lock_state()
    }
}

macro_rules! held_lock {
    ($guard:ty) => {
        impl HeldLock for $guard {
            fn path(&self) -> &Path {
                self.path()
            }

            fn validity(&self) -> Validity {
                self.validity()
            }

            fn token(&self) -> Option<u64> {
                self.token()
            }
        }
    };
}

held_lock!(Guard);
held_lock!(SharedGuard);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Wait;
    use crate::{Error, LockScope};

    fn is_send_and_sync<T: Send + Sync>() {}

    /// P11: every guard says whether it is valid and has a place for a token, behind one object-safe trait.
    #[test]
    fn test_1_the_engine_is_a_lock_service() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let service: Box<dyn LockService> = Box::new(Filelatch::new());
        let now = LockOptions::new().wait(Wait::No);

        let held = service.acquire(&path, &now).unwrap();
        assert_eq!(held.path(), path);
        assert_eq!((held.validity(), held.token()), (Validity::Held, None));
        assert!(service.is_locked(&path).unwrap());
        let other = now.clone().scope(&LockScope::new());
        assert!(matches!(service.acquire_shared(&path, &other), Err(Error::Locked { .. })));
        drop(held);

        assert!(!service.is_locked(&path).unwrap());
        let one = service.acquire_shared(&path, &now).unwrap();
        let two = service.acquire_shared(&path, &other).unwrap();
        assert_eq!(service.lock_state(&path).unwrap().holders.len(), 1, "one process, one lock");
        drop((one, two));
    }

    /// A held lock may be given to another thread and is released there.
    #[test]
    fn guards_move_between_threads() {
        is_send_and_sync::<Guard>();
        is_send_and_sync::<SharedGuard>();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let latch = Filelatch::new();
        let held = LockService::acquire(&latch, &path, &LockOptions::new()).unwrap();
        std::thread::spawn(move || drop(held)).join().unwrap();
        assert!(!latch.file(&path).unwrap().is_locked().unwrap());
    }
}
