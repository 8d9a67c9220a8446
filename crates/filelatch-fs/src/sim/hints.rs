//! What the system tells of changes: who is told what, and what becomes of it on the way.
//!
//! # Invariants
//! - What Linux tells is told: the same hints, of the same names, in the same order (`tests/differential_events.rs`). A write through an
//!   open file is told of the name that it was opened by, wherever that has moved to.
//! - A hint is told in the thread of the call that made it, when the call has had its effect and before it returns, and with no lock of
//!   the simulation held; unless a [`HintFault`] was ordered.
//! - A program that does not ask for hints sees no difference: nothing is counted, hooked or made to fail.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, ErrorKind};
use std::iter;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::events::{Events, Happened, Hint, Tell};

use super::call::Verb;
use super::dials::{Rng, Watching};
use super::errors;
use super::inode::Node;
use super::journal::Key;
use super::simfs::SimFs;
use super::state::{Handle, ProcessId, State};
use super::store::{Ino, Store};

/// What becomes of hints on their way to those who asked for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintFault {
    /// The hint with this number is not told; they are counted from 0 in the order of [`SimFs::hints`].
    Lose(u64),
    /// No hint is told.
    LoseAll,
    /// Each is told twice.
    Double,
    /// [`Hint::Lost`] is told instead of each of the next so many.
    Overflow(u64),
    /// They are kept until [`SimFs::release_hints`].
    Hold,
}

/// What happened, in terms of inodes.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) dir: Ino,
    /// `None`: to the directory itself.
    pub(super) name: Option<OsString>,
    pub(super) what: Happened,
}

/// A name by which something was opened, wherever it has moved to since; the last one if it was removed. (A *dentry* of Linux.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Way(usize);

/// The names that files were opened by.
#[derive(Clone, Debug, Default)]
pub(super) struct Ways {
    names: Vec<(Ino, OsString)>,
    standing: BTreeMap<Key, Way>,
}

impl Ways {
    pub(super) fn by(&mut self, key: Key, name: OsString) -> Way {
        let (dir, next) = (key.0, Way(self.names.len()));
        let way = *self.standing.entry(key).or_insert(next);
        if way == next {
            self.names.push((dir, name));
        }
        way
    }

    fn name(&self, way: Way) -> (Ino, OsString) {
        self.names[way.0].clone()
    }

    /// The name is gone.
    pub(super) fn end(&mut self, key: &Key) -> Option<Way> {
        self.standing.remove(key)
    }

    /// The name is this one now.
    pub(super) fn stand(&mut self, way: Option<Way>, key: Key, name: &OsStr) {
        let Some(way) = way else { return };
        self.names[way.0] = (key.0, name.to_owned());
        self.standing.insert(key, way);
    }
}

/// One who is told.
pub(super) struct Source {
    tell: Tell,
    process: ProcessId,
    alive: AtomicBool,
}

/// Hints on their way, in order.
#[must_use = "they are to be told when the mutex is free"]
#[derive(Default)]
pub(super) struct OnTheWay(Vec<(Arc<Source>, Hint)>);

impl OnTheWay {
    pub(super) fn tell(self) {
        for (source, hint) in self.0 {
            if source.alive.load(Ordering::Acquire) {
                (source.tell)(hint);
            }
        }
    }
}

/// All sources, and what was ordered.
#[derive(Default)]
pub(super) struct Hints {
    sources: Vec<(Arc<Source>, BTreeMap<PathBuf, Ino>)>,
    faults: Vec<HintFault>,
    kept: OnTheWay,
    /// What there was to tell, whatever became of it.
    all: Vec<Hint>,
}

impl Hints {
    fn dirs(&mut self, source: &Arc<Source>) -> Option<&mut BTreeMap<PathBuf, Ino>> {
        self.sources.iter_mut().find(|(known, _)| Arc::ptr_eq(known, source)).map(|(_, dirs)| dirs)
    }

    /// Starts the count of hints anew.
    pub(super) fn settle(&mut self) {
        self.all.clear();
    }

    pub(super) fn heal(&mut self) {
        self.faults.retain(|fault| *fault == HintFault::Hold);
    }

    /// Nobody of this process is told any more.
    pub(super) fn end_process(&mut self, process: ProcessId) {
        self.end(|source| source.process == process);
    }

    fn end(&mut self, which: impl Fn(&Source) -> bool) {
        self.sources.retain(|(source, _)| {
            let ends = which(source);
            if ends {
                source.alive.store(false, Ordering::Release);
            }
            !ends
        });
    }

    /// What becomes of the next hint: how often it is told, or that it is lost in an overflow (`None`).
    fn fate(&mut self, number: u64) -> Option<usize> {
        let mut times = 1;
        for fault in &mut self.faults {
            match fault {
                HintFault::Overflow(0) | HintFault::Hold => {}
                HintFault::Overflow(left) => {
                    *left -= 1;
                    return None;
                }
                HintFault::Lose(lost) if *lost != number => {}
                HintFault::Lose(_) | HintFault::LoseAll => times = 0,
                HintFault::Double => times *= 2,
            }
        }
        Some(times)
    }

    /// The hints of what has happened in the store since the last call.
    pub(super) fn take(&mut self, store: &mut Store) -> OnTheWay {
        let notes = mem::take(&mut store.notes);
        let mut fresh = OnTheWay::default();
        if self.sources.is_empty() {
            return fresh;
        }
        let mut sources = mem::take(&mut self.sources);
        for note in &notes {
            for (source, dirs) in &sources {
                for path in note.paths(store, dirs) {
                    let hint = Hint::At { path, what: note.what };
                    let fate = self.fate(self.all.len() as u64);
                    self.all.push(hint.clone());
                    let (hint, times) = fate.map_or((Hint::Lost, 1), |times| (hint, times));
                    fresh.0.extend(iter::repeat_n((Arc::clone(source), hint), times));
                }
            }
        }
        // A watch ends with its directory.
        for (_, dirs) in &mut sources {
            dirs.retain(|_, ino| store.inode(*ino).nlink > 0);
        }
        self.sources = sources;
        if self.faults.contains(&HintFault::Hold) {
            self.kept.0.append(&mut fresh.0);
        }
        fresh
    }
}

impl Note {
    /// The paths by which one source knows what this is about.
    fn paths(&self, store: &Store, dirs: &BTreeMap<PathBuf, Ino>) -> Vec<PathBuf> {
        let trees = match store.dials.events {
            Watching::Trees if self.what == Happened::Closed => return Vec::new(),
            watching => watching == Watching::Trees,
        };
        let known = |(path, added): (&PathBuf, &Ino)| {
            let names =
                if trees { store.names_between(*added, self.dir)? } else { (*added == self.dir).then(Vec::new)? };
            Some(names.iter().chain(&self.name).fold(path.clone(), |path, name| path.join(name)))
        };
        dirs.iter().filter_map(known).collect()
    }
}

impl State {
    /// Notes what happened through an open file, of the name that it goes by.
    pub(super) fn note_open(&mut self, handle: Handle, what: Happened) {
        let Some(open) = self.opens.get(&handle) else { return };
        let (ino, (dir, name)) = (open.ino, self.store.ways.name(open.by));
        self.store.note(dir, Some(name), what);
        if self.store.inode(ino).node == Node::Dir {
            self.store.note(ino, None, what);
        }
    }

    /// What is to be told of what has just happened, when the mutex is free.
    pub(super) fn hints(&mut self) -> OnTheWay {
        self.hints.take(&mut self.store)
    }
}

impl SimFs {
    /// Orders what becomes of hints from now on; several may hold at once. [`SimFs::heal`] takes all back but [`HintFault::Hold`].
    pub fn disturb_hints(&self, fault: HintFault) {
        self.world.lock().hints.faults.push(fault);
    }

    /// Tells what was held, in order, and holds no more.
    pub fn release_hints(&self) {
        self.release(|_| ());
    }

    /// Tells what was held in an order drawn by a seed, and holds no more.
    pub fn release_hints_shuffled(&self, seed: u64) {
        let mut rng = Rng::new(seed);
        self.release(|kept| {
            for end in (1..kept.0.len()).rev() {
                kept.0.swap(rng.below(end + 1), end);
            }
        });
    }

    fn release(&self, arrange: impl FnOnce(&mut OnTheWay)) {
        let mut state = self.world.lock();
        state.hints.faults.retain(|fault| *fault != HintFault::Hold);
        let mut kept = mem::take(&mut state.hints.kept);
        drop(state);
        arrange(&mut kept);
        kept.tell();
    }

    /// Every hint that there was to tell since [`SimFs::settle`], whatever became of it.
    pub fn hints(&self) -> Vec<Hint> {
        self.world.lock().hints.all.clone()
    }

    pub(super) fn begin_events(&self, tell: Tell) -> io::Result<Box<dyn Events>> {
        self.enter(Verb::Events, vec![], String::new())?.run(|state| {
            if state.store.dials.events == Watching::Missing {
                return Err(ErrorKind::Unsupported.into());
            }
            let source = Arc::new(Source { tell, process: self.process, alive: AtomicBool::new(true) });
            state.hints.sources.push((Arc::clone(&source), BTreeMap::new()));
            Ok(Box::new(SimEvents { fs: self.clone(), source }) as Box<dyn Events>)
        })
    }
}

/// A simulated source.
struct SimEvents {
    fs: SimFs,
    source: Arc<Source>,
}

impl fmt::Debug for SimEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimEvents").field("fs", &self.fs).finish_non_exhaustive()
    }
}

impl Drop for SimEvents {
    fn drop(&mut self) {
        self.fs.world.lock().hints.end(|source| std::ptr::eq(source, &raw const *self.source));
    }
}

impl Events for SimEvents {
    fn covers_trees(&self) -> bool {
        self.fs.dials().events == Watching::Trees
    }

    fn tells_close(&self) -> bool {
        self.fs.dials().events == Watching::Entries
    }

    fn add(&self, dir: &Path) -> io::Result<()> {
        self.fs.enter(Verb::AddWatch, vec![dir.to_owned()], String::new())?.run(|state| {
            let (_, ino) = state.store.resolve(dir, true)?;
            if state.store.inode(ino).node != Node::Dir {
                return Err(errors::os(ErrorKind::NotADirectory));
            }
            let most = state.store.dials.watches;
            let Some(dirs) = state.hints.dirs(&self.source) else { return Err(errors::killed()) };
            if dirs.len() >= most.unwrap_or(usize::MAX) && !dirs.contains_key(dir) {
                return Err(errors::os(ErrorKind::StorageFull));
            }
            dirs.insert(dir.to_owned(), ino);
            Ok(())
        })
    }

    fn remove(&self, dir: &Path) {
        let Ok(turn) = self.fs.enter(Verb::RemoveWatch, vec![dir.to_owned()], String::new()) else { return };
        // A call that was made to fail leaves the watch: hints for nothing come then, as they may.
        let removed = turn.run(|state| Ok(state.hints.dirs(&self.source).and_then(|dirs| dirs.remove(dir))));
        drop(removed);
    }
}
