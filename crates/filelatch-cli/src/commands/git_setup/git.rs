//! What git is asked.
#![expect(
    clippy::disallowed_methods,
    reason = "removes a file that has nothing in it; the library only replaces files"
)]

use std::path::{Path, PathBuf};

use filelatch::Error;
use filelatch_git::{Git, Told};

use crate::render::CliError;

/// Whose configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The repository's.
    Local,
    /// The user's.
    Global,
}

impl Scope {
    pub(super) fn option(self) -> &'static str {
        match self {
            Scope::Local => "--local",
            Scope::Global => "--global",
        }
    }
}

/// Asks git, in the current folder.
pub(super) fn git(arguments: &[&str]) -> Result<Told, CliError> {
    Ok(Git::new(".").run(arguments)?)
}

/// In git's own words.
pub(super) fn failed(action: &str, told: &Told) -> CliError {
    CliError::own("git", format!("git can't {action}: {}", told.err.trim()))
        .hint("`git-setup --dry-run` shows what is set up and what is not")
}

/// `info/attributes` of the repository here.
pub(super) fn info_attributes() -> Result<PathBuf, CliError> {
    let told = git(&["rev-parse", "--git-path", "info/attributes"])?;
    path(&told).ok_or_else(|| {
        CliError::own("git", format!("there is no repository here: {}", told.err.trim()))
            .hint("nothing was changed; run it inside a repository, or with --global for all of yours")
    })
}

/// The folder of the files; `None` in a bare repository.
pub(super) fn top_level() -> Option<PathBuf> {
    path(&git(&["rev-parse", "--show-toplevel"]).ok()?)
}

/// The file of attributes for all repositories of this user.
pub(super) fn global_attributes() -> Result<PathBuf, CliError> {
    let configured = git(&["config", "--global", "--type=path", "--get", "core.attributesFile"])?;
    if let Some(path) = path(&configured) {
        return Ok(path);
    }
    path(&git(&["var", "GIT_ATTR_GLOBAL"])?).ok_or_else(|| {
        CliError::own("git", "git does not tell where the attributes for all repositories are")
            .hint("nothing was changed; set core.attributesFile, or use git 2.42 or later")
    })
}

/// The line that git answered, as a path.
fn path(told: &Told) -> Option<PathBuf> {
    (told.is_ok() && !told.line().is_empty()).then(|| filelatch_git::path_of(told.line()))
}

/// Removes a file if it is empty.
pub(super) fn remove_empty(path: &Path) -> Result<(), CliError> {
    if !std::fs::metadata(path).is_ok_and(|found| found.len() == 0 && found.is_file()) {
        return Ok(());
    }
    let fail = |source| Error::Io { action: "remove", path: path.to_owned(), source };
    Ok(std::fs::remove_file(path).map_err(fail)?)
}
