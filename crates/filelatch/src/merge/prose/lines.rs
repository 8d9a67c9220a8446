//! What lines of Markdown and plain text are.

use crate::merge::options::Kind;

/// The lines, with their ends.
pub(super) fn split(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|&byte| byte == b'\n')
}

/// A line without white space at its end: what it is compared by.
pub(super) fn key(line: &[u8]) -> &[u8] {
    line.trim_ascii_end()
}

pub(super) fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

/// The first line that is not blank.
pub(super) fn first_entry(bytes: &[u8]) -> Option<&[u8]> {
    split(bytes).find(|line| !is_blank(line))
}

/// The level of a heading (`## Title`: 2); not for headings that are underlined.
pub(super) fn heading(line: &[u8]) -> Option<usize> {
    let level = line.iter().take_while(|&&byte| byte == b'#').count();
    let ends = line.get(level).is_none_or(u8::is_ascii_whitespace);
    ((1..=6).contains(&level) && ends).then_some(level)
}

/// The level that an underline gives to the line above it.
pub(super) fn underline(line: &[u8]) -> Option<usize> {
    match key(line) {
        line if line.len() >= 3 && line.iter().all(|&byte| byte == b'=') => Some(1),
        line if line.len() >= 3 && line.iter().all(|&byte| byte == b'-') => Some(2),
        _ => None,
    }
}

pub(super) fn indentation(line: &[u8]) -> usize {
    line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

/// Where the text of a list item begins, if the line begins one.
pub(super) fn bullet(line: &[u8]) -> Option<usize> {
    let at = indentation(line);
    let rest = &line[at..];
    let digits = rest.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
    let marker = match rest.get(digits)? {
        b'-' | b'*' | b'+' if digits == 0 => 1,
        b'.' | b')' if digits > 0 => digits + 1,
        _ => return None,
    };
    rest.get(marker).is_none_or(u8::is_ascii_whitespace).then_some(at + marker)
}

pub(super) fn is_table_row(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"|")
}

/// The label of a link reference definition: `[label]: address`.
pub(super) fn definition(line: &[u8]) -> Option<&[u8]> {
    let line = line.trim_ascii_start().strip_prefix(b"[")?;
    let end = line.iter().position(|&byte| byte == b']')?;
    line[end..].starts_with(b"]:").then_some(&line[..end])
}

/// Follows code blocks through a document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fences {
    kind: Kind,
    open: Option<(u8, usize)>,
    begun: bool,
}

impl Fences {
    pub(super) fn new(kind: Kind) -> Self {
        Fences { kind, open: None, begun: false }
    }

    /// For a text out of the middle of a document.
    pub(super) fn within(kind: Kind) -> Self {
        Fences { kind, open: None, begun: true }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn read(&mut self, bytes: &[u8]) {
        for line in split(bytes) {
            self.read_line(line);
        }
    }

    /// Whether the line is of a block, its first and last line included.
    pub(super) fn read_line(&mut self, line: &[u8]) -> bool {
        if self.kind != Kind::Markdown {
            return false;
        }
        let first = !std::mem::replace(&mut self.begun, true);
        let line = line.trim_ascii();
        let length = |byte: u8| line.iter().take_while(|&&other| other == byte).count();
        match self.open {
            // Data at the head of the document.
            None if first && (line == b"---" || line == b"+++") => self.open = Some((line[0], 3)),
            None => {
                let byte = line.first().copied().filter(|byte| matches!(byte, b'`' | b'~'));
                let Some((byte, length)) = byte.map(|byte| (byte, length(byte))).filter(|(_, length)| *length >= 3)
                else {
                    return false;
                };
                // A code span, not a fence.
                if byte == b'`' && line[length..].contains(&b'`') {
                    return false;
                }
                self.open = Some((byte, length));
            }
            Some((byte, least)) => {
                if length(byte) >= least && length(byte) == line.len() {
                    self.open = None;
                }
            }
        }
        true
    }
}

/// Are all code blocks and comments closed?
pub(super) fn is_closed(bytes: &[u8]) -> bool {
    let mut fences = Fences::within(Kind::Markdown);
    let mut comment = false;
    for line in split(bytes) {
        if !fences.read_line(line) {
            comment = leaves_comment(line, comment);
        }
    }
    !fences.is_open() && !comment
}

/// Whether a comment is open behind the line.
fn leaves_comment(mut line: &[u8], mut open: bool) -> bool {
    loop {
        let mark: &[u8] = if open { b"-->" } else { b"<!--" };
        let Some(at) = line.windows(mark.len()).position(|window| window == mark) else { return open };
        line = &line[at + mark.len()..];
        open = !open;
    }
}
