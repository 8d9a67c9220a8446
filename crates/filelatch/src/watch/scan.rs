//! Looking at directories: new ones, replaced ones, all of them.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use filelatch_fs::FsDir;
use filelatch_fs::fs::names;

use super::event::RescanCause;
use super::look::{Found, There};
use super::read::{self, Read};
use super::table::{Entry, Kind, Stamp};
use super::tracker::{Report, Tracker};
use super::watches::Reason;

impl Tracker {
    // --- At the beginning ---

    /// Notes what is there without a word. Files that were asked for are read; in trees only those whose stamp would prove nothing.
    pub(super) fn take_in(&mut self, root: usize) {
        let path = Arc::clone(&self.roots[root].path);
        let Found::There(there) = self.find(&path) else { return };
        if Kind::from(there.stat.kind) != Kind::Dir {
            if let Some(entry) = self.first_entry(&there, true) {
                self.table.entries.insert(path, entry);
            }
            return;
        }
        let mut rest = vec![(path, there)];
        while let Some((path, there)) = rest.pop() {
            let Some(dir) = self.enter(&path, &there) else { continue };
            for name in names(&*dir).unwrap_or_default() {
                let inner: Arc<Path> = Arc::from(path.join(&name));
                if self.is_skipped(root, &inner) {
                    continue;
                }
                let Ok(stat) = dir.stat(&name) else { continue };
                let there =
                    There { stat, real: there.real.join(&name), place: Some((Arc::clone(&dir), name)), moved: false };
                if Kind::from(stat.kind) == Kind::Dir && self.recursive {
                    rest.push((inner, there));
                } else if let Some(entry) = self.first_entry(&there, false) {
                    self.table.entries.insert(inner, entry);
                }
            }
        }
    }

    fn first_entry(&self, there: &There, read: bool) -> Option<Entry> {
        let kind = Kind::from(there.stat.kind);
        let stamp = Stamp::of(&there.stat);
        match (kind, &there.place) {
            (Kind::File, Some((dir, name))) => {
                let racy = stamp.is_racy(self.parts.host.now(), dir.caps());
                if !read && !racy {
                    return Some(Entry { kind, stamp, version: None, racy });
                }
                match read::read(&self.parts, None, &**dir, name, self.hash_limit) {
                    Read::File(entry, _) | Read::Unsettled(entry) => Some(entry),
                    Read::Other => None,
                }
            }
            (Kind::Link, _) => Some(Entry { kind, stamp, version: self.link_text(&there.real), racy: false }),
            _ => Some(Entry { kind, stamp, version: None, racy: false }),
        }
    }

    // --- Directories ---

    /// Notes and watches a directory, then opens it. `None`: it can't be opened, or is another one by now.
    fn enter(&mut self, path: &Arc<Path>, there: &There) -> Option<Arc<dyn FsDir>> {
        let stamp = Stamp::of(&there.stat);
        self.table.entries.insert(Arc::clone(path), Entry { kind: Kind::Dir, stamp, version: None, racy: false });
        let root = self.root_of(path)?;
        let is_root = self.by_path.contains_key(path);
        if is_root {
            self.roots[root].moved = false;
        }
        if !is_root && !self.recursive {
            return None;
        }
        if is_root || !self.watches.cover_trees() {
            self.watches.hold(&there.real, there.stat.id, Reason::Tree(root));
        }
        match self.open_dir(&there.real) {
            Ok(dir) if dir.id() == there.stat.id => Some(dir),
            Ok(_) => {
                self.suspect(path);
                None
            }
            Err(e) => {
                if e.kind() != io::ErrorKind::PermissionDenied {
                    self.suspect(path);
                }
                None
            }
        }
    }

    /// A directory that is new: what is in it is looked at.
    pub(super) fn adopt(&mut self, path: &Arc<Path>, there: &There) {
        if let Some(dir) = self.enter(path, there) {
            self.compare_with(path, &*dir, None);
        }
    }

    /// Another directory has a directory's place: all that was below it and all that is in it now is looked at.
    pub(super) fn replace_dir(&mut self, path: &Arc<Path>, there: &There) {
        if let Some(root) = self.by_path.get(path) {
            self.replaced.push(*root);
        }
        self.suspect_below(path);
        self.adopt(path, there);
    }

    /// A directory is gone: so is all that was below it.
    pub(super) fn drop_dir(&mut self, path: &Arc<Path>) {
        let Some(root) = self.root_of(path) else { return };
        let inner: Vec<_> = self.table.below(path).map(|(below, entry)| (Arc::clone(below), *entry)).collect();
        for (below, entry) in inner {
            if self.by_path.contains_key(&below) {
                self.suspect(&below);
                continue;
            }
            self.queue.given_up(&below, entry.stamp.id, self.now);
        }
        if let Some(real) = self.real(path) {
            self.watches.release(&real, Reason::Tree(root));
        }
        self.table.entries.remove(path);
        if self.by_path.contains_key(path) {
            self.set_tree(root, None);
        }
    }

    pub(super) fn suspect_below(&mut self, path: &Arc<Path>) {
        let inner: Vec<_> = self.table.below(path).map(|(below, _)| Arc::clone(below)).collect();
        for below in inner {
            self.suspect(&below);
        }
    }

    /// The watches of a tree that is not there any more.
    pub(super) fn release_tree(&mut self, root: usize, real: &Path) {
        let path = Arc::clone(&self.roots[root].path);
        let dirs = self.table.below(&path).filter(|(_, entry)| entry.kind == Kind::Dir);
        let relative = dirs.filter_map(|(below, _)| below.strip_prefix(&path).ok().map(|below| real.join(below)));
        let inner: Vec<PathBuf> = relative.chain([real.to_owned()]).collect();
        for dir in inner {
            self.watches.release(&dir, Reason::Tree(root));
        }
    }

    /// Looks for differences in a directory that is known; those whose directories are the same are added to `deeper`.
    pub(super) fn compare_dir(&mut self, path: &Arc<Path>, deeper: Option<&mut Vec<Arc<Path>>>) {
        let (Some(known), Some(real)) = (self.table.get(path).copied(), self.real(path)) else { return };
        let Some(root) = self.root_of(path) else { return };
        let is_root = self.by_path.contains_key(path);
        if !is_root && !self.recursive {
            return;
        }
        if is_root || !self.watches.cover_trees() {
            self.watches.hold(&real, known.stamp.id, Reason::Tree(root));
        }
        match self.open_dir(&real) {
            Ok(dir) if dir.id() == known.stamp.id => self.compare_with(path, &*dir, deeper),
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {}
            _ => self.suspect(path),
        }
    }

    fn compare_with(&mut self, path: &Arc<Path>, dir: &dyn FsDir, mut deeper: Option<&mut Vec<Arc<Path>>>) {
        let Some(root) = self.root_of(path) else { return };
        let Ok(names) = names(dir) else { return };
        let mut there = HashSet::with_capacity(names.len());
        for name in names {
            let inner: Arc<Path> = Arc::from(path.join(&name));
            if self.is_skipped(root, &inner) {
                continue;
            }
            let same = match (self.table.get(&inner), dir.stat(&name)) {
                (Some(old), Ok(stat)) if old.kind == Kind::Dir => {
                    (Kind::from(stat.kind), stat.id) == (Kind::Dir, old.stamp.id)
                }
                (Some(old), Ok(stat)) => {
                    let same = (old.kind, old.stamp) == (Kind::from(stat.kind), Stamp::of(&stat));
                    same && !old.racy && old.kind != Kind::Link
                }
                _ => false,
            };
            if !same {
                self.suspect(&inner);
            } else if self.table.is_dir(&inner)
                && let Some(deeper) = &mut deeper
            {
                deeper.push(Arc::clone(&inner));
            }
            there.insert(inner);
        }
        let known = self.table.below(path).filter(|(below, _)| below.parent() == Some(&**path));
        let missing: Vec<_> =
            known.map(|(below, _)| Arc::clone(below)).filter(|below| !there.contains(below)).collect();
        for below in missing {
            self.suspect(&below);
        }
    }

    fn is_skipped(&self, root: usize, path: &Path) -> bool {
        path.strip_prefix(&self.roots[root].path).map_or(true, |relative| self.is_left_out(root, relative))
    }

    // --- Everything ---

    /// Looks at everything below these roots.
    pub(super) fn rescan_roots(&mut self, roots: &[usize], cause: Option<RescanCause>, out: &mut Vec<Report>) {
        for root in roots {
            let path = Arc::clone(&self.roots[*root].path);
            self.suspect(&path);
            if !self.table.is_dir(&path) || !matches!(self.find(&path), Found::There(there) if !there.moved) {
                continue;
            }
            let mut rest = vec![path];
            while let Some(path) = rest.pop() {
                self.compare_dir(&path, Some(&mut rest));
            }
        }
        self.watches.set_again();
        self.work(true, out);
        if let Some(cause) = cause {
            out.extend(self.places(roots).into_iter().map(|path| Report::Rescanned { path, cause }));
        }
    }

    /// What to say was looked at: trees, and for many files in one directory that directory.
    fn places(&self, roots: &[usize]) -> Vec<PathBuf> {
        let mut places: Vec<PathBuf> = Vec::new();
        let mut files: std::collections::BTreeMap<&Path, Vec<&Path>> = std::collections::BTreeMap::new();
        for root in roots {
            let path = &*self.roots[*root].path;
            match path.parent() {
                Some(parent) if !self.table.is_dir(path) => files.entry(parent).or_default().push(path),
                _ => places.push(path.to_owned()),
            }
        }
        for (parent, paths) in files {
            places.push(match paths[..] {
                [path] => path.to_owned(),
                _ => parent.to_owned(),
            });
        }
        places
    }
}
