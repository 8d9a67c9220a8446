//! What is told of files.

use std::fs;

use serde_json::json;

use crate::common::{Server, content};

/// SERVE-4: a client is told of changes by others, by other tabs and of removals, each with who it was.
#[tokio::test(flavor = "multi_thread")]
async fn whose_changes() {
    let server = Server::new().await;
    let mut socket = server.socket(None).await;
    let hello = socket.next().await.unwrap();
    assert_eq!((&hello["type"], &hello["session"]), (&json!("hello"), &json!("web")));
    assert_eq!(hello["client"].as_str().unwrap().len(), 16);

    let (_, written) = server.json("tab-1", "PUT", "/api/files/a.json", &content("{}\n")).await;
    let told = socket.of("file-changed").await;
    assert_eq!((&told["path"], &told["kind"]), (&json!("a.json"), &json!("created")));
    assert_eq!((&told["by"], &told["origin"]), (&json!("tab-1"), &json!("session")));
    assert_eq!((&told["hash"], &told["size"]), (&written["hash"], &json!(3)));

    fs::write(server.root().join("a.json"), "[1]\n").unwrap();
    let told = socket.of("file-changed").await;
    assert_eq!(
        (&told["kind"], &told["by"], &told["origin"]),
        (&json!("modified"), &json!("external"), &json!("external"))
    );
    assert!(told["at"].as_str().unwrap().ends_with('Z'));

    fs::rename(server.root().join("a.json"), server.root().join("b.json")).unwrap();
    let told = socket.of("file-changed").await;
    assert_eq!((&told["kind"], &told["path"], &told["from"]), (&json!("renamed"), &json!("b.json"), &json!("a.json")));

    fs::remove_file(server.root().join("b.json")).unwrap();
    let told = socket.of("file-changed").await;
    assert_eq!((&told["kind"], &told["hash"]), (&json!("deleted"), &json!(null)));
    server.end().await;
}

/// SERVE-7: of what is hidden nothing is told; a file that moves there is gone, one that comes from there is new.
#[tokio::test(flavor = "multi_thread")]
async fn hidden_files() {
    let server = Server::new().await;
    let mut socket = server.socket(None).await;
    fs::write(server.root().join(".env"), "KEY=1").unwrap();
    fs::write(server.root().join("seen"), "1").unwrap();
    assert_eq!(socket.of("file-changed").await["path"], "seen");
    fs::rename(server.root().join("seen"), server.root().join("secret.pem")).unwrap();
    let told = socket.of("file-changed").await;
    assert_eq!((&told["path"], &told["kind"]), (&json!("seen"), &json!("deleted")));
    fs::rename(server.root().join("secret.pem"), server.root().join("out")).unwrap();
    let told = socket.of("file-changed").await;
    assert_eq!((&told["path"], &told["kind"], told.get("from")), (&json!("out"), &json!("created"), None));
    server.end().await;
}

/// SERVE-4: who comes back with a cursor gets what was told meanwhile; with one that is not known, `reset`.
#[tokio::test(flavor = "multi_thread")]
async fn resumed() {
    let server = Server::new().await;
    let mut first = server.socket(None).await;
    let begin = first.of("hello").await["cursor"].as_str().unwrap().to_owned();
    for n in 0..5 {
        fs::write(server.root().join(format!("{n}.txt")), "x").unwrap();
        first.about("file-changed", &format!("{n}.txt")).await;
    }
    let mut cursors = Vec::new();
    let mut second = server.socket(Some(&begin)).await;
    assert_eq!(second.of("hello").await["cursor"], *begin);
    for n in 0..5 {
        let told = second.next().await.unwrap();
        assert_eq!(told["path"], format!("{n}.txt"));
        cursors.push(told["cursor"].as_str().unwrap().to_owned());
    }
    let mut third = server.socket(Some(&cursors[2])).await;
    assert_eq!(third.of("file-changed").await["path"], "3.txt");
    for unknown in ["0123456789abcdef-3", "nonsense", "", "%00", "-1", "99999999999999999999-1"] {
        let mut socket = server.socket(Some(unknown)).await;
        // Who loses the connection before it has read on is to come back with the same.
        let hello = socket.of("hello").await;
        assert_eq!(hello["cursor"], unknown.replace("%00", "\0"));
        let reset = socket.next().await.unwrap();
        assert_eq!((&reset["type"], reset["cursor"] != hello["cursor"]), (&json!("reset"), true), "{unknown}");
    }
    // A server that was started again knows no cursor of the one before.
    let again = Server::again(server.end().await).await;
    let mut socket = again.socket(Some(&cursors[4])).await;
    socket.of("hello").await;
    assert_eq!(socket.next().await.unwrap()["type"], "reset");
    again.end().await;
}

/// SERVE-4: a conflict that another program stores is told of, and that it was resolved; so is what happens in a queue.
#[tokio::test(flavor = "multi_thread")]
async fn conflicts_and_queues() {
    use filelatch::store::StoreFolder;
    use filelatch::store::queue::NewCommand;
    use filelatch::{Expect, Filelatch, Resolution, Strategy, WriteOptions};
    let server = Server::new().await;
    let mut socket = server.socket(None).await;
    socket.of("hello").await;
    let latch = Filelatch::builder().session("other").build();
    let root = server.root().to_owned();
    let other = tokio::task::spawn_blocking({
        let (latch, root) = (latch.clone(), root.clone());
        move || {
            let file = latch.file(root.join("a.txt")).unwrap();
            file.write(b"1\n", &WriteOptions::new()).unwrap();
            let base = file.read().unwrap().version();
            file.write(b"2\n", &WriteOptions::new()).unwrap();
            let options = WriteOptions::new().expect(Expect::Version(base)).strategy(Strategy::Merge).base(&b"1\n"[..]);
            let refused = file.write(b"3\n", &options).unwrap_err();
            let filelatch::Error::Conflict(conflict) = refused else { panic!("{refused}") };
            conflict.unmerged.unwrap().id.unwrap()
        }
    });
    let id = other.await.unwrap();
    let told = socket.of("conflict").await;
    assert_eq!((&told["id"], &told["path"], &told["state"]), (&json!(id), &json!("a.txt"), &json!("open")));
    let resolving = {
        let (latch, root) = (latch.clone(), root.clone());
        tokio::task::spawn_blocking(move || {
            latch.resolve(root, &id, &Resolution::Mine, &WriteOptions::new()).map(drop).unwrap();
        })
    };
    resolving.await.unwrap();
    assert_eq!(socket.of("conflict").await["state"], "resolved");
    let queueing = tokio::task::spawn_blocking(move || {
        let path = latch.store_path(&root, StoreFolder::Queues, "build", true).unwrap();
        latch.queue(path).unwrap().add(NewCommand::new(["true"])).map(drop).unwrap();
    });
    queueing.await.unwrap();
    assert_eq!(socket.of("queue-changed").await["queue"], "build");
    server.end().await;
}

/// SERVE-4: the audit log is told of to those who ask for it, and to nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn audit() {
    let server = Server::new().await;
    let (mut one, mut other) = (server.socket(None).await, server.socket(None).await);
    one.say(json!({"type": "subscribe", "audit": true})).await;
    // Following has begun once something is told.
    let mut n = 0;
    let record = loop {
        n += 1;
        server.json("tab", "PUT", &format!("/api/files/{n}.txt"), &content("x")).await;
        one.about("file-changed", &format!("{n}.txt")).await;
        let told = tokio::time::timeout(std::time::Duration::from_millis(500), one.of("audit")).await;
        if let Ok(told) = told {
            break told["record"].clone();
        }
        assert!(n < 100, "nothing is told of the audit log");
    };
    assert_eq!(record["event"], "write", "{record}");
    server.json("tab", "PUT", "/api/files/last.txt", &content("x")).await;
    loop {
        let message = other.next().await.unwrap();
        assert_ne!(message["type"], "audit");
        if message["path"] == "last.txt" {
            break;
        }
    }
    server.end().await;
}
