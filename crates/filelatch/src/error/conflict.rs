//! A conflict: what was expected, what is there, and what a merge could not settle.

use std::path::PathBuf;
use std::time::SystemTime;

use crate::conflict::{Cause, Looked};
use crate::version::{Expect, Version};
use crate::write::Author;

/// The file on disk is not the one that the writer expected (VER-3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// The file.
    pub path: PathBuf,
    /// What the writer expected; [`Expect::Any`] when it had read the current version itself and a foreign program wrote in
    /// between.
    pub expected: Expect,
    /// What is there: a version, or `None` when the file does not exist.
    pub current: Option<Version>,
    /// Who wrote the current bytes.
    pub last_modified_by: Author,
    /// When the current bytes were written.
    pub last_modified_at: Option<SystemTime>,
    /// Where a version is kept that could be neither merged nor left in place.
    pub kept: Option<PathBuf>,
    /// What a merge could not settle; `None` where nothing was to be merged.
    pub unmerged: Option<Box<Unmerged>>,
}

/// What a merge could not settle.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unmerged {
    /// Why.
    pub cause: Cause,
    /// What both were made from.
    pub base: Option<Version>,
    /// How many places do not fit together; 0 when nothing was compared place by place.
    pub conflicts: usize,
    /// Why the structure of the document did not count, if it should have.
    pub fallback: Option<String>,
    /// Where the base was looked for in vain.
    pub looked: Vec<Looked>,
    /// The id of the stored conflict.
    pub id: Option<String>,
    /// Why it is not stored.
    pub not_stored: Option<String>,
}

impl std::fmt::Display for Unmerged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.cause, self.conflicts) {
            (Cause::NoBase, _) if self.looked.is_empty() => {
                f.write_str("and the writer does not say what its content was made from, so it cannot be merged")
            }
            (Cause::NoBase, _) => f.write_str("and what both were made from was not found, so they cannot be merged"),
            (Cause::Merge, 1) => f.write_str("both changed the same place"),
            (Cause::Merge, n) => write!(f, "both changed the same {n} places"),
            (cause, _) => cause.fmt(f),
        }
    }
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.display();
        match (&self.expected, &self.current) {
            (Expect::Absent, Some(_)) => write!(f, "`{path}` exists already"),
            (_, None) => write!(f, "`{path}` is gone"),
            (Expect::Version(expected), Some(current)) => {
                let (expected, current) = (expected.short(), current.short());
                write!(f, "`{path}` changed since it was read (expected {expected}, disk has {current})")
            }
            (Expect::Prefix(expected), Some(current)) => {
                write!(f, "`{path}` changed since it was read (expected {expected}, disk has {})", current.short())
            }
            (Expect::Any, Some(_))
                if self.unmerged.as_ref().is_some_and(|unmerged| unmerged.cause == Cause::NoBase) =>
            {
                write!(f, "`{path}` has another content already")
            }
            (Expect::Any, Some(_)) => write!(f, "`{path}` was changed by another program at the same moment"),
        }?;
        match &self.last_modified_by {
            Author::Session(session) if self.current.is_some() => write!(f, "; last written by {session}"),
            Author::External if self.current.is_some() => f.write_str("; last written by another program"),
            _ => Ok(()),
        }?;
        match &self.unmerged {
            Some(unmerged) => write!(f, "; {unmerged}"),
            None => Ok(()),
        }
    }
}

impl Unmerged {
    fn hints(&self, expected: &Expect) -> Vec<String> {
        let mut hints = match (&self.id, &self.not_stored) {
            (Some(id), _) => vec![
                format!("nothing was written; both versions are kept: `filelatch conflicts show {id}`"),
                format!("`filelatch conflicts resolve {id} --keep mine|theirs|merged|FILE` settles it"),
            ],
            (None, Some(why)) => {
                vec![format!("nothing was written, and this content is stored nowhere: {why}")]
            }
            (None, None) => vec!["nothing was written".to_owned()],
        };
        if self.cause == Cause::NoBase {
            let version = match expected {
                Expect::Version(version) => format!("the version {} ", version.short()),
                Expect::Prefix(prefix) => format!("the version {prefix} "),
                Expect::Any | Expect::Absent => String::new(),
            };
            let looked: Vec<_> = self.looked.iter().map(ToString::to_string).collect();
            if !looked.is_empty() {
                hints.push(format!("{version}was looked for in {}", looked.join(", in ")));
            }
            hints.push(match expected {
                Expect::Any => {
                    "name the version that was read (`--expect HASH`), or give it (`--base FILE`)".to_owned()
                }
                _ => "give it: `--base FILE`, a file that holds what was read".to_owned(),
            });
        }
        hints.extend(self.fallback.clone());
        hints
    }
}

impl Conflict {
    pub(super) fn hints(&self) -> Vec<String> {
        let mut hints = match (&self.expected, &self.current) {
            _ if self.unmerged.is_some() => {
                self.unmerged.as_ref().map(|unmerged| unmerged.hints(&self.expected)).unwrap_or_default()
            }
            (Expect::Absent, Some(_)) => {
                vec!["nothing was written; read the file and pass its version to replace it".to_owned()]
            }
            (_, None) => vec!["nothing was written; expect \"absent\" to create the file again".to_owned()],
            _ => vec!["nothing was written; read the file again and apply the change to what is there now".to_owned()],
        };
        if let Some(kept) = &self.kept {
            hints.push(format!("the other program's version is kept in `{}`", kept.display()));
        }
        hints
    }
}
