//! Where a text stood that is not there any more, probably: for people and models, not for deciding anything.

use std::collections::HashMap;

use crate::anchors::Lines;
use crate::edits::spot;
use crate::refusal::Spot;

/// Lines of the piece that are looked for.
const LOOKED: usize = 100;
/// Places that are told.
const PLACES: usize = 3;
/// A shorter beginning in common says nothing.
const COMMON: usize = 6;

/// The places that are most like a piece, best first: where most of its lines stand, blanks around them aside; else the line that begins most like
/// its first. In time proportional to the text.
pub(crate) fn nearest(text: &[u8], piece: &str) -> Vec<Spot> {
    let lines = Lines::new(text);
    let mut wanted: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (at, line) in piece.lines().take(LOOKED).enumerate() {
        let line = line.trim().as_bytes();
        let places = wanted.entry(line).or_default();
        if !line.is_empty() && places.len() < 4 {
            places.push(at);
        }
    }
    // Where the piece would begin, for each line that stands where it should.
    let mut votes: HashMap<usize, usize> = HashMap::new();
    for at in 0..lines.count() {
        let line = lines.text(at).trim_ascii();
        for offset in wanted.get(line).into_iter().flatten() {
            *votes.entry(at.saturating_sub(*offset)).or_default() += line.len();
        }
    }
    if votes.is_empty() {
        let first = piece.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().as_bytes();
        let common = |at: &usize| {
            let line = lines.text(*at).trim_ascii();
            line.iter().zip(first).take_while(|(a, b)| a == b).count()
        };
        let best = (0..lines.count()).map(|at| (common(&at), at)).max_by_key(|(common, at)| (*common, usize::MAX - at));
        return best.filter(|(common, _)| *common >= COMMON).map(|(_, at)| spot(&lines, at)).into_iter().collect();
    }
    let mut votes: Vec<_> = votes.into_iter().collect();
    votes.sort_by_key(|(at, weight)| (usize::MAX - weight, *at));
    votes.truncate(PLACES);
    votes.into_iter().map(|(at, _)| spot(&lines, at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, piece: &str) -> Vec<usize> {
        nearest(text.as_bytes(), piece).iter().map(|spot| spot.line).collect()
    }

    /// AGENT-6: the place that a conflict shows is the one that is most like the text that was looked for.
    #[test]
    fn places() {
        let text = "fn one() {\n    1\n}\n\nfn two() {\n    2\n}\n";
        assert_eq!(found(text, "fn two() {\n    3\n}")[0], 5);
        assert_eq!(found(text, "\tfn one() {\n\t1\n}")[0], 1);
        assert_eq!(found(text, "fn two(x) {"), [5]);
        assert_eq!(found(text, "something else"), Vec::<usize>::new());
        assert_eq!(found("", "a"), Vec::<usize>::new());
        assert_eq!(found("}\n}\n}\n}\n}\n", "}").len(), PLACES);
    }
}
