//! Merged units become text: separators, line ends and indentation are put right, conflicts become whole lines.

use std::borrow::Cow;

use super::node::{Node, NodeId, Span, Tree};
use super::pair::Slot;
use super::weave::{Clash, From, Part, Seg, Unit, Unsettled};
use super::{BASE, OURS, THEIRS, Trees};
use crate::merge::merged::{Hunk, Piece, Source};

/// How a merged container is laid out: as the side has it that changed it.
pub(super) struct Layout<'t> {
    open: Cow<'t, [u8]>,
    close: Cow<'t, [u8]>,
    rows: bool,
    separator: &'static str,
    /// A separator behind the last unit, too.
    trailing: bool,
    /// What units of rows begin with: line end and indentation.
    row: Vec<u8>,
    /// What the first unit begins with if it stands in the line of its container, and what the others begin with that are not in
    /// rows.
    first: Option<Vec<u8>>,
    other: Vec<u8>,
    /// The indentation of each version's units.
    indents: [Option<Vec<u8>>; 3],
    free_indentation: bool,
}

impl<'t> Layout<'t> {
    /// The layout of the merged container. `None`: both sides changed comments at its ends, or the indentation, and they do not fit.
    pub(super) fn of(trees: &Trees<'t>, nodes: [Option<NodeId>; 3]) -> Option<Self> {
        let [base, Some(ours), Some(theirs)] = nodes else { return None };
        let node = |side: usize, id: NodeId| trees[side].node(id);
        let bytes = |side: usize, span: Span| trees[side].bytes(span);
        let trivia = |part: fn(&Node) -> Span| {
            super::leaf::trivia(
                base.map(|id| bytes(BASE, part(node(BASE, id)))),
                bytes(OURS, part(node(OURS, ours))),
                bytes(THEIRS, part(node(THEIRS, theirs))),
            )
        };
        let sides = [base, Some(ours), Some(theirs)];
        let known = |about: &dyn Fn(&Tree, &Node) -> Option<bool>| -> bool {
            let [b, o, t] =
                [BASE, OURS, THEIRS].map(|side| sides[side].and_then(|id| about(trees[side], node(side, id))));
            changed(b.as_ref(), o, t).unwrap_or(false)
        };
        let rows = known(&|_, node| (!node.children.is_empty()).then_some(node.rows));
        let trailing = known(&|tree, node| Some(tree.node(*node.children.last()?).separator.is_some()));
        let indents = [BASE, OURS, THEIRS].map(|side| sides[side].and_then(|id| indent(trees[side], node(side, id))));
        let [b, o, t] = indents.clone();
        let free_indentation = trees[OURS].language.free_indentation;
        let indent = changed(b.as_ref(), o, t).unwrap_or_default();
        let leads = |place: usize| {
            let lead = |side: usize| {
                let id = *sides[side].map(|id| node(side, id))?.children.get(place)?;
                let lead = bytes(side, node(side, id).lead());
                // A unit without a lead may have one in its first unit.
                let begins = begins_line(bytes(side, node(side, id).item));
                Some((!begins && !lead.contains(&b'\n') && is_blank(lead)).then(|| lead.to_vec()))
            };
            changed(lead(BASE).as_ref(), lead(OURS), lead(THEIRS)).flatten()
        };
        Some(Layout {
            open: trivia(Node::open)?,
            close: trivia(Node::close)?,
            rows,
            separator: if node(OURS, ours).separated { trees[OURS].language.separator } else { "" },
            trailing,
            row: [trees[OURS].line_end, &indent].concat(),
            first: leads(0),
            other: leads(1).unwrap_or_else(|| b" ".to_vec()),
            indents,
            free_indentation,
        })
    }
}

/// What the side says that changed it.
fn changed<T: PartialEq>(base: Option<&T>, ours: Option<T>, theirs: Option<T>) -> Option<T> {
    match (ours, theirs) {
        (None, theirs) => theirs,
        (ours, None) => ours,
        (Some(ours), theirs) => {
            if Some(&ours) == base {
                theirs
            } else {
                Some(ours)
            }
        }
    }
}

/// The indentation of a container's rows.
fn indent(tree: &Tree, node: &Node) -> Option<Vec<u8>> {
    node.children.iter().find_map(|&child| {
        let lead = tree.bytes(tree.node(child).lead());
        let line = lead.iter().rposition(|&byte| byte == b'\n')?;
        Some(lead[line + 1..].to_vec())
    })
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_whitespace)
}

/// Writes a merged container.
pub(super) fn container<'t>(
    trees: &Trees<'t>,
    nodes: [Option<NodeId>; 3],
    layout: &Layout<'t>,
    parts: Vec<Part<'t>>,
    out: &mut Vec<Seg<'t>>,
) -> Result<(), Unsettled> {
    let source = |bytes: &[u8], part: fn(&Node) -> Span| -> From {
        let is = |side: usize| nodes[side].is_some_and(|id| trees[side].bytes(part(trees[side].node(id))) == bytes);
        match (is(BASE), is(OURS), is(THEIRS)) {
            (true, ..) => None,
            (_, true, true) => Some(Source::Both),
            (_, true, _) => Some(Source::Ours),
            (_, _, true) => Some(Source::Theirs),
            _ => Some(Source::Merged),
        }
    };
    let mut begin = layout.row.clone();
    if !layout.free_indentation {
        // Units of one side keep its indentation, whoever it is; units of both must have the same.
        let mut own = parts.iter().filter_map(|part| match part {
            Part::Unit(unit) if unit.lead.contains(&b'\n') => layout.indents[unit.side].as_deref(),
            _ => None,
        });
        if let Some(first) = own.next()
            && own.all(|indent| indent == first)
        {
            begin = [trees[OURS].line_end, first].concat();
        }
    }
    let closed = layout.close.is_empty() || begins_line(&layout.close);
    let clashes = parts.iter().any(|part| matches!(part, Part::Clash(..)));
    if clashes && !(layout.rows && closed) {
        return Err(Unsettled);
    }
    out.push(Seg::Bytes(layout.open.clone(), source(&layout.open, Node::open)));
    let count = parts.len();
    for (index, part) in parts.into_iter().enumerate() {
        let separator = if index + 1 < count || layout.trailing { layout.separator } else { "" };
        match part {
            Part::Unit(unit) => put(unit, index == 0, separator, layout, &begin, out)?,
            Part::Clash(ids, place) => {
                let mut clash = Clash { place: Some(place), ..Clash::default() };
                for side in [BASE, OURS, THEIRS] {
                    for &id in &ids[side] {
                        row(trees[side], id, separator, &mut clash.sides[side])?;
                    }
                }
                out.push(Seg::Clash(clash));
            }
        }
    }
    out.push(Seg::Bytes(layout.close.clone(), source(&layout.close, Node::close)));
    Ok(())
}

fn put<'t>(
    unit: Unit<'t>,
    is_first: bool,
    separator: &'static str,
    layout: &Layout<'t>,
    row: &[u8],
    out: &mut Vec<Seg<'t>>,
) -> Result<(), Unsettled> {
    let Unit { mut lead, body, tail: [before, behind], separated, from, side, first, section: _ } = unit;
    let mut shift = None;
    if layout.rows {
        let own = layout.indents[side].as_deref();
        let wanted = &row[row.iter().position(|&byte| byte == b'\n').map_or(0, |at| at + 1)..];
        if is_first
            && let Some(first) = &layout.first
            && begins_line(&lead)
            && is_blank(&lead)
        {
            // `- name: x`: what comes first now stands where the first one stood.
            lead = Cow::Owned(first.clone());
        } else if !(lead.contains(&b'\n') || is_first && first || lead.is_empty() && begins_row(&body)) {
            lead = Cow::Owned([row, trim_start(&lead)].concat());
        } else if own.is_some_and(|own| own != wanted) && lead.contains(&b'\n') {
            if !layout.free_indentation {
                return Err(Unsettled);
            }
            shift = own.map(|own| (own.to_vec(), wanted.to_vec()));
        }
    } else if is_blank(&lead) && (lead.contains(&b'\n') || is_first != first) {
        lead = Cow::Owned(if is_first { layout.first.clone().unwrap_or_default() } else { layout.other.clone() });
    }
    let shifted = |bytes: Cow<'t, [u8]>| match &shift {
        Some((old, new)) => Cow::Owned(shift_lines(&bytes, old, new)),
        None => bytes,
    };
    out.push(Seg::Bytes(shifted(lead), from));
    for seg in body {
        out.push(match seg {
            Seg::Bytes(bytes, from) => Seg::Bytes(shifted(bytes), from),
            clash @ Seg::Clash(_) => clash,
        });
    }
    let separator = Seg::Bytes(Cow::Borrowed(separator.as_bytes()), from);
    let (before, behind) = (Seg::Bytes(before, from), Seg::Bytes(behind, from));
    out.extend(if separated { [before, separator, behind] } else { [separator, before, behind] });
    Ok(())
}

/// The end of a lead: the line end and indentation of its unit's row.
pub(super) fn row_of<'t>(lead: &[u8]) -> Cow<'t, [u8]> {
    let line = lead.iter().rposition(|&byte| byte == b'\n').unwrap_or(0);
    let begin = if line > 0 && lead[line - 1] == b'\r' { line - 1 } else { line };
    Cow::Owned(lead[begin..].to_vec())
}

/// Does a unit without a lead have one in its first unit?
fn begins_row(body: &[Seg<'_>]) -> bool {
    let first = body.iter().find(|seg| !matches!(seg, Seg::Bytes(bytes, _) if bytes.is_empty()));
    match first {
        Some(Seg::Bytes(bytes, _)) => begins_line(bytes),
        Some(Seg::Clash(_)) => true,
        None => false,
    }
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(bytes.len())..]
}

/// Moves lines from one indentation to another; what is deeper stays as much deeper.
fn shift_lines(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if index == 0 {
            out.extend_from_slice(line);
            continue;
        }
        out.push(b'\n');
        match line.strip_prefix(old) {
            Some(rest) if !is_blank(line) || !rest.is_empty() || line.len() == old.len() => {
                out.extend_from_slice(new);
                out.extend_from_slice(rest);
            }
            _ => out.extend_from_slice(line),
        }
    }
    out
}

fn begins_line(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\n") || bytes.starts_with(b"\r\n")
}

/// A unit as rows of a conflict.
fn row(tree: &Tree, id: NodeId, separator: &str, out: &mut Vec<u8>) -> Result<(), Unsettled> {
    let node = tree.node(id);
    let body = tree.bytes(Span { start: node.item.start, end: node.value.end });
    if !begins_line(body) {
        return Err(Unsettled);
    }
    out.extend_from_slice(body);
    let (before, behind) = tree.tail_parts(node);
    if node.separator.is_some() {
        out.extend_from_slice(before);
        out.extend_from_slice(separator.as_bytes());
        out.extend_from_slice(behind);
    } else {
        out.extend_from_slice(separator.as_bytes());
        out.extend_from_slice(before);
    }
    Ok(())
}

/// Makes pieces of segments. `None`: a conflict would begin or end within a line.
pub(super) fn pieces(segs: Vec<Seg<'_>>) -> Option<Vec<Piece>> {
    let mut out: Vec<Piece> = Vec::new();
    // A line end that stands before a conflict was taken from the units in it, and is taken from what follows.
    let mut owed = false;
    for seg in segs {
        match seg {
            Seg::Bytes(bytes, _) if bytes.is_empty() => {}
            Seg::Bytes(bytes, from) => {
                let bytes = if owed {
                    owed = false;
                    bytes.strip_prefix(b"\r\n").or_else(|| bytes.strip_prefix(b"\n"))?
                } else {
                    &bytes
                };
                push(&mut out, bytes, from);
            }
            Seg::Clash(clash) => {
                let eol = clash.sides.iter().find_map(|side| match side.first()? {
                    b'\r' => Some(&b"\r\n"[..]),
                    _ => Some(b"\n"),
                })?;
                if !owed {
                    push(&mut out, eol, None);
                }
                owed = true;
                let side = |bytes: &[u8]| -> Option<Vec<u8>> {
                    if bytes.is_empty() {
                        return Some(Vec::new());
                    }
                    let rest = bytes.strip_prefix(b"\r\n").or_else(|| bytes.strip_prefix(b"\n"))?;
                    Some([rest, eol].concat())
                };
                let [base, ours, theirs] = &clash.sides;
                let hunk = Hunk { base: side(base)?, ours: side(ours)?, theirs: side(theirs)?, place: clash.place };
                out.push(Piece::Conflict(hunk));
            }
        }
    }
    if owed && let Some(Piece::Conflict(hunk)) = out.last_mut() {
        // The document ends without a line end.
        for side in [&mut hunk.base, &mut hunk.ours, &mut hunk.theirs] {
            let end = side.strip_suffix(b"\r\n").or_else(|| side.strip_suffix(b"\n")).map(<[u8]>::len);
            side.truncate(end.unwrap_or(side.len()));
        }
    }
    // The line end that the tree's text begins with.
    match out.first_mut()? {
        Piece::Unchanged(bytes) | Piece::Taken { bytes, .. } if bytes.first() == Some(&b'\n') => {
            bytes.remove(0);
        }
        Piece::Unchanged(bytes) | Piece::Taken { bytes, .. } if bytes.starts_with(b"\r\n") => {
            bytes.drain(..2);
        }
        _ => return None,
    }
    out.retain(|piece| !matches!(piece, Piece::Unchanged(bytes) | Piece::Taken { bytes, .. } if bytes.is_empty()));
    Some(out)
}

fn push(out: &mut Vec<Piece>, bytes: &[u8], from: From) {
    match (out.last_mut(), from) {
        (Some(Piece::Unchanged(last)), None) => last.extend_from_slice(bytes),
        (Some(Piece::Taken { bytes: last, from: whose }), Some(from)) if *whose == from => {
            last.extend_from_slice(bytes);
        }
        (_, None) => out.push(Piece::Unchanged(bytes.to_vec())),
        (_, Some(from)) => out.push(Piece::Taken { bytes: bytes.to_vec(), from }),
    }
}

/// What the units of a sorted container are sorted by.
fn sort_key(tree: &Tree, id: NodeId) -> Option<Vec<u8>> {
    let node = tree.node(id);
    match &node.name {
        Some(name) => Some(name.as_bytes().to_ascii_lowercase()),
        None if !node.is_container() => Some(tree.says(id).to_ascii_lowercase()),
        None => {
            let name = tree.field(id, "name").filter(|&name| !tree.node(name).is_container())?;
            Some(tree.says(name).to_ascii_lowercase())
        }
    }
}

/// Are the units sorted on both sides, so that people may be expected to keep them so?
pub(super) fn is_sorted(trees: &Trees<'_>, nodes: [Option<NodeId>; 3]) -> bool {
    const ENOUGH: usize = 3;
    [OURS, THEIRS].into_iter().all(|side| {
        let Some(id) = nodes[side] else { return false };
        let children = &trees[side].node(id).children;
        if children.len() < ENOUGH {
            return false;
        }
        let keys = children.iter().map(|&child| sort_key(trees[side], child));
        keys.clone().all(|key| key.is_some()) && keys.is_sorted()
    })
}

/// Merges theirs into ours by what they are sorted by; of equal ones ours comes first.
pub(super) fn merge_sorted(trees: &Trees<'_>, slots: &[Slot], ours: &[usize], theirs: &[usize]) -> Vec<usize> {
    let key = |side: usize, index: usize| slots[index].nodes[side].and_then(|id| sort_key(trees[side], id));
    let mut merged = Vec::with_capacity(ours.len() + theirs.len());
    let mut rest = theirs.iter().copied().peekable();
    for &index in ours {
        while let Some(other) = rest.next_if(|&other| key(THEIRS, other) < key(OURS, index)) {
            merged.push(other);
        }
        merged.push(index);
    }
    merged.extend(rest);
    merged
}
