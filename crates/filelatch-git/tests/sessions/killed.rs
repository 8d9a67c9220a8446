//! Killed between any two steps: what there is is listed, can be completed or collected, and nothing is lost.
//!
//! A wrapper in place of git kills its parent, with SIGKILL, before or after the n-th call; n goes up until the work is done.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use filelatch_git::{GcOptions, MergeOptions, RemoveOptions, SessionState, Sessions, StartOptions};

use crate::fixture::{Fixture, engine, put};

/// What the process of these tests does.
const WORK: &str = "FILELATCH_GIT_TEST_WORK";

/// Not a test by itself: the process that is killed.
#[test]
fn worker() {
    let Some(work) = std::env::var_os(WORK) else { return };
    let work = work.into_string().unwrap();
    let (verb, dir) = work.split_once('\n').unwrap();
    let sessions = Sessions::open(dir, &engine()).unwrap();
    match verb {
        "start" => drop(sessions.start(Some("a"), &start_options()).unwrap()),
        "remove" => drop(sessions.remove("a", &RemoveOptions { rescue: true }).unwrap()),
        "merge" => drop(sessions.merge("a", &merge_options()).unwrap()),
        other => panic!("{other}"),
    }
}

fn start_options() -> StartOptions {
    StartOptions { include: vec![".env".to_owned()], ..StartOptions::default() }
}

fn merge_options() -> MergeOptions {
    MergeOptions { commit: Some("work".to_owned()), message: Some("merge".to_owned()), ..MergeOptions::default() }
}

/// A folder with a git that kills.
fn killing_git(fixture: &Fixture) -> PathBuf {
    let bin = fixture.top().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let real = String::from_utf8(Command::new("sh").args(["-c", "command -v git"]).output().unwrap().stdout).unwrap();
    let script = format!(
        "#!/bin/sh\n\
         n=$(($(cat '{count}') + 1))\n\
         echo $n >'{count}'\n\
         if [ $n.before = \"$KILL_AT\" ]; then kill -9 $PPID; exit 1; fi\n\
         {real} \"$@\"\n\
         status=$?\n\
         if [ $n.after = \"$KILL_AT\" ]; then kill -9 $PPID; fi\n\
         exit $status\n",
        count = fixture.top().join("count").display(),
        real = real.trim(),
    );
    std::fs::write(bin.join("git"), script).unwrap();
    std::fs::set_permissions(bin.join("git"), std::fs::Permissions::from_mode(0o755)).unwrap();
    bin
}

/// Does the work; false: it was killed there.
fn work(fixture: &mut Fixture, verb: &str, at: &str) -> bool {
    let bin = killing_git(fixture);
    std::fs::write(fixture.top().join("count"), "0\n").unwrap();
    fixture.path = Some(bin);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "killed::worker", "--nocapture"]).envs(fixture.env()).env("KILL_AT", at);
    command.env(WORK, format!("{verb}\n{}", fixture.main("").display()));
    let done = command.stdin(Stdio::null()).output().unwrap();
    fixture.path = None;
    assert!(done.status.success() || done.status.signal() == Some(9), "{verb} {at}: {done:?}");
    done.status.success()
}

/// Every branch and worktree of a session has a record, and what is not whole says so.
#[track_caller]
fn is_consistent(fixture: &Fixture, at: &str) {
    let all = fixture.sessions().list().unwrap();
    assert!(all.len() <= 1, "{at}: {all:#?}");
    let has_branch = !fixture.git("branch --list session/a").is_empty();
    let has_tree = fixture.git("worktree list").lines().count() > 1;
    match all.first() {
        None => assert!(!has_branch && !has_tree, "{at}: nobody knows of it"),
        Some(session) => {
            assert_ne!(session.state, SessionState::Unrecorded, "{at}");
            assert!(session.problem.is_none(), "{at}: {session:#?}");
        }
    }
}

/// Runs `round` for each moment until the work is done before it comes.
fn at_each_moment(mut round: impl FnMut(&str, bool) -> Option<bool>) {
    let mut moments = 0;
    for n in 1..200 {
        for side in ["before", "after"] {
            let at = format!("{n}.{side}");
            // One way to go on after each moment, the other after the next.
            match round(&at, (n + usize::from(side == "after")) % 2 == 0) {
                None => return,
                Some(true) => {
                    assert!(moments > 10, "only {moments} moments");
                    return;
                }
                Some(false) => moments += 1,
            }
        }
    }
    panic!("the work never ends");
}

/// SERVE-6: `start`, killed before and after each call of git: starting again completes it, or collecting removes it.
#[test]
fn start() {
    at_each_moment(|at, again| {
        let mut fixture = Fixture::new()?;
        fixture.write(".env", "SECRET\n");
        let done = work(&mut fixture, "start", at);
        is_consistent(&fixture, at);
        if done {
            return Some(true);
        }
        if again {
            let started = fixture.sessions().start(Some("a"), &start_options());
            let folder = match started {
                Ok(started) => started.folder,
                Err(filelatch_git::Error::Exists { folder, .. }) => folder,
                Err(error) => panic!("{at}: {error}"),
            };
            assert_eq!(fixture.sessions().find("a").unwrap().state, SessionState::Ready, "{at}");
            assert_eq!(fixture.git_in(&folder, "status --porcelain"), "", "{at}");
            assert_eq!(std::fs::read_to_string(folder.join(".env")).unwrap(), "SECRET\n", "{at}");
        } else {
            fixture.sessions().gc(&GcOptions { apply: true, ..GcOptions::default() }).unwrap();
            let left = fixture.sessions().list().unwrap();
            assert!(left.iter().all(|session| session.state == SessionState::Ready), "{at}: {left:#?}");
            is_consistent(&fixture, at);
            assert_eq!(fixture.git("for-each-ref refs/filelatch"), "", "{at}: there was nothing to rescue");
        }
        fixture.check();
        Some(false)
    });
}

/// A session with a commit, something staged, something changed, something new.
fn full() -> Option<(Fixture, String)> {
    let fixture = Fixture::new()?;
    let folder = fixture.start("a").folder;
    put(&folder.join("dir/b.txt"), "committed\n");
    let commit = fixture.commit_in(&folder, "work");
    put(&folder.join("a.json"), "staged\n");
    fixture.git_in(&folder, "add a.json");
    put(&folder.join("a.json"), "changed\n");
    put(&folder.join("new"), "new\n");
    Some((fixture, commit))
}

/// SERVE-6, L54: `remove --rescue`, killed before and after each call of git: removing again or collecting goes on, and everything is kept.
#[test]
fn remove() {
    at_each_moment(|at, again| {
        let (mut fixture, commit) = full()?;
        let done = work(&mut fixture, "remove", at);
        is_consistent(&fixture, at);
        let is_there = !fixture.sessions().list().unwrap().is_empty();
        if is_there && again {
            fixture.sessions().remove("a", &RemoveOptions { rescue: true }).unwrap();
        } else if is_there {
            let before = fixture.sessions().find("a").unwrap().state;
            let all = fixture.sessions().gc(&GcOptions { apply: true, ..GcOptions::default() }).unwrap();
            assert!(all.iter().all(|one| one.removed.as_ref().is_some_and(Result::is_ok)), "{at}: {all:#?}");
            assert_eq!(all.is_empty(), before == SessionState::Ready, "{at}");
        }
        is_consistent(&fixture, at);
        if let Some(session) = fixture.sessions().list().unwrap().first() {
            assert_eq!(session.state, SessionState::Ready, "{at}");
            assert_eq!(std::fs::read_to_string(session.folder.join("new")).unwrap(), "new\n", "{at}");
        } else {
            let kept = fixture.git("for-each-ref --format=%(refname) refs/filelatch/rescue");
            let has = |reference: &str, path: &str, content: &str| {
                let shown =
                    fixture.command(&fixture.main(""), ["show", &format!("{reference}:{path}")]).output().unwrap();
                shown.stdout == content.as_bytes()
            };
            let is_whole = |reference: &str| {
                let parents = fixture.git(&format!("rev-list --parents -n1 {reference}"));
                let staged = parents.split(' ').skip(1).any(|parent| has(parent, "a.json", "staged\n"));
                staged
                    && has(reference, "a.json", "changed\n")
                    && has(reference, "new", "new\n")
                    && parents.contains(&commit)
            };
            assert!(kept.lines().any(is_whole), "{at}: {kept}");
        }
        fixture.check();
        Some(done)
    });
}

/// SERVE-6: `merge --commit`, killed before and after each call of git: merging again brings it all, once.
#[test]
fn merge() {
    at_each_moment(|at, _| {
        let (mut fixture, _) = full()?;
        fixture.write(".gitignore", "*.log\n");
        fixture.commit("elsewhere");
        let done = work(&mut fixture, "merge", at);
        is_consistent(&fixture, at);
        fixture.sessions().merge("a", &merge_options()).unwrap();
        for (name, content) in
            [("a.json", "changed\n"), ("new", "new\n"), ("dir/b.txt", "committed\n"), (".gitignore", "*.log\n")]
        {
            assert_eq!(fixture.text(name), content, "{at}");
        }
        assert_eq!(fixture.git("status --porcelain --untracked-files=no"), "", "{at}");
        assert_eq!(fixture.git("rev-list --count --merges HEAD"), "1", "{at}");
        fixture.check();
        Some(done)
    });
}
