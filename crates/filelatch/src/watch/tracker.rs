//! The state machine of watching: hints go in, true reports come out.
//!
//! # Promise
//! - What is reported is the difference between what was known of a name and what a look at the disk has found, never what a hint said. So
//!   hints that come late, doubled, in another order or for nothing report nothing false, and after one that was lost
//!   [`Tracker::rescan`] reports what it should have told.
//! - Whoever applies all reports in their order to a copy has, when nothing is pending, what is on the disk.
//! - A change of content is reported; a change of times, permissions or identity is not, where the content before was known.
//!
//! # Non-promise
//! - A file that changes and changes back between two looks has not changed.
//! - Of a file whose content was never read (in a tree, before its first change; above the limit) a change is concluded from identity,
//!   length, and the system's word that bytes were written; from the modification time only where nobody says such a word.
//! - A name that was moved to without a trace of where it came from is new, and its former name deleted.
//!
//! # Invariants
//! - A directory is listed after it is watched (L42), so nothing that comes into it is missed: what is there at the listing is found by it,
//!   what comes later is told.
//! - Every name on the way to a path that was asked for is watched, links and their targets too; a hint there resolves the path anew.
//! - What is below a directory is in the table only if the directory is, with the identity that it was listed under.
//!
//! # Order of a step
//! Names that are due and exist are looked at first, also those that come to light by that; what is gone is concluded last. So a file that
//! was moved is found under its new name while its former one is still known.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use filelatch_fs::{Events, FileId, Happened, Hint};

use super::event::{ChangeKind, Origin, RescanCause};
use super::options::{Ignored, Settle, WatchOptions};
use super::own::Watching;
use super::queue::{Heard, Queue};
use super::table::Table;
use super::watches::Watches;
use super::way::Step;
use crate::error::{Error, Result};
use crate::parts::Parts;
use crate::path::{Dirs, is_sync_name, leased_by, locked_by, temp_base};
use crate::version::Version;
use crate::workspace::{WORKSPACE_DIR, Workspace};

/// Hints of an overflow come in swarms; one look at everything answers them all.
const AFTER_LOSS: Duration = Duration::from_millis(10);
/// Looks of one barrier that find things in motion, before it leaves them to the next step.
const ROUNDS: usize = 8;

/// What is to be watched: a file, or a directory with what is in it. It need not exist.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    /// As asked for; reported paths begin with it.
    pub(crate) path: PathBuf,
    /// Resolves the short names of sessions.
    pub(crate) workspace: Option<Arc<Workspace>>,
}

/// A change without its place in the order and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) kind: ChangeKind,
    pub(crate) path: PathBuf,
    pub(crate) version: Option<Version>,
    pub(crate) size: Option<u64>,
    pub(crate) origin: Origin,
}

/// What a step has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    Change(Seen),
    Rescanned { path: PathBuf, cause: RescanCause },
}

#[derive(Debug)]
pub(super) struct RootState {
    /// The key in the table.
    pub(super) path: Arc<Path>,
    pub(super) absolute: PathBuf,
    pub(super) workspace: Option<Arc<Workspace>>,
    pub(super) steps: Vec<Step>,
    /// Whether the step at this index is watched.
    pub(super) held: Vec<bool>,
    /// Where the tree is, if there is one.
    pub(super) tree: Option<PathBuf>,
    /// It was somewhere else when it was looked at.
    pub(super) moved: bool,
}

#[derive(Debug)]
pub(crate) struct Tracker {
    pub(super) parts: Arc<Parts>,
    pub(super) roots: Vec<RootState>,
    pub(super) by_path: HashMap<Arc<Path>, usize>,
    /// On some of the ways case is not told apart: a hint may spell a name in another way than whoever asked for it.
    pub(super) folds: bool,
    /// The names on the ways to roots, folded; whether that is where the way ends.
    pub(super) points: HashMap<PathBuf, BTreeMap<usize, bool>, foldhash::fast::RandomState>,
    pub(super) trees: HashMap<PathBuf, Vec<usize>, foldhash::fast::RandomState>,
    pub(super) watches: Watches,
    pub(super) ignored: Ignored,
    pub(super) settle: Settle,
    pub(super) hash_limit: u64,
    pub(super) recursive: bool,
    pub(super) table: Table,
    pub(super) queue: Queue,
    pub(super) dirs: Dirs,
    pub(super) now: Duration,
    /// Trees that were replaced, to be told when their differences are.
    pub(super) replaced: Vec<usize>,
    /// Files that were reported without their versions.
    pub(super) owed: Vec<Arc<Path>>,
    /// When everything is looked at because hints were lost.
    lost: Option<Duration>,
    /// The engine remembers what it writes.
    _watching: Watching,
}

/// What is to be done about a name after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing more.
    Done,
    /// Another look then.
    Later(Duration),
    /// It is gone, unless its file is found under another name.
    Gone,
}

impl Tracker {
    /// Nothing is looked at before [`Tracker::begin`].
    pub(crate) fn new(parts: Arc<Parts>, roots: Vec<Root>, options: &WatchOptions) -> Result<Tracker> {
        let mut tracker = Tracker {
            roots: Vec::with_capacity(roots.len()),
            by_path: HashMap::new(),
            points: HashMap::default(),
            folds: false,
            trees: HashMap::default(),
            watches: Watches::default(),
            ignored: options.ignored()?,
            settle: options.settle,
            hash_limit: options.hash_limit,
            recursive: options.recursive,
            table: Table::default(),
            queue: Queue::default(),
            dirs: Dirs::default(),
            now: Duration::ZERO,
            replaced: Vec::new(),
            owed: Vec::new(),
            lost: None,
            _watching: parts.own_writes.watching(),
            parts,
        };
        let current = tracker.parts.fs.current_dir();
        for Root { path, workspace } in roots {
            let absolute = match &current {
                Ok(current) => current.join(&path),
                Err(_) if path.is_absolute() => path.clone(),
                Err(e) => return Err(Error::io("find", path, std::io::Error::new(e.kind(), e.to_string()))),
            };
            let key: Arc<Path> = Arc::from(path);
            if !tracker.by_path.contains_key(&key) {
                tracker.by_path.insert(Arc::clone(&key), tracker.roots.len());
                tracker.table.roots.insert(key.to_path_buf());
                let (steps, held) = (Vec::new(), Vec::new());
                let state = RootState { path: key, absolute, workspace, steps, held, tree: None, moved: false };
                tracker.roots.push(state);
            }
        }
        Ok(tracker)
    }

    /// Sets watches, and looks at everything. Without `known` nothing is reported; with it, what differs from it.
    pub(crate) fn begin(
        &mut self,
        events: Option<Box<dyn Events>>,
        known: Option<Table>,
        now: Duration,
        out: &mut Vec<Report>,
    ) {
        self.now = now;
        self.watches.begin(events);
        self.folds = (0..self.roots.len()).any(|root| self.is_folded(root));
        let known = known.unwrap_or_default();
        let (old, new): (Vec<_>, Vec<_>) =
            (0..self.roots.len()).partition(|root| known.roots.contains(&*self.roots[*root].path));
        for root in new {
            self.take_in(root);
        }
        if !old.is_empty() {
            self.go_on(known, &old);
            self.rescan_roots(&old, Some(RescanCause::Resumed), out);
        }
        self.dirs = Dirs::default();
    }

    /// Is case not told apart in the nearest directory of a root that exists?
    fn is_folded(&self, root: usize) -> bool {
        let mut above = self.roots[root].absolute.ancestors().skip(1);
        let nearest = above.find_map(|dir| self.open_dir(dir).ok());
        nearest.is_some_and(|dir| dir.caps().case_insensitive)
    }

    /// What is known is `known`, as far as it is of these roots.
    fn go_on(&mut self, mut known: Table, roots: &[usize]) {
        let mut ids: BTreeMap<PathBuf, FileId> = BTreeMap::new();
        let mut is_known = vec![false; self.roots.len()];
        for root in roots {
            is_known[*root] = true;
            if let Some(id) = self.identity(*root) {
                ids.insert(self.roots[*root].path.to_path_buf(), id);
            }
        }
        known.renumber(&ids);
        for (path, entry) in known.entries {
            if self.root_of(&path).is_some_and(|root| is_known[root]) {
                self.table.entries.insert(path, entry);
            }
        }
    }

    /// Takes a hint. Cheap: looks at nothing. `now` is the host's monotonic time.
    pub(crate) fn hint(&mut self, hint: Hint, now: Duration) {
        self.now = self.now.max(now);
        let (path, what) = match hint {
            Hint::At { path, what } => (path, what),
            Hint::Lost => {
                self.lost.get_or_insert(now + AFTER_LOSS);
                return;
            }
        };
        if matches!(what, Happened::Created | Happened::MovedIn | Happened::Gone) {
            self.watches.doubt(&path);
        }
        let point = folded(path.clone(), self.folds);
        for (root, is_last) in self.points.get(&point).cloned().unwrap_or_default() {
            let name = Arc::clone(&self.roots[root].path);
            match what {
                _ if is_last => self.hear(&name, what),
                // Content and attributes of what is on the way say nothing of where it leads.
                Happened::Written | Happened::Closed | Happened::Other => {}
                Happened::Created | Happened::MovedIn | Happened::Gone => self.hear(&name, Happened::MovedIn),
            }
        }
        let mut inner = Vec::new();
        for above in path.ancestors().skip(1) {
            for root in self.trees.get(above).into_iter().flatten() {
                if let Ok(relative) = path.strip_prefix(above)
                    && !self.is_left_out(*root, relative)
                {
                    inner.push(Arc::from(self.roots[*root].path.join(relative)));
                }
            }
        }
        for name in inner {
            self.hear(&name, what);
        }
    }

    fn hear(&mut self, name: &Arc<Path>, what: Happened) {
        let known = self.table.get(name).map(|entry| entry.stamp.id);
        let heard =
            Heard { what, known, asked: self.by_path.contains_key(name), tells_close: self.watches.tell_close() };
        self.queue.hear(name, heard, &self.settle, self.now);
    }

    /// When [`Tracker::step`] has something to do; `None`: nothing is pending.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.queue.due().into_iter().chain(self.lost).min()
    }

    /// Looks at what has settled by now.
    pub(crate) fn step(&mut self, now: Duration, out: &mut Vec<Report>) {
        self.now = self.now.max(now);
        if self.lost.is_some_and(|lost| lost <= now) {
            self.rescan(RescanCause::Overflow, out);
        }
        self.work(false, out);
        self.dirs = Dirs::default();
    }

    /// Looks at everything that is pending without waiting for it to settle. What is in motion during several looks stays pending.
    pub(crate) fn settle_all(&mut self, out: &mut Vec<Report>) {
        if self.lost.is_some() {
            self.rescan(RescanCause::Overflow, out);
        }
        self.work(true, out);
        self.dirs = Dirs::default();
    }

    /// Looks at everything, and says so after what has been found.
    pub(crate) fn rescan(&mut self, cause: RescanCause, out: &mut Vec<Report>) {
        self.lost = None;
        self.watches.doubt_all();
        self.rescan_roots(&(0..self.roots.len()).collect::<Vec<_>>(), Some(cause), out);
        self.dirs = Dirs::default();
    }

    /// Looks at everything: for who is told of nothing. That hints were lost is said all the same.
    pub(crate) fn poll(&mut self, out: &mut Vec<Report>) {
        if self.lost.is_some() {
            return self.rescan(RescanCause::Overflow, out);
        }
        self.rescan_roots(&(0..self.roots.len()).collect::<Vec<_>>(), None, out);
        self.dirs = Dirs::default();
    }

    /// Are there directories that the system would not watch (its limit of watches is reached)? Then only [`Tracker::poll`] finds what
    /// changes in them.
    pub(crate) fn unwatched(&self) -> bool {
        self.watches.are_missing()
    }

    /// What is known.
    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// Looks at what is due, or at everything that is pending.
    pub(super) fn work(&mut self, force: bool, out: &mut Vec<Report>) {
        let mut idle = 0;
        loop {
            let mut put_off: HashSet<Arc<Path>> = HashSet::new();
            let mut gone = Vec::new();
            let mut progress = false;
            loop {
                let due = if force { self.queue.all() } else { self.queue.due_by(self.now) };
                let due: Vec<_> = due.into_iter().filter(|path| !put_off.contains(path)).collect();
                if due.is_empty() {
                    break;
                }
                for path in due {
                    // What was looked at as somebody's other name is done.
                    if self.queue.get(&path).is_none() {
                        continue;
                    }
                    match self.look(&path, force, out) {
                        Next::Done => {
                            self.queue.remove(&path);
                            progress = true;
                        }
                        Next::Later(due) => {
                            self.queue.defer(&path, due.max(self.now + Duration::from_millis(1)));
                            put_off.insert(path);
                        }
                        Next::Gone => {
                            put_off.insert(Arc::clone(&path));
                            gone.push(path);
                        }
                    }
                }
            }
            progress |= !gone.is_empty();
            for path in gone {
                if self.queue.get(&path).is_some() {
                    self.conclude_gone(&path, out);
                }
            }
            idle = if progress { 0 } else { idle + 1 };
            if self.queue.is_empty() || idle >= if force { ROUNDS } else { 1 } {
                break;
            }
        }
        for path in std::mem::take(&mut self.owed) {
            let known = self.table.get(&path).map(|entry| entry.stamp.id);
            self.queue.again(&path, known, self.now, self.now + self.settle.longest);
        }
        for root in std::mem::take(&mut self.replaced) {
            let path = self.roots[root].path.to_path_buf();
            out.push(Report::Rescanned { path, cause: RescanCause::Replaced });
        }
    }

    // --- Names ---

    /// The root that a reported path belongs to: the nearest one above, or itself.
    pub(super) fn root_of(&self, path: &Path) -> Option<usize> {
        path.ancestors().find_map(|above| self.by_path.get(above).copied())
    }

    /// Is an entry below a root none of its business?
    pub(super) fn is_left_out(&self, root: usize, relative: &Path) -> bool {
        let own = |part: &Path| part.file_name().is_some_and(is_own_name);
        let depth = relative.components().count();
        (!self.recursive && depth > 1)
            || relative.ancestors().take(depth).any(own)
            || self.ignored.covers(relative)
            || self.root_of(&self.roots[root].path.join(relative)) != Some(root)
    }
}

/// Spelled so that all spellings of a name are one. Different names may become one by it: then somebody looks for nothing.
pub(super) fn folded(path: PathBuf, folds: bool) -> PathBuf {
    if folds { path.to_string_lossy().to_lowercase().into() } else { path }
}

/// Is this the name of what filelatch puts beside files, or of its folder?
fn is_own_name(name: &OsStr) -> bool {
    name == WORKSPACE_DIR
        || locked_by(name).is_some()
        || leased_by(name).is_some()
        || is_sync_name(name)
        || temp_base(name).is_some()
        || is_held_name(name)
}

/// A fallback lock (`….lock.held`), or a right over one tenure of it (16 digits more, and perhaps `r`).
fn is_held_name(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let ends = |name: &[u8]| name.ends_with(b".lock.held");
    let digits = |tail: &[u8]| tail.len() == 16 && tail.iter().all(u8::is_ascii_hexdigit);
    let tenure = name.iter().rposition(|byte| *byte == b'.').map(|dot| (&name[..dot], &name[dot + 1..]));
    ends(name) || tenure.is_some_and(|(held, tail)| ends(held) && digits(tail.strip_suffix(b"r").unwrap_or(tail)))
}

pub(super) fn change(
    kind: ChangeKind,
    path: &Path,
    version: Option<Version>,
    size: Option<u64>,
    origin: Origin,
) -> Report {
    Report::Change(Seen { kind, path: path.to_owned(), version, size, origin })
}
