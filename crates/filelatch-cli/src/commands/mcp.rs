//! `filelatch mcp`: a folder to an agent, over standard input and output.

use std::io;
use std::sync::Arc;

use filelatch_fs::RealHost;
use filelatch_mcp::{CancellationToken, Options, Server, serve_stdio};

use super::git_setup::own_driver;
use crate::args::Global;
use crate::args_mcp::Mcp;
use crate::args_serve::LogLevel;
use crate::context::Context;
use crate::render::CliError;
use crate::{env, exit};

pub(crate) fn mcp(global: &Global, args: &Mcp) -> Result<u8, CliError> {
    let context = Context::new(global, "filelatch mcp", false);
    let options = Options {
        session: global.session.clone().or_else(env::session),
        allow: args.allow.clone(),
        deny: args.deny.clone(),
        read_only: args.read_only,
        merge_driver: own_driver(),
        ..Options::default()
    };
    let server = Server::new(context.latch.clone(), Arc::new(RealHost), &args.root, options)?;
    if let Some(level) = level(args.log_level) {
        tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(io::stderr).init();
    }
    let ending = CancellationToken::new();
    end_on_signals(&ending).map_err(|e| failed("cannot handle signals", &e))?;
    serve_stdio(&server, &ending).map_err(|e| failed("cannot serve", &e))?;
    Ok(exit::DONE)
}

fn level(level: LogLevel) -> Option<tracing_subscriber::filter::LevelFilter> {
    use tracing_subscriber::filter::LevelFilter;
    match level {
        LogLevel::Off => None,
        LogLevel::Warn => Some(LevelFilter::WARN),
        LogLevel::Info => Some(LevelFilter::INFO),
        LogLevel::Debug => Some(LevelFilter::DEBUG),
    }
}

/// A second wish ends it at once.
#[cfg(unix)]
fn end_on_signals(ending: &CancellationToken) -> io::Result<()> {
    let ending = ending.clone();
    crate::signals::on_wish_to_end(move || ending.cancel())
}

/// Ctrl-C ends it at once; what was published stays.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "it can fail on Unix")]
fn end_on_signals(_: &CancellationToken) -> io::Result<()> {
    Ok(())
}

fn failed(what: &str, error: &io::Error) -> CliError {
    CliError::own("io", format!("{what}: {error}"))
}
