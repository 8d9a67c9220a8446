//! The real others (DESIGN §8.4): util-linux `flock` and Python's `filelock` on our lock files, and we on theirs.
//!
//! In CI (`CI` set) both must be there; elsewhere a test whose program is missing says so and passes. `FILELATCH_TEST_PYTHON` names another
//! Python at build time, to try another version of filelock.

mod counter;
mod filelock;
mod flock;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};

use crate::sandbox::Sandbox;

/// Somebody else's program.
#[derive(Clone, Copy)]
enum Tool {
    Flock,
    Filelock,
}

fn python() -> &'static str {
    option_env!("FILELATCH_TEST_PYTHON").unwrap_or("python3")
}

impl Tool {
    /// Is it here? Where it has to be, a missing one is a failure.
    #[expect(clippy::print_stderr, reason = "a test that did nothing says so")]
    fn is_here(self, s: &Sandbox) -> bool {
        let (mut probe, name) = match self {
            Tool::Flock => (s.program("flock"), "flock (util-linux)"),
            Tool::Filelock => (s.program(python()), "filelock for Python"),
        };
        match self {
            Tool::Flock => probe.arg("--version"),
            Tool::Filelock => probe.args(["-c", "import filelock"]),
        };
        let here = probe.output().is_ok_and(|output| output.status.success());
        assert!(here || std::env::var_os("CI").is_none(), "{name} is not installed");
        if !here {
            eprintln!("skipped: {name} is not installed");
        }
        here
    }
}

/// A command of ours that has said that it waits.
struct Waiting {
    child: Child,
    err: BufReader<ChildStderr>,
    /// What it said.
    line: String,
}

impl Waiting {
    fn start(mut command: Command) -> Waiting {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        err.read_line(&mut line).unwrap();
        assert!(line.starts_with("Waiting for "), "{line}");
        Waiting { child, err, line }
    }

    /// It gets the lock and does its work.
    #[track_caller]
    fn gets_in(mut self) {
        let mut rest = String::new();
        self.err.read_to_string(&mut rest).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {}{rest}", self.line);
    }
}

/// What `status` says about one file's lock.
fn lock_of(s: &Sandbox, file: &str) -> serde_json::Value {
    s.run(["status", "--json", file]).exits(0).json()["locks"][0].clone()
}

/// Returns once the system says that so many wait for the lock of `file`.
#[track_caller]
fn until_waiting(s: &Sandbox, file: &str, waiters: u64) {
    let looks = (0..10_000).find(|_| lock_of(s, file)["waiting"].as_u64().is_some_and(|n| n >= waiters));
    assert!(looks.is_some(), "never {waiters} waiters: {}", lock_of(s, file));
}

/// Refused at once and after a time-out, with the holder's process named by the system, not by what a record says.
#[track_caller]
fn refused(s: &Sandbox, file: &str, pid: u32, program: &str) {
    let named = format!("held by pid {pid} ({program})");
    for wait in [&["--no-wait"][..], &["--timeout", "20ms"]] {
        let update = ["update", file, ".n = 99"].into_iter().chain(wait.iter().copied());
        let ran = s.run(update).exits(4).says(&named).says("nothing was changed");
        assert!(!ran.err.contains("session"), "{ran:?}");
    }
    let lock = lock_of(s, file);
    assert_eq!(lock["locked"], true, "{lock}");
    let holder = lock["holders"].as_array().unwrap().iter().find(|holder| holder["pid"] == pid);
    let holder = holder.unwrap_or_else(|| panic!("{pid} is not in {lock}"));
    assert_eq!((&holder["confirmed"], &holder["purpose"]), (&true.into(), &serde_json::Value::Null), "{lock}");
}
