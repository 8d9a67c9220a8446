//! A simulated disk, a source of hints that tells what inotify(7) would, a tracker, and somebody who believes its reports.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use filelatch_fs::fs::write_all_at;
use filelatch_fs::sim::{Dials, SimFs};
use filelatch_fs::{Access, Events, FileId, FileKind, Fs, Happened, Hint};

use super::super::event::ChangeKind;
use super::super::options::WatchOptions;
use super::super::table::Table;
use super::super::tracker::{Report, Root, Seen, Tracker};
use crate::engine::Filelatch;
use crate::parts::Parts;
use crate::version::Version;

/// One call of a foreign program, as far as a watcher can notice it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// An empty file that is open now.
    Create(&'static str),
    /// Bytes over the beginning of a file that is open.
    Write(&'static str, &'static str),
    Append(&'static str, &'static str),
    Truncate(&'static str),
    Close(&'static str),
    Rename(&'static str, &'static str),
    Exchange(&'static str, &'static str),
    Link(&'static str, &'static str),
    Symlink(&'static str, &'static str),
    Remove(&'static str),
    Chmod(&'static str, u32),
    Mkdir(&'static str),
    Rmdir(&'static str),
}

/// What a source would tell, and of which directories.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// By the path that was added.
    dirs: Mutex<BTreeMap<PathBuf, FileId>>,
    limit: Mutex<Option<usize>>,
}

#[derive(Debug)]
struct Handle(SimFs, Arc<Source>);

impl Events for Handle {
    fn covers_trees(&self) -> bool {
        false
    }

    fn tells_close(&self) -> bool {
        true
    }

    fn add(&self, dir: &Path) -> io::Result<()> {
        let id = self.0.open_dir(dir)?.id();
        let mut dirs = self.1.dirs.lock().unwrap();
        if self.1.limit.lock().unwrap().is_some_and(|limit| dirs.len() >= limit && !dirs.contains_key(dir)) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        // One watch for each inode: the newest path names it.
        dirs.retain(|_, other| *other != id);
        dirs.insert(dir.to_owned(), id);
        Ok(())
    }

    fn remove(&self, dir: &Path) {
        self.1.dirs.lock().unwrap().remove(dir);
    }
}

pub(super) struct World {
    pub(super) fs: SimFs,
    pub(super) source: Arc<Source>,
    pub(super) parts: Arc<Parts>,
    pub(super) engine: Filelatch,
    pub(super) tracker: Tracker,
    pub(super) mirror: BTreeMap<PathBuf, Option<Version>>,
    roots: Vec<PathBuf>,
}

impl World {
    /// Watches these paths of a disk with these files (a name that ends in `/` is a directory).
    pub(super) fn new(files: &[(&str, &str)], roots: &[&str]) -> World {
        World::with(&SimFs::new(Dials::default()), files, roots, &WatchOptions::new())
    }

    pub(super) fn with(fs: &SimFs, files: &[(&str, &str)], roots: &[&str], options: &WatchOptions) -> World {
        let foreign = fs.foreign();
        for (path, bytes) in files {
            foreign.create_dirs(Path::new(path).parent().unwrap()).unwrap();
            if let Some(dir) = path.strip_suffix('/') {
                foreign.create_dirs(dir).unwrap();
            } else {
                foreign.create(path, bytes.as_bytes()).unwrap();
            }
        }
        fs.host().advance(Duration::from_secs(5));
        let engine = Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).session("me").build();
        let parts = Arc::clone(engine.parts());
        let source = Arc::new(Source::default());
        let all = roots.iter().map(|path| Root { path: path.into(), workspace: None }).collect();
        let tracker = Tracker::new(Arc::clone(&parts), all, options).unwrap();
        let roots = roots.iter().map(PathBuf::from).collect();
        World { fs: fs.clone(), source, parts, engine, tracker, mirror: BTreeMap::new(), roots }
    }

    pub(super) fn begun(files: &[(&str, &str)], roots: &[&str]) -> World {
        let mut world = World::new(files, roots);
        world.begin();
        world
    }

    pub(super) fn begin(&mut self) {
        let mut out = Vec::new();
        let events = Box::new(Handle(self.fs.clone(), Arc::clone(&self.source)));
        self.tracker.begin(Some(events), None, self.now(), &mut out);
        assert_eq!(out, []);
        self.mirror = self.disk();
    }

    /// Another watch goes on where this one ended.
    pub(super) fn resume(&mut self, known: Table) -> Vec<Report> {
        let roots = self.roots.iter().map(|path| Root { path: path.clone(), workspace: None }).collect();
        self.tracker = Tracker::new(Arc::clone(&self.parts), roots, &WatchOptions::new()).unwrap();
        self.source = Arc::default();
        let mut out = Vec::new();
        let events = Box::new(Handle(self.fs.clone(), Arc::clone(&self.source)));
        self.tracker.begin(Some(events), Some(known), self.now(), &mut out);
        self.believe(&out);
        out
    }

    pub(super) fn now(&self) -> Duration {
        self.parts.host.monotonic()
    }

    pub(super) fn pass(&self, time: Duration) {
        self.fs.host().advance(time);
    }

    // --- Foreign programs ---

    /// Does it; answers what the source tells.
    pub(super) fn act(&self, op: &Op) -> Vec<Hint> {
        let foreign = self.fs.foreign();
        let dir = |path: &str| self.fs.open_dir(Path::new(path).parent().unwrap()).unwrap();
        let name = |path: &str| Path::new(path).file_name().unwrap().to_owned();
        let open = |path: &str| foreign.open(path, Access::ReadWrite).unwrap();
        // The directories as they were before: a moved one is told of where it was.
        let told = |path: &str, what| self.told(Path::new(path), what);
        match *op {
            Op::Create(path) => {
                foreign.create(path, b"").unwrap();
                told(path, Happened::Created)
            }
            Op::Write(path, bytes) => {
                write_all_at(&*open(path), bytes.as_bytes(), 0).unwrap();
                told(path, Happened::Written)
            }
            Op::Append(path, bytes) => {
                foreign.append(path, bytes.as_bytes()).unwrap();
                told(path, Happened::Written)
            }
            Op::Truncate(path) => {
                open(path).set_len(0).unwrap();
                told(path, Happened::Written)
            }
            Op::Close(path) => told(path, Happened::Closed),
            Op::Rename(from, to) => {
                let hints = [told(from, Happened::Gone), told(to, Happened::MovedIn)].concat();
                foreign.rename(from, to).unwrap();
                hints
            }
            Op::Exchange(a, b) => {
                dir(a).exchange(&name(a), &name(b)).unwrap();
                let told = [told(a, Happened::Gone), told(b, Happened::MovedIn), told(b, Happened::Gone)];
                [told.concat(), self.told(Path::new(a), Happened::MovedIn)].concat()
            }
            Op::Link(from, to) => {
                foreign.link(from, to).unwrap();
                [told(from, Happened::Other), told(to, Happened::Created)].concat()
            }
            Op::Symlink(text, path) => {
                foreign.symlink(text, path).unwrap();
                told(path, Happened::Created)
            }
            Op::Remove(path) => {
                foreign.remove(path).unwrap();
                told(path, Happened::Gone)
            }
            Op::Chmod(path, mode) => {
                open(path).set_mode(mode).unwrap();
                told(path, Happened::Other)
            }
            Op::Mkdir(path) => {
                self.fs.process().create_dir(Path::new(path)).unwrap();
                told(path, Happened::Created)
            }
            Op::Rmdir(path) => {
                dir(path).remove_dir(&name(path)).unwrap();
                told(path, Happened::Gone)
            }
        }
    }

    fn told(&self, path: &Path, what: Happened) -> Vec<Hint> {
        let Ok(dir) = self.fs.open_dir(path.parent().unwrap()) else { return Vec::new() };
        let dirs = self.source.dirs.lock().unwrap();
        let added = dirs.iter().filter(|(_, id)| **id == dir.id());
        added.map(|(dir, _)| Hint::At { path: dir.join(path.file_name().unwrap()), what }).collect()
    }

    /// Watches that the source has.
    pub(super) fn watched(&self) -> Vec<PathBuf> {
        self.source.dirs.lock().unwrap().keys().cloned().collect()
    }

    pub(super) fn limit_watches(&self, limit: Option<usize>) {
        *self.source.limit.lock().unwrap() = limit;
    }

    /// Does it, and the tracker hears of it.
    pub(super) fn run(&mut self, ops: &[Op]) {
        for op in ops {
            for hint in self.act(op) {
                self.hint(hint);
            }
        }
    }

    pub(super) fn hint(&mut self, hint: Hint) {
        let now = self.now();
        self.tracker.hint(hint, now);
    }

    // --- Reports ---

    /// Lets time pass, a millisecond at a time, until nothing is pending.
    pub(super) fn settle(&mut self) -> Vec<Report> {
        let mut out = Vec::new();
        let mut steps = 0;
        while let Some(due) = self.tracker.due() {
            self.pass(due.saturating_sub(self.now()));
            let now = self.now();
            self.tracker.step(now, &mut out);
            steps += 1;
            assert!(steps < 10_000, "it never comes to rest: {out:?}");
        }
        self.believe(&out);
        out
    }

    /// What a barrier finds.
    pub(super) fn force(&mut self) -> Vec<Report> {
        let mut out = Vec::new();
        self.tracker.settle_all(&mut out);
        self.believe(&out);
        out
    }

    pub(super) fn poll(&mut self) -> Vec<Report> {
        let mut out = Vec::new();
        self.tracker.poll(&mut out);
        self.believe(&out);
        out
    }

    /// Applies reports, each of which must fit what is there.
    pub(super) fn believe(&mut self, reports: &[Report]) {
        for report in reports {
            let Report::Change(Seen { kind, path, version, .. }) = report else { continue };
            let was = self.mirror.get(path).copied();
            let fits = match kind {
                ChangeKind::Created => was.is_none(),
                ChangeKind::Modified => was.is_some(),
                ChangeKind::Deleted => self.mirror.remove(path).is_some(),
                ChangeKind::Renamed { from } => self.mirror.remove(from).is_some(),
            };
            assert!(fits, "{report:?} does not fit {:?}", self.mirror);
            if *kind != ChangeKind::Deleted {
                self.mirror.insert(path.clone(), *version);
            }
        }
    }

    /// The watched files as they are: regular ones with their versions.
    pub(super) fn disk(&self) -> BTreeMap<PathBuf, Option<Version>> {
        let mut files = BTreeMap::new();
        let mut rest: Vec<(PathBuf, bool)> = self.roots.iter().map(|root| (root.clone(), true)).collect();
        while let Some((path, is_root)) = rest.pop() {
            let at = if is_root { self.fs.canonicalize(&path).unwrap_or(path.clone()) } else { path.clone() };
            let Ok(stat) = self.fs.stat(&at) else { continue };
            match stat.kind {
                FileKind::Dir => {
                    let mut names = Vec::new();
                    let list = |name| {
                        names.push(name);
                        true
                    };
                    self.fs.open_dir(&at).unwrap().list(&mut { list }).unwrap();
                    for name in names {
                        let text = name.to_string_lossy();
                        let left_out = matches!(&*text, ".git" | ".filelatch")
                            || [".lock", ".tmp"].iter().any(|suffix| text.ends_with(suffix));
                        if !left_out {
                            rest.push((path.join(name), false));
                        }
                    }
                }
                FileKind::File => drop(files.insert(path, self.fs.foreign().read(&at).ok().map(|b| Version::of(&b)))),
                _ => drop(files.insert(path, None)),
            }
        }
        files
    }

    /// Whoever believed all reports has what is on the disk.
    pub(super) fn assert_true(&self, context: &dyn std::fmt::Debug) {
        assert_eq!(self.mirror, self.disk(), "reported, and there: {context:?}");
    }
}

/// A report in a word: `created /d/a`, `renamed /d/a /d/b`.
pub(super) fn words(reports: &[Report]) -> Vec<String> {
    let word = |report: &Report| match report {
        Report::Change(seen) => match &seen.kind {
            ChangeKind::Renamed { from } => format!("renamed {} {}", from.display(), seen.path.display()),
            kind => format!("{} {}", kind.word(), seen.path.display()),
        },
        Report::Rescanned { path, cause } => format!("rescanned {} {cause:?}", path.display()),
    };
    reports.iter().map(word).collect()
}

/// Where the order says nothing.
pub(super) fn sorted(mut words: Vec<String>) -> Vec<String> {
    words.sort();
    words
}
