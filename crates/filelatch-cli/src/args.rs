//! The definition of the command line: parser, help, manual and completions all come from here.
#![expect(clippy::doc_markdown, reason = "the comments are the help that users read on a terminal")]

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use filelatch::doc::Format;
use filelatch::{Durability, Expect, LockMode, Period, Strategy};

use crate::args_audit::Audit;
use crate::args_bookmark::Bookmark;
use crate::args_changes::{Changes, Generated};
use crate::args_conflicts::{Conflicts, Edit};
use crate::args_group::Group;
use crate::args_hooks::Hooks;
use crate::args_keep::{Diff, History, Restore};
use crate::args_log::Log;
use crate::args_mcp::Mcp;
use crate::args_merge::{GitSetup, Merge, MergeDriver};
use crate::args_queue::Queue;
use crate::args_secrets::{Credential, Token};
use crate::args_serve::Serve;
use crate::args_session::Session;
use crate::args_watch::Watch;

/// Many writers, one file, nothing lost: locks, atomic durable writes and lossless edits for files that several programs change.
///
/// Standard output is data, standard error is talk.
#[derive(Debug, Parser)]
#[command(name = "filelatch", version, propagate_version = true, after_help = STATUSES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const STATUSES: &str = "\
Exit status:
  0 done · 1 error · 2 usage · 3 conflict, lease lost · 4 lock or lease not had in time · 5 no such file";

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Answer in JSON on standard output, errors included
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Who writes: shown to others as the author [env: FILELATCH_SESSION] [default: user@host#random]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) session: Option<String>,
}

// What is said about a command stands at its arguments, below.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(Init),
    Run(Run),
    Read(Read),
    Hash(Hash),
    Write(Write),
    Update(Update),
    Patch(Patch),
    History(History),
    Diff(Diff),
    Restore(Restore),
    Merge(Merge),
    MergeDriver(MergeDriver),
    GitSetup(GitSetup),
    Edit(Edit),
    Conflicts(Conflicts),
    Session(Session),
    Group(Group),
    Bookmark(Bookmark),
    Queue(Queue),
    Log(Log),
    Audit(Audit),
    Changes(Changes),
    Generated(Generated),
    Token(Token),
    Credential(Credential),
    Hooks(Hooks),
    Serve(Serve),
    Mcp(Mcp),
    Status(Status),
    Watch(Watch),
    Torture(Torture),
    Doctor(Doctor),
    #[command(hide = true)]
    DoctorPeer(DoctorPeer),
    Completions(Completions),
    Man(Man),
}

/// How to wait for a lock.
#[derive(Debug, Args)]
pub(crate) struct Waiting {
    /// Wait so long for the lock: 500ms, 5s, 2m [default: as the policy says, else 5s]
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "no_wait")]
    pub(crate) timeout: Option<Duration>,
    /// Do not wait for the lock
    #[arg(long)]
    pub(crate) no_wait: bool,
}

/// Make a workspace: a folder whose files follow the policies in .filelatch/config.toml
///
/// What exists is left alone. In a git repository the patterns of what does not belong into it (lock files, temporary files) are
/// shown and added to .git/info/exclude.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The folder
    #[arg(default_value = ".", value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Leave git alone: add nothing to .git/info/exclude
    #[arg(long)]
    pub(crate) no_git: bool,
}

/// Run a command while holding the locks of files
///
/// The command inherits the locks: they are held until it and everything it started have ended, even if filelatch itself is
/// killed. filelatch commands inside it use the held locks instead of waiting for them; they find them in FILELATCH_HELD, as
/// `RESOURCE:DESCRIPTOR` words separated by blanks. The lock file is `.NAME.lock` beside the file, so that flock(1) on it
/// excludes us and we exclude it.
///
/// FILE#RECORD locks a part of a file, by a name that the programs agree on, unless there is a file of exactly that name: holders of
/// other records go on, who wants the whole file waits. Inside, `update FILE#RECORD` writes under that lock; the whole file is
/// refused. Whole files are locked first, and --timeout counts for them and for the records each.
///
/// The exit status is the command's; 126: it can't be executed; 127: not found; 128+N: ended by signal N. While the command
/// runs, Ctrl-C is its business; SIGTERM and SIGHUP are passed on to it.
///
/// With --max-hold the command runs under leases instead: others can't write these files through filelatch until it has ended or the time
/// is over. Then it is asked to end (SIGTERM to its process group) and after 5 s killed, and the exit status is 124. filelatch
/// commands inside it write under the lease, which they find in FILELATCH_LEASE as `RESOURCE:NUMBER` words; once it is lost
/// they are refused (3). What the command writes by itself can't be refused: a program that must not write late compares
/// FILELATCH_TOKEN, a number that grows with each lease, where it writes. It runs in a process group of its own, so it can't read from the
/// terminal.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Take shared locks: other readers may go on, writers wait
    #[arg(long)]
    pub(crate) shared: bool,
    /// Wait so long for the locks: 500ms, 5s, 2m [default: without limit]
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "no_wait")]
    pub(crate) timeout: Option<Duration>,
    /// Do not wait for the locks
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Exit status when the locks were not had
    #[arg(short = 'E', long, value_name = "N", default_value_t = crate::exit::NO_LOCK)]
    pub(crate) conflict_exit_code: u8,
    /// Do not let the command inherit the locks: they end with it, whatever it leaves running
    #[arg(long)]
    pub(crate) close: bool,
    /// Take leases for so long instead of locks: 500ms, 30s, 2m. A command that takes longer is ended
    #[arg(long, value_name = "DURATION", value_parser = some_duration, conflicts_with_all = ["shared", "close"])]
    pub(crate) max_hold: Option<Duration>,
    /// The files; several are locked in one global order. They need not exist
    #[arg(required = true, value_name = "FILE[#RECORD]")]
    pub(crate) files: Vec<PathBuf>,
    /// The command and its arguments; no shell is involved
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// Print a file; with --json also its hash, and who wrote it when
///
/// With --json: {path, exists, content, hash, size, lastModifiedBy, lastModifiedAt}. `path` is the path as given.
/// `lastModifiedBy` is a session's name, "external" or "unknown". Content that is not UTF-8 comes in base64, with
/// "encoding": "base64".
#[derive(Debug, Args)]
pub(crate) struct Read {
    /// First make sure that what is printed survives a power cut
    #[arg(long)]
    pub(crate) durable: bool,
    /// Hold the shared lock while reading: for files that some program writes in place under the lock
    #[arg(long)]
    pub(crate) shared: bool,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    /// The file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Print the hashes of files, as `b3sum` prints them
///
/// Files that can't be read are told of and do not hide the others; the exit status is then that of the worst error.
#[derive(Debug, Args)]
pub(crate) struct Hash {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// Replace or create a file with what comes on standard input, atomically; print its new hash
///
/// All of the input is read first; then the file is locked, compared with what is expected, and replaced as a whole: readers
/// see the old or the new content. Input of more than 1 GiB goes to the disk at once and is not compared with the old content,
/// so its outcome is never "unchanged".
///
/// With --strategy merge, a file that is not what is expected is merged with the input: what both were made from is the expected version,
/// looked for among the kept versions and in git, or given by --base. What does not fit together is not written (exit status 3) and
/// stored, see `conflicts`.
///
/// With --json: {success, path, hash, outcome, notices}, outcome being written, unchanged or merged; on a conflict (exit status 3)
/// {success: false, error, conflictInfo: {expectedHash, currentHash, lastModifiedBy, lastModifiedAt}}, and of a merge also cause,
/// conflictId, conflicts (how many places), baseHash, baseLookedFor, fallback, notStored.
#[derive(Debug, Args)]
pub(crate) struct Write {
    /// Write only if the file has this hash (16 or more digits of it), or is `absent`
    #[arg(long, value_name = "HASH|absent|any", default_value = "any", hide_default_value = true)]
    pub(crate) expect: Expect,
    /// What to do when the file is not what is expected [default: as the policy says, else fail-fast]
    #[arg(long, value_name = "fail-fast|queue|last-write-wins|merge")]
    pub(crate) strategy: Option<Strategy>,
    /// What the input was made from, for --strategy merge: a file that holds it, or its hash (16 or more digits of it), which is then
    /// expected
    #[arg(long, value_name = "FILE|HASH")]
    pub(crate) base: Option<PathBuf>,
    /// Create missing directories
    #[arg(long)]
    pub(crate) mkdir: bool,
    #[command(flatten)]
    pub(crate) writing: Writing,
    /// The file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// What all commands that write have in common.
#[derive(Debug, Args)]
pub(crate) struct Writing {
    /// What the write has survived when the command ends [default: as the policy says, else full]
    #[arg(long, value_name = "none|file|full")]
    pub(crate) durability: Option<Durability>,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// Change a JSON, YAML or TOML file with a jq filter, keeping comments and formatting; print its new hash
///
/// The filter gets the newest value, under the lock, and must yield exactly one: the new value of the whole document. What it
/// does not change keeps its bytes: comments, order, indentation, the spelling of numbers. Nothing is written when it fails.
///
/// The language is jq's, as jaq understands it, without `env`, `input` and modules.
///
/// Example: filelatch update package.json '.version = $v' --arg v 1.2.3
#[derive(Debug, Args)]
pub(crate) struct Update {
    /// Make a variable $NAME with a text as its value
    #[arg(long, num_args = 2, value_names = ["NAME", "TEXT"], allow_hyphen_values = true)]
    pub(crate) arg: Vec<String>,
    /// Make a variable $NAME with a JSON value
    #[arg(long, num_args = 2, value_names = ["NAME", "JSON"], allow_hyphen_values = true)]
    pub(crate) argjson: Vec<String>,
    /// If the file does not exist, create it; the filter then gets null
    #[arg(long)]
    pub(crate) create: bool,
    /// Read the file as this format [default: by its name]
    #[arg(long, value_name = "json|jsonc|yaml|toml|text")]
    pub(crate) format: Option<Format>,
    /// Give up when the filter takes longer: it runs while others wait for the lock
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    pub(crate) filter_timeout: Duration,
    #[command(flatten)]
    pub(crate) writing: Writing,
    /// The file; FILE#RECORD writes under the lock of a record (see `run`), not of the whole file
    #[arg(value_name = "FILE[#RECORD]")]
    pub(crate) file: PathBuf,
    /// The jq filter
    #[arg(value_name = "FILTER", allow_hyphen_values = true)]
    pub(crate) filter: String,
}

/// Change a JSON, YAML or TOML file with a JSON patch, keeping comments and formatting; print its new hash
///
/// PATCH is JSON, or @FILE, or - for standard input.
#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "the options are called so")]
#[command(group(clap::ArgGroup::new("patch").required(true)))]
pub(crate) struct Patch {
    /// An RFC 7396 merge patch: objects are merged, null removes
    #[arg(long, value_name = "PATCH", group = "patch", allow_hyphen_values = true)]
    pub(crate) merge_patch: Option<OsString>,
    /// An RFC 6902 JSON patch: a list of operations, of which all or none are applied
    #[arg(long, value_name = "PATCH", group = "patch", allow_hyphen_values = true)]
    pub(crate) json_patch: Option<OsString>,
    /// Read the file as this format [default: by its name]
    #[arg(long, value_name = "json|jsonc|yaml|toml|text")]
    pub(crate) format: Option<Format>,
    #[command(flatten)]
    pub(crate) writing: Writing,
    /// The file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Show who holds locks since when, how many wait, open conflicts, and what dead writers left
///
/// For a folder: the files in it that are locked, and temporary files. Without a path: the workspace's folder, or the current
/// one. Takes no lock.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Files or folders
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Of folders, also show the files whose lock is free
    #[arg(long)]
    pub(crate) all: bool,
}

/// Prove on the disk of a folder that nothing is lost
///
/// Processes of this program change a few files in a folder of their own in DIR: conditional writes, updates of a document, appends,
/// exclusive and shared locks, plain reads. They are stopped for moments and, with --kill, killed at random and started again. What
/// each of them was told is then checked against what is there: no acknowledged change is lost or applied twice, no two held a lock
/// at once, no read saw a mix or an older version than was acknowledged before it began.
///
/// The folder is removed at the end. After a violation it is kept; the exit status is then 1, and the history that shows it is
/// printed. Policies of a workspace do not apply. Ctrl-C ends the run early; what was done is checked all the same.
///
/// A power cut is not part of it.
#[derive(Debug, Args)]
pub(crate) struct Torture {
    /// How many processes
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) processes: u16,
    /// For how long
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) seconds: u64,
    /// Also kill processes at random moments; without, they are only stopped for up to 30 ms
    #[arg(long)]
    pub(crate) kill: bool,
    /// What the writes have survived when they are acknowledged
    #[arg(long, value_name = "none|file|full", default_value_t = Durability::Full)]
    pub(crate) durability: Durability,
    /// What the locks are made of
    #[arg(long, value_name = "auto|os|file", default_value = "auto")]
    pub(crate) lock: LockMode,
    /// Let the processes do the same again, and the same signals hit them; the system still schedules as it likes
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Tell once a second how it goes, also where standard error is not a terminal
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// A folder on the disk that is to be tried
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

/// One process of `torture`, which starts it by this name. Not for people, and in no help or completion.
#[derive(Debug, Parser)]
#[command(name = TortureWorker::NAME)]
pub(crate) struct TortureWorker {
    #[arg(long)]
    pub(crate) process: u64,
    #[arg(long)]
    pub(crate) seed: u64,
    #[arg(long)]
    pub(crate) durability: Durability,
    #[arg(long)]
    pub(crate) lock: LockMode,
    #[arg(long)]
    pub(crate) sabotage: Option<Sabotage>,
    pub(crate) dir: PathBuf,
}

impl TortureWorker {
    /// The first argument, in place of a command.
    pub(crate) const NAME: &str = "torture-worker";
}

/// What a worker does wrong on purpose, so that the check can be seen to find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sabotage {
    /// Takes no locks, and appends without comparing.
    Locks,
    /// Writes in place, in two parts.
    Torn,
    /// Tells of an old version as read now.
    Stale,
    /// Acknowledges appends that it has not made.
    Forget,
}

impl Sabotage {
    /// As it is typed.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Sabotage::Locks => "locks",
            Sabotage::Torn => "torn",
            Sabotage::Stale => "stale",
            Sabotage::Forget => "forget",
        }
    }
}

/// Tell what this mount guarantees, and find locks, leftovers and settings that need a look
///
/// Tries in a folder of its own inside DIR, and removes it again: do locks exclude open files and processes, and end with a killed
/// process? Do rename, exchange, links, syncs, attributes do what they should? Looks up what the type of the file system and the
/// options of the mount mean. Then looks through DIR and the folders below for held locks, lock files without a file, leftovers of
/// dead writers, interrupted writes, wrong modes, and workspaces that are not obeyed. Symbolic links, other file systems, `.git`,
/// `node_modules` and the like are left out.
///
/// --fix puts right what is proved to be nobody's, each file under its lock, while others go on working; everything else is told
/// with what you can do about it.
///
/// Exit status: 0: nothing is wrong (any more); 1: a problem is left, the system's locks do not exclude here, or a probe failed.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The folder
    #[arg(default_value = ".", value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Remove what is proved to be nobody's, complete interrupted writes
    #[arg(long)]
    pub(crate) fix: bool,
    /// Look in DIR only, not in the folders below
    #[arg(long)]
    pub(crate) no_recurse: bool,
    /// Look at no more than so many names
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub(crate) limit: usize,
}

/// The other process of the doctor's probes: says whether it got the lock, and holds it until its input ends
#[derive(Debug, Args)]
pub(crate) struct DoctorPeer {
    /// The file to lock
    pub(crate) file: PathBuf,
}

/// Print a completion script for a shell
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// Print a manual page, in roff: `filelatch man | man -l -`
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The page of this command; of all of filelatch without
    #[arg(value_enum)]
    pub(crate) command: Option<Page>,
}

/// Commands with a page of their own.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Page {
    Init,
    Run,
    Read,
    Hash,
    Write,
    Update,
    Patch,
    History,
    Diff,
    Restore,
    Merge,
    MergeDriver,
    GitSetup,
    Edit,
    Conflicts,
    Session,
    Queue,
    Log,
    Audit,
    Changes,
    Generated,
    Token,
    Credential,
    Hooks,
    Status,
    Watch,
    Torture,
    Doctor,
    Completions,
    Man,
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<Period>().map(|period| period.0)
}

/// A length of time in which something can happen.
pub(crate) fn some_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be longer than nothing".to_owned()),
        time => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// The definition is consistent with itself.
    #[test]
    fn definition() {
        Cli::command().debug_assert();
    }
}
