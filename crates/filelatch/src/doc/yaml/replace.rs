//! Replacing a whole YAML node, in the style of the one it replaces.

use serde_json::Value;

use super::super::number::is_integer;
use super::super::splice::{line_end, line_start, with_eol};
use super::super::{DocError, Format};
use super::edit::{Editor, Parent};
use super::print::{inline, is_block, literal};
use super::tree::{Id, Kind, Style as Quoting};

impl Editor<'_> {
    pub(super) fn replace(&mut self, id: Id, value: &Value, parent: Parent) -> Result<(), DocError> {
        let node = self.get(id);
        self.must_be_unused(&(node.start..node.end))?;
        let untag = node.tag.as_deref().is_some_and(|tag| !fits_tag(tag, value));
        if untag && (node.anchor.is_some() || !matches!(parent, Parent::Mapping(_) | Parent::Sequence(_))) {
            return Err(DocError::Unrepresentable {
                format: Format::Yaml,
                pointer: self.at.as_str().to_owned(),
                message: format!("this value behind the tag `{}`", node.tag.as_deref().unwrap_or_default()),
            });
        }
        let quoting = match &node.kind {
            Kind::Scalar { style, .. } => *style,
            _ => Quoting::Plain,
        };
        let is_empty = matches!(&node.kind, Kind::Scalar { style: Quoting::Empty, .. });
        if let Parent::Flow | Parent::FlowBare = parent {
            let text = inline(value, true, quoting);
            let lead = match (is_empty, parent) {
                (true, Parent::FlowBare) => ": ",
                (true, _) => " ",
                _ => "",
            };
            self.splices.replace(node.start..node.end, format!("{lead}{text}"));
            return Ok(());
        }
        if let Parent::BlockBare(column) = parent {
            let text = format!("\n{}:{}", " ".repeat(column), self.style.value(value, column));
            self.splices.insert(line_end(self.text, node.end), with_eol(text, self.eol));
            return Ok(());
        }
        let was_block = matches!(&node.kind, Kind::Mapping { flow: false, .. } | Kind::Sequence { flow: false, .. });
        // A comment behind the value would become a part of a text block.
        let behind = &self.text[node.end..line_end(self.text, node.end)];
        let quoting = match quoting {
            Quoting::Plain | Quoting::Empty if !behind.trim().is_empty() && is_multiline(value) => Quoting::Double,
            quoting => quoting,
        };
        let (text, whole) = self.replacement(value, quoting, parent, was_block || is_empty || untag);
        // A new block begins on a line of its own (or directly behind its dash), so it replaces the white space as well. Before the
        // root of a document that is its first lines.
        let is_root = matches!(parent, Parent::Document);
        let start = match (untag, whole) {
            (true, _) => node.from,
            (false, true) if !is_root || node.props_end != node.from => node.props_end,
            (false, _) => node.start,
        };
        let text = if (untag && !whole) || (is_root && start == node.props_end && start != node.start) {
            format!(" {text}")
        } else {
            text
        };
        let text =
            if is_empty && matches!(parent, Parent::Document) { self.behind_comments(node.end, &text) } else { text };
        self.splices.replace(start..node.end, with_eol(text, self.eol));
        Ok(())
    }

    /// The text of a new value in block context, and whether it brings the white space before it along.
    fn replacement(&self, value: &Value, quoting: Quoting, parent: Parent, whole: bool) -> (String, bool) {
        let column = match parent {
            Parent::Mapping(column) | Parent::Sequence(column) => column,
            _ => 0,
        };
        let text = value.as_str();
        let is_text_block = matches!(quoting, Quoting::Literal | Quoting::Folded);
        if let Some(block) = text.filter(|_| is_text_block).and_then(|text| literal(text, column + self.style.indent)) {
            return (block, false);
        }
        match parent {
            Parent::Document if is_block(value) => (self.style.block(value, 0), false),
            Parent::Mapping(column) if is_block(value) => (self.style.value(value, column), true),
            Parent::Sequence(column) if is_block(value) => (self.style.item_value(value, column), true),
            _ => {
                let text = match text.filter(|_| matches!(quoting, Quoting::Plain | Quoting::Empty)) {
                    Some(text) => literal(text, column + self.style.indent).filter(|_| parent != Parent::Document),
                    None => None,
                };
                let text = text.unwrap_or_else(|| inline(value, false, quoting));
                let lead = if whole && parent != Parent::Document { " " } else { "" };
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
        _ => true,
    }
}

fn is_multiline(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains('\n'))
}
