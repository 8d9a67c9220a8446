//! What the stores cost: a log compacted while others append, a repository of a thousand records, a queue that is opened.
//!
//! ```console
//! $ cargo run --release --bin store_costs [compaction] [repository] [queue] [--records N]
//! ```

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use filelatch::store::log::LogOptions;
use filelatch::store::queue::{ClaimOptions, NewCommand, Outcome};
use filelatch::store::{Repository, RepositoryOptions};
use filelatch::{Durability, Filelatch, LockOptions};
use serde::{Deserialize, Serialize};

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "compact") {
        return compact(Path::new(&words[1]));
    }
    let mut records = 1_000_000;
    if let Some(at) = words.iter().position(|word| word == "--records") {
        records = words[at + 1].parse().expect("a number");
        words.drain(at..at + 2);
    }
    let all = words.is_empty();
    let dir = tempfile::tempdir().unwrap();
    if all || words.contains(&"compaction".to_owned()) {
        compaction(dir.path(), records);
    }
    if all || words.contains(&"repository".to_owned()) {
        repository(dir.path());
    }
    if all || words.contains(&"queue".to_owned()) {
        queue(dir.path());
    }
}

fn record(n: usize, keys: usize) -> Vec<u8> {
    let op = if n.is_multiple_of(10) { "create" } else { "update" };
    format!(r#"{{"op":"{op}","key":"record-{}","value":{{"n":{n},"text":"some words of a record"}}}}"#, n % keys)
        .into_bytes()
}

/// One process compacts, so that its memory is its own; threads of this one append meanwhile.
fn compaction(dir: &Path, records: usize) {
    let path = dir.join("log.jsonl");
    let log = Filelatch::new().log(&path).unwrap();
    let fast = LogOptions { durability: Some(Durability::None), ..LogOptions::default() };
    for keys in [records / 10, records] {
        let _ = std::fs::remove_file(&path);
        let _ = std::fs::remove_file(path.with_extension("jsonl.snapshot"));
        let numbers: Vec<usize> = (0..records).collect();
        for part in numbers.chunks(5_000) {
            let lines: Vec<Vec<u8>> = part.iter().map(|n| record(*n, keys)).collect();
            log.append_many(lines.iter().map(Vec::as_slice), &fast).unwrap();
        }
        let before = std::fs::metadata(&path).unwrap().len();
        let stop = AtomicBool::new(false);
        let (answer, took, appended) = std::thread::scope(|scope| {
            let appenders: Vec<_> = (0..4)
                .map(|thread| {
                    let (log, stop, fast) = (&log, &stop, &fast);
                    scope.spawn(move || {
                        let durable = LogOptions::default();
                        let (mut count, mut longest) = (0_usize, Duration::ZERO);
                        while !stop.load(Ordering::Relaxed) {
                            let began = Instant::now();
                            log.append(&record(count, keys), if thread < 2 { fast } else { &durable }).unwrap();
                            longest = longest.max(began.elapsed());
                            count += 1;
                            // A busy program, not one that does nothing else.
                            std::thread::sleep(Duration::from_micros(200));
                        }
                        (count, longest)
                    })
                })
                .collect();
            std::thread::sleep(Duration::from_millis(200));
            let began = Instant::now();
            let child = Command::new(std::env::current_exe().unwrap())
                .arg("compact")
                .arg(&path)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let output = child.wait_with_output().unwrap();
            let took = began.elapsed();
            stop.store(true, Ordering::Relaxed);
            let appended: Vec<_> = appenders.into_iter().map(|thread| thread.join().unwrap()).collect();
            (String::from_utf8(output.stdout).unwrap(), took, appended)
        });
        let count: usize = appended.iter().map(|(count, _)| count).sum();
        println!("compaction of {records} records of {keys} keys ({} MB): {took:?}; {answer}", before >> 20);
        let longest = |threads: &[(usize, Duration)]| threads.iter().map(|(_, longest)| *longest).max().unwrap();
        println!(
            "  meanwhile 4 threads appended {count}: longest append {:?}, longest durable one {:?}",
            longest(&appended[..2]),
            longest(&appended[2..])
        );
    }
}

fn compact(path: &Path) {
    let log = Filelatch::new().log(path).unwrap();
    let done = log.compact(&LockOptions::new()).unwrap().expect("no other compaction");
    let mut status = String::new();
    File::open("/proc/self/status").unwrap().read_to_string(&mut status).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("?").trim();
    println!("{} records kept, appends stopped for {:?}, {} MB left, peak memory {peak}", done.kept, done.stopped, done.after >> 20);
}

#[derive(Serialize, Deserialize)]
struct Item {
    name: String,
    count: u64,
    tags: Vec<String>,
    note: String,
}

/// One record of a thousand is changed, durably; beside it the bare calls: lock, read, patch, write a new file, sync, rename, sync.
fn repository(dir: &Path) {
    let latch = Filelatch::new();
    let path = dir.join("items.json");
    let items = Repository::<Item>::open(&latch, &path, &RepositoryOptions::collection()).unwrap();
    items
        .modify(|all| {
            for n in 0..1000 {
                let tags = vec!["one".to_owned(), "two".to_owned()];
                let item = Item { name: format!("item {n}"), count: 0, tags, note: "some words about it ".repeat(5) };
                all.save(&format!("id{n:04}"), &item)?;
            }
            Ok::<_, filelatch::Error>(())
        })
        .unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    let raw = dir.join("raw.json");
    std::fs::copy(&path, &raw).unwrap();
    let lock = File::create(dir.join("raw.lock")).unwrap();
    let (mut ratios, mut times) = (Vec::new(), Vec::new());
    for round in 0..21 {
        let began = Instant::now();
        for n in 0..50 {
            items
                .update(&format!("id{:04}", (round * 50 + n) % 1000), |item| {
                    item.count += 1;
                    Ok::<_, filelatch::Error>(())
                })
                .unwrap();
        }
        let ours = began.elapsed();
        let began = Instant::now();
        for n in 0..50 {
            bare(dir, &raw, &lock, n);
        }
        let bare = began.elapsed();
        if round > 0 {
            ratios.push(bare.as_secs_f64() / ours.as_secs_f64());
            times.push(ours / 50);
        }
    }
    ratios.sort_by(f64::total_cmp);
    times.sort();
    println!(
        "repository of 1,000 records, {} KB: one record updated, durable: {:?}, {:.2} × the rate of the bare calls",
        size >> 10,
        times[times.len() / 2],
        ratios[ratios.len() / 2]
    );
}

fn bare(dir: &Path, path: &Path, lock: &File, n: usize) {
    lock.lock().unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.len() / 2 + n;
    bytes[at] = if bytes[at] == b' ' { b' ' } else { bytes[at] };
    let temp = dir.join("raw.tmp");
    let mut file = File::create(&temp).unwrap();
    file.write_all(&bytes).unwrap();
    file.sync_all().unwrap();
    std::fs::rename(&temp, path).unwrap();
    File::open(dir).unwrap().sync_all().unwrap();
    lock.unlock().unwrap();
}

/// How long a process needs that opens a queue with a past.
fn queue(dir: &Path) {
    let path = dir.join("jobs.queue");
    let queue = Filelatch::new().queue(&path).unwrap();
    queue.add_all((0..5_000).map(|n| NewCommand::new(["job".to_owned(), n.to_string()]))).unwrap();
    for _ in 0..5_000 {
        let claim = queue.claim(&ClaimOptions::new()).unwrap().expect("a command");
        claim.complete(&Outcome::new()).unwrap();
    }
    let mut times: Vec<_> = (0..15)
        .map(|_| {
            let latch = Filelatch::new();
            let began = Instant::now();
            let found = latch.queue(&path).unwrap().list().unwrap().len();
            assert_eq!(found, 5_000);
            began.elapsed()
        })
        .collect();
    times.sort();
    println!("queue with 15,000 events in its log: opened and listed in {:?}", times[times.len() / 2]);
}
