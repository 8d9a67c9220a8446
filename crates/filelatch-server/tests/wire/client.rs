//! A server that listens, and a client that says exactly what a test says.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use filelatch::{Filelatch, Guard, LockOptions};
use filelatch_fs::RealHost;
use filelatch_server::{ServerOptions, State, serve};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A server on a port of its own.
pub(crate) struct Listening {
    pub(crate) state: State,
    pub(crate) address: SocketAddr,
    pub(crate) ended: JoinHandle<std::io::Result<()>>,
    dir: TempDir,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Listening {
    pub(crate) async fn with(change: impl FnOnce(&mut ServerOptions)) -> Listening {
        let dir = tempfile::tempdir().unwrap();
        let latch = Filelatch::builder().session("server").build();
        latch.init(dir.path()).unwrap();
        let mut options = ServerOptions::new(dir.path());
        options.no_auth = true;
        change(&mut options);
        let state = State::new(latch, Arc::new(RealHost), options).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ended = tokio::spawn(serve(state.clone(), listener));
        Listening { state, address, ended, dir }
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Another process, as far as locks are concerned.
    pub(crate) fn locked(&self, name: &str) -> Guard {
        let latch = Filelatch::builder().session("other").build();
        latch.file(self.root().join(name)).unwrap().lock(&LockOptions::new()).unwrap()
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends this on a connection of its own, and reads until the server closes it.
    pub(crate) async fn say(&self, text: &str) -> Answer {
        let mut stream = self.connect().await;
        // A server that refuses early may close before it has read all.
        stream.write_all(text.as_bytes()).await.ok();
        Answer::of(&mut stream).await
    }

    /// Sends a request with this body.
    pub(crate) async fn send(&self, line: &str, headers: &str, body: &str) -> Answer {
        self.say(&request(line, headers, body)).await
    }
}

/// A request that closes its connection.
pub(crate) fn request(line: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

impl Answer {
    /// Reads until the other side closes.
    pub(crate) async fn of(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Answer {
        let mut bytes = Vec::new();
        // A connection that is reset has said what it had to say before.
        stream.read_to_end(&mut bytes).await.ok();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}
