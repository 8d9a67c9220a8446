//! What both sides inserted at one place.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::Around;
use super::lines::{bullet, definition, indentation, is_blank, is_closed, is_table_row};
use super::releases::{Release, release};
use super::units::{Form, Unit, units};
use crate::merge::options::{Algorithm, Kind};
use crate::merge::text::diff;
use crate::merge::words;

/// So many pairs of entries are compared for likeness; with more the answer is a conflict.
const MAX_PAIRS: usize = 10_000;

/// Both insertions. `None`: a conflict.
pub(super) fn both(ours: &[&[u8]], theirs: &[&[u8]], around: &Around<'_>) -> Option<Vec<u8>> {
    let apart = is_blank(around.before);
    let (our_units, their_units) = (units(ours, around.kind, apart), units(theirs, around.kind, apart));
    if contains(&our_units, &their_units) {
        return Some(ours.concat());
    }
    if contains(&their_units, &our_units) {
        return Some(theirs.concat());
    }
    if around.code {
        return None;
    }
    if around.kind == Kind::Markdown && !(is_closed(&ours.concat()) && is_closed(&theirs.concat())) {
        return None;
    }
    let merged = sections(&our_units, &their_units, around, true)?;
    Some(write(&merged))
}

/// Does `more` have all entries of `less`, in their order?
fn contains(more: &[Unit<'_>], less: &[Unit<'_>]) -> bool {
    let mut left = more.iter();
    less.iter().all(|unit| left.any(|other| other.text == unit.text))
}

type Units<'u, 't> = Vec<&'u Unit<'t>>;

/// Entries before the first heading, then section by section.
fn sections<'u, 't>(
    ours: &'u [Unit<'t>],
    theirs: &'u [Unit<'t>],
    around: &Around<'_>,
    outermost: bool,
) -> Option<Units<'u, 't>> {
    let body = |units: &[Unit<'_>]| units.iter().take_while(|unit| !matches!(unit.form, Form::Heading(_))).count();
    let ((our_body, ours), (their_body, theirs)) = (ours.split_at(body(ours)), theirs.split_at(body(theirs)));
    let mut merged = entries(our_body, their_body, around, outermost)?;
    let (ours, theirs) = (split(ours), split(theirs));
    let pairs = pair(&ours, &theirs)?;
    let theirs_first = pairs.iter().all(Option::is_none) && is_theirs_first(&ours, &theirs, around);
    let mut left: Vec<bool> = vec![true; theirs.len()];
    for &pair in pairs.iter().flatten() {
        left[pair] = false;
    }
    // A section that only they have comes behind the one that it follows there.
    let mut push_theirs = |merged: &mut Units<'u, 't>, from: usize| {
        for (at, section) in theirs.iter().enumerate().skip(from) {
            if !std::mem::replace(&mut left[at], false) {
                break;
            }
            merged.extend(section.iter());
        }
    };
    if theirs_first || pairs.iter().any(Option::is_some) {
        push_theirs(&mut merged, 0);
    }
    for (section, pair) in ours.iter().zip(&pairs) {
        match pair {
            Some(pair) => {
                merged.extend(&section[..1]);
                merged.extend(sections(&section[1..], &theirs[*pair][1..], around, false)?);
                push_theirs(&mut merged, pair + 1);
            }
            None => merged.extend(section.iter()),
        }
    }
    for at in 0..theirs.len() {
        push_theirs(&mut merged, at);
    }
    Some(merged)
}

/// Sections: a heading and what follows up to the next one of its level or above.
fn split<'u, 't>(units: &'u [Unit<'t>]) -> Vec<&'u [Unit<'t>]> {
    let mut sections = Vec::new();
    let mut from = 0;
    let mut level = 0;
    for (at, unit) in units.iter().enumerate() {
        if let Form::Heading(other) = unit.form
            && (at == 0 || other <= level)
        {
            if at > 0 {
                sections.push(&units[from..at]);
            }
            (from, level) = (at, other);
        }
    }
    if from < units.len() {
        sections.push(&units[from..]);
    }
    sections
}

/// For each section of ours the one of theirs with its heading. `None`: two headings for one thing.
fn pair(ours: &[&[Unit<'_>]], theirs: &[&[Unit<'_>]]) -> Option<Vec<Option<usize>>> {
    let mut free: Vec<bool> = vec![true; theirs.len()];
    let mut pairs = Vec::with_capacity(ours.len());
    if ours.len().saturating_mul(theirs.len()) > MAX_PAIRS {
        return None;
    }
    for section in ours {
        let same = (0..theirs.len())
            .find(|&at| free[at] && theirs[at][0].text == section[0].text && theirs[at][0].form == section[0].form);
        if let Some(at) = same {
            free[at] = false;
        }
        pairs.push(same);
    }
    for (section, _) in ours.iter().zip(&pairs).filter(|(_, pair)| pair.is_none()) {
        for (other, _) in theirs.iter().zip(&free).filter(|(_, free)| **free) {
            let (a, b) = (&section[0], &other[0]);
            let one_release = release(&a.text).is_some_and(|release_a| Some(release_a) == release(&b.text));
            if one_release || are_rivals(a, b) {
                return None;
            }
        }
    }
    Some(pairs)
}

/// Do their sections come before ours? Deeper ones do, since they belong to the section above; else newer releases.
fn is_theirs_first(ours: &[&[Unit<'_>]], theirs: &[&[Unit<'_>]], around: &Around<'_>) -> bool {
    let (Some(ours), Some(theirs)) = (ours.first(), theirs.first()) else { return false };
    let (Form::Heading(our_level), Form::Heading(their_level)) = (ours[0].form, theirs[0].form) else { return false };
    if our_level != their_level {
        return their_level > our_level;
    }
    match (release(&ours[0].text), release(&theirs[0].text)) {
        (Some(Release::Numbered(_)), Some(Release::Next)) => true,
        (Some(ours), Some(theirs)) => {
            // Newest first, if the release that follows is older.
            let newest_first = release(around.after).is_some_and(|next| next < ours && next < theirs);
            newest_first && ours.cmp(&theirs) == Ordering::Less
        }
        _ => false,
    }
}

/// Both sides' entries, those of both once.
fn entries<'u, 't>(
    ours: &'u [Unit<'t>],
    theirs: &'u [Unit<'t>],
    around: &Around<'_>,
    outermost: bool,
) -> Option<Units<'u, 't>> {
    let texts = |units: &'u [Unit<'t>]| -> Vec<&'u [u8]> { units.iter().map(|unit| &unit.text[..]).collect() };
    let (our_texts, their_texts) = (texts(ours), texts(theirs));
    let known: HashSet<&[u8]> = our_texts.iter().copied().collect();
    let shared: HashSet<&[u8]> = their_texts.iter().copied().filter(|text| known.contains(text)).collect();
    let own = |units: &'u [Unit<'t>]| -> Units<'u, 't> {
        units.iter().filter(|unit| !shared.contains(&unit.text[..])).collect()
    };
    let (our_own, their_own) = (own(ours), own(theirs));
    if our_own.len().saturating_mul(their_own.len()) > MAX_PAIRS {
        return None;
    }
    for ours in &our_own {
        for theirs in &their_own {
            // Below a heading that both wrote, two texts are two versions of one.
            let two_texts = !outermost && ours.form == Form::Other && theirs.form == Form::Other;
            if two_texts || are_rivals(ours, theirs) {
                return None;
            }
        }
    }
    if shared.is_empty()
        && let Some(sorted) = sorted(ours, theirs, around)
    {
        return Some(sorted);
    }
    let changes = diff(&our_texts, &their_texts, Algorithm::Myers);
    // What ours has at another place; of entries that a side has more than once, as many as the side with more.
    let mut elsewhere: HashMap<&[u8], usize> = HashMap::new();
    for text in changes.iter().flat_map(|change| &our_texts[change.before.clone()]) {
        *elsewhere.entry(text).or_default() += 1;
    }
    let mut is_missing = |unit: &&Unit<'_>| match elsewhere.get_mut(&unit.text[..]) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    };
    let mut merged: Units<'u, 't> = Vec::new();
    let mut done = 0;
    for change in &changes {
        merged.extend(&ours[done..change.before.end]);
        merged.extend(theirs[change.after.clone()].iter().filter(&mut is_missing));
        done = change.before.end;
    }
    merged.extend(&ours[done..]);
    Some(merged)
}

/// Entries of one line that stand in order with their neighbours: merged in order.
fn sorted<'u, 't>(ours: &'u [Unit<'t>], theirs: &'u [Unit<'t>], around: &Around<'_>) -> Option<Units<'u, 't>> {
    let all = || ours.iter().chain(theirs);
    let plain =
        |unit: &Unit<'_>| unit.lead.is_empty() && unit.lines.len() == 1 && !matches!(unit.form, Form::Heading(_));
    if !is_neighbour(around.before, around.next) || !all().all(plain) {
        return None;
    }
    let key = |line: &[u8]| line.trim_ascii().to_ascii_lowercase();
    let in_order = |units: &[Unit<'_>]| {
        let inner = units.iter().map(|unit| key(&unit.text));
        let line: Vec<_> = [key(around.before)].into_iter().chain(inner).chain([key(around.next)]).collect();
        line.is_sorted()
    };
    if !in_order(ours) || !in_order(theirs) {
        return None;
    }
    let mut merged: Units<'u, 't> = all().collect();
    merged.sort_by_key(|unit| key(&unit.text));
    Some(merged)
}

/// Are two lines entries of one list?
fn is_neighbour(a: &[u8], b: &[u8]) -> bool {
    let form = |line| (bullet(line), indentation(line), is_table_row(line), definition(line).is_some());
    !is_blank(a) && !is_blank(b) && form(a) == form(b)
}

/// Do two entries speak of one thing, so that a person wants one of them?
fn are_rivals(a: &Unit<'_>, b: &Unit<'_>) -> bool {
    let named = match (name(a), name(b)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    };
    let (Ok(a_text), Ok(b_text)) = (std::str::from_utf8(&a.text), std::str::from_utf8(&b.text)) else { return named };
    let is_paragraph = a.form == Form::Other && b.form == Form::Other;
    named || is_paragraph && (goes_on(a_text, b_text) || goes_on(b_text, a_text)) || words::are_alike(a_text, b_text)
}

/// Is `more` all of `less` and further words?
fn goes_on(less: &str, more: &str) -> bool {
    let (less, more) = (less.trim_ascii(), more.trim_ascii());
    !less.is_empty() && more.strip_prefix(less).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_whitespace()))
}

/// What an entry has a name by: a table row its first cell, a definition its label, a requirement what it requires.
fn name<'u>(unit: &'u Unit<'_>) -> Option<&'u [u8]> {
    let line = unit.text.split(|&byte| byte == b'\n').next()?.trim_ascii();
    if is_table_row(line) {
        return line.split(|&byte| byte == b'|').nth(1).map(<[u8]>::trim_ascii).filter(|cell| !cell.is_empty());
    }
    if let Some(label) = definition(line) {
        return Some(label);
    }
    let end =
        line.iter().position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/')))?;
    let rest = line[end..].trim_ascii_start();
    let requires = [&b"=="[..], b">=", b"<=", b"~=", b"!=", b"="].into_iter().any(|mark| rest.starts_with(mark));
    (end > 0 && requires && unit.lines.len() == 1).then_some(&line[..end])
}

/// The entries as text, with blank lines between them where they had them.
fn write(units: &[&Unit<'_>]) -> Vec<u8> {
    let crlf = units.iter().flat_map(|unit| unit.lines).any(|line| line.ends_with(b"\r\n"));
    let line_end: &[u8] = if crlf { b"\r\n" } else { b"\n" };
    let mut out: Vec<u8> = Vec::new();
    let mut last: Option<&Unit<'_>> = None;
    for &unit in units {
        if out.last().is_some_and(|&byte| byte != b'\n') {
            out.extend_from_slice(line_end);
        }
        match last {
            None => out.extend(unit.lead.concat()),
            Some(last) if last.ends_blank() => {}
            Some(last) => {
                let paragraphs = unit.form == Form::Other || last.form != unit.form;
                if unit.apart && (paragraphs || matches!(unit.form, Form::Heading(_))) {
                    out.extend_from_slice(line_end);
                }
            }
        }
        out.extend(unit.lines.concat());
        last = Some(unit);
    }
    out
}
