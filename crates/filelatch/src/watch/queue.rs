//! Names that are to be looked at, and when.
//!
//! # Invariants
//! - A name that is pending becomes due: no sequence of hints puts it off for longer than [`Settle::longest`] (or, while a program keeps the
//!   file open and goes on writing, [`Settle::longest_open`]) after the first hint since it was looked at last.
//! - What is heard of one name never moves the time of another.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use filelatch_fs::{FileId, Happened};

use super::options::Settle;

/// What speaks for a change of a name since it was looked at last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signs {
    /// The system said that bytes were written.
    pub(super) written: bool,
    /// The system said that the name came or went.
    pub(super) renamed: bool,
    /// It is looked at because hints may be missing: what the stamp says counts.
    pub(super) blind: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub(super) first: Duration,
    pub(super) due: Duration,
    pub(super) signs: Signs,
    /// Somebody created it or has written to it, and has not closed it yet.
    pub(super) open: bool,
    /// The file that it stood for when it became pending.
    known: Option<FileId>,
    /// Since when it has been known that there is nothing.
    pub(super) gone_since: Option<Duration>,
    /// The file it was found to be, and waits for the former name of.
    pub(super) arrived: Option<FileId>,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    names: HashMap<Arc<Path>, Pending, foldhash::fast::RandomState>,
    order: BTreeSet<(Duration, Arc<Path>)>,
    /// The pending names that are known, by the file that they stood for.
    known: HashMap<FileId, Vec<Arc<Path>>, foldhash::fast::RandomState>,
    arrived: HashMap<FileId, Arc<Path>, foldhash::fast::RandomState>,
}

/// What is heard of a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) what: Happened,
    /// The file that the name stood for, if it was known.
    pub(super) known: Option<FileId>,
    /// It was asked for by name.
    pub(super) asked: bool,
    pub(super) tells_close: bool,
}

impl Queue {
    pub(super) fn get(&self, path: &Path) -> Option<&Pending> {
        self.names.get(path)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(super) fn due(&self) -> Option<Duration> {
        self.order.first().map(|(due, _)| *due)
    }

    /// The names that are due by `now`, in the order of paths: directories before what is in them.
    pub(super) fn due_by(&self, now: Duration) -> Vec<Arc<Path>> {
        let due = self.order.iter().take_while(|(due, _)| *due <= now);
        let mut due: Vec<_> = due.map(|(_, path)| Arc::clone(path)).collect();
        due.sort_unstable();
        due
    }

    pub(super) fn all(&self) -> Vec<Arc<Path>> {
        self.due_by(Duration::MAX)
    }

    /// The pending names that were known to stand for a file.
    pub(super) fn known_as(&self, file: FileId) -> Vec<Arc<Path>> {
        self.known.get(&file).cloned().unwrap_or_default()
    }

    /// The pending name that a file was found under.
    pub(super) fn arrived_as(&self, file: FileId) -> Option<Arc<Path>> {
        self.arrived.get(&file).cloned()
    }

    fn entry(&mut self, path: &Arc<Path>, known: Option<FileId>, now: Duration) -> &mut Pending {
        let Queue { names, known: index, .. } = self;
        names.entry(Arc::clone(path)).or_insert_with(|| {
            if let Some(id) = known {
                index.entry(id).or_default().push(Arc::clone(path));
            }
            let signs = Signs::default();
            Pending { first: now, due: Duration::MAX, signs, open: false, known, gone_since: None, arrived: None }
        })
    }

    fn reschedule(&mut self, path: &Arc<Path>, due: Duration) {
        if let Some(pending) = self.names.get_mut(path)
            && pending.due != due
        {
            self.order.remove(&(pending.due, Arc::clone(path)));
            pending.due = due;
            self.order.insert((due, Arc::clone(path)));
        }
    }

    /// A hint.
    pub(super) fn hear(&mut self, path: &Arc<Path>, heard: Heard, settle: &Settle, now: Duration) {
        let known = heard.known.is_some();
        let fresh = !self.names.contains_key(path);
        let pending = self.entry(path, heard.known, now);
        let mut longest = settle.longest;
        let delay = match heard.what {
            Happened::MovedIn if known || heard.asked => settle.whole,
            Happened::Created | Happened::MovedIn => settle.created,
            Happened::Gone if known => settle.gone,
            Happened::Closed | Happened::Gone => settle.whole,
            Happened::Written if heard.tells_close => {
                longest = settle.longest_open;
                settle.open
            }
            Happened::Written => settle.written,
            // Permissions, times: no reason to wait longer for what is under way.
            Happened::Other if fresh => settle.created,
            Happened::Other => pending.due.saturating_sub(now),
        };
        match heard.what {
            Happened::Gone => (pending.gone_since, pending.signs.renamed) = (Some(now), true),
            Happened::Created | Happened::MovedIn => (pending.gone_since, pending.signs.renamed) = (None, true),
            Happened::Written => pending.signs.written = true,
            Happened::Closed | Happened::Other => {}
        }
        match heard.what {
            Happened::Created | Happened::Written => pending.open = heard.tells_close,
            Happened::Closed | Happened::MovedIn | Happened::Gone => pending.open = false,
            Happened::Other => {}
        }
        let due = (now + delay).min(pending.first + longest);
        self.reschedule(path, due);
    }

    /// To be looked at now, because hints may be missing.
    pub(super) fn suspect(&mut self, path: &Arc<Path>, known: Option<FileId>, now: Duration) {
        let pending = self.entry(path, known, now);
        pending.signs.blind = true;
        let due = pending.due.min(now);
        self.reschedule(path, due);
    }

    /// To be looked at again, though nothing was heard of it.
    pub(super) fn again(&mut self, path: &Arc<Path>, known: Option<FileId>, now: Duration, due: Duration) {
        let pending = self.entry(path, known, now);
        let due = pending.due.min(due);
        self.reschedule(path, due);
    }

    /// To be looked at now; there is nothing, and no point in waiting for its return.
    pub(super) fn given_up(&mut self, path: &Arc<Path>, known: FileId, now: Duration) {
        self.entry(path, Some(known), now).gone_since = Some(Duration::ZERO);
        self.reschedule(path, now);
    }

    pub(super) fn defer(&mut self, path: &Arc<Path>, due: Duration) {
        self.reschedule(path, due);
    }

    pub(super) fn found_gone(&mut self, path: &Path, now: Duration) -> Duration {
        self.names.get_mut(path).map_or(now, |pending| *pending.gone_since.get_or_insert(now))
    }

    pub(super) fn found_arrived(&mut self, path: &Arc<Path>, file: FileId) {
        if let Some(pending) = self.names.get_mut(path) {
            pending.arrived = Some(file);
            self.arrived.insert(file, Arc::clone(path));
        }
    }

    pub(super) fn remove(&mut self, path: &Arc<Path>) {
        let Some(pending) = self.names.remove(path) else { return };
        self.order.remove(&(pending.due, Arc::clone(path)));
        if let Some(file) = pending.arrived
            && self.arrived.get(&file) == Some(path)
        {
            self.arrived.remove(&file);
        }
        if let Some(file) = pending.known
            && let Some(names) = self.known.get_mut(&file)
        {
            names.retain(|name| name != path);
            if names.is_empty() {
                self.known.remove(&file);
            }
        }
    }
}
