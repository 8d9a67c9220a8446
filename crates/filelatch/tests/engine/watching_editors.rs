//! WATCH-1: real programs save a file, each in its own way, and each save is one change.
//!
//! What they do, as strace(1) shows it of the versions in Debian 12. nano and VS Code need a person at a screen: their calls are made by a
//! script.
//!
//! | program | calls that matter |
//! |---|---|
//! | vim, `backupcopy=no` | swap file; rename `f` to `f~`; create `f`, truncate, write, fsync, chmod, close; unlink `f~`; unlink the swap file |
//! | vim, `backupcopy=yes` | swap file; create `f~`, copy; open `f`, truncate, write, fsync, chmod, close; unlink `f~`; unlink the swap file |
//! | nano | open `f` with `O_TRUNC`, write, fsync, close |
//! | sed, perl | create a name of six random letters or `f.bak`, write, close, rename over `f` |
//! | git checkout | unlink `f`, create `f`, write, close |
//! | VS Code | open `f`, truncate, write, close; or, with an atomic writer, a temporary name beside it, fsync, rename over `f` |
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use filelatch::Version;
use filelatch::watch::{ChangeKind, Event, Origin, Settle, Watch, WatchOptions};

use super::watching::{Believer, engine, seen};

const BEFORE: &str = "one\ntwo\n";
const AFTER: &str = "ONE\ntwo\n";

/// Runs a shell command in the directory; whether there was such a program.
fn sh(dir: &Path, command: &str) -> bool {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).current_dir(dir).env("TERM", "xterm").env("HOME", dir).env("GIT_CONFIG_NOSYSTEM", "1");
    let status = shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    status.code() != Some(127)
}

/// What is told of `f.txt` when a program saves it; of other names only those that are still there count.
fn told(dir: &Path, watch: &Watch, believer: &mut Believer) -> Vec<(ChangeKind, Option<Version>, Origin)> {
    let events = seen(watch);
    believer.hear(events.clone());
    assert_eq!(*believer, Believer::of_disk(dir), "{events:?}");
    let of_file = |event| match event {
        Event::Change(change) if change.path == dir.join("f.txt") => Some((change.kind, change.version, change.origin)),
        _ => None,
    };
    events.into_iter().filter_map(of_file).collect()
}

/// Has a program save the file some times, there and back. False: it is not installed.
fn saves(name: &str, there: &str, back: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    std::fs::write(path.join("f.txt"), BEFORE).unwrap();
    let git = "git init -q . && git config user.name n && git config user.email e && git add f.txt && git commit -qm 1 \
               && printf 'ONE\\ntwo\\n' >f.txt && git commit -qam 2 && git branch two && git checkout -q HEAD~1";
    if name.starts_with("git") && !sh(path, git) {
        return false;
    }
    // Nothing is looked at before the program is done, however long that takes on a busy machine: what its calls come to is the question.
    let long = Duration::from_secs(600);
    let settle =
        Settle { whole: long, created: long, open: long, written: long, gone: long, longest: long, longest_open: long };
    let watch = engine("watcher").watch([path], &WatchOptions::new().settle(settle)).unwrap();
    let mut believer = Believer::of_disk(path);
    for round in 0..6 {
        let (command, content) = if round % 2 == 0 { (there, AFTER) } else { (back, BEFORE) };
        if !sh(path, command) {
            return false;
        }
        assert_eq!(std::fs::read_to_string(path.join("f.txt")).unwrap(), content, "{name} has not done what it should");
        let told = told(path, &watch, &mut believer);
        let once = (ChangeKind::Modified, Some(Version::of(content.as_bytes())), Origin::External);
        assert_eq!(told, [once], "{name}, round {round}");
    }
    true
}

/// Each program in the table above.
#[test]
fn a_save_is_one_change() {
    let vim = |copy: &str, from: &str, to: &str| {
        format!(
            "vim -Nu NONE -i NONE -es -c 'set writebackup backupskip= backupcopy={copy}' -c '%s/{from}/{to}/' -c wq f.txt"
        )
    };
    let nano = |text: &str| {
        format!(
            "exec perl -MFcntl -MIO::Handle -e 'sysopen my $f, \"f.txt\", O_WRONLY|O_CREAT|O_TRUNC; syswrite $f, \"{text}\"; \
             $f->sync; close $f'"
        )
    };
    let code = |text: &str| {
        format!(
            "exec perl -MFcntl -e 'sysopen my $f, \"f.txt\", O_WRONLY; truncate $f, 0; syswrite $f, \"{text}\"; close $f'"
        )
    };
    let atomic = |text: &str| {
        format!(
            "exec perl -MFcntl -MIO::Handle -e 'sysopen my $f, \"f.txt.7351\", O_WRONLY|O_CREAT|O_EXCL; syswrite $f, \"{text}\"; \
             $f->sync; close $f; rename \"f.txt.7351\", \"f.txt\"'"
        )
    };
    let (one, two) = ("ONE\\ntwo\\n", "one\\ntwo\\n");
    let cases = [
        ("vim, renaming", vim("no", "one", "ONE"), vim("no", "ONE", "one")),
        ("vim, copying", vim("yes", "one", "ONE"), vim("yes", "ONE", "one")),
        ("vim", vim("auto", "one", "ONE"), vim("auto", "ONE", "one")),
        ("nano", nano(one), nano(two)),
        ("sed -i", "sed -i s/one/ONE/ f.txt".to_owned(), "sed -i s/ONE/one/ f.txt".to_owned()),
        ("perl -i", "perl -pi -e s/one/ONE/ f.txt".to_owned(), "perl -pi -e s/ONE/one/ f.txt".to_owned()),
        ("git checkout", "git checkout -q two".to_owned(), "git checkout -q two~1".to_owned()),
        ("git restore", "git checkout -q two -- f.txt".to_owned(), "git checkout -q two~1 -- f.txt".to_owned()),
        ("git stash", "git checkout -q two -- f.txt".to_owned(), "git stash -q".to_owned()),
        ("VS Code, in place", code(one), code(two)),
        ("VS Code, renaming", atomic(one), atomic(two)),
        ("a shell", format!("printf '{one}' >f.txt"), format!("printf '{two}' >f.txt")),
        ("cp and mv", format!("printf '{one}' >g && cp g f.txt && rm g"), format!("printf '{two}' >g && mv g f.txt")),
    ];
    let missing: Vec<_> =
        cases.iter().filter(|(name, there, back)| !saves(name, there, back)).map(|(name, ..)| *name).collect();
    if !missing.is_empty() {
        eprintln!("skipped: not installed: {}", missing.join(", "));
    }
    assert!(missing.len() < 6, "hardly anything is installed");
}
