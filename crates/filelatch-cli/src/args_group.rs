//! The definition of `group`, as `args` has it of the other commands.
#![expect(clippy::doc_markdown, reason = "the comments are the help that users read on a terminal")]

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::args::Waiting;

/// Names for sessions that belong together
///
/// A session is told by its name: that of a git worktree (see `session`), or any name that somebody writes as (--session). It need not exist,
/// and can be in several groups. Groups are for all sessions of the workspace (see `init`); they lie in
/// .filelatch/stores/groups.json.
#[derive(Debug, Args)]
pub(crate) struct Group {
    /// A folder of the workspace
    #[arg(long, value_name = "DIR", default_value = ".", global = true)]
    pub(crate) dir: PathBuf,
    #[command(subcommand)]
    pub(crate) action: GroupAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GroupAction {
    Create(GroupCreate),
    List(GroupList),
    Join(GroupJoin),
    Leave(GroupLeave),
    Delete(GroupDelete),
}

/// Make a group; nobody is in it yet
///
/// With --json: {success, name, note, members, createdBy, createdAt}.
#[derive(Debug, Args)]
pub(crate) struct GroupCreate {
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    /// Its name: any text of up to 256 bytes
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// List the groups: name, who is in them, note
///
/// Exit status 1: some can't be read; they are named, and the others are listed.
///
/// With --json: {groups: [{name, note, members: [{session, joinedAt}], createdBy, createdAt}], damaged: [{name, message}]}.
#[derive(Debug, Args)]
pub(crate) struct GroupList {
    /// Only those that this session is in
    #[arg(long, value_name = "NAME")]
    pub(crate) of: Option<String>,
}

/// Join a group, which must exist; who is in it already stays in it
///
/// With --json: {success, name, session, joined}; joined is false if it was in it before.
#[derive(Debug, Args)]
pub(crate) struct GroupJoin {
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    /// The group
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The session that joins [default: the current one, by --session or FILELATCH_SESSION]
    #[arg(value_name = "SESSION")]
    pub(crate) who: Option<String>,
}

/// Leave a group, which must exist; who is not in it is not missed, and the last to leave leaves it empty
///
/// With --json: {success, name, session, left}; left is false if it was not in it.
#[derive(Debug, Args)]
pub(crate) struct GroupLeave {
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    /// The group
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The session that leaves [default: the current one, by --session or FILELATCH_SESSION]
    #[arg(value_name = "SESSION")]
    pub(crate) who: Option<String>,
}

/// Delete a group, whoever is in it; the sessions stay
///
/// With --json: {success, name}.
#[derive(Debug, Args)]
pub(crate) struct GroupDelete {
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    /// The group
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}
