//! Which units of the three versions are the same unit.
//!
//! In a map the name tells. In a list, in this order: what the owner declared; a field that names things (`id`, `name`, …), if every
//! item has one and no two the same. What is left is compared: equal items in order, equal items elsewhere, then items that are
//! alike and stand at one place.
//!
//! Two units are never paired because of a guess that the result would depend on in silence: a pair that is wrong makes a
//! conflict more, not a change less.

use std::collections::{HashMap, HashSet};

use super::node::{Node, NodeId, Shape, Tree};
use super::{BASE, OURS, THEIRS, Trees};
use crate::merge::options::{Algorithm, ListRule};
use crate::merge::text;
use crate::merge::versions;

/// One unit, as far as each version has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) nodes: [Option<NodeId>; 3],
    /// Where it stands among its siblings.
    pub(super) places: [Option<u32>; 3],
}

/// Fields that name an item, the best first.
const NAMING: [&str; 13] =
    ["id", "name", "key", "path", "uses", "url", "title", "slug", "file", "repo", "package", "image", "job"];
/// Gaps of more items than this are not searched for items that are alike.
const MAX_GAP: usize = 64;
/// How alike two items must be to be one, in hundredths.
const ALIKE: u32 = 50;
const VERY_ALIKE: u32 = 70;
const NEARLY_SAME: u32 = 85;
/// What holds so many units is known by them, whatever its name.
const MUCH: u32 = 5;
/// Shorter values are no reason to take two units for one.
const SAYS_SOMETHING: usize = 12;

/// The units of three maps.
pub(super) fn map(trees: &Trees<'_>, maps: [Option<NodeId>; 3]) -> Vec<Slot> {
    let mut slots = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for side in [BASE, OURS, THEIRS] {
        let Some(map) = maps[side] else { continue };
        for (place, &id) in trees[side].node(map).children.iter().enumerate() {
            let name = trees[side].node(id).name.as_deref().unwrap_or_default();
            let slot = *known.entry(name).or_insert_with(|| {
                slots.push(Slot::default());
                slots.len() - 1
            });
            put(&mut slots[slot], side, id, place);
        }
    }
    pair_alike(trees, &mut slots, is_renamed);
    slots
}

/// Is `new` in a map what was `old`, under another name? Only if it has the same value, or much the same, and the name is alike or
/// what it holds is much.
fn is_renamed(old: (&Tree, NodeId), new: (&Tree, NodeId)) -> u32 {
    let (one, other) = (old.0.node(old.1), new.0.node(new.1));
    let name = |node: &Node| node.name.as_deref().unwrap_or_default().as_bytes().to_vec();
    let likeness = alike(old, new);
    let names = alike_bytes(&name(one), &name(other));
    let is_much = one.is_container() && one.weight >= MUCH;
    // A version or a word that many units have tells nothing: `serde_yaml` takes no changes that were meant for `serde_json`.
    let bytes = old.0.bytes(one.value);
    let tells = !one.is_container() && bytes.len() >= SAYS_SOMETHING && !versions::is_version(bytes);
    let enough = if tells { ALIKE } else { NEARLY_SAME };
    if likeness == 100 && (names >= enough || is_much) || is_much && likeness >= VERY_ALIKE {
        likeness + names
    } else {
        0
    }
}

fn put(slot: &mut Slot, side: usize, id: NodeId, place: usize) {
    slot.nodes[side] = Some(id);
    slot.places[side] = u32::try_from(place).ok();
}

/// The units of three lists.
pub(super) fn list(trees: &Trees<'_>, lists: [Option<NodeId>; 3], rule: Option<&ListRule>) -> Vec<Slot> {
    let children = |side: usize| lists[side].map_or(&[][..], |list| &trees[side].node(list).children);
    let all = [children(BASE), children(OURS), children(THEIRS)];
    let keys = match rule {
        Some(ListRule::Ordered) => None,
        Some(ListRule::Set) => Some(by_meaning(trees, all)),
        Some(ListRule::Keyed(field)) => by_field(trees, all, field),
        None => NAMING
            .iter()
            .find_map(|field| by_field(trees, all, field))
            .or_else(|| by_fields(trees, all, &["name", "version"]))
            .or_else(|| by_field(trees, all, &ending_in_name(trees, all)?)),
    };
    let mut slots = match keys {
        Some(keys) => by_keys(all, &keys),
        None => aligned(trees, all),
    };
    pair_alike(trees, &mut slots, alike);
    slots
}

type Keys = [Vec<(Vec<u8>, usize)>; 3];

/// Each item by its meaning; of equal ones the first is the first.
fn by_meaning(trees: &Trees<'_>, all: [&[NodeId]; 3]) -> Keys {
    [BASE, OURS, THEIRS].map(|side| {
        let mut counts: HashMap<u64, usize> = HashMap::new();
        let key = |&id: &NodeId| {
            let meaning = trees[side].node(id).meaning;
            let count = counts.entry(meaning).or_insert(0);
            *count += 1;
            (meaning.to_le_bytes().to_vec(), *count)
        };
        all[side].iter().map(key).collect()
    })
}

/// The first field of the first item that is a name by its own name: `epoch_name`, `userId`.
fn ending_in_name(trees: &Trees<'_>, all: [&[NodeId]; 3]) -> Option<String> {
    let (side, &id) = [BASE, OURS, THEIRS].into_iter().find_map(|side| Some((side, all[side].first()?)))?;
    let names = trees[side].node(id).children.iter().filter_map(|&child| trees[side].node(child).name.as_deref());
    let mut names = names.map(|name| (name, name.to_ascii_lowercase()));
    let found = names.find(|(_, lower)| ["name", "id", "key"].iter().any(|ending| lower.ends_with(ending)));
    found.map(|(name, _)| name.to_owned())
}

/// Each item by what its field says; `None` if one has no such field, or two the same.
fn by_field(trees: &Trees<'_>, all: [&[NodeId]; 3], field: &str) -> Option<Keys> {
    by_fields(trees, all, &[field])
}

fn by_fields(trees: &Trees<'_>, all: [&[NodeId]; 3], fields: &[&str]) -> Option<Keys> {
    let mut keys: Keys = Default::default();
    for side in [BASE, OURS, THEIRS] {
        let mut seen = HashSet::new();
        for &id in all[side] {
            if trees[side].node(id).shape != Shape::Map {
                return None;
            }
            let mut key = Vec::new();
            for field in fields {
                let named = trees[side].field(id, field)?;
                if trees[side].node(named).is_container() {
                    return None;
                }
                key.extend_from_slice(trees[side].says(named));
                key.push(b'\n');
            }
            if !seen.insert(key.clone()) {
                return None;
            }
            keys[side].push((key, 0));
        }
    }
    Some(keys)
}

fn by_keys(all: [&[NodeId]; 3], keys: &Keys) -> Vec<Slot> {
    let mut slots = Vec::new();
    let mut known: HashMap<&(Vec<u8>, usize), usize> = HashMap::new();
    for side in [BASE, OURS, THEIRS] {
        for (place, (&id, key)) in all[side].iter().zip(&keys[side]).enumerate() {
            let slot = *known.entry(key).or_insert_with(|| {
                slots.push(Slot::default());
                slots.len() - 1
            });
            put(&mut slots[slot], side, id, place);
        }
    }
    slots
}

/// Equal items in order are the same; then equal items elsewhere (moved), and equal items that both sides added.
fn aligned(trees: &Trees<'_>, all: [&[NodeId]; 3]) -> Vec<Slot> {
    let meanings = [BASE, OURS, THEIRS]
        .map(|side| -> Vec<u64> { all[side].iter().map(|&id| trees[side].node(id).meaning).collect() });
    let mut slots: Vec<Slot> = Vec::new();
    for (place, &id) in all[BASE].iter().enumerate() {
        slots.push(Slot::default());
        put(&mut slots[place], BASE, id, place);
    }
    for side in [OURS, THEIRS] {
        let mut taken = vec![false; all[side].len()];
        let mut at = (0, 0);
        let changes = text::diff(&meanings[BASE], &meanings[side], Algorithm::Histogram);
        let ends = (meanings[BASE].len()..meanings[BASE].len(), meanings[side].len()..meanings[side].len());
        for (before, after) in changes.into_iter().map(|change| (change.before, change.after)).chain([ends]) {
            for (base, place) in (at.0..before.start).zip(at.1..after.start) {
                put(&mut slots[base], side, all[side][place], place);
                taken[place] = true;
            }
            at = (before.end, after.end);
        }
        let mut free: HashMap<u64, Vec<usize>> = HashMap::new();
        for (index, slot) in slots.iter().enumerate().rev() {
            if slot.nodes[side].is_none() {
                let meaning = match (slot.nodes[BASE], slot.nodes[OURS]) {
                    (Some(id), _) => trees[BASE].node(id).meaning,
                    (None, Some(id)) => trees[OURS].node(id).meaning,
                    (None, None) => continue,
                };
                free.entry(meaning).or_default().push(index);
            }
        }
        for (place, &id) in all[side].iter().enumerate() {
            if taken[place] {
                continue;
            }
            let index = free.get_mut(&meanings[side][place]).and_then(Vec::pop).unwrap_or_else(|| {
                slots.push(Slot::default());
                slots.len() - 1
            });
            put(&mut slots[index], side, id, place);
        }
    }
    slots
}

/// An item that one side dropped and one that it added at the same place are one item, edited, if they are alike.
fn pair_alike(trees: &Trees<'_>, slots: &mut Vec<Slot>, alike: fn((&Tree, NodeId), (&Tree, NodeId)) -> u32) {
    for side in [OURS, THEIRS] {
        let mut gone: Vec<usize> = Vec::new();
        let mut new: Vec<usize> = Vec::new();
        for (index, slot) in slots.iter().enumerate() {
            match (slot.nodes[BASE], slot.nodes[side]) {
                (Some(_), None) => gone.push(index),
                (None, Some(_)) => new.push(index),
                _ => {}
            }
        }
        if gone.is_empty() || new.is_empty() {
            continue;
        }
        // The places of base that this side still has, to find out in which gap a new item stands.
        let mut kept: Vec<(u32, u32)> =
            slots.iter().filter_map(|slot| Some((slot.places[side]?, slot.places[BASE]?))).collect();
        kept.sort_unstable();
        let gap_of_new = |place: u32| {
            let next = kept.partition_point(|&(at, _)| at < place);
            (next.checked_sub(1).map(|last| kept[last].1), kept.get(next).map(|&(_, base)| base))
        };
        let mut merged: HashSet<usize> = HashSet::new();
        for chunk in new {
            let Some(place) = slots[chunk].places[side] else { continue };
            let (after, before) = gap_of_new(place);
            let inside_or_behind = |base: u32| after.is_none_or(|a| base > a);
            // `gone` is in the order of base.
            let first =
                gone.partition_point(|&index| slots[index].places[BASE].is_some_and(|base| !inside_or_behind(base)));
            let candidates: Vec<usize> = gone[first..]
                .iter()
                .copied()
                .take(MAX_GAP)
                .take_while(|&index| slots[index].places[BASE].is_some_and(|base| before.is_none_or(|b| base < b)))
                .filter(|&index| slots[index].nodes[side].is_none())
                .collect();
            let Some(id) = slots[chunk].nodes[side] else { continue };
            let best = candidates
                .into_iter()
                .filter_map(|index| Some((alike((trees[BASE], slots[index].nodes[BASE]?), (trees[side], id)), index)))
                .filter(|&(likeness, _)| likeness >= ALIKE)
                // Of equally alike ones the first.
                .max_by_key(|&(likeness, index)| (likeness, std::cmp::Reverse(index)));
            let Some((_, index)) = best else { continue };
            // What both added is the other's addition still.
            let other = OURS + THEIRS - side;
            if slots[chunk].nodes[other].is_some() {
                continue;
            }
            slots[index].nodes[side] = slots[chunk].nodes[side];
            slots[index].places[side] = slots[chunk].places[side];
            merged.insert(chunk);
        }
        let mut index = 0;
        slots.retain(|_| {
            index += 1;
            !merged.contains(&(index - 1))
        });
    }
}

/// How alike two units are, in hundredths.
pub(super) fn alike(a: (&Tree, NodeId), b: (&Tree, NodeId)) -> u32 {
    let (one, other) = (a.0.node(a.1), b.0.node(b.1));
    if one.meaning == other.meaning {
        return 100;
    }
    match (one.is_container(), other.is_container()) {
        (false, false) => alike_bytes(a.0.says(a.1), b.0.says(b.1)),
        (true, true) if one.shape == other.shape => {
            let mut counts: HashMap<(Option<&str>, u64), u32> = HashMap::new();
            let mut names: HashSet<&str> = HashSet::new();
            for &child in &one.children {
                let child = a.0.node(child);
                names.extend(child.name.as_deref());
                *counts.entry((child.name.as_deref(), child.meaning)).or_default() += child.weight;
            }
            let mut common = 0;
            for &child in &other.children {
                let child = b.0.node(child);
                if let Some(count) = counts.get_mut(&(child.name.as_deref(), child.meaning)) {
                    common += child.weight.min(*count);
                    *count -= child.weight.min(*count);
                } else if child.name.as_deref().is_some_and(|name| names.contains(name)) {
                    common += 1;
                }
            }
            100 * common / one.weight.max(other.weight).max(1)
        }
        _ => 0,
    }
}

/// The share of pairs of neighbouring bytes that two texts have in common.
fn alike_bytes(a: &[u8], b: &[u8]) -> u32 {
    const ENOUGH: usize = 400;
    let (a, b) = (&a[..a.len().min(ENOUGH)], &b[..b.len().min(ENOUGH)]);
    if a.len() < 2 || b.len() < 2 {
        return 0;
    }
    let pairs = |bytes: &[u8]| {
        let mut pairs: Vec<[u8; 2]> = bytes.windows(2).map(|pair| [pair[0], pair[1]]).collect();
        pairs.sort_unstable();
        pairs
    };
    let (one, other) = (pairs(a), pairs(b));
    let mut rest = other.iter().peekable();
    let mut common = 0;
    for pair in &one {
        while rest.next_if(|&other| other < pair).is_some() {}
        common += u32::from(rest.next_if_eq(&pair).is_some());
    }
    let all = u32::try_from(a.len() + b.len() - 2).unwrap_or(u32::MAX);
    200 * common / all
}
