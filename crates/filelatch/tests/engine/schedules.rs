//! Two or three processes at once, in every order of their calls: who holds, what is lost, who hangs (TEST-3).
//!
//! The orders are those with few preemptions, and a sample of all. The quick set is for every build; with the environment variable
//! `FILELATCH_FULL` set, one preemption more is allowed, and samples are a hundred times as large (minutes).
#![expect(clippy::disallowed_methods, reason = "a test reads its own switch from the environment")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use filelatch::{Filelatch, LockOptions, Policy};
use filelatch_fs::Fs;
use filelatch_fs::sim::{Dials, Plan, Schedules, SimFs};

/// An engine on this process.
fn engine(fs: &SimFs, policy: Policy) -> Filelatch {
    let builder = Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).without_workspaces();
    builder.defaults(policy).session("test").build()
}

fn is_full() -> bool {
    std::env::var_os("FILELATCH_FULL").is_some()
}

/// All orders with few preemptions, then some of the others; nothing may be wrong.
#[track_caller]
fn run(name: &str, limits: &Schedules, samples: usize, plan: impl Fn(&mut Plan)) {
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
    limits.sample(1, samples * if full { 100 } else { 1 }, &plan).assert_clean();
    println!("{name}: {samples} samples {:?}", began.elapsed());
}

fn few(preemptions: usize) -> Schedules {
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

/// Two processes that lock `/a` and visit.
fn lockers(plan: &mut Plan, kinds: [bool; 2]) -> Inside {
    let inside = Inside::default();
    for (name, writes) in ["one", "two"].into_iter().zip(kinds) {
        let visitor = inside.clone();
        plan.process(name, move |fs| {
            let Ok(file) = engine(fs, Policy::default()).file("/a") else { return };
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

/// LOCK-1 (L5): two processes that both make the lock file never hold the lock at once, and both get it.
#[test]
fn exclusive_locks() {
    run("exclusive", &few(1), 20, |plan| {
        exists(plan.fs());
        let inside = lockers(plan, [true, true]);
        plan.at_end(move |_| if inside.visits.load(Relaxed) == 2 { Ok(()) } else { Err("not both".into()) });
    });
}
