//! Lines or trees: which of the two merges counts.
//!
//! Lines first, because what git merges people expect to be merged as git does it. A clean merge of lines counts only if the result can
//! be read and holds both sides' changes at their places: git puts lines under the wrong key where blocks look alike. Else the
//! trees are merged, and their result is checked in the same way.

use super::apart::far_apart;
use super::merged::{Fallback, Merged, Method, Piece, Source};
use super::options::{Kind, MergeOptions};
use super::tree::check::holds_both;
use super::tree::{Notes, Tree, weave};
use super::{syntax, text};

/// Longer documents are merged as lines: a tree takes many times their memory.
const MAX_TREE: usize = 64 << 20;

pub(super) fn merge(base: &[u8], ours: &[u8], theirs: &[u8], options: &MergeOptions) -> Merged {
    let versions = [base, ours, theirs];
    let lines = text::merge(base, ours, theirs, options.algorithm);
    if options.kind == Kind::Lines || versions.into_iter().any(|side| side.len() > MAX_TREE) {
        return lines;
    }
    let clean = lines.content();
    if let Some(content) = &clean
        && far_apart(&lines, versions, options.kind)
        && is_sound(options.kind, content)
    {
        return lines;
    }
    if clean.is_none()
        && let Some([base, ours, theirs]) = with_one_line_end(versions)
    {
        return merge(&base, &ours, &theirs, options);
    }
    let mut trees: Vec<Tree> = Vec::with_capacity(3);
    for (side, bytes) in ["base", "ours", "theirs"].into_iter().zip(versions) {
        match syntax::tree(options.kind, bytes) {
            None => return lines,
            Some(Ok(tree)) => trees.push(tree),
            Some(Err(why)) => return lines.fell_back(Fallback::Unreadable { side, why: why.0 }),
        }
    }
    let proved = |merged: &[u8], trees: &[Tree], notes: &Notes| -> Result<(), String> {
        let tree = readable(options.kind, merged)?;
        match trees {
            [base, ours, theirs] if holds_both(base, ours, theirs, &tree, notes) => Ok(()),
            _ => Err("a change would be lost, or stand in another place".to_owned()),
        }
    };
    if let Some(content) = &clean
        && proved(content, &trees, &Notes::default()).is_ok()
    {
        return lines;
    }
    trees.iter_mut().for_each(Tree::spell);
    let mut problem = None;
    if let [base, ours, theirs] = trees.as_slice()
        && let Some(woven) = weave(base, ours, theirs, &options.rules)
    {
        let structure = Merged::of_structure(woven.pieces, &lines);
        let sound = match structure.content() {
            Some(content) => proved(&content, &trees, &woven.notes),
            None => [Source::Ours, Source::Theirs]
                .into_iter()
                .try_for_each(|side| readable(options.kind, &one_side(&structure, side)).map(drop)),
        };
        match sound {
            Ok(()) if structure.is_clean() || clean.is_some() || unsettled(&structure) <= unsettled(&lines) => {
                return structure;
            }
            Ok(()) => {}
            Err(why) => problem = Some(Fallback::Unproved { why }),
        }
    }
    // Lines that fit although the structure does not are wrong.
    let lines = if clean.is_some() { Merged::refused(base, ours, theirs, Method::Structure) } else { lines };
    match problem {
        Some(problem) => lines.fell_back(problem),
        None => lines,
    }
}

/// The versions with the line ends of the side that changed them, if one did: LF to CR LF, or back.
fn with_one_line_end(versions: [&[u8]; 3]) -> Option<[Vec<u8>; 3]> {
    let ends = versions.map(|version| {
        let all = version.iter().filter(|&&byte| byte == b'\n').count();
        let crlf = version.windows(2).filter(|pair| pair == b"\r\n").count();
        match crlf {
            _ if all == 0 => None,
            0 => Some(false),
            _ if crlf == all => Some(true),
            // Mixed ones may mean something.
            _ => None,
        }
    });
    let [Some(base), Some(ours), Some(theirs)] = ends else { return None };
    if base == ours && ours == theirs {
        return None;
    }
    let crlf = if ours == base { theirs } else { ours };
    Some(versions.map(|version| {
        let mut out = Vec::with_capacity(version.len());
        for line in version.split_inclusive(|&byte| byte == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(line) => {
                    out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
                    out.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
                }
                None => out.extend_from_slice(line),
            }
        }
        out
    }))
}

/// How many lines a person would have to look at.
fn unsettled(merged: &Merged) -> usize {
    let lines = |bytes: &[u8]| bytes.split_inclusive(|&byte| byte == b'\n').count();
    merged.conflicts().map(|hunk| lines(&hunk.base) + lines(&hunk.ours) + lines(&hunk.theirs)).sum()
}

/// Can a document be read whose changes are far apart? If nothing stands twice and no stretch reaches beyond itself, another parser has
/// nothing to find, and takes long; but for TOML, where a pair can say the same as a table elsewhere.
fn is_sound(kind: Kind, content: &[u8]) -> bool {
    match kind {
        Kind::Toml => readable(kind, content).is_ok(),
        _ => matches!(syntax::tree(kind, content), Some(Ok(_))),
    }
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

/// The document with one side in place of the conflicts.
fn one_side(merged: &Merged, side: Source) -> Vec<u8> {
    let mut content = Vec::new();
    for piece in merged.pieces() {
        content.extend_from_slice(match piece {
            Piece::Unchanged(bytes) | Piece::Taken { bytes, .. } => bytes,
            Piece::Conflict(hunk) if side == Source::Ours => &hunk.ours,
            Piece::Conflict(hunk) => &hunk.theirs,
        });
    }
    content
}
