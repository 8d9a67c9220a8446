//! Waiting: what is said, when it ends, what Ctrl-C leaves behind.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::sandbox::{Running, Sandbox};

/// Starts a command that has to wait, and returns once it has said so.
fn waiter(s: &Sandbox, args: &[&str]) -> (Child, BufReader<ChildStderr>, String) {
    // A shell that starts the tests in the background lets them, and so this command, ignore Ctrl-C.
    let mut command = s.program("env");
    command.args(["--default-signal=INT", "filelatch"]).args(args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    err.read_line(&mut line).unwrap();
    (child, err, line)
}

/// LOCK-16: one line, on standard error, with the file, the holder and the way out; then the work is done.
#[test]
fn said_once() {
    let s = Sandbox::new();
    s.write("cfg.json", "{}");
    let holder = s.holder("cfg.json");
    let (child, mut err, line) = waiter(&s, &["update", "cfg.json", ".a = 1", "--timeout", "60s"]);
    assert!(line.starts_with("Waiting for `cfg.json`: held "), "{line}");
    assert!(line.contains(&format!("by pid {} (sh) on ", holder.pid())), "{line}");
    assert!(line.ends_with(". Ctrl-C gives up; nothing is lost.\n"), "{line}");
    let listed = s.run(["status", "--json", "cfg.json"]).exits(0).json();
    assert_eq!(listed["locks"][0]["waiting"], 1, "{listed}");
    assert_eq!(holder.finish(), Some(0));
    assert!(child.wait_with_output().unwrap().status.success());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut err, &mut rest).unwrap();
    assert_eq!(rest, "", "no second line on a pipe");
    assert_eq!(s.value("cfg.json")["a"], 1);
}

/// LOCK-8, issue 2: Ctrl-C while waiting leaves nothing behind: no temporary file, no lock, no change.
#[test]
fn interrupted() {
    let s = Sandbox::new();
    s.write("cfg.json", "{}");
    let holder = s.holder("cfg.json");
    for args in [
        vec!["update", "cfg.json", ".a = 1", "--timeout", "60s"],
        vec!["write", "cfg.json", "--timeout", "60s"],
        vec!["run", "cfg.json", "--", "touch", "ran"],
    ] {
        let (mut child, _err, line) = waiter(&s, &args);
        assert!(line.starts_with("Waiting for"), "{line}");
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(2), "{args:?}");
        assert_eq!(s.names(), [".cfg.json.lock", "cfg.json"], "{args:?}");
    }
    assert_eq!(holder.finish(), Some(0));
    assert_eq!(s.text("cfg.json"), "{}");
    s.run(["update", "cfg.json", ".b = 1", "--no-wait"]).exits(0);
}

/// LOCK-5, LOCK-4: a timeout names file, time and holder; nothing was changed.
#[test]
fn timed_out() {
    let s = Sandbox::new();
    s.write("cfg.json", "{}");
    let holder = s.holder("cfg.json");
    let ran = s.run(["update", "cfg.json", ".a = 1", "--timeout", "20ms"]).exits(4);
    let ran = ran.says("`cfg.json` is still locked after ").says(&format!("held by pid {} (sh)", holder.pid()));
    ran.says(" hint: nothing was changed");
    assert_eq!(holder.finish(), Some(0));
    assert_eq!(s.text("cfg.json"), "{}");
}

/// LOCK-7: a holder that is stopped is named like any other; a dead one holds nothing.
#[test]
fn stopped_and_dead_holders() {
    let s = Sandbox::new();
    s.write("cfg.json", "{}");
    let args = ["run", "--close", "cfg.json", "--", "sh", "-c", "echo ready; cat"];
    let mut holder = Running::start(&mut s.command(args));
    holder.signal(Signal::STOP);
    let ran = s.run(["update", "cfg.json", ".", "--timeout", "20ms"]).exits(4);
    ran.says(&format!("held by pid {}", holder.pid()));
    holder.signal(Signal::KILL);
    assert_eq!(holder.wait().1, Some(9));
    s.run(["update", "cfg.json", ".", "--no-wait"]).exits(0);
}

/// LOCK-16: on a terminal the line is kept up to date in place, and taken away at the end.
#[test]
fn on_a_terminal() {
    let s = Sandbox::new();
    if s.program("script").arg("--version").output().is_err() {
        return;
    }
    s.write("cfg.json", "{}");
    let holder = s.holder("cfg.json");
    let mut command = s.program("script");
    command.args(["-qefc", "filelatch update cfg.json .a=1 --timeout 60s", "/dev/null"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("nothing is lost") {
        let chunk = out.fill_buf().unwrap();
        assert!(!chunk.is_empty(), "ended early: {}", String::from_utf8_lossy(&seen));
        let len = chunk.len();
        seen.extend_from_slice(chunk);
        out.consume(len);
    }
    assert!(String::from_utf8_lossy(&seen).starts_with("\r\x1b[KWaiting for `cfg.json`"));
    assert_eq!(holder.finish(), Some(0));
    std::io::Read::read_to_end(&mut out, &mut seen).unwrap();
    let text = String::from_utf8_lossy(&seen).into_owned();
    let (_, after) = text.rsplit_once("nothing is lost.").unwrap();
    assert!(after.starts_with("\r\x1b[K"), "{text:?}");
    assert!(child.wait().unwrap().success());
}
