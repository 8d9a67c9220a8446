//! Additions that the other side's changes have overtaken.
//!
//! One side replaced every `"^1.0"` by `"^2.0"`; the other, not knowing that, added one more `"^1.0"`. Each change stands, and yet the
//! result is what neither wanted: the addition should be looked at by a person.

use super::node::{Node, NodeId, Tree, hash, mix};
use super::{BASE, OURS, THEIRS, Trees};
use crate::merge::versions;

/// The values of each version, sorted.
pub(super) struct Stale {
    values: [Vec<u64>; 3],
}

/// Shorter values say too little: `true`, `1`, `"a"`.
const SAYS_SOMETHING: usize = 6;

impl Stale {
    pub(super) fn new(trees: &Trees<'_>) -> Self {
        let values = [BASE, OURS, THEIRS].map(|side| {
            let tree = trees[side];
            let mut values: Vec<u64> = tree.nodes.iter().filter_map(|node| value(tree, node)).collect();
            values.sort_unstable();
            values
        });
        Stale { values }
    }

    /// Does a unit that `side` added hold a value that base had and the other side has nowhere any more?
    pub(super) fn has(&self, tree: &Tree, side: usize, id: NodeId) -> bool {
        let other = OURS + THEIRS - side;
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            let node = tree.node(id);
            stack.extend(&node.children);
            let stands = |value: u64, side: usize| self.values[side].binary_search(&value).is_ok();
            if value(tree, node).is_some_and(|value| stands(value, BASE) && !stands(value, other)) {
                return true;
            }
        }
        false
    }
}

/// What tells a leaf from others: a version by itself, anything else with its name.
fn value(tree: &Tree, node: &Node) -> Option<u64> {
    if node.is_container() {
        return None;
    }
    let bytes = tree.bytes(node.value);
    if bytes.len() < SAYS_SOMETHING {
        return None;
    }
    if versions::is_version(bytes) {
        return Some(mix(40, node.meaning));
    }
    Some(mix(hash(41, node.name.as_deref().unwrap_or_default().as_bytes()), node.meaning))
}
