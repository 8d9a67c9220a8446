//! Many calls at the same time, to one server and to several.

use serde_json::{Value, json};

use crate::client::{Client, Project};

const EDITS: usize = 40;

/// A text with a line for each edit, far enough from the others.
fn text() -> String {
    (0..EDITS).map(|n| format!("head {n}\nvalue {n}\ntail {n}\n\n")).collect()
}

/// AGENT-1: 40 edits of different places that are under way at the same time all survive, through 1, 2 and 4 server processes; also those that
/// were made for the version before all of them.
#[test]
fn different_places() {
    for servers in [1, 2, 4] {
        for with_base in [false, true] {
            let project = Project::new();
            project.write("a.txt", text());
            let mut clients: Vec<_> = (0..servers).map(|_| project.start()).collect();
            let base = clients[0].done("read", &json!({"path": "a.txt"}))["hash"].clone();
            let mut sent = Vec::new();
            for n in 0..EDITS {
                let edit = json!({"old_text": format!("value {n}\n"), "new_text": format!("changed {n}\n")});
                let mut arguments = json!({"path": "a.txt", "edits": [edit]});
                if with_base {
                    arguments["base_hash"] = base.clone();
                }
                let id = clients[n % servers].begin_call("edit", &arguments);
                sent.push((n, id));
            }
            for (n, id) in sent {
                let answer = clients[n % servers].answer(id).unwrap();
                let told = Client::told(&answer);
                assert_eq!(told["ok"], true, "{servers} servers: {told}");
            }
            assert_eq!(project.read("a.txt"), text().replace("value", "changed"), "{servers} servers");
        }
    }
}

/// AGENT-1: of 40 edits of one place one is made, and the others are told what is there.
#[test]
fn one_place() {
    for servers in [1, 4] {
        let project = Project::new();
        project.write("a.txt", "value\n");
        let mut clients: Vec<_> = (0..servers).map(|_| project.start()).collect();
        let sent: Vec<_> = (0..EDITS)
            .map(|n| {
                let edit = json!({"old_text": "value", "new_text": format!("of {n}")});
                clients[n % servers].begin_call("edit", &json!({"path": "a.txt", "edits": [edit]}))
            })
            .collect();
        let mut winners = Vec::new();
        for (n, id) in sent.into_iter().enumerate() {
            let told = Client::told(&clients[n % servers].answer(id).unwrap());
            if told["ok"] == true {
                winners.push(n);
            } else {
                assert_eq!(told["kind"], "conflict", "{told}");
                let conflict = &told["conflict"];
                assert_eq!(conflict["mine"], format!("of {n}"), "{told}");
                assert!(
                    conflict["by"].as_str().unwrap().starts_with("test-cl-") && conflict["at"].is_string(),
                    "{told}"
                );
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(project.read("a.txt"), format!("of {}\n", winners[0]));
    }
}

/// AGENT-1: calls of all kinds at the same time: every one that was answered as made is in the file.
#[test]
fn all_kinds() {
    let project = Project::with_workspace();
    project.write("a.json", "{\n  \"n\": {}\n}\n");
    project.write("log.txt", "");
    let mut clients: Vec<_> = (0..3).map(|_| project.start()).collect();
    let mut sent = Vec::new();
    for n in 0..30 {
        let key = if n % 5 == 0 { json!(format!("key {n}")) } else { Value::Null };
        let (tool, arguments) = if n % 2 == 0 {
            ("append", json!({"path": "log.txt", "text": format!("{n}"), "idempotency_key": key, "wait_ms": 60000}))
        } else {
            (
                "patch_doc",
                json!({"path": "a.json", "merge_patch": {"n": {format!("k{n}"): n}}, "idempotency_key": key, "wait_ms": 60000}),
            )
        };
        sent.push((n % 3, clients[n % 3].begin_call(tool, &arguments)));
    }
    for (client, id) in sent {
        let told = Client::told(&clients[client].answer(id).unwrap());
        assert_eq!(told["ok"], true, "{told}");
    }
    let mut lines: Vec<usize> = project.read("log.txt").lines().map(|line| line.parse().unwrap()).collect();
    lines.sort_unstable();
    assert_eq!(lines, (0..30).step_by(2).collect::<Vec<_>>());
    let document: Value = serde_json::from_str(&project.read("a.json")).unwrap();
    assert_eq!(document["n"].as_object().unwrap().len(), 15, "{document}");
}

/// AGENT-7: a call that the client calls off waits no longer; the others go on.
#[test]
fn called_off() {
    let project = Project::new();
    project.write("a.txt", "a\n");
    let mut client = project.start();
    let file = filelatch::Filelatch::new().file(project.path("a.txt")).unwrap();
    let guard = file.lock(&filelatch::LockOptions::new()).unwrap();
    let edit = json!({"path": "a.txt", "edits": [{"old_text": "a", "new_text": "b"}], "wait_ms": 60000});
    let ids: Vec<_> = (0..3).map(|_| client.begin_call("edit", &edit)).collect();
    for id in &ids {
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}));
    }
    // Looking goes on while others wait.
    assert_eq!(client.done("read", &json!({"path": "a.txt"}))["content"], "a\n");
    let told = client.refused(
        "edit",
        &json!({"path": "a.txt", "edits": [{"old_text": "a", "new_text": "c"}], "wait_ms": 0}),
        "locked",
    );
    assert_eq!(told["holder"]["pid"], std::process::id(), "{told}");
    drop(guard);
    let (status, rest) = client.end();
    assert!(status.success() && rest.is_empty(), "{status} {rest:?}");
    assert!(["a\n", "b\n"].contains(&project.read("a.txt").as_str()));
}
