//! The definition of the commands about conflicts, as `args` has it of the others.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use filelatch::Expect;

use crate::args::Writing;

/// List, show and resolve stored conflicts
///
/// What `write --strategy merge`, `edit` and programs with that strategy could not bring together is stored in the workspace, with both
/// versions, their base, and the document as far as it was brought together. Without a word of its own the command lists what is open.
///
/// With --json: {conflicts: [{id, path, cause, state, storedAt, conflicts, places, base, ours, theirs, onDisk, dir, mergedFile, resolved}],
/// damaged}; `base`, `ours` and `theirs` are {hash, size, author, at} or null; `ours` is what was to be written.
#[derive(Debug, Args)]
pub(crate) struct Conflicts {
    #[command(subcommand)]
    pub(crate) action: Option<Action>,
    /// A folder of the workspace [default: the current one]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    List(List),
    Show(Show),
    Resolve(Resolve),
}

/// List stored conflicts
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Also those that are resolved
    #[arg(long)]
    pub(crate) all: bool,
}

/// Show a stored conflict: who wrote what when, and the places that do not fit together
///
/// With --json: what the list says of it, and `hunks`: [{place, base, ours, theirs}].
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Print the document as far as it was brought together, with markers around the rest
    #[arg(long)]
    pub(crate) markers: bool,
    /// The conflict, by its id or the first four or more digits of it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}

/// Resolve a stored conflict, and print the file's new hash
///
/// The file is saved in the conflict's folder before it is written over. If it was changed since the conflict arose, those changes are
/// merged into what you decide, or nothing is written (exit status 3). `--keep theirs` leaves the file as it is.
///
/// With --json: {success, id, path, how, hash, outcome, backup, notices}.
#[derive(Debug, Args)]
pub(crate) struct Resolve {
    /// Keep the whole content that was to be written (mine), the other one (theirs), the document that you have edited in the conflict's
    /// folder (merged), or the content of FILE (`./mine` is a file; `-` is standard input)
    #[arg(long, value_name = "mine|theirs|merged|FILE")]
    pub(crate) keep: OsString,
    /// Decide for the file as it is now: write over exactly the version with this hash (16 or more digits of it)
    #[arg(long, value_name = "HASH|absent|any", default_value = "any", hide_default_value = true)]
    pub(crate) expect: Expect,
    #[command(flatten)]
    pub(crate) writing: Writing,
    /// The conflict, by its id or the first four or more digits of it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}

/// Edit a file in your editor; what others write meanwhile is merged when you save
///
/// The editor ($VISUAL, else $EDITOR) gets a private copy; no lock is held while you edit. When it ends, what you changed is brought
/// together with what is in the file by then. Where that does not fit, you are asked: keep mine, keep theirs, or edit again with both
/// versions between markers. Without a terminal the conflict is stored and the exit status is 3. Whenever your text does not get into the
/// file, it stays in the copy, and you are told where that is.
///
/// With --json: {success, path, hash, outcome, notices}; nobody is asked then.
#[derive(Debug, Args)]
pub(crate) struct Edit {
    #[command(flatten)]
    pub(crate) writing: Writing,
    /// The file; it need not exist
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}
