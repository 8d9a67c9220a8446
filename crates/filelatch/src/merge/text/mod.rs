//! Three-way merge of lines.

mod diff;
mod diff3;
mod histogram;
mod lines;
mod refine;

pub(crate) use diff::{Change, Numbers, diff};
pub(crate) use lines::Lines;
pub(super) use lines::first_is_crlf;
pub(super) use refine::{Part, parts};

use self::diff3::{Region, Who};
use super::merged::{Hunk, LineFacts, Merged, Piece, Source};
use super::options::Algorithm;

/// Merges lines.
pub(super) fn merge(base: &[u8], ours: &[u8], theirs: &[u8], algorithm: Algorithm) -> Merged {
    let mut facts = LineFacts { algorithm, base_is_crlf: lines::first_is_crlf(base), ..LineFacts::default() };
    let mut numbers = Numbers::default();
    let base = Lines::new(base, &mut numbers);
    let ours = Lines::like(ours, &base, &mut numbers);
    let theirs = Lines::like(theirs, &base, &mut numbers);
    let our_changes = numbers.diff(&base.numbers, &ours.numbers, algorithm);
    let their_changes = numbers.diff(&base.numbers, &theirs.numbers, algorithm);
    let mut pieces = Vec::new();
    for Region { who, base: at, ours: ours_at, theirs: theirs_at } in
        diff3::regions(&our_changes, &their_changes, base.count())
    {
        let (base, ours, theirs) = (base.get(at), ours.get(ours_at), theirs.get(theirs_at));
        facts.base_lengths.push(base.len());
        pieces.push(match who {
            Who::Nobody => Piece::Unchanged(base.to_vec()),
            Who::Ours => Piece::Taken { bytes: ours.to_vec(), from: Source::Ours },
            Who::Theirs => Piece::Taken { bytes: theirs.to_vec(), from: Source::Theirs },
            Who::Both | Who::Overlap if ours == theirs => {
                if who == Who::Overlap {
                    facts.agreed.push((pieces.len(), base.to_vec()));
                }
                Piece::Taken { bytes: ours.to_vec(), from: Source::Both }
            }
            Who::Both | Who::Overlap => {
                let hunk = Hunk { base: base.to_vec(), ours: ours.to_vec(), theirs: theirs.to_vec(), place: None };
                Piece::Conflict(hunk)
            }
        });
    }
    Merged::of_lines(pieces, facts)
}
