//! Lines or trees: which of the two merges counts.
//!
//! Lines first, because what git merges people expect to be merged as git does it. A clean merge of lines counts only if the result can
//! be read and holds both sides' changes at their places: git puts lines under the wrong key where blocks look alike. Else the
//! trees are merged, and their result is checked in the same way.

use super::merged::{Fallback, Merged, Method, Piece};
use super::options::{Kind, MergeOptions};
use super::tree::check::holds_both;
use super::tree::{Notes, Tree, weave};
use super::{syntax, text};

/// Longer documents are merged as lines: a tree takes many times their memory.
const MAX_TREE: usize = 64 << 20;

pub(super) fn merge(base: &[u8], ours: &[u8], theirs: &[u8], options: &MergeOptions) -> Merged {
    let lines = text::merge(base, ours, theirs, options.algorithm);
    if [base, ours, theirs].into_iter().any(|side| side.len() > MAX_TREE) {
        return lines;
    }
    let mut trees: Vec<Tree> = Vec::with_capacity(3);
    for (side, bytes) in [("base", base), ("ours", ours), ("theirs", theirs)] {
        match syntax::tree(options.kind, bytes) {
            None => return lines,
            Some(Ok(tree)) => trees.push(tree),
            Some(Err(why)) => return lines.fell_back(Fallback::Unreadable { side, why: why.0 }),
        }
    }
    let [base_tree, ours_tree, theirs_tree] = trees.as_slice() else { return lines };
    let proved = |merged: &[u8], notes: &Notes| -> Result<(), String> {
        let tree = readable(options.kind, merged)?;
        if holds_both(base_tree, ours_tree, theirs_tree, &tree, notes) {
            Ok(())
        } else {
            Err("a change would be lost, or stand in another place".to_owned())
        }
    };
    let lines_clean = lines.content();
    if let Some(content) = &lines_clean
        && proved(content, &Notes::default()).is_ok()
    {
        return lines;
    }
    let why = match weave(base_tree, ours_tree, theirs_tree, &options.rules) {
        None => None,
        Some(woven) => {
            let structure = Merged::new(woven.pieces, Method::Structure);
            let problem = match structure.content() {
                Some(content) => proved(&content, &woven.notes),
                None => readable(options.kind, &one_side(&structure)).map(drop),
            };
            match problem {
                Ok(())
                    if !structure.is_clean() && lines_clean.is_none() && unsettled(&lines) < unsettled(&structure) =>
                {
                    return lines;
                }
                Ok(()) => return structure,
                Err(why) => Some(why),
            }
        }
    };
    let lines = if lines_clean.is_some() { Merged::refused(base, ours, theirs, Method::Structure) } else { lines };
    match why {
        Some(why) => lines.fell_back(Fallback::Unproved { why }),
        None => lines,
    }
}

/// How many lines a person would have to look at.
fn unsettled(merged: &Merged) -> usize {
    let lines = |bytes: &[u8]| bytes.split_inclusive(|&byte| byte == b'\n').count();
    merged.conflicts().map(|hunk| lines(&hunk.base) + lines(&hunk.ours) + lines(&hunk.theirs)).sum()
}

/// The tree of a merged document, if another parser can read it, too.
fn readable(kind: Kind, merged: &[u8]) -> Result<Tree, String> {
    let tree = match syntax::tree(kind, merged) {
        Some(Ok(tree)) => tree,
        Some(Err(why)) => return Err(why.0),
        None => return Err("its kind has no trees".to_owned()),
    };
    let text = std::str::from_utf8(merged).map_err(|error| error.to_string())?;
    syntax::verify(kind, text)?;
    Ok(tree)
}

/// The document with ours in place of the conflicts.
fn one_side(merged: &Merged) -> Vec<u8> {
    let mut content = Vec::new();
    for piece in merged.pieces() {
        content.extend_from_slice(match piece {
            Piece::Unchanged(bytes) | Piece::Taken { bytes, .. } => bytes,
            Piece::Conflict(hunk) => &hunk.ours,
        });
    }
    content
}
