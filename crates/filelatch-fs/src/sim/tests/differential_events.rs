//! The simulation against the kernel: the same changes are told alike.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::*;
use crate::RealFs;
use crate::events::{Events, Happened, Hint};
use crate::fs::FsFile;
use crate::sim::dials::Rng;
use crate::types::Access;

/// One of the two, the kernel's or ours: a directory to play in, and what was told of it.
struct Side {
    fs: Arc<dyn Fs>,
    base: PathBuf,
    events: Box<dyn Events>,
    told: Receiver<Hint>,
    heard: Vec<(PathBuf, Option<Happened>)>,
    cookies: u32,
}

impl Side {
    fn new(fs: Arc<dyn Fs>, base: PathBuf) -> Side {
        let (sender, told) = channel();
        let events = fs.events(Arc::new(move |hint| drop(sender.send(hint)))).unwrap();
        events.add(&base).unwrap();
        Side { fs, base, events, told, heard: Vec::new(), cookies: 0 }
    }

    fn dir(&self, path: &str) -> Arc<dyn FsDir> {
        self.fs.open_dir(&self.base.join(path)).unwrap()
    }

    /// The directory of a path, and the name in it.
    fn place<'a>(&self, path: &'a str) -> (Arc<dyn FsDir>, &'a OsStr) {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        (self.dir(dir), OsStr::new(name))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn FsFile>> {
        let (dir, name) = self.place(path);
        dir.open(name, Access::ReadWrite)
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn FsFile>> {
        let (dir, name) = self.place(path);
        dir.create_new(name, 0o644)
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        write_all_at(&*self.create(path).unwrap(), bytes, 0).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        let ((here, from), (there, to)) = (self.place(from), self.place(to));
        here.move_over(from, &*there, to).unwrap();
    }

    fn remove(&self, path: &str) {
        let (dir, name) = self.place(path);
        dir.remove(name).unwrap();
    }

    fn watch(&self, path: &str) {
        self.events.add(&self.base.join(path)).unwrap();
    }

    /// What was told since the last call, by paths in the playground, without what the kernel may merge: a hint that is equal to the
    /// one before it.
    fn heard(&mut self) -> Vec<(PathBuf, Option<Happened>)> {
        self.listen();
        let mut heard = std::mem::take(&mut self.heard);
        heard.dedup();
        heard
    }

    /// Until all that has happened was told, which a file that is made and closed last tells: what comes later meets other watches.
    fn listen(&mut self) {
        self.cookies += 1;
        let cookie = format!("cookie-{}", self.cookies);
        self.put(&cookie, b"");
        loop {
            let (path, what) = match self.told.recv_timeout(Duration::from_secs(60)).expect("the cookie is told") {
                Hint::Lost => (PathBuf::new(), None),
                Hint::At { path, what } => (path.strip_prefix(&self.base).unwrap().to_owned(), Some(what)),
            };
            match what {
                Some(Happened::Closed) if path == Path::new(&cookie) => break,
                _ if path.to_string_lossy().starts_with("cookie-") => {}
                what => self.heard.push((path, what)),
            }
        }
    }
}

/// Both, with the same name for the playground.
fn both() -> (tempfile::TempDir, [Side; 2]) {
    let tmp = tempfile::tempdir().unwrap();
    let path = RealFs.canonicalize(tmp.path()).unwrap();
    let fs = SimFs::default();
    fs.foreign().create_dirs("/play").unwrap();
    (tmp, [Side::new(Arc::new(RealFs), path), Side::new(fs.as_fs(), "/play".into())])
}

type Dance = (&'static str, fn(&mut Side));

/// What editors and tools do to the file `f` beside the directory `d`, which is watched too.
const DANCES: [Dance; 17] = [
    ("create", |side| side.put("new", b"text")),
    ("write in place", |side| write_all_at(&*side.open("f").unwrap(), b"text", 0).unwrap()),
    ("truncate and write", |side| {
        let file = side.open("f").unwrap();
        file.set_len(0).unwrap();
        write_all_at(&*file, b"text", 0).unwrap();
    }),
    ("open for writing and close", |side| drop(side.open("f").unwrap())),
    ("read", |side| {
        let (dir, name) = side.place("f");
        let file = dir.open(name, Access::Read).unwrap();
        file.read_at(&mut [0; 9], 0).unwrap();
        dir.list(&mut |_| true).unwrap();
        dir.stat(name).unwrap();
    }),
    ("write a copy and rename it over", |side| {
        side.put(".f.tmp", b"text");
        side.rename(".f.tmp", "f");
    }),
    ("move the old aside, write anew, remove the old", |side| {
        side.rename("f", "f~");
        side.put("f", b"text");
        side.remove("f~");
    }),
    ("exchange and remove", |side| {
        side.put(".f.tmp", b"text");
        side.dir("").exchange("f".as_ref(), ".f.tmp".as_ref()).unwrap();
        side.remove(".f.tmp");
    }),
    ("remove and create", |side| {
        side.remove("f");
        side.put("f", b"text");
    }),
    ("metadata", |side| {
        let file = side.open("f").unwrap();
        file.set_mode(0o600).unwrap();
        file.set_owner(rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw()).unwrap();
    }),
    ("links", |side| {
        side.dir("").link("f".as_ref(), "hard".as_ref()).unwrap();
        side.dir("").symlink("f".as_ref(), "soft".as_ref()).unwrap();
        write_all_at(&*side.open("hard").unwrap(), b"text", 0).unwrap();
    }),
    ("from one directory to another, and a late writer", |side| {
        let late = side.open("f").unwrap();
        side.rename("f", "d/g");
        write_all_at(&*late, b"late", 0).unwrap();
        side.remove("d/g");
        write_all_at(&*late, b"later", 0).unwrap();
    }),
    ("a writer of what was replaced", |side| {
        let late = side.open("f").unwrap();
        side.put("g", b"text");
        side.rename("g", "f");
        write_all_at(&*late, b"late", 0).unwrap();
    }),
    ("nested directories", |side| {
        side.fs.create_dir(&side.base.join("d/e")).unwrap();
        side.watch("d/e");
        side.put("d/e/f", b"text");
        side.remove("d/e/f");
        side.dir("d").remove_dir("e".as_ref()).unwrap();
    }),
    ("a watched directory moves", |side| {
        side.rename("d", "moved");
        side.put("moved/f", b"told by the old path");
        side.listen();
        side.watch("moved");
        side.put("moved/g", b"told by both");
        side.listen();
        side.events.remove(&side.base.join("d"));
        side.put("moved/h", b"told by the new path");
    }),
    ("another directory takes the place", |side| {
        side.fs.create_dir(&side.base.join("other")).unwrap();
        side.rename("d", "moved");
        side.rename("other", "d");
        side.listen();
        side.watch("d");
        side.put("moved/f", b"not told");
        side.put("d/f", b"told");
    }),
    ("a directory replaces an empty one", |side| {
        side.fs.create_dir(&side.base.join("other")).unwrap();
        side.watch("other");
        side.rename("other", "d");
    }),
];

/// WATCH-1 (L42): what editors do is told alike, hint for hint.
#[test]
fn the_kernel_tells_alike() {
    let mut differ = Vec::new();
    for (name, dance) in DANCES {
        let (_tmp, sides) = both();
        let [real, sim] = sides.map(|mut side| {
            side.put("f", b"old text");
            side.fs.create_dir(&side.base.join("d")).unwrap();
            side.watch("d");
            side.heard();
            dance(&mut side);
            side.heard()
        });
        if real != sim {
            differ.push(format!("{name}:\n  kernel {real:?}\n  sim    {sim:?}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

/// Random calls on two watched directories.
struct Dice {
    rng: Rng,
    files: [Vec<Box<dyn FsFile>>; 2],
}

impl Dice {
    fn path(&mut self) -> String {
        format!("{}{}", ["", "d/"][self.rng.below(2)], ["a", "b", "c"][self.rng.below(3)])
    }

    /// One call on both; what it was, and whether they answered alike.
    fn throw(&mut self, sides: &[Side; 2]) -> (String, bool) {
        let (a, b) = (self.path(), self.path());
        if self.files[0].is_empty() || self.rng.below(2) == 0 {
            let verb = self.rng.below(9);
            let ok = [0, 1].map(|at| {
                let ((here, from), (there, to)) = (sides[at].place(&a), sides[at].place(&b));
                let opened = match verb {
                    0 | 1 => here.create_new(from, 0o644).map(Some),
                    2 => here.open(from, Access::ReadWrite).map(Some),
                    3 => here.rename(from, to).map(|()| None),
                    4 => here.exchange(from, to).map(|()| None),
                    5 => here.link(from, to).map(|()| None),
                    6 => here.move_to(from, &*there, to).map(|()| None),
                    7 => here.move_over(from, &*there, to).map(|()| None),
                    _ => here.remove(from).map(|()| None),
                };
                let ok = opened.is_ok();
                self.files[at].extend(opened.ok().flatten());
                ok
            });
            return (format!("{verb} {a} {b}"), ok[0] == ok[1]);
        }
        let (verb, which) = (self.rng.below(5), self.rng.below(self.files[0].len()));
        let ok = [0, 1].map(|at| {
            let file = self.files[at].swap_remove(which);
            let done = match verb {
                0 => return true,
                1 => file.write_at(b"text", 0).map(drop),
                2 => file.set_len(1),
                3 => file.set_mode(0o640),
                _ => file.read_at(&mut [0; 4], 0).map(drop),
            };
            self.files[at].push(file);
            done.is_ok()
        });
        (format!("on an open file: {verb}"), ok[0] == ok[1])
    }
}

/// WATCH-1 (L42): 12 × 400 random calls, with files held open through renames, exchanges and removals, are told alike.
#[test]
fn dice_are_told_alike() {
    for seed in 0..12 {
        let (_tmp, mut sides) = both();
        for side in &mut sides {
            side.fs.create_dir(&side.base.join("d")).unwrap();
            side.watch("d");
            side.heard();
        }
        let mut dice = Dice { rng: Rng::new(seed), files: [Vec::new(), Vec::new()] };
        let mut story = Vec::new();
        for _ in 0..400 {
            let (call, alike) = dice.throw(&sides);
            story.push(call);
            let last = &story[story.len().saturating_sub(25)..];
            assert!(alike, "seed {seed}: other answers after {last:#?}");
            let [real, sim] = &mut sides;
            assert_eq!(real.heard(), sim.heard(), "seed {seed}: kernel and simulation differ after {last:#?}");
        }
    }
}
