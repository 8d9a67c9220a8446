//! Removing sessions, and what is kept.

use filelatch_git::{Error, Reason, RemoveOptions, Removed, SessionState, StartOptions};

use crate::fixture::{Fixture, engine, put};

fn remove(fixture: &Fixture, name: &str, rescue: bool) -> Result<Removed, Error> {
    fixture.sessions().remove(name, &RemoveOptions { rescue })
}

/// What is in the way, as words.
#[track_caller]
fn refused(fixture: &Fixture, name: &str) -> Vec<&'static str> {
    let session = fixture.sessions().find(name).unwrap();
    match remove(fixture, name, false) {
        Err(Error::WouldLose { reasons, .. }) => {
            assert_eq!(fixture.sessions().find(name).unwrap().state, session.state);
            assert!(session.folder.exists() || session.state == SessionState::FolderGone);
            reasons.iter().map(Reason::code).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// Nothing is left of it but what was kept.
#[track_caller]
fn is_gone(fixture: &Fixture, name: &str) {
    assert!(matches!(fixture.sessions().find(name), Err(Error::NoSuchSession { .. })));
    assert_eq!(fixture.git(&format!("branch --list session/{name}")), "");
    assert!(!fixture.main(format!(".filelatch/worktrees/{name}")).exists());
    assert!(!fixture.git("worktree list").contains(&format!("session/{name}")));
    fixture.check();
}

/// SERVE-6, L54: a session in which nothing is to be lost goes without a word, with branch and folder; one can be started anew by its name.
#[test]
fn clean() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.write(".env", "x");
    let include = StartOptions { include: vec![".env".to_owned()], ..StartOptions::default() };
    let folder = fixture.sessions().start(Some("a"), &include).unwrap().folder;
    put(&folder.join("ignored.log"), "x");
    put(&folder.join("new"), "x");
    fixture.commit_in(&folder, "work");
    fixture.git("merge -q session/a");
    fixture.git_in(&folder, "config branch.session/a.remote nowhere");
    let removed = remove(&fixture, "a", false).unwrap();
    assert_eq!((removed.rescue, removed.branch_kept), (None, false));
    is_gone(&fixture, "a");
    assert!(!fixture.git("config --list --local").contains("session/a"));
    assert!(matches!(remove(&fixture, "a", false), Err(Error::NoSuchSession { .. })));
    fixture.start("a");
}

/// SERVE-6, L54: everything that would be lost is in the way, each by its name.
#[test]
fn refusals() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.write(".env", "x");
    let include = StartOptions { include: vec![".env".to_owned()], ..StartOptions::default() };
    let start = |name: &str| fixture.sessions().start(Some(name), &include).unwrap().folder;
    put(&start("modified").join("a.json"), "{}\n");
    assert_eq!(refused(&fixture, "modified"), ["changed"]);
    let staged = start("staged");
    put(&staged.join("a.json"), "{}\n");
    fixture.git_in(&staged, "add a.json");
    assert_eq!(refused(&fixture, "staged"), ["changed"]);
    std::fs::remove_file(start("deleted").join("a.json")).unwrap();
    assert_eq!(refused(&fixture, "deleted"), ["changed"]);
    put(&start("untracked").join("new/file"), "x");
    assert_eq!(refused(&fixture, "untracked"), ["untracked"]);
    put(&start("included").join(".env"), "changed");
    assert_eq!(refused(&fixture, "included"), ["included"]);
    let commits = start("commits");
    fixture.commit_in(&commits, "work");
    assert_eq!(refused(&fixture, "commits"), ["commits"]);
    let hidden = start("hidden");
    fixture.git_in(&hidden, "update-index --assume-unchanged a.json");
    put(&hidden.join("a.json"), "{}\n");
    assert_eq!(refused(&fixture, "hidden"), ["changed"]);
    let nested = start("nested");
    fixture.git_in(&nested, "init -q inner");
    assert_eq!(refused(&fixture, "nested"), ["nested"]);
    let worktree = start("worktree");
    fixture.git_in(&worktree, "worktree add -q --detach x.log");
    assert_eq!(refused(&fixture, "worktree"), ["nested"]);
    fixture.git(&format!("worktree lock {}", start("locked").display()));
    assert_eq!(refused(&fixture, "locked"), ["locked"]);
    std::fs::remove_file(start("broken").join(".git")).unwrap();
    assert_eq!(refused(&fixture, "broken"), ["broken"]);
    for name in ["nested", "worktree", "locked", "broken"] {
        assert!(matches!(remove(&fixture, name, true), Err(Error::WouldLose { .. })), "{name}");
    }
    assert_eq!(fixture.git("for-each-ref refs/filelatch"), "", "nothing is rescued of what is refused");
}

/// SERVE-6, L54: by reachability: commits that another branch, a tag or a remote branch has are not lost, however the base has moved; a
/// rescue has them, too. HEAD counts where it is not the branch.
#[test]
fn commits_by_reachability() {
    let Some(fixture) = Fixture::new() else { return };
    for (name, keep) in [
        ("branch", "branch other HEAD"),
        ("tag", "tag v1"),
        ("remote", "update-ref refs/remotes/origin/x HEAD"),
        ("rescue", "update-ref refs/filelatch/rescue/x HEAD"),
    ] {
        let folder = fixture.start(name).folder;
        fixture.commit_in(&folder, name);
        assert_eq!(refused(&fixture, name), ["commits"]);
        fixture.git_in(&folder, keep);
        assert_eq!(remove(&fixture, name, false).unwrap().rescue, None);
    }
    let folder = fixture.start("detached").folder;
    fixture.git_in(&folder, "switch -q --detach");
    let commit = fixture.commit_in(&folder, "on-no-branch");
    assert_eq!(refused(&fixture, "detached"), ["commits"]);
    let rescue = remove(&fixture, "detached", true).unwrap().rescue.unwrap();
    assert_eq!((rescue.commit, rescue.has_changes), (commit, false));
    let folder = fixture.start("both").folder;
    let one = fixture.commit_in(&folder, "one");
    fixture.git_in(&folder, "switch -q --detach HEAD~");
    let two = fixture.commit_in(&folder, "two");
    let rescue = remove(&fixture, "both", true).unwrap().rescue.unwrap();
    assert_ne!(one, two);
    for commit in [one, two] {
        fixture.git(&format!("merge-base --is-ancestor {commit} {}", rescue.reference));
    }
    is_gone(&fixture, "both");
}

/// SERVE-6, L54: what is on another branch that was switched to stays on it; a branch that is checked out elsewhere stays.
#[test]
fn switched() {
    let Some(fixture) = Fixture::new() else { return };
    let folder = fixture.start("a").folder;
    fixture.git_in(&folder, "switch -q -c other");
    let commit = fixture.commit_in(&folder, "other");
    fixture.git("switch -q session/a");
    let removed = remove(&fixture, "a", false).unwrap();
    assert!(removed.branch_kept && removed.rescue.is_none());
    assert_eq!(fixture.git("rev-parse other"), commit);
    assert_eq!(fixture.git("symbolic-ref HEAD"), "refs/heads/session/a");
}

/// SERVE-6, L54: a rescue has everything: tracked and untracked files, what was staged, commits; changed secrets lie beside it, not in it. The
/// command that it tells brings it back.
#[cfg(unix)]
#[test]
fn rescue_keeps_everything() {
    use std::os::unix::fs::PermissionsExt;
    let Some(fixture) = Fixture::new() else { return };
    fixture.write(".env", "SECRET=1\n");
    fixture.write("settings", "plain\n");
    let include = StartOptions { include: vec![".env".to_owned(), "settings".to_owned()], ..StartOptions::default() };
    let folder = fixture.sessions().start(Some("a"), &include).unwrap().folder;
    std::fs::set_permissions(folder.join(".env"), std::fs::Permissions::from_mode(0o600)).unwrap();
    fixture.git_in(&folder, "commit -q --allow-empty -m work");
    let commit = fixture.git_in(&folder, "rev-parse HEAD");
    put(&folder.join("a.json"), "staged\n");
    fixture.git_in(&folder, "add a.json");
    put(&folder.join("a.json"), "on disk\n");
    put(&folder.join("dir/new"), "untracked\n");
    put(&folder.join(".env"), "SECRET=2\n");
    put(&folder.join("settings"), "changed\n");
    std::fs::remove_file(folder.join("dir/b.txt")).unwrap();
    put(&folder.join("x.log"), "ignored\n");
    let index = std::fs::read(fixture.main(".git/worktrees/a/index")).unwrap();
    assert_eq!(refused(&fixture, "a"), ["changed", "untracked", "included", "commits"]);
    assert_eq!(
        std::fs::read(fixture.main(".git/worktrees/a/index")).unwrap(),
        index,
        "the user's index is not touched"
    );
    let rescue = remove(&fixture, "a", true).unwrap().rescue.unwrap();
    is_gone(&fixture, "a");
    let show = |what: &str| fixture.git(&format!("show {}{what}", rescue.reference));
    assert_eq!(fixture.git(&format!("ls-tree -r --name-only {}", rescue.reference)), ".gitignore\na.json\ndir/new");
    assert_eq!((show(":a.json"), show(":dir/new")), ("on disk".to_owned(), "untracked".to_owned()));
    assert_eq!(show("^2:a.json"), "staged");
    assert_eq!(fixture.git(&format!("rev-parse {}^1", rescue.reference)), commit);
    let files = rescue.files.clone().unwrap();
    assert_eq!(std::fs::read_to_string(files.join(".env")).unwrap(), "SECRET=2\n");
    assert_eq!(std::fs::read_to_string(files.join("settings")).unwrap(), "changed\n");
    assert_eq!(std::fs::metadata(files.join(".env")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(&files).unwrap().permissions().mode() & 0o077, 0);
    let command = rescue.command("back");
    fixture.git(command.strip_prefix("git ").unwrap());
    assert_eq!(fixture.text("a.json"), "on disk\n");
}

/// SERVE-6: in the middle of a merge with conflicts: refused; a rescue has the files with their markers and both sides.
#[test]
fn merge_in_progress() {
    let Some(fixture) = Fixture::new() else { return };
    let folder = fixture.start("a").folder;
    put(&folder.join("a.json"), "mine\n");
    let mine = fixture.commit_in(&folder, "mine");
    fixture.git("switch -q -c side");
    fixture.write("a.json", "side\n");
    let side = fixture.commit("side");
    fixture.git("switch -q main");
    assert!(!fixture.command(&folder, ["merge", "-q", "side"]).output().unwrap().status.success());
    fixture.git("branch -q -D side");
    assert_eq!(refused(&fixture, "a"), ["in-progress", "changed", "commits"]);
    let rescue = remove(&fixture, "a", true).unwrap().rescue.unwrap();
    for commit in [mine, side] {
        fixture.git(&format!("merge-base --is-ancestor {commit} {}", rescue.reference));
    }
    assert!(fixture.git(&format!("show {}:a.json", rescue.reference)).contains("<<<<<<<"));
    is_gone(&fixture, "a");
}

/// SERVE-6: open conflicts of the session's files are in the way.
#[test]
fn open_conflicts() {
    use filelatch::{Expect, Strategy, WriteOptions};
    let Some(fixture) = Fixture::new() else { return };
    let folder = fixture.start("a").folder;
    let file = engine().file(folder.join("a.json")).unwrap();
    let base = file.read().unwrap();
    put(&folder.join("a.json"), "{\n  \"a\": 2,\n  \"b\": 2\n}\n");
    let options =
        WriteOptions::new().strategy(Strategy::Merge).base(base.bytes()).expect(Expect::Version(base.version()));
    assert!(file.write(b"{\n  \"a\": 3,\n  \"b\": 2\n}\n", &options).is_err());
    fixture.git_in(&folder, "checkout -q -- a.json");
    assert_eq!(refused(&fixture, "a"), ["conflicts"]);
    assert!(matches!(remove(&fixture, "a", true), Err(Error::WouldLose { .. })));
}

/// SERVE-6, L54: who works inside is in the way, and told.
#[cfg(target_os = "linux")]
#[test]
fn inside() {
    let Some(fixture) = Fixture::new() else { return };
    let folder = fixture.start("a").folder;
    let mut command = std::process::Command::new("cat");
    let mut child = command.current_dir(&folder).stdin(std::process::Stdio::piped()).spawn().unwrap();
    assert_eq!(refused(&fixture, "a"), ["inside"]);
    drop(child.stdin.take());
    child.wait().unwrap();
    remove(&fixture, "a", false).unwrap();
}

/// SERVE-6: a folder that is gone, one that was moved by git, a worktree without a record.
#[test]
fn odd_ones() {
    let Some(fixture) = Fixture::new() else { return };
    let gone = fixture.start("gone").folder;
    let commit = fixture.commit_in(&gone, "work");
    std::fs::remove_dir_all(&gone).unwrap();
    assert_eq!(refused(&fixture, "gone"), ["commits"]);
    assert_eq!(remove(&fixture, "gone", true).unwrap().rescue.unwrap().commit, commit);
    is_gone(&fixture, "gone");
    let moved = fixture.start("moved").folder;
    fixture.git(&format!("worktree move {} ../moved", moved.display()));
    assert_eq!(fixture.sessions().find("moved").unwrap().folder, fixture.top().join("moved"));
    remove(&fixture, "moved", false).unwrap();
    assert!(!fixture.top().join("moved").exists());
    is_gone(&fixture, "moved");
    fixture.git("worktree add -q -b session/by-hand ../by-hand");
    put(&fixture.top().join("by-hand/new"), "x");
    assert_eq!(refused(&fixture, "by-hand"), ["untracked"]);
    assert!(remove(&fixture, "by-hand", true).unwrap().rescue.unwrap().has_changes);
    is_gone(&fixture, "by-hand");
}

/// SERVE-6, L54: a branch that is called like a session's and was never one is not removed.
#[test]
fn branch_alone() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.git("branch session/mine");
    assert!(matches!(remove(&fixture, "mine", true), Err(Error::NoSuchSession { .. })));
    fixture.git("rev-parse --verify -q refs/heads/session/mine");
}

/// SERVE-6: a lock of git's that stays in the middle of a removal: half removed, and listed so; everything is in the rescue, and removing again
/// goes on without another.
#[test]
fn contended() {
    let Some(fixture) = Fixture::new() else { return };
    let folder = fixture.start("a").folder;
    put(&folder.join("new"), "x");
    let impatient = fixture.runner(fixture.main("")).patience(std::time::Duration::ZERO);
    let impatient = filelatch_git::Sessions::open_with(impatient, &engine()).unwrap();
    let lock = fixture.main(".git/refs/heads/session/a.lock");
    put(&lock, "");
    let refused = impatient.remove("a", &RemoveOptions { rescue: true });
    assert!(matches!(refused, Err(Error::Contended { .. })), "{refused:?}");
    let session = fixture.sessions().find("a").unwrap();
    assert_eq!(session.state, SessionState::HalfRemoved);
    assert_eq!(fixture.git(&format!("show {}:new", session.rescue.unwrap())), "x");
    std::fs::remove_file(&lock).unwrap();
    assert_eq!(remove(&fixture, "a", false).unwrap().rescue, None);
    is_gone(&fixture, "a");
}

/// SERVE-6: file names that are no text are rescued, too.
#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text() {
    use std::os::unix::ffi::OsStrExt;
    let Some(fixture) = Fixture::new() else { return };
    let folder = fixture.start("a").folder;
    std::fs::write(folder.join(std::ffi::OsStr::from_bytes(b"\xff \n")), "x").unwrap();
    let rescue = remove(&fixture, "a", true).unwrap().rescue.unwrap();
    assert!(fixture.git(&format!("ls-tree --name-only {}", rescue.reference)).contains("\\377 \\n"));
}

/// SERVE-6: submodules that are set up in a session are in the way; those that are not, are not, although git alone would refuse.
#[test]
fn submodules() {
    let (Some(fixture), Some(inner)) = (Fixture::new(), Fixture::new()) else { return };
    let from = inner.main("");
    fixture.git(&format!("-c protocol.file.allow=always submodule --quiet add {} sub", from.display()));
    fixture.commit("submodule");
    fixture.start("plain");
    let set_up = fixture.start("set-up").folder;
    fixture.git_in(&set_up, "-c protocol.file.allow=always submodule --quiet update --init");
    assert_eq!(refused(&fixture, "set-up"), ["submodules"]);
    assert!(matches!(remove(&fixture, "set-up", true), Err(Error::WouldLose { .. })));
    remove(&fixture, "plain", false).unwrap();
    is_gone(&fixture, "plain");
}

/// SERVE-6: what git leaves when it is killed while it adds a worktree: its lock, no files. It is no lock of somebody's.
#[test]
fn half_added() {
    let Some(fixture) = Fixture::new() else { return };
    let folder = fixture.start("a").folder;
    let record = fixture.main(".git/filelatch/sessions/a.json");
    let text = std::fs::read_to_string(&record).unwrap();
    fixture.git(&format!("worktree lock --reason initializing {}", folder.display()));
    assert_eq!(refused(&fixture, "a"), ["locked"]);
    put(&record, text.replace("\"ready\"", "\"starting\""));
    assert_eq!(fixture.sessions().find("a").unwrap().state, SessionState::Incomplete);
    assert_eq!(remove(&fixture, "a", false).unwrap().rescue, None);
    is_gone(&fixture, "a");
}

/// SERVE-6: while somebody works on a session nobody else does, and it is not taken for interrupted.
#[test]
fn busy() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.start("a");
    let record = fixture.main(".git/filelatch/sessions/a.json");
    let text = std::fs::read_to_string(&record).unwrap();
    put(&record, text.replace("\"ready\"", "\"starting\""));
    let lock = engine().file(fixture.main(".git/filelatch/sessions/a.busy")).unwrap();
    let held = lock.try_lock().unwrap();
    let sessions = fixture.sessions();
    assert_eq!(sessions.find("a").unwrap().state, SessionState::Starting);
    assert!(matches!(sessions.start(Some("a"), &StartOptions::default()), Err(Error::Starting { .. })));
    assert!(matches!(remove(&fixture, "a", true), Err(Error::Busy { .. })));
    assert!(matches!(sessions.merge("a", &filelatch_git::MergeOptions::default()), Err(Error::Busy { .. })));
    assert!(sessions.gc(&filelatch_git::GcOptions { apply: true, ..Default::default() }).unwrap().is_empty());
    drop(held);
    assert_eq!(sessions.find("a").unwrap().state, SessionState::Incomplete);
}
