//! Starting sessions.

use filelatch_git::{Error, SessionState, Sessions, StartOptions};

use crate::fixture::{Fixture, engine, put};

fn include(patterns: &[&str]) -> StartOptions {
    StartOptions { include: patterns.iter().map(|&pattern| pattern.to_owned()).collect(), ..StartOptions::default() }
}

/// SERVE-6: a folder with the files of the commit, on a branch of its own; the main working tree sees none of it, and `git clean -fdx` there
/// leaves it alone.
#[test]
fn folder_and_branch() {
    let Some(fixture) = Fixture::new() else { return };
    let head = fixture.git("rev-parse HEAD");
    let started = fixture.start("fix-login");
    assert_eq!(started.folder, fixture.main(".filelatch/worktrees/fix-login"));
    assert_eq!((started.branch.as_str(), started.base.as_str()), ("session/fix-login", "main"));
    assert_eq!(started.base_commit, head);
    assert_eq!(fixture.git_in(&started.folder, "symbolic-ref HEAD"), "refs/heads/session/fix-login");
    assert_eq!(std::fs::read_to_string(started.folder.join("dir/b.txt")).unwrap(), "one\ntwo\nthree\n");
    assert_eq!(fixture.git_in(&started.folder, "status --porcelain"), "");
    assert!(!fixture.git("config --list --local").contains("session/"), "no branch is tracked");
    let seen = fixture.git("status --porcelain --untracked-files=all");
    assert_eq!(seen, "?? .filelatch/.gitignore\n?? .filelatch/config.toml", "only what may be committed");
    fixture.git("clean -fdxq");
    assert_eq!(fixture.git_in(&started.folder, "status --porcelain"), "");
    let seen = fixture.git("status --porcelain --untracked-files=all");
    assert!(!seen.contains("worktrees"), "{seen}");
    assert_eq!(fixture.sessions().find("fix-login").unwrap().state, SessionState::Ready);
    fixture.check();
}

/// SERVE-6: a session's files have the policies of the main working tree, by the same globs, from a workspace of their own; what git brings
/// along of `.filelatch` stays as it is.
#[test]
fn workspace() {
    let config = "[[policy]]\nglob = \"dir/*.txt\"\nkeep = \"every\"\nkeep_versions = 7\n";
    for is_tracked in [false, true] {
        let Some(fixture) = Fixture::new() else { return };
        engine().init(fixture.main("")).unwrap();
        fixture.write(".filelatch/config.toml", config);
        if is_tracked {
            fixture.commit("configuration");
        }
        let folder = fixture.start("a").folder;
        assert_eq!(std::fs::read_to_string(folder.join(".filelatch/config.toml")).unwrap(), config);
        assert_eq!(engine().workspace_of(folder.join("dir")).unwrap().unwrap(), folder);
        let file = engine().file(folder.join("dir/b.txt")).unwrap();
        assert_eq!(file.policy().keep_limits.versions, 7);
        file.write(b"new\n", &filelatch::WriteOptions::new()).unwrap();
        assert_eq!(fixture.git_in(&folder, "status --porcelain"), " M dir/b.txt");
    }
}

/// SERVE-6: a workspace that begins above the repository counts for the sessions as it does for the main working tree.
#[test]
fn workspace_above() {
    let Some(fixture) = Fixture::new() else { return };
    engine().init(fixture.top()).unwrap();
    put(&fixture.top().join(".filelatch/config.toml"), "[[policy]]\nglob = \"repo/dir/*.txt\"\nkeep_versions = 7\n");
    let folder = fixture.start("a").folder;
    assert_eq!(folder, fixture.top().join(".filelatch/worktrees/a/repo"));
    assert_eq!(engine().file(folder.join("dir/b.txt")).unwrap().policy().keep_limits.versions, 7);
    assert!(!fixture.main(".filelatch").exists(), "no workspace is made that would hide the one above");
    assert_eq!(fixture.sessions().find("a").unwrap().state, SessionState::Ready);
}

/// SERVE-6: files that git does not track are copied as they are, a secret stays one; tracked files, links that lead out, and what is not
/// there are left out and told of.
#[cfg(unix)]
#[test]
fn included_files() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let Some(fixture) = Fixture::new() else { return };
    engine().init(fixture.main("")).unwrap();
    fixture.write(".filelatch/config.toml", "[session]\ninclude = [\".env\", \"config/local.*\"]\n");
    fixture.write(".env", "TOKEN=1\n");
    std::fs::set_permissions(fixture.main(".env"), std::fs::Permissions::from_mode(0o600)).unwrap();
    fixture.write("config/local.toml", "x\n");
    fixture.write("config/deep/local.toml", "x\n");
    fixture.write("run.log", "#!/bin/sh\n");
    std::fs::set_permissions(fixture.main("run.log"), std::fs::Permissions::from_mode(0o755)).unwrap();
    symlink("/etc/passwd", fixture.main("out.log")).unwrap();
    symlink("../run.log", fixture.main("config/in.log")).unwrap();
    let options = include(&["*.log", "config/in.log", "a.json", "missing", "../home/x", "/etc/passwd"]);
    let started = fixture.sessions().start(Some("a"), &options).unwrap();
    let mut included: Vec<_> = started.included.iter().map(|path| path.to_str().unwrap()).collect();
    included.sort_unstable();
    assert_eq!(included, [".env", "config/in.log", "config/local.toml", "run.log"]);
    let mode = |name: &str| std::fs::symlink_metadata(started.folder.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(".env"), mode("run.log")), (0o600, 0o755));
    assert_eq!(std::fs::read_link(started.folder.join("config/in.log")).unwrap().to_str(), Some("../run.log"));
    assert!(!started.folder.join("out.log").exists() && !started.folder.join("config/deep").exists());
    let mut skipped: Vec<_> = started.skipped.iter().map(|file| file.path.to_str().unwrap()).collect();
    skipped.sort_unstable();
    assert_eq!(skipped, ["../home/x", "/etc/passwd", "a.json", "missing", "out.log"]);
    // One that is not ignored is no change of the session's, as long as it is as it was.
    let dirty = || fixture.sessions().find("a").unwrap().dirty.unwrap().untracked;
    assert_eq!(dirty(), 0);
    put(&started.folder.join("config/local.toml"), "y\n");
    assert_eq!(dirty(), 1);
}

/// SERVE-6: a file that is tracked at the base is not replaced by one that is included.
#[test]
fn tracked_at_the_base() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.git("switch -q -c other");
    fixture.write("local.toml", "tracked\n");
    fixture.commit("other");
    fixture.git("switch -q main");
    fixture.write("local.toml", "mine\n");
    let options = StartOptions { base: Some("other".to_owned()), ..include(&["local.toml"]) };
    let started = fixture.sessions().start(Some("a"), &options).unwrap();
    assert_eq!(std::fs::read_to_string(started.folder.join("local.toml")).unwrap(), "tracked\n");
    assert_eq!((started.included.len(), started.skipped.len(), started.base.as_str()), (0, 1, "other"));
}

/// SERVE-6: what is there already is told of and untouched: a session, a branch, a folder.
#[test]
fn taken() {
    let Some(fixture) = Fixture::new() else { return };
    let sessions = fixture.sessions();
    let start = |name: &str| sessions.start(Some(name), &StartOptions::default());
    let started = start("a").unwrap();
    match start("a") {
        Err(Error::Exists { folder, .. }) => assert_eq!(folder, started.folder),
        other => panic!("{other:?}"),
    }
    fixture.git("branch session/b");
    assert!(matches!(start("b"), Err(Error::Taken { .. })));
    put(&fixture.main(".filelatch/worktrees/c/mine"), "x");
    assert!(matches!(start("c"), Err(Error::Taken { .. })));
    assert_eq!(std::fs::read_to_string(fixture.main(".filelatch/worktrees/c/mine")).unwrap(), "x");
    assert_eq!(sessions.list().unwrap().len(), 1);
    assert_eq!(fixture.git("branch --list session/c"), "");
}

/// SERVE-6: a start that fails leaves nothing: a branch `session` makes all names below it impossible.
#[test]
fn failed_start_leaves_nothing() {
    let Some(fixture) = Fixture::new() else { return };
    fixture.git("branch session");
    let sessions = fixture.sessions();
    let failed = sessions.start(Some("a"), &StartOptions::default());
    assert!(matches!(failed, Err(Error::Git { .. })), "{failed:?}");
    assert!(sessions.list().unwrap().is_empty());
    assert!(!fixture.main(".filelatch/worktrees/a").exists());
    fixture.git("branch -m session other");
    assert!(sessions.start(Some("a"), &StartOptions::default()).is_ok());
}

/// SERVE-6: no commit, no repository, a bare one, no such base: each says what it is, and makes nothing.
#[test]
fn nothing_to_start_from() {
    let Some(fixture) = Fixture::empty() else { return };
    let started = fixture.sessions().start(Some("a"), &StartOptions::default());
    assert!(matches!(started, Err(Error::NoCommit { is_empty: true, .. })), "{started:?}");
    assert!(fixture.sessions().list().unwrap().is_empty());
    let open = |dir: std::path::PathBuf| Sessions::open_with(fixture.runner(dir), &engine()).map(drop);
    assert!(matches!(open(fixture.top().join("home")), Err(Error::NoRepository { .. })));
    let Some(bare) = Fixture::with(&["init", "-q", "--bare", "repo"]) else { return };
    let opened = Sessions::open_with(bare.runner(bare.main("")), &engine());
    assert!(matches!(opened, Err(Error::Bare { .. })), "{opened:?}");
    fixture.commit("first");
    for base in ["nope", "--upload-pack=x", "HEAD:a.json", "0000000000000000000000000000000000000000"] {
        let options = StartOptions { base: Some(base.to_owned()), ..StartOptions::default() };
        let started = fixture.sessions().start(Some("a"), &options);
        assert!(matches!(started, Err(Error::NoCommit { is_empty: false, .. })), "{base}: {started:?}");
    }
}

/// SERVE-6: a session that is started in a session lies beside it, and begins with what that has.
#[test]
fn session_from_a_session() {
    let Some(fixture) = Fixture::new() else { return };
    let one = fixture.start("one");
    put(&one.folder.join("new"), "x");
    let commit = fixture.commit_in(&one.folder, "new");
    let two = fixture.sessions_in(one.folder.join("dir")).start(Some("two"), &StartOptions::default()).unwrap();
    assert_eq!(two.folder, fixture.main(".filelatch/worktrees/two"));
    assert_eq!((two.base.as_str(), &two.base_commit), ("session/one", &commit));
}

/// SERVE-6: repositories with SHA-256, shallow ones, and names that are no text.
#[test]
fn other_repositories() {
    let Some(fixture) = Fixture::with(&["init", "-q", "-b", "main", "--object-format=sha256", "repo"]) else { return };
    fixture.write("a", "x");
    assert_eq!(fixture.commit("first").len(), 64);
    fixture.commit("second");
    assert_eq!(fixture.start("a").base_commit.len(), 64);
    let from = format!("file://{}", fixture.main("").display());
    fixture.git_in(fixture.top(), &format!("clone -q --depth 1 {from} shallow"));
    let shallow = fixture.sessions_in(fixture.top().join("shallow"));
    assert_eq!(shallow.start(Some("b"), &StartOptions::default()).unwrap().base, "main");
    assert_eq!(shallow.find("b").unwrap().ahead, Some(0));
}

/// SERVE-6: file names that are no text come through starting, listing and including.
#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_text() {
    use std::os::unix::ffi::OsStrExt;
    let Some(fixture) = Fixture::new() else { return };
    let name = |bytes| std::ffi::OsStr::from_bytes(bytes);
    std::fs::write(fixture.main(name(b"\xff tracked\n")), "x").unwrap();
    fixture.commit("odd");
    std::fs::write(fixture.main(name(b"\xfe.log")), "x").unwrap();
    let started = fixture.sessions().start(Some("a"), &include(&["*.log"])).unwrap();
    assert_eq!(started.included, [name(b"\xfe.log")]);
    assert!(started.folder.join(name(b"\xff tracked\n")).exists());
    let session = fixture.sessions().find("a").unwrap();
    assert_eq!((session.dirty.unwrap().is_dirty(), session.problem), (false, None));
}

/// SERVE-6: a name that nobody chose is one that people can say, and each is another.
#[test]
fn generated_names() {
    let Some(fixture) = Fixture::new() else { return };
    let sessions = fixture.sessions();
    let mut names: Vec<_> = (0..3).map(|_| sessions.start(None, &StartOptions::default()).unwrap().name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 3);
    assert!(names.iter().all(|name| name.split('-').count() == 2), "{names:?}");
}

/// SERVE-6: a link in place of the folder of sessions, which a repository may bring along, leads nowhere.
#[cfg(unix)]
#[test]
fn link_for_a_folder() {
    let Some(fixture) = Fixture::new() else { return };
    engine().init(fixture.main("")).unwrap();
    std::fs::create_dir(fixture.top().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../../elsewhere", fixture.main(".filelatch/worktrees")).unwrap();
    let started = fixture.sessions().start(Some("a"), &StartOptions::default());
    assert!(matches!(started, Err(Error::Io { .. })), "{started:?}");
    assert_eq!(std::fs::read_dir(fixture.top().join("elsewhere")).unwrap().count(), 0);
    assert_eq!(fixture.git("branch --list session/a"), "");
    assert!(fixture.sessions().list().unwrap().is_empty());
}

/// SERVE-6: a checkout that was interrupted is completed; what somebody has put there meanwhile is not overwritten, and a rescue has it.
#[test]
fn interrupted_checkout() {
    use filelatch_git::RemoveOptions;
    for is_touched in [false, true] {
        let Some(fixture) = Fixture::new() else { return };
        fixture.write(".env", "SECRET\n");
        let started = fixture.sessions().start(Some("a"), &include(&[".env"])).unwrap();
        let record = fixture.main(".git/filelatch/sessions/a.json");
        let text = std::fs::read_to_string(&record).unwrap();
        std::fs::write(&record, text.replace("\"ready\"", "\"starting\"")).unwrap();
        std::fs::remove_file(fixture.main(".git/worktrees/a/index")).unwrap();
        std::fs::remove_file(started.folder.join("a.json")).unwrap();
        assert_eq!(fixture.sessions().find("a").unwrap().state, SessionState::Incomplete);
        // The git of the process that was killed is still at work: it is waited for, and nothing is judged meanwhile.
        let lock = fixture.main(".git/worktrees/a/index.lock");
        put(&lock, "");
        put(&started.folder.join("dir/b.txt"), "half a fi");
        let impatient = fixture.runner(fixture.main("")).patience(std::time::Duration::ZERO);
        let impatient = Sessions::open_with(impatient, &engine()).unwrap();
        let again = impatient.start(Some("a"), &StartOptions::default());
        assert!(matches!(again, Err(Error::Contended { .. })), "{again:?}");
        put(&started.folder.join("dir/b.txt"), "one\ntwo\nthree\n");
        std::fs::remove_file(&lock).unwrap();
        if !is_touched {
            let again = fixture.sessions().start(Some("a"), &include(&[".env"])).unwrap();
            assert!(again.completed && again.skipped.is_empty());
            assert_eq!(again.included, [std::path::Path::new(".env")]);
            assert_eq!(fixture.git_in(&started.folder, "status --porcelain"), "");
            continue;
        }
        put(&started.folder.join("dir/b.txt"), "somebody's\n");
        let again = fixture.sessions().start(Some("a"), &StartOptions::default());
        assert!(matches!(again, Err(Error::Incomplete { .. })), "{again:?}");
        let remove = |rescue| fixture.sessions().remove("a", &RemoveOptions { rescue });
        assert!(matches!(remove(false), Err(Error::WouldLose { .. })));
        let rescue = remove(true).unwrap().rescue.unwrap();
        assert_eq!(fixture.git(&format!("show {}:dir/b.txt", rescue.reference)), "somebody's");
    }
}
