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
    let merged = counts(merged);
    let number = |counts: &HashMap<&[u8], usize>, line: &[u8]| counts.get(line).copied().unwrap_or_default();
    sides.into_iter().all(|side| {
        counts(side).into_iter().all(|(line, count)| {
            let added = count.saturating_sub(number(&base, line));
            added <= number(&merged, line) || mixed.contains(line)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn is_held(merged: &str, base: &str, ours: &str, theirs: &str, mixed: &[&str]) -> bool {
        let mixed = mixed.iter().map(|line| line.as_bytes().to_vec()).collect();
        holds(merged.as_bytes(), base.as_bytes(), [ours.as_bytes(), theirs.as_bytes()], &mixed, Kind::Markdown)
    }

    /// MERGE-1: a result without a line that a side added does not count.
    #[test]
    fn a_lost_line_is_found() {
        assert!(is_held("a\nb\nc\n", "a\n", "a\nb\n", "a\n c\n", &[]));
        assert!(!is_held("a\nb\n", "a\n", "a\nb\n", "a\nc\n", &[]));
        assert!(is_held("a\nb\n", "a\n", "a\nb\n", "a\nc\n", &["c"]));
        assert!(is_held("b\na\nb\n", "a\n", "b\na\nb\n", "a\nb\n", &[]));
        assert!(!is_held("a\nb\n", "a\n", "b\na\nb\n", "a\nb\n", &[]));
    }

    /// MERGE-1: nor does one that leaves open what was closed, or has a row of another length.
    #[test]
    fn a_broken_form_is_found() {
        let closed = "```\nx\n```\n";
        assert!(!is_held("```\nx\n", closed, closed, closed, &[]));
        assert!(is_held("```\nx\n", "```\n", closed, closed, &["```"]));
        let comment = "<!-- a\nb -->\n";
        assert!(!is_held("<!-- a\nb\n", comment, comment, comment, &[]));
        let table = "| a | b |\n|---|---|\n| 1 | 2 \n| \\| | 3 |\n";
        assert!(is_held(table, table, table, table, &[]));
        assert!(!is_held("| a | b |\n|---|---|\n| 1 |\n", table, table, table, &[]));
        assert!(is_held("```\n| a |\n| a | b |\n```\n", table, table, table, &[]));
    }
}
