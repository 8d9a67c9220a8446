//! No path leaves the root.
#![cfg(unix)]

use axum::http::StatusCode;
use serde_json::json;

use crate::common::Server;

/// SERVE-7: links out of the root are refused, links to hidden files are not there, links within are followed.
#[tokio::test]
async fn links() {
    let server = Server::new();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    std::fs::create_dir(server.root().join("d")).unwrap();
    std::fs::write(server.root().join("d/f"), "inside").unwrap();
    std::fs::write(server.root().join(".env"), "KEY=1").unwrap();
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, server.root().join(name)).unwrap();
    link("d/f", "near");
    link(outside.path().to_str().unwrap(), "away");
    link("../../../../../../../../etc/hostname", "far");
    link(".env", "innocent");
    assert_eq!(server.get("/api/files/near").await.json()["content"], "inside");
    for (path, status, kind) in [
        ("away/secret", StatusCode::FORBIDDEN, "outside-root"),
        ("away/new", StatusCode::FORBIDDEN, "outside-root"),
        ("far", StatusCode::FORBIDDEN, "outside-root"),
        ("innocent", StatusCode::NOT_FOUND, "not-found"),
    ] {
        for answer in [
            server.get(&format!("/files/{path}")).await,
            server.get(&format!("/api/files/{path}")).await,
            server.json("PUT", &format!("/api/files/{path}"), &json!({"content": "x"})).await,
        ] {
            assert_eq!((answer.status, &answer.json()["kind"]), (status, &json!(kind)), "{path}");
        }
    }
    assert_eq!(std::fs::read(outside.path().join("secret")).unwrap(), b"secret");
    assert!(!outside.path().join("new").exists());
    assert_eq!(std::fs::read(server.root().join(".env")).unwrap(), b"KEY=1");
}
