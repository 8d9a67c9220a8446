//! Many at once, and locks of other gits.

use std::process::{Command, Stdio};
use std::time::Duration;

use filelatch_git::{Error, StartOptions};

use crate::fixture::Fixture;

/// What a process of these tests does, in place of testing.
const WORK: &str = "FILELATCH_GIT_TEST_START";

/// Not a test by itself: the process that other tests start. Starts the sessions that it is told, and says how that went.
#[test]
fn worker() {
    let Some(work) = std::env::var_os(WORK) else { return };
    let work = work.into_string().unwrap();
    let mut words = work.split('\n');
    let dir = words.next().unwrap();
    let sessions = filelatch_git::Sessions::open(dir, &crate::fixture::engine()).unwrap();
    for name in words {
        sessions.start(Some(name), &StartOptions::default()).unwrap();
    }
}

fn start_by_process(fixture: &Fixture, names: &[String]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "contention::worker", "--nocapture"]).envs(fixture.env());
    command.env(WORK, format!("{}\n{}", fixture.main("").display(), names.join("\n")));
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// SERVE-6: 20 processes start a session each on one repository, while others commit, pack and collect in the main working tree: all succeed,
/// nothing is left over.
#[test]
fn twenty_at_once() {
    let Some(fixture) = Fixture::new() else { return };
    for n in 0..30 {
        fixture.write(&format!("many/{n}"), "x");
    }
    fixture.commit("many");
    let mut children: Vec<_> =
        (0..20).map(|n| start_by_process(&fixture, &[format!("s{n}")]).spawn().unwrap()).collect();
    for n in 0..5 {
        fixture.write("a.json", format!("{n}\n"));
        fixture.git("commit -q -a -m more");
        // A collection that meets a worktree while git adds it fails for a fault of git's own; it may, the sessions may not.
        let collected = fixture.command(&fixture.main(""), ["gc", "-q"]).output().unwrap();
        let told = String::from_utf8_lossy(&collected.stderr).into_owned();
        assert!(collected.status.success() || told.contains("/commondir"), "{told}");
        fixture.git("pack-refs --all");
    }
    for child in children.drain(..) {
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let all = fixture.sessions().list().unwrap();
    assert_eq!(all.len(), 20);
    for session in all {
        assert_eq!((session.state.code(), session.problem), ("ready", None), "{}", session.name);
        assert_eq!(fixture.git_in(&session.folder, "status --porcelain"), "", "{}", session.name);
    }
    fixture.check();
}

/// A wrapper in place of git, in a folder of its own: tells of each call by a line in a pipe, then runs the real one.
#[cfg(unix)]
fn telling_git(fixture: &mut Fixture) -> std::fs::File {
    use std::os::unix::fs::PermissionsExt;
    let bin = fixture.top().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let pipe = fixture.top().join("calls");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let real = String::from_utf8(Command::new("sh").args(["-c", "command -v git"]).output().unwrap().stdout).unwrap();
    let script =
        format!("#!/bin/sh\n{} \"$@\"\nstatus=$?\necho $status >'{}'\nexit $status\n", real.trim(), pipe.display());
    std::fs::write(bin.join("git"), script).unwrap();
    std::fs::set_permissions(bin.join("git"), std::fs::Permissions::from_mode(0o755)).unwrap();
    fixture.path = Some(bin);
    // Open for both, so that neither side waits for the other.
    std::fs::OpenOptions::new().read(true).write(true).open(pipe).unwrap()
}

/// SERVE-6: another git's collection prunes the worktree that is just being added, whose branch is made by then: it is added again.
#[cfg(unix)]
#[test]
fn pruned_while_added() {
    use std::os::unix::fs::PermissionsExt;
    let Some(mut fixture) = Fixture::new() else { return };
    let bin = fixture.top().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let real = String::from_utf8(Command::new("sh").args(["-c", "command -v git"]).output().unwrap().stdout).unwrap();
    let (real, main, told) = (real.trim(), fixture.main(""), fixture.top().join("told"));
    // Fails as git does, once, after it has made the branch.
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *'worktree add '*' -b '*)\n  branch=${{*##* -b }}; branch=${{branch%% *}}\n  '{real}' -C '{main}' branch \
         -q \"$branch\" || exit\n  echo once >>'{told}'\n  echo \"fatal: could not open '.git/worktrees/a/gitdir' for writing: No such file or \
         directory\" >&2\n  exit 128;;\nesac\nexec '{real}' \"$@\"\n",
        main = main.display(),
        told = told.display(),
    );
    std::fs::write(bin.join("git"), script).unwrap();
    std::fs::set_permissions(bin.join("git"), std::fs::Permissions::from_mode(0o755)).unwrap();
    fixture.path = Some(bin);
    let done = start_by_process(&fixture, &["a".to_owned()]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(std::fs::read_to_string(&told).unwrap(), "once\n");
    fixture.path = None;
    let session = fixture.sessions().list().unwrap().remove(0);
    assert_eq!((session.state.code(), session.problem), ("ready", None));
    fixture.check();
}

/// SERVE-6, L53: whatever lock of git's is held is waited for: the holder lets it go after git was refused by it, and not before.
#[cfg(unix)]
#[test]
fn held_locks_are_waited_for() {
    use std::io::{BufRead, BufReader};
    for (lock, words) in [
        (".git/index.lock", &["add", "a.json"][..]),
        (".git/HEAD.lock", &["commit", "-q", "--allow-empty", "-m", "x"]),
        (".git/config.lock", &["config", "a.b", "c"]),
        (".git/refs/heads/x.lock", &["branch", "x"]),
        (".git/packed-refs.lock", &["pack-refs", "--all"]),
    ] {
        let Some(mut fixture) = Fixture::new() else { return };
        let calls = telling_git(&mut fixture);
        let path = fixture.main(lock);
        std::fs::write(&path, "").unwrap();
        let git = fixture.runner(fixture.main(""));
        let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
        // Without the wrapper's PATH for git's own helpers nothing changes: only the first call is told of.
        let work = std::thread::spawn(move || git.ask(&words));
        let mut calls = BufReader::new(calls);
        let mut refused = String::new();
        calls.read_line(&mut refused).unwrap();
        assert_ne!(refused, "0\n", "{lock}: git did not mind");
        std::fs::remove_file(&path).unwrap();
        let told = work.join().unwrap();
        assert!(told.is_ok(), "{lock}: {told:?}");
        assert!(!path.exists());
    }
}

/// SERVE-6: a lock that does not go is named, with its age, and stays where it is.
#[test]
fn locks_that_stay() {
    let Some(fixture) = Fixture::new() else { return };
    let path = fixture.main(".git/index.lock");
    std::fs::write(&path, "").unwrap();
    let git = fixture.runner(fixture.main("")).patience(Duration::from_millis(50));
    match git.ask(["add", "a.json"]) {
        Err(error @ Error::Contended { .. }) => {
            let told = error.to_string();
            assert!(told.contains("index.lock") && told.contains("ago"), "{told}");
            assert_eq!(error.code(), "git-locked");
        }
        other => panic!("{other:?}"),
    }
    assert!(path.exists());
}

/// SERVE-6: inside a hook, which git runs with variables that name its own repository and index, the repository of the folder is meant.
#[test]
fn variables_of_a_hook() {
    let (Some(outer), Some(inner)) = (Fixture::new(), Fixture::new()) else { return };
    let index = outer.main(".git/index");
    let before = std::fs::read(&index).unwrap();
    let mut command = start_by_process(&inner, &["a".to_owned()]);
    command.env("GIT_DIR", outer.main(".git")).env("GIT_WORK_TREE", outer.main("")).env("GIT_INDEX_FILE", &index);
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!((inner.sessions().list().unwrap().len(), outer.sessions().list().unwrap().len()), (1, 0));
    assert_eq!(std::fs::read(&index).unwrap(), before);
}
