//! Each side's changes are looked for in the result.
//!
//! A tree is taken apart into facts: "at this place stands this value". A side's change is the facts it has more or fewer than
//! base. The result must have exactly the base's facts and both sides' changes; what both did may count once or twice. So a line that
//! slipped under another key is found, and a change that was dropped, whoever made the result.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::node::{NodeId, Tree, hash, mix};
use super::weave::{Notes, step};

type Facts = HashMap<u64, [i64; 4], RandomState>;

/// Whether `merged` is base with the changes of both sides. `notes`: what the weaver says of it.
pub(in crate::merge) fn holds_both(base: &Tree, ours: &Tree, theirs: &Tree, merged: &Tree, notes: &Notes) -> bool {
    let [sum_of_base, sum_of_ours, sum_of_theirs, sum_of_merged] =
        [base, ours, theirs, merged].map(|tree| sum(tree, notes));
    if sum_of_merged.wrapping_add(sum_of_base) == sum_of_ours.wrapping_add(sum_of_theirs) {
        return true;
    }
    let mut facts = Facts::default();
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

/// The sum of a tree's facts: if no change was made by both sides, the sums add up as the facts do.
fn sum(tree: &Tree, notes: &Notes) -> u128 {
    let mut sum = 0u128;
    each(tree, notes, |fact| {
        sum = sum.wrapping_add(u128::from(mix(fact, 31)) << 64 | u128::from(mix(fact, 32)));
    });
    sum
}

fn count(tree: &Tree, which: usize, notes: &Notes, facts: &mut Facts) {
    each(tree, notes, |fact| facts.entry(fact).or_default()[which] += 1);
}

/// Tells every fact of a tree.
fn each(tree: &Tree, notes: &Notes, mut tell: impl FnMut(u64)) {
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
        tell(fact);
    }
}
