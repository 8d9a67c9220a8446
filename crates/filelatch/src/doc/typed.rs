//! Typed reading and writing: a program's struct, laid over a document that may hold more than the struct knows.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::Segment;

use super::diff::{self, Step};
use super::number::same_value;
use super::pointer;
use super::{DocError, Format};

/// Reads a value into a type.
pub(crate) fn read<T: DeserializeOwned>(value: &Value) -> Result<T, DocError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let steps = error.path().iter().filter_map(|segment| match segment {
            Segment::Seq { index } => Some(Cow::Owned(index.to_string())),
            Segment::Map { key } => Some(Cow::Borrowed(key.as_str())),
            Segment::Enum { .. } | Segment::Unknown => None,
        });
        let pointer = pointer::join(&steps.collect::<Vec<_>>());
        DocError::TypeMismatch { pointer, message: error.inner().to_string() }
    })
}

/// Turns a program's value into a document's.
pub(super) fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, DocError> {
    serde_json::to_value(value)
        .map_err(|error| DocError::TypeMismatch { pointer: String::new(), message: error.to_string() })
}

/// What is to be written so that `new` is read: what is there now with the changes of the program, or all of `new`.
pub(crate) fn laid_over<T: Serialize + DeserializeOwned>(
    current: Option<&Value>,
    new: &T,
    format: Format,
) -> Result<Value, DocError> {
    let after = to_value(new)?;
    let mut wanted = match current {
        Some(current) => overlay(current.clone(), &to_value(&read::<T>(current)?)?, after.clone()),
        None => after.clone(),
    };
    if format == Format::Toml {
        without_nulls(&mut wanted);
    }
    // Renamed or aliased fields could make the overlay mean something else; the type itself is asked.
    if !same_value(&to_value(&read::<T>(&wanted)?)?, &after) {
        let message = "the value does not survive being written and read again".to_owned();
        return Err(DocError::TypeMismatch { pointer: String::new(), message });
    }
    Ok(wanted)
}

/// TOML says that there is nothing by leaving the field out.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// `document` with the changes that lead from `before` to `after`, both as the program sees them. What the program's type
/// does not know (fields it ignores, numbers it rounds) stays as it is in the document.
fn overlay(document: Value, before: &Value, after: Value) -> Value {
    if same_value(before, &after) {
        return document;
    }
    match (document, before, after) {
        (Value::Object(document), Value::Object(before), Value::Object(after)) => {
            Value::Object(overlay_object(document, before, after))
        }
        (Value::Array(document), Value::Array(before), Value::Array(after)) if document.len() == before.len() => {
            Value::Array(overlay_array(document, before, after))
        }
        (_, _, after) => after,
    }
}

fn overlay_object(
    document: Map<String, Value>,
    before: &Map<String, Value>,
    mut after: Map<String, Value>,
) -> Map<String, Value> {
    let mut result = Map::with_capacity(document.len());
    for (key, value) in document {
        match (before.get(&key), after.shift_remove(&key)) {
            (Some(before), Some(after)) => result.insert(key, overlay(value, before, after)),
            (None, Some(after)) => result.insert(key, after),
            (None, None) => result.insert(key, value),
            (Some(_), None) => continue,
        };
    }
    for (key, value) in after {
        // A field the document lacks and the program did not touch (a default) is not written.
        if before.get(&key).is_none_or(|before| !same_value(before, &value)) {
            result.insert(key, value);
        }
    }
    result
}

fn overlay_array(mut document: Vec<Value>, before: &[Value], mut after: Vec<Value>) -> Vec<Value> {
    let steps = diff::align(before, &after);
    let taken = steps.into_iter().map(|step| match step {
        Step::Same(i, _) => document[i].take(),
        Step::Changed(i, j) => overlay(document[i].take(), &before[i], after[j].take()),
        Step::Added(j) => after[j].take(),
    });
    taken.collect()
}
