//! `conflicts`: versions that could not be brought together, both kept until somebody decides.

use filelatch::conflict::{Cause, ConflictState, Side};
use filelatch::merge::{ConflictStyle, Markers};
use filelatch::show::{author, time};
use filelatch::{Error, Expect, LatchFile, Resolution, StoredConflict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::read::hash_of;
use super::{Access, Tool};
use crate::refusal::Refusal;
use crate::work::{Call, Work};

/// Conflicts that are listed in one answer.
const MOST: usize = 500;

pub(super) struct Conflicts;

/// What to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Action {
    #[default]
    List,
    Show,
    Resolve,
}

/// What the file is to be.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Keep {
    Mine,
    Theirs,
    Merged,
    Content,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// `list` (the default) the open ones, `show` one with its contents, `resolve` one.
    #[serde(default)]
    action: Action,
    /// For `show` and `resolve`: its id, or at least four digits of it.
    id: Option<String>,
    /// For `list`: only those about this file.
    path: Option<String>,
    /// For `resolve`: `mine` (what was to be written), `theirs` (what it met), `merged` (the stored document, once a person has edited it),
    /// or `content`.
    keep: Option<Keep>,
    /// For `keep: "content"`: what the file is to be.
    content: Option<String>,
    /// For `resolve`: the version of the file that you decide for.
    expected_hash: Option<String>,
}

/// One of the versions that do not fit together.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SideView {
    /// Who wrote it: a session, or `external`.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    hash: String,
}

impl SideView {
    fn of(side: &Side) -> SideView {
        SideView { by: author(&side.author), at: side.at.map(time), hash: side.version.to_string() }
    }
}

/// A stored conflict.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct View {
    id: String,
    path: String,
    /// When it was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// Why the versions did not become one: `merge`, `no-base`, `deleted`, `foreign`.
    cause: String,
    open: bool,
    /// What was to be written; absent: the file was to be removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    mine: Option<SideView>,
    /// What it met; absent: the file was gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    theirs: Option<SideView>,
    /// How many places do not fit together.
    places: usize,
}

impl View {
    /// Its id and its file.
    pub(crate) fn names(&self) -> (&str, &str) {
        (&self.id, &self.path)
    }
}

/// The contents of a conflict.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Contents {
    /// What both were made from, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mine: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    theirs: Option<String>,
    /// Both brought together as far as possible, with markers where they do not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    merged: Option<String>,
    /// The version of the file as it is now: give it as `expected_hash` when you resolve.
    #[serde(skip_serializing_if = "Option::is_none")]
    current_hash: Option<String>,
}

/// What became of a conflict that was resolved.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Resolved {
    /// The version of the file now; absent: there is no file.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    /// `written`, `merged` (with what was written since), or `unchanged`.
    outcome: String,
    by: String,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Answer {
    ok: bool,
    /// Open conflicts, the oldest first; or the one that was asked for.
    conflicts: Vec<View>,
    /// For `show`.
    #[serde(skip_serializing_if = "Option::is_none")]
    contents: Option<Contents>,
    /// For `resolve`.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved: Option<Resolved>,
}

impl Tool for Conflicts {
    type Arguments = Arguments;
    type Answer = Answer;
    const NAME: &'static str = "conflicts";
    const TITLE: &'static str = "Stored conflicts";
    const DESCRIPTION: &'static str = "Lists, shows and resolves stored conflicts: versions that could not be merged, both kept. Use it when a \
        refusal names a conflict `id`, or to look for open ones. `show` gives base, mine, theirs and merged; then `resolve` with `keep`, best \
        with `content` that has both changes. A refusal changed nothing.";
    const ACCESS: Access = Access::Both;
    const DESTROYS: bool = true;
    const WORK: Work = Work::Change;

    fn run(call: &Call, arguments: Arguments) -> Result<Answer, Refusal> {
        if arguments.action == Action::List {
            let about = arguments.path.as_deref().map(|path| call.place(path)).transpose()?;
            let conflicts = open(call, about.as_ref().map(crate::place::Place::as_str))?;
            return Ok(Answer { ok: true, conflicts, ..Answer::default() });
        }
        let id = arguments.id.as_deref().ok_or_else(|| {
            Refusal::malformed("`id` is missing: the conflict's").next("conflicts", json!({}), "lists the open ones")
        })?;
        let (conflict, path) = find(call, id)?;
        match arguments.action {
            Action::Resolve => resolve(call, &conflict, path, arguments),
            _ => whole(call, &conflict, path),
        }
    }
}

/// The open conflicts about files that are shown.
pub(crate) fn open(call: &Call, about: Option<&str>) -> Result<Vec<View>, Refusal> {
    let stored = call.latch().conflicts(call.server().root().path()).map_err(|e| call.refused(&e))?.stored;
    let shown = stored.iter().filter(|conflict| conflict.is_open()).filter_map(|conflict| {
        let path = call.shown(&conflict.path)?;
        about.is_none_or(|about| about == path).then(|| view(conflict, path))
    });
    Ok(shown.take(MOST).collect())
}

fn view(conflict: &StoredConflict, path: String) -> View {
    View {
        id: conflict.id.clone(),
        path,
        at: conflict.stored_at.map(time),
        cause: match conflict.cause {
            Cause::Merge => "merge",
            Cause::NoBase => "no-base",
            Cause::Deleted => "deleted",
            _ => "foreign",
        }
        .to_owned(),
        open: conflict.state == ConflictState::Open,
        mine: conflict.ours.as_ref().map(SideView::of),
        theirs: conflict.theirs.as_ref().map(SideView::of),
        places: conflict.conflicts,
    }
}

fn find(call: &Call, id: &str) -> Result<(StoredConflict, String), Refusal> {
    let root = call.server().root().path();
    let list = |refusal: Refusal| refusal.next("conflicts", json!({}), "lists the open ones");
    let conflict = call.latch().conflict(root, id).map_err(|e| list(call.refused(&e)))?;
    let Some(path) = call.shown(&conflict.path) else {
        let missing = Error::NoSuchConflict { path: root.to_owned(), id: id.to_owned(), matches: 0 };
        return Err(list(call.refused(&missing)));
    };
    Ok((conflict, path))
}

fn whole(call: &Call, conflict: &StoredConflict, path: String) -> Result<Answer, Refusal> {
    let contents = contents(call, conflict, &path)?;
    Ok(Answer { ok: true, conflicts: vec![view(conflict, path)], contents: Some(contents), resolved: None })
}

/// A conflict and its contents, for `filelatch://conflicts/{id}`.
pub(crate) fn told(call: &Call, id: &str) -> Result<(View, Contents), Refusal> {
    let (conflict, path) = find(call, id)?;
    let contents = contents(call, &conflict, &path)?;
    Ok((view(&conflict, path), contents))
}

fn contents(call: &Call, conflict: &StoredConflict, path: &str) -> Result<Contents, Refusal> {
    let refused = |e: &Error| call.refused(e).about(path);
    let stored = call.latch().conflict_contents(conflict).map_err(|e| refused(&e))?;
    let text = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| text_of(call, path, bytes)).transpose();
    let (_, file) = call.file(path)?;
    let current = file.try_read().map_err(|e| refused(&e))?;
    Ok(Contents {
        base: text(&stored.base)?,
        mine: text(&stored.ours)?,
        theirs: text(&stored.theirs)?,
        merged: stored.merged.as_ref().map(|merged| rendered(merged, file.conflict_style())),
        current_hash: current.map(|current| current.version().to_string()),
    })
}

/// A version's content, if it can be sent.
pub(super) fn text_of(call: &Call, path: &str, bytes: &[u8]) -> Result<String, Refusal> {
    let limit = call.server().limits().content;
    if bytes.len() as u64 > limit {
        let message = format!("a version of `{path}` has more than the {limit} bytes that are sent at once");
        let refusal = Refusal::new("too-large", message).about(path).not_done("nothing was read");
        return Err(refusal.run(&format!("filelatch diff {path}"), "shows it in a terminal"));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| super::read::not_utf8(path, e.valid_up_to(), bytes.len()))?;
    Ok(text.to_owned())
}

fn rendered(merged: &filelatch::merge::Merged, style: ConflictStyle) -> String {
    let labels = ["mine".to_owned(), "base".to_owned(), "theirs".to_owned()];
    let markers = Markers { style, labels, ..Markers::default() };
    String::from_utf8_lossy(&merged.render(&markers)).into_owned()
}

fn resolve(call: &Call, conflict: &StoredConflict, path: String, asked: Arguments) -> Result<Answer, Refusal> {
    call.may_write()?;
    let resolution = match (asked.keep, asked.content) {
        (Some(Keep::Mine), None) => Resolution::Mine,
        (Some(Keep::Theirs), None) => Resolution::Theirs,
        (Some(Keep::Merged), None) => Resolution::Merged,
        (Some(Keep::Content), Some(content)) => Resolution::Content(content.into_bytes()),
        (Some(Keep::Content), None) => return Err(Refusal::malformed("`keep: \"content\"` needs the `content`")),
        (Some(_), Some(_)) => return Err(Refusal::malformed("`content` belongs to `keep: \"content\"` only")),
        (None, _) => {
            let message = "`keep` is missing: what the file is to be: `mine`, `theirs`, `merged` or `content`";
            return Err(Refusal::malformed(message).next(
                "conflicts",
                json!({"action": "show", "id": conflict.id}),
                "shows both",
            ));
        }
    };
    if let Resolution::Content(content) = &resolution
        && content.len() as u64 > call.server().limits().content
    {
        return Err(Refusal::new("too-large", "`content` is longer than what is written at once").about(&path));
    }
    let expect = asked.expected_hash.as_deref().map(hash_of).transpose()?.unwrap_or(Expect::Any);
    let (_, file): (_, LatchFile) = call.file(&path)?;
    let refused = |e: &Error| call.refused(e).about(&path);
    let options = call.options(call.wait(None)).expect(expect);
    let resolved = file.resolve(&conflict.id, &resolution, &options).map_err(|e| refused(&e))?;
    let (version, outcome) = match resolved.written {
        Some(written) => (written.version, written.outcome.to_string()),
        None => (file.try_read().map_err(|e| refused(&e))?.map(|current| current.version()), "unchanged".to_owned()),
    };
    let resolved_view =
        Resolved { hash: version.map(|version| version.to_string()), outcome, by: call.session().to_string() };
    let conflicts = vec![view(&resolved.conflict, path)];
    Ok(Answer { ok: true, conflicts, contents: None, resolved: Some(resolved_view) })
}
