//! Printing TOML.

use serde_json::{Map, Value};

use super::super::pointer::Path;
use super::super::{DocError, Format};

/// A new document.
pub(in super::super) fn print_document(value: &Value) -> Result<String, DocError> {
    let mut printer = Printer::default();
    let Value::Object(fields) = value else {
        return Err(printer.cannot("anything but a table as the whole document"));
    };
    let mut text = String::new();
    printer.body(&mut text, &[], fields)?;
    Ok(text.trim_start_matches('\n').to_owned())
}

/// Prints values and knows where in the document it is, for error messages.
#[derive(Debug, Default)]
pub(super) struct Printer {
    pub(super) at: Path,
}

impl Printer {
    pub(super) fn cannot(&self, message: impl Into<String>) -> DocError {
        DocError::Unrepresentable {
            format: Format::Toml,
            pointer: self.at.as_str().to_owned(),
            message: message.into(),
        }
    }

    /// `[path]` with everything in it, or `[[path]]` for an element of an array. Begins with an empty line, ends with a
    /// line break.
    pub(super) fn section(
        &mut self,
        out: &mut String,
        path: &[String],
        fields: &Map<String, Value>,
        is_element: bool,
    ) -> Result<(), DocError> {
        let only_sections = !fields.is_empty() && fields.values().all(is_section);
        if is_element || !only_sections {
            out.push('\n');
            out.push_str(&header(path, is_element));
            out.push('\n');
        }
        self.body(out, path, fields)
    }

    fn body(&mut self, out: &mut String, path: &[String], fields: &Map<String, Value>) -> Result<(), DocError> {
        for (name, value) in fields.iter().filter(|(_, value)| !is_section(value)) {
            out.push_str(&self.pair("", name, value)?);
            out.push('\n');
        }
        for (name, value) in fields.iter().filter(|(_, value)| is_section(value)) {
            let inner: Vec<String> = path.iter().chain([name]).cloned().collect();
            self.sections(out, &inner, name, value)?;
        }
        Ok(())
    }

    /// The sections of a field that is a table or an array of tables.
    pub(super) fn sections(
        &mut self,
        out: &mut String,
        path: &[String],
        name: &str,
        value: &Value,
    ) -> Result<(), DocError> {
        let mut here = std::mem::take(&mut self.at);
        let result = here.with_key(name, |at| {
            self.at = at.clone();
            match value {
                Value::Object(fields) => self.section(out, path, fields, false),
                Value::Array(items) => {
                    items.iter().filter_map(Value::as_object).try_for_each(|item| self.section(out, path, item, true))
                }
                _ => Err(self.cannot("a table that is none")),
            }
        });
        self.at = here;
        result
    }

    /// `key = value`, with the dotted prefix given.
    pub(super) fn pair(&mut self, prefix: &str, name: &str, value: &Value) -> Result<String, DocError> {
        let mut here = std::mem::take(&mut self.at);
        let result = here.with_key(name, |at| {
            self.at = at.clone();
            self.inline(value)
        });
        self.at = here;
        Ok(format!("{prefix}{} = {}", key(name), result?))
    }

    /// A value on one line.
    pub(super) fn inline(&mut self, value: &Value) -> Result<String, DocError> {
        Ok(match value {
            Value::Null => return Err(self.cannot("null")),
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => self.number(&number.to_string())?,
            Value::String(text) => string(text),
            Value::Array(items) => {
                let mut printed = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    let mut here = std::mem::take(&mut self.at);
                    let result = here.with_index(index, |at| {
                        self.at = at.clone();
                        self.inline(item)
                    });
                    self.at = here;
                    printed.push(result?);
                }
                format!("[{}]", printed.join(", "))
            }
            Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
            Value::Object(fields) => {
                let pairs: Result<Vec<String>, DocError> =
                    fields.iter().map(|(name, value)| self.pair("", name, value)).collect();
                format!("{{ {} }}", pairs?.join(", "))
            }
        })
    }

    fn number(&self, text: &str) -> Result<String, DocError> {
        let is_float = text.bytes().any(|b| matches!(b, b'.' | b'e' | b'E'));
        let fits = if is_float { text.parse::<f64>().is_ok_and(f64::is_finite) } else { text.parse::<i64>().is_ok() };
        if fits {
            return Ok(text.to_owned());
        }
        let limit = if is_float { "a 64-bit float" } else { "a 64-bit integer" };
        Err(self.cannot(format!("the number {text}; it does not fit into {limit}")))
    }
}

/// Whether a field is written as `[table]` or `[[table]]` when it is printed on its own.
pub(super) fn is_section(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(items) => !items.is_empty() && items.iter().all(Value::is_object),
        _ => false,
    }
}

pub(super) fn header(path: &[String], is_element: bool) -> String {
    let path: Vec<String> = path.iter().map(|name| key(name)).collect();
    let path = path.join(".");
    if is_element { format!("[[{path}]]") } else { format!("[{path}]") }
}

/// A key: bare if it can be.
pub(super) fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if bare { name.to_owned() } else { string(name) }
}

/// A basic string.
pub(super) fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    escape(&mut out, text, false);
    out.push('"');
    out
}

/// A string in the style of the one it replaces, where that can hold it.
pub(super) fn string_like(old: &str, text: &str, eol: &str) -> String {
    let controls = text.chars().any(|c| c.is_control() && c != '\t');
    if old.starts_with('\'') && !old.starts_with("'''") && !text.contains('\'') && !controls {
        return format!("'{text}'");
    }
    let long = eol == "\n" && text.contains('\n');
    if long && old.starts_with("'''") && !text.contains("'''") && !text.ends_with('\'') {
        let other_controls = text.chars().any(|c| c.is_control() && c != '\t' && c != '\n');
        if !other_controls {
            return format!("'''\n{text}'''");
        }
    }
    if long && (old.starts_with("'''") || old.starts_with("\"\"\"")) {
        let mut out = "\"\"\"\n".to_owned();
        escape(&mut out, text, true);
        out.push_str("\"\"\"");
        return out;
    }
    string(text)
}

fn escape(out: &mut String, text: &str, multiline: bool) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' if multiline => out.push('\n'),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_ascii_control() => out.extend(["\\u".to_owned(), format!("{:04X}", u32::from(c))]),
            c => out.push(c),
        }
    }
}
