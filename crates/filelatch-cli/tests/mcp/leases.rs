//! `lease`: taken by one server, it keeps out all others; numbers, places in line, waits that are called off, the server's end.

use std::io::Write as _;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::client::{Client, Project, command};

/// Runs the command line in the project, as a session.
fn cli(project: &Project, session: &str, args: &[&str], input: &str) -> Output {
    let mut command = command();
    command.current_dir(project.root()).args(["--session", session]).args(args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn acquire(path: &str) -> Value {
    json!({"action": "acquire", "path": path, "seconds": 3600, "purpose": "a long change"})
}

/// AGENT-5, LOCK-13: while one server's client has a lease, another server's and the command line are refused and told who has it and where in line
/// they are; with the number it is written; once given back, everybody may.
#[test]
fn others_are_kept_out() {
    for project in [Project::with_workspace(), Project::new()] {
        project.write("a.txt", "one\n");
        let mut ann = project.start_with(&["--session", "ann"]);
        let mut bob = project.start_with(&["--session", "bob"]);
        let lease = ann.done("lease", &acquire("a.txt"));
        let token = lease["token"].as_u64().unwrap();
        assert_eq!(
            (&lease["held"], &lease["holder"]["session"], &lease["waiting"]),
            (&json!(true), &json!("ann"), &json!(0))
        );
        assert!(lease["expires_at"].is_string(), "{lease}");

        let refused = bob.refused("lease", &acquire("a.txt"), "leased");
        assert_eq!(
            (&refused["holder"]["session"], &refused["holder"]["place"]),
            (&json!("ann"), &json!(1)),
            "{refused}"
        );
        assert_eq!(refused["holder"]["purpose"], "a long change");
        assert!(
            refused["holder"]["since"].is_string() && refused["retry_after_ms"].as_u64().unwrap() > 1000,
            "{refused}"
        );
        assert_eq!(refused["next"][0]["tool"], "lease");
        let wrote = cli(&project, "eve", &["write", "a.txt", "--no-wait"], "three\n");
        assert_eq!(wrote.status.code(), Some(4), "{wrote:?}");
        assert!(String::from_utf8_lossy(&wrote.stderr).contains("is leased for at most"));
        assert_eq!(project.read("a.txt"), "one\n");

        let told = bob.done("lease", &json!({"action": "status", "path": "a.txt"}));
        assert_eq!((&told["holder"]["session"], told.get("token")), (&json!("ann"), None), "{told}");
        let status = bob.done("status", &json!({}));
        assert_eq!((&status["leases"][0]["path"], &status["session"]), (&json!("a.txt"), &json!("bob")), "{status}");
        bob.refused("lease", &json!({"action": "renew", "path": "a.txt", "token": token - 1}), "lease-lost");
        bob.refused("lease", &json!({"action": "release", "path": "a.txt"}), "malformed");
        // Asked for again by the same session: it is told of its own.
        let again = ann.refused("lease", &acquire("a.txt"), "leased");
        assert_eq!(again["next"][0]["arguments"]["token"], token, "{again}");

        let renewed = ann.done("lease", &json!({"action": "renew", "path": "a.txt", "token": token, "seconds": 600}));
        assert_eq!(renewed["token"], token);
        ann.done("lease", &json!({"action": "release", "path": "a.txt", "token": token}));
        let wrote = cli(&project, "eve", &["write", "a.txt", "--no-wait"], "three\n");
        assert!(wrote.status.success(), "{wrote:?}");
        let next = bob.done("lease", &acquire("a.txt"))["token"].as_u64().unwrap();
        assert!(next > token, "{next} after {token}");
        ann.refused("lease", &json!({"action": "renew", "path": "a.txt", "token": token}), "lease-lost");
    }
}

/// AGENT-5: the first to ask is the next to get it, also over several servers and refusals; others wait their turn.
#[test]
fn first_come_first_served() {
    let project = Project::with_workspace();
    let mut clients: Vec<_> = ["ann", "bob", "cid"].map(|name| project.start_with(&["--session", name])).into();
    let token = clients[0].done("lease", &acquire("a.txt"))["token"].as_u64().unwrap();
    for (client, place) in [(1, 1), (2, 2), (1, 1)] {
        let refused = clients[client].refused("lease", &acquire("a.txt"), "leased");
        assert_eq!(refused["holder"]["place"], place, "{refused}");
    }
    clients[0].done("lease", &json!({"action": "release", "path": "a.txt", "token": token}));
    // Free, and not for him yet.
    let refused = clients[2].refused("lease", &acquire("a.txt"), "leased");
    assert_eq!(refused["holder"]["place"], 2, "{refused}");
    let waits = clients[2].begin_call("lease", &json!({"action": "acquire", "path": "a.txt", "wait_ms": 60000}));
    let token = clients[1].done("lease", &acquire("a.txt"))["token"].as_u64().unwrap();
    clients[1].done("lease", &json!({"action": "release", "path": "a.txt", "token": token}));
    let told = Client::told(&clients[2].answer(waits).unwrap());
    assert_eq!((&told["ok"], &told["holder"]["session"]), (&json!(true), &json!("cid")), "{told}");
}

/// AGENT-5: a client that calls its wait off holds nothing afterwards and stands in nobody's way; it is told how it goes while it waits.
#[test]
fn a_wait_is_called_off() {
    let project = Project::with_workspace();
    let mut ann = project.start_with(&["--session", "ann"]);
    let mut bob = project.start_with(&["--session", "bob"]);
    let token = ann.done("lease", &acquire("a.txt"))["token"].as_u64().unwrap();
    let arguments = json!({"action": "acquire", "path": "a.txt", "wait_ms": 60000});
    let params = json!({"name": "lease", "arguments": arguments, "_meta": {"progressToken": "p"}});
    let waits = bob.begin("tools/call", &params);
    let progress = bob.message().unwrap();
    assert_eq!(
        (&progress["method"], &progress["params"]["progressToken"]),
        (&json!("notifications/progress"), &json!("p"))
    );
    bob.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": waits}}));
    // Somebody else is the first in line once that has come through.
    let mut cid = project.start_with(&["--session", "cid"]);
    loop {
        let refused = cid.refused("lease", &acquire("a.txt"), "leased");
        if refused["holder"]["place"] == 1 {
            break;
        }
    }
    ann.done("lease", &json!({"action": "release", "path": "a.txt", "token": token}));
    assert_eq!(cid.done("lease", &acquire("a.txt"))["holder"]["session"], "cid");
    assert_eq!(bob.done("status", &json!({}))["leases"][0]["holder"]["session"], "cid");
}

/// AGENT-5: a server that ends as it should gives back what was taken through it; a lease outlives a killed one, and goes on in the next by its number.
#[test]
fn ends_of_servers() {
    let project = Project::with_workspace();
    let mut ann = project.start_with(&["--session", "ann"]);
    ann.done("lease", &acquire("a.txt"));
    let (status, _) = ann.end();
    assert!(status.success());
    let mut ann = project.start_with(&["--session", "ann"]);
    let token = ann.done("lease", &acquire("a.txt"))["token"].as_u64().unwrap();
    ann.kill();
    let mut bob = project.start_with(&["--session", "bob"]);
    bob.refused("lease", &acquire("a.txt"), "leased");
    let mut ann = project.start_with(&["--session", "ann"]);
    ann.done("lease", &json!({"action": "renew", "path": "a.txt", "token": token}));
    ann.done("lease", &json!({"action": "release", "path": "a.txt", "token": token}));
    bob.done("lease", &acquire("a.txt"));
}

/// AGENT-6: what is no request for a lease is refused, and so is what may not be touched.
#[test]
fn malformed() {
    let project = Project::new();
    project.write(".env", "secret");
    let mut client = project.start();
    for (arguments, kind) in [
        (json!({}), "malformed"),
        (json!({"action": "take", "path": "a"}), "malformed"),
        (json!({"action": "acquire", "path": "a", "seconds": 0}), "malformed"),
        (json!({"action": "acquire", "path": "a", "seconds": 86401}), "malformed"),
        (json!({"action": "acquire", "path": "a", "purpose": "a\nb"}), "malformed"),
        (json!({"action": "acquire", "path": "a", "what": 1}), "malformed"),
        (json!({"action": "acquire", "path": "../a"}), "outside-root"),
        (json!({"action": "acquire", "path": ".env"}), "hidden"),
        (json!({"action": "release", "path": "a", "token": 1}), "lease-lost"),
    ] {
        client.refused("lease", &arguments, kind);
    }
    let mut reader = project.start_with(&["--read-only"]);
    reader.refused("lease", &acquire("a"), "read-only");
    reader.done("lease", &json!({"action": "status", "path": "a"}));
}
