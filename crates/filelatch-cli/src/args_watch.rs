//! The definition of `watch`, as `args` has it of the others.
#![expect(clippy::doc_markdown, reason = "the comments are the help that users read on a terminal")]

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use filelatch::watch::Cursor;

use crate::args::duration;

/// Tell of each change of files and folders as it happens, and whose it was
///
/// One line for each change: created, modified, deleted or renamed; the path; the first 16 digits of the hash of what is there now; and who
/// wrote it: `by SESSION` where a filelatch wrote these bytes, else `external` (`unknown` on a file system that carries no attributions).
/// What is told is what is on the disk, compared with what was there before: a save in several steps is one change, one that
/// changes nothing is none. The files that this command's own output goes to are left out. Folders are watched with all that is below, except .git, .hg, .jj and .svn, and filelatch's own files.
///
/// `rescanned` says that the system lost track of events: everything was looked at again, and the differences are told before it. `reset` says
/// that changes are missing before what comes next, after a kill or from a cursor that is too old: read again whatever you keep. Where
/// the system tells nothing of changes (network drives, some containers) everything is looked at again and again.
///
/// Once it watches it says so: on standard error, or with --json in a line of kind `ready`.
///
/// With --json one object a line: {kind, path, hash, size, origin, by, at, cursor}, and `from` of a renamed file; {kind: "rescanned", path,
/// cause, cursor}; {kind: "reset", cursor}; first {kind: "ready", paths, mode, why, intervalMs, resumed, cursor}. `hash` and `size` are null
/// where there is no file or it can't be read; `origin` is session, own (the session of this name: --session, FILELATCH_SESSION), external
/// or unknown, `by` the session's name or null.
///
/// Ctrl-C and SIGTERM end it with status 0, and so does whoever reads its output by closing it. Exit status 4: --once or --count was not
/// reached within --timeout.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "one for each switch")]
pub(crate) struct Watch {
    /// Leave out what matches: a name at any depth, or a path below the folder if there is a / in it
    #[arg(long, value_name = "GLOB")]
    pub(crate) ignore: Vec<String>,
    /// Of folders, only their own entries
    #[arg(long)]
    pub(crate) no_recursive: bool,
    /// Also what is in .git, .hg, .jj and .svn
    #[arg(long)]
    pub(crate) version_control: bool,
    /// Only what programs other than filelatch changed
    #[arg(long)]
    pub(crate) external_only: bool,
    /// Not what the session of this name changed (--session, FILELATCH_SESSION)
    #[arg(long)]
    pub(crate) not_own: bool,
    /// Watch paths that do not exist yet
    #[arg(long)]
    pub(crate) allow_missing: bool,
    /// Go on where the last watch of this name ended; needs a workspace (see `init`)
    #[arg(long, value_name = "NAME")]
    pub(crate) resume: Option<String>,
    /// Tell what came after this, a `cursor` of a watch of the same name
    #[arg(long, value_name = "CURSOR", requires = "resume")]
    pub(crate) since: Option<Cursor>,
    /// Look at everything again and again, every D [default: 20 times as long as it takes, from 250ms to 5s]
    #[arg(long, value_name = "D", value_parser = duration, num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "left out, without a time, with a time")]
    pub(crate) poll: Option<Option<Duration>>,
    /// End after so long: 500ms, 5s, 2m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// End after so many changes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// End after the first change
    #[arg(long, conflicts_with = "count")]
    pub(crate) once: bool,
    /// Files and folders
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
}
