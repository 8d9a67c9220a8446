//! What a workspace remembers: conflicts, history. Sessions, the doctor, resources, roots.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::client::{Client, Project, command};

/// Writes a file through the command line; its status and the answer.
fn write(project: &Project, args: &[&str], content: &str) -> (Option<i32>, Value) {
    let mut command = command();
    command.current_dir(project.root()).args(["--json", "write"]).args(args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(content.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

/// A file with two versions that do not fit; the stored conflict's id.
fn conflict(project: &Project, file: &str) -> String {
    let (_, base) = write(project, &["--session", "ann", file], "one\n");
    write(project, &["--session", "bob", file], "theirs\n");
    let expect = base["hash"].as_str().unwrap();
    let (status, refused) =
        write(project, &["--session", "cid", "--strategy", "merge", "--expect", expect, file], "mine\n");
    assert_eq!(status, Some(3), "{refused}");
    refused["conflictInfo"]["conflictId"].as_str().unwrap().to_owned()
}

/// AGENT-5: an open conflict is listed, shown with all sides, and resolved, once; what may not be seen is not there.
#[test]
fn conflicts() {
    let project = Project::with_workspace();
    let id = conflict(&project, "a.txt");
    let mut client = project.start_with(&["--session", "dot"]);
    let listed = client.done("conflicts", &json!({}));
    assert_eq!(
        (&listed["conflicts"][0]["id"], &listed["conflicts"][0]["path"]),
        (&json!(id), &json!("a.txt")),
        "{listed}"
    );
    assert_eq!(client.done("conflicts", &json!({"path": "b.txt"}))["conflicts"], json!([]));
    assert_eq!(client.done("status", &json!({}))["open_conflicts"], 1);
    let shown = client.done("conflicts", &json!({"action": "show", "id": id[..6]}));
    let contents = &shown["contents"];
    assert_eq!(
        (&contents["base"], &contents["mine"], &contents["theirs"]),
        (&json!("one\n"), &json!("mine\n"), &json!("theirs\n"))
    );
    assert!(contents["merged"].as_str().unwrap().contains("<<<<<<<"), "{shown}");
    assert_eq!(
        (&shown["conflicts"][0]["mine"]["by"], &shown["conflicts"][0]["theirs"]["by"]),
        (&json!("cid"), &json!("bob"))
    );
    // The resources say the same.
    let resources = client.request("resources/list", &json!({}));
    let uris: Vec<_> =
        resources["result"]["resources"].as_array().unwrap().iter().map(|one| one["uri"].as_str().unwrap()).collect();
    let uri = format!("filelatch://conflicts/{id}");
    assert_eq!(uris, ["filelatch://status", uri.as_str()]);
    let read = client.request("resources/read", &json!({"uri": uri}));
    let text: Value = serde_json::from_str(read["result"]["contents"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!((&text["contents"]["mine"], &text["conflict"]["id"]), (&json!("mine\n"), &json!(id)));
    let status = client.request("resources/read", &json!({"uri": "filelatch://status"}));
    let status: Value = serde_json::from_str(status["result"]["contents"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!((&status["open_conflicts"], &status["session"]), (&json!(1), &json!("dot")));
    let templates = client.request("resources/templates/list", &json!({}));
    assert_eq!(templates["result"]["resourceTemplates"][0]["uriTemplate"], "filelatch://conflicts/{id}");
    for uri in ["filelatch://conflicts/ffffffff", "filelatch://nothing", "file:///etc/passwd", ""] {
        let refused = client.request("resources/read", &json!({"uri": uri}));
        assert!(refused["error"]["message"].is_string(), "{refused}");
    }
    // Decided for another version than is there: nothing is written.
    let mut decision =
        json!({"action": "resolve", "id": id, "keep": "content", "content": "both\n", "expected_hash": "0".repeat(64)});
    client.refused("conflicts", &decision, "conflict");
    assert_eq!(project.read("a.txt"), "theirs\n");
    decision["expected_hash"] = contents["current_hash"].clone();
    let resolved = client.done("conflicts", &decision);
    assert_eq!(
        (&resolved["resolved"]["outcome"], &resolved["resolved"]["by"]),
        (&json!("written"), &json!("dot")),
        "{resolved}"
    );
    assert_eq!(project.read("a.txt"), "both\n");
    assert_eq!(client.done("conflicts", &json!({}))["conflicts"], json!([]));
    let again = client.call("conflicts", &decision);
    assert_eq!(again["ok"], false, "{again}");
    for (arguments, kind) in [
        (json!({"action": "show"}), "malformed"),
        (json!({"action": "resolve", "id": id}), "malformed"),
        (json!({"action": "resolve", "id": id, "keep": "content"}), "malformed"),
        (json!({"action": "resolve", "id": id, "keep": "mine", "content": "x"}), "malformed"),
        (json!({"action": "show", "id": "ffffffff"}), "no-such-conflict"),
        (json!({"action": "forget"}), "malformed"),
    ] {
        client.refused("conflicts", &arguments, kind);
    }
    let id = conflict(&project, "b.txt");
    let mut hidden = project.start_with(&["--deny", "b.txt"]);
    assert_eq!(hidden.done("conflicts", &json!({}))["conflicts"], json!([]));
    hidden.refused("conflicts", &json!({"action": "show", "id": id}), "no-such-conflict");
    let mut reader = project.start_with(&["--read-only"]);
    reader.refused("conflicts", &json!({"action": "resolve", "id": id, "keep": "mine"}), "read-only");
}

/// AGENT-5: former versions are listed, shown, compared and restored; a restore for another version than is there is refused.
#[test]
fn history() {
    let project = Project::with_workspace();
    let (_, one) = write(&project, &["--session", "ann", "a.txt"], "one\n");
    write(&project, &["--session", "bob", "a.txt"], "two\n");
    let mut client = project.start_with(&["--session", "dot"]);
    let listed = client.done("history", &json!({"path": "a.txt"}));
    assert_eq!(
        (&listed["versions"][0]["hash"], &listed["versions"][0]["by"]),
        (&one["hash"], &json!("ann")),
        "{listed}"
    );
    assert_eq!(listed["current"]["by"], "bob");
    let shown = client.done("history", &json!({"action": "show", "path": "a.txt", "version": one["hash"]}));
    assert_eq!(shown["content"], "one\n");
    let diff = client.done("history", &json!({"action": "diff", "path": "a.txt"}));
    assert!(diff["diff"].as_str().unwrap().contains("-one\n+two\n"), "{diff}");
    let mut restore =
        json!({"action": "restore", "path": "a.txt", "version": one["hash"], "expected_hash": one["hash"]});
    client.refused("history", &restore, "conflict");
    assert_eq!(project.read("a.txt"), "two\n");
    restore["expected_hash"] = listed["current"]["hash"].clone();
    let restored = client.done("history", &restore);
    assert_eq!(
        (&restored["hash"], &restored["previous_hash"]),
        (&one["hash"], &listed["current"]["hash"]),
        "{restored}"
    );
    assert_eq!((&restored["outcome"], &restored["by"]), (&json!("written"), &json!("dot")));
    assert_eq!(project.read("a.txt"), "one\n");
    for (arguments, kind) in [
        (json!({}), "malformed"),
        (json!({"path": "a.txt", "action": "show"}), "malformed"),
        (json!({"path": "a.txt", "action": "show", "version": "xyz"}), "malformed"),
        (json!({"path": "../a.txt"}), "outside-root"),
    ] {
        client.refused("history", &arguments, kind);
    }
    let unknown = client.call("history", &json!({"path": "a.txt", "action": "restore", "version": "0".repeat(64)}));
    assert_eq!(unknown["ok"], false, "{unknown}");
    // Without a workspace nothing is kept, and that is said.
    let bare = Project::new();
    bare.write("a.txt", "one\n");
    let mut client = bare.start();
    let told = client.call("history", &json!({"path": "a.txt"}));
    assert!(told["kind"] == "no-workspace" || told["versions"] == json!([]), "{told}");
}

fn git(project: &Project, dir: &str, args: &[&str]) {
    let names = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"];
    let output = Command::new("git").args(names).args(args).current_dir(project.path(dir)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// AGENT-5: a session is started, its work merged, and it is removed; what would be lost is refused.
#[test]
fn sessions() {
    let project = Project::new();
    project.write("a.txt", "one\n");
    git(&project, "", &["init", "-q"]);
    for (name, value) in [("user.name", "a"), ("user.email", "a@b")] {
        git(&project, "", &["config", name, value]);
    }
    git(&project, "", &["add", "."]);
    git(&project, "", &["commit", "-qm", "first"]);
    let mut client = project.start();
    assert_eq!(client.done("session", &json!({}))["sessions"], json!([]));
    let started = client.done("session", &json!({"action": "start", "name": "fix-1"}));
    let folder = started["sessions"][0]["folder"].as_str().unwrap().to_owned();
    project.write(&format!("{folder}/b.txt"), "new\n");
    git(&project, &folder, &["add", "."]);
    git(&project, &folder, &["commit", "-qm", "second"]);
    client.refused("session", &json!({"action": "start", "name": "fix-1"}), "session-exists");
    client.refused("session", &json!({"action": "remove", "name": "fix-1"}), "would-lose");
    let listed = client.done("session", &json!({}));
    assert_eq!(
        (&listed["sessions"][0]["name"], &listed["sessions"][0]["ahead"]),
        (&json!("fix-1"), &json!(1)),
        "{listed}"
    );
    let merged = client.done("session", &json!({"action": "merge", "name": "fix-1"}));
    assert_eq!(merged["merged"]["into"], "main", "{merged}");
    assert_eq!(project.read("b.txt"), "new\n");
    client.done("session", &json!({"action": "remove", "name": "fix-1"}));
    // Both sides change one line of a document: git alone would not merge that.
    project.write("c.json", "{\"a\": 1, \"b\": 1}\n");
    git(&project, "", &["add", "."]);
    git(&project, "", &["commit", "-qm", "third"]);
    let started = client.done("session", &json!({"action": "start", "name": "fix-2"}));
    let folder = started["sessions"][0]["folder"].as_str().unwrap().to_owned();
    project.write(&format!("{folder}/c.json"), "{\"a\": 2, \"b\": 1}\n");
    git(&project, &folder, &["commit", "-qam", "theirs"]);
    project.write("c.json", "{\"a\": 1, \"b\": 2}\n");
    git(&project, "", &["commit", "-qam", "ours"]);
    client.done("session", &json!({"action": "merge", "name": "fix-2"}));
    assert_eq!(project.read("c.json"), "{\"a\": 2, \"b\": 2}\n");
    for (arguments, kind) in [
        (json!({"action": "merge"}), "malformed"),
        (json!({"action": "start", "base": "--upload-pack=x"}), "malformed"),
        (json!({"action": "merge", "name": "nobody"}), "no-such-session"),
        (json!({"action": "start", "name": "../x"}), "usage"),
    ] {
        client.refused("session", &arguments, kind);
    }
    Project::new().start().refused("session", &json!({}), "no-repository");
}

/// AGENT-5: the doctor tells what is there and changes nothing unless it is asked to.
#[test]
fn doctor() {
    let project = Project::new();
    project.write("a.txt", "one\n");
    let mut client = project.start();
    let told = client.done("doctor", &json!({}));
    assert!(told["level"].is_string() && told["looked_at"].as_u64().unwrap() > 0, "{told}");
    client.done("doctor", &json!({"fix": true}));
    client.refused("doctor", &json!({"repair": true}), "malformed");
    project.start_with(&["--read-only"]).refused("doctor", &json!({"fix": true}), "read-only");
    assert_eq!(project.read("a.txt"), "one\n");
}

/// AGENT-6: roots of the client narrow what it sees, asked for once and again when they change; they open nothing.
#[test]
fn roots() {
    let project = Project::new();
    project.write("src/a.txt", "one");
    project.write("b.txt", "two");
    let mut client = Client::spawn(project.root(), &[]);
    let info = json!({"protocolVersion": "2025-06-18", "capabilities": {"roots": {"listChanged": true}}, "clientInfo": {"name": "x", "version": "1"}});
    client.request("initialize", &info);
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    let read = |client: &mut Client, path: &str, roots: Option<Value>| {
        let id = client.begin_call("read", &json!({"path": path}));
        if let Some(roots) = roots {
            let asked = client.message().unwrap();
            assert_eq!(asked["method"], "roots/list", "{asked}");
            client.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"roots": roots}}));
        }
        let told = Client::told(&client.answer(id).unwrap());
        told["kind"].as_str().map_or_else(|| told["content"].as_str().unwrap().to_owned(), str::to_owned)
    };
    let uri = |path: &str| json!([{"uri": format!("file://{}", project.path(path).display())}, {"uri": "file:///etc"}]);
    assert_eq!(read(&mut client, "src/a.txt", Some(uri("src"))), "one");
    assert_eq!(read(&mut client, "b.txt", None), "outside-root");
    assert_eq!(read(&mut client, "/etc/hostname", None), "outside-root");
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}));
    assert_eq!(read(&mut client, "b.txt", Some(uri(""))), "two");
}
