//! Printing JSON values, in the style of the file they go into.

use serde_json::Value;

/// How a file writes JSON.
#[derive(Debug, Clone)]
pub(super) struct Style {
    /// One level of indentation.
    pub(super) unit: String,
    /// Between key and value: `: ` or `:` or whatever the file has.
    pub(super) colon: String,
    /// Behind a comma on one line.
    pub(super) gap: &'static str,
}

impl Default for Style {
    fn default() -> Self {
        Self { unit: "  ".to_owned(), colon: ": ".to_owned(), gap: " " }
    }
}

/// A new document.
pub(in super::super) fn print_document(value: &Value) -> String {
    let mut text = Style::default().print(value, Some(""));
    text.push('\n');
    text
}

impl Style {
    /// Prints a value: over several lines if the indentation of its first line is given, else on one line.
    pub(super) fn print(&self, value: &Value, indent: Option<&str>) -> String {
        let mut out = String::new();
        self.push(&mut out, value, indent);
        out
    }

    /// Prints a member of an object.
    pub(super) fn member(&self, key: &str, value: &Value, indent: Option<&str>) -> String {
        let mut out = String::new();
        self.push_member(&mut out, key, value, indent);
        out
    }

    fn push_member(&self, out: &mut String, key: &str, value: &Value, indent: Option<&str>) {
        push_string(out, key);
        out.push_str(&self.colon);
        self.push(out, value, indent);
    }

    fn push(&self, out: &mut String, value: &Value, indent: Option<&str>) {
        match value {
            Value::String(text) => push_string(out, text),
            Value::Array(items) => self.push_list(out, ['[', ']'], indent, items.iter(), |out, item, indent| {
                self.push(out, item, indent);
            }),
            Value::Object(map) => self.push_list(out, ['{', '}'], indent, map.iter(), |out, (key, value), indent| {
                self.push_member(out, key, value, indent);
            }),
            scalar => out.push_str(&scalar.to_string()),
        }
    }

    fn push_list<T>(
        &self,
        out: &mut String,
        [open, close]: [char; 2],
        indent: Option<&str>,
        items: impl ExactSizeIterator<Item = T>,
        push: impl Fn(&mut String, T, Option<&str>),
    ) {
        out.push(open);
        let empty = items.len() == 0;
        let deeper = indent.map(|indent| format!("{indent}{}", self.unit));
        for (i, item) in items.enumerate() {
            if i > 0 {
                out.push(',');
            }
            match &deeper {
                Some(deeper) => {
                    out.push('\n');
                    out.push_str(deeper);
                }
                None if i > 0 => out.push_str(self.gap),
                None => {}
            }
            push(out, item, deeper.as_deref());
        }
        if let (Some(indent), false) = (indent, empty) {
            out.push('\n');
            out.push_str(indent);
        }
        out.push(close);
    }
}

fn push_string(out: &mut String, text: &str) {
    // A JSON value prints itself; there is no reason to escape by hand.
    out.push_str(&Value::String(text.to_owned()).to_string());
}
