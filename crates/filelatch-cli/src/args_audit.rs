//! The definition of the command `audit`, as `args` has it of the others.
#![expect(clippy::doc_markdown, reason = "the comments are the help that users read on a terminal")]

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use filelatch::audit::Anchor;
use jiff::Timestamp;

use crate::args::duration;

/// Show and check what was recorded: who changed which file when, in a chain that shows changes
///
/// In a workspace (see `init`) each write is recorded, and locks that were waited for or not had, conflicts, restores and more. Records are
/// chained: `verify` finds what was edited, removed or reordered; what was cut off the end, or wholly rewritten, is found by an
/// anchor that `head` has printed before and that was kept elsewhere.
///
/// The log lies in .filelatch/audit; [audit] in .filelatch/config.toml bounds it or switches it off.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    #[command(subcommand)]
    pub(crate) action: Action,
    /// A folder of the workspace [default: the current one]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    Show(Show),
    Tail(Tail),
    Verify(Verify),
    Head(Head),
}

/// Which records.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Only those about files that match: *.json, config/**; relative to the workspace's folder. Can be given several times
    #[arg(long, value_name = "GLOB")]
    pub(crate) path: Vec<String>,
    /// Only those of this session. Can be given several times
    #[arg(long = "by", value_name = "NAME")]
    pub(crate) by: Vec<String>,
    /// Only these events: write, lock, lease, foreign, conflict, resolve, restore, … Can be given several times
    #[arg(long, value_name = "EVENT")]
    pub(crate) event: Vec<String>,
    /// Leave out process ids and names of hosts, for readers elsewhere
    #[arg(long)]
    pub(crate) public: bool,
}

/// Print records, the oldest first
///
/// With --json: one object on each line, as it lies in the log.
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// Only records from then on: 2026-11-21T10:00:00Z, or so long ago: 2h
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<Moment>,
    /// Only records up to then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<Moment>,
    /// Only the last so many
    #[arg(long, value_name = "N")]
    pub(crate) last: Option<usize>,
}

/// Print the last records; with -f go on with what is recorded from now on
#[derive(Debug, Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// Go on until interrupted
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Begin with the last so many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    pub(crate) last: usize,
}

/// Check the chain, and whether files carry publishes that are not recorded
///
/// Exit status 0: all is as it was written; 1: something is wrong, and is named by file, line and record. A writer that was killed
/// between its publish and its record leaves a file with a publish that is not recorded, until it is written again; so does a power cut.
///
/// With --json: {ok, problems, problemCount, notes, records, files, head}; problems being [{kind, file, line, record, message}], kind being
/// edited, damaged, gap, reordered, missing-file, swapped-file, truncated, rewritten, wrong-key or unrecorded.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// What `audit head` has printed before: the log must still have that record. Can be given several times
    #[arg(long, value_name = "HEAD")]
    pub(crate) anchor: Vec<Anchor>,
    /// The file with the key that the log is chained with [env: FILELATCH_AUDIT_KEY] [default: as the workspace says]
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Check the log only, not the files of the workspace
    #[arg(long)]
    pub(crate) log_only: bool,
}

/// Print the newest record's number and chain value, an anchor for `verify`; what is recorded so far then survives a power cut
#[derive(Debug, Args)]
pub(crate) struct Head {}

/// A point in time, or so long ago.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    At(Timestamp),
    Ago(Duration),
}

pub(crate) fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(ago) = duration(text) {
        return Ok(Moment::Ago(ago));
    }
    let at = text
        .parse()
        .map_err(|_| format!("`{text}` is no point in time: 2026-11-21T10:00:00Z, or 2h for two hours ago"));
    at.map(Moment::At)
}
