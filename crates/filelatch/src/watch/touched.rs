//! Whose lock and lease files something has happened to: for those who show who holds what, and can't ask for every file again and again.
//!
//! # Promise
//! A file is named after its lock file or lease file has come, gone, or been written to, as far as the system tells of changes.
//!
//! # Non-promise
//! A lock that is let go of changes no file, and neither does one that a program takes without signing (flock(1) on a lock file that is there):
//! who shows that a lock is held looks at it again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use filelatch_fs::Hint;

use crate::lock::resource::locked;
use crate::path::guarded_by;

/// More files than this are told as "many".
const MOST: usize = 4096;

/// Files whose locks or leases may be others now, from [`Watch::touched_locks`](super::Watch::touched_locks).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TouchedLocks {
    /// The files (not their lock files), by their paths without symbolic links. They need not exist.
    pub files: BTreeSet<PathBuf>,
    /// There were more, or the system lost count: any may be.
    pub many: bool,
}

#[derive(Debug, Default)]
pub(super) struct Touched(Mutex<TouchedLocks>);

impl Touched {
    /// Notes what a hint says of a lock. True: it is news.
    pub(super) fn note(&self, hint: &Hint) -> bool {
        let file = match hint {
            Hint::Lost => None,
            Hint::At { path, .. } => match owner(path) {
                Some(file) => Some(file),
                None => return false,
            },
        };
        let mut touched = locked(&self.0);
        match file {
            Some(file) if touched.files.len() < MOST => touched.files.insert(file),
            _ => !std::mem::replace(&mut touched.many, true),
        }
    }

    pub(super) fn take(&self) -> TouchedLocks {
        std::mem::take(&mut *locked(&self.0))
    }
}

/// The file that a lock file, fallback lock or lease file is of.
fn owner(path: &Path) -> Option<PathBuf> {
    Some(path.with_file_name(guarded_by(path.file_name()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use filelatch_fs::Happened;

    fn at(path: &str) -> Hint {
        Hint::At { path: path.into(), what: Happened::Written }
    }

    /// LOCK-7, WATCH-1: lock, lease and fallback files name their file; nothing else does; too many are told as that.
    #[test]
    fn what_is_noted() {
        let touched = Touched::default();
        for (path, news) in [
            ("/d/.a.json.lock", true),
            ("/d/.a.json.lock", false),
            ("/d/.b.lease", true),
            ("/d/.c.lock.held", true),
            ("/d/a.json", false),
            ("/d/Cargo.lock", false),
            ("/d/.a.json.7-0123456789abcdef.tmp", false),
            ("/", false),
        ] {
            assert_eq!(touched.note(&at(path)), news, "{path}");
        }
        let files = ["/d/a.json", "/d/b", "/d/c"].map(PathBuf::from).into();
        assert_eq!(touched.take(), TouchedLocks { files, many: false });
        assert!(touched.note(&Hint::Lost) && !touched.note(&Hint::Lost));
        assert!(touched.take().many);
        (0..=MOST).for_each(|n| assert!(touched.note(&at(&format!("/.{n}.lock")))));
        let taken = touched.take();
        assert_eq!((taken.files.len(), taken.many), (MOST, true));
        assert_eq!(touched.take(), TouchedLocks::default());
    }
}
