//! One look at one name: what stands there now, compared with what was known.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use filelatch_fs::{FileId, FsDir, Stat};

use super::event::{ChangeKind, Origin};
use super::origin;
use super::queue::Signs;
use super::read::{self, Read};
use super::table::{Entry, Kind, Stamp};
use super::tracker::{Next, Report, Tracker, change, folded};
use super::watches::Reason;
use super::way::{self, End, StepKind};
use crate::path::ResourceId;
use crate::version::Version;

/// Times that a way is followed anew because a directory on it was not watched before.
const FOLLOWS: usize = 16;

/// What a name stands for now.
#[derive(Debug)]
pub(super) enum Found {
    There(There),
    Gone,
    /// It can't be told: the directory may not be searched, the disk does not answer.
    Unknown,
    /// What is known of the directory is not true any more; that is to be looked at first.
    Shifted,
}

#[derive(Debug)]
pub(super) struct There {
    pub(super) stat: Stat,
    /// Without links.
    pub(super) real: PathBuf,
    /// Where to open it; nothing for the root directory.
    pub(super) place: Option<(Arc<dyn FsDir>, OsString)>,
    /// A tree that is somewhere else than before.
    pub(super) moved: bool,
}

/// Is the file of a new name known under another one?
enum Former {
    No,
    /// That has to be known first.
    Wait(Duration),
    /// This name had it, and is gone.
    Was(Arc<Path>, Entry),
}

/// What is said by comparing facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The content is the same.
    Same,
    /// Only the content can tell.
    Compare,
    /// The content is another.
    Changed,
    /// Nothing speaks for another content, and nothing proves that it is the same: what is known stays what it is.
    Leave,
}

impl Tracker {
    // --- Finding ---

    pub(super) fn find(&mut self, path: &Path) -> Found {
        match self.by_path.get(path) {
            Some(root) => self.find_root(*root),
            None => self.find_inner(path),
        }
    }

    fn find_root(&mut self, root: usize) -> Found {
        let mut followed = None;
        for _ in 0..FOLLOWS {
            let way = way::follow(&*self.parts.fs, &self.roots[root].absolute);
            let is_tree = matches!(&way.end, End::There(_, stat) if Kind::from(stat.kind) == Kind::Dir);
            let news = self.hold_steps(root, way.steps, is_tree);
            followed = Some(way.end);
            if !news {
                break;
            }
        }
        let (real, stat) = match followed {
            Some(End::There(real, stat)) => (real, stat),
            Some(End::Missing) => return Found::Gone,
            Some(End::Failed) | None => return Found::Unknown,
        };
        if Kind::from(stat.kind) == Kind::Dir {
            self.set_tree(root, Some(&real));
            let moved = self.roots[root].moved;
            return Found::There(There { stat, real, place: None, moved });
        }
        let (Some(parent), Some(name)) = (real.parent(), real.file_name()) else { return Found::Unknown };
        match self.open_dir(parent) {
            Ok(dir) => stat_in(dir, name, real.clone()),
            Err(e) => not_opened(&e),
        }
    }

    fn find_inner(&mut self, path: &Path) -> Found {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Found::Unknown };
        let Some(known) = self.table.get(parent).filter(|entry| entry.kind == Kind::Dir) else {
            return if self.table.get(path).is_some() { Found::Gone } else { Found::Shifted };
        };
        let id = known.stamp.id;
        if !self.is_tree_in_place(path) {
            return Found::Shifted;
        }
        let Some(real_parent) = self.real(parent) else { return Found::Gone };
        match self.open_dir(&real_parent) {
            Ok(dir) if dir.id() == id => {
                let doubtful = self.table.get(path).is_none() || self.signs(path).renamed;
                if doubtful && dir.caps().case_insensitive && !has_exactly(&*dir, name) {
                    return Found::Gone;
                }
                stat_in(dir, name, real_parent.join(name))
            }
            Ok(_) => Found::Shifted,
            Err(e) if is_missing(&e) => Found::Shifted,
            Err(_) => Found::Unknown,
        }
    }

    /// Does the path that was asked for still lead to the tree that is known? Where no link is on the way, the identity of directories tells.
    fn is_tree_in_place(&mut self, path: &Path) -> bool {
        let Some(root) = self.root_of(path) else { return false };
        let state = &self.roots[root];
        let in_doubt =
            state.steps.iter().any(|step| step.kind == StepKind::Link) || self.queue.get(&state.path).is_some();
        if !in_doubt {
            return true;
        }
        let path = Arc::clone(&state.path);
        let in_place = matches!(self.find_root(root), Found::There(there) if !there.moved && there.place.is_none());
        if !in_place {
            self.suspect(&path);
        }
        in_place
    }

    pub(super) fn open_dir(&self, real: &Path) -> io::Result<Arc<dyn FsDir>> {
        self.dirs.open(&*self.parts.fs, real)
    }

    /// Where a reported path is, if its tree is known.
    pub(super) fn real(&self, path: &Path) -> Option<PathBuf> {
        let root = &self.roots[self.root_of(path)?];
        let tree = root.tree.as_ref()?;
        let relative = path.strip_prefix(&root.path).ok()?;
        Some(if relative.as_os_str().is_empty() { tree.clone() } else { tree.join(relative) })
    }

    /// What a root is now.
    pub(super) fn identity(&mut self, root: usize) -> Option<FileId> {
        match self.find_root(root) {
            Found::There(there) => Some(there.stat.id),
            _ => None,
        }
    }

    // --- Looking ---

    pub(super) fn look(&mut self, path: &Arc<Path>, force: bool, out: &mut Vec<Report>) -> Next {
        let old = self.table.get(path).copied();
        let found = match self.find(path) {
            Found::There(there) => there,
            Found::Gone => return self.is_gone(path, old.as_ref(), force),
            Found::Unknown => return Next::Done,
            Found::Shifted => {
                self.look_above(path);
                return Next::Done;
            }
        };
        let kind = Kind::from(found.stat.kind);
        let Some(old) = old else { return self.appeared(path, &found, force, out) };
        match (old.kind, kind) {
            (Kind::Dir, Kind::Dir) if old.stamp.id == found.stat.id && !found.moved => {
                // Numbers are used again: by its number another directory may look like the one that was there.
                let is_doubted = self.watches.is_doubted(&found.real);
                if is_doubted {
                    self.suspect_below(path);
                }
                // Its permissions may have hidden what is in it. (Of the systems that cover trees some tell of a directory whatever happens in it.)
                if is_doubted || self.signs(path).blind || !self.watches.cover_trees() {
                    self.compare_dir(path, None);
                }
                Next::Done
            }
            (Kind::Dir, Kind::Dir) => {
                self.replace_dir(path, &found);
                Next::Done
            }
            (Kind::Dir, _) => {
                self.drop_dir(path);
                self.appeared(path, &found, force, out)
            }
            (_, Kind::Dir) => {
                self.table.entries.remove(path);
                out.push(change(ChangeKind::Deleted, path, None, None, Origin::External));
                self.appeared(path, &found, force, out)
            }
            _ => self.compare(path, &old, &found, force, out),
        }
    }

    fn is_gone(&mut self, path: &Arc<Path>, old: Option<&Entry>, force: bool) -> Next {
        if old.is_none() {
            return Next::Done;
        }
        let over = self.queue.found_gone(path, self.now) + self.settle.gone;
        if force || over <= self.now { Next::Gone } else { Next::Later(over) }
    }

    /// The directory is not what it was, or one above is not known yet. Whatever it turns out to be, the look at it comes back to what is in it.
    fn look_above(&mut self, path: &Arc<Path>) {
        let Some(root) = self.root_of(path) else { return };
        let top = Arc::clone(&self.roots[root].path);
        let above: Vec<&Path> = path.ancestors().skip(1).take_while(|above| above.starts_with(&top)).collect();
        // From the root downwards: the first that is not known, or else the last that is.
        let unknown = above.iter().rev().find(|above| !self.table.is_dir(above));
        let Some(target) = unknown.or(above.first()) else { return };
        let target: Arc<Path> = Arc::from(*target);
        self.suspect(&target);
    }

    fn signs(&self, path: &Path) -> Signs {
        self.queue.get(path).map(|pending| pending.signs).unwrap_or_default()
    }

    pub(super) fn suspect(&mut self, path: &Arc<Path>) {
        let known = self.table.get(path).map(|entry| entry.stamp.id);
        self.queue.suspect(path, known, self.now);
    }

    /// A name that was not known stands for something.
    fn appeared(&mut self, path: &Arc<Path>, there: &There, force: bool, out: &mut Vec<Report>) -> Next {
        let kind = Kind::from(there.stat.kind);
        let former = match self.former(path, kind, there.stat.id, force) {
            Former::Wait(until) => {
                self.queue.found_arrived(path, there.stat.id);
                return Next::Later(until);
            }
            Former::Was(name, entry) => Some((name, entry)),
            Former::No => None,
        };
        if kind == Kind::Dir {
            if let Some((name, _)) = former {
                self.drop_dir(&name);
                self.queue.remove(&name);
            }
            self.adopt(path, there);
            return Next::Done;
        }
        let (entry, origin) = match self.take(path, there, force) {
            Ok(taken) => taken,
            Err(next) => return next,
        };
        let size = Some(entry.stamp.size);
        match former {
            Some((name, old)) if is_same(&old, &entry) => {
                self.table.entries.remove(&name);
                self.queue.remove(&name);
                let kind = ChangeKind::Renamed { from: name.to_path_buf() };
                out.push(change(kind, path, told(&entry), size, origin));
            }
            _ => out.push(change(ChangeKind::Created, path, told(&entry), size, origin)),
        }
        self.table.entries.insert(Arc::clone(path), entry);
        Next::Done
    }

    /// A name stood for something that is no directory, and does.
    fn compare(&mut self, path: &Arc<Path>, old: &Entry, there: &There, force: bool, out: &mut Vec<Report>) -> Next {
        let stamp = Stamp::of(&there.stat);
        let kind = Kind::from(there.stat.kind);
        let signs = self.signs(path);
        let verdict = match verdict(old, kind, &stamp, signs, self.watches.tell_close()) {
            Verdict::Leave if old.is_owed(self.hash_limit) => Verdict::Changed,
            verdict => verdict,
        };
        if matches!(verdict, Verdict::Same | Verdict::Leave) {
            return Next::Done;
        }
        // A rename over a known name.
        let mut from = None;
        if old.stamp.id != stamp.id {
            match self.former(path, kind, stamp.id, force) {
                Former::Wait(until) => {
                    self.queue.found_arrived(path, stamp.id);
                    return Next::Later(until);
                }
                Former::Was(name, entry) => from = Some((name, entry)),
                Former::No => {}
            }
        }
        let (entry, origin) = match self.take(path, there, force) {
            Ok(taken) => taken,
            Err(next) => return next,
        };
        let size = Some(entry.stamp.size);
        if let Some((name, _)) = from.filter(|(_, former)| is_same(former, &entry)) {
            self.table.entries.remove(&name);
            self.queue.remove(&name);
            let kind = ChangeKind::Renamed { from: name.to_path_buf() };
            out.push(change(kind, path, told(&entry), size, origin));
        } else if verdict == Verdict::Changed || !has_same_content(old, &entry) {
            out.push(change(ChangeKind::Modified, path, told(&entry), size, origin));
        }
        self.table.entries.insert(Arc::clone(path), entry);
        Next::Done
    }

    /// Reads what a name stands for. `Err`: not now.
    fn take(&mut self, path: &Arc<Path>, there: &There, force: bool) -> Result<(Entry, Origin), Next> {
        let kind = Kind::from(there.stat.kind);
        let stamp = Stamp::of(&there.stat);
        let plain = |version| (Entry { kind, stamp, version, racy: false }, Origin::External);
        match kind {
            Kind::File => {}
            Kind::Link => return Ok(plain(self.link_text(&there.real))),
            Kind::Dir | Kind::Other => return Ok(plain(None)),
        }
        let Some((dir, name)) = &there.place else { return Err(Next::Done) };
        // Emptied, or new, by somebody who has it open: what it is to hold comes next.
        if let Some(pending) = self.queue.get(path)
            && (pending.open && stamp.size == 0 && !force)
            && self.now < pending.first + self.settle.longest_open
        {
            return Err(Next::Later(pending.first + self.settle.longest_open));
        }
        let workspace = self.root_of(path).and_then(|root| self.roots[root].workspace.clone());
        let patience = self.queue.get(path).map_or(self.now, |pending| pending.first + self.settle.longest);
        match read::read(&self.parts, workspace.as_deref(), &**dir, name, self.hash_limit) {
            Read::File(entry, origin) => Ok((entry, origin)),
            Read::Unsettled(entry) if force || patience <= self.now => {
                self.owed.push(Arc::clone(path));
                Ok((entry, Origin::Unknown))
            }
            Read::Unsettled(_) => Err(Next::Later(self.now + self.settle.written)),
            // It has just become something else; the next look sees what.
            Read::Other => Err(Next::Later(self.now)),
        }
    }

    pub(super) fn link_text(&self, real: &Path) -> Option<Version> {
        let text = self.parts.fs.read_link(real).ok()?;
        Some(Version::of(text.as_os_str().as_encoded_bytes()))
    }

    /// Was the file that has appeared as `path` known under a name that is pending, too?
    fn former(&mut self, path: &Arc<Path>, kind: Kind, id: FileId, force: bool) -> Former {
        let Some(pending) = self.queue.get(path).copied() else { return Former::No };
        let waits = !force && self.now < pending.first + self.settle.longest;
        for name in self.queue.known_as(id) {
            let Some(entry) = self.table.get(&name).copied() else { continue };
            // Numbers are used again: a directory's for a file, too.
            if name == *path || (entry.stamp.id, entry.kind) != (id, kind) {
                continue;
            }
            match self.find(&name) {
                Found::Gone => {
                    let over = self.queue.found_gone(&name, self.now) + self.settle.gone;
                    return if waits && self.now < over { Former::Wait(over) } else { Former::Was(name, entry) };
                }
                // Its name was given to another file, and this one may be what an editor keeps until it has saved.
                Found::There(there) if there.stat.id != id && waits && self.table.get(path).is_none() => {
                    let due = self.queue.get(&name).map_or(self.now, |other| other.due);
                    return Former::Wait(due.max(self.now) + self.settle.gone);
                }
                _ => {}
            }
        }
        Former::No
    }

    /// A name that was known is gone, and everything that exists has been looked at.
    pub(super) fn conclude_gone(&mut self, path: &Arc<Path>, out: &mut Vec<Report>) {
        let Some(old) = self.table.get(path).copied() else {
            self.queue.remove(path);
            return;
        };
        let arrived = self.queue.arrived_as(old.stamp.id);
        if old.kind == Kind::Dir {
            self.drop_dir(path);
            if let Some(name) = arrived {
                self.queue.defer(&name, self.now);
            }
        } else {
            if let Some(name) = arrived
                && self.look(&name, true, out) == Next::Done
            {
                self.queue.remove(&name);
            }
            if self.table.entries.remove(path).is_some() {
                let origin = self.origin_of_absence(path);
                out.push(change(ChangeKind::Deleted, path, None, None, origin));
            }
        }
        self.queue.remove(path);
    }

    /// Nothing is under this name: what the engine wrote there is gone, and if the same bytes come back, they are somebody else's.
    fn origin_of_absence(&self, path: &Path) -> Origin {
        let real = match self.by_path.get(path) {
            Some(root) => self.roots[*root].steps.last().map(|step| step.dir.join(&step.name)),
            None => self.real(path),
        };
        let own = &self.parts.own_writes;
        let look = own.look();
        if let Some(real) = real
            && let (Some(parent), Some(name)) = (real.parent(), real.file_name())
            && let Ok(dir) = self.open_dir(parent)
            && dir.stat(name).is_err_and(|e| is_missing(&e))
        {
            return origin::of_absence(own, &ResourceId::of(&*dir, name), look);
        }
        Origin::External
    }

    // --- Ways ---

    /// Watches the names on a root's way. True: one that was not watched before, so the way has to be followed again.
    fn hold_steps(&mut self, root: usize, steps: Vec<way::Step>, is_tree: bool) -> bool {
        let state = &mut self.roots[root];
        let covers = self.watches.cover_trees();
        let held = |step: &way::Step| match step.kind {
            StepKind::Dir => !covers,
            StepKind::Link => true,
            StepKind::Last => !(covers && is_tree),
        };
        let now_held: Vec<bool> = steps.iter().map(held).collect();
        let set = |(step, held): (&way::Step, &bool)| !held || self.watches.is_set(&step.dir, step.dir_id);
        if state.steps == steps && state.held == now_held && steps.iter().zip(&now_held).all(set) {
            return false;
        }
        let mut news = false;
        for (step, held) in steps.iter().zip(&now_held) {
            let reason = if step.kind == StepKind::Dir { Reason::OnTheWay } else { Reason::Needed };
            news |= *held && self.watches.hold(&step.dir, step.dir_id, reason);
        }
        for (step, held) in state.steps.iter().zip(&state.held) {
            if *held {
                self.watches.release(&step.dir, Reason::Needed);
            }
        }
        if state.steps != steps {
            for step in &state.steps {
                let name = folded(step.dir.join(&step.name), self.folds);
                if let Some(points) = self.points.get_mut(&name) {
                    points.remove(&root);
                    if points.is_empty() {
                        self.points.remove(&name);
                    }
                }
            }
            for step in &steps {
                let points = self.points.entry(folded(step.dir.join(&step.name), self.folds)).or_default();
                points.insert(root, step.kind == StepKind::Last);
            }
        }
        state.steps = steps;
        state.held = now_held;
        news
    }

    /// A root's tree is there now, or nowhere.
    pub(super) fn set_tree(&mut self, root: usize, real: Option<&Path>) {
        if self.roots[root].tree.as_deref() == real {
            return;
        }
        let old = self.roots[root].tree.take();
        self.roots[root].tree = real.map(Path::to_owned);
        if let Some(old) = old {
            self.roots[root].moved = real.is_some();
            self.release_tree(root, &old);
            if let Some(roots) = self.trees.get_mut(&old) {
                roots.retain(|other| *other != root);
                if roots.is_empty() {
                    self.trees.remove(&old);
                }
            }
        }
        if let Some(real) = real {
            self.trees.entry(real.to_owned()).or_default().push(root);
        }
    }
}

/// Is a name in a directory spelled like this? Where case is not told apart, another spelling leads to the same file.
fn has_exactly(dir: &dyn FsDir, name: &OsStr) -> bool {
    let mut found = false;
    let listed = dir.list(&mut |entry| {
        found = entry == name;
        !found
    });
    listed.is_err() || found
}

fn stat_in(dir: Arc<dyn FsDir>, name: &OsStr, real: PathBuf) -> Found {
    match dir.stat(name) {
        Ok(stat) => {
            let place = Some((dir, name.to_owned()));
            Found::There(There { stat, real, place, moved: false })
        }
        Err(e) => not_opened(&e),
    }
}

fn is_missing(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn not_opened(e: &io::Error) -> Found {
    if is_missing(e) { Found::Gone } else { Found::Unknown }
}

/// The version that is told: a link's text has none.
fn told(entry: &Entry) -> Option<Version> {
    entry.version.filter(|_| entry.kind == Kind::File)
}

/// Is what has appeared the file that was known under another name? Inode numbers are used again.
fn is_same(former: &Entry, now: &Entry) -> bool {
    let (a, b) = (&former.stamp, &now.stamp);
    former.kind == now.kind
        && match (former.version, now.version) {
            (Some(was), Some(is)) => was == is,
            _ => a.size == b.size && a.mtime == b.mtime && !former.racy,
        }
}

/// Both were read, or can't be.
fn has_same_content(old: &Entry, new: &Entry) -> bool {
    old.kind == new.kind
        && match (old.version, new.version) {
            (Some(was), Some(is)) => was == is,
            (None, _) | (_, None) => (old.stamp.size, old.stamp.mtime) == (new.stamp.size, new.stamp.mtime),
        }
}

fn verdict(old: &Entry, kind: Kind, stamp: &Stamp, signs: Signs, tells_close: bool) -> Verdict {
    if old.kind != kind {
        return Verdict::Changed;
    }
    match kind {
        Kind::File if old.stamp == *stamp && !old.racy => Verdict::Same,
        Kind::File if old.version.is_some() => Verdict::Compare,
        Kind::File if (old.stamp.id, old.stamp.size) != (stamp.id, stamp.size) || signs.written => Verdict::Changed,
        // Another file may have the number of the one before.
        Kind::File if old.stamp.mtime != stamp.mtime && (signs.renamed || signs.blind || !tells_close) => {
            Verdict::Changed
        }
        Kind::File => Verdict::Leave,
        Kind::Link => Verdict::Compare,
        Kind::Dir | Kind::Other => Verdict::Same,
    }
}
