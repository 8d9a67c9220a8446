//! A place of its own for each test: empty environment, own home, temporary and runtime directory.

use std::ffi::OsStr;
use std::fmt;
use std::io::Write;
#[cfg(unix)]
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::process::{Child, ChildStdout};
use std::process::{Command, Output, Stdio};

#[cfg(unix)]
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_filelatch");

/// A folder to work in, and the environment of commands that run there.
pub(crate) struct Sandbox {
    root: tempfile::TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        // Other users may look in: some tests run as nobody.
        #[cfg(unix)]
        std::fs::set_permissions(root.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        for dir in ["work", "home", "tmp", "runtime"] {
            std::fs::create_dir(root.path().join(dir)).unwrap();
        }
        Sandbox { root }
    }

    /// The folder that commands run in.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.path().join("work").join(name)
    }

    pub(crate) fn write(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn bytes(&self, name: impl AsRef<Path>) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn text(&self, name: impl AsRef<Path>) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }

    pub(crate) fn value(&self, name: impl AsRef<Path>) -> Value {
        serde_json::from_slice(&self.bytes(name)).unwrap()
    }

    /// Names in the working folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("")).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Any program, in the sandbox's environment. `filelatch` is in the PATH.
    pub(crate) fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let bin = Path::new(BIN).parent().unwrap().display();
        command.env_clear();
        #[cfg(unix)]
        command
            .env("PATH", format!("{bin}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"))
            .env("TMPDIR", self.root.path().join("tmp"));
        #[cfg(windows)]
        command
            .env("PATH", format!("{bin}"))
            .env("TMP", self.root.path().join("tmp"))
            // Without it programs do not find the system's own libraries.
            .env("SystemRoot", std::env::var_os("SystemRoot").unwrap_or_default());
        command
            .env("HOME", self.root.path().join("home"))
            .env("XDG_RUNTIME_DIR", self.root.path().join("runtime"))
            .current_dir(self.path(""))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn command<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Command {
        let mut command = self.program(BIN);
        command.args(args);
        command
    }

    /// Runs `filelatch` to its end.
    #[must_use = "look at what came out"]
    pub(crate) fn run<I: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = I>) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Runs `filelatch` with standard input.
    #[must_use = "look at what came out"]
    pub(crate) fn run_with<I: AsRef<OsStr>>(&self, input: impl AsRef<[u8]>, args: impl IntoIterator<Item = I>) -> Ran {
        feed(self.command(args), input.as_ref())
    }

    /// Runs a shell script to its end.
    #[cfg(unix)]
    #[must_use = "look at what came out"]
    pub(crate) fn sh(&self, script: &str) -> Ran {
        Ran::of(self.program("/bin/sh").args(["-c", script]).output().unwrap())
    }

    /// Starts a shell script that says `ready` and then waits for its input to end.
    #[cfg(unix)]
    pub(crate) fn start(&self, script: &str) -> Running {
        Running::start(self.program("/bin/sh").args(["-c", script]))
    }

    /// A copy of the program. Made by another process: a descriptor that is open for writing here could be inherited by a child that a
    /// test beside this one starts, and until that has ended the copy can't be executed (ETXTBSY).
    #[cfg(unix)]
    pub(crate) fn copy_program(&self, to: &Path) {
        let copied = self.program("cp").arg(BIN).arg(to).status().unwrap();
        assert!(copied.success());
    }

    /// Somebody who holds the lock of a file until told to end.
    #[cfg(unix)]
    pub(crate) fn holder(&self, file: &str) -> Running {
        Running::start(&mut self.command(["run", file, "--", "sh", "-c", "echo ready; cat >/dev/null"]))
    }
}

#[must_use = "look at what came out"]
pub(crate) fn feed(mut command: Command, input: &[u8]) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A command that ends early closes the pipe.
    let writer = std::thread::spawn(move || stdin.write_all(&input).ok());
    let ran = Ran::of(child.wait_with_output().unwrap());
    writer.join().unwrap();
    ran
}

/// What a command printed and how it ended; shown as a whole when a check fails.
pub(crate) struct Ran {
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Ran {
        #[cfg(unix)]
        let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
        #[cfg(not(unix))]
        let signal = None;
        Ran {
            out: output.stdout,
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code(),
            signal,
        }
    }

    /// The exit status is this one.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn says(self, part: &str) -> Ran {
        assert!(self.err.contains(part), "`{part}` is not in {self:?}");
        self
    }

    /// As `says`, on standard output.
    #[track_caller]
    pub(crate) fn shows(self, part: &str) -> Ran {
        assert!(self.text().contains(part), "`{part}` is not in {self:?}");
        self
    }

    /// Nothing on standard output, nothing on standard error.
    #[cfg(unix)]
    #[track_caller]
    pub(crate) fn quietly(self) -> Ran {
        assert!(self.out.is_empty() && self.err.is_empty(), "{self:?}");
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl fmt::Debug for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, signal) = (self.code, self.signal);
        write!(f, "status {code:?}, signal {signal:?}\n--- out ---\n{}\n--- err ---\n{}", self.text(), self.err)
    }
}

/// A process that said `ready`. Killed when dropped.
#[cfg(unix)]
pub(crate) struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
}

#[cfg(unix)]
impl Running {
    pub(crate) fn start(command: &mut Command) -> Running {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Running { child, out }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its end, by its own end of input.
    pub(crate) fn finish(mut self) -> Option<i32> {
        drop(self.child.stdin.take());
        self.rest();
        self.child.wait().unwrap().code()
    }

    /// Its end, whatever causes it; the input stays open.
    pub(crate) fn wait(&mut self) -> (Option<i32>, Option<i32>) {
        let input = self.child.stdin.take();
        let status = self.child.wait().unwrap();
        self.child.stdin = input;
        (status.code(), std::os::unix::process::ExitStatusExt::signal(&status))
    }

    /// Everything that it (and whoever has its output) prints from now on.
    pub(crate) fn rest(&mut self) -> String {
        let mut text = String::new();
        self.out.read_to_string(&mut text).unwrap();
        text
    }

    /// Ends the input, without waiting.
    pub(crate) fn end_input(&mut self) {
        drop(self.child.stdin.take());
    }
}

#[cfg(unix)]
impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
