//! The document: a parsed text and what is to change in it.

use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::delta::{self, Delta, Op};
use super::splice::{BOM, Position, Splices};
use super::syntax::{self, Shape, Syntax};
use super::{DocError, Format, change, diff, patch, pointer, typed};
use crate::bytes::Bytes;

/// A document that can be read and changed without losing what is not part of the change.
///
/// Changes are collected and become text once, in [`render`](Self::render). Reading sees them at once.
///
/// ```
/// use filelatch::doc::{Document, Format};
///
/// let text = b"# how many\ncount = 1 # see #42\n";
/// let mut document = Document::parse(text, Format::Toml)?;
/// document.set("/count", 2.into())?;
/// assert_eq!(document.render()?, b"# how many\ncount = 2 # see #42\n");
/// # Ok::<(), filelatch::doc::DocError>(())
/// ```
#[derive(Debug)]
pub struct Document {
    format: Format,
    bom: bool,
    syntax: Box<dyn Syntax>,
    /// What is to change; none if nothing is.
    delta: Option<Arc<Delta>>,
    savepoints: Vec<Option<Arc<Delta>>>,
    /// A new document has no old text to fall back to: it is written even without a change.
    is_new: bool,
    /// The whole value, once asked for, until the next change.
    whole: OnceLock<Value>,
}

impl Document {
    /// Parses the bytes of a file.
    pub fn parse(bytes: &[u8], format: Format) -> Result<Self, DocError> {
        let (bom, body) = match bytes.strip_prefix(BOM) {
            Some(body) => (true, body),
            None => (false, bytes),
        };
        let text = std::str::from_utf8(body)
            .map_err(|error| DocError::NotUtf8 { offset: error.valid_up_to() + bytes.len() - body.len() })?;
        Self::from_text(text.to_owned(), format, bom)
    }

    /// A new document with this value, printed the way people write the format: two spaces, one final newline.
    pub fn new_with(value: &Value, format: Format) -> Result<Self, DocError> {
        let text = syntax::print(value, format)?;
        no_mark(&text, format)?;
        let unreadable = |error: DocError| DocError::VerifyFailed { format, message: error.to_string() };
        let mut document = Self::from_text(text, format, false).map_err(unreadable)?;
        document.is_new = true;
        // The printer is believed no more than the editors are.
        if document.value().map_err(unreadable)? != value {
            return Err(DocError::VerifyFailed {
                format,
                message: "the printed document has another value".to_owned(),
            });
        }
        let whole = Delta::Replace(value.clone());
        document.syntax.verify(document.syntax.text(), &whole)?;
        Ok(document)
    }

    fn from_text(text: String, format: Format, bom: bool) -> Result<Self, DocError> {
        let syntax = syntax::parse(text, format)?;
        Ok(Self { format, bom, syntax, delta: None, savepoints: Vec::new(), is_new: false, whole: OnceLock::new() })
    }

    /// The format it was parsed as.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The whole value, changes included. Building it costs time in proportion to the document; [`get`](Self::get) does not.
    pub fn value(&self) -> Result<&Value, DocError> {
        if let Some(value) = self.whole.get() {
            return Ok(value);
        }
        let old = self.syntax.value(self.syntax.root())?;
        let value = match &self.delta {
            Some(delta) => delta.apply(old),
            None => old,
        };
        Ok(self.whole.get_or_init(|| value))
    }

    /// The value at a JSON pointer (RFC 6901), changes included; `None` if nothing is there.
    pub fn get(&self, pointer: &str) -> Result<Option<Value>, DocError> {
        let path = pointer::parse(pointer)?;
        match delta::find(self.syntax.as_ref(), self.delta.as_deref(), &path)? {
            Some(found) => found.to_value(self.syntax.as_ref()).map(Some),
            None => Ok(None),
        }
    }

    /// Is it a new document, that nobody has parsed from a file?
    #[cfg_attr(not(feature = "store"), expect(dead_code, reason = "for stores"))]
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Is there an object at a pointer, changes included?
    #[cfg_attr(not(feature = "store"), expect(dead_code, reason = "for stores"))]
    pub(crate) fn is_object(&self, pointer: &str) -> Result<bool, DocError> {
        Ok(self.shape(pointer)? == Some(Shape::Object))
    }

    /// The keys of the object at a pointer in the order of the text, one that stands twice twice; changes are not looked at. `None`: there
    /// is no object.
    #[cfg_attr(not(feature = "store"), expect(dead_code, reason = "for stores"))]
    pub(crate) fn keys(&self, pointer: &str) -> Result<Option<Vec<String>>, DocError> {
        match delta::find(self.syntax.as_ref(), None, &pointer::parse(pointer)?)? {
            Some(delta::Found::Old(node, _)) if self.syntax.shape(node) == Shape::Object => {
                self.syntax.keys(node).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The line, counted from 1, where the node at a pointer begins, or the innermost one on the way to it that is there. Changes are not
    /// looked at.
    #[cfg_attr(not(feature = "store"), expect(dead_code, reason = "for stores"))]
    pub(crate) fn line_of(&self, pointer: &str) -> Option<u64> {
        let path = pointer::parse(pointer).ok()?;
        let inner =
            (0..=path.len()).rev().find_map(|steps| match delta::find(self.syntax.as_ref(), None, &path[..steps]) {
                Ok(Some(delta::Found::Old(node, _))) => Some(node),
                _ => None,
            });
        u64::try_from(Position::of(self.syntax.text(), self.syntax.start(inner?)).line).ok()
    }

    /// What stands at a pointer, without building its value.
    pub(super) fn shape(&self, pointer: &str) -> Result<Option<Shape>, DocError> {
        let path = pointer::parse(pointer)?;
        let found = delta::find(self.syntax.as_ref(), self.delta.as_deref(), &path)?;
        Ok(found.map(|found| found.shape(self.syntax.as_ref())))
    }

    /// Replaces the value at a JSON pointer, of which only the difference is written; or adds a field at the end of its
    /// object; or appends to an array (`-` or the array's length as last step).
    pub fn set(&mut self, pointer: &str, value: Value) -> Result<(), DocError> {
        self.change(pointer, Op::Set(value))
    }

    /// Like [`set`](Self::set), but an array index inserts before that element instead of replacing it.
    pub fn insert(&mut self, pointer: &str, value: Value) -> Result<(), DocError> {
        self.change(pointer, Op::Insert(value))
    }

    /// Removes the field or element at a JSON pointer and returns its value; `None` if nothing is there.
    pub fn remove(&mut self, pointer: &str) -> Result<Option<Value>, DocError> {
        let removed = self.get(pointer)?;
        if removed.is_some() {
            self.change(pointer, Op::Remove)?;
        }
        Ok(removed)
    }

    fn change(&mut self, pointer: &str, op: Op) -> Result<(), DocError> {
        let path = pointer::parse(pointer)?;
        self.whole = OnceLock::new();
        change::change(self.syntax.as_ref(), &mut self.delta, &path, op)
    }

    /// Replaces the whole value, of which only the difference is written. Existing keys stay where they are whatever their
    /// order in `new`; new keys follow.
    pub fn replace(&mut self, new: Value) -> Result<(), DocError> {
        let old = self.syntax.value(self.syntax.root())?;
        self.whole = OnceLock::new();
        self.delta = diff::against(&old, new).map(Arc::new);
        Ok(())
    }

    /// Applies an RFC 7396 merge patch: objects are merged, `null` removes a field, anything else replaces.
    pub fn merge_patch(&mut self, patch: &Value) -> Result<(), DocError> {
        self.all_or_nothing(|document| patch::merge(document, patch))
    }

    /// Applies an RFC 6902 JSON patch: all of its operations, or none.
    pub fn json_patch(&mut self, patch: &Value) -> Result<(), DocError> {
        self.all_or_nothing(|document| patch::apply(document, patch))
    }

    fn all_or_nothing(&mut self, change: impl FnOnce(&mut Self) -> Result<(), DocError>) -> Result<(), DocError> {
        let before = self.delta.clone();
        let result = change(self);
        if result.is_err() {
            self.restore(before);
        }
        result
    }

    /// Reads the whole document into a type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, DocError> {
        typed::read(self.value()?)
    }

    /// Writes a value that was [`read`](Self::read) and then changed. Only what differs from reading the document afresh is
    /// written: fields the type does not know stay, and so does the spelling of numbers it did not change.
    ///
    /// To write a value whose type cannot read the document, use [`replace`](Self::replace).
    pub fn write<T: Serialize + DeserializeOwned>(&mut self, new: &T) -> Result<(), DocError> {
        let wanted = typed::laid_over(Some(self.value()?), new, self.format)?;
        self.replace(wanted)
    }

    /// Remembers the state, for [`rollback`](Self::rollback). Costs next to nothing, whatever the size of the document.
    pub fn savepoint(&mut self) {
        self.savepoints.push(self.delta.clone());
    }

    /// Goes back to the latest savepoint and forgets it. Without one, all changes are undone.
    pub fn rollback(&mut self) {
        let state = self.savepoints.pop().unwrap_or_default();
        self.restore(state);
    }

    /// Forgets the latest savepoint and keeps the changes made since.
    pub fn release(&mut self) {
        self.savepoints.pop();
    }

    fn restore(&mut self, delta: Option<Arc<Delta>>) {
        self.delta = delta;
        self.whole = OnceLock::new();
    }

    /// Whether [`render`](Self::render) would return other bytes than were parsed. A new document has changed.
    pub fn is_changed(&self) -> bool {
        self.is_new || self.delta.is_some()
    }

    /// The bytes: the old ones with the smallest edit that makes the changes, checked by an independent parser. Without a
    /// change they are the bytes that were parsed.
    pub fn render(&mut self) -> Result<Vec<u8>, DocError> {
        let Some(delta) = &self.delta else {
            return Ok(self.with_bom(self.syntax.text().to_owned()));
        };
        let (text, _) = self.edited(delta)?;
        Ok(self.with_bom(text))
    }

    /// The new text, verified, and how it comes from the old one.
    fn edited(&self, delta: &Delta) -> Result<(String, Splices), DocError> {
        let mut splices = self.syntax.edit(delta)?;
        let text = splices.apply(self.syntax.text(), self.format)?;
        if !self.bom {
            no_mark(&text, self.format)?;
        }
        self.syntax.verify(&text, delta)?;
        Ok((text, splices))
    }

    /// As [`render`](Self::render), and true if this has become the document of the rendered bytes, as if they had been
    /// parsed: without changes, without savepoints. False where the format has no cheaper way than parsing them; then, and
    /// after an error, the document is what it was.
    pub(crate) fn settle(&mut self) -> Result<(Bytes, bool), DocError> {
        let Some(delta) = &self.delta else {
            self.settled();
            return Ok((self.with_bom(self.syntax.text().to_owned()).into(), true));
        };
        let (text, splices) = self.edited(delta)?;
        let text = Arc::new(text);
        let settled = self.syntax.settle(&text, &splices);
        if settled {
            self.settled();
        }
        let bytes = if self.bom { Bytes::Own([BOM, text.as_bytes()].concat()) } else { Bytes::Text(text) };
        Ok((bytes, settled))
    }

    fn settled(&mut self) {
        self.restore(None);
        self.savepoints.clear();
        self.is_new = false;
    }

    fn with_bom(&self, text: String) -> Vec<u8> {
        if self.bom { [BOM, text.as_bytes()].concat() } else { text.into_bytes() }
    }
}

/// A text that begins with U+FEFF would be read back without it.
fn no_mark(text: &str, format: Format) -> Result<(), DocError> {
    if !text.starts_with('\u{FEFF}') {
        return Ok(());
    }
    let message = "U+FEFF as its first character, which is read as a byte order mark".to_owned();
    Err(DocError::Unrepresentable { format, pointer: String::new(), message })
}
