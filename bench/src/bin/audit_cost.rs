//! What the audit log adds to a write: one file of 1 KiB, replaced in a workspace with and in one without the log, by turns.
//!
//! ```console
//! $ cargo run --release --bin audit_cost [ROUNDS]
//! ```

use std::path::Path;
use std::time::{Duration, Instant};

use filelatch::{Durability, Filelatch, LatchFile, WriteOptions};

/// Writes of one turn.
const TURN: u32 = 50;

fn main() {
    let rounds: usize = std::env::args().nth(1).map_or(60, |n| n.parse().expect("a number of rounds"));
    let dir = tempfile::tempdir().unwrap();
    for (what, durability) in [("durable", Durability::Full), ("not durable", Durability::None)] {
        for (kept, keep) in [("versions kept", "displaced"), ("none kept", "none")] {
            let [with, without] = [true, false].map(|audit| file(dir.path(), audit, keep));
            let mut ratios = Vec::new();
            let mut times = Vec::new();
            for round in 0..rounds + 2 {
                let ([a, b], swap) = ([&with, &without], round % 2 == 1);
                let first = turn(if swap { b } else { a }, durability, round);
                let second = turn(if swap { a } else { b }, durability, round);
                let (with, without) = if swap { (second, first) } else { (first, second) };
                // The first rounds make what is to be there.
                if round >= 2 {
                    ratios.push(with.as_secs_f64() / without.as_secs_f64());
                    times.push(without / TURN);
                }
            }
            ratios.sort_by(f64::total_cmp);
            times.sort();
            let at = |part: f64| ratios[((ratios.len() - 1) as f64 * part) as usize];
            println!(
                "{what}, {kept}: {:.3} × without the log (quartiles {:.3}, {:.3}); without: {:?} a write",
                at(0.5),
                at(0.25),
                at(0.75),
                times[times.len() / 2]
            );
        }
    }
}

fn file(dir: &Path, audit: bool, keep: &str) -> LatchFile {
    let root = dir.join(format!("{audit}-{keep}"));
    std::fs::create_dir_all(&root).unwrap();
    let latch = Filelatch::builder().session("bench").build();
    latch.init(&root).unwrap();
    let config = format!("keep = \"{keep}\"\n[audit]\nenabled = {audit}\n");
    std::fs::write(root.join(".filelatch/config.toml"), config).unwrap();
    latch.file(root.join("a.txt")).unwrap()
}

fn turn(file: &LatchFile, durability: Durability, round: usize) -> Duration {
    let options = WriteOptions::new().durability(durability);
    let mut content = vec![b'x'; 1024];
    let began = Instant::now();
    for n in 0..TURN {
        content[..16].copy_from_slice(format!("{round:08}{n:08}").as_bytes());
        file.write(&content, &options).unwrap();
    }
    began.elapsed()
}
