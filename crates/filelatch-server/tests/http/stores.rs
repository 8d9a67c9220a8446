//! Queues, tokens, the audit log, sessions.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::common::{Answer, Server};

/// STORE-2: a command is added, changed, moved, claimed by one, and ended by the number of its claim.
#[tokio::test]
async fn queues() {
    let server = Server::new();
    assert_eq!(server.get("/api/queues").await.json(), json!({"queues": []}));
    for (id, priority) in [("one", 0), ("two", 0), ("three", 5)] {
        let body = json!({"command": ["make", id], "id": id, "priority": priority});
        let added = server.json("POST", "/api/queues/build", &body).await;
        assert_eq!((added.status.as_u16(), added.json()), (201, json!({"id": id})));
    }
    assert_eq!(server.get("/api/queues").await.json(), json!({"queues": ["build"]}));
    let post = async |path: &str, body: Value| server.json("POST", &format!("/api/queues/build/{path}"), &body).await;
    assert_eq!(post("two/move", json!({"before": "one"})).await.json()["success"], true);
    let changed = server.json("PATCH", "/api/queues/build/one", &json!({"command": ["make", "all"]})).await;
    assert_eq!(changed.json()["state"], "pending", "{}", changed.json());
    let removed = server.json("DELETE", "/api/queues/build/three", &Value::Null).await;
    assert_eq!(removed.status.as_u16(), 200, "{}", removed.json());
    let listed = server.get("/api/queues/build").await.json();
    let ids: Vec<_> =
        listed["commands"].as_array().unwrap().iter().map(|command| command["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["two", "one"], "{listed}");

    let claimed = post("claim", json!({"lease": "30s", "runner": "agent"})).await.json();
    assert_eq!((&claimed["id"], &claimed["command"]), (&json!("two"), &json!(["make", "two"])));
    let token = claimed["token"].as_u64().unwrap();
    assert_eq!(server.get("/api/queues/build").await.json()["commands"][0]["runner"], "agent");
    assert_eq!(post("two/heartbeat", json!({"token": token})).await.status.as_u16(), 200);
    let stale = post("two/complete", json!({"token": token - 1})).await;
    assert_eq!((stale.status.as_u16(), &stale.json()["kind"]), (409, &json!("stale-token")));
    let done = post("two/complete", json!({"token": token, "exitCode": 0, "result": {"made": 3}})).await.json();
    assert_eq!(done["state"], "done");
    assert_eq!(post("two/complete", json!({"token": token})).await.status.as_u16(), 409);
    let request = Request::post("/api/queues/build/claim").header("host", "localhost").body(Body::empty()).unwrap();
    let next = server.send(request).await.json();
    assert_eq!(next["id"], "one");
    let failed = post("one/fail", json!({"token": next["token"], "exitCode": 2, "error": "no rule"})).await.json();
    assert_eq!(failed["state"], "failed");
    let empty = post("claim", json!({})).await;
    assert_eq!((empty.status.as_u16(), empty.body.len()), (204, 0));
}

/// SERVE-7: what is malformed or about nothing is refused, and makes no queue.
#[tokio::test]
async fn queues_refused() {
    let server = Server::new();
    for (method, path, body, status) in [
        ("GET", "gone", Value::Null, 404),
        ("GET", "..", Value::Null, 400),
        ("GET", "a.b", Value::Null, 400),
        ("GET", "%2e%2e%2f%2e%2e%2fetc", Value::Null, 400),
        ("POST", "a%20b", json!({"command": ["x"]}), 400),
        ("POST", "q", json!({"command": []}), 400),
        ("POST", "q", json!({"command": [""]}), 400),
        ("POST", "q", json!({"command": "make"}), 400),
        ("POST", "q", json!({"command": [7]}), 400),
        ("POST", "q", json!({}), 400),
        ("POST", "q", json!({"command": ["x"], "priority": "high"}), 400),
        ("POST", "q", json!({"command": ["x"], "delay": "soon"}), 400),
        ("POST", "gone/claim", json!({}), 404),
        ("POST", "gone/x/complete", json!({"token": 1}), 404),
        ("POST", "gone/x/dance", json!({"token": 1}), 404),
        ("PUT", "gone", json!({}), 405),
    ] {
        let answer = server.json(method, &format!("/api/queues/{path}"), &body).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path} {body} {}", answer.json());
    }
    assert_eq!(server.get("/api/queues").await.json(), json!({"queues": []}));
    server.json("POST", "/api/queues/q", &json!({"command": ["x"], "id": "a"})).await;
    for (method, path, body, status) in [
        ("POST", "q/a/move", json!({}), 400),
        ("POST", "q/a/move", json!({"first": true, "last": true}), 400),
        ("POST", "q/a/move", json!({"before": "nothing"}), 404),
        ("POST", "q/b/move", json!({"first": true}), 404),
        ("PATCH", "q/b", json!({"priority": 1}), 404),
        ("PATCH", "q/a", json!({"command": []}), 400),
        ("DELETE", "q/b", Value::Null, 404),
        ("POST", "q/b/complete", json!({"token": 1}), 404),
        ("POST", "q/a/complete", json!({"token": 1}), 409),
        ("POST", "q/a/complete", json!({}), 400),
        ("POST", "q/claim", json!({"lease": 0}), 400),
        ("POST", "q/claim", json!({"lease": "9999h"}), 400),
    ] {
        let answer = server.json(method, &format!("/api/queues/{path}"), &body).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path} {body} {}", answer.json());
    }
    let bare = Server::without_workspace();
    assert_eq!(bare.json("POST", "/api/queues/q", &json!({"command": ["x"]})).await.json()["kind"], "no-workspace");
}

/// SERVE-7, STORE-5: tokens are made, listed without themselves, and revoked; by admins only.
#[tokio::test]
async fn tokens() {
    let open = Server::new();
    let make = async |body: Value| open.json("POST", "/api/tokens", &body).await;
    let admin = make(json!({"name": "root", "scopes": ["admin"]})).await;
    assert_eq!(admin.status.as_u16(), 201, "{}", admin.json());
    let writer = make(json!({"name": "bot", "scopes": ["write"], "expires": "30d"})).await.json();
    assert!(writer["token"].as_str().unwrap().starts_with("flt_"));
    let listed = open.get("/api/tokens").await;
    let text = String::from_utf8(listed.body.clone()).unwrap();
    assert!(!text.contains(writer["token"].as_str().unwrap()) && !text.contains("hash"), "{text}");
    assert_eq!(listed.json()["tokens"].as_array().unwrap().len(), 2);
    for (body, status) in [
        (json!({"name": "", "scopes": ["read"]}), 422),
        (json!({"name": "a\nb", "scopes": ["read"]}), 422),
        (json!({"name": "a", "scopes": ["root"]}), 400),
        (json!({"name": "a", "scopes": "read"}), 400),
        (json!({"name": "a", "scopes": ["read"], "expires": "yesterday"}), 400),
        (json!({"name": "a", "scopes": ["read"], "expires": "2001-01-01T00:00:00Z"}), 422),
        (json!({"scopes": []}), 400),
    ] {
        let answer = make(body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{body} {}", answer.json());
    }
    let strict = open.beside(|options| options.no_auth = false);
    let as_one = async |token: &Value, method: &str, path: &str, body: &Value| -> Answer {
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        let request = request.header("authorization", format!("Bearer {}", token.as_str().unwrap()));
        let request = request.header("content-type", "application/json").body(Body::from(body.to_string()));
        strict.send(request.unwrap()).await
    };
    let admin = admin.json()["token"].clone();
    for (method, path) in [("GET", "/api/tokens"), ("POST", "/api/tokens"), ("DELETE", "/api/tokens/x")] {
        let answer = as_one(&writer["token"], method, path, &json!({"name": "a", "scopes": ["admin"]})).await;
        assert_eq!(answer.status.as_u16(), 403, "{method} {path}");
    }
    assert_eq!(as_one(&writer["token"], "GET", "/api/locks", &Value::Null).await.status.as_u16(), 200);
    let path = format!("/api/tokens/{}", writer["id"].as_str().unwrap());
    let revoked = as_one(&admin, "DELETE", &path, &Value::Null).await;
    assert_eq!((revoked.status.as_u16(), &revoked.json()["state"]), (200, &json!("revoked")), "{}", revoked.json());
    assert_eq!(as_one(&writer["token"], "GET", "/api/locks", &Value::Null).await.status.as_u16(), 401);
    assert_eq!(as_one(&admin, "DELETE", "/api/tokens/nothing", &Value::Null).await.status.as_u16(), 404);
}

/// SERVE-7: a reader changes nothing, whichever route it takes.
#[tokio::test]
async fn readers_only_read() {
    let open = Server::new();
    let made = open.json("POST", "/api/tokens", &json!({"name": "eye", "scopes": ["read"]})).await.json();
    let strict = open.beside(|options| options.no_auth = false);
    for (method, path) in [
        ("POST", "/api/locks/a"),
        ("PUT", "/api/locks/a"),
        ("DELETE", "/api/locks/a?token=1"),
        ("POST", "/api/conflicts/0000"),
        ("POST", "/api/history/a"),
        ("POST", "/api/queues/q"),
        ("PATCH", "/api/queues/q/a"),
        ("DELETE", "/api/queues/q/a"),
        ("POST", "/api/queues/q/a/move"),
        ("POST", "/api/queues/q/claim"),
        ("POST", "/api/queues/q/a/complete"),
        ("POST", "/api/queues/q/a/fail"),
        ("POST", "/api/queues/q/a/release"),
        ("POST", "/api/queues/q/a/heartbeat"),
        ("POST", "/api/sessions"),
        ("POST", "/api/sessions/a/merge"),
        ("DELETE", "/api/sessions/a"),
        ("POST", "/api/tokens"),
    ] {
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        let request = request.header("authorization", format!("Bearer {}", made["token"].as_str().unwrap()));
        let answer =
            strict.send(request.header("content-type", "application/json").body(Body::from("{}")).unwrap()).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["kind"]), (403, &json!("forbidden")), "{method} {path}");
        let request = Request::builder().method(method).uri(path).header("host", "localhost").body(Body::from("{}"));
        assert_eq!(strict.send(request.unwrap()).await.status.as_u16(), 401, "{method} {path}");
    }
    for path in ["/api/locks", "/api/conflicts", "/api/queues", "/api/audit", "/api/status"] {
        let request = Request::get(path).header("host", "localhost").body(Body::empty()).unwrap();
        assert_eq!(strict.send(request).await.status.as_u16(), 401, "{path}");
    }
}

/// SERVE-4: the newest records of the audit log, of one file, and none about what is hidden.
#[tokio::test]
async fn audit() {
    let server = Server::new();
    for path in ["a.txt", "b.txt"] {
        server.json("PUT", &format!("/api/files/{path}"), &json!({"content": "x", "sessionId": "ann"})).await;
    }
    let latch = filelatch::Filelatch::new();
    latch.file(server.root().join(".env")).unwrap().write(b"KEY=1", &filelatch::WriteOptions::new()).unwrap();
    let all = server.get("/api/audit").await.json();
    let of = |answer: &Value| -> Vec<String> {
        let records = answer["records"].as_array().unwrap().iter();
        records
            .filter(|record| record["event"] == "write")
            .map(|record| record["path"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(of(&all), ["a.txt", "b.txt"], "{all}");
    assert_eq!(of(&server.get("/api/audit?path=a.*").await.json()), ["a.txt"]);
    assert!(server.get("/api/audit?last=1").await.json()["records"].as_array().unwrap().len() <= 1);
    for query in ["last=x", "last=-1", "path=a%5B"] {
        assert_eq!(server.get(&format!("/api/audit?{query}")).await.status.as_u16(), 400, "{query}");
    }
    assert_eq!(Server::without_workspace().get("/api/audit").await.status.as_u16(), 404);
}

fn git(dir: &std::path::Path, args: &[&str]) {
    let mut command = std::process::Command::new("git");
    command.current_dir(dir).args(["-c", "user.name=t", "-c", "user.email=t@example.org"]).args(args);
    assert!(command.output().unwrap().status.success(), "git {args:?}");
}

/// SERVE-6: a session is started, listed, merged and removed; what would be lost is refused.
#[tokio::test]
async fn sessions() {
    let server = Server::new();
    assert_eq!(server.get("/api/sessions").await.json()["kind"], "no-repository");
    git(server.root(), &["init", "-q", "-b", "main"]);
    std::fs::write(server.root().join("a.txt"), "1\n").unwrap();
    git(server.root(), &["add", "a.txt"]);
    git(server.root(), &["commit", "-qm", "one"]);
    for (key, value) in [("user.name", "t"), ("user.email", "t@example.org")] {
        git(server.root(), &["config", key, value]);
    }
    let started = server.json("POST", "/api/sessions", &json!({"name": "fix"})).await;
    assert_eq!(started.status.as_u16(), 201, "{}", started.json());
    let started = started.json();
    let listed = server.get("/api/sessions").await.json();
    let one = &listed["sessions"][0];
    assert_eq!(
        (&one["name"], &one["branch"], &one["state"]),
        (&json!("fix"), &started["branch"], &json!("ready")),
        "{one}"
    );
    let again = server.json("POST", "/api/sessions", &json!({"name": "fix"})).await;
    assert_eq!(again.status.as_u16(), 409, "{}", again.json());
    for (body, status) in [
        (json!({"name": "../x"}), 400),
        (json!({"name": ""}), 400),
        (json!({"name": "-x"}), 400),
        (json!({"name": "b", "base": "--help"}), 400),
        (json!({"name": "b", "base": "nowhere"}), 404),
        (json!({}), 400),
    ] {
        let answer = server.json("POST", "/api/sessions", &body).await;
        assert_eq!(answer.status.as_u16(), status, "{body} {}", answer.json());
    }
    let shown = started["path"].as_str().unwrap();
    let folder = server.root().canonicalize().unwrap().join(shown);
    std::fs::write(folder.join("b.txt"), "2\n").unwrap();
    let lost = server.json("DELETE", "/api/sessions/fix", &Value::Null).await;
    assert_eq!((lost.status.as_u16(), &lost.json()["kind"]), (409, &json!("would-lose")), "{}", lost.json());
    git(&folder, &["add", "b.txt"]);
    git(&folder, &["commit", "-qm", "two"]);
    let merged = server.json("POST", "/api/sessions/fix/merge", &json!({})).await;
    assert_eq!((merged.status.as_u16(), &merged.json()["into"]), (200, &json!("main")), "{}", merged.json());
    assert_eq!(std::fs::read(server.root().join("b.txt")).unwrap(), b"2\n");
    assert_eq!(server.json("DELETE", "/api/sessions/fix?rescue=maybe", &Value::Null).await.status.as_u16(), 400);
    let removed = server.json("DELETE", "/api/sessions/fix", &Value::Null).await;
    assert_eq!(removed.status.as_u16(), 200, "{}", removed.json());
    for (method, path) in [("POST", "/api/sessions/fix/merge"), ("DELETE", "/api/sessions/fix")] {
        assert_eq!(server.json(method, path, &json!({})).await.status.as_u16(), 404, "{method} {path}");
    }
}
