//! Numbers keep their text; these helpers compare them by what they mean.

use serde_json::{Number, Value};

/// Whether a typed program would take the two for the same number: equal as integers if both are written as integers, else
/// equal as 64-bit floats. `1e2` is `100.0`; `9007199254740993` is not `9007199254740992`.
pub(super) fn same_number(a: &Number, b: &Number) -> bool {
    let (a, b) = (a.to_string(), b.to_string());
    if a == b {
        return true;
    }
    if is_integer_text(&a) && is_integer_text(&b) {
        // `-0` is 0 to every reader of integers.
        let zero = |text: &str| matches!(text, "0" | "-0");
        return zero(&a) && zero(&b);
    }
    match (a.parse::<f64>(), b.parse::<f64>()) {
        // Exactness is the point here: equal bits, equal number.
        (Ok(a), Ok(b)) => a.is_finite() && a.total_cmp(&b).is_eq() || (a.abs() + b.abs()).total_cmp(&0.0).is_eq(),
        _ => false,
    }
}

/// Whether a number is written as an integer.
pub(super) fn is_integer(number: &Number) -> bool {
    is_integer_text(&number.to_string())
}

fn is_integer_text(text: &str) -> bool {
    !text.bytes().any(|b| matches!(b, b'.' | b'e' | b'E'))
}

/// Whether two values are equal when numbers are compared by what they mean.
pub(super) fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => same_number(a, b),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same_value(a, b)))
        }
        _ => a == b,
    }
}

/// A number with exactly this text, which must follow JSON's grammar.
pub(super) fn from_text(text: &str) -> Option<Number> {
    serde_json::from_str(text).ok()
}

/// Whether two values are equal where integers and floats are different things, but `1.50` and `1.5` are not.
pub(super) fn same_kind_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => is_integer(a) == is_integer(b) && same_number(a, b),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_kind_value(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same_kind_value(a, b)))
        }
        _ => a == b,
    }
}
