//! The difference of two values, as the smallest sensible [`Delta`].

use std::sync::Arc;

use serde_json::{Map, Value};

use super::delta::{Change, Delta, ObjectDelta, Slot};

/// Above this many pairs, the middle of two arrays is matched by position instead of by longest common subsequence.
const MAX_PAIRS: usize = 1 << 20;

/// Fields that tell which object of a list is which, in order of preference.
const IDENTITIES: [&str; 5] = ["id", "key", "name", "path", "uses"];

/// What turns `old` into `new`; `None` if they are equal. Numbers are equal if their texts are. The order of keys does not
/// count: existing keys stay where they are, new ones follow in the order of `new`.
pub(super) fn against(old: &Value, new: Value) -> Option<Delta> {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => object(old, new),
        (Value::Array(old), Value::Array(new)) => array(old, new),
        (old, new) => (*old != new).then_some(Delta::Replace(new)),
    }
}

fn object(old: &Map<String, Value>, mut new: Map<String, Value>) -> Option<Delta> {
    let mut delta = ObjectDelta::default();
    for (key, old) in old {
        match new.get_mut(key).map(Value::take) {
            None => {
                delta.changed.insert(key.clone(), Change::Remove);
            }
            Some(new) => {
                if let Some(inner) = against(old, new) {
                    delta.changed.insert(key.clone(), Change::Edit(Arc::new(inner)));
                }
            }
        }
    }
    delta.added = new.into_iter().filter(|(key, _)| !old.contains_key(key)).collect();
    let unchanged = delta.changed.is_empty() && delta.added.is_empty();
    (!unchanged).then_some(Delta::Object(delta))
}

fn array(old: &[Value], new: Vec<Value>) -> Option<Delta> {
    if old == new {
        return None;
    }
    let mut slots = Vec::with_capacity(new.len());
    let mut new: Vec<Option<Value>> = new.into_iter().map(Some).collect();
    for step in align(old, &new) {
        slots.push(match step {
            Step::Same(i, _) => Slot::Keep(i),
            Step::Changed(i, j) => match against(&old[i], new[j].take().unwrap_or_default()) {
                Some(inner) => Slot::Edit(i, Arc::new(inner)),
                None => Slot::Keep(i),
            },
            Step::Added(j) => Slot::New(Box::new(new[j].take().unwrap_or_default())),
        });
    }
    Some(Delta::Array(slots))
}

/// One element of the new array: where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Old element, new element: equal.
    Same(usize, usize),
    /// Old element, new element: the same thing, changed.
    Changed(usize, usize),
    /// New element.
    Added(usize),
}

/// Matches the elements of two arrays; the steps are in the order of the new one. Old elements that no step mentions are
/// gone.
pub(super) fn align<V: AsValue>(old: &[Value], new: &[V]) -> Vec<Step> {
    let same = |i: usize, j: usize| old[i] == *new[j].as_value();
    let shorter = old.len().min(new.len());
    let head = (0..shorter).take_while(|&i| same(i, i)).count();
    let tail = (0..shorter - head).take_while(|&k| same(old.len() - 1 - k, new.len() - 1 - k)).count();

    let mut steps: Vec<Step> = (0..head).map(|i| Step::Same(i, i)).collect();
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    let (mut i, mut j) = (head, head);
    for (next_i, next_j) in common(old, new, head..old_end, head..new_end) {
        gap(old, new, i..next_i, j..next_j, &mut steps);
        steps.push(Step::Same(next_i, next_j));
        (i, j) = (next_i + 1, next_j + 1);
    }
    gap(old, new, i..old_end, j..new_end, &mut steps);
    steps.extend((0..tail).map(|k| Step::Same(old_end + k, new_end + k)));
    steps
}

/// A value, possibly about to be moved out.
pub(super) trait AsValue {
    fn as_value(&self) -> &Value;
}

impl AsValue for Value {
    fn as_value(&self) -> &Value {
        self
    }
}

impl AsValue for Option<Value> {
    fn as_value(&self) -> &Value {
        self.as_ref().unwrap_or(&Value::Null)
    }
}

type Range = std::ops::Range<usize>;

/// Pairs of equal elements: a longest common subsequence.
fn common<V: AsValue>(old: &[Value], new: &[V], olds: Range, news: Range) -> Vec<(usize, usize)> {
    let (rows, columns) = (olds.len(), news.len());
    if rows == 0 || columns == 0 || rows.saturating_mul(columns) > MAX_PAIRS {
        return Vec::new();
    }
    let equal: Vec<bool> = olds
        .clone()
        .flat_map(|i| news.clone().map(move |j| (i, j)))
        .map(|(i, j)| old[i] == *new[j].as_value())
        .collect();
    // `longest[i][j]`: length of the longest common subsequence of what follows row i and column j.
    let width = columns + 1;
    let mut longest = vec![0u32; (rows + 1) * width];
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            longest[i * width + j] = if equal[i * columns + j] {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let mut pairs = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < rows && j < columns {
        if equal[i * columns + j] {
            pairs.push((olds.start + i, news.start + j));
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

/// Matches what stands between equal elements: by identity where objects have one, else by position.
fn gap<V: AsValue>(old: &[Value], new: &[V], olds: Range, news: Range, steps: &mut Vec<Step>) {
    let by_identity = olds.len() != news.len()
        || news.clone().zip(olds.clone()).any(|(j, i)| {
            let (a, b) = (identity(&old[i]), identity(new[j].as_value()));
            a.is_some() && b.is_some() && a != b
        });
    let mut i = olds.start;
    for j in news {
        let wanted = identity(new[j].as_value()).filter(|_| by_identity);
        let partner = match wanted {
            Some(wanted) => (i..olds.end).find(|&i| identity(&old[i]) == Some(wanted)),
            None => (i < olds.end && !(by_identity && identity(&old[i]).is_some())).then_some(i),
        };
        match partner {
            Some(partner) => {
                steps.push(Step::Changed(partner, j));
                i = partner + 1;
            }
            None => steps.push(Step::Added(j)),
        }
    }
}

/// What makes an object of a list recognisable after a change.
fn identity(value: &Value) -> Option<(&'static str, &Value)> {
    let object = value.as_object()?;
    IDENTITIES.into_iter().find_map(|field| {
        let value = object.get(field)?;
        (value.is_string() || value.is_number()).then_some((field, value))
    })
}
