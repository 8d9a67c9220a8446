//! One pass over a JSON text: checks the grammar and notes where every node is.
//!
//! The result is a flat list of nodes in document order; each knows where its successor is, so that a path is followed by
//! hops and never by recursion. Nothing is decoded: strings and numbers stay ranges of the text.

use std::ops::Range;

use super::super::flow::LINE_ENDS;
use super::super::splice::Splice;
use super::super::{DocError, Format, MAX_DEPTH};

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    True,
    False,
    Number,
    /// A string without escapes: its value is its text.
    Plain,
    /// A string with escapes.
    Escaped,
    /// Followed by its members: key, value, key, value.
    Object,
    /// Followed by its elements.
    Array,
}

/// A node: a range of the text, and where in the list the next node behind it (and all it holds) is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) next: u32,
    /// Number of members or elements.
    pub(super) count: u32,
}

/// What a scan found.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) nodes: Vec<Node>,
    /// Whether there are comments or trailing commas, so that strict parsers would refuse the text.
    pub(super) relaxed: bool,
}

/// Scans a text. It must be shorter than 4 GiB.
pub(super) fn scan(text: &str, format: Format) -> Result<Scan, DocError> {
    let mut scanner = Scanner::new(text, format);
    scanner.nodes.reserve(text.len() / 12 + 4);
    scanner.document().map_err(|error| *error)?;
    Ok(Scan { nodes: scanner.nodes, relaxed: scanner.relaxed })
}

/// Scans a text of which most was scanned before.
pub(super) fn scan_again(text: &str, format: Format, before: Before<'_>) -> Result<Scan, DocError> {
    let mut scanner = Scanner::new(text, format);
    scanner.nodes.reserve(before.nodes.len() + 16);
    scanner.before = Some(before);
    scanner.document().map_err(|error| *error)?;
    Ok(Scan { nodes: scanner.nodes, relaxed: scanner.relaxed })
}

/// The kind of a text that is one scalar and nothing else.
pub(super) fn scalar(text: &str) -> Option<Kind> {
    let mut scanner = Scanner::new(text, Format::Json);
    scanner.scalar().ok()?;
    (scanner.at == text.len()).then_some(scanner.nodes.first()?.kind)
}

/// The scan of the text as it was: objects and arrays that no splice touches need not be read again.
///
/// Such a collection means the same wherever it stands, and it is known where that is: its brackets delimit it whatever is
/// next to it. It does not stand deeper than before, because no editor moves a node into another one.
pub(super) struct Before<'o> {
    nodes: &'o [Node],
    /// In order, without overlaps.
    splices: &'o [Splice],
    /// The first node that is not behind us.
    node: usize,
    /// The first splice that is not behind us.
    splice: usize,
    /// How far the splices behind us have moved the text; wraps below zero.
    moved: usize,
}

impl<'o> Before<'o> {
    /// `None`: the splices overlap.
    pub(super) fn new(nodes: &'o [Node], splices: &'o [Splice]) -> Option<Self> {
        let apart = splices.windows(2).all(|pair| pair[0].0.end <= pair[1].0.start);
        apart.then_some(Self { nodes, splices, node: 0, splice: 0, moved: 0 })
    }

    /// The old nodes of the collection at this offset of the new text, the collection itself first; `None`: read it.
    fn untouched(&mut self, at: usize) -> Option<Range<usize>> {
        let mut ahead = self.splices[self.splice..].iter();
        let mut touched_from = usize::MAX;
        for (range, new) in &mut ahead {
            if range.start.wrapping_add(self.moved) + new.len() > at {
                touched_from = range.start;
                break;
            }
            self.splice += 1;
            self.moved = self.moved.wrapping_add(new.len()).wrapping_sub(range.len());
        }
        let was = at.wrapping_sub(self.moved);
        if was >= touched_from {
            return None;
        }
        while let Some(node) = self.nodes.get(self.node).filter(|node| (node.start as usize) < was) {
            self.node = if node.end as usize <= was { node.next as usize } else { self.node + 1 };
        }
        let node = self.nodes.get(self.node)?;
        let same = node.start as usize == was && node.end as usize <= touched_from;
        same.then_some(self.node..node.next as usize)
    }
}

/// In here an error is one pointer, so that success costs one register.
type Scanned<T> = Result<T, Box<DocError>>;

struct Scanner<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    nodes: Vec<Node>,
    relaxed: bool,
    format: Format,
    before: Option<Before<'t>>,
}

impl<'t> Scanner<'t> {
    fn new(text: &'t str, format: Format) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, nodes: Vec::new(), relaxed: false, format, before: None }
    }

    #[cold]
    fn error<T>(&self, at: usize, message: impl Into<String>) -> Scanned<T> {
        Err(Box::new(DocError::parse(self.format, self.text, at, message)))
    }

    /// An error about what stands here instead of what is wanted.
    #[cold]
    fn expected<T>(&self, wanted: &str) -> Scanned<T> {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            None => self.error(self.at, format!("the document ends where {wanted} is expected")),
            Some(c) => self.error(self.at, format!("found `{c}` where {wanted} is expected")),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn document(&mut self) -> Scanned<()> {
        self.trivia()?;
        if self.at == self.bytes.len() {
            return self.error(self.at, "empty document; a JSON document has at least one value");
        }
        let mut open: Vec<u32> = Vec::new();
        'value: loop {
            // A value is due.
            let node = self.nodes.len();
            match self.peek() {
                Some(b'{' | b'[') if self.skip_untouched() => {}
                Some(bracket @ (b'{' | b'[')) => {
                    if open.len() == MAX_DEPTH {
                        return self.error(self.at, format!("nested more than {MAX_DEPTH} levels deep"));
                    }
                    let kind = if bracket == b'{' { Kind::Object } else { Kind::Array };
                    self.push(kind, self.at, self.at);
                    open.push(as_u32(node));
                    self.at += 1;
                    self.trivia()?;
                    let close = if bracket == b'{' { b'}' } else { b']' };
                    if self.peek() != Some(close) {
                        if kind == Kind::Object {
                            self.key()?;
                        }
                        continue 'value;
                    }
                }
                _ => self.scalar()?,
            }
            // A value, or the opening of an empty collection, is behind us.
            let mut just_opened = open.last().is_some_and(|&top| top as usize == node);
            loop {
                let Some(&top) = open.last() else {
                    break 'value;
                };
                let is_object = self.nodes[top as usize].kind == Kind::Object;
                if !just_opened {
                    self.nodes[top as usize].count += 1;
                    self.trivia()?;
                    if self.peek() == Some(b',') {
                        self.at += 1;
                        self.trivia()?;
                        let close = if is_object { b'}' } else { b']' };
                        if self.peek() != Some(close) {
                            if is_object {
                                self.key()?;
                            }
                            continue 'value;
                        }
                        self.relaxed = true;
                    }
                }
                just_opened = false;
                match (self.peek(), is_object) {
                    (Some(b'}'), true) | (Some(b']'), false) => self.at += 1,
                    (_, true) => return self.expected("`,` or `}`"),
                    (_, false) => return self.expected("`,` or `]`"),
                }
                open.pop();
                let next = as_u32(self.nodes.len());
                let node = &mut self.nodes[top as usize];
                node.end = as_u32(self.at);
                node.next = next;
            }
        }
        self.trivia()?;
        if self.at < self.bytes.len() {
            return self.expected("the end of the document");
        }
        Ok(())
    }

    /// Goes over a collection that was scanned before.
    #[inline]
    fn skip_untouched(&mut self) -> bool {
        let Some(before) = &mut self.before else { return false };
        let Some(old) = before.untouched(self.at) else { return false };
        let (nodes, moved) = (before.nodes, as_u32(before.moved));
        let moved_nodes = as_u32(self.nodes.len().wrapping_sub(old.start));
        self.at += (nodes[old.start].end - nodes[old.start].start) as usize;
        self.nodes.extend(nodes[old].iter().map(|node| Node {
            start: node.start.wrapping_add(moved),
            end: node.end.wrapping_add(moved),
            next: node.next.wrapping_add(moved_nodes),
            ..*node
        }));
        true
    }

    #[inline]
    fn scalar(&mut self) -> Scanned<()> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Kind::True),
            Some(b'f') => self.word("false", Kind::False),
            Some(b'n') => self.word("null", Kind::Null),
            Some(b'\'') => self.error(self.at, "single quotes are not JSON; use double quotes"),
            _ => self.expected("a value"),
        }
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize) {
        let next = as_u32(self.nodes.len() + 1);
        self.nodes.push(Node { kind, start: as_u32(start), end: as_u32(end), next, count: 0 });
    }

    fn key(&mut self) -> Scanned<()> {
        if self.peek() != Some(b'"') {
            return self.expected("a key in double quotes");
        }
        self.string()?;
        self.trivia()?;
        if self.peek() != Some(b':') {
            return self.expected("`:`");
        }
        self.at += 1;
        self.trivia()
    }

    #[inline]
    fn trivia(&mut self) -> Scanned<()> {
        loop {
            match self.peek() {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                Some(b'/') => self.comment()?,
                _ => return Ok(()),
            }
        }
    }

    #[cold]
    fn comment(&mut self) -> Scanned<()> {
        let rest = &self.text[self.at..];
        let len = if rest.starts_with("//") {
            rest.find(LINE_ENDS).unwrap_or(rest.len())
        } else if let Some(inside) = rest.strip_prefix("/*") {
            // `/*/` only begins one.
            match inside.find("*/") {
                Some(end) => end + 4,
                None => return self.error(self.at, "this comment is never closed"),
            }
        } else {
            return self.expected("a comment (`//` or `/*`) or a value");
        };
        self.relaxed = true;
        self.at += len;
        Ok(())
    }

    fn word(&mut self, word: &str, kind: Kind) -> Scanned<()> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return self.expected("a value");
        }
        self.push(kind, self.at, self.at + word.len());
        self.at += word.len();
        Ok(())
    }

    fn string(&mut self) -> Scanned<()> {
        let start = self.at;
        let mut kind = Kind::Plain;
        self.at += 1;
        loop {
            self.at += plain_len(&self.bytes[self.at..]);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    kind = Kind::Escaped;
                    self.escape()?;
                }
                None => return self.error(start, "this string is never closed"),
                Some(b'\n' | b'\r') => {
                    return self.error(self.at, "a line break inside a string; write `\\n`, or close the string");
                }
                Some(_) => return self.error(self.at, "a control character inside a string; write it as `\\u00XX`"),
            }
        }
        self.at += 1;
        self.push(kind, start, self.at);
        Ok(())
    }

    fn escape(&mut self) -> Scanned<()> {
        let len = match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 2..self.at + 6);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return self.error(self.at, "`\\u` must be followed by four hexadecimal digits");
                }
                6
            }
            _ => return self.error(self.at, "unknown escape in a string"),
        };
        self.at += len;
        Ok(())
    }

    fn number(&mut self) -> Scanned<()> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let whole = self.digits();
        if whole == 0 {
            return self.expected("a digit");
        }
        if whole > 1 && self.bytes[self.at - whole] == b'0' {
            return self.error(start, "a number cannot begin with `0`");
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return self.expected("a digit");
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits() == 0 {
                return self.expected("a digit");
            }
        }
        self.push(Kind::Number, start, self.at);
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at - start
    }
}

/// Offsets fit: texts of 4 GiB and more are refused before they are scanned. Distances wrap, in both types alike.
#[expect(clippy::cast_possible_truncation, reason = "texts of 4 GiB and more are refused before they are scanned")]
pub(super) fn as_u32(offset: usize) -> u32 {
    offset as u32
}

/// How many bytes of a string are neither quote, backslash nor control character; eight at a time.
#[inline]
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    // A byte below `n` (at most 0x80) borrows into its high bit; see "Bit Twiddling Hacks", haszero and hasless.
    let below = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word;

    let mut rest = bytes;
    while let Some((eight, behind)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let special = (below(word, 0x20) | quote | backslash) & HIGHS;
        if special != 0 {
            // Borrows spread towards higher bytes only, so the lowest hit is exact.
            return bytes.len() - rest.len() + special.trailing_zeros() as usize / 8;
        }
        rest = behind;
    }
    let is_special = |b: &u8| *b < 0x20 || *b == b'"' || *b == b'\\';
    bytes.len() - rest.len() + rest.iter().position(is_special).unwrap_or(rest.len())
}
