//! What changes in a document: an edit script by path, independent of any format.
//!
//! A [`Delta`] is always relative to the document as it was parsed. It is small (it mentions changed nodes only) and its
//! inner nodes are shared: a savepoint is one reference count, and changing a delta that has a savepoint copies no more
//! than the nodes on the way to the change.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::DocError;
use super::pointer::{self, Index, Token};
use super::syntax::{NodeId, Shape, Syntax};

/// The change of one node.
#[derive(Debug, Clone)]
pub(super) enum Delta {
    /// The node becomes this value.
    Replace(Value),
    /// The node stays an object; some of its fields change.
    Object(ObjectDelta),
    /// The node stays an array, with these elements. Old elements keep their order.
    Array(Vec<Slot>),
}

/// The change of an object.
#[derive(Debug, Clone, Default)]
pub(super) struct ObjectDelta {
    /// Fields the object has.
    pub(super) changed: BTreeMap<String, Change>,
    /// Fields the object does not have yet, in the order in which they are to be appended.
    pub(super) added: Map<String, Value>,
}

/// The change of an existing field.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Edit(Arc<Delta>),
    Remove,
}

/// One element of a changed array.
#[derive(Debug, Clone)]
pub(super) enum Slot {
    /// The old element with this index, as it was.
    Keep(usize),
    /// The old element with this index, changed.
    Edit(usize, Arc<Delta>),
    /// An element that was not there; elsewhere, so that the slots of a long array stay small.
    New(Box<Value>),
}

/// What to do at a path.
#[derive(Debug)]
pub(super) enum Op {
    /// Replace the node, add the field or append the element (`-` or the length).
    Set(Value),
    /// As JSON Patch's `add`: like `Set`, but into an array it inserts.
    Insert(Value),
    /// Take the field or element away.
    Remove,
}

impl ObjectDelta {
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.added.is_empty()
    }
}

impl Delta {
    /// The value after the change, from the value before.
    pub(super) fn apply(&self, old: Value) -> Value {
        match (self, old) {
            (Self::Replace(new), _) => new.clone(),
            (Self::Object(delta), Value::Object(mut map)) => {
                for (key, change) in &delta.changed {
                    match change {
                        Change::Remove => {
                            map.shift_remove(key);
                        }
                        Change::Edit(delta) => {
                            if let Some(value) = map.get_mut(key) {
                                *value = delta.apply(value.take());
                            }
                        }
                    }
                }
                map.extend(delta.added.iter().map(|(key, value)| (key.clone(), value.clone())));
                Value::Object(map)
            }
            (Self::Array(slots), Value::Array(mut items)) => {
                let mut take = |index: usize| items.get_mut(index).map_or(Value::Null, Value::take);
                let new = slots.iter().map(|slot| match slot {
                    Slot::Keep(index) => take(*index),
                    Slot::Edit(index, delta) => delta.apply(take(*index)),
                    Slot::New(value) => Value::clone(value),
                });
                Value::Array(new.collect())
            }
            (_, old) => old,
        }
    }

    /// Whether the array keeps all `len` elements as they were.
    pub(super) fn is_identity(slots: &[Slot], len: usize) -> bool {
        slots.len() == len && slots.iter().enumerate().all(|(i, slot)| matches!(slot, Slot::Keep(k) if *k == i))
    }
}

/// What stands at a path after the changes so far.
pub(super) enum Found<'d> {
    /// An old node, and what changes inside of it.
    Old(NodeId, Option<&'d Delta>),
    /// Inside a new value.
    New(&'d Value),
}

impl Found<'_> {
    pub(super) fn to_value(&self, syntax: &dyn Syntax) -> Result<Value, DocError> {
        match *self {
            Self::Old(node, None) => syntax.value(node),
            Self::Old(_, Some(Delta::Replace(value))) | Self::New(value) => Ok(value.clone()),
            Self::Old(node, Some(delta)) => Ok(delta.apply(syntax.value(node)?)),
        }
    }

    /// What it is, without building its value.
    pub(super) fn shape(&self, syntax: &dyn Syntax) -> Shape {
        match *self {
            Self::Old(_, Some(Delta::Replace(value))) | Self::New(value) => shape_of(value),
            Self::Old(node, _) => syntax.shape(node),
        }
    }
}

fn shape_of(value: &Value) -> Shape {
    match value {
        Value::Object(_) => Shape::Object,
        Value::Array(_) => Shape::Array,
        _ => Shape::Scalar,
    }
}

/// Follows a path.
pub(super) fn find<'d>(
    syntax: &dyn Syntax,
    delta: Option<&'d Delta>,
    path: &[Token<'_>],
) -> Result<Option<Found<'d>>, DocError> {
    let mut at = Found::Old(syntax.root(), delta);
    for token in path {
        let next = match at {
            Found::New(value) | Found::Old(_, Some(Delta::Replace(value))) => child(value, token).map(Found::New),
            Found::Old(node, delta) => match syntax.shape(node) {
                Shape::Scalar => None,
                Shape::Object => match delta {
                    Some(Delta::Object(object)) => match object.changed.get(token.as_ref()) {
                        Some(Change::Remove) => None,
                        Some(Change::Edit(delta)) => {
                            syntax.field(node, token)?.map(|child| Found::Old(child, Some(delta.as_ref())))
                        }
                        None => match object.added.get(token.as_ref()) {
                            Some(value) => Some(Found::New(value)),
                            None => syntax.field(node, token)?.map(|child| Found::Old(child, None)),
                        },
                    },
                    _ => syntax.field(node, token)?.map(|child| Found::Old(child, None)),
                },
                Shape::Array => match (delta, pointer::index(token)) {
                    (Some(Delta::Array(slots)), Some(Index::At(index))) => match slots.get(index) {
                        None => None,
                        Some(Slot::New(value)) => Some(Found::New(value)),
                        Some(Slot::Keep(old)) => syntax.item(node, *old).map(|child| Found::Old(child, None)),
                        Some(Slot::Edit(old, delta)) => {
                            syntax.item(node, *old).map(|child| Found::Old(child, Some(delta.as_ref())))
                        }
                    },
                    (_, Some(Index::At(index))) => syntax.item(node, index).map(|child| Found::Old(child, None)),
                    _ => None,
                },
            },
        };
        match next {
            Some(next) => at = next,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

fn child<'v>(value: &'v Value, token: &str) -> Option<&'v Value> {
    match value {
        Value::Object(map) => map.get(token),
        Value::Array(items) => match pointer::index(token)? {
            Index::At(index) => items.get(index),
            Index::End => None,
        },
        _ => None,
    }
}
