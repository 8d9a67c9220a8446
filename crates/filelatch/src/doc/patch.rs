//! The two standard patches: RFC 7396 merge patch and RFC 6902 JSON patch.

use serde_json::{Map, Value};

use super::pointer;
use super::syntax::Shape;
use super::{DocError, Document};

/// Lays a merge patch over the document: objects are merged, `null` removes, anything else replaces. Nothing but the nodes
/// the patch mentions is read or changed.
pub(super) fn merge(document: &mut Document, patch: &Value) -> Result<(), DocError> {
    merge_at(document, &mut pointer::Path::default(), patch)
}

fn merge_at(document: &mut Document, at: &mut pointer::Path, patch: &Value) -> Result<(), DocError> {
    let Value::Object(fields) = patch else {
        return document.set(at.as_str(), patch.clone());
    };
    if document.shape(at.as_str())? != Some(Shape::Object) {
        return document.set(at.as_str(), without_nulls(fields));
    }
    for (key, patch) in fields {
        at.with_key(key, |at| match patch {
            Value::Null if document.shape(at.as_str())?.is_none() => Ok(()),
            Value::Null => document.remove(at.as_str()).map(drop),
            patch => merge_at(document, at, patch),
        })?;
    }
    Ok(())
}

/// A merge patch laid over nothing.
fn without_nulls(fields: &Map<String, Value>) -> Value {
    let kept = fields.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| {
        let value = value.as_object().map_or_else(|| value.clone(), without_nulls);
        (key.clone(), value)
    });
    Value::Object(kept.collect())
}

/// Applies the operations one after the other. The caller undoes them all if one fails.
pub(super) fn apply(document: &mut Document, patch: &Value) -> Result<(), DocError> {
    let Value::Array(operations) = patch else {
        return Err(failed(None, "a JSON patch is an array of operations"));
    };
    for (index, operation) in operations.iter().enumerate() {
        step(document, operation).map_err(|error| match error {
            Step::Failed(message) => failed(Some(index), message),
            // The document itself is the problem, not the patch: keep the position and the hints.
            Step::Document(error @ (DocError::DuplicateKey { .. } | DocError::Parse { .. })) => error,
            Step::Document(error) => failed(Some(index), error.to_string()),
        })?;
    }
    Ok(())
}

fn failed(operation: Option<usize>, message: impl Into<String>) -> DocError {
    DocError::PatchFailed { operation, message: message.into() }
}

enum Step {
    Failed(String),
    Document(DocError),
}

impl From<DocError> for Step {
    fn from(error: DocError) -> Self {
        Self::Document(error)
    }
}

fn step(document: &mut Document, operation: &Value) -> Result<(), Step> {
    let text = |field: &str| {
        operation
            .get(field)
            .and_then(Value::as_str)
            .ok_or_else(|| Step::Failed(format!("the operation has no `{field}` (a string)")))
    };
    let value = || {
        let value = operation.get("value").cloned();
        value.ok_or_else(|| Step::Failed("the operation has no `value`".to_owned()))
    };
    let (op, path) = (text("op")?, text("path")?);
    match op {
        "add" => document.insert(path, value()?)?,
        "remove" => {
            existing(document, path)?;
            document.remove(path)?;
        }
        "replace" => {
            existing(document, path)?;
            document.set(path, value()?)?;
        }
        "move" => {
            let from = text("from")?;
            let inside = path.strip_prefix(from).is_some_and(|rest| rest.starts_with('/'));
            if inside {
                return Err(Step::Failed(format!("`{from}` cannot be moved into itself")));
            }
            let moved = existing(document, from)?;
            if from != path {
                document.remove(from)?;
                document.insert(path, moved)?;
            }
        }
        "copy" => {
            let copied = existing(document, text("from")?)?;
            document.insert(path, copied)?;
        }
        "test" => {
            let (wanted, found) = (value()?, existing(document, path)?);
            if !super::number::same_value(&wanted, &found) {
                return Err(Step::Failed(format!(
                    "test failed: `{path}` is {}, not {}",
                    short(&found),
                    short(&wanted)
                )));
            }
        }
        other => return Err(Step::Failed(format!("unknown operation `{other}`"))),
    }
    Ok(())
}

fn existing(document: &Document, path: &str) -> Result<Value, Step> {
    document.get(path)?.ok_or_else(|| Step::Failed(format!("`{path}` does not exist")))
}

/// A value for a message.
fn short(value: &Value) -> String {
    const MOST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
