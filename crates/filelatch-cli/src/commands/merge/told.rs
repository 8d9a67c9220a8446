//! What is told of a merge: a sentence on standard error, or all of it in JSON.

use std::path::Path;

use filelatch::Written;
use filelatch::merge::{ConflictStyle, Hunk, Merged, Method, Piece, Source};
use serde_json::{Map, Value};

use crate::output;

/// So many places of conflicts are named.
const NAMED: usize = 5;

/// What happened, for people.
pub(super) fn tell(merged: &Merged, style: ConflictStyle) {
    output::note(&summary(merged, style));
    if let Some(fallback) = merged.fallback() {
        output::note(&fallback.to_string());
    }
}

/// `2 conflicts (/a, /b), 5 places settled by structure`.
pub(super) fn summary(merged: &Merged, style: ConflictStyle) -> String {
    let mut settled = 0;
    let mut only = None;
    for piece in merged.pieces() {
        if let Piece::Taken { from, .. } = piece {
            settled += 1;
            only = Some(*from);
        }
    }
    let conflicts = merged.shown(style);
    let by = match merged.method() {
        Method::Binary => return "not merged, because a content is binary; ours is left as it was".to_owned(),
        Method::Whole => {
            return match only {
                None => "nothing had changed",
                Some(Source::Ours) => "theirs had changed nothing",
                Some(Source::Theirs) => "ours had changed nothing",
                Some(Source::Both | Source::Merged) => "both made the same change",
            }
            .to_owned();
        }
        Method::Lines => "by lines",
        Method::Structure => "by structure",
    };
    let settled = format!("{} settled {by}", places(settled));
    match conflicts {
        0 => format!("clean, {settled}"),
        1 => format!("1 conflict{}, {settled}", names(merged)),
        n => format!("{n} conflicts{}, {settled}", names(merged)),
    }
}

fn places(n: usize) -> String {
    if n == 1 { "1 place".to_owned() } else { format!("{n} places") }
}

/// What the conflicts are about, where the document has names for it.
fn names(merged: &Merged) -> String {
    let mut names: Vec<_> = merged.conflicts().filter_map(|hunk| hunk.place.as_deref()).take(NAMED + 1).collect();
    match names.len() {
        0 => return String::new(),
        n if n > NAMED => names[NAMED] = "…",
        _ => {}
    }
    format!(" ({})", names.join(", "))
}

/// `{clean, method, fallback, conflicts}`.
pub(super) fn answer(merged: &Merged) -> Map<String, Value> {
    let method = match merged.method() {
        Method::Whole => "whole",
        Method::Lines => "lines",
        Method::Structure => "structure",
        Method::Binary => "binary",
    };
    let conflicts: Vec<Value> = merged.conflicts().map(conflict).collect();
    let mut answer = Map::new();
    answer.insert("clean".to_owned(), merged.is_clean().into());
    answer.insert("method".to_owned(), method.into());
    answer.insert("fallback".to_owned(), merged.fallback().map(ToString::to_string).into());
    answer.insert("conflicts".to_owned(), conflicts.into());
    answer
}

/// `{place, base, ours, theirs}`; in base64, with a note of it, where one of them is not text.
pub(crate) fn conflict(hunk: &Hunk) -> Value {
    let mut object = Map::new();
    object.insert("place".to_owned(), hunk.place.clone().into());
    let sides = [("base", &hunk.base), ("ours", &hunk.ours), ("theirs", &hunk.theirs)];
    let is_text = sides.iter().all(|(_, bytes)| std::str::from_utf8(bytes).is_ok());
    for (name, bytes) in sides {
        let text = if is_text { String::from_utf8_lossy(bytes).into_owned() } else { output::base64(bytes) };
        object.insert(name.to_owned(), text.into());
    }
    if !is_text {
        object.insert("encoding".to_owned(), "base64".into());
    }
    Value::Object(object)
}

/// Adds where the result is.
pub(super) fn written(answer: &mut Map<String, Value>, out: &Path, written: &Written) {
    answer.insert("path".to_owned(), output::path(out));
    answer.insert("hash".to_owned(), written.version.map(|version| version.to_string()).into());
    answer.insert("outcome".to_owned(), written.outcome.to_string().into());
}
