//! Navigating a scanned JSON text.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::delta::Delta;
use super::super::splice::Splices;
use super::super::syntax::{NodeId, Shape, Syntax};
use super::super::{DocError, Format, number};
use super::scan::{self, Kind, Node};
use super::{edit, settle, verify};

/// A scanned JSON text.
#[derive(Debug)]
pub(in super::super) struct JsonSyntax {
    pub(super) text: Arc<String>,
    pub(super) format: Format,
    pub(super) relaxed: bool,
    pub(super) nodes: Vec<Node>,
}

impl JsonSyntax {
    pub(in super::super) fn parse(text: String, format: Format) -> Result<Self, DocError> {
        let scan = scan::scan(&text, format)?;
        Ok(Self { text: Arc::new(text), format, relaxed: scan.relaxed, nodes: scan.nodes })
    }

    pub(super) fn node(&self, node: NodeId) -> &Node {
        &self.nodes[node]
    }

    pub(super) fn range(&self, node: NodeId) -> Range<usize> {
        let node = &self.nodes[node];
        node.start as usize..node.end as usize
    }

    /// The number of members or elements.
    pub(super) fn count(&self, node: NodeId) -> usize {
        self.nodes[node].count as usize
    }

    /// The members of an object: key and value.
    pub(super) fn members(&self, object: NodeId) -> impl Iterator<Item = (NodeId, NodeId)> {
        let mut at = object + 1;
        (0..self.nodes[object].count).map(move |_| {
            let key = at;
            let value = key + 1;
            at = self.nodes[value].next as usize;
            (key, value)
        })
    }

    /// The elements of an array.
    pub(super) fn elements(&self, array: NodeId) -> impl Iterator<Item = NodeId> {
        let mut at = array + 1;
        (0..self.nodes[array].count).map(move |_| {
            let element = at;
            at = self.nodes[element].next as usize;
            element
        })
    }

    /// The text of a string node.
    pub(super) fn string(&self, node: NodeId) -> Result<Cow<'_, str>, DocError> {
        let range = self.range(node);
        if self.nodes[node].kind == Kind::Plain {
            return Ok(Cow::Borrowed(&self.text[range.start + 1..range.end - 1]));
        }
        serde_json::from_str(&self.text[range.clone()]).map(Cow::Owned).map_err(|_| {
            let message = "a string with half of a surrogate pair (`\\uD800` to `\\uDFFF`)";
            DocError::parse(self.format, &self.text, range.start, message)
        })
    }

    fn is_key(&self, node: NodeId, key: &str) -> Result<bool, DocError> {
        if self.nodes[node].kind == Kind::Plain {
            let Range { start, end } = self.range(node);
            return Ok(&self.text.as_bytes()[start + 1..end - 1] == key.as_bytes());
        }
        Ok(self.string(node)? == key)
    }

    fn duplicate(&self, key: &str, first: NodeId, second: NodeId) -> DocError {
        DocError::duplicate(&self.text, key, self.range(first).start, self.range(second).start)
    }

    fn object(&self, node: NodeId) -> Result<Value, DocError> {
        let mut map = Map::with_capacity(self.count(node));
        for (key, value) in self.members(node) {
            let name = self.string(key)?.into_owned();
            let value = self.value(value)?;
            if let serde_json::map::Entry::Vacant(entry) = map.entry(name.as_str()) {
                entry.insert(value);
                continue;
            }
            for (first, _) in self.members(node) {
                if self.is_key(first, &name)? {
                    return Err(self.duplicate(&name, first, key));
                }
            }
        }
        Ok(Value::Object(map))
    }
}

impl Syntax for JsonSyntax {
    fn text(&self) -> &str {
        &self.text
    }

    fn root(&self) -> NodeId {
        0
    }

    fn shape(&self, node: NodeId) -> Shape {
        match self.nodes[node].kind {
            Kind::Object => Shape::Object,
            Kind::Array => Shape::Array,
            _ => Shape::Scalar,
        }
    }

    fn field(&self, object: NodeId, key: &str) -> Result<Option<NodeId>, DocError> {
        let mut found: Option<(NodeId, NodeId)> = None;
        for member in self.members(object) {
            if self.is_key(member.0, key)? {
                match found {
                    None => found = Some(member),
                    Some(first) => return Err(self.duplicate(key, first.0, member.0)),
                }
            }
        }
        Ok(found.map(|(_, value)| value))
    }

    fn keys(&self, object: NodeId) -> Result<Vec<String>, DocError> {
        self.members(object).map(|(key, _)| self.string(key).map(Cow::into_owned)).collect()
    }

    fn start(&self, node: NodeId) -> usize {
        self.range(node).start
    }

    fn item(&self, array: NodeId, index: usize) -> Option<NodeId> {
        self.elements(array).nth(index)
    }

    fn len(&self, array: NodeId) -> usize {
        self.count(array)
    }

    fn value(&self, node: NodeId) -> Result<Value, DocError> {
        Ok(match self.nodes[node].kind {
            Kind::Null => Value::Null,
            Kind::True => Value::Bool(true),
            Kind::False => Value::Bool(false),
            Kind::Number => {
                let text = &self.text[self.range(node)];
                let number = number::from_text(text);
                let unreadable = || DocError::parse(self.format, &self.text, self.range(node).start, "not a number");
                Value::Number(number.ok_or_else(unreadable)?)
            }
            Kind::Plain | Kind::Escaped => Value::String(self.string(node)?.into_owned()),
            Kind::Object => self.object(node)?,
            Kind::Array => {
                let elements: Result<Vec<Value>, DocError> =
                    self.elements(node).map(|element| self.value(element)).collect();
                Value::Array(elements?)
            }
        })
    }

    fn edit(&self, delta: &Delta) -> Result<Splices, DocError> {
        edit::edit(self, delta)
    }

    fn verify(&self, new: &str, delta: &Delta) -> Result<(), DocError> {
        verify::verify(self, new, delta)
    }

    fn settle(&mut self, new: &Arc<String>, splices: &Splices) -> bool {
        settle::settle(self, new, splices)
    }
}
