//! The simulation against the kernel: the same calls, by the same dice, have the same answers.

use std::ffi::OsStr;
use std::fmt::Debug;

use super::*;
use crate::RealFs;
use crate::fs::FsFile;
use crate::sim::dials::Rng;
use crate::types::{Access, FileKind, LockKind, Stat, WriterProbe};

/// Two things that should behave alike: the kernel's and ours.
type Pair<T> = (T, T);

/// What both must answer alike: values, and errors with their number.
fn answer<T: Debug>(result: io::Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(e) => format!("{:?} {:?}", e.kind(), e.raw_os_error()),
    }
}

/// Facts that do not depend on the machine.
fn facts(stat: &Stat) -> (FileKind, u64, u64, u32) {
    let file = stat.kind != FileKind::Dir;
    (stat.kind, if file { stat.size } else { 0 }, if file { stat.nlink } else { 0 }, if file { stat.mode } else { 0 })
}

/// Names in a directory.
fn names_in(dir: &dyn FsDir) -> Vec<std::ffi::OsString> {
    let mut names = Vec::new();
    dir.list(&mut |name| {
        names.push(name);
        true
    })
    .unwrap();
    names.sort();
    names
}

struct Duel {
    rng: Rng,
    dirs: [Pair<Arc<dyn FsDir>>; 2],
    files: Vec<Pair<Box<dyn FsFile>>>,
}

impl Duel {
    fn name(&mut self) -> &'static OsStr {
        OsStr::new(["a", "b", "c", "d", "link"][self.rng.below(5)])
    }

    fn keep(&mut self, (real, sim): Pair<io::Result<Box<dyn FsFile>>>) -> Pair<String> {
        let answers = (answer(real.as_ref().map(drop).map_err(copy)), answer(sim.as_ref().map(drop).map_err(copy)));
        if let (Ok(real), Ok(sim)) = (real, sim) {
            self.files.push((real, sim));
        }
        answers
    }

    /// One call on a directory.
    fn on_names(&mut self) -> (String, Pair<String>) {
        let (here, there) = (self.rng.below(2), self.rng.below(2));
        let (real, sim) = self.dirs[here].clone();
        let (a, b) = (self.name(), self.name());
        let both = |name: &str, call: &dyn Fn(&dyn FsDir) -> io::Result<()>| {
            (format!("{name} {here} {} {}", a.display(), b.display()), (answer(call(&*real)), answer(call(&*sim))))
        };
        match self.rng.below(11) {
            0 => both("rename", &|dir| dir.rename(a, b)),
            1 => both("rename_new", &|dir| dir.rename_new(a, b)),
            2 => both("exchange", &|dir| dir.exchange(a, b)),
            3 => both("link", &|dir| dir.link(a, b)),
            4 => both("remove", &|dir| dir.remove(a)),
            5 => {
                let target = &self.dirs[there];
                let answers = (answer(real.move_to(a, &*target.0, b)), answer(sim.move_to(a, &*target.1, b)));
                (format!("move_to {here} {} {there} {}", a.display(), b.display()), answers)
            }
            10 => {
                let target = &self.dirs[there];
                let answers = (answer(real.move_over(a, &*target.0, b)), answer(sim.move_over(a, &*target.1, b)));
                (format!("move_over {here} {} {there} {}", a.display(), b.display()), answers)
            }
            6 => {
                let look = |dir: &dyn FsDir| {
                    let (a, b) = (dir.stat(a), dir.stat(b));
                    let same = a.as_ref().ok().map(|a| a.id) == b.as_ref().ok().map(|b| b.id);
                    answer(a.map(|a| (facts(&a), same)))
                };
                (format!("stat {here} {} {}", a.display(), b.display()), (look(&*real), look(&*sim)))
            }
            7 => {
                let files = (real.create_new(a, 0o600), sim.create_new(a, 0o600));
                (format!("create_new {here} {}", a.display()), self.keep(files))
            }
            _ => {
                let access = [Access::Read, Access::ReadWrite, Access::Append][self.rng.below(3)];
                let files = (real.open(a, access), sim.open(a, access));
                (format!("open {here} {} {access:?}", a.display()), self.keep(files))
            }
        }
    }

    /// One call on an open file.
    fn on_file(&mut self) -> (String, Pair<String>) {
        let at = self.rng.below(self.files.len());
        let (offset, len) = (self.rng.next() % 2000, self.rng.below(1500));
        let kind = if self.rng.coin() { LockKind::Shared } else { LockKind::Exclusive };
        let (start, bytes) = (self.rng.next() % 8, self.rng.next() % 4);
        if self.rng.below(8) == 0 {
            self.files.swap_remove(at);
            return ("close".into(), Default::default());
        }
        let choice = self.rng.below(12);
        let (real, sim) = &self.files[at];
        let both =
            |name: &str, call: &dyn Fn(&dyn FsFile) -> String| (format!("{name} {at}"), (call(&**real), call(&**sim)));
        match choice {
            0 => both("write", &|file| answer(file.write_at(&vec![b'w'; len], offset))),
            1 => both("set_len", &|file| answer(file.set_len(offset))),
            2 => both("read", &|file| {
                let mut buf = vec![0; len];
                answer(file.read_at(&mut buf, offset).map(|n| buf[..n].to_vec()))
            }),
            3 => both("stat", &|file| answer(file.stat().map(|stat| facts(&stat)))),
            4 => both("try_lock", &|file| answer(file.try_lock(kind))),
            5 => both("unlock", &|file| answer(file.unlock())),
            6 => both("try_lock_range", &|file| answer(file.try_lock_range(start, bytes, kind))),
            7 => both("unlock_range", &|file| answer(file.unlock_range(start, bytes))),
            9 => both("append", &|file| answer(file.append(&vec![b'a'; len]))),
            10 => both("sync_data", &|file| answer(file.sync_data())),
            8 => both("range_is_locked", &|file| answer(file.range_is_locked(start, bytes))),
            _ => both("probe_writers", &|file| {
                let regular = file.stat().unwrap().is_file();
                if regular { answer(file.probe_writers()) } else { String::new() }
            }),
        }
    }
}

/// The simulation can do what this machine's temporary directory can.
fn dials_like(path: &std::path::Path) -> Dials {
    let dir = RealFs.open_dir(path).unwrap();
    let names = [OsStr::new("a"), OsStr::new("b")];
    let files = names.map(|name| dir.create_new(name, 0o600).unwrap());
    let dials = Dials {
        exchange: dir.exchange(names[0], names[1]).is_ok(),
        leases: files[0].probe_writers().unwrap() != WriterProbe::Unknown,
        range_locks: files[0].try_lock_range(0, 1, LockKind::Exclusive).is_ok(),
        ..Dials::default()
    };
    for name in names {
        dir.remove(name).unwrap();
    }
    dials
}

fn copy(e: &io::Error) -> io::Error {
    e.raw_os_error().map_or_else(|| e.kind().into(), io::Error::from_raw_os_error)
}

/// TEST-3: 20 × 1,500 random calls on two directories, a link and a dozen open files.
#[test]
fn the_kernel_answers_alike() {
    let mut succeeded = BTreeSet::new();
    for seed in 0..20 {
        let tmp = tempfile::tempdir().unwrap();
        let path = RealFs.canonicalize(tmp.path()).unwrap();
        let fs = SimFs::new(dials_like(&path));
        RealFs.create_dir(&path.join("d")).unwrap();
        fs.create_dir("/d".as_ref()).unwrap();
        std::os::unix::fs::symlink("a", path.join("link")).unwrap();
        fs.foreign().symlink("a", "/link").unwrap();
        let real = [RealFs.open_dir(&path).unwrap(), RealFs.open_dir(&path.join("d")).unwrap()];
        let sim = [root(&fs), fs.open_dir("/d".as_ref()).unwrap()];
        let dirs = [(real[0].clone(), sim[0].clone()), (real[1].clone(), sim[1].clone())];
        let mut duel = Duel { rng: Rng::new(seed), dirs, files: Vec::new() };
        let mut story = Vec::new();
        for _ in 0..1500 {
            let names = duel.files.is_empty() || (duel.files.len() < 12 && duel.rng.coin());
            let (call, (real, sim)) = if names { duel.on_names() } else { duel.on_file() };
            if !real.contains("Some(") {
                succeeded.insert(call.split(' ').next().map(str::to_owned));
            }
            story.push(call);
            let last = &story[story.len().saturating_sub(25)..];
            assert_eq!(real, sim, "seed {seed}: kernel and simulation differ after {last:#?}");
        }
    }
    assert_eq!(succeeded.len(), 22, "every verb also came out well: {succeeded:?}");
}

/// TEST-3: directories and links that are removed and made, where the kernel would and would not.
#[test]
fn directories_and_links_alike() {
    let tmp = tempfile::tempdir().unwrap();
    let path = RealFs.canonicalize(tmp.path()).unwrap();
    let fs = SimFs::default();
    let (real, sim) = (RealFs.open_dir(&path).unwrap(), root(&fs));
    for (dir, base) in [(&real, path.as_path()), (&sim, std::path::Path::new("/"))] {
        for name in ["empty", "full"] {
            let made = if base == path { RealFs.create_dir(&base.join(name)) } else { fs.create_dir(&base.join(name)) };
            made.unwrap();
        }
        dir.create_new("file".as_ref(), 0o600).unwrap();
        dir.symlink("file".as_ref(), "link".as_ref()).unwrap();
    }
    RealFs.open_dir(&path.join("full")).unwrap().create_new("x".as_ref(), 0o600).unwrap();
    fs.open_dir("/full".as_ref()).unwrap().create_new("x".as_ref(), 0o600).unwrap();
    let emptied = (RealFs.open_dir(&path.join("empty")).unwrap(), fs.open_dir("/empty".as_ref()).unwrap());
    for name in ["empty", "full", "file", "link", "gone"] {
        let name = OsStr::new(name);
        assert_eq!(answer(real.remove_dir(name)), answer(sim.remove_dir(name)), "{}", name.display());
    }
    let orphan = |dir: &dyn FsDir| answer(dir.create_new("late".as_ref(), 0o600).map(drop));
    assert_eq!(orphan(&*emptied.0), orphan(&*emptied.1), "a directory that is gone takes nothing more");
    for name in ["file", "link", "new"] {
        let make = |dir: &dyn FsDir| answer(dir.symlink("nowhere".as_ref(), name.as_ref()));
        assert_eq!(make(&*real), make(&*sim), "{name}");
    }
    for name in ["full", "file", "link", "gone", "made"] {
        let name = OsStr::new(name);
        let make = |dir: &dyn FsDir| answer(dir.create_dir(name, 0o700));
        assert_eq!(make(&*real), make(&*sim), "{}", name.display());
        let enter = |dir: &dyn FsDir| answer(dir.open_dir(name).map(|dir| names_in(&*dir)));
        assert_eq!(enter(&*real), enter(&*sim), "{}", name.display());
    }
    assert_eq!(real.stat("made".as_ref()).unwrap().mode, 0o700);
    assert_eq!(sim.stat("made".as_ref()).unwrap().mode, 0o700);
    let through = |dir: &dyn FsDir| answer(dir.open("link".as_ref(), Access::Read).map(drop));
    assert_eq!(through(&*real), through(&*sim));
}

/// TEST-3, SERVE-7: directories below another, by the kernel's one call, step by step, and in the simulation: what is reached and what not.
#[test]
fn directories_below_alike() {
    let tmp = tempfile::tempdir().unwrap();
    let path = RealFs.canonicalize(tmp.path()).unwrap();
    let fs = SimFs::default();
    for dir in ["in", "in/a", "in/a/b", "out"] {
        RealFs.create_dir(&path.join(dir)).unwrap();
        fs.create_dir(&std::path::Path::new("/").join(dir)).unwrap();
    }
    let (real, sim) = (RealFs.open_dir(&path.join("in")).unwrap(), fs.open_dir("/in".as_ref()).unwrap());
    for dir in [&real, &sim] {
        dir.create_new("file".as_ref(), 0o600).unwrap();
        for (text, name) in [("a", "near"), ("../out", "far"), ("nowhere", "broken"), ("round", "round"), ("/", "top")]
        {
            dir.symlink(text.as_ref(), name.as_ref()).unwrap();
        }
        dir.open_dir("a".as_ref()).unwrap().symlink("..".as_ref(), "up".as_ref()).unwrap();
    }
    let long = "n".repeat(256);
    let mut reached = 0;
    for asked in [
        "a",
        "a/b",
        "a//b/",
        "a/./b",
        "near",
        "near/b",
        "a/up",
        "a/up/a",
        "far",
        "far/x",
        "broken",
        "round",
        "top",
        "file",
        "file/x",
        "gone",
        "gone/x",
        "a/gone",
        long.as_str(),
        "",
        ".",
        "./a",
        "..",
        "a/..",
        "a/../a",
        "../in",
        "/",
        "/in",
    ] {
        let below = |dir: &dyn FsDir| dir.open_beneath(asked.as_ref());
        assert_eq!(
            answer(below(&*real).map(|dir| names_in(&*dir))),
            answer(below(&*sim).map(|dir| names_in(&*dir))),
            "{asked}"
        );
        let stepped = crate::fs::descend(asked.as_ref(), |name| real.open_dir(name));
        assert_eq!(stepped.as_ref().ok().map(|dir| dir.id()), below(&*real).ok().map(|dir| dir.id()), "{asked}");
        reached += usize::from(stepped.is_ok());
        // What is reached is what is there, by one name after the other; a link at the end is a link.
        let facts = |dir: &dyn FsDir| answer(dir.stat_beneath(asked.as_ref()).map(|stat| stat.kind));
        assert_eq!(facts(&*real), facts(&*sim), "{asked}");
        if let Ok(dir) = &stepped {
            assert_eq!(real.stat_beneath(asked.as_ref()).unwrap().id, dir.id(), "{asked}");
        }
    }
    assert_eq!(reached, 4, "what has neither links nor steps upwards on its way");
    for name in ["near", "far", "broken", "top", "file", "a", "gone"] {
        let text = |dir: &dyn FsDir| answer(dir.read_link(name.as_ref()));
        assert_eq!(text(&*real), text(&*sim), "{name}");
    }
    let moved = (real.open_beneath("a/b".as_ref()).unwrap(), sim.open_beneath("a/b".as_ref()).unwrap());
    real.rename("a".as_ref(), "c".as_ref()).unwrap();
    sim.rename("a".as_ref(), "c".as_ref()).unwrap();
    for dir in [&moved.0, &moved.1] {
        dir.create_new("late".as_ref(), 0o600).unwrap();
    }
    let late = |dir: &dyn FsDir| answer(dir.open_beneath("c/b".as_ref()).map(|dir| names_in(&*dir)));
    assert_eq!(late(&*real), late(&*sim), "an open directory stays the same");
}
