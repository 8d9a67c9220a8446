//! `filelatch bookmark`: names for places in files.

use std::path::{Path, PathBuf};

use filelatch::Error;
use filelatch::store::{Bookmark, Bookmarks, NewBookmark};
use filelatch_fs::{Fs, RealFs};
use serde_json::{Value, json};

use super::stores::{damaged, warn_of};
use crate::args_bookmark::{self, BookmarkAction, BookmarkAdd, BookmarkList};
use crate::context::{Context, with_waiting};
use crate::output;
use crate::render::CliError;
use crate::table::table;

pub(crate) fn bookmark(context: &Context, args: &args_bookmark::Bookmark) -> Result<u8, CliError> {
    let bookmarks = context.latch.bookmarks(&args.dir)?;
    match &args.action {
        BookmarkAction::List(args) => return list(context, &bookmarks, args),
        BookmarkAction::Path(args) => path(context, &bookmarks, &args.name)?,
        BookmarkAction::Add(add_args) => add(context, &bookmarks, &args.dir, add_args)?,
        BookmarkAction::Remove(args) => {
            warn_of(context, &bookmarks.path()?);
            with_waiting(args.waiting.wait(), |lock| bookmarks.remove(&args.name, &lock))?;
            if context.json {
                output::json(&json!({"success": true, "name": args.name}))?;
            }
        }
        BookmarkAction::Rename(args) => {
            warn_of(context, &bookmarks.path()?);
            let renamed = with_waiting(args.waiting.wait(), |lock| bookmarks.rename(&args.name, &args.new, &lock))?;
            told(context, &renamed)?;
        }
    }
    Ok(crate::exit::DONE)
}

fn add(context: &Context, bookmarks: &Bookmarks, dir: &Path, args: &BookmarkAdd) -> Result<(), CliError> {
    warn_of(context, &bookmarks.path()?);
    let (path, line) = place(dir, &args.path)?;
    let new = NewBookmark { line, note: args.note.clone(), tags: args.tag.clone(), replace: args.replace };
    let added = with_waiting(args.waiting.wait(), |lock| bookmarks.add(&args.name, path, &new, &lock));
    let added = added.map_err(|error| match error {
        Error::NotFound { .. } => {
            CliError::own(error.code(), error.to_string()).hint("nothing was changed; a bookmark is for what exists")
        }
        other => other.into(),
    })?;
    told(context, &added)
}

/// `PATH:LINE`, unless there is something of exactly that name.
fn place(dir: &Path, path: &Path) -> Result<(PathBuf, Option<u64>), CliError> {
    if RealFs.stat(&dir.join(path)).is_ok() {
        return Ok((path.to_owned(), None));
    }
    let split = path.to_str().and_then(|path| path.rsplit_once(':'));
    let Some((path, line)) = split.filter(|(_, line)| line.bytes().all(|b| b.is_ascii_digit()) && !line.is_empty())
    else {
        return Ok((path.to_owned(), None));
    };
    match line.parse() {
        Ok(line) if line > 0 => Ok((PathBuf::from(path), Some(line))),
        _ => Err(CliError::own("usage", format!("`{line}` is no line"))
            .hint("nothing was changed; lines are counted from 1")),
    }
}

fn list(context: &Context, bookmarks: &Bookmarks, args: &BookmarkList) -> Result<u8, CliError> {
    let mut found = bookmarks.survey()?;
    found.intact.retain(|bookmark| is_wanted(bookmark, args));
    let exists = |bookmark: &Bookmark| bookmarks.target(bookmark).is_ok_and(|path| RealFs.stat(&path).is_ok());
    if context.json {
        let all = found.intact.iter().map(|bookmark| {
            let mut object = to_json(bookmark);
            object["exists"] = exists(bookmark).into();
            object
        });
        output::json(
            &json!({"bookmarks": all.collect::<Vec<_>>(), "damaged": super::stores::to_json(&found.damaged)}),
        )?;
    } else {
        let rows = found.intact.iter().map(|bookmark| {
            let missing = if exists(bookmark) { "" } else { " (missing)" };
            let tags = bookmark.tags.iter().map(|tag| format!("#{tag}")).collect::<Vec<_>>().join(" ");
            let note = bookmark.note.clone().unwrap_or_default();
            vec![bookmark.name.clone(), format!("{}{missing}", shown(bookmark)), tags, note]
        });
        output::data(table(&rows.collect::<Vec<_>>()).as_bytes())?;
        if found.intact.is_empty() && found.damaged.is_empty() {
            output::note("there is no such bookmark; `filelatch bookmark add NAME PATH` makes one");
        }
    }
    Ok(damaged(context, &found.damaged))
}

fn is_wanted(bookmark: &Bookmark, args: &BookmarkList) -> bool {
    let lies_in = |folder: &str| {
        let folder = folder.trim_end_matches('/');
        let rest = bookmark.path.strip_prefix(folder);
        folder == "." || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    args.tag.iter().all(|tag| bookmark.tags.contains(tag))
        && args.by.as_ref().is_none_or(|by| *by == bookmark.added_by)
        && args.path.as_deref().is_none_or(lies_in)
}

/// The path alone, as the system has it.
fn path(context: &Context, bookmarks: &Bookmarks, name: &str) -> Result<(), CliError> {
    let bookmark = bookmarks.get(name)?;
    let target = bookmarks.target(&bookmark)?;
    if context.json {
        let mut object = to_json(&bookmark);
        object["target"] = output::path(&target);
        return output::json(&object);
    }
    output::data(target.as_os_str().as_encoded_bytes())?;
    output::line("")
}

fn told(context: &Context, bookmark: &Bookmark) -> Result<(), CliError> {
    if !context.json {
        return output::data(table(&[vec![bookmark.name.clone(), shown(bookmark)]]).as_bytes());
    }
    let mut object = to_json(bookmark);
    object["success"] = true.into();
    output::json(&object)
}

fn shown(bookmark: &Bookmark) -> String {
    let line = bookmark.line.map(|line| format!(":{line}")).unwrap_or_default();
    format!("{}{line}", bookmark.path)
}

fn to_json(bookmark: &Bookmark) -> Value {
    json!({
        "name": bookmark.name,
        "path": bookmark.path,
        "line": bookmark.line,
        "note": bookmark.note,
        "tags": bookmark.tags,
        "addedBy": bookmark.added_by,
        "addedAt": bookmark.added_at.map(output::time),
    })
}
