//! One client's web socket.
//!
//! # Promise
//! - After `hello` comes who looks at what, then every message after the cursor, or `reset`.
//! - A client that sends too much or too long is closed (1008, 1009), one that does not answer [`SILENT`] pings is dropped, and one whose
//!   token was revoked meanwhile is closed at the next ([`Limits::ping`](crate::Limits::ping)).
//! - When the server ends it says `bye` and closes (1001).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message as Frame, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRequestParts, Request};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::SinkExt as _;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::message::Aside;
use super::presence::Client;
use super::ring::{Kind, Read};
use crate::access::{Pass, Reader};
use crate::extract::{FilePath, Query, session_name};
use crate::problem::{Problem, Result};
use crate::state::State;

/// A client that has said nothing for so many pings is not there.
const SILENT: u32 = 3;
/// Longest message of a client, in bytes.
const LONGEST: usize = 8 << 10;
/// So many messages a client may send from one ping to the next.
const MANY: u32 = 200;
/// Messages that are sent in one go.
const BATCH: usize = 64;
/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

pub(crate) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(events))
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Ask {
    cursor: Option<String>,
}

/// Events as a web socket: one JSON object in each message.
#[utoipa::path(
    get, path = "/api/events", tag = "events",
    params(("cursor" = Option<String>, Query, description = "Of the last message that was read: what came after it is sent first")),
    responses(
        (status = 101, description = "A web socket"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 426, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
async fn events(
    state: State,
    caller: Reader,
    pass: Pass,
    Query(ask): Query<Ask>,
    request: Request,
) -> Result<Response> {
    let mut parts = request.into_parts().0;
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &state).await.map_err(|_| {
        Problem::new(StatusCode::UPGRADE_REQUIRED, "no-web-socket", "events come by a web socket only")
            .header(axum::http::header::UPGRADE, axum::http::HeaderValue::from_static("websocket"))
    })?;
    let permit = state.events().enter()?;
    state.events().start(&state).await?;
    let session = caller.session().to_owned();
    let token = state.tasks().token();
    let upgrade = upgrade.read_buffer_size(1 << 10).write_buffer_size(8 << 10).max_write_buffer_size(1 << 20);
    let upgrade = upgrade.max_message_size(LONGEST).max_frame_size(LONGEST);
    Ok(upgrade.on_upgrade(move |socket| async move {
        Conversation::new(state, session, pass, permit).run(socket, ask.cursor).await;
        drop(token);
    }))
}

/// What a client says.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Said {
    Viewing { path: Option<String> },
    Subscribe { audit: bool },
    Session { name: String },
}

/// Why a conversation ends.
enum End {
    /// The connection is gone.
    Gone,
    /// It is closed with this code and reason.
    Close(u16, &'static str),
}

struct Conversation {
    state: State,
    id: String,
    client: Client,
    pass: Pass,
    audit: bool,
    /// Number of the last message that was sent.
    at: u64,
    /// Who looks at what was told as of this message.
    present: u64,
    _permit: OwnedSemaphorePermit,
}

impl Conversation {
    fn new(state: State, session: String, pass: Pass, permit: OwnedSemaphorePermit) -> Conversation {
        let id = format!("{:016x}", state.host().random());
        let client = Client { session, path: None };
        Conversation { state, id, client, pass, audit: false, at: 0, present: 0, _permit: permit }
    }

    async fn run(mut self, mut socket: WebSocket, cursor: Option<String>) {
        let state = self.state.clone();
        let counted = state.metrics().sockets.one();
        let ended = self.converse(&mut socket, cursor.as_deref()).await;
        let events = self.state.events();
        events.remove_client(&self.state, &self.id);
        self.set_audit(false);
        if let End::Close(code, reason) = ended {
            let goodbye = async {
                if code == close_code::AWAY {
                    let bye = Aside::Bye { reason }.text();
                    socket.send(Frame::Text(bye.into())).await.ok();
                }
                socket.send(Frame::Close(Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) }))).await.ok();
                // Until the client has closed, too: it is to read what it was told.
                while let Some(Ok(_)) = socket.recv().await {}
            };
            timeout(GOODBYE, goodbye).await.ok();
        }
        drop(counted);
    }

    async fn converse(&mut self, socket: &mut WebSocket, cursor: Option<&str>) -> End {
        let events = Arc::clone(self.state.events());
        let ending = self.state.ending().clone();
        // Before the place is taken: what is added meanwhile is seen.
        let mut added = events.added();
        let asked = cursor;
        let (position, cursor) = events.position(asked);
        // Who goes between `hello` and `reset` is to be told `reset` again: then the cursor is the one that is not known.
        let hello = if position.reset { asked.unwrap_or_default().to_owned() } else { cursor.clone() };
        self.at = position.at;
        events.set_client(&self.state, &self.id, self.client.clone());
        let mut first = vec![Aside::Hello { cursor: hello, client: &self.id, session: &self.client.session }.text()];
        if position.reset {
            first.push(Aside::Reset { cursor }.text());
        }
        first.extend(self.presence());
        added.mark_changed();
        let first = first.into_iter().map(Utf8Bytes::from).collect();
        if !self.send(socket, first).await {
            return self.end();
        }
        // An interval of nothing is none.
        let each = self.state.limits().ping.max(Duration::from_millis(1));
        let mut ping = interval_at(Instant::now() + each, each);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut heard, mut said) = (Instant::now(), 0);
        loop {
            tokio::select! {
                () = ending.cancelled() => return self.end(),
                frame = socket.recv() => {
                    heard = Instant::now();
                    said += 1;
                    if said > MANY {
                        return End::Close(close_code::POLICY, "too many messages");
                    }
                    let answer = match frame {
                        Some(Ok(Frame::Text(text))) => self.hear(&text),
                        Some(Ok(Frame::Binary(_))) => Some("a message is text".to_owned()),
                        Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => None,
                        Some(Ok(Frame::Close(_))) | None => return End::Gone,
                        Some(Err(e)) => return fault(e),
                    };
                    if let Some(detail) = answer {
                        let error = Aside::Error { detail: &detail }.text();
                        if !self.send(socket, vec![error.into()]).await {
                            return self.end();
                        }
                    }
                }
                changed = added.changed() => {
                    if changed.is_err() || !self.tell(socket).await {
                        return self.end();
                    }
                }
                _ = ping.tick() => {
                    said = 0;
                    if heard.elapsed() > each * SILENT {
                        return End::Gone;
                    }
                    if !self.pass.holds(&self.state).await {
                        return End::Close(close_code::POLICY, "the token or login is not valid any more");
                    }
                    if socket.send(Frame::Ping(bytes::Bytes::new())).await.is_err() {
                        return End::Gone;
                    }
                }
            }
        }
    }

    fn end(&self) -> End {
        if self.state.ending().is_cancelled() { End::Close(close_code::AWAY, "the server ends") } else { End::Gone }
    }

    /// False: the client is gone, or the server ends.
    async fn send(&self, socket: &mut WebSocket, texts: Vec<Utf8Bytes>) -> bool {
        let sent = async {
            for text in texts {
                socket.feed(Frame::Text(text)).await?;
            }
            socket.flush().await
        };
        tokio::select! {
            biased;
            sent = sent => sent.is_ok(),
            () = self.state.ending().cancelled() => false,
        }
    }

    /// Sends what has been added.
    async fn tell(&mut self, socket: &mut WebSocket) -> bool {
        let events = Arc::clone(self.state.events());
        loop {
            let before = self.at;
            let texts: Vec<_> = match events.read(&mut self.at, BATCH) {
                Read::Items(items) if items.is_empty() => return true,
                Read::Items(items) => {
                    let numbered = items.into_iter().zip(before + 1..);
                    let for_us = numbered.filter(|(item, number)| match item.kind {
                        Kind::Told => true,
                        Kind::Presence => *number > self.present,
                        Kind::Audit => self.audit,
                    });
                    for_us.map(|(item, _)| item.text).collect()
                }
                Read::Missed => {
                    let reset = Aside::Reset { cursor: events.cursor(self.at) }.text();
                    std::iter::once(reset).chain(self.presence()).map(Utf8Bytes::from).collect()
                }
            };
            if !self.send(socket, texts).await {
                return false;
            }
        }
    }

    /// Who looks at what.
    fn presence(&mut self) -> Vec<String> {
        let (all, number) = self.state.events().presence();
        self.present = number;
        all
    }

    /// What a client has said; what is to be answered.
    fn hear(&mut self, text: &str) -> Option<String> {
        match serde_json::from_str(text) {
            Ok(Said::Viewing { path }) => {
                let path = match path.as_deref().map(FilePath::parse).transpose() {
                    Ok(path) => path,
                    Err(problem) => return Some(problem.detail.clone()),
                };
                if let Some(Err(problem)) = path.as_ref().map(|path| self.state.check_shown(path)) {
                    return Some(problem.detail.clone());
                }
                self.client.path = path.map(|path| path.as_str().to_owned());
            }
            Ok(Said::Subscribe { audit }) => {
                self.set_audit(audit);
                return None;
            }
            Ok(Said::Session { name }) => match session_name(&name) {
                Ok(name) => name.clone_into(&mut self.client.session),
                Err(problem) => return Some(problem.detail.clone()),
            },
            Err(e) => return Some(format!("the message is not understood: {e}")),
        }
        self.state.events().set_client(&self.state, &self.id, self.client.clone());
        None
    }

    fn set_audit(&mut self, wanted: bool) {
        if std::mem::replace(&mut self.audit, wanted) != wanted {
            let change = |count: &mut usize| *count = if wanted { *count + 1 } else { count.saturating_sub(1) };
            self.state.events().auditors().send_modify(change);
        }
    }
}

/// What a client has sent can't be read.
fn fault(error: axum::Error) -> End {
    let text = error.into_inner().to_string().to_lowercase();
    if text.contains("too long") || text.contains("space limit") {
        End::Close(close_code::SIZE, "the message is too long")
    } else {
        End::Gone
    }
}
