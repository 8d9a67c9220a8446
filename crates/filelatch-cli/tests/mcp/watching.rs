//! `changes`: what has changed since a cursor, whose it was, over restarts; waits.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::client::{Client, Project};

fn cursor(told: &Value) -> String {
    told["cursor"].as_str().unwrap().to_owned()
}

fn paths(told: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    told["changes"].as_array().unwrap().iter().map(|change| (text(&change["path"]), text(&change["kind"]))).collect()
}

fn is(path: &str, kind: &str) -> (String, String) {
    (path.to_owned(), kind.to_owned())
}

/// Another program's write in one step: of one in two steps a watch may see both.
fn put(project: &Project, name: &str, bytes: &str) {
    let path = project.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let beside = project.root().parent().unwrap();
    let mut file = tempfile::NamedTempFile::new_in(beside).unwrap();
    file.write_all(bytes.as_bytes()).unwrap();
    file.persist(path).unwrap();
}

/// AGENT-5: what was changed before the call is in its answer, in order, and only once; globs choose; hidden files are not there.
#[test]
fn since_a_cursor() {
    let project = Project::new();
    put(&project, "a.txt", "one");
    let mut client = project.start();
    let first = client.done("changes", &json!({}));
    assert_eq!(first["changes"], json!([]));
    put(&project, "a.txt", "two");
    put(&project, "src/b.rs", "new");
    put(&project, ".env", "secret");
    let told = client.done("changes", &json!({"cursor": cursor(&first)}));
    assert_eq!(paths(&told), [is("a.txt", "modified"), is("src/b.rs", "created")], "{told}");
    let change = &told["changes"][0];
    assert_eq!((&change["origin"], change["hash"].as_str().unwrap().len()), (&json!("external"), 64), "{told}");
    assert_eq!(client.done("changes", &json!({"cursor": cursor(&told)}))["changes"], json!([]));
    let some = client.done("changes", &json!({"cursor": cursor(&first), "paths": ["src/**"]}));
    assert_eq!(paths(&some), [is("src/b.rs", "created")]);
    let one = client.done("changes", &json!({"cursor": cursor(&first), "max": 1}));
    assert_eq!((paths(&one).len(), &one["more"]), (1, &json!(true)));
    let rest = client.done("changes", &json!({"cursor": cursor(&one)}));
    assert_eq!(paths(&rest), [is("src/b.rs", "created")]);
    std::fs::remove_file(project.path("a.txt")).unwrap();
    let gone = client.done("changes", &json!({"cursor": cursor(&rest)}));
    assert_eq!(paths(&gone), [is("a.txt", "deleted")]);
}

/// AGENT-5: a long poll wakes for the first change; one that is called off ends, and others go on.
#[test]
fn waits() {
    let project = Project::new();
    let mut client = project.start();
    let first = client.done("changes", &json!({}));
    let arguments = json!({"cursor": cursor(&first), "wait_ms": 60000});
    let waits = client.begin_call("changes", &arguments);
    // The server goes on answering others meanwhile.
    client.done("status", &json!({}));
    put(&project, "a.txt", "one");
    let told = Client::told(&client.answer(waits).unwrap());
    assert_eq!(paths(&told), [is("a.txt", "created")], "{told}");
    let off = client.begin_call("changes", &json!({"cursor": cursor(&told), "wait_ms": 60000}));
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": off}}));
    put(&project, "b.txt", "one");
    let told = client.done("changes", &json!({"cursor": cursor(&told), "wait_ms": 60000}));
    assert_eq!(paths(&told), [is("b.txt", "created")], "{told}");
    // The end of the input ends a wait, too.
    client.begin_call("changes", &json!({"cursor": cursor(&told), "wait_ms": 60000}));
    assert!(client.end().0.success());
}

/// AGENT-5: after a restart a cursor goes on without a gap, where there is a workspace; where that can't be, and after a kill, it says so.
#[test]
fn over_restarts() {
    let project = Project::with_workspace();
    put(&project, "a.txt", "one");
    let mut client = project.start();
    let first = client.done("changes", &json!({}));
    put(&project, "a.txt", "two");
    let told = client.done("changes", &json!({"cursor": cursor(&first)}));
    assert_eq!(paths(&told), [is("a.txt", "modified")]);
    assert!(client.end().0.success());
    put(&project, "a.txt", "three");
    put(&project, "b.txt", "new");
    let mut client = project.start();
    let on = client.done("changes", &json!({"cursor": cursor(&told)}));
    assert_eq!(on.get("reset"), None, "{on}");
    let mut found = paths(&on);
    found.sort();
    assert_eq!(found, [is("a.txt", "modified"), is("b.txt", "created")], "{on}");
    // Another server at the same time has cursors of its own.
    let mut other = project.start();
    let others = other.done("changes", &json!({}));
    assert_ne!(cursor(&others).split(':').next(), cursor(&on).split(':').next());
    let reset = other.done("changes", &json!({"cursor": cursor(&on)}));
    assert_eq!(reset["reset"], true, "{reset}");
    client.kill();
    put(&project, "c.txt", "new");
    let mut client = project.start();
    let on = client.done("changes", &json!({"cursor": cursor(&on)}));
    assert!(on["reset"] == true || paths(&on).contains(&is("c.txt", "created")), "{on}");
    // Without a workspace the next server knows nothing.
    let bare = Project::new();
    let mut client = bare.start();
    let first = client.done("changes", &json!({}));
    assert!(client.end().0.success());
    let mut client = bare.start();
    let told = client.done("changes", &json!({"cursor": cursor(&first)}));
    assert_eq!(told["reset"], true, "{told}");
    let told = client.done("changes", &json!({"cursor": cursor(&told)}));
    assert_eq!(told.get("reset"), None, "{told}");
}

/// AGENT-6: what is no request for changes is refused.
#[test]
fn malformed() {
    let project = Project::new();
    let mut client = project.start();
    for arguments in [
        json!({"cursor": "x"}),
        json!({"cursor": 3}),
        json!({"cursor": "mcp-99:00000000000012ab-7"}),
        json!({"max": 0}),
        json!({"max": 1001}),
        json!({"paths": []}),
        json!({"paths": ["a[".repeat(200)]}),
        json!({"paths": ["[z-a]"]}),
        json!({"since": 1}),
        json!({"wait_ms": -1}),
    ] {
        client.refused("changes", &arguments, "malformed");
    }
}
