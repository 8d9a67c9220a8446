//! `history`: versions of a file that were replaced, and bringing one back.

use filelatch::diff::{DiffOptions, diff};
use filelatch::show::{author, time};
use filelatch::{Error, Expect, LatchFile, Snapshot};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::conflicts::text_of;
use super::read::hash_of;
use super::{Access, Tool};
use crate::refusal::Refusal;
use crate::work::{Call, Work};

/// Versions that are listed.
const MOST: usize = 200;

pub(super) struct History;

/// What to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Action {
    #[default]
    List,
    Show,
    Diff,
    Restore,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// `list` (the default) the kept versions, `show` one, `diff` one with what is there now, `restore` one.
    #[serde(default)]
    action: Action,
    /// The file, relative to the root.
    path: String,
    /// For `show`, `diff`, `restore`: the version's hash, or at least 16 digits of it. `diff` without it takes the newest.
    version: Option<String>,
    /// For `restore`: the version that must be there now.
    expected_hash: Option<String>,
}

/// A version of a file.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct VersionView {
    hash: String,
    size: u64,
    /// Who wrote it: a session, or `external`.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    at: String,
}

impl VersionView {
    fn of(now: &Snapshot) -> VersionView {
        VersionView {
            hash: now.version().to_string(),
            size: now.bytes().len() as u64,
            by: author(now.author()),
            at: time(now.modified_at()),
        }
    }
}

#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Answer {
    ok: bool,
    path: String,
    /// What is there now; absent: there is no file.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<VersionView>,
    /// What was replaced, newest first; for `show`, `diff` and `restore` the one that was asked for.
    versions: Vec<VersionView>,
    /// There are more than are listed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
    /// For `show`: the version's content.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    /// For `diff`: from that version to what is there now, as a unified diff; empty: nothing differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
    /// For `restore`: the version of the file now.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    /// For `restore`: the version that was replaced, which is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_hash: Option<String>,
    /// For `restore`: `written` or `unchanged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    /// For `restore`: you.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

impl Tool for History {
    type Arguments = Arguments;
    type Answer = Answer;
    const NAME: &'static str = "history";
    const TITLE: &'static str = "Former versions";
    const DESCRIPTION: &'static str = "Lists the kept former versions of a file, shows one, compares one with what is there, or restores one. Use it \
        to see who changed what, and to undo. `restore` is a write: what it replaces is kept, too; give `expected_hash` so that nobody else's \
        newer change is undone unseen. Needs a workspace.";
    const ACCESS: Access = Access::Both;
    const DESTROYS: bool = true;
    const IDEMPOTENT: bool = true;
    const WORK: Work = Work::Change;

    fn run(call: &Call, arguments: Arguments) -> Result<Answer, Refusal> {
        let (place, file) = call.file(&arguments.path)?;
        let path = place.as_str();
        let refused = |e: &Error| call.refused(e).about(path);
        let before = file.try_read().map_err(|e| refused(&e))?;
        let mut answer = Answer { ok: true, path: path.to_owned(), ..Answer::default() };
        answer.current = before.as_ref().map(VersionView::of);
        match (arguments.action, &arguments.version) {
            (Action::List, _) => {
                let kept = file.history().map_err(|e| refused(&e))?;
                answer.more = kept.len() > MOST;
                answer.versions = kept
                    .into_iter()
                    .take(MOST)
                    .map(|kept| VersionView {
                        hash: kept.version.to_string(),
                        size: kept.size,
                        by: author(&kept.by),
                        at: time(kept.at),
                    })
                    .collect();
            }
            (Action::Diff, None) => {
                let newest = file.history().map_err(|e| refused(&e))?.into_iter().next();
                let newest = newest.ok_or_else(|| {
                    Refusal::new("not-found", format!("no former version of `{path}` is kept"))
                        .about(path)
                        .not_done("nothing was compared")
                })?;
                let old = file.kept(&newest.version).map_err(|e| refused(&e))?;
                compare(call, path, &old, before.as_ref(), &mut answer)?;
            }
            (_, None) => {
                let arguments = json!({"path": path});
                return Err(Refusal::malformed("`version` is missing: which one").next(
                    "history",
                    arguments,
                    "lists them",
                ));
            }
            (Action::Show, Some(version)) => {
                let kept = find(call, path, &file, before.as_ref(), version)?;
                answer.content = Some(text_of(call, path, kept.bytes())?);
                answer.versions = vec![VersionView::of(&kept)];
            }
            (Action::Diff, Some(version)) => {
                let old = find(call, path, &file, before.as_ref(), version)?;
                compare(call, path, &old, before.as_ref(), &mut answer)?;
            }
            (Action::Restore, Some(version)) => {
                call.may_write()?;
                let kept = find(call, path, &file, None, version)?;
                let expect = arguments.expected_hash.as_deref().map(hash_of).transpose()?.unwrap_or(Expect::Any);
                let options = call.options(call.wait(None)).expect(expect);
                let written = file.restore(&kept.version(), &options).map_err(|e| refused(&e))?;
                answer.previous_hash = before.map(|before| before.version().to_string());
                answer.current = file.try_read().map_err(|e| refused(&e))?.as_ref().map(VersionView::of);
                answer.versions = vec![VersionView::of(&kept)];
                answer.hash = written.version.map(|version| version.to_string());
                answer.outcome = Some(written.outcome.to_string());
                answer.by = Some(call.session().to_string());
            }
        }
        Ok(answer)
    }
}

fn compare(
    call: &Call,
    path: &str,
    old: &Snapshot,
    now: Option<&Snapshot>,
    answer: &mut Answer,
) -> Result<(), Refusal> {
    let new = now.map(Snapshot::bytes).unwrap_or_default();
    let text = diff(old.bytes(), new, &DiffOptions::default()).unified(&format!("a/{path}"), &format!("b/{path}"));
    answer.diff = Some(text_of(call, path, &text)?);
    answer.versions = vec![VersionView::of(old)];
    Ok(())
}

/// A kept version, or the one that is there.
fn find(
    call: &Call,
    path: &str,
    file: &LatchFile,
    current: Option<&Snapshot>,
    version: &str,
) -> Result<Snapshot, Refusal> {
    let wanted = hash_of(version)?;
    if let Some(current) = current.filter(|current| wanted.admits(Some(&current.version()))) {
        return Ok(current.clone());
    }
    let kept = file.find_kept(version.trim()).and_then(|version| file.kept(&version));
    kept.map_err(|e| call.refused(&e).about(path).next("history", json!({"path": path}), "lists the kept versions"))
}
