//! What several do at once: threads and processes.

use std::path::Path;
use std::time::Duration;

use crate::Settings;
use crate::pool::{Contest, Process, What, contest};
use crate::raw::{RECORDS, document};
use crate::stats::{Pairs, median, percentile, rate, time};
use crate::table::{Table, times};
use crate::worker::now;

/// Threads of one process against as many processes with bare flock.
pub fn threads(settings: &Settings, table: &mut Table) {
    for n in [2, 8] {
        let mut pairs = Pairs::default();
        for _ in 0..settings.rounds {
            let dir = settings.scratch();
            let run = |name, processes, threads| {
                contest(&settings.peers, name, dir.path(), processes, threads, settings.seconds, What::Counts)
                    .unwrap()
                    .rate()
            };
            pairs.push(run("filelatch", 1, n), run("raw", n, 1));
        }
        let what = format!("{n} threads count in a file, against {n} processes with flock");
        let row = table.add(what, rate(pairs.ours()), rate(pairs.raw()), times(pairs.ratio()));
        row.target("≥ 1 ×", pairs.ratio() >= 1.0);
    }
}

pub fn processes(settings: &Settings, table: &mut Table) {
    for n in [8, 16] {
        let (mut pairs, mut shares, mut worst) = (Pairs::default(), Pairs::default(), Pairs::default());
        let mut p99 = Pairs::default();
        for _ in 0..settings.rounds {
            let dir = settings.scratch();
            let run = |name| contest(&settings.peers, name, dir.path(), n, 1, settings.seconds, What::Counts).unwrap();
            let (ours, raw): (Contest, Contest) = (run("filelatch"), run("raw"));
            pairs.push(ours.rate(), raw.rate());
            shares.push(ours.max_to_min(), raw.max_to_min());
            worst.push(ours.worst_to_fair(), raw.worst_to_fair());
            p99.push(ours.p99 as f64, raw.p99 as f64);
        }
        let row = table.add(
            format!("{n} processes count in a file"),
            rate(pairs.ours()),
            rate(pairs.raw()),
            times(pairs.ratio()),
        );
        row.target("≥ 0.5 ×", pairs.ratio() >= 0.5);
        let row = table.add(
            format!("… greatest share to smallest, {n} processes"),
            format!("{:.2}", shares.ours()),
            format!("{:.2}", shares.raw()),
            String::new(),
        );
        if n == 8 {
            row.target("≤ 1.5", shares.ours() <= 1.5);
        }
        let row = table.add(
            format!("… worst wait, in rounds of {n} turns"),
            format!("{:.1}", worst.ours()),
            format!("{:.1}", worst.raw()),
            String::new(),
        );
        row.target("≤ 3", worst.ours() <= 3.0);
        table.add(format!("… p99 wait, {n} processes"), time(p99.ours()), time(p99.raw()), times(p99.ratio()));
    }
}

/// Times from the release of a lock to the waiter's having it, sorted.
pub fn hand_overs(settings: &Settings, name: &str, n: usize, kill: bool) -> Option<Vec<u64>> {
    let dir = settings.scratch();
    std::fs::write(dir.path().join("doc.json"), b"{}\n").unwrap();
    let start = || Process::start(&settings.peers, name, dir.path());
    let mut waiter = start()?;
    let mut holder = start()?;
    let mut waits = Vec::new();
    for _ in 0..n {
        holder.ask("lock");
        waiter.tell("lock");
        // Until it waits for certain; a poller is met at any point of its pause.
        std::thread::sleep(Duration::from_millis(if kill { 20 } else { 3 }));
        let before = if kill {
            let before = now();
            holder.kill();
            holder = start()?;
            before
        } else {
            holder.ask("unlock")
        };
        let had: u64 = waiter.hear()[1].parse().unwrap();
        waits.push(had.saturating_sub(before));
        waiter.ask("unlock");
    }
    waits.sort_unstable();
    Some(waits)
}

pub fn hand_over(settings: &Settings, table: &mut Table) {
    let (mut middle, mut late) = (Pairs::default(), Pairs::default());
    for _ in 0..settings.rounds {
        let n = settings.scaled(200);
        let ours = hand_overs(settings, "filelatch", n, false).unwrap();
        let raw = hand_overs(settings, "raw", n, false).unwrap();
        middle.push(percentile(&ours, 0.5) as f64, percentile(&raw, 0.5) as f64);
        late.push(percentile(&ours, 0.99) as f64, percentile(&raw, 0.99) as f64);
    }
    let what = "hand-over to a waiting process, timeout set, p50";
    table
        .add(what, time(middle.ours()), time(middle.raw()), times(middle.ratio()))
        .target("≤ 2 ×", middle.ratio() <= 2.0);
    let row = table.add("… p99", time(late.ours()), time(late.raw()), times(late.ratio()));
    row.target("≤ 5 ms", late.ours() <= 5e6);
}

pub fn after_kill(settings: &Settings, table: &mut Table) {
    let mut pairs = Pairs::default();
    for _ in 0..settings.rounds {
        let n = settings.scaled(10);
        let ours = hand_overs(settings, "filelatch", n, true).unwrap();
        let raw = hand_overs(settings, "raw", n, true).unwrap();
        pairs.push(percentile(&ours, 0.5) as f64, percentile(&raw, 0.5) as f64);
    }
    let row = table.add("after kill -9 of the holder", time(pairs.ours()), time(pairs.raw()), times(pairs.ratio()));
    row.target("≤ 5 ms", pairs.ours() <= 5e6);
}

/// Durable updates of the document; what is acknowledged must be there.
pub fn updates(settings: &Settings, name: &str, processes: usize, threads: usize) -> Option<Contest> {
    let dir = settings.scratch();
    let path = dir.path().join("doc.json");
    std::fs::write(&path, document()).unwrap();
    let contest =
        contest(&settings.peers, name, dir.path(), processes, threads, settings.seconds * 2.0, What::Updates)?;
    let (made, found) = (contest.ops.iter().sum::<u64>(), count(&path));
    assert_eq!(made, found, "{name}: acknowledged updates are lost");
    Some(contest)
}

fn count(path: &Path) -> u64 {
    let value: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    (0..RECORDS).map(|i| value["records"][i]["count"].as_u64().unwrap()).sum()
}

pub fn update(settings: &Settings, table: &mut Table) {
    let cases = [
        (1, 1, "1 process", "raw", "≥ 0.8 ×", 0.8),
        (1, 16, "16 threads, against the combining reference", "combined", "≥ 0.6 ×", 0.6),
        (4, 1, "4 processes", "raw", "", 0.0),
        (16, 1, "16 processes", "raw", "≥ 1 ×", 1.0),
    ];
    for (processes, threads, what, against, target, limit) in cases {
        let (mut pairs, mut fairness, mut late) = (Pairs::default(), Vec::new(), Pairs::default());
        for _ in 0..settings.rounds {
            let ours = updates(settings, "filelatch", processes, threads).unwrap();
            let raw = updates(settings, against, processes, threads).unwrap();
            pairs.push(ours.rate(), raw.rate());
            fairness.push(1.0 / ours.max_to_min());
            late.push(ours.p99 as f64, raw.p99 as f64);
        }
        let what = format!("durable update of the 200 KB document: {what}");
        let row = table.add(what, rate(pairs.ours()), rate(pairs.raw()), times(pairs.ratio()));
        if limit > 0.0 {
            row.target(target, pairs.ratio() >= limit);
        }
        table.add("… p99", time(late.ours()), time(late.raw()), times(late.ratio()));
        if processes == 16 {
            let fairness = median(&fairness);
            let row = table.add(
                "… fairness (smallest share to greatest)",
                format!("{fairness:.2}"),
                String::new(),
                String::new(),
            );
            row.target("≥ 0.6", fairness >= 0.6);
        }
    }
}

pub fn memory(settings: &Settings, table: &mut Table) {
    let dir = settings.scratch();
    let start = |name| Process::start(&settings.peers, name, dir.path()).unwrap();
    let ask = |process: &mut Process| {
        process.tell("memory");
        let words = process.hear();
        (words[1].parse::<f64>().unwrap(), words[2].clone())
    };
    let ((empty, _), mut idle) = (ask(&mut start("empty")), start("idle"));
    let (before, fds_before) = ask(&mut idle);
    let kib = |n: f64| format!("{n:.0} KiB");
    let row = table.add(
        "memory of an idle engine (over an empty program)",
        kib(before),
        kib(empty),
        format!("+{}", kib(before - empty)),
    );
    row.target("< 1 MiB more", before - empty < 1024.0);

    let many = dir.path().join("many");
    std::fs::create_dir(&many).unwrap();
    let n = settings.paths;
    let mut growth = Vec::new();
    let mut ns = 0;
    for part in 0..2 {
        let part = many.join(part.to_string());
        std::fs::create_dir(&part).unwrap();
        ns = idle.ask(&format!("paths {} {}", part.display(), n / 2));
        growth.push(ask(&mut idle));
    }
    let (after, fds) = &growth[1];
    let what =
        format!("memory after {n} different paths locked and released ({} each)", time(ns as f64 / (n / 2) as f64));
    let half = growth[0].0;
    let row = table.add(what, kib(*after), kib(before), format!("second half +{}", kib(after - half)));
    row.target("no growth", after - half < 256.0);
    table.add("… open descriptors", fds.clone(), fds_before, String::new());
}

/// Everybody on the same things, as ratios to the bare calls of the same round.
pub fn peers(settings: &Settings) -> Vec<String> {
    let names = ["raw", "filelatch", "naive", "fs4", "python-filelock", "node-proper-lockfile"];
    let mut lines = vec![
        "| | lock + unlock alone | hand-over p50 | 16 processes count in a file (max/min share) | after kill -9 | durable update/s: 1 process | 16 processes (p99) | 16 threads |".to_owned(),
        "|---|---|---|---|---|---|---|---|".to_owned(),
    ];
    let mut bare: Option<[f64; 3]> = None;
    for name in names {
        let dir = settings.scratch();
        std::fs::write(dir.path().join("doc.json"), b"{}\n").unwrap();
        let run = |n, what| contest(&settings.peers, name, dir.path(), n, 1, settings.seconds, what);
        let Some(alone) = run(1, What::Locks) else { continue };
        let alone = 1e9 / alone.rate();
        let n = settings.scaled(50);
        let hand_over = percentile(&hand_overs(settings, name, n, false).unwrap(), 0.5) as f64;
        let crowd = run(16, What::Counts).unwrap();
        let share = if crowd.ops.contains(&0) { "∞".to_owned() } else { format!("{:.1}", crowd.max_to_min()) };
        let killed = percentile(&hand_overs(settings, name, settings.scaled(4), true).unwrap(), 0.5);
        let base = *bare.get_or_insert([alone, hand_over, crowd.rate()]);
        let update = |processes, threads| updates(settings, name, processes, threads).unwrap();
        let (one, many, threads) = (update(1, 1), update(16, 1), update(1, 16));
        let line = format!(
            "| {name} | {} = {} | {} = {} | {} = {} ({share}) | {} | {} | {} ({}) | {} |",
            time(alone),
            times(alone / base[0]),
            time(hand_over),
            times(hand_over / base[1]),
            rate(crowd.rate()),
            times(crowd.rate() / base[2]),
            time(killed as f64),
            rate(one.rate()),
            rate(many.rate()),
            time(many.p99 as f64),
            rate(threads.rate()),
        );
        eprintln!("{line}");
        lines.push(line);
    }
    lines
}
