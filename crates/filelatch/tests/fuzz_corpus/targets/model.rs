//! What edits of a document mean, said plainly on values: the other opinion.

use serde_json::{Map, Value};

/// The edit is not possible.
#[derive(Debug)]
pub(crate) struct Refused;

type Result<T = ()> = std::result::Result<T, Refused>;

/// A pointer's steps (RFC 6901).
fn tokens(pointer: &str) -> Result<Vec<String>> {
    if pointer.is_empty() {
        return Ok(Vec::new());
    }
    let rest = pointer.strip_prefix('/').ok_or(Refused)?;
    rest.split('/')
        .map(|token| {
            let mut escapes = token.split('~');
            let first = escapes.next().unwrap_or_default().to_owned();
            escapes.try_fold(first, |text, part| match part.as_bytes().first() {
                Some(b'0') => Ok(text + "~" + &part[1..]),
                Some(b'1') => Ok(text + "/" + &part[1..]),
                _ => Err(Refused),
            })
        })
        .collect()
}

fn index(token: &str, len: usize) -> Result<usize> {
    if token == "-" {
        return Ok(len);
    }
    let digits = token.bytes().all(|b| b.is_ascii_digit()) && (token.len() == 1 || !token.starts_with('0'));
    token.parse().ok().filter(|_| digits).ok_or(Refused)
}

/// The container that the last step is taken in.
fn parent<'v>(value: &'v mut Value, steps: &[String]) -> Result<&'v mut Value> {
    steps.iter().try_fold(value, |here, token| match here {
        Value::Object(map) => map.get_mut(token).ok_or(Refused),
        Value::Array(items) => {
            let index = index(token, items.len())?;
            items.get_mut(index).ok_or(Refused)
        }
        _ => Err(Refused),
    })
}

fn place(value: &mut Value, pointer: &str, new: Value, inserts: bool) -> Result {
    let steps = tokens(pointer)?;
    let Some((last, before)) = steps.split_last() else {
        *value = new;
        return Ok(());
    };
    match parent(value, before)? {
        Value::Object(map) => {
            map.insert(last.clone(), new);
        }
        Value::Array(items) => {
            let index = index(last, items.len())?;
            match items.len() {
                len if index > len => return Err(Refused),
                len if index < len && !inserts => items[index] = new,
                _ => items.insert(index, new),
            }
        }
        _ => return Err(Refused),
    }
    Ok(())
}

pub(crate) fn set(value: &mut Value, pointer: &str, new: Value) -> Result {
    place(value, pointer, new, false)
}

pub(crate) fn insert(value: &mut Value, pointer: &str, new: Value) -> Result {
    place(value, pointer, new, true)
}

pub(crate) fn get(value: &Value, pointer: &str) -> Result<Option<Value>> {
    let steps = tokens(pointer)?;
    let found = steps.iter().try_fold(value, |here, token| match here {
        Value::Object(map) => map.get(token),
        Value::Array(items) => items.get(index(token, items.len()).ok()?),
        _ => None,
    });
    Ok(found.cloned())
}

/// The whole value can't be removed.
pub(crate) fn remove(value: &mut Value, pointer: &str) -> Result {
    let steps = tokens(pointer)?;
    let (last, before) = steps.split_last().ok_or(Refused)?;
    match parent(value, before)? {
        Value::Object(map) => map.shift_remove(last).map(drop).ok_or(Refused),
        Value::Array(items) => {
            let index = index(last, items.len())?;
            if index >= items.len() {
                return Err(Refused);
            }
            items.remove(index);
            Ok(())
        }
        _ => Err(Refused),
    }
}

/// RFC 7396, its own words.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(map) = target else { return };
    for (key, patch) in fields {
        if patch.is_null() {
            map.shift_remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), patch);
        }
    }
}

/// RFC 6902. After a refusal `value` is of no use any more.
pub(crate) fn patch(value: &mut Value, patch: &Value) -> Result {
    for operation in patch.as_array().ok_or(Refused)? {
        let text = |field: &str| operation.get(field).and_then(Value::as_str).ok_or(Refused);
        let given = || operation.get("value").cloned().ok_or(Refused);
        let there = |value: &Value, at: &str| get(value, at)?.ok_or(Refused);
        let path = text("path")?;
        match text("op")? {
            "add" => insert(value, path, given()?)?,
            "remove" => remove(value, path)?,
            "replace" => {
                there(value, path)?;
                set(value, path, given()?)?;
            }
            "move" => {
                let from = text("from")?;
                let moved = there(value, from)?;
                if path.strip_prefix(from).is_some_and(|rest| rest.starts_with('/')) {
                    return Err(Refused);
                }
                if from != path {
                    remove(value, from)?;
                    insert(value, path, moved)?;
                }
            }
            "copy" => {
                let copied = there(value, text("from")?)?;
                insert(value, path, copied)?;
            }
            "test" if same(&there(value, path)?, &given()?) => {}
            _ => return Err(Refused),
        }
    }
    Ok(())
}

/// Equal, numbers by what they mean: as integers where both are written so, else as 64-bit floats.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.to_string(), b.to_string());
            let integer = |text: &str| !text.contains(['.', 'e', 'E']);
            let float = |text: &str| text.parse::<f64>().ok().filter(|f| f.is_finite());
            let zero = |text: &str| matches!(text, "0" | "-0");
            let comparable = !(integer(&a) && integer(&b)) || zero(&a) && zero(&b);
            a == b || comparable && float(&a).is_some() && float(&a) == float(&b)
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}
