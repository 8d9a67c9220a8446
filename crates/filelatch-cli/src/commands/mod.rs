//! One file for each command, named as the user types it.

mod audit;
mod bookmark;
mod changes;
mod completions;
mod conflicts;
mod credential;
mod diff;
mod doctor;
mod edit;
mod generated;
mod git_setup;
mod group;
mod hash;
mod history;
mod hooks;
mod init;
mod log;
mod man;
mod mcp;
mod merge;
mod patch;
mod queue;
mod queue_run;
mod read;
mod restore;
mod run;
mod run_leased;
mod serve;
mod session;
mod status;
mod stores;
mod token;
mod torture;
mod update;
mod watch;
mod write;

use filelatch::doc::{DocError, Format};
use filelatch::{Error, LatchFile, WriteOptions};

use crate::args::{Cli, Command, Writing};
use crate::context::{Context, with_waiting};
use crate::render::CliError;
use crate::{exit, output};

pub(crate) use merge::speaks_git;
pub(crate) use torture::worker;

/// Runs a command; answers the exit status.
pub(crate) fn run(cli: Cli) -> Result<u8, CliError> {
    let global = cli.global;
    let context = |purpose| Context::new(&global, purpose, false);
    let done = match cli.command {
        Command::Init(args) => init::init(&context("filelatch init"), &args),
        Command::Run(args) => return run::run(&global, &args),
        Command::Read(args) => return read::read(&context("filelatch read"), &args),
        Command::Hash(args) => return hash::hash(&context("filelatch hash"), &args),
        Command::Write(args) => write::write(&context("filelatch write"), &args),
        Command::Update(args) => update::update(&context("filelatch update"), &args),
        Command::Patch(args) => patch::patch(&context("filelatch patch"), &args),
        Command::History(args) => history::history(&context("filelatch history"), &args),
        Command::Diff(args) => diff::diff(&context("filelatch diff"), &args),
        Command::Restore(args) => restore::restore(&context("filelatch restore"), &args),
        Command::Merge(args) => return merge::merge(&context, &args, global.json),
        Command::MergeDriver(args) => return merge::merge_driver(&context("filelatch merge-driver"), &args),
        Command::GitSetup(args) => git_setup::git_setup(&args, global.json),
        Command::Edit(args) => edit::edit(&context("filelatch edit"), &args),
        Command::Conflicts(args) => conflicts::conflicts(&context("filelatch conflicts"), &args),
        Command::Session(args) => session::session(&context("filelatch session"), &args),
        Command::Group(args) => {
            let current = global.session.clone().or_else(crate::env::session);
            return group::group(&context("filelatch group"), &args, current);
        }
        Command::Bookmark(args) => return bookmark::bookmark(&context("filelatch bookmark"), &args),
        Command::Queue(args) => return queue::queue(&global, &args),
        Command::Changes(args) => {
            let sessions: Vec<_> = global.session.clone().into_iter().collect();
            changes::changes(&context("filelatch changes"), &args, &sessions)
        }
        Command::Generated(args) => generated::generated(&context("filelatch generated"), &args),
        Command::Log(args) => return log::log(&context("filelatch log"), &args),
        Command::Audit(args) => return audit::audit(&context("filelatch audit"), &args),
        Command::Token(args) => return token::token(&context("filelatch token"), &args),
        Command::Credential(args) => credential::credential(&context("filelatch credential"), &args),
        Command::Hooks(args) => return hooks::hooks(&global, &args),
        Command::Serve(args) => return serve::serve(&global, &args),
        Command::Mcp(args) => return mcp::mcp(&global, &args),
        Command::Status(args) => status::status(&context("filelatch status"), &args),
        Command::Watch(args) => return watch::watch(&context("filelatch watch"), &args),
        Command::Torture(args) => return torture::torture(&args, global.json),
        Command::Doctor(args) => return doctor::doctor(&context("filelatch doctor"), &args),
        Command::DoctorPeer(args) => return doctor::peer(&context("filelatch doctor"), &args),
        Command::Completions(args) => completions::completions(&args, global.json),
        Command::Man(args) => man::man(&args, global.json),
    };
    done.map(|()| exit::DONE)
}

/// The format of a document, by the option or the name.
fn format_of(file: &LatchFile, option: Option<Format>) -> Result<Format, CliError> {
    option.or_else(|| Format::from_path(file.canonical_path())).ok_or_else(|| {
        let message = format!("the name of `{}` does not tell its format", file.path().display());
        let error = CliError::own("unknown-format", message);
        error.hint("nothing was changed; `--format json|jsonc|yaml|toml|text` tells it")
    })
}

/// Reads, changes and writes a file under its lock, and tells the result. `change` gets `None` when the file does not exist.
fn change(
    context: &Context,
    file: &LatchFile,
    record: Option<&str>,
    writing: &Writing,
    mut change: impl FnMut(Option<&[u8]>) -> Result<Vec<u8>, CliError>,
) -> Result<(), CliError> {
    context.check_held(file, record, true)?;
    let written = with_waiting(writing.waiting.wait(), |lock| {
        let mut options = WriteOptions::new().lock(lock);
        options.durability = writing.durability;
        match record {
            None => file.update_bytes(&options, |old| change(old).map(Some)),
            Some(record) => {
                let guard = file.lock_record(record, &options.lock)?;
                guard.update_bytes(&options, |old| change(old).map(Some))
            }
        }
    })?;
    output::written(file, &written, context.json)
}

/// An error of the document itself.
fn document_error(file: &LatchFile, source: DocError) -> CliError {
    Error::Document { path: file.path().to_owned(), source }.into()
}
