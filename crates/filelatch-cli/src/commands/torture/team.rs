//! The processes of a round: started, stopped for moments, killed, started again, and gone at the end.
//!
//! None outlives this process: each ends when its input does. One that is stopped at that moment is in a process group of its own,
//! which the kernel wakes and hangs up when its parent is gone.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use filelatch::LockMode;
use filelatch_fs::{Host, RealHost};
use filelatch_testkit::Random;
use serde_json::Value;

use crate::args::TortureWorker;
use crate::render::CliError;

/// A worker that was told to stop has this long to end its operation.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a process has noted.
pub(super) struct Log {
    pub(super) process: u64,
    /// Which of the team's places it had.
    pub(super) slot: usize,
    pub(super) bytes: Vec<u8>,
    /// When it was surely dead, if it was killed.
    pub(super) killed: Option<Duration>,
}

/// What is done with the processes, and how often so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mishaps {
    pub(super) kills: usize,
    pub(super) stops: usize,
}

impl Mishaps {
    pub(super) fn add(&mut self, others: Mishaps) {
        self.kills += others.kills;
        self.stops += others.stops;
    }
}

pub(super) struct Team<'a> {
    /// How to start a worker; its number and seed are filled in.
    template: &'a TortureWorker,
    places: Vec<Place>,
    logs: Vec<Log>,
    next_process: u64,
    random: Random,
    /// Operations that have ended.
    ended: Arc<AtomicUsize>,
    pub(super) mishaps: Mishaps,
}

struct Place {
    process: u64,
    child: Child,
    input: Option<ChildStdin>,
    log: Option<JoinHandle<Vec<u8>>>,
    complaint: Option<JoinHandle<String>>,
    /// Stopped until then.
    #[cfg(unix)]
    stopped: Option<Duration>,
}

impl<'a> Team<'a> {
    pub(super) fn start(template: &'a TortureWorker, size: usize, random: Random) -> Result<Team<'a>, CliError> {
        let ended = Arc::default();
        let mut team = Team {
            template,
            places: Vec::with_capacity(size),
            logs: Vec::new(),
            next_process: 0,
            random,
            ended,
            mishaps: Mishaps::default(),
        };
        for _ in 0..size {
            let place = team.spawn()?;
            team.places.push(place);
        }
        Ok(team)
    }

    /// Operations that have ended so far.
    pub(super) fn operations(&self) -> usize {
        self.ended.load(Ordering::Relaxed)
    }

    fn spawn(&mut self) -> Result<Place, CliError> {
        let fail = |e| CliError::own("io", format!("cannot start a process: {e}")).hint("nothing was changed");
        let process = self.next_process;
        self.next_process += 1;
        let worker = self.template;
        let mut command = Command::new(std::env::current_exe().map_err(fail)?);
        command.arg(TortureWorker::NAME).arg(&worker.dir);
        command.args(["--process", &process.to_string(), "--seed", &self.random.next().to_string()]);
        command.args(["--durability", &worker.durability.to_string()]);
        let lock = match worker.lock {
            LockMode::Auto => "auto",
            LockMode::Os => "os",
            LockMode::File => "file",
        };
        command.args(["--lock", lock]);
        if let Some(sabotage) = worker.sabotage {
            command.args(["--sabotage", sabotage.word()]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C is for this process, which ends the others in order.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(fail)?;
        let ended = Arc::clone(&self.ended);
        let log = child.stdout.take().map(|out| std::thread::spawn(move || collect(out, &ended)));
        let complaint = child.stderr.take().map(|mut out| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                out.read_to_end(&mut text).ok();
                String::from_utf8_lossy(&text).into_owned()
            })
        });
        let input = child.stdin.take();
        Ok(Place {
            process,
            child,
            input,
            log,
            complaint,
            #[cfg(unix)]
            stopped: None,
        })
    }

    /// Stops somebody for a moment, now and then; wakes whose moment is over. To be called often.
    #[cfg(unix)]
    pub(super) fn stop_and_wake(&mut self, now: Duration) {
        use rustix::process::Signal;

        for place in &mut self.places {
            if place.stopped.is_some_and(|until| until <= now) {
                place.signal(Signal::CONT);
                place.stopped = None;
            }
        }
        // About 20 times a second.
        if self.random.up_to(9) == 0 {
            let place = self.pick();
            let until = now + Duration::from_millis(1 + self.random.up_to(29));
            let place = &mut self.places[place];
            if place.stopped.is_none() {
                place.signal(Signal::STOP);
                place.stopped = Some(until);
                self.mishaps.stops += 1;
            }
        }
    }

    #[cfg(not(unix))]
    #[expect(clippy::unused_self, reason = "there are no such signals here")]
    pub(super) fn stop_and_wake(&mut self, _now: Duration) {}

    /// Kills somebody now and then, and starts another in its place. To be called often.
    pub(super) fn kill_somebody(&mut self) -> Result<(), CliError> {
        // About 8 times a second.
        if self.random.up_to(24) > 0 {
            return Ok(());
        }
        let slot = self.pick();
        // One that has ended by itself is the business of `failed`.
        if !matches!(self.places[slot].child.try_wait(), Ok(None)) {
            return Ok(());
        }
        let dead = self.places[slot].kill(slot);
        self.logs.push(dead);
        self.mishaps.kills += 1;
        self.places[slot] = self.spawn()?;
        Ok(())
    }

    fn pick(&mut self) -> usize {
        let last = u64::try_from(self.places.len()).unwrap_or(u64::MAX).saturating_sub(1);
        usize::try_from(self.random.up_to(last)).unwrap_or_default()
    }

    /// Has one ended although nobody told it to?
    pub(super) fn has_failed(&mut self) -> bool {
        self.places.iter_mut().any(|place| !matches!(place.child.try_wait(), Ok(None)))
    }

    /// Lets all end their operation; answers what they noted, and the first complaint.
    pub(super) fn finish(mut self) -> (Vec<Log>, Option<CliError>) {
        for place in &mut self.places {
            #[cfg(unix)]
            place.signal(rustix::process::Signal::CONT);
            if let Some(input) = &mut place.input {
                // One that has ended does not read any more.
                input.write_all(b"\n").ok();
            }
        }
        let until = RealHost.monotonic() + PATIENCE;
        let mut complaint = None;
        for (slot, mut place) in std::mem::take(&mut self.places).into_iter().enumerate() {
            let status = loop {
                match place.child.try_wait() {
                    Ok(None) if RealHost.monotonic() < until => RealHost.sleep(Duration::from_millis(2)),
                    Ok(status) => break status,
                    Err(_) => break None,
                }
            };
            let failed = match status {
                Some(status) if status.success() => None,
                Some(status) => Some(format!("a process of the test has ended unexpectedly ({status})")),
                None => Some("a process of the test does not come to an end".to_owned()),
            };
            let log = place.kill(slot);
            let said = place.complaint.take().and_then(|said| said.join().ok()).unwrap_or_default();
            complaint = complaint.or(failed.map(|what| told(&what, &said)));
            let killed = log.killed.filter(|_| status.is_none());
            self.logs.push(Log { killed, ..log });
        }
        (std::mem::take(&mut self.logs), complaint)
    }
}

/// What a worker said before it ended: its error, or a panic.
fn told(what: &str, said: &str) -> CliError {
    let error: Option<Value> = said.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    let Some(error) = error else { return CliError::own("internal", format!("{what}: {}", said.trim())) };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let hints = error["hints"].as_array().map(|hints| hints.iter().map(text).collect()).unwrap_or_default();
    CliError::Own { kind: text(&error["kind"]).into(), message: text(&error["message"]), hints }
}

/// All that is noted, counting the operations that end.
fn collect(out: impl Read, ended: &AtomicUsize) -> Vec<u8> {
    let mut lines = BufReader::new(out);
    let mut log = Vec::new();
    let mut begin = 0;
    while matches!(lines.read_until(b'\n', &mut log), Ok(1..)) {
        let what = log[begin..].split(|byte| *byte == b' ').nth(2).map(<[u8]>::trim_ascii_end);
        if !matches!(what, Some(b"begin" | b"attempt" | b"acquired" | b"releasing") | None) {
            ended.fetch_add(1, Ordering::Relaxed);
        }
        begin = log.len();
    }
    log
}

impl Place {
    /// Kills it if it lives, and takes what it has noted.
    fn kill(&mut self, slot: usize) -> Log {
        // Also if it is stopped. One that has ended by itself does not mind.
        self.child.kill().ok();
        self.child.wait().ok();
        let killed = Some(RealHost.monotonic());
        let bytes = self.log.take().and_then(|log| log.join().ok()).unwrap_or_default();
        Log { process: self.process, slot, bytes, killed }
    }

    #[cfg(unix)]
    fn signal(&self, signal: rustix::process::Signal) {
        // Not waited for yet, so the number is still its own.
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).ok();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
