//! What can't be taken apart any more: values, and what stands between them.

use std::borrow::Cow;

use super::node::{NodeId, Shape};
use super::{BASE, OURS, THEIRS, Trees};
use crate::merge::options::{Algorithm, VersionRule};
use crate::merge::{text, versions, words};

/// A merged value, and whether a side's value is not to be found in it.
pub(super) struct Leaf<'t> {
    pub(super) bytes: Cow<'t, [u8]>,
    pub(super) mixed: bool,
}

/// Merges three values that are no containers. `None`: they do not fit.
pub(super) fn leaf<'t>(
    trees: &Trees<'t>,
    base: Option<NodeId>,
    ours: NodeId,
    theirs: NodeId,
    version: VersionRule,
) -> Option<Leaf<'t>> {
    let bytes = |side: usize, id: NodeId| trees[side].bytes(trees[side].node(id).value);
    let (o, t) = (bytes(OURS, ours), bytes(THEIRS, theirs));
    let taken = |bytes: &'t [u8]| Some(Leaf { bytes: Cow::Borrowed(bytes), mixed: false });
    let (says_o, says_t) = (trees[OURS].says(ours), trees[THEIRS].says(theirs));
    let Some(base) = base else {
        return if says_o == says_t { taken(o) } else { None };
    };
    let (b, says_b) = (bytes(BASE, base), trees[BASE].says(base));
    if says_o == says_t {
        // Only the spelling differs: from the side that changed it.
        return taken(if b == o { t } else { o });
    }
    if says_o == says_b {
        return Some(requoted(b, o, t).map_or(Leaf { bytes: Cow::Borrowed(t), mixed: false }, |bytes| Leaf {
            bytes: Cow::Owned(bytes),
            mixed: false,
        }));
    }
    if says_t == says_b {
        return Some(requoted(b, t, o).map_or(Leaf { bytes: Cow::Borrowed(o), mixed: false }, |bytes| Leaf {
            bytes: Cow::Owned(bytes),
            mixed: false,
        }));
    }
    let shapes = [trees[BASE].node(base).shape, trees[OURS].node(ours).shape, trees[THEIRS].node(theirs).shape];
    if version == VersionRule::Higher
        && let Some(ours_wins) = versions::higher(b, o, t)
    {
        // The check must not look for the lower one.
        return Some(Leaf { bytes: Cow::Borrowed(if ours_wins { o } else { t }), mixed: true });
    }
    let mixed = |bytes: Vec<u8>| Some(Leaf { bytes: Cow::Owned(bytes), mixed: true });
    match shapes {
        [Shape::Lines, Shape::Lines, Shape::Lines] => lines(b, o, t).and_then(mixed),
        [Shape::Prose, Shape::Prose, Shape::Prose] => {
            let [b, o, t] = [b, o, t].map(|bytes| std::str::from_utf8(bytes).ok());
            words::merge(b?, o?, t?).map(String::into_bytes).and_then(mixed)
        }
        _ => None,
    }
}

/// `changed` in the quotes that `spelled` has, if `spelled` says what base says, in other quotes.
fn requoted(base: &[u8], spelled: &[u8], changed: &[u8]) -> Option<Vec<u8>> {
    let quote = |bytes: &[u8]| match bytes {
        [first @ (b'"' | b'\''), inner @ .., last] if first == last => {
            // Within other quotes these would mean something else.
            (!inner.iter().any(|byte| matches!(byte, b'"' | b'\'' | b'\\' | b'\n'))).then_some(*first)
        }
        _ => None,
    };
    let (old, new) = (quote(base)?, quote(spelled)?);
    if old == new || quote(changed)? != old || base[1..base.len() - 1] != spelled[1..spelled.len() - 1] {
        return None;
    }
    let mut bytes = changed.to_vec();
    bytes[0] = new;
    let last = bytes.len() - 1;
    bytes[last] = new;
    Some(bytes)
}

/// Merges what stands between values: white space and comments. `None`: both sides changed comments, and they do not fit.
pub(super) fn trivia<'t>(base: Option<&'t [u8]>, ours: &'t [u8], theirs: &'t [u8]) -> Option<Cow<'t, [u8]>> {
    if ours == theirs || base == Some(theirs) {
        return Some(Cow::Borrowed(ours));
    }
    if base == Some(ours) {
        return Some(Cow::Borrowed(theirs));
    }
    // Of two layouts the shorter one: a choice that does not depend on who is ours.
    let shorter = |ours: &'t [u8], theirs: &'t [u8]| {
        if (theirs.len(), theirs) < (ours.len(), ours) { theirs } else { ours }
    };
    if base.is_none() && same_words(ours, theirs) {
        return Some(Cow::Borrowed(shorter(ours, theirs)));
    }
    let base = base.unwrap_or_default();
    // Blank lines at the beginning, and the words behind them, each as the side has them that changed them.
    let [(b, base), (o, ours), (t, theirs)] = [base, ours, theirs].map(blank_lines);
    let blank = if o == t || b == t {
        o
    } else if b == o {
        t
    } else {
        shorter(o, t)
    };
    let words = if ours == theirs || base == theirs {
        Cow::Borrowed(ours)
    } else if base == ours {
        Cow::Borrowed(theirs)
    } else if same_words(ours, theirs) {
        // White space alone is no reason to disturb anybody.
        Cow::Borrowed(shorter(ours, theirs))
    } else if same_words(base, theirs) {
        Cow::Borrowed(ours)
    } else if same_words(base, ours) {
        Cow::Borrowed(theirs)
    } else {
        Cow::Owned(lines(base, ours, theirs)?)
    };
    Some(if blank.is_empty() { words } else { Cow::Owned([blank, &words].concat()) })
}

/// The line ends at the beginning, with the blanks between them, and the rest.
fn blank_lines(trivia: &[u8]) -> (&[u8], &[u8]) {
    let first = trivia.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(trivia.len());
    trivia.split_at(trivia[..first].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1))
}

/// Merges lines as git does.
fn lines(base: &[u8], ours: &[u8], theirs: &[u8]) -> Option<Vec<u8>> {
    text::merge(base, ours, theirs, Algorithm::Histogram).content()
}

/// Do two texts differ in white space only?
pub(super) fn same_words(a: &[u8], b: &[u8]) -> bool {
    let words =
        |bytes: &'_ [u8]| -> Vec<u8> { bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect() };
    a == b || words(a) == words(b)
}
