//! `filelatch session`: places to work that are isolated in git worktrees.

use std::fmt::Write as _;
use std::path::Path;

use filelatch_git::{Git, Session, SessionState, Sessions, StartOptions};
use serde_json::{Value, json};

use crate::args_session::{self, SessionAction, SessionPath, SessionStart};
use crate::context::Context;
use crate::output;
use crate::render::CliError;

pub(crate) fn session(context: &Context, args: &args_session::Session) -> Result<(), CliError> {
    let git = Git::new(&args.dir).patience(args.timeout);
    let sessions = Sessions::open_with(git, &context.latch)?;
    match &args.action {
        SessionAction::Start(args) => start(context, &sessions, args),
        SessionAction::List(_) => list(context, &sessions),
        SessionAction::Path(args) => path(context, &sessions, args),
    }
}

fn start(context: &Context, sessions: &Sessions, args: &SessionStart) -> Result<(), CliError> {
    let options = StartOptions { base: args.base.clone(), include: args.include.clone() };
    let started = sessions.start(args.name.as_deref(), &options)?;
    if context.json {
        let skipped: Vec<_> =
            started.skipped.iter().map(|file| json!({"path": output::path(&file.path), "why": file.why})).collect();
        return output::json(&json!({
            "success": true,
            "name": started.name,
            "branch": started.branch,
            "base": started.base,
            "baseCommit": started.base_commit,
            "folder": output::path(&started.folder),
            "included": paths(&started.included),
            "skipped": skipped,
            "excluded": started.excluded,
            "completed": started.completed,
        }));
    }
    if started.completed {
        output::note(&format!("the session {} was there, interrupted; it is whole now", started.name));
    }
    if !started.excluded.is_empty() {
        output::note(&format!("added to `info/exclude` of the repository: {}", started.excluded.join("  ")));
    }
    for file in &started.skipped {
        output::note(&format!("not copied: {}: {}", file.path.display(), file.why));
    }
    folder(&started.folder)
}

fn path(context: &Context, sessions: &Sessions, args: &SessionPath) -> Result<(), CliError> {
    let session = sessions.find(&args.name)?;
    if context.json {
        return output::json(&json!({"name": session.name, "folder": output::path(&session.folder)}));
    }
    folder(&session.folder)
}

/// As the system has it: names need not be text.
fn folder(folder: &Path) -> Result<(), CliError> {
    output::data(folder.as_os_str().as_encoded_bytes())?;
    output::line("")
}

fn list(context: &Context, sessions: &Sessions) -> Result<(), CliError> {
    let all = sessions.list()?;
    if context.json {
        let all: Vec<_> = all.iter().map(to_json).collect();
        return output::json(&json!({ "sessions": all }));
    }
    if all.is_empty() {
        output::note("there is no session; `filelatch session start NAME` makes one");
    }
    output::data(lines(&all).as_bytes())
}

/// One line for each: name, state, what is to be known, folder.
fn lines(all: &[Session]) -> String {
    let width = |of: &dyn Fn(&Session) -> usize| all.iter().map(of).max().unwrap_or_default();
    let name_width = width(&|session| session.name.chars().count());
    let mut text = String::new();
    for session in all {
        let facts = facts(session).join(", ");
        let folder = session.folder.to_string_lossy();
        writeln!(text, "{:name_width$}  {facts}  {folder}", session.name).ok();
        if let Some(problem) = &session.problem {
            writeln!(text, "{:name_width$}  {problem}", "").ok();
        }
    }
    text
}

fn facts(session: &Session) -> Vec<String> {
    let mut facts = Vec::new();
    if session.state != SessionState::Ready {
        facts.push(session.state.code().to_owned());
    }
    match &session.switched_to {
        Some(Some(branch)) => facts.push(format!("on {branch}")),
        Some(None) => facts.push("on no branch".to_owned()),
        None => {}
    }
    match (session.ahead, session.behind) {
        (Some(0), Some(0)) => facts.push("nothing new".to_owned()),
        (Some(0), Some(behind)) => facts.push(format!("merged, {behind} behind")),
        (Some(ahead), Some(0)) => facts.push(format!("{ahead} ahead")),
        (Some(ahead), Some(behind)) => facts.push(format!("{ahead} ahead, {behind} behind")),
        _ => {}
    }
    match session.dirty {
        Some(dirty) if dirty.is_dirty() => {
            let counts = [(dirty.staged, "staged"), (dirty.modified, "modified"), (dirty.untracked, "untracked")];
            facts.extend(counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
        }
        Some(_) => facts.push("clean".to_owned()),
        None => {}
    }
    facts.extend(session.in_progress.map(|what| format!("{what} in progress")));
    if let Some(inside) = session.inside.as_ref().filter(|inside| !inside.is_empty()) {
        let one = |process: &filelatch_git::Inside| match &process.program {
            Some(program) => format!("{program} ({})", process.pid),
            None => process.pid.to_string(),
        };
        facts.push(format!("inside: {}", inside.iter().take(3).map(one).collect::<Vec<_>>().join(" ")));
    }
    facts.extend(session.active_at.map(|time| format!("active {}", output::moment(time))));
    facts
}

fn to_json(session: &Session) -> Value {
    let inside = session.inside.as_ref().map(|inside| {
        inside.iter().map(|process| json!({"pid": process.pid, "program": process.program})).collect::<Vec<_>>()
    });
    json!({
        "name": session.name,
        "state": session.state.code(),
        "branch": session.branch,
        "switchedTo": session.switched_to.as_ref().map(|branch| branch.as_deref().unwrap_or("HEAD")),
        "head": session.head,
        "folder": output::path(&session.folder),
        "base": session.base,
        "baseCommit": session.base_commit,
        "dirty": session.dirty.map(filelatch_git::Dirty::is_dirty),
        "staged": session.dirty.map(|dirty| dirty.staged),
        "modified": session.dirty.map(|dirty| dirty.modified),
        "untracked": session.dirty.map(|dirty| dirty.untracked),
        "ahead": session.ahead,
        "behind": session.behind,
        "merged": session.merged,
        "inProgress": session.in_progress,
        "inside": inside,
        "createdBy": session.created_by,
        "createdAt": session.created_at.map(output::time),
        "activeAt": session.active_at.map(output::time),
        "rescue": session.rescue,
        "problem": session.problem,
    })
}

fn paths(paths: &[std::path::PathBuf]) -> Vec<Value> {
    paths.iter().map(|path| output::path(path)).collect()
}
