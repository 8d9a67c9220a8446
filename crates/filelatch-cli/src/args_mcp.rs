//! The definition of `mcp`, as `args` has it of the others.
#![expect(clippy::doc_markdown, reason = "the comments are the help that users read on a terminal")]

use std::path::PathBuf;

use clap::Args;

use crate::args_serve::LogLevel;

/// Serve a folder to an agent: a Model Context Protocol server on standard input and output
///
/// To be started by the agent's program: `{"command": "filelatch", "args": ["mcp", "/path/of/project"]}`. Any number of agents, each with a
/// server of its own, may change the same files: edits of different places all survive, others are refused with both sides.
///
/// Nothing outside the folder is read or written, symbolic links included. Hidden, unless --allow names them: folders of version control and
/// what usually holds secrets (.env, *.pem, *.key, id_rsa…); always hidden: .filelatch, lock files and temporary files.
///
/// With --session the agent writes under that name, else under its client's name and four digits.
///
/// It ends when standard input does, and on Ctrl-C and SIGTERM: what was begun is finished.
#[derive(Debug, Args)]
pub(crate) struct Mcp {
    /// The folder
    #[arg(default_value = ".", value_name = "ROOT")]
    pub(crate) root: PathBuf,
    /// Show what is hidden by default
    #[arg(long, value_name = "GLOB")]
    pub(crate) allow: Vec<String>,
    /// Hide this, too
    #[arg(long, value_name = "GLOB")]
    pub(crate) deny: Vec<String>,
    /// Write nothing, whatever the agent asks
    #[arg(long)]
    pub(crate) read_only: bool,
    /// What is logged, on standard error
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    pub(crate) log_level: LogLevel,
}
