//! The definition of the commands about kept versions, as `args` has it of the others.
#![expect(clippy::doc_markdown, reason = "the comments are the help that users read on a terminal")]

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use filelatch::Expect;
use filelatch::keep::Size;

use crate::args::{Writing, duration};

/// List the versions of a file that are kept, newest first
///
/// In a workspace (see `init`) each write keeps the version that it replaces. One line for each: @NUMBER, the first 16 digits of the
/// hash, its size, when it was written, by whom. @0 is the file as it is. `diff` and `restore` take the hash, 16 or more digits of it,
/// or @NUMBER; but numbers move on with each write.
///
/// With --prune versions beyond the policy's bounds (keep_versions, keep_age, keep_bytes) are removed now; writes do it now and then. Other
/// bounds can be given for this once.
///
/// With --json: {path, exists, current, versions}, versions being [{hash, size, by, at, generation}]; with --prune {path, removed,
/// removedBytes, left}.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// Remove what is beyond the bounds
    #[arg(long)]
    pub(crate) prune: bool,
    /// With --prune: leave no more than so many versions; 0 removes all
    #[arg(long, value_name = "N", requires = "prune")]
    pub(crate) keep: Option<u32>,
    /// With --prune: remove versions that were replaced so long ago
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "prune")]
    pub(crate) age: Option<Duration>,
    /// With --prune: leave no more than so many bytes: 4096, 64KB, 256MB
    #[arg(long, value_name = "SIZE", requires = "prune")]
    pub(crate) bytes: Option<Size>,
    /// The file; it need not exist any more
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Show what differs between versions of a file, in unified format
///
/// Without a version: between the newest one that is kept and the file as it is. With one: between it and the file as it is. With two:
/// between them. A version is what `history` lists: the hash, 16 or more digits of it, or @NUMBER; @0 is the file as it is. `patch -p1` and
/// `git apply` read what is printed, unless there are colours or --word in it.
///
/// With --json: {path, old, new, identical, binary, hunks}; old and new being hashes or null, hunks being [{header, lines: [{kind,
/// content, changed}]}], kind being context, removed or added, and changed the places in the line's bytes that the other side does not have.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// Mark the changed words: [-removed-] {+added+}; with colours, by them
    #[arg(long)]
    pub(crate) word: bool,
    /// Colours: auto is only on a terminal
    #[arg(long, value_enum, value_name = "auto|always|never", default_value = "auto", hide_default_value = true)]
    pub(crate) color: Color,
    /// Show so many unchanged lines around changes
    #[arg(short = 'U', long, value_name = "N", default_value_t = 3)]
    pub(crate) context: usize,
    /// The file; it need not exist any more
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The older version [default: the newest one that is kept]
    #[arg(value_name = "VERSION")]
    pub(crate) old: Option<String>,
    /// The newer version [default: the file as it is]
    #[arg(value_name = "VERSION")]
    pub(crate) new: Option<String>,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// Bring a kept version back; print its hash
///
/// A write like any other: locked, atomic, durable, and what it replaces is kept in turn. A version whose bytes are not what they were is
/// refused. VERSION is what `history` lists: the hash, 16 or more digits of it, or @NUMBER.
///
/// With --json as `write`.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// Restore only if the file has this hash now (16 or more digits of it), or is `absent`
    #[arg(long, value_name = "HASH|absent|any", default_value = "any", hide_default_value = true)]
    pub(crate) expect: Expect,
    #[command(flatten)]
    pub(crate) writing: Writing,
    /// The file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The version
    #[arg(value_name = "VERSION")]
    pub(crate) kept: String,
}
