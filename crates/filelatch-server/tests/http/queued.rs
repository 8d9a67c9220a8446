//! Writes that are left queued because somebody has the lock.

use std::fs;

use axum::http::StatusCode;
use filelatch::{Filelatch, Guard, LeaseOptions, LockOptions, Version, WriteOptions};
use serde_json::{Value, json};

use crate::common::Server;

/// Another process, as far as locks are concerned.
fn other(server: &Server, name: &str) -> Guard {
    let latch = Filelatch::builder().session("other").purpose("deploy.py").build();
    latch.file(server.root().join(name)).unwrap().lock(&LockOptions::new()).unwrap()
}

fn left_queued(content: &str) -> Value {
    json!({"content": content, "wait": 0, "ifLocked": "queue", "sessionId": "ann"})
}

/// Leaves a write queued; its id.
async fn leave(server: &Server, name: &str, body: &Value) -> String {
    let answer = server.json("PUT", &format!("/api/files/{name}"), body).await;
    let said = answer.json();
    assert_eq!((answer.status, &said["outcome"]), (StatusCode::ACCEPTED, &json!("queued")), "{said}");
    let id = said["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location"), Some(format!("/api/writes/{id}").as_str()));
    id
}

async fn state_of(server: &Server, id: &str) -> Value {
    let answer = server.get(&format!("/api/writes/{id}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
    answer.json()
}

/// Waits for its end.
async fn ended(server: &Server, id: &str) -> Value {
    loop {
        let state = state_of(server, id).await;
        if state["state"] != "queued" {
            return state;
        }
        tokio::task::yield_now().await;
    }
}

/// SERVE-6a, LOCK-5: who finds the file locked is told by whom, and when to try again; nothing was written.
#[tokio::test(flavor = "multi_thread")]
async fn told_who_holds_it() {
    let server = Server::new();
    fs::write(server.root().join("a"), "old").unwrap();
    let guard = other(&server, "a");
    for (path, body) in [
        ("/api/files/a", json!({"content": "new", "wait": 0})),
        ("/api/files/a", json!({"content": "new", "wait": "20ms"})),
    ] {
        let answer = server.json("PUT", path, &body).await;
        let said = answer.json();
        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (StatusCode::SERVICE_UNAVAILABLE, Some("1")),
            "{said}"
        );
        assert_eq!(
            (&said["holder"]["session"], &said["holder"]["purpose"]),
            (&json!("other"), &json!("deploy.py")),
            "{said}"
        );
    }
    drop(guard);
    assert_eq!(fs::read_to_string(server.root().join("a")).unwrap(), "old");
}

/// SERVE-6a, P17: a write that was left queued is made once the lock is free, in its turn, as its session; and who waits can look.
#[tokio::test(flavor = "multi_thread")]
async fn made_later() {
    let server = Server::new();
    fs::write(server.root().join("a"), "old").unwrap();
    let mut told = server.state.hear_writes();
    let guard = other(&server, "a");
    let first = leave(&server, "a", &left_queued("one")).await;
    let second = leave(&server, "a", &left_queued("two")).await;
    let waits = state_of(&server, &first).await;
    assert_eq!((&waits["state"], &waits["holder"]["session"]), (&json!("queued"), &json!("other")), "{waits}");
    assert_eq!(server.state.queued_writes(), 2);
    drop(guard);
    for (id, content) in [(&first, "one"), (&second, "two")] {
        let state = ended(&server, id).await;
        assert_eq!((&state["state"], &state["outcome"]), (&json!("written"), &json!("written")), "{state}");
        assert_eq!(state["hash"], Version::of(content.as_bytes()).to_string());
        let done = told.recv().await.unwrap();
        assert_eq!((&done.id, done.state, done.path.as_str()), (id, "written", "a"));
    }
    let file = server.get("/api/files/a").await.json();
    assert_eq!((&file["content"], &file["lastModifiedBy"]), (&json!("two"), &json!("ann")));
    assert_eq!(server.state.queued_writes(), 0);
}

/// SERVE-6a: one that is called off is not made, also while its lock is being waited for; one that was made can't be called off.
#[tokio::test(flavor = "multi_thread")]
async fn called_off() {
    let server = Server::new();
    fs::write(server.root().join("a"), "old").unwrap();
    let guard = other(&server, "a");
    let id = leave(&server, "a", &left_queued("new")).await;
    let behind = leave(&server, "a", &left_queued("newer")).await;
    for id in [&behind, &id] {
        let answer = server.json("DELETE", &format!("/api/writes/{id}"), &json!({})).await;
        assert_eq!(
            (answer.status, &answer.json()["state"]),
            (StatusCode::OK, &json!("cancelled")),
            "{}",
            answer.json()
        );
        let again = server.json("DELETE", &format!("/api/writes/{id}"), &json!({})).await;
        assert_eq!((again.status, &again.json()["kind"]), (StatusCode::CONFLICT, &json!("wrong-state")));
    }
    drop(guard);
    while server.state.queued_writes() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(fs::read_to_string(server.root().join("a")).unwrap(), "old");
    for id in ["none", "..%2fa", "%00", &"a".repeat(300)] {
        let answer = server.get(&format!("/api/writes/{id}")).await;
        assert!(answer.status.is_client_error(), "{id}: {}", answer.json());
        let answer = server.json("DELETE", &format!("/api/writes/{id}"), &json!({})).await;
        assert!(answer.status.is_client_error(), "{id}: {}", answer.json());
    }
}

/// SERVE-6a, VER-3: what it expected counts when it is made; a conflict says what is there, and nothing is written.
#[tokio::test(flavor = "multi_thread")]
async fn conflict() {
    let server = Server::new();
    fs::write(server.root().join("a"), "old").unwrap();
    let guard = other(&server, "a");
    let mut body = left_queued("new");
    body["expectedHash"] = json!(Version::of(b"old").to_string());
    let id = leave(&server, "a", &body).await;
    guard.write(b"theirs", &WriteOptions::new()).unwrap();
    drop(guard);
    let state = ended(&server, &id).await;
    assert_eq!(state["state"], "conflict", "{state}");
    assert_eq!(state["conflictInfo"]["currentHash"], Version::of(b"theirs").to_string());
    assert_eq!(fs::read_to_string(server.root().join("a")).unwrap(), "theirs");
}

/// SERVE-6a: also while somebody has a lease.
#[tokio::test(flavor = "multi_thread")]
async fn behind_a_lease() {
    let server = Server::new();
    let latch = Filelatch::builder().session("other").build();
    let lease = latch.file(server.root().join("a")).unwrap().lease(&LeaseOptions::new()).unwrap();
    let refused = server.json("PUT", "/api/files/a", &json!({"content": "x", "wait": 0})).await;
    assert_eq!((refused.status, &refused.json()["kind"]), (StatusCode::LOCKED, &json!("leased")));
    assert!(refused.header("retry-after").is_some());
    let under = json!({"content": "under", "leaseToken": lease.token()});
    assert_eq!(server.json("PUT", "/api/files/a", &under).await.status, StatusCode::OK);
    let id = leave(&server, "a", &left_queued("later")).await;
    lease.release().unwrap();
    assert_eq!(ended(&server, &id).await["state"], "written");
    let late = server.json("PUT", "/api/files/a", &under).await;
    assert_eq!((late.status, &late.json()["kind"]), (StatusCode::CONFLICT, &json!("lease-lost")));
}

/// SERVE-6a, SERVE-7: what was taken is made by the next server, in the same order; what an earlier one had made without noting it, is not
/// made again over what came after.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart() {
    let server = Server::new();
    fs::write(server.root().join("a"), "old").unwrap();
    let guard = other(&server, "a");
    let first = leave(&server, "a", &left_queued("one")).await;
    let second = leave(&server, "a", &left_queued("two")).await;
    let server = server.again();
    assert_eq!(state_of(&server, &first).await["state"], "queued");
    // As if the server had been killed right after the write.
    guard.write(b"one", &WriteOptions::new()).unwrap();
    guard.write(b"by somebody else", &WriteOptions::new()).unwrap();
    drop(guard);
    let record = server.root().join(format!(".filelatch/stores/writes/{first}.json"));
    let noted: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    let text = noted.to_string().replace("\"begun\":false", "\"begun\":true");
    fs::write(&record, text).unwrap();
    let mut told = server.state.hear_writes();
    assert_eq!(server.state.resume_writes().await.unwrap(), 2);
    for id in [&first, &second] {
        assert_eq!((&told.recv().await.unwrap().id, ended(&server, id).await["state"].as_str()), (id, Some("written")));
    }
    assert_eq!(fs::read_to_string(server.root().join("a")).unwrap(), "two");
    let history = Filelatch::new().file(server.root().join("a")).unwrap().history().unwrap();
    let ones = history.iter().filter(|kept| kept.version == Version::of(b"one")).count();
    assert_eq!(ones, 1, "{history:?}");
}
