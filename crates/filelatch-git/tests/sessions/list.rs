//! What is told of sessions.

use filelatch_git::{Dirty, Error, SessionState};

use crate::fixture::{Fixture, put};

/// SERVE-6: staged, modified and untracked files are counted; ahead and behind are counted from the base as it is now.
#[test]
fn counts() {
    let Some(fixture) = Fixture::new() else { return };
    let folder = fixture.start("a").folder;
    let find = || fixture.sessions().find("a").unwrap();
    let fresh = find();
    assert_eq!(
        (fresh.dirty, fresh.ahead, fresh.behind, fresh.merged),
        (Some(Dirty::default()), Some(0), Some(0), Some(true))
    );
    assert_eq!((fresh.created_by.as_deref(), fresh.switched_to), (Some("tester"), None));
    put(&folder.join("a.json"), "{}\n");
    put(&folder.join("new/file"), "x");
    put(&folder.join("new/other"), "x");
    put(&folder.join("quiet.log"), "x");
    put(&folder.join("staged"), "x");
    fixture.git_in(&folder, "add staged");
    let dirty = find().dirty.unwrap();
    assert_eq!((dirty.staged, dirty.modified, dirty.untracked), (1, 1, 2));
    fixture.commit_in(&folder, "work");
    fixture.commit("elsewhere");
    fixture.commit("elsewhere");
    let session = find();
    assert_eq!((session.dirty.unwrap().is_dirty(), session.ahead, session.behind), (false, Some(1), Some(2)));
    assert_eq!(session.merged, Some(false));
    fixture.git("merge -q --no-edit session/a");
    assert_eq!(find().merged, Some(true));
}

/// SERVE-6, L53: what git was told not to look at is seen all the same.
#[test]
fn hidden_changes() {
    let Some(fixture) = Fixture::new() else { return };
    let folder = fixture.start("a").folder;
    fixture.git_in(&folder, "update-index --assume-unchanged a.json");
    fixture.git_in(&folder, "update-index --skip-worktree dir/b.txt");
    let modified = || fixture.sessions().find("a").unwrap().dirty.unwrap().modified;
    assert_eq!(modified(), 0);
    put(&folder.join("a.json"), "[]\n");
    put(&folder.join("dir/b.txt"), "changed\n");
    assert_eq!(modified(), 2);
}

/// SERVE-6: a folder that was deleted by hand, a branch that was switched, a merge that is not finished, a worktree without a record.
#[test]
fn odd_ones() {
    let Some(fixture) = Fixture::new() else { return };
    let gone = fixture.start("gone");
    std::fs::remove_dir_all(&gone.folder).unwrap();
    let switched = fixture.start("switched").folder;
    fixture.git_in(&switched, "switch -q -c other");
    let detached = fixture.start("detached").folder;
    fixture.git_in(&detached, "switch -q --detach");
    let merging = fixture.start("merging").folder;
    put(&merging.join("a.json"), "1\n");
    fixture.commit_in(&merging, "mine");
    fixture.write("a.json", "2\n");
    fixture.commit("theirs");
    assert!(!fixture.command(&merging, ["merge", "-q", "main"]).output().unwrap().status.success());
    fixture.git("worktree add -q -b session/by-hand ../by-hand");
    let all = fixture.sessions().list().unwrap();
    let one = |name: &str| all.iter().find(|session| session.name == name).unwrap().clone();
    assert_eq!(all.len(), 5);
    assert_eq!((one("gone").state, one("gone").head.as_ref()), (SessionState::FolderGone, Some(&gone.base_commit)));
    assert_eq!(one("switched").switched_to, Some(Some("other".to_owned())));
    assert_eq!(one("detached").switched_to, Some(None));
    assert_eq!(one("merging").in_progress, Some("merge"));
    assert_eq!(
        (one("by-hand").state, one("by-hand").folder),
        (SessionState::Unrecorded, fixture.top().join("by-hand"))
    );
    assert!(all.iter().all(|session| session.problem.is_none()), "{all:#?}");
    assert!(matches!(fixture.sessions().find("nobody"), Err(Error::NoSuchSession { .. })));
}

/// SERVE-6: a record that can't be read is told of, hides no other session, and nothing in it is believed.
#[test]
fn bad_records() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.start("a");
    fixture.start("b");
    let record = fixture.main(".git/filelatch/sessions/a.json");
    let good = std::fs::read_to_string(&record).unwrap();
    for bad in ["", "{", "[1]", "\0\0\0", &good.replace("session/a", "main"), &good.replace("\"v\": 1", "\"v\": 99")] {
        std::fs::write(&record, bad).unwrap();
        let all = fixture.sessions().list().unwrap();
        assert_eq!(all.len(), 2);
        assert!(all[0].problem.is_some() && all[1].problem.is_none(), "{bad}: {all:#?}");
        assert_eq!(all[0].state, SessionState::Unrecorded);
    }
}

/// SERVE-6: who is inside is told by the system.
#[cfg(target_os = "linux")]
#[test]
fn inside() {
    use std::io::Read;
    let Some(fixture) = Fixture::new() else { return };
    let folder = fixture.start("a").folder;
    assert_eq!(fixture.sessions().find("a").unwrap().inside, Some(Vec::new()));
    let mut command = std::process::Command::new("cat");
    let mut child = command.current_dir(folder.join("dir")).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let inside = fixture.sessions().find("a").unwrap().inside.unwrap();
    assert_eq!(inside.iter().map(|process| process.pid).collect::<Vec<_>>(), [child.id()]);
    drop(child.stdin.take());
    let mut rest = Vec::new();
    child.stdout.take().map(|mut out| out.read_to_end(&mut rest));
    child.wait().unwrap();
}
