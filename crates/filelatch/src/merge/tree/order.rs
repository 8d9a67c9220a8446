//! In which order the units of a merged container stand.
//!
//! The units that both sides have keep their order; if one side moved some, its order counts. Each side's other units follow the
//! unit they stood behind. Of two runs at one place ours comes first, unless the container is sorted on both sides: then the
//! runs are merged.

use super::pair::Slot;
use super::{BASE, OURS, THEIRS};

/// The places of a merged container, in order.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Runs of slots: one that both sides have, then what follows it on each side. The first run has no such slot.
    pub(super) runs: Vec<Run>,
    /// Both sides moved units, and not to the same places.
    pub(super) disputed: bool,
}

/// A slot that both sides have, and what follows it.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) shared: Option<usize>,
    /// What only one side has, or no side any more: indices of slots in that version's order.
    pub(super) only: [Vec<usize>; 3],
}

pub(super) fn order(slots: &[Slot]) -> Order {
    let by_place = |side: usize, wanted: &dyn Fn(&Slot) -> bool| -> Vec<usize> {
        let mut places: Vec<(u32, usize)> = slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| wanted(slot))
            .filter_map(|(index, slot)| Some((slot.places[side]?, index)))
            .collect();
        places.sort_unstable();
        places.into_iter().map(|(_, index)| index).collect()
    };
    let shared = |slot: &Slot| slot.nodes[OURS].is_some() && slot.nodes[THEIRS].is_some();
    let ours = by_place(OURS, &shared);
    let theirs = by_place(THEIRS, &shared);
    let (skeleton, disputed) = if ours == theirs {
        (ours, false)
    } else {
        let old = |slot: &Slot| shared(slot) && slot.nodes[BASE].is_some();
        let base = by_place(BASE, &old);
        let moved = |side: usize| by_place(side, &old) != base;
        match (moved(OURS), moved(THEIRS)) {
            (false, true) => (theirs, false),
            (true, true) => (ours, true),
            (_, false) => (ours, false),
        }
    };
    let mut runs = vec![Run::default()];
    let mut run_of = vec![0; slots.len()];
    for index in skeleton {
        runs.push(Run { shared: Some(index), only: Default::default() });
        run_of[index] = runs.len() - 1;
    }
    for side in [BASE, OURS, THEIRS] {
        let mut run = 0;
        for index in by_place(side, &|_| true) {
            let slot = &slots[index];
            if shared(slot) {
                run = run_of[index];
            } else if side != BASE || (slot.nodes[OURS].is_none() && slot.nodes[THEIRS].is_none()) {
                runs[run].only[side].push(index);
            }
        }
    }
    Order { runs, disputed }
}

/// The units of both sides between two shared ones, in one order: that of base, as far as they come from there; what a side added stays
/// behind what it stood behind.
pub(super) fn one_run(slots: &[Slot], run: &Run) -> Vec<usize> {
    let mut keyed: Vec<(u32, usize)> = Vec::with_capacity(run.only[OURS].len() + run.only[THEIRS].len());
    for side in [OURS, THEIRS] {
        let mut behind = 0;
        for &index in &run.only[side] {
            // A unit that was moved does not lead others away.
            behind = slots[index].places[BASE].map_or(behind, |place| behind.max(place + 1));
            keyed.push((behind, index));
        }
    }
    keyed.sort_by_key(|&(behind, _)| behind);
    keyed.into_iter().map(|(_, index)| index).collect()
}
