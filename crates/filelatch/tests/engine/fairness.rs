//! LOCK-15, P2: nobody starves, among processes and among threads. Counted in grants, not in time: how long a grant takes is the machine's
//! business, who gets it is ours.
#![expect(clippy::disallowed_methods, reason = "the log of grants and /proc are outside of the seam")]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use filelatch::{LockOptions, Wait};
use tempfile::tempdir;

use super::support::{PATIENCE, Worker, engine, file, until};

const READERS: usize = 8;
const TAKERS: usize = 8;
const THREADS: usize = 3;
/// Grants of each process.
const ROUNDS: usize = 40 * THREADS;
/// Long enough that who is woken by the system comes to run before it is over: shorter holds measure the scheduler.
const HOLD: Duration = Duration::from_millis(1);
/// Holds that fit into a process's turn of 2 ms (P2), with the one that it queued for.
const TURN: usize = 3;

/// What is read from it is the order in which the lock was granted: everybody who has it adds one line.
fn log_of(path: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(path).unwrap()
}

fn forever<'a>() -> LockOptions<'a> {
    LockOptions::new().wait(Wait::Forever)
}

/// A reader that never pauses, until its process is killed.
pub(super) fn reader(path: &Path, log: &Path, me: &str) {
    let (file, mut log) = (file(path), log_of(log));
    loop {
        let guard = file.lock_shared(&forever()).unwrap();
        log.write_all(format!("{me}\n").as_bytes()).unwrap();
        std::thread::park_timeout(Duration::from_millis(10));
        guard.release();
    }
}

/// Three threads that take the lock as often as they can, and hand it to each other where they may.
pub(super) fn taker(path: &Path, log: &Path, me: &str) {
    let (file, log) = (file(path), log_of(log));
    super::support::say("ready");
    super::support::hear();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS / THREADS {
                    let guard = file.lock(&forever()).unwrap();
                    (&log).write_all(format!("{me}\n").as_bytes()).unwrap();
                    std::thread::park_timeout(HOLD);
                    guard.release();
                }
            });
        }
    });
}

/// Is some thread of this process asleep in one of these system calls?
fn sleeps_in(tasks: &str, calls: [&str; 4]) -> bool {
    let Ok(tasks) = fs::read_dir(tasks) else { return false };
    tasks.flatten().any(|task| {
        fs::read_to_string(task.path().join("syscall"))
            .is_ok_and(|call| calls.contains(&call.split(' ').next().unwrap_or_default()))
    })
}

/// `fcntl` and `flock`: of x86-64, of ARM.
const LOCKING: [&str; 4] = ["72", "73", "25", "32"];
/// `futex`.
const SLEEPING: [&str; 2] = ["202", "98"];

/// How often each reader got in; more than twice after the writer had queued means that it was overtaken again and again. Once is the
/// grant that the reader had not told yet, once the one that it was just about to get.
fn holds(grants: &[String]) -> usize {
    let mut each = BTreeMap::new();
    for grant in grants {
        *each.entry(grant).or_insert(0) += 1;
    }
    each.into_values().max().unwrap_or(0)
}

/// LOCK-15: a writer among eight reader processes with holds of 10 ms that never pause gets in within three holds.
#[test]
fn a_writer_among_reader_processes() {
    let dir = tempdir().unwrap();
    let (path, log) = (dir.path().join("a"), dir.path().join("log"));
    let [path_word, log_word] = [&path, &log].map(|path| path.to_str().unwrap());
    let readers: Vec<_> =
        (0..READERS).map(|i| Worker::start(&["fair-reader", path_word, log_word, &format!("r{i}")])).collect();
    let lines = || -> Vec<String> { fs::read_to_string(&log).unwrap_or_default().lines().map(str::to_owned).collect() };
    let here = file(&path);
    for round in 1..=5 {
        until("every reader has come twice more", || {
            let lines = lines();
            (0..READERS).all(|i| lines.iter().filter(|line| **line == format!("r{i}")).count() >= 2 * round)
        });
        let writer = file(&path);
        let log = log.clone();
        let writes = std::thread::spawn(move || {
            let guard = writer.lock(&forever()).unwrap();
            log_of(&log).write_all(b"w\n").unwrap();
            guard.release();
        });
        // Readers wait only when a writer does.
        until("the writer is in the system's queue", || writes.is_finished() || here.lock_state().unwrap().waiting > 0);
        let queued = lines().len();
        writes.join().unwrap();
        let lines = lines();
        let got = lines.iter().rposition(|line| line == "w").unwrap();
        let overtaken = holds(lines.get(queued..got).unwrap_or_default());
        assert!(overtaken <= 2, "a reader got in {overtaken} times before the writer");
    }
    drop(readers);
}

/// LOCK-15: the same among threads of one process.
#[test]
fn a_writer_among_reader_threads() {
    let dir = tempdir().unwrap();
    let here = engine().file(dir.path().join("a")).unwrap();
    let log = Mutex::new(Vec::new());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for i in 0..READERS {
            let (here, log, stop) = (&here, &log, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    let guard = here.lock_shared(&forever()).unwrap();
                    log.lock().unwrap().push(format!("r{i}"));
                    std::thread::park_timeout(Duration::from_millis(10));
                    guard.release();
                }
            });
        }
        let overtaken: Vec<_> = (1..=5)
            .map(|round| {
                until("every reader has come twice more", || {
                    let log = log.lock().unwrap();
                    (0..READERS).all(|i| log.iter().filter(|line| **line == format!("r{i}")).count() >= 2 * round)
                });
                let tid = Arc::new(AtomicI32::new(0));
                let writer = scope.spawn({
                    let (here, log, tid) = (&here, &log, Arc::clone(&tid));
                    move || {
                        tid.store(rustix::thread::gettid().as_raw_nonzero().get(), Ordering::SeqCst);
                        let guard = here.lock(&forever()).unwrap();
                        log.lock().unwrap().push("w".to_owned());
                        guard.release();
                    }
                });
                until("the writer sleeps in the queue", || {
                    let call = fs::read_to_string(format!("/proc/self/task/{}/syscall", tid.load(Ordering::SeqCst)));
                    let call = call.unwrap_or_default();
                    writer.is_finished() || SLEEPING.contains(&call.split(' ').next().unwrap_or_default())
                });
                let queued = log.lock().unwrap().len();
                writer.join().unwrap();
                let log = log.lock().unwrap();
                let got = log.iter().rposition(|line| line == "w").unwrap();
                holds(log.get(queued..got).unwrap_or_default())
            })
            .collect();
        stop.store(true, Ordering::SeqCst);
        assert!(overtaken.iter().all(|times| *times <= 2), "{overtaken:?}");
    });
}

/// LOCK-15: among eight processes of several threads that take the lock as often as they can, whoever waits in the system's queue gets it before the others
/// have had more than three turns each. One would do if the kernel handed locks on; it wakes the first waiter, and a newcomer may be
/// faster.
#[test]
fn nobody_waits_for_more_than_a_few_turns() {
    let dir = tempdir().unwrap();
    let (path, log) = (dir.path().join("a"), dir.path().join("log"));
    let [path_word, log_word] = [&path, &log].map(|path| path.to_str().unwrap());
    let mut takers: Vec<_> =
        (0..TAKERS).map(|i| Worker::start(&["fair-taker", path_word, log_word, &i.to_string()])).collect();
    for taker in &mut takers {
        taker.expect("ready");
    }
    for taker in &mut takers {
        taker.tell("go");
    }
    let tasks: Vec<_> = takers.iter().map(|taker| format!("/proc/{}/task", taker.pid())).collect();
    // Lines have two bytes.
    let grants = || usize::try_from(fs::metadata(&log).map_or(0, |log| log.len())).unwrap() / 2;
    // Who was seen waiting, and how many grants there were before and after.
    let mut seen: Vec<(usize, usize, usize)> = Vec::new();
    let began = std::time::Instant::now();
    while grants() < TAKERS * ROUNDS {
        assert!(began.elapsed() < PATIENCE, "it takes for ever: {} grants", grants());
        for (i, tasks) in tasks.iter().enumerate() {
            let before = grants();
            if sleeps_in(tasks, LOCKING) {
                seen.push((i, before, grants()));
            }
        }
    }
    for taker in takers {
        taker.finish();
    }
    let order: Vec<usize> = fs::read_to_string(&log).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(order.len(), TAKERS * ROUNDS);
    let mut counted = 0;
    for (i, before, after) in seen {
        // It was granted the lock while we looked: it may not have waited any more.
        if order[before..after].contains(&i) {
            continue;
        }
        let Some(others) = order[after..].iter().position(|taker| *taker == i) else { continue };
        counted += 1;
        assert!(others <= 3 * TAKERS * TURN, "{i} waited for {others} grants of others");
    }
    assert!(counted > 20, "only {counted} waits were seen");
}
