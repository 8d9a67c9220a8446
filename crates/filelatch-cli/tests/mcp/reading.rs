//! `read`: contents, differences, lines, anchors, and what is not read.

use serde_json::json;

use crate::client::Project;

/// AGENT-4: the content with its hash and what there is to know; nothing when the client has it; the difference when that is shorter.
#[test]
fn known_hash() {
    let project = Project::new();
    let text: String = (0..200).map(|n| format!("line {n}\n")).collect();
    project.write("a.txt", &text);
    let mut client = project.start();
    let first = client.done("read", &json!({"path": "a.txt"}));
    assert_eq!(first["content"], text);
    assert_eq!((&first["size"], &first["lines"], &first["exists"]), (&json!(text.len()), &json!(200), &json!(true)));
    assert_eq!((&first["line_ending"], &first["bom"]), (&json!("lf"), &json!(false)));
    let hash = first["hash"].as_str().unwrap();
    for known in [hash, &hash[..16], &hash.to_uppercase()[..20]] {
        let again = client.done("read", &json!({"path": "a.txt", "known_hash": known}));
        assert_eq!((&again["unchanged"], again.get("content")), (&json!(true), None), "{known}");
    }
    project.write("a.txt", text.replace("line 100\n", "line one hundred\n"));
    let changed = client.done("read", &json!({"path": "a.txt", "known_hash": hash}));
    assert_eq!(changed.get("content"), None);
    let diff = changed["diff"].as_str().unwrap();
    assert!(diff.contains("-line 100\n+line one hundred\n"), "{diff}");
    assert_ne!(changed["hash"], first["hash"]);
    let unknown = "0".repeat(64);
    let other = client.done("read", &json!({"path": "a.txt", "known_hash": unknown}));
    assert!(other["content"].as_str().unwrap().contains("line one hundred"));
    assert_eq!(client.done("read", &json!({"path": "none.txt"}))["exists"], false);
    assert_eq!(client.done("read", &json!({"path": "no/dir.txt"}))["exists"], false);
}

/// AGENT-4: lines, and what is no line; anchors.
#[test]
fn lines() {
    let project = Project::new();
    project.write("a.txt", "\u{feff}one\r\ntwo\r\nthree");
    project.write("empty.txt", "");
    let mut client = project.start();
    let whole = client.done("read", &json!({"path": "a.txt"}));
    assert_eq!((&whole["content"], &whole["bom"]), (&json!("one\r\ntwo\r\nthree"), &json!(true)));
    assert_eq!(whole["line_ending"], "crlf");
    let some = client.done("read", &json!({"path": "a.txt", "start_line": 2, "end_line": 9}));
    assert_eq!(
        (&some["content"], &some["start_line"], &some["end_line"]),
        (&json!("two\r\nthree"), &json!(2), &json!(3))
    );
    let named = client.done("read", &json!({"path": "a.txt", "anchors": true, "end_line": 2}));
    let named: Vec<_> = named["content"].as_str().unwrap().lines().map(|line| line.split_once('|').unwrap()).collect();
    assert_eq!((named[0].1, named[1].1), ("one", "two"));
    assert!(named[1].0.starts_with("2:") && named[1].0.len() == 8, "{named:?}");
    client.refused("read", &json!({"path": "a.txt", "start_line": 4}), "no-such-line");
    client.refused("read", &json!({"path": "a.txt", "start_line": 0}), "malformed");
    client.refused("read", &json!({"path": "a.txt", "start_line": 3, "end_line": 2}), "malformed");
    let empty = client.done("read", &json!({"path": "empty.txt"}));
    assert_eq!((&empty["content"], &empty["lines"], &empty["line_ending"]), (&json!(""), &json!(0), &json!("none")));
}

/// AGENT-6: spellings of a path that lead to the file, and paths that lead nowhere.
#[test]
fn paths() {
    let project = Project::new();
    project.write("d/a.txt", "one\n");
    project.write(".env", "secret\n");
    project.write(".git/config", "x\n");
    project.write("image.png", b"\x89PNG\xff");
    let mut client = project.start();
    let whole = project.path("d/a.txt").to_str().unwrap().to_owned();
    for path in ["d/a.txt", "./d/a.txt", &whole, &format!("file://{whole}")] {
        let told = client.done("read", &json!({"path": path}));
        assert_eq!((&told["path"], &told["content"]), (&json!("d/a.txt"), &json!("one\n")), "{path}");
    }
    for (path, kind) in [
        ("../a.txt", "outside-root"),
        ("d/../../a.txt", "outside-root"),
        ("/etc/passwd", "outside-root"),
        ("file:///etc/passwd", "outside-root"),
        ("file://elsewhere/a", "outside-root"),
        ("", "bad-path"),
        (".", "bad-path"),
        ("d/", "bad-path"),
        ("d//a.txt", "bad-path"),
        ("a\u{0}b", "bad-path"),
        ("a\nb", "bad-path"),
        (".env", "hidden"),
        (".ENV", "hidden"),
        (".git/config", "hidden"),
        (".filelatch/config.toml", "hidden"),
        (".a.txt.lock", "hidden"),
        ("d", "not-a-file"),
        ("image.png", "not-utf8"),
    ] {
        let told = client.refused("read", &json!({"path": path}), kind);
        assert!(told["next"].as_array().is_some_and(|next| !next.is_empty()) || kind == "not-a-file", "{told}");
    }
    drop(client);
    let mut client = project.start_with(&["--allow", ".env", "--deny", "*.txt"]);
    assert_eq!(client.done("read", &json!({"path": ".env"}))["content"], "secret\n");
    client.refused("read", &json!({"path": "d/a.txt"}), "hidden");
}

/// AGENT-6: links within the root are followed, others and those to hidden files are not.
#[test]
#[cfg(unix)]
fn links() {
    use std::os::unix::fs::symlink;
    let (project, elsewhere) = (Project::new(), Project::new());
    project.write("a.txt", "one\n");
    project.write(".env", "secret\n");
    elsewhere.write("b.txt", "not yours\n");
    symlink("a.txt", project.path("link.txt")).unwrap();
    symlink(".env", project.path("innocent.txt")).unwrap();
    symlink(elsewhere.path("b.txt"), project.path("out.txt")).unwrap();
    symlink(elsewhere.root(), project.path("dir")).unwrap();
    let mut client = project.start();
    assert_eq!(client.done("read", &json!({"path": "link.txt"}))["content"], "one\n");
    client.refused("read", &json!({"path": "innocent.txt"}), "hidden");
    for path in ["out.txt", "dir/b.txt"] {
        let told = client.refused("read", &json!({"path": path}), "outside-root");
        assert!(!told.to_string().contains(elsewhere.root().to_str().unwrap()), "{told}");
    }
}

/// AGENT-4: who wrote a version; and a file that is larger than what is sent at once can be read in part.
#[test]
fn large() {
    let project = Project::new();
    let line = "x".repeat(99);
    let text: String = (0..120_000).map(|_| format!("{line}\n")).collect();
    project.write("large.txt", &text);
    let mut client = project.start();
    let told = client.refused("read", &json!({"path": "large.txt"}), "too-large");
    let next = told["next"][0]["arguments"].clone();
    let some = client.done("read", &next);
    assert_eq!((&some["lines"], &some["end_line"]), (&json!(120_000), &json!(1000)));
    assert!(some["by"].is_null() || some["by"] == "external", "{}", some["by"]);
}
