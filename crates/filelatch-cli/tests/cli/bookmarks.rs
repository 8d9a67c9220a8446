//! `filelatch bookmark` and `filelatch group`.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

fn workspace() -> Sandbox {
    let s = Sandbox::new();
    s.run(["init", "--no-git"]).exits(0);
    std::fs::create_dir(s.path("src")).unwrap();
    s.write("src/a.txt", "x\n");
    s
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

/// STORE-4: bookmarks are added, listed, filtered, renamed, followed and removed; the paths are relative to the workspace, from wherever
/// they are given.
#[test]
fn bookmarks() {
    let s = workspace();
    let add = [
        "--session",
        "alice",
        "bookmark",
        "add",
        "todo",
        "src/a.txt:3",
        "--note",
        "fix this",
        "--tag",
        "b",
        "--tag",
        "a",
    ];
    assert_eq!(s.run(add).exits(0).text(), "todo  src/a.txt:3\n");
    let inner = s.run(["bookmark", "add", "--dir", "src", "inner", "a.txt", "--json"]).exits(0).json();
    assert_eq!((&inner["path"], &inner["line"], &inner["success"]), (&json!("src/a.txt"), &json!(null), &json!(true)));
    s.run(["bookmark", "add", "a folder", "src"]).exits(0);
    assert_eq!(
        s.run(["bookmark", "list"]).exits(0).text(),
        "a folder  src\ninner     src/a.txt\ntodo      src/a.txt:3  #a #b  fix this\n"
    );
    let listed = s.run(["bookmark", "list", "--json", "--tag", "a"]).exits(0).json();
    let mut todo = listed["bookmarks"][0].clone();
    assert!(todo["addedAt"].take().as_str().unwrap().ends_with('Z'));
    let wanted = json!({"name": "todo", "path": "src/a.txt", "line": 3, "note": "fix this", "tags": ["a", "b"],
        "addedBy": "alice", "addedAt": null, "exists": true});
    assert_eq!((todo, &listed["damaged"]), (wanted, &json!([])));
    let list = |options: &[&str]| {
        s.run(["bookmark", "list", "--json"].iter().chain(options)).exits(0).json()["bookmarks"].clone()
    };
    assert_eq!(names(&list(&["--by", "alice"])), ["todo"]);
    assert_eq!(names(&list(&["--path", "src/a.txt"])), ["inner", "todo"]);
    assert_eq!(names(&list(&["--path", "src/"])), ["a folder", "inner", "todo"]);
    assert_eq!(names(&list(&["--path", "sr"])), Vec::<&str>::new());
    s.run(["bookmark", "rename", "todo", "done"]).exits(0);
    let path = s.run(["bookmark", "path", "done"]).exits(0).text();
    assert!(path.trim_end().ends_with("a.txt") && std::fs::exists(path.trim_end()).unwrap(), "{path}");
    std::fs::remove_file(s.path("src/a.txt")).unwrap();
    assert!(s.run(["bookmark", "list"]).exits(0).text().contains("done      src/a.txt:3 (missing)"));
    s.run(["bookmark", "remove", "done"]).exits(0);
    assert_eq!(names(&list(&[])), ["a folder", "inner"]);
}

/// STORE-4: what is refused: names that are taken or missing, paths that are missing or lie elsewhere, folders without a workspace.
#[test]
fn refused_bookmarks() {
    let s = Sandbox::new();
    s.run(["bookmark", "list"]).exits(1).says("in no workspace");
    s.run(["group", "create", "g"]).exits(1).says("in no workspace");
    let s = workspace();
    s.run(["bookmark", "list"]).exits(0).says("there is no such bookmark");
    s.run(["bookmark", "remove", "x"]).exits(5).says("no bookmark `x`");
    assert_eq!(s.names(), [".filelatch", "src"], "looking makes nothing");
    s.run(["bookmark", "add", "x", "src"]).exits(0);
    let before = s.bytes(".filelatch/stores/bookmarks.json");
    s.run(["bookmark", "add", "x", "src"]).exits(3).says("`x` already");
    s.run(["bookmark", "add", "y", "gone"]).exits(5).says("does not exist");
    s.run(["bookmark", "add", "y", "src/a.txt/b"]).exits(5);
    s.run(["bookmark", "add", "y", "src/a.txt:0"]).exits(2).says("no line");
    s.run(["bookmark", "add", "y", ".."]).exits(1).says("outside of the workspace");
    s.run(["bookmark", "add", "", "src"]).exits(1).says("1 to 256 bytes");
    s.run(["bookmark", "add", "a\nb", "src"]).exits(1).says("a\\nb");
    s.run(["bookmark", "rename", "gone", "y"]).exits(5);
    s.run(["bookmark", "path", "gone"]).exits(5);
    let error = s.run(["bookmark", "rename", "x", "", "--json"]).exits(1).json();
    assert_eq!(error["error"]["kind"], "invalid");
    assert_eq!(s.bytes(".filelatch/stores/bookmarks.json"), before);
    s.run(["bookmark", "add", "x", "src/a.txt", "--replace"]).exits(0);
    s.run(["bookmark", "add", "x:1", "src/a.txt"]).exits(0);
    s.write("src/b:7", "");
    assert_eq!(s.run(["bookmark", "add", "b", "src/b:7"]).exits(0).text(), "b  src/b:7\n");
    let stored = s.value(".filelatch/stores/bookmarks.json");
    assert_eq!(stored["records"]["b"]["path"], "src/b:7", "a file of that name, not a line");
}

/// STORE-4: damaged bookmarks are named and hide no others; the file is not written over, a newer one not at all, and one that leads out of
/// the workspace is not followed.
#[test]
fn damaged_bookmarks() {
    let s = workspace();
    s.run(["bookmark", "add", "good", "src"]).exits(0);
    let text = s.text(".filelatch/stores/bookmarks.json");
    let damaged = text.replacen("\"records\": {", "\"records\": {\n    \"bad\\u001b\": 7,\n    \"out\": {\"path\": \"../etc\", \"addedBy\": \"x\", \"addedAt\": \"?\"},", 1);
    s.write(".filelatch/stores/bookmarks.json", &damaged);
    let listed = s.run(["bookmark", "list"]).exits(1).says("line 4: the record `bad\\u{1b}`");
    assert_eq!(listed.text(), "good  src\nout   ../etc (missing)\n");
    let listed = s.run(["bookmark", "list", "--json"]).exits(1).json();
    assert_eq!(names(&listed["bookmarks"]), ["good", "out"]);
    assert_eq!(names(&listed["damaged"]), ["bad\u{1b}"]);
    s.run(["bookmark", "path", "out"]).exits(1).says("out of the workspace");
    s.run(["bookmark", "add", "bad\u{1b}", "src"]).exits(3);
    assert_eq!(s.text(".filelatch/stores/bookmarks.json"), damaged);
    s.run(["bookmark", "add", "more", "src"]).exits(0);
    assert!(s.text(".filelatch/stores/bookmarks.json").contains("\"bad\\u001b\": 7,"), "it stays");
    for (bytes, kind) in [
        ("{\"version\": 2, \"records\": {}}", "newer-form"),
        ("{}", "damaged"),
        ("", "bad-document"),
        ("[", "bad-document"),
    ] {
        s.write(".filelatch/stores/bookmarks.json", bytes);
        for command in [&["bookmark", "list"][..], &["bookmark", "add", "z", "src"], &["bookmark", "remove", "good"]] {
            let error = s.run(command.iter().chain(&["--json"])).exits(1).json();
            assert!(!error["error"]["hints"].as_array().unwrap().is_empty(), "{error}");
            if kind != "bad-document" {
                assert_eq!(error["error"]["kind"], kind, "{bytes}");
            }
        }
        assert_eq!(s.text(".filelatch/stores/bookmarks.json"), bytes);
    }
}

/// STORE-4: groups: made, joined by the current session or by name, left and deleted; joining twice and leaving twice is no error.
#[test]
fn groups() {
    let s = workspace();
    s.run(["group", "list"]).exits(0).says("there is no such group");
    s.run(["group", "join", "g", "bob"]).exits(5).says("no group `g`");
    s.run(["group", "create", "g", "--note", "the g"]).exits(0);
    s.run(["group", "create", "g"]).exits(3).says("`g` already");
    s.run(["group", "join", "g"]).exits(2).says("has no name").says("--session");
    assert_eq!(s.run(["group", "list"]).exits(0).text(), "g  (nobody)  the g\n");
    s.run(["group", "join", "g", "--session", "bob"]).exits(0);
    let joined = s.run(["group", "list", "--json"]).exits(0).json()["groups"][0]["members"].clone();
    s.run(["--session", "bob", "group", "join", "g"]).exits(0).says("bob is in it already");
    assert_eq!(s.run(["group", "list", "--json"]).exits(0).json()["groups"][0]["members"], joined, "since when it was");
    assert_eq!(s.run(["group", "join", "g", "carol", "--json"]).exits(0).json()["joined"], true);
    assert_eq!(s.run(["group", "join", "g", "carol", "--json"]).exits(0).json()["joined"], false);
    s.run(["group", "join", "g", "a\nb"]).exits(1).says("name of a session");
    s.run(["group", "create", "h"]).exits(0);
    s.run(["group", "join", "h", "carol"]).exits(0);
    assert_eq!(s.run(["group", "list"]).exits(0).text(), "g  bob, carol  the g\nh  carol\n");
    assert_eq!(s.run(["group", "list", "--of", "bob"]).exits(0).text(), "g  bob, carol  the g\n");
    s.run(["group", "leave", "g", "carol"]).exits(0);
    s.run(["group", "leave", "g", "carol"]).exits(0).says("carol was not in it");
    assert_eq!(s.run(["group", "leave", "h", "--session", "carol", "--json"]).exits(0).json()["left"], true);
    assert_eq!(s.run(["group", "list"]).exits(0).text(), "g  bob       the g\nh  (nobody)\n");
    s.run(["group", "delete", "h"]).exits(0);
    s.run(["group", "delete", "h"]).exits(5);
    assert_eq!(names(&s.run(["group", "list", "--json"]).exits(0).json()["groups"]), ["g"]);
}

/// STORE-4: many commands at once: no bookmark and no member is lost.
#[test]
fn many_at_once() {
    let s = workspace();
    s.run(["group", "create", "g"]).exits(0);
    let mut commands: Vec<_> = (0..12)
        .flat_map(|n| {
            let add = s
                .command(["bookmark", "add", &format!("b{n:02}"), "src", "--timeout", "60s"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let join = s
                .command(["group", "join", "g", &format!("s{n:02}"), "--timeout", "60s"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            [add, join]
        })
        .collect();
    assert!(commands.iter_mut().all(|command| command.wait().unwrap().success()));
    assert_eq!(names(&s.run(["bookmark", "list", "--json"]).exits(0).json()["bookmarks"]).len(), 12);
    let groups = s.run(["group", "list", "--json"]).exits(0).json();
    assert_eq!(groups["groups"][0]["members"].as_array().unwrap().len(), 12);
}
