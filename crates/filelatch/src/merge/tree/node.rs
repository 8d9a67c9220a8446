//! A document as a tree of units. Every byte belongs to exactly one of them.
//!
//! ```text
//!          lead              head      value          tail
//!        ┌──────────────┐┌─────────┐┌─────────┐┌───────────────┐
//!        ⏎␠␠# a comment⏎␠␠"name": ␠"filelatch",␠// as it is
//!                                             ^ separator, part of the tail
//! ```
//!
//! - **lead**: all between the unit before and this one: line ends, indentation, comments and blank lines above it.
//! - **head**: key and colon, `- `, whatever makes the value part of its container.
//! - **value**: the bytes of a leaf; for a container **open**, its units one after the other, **close**. Comments behind the last
//!   unit belong to the close.
//! - **tail**: what stands behind the value on its line: a comment, and the separator.
//!
//! Line ends stand at the *beginning* of units (in the lead), so a unit can be put between others without looking at its
//! neighbours. For that the text of a tree begins with a line end that the document does not have ([`Tree::text`]).

use std::collections::HashMap;
use std::hash::Hasher;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

/// A node of one tree.
pub(in crate::merge) type NodeId = u32;

/// A stretch of a tree's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::merge) struct Span {
    pub(in crate::merge) start: u32,
    pub(in crate::merge) end: u32,
}

impl Span {
    pub(in crate::merge) fn new(start: usize, end: usize) -> Self {
        // Trees are built of texts shorter than 4 GiB (`merge` sees to it).
        Span { start: u32::try_from(start).unwrap_or(u32::MAX), end: u32::try_from(end).unwrap_or(u32::MAX) }
    }

    pub(in crate::merge) fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// What a unit is made of, as far as merging cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::merge) enum Shape {
    /// A number, a boolean, a date, a short string: one side's or the other's.
    Leaf,
    /// Words on one or several lines: different words can be changed by different sides.
    Prose,
    /// Lines whose words mean something to machines (a script, a code block): merged line by line.
    Lines,
    /// Units with names that stand once each.
    Map,
    /// Units without names, in an order.
    List,
}

/// A unit.
#[derive(Clone, Debug)]
pub(in crate::merge) struct Node {
    pub(in crate::merge) shape: Shape,
    /// Whether the units of this container begin on lines of their own.
    pub(in crate::merge) rows: bool,
    /// Whether the units of this container are separated ([`Language::separator`]).
    pub(in crate::merge) separated: bool,
    /// All that stands behind it is its own, up to the next section: it stands behind the other units of its container.
    pub(in crate::merge) section: bool,
    /// What the unit is called in its map: the key as readers see it, without quotes and escapes.
    pub(in crate::merge) name: Option<Box<str>>,
    /// What a leaf says, if its bytes are not the usual way to write it: `'a'` says `"a"`. The bytes of another type's value never
    /// say the same. Of a container: what it means besides its units, a YAML tag.
    pub(in crate::merge) says: Option<Box<str>>,
    /// The whole unit: lead, head, value and tail.
    pub(in crate::merge) item: Span,
    /// From the end of the lead to the end of the head.
    pub(in crate::merge) head: Span,
    /// The value.
    pub(in crate::merge) value: Span,
    /// Between the end of open and the beginning of close: all units of a container.
    pub(in crate::merge) inner: Span,
    /// Where in the tail the separator is.
    pub(in crate::merge) separator: Option<Span>,
    pub(in crate::merge) children: Vec<NodeId>,
    /// A hash of what the unit means: names and leaves, not their spelling, comments or the order in a map. Of the value only.
    pub(in crate::merge) meaning: u64,
    /// A hash of the bytes of the unit without its separator; 0 before [`Tree::spell`].
    pub(in crate::merge) spelling: u64,
    /// How many units there are in it, itself included.
    pub(in crate::merge) weight: u32,
}

impl Node {
    /// A node of which only shape and place are known.
    pub(in crate::merge) fn new(shape: Shape, item: Span, head: Span, value: Span) -> Self {
        let inner = Span { start: value.start, end: value.start };
        Node {
            shape,
            rows: false,
            separated: false,
            section: false,
            name: None,
            says: None,
            item,
            head,
            value,
            inner,
            separator: None,
            children: Vec::new(),
            meaning: 0,
            spelling: 0,
            weight: 1,
        }
    }

    pub(in crate::merge) fn is_container(&self) -> bool {
        matches!(self.shape, Shape::Map | Shape::List)
    }

    pub(in crate::merge) fn lead(&self) -> Span {
        Span { start: self.item.start, end: self.head.start }
    }

    pub(in crate::merge) fn tail(&self) -> Span {
        Span { start: self.value.end, end: self.item.end }
    }

    pub(in crate::merge) fn open(&self) -> Span {
        Span { start: self.value.start, end: self.inner.start }
    }

    pub(in crate::merge) fn close(&self) -> Span {
        Span { start: self.inner.end, end: self.value.end }
    }
}

/// What a language's trees have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::merge) struct Language {
    /// What begins a comment that ends with its line.
    pub(in crate::merge) comments: &'static [&'static str],
    /// What separates units of containers that have separators: `,`.
    pub(in crate::merge) separator: &'static str,
    /// Whether containers may end with a separator behind the last unit.
    pub(in crate::merge) trailing_separator: bool,
    /// Whether indentation can be changed without changing the meaning.
    pub(in crate::merge) free_indentation: bool,
}

/// A document.
#[derive(Clone, Debug)]
pub(in crate::merge) struct Tree {
    /// A line end, then the document.
    pub(in crate::merge) text: Vec<u8>,
    pub(in crate::merge) nodes: Vec<Node>,
    pub(in crate::merge) root: NodeId,
    pub(in crate::merge) language: &'static Language,
    /// What ends lines, if the document has lines that end so.
    pub(in crate::merge) line_end: &'static [u8],
}

/// Why there is no tree of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::merge) struct NoTree(pub(in crate::merge) String);

impl Tree {
    /// Makes a tree of nodes whose places are known; `nodes` has children before their parents or after them, as it likes.
    /// Finds out what the nodes mean, and refuses maps with a name twice.
    pub(in crate::merge) fn new(
        text: Vec<u8>,
        nodes: Vec<Node>,
        root: NodeId,
        language: &'static Language,
    ) -> Result<Self, NoTree> {
        let line_end = if text.windows(2).any(|pair| pair == b"\r\n") { &b"\r\n"[..] } else { b"\n" };
        let mut tree = Tree { text, nodes, root, language, line_end };
        tree.find_meanings()?;
        debug_assert_eq!(tree.gap(), None, "bytes that belong to no unit or to two");
        Ok(tree)
    }

    pub(in crate::merge) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    pub(in crate::merge) fn bytes(&self, span: Span) -> &[u8] {
        &self.text[span.start as usize..span.end as usize]
    }

    /// The child of a map with this name.
    pub(in crate::merge) fn field(&self, map: NodeId, name: &str) -> Option<NodeId> {
        self.node(map).children.iter().copied().find(|&child| self.node(child).name.as_deref() == Some(name))
    }

    /// What a leaf says.
    pub(in crate::merge) fn says(&self, id: NodeId) -> &[u8] {
        let node = self.node(id);
        node.says.as_deref().map_or_else(|| self.bytes(node.value), str::as_bytes)
    }

    /// All nodes, each behind its children. No recursion: depth costs no stack.
    fn bottom_up(&self) -> Vec<NodeId> {
        let mut order = vec![self.root];
        let mut next = 0;
        while let Some(&id) = order.get(next) {
            order.extend(&self.node(id).children);
            next += 1;
        }
        order.reverse();
        order
    }

    fn find_meanings(&mut self) -> Result<(), NoTree> {
        for id in self.bottom_up() {
            let (meaning, weight) = self.meaning(id)?;
            let node = &mut self.nodes[id as usize];
            node.meaning = meaning;
            node.weight = weight;
        }
        Ok(())
    }

    fn meaning(&self, id: NodeId) -> Result<(u64, u32), NoTree> {
        let node = self.node(id);
        let mut weight = 1u32;
        let says = node.says.as_deref().unwrap_or_default().as_bytes();
        let meaning = match node.shape {
            Shape::Leaf | Shape::Prose | Shape::Lines => hash(1, self.says(id)),
            Shape::List => {
                let mut state = hash(2, says);
                for &child in &node.children {
                    let child = self.node(child);
                    weight = weight.saturating_add(child.weight);
                    state = mix(state, child.meaning);
                }
                state
            }
            Shape::Map => {
                let mut state = hash(3, says);
                let mut seen = HashMap::with_capacity(node.children.len());
                for &id in &node.children {
                    let child = self.node(id);
                    let name = child.name.as_deref().unwrap_or_default();
                    weight = weight.saturating_add(child.weight);
                    // Added up: the order of a map means nothing.
                    state = state.wrapping_add(mix(hash(4, name.as_bytes()), child.meaning));
                    if seen.insert(name, id).is_some() {
                        return Err(NoTree(format!("`{name}` stands twice in line {}", self.line(child.head.start))));
                    }
                }
                state
            }
        };
        Ok((meaning, weight))
    }

    /// Finds out how the units are spelled, which the merge wants to know and the check of its result does not.
    pub(in crate::merge) fn spell(&mut self) {
        for id in self.bottom_up() {
            self.nodes[id as usize].spelling = self.spelling(id);
        }
    }

    fn spelling(&self, id: NodeId) -> u64 {
        let node = self.node(id);
        let mut state = mix(hash(5, self.bytes(node.lead())), hash(6, self.bytes(node.head)));
        if node.is_container() {
            state = mix(state, hash(7, self.bytes(node.open())));
            for &child in &node.children {
                state = mix(state, self.node(child).spelling);
            }
            state = mix(state, hash(8, self.bytes(node.close())));
        } else {
            state = mix(state, hash(9, self.bytes(node.value)));
        }
        let (before, behind) = self.tail_parts(node);
        mix(state, mix(hash(10, before), hash(11, behind)))
    }

    /// The tail before and behind the separator.
    pub(in crate::merge) fn tail_parts(&self, node: &Node) -> (&[u8], &[u8]) {
        let tail = node.tail();
        match node.separator {
            Some(separator) => (
                self.bytes(Span { start: tail.start, end: separator.start }),
                self.bytes(Span { start: separator.end, end: tail.end }),
            ),
            None => (self.bytes(tail), &[]),
        }
    }

    /// The comments in a container, in order, each without what stands before and behind it.
    pub(in crate::merge) fn comments(&self, id: NodeId) -> Vec<&[u8]> {
        let mut spans = Vec::new();
        let mut stack = vec![id];
        while let Some(at) = stack.pop() {
            let node = self.node(at);
            if at != id {
                spans.extend([node.lead(), node.tail()]);
            }
            if node.is_container() {
                spans.extend([node.open(), node.close()]);
            }
            stack.extend(&node.children);
        }
        spans.sort_unstable_by_key(|span| span.start);
        let marks = self.language.comments.iter().map(|mark| mark.as_bytes()).chain([&b"/*"[..]]);
        let begins =
            |line: &[u8]| marks.clone().filter_map(|mark| line.windows(mark.len()).position(|at| at == mark)).min();
        let lines = spans.into_iter().flat_map(|span| self.bytes(span).split(|&byte| byte == b'\n'));
        lines.filter_map(|line| Some(line[begins(line)?..].trim_ascii())).collect()
    }

    /// The line of the document that a place is in, from 1.
    pub(in crate::merge) fn line(&self, at: u32) -> usize {
        self.text[1..(at as usize).max(1)].iter().filter(|&&byte| byte == b'\n').count() + 1
    }

    /// The first place where units overlap or leave a gap; for tests.
    pub(in crate::merge) fn gap(&self) -> Option<u32> {
        let root = self.node(self.root);
        if root.item.start != 0 || root.item.end as usize != self.text.len() {
            return Some(root.item.start);
        }
        let mut stack = vec![self.root];
        while let Some(id) = stack.pop() {
            let node = self.node(id);
            let orderly = node.item.start <= node.head.start
                && node.head.start <= node.head.end
                && node.head.end == node.value.start
                && node.value.start <= node.inner.start
                && node.inner.start <= node.inner.end
                && node.inner.end <= node.value.end
                && node.value.end <= node.item.end;
            if !orderly {
                return Some(node.item.start);
            }
            let mut at = node.inner.start;
            for &child in &node.children {
                if self.node(child).item.start != at {
                    return Some(at);
                }
                at = self.node(child).item.end;
                stack.push(child);
            }
            if at != node.inner.end {
                return Some(at);
            }
        }
        None
    }
}

/// A hash of some bytes of a kind. Its key is another one in each process, so that nobody can make two contents that count as one; no
/// result depends on it but by equality.
pub(in crate::merge) fn hash(kind: u64, bytes: &[u8]) -> u64 {
    let mut hasher = FoldHasher::with_seed(kind, SharedSeed::global_random());
    hasher.write(bytes);
    hasher.finish()
}

/// Two hashes made one; the order counts.
pub(in crate::merge) fn mix(a: u64, b: u64) -> u64 {
    (a.rotate_left(23) ^ b).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29).wrapping_add(a)
}
