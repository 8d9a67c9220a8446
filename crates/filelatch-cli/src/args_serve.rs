//! The definition of `serve`, as `args` has it of the others.
#![expect(clippy::doc_markdown, reason = "the comments are the help that users read on a terminal")]

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::args::duration;
use crate::args_log::size;

/// Serve a folder over HTTP: files with conditional writes, a page for browsers, live events
///
/// Prints `listening on http://HOST:PORT`, and on the next line a link that logs a browser in, once, within ten minutes. Programs send a token:
/// `Authorization: Bearer TOKEN` (see `token create`); tokens need a workspace. Without one (see `init`) files are served all the same, but
/// there is no history, and there are no stored conflicts and no tokens.
///
/// Nothing outside the folder is read or written, symbolic links included. Hidden, unless --allow names them: folders of version control and
/// what usually holds secrets (.env, *.pem, *.key, id_rsa…); always hidden: .filelatch, lock files and temporary files.
///
/// Requests must call the server by its address, `localhost`, or a name of --allow-host; pages of other sites are refused.
///
/// Ctrl-C and SIGTERM end it: nothing more is accepted, what was begun is finished, and the exit status is 0. A second one ends it at once.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The folder
    #[arg(default_value = ".", value_name = "ROOT")]
    pub(crate) root: PathBuf,
    /// Where to listen; port 0 picks one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:4180")]
    pub(crate) listen: String,
    /// Let everybody in who reaches the address; on loopback only
    #[arg(long)]
    pub(crate) no_auth: bool,
    /// Take requests for this name, too: that of a proxy in front, for example
    #[arg(long, value_name = "HOST")]
    pub(crate) allow_host: Vec<String>,
    /// Show what is hidden by default
    #[arg(long, value_name = "GLOB")]
    pub(crate) allow: Vec<String>,
    /// Hide this, too
    #[arg(long, value_name = "GLOB")]
    pub(crate) deny: Vec<String>,
    /// Speak HTTPS with this certificate chain (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// How the log on standard error is written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// What is logged
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: LogLevel,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Largest body of a request: 64MiB
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub(crate) max_body: Option<u64>,
    /// Bytes of all bodies that are there at the same time: 1GiB
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub(crate) max_bodies: Option<u64>,
    /// Requests that are answered at the same time [default: 1024]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_requests: Option<u32>,
    /// Of these, how many may wait for a lock [default: 128]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) max_waits: Option<u32>,
    /// Connections [default: 4096]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_connections: Option<u32>,
    /// Web sockets among them [default: 2048]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_sockets: Option<u32>,
    /// How long the head of a request may take [default: 15s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) head_time: Option<Duration>,
    /// How long the body of a request may take [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) body_time: Option<Duration>,
    /// How long a write waits for its lock unless the request says otherwise [default: 5s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) wait: Option<Duration>,
    /// The longest that a request may ask to wait [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) max_wait: Option<Duration>,
    /// How long the end waits for what was begun [default: 20s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) shutdown_time: Option<Duration>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One line of text for each request
    Text,
    /// One JSON object a line
    Json,
}

/// What is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    /// Nothing
    Off,
    /// What went wrong
    Warn,
    /// Each request, too
    Info,
    /// Connections, too
    Debug,
}
