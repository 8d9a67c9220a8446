//! The definitions of `changes` and `generated`, as `args` has it of the others.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::args::duration;
use crate::args_audit::{Moment, moment};

/// Which files a session has changed, and who has changed a file: an index of it
///
/// It is fed by the audit log, with what is written through filelatch, and by git, with what sessions have committed. It lies in
/// .filelatch/stores/changes.jsonl, and keeps what the audit log has removed by its policy and of sessions that are gone.
#[derive(Debug, Args)]
pub(crate) struct Changes {
    #[command(subcommand)]
    pub(crate) action: ChangesAction,
    /// A folder of the workspace [default: the current one]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ChangesAction {
    List(ChangesList),
    Update(ChangesUpdate),
    Rebuild(ChangesRebuild),
    Compact(ChangesCompact),
}

/// List changes by time: time, what became of the file, path, who
///
/// First what is new is taken in. With --session NAME also what a session in a git worktree of this name has committed or changed by
/// now: marked `(not committed)`, and not stored.
///
/// With --json one object on each line: {path, by, at, kind, before, after, source, record}; kind being created, changed or deleted, source
/// publish, git or worktree.
#[derive(Debug, Args)]
pub(crate) struct ChangesList {
    /// Only changes of this file, of files in this folder, or that match: *.json, src/**; relative to the workspace's folder. Can be given
    /// several times
    #[arg(long, value_name = "PATH|GLOB")]
    pub(crate) path: Vec<PathBuf>,
    /// Only changes by this session (the global option; --by says the same). Can be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Vec<String>,
    /// Only changes from then on: 2026-11-21T10:00:00Z, or so long ago: 2h
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<Moment>,
    /// Only changes up to then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<Moment>,
    /// Take in nothing: the index as it is
    #[arg(long)]
    pub(crate) no_update: bool,
}

/// Take in what is new: of the audit log, and what sessions have committed
///
/// With --json: {changes, fromSessions, missed, damaged}.
#[derive(Debug, Args)]
pub(crate) struct ChangesUpdate {}

/// Make the index anew from the audit log and git; the way out of a damaged one
///
/// What the old index has and its sources have not any more is taken over, as far as it can be read. The old index is there until the new
/// one is.
///
/// With --json: {fromAudit, takenOver, fromSessions, damaged, auditDamaged, auditRemoved}.
#[derive(Debug, Args)]
pub(crate) struct ChangesRebuild {}

/// Keep the last change of each file by each session, and remove those before it
///
/// With --json: {kept, removed}.
#[derive(Debug, Args)]
pub(crate) struct ChangesCompact {
    /// Remove what is older, too: 90d
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) keep_age: Option<Duration>,
    /// Of the rest keep the newest so many
    #[arg(long, value_name = "N")]
    pub(crate) keep: Option<usize>,
}

/// Files that are made for a session, and removed with it
///
/// `session remove` and `session gc` remove what was generated for the session. What somebody has edited since is left, and named.
#[derive(Debug, Args)]
pub(crate) struct Generated {
    #[command(subcommand)]
    pub(crate) action: GeneratedAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GeneratedAction {
    Write(GeneratedWrite),
    List(GeneratedList),
    Remove(GeneratedRemove),
}

/// For whom.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ForWhom {
    /// For this session
    #[arg(long = "for", value_name = "SESSION")]
    pub(crate) session: Option<String>,
    /// For somebody of this name, who ends when `generated remove` says so
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: Option<String>,
}

/// Write standard input to a file that goes with its owner; print its hash
///
/// A file that has the content already is not touched. Missing folders are made. Another owner's file is refused (exit status 3), and so is,
/// without --replace, one that was not generated or that was edited since.
///
/// With --json: {success, path, hash, outcome}.
#[derive(Debug, Args)]
pub(crate) struct GeneratedWrite {
    #[command(flatten)]
    pub(crate) whom: ForWhom,
    /// Only its user may open it (mode 0600), and no version of it is kept
    #[arg(long)]
    pub(crate) private: bool,
    /// Replace also what somebody has edited or what was there before
    #[arg(long)]
    pub(crate) replace: bool,
    /// The file, in a workspace
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// List generated files: state, path, for whom
///
/// With --json: {files: [{path, session, owner, hash, at, private, state}]}; state being as-generated, edited or missing.
#[derive(Debug, Args)]
pub(crate) struct GeneratedList {
    /// A folder of the workspace [default: the current one]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// Remove the generated files of an owner: those that are as they were generated
///
/// With --json: {removed, missing, left, kept, folders, failed: [{path, error}]}.
#[derive(Debug, Args)]
pub(crate) struct GeneratedRemove {
    #[command(flatten)]
    pub(crate) whom: ForWhom,
    /// Edited files go, too, once a version of them is kept
    #[arg(long)]
    pub(crate) keep_edited: bool,
    /// A folder of the workspace [default: the current one]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}
