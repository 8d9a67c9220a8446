//! TOML as a tree of units.
//!
//! ```text
//! root ─┬─ ""              the pairs above the first header, and the comments at the head of the file
//!       ├─ [package]       a table: its header line, then its pairs
//!       ├─ [a.b]           any other table beside it, however deep its path
//!       └─ [[bin]]         the blocks of one header that stand together: a list, one item for each block
//!            └─ item ─┬─ name, path, …
//!                     └─ [bin.metadata]   the tables below a block belong to it
//! ```
//!
//! `a.b = 1` and `a.c = 2` that stand together in a table are one unit `a`, as `a = { b = 1, c = 2 }` is.
//!
//! Pairs stand inside the table they belong to, so a table that one side adds can never come between another table and its
//! pairs. Blocks of one header that stand apart, with other tables between them, are units of their own if a field names each of them.
//!
//! What the tables and dotted keys of a document add up to is not looked at: the parser that checks the result does.

use std::collections::{HashMap, HashSet};

use super::json::is_prose;
use super::rows;
use crate::doc;
use crate::doc::MAX_DEPTH;
use crate::merge::tree::{Language, NoTree, Node, NodeId, Shape, Span, Tree};

static LANGUAGE: Language =
    Language { comments: &["#"], separator: ",", trailing_separator: true, free_indentation: true };

/// How many parts a dotted key may have.
const MAX_PARTS: usize = 100;
/// Fields that name a block, the best first.
const NAMING: [&str; 5] = ["name", "id", "key", "path", "url"];

/// Builds the tree of a TOML text.
pub(in crate::merge) fn tree(document: &str) -> Result<Tree, NoTree> {
    let mut text = Vec::with_capacity(document.len() + 1);
    text.push(b'\n');
    text.extend_from_slice(document.as_bytes());
    let (nodes, apart) = {
        let mut builder = Builder::new(&text);
        builder.document()?;
        let mut apart = builder.runs.into_values().filter(|runs| runs.len() > 1).collect::<Vec<_>>();
        // What is said of them, and done, does not depend on chance.
        apart.sort_unstable();
        (builder.nodes, apart)
    };
    if apart.is_empty() {
        return Tree::new(text, nodes, ROOT, &LANGUAGE);
    }
    let nodes = take_apart(&text, nodes, apart)?;
    Tree::new(text, nodes, ROOT, &LANGUAGE)
}

const ROOT: NodeId = 0;
const PREAMBLE: NodeId = 1;

struct Builder<'t> {
    text: &'t [u8],
    at: usize,
    nodes: Vec<Node>,
    /// The table that the next pair belongs to.
    section: NodeId,
    /// The blocks that are open, outermost first.
    blocks: Vec<Block>,
    /// The paths of all arrays of tables so far.
    arrays: HashSet<String>,
    /// The dotted pairs of the open table: the first part of their keys, and the others.
    dotted: HashMap<NodeId, (String, String)>,
    /// The lists of each array of tables, by what they are in and their header.
    runs: HashMap<(NodeId, String), Vec<NodeId>>,
}

/// A block of an array of tables.
struct Block {
    path: Vec<String>,
    list: NodeId,
    item: NodeId,
}

/// The key of a pair.
#[derive(Default)]
struct Key {
    name: String,
    /// Its first part, and the others.
    first: String,
    rest: String,
}

/// An array or inline table that is being read.
struct Open {
    id: NodeId,
    is_map: bool,
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
        Builder {
            text,
            at: 0,
            nodes,
            section: PREAMBLE,
            blocks: Vec::new(),
            arrays: HashSet::new(),
            dotted: HashMap::new(),
            runs: HashMap::new(),
        }
    }

    fn node(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    fn push(&mut self, node: Node, parent: NodeId) -> NodeId {
        let id = u32_of(self.nodes.len());
        self.nodes.push(node);
        self.node(parent).children.push(id);
        id
    }

    fn document(&mut self) -> Result<(), NoTree> {
        loop {
            let begin = self.at;
            self.trivia();
            let next = self.peek();
            // The first stretch is the head of the file, the others may have comments on the unit before.
            let between = rows::rows(self.text, begin, self.at, b"#");
            let (end, lead) = if begin == 0 {
                let head = rows::head_of_file(&between, next.is_none());
                self.node(PREAMBLE).inner = Span::new(head, head);
                (head, head)
            } else {
                (begin, rows::below(&between, begin, self.at, next.is_none()))
            };
            match next {
                Some(b'[') => self.header(end, lead)?,
                Some(_) => self.pair(end)?,
                None => {
                    self.leave(end, lead, 0, 0);
                    let len = self.text.len();
                    let root = self.node(ROOT);
                    root.item = Span::new(0, len);
                    root.value = root.item;
                    root.inner = Span::new(0, lead);
                    return Ok(());
                }
            }
        }
    }

    /// Ends the open table, whose last pair ended at `end`, at `close`; and all blocks but the first `kept`, and all lists but
    /// the first `lists`.
    fn leave(&mut self, end: usize, close: usize, kept: usize, lists: usize) {
        let finish = |node: &mut Node, inner: usize, close: usize| {
            node.inner.end = u32_of(inner);
            node.value.end = u32_of(close);
            node.item.end = u32_of(close);
        };
        let section = self.section;
        finish(self.node(section), end, close);
        self.group(section);
        for index in (0..self.blocks.len()).rev() {
            let (list, item) = (self.blocks[index].list, self.blocks[index].item);
            if index >= kept && item != section {
                finish(self.node(item), close, close);
            }
            if index >= lists {
                finish(self.node(list), close, close);
            }
        }
        self.blocks.truncate(lists);
    }

    /// Makes pairs `a.b`, `a.c` of a table that stand together one unit `a`, so that it is the same unit as `a = { b = … }`.
    fn group(&mut self, section: NodeId) {
        let dotted = std::mem::take(&mut self.dotted);
        if dotted.is_empty() {
            return;
        }
        let children = std::mem::take(&mut self.node(section).children);
        let first = |id: NodeId| dotted.get(&id).map(|(first, _)| first.as_str());
        let runs = || children.chunk_by(|&a, &b| first(a).is_some() && first(a) == first(b));
        // How often a name begins: groups that are torn apart stay pairs.
        let mut begins: HashMap<Box<str>, usize> = HashMap::new();
        for run in runs() {
            let name = first(run[0]).map(Into::into).or_else(|| self.nodes[run[0] as usize].name.clone());
            *begins.entry(name.unwrap_or_default()).or_default() += 1;
        }
        let mut grouped = Vec::with_capacity(children.len());
        for run in runs() {
            let Some(name) = first(run[0]).filter(|&name| begins.get(name) == Some(&1)) else {
                grouped.extend_from_slice(run);
                continue;
            };
            for id in run {
                self.node(*id).name = dotted.get(id).map(|(_, rest)| rest.as_str().into());
            }
            let start = self.nodes[run[0] as usize].item.start;
            let end = self.nodes[run[run.len() - 1] as usize].item.end;
            let all = Span { start, end };
            let head = Span { start, end: start };
            grouped.push(u32_of(self.nodes.len()));
            self.nodes.push(Node {
                name: Some(name.into()),
                rows: true,
                inner: all,
                children: run.to_vec(),
                ..Node::new(Shape::Map, all, head, all)
            });
        }
        self.node(section).children = grouped;
    }

    /// `[a.b]` or `[[a.b]]`. What stood before it ended at `end`, its own comments begin at `lead`.
    fn header(&mut self, end: usize, lead: usize) -> Result<(), NoTree> {
        let head = self.at;
        self.at += 1;
        let is_block = self.peek() == Some(b'[');
        self.at += usize::from(is_block);
        let path = self.keys()?;
        for _ in 0..=usize::from(is_block) {
            if self.peek() != Some(b']') {
                return Err(self.unexpected("`]`"));
            }
            self.at += 1;
        }
        self.end_of_line()?;

        // The blocks that it is in, and whether it is the next one of a list that is open.
        let inside = |block: &&Block| path.len() > block.path.len() && path.starts_with(&block.path);
        let kept = self.blocks.iter().take_while(inside).count();
        let again = is_block && self.blocks.get(kept).is_some_and(|block| block.path == path);
        let around = kept.checked_sub(1).map(|last| self.blocks[last].item);
        // The pairs of a block end where the first table below it begins.
        let lead = if around == Some(self.section) { end } else { lead };
        let depth = kept.checked_sub(1).map_or(0, |last| self.blocks[last].path.len());
        let mut name = String::new();
        for (index, part) in path.iter().enumerate() {
            if index > depth && self.arrays.contains(&name) {
                return Err(self.wrong(head, "a table of a block that stands apart from it"));
            }
            add_part(&mut name, part);
        }
        let list = self.blocks.get(kept).filter(|_| again).map(|block| block.list);
        self.leave(end, lead, kept, kept + usize::from(again));

        let parent = around.unwrap_or(ROOT);
        let at = self.at;
        let node = |shape, from: usize, name: Option<String>| Node {
            name: name.map(Into::into),
            rows: true,
            section: true,
            inner: Span::new(at, at),
            ..Node::new(shape, Span::new(lead, lead), Span::new(from, from), Span::new(from, from))
        };
        if !is_block {
            let node = node(Shape::Map, head, Some(format!("[{name}]")));
            self.section = self.push(node, parent);
            return Ok(());
        }
        let item = node(Shape::Map, head, None);
        let list = list.unwrap_or_else(|| {
            let title = format!("[[{name}]]");
            let node = Node { inner: Span::new(lead, lead), ..node(Shape::List, lead, Some(title.clone())) };
            let list = self.push(node, parent);
            self.runs.entry((parent, title)).or_default().push(list);
            list
        });
        self.section = self.push(item, list);
        self.arrays.insert(name);
        self.blocks.truncate(kept);
        self.blocks.push(Block { path, list, item: self.section });
        Ok(())
    }

    /// `a.b = value` and all that is in the value.
    fn pair(&mut self, lead: usize) -> Result<(), NoTree> {
        let mut open: Vec<Open> = Vec::new();
        let head = self.at;
        let key = self.key()?;
        let pair = self.value(lead, head, Some(key.name), self.section, &mut open)?;
        if !key.rest.is_empty() {
            self.dotted.insert(pair, (key.first, key.rest));
        }
        while let Some(top) = open.last() {
            let (id, is_map) = (top.id, top.is_map);
            let lead = self.at;
            self.trivia();
            if self.peek() == Some(if is_map { b'}' } else { b']' }) {
                self.at += 1;
                let end = u32_of(self.at);
                let node = self.node(id);
                node.inner.end = u32_of(lead);
                node.value.end = end;
                open.pop();
                if !open.is_empty() {
                    self.tail(id);
                }
                continue;
            }
            let before = self.nodes[id as usize].children.last().map(|&last| &self.nodes[last as usize]);
            if before.is_some_and(|before| before.separator.is_none()) {
                return Err(self.unexpected("`,` or the end of the array or table"));
            }
            let head = self.at;
            let name = if is_map { Some(self.key()?.name) } else { None };
            let inside = open.len();
            let child = self.value(lead, head, name, id, &mut open)?;
            let begins = self.text[lead..head].contains(&b'\n');
            let container = self.node(id);
            container.rows = begins && (container.rows || container.children.len() == 1);
            if open.len() == inside {
                self.tail(child);
            }
        }
        self.end_of_line()?;
        let end = u32_of(self.at);
        self.node(pair).item.end = end;
        Ok(())
    }

    /// Begins a unit whose value is here: a whole scalar, or the beginning of a container.
    fn value(
        &mut self,
        lead: usize,
        head: usize,
        name: Option<String>,
        parent: NodeId,
        open: &mut Vec<Open>,
    ) -> Result<NodeId, NoTree> {
        let start = self.at;
        let (shape, says) = match self.peek() {
            Some(b'{') => (Shape::Map, None),
            Some(b'[') => (Shape::List, None),
            Some(b'"' | b'\'') => self.scalar_string()?,
            _ => {
                self.bare()?;
                (Shape::Leaf, None)
            }
        };
        let mut node = Node {
            name: name.map(Into::into),
            says: says.map(Into::into),
            ..Node::new(shape, Span::new(lead, lead), Span::new(head, start), Span::new(start, self.at))
        };
        node.item.end = u32_of(self.at);
        if matches!(shape, Shape::Map | Shape::List) {
            node.separated = true;
            if open.len() >= MAX_DEPTH {
                return Err(self.wrong(start, &format!("nested deeper than {MAX_DEPTH} levels")));
            }
            self.at += 1;
            // A comment behind the bracket is about the whole container.
            let bracket = self.at;
            self.spaces();
            if self.peek() == Some(b'#') {
                self.comment();
            } else {
                self.at = bracket;
            }
            node.inner = Span::new(self.at, self.at);
        }
        let id = self.push(node, parent);
        if matches!(shape, Shape::Map | Shape::List) {
            open.push(Open { id, is_map: shape == Shape::Map });
        }
        Ok(id)
    }

    /// What stands behind a value in an array or inline table: the comma, comments, up to the end of the line.
    fn tail(&mut self, id: NodeId) {
        let mut end = self.at;
        let mut separator = None;
        let back = self.at;
        self.trivia();
        if self.peek() == Some(b',') {
            separator = Some(Span::new(self.at, self.at + 1));
            self.at += 1;
            end = self.at;
        } else {
            self.at = back;
        }
        self.spaces();
        if self.peek() == Some(b'#') {
            self.comment();
            end = self.at;
        } else if self.is_line_end() {
            end = self.at;
        }
        self.at = end;
        let node = self.node(id);
        node.separator = separator;
        node.item.end = u32_of(end);
    }

    /// Up to the end of the line, where nothing but a comment may stand.
    fn end_of_line(&mut self) -> Result<(), NoTree> {
        self.spaces();
        if self.peek() == Some(b'#') {
            self.comment();
        }
        if self.is_line_end() { Ok(()) } else { Err(self.unexpected("the end of the line")) }
    }

    fn is_line_end(&self) -> bool {
        let rest = &self.text[self.at.min(self.text.len())..];
        rest.is_empty() || rest.starts_with(b"\n") || rest.starts_with(b"\r\n")
    }

    /// A key, and the sign and spaces behind it.
    fn key(&mut self) -> Result<Key, NoTree> {
        let mut key = Key::default();
        for (index, part) in self.keys()?.iter().enumerate() {
            add_part(&mut key.name, part);
            match index {
                0 => key.first.clone_from(&key.name),
                _ => add_part(&mut key.rest, part),
            }
        }
        if self.peek() != Some(b'=') {
            return Err(self.unexpected("`=`"));
        }
        self.at += 1;
        self.spaces();
        Ok(key)
    }

    fn keys(&mut self) -> Result<Vec<String>, NoTree> {
        let mut keys = Vec::new();
        loop {
            self.spaces();
            let start = self.at;
            let part = if let Some(b'"' | b'\'') = self.peek() {
                self.string()?;
                self.said(start)?
            } else {
                while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
                    self.at += 1;
                }
                String::from_utf8_lossy(&self.text[start..self.at]).into_owned()
            };
            if self.at == start {
                return Err(self.unexpected("a key"));
            }
            if keys.len() == MAX_PARTS {
                return Err(self.wrong(start, &format!("a key of more than {MAX_PARTS} parts")));
            }
            keys.push(part);
            self.spaces();
            if self.peek() != Some(b'.') {
                return Ok(keys);
            }
            self.at += 1;
        }
    }

    /// A string as a value.
    fn scalar_string(&mut self) -> Result<(Shape, Option<String>), NoTree> {
        let start = self.at;
        self.string()?;
        let raw = &self.text[start..self.at];
        if raw.contains(&b'\n') {
            return Ok((Shape::Lines, None));
        }
        let said = self.said(start)?;
        let shape = if is_prose(&said) { Shape::Prose } else { Shape::Leaf };
        // The usual spelling stands for itself.
        let plain = raw[0] == b'"' && said.len() + 2 == raw.len();
        Ok((shape, if plain { None } else { serde_json::to_string(&said).ok() }))
    }

    /// What the string from `start` to here says.
    fn said(&self, start: usize) -> Result<String, NoTree> {
        let raw = String::from_utf8_lossy(&self.text[start..self.at]);
        match doc::toml_string(&raw) {
            Some(said) => Ok(said.into_owned()),
            None => Err(self.wrong(start, "not a string that can be read")),
        }
    }

    /// Goes over a string of any of the four kinds.
    fn string(&mut self) -> Result<(), NoTree> {
        let start = self.at;
        let quote = self.text[start];
        let three = [quote; 3];
        let is_long = self.text[start..].starts_with(&three);
        self.at += if is_long { 3 } else { 1 };
        loop {
            match self.peek() {
                None => return Err(self.wrong(start, "a string without end")),
                Some(b'\\') if quote == b'"' => self.at += 2,
                Some(b'\n') if !is_long => return Err(self.wrong(start, "a string without end on its line")),
                Some(byte) if byte == quote && !is_long => {
                    self.at += 1;
                    return Ok(());
                }
                Some(byte) if byte == quote && self.text[self.at..].starts_with(&three) => {
                    // Up to two quotes may stand right before the closing three.
                    let run = self.text[self.at..].iter().take(5).take_while(|&&byte| byte == quote).count();
                    self.at += run;
                    return Ok(());
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// A number, a boolean or a date.
    fn bare(&mut self) -> Result<(), NoTree> {
        let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'_' | b'.' | b':');
        let start = self.at;
        while self.peek().is_some_and(is_bare) {
            self.at += 1;
        }
        // `1979-05-27 07:32:00`: the one scalar with a space in it.
        let is_date = self.at - start == 10 && self.text[start + 4] == b'-' && self.text[start + 7] == b'-';
        if is_date && matches!(self.text[self.at..], [b' ', hours, _, b':', ..] if hours.is_ascii_digit()) {
            self.at += 1;
            while self.peek().is_some_and(is_bare) {
                self.at += 1;
            }
        }
        if self.at == start { Err(self.unexpected("a value")) } else { Ok(()) }
    }

    fn spaces(&mut self) {
        while let Some(b' ' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Goes over white space, line ends and comments.
    fn trivia(&mut self) {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                Some(b'#') => self.comment(),
                Some(0xEF) if self.at == 1 && self.text[1..].starts_with("\u{feff}".as_bytes()) => self.at += 3,
                _ => return,
            }
        }
    }

    fn comment(&mut self) {
        let rest = &self.text[self.at..];
        let line = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        self.at += if line > 0 && rest[line - 1] == b'\r' && line < rest.len() { line - 1 } else { line };
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn unexpected(&self, wanted: &str) -> NoTree {
        self.wrong(self.at, &format!("expected {wanted}"))
    }

    fn wrong(&self, at: usize, what: &str) -> NoTree {
        let line = self.text[1..at.clamp(1, self.text.len())].iter().filter(|&&byte| byte == b'\n').count() + 1;
        NoTree(format!("line {line}: {what}"))
    }
}

/// Adds a part to a dotted key: quoted if it could be taken for something else.
fn add_part(name: &mut String, part: &str) {
    if !name.is_empty() {
        name.push('.');
    }
    let doubtful = |byte: char| matches!(byte, '.' | '"' | '[' | ']') || byte.is_control();
    if part.is_empty() || part.contains(doubtful) {
        name.push_str(&serde_json::Value::from(part).to_string());
    } else {
        name.push_str(part);
    }
}

/// Makes the blocks of lists that stand apart units of what the lists are in, each named by a field.
fn take_apart(text: &[u8], mut nodes: Vec<Node>, apart: Vec<Vec<NodeId>>) -> Result<Vec<Node>, NoTree> {
    let mut items_of: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
    for lists in apart {
        let items: Vec<NodeId> = lists.iter().flat_map(|&list| nodes[list as usize].children.iter().copied()).collect();
        let title = nodes[lists[0] as usize].name.clone().unwrap_or_default();
        let Some(names) = NAMING.iter().find_map(|field| names(text, &nodes, &items, field)) else {
            return Err(NoTree(format!("the blocks `{title}` stand apart, and nothing names each of them")));
        };
        for (&item, name) in items.iter().zip(names) {
            nodes[item as usize].name = Some(format!("{title} {name}").into());
        }
        for list in lists {
            items_of.insert(list, nodes[list as usize].children.clone());
        }
    }
    for node in &mut nodes {
        if node.children.iter().any(|child| items_of.contains_key(child)) {
            let children = node.children.iter().flat_map(|child| match items_of.get(child) {
                Some(items) => items.as_slice(),
                None => std::slice::from_ref(child),
            });
            node.children = children.copied().collect();
        }
    }
    Ok(nodes)
}

/// What a field says in each of the items, if it says something else in each.
fn names(text: &[u8], nodes: &[Node], items: &[NodeId], field: &str) -> Option<Vec<String>> {
    let mut seen = HashSet::new();
    let name = |&item: &NodeId| {
        let mut children = nodes[item as usize].children.iter().map(|&child| &nodes[child as usize]);
        let found = children.find(|child| child.name.as_deref() == Some(field) && !child.is_container())?;
        let bytes = &text[found.value.start as usize..found.value.end as usize];
        let says = found.says.as_deref().map_or_else(|| String::from_utf8_lossy(bytes).into_owned(), str::to_owned);
        seen.insert(says.clone()).then_some(says)
    };
    items.iter().map(name).collect()
}

fn u32_of(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Whether `toml_edit` can read the text; it refuses what is defined twice.
pub(in crate::merge) fn verify(text: &str) -> Result<(), String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match toml_edit::Document::parse(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.message().trim().replace('\n', "; ")),
    }
}

#[cfg(test)]
mod tests;
