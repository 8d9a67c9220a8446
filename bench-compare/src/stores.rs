//! Durable appends and the durable queue, against the bare calls, the reference and databases.

use crate::Settings;
use crate::pool::{Contest, What, contest};
use crate::stats::{Pairs, median, rate, time};
use crate::table::{Table, times};
use crate::turns::fill;

fn run(settings: &Settings, name: &str, processes: usize, threads: usize, commands: usize) -> Option<Contest> {
    let dir = settings.scratch();
    fill(name, dir.path(), commands);
    contest(&settings.peers, name, dir.path(), processes, threads, settings.seconds, What::Turns)
}

pub fn appends(settings: &Settings, table: &mut Table) {
    let cases = [
        (1, 1, "1 writer", "append-raw", "≥ 0.9 ×", 0.9),
        (1, 16, "16 threads, against the group-commit reference", "append-group", "≥ 0.7 ×", 0.7),
        (16, 1, "16 processes, against the group-commit reference", "append-group", "≥ 0.7 ×", 0.7),
        (4, 1, "4 processes", "append-raw", "", 0.0),
        (1, 1, "1 writer, against SQLite (WAL, FULL)", "append-sqlite", "", 0.0),
        (16, 1, "16 processes, against SQLite (WAL, FULL)", "append-sqlite", "", 0.0),
        (1, 16, "16 threads, against SQLite (WAL, FULL)", "append-sqlite", "", 0.0),
    ];
    for (processes, threads, what, against, target, limit) in cases {
        let (mut pairs, mut late, mut shares) = (Pairs::default(), Pairs::default(), Vec::new());
        for _ in 0..settings.rounds {
            let ours = run(settings, "append-filelatch", processes, threads, 0).unwrap();
            let raw = run(settings, against, processes, threads, 0).unwrap();
            pairs.push(ours.rate(), raw.rate());
            late.push(ours.p99 as f64, raw.p99 as f64);
            shares.push(ours.max_to_min());
        }
        let what = format!("durable append of 200 bytes: {what}");
        let row = table.add(what, rate(pairs.ours()), rate(pairs.raw()), times(pairs.ratio()));
        if limit > 0.0 {
            row.target(target, pairs.ratio() >= limit);
        }
        table.add("… p99", time(late.ours()), time(late.raw()), times(late.ratio()));
        if processes * threads == 16 && against == "append-group" {
            let share = median(&shares);
            let row =
                table.add("… greatest share to smallest", format!("{share:.2}"), String::new(), String::new());
            row.target("≤ 1.5", share <= 1.5);
        }
    }
}

pub fn queues(settings: &Settings, table: &mut Table) {
    // So many commands for each second that they do not run out.
    let peers = [("queue-sqlite", "a table in SQLite (WAL, FULL)", 60_000), ("queue-persist", "persist-queue", 3_000)];
    for (against, what, enough) in peers {
        for processes in [1, 8] {
            let (mut pairs, mut late) = (Pairs::default(), Pairs::default());
            for _ in 0..settings.rounds {
                let commands = |enough: usize| (enough as f64 * settings.seconds.max(0.3)) as usize;
                let Some(peer) = run(settings, against, processes, 1, commands(enough)) else { break };
                let ours = run(settings, "queue-filelatch", processes, 1, commands(60_000)).unwrap();
                pairs.push(ours.rate(), peer.rate());
                late.push(ours.p99 as f64, peer.p99 as f64);
            }
            if pairs.ratio().is_nan() {
                continue;
            }
            let runners = if processes == 1 { "1 runner".to_owned() } else { format!("{processes} runners") };
            let what = format!("claim and complete, durable: {runners}, against {what}");
            let row = table.add(what, rate(pairs.ours()), rate(pairs.raw()), times(pairs.ratio()));
            if processes == 8 {
                row.target("≥ 2 ×", pairs.ratio() >= 2.0);
            }
            table.add("… p99", time(late.ours()), time(late.raw()), times(late.ratio()));
        }
    }
}
