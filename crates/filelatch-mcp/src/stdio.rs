//! JSON-RPC on a pair of pipes: one message on each line.
//!
//! # Promise
//! - Standard output carries messages and nothing else.
//! - A line that is no message is answered with a JSON-RPC error, as are lines beyond the limit (which are skipped, not stored), requests under
//!   an id that is in use, and requests beyond what may be under way. None of them ends the connection.
//! - The end of standard input, or [`CancellationToken`], ends the server: answers of calls under way are sent for some seconds more, waits are
//!   called off, and calls of the library that have begun come to their end.
//!
//! # Non-promise
//! What is said before `initialize` is answered as far as the protocol has it; notifications from before are dropped.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, ErrorCode, ErrorData, GetMeta as _, NumberOrString,
    ProtocolVersion, RequestId, ServerJsonRpcMessage,
};
use rmcp::service::{RoleServer, ServerInitializeError, serve_server_with_ct};
use rmcp::transport::{Transport, stdio_pipes};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::state::Server;
use crate::work::Pool;

/// Requests under way.
const REQUESTS: usize = 1024;
/// Bytes of all of them.
const BYTES: usize = 128 << 20;
/// Answers to lines that were not handed on, sent at the same time.
const REFUSALS: u32 = 16;
/// Read at once.
const CHUNK: usize = 64 << 10;

/// Answers the client at standard input and output until it closes standard input, or `ending` is cancelled.
///
/// Runs a runtime of its own: not for calling from within one.
pub fn serve_stdio(server: &Server, ending: &CancellationToken) -> io::Result<()> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(Pool::threads(server.limits())).build()?;
    let served = runtime.block_on(async {
        let (reader, writer) = stdio_pipes();
        serve(server, reader, writer, ending.clone()).await
    });
    // Reading standard input may hang in the system.
    runtime.shutdown_background();
    served
}

/// Answers the client at the other ends of two pipes.
async fn serve<R, W>(server: &Server, reader: R, writer: W, ending: CancellationToken) -> io::Result<()>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let pipes = Pipes::new(reader, writer, server.limits().message, server.leaving().clone());
    let ended = match serve_server_with_ct(server.connection(), pipes, ending).await {
        Ok(running) => running.waiting().await.map(drop).map_err(io::Error::other),
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => Ok(()),
        Err(e) => Err(io::Error::other(e)),
    };
    server.end().await;
    ended
}

/// The messages of one client.
struct Pipes<R, W> {
    reader: R,
    /// What was read and is no whole line yet.
    buffer: Vec<u8>,
    /// So much of it has no line ending.
    searched: usize,
    /// The line under way is too long.
    skipping: bool,
    limit: usize,
    writer: Arc<tokio::sync::Mutex<W>>,
    under_way: Arc<Mutex<UnderWay>>,
    /// A lifecycle was begun.
    open: bool,
    /// What the sender of a line is to be told before the next is read.
    refusal: Option<(ErrorData, Option<RequestId>)>,
    /// So many such answers may wait for the client to read.
    refusing: Arc<Semaphore>,
    /// Cancelled when there is nothing more to read.
    leaving: CancellationToken,
}

/// Requests that were handed on and not answered, with their lengths.
#[derive(Debug, Default)]
struct UnderWay {
    requests: HashMap<RequestId, usize>,
    bytes: usize,
}

impl UnderWay {
    fn add(&mut self, id: &RequestId, bytes: usize) -> Result<(), ErrorData> {
        if self.requests.contains_key(id) {
            return Err(ErrorData::invalid_request(format!("a request with the id {id} is under way"), None));
        }
        if self.requests.len() >= REQUESTS || (self.bytes + bytes > BYTES && !self.requests.is_empty()) {
            let message = format!("{} requests are under way; nothing was done, try again later", self.requests.len());
            return Err(ErrorData::new(ErrorCode(-32000), message, None));
        }
        self.requests.insert(id.clone(), bytes);
        self.bytes += bytes;
        Ok(())
    }

    fn remove(&mut self, id: &RequestId) {
        self.bytes -= self.requests.remove(id).unwrap_or(0);
    }
}

/// One line.
enum Line {
    Whole(Vec<u8>),
    TooLong,
    End,
}

impl<R: AsyncRead + Send + Unpin, W: AsyncWrite + Send + Unpin + 'static> Pipes<R, W> {
    fn new(reader: R, writer: W, limit: usize, leaving: CancellationToken) -> Pipes<R, W> {
        Pipes {
            leaving,
            reader,
            buffer: Vec::new(),
            searched: 0,
            skipping: false,
            limit,
            writer: Arc::new(tokio::sync::Mutex::new(writer)),
            under_way: Arc::default(),
            open: false,
            refusal: None,
            refusing: Arc::new(Semaphore::new(REFUSALS as usize)),
        }
    }

    /// Answers a line that is not handed on. May be dropped while it waits: the answer stays to be sent.
    async fn refuse(&mut self) {
        if self.refusal.is_none() {
            return;
        }
        let Ok(permit) = Arc::clone(&self.refusing).acquire_owned().await else { return };
        if let Some((error, id)) = self.refusal.take() {
            let sent = send(Arc::clone(&self.writer), ServerJsonRpcMessage::error(error, id));
            tokio::spawn(async move {
                sent.await.ok();
                drop(permit);
            });
        }
    }

    /// The next line. May be dropped while it waits: what was read stays.
    async fn line(&mut self) -> io::Result<Line> {
        loop {
            if let Some(at) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(self.searched + at + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                self.searched = 0;
                line.pop();
                if std::mem::take(&mut self.skipping) {
                    continue;
                }
                return Ok(if line.len() > self.limit { Line::TooLong } else { Line::Whole(line) });
            }
            self.searched = self.buffer.len();
            if self.searched > self.limit || self.skipping {
                self.buffer.clear();
                self.searched = 0;
                if !std::mem::replace(&mut self.skipping, true) {
                    return Ok(Line::TooLong);
                }
            }
            self.buffer.reserve(CHUNK);
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Ok(Line::End);
            }
        }
    }

    /// A message that is handed on, or what its sender is told.
    fn taken(&mut self, line: &[u8]) -> Result<Option<ClientJsonRpcMessage>, (ErrorData, Option<RequestId>)> {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
        if line.is_empty() {
            return Ok(None);
        }
        let length = line.len();
        // By way of a value: numbers of any precision do not come through untagged types otherwise.
        let value: Value = serde_json::from_slice(line)
            .map_err(|e| (ErrorData::parse_error(format!("the line is not JSON: {e}"), None), None))?;
        let id = match value.get("id") {
            Some(Value::Number(id)) => id.as_i64().map(NumberOrString::Number),
            Some(Value::String(id)) => Some(NumberOrString::String(id.as_str().into())),
            _ => None,
        };
        let is_call = value.get("method").is_some();
        let message: ClientJsonRpcMessage = serde_json::from_value(value).map_err(|_| {
            let what = if is_call { "the request is malformed" } else { "the line is no JSON-RPC 2.0 message" };
            (ErrorData::invalid_request(what, None), id)
        })?;
        match &message {
            ClientJsonRpcMessage::Request(request) => {
                let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
                under_way.add(&request.id, length).map_err(|e| (e, Some(request.id.clone())))?;
                drop(under_way);
                self.open |= opens(&request.request);
            }
            ClientJsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    // It will not be answered.
                    self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
                }
            }
            ClientJsonRpcMessage::Response(_) | ClientJsonRpcMessage::Error(_) => {}
        }
        let handed_on = self.open || matches!(message, ClientJsonRpcMessage::Request(_));
        Ok(handed_on.then_some(message))
    }
}

/// Does this request begin a lifecycle?
fn opens(request: &ClientRequest) -> bool {
    match request {
        ClientRequest::InitializeRequest(_) => true,
        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
        other => {
            let meta = other.get_meta();
            let known =
                meta.protocol_version().is_some_and(|version| ProtocolVersion::KNOWN_VERSIONS.contains(&version));
            known && meta.missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty()
        }
    }
}

async fn send<W: AsyncWrite + Unpin>(
    writer: Arc<tokio::sync::Mutex<W>>,
    message: ServerJsonRpcMessage,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(&message).map_err(io::Error::other)?;
    line.push(b'\n');
    drop(message);
    let mut writer = writer.lock().await;
    writer.write_all(&line).await?;
    writer.flush().await
}

impl<R, W> Transport<RoleServer> for Pipes<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(&mut self, message: ServerJsonRpcMessage) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let (writer, under_way) = (Arc::clone(&self.writer), Arc::clone(&self.under_way));
        async move {
            let id = match &message {
                ServerJsonRpcMessage::Response(response) => Some(response.id.clone()),
                ServerJsonRpcMessage::Error(error) => error.id.clone(),
                _ => None,
            };
            let sent = send(writer, message).await;
            if let Some(id) = id {
                under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            }
            sent
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            self.refuse().await;
            let refused = match self.line().await {
                Ok(Line::Whole(line)) => match self.taken(&line) {
                    Ok(Some(message)) => return Some(message),
                    Ok(None) => continue,
                    Err(refused) => refused,
                },
                Ok(Line::TooLong) => {
                    let message = format!("a message has at most {} bytes; nothing of it was done", self.limit);
                    (ErrorData::invalid_request(message, None), None)
                }
                Ok(Line::End) | Err(_) => {
                    self.leaving.cancel();
                    return None;
                }
            };
            self.refusal = Some(refused);
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.refuse().await;
        // All of them: none is being sent any more.
        let sent = self.refusing.acquire_many(REFUSALS).await;
        let closed = self.writer.lock().await.shutdown().await;
        drop(sent);
        closed
    }
}
