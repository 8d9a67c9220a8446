//! Bounds: the oldest versions go.
//!
//! # Invariants
//! - What stays is the newest part of the history, without gaps.
//! - The newest version goes only when no version at all is to stay.
//! - Several processes may prune at once: what one has removed is no error of another. Who has a version open goes on reading it.

use std::io;
use std::time::Duration;

use filelatch_fs::{Access, FsDir, LockKind};

use super::history::History;
use super::limits::KeepLimits;
use super::name::is_copy;
use crate::parts::{Parts, epoch_millis};

/// The bounds are looked at once in so many publishes: a directory listing for each would be too dear.
pub const PRUNE_EVERY: u64 = 16;

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// Versions removed.
    pub versions: u64,
    /// Their bytes, by the lengths of the files.
    pub bytes: u64,
    /// Versions that are left.
    pub left: u64,
}

impl History {
    /// Removes what is beyond the limits, and copies that a dead process left unfinished.
    pub(crate) fn prune(&self, parts: &Parts, limits: &KeepLimits) -> io::Result<Pruned> {
        let Some(folder) = self.folder(parts, false)? else { return Ok(Pruned::default()) };
        clear_copies(&*folder)?;
        let (mut pruned, mut bytes, mut failed) = (Pruned::default(), 0_u64, None);
        let now = epoch_millis(parts.host.now());
        let age = u64::try_from(limits.age.as_millis()).unwrap_or(u64::MAX);
        // When the version was replaced: when the next newer one was written.
        let mut replaced = None;
        let mut full = false;
        for kept in self.list(parts)? {
            let size = match folder.stat(&kept.entry) {
                Ok(stat) => stat.size,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            };
            if kept.is_twin {
                if full {
                    folder.remove(&kept.entry).ok();
                }
                continue;
            }
            bytes = bytes.saturating_add(size);
            let newest = replaced.is_none();
            let old = replaced.is_some_and(|replaced| now.saturating_sub(replaced) > age);
            full |= pruned.left >= u64::from(limits.versions) || !newest && (old || bytes > limits.bytes);
            replaced = Some(kept.name.millis);
            if !full {
                pruned.left += 1;
                continue;
            }
            match folder.remove(&kept.entry) {
                Ok(()) => {
                    pruned.versions += 1;
                    pruned.bytes += size;
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => {
                    pruned.left += 1;
                    failed.get_or_insert(e);
                }
            }
        }
        failed.map_or(Ok(pruned), Err)
    }
}

fn clear_copies(folder: &dyn FsDir) -> io::Result<()> {
    let mut copies = Vec::new();
    folder.list(&mut |name| {
        if is_copy(&name) {
            copies.push(name);
        }
        true
    })?;
    for name in copies {
        // Whoever makes it has locked it. A moment after its creation he has not yet; then his copy fails, with a notice.
        if let Ok(file) = folder.open(&name, Access::Read)
            && matches!(file.try_lock(LockKind::Exclusive), Ok(true))
        {
            folder.remove(&name).ok();
        }
    }
    Ok(())
}

impl KeepLimits {
    /// Bounds that nothing exceeds.
    pub fn none() -> KeepLimits {
        KeepLimits { versions: u32::MAX, age: Duration::MAX, bytes: u64::MAX }
    }
}
