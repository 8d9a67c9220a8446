//! The changes of names that are not durable yet, and which of them need which others.
//!
//! An operation on names is atomic. It *depends* on an earlier one when both touch the same name of the same directory and
//! one of them changes it; reading counts (a link reads the name it starts from), so no file is ever without a name on the
//! way to another. What does not depend on each other reaches the disk in any order.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::Bound;

use super::store::{Entry, Ino};

/// Name of an entry: its directory, and the name as lookups fold it.
pub(super) type Key = (Ino, OsString);
/// All entries of all directories.
pub(super) type Names = BTreeMap<Key, Entry>;

/// The entries of one directory.
pub(super) fn entries_in(names: &Names, dir: Ino) -> impl Iterator<Item = &Entry> {
    let from = Bound::Included((dir, OsString::new()));
    let to = Bound::Excluded((Ino(dir.0 + 1), OsString::new()));
    names.range((from, to)).map(|(_, entry)| entry)
}

/// One atomic change of names.
#[derive(Clone, Debug)]
pub(super) struct NameOp {
    /// For people.
    pub(super) label: String,
    /// The entries as they are afterwards; `None`: absent.
    pub(super) sets: Vec<(Key, Option<Entry>)>,
    /// Names that it only reads.
    pub(super) reads: Vec<Key>,
    /// A sync that covered it failed.
    pub(super) doubtful: bool,
}

impl NameOp {
    fn changes(&self, key: &Key) -> bool {
        self.sets.iter().any(|(changed, _)| changed == key)
    }

    fn depends_on(&self, earlier: &NameOp) -> bool {
        self.sets.iter().any(|(key, _)| earlier.changes(key) || earlier.reads.contains(key))
            || self.reads.iter().any(|key| earlier.changes(key))
    }

    pub(super) fn apply(&self, names: &mut Names) {
        for (key, entry) in &self.sets {
            match entry {
                Some(entry) => names.insert(key.clone(), entry.clone()),
                None => names.remove(key),
            };
        }
    }
}

/// Operations in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal {
    ops: Vec<NameOp>,
}

impl Journal {
    pub(super) fn push(&mut self, op: NameOp) {
        self.ops.push(op);
    }

    pub(super) fn clear(&mut self) {
        self.ops.clear();
    }

    pub(super) fn ops(&self) -> &[NameOp] {
        &self.ops
    }

    /// A directory was synced: its operations, and what they depend on, move to the disk. Those that an earlier sync failed
    /// on come along only if something newer depends on them (L26: the system believes that it has written them).
    pub(super) fn sync(&mut self, dir: Ino, disk: &mut Names) {
        let mut due: Vec<bool> =
            self.ops.iter().map(|op| !op.doubtful && op.sets.iter().any(|((d, _), _)| *d == dir)).collect();
        for later in (0..self.ops.len()).rev() {
            if due[later] {
                for (earlier, due) in self.ops.iter().zip(&mut due).take(later) {
                    *due |= self.ops[later].depends_on(earlier);
                }
            }
        }
        let mut due = due.into_iter();
        self.ops.retain(|op| {
            let due = due.next().unwrap_or_default();
            if due {
                op.apply(disk);
            }
            !due
        });
    }

    /// A sync of a directory failed.
    pub(super) fn sync_failed(&mut self, dir: Ino) {
        for op in self.ops.iter_mut().filter(|op| op.sets.iter().any(|((d, _), _)| *d == dir)) {
            op.doubtful = true;
        }
    }

    /// For each operation the earlier ones that it depends on directly.
    pub(super) fn dependencies(&self) -> Vec<Vec<usize>> {
        let of = |later: usize| (0..later).filter(|earlier| self.ops[later].depends_on(&self.ops[*earlier])).collect();
        (0..self.ops.len()).map(of).collect()
    }
}
