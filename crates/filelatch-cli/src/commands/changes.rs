//! `filelatch changes`: the index of changed files.

use std::path::Path;

use filelatch::LockOptions;
use filelatch::store::changes::{Change, ChangeFilter, ChangeKind, Changes, CompactOptions, SessionChanges};
use filelatch_fs::{Host, RealHost};
use filelatch_git::{ChangedFile, ChangesOptions, FileFate, Sessions};
use serde_json::json;

use crate::args_changes::{self, ChangesAction, ChangesCompact, ChangesList};
use crate::context::Context;
use crate::output;
use crate::render::CliError;

/// A longer index is compacted when something is taken in, in bytes.
const LONG: u64 = 64 << 20;
/// What a compaction for that reason leaves at most.
const STAYS: usize = 200_000;
/// Lines that are printed at once.
const PRINTED: usize = 1 << 16;

pub(crate) fn changes(context: &Context, args: &args_changes::Changes, sessions: &[String]) -> Result<(), CliError> {
    let dir = args.dir.as_deref().unwrap_or(Path::new("."));
    let index = context.latch.changes(dir)?;
    match &args.action {
        ChangesAction::List(args) => list(context, &index, dir, args, sessions),
        ChangesAction::Update(_) => update(context, &index, dir),
        ChangesAction::Rebuild(_) => rebuild(context, &index, dir),
        ChangesAction::Compact(args) => compact(context, &index, args),
    }
}

/// The sessions of the repository whose workspace the index is of; `None`: there is none, or no git.
fn repository(context: &Context, index: &Changes, dir: &Path) -> Option<Sessions> {
    Sessions::open(dir, &context.latch).ok().filter(|sessions| sessions.workspace() == index.root())
}

fn list(
    context: &Context,
    index: &Changes,
    dir: &Path,
    args: &ChangesList,
    sessions: &[String],
) -> Result<(), CliError> {
    let repository = repository(context, index, dir);
    if !args.no_update {
        // Who may not write may read.
        match take_in(index, repository.as_ref()) {
            Ok(_) => {}
            Err(CliError::Library(error)) if !matches!(error, filelatch::Error::Store { .. }) => {
                output::warning(&format!("nothing new is taken in: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    let now = RealHost.now();
    let mut filter = ChangeFilter::new();
    for path in &args.path {
        filter = filter.path(path)?;
    }
    let names: Vec<_> = sessions.iter().chain(&args.by).collect();
    filter = names.iter().fold(filter, |filter, name| filter.session(*name));
    if let Some(since) = args.since {
        filter = filter.since(since.before(now));
    }
    if let Some(until) = args.until {
        filter = filter.until(until.before(now));
    }
    let mut text = String::new();
    let mut failed = None;
    index.for_each(&filter, &mut |change| {
        text.push_str(&line(context, &change));
        if text.len() > PRINTED {
            failed = failed.take().or(output::data(std::mem::take(&mut text).as_bytes()).err());
        }
    })?;
    if let Some(repository) = &repository {
        for name in names {
            for file in repository.uncommitted(name).unwrap_or_default() {
                let change = of_git(file, name).uncommitted();
                if filter.admits(&change) {
                    text.push_str(&line(context, &change));
                }
            }
        }
    }
    match failed {
        Some(failed) => Err(failed),
        None => output::data(text.as_bytes()),
    }
}

fn line(context: &Context, change: &Change) -> String {
    if context.json {
        return format!("{}\n", change.to_json());
    }
    let note = if change.source.code() == "worktree" { "  (not committed)" } else { "" };
    let (path, by) = (printable(&change.path.to_string_lossy()), printable(&change.by));
    format!("{}  {:<7}  {path}  by {by}{note}\n", output::moment(change.at), change.kind)
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn update(context: &Context, index: &Changes, dir: &Path) -> Result<(), CliError> {
    let taken = take_in(index, repository(context, index, dir).as_ref())?;
    if context.json {
        return output::json(&json!({
            "changes": taken.updated.changes,
            "fromSessions": taken.from_sessions,
            "missed": taken.updated.missed,
            "damaged": taken.updated.damaged,
        }));
    }
    if taken.updated.missed > 0 {
        let missed = taken.updated.missed;
        output::warning(&format!("{missed} records of the audit log were removed before they were taken in"));
    }
    if taken.updated.damaged > 0 {
        output::warning("the audit log has lines that are no records; `filelatch audit verify` says what is wrong");
    }
    output::line(&format!("{} taken in", taken.updated.changes + taken.from_sessions))
}

struct TakenIn {
    updated: filelatch::store::changes::Updated,
    from_sessions: u64,
}

fn take_in(index: &Changes, repository: Option<&Sessions>) -> Result<TakenIn, CliError> {
    let lock = LockOptions::new();
    let updated = index.update(&lock)?;
    let from_sessions = match repository {
        Some(repository) => all_sessions(index, repository)?,
        None => 0,
    };
    let is_long = || filelatch_fs::Fs::stat(&filelatch_fs::RealFs, index.path()).is_ok_and(|stat| stat.size > LONG);
    if updated.changes + from_sessions > 0 && is_long() {
        index.compact(&CompactOptions::new().keep_changes(STAYS), &lock)?;
    }
    Ok(TakenIn { updated, from_sessions })
}

fn all_sessions(index: &Changes, repository: &Sessions) -> Result<u64, CliError> {
    let mut count = 0;
    for session in repository.list()? {
        count += take_session(index, repository, &session.name, None)?;
    }
    Ok(count)
}

/// Takes in what a session has committed. `not`: where the branch stood that it was merged into.
pub(crate) fn take_session(
    index: &Changes,
    repository: &Sessions,
    name: &str,
    not: Option<&str>,
) -> Result<u64, CliError> {
    index.take_session(name, &LockOptions::new(), |taken| {
        let (since, until) = (taken.since.clone(), taken.until.clone());
        let options = ChangesOptions { since, until, not: not.map(str::to_owned) };
        let Some(found) = repository.changes(name, &options)? else { return Ok(None) };
        let changes: Vec<_> = found.files.into_iter().map(|file| of_git(file, name)).collect();
        // A session that has done nothing yet need not be noted.
        let is_new = !changes.is_empty() || taken.until.is_some();
        Ok(is_new.then_some(SessionChanges { tip: found.tip, changes }))
    })
}

/// What `session` has to tell the index. What can't be taken in is no reason for it to fail: it is told, and `changes update` tries again as long
/// as the session is there.
pub(crate) fn after_session(context: &Context, repository: &Sessions, name: &str, not: Option<&str>) {
    let taken = context
        .latch
        .changes(repository.workspace())
        .map_err(CliError::from)
        .and_then(|index| take_session(&index, repository, name, not));
    // Without a workspace there is no index.
    if let Err(error) = taken
        && !matches!(error, CliError::Library(filelatch::Error::NoWorkspace { .. }))
    {
        output::warning(&format!("what {name} has changed is not in the index of changes: {}", error.message()));
    }
}

fn of_git(file: ChangedFile, name: &str) -> Change {
    let kind = match file.fate {
        FileFate::Created => ChangeKind::Created,
        FileFate::Changed => ChangeKind::Changed,
        FileFate::Deleted => ChangeKind::Deleted,
    };
    let version = |id: Option<String>| id.map(|id| format!("git:{id}"));
    Change::of_git(file.path, name, file.at, kind).versions(version(file.before), version(file.after))
}

fn rebuild(context: &Context, index: &Changes, dir: &Path) -> Result<(), CliError> {
    let rebuilt = index.rebuild(&LockOptions::new())?;
    let from_sessions = match repository(context, index, dir) {
        Some(repository) => all_sessions(index, &repository)?,
        None => 0,
    };
    if context.json {
        return output::json(&json!({
            "fromAudit": rebuilt.from_audit,
            "takenOver": rebuilt.taken_over,
            "fromSessions": from_sessions,
            "damaged": rebuilt.damaged,
            "auditDamaged": rebuilt.audit_damaged,
            "auditRemoved": rebuilt.audit_removed,
        }));
    }
    if rebuilt.audit_removed > 0 {
        let removed = rebuilt.audit_removed;
        output::note(&format!(
            "the first {removed} records of the audit log are gone; what the old index had of them is taken over"
        ));
    }
    if rebuilt.damaged > 0 {
        let lines = rebuilt.damaged;
        output::warning(&format!(
            "{lines} places of the old index can't be read, and are moved aside; what only they had is lost: of sessions that are removed, and of removed files of the audit log"
        ));
    }
    if rebuilt.audit_damaged > 0 {
        output::warning("the audit log has lines that are no records; `filelatch audit verify` says what is wrong");
    }
    let (audit, over) = (rebuilt.from_audit, rebuilt.taken_over);
    output::line(&format!("{audit} from the audit log, {from_sessions} from git, {over} taken over from the old index"))
}

fn compact(context: &Context, index: &Changes, args: &ChangesCompact) -> Result<(), CliError> {
    let mut options = CompactOptions::new();
    if let Some(age) = args.keep_age {
        options = options.keep_age(age);
    }
    if let Some(keep) = args.keep {
        options = options.keep_changes(keep);
    }
    let done = index.compact(&options, &LockOptions::new())?;
    if context.json {
        return output::json(&json!({"kept": done.kept, "removed": done.removed}));
    }
    output::line(&format!("{} kept, {} removed", done.kept, done.removed))
}
