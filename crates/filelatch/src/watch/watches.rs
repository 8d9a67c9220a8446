//! Which directories the system is asked about.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use filelatch_fs::{Events, FileId};

/// Why a directory is watched: what can't be watched for its own reasons may not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// It holds a directory on the way to what was asked for. One that may not be listed is no place where things are replaced often.
    OnTheWay,
    /// It holds a link on the way, or what was asked for.
    Needed,
    /// It is part of a tree that was asked for. If it may not be listed, nothing in it is watched.
    Tree(usize),
}

#[derive(Debug)]
struct Watched {
    id: FileId,
    /// The system tells of it.
    set: bool,
    steps: usize,
    trees: Vec<usize>,
}

#[derive(Debug, Default)]
pub(super) struct Watches {
    events: Option<Box<dyn Events>>,
    dirs: HashMap<PathBuf, Watched, foldhash::fast::RandomState>,
    refused: HashSet<PathBuf>,
}

impl Watches {
    pub(super) fn begin(&mut self, events: Option<Box<dyn Events>>) {
        self.events = events;
    }

    /// Are changes of some directory not told?
    pub(super) fn are_missing(&self) -> bool {
        !self.refused.is_empty()
    }

    pub(super) fn cover_trees(&self) -> bool {
        self.events.as_ref().is_some_and(|events| events.covers_trees())
    }

    pub(super) fn tell_close(&self) -> bool {
        self.events.as_ref().is_some_and(|events| events.tells_close())
    }

    /// Is the system asked about this directory (or is nobody to be asked)?
    pub(super) fn is_set(&self, dir: &Path, id: FileId) -> bool {
        self.events.is_none() || self.dirs.get(dir).is_some_and(|watched| watched.set && watched.id == id)
    }

    /// Watches a directory. True: changes in it are told from now on, and were not before.
    pub(super) fn hold(&mut self, dir: &Path, id: FileId, reason: Reason) -> bool {
        let Some(events) = &self.events else { return false };
        let watched =
            self.dirs.entry(dir.to_owned()).or_insert(Watched { id, set: false, steps: 0, trees: Vec::new() });
        match reason {
            Reason::Tree(root) if watched.trees.contains(&root) => {}
            Reason::Tree(root) => watched.trees.push(root),
            Reason::OnTheWay | Reason::Needed => watched.steps += 1,
        }
        if watched.set && watched.id == id {
            return false;
        }
        watched.id = id;
        let error = events.add(dir).err().map(|e| e.kind());
        watched.set = error.is_none();
        let harmless = match error {
            None | Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => true,
            Some(io::ErrorKind::PermissionDenied) => reason != Reason::Needed,
            Some(_) => false,
        };
        if harmless {
            self.refused.remove(dir);
        } else {
            self.refused.insert(dir.to_owned());
        }
        watched.set
    }

    /// One reason less.
    pub(super) fn release(&mut self, dir: &Path, reason: Reason) {
        let Some(watched) = self.dirs.get_mut(dir) else { return };
        match reason {
            Reason::Tree(root) => watched.trees.retain(|tree| *tree != root),
            Reason::OnTheWay | Reason::Needed => watched.steps = watched.steps.saturating_sub(1),
        }
        if watched.steps == 0 && watched.trees.is_empty() {
            self.dirs.remove(dir);
            self.refused.remove(dir);
            if let Some(events) = &self.events {
                events.remove(dir);
            }
        }
    }

    /// A name came or went: a directory that has it now may be another one, also if it was given the number of the one before, and with it
    /// those below. They are set again where they are held next.
    pub(super) fn doubt(&mut self, name: &Path) {
        if self.dirs.contains_key(name) {
            for (_, watched) in self.dirs.iter_mut().filter(|(dir, _)| dir.starts_with(name)) {
                watched.set = false;
            }
        }
    }

    /// Is it held, and not known to be told of?
    pub(super) fn is_doubted(&self, dir: &Path) -> bool {
        self.dirs.get(dir).is_some_and(|watched| !watched.set)
    }

    /// Whatever was set may have ended: it is set again where it is held next, or looked for.
    pub(super) fn doubt_all(&mut self) {
        for watched in self.dirs.values_mut() {
            watched.set = false;
        }
    }

    /// Sets again what is not set. Answers nothing: whoever calls this looks at everything afterwards.
    pub(super) fn set_again(&mut self) {
        let Some(events) = &self.events else { return };
        for (dir, watched) in &mut self.dirs {
            if !watched.set {
                watched.set = events.add(dir).is_ok();
                if watched.set {
                    self.refused.remove(dir);
                }
            }
        }
    }
}
