//! `changes`: what has changed since a cursor; waits for it if asked to.

use std::time::Duration;

use filelatch::Error;
use filelatch::show::time;
use filelatch::watch::{Change, ChangeKind, Event, Origin};
use globset::{Glob, GlobSet, GlobSetBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Access, Tool};
use crate::feed::Mark;
use crate::refusal::Refusal;
use crate::work::{Call, Work};

/// Changes of one answer, unless it is said, and at most.
const MOST: (usize, usize) = (200, 1000);
/// Globs, and bytes of each.
const GLOBS: (usize, usize) = (64, 256);
/// How long what was changed before the call is waited for.
const IN_SYNC: Duration = Duration::from_secs(2);
/// How soon a wait notices that it was called off.
const LOOK: Duration = Duration::from_millis(100);

pub(super) struct Changes;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// The `cursor` of the answer before. Without it you get a cursor, and what changes from now on.
    cursor: Option<String>,
    /// How long to wait for a change if there is none, up to 60000; default: not at all.
    wait_ms: Option<u64>,
    /// Only files that one of these globs names, such as `src/**/*.rs`; default: all.
    paths: Option<Vec<String>>,
    /// At most so many changes: 1 to 1000, default 200.
    max: Option<usize>,
}

/// A file that changed.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct View {
    path: String,
    /// `created`, `modified`, `deleted`, `renamed`.
    kind: String,
    /// For `renamed`: its name before.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// The version that is there now, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    /// Who wrote it: a session, or `external`.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// `own` (you), `session` (another session of filelatch), `external` (another program), `unknown`.
    origin: String,
    /// When it was seen.
    at: String,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Answer {
    ok: bool,
    /// Give it with the next call.
    cursor: String,
    /// In their order. Of a file that changed several times since, the sum.
    changes: Vec<View>,
    /// True: changes are missing before these. Read again what you keep.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reset: bool,
    /// True: there are more; call again at once.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
}

impl Tool for Changes {
    type Arguments = Arguments;
    type Answer = Answer;
    const NAME: &'static str = "changes";
    const TITLE: &'static str = "What has changed";
    const DESCRIPTION: &'static str = "Tells which files changed since `cursor`, whose change it was, and the hash that is there now; with `wait_ms` it \
        waits for the first one. Call it without `cursor` to begin, then with the cursor of each answer. `reset: true`: some changes are not \
        known any more; read again what you rely on.";
    const ACCESS: Access = Access::Reads;
    const WORK: Work = Work::Wait;

    fn run(call: &Call, arguments: Arguments) -> Result<Answer, Refusal> {
        let mark = arguments.cursor.as_deref().map(Mark::parse).transpose()?;
        let wanted = arguments.paths.as_deref().map(globs).transpose()?;
        let most = arguments.max.unwrap_or(MOST.0);
        if !(1..=MOST.1).contains(&most) {
            return Err(Refusal::malformed(format!("`max` is between 1 and {}", MOST.1)));
        }
        let open = call.server().feed().open(call, mark.as_ref())?;
        let watch = &open.watch;
        let refused = |e: &Error| {
            let refusal = call.refused(e).not_done("no change was told");
            refusal.next("changes", json!({"cursor": arguments.cursor}), "goes on")
        };
        // What was changed before the call is in the answer.
        if mark.is_some() {
            watch.sync(IN_SYNC).ok();
        }
        let reader = watch.reader(mark.as_ref().map(|mark| mark.cursor));
        let mut cursor = mark.as_ref().map_or_else(|| watch.cursor(), |mark| mark.cursor);
        let host = call.server().host();
        let wait = arguments.wait_ms.map_or(Duration::ZERO, |_| call.wait(arguments.wait_ms));
        let until = host.monotonic().saturating_add(wait);
        let mut answer = Answer { ok: true, ..Answer::default() };
        loop {
            let left = until.saturating_sub(host.monotonic());
            let ready = !answer.changes.is_empty() || answer.reset;
            let pause = if ready { Duration::ZERO } else { left.min(LOOK) };
            let event = match reader.next(Some(pause)) {
                Ok(Some(event)) => event,
                Ok(None) if ready || left.is_zero() => break,
                Ok(None) if call.cancel().is_cancelled() => {
                    return Err(refused(&Error::Cancelled { path: call.server().root().path().to_owned() }));
                }
                Ok(None) => continue,
                Err(e) => return Err(refused(&e)),
            };
            cursor = event.cursor();
            match event {
                Event::Change(change) => {
                    answer.changes.extend(view(call, &change).filter(|view| {
                        let named = |path: &str| wanted.as_ref().is_none_or(|wanted| wanted.is_match(path));
                        named(&view.path) || view.from.as_deref().is_some_and(named)
                    }));
                }
                Event::Reset { .. } => {
                    answer.reset = true;
                    answer.changes.clear();
                }
                Event::Rescanned { .. } => {}
            }
            if answer.changes.len() >= most {
                answer.more = true;
                break;
            }
        }
        answer.cursor = open.mark(cursor);
        Ok(answer)
    }
}

fn globs(globs: &[String]) -> Result<GlobSet, Refusal> {
    let (most, longest) = GLOBS;
    if globs.is_empty() || globs.len() > most || globs.iter().any(|glob| glob.len() > longest) {
        return Err(Refusal::malformed(format!("`paths` is 1 to {most} globs of at most {longest} bytes")));
    }
    let wrong = |e: &globset::Error| Refusal::malformed(format!("`paths`: {e}")).hint("such as `src/**/*.rs`");
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(Glob::new(glob).map_err(|e| wrong(&e))?);
    }
    set.build().map_err(|e| wrong(&e))
}

/// `None`: it is about a file that is not shown. To others a hidden file is not there: what moves behind is gone, what comes out is new.
fn view(call: &Call, change: &Change) -> Option<View> {
    let here = call.shown(&change.path);
    let from = match &change.kind {
        ChangeKind::Renamed { from } => call.shown(from),
        _ => None,
    };
    let (path, from, kind) = match (here, from, &change.kind) {
        (Some(path), None, ChangeKind::Renamed { .. }) => (path, None, "created"),
        (Some(path), from, kind) => (path, from, kind.word()),
        (None, Some(from), _) => (from, None, "deleted"),
        (None, None, _) => return None,
    };
    let gone = kind == "deleted";
    let (by, origin) = match &change.origin {
        Origin::Own => (Some(call.session().to_string()), "own"),
        Origin::Session(name) if change.origin.is_session(call.session()) => (Some(name.clone()), "own"),
        Origin::Session(name) => (Some(name.clone()), "session"),
        Origin::External => (Some("external".to_owned()), "external"),
        Origin::Unknown => (None, "unknown"),
    };
    Some(View {
        path,
        kind: kind.to_owned(),
        from,
        hash: change.version.filter(|_| !gone).map(|version| version.to_string()),
        by,
        origin: origin.to_owned(),
        at: time(change.at),
    })
}
