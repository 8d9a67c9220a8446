//! The tree of a YAML text, with the exact place of every node.
//!
//! The parser reports where the content of a node is. What belongs to a node besides (the dash or colon before it, anchors,
//! tags, the header of a block scalar) is looked up in the text between it and its predecessor, where nothing but white
//! space, comments and these marks can be.

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StructureStyle};

use super::super::splice::{line_end as line_end_of, next_line};
use super::super::{DocError, Format, MAX_DEPTH};

pub(super) type Id = usize;

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Where the node may begin: behind the dash or colon before it.
    pub(super) from: usize,
    /// Behind its anchor and tag; equal to `from` if it has none.
    pub(super) props_end: usize,
    /// The first byte of its content; for a block scalar, its `|` or `>`. Of something empty: `props_end`.
    pub(super) start: usize,
    /// Behind the last byte of its content, without line break.
    pub(super) end: usize,
    /// Column of a block collection's keys or dashes, in characters from 0.
    pub(super) column: usize,
    /// The name of its anchor.
    pub(super) anchor: Option<String>,
    pub(super) tag: Option<String>,
}

#[derive(Debug)]
pub(super) enum Kind {
    Scalar { text: String, style: Style },
    Alias { target: Id },
    Mapping { flow: bool, entries: Vec<Entry> },
    Sequence { flow: bool, items: Vec<Item> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Empty,
    Plain,
    Single,
    Double,
    Literal,
    Folded,
}

/// A field of a mapping.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) key: Id,
    pub(super) value: Id,
    /// Where it begins: its key, the key's anchor or tag, or a `?`.
    pub(super) start: usize,
    /// `{ a }`: a key without a colon.
    pub(super) has_colon: bool,
    /// `? key`.
    pub(super) explicit: bool,
}

/// An element of a sequence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) value: Id,
    /// The dash of a block sequence; the value itself in a flow sequence.
    pub(super) start: usize,
}

/// A parsed text.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) root: Id,
}

/// Parses a text.
pub(super) fn parse(text: &str) -> Result<Tree, DocError> {
    let mut builder = Builder { text, nodes: Vec::new(), anchors: Vec::new() };
    let root = builder.stream()?;
    let mut tree = Tree { nodes: builder.nodes, root: root.map_or(0, |(root, _)| root) };
    if let Some((root, from)) = root {
        Locator { text, nodes: &mut tree.nodes }.locate(root, from)?;
    } else {
        // Nothing but comments: null.
        let end = text.trim_end_matches([' ', '\t', '\n', '\r']).len();
        let kind = Kind::Scalar { text: String::new(), style: Style::Empty };
        tree.nodes.push(Node { kind, from: end, props_end: end, start: end, end, column: 0, anchor: None, tag: None });
    }
    Ok(tree)
}

fn scan_error(text: &str, error: &ScanError) -> DocError {
    let marker = error.marker();
    let at = marker
        .byte_offset()
        .unwrap_or_else(|| text.char_indices().nth(marker.index()).map_or(text.len(), |(at, _)| at));
    let message = error.info();
    if message.contains("recursion limit") {
        return too_deep(text, at);
    }
    DocError::parse(Format::Yaml, text, at, message)
}

fn too_deep(text: &str, at: usize) -> DocError {
    DocError::parse(Format::Yaml, text, at, format!("nested more than {MAX_DEPTH} levels deep"))
}

fn lost(text: &str, at: usize) -> DocError {
    DocError::parse(Format::Yaml, text, at, "a spelling this editor does not know")
}

/// First step: the nodes, from the parser's events.
struct Builder<'t> {
    text: &'t str,
    nodes: Vec<Node>,
    /// Node by anchor id.
    anchors: Vec<(usize, Id)>,
}

/// A collection that is being filled.
struct Open {
    node: Id,
    children: Vec<Id>,
}

impl Builder<'_> {
    /// The root node and where it may begin.
    fn stream(&mut self) -> Result<Option<(Id, usize)>, DocError> {
        let options = granit_parser::options! { emit_anchor_events: true, emit_comments: false };
        let mut open: Vec<Open> = Vec::new();
        let mut root = None;
        let mut from = 0;
        let mut documents = 0;
        for event in Parser::new_from_str_with_options(self.text, options) {
            let (event, span) = event.map_err(|error| scan_error(self.text, &error))?;
            let range = span.byte_range().unwrap_or(0..0);
            match event {
                Event::DocumentStart(explicit, _) => {
                    documents += 1;
                    if documents > 1 {
                        let message = "a second document begins here; only files with one document can be edited";
                        return Err(DocError::parse(Format::Yaml, self.text, range.start, message));
                    }
                    from = if explicit { range.end } else { behind_ends(self.text) };
                }
                Event::Scalar(value, style, _, _) => {
                    let style = match style {
                        ScalarStyle::SingleQuoted => Style::Single,
                        ScalarStyle::DoubleQuoted => Style::Double,
                        ScalarStyle::Literal => Style::Literal,
                        ScalarStyle::Folded => Style::Folded,
                        _ if range.is_empty() => Style::Empty,
                        ScalarStyle::Plain => Style::Plain,
                    };
                    let text = if style == Style::Empty { String::new() } else { value.into_owned() };
                    let id = self.push(Kind::Scalar { text, style }, &span);
                    attach(&mut open, &mut root, id);
                }
                Event::Alias(anchor) => {
                    let target = self.anchors.iter().rev().find(|(id, _)| *id == anchor).map(|&(_, node)| node);
                    let Some(target) = target else {
                        return Err(DocError::parse(Format::Yaml, self.text, range.start, "unknown anchor"));
                    };
                    if open.iter().any(|open| open.node == target) {
                        let message = "this alias stands inside of what it refers to";
                        return Err(DocError::parse(Format::Yaml, self.text, range.start, message));
                    }
                    let id = self.push(Kind::Alias { target }, &span);
                    attach(&mut open, &mut root, id);
                }
                Event::Anchor(id, name) => {
                    // The event follows the one of its node directly.
                    let node = self.nodes.len() - 1;
                    self.anchors.push((id, node));
                    self.nodes[node].anchor = Some(name.into_owned());
                }
                Event::MappingStart(style, ..) => {
                    let flow = style == StructureStyle::Flow;
                    self.open(Kind::Mapping { flow, entries: Vec::new() }, &span, &mut open)?;
                }
                Event::SequenceStart(style, ..) => {
                    let flow = style == StructureStyle::Flow;
                    self.open(Kind::Sequence { flow, items: Vec::new() }, &span, &mut open)?;
                }
                Event::MappingEnd | Event::SequenceEnd => {
                    if let Some(closed) = open.pop() {
                        self.close(&closed, range.end);
                        attach(&mut open, &mut root, closed.node);
                    }
                }
                _ => {}
            }
        }
        Ok(root.map(|root| (root, from)))
    }

    fn push(&mut self, kind: Kind, span: &Span) -> Id {
        let range = span.byte_range().unwrap_or(0..0);
        let tag = span.tag_span().and_then(|tag| tag.slice(self.text).map(str::to_owned));
        // Until the node is located, `from` and `props_end` are not known.
        self.nodes.push(Node {
            kind,
            from: 0,
            props_end: 0,
            start: range.start,
            end: range.end,
            column: span.start.col(),
            anchor: None,
            tag,
        });
        self.nodes.len() - 1
    }

    fn open(&mut self, kind: Kind, span: &Span, open: &mut Vec<Open>) -> Result<(), DocError> {
        let node = self.push(kind, span);
        if open.len() == MAX_DEPTH {
            return Err(too_deep(self.text, self.nodes[node].start));
        }
        open.push(Open { node, children: Vec::new() });
        Ok(())
    }

    fn close(&mut self, closed: &Open, end: usize) {
        let node = &mut self.nodes[closed.node];
        match &mut node.kind {
            Kind::Mapping { flow, entries } => {
                if *flow {
                    node.end = end;
                }
                entries.extend(closed.children.chunks_exact(2).map(|pair| Entry {
                    key: pair[0],
                    value: pair[1],
                    start: 0,
                    has_colon: true,
                    explicit: false,
                }));
            }
            Kind::Sequence { flow, items } => {
                if *flow {
                    node.end = end;
                }
                items.extend(closed.children.iter().map(|&value| Item { value, start: 0 }));
            }
            Kind::Scalar { .. } | Kind::Alias { .. } => {}
        }
    }
}

/// Behind the ends of documents (`...`) that a text may begin with.
fn behind_ends(text: &str) -> usize {
    let mut from = 0;
    loop {
        let at = skip_trivia(text, from);
        let is_end =
            text[at..].strip_prefix("...").is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if !is_end || !(at == 0 || text[..at].ends_with('\n')) {
            return from;
        }
        from = at + "...".len();
    }
}

fn attach(open: &mut [Open], root: &mut Option<Id>, id: Id) {
    match open.last_mut() {
        Some(open) => open.children.push(id),
        None => *root = Some(id),
    }
}

/// Second step: where everything is.
struct Locator<'t> {
    text: &'t str,
    nodes: &'t mut Vec<Node>,
}

impl Locator<'_> {
    /// Locates a node that begins at or behind `from`; returns its end.
    fn locate(&mut self, id: Id, from: usize) -> Result<usize, DocError> {
        let props_end = self.skip_props(id, from);
        let node = &mut self.nodes[id];
        node.from = from;
        node.props_end = props_end;
        match &node.kind {
            Kind::Scalar { style: Style::Empty, .. } => {
                node.start = props_end;
                node.end = props_end;
            }
            Kind::Scalar { style: Style::Literal | Style::Folded, text: content } => {
                let header = skip_trivia(self.text, props_end);
                if !self.text[header..].starts_with(['|', '>']) {
                    return Err(lost(self.text, header));
                }
                node.end = block_end(self.text, header, node.end, content);
                node.start = header;
            }
            Kind::Scalar { .. } | Kind::Alias { .. } => {}
            Kind::Mapping { .. } => return self.locate_mapping(id),
            Kind::Sequence { .. } => return self.locate_sequence(id),
        }
        Ok(self.nodes[id].end)
    }

    /// Behind the anchor and the tag of a node, in whatever order they stand.
    fn skip_props(&self, id: Id, from: usize) -> usize {
        let node = &self.nodes[id];
        // The properties of a block mapping's first key stand in the same place; they are not the mapping's.
        let mut end = from;
        let mut anchor = node.anchor.is_some();
        let mut tag = node.tag.clone();
        while anchor || tag.is_some() {
            let at = skip_trivia(self.text, end);
            let rest = &self.text[at..];
            match (&tag, anchor) {
                (_, true) if rest.starts_with('&') => {
                    let len = rest.find(|c: char| c.is_whitespace() || ",[]{}".contains(c)).unwrap_or(rest.len());
                    end = at + len;
                    anchor = false;
                }
                (Some(raw), _) if rest.starts_with(raw.as_str()) => {
                    end = at + raw.len();
                    tag = None;
                }
                _ => return end,
            }
        }
        end
    }

    fn locate_mapping(&mut self, id: Id) -> Result<usize, DocError> {
        let Kind::Mapping { flow, entries } = &self.nodes[id].kind else {
            return Ok(0);
        };
        let (flow, mut entries) = (*flow, entries.clone());
        let props_end = self.nodes[id].props_end;
        let begin = skip_trivia(self.text, props_end);
        // A single pair in a flow sequence, `[a: b]`, is a mapping without braces.
        let braces = flow && self.text[begin..].starts_with('{');
        let mut at = if braces { begin + 1 } else { props_end };
        for entry in &mut entries {
            at = skip_trivia_and(self.text, at, if flow { b',' } else { 0 });
            entry.start = at;
            let behind = self.text[at..].strip_prefix('?');
            entry.explicit = behind.is_some_and(|text| text.is_empty() || text.starts_with(char::is_whitespace));
            if entry.explicit {
                at += 1;
            }
            at = self.locate(entry.key, at)?;
            let colon = skip_trivia(self.text, at);
            entry.has_colon = self.text[colon..].starts_with(':');
            if entry.has_colon {
                at = colon + 1;
            } else if !flow && !entry.explicit {
                return Err(lost(self.text, colon));
            }
            at = self.locate(entry.value, at)?;
        }
        let node = &mut self.nodes[id];
        if let Some(first) = entries.first().filter(|_| !braces) {
            node.start = first.start;
            node.end = at;
            node.column = column(self.text, first.start);
        } else if flow {
            node.start = begin;
        }
        node.kind = Kind::Mapping { flow, entries };
        Ok(self.nodes[id].end)
    }

    fn locate_sequence(&mut self, id: Id) -> Result<usize, DocError> {
        let Kind::Sequence { flow, items } = &self.nodes[id].kind else {
            return Ok(0);
        };
        let (flow, mut items) = (*flow, items.clone());
        let props_end = self.nodes[id].props_end;
        let begin = skip_trivia(self.text, props_end);
        let mut at = if flow { begin + 1 } else { props_end };
        for item in &mut items {
            at = skip_trivia_and(self.text, at, if flow { b',' } else { 0 });
            item.start = at;
            if !flow {
                if !self.text[at..].starts_with('-') {
                    return Err(lost(self.text, at));
                }
                at += 1;
            }
            at = self.locate(item.value, at)?;
        }
        let node = &mut self.nodes[id];
        node.start = begin;
        if let Some(first) = items.first().filter(|_| !flow) {
            node.end = at;
            node.column = column(self.text, first.start);
        }
        node.kind = Kind::Sequence { flow, items };
        Ok(self.nodes[id].end)
    }
}

/// Where a text block ends whose header is at `header` and which the parser has read up to `end`: behind its last line that
/// counts, without line break.
fn block_end(text: &str, header: usize, end: usize, content: &str) -> usize {
    let line_end = line_end_of(text, header);
    let start = next_line(text, header);
    let body = text.get(start..end).unwrap_or_default();
    let ends_in_spaces = {
        let lines = content.trim_end_matches('\n');
        let last = &lines[lines.rfind('\n').map_or(0, |at| at + 1)..];
        !last.is_empty() && last.trim_matches([' ', '\t']).is_empty()
    };
    let keeps = text[header..line_end].bytes().take(3).any(|b| b == b'+');
    let lines = body.trim_end_matches([' ', '\t']);
    let breaks = |text: &str| text.bytes().filter(|b| *b == b'\n').count();
    let counts = if ends_in_spaces || keeps && content.bytes().all(|b| b == b'\n') && breaks(content) > breaks(lines) {
        body
    } else if !keeps {
        body.trim_end_matches([' ', '\t', '\r', '\n'])
    } else if lines.is_empty() || lines.ends_with('\n') {
        // What indents the next line is no part of it.
        lines
    } else {
        body
    };
    if counts.is_empty() {
        return line_end;
    }
    let counts = counts.strip_suffix('\n').map_or(counts, |lines| lines.strip_suffix('\r').unwrap_or(lines));
    line_end_of(text, start + counts.len())
}

/// White space, line breaks and comments.
pub(super) fn skip_trivia(text: &str, at: usize) -> usize {
    skip_trivia_and(text, at, 0)
}

fn skip_trivia_and(text: &str, mut at: usize, also: u8) -> usize {
    let bytes = text.as_bytes();
    loop {
        match bytes.get(at) {
            Some(b' ' | b'\t' | b'\n' | b'\r') => at += 1,
            Some(&b) if also != 0 && b == also => at += 1,
            Some(b'#') => at += text[at..].find('\n').unwrap_or(text.len() - at),
            _ => return at,
        }
    }
}

/// The column of an offset, in characters from 0.
pub(super) fn column(text: &str, at: usize) -> usize {
    text[super::super::splice::line_start(text, at)..at].chars().count()
}
