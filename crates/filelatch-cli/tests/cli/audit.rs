//! `audit`: show, tail, verify, head.

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

const LOG: &str = ".filelatch/audit/00000000000000000001.jsonl";

fn written() -> Sandbox {
    let s = Sandbox::new();
    s.run(["init", "--no-git"]).exits(0);
    for (name, text) in [("a.txt", "one\n"), ("a.txt", "two\n"), ("b.txt", "three\n")] {
        s.run_with(text, ["write", name, "--session", "alice@host#1f3a"]).exits(0);
    }
    s
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// KEEP-2: who changed what when, for people and for programs, and only what is asked for.
#[test]
fn show() {
    let s = written();
    s.run(["audit", "show"]).exits(0).shows("write     a.txt  generation=2").shows("by alice@host#1f3a");
    let all = lines(&s.run(["--json", "audit", "show"]).exits(0).text());
    let events: Vec<_> = all.iter().map(|record| record["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["begin", "write", "write", "write"]);
    assert_eq!((&all[2]["path"], &all[2]["session"]), (&json!("a.txt"), &json!("alice@host#1f3a")));
    let count = |args: &[&str]| {
        let args: Vec<_> = ["audit", "show", "--json"].iter().chain(args).collect();
        lines(&s.run(args).exits(0).text()).len()
    };
    assert_eq!((count(&["--path", "a.*"]), count(&["--path", "b.txt", "--path", "c"])), (2, 1));
    assert_eq!((count(&["--event", "begin"]), count(&["--last", "3"]), count(&["--by", "bob"])), (1, 3, 0));
    assert_eq!((count(&["--since", "1h"]), count(&["--until", "1h"])), (4, 0));
    assert_eq!(count(&["--since", "2026-01-01T00:00:00Z", "--until", "2000-01-01T00:00:00Z"]), 0);
    s.run(["audit", "show", "--since", "yesterday"]).exits(2);
    // KEEP-3: nothing of the host.
    let public = s.run(["audit", "show", "--public", "--json"]).exits(0).text();
    assert!(public.contains("alice#1f3a") && !public.contains("host"), "{public}");
    let tail = lines(&s.run(["audit", "tail", "-n", "2", "--json"]).exits(0).text());
    assert_eq!(tail, all[2..]);
}

/// KEEP-2: a log that was changed is found, in words and in JSON; one whose end was cut off, by an anchor.
#[test]
fn verify() {
    let s = written();
    s.run(["audit", "verify"]).exits(0).shows("ok: 4 records in 1 file");
    let head = s.run(["audit", "head"]).exits(0).text();
    let told = s.run(["audit", "head", "--json"]).exits(0).json();
    assert_eq!((told["number"].as_u64(), told["anchor"].as_str()), (Some(4), Some(head.trim_end())));
    s.run(["audit", "verify", "--anchor", head.trim_end()]).exits(0);
    let good = s.text(LOG);
    s.write(LOG, good.replace("\"generation\":2", "\"generation\":3"));
    s.run(["audit", "verify", "--log-only"]).exits(1).shows("edited: 00000000000000000001.jsonl:3 (record 3)");
    let told = s.run(["audit", "verify", "--json"]).exits(1).json();
    let first = &told["problems"][0];
    assert_eq!((&told["ok"], &first["kind"], &first["record"]), (&json!(false), &json!("edited"), &json!(3)));
    let cut = good.lines().take(3).fold(String::new(), |text, line| text + line + "\n");
    s.write(LOG, &cut);
    s.run(["audit", "verify"]).exits(1).shows("unrecorded: b.txt");
    s.run(["audit", "verify", "--log-only"]).exits(0);
    s.run(["audit", "verify", "--log-only", "--anchor", head.trim_end()]).exits(1).shows("truncated");
    s.run(["audit", "verify", "--anchor", "4"]).exits(2);
    s.write(LOG, good);
    s.run(["audit", "verify"]).exits(0);
    let outside = Sandbox::new();
    outside.run(["audit", "verify"]).exits(1).says("filelatch init");
}

/// KEEP-2: a log that can't be written is told of once, and the write is made.
#[test]
fn a_log_in_the_way() {
    let s = Sandbox::new();
    s.run(["init", "--no-git"]).exits(0);
    s.write(".filelatch/audit", "in the way");
    let ran = s.run_with("one\n", ["write", "a.txt"]).exits(0).says("the audit log of");
    assert_eq!((s.text("a.txt"), format!("{ran:?}").matches("audit log of").count()), ("one\n".to_owned(), 1));
    let told = s.run_with("two\n", ["write", "a.txt", "--json"]).exits(0).json();
    assert!(told["notices"].to_string().contains("the audit log cannot be written"), "{told}");
}
