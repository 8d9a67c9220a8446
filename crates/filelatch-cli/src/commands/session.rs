//! `filelatch session`: places to work that are isolated in git worktrees.

use std::fmt::Write as _;
use std::path::Path;

use filelatch_git::{
    GcOptions, Git, MergeOptions, RemoveOptions, Rescue, Session, SessionState, Sessions, StartOptions, Unmerged,
};
use serde_json::{Value, json};

use super::git_setup::driver;
use super::{changes, generated};
use crate::args_session::{self, SessionAction, SessionGc, SessionMerge, SessionPath, SessionRemove, SessionStart};
use crate::context::Context;
use crate::render::CliError;
use crate::{env, output};

/// Lines of a side that are shown to people.
const LINES: usize = 8;

pub(crate) fn session(context: &Context, args: &args_session::Session) -> Result<(), CliError> {
    let git = Git::new(&args.dir).patience(args.timeout);
    let sessions = Sessions::open_with(git, &context.latch)?;
    match &args.action {
        SessionAction::Start(args) => start(context, &sessions, args),
        SessionAction::List(_) => list(context, &sessions),
        SessionAction::Path(args) => path(context, &sessions, args),
        SessionAction::Merge(args) => merge(context, &sessions, args),
        SessionAction::Remove(args) => remove(context, &sessions, args),
        SessionAction::Gc(args) => gc(context, &sessions, args),
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

fn merge(context: &Context, sessions: &Sessions, args: &SessionMerge) -> Result<(), CliError> {
    let program = env::program().map_err(|e| {
        CliError::own("io", format!("cannot find out where this program is: {e}")).hint("nothing was changed")
    })?;
    let options = MergeOptions {
        into: args.into.clone(),
        message: args.message.clone(),
        commit: args.commit.clone(),
        leave_conflicts: args.leave_conflicts,
        driver: Some(driver(&program)?),
    };
    let merged = match sessions.merge(&args.name, &options) {
        Ok(merged) => merged,
        Err(filelatch_git::Error::Unmerged(unmerged)) => {
            if !context.json {
                places(&unmerged);
            }
            return Err(filelatch_git::Error::Unmerged(unmerged).into());
        }
        Err(error) => return Err(error.into()),
    };
    let is_new = merged.outcome != filelatch_git::MergeOutcome::UpToDate;
    changes::after_session(context, sessions, &args.name, is_new.then_some(&*merged.before));
    if context.json {
        return output::json(&json!({
            "success": true,
            "name": merged.name,
            "branch": merged.branch,
            "into": merged.into,
            "outcome": merged.outcome.code(),
            "commit": merged.commit,
            "committed": merged.committed,
        }));
    }
    let done = match merged.outcome {
        filelatch_git::MergeOutcome::UpToDate => format!("{} has all of {} already", merged.into, merged.branch),
        outcome => format!("{} has {} now ({})", merged.into, merged.branch, outcome.code()),
    };
    output::note(&done);
    output::line(&merged.commit)
}

/// Where they do not fit together; on standard error.
fn places(unmerged: &Unmerged) {
    for file in &unmerged.files {
        output::note(&file.message);
        for hunk in &file.hunks {
            let mut text = format!("{}:{}:", file.path.display(), hunk.line);
            for (sign, side) in [('-', &hunk.ours), ('+', &hunk.theirs)] {
                for line in side.lines().take(LINES) {
                    write!(text, "\n      {sign} {}", printable(line)).ok();
                }
                if side.lines().count() > LINES {
                    write!(text, "\n      {sign} …").ok();
                }
            }
            output::note(&text);
        }
    }
}

/// Without what a terminal would obey.
fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

fn remove(context: &Context, sessions: &Sessions, args: &SessionRemove) -> Result<(), CliError> {
    // Before its branch is gone. Refused, it has changed what it has changed all the same.
    if sessions.find(&args.name).is_ok() {
        changes::after_session(context, sessions, &args.name, None);
    }
    let removed = sessions.remove(&args.name, &RemoveOptions { rescue: args.rescue })?;
    let generated = generated::after_session(context, sessions, &args.name);
    if context.json {
        return output::json(&json!({
            "success": true,
            "name": removed.name,
            "branch": removed.branch,
            "branchKept": removed.branch_kept,
            "rescue": removed.rescue.as_ref().map(|rescue| rescue_json(rescue, &removed.branch)),
            "generated": generated,
        }));
    }
    if removed.branch_kept {
        output::note(&format!("the branch {} is in use elsewhere, and stays", removed.branch));
    }
    if let Some(rescue) = &removed.rescue {
        tell_rescue(rescue, &removed.branch);
    }
    Ok(())
}

fn tell_rescue(rescue: &Rescue, branch: &str) {
    output::note(&format!("everything is kept in {}", rescue.reference));
    output::note(&format!("back again: {}", rescue.command(branch)));
    if rescue.has_changes {
        output::note("what was not committed is its last commit; `git reset HEAD^` then makes changes of it again");
    }
    if let Some(files) = &rescue.files {
        output::note(&format!("changed files that had been included: `{}`", files.display()));
    }
}

fn rescue_json(rescue: &Rescue, branch: &str) -> Value {
    json!({
        "ref": rescue.reference,
        "commit": rescue.commit,
        "hasChanges": rescue.has_changes,
        "files": rescue.files.as_deref().map(output::path),
        "command": rescue.command(branch),
    })
}

fn gc(context: &Context, sessions: &Sessions, args: &SessionGc) -> Result<(), CliError> {
    if args.apply {
        for session in sessions.list()? {
            changes::after_session(context, sessions, &session.name, None);
        }
    }
    let all = sessions.gc(&GcOptions { older_than: args.older_than, apply: args.apply })?;
    if args.apply {
        generated::collect(context, sessions)?;
    }
    if context.json {
        let mut leftovers = Vec::new();
        for one in all {
            let (removed, error) = match one.removed {
                None => (None, Value::Null),
                Some(Ok(removed)) => (Some(removed), Value::Null),
                Some(Err(error)) => (None, CliError::from(error).to_json()),
            };
            let rescue = removed.as_ref().and_then(|removed| removed.rescue.as_ref());
            leftovers.push(json!({
                "name": one.session.name,
                "why": one.why.code(),
                "folder": output::path(&one.session.folder),
                "removed": removed.is_some(),
                "rescue": rescue.map(|rescue| rescue_json(rescue, &one.session.branch)),
                "error": error,
            }));
        }
        return output::json(&json!({"applied": args.apply, "leftovers": leftovers}));
    }
    if all.is_empty() {
        output::note("there is nothing to collect");
    }
    for one in &all {
        let fate = match &one.removed {
            None => "would be removed",
            Some(Ok(_)) => "removed",
            Some(Err(_)) => "left alone",
        };
        output::line(&format!("{}  {}  {fate}", one.session.name, one.why.code()))?;
        match &one.removed {
            Some(Ok(removed)) => {
                if let Some(rescue) = &removed.rescue {
                    tell_rescue(rescue, &removed.branch);
                }
            }
            Some(Err(error)) => output::note(&error.to_string()),
            None => {}
        }
    }
    if !args.apply && !all.is_empty() {
        output::note("nothing was removed; `filelatch session gc --apply` does it");
    }
    Ok(())
}
