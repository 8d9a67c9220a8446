//! RFC 6901 JSON pointers: `/servers/0/name`.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::DocError;

/// One step of a pointer, unescaped.
pub(super) type Token<'p> = Cow<'p, str>;

/// Splits a pointer into its steps. The empty pointer names the whole document.
pub(super) fn parse(pointer: &str) -> Result<Vec<Token<'_>>, DocError> {
    if pointer.is_empty() {
        return Ok(Vec::new());
    }
    let Some(rest) = pointer.strip_prefix('/') else {
        return Err(error(pointer, "a pointer is empty or begins with `/`"));
    };
    rest.split('/').map(|token| unescape(pointer, token)).collect()
}

fn unescape<'p>(pointer: &str, token: &'p str) -> Result<Token<'p>, DocError> {
    if !token.contains('~') {
        return Ok(Cow::Borrowed(token));
    }
    let mut out = String::with_capacity(token.len());
    let mut chars = token.chars();
    while let Some(c) = chars.next() {
        match c {
            '~' => match chars.next() {
                Some('0') => out.push('~'),
                Some('1') => out.push('/'),
                _ => return Err(error(pointer, "`~` must be followed by `0` (for `~`) or `1` (for `/`)")),
            },
            _ => out.push(c),
        }
    }
    Ok(Cow::Owned(out))
}

/// A pointer built up while walking down a document, for messages.
#[derive(Debug, Clone, Default)]
pub(super) struct Path(String);

impl Path {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Runs `inside` with `key` appended.
    pub(super) fn with_key<R>(&mut self, key: &str, inside: impl FnOnce(&mut Self) -> R) -> R {
        let len = self.0.len();
        self.0.push('/');
        for c in key.chars() {
            match c {
                '~' => self.0.push_str("~0"),
                '/' => self.0.push_str("~1"),
                _ => self.0.push(c),
            }
        }
        let result = inside(self);
        self.0.truncate(len);
        result
    }

    /// Runs `inside` with an index appended.
    pub(super) fn with_index<R>(&mut self, index: usize, inside: impl FnOnce(&mut Self) -> R) -> R {
        let len = self.0.len();
        // Writing to a `String` cannot fail.
        let _ok = write!(self.0, "/{index}");
        let result = inside(self);
        self.0.truncate(len);
        result
    }
}

/// Where an array step points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Index {
    /// An existing or not existing element.
    At(usize),
    /// `-`: behind the last element.
    End,
}

/// Reads an array step. RFC 6901: digits without leading zeros, or `-`.
pub(super) fn index(token: &str) -> Option<Index> {
    if token == "-" {
        return Some(Index::End);
    }
    let leading_zero = token.len() > 1 && token.starts_with('0');
    if leading_zero || !token.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    token.parse().ok().map(Index::At)
}

pub(super) fn error(pointer: impl Into<String>, message: impl Into<String>) -> DocError {
    DocError::Pointer { pointer: pointer.into(), message: message.into() }
}

/// Puts steps back together, for messages.
pub(super) fn join(tokens: &[Token<'_>]) -> String {
    let mut path = String::new();
    for token in tokens {
        path.push('/');
        path.push_str(&token.replace('~', "~0").replace('/', "~1"));
    }
    path
}
