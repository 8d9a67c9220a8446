//! The definition of the command `log`, as `args` has it of the others.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use filelatch::Durability;
use filelatch::keep::Size;

use crate::args::{Waiting, duration};

/// Append-only logs of JSON records, which several programs write to at once
///
/// LOG is a path, or a plain word: a log of the workspace (.filelatch/stores/logs/WORD.jsonl). Each line of the file has one record, with its
/// length and a checksum. Each record has an offset, which it keeps when the log is compacted.
#[derive(Debug, Args)]
pub(crate) struct Log {
    #[command(subcommand)]
    pub(crate) action: Action,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    Append(Append),
    Read(ReadLog),
    State(State),
    Compact(Compact),
    Verify(Verify),
    Repair(Repair),
}

/// Append records from standard input, one JSON value on each line; print the offset of each once it is durable
///
/// Does not wait for the end of the input: what is there is appended at once, by one write and one sync. Blank lines are passed over. A line that
/// is not JSON ends it with status 1; those before it are in the log, and their offsets were printed.
///
/// With --json: {"offset": N} for each.
#[derive(Debug, Args)]
pub(crate) struct Append {
    #[arg(value_name = "LOG")]
    pub(crate) log: PathBuf,
    /// none: in the file is enough; full: survives a power cut [default: as the policy says, else full]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) durability: Option<Durability>,
    /// Compact the log afterwards if it is longer: 64MB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) compact_over: Option<u64>,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// Print records, the oldest first, as they were given
///
/// With --json: {"offset": N, "record": …} for each.
#[derive(Debug, Args)]
pub(crate) struct ReadLog {
    #[arg(value_name = "LOG")]
    pub(crate) log: PathBuf,
    /// Only records from this offset on
    #[arg(long, value_name = "OFFSET", default_value_t = 0)]
    pub(crate) from: u64,
    /// Go on with what is appended, until interrupted
    #[arg(short, long)]
    pub(crate) follow: bool,
}

/// Print the last value of each key, by the records {"op": "create"|"update"|"delete", "key": K, "value": V}
///
/// One line for each key: the key and the value, both as JSON, with a tab between them. With --json: one object.
#[derive(Debug, Args)]
pub(crate) struct State {
    #[arg(value_name = "LOG")]
    pub(crate) log: PathBuf,
}

/// Leave out what later records have superseded, while others go on appending
///
/// Of the records that `state` reads the last of each key stays, and none of a key that was deleted; all others stay as they are. What is left
/// lies in LOG.snapshot.
///
/// With --json: {compacted, kept, before, after, stoppedMs}.
#[derive(Debug, Args)]
pub(crate) struct Compact {
    #[arg(value_name = "LOG")]
    pub(crate) log: PathBuf,
    /// Only if the file is longer: 64MB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) if_over: Option<u64>,
    /// Only if the last compaction was longer ago: 12h. Without one the log counts as old
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) if_older: Option<Duration>,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// Read everything and list what is not as it was written
///
/// Exit status 0: every record is intact; 1: something is damaged, and is named by file, line and byte. What a killed writer has left
/// unfinished is listed, too, and is no damage.
///
/// With --json: {ok, records, end, problems, damaged}.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[arg(value_name = "LOG")]
    pub(crate) log: PathBuf,
}

/// Move damage aside, to LOG.damaged-<n>, and keep all that is intact; go on with what is there
///
/// With --json: {records, moved}.
#[derive(Debug, Args)]
pub(crate) struct Repair {
    #[arg(value_name = "LOG")]
    pub(crate) log: PathBuf,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

pub(crate) fn size(text: &str) -> Result<u64, String> {
    text.parse::<Size>().map(|size| size.0)
}
