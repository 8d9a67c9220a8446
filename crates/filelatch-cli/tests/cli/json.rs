//! The shapes of JSON answers, field by field.

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// VER-1: `read --json`.
#[test]
fn read() {
    let s = Sandbox::new();
    s.write("a.txt", "héllo\n");
    let answer = s.run(["read", "--json", "a.txt"]).exits(0).json();
    assert_eq!(keys(&answer), ["path", "exists", "content", "hash", "size", "lastModifiedBy", "lastModifiedAt"]);
    assert_eq!(answer["path"], "a.txt");
    assert_eq!(answer["exists"], true);
    assert_eq!(answer["content"], "héllo\n");
    assert_eq!(answer["size"], 7);
    assert_eq!(answer["hash"].as_str().unwrap().len(), 64);
    assert!(matches!(answer["lastModifiedBy"].as_str(), Some("external" | "unknown")), "{answer}");
    assert!(is_time(&answer["lastModifiedAt"]), "{answer}");

    // The same hash as `hash` and `write` tell; the author is the session.
    let written = s.run_with("new", ["write", "a.txt", "--session", "alice"]).exits(0).text();
    let answer = s.run(["read", "--json", "a.txt"]).exits(0).json();
    assert_eq!(answer["hash"], written.trim());
    assert!(matches!(answer["lastModifiedBy"].as_str(), Some("alice" | "unknown")), "{answer}");
    assert_eq!(s.run(["hash", "a.txt"]).exits(0).text(), format!("{}  a.txt\n", written.trim()));
}

fn is_time(value: &Value) -> bool {
    // 2026-11-21T10:00:00.123Z
    let text = value.as_str().unwrap_or_default();
    text.len() == 24 && text.ends_with('Z') && text.as_bytes()[10] == b'T'
}

/// VER-1: a missing file is an answer, too.
#[test]
fn read_missing() {
    let s = Sandbox::new();
    let answer = s.run(["read", "--json", "gone"]).exits(5).json();
    assert_eq!(
        answer,
        json!({"path": "gone", "exists": false, "content": null, "hash": null, "size": null,
            "lastModifiedBy": null, "lastModifiedAt": null})
    );
}

/// VER-1: content that is no text is not mangled.
#[test]
fn read_bytes() {
    let s = Sandbox::new();
    s.write("a", b"\xff\xfe\xfd");
    let answer = s.run(["read", "--json", "a"]).exits(0).json();
    assert_eq!((&answer["content"], &answer["encoding"]), (&json!("//79"), &json!("base64")));
    assert_eq!(s.run(["read", "a"]).exits(0).out, b"\xff\xfe\xfd");
}

/// VER-1, VER-4, P7: `write --json`.
#[test]
fn write() {
    let s = Sandbox::new();
    let answer = s.run_with("one", ["write", "a", "--json"]).exits(0).json();
    assert_eq!(keys(&answer), ["success", "path", "hash", "outcome", "notices"]);
    let first = answer["hash"].as_str().unwrap().to_owned();
    assert_eq!(
        (&answer["success"], &answer["path"], &answer["outcome"]),
        (&json!(true), &json!("a"), &json!("written"))
    );
    assert_eq!(answer["notices"], json!([]));
    let answer = s.run_with("one", ["write", "a", "--json", "--expect", &first]).exits(0).json();
    assert_eq!((&answer["outcome"], &answer["hash"]), (&json!("unchanged"), &json!(first)));
    // 16 digits are enough of a hash.
    let answer = s.run_with("two", ["write", "a", "--json", "--expect", &first[..16]]).exits(0).json();
    assert_eq!(answer["outcome"], "written");
    let second = answer["hash"].as_str().unwrap();
    let answer = s
        .run_with("three", ["write", "a", "--json", "--expect", &first, "--strategy", "last-write-wins"])
        .exits(0)
        .json();
    assert_eq!(keys(&answer), ["success", "path", "hash", "outcome", "overwrote", "notices"]);
    assert_eq!(answer["overwrote"], second);
}

/// VER-2, VER-3: a conflict, also for a strategy that queues (P7), also with a program that knows nothing of us.
#[test]
fn conflict() {
    let s = Sandbox::new();
    let first = s.run_with("one", ["write", "a"]).exits(0).text().trim().to_owned();
    s.write("a", "from an editor");
    let current = s.run(["hash", "a"]).exits(0).text()[..64].to_owned();
    for strategy in ["fail-fast", "queue"] {
        let ran = s.run_with("two", ["write", "a", "--expect", &first, "--json", "--strategy", strategy]).exits(3);
        let answer = ran.json();
        assert_eq!(keys(&answer), ["success", "error", "conflictInfo"]);
        assert_eq!(answer["success"], false);
        assert_eq!(keys(&answer["error"]), ["kind", "message", "hints"]);
        assert_eq!(answer["error"]["kind"], "conflict");
        assert!(answer["error"]["hints"].as_array().unwrap().iter().all(Value::is_string));
        let info = &answer["conflictInfo"];
        assert_eq!(keys(info), ["expectedHash", "currentHash", "lastModifiedBy", "lastModifiedAt"]);
        assert_eq!((&info["expectedHash"], &info["currentHash"]), (&json!(first), &json!(current)));
        assert!(matches!(info["lastModifiedBy"].as_str(), Some("external" | "unknown")));
        assert!(is_time(&info["lastModifiedAt"]));
        assert_eq!(s.text("a"), "from an editor");
    }
    let info = s.run(["write", "a", "--expect", "absent", "--json"]).exits(3).json()["conflictInfo"].clone();
    assert_eq!((&info["expectedHash"], &info["currentHash"]), (&json!("absent"), &json!(current)));
    std::fs::remove_file(s.path("a")).unwrap();
    let info = s.run(["write", "a", "--expect", &first, "--json"]).exits(3).json()["conflictInfo"].clone();
    assert_eq!(
        info,
        json!({"expectedHash": first, "currentHash": null, "lastModifiedBy": null, "lastModifiedAt": null})
    );
    let ran = s.run(["write", "a", "--expect", &first]).exits(3).says("`a` is gone").says("nothing was written");
    assert!(ran.out.is_empty());
}

/// DESIGN §4, P17: errors of every command are `{success: false, error: {kind, message, hints}}`, and nothing is said besides.
#[cfg(unix)]
#[test]
fn errors() {
    let s = Sandbox::new();
    s.write("broken.json", "{\"a\": }");
    s.write("free.json", "{}");
    s.write("held.json", "{}");
    let holder = s.holder("held.json");
    for (kind, args) in [
        ("not-parseable", vec!["update", "broken.json", "."]),
        ("several-values", vec!["update", "free.json", "1, 2"]),
        ("no-value", vec!["update", "free.json", "empty"]),
        ("filter", vec!["update", "free.json", ".a ="]),
        ("locked", vec!["update", "held.json", ".", "--no-wait"]),
        ("timeout", vec!["write", "held.json", "--timeout", "1ms"]),
        ("locked", vec!["run", "held.json", "--no-wait", "--", "true"]),
        ("not-found", vec!["update", "gone.json", "."]),
        ("command-not-found", vec!["run", "free.json", "--", "no-such-command"]),
        ("patch-failed", vec!["patch", "free.json", "--json-patch", "[{}]"]),
        ("not-a-file", vec!["read", "."]),
    ] {
        let ran = s.run(["--json"].iter().chain(&args));
        let answer = ran.json();
        assert_eq!(keys(&answer), ["success", "error"], "{args:?}");
        assert_eq!(keys(&answer["error"]), ["kind", "message", "hints"], "{args:?}");
        assert_eq!(answer["error"]["kind"], kind, "{args:?}");
        assert!(ran.err.is_empty(), "{args:?}: {ran:?}");
    }
    assert_eq!(holder.finish(), Some(0));
}

/// DESIGN §4: `hash --json`, `init --json`.
#[test]
fn others() {
    let s = Sandbox::new();
    s.write("a", "a");
    let answer = s.run(["hash", "--json", "a", "gone"]).exits(5).json();
    assert_eq!(keys(&answer[0]), ["path", "hash"]);
    assert_eq!(keys(&answer[1]), ["path", "hash", "error"]);
    assert_eq!(answer[1]["error"]["kind"], "not-found");
    let answer = s.run(["init", "--json"]).exits(0).json();
    assert_eq!(keys(&answer), ["success", "dir", "created", "gitExclude", "added"]);
    let answer = s.run(["status", "--json", "a"]).exits(0).json();
    assert_eq!(keys(&answer), ["locks", "leftovers", "conflicts"]);
    assert_eq!(keys(&answer["locks"][0]), ["path", "lockFile", "locked", "waiting", "records", "holders", "lease"]);
}
