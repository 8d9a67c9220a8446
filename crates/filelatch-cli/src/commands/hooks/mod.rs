//! `filelatch hooks`: agents' own editing tools, made to respect leases and locks.
//!
//! # Promise
//! - While somebody else has leased or locked a file, the first script refuses an edit of it and says who, since when and what to do.
//! - The second script names the agent's session as the author of what its tool wrote, and of nothing else: the file must be what the tool
//!   says it made of it, and is compared again under the lock when the note is made.
//! - What can't be understood never blocks an edit, and is never silent: the agent's user is told that it was not checked, and what is held.
//!
//! # Non-promise
//! - The first script asks and does not hold: between its answer and the edit somebody may take a lease or write. Only edits through filelatch
//!   (its MCP server, its command line) are fenced.
//! - A patch that the agent does not report whole is taken for the agent's if its parts stand in the file: what another program that ignores
//!   locks wrote elsewhere in it at the same moment is then named as the agent's, too.
//!
//! # Order of operations
//! look, show, ask; then the scripts, then the settings that name them; the other way round when they are taken out. The settings are changed
//! as any document: what somebody else writes to them meanwhile stays.

mod ask;
mod note;
mod place;
mod script;
mod settings;
mod setup;
mod told;

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use filelatch::Version;

use self::told::{Edit, LONGEST, Told};
use crate::args::Global;
use crate::args_hooks::{Agent, Hooks, HooksAction};
use crate::context::Context;
use crate::render::CliError;
use crate::{env, exit};

pub(crate) fn hooks(global: &Global, args: &Hooks) -> Result<u8, CliError> {
    match &args.action {
        HooksAction::Install(args) => setup::install(global, args).map(|()| exit::DONE),
        HooksAction::Uninstall(args) => setup::uninstall(args, global.json).map(|()| exit::DONE),
        HooksAction::Show(args) => setup::show(global, args).map(|()| exit::DONE),
        HooksAction::PreEdit(args) => ask::ask(global, args),
        HooksAction::PostEdit(args) => note::note(global, args),
    }
}

/// Files that are edited, and by whom.
struct Call {
    context: Context,
    /// The session's name, where there is one that stays the same from call to call.
    session: Option<String>,
    edits: Vec<Edit>,
}

impl Call {
    /// From the arguments, else from standard input.
    fn of(global: &Global, agent: Agent, files: &[PathBuf], purpose: &str) -> Result<Call, CliError> {
        let named = |path: &PathBuf| Edit { path: path.clone(), claim: told::Claim::Nothing };
        let told = if files.is_empty() {
            Told::parse(&input()?).map_err(|why| not_checked(&why))?
        } else {
            Told { edits: files.iter().map(named).collect(), ..Told::default() }
        };
        let session = global.session.clone().or_else(env::session);
        let session = session.or_else(|| told.session.map(|id| session_of(agent, &id)));
        let global = Global { json: global.json, session: session.clone() };
        let cwd = told.cwd.unwrap_or_default();
        let edits = told.edits.into_iter().map(|edit| Edit { path: cwd.join(edit.path), ..edit }).collect();
        Ok(Call { context: Context::new(&global, purpose, false), session, edits })
    }
}

/// At most 12 bytes, so that it fits into a file's note as it is.
fn session_of(agent: Agent, id: &str) -> String {
    let digits = Version::of(id.as_bytes()).to_string();
    let word = match agent {
        Agent::Claude | Agent::Codex => agent.word(),
        Agent::Generic => "agent",
    };
    format!("{word}-{}", &digits[..11 - word.len()])
}

fn input() -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(LONGEST + 1).read_to_end(&mut bytes);
    read.map_err(|e| not_checked(&format!("it can't be read: {e}")))?;
    let fits = u64::try_from(bytes.len()).is_ok_and(|length| length <= LONGEST);
    if fits { Ok(bytes) } else { Err(not_checked("it is too long")) }
}

/// What the agent says is not understood.
fn not_checked(why: &str) -> CliError {
    let message = format!("what is edited could not be read from standard input: {why}");
    CliError::own("not-checked", message).hint("a newer version of the agent may describe its edits in another form")
}

/// Is there no such folder? Then there is nothing in it that somebody holds or has written.
fn is_missing(error: &filelatch::Error) -> bool {
    match error {
        filelatch::Error::NotFound { .. } => true,
        filelatch::Error::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

/// The folder that the agent works in, for who wants to know what is held there.
fn here() -> &'static Path {
    Path::new(".")
}
