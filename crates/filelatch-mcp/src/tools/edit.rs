//! `edit`: pieces of a file, or lines that anchors name, replaced in the newest content.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Access, Tool};
use crate::fitting::{self, Change, OnConflict};
use crate::refusal::Refusal;
use crate::tools::read::hash_of;
use crate::work::{Call, Work};
use crate::writing::{Answer, DurabilityArgument, How};

pub(super) struct Edit;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// The file, relative to the root.
    path: String,
    /// The edits, made one after the other; all or none.
    edits: Vec<EditArgument>,
    /// The version that the edits are made for: what others wrote since is merged, or told as a conflict.
    base_hash: Option<String>,
    /// If the file is not at `base_hash` any more: `merge` (default) applies the edits to what is there, merging where that is needed; `fail`
    /// refuses; `queue` is `fail` after waiting for the lock as long as it takes.
    #[serde(default)]
    on_conflict: OnConflict,
    /// Show what would change, and write nothing.
    #[serde(default)]
    dry_run: bool,
    /// A text of your own: the same call with the same key is made once, also if its answer got lost.
    #[expect(dead_code, reason = "it is taken before the arguments are")]
    idempotency_key: Option<String>,
    /// The `token` of your lease on the file.
    lease_token: Option<u64>,
    /// How long to wait for the lock: 5000 unless given, at most 60000.
    wait_ms: Option<u64>,
    /// What the write has survived when it is answered; else as the file's policy says.
    durability: Option<DurabilityArgument>,
}

/// One edit: `old_text` → `new_text`, or lines by `anchor`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EditArgument {
    /// The exact text to replace, with its indentation. Must stand in the file `expected_count` times.
    old_text: Option<String>,
    /// What takes its place. Empty: it is removed.
    new_text: String,
    /// How often `old_text` must be there, and is replaced: 1 unless given.
    expected_count: Option<usize>,
    /// Instead of `old_text`: the first line, as `read` with `anchors: true` shows it (`12:a1b2c3`).
    anchor: Option<String>,
    /// The last line, if there are several.
    end_anchor: Option<String>,
    /// What to do at the lines: `replace` them (default), or put `new_text` `before` or `after` them.
    at: Option<AtArgument>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum AtArgument {
    Replace,
    Before,
    After,
}

impl Tool for Edit {
    type Arguments = Arguments;
    type Answer = Answer;
    const NAME: &'static str = "edit";
    const TITLE: &'static str = "Edit a file";
    const DESCRIPTION: &'static str = "Replaces exact texts, or lines by anchors, in the newest content of a file; all edits of a call or none. \
        Others may edit the same file at the same time: only overlapping edits conflict. `ambiguous`: give more of the text, or `expected_count`. \
        `conflict`: somebody changed that place; look at `theirs`, and edit what is there now.";
    const ACCESS: Access = Access::Writes;
    const DESTROYS: bool = true;
    const WORK: Work = Work::Change;

    fn run(call: &Call, arguments: Arguments) -> Result<Answer, Refusal> {
        let edits = parsed(call, arguments.edits)?;
        let base = arguments.base_hash.as_deref().map(hash_of).transpose()?;
        let how = How {
            wait: call.wait_for(arguments.wait_ms, arguments.on_conflict == OnConflict::Queue),
            durability: arguments.durability,
            lease_token: arguments.lease_token,
            dry_run: arguments.dry_run,
            base,
        };
        fitting::make(call, &arguments.path, Change::Edits(edits), arguments.on_conflict, &how)
    }
}

/// The edits of a call, checked.
pub(crate) fn parsed(call: &Call, edits: Vec<EditArgument>) -> Result<Vec<crate::edits::Edit>, Refusal> {
    use crate::anchors::Anchor;
    use crate::edits::{At, Edit, What};
    let limit = call.server().limits().edits;
    if edits.is_empty() || edits.len() > limit {
        return Err(Refusal::malformed(format!("a call has 1 to {limit} edits, not {}", edits.len())));
    }
    let mut parsed = Vec::with_capacity(edits.len());
    for (at, edit) in edits.into_iter().enumerate() {
        let wrong = |what: &str| Refusal::malformed(format!("edits[{at}] {what}"));
        let what = match (edit.old_text, edit.anchor) {
            (Some(_), Some(_)) => return Err(wrong("has both `old_text` and `anchor`")),
            (None, None) => return Err(wrong("has neither `old_text` nor `anchor`")),
            (Some(old), None) => {
                if edit.end_anchor.is_some() || edit.at.is_some() {
                    return Err(wrong("has `end_anchor` or `at`, which need `anchor`"));
                }
                match edit.expected_count.unwrap_or(1) {
                    0 => return Err(wrong("has an `expected_count` of 0")),
                    count => What::Text { old, count },
                }
            }
            (None, Some(first)) => {
                if edit.expected_count.is_some() {
                    return Err(wrong("has `expected_count`, which needs `old_text`"));
                }
                let first = Anchor::parse(&first)?;
                let last = edit.end_anchor.as_deref().map(Anchor::parse).transpose()?;
                let at = match edit.at.unwrap_or(AtArgument::Replace) {
                    AtArgument::Replace => At::Replace,
                    AtArgument::Before => At::Before,
                    AtArgument::After => At::After,
                };
                What::Lines { last: last.unwrap_or_else(|| first.clone()), first, at }
            }
        };
        parsed.push(Edit { what, new_text: edit.new_text });
    }
    Ok(parsed)
}
