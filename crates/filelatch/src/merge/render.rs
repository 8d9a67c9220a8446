//! Conflicts as markers in the text.

use super::merged::{Merged, Piece};
use super::options::ConflictStyle;

/// What markers look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markers {
    /// Which contents are shown.
    pub style: ConflictStyle,
    /// How many characters a marker has; git's default is 7.
    pub size: usize,
    /// What stands behind the markers: ours, base, theirs. An empty one leaves the marker bare.
    pub labels: [String; 3],
}

impl Default for Markers {
    fn default() -> Self {
        let labels = ["ours".to_owned(), "base".to_owned(), "theirs".to_owned()];
        Markers { style: ConflictStyle::default(), size: 7, labels }
    }
}

impl Merged {
    /// The document with markers around what is not settled; the merged content itself when everything is.
    pub fn render(&self, markers: &Markers) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in self.pieces() {
            match piece {
                Piece::Unchanged(bytes) | Piece::Taken { bytes, .. } => out.extend_from_slice(bytes),
                Piece::Conflict(hunk) => {
                    let [ours, base, theirs] = &markers.labels;
                    line(&mut out, '<', markers.size, ours);
                    side(&mut out, &hunk.ours);
                    if markers.style != ConflictStyle::Merge {
                        line(&mut out, '|', markers.size, base);
                        side(&mut out, &hunk.base);
                    }
                    line(&mut out, '=', markers.size, "");
                    side(&mut out, &hunk.theirs);
                    line(&mut out, '>', markers.size, theirs);
                }
            }
        }
        out
    }
}

fn line(out: &mut Vec<u8>, mark: char, size: usize, label: &str) {
    out.extend(std::iter::repeat_n(mark as u8, size));
    if !label.is_empty() {
        out.push(b' ');
        out.extend_from_slice(label.as_bytes());
    }
    out.push(b'\n');
}

/// A side's lines; the last one gets a line end, so that the next marker begins a line.
fn side(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
    if bytes.last().is_some_and(|&last| last != b'\n') {
        out.push(b'\n');
    }
}
