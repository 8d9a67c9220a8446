//! How fast a watch is, and what it costs: from another program's rename or write to the report, memory for 10,000 files, time of the
//! processor while nothing happens. For Linux.
//!
//! ```console
//! $ cargo run --release --bin watch_latency [ROUNDS]
//! ```

use std::path::Path;
use std::time::{Duration, Instant};

use filelatch::Filelatch;
use filelatch::watch::{Event, Watch, WatchOptions};

const FILES: usize = 10_000;
const IDLE: Duration = Duration::from_secs(10);

fn main() {
    let rounds = std::env::args().nth(1).map_or(2000, |n| n.parse().expect("a number of rounds"));
    let dir = tempfile::tempdir().unwrap();
    for n in 0..FILES {
        let sub = dir.path().join(format!("d{}", n % 100));
        if n < 100 {
            std::fs::create_dir(&sub).unwrap();
        }
        std::fs::write(sub.join(format!("f{n}")), format!("content of {n}\n")).unwrap();
    }
    let before = resident();
    let began = Instant::now();
    let watch = Filelatch::new().watch([dir.path()], &WatchOptions::new()).unwrap();
    println!("begin, {FILES} files: {:.1} ms, {:?}", ms(began.elapsed()), watch.mode());
    println!("memory, {FILES} files: {:.1} MB", resident().saturating_sub(before) as f64 / 1e6);

    measure("rename", &watch, rounds, dir.path(), |path, n| {
        let temp = path.with_extension("tmp-of-an-editor");
        std::fs::write(&temp, format!("renamed {n}")).unwrap();
        let began = Instant::now();
        std::fs::rename(&temp, path).unwrap();
        began
    });
    measure("write", &watch, rounds, dir.path(), |path, n| {
        let began = Instant::now();
        std::fs::write(path, format!("written {n}")).unwrap();
        began
    });
    burst(&watch, dir.path());
    println!("memory after that: {:.1} MB", resident().saturating_sub(before) as f64 / 1e6);

    let ticks = ticks();
    std::thread::sleep(IDLE);
    println!("idle for {} s: {} ticks of the processor's time", IDLE.as_secs(), self::ticks() - ticks);
}

/// `change` answers when the change began that is to be reported.
fn measure(what: &str, watch: &Watch, rounds: usize, dir: &Path, change: impl Fn(&Path, usize) -> Instant) {
    let mut times = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let n = round * 7919 % FILES;
        let path = dir.join(format!("d{}/f{n}", n % 100));
        let began = change(&path, round);
        loop {
            match watch.next(Some(Duration::from_secs(60))).unwrap() {
                Some(Event::Change(change)) if change.path == path => break,
                Some(_) => {}
                None => panic!("not reported"),
            }
        }
        times.push(began.elapsed());
        // As far apart as people's changes are for a machine.
        std::thread::sleep(Duration::from_millis(3));
    }
    times.sort();
    let at = |part: f64| ms(times[((times.len() - 1) as f64 * part) as usize]);
    println!(
        "{what} to report: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms ({rounds} rounds)",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

/// 1,000 changes at once.
fn burst(watch: &Watch, dir: &Path) {
    let began = Instant::now();
    for n in 0..1000 {
        std::fs::write(dir.join(format!("d{}/f{n}", n % 100)), format!("burst {n}")).unwrap();
    }
    let written = began.elapsed();
    watch.sync(Duration::from_secs(60)).unwrap();
    let reported = began.elapsed();
    let mut changes = 0;
    while let Some(event) = watch.next(Some(Duration::ZERO)).unwrap() {
        changes += usize::from(matches!(event, Event::Change(_)));
    }
    println!("1,000 writes in {:.1} ms: {changes} reported after {:.1} ms", ms(written), ms(reported));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Bytes of memory that this process has.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4096
}

/// Clock ticks of user and system time of this process.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}
