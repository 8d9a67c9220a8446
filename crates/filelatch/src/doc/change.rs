//! Changes at a path, one after the other, gathered in one [`Delta`].

use std::sync::Arc;

use serde_json::Value;

use super::delta::{Change, Delta, ObjectDelta, Op, Slot};
use super::pointer::{self, Index, Token};
use super::syntax::{NodeId, Shape, Syntax};
use super::{DocError, diff};

/// Adds one more change at a path to what has changed so far.
pub(super) fn change(
    syntax: &dyn Syntax,
    delta: &mut Option<Arc<Delta>>,
    path: &[Token<'_>],
    op: Op,
) -> Result<(), DocError> {
    let walk = Walk { syntax, path };
    walk.node(syntax.root(), delta, 0, op)
}

struct Walk<'a> {
    syntax: &'a dyn Syntax,
    path: &'a [Token<'a>],
}

impl Walk<'_> {
    fn error(&self, depth: usize, message: impl Into<String>) -> DocError {
        let at = pointer::join(&self.path[..depth.min(self.path.len())]);
        let message = message.into();
        let message = if at.is_empty() { format!("the document {message}") } else { format!("`{at}` {message}") };
        pointer::error(pointer::join(self.path), message)
    }

    fn node(&self, node: NodeId, delta: &mut Option<Arc<Delta>>, depth: usize, op: Op) -> Result<(), DocError> {
        let Some(token) = self.path.get(depth) else {
            return match op {
                Op::Set(new) | Op::Insert(new) => {
                    *delta = diff::against(&self.syntax.value(node)?, new).map(Arc::new);
                    Ok(())
                }
                Op::Remove => Err(self.error(depth, "cannot be removed as a whole")),
            };
        };
        if let Some(shared) = delta
            && matches!(shared.as_ref(), Delta::Replace(_))
            && let Delta::Replace(value) = Arc::make_mut(shared)
        {
            return self.value(value, depth, op);
        }
        match self.syntax.shape(node) {
            Shape::Scalar => Err(self.error(depth, "is neither an object nor an array")),
            Shape::Object => {
                let shared = delta.get_or_insert_with(|| Arc::new(Delta::Object(ObjectDelta::default())));
                let Delta::Object(object) = Arc::make_mut(shared) else {
                    return Err(self.error(depth, "is not an object"));
                };
                let result = self.object(node, object, token, depth, op);
                if object.is_empty() {
                    *delta = None;
                }
                result
            }
            Shape::Array => {
                let len = self.syntax.len(node);
                let shared = delta.get_or_insert_with(|| Arc::new(Delta::Array((0..len).map(Slot::Keep).collect())));
                let Delta::Array(slots) = Arc::make_mut(shared) else {
                    return Err(self.error(depth, "is not an array"));
                };
                let result = self.array(node, slots, token, depth, op);
                if Delta::is_identity(slots, len) {
                    *delta = None;
                }
                result
            }
        }
    }

    fn object(&self, node: NodeId, object: &mut ObjectDelta, key: &str, depth: usize, op: Op) -> Result<(), DocError> {
        let last = depth + 1 == self.path.len();
        if let Some(value) = object.added.get_mut(key) {
            match op {
                Op::Remove if last => {
                    object.added.shift_remove(key);
                }
                Op::Set(new) | Op::Insert(new) if last => *value = new,
                op => self.value(value, depth + 1, op)?,
            }
            return Ok(());
        }
        let Some(child) = self.syntax.field(node, key)? else {
            return match op {
                Op::Set(new) | Op::Insert(new) if last => {
                    object.added.insert(key.to_owned(), new);
                    Ok(())
                }
                _ => Err(self.error(depth + 1, "does not exist")),
            };
        };
        let removed = matches!(object.changed.get(key), Some(Change::Remove));
        if removed && !(last && matches!(op, Op::Set(_) | Op::Insert(_))) {
            return Err(self.error(depth + 1, "does not exist"));
        }
        if last && matches!(op, Op::Remove) {
            object.changed.insert(key.to_owned(), Change::Remove);
            return Ok(());
        }
        let mut inner = match object.changed.remove(key) {
            Some(Change::Edit(delta)) => Some(delta),
            _ => None,
        };
        let result = self.node(child, &mut inner, depth + 1, op);
        if let Some(inner) = inner {
            object.changed.insert(key.to_owned(), Change::Edit(inner));
        }
        result
    }

    fn array(&self, node: NodeId, slots: &mut Vec<Slot>, token: &str, depth: usize, op: Op) -> Result<(), DocError> {
        let last = depth + 1 == self.path.len();
        let index = match pointer::index(token) {
            Some(Index::At(index)) => index,
            Some(Index::End) => slots.len(),
            None => return Err(self.error(depth, format!("is an array; `{token}` is not an index"))),
        };
        match op {
            Op::Insert(new) if last && index <= slots.len() => slots.insert(index, Slot::New(Box::new(new))),
            Op::Set(new) if last && index == slots.len() => slots.push(Slot::New(Box::new(new))),
            _ if index >= slots.len() => {
                return Err(self.error(depth, format!("has {} elements; there is no `{token}`", slots.len())));
            }
            Op::Remove if last => {
                slots.remove(index);
            }
            op => {
                let (old, mut inner) = match &mut slots[index] {
                    Slot::New(value) => match op {
                        Op::Set(new) if last => {
                            **value = new;
                            return Ok(());
                        }
                        op => return self.value(value, depth + 1, op),
                    },
                    Slot::Keep(old) => (*old, None),
                    Slot::Edit(old, delta) => (*old, Some(Arc::clone(delta))),
                };
                // The slot gives its reference away first, so that the delta inside is not copied needlessly.
                slots[index] = Slot::Keep(old);
                let Some(child) = self.syntax.item(node, old) else {
                    return Err(self.error(depth + 1, "does not exist"));
                };
                let result = self.node(child, &mut inner, depth + 1, op);
                if let Some(inner) = inner {
                    slots[index] = Slot::Edit(old, inner);
                }
                result?;
            }
        }
        Ok(())
    }

    /// The same inside a value that is new anyway.
    fn value(&self, value: &mut Value, depth: usize, op: Op) -> Result<(), DocError> {
        let Some(token) = self.path.get(depth) else {
            return match op {
                Op::Set(new) | Op::Insert(new) => {
                    *value = new;
                    Ok(())
                }
                Op::Remove => Err(self.error(depth, "cannot be removed as a whole")),
            };
        };
        let last = depth + 1 == self.path.len();
        match value {
            Value::Object(map) => match op {
                Op::Set(new) | Op::Insert(new) if last => {
                    map.insert(token.clone().into_owned(), new);
                    Ok(())
                }
                Op::Remove if last => {
                    map.shift_remove(token.as_ref()).map(drop).ok_or_else(|| self.error(depth + 1, "does not exist"))
                }
                op => match map.get_mut(token.as_ref()) {
                    Some(child) => self.value(child, depth + 1, op),
                    None => Err(self.error(depth + 1, "does not exist")),
                },
            },
            Value::Array(items) => {
                let index = match pointer::index(token) {
                    Some(Index::At(index)) => index,
                    Some(Index::End) => items.len(),
                    None => return Err(self.error(depth, format!("is an array; `{token}` is not an index"))),
                };
                match op {
                    Op::Insert(new) if last && index <= items.len() => items.insert(index, new),
                    Op::Set(new) if last && index == items.len() => items.push(new),
                    _ if index >= items.len() => {
                        return Err(self.error(depth, format!("has {} elements; there is no `{token}`", items.len())));
                    }
                    Op::Remove if last => {
                        items.remove(index);
                    }
                    op => return self.value(&mut items[index], depth + 1, op),
                }
                Ok(())
            }
            _ => Err(self.error(depth, "is neither an object nor an array")),
        }
    }
}
