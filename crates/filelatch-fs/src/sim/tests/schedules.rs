//! The explorer finds what is planted, and counts what can be counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::fs::{FsFile, read_to_end};
use crate::host::Host;
use crate::sim::{Plan, Schedules};
use crate::types::{Access, LockKind};

fn open(fs: &SimFs, name: &str) -> Box<dyn FsFile> {
    root(fs).open(name.as_ref(), Access::ReadWrite).unwrap()
}

/// Makes so many calls.
fn calls(n: usize) -> impl Fn(&SimFs) + Clone + Send {
    move |fs| {
        for _ in 0..n {
            fs.stat("/".as_ref()).ok();
        }
    }
}

fn explore_straight_lines(lengths: &[usize], limits: &Schedules) -> crate::sim::Explored {
    let explored = limits.explore(|plan| {
        for (i, n) in lengths.iter().enumerate() {
            plan.process(&format!("process {i}"), calls(*n));
        }
    });
    explored.assert_complete();
    explored
}

/// TEST-3: two straight lines of n and m calls have (n+m)!/(n! m!) orders, three as many as the multinomial says; with no
/// preemption there is one for each order of the processes.
#[test]
fn every_order_once() {
    let all = Schedules::default();
    for (n, m, orders) in [(1, 1, 2), (2, 2, 6), (3, 2, 10), (4, 4, 70), (6, 5, 462)] {
        let explored = explore_straight_lines(&[n, m], &all);
        assert_eq!(explored.schedules, orders, "{n} and {m}");
        assert_eq!(explored.steps, orders * (n + m));
    }
    assert_eq!(explore_straight_lines(&[2, 2, 2], &all).schedules, 90);
    assert_eq!(explore_straight_lines(&[5, 5], &Schedules::with_preemptions(0)).schedules, 2);
    // One preemption at any of the four places inside either; what is left has no choice.
    assert_eq!(explore_straight_lines(&[5, 5], &Schedules::with_preemptions(1)).schedules, 2 + 2 * 4);
}

/// A process that is killed makes no more calls: at each of its calls, or never, and each order of what is left.
#[test]
fn every_death_once() {
    let one = Schedules { deaths: 1, ..Schedules::default() };
    // Before each of three calls, or not at all.
    assert_eq!(explore_straight_lines(&[3], &one).schedules, 4);
    // Of one call each: both live: 2. A dies before its call: B's call comes before that or after: 2; B likewise.
    assert_eq!(explore_straight_lines(&[1, 1], &one).schedules, 6);
}

/// Adds one to the number in `/n`, without a lock.
fn count(fs: &SimFs) {
    let file = open(fs, "n");
    let n = read_to_end(&*file, 1).unwrap()[0];
    write_all_at(&*file, &[n + 1], 0).unwrap();
}

fn counting(work: impl Fn(&SimFs) + Clone + Send + 'static) -> impl Fn(&mut Plan) {
    move |plan| {
        plan.fs().foreign().create("/n", &[0]).unwrap();
        plan.process("one", work.clone());
        plan.process("two", work.clone());
        plan.at_end(|fs| match fs.foreign().read("/n").unwrap()[..] {
            [2] => Ok(()),
            ref other => Err(format!("counted {other:?}")),
        });
    }
}

/// TEST-3: an update without a lock is lost in some order: the search finds it, with one preemption; chance finds it; the schedule,
/// and the seed, make it again.
#[test]
fn a_lost_update_is_found_and_replayed() {
    let found = Schedules::with_preemptions(1).explore(counting(count)).violation.expect("one update is lost");
    assert!(found.complaint.contains("counted [1]"), "{found}");
    assert!(found.trace.iter().any(|step| step.starts_with("two: WriteAt /n")), "{found}");
    let again = Schedules::default().replay(&found.schedule, counting(count)).violation.expect("the same again");
    assert_eq!((again.complaint, again.trace), (found.complaint, found.trace));

    let found = Schedules::default().sample(1, 1000, counting(count)).violation.expect("one update is lost");
    let seed = found.seed.expect("the seed");
    let again = Schedules::default().sample(seed, 1, counting(count)).violation.expect("the same again");
    assert_eq!(again.trace, found.trace);
    let again = Schedules::default().replay(&found.schedule, counting(count)).violation.expect("the same again");
    assert_eq!(again.trace, found.trace);

    assert!(Schedules::with_preemptions(0).explore(counting(count)).violation.is_none(), "nothing comes between");
    assert!(Schedules::default().replay("0:7", counting(count)).violation.is_some(), "no such choice");
    assert!(Schedules::default().replay("nonsense", counting(count)).violation.is_some());
}

/// TEST-3: with a lock that is waited for in the kernel nothing is lost, whatever the order; nor with one death, as long as
/// nobody counts on the dead.
#[test]
fn a_lock_keeps_updates() {
    let locked = |fs: &SimFs| {
        let file = open(fs, "n");
        file.lock(LockKind::Exclusive).unwrap();
        count(fs);
        file.unlock().unwrap();
    };
    let explored = Schedules::default().explore(counting(locked));
    explored.assert_complete();
    assert!(explored.schedules > 10, "{explored:?}");
    Schedules::default().sample(5, 50, counting(locked)).assert_clean();
}

/// Two locks in two orders: a deadlock that says who waits.
#[test]
fn a_deadlock_is_found() {
    let plan = |plan: &mut Plan| {
        plan.fs().foreign().create("/a", b"").unwrap();
        plan.fs().foreign().create("/b", b"").unwrap();
        for (name, first, second) in [("one", "a", "b"), ("two", "b", "a")] {
            plan.process(name, move |fs| {
                let (first, second) = (open(fs, first), open(fs, second));
                if first.lock(LockKind::Exclusive).is_ok() {
                    second.lock(LockKind::Exclusive).ok();
                }
            });
        }
    };
    let found = Schedules::default().explore(plan).violation.expect("a deadlock");
    assert!(found.complaint.starts_with("deadlock: one in the kernel"), "{found}");
    assert!(Schedules::with_preemptions(0).explore(plan).violation.is_none());
}

/// A process that dies with a lock frees it: whoever waits in the kernel goes on.
#[test]
fn the_locks_of_the_dead_are_free() {
    let one = Schedules { deaths: 1, ..Schedules::default() };
    let explored = one.explore(|plan| {
        plan.fs().foreign().create("/n", &[0]).unwrap();
        let finished = Arc::new(AtomicUsize::new(0));
        for name in ["one", "two"] {
            let finished = Arc::clone(&finished);
            plan.process(name, move |fs| {
                let locked = || {
                    let file = fs.open_dir("/".as_ref())?.open("n".as_ref(), Access::ReadWrite)?;
                    file.lock(LockKind::Exclusive)?;
                    file.unlock()
                };
                let result = std::io::Result::<()>::ok(locked());
                finished.fetch_add(usize::from(result.is_some()), Ordering::Relaxed);
            });
        }
        plan.at_end(move |_| match finished.load(Ordering::Relaxed) {
            1 | 2 => Ok(()),
            other => Err(format!("{other} have finished")),
        });
    });
    explored.assert_clean();
}

/// Parks end by being told to, before their time; the time comes when nobody else can go on; sleeps let others work.
#[test]
fn parks_and_sleeps() {
    let plan = |plan: &mut Plan| {
        let process = plan.fs().process();
        let host = process.host();
        let waits = Arc::new(std::sync::Mutex::new(None));
        let told = Arc::clone(&waits);
        let began = host.monotonic();
        plan.thread(&process, "waiter", move |fs| {
            *waits.lock().unwrap() = Some(std::thread::current());
            fs.host().park(Some(Duration::from_secs(5)));
            assert!(fs.host().monotonic() < began + Duration::from_secs(1), "told in time");
            fs.host().park(Some(Duration::from_secs(5)));
            assert!(fs.host().monotonic() >= began + Duration::from_secs(5), "nobody tells a second time");
        });
        plan.thread(&process, "worker", move |fs| {
            calls(2)(fs);
            fs.host().sleep(Duration::from_millis(1));
            let waiter = told.lock().unwrap().take();
            fs.host().unpark(&waiter.expect("it has begun"));
            calls(2)(fs);
        });
    };
    Schedules::default().explore(plan).assert_complete();
}

/// Whoever waits for what never comes is a livelock, a panic is what it says, and threads that the host starts take part.
#[test]
fn other_ends() {
    let few = Schedules { steps: 100, ..Schedules::default() };
    let found = few.explore(|plan| {
        plan.process("poller", |fs| {
            while fs.stat("/never".as_ref()).is_err() && fs.find_process(fs.pid()).is_some() {
                fs.host().sleep(Duration::from_millis(1));
            }
        });
    });
    assert!(found.violation.is_some_and(|found| found.complaint.starts_with("no end after 100 steps")));

    let found = Schedules::default().explore(|plan| {
        plan.process("starter", |fs| {
            let child = fs.clone();
            let work = move || {
                child.stat("/".as_ref()).unwrap();
                assert_eq!(1, 2, "planted");
            };
            fs.host().spawn("child", 1 << 20, Box::new(work)).unwrap();
        });
    });
    let found = found.violation.expect("a panic");
    assert!(found.complaint.starts_with("child panicked: ") && found.complaint.contains("planted"), "{found}");
}

/// A thread that waits for a mutex of a thread that stands at a call does not hold up the others, and goes on after it.
#[test]
fn mutexes_of_the_program() {
    let explored = Schedules::default().explore(|plan| {
        let process = plan.fs().process();
        let shared = Arc::new(std::sync::Mutex::new(0));
        for name in ["one", "two"] {
            let shared = Arc::clone(&shared);
            plan.thread(&process, name, move |fs| {
                let mut inside = shared.lock().unwrap();
                calls(1)(fs);
                *inside += 1;
            });
        }
        plan.at_end(move |_| (*shared.lock().unwrap() == 2).then_some(()).ok_or("not both".into()));
    });
    explored.assert_clean();
}

/// What must always hold is asked after every step, and what must hold on disks at every cut: acknowledged before it is durable.
#[test]
fn invariants_and_cuts_at_every_step() {
    let plan = |early: bool| {
        move |plan: &mut Plan| {
            let told = Arc::new(AtomicUsize::new(0));
            let done = Arc::clone(&told);
            plan.process("writer", move |fs| {
                let dir = root(fs);
                let file = dir.create_new("f".as_ref(), 0o600).unwrap();
                file.sync().unwrap();
                if early {
                    done.store(1, Ordering::Relaxed);
                }
                dir.sync().unwrap();
                done.store(1, Ordering::Relaxed);
            });
            plan.on_disks(move |fs| match fs.foreign().read("/f") {
                Err(_) if told.load(Ordering::Relaxed) == 1 => Err("acknowledged, and gone".to_owned()),
                _ => Ok(()),
            });
            plan.always(|fs| fs.foreign().names("/").map(drop).map_err(|e| e.to_string()));
        }
    };
    let cuts = Schedules { cuts: true, ..Schedules::default() };
    cuts.explore(plan(false)).assert_complete();
    let found = cuts.explore(plan(true)).violation.expect("acknowledged too early");
    assert!(found.complaint.starts_with("acknowledged, and gone"), "{found}");
    Schedules::default().explore(plan(true)).assert_complete();
}

/// A program that does not do the same each time is not explored, and that is said; a schedule that is too long for it does not
/// replay.
#[test]
fn programs_that_do_not_repeat_themselves() {
    let runs = Arc::new(AtomicUsize::new(0));
    let plan = |plan: &mut Plan| {
        let run = runs.fetch_add(1, Ordering::Relaxed);
        plan.process("one", move |fs| {
            let path = "/".as_ref();
            // What the first run did never comes again.
            match if run == 0 { 0 } else { 1 + run % 5 } {
                0 => drop(fs.stat(path)),
                1 => drop(fs.canonicalize(path)),
                2 => drop(fs.open_dir(path)),
                3 => drop(fs.current_dir()),
                4 => drop(fs.read_link(path)),
                _ => drop(fs.create_dir(path)),
            }
        });
        plan.process("two", calls(2));
    };
    let explored = Schedules { most: 50, ..Schedules::default() }.explore(plan);
    assert!(explored.diverged > 0 && !explored.complete, "{explored:?}");
    let two = |plan: &mut Plan| {
        plan.process("one", calls(1));
        plan.process("two", calls(1));
    };
    assert!(Schedules::default().replay("0:1", two).violation.is_none());
    assert!(Schedules::default().replay("5:1", two).violation.is_some());
}
