//! A listener, answered until the server ends.
//!
//! # Promise
//! - Connections are bounded in number; the head of a request, a handshake and what a client does not read are bounded in time. So whoever
//!   only holds connections open keeps others waiting for a while at most, and never a lock.
//! - When [`State::ending`] is cancelled, nothing more is accepted, what was begun is answered, and everything on [`State::tasks`] comes to its
//!   end (axum's own shutdown does not wait for web sockets); at most for [`Limits::shutdown`](crate::Limits::shutdown).
//!
//! # Non-promise
//! What does not keep to HTTP's own grammar (a head that can't be parsed) is answered with a bare 400 or 431, without a body.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use crate::app::app;
use crate::options::Limits;
use crate::stall::Stalling;
use crate::state::State;
use crate::work::Pool;

/// How long accepting rests when the system has no more descriptors.
const REST: Duration = Duration::from_millis(100);

/// A runtime with as many threads for blocking calls as the limits allow.
pub fn runtime(limits: &Limits) -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(Pool::threads(limits)).build()
}

/// Answers what arrives at a listener until [`State::ending`] is cancelled; then until what was begun is done.
///
/// Fails at once when everybody would be let in from elsewhere: [`ServerOptions::no_auth`](crate::ServerOptions::no_auth) on an address that
/// is not a loopback address.
pub async fn serve(state: State, listener: TcpListener) -> io::Result<()> {
    answer(state, listener, &Door::Plain).await
}

/// As [`serve`], over TLS.
#[cfg(feature = "tls")]
pub async fn serve_tls(state: State, listener: TcpListener, tls: crate::tls::Tls) -> io::Result<()> {
    answer(state, listener, &Door::Tls(tls)).await
}

/// What a connection goes through first.
#[derive(Clone)]
enum Door {
    Plain,
    #[cfg(feature = "tls")]
    Tls(crate::tls::Tls),
}

impl Door {
    fn is_secure(&self) -> bool {
        !matches!(self, Door::Plain)
    }
}

async fn answer(state: State, listener: TcpListener, door: &Door) -> io::Result<()> {
    let address = listener.local_addr()?;
    if state.options().no_auth && !address.ip().is_loopback() {
        let problem = "without authentication only a loopback address may be listened on";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    state.listens_on(address, door.is_secure());
    let router = app(state.clone());
    match state.resume_writes().await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "going on with queued writes"),
        Err(problem) => tracing::warn!(problem = problem.detail, "queued writes can't be looked at"),
    }
    let room = Arc::new(Semaphore::new(state.limits().connections));
    let connections = TaskTracker::new();
    let ending = state.ending().clone();
    while let Some((stream, peer, permit)) = tokio::select! {
        () = ending.cancelled() => None,
        next = next(&listener, &room) => Some(next),
    } {
        let (state, router, door) = (state.clone(), router.clone(), door.clone());
        connections.spawn(connection(state, router, door, stream, peer, permit));
    }
    drop(listener);
    connections.close();
    state.tasks().close();
    let done = async {
        connections.wait().await;
        state.tasks().wait().await;
    };
    if tokio::time::timeout(state.limits().shutdown, done).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            calls = state.tasks().len(),
            "not all came to their end in time"
        );
    }
    Ok(())
}

/// The next connection, once there is room for it.
async fn next(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    let permit = Arc::clone(room).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, permit),
            Err(e) => {
                // Most are the connection's; of those that are not (no more descriptors) the next try would tell the same.
                tracing::warn!(error = %e, "a connection could not be accepted");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

async fn connection(
    state: State,
    router: Router,
    door: Door,
    stream: TcpStream,
    peer: SocketAddr,
    permit: Option<OwnedSemaphorePermit>,
) {
    let _counted = state.metrics().connections.one();
    // Small answers leave at once; a system that can't do that is only slower.
    stream.set_nodelay(true).ok();
    let stream = Stalling::new(stream, state.limits().body_time);
    match door {
        Door::Plain => converse(&state, router, stream, peer).await,
        #[cfg(feature = "tls")]
        Door::Tls(tls) => match tokio::time::timeout(state.limits().head_time, tls.accept(stream)).await {
            Ok(Ok(stream)) => converse(&state, router, stream, peer).await,
            Ok(Err(e)) => tracing::debug!(%peer, error = %e, "no TLS connection"),
            Err(_) => tracing::debug!(%peer, "no TLS connection in time"),
        },
    }
    drop(permit);
}

async fn converse<S>(state: &State, router: Router, stream: S, peer: SocketAddr)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = state.limits();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head_time);
    // Room for what the limits allow, and some for refusing what is more with an answer that says so.
    http.max_buf_size((2 * (limits.headers + limits.path)).max(16 << 10)).max_headers(200);
    let talk = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).with_upgrades();
    tokio::pin!(talk);
    let ended = tokio::select! {
        ended = &mut talk => ended,
        () = state.ending().cancelled() => {
            talk.as_mut().graceful_shutdown();
            talk.await
        }
    };
    if let Err(e) = ended {
        tracing::debug!(%peer, error = %e, "a connection ended early");
    }
}
