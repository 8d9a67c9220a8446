//! Workspaces: `init`, policies, sessions, the environment.

use crate::sandbox::Sandbox;

/// P16: `init` shows and adds git's patterns, once; in a worktree to the repository that it belongs to.
#[test]
fn init_and_git() {
    let s = Sandbox::new();
    let git = |args: &[&str]| s.program("git").args(args).output();
    if git(&["init", "-q", "repo"]).is_err() {
        return;
    }
    let exclude = "repo/.git/info/exclude";
    let ran =
        s.run(["init", "repo"]).exits(0).says("adding to").says(".*.lock  .*.lease  .*.sync  .*.tmp  .filelatch/*");
    assert!(ran.text().ends_with("/repo/.filelatch\n"), "{ran:?}");
    let first = s.text(exclude);
    s.run(["init", "repo"]).exits(0).says("was there already");
    assert_eq!(s.text(exclude), first);
    s.write("repo/a.json", "{}");
    s.run(["update", "repo/a.json", ".a = 1"]).exits(0);
    let status = git(&["-C", "repo", "status", "--porcelain", "-uall"]).unwrap();
    assert_eq!(
        String::from_utf8(status.stdout).unwrap(),
        "?? .filelatch/.gitignore\n?? .filelatch/config.toml\n?? a.json\n"
    );

    // A worktree's `.git` is a file; a folder below a repository belongs to it; `--no-git` leaves it alone.
    s.write(exclude, "mine");
    s.sh("cd repo && git -c user.name=n -c user.email=e commit -q --allow-empty -m x && git worktree add -q ../tree")
        .exits(0);
    s.run(["init", "--no-git", "tree"]).exits(0);
    assert_eq!(s.text(exclude), "mine");
    s.run(["init", "tree"]).exits(0).says("adding to");
    assert!(s.text(exclude).starts_with("mine\n# filelatch"), "{}", s.text(exclude));
}

/// VER-5: policies from the workspace: strategy, timeout.
#[test]
fn policies() {
    let s = Sandbox::new();
    s.run(["init"]).exits(0);
    s.write(
        ".filelatch/config.toml",
        "[[policy]]\nglob = \"*.lww\"\nstrategy = \"last-write-wins\"\ntimeout = \"10ms\"\n",
    );
    s.write("a.lww", "old");
    let zeros = "0".repeat(64);
    s.run_with("new", ["write", "a.lww", "--expect", &zeros]).exits(0).says("overwrote the version");
    let holder = s.holder("a.lww");
    s.run(["write", "a.lww"]).exits(4).says("still locked after");
    assert_eq!(holder.finish(), Some(0));
    s.write(".filelatch/config.toml", "\nlokc = 1\n");
    s.run(["write", "a.lww"]).exits(1).says("line 2: unknown field `lokc`");
    assert_eq!(s.text("a.lww"), "new");
}

/// LOCK-21, LOCK-18: locks that are switched off are told of by every command.
#[test]
fn locks_off() {
    let s = Sandbox::new();
    s.run(["init"]).exits(0);
    s.write("a.json", "{}");
    let holder = s.holder("a.json");
    s.write(".filelatch/config.toml", "locks = \"off\"\n");
    for args in [
        vec!["read", "a.json"],
        vec!["hash", "a.json"],
        vec!["write", "a.json"],
        vec!["update", "a.json", "--format", "text", "\"{}\""],
        vec!["patch", "a.json", "--merge-patch", "{}"],
        vec!["run", "a.json", "--", "true"],
        vec!["status", "a.json"],
    ] {
        let ran = s.run(&args).exits(0).says("warning: locks are switched off");
        assert_eq!(ran.err.matches("warning:").count(), 1, "{args:?}: {ran:?}");
    }
    s.write(".filelatch/config.toml", "[[policy]]\nglob = \"*\"\nif_unavailable = \"proceed\"\ntimeout = \"10ms\"\n");
    s.run(["update", "a.json", "."]).exits(0).says("warning: going on without the lock");
    assert_eq!(holder.finish(), Some(0));
    let ran = s.run(["update", "a.json", "."]).exits(0);
    assert_eq!(ran.err, "");
}

/// DESIGN §4: who writes, by option, by environment, by default.
#[test]
fn sessions() {
    let s = Sandbox::new();
    let author = |expected: &str| {
        let by = s.run(["read", "a", "--json"]).exits(0).json()["lastModifiedBy"].as_str().unwrap().to_owned();
        assert!(by == "unknown" || by.starts_with(expected), "{by}");
    };
    s.sh("echo 1 | FILELATCH_SESSION=bob filelatch write a").exits(0);
    author("bob");
    s.sh("echo 2 | FILELATCH_SESSION=bob filelatch write a --session alice").exits(0);
    author("alice");
    // A name too long for the attribute is found through the workspace.
    s.run(["init"]).exits(0);
    s.sh("echo 3 | filelatch write a --session a-session-with-a-long-name").exits(0);
    author("a-session-with-a-long-name");
}
