//! Who is there.

use serde_json::{Value, json};

use crate::common::{Server, Socket};

fn sessions(message: &Value) -> Vec<&str> {
    message["clients"].as_array().unwrap().iter().map(|client| client["session"].as_str().unwrap()).collect()
}

/// Until these look at the file.
async fn until(socket: &mut Socket, path: &str, wanted: &[&str]) {
    loop {
        let told = socket.about("presence", path).await;
        let mut there = sessions(&told);
        there.sort_unstable();
        if there == wanted {
            return;
        }
    }
}

/// SERVE-5: who has which file open is told to all, to who comes later at once, and when somebody goes.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_what_open() {
    let server = Server::new().await;
    let (mut ann, mut bob) = (server.socket(None).await, server.socket(None).await);
    ann.say(json!({"type": "session", "name": "ann"})).await;
    bob.say(json!({"type": "session", "name": "bob"})).await;
    ann.say(json!({"type": "viewing", "path": "a.json"})).await;
    until(&mut bob, "a.json", &["ann"]).await;
    bob.say(json!({"type": "viewing", "path": "a.json"})).await;
    until(&mut ann, "a.json", &["ann", "bob"]).await;
    let mut eve = server.socket(None).await;
    eve.of("hello").await;
    let first = eve.next().await.unwrap();
    assert_eq!((&first["type"], &first["path"]), (&json!("presence"), &json!("a.json")));
    assert!(first.get("cursor").is_none());
    ann.say(json!({"type": "viewing", "path": null})).await;
    until(&mut eve, "a.json", &["bob"]).await;
    drop(bob);
    until(&mut eve, "a.json", &[]).await;
    let status = server.get("/api/status").await;
    let mut there: Vec<_> =
        status["clients"].as_array().unwrap().iter().map(|c| c["session"].as_str().unwrap()).collect();
    there.sort_unstable();
    assert_eq!(there, ["ann", "web"]);
    server.end().await;
}

/// SERVE-7: what is not understood is answered and changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn nonsense() {
    let server = Server::new().await;
    let mut socket = server.socket(None).await;
    socket.of("hello").await;
    for said in [
        json!({"type": "dance"}),
        json!({}),
        json!([]),
        json!(null),
        json!("viewing"),
        json!({"type": "viewing", "path": 7}),
        json!({"type": "viewing", "path": "../x"}),
        json!({"type": "viewing", "path": "/etc/passwd"}),
        json!({"type": "viewing", "path": ""}),
        json!({"type": "viewing", "path": ".env"}),
        json!({"type": "viewing", "path": ".filelatch/config.toml"}),
        json!({"type": "session", "name": ""}),
        json!({"type": "session", "name": "a\u{7}"}),
        json!({"type": "session", "name": "x".repeat(200)}),
        json!({"type": "subscribe"}),
    ] {
        socket.say(said.clone()).await;
        let answer = socket.next().await.unwrap();
        assert_eq!(answer["type"], "error", "{said}");
        assert!(!answer["detail"].as_str().unwrap().is_empty());
    }
    let status = server.get("/api/status").await;
    assert_eq!((&status["clients"][0]["session"], status["clients"][0].get("path")), (&json!("web"), None));
    server.end().await;
}
