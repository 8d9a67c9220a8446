//! Finds every statement and every value of a TOML text.
//!
//! The text is known to be valid (`toml_edit` has read it), so this scanner only looks for where things are. What it makes
//! of the text is compared with `toml_edit`'s opinion before any edit is handed out.

use std::borrow::Cow;
use std::ops::Range;

use super::super::MAX_DEPTH;

/// A line that says something.
#[derive(Debug)]
pub(super) enum Statement {
    /// `[a.b]` or `[[a.b]]`.
    Header { range: Range<usize>, keys: Vec<Key>, is_array: bool },
    /// `a.b = value`.
    Pair { keys: Vec<Key>, value: Raw },
}

/// One part of a dotted key.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) range: Range<usize>,
    pub(super) name: String,
}

/// A value.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) range: Range<usize>,
    pub(super) kind: RawKind,
}

#[derive(Debug)]
pub(super) enum RawKind {
    Scalar,
    Array(Vec<Raw>),
    Table(Vec<(Vec<Key>, Raw)>),
}

impl Statement {
    /// From its first byte to its last, without a comment behind it.
    pub(super) fn range(&self) -> Range<usize> {
        match self {
            Self::Header { range, .. } => range.clone(),
            Self::Pair { keys, value } => {
                keys.first().map_or(value.range.start, |key| key.range.start)..value.range.end
            }
        }
    }
}

/// Why the text could not be taken apart.
#[derive(Debug)]
pub(super) enum ScanError {
    /// Nested deeper than allowed, at this offset.
    TooDeep(usize),
    /// Something unexpected at this offset.
    Unexpected(usize),
}

/// All statements, in order.
pub(super) fn scan(text: &str) -> Result<Vec<Statement>, ScanError> {
    let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 0 };
    let mut statements = Vec::new();
    loop {
        scanner.blank();
        let Some(byte) = scanner.peek() else {
            return Ok(statements);
        };
        statements.push(if byte == b'[' { scanner.header()? } else { scanner.pair()? });
    }
}

struct Scanner<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Result<(), ScanError> {
        if self.peek() != Some(byte) {
            return Err(ScanError::Unexpected(self.at));
        }
        self.at += 1;
        Ok(())
    }

    fn spaces(&mut self) {
        while let Some(b' ' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// White space, line breaks and comments.
    fn blank(&mut self) {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(b'#') => self.at += self.text[self.at..].find('\n').unwrap_or(self.text.len() - self.at),
                _ => return,
            }
        }
    }

    fn header(&mut self) -> Result<Statement, ScanError> {
        let start = self.at;
        self.eat(b'[')?;
        let is_array = self.peek() == Some(b'[');
        if is_array {
            self.at += 1;
        }
        let keys = self.keys()?;
        self.eat(b']')?;
        if is_array {
            self.eat(b']')?;
        }
        Ok(Statement::Header { range: start..self.at, keys, is_array })
    }

    fn pair(&mut self) -> Result<Statement, ScanError> {
        let keys = self.keys()?;
        self.eat(b'=')?;
        self.spaces();
        let value = self.value(0)?;
        Ok(Statement::Pair { keys, value })
    }

    fn keys(&mut self) -> Result<Vec<Key>, ScanError> {
        let mut keys = Vec::new();
        loop {
            self.spaces();
            let start = self.at;
            let name = if let Some(b'"' | b'\'') = self.peek() {
                self.string()?;
                string_value(&self.text[start..self.at]).ok_or(ScanError::Unexpected(start))?.into_owned()
            } else {
                while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
                    self.at += 1;
                }
                self.text[start..self.at].to_owned()
            };
            if start == self.at {
                return Err(ScanError::Unexpected(start));
            }
            keys.push(Key { range: start..self.at, name });
            if keys.len() > MAX_DEPTH {
                return Err(ScanError::TooDeep(start));
            }
            self.spaces();
            if self.peek() != Some(b'.') {
                return Ok(keys);
            }
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Raw, ScanError> {
        if depth > MAX_DEPTH {
            return Err(ScanError::TooDeep(self.at));
        }
        let start = self.at;
        let kind = match self.peek() {
            Some(b'"' | b'\'') => {
                self.string()?;
                RawKind::Scalar
            }
            Some(b'[') => {
                let mut items = Vec::new();
                self.list(b']', |scanner| {
                    items.push(scanner.value(depth + 1)?);
                    Ok(())
                })?;
                RawKind::Array(items)
            }
            Some(b'{') => {
                let mut fields = Vec::new();
                self.list(b'}', |scanner| {
                    let keys = scanner.keys()?;
                    scanner.eat(b'=')?;
                    scanner.spaces();
                    fields.push((keys, scanner.value(depth + 1)?));
                    Ok(())
                })?;
                RawKind::Table(fields)
            }
            _ => {
                self.bare();
                if start == self.at {
                    return Err(ScanError::Unexpected(start));
                }
                RawKind::Scalar
            }
        };
        Ok(Raw { range: start..self.at, kind })
    }

    fn list(&mut self, close: u8, mut item: impl FnMut(&mut Self) -> Result<(), ScanError>) -> Result<(), ScanError> {
        self.at += 1;
        loop {
            self.blank();
            if self.peek() == Some(close) {
                self.at += 1;
                return Ok(());
            }
            item(self)?;
            self.blank();
            if self.peek() == Some(b',') {
                self.at += 1;
            } else if self.peek() != Some(close) {
                return Err(ScanError::Unexpected(self.at));
            }
        }
    }

    /// A number, a boolean or a date.
    fn bare(&mut self) {
        let start = self.at;
        let is_bare = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'_' | b'.' | b':');
        while self.peek().is_some_and(is_bare) {
            self.at += 1;
        }
        // `1979-05-27 07:32:00`: the one scalar with a space in it.
        let is_date = self.at - start == 10 && self.bytes[start + 4] == b'-' && self.bytes[start + 7] == b'-';
        let behind = &self.bytes[self.at..];
        if is_date && behind.len() > 3 && behind[0] == b' ' && behind[1].is_ascii_digit() && behind[3] == b':' {
            self.at += 1;
            while self.peek().is_some_and(is_bare) {
                self.at += 1;
            }
        }
    }

    /// Any of the four kinds of string.
    fn string(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        let quote = self.bytes[start];
        let unclosed = || ScanError::Unexpected(start);
        let three = [quote; 3];
        let is_long = self.bytes[start..].starts_with(&three);
        self.at += if is_long { 3 } else { 1 };
        loop {
            let byte = self.peek().ok_or_else(unclosed)?;
            if byte == b'\\' && quote == b'"' {
                self.at += 2;
            } else if byte == quote && !is_long {
                self.at += 1;
                return Ok(());
            } else if byte == quote && self.bytes[self.at..].starts_with(&three) {
                // Up to two quotes may stand right before the closing three.
                let run = self.bytes[self.at..].iter().take_while(|&&b| b == quote).count();
                self.at += run.min(5);
                return Ok(());
            } else {
                self.at += 1;
            }
        }
    }
}

/// The value of a string literal.
pub(crate) fn string_value(raw: &str) -> Option<Cow<'_, str>> {
    let simple = |quote| raw.strip_prefix(quote)?.strip_suffix(quote).filter(|inner: &&str| !inner.is_empty());
    if !raw.starts_with("'''") && !raw.starts_with("\"\"\"") {
        if let Some(inner) = simple('\'') {
            return Some(Cow::Borrowed(inner));
        }
        if let Some(inner) = simple('"').filter(|inner| !inner.contains('\\')) {
            return Some(Cow::Borrowed(inner));
        }
    }
    let value: toml_edit::Value = raw.parse().ok()?;
    value.as_str().map(|text| Cow::Owned(text.to_owned()))
}
