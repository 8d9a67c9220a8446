//! Leases that were taken through this server and not given back: it gives them back when it ends as it should.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use filelatch::{LatchFile, LockOptions, Root, Wait};

/// What is remembered; a lease that is forgotten ends by its time.
const MOST: usize = 4096;
/// How long giving one back waits for the file's lock.
const WAIT: Duration = Duration::from_millis(500);

/// Numbers of leases, by file of the root.
#[derive(Debug, Default)]
pub(crate) struct Held {
    leases: Mutex<HashSet<(PathBuf, u64)>>,
}

impl Held {
    pub(crate) fn taken(&self, root: &Root, file: &LatchFile, token: u64) {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        if leases.len() < MOST {
            leases.insert((root.place_of(file).to_owned(), token));
        }
    }

    pub(crate) fn ended(&self, root: &Root, file: &LatchFile, token: u64) {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.remove(&(root.place_of(file).to_owned(), token));
    }

    /// Gives all of them back that are not over. Best effort: what can't be given back ends by its time.
    pub(crate) fn give_back(&self, root: &Root) {
        let leases = std::mem::take(&mut *self.leases.lock().unwrap_or_else(PoisonError::into_inner));
        for (path, token) in leases {
            let lock = LockOptions::new().wait(Wait::For(WAIT));
            let lease = root.file(&path).and_then(|file| file.resume_lease(token, &lock));
            if let Ok(lease) = lease {
                lease.release().ok();
            }
        }
    }
}
