//! Turning a change into splices of a TOML text.
//!
//! Two walks over the change: the first finds the statements that disappear and rewrites values in place; the second puts
//! in what is new, next to statements that are known to stay.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::delta::{Change, Delta, ObjectDelta, Slot};
use super::super::flow::{Comments, Layout, List, Piece};
use super::super::pointer::Path;
use super::super::splice::{Splices, eol, indent_of, joined, line_end, line_start, next_line, whole_lines, with_eol};
use super::super::syntax::{NodeId, Syntax};
use super::super::{DocError, Format};
use super::TomlSyntax;
use super::print::{Printer, header, is_section, key, string_like};
use super::scan::Statement;
use super::syntax::{Kind, is_datetime};

/// The text after the change.
pub(super) fn edit(syntax: &TomlSyntax, delta: &Delta) -> Result<String, DocError> {
    let mut editor = Editor {
        syntax,
        text: &syntax.text,
        eol: eol(&syntax.text),
        printer: Printer::default(),
        gone: BTreeSet::new(),
        replaced: BTreeSet::new(),
        splices: Splices::default(),
    };
    let Delta::Object(delta) = delta else {
        return Err(editor.printer.cannot("anything but a table as the whole document"));
    };
    editor.clear_table(syntax.root(), delta)?;
    editor.fill_table(syntax.root(), delta, &mut Vec::new())?;
    editor.delete_statements();
    editor.splices.apply(&syntax.text, Format::Toml)
}

struct Editor<'s> {
    syntax: &'s TomlSyntax,
    text: &'s str,
    eol: &'static str,
    printer: Printer,
    /// Statements that disappear.
    gone: BTreeSet<usize>,
    /// Where something takes the place of a table that disappears.
    replaced: BTreeSet<usize>,
    splices: Splices,
}

impl<'s> Editor<'s> {
    fn kind(&self, node: NodeId) -> Kind {
        self.syntax.nodes[node].kind
    }

    /// Runs `inside` with the error position one step further down.
    fn below<R>(&mut self, step: &str, inside: impl FnOnce(&mut Self) -> R) -> R {
        let outer = std::mem::take(&mut self.printer.at);
        let mut here: Path = outer.clone();
        here.with_key(step, |at| self.printer.at = at.clone());
        let result = inside(self);
        self.printer.at = outer;
        result
    }

    // ── First walk: what goes, and values in place ──────────────────────────────────────────────────────────────────

    fn clear_table(&mut self, table: NodeId, delta: &ObjectDelta) -> Result<(), DocError> {
        let syntax = self.syntax;
        for (name, child) in &syntax.nodes[table].fields {
            match delta.changed.get(name) {
                None => {}
                Some(Change::Remove) => self.clear(*child),
                Some(Change::Edit(delta)) => self.below(name, |editor| editor.clear_field(*child, delta))?,
            }
        }
        Ok(())
    }

    fn clear_field(&mut self, node: NodeId, delta: &Delta) -> Result<(), DocError> {
        match (self.kind(node), delta) {
            (Kind::Scalar | Kind::Array | Kind::Inline, _) => self.value(node, delta)?,
            (_, Delta::Object(delta)) => self.clear_table(node, delta)?,
            (_, Delta::Array(slots)) if stays_tables(slots) => {
                let mut kept = BTreeSet::new();
                for slot in slots {
                    match slot {
                        Slot::Keep(index) => {
                            kept.insert(*index);
                        }
                        Slot::Edit(index, delta) => {
                            kept.insert(*index);
                            let item = self.syntax.nodes[node].items[*index];
                            if let Delta::Object(delta) = delta.as_ref() {
                                self.below(&index.to_string(), |editor| editor.clear_table(item, delta))?;
                            }
                        }
                        Slot::New(_) => {}
                    }
                }
                for (index, item) in self.syntax.nodes[node].items.iter().enumerate() {
                    if !kept.contains(&index) {
                        self.clear(*item);
                    }
                }
            }
            // It becomes something else altogether, and is put in anew.
            _ => self.clear(node),
        }
        Ok(())
    }

    /// Marks every statement of a node as gone.
    fn clear(&mut self, node: NodeId) {
        let mut statements = Vec::new();
        self.statements_of(node, &mut statements);
        self.gone.extend(statements);
    }

    fn statements_of(&self, node: NodeId, out: &mut Vec<usize>) {
        let node = &self.syntax.nodes[node];
        out.extend(node.statement);
        for &(_, child) in &node.fields {
            self.statements_of(child, out);
        }
        for &item in &node.items {
            self.statements_of(item, out);
        }
    }

    fn delete_statements(&mut self) {
        let statements = &self.syntax.statements;
        let mut ranges = Vec::new();
        let mut index = 0;
        while index < statements.len() {
            if !self.gone.contains(&index) {
                index += 1;
                continue;
            }
            // A header takes along what stands between it and the last of its statements.
            let first = index;
            let is_section = matches!(statements[first], Statement::Header { .. });
            if is_section {
                let is_own = |i: usize| matches!(statements.get(i), Some(Statement::Pair { .. }));
                while is_own(index + 1) && self.gone.contains(&(index + 1)) {
                    index += 1;
                }
            }
            let (start, end) = (statements[first].range().start, statements[index].range().end);
            let mut range = whole_lines(self.text, start, end);
            let line = line_start(self.text, start);
            if self.replaced.contains(&line) {
                range.start = line;
            } else if is_section {
                // The empty lines above a section are its own.
                while range.start > 0 {
                    let above = line_start(self.text, range.start - 1);
                    if !self.text[above..range.start].trim().is_empty() {
                        break;
                    }
                    range.start = above;
                }
                if range.start == 0 {
                    while range.end < self.text.len() {
                        let below = next_line(self.text, range.end);
                        if !self.text[range.end..below].trim().is_empty() {
                            break;
                        }
                        range.end = below;
                    }
                }
            }
            ranges.push(range);
            index += 1;
        }
        for range in joined(ranges) {
            self.splices.delete(range);
        }
    }

    /// Changes a value in place.
    fn value(&mut self, node: NodeId, delta: &Delta) -> Result<(), DocError> {
        let syntax = self.syntax;
        let range = syntax.nodes[node].range.clone();
        match (delta, self.kind(node)) {
            (Delta::Object(delta), Kind::Inline) => self.inline_table(node, delta)?,
            (Delta::Array(slots), Kind::Array) => self.array(node, slots)?,
            (delta, _) => {
                let new = match delta {
                    Delta::Replace(value) => value.clone(),
                    delta => delta.apply(syntax.value(node)?),
                };
                let text = self.scalar_like(&self.text[range.clone()], &new)?;
                self.splices.replace(range, text);
            }
        }
        Ok(())
    }

    /// A value in the style of the one it replaces.
    fn scalar_like(&mut self, old: &str, new: &Value) -> Result<String, DocError> {
        match new {
            Value::String(text) if is_datetime(old) && is_datetime(text) => Ok(text.clone()),
            Value::String(text) => Ok(string_like(old, text, self.eol)),
            // A program that counts in floats writes `2.0` where the file says `1`, and the other way round.
            new => self.printer.inline(new),
        }
    }

    fn array(&mut self, node: NodeId, slots: &[Slot]) -> Result<(), DocError> {
        let items = &self.syntax.nodes[node].items;
        let mut structural = slots.len() != items.len();
        let mut pieces = Vec::with_capacity(slots.len());
        for slot in slots {
            pieces.push(match slot {
                Slot::Keep(index) => Piece::Keep(*index),
                Slot::Edit(index, delta) => {
                    self.below(&index.to_string(), |editor| editor.value(items[*index], delta))?;
                    Piece::Keep(*index)
                }
                Slot::New(value) => {
                    structural = true;
                    let like = items.last().map_or("", |&last| &self.text[self.syntax.nodes[last].range.clone()]);
                    // A neighbour in single quotes is a wish for single quotes, but not for a date.
                    let like = if like.starts_with(['"', '\'']) { like } else { "" };
                    Piece::New(self.scalar_like(like, value)?)
                }
            });
        }
        if structural {
            let ranges = items.iter().map(|&item| self.syntax.nodes[item].range.clone()).collect();
            self.list(node, ranges, "").rewrite(pieces, &mut self.splices);
        }
        Ok(())
    }

    fn inline_table(&mut self, node: NodeId, delta: &ObjectDelta) -> Result<(), DocError> {
        let syntax = self.syntax;
        let fields = &syntax.nodes[node].fields;
        let structural = !delta.added.is_empty() || delta.changed.values().any(|c| matches!(c, Change::Remove));
        let dotted = fields.iter().any(|&(_, child)| self.kind(child) == Kind::Dotted);
        if structural && dotted {
            // Rare enough to be printed anew.
            let new = Delta::Object(delta.clone()).apply(syntax.value(node)?);
            let text = self.printer.inline(&new)?;
            self.splices.replace(syntax.nodes[node].range.clone(), text);
            return Ok(());
        }
        let mut pieces = Vec::new();
        for (index, (name, child)) in fields.iter().enumerate() {
            match (delta.changed.get(name), self.kind(*child)) {
                (Some(Change::Remove), _) => continue,
                (Some(Change::Edit(delta)), Kind::Dotted) => {
                    self.below(name, |editor| match delta.as_ref() {
                        Delta::Object(delta) => editor.inline_table(*child, delta),
                        _ => Err(editor.printer.cannot("this change below dotted keys of an inline table")),
                    })?;
                }
                (Some(Change::Edit(delta)), _) => self.below(name, |editor| editor.value(*child, delta))?,
                (None, _) => {}
            }
            pieces.push(Piece::Keep(index));
        }
        if structural {
            for (name, value) in &delta.added {
                pieces.push(Piece::New(self.printer.pair("", name, value)?));
            }
            let ranges = fields.iter().map(|&(_, child)| {
                let range = &syntax.nodes[child].range;
                self.key_start(range.start)..range.end
            });
            self.list(node, ranges.collect(), " ").rewrite(pieces, &mut self.splices);
        }
        Ok(())
    }

    /// Where the key of an inline table's value begins.
    fn key_start(&self, value: usize) -> usize {
        let before = self.text[..value].trim_end().trim_end_matches('=').trim_end();
        let Some(&quote @ (b'"' | b'\'')) = before.as_bytes().last() else {
            let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            return before.trim_end_matches(is_bare).len();
        };
        let inner = &before[..before.len() - 1];
        let mut start = inner.len();
        while let Some(at) = inner[..start].rfind(char::from(quote)) {
            start = at;
            let backslashes = inner[..at].bytes().rev().take_while(|&b| b == b'\\').count();
            if quote == b'\'' || backslashes % 2 == 0 {
                break;
            }
        }
        start
    }

    fn list(&self, node: NodeId, items: Vec<std::ops::Range<usize>>, pad: &'static str) -> List<'s> {
        let range = self.syntax.nodes[node].range.clone();
        let layout = Layout::Line { pad, gap: " " };
        let inside = range.start + 1..range.end - 1;
        List { text: self.text, comments: Comments::Hash, inside, items, layout, eol: self.eol }
    }

    // ── Second walk: what is new ────────────────────────────────────────────────────────────────────────────────────

    fn fill_table(&mut self, table: NodeId, delta: &ObjectDelta, path: &mut Vec<String>) -> Result<(), DocError> {
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
        statements.iter().all(|statement| self.gone.contains(statement))
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
            let Some(at) = all.iter().map(|&i| self.syntax.statements[i].range().start).min() else {
                return Ok(());
            };
            let at = line_start(self.text, at);
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
            self.splices.insert(at, with_eol(text, self.eol));
            return Ok(());
        }

        let own = |i: &usize| {
            let pair = matches!(self.syntax.statements[*i], Statement::Pair { .. });
            pair && (dotted || self.is_in_section(*i, table))
        };
        let stays = |i: &usize| !self.gone.contains(i);
        let last = all.iter().copied().filter(own).filter(stays).max();
        let prefix = match (dotted, last) {
            (true, Some(last)) => self.dotted_prefix(last, table),
            _ => String::new(),
        };
        let mut lines = String::new();
        for (name, value) in pairs {
            lines.push('\n');
            lines.push_str(&self.printer.pair(&prefix, name, value)?);
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

/// Whether an array of tables can go on as `[[headers]]`: it keeps elements, or gets some, and all of them are tables.
fn stays_tables(slots: &[Slot]) -> bool {
    !slots.is_empty()
        && slots.iter().all(|slot| match slot {
            Slot::Keep(_) => true,
            Slot::Edit(_, delta) => matches!(delta.as_ref(), Delta::Object(_)),
            Slot::New(value) => value.is_object(),
        })
}

#[cfg(test)]
mod tests {
    use super::super::syntax::scalar;
    use serde_json::Value;

    #[test]
    fn scalars_are_told_apart() {
        assert_eq!(scalar("1_000"), Some(Value::from(1000)));
        assert_eq!(scalar("+inf"), Some(Value::from("inf")));
        assert_eq!(scalar("1979-05-27"), Some(Value::from("1979-05-27")));
    }
}
