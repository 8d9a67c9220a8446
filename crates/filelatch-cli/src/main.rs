//! The `filelatch` command line: locks, atomic durable writes and lossless edits of files that many programs change.
//!
//! One file for each command under `commands/`; one definition (`args`) for the parser, the help, the manual and the
//! completions; one renderer (`render`) for errors. Standard output is data, standard error is talk.

mod args;
mod args_audit;
mod args_bookmark;
mod args_changes;
mod args_conflicts;
mod args_group;
mod args_hooks;
mod args_keep;
mod args_log;
mod args_mcp;
mod args_merge;
mod args_queue;
mod args_secrets;
mod args_serve;
mod args_session;
mod args_watch;
mod commands;
mod context;
mod env;
mod exit;
mod group;
mod held;
mod jq;
mod jq_assign;
mod leases;
mod output;
mod render;
mod secrets;
#[cfg(unix)]
mod signals;
mod table;
mod waiting;

use std::iter;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let mut arguments = env::arguments().peekable();
    if arguments.next_if(|first| first == args::TortureWorker::NAME).is_some() {
        let name = args::TortureWorker::NAME.into();
        return match args::TortureWorker::try_parse_from(iter::once(name).chain(arguments)) {
            Ok(args) => ExitCode::from(commands::worker(&args)),
            Err(told) => wrong(&told),
        };
    }
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => return wrong(&told),
    };
    let json = cli.global.json;
    let run = || match commands::run(cli) {
        Ok(status) => status,
        Err(error) => render::report(&error, json),
    };
    if !commands::speaks_git(env::arguments()) {
        return ExitCode::from(run());
    }
    // The status of a panic would be a number of conflicts to git.
    ExitCode::from(panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or(exit::GIT_ERROR))
}

/// Help and version come this way, too; a closed pipe is no error.
fn wrong(told: &clap::Error) -> ExitCode {
    told.print().ok();
    let usage = if commands::speaks_git(env::arguments()) { exit::GIT_USAGE } else { exit::USAGE };
    ExitCode::from(if told.use_stderr() { usage } else { exit::DONE })
}
