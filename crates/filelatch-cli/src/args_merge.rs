//! The definition of the commands that merge, as `args` has it of the others.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use filelatch::merge::{Algorithm, ConflictStyle, Kind, ListRule, VersionRule};

/// Merge what two writers made of one version
///
/// Prints the merged content, or writes it to OUT. JSON, YAML, TOML, Markdown and the like are merged by their keys, items and
/// paragraphs where their lines do not fit together; everything else by lines, as git does. What can't be brought together stands
/// between markers; the exit status is then 3. Contents with NUL bytes are not merged: ours is the result, at exit status 3.
///
/// Labels behind the markers are the names of the files, unless --label says otherwise.
///
/// With --git, the arguments and the exit status are those of `git merge-file`: `merge --git CURRENT BASE OTHER` writes into
/// CURRENT, and the status is the number of conflicts, 127 for more; 255 after an error, 129 after a wrong command line. With
/// `--kind lines` the result is git's, too.
///
/// With --json: {clean, method, fallback, conflicts: [{place, base, ours, theirs}], content}, without content where it is written
/// to OUT. `method` is whole (at most one side had changed anything), lines, structure or binary; `fallback` says why lines had to do.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "they are options")]
pub(crate) struct Merge {
    /// Write the result here, atomically, instead of printing it
    #[arg(short, long, value_name = "OUT", conflicts_with = "stdout")]
    pub(crate) output: Option<PathBuf>,
    /// What the document is called: its ending tells its kind, its place which policy counts [default: OUT, else OURS]
    #[arg(long, value_name = "NAME")]
    pub(crate) path: Option<PathBuf>,
    /// How conflicts are shown: merge (ours and theirs), diff3 (with the base), zdiff3 (diff3 with common lines taken out)
    /// [default: merge; with --git, as merge.conflictStyle says]
    #[arg(long, value_name = "merge|diff3|zdiff3")]
    pub(crate) style: Option<ConflictStyle>,
    /// How many characters a marker has
    #[arg(long, value_name = "N", default_value_t = 7, allow_negative_numbers = true)]
    pub(crate) marker_size: i32,
    /// What stands behind the markers; up to three times: ours, base, theirs
    #[arg(short = 'L', long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) label: Vec<String>,
    /// Say nothing on standard error but errors; with --git not even those
    #[arg(short, long)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) rules: MergeRules,
    /// Be `git merge-file`: CURRENT BASE OTHER
    #[arg(long)]
    pub(crate) git: bool,
    /// With --git: print the result instead of writing it into CURRENT
    #[arg(short = 'p', long, requires = "git")]
    pub(crate) stdout: bool,
    /// With --git: as --style diff3
    #[arg(long, requires = "git", overrides_with_all = ["zdiff3", "style"])]
    pub(crate) diff3: bool,
    /// With --git: as --style zdiff3
    #[arg(long, requires = "git", overrides_with_all = ["diff3", "style"])]
    pub(crate) zdiff3: bool,
    /// With --git: where there is a conflict, CURRENT counts
    #[arg(long, requires = "git", overrides_with_all = ["theirs_count", "union"])]
    pub(crate) ours: bool,
    /// With --git: where there is a conflict, OTHER counts
    #[arg(id = "theirs_count", long = "theirs", requires = "git", overrides_with_all = ["ours", "union"])]
    pub(crate) theirs_count: bool,
    /// With --git: where there is a conflict, both count, one after the other
    #[arg(long, requires = "git", overrides_with_all = ["ours", "theirs_count"])]
    pub(crate) union: bool,
    /// The version that both writers began with
    #[arg(value_name = "BASE")]
    pub(crate) base: PathBuf,
    /// What one made of it
    #[arg(value_name = "OURS", id = "ours_file")]
    pub(crate) ours_file: PathBuf,
    /// What the other made of it
    #[arg(value_name = "THEIRS", id = "theirs_file")]
    pub(crate) theirs_file: PathBuf,
}

/// How documents are merged.
#[derive(Debug, Args)]
pub(crate) struct MergeRules {
    /// Merge as this kind of document [default: by its name]
    #[arg(long, value_name = "json|yaml|toml|markdown|ini|text|lines")]
    pub(crate) kind: Option<Kind>,
    /// What is done about versions that both sides changed: `version=higher` takes the higher one
    #[arg(long, value_name = "NAME=RULE", value_parser = rule)]
    pub(crate) rule: Vec<VersionRule>,
    /// What a list is, by JSON pointer: `/tags=set`, `/servers=key:host`, `/steps=ordered`; `*` stands for any one step
    #[arg(long, value_name = "POINTER=RULE", value_parser = list)]
    pub(crate) list: Vec<(String, ListRule)>,
    /// How lines are compared [default: histogram, as `git merge` does; with --git myers, as `git merge-file` does]
    ///
    /// `patience` counts as histogram, `minimal` as myers.
    #[arg(long, visible_alias = "diff-algorithm", value_name = "histogram|myers", value_parser = algorithm)]
    pub(crate) algorithm: Option<Algorithm>,
}

/// Merge for git: what .gitattributes names as `merge=filelatch` (see git-setup)
///
/// git calls it with `%O %A %B %L %P %S %X %Y`. The result goes into OURS. Exit status: 0: merged; 1: OURS has conflict markers,
/// or, where a content is binary, what it had; 255 (129 for a wrong command line): nothing was merged, and git stops.
///
/// Conflicts are shown as merge.conflictStyle says.
#[derive(Debug, Args)]
pub(crate) struct MergeDriver {
    /// How conflicts are shown [default: as merge.conflictStyle says]
    #[arg(long, value_name = "merge|diff3|zdiff3")]
    pub(crate) style: Option<ConflictStyle>,
    #[command(flatten)]
    pub(crate) rules: MergeRules,
    /// %O: the version that both began with
    #[arg(value_name = "BASE")]
    pub(crate) base: PathBuf,
    /// %A: our version, and the result
    #[arg(value_name = "OURS")]
    pub(crate) ours: PathBuf,
    /// %B: their version
    #[arg(value_name = "THEIRS")]
    pub(crate) theirs: PathBuf,
    /// %L: how many characters a marker has
    #[arg(value_name = "SIZE", default_value_t = 7)]
    pub(crate) marker_size: usize,
    /// %P: what the document is called
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<PathBuf>,
    /// %S %X %Y: labels of base, ours and theirs
    #[arg(value_name = "LABEL", num_args = 0..=3)]
    pub(crate) labels: Vec<OsString>,
}

/// Let git merge files by `filelatch merge-driver`, or no longer
///
/// Two things are changed, and shown first: lines `PATTERN merge=filelatch` at the top of .gitattributes, where lines of your own
/// below them count more; and merge.filelatch in git's configuration, which says what to run. On a terminal it asks before.
///
/// .gitattributes belongs into the repository; the configuration does not travel with it. Who does not have it gets git's own merge.
/// So does who no longer has filelatch.
///
/// --remove takes out exactly these lines and settings, whatever else was changed meanwhile, and the file if it was made here and
/// nothing is left in it.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "they are options")]
pub(crate) struct GitSetup {
    /// For this repository; the default
    #[arg(long)]
    pub(crate) local: bool,
    /// For all repositories of this user
    #[arg(long, conflicts_with_all = ["local", "info"])]
    pub(crate) global: bool,
    /// Write to .git/info/attributes, which belongs to this copy of the repository alone
    #[arg(long)]
    pub(crate) info: bool,
    /// Undo it
    #[arg(long)]
    pub(crate) remove: bool,
    /// Only show what would be done
    #[arg(short = 'n', long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Which files, as .gitattributes has it: `*.json`, `config/*.yaml`, or `*` for all
    /// [default: JSON, YAML, TOML, Markdown, ini-like files and texts]
    #[arg(value_name = "PATTERN", conflicts_with = "remove", value_parser = pattern)]
    pub(crate) patterns: Vec<String>,
}

/// A pattern that needs no quotes in .gitattributes.
fn pattern(text: &str) -> Result<String, String> {
    let special = text.starts_with(['#', '!', '"']) || text.starts_with("[attr]");
    if text.is_empty() || special || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("a pattern has no blanks, and does not begin with #, ! or a quote".to_owned());
    }
    Ok(text.to_owned())
}

fn rule(text: &str) -> Result<VersionRule, String> {
    match text.split_once('=') {
        Some(("version", rule)) => rule.parse(),
        _ => Err(format!("`{text}` is not a rule: version=higher or version=conflict")),
    }
}

fn list(text: &str) -> Result<(String, ListRule), String> {
    let (pointer, rule) = text.rsplit_once('=').ok_or("it takes POINTER=RULE: `/servers=key:host`")?;
    if pointer.is_empty() || pointer.starts_with('/') {
        Ok((pointer.to_owned(), rule.parse()?))
    } else {
        Err(format!("`{pointer}` is not a JSON pointer: it begins with `/`"))
    }
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    match text {
        "patience" => Ok(Algorithm::Histogram),
        "minimal" => Ok(Algorithm::Myers),
        other => other.parse(),
    }
}
