//! `filelatch session`, as its users meet it. Without git nothing is tried.

use serde_json::json;

use crate::sandbox::{Ran, Sandbox, feed};

pub(crate) struct Repo(pub(crate) Sandbox);

impl Repo {
    pub(crate) fn new() -> Option<Repo> {
        let repo = Repo(Sandbox::new());
        repo.0.program("git").arg("--version").output().ok()?;
        repo.git("init -q -b main").exits(0);
        repo.0.write("f.json", "{\n  \"a\": 1,\n  \"b\": 2\n}\n");
        repo.0.write(".gitignore", ".env\n");
        repo.git("add -A").exits(0);
        repo.git("commit -q -m first").exits(0);
        Some(repo)
    }

    pub(crate) fn git(&self, words: &str) -> Ran {
        let mut git = self.0.program("git");
        git.args(words.split(' '));
        isolate(&mut git);
        feed(git, b"")
    }

    /// Runs `filelatch session`; words are separated by blanks.
    pub(crate) fn session(&self, words: &str) -> Ran {
        let mut command = self.0.command(["session"].into_iter().chain(words.split(' ')));
        isolate(&mut command);
        feed(command, b"")
    }

    /// Commits in a session.
    fn commit(&self, name: &str, content: &str) {
        self.0.write(format!(".filelatch/worktrees/{name}/f.json"), content);
        self.git(&format!("-C .filelatch/worktrees/{name} commit -q -a -m work")).exits(0);
    }
}

fn isolate(command: &mut std::process::Command) {
    command.env("GIT_CONFIG_NOSYSTEM", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "n").env(format!("GIT_{who}_EMAIL"), "n@example.org");
        command.env(format!("GIT_{who}_DATE"), "1600000000 +0000");
    }
}

/// SERVE-6: `start` prints the folder and nothing else on standard output, `path` the same, `list` a line; all in JSON, too.
#[test]
fn start_list_path() {
    let Some(repo) = Repo::new() else { return };
    repo.0.write(".env", "SECRET=1\n");
    let started = repo.session("start fix --include .env --include none").exits(0).says("not copied: none");
    let folder = repo.0.path("").canonicalize().unwrap().join(".filelatch/worktrees/fix");
    assert_eq!(started.text(), format!("{}\n", folder.display()));
    assert_eq!(repo.session("path fix").exits(0).text(), started.text());
    assert_eq!(repo.0.text(".filelatch/worktrees/fix/.env"), "SECRET=1\n");
    let listed = repo.session("list").exits(0).text();
    assert!(listed.starts_with("fix  nothing new, clean, active 20") && listed.lines().count() == 1, "{listed}");
    repo.0.write(".filelatch/worktrees/fix/f.json", "{}\n");
    repo.session("list").exits(0).shows("1 modified");
    let listed = repo.session("list --json").exits(0).json();
    let session = &listed["sessions"][0];
    assert_eq!(
        (&session["name"], &session["state"], &session["dirty"]),
        (&json!("fix"), &json!("ready"), &json!(true))
    );
    assert_eq!((&session["base"], &session["modified"], &session["ahead"]), (&json!("main"), &json!(1), &json!(0)));
    let started = repo.session("start --json").exits(0).json();
    assert_eq!(
        (&started["success"], &started["included"], &started["completed"]),
        (&json!(true), &json!([]), &json!(false))
    );
    repo.session("start fix").exits(1).says("is there already").says("cd '");
    repo.session("start a/b").exits(2).says("can't be a session's name");
    repo.session("path nobody").exits(5).says("no session nobody");
    let refused = repo.session("path nobody --json").exits(5).json();
    assert_eq!(refused["error"]["kind"], "no-such-session");
}

/// SERVE-6: neighbouring lines are a conflict to git, and none to `session merge`, which sets nothing up; a real conflict has status 3, tells
/// the place and changes nothing.
#[test]
fn merge() {
    let Some(repo) = Repo::new() else { return };
    repo.session("start fix").exits(0);
    repo.commit("fix", "{\n  \"a\": 1,\n  \"b\": 20\n}\n");
    repo.0.write("f.json", "{\n  \"a\": 10,\n  \"b\": 2\n}\n");
    repo.git("commit -q -a -m ours").exits(0);
    let config = repo.git("config --list --local").text();
    let merged = repo.session("merge fix --json").exits(0).json();
    assert_eq!((&merged["outcome"], &merged["into"]), (&json!("merged"), &json!("main")));
    assert_eq!(repo.0.text("f.json"), "{\n  \"a\": 10,\n  \"b\": 20\n}\n");
    assert_eq!(repo.git("config --list --local").text(), config);
    assert_eq!(repo.git("rev-parse HEAD").text().trim(), merged["commit"].as_str().unwrap());
    repo.session("merge fix").exits(0).says("has all of session/fix already");
    repo.commit("fix", "{\n  \"a\": 11,\n  \"b\": 20\n}\n");
    repo.0.write("f.json", "{\n  \"a\": 12,\n  \"b\": 20\n}\n");
    repo.git("commit -q -a -m ours").exits(0);
    let head = repo.git("rev-parse HEAD").text();
    let told = repo.session("merge fix").exits(3);
    let told = told.says("CONFLICT (content)").says("f.json:2:").says("-   \"a\": 12,").says("+   \"a\": 11,");
    assert!(told.says("nothing was changed").text().is_empty());
    let told = repo.session("merge fix --json").exits(3).json();
    assert_eq!((&told["error"]["kind"], &told["conflict"]["leftIn"]), (&json!("conflict"), &json!(null)));
    assert_eq!(told["conflict"]["files"][0]["hunks"][0]["line"], 2);
    assert_eq!((repo.git("rev-parse HEAD").text(), repo.git("status --porcelain -uno").text()), (head, String::new()));
    repo.session("merge fix --leave-conflicts").exits(3).says("git merge --abort");
    assert!(repo.0.text("f.json").contains("<<<<<<< HEAD"));
    repo.git("merge --abort").exits(0);
    repo.0.write(".filelatch/worktrees/fix/new", "x");
    repo.session("merge fix").exits(1).says("1 file has changes that are not committed").says("--commit");
}

/// SERVE-6, L54: removing tells all that would be lost; the command that a rescue tells brings everything back.
#[test]
fn remove() {
    let Some(repo) = Repo::new() else { return };
    repo.session("start fix").exits(0);
    repo.commit("fix", "{}\n");
    repo.0.write(".filelatch/worktrees/fix/new", "new\n");
    let refused = repo.session("remove fix").exits(1).says("nothing was removed").says("--rescue");
    let refused = refused.says("not known to git: new").says("1 commit that no other branch has");
    assert!(refused.text().is_empty());
    let refused = repo.session("remove fix --json").exits(1).json();
    assert_eq!(
        (&refused["reasons"][0]["reason"], &refused["reasons"][1]["reason"]),
        (&json!("untracked"), &json!("commits"))
    );
    let removed = repo.session("remove fix --rescue").exits(0).says("everything is kept in refs/filelatch/rescue/fix-");
    let command = removed.err.lines().find_map(|line| line.split_once("back again: git ")).unwrap().1.to_owned();
    repo.session("list").exits(0).says("there is no session");
    repo.git(&command).exits(0);
    assert_eq!((repo.0.text("new"), repo.0.text("f.json")), ("new\n".to_owned(), "{}\n".to_owned()));
    repo.git("reset -q HEAD^").exits(0);
    assert_eq!(repo.git("status --porcelain -- new f.json").text(), "?? new\n");
    repo.git("switch -q main").exits(0);
    repo.session("start other").exits(0);
    repo.session("remove other").exits(0).quietly();
}

/// SERVE-6: leftovers are told of, and removed only when asked.
#[test]
fn gc() {
    let Some(repo) = Repo::new() else { return };
    repo.session("start fix").exits(0);
    repo.session("gc").exits(0).says("nothing to collect");
    std::fs::remove_dir_all(repo.0.path(".filelatch/worktrees/fix")).unwrap();
    repo.session("list").exits(0).shows("folder-gone");
    assert_eq!(repo.session("gc").exits(0).says("--apply").text(), "fix  folder-gone  would be removed\n");
    let found = repo.session("gc --apply --json").exits(0).json();
    assert_eq!((&found["leftovers"][0]["removed"], &found["leftovers"][0]["rescue"]), (&json!(true), &json!(null)));
    assert_eq!(repo.git("branch --list").text(), "* main\n");
}

/// SERVE-6: a lock of git's that does not go: status 4, as for a lock of ours, and the lock stays.
#[test]
fn lock_that_stays() {
    let Some(repo) = Repo::new() else { return };
    repo.session("start fix").exits(0);
    repo.commit("fix", "{}\n");
    repo.0.write(".git/index.lock", "");
    repo.session("merge fix --timeout 20ms").exits(4).says("index.lock").says("remove that file yourself");
    assert!(repo.0.path(".git/index.lock").exists());
    std::fs::remove_file(repo.0.path(".git/index.lock")).unwrap();
    repo.session("merge fix").exits(0);
    assert_eq!(repo.0.text("f.json"), "{}\n");
}
