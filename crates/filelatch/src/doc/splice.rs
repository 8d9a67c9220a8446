//! Text surgery: ranges of the old text, and what replaces them.

use std::ops::Range;

use super::{DocError, Format};

/// The byte order mark, as UTF-8.
pub(super) const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Replacements of an old text, collected in any order and applied in one pass.
#[derive(Debug, Default)]
pub(super) struct Splices(Vec<Splice>);

/// A range of the old text, and what replaces it.
pub(super) type Splice = (Range<usize>, String);

impl Splices {
    /// Replaces a range. An empty range inserts; insertions at one place keep the order in which they were asked for.
    pub(super) fn replace(&mut self, range: Range<usize>, text: impl Into<String>) {
        self.0.push((range, text.into()));
    }

    /// Inserts at an offset.
    pub(super) fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at..at, text);
    }

    /// Inserts at an offset, before everything else that is inserted there so far.
    pub(super) fn insert_first(&mut self, at: usize, text: impl Into<String>) {
        self.0.insert(0, (at..at, text.into()));
    }

    /// Deletes a range.
    pub(super) fn delete(&mut self, range: Range<usize>) {
        self.replace(range, String::new());
    }

    /// The new text; from then on the splices are in order. What is deleted twice is gone, and what is inserted into a range that
    /// another splice deletes stays. Any other overlap is a bug of the editor and is refused.
    pub(super) fn apply(&mut self, text: &str, format: Format) -> Result<String, DocError> {
        self.0.sort_by_key(|(range, _)| (range.start, range.end));
        self.join_deletions();
        let grown: usize = self.0.iter().map(|(_, new)| new.len()).sum();
        let mut out = String::with_capacity(text.len() + grown);
        let mut done = 0;
        let mut in_deletion = false;
        for (range, new) in &self.0 {
            if range.is_empty() && range.start < done && in_deletion {
                out.push_str(new);
                continue;
            }
            in_deletion = new.is_empty();
            let kept = text.get(done..range.start).filter(|_| range.end >= range.start);
            let Some(kept) = kept else {
                let message = format!("edits overlap at byte {}", range.start);
                return Err(DocError::VerifyFailed { format, message });
            };
            out.push_str(kept);
            out.push_str(new);
            done = range.end;
        }
        let Some(rest) = text.get(done..) else {
            return Err(DocError::VerifyFailed {
                format,
                message: format!("an edit ends behind the text, at byte {done}"),
            });
        };
        out.push_str(rest);
        Ok(out)
    }
}

impl Splices {
    /// Deletions that overlap become one.
    fn join_deletions(&mut self) {
        let mut last: Option<usize> = None;
        for index in 0..self.0.len() {
            let (range, new) = &self.0[index];
            if range.is_empty() || !new.is_empty() {
                continue;
            }
            let range = range.clone();
            match last.map(|last| &mut self.0[last].0) {
                Some(before) if range.start < before.end => {
                    before.end = before.end.max(range.end);
                    self.0[index].0 = range.start..range.start;
                }
                _ => last = Some(index),
            }
        }
        self.0.retain(|(range, new)| !range.is_empty() || !new.is_empty());
    }
}

impl std::ops::Deref for Splices {
    type Target = [Splice];

    fn deref(&self) -> &[Splice] {
        &self.0
    }
}

/// Joins ranges that overlap.
pub(super) fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// A place for people: line and column, both counted from 1; columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Position {
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = &text.as_bytes()[..offset.min(text.len())];
        let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        Self {
            line: 1 + text[..line_start].matches('\n').count(),
            // Counting the bytes that begin a character works even when the offset is inside of one.
            column: 1 + before[line_start..].iter().filter(|&&b| b & 0xC0 != 0x80).count(),
        }
    }
}

/// The line ending the text uses: that of its first line.
pub(super) fn eol(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// `text` with its line breaks in the style of the document.
pub(super) fn with_eol(text: String, eol: &str) -> String {
    if eol == "\n" { text } else { text.replace('\n', eol) }
}

/// Where the line of `offset` begins.
pub(super) fn line_start(text: &str, offset: usize) -> usize {
    text[..offset].rfind('\n').map_or(0, |at| at + 1)
}

/// Where the line of `offset` ends, before its line break.
pub(super) fn line_end(text: &str, offset: usize) -> usize {
    let end = text[offset..].find('\n').map_or(text.len(), |at| offset + at);
    if end > offset && text[..end].ends_with('\r') && end < text.len() { end - 1 } else { end }
}

/// Where the next line begins; the end of the text if there is none.
pub(super) fn next_line(text: &str, offset: usize) -> usize {
    text[offset..].find('\n').map_or(text.len(), |at| offset + at + 1)
}

/// The white space the line of `offset` begins with.
pub(super) fn indent_of(text: &str, offset: usize) -> &str {
    let line = &text[line_start(text, offset)..];
    let len = line.bytes().take_while(|b| matches!(b, b' ' | b'\t')).count();
    &line[..len]
}

/// Deletes whole lines, from the line of `first` through the line of `last`. At the end of a text without a final newline
/// the newline before goes as well, so that the text still has none.
pub(super) fn whole_lines(text: &str, first: usize, last: usize) -> Range<usize> {
    let start = line_start(text, first);
    let end = next_line(text, last);
    if end == text.len() && !text.ends_with('\n') && start > 0 {
        let before = text[..start - 1].strip_suffix('\r').map_or(start - 1, str::len);
        return before..end;
    }
    start..end
}
