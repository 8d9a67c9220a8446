//! `filelatch history`: what is kept of a file, and what is not kept any longer.

use std::fmt::Write;

use filelatch::{KeptVersion, LatchFile, Snapshot};
use serde_json::{Value, json};

use crate::args_keep::History;
use crate::context::Context;
use crate::output;
use crate::render::CliError;

pub(crate) fn history(context: &Context, args: &History) -> Result<(), CliError> {
    let file = context.latch.file(&args.file)?;
    if args.prune {
        return prune(context, &file, args);
    }
    let versions = file.history()?;
    let current = file.try_read()?;
    if context.json {
        let versions: Vec<_> = versions.iter().map(to_json).collect();
        return output::json(&json!({
            "path": output::path(&args.file),
            "exists": current.is_some(),
            "current": current.as_ref().map(current_to_json),
            "versions": versions,
        }));
    }
    if versions.is_empty() {
        output::note(match file.policy().keep {
            filelatch::Keep::None => "the policy keeps no versions of it",
            _ => "nothing is kept of it yet: the next write keeps what it replaces",
        });
    }
    let mut rows: Vec<[String; 5]> = Vec::new();
    if let Some(now) = &current {
        let (hash, size) = (now.version().short(), now.bytes().len().to_string());
        rows.push(["@0".to_owned(), hash, size, output::moment(now.modified_at()), now.author().to_string()]);
    }
    for (at, kept) in versions.iter().enumerate() {
        let number = format!("@{}", at + 1);
        rows.push([number, kept.version.short(), kept.size.to_string(), output::moment(kept.at), kept.by.to_string()]);
    }
    let widest = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let (numbers, sizes) = (widest(0), widest(2));
    let mut text = String::new();
    for [number, hash, size, at, by] in &rows {
        // Writing to a text does not fail.
        writeln!(text, "{number:<numbers$}  {hash}  {size:>sizes$}  {at}  {by}").ok();
    }
    output::data(text.as_bytes())
}

fn prune(context: &Context, file: &LatchFile, args: &History) -> Result<(), CliError> {
    let mut limits = file.policy().keep_limits;
    limits.versions = args.keep.unwrap_or(limits.versions);
    limits.age = args.age.unwrap_or(limits.age);
    limits.bytes = args.bytes.map_or(limits.bytes, |size| size.0);
    let pruned = file.prune(&limits)?;
    if context.json {
        return output::json(&json!({
            "path": output::path(&args.file),
            "removed": pruned.versions,
            "removedBytes": pruned.bytes,
            "left": pruned.left,
        }));
    }
    output::line(&format!("removed {} versions with {} bytes, left {}", pruned.versions, pruned.bytes, pruned.left))
}

fn to_json(kept: &KeptVersion) -> Value {
    json!({
        "hash": kept.version.to_string(),
        "size": kept.size,
        "by": output::author(&kept.by),
        "at": output::time(kept.at),
        "generation": kept.generation,
    })
}

fn current_to_json(now: &Snapshot) -> Value {
    json!({
        "hash": now.version().to_string(),
        "size": now.bytes().len(),
        "by": output::author(now.author()),
        "at": output::time(now.modified_at()),
    })
}
