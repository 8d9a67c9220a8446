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
    Merge(SessionMerge),
    Remove(SessionRemove),
    Gc(SessionGc),
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

/// Merge a session's branch into the branch of the main working tree; print the commit
///
/// Files are merged as `filelatch merge` does it, by keys and items where their kind is known; your own merge drivers and attributes count
/// more. A conflict changes nothing: the exit status is then 3, and the files and places are told. Changes that are not committed in the
/// session are refused, or committed with --commit: not ignored files, nor those that were included.
///
/// With --json: {success, name, branch, into, outcome, commit, committed}, outcome being merged, fast-forward or up-to-date; on a conflict
/// {success: false, error, conflict: {branch, into, leftIn, files: [{path, message, hunks: [{line, ours, theirs}]}]}}.
#[derive(Debug, Args)]
pub(crate) struct SessionMerge {
    /// Merge into this branch [default: the one that is checked out in the main working tree]
    #[arg(long, value_name = "BRANCH")]
    pub(crate) into: Option<String>,
    /// The message of the merge; makes a merge commit even where a fast-forward would do
    #[arg(long, value_name = "MESSAGE")]
    pub(crate) message: Option<String>,
    /// First commit what is not committed in the session, with this message
    #[arg(long, value_name = "MESSAGE")]
    pub(crate) commit: Option<String>,
    /// Leave a conflict in the working tree that has the branch, with markers, as `git merge` does
    #[arg(long)]
    pub(crate) leave_conflicts: bool,
    /// The session
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// Remove a session: its folder and its branch. Refuses to lose anything
///
/// Refused, with all that is in the way: changes that are not committed, files that git neither knows nor ignores, included files that were
/// changed, commits that no other branch, tag or remote branch has, open conflicts, a merge that is not finished, programs inside,
/// repositories, worktrees and submodules inside, a lock. Ignored files and kept versions go with the folder.
///
/// With --rescue changes, files and commits are kept in a ref first, refs/filelatch/rescue/NAME-TIME, durably; what is told then brings
/// them back.
///
/// Files that were generated for it (`generated`) are removed with it, as far as nobody has edited them.
///
/// With --json: {success, name, branch, branchKept, rescue: {ref, commit, hasChanges, files, command}, generated}; refused {success: false, error,
/// reasons: [{reason, message}]}.
#[derive(Debug, Args)]
pub(crate) struct SessionRemove {
    /// Keep what would be lost in a ref
    #[arg(long)]
    pub(crate) rescue: bool,
    /// The session
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// Find leftovers: sessions that were interrupted, whose folder is gone, or that are merged and rest; with --apply remove them
///
/// By the rules of `remove --rescue`: what can't be kept is left alone. Without --apply nothing is changed.
///
/// With --json: {applied, leftovers: [{name, why, folder, removed, rescue, error}]}.
#[derive(Debug, Args)]
pub(crate) struct SessionGc {
    /// Remove them
    #[arg(long)]
    pub(crate) apply: bool,
    /// Merged sessions are leftovers when nothing was done in them for so long: 12h, 7d
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "7d")]
    pub(crate) older_than: Duration,
}
