//! `patch_doc`: a JSON, YAML or TOML document, changed by its nodes.

use filelatch::doc::Format;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Access, Tool};
use crate::fitting::{self, Change, OnConflict};
use crate::refusal::Refusal;
use crate::tools::read::hash_of;
use crate::work::{Call, Work};
use crate::writing::{Answer, DurabilityArgument, How};

pub(super) struct PatchDoc;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// The file, relative to the root.
    path: String,
    /// Values to set, by RFC 7396: objects are merged, `null` removes a member, everything else replaces.
    merge_patch: Option<Value>,
    /// Operations by RFC 6902: `[{"op": "replace", "path": "/a/0", "value": 1}]`. `test` makes all of them depend on a value.
    json_patch: Option<Value>,
    /// What a file that does not exist begins with; `{}` for example.
    create: Option<Value>,
    /// The format, where the name does not tell it.
    format: Option<FormatArgument>,
    /// The version that the patch is made for: what others wrote since is merged, or told as a conflict.
    base_hash: Option<String>,
    /// If the file is not at `base_hash` any more: `merge` (default) patches what is there; `fail` refuses; `queue` is `fail` after waiting.
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

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FormatArgument {
    Json,
    Jsonc,
    Yaml,
    Toml,
}

impl From<FormatArgument> for Format {
    fn from(format: FormatArgument) -> Format {
        match format {
            FormatArgument::Json => Format::Json,
            FormatArgument::Jsonc => Format::Jsonc,
            FormatArgument::Yaml => Format::Yaml,
            FormatArgument::Toml => Format::Toml,
        }
    }
}

/// The patch of a call: one of both kinds.
pub(crate) fn patch_of(
    merge_patch: Option<Value>,
    json_patch: Option<Value>,
    create: Option<Value>,
    format: Option<Format>,
) -> Result<Change, Refusal> {
    match (merge_patch, json_patch) {
        (Some(patch), None) => Ok(Change::MergePatch(patch, create, format)),
        (None, Some(patch)) => Ok(Change::JsonPatch(patch, create, format)),
        _ => Err(Refusal::malformed("give either `merge_patch` or `json_patch`")),
    }
}

impl Tool for PatchDoc {
    type Arguments = Arguments;
    type Answer = Answer;
    const NAME: &'static str = "patch_doc";
    const TITLE: &'static str = "Patch a document";
    const DESCRIPTION: &'static str = "Changes values in a JSON, YAML or TOML file by merge patch or JSON patch; comments, order and formatting of \
        the rest stay. Applied to the newest content, so parallel patches of different values all survive. Prefer it to `edit` for configuration. \
        `not-parseable`: repair the file first. `patch-failed`: a path or `test` does not fit.";
    const ACCESS: Access = Access::Writes;
    const DESTROYS: bool = true;
    const WORK: Work = Work::Change;

    fn run(call: &Call, arguments: Arguments) -> Result<Answer, Refusal> {
        let format = arguments.format.map(Format::from);
        let patch = patch_of(arguments.merge_patch, arguments.json_patch, arguments.create, format)?;
        let base = arguments.base_hash.as_deref().map(hash_of).transpose()?;
        let how = How {
            wait: call.wait_for(arguments.wait_ms, arguments.on_conflict == OnConflict::Queue),
            durability: arguments.durability,
            lease_token: arguments.lease_token,
            dry_run: arguments.dry_run,
            base,
        };
        fitting::make(call, &arguments.path, patch, arguments.on_conflict, &how)
    }
}
