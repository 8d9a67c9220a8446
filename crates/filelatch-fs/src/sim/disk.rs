//! What a power cut can leave: every legal combination, or a drawn sample of them.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;
use std::vec;

use super::dials::Rng;
use super::host::SimHost;
use super::image::{Change, Fate};
use super::inode::{Inode, Node};
use super::journal::{Names, entries_in};
use super::simfs::SimFs;
use super::store::{Ino, ROOT, Store};

/// One disk that a power cut could leave, mounted again.
#[derive(Debug)]
pub struct Disk {
    /// A fresh system on it: another boot, no open files, no locks, all of it durable.
    pub fs: SimFs,
    /// What was kept and what was lost, for people.
    pub story: String,
}

/// The disks that a power cut could leave. Each is made when it is asked for.
#[derive(Debug)]
pub struct Disks {
    store: Store,
    host: SimHost,
    plans: vec::IntoIter<Plan>,
    complete: bool,
}

/// One way in which things can go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Plan {
    /// For each operation of the journal: did it reach the disk?
    ops: Vec<bool>,
    /// For each inode the fates of its open changes, in order. An inode that is missing lost them all.
    fates: Vec<(Ino, Vec<Fate>)>,
}

impl Disks {
    pub(super) fn of(store: &Store, host: &SimHost) -> Self {
        let (plans, complete) = match enumerate(store, store.dials.enumerate) {
            Some(plans) => (plans, true),
            None => (sample(store, store.dials.samples), false),
        };
        Disks { store: store.clone(), host: host.clone(), plans: plans.into_iter(), complete }
    }

    /// Are these all, or a sample?
    pub fn is_complete(&self) -> bool {
        self.complete
    }
}

impl Iterator for Disks {
    type Item = Disk;

    fn next(&mut self) -> Option<Disk> {
        let plan = self.plans.next()?;
        Some(Disk { fs: mount(&self.store, &self.host, &plan), story: story_of(&self.store, &plan) })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.plans.size_hint()
    }
}

impl ExactSizeIterator for Disks {}

/// The names after those operations.
fn names_after(store: &Store, ops: &[bool]) -> Names {
    let mut names = store.disk_names.clone();
    for (op, kept) in store.journal.ops().iter().zip(ops) {
        if *kept {
            op.apply(&mut names);
        }
    }
    names
}

/// What has a path.
fn reachable(store: &Store, names: &Names) -> BTreeSet<Ino> {
    let mut found = BTreeSet::from([ROOT]);
    let mut dirs = vec![ROOT];
    while let Some(dir) = dirs.pop() {
        for entry in entries_in(names, dir) {
            if found.insert(entry.ino) && store.inode(entry.ino).node == Node::Dir {
                dirs.push(entry.ino);
            }
        }
    }
    found
}

/// All sets of operations that contain whatever their members depend on; `None` if there are more than `limit`.
fn op_sets(store: &Store, limit: usize) -> Option<Vec<Vec<bool>>> {
    let mut sets = vec![Vec::new()];
    for needs in store.journal.dependencies() {
        let mut next = Vec::with_capacity(sets.len() * 2);
        for mut set in sets {
            if needs.iter().all(|earlier| set[*earlier]) {
                let mut with: Vec<bool> = set.clone();
                with.push(true);
                next.push(with);
            }
            set.push(false);
            next.push(set);
        }
        if next.len() > limit {
            return None;
        }
        sets = next;
    }
    Some(sets)
}

/// The fates of one inode's changes that differ in their result; `None` if there are more than `limit`.
fn variants(inode: &Inode, limit: usize) -> Option<Vec<Vec<Fate>>> {
    let changes: Vec<&Change> = inode.open_changes().collect();
    let mut found: Vec<Vec<Fate>> = vec![Vec::new()];
    for (i, change) in changes.iter().enumerate() {
        let mut next = Vec::new();
        let mut images = HashSet::new();
        for fates in found {
            for fate in change.fates() {
                let mut fates = fates.clone();
                fates.push(fate);
                // Later changes see nothing but the image, so one way to it is enough.
                if images.insert(inode.after_first(&fates, i + 1)) {
                    next.push(fates);
                }
            }
        }
        if next.len() > limit {
            return None;
        }
        found = next;
    }
    Some(found)
}

/// Every disk, or `None` if there are more than `limit`.
fn enumerate(store: &Store, limit: usize) -> Option<Vec<Plan>> {
    let mut known: BTreeMap<Ino, Vec<Vec<Fate>>> = BTreeMap::new();
    let mut plans = Vec::new();
    for ops in op_sets(store, limit)? {
        let mut here = vec![Plan { ops, fates: Vec::new() }];
        for ino in reachable(store, &names_after(store, &here[0].ops)) {
            let inode = store.inode(ino);
            if inode.open_changes().next().is_none() {
                continue;
            }
            let variants = match known.entry(ino) {
                Slot::Occupied(known) => known.into_mut(),
                Slot::Vacant(slot) => slot.insert(variants(inode, limit)?),
            };
            let with = |plan: &Plan, fates: &Vec<Fate>| {
                let mut plan = plan.clone();
                plan.fates.push((ino, fates.clone()));
                plan
            };
            here = here.iter().flat_map(|plan| variants.iter().map(move |fates| with(plan, fates))).collect();
            if plans.len() + here.len() > limit {
                return None;
            }
        }
        plans.append(&mut here);
        if plans.len() > limit {
            return None;
        }
    }
    Some(plans)
}

/// The extremes, and then whatever the dice say.
fn sample(store: &Store, wanted: usize) -> Vec<Plan> {
    let mut rng = Rng::new(store.dials.seed);
    let needs = store.journal.dependencies();
    let dirty: Vec<Ino> =
        store.inodes.iter().filter(|(_, inode)| inode.open_changes().next().is_some()).map(|(ino, _)| *ino).collect();
    let fates = |of: &dyn Fn(Ino, &Change) -> Fate| -> Vec<(Ino, Vec<Fate>)> {
        dirty
            .iter()
            .map(|ino| (*ino, store.inode(*ino).open_changes().map(|change| of(*ino, change)).collect()))
            .collect()
    };
    let all = vec![true; needs.len()];
    let none = vec![false; needs.len()];
    let kept = fates(&|_, _| Fate::Kept);
    let lost = fates(&|_, _| Fate::Lost);
    let zeroed = fates(&|_, change| if matches!(change, Change::Write { .. }) { Fate::Zeroed } else { Fate::Kept });

    let mut plans = Vec::new();
    for ops in [&none, &all] {
        for fates in [&lost, &kept, &zeroed] {
            plans.push(Plan { ops: ops.clone(), fates: fates.clone() });
        }
    }
    for one in &dirty {
        let but_one = fates(&|ino, _| if ino == *one { Fate::Lost } else { Fate::Kept });
        plans.push(Plan { ops: all.clone(), fates: but_one });
    }
    for one in 0..needs.len() {
        let without = closed(&needs, |i| i != one);
        plans.push(Plan { ops: without, fates: kept.clone() });
    }
    while plans.len() < wanted {
        let chance = 1 + rng.below(4);
        let ops = closed(&needs, |_| rng.below(5) < chance);
        let mut draw = |ino: Ino| store.inode(ino).open_changes().map(|change| change.draw_fate(&mut rng)).collect();
        let fates = dirty.iter().map(|ino| (*ino, draw(*ino))).collect();
        plans.push(Plan { ops, fates });
    }
    let mut seen = HashSet::new();
    plans.retain(|plan| seen.insert(plan.clone()));
    plans.truncate(wanted);
    plans
}

/// Those operations that are wanted and whose needs are met.
fn closed(needs: &[Vec<usize>], mut wanted: impl FnMut(usize) -> bool) -> Vec<bool> {
    let mut set: Vec<bool> = Vec::with_capacity(needs.len());
    for (i, needs) in needs.iter().enumerate() {
        let met = needs.iter().all(|earlier| set[*earlier]);
        set.push(wanted(i) && met);
    }
    set
}

fn mount(store: &Store, host: &SimHost, plan: &Plan) -> SimFs {
    let mut names = names_after(store, &plan.ops);
    let alive = reachable(store, &names);
    names.retain(|(dir, _), _| alive.contains(dir));
    let fates: BTreeMap<Ino, &[Fate]> = plan.fates.iter().map(|(ino, fates)| (*ino, fates.as_slice())).collect();
    let image_of = |ino: &Ino| {
        let inode = store.inode(*ino);
        let mut image = inode.after(fates.get(ino).copied().unwrap_or_default());
        if !image.is_like(&inode.disk) {
            (image.mtime, image.ctime) = (inode.now.mtime, inode.now.ctime);
        }
        let (now, disk) = (image.clone(), image);
        (*ino, Inode { now, disk, pending: Vec::new(), node: inode.node.clone(), ..*inode })
    };
    let inodes = alive.iter().map(image_of).collect();
    SimFs::with(Store::of(store.dials, inodes, names, store.now), host.rebooted())
}

fn story_of(store: &Store, plan: &Plan) -> String {
    let names = names_after(store, &plan.ops);
    let name_of =
        |ino: Ino| names.values().find(|entry| entry.ino == ino).map(|entry| entry.name.display().to_string());
    let mut text = String::new();
    let mut say = |what: &str, fate: &str| {
        let separator = if text.is_empty() { "" } else { "; " };
        // Writing to a string does not fail.
        write!(text, "{separator}{what}: {fate}").unwrap_or_default();
    };
    for (op, kept) in store.journal.ops().iter().zip(&plan.ops) {
        say(&op.label, if *kept { "kept" } else { "lost" });
    }
    for (ino, fates) in &plan.fates {
        let Some(name) = name_of(*ino) else { continue };
        for (change, fate) in store.inode(*ino).open_changes().zip(fates) {
            say(&format!("{name}: {change}"), &fate.to_string());
        }
    }
    if text.is_empty() { "everything was durable".into() } else { text }
}
