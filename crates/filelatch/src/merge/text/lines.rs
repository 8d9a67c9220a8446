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
        let mut lines = Lines { bytes, bounds: vec![0], numbers: Vec::new() };
        for line in split(bytes) {
            lines.push(line, numbers.number(line));
        }
        lines
    }

    /// As [`new`](Self::new), for a content that is mostly that of `model`: where it goes on as `model` does, lines are compared and
    /// not looked up.
    pub(crate) fn like(bytes: &'a [u8], model: &Lines<'a>, numbers: &mut Numbers<&'a [u8]>) -> Self {
        let mut lines = Lines {
            bytes,
            bounds: Vec::with_capacity(model.bounds.len()),
            numbers: Vec::with_capacity(model.numbers.len()),
        };
        lines.bounds.push(0);
        // Where the lines stand that stand there once.
        let mut places = vec![Place::Nowhere; numbers.count()];
        for (at, number) in model.numbers.iter().enumerate() {
            let place = &mut places[number.0 as usize];
            *place = if *place == Place::Nowhere { Place::Once(at) } else { Place::Often };
        }
        let mut expected = 0;
        let mut rest = bytes;
        while !rest.is_empty() {
            let next = (expected < model.count()).then(|| model.get(expected..expected + 1));
            let (line, number) = match next {
                Some(next) if next.ends_with(b"\n") && rest.starts_with(next) => (next, model.numbers[expected]),
                _ => {
                    let line = split(rest).next().unwrap_or(rest);
                    (line, numbers.number(line))
                }
            };
            if next.is_some() && model.numbers[expected] == number {
                expected += 1;
            } else if let Some(Place::Once(at)) = places.get(number.0 as usize) {
                expected = at + 1;
            }
            rest = &rest[line.len()..];
            lines.push(line, number);
        }
        lines
    }

    fn push(&mut self, line: &[u8], number: Token) {
        self.bounds.push(self.bounds[self.bounds.len() - 1] + line.len());
        self.numbers.push(number);
    }

    pub(crate) fn count(&self) -> usize {
        self.numbers.len()
    }

    /// The bytes of these lines.
    pub(crate) fn get(&self, lines: Range<usize>) -> &'a [u8] {
        &self.bytes[self.bounds[lines.start]..self.bounds[lines.end]]
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    Once(usize),
    Often,
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
