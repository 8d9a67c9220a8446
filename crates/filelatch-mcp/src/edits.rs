//! Edits of a text: exact pieces of it, or lines that anchors name, replaced one after the other, all or none.
//!
//! # Promise
//! - A piece is replaced where it stands, if it stands there as often as is expected, and in one way only: pieces that overlap each other are
//!   ambiguous. Bytes that no edit replaces are the same bytes.
//! - Each edit sees what those before it made. Anchors are of the content as it was before the first; lines that an earlier edit of the call
//!   replaced are not replaced again.
//! - In a text whose lines all end in CR LF, line feeds of an edit match those and become them; in one whose lines all end in LF, CR LF of
//!   an edit become LF. Where both occur, line feeds match either, and what is inserted ends as the line does where it is put. A byte order mark
//!   stays where it is, and so does a final line ending that no edit touches.
//! - Work is bounded by the number of edits times the length of the text.
//!
//! # Non-promise
//! It knows no files, and no versions: whether the text is the one that the edits were made for is the caller's business.

use memchr::memmem::Finder;
use memchr::{memchr, memchr_iter};
use schemars::JsonSchema;
use serde::Serialize;

use crate::anchors::{Anchor, Found, Lines, hashes};
use crate::refusal::Spot;

mod marks;
#[cfg(test)]
mod tests;

use marks::{Marks, Splice};

/// The byte order mark of UTF-8.
pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";
/// Places that are told of an ambiguous piece.
const PLACES: usize = 10;
/// Bytes of a line that is shown.
const SHOWN: usize = 200;

/// One edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) what: What,
    pub(crate) new_text: String,
}

/// What an edit replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// This piece, so many times.
    Text { old: String, count: usize },
    /// These lines, or nothing, before or behind them.
    Lines { first: Anchor, last: Anchor, at: At },
}

/// Where new lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Replace,
    Before,
    After,
}

/// How sure a caller is that the anchors are of this very content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchored {
    /// It is.
    Here,
    /// It may be.
    Perhaps,
    /// It is not: only lines whose text stands in one place are found.
    Elsewhere,
}

/// What edits made of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edited {
    pub(crate) bytes: Vec<u8>,
    /// Where, from the first line to the last.
    pub(crate) changed: Vec<Changed>,
}

/// A place that was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    /// The line where it begins, from 1, as it is now.
    pub(crate) start_line: usize,
    pub(crate) lines_removed: usize,
    pub(crate) lines_added: usize,
}

/// Why the edits do not fit the text. Edits count from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// The text is not UTF-8 from this byte on.
    NotText { at: usize },
    /// The piece is nowhere, or not as often as expected.
    Missing { edit: usize, found: usize, expected: usize },
    /// The piece is there more often than expected, or in several ways.
    Ambiguous { edit: usize, expected: usize, places: Vec<Spot> },
    /// The piece is empty, and the text is not.
    Empty { edit: usize },
    /// The line of the anchor was changed or removed.
    Gone { edit: usize, line: usize },
    /// The line of the anchor has moved, and several have its text.
    Several { edit: usize, line: usize },
    /// An earlier edit of the same call replaced it.
    Overlaps { edit: usize },
    /// The anchors are not in order.
    Backwards { edit: usize },
    /// The result would be longer than allowed.
    TooLong { edit: usize },
}

/// Which line endings a text has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ending {
    /// None at all.
    #[default]
    None,
    Lf,
    Crlf,
    /// Both kinds.
    Mixed,
}

impl Ending {
    /// Those of a text.
    pub(crate) fn of(bytes: &[u8]) -> Ending {
        let (mut lf, mut crlf) = (false, false);
        for at in memchr_iter(b'\n', bytes) {
            if at > 0 && bytes[at - 1] == b'\r' {
                crlf = true;
            } else {
                lf = true;
            }
            if lf && crlf {
                return Ending::Mixed;
            }
        }
        match (lf, crlf) {
            (true, _) => Ending::Lf,
            (_, true) => Ending::Crlf,
            _ => Ending::None,
        }
    }
}

/// A text with line feeds for all line endings.
pub(crate) fn with_lf(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// A text with CR LF for all line endings.
pub(crate) fn with_crlf(text: &str) -> String {
    with_lf(text).replace('\n', "\r\n")
}

/// Applies edits to a text. The result has at most `limit` bytes.
pub(crate) fn apply(text: &[u8], edits: &[Edit], anchored: Anchored, limit: usize) -> Result<Edited, Unfit> {
    if let Err(e) = std::str::from_utf8(text) {
        return Err(Unfit::NotText { at: e.valid_up_to() });
    }
    let (bom, body) = match text.strip_prefix(BOM) {
        Some(body) => (BOM, body),
        None => (&[][..], text),
    };
    let mut work = Work {
        ending: Ending::of(body),
        body: body.to_vec(),
        marks: Marks::new(),
        limit: limit.saturating_sub(bom.len()),
    };
    let lines = work.find_anchors(edits, anchored)?;
    for (at, (edit, lines)) in edits.iter().zip(lines).enumerate() {
        match (&edit.what, lines) {
            (What::Text { old, count }, _) => work.replace_text(at, old, *count, &edit.new_text)?,
            (What::Lines { at: place, .. }, Some(mark)) => work.replace_lines(at, mark, *place, &edit.new_text)?,
            (What::Lines { first, .. }, None) => return Err(Unfit::Gone { edit: at, line: first.number() }),
        }
    }
    let changed = work.marks.changed(&work.body);
    let bytes = if bom.is_empty() { work.body } else { [bom, &work.body].concat() };
    Ok(Edited { bytes, changed })
}

struct Work {
    ending: Ending,
    body: Vec<u8>,
    marks: Marks,
    limit: usize,
}

impl Work {
    /// Notes where the lines of all anchors are, before anything moves.
    fn find_anchors(&mut self, edits: &[Edit], anchored: Anchored) -> Result<Vec<Option<usize>>, Unfit> {
        if !edits.iter().any(|edit| matches!(edit.what, What::Lines { .. })) {
            return Ok(vec![None; edits.len()]);
        }
        let lines = Lines::new(&self.body);
        let mut all = None;
        let mut found = Vec::with_capacity(edits.len());
        for (edit, one) in edits.iter().enumerate() {
            let What::Lines { first, last, .. } = &one.what else {
                found.push(None);
                continue;
            };
            let mut line = |anchor: &Anchor| {
                if anchored != Anchored::Elsewhere && anchor.stays_in(&lines) {
                    return Ok(anchor.number() - 1);
                }
                match anchor.find(all.get_or_insert_with(|| hashes(&lines))) {
                    Found::At { alone: false, .. } if anchored == Anchored::Elsewhere => {
                        Err(Unfit::Several { edit, line: anchor.number() })
                    }
                    Found::At { line, .. } => Ok(line),
                    Found::Several => Err(Unfit::Several { edit, line: anchor.number() }),
                    Found::Gone => Err(Unfit::Gone { edit, line: anchor.number() }),
                }
            };
            let (first, last) = (line(first)?, line(last)?);
            if last < first {
                return Err(Unfit::Backwards { edit });
            }
            found.push(Some(self.marks.mark(lines.range(first..last + 1))));
        }
        Ok(found)
    }

    fn replace_text(&mut self, edit: usize, old: &str, count: usize, new: &str) -> Result<(), Unfit> {
        let bare = |text: &str| text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
        let (old, new) = (bare(old), bare(new));
        if old.is_empty() {
            if !self.body.is_empty() {
                return Err(Unfit::Empty { edit });
            }
            return self.splice(edit, &[Splice { at: 0, removed: 0, new: new.into_bytes() }]);
        }
        let (old, new) = match self.ending {
            Ending::None => (old, new),
            Ending::Lf => (with_lf(&old), with_lf(&new)),
            Ending::Crlf => (with_crlf(&old), with_crlf(&new)),
            Ending::Mixed => return self.replace_mixed(edit, &with_lf(&old), count, &with_lf(&new)),
        };
        let places = occurrences(&self.body, old.as_bytes(), count);
        let places = Work::checked(edit, places, count, &self.body)?;
        let splices: Vec<_> =
            places.iter().map(|at| Splice { at: *at, removed: old.len(), new: new.clone().into_bytes() }).collect();
        self.splice(edit, &splices)
    }

    /// Line feeds match both kinds of line endings: looked for in the text without the CRs before them.
    fn replace_mixed(&mut self, edit: usize, old: &str, count: usize, new: &str) -> Result<(), Unfit> {
        let (plain, dropped) = without_cr(&self.body);
        let places = occurrences(&plain, old.as_bytes(), count);
        let places = Work::checked(edit, places, count, &plain)?;
        // A CR that was dropped belongs to the line feed behind it.
        let back = |at: usize| at + dropped.partition_point(|position| *position < at);
        let splices: Vec<_> = places
            .iter()
            .map(|place| {
                let (start, end) = (back(*place), back(place + old.len()));
                let crlf = self.ends_in_crlf(start);
                Splice {
                    at: start,
                    removed: end - start,
                    new: if crlf { with_crlf(new) } else { new.to_owned() }.into(),
                }
            })
            .collect();
        self.splice(edit, &splices)
    }

    /// Does the line of this position end in CR LF? The last line, without an ending, is as the one before.
    fn ends_in_crlf(&self, at: usize) -> bool {
        let end = memchr(b'\n', &self.body[at..]).map(|end| at + end);
        let end = end.or_else(|| memchr::memrchr(b'\n', &self.body[..at]));
        end.is_some_and(|end| end > 0 && self.body[end - 1] == b'\r')
    }

    fn checked(edit: usize, found: Occurrences, expected: usize, text: &[u8]) -> Result<Vec<usize>, Unfit> {
        match found {
            Occurrences::Exactly(places) => Ok(places),
            Occurrences::Fewer(found) => Err(Unfit::Missing { edit, found, expected }),
            Occurrences::More(places) => {
                let lines = Lines::new(text);
                let places = places.iter().map(|at| spot(&lines, lines.line_at(*at))).collect();
                Err(Unfit::Ambiguous { edit, expected, places })
            }
        }
    }

    fn replace_lines(&mut self, edit: usize, mark: usize, at: At, new: &str) -> Result<(), Unfit> {
        let Some((lines, after)) = self.marks.lines(mark) else { return Err(Unfit::Overlaps { edit }) };
        let ending = match self.ending {
            Ending::Crlf => "\r\n",
            Ending::Mixed if self.ends_in_crlf(lines.start) => "\r\n",
            _ => "\n",
        };
        let mut new = if ending == "\n" { with_lf(new) } else { with_crlf(new) };
        let ended = self.body[..lines.end].ends_with(b"\n");
        let range = match at {
            At::Replace if self.marks.is_touched(mark) => return Err(Unfit::Overlaps { edit }),
            At::Replace => {
                if ended && !new.is_empty() && !new.ends_with('\n') {
                    new.push_str(ending);
                } else if !ended && new.ends_with(ending) {
                    new.truncate(new.len() - ending.len());
                }
                lines
            }
            At::Before => {
                if !new.ends_with('\n') {
                    new.push_str(ending);
                }
                lines.start..lines.start
            }
            At::After if ended => {
                if !new.ends_with('\n') {
                    new.push_str(ending);
                }
                after..after
            }
            // Behind a last line without an ending: the text still has none.
            At::After => {
                let text = new.strip_suffix(ending).unwrap_or(&new);
                new = format!("{ending}{text}");
                after..after
            }
        };
        self.splice(edit, &[Splice { at: range.start, removed: range.len(), new: new.into_bytes() }])
    }

    /// Replaces pieces, in their order; none overlaps another.
    fn splice(&mut self, edit: usize, splices: &[Splice]) -> Result<(), Unfit> {
        let removed: usize = splices.iter().map(|splice| splice.removed).sum();
        let added = splices.iter().fold(0usize, |sum, splice| sum.saturating_add(splice.new.len()));
        let length = (self.body.len() - removed).saturating_add(added);
        if length > self.limit {
            return Err(Unfit::TooLong { edit });
        }
        if let [Splice { at, removed, new }] = splices {
            self.marks.splice(&self.body, splices);
            self.body.splice(*at..at + removed, new.iter().copied());
            return Ok(());
        }
        let mut body = Vec::with_capacity(length);
        let mut from = 0;
        for splice in splices {
            body.extend_from_slice(&self.body[from..splice.at]);
            body.extend_from_slice(&splice.new);
            from = splice.at + splice.removed;
        }
        body.extend_from_slice(&self.body[from..]);
        self.marks.splice(&self.body, splices);
        self.body = body;
        Ok(())
    }
}

/// A line to be shown.
pub(crate) fn spot(lines: &Lines<'_>, line: usize) -> Spot {
    let text = String::from_utf8_lossy(lines.text(line));
    let cut = text.char_indices().map(|(at, _)| at).find(|at| *at >= SHOWN).unwrap_or(text.len());
    Spot { line: line + 1, text: text[..cut].to_owned() }
}

/// The text without each CR before a line feed, and where, in the result, one is missing: before the byte of that position.
fn without_cr(text: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let mut plain = Vec::with_capacity(text.len());
    let mut dropped = Vec::new();
    for (at, byte) in text.iter().enumerate() {
        if *byte == b'\r' && text.get(at + 1) == Some(&b'\n') {
            dropped.push(plain.len());
        } else {
            plain.push(*byte);
        }
    }
    (plain, dropped)
}

/// Where a piece stands.
enum Occurrences {
    Exactly(Vec<usize>),
    Fewer(usize),
    /// The first of them.
    More(Vec<usize>),
}

/// Looks for a piece that is not empty. In time proportional to the text, whatever they are.
fn occurrences(text: &[u8], piece: &[u8], expected: usize) -> Occurrences {
    let finder = Finder::new(piece);
    let mut places = Vec::new();
    let mut several = false;
    let mut from = 0;
    while let Some(at) = finder.find(&text[from..]).map(|at| from + at) {
        places.push(at);
        from = at + piece.len();
        // One that begins within this one.
        let window = &text[at + 1..text.len().min(at + 2 * piece.len() - 1)];
        if let Some(overlapping) = finder.find(window) {
            several = true;
            places.push(at + 1 + overlapping);
        }
        if (several || places.len() > expected) && places.len() >= PLACES {
            break;
        }
    }
    if several || places.len() > expected {
        places.sort_unstable();
        places.dedup();
        places.truncate(PLACES);
        return Occurrences::More(places);
    }
    if places.len() < expected { Occurrences::Fewer(places.len()) } else { Occurrences::Exactly(places) }
}
