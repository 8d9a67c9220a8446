//! Changes so far apart that a merge of lines can't mix them up.
//!
//! Lines can go wrong in two ways. They can be matched wrongly where blocks look alike: not, if between a change of one side and one of the
//! other there is a line that stands once in each version, for such a line is matched with itself. And they can come to stand
//! under another key, because the other side's lines begin or end something: not, if each changed stretch closes all that it opens
//! and nothing else. Where both are sure, and the result can be read, the trees would say the same, and cost more.
//!
//! The answer "no" is always safe: the trees are asked then.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::merged::{Merged, Piece, Source};
use super::options::Kind;

/// So many lines of a stretch are tried as marks.
const CANDIDATES: usize = 4;
/// Lines are looked for among so many first ones of a stretch.
const LOOK: usize = 200;
/// Shorter lines hardly stand once.
const MIN_LINE: usize = 4;

/// Whether lines that were merged without a conflict are where the trees would have them.
pub(super) fn far_apart(merged: &Merged, versions: [&[u8]; 3], kind: Kind) -> bool {
    let pieces = merged.pieces();
    let lengths = &merged.lines().base_lengths;
    if lengths.len() != pieces.len() || !matches!(kind, Kind::Json | Kind::Yaml | Kind::Toml) {
        return false;
    }
    let mut gaps: Vec<Vec<&[u8]>> = Vec::new();
    let mut last = None;
    let mut base = versions[0];
    for (index, (piece, &length)) in pieces.iter().zip(lengths).enumerate() {
        let Some((removed, rest)) = base.split_at_checked(length) else { return false };
        base = rest;
        let Piece::Taken { bytes, from } = piece else { continue };
        let next = match pieces.get(index + 1) {
            Some(Piece::Unchanged(bytes)) => bytes.as_slice(),
            None => &[],
            Some(_) => return false,
        };
        if ![removed, bytes].into_iter().all(|lines| keeps_to_itself(kind, lines, next)) {
            return false;
        }
        if last.is_some_and(|last| last != *from || last == Source::Both) {
            let Some(Piece::Unchanged(between)) = index.checked_sub(1).map(|before| &pieces[before]) else {
                return false;
            };
            gaps.push(candidates(between));
        }
        last = Some(*from);
    }
    marked(&gaps, versions)
}

/// The longest lines of a stretch.
fn candidates(bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = lines(bytes).take(LOOK).filter(|line| line.len() >= MIN_LINE).collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.len()));
    lines.truncate(CANDIDATES);
    lines
}

/// Does every gap have a line that stands once in each version?
fn marked(gaps: &[Vec<&[u8]>], versions: [&[u8]; 3]) -> bool {
    let mut counts: HashMap<&[u8], [u32; 3], RandomState> = HashMap::default();
    for line in gaps.iter().flatten() {
        counts.insert(line, [0; 3]);
    }
    for (which, version) in versions.into_iter().enumerate() {
        for line in lines(version) {
            if let Some(count) = counts.get_mut(line) {
                count[which] += 1;
            }
        }
    }
    gaps.iter().all(|gap| gap.iter().any(|line| counts.get(line) == Some(&[1; 3])))
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|&byte| byte == b'\n')
}

/// Do these lines leave what is around them where it is? `next` stands behind them.
fn keeps_to_itself(kind: Kind, lines: &[u8], next: &[u8]) -> bool {
    match kind {
        Kind::Json => balanced(lines, b"\"", b"/"),
        Kind::Toml => balanced(lines, b"\"'", b"") && self::lines(lines).all(|line| !trimmed(line).starts_with(b"[")),
        Kind::Yaml => balanced(lines, b"\"'", b"") && below(lines, next) && !names_nodes(lines),
        _ => false,
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.trim_ascii()
}

/// Are brackets opened and closed within the lines, and quotes within each line? `comments`: bytes that stand outside of quotes only in
/// comments, which are not understood here.
fn balanced(bytes: &[u8], quotes: &[u8], comments: &[u8]) -> bool {
    let mut depth = 0usize;
    let mut quote = None;
    let mut escaped = false;
    for &byte in bytes {
        if let Some(open) = quote {
            match byte {
                b'\n' => return false,
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                _ if byte == open => quote = None,
                _ => {}
            }
            continue;
        }
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return false,
            },
            _ if quotes.contains(&byte) => quote = Some(byte),
            _ if comments.contains(&byte) => return false,
            _ => {}
        }
    }
    depth == 0 && quote.is_none()
}

/// Are the lines indented at least as deep as what follows, so that it can't belong to them?
fn below(bytes: &[u8], next: &[u8]) -> bool {
    let says = |line: &&[u8]| !trimmed(line).is_empty() && !trimmed(line).starts_with(b"#");
    let indent = |line: &[u8]| line.iter().take_while(|&&byte| byte == b' ').count();
    let Some(next) = lines(next).find(says).map(indent) else { return false };
    lines(bytes).filter(says).all(|line| {
        indent(line) >= next && !line.contains(&b'\t') && !line.starts_with(b"---") && !line.starts_with(b"...")
    })
}

/// May there be an anchor or an alias in these lines? One side's alias may need the anchor that the other deletes, however far away.
fn names_nodes(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| {
        (pair[0].is_ascii_whitespace() || matches!(pair[0], b'[' | b'{' | b',')) && matches!(pair[1], b'&' | b'*')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MERGE-2: a stretch that opens or closes what it does not close or open may move its neighbours to another key.
    #[test]
    fn stretches_that_reach_beyond_themselves_are_seen() {
        assert!(keeps_to_itself(Kind::Json, b"  \"a\": {\"b\": [1]},\n", b""));
        assert!(!keeps_to_itself(Kind::Json, b"  },\n  \"c\": {\n", b""), "it splits an object");
        assert!(!keeps_to_itself(Kind::Json, b"  // \"\n", b""));
        assert!(!keeps_to_itself(Kind::Yaml, b"a: &b\n  c: 1\n", b"d: 1\n"), "an alias elsewhere may need it");
        assert!(!keeps_to_itself(Kind::Yaml, b"a: [*b]\n", b"d: 1\n"));
        assert!(keeps_to_itself(Kind::Toml, b"a = [1]\n", b"b = 2\n"));
        assert!(!keeps_to_itself(Kind::Toml, b"[other]\n", b"b = 2\n"), "what follows is in another table now");
        assert!(keeps_to_itself(Kind::Yaml, b"  b:\n    c: 1\n", b"  d: 1\n"));
        assert!(!keeps_to_itself(Kind::Yaml, b"b:\n", b"  d: 1\n"), "what follows is below another key now");
        assert!(!keeps_to_itself(Kind::Yaml, b"- name: x\n", b"  d: 1\n"));
    }
}
