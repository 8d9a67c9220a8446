//! How conversations end.

use std::time::Duration;

use axum::http::StatusCode;
use filelatch::store::{OwnStore, Scope};
use filelatch::{Filelatch, LockOptions};
use futures_util::SinkExt as _;
use serde_json::json;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use crate::common::{Server, content};

/// SERVE-7: when the server ends, clients are told, and it does not wait for those who do not listen.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_ends() {
    let server = Server::new().await;
    let mut socket = server.socket(None).await;
    let deaf = server.socket(None).await;
    socket.of("hello").await;
    server.state.ending().cancel();
    assert_eq!(socket.of("bye").await["reason"], "the server ends");
    assert_eq!(socket.closed().await.0, 1001);
    server.end().await;
    drop(deaf);
}

/// SERVE-7: a message that is too long, and too many of them, end the conversation with the code that says so.
#[tokio::test(flavor = "multi_thread")]
async fn too_much() {
    let server = Server::new().await;
    let mut socket = server.socket(None).await;
    socket.say(json!({"type": "session", "name": "x".repeat(100_000)})).await;
    assert_eq!(socket.closed().await.0, 1009);
    let mut socket = server.socket(None).await;
    for _ in 0..300 {
        if socket.socket.send(Message::text("{}")).await.is_err() {
            break;
        }
    }
    assert_eq!(socket.closed().await, (1008, "too many messages".to_owned()));
    let mut socket = server.socket(None).await;
    socket.of("hello").await;
    socket.socket.send(Message::Binary(Bytes::from_static(b"\0\xff"))).await.unwrap();
    assert_eq!(socket.next().await.unwrap()["type"], "error");
    server.end().await;
}

/// SERVE-7: more sockets than may be are refused, and there is room again when one has gone.
#[tokio::test(flavor = "multi_thread")]
async fn too_many() {
    let server = Server::with(|options| options.limits.sockets = 2).await;
    let (one, _two) = (server.socket(None).await, server.socket(None).await);
    let Err(Error::Http(refused)) = server.try_socket(None, &[]).await.map(drop) else { panic!("let in") };
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    drop(one);
    while server.try_socket(None, &[]).await.is_err() {
        tokio::task::yield_now().await;
    }
    server.end().await;
}

/// SERVE-7: a token that is revoked ends the conversations that it has begun; another one's go on.
#[tokio::test(flavor = "multi_thread")]
async fn revoked() {
    let server = Server::with(|options| {
        options.no_auth = false;
        options.limits.ping = Duration::from_millis(50);
    })
    .await;
    let root = server.root().to_owned();
    let store = move || {
        let latch = Filelatch::new();
        latch.tokens(latch.own_store(&root, OwnStore::Tokens, true).unwrap()).unwrap()
    };
    let make = store.clone();
    let [first, second] = tokio::task::spawn_blocking(move || {
        ["first", "second"].map(|name| {
            let made = make().create(name, &[Scope::Read], None, &LockOptions::new()).unwrap();
            (made.id, format!("Bearer {}", String::from_utf8(made.token.expose().to_vec()).unwrap()))
        })
    })
    .await
    .unwrap();
    let (id, first) = first;
    let mut ends = server.try_socket(None, &[("authorization", &first)]).await.unwrap();
    let mut stays = server.try_socket(None, &[("authorization", &second.1)]).await.unwrap();
    ends.of("hello").await;
    tokio::task::spawn_blocking(move || store().revoke(&id, &LockOptions::new()).unwrap()).await.unwrap();
    assert_eq!(ends.closed().await, (1008, "the token or login is not valid any more".to_owned()));
    std::fs::write(server.root().join("a"), "1").unwrap();
    stays.about("file-changed", "a").await;
    server.end().await;
}

/// SERVE-7: a client that does not answer, not even pings, is dropped, and its place is free.
#[tokio::test(flavor = "multi_thread")]
async fn silent() {
    let server = Server::with(|options| {
        options.limits.sockets = 1;
        options.limits.ping = Duration::from_millis(50);
    })
    .await;
    // Nothing answers pings unless it is read from.
    let silent = server.socket(None).await;
    while server.try_socket(None, &[]).await.is_err() {
        tokio::task::yield_now().await;
    }
    drop(silent);
    server.end().await;
}

/// SERVE-7: without a token there are no events, nor for another site's page, nor without a web socket.
#[tokio::test(flavor = "multi_thread")]
async fn not_for_everybody() {
    let server = Server::with(|options| options.no_auth = false).await;
    let status = async |headers: &[(&'static str, &str)]| match server.try_socket(None, headers).await {
        Ok(_) => 101,
        Err(Error::Http(refused)) => refused.status().as_u16(),
        Err(other) => panic!("{other}"),
    };
    let root = server.root().to_owned();
    let token = tokio::task::spawn_blocking(move || {
        let latch = Filelatch::new();
        let tokens = latch.tokens(latch.own_store(&root, OwnStore::Tokens, true).unwrap()).unwrap();
        tokens.create("reader", &[Scope::Read], None, &LockOptions::new()).unwrap().token.expose().to_vec()
    })
    .await
    .unwrap();
    let bearer = format!("Bearer {}", String::from_utf8(token).unwrap());
    let own = format!("http://{}", server.address);
    assert_eq!(status(&[]).await, 401);
    assert_eq!(status(&[("authorization", "Bearer flt_nonsense")]).await, 401);
    assert_eq!(status(&[("authorization", &bearer), ("origin", "https://evil.example")]).await, 403);
    assert_eq!(status(&[("authorization", &bearer), ("host", "evil.example")]).await, 421);
    assert_eq!(status(&[("authorization", &bearer), ("origin", &own)]).await, 101);
    assert_eq!(status(&[("authorization", &bearer)]).await, 101);
    server.end().await;
    let open = Server::new().await;
    let (status, body) = open.json("web", "GET", "/api/events", &json!(null)).await;
    assert_eq!((status, &body["kind"]), (StatusCode::UPGRADE_REQUIRED, &json!("no-web-socket")));
    open.json("web", "PUT", "/api/files/a", &content("1")).await;
    open.end().await;
}
