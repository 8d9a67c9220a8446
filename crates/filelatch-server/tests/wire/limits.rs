//! What one client, and all of them, may take.

use std::time::Duration;

use filelatch::Filelatch;
use filelatch_server::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::client::{Answer, Listening, request};

const SHORT: Duration = Duration::from_millis(200);

fn limits(change: impl FnOnce(&mut Limits)) -> impl FnOnce(&mut filelatch_server::ServerOptions) {
    move |options| change(&mut options.limits)
}

/// SERVE-7: a body that says it is 10 GB is refused before it is sent; one that does not say so, when it is too long.
#[tokio::test]
async fn bodies() {
    let server = Listening::with(limits(|limits| limits.body = 1000)).await;
    let head = "PUT /files/a HTTP/1.1\r\nHost: localhost\r\n";
    for rest in [
        "Content-Length: 10000000000\r\n\r\n".to_owned(),
        "Content-Length: 1001\r\n\r\n".to_owned(),
        format!("Transfer-Encoding: chunked\r\n\r\n3e9\r\n{}\r\n0\r\n\r\n", "x".repeat(1001)),
    ] {
        let answer = server.say(&format!("{head}{rest}")).await;
        assert_eq!((answer.status, answer.json()["kind"].as_str()), (413, Some("too-large")), "{answer:?}");
    }
    assert!(!server.root().join("a").exists());
    let fits = server.send("PUT /files/a", "", &"x".repeat(1000)).await;
    assert_eq!(fits.status, 201, "{fits:?}");
}

/// SERVE-7: paths and headers that are too long; what is no HTTP at all.
#[tokio::test]
async fn heads() {
    let server = Listening::with(|_| {}).await;
    let path = "a".repeat(5000);
    let many = format!("X: {}\r\n", "y".repeat(150)).repeat(150);
    for (line, headers, status) in [
        (format!("GET /files/{path}"), String::new(), 414),
        (format!("GET /files/a?{path}"), String::new(), 414),
        ("GET /files/a".to_owned(), many, 431),
        ("GET /files/a".to_owned(), "X: \u{1}\r\n".to_owned(), 400),
        ("GET /files/a b".to_owned(), String::new(), 400),
        ("GET".to_owned(), String::new(), 400),
    ] {
        let answer = server.send(&line, &headers, "").await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    for nonsense in [
        "\r\n\r\n\0\0\0\0",
        "hello\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = server.connect().await;
        stream.write_all(nonsense.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = Answer::of(&mut stream).await;
        assert!(answer.status < 500, "{nonsense:?}: {answer:?}");
    }
    // Two lengths: what one side takes for a body, another would take for a request.
    let two = "PUT /files/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n0\r\n\r\n";
    assert_eq!(server.say(two).await.status, 400);
    assert!(!server.root().join("a").exists());
}

/// SERVE-7: a head or a body that does not come is not waited for; others are answered meanwhile.
#[tokio::test]
async fn slow_clients() {
    let server = Listening::with(limits(|limits| (limits.head_time, limits.body_time) = (SHORT, SHORT))).await;
    let mut slow = Vec::new();
    for begun in ["", "G", "GET /files/a HTTP/1.1\r\nHost: loc"] {
        let mut stream = server.connect().await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let mut body = server.connect().await;
    body.write_all(b"PUT /files/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf").await.unwrap();
    assert_eq!(server.send("GET /healthz", "", "").await.status, 200);
    let answer = Answer::of(&mut body).await;
    assert_eq!((answer.status, answer.json()["kind"].as_str()), (408, Some("too-slow")), "{answer:?}");
    for mut stream in slow {
        // Ends by itself: the server has closed it.
        Answer::of(&mut stream).await;
    }
    // One that is kept alive and says nothing more, too.
    let mut idle = server.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(Answer::of(&mut idle).await.status, 200);
    assert!(!server.root().join("a").exists());
}

/// SERVE-7: a client that does not read what it asked for is let go.
#[tokio::test]
async fn who_does_not_read() {
    let server = Listening::with(limits(|limits| limits.body_time = SHORT)).await;
    let size = 64 << 20;
    std::fs::write(server.root().join("big"), vec![b'x'; size]).unwrap();
    let mut stream = server.connect().await;
    stream.write_all(b"GET /files/big HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    // Until the server has let go: it is the only connection there is.
    loop {
        let metrics = server.send("GET /metrics", "", "").await;
        if metrics.body.contains("\nfilelatch_connections 1\n") {
            break;
        }
        tokio::task::yield_now().await;
    }
    let mut got = Vec::new();
    stream.read_to_end(&mut got).await.ok();
    assert!(got.len() < size, "{}", got.len());
}

/// SERVE-7: as many requests as may be are answered at once; one more is refused with a time to try again.
#[tokio::test]
async fn requests_at_once() {
    let server = Listening::with(limits(|limits| limits.requests = 1)).await;
    let mut first = server.connect().await;
    first
        .write_all(b"PUT /files/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 4\r\n\r\nha")
        .await
        .unwrap();
    let refused = loop {
        let answer = server.send("GET /healthz", "", "").await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!((refused.status, refused.json()["kind"].as_str()), (503, Some("busy")), "{refused:?}");
    assert!(refused.head.contains("retry-after: 1"), "{refused:?}");
    first.write_all(b"lf").await.unwrap();
    assert_eq!(Answer::of(&mut first).await.status, 201);
    assert_eq!(server.send("GET /healthz", "", "").await.status, 200);
}

/// SERVE-7: all bodies together take a bounded room; what takes none goes on.
#[tokio::test]
async fn bodies_at_once() {
    let server = Listening::with(limits(|limits| (limits.body, limits.bodies) = (64 << 10, 100 << 10))).await;
    let body = "x".repeat(60 << 10);
    let mut first = server.connect().await;
    let whole = request("PUT /files/a", "", &body);
    let (begin, end) = whole.split_at(whole.len() - 1);
    first.write_all(begin.as_bytes()).await.unwrap();
    let refused = loop {
        let answer = server.send("PUT /files/b", "", &body).await;
        if answer.status != 201 && answer.status != 200 {
            break answer;
        }
    };
    assert_eq!((refused.status, refused.json()["kind"].as_str()), (503, Some("busy")), "{refused:?}");
    let chunked = "PUT /files/c HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    assert_eq!(server.say(chunked).await.status, 503, "it may become as long as a body may be");
    assert_eq!(server.send("PUT /files/d", "", "small").await.status, 201);
    assert_eq!(server.send("GET /healthz", "", "").await.status, 200);
    first.write_all(end.as_bytes()).await.unwrap();
    assert_eq!(Answer::of(&mut first).await.status, 201);
    assert_eq!(server.send("PUT /files/b", "", &body).await.status / 100, 2);
}

/// SERVE-7, LOCK-8: as many as may wait for a lock do; others are refused at once, looking goes on, and who goes away frees his place.
#[tokio::test(flavor = "multi_thread")]
async fn waits_at_once() {
    let server = Listening::with(limits(|limits| limits.waits = 1)).await;
    std::fs::write(server.root().join("a"), "old").unwrap();
    let guard = server.locked("a");
    let mut waits = server.connect().await;
    waits.write_all(request("PUT /files/a?wait=60s", "", "first").as_bytes()).await.unwrap();
    let file = Filelatch::new().file(server.root().join("a")).unwrap();
    while file.lock_state().unwrap().waiting == 0 {
        tokio::task::yield_now().await;
    }
    let refused = server.send("PUT /files/b", "", "x").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.json()["kind"], "busy", "{refused:?}");
    let reads = server.send("GET /files/a", "", "").await;
    assert_eq!((reads.status, reads.body.as_str()), (200, "old"));
    drop(waits);
    // The place is free again, although the lock is not.
    while server.send("PUT /files/c", "", "x").await.status == 503 {
        tokio::task::yield_now().await;
    }
    drop(guard);
    assert_eq!(std::fs::read_to_string(server.root().join("a")).unwrap(), "old");
}

/// SERVE-7: no more connections than may be; a further one is served when one ends.
#[tokio::test]
async fn connections_at_once() {
    let server = Listening::with(limits(|limits| limits.connections = 1)).await;
    let mut first = server.connect().await;
    first.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut head = [0; 12];
    first.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    let mut second = server.connect().await;
    second.write_all(request("GET /healthz", "", "").as_bytes()).await.unwrap();
    assert!(tokio::time::timeout(SHORT, second.read_exact(&mut head)).await.is_err());
    drop(first);
    assert_eq!(Answer::of(&mut second).await.status, 200);
}
