//! `filelatch hooks install`, `uninstall`, `show`: what is written where, shown before it is done.
#![expect(
    clippy::disallowed_methods,
    reason = "removes folders that were made for the scripts and are empty; the library has none"
)]

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use filelatch::diff::{DiffOptions, diff};
use filelatch::{Expect, Filelatch, LockOptions, Policy, Version, WriteOptions};
use serde_json::json;

use super::place::Place;
use super::script::{Found, Maker, When, line_of, program_text};
use super::settings::{self, Left};
use crate::args::Global;
use crate::args_hooks::{Agent, Setup, Shown};
use crate::render::CliError;
use crate::{env, output};

/// What one file is going to be.
struct Change {
    path: PathBuf,
    old: Option<Vec<u8>>,
    /// `None`: gone.
    new: Option<Vec<u8>>,
}

/// All of it, in the order in which it is done.
struct Plan {
    changes: Vec<Change>,
    /// Folders to remove if they are empty then.
    folders: Vec<PathBuf>,
    agent: Agent,
}

impl Change {
    fn action(&self) -> &'static str {
        match (&self.old, &self.new) {
            (None, _) => "create",
            (Some(_), Some(_)) => "change",
            (Some(_), None) => "remove",
        }
    }
}

pub(super) fn install(global: &Global, args: &Setup) -> Result<(), CliError> {
    let plan = to_install(global, args.agent, &args.dir)?;
    carry_out(&plan, args, global.json, "everything is set up already")?;
    if args.agent == Agent::Codex && !plan.changes.is_empty() {
        output::note("Codex runs a new hook once you have trusted it: `/hooks` in Codex");
    }
    Ok(())
}

pub(super) fn uninstall(args: &Setup, as_json: bool) -> Result<(), CliError> {
    let plan = to_uninstall(args.agent, &args.dir)?;
    carry_out(&plan, args, as_json, "there is nothing to take out")
}

pub(super) fn show(global: &Global, args: &Shown) -> Result<(), CliError> {
    let plan = to_install(global, args.agent, &args.dir)?;
    if global.json {
        return answer(&plan);
    }
    if plan.changes.is_empty() {
        output::note("everything is set up already");
    }
    plan.changes.iter().try_for_each(|change| output::data(&shown(change)))
}

/// As a difference, which for a new file is all of it.
fn shown(change: &Change) -> Vec<u8> {
    let name = |side: &Option<Vec<u8>>, letter: &str| match side {
        Some(_) => format!("{letter}/{}", change.path.display().to_string().trim_start_matches('/')),
        None => "/dev/null".to_owned(),
    };
    let side = |side: &Option<Vec<u8>>| side.clone().unwrap_or_default();
    let (old, new) = (name(&change.old, "a"), name(&change.new, "b"));
    diff(&side(&change.old), &side(&change.new), &DiffOptions::default()).unified(&old, &new)
}

fn to_install(global: &Global, agent: Agent, dir: &Path) -> Result<Plan, CliError> {
    let engine = engine();
    let dir = folder(dir)?;
    let place = Place::of(agent, &dir)?;
    let program = env::program().map_err(|e| {
        CliError::own("io", format!("cannot find out where this program is: {e}")).hint("nothing was changed")
    })?;
    let program = program_text(&program)?;
    let session = global.session.as_deref().map(|name| line_of(Some(name), name)).transpose()?;
    let mut changes = Vec::new();
    // What an earlier installation has made stays noted.
    let before = content(&engine, &place.script(When::Pre))?.as_deref().and_then(Found::of);
    let mut made = before.map(|found| found.made).unwrap_or_default();
    let mut note = |what: String| {
        if !made.contains(&what) {
            made.push(what);
        }
    };
    let mut named = None;
    if let Some(path) = &place.settings {
        let old = content(&engine, path)?;
        let with = settings::with(old.as_deref(), &place.entries).map_err(|why| not_settings(path, &why))?;
        if let Some((new, made)) = with {
            made.into_iter().for_each(&mut note);
            named = Some(Change { path: path.clone(), old, new: Some(new) });
        }
    }
    for folder in place.folders.iter().filter(|folder| !folder.exists()) {
        note(format!("folder:{}", folder.strip_prefix(&dir).unwrap_or(folder).display()));
    }
    for when in [When::Pre, When::Post] {
        let path = place.script(when);
        let old = content(&engine, &path)?;
        let known = old.as_deref().map(Found::of);
        if let (Some(None), Some(old)) = (&known, &old)
            && !old.is_empty()
        {
            let message = format!("`{}` is there and was not written by filelatch", path.display());
            return Err(CliError::own("exists", message).hint("nothing was changed; move it out of the way"));
        }
        let made: &[String] = if when == When::Pre { &made } else { &[] };
        let maker = Maker { agent, program: &program, session: session.as_deref(), made };
        let new = maker.text(when).into_bytes();
        if old.as_ref() != Some(&new) {
            changes.push(Change { path, old, new: Some(new) });
        }
    }
    changes.extend(named);
    Ok(Plan { changes, folders: Vec::new(), agent })
}

fn to_uninstall(agent: Agent, dir: &Path) -> Result<Plan, CliError> {
    let engine = engine();
    let dir = folder(dir)?;
    let place = Place::of(agent, &dir)?;
    let mut changes = Vec::new();
    let made = content(&engine, &place.script(When::Pre))?.as_deref().and_then(Found::of).unwrap_or_default().made;
    if let Some(path) = &place.settings
        && let Some(old) = content(&engine, path)?
    {
        match settings::without(&old, &place.entries, &made).map_err(|why| not_settings(path, &why))? {
            Left::AsItWas => {}
            Left::Changed(new) => changes.push(Change { path: path.clone(), old: Some(old), new: Some(new) }),
            Left::Nothing => changes.push(Change { path: path.clone(), old: Some(old), new: None }),
        }
    }
    for when in [When::Post, When::Pre] {
        let path = place.script(when);
        let Some(old) = content(&engine, &path)? else { continue };
        if Found::of(&old).is_some_and(|found| found.is_untouched(&old, agent, when)) {
            changes.push(Change { path, old: Some(old), new: None });
        } else {
            output::warning(&format!("`{}` was changed by somebody: it is left there", path.display()));
        }
    }
    let was_made = |folder: &&PathBuf| {
        let name = folder.strip_prefix(&dir).unwrap_or(folder).display().to_string();
        made.contains(&format!("folder:{name}"))
    };
    let folders = place.folders.iter().filter(was_made).cloned().collect();
    Ok(Plan { changes, folders, agent })
}

fn carry_out(plan: &Plan, args: &Setup, as_json: bool, nothing: &str) -> Result<(), CliError> {
    if plan.changes.is_empty() {
        output::note(nothing);
    } else {
        let mut err = io::stderr().lock();
        plan.changes.iter().for_each(|change| drop(err.write_all(&shown(change))));
        drop(err);
        ask(args)?;
        apply(plan)?;
    }
    if as_json { answer(plan) } else { Ok(()) }
}

fn answer(plan: &Plan) -> Result<(), CliError> {
    let file = |change: &Change| json!({"path": output::path(&change.path), "action": change.action()});
    let files: Vec<_> = plan.changes.iter().map(file).collect();
    output::json(&json!({"success": true, "agent": plan.agent.word(), "files": files}))
}

/// Somebody at a terminal is asked; a program says so in advance.
fn ask(args: &Setup) -> Result<(), CliError> {
    if args.yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        let error = CliError::own("usage", "there is no terminal to confirm this on");
        return Err(error.hint("nothing was changed; `--yes` does what is shown above"));
    }
    output::note("go on? [y/N]");
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line);
    let yes = read.is_ok() && matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    if yes { Ok(()) } else { Err(CliError::own("cancelled", "not confirmed").hint("nothing was changed")) }
}

fn apply(plan: &Plan) -> Result<(), CliError> {
    let engine = engine();
    for change in &plan.changes {
        let file = engine.file_with_dirs(&change.path)?;
        let expect = change.old.as_ref().map_or(Expect::Absent, |old| Expect::Version(Version::of(old)));
        let options = WriteOptions::new().expect(expect);
        match &change.new {
            // Shown and confirmed was exactly this.
            Some(new) => drop(file.write(new, &options)?),
            None => {
                file.lock(&LockOptions::new())?.remove(&options)?;
            }
        }
    }
    for folder in &plan.folders {
        // One that is not empty stays.
        std::fs::remove_dir(folder).ok();
    }
    Ok(())
}

/// The folder, as an absolute path.
fn folder(dir: &Path) -> Result<PathBuf, CliError> {
    if !dir.is_dir() {
        let message = format!("`{}` is no folder", dir.display());
        return Err(CliError::own("not-found", message).hint("nothing was changed"));
    }
    Ok(engine().root(dir)?.path().to_owned())
}

/// What is in a file; neither it nor its folder need be there.
fn content(engine: &Filelatch, path: &Path) -> Result<Option<Vec<u8>>, CliError> {
    match engine.file(path).and_then(|file| file.try_read()) {
        Ok(found) => Ok(found.map(|found| found.bytes().to_vec())),
        Err(error) if super::is_missing(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn not_settings(path: &Path, why: &str) -> CliError {
    let message = format!("`{}` can't have hooks: {why}", path.display());
    CliError::own("document", message).hint("nothing was changed; correct the settings first")
}

/// Without locks, so that no lock file is left among the agent's files: the comparison at each publish does. Whatever a workspace says.
fn engine() -> Filelatch {
    let mut policy = Policy::default();
    policy.locks = false;
    Filelatch::builder().purpose("filelatch hooks").without_workspaces().defaults(policy).build()
}
