//! What a plain scalar means: the core schema of YAML 1.2, and how to write a string so that nobody misreads it.

use serde_json::{Number, Value};

use super::super::number;

/// The value of a plain, untagged scalar.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::String("nan".to_owned()),
        _ => {}
    }
    let infinite = |text: &str| matches!(text, ".inf" | ".Inf" | ".INF");
    match text.as_bytes()[0] {
        b'-' if infinite(&text[1..]) => Value::String("-inf".to_owned()),
        b'+' if infinite(&text[1..]) => Value::String("inf".to_owned()),
        b'.' if infinite(text) => Value::String("inf".to_owned()),
        b'-' | b'+' | b'.' | b'0'..=b'9' => match resolve_number(text) {
            Some(number) => Value::Number(number),
            None => Value::String(text.to_owned()),
        },
        _ => Value::String(text.to_owned()),
    }
}

fn resolve_number(text: &str) -> Option<Number> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let signed = digits.starts_with(['+', '-']);
            return u64::from_str_radix(digits, radix).ok().filter(|_| !signed).map(Number::from);
        }
    }
    // JSON's grammar is stricter about digits around the point; the rest of the text is kept as it is.
    let (sign, unsigned) = match text.as_bytes()[0] {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let split = unsigned.find(['.', 'e', 'E']).unwrap_or(unsigned.len());
    let (whole, rest) = unsigned.split_at(split);
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (fraction, exponent) = match rest.strip_prefix('.') {
        Some(rest) => {
            let end = rest.find(['e', 'E']).unwrap_or(rest.len());
            (Some(&rest[..end]), &rest[end..])
        }
        None => (None, rest),
    };
    if !all_digits(whole) || !fraction.is_none_or(all_digits) || whole.len() + fraction.map_or(0, str::len) == 0 {
        return None;
    }
    let trimmed = whole.trim_start_matches('0');
    let whole = if trimmed.is_empty() { "0" } else { trimmed };
    let fraction = match fraction {
        Some("") => ".0".to_owned(),
        Some(digits) => format!(".{digits}"),
        None => String::new(),
    };
    number::from_text(&format!("{sign}{whole}{fraction}{exponent}"))
}

/// Whether a string can be written without quotes, so that every reader, of YAML 1.1 as well, takes it for this string.
pub(super) fn is_safe_plain(text: &str, in_flow: bool) -> bool {
    const WORDS: [&str; 12] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "<<", "="];
    let Some(first) = text.chars().next() else {
        return false;
    };
    let indicator = matches!(
        first,
        '-' | '?'
            | ':'
            | ','
            | '['
            | ']'
            | '{'
            | '}'
            | '#'
            | '&'
            | '*'
            | '!'
            | '|'
            | '>'
            | '\''
            | '"'
            | '%'
            | '@'
            | '`'
    );
    // A dash may begin a word if a letter follows: `-Wall`, `--flag`.
    let dashed = first == '-'
        && text.trim_start_matches('-').chars().next().is_some_and(char::is_alphabetic)
        && !text.starts_with("---");
    let number_like = matches!(first, '0'..='9' | '+' | '.' | '-')
        && text.bytes().all(|b| {
            b.is_ascii_digit()
                || matches!(b, b'.' | b'_' | b':' | b'+' | b'-' | b'e' | b'E' | b'T' | b't' | b'Z' | b' ')
        })
        && !is_version(text);
    let prefixed =
        ["0x", "0o", "0b", "0X"].iter().any(|prefix| text.trim_start_matches(['-', '+']).starts_with(prefix));
    let dotted = text.trim_start_matches(['-', '+']).strip_prefix('.');
    let special = dotted.is_some_and(|word| matches!(word.to_ascii_lowercase().as_str(), "inf" | "nan"));
    let flow_unsafe = in_flow && text.contains([',', '[', ']', '{', '}']);
    !((indicator && !dashed)
        || WORDS.contains(&text.to_ascii_lowercase().as_str())
        || number_like
        || prefixed
        || special
        || flow_unsafe
        || text.contains(": ")
        || text.contains(" #")
        || text.contains('\t')
        || text.starts_with(' ')
        || text.ends_with([':', ' '])
        || text.starts_with("...")
        || text.chars().any(|c| c.is_control() || matches!(c, '\u{FEFF}' | '\u{2028}' | '\u{2029}' | '\u{85}'))
        || resolve(text) != Value::String(text.to_owned()))
}

/// `1.2.3`: no reader takes that for a number.
fn is_version(text: &str) -> bool {
    text.matches('.').count() > 1 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// In double quotes.
pub(super) fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0' => out.push_str("\\0"),
            '\u{85}' => out.push_str("\\N"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            '\u{FEFF}' => out.push_str("\\uFEFF"),
            c if c.is_control() => out.extend(["\\x".to_owned(), format!("{:02X}", u32::from(c))]),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// In single quotes, if they can hold it on one line.
pub(super) fn single_quoted(text: &str) -> Option<String> {
    let fits = !text.chars().any(|c| c.is_control() || matches!(c, '\u{FEFF}' | '\u{2028}' | '\u{2029}'));
    fits.then(|| format!("'{}'", text.replace('\'', "''")))
}
