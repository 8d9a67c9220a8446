//! The tables a TOML text describes, and where in the text each of them is.

use std::ops::Range;

use serde_json::{Map, Number, Value};

use super::super::delta::Delta;
use super::super::splice::Splices;
use super::super::syntax::{NodeId, Shape, Syntax};
use super::super::{DocError, Format, MAX_DEPTH, number};
use super::scan::{self, Key, Raw, RawKind, ScanError, Statement, string_value};
use super::{edit, verify};

/// A parsed TOML text.
#[derive(Debug)]
pub(in super::super) struct TomlSyntax {
    pub(super) text: String,
    pub(super) statements: Vec<Statement>,
    pub(super) nodes: Vec<Node>,
}

/// A node of the tree of tables.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// The text of a value; empty for tables that are not inline.
    pub(super) range: Range<usize>,
    /// The statement that gives this value, or the header of this table.
    pub(super) statement: Option<usize>,
    /// The fields of a table.
    pub(super) fields: Vec<(String, NodeId)>,
    /// The elements of an array.
    pub(super) items: Vec<NodeId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Scalar,
    /// `[1, 2]`.
    Array,
    /// `{ a = 1 }`.
    Inline,
    /// A table with a header, or the root.
    Table,
    /// A table that exists because a header below it does: `a` in `[a.b]`.
    Implicit,
    /// A table that exists because of dotted keys: `a` in `a.b = 1`.
    Dotted,
    /// `[[a]]`.
    Tables,
}

const ROOT: NodeId = 0;

impl TomlSyntax {
    pub(in super::super) fn parse(text: String) -> Result<Self, DocError> {
        let scanned = scan::scan(&text);
        if let Err(ScanError::TooDeep(at)) = scanned {
            return Err(too_deep(&text, at));
        }
        if let Err(error) = toml_edit::Document::parse(text.as_str()) {
            return Err(parse_error(&text, &error));
        }
        let statements = scanned.map_err(|error| {
            let (ScanError::TooDeep(at) | ScanError::Unexpected(at)) = error;
            DocError::parse(Format::Toml, &text, at, "a spelling this editor does not know")
        })?;
        let mut syntax = Self { text, statements: Vec::new(), nodes: Vec::new() };
        syntax.push(Kind::Table, 0..0, None);
        let mut section = (ROOT, 0);
        for (index, statement) in statements.iter().enumerate() {
            section = syntax.add(statement, index, section)?;
        }
        syntax.statements = statements;
        Ok(syntax)
    }

    fn push(&mut self, kind: Kind, range: Range<usize>, statement: Option<usize>) -> NodeId {
        self.nodes.push(Node { kind, range, statement, fields: Vec::new(), items: Vec::new() });
        self.nodes.len() - 1
    }

    /// Adds a statement; returns the table it leaves open, and how deep that is.
    fn add(
        &mut self,
        statement: &Statement,
        index: usize,
        section: (NodeId, usize),
    ) -> Result<(NodeId, usize), DocError> {
        match statement {
            Statement::Pair { keys, value } => {
                self.pair(section.0, keys, value, Some(index), section.1)?;
                Ok(section)
            }
            Statement::Header { keys, is_array, .. } => {
                let Some((last, parents)) = keys.split_last() else {
                    return Ok(section);
                };
                let mut table = ROOT;
                let mut depth = keys.len();
                for key in parents {
                    table = match self.child(table, &key.name) {
                        Some(child) if self.nodes[child].kind == Kind::Tables => {
                            depth += 1;
                            self.nodes[child].items.last().copied().unwrap_or(child)
                        }
                        Some(child) => child,
                        None => self.add_field(table, key, Kind::Implicit, None),
                    };
                }
                let table = match (self.child(table, &last.name), is_array) {
                    (Some(child), true) => self.add_item(child, index),
                    (None, true) => {
                        let array = self.add_field(table, last, Kind::Tables, None);
                        self.add_item(array, index)
                    }
                    (Some(child), false) => {
                        self.nodes[child].kind = Kind::Table;
                        self.nodes[child].statement = Some(index);
                        child
                    }
                    (None, false) => self.add_field(table, last, Kind::Table, Some(index)),
                };
                Ok((table, depth + usize::from(*is_array)))
            }
        }
    }

    fn add_field(&mut self, table: NodeId, key: &Key, kind: Kind, statement: Option<usize>) -> NodeId {
        let child = self.push(kind, 0..0, statement);
        self.nodes[table].fields.push((key.name.clone(), child));
        child
    }

    fn add_item(&mut self, array: NodeId, statement: usize) -> NodeId {
        let item = self.push(Kind::Table, 0..0, Some(statement));
        self.nodes[array].items.push(item);
        item
    }

    fn child(&self, table: NodeId, key: &str) -> Option<NodeId> {
        // New keys are far more often at the end than a table is large, but not always: Cargo.lock has thousands of
        // headers, all below one array.
        self.nodes[table].fields.iter().rev().find(|(name, _)| name == key).map(|&(_, child)| child)
    }

    fn pair(
        &mut self,
        mut table: NodeId,
        keys: &[Key],
        value: &Raw,
        statement: Option<usize>,
        depth: usize,
    ) -> Result<(), DocError> {
        let Some((last, parents)) = keys.split_last() else {
            return Ok(());
        };
        for key in parents {
            table = match self.child(table, &key.name) {
                Some(child) => child,
                None => self.add_field(table, key, Kind::Dotted, None),
            };
        }
        let node = self.value_node(value, statement, depth + keys.len())?;
        self.nodes[table].fields.push((last.name.clone(), node));
        Ok(())
    }

    fn value_node(&mut self, raw: &Raw, statement: Option<usize>, depth: usize) -> Result<NodeId, DocError> {
        if depth > MAX_DEPTH {
            return Err(too_deep(&self.text, raw.range.start));
        }
        Ok(match &raw.kind {
            RawKind::Scalar => self.push(Kind::Scalar, raw.range.clone(), statement),
            RawKind::Array(items) => {
                let array = self.push(Kind::Array, raw.range.clone(), statement);
                for item in items {
                    let item = self.value_node(item, None, depth + 1)?;
                    self.nodes[array].items.push(item);
                }
                array
            }
            RawKind::Table(fields) => {
                let table = self.push(Kind::Inline, raw.range.clone(), statement);
                for (keys, value) in fields {
                    self.pair(table, keys, value, None, depth)?;
                }
                table
            }
        })
    }

    fn scalar(&self, node: NodeId) -> Result<Value, DocError> {
        let raw = &self.text[self.nodes[node].range.clone()];
        scalar(raw).ok_or_else(|| {
            DocError::parse(Format::Toml, &self.text, self.nodes[node].range.start, format!("`{raw}` is not a value"))
        })
    }
}

impl Syntax for TomlSyntax {
    fn text(&self) -> &str {
        &self.text
    }

    fn root(&self) -> NodeId {
        ROOT
    }

    fn shape(&self, node: NodeId) -> Shape {
        match self.nodes[node].kind {
            Kind::Scalar => Shape::Scalar,
            Kind::Array | Kind::Tables => Shape::Array,
            Kind::Inline | Kind::Table | Kind::Implicit | Kind::Dotted => Shape::Object,
        }
    }

    fn field(&self, object: NodeId, key: &str) -> Result<Option<NodeId>, DocError> {
        Ok(self.child(object, key))
    }

    fn keys(&self, object: NodeId) -> Result<Vec<String>, DocError> {
        Ok(self.nodes[object].fields.iter().map(|(name, _)| name.clone()).collect())
    }

    fn start(&self, mut node: NodeId) -> usize {
        // What has no text of its own begins with what is in it.
        loop {
            let Node { range, statement, fields, items, .. } = &self.nodes[node];
            if !range.is_empty() {
                return range.start;
            }
            let inner = fields.first().map(|&(_, field)| field).or(items.first().copied());
            match (statement.and_then(|index| self.statements.get(index)), inner) {
                (Some(statement), _) => return statement.range().start,
                (None, Some(inner)) => node = inner,
                (None, None) => return 0,
            }
        }
    }

    fn item(&self, array: NodeId, index: usize) -> Option<NodeId> {
        self.nodes[array].items.get(index).copied()
    }

    fn len(&self, array: NodeId) -> usize {
        self.nodes[array].items.len()
    }

    fn value(&self, node: NodeId) -> Result<Value, DocError> {
        match self.shape(node) {
            Shape::Scalar => self.scalar(node),
            Shape::Array => {
                let items = self.nodes[node].items.iter().map(|&item| self.value(item));
                Ok(Value::Array(items.collect::<Result<_, _>>()?))
            }
            Shape::Object => {
                let fields = self.nodes[node].fields.iter().map(|(key, child)| Ok((key.clone(), self.value(*child)?)));
                Ok(Value::Object(fields.collect::<Result<Map<_, _>, DocError>>()?))
            }
        }
    }

    fn edit(&self, delta: &Delta) -> Result<Splices, DocError> {
        edit::edit(self, delta)
    }

    fn verify(&self, new: &str, delta: &Delta) -> Result<(), DocError> {
        verify::verify(self, new, delta)
    }
}

/// The value of a scalar. What JSON has no words for (dates, `inf`, `nan`) becomes its text.
pub(super) fn scalar(raw: &str) -> Option<Value> {
    if raw.starts_with(['"', '\'']) {
        return string_value(raw).map(|text| Value::String(text.into_owned()));
    }
    match raw {
        "true" => return Some(Value::Bool(true)),
        "false" => return Some(Value::Bool(false)),
        _ => {}
    }
    let unsigned = raw.strip_prefix('+').unwrap_or(raw);
    if unsigned.ends_with("inf") || unsigned.ends_with("nan") {
        return Some(Value::String(unsigned.to_owned()));
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = raw.strip_prefix(prefix) {
            let number = i64::from_str_radix(&digits.replace('_', ""), radix).ok()?;
            return Some(Value::Number(Number::from(number)));
        }
    }
    let plain = unsigned.replace('_', "");
    match number::from_text(&plain) {
        Some(number) => Some(Value::Number(number)),
        None => is_datetime(raw).then(|| Value::String(raw.to_owned())),
    }
}

/// Whether a text is a date, a time or both.
pub(super) fn is_datetime(raw: &str) -> bool {
    raw.parse::<toml_edit::Datetime>().is_ok()
}

fn too_deep(text: &str, at: usize) -> DocError {
    DocError::parse(Format::Toml, text, at, format!("nested more than {MAX_DEPTH} levels deep"))
}

fn parse_error(text: &str, error: &toml_edit::TomlError) -> DocError {
    let at = error.span().map_or(0, |span| span.start);
    let message = error.message().trim();
    if message.starts_with("duplicate key") {
        let key = error.span().and_then(|span| text.get(span)).unwrap_or_default();
        let name = scan::string_value(key).map_or_else(|| key.to_owned(), std::borrow::Cow::into_owned);
        if let Some(first) = verify::first_definition(text, at) {
            return DocError::duplicate(text, name, first, at);
        }
    }
    DocError::parse(Format::Toml, text, at, message.replace('\n', "; "))
}
