//! Lines, and how a client names one: its number, and the beginning of its hash.
//!
//! # Promise
//! An anchor `N:hhhhhh` (N from 1; at least 4 of the hexadecimal digits of the BLAKE3 hash of the line's bytes without its ending) names the line N
//! if that has the hash. Else the line has moved, and is the one that has the hash, if there is exactly one in the content. Else there is none:
//! it was changed, or nobody can tell which it is.
//!
//! # Non-promise
//! Lines of the same text have the same hash: that such a line stands at N does not prove that it is the one that was meant. Who knows the
//! content that the anchor was made for looks there instead.

use std::ops::Range;

use crate::refusal::Refusal;

/// Digits of a hash in what `read` answers.
const DIGITS: usize = 6;

/// The lines of a content.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    bytes: &'a [u8],
    /// Where each begins; after that, where the last ends.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Lines<'a> {
        let mut starts = vec![0];
        starts.extend(bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1));
        if starts.last() != Some(&bytes.len()) {
            starts.push(bytes.len());
        }
        Lines { bytes, starts }
    }

    /// How many. The empty content has none.
    pub(crate) fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// Where these lines are, endings included. Lines count from 0; what is beyond the last is cut off.
    pub(crate) fn range(&self, lines: Range<usize>) -> Range<usize> {
        let at = |line: usize| self.starts[line.min(self.count())];
        at(lines.start)..at(lines.end.max(lines.start))
    }

    /// A line without its ending.
    pub(crate) fn text(&self, line: usize) -> &'a [u8] {
        let line = &self.bytes[self.range(line..line + 1)];
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    /// The line of a position, from 0; that of the end is the last, or the empty one after it.
    pub(crate) fn line_at(&self, position: usize) -> usize {
        self.starts.partition_point(|start| *start <= position).saturating_sub(1).min(self.count())
    }

    /// As `read` shows a line: `N:hhhhhh|`.
    pub(crate) fn label(&self, line: usize) -> String {
        format!("{}:{}|", line + 1, &hash(self.text(line))[..DIGITS])
    }
}

fn hash(line: &[u8]) -> String {
    blake3::hash(line).to_hex().to_string()
}

/// A line as a client names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    /// From 0.
    line: usize,
    digits: String,
}

/// Where an anchor's line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Here. `alone`: no other line has this text.
    At { line: usize, alone: bool },
    /// Nowhere.
    Gone,
    /// Several lines have the hash, and none of them is where it was.
    Several,
}

impl Anchor {
    /// `N:hhhh`; what `read` shows after `|` may still be there.
    pub(crate) fn parse(text: &str) -> Result<Anchor, Refusal> {
        let wrong = || {
            let shown: String = text.chars().take(40).collect();
            Refusal::malformed(format!("`{shown}` is no anchor")).hint(
                "an anchor is `N:hhhhhh`: what stands before `|` in a line that `read` shows with `anchors: true`",
            )
        };
        let name = text.split('|').next().unwrap_or_default();
        let (number, digits) = name.split_once(':').ok_or_else(wrong)?;
        let number: usize = number.trim().parse().map_err(|_| wrong())?;
        let digits = digits.trim().to_ascii_lowercase();
        let hex = (4..=64).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match number.checked_sub(1).filter(|_| hex) {
            Some(line) => Ok(Anchor { line, digits }),
            None => Err(wrong()),
        }
    }

    /// The line that it was made for, from 1.
    pub(crate) fn number(&self) -> usize {
        self.line + 1
    }

    /// Is the line where it was? Asks for one hash only.
    pub(crate) fn stays_in(&self, lines: &Lines<'_>) -> bool {
        self.line < lines.count() && hash(lines.text(self.line)).starts_with(&self.digits)
    }

    /// Looks for the line. `hashes` are those of all lines.
    pub(crate) fn find(&self, hashes: &[String]) -> Found {
        let mut have =
            hashes.iter().enumerate().filter(|(_, hash)| hash.starts_with(&self.digits)).map(|(line, _)| line);
        let (first, second) = (have.next(), have.next());
        let here = hashes.get(self.line).is_some_and(|hash| hash.starts_with(&self.digits));
        match (first, second) {
            _ if here => Found::At { line: self.line, alone: second.is_none() },
            (Some(line), None) => Found::At { line, alone: true },
            (Some(_), Some(_)) => Found::Several,
            _ => Found::Gone,
        }
    }
}

/// The hashes of all lines.
pub(crate) fn hashes(lines: &Lines<'_>) -> Vec<String> {
    (0..lines.count()).map(|line| hash(lines.text(line))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// AGENT-4: lines are what stands between line feeds; their texts and positions.
    #[test]
    fn lines() {
        for (content, texts) in [
            ("", &[][..]),
            ("\n", &[""]),
            ("a", &["a"]),
            ("a\n", &["a"]),
            ("a\r\nb", &["a", "b"]),
            ("\r\n\r\n", &["", ""]),
            ("a\rb\n", &["a\rb"]),
        ] {
            let lines = Lines::new(content.as_bytes());
            let found: Vec<_> = (0..lines.count()).map(|line| std::str::from_utf8(lines.text(line)).unwrap()).collect();
            assert_eq!(found, texts, "{content:?}");
        }
        let lines = Lines::new(b"ab\ncd");
        let at: Vec<_> = (0..=5).map(|position| lines.line_at(position)).collect();
        assert_eq!(at, [0, 0, 0, 1, 1, 2]);
        assert_eq!((lines.range(0..1), lines.range(1..9), lines.range(7..9)), (0..3, 3..5, 5..5));
    }

    /// AGENT-4: anchors, and what is none.
    #[test]
    fn parsed() {
        let anchor = |text: &str| Anchor::parse(text).map(|anchor| (anchor.number(), anchor.digits));
        assert_eq!(anchor("3:ab12"), Ok((3, "ab12".to_owned())));
        assert_eq!(anchor("10:AB12cd|let x = 1:2;"), Ok((10, "ab12cd".to_owned())));
        for bad in ["", "3", "0:abcd", "3:abc", "3:xyzw", "-1:abcd", "99999999999999999999:abcd", ":abcd"] {
            assert_eq!(anchor(bad).unwrap_err().kind, "malformed", "{bad}");
        }
    }

    /// AGENT-4: an anchor finds its line where it was, where it has moved to, and says when it can't tell.
    #[test]
    fn found() {
        let find = |made_for: &str, line: usize, now: &str| {
            let before = Lines::new(made_for.as_bytes());
            let label = before.label(line);
            Anchor::parse(&label).unwrap().find(&hashes(&Lines::new(now.as_bytes())))
        };
        assert_eq!(find("a\nb\n", 1, "a\nb\n"), Found::At { line: 1, alone: true });
        assert_eq!(find("a\nb\n", 1, "x\na\nb\n"), Found::At { line: 2, alone: true });
        assert_eq!(find("a\nb\n", 1, "a\r\nb"), Found::At { line: 1, alone: true });
        assert_eq!(find("a\nb\n", 1, "b\nb\nc\n"), Found::At { line: 1, alone: false });
        assert_eq!(find("a\nb\n", 1, "b\nc\nb\n"), Found::Several);
        assert_eq!(find("a\nb\n", 1, "a\nB\n"), Found::Gone);
        assert_eq!(find("a\nb\n", 1, ""), Found::Gone);
    }

    proptest! {
        /// AGENT-4: a line that is the only one of its text is found wherever it has moved to.
        #[test]
        fn moved(before in proptest::collection::vec("[a-c]{0,2}", 0..20), at in 0..20usize, new in proptest::collection::vec("[a-c]{0,2}", 0..20)) {
            let with = |lines: &[String], at: usize| {
                let mut lines = lines.to_vec();
                lines.insert(at.min(lines.len()), "the one".to_owned());
                lines.join("\n")
            };
            let old = with(&before, at);
            let now = with(&new, at / 2);
            let label = Lines::new(old.as_bytes()).label(at.min(before.len()));
            let found = Anchor::parse(&label).unwrap().find(&hashes(&Lines::new(now.as_bytes())));
            prop_assert_eq!(found, Found::At { line: (at / 2).min(new.len()), alone: true });
        }
    }
}
