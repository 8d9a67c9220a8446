//! `merge.filelatch` in git's configuration.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::git::{self, Scope, failed, git};
use crate::render::CliError;
use crate::{env, output};

const NAME: &str = "merge.filelatch.name";
const DRIVER: &str = "merge.filelatch.driver";
/// What git calls it where it tells of it.
const TITLE: &str = "filelatch: by keys and items, else by lines";

/// What is going to be set, or taken out.
pub(super) struct Settings {
    scope: Scope,
    set: Vec<(&'static str, String)>,
    unset: Vec<&'static str>,
}

impl Settings {
    /// What is not there yet.
    pub(super) fn to_add(scope: Scope) -> Result<Self, CliError> {
        let program = env::program().map_err(|e| {
            CliError::own("io", format!("cannot find out where this program is: {e}")).hint("nothing was changed")
        })?;
        let wanted = [(NAME, TITLE.to_owned()), (DRIVER, driver(&program)?)];
        let mut set = Vec::new();
        for (key, value) in wanted {
            if get(scope, key)?.as_deref() != Some(&value) {
                set.push((key, value));
            }
        }
        Ok(Settings { scope, set, unset: Vec::new() })
    }

    /// What is there.
    pub(super) fn to_remove(scope: Scope) -> Result<Self, CliError> {
        let mut unset = Vec::new();
        for key in [NAME, DRIVER] {
            if get(scope, key)?.is_some() {
                unset.push(key);
            }
        }
        Ok(Settings { scope, set: Vec::new(), unset })
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.set.is_empty() && self.unset.is_empty()
    }

    /// For people, before it is done.
    pub(super) fn show(&self) {
        let scope = self.scope.option();
        for (key, value) in &self.set {
            output::note(&format!("git config {scope} {key} \"{value}\""));
        }
        for key in &self.unset {
            output::note(&format!("git config {scope} --unset-all {key}"));
        }
    }

    pub(super) fn apply(&self) -> Result<(), CliError> {
        let scope = self.scope.option();
        for (key, value) in &self.set {
            change(&["config", scope, "--replace-all", key, value])?;
        }
        let file = if self.unset.is_empty() { None } else { self.file() };
        for key in &self.unset {
            change(&["config", scope, "--unset-all", key])?;
        }
        // A file that has nothing left was made for this; git leaves it.
        match file {
            Some(file) if self.scope == Scope::Global => git::remove_empty(&file),
            _ => Ok(()),
        }
    }

    /// Where git has it.
    fn file(&self) -> Option<PathBuf> {
        let key = self.unset.first()?;
        let told = git(&["config", self.scope.option(), "--show-origin", "-z", "--get", key]).ok()?;
        let origin = told.out.split(|&byte| byte == 0).next()?;
        Some(PathBuf::from(String::from_utf8(origin.strip_prefix(b"file:")?.to_vec()).ok()?))
    }

    pub(super) fn answer(&self) -> Value {
        let set: serde_json::Map<_, _> =
            self.set.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        json!({"scope": self.scope.option().trim_start_matches('-'), "set": set, "unset": self.unset})
    }
}

fn get(scope: Scope, key: &str) -> Result<Option<String>, CliError> {
    let told = git(&["config", scope.option(), "--null", "--get", key])?;
    match told.code {
        Some(0) => Ok(Some(String::from_utf8_lossy(&told.out).trim_end_matches('\0').to_owned())),
        Some(1) => Ok(None),
        _ => Err(failed("read its configuration", &told)),
    }
}

fn change(arguments: &[&str]) -> Result<(), CliError> {
    let told = git(arguments)?;
    // 5: what should be taken out is gone already.
    if matches!(told.code, Some(0 | 5)) { Ok(()) } else { Err(failed("change its configuration", &told)) }
}

/// What git's shell runs. When the program is gone git merges by itself: a status of "not found" would look like a conflict, and our
/// side like its result.
pub(in crate::commands) fn driver(program: &Path) -> Result<String, CliError> {
    let program = quoted(program)?;
    let instead = "exec git merge-file -L %X -L %S -L %Y --marker-size=%L %A %O %B";
    Ok(format!(
        "test -x {program} || {{ echo >&2 'filelatch is gone: merged by git'; {instead}; }}; \
         exec {program} merge-driver -- %O %A %B %L %P %S %X %Y"
    ))
}

/// The driver that is this program; `None`: where it is can't be found out, or can't stand in git's configuration.
pub(in crate::commands) fn own_driver() -> Option<String> {
    driver(&crate::env::program().ok()?).ok()
}

/// As one word for git, which replaces `%`, and for the shell.
fn quoted(program: &Path) -> Result<String, CliError> {
    let text = program.to_str().filter(|text| !text.contains('\n')).ok_or_else(|| {
        let message = format!("`{}` can't stand in git's configuration", program.display());
        CliError::own("usage", message).hint("nothing was changed; put the program where its path is plain text")
    })?;
    // git brings its own shell along on Windows; to it a backslash is none of a path.
    let text = if cfg!(windows) { text.replace('\\', "/") } else { text.to_owned() };
    Ok(format!("'{}'", text.replace('%', "%%").replace('\'', "'\\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MERGE-5: blanks, quotes and percent signs in the program's path.
    #[test]
    fn quoting() {
        assert_eq!(quoted(Path::new("/a b/it's 100%/f")).unwrap(), r"'/a b/it'\''s 100%%/f'");
        assert!(quoted(Path::new("/a\nb")).is_err());
    }
}
