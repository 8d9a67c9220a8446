//! What all of one repository have in common: where it is, how its files look, and how its errors are told.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::StoreError;
use super::id;
use super::options::{Layout, Schema};
use crate::doc::{self, DocError, Document, Format};
use crate::error::{Error, Result};
use crate::file::WriteOptions;
use crate::lock::{LockOptions, Wait};
use crate::version::Version;
use crate::write::Durability;

/// The key of the version in a header.
pub(super) const VERSION: &str = "version";

#[derive(Debug)]
pub(super) struct Ground {
    /// The file or folder.
    pub(super) path: PathBuf,
    pub(super) layout: Layout,
    pub(super) format: Format,
    pub(super) schema: Schema,
    pub(super) durability: Option<Durability>,
    pub(super) wait: Option<Wait>,
}

/// A document of a repository, and of which version it is.
#[derive(Clone, Copy)]
pub(super) struct Sheet<'a> {
    pub(super) ground: &'a Ground,
    /// Where it lies.
    pub(super) path: &'a Path,
    pub(super) document: &'a Document,
}

impl Ground {
    pub(super) fn check(&self, id: &str) -> Result<()> {
        id::check(id, self.layout).map_err(|source| self.refused(source))
    }

    pub(super) fn refused(&self, source: StoreError) -> Error {
        Error::Store { path: self.path.clone(), source }
    }

    pub(super) fn missing(&self, id: &str) -> Error {
        self.refused(StoreError::NotFound { what: "record", id: id.to_owned() })
    }

    /// The key of what stands behind the header.
    pub(super) fn body(&self) -> &'static str {
        match self.layout {
            Layout::Collection => "records",
            Layout::Directory => "record",
        }
    }

    /// The pointer to it.
    pub(super) fn base(&self) -> &'static str {
        match (self.schema.version, self.layout) {
            (None, _) => "",
            (Some(_), Layout::Collection) => "/records",
            (Some(_), Layout::Directory) => "/record",
        }
    }

    /// What a file is that holds this.
    pub(super) fn whole(&self, body: Value) -> Value {
        match self.schema.version {
            None => body,
            Some(version) => serde_json::json!({ VERSION: version, self.body(): body }),
        }
    }

    /// How a file of the repository is written.
    pub(super) fn writing<'a>(&self, lock: &LockOptions<'a>, empty: Value) -> WriteOptions<'a> {
        let mut lock = lock.clone();
        lock.wait = lock.wait.or(self.wait);
        let mut options = WriteOptions::new().lock(lock).format(self.format).create(self.whole(empty));
        options.durability = self.durability;
        options
    }

    /// What is to be stored of a record; `current` is what is stored of it.
    pub(super) fn stored<T: Serialize + DeserializeOwned>(
        &self,
        id: &str,
        current: Option<&Value>,
        new: &T,
    ) -> Result<Value> {
        let unfit = |source: DocError| {
            self.refused(StoreError::Invalid {
                problem: format!("the record `{id}` can't be stored: {source}"),
                hint: source.hints().into_iter().next().unwrap_or_else(|| "change the record or its type".to_owned()),
            })
        };
        let value = doc::laid_over(current, new, self.format).map_err(unfit)?;
        // Found out here, it spoils nobody else's change of the same publish.
        let alone = match self.layout {
            Layout::Collection => serde_json::json!({ id: value }),
            Layout::Directory => value.clone(),
        };
        Document::new_with(&self.whole(alone), self.format).map_err(unfit)?;
        Ok(value)
    }
}

/// The version of a record: the hash of its value.
pub(super) fn version_of(value: &Value) -> Version {
    Version::of(value.to_string().as_bytes())
}

/// A step of a JSON pointer.
pub(super) fn pointer(base: &str, key: &str) -> String {
    format!("{base}/{}", key.replace('~', "~0").replace('/', "~1"))
}

impl Sheet<'_> {
    pub(super) fn document_error(&self, source: DocError) -> Error {
        Error::Document { path: self.path.to_owned(), source }
    }

    fn damaged(&self, pointer: &str, problem: String, way_out: &str) -> Error {
        let line = self.document.line_of(pointer);
        let source = StoreError::Damaged { line, offset: None, problem, way_out: way_out.to_owned() };
        Error::Store { path: self.path.to_owned(), source }
    }

    /// The version that the records were written in. What is not laid out as it must be is never taken for empty.
    pub(super) fn version(&self) -> Result<u64> {
        let wrong = |source| self.document_error(source);
        let get = |key: &str| self.document.get(&pointer("", key)).map_err(wrong);
        if self.ground.schema.version.is_none() && self.ground.layout == Layout::Directory {
            return Ok(0);
        }
        if !self.document.is_object("").map_err(wrong)? {
            return Err(self.damaged("", "this is no object".to_owned(), "put back what was there"));
        }
        let found = get(VERSION)?;
        let found = found.as_ref().and_then(Value::as_u64);
        let body = self.ground.body();
        let Some(known) = self.ground.schema.version else {
            // Somebody gave it a header: what is known of the layout is older.
            return match found {
                Some(found) if self.document.is_object("/records").map_err(wrong)? => Err(self.newer(found, 0)),
                _ => Ok(0),
            };
        };
        let Some(found) = found else {
            let problem = format!("there is no `{VERSION}`, a whole number, beside `{body}`");
            return Err(self.damaged("/version", problem, "put it back; a file without a header is opened as `bare`"));
        };
        if found > known {
            return Err(self.newer(found, known));
        }
        let there = match self.ground.layout {
            Layout::Collection => self.document.is_object("/records").map_err(wrong)?,
            Layout::Directory => get(body)?.is_some(),
        };
        if !there {
            let what = if self.ground.layout == Layout::Collection { "object" } else { "value" };
            let problem = format!("there is no {what} `{body}` beside `{VERSION}`");
            return Err(self.damaged(self.ground.base(), problem, "put it back, or move the file away"));
        }
        Ok(found)
    }

    fn newer(&self, found: u64, known: u64) -> Error {
        Error::Store { path: self.path.to_owned(), source: StoreError::Newer { found, known } }
    }

    /// Where a record's value stands.
    pub(super) fn place(&self, id: &str) -> String {
        match self.ground.layout {
            Layout::Collection => pointer(self.ground.base(), id),
            Layout::Directory => self.ground.base().to_owned(),
        }
    }

    /// What stands at a record is not what the program keeps there.
    pub(super) fn unreadable(&self, id: &str, source: &DocError) -> Error {
        let inner = match source {
            DocError::TypeMismatch { pointer, .. } => pointer.as_str(),
            _ => "",
        };
        let problem = format!("the record `{id}` can't be read: {source}");
        self.damaged(&format!("{}{inner}", self.place(id)), problem, WAY_OUT)
    }

    /// A record in the newest version.
    pub(super) fn migrated(&self, id: &str, found: u64, value: Value) -> Result<Value> {
        self.ground.schema.migrated(found, value).map_err(|why| {
            let problem = format!("the record `{id}` can't be brought up to date: {why}");
            self.damaged(&self.place(id), problem, WAY_OUT)
        })
    }
}

const WAY_OUT: &str = "repair the record by hand, or delete it; the others can be read and changed";
