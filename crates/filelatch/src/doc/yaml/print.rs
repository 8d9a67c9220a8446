//! Printing YAML.

use serde_json::Value;

use super::super::DocError;
use super::scalar::{double_quoted, is_safe_plain, single_quoted};
use super::tree::Style as Quoting;

/// How a file writes YAML.
#[derive(Debug, Clone)]
pub(super) struct Style {
    /// Spaces per level of mappings.
    pub(super) indent: usize,
    /// Spaces before the dashes of a list under a key.
    pub(super) list_indent: usize,
    /// Whether texts of several lines may be blocks: not before a comment, which would become a part of them.
    pub(super) text_blocks: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { indent: 2, list_indent: 2, text_blocks: true }
    }
}

/// A new document.
#[expect(clippy::unnecessary_wraps, reason = "the printers of all formats have one signature")]
pub(in super::super) fn print_document(value: &Value) -> Result<String, DocError> {
    let mut text =
        if is_block(value) { Style::default().block(value, 0) } else { inline(value, false, Quoting::Plain) };
    text.push('\n');
    Ok(text)
}

/// Whether a value is written over several lines.
pub(super) fn is_block(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => false,
    }
}

impl Style {
    /// A collection that is not empty, its lines indented by `column`; the first line is not.
    pub(super) fn block(&self, value: &Value, column: usize) -> String {
        let pad = " ".repeat(column);
        let lines: Vec<String> = match value {
            Value::Object(map) => map.iter().map(|(name, value)| self.entry(&key(name), value, column)).collect(),
            Value::Array(items) => items.iter().map(|item| self.item(item, column)).collect(),
            _ => Vec::new(),
        };
        lines.join(&format!("\n{pad}"))
    }

    /// A text as a block, if it is better so.
    pub(super) fn text_block(&self, value: &Value, column: usize) -> Option<String> {
        value.as_str().filter(|_| self.text_blocks).and_then(|text| literal(text, column))
    }

    /// `key: value` for a mapping at `column`; the key as it is spelled.
    pub(super) fn entry(&self, key: &str, value: &Value, column: usize) -> String {
        format!("{key}:{}", self.value(value, column))
    }

    /// What follows the colon of a key at `column`, leading space or line break included.
    pub(super) fn value(&self, value: &Value, column: usize) -> String {
        if is_block(value) {
            let indent = if value.is_array() { self.list_indent } else { self.indent };
            let inner = column + indent;
            return format!("\n{}{}", " ".repeat(inner), self.block(value, inner));
        }
        match self.text_block(value, column + self.indent) {
            Some(literal) => format!(" {literal}"),
            None => format!(" {}", inline(value, false, Quoting::Plain)),
        }
    }

    /// `- value` for a list at `column`.
    pub(super) fn item(&self, value: &Value, column: usize) -> String {
        format!("-{}", Self::item_value(self, value, column))
    }

    /// What follows the dash of a list at `column`, leading space included.
    pub(super) fn item_value(&self, value: &Value, column: usize) -> String {
        if is_block(value) {
            return format!(" {}", self.block(value, column + 2));
        }
        match self.text_block(value, column + 2) {
            Some(literal) => format!(" {literal}"),
            None => format!(" {}", inline(value, false, Quoting::Plain)),
        }
    }
}

/// A key.
pub(super) fn key(name: &str) -> String {
    if is_safe_plain(name, true) { name.to_owned() } else { double_quoted(name) }
}

/// A value on one line; strings in the given style if it can hold them.
pub(super) fn inline(value: &Value, in_flow: bool, quoting: Quoting) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => string(text, in_flow, quoting),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| inline(item, true, Quoting::Plain)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        Value::Object(map) => {
            let fields: Vec<String> = map.iter().map(|(name, value)| flow_entry(&key(name), value)).collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

/// `key: value` on one line; the key as it is spelled.
pub(super) fn flow_entry(key: &str, value: &Value) -> String {
    format!("{key}: {}", inline(value, true, Quoting::Plain))
}

fn string(text: &str, in_flow: bool, quoting: Quoting) -> String {
    match quoting {
        Quoting::Double => double_quoted(text),
        Quoting::Single => single_quoted(text).unwrap_or_else(|| double_quoted(text)),
        _ if is_safe_plain(text, in_flow) => text.to_owned(),
        _ => double_quoted(text),
    }
}

/// A text of several lines as a literal block, its lines indented by `column`; `None` if a block cannot hold it exactly.
pub(super) fn literal(text: &str, column: usize) -> Option<String> {
    let body = text.trim_end_matches('\n');
    let newlines = text.len() - body.len();
    let chomping = match newlines {
        0 => "-",
        1 => "",
        _ => return None,
    };
    let unfit = |c: char| {
        (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{FEFF}' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    // Leading white space would need an indentation indicator; trailing white space is too easily lost.
    let fits = text.contains('\n')
        && !body.is_empty()
        && !body.starts_with([' ', '\t', '\n'])
        && !text.contains(unfit)
        && body.split('\n').all(|line| !line.ends_with([' ', '\t']));
    if !fits {
        return None;
    }
    let pad = " ".repeat(column);
    let mut out = format!("|{chomping}");
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&pad);
            out.push_str(line);
        }
    }
    Some(out)
}
