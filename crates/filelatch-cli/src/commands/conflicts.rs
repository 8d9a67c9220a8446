//! `filelatch conflicts`: what could not be brought together, and what becomes of it.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};

use filelatch::conflict::{ConflictContents, ConflictState, Conflicts as Stored, Side, Sides};
use filelatch::merge::{Hunk, Markers, Method};
use filelatch::{Resolution, StoredConflict, Version, WriteOptions};
use serde_json::{Map, Value, json};

use super::merge::hunk_to_json;
use crate::args_conflicts::{Action, Conflicts, List, Resolve, Show};
use crate::context::{Context, with_waiting};
use crate::output;
use crate::render::CliError;

/// Lines of a place that are shown to people; --markers and --json show all.
const LINES: usize = 20;
/// Characters of a line.
const WIDTH: usize = 200;

pub(crate) fn conflicts(context: &Context, args: &Conflicts) -> Result<(), CliError> {
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from("."));
    match &args.action {
        None => list(context, &dir, &List { all: false }),
        Some(Action::List(args)) => list(context, &dir, args),
        Some(Action::Show(args)) => show(context, &dir, args),
        Some(Action::Resolve(args)) => resolve(context, &dir, args),
    }
}

fn list(context: &Context, dir: &Path, args: &List) -> Result<(), CliError> {
    if context.latch.workspace_of(dir)?.is_none() {
        output::note("there is no workspace here, so no conflicts are stored; `filelatch init` makes one");
    }
    let Stored { mut stored, damaged, .. } = context.latch.conflicts(dir)?;
    stored.retain(|conflict| args.all || conflict.is_open());
    if context.json {
        let damaged: Vec<_> =
            damaged.iter().map(|one| json!({"dir": output::path(&one.dir), "problem": one.problem})).collect();
        let stored: Vec<_> = stored.iter().map(to_json).collect();
        return output::json(&json!({"conflicts": stored, "damaged": damaged}));
    }
    for one in &damaged {
        output::warning(&format!("the conflict in `{}` can't be read: {}", one.dir.display(), one.problem));
    }
    if stored.is_empty() && damaged.is_empty() {
        output::note("no conflict is open");
    }
    output::data(lines(&stored).as_bytes())
}

/// One line for each.
pub(super) fn lines(stored: &[StoredConflict]) -> String {
    let mut text = String::new();
    for conflict in stored {
        let state = match &conflict.state {
            ConflictState::Resolved { how, .. } => format!("resolved ({how})"),
            _ => "open".to_owned(),
        };
        let places = match conflict.conflicts {
            0 => conflict.cause.to_string(),
            1 => format!("{}: 1 place", conflict.cause),
            n => format!("{}: {n} places", conflict.cause),
        };
        let path = printable(&conflict.path.to_string_lossy());
        writeln!(text, "{}  {state}  {path}  {places}", conflict.id).ok();
    }
    text
}

pub(super) fn to_json(conflict: &StoredConflict) -> Value {
    let side = |side: &Option<Side>| {
        side.as_ref().map(|side| {
            json!({
                "hash": side.version.to_string(),
                "size": side.size,
                "author": output::author(&side.author),
                "at": side.at.map(output::time),
            })
        })
    };
    let hash = |version: &Option<Version>| version.map(|version| version.to_string());
    let resolved = match &conflict.state {
        ConflictState::Resolved { how, by, at, version } => {
            json!({"how": how.to_string(), "by": by, "at": at.map(output::time), "hash": hash(version)})
        }
        _ => Value::Null,
    };
    json!({
        "id": conflict.id,
        "path": output::path(&conflict.path),
        "cause": conflict.cause,
        "state": if conflict.is_open() { "open" } else { "resolved" },
        "storedAt": conflict.stored_at.map(output::time),
        "conflicts": conflict.conflicts,
        "places": conflict.places,
        "base": side(&conflict.base),
        "ours": side(&conflict.ours),
        "theirs": side(&conflict.theirs),
        "onDisk": conflict.on_disk,
        "dir": output::path(&conflict.dir),
        "mergedFile": output::path(&conflict.merged_path()),
        "resolved": resolved,
    })
}

fn show(context: &Context, dir: &Path, args: &Show) -> Result<(), CliError> {
    let conflict = context.latch.conflict(dir, &args.id)?;
    let contents = context.latch.conflict_contents(&conflict)?;
    if context.json {
        let mut answer = to_json(&conflict);
        let hunks: Vec<Value> = hunks(&contents).map(hunk_to_json).collect();
        answer["hunks"] = hunks.into();
        return output::json(&answer);
    }
    if args.markers {
        let Some(merged) = contents.merged.as_ref().filter(|merged| merged.method() != Method::Binary) else {
            let problem = format!("conflict {} has no places that could be marked", conflict.id);
            let hint = format!("`filelatch conflicts show {}` tells what it is about", conflict.id);
            return Err(CliError::own("unresolved", problem).hint(hint));
        };
        let labels = ["mine".to_owned(), "base".to_owned(), "theirs".to_owned()];
        let markers = Markers { style: contents.style, size: conflict.marker_size, labels };
        return output::data(&merged.render(&markers));
    }
    output::data(summary(context, &conflict, &contents)?.as_bytes())
}

fn hunks(contents: &ConflictContents) -> impl Iterator<Item = &Hunk> {
    contents.merged.iter().flat_map(filelatch::merge::Merged::conflicts)
}

/// For people.
fn summary(context: &Context, conflict: &StoredConflict, contents: &ConflictContents) -> Result<String, CliError> {
    let mut text = String::new();
    let path = printable(&conflict.path.to_string_lossy());
    let state = match &conflict.state {
        ConflictState::Resolved { how, by, .. } => format!("resolved by {} ({how})", printable(by)),
        _ => "open".to_owned(),
    };
    writeln!(text, "conflict {} on `{path}`, {state}: {}", conflict.id, conflict.cause).ok();
    for (what, side, shown) in [
        ("base", &conflict.base, None),
        ("mine", &conflict.ours, Some(Sides::Ours)),
        ("theirs", &conflict.theirs, Some(Sides::Theirs)),
    ] {
        match side {
            None if what == "base" => writeln!(text, "  base    not known, or there was no file"),
            None => writeln!(text, "  {what:6}  the file was gone"),
            Some(side) => {
                let by = match what {
                    "base" => String::new(),
                    _ => format!("  by {}", printable(&side.author.to_string())),
                };
                let at = side.at.and_then(|at| output::time(at).as_str().map(|at| format!("  at {at}")));
                let on_disk = if shown == Some(conflict.on_disk) { "  (in the file)" } else { "" };
                let (version, size) = (side.version.short(), side.size);
                writeln!(text, "  {what:6}  {version}  {size} bytes{by}{}{on_disk}", at.unwrap_or_default())
            }
        }
        .ok();
    }
    if conflict.is_open() {
        let now = context.latch.file(&conflict.path)?.try_read()?.map(|now| now.version());
        if now != conflict.seen().map(|side| side.version) {
            let now = now.map_or_else(|| "is gone".to_owned(), |now| format!("has {}", now.short()));
            writeln!(text, "  the file went on since and {now}").ok();
        }
    }
    for (i, hunk) in hunks(contents).enumerate() {
        let place = hunk.place.as_deref().map(|place| format!(" {}", printable(place))).unwrap_or_default();
        writeln!(text, "\n{}.{place}", i + 1).ok();
        let has_base = contents.base.is_some();
        for (what, bytes) in [("base", &hunk.base), ("mine", &hunk.ours), ("theirs", &hunk.theirs)] {
            if what != "base" || has_base {
                side_lines(&mut text, what, bytes);
            }
        }
    }
    if contents.merged.as_ref().is_some_and(|merged| merged.method() == Method::Binary) {
        writeln!(text, "\nThe contents are binary: choose one of them.").ok();
    }
    if conflict.is_open() {
        let id = &conflict.id;
        writeln!(text, "\nfilelatch conflicts resolve {id} --keep mine|theirs|FILE").ok();
        if contents.merged.as_ref().is_some_and(|merged| merged.method() != Method::Binary) {
            let merged = conflict.merged_path();
            writeln!(text, "or edit `{}`, then: filelatch conflicts resolve {id} --keep merged", merged.display()).ok();
        }
    }
    Ok(text)
}

fn side_lines(text: &mut String, what: &str, bytes: &[u8]) {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if bytes.is_empty() {
        writeln!(text, "  {what:6} | (nothing)").ok();
        return;
    }
    let lines: Vec<_> = bytes.split(|b| *b == b'\n').collect();
    for line in lines.iter().take(LINES) {
        writeln!(text, "  {what:6} | {}", printable(&String::from_utf8_lossy(line))).ok();
    }
    if lines.len() > LINES {
        writeln!(text, "  {what:6} | … {} more lines", lines.len() - LINES).ok();
    }
}

/// Somebody else's text must not steer the terminal.
fn printable(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(WIDTH)
        .map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if text.chars().nth(WIDTH).is_some() {
        shown.push('…');
    }
    shown
}

fn resolve(context: &Context, dir: &Path, args: &Resolve) -> Result<(), CliError> {
    let conflict = context.latch.conflict(dir, &args.id)?;
    let resolution = match args.keep.to_str() {
        Some("mine") => Resolution::Mine,
        Some("theirs") => Resolution::Theirs,
        Some("merged") => Resolution::Merged,
        _ => Resolution::Content(content(context, &args.keep)?),
    };
    let file = context.file(&conflict.path)?;
    context.check_held(&file, None, true)?;
    let resolved = with_waiting(args.writing.waiting.wait(), |lock| {
        let mut options = WriteOptions::new().expect(args.expect.clone()).lock(lock);
        options.durability = args.writing.durability;
        file.resolve(&conflict.id, &resolution, &options)
    })?;
    if let Some(written) = &resolved.written {
        output::notices(&file, written);
    }
    let hash = resolved.written.as_ref().and_then(|written| written.version).map(|version| version.to_string());
    if !context.json {
        if let Some(backup) = &resolved.backup {
            output::note(&format!("the file as it was before is saved in `{}`", backup.display()));
        }
        return hash.map_or(Ok(()), |hash| output::line(&hash));
    }
    let outcome = resolved.written.as_ref().map_or_else(|| "unchanged".to_owned(), |w| w.outcome.to_string());
    let notices = resolved.written.iter().flat_map(|w| &w.notices).map(|notice| notice.to_string().into()).collect();
    let how = match &resolved.conflict.state {
        ConflictState::Resolved { how, .. } => how.to_string().into(),
        _ => Value::Null,
    };
    let mut answer = Map::new();
    answer.insert("success".to_owned(), true.into());
    answer.insert("id".to_owned(), conflict.id.clone().into());
    answer.insert("path".to_owned(), output::path(&conflict.path));
    answer.insert("how".to_owned(), how);
    answer.insert("hash".to_owned(), hash.into());
    answer.insert("outcome".to_owned(), outcome.into());
    answer.insert("backup".to_owned(), resolved.backup.as_deref().map_or(Value::Null, output::path));
    answer.insert("notices".to_owned(), Value::Array(notices));
    output::json(&Value::Object(answer))
}

/// A file's content, or what comes on standard input.
fn content(context: &Context, given: &OsStr) -> Result<Vec<u8>, CliError> {
    if given != "-" {
        return Ok(context.latch.file(Path::new(given))?.read()?.bytes().to_vec());
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|e| CliError::own("io", format!("cannot read standard input: {e}")).hint("nothing was changed"))?;
    Ok(bytes)
}
