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

/// SERVE-7: no folders are made on the way to what is hidden, however the way there is called.
#[tokio::test]
async fn folders_in_what_is_hidden() {
    let server = Server::new();
    std::fs::create_dir_all(server.root().join(".git/hooks")).unwrap();
    std::os::unix::fs::symlink(".git", server.root().join("plain")).unwrap();
    std::os::unix::fs::symlink(".ssh/keys", server.root().join("later")).unwrap();
    for path in ["plain/a/b", "plain/hooks/a/b", "later/a", ".git/a/b"] {
        let answer = server.json("PUT", &format!("/files/{path}?mkdir=true"), &json!({})).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(std::fs::read_dir(server.root().join(".git")).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(server.root().join(".git/hooks")).unwrap().count(), 0);
    assert!(!server.root().join(".ssh").exists());
}

/// SERVE-7: what is no file is not opened: a FIFO or a device keeps nobody waiting, a folder and a socket are refused, also for writing.
#[tokio::test]
async fn no_files() {
    let server = Server::new();
    std::fs::create_dir(server.root().join("folder")).unwrap();
    let make = |name: &str, what: &[&str]| {
        let mut command = std::process::Command::new("mknod");
        command.arg(server.root().join(name)).args(what).stderr(std::process::Stdio::null()).status().unwrap().success()
    };
    assert!(make("fifo", &["p"]));
    let listener = std::os::unix::net::UnixListener::bind(server.root().join("socket")).unwrap();
    let mut names = vec!["folder", "fifo", "socket"];
    // Only root may make devices.
    if make("device", &["c", "1", "3"]) {
        names.push("device");
    }
    for name in names {
        for answer in [
            server.get(&format!("/files/{name}")).await,
            server.get(&format!("/api/files/{name}")).await,
            server.json("PUT", &format!("/files/{name}"), &json!({})).await,
            server.json("PUT", &format!("/api/files/{name}"), &json!({"content": "x"})).await,
            server.json("DELETE", &format!("/files/{name}"), &json!({})).await,
            server.json("DELETE", &format!("/api/files/{name}"), &json!({})).await,
        ] {
            assert_eq!(
                (answer.status, &answer.json()["kind"]),
                (StatusCode::UNPROCESSABLE_ENTITY, &json!("not-a-file")),
                "{name}"
            );
        }
    }
    drop(listener);
    let listed = server.get("/api/tree").await.json();
    assert_eq!(listed["entries"], json!([]), "{listed}");
}

/// SERVE-7: names as long as a system takes them, and longer; folders as deep as a path allows.
#[tokio::test]
async fn long_names() {
    let server = Server::new();
    let deep = vec!["d"; 1500].join("/");
    for (path, status) in [("n".repeat(255), 201), ("n".repeat(256), 400), ("\u{e4}".repeat(200), 400), (deep, 201)] {
        let path: String = path.replace('\u{e4}', "%C3%A4");
        let answer = server.json("PUT", &format!("/files/{path}?mkdir=true"), &json!({})).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.json());
    }
}
