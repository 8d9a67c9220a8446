//! Processes that work and die (TEST-2): the test binary started again, several times.
//!
//! A worker is the same test function in a new process of the same binary. It tells on its standard output what it has
//! finished, one line each, by one write: a line is there whole or not at all, so what was acknowledged before a SIGKILL counts.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

const INDEX: &str = "FILELATCH_TESTKIT_WORKER";
const TEST: &str = "FILELATCH_TESTKIT_TEST";
/// Begins each line that is meant for the test; what the test runner prints does not.
const MARK: &str = "\u{1}ack ";
const READY: &str = "\u{1}ready";

/// This process, when it is a worker. See [`Workers`].
#[derive(Debug)]
pub struct Worker {
    index: usize,
}

impl Worker {
    /// The worker that this process is for the test with this name; `None` in the test itself.
    #[expect(clippy::disallowed_methods, reason = "how a worker learns that it is one; set only by `Workers`")]
    pub fn current(test: &str) -> Option<Worker> {
        let index = std::env::var(INDEX).ok()?.parse().ok()?;
        (std::env::var(TEST).ok()? == test).then_some(Worker { index })
    }

    /// From 0 to one less than the number of workers.
    pub fn index(&self) -> usize {
        self.index
    }

    /// What the test has set with [`WorkersBuilder::env`].
    #[expect(clippy::disallowed_methods, reason = "the test's own values")]
    pub fn env(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    /// Waits until all workers have come here ([`Workers::start`]).
    pub fn wait_for_start(&self) {
        say(READY);
        // The end of the input means that the test is gone: nothing to wait for.
        drop(io::stdin().read_line(&mut String::new()));
    }

    /// Tells the test that this is done. Say it only after it *is* done: the test counts on it, however this process ends.
    ///
    /// # Panics
    /// If `what` has a line break, or the test is gone.
    pub fn acknowledge(&self, what: impl fmt::Display) {
        let what = what.to_string();
        assert!(!what.contains('\n'), "an acknowledgement is one line: {what:?}");
        say(&format!("{MARK}{what}"));
    }
}

/// One write, on a line of its own: the test runner may have begun one.
fn say(line: &str) {
    let line = format!("\n{line}\n");
    let mut out = io::stdout().lock();
    let told = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    assert!(told.is_ok(), "the test that this worker works for is gone: {told:?}");
}

/// Worker processes of one test. Dropping it kills those that still run.
///
/// ```no_run
/// use filelatch::{Error, Filelatch};
/// use filelatch_testkit::{Worker, Workers, verify_no_lost_increments};
///
/// #[test]
/// fn nothing_is_lost() {
///     const NAME: &str = "nothing_is_lost"; // with its modules, as the test runner prints it
///     if let Some(worker) = Worker::current(NAME) {
///         let file = Filelatch::new().file(worker.env("FILE").unwrap()).unwrap();
///         worker.wait_for_start();
///         for _ in 0..100 {
///             file.update_value(&Default::default(), |value| {
///                 value["count"] = (value["count"].as_i64().unwrap() + 1).into();
///                 Ok::<_, Error>(())
///             })
///             .unwrap();
///             worker.acknowledge("+1");
///         }
///         return;
///     }
///     let dir = tempfile::tempdir().unwrap();
///     let path = dir.path().join("count.json");
///     std::fs::write(&path, "{\"count\": 0}").unwrap();
///     let mut workers = Workers::of(NAME).env("FILE", &path).spawn(8).unwrap();
///     workers.start();
///     workers.wait_for(3, 10); // until worker 3 has done ten…
///     workers.kill(3); // … kill -9
///     let ended = workers.finish().unwrap();
///     assert!(ended.iter().all(|worker| worker.killed || worker.status.success()));
///     let value: serde_json::Value = Filelatch::new().file(&path).unwrap().read_as().unwrap();
///     let increments = ended.iter().flat_map(|worker| &worker.acknowledged).map(|_| 1);
///     verify_no_lost_increments(0, increments, 1, value["count"].as_i64().unwrap()).unwrap();
/// }
/// ```
#[derive(Debug)]
pub struct Workers {
    workers: Vec<Running>,
}

/// How workers are started; from [`Workers::of`].
#[derive(Debug)]
pub struct WorkersBuilder {
    test: String,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

/// How a worker has ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ended {
    /// What it acknowledged, in order.
    pub acknowledged: Vec<String>,
    /// The test has killed it.
    pub killed: bool,
    /// Its exit status.
    pub status: ExitStatus,
}

#[derive(Debug)]
struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    heard: Arc<Heard>,
    reader: Option<JoinHandle<()>>,
    killed: bool,
}

/// What a worker has said so far.
#[derive(Debug, Default)]
struct Heard {
    state: Mutex<HeardState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct HeardState {
    acknowledged: Vec<String>,
    ready: bool,
    ended: bool,
}

impl Workers {
    /// Workers that run the test function `test` of this test binary; its name with its modules, as the test runner prints it.
    pub fn of(test: &str) -> WorkersBuilder {
        let args = [test, "--exact", "--nocapture", "--include-ignored", "--test-threads=1"];
        WorkersBuilder { test: test.to_owned(), args: args.map(OsString::from).into(), env: Vec::new() }
    }

    /// Waits until all have come to [`Worker::wait_for_start`] (or ended), then lets them go together.
    pub fn start(&mut self) {
        for worker in &self.workers {
            drop(worker.heard.wait_until(|heard| heard.ready));
        }
        for worker in &mut self.workers {
            if let Some(mut stdin) = worker.stdin.take() {
                // One that has ended meanwhile does not read any more.
                drop(stdin.write_all(b"\n"));
            }
        }
    }

    /// Waits until worker `index` has acknowledged `count` things. False: it ended before that.
    pub fn wait_for(&self, index: usize, count: usize) -> bool {
        let heard = self.workers[index].heard.wait_until(|heard| heard.acknowledged.len() >= count);
        heard.acknowledged.len() >= count
    }

    /// What worker `index` has acknowledged so far.
    pub fn acknowledged(&self, index: usize) -> Vec<String> {
        self.workers[index].heard.lock().acknowledged.clone()
    }

    /// The process id of worker `index`, to send it other signals.
    pub fn pid(&self, index: usize) -> u32 {
        self.workers[index].child.id()
    }

    /// Kills worker `index` at once: SIGKILL, or what is like it. Waits until the system has cleared it away.
    pub fn kill(&mut self, index: usize) -> io::Result<()> {
        self.workers[index].kill()
    }

    /// Waits until all have ended, and tells how, in the order of their indices.
    pub fn finish(mut self) -> io::Result<Vec<Ended>> {
        let end = |worker: &mut Running| {
            drop(worker.stdin.take());
            let status = worker.child.wait()?;
            if let Some(reader) = worker.reader.take() {
                drop(reader.join());
            }
            let acknowledged = std::mem::take(&mut worker.heard.lock().acknowledged);
            Ok(Ended { acknowledged, killed: worker.killed, status })
        };
        self.workers.iter_mut().map(end).collect()
    }
}

impl WorkersBuilder {
    /// Sets a variable in the workers' environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Arguments for a binary that is not run by the standard test runner, in place of those that choose the test function.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// Starts `n` workers.
    pub fn spawn(self, n: usize) -> io::Result<Workers> {
        let binary = std::env::current_exe()?;
        let mut workers = Workers { workers: Vec::with_capacity(n) };
        for index in 0..n {
            let mut command = Command::new(&binary);
            command.args(&self.args).env(TEST, &self.test).env(INDEX, index.to_string());
            command.envs(self.env.iter().map(|(name, value)| (name, value)));
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
            let heard = Arc::<Heard>::default();
            let stdin = child.stdin.take();
            let reader = child.stdout.take().map(|stdout| {
                let heard = Arc::clone(&heard);
                std::thread::spawn(move || heard.listen(stdout))
            });
            workers.workers.push(Running { child, stdin, heard, reader, killed: false });
        }
        Ok(workers)
    }
}

impl Running {
    fn kill(&mut self) -> io::Result<()> {
        // One that has ended by itself was not killed.
        if self.child.try_wait()?.is_none() {
            self.child.kill()?;
            self.child.wait()?;
            self.killed = true;
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.kill());
    }
}

impl Heard {
    fn lock(&self) -> MutexGuard<'_, HeardState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until(&self, done: impl Fn(&HeardState) -> bool) -> MutexGuard<'_, HeardState> {
        let waited = self.changed.wait_while(self.lock(), |heard| !heard.ended && !done(heard));
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self, stdout: ChildStdout) {
        let mut lines = BufReader::new(stdout);
        let mut line = Vec::new();
        // A last line without its end was never said.
        while lines.read_until(b'\n', &mut line).is_ok() && line.pop() == Some(b'\n') {
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches('\r');
            if let Some(what) = text.strip_prefix(MARK) {
                self.lock().acknowledged.push(what.to_owned());
                self.changed.notify_all();
            } else if text == READY {
                self.lock().ready = true;
                self.changed.notify_all();
            }
            line.clear();
        }
        self.lock().ended = true;
        self.changed.notify_all();
    }
}
