//! Replacing a whole YAML node, in the style of the one it replaces.

use serde_json::Value;

use super::super::DocError;
use super::super::number::is_integer;
use super::super::splice::{line_end, line_start, with_eol};
use super::edit::{Editor, Parent, unrepresentable};
use super::print::{inline, is_block};
use super::tree::{Id, Kind, Node, Style as Quoting};

impl Editor<'_> {
    pub(super) fn replace(&mut self, id: Id, value: &Value, parent: Parent) -> Result<(), DocError> {
        let node = self.get(id);
        self.must_be_unused(&(node.start..node.end))?;
        let untag = node.tag.as_deref().is_some_and(|tag| !fits_tag(tag, value));
        let can_untag = node.anchor.is_none() && matches!(parent, Parent::Mapping(_) | Parent::Sequence(_));
        let is_refused = |tag: &str| !fits_local_tag(tag, value) || self.is_empty(id) && is_read_empty_only(tag);
        if untag && !can_untag || node.tag.as_deref().is_some_and(is_refused) {
            let tag = node.tag.as_deref().unwrap_or_default();
            return Err(unrepresentable(format!("this value behind the tag `{tag}`"), &self.at));
        }
        let quoting = match &node.kind {
            Kind::Scalar { style, .. } => *style,
            _ => Quoting::Plain,
        };
        let is_empty = self.is_empty(id);
        if let Parent::Flow | Parent::FlowBare { .. } = parent {
            let text = inline(value, true, quoting);
            let lead = match parent {
                Parent::FlowBare { .. } if self.ends_in_mark(node.start) => " null: ",
                // A colon would become a part of the anchor or tag.
                Parent::FlowBare { key } if self.is_empty(key) => " : ",
                Parent::FlowBare { .. } => ": ",
                _ if is_empty || touches_properties(node) => " ",
                _ => "",
            };
            self.splices.replace(node.start..node.end, format!("{lead}{text}"));
            return Ok(());
        }
        let column = match parent {
            Parent::Mapping(column) | Parent::Sequence(column) | Parent::BlockBare(column) => column,
            _ => 0,
        };
        // A comment behind or below the value would become a part of a text block, and so would white space.
        self.style.text_blocks = self.has_room_for_text(node.end, column);
        if let Parent::BlockBare(column) = parent {
            let text = format!("\n{}:{}", " ".repeat(column), self.style.value(value, column));
            self.style.text_blocks = true;
            self.splices.insert(line_end(self.text, node.end), with_eol(text, self.eol));
            return Ok(());
        }
        let line_end = line_end(self.text, node.end);
        let is_last = self.text[node.end..line_end].trim().is_empty();
        let (start, text) = if parent == Parent::Document {
            self.root(id, value, quoting)
        } else {
            self.in_block(id, value, quoting, parent, untag)
        };
        let end = if is_last && text.contains('\n') { line_end } else { node.end };
        self.style.text_blocks = true;
        self.splices.replace(start..end, with_eol(text, self.eol));
        Ok(())
    }

    fn is_empty(&self, id: Id) -> bool {
        matches!(self.get(id).kind, Kind::Scalar { style: Quoting::Empty, .. })
    }

    /// A value in a block collection: where it begins, and its text.
    fn in_block(&self, id: Id, value: &Value, quoting: Quoting, parent: Parent, untag: bool) -> (usize, String) {
        let node = self.get(id);
        let is_new = matches!(
            &node.kind,
            Kind::Mapping { flow: false, .. }
                | Kind::Sequence { flow: false, .. }
                | Kind::Scalar { style: Quoting::Empty, .. }
        );
        let (text, whole) = self.replacement(value, quoting, parent, is_new || untag);
        // A new block begins on a line of its own (or directly behind its dash), so it replaces the white space as well.
        let start = match (untag, whole) {
            (true, _) => node.from,
            (false, true) => node.props_end,
            (false, false) => node.start,
        };
        let text = match parent {
            _ if !whole && (untag || touches_properties(node)) => format!(" {text}"),
            // Behind a property there is no room for a collection on the same line.
            Parent::Sequence(column) if is_block(value) && start != node.from => {
                let column = column + 2;
                format!("\n{}{}", " ".repeat(column), self.style.block(value, column))
            }
            _ => text,
        };
        (start, text)
    }

    /// The whole document: a block begins at the first column of a line.
    fn root(&self, id: Id, value: &Value, quoting: Quoting) -> (usize, String) {
        let node = self.get(id);
        let is_collection = is_block(value);
        let text = match self.style.text_block(value, self.style.indent) {
            _ if is_collection => self.style.block(value, 0),
            Some(block) if is_text_block(quoting) => block,
            _ => inline(value, false, if is_text_block(quoting) { Quoting::Plain } else { quoting }),
        };
        let line = line_start(self.text, node.start);
        let bare = node.props_end == node.from;
        if bare && self.is_empty(id) {
            return (node.start, self.behind_comments(node.end, &text));
        }
        if line >= node.props_end && self.text[line..node.start].trim().is_empty() {
            // On a line of its own: behind properties only a collection needs that.
            let joined = !is_collection && !bare && !self.text[node.props_end..line].contains('#');
            return if joined { (node.props_end, format!(" {text}")) } else { (line, text) };
        }
        match is_collection {
            true => (node.props_end, format!("\n{text}")),
            false if touches_properties(node) => (node.start, format!(" {text}")),
            false => (node.start, text),
        }
    }

    /// The text of a new value in a block collection, and whether it brings the white space before it along.
    fn replacement(&self, value: &Value, quoting: Quoting, parent: Parent, whole: bool) -> (String, bool) {
        let column = match parent {
            Parent::Mapping(column) | Parent::Sequence(column) => column,
            _ => 0,
        };
        let block = self.style.text_block(value, column + self.style.indent);
        match (parent, block) {
            (_, Some(block)) if is_text_block(quoting) => (block, false),
            (Parent::Mapping(column), _) if is_block(value) => (self.style.value(value, column), true),
            (Parent::Sequence(column), _) if is_block(value) => (self.style.item_value(value, column), true),
            (_, block) => {
                let lead = if whole { " " } else { "" };
                let text = block.filter(|_| matches!(quoting, Quoting::Plain | Quoting::Empty));
                let text = text.unwrap_or_else(|| inline(value, false, quoting));
                (format!("{lead}{text}"), whole)
            }
        }
    }

    /// A value put into a document of nothing but comments.
    fn behind_comments(&self, at: usize, text: &str) -> String {
        let line = &self.text[line_start(self.text, at)..at];
        let lead = if line.trim().is_empty() { "" } else { "\n" };
        let tail = if self.text[at..].contains('\n') { "" } else { "\n" };
        format!("{lead}{text}{tail}")
    }
}

/// Whether a node stands right behind its anchor or tag, as only a bracket may: `&a[b]`.
fn touches_properties(node: &Node) -> bool {
    node.from < node.props_end && node.props_end == node.start
}

/// Whether a tag of the core schema still says the truth about a new value. Other tags are the application's.
fn fits_tag(tag: &str, value: &Value) -> bool {
    match tag {
        "!!str" | "!!binary" | "!!timestamp" => value.is_string(),
        "!!int" => value.as_number().is_some_and(is_integer),
        "!!float" => value.as_number().is_some_and(|number| !is_integer(number)),
        "!!bool" => value.is_boolean(),
        "!!null" => value.is_null(),
        "!!seq" => value.is_array(),
        "!!map" => value.is_object(),
        "!" => value.is_string() || is_block(value),
        _ => true,
    }
}

/// `!int` is the application's, but readers there are that take it for `!!int`, and some others for a scalar's.
fn fits_local_tag(tag: &str, value: &Value) -> bool {
    let is_scalars = matches!(tag, "!degrees" | "!radians" | "!time" | "!include") || tag.starts_with("!include#");
    let fits = !(is_scalars && (value.is_array() || value.is_object()));
    tag.starts_with("!!") || fits && fits_tag(&format!("!{tag}"), value)
}

/// Tags behind which the second reader takes nothing but nothing: what it has read before it must be able to read again.
fn is_read_empty_only(tag: &str) -> bool {
    matches!(tag, "!!timestamp" | "!timestamp" | "!time" | "!degrees" | "!radians")
}

fn is_text_block(quoting: Quoting) -> bool {
    matches!(quoting, Quoting::Literal | Quoting::Folded)
}
