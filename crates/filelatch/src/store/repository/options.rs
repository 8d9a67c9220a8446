//! How a repository is laid out, read and written.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::super::StoreError;
use crate::doc::Format;
use crate::lock::Wait;
use crate::write::Durability;

/// Where the records lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// One file for all records.
    Collection,
    /// One file for each record, `ID.json`, in a folder.
    Directory,
}

/// How a repository is laid out, read and written. Programs that share one must agree on it.
#[derive(Clone, Debug)]
pub struct RepositoryOptions {
    pub(super) layout: Layout,
    pub(super) format: Option<Format>,
    pub(super) schema: Schema,
    pub(super) durability: Option<Durability>,
    pub(super) wait: Option<Wait>,
}

/// Brings a record from the version it was written in to the newest.
type Migration = Arc<dyn Fn(u64, Value) -> Result<Value, String> + Send + Sync>;

/// What stands around the records.
#[derive(Clone)]
pub(super) struct Schema {
    /// The version of the records; `None`: the file has no header.
    pub(super) version: Option<u64>,
    migration: Option<Migration>,
}

impl RepositoryOptions {
    /// One file for all records: `{"version": 1, "records": {ID: RECORD, …}}`.
    pub fn collection() -> Self {
        RepositoryOptions::of(Layout::Collection)
    }

    /// One file for each record, `ID.json` in a folder: `{"version": 1, "record": RECORD}`. Ids are lower-case letters, digits, `-`, `_` and `.`.
    /// Other files in the folder are left alone.
    ///
    /// A change of one record is a write of a small file, however many there are. [`Repository::modify`](super::Repository::modify) of several
    /// needs a workspace.
    pub fn directory() -> Self {
        RepositoryOptions::of(Layout::Directory)
    }

    fn of(layout: Layout) -> Self {
        let schema = Schema { version: Some(1), migration: None };
        RepositoryOptions { layout, format: None, schema, durability: None, wait: None }
    }

    /// The format: JSON, YAML or TOML. Else the name of a collection tells it, and records of their own files are JSON.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// The version of the records as this program writes them; 1 unless said otherwise. `migration` is given the version that a record
    /// was written in and its value, and answers the value in this version; it must answer the same for the same.
    ///
    /// Older records are migrated as they are read, and written so with the next change: of a collection all at once, else each with its
    /// own file. A file with a newer version is refused, for reading and for writing ([`StoreError::Newer`]).
    #[must_use]
    pub fn schema(
        mut self,
        version: u64,
        migration: impl Fn(u64, Value) -> Result<Value, String> + Send + Sync + 'static,
    ) -> Self {
        self.schema = Schema { version: Some(version), migration: Some(Arc::new(migration)) };
        self
    }

    /// No header: a collection is `{ID: RECORD, …}`, and a file of its own is the record itself. Then there is no version, and nothing is
    /// migrated.
    #[must_use]
    pub fn bare(mut self) -> Self {
        self.schema = Schema { version: None, migration: None };
        self
    }

    /// What a change has survived when it is acknowledged; else as the policy says.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// How long to wait for locks; else as the policy says.
    #[must_use]
    pub fn wait(mut self, wait: Wait) -> Self {
        self.wait = Some(wait);
        self
    }

    /// The format of the files.
    pub(super) fn format_of(&self, path: &Path) -> Result<Format, StoreError> {
        let told = self.format.or_else(|| match self.layout {
            Layout::Collection => Format::from_path(path),
            Layout::Directory => None,
        });
        match told.unwrap_or(Format::Json) {
            Format::Text => Err(StoreError::Invalid {
                problem: "records are not kept in text".to_owned(),
                hint: "a repository is JSON, YAML or TOML".to_owned(),
            }),
            format => Ok(format),
        }
    }
}

impl Schema {
    /// Does a record of this version have to be migrated?
    pub(super) fn is_old(&self, found: u64) -> bool {
        self.version.is_some_and(|version| found < version)
    }

    /// A record in the newest version. An error is the reason.
    pub(super) fn migrated(&self, found: u64, value: Value) -> Result<Value, String> {
        match (&self.migration, self.version) {
            (Some(migration), Some(version)) if found < version => migration(found, value),
            (None, Some(version)) if found < version => {
                Err(format!("it is of version {found}, and this program knows only {version}"))
            }
            _ => Ok(value),
        }
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let migrates = self.migration.is_some();
        f.debug_struct("Schema").field("version", &self.version).field("migrates", &migrates).finish()
    }
}
