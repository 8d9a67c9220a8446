//! Kept versions: `history`, `restore`.

use serde_json::json;

use crate::sandbox::Sandbox;

/// A workspace, and a file with four versions behind it.
fn written(config: &str) -> Sandbox {
    let s = Sandbox::new();
    s.run(["init", "--no-git"]).exits(0);
    s.write(".filelatch/config.toml", config);
    for text in ["one\n", "two\n", "three\n", "four\n", "five\n"] {
        s.run_with(text, ["write", "a.txt", "--session", "alice"]).exits(0);
    }
    s
}

/// KEEP-1: what is kept is listed, newest first, the file as it is before it.
#[test]
fn history() {
    let s = written("");
    let ran = s.run(["history", "a.txt"]).exits(0);
    let text = ran.text();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let column = |n: usize| rows.iter().map(|row| row[n]).collect::<Vec<_>>();
    assert_eq!(column(0), ["@0", "@1", "@2", "@3", "@4"], "{ran:?}");
    assert_eq!(column(2), ["5", "5", "6", "4", "4"]);
    assert_eq!(column(5), ["alice"; 5], "{ran:?}");
    let told = s.run(["history", "a.txt", "--json"]).exits(0).json();
    let hash = |name: &str| s.run(["hash", name]).exits(0).text()[..64].to_owned();
    s.write("four", "four\n");
    assert_eq!(told["versions"][0]["hash"], hash("four"));
    assert_eq!(told["current"]["hash"], hash("a.txt"));
    assert_eq!((&told["exists"], &told["versions"][3]["generation"]), (&json!(true), &json!(1)));
    assert!(told["versions"][0]["at"].as_str().unwrap().ends_with('Z'), "{told}");
    assert_eq!(told["versions"].as_array().unwrap().len(), 4);
    // Of a file that is gone, too.
    std::fs::remove_file(s.path("a.txt")).unwrap();
    let told = s.run(["history", "a.txt", "--json"]).exits(0).json();
    assert_eq!((&told["exists"], told["versions"].as_array().unwrap().len()), (&json!(false), 4));
    s.run(["history", "other"]).exits(0).says("nothing is kept of it yet");
}

/// KEEP-1: brought back by hash, by digits, by number; refused when the file is not what was expected; what it replaces is kept.
#[test]
fn restore() {
    let s = written("");
    let told = s.run(["history", "a.txt", "--json"]).exits(0).json();
    let hash = |at: usize| told["versions"][at]["hash"].as_str().unwrap().to_owned();
    let current = told["current"]["hash"].as_str().unwrap();
    let ran = s.run(["restore", "a.txt", &hash(3)[..16], "--expect", current]).exits(0);
    assert_eq!((ran.text(), s.text("a.txt")), (format!("{}\n", hash(3)), "one\n".to_owned()));
    s.run(["restore", "a.txt", &hash(0), "--expect", current]).exits(3);
    assert_eq!(s.text("a.txt"), "one\n");
    let told = s.run(["restore", "a.txt", "@1", "--json"]).exits(0).json();
    assert_eq!((&told["outcome"], s.text("a.txt")), (&json!("written"), "five\n".to_owned()));
    std::fs::remove_file(s.path("a.txt")).unwrap();
    s.run(["restore", "a.txt", &hash(1)]).exits(0);
    assert_eq!(s.text("a.txt"), "three\n");
}

/// KEEP-1: what can't be: no workspace, no such version, too few digits, a version that was changed since.
#[test]
fn refused() {
    let s = written("");
    for wrong in ["@9", "@0", "@x", "0123456789abcdef", "0123"] {
        let told = s.run(["restore", "a.txt", wrong, "--json"]).exits(1).json();
        assert_eq!(told["error"]["kind"], "no-such-version", "{told}");
        assert!(told["error"]["hints"][0].as_str().unwrap().contains("filelatch history a.txt"), "{told}");
    }
    let told = s.run(["history", "a.txt", "--json"]).exits(0).json();
    let folder = s.path(".filelatch/versions/a.txt");
    for entry in std::fs::read_dir(&folder).unwrap() {
        std::fs::write(entry.unwrap().path(), "changed").unwrap();
    }
    s.run(["restore", "a.txt", told["versions"][2]["hash"].as_str().unwrap()])
        .exits(1)
        .says("was changed since it was kept");
    assert_eq!(s.text("a.txt"), "five\n");
    let s = Sandbox::new();
    s.write("a.txt", "x");
    s.run(["history", "a.txt"]).exits(1).says("is in no workspace: no versions of it are kept").says("filelatch init");
}

/// KEEP-1: versions beyond the bounds go, by the policy's or by others; `none` keeps nothing.
#[test]
fn prune() {
    let s = written("keep_versions = 2\n");
    let ran = s.run(["history", "a.txt", "--prune"]).exits(0);
    assert_eq!(ran.text(), "removed 2 versions with 8 bytes, left 2\n");
    let told = s.run(["history", "a.txt", "--prune", "--keep", "1", "--json"]).exits(0).json();
    assert_eq!(told, json!({"path": "a.txt", "removed": 1, "removedBytes": 6, "left": 1}));
    s.run(["history", "a.txt", "--keep", "1"]).exits(2);
    s.run(["history", "a.txt", "--prune", "--keep", "0"]).exits(0);
    assert_eq!(s.run(["history", "a.txt"]).exits(0).text().lines().count(), 1);
    let s = written("[[policy]]\nglob = \"*.txt\"\nkeep = \"none\"\n");
    s.run(["history", "a.txt"]).exits(0).says("the policy keeps no versions");
    assert!(!s.path(".filelatch/versions").exists());
}

/// KEEP-1: what differs, in unified format: by default from the newest version that is kept to the file as it is.
#[test]
fn diff() {
    let s = Sandbox::new();
    s.run(["init", "--no-git"]).exits(0);
    for text in ["", "one\ntwo words here\nthree\n", "one\ntwo words there\nthree"] {
        s.run_with(text, ["write", "a.txt"]).exits(0);
    }
    let wanted = "--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n one\n-two words here\n-three\n+two words there\n+three\n\
                  \\ No newline at end of file\n";
    for args in [&["diff", "a.txt"][..], &["diff", "a.txt", "@1"], &["diff", "a.txt", "@1", "@0"]] {
        assert_eq!(s.run(args).exits(0).text(), wanted, "{args:?}");
    }
    let back = s.run(["diff", "a.txt", "@0", "@1", "-U0"]).exits(0).text();
    assert!(back.contains("@@ -2,2 +2,2 @@") && back.contains("\n-two words there\n"), "{back}");
    let words = s.run(["diff", "a.txt", "--word"]).exits(0).text();
    assert!(words.contains("\n-two words [-here-]\n") && words.contains("\n+two words {+there+}\n"), "{words}");
    let colors = s.run(["diff", "a.txt", "--color", "always"]).exits(0).text();
    assert!(colors.contains("\u{1b}[31m") && colors.contains("\u{1b}[32m"), "{colors:?}");
    let told = s.run(["diff", "a.txt", "@2", "--json"]).exits(0).json();
    assert_eq!((&told["identical"], &told["binary"]), (&json!(false), &json!(false)));
    assert_eq!(told["hunks"][0]["lines"][0], json!({"kind": "added", "content": "one\n", "changed": []}));
    assert_eq!(s.run(["diff", "a.txt", "@1", "@1"]).exits(0).text(), "");
    std::fs::remove_file(s.path("a.txt")).unwrap();
    let gone = s.run(["diff", "a.txt"]).exits(0).text();
    assert!(gone.starts_with("--- a/a.txt\n+++ /dev/null\n"), "{gone}");
    s.run(["diff", "a.txt", "@7"]).exits(1).says("no version @7");
}
