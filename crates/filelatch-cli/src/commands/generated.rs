//! `filelatch generated`: files that go with their owner.

use std::io::Read;
use std::path::Path;

use filelatch::store::generated::{Generated, Owner, PublishOptions, Removal, RemoveOptions};
use filelatch_git::{SessionState, Sessions};
use serde_json::{Value, json};

use crate::args_changes::{self, ForWhom, GeneratedAction, GeneratedList, GeneratedRemove, GeneratedWrite};
use crate::context::Context;
use crate::output;
use crate::render::CliError;

pub(crate) fn generated(context: &Context, args: &args_changes::Generated) -> Result<(), CliError> {
    match &args.action {
        GeneratedAction::Write(args) => write(context, args),
        GeneratedAction::List(args) => list(context, args),
        GeneratedAction::Remove(args) => remove(context, args),
    }
}

impl ForWhom {
    fn owner(&self) -> Owner {
        match (&self.session, &self.owner) {
            (Some(session), _) => Owner::Session(session.clone()),
            (None, owner) => Owner::Named(owner.clone().unwrap_or_default()),
        }
    }
}

fn write(context: &Context, args: &GeneratedWrite) -> Result<(), CliError> {
    let mut content = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut content)
        .map_err(|e| CliError::own("io", format!("standard input cannot be read: {e}")).hint("nothing was changed"))?;
    // The workspace is the file's, whose folders may still have to be made.
    let above = args.file.ancestors().skip(1).find(|dir| dir.as_os_str().is_empty() || dir.is_dir());
    let above = above.filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let generated = context.latch.generated(above)?;
    let options = PublishOptions::new().private(args.private).replace(args.replace);
    let published = generated.publish(&args.whom.owner(), &args.file, &content, &options)?;
    let hash = published.version.to_string();
    if context.json {
        let outcome = published.outcome.to_string();
        return output::json(
            &json!({"success": true, "path": output::path(&published.path), "hash": hash, "outcome": outcome}),
        );
    }
    output::line(&hash)
}

fn list(context: &Context, args: &GeneratedList) -> Result<(), CliError> {
    let files = context.latch.generated(args.dir.as_deref().unwrap_or(Path::new(".")))?.list(None)?;
    if context.json {
        let files: Vec<_> = files
            .iter()
            .map(|file| {
                let (session, owner) = match &file.owner {
                    Owner::Session(name) => (Some(name), None),
                    Owner::Named(name) => (None, Some(name)),
                    _ => (None, None),
                };
                json!({
                    "path": output::path(&file.path),
                    "session": session,
                    "owner": owner,
                    "hash": file.version.to_string(),
                    "at": output::time(file.at),
                    "private": file.private,
                    "state": file.state.code(),
                })
            })
            .collect();
        return output::json(&json!({ "files": files }));
    }
    for file in files {
        let (path, owner) = (file.path.to_string_lossy(), file.owner.to_string());
        output::line(&printable(&format!("{:<12}  {path}  for {owner}", file.state.code())))?;
    }
    Ok(())
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn remove(context: &Context, args: &GeneratedRemove) -> Result<(), CliError> {
    let generated = context.latch.generated(args.dir.as_deref().unwrap_or(Path::new(".")))?;
    let removal = generated.remove(&args.whom.owner(), &RemoveOptions::new().keep_edited(args.keep_edited))?;
    if context.json {
        return output::json(&to_json(&removal));
    }
    for path in &removal.removed {
        output::line(&printable(&path.to_string_lossy()))?;
    }
    tell(&removal);
    Ok(())
}

fn to_json(removal: &Removal) -> Value {
    let paths = |paths: &[std::path::PathBuf]| paths.iter().map(|path| output::path(path)).collect::<Vec<_>>();
    let failed: Vec<_> = removal
        .failed
        .iter()
        .map(|(path, error)| json!({"path": output::path(path), "error": error.to_string()}))
        .collect();
    json!({
        "removed": paths(&removal.removed),
        "missing": paths(&removal.missing),
        "left": paths(&removal.left),
        "kept": paths(&removal.kept),
        "folders": paths(&removal.folders),
        "failed": failed,
    })
}

fn tell(removal: &Removal) {
    for path in &removal.left {
        output::note(&printable(&format!("`{}` was edited since it was generated, and stays", path.display())));
    }
    for path in &removal.kept {
        output::note(&printable(&format!("`{}` was edited; it is removed, and kept as a version", path.display())));
    }
    for (path, error) in &removal.failed {
        output::warning(&printable(&format!("`{}` was generated and is still there: {error}", path.display())));
    }
}

/// Removes what was generated for a session that is gone; what goes wrong is told, and tried again by `session gc`.
pub(crate) fn after_session(context: &Context, sessions: &Sessions, name: &str) -> Vec<Value> {
    let owner = Owner::Session(name.to_owned());
    let removed = open(context, sessions).and_then(|generated| Ok(generated.remove(&owner, &RemoveOptions::new())?));
    match removed {
        Ok(removal) => told(context, &removal),
        Err(error) => {
            output::warning(&format!("files that were generated for {name} are not removed: {}", error.message()));
            Vec::new()
        }
    }
}

fn told(context: &Context, removal: &Removal) -> Vec<Value> {
    if !context.json {
        for path in &removal.removed {
            output::note(&printable(&format!("removed with it: `{}`", path.display())));
        }
    }
    tell(removal);
    removal.removed.iter().map(|path| output::path(path)).collect()
}

fn open(context: &Context, sessions: &Sessions) -> Result<Generated, CliError> {
    Ok(context.latch.generated(sessions.workspace())?)
}

/// Removes what was generated for sessions that are not there any more.
pub(crate) fn collect(context: &Context, sessions: &Sessions) -> Result<(), CliError> {
    let generated = match open(context, sessions) {
        // No session was ever started here.
        Err(CliError::Library(filelatch::Error::NoWorkspace { .. })) => return Ok(()),
        opened => opened?,
    };
    // Those of whom it can't be told are living.
    let living: Vec<_> =
        sessions.list()?.into_iter().filter(|session| session.state != SessionState::HalfRemoved).collect();
    let is_living = |owner: &Owner| match owner {
        Owner::Session(name) => living.iter().any(|session| session.name == *name),
        _ => true,
    };
    for (_, removal) in generated.gc(is_living, &RemoveOptions::new())? {
        told(context, &removal);
    }
    Ok(())
}
