//! Leftovers.

use std::time::Duration;

use filelatch_git::{GcOptions, Leftover};

use crate::fixture::{Fixture, put};

fn found(fixture: &Fixture, options: &GcOptions) -> Vec<(String, Leftover)> {
    let all = fixture.sessions().gc(options).unwrap();
    all.into_iter().map(|one| (one.session.name, one.why)).collect()
}

/// SERVE-6: nothing is removed unless asked; a session that was merged is a leftover after its time only; one that has something never is.
#[test]
fn merged_and_old() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.start("fresh");
    let merged = fixture.start("merged").folder;
    fixture.commit_in(&merged, "work");
    fixture.git("merge -q session/merged");
    put(&fixture.start("dirty").folder.join("new"), "x");
    fixture.commit_in(&fixture.start("ahead").folder, "work");
    assert_eq!(found(&fixture, &GcOptions::default()), []);
    let now = GcOptions { older_than: Duration::ZERO, apply: false };
    if !cfg!(target_os = "linux") {
        return;
    }
    let both = [("fresh".to_owned(), Leftover::Merged), ("merged".to_owned(), Leftover::Merged)];
    assert_eq!(found(&fixture, &now), both);
    assert_eq!(fixture.sessions().list().unwrap().len(), 4);
    assert_eq!(found(&fixture, &GcOptions { apply: true, ..now }), both);
    let left: Vec<_> = fixture.sessions().list().unwrap().into_iter().map(|session| session.name).collect();
    assert_eq!(left, ["ahead", "dirty"]);
}

/// SERVE-6: a folder that was deleted by hand: its commits are rescued, branch and record go; other people's stale worktrees stay.
#[test]
fn folder_gone() {
    let Some(fixture) = Fixture::new() else { return };
    let folder = fixture.start("gone").folder;
    let commit = fixture.commit_in(&folder, "work");
    std::fs::remove_dir_all(&folder).unwrap();
    fixture.git("worktree add -q -b theirs ../theirs");
    std::fs::remove_dir_all(fixture.top().join("theirs")).unwrap();
    let all = fixture.sessions().gc(&GcOptions { apply: true, ..GcOptions::default() }).unwrap();
    assert_eq!((all.len(), all[0].why), (1, Leftover::FolderGone));
    let rescue = all[0].removed.as_ref().unwrap().as_ref().unwrap().rescue.clone().unwrap();
    assert_eq!(rescue.commit, commit);
    assert!(fixture.git("worktree list").contains("theirs"));
    assert!(fixture.sessions().list().unwrap().is_empty());
    assert_eq!(fixture.git("branch --list session/gone"), "");
}

/// SERVE-6: what can't be removed is told, stays, and keeps no other from it.
#[test]
fn refused() {
    let Some(fixture) = Fixture::new() else { return };
    for name in ["a", "b"] {
        std::fs::remove_file(fixture.start(name).folder.join(".git")).unwrap();
    }
    std::fs::remove_dir_all(fixture.main(".filelatch/worktrees/b")).unwrap();
    let all = fixture.sessions().gc(&GcOptions { apply: true, ..GcOptions::default() }).unwrap();
    let done: Vec<_> = all.iter().map(|one| one.removed.as_ref().unwrap().is_ok()).collect();
    assert_eq!(done, [false, true]);
    assert!(fixture.main(".filelatch/worktrees/a/a.json").exists());
}
