//! The independent reading of a merged text: `granit-parser` reads it, and what it finds is what the tree says.

use granit_parser::{Event, Parser, ScalarStyle};

use super::scalar::as_string;
use crate::merge::tree::{NodeId, Shape, Tree};

/// Whether the text is YAML, every alias has its anchor, no mapping has a key twice, and the tree of it is the same
/// documents, collections, keys and scalars that `granit-parser` reads.
pub(in crate::merge) fn verify(text: &str) -> Result<(), String> {
    read(text).or_else(|reason| match super::template::masked(text.as_bytes()).map(String::from_utf8) {
        Some(Ok(masked)) => read(&masked),
        _ => Err(reason),
    })
}

fn read(text: &str) -> Result<(), String> {
    // Finds keys that stand twice.
    let tree = super::build(text.as_bytes(), text.as_bytes()).map_err(|reason| reason.0)?;
    let mut walk = Walk { tree: &tree, next: vec![Step::Value(tree.root)] };
    let mut any = false;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| error.to_string())?;
        let is_empty = span.byte_range().is_none_or(|range| range.is_empty());
        any |= matches!(event, Event::DocumentStart(..));
        if !walk.agrees(&event, is_empty) {
            return Err(format!("line {}: two parsers read this differently", span.start.line()));
        }
    }
    if walk.next.is_empty() || !any { Ok(()) } else { Err("two parsers find different ends".to_owned()) }
}

/// The tree in the order of events.
struct Walk<'t> {
    tree: &'t Tree,
    /// What comes next, last first.
    next: Vec<Step>,
}

enum Step {
    Key(NodeId),
    Value(NodeId),
    End(Shape),
}

impl Walk<'_> {
    fn agrees(&mut self, event: &Event<'_>, is_empty: bool) -> bool {
        match event {
            Event::DocumentStart(..) => {
                // Several documents are a list without brackets.
                if let [Step::Value(root)] = self.next[..]
                    && self.is_stream(root)
                {
                    self.next.clear();
                    self.next.extend(self.tree.node(root).children.iter().rev().map(|&child| Step::Value(child)));
                }
                true
            }
            Event::Scalar(text, style, ..) => match self.next.pop() {
                Some(Step::Key(id)) => self.tree.node(id).name.as_deref() == Some(if is_empty { "" } else { text }),
                Some(Step::Value(id)) => self.says(id, text, *style, is_empty),
                _ => false,
            },
            Event::Alias(..) => match self.next.pop() {
                Some(Step::Value(id)) => self.tree.bytes(self.tree.node(id).value).first() == Some(&b'*'),
                _ => false,
            },
            Event::MappingStart(..) => self.begin(Shape::Map),
            Event::SequenceStart(..) => self.begin(Shape::List),
            Event::MappingEnd => matches!(self.next.pop(), Some(Step::End(Shape::Map))),
            Event::SequenceEnd => matches!(self.next.pop(), Some(Step::End(Shape::List))),
            _ => true,
        }
    }

    fn is_stream(&self, root: NodeId) -> bool {
        let node = self.tree.node(root);
        let first = node.children.first().map(|&first| self.tree.bytes(self.tree.node(first).head));
        node.shape == Shape::List
            && node.open().is_empty()
            && first.is_some_and(|head| head.is_empty() || head.starts_with(b"---"))
    }

    fn begin(&mut self, shape: Shape) -> bool {
        let Some(Step::Value(id)) = self.next.pop() else { return false };
        let node = self.tree.node(id);
        self.next.push(Step::End(shape));
        for &child in node.children.iter().rev() {
            self.next.push(Step::Value(child));
            if shape == Shape::Map {
                self.next.push(Step::Key(child));
            }
        }
        node.shape == shape
    }

    fn says(&self, id: NodeId, text: &str, style: ScalarStyle, is_empty: bool) -> bool {
        let node = self.tree.node(id);
        let value = self.tree.bytes(node.value);
        if node.is_container() || value.first() == Some(&b'*') {
            return false;
        }
        if matches!(value.first(), Some(b'&' | b'!')) {
            // An anchor or a tag is part of the leaf's bytes.
            return true;
        }
        let says = self.tree.says(id);
        match style {
            _ if is_empty && style == ScalarStyle::Plain => value.is_empty(),
            ScalarStyle::Plain => says == text.as_bytes(),
            ScalarStyle::Folded => value.first() == Some(&b'>'),
            _ => says == as_string(text.to_owned()).as_bytes(),
        }
    }
}
