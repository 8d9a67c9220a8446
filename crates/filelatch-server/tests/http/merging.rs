//! Merge previews, stored conflicts and former versions.

use filelatch::Version;
use serde_json::{Value, json};

use crate::common::Server;

const BASE: &str = "{\n  \"a\": 1,\n  \"b\": 1,\n  \"c\": 1\n}\n";

fn with(a: u32, c: u32) -> String {
    format!("{{\n  \"a\": {a},\n  \"b\": 1,\n  \"c\": {c}\n}}\n")
}

async fn written(server: &Server, path: &str, content: &str) -> String {
    let answer = server.json("PUT", &format!("/api/files/{path}"), &json!({"content": content})).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.json());
    answer.json()["hash"].as_str().unwrap().to_owned()
}

/// The texts of segments, joined.
fn joined(segments: &Value) -> Option<String> {
    segments.as_array().unwrap().iter().map(|segment| segment["text"].as_str().map(str::to_owned)).collect()
}

/// SERVE-5, MERGE-1: what fits is merged, with what is on disk or with what is given; the segments make up the document; nothing is written.
#[tokio::test]
async fn previews() {
    let server = Server::new();
    let base = written(&server, "a.json", BASE).await;
    let theirs = written(&server, "a.json", &with(1, 3)).await;
    for body in [
        json!({"path": "a.json", "base": BASE, "ours": with(2, 1)}),
        json!({"path": "a.json", "baseHash": base, "ours": with(2, 1)}),
        json!({"path": "a.json", "baseHash": base[..16], "ours": with(2, 1)}),
        json!({"path": "a.json", "base": BASE, "ours": with(2, 1), "theirs": with(1, 3)}),
        json!({"path": "new.json", "base": BASE, "ours": with(2, 1), "theirs": with(1, 3)}),
    ] {
        let answer = server.json("POST", "/api/merge", &body).await.json();
        assert_eq!((&answer["clean"], &answer["merged"]), (&json!(true), &json!(with(2, 3))), "{body} {answer}");
        assert_eq!(joined(&answer["segments"]).unwrap(), with(2, 3));
        assert_eq!((&answer["theirs"], &answer["theirsHash"]), (&json!(with(1, 3)), &json!(theirs)));
        assert_eq!(answer["theirsBy"].is_string(), body.get("theirs").is_none());
    }
    let body = json!({"path": "a.json", "base": BASE, "ours": with(7, 1), "theirs": with(8, 1)});
    let answer = server.json("POST", "/api/merge", &body).await.json();
    assert_eq!(answer["clean"], false);
    assert!(answer["merged"].as_str().unwrap().contains("<<<<<<< mine"), "{answer}");
    let conflicts: Vec<_> =
        answer["segments"].as_array().unwrap().iter().filter(|segment| segment["type"] == "conflict").collect();
    assert_eq!(conflicts.len(), 1);
    assert!(
        conflicts[0]["ours"].as_str().unwrap().contains('7') && conflicts[0]["theirs"].as_str().unwrap().contains('8')
    );
    // Without a base nothing is settled.
    let body = json!({"path": "b.txt", "ours": "one\ntwo\n", "theirs": "one\nthree\n"});
    let answer = server.json("POST", "/api/merge", &body).await.json();
    let whole = json!([{"type": "conflict", "base": "", "ours": "one\ntwo\n", "theirs": "one\nthree\n"}]);
    assert_eq!((&answer["clean"], &answer["segments"]), (&json!(false), &whole));
    assert_eq!(server.get("/api/files/a.json").await.json()["hash"], *theirs);
    assert_eq!(server.get("/api/files/b.txt").await.json()["exists"], false);
}

/// SERVE-7: previews that are malformed or impossible.
#[tokio::test]
async fn previews_refused() {
    let server = Server::new();
    std::fs::write(server.root().join("raw"), b"\xff\xfe").unwrap();
    for (body, status) in [
        (json!({"path": "a", "ours": "x", "baseHash": "0".repeat(64)}), 422),
        (json!({"path": "a", "ours": "x", "baseHash": "short"}), 422),
        (json!({"path": "a", "ours": "x", "baseHash": "\u{fc}".repeat(40)}), 422),
        (json!({"path": "raw", "ours": "x"}), 422),
        (json!({"path": "../a", "ours": "x"}), 400),
        (json!({"path": ".env", "ours": "x"}), 404),
        (json!({"path": "a"}), 400),
        (json!({"path": "a", "ours": 7}), 400),
        (json!({"path": "a", "ours": "x", "more": 1}), 400),
        (json!([]), 400),
    ] {
        let answer = server.json("POST", "/api/merge", &body).await;
        assert_eq!(answer.status.as_u16(), status, "{body} {}", answer.json());
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
}

/// A stored conflict; its id.
async fn conflict(server: &Server) -> String {
    let base = written(server, "c.json", BASE).await;
    written(server, "c.json", &with(8, 1)).await;
    let body =
        json!({"content": with(7, 1), "expectedHash": base, "base": BASE, "strategy": "merge", "sessionId": "ann"});
    let answer = server.json("PUT", "/api/files/c.json", &body).await;
    assert_eq!(answer.status.as_u16(), 409);
    answer.json()["conflictId"].as_str().unwrap().to_owned()
}

/// SERVE-5, MERGE-4: a stored conflict is listed, shown with both versions, and decided in each way.
#[tokio::test]
async fn conflicts_decided() {
    for (body, content, outcome) in [
        (json!({"keep": "mine"}), with(7, 1), "written"),
        (json!({"keep": "theirs"}), with(8, 1), "unchanged"),
        (json!({"keep": "content", "content": with(9, 1), "sessionId": "bob"}), with(9, 1), "written"),
    ] {
        let server = Server::new();
        let id = conflict(&server).await;
        let list = server.get("/api/conflicts").await.json();
        let one = &list["conflicts"][0];
        assert_eq!((&one["id"], &one["path"], &one["state"]), (&json!(id), &json!("c.json"), &json!("open")));
        assert_eq!((&one["mine"]["by"], &one["hunks"], &one["cause"]), (&json!("ann"), &json!(1), &json!("merge")));
        let whole = server.get(&format!("/api/conflicts/{}", &id[..6])).await.json();
        assert_eq!(
            (&whole["base"], &whole["mineContent"], &whole["theirsContent"]),
            (&json!(BASE), &json!(with(7, 1)), &json!(with(8, 1)))
        );
        assert!(whole["merged"].as_str().unwrap().contains(">>>>>>> theirs"));
        assert!(whole["segments"].as_array().unwrap().iter().any(|segment| segment["type"] == "conflict"));
        let merged = server.json("POST", &format!("/api/conflicts/{id}"), &json!({"keep": "merged"})).await;
        assert_eq!(merged.status.as_u16(), 422, "it has markers: {}", merged.json());
        let decided = server.json("POST", &format!("/api/conflicts/{id}"), &body).await;
        assert_eq!(decided.status.as_u16(), 200, "{}", decided.json());
        let decided = decided.json();
        assert_eq!((&decided["outcome"], &decided["path"]), (&json!(outcome), &json!("c.json")), "{body}");
        assert_eq!(decided["hash"], Version::of(content.as_bytes()).to_string());
        assert_eq!(std::fs::read_to_string(server.root().join("c.json")).unwrap(), content);
        assert_eq!(server.get("/api/conflicts").await.json()["conflicts"][0]["state"], "resolved");
        let again = server.json("POST", &format!("/api/conflicts/{id}"), &body).await;
        assert_eq!((again.status.as_u16(), &again.json()["kind"]), (409, &json!("already-resolved")));
    }
}

/// SERVE-7: decisions that are malformed, about nothing, or about a file that is hidden.
#[tokio::test]
async fn conflicts_refused() {
    let server = Server::new();
    let id = conflict(&server).await;
    for (body, status) in [
        (json!({}), 400),
        (json!({"keep": "both"}), 400),
        (json!({"keep": "content"}), 400),
        (json!({"keep": "mine", "content": "x"}), 400),
        (json!({"keep": "mine", "expectedHash": "x"}), 400),
        (json!({"keep": "mine", "expectedHash": "0".repeat(64)}), 409),
        (json!({"keep": "mine", "sessionId": "\n"}), 400),
    ] {
        let answer = server.json("POST", &format!("/api/conflicts/{id}"), &body).await;
        assert_eq!(answer.status.as_u16(), status, "{body} {}", answer.json());
    }
    for wrong in ["nothing", "00000000", "%2e%2e", "a", "%00", "%ff"] {
        let answer = server.get(&format!("/api/conflicts/{wrong}")).await;
        assert!(matches!(answer.status.as_u16(), 400 | 404), "{wrong} {}", answer.json());
    }
    assert_eq!(server.get("/api/conflicts").await.json()["conflicts"][0]["state"], "open");
    let hiding = Server::with(|options| options.deny = vec!["c.json".to_owned()]);
    assert_eq!(hiding.get("/api/conflicts").await.json(), json!({"conflicts": []}));
}

/// SERVE-5, KEEP-1: replaced versions are listed, read and brought back.
#[tokio::test]
async fn history() {
    let server = Server::new();
    let first = written(&server, "h.txt", "one\n").await;
    let second = written(&server, "h.txt", "two\n").await;
    let listed = server.get("/api/history/h.txt").await.json();
    assert_eq!(
        (&listed["current"]["hash"], &listed["versions"][0]["hash"]),
        (&json!(second), &json!(first)),
        "{listed}"
    );
    assert_eq!((&listed["versions"][0]["size"], &listed["versions"][0]["generation"]), (&json!(4), &json!(1)));
    for version in [&first[..], &first[..16]] {
        let one = server.get(&format!("/api/history/h.txt?version={version}")).await.json();
        assert_eq!((&one["content"], &one["hash"]), (&json!("one\n"), &json!(first)));
    }
    let now = server.get(&format!("/api/history/h.txt?version={second}")).await.json();
    assert_eq!(now["content"], "two\n");
    let body = json!({"restore": first, "expectedHash": first});
    assert_eq!(server.json("POST", "/api/history/h.txt", &body).await.status.as_u16(), 409);
    let body = json!({"restore": first, "expectedHash": second, "sessionId": "ann"});
    let restored = server.json("POST", "/api/history/h.txt", &body).await;
    assert_eq!((restored.status.as_u16(), &restored.json()["hash"]), (200, &json!(first)), "{}", restored.json());
    assert_eq!(server.get("/api/files/h.txt").await.json()["lastModifiedBy"], "ann");
    for (path, status) in [
        ("/api/history/h.txt?version=0000000000000000", 404),
        ("/api/history/h.txt?version=x", 404),
        ("/api/history/h.txt?version=%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC", 404),
        ("/api/history/h.txt?version=%ff", 404),
        ("/api/history/never", 200),
        ("/api/history/.env", 404),
        ("/api/history/a%2f..%2fb", 400),
        ("/api/history/h.txt/x", 422),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {}", answer.json());
    }
    let bare = Server::without_workspace();
    assert_eq!(bare.get("/api/history/h.txt").await.json()["kind"], "no-workspace");
    assert_eq!(bare.get("/api/conflicts").await.json(), json!({"conflicts": []}));
}
