//! Two or three processes at once, in every order of their calls: who holds, what is lost, who hangs (TEST-3).
//!
//! The orders are those with few preemptions, and a sample of all. The quick set is for every build; with the environment variable
//! `FILELATCH_FULL` set, one preemption more is allowed, and samples are ten times as large (minutes). What is printed is how
//! many there were.
#![expect(clippy::disallowed_methods, reason = "how long an exploration took is printed")]

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use filelatch::{
    Error, Expect, Filelatch, HardLinks, LatchFile, LeaseOptions, LockMode, LockOptions, Policy, Version, WriteOptions,
};
use filelatch_fs::sim::{Dials, Flock, Plan, Schedules, SimFs};
use filelatch_fs::{Access, Fs, LockKind};

use super::support::is_full;

/// An engine on this process.
fn engine(fs: &SimFs, policy: Policy) -> Filelatch {
    let builder = Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).without_workspaces();
    builder.defaults(policy).session("test").build()
}

/// All orders with few preemptions, then some of the others; nothing may be wrong.
#[track_caller]
pub(crate) fn run(name: &str, limits: &Schedules, samples: usize, plan: impl Fn(&mut Plan)) {
    let mut limits = limits.clone();
    let full = is_full();
    if full {
        limits.preemptions = limits.preemptions.map(|n| n + 1);
        limits.most *= 100;
    }
    let began = std::time::Instant::now();
    let explored = limits.explore(&plan);
    println!("{name}: {} schedules, {} steps, {:?}", explored.schedules, explored.steps, began.elapsed());
    explored.assert_complete();
    limits.sample(1, samples * if full { 10 } else { 1 }, &plan).assert_clean();
    println!("{name}: {samples} samples {:?}", began.elapsed());
}

pub(crate) fn few(preemptions: usize) -> Schedules {
    let dials = Dials { enumerate: 60, samples: 10, ..Dials::default() };
    Schedules { dials, steps: 3_000, ..Schedules::with_preemptions(preemptions) }
}

fn exists(fs: &SimFs) {
    fs.foreign().create("/a", b"old").unwrap();
}

/// Counts who is inside.
#[derive(Clone, Debug, Default)]
struct Inside {
    writers: Arc<AtomicUsize>,
    readers: Arc<AtomicUsize>,
    /// How many have been.
    visits: Arc<AtomicUsize>,
}

impl Inside {
    /// Makes a call inside, so that others can come between.
    fn visit(&self, fs: &SimFs, writes: bool) {
        let mine = if writes { &self.writers } else { &self.readers };
        mine.fetch_add(1, Relaxed);
        fs.stat("/a".as_ref()).ok();
        self.visits.fetch_add(1, Relaxed);
        mine.fetch_sub(1, Relaxed);
    }

    fn check(&self) -> Result<(), String> {
        match (self.writers.load(Relaxed), self.readers.load(Relaxed)) {
            (0, _) | (1, 0) => Ok(()),
            both => Err(format!("writers and readers inside at once: {both:?}")),
        }
    }
}

/// Processes that lock `/a`, to write or not, and visit.
fn lockers<const N: usize>(plan: &mut Plan, kinds: [bool; N]) -> Inside {
    lockers_with(plan, kinds, Policy::default())
}

fn lockers_with<const N: usize>(plan: &mut Plan, kinds: [bool; N], policy: Policy) -> Inside {
    let inside = Inside::default();
    for (name, writes) in ["one", "two"].into_iter().zip(kinds) {
        let visitor = inside.clone();
        plan.process(name, move |fs| {
            let Ok(file) = engine(fs, policy).file("/a") else { return };
            let options = LockOptions::new();
            if writes {
                if let Ok(_guard) = file.lock(&options) {
                    visitor.visit(fs, true);
                }
            } else if let Ok(_guard) = file.lock_shared(&options) {
                visitor.visit(fs, false);
            }
        });
    }
    let always = inside.clone();
    plan.always(move |_| always.check());
    inside
}

/// Both of them must have been inside.
fn both_visit(plan: &mut Plan, kinds: [bool; 2]) {
    let inside = lockers(plan, kinds);
    plan.at_end(move |_| match inside.visits.load(Relaxed) {
        2 => Ok(()),
        other => Err(format!("{other} of two had the lock")),
    });
}

/// Without byte ranges there is no gate to queue at.
fn gateless(limits: &Schedules) -> Schedules {
    Schedules { dials: Dials { range_locks: false, ..limits.dials }, ..limits.clone() }
}

/// LOCK-1 (L5): two processes that both make the lock file never hold the lock at once, and both get it.
#[test]
fn exclusive_locks() {
    let plan = |plan: &mut Plan| {
        exists(plan.fs());
        both_visit(plan, [true, true]);
    };
    run("exclusive", &few(2), 50, plan);
    run("exclusive, no gate", &gateless(&few(2)), 50, plan);
}

/// LOCK-1: a writer is never inside with a reader, and both get in.
#[test]
fn shared_and_exclusive_locks() {
    let plan = |plan: &mut Plan| {
        exists(plan.fs());
        both_visit(plan, [true, false]);
    };
    run("shared", &few(2), 50, plan);
    run("shared, no gate", &gateless(&few(1)), 50, plan);
}

/// LOCK-1 (L5): somebody who holds the lock removes the lock file: whoever opened it before is not deceived by a lock on a file that has
/// no name.
#[test]
fn a_lock_file_that_is_removed() {
    run("removed", &few(1), 100, |plan| {
        exists(plan.fs());
        plan.fs().foreign().create("/.a.lock", b"").unwrap();
        both_visit(plan, [true, true]);
        plan.process("remover", |fs| {
            let remove = || {
                let dir = fs.open_dir("/".as_ref())?;
                let file = dir.open(".a.lock".as_ref(), Access::ReadWrite)?;
                if file.try_lock(LockKind::Exclusive)? {
                    // Its own lock file, or somebody's that has come since?
                    if dir.stat(".a.lock".as_ref())?.id == file.stat()?.id {
                        dir.remove(".a.lock".as_ref())?;
                    }
                }
                std::io::Result::Ok(())
            };
            remove().ok();
        });
    });
}

/// LOCK-2: a process that dies at any point, waiting or holding, leaves the lock to the other.
#[test]
fn a_death_frees_the_lock() {
    let limits = Schedules { deaths: 1, ..few(1) };
    run("death", &limits, 100, |plan| {
        exists(plan.fs());
        let inside = lockers(plan, [true, true]);
        plan.at_end(move |fs| {
            let file = engine(fs, Policy::default()).file("/a").map_err(|e| e.to_string())?;
            file.try_lock().map(drop).map_err(|e| format!("the next start is blocked: {e}"))?;
            match inside.visits.load(Relaxed) {
                1 | 2 => Ok(()),
                other => Err(format!("{other} of two had the lock")),
            }
        });
    });
}

/// What the dead leave: a fallback lock, and somebody's right to take it over.
fn stale_fallback_lock(fs: &SimFs, taker: bool) {
    let dead = |id: &str| {
        let record = r#"{"v":1,"mode":"file","pid":77,"pidns":1,"start":5,"boot":"sim-boot-1","host":"sim","id":"ID"}"#;
        format!("{}\n{:020}\n", record.replace("ID", id), 0)
    };
    fs.foreign().create("/.a.lock.held", dead("00000000000000aa").as_bytes()).unwrap();
    if taker {
        let name = "/.a.lock.held.00000000000000aa";
        fs.foreign().create(name, dead("00000000000000bb").as_bytes()).unwrap();
    }
}

fn by_file() -> Policy {
    let mut policy = Policy::default();
    policy.lock = LockMode::File;
    policy
}

/// Where nothing but the fallback lock excludes.
fn without_flock(limits: &Schedules) -> Schedules {
    let dials = Dials { flock: Flock::Missing, range_locks: false, lock_table: false, ..limits.dials };
    Schedules { dials, ..limits.clone() }
}

/// Nobody holds, and nothing of a fallback lock is left.
fn tidy(fs: &SimFs) -> Result<(), String> {
    let names = fs.foreign().names("/").map_err(|e| e.to_string())?;
    let left: Vec<_> = names.into_iter().filter(|name| name.contains(".held")).collect();
    if left.is_empty() { Ok(()) } else { Err(format!("left: {left:?}")) }
}

/// LOCK-3, LOCK-11: two processes take a fallback lock one after the other, with nothing else to exclude them.
#[test]
fn fallback_locks() {
    run("fallback", &without_flock(&few(1)), 300, |plan| {
        exists(plan.fs());
        let inside = lockers_with(plan, [true, true], by_file());
        plan.at_end(move |fs| match inside.visits.load(Relaxed) {
            2 => tidy(fs),
            other => Err(format!("{other} of two had the lock")),
        });
    });
}

/// LOCK-10 ⚠: two processes meet a stale fallback lock, and one that a dead taker has left a right over: never two are inside, both get
/// in, and nothing is left.
#[test]
fn a_stale_fallback_lock() {
    for taker in [false, true] {
        run("stale", &without_flock(&few(1)), 300, move |plan| {
            exists(plan.fs());
            stale_fallback_lock(plan.fs(), taker);
            let inside = lockers_with(plan, [true, true], by_file());
            plan.at_end(move |fs| match inside.visits.load(Relaxed) {
                2 => tidy(fs),
                other => Err(format!("{other} of two had the lock")),
            });
        });
    }
}

/// LOCK-10, LOCK-11: one of the two dies, at any point of taking over, holding or releasing: the other gets in, and so does the next.
#[test]
fn a_death_around_a_stale_fallback_lock() {
    let limits = without_flock(&Schedules { deaths: 1, ..few(0) });
    run("stale, death", &limits, 300, |plan| {
        exists(plan.fs());
        stale_fallback_lock(plan.fs(), false);
        let inside = lockers_with(plan, [true, true], by_file());
        plan.at_end(move |fs| {
            let file = engine(fs, by_file()).file("/a").map_err(|e| e.to_string())?;
            file.try_lock().map(drop).map_err(|e| format!("the next start is blocked: {e}"))?;
            match inside.visits.load(Relaxed) {
                1 | 2 => Ok(()),
                other => Err(format!("{other} of two had the lock")),
            }
        });
    });
}

/// What the processes were told.
type Told = Arc<Mutex<Vec<(&'static str, Result<(), String>)>>>;

fn acknowledged(told: &Told) -> Vec<&'static str> {
    told.lock().unwrap().iter().filter(|(_, result)| result.is_ok()).map(|(who, _)| *who).collect()
}

fn tell<T>(told: &Told, who: &'static str, result: Result<T, Error>) {
    let result = result.map(drop).map_err(|e| format!("{} ({e})", e.code()));
    told.lock().unwrap().push((who, result));
}

fn append(file: &LatchFile, token: &str) -> Result<(), Error> {
    let change = |old: Option<&[u8]>| Ok::<_, Error>(Some([old.unwrap_or_default(), token.as_bytes()].concat()));
    file.update_bytes(&WriteOptions::new(), change).map(drop)
}

/// Two processes, each appending its name to `/a`.
fn appenders(plan: &mut Plan, policy: Policy) -> Told {
    exists(plan.fs());
    let told = Told::default();
    for who in ["1", "2"] {
        let told = Arc::clone(&told);
        plan.process(who, move |fs| {
            let result = engine(fs, policy).file("/a").and_then(|file| append(&file, who));
            tell(&told, who, result);
        });
    }
    told
}

/// Acknowledged changes are there, others perhaps, none twice.
fn check_appended(fs: &SimFs, told: &Told) -> Result<(), String> {
    let found = fs.foreign().read("/a").map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&found);
    let tokens = text.strip_prefix("old").ok_or_else(|| format!("no beginning: {text:?}"))?;
    let wrong = |token: &str| match tokens.matches(token).count() {
        0 => acknowledged(told).contains(&token),
        1 => false,
        _ => true,
    };
    if tokens.len() > 2 || wrong("1") || wrong("2") {
        return Err(format!("{text:?}, and told: {:?}", told.lock().unwrap()));
    }
    Ok(())
}

fn both(told: &Told) -> Result<(), String> {
    match acknowledged(told).len() {
        2 => Ok(()),
        _ => Err(format!("not both: {:?}", told.lock().unwrap())),
    }
}

/// VER-7: two updates of one file by two processes are both there, in every order; also where names can't be exchanged, and where there
/// is no gate.
#[test]
fn two_updates() {
    let plan = |plan: &mut Plan| {
        let told = appenders(plan, Policy::default());
        plan.at_end(move |fs| check_appended(fs, &told).and_then(|()| both(&told)));
    };
    run("updates", &few(1), 50, plan);
    let poor = Schedules { dials: Dials { exchange: false, ..Dials::usual()[2] }, ..few(1) };
    run("updates on a poor file system", &poor, 50, plan);
}

/// VER-11, P5.5: somebody removes the lock file by hand, while it is held: two have the lock now, and still neither change is lost, for the
/// comparison at the exchange does not depend on it, and a sweep that is not alone removes nothing.
#[test]
fn two_updates_while_the_lock_file_is_removed() {
    run("updates, lock file removed", &few(0), 800, |plan| {
        let told = appenders(plan, Policy::default());
        plan.process("rm", |fs| {
            fs.open_dir("/".as_ref()).and_then(|dir| dir.remove(".a.lock".as_ref())).ok();
        });
        plan.at_end(move |fs| check_appended(fs, &told).and_then(|()| both(&told)));
    });
}

/// ATOM-1, LOCK-2: one of two updating processes dies at any point: what was acknowledged is there, and the other finishes.
#[test]
fn two_updates_and_a_death() {
    let limits = Schedules { deaths: 1, ..few(0) };
    run("updates, death", &limits, 100, |plan| {
        let told = appenders(plan, Policy::default());
        plan.at_end(move |fs| {
            check_appended(fs, &told)?;
            if acknowledged(&told).is_empty() {
                return Err(format!("nobody finished: {:?}", told.lock().unwrap()));
            }
            let file = engine(fs, Policy::default()).file("/a").map_err(|e| e.to_string())?;
            append(&file, "3").map_err(|e| format!("the next start is blocked: {e}"))
        });
    });
}

/// Two processes that write their names where the same is expected; exactly one may win.
fn rivals(plan: &mut Plan, policy: Policy, expect: &Expect) -> Told {
    let told = Told::default();
    for who in ["1", "2"] {
        let (told, expect) = (Arc::clone(&told), expect.clone());
        plan.process(who, move |fs| {
            let options = WriteOptions::new().expect(expect);
            let result = engine(fs, policy).file("/a").and_then(|file| file.write(who.as_bytes(), &options));
            tell(&told, who, result);
        });
    }
    told
}

/// One wins, its content is there, the other is told of a conflict.
fn check_one_wins(fs: &SimFs, told: &Told) -> Result<(), String> {
    let (winners, all) = (acknowledged(told), told.lock().unwrap().clone());
    let refused = all.iter().filter(|(_, result)| result.as_ref().is_err_and(|e| e.starts_with("conflict"))).count();
    match (&winners[..], fs.foreign().read("/a")) {
        ([winner], Ok(found)) if refused == 1 && found == winner.as_bytes() => Ok(()),
        (_, found) => Err(format!("{all:?}, and the file is {found:?}")),
    }
}

/// VER-1, VER-2: of two writes that expect the same version exactly one wins, and the other is a conflict.
#[test]
fn compare_and_write() {
    run("compare", &few(1), 50, |plan| {
        exists(plan.fs());
        let told = rivals(plan, Policy::default(), &Expect::Version(Version::of(b"old")));
        plan.at_end(move |fs| check_one_wins(fs, &told));
    });
}

/// VER-1: of two that create a file exactly one wins.
#[test]
fn create_if_absent() {
    run("create", &few(1), 50, |plan| {
        let told = rivals(plan, Policy::default(), &Expect::Absent);
        plan.at_end(move |fs| check_one_wins(fs, &told));
    });
}

fn without_locks() -> Policy {
    let mut policy = Policy::default();
    policy.locks = false;
    policy
}

/// VER-11: with locks switched off the comparison alone refuses what it should.
#[test]
fn compare_and_swap_alone() {
    run("create without locks", &few(2), 50, |plan| {
        let told = rivals(plan, without_locks(), &Expect::Absent);
        plan.at_end(move |fs| check_one_wins(fs, &told));
    });
    run("compare without locks", &few(1), 200, |plan| {
        exists(plan.fs());
        let told = rivals(plan, without_locks(), &Expect::Version(Version::of(b"old")));
        plan.at_end(move |fs| check_one_wins(fs, &told));
    });
    run("updates without locks", &few(1), 200, |plan| {
        let told = appenders(plan, without_locks());
        plan.at_end(move |fs| check_appended(fs, &told).and_then(|()| both(&told)));
    });
}

/// ATOM-4: the first publish of a process sweeps leftovers; it never takes the temporary file of a writer that lives, whether that one
/// holds the lock or still prepares.
#[test]
fn a_sweep_spares_the_living() {
    run("sweep", &few(1), 50, |plan| {
        exists(plan.fs());
        let told = Told::default();
        let streamed = Arc::clone(&told);
        plan.process("stream", move |fs| {
            let stream = || {
                let mut writer = engine(fs, Policy::default()).file("/a")?.writer(&WriteOptions::new())?;
                writer.write_all(b"str").and_then(|()| writer.write_all(b"eam")).expect("room");
                Ok::<_, Error>(writer.commit(&LockOptions::new())?)
            };
            tell(&streamed, "stream", stream());
        });
        let updated = Arc::clone(&told);
        plan.process("2", move |fs| {
            let result = engine(fs, Policy::default()).file("/a").and_then(|file| append(&file, "2"));
            tell(&updated, "2", result);
        });
        plan.at_end(move |fs| {
            both(&told)?;
            let (found, names) = (fs.foreign().read("/a").unwrap(), fs.foreign().names("/").unwrap());
            if ![&b"stream"[..], b"stream2"].contains(&&found[..]) || names != [".a.lock", "a"] {
                return Err(format!("{:?} in {names:?}", String::from_utf8_lossy(&found)));
            }
            Ok(())
        });
    });
}

/// VER-8: two changes in two threads of one process, with a power cut after every step: what was acknowledged is on every disk.
#[test]
fn one_batch_and_power_cuts() {
    let limits = Schedules { cuts: true, ..few(1) };
    run("batch", &limits, 10, |plan| {
        exists(plan.fs());
        let (told, process) = (Told::default(), plan.fs().process());
        let engine = engine(&process, Policy::default());
        for who in ["1", "2"] {
            let (told, engine) = (Arc::clone(&told), engine.clone());
            plan.thread(&process, who, move |_| {
                tell(&told, who, engine.file("/a").and_then(|file| append(&file, who)));
            });
        }
        let seen = Arc::clone(&told);
        plan.on_disks(move |fs| check_appended(fs, &seen));
        plan.at_end(move |fs| check_appended(fs, &told).and_then(|()| both(&told)));
    });
}

/// P5.9, LOCK-1: what is written in place is never seen half by whoever locks, and always whole at the end.
#[test]
fn readers_of_a_file_written_in_place() {
    run("in place", &few(1), 50, |plan| {
        exists(plan.fs());
        plan.fs().foreign().link("/a", "/b").unwrap();
        let mut policy = Policy::default();
        policy.hard_links = HardLinks::InPlace;
        let told = Told::default();
        let wrote = Arc::clone(&told);
        plan.process("writer", move |fs| {
            let file = engine(fs, policy).file("/a");
            tell(&wrote, "writer", file.and_then(|file| file.write(b"new and longer", &WriteOptions::new())));
        });
        let read = Arc::clone(&told);
        plan.process("reader", move |fs| {
            let look = || {
                let guard = engine(fs, policy).file("/a")?.lock_shared(&LockOptions::new())?;
                let (one, two) = (guard.read()?, guard.read()?);
                assert_eq!(one.bytes(), two.bytes(), "changed under a shared lock");
                assert!([&b"old"[..], b"new and longer"].contains(&one.bytes()), "torn: {:?}", one.bytes());
                Ok(())
            };
            tell(&read, "reader", look());
        });
        plan.at_end(move |fs| {
            let found = fs.foreign().read("/b").unwrap();
            both(&told).and(if found == b"new and longer" { Ok(()) } else { Err(format!("{found:?}")) })
        });
    });
}

/// LOCK-1: two threads of one process and another process: the lock is handed on inside the process and between the two, never to two at
/// once, and all get it.
#[test]
fn threads_and_processes() {
    run("threads", &few(1), 50, |plan| {
        exists(plan.fs());
        let (inside, process) = (lockers(plan, [true]), plan.fs().process());
        let engine = engine(&process, Policy::default());
        // What a reader waits for is not handed on inside the process, but given back and asked for again.
        for (name, writes) in [("writer", true), ("reader", false)] {
            let (visitor, engine) = (inside.clone(), engine.clone());
            plan.thread(&process, name, move |fs| {
                let Ok(file) = engine.file("/a") else { return };
                if writes {
                    if let Ok(_guard) = file.lock(&LockOptions::new()) {
                        visitor.visit(fs, true);
                    }
                } else if let Ok(_guard) = file.lock_shared(&LockOptions::new()) {
                    visitor.visit(fs, false);
                }
            });
        }
        plan.at_end(move |_| match inside.visits.load(Relaxed) {
            3 => Ok(()),
            other => Err(format!("{other} of three had the lock")),
        });
    });
}

/// LOCK-13: two processes that both take the lease, write under it and give it back are never inside together, and both get it.
#[test]
fn leases() {
    run("leases", &few(1), 20, |plan| {
        exists(plan.fs());
        let inside = Inside::default();
        for name in ["one", "two"] {
            let visitor = inside.clone();
            plan.process(name, move |fs| {
                let Ok(file) = engine(fs, Policy::default()).file("/a") else { return };
                if let Ok(lease) = file.lease(&LeaseOptions::new()) {
                    visitor.visit(fs, true);
                    lease.write(name.as_bytes(), &WriteOptions::new()).ok();
                }
            });
        }
        let always = inside.clone();
        plan.always(move |_| always.check());
        plan.at_end(move |_| if inside.visits.load(Relaxed) == 2 { Ok(()) } else { Err("not both".into()) });
    });
}

/// What a process locks to be inside.
#[derive(Clone, Copy, Debug)]
enum Part {
    Record(&'static str),
    Whole,
    Reads,
}

/// Two processes that lock parts of `/a`, and visit where they must not meet.
fn visitors(plan: &mut Plan, parts: [Part; 2]) -> Inside {
    exists(plan.fs());
    let inside = Inside::default();
    for (name, part) in ["one", "two"].into_iter().zip(parts) {
        let visitor = inside.clone();
        plan.process(name, move |fs| {
            let Ok(file) = engine(fs, Policy::default()).file("/a") else { return };
            let options = LockOptions::new();
            let held = match part {
                Part::Record(record) => {
                    file.lock_record(record, &options).map(|guard| drop((visitor.visit(fs, true), guard)))
                }
                Part::Whole => file.lock(&options).map(|guard| drop((visitor.visit(fs, true), guard))),
                Part::Reads => file.lock_shared(&options).map(|guard| drop((visitor.visit(fs, false), guard))),
            };
            drop(held);
        });
    }
    let always = inside.clone();
    plan.always(move |_| always.check());
    inside
}

/// LOCK-17 (P10): a record has one holder, and excludes who holds the whole file, exclusively or shared; both get in.
#[test]
fn records_and_whole_files() {
    for other in [Part::Record("x"), Part::Whole, Part::Reads] {
        run(&format!("record and {other:?}"), &few(1), 50, |plan| {
            let inside = visitors(plan, [Part::Record("x"), other]);
            plan.at_end(move |_| match inside.visits.load(Relaxed) {
                2 => Ok(()),
                other => Err(format!("{other} of two had the lock")),
            });
        });
    }
}

/// LOCK-2, LOCK-17: one of the two dies at any point: the other gets in, and so does the next, to the record and to the whole file.
#[test]
fn a_death_frees_records() {
    for other in [Part::Record("x"), Part::Whole, Part::Reads] {
        let limits = Schedules { deaths: 1, ..few(0) };
        run(&format!("record and {other:?}, death"), &limits, 30, |plan| {
            let inside = visitors(plan, [Part::Record("x"), other]);
            plan.at_end(move |fs| {
                let file = engine(fs, Policy::default()).file("/a").map_err(|e| e.to_string())?;
                file.try_lock_record("x").map(drop).map_err(|e| format!("the record is not free: {e}"))?;
                file.try_lock().map(drop).map_err(|e| format!("the file is not free: {e}"))?;
                match inside.visits.load(Relaxed) {
                    1 | 2 => Ok(()),
                    other => Err(format!("{other} of two had the lock")),
                }
            });
        });
    }
}

/// Two processes, each appending its name to `/a` under a record of its own.
fn record_appenders(plan: &mut Plan, policy: Policy) -> Told {
    exists(plan.fs());
    let told = Told::default();
    for who in ["1", "2"] {
        let told = Arc::clone(&told);
        plan.process(who, move |fs| {
            let add = |old: Option<&[u8]>| Ok::<_, Error>(Some([old.unwrap_or_default(), who.as_bytes()].concat()));
            let file = engine(fs, policy).file("/a");
            let guard = file.and_then(|file| file.lock_record(who, &LockOptions::new()));
            tell(&told, who, guard.and_then(|guard| guard.update_bytes(&WriteOptions::new(), add)));
        });
    }
    told
}

/// VER-7, LOCK-17: two processes publish under different records: both changes are there; also when one of them dies.
#[test]
fn publishing_under_records() {
    run("records", &few(1), 50, |plan| {
        let told = record_appenders(plan, Policy::default());
        plan.at_end(move |fs| check_appended(fs, &told).and_then(|()| both(&told)));
    });
    let limits = Schedules { deaths: 1, ..few(0) };
    run("records, death", &limits, 50, |plan| {
        let told = record_appenders(plan, Policy::default());
        plan.at_end(move |fs| {
            check_appended(fs, &told)?;
            let file = engine(fs, Policy::default()).file("/a").map_err(|e| e.to_string())?;
            append(&file, "3").map_err(|e| format!("the next start is blocked: {e}"))?;
            if acknowledged(&told).is_empty() {
                Err(format!("nobody finished: {:?}", told.lock().unwrap()))
            } else {
                Ok(())
            }
        });
    });
}

/// P5.9, P10: the same with a file that is written in place: whoever dies half-way leaves a note, and who publishes next under another
/// record completes it first.
#[test]
fn publishing_in_place_under_records() {
    let mut policy = Policy::default();
    policy.hard_links = HardLinks::InPlace;
    let limits = Schedules { deaths: 1, ..few(0) };
    run("records in place, death", &limits, 50, |plan| {
        let told = record_appenders(plan, policy);
        plan.fs().foreign().link("/a", "/b").unwrap();
        plan.at_end(move |fs| {
            let file = engine(fs, policy).file("/a").map_err(|e| e.to_string())?;
            drop(file.try_lock().map_err(|e| format!("the next start is blocked: {e}"))?);
            check_appended(fs, &told)?;
            if acknowledged(&told).is_empty() {
                Err(format!("nobody finished: {:?}", told.lock().unwrap()))
            } else {
                Ok(())
            }
        });
    });
}
