//! `edit`, `write`, `patch_doc`, `append`: what they make of a file, and when they refuse.

use std::fs;

use serde_json::{Value, json};

use crate::client::{Client, Project};

fn hash(client: &mut Client, path: &str) -> String {
    client.done("read", &json!({"path": path}))["hash"].as_str().unwrap().to_owned()
}

/// AGENT-2: exact texts and anchors, several at once, with what the answer says; the file's bytes stay what they were elsewhere.
#[test]
fn edits() {
    let project = Project::new();
    project.write("a.txt", "\u{feff}one\r\ntwo\r\nthree\r\nfour");
    let mut client = project.start();
    let read = client.done("read", &json!({"path": "a.txt", "anchors": true}));
    let anchor = |line: usize| {
        let line = read["content"].as_str().unwrap().lines().nth(line - 1).unwrap();
        line.split_once('|').unwrap().0.to_owned()
    };
    let edits = json!([
        {"old_text": "one\ntwo", "new_text": "1\n1.5\n2"},
        {"anchor": anchor(3), "new_text": "3"},
        {"anchor": anchor(4), "at": "after", "new_text": "five"},
    ]);
    let dry = client.done("edit", &json!({"path": "a.txt", "edits": edits, "dry_run": true}));
    assert_eq!(dry["outcome"], "dry_run");
    assert!(dry["diff"].as_str().unwrap().contains("+1.5"), "{dry}");
    assert!(project.read("a.txt").starts_with("\u{feff}one"), "a dry run writes nothing");
    let told = client.done("edit", &json!({"path": "a.txt", "edits": edits, "base_hash": read["hash"]}));
    assert_eq!(project.read("a.txt"), "\u{feff}1\r\n1.5\r\n2\r\n3\r\nfour\r\nfive");
    assert_eq!((&told["outcome"], &told["previous_hash"]), (&json!("written"), &read["hash"]));
    assert_eq!(told["hash"], hash(&mut client, "a.txt"));
    assert_eq!(told["hash"], dry["hash"]);
    assert_eq!(told["changed"][0]["start_line"], 1);
    assert!(told["by"].as_str().unwrap().starts_with("test-cl-"), "{told}");
    let none = client.done("edit", &json!({"path": "a.txt", "edits": [{"old_text": "five", "new_text": "five"}]}));
    assert_eq!((&none["outcome"], &none["hash"]), (&json!("unchanged"), &told["hash"]));
}

/// AGENT-2: one edit that does not fit: none is made. Ambiguous ones are refused with the places.
#[test]
fn all_or_none() {
    let project = Project::new();
    project.write("a.txt", "a\nb\na\nc\n");
    let mut client = project.start();
    let told = client.refused(
        "edit",
        &json!({"path": "a.txt", "edits": [{"old_text": "b", "new_text": "B"}, {"old_text": "a", "new_text": "A"}]}),
        "ambiguous",
    );
    let lines: Vec<_> =
        told["places"].as_array().unwrap().iter().map(|place| place["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [1, 3]);
    assert_eq!(told["places"][0]["text"], "a");
    let told = client.refused(
        "edit",
        &json!({"path": "a.txt", "edits": [{"old_text": "b", "new_text": "B"}, {"old_text": "  c\n", "new_text": "C"}]}),
        "conflict",
    );
    assert_eq!((&told["conflict"]["places"][0]["line"], &told["conflict"]["theirs"]), (&json!(4), &json!("c\n")));
    assert_eq!(told["conflict"]["mine"], "C");
    assert_eq!(told["next"][0]["tool"], "read");
    assert_eq!(project.read("a.txt"), "a\nb\na\nc\n");
    client.done("edit", &json!({"path": "a.txt", "edits": [{"old_text": "a", "new_text": "A", "expected_count": 2}]}));
    assert_eq!(project.read("a.txt"), "A\nb\nA\nc\n");
}

/// AGENT-1: with the version that it was made for an edit is merged with what others wrote; overlapping ones are told with both sides, author
/// and the next call. Without a workspace, too.
#[test]
fn stale() {
    for project in [Project::new(), Project::with_workspace()] {
        let text: String = (1..=9).map(|n| format!("line {n}\n")).collect();
        project.write("a.txt", &text);
        let (mut client, mut other) =
            (project.start_with(&["--session", "alice"]), project.start_with(&["--session", "bob"]));
        let read = client.done("read", &json!({"path": "a.txt", "anchors": true}));
        let anchor = read["content"].as_str().unwrap().lines().nth(6).unwrap().to_owned();
        let edit = |old: &str, new: &str| json!({"path": "a.txt", "edits": [{"old_text": old, "new_text": new}]});
        other.done("edit", &edit("line 2\n", "line 2\nline 7\n"));
        // Ambiguous in what is there, but not in what the client has seen.
        let mut mine = edit("line 7\n", "LINE 7\n");
        client.refused("edit", &mine, "ambiguous");
        mine["base_hash"] = read["hash"].clone();
        let told = client.done("edit", &mine);
        assert_eq!(told["outcome"], "merged", "{told}");
        assert_eq!(told["others"][0]["by"], "bob", "{told}");
        assert_eq!(project.read("a.txt"), text.replace("line 7\n", "LINE 7\n").replace("line 2\n", "line 2\nline 7\n"));
        // The line of the anchor was changed by now.
        let by_anchor =
            json!({"path": "a.txt", "base_hash": read["hash"], "edits": [{"anchor": anchor, "new_text": "mine"}]});
        let told = client.refused("edit", &by_anchor, "conflict");
        let conflict = &told["conflict"];
        assert_eq!((&conflict["by"], &conflict["expected_hash"]), (&json!("alice"), &read["hash"]), "{told}");
        assert!(conflict["mine"].as_str().unwrap().contains("mine"), "{told}");
        assert!(conflict["theirs"].as_str().unwrap().contains("LINE 7"), "{told}");
        assert_eq!(conflict["current_hash"], hash(&mut other, "a.txt"));
        assert!(conflict["at"].is_string() && told["next"][0]["tool"] == "read", "{told}");
        let mut failing = edit("line 1\n", "x\n");
        (failing["base_hash"], failing["on_conflict"]) = (read["hash"].clone(), json!("fail"));
        client.refused("edit", &failing, "conflict");
        failing["base_hash"] = json!(hash(&mut other, "a.txt"));
        client.done("edit", &failing);
    }
}

/// AGENT-2: what can't be edited: nothing there, a directory, no text, empty texts, contradictions.
#[test]
fn not_edited() {
    let project = Project::new();
    project.write("a.txt", "a\n");
    project.write("empty.txt", "");
    project.write("d/x.txt", "x");
    project.write("b.bin", b"a\xff");
    project.write(".env", "a\n");
    let mut client = project.start();
    let one = json!([{"old_text": "a", "new_text": "b"}]);
    for (path, kind) in [
        ("none.txt", "not-found"),
        ("d", "not-a-file"),
        ("b.bin", "not-utf8"),
        (".env", "hidden"),
        ("../x", "outside-root"),
    ] {
        client.refused("edit", &json!({"path": path, "edits": one}), kind);
    }
    for edits in [
        json!([]),
        json!([{"new_text": "b"}]),
        json!([{"old_text": "a"}]),
        json!([{"old_text": "", "new_text": "b"}]),
        json!([{"old_text": "a", "anchor": "1:abcd", "new_text": "b"}]),
        json!([{"old_text": "a", "at": "before", "new_text": "b"}]),
        json!([{"anchor": "x", "new_text": "b"}]),
        json!([{"anchor": "1:abcd", "expected_count": 2, "new_text": "b"}]),
        json!([{"old_text": "a", "new_text": "b", "expected_count": 0}]),
        json!(vec![json!({"old_text": "a", "new_text": "a"}); 1001]),
    ] {
        client.refused("edit", &json!({"path": "a.txt", "edits": edits}), "malformed");
    }
    client.refused("edit", &json!({"path": "a.txt", "edits": one, "on_conflict": "fail"}), "malformed");
    let huge = json!([{"old_text": "a", "new_text": "x".repeat(11 << 20)}]);
    client.refused("edit", &json!({"path": "a.txt", "edits": huge}), "too-large");
    assert_eq!(project.read("a.txt"), "a\n");
    client.done("edit", &json!({"path": "empty.txt", "edits": [{"old_text": "", "new_text": "now\n"}]}));
    assert_eq!(project.read("empty.txt"), "now\n");
    drop(client);
    let mut reader = project.start_with(&["--read-only"]);
    reader.refused("edit", &json!({"path": "a.txt", "edits": one}), "read-only");
    let tools = reader.request("tools/list", &json!({}));
    assert!(tools["result"]["tools"].as_array().unwrap().iter().all(|tool| tool["name"] != "edit"), "{tools}");
    assert_eq!(project.read("a.txt"), "a\n");
}

/// AGENT-2: a whole file: created, replaced by who has read it, kept from who has not; line endings stay.
#[test]
fn writes() {
    let project = Project::new();
    let mut client = project.start();
    let write = |content: &str, more: Value| {
        let mut arguments = json!({"path": "d/a.txt", "content": content});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        arguments
    };
    let told = client.refused("write", &write("one\r\n", json!({})), "not-found");
    assert_eq!(told["next"][0]["arguments"]["mkdir"], true, "{told}");
    let first = client.done("write", &write("one\r\n", json!({"mkdir": true})));
    assert_eq!((&first["previous_hash"], &first["outcome"]), (&Value::Null, &json!("written")));
    client.refused("write", &write("two\n", json!({})), "needs-base");
    client.refused("write", &write("two\n", json!({"expect_absent": true})), "conflict");
    let second = client.done("write", &write("two\n2\n", json!({"base_hash": first["hash"]})));
    assert_eq!(project.read("d/a.txt"), "two\r\n2\r\n");
    let told = client.refused("write", &write("three\n", json!({"base_hash": first["hash"]})), "conflict");
    assert_eq!(told["conflict"]["current_hash"], second["hash"], "{told}");
    let last =
        client.done("write", &write("three\n", json!({"base_hash": first["hash"], "strategy": "last-write-wins"})));
    assert_eq!(last["overwrote"], second["hash"]);
    client.done("write", &write("four\n", json!({"strategy": "last-write-wins", "endings": "as_given"})));
    assert_eq!(project.read("d/a.txt"), "four\n");
    assert_eq!(client.done("write", &write("four\n", json!({})))["outcome"], "unchanged");
    client.refused(
        "write",
        &json!({"path": "x", "content": "", "base_hash": first["hash"], "expect_absent": true}),
        "malformed",
    );
    client.refused("write", &json!({"path": ".git/hooks/x", "content": "", "mkdir": true}), "hidden");
    assert!(!project.path(".git").exists());
}

/// AGENT-1: a whole file that was made from an older version is merged on demand; what does not fit is stored, where there is a workspace.
#[test]
fn merged_writes() {
    let project = Project::with_workspace();
    project.write("a.txt", "a\nb\nc\nd\ne\n");
    let mut client = project.start();
    let base = hash(&mut client, "a.txt");
    client.done("edit", &json!({"path": "a.txt", "edits": [{"old_text": "a\n", "new_text": "A\n"}]}));
    let write = |content: &str| json!({"path": "a.txt", "content": content, "base_hash": base, "strategy": "merge"});
    let told = client.done("write", &write("a\nb\nc\nd\nE\n"));
    assert_eq!(told["outcome"], "merged");
    assert_eq!(project.read("a.txt"), "A\nb\nc\nd\nE\n");
    let told = client.refused("write", &write("x\nb\nc\nd\ne\n"), "conflict");
    let conflict = &told["conflict"];
    assert!(conflict["id"].is_string() && conflict["mine"].as_str().unwrap().contains('x'), "{told}");
    assert!(told["next"].as_array().unwrap().iter().any(|next| next["tool"] == "conflicts"), "{told}");
    assert_eq!(project.read("a.txt"), "A\nb\nc\nd\nE\n");
    let unknown = json!({"path": "a.txt", "content": "x", "base_hash": "0".repeat(64), "strategy": "merge"});
    client.refused("write", &unknown, "conflict");
}

/// AGENT-2: documents keep their comments, appended text begins a line.
#[test]
fn documents_and_ends() {
    let project = Project::new();
    project.write("a.json", "{\r\n  \"a\": 1, // one\r\n  \"b\": [1, 2]\r\n}\r\n");
    project.write("log.txt", "first");
    let mut client = project.start();
    let told = client.done("patch_doc", &json!({"path": "a.json", "format": "jsonc", "merge_patch": {"a": 2}}));
    assert_eq!(project.read("a.json"), "{\r\n  \"a\": 2, // one\r\n  \"b\": [1, 2]\r\n}\r\n");
    assert_eq!(told["changed"], json!([{"start_line": 2, "lines_removed": 1, "lines_added": 1}]));
    let failing = json!([{"op": "test", "path": "/a", "value": 1}, {"op": "remove", "path": "/b"}]);
    client.refused("patch_doc", &json!({"path": "a.json", "format": "jsonc", "json_patch": failing}), "patch-failed");
    client.refused("patch_doc", &json!({"path": "log.txt", "merge_patch": {}}), "unknown-format");
    client.refused("patch_doc", &json!({"path": "a.json", "merge_patch": {}, "json_patch": []}), "malformed");
    client.refused("patch_doc", &json!({"path": "new.yaml", "merge_patch": {"a": 1}}), "not-found");
    client.done("patch_doc", &json!({"path": "new.yaml", "merge_patch": {"a": 1}, "create": {}}));
    assert_eq!(project.read("new.yaml"), "a: 1\n");
    let told = client.done("append", &json!({"path": "log.txt", "text": "second"}));
    assert_eq!((project.read("log.txt").as_str(), &told["start_line"]), ("first\nsecond\n", &json!(2)));
    client.refused("append", &json!({"path": "new.txt", "text": "a"}), "not-found");
    client.done("append", &json!({"path": "new.txt", "text": "a", "create": true, "newline": false}));
    assert_eq!(project.read("new.txt"), "a");
}

/// AGENT-2: several files, all or none; with what each has become.
#[test]
fn several() {
    let project = Project::with_workspace();
    project.write("a.txt", "old_name\n");
    project.write("b.json", "{\"n\": 1}\n");
    project.write("gone.txt", "x\n");
    let mut client = project.start();
    let gone = hash(&mut client, "gone.txt");
    let changes = |old: &str| {
        json!([
            {"path": "a.txt", "edits": [{"old_text": old, "new_text": "new_name"}]},
            {"path": "b.json", "merge_patch": {"n": 2}},
            {"path": "c/new.txt", "content": "c\n", "expect_absent": true},
            {"path": "gone.txt", "remove": true, "base_hash": gone},
        ])
    };
    let told = client.refused("apply_many", &json!({"changes": changes("missing"), "mkdir": true}), "conflict");
    assert_eq!(told["path"], "a.txt");
    assert_eq!((project.read("b.json").as_str(), project.path("gone.txt").exists()), ("{\"n\": 1}\n", true));
    let dry = client.done("apply_many", &json!({"changes": changes("old_name"), "mkdir": true, "dry_run": true}));
    assert!(dry["files"][0]["diff"].is_string() && project.path("gone.txt").exists(), "{dry}");
    let told = client.done("apply_many", &json!({"changes": changes("old_name"), "mkdir": true}));
    assert_eq!(told["files"][3]["hash"], Value::Null);
    assert_eq!(told["files"][0]["hash"], hash(&mut client, "a.txt"));
    assert_eq!((project.read("a.txt").as_str(), project.read("b.json").as_str()), ("new_name\n", "{\"n\": 2}\n"));
    assert_eq!((project.read("c/new.txt").as_str(), project.path("gone.txt").exists()), ("c\n", false));
    let two = |a: Value, b: Value| json!({"changes": [a, b]});
    let content = |path: &str| json!({"path": path, "content": "x\n"});
    client.refused("apply_many", &two(content("a.txt"), content("n.txt")), "needs-base");
    client.refused("apply_many", &two(content("n.txt"), json!({"path": "b.json", "remove": true})), "needs-base");
    client.refused("apply_many", &two(content("n.txt"), json!({"path": "b.json"})), "malformed");
    client.refused("apply_many", &json!({"changes": []}), "malformed");
    assert!(client.call("apply_many", &two(content("n.txt"), content("n.txt")))["ok"] == false);
    assert!(!project.path("n.txt").exists());
    let without = Project::new();
    let mut client = without.start();
    let told = client.refused("apply_many", &two(content("n.txt"), content("m.txt")), "no-workspace");
    assert_eq!(told["next"][0]["run"], "filelatch init", "{told}");
    client.done("apply_many", &json!({"changes": [content("n.txt")]}));
}

/// AGENT-3: a call with a key is made once; with other arguments the key is refused; another server knows it, where there is a workspace.
#[test]
fn keys() {
    for (project, remembered) in [(Project::with_workspace(), "workspace"), (Project::new(), "process")] {
        project.write("log.txt", "");
        let mut client = project.start();
        let append = |key: &str, text: &str| json!({"path": "log.txt", "text": text, "idempotency_key": key});
        let first = client.done("append", &append("k1", "one"));
        assert_eq!(first["remembered"], remembered, "{first}");
        let again = client.done("append", &append("k1", "one"));
        assert_eq!((&again["outcome"], &again["hash"]), (&json!("repeated"), &first["hash"]));
        client.refused("append", &append("k1", "two"), "key-reused");
        client.refused(
            "edit",
            &json!({"path": "log.txt", "edits": [{"old_text": "x", "new_text": "y"}], "idempotency_key": "k2"}),
            "conflict",
        );
        // A refused call leaves its key free.
        client.done("append", &append("k2", "two"));
        client.refused("append", &append("", "x"), "malformed");
        assert_eq!(project.read("log.txt"), "one\ntwo\n");
        if remembered == "workspace" {
            let mut other = project.start();
            assert_eq!(other.done("append", &append("k2", "two"))["outcome"], "repeated");
            let many = json!({"changes": [{"path": "log.txt", "edits": [{"old_text": "one", "new_text": "1"}]}], "idempotency_key": "k3"});
            assert_eq!(other.done("apply_many", &many)["outcome"], "written");
            assert_eq!(client.done("apply_many", &many)["outcome"], "repeated");
            assert_eq!(project.read("log.txt"), "1\ntwo\n");
        }
    }
}

/// AGENT-5: a lease of another process is kept, and its token lets the holder write, with a key too.
#[test]
#[cfg(unix)]
fn leased() {
    let project = Project::with_workspace();
    project.write("a.txt", "a\n");
    let mut client = project.start();
    let edit = |more: Value| {
        let mut arguments = json!({"path": "a.txt", "edits": [{"old_text": "a", "new_text": "b"}], "wait_ms": 0});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        arguments
    };
    let (done, holds) = (project.path("done"), project.path("holds"));
    for path in [&done, &holds] {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    }
    // Holds the lease until somebody opens `done`.
    let mut holder = crate::client::command();
    holder.args(["run", "--max-hold", "60s"]).arg(project.path("a.txt")).args(["--", "sh", "-c"]);
    holder.arg(format!("echo held > '{}'; cat '{}'", holds.display(), done.display()));
    let mut holder = holder.spawn().unwrap();
    fs::read(&holds).unwrap();
    let told = client.refused("edit", &edit(json!({})), "leased");
    assert_eq!(told["holder"]["pid"], holder.id(), "{told}");
    assert!(told["retry_after_ms"].as_u64().unwrap() > 0);
    client.refused("edit", &edit(json!({"idempotency_key": "k"})), "leased");
    client.refused("edit", &edit(json!({"lease_token": 1})), "lease-lost");
    client.refused("edit", &edit(json!({"lease_token": 1, "idempotency_key": "k"})), "lease-lost");
    assert_eq!(project.read("a.txt"), "a\n");
    fs::write(&done, "").unwrap();
    holder.wait().unwrap();
    client.done("edit", &edit(json!({"wait_ms": 5000, "idempotency_key": "k"})));
    assert_eq!(project.read("a.txt"), "b\n");
}

/// AGENT-5: who has the lease writes by its token, with a key too; others do not, and the token is worth nothing once it is given back.
#[test]
fn under_a_lease() {
    let project = Project::with_workspace();
    project.write("a.txt", "0\n");
    let (mut client, mut other) = (project.start(), project.start());
    let token = client.done("lease", &json!({"action": "acquire", "path": "a.txt", "seconds": 60}))["token"].clone();
    let edit = |old: &str, new: &str, more: Value| {
        let mut arguments = json!({"path": "a.txt", "edits": [{"old_text": old, "new_text": new}], "wait_ms": 0});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        arguments
    };
    other.refused("edit", &edit("0", "x", json!({"idempotency_key": "other"})), "leased");
    client.done("edit", &edit("0", "1", json!({"lease_token": token})));
    client.done("edit", &edit("1", "2", json!({"lease_token": token, "idempotency_key": "mine"})));
    let again = client.done("edit", &edit("1", "2", json!({"lease_token": token, "idempotency_key": "mine"})));
    assert_eq!((project.read("a.txt").as_str(), &again["outcome"]), ("2\n", &json!("repeated")));
    client.done("lease", &json!({"action": "release", "path": "a.txt", "token": token}));
    client.refused("edit", &edit("2", "3", json!({"lease_token": token})), "lease-lost");
    client.refused("edit", &edit("2", "3", json!({"lease_token": token, "idempotency_key": "late"})), "lease-lost");
    other.done("edit", &edit("2", "3", json!({})));
    assert_eq!(project.read("a.txt"), "3\n");
}

/// AGENT-6: what writes follows links within the root, keeps them, and does not follow others.
#[test]
#[cfg(unix)]
fn through_links() {
    use std::os::unix::fs::symlink;
    let (project, elsewhere) = (Project::new(), Project::new());
    project.write("a.txt", "a\n");
    project.write(".env", "a\n");
    elsewhere.write("b.txt", "a\n");
    symlink("a.txt", project.path("link.txt")).unwrap();
    symlink(".env", project.path("innocent.txt")).unwrap();
    symlink(elsewhere.path("b.txt"), project.path("out.txt")).unwrap();
    symlink(elsewhere.root(), project.path("dir")).unwrap();
    let mut client = project.start();
    let edit = |path: &str| json!({"path": path, "edits": [{"old_text": "a", "new_text": "b"}]});
    client.done("edit", &edit("link.txt"));
    assert_eq!(project.read("a.txt"), "b\n");
    assert!(fs::symlink_metadata(project.path("link.txt")).unwrap().is_symlink());
    client.refused("edit", &edit("innocent.txt"), "hidden");
    // Neither are folders made on the way to what is hidden.
    fs::create_dir(project.path(".git")).unwrap();
    symlink(".git", project.path("plain")).unwrap();
    client.refused("write", &json!({"path": "plain/a/b.txt", "content": "x", "mkdir": true}), "hidden");
    assert_eq!(fs::read_dir(project.path(".git")).unwrap().count(), 0);
    for path in ["out.txt", "dir/b.txt", "dir/new.txt"] {
        client.refused("edit", &edit(path), "outside-root");
        let write = json!({"path": path, "content": "x", "strategy": "last-write-wins", "mkdir": true});
        client.refused("write", &write, "outside-root");
        client.refused("append", &json!({"path": path, "text": "x", "create": true}), "outside-root");
        client.refused("apply_many", &json!({"changes": [{"path": path, "content": "x"}]}), "outside-root");
    }
    assert_eq!(elsewhere.read("b.txt"), "a\n");
    assert!(!elsewhere.path("new.txt").exists());
}
