//! How a server is to behave: values that the command line, or another program, fills in.

use std::path::PathBuf;
use std::time::Duration;

/// What a [`State`](crate::State) is made from.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The folder that is served. Nothing outside it is read or written, symbolic links included.
    pub root: PathBuf,
    /// The name of writers that give none.
    pub session: String,
    /// Names, besides the address that is listened on and `localhost`, by which requests may call this server (`Host`): `NAME` or
    /// `NAME:PORT`.
    pub allow_hosts: Vec<String>,
    /// Let everybody in who reaches the address. Only [`serve`](crate::serve) on a loopback address takes this.
    pub no_auth: bool,
    /// Files that are shown although they are hidden by default: globs relative to the root.
    pub allow: Vec<String>,
    /// Files that are hidden besides.
    pub deny: Vec<String>,
    /// The command that merges the files of sessions, as gitattributes(5) has it of `merge.*.driver`; `None`: git merges them.
    pub merge_driver: Option<String>,
    /// What one request, and all of them together, may take.
    pub limits: Limits,
}

impl ServerOptions {
    /// The defaults for a folder.
    pub fn new(root: impl Into<PathBuf>) -> ServerOptions {
        ServerOptions {
            root: root.into(),
            session: "web".to_owned(),
            allow_hosts: Vec::new(),
            no_auth: false,
            allow: Vec::new(),
            deny: Vec::new(),
            merge_driver: None,
            limits: Limits::default(),
        }
    }
}

/// What one request, and all of them together, may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request's body; more is refused with 413.
    pub body: u64,
    /// Bytes of all bodies that are there at the same time; more are refused with 503.
    pub bodies: u64,
    /// Bytes of a request's path and query together; more is refused with 414.
    pub path: usize,
    /// Bytes of a request's headers together; more is refused with 431.
    pub headers: usize,
    /// Requests that are answered at the same time; more are refused with 503.
    pub requests: usize,
    /// Calls that may wait for a lock at the same time; more are refused with 503.
    pub waits: usize,
    /// Connections, web sockets among them; further ones are not accepted until one ends.
    pub connections: usize,
    /// Web sockets.
    pub sockets: usize,
    /// How long the head of a request may take to arrive, and how long a connection may be idle.
    pub head_time: Duration,
    /// How long its body may take.
    pub body_time: Duration,
    /// How often the client of a web socket is asked whether it is there, and its credentials whether they are still good.
    pub ping: Duration,
    /// How long a request waits for a lock unless it says otherwise…
    pub wait: Duration,
    /// …and at most.
    pub max_wait: Duration,
    /// How long a shutdown waits for requests that are being answered.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body: 64 << 20,
            bodies: 1 << 30,
            path: 4096,
            headers: 16 << 10,
            requests: 1024,
            waits: 128,
            connections: 4096,
            sockets: 2048,
            head_time: Duration::from_secs(15),
            body_time: Duration::from_secs(60),
            ping: Duration::from_secs(20),
            wait: Duration::from_secs(5),
            max_wait: Duration::from_secs(60),
            shutdown: Duration::from_secs(20),
        }
    }
}
