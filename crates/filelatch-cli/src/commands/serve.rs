//! `filelatch serve`: a folder over HTTP.

use std::io::{self, IsTerminal as _, Read as _};
use std::path::Path;
use std::sync::Arc;

use filelatch::store::Scope;
use filelatch_fs::RealHost;
use filelatch_mcp::{Caller, Server as McpServer};
use filelatch_server::{Limits, ServerOptions, State, Tls};
use serde_json::json;
use tokio::net::TcpListener;

use super::git_setup::own_driver;
use crate::args::Global;
use crate::args_serve::{LimitArgs, LogFormat, LogLevel, Serve};
use crate::context::Context;
use crate::render::CliError;
use crate::{env, exit, output};

pub(crate) fn serve(global: &Global, args: &Serve) -> Result<u8, CliError> {
    let context = Context::new(global, "filelatch serve", false);
    let mut options = ServerOptions::new(&args.root);
    if let Some(session) = global.session.clone().or_else(env::session) {
        options.session = session;
    }
    options.no_auth = args.no_auth;
    options.allow_hosts.clone_from(&args.allow_host);
    options.allow.clone_from(&args.allow);
    options.deny.clone_from(&args.deny);
    options.merge_driver = own_driver();
    options.limits = limits(&args.limits);
    let limits = options.limits;
    let agents = agents_options(args, options.merge_driver.clone());
    let state = State::new(context.latch.clone(), Arc::new(RealHost), options)?;
    let agents = McpServer::new(context.latch.clone(), Arc::new(RealHost), &args.root, agents)?;
    mount(&state, &agents);
    let tls = args.tls_cert.as_deref().zip(args.tls_key.as_deref());
    let tls = tls.map(|(chain, key)| tls_of(&context, chain, key)).transpose()?;
    begin_log(args);
    let runtime = filelatch_server::runtime(&limits).map_err(|e| failed("cannot start threads", &e))?;
    let listener = runtime.block_on(TcpListener::bind(&args.listen)).map_err(|e| not_bound(&args.listen, &e))?;
    let address = listener.local_addr().map_err(|e| failed("cannot listen", &e))?;
    if args.no_auth && !address.ip().is_loopback() {
        let message = format!("`--no-auth` would let everybody in who reaches {address}");
        return Err(CliError::own("usage", message).hint("listen on a loopback address: `--listen 127.0.0.1:0`"));
    }
    state.listens_on(address, tls.is_some());
    // Before anything is said: whoever has read it may send a signal.
    end_on_signals(&state, &runtime)?;
    tell(&context, &state, args)?;
    let answered = runtime.block_on(async {
        match tls {
            Some(tls) => filelatch_server::serve_tls(state, listener, tls).await,
            None => filelatch_server::serve(state, listener).await,
        }
    });
    runtime.block_on(async { tokio::time::timeout(limits.shutdown, agents.end()).await.ok() });
    // What has not come to its end by now is not waited for.
    runtime.shutdown_background();
    answered.map_err(|e| failed("cannot serve", &e))?;
    Ok(exit::DONE)
}

fn agents_options(args: &Serve, merge_driver: Option<String>) -> filelatch_mcp::Options {
    let (allow, deny) = (args.allow.clone(), args.deny.clone());
    filelatch_mcp::Options { allow, deny, merge_driver, ..filelatch_mcp::Options::default() }
}

/// Agents' tools at `/mcp`, for whoever the server lets in; those that write, for the scope `write`.
fn mount(state: &State, agents: &McpServer) {
    let service = agents.http(state.ending());
    state.mount("/mcp", move |caller, mut request| {
        let service = service.clone();
        let may_write = caller.allows(Scope::Write);
        request.extensions_mut().insert(Caller { session: caller.own_session().map(str::to_owned), may_write });
        async move { service.answer(request).await }
    });
}

/// Where it listens, and how a browser logs in.
fn tell(context: &Context, state: &State, args: &Serve) -> Result<(), CliError> {
    let scheme = if state.is_secure() { "https" } else { "http" };
    let url = state.address().map_or_else(|| state.url(), |address| format!("{scheme}://{address}"));
    let link =
        if args.no_auth { None } else { Some(state.login_link().map_err(|e| failed("cannot make a login link", &e))?) };
    if context.json {
        output::json(&json!({"listening": url, "loginLink": link, "workspace": state.has_workspace()}))?;
    } else {
        output::line(&format!("listening on {url}"))?;
        if let Some(link) = &link {
            output::line(link)?;
        }
    }
    if !state.has_workspace() {
        output::warning(&format!(
            "`{}` is in no workspace: there is no history, and there are no stored conflicts and no tokens; `filelatch init` makes one",
            state.root().display()
        ));
    }
    Ok(())
}

fn limits(args: &LimitArgs) -> Limits {
    let defaults = Limits::default();
    let number =
        |given: Option<u32>, default: usize| given.map_or(default, |n| usize::try_from(n).unwrap_or(usize::MAX >> 4));
    Limits {
        body: args.max_body.unwrap_or(defaults.body),
        bodies: args.max_bodies.unwrap_or(defaults.bodies),
        requests: number(args.max_requests, defaults.requests),
        waits: number(args.max_waits, defaults.waits),
        connections: number(args.max_connections, defaults.connections),
        sockets: number(args.max_sockets, defaults.sockets),
        head_time: args.head_time.unwrap_or(defaults.head_time),
        body_time: args.body_time.unwrap_or(defaults.body_time),
        wait: args.wait.unwrap_or(defaults.wait),
        max_wait: args.max_wait.unwrap_or(defaults.max_wait),
        shutdown: args.shutdown_time.unwrap_or(defaults.shutdown),
        ..defaults
    }
}

fn tls_of(context: &Context, chain: &Path, key: &Path) -> Result<Tls, CliError> {
    let chain = context.latch.file(chain)?.read()?.bytes().to_vec();
    let mut secret = Vec::new();
    let read = env::open(key).and_then(|mut file| file.read_to_end(&mut secret));
    read.map_err(|e| failed(&format!("cannot read `{}`", key.display()), &e))?;
    Tls::from_pem(&chain, &secret).map_err(|problem| CliError::own("tls", problem))
}

/// Requests go to standard error; what is printed is data.
fn begin_log(args: &Serve) {
    let level = match args.log_level {
        LogLevel::Off => return,
        LogLevel::Warn => tracing_subscriber::filter::LevelFilter::WARN,
        LogLevel::Info => tracing_subscriber::filter::LevelFilter::INFO,
        LogLevel::Debug => tracing_subscriber::filter::LevelFilter::DEBUG,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_target(false).with_writer(io::stderr);
    match args.log_format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).with_current_span(true).with_span_list(false).init(),
    }
}

fn not_bound(listen: &str, error: &io::Error) -> CliError {
    let told = error.to_string();
    let message = format!("cannot listen on `{listen}`: {}", told.split(" (os error").next().unwrap_or(&told));
    match error.kind() {
        io::ErrorKind::InvalidInput => {
            CliError::own("usage", message).hint("an address and a port: `--listen 127.0.0.1:4180`")
        }
        io::ErrorKind::AddrInUse => CliError::own("address-in-use", message)
            .hint("another program listens there; `--listen 127.0.0.1:0` picks a free port"),
        _ => CliError::own("io", message),
    }
}

fn failed(what: &str, error: &io::Error) -> CliError {
    CliError::own("io", format!("{what}: {error}"))
}

/// A second wish ends it at once.
#[cfg(unix)]
fn end_on_signals(state: &State, _: &tokio::runtime::Runtime) -> Result<(), CliError> {
    let ending = state.ending().clone();
    crate::signals::on_wish_to_end(move || ending.cancel()).map_err(|e| failed("cannot handle signals", &e))
}

#[cfg(not(unix))]
fn end_on_signals(state: &State, runtime: &tokio::runtime::Runtime) -> Result<(), CliError> {
    let ending = state.ending().clone();
    runtime.spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            ending.cancel();
        }
    });
    Ok(())
}
