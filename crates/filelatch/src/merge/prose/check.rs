//! Whether a clean result is one.

use std::collections::{HashMap, HashSet};

use super::lines::{Fences, is_blank, is_closed, is_table_row, key, split};
use crate::merge::options::Kind;

/// Does a result hold every line that a side added, and is it as well formed as what it was made of? Lines of `mixed` were merged by
/// words.
pub(super) fn holds(merged: &[u8], base: &[u8], sides: [&[u8]; 2], mixed: &HashSet<Vec<u8>>, kind: Kind) -> bool {
    let all = [base, sides[0], sides[1]];
    let form = |is: fn(&[u8]) -> bool| kind != Kind::Markdown || !all.into_iter().all(is) || is(merged);
    form(is_closed) && form(has_even_tables) && holds_additions(merged, base, sides, mixed)
}

fn holds_additions(merged: &[u8], base: &[u8], sides: [&[u8]; 2], mixed: &HashSet<Vec<u8>>) -> bool {
    let base = counts(base);
    let merged: HashSet<&[u8]> = split(merged).map(<[u8]>::trim_ascii).collect();
    sides.into_iter().all(|side| {
        counts(side).into_iter().all(|(line, count)| {
            let added = count > base.get(line).copied().unwrap_or_default();
            !added || merged.contains(line) || mixed.contains(line)
        })
    })
}

fn counts(text: &[u8]) -> HashMap<&[u8], usize> {
    let mut counts = HashMap::new();
    for line in split(text).filter(|line| !is_blank(line)) {
        *counts.entry(line.trim_ascii()).or_default() += 1;
    }
    counts
}

/// Has each table as many cells in every row?
fn has_even_tables(text: &[u8]) -> bool {
    let mut fences = Fences::new(Kind::Markdown);
    let mut cells = None;
    for line in split(text) {
        let here = (!fences.read_line(line) && is_table_row(line)).then(|| count_cells(key(line)));
        if matches!((cells, here), (Some(before), Some(here)) if before != here) {
            return false;
        }
        cells = here;
    }
    true
}

fn count_cells(row: &[u8]) -> usize {
    let escaped = |at: usize| at > 0 && row[at - 1] == b'\\';
    let bars = (0..row.len()).filter(|&at| row[at] == b'|' && !escaped(at)).count();
    // The bar at the end can be left out.
    bars - usize::from(row.ends_with(b"|") && bars > 1)
}
