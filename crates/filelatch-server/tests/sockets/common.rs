//! A server that listens, its clients, and other processes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use filelatch::{Filelatch, LeaseOptions, LockOptions};
use filelatch_fs::RealHost;
use filelatch_server::{ServerOptions, State, app, serve};
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tower::ServiceExt as _;

/// Generous: only a hang ever takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server that listens on a port of this machine, in a workspace.
pub(crate) struct Server {
    pub(crate) state: State,
    pub(crate) address: SocketAddr,
    pub(crate) served: tokio::task::JoinHandle<std::io::Result<()>>,
    dir: Option<TempDir>,
    root: PathBuf,
}

impl Server {
    pub(crate) async fn new() -> Server {
        Server::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut ServerOptions)) -> Server {
        let dir = tempfile::tempdir().unwrap();
        Filelatch::new().init(dir.path()).unwrap();
        let root = dir.path().canonicalize().unwrap();
        Server::begin(Some(dir), root, change).await
    }

    async fn begin(dir: Option<TempDir>, root: PathBuf, change: impl FnOnce(&mut ServerOptions)) -> Server {
        let latch = Filelatch::builder().session("server").build();
        let mut options = ServerOptions::new(&root);
        options.no_auth = true;
        change(&mut options);
        let state = State::new(latch, Arc::new(RealHost), options).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        state.listens_on(address, false);
        let served = tokio::spawn(serve(state.clone(), listener));
        Server { state, address, served, dir, root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Ends the server; the folder stays as long as what is returned.
    pub(crate) async fn end(self) -> (Option<TempDir>, PathBuf) {
        self.state.ending().cancel();
        tokio::time::timeout(PATIENCE, self.served).await.unwrap().unwrap().unwrap();
        (self.dir, self.root)
    }

    pub(crate) async fn again((dir, root): (Option<TempDir>, PathBuf)) -> Server {
        Server::begin(dir, root, |_| {}).await
    }

    /// Sends JSON, as a session.
    pub(crate) async fn json(&self, session: &str, method: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        let request = request.header("content-type", "application/json").header("filelatch-session", session);
        let request = request.body(Body::from(body.to_string())).unwrap();
        let response = app(self.state.clone()).oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.json("web", "GET", path, &Value::Null).await.1
    }

    /// Opens a socket, after a cursor.
    pub(crate) async fn socket(&self, cursor: Option<&str>) -> Socket {
        self.try_socket(cursor, &[]).await.unwrap()
    }

    pub(crate) async fn try_socket(
        &self,
        cursor: Option<&str>,
        headers: &[(&'static str, &str)],
    ) -> Result<Socket, Error> {
        let query = cursor.map(|cursor| format!("?cursor={cursor}")).unwrap_or_default();
        let url = format!("ws://{}/api/events{query}", self.address);
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(Socket { socket })
    }
}

/// A client.
pub(crate) struct Socket {
    pub(crate) socket: WebSocketStream<TcpStream>,
}

impl Socket {
    /// The next message; `None`: the server has closed.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        let message = async {
            loop {
                match self.socket.next().await?.ok()? {
                    Message::Text(text) => return Some(serde_json::from_str(&text).unwrap()),
                    Message::Close(_) => return None,
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, message).await.expect("a message in time")
    }

    /// The next message of a type; those of other types are passed over.
    pub(crate) async fn of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await.unwrap_or_else(|| panic!("closed before {kind}"));
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// The next message about a file.
    pub(crate) async fn about(&mut self, kind: &str, path: &str) -> Value {
        loop {
            let message = self.of(kind).await;
            if message["path"] == path {
                return message;
            }
        }
    }

    pub(crate) async fn say(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    /// With what the server closes.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("an end in time");
            match frame {
                Some(Ok(Message::Close(Some(close)))) => return (close.code.into(), close.reason.to_string()),
                Some(Ok(_)) => {}
                Some(Err(e)) => return (0, e.to_string()),
                None => return (0, String::new()),
            }
        }
    }
}

const ROLE: &str = "FILELATCH_SOCKETS_ROLE";

/// Another process, which holds something until it is told to go on.
pub(crate) struct Other {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Other {
    /// `lock PATH`, `lease PATH MILLIS`.
    pub(crate) fn holds(role: &[&str]) -> Other {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "common::worker", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(ROLE, role.join("\u{1f}"));
        Other::start(command)
    }

    /// A shell that says `@held` when it holds what it is to hold, and goes on when it has read a line.
    #[cfg(target_os = "linux")]
    pub(crate) fn shell(script: &str) -> Other {
        let mut command = Command::new("bash");
        command.args(["-c", script]);
        Other::start(command)
    }

    fn start(mut command: Command) -> Other {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("@held") {
            line.clear();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "it holds");
        }
        Other { child, output }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets go, in good order.
    pub(crate) fn end(mut self) {
        writeln!(self.child.stdin.take().unwrap()).unwrap();
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.output, &mut rest).unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
#[ignore = "the other process of tests"]
fn worker() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let words: Vec<_> = role.split('\u{1f}').collect();
    let latch = Filelatch::builder().session("other").purpose("deploy.py").build();
    let file = latch.file(words[1]).unwrap();
    let held: Box<dyn std::any::Any> = match words[0] {
        "lock" => Box::new(file.lock(&LockOptions::new()).unwrap()),
        "lease" => {
            let hold = Duration::from_millis(words[2].parse().unwrap());
            Box::new(file.lease(&LeaseOptions::new().max_hold(hold).purpose("deploy.py")).unwrap())
        }
        other => panic!("{other}"),
    };
    println!("@held");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    drop(held);
}

/// The body of a write.
pub(crate) fn content(text: &str) -> Value {
    json!({ "content": text })
}
