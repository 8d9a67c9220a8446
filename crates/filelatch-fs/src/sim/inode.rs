//! One inode: as programs see it, as the disk has it for sure, and the changes in between.

use std::path::PathBuf;

use crate::types::Timestamp;

use super::image::{Change, Fate, Image};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    File,
    Dir,
    Symlink(PathBuf),
    Other,
}

/// How much is known of a change since the last sync that came out well for sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not synced.
    Dirty,
    /// A sync failed: the page is marked clean, whether or not it was written (L26). No later sync helps.
    Doubtful,
    /// Synced, but on top of something doubtful.
    Synced,
}

#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) change: Change,
    pub(super) standing: Standing,
}

#[derive(Clone, Debug)]
pub(super) struct Inode {
    /// What programs see.
    pub(super) number: u64,
    pub(super) node: Node,
    /// As programs see it.
    pub(super) now: Image,
    /// As it would be after a power cut that loses all of `pending` that it can.
    pub(super) disk: Image,
    pub(super) pending: Vec<Pending>,
    pub(super) nlink: u64,
    /// Open files of it.
    pub(super) opens: u64,
}

impl Inode {
    /// Without a name, and as durable as its name will be.
    pub(super) fn new(number: u64, node: Node, image: Image) -> Self {
        Inode { number, node, now: image.clone(), disk: image, pending: Vec::new(), nlink: 0, opens: 0 }
    }

    /// What the disk has if the open changes meet these fates, in order.
    pub(super) fn after(&self, fates: &[Fate]) -> Image {
        self.after_first(fates, usize::MAX)
    }

    /// The same, up to before the open change with this number.
    pub(super) fn after_first(&self, fates: &[Fate], open: usize) -> Image {
        let mut image = self.disk.clone();
        let mut fates = fates.iter();
        let mut left = open;
        for pending in &self.pending {
            if pending.standing == Standing::Synced {
                image.apply(&pending.change, &Fate::Kept);
            } else if left > 0 {
                left -= 1;
                image.apply(&pending.change, fates.next().unwrap_or(&Fate::Lost));
            } else {
                break;
            }
        }
        image
    }

    /// Does it have a name, or an open file?
    pub(super) fn is_live(&self) -> bool {
        self.nlink > 0 || self.opens > 0
    }

    /// The changes whose fate is open.
    pub(super) fn open_changes(&self) -> impl Iterator<Item = &Change> {
        self.pending.iter().filter(|p| p.standing != Standing::Synced).map(|p| &p.change)
    }

    /// Makes a change visible.
    pub(super) fn change(&mut self, change: Change, now: Timestamp) {
        self.now.apply(&change, &Fate::Kept);
        self.now.ctime = now;
        if matches!(change, Change::Write { .. } | Change::SetLen(_) | Change::Content(_)) {
            self.now.mtime = now;
        }
        self.pending.push(Pending { change, standing: Standing::Dirty });
    }

    pub(super) fn sync(&mut self) {
        if self.pending.iter().any(|p| p.standing == Standing::Doubtful) {
            self.mark(Standing::Synced);
        } else {
            self.settle();
        }
    }

    pub(super) fn sync_failed(&mut self) {
        self.mark(Standing::Doubtful);
    }

    fn mark(&mut self, standing: Standing) {
        for pending in self.pending.iter_mut().filter(|p| p.standing == Standing::Dirty) {
            pending.standing = standing;
        }
    }

    /// Everything becomes durable, also what was in doubt.
    pub(super) fn settle(&mut self) {
        self.disk = self.now.clone();
        self.pending.clear();
    }
}
