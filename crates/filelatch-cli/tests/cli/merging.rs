//! Writes that merge, stored conflicts, and where bases come from.

use std::thread;

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

const BASE: &str = "{\n  \"a\": 1,\n  \"b\": 1,\n  \"c\": 1\n}\n";

fn set(text: &str, key: &str, value: u32) -> String {
    let (before, after) = text.split_once(&format!("\"{key}\": ")).unwrap();
    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{before}\"{key}\": {value}{rest}")
}

fn hash(s: &Sandbox, file: &str) -> String {
    s.run(["read", "--json", file]).exits(0).json()["hash"].as_str().unwrap().to_owned()
}

/// A workspace with a file; its first hash.
fn workspace(file: &str) -> (Sandbox, String) {
    let s = Sandbox::new();
    s.run(["init", "--no-git"]).exits(0);
    s.write(file, BASE);
    let first = hash(&s, file);
    (s, first)
}

/// VER-4, MERGE-4: `write --strategy merge` says `merged`; a conflict is exit 3, with its id, nothing written, both versions stored; it is
/// listed, shown, and resolved.
#[test]
fn write_show_resolve() {
    let (s, first) = workspace("a.json");
    let merge = ["write", "a.json", "--strategy", "merge", "--json", "--expect", &first];
    let written = s.run_with(set(BASE, "a", 2), merge).exits(0).json();
    assert_eq!(written["outcome"], "written");
    let merged = s.run_with(set(BASE, "b", 3), merge).exits(0).json();
    assert_eq!(merged["outcome"], "merged");
    let both = set(&set(BASE, "a", 2), "b", 3);
    assert_eq!(s.text("a.json"), both);
    assert_eq!(merged["hash"], hash(&s, "a.json"));

    let refused = s.run_with(set(BASE, "a", 9), merge).exits(3).json();
    assert_eq!((&refused["success"], &refused["error"]["kind"]), (&json!(false), &json!("conflict")));
    let info = &refused["conflictInfo"];
    assert_eq!((&info["expectedHash"], &info["currentHash"]), (&json!(first), &merged["hash"]));
    assert_eq!((&info["cause"], &info["conflicts"], &info["baseHash"]), (&json!("merge"), &json!(1), &json!(first)));
    assert_eq!(s.text("a.json"), both, "nothing was written");
    let id = info["conflictId"].as_str().unwrap();
    let hints = refused["error"]["hints"].to_string();
    assert!(hints.contains(&format!("conflicts show {id}")), "{hints}");

    let listed = s.run(["conflicts", "--json"]).exits(0).json();
    assert_eq!(listed["conflicts"][0]["id"], id);
    assert_eq!(listed["conflicts"][0]["state"], "open");
    s.run(["conflicts"]).exits(0).shows(id);
    let status = s.run(["status", "--json"]).exits(0).json();
    assert_eq!(status["conflicts"][0]["id"], id);
    s.run(["status"]).exits(0).shows(id);
    s.run(["status", "a.json"]).exits(0).shows(id);

    let shown = s.run(["conflicts", "show", id, "--json"]).exits(0).json();
    assert_eq!(shown["hunks"].as_array().unwrap().len(), 1);
    assert!(shown["hunks"][0]["ours"].as_str().unwrap().contains("\"a\": 9"));
    assert!(shown["hunks"][0]["theirs"].as_str().unwrap().contains("\"a\": 2"));
    let text = s.run(["conflicts", "show", &id[..6]]).exits(0).text();
    assert!(text.contains("mine") && text.contains("\"a\": 9") && text.contains("--keep merged"), "{text}");
    let markers = s.run(["conflicts", "show", id, "--markers"]).exits(0).text();
    assert!(markers.contains("<<<<<<< mine\n") && markers.contains("\"b\": 3"), "{markers}");

    s.run(["conflicts", "resolve", id, "--keep", "merged"]).exits(3).says("marker");
    let resolved = s.run(["conflicts", "resolve", id, "--keep", "mine", "--json"]).exits(0).json();
    assert_eq!((&resolved["success"], &resolved["how"]), (&json!(true), &json!("mine")));
    assert_eq!(s.text("a.json"), set(BASE, "a", 9));
    assert_eq!(std::fs::read_to_string(resolved["backup"].as_str().unwrap()).unwrap(), both);
    s.run(["conflicts"]).exits(0).says("no conflict is open");
    s.run(["conflicts", "list", "--all"]).exits(0).shows("resolved (mine)");
    s.run(["conflicts", "resolve", id, "--keep", "theirs"]).exits(1).says("resolved already");
    s.run(["conflicts", "show", "feedfeed"]).exits(5).says("no stored conflict is called");
}

/// MERGE-4: a conflict is resolved with a file, with standard input, or with the edited document.
#[test]
fn ways_to_resolve() {
    for way in ["file", "stdin", "merged"] {
        let (s, first) = workspace("a.json");
        s.run_with(set(BASE, "a", 2), ["write", "a.json"]).exits(0);
        let args = ["write", "a.json", "--strategy", "merge", "--base", &first, "--json"];
        let refused = s.run_with(set(BASE, "a", 9), args).exits(3).json();
        let id = refused["conflictInfo"]["conflictId"].as_str().unwrap();
        let decided = set(BASE, "a", 5);
        match way {
            "file" => {
                s.write("decided.json", &decided);
                s.run(["conflicts", "resolve", id, "--keep", "decided.json"]).exits(0);
            }
            "stdin" => {
                s.run_with(&decided, ["conflicts", "resolve", id, "--keep", "-"]).exits(0);
            }
            _ => {
                let shown = s.run(["conflicts", "show", id, "--json"]).exits(0).json();
                std::fs::write(shown["mergedFile"].as_str().unwrap(), &decided).unwrap();
                s.run(["conflicts", "resolve", id, "--keep", "merged"]).exits(0);
            }
        }
        assert_eq!(s.text("a.json"), decided, "{way}");
    }
}

/// MERGE-3: the base as a file or as a hash; contradictions and nonsense are usage errors, and without the strategy there is no base.
#[test]
fn given_bases() {
    let (s, first) = workspace("a.json");
    s.write("base.json", BASE);
    s.write("a.json", set(BASE, "a", 2));
    let merge = |more: &[&str]| {
        let args = ["write", "a.json", "--strategy", "merge"].iter().chain(more);
        s.run_with(set(BASE, "c", 3), args)
    };
    merge(&["--base", "base.json"]).exits(0);
    assert_eq!(s.text("a.json"), set(&set(BASE, "a", 2), "c", 3));
    s.write("a.json", set(BASE, "b", 2));
    merge(&["--base", "base.json", "--expect", &first[..16]]).exits(0);
    assert_eq!(s.text("a.json"), set(&set(BASE, "b", 2), "c", 3));
    let other = "0".repeat(64);
    for wrong in [
        &["--base", "base.json", "--expect", &other][..],
        &["--base", &first, "--expect", &other],
        &["--base", "nothing.json"],
    ] {
        merge(wrong).exits(2).says("nothing was changed");
    }
    s.run_with("x", ["write", "a.json", "--base", "base.json"]).exits(2).says("--strategy merge");
    // Nowhere: what was looked for, where, and how to give it.
    let told = merge(&["--expect", &other]).exits(3);
    for part in ["0000000000000000 was looked for in the kept versions", "git's index and history", "--base FILE"] {
        assert!(told.err.contains(part), "{part}: {}", told.err);
    }
    // None named at all.
    merge(&[]).exits(3).says("does not say what its content was made from");
}

/// MERGE-3: the base is found in git: the index, HEAD, older commits; also from a folder below, with names that look like patterns, and where
/// the work tree has CR LF.
#[cfg(unix)]
#[test]
fn bases_from_git() {
    let s = Sandbox::new();
    if s.program("git").arg("--version").output().is_err() {
        return;
    }
    s.run(["init", "--no-git"]).exits(0);
    let git = "git -c user.name=a -c user.email=a@b -c commit.gpgSign=false";
    for name in ["a.json", "conf/[a]*.json"] {
        std::fs::create_dir_all(s.path("conf")).unwrap();
        let versions: Vec<String> = (1..=4).map(|i| set(BASE, "b", i)).collect();
        s.sh("rm -rf .git; git init -q").exits(0);
        for version in &versions[..3] {
            s.write(name, version);
            s.sh(&format!("{git} add -A && {git} commit -qm x")).exits(0);
        }
        s.write(name, &versions[3]);
        s.sh("git add -A").exits(0);
        for (i, base) in versions.iter().enumerate() {
            let hash = hash_of(&s, base);
            s.write(name, set(base, "a", 7));
            // Kept versions do not count here: the file is written by somebody else each time.
            let args = ["write", name, "--strategy", "merge", "--expect", &hash, "--json"];
            let told = s.run_with(set(base, "c", 8), args).exits(0).json();
            assert_eq!(told["outcome"], "merged", "{name} {i}");
            assert_eq!(s.text(name), set(&set(base, "a", 7), "c", 8));
        }
        let crlf = versions[1].replace('\n', "\r\n");
        let hash = hash_of(&s, &crlf);
        s.write(name, set(&crlf, "a", 7));
        s.run_with(set(&crlf, "c", 8), ["write", name, "--strategy", "merge", "--expect", &hash]).exits(0);
        assert_eq!(s.text(name), set(&set(&crlf, "a", 7), "c", 8));
    }
    // No lock of git's is in the way, and none is left.
    s.write(".git/index.lock", "");
    s.write("a.json", "{}");
    let refused = s.run_with("[]", ["write", "a.json", "--strategy", "merge", "--expect", &"1".repeat(64), "--json"]);
    let looked = refused.exits(3).json()["conflictInfo"]["baseLookedFor"].clone();
    assert_eq!(looked, json!(["the kept versions", "git's index and history"]));
}

#[cfg(unix)]
fn hash_of(s: &Sandbox, text: &str) -> String {
    s.write("hashed", text);
    let line = s.run(["hash", "hashed"]).exits(0).text();
    line.split_whitespace().next().unwrap().to_owned()
}

/// MERGE-4: no workspace, no store; the refusal says so.
#[test]
fn without_a_workspace() {
    let s = Sandbox::new();
    s.write("base.json", BASE);
    s.write("a.json", set(BASE, "a", 2));
    let args = ["write", "a.json", "--strategy", "merge", "--base", "base.json", "--json"];
    let refused = s.run_with(set(BASE, "a", 3), args).exits(3).json();
    assert_eq!(refused["conflictInfo"]["conflictId"], Value::Null);
    assert!(refused["conflictInfo"]["notStored"].as_str().unwrap().contains("filelatch init"));
    s.run(["conflicts"]).exits(0).says("filelatch init");
    assert!(!s.path(".filelatch").exists());
}

/// VER-4, MERGE-3, MERGE-4: forty processes read one document, change a key of their own, neighbours of each other, and write with the hash
/// they read: forty changes are in it, and nobody is asked.
#[test]
fn forty_edits() {
    let s = Sandbox::new();
    s.run(["init", "--no-git"]).exits(0);
    let lines: Vec<_> = (0..40).map(|i| format!("  \"k{i}\": 0")).collect();
    s.write("a.json", format!("{{\n{}\n}}\n", lines.join(",\n")));
    thread::scope(|scope| {
        for i in 0..40 {
            let s = &s;
            scope.spawn(move || {
                let read = s.run(["read", "--json", "a.json"]).exits(0).json();
                let new = set(read["content"].as_str().unwrap(), &format!("k{i}"), i + 1);
                let expect = read["hash"].as_str().unwrap();
                let args = ["write", "a.json", "--strategy", "merge", "--expect", expect, "--timeout", "120s"];
                s.run_with(new, args).exits(0);
            });
        }
    });
    let end = s.value("a.json");
    for i in 0..40 {
        assert_eq!(end[format!("k{i}")], json!(i + 1), "{end}");
    }
    s.run(["conflicts"]).exits(0).says("no conflict is open");
}
