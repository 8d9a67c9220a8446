//! A simulated disk, a source of hints that tells what inotify(7) would, a tracker, and somebody who believes its reports.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use filelatch_fs::fs::write_all_at;
use filelatch_fs::sim::{Dials, SimFs};
use filelatch_fs::{Access, Events, FileKind, Fs, FsFile, Hint};

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

/// The source of the simulation, with a limit of watches that can be lifted.
#[derive(Debug)]
struct Limited {
    events: Box<dyn Events>,
    limit: Arc<Mutex<usize>>,
    dirs: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Events for Limited {
    fn covers_trees(&self) -> bool {
        self.events.covers_trees()
    }

    fn tells_close(&self) -> bool {
        self.events.tells_close()
    }

    fn add(&self, dir: &Path) -> io::Result<()> {
        let mut dirs = self.dirs.lock().unwrap();
        if dirs.len() >= *self.limit.lock().unwrap() && !dirs.contains(dir) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.events.add(dir)?;
        dirs.insert(dir.to_owned());
        Ok(())
    }

    fn remove(&self, dir: &Path) {
        self.dirs.lock().unwrap().remove(dir);
        self.events.remove(dir);
    }
}

pub(super) struct World {
    pub(super) fs: SimFs,
    told: Arc<Mutex<Vec<Hint>>>,
    limit: Arc<Mutex<usize>>,
    dirs: Arc<Mutex<BTreeSet<PathBuf>>>,
    /// What foreign programs have open for writing.
    open: BTreeMap<&'static str, Box<dyn FsFile>>,
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
        let all = roots.iter().map(|path| Root { path: path.into(), workspace: None }).collect();
        let tracker = Tracker::new(Arc::clone(&parts), all, options).unwrap();
        let roots = roots.iter().map(PathBuf::from).collect();
        World {
            fs: fs.clone(),
            told: Arc::default(),
            limit: Arc::new(Mutex::new(usize::MAX)),
            dirs: Arc::default(),
            open: BTreeMap::new(),
            parts,
            engine,
            tracker,
            mirror: BTreeMap::new(),
            roots,
        }
    }

    pub(super) fn begun(files: &[(&str, &str)], roots: &[&str]) -> World {
        let mut world = World::new(files, roots);
        world.begin();
        world
    }

    pub(super) fn begin(&mut self) {
        let mut out = Vec::new();
        let events = self.events();
        self.tracker.begin(Some(events), None, self.now(), &mut out);
        assert_eq!(out, []);
        self.mirror = self.disk();
    }

    /// Another watch goes on where this one ended.
    pub(super) fn resume(&mut self, known: Table) -> Vec<Report> {
        let roots = self.roots.iter().map(|path| Root { path: path.clone(), workspace: None }).collect();
        self.tracker = Tracker::new(Arc::clone(&self.parts), roots, &WatchOptions::new()).unwrap();
        let mut out = Vec::new();
        let events = self.events();
        self.tracker.begin(Some(events), Some(known), self.now(), &mut out);
        self.believe(&out);
        out
    }

    fn events(&self) -> Box<dyn Events> {
        let told = Arc::clone(&self.told);
        let events = self.fs.events(Arc::new(move |hint| told.lock().unwrap().push(hint))).unwrap();
        self.dirs.lock().unwrap().clear();
        Box::new(Limited { events, limit: Arc::clone(&self.limit), dirs: Arc::clone(&self.dirs) })
    }

    pub(super) fn now(&self) -> Duration {
        self.parts.host.monotonic()
    }

    pub(super) fn pass(&self, time: Duration) {
        self.fs.host().advance(time);
    }

    // --- Foreign programs ---

    /// Does it; answers what the source tells.
    pub(super) fn act(&mut self, op: &Op) -> Vec<Hint> {
        let foreign = self.fs.foreign();
        let dir = |path: &str| self.fs.open_dir(Path::new(path).parent().unwrap()).unwrap();
        let name = |path: &str| Path::new(path).file_name().unwrap().to_owned();
        self.told.lock().unwrap().clear();
        match *op {
            Op::Create(path) => {
                let file = dir(path).create_new(&name(path), 0o666).unwrap();
                self.open.insert(path, file);
            }
            Op::Write(path, bytes) => write_all_at(self.opened(path), bytes.as_bytes(), 0).unwrap(),
            Op::Append(path, bytes) => {
                let file = self.opened(path);
                write_all_at(file, bytes.as_bytes(), file.stat().unwrap().size).unwrap();
            }
            Op::Truncate(path) => self.opened(path).set_len(0).unwrap(),
            Op::Close(path) => drop(self.open.remove(path)),
            Op::Rename(from, to) => foreign.rename(from, to).unwrap(),
            Op::Exchange(a, b) => dir(a).exchange(&name(a), &name(b)).unwrap(),
            Op::Link(from, to) => foreign.link(from, to).unwrap(),
            Op::Symlink(text, path) => foreign.symlink(text, path).unwrap(),
            Op::Remove(path) => foreign.remove(path).unwrap(),
            Op::Chmod(path, mode) => self.opened(path).set_mode(mode).unwrap(),
            Op::Mkdir(path) => dir(path).create_dir(&name(path), 0o777).unwrap(),
            Op::Rmdir(path) => dir(path).remove_dir(&name(path)).unwrap(),
        }
        self.told()
    }

    /// What the source has told since.
    pub(super) fn told(&self) -> Vec<Hint> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }

    /// Open for writing from now on, if it was not.
    fn opened(&mut self, path: &'static str) -> &dyn FsFile {
        let there = self.fs.stat(Path::new(path)).unwrap().id;
        if self.open.get(path).is_none_or(|file| file.stat().unwrap().id != there) {
            let file = self.fs.foreign().open(path, Access::ReadWrite).unwrap();
            self.open.insert(path, file);
        }
        &**self.open.get(path).unwrap()
    }

    /// Watches that the source has.
    pub(super) fn watched(&self) -> Vec<PathBuf> {
        self.dirs.lock().unwrap().iter().cloned().collect()
    }

    pub(super) fn limit_watches(&self, limit: usize) {
        *self.limit.lock().unwrap() = limit;
    }

    /// Does it, and the tracker hears of it.
    pub(super) fn run(&mut self, ops: &[Op]) {
        for op in ops {
            for hint in self.act(op) {
                self.hint(hint);
            }
        }
    }

    /// The tracker hears of what was told.
    pub(super) fn hear_all(&mut self) {
        for hint in self.told() {
            self.hint(hint);
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
        self.believe_or(reports, "");
    }

    pub(super) fn believe_or(&mut self, reports: &[Report], context: &str) {
        for report in reports {
            let Report::Change(Seen { kind, path, version, .. }) = report else { continue };
            let was = self.mirror.get(path).copied();
            let fits = match kind {
                ChangeKind::Created => was.is_none(),
                ChangeKind::Modified => was.is_some(),
                ChangeKind::Deleted => self.mirror.remove(path).is_some(),
                ChangeKind::Renamed { from } => self.mirror.remove(from).is_some(),
            };
            assert!(fits, "{report:?} does not fit {:?} {context}", self.mirror);
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
            // A link that leads nowhere is no file.
            let at = if is_root { self.fs.canonicalize(&path) } else { Ok(path.clone()) };
            let Ok(at) = at else { continue };
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
                        let inner = path.join(&name);
                        if !left_out && !self.roots.contains(&inner) {
                            rest.push((inner, false));
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
