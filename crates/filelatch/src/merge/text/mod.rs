//! Three-way merge of lines.

mod diff;
mod diff3;
mod lines;

#[allow(unused_imports, reason = "for the merges of trees")]
pub(crate) use diff::{Change, diff};

use self::diff::Numbers;
use self::diff3::{Region, Who};
use self::lines::Lines;
use super::merged::{Hunk, Piece, Source};
use super::options::Algorithm;

/// Merges lines.
pub(super) fn merge(base: &[u8], ours: &[u8], theirs: &[u8], algorithm: Algorithm) -> Vec<Piece> {
    let mut numbers = Numbers::default();
    let base = Lines::new(base, &mut numbers);
    let ours = Lines::new(ours, &mut numbers);
    let theirs = Lines::new(theirs, &mut numbers);
    let our_changes = numbers.diff(&base.numbers, &ours.numbers, algorithm);
    let their_changes = numbers.diff(&base.numbers, &theirs.numbers, algorithm);
    let piece = |region: Region| {
        let (base, ours, theirs) = (base.get(region.base), ours.get(region.ours), theirs.get(region.theirs));
        match region.who {
            Who::Nobody => Piece::Unchanged(base.to_vec()),
            Who::Ours => Piece::Taken { bytes: ours.to_vec(), from: Source::Ours },
            Who::Theirs => Piece::Taken { bytes: theirs.to_vec(), from: Source::Theirs },
            Who::Both if ours == theirs => Piece::Taken { bytes: ours.to_vec(), from: Source::Both },
            Who::Both | Who::Overlap => {
                let hunk = Hunk { base: base.to_vec(), ours: ours.to_vec(), theirs: theirs.to_vec(), place: None };
                Piece::Conflict(hunk)
            }
        }
    };
    diff3::regions(&our_changes, &their_changes, base.count()).into_iter().map(piece).collect()
}
