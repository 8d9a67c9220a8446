//! Merging sessions.

use filelatch_git::{Error, MergeOptions, MergeOutcome, MergedSession};

use crate::fixture::{Fixture, put};

fn merge(fixture: &Fixture, name: &str, options: &MergeOptions) -> Result<MergedSession, Error> {
    fixture.sessions().merge(name, options)
}

/// A session that has changed one line, and a main branch that has changed another.
fn diverged(ours: &str, theirs: &str) -> Option<Fixture> {
    let fixture = Fixture::new()?;
    let folder = fixture.start("a").folder;
    put(&folder.join("dir/b.txt"), theirs);
    fixture.commit_in(&folder, "theirs");
    fixture.write("dir/b.txt", ours);
    fixture.commit("ours");
    Some(fixture)
}

/// SERVE-6: a fast-forward, nothing to do, a merge commit; the working tree follows.
#[test]
fn outcomes() {
    let Some(fixture) = Fixture::new() else { return };
    let folder = fixture.start("a").folder;
    let options = MergeOptions::default();
    assert_eq!(merge(&fixture, "a", &options).unwrap().outcome, MergeOutcome::UpToDate);
    put(&folder.join("new"), "x\n");
    let commit = fixture.commit_in(&folder, "work");
    let merged = merge(&fixture, "a", &options).unwrap();
    assert_eq!((merged.outcome, merged.into.as_str(), &merged.commit), (MergeOutcome::FastForward, "main", &commit));
    assert_eq!((fixture.text("new"), fixture.git("rev-parse HEAD")), ("x\n".to_owned(), commit));
    put(&folder.join("dir/b.txt"), "one\ntwo\nTHREE\n");
    fixture.commit_in(&folder, "theirs");
    fixture.write("a.json", "{}\n");
    fixture.commit("ours");
    let merged = merge(&fixture, "a", &MergeOptions { message: Some("Both".to_owned()), ..options }).unwrap();
    assert_eq!(merged.outcome, MergeOutcome::Merged);
    assert_eq!(
        fixture.git("log -1 --format=%s%n%P"),
        format!("Both\n{} {}", fixture.git("rev-parse HEAD^1"), fixture.git("rev-parse session/a"))
    );
    assert_eq!(
        (fixture.text("dir/b.txt"), fixture.text("a.json")),
        ("one\ntwo\nTHREE\n".to_owned(), "{}\n".to_owned())
    );
    assert_eq!(fixture.git("status --porcelain --untracked-files=no"), "");
    fixture.check();
}

/// SERVE-6: what is not committed is in the way, or is committed first: not what is ignored, not what was included.
#[test]
fn uncommitted() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.write(".env", "SECRET\n");
    fixture.write("local", "mine\n");
    let include = filelatch_git::StartOptions {
        include: vec![".env".to_owned(), "local".to_owned()],
        ..filelatch_git::StartOptions::default()
    };
    let folder = fixture.sessions().start(Some("a"), &include).unwrap().folder;
    assert_eq!(merge(&fixture, "a", &MergeOptions::default()).unwrap().outcome, MergeOutcome::UpToDate);
    put(&folder.join("new"), "x\n");
    put(&folder.join("a.json"), "{}\n");
    put(&folder.join("local"), "changed\n");
    put(&folder.join("x.log"), "x\n");
    let refused = merge(&fixture, "a", &MergeOptions::default());
    assert!(matches!(refused, Err(Error::Uncommitted { files: 2, .. })), "{refused:?}");
    let options = MergeOptions { commit: Some("All of it".to_owned()), ..MergeOptions::default() };
    let merged = merge(&fixture, "a", &options).unwrap();
    assert_eq!(merged.committed, Some(merged.commit));
    assert_eq!(fixture.git("show --format=%s --name-only HEAD"), "All of it\n\na.json\nnew");
    assert_eq!(fixture.text("local"), "mine\n");
}

/// SERVE-6: a conflict changes nothing anywhere, and says where it is; asked to, it is left in the main working tree as git leaves it.
#[test]
fn conflict() {
    let Some(fixture) = diverged("one\nours\nthree\n", "one\ntheirs\nthree\n") else { return };
    let before = (fixture.git("for-each-ref"), fixture.git("status --porcelain"));
    match merge(&fixture, "a", &MergeOptions::default()) {
        Err(Error::Unmerged(unmerged)) => {
            assert_eq!(
                (unmerged.branch.as_str(), unmerged.into.as_str(), &unmerged.left_in),
                ("session/a", "main", &None)
            );
            let file = &unmerged.files[0];
            assert_eq!((unmerged.files.len(), file.path.to_str()), (1, Some("dir/b.txt")));
            assert!(file.message.starts_with("CONFLICT (content)"), "{}", file.message);
            let hunk = &file.hunks[0];
            assert_eq!((hunk.line, hunk.ours.as_str(), hunk.theirs.as_str()), (2, "ours\n", "theirs\n"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!((fixture.git("for-each-ref"), fixture.git("status --porcelain")), before);
    assert_eq!(fixture.text("dir/b.txt"), "one\nours\nthree\n");
    let options = MergeOptions { leave_conflicts: true, ..MergeOptions::default() };
    match merge(&fixture, "a", &options) {
        Err(Error::Unmerged(unmerged)) => assert_eq!(unmerged.left_in, Some(fixture.main(""))),
        other => panic!("{other:?}"),
    }
    assert!(fixture.text("dir/b.txt").contains("<<<<<<< "));
    assert!(matches!(merge(&fixture, "a", &options), Err(Error::InProgress { what: "merge", .. })));
    fixture.write("dir/b.txt", "one\nboth\nthree\n");
    fixture.commit("resolved");
    assert_eq!(merge(&fixture, "a", &options).unwrap().outcome, MergeOutcome::UpToDate);
}

/// SERVE-6: a conflict that is not about lines: deleted here, changed there.
#[test]
fn deleted_and_changed() {
    let Some(fixture) = Fixture::new() else { return };
    let folder = fixture.start("a").folder;
    put(&folder.join("dir/b.txt"), "changed\n");
    fixture.commit_in(&folder, "theirs");
    fixture.git("rm -q dir/b.txt");
    fixture.commit("ours");
    match merge(&fixture, "a", &MergeOptions::default()) {
        Err(Error::Unmerged(unmerged)) => {
            assert!(unmerged.files[0].message.contains("modify/delete") && unmerged.files[0].hunks.is_empty());
        }
        other => panic!("{other:?}"),
    }
}

/// SERVE-6: files are merged by the given driver, without a change to anybody's configuration; the user's own settings count more.
#[cfg(unix)]
#[test]
fn driver() {
    let Some(fixture) = diverged("one\nours\nthree\n", "one\ntheirs\nthree\n") else { return };
    let config = fixture.git("config --list --local");
    let options = MergeOptions { driver: Some("printf 'by %%s' driver > %A".to_owned()), ..MergeOptions::default() };
    fixture.git("config merge.default other");
    fixture.git("config merge.other.driver false");
    assert!(matches!(merge(&fixture, "a", &options), Err(Error::Unmerged(_))));
    fixture.git("config --unset merge.default");
    fixture.git("config --remove-section merge.other");
    assert_eq!(merge(&fixture, "a", &options).unwrap().outcome, MergeOutcome::Merged);
    assert_eq!(fixture.text("dir/b.txt"), "by driver");
    assert_eq!(fixture.git("config --list --local"), config);
}

/// SERVE-6: changes in the main working tree that the merge would overwrite are named and stay; others do not matter, staged or not.
#[test]
fn dirty_target() {
    let Some(fixture) = Fixture::new() else { return };
    let folder = fixture.start("a").folder;
    put(&folder.join("dir/b.txt"), "theirs\n");
    put(&folder.join("new"), "theirs\n");
    fixture.commit_in(&folder, "theirs");
    for (name, content) in [("dir/b.txt", "mine\n"), ("new", "mine\n")] {
        fixture.write(name, content);
        match merge(&fixture, "a", &MergeOptions::default()) {
            Err(Error::InTheWay { told, folder }) => assert_eq!((told.as_str(), folder), (name, fixture.main(""))),
            other => panic!("{other:?}"),
        }
        assert_eq!(fixture.text(name), content);
        fixture.git("clean -qf new");
        fixture.git("checkout -q -- .");
    }
    fixture.write("a.json", "staged\n");
    fixture.git("add a.json");
    fixture.write(".gitignore", "*.log\n");
    merge(&fixture, "a", &MergeOptions::default()).unwrap();
    assert_eq!(
        fixture.git("status --porcelain --untracked-files=no"),
        "M .gitignore\nM  a.json".replacen("M ", " M ", 1)
    );
}

/// SERVE-6: into a branch that is checked out nowhere, or in another worktree; into none.
#[test]
fn targets() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.git("branch quiet");
    let other = fixture.start("other").folder;
    let folder = fixture.start("a").folder;
    put(&folder.join("new"), "x\n");
    let commit = fixture.commit_in(&folder, "work");
    let into = |branch: &str| MergeOptions { into: Some(branch.to_owned()), ..MergeOptions::default() };
    assert_eq!(merge(&fixture, "a", &into("quiet")).unwrap().commit, commit);
    assert_eq!(fixture.git("rev-parse quiet"), commit);
    merge(&fixture, "a", &into("session/other")).unwrap();
    assert_eq!(std::fs::read_to_string(other.join("new")).unwrap(), "x\n");
    assert!(!fixture.main("new").exists());
    for branch in ["session/a", "nope", "-x", "refs/heads/main", ""] {
        assert!(matches!(merge(&fixture, "a", &into(branch)), Err(Error::BadTarget { .. })), "{branch}");
    }
    fixture.git("switch -q --detach");
    assert!(matches!(merge(&fixture, "a", &MergeOptions::default()), Err(Error::BadTarget { .. })));
    fixture.git_in(&folder, "switch -q --detach");
    assert!(matches!(merge(&fixture, "a", &into("main")), Err(Error::Switched { branch: None, .. })));
    assert!(matches!(merge(&fixture, "nobody", &into("main")), Err(Error::NoSuchSession { .. })));
}

/// SERVE-6: several sessions merged at once into one branch: all are in it.
#[test]
fn at_once() {
    let Some(fixture) = Fixture::new() else { return };
    let names: Vec<_> = (0..5).map(|n| format!("s{n}")).collect();
    for name in &names {
        let folder = fixture.start(name).folder;
        put(&folder.join(name), name);
        fixture.commit_in(&folder, name);
    }
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| merge(&fixture, name, &MergeOptions::default()).unwrap());
        }
    });
    for name in &names {
        assert_eq!(fixture.text(name), *name);
    }
    assert_eq!(fixture.git("status --porcelain --untracked-files=no"), "");
    fixture.check();
}
