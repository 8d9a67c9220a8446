//! Navigating a YAML tree: aliases are followed, merge keys are resolved.

use std::cell::Cell;

use serde_json::{Map, Value};

use super::super::delta::Delta;
use super::super::splice::Splices;
use super::super::syntax::{NodeId, Shape, Syntax};
use super::super::{DocError, Format, MAX_DEPTH};
use super::scalar::resolve;
use super::tree::{self, Entry, Id, Kind, Node, Style, Tree};
use super::{edit, verify};

/// How many nodes aliases may add to the value of a document. Past this it is an attack ("billion laughs") or a mistake.
const MAX_EXPANDED: usize = 1_000_000;

/// A parsed YAML text.
#[derive(Debug)]
pub(in super::super) struct YamlSyntax {
    pub(super) text: String,
    tree: Tree,
}

/// A field of a mapping, as readers see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) key: Id,
    pub(super) value: Id,
    /// Whether it comes from a merge key and is not written in the mapping itself.
    pub(super) merged: bool,
}

impl YamlSyntax {
    pub(in super::super) fn parse(text: String) -> Result<Self, DocError> {
        let tree = tree::parse(&text)?;
        Ok(Self { text, tree })
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        &self.tree.nodes[id]
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.tree.nodes
    }

    /// What an alias stands for, or the node itself.
    pub(super) fn target(&self, mut id: Id) -> Id {
        while let Kind::Alias { target } = self.node(id).kind {
            id = target;
        }
        id
    }

    /// The text of a key; `None` for keys JSON has no words for.
    pub(super) fn key(&self, id: Id) -> Option<&str> {
        match &self.node(self.target(id)).kind {
            Kind::Scalar { text, style: Style::Empty } if text.is_empty() && self.node(id).tag.is_none() => {
                Some("null")
            }
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    fn is_merge(&self, entry: &Entry) -> bool {
        let key = self.node(entry.key);
        matches!(&key.kind, Kind::Scalar { text, style: Style::Plain } if text == "<<" && key.tag.is_none())
    }

    /// The fields written in a mapping, merge keys left out.
    fn written(&self, mapping: Id) -> impl Iterator<Item = &Entry> {
        let entries = match &self.node(mapping).kind {
            Kind::Mapping { entries, .. } => entries.as_slice(),
            _ => &[],
        };
        entries.iter().filter(|entry| !self.is_merge(entry))
    }

    /// The mappings a mapping merges, first one strongest.
    fn merges(&self, mapping: Id) -> Vec<Id> {
        let Kind::Mapping { entries, .. } = &self.node(mapping).kind else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for entry in entries.iter().filter(|entry| self.is_merge(entry)) {
            let value = self.target(entry.value);
            match &self.node(value).kind {
                Kind::Mapping { .. } => found.push(value),
                Kind::Sequence { items, .. } => {
                    let targets = items.iter().map(|item| self.target(item.value));
                    found.extend(targets.filter(|&id| matches!(self.node(id).kind, Kind::Mapping { .. })));
                }
                _ => {}
            }
        }
        found
    }

    /// All fields of a mapping as readers see them.
    pub(super) fn fields(&self, mapping: Id) -> Result<Vec<Field>, DocError> {
        let mut fields = Vec::new();
        self.collect(self.target(mapping), false, &mut fields, 0)?;
        Ok(fields)
    }

    fn collect(&self, mapping: Id, merged: bool, out: &mut Vec<Field>, depth: usize) -> Result<(), DocError> {
        if depth > MAX_DEPTH {
            return Err(self.error(mapping, "merge keys nested too deep"));
        }
        let own = out.len();
        let known: std::collections::HashMap<&str, usize> =
            out.iter().enumerate().filter_map(|(i, field)| Some((self.key(field.key)?, i))).collect();
        let mut seen: std::collections::HashMap<&str, Id> = std::collections::HashMap::new();
        let mut fresh = Vec::new();
        for entry in self.written(mapping) {
            let Some(name) = self.key(entry.key) else {
                return Err(self.error(entry.key, "a key that is no scalar"));
            };
            if let Some(first) = seen.insert(name, entry.key) {
                return Err(self.duplicate(name, first, entry.key));
            }
            if !known.contains_key(name) {
                fresh.push(Field { key: entry.key, value: entry.value, merged });
            }
        }
        debug_assert_eq!(own, out.len());
        out.extend(fresh);
        for merge in self.merges(mapping) {
            self.collect(merge, true, out, depth + 1)?;
        }
        Ok(())
    }

    /// One field as readers see it.
    pub(super) fn find(&self, mapping: Id, name: &str) -> Result<Option<Field>, DocError> {
        self.find_at(self.target(mapping), name, false, 0)
    }

    fn find_at(&self, mapping: Id, name: &str, merged: bool, depth: usize) -> Result<Option<Field>, DocError> {
        if depth > MAX_DEPTH {
            return Err(self.error(mapping, "merge keys nested too deep"));
        }
        let mut found: Option<&Entry> = None;
        for entry in self.written(mapping) {
            if self.key(entry.key) == Some(name) {
                if let Some(first) = found {
                    return Err(self.duplicate(name, first.key, entry.key));
                }
                found = Some(entry);
            }
        }
        if let Some(entry) = found {
            return Ok(Some(Field { key: entry.key, value: entry.value, merged }));
        }
        for merge in self.merges(mapping) {
            if let Some(field) = self.find_at(merge, name, true, depth + 1)? {
                return Ok(Some(field));
            }
        }
        Ok(None)
    }

    /// Whether a merge key provides this field.
    pub(super) fn find_merged(&self, mapping: Id, name: &str) -> Result<bool, DocError> {
        for merge in self.merges(mapping) {
            if self.find_at(merge, name, true, 0)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn duplicate(&self, name: &str, first: Id, second: Id) -> DocError {
        DocError::duplicate(&self.text, name, self.node(first).start, self.node(second).start)
    }

    fn error(&self, id: Id, message: &str) -> DocError {
        DocError::parse(Format::Yaml, &self.text, self.node(id).start, message)
    }

    fn scalar(&self, id: Id) -> Value {
        let node = self.node(id);
        let Kind::Scalar { text, style } = &node.kind else {
            return Value::Null;
        };
        let plain = matches!(style, Style::Plain | Style::Empty);
        match node.tag.as_deref() {
            Some("!!str" | "!") => Value::String(text.clone()),
            Some("!!int" | "!!float" | "!!bool" | "!!null") => resolve(text),
            _ if plain => resolve(text),
            _ => Value::String(text.clone()),
        }
    }

    fn build(&self, id: Id, depth: usize, budget: &Cell<usize>, aliased: bool) -> Result<Value, DocError> {
        if depth > MAX_DEPTH {
            return Err(self.error(id, &format!("nested more than {MAX_DEPTH} levels deep through aliases")));
        }
        if aliased {
            let left = budget.get().checked_sub(1);
            budget.set(left.ok_or_else(|| self.error(id, "aliases expand this document beyond all measure"))?);
        }
        match &self.node(id).kind {
            Kind::Alias { target } => self.build(*target, depth, budget, true),
            Kind::Scalar { .. } => Ok(self.scalar(id)),
            Kind::Sequence { items, .. } => {
                let items = items.iter().map(|item| self.build(item.value, depth + 1, budget, aliased));
                Ok(Value::Array(items.collect::<Result<_, _>>()?))
            }
            Kind::Mapping { .. } => {
                let mut map = Map::new();
                for field in self.fields(id)? {
                    let name = self.key(field.key).unwrap_or_default().to_owned();
                    map.insert(name, self.build(field.value, depth + 1, budget, aliased || field.merged)?);
                }
                Ok(Value::Object(map))
            }
        }
    }
}

impl Syntax for YamlSyntax {
    fn text(&self) -> &str {
        &self.text
    }

    fn root(&self) -> NodeId {
        self.tree.root
    }

    fn shape(&self, node: NodeId) -> Shape {
        match self.node(self.target(node)).kind {
            Kind::Mapping { .. } => Shape::Object,
            Kind::Sequence { .. } => Shape::Array,
            Kind::Scalar { .. } | Kind::Alias { .. } => Shape::Scalar,
        }
    }

    fn field(&self, object: NodeId, key: &str) -> Result<Option<NodeId>, DocError> {
        Ok(self.find(object, key)?.map(|field| field.value))
    }

    fn keys(&self, object: NodeId) -> Result<Vec<String>, DocError> {
        let object = self.target(object);
        let name = |key| self.key(key).map(str::to_owned).ok_or_else(|| self.error(key, "a key that is no scalar"));
        let mut keys: Vec<_> = self.written(object).map(|entry| name(entry.key)).collect::<Result<_, _>>()?;
        let mut known: std::collections::HashSet<_> = keys.iter().cloned().collect();
        for merge in self.merges(object) {
            for field in self.fields(merge)? {
                let name = name(field.key)?;
                if known.insert(name.clone()) {
                    keys.push(name);
                }
            }
        }
        Ok(keys)
    }

    fn start(&self, node: NodeId) -> usize {
        self.node(node).start
    }

    fn item(&self, array: NodeId, index: usize) -> Option<NodeId> {
        match &self.node(self.target(array)).kind {
            Kind::Sequence { items, .. } => items.get(index).map(|item| item.value),
            _ => None,
        }
    }

    fn len(&self, array: NodeId) -> usize {
        match &self.node(self.target(array)).kind {
            Kind::Sequence { items, .. } => items.len(),
            _ => 0,
        }
    }

    fn value(&self, node: NodeId) -> Result<Value, DocError> {
        self.build(node, 0, &Cell::new(MAX_EXPANDED), false)
    }

    fn edit(&self, delta: &Delta) -> Result<Splices, DocError> {
        edit::edit(self, delta)
    }

    fn verify(&self, new: &str, delta: &Delta) -> Result<(), DocError> {
        verify::verify(self, new, delta)
    }
}
