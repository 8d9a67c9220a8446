//! The definition of `queue`, as `args` has it of the other commands.
#![expect(clippy::doc_markdown, reason = "the comments are the help that users read on a terminal")]

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};

use crate::args::{duration, some_duration};

/// Commands in a queue that any number of runners share: each is completed exactly once
///
/// Q is a path, or a name in the workspace's stores. `queue run Q` is a runner: start as many as you like, on one machine. A command whose
/// runner was killed is claimable at once, that of one who is stopped when its lease is over.
#[derive(Debug, Args)]
pub(crate) struct Queue {
    #[command(subcommand)]
    pub(crate) action: QueueAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueueAction {
    Add(QueueAdd),
    List(QueueList),
    Show(QueueShow),
    Update(QueueUpdate),
    Move(QueueMove),
    Remove(QueueRemove),
    Run(QueueRun),
    Claim(QueueClaim),
    Heartbeat(QueueHeartbeat),
    Complete(QueueEnd),
    Fail(QueueFail),
    Release(QueueRelease),
    Again(QueueAgain),
    Prune(QueuePrune),
}

/// When a command is run, and how often.
#[derive(Debug, Args)]
pub(crate) struct When {
    /// Higher ones come first [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) priority: Option<i32>,
    /// Not before so much time has passed: 500ms, 5s, 2m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) delay: Option<Duration>,
    /// So many more attempts after it has failed [default: as the runner has it, else none]
    #[arg(long, value_name = "N")]
    pub(crate) retries: Option<u32>,
    /// So long after the first failure
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) retry_delay: Option<Duration>,
    /// By what that is multiplied with each further failure [default: 2]
    #[arg(long, value_name = "N")]
    pub(crate) backoff: Option<u32>,
}

/// Add a command at the end of its priority; print its id
///
/// The file is made if it is missing. When the command is printed it survives a power cut.
///
/// With --json: {id}.
#[derive(Debug, Args)]
pub(crate) struct QueueAdd {
    /// The queue
    #[arg(value_name = "Q")]
    pub(crate) queue: PathBuf,
    /// Its name, which no other command of the queue may have [default: a number]
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    #[command(flatten)]
    pub(crate) when: When,
    /// The command and its arguments; no shell is involved
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

/// List the commands in order: by priority, then in the order in which they were added or moved
///
/// With --json: [{id, command, state, attempts, priority, failures, runner, claimable, exitCode, result, token, addedAt, notBefore,
/// claimedAt, endedAt}]; state being pending, claimed, done or failed; what does not apply is left out. `claimable` is true for a
/// command whose runner is gone.
#[derive(Debug, Args)]
pub(crate) struct QueueList {
    /// The queue
    #[arg(value_name = "Q")]
    pub(crate) queue: PathBuf,
    /// Only these: pending, claimed, done, failed. Can be given several times
    #[arg(long, value_name = "STATE", value_parser = ["pending", "claimed", "done", "failed"])]
    pub(crate) state: Vec<String>,
}

/// Show one command
#[derive(Debug, Args)]
pub(crate) struct QueueShow {
    /// The queue
    #[arg(value_name = "Q")]
    pub(crate) queue: PathBuf,
    /// The command
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}

/// Change a pending command
///
/// With another priority it goes to the end of that. --delay 0s makes it due at once.
#[derive(Debug, Args)]
pub(crate) struct QueueUpdate {
    /// The queue
    #[arg(value_name = "Q")]
    pub(crate) queue: PathBuf,
    /// The command
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) when: When,
    /// Another command and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

/// Move a command; it takes the priority of the one that it is moved beside
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("to").required(true)))]
pub(crate) struct QueueMove {
    /// The queue
    #[arg(value_name = "Q")]
    pub(crate) queue: PathBuf,
    /// The command
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Directly before this one
    #[arg(long, value_name = "ID", group = "to")]
    pub(crate) before: Option<String>,
    /// Directly after this one
    #[arg(long, value_name = "ID", group = "to")]
    pub(crate) after: Option<String>,
    /// Before all others
    #[arg(long, group = "to")]
    pub(crate) first: bool,
    /// After all others
    #[arg(long, group = "to")]
    pub(crate) last: bool,
}

/// Remove a command
#[derive(Debug, Args)]
pub(crate) struct QueueRemove {
    /// The queue
    #[arg(value_name = "Q")]
    pub(crate) queue: PathBuf,
    /// The command
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Also if a runner has it: it is ended with its runner's next heartbeat
    #[arg(long)]
    pub(crate) force: bool,
}

/// Claim and run commands, one after the other, until interrupted
///
/// Commands are run without a shell, with this one's output and no input. Exit status 0: done; other ones: failed, or pending again if
/// there are retries left. A command that was not run to its end because its runner was killed or stopped is run again by another one.
///
/// Each finds FILELATCH_QUEUE (the queue's file), FILELATCH_QUEUE_ID, FILELATCH_QUEUE_ATTEMPT and FILELATCH_QUEUE_TOKEN, a number that
/// grows with each claim: what the command changes elsewhere is safe from a late predecessor if that compares it. A command has a process
/// group of its own and is ended (SIGTERM, after 5 s SIGKILL) when its claim is lost.
///
/// Asked to end (SIGINT, SIGTERM, SIGHUP), the runner claims nothing more and waits for what it runs; asked again, it ends that and gives it back to
/// the queue.
///
/// With --json: one line for each attempt: {id, attempt, token, state, exitCode}; state being done, pending, failed, lost or released.
#[derive(Debug, Args)]
pub(crate) struct QueueRun {
    /// The queue
    #[arg(value_name = "Q")]
    pub(crate) queue: PathBuf,
    /// End when nothing is pending or claimed any more
    #[arg(long)]
    pub(crate) until_empty: bool,
    /// Run so many commands at a time
    #[arg(short = 'j', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: u16,
    /// Others may have a command when nothing was heard of this runner for so long
    #[arg(long, value_name = "DURATION", value_parser = some_duration, default_value = "30s")]
    pub(crate) lease: Duration,
    /// Try commands that fail so many more times, if they do not say so themselves
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) retries: u32,
    /// So long after the first failure; each further one doubles it
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0s")]
    pub(crate) retry_delay: Duration,
    /// Append what a command says to ID.out and ID.err in this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}

/// Claim the next command, to be run by whoever asks; print {id, token, command, attempt, lease} as JSON
///
/// `lease` is in seconds. The claim ends when it is over, unless `heartbeat` makes it longer. Exit status 5: nothing is claimable.
#[derive(Debug, Args)]
pub(crate) struct QueueClaim {
    /// The queue
    #[arg(value_name = "Q")]
    pub(crate) queue: PathBuf,
    /// How long the claim lasts: 30s, 10m
    #[arg(long, value_name = "DURATION", value_parser = some_duration, default_value = "5m")]
    pub(crate) lease: Duration,
    /// Wait so long for something to claim
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) wait: Option<Duration>,
}

/// Whose claim it is.
#[derive(Debug, Args)]
pub(crate) struct OfClaim {
    /// The queue
    #[arg(value_name = "Q")]
    pub(crate) queue: PathBuf,
    /// The command
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// The number that `claim` has printed
    #[arg(long, value_name = "T")]
    pub(crate) token: u64,
}

/// Make a claim last for its lease from now on; exit status 3: it is somebody else's by now
#[derive(Debug, Args)]
pub(crate) struct QueueHeartbeat {
    #[command(flatten)]
    pub(crate) claim: OfClaim,
    /// For so long instead
    #[arg(long, value_name = "DURATION", value_parser = some_duration)]
    pub(crate) lease: Option<Duration>,
}

/// A claimed command went well; exit status 3: it is somebody else's by now, or was completed already
#[derive(Debug, Args)]
pub(crate) struct QueueEnd {
    #[command(flatten)]
    pub(crate) claim: OfClaim,
    /// Its exit code
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) exit_code: Option<i32>,
    /// What came out: JSON, or text, up to 64 KiB
    #[arg(long, value_name = "RESULT")]
    pub(crate) result: Option<String>,
}

/// A claimed command went wrong: it is pending again if there are retries left, else failed
#[derive(Debug, Args)]
pub(crate) struct QueueFail {
    #[command(flatten)]
    pub(crate) end: QueueEnd,
    /// So many more attempts, if the command does not say so itself
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) retries: u32,
    /// So long after the first failure
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0s")]
    pub(crate) retry_delay: Duration,
}

/// Give a claimed command back: it is pending again, at its place
#[derive(Debug, Args)]
pub(crate) struct QueueRelease {
    #[command(flatten)]
    pub(crate) claim: OfClaim,
}

/// Make a done or failed command pending once more, at its place
#[derive(Debug, Args)]
pub(crate) struct QueueAgain {
    /// The queue
    #[arg(value_name = "Q")]
    pub(crate) queue: PathBuf,
    /// The command
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}

/// Forget commands that are done; print how many
#[derive(Debug, Args)]
pub(crate) struct QueuePrune {
    /// The queue
    #[arg(value_name = "Q")]
    pub(crate) queue: PathBuf,
    /// Only those that ended so long ago: 2h, 7d
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) older_than: Option<Duration>,
    /// Keep the last so many
    #[arg(long, value_name = "N")]
    pub(crate) keep: Option<usize>,
    /// Also those that have failed
    #[arg(long)]
    pub(crate) failed: bool,
}
