//! The file system itself: inodes and names, each as programs see it and as the disk has it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::events::Happened;
use crate::types::{FileId, FileKind, Stat, Timestamp};

use super::dials::Dials;
use super::errors;
use super::hints::{Note, Way, Ways};
use super::image::{Change, Image};
use super::inode::{Inode, Node};
use super::journal::{Journal, Key, NameOp, Names, entries_in};

/// `NAME_MAX` of Linux.
const LONGEST_NAME: usize = 255;
/// `MAXSYMLINKS` of Linux.
const MOST_LINKS: u32 = 40;
/// The device number that all files of a simulated file system show.
const DEVICE: u64 = 0x51;

/// Which inode; never used again, unlike [`Inode::number`], which programs see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ino(pub(super) u64);

pub(super) const ROOT: Ino = Ino(1);

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// As it was created.
    pub(super) name: OsString,
    pub(super) ino: Ino,
}

/// Everything that a reboot could bring back.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) dials: Dials,
    pub(super) inodes: BTreeMap<Ino, Inode>,
    pub(super) names: Names,
    pub(super) disk_names: Names,
    pub(super) journal: Journal,
    /// The file system's coarse clock.
    pub(super) now: Timestamp,
    next: u64,
    /// What has happened and was not told yet.
    pub(super) notes: Vec<Note>,
    pub(super) ways: Ways,
}

impl Store {
    pub(super) fn new(dials: Dials) -> Self {
        let mut store = Store {
            dials,
            inodes: BTreeMap::new(),
            names: Names::new(),
            disk_names: Names::new(),
            journal: Journal::default(),
            now: Timestamp::default(),
            next: ROOT.0,
            notes: Vec::new(),
            ways: Ways::default(),
        };
        let root = store.add_inode(Node::Dir, 0o755);
        store.inode_mut(root).nlink = 1;
        store
    }

    /// A file system with this content, all of it durable.
    pub(super) fn of(dials: Dials, mut inodes: BTreeMap<Ino, Inode>, names: Names, now: Timestamp) -> Self {
        let next = inodes.keys().last().map_or(ROOT.0, |last| last.0) + 1;
        let mut taken = BTreeSet::new();
        let mut spare = inodes.values().map(|inode| inode.number).max().unwrap_or_default();
        for (ino, inode) in &mut inodes {
            inode.nlink = names.values().filter(|entry| entry.ino == *ino).count() as u64 + u64::from(*ino == ROOT);
            inode.opens = 0;
            // A removal that was lost and a creation that was not may meet on one number.
            if !taken.insert(inode.number) {
                spare += 1;
                inode.number = spare;
                taken.insert(spare);
            }
        }
        let (disk_names, journal) = (names.clone(), Journal::default());
        Store { dials, inodes, disk_names, names, journal, now, next, notes: Vec::new(), ways: Ways::default() }
    }

    pub(super) fn inode(&self, ino: Ino) -> &Inode {
        &self.inodes[&ino]
    }

    pub(super) fn inode_mut(&mut self, ino: Ino) -> &mut Inode {
        self.inodes.get_mut(&ino).expect("inodes are never dropped")
    }

    fn add_inode(&mut self, node: Node, mode: u32) -> Ino {
        let ino = Ino(self.next);
        self.next += 1;
        let taken: BTreeSet<u64> = self.inodes.values().filter(|i| i.is_live()).map(|i| i.number).collect();
        let reused = (1..ino.0).find(|number| self.dials.reuse_numbers && !taken.contains(number));
        let number = reused.unwrap_or(ino.0);
        // The umask is not for links.
        let mode = if matches!(node, Node::Symlink(_)) { 0o777 } else { mode & !self.dials.umask };
        let image = Image::new(mode, self.now);
        self.inodes.insert(ino, Inode::new(number, node, image));
        ino
    }

    pub(super) fn id(&self, ino: Ino) -> FileId {
        FileId { dev: DEVICE, ino: self.inode(ino).number }
    }

    pub(super) fn stat(&self, ino: Ino) -> Stat {
        let inode = self.inode(ino);
        let (kind, size) = match &inode.node {
            Node::File => (FileKind::File, inode.now.bytes.len()),
            Node::Dir => (FileKind::Dir, 0),
            Node::Symlink(text) => (FileKind::Symlink, text.as_os_str().len()),
            Node::Other => (FileKind::Other, 0),
        };
        let Image { mode, uid, gid, mtime, ctime, .. } = inode.now;
        Stat { id: self.id(ino), kind, size: size as u64, mode, uid, gid, nlink: inode.nlink, mtime, ctime }
    }

    // --- Lookups ---

    fn key(&self, dir: Ino, name: &OsStr) -> io::Result<Key> {
        if name.len() > LONGEST_NAME {
            return Err(errors::os(ErrorKind::InvalidFilename));
        }
        let bytes = name.as_encoded_bytes();
        if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') || bytes.contains(&0) {
            return Err(io::Error::new(ErrorKind::InvalidInput, format!("{} is not a name", name.display())));
        }
        Ok((dir, if self.dials.case_insensitive { name.to_ascii_lowercase() } else { name.to_owned() }))
    }

    fn at(&self, key: &Key) -> io::Result<&Entry> {
        self.names.get(key).ok_or_else(|| errors::os(ErrorKind::NotFound))
    }

    pub(super) fn lookup(&self, dir: Ino, name: &OsStr) -> io::Result<Ino> {
        Ok(self.at(&self.key(dir, name)?)?.ino)
    }

    pub(super) fn entries(&self, dir: Ino) -> impl Iterator<Item = &Entry> {
        entries_in(&self.names, dir)
    }

    /// Follows a path; answers where it led, without links, and what is there.
    pub(super) fn resolve(&self, path: &Path, follow_last: bool) -> io::Result<(PathBuf, Ino)> {
        let mut trail: Vec<(OsString, Ino)> = Vec::new();
        let mut rest: VecDeque<OsString> = parts(path);
        let mut links = 0;
        while let Some(part) = rest.pop_front() {
            let here = trail.last().map_or(ROOT, |(_, ino)| *ino);
            if part == "/" {
                trail.clear();
                continue;
            }
            if self.inode(here).node != Node::Dir {
                return Err(errors::os(ErrorKind::NotADirectory));
            }
            if part == ".." {
                trail.pop();
                continue;
            }
            let entry = self.at(&self.key(here, &part)?)?;
            match &self.inode(entry.ino).node {
                Node::Symlink(text) if follow_last || !rest.is_empty() => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(errors::link_loop());
                    }
                    for part in parts(text).into_iter().rev() {
                        rest.push_front(part);
                    }
                }
                _ => trail.push((entry.name.clone(), entry.ino)),
            }
        }
        let ino = trail.last().map_or(ROOT, |(_, ino)| *ino);
        let path = std::iter::once(OsStr::new("/")).chain(trail.iter().map(|(name, _)| name.as_os_str())).collect();
        Ok((path, ino))
    }

    /// The directory that a path's last component is in, and that component.
    pub(super) fn resolve_parent(&self, path: &Path) -> io::Result<(Ino, OsString)> {
        let name = path.file_name().ok_or_else(|| errors::os(ErrorKind::InvalidInput))?;
        let (_, dir) = self.resolve(path.parent().unwrap_or(Path::new("")), true)?;
        if self.inode(dir).node != Node::Dir {
            return Err(errors::os(ErrorKind::NotADirectory));
        }
        Ok((dir, name.to_owned()))
    }

    // --- Changes of names ---

    /// Makes a change of names visible; it is durable after a sync.
    fn commit(&mut self, label: String, sets: Vec<(Key, Option<Entry>)>, reads: Vec<Key>) {
        let mut inodes = Vec::new();
        for ((dir, name), after) in &sets {
            let before = self.names.get(&(*dir, name.clone())).map(|entry| entry.ino);
            inodes.extend(before.into_iter().chain(after.as_ref().map(|entry| entry.ino)));
            if let Some(gone) = before {
                self.inode_mut(gone).nlink -= 1;
            }
            if let Some(entry) = after {
                self.inode_mut(entry.ino).nlink += 1;
            }
        }
        let now = self.now;
        for ino in &inodes {
            self.inode_mut(*ino).now.ctime = now;
        }
        for ((dir, _), _) in &sets {
            let image = &mut self.inode_mut(*dir).now;
            (image.mtime, image.ctime) = (now, now);
        }
        let op = NameOp { label, sets, reads, doubtful: false };
        op.apply(&mut self.names);
        self.journal.push(op);
    }

    pub(super) fn create(&mut self, dir: Ino, name: &OsStr, node: Node, mode: u32) -> io::Result<Ino> {
        let key = self.key(dir, name)?;
        if self.names.contains_key(&key) {
            return Err(errors::os(ErrorKind::AlreadyExists));
        }
        if self.inode(dir).nlink == 0 {
            return Err(errors::os(ErrorKind::NotFound));
        }
        let ino = self.add_inode(node, mode);
        let entry = Entry { name: name.to_owned(), ino };
        self.commit(format!("create {}", name.display()), vec![(key, Some(entry))], vec![]);
        self.note(dir, Some(name.to_owned()), Happened::Created);
        Ok(ino)
    }

    /// Is `dir` the directory `above`, or somewhere below it?
    fn is_within(&self, dir: Ino, above: Ino) -> bool {
        let mut here = Some(dir);
        while let Some(dir) = here {
            if dir == above {
                return true;
            }
            here = self.names.iter().find(|(_, entry)| entry.ino == dir).map(|((parent, _), _)| *parent);
        }
        false
    }

    /// May `moved`, an entry of `from`, become, or replace, what is at `to`?
    fn may_replace(&self, from: Ino, moved: Ino, to: &Key) -> io::Result<()> {
        if self.inode(moved).node == Node::Dir && self.is_within(to.0, moved) {
            return Err(errors::os(ErrorKind::InvalidInput));
        }
        let Some(there) = self.names.get(to) else { return Ok(()) };
        // What holds the source is not empty, whatever the source is.
        if self.is_within(from, there.ino) {
            return Err(errors::os(ErrorKind::DirectoryNotEmpty));
        }
        match (self.inode(moved).node == Node::Dir, self.inode(there.ino).node == Node::Dir) {
            (false, true) => Err(errors::os(ErrorKind::IsADirectory)),
            (true, false) => Err(errors::os(ErrorKind::NotADirectory)),
            (true, true) if self.entries(there.ino).next().is_some() => Err(errors::os(ErrorKind::DirectoryNotEmpty)),
            _ => Ok(()),
        }
    }

    pub(super) fn rename(&mut self, from: (Ino, &OsStr), to: (Ino, &OsStr)) -> io::Result<()> {
        let (from_key, to_key) = (self.key(from.0, from.1)?, self.key(to.0, to.1)?);
        let ino = self.at(&from_key)?.ino;
        let entry = Entry { name: to.1.to_owned(), ino };
        let label = format!("rename {} -> {}", from.1.display(), to.1.display());
        if from_key == to_key {
            let way = self.ways.end(&from_key);
            self.ways.stand(way, to_key.clone(), to.1);
            self.commit(label, vec![(to_key, Some(entry))], vec![]);
            if from.1 != to.1 {
                self.note_move(ino, from, to, None);
            }
            return Ok(());
        }
        // rename(2): two names of one file stay both, and that is success.
        if self.names.get(&to_key).is_some_and(|there| there.ino == ino) {
            return Ok(());
        }
        self.may_replace(from.0, ino, &to_key)?;
        let replaced = self.names.get(&to_key).map(|there| there.ino);
        let way = self.ways.end(&from_key);
        self.ways.end(&to_key);
        self.ways.stand(way, to_key.clone(), to.1);
        self.commit(label, vec![(from_key, None), (to_key, Some(entry))], vec![]);
        self.note_move(ino, from, to, replaced);
        Ok(())
    }

    pub(super) fn rename_new(&mut self, from: (Ino, &OsStr), to: (Ino, &OsStr)) -> io::Result<()> {
        let ino = self.lookup(from.0, from.1)?;
        if self.names.contains_key(&self.key(to.0, to.1)?) {
            return Err(errors::os(ErrorKind::AlreadyExists));
        }
        // The real seam takes EINVAL for "no such flag" and goes on to the link, which a directory can't have.
        let into_itself = self.inode(ino).node == Node::Dir && self.is_within(to.0, ino);
        if self.dials.rename_new && !into_itself {
            return self.rename(from, to);
        }
        // As the real seam does it: a link and an unlink.
        if self.inode(ino).node == Node::Dir {
            return Err(errors::not_permitted());
        }
        self.link(from, to)?;
        self.remove(from.0, from.1)
    }

    pub(super) fn exchange(&mut self, dir: Ino, a: &OsStr, b: &OsStr) -> io::Result<()> {
        if !self.dials.exchange {
            return Err(ErrorKind::Unsupported.into());
        }
        let (a_key, b_key) = (self.key(dir, a)?, self.key(dir, b)?);
        let (a_entry, b_entry) = (self.at(&a_key)?.clone(), self.at(&b_key)?.clone());
        if a_entry.ino == b_entry.ino {
            return Ok(());
        }
        let label = format!("exchange {} <-> {}", a.display(), b.display());
        let (a_way, b_way) = (self.ways.end(&a_key), self.ways.end(&b_key));
        self.ways.stand(a_way, b_key.clone(), b);
        self.ways.stand(b_way, a_key.clone(), a);
        let a_after = Entry { name: a_entry.name, ino: b_entry.ino };
        let b_after = Entry { name: b_entry.name, ino: a_entry.ino };
        self.commit(label, vec![(a_key, Some(a_after)), (b_key, Some(b_after))], vec![]);
        self.note_move(a_entry.ino, (dir, a), (dir, b), None);
        self.note_move(b_entry.ino, (dir, b), (dir, a), None);
        Ok(())
    }

    pub(super) fn link(&mut self, from: (Ino, &OsStr), to: (Ino, &OsStr)) -> io::Result<()> {
        let (from_key, to_key) = (self.key(from.0, from.1)?, self.key(to.0, to.1)?);
        let ino = self.at(&from_key)?.ino;
        if self.names.contains_key(&to_key) {
            return Err(errors::os(ErrorKind::AlreadyExists));
        }
        if !self.dials.links || self.inode(ino).node == Node::Dir {
            return Err(errors::not_permitted());
        }
        let entry = Entry { name: to.1.to_owned(), ino };
        let label = format!("link {} -> {}", from.1.display(), to.1.display());
        self.commit(label, vec![(to_key, Some(entry))], vec![from_key]);
        self.note(to.0, Some(to.1.to_owned()), Happened::Created);
        Ok(())
    }

    pub(super) fn remove(&mut self, dir: Ino, name: &OsStr) -> io::Result<()> {
        let key = self.key(dir, name)?;
        if self.inode(self.at(&key)?.ino).node == Node::Dir {
            return Err(errors::os(ErrorKind::IsADirectory));
        }
        self.ways.end(&key);
        self.commit(format!("remove {}", name.display()), vec![(key, None)], vec![]);
        self.note(dir, Some(name.to_owned()), Happened::Gone);
        Ok(())
    }

    pub(super) fn remove_dir(&mut self, dir: Ino, name: &OsStr) -> io::Result<()> {
        let key = self.key(dir, name)?;
        let ino = self.at(&key)?.ino;
        if self.inode(ino).node != Node::Dir {
            return Err(errors::os(ErrorKind::NotADirectory));
        }
        if self.entries(ino).next().is_some() {
            return Err(errors::os(ErrorKind::DirectoryNotEmpty));
        }
        self.ways.end(&key);
        self.commit(format!("remove_dir {}", name.display()), vec![(key, None)], vec![]);
        self.note(dir, Some(name.to_owned()), Happened::Gone);
        self.note(ino, None, Happened::Gone);
        Ok(())
    }

    // --- What is told of them ---

    pub(super) fn note(&mut self, dir: Ino, name: Option<OsString>, what: Happened) {
        self.notes.push(Note { dir, name, what });
    }

    /// The order is Linux's; the number of links of what was replaced is an attribute.
    fn note_move(&mut self, moved: Ino, from: (Ino, &OsStr), to: (Ino, &OsStr), replaced: Option<Ino>) {
        self.note(from.0, Some(from.1.to_owned()), Happened::Gone);
        self.note(to.0, Some(to.1.to_owned()), Happened::MovedIn);
        let replaced = replaced.filter(|ino| self.inode(*ino).node == Node::Dir);
        if let Some(dir) = replaced {
            self.note(dir, None, Happened::Other);
        }
        if self.inode(moved).node == Node::Dir {
            self.note(moved, None, Happened::Gone);
        }
        if let Some(dir) = replaced {
            self.note(dir, None, Happened::Gone);
        }
    }

    /// The name in a directory, which exists, as something that is opened by it.
    pub(super) fn way(&mut self, dir: Ino, name: &OsStr) -> io::Result<Way> {
        let key = self.key(dir, name)?;
        let name = self.at(&key)?.name.clone();
        Ok(self.ways.by(key, name))
    }

    /// The names that lead from one directory down to another; `None` if that is not below it.
    pub(super) fn names_between(&self, above: Ino, dir: Ino) -> Option<Vec<OsString>> {
        let mut names = Vec::new();
        let mut here = dir;
        while here != above {
            let ((parent, _), entry) = self.names.iter().find(|(_, entry)| entry.ino == here)?;
            names.push(entry.name.clone());
            here = *parent;
        }
        names.reverse();
        Some(names)
    }

    // --- Changes of one inode ---

    /// Makes a change visible; it is durable after a sync.
    pub(super) fn change(&mut self, ino: Ino, change: Change) {
        let now = self.now;
        self.inode_mut(ino).change(change, now);
    }

    /// How many of `len` bytes at `offset` find room.
    pub(super) fn room(&self, ino: Ino, offset: usize, len: usize) -> usize {
        let Some(capacity) = self.dials.capacity else { return len };
        let live = self.inodes.values().filter(|inode| inode.is_live());
        let used: u64 = live.map(|inode| inode.now.bytes.len() as u64).sum();
        let free = usize::try_from(capacity.saturating_sub(used)).unwrap_or(usize::MAX);
        let own = self.inode(ino).now.bytes.len();
        own.saturating_add(free).saturating_sub(offset).min(len)
    }

    // --- Durability ---

    pub(super) fn sync_dir(&mut self, dir: Ino) {
        self.journal.sync(dir, &mut self.disk_names);
    }

    pub(super) fn sync_dir_failed(&mut self, dir: Ino) {
        self.journal.sync_failed(dir);
    }

    /// Everything becomes durable.
    pub(super) fn settle(&mut self) {
        self.inodes.values_mut().for_each(Inode::settle);
        self.disk_names = self.names.clone();
        self.journal.clear();
    }

    /// The content of a regular file.
    pub(super) fn bytes(&self, ino: Ino) -> io::Result<Arc<Vec<u8>>> {
        match self.inode(ino).node {
            Node::File => Ok(Arc::clone(&self.inode(ino).now.bytes)),
            Node::Dir => Err(errors::os(ErrorKind::IsADirectory)),
            _ => Err(errors::os(ErrorKind::InvalidInput)),
        }
    }
}

/// The components of a path that mean something; `/` first if it is absolute.
fn parts(path: &Path) -> VecDeque<OsString> {
    let part = |component: Component<'_>| match component {
        Component::RootDir => Some(OsString::from("/")),
        Component::ParentDir => Some(OsString::from("..")),
        Component::Normal(name) => Some(name.to_owned()),
        Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(part).collect()
}
