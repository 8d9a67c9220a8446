//! Files, raw and as JSON.

use axum::http::StatusCode;
use serde_json::json;

use crate::common::Server;

/// SERVE-1: what is written is read, with its hash; a writer that expects another hash is refused and told what is there.
#[tokio::test]
async fn written_and_read() {
    let server = Server::new();
    let absent = server.get("/api/files/a.json").await;
    assert_eq!((absent.status, &absent.json()["exists"]), (StatusCode::OK, &json!(false)));
    let written = server.json("PUT", "/api/files/a.json", &json!({"content": "{}\n"})).await;
    assert_eq!(written.status, StatusCode::OK, "{:?}", written.json());
    assert_eq!(std::fs::read(server.root().join("a.json")).unwrap(), b"{}\n");
    let read = server.get("/api/files/a.json").await.json();
    assert_eq!((&read["content"], &read["hash"]), (&json!("{}\n"), &written.json()["hash"]));
    let wrong = "0".repeat(64);
    let refused = server.json("PUT", "/api/files/a.json", &json!({"content": "1", "expectedHash": wrong})).await;
    assert_eq!(
        (refused.status, refused.header("content-type")),
        (StatusCode::CONFLICT, Some("application/problem+json"))
    );
    let info = &refused.json()["conflictInfo"];
    assert_eq!((&info["expectedHash"], &info["currentHash"]), (&json!(wrong), &read["hash"]));
}
