//! A log that several programs write to: append, follow, keep a map in it, compact.
//!
//! `cargo run --features store --example log -- events.jsonl` in two terminals: each adds a record and shows those of the other.
#![expect(clippy::print_stdout, reason = "an example talks")]

use std::time::Duration;

use filelatch::store::log::{LogOptions, Triggers};
use filelatch::{Error, Filelatch};
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "events.jsonl".to_owned());
    let log = Filelatch::new().log(&path)?;

    // Durable when it returns; compacted by itself when it has become long.
    let compact_when = Triggers { bytes: Some(1 << 20), age: None };
    let options = LogOptions { compact_when, ..LogOptions::default() };
    log.append_json(&json!({"started": log.path()}), &options)?;

    // A counter that many programs raise: read, decide and write are one step.
    let mut map = log.keyed::<u64>();
    map.update("runs", &options, |runs| Ok::<_, Error>(Some(runs.unwrap_or(0) + 1)))?;
    println!("run number {}", map.get("runs")?.unwrap_or(0));

    // Everything so far, then what others add within five seconds.
    let mut follow = log.follow(0)?;
    while let Some(record) = follow.next(Some(Duration::from_secs(5)))? {
        println!("{:>8}  {}", record.offset, String::from_utf8_lossy(&record.bytes));
    }
    Ok(())
}
