//! Three-way merge: what two writers made of one version, brought together.
//!
//! # What this module promises
//!
//! - A clean result holds every change of both sides. What can't be brought together is a conflict, kept with its base and both
//!   sides; nothing is decided by dropping it (L46, L47).
//! - The result depends on the three contents and the options alone. With ours and theirs exchanged the verdict is the same and
//!   so are the lines; only of two blocks added at one place ours comes first, and of an ini file that one side indents anew the
//!   verdict can differ.
//! - Nothing is printed anew: every byte comes from one of the three contents, except separators (a comma, a line end, an
//!   indentation) that a container needs to hold the items of both.
//! - Each side's changes are looked for in a structural result before it counts as clean. JSON, YAML and TOML are also read by a
//!   parser that the merge does not use; for ini files and prose there is none.
//!
//! # What it does not promise
//!
//! That a clean result is what a person would have made: two changes that fit can still contradict each other in meaning.
//!
//! # Order of operations
//!
//! ```text
//!  base, ours, theirs ──► equal sides, one side unchanged ──────────────► that side
//!        │
//!        ├── a NUL byte near the beginning: binary ─────────────────────► one conflict
//!        ▼
//!        ├── Markdown, text: prose/, lines first, then conflict by conflict ► its result
//!        ▼
//!  text/    lines, as git does ── clean, and far apart or the structure agrees ► that
//!        │
//!        ▼ conflict, or it would not parse, or a change would be lost
//!  tree/    units of the document (syntax/), by key, identity, order ───► merged, or conflicts around single units
//!        │
//!        ▼ a side does not parse
//!  text/    the lines' conflicts, and Merged::fallback says why
//! ```
//!
//! The module works on bytes in memory. It opens no files, knows no locks, and has no state.

mod apart;
mod merged;
mod options;
mod prose;
mod render;
mod structure;
mod syntax;
mod text;
mod tree;
mod versions;
mod words;

pub use merged::{Fallback, Hunk, Merged, Method, Piece, Source};
pub use options::{Algorithm, ConflictStyle, Kind, ListRule, MergeOptions, Rules, VersionRule};
pub use render::{Favor, Markers};
pub(crate) use text::{Change, Lines, Numbers, diff};

/// git looks at so many bytes for a NUL byte before it calls a file binary.
const BINARY_PREFIX: usize = 8000;

/// Brings together what two writers made of `base`.
///
/// The contents are bytes of any encoding. See the [module](self) for what a clean result promises. Takes memory of a few times the
/// three contents, and time about linear in them.
pub fn merge(base: &[u8], ours: &[u8], theirs: &[u8], options: &MergeOptions) -> Merged {
    if ours == theirs || theirs == base {
        let from = if theirs == base { Source::Ours } else { Source::Both };
        return Merged::whole(ours, from);
    }
    if ours == base {
        return Merged::whole(theirs, Source::Theirs);
    }
    if [base, ours, theirs].into_iter().any(is_binary) {
        return Merged::refused(base, ours, theirs, Method::Binary);
    }
    if matches!(options.kind, Kind::Markdown | Kind::Text) {
        return prose::merge(base, ours, theirs, options);
    }
    let merged = structure::merge(base, ours, theirs, options);
    match merged.fallback() {
        // What has a name for settings, and none of their forms, is people's text all the same.
        Some(why) if options.kind == Kind::Ini && !merged.is_clean() => {
            let as_text = MergeOptions { kind: Kind::Text, ..options.clone() };
            prose::merge(base, ours, theirs, &as_text).fell_back(why.clone())
        }
        _ => merged,
    }
}

/// What git calls binary.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(BINARY_PREFIX)].contains(&0)
}
