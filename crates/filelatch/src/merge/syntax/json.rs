//! JSON as a tree of units: strict, with comments and trailing commas, or JSON5.
//!
//! The scanner finds units and leaves the grammar to the parsers that check the result; it is strict about what separates units,
//! because a merge is built on that.

use std::borrow::Cow;

use crate::doc::MAX_DEPTH;
use crate::merge::tree::{Language, NoTree, Node, NodeId, Shape, Span, Tree};

static LANGUAGE: Language =
    Language { comments: &["//"], separator: ",", trailing_separator: true, free_indentation: true };
static STRICT: Language = Language { trailing_separator: false, ..LANGUAGE };

/// Builds the tree of a JSON text.
pub(in crate::merge) fn tree(document: &str) -> Result<Tree, NoTree> {
    let mut text = Vec::with_capacity(document.len() + 1);
    text.push(b'\n');
    text.extend_from_slice(document.as_bytes());
    let (nodes, root, relaxed) = {
        let mut scanner = Scanner { text: &text, at: 0, nodes: Vec::new(), relaxed: false };
        let root = scanner.document()?;
        (scanner.nodes, root, scanner.relaxed)
    };
    Tree::new(text, nodes, root, if relaxed { &LANGUAGE } else { &STRICT })
}

struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
    nodes: Vec<Node>,
    relaxed: bool,
}

/// A container that is being read.
struct Open {
    id: NodeId,
    is_map: bool,
    close: u8,
}

impl Scanner<'_> {
    fn document(&mut self) -> Result<NodeId, NoTree> {
        let mut open: Vec<Open> = Vec::new();
        let root = self.unit(0, None)?;
        self.enter(root, &mut open)?;
        while let Some(top) = open.last() {
            let (id, is_map, close) = (top.id, top.is_map, top.close);
            let lead = self.at;
            self.trivia()?;
            if self.peek() == Some(close) {
                // What stands before it belongs to the close, unless it is behind the last unit on its line.
                self.at += 1;
                let end = self.at;
                let node = &mut self.nodes[id as usize];
                node.inner.end = u32_of(lead);
                node.value.end = u32_of(end);
                open.pop();
                self.tail(id, !open.is_empty())?;
                continue;
            }
            let before = self.nodes[id as usize].children.last().map(|&before| &self.nodes[before as usize]);
            if before.is_some_and(|before| before.separator.is_none()) {
                return Err(self.unexpected("`,` or the end of the list or object"));
            }
            let head = self.at;
            let name = if is_map { Some(self.key()?) } else { None };
            let child = self.unit(lead, Some(head))?;
            self.nodes[child as usize].name = name.map(Into::into);
            self.nodes[id as usize].children.push(child);
            let begins = self.text[lead..head].contains(&b'\n');
            let container = &mut self.nodes[id as usize];
            container.rows = if container.children.len() == 1 { begins } else { container.rows || begins };
            self.enter(child, &mut open)?;
        }
        self.nodes[root as usize].item.end = u32_of(self.text.len());
        if self.nodes[root as usize].separator.is_some() {
            return Err(self.unexpected("the end of the document"));
        }
        let rest = self.nodes[root as usize].value.end as usize;
        self.at = rest;
        self.trivia()?;
        if self.at != self.text.len() {
            return Err(self.unexpected("the end of the document"));
        }
        Ok(root)
    }

    /// Begins a unit at its value; its lead began at `lead`, its head at `head` (or here).
    fn unit(&mut self, lead: usize, head: Option<usize>) -> Result<NodeId, NoTree> {
        if head.is_none() {
            self.trivia()?;
        }
        let head = head.unwrap_or(self.at);
        let start = self.at;
        let Some(first) = self.peek() else { return Err(self.unexpected("a value")) };
        let (shape, says) = match first {
            b'{' => (Shape::Map, None),
            b'[' => (Shape::List, None),
            b'"' | b'\'' => {
                let said = self.string()?;
                let plain = self.text[start] == b'"' && said.len() + 2 == self.at - start;
                // The usual spelling stands for itself.
                let says = if plain { None } else { serde_json::to_string(&said).ok() };
                (if is_prose(&said) { Shape::Prose } else { Shape::Leaf }, says)
            }
            _ => {
                self.word()?;
                (Shape::Leaf, None)
            }
        };
        let node = Node {
            says: says.map(Into::into),
            ..Node::new(shape, Span::new(lead, lead), Span::new(head, start), Span::new(start, self.at))
        };
        self.nodes.push(node);
        Ok(u32_of(self.nodes.len() - 1))
    }

    /// Goes into a container, or ends a leaf.
    fn enter(&mut self, id: NodeId, open: &mut Vec<Open>) -> Result<(), NoTree> {
        let is_map = match self.nodes[id as usize].shape {
            Shape::Map => true,
            Shape::List => false,
            _ => return self.tail(id, !open.is_empty()),
        };
        if open.len() >= MAX_DEPTH {
            return Err(NoTree(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.at += 1;
        let at = u32_of(self.at);
        self.nodes[id as usize].inner = Span { start: at, end: at };
        self.nodes[id as usize].separated = true;
        open.push(Open { id, is_map, close: if is_map { b'}' } else { b']' } });
        Ok(())
    }

    /// What stands behind a value on its line: the separator, a comment.
    fn tail(&mut self, id: NodeId, inside: bool) -> Result<(), NoTree> {
        let mut end = self.at;
        let mut separator = None;
        loop {
            while matches!(self.peek(), Some(b' ' | b'\t')) {
                self.at += 1;
            }
            match self.peek() {
                Some(b',') if separator.is_none() && inside => {
                    separator = Some(Span::new(self.at, self.at + 1));
                    self.at += 1;
                    end = self.at;
                }
                Some(b'/') => {
                    let begin = self.at;
                    self.comment()?;
                    // A comment before the next unit on the same line belongs to that one.
                    let lines_end =
                        matches!(self.rest_of_line(), None | Some(b'\r' | b'\n' | b',' | b'}' | b']' | b'/'));
                    if !lines_end {
                        self.at = begin;
                        break;
                    }
                    end = self.at;
                }
                // A comma on a line of its own.
                Some(b'\r' | b'\n') if separator.is_none() && inside => {
                    let back = self.at;
                    self.trivia()?;
                    if self.peek() != Some(b',') {
                        self.at = back;
                        break;
                    }
                }
                _ => break,
            }
        }
        self.at = end;
        let node = &mut self.nodes[id as usize];
        node.separator = separator;
        node.item.end = u32_of(end);
        Ok(())
    }

    fn rest_of_line(&self) -> Option<u8> {
        self.text[self.at..].iter().copied().find(|byte| !matches!(byte, b' ' | b'\t'))
    }

    fn key(&mut self) -> Result<String, NoTree> {
        let name = if matches!(self.peek(), Some(b'"' | b'\'')) {
            self.string()?
        } else {
            let start = self.at;
            self.word()?;
            self.relaxed = true;
            String::from_utf8_lossy(&self.text[start..self.at]).into_owned()
        };
        self.trivia()?;
        if self.peek() != Some(b':') {
            return Err(self.unexpected("`:`"));
        }
        self.at += 1;
        self.trivia()?;
        Ok(name)
    }

    /// Reads a string; answers what it says.
    fn string(&mut self) -> Result<String, NoTree> {
        let quote = self.text[self.at];
        let start = self.at;
        self.at += 1;
        let mut escaped = false;
        loop {
            match self.peek() {
                None => return Err(self.unexpected("the end of a string")),
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                Some(b'\n') => return Err(self.unexpected("the end of a string on its line")),
                Some(byte) if byte == quote => break,
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        let inside = String::from_utf8_lossy(&self.text[start + 1..self.at - 1]);
        self.relaxed |= quote == b'\'';
        if !escaped {
            return Ok(inside.into_owned());
        }
        let whole: Cow<'_, str> = if quote == b'"' {
            String::from_utf8_lossy(&self.text[start..self.at])
        } else {
            Cow::Owned(format!("\"{}\"", inside.replace("\\'", "'").replace('"', "\\\"")))
        };
        // What serde_json can't decode (half surrogates, JSON5's escapes) is what its bytes are.
        Ok(serde_json::from_str(&whole).unwrap_or_else(|_| inside.into_owned()))
    }

    fn word(&mut self) -> Result<(), NoTree> {
        let start = self.at;
        while let Some(byte) = self.peek() {
            if byte.is_ascii_whitespace()
                || matches!(byte, b',' | b':' | b'{' | b'}' | b'[' | b']' | b'"' | b'\'' | b'/')
            {
                break;
            }
            self.at += 1;
        }
        if self.at == start { Err(self.unexpected("a value")) } else { Ok(()) }
    }

    /// Skips white space and comments.
    fn trivia(&mut self) -> Result<(), NoTree> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                Some(b'/') => self.comment()?,
                Some(0xEF) if self.at == 1 && self.text[1..].starts_with("\u{feff}".as_bytes()) => self.at += 3,
                _ => return Ok(()),
            }
        }
    }

    fn comment(&mut self) -> Result<(), NoTree> {
        self.relaxed = true;
        let rest = &self.text[self.at..];
        if rest.starts_with(b"//") {
            // A carriage return alone ends it, too.
            self.at += rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
            Ok(())
        } else if rest.starts_with(b"/*") {
            let end = rest[2..].windows(2).position(|pair| pair == b"*/");
            match end {
                Some(end) => {
                    self.at += end + 4;
                    Ok(())
                }
                None => Err(self.unexpected("the end of a comment")),
            }
        } else {
            Err(self.unexpected("a comment"))
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn unexpected(&self, wanted: &str) -> NoTree {
        let at = self.at.min(self.text.len());
        let line = self.text[1.min(at)..at].iter().filter(|&&byte| byte == b'\n').count() + 1;
        NoTree(format!("line {line}: expected {wanted}"))
    }
}

/// Is this a sentence, so that its words can be merged?
pub(in crate::merge) fn is_prose(text: &str) -> bool {
    text.split_ascii_whitespace().take(3).count() >= 3
}

fn u32_of(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Whether other parsers can read the text: `serde_json`, or `jsonc-parser` with all that people use.
pub(in crate::merge) fn verify(text: &str) -> Result<(), String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => Ok(()),
        Err(strict) => match jsonc_parser::parse_to_value(text, &jsonc_parser::ParseOptions::default()) {
            Ok(_) => Ok(()),
            Err(_) => Err(strict.to_string()),
        },
    }
}
