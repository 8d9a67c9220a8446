//! Circles of owners that wait for each other.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use filelatch::{Error, Filelatch, LockOptions, LockScope, Wait};
use tempfile::tempdir;

use super::support::*;

fn watched(runtime: &Path, who: &str) -> Filelatch {
    Filelatch::builder().without_workspaces().runtime_dir(runtime).purpose(who).build()
}

/// A worker that holds `first`, and then waits for `second` without limit.
pub(crate) fn opposite(runtime: &str, first: &str, second: &str) {
    let engine = watched(Path::new(runtime), &format!("worker for {first}"));
    let held = engine.file(first).unwrap().try_lock().unwrap();
    say("held");
    hear();
    let began = Instant::now();
    match engine.file(second).unwrap().lock(&LockOptions::new().wait(Wait::Forever)) {
        Ok(guard) => {
            drop(guard);
            say("got");
        }
        Err(Error::Deadlock { cycle, .. }) => {
            say(format!("deadlock {} ms: {}", began.elapsed().as_millis(), cycle.join("; ")));
        }
        Err(e) => say(e),
    }
    drop(held);
}

/// LOCK-14: circles of two, three and five processes are found, one owner gives up and the others go on; in good time.
#[test]
fn among_processes() {
    for n in [2, 3, 5] {
        let (dir, runtime) = (tempdir().unwrap(), tempdir().unwrap());
        let path = |i: usize| dir.path().join(format!("f{}", i % n)).to_str().unwrap().to_owned();
        let mut workers: Vec<_> = (0..n)
            .map(|i| {
                let runtime = runtime.path().to_str().unwrap();
                let mut worker = Worker::start(&["opposite", runtime, &path(i), &path(i + 1)]);
                worker.expect("held");
                worker
            })
            .collect();
        let began = Instant::now();
        for worker in &mut workers {
            worker.tell("go");
        }
        let said: Vec<_> = workers.iter_mut().map(|w| w.hear().unwrap()).collect();
        let took = began.elapsed();
        let deadlocks: Vec<_> = said.iter().filter(|s| s.starts_with("deadlock")).collect();
        assert_eq!(deadlocks.len(), 1, "{said:?}");
        assert_eq!(said.iter().filter(|s| *s == "got").count(), n - 1, "{said:?}");
        // Each owner is named, and what it waits for.
        for i in 0..n {
            assert!(deadlocks[0].contains(&format!("(worker for {})", path(i))), "{deadlocks:?}");
            assert!(deadlocks[0].contains(&format!("waits for `{}`", path(i))), "{deadlocks:?}");
        }
        assert!(took < Duration::from_secs(5), "{took:?}");
        for worker in workers {
            worker.finish();
        }
        assert_eq!(std::fs::read_dir(runtime.path()).unwrap().count(), 0, "notes of waits stay");
    }
}

/// LOCK-14: circles among threads need no directory; those of scopes are told apart from their thread.
#[test]
fn among_threads() {
    let dir = tempdir().unwrap();
    let engine = engine();
    let both = Arc::new(Barrier::new(2));
    let [a, b] = ["a", "b"].map(|name| engine.file(dir.path().join(name)).unwrap());
    for with_scopes in [false, true] {
        let began = Instant::now();
        let results: Vec<_> = std::thread::scope(|scope| {
            [(a.clone(), b.clone()), (b.clone(), a.clone())]
                .map(|(first, second)| {
                    let both = Arc::clone(&both);
                    scope.spawn(move || {
                        let mut options = LockOptions::new().wait(Wait::Forever);
                        if with_scopes {
                            options = options.scope(&LockScope::new());
                        }
                        let held = first.lock(&options).unwrap();
                        both.wait();
                        let result = second.lock(&options).map(drop);
                        drop(held);
                        result
                    })
                })
                .into_iter()
                .map(|t| t.join().unwrap())
                .collect()
        });
        let errors: Vec<_> = results.iter().filter_map(|r| r.as_ref().err()).collect();
        assert!(matches!(errors[..], [Error::Deadlock { cycle, .. }] if cycle.len() == 2), "{results:?}");
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

/// LOCK-14: who waits for a busy file while holding another one is no deadlock.
#[test]
fn chains_are_none() {
    let (dir, runtime) = (tempdir().unwrap(), tempdir().unwrap());
    let engine = watched(runtime.path(), "chain");
    let [a, b] = ["a", "b"].map(|name| engine.file(dir.path().join(name)).unwrap());
    let busy = b.lock(&LockOptions::new().scope(&LockScope::new())).unwrap();
    let held = a.try_lock().unwrap();
    let result = b.lock(&waits(600));
    assert!(matches!(result, Err(Error::Timeout { .. })), "{result:?}");
    drop((busy, held));
}

/// P3: notes of dead processes, and files that are no notes, disturb nobody.
#[test]
fn leftovers_in_the_runtime_directory() {
    let (dir, runtime) = (tempdir().unwrap(), tempdir().unwrap());
    let junk = runtime.path().join("77-0123456789abcdef.waits");
    let foreign = runtime.path().join("notes.txt");
    std::fs::write(&junk, "[{\"owner\":").unwrap();
    std::fs::write(&foreign, "mine").unwrap();
    std::fs::create_dir(runtime.path().join("dir.waits")).unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let mut workers = [("a", "b"), ("b", "a")].map(|(first, second)| {
        let runtime = runtime.path().to_str().unwrap();
        let mut worker = Worker::start(&["opposite", runtime, &path(first), &path(second)]);
        worker.expect("held");
        worker
    });
    for worker in &mut workers {
        worker.tell("go");
    }
    let said = workers.each_mut().map(|w| w.hear().unwrap());
    assert!(said.iter().filter(|s| s.starts_with("deadlock")).count() == 1, "{said:?}");
    assert!(!junk.exists() && foreign.exists());
}
