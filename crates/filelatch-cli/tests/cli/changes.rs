//! `changes` and `generated`.

use serde_json::{Value, json};

use crate::sandbox::Sandbox;
use crate::session::Repo;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// STORE-5: who has changed what, as a table and for programs, by path, session and time; a damaged index names its way out, and that is one.
#[test]
fn of_a_workspace() {
    let s = Sandbox::new();
    s.run(["changes", "list"]).exits(1).says("filelatch init");
    s.run(["init", "--no-git"]).exits(0);
    assert_eq!(s.run(["changes", "list"]).exits(0).text(), "");
    for (name, text, by) in [("a.txt", "one\n", "ada"), ("sub/b.txt", "one\n", "bob"), ("a.txt", "two\n", "bob")] {
        s.run_with(text, ["write", "--mkdir", name, "--session", by]).exits(0);
    }
    s.run(["changes", "list"]).exits(0).shows("created  a.txt  by ada").shows("changed  a.txt  by bob");
    let list = |args: &[&str]| {
        let args: Vec<_> = ["--json", "changes", "list"].iter().chain(args).collect();
        lines(&s.run(args).exits(0).text())
    };
    let all = list(&[]);
    assert_eq!(all.len(), 3);
    assert_eq!(
        (&all[0]["kind"], &all[0]["by"], &all[0]["source"]),
        (&json!("created"), &json!("ada"), &json!("publish"))
    );
    assert_eq!((list(&["--session", "bob"]).len(), list(&["--by", "ada", "--by", "bob"]).len()), (2, 3));
    assert_eq!((list(&["--path", "sub"]).len(), list(&["--path", "*.txt"]).len()), (1, 2));
    assert_eq!((list(&["--since", "1h"]).len(), list(&["--until", "1h"]).len()), (3, 0));
    s.run(["changes", "list", "--path", "a["]).exits(1).says("glob");
    s.run(["changes", "list", "--since", "yesterday"]).exits(2);
    assert_eq!(s.run(["changes", "update"]).exits(0).text(), "0 taken in\n");

    let index = ".filelatch/stores/changes.jsonl";
    let good = s.text(index);
    s.write(index, good.replacen("a.txt", "x.txt", 1));
    s.run(["changes", "list"]).exits(1).says("filelatch changes rebuild");
    let rebuilt = s.run(["--json", "changes", "rebuild"]).exits(0).json();
    assert_eq!((&rebuilt["fromAudit"], &rebuilt["damaged"]), (&json!(3), &json!(1)));
    assert_eq!(list(&[]), all);
    assert_eq!(s.run(["changes", "compact"]).exits(0).text(), "3 kept, 0 removed\n");
}

/// STORE-9: written for a session, refused for another, listed, removed; what was edited stays and is named.
#[test]
fn generated_files() {
    let s = Sandbox::new();
    s.run(["init", "--no-git"]).exits(0);
    let hash = s.run_with("x\n", ["generated", "write", "conf/a.toml", "--for", "fix"]).exits(0).text();
    assert_eq!(hash, s.run_with("x\n", ["generated", "write", "conf/a.toml", "--for", "fix"]).exits(0).text());
    let told = s.run_with("x\n", ["--json", "generated", "write", "conf/a.toml", "--for", "fix"]).exits(0).json();
    assert_eq!(told["outcome"], json!("unchanged"));
    s.run_with("y\n", ["generated", "write", "conf/a.toml", "--owner", "cron"]).exits(3).says("session fix");
    s.run_with("y\n", ["generated", "write", "b", "--owner", "cron"]).exits(0);
    s.run_with("y\n", ["generated", "write", "b"]).exits(2);
    s.write("b", "by hand");
    s.run_with("z\n", ["generated", "write", "b", "--owner", "cron"])
        .exits(3)
        .says("was changed since it was generated");
    s.run(["generated", "list"]).exits(0).shows("as-generated  conf/a.toml  for session fix").shows("edited");
    s.run(["generated", "remove", "--owner", "cron"]).exits(0).says("`b` was edited");
    assert_eq!(s.run(["generated", "remove", "--for", "fix"]).exits(0).text(), "conf/a.toml\n");
    assert_eq!(s.names(), [".b.lock", ".filelatch", "b"]);
    assert_eq!(s.run(["--json", "generated", "list"]).exits(0).json(), json!({"files": []}));
}

/// STORE-5, STORE-9: what a session has committed is in the index when it is merged, and stays when it is removed; what it has not committed is
/// shown on demand; what was generated for it goes with it.
#[test]
fn of_a_session() {
    let Some(repo) = Repo::new() else { return };
    let s = &repo.0;
    repo.session("start fix").exits(0);
    s.write(".filelatch/worktrees/fix/f.json", "{}\n");
    s.run(["changes", "list", "--session", "fix"]).exits(0).shows("changed  f.json  by fix  (not committed)");
    s.run_with("k\n", ["generated", "write", "fix.key", "--for", "fix", "--private"]).exits(0);
    repo.session("merge fix --commit work").exits(0);
    let list = || lines(&s.run(["--json", "changes", "list", "--session", "fix"]).exits(0).text());
    let changes = list();
    let one: Vec<_> = changes.iter().filter(|change| change["path"] == "f.json").collect();
    assert_eq!(one.len(), 1, "{changes:?}");
    assert_eq!((&one[0]["kind"], &one[0]["source"]), (&json!("changed"), &json!("git")));
    let removed = repo.session("remove fix --json").exits(0).json();
    assert_eq!(removed["generated"], json!(["fix.key"]));
    assert!(!s.names().contains(&"fix.key".to_owned()));
    assert_eq!(list().iter().filter(|change| change["path"] == "f.json").count(), 1);
    s.run(["changes", "rebuild"]).exits(0).shows("taken over");
    assert_eq!(list().iter().filter(|change| change["path"] == "f.json").count(), 1);
}
