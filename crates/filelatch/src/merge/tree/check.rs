//! Each side's changes are looked for in the result.
//!
//! A tree is taken apart into facts: "at this place stands this value". A side's change is the facts it has more or fewer than
//! base. The result must have exactly the base's facts and both sides' changes; what both did may count once or twice. So a line that
//! slipped under another key is found, and a change that was dropped, whoever made the result.

use std::collections::HashMap;

use super::node::{NodeId, Tree, hash, mix};
use super::weave::{Notes, step};

type Facts = HashMap<u64, [i64; 4]>;

/// Whether `merged` is base with the changes of both sides. `notes`: what the weaver says of it.
pub(in crate::merge) fn holds_both(base: &Tree, ours: &Tree, theirs: &Tree, merged: &Tree, notes: &Notes) -> bool {
    let mut facts = Facts::new();
    for (which, tree) in [base, ours, theirs, merged].into_iter().enumerate() {
        count(tree, which, notes, &mut facts);
    }
    facts.values().all(|&[base, ours, theirs, merged]| {
        let (ours, theirs, merged) = (ours - base, theirs - base, merged - base);
        let both = ours + theirs;
        if ours.signum() * theirs.signum() > 0 {
            let once = if ours > 0 { ours.max(theirs) } else { ours.min(theirs) };
            (once.min(both)..=once.max(both)).contains(&merged)
        } else {
            merged == both
        }
    })
}

fn count(tree: &Tree, which: usize, notes: &Notes, facts: &mut Facts) {
    let mut stack: Vec<(NodeId, u64)> = vec![(tree.root, 0)];
    while let Some((id, path)) = stack.pop() {
        if notes.mixed.contains(&path) {
            continue;
        }
        let node = tree.node(id);
        if node.is_container() && !node.children.is_empty() {
            stack.extend(node.children.iter().map(|&child| {
                let way = step(path, tree, child);
                (child, notes.renamed.get(&way).copied().unwrap_or(way))
            }));
            continue;
        }
        let fact = if node.is_container() { mix(path, hash(30, b"")) } else { mix(path, node.meaning) };
        facts.entry(fact).or_default()[which] += 1;
    }
}
