//! The server's end: what was begun is finished.

use std::time::Duration;

use filelatch_server::serve;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::client::{Answer, Listening, request};

/// SERVE-7: at the end nothing more is accepted, a write that waits for its lock is made and answered, and then the server has ended.
#[tokio::test(flavor = "multi_thread")]
async fn finishes_what_was_begun() {
    let server = Listening::with(|_| {}).await;
    std::fs::write(server.root().join("a"), "old").unwrap();
    let guard = server.locked("a");
    let mut waits = server.connect().await;
    waits.write_all(request("PUT /files/a?wait=60s", "", "new").as_bytes()).await.unwrap();
    let mut idle = server.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    while !server.send("GET /metrics", "", "").await.body.contains("\nfilelatch_changes 1\n") {}
    server.state.ending().cancel();
    // Idle ones are closed, new ones are not taken.
    assert_eq!(Answer::of(&mut idle).await.status, 200);
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!server.ended.is_finished());
    drop(guard);
    assert_eq!(Answer::of(&mut waits).await.status, 200);
    assert_eq!(std::fs::read_to_string(server.root().join("a")).unwrap(), "new");
    server.ended.await.unwrap().unwrap();
}

/// SERVE-7: the end does not wait for ever for those who do not come to theirs.
#[tokio::test(flavor = "multi_thread")]
async fn bounded() {
    let server = Listening::with(|options| options.limits.shutdown = Duration::from_millis(50)).await;
    let guard = server.locked("a");
    let mut waits = server.connect().await;
    waits.write_all(request("PUT /files/a?wait=60s", "", "new").as_bytes()).await.unwrap();
    while !server.send("GET /metrics", "", "").await.body.contains("\nfilelatch_changes 1\n") {}
    server.state.ending().cancel();
    server.ended.await.unwrap().unwrap();
    drop(guard);
}

/// SERVE-7: everybody is let in on loopback only.
#[tokio::test]
async fn open_on_loopback_only() {
    let server = Listening::with(|_| {}).await;
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let refused = serve(server.state.clone(), listener).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
}
