//! Bracketed lists with commas, as JSON, TOML arrays and inline tables, and YAML flow collections have them: items are
//! inserted and removed without touching the items that stay.
//!
//! The text between two items (a *gap*) holds white space, comments and at most one comma. It is split into the *tail* of
//! the item before (the comma and what follows on its line, so that a comment goes with its item) and the *head* of the item
//! after (line breaks, indentation, comments on lines of their own).
//!
//! ```text
//! [
//!   1, // one          tail of `1`: `, // one`
//!   // even            head of `2`: newline, comment, newline, indentation
//!   2
//! ]
//! ```

use std::ops::Range;

use super::splice::Splices;

/// What ends a line comment. A carriage return alone does as well, to all who read JSON with comments.
pub(super) const LINE_ENDS: [char; 2] = ['\n', '\r'];

/// White space between items. Other characters for it are none here, and may stand in comments.
const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// How comments look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comments {
    /// `// …` and `/* … */`.
    Slashes,
    /// `# …`.
    Hash,
}

/// A bracketed list in a text.
#[derive(Debug)]
pub(super) struct List<'t> {
    pub(super) text: &'t str,
    pub(super) comments: Comments,
    /// What is between the brackets.
    pub(super) inside: Range<usize>,
    /// The items in order, each from the first byte of its key or value to its last.
    pub(super) items: Vec<Range<usize>>,
    /// How items look that are put in, if the old ones do not tell.
    pub(super) layout: Layout,
    /// The line ending of the text.
    pub(super) eol: &'static str,
}

/// White space for new items.
#[derive(Debug, Clone)]
pub(super) enum Layout {
    /// All on one line: what stands between a bracket and an item, and behind a comma.
    Line { pad: &'static str, gap: &'static str },
    /// One item per line: indentation of the items and of the closing bracket.
    Lines { items: String, close: String },
}

/// An item of the new list.
#[derive(Debug)]
pub(super) enum Piece {
    /// The old item with this index.
    Keep(usize),
    /// A new item.
    New(String),
}

/// A gap, split.
#[derive(Debug, Clone, Copy, Default)]
struct Gap<'t> {
    /// Behind the item, before the comma, on its line.
    before_comma: &'t str,
    comma: bool,
    /// Behind the comma, on its line.
    behind_comma: &'t str,
    /// The rest.
    head: &'t str,
}

impl<'t> List<'t> {
    /// Whether the items stand on lines of their own.
    pub(super) fn is_multiline(&self) -> bool {
        match self.items.first() {
            Some(first) => self.text[self.inside.start..first.start].contains('\n'),
            None => false,
        }
    }

    /// The indentation of items on lines of their own.
    pub(super) fn item_indent(&self) -> Option<&'t str> {
        let last = self.items.last()?;
        self.is_multiline().then(|| super::splice::indent_of(self.text, last.start))
    }

    /// Rewrites the list. Old items that `pieces` does not mention disappear; the text of those it keeps is not touched, so
    /// it may be edited by other splices.
    pub(super) fn rewrite(&self, pieces: Vec<Piece>, out: &mut Splices) {
        if self.items.is_empty() || pieces.is_empty() {
            self.rewrite_whole(pieces, out);
            return;
        }
        let gaps: Vec<Gap<'t>> = (0..=self.items.len()).map(|i| self.split(i)).collect();
        let trailing_comma = gaps[self.items.len()].comma;
        let mut previous = None;
        let mut fresh: Vec<String> = Vec::new();
        for piece in pieces {
            match piece {
                Piece::New(text) => fresh.push(text),
                Piece::Keep(index) => {
                    self.segment(&gaps, previous, Some(index), std::mem::take(&mut fresh), true, out);
                    previous = Some(index);
                }
            }
        }
        let comma = !fresh.is_empty() || trailing_comma;
        self.segment(&gaps, previous, None, fresh, comma, out);
    }

    /// Rewrites what stands between two items that stay (`None`: the bracket).
    fn segment(
        &self,
        gaps: &[Gap<'t>],
        from: Option<usize>,
        to: Option<usize>,
        fresh: Vec<String>,
        comma_after_from: bool,
        out: &mut Splices,
    ) {
        let first_gone = from.map_or(0, |i| i + 1);
        let end_gone = to.unwrap_or(self.items.len());
        if fresh.is_empty() && first_gone == end_gone {
            return;
        }
        let start = from.map_or(self.inside.start, |i| self.items[i].end);
        let end = to.map_or(self.inside.end, |i| self.items[i].start);
        let trailing_comma = gaps[self.items.len()].comma;
        let mut text = String::new();

        // The tail of the item before. A comma it needs and lacks goes right behind the item, before any comment.
        let tail = gaps[first_gone];
        let comma = from.is_some() && comma_after_from;
        if comma && !tail.comma {
            text.push(',');
        }
        text.push_str(tail.before_comma);
        if comma && tail.comma {
            text.push(',');
        }
        text.push_str(tail.behind_comma);

        let mut outside = 0;
        // Comments on lines of their own outlive the item below them.
        for head in (first_gone..end_gone).map(|i| gaps[i].head) {
            if !head.trim_matches(BLANKS).is_empty() {
                self.push_head(&mut text, &mut outside, head.trim_end_matches(BLANKS));
            }
        }
        let template = self.template(gaps);
        let count = fresh.len();
        for (k, item) in fresh.into_iter().enumerate() {
            let very_first = from.is_none() && k == 0;
            let head =
                if very_first && gaps[0].head.trim_matches(BLANKS).is_empty() { gaps[0].head } else { &template };
            self.push_head(&mut text, &mut outside, head);
            text.push_str(&item);
            outside = text.len();
            if k + 1 < count || to.is_some() || trailing_comma {
                text.push(',');
            }
        }

        let head = gaps[end_gone].head;
        let blank = head.trim_matches(BLANKS).is_empty();
        let head = match to {
            Some(0) if count > 0 && blank => &template,
            Some(index) if index > 0 && from.is_none() && count == 0 && blank => gaps[0].head,
            _ => head,
        };
        self.push_head(&mut text, &mut outside, head);
        out.replace(start..end, text);
    }

    /// White space before an item that has a neighbour to its left.
    fn template(&self, gaps: &[Gap<'t>]) -> String {
        if let Some(indent) = self.item_indent() {
            return format!("{}{indent}", self.eol);
        }
        match gaps[1..self.items.len()].last().map(|gap| gap.head) {
            Some(head) if head.bytes().all(|b| b == b' ') => head.to_owned(),
            _ => match &self.layout {
                Layout::Line { gap, .. } => (*gap).to_owned(),
                Layout::Lines { .. } => " ".to_owned(),
            },
        }
    }

    /// A list that was empty, or becomes it.
    fn rewrite_whole(&self, pieces: Vec<Piece>, out: &mut Splices) {
        let old = &self.text[self.inside.clone()];
        let comments: Vec<Gap<'t>> = (0..=self.items.len()).map(|i| self.split(i)).collect();
        let (mut text, mut outside) = (String::new(), 0);
        if !old.trim_matches(BLANKS).is_empty() {
            text.push_str(comments[0].before_comma.trim_end_matches(BLANKS));
            for gap in &comments {
                if !gap.head.trim_matches(BLANKS).is_empty() {
                    self.push_head(&mut text, &mut outside, gap.head.trim_end_matches(BLANKS));
                }
            }
        }
        let fresh: Vec<String> = pieces
            .into_iter()
            .filter_map(|piece| match piece {
                Piece::New(text) => Some(text),
                Piece::Keep(_) => None,
            })
            .collect();
        if fresh.is_empty() {
            if !text.is_empty() {
                // The comments that stay need the closing bracket where it was.
                let head = comments.last().map_or("", |gap| gap.head);
                self.push_head(&mut text, &mut outside, &head[head.trim_end_matches(BLANKS).len()..]);
            }
            out.replace(self.inside.clone(), text);
            return;
        }
        match &self.layout {
            Layout::Line { pad, gap } => {
                self.push_head(&mut text, &mut outside, pad);
                text.push_str(&fresh.join(&format!(",{gap}")));
                text.push_str(pad);
            }
            Layout::Lines { items, close } => {
                for (k, item) in fresh.iter().enumerate() {
                    if k > 0 {
                        text.push(',');
                    }
                    text.push_str(self.eol);
                    text.push_str(items);
                    text.push_str(item);
                }
                text.push_str(self.eol);
                text.push_str(close);
            }
        }
        out.replace(self.inside.clone(), text);
    }

    /// Appends what stands before an item, or the comments of one that is gone; behind a line comment that must begin with a line
    /// break. `outside` is a place in `text` that is in no comment, behind all items: those may hold what looks like one.
    fn push_head(&self, text: &mut String, outside: &mut usize, head: &str) {
        let breaks = head.trim_start_matches([' ', '\t']).starts_with(LINE_ENDS);
        if !breaks && self.ends_in_line_comment(&text[*outside..]) {
            text.push_str(self.eol);
        }
        *outside = text.len();
        text.push_str(head);
    }

    fn ends_in_line_comment(&self, gap: &str) -> bool {
        let mut rest = gap;
        while let Some(at) = self.find(rest, &['#', '/']) {
            let Some(len) = self.comment_len(&rest[at..]) else { return false };
            if at + len == rest.len() {
                return !rest[at..].starts_with("/*");
            }
            rest = &rest[at + len..];
        }
        false
    }

    /// Splits the gap before item `index`.
    fn split(&self, index: usize) -> Gap<'t> {
        let start = if index == 0 { self.inside.start } else { self.items[index - 1].end };
        let end = self.items.get(index).map_or(self.inside.end, |item| item.start);
        let gap = &self.text[start..end];
        let Some(comma) = self.find(gap, &[',']) else {
            let tail = self.tail_len(gap);
            return Gap { before_comma: &gap[..tail], comma: false, behind_comma: "", head: &gap[tail..] };
        };
        let behind = &gap[comma + 1..];
        let tail = self.tail_len(behind);
        Gap { before_comma: &gap[..comma], comma: true, behind_comma: &behind[..tail], head: &behind[tail..] }
    }

    /// How much of the text stands on the line it begins on; nothing if the line does not end in it.
    fn tail_len(&self, text: &str) -> usize {
        self.find(text, &LINE_ENDS).unwrap_or(0)
    }

    /// The first of the `wanted` outside of comments. A line break that ends a line comment is outside.
    fn find(&self, text: &str, wanted: &[char]) -> Option<usize> {
        let mut at = 0;
        while let Some(next) = text[at..].chars().next() {
            if wanted.contains(&next) {
                return Some(at);
            }
            at += self.comment_len(&text[at..]).unwrap_or(next.len_utf8());
        }
        None
    }

    /// The length of the comment that a text begins with, if it does.
    fn comment_len(&self, text: &str) -> Option<usize> {
        let line = || text.find(LINE_ENDS).unwrap_or(text.len());
        match self.comments {
            Comments::Hash => text.starts_with('#').then(line),
            Comments::Slashes if text.starts_with("//") => Some(line()),
            Comments::Slashes => {
                let inside = text.strip_prefix("/*")?;
                Some(inside.find("*/").map_or(text.len(), |end| end + 4))
            }
        }
    }
}
