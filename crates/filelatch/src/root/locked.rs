//! The files beneath a root that somebody holds.

use std::collections::{BTreeMap, btree_map};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Root;
use crate::error::Result;
use crate::lease::LeaseState;
use crate::lock::holder::LockState;
use crate::path::guarded_by;

/// Lock and lease files stay when they are not held any more: of each kind so many are looked at.
const LOOKS: usize = 100_000;

/// A file that is locked or leased, from [`Root::locked`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockedFile {
    /// Relative to the root.
    pub path: PathBuf,
    /// Who holds its lock.
    pub lock: LockState,
    /// Who has its lease.
    pub lease: Option<LeaseState>,
}

impl Root {
    /// The files beneath whose lock or lease somebody holds now, sorted. Changes nothing, and takes no locks where the system tells.
    ///
    /// Of the files that have a lock file or a lease file beside them, the `limit` newest of those are asked for. `admit` is as in
    /// [`Root::list`], for files and directories (lock files need not be admitted).
    pub fn locked(&self, limit: usize, mut admit: impl FnMut(&Path) -> bool) -> Result<Vec<LockedFile>> {
        let owner = |path: &Path| Some(path.with_file_name(guarded_by(path.file_name()?)?));
        let mut all = |path: &Path| admit(&owner(path).unwrap_or_else(|| path.to_owned()));
        let beside = self.search(Path::new(""), true, LOOKS, &mut all, &|path| owner(path).is_some())?;
        let mut newest: BTreeMap<PathBuf, SystemTime> = BTreeMap::new();
        for file in beside.files {
            let Some(path) = owner(&file.path) else { continue };
            match newest.entry(path) {
                btree_map::Entry::Occupied(mut known) => *known.get_mut() = file.modified.max(*known.get()),
                btree_map::Entry::Vacant(new) => drop(new.insert(file.modified)),
            }
        }
        let mut newest: Vec<_> = newest.into_iter().collect();
        if newest.len() > limit {
            newest.sort_by_key(|(_, at)| std::cmp::Reverse(*at));
            newest.truncate(limit);
            newest.sort();
        }
        let mut held = Vec::new();
        for (path, _) in newest {
            // Its directory may be gone by now, or its lock file be nobody's.
            let Ok(file) = self.file(&path) else { continue };
            let lock = file.lock_state().unwrap_or_default();
            let lease = file.lease_state().unwrap_or_default();
            if !lock.holders.is_empty() || lease.is_some() {
                held.push(LockedFile { path, lock, lease });
            }
        }
        Ok(held)
    }
}
