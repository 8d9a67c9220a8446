//! The runner: every git that filelatch starts is started here.
//!
//! # Promise
//! - git takes no lock that it could do without (L53), asks nobody for anything, fetches nothing unless [`Git::lazy_fetch`], starts no upkeep, watches nothing,
//!   and speaks English, so that its answers can be read.
//! - A repository that an outer git has named (hooks run with `GIT_DIR`, `GIT_INDEX_FILE` and the like) is not taken for ours.
//! - **Contention is waited out**: when git fails because one of its lock files exists, it is started again after growing pauses, until
//!   [`Git::patience`] is over; then the error names the lock file and its age. A lock file is never removed here: nobody can know
//!   that its owner is dead.
//! - An answer that is too long, or takes too long, is an error. A git that takes too long is asked to end (SIGTERM: it removes its own
//!   locks), and killed 5 s later. Windows knows no asking.
//!
//! # Non-promise
//! Hooks, filters and merge drivers that git starts are the repository's own business, and inherit all this. git starts again only when
//! it says that a lock was in the way; what it had done by then stands, so callers give it only what can be begun again.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use filelatch_fs::{Fs, Host, RealFs, RealHost};

use crate::contention;
use crate::error::{Error, Result};

/// What `git rev-parse --local-env-vars` lists, but for `GIT_CONFIG_PARAMETERS` and `GIT_CONFIG_COUNT`: as git itself does when it starts a git
/// in another repository, settings are left to be passed on; only what says which repository is meant is not.
const LOCAL_VARIABLES: [&str; 13] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];
/// Longest answer that is read, in bytes.
const OUTPUT_LIMIT: u64 = 256 << 20;
/// What more git says on standard error is not kept.
const TALK_LIMIT: u64 = 64 << 10;
/// How long a git that was asked to end may take to do so.
#[cfg(unix)]
const GRACE: Duration = Duration::from_secs(5);
/// How often it is looked whether a git whose standard error stays open has ended: a hook may have left somebody who has the pipe.
const LOOK: Duration = Duration::from_millis(100);
/// How long its last words are waited for then.
const LAST_WORDS: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// A folder in which git is run, and how.
#[derive(Clone, Debug)]
pub struct Git {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) host: Arc<dyn Host>,
    dir: PathBuf,
    globals: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    patience: Duration,
    limit: Duration,
    lazy_fetch: bool,
    outer: bool,
}

/// How a git ended, and what it said.
#[derive(Clone, Debug)]
pub struct Told {
    /// The exit status; `None`: ended by a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub out: Vec<u8>,
    /// Standard error: up to 64 KiB.
    pub err: String,
}

impl Told {
    /// Did git do what it was asked?
    pub fn is_ok(&self) -> bool {
        self.code == Some(0)
    }

    /// The first line that is an error, without git's label; what git said at all when none is.
    pub fn reason(&self) -> String {
        let labelled = |line: &&str| line.starts_with("fatal: ") || line.starts_with("error: ");
        let mut lines = self.err.lines().filter(|line| !line.trim().is_empty());
        let line = self.err.lines().find(labelled).or_else(|| lines.next()).unwrap_or_default();
        let line = line.strip_prefix("fatal: ").or_else(|| line.strip_prefix("error: ")).unwrap_or(line);
        match (line, self.code) {
            ("", Some(code)) => format!("status {code}"),
            ("", None) => "ended by a signal".to_owned(),
            (line, _) => line.to_owned(),
        }
    }

    /// Standard output without the last line end: one path, one name.
    pub fn line(&self) -> &[u8] {
        let line = self.out.strip_suffix(b"\n").unwrap_or(&self.out);
        line.strip_suffix(b"\r").unwrap_or(line)
    }
}

impl Git {
    /// git in this folder: contention is waited out for 30 s, an answer may take 10 minutes.
    pub fn new(dir: impl Into<PathBuf>) -> Git {
        Git {
            fs: Arc::new(RealFs),
            host: Arc::new(RealHost),
            dir: dir.into(),
            globals: Vec::new(),
            env: Vec::new(),
            patience: Duration::from_secs(30),
            limit: Duration::from_secs(600),
            lazy_fetch: false,
            outer: false,
        }
    }

    /// The same in another folder.
    #[must_use]
    pub fn at(&self, dir: impl Into<PathBuf>) -> Git {
        Git { dir: dir.into(), ..self.clone() }
    }

    /// With an option of git itself: `--literal-pathspecs`.
    #[must_use]
    pub fn global(mut self, option: impl Into<OsString>) -> Git {
        self.globals.push(option.into());
        self
    }

    /// With a setting for this once: `core.fsync=committed`.
    #[must_use]
    pub fn setting(self, setting: impl Into<OsString>) -> Git {
        self.global("-c").global(setting)
    }

    /// With a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Git {
        self.env.push((name.into(), value.into()));
        self
    }

    /// How long locks of other gits are waited for.
    #[must_use]
    pub fn patience(mut self, time: Duration) -> Git {
        self.patience = time;
        self
    }

    /// How long an answer may take.
    #[must_use]
    pub fn limit(mut self, time: Duration) -> Git {
        self.limit = time;
        self
    }

    /// In the repository that an outer git has named, if one has: for what runs because that git runs it.
    #[must_use]
    pub fn outer(mut self) -> Git {
        self.outer = true;
        self
    }

    /// In a partial clone git may fetch the contents that it needs, as it would for the user.
    #[must_use]
    pub fn lazy_fetch(mut self) -> Git {
        self.lazy_fetch = true;
        self
    }

    /// Where it is run.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs git to its end, however that is; waits for the locks of others.
    pub fn run<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Result<Told> {
        self.run_with(arguments, b"")
    }

    /// As [`Git::run`], with standard input.
    pub fn run_with<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>, input: &[u8]) -> Result<Told> {
        let arguments: Vec<OsString> = arguments.into_iter().map(|word| word.as_ref().to_owned()).collect();
        let began = self.host.monotonic();
        let mut pause = FIRST_PAUSE;
        loop {
            let told = self.once(&arguments, input)?;
            let Some(lock) = (!told.is_ok()).then(|| contention::lock_in_the_way(&told.err)).flatten() else {
                return Ok(told);
            };
            let waited = self.host.monotonic().saturating_sub(began);
            if waited >= self.patience {
                let lock = contention::look_at(&*self.fs, &*self.host, &self.dir, &lock);
                return Err(Error::Contended { action: action(&arguments), lock, waited });
            }
            // Those who wait for one lock do not all come back at once.
            let part = Duration::from_micros(self.host.random() % (1 + micros(pause)));
            self.host.sleep((pause / 2 + part).min(self.patience.saturating_sub(waited)));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Waits until a lock file of git's is gone: whoever made it is at work.
    pub(crate) fn wait_for(&self, lock: &Path, what: &str) -> Result<()> {
        let began = self.host.monotonic();
        while self.fs.stat(lock).is_ok() {
            let waited = self.host.monotonic().saturating_sub(began);
            if waited >= self.patience {
                let lock = contention::look_at(&*self.fs, &*self.host, &self.dir, lock);
                return Err(Error::Contended { action: what.to_owned(), lock, waited });
            }
            self.host.sleep(LOOK / 10);
        }
        Ok(())
    }

    /// What git answers; an error if it fails.
    pub fn ask<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Result<Told> {
        self.ask_with(arguments, b"")
    }

    /// As [`Git::ask`], with standard input.
    pub fn ask_with<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>, input: &[u8]) -> Result<Told> {
        let arguments: Vec<OsString> = arguments.into_iter().map(|word| word.as_ref().to_owned()).collect();
        let told = self.run_with(&arguments, input)?;
        if told.is_ok() { Ok(told) } else { Err(failed(&arguments, &told)) }
    }

    /// One line that git answers, as text; `None` if it fails.
    pub fn word<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Result<Option<String>> {
        let told = self.run(arguments)?;
        Ok(told.is_ok().then(|| String::from_utf8_lossy(told.line()).into_owned()))
    }

    /// The command, with everything that is promised above but the waiting. Standard input is empty.
    pub(crate) fn command<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Command {
        let mut command = Command::new("git");
        if !self.outer {
            for name in LOCAL_VARIABLES {
                command.env_remove(name);
            }
        }
        command
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_EDITOR", "true")
            .env("GIT_MERGE_AUTOEDIT", "no")
            .env("LC_ALL", "C")
            .env_remove("LANGUAGE");
        if !self.lazy_fetch {
            command.env("GIT_NO_LAZY_FETCH", "1");
        }
        command.arg("-C").arg(&self.dir).args(["--no-pager", "-c", "core.fsmonitor=false"]);
        command.args(["-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "advice.diverging=false"]);
        command.args(&self.globals).args(arguments);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn once(&self, arguments: &[OsString], input: &[u8]) -> Result<Told> {
        let mut command = self.command(arguments);
        if !input.is_empty() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.spawn().map_err(|source| Error::NotRun { source })?;
        let (done, ended) = mpsc::channel();
        if let Some(mut stdin) = child.stdin.take() {
            let input = input.to_vec();
            // A git that has heard enough closes the pipe.
            self.spawn(move || drop(stdin.write_all(&input)))?;
        }
        let out = self.read(child.stdout.take(), OUTPUT_LIMIT, Stream::Out, done.clone())?;
        let err = self.read(child.stderr.take(), TALK_LIMIT, Stream::Err, done)?;
        let status = self.wait(&mut child, &ended).map_err(|source| Error::NotRun { source })?;
        let Some(status) = status else {
            return Err(Error::TooLong { action: action(arguments), limit: self.limit });
        };
        let (out, is_cut) = taken(&out);
        if is_cut {
            return Err(Error::TooMuch { action: action(arguments), limit: OUTPUT_LIMIT });
        }
        let err = String::from_utf8_lossy(&taken(&err).0).into_owned();
        Ok(Told { code: status.code(), out, err })
    }

    fn spawn(&self, work: impl FnOnce() + Send + 'static) -> Result<()> {
        self.host.spawn("filelatch-git", 128 << 10, Box::new(work)).map_err(|source| Error::NotRun { source })
    }

    /// Reads to the end; more than the limit is read, too, but not kept, so that git does not wait for a reader.
    fn read(
        &self,
        from: Option<impl Read + Send + 'static>,
        limit: u64,
        stream: Stream,
        done: mpsc::Sender<Stream>,
    ) -> Result<Arc<Mutex<Bytes>>> {
        let bytes = Arc::<Mutex<Bytes>>::default();
        let shared = Arc::clone(&bytes);
        let Some(mut from) = from else { return Ok(bytes) };
        self.spawn(move || {
            let mut buffer = [0; 16 << 10];
            loop {
                match from.read(&mut buffer) {
                    Ok(0) => break,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => {
                        shared.lock().unwrap_or_else(PoisonError::into_inner).is_cut = true;
                        break;
                    }
                    Ok(n) => {
                        let mut to = shared.lock().unwrap_or_else(PoisonError::into_inner);
                        let room = usize::try_from(limit.saturating_sub(to.kept.len() as u64)).unwrap_or(usize::MAX);
                        to.is_cut |= n > room;
                        to.kept.extend_from_slice(&buffer[..n.min(room)]);
                    }
                }
            }
            done.send(stream).ok();
        })?;
        Ok(bytes)
    }

    /// `None`: it took too long, and was ended.
    fn wait(&self, child: &mut Child, ended: &mpsc::Receiver<Stream>) -> io::Result<Option<ExitStatus>> {
        let deadline = self.host.monotonic().saturating_add(self.limit);
        let (mut out, mut err) = (false, false);
        let mut exited = None;
        while !(out && err) {
            match ended.recv_timeout(LOOK) {
                Ok(Stream::Out) => out = true,
                Ok(Stream::Err) => err = true,
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            let now = self.host.monotonic();
            if exited.is_none() && child.try_wait()?.is_some() {
                exited = Some(now);
            }
            // Standard output is git's alone, and is read to its end whatever it takes.
            if out && exited.is_some_and(|exited| now.saturating_sub(exited) >= LAST_WORDS) {
                break;
            }
            if now >= deadline {
                self.end(child)?;
                return Ok(None);
            }
        }
        child.wait().map(Some)
    }

    fn end(&self, child: &mut Child) -> io::Result<()> {
        #[cfg(unix)]
        {
            rustix::process::kill_process(rustix::process::Pid::from_child(child), rustix::process::Signal::TERM).ok();
            let asked = self.host.monotonic();
            while self.host.monotonic().saturating_sub(asked) < GRACE {
                if child.try_wait()?.is_some() {
                    return Ok(());
                }
                self.host.sleep(LOOK / 10);
            }
        }
        child.kill().ok();
        child.wait().map(drop)
    }
}

/// What has been read to its end.
#[derive(Clone, Copy)]
enum Stream {
    Out,
    Err,
}

/// What is read meanwhile.
#[derive(Default)]
struct Bytes {
    kept: Vec<u8>,
    is_cut: bool,
}

fn taken(bytes: &Mutex<Bytes>) -> (Vec<u8>, bool) {
    let mut bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
    (std::mem::take(&mut bytes.kept), bytes.is_cut)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX - 1)
}

/// `git worktree add`: the words that say what was wanted.
fn action(arguments: &[OsString]) -> String {
    let mut words = vec!["git".to_owned()];
    let plain = |word: &&OsString| {
        word.to_str().is_some_and(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
    };
    let first = arguments.iter().take(1).filter(plain);
    let second = arguments.iter().skip(1).take(1).filter(|_| arguments.first().is_some_and(|word| word == "worktree"));
    words.extend(first.chain(second.filter(plain)).map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

fn failed(arguments: &[OsString], told: &Told) -> Error {
    Error::Git { action: action(arguments), told: told.reason() }
}

/// A path as git prints it.
#[cfg(unix)]
pub fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    OsStr::from_bytes(bytes).into()
}

/// A path as git prints it.
#[cfg(not(unix))]
pub fn path_of(bytes: &[u8]) -> PathBuf {
    String::from_utf8_lossy(bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SERVE-6: every variable by which an outer git could lead this one to another repository is known.
    #[test]
    fn variables_of_an_outer_git() {
        let Ok(told) = Git::new(".").ask(["rev-parse", "--local-env-vars"]) else { return };
        let text = String::from_utf8(told.out).unwrap();
        let passed_on = ["GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"];
        for name in text.lines().filter(|name| !passed_on.contains(name)) {
            assert!(LOCAL_VARIABLES.contains(&name), "{name}");
        }
    }

    /// What an error says git was asked.
    #[test]
    fn actions() {
        let told = |words: &[&str]| action(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(told(&["worktree", "add", "--no-track"]), "git worktree add");
        assert_eq!(told(&["merge", "--ff-only"]), "git merge");
        assert_eq!(told(&["merge", "topic"]), "git merge");
        assert_eq!(told(&[]), "git");
    }
}
