//! YAML as a tree of units.
//!
//! A builder of its own for what people write: block mappings and sequences, flow collections, all scalars, several documents. It
//! refuses what it does not surely understand (complex keys, tabs that indent); the lines are merged then. Where the
//! trees' parser and `granit-parser` read a merged text differently, [`verify`] refuses the text.
//!
//! - A mapping or sequence in block style has rows; one in flow style has them when its first item begins a line.
//! - In `- name: x` the mapping's first field begins without a line end: its lead is empty, as in `{ "a": 1,⏎ … }`.
//! - Anchors and tags of a collection stand in the head of its unit, those of a scalar in its value.
//! - A comment between two units belongs to the collection that its column fits, else to the lead of the unit below it. Above the
//!   first unit, all paragraphs of comments but the last belong to the open of the collection: a licence, an introduction.
//! - Several documents are a list; one is itself the root.

mod block;
mod flow;
mod scalar;
mod template;
mod verify;

use crate::doc::MAX_DEPTH;
use crate::merge::tree::{Language, NoTree, Node, NodeId, Shape, Span, Tree};

pub(in crate::merge) use verify::verify;

static LANGUAGE: Language =
    Language { comments: &["#"], separator: ",", trailing_separator: true, free_indentation: false };

/// Builds the tree of a YAML text.
pub(in crate::merge) fn tree(document: &str) -> Result<Tree, NoTree> {
    build(document.as_bytes(), document.as_bytes()).or_else(|reason| match template::masked(document.as_bytes()) {
        Some(masked) => build(document.as_bytes(), &masked),
        None => Err(reason),
    })
}

/// Builds the tree of `document`. `masked`: the same, in which templates say nothing.
fn build(document: &[u8], masked: &[u8]) -> Result<Tree, NoTree> {
    let text = [b"\n", document].concat();
    let masked = [b"\n", masked].concat();
    let (nodes, root) = {
        let mut builder = Builder { text: &masked, said: &text, at: 0, nodes: Vec::new(), open: Vec::new(), column: 0 };
        let root = builder.stream()?;
        (builder.nodes, root)
    };
    Tree::new(text, nodes, root, &LANGUAGE)
}

struct Builder<'t> {
    /// The text, without what templates say.
    text: &'t [u8],
    /// The text as it is.
    said: &'t [u8],
    at: usize,
    nodes: Vec<Node>,
    /// The block collections that are being read, outermost first.
    open: Vec<Open>,
    /// The column of `at`, when `at` is not the end of a line.
    column: usize,
}

/// A block collection that is being read.
#[derive(Clone, Copy)]
struct Open {
    id: NodeId,
    is_map: bool,
    column: usize,
}

/// What comes next behind the end of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The first byte of a line that says something, and its column.
    Content(usize, usize),
    /// `---` or `...`.
    Marker(usize),
    End,
}

impl Builder<'_> {
    fn node(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    /// A new unit that is not in its container yet; lead and head are known, the value is not.
    fn unit(&mut self, lead: usize, head: usize) -> NodeId {
        self.nodes.push(Node::new(Shape::Leaf, Span::new(lead, lead), Span::new(head, head), Span::new(head, head)));
        u32_of(self.nodes.len() - 1)
    }

    /// Says where the value of a unit is, and with that where its head ends.
    fn place(&mut self, id: NodeId, value: std::ops::Range<usize>) {
        let value = Span::new(value.start, value.end);
        let node = self.node(id);
        node.head.end = value.start;
        node.value = value;
        node.inner = Span { start: value.start, end: value.start };
        node.item.end = value.end;
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    /// Whether a line ends here.
    fn is_line_end(&self, at: usize) -> bool {
        match self.byte(at) {
            None | Some(b'\n') => true,
            Some(b'\r') => self.byte(at + 1) == Some(b'\n'),
            Some(_) => false,
        }
    }

    /// A blank, the end of a line or of the text.
    fn is_space(&self, at: usize) -> bool {
        matches!(self.byte(at), None | Some(b' ' | b'\t' | b'\r' | b'\n'))
    }

    /// Where the line of a place ends, before its line end.
    fn line_end(&self, at: usize) -> usize {
        let end = at + self.text[at..].iter().position(|&byte| byte == b'\n').unwrap_or(self.text.len() - at);
        if end > at && end < self.text.len() && self.text[end - 1] == b'\r' { end - 1 } else { end }
    }

    /// Behind the line end that stands at `at`.
    fn behind_line_end(&self, at: usize) -> usize {
        match self.byte(at) {
            Some(b'\n') => at + 1,
            Some(b'\r') => at + 2,
            _ => at,
        }
    }

    fn skip_blanks(&self, at: usize) -> usize {
        at + self.text[at..].iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(self.text.len() - at)
    }

    /// Whether one of `---` and `...` stands here, at the beginning of a line.
    fn is_marker(&self, at: usize) -> bool {
        let rest = &self.text[at..];
        (rest.starts_with(b"---") || rest.starts_with(b"...")) && self.is_space(at + 3)
    }

    fn refuse<T>(&self, at: usize, what: &str) -> Result<T, NoTree> {
        let at = at.min(self.text.len()).max(1);
        let line = self.text[1..at].iter().filter(|&&byte| byte == b'\n').count() + 1;
        Err(NoTree(format!("line {line}: {what}")))
    }
}

fn u32_of(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
