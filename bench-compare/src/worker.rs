//! A process that does what it is told on its standard input: the same few commands in every language.
//!
//! - `lock` → `locked NS`; `unlock` → `unlocked NS` (the moment before the call); NS is `CLOCK_MONOTONIC`.
//! - `loop BEGIN SECONDS THREADS` → `done OPS P50 P99 WORST` per thread: locks and unlocks from the moment BEGIN on; times in ns,
//!   of waiting for the lock.
//! - `count BEGIN SECONDS THREADS` → the same, and adds one to the number in the file `counter` under the lock.
//! - `update BEGIN SECONDS THREADS FIRST` → the same, of durable updates; thread i counts up record FIRST + i.
//! - `hold BEGIN SECONDS THREADS NS`, `share BEGIN SECONDS THREADS NS` → as `loop`, and keeps the lock (a shared one) for so long.
//! - `turns BEGIN SECONDS THREADS` → the same, of appends or of commands claimed and completed.
//! - `memory` → `memory RSS FDS`; `paths DIR COUNT` locks and unlocks so many different files → `paths NS`.

use std::fs::File;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::Duration;

use filelatch::{Filelatch, LockOptions};

use crate::lockers::{Locker, contender};
use crate::stats::percentile;

pub fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap()
}

pub fn main(name: &str, dir: &Path) {
    if name == "empty" || name == "idle" {
        return idle(name == "idle", dir);
    }
    if crate::turns::NAMES.contains(&name) {
        return turns(name, dir);
    }
    let make = contender(name, dir);
    let mut own: Option<Box<dyn Locker>> = None;
    serve(|words| {
        let number = |i: usize| words[i].parse::<u64>().unwrap();
        match words[0] {
            "lock" => {
                own.get_or_insert_with(&make).lock();
                format!("locked {}", now())
            }
            "unlock" => {
                let before = now();
                own.as_mut().unwrap().unlock();
                format!("unlocked {before}")
            }
            "loop" | "count" | "update" | "hold" | "share" => {
                let threads = usize::try_from(number(3)).unwrap();
                let work = match words[0] {
                    "loop" => Work::Nothing,
                    "count" => Work::Count(open_counter(dir)),
                    "hold" => Work::Hold(Duration::from_nanos(number(4))),
                    "share" => Work::Share(Duration::from_nanos(number(4))),
                    _ => Work::Update { first: usize::try_from(number(4)).unwrap() },
                };
                many(&make, number(1), words[2].parse().unwrap(), threads, &work)
            }
            other => panic!("no command `{other}`"),
        }
    });
}

/// Threads of a contender that take turns, without anything around them.
fn turns(name: &str, dir: &Path) {
    let make = crate::turns::contender(name, dir);
    serve(|words| {
        let number = |i: usize| words[i].parse::<u64>().unwrap();
        let (begin, seconds): (u64, f64) = (number(1), words[2].parse().unwrap());
        let end = begin + (seconds * 1e9) as u64;
        let one = || {
            let mut turns = make();
            std::thread::sleep(Duration::from_nanos(begin.saturating_sub(now())));
            let (mut waits, mut before) = (Vec::new(), now());
            while before < end && turns.turn() {
                let after = now();
                waits.push(after - before);
                before = after;
            }
            report(waits)
        };
        let one = &one;
        let lines: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..number(3)).map(|_| scope.spawn(one)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        format!("done {}", lines.join(" "))
    });
}

fn report(mut waits: Vec<u64>) -> String {
    let ops = waits.len();
    waits.sort_unstable();
    let at = |p| percentile(&waits, p);
    format!("{ops} {} {} {}", at(0.5), at(0.99), at(1.0))
}

fn serve(mut answer: impl FnMut(&[&str]) -> String) {
    let mut out = std::io::stdout();
    writeln!(out, "ready").unwrap();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let answer = answer(&line.split_whitespace().collect::<Vec<_>>());
        out.write_all((answer + "\n").as_bytes()).unwrap();
    }
}

/// What is done in each turn.
enum Work {
    Nothing,
    Count(File),
    Hold(Duration),
    Share(Duration),
    Update { first: usize },
}

pub fn open_counter(dir: &Path) -> File {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).open(dir.join("counter")).unwrap()
}

pub fn counter(file: &File) -> u64 {
    let mut bytes = [0; 8];
    let len = rustix::io::pread(file, &mut bytes, 0).unwrap();
    if len == 8 { u64::from_le_bytes(bytes) } else { 0 }
}

fn many(
    make: &(dyn Fn() -> Box<dyn Locker> + Send + Sync),
    begin: u64,
    seconds: f64,
    threads: usize,
    work: &Work,
) -> String {
    let end = begin + (seconds * 1e9) as u64;
    let ready = Barrier::new(threads);
    let one = |index: usize| {
        let mut locker = make();
        ready.wait();
        std::thread::sleep(Duration::from_nanos(begin.saturating_sub(now())));
        let mut waits = Vec::new();
        let mut before = now();
        while before < end {
            match work {
                Work::Update { first } => locker.update(first + index),
                Work::Share(_) => locker.lock_shared(),
                Work::Nothing | Work::Count(_) | Work::Hold(_) => locker.lock(),
            }
            let after = now();
            waits.push(after - before);
            if let Work::Count(file) = work {
                rustix::io::pwrite(file, &(counter(file) + 1).to_le_bytes(), 0).unwrap();
            }
            if let Work::Hold(time) | Work::Share(time) = work {
                keep(*time);
            }
            if !matches!(work, Work::Update { .. }) {
                locker.unlock();
            }
            before = now();
        }
        report(waits)
    };
    let one = &one;
    let lines: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|index| scope.spawn(move || one(index))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    format!("done {}", lines.join(" "))
}

/// Lets a time pass: short ones awake, for sleeping takes longer.
fn keep(time: Duration) {
    if time >= Duration::from_millis(1) {
        return std::thread::sleep(time);
    }
    let end = now() + u64::try_from(time.as_nanos()).unwrap();
    while now() < end {}
}

/// A program that only starts, or starts and has used the library once.
fn idle(library: bool, dir: &Path) {
    let latch = library.then(Filelatch::new);
    let mut kept = None;
    if let Some(latch) = &latch {
        let file = latch.file(dir.join("doc.json")).unwrap();
        drop(file.lock(&LockOptions::new()).unwrap());
        kept = Some(file);
    }
    serve(|words| match words[0] {
        "memory" => {
            let (rss, fds) = memory();
            format!("memory {rss} {fds}")
        }
        "paths" => {
            let (dir, count) = (PathBuf::from(words[1]), words[2].parse::<usize>().unwrap());
            let latch = latch.as_ref().unwrap();
            let begin = now();
            for i in 0..count {
                let file = latch.file(dir.join(i.to_string())).unwrap();
                drop(file.lock(&LockOptions::new()).unwrap());
            }
            format!("paths {}", now() - begin)
        }
        other => panic!("no command `{other}`"),
    });
    drop(kept);
}

/// Resident set in KiB, open descriptors.
fn memory() -> (u64, usize) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let rss = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    (rss, std::fs::read_dir("/proc/self/fd").unwrap().count() - 1)
}
