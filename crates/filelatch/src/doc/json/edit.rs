//! Turning a change into splices of a JSON text.

use super::super::DocError;
use super::super::delta::{Change, Delta, ObjectDelta, Slot};
use super::super::flow::{Comments, Layout, List, Piece};
use super::super::splice::{Splices, eol, indent_of, with_eol};
use super::super::syntax::{NodeId, Syntax};
use super::JsonSyntax;
use super::print::Style;
use super::scan::Kind;

/// What changes in the text.
pub(super) fn edit(syntax: &JsonSyntax, delta: &Delta) -> Result<Splices, DocError> {
    let mut editor = Editor { syntax, style: detect(syntax), eol: eol(&syntax.text), splices: Splices::default() };
    let root = syntax.root();
    let multiline = syntax.text[syntax.range(root)].contains('\n')
        || !matches!(syntax.node(root).kind, Kind::Object | Kind::Array)
        || syntax.count(root) == 0;
    editor.node(root, delta, multiline)?;
    Ok(editor.splices)
}

struct Editor<'s> {
    syntax: &'s JsonSyntax,
    style: Style,
    eol: &'static str,
    splices: Splices,
}

impl<'s> Editor<'s> {
    /// Changes a node. `roomy`: it stands in a collection with one item per line, so that it may spread over lines.
    fn node(&mut self, node: NodeId, delta: &Delta, roomy: bool) -> Result<(), DocError> {
        match delta {
            Delta::Replace(value) => {
                let range = self.syntax.range(node);
                let indent = roomy.then(|| indent_of(&self.syntax.text, range.start));
                let text = with_eol(self.style.print(value, indent), self.eol);
                self.splices.replace(range, text);
            }
            Delta::Object(delta) => self.object(node, delta, roomy)?,
            Delta::Array(slots) => self.array(node, slots, roomy)?,
        }
        Ok(())
    }

    fn object(&mut self, node: NodeId, delta: &ObjectDelta, roomy: bool) -> Result<(), DocError> {
        let syntax = self.syntax;
        let structural = !delta.added.is_empty() || delta.changed.values().any(|c| matches!(c, Change::Remove));
        let multiline = self.is_multiline(node, roomy);
        let mut pieces = Vec::new();
        for (index, (key, value)) in syntax.members(node).enumerate() {
            let change = if delta.changed.is_empty() { None } else { delta.changed.get(syntax.string(key)?.as_ref()) };
            match change {
                Some(Change::Remove) => continue,
                Some(Change::Edit(delta)) => self.node(value, delta, multiline)?,
                None => {}
            }
            if structural {
                pieces.push(Piece::Keep(index));
            }
        }
        if structural {
            let items = syntax.members(node).map(|(key, value)| syntax.range(key).start..syntax.range(value).end);
            let list = self.list(node, items.collect(), multiline);
            let indent = Self::new_item_indent(&list);
            let added = delta.added.iter().map(|(key, value)| self.style.member(key, value, indent.as_deref()));
            pieces.extend(added.map(|text| Piece::New(with_eol(text, self.eol))));
            list.rewrite(pieces, &mut self.splices);
        }
        Ok(())
    }

    fn array(&mut self, node: NodeId, slots: &[Slot], roomy: bool) -> Result<(), DocError> {
        let syntax = self.syntax;
        let multiline = self.is_multiline(node, roomy);
        let elements: Vec<NodeId> = syntax.elements(node).collect();
        let mut structural = slots.len() != elements.len();
        for slot in slots {
            match slot {
                Slot::Edit(index, delta) => self.node(elements[*index], delta, multiline)?,
                Slot::New(_) => structural = true,
                Slot::Keep(_) => {}
            }
        }
        if structural {
            let items = elements.iter().map(|&element| syntax.range(element)).collect();
            let list = self.list(node, items, multiline);
            let indent = Self::new_item_indent(&list);
            let pieces = slots.iter().map(|slot| match slot {
                Slot::Keep(index) | Slot::Edit(index, _) => Piece::Keep(*index),
                Slot::New(value) => Piece::New(with_eol(self.style.print(value, indent.as_deref()), self.eol)),
            });
            list.rewrite(pieces.collect(), &mut self.splices);
        }
        Ok(())
    }

    /// Whether the items of a collection stand, or would stand, on lines of their own.
    fn is_multiline(&self, node: NodeId, roomy: bool) -> bool {
        let range = self.syntax.range(node);
        if self.syntax.count(node) == 0 {
            return roomy;
        }
        let first = self.syntax.range(node + 1);
        self.syntax.text[range.start..first.start].contains('\n')
    }

    fn list(&self, node: NodeId, items: Vec<std::ops::Range<usize>>, multiline: bool) -> List<'s> {
        let range = self.syntax.range(node);
        let text = self.syntax.text.as_str();
        let layout = if multiline {
            let close = indent_of(text, range.start).to_owned();
            Layout::Lines { items: format!("{close}{}", self.style.unit), close }
        } else {
            Layout::Line { pad: "", gap: self.style.gap }
        };
        let inside = range.start + 1..range.end - 1;
        List { text, comments: Comments::Slashes, inside, items, layout, eol: self.eol }
    }

    /// The indentation of new items; `None` if they go on one line.
    fn new_item_indent(list: &List<'_>) -> Option<String> {
        match (&list.layout, list.item_indent()) {
            (_, Some(indent)) => Some(indent.to_owned()),
            (Layout::Lines { items, .. }, None) if list.items.is_empty() => Some(items.clone()),
            _ => None,
        }
    }
}

/// How the file writes JSON, from its first indented member and its first colon.
fn detect(syntax: &JsonSyntax) -> Style {
    let mut style = Style::default();
    let text = syntax.text.as_str();
    let root = syntax.root();
    if syntax.count(root) == 0 {
        return style;
    }
    let range = syntax.range(root);
    if text[range.start..syntax.range(root + 1).start].contains('\n') {
        let outer = indent_of(text, range.start);
        let inner = indent_of(text, syntax.range(root + 1).start);
        if let Some(unit) = inner.strip_prefix(outer).filter(|unit| !unit.is_empty()) {
            unit.clone_into(&mut style.unit);
        }
    }
    if let Some((key, value)) = first_member(syntax, root) {
        let between = &text[syntax.range(key).end..syntax.range(value).start];
        if between.bytes().all(|b| matches!(b, b':' | b' ' | b'\t')) {
            between.clone_into(&mut style.colon);
        }
        if style.colon == ":" {
            style.gap = "";
        }
    } else if !text.contains('\n') && text.contains(',') && !text.contains(", ") {
        style.gap = "";
    }
    style
}

/// Some member not far from the start.
fn first_member(syntax: &JsonSyntax, mut node: NodeId) -> Option<(NodeId, NodeId)> {
    loop {
        match syntax.node(node).kind {
            Kind::Object => return syntax.members(node).next(),
            Kind::Array => node = syntax.elements(node).next()?,
            _ => return None,
        }
    }
}
