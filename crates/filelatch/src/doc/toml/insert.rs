//! The second walk over a change of a TOML text: what is new goes in, next to statements that are known to stay.

use serde_json::Value;

use super::super::DocError;
use super::super::delta::{Change, Delta, ObjectDelta, Slot};
use super::super::splice::{indent_of, line_end, line_start, with_eol};
use super::super::syntax::{NodeId, Syntax};
use super::edit::{Editor, stays_tables};
use super::print::{header, is_section, key};
use super::scan::Statement;
use super::syntax::Kind;

impl Editor<'_> {
    pub(super) fn fill_table(
        &mut self,
        table: NodeId,
        delta: &ObjectDelta,
        path: &mut Vec<String>,
    ) -> Result<(), DocError> {
        let syntax = self.syntax;
        let mut added: Vec<(&str, Value)> = Vec::new();
        for (name, child) in &syntax.nodes[table].fields {
            let Some(Change::Edit(delta)) = delta.changed.get(name) else {
                continue;
            };
            path.push(name.clone());
            let anew = self.below(name, |editor| editor.fill_field(*child, delta, path))?;
            path.pop();
            added.extend(anew.map(|value| (name.as_str(), value)));
        }
        added.extend(delta.added.iter().map(|(name, value)| (name.as_str(), value.clone())));
        self.add(table, path, added)
    }

    /// Returns the value if the field has to be put in anew.
    fn fill_field(&mut self, node: NodeId, delta: &Delta, path: &mut Vec<String>) -> Result<Option<Value>, DocError> {
        match (self.kind(node), delta) {
            (Kind::Scalar | Kind::Array | Kind::Inline, _) => Ok(None),
            (_, Delta::Object(delta)) => self.fill_table(node, delta, path).map(|()| None),
            (_, Delta::Array(slots)) if stays_tables(slots) => self.fill_tables(node, slots, path).map(|()| None),
            (_, Delta::Replace(value)) => Ok(Some(value.clone())),
            (_, delta) => Ok(Some(delta.apply(self.syntax.value(node)?))),
        }
    }

    fn fill_tables(&mut self, node: NodeId, slots: &[Slot], path: &mut Vec<String>) -> Result<(), DocError> {
        let items = &self.syntax.nodes[node].items;
        let mut previous = None;
        for (position, slot) in slots.iter().enumerate() {
            match slot {
                Slot::Keep(index) => previous = Some(items[*index]),
                Slot::Edit(index, delta) => {
                    previous = Some(items[*index]);
                    if let Delta::Object(delta) = delta.as_ref() {
                        self.below(&index.to_string(), |editor| editor.fill_table(items[*index], delta, path))?;
                    }
                }
                Slot::New(value) => {
                    let mut text = String::new();
                    let Some(fields) = value.as_object() else {
                        return Err(self.printer.cannot("a list of tables with something else in it"));
                    };
                    self.below(&position.to_string(), |editor| editor.printer.section(&mut text, path, fields, true))?;
                    match previous {
                        Some(previous) => self.append_section(previous, &text),
                        None => self.prepend_section(items[0], &text),
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds fields to a table.
    fn add(&mut self, table: NodeId, path: &[String], added: Vec<(&str, Value)>) -> Result<(), DocError> {
        let vanishes = self.vanishes(table);
        if added.is_empty() && !vanishes {
            return Ok(());
        }
        let dotted = self.kind(table) == Kind::Dotted;
        let inline = dotted || self.prefers_inline(table);
        let as_section = |value: &Value| is_section(value) && !(inline && (dotted || value.is_object()));
        let (sections, pairs): (Vec<_>, Vec<_>) = added.into_iter().partition(|(_, value)| as_section(value));

        if vanishes && dotted && pairs.is_empty() {
            self.add_pairs_at(table, &[], path)?;
        } else if !pairs.is_empty() || vanishes {
            self.add_pairs_at(table, &pairs, path)?;
        }
        let mut text = String::new();
        for (name, value) in &sections {
            let mut inner = path.to_vec();
            inner.push((*name).to_owned());
            self.printer.sections(&mut text, &inner, name, value)?;
        }
        if !text.is_empty() {
            self.append_section(table, &text);
        }
        Ok(())
    }

    /// Whether the table would be gone from the text although it should be there, empty or with new fields.
    fn vanishes(&self, table: NodeId) -> bool {
        if table == self.syntax.root() || self.kind(table) == Kind::Table {
            return false;
        }
        let mut statements = Vec::new();
        self.statements_of(table, &mut statements);
        statements.iter().all(|statement| self.gone.contains(statement) && !self.succeeded.contains(statement))
    }

    /// Whether tables in this table are inline tables by custom: `[dependencies]` with `serde = { … }`.
    fn prefers_inline(&self, table: NodeId) -> bool {
        let kinds = || self.syntax.nodes[table].fields.iter().map(|&(_, child)| self.kind(child));
        kinds().any(|kind| kind == Kind::Inline) && !kinds().any(|kind| matches!(kind, Kind::Table | Kind::Tables))
    }

    fn add_pairs_at(&mut self, table: NodeId, pairs: &[(&str, Value)], path: &[String]) -> Result<(), DocError> {
        let mut all = Vec::new();
        self.statements_of(table, &mut all);
        let dotted = self.kind(table) == Kind::Dotted;

        if self.vanishes(table) {
            // Its statements are gone; it gets one of its own in their place.
            let Some(first) = all.iter().copied().min() else {
                return Ok(());
            };
            let at = line_start(self.text, self.syntax.statements[first].range().start);
            let text = if dotted {
                let value =
                    Value::Object(pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect());
                let (name, prefix) = self.dotted_name(&all, table, path);
                format!("{}\n", self.printer.pair(&prefix, &name, &value)?)
            } else {
                let mut text = format!("{}\n", header(path, false));
                for (name, value) in pairs {
                    text.push_str(&self.printer.pair("", name, value)?);
                    text.push('\n');
                }
                text
            };
            self.replaced.insert(at);
            self.succeeded.insert(first);
            self.splices.insert(at, with_eol(text, self.eol));
            return Ok(());
        }

        let own = |i: &usize| {
            let pair = matches!(self.syntax.statements[*i], Statement::Pair { .. });
            pair && (dotted || self.is_in_section(*i, table))
        };
        let stays = |i: &usize| !self.gone.contains(i);
        let last = all.iter().copied().filter(own).filter(stays).max();
        let successor = all.iter().copied().filter(|i| dotted && last.is_none() && self.succeeded.contains(i)).max();
        let prefix = match (dotted, last.or(successor)) {
            (true, Some(last)) => self.dotted_prefix(last, table),
            _ => String::new(),
        };
        let mut lines = String::new();
        for (name, value) in pairs {
            lines.push('\n');
            lines.push_str(&self.printer.pair(&prefix, name, value)?);
        }
        if let Some(successor) = successor {
            let at = line_start(self.text, self.syntax.statements[successor].range().start);
            self.splices.insert(at, with_eol(format!("{}\n", lines.trim_start_matches('\n')), self.eol));
            return Ok(());
        }
        let anchor = last.or(self.syntax.nodes[table].statement);
        if let Some(anchor) = anchor {
            let range = self.syntax.statements[anchor].range();
            let indent = indent_of(self.text, range.start);
            let lines = lines.replace('\n', &format!("\n{indent}"));
            self.splices.insert(line_end(self.text, range.end), with_eol(lines, self.eol));
            return Ok(());
        }
        // Neither a statement nor a header: the root, or a table known only from the headers below it.
        let lines = lines.trim_start_matches('\n');
        let head = if table == self.syntax.root() { String::new() } else { format!("{}\n", header(path, false)) };
        let Some(first) = all.iter().copied().min() else {
            let newline = if self.text.is_empty() || self.text.ends_with('\n') { "" } else { "\n" };
            let text = format!("{newline}{head}{lines}\n");
            self.splices.insert(self.text.len(), with_eol(text, self.eol));
            return Ok(());
        };
        let start = self.syntax.statements[first].range().start;
        let is_header = matches!(self.syntax.statements[first], Statement::Header { .. });
        let (at, gap) = match (self.gone.contains(&first), is_header) {
            (true, _) => (line_start(self.text, start), ""),
            (false, true) => (self.above_comments(start), "\n"),
            (false, false) => (self.above_comments(start), ""),
        };
        self.replaced.insert(at);
        // Pairs of the root come before every header, also before one that is put in at the same place.
        self.splices.insert_first(at, with_eol(format!("{head}{lines}\n{gap}"), self.eol));
        Ok(())
    }

    /// Whether a pair stands in the section this table's header (or the start of the document) opens.
    fn is_in_section(&self, statement: usize, table: NodeId) -> bool {
        let header = (0..statement).rev().find(|&i| matches!(self.syntax.statements[i], Statement::Header { .. }));
        header == self.syntax.nodes[table].statement
    }

    /// What stands before the last part of a new key beside the statement: `a.b.` for the table `b` in `a.b.c = 1`.
    fn dotted_prefix(&self, statement: usize, table: NodeId) -> String {
        let Statement::Pair { keys, .. } = &self.syntax.statements[statement] else {
            return String::new();
        };
        let depth = self.dotted_depth(table);
        match (keys.first(), keys.get(depth)) {
            (Some(first), Some(next)) => self.text[first.range.start..next.range.start].to_owned(),
            _ => String::new(),
        }
    }

    /// How many parts of its statements' keys lead to a dotted table.
    fn dotted_depth(&self, table: NodeId) -> usize {
        let mut depth = 1;
        let mut node = table;
        while let Some(parent) = self.parent(node).filter(|&parent| self.kind(parent) == Kind::Dotted) {
            depth += 1;
            node = parent;
        }
        depth
    }

    fn parent(&self, node: NodeId) -> Option<NodeId> {
        self.syntax.nodes.iter().position(|other| other.fields.iter().any(|&(_, child)| child == node))
    }

    /// The name of a dotted table, and what to write before it.
    fn dotted_name(&self, statements: &[usize], table: NodeId, path: &[String]) -> (String, String) {
        let name = path.last().cloned().unwrap_or_default();
        let depth = self.dotted_depth(table);
        let parts = match statements.first().map(|&i| &self.syntax.statements[i]) {
            Some(Statement::Pair { keys, .. }) => &keys[..depth - 1],
            _ => &[],
        };
        let prefix = parts.iter().flat_map(|part| [key(&part.name), ".".to_owned()]).collect();
        (name, prefix)
    }

    /// The start of the comment block right above a statement, or of its own line.
    fn above_comments(&self, statement: usize) -> usize {
        let mut at = line_start(self.text, statement);
        while at > 0 {
            let above = line_start(self.text, at - 1);
            if !self.text[above..at].trim_start().starts_with('#') {
                break;
            }
            at = above;
        }
        at
    }

    /// Puts sections behind everything that belongs to a table and stays.
    fn append_section(&mut self, table: NodeId, section: &str) {
        let statements = &self.syntax.statements;
        let is_root = table == self.syntax.root();
        let mut all = Vec::new();
        self.statements_of(table, &mut all);
        let last = if is_root { statements.len().checked_sub(1) } else { all.iter().copied().max() };
        let last = last.and_then(|last| (0..=last).rev().find(|i| !self.gone.contains(i)));
        let (at, text) = if let Some(last) = last {
            let at = line_end(self.text, statements[last].range().end);
            (at, format!("\n{}", section.trim_end_matches('\n')))
        } else {
            let newline = if self.text.is_empty() || self.text.ends_with('\n') { "" } else { "\n" };
            (self.text.len(), format!("{newline}{}", section.trim_start_matches('\n')))
        };
        self.splices.insert(at, with_eol(text, self.eol));
    }

    /// Puts sections before everything that belongs to a table.
    fn prepend_section(&mut self, table: NodeId, section: &str) {
        let Some(first) = self.syntax.nodes[table].statement else {
            return;
        };
        let start = self.syntax.statements[first].range().start;
        let at = if self.gone.contains(&first) {
            self.replaced.insert(line_start(self.text, start));
            line_start(self.text, start)
        } else {
            self.above_comments(start)
        };
        let text = format!("{}\n", section.trim_start_matches('\n'));
        self.splices.insert(at, with_eol(text, self.eol));
    }
}
