//! The `filelatch` command line: locks, atomic durable writes and lossless edits of files that many programs change.
//!
//! One file for each command under `commands/`; one definition (`args`) for the parser, the help, the manual and the
//! completions; one renderer (`render`) for errors. Standard output is data, standard error is talk.

mod args;
mod commands;
mod context;
mod env;
mod exit;
mod held;
mod jq;
mod jq_assign;
mod leases;
mod output;
mod render;
#[cfg(unix)]
mod signals;
mod waiting;

use std::iter;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
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
    match commands::run(cli) {
        Ok(status) => ExitCode::from(status),
        Err(error) => ExitCode::from(render::report(&error, json)),
    }
}

/// Help and version come this way, too; a closed pipe is no error.
fn wrong(told: &clap::Error) -> ExitCode {
    told.print().ok();
    ExitCode::from(if told.use_stderr() { exit::USAGE } else { exit::DONE })
}
