//! `doctor`: what it says, its JSON, its exit statuses, and that nobody at work is disturbed.

use serde_json::json;

use crate::sandbox::Sandbox;

/// DESIGN §4, LOCK-20: on a healthy folder the doctor says what holds, with the locks tried by another process, and leaves nothing.
#[test]
fn a_healthy_folder() {
    let s = Sandbox::new();
    s.write("a.json", "{}");
    s.run(["update", "a.json", ".a = 1"]).exits(0);
    let ran = s.run(["doctor"]).exits(0);
    for line in ["good     lock-processes", "good     lock-death", "no problems among 2 names"] {
        assert!(ran.text().contains(line), "{line}: {ran:?}");
    }
    assert!(ran.err.is_empty() && !ran.text().contains('\u{1b}'), "{ran:?}");
    assert_eq!(s.names(), [".a.json.lock", "a.json"]);
}

/// DESIGN §4: the JSON has everything that the text says, with stable words.
#[test]
fn as_json() {
    let s = Sandbox::new();
    s.write("a.json", "{}");
    s.write(".a.json.4194304-00000000000000ab.tmp", "");
    s.write(".a.json.4194304-00000000000000ac.tmp", "somebody's data");
    let listed = s.run(["doctor", "--json"]).exits(1).json();
    assert_eq!(listed["dir"], ".");
    assert_eq!(listed["healthy"], false);
    assert!(["strict", "limited"].contains(&listed["overall"]["level"].as_str().unwrap()), "{listed}");
    let facts = listed["facts"].as_array().unwrap();
    let fact = facts.iter().find(|fact| fact["name"] == "lock-processes").unwrap();
    assert_eq!(json!([fact["verdict"], fact["weakens"], fact["error"]]), json!(["good", false, null]));
    assert!(fact["meaning"].as_str().is_some_and(|meaning| !meaning.is_empty()));
    let findings = listed["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 2, "{listed}");
    let (gone, kept) = (&findings[0], &findings[1]);
    assert_eq!(json!([gone["path"], gone["kind"]]), json!([".a.json.4194304-00000000000000ab.tmp", "leftover"]));
    assert_eq!(json!([gone["problem"], gone["fix"], gone["outcome"]]), json!([true, "remove", null]));
    assert_eq!(json!([kept["kind"], kept["fix"]]), json!(["kept-version", null]));
    assert!(kept["advice"].as_str().unwrap().contains("compare it with `a.json`"));
    let fixed = s.run(["doctor", "--fix", "--json"]).exits(1).json();
    assert_eq!(fixed["findings"][0]["outcome"]["result"], "done");
    assert!(fixed["findings"][1]["outcome"].is_null());
    assert_eq!(s.text(".a.json.4194304-00000000000000ac.tmp"), "somebody's data");
    assert!(!s.path(".a.json.4194304-00000000000000ab.tmp").exists());
    std::fs::remove_file(s.path(".a.json.4194304-00000000000000ac.tmp")).unwrap();
    assert_eq!(s.run(["doctor", "--json"]).exits(0).json()["healthy"], true);
}

/// DESIGN §4: without `--fix` it says what `--fix` would do, with it what was done, and what is left to a person.
#[test]
fn what_a_fix_says() {
    let s = Sandbox::new();
    s.write("a.json", "{}");
    s.write(".a.json.4194304-00000000000000ab.tmp", "");
    s.write("b", "");
    s.run(["update", "--format", "text", "b", "\"x\""]).exits(0);
    std::fs::remove_file(s.path("b")).unwrap();
    let before = s.names();
    let ran = s.run(["doctor"]).exits(1);
    for part in ["2 problems", "left by a writer that died", "`--fix` removes it", "whose data file, `b`, is gone"] {
        assert!(ran.text().contains(part), "{part}: {ran:?}");
    }
    assert_eq!(s.names(), before);
    let ran = s.run(["doctor", "--fix"]).exits(0);
    assert_eq!(ran.text().matches("removed").count(), 2, "{ran:?}");
    assert_eq!(s.names(), [".a.json.lock", "a.json"]);
}

/// LOCK-7: who holds a lock is told, and is no problem; its lock file stays, even of a file that does not exist.
#[test]
fn a_lock_that_is_held() {
    let s = Sandbox::new();
    let holder = s.holder("new");
    let ran = s.run(["doctor", "--fix"]).exits(0);
    let expected = format!("held exclusively by pid {} (sh)", holder.pid());
    assert!(ran.text().contains(&expected), "{expected}: {ran:?}");
    assert_eq!(s.names(), [".new.lock"]);
    assert_eq!(holder.finish(), Some(0));
    s.run(["doctor", "--fix"]).exits(0);
    assert!(s.names().is_empty());
}

/// P16: settings that are not obeyed are a problem, with file and line.
#[test]
fn wrong_settings() {
    let s = Sandbox::new();
    s.run(["init", "--no-git"]).exits(0);
    s.run(["doctor"]).exits(0);
    s.write(".filelatch/config.toml", "timeout = \"5\"");
    let ran = s.run(["doctor"]).exits(1);
    assert!(ran.text().contains("line 1: `5` is not a length of time"), "{ran:?}");
    std::fs::create_dir_all(s.path("below/.filelatch")).unwrap();
    s.write(".filelatch/config.toml", "");
    s.write("below/.filelatch/config.toml", "nonsense = 1");
    let ran = s.run(["doctor"]).exits(1);
    assert!(ran.text().contains("below/.filelatch/config.toml") && ran.text().contains("nonsense"), "{ran:?}");
    s.run(["doctor", "--no-recurse"]).exits(0);
}

/// DESIGN §4: what is no folder is an error, a wrong option a usage error; the probes' other process is not for people.
#[test]
fn mistakes() {
    let s = Sandbox::new();
    s.write("a", "");
    s.run(["doctor", "gone"]).exits(1).says("cannot examine `gone`");
    s.run(["doctor", "a"]).exits(1).says("not a directory");
    s.run(["doctor", "--limit", "x"]).exits(2);
    let help = s.run(["--help"]).exits(0).text();
    assert!(help.contains("doctor") && !help.contains("doctor-peer"), "{help}");
    assert!(s.run(["doctor", "--help"]).exits(0).text().contains("Exit status"));
    let ran = s.run(["doctor", "--limit", "1"]).exits(0);
    assert!(ran.text().contains("not looked at"), "{ran:?}");
}
