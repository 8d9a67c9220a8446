//! One renderer for all errors: what happened, what did not, what to do next; as text or as JSON.

use std::borrow::Cow;
use std::io;
use std::io::Write;

use anstyle::{AnsiColor, Style};
use filelatch::{Conflict, Error, Expect};
use serde_json::{Value, json};

use crate::{exit, output};

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum CliError {
    /// The library says so.
    Library(Error),
    /// What works with git says so.
    Git(filelatch_git::Error),
    /// The command line itself does.
    Own { kind: Cow<'static, str>, message: String, hints: Vec<String> },
    /// Standard output can't be written.
    Stdout(io::Error),
    /// As `.0`, with a status of the user's choice.
    WithStatus(Box<CliError>, u8),
}

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        CliError::Library(error)
    }
}

impl From<filelatch_git::Error> for CliError {
    fn from(error: filelatch_git::Error) -> Self {
        match error {
            filelatch_git::Error::Library(error) => CliError::Library(error),
            other => CliError::Git(other),
        }
    }
}

impl CliError {
    pub(crate) fn own(kind: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        CliError::Own { kind: kind.into(), message: message.into(), hints: Vec::new() }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let CliError::Own { hints, .. } = &mut self {
            hints.push(hint.into());
        }
        self
    }

    /// A stable word for programs.
    pub(crate) fn kind(&self) -> &str {
        match self {
            CliError::Library(error) => error.code(),
            CliError::Git(error) => error.code(),
            CliError::Own { kind, .. } => kind,
            CliError::Stdout(_) => "io",
            CliError::WithStatus(inner, _) => inner.kind(),
        }
    }

    /// The exit status.
    pub(crate) fn status(&self) -> u8 {
        match self {
            CliError::WithStatus(_, status) => *status,
            other => exit::of_kind(other.kind()),
        }
    }

    pub(crate) fn message(&self) -> String {
        match self {
            CliError::Library(error) => error.to_string(),
            CliError::Git(error) => error.to_string(),
            CliError::Own { message, .. } => message.clone(),
            CliError::Stdout(error) => format!("cannot write to standard output: {error}"),
            CliError::WithStatus(inner, _) => inner.message(),
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            CliError::Library(Error::Io { action: "find", source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                vec!["nothing was changed; `filelatch write --mkdir` makes missing directories".to_owned()]
            }
            CliError::Library(error) => error.hints(),
            CliError::Git(error) => error.hints(),
            CliError::Own { hints, .. } => hints.clone(),
            CliError::Stdout(_) => Vec::new(),
            CliError::WithStatus(inner, _) => inner.hints(),
        }
    }

    /// `{kind, message, hints}`.
    pub(crate) fn to_json(&self) -> Value {
        json!({"kind": self.kind(), "message": self.message(), "hints": self.hints()})
    }

    fn conflict(&self) -> Option<&Conflict> {
        match self {
            CliError::Library(Error::Conflict(conflict)) => Some(conflict),
            CliError::WithStatus(inner, _) => inner.conflict(),
            _ => None,
        }
    }
}

/// Tells of an error and answers the exit status.
pub(crate) fn report(error: &CliError, as_json: bool) -> u8 {
    if let CliError::Stdout(cause) = error
        && cause.kind() == io::ErrorKind::BrokenPipe
    {
        // Whoever reads has seen enough.
        return exit::DONE;
    }
    if as_json {
        let mut answer = json!({"success": false, "error": error.to_json()});
        if let Some(conflict) = error.conflict() {
            answer["conflictInfo"] = conflict_info(conflict);
        }
        if let CliError::Git(error) = error {
            git_info(error, &mut answer);
        }
        output::json(&answer).ok();
    } else {
        tell(error);
    }
    error.status()
}

/// The error as text on standard error.
pub(crate) fn tell(error: &CliError) {
    stderr_line("error", AnsiColor::Red.on_default().bold(), &error.message());
    for hint in error.hints() {
        stderr_line(" hint", AnsiColor::Cyan.on_default().bold(), &hint);
    }
}

fn conflict_info(conflict: &Conflict) -> Value {
    let expected = match &conflict.expected {
        Expect::Any => Value::Null,
        Expect::Absent => "absent".into(),
        Expect::Version(version) => version.to_string().into(),
        Expect::Prefix(prefix) => prefix.as_str().into(),
    };
    let current = conflict.current.map(|version| version.to_string());
    let mut info = json!({
        "expectedHash": expected,
        "currentHash": current,
        "lastModifiedBy": current.as_ref().map(|_| output::author(&conflict.last_modified_by)),
        "lastModifiedAt": conflict.last_modified_at.map(output::time),
    });
    if let Some(unmerged) = &conflict.unmerged {
        let looked: Vec<_> = unmerged.looked.iter().map(ToString::to_string).collect();
        info["cause"] = json!(unmerged.cause);
        info["conflictId"] = json!(unmerged.id);
        info["notStored"] = json!(unmerged.not_stored);
        info["baseHash"] = json!(unmerged.base.map(|version| version.to_string()));
        info["baseLookedFor"] = json!(looked);
        info["conflicts"] = json!(unmerged.conflicts);
        info["fallback"] = json!(unmerged.fallback);
    }
    info
}

/// What programs want to know of an error about sessions.
fn git_info(error: &filelatch_git::Error, answer: &mut Value) {
    use filelatch_git::Error;
    match error {
        Error::WouldLose { reasons, .. } => {
            let told = reasons.iter().map(|reason| json!({"reason": reason.code(), "message": reason.to_string()}));
            answer["reasons"] = told.collect();
        }
        Error::Unmerged(unmerged) => {
            let hunk = |hunk: &filelatch_git::UnmergedHunk| json!({"line": hunk.line, "ours": hunk.ours, "theirs": hunk.theirs});
            let files = unmerged.files.iter().map(|file| {
                let hunks: Vec<_> = file.hunks.iter().map(hunk).collect();
                json!({"path": output::path(&file.path), "message": file.message, "hunks": hunks})
            });
            answer["conflict"] = json!({
                "branch": unmerged.branch,
                "into": unmerged.into,
                "leftIn": unmerged.left_in.as_deref().map(output::path),
                "files": files.collect::<Vec<_>>(),
            });
        }
        _ => {}
    }
}

/// One line of talk. If nobody can be told, nobody is.
pub(crate) fn stderr_line(label: &str, style: Style, text: &str) {
    let line = format!("{style}{label}:{style:#} {text}\n");
    anstream::stderr().lock().write_all(line.as_bytes()).ok();
}
