//! The definition of `session`, as `args` has it of the other commands.
#![expect(clippy::doc_link_with_quotes, reason = "the comments are the help that users read on a terminal")]

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::args::duration;

/// Places to work that do not get into each other's way: git worktrees with branches of their own
///
/// Each has its own files, index and HEAD. Branches, tags, remotes, configuration, hooks and the stash are shared.
#[derive(Debug, Args)]
pub(crate) struct Session {
    /// A folder of the repository
    #[arg(long, value_name = "DIR", default_value = ".", global = true)]
    pub(crate) dir: PathBuf,
    /// Wait so long for git's locks: 500ms, 5s, 2m
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s", global = true)]
    pub(crate) timeout: Duration,
    #[command(subcommand)]
    pub(crate) action: SessionAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionAction {
    Start(SessionStart),
    List(SessionList),
    Path(SessionPath),
}

/// Start a session; print its folder
///
/// Makes the branch session/NAME and a worktree on it in .filelatch/worktrees/NAME, copies the files that git does not track and that a
/// working place needs, and prints the folder: cd "$(filelatch session start fix-login)". The files are those that the workspace's
/// configuration names ([session] include = [".env"]) and --include. A start that was interrupted is completed by the same command.
///
/// With --json: {success, name, branch, base, baseCommit, folder, included, skipped: [{path, why}], excluded, completed}.
#[derive(Debug, Args)]
pub(crate) struct SessionStart {
    /// Begin with this branch, tag or commit [default: HEAD]
    #[arg(long, value_name = "REF")]
    pub(crate) base: Option<String>,
    /// Copy this file, too: a path from the top of the repository; * ? [ ] match within a name, ** across folders
    #[arg(long, value_name = "FILE")]
    pub(crate) include: Vec<String>,
    /// Letters, digits and - _ + . between them [default: two words]
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// List the sessions: name, state, commits ahead and behind, uncommitted files, who is inside, last activity, folder
///
/// With --json: {sessions: [{name, state, branch, switchedTo, head, folder, base, baseCommit, dirty, staged, modified, untracked, ahead,
/// behind, merged, inProgress, inside: [{pid, program}], createdBy, createdAt, activeAt, rescue, problem}]}; state being ready, starting,
/// incomplete, removing, half-removed, folder-gone or unrecorded; null is what can't be known.
#[derive(Debug, Args)]
pub(crate) struct SessionList {}

/// Print the folder of a session
#[derive(Debug, Args)]
pub(crate) struct SessionPath {
    /// The session
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}
