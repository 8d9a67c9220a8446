//! The newest content of a document while changes are applied to it, before it is published.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use serde_json::Value;

use crate::doc::{DocError, Document, Format};
use crate::error::{Error, Result};
use crate::path::Place;
use crate::snapshot::Content;
use crate::version::Version;
use crate::write::current::Current;

/// Bytes on disk, opened and read under the lock, and what has become of them so far.
#[derive(Debug)]
pub(crate) struct Head {
    /// What was on disk; `None`: nothing.
    pub(crate) disk: Option<Disk>,
    state: State,
    /// False once some change replaced the content without looking at it: what is on disk does not matter any more.
    pub(crate) depends_on_disk: bool,
}

#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) current: Current,
    pub(crate) content: Arc<Content>,
}

#[derive(Debug)]
enum State {
    Absent,
    Bytes(Arc<Content>),
    /// Parsed, with changes that have not been rendered.
    Parsed(Box<Document>),
}

impl Head {
    pub(crate) fn new(disk: Option<Disk>) -> Head {
        let state = match &disk {
            Some(disk) => State::Bytes(Arc::clone(&disk.content)),
            None => State::Absent,
        };
        Head { disk, state, depends_on_disk: true }
    }

    /// A parsed document that is known to be of exactly these bytes saves parsing them again.
    pub(crate) fn adopt(&mut self, document: Document) {
        self.state = State::Parsed(Box::new(document));
    }

    /// The content as bytes; `None`: the file does not exist (yet).
    pub(crate) fn content(&mut self, place: &Place) -> Result<Option<Arc<Content>>> {
        if let State::Parsed(document) = &mut self.state {
            if document.is_changed() {
                let bytes = document.render().map_err(|source| doc_error(place, source))?;
                self.state = State::Bytes(Content::new(bytes));
            } else if let Some(disk) = &self.disk {
                self.state = State::Bytes(Arc::clone(&disk.content));
            }
        }
        Ok(match &self.state {
            State::Bytes(content) => Some(Arc::clone(content)),
            State::Absent | State::Parsed(_) => None,
        })
    }

    pub(crate) fn version(&mut self, place: &Place) -> Result<Option<Version>> {
        Ok(self.content(place)?.map(|content| content.version()))
    }

    pub(crate) fn replace(&mut self, bytes: Vec<u8>, looked: bool) {
        self.state = State::Bytes(Content::new(bytes));
        self.depends_on_disk &= looked;
    }

    /// Runs a change on the parsed document; what it did is undone when it fails.
    pub(crate) fn with_document<R, E: From<Error>>(
        &mut self,
        place: &Place,
        format: Option<Format>,
        create: Option<&Value>,
        change: impl FnOnce(&mut Document) -> Result<R, E>,
    ) -> Result<R, E> {
        let format = format.or_else(|| Format::from_path(&place.path)).unwrap_or(Format::Text);
        let mut document = match &self.state {
            State::Parsed(document) if document.format() == format => match self.take() {
                State::Parsed(document) => document,
                State::Absent | State::Bytes(_) => return Err(Self::lost(place).into()),
            },
            State::Absent => {
                let value = create.ok_or_else(|| Error::NotFound { path: place.spelled.clone() })?;
                let document = Document::new_with(value, format).map_err(|source| doc_error(place, source))?;
                return self.try_new(document, change);
            }
            State::Parsed(_) | State::Bytes(_) => {
                let content = self.content(place)?;
                let bytes = content.as_ref().map_or(&[][..], |content| &content.bytes);
                Box::new(Document::parse(bytes, format).map_err(|source| doc_error(place, source))?)
            }
        };
        document.savepoint();
        let result = catch_unwind(AssertUnwindSafe(|| change(&mut document)));
        match &result {
            Ok(Ok(_)) => document.release(),
            Ok(Err(_)) | Err(_) => document.rollback(),
        }
        self.state = State::Parsed(document);
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// A document that does not exist yet comes to be only if its first change succeeds.
    fn try_new<R, E>(
        &mut self,
        mut document: Document,
        change: impl FnOnce(&mut Document) -> Result<R, E>,
    ) -> Result<R, E> {
        let result = change(&mut document)?;
        self.state = State::Parsed(Box::new(document));
        Ok(result)
    }

    /// What was on disk, and the parsed document of the newest content if there is one.
    pub(crate) fn into_parts(self) -> (Option<Disk>, Option<Document>) {
        match self.state {
            State::Parsed(document) if !document.is_changed() => (self.disk, Some(*document)),
            _ => (self.disk, None),
        }
    }

    fn take(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Absent)
    }

    fn lost(place: &Place) -> Error {
        Error::Internal { path: place.spelled.clone(), message: "the document under change is gone".to_owned() }
    }
}

pub(crate) fn doc_error(place: &Place, source: DocError) -> Error {
    Error::Document { path: place.spelled.clone(), source }
}
