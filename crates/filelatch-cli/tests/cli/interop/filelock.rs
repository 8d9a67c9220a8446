//! Python's `filelock`: `FileLock` is flock(2) on Unix, exclusive only; `SoftFileLock` is the existence of a file.
//!
//! Older versions (3.9, as in Debian 12) truncate the lock file each time they *try*, also while somebody else holds it; newer ones
//! do not. Both must leave everything whole.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use super::{Tool, Waiting, lock_of, python, refused};
use crate::sandbox::{Ran, Running, Sandbox};

const LOCK: &str = ".f.json.lock";

fn sandbox() -> Option<Sandbox> {
    let s = Sandbox::new();
    s.write("f.json", "{\"n\":0}");
    s.run(["update", "f.json", "."]).exits(0);
    Tool::Filelock.is_here(&s).then_some(s)
}

/// A Python program that begins with `lock = CLASS(PATH)`; with status 7 when its lock times out.
fn program(s: &Sandbox, class: &str, path: &str, body: &str) -> Command {
    let script = format!(
        "import filelock, os, sys\nlock = filelock.{class}({path:?})\ntry:\n{body}\n    lock.release()\n\
         except filelock.Timeout:\n    sys.exit(7)\n"
    );
    let mut command = s.program(python());
    command.args(["-c", &script]);
    command
}

fn holder(s: &Sandbox, path: &str) -> Running {
    Running::start(&mut program(
        s,
        "FileLock",
        path,
        "    lock.acquire()\n    print('ready', flush=True)\n    sys.stdin.read()",
    ))
}

/// One try, and one that waits a little.
fn tries(s: &Sandbox, class: &str, path: &str) -> Vec<Ran> {
    let runs = ["timeout=0", "timeout=0.12"].map(|wait| {
        let output = program(s, class, path, &format!("    lock.acquire({wait})")).output().unwrap();
        Ran::of(output)
    });
    runs.into()
}

/// A filelock that has tried once in vain and goes on trying; `in` is its last word.
fn waiter(s: &Sandbox) -> (Child, BufReader<std::process::ChildStdout>) {
    let body = "    try:\n        lock.acquire(timeout=0)\n        sys.exit(1)\n    except filelock.Timeout:\n        \
                print('refused', flush=True)\n    lock.acquire(timeout=60)\n    print('in', flush=True)";
    let mut child = program(s, "FileLock", LOCK, body).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "refused\n");
    (child, out)
}

/// LOCK-2, LOCK-5, LOCK-7: while filelock holds, all of ours are refused and told who; they get in when it releases and when it is killed.
#[test]
fn they_hold_we_wait() {
    let Some(s) = sandbox() else { return };
    for killed in [false, true] {
        let mut holder = holder(&s, LOCK);
        // The system's table may miss a row while others come and go.
        let mut locks = std::iter::repeat_with(|| lock_of(&s, "f.json")).take(20);
        let by_python = |lock: &serde_json::Value| {
            lock["holders"][0]["program"].as_str().is_some_and(|name| name.starts_with("python"))
        };
        let lock = locks.find(by_python).expect("the holder is named");
        let name = lock["holders"][0]["program"].as_str().unwrap_or_default();
        refused(&s, "f.json", holder.pid(), name);
        s.run(["read", "--shared", "--no-wait", "f.json"]).exits(4);
        let waiter = Waiting::start(s.command(["update", "f.json", ".n += 1", "--timeout", "60s"]));
        assert!(waiter.line.contains(&format!("held by pid {}", holder.pid())), "{}", waiter.line);
        if killed {
            holder.signal(Signal::KILL);
            assert_eq!(holder.wait().1, Some(9));
        } else {
            holder.end_input();
        }
        waiter.gets_in();
    }
    assert_eq!(s.value("f.json")["n"], 2);
}

/// LOCK-2: while we hold, exclusively or shared, filelock times out; one that goes on trying gets in when we release or are killed.
#[test]
fn we_hold_they_wait() {
    let Some(s) = sandbox() else { return };
    for (option, killed) in [("--close", false), ("--close", true), ("--shared", false)] {
        let args = ["run", option, "f.json", "--", "sh", "-c", "echo ready; cat >/dev/null"];
        let mut holder = Running::start(&mut s.command(args));
        for ran in tries(&s, "FileLock", LOCK) {
            ran.exits(7);
        }
        let (mut child, mut out) = waiter(&s);
        if killed {
            holder.signal(Signal::KILL);
            assert_eq!(holder.wait().1, Some(9));
        } else {
            assert_eq!(holder.finish(), Some(0));
        }
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(line, "in\n");
        assert!(child.wait().unwrap().success());
        s.run(["update", "f.json", ".n += 1", "--timeout", "60s"]).exits(0);
    }
    assert_eq!(s.value("f.json")["n"], 3);
}

/// LOCK-19, LOCK-7: a lock file that filelock (or anybody) truncates while we hold it is still our lock, still has a holder with a name, and
/// is never written again: it is nobody's record now.
#[test]
fn truncated_while_held() {
    let Some(s) = sandbox() else { return };
    for truncate in [true, false] {
        let ours = s.holder("f.json");
        if truncate {
            s.write(LOCK, "");
        }
        for ran in tries(&s, "FileLock", LOCK) {
            ran.exits(7);
        }
        let lock = lock_of(&s, "f.json");
        assert_eq!((&lock["locked"], &lock["holders"][0]["pid"]), (&true.into(), &ours.pid().into()), "{lock}");
        s.run(["update", "f.json", ".", "--no-wait"]).exits(4).says(&format!("held by pid {}", ours.pid()));
        assert_eq!(ours.finish(), Some(0));
        s.run(["update", "f.json", ".n += 1", "--no-wait"]).exits(0);
        assert_eq!(s.text(LOCK), "");
        let theirs = holder(&s, LOCK);
        s.run(["update", "f.json", ".", "--no-wait"]).exits(4).says(&format!("pid {}", theirs.pid()));
        assert_eq!(theirs.finish(), Some(0));
    }
    assert_eq!(s.value("f.json")["n"], 2);
}

/// DESIGN §3: a `SoftFileLock` on our lock file does not get in, for the file stays; and it does not take the file away.
#[test]
fn soft_locks_stay_out() {
    let Some(s) = sandbox() else { return };
    let record = s.text(LOCK);
    let ours = s.holder("f.json");
    for ran in tries(&s, "SoftFileLock", LOCK) {
        ran.exits(7);
    }
    assert_eq!(ours.finish(), Some(0));
    for ran in tries(&s, "SoftFileLock", LOCK) {
        ran.exits(7);
    }
    assert!(record.starts_with("{\"v\":1,") && s.text(LOCK).starts_with("{\"v\":1,"));
    s.run(["update", "f.json", ".n += 1", "--no-wait"]).exits(0);
}
