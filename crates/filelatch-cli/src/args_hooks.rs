//! The definition of `hooks`, as `args` has it of the other commands.
#![expect(clippy::doc_markdown, reason = "the comments are the help that users read on a terminal")]

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use filelatch::Version;

/// Let an agent's own editing tools respect leases and locks, and have their edits recorded
///
/// Two plain scripts for /bin/sh: one that an agent runs before it edits a file, and that refuses while somebody else has leased or locked
/// the file; one that it runs afterwards, and that notes the agent's session as the author of exactly the bytes it wrote. What is going
/// to be written is shown first.
///
/// The session is --session, written into the scripts by `install`, or FILELATCH_SESSION, else the agent's name and 5 digits or so that its
/// own session id gives.
#[derive(Debug, Args)]
pub(crate) struct Hooks {
    #[command(subcommand)]
    pub(crate) action: HooksAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HooksAction {
    /// Write the scripts and name them in the agent's settings
    ///
    /// Settings keep their comments, their formatting and other hooks. Done twice it changes nothing. A script that you have changed is left
    /// alone.
    ///
    /// With --json: {success, files: [{path, action}]}, action being create or change.
    Install(Setup),
    /// Take out exactly what `install` has put in
    ///
    /// Settings keep their comments, their formatting and other hooks; files and folders that were made for the hooks and are empty by now
    /// go. A script that you have changed is left alone.
    ///
    /// With --json: {success, files: [{path, action}]}, action being change or remove.
    Uninstall(Setup),
    Show(Shown),
    PreEdit(PreEdit),
    PostEdit(PostEdit),
}

/// Whose hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Agent {
    /// Claude Code: .claude/settings.json, .claude/hooks
    Claude,
    /// Codex: .codex/hooks.json, .codex/hooks
    Codex,
    /// Any other: two scripts in filelatch-hooks that get the files as arguments
    Generic,
}

impl Agent {
    /// As it is typed.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Agent::Claude => "claude",
            Agent::Codex => "codex",
            Agent::Generic => "generic",
        }
    }
}

// What it is for is said where it is used.
#[derive(Debug, Args)]
pub(crate) struct Setup {
    /// The project's folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Do not ask; needed where there is no terminal
    #[arg(long)]
    pub(crate) yes: bool,
    /// The agent
    #[arg(value_enum, value_name = "AGENT")]
    pub(crate) agent: Agent,
}

/// Show what `install` would write, and write nothing
#[derive(Debug, Args)]
pub(crate) struct Shown {
    /// The project's folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// The agent
    #[arg(value_enum, value_name = "AGENT")]
    pub(crate) agent: Agent,
}

/// May these files be edited now? What the first script asks
///
/// Without FILE, the agent's own description of the edit is read from standard input: JSON with `tool_input` (`file_path`, `notebook_path`,
/// `path`, or a patch in `command`), `cwd`, `session_id`. A lock that is held for moments is waited for, up to 2 s.
///
/// Exit status: 0: yes, or nothing is edited; 4: somebody else has leased or locked a file, told on standard error; 1: nobody knows, because
/// the description is no such JSON or a file can't be looked at. The scripts block an edit for 4 alone.
///
/// It is a question and no lock: between the answer and the edit somebody may take a lease.
#[derive(Debug, Args)]
pub(crate) struct PreEdit {
    /// Who asks: the first part of the session's name
    #[arg(long, value_enum, default_value = "generic")]
    pub(crate) agent: Agent,
    /// The files
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// Note who wrote what these files are now. What the second script does
///
/// Without FILE, the edit is read from standard input as by `pre-edit`, and the note is made only where the file is what the tool says it has
/// made of it: all of it, where that is told, else the parts. With FILE it is the caller's word; --expect says which version is meant.
///
/// Exit status: 0: noted, or already known, or there is nothing to go by (said on standard error); 3: the file is another by now, and
/// nobody is named; 4: the lock was not had; 1: any other error.
#[derive(Debug, Args)]
pub(crate) struct PostEdit {
    /// Who tells: the first part of the session's name
    #[arg(long, value_enum, default_value = "generic")]
    pub(crate) agent: Agent,
    /// The version that was written (64 digits); for one FILE
    #[arg(long, value_name = "HASH", requires = "files")]
    pub(crate) expect: Option<Version>,
    /// The files
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}
