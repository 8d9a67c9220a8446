//! Inserted text as entries and sections.

use super::lines::{Fences, bullet, definition, heading, indentation, is_blank, is_table_row, key, underline};
use crate::merge::options::Kind;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// With its level.
    Heading(usize),
    Item,
    Row,
    Definition,
    /// A paragraph, a code block, a line of plain text.
    Other,
}

/// Lines that belong together, and the blank lines around them.
#[derive(Clone, Debug)]
pub(super) struct Unit<'t> {
    pub(super) form: Form,
    /// Blank lines before it, if it is the first of its text.
    pub(super) lead: &'t [&'t [u8]],
    /// With the blank lines behind it.
    pub(super) lines: &'t [&'t [u8]],
    /// What it is compared by.
    pub(super) text: Vec<u8>,
    /// Whether a blank line stands before it.
    pub(super) apart: bool,
}

impl Unit<'_> {
    pub(super) fn ends_blank(&self) -> bool {
        self.lines.last().is_some_and(|line| is_blank(line))
    }
}

/// Cuts a text into its entries. `apart`: a blank line stands before it.
pub(super) fn units<'t>(lines: &'t [&'t [u8]], kind: Kind, apart: bool) -> Vec<Unit<'t>> {
    let lead = lines.iter().take_while(|line| is_blank(line)).count();
    let (lead, lines) = lines.split_at(lead);
    // In plain text with blank lines inside, an entry is what lies between them.
    let inside = lines.iter().rposition(|line| !is_blank(line)).map_or(lines, |last| &lines[..last]);
    let by_line = kind != Kind::Markdown && !inside.iter().any(|line| is_blank(line));
    let mut units: Vec<Unit<'_>> = Vec::new();
    let mut fences = Fences::within(kind);
    let mut from = 0;
    // How deep the current list is indented.
    let mut item: Option<usize> = None;
    let mut fenced = false;
    for (at, line) in lines.iter().enumerate() {
        let in_fence = fences.read_line(line);
        let begins = begins(lines, at, kind, by_line, item) && !(in_fence && fenced);
        if at > 0 && begins {
            units.push(unit(&lines[from..at]));
            from = at;
        }
        if begins && !is_blank(line) {
            item = bullet(line).map(|_| indentation(line));
        }
        fenced = in_fence;
    }
    if from < lines.len() {
        units.push(unit(&lines[from..]));
    }
    let mut apart = apart || !lead.is_empty();
    for (at, unit) in units.iter_mut().enumerate() {
        unit.lead = if at == 0 { lead } else { &[] };
        unit.apart = apart;
        apart = unit.ends_blank();
    }
    units
}

/// Does a unit begin with this line?
fn begins(lines: &[&[u8]], at: usize, kind: Kind, by_line: bool, item: Option<usize>) -> bool {
    let (line, before) = (lines[at], at.checked_sub(1).map(|at| lines[at]));
    if is_blank(line) {
        return false;
    }
    let Some(before) = before else { return true };
    if by_line {
        return true;
    }
    let apart = is_blank(before);
    if kind != Kind::Markdown {
        return apart;
    }
    if let Some(outer) = item {
        // What is indented deeper belongs to the item.
        if indentation(line) > outer {
            return false;
        }
        return apart || bullet(line).is_some() || heading(line).is_some();
    }
    apart
        || heading(line).is_some()
        || heading(before).is_some()
        || bullet(line).is_some()
        || (is_table_row(line) && is_table_row(before))
        || definition(line).is_some()
        || (at >= 2 && underline(before).is_some() && !is_blank(lines[at - 2]))
        || (line.starts_with(b"```") || line.starts_with(b"~~~"))
}

fn unit<'t>(lines: &'t [&'t [u8]]) -> Unit<'t> {
    let first = lines.first().copied().unwrap_or_default();
    let level = heading(first).or_else(|| lines.get(1).and_then(|second| underline(second)));
    let form = match level {
        Some(level) if bullet(first).is_none() => Form::Heading(level),
        _ if bullet(first).is_some() => Form::Item,
        _ if is_table_row(first) => Form::Row,
        _ if definition(first).is_some() => Form::Definition,
        _ => Form::Other,
    };
    let mut text = Vec::new();
    for line in lines.iter().filter(|line| !is_blank(line)) {
        text.extend_from_slice(key(line));
        text.push(b'\n');
    }
    Unit { form, lead: &[], lines, text, apart: false }
}
