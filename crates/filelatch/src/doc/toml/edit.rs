//! Turning a change into splices of a TOML text.
//!
//! Two walks over the change: the first finds the statements that disappear and rewrites values in place; the second puts
//! in what is new (`insert.rs`), next to statements that are known to stay.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::DocError;
use super::super::delta::{Change, Delta, ObjectDelta, Slot};
use super::super::flow::{Comments, Layout, List, Piece};
use super::super::pointer::Path;
use super::super::splice::{Splices, eol, joined, line_start, next_line, whole_lines};
use super::super::syntax::{NodeId, Syntax};
use super::TomlSyntax;
use super::print::{Printer, string_like};
use super::scan::Statement;
use super::syntax::{Kind, is_datetime};

/// What changes in the text.
pub(super) fn edit(syntax: &TomlSyntax, delta: &Delta) -> Result<Splices, DocError> {
    let mut editor = Editor {
        syntax,
        text: &syntax.text,
        eol: eol(&syntax.text),
        printer: Printer::default(),
        gone: BTreeSet::new(),
        replaced: BTreeSet::new(),
        succeeded: BTreeSet::new(),
        splices: Splices::default(),
    };
    let Delta::Object(delta) = delta else {
        return Err(editor.printer.cannot("anything but a table as the whole document"));
    };
    editor.clear_table(syntax.root(), delta)?;
    editor.fill_table(syntax.root(), delta, &mut Vec::new())?;
    editor.delete_statements();
    Ok(editor.splices)
}

pub(super) struct Editor<'s> {
    pub(super) syntax: &'s TomlSyntax,
    pub(super) text: &'s str,
    pub(super) eol: &'static str,
    pub(super) printer: Printer,
    /// Statements that disappear.
    pub(super) gone: BTreeSet<usize>,
    /// Where something takes the place of a table that disappears.
    pub(super) replaced: BTreeSet<usize>,
    /// Statements in whose place stands another one for the innermost table they made, and so for those around it.
    pub(super) succeeded: BTreeSet<usize>,
    pub(super) splices: Splices,
}

impl<'s> Editor<'s> {
    pub(super) fn kind(&self, node: NodeId) -> Kind {
        self.syntax.nodes[node].kind
    }

    /// Runs `inside` with the error position one step further down.
    pub(super) fn below<R>(&mut self, step: &str, inside: impl FnOnce(&mut Self) -> R) -> R {
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

    pub(super) fn statements_of(&self, node: NodeId, out: &mut Vec<usize>) {
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
}

/// Whether an array of tables can go on as `[[headers]]`: it keeps elements, or gets some, and all of them are tables.
pub(super) fn stays_tables(slots: &[Slot]) -> bool {
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
