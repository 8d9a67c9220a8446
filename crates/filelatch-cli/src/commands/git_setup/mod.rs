//! `filelatch git-setup`: makes git merge files by `filelatch merge-driver`, and undoes it.
//!
//! Attributes are written through the library: whoever else changes the file meanwhile loses nothing. No lock file is left among
//! the user's files, so nothing is locked; the comparison at each publish does without. The configuration is changed by git itself,
//! which has a lock and a syntax of its own for it.
//!
//! Order of operations: look, show, ask, then the configuration, then the attributes; the other way round when it is undone. A
//! driver that nothing names, and a name without a driver, are both harmless: git merges by itself.

mod attributes;
mod config;
mod git;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use filelatch::{Error, Filelatch, Policy, WriteOptions};
use serde_json::{Value, json};

use self::attributes::Edited;
use self::config::Settings;
pub(super) use self::config::{driver, own_driver};
use self::git::Scope;
use crate::args_merge::GitSetup;
use crate::output;
use crate::render::CliError;

/// What one file is going to lose and get.
struct Plan {
    path: PathBuf,
    edited: Edited,
}

pub(crate) fn git_setup(args: &GitSetup, json: bool) -> Result<(), CliError> {
    let scope = if args.global { Scope::Global } else { Scope::Local };
    let engine = engine();
    let mut plans = Vec::new();
    for path in attribute_files(scope, args)? {
        let edited = edit(args, content(&engine, &path)?.as_deref());
        plans.push(Plan { path, edited });
    }
    let settings = if args.remove { Settings::to_remove(scope)? } else { Settings::to_add(scope)? };
    let nothing = plans.iter().all(|plan| plan.edited.is_nothing()) && settings.is_nothing();
    for plan in &plans {
        plan.edited.show(&plan.path);
    }
    settings.show();
    if nothing {
        output::note(if args.remove { "there is nothing to undo" } else { "everything is set up already" });
    } else if !args.dry_run {
        ask(args, json)?;
        apply(args, &engine, &plans, &settings)?;
    }
    if json {
        output::json(&answer(args, &plans, &settings))?;
    }
    Ok(())
}

/// What is in the file; neither it nor its folder need be there.
fn content(engine: &Filelatch, path: &Path) -> Result<Option<Vec<u8>>, CliError> {
    match engine.file(path).and_then(|file| file.try_read()) {
        Ok(found) => Ok(found.map(|found| found.bytes().to_vec())),
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn apply(args: &GitSetup, engine: &Filelatch, plans: &[Plan], settings: &Settings) -> Result<(), CliError> {
    if !args.remove {
        settings.apply()?;
    }
    for Plan { path, .. } in plans.iter().filter(|plan| !plan.edited.is_nothing()) {
        let file = engine.file_with_dirs(path)?;
        let mut delete = false;
        file.update_bytes(&WriteOptions::new(), |old| {
            let edited = edit(args, old);
            delete = edited.delete;
            Ok::<_, Error>(edited.content)
        })?;
        if delete {
            git::remove_empty(file.canonical_path())?;
        }
    }
    if args.remove {
        settings.apply()?;
    }
    Ok(())
}

fn edit(args: &GitSetup, old: Option<&[u8]>) -> Edited {
    if args.remove {
        return old.map(attributes::without).unwrap_or_default();
    }
    if args.patterns.is_empty() {
        attributes::with(old, attributes::PATTERNS)
    } else {
        attributes::with(old, &args.patterns)
    }
}

/// The files that hold attributes; to undo, all that may.
fn attribute_files(scope: Scope, args: &GitSetup) -> Result<Vec<PathBuf>, CliError> {
    if scope == Scope::Global {
        return Ok(vec![git::global_attributes()?]);
    }
    let info = git::info_attributes()?;
    let shared = git::top_level().map(|top| top.join(".gitattributes"));
    Ok(match shared {
        // A bare repository has no files of its own.
        None => vec![info],
        Some(_) if args.info => vec![info],
        Some(shared) if args.remove => vec![shared, info],
        Some(shared) => vec![shared],
    })
}

/// Without locks (see the module), and whatever a workspace says.
fn engine() -> Filelatch {
    let mut policy = Policy::default();
    policy.locks = false;
    Filelatch::builder().purpose("filelatch git-setup").without_workspaces().defaults(policy).build()
}

/// Somebody at a terminal is asked; a script has decided already.
fn ask(args: &GitSetup, json: bool) -> Result<(), CliError> {
    if args.yes || json || !io::stdin().is_terminal() {
        return Ok(());
    }
    output::note("go on? [y/N]");
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line);
    let yes = read.is_ok() && matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if yes { Ok(()) } else { Err(CliError::own("cancelled", "not confirmed").hint("nothing was changed")) }
}

fn answer(args: &GitSetup, plans: &[Plan], settings: &Settings) -> Value {
    let files: Vec<_> = plans.iter().filter(|plan| !plan.edited.is_nothing()).map(file_answer).collect();
    json!({
        "success": true,
        "dryRun": args.dry_run,
        "attributes": files,
        "config": settings.answer(),
    })
}

fn file_answer(plan: &Plan) -> Value {
    json!({
        "path": output::path(&plan.path),
        "added": plan.edited.added,
        "removed": plan.edited.removed,
        "deleted": plan.edited.delete,
    })
}
