//! Renewing a credential once.
//!
//! # Promise
//! - Of all threads and processes that find a credential stale at one time, one calls its `f`; the others wait for it, find the new one and do
//!   not call theirs. So a refresh token that may be used once is used once.
//! - What `f` answers is durable before any caller is given it, the caller of `f` and those who waited.
//! - `f` runs while the key is locked and nothing else is: other keys are read and written meanwhile, and so is this one read.
//! - If `f` fails, its caller gets its error and the file is as it was; the next who waits calls its own `f`. Failures are not shared: what
//!   failed for one may work for the next, and how long each of them is ready to wait is said by its own lock options.
//! - If the process dies in `f`, the system frees the key and the next caller goes on with the old credential.
//!
//! # Non-promise
//! - What `f` did elsewhere is not taken back. If a server has used up a one-use token and the process is killed, the power fails, or the disk
//!   is full before the new one is published, the new one is lost and the old one is worth nothing: nobody but the server could help. Whoever
//!   runs on full disks keeps a copy of what `f` answers until this returns.
//! - A reader of [`Credentials::get`](super::Credentials::get) may see the new credential a moment before it is durable.
//! - With locks switched off by configuration nothing excludes a second `f`.

use std::time::SystemTime;

use super::Credentials;
use super::record::{Credential, NewCredential, admit};
use crate::error::Error;
use crate::lock::LockOptions;

/// What came of a refresh.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// The credential, fresh.
    pub credential: Credential,
    /// This caller's `f` made it.
    pub called: bool,
}

impl Credentials {
    /// A credential that is fresh: the stored one if `is_fresh` says so, given the time, else what `f` makes of it, stored and durable. Of many
    /// callers at once one calls `f`; the others wait as `lock` says ([`Error::Timeout`]) and are given what it made.
    ///
    /// `f` gets the stale credential, or `None` if there is none. It may take as long as it likes; only who wants the same key waits. It must not
    /// ask for this key again ([`Error::Reentrant`]). What it answers is taken as fresh without asking `is_fresh`.
    ///
    /// If `f` has answered and the result can't be stored, the error is that of storing, and the answer is lost: see the head of the module for
    /// what can't be promised.
    ///
    /// ```
    /// # fn main() -> Result<(), filelatch::Error> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// use std::time::{Duration, SystemTime};
    /// use filelatch::store::{NewCredential, Secret};
    /// use filelatch::{Filelatch, LockOptions};
    ///
    /// let store = Filelatch::new().credentials(dir.path().join("credentials.json"))?;
    /// let lasts = |credential: &filelatch::store::Credential, now| credential.lasts(now, Duration::from_secs(60));
    /// let refreshed = store.refresh_with("api", lasts, &LockOptions::new(), |old| {
    ///     assert!(old.is_none());
    ///     let ends = SystemTime::now() + Duration::from_secs(3600);
    ///     Ok::<_, filelatch::Error>(NewCredential::new(Secret::new("from the server")).expires(ends))
    /// })?;
    /// assert!(refreshed.called);
    /// let again = store.refresh_with("api", lasts, &LockOptions::new(), |_| -> Result<_, filelatch::Error> { unreachable!() })?;
    /// assert_eq!(again.credential.secret.expose(), b"from the server");
    /// # Ok(())
    /// # }
    /// ```
    pub fn refresh_with<E: From<Error>>(
        &self,
        key: &str,
        is_fresh: impl Fn(&Credential, SystemTime) -> bool,
        lock: &LockOptions<'_>,
        f: impl FnOnce(Option<&Credential>) -> Result<NewCredential, E>,
    ) -> Result<Refreshed, E> {
        let fresh = |found: &Credential| is_fresh(found, self.host.now());
        if let Some(credential) = self.get(key)?.filter(fresh) {
            return Ok(Refreshed { credential, called: false });
        }
        let guard = self.file.lock_record(key, lock)?;
        let stale = match guard.read() {
            Ok(snapshot) => self.decode(snapshot.bytes()).map_err(|e| self.wrong(e))?.get(key).cloned(),
            Err(Error::NotFound { .. }) => None,
            Err(e) => return Err(e.into()),
        };
        self.forget();
        if let Some(credential) = stale.clone().filter(fresh) {
            // Whoever made it may have died before it was durable.
            self.file.read_durable()?;
            self.forget();
            return Ok(Refreshed { credential, called: false });
        }
        let new = f(stale.as_ref())?;
        admit(key, &new).map_err(|e| self.wrong(e))?;
        let credential = self.publish(&guard, lock, |table| {
            self.put(table, key, new);
            Ok(table.get(key).cloned())
        })?;
        let credential = credential.ok_or_else(|| self.file.unanswered())?;
        Ok(Refreshed { credential, called: true })
    }
}
