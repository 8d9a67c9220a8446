//! The definition of `bookmark`, as `args` has it of the other commands.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::args::Waiting;

/// Names for places in the files of a workspace
///
/// Bookmarks are for all sessions of the workspace (see `init`). They lie in .filelatch/stores/bookmarks.json, with paths relative to the
/// workspace's folder. A bookmark does not move with its file.
#[derive(Debug, Args)]
pub(crate) struct Bookmark {
    /// A folder of the workspace
    #[arg(long, value_name = "DIR", default_value = ".", global = true)]
    pub(crate) dir: PathBuf,
    #[command(subcommand)]
    pub(crate) action: BookmarkAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BookmarkAction {
    Add(BookmarkAdd),
    List(BookmarkList),
    Path(BookmarkPath),
    Remove(BookmarkRemove),
    Rename(BookmarkRename),
}

/// Add a bookmark
///
/// The file or folder must exist, in the workspace. A name that is taken is refused (exit status 3), unless it is to be replaced.
///
/// With --json: {success, name, path, line, note, tags, addedBy, addedAt}.
#[derive(Debug, Args)]
pub(crate) struct BookmarkAdd {
    /// What there is to say of it
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// A word to find it by. Can be given several times
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    /// Take the place of a bookmark of this name
    #[arg(long)]
    pub(crate) replace: bool,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    /// Its name: any text of up to 256 bytes
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The file or folder, and a line of it
    #[arg(value_name = "PATH[:LINE]")]
    pub(crate) path: PathBuf,
}

/// List the bookmarks: name, place, note, tags
///
/// Exit status 1: some can't be read; they are named, and the others are listed.
///
/// With --json: {bookmarks: [{name, path, line, note, tags, addedBy, addedAt, exists}], damaged: [{name, message}]}.
#[derive(Debug, Args)]
pub(crate) struct BookmarkList {
    /// Only those with this tag. Can be given several times: then with all of them
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    /// Only those of this file, or of what lies in this folder; relative to the workspace's folder
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<String>,
    /// Only those that this session added
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
}

/// Print the path that a bookmark leads to: cd "$(filelatch bookmark path here)"
///
/// With --json as `add`, and the absolute path as `target`.
#[derive(Debug, Args)]
pub(crate) struct BookmarkPath {
    /// Its name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// Remove a bookmark
///
/// With --json: {success, name}.
#[derive(Debug, Args)]
pub(crate) struct BookmarkRemove {
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    /// Its name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// Give a bookmark another name
///
/// With --json as `add`.
#[derive(Debug, Args)]
pub(crate) struct BookmarkRename {
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    /// Its name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The new one
    #[arg(value_name = "NEW")]
    pub(crate) new: String,
}
