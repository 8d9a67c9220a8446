//! Locks of other processes.

use std::time::Instant;

use serde_json::json;

use crate::common::{Other, Server};

/// SERVE-4, LOCK-7: a lock that another process takes is told of without anybody looking at the file, with its holder, and its end, in good
/// order and by its death.
#[tokio::test(flavor = "multi_thread")]
async fn taken_and_let_go() {
    let server = Server::new().await;
    std::fs::create_dir(server.root().join("d")).unwrap();
    let path = server.root().join("d/a.json");
    let path = path.to_str().unwrap();
    let mut socket = server.socket(None).await;
    socket.of("hello").await;
    for kill in [false, true] {
        let began = Instant::now();
        let other = Other::holds(&["lock", path]);
        let told = socket.of("file-lock-change").await;
        assert_eq!((&told["path"], &told["locked"]), (&json!("d/a.json"), &json!(true)));
        let holder = &told["holder"];
        assert_eq!((&holder["pid"], &holder["session"]), (&json!(other.pid()), &json!("other")));
        assert_eq!((&holder["purpose"], &holder["confirmed"]), (&json!("deploy.py"), &json!(true)));
        println!("told after {:?}", began.elapsed());
        let all = server.get("/api/locks").await;
        assert_eq!(all["locks"].as_array().unwrap().len(), 1, "{all}");
        assert_eq!(all["locks"][0]["path"], "d/a.json");
        assert_eq!(server.get("/api/status").await["locks"], all["locks"]);
        if kill {
            other.kill();
        } else {
            other.end();
        }
        let told = socket.of("file-lock-change").await;
        assert_eq!((&told["locked"], &told["holder"]), (&json!(false), &json!(null)));
        assert_eq!(server.get("/api/locks").await, json!({"locks": []}));
    }
    server.end().await;
}

/// SERVE-4: a lock that is there when the first client comes is told of.
#[tokio::test(flavor = "multi_thread")]
async fn there_before() {
    let server = Server::new().await;
    let path = server.root().join("a.json");
    let other = Other::holds(&["lock", path.to_str().unwrap()]);
    let mut socket = server.socket(None).await;
    assert_eq!(socket.of("file-lock-change").await["locked"], true);
    other.end();
    assert_eq!(socket.of("file-lock-change").await["locked"], false);
    server.end().await;
}

/// SERVE-4: a script's flock(1), which changes no file, is seen on a file that somebody looks at.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn without_a_signature() {
    let server = Server::new().await;
    std::fs::write(server.root().join(".a.json.lock"), "").unwrap();
    std::fs::write(server.root().join("a.json"), "{}").unwrap();
    let mut socket = server.socket(None).await;
    socket.say(json!({"type": "viewing", "path": "a.json"})).await;
    socket.about("presence", "a.json").await;
    let lock = server.root().join(".a.json.lock");
    // Opened for reading: nothing is changed and closed.
    let other = Other::shell(&format!("exec 9<'{}'; flock 9; echo @held; read -r _", lock.display()));
    let told = socket.of("file-lock-change").await;
    assert_eq!((&told["path"], &told["locked"]), (&json!("a.json"), &json!(true)));
    other.end();
    assert_eq!(socket.of("file-lock-change").await["locked"], false);
    server.end().await;
}

/// SERVE-4, LOCK-13: a lease of another process is told of, and that its time is over.
#[tokio::test(flavor = "multi_thread")]
async fn leases_of_others() {
    let server = Server::new().await;
    let path = server.root().join("a.json");
    let mut socket = server.socket(None).await;
    socket.of("hello").await;
    let other = Other::holds(&["lease", path.to_str().unwrap(), "1500"]);
    let told = loop {
        let told = socket.of("file-lock-change").await;
        if told.get("lease").is_some() {
            break told;
        }
    };
    assert_eq!(told["lease"]["holder"]["session"], "other");
    assert_eq!(told["lease"]["purpose"], "deploy.py");
    assert!(told["lease"].get("token").is_none(), "the number is its holder's");
    let over = loop {
        let told = socket.of("file-lock-change").await;
        if told.get("lease").is_none() {
            break told;
        }
    };
    assert_eq!(over["locked"], false);
    other.end();
    server.end().await;
}

/// SERVE-4: while nobody is there, nothing is looked at; who comes then is told how it is.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_there() {
    let server = Server::new().await;
    let path = server.root().join("a.json");
    drop(server.socket(None).await);
    let mut gone = server.get("/api/status").await;
    while gone["clients"] != json!([]) {
        tokio::task::yield_now().await;
        gone = server.get("/api/status").await;
    }
    let other = Other::holds(&["lock", path.to_str().unwrap()]);
    let mut socket = server.socket(None).await;
    assert_eq!(socket.about("file-lock-change", "a.json").await["locked"], true);
    other.end();
    server.end().await;
}

/// SERVE-6a: a write that was left queued is told of when it has come to its end.
#[tokio::test(flavor = "multi_thread")]
async fn queued_writes() {
    let server = Server::new().await;
    let path = server.root().join("a.json");
    let mut socket = server.socket(None).await;
    let other = Other::holds(&["lock", path.to_str().unwrap()]);
    let body = json!({"content": "{}\n", "wait": 0, "ifLocked": "queue"});
    let (status, taken) = server.json("ann", "PUT", "/api/files/a.json", &body).await;
    assert_eq!(status.as_u16(), 202, "{taken}");
    assert_eq!(server.get("/api/status").await["queuedWrites"], 1);
    other.end();
    let told = socket.of("write-done").await;
    assert_eq!((&told["id"], &told["path"], &told["state"]), (&taken["id"], &json!("a.json"), &json!("written")));
    assert_eq!(std::fs::read(&path).unwrap(), b"{}\n");
    server.end().await;
}
