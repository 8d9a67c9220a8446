//! Files of `key = value` lines in sections as trees of units: `.ini`, `.cfg`, `.conf`, `.env`, `.properties`, `.editorconfig`.
//!
//! ```text
//! root ─┬─ ""               what stands above the first section
//!       ├─ [options]        a section: its line, then its pairs
//!       └─ [include]        a section whose keys repeat, or that has no values at all: a list of lines
//! ```
//!
//! These files have no common grammar. What is a pair in all of them is a unit here; what one program reads differently from another (strings
//! over several lines, blocks in braces, two words in a line) has no tree, and is merged by lines.
//!
//! - A line that is indented deeper than the key above it continues its value, as in Python's `configparser`; so does the line
//!   behind a backslash. A value of such lines alone is a list of them.
//! - `a,b,c` is a list, if the items are single words and not all of them numbers.
//! - A comment behind a value may be part of the value. It is treated as such.

use std::collections::HashSet;

use super::json::is_prose;
use super::rows;
use crate::merge::tree::{Language, NoTree, Node, NodeId, Shape, Span, Tree};

static LANGUAGE: Language =
    Language { comments: &["#", ";"], separator: ",", trailing_separator: false, free_indentation: false };

const ROOT: NodeId = 0;
const PREAMBLE: NodeId = 1;

/// Builds the tree of an ini text.
pub(in crate::merge) fn tree(document: &str) -> Result<Tree, NoTree> {
    let mut text = Vec::with_capacity(document.len() + 1);
    text.push(b'\n');
    text.extend_from_slice(document.as_bytes());
    let nodes = {
        let mut builder = Builder::new(&text);
        builder.document()?;
        builder.nodes
    };
    Tree::new(text, nodes, ROOT, &LANGUAGE)
}

struct Builder<'t> {
    text: &'t [u8],
    nodes: Vec<Node>,
    lines: Vec<Line>,
    /// The section that the next pair belongs to.
    section: NodeId,
    /// Where the last unit ended.
    end: usize,
}

/// A line without its line end.
#[derive(Clone, Copy)]
struct Line {
    start: usize,
    /// The first byte that is not white space; the end, if there is none.
    first: usize,
    end: usize,
}

impl Line {
    fn indentation(self) -> usize {
        self.first - self.start
    }
}

impl<'t> Builder<'t> {
    fn new(text: &'t [u8]) -> Self {
        let container = |name: Option<&str>| Node {
            name: name.map(Into::into),
            rows: true,
            ..Node::new(Shape::Map, Span::default(), Span::default(), Span::default())
        };
        let mut nodes = vec![container(None), container(Some(""))];
        nodes[ROOT as usize].children.push(PREAMBLE);
        Builder { text, nodes, lines: lines(text), section: PREAMBLE, end: 0 }
    }

    fn node(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    fn push(&mut self, node: Node, parent: NodeId) -> NodeId {
        let id = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.nodes.push(node);
        self.node(parent).children.push(id);
        id
    }

    fn bytes(&self, start: usize, end: usize) -> &'t [u8] {
        &self.text[start..end]
    }

    fn is_comment(&self, line: Line) -> bool {
        line.first < line.end && matches!(self.text[line.first], b'#' | b';')
    }

    fn document(&mut self) -> Result<(), NoTree> {
        let mut index = 0;
        let mut is_head = true;
        loop {
            while self.lines.get(index).is_some_and(|&line| line.first == line.end || self.is_comment(line)) {
                index += 1;
            }
            let next = self.lines.get(index).copied();
            let at = next.map_or(self.text.len(), |line| line.start);
            let between = rows::rows(self.text, self.end, at, b"#;");
            let mut below = rows::below(&between, self.end, at, next.is_none());
            if is_head {
                is_head = false;
                self.end = rows::head_of_file(&between, next.is_none());
                self.node(PREAMBLE).inner = Span::new(self.end, self.end);
                below = self.end;
            }
            let Some(line) = next else {
                self.leave(below);
                let len = self.text.len();
                let root = self.node(ROOT);
                root.item = Span::new(0, len);
                root.value = root.item;
                root.inner = Span::new(0, below);
                return Ok(());
            };
            index = if self.text[line.first] == b'[' {
                self.leave(below);
                self.header(line, below)?;
                index + 1
            } else {
                self.pair(index)?
            };
        }
    }

    /// Ends the section, comments below its last pair included, at `close`.
    fn leave(&mut self, close: usize) {
        let end = self.end;
        let section = self.section;
        let node = self.node(section);
        let (inner, close) = (Span::new(node.inner.start as usize, end), Span::new(close, close).end);
        node.inner = inner;
        node.value.end = close;
        node.item.end = close;
        let children = node.children.clone();
        let mut seen = HashSet::new();
        let repeats = children.iter().any(|&child| !seen.insert(self.nodes[child as usize].name.as_deref()));
        let is_flag = |&child: &NodeId| self.nodes[child as usize].value.is_empty() && self.is_bare(child);
        let is_list = repeats || (children.len() > 1 && children.iter().all(is_flag));
        if !is_list {
            return;
        }
        // Whole lines, in their order.
        for child in children {
            let node = self.node(child);
            node.value.start = node.head.start;
            node.head.end = node.head.start;
            node.inner = Span { start: node.value.start, end: node.value.start };
            node.children.clear();
            node.name = None;
            node.says = None;
            let (start, end) = (node.value.start as usize, node.value.end as usize);
            let shape = if self.bytes(start, end).contains(&b'\n') { Shape::Lines } else { Shape::Leaf };
            self.node(child).shape = shape;
        }
        self.node(section).shape = Shape::List;
    }

    /// Whether a unit is a word without a sign.
    fn is_bare(&self, id: NodeId) -> bool {
        let head = self.nodes[id as usize].head;
        !self.bytes(head.start as usize, head.end as usize).iter().any(|byte| matches!(byte, b'=' | b':'))
    }

    /// `[section]`, with or without a comment behind it.
    fn header(&mut self, line: Line, lead: usize) -> Result<(), NoTree> {
        let bytes = self.bytes(line.first, line.end);
        let Some(close) = bytes.iter().rposition(|&byte| byte == b']') else {
            return Err(self.wrong(line, "a section without `]`"));
        };
        let behind = bytes[close + 1..].trim_ascii_start();
        if !matches!(behind.first(), None | Some(b'#' | b';')) {
            return Err(self.wrong(line, "more than a section's name"));
        }
        let name = String::from_utf8_lossy(&bytes[..=close]).into_owned();
        let node = Node {
            name: Some(name.into()),
            rows: true,
            inner: Span::new(line.end, line.end),
            ..Node::new(
                Shape::Map,
                Span::new(lead, lead),
                Span::new(line.first, line.first),
                Span::new(line.first, line.first),
            )
        };
        self.section = self.push(node, ROOT);
        self.end = line.end;
        Ok(())
    }

    /// `key = value`, `key: value`, `export KEY=value` or `flag`, and the lines that continue it. Returns the line behind it.
    fn pair(&mut self, index: usize) -> Result<usize, NoTree> {
        let line = self.lines[index];
        let bytes = self.bytes(line.first, line.end).trim_ascii_end();
        let sign = bytes.iter().position(|byte| matches!(byte, b'=' | b':'));
        let key = bytes[..sign.unwrap_or(bytes.len())].trim_ascii_end();
        let is_odd = |byte: &u8| matches!(byte, b'{' | b'}' | b'(' | b')' | b'<' | b'>' | b'"' | b'\'' | b'\\' | b',');
        let is_word = !key.iter().any(u8::is_ascii_whitespace) && !key.ends_with(b";");
        if key.is_empty() || key.iter().any(is_odd) || (sign.is_none() && !is_word) {
            return Err(self.wrong(line, "neither a pair nor a section"));
        }
        let name = String::from_utf8_lossy(key.strip_prefix(b"export ").map_or(key, <[u8]>::trim_ascii_start));
        let value = sign.map_or(&[][..], |sign| bytes[sign + 1..].trim_ascii_start());
        if matches!(value, [quote @ (b'"' | b'\''), rest @ ..] if !rest.contains(quote)) {
            return Err(self.wrong(line, "a string that does not end on its line"));
        }
        let end = line.first + bytes.len();
        let start = end - value.len();

        let (last, is_list) = self.continued(index)?;
        let text_end = self.lines[last].end;
        let unit = Node {
            name: Some(name.into()),
            ..Node::new(Shape::Leaf, Span::new(self.end, text_end), Span::new(line.first, start), Span::new(start, end))
        };
        let id = self.push(unit, self.section);
        self.end = text_end;
        if last == index {
            if !self.words(id, start, end) && std::str::from_utf8(value).is_ok_and(is_prose) {
                self.node(id).shape = Shape::Prose;
            }
            return Ok(index + 1);
        }
        if is_list && start == end {
            return Ok(self.listed(id, index, last));
        }
        let node = self.node(id);
        node.shape = Shape::Lines;
        node.value.end = u32_of(text_end);
        Ok(last + 1)
    }

    /// The last line of the pair that begins at a line, and whether the lines behind the first are indented alike.
    fn continued(&self, begin: usize) -> Result<(usize, bool), NoTree> {
        let first = self.lines[begin];
        let slash = |line: Line| self.bytes(line.first, line.end).ends_with(b"\\");
        let indentation = |line: Line| self.bytes(line.start, line.first);
        let mut last = begin;
        let mut alike = true;
        let mut goes_on = slash(first);
        for (index, &line) in self.lines.iter().enumerate().skip(begin + 1) {
            let is_deeper = line.indentation() > first.indentation();
            if goes_on {
                // A path may end with a backslash, too.
                let bytes = self.bytes(line.first, line.end);
                if bytes.is_empty() || (!is_deeper && bytes.iter().any(|byte| matches!(byte, b'=' | b':' | b'['))) {
                    return Err(self.wrong(line, "does the backslash continue the line above?"));
                }
                alike = false;
            } else if line.first == line.end || self.is_comment(line) {
                continue;
            } else if !is_deeper {
                break;
            }
            alike &= last == begin || indentation(line) == indentation(self.lines[last]);
            last = index;
            goes_on = slash(line);
        }
        Ok((last, alike))
    }

    /// Makes the lines that continue a pair items of a list. Returns the line behind them.
    fn listed(&mut self, id: NodeId, index: usize, last: usize) -> usize {
        let first = self.lines[index];
        let mut at = first.end;
        let node = self.node(id);
        node.shape = Shape::List;
        node.rows = true;
        node.inner.start = u32_of(at);
        for row in index + 1..=last {
            let line = self.lines[row];
            if line.first == line.end || self.is_comment(line) {
                continue;
            }
            let bytes = self.bytes(line.first, line.end).trim_ascii_end();
            let shape = if std::str::from_utf8(bytes).is_ok_and(is_prose) { Shape::Prose } else { Shape::Leaf };
            let item = Node::new(
                shape,
                Span::new(at, line.end),
                Span::new(line.first, line.first),
                Span::new(line.first, line.first + bytes.len()),
            );
            self.push(item, id);
            at = line.end;
        }
        // Comments right below, as deep as the items, are about the list.
        let mut next = last + 1;
        while let Some(&line) = self.lines.get(next)
            && self.is_comment(line)
            && line.indentation() > first.indentation()
        {
            next += 1;
        }
        let close = self.lines[next - 1].end;
        let node = self.node(id);
        node.inner.end = u32_of(at);
        node.value.end = u32_of(close);
        node.item.end = u32_of(close);
        self.end = close;
        next
    }

    /// Makes the words of `a,b,c` items of a list, if the value is such a list.
    fn words(&mut self, id: NodeId, start: usize, end: usize) -> bool {
        let value = self.bytes(start, end);
        let is_odd = |byte: &u8| matches!(byte, b'"' | b'\'' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'\\' | b';');
        let words = || value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        let is_word =
            |word: &[u8]| !word.is_empty() && !word.iter().any(|byte| is_odd(byte) || byte.is_ascii_whitespace());
        let is_number = |word: &[u8]| !word.iter().any(u8::is_ascii_alphabetic);
        if words().count() < 2 || !words().all(is_word) || words().all(is_number) {
            return false;
        }
        let node = self.node(id);
        node.shape = Shape::List;
        node.separated = true;
        node.inner = Span::new(start, end);
        let mut at = start;
        for item in value.split(|&byte| byte == b',') {
            let word = at + (item.len() - item.trim_ascii_start().len());
            let word_end = word + item.trim_ascii().len();
            let item_end = at + item.len();
            let comma = (item_end < end).then(|| Span::new(item_end, item_end + 1));
            let unit = Node {
                separator: comma,
                ..Node::new(
                    Shape::Leaf,
                    Span::new(at, (item_end + 1).min(end)),
                    Span::new(word, word),
                    Span::new(word, word_end),
                )
            };
            self.push(unit, id);
            at = item_end + 1;
        }
        true
    }

    fn wrong(&self, line: Line, what: &str) -> NoTree {
        let number = self.lines.partition_point(|other| other.start < line.start) + 1;
        NoTree(format!("line {number}: {what}"))
    }
}

/// The lines of a text that begins with a line end.
fn lines(text: &[u8]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut start = 1;
    // A byte order mark is no part of the first line.
    if text[1..].starts_with("\u{feff}".as_bytes()) {
        start += 3;
    }
    while start < text.len() {
        let end = text[start..].iter().position(|&byte| byte == b'\n').map_or(text.len(), |end| start + end);
        let next = end + 1;
        let end = if end > start && end < text.len() && text[end - 1] == b'\r' { end - 1 } else { end };
        let blank = text[start..end].iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r'));
        lines.push(Line { start, first: blank.map_or(end, |blank| start + blank), end });
        start = next;
    }
    lines
}

fn u32_of(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
