//! Programs that do anything, and hints that come anyhow: whoever believes the reports has what is on the disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use filelatch_fs::sim::{Dials, SimFs, Watching};
use filelatch_fs::{Access, FileKind, Fs, Hint};

use super::super::event::RescanCause;
use super::super::options::WatchOptions;
use super::super::tracker::Report;
use super::world::{World, words};

const DIRS: [&str; 5] = ["/t", "/t/a", "/t/b", "/t/a/c", "/o"];
const NAMES: [&str; 4] = ["x", "y", "z", "d"];
const TEXTS: [&str; 5] = ["", "1", "2", "11", "long text"];

/// Splitmix64.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    fn path(&mut self) -> PathBuf {
        if self.one_in(12) { "/t/a".into() } else { Path::new(self.pick(&DIRS)).join(self.pick(&NAMES)) }
    }
}

/// One thing that a program might do; most of what can't be done now is just refused.
fn act(fs: &SimFs, chance: &mut Chance, log: &mut Vec<String>) {
    let foreign = fs.foreign();
    let (a, b, text) = (chance.path(), chance.path(), chance.pick(&TEXTS));
    let is = |path: &Path, kind| fs.stat(path).is_ok_and(|stat| stat.kind == kind);
    let open = |path: &Path| foreign.open(path, Access::ReadWrite);
    let what = chance.below(15);
    let (name, done) = match what {
        0 | 1 => ("create", foreign.create(&a, text.as_bytes())),
        2 | 3 if is(&a, FileKind::File) => ("overwrite", foreign.overwrite(&a, text.as_bytes())),
        4 if is(&a, FileKind::File) => ("rewrite", foreign.truncate_and_write(&a, text.as_bytes())),
        5 if is(&a, FileKind::File) => ("append", foreign.append(&a, text.as_bytes())),
        6 if is(&a, FileKind::File) => ("chmod", open(&a).and_then(|file| file.set_mode(0o600))),
        7 | 8 => ("rename", foreign.rename(&a, &b)),
        9 => ("remove", foreign.remove(&a)),
        10 if !is(&a, FileKind::Dir) => ("replace", foreign.replace(&a, text.as_bytes())),
        11 => ("mkdir", fs.process().create_dir(&a)),
        12 => ("rmdir", fs.open_dir(a.parent().unwrap()).and_then(|dir| dir.remove_dir(a.file_name().unwrap()))),
        13 => ("symlink", foreign.symlink(&b, &a)),
        14 => (
            "exchange",
            fs.open_dir(a.parent().unwrap()).and_then(|dir| dir.exchange(a.file_name().unwrap(), "x".as_ref())),
        ),
        _ => ("link", foreign.link(&a, &b)),
    };
    if done.is_ok() {
        log.push(format!("{name} {} {} {text:?}", a.display(), b.display()));
    }
}

/// What becomes of hints.
#[derive(Clone, Copy, Debug)]
struct Faults {
    drop: bool,
    delay: bool,
    double: bool,
}

struct Run {
    world: World,
    log: Vec<String>,
    kept: Vec<Hint>,
    lost: bool,
}

impl Run {
    fn new(seed: u64, dials: Dials, roots: &[&str]) -> Run {
        let files = [("/t/x", "1"), ("/t/a/x", "1"), ("/t/a/c/y", "2"), ("/t/b/", ""), ("/o/x", "11")];
        let mut world = World::with(&SimFs::new(dials), &files, roots, &WatchOptions::new());
        world.begin();
        Run { world, log: vec![format!("seed {seed}")], kept: Vec::new(), lost: false }
    }

    fn tell(&mut self, hint: Hint) {
        self.log.push(format!("  {hint:?}"));
        self.world.hint(hint);
    }

    fn hear(&mut self, chance: &mut Chance, faults: Faults) {
        for hint in self.world.told() {
            if faults.drop && chance.one_in(6) {
                self.log.push(format!("  lost: {hint:?}"));
                self.lost = true;
                continue;
            }
            if faults.delay && chance.one_in(3) {
                self.kept.push(hint.clone());
            } else {
                self.tell(hint.clone());
            }
            if faults.double && chance.one_in(4) {
                self.kept.push(hint);
            }
        }
        while !self.kept.is_empty() && chance.one_in(3) {
            let at = chance.below(self.kept.len());
            let hint = self.kept.swap_remove(at);
            self.tell(hint);
        }
    }

    /// What was reported just now is so: nobody else has acted since.
    fn check(&mut self, reports: &[Report]) {
        if reports.is_empty() {
            return;
        }
        self.log.push(format!("  => {:?}", words(reports)));
        let log = self.log.join("\n");
        self.world.believe_or(reports, &log);
        let disk = self.world.disk();
        for report in reports {
            let Report::Change(seen) = report else { continue };
            let (said, there) = (self.world.mirror.get(&seen.path), disk.get(&seen.path));
            assert_eq!(said, there, "{}: reported, and there\n{log}", seen.path.display());
        }
    }

    fn look(&mut self, chance: &mut Chance) {
        let mut out = Vec::new();
        if chance.one_in(8) {
            self.world.tracker.settle_all(&mut out);
        } else {
            let now = self.world.now();
            self.world.tracker.step(now, &mut out);
        }
        self.check(&out);
    }

    fn end(mut self, faults: Faults) {
        while !self.kept.is_empty() {
            let hint = self.kept.swap_remove(0);
            self.tell(hint);
        }
        let mut out = Vec::new();
        while let Some(due) = self.world.tracker.due() {
            self.world.pass(due.saturating_sub(self.world.now()));
            let now = self.world.now();
            self.world.tracker.step(now, &mut out);
            assert!(out.len() < 10_000, "{}", self.log.join("\n"));
        }
        self.check(&out);
        if self.lost {
            let mut out = Vec::new();
            self.world.tracker.rescan(RescanCause::Overflow, &mut out);
            self.check(&out);
        }
        let log = self.log.join("\n");
        assert_eq!(self.world.mirror, self.world.disk(), "reported, and there; {faults:?}\n{log}");
        let mut out = Vec::new();
        self.world.tracker.poll(&mut out);
        assert_eq!(out, [], "a look at everything finds what was not reported\n{log}");
    }
}

fn by_chance(seeds: std::ops::Range<u64>, dials: Dials, roots: &[&str], faults: Faults) {
    for seed in seeds {
        let mut chance = Chance(seed);
        let mut run = Run::new(seed, dials, roots);
        let fs = run.world.fs.clone();
        for _ in 0..=chance.below(40) {
            act(&fs, &mut chance, &mut run.log);
            run.hear(&mut chance, faults);
            if chance.one_in(3) {
                run.world.pass(Duration::from_millis(chance.next() % 15));
            }
            if chance.one_in(3) {
                run.look(&mut chance);
            }
        }
        run.end(faults);
    }
}

const TRUE: Faults = Faults { drop: false, delay: false, double: false };
const LATE: Faults = Faults { drop: false, delay: true, double: true };
const ALL: Faults = Faults { drop: true, delay: true, double: true };

/// Runs of each kind; thirty times as many when the full set is wanted.
#[expect(clippy::disallowed_methods, reason = "a test is told by the environment how much is wanted")]
fn seeds() -> u64 {
    if std::env::var_os("FILELATCH_FULL").is_some() { 1500 } else { 50 }
}

/// WATCH-1: what is reported is true, and leads to what is there: hints in order; late, doubled and in any order; lost too, with a look at everything
/// at the end.
#[test]
fn linux() {
    for faults in [TRUE, LATE, ALL] {
        by_chance(0..seeds(), Dials::default(), &["/t"], faults);
    }
}

/// WATCH-1: the same with a fine clock.
#[test]
fn linux_with_a_fine_clock() {
    let dials = Dials { timestamp_granule: Duration::from_nanos(1), reuse_numbers: false, ..Dials::default() };
    for faults in [TRUE, LATE, ALL] {
        by_chance(10_000..10_000 + seeds(), dials, &["/t"], faults);
    }
}

/// WATCH-1: the same for single files, among them one in the tree, and names that are missing.
#[test]
fn files_that_were_asked_for() {
    for faults in [TRUE, LATE, ALL] {
        by_chance(0..seeds(), Dials::default(), &["/t/a/x", "/t/a", "/t/x", "/t/b/d/x", "/o/x", "/t"], faults);
    }
}

/// WATCH-1: the same where the system covers trees, and says nothing of closing.
#[test]
fn sources_of_trees() {
    let dials = Dials { events: Watching::Trees, ..Dials::default() };
    for faults in [TRUE, LATE, ALL] {
        by_chance(0..seeds(), dials, &["/t"], faults);
    }
}

/// WATCH-4: the same where nothing is told, and everything is looked at now and then.
#[test]
fn polling() {
    for seed in 0..seeds() {
        let mut chance = Chance(seed);
        let mut run = Run::new(seed, Dials::default(), &["/t", "/o/x"]);
        let fs = run.world.fs.clone();
        for _ in 0..=chance.below(40) {
            act(&fs, &mut chance, &mut run.log);
            drop(run.world.told());
            run.world.pass(Duration::from_millis(chance.next() % 15));
            if chance.one_in(5) {
                let mut out = Vec::new();
                run.world.tracker.poll(&mut out);
                run.check(&out);
            }
        }
        run.lost = true;
        run.end(ALL);
    }
}
