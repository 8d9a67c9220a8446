//! The newest content of a document while changes are applied to it, before it is published.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::audit::trail::Passage;
use crate::doc::{DocError, Document, Format};
use crate::error::{Error, Result};
use crate::path::Place;
use crate::snapshot::Content;
use crate::version::Version;
use crate::write::current::Current;
use crate::write::publish::has_bytes;

/// Bytes on disk, opened and read under the lock, and what has become of them so far.
#[derive(Debug)]
pub(crate) struct Head {
    /// What was on disk; `None`: nothing.
    pub(crate) disk: Option<Disk>,
    state: State,
    /// False once some change replaced the content without looking at it: what is on disk does not matter any more.
    pub(crate) depends_on_disk: bool,
    /// A foreign version that an earlier attempt of these changes could neither put back nor drop.
    pub(crate) kept: Option<PathBuf>,
    /// What a file that does not exist takes its metadata from.
    pub(crate) like: Option<Arc<Current>>,
    /// Whose change was the last; `None`: the engine's own session's.
    pub(crate) author: Option<Arc<str>>,
    /// What became of it on the way, for the audit log.
    pub(crate) passage: Passage,
}

/// The file as opened under the lock. It is read when somebody looks: who replaces it unseen need not wait for that.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) current: Current,
    content: OnceLock<Arc<Content>>,
    read_limit: u64,
}

impl Disk {
    pub(crate) fn new(current: Current, read_limit: u64) -> Disk {
        Disk { current, content: OnceLock::new(), read_limit }
    }

    /// The file is known to have these bytes.
    pub(crate) fn known(current: Current, content: Arc<Content>) -> Disk {
        Disk { current, content: OnceLock::from(content), read_limit: 0 }
    }

    pub(crate) fn content(&self, place: &Place) -> Result<&Arc<Content>> {
        if let Some(content) = self.content.get() {
            return Ok(content);
        }
        let content = Content::new(self.current.read(place, self.read_limit)?);
        Ok(self.content.get_or_init(|| content))
    }

    /// Does the file have exactly these bytes?
    pub(crate) fn is(&self, place: &Place, bytes: &[u8]) -> Result<bool> {
        match self.content.get() {
            Some(content) => Ok(*content.bytes == *bytes),
            None => has_bytes(&*self.current.file, bytes).map_err(|e| Error::io("read", &place.spelled, e)),
        }
    }
}

#[derive(Debug)]
enum State {
    Absent,
    /// As on disk; nobody has looked yet.
    Unread,
    Bytes(Arc<Content>),
    /// Parsed, perhaps with changes that have not been rendered.
    Parsed {
        document: Box<Document>,
        /// What it is without these changes; `None`: it is new.
        content: Option<Arc<Content>>,
    },
}

impl Head {
    pub(crate) fn new(disk: Option<Disk>) -> Head {
        let state = if disk.is_some() { State::Unread } else { State::Absent };
        Head { disk, state, depends_on_disk: true, kept: None, like: None, author: None, passage: Passage::default() }
    }

    /// A parsed document that is known to be of exactly these bytes saves parsing them again.
    pub(crate) fn adopt(&mut self, document: Document) {
        let content = self.disk.as_ref().and_then(|disk| disk.content.get().cloned());
        self.state = State::Parsed { document: Box::new(document), content };
    }

    /// The content as bytes; `None`: the file does not exist (yet).
    pub(crate) fn content(&mut self, place: &Place) -> Result<Option<Arc<Content>>> {
        if let State::Parsed { document, content } = &mut self.state
            && document.is_changed()
        {
            let (bytes, settled) = document.settle().map_err(|source| doc_error(place, source))?;
            let new = Content::new(bytes);
            if settled {
                *content = Some(new);
            } else {
                self.state = State::Bytes(new);
            }
        }
        if let (State::Unread, Some(disk)) = (&self.state, &self.disk) {
            self.state = State::Bytes(Arc::clone(disk.content(place)?));
        }
        Ok(match &self.state {
            State::Absent | State::Unread => None,
            State::Bytes(content) => Some(Arc::clone(content)),
            State::Parsed { content, .. } => content.clone(),
        })
    }

    pub(crate) fn version(&mut self, place: &Place) -> Result<Option<Version>> {
        Ok(self.content(place)?.map(|content| content.version()))
    }

    /// Is this the content already?
    pub(crate) fn is(&mut self, place: &Place, bytes: &[u8]) -> Result<bool> {
        match (&self.state, &self.disk) {
            (State::Unread, Some(disk)) => disk.is(place, bytes),
            _ => Ok(self.content(place)?.is_some_and(|content| *content.bytes == *bytes)),
        }
    }

    pub(crate) fn replace(&mut self, bytes: Vec<u8>, looked: bool) {
        self.put(Content::new(bytes), looked);
    }

    pub(crate) fn put(&mut self, content: Arc<Content>, looked: bool) {
        self.state = State::Bytes(content);
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
        let (mut document, content) = match &self.state {
            State::Parsed { document, .. } if document.format() == format => match self.take() {
                State::Parsed { document, content } => (document, content),
                State::Absent | State::Unread | State::Bytes(_) => return Err(Self::lost(place).into()),
            },
            State::Absent => {
                let value = create.ok_or_else(|| Error::NotFound { path: place.spelled.clone() })?;
                let document = Document::new_with(value, format).map_err(|source| doc_error(place, source))?;
                return self.try_new(document, change);
            }
            State::Parsed { .. } | State::Unread | State::Bytes(_) => {
                let content = self.content(place)?;
                let bytes = content.as_ref().map_or(&[][..], |content| &content.bytes);
                let document = Document::parse(bytes, format).map_err(|source| doc_error(place, source))?;
                (Box::new(document), content)
            }
        };
        document.savepoint();
        let result = catch_unwind(AssertUnwindSafe(|| change(&mut document)));
        match &result {
            Ok(Ok(_)) => document.release(),
            Ok(Err(_)) | Err(_) => document.rollback(),
        }
        self.state = State::Parsed { document, content };
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// A document that does not exist yet comes to be only if its first change succeeds.
    fn try_new<R, E>(
        &mut self,
        mut document: Document,
        change: impl FnOnce(&mut Document) -> Result<R, E>,
    ) -> Result<R, E> {
        let result = change(&mut document)?;
        self.state = State::Parsed { document: Box::new(document), content: None };
        Ok(result)
    }

    /// What was on disk, and the parsed document of the newest content if there is one.
    pub(crate) fn into_parts(self) -> (Option<Disk>, Option<Document>) {
        match self.state {
            State::Parsed { document, .. } if !document.is_changed() => (self.disk, Some(*document)),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::path::Dirs;

    fn place(dir: &tempfile::TempDir, name: &str) -> Place {
        Place::resolve(&filelatch_fs::RealFs, &Dirs::default(), &dir.path().join(name)).unwrap()
    }

    fn bytes(head: &mut Head, place: &Place) -> Option<Vec<u8>> {
        head.content(place).unwrap().map(|content| content.bytes.to_vec())
    }

    /// P8: changes of one batch see each other, and one that does nothing, or fails, takes nothing of the others away.
    #[test]
    fn changes_build_on_each_other() {
        let dir = tempfile::tempdir().unwrap();
        for (name, first, second) in [
            ("a.json", "{\"a\": 1}", "{\"a\": 2}"),
            ("a.yaml", "a: 1 # x\n", "a: 2 # x\n"),
            ("a.toml", "a = 1 # x\n", "a = 2 # x\n"),
        ] {
            let place = place(&dir, name);
            let mut head = Head::new(None);
            head.replace(first.into(), true);
            let looked: Result<_> = head.with_document(&place, None, None, |document| Ok(document.get("/a").unwrap()));
            assert_eq!(looked.unwrap(), Some(json!(1)));
            assert_eq!(bytes(&mut head, &place).as_deref(), Some(first.as_bytes()), "{name}: looking changes nothing");
            let failed: Result<()> = head.with_document(&place, None, None, |document| {
                document.set("/a", json!(7)).unwrap();
                Err(Error::NotFound { path: place.path.clone() })
            });
            failed.unwrap_err();
            assert_eq!(bytes(&mut head, &place).as_deref(), Some(first.as_bytes()), "{name}: failing changes nothing");
            for _ in 0..2 {
                let set: Result<()> = head.with_document(&place, None, None, |document| {
                    document.set("/a", json!(2)).unwrap();
                    Ok(())
                });
                set.unwrap();
                let before = head.content(&place).unwrap().unwrap();
                assert_eq!(*before.bytes, *second.as_bytes(), "{name}");
                let again = head.content(&place).unwrap().unwrap();
                assert!(Arc::ptr_eq(&before, &again), "{name}: rendered once");
            }
            let (_, document) = head.into_parts();
            assert!(document.is_some(), "{name}: known for the next change");
        }
    }

    /// A document that is created by a change, and changed by the next one, which wants it in another format.
    #[test]
    fn created_and_read_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(&dir, "a.json");
        let mut head = Head::new(None);
        let create = json!({"a": 1});
        let set: Result<()> = head.with_document(&place, None, Some(&create), |document| {
            document.set("/b", json!(2)).unwrap();
            Ok(())
        });
        set.unwrap();
        let text: Result<_> = head.with_document(&place, Some(Format::Text), None, |document| {
            Ok(document.value().unwrap().as_str().unwrap().to_owned())
        });
        let wanted = "{\n  \"a\": 1,\n  \"b\": 2\n}\n";
        assert_eq!(text.unwrap(), wanted);
        assert_eq!(bytes(&mut head, &place).as_deref(), Some(wanted.as_bytes()));
    }
}
