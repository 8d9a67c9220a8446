//! Three-way merge of lines.

use super::merged::{Hunk, Piece};
use super::options::Algorithm;

/// Merges lines. All contents differ.
pub(super) fn merge(base: &[u8], ours: &[u8], theirs: &[u8], _algorithm: Algorithm) -> Vec<Piece> {
    let hunk = Hunk { base: base.to_vec(), ours: ours.to_vec(), theirs: theirs.to_vec(), place: None };
    vec![Piece::Conflict(hunk)]
}
