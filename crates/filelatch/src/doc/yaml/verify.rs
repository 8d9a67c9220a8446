//! The independent check of an edited YAML text.
//!
//! Two readers look at the old text and at the new one: `serde-saphyr`, which resolves scalars, aliases and merge keys by
//! itself, and our own tree. Each must see what it saw before plus the change. That holds even where the two differ about
//! the old text, as readers of YAML do. A reader that cannot make sense of the old text (a duplicate key somewhere) has no
//! say about the new one; without any reader nothing is handed out.

use serde_json::Value;

use super::super::delta::Delta;
use super::super::number::same_value;
use super::super::syntax::Syntax;
use super::super::{DocError, Format};
use super::YamlSyntax;

pub(super) fn verify(syntax: &YamlSyntax, new: &str, delta: &Delta) -> Result<(), DocError> {
    let failed = |message: String| DocError::VerifyFailed { format: Format::Yaml, message };
    let mut opinions = 0;
    if let Ok(old) = syntax.value(syntax.root()) {
        let found = YamlSyntax::parse(new.to_owned()).and_then(|new| new.value(new.root()));
        if found.map_err(|error| failed(error.to_string()))? != delta.apply(old) {
            return Err(failed("another value than intended".to_owned()));
        }
        opinions += 1;
    }
    if let Ok(old) = read(&syntax.text) {
        if !agrees(&read(new).map_err(failed)?, &delta.apply(old)) {
            return Err(failed("another value than intended, says the second reader".to_owned()));
        }
        opinions += 1;
    }
    if opinions == 0 { Err(failed("no reader makes sense of the text as it was".to_owned())) } else { Ok(()) }
}

/// What `serde-saphyr` reads.
fn read(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        budget: None,
        strict_booleans: true,
        ignore_binary_tag_for_string: true,
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::AsString,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

/// Equal, except that numbers too large for the second reader may come back as floats or as their text.
fn agrees(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| agrees(found, wanted))
        }
        (Value::Object(found), Value::Object(wanted)) => {
            found.len() == wanted.len()
                && wanted.iter().all(|(key, wanted)| found.get(key).is_some_and(|found| agrees(found, wanted)))
        }
        (Value::String(found), Value::Number(wanted)) => {
            let wanted = wanted.to_string();
            (*found == wanted && is_huge(found)) || is_infinite(found, &wanted)
        }
        (Value::Number(found), Value::Number(wanted)) => {
            same_value(&Value::Number(found.clone()), &Value::Number(wanted.clone()))
                || (is_huge(&wanted.to_string()) && found.as_f64() == wanted.as_f64())
        }
        _ => found == wanted,
    }
}

/// Whether the second reader says "infinite" of a number that is too large for a float.
fn is_infinite(found: &str, wanted: &str) -> bool {
    let sign = |text: &str| text.starts_with('-');
    let word = found.trim_start_matches(['-', '+', '.']).eq_ignore_ascii_case("inf");
    word && sign(found) == sign(wanted) && wanted.parse::<f64>().is_ok_and(f64::is_infinite)
}

fn is_huge(number: &str) -> bool {
    number.parse::<i64>().is_err() && number.parse::<u64>().is_err()
}
