//! Additions that the other side's changes have overtaken.
//!
//! One side replaced every `"^1.0"` by `"^2.0"`; the other, not knowing that, added one more `"^1.0"`. Each change stands, and yet the
//! result is what neither wanted: the addition should be looked at by a person.

use std::collections::HashMap;

use super::node::{Node, NodeId, Tree, hash, mix};
use super::{BASE, OURS, THEIRS, Trees};
use crate::merge::versions;

/// How often each value stands in the three versions.
pub(super) struct Stale {
    counts: HashMap<u64, [u32; 3]>,
}

/// Shorter values say too little: `true`, `1`, `"a"`.
const SAYS_SOMETHING: usize = 6;

impl Stale {
    pub(super) fn new(trees: &Trees<'_>) -> Self {
        let mut counts: HashMap<u64, [u32; 3]> = HashMap::new();
        for side in [BASE, OURS, THEIRS] {
            for node in &trees[side].nodes {
                if let Some(value) = value(trees[side], node) {
                    counts.entry(value).or_default()[side] += 1;
                }
            }
        }
        Stale { counts }
    }

    /// Does a unit that `side` added hold a value that base had and the other side has nowhere any more?
    pub(super) fn has(&self, tree: &Tree, side: usize, id: NodeId) -> bool {
        let other = OURS + THEIRS - side;
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            let node = tree.node(id);
            stack.extend(&node.children);
            let counts = value(tree, node).and_then(|value| self.counts.get(&value));
            if counts.is_some_and(|counts| counts[BASE] > 0 && counts[other] == 0) {
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
