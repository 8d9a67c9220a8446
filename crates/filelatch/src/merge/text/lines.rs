//! A content as numbered lines.

use std::ops::Range;

use gix_imara_diff::Token;

use super::diff::Numbers;

/// A content cut into lines. The line feed belongs to its line; the last line may have none.
pub(crate) struct Lines<'a> {
    bytes: &'a [u8],
    /// Where each line begins, and where the last one ends.
    bounds: Vec<usize>,
    /// The line's number: equal lines have equal ones.
    pub(crate) numbers: Vec<Token>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(bytes: &'a [u8], numbers: &mut Numbers<&'a [u8]>) -> Self {
        let mut bounds = vec![0];
        let mut all = Vec::new();
        for line in split(bytes) {
            bounds.push(bounds[bounds.len() - 1] + line.len());
            all.push(numbers.number(line));
        }
        Lines { bytes, bounds, numbers: all }
    }

    pub(crate) fn count(&self) -> usize {
        self.numbers.len()
    }

    /// The bytes of these lines.
    pub(crate) fn get(&self, lines: Range<usize>) -> &'a [u8] {
        &self.bytes[self.bounds[lines.start]..self.bounds[lines.end]]
    }
}

/// The lines of a content, with their line feeds.
pub(super) fn split(bytes: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    bytes.split_inclusive(|&byte| byte == b'\n')
}

/// Whether the first line ends with CR LF; `None` if it has no line end.
pub(in crate::merge) fn first_is_crlf(bytes: &[u8]) -> Option<bool> {
    let first = split(bytes).next()?;
    first.ends_with(b"\n").then(|| first.ends_with(b"\r\n"))
}
