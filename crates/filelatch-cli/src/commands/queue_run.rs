//! `filelatch queue run`: claims commands and runs them (P14).
//!
//! Each job has a thread that claims, starts the command in a process group of its own, which inherits the claim's sign of life, and says
//! every third of the lease that it goes on. If that is refused the command is somebody else's, and is ended here.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use filelatch::store::queue::{Claim, ClaimOptions, Outcome, Queue};
use filelatch::{CancelToken, Error, Wait};
use filelatch_fs::{Fs, Host, RealFs, RealHost};
use serde_json::json;

use super::run::status_of;
use crate::args_queue::QueueRun;
use crate::context::Context;
use crate::group::{self, Ended, Group};
use crate::render::CliError;
use crate::{env, exit, output};

/// How long a command that was asked to end has until it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// Longest time between two looks at what is wished.
const LOOK: Duration = Duration::from_secs(1);

/// What all jobs share.
struct Runner<'a> {
    context: &'a Context,
    args: &'a QueueRun,
    queue: Queue,
    wishes: Arc<Wishes>,
}

/// What this process was asked for.
#[derive(Default)]
struct Wishes {
    /// Claim nothing more.
    stop: CancelToken,
    /// End what runs.
    now: AtomicBool,
    running: Mutex<HashMap<u64, Group>>,
}

/// How an attempt ended here.
enum Attempt {
    Exited(ExitStatus),
    /// It could not be started: with this status, for this reason.
    NotStarted(u8, String),
    /// Ended because the runner was asked to end.
    Stopped,
    /// Ended because it is somebody else's by now.
    Lost,
}

pub(crate) fn run(context: &Context, queue: Queue, args: &QueueRun) -> Result<(), CliError> {
    // A name that was mistyped is no queue to wait for.
    queue.counts()?;
    let queue = match RealFs.canonicalize(queue.path()) {
        Ok(path) => context.latch.queue(path)?,
        Err(_) => queue,
    };
    let runner = Runner { context, args, queue, wishes: Arc::default() };
    runner.wishes.listen()?;
    thread::scope(|scope| {
        let job = || {
            let done = runner.job();
            if done.is_err() {
                runner.wishes.stop.cancel();
            }
            done
        };
        let jobs: Vec<_> = (1..args.jobs).map(|_| scope.spawn(job)).collect();
        let mut done = job();
        for job in jobs {
            let other = job.join().unwrap_or_else(|_| Err(CliError::own("internal", "a job panicked")));
            done = done.and(other);
        }
        done
    })
}

impl Wishes {
    fn running(&self) -> MutexGuard<'_, HashMap<u64, Group>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(unix)]
    fn listen(self: &Arc<Self>) -> Result<(), CliError> {
        let wishes = Arc::clone(self);
        let heard = move |n: usize| {
            wishes.stop.cancel();
            if n == 0 {
                if !wishes.running().is_empty() {
                    output::note("waiting for what runs; asked again, it is ended and given back");
                }
                return;
            }
            wishes.now.store(true, Ordering::Release);
            wishes.running().values().for_each(Group::end);
        };
        let failed = |e| CliError::own("io", format!("cannot handle signals: {e}")).hint("nothing was run");
        crate::signals::on_each_wish_to_end(heard).map_err(failed)
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "as on other systems")]
    fn listen(self: &Arc<Self>) -> Result<(), CliError> {
        Ok(())
    }
}

impl Runner<'_> {
    fn job(&self) -> Result<(), CliError> {
        let mut next = None;
        loop {
            let claimed = match next.take() {
                Some(claim) => Ok(Some(claim)),
                None if self.wishes.stop.is_cancelled() => return Ok(()),
                None => self.queue.claim(&self.options(true)),
            };
            let claim = match claimed {
                Ok(Some(claim)) => claim,
                Ok(None) | Err(Error::Cancelled { .. }) => return Ok(()),
                Err(e) => return Err(e.into()),
            };
            next = self.attempt(claim)?;
        }
    }

    fn options(&self, wait: bool) -> ClaimOptions {
        let mut options = ClaimOptions::new().lease(self.args.lease);
        if wait {
            options = options.wait(Wait::Forever).cancel(&self.wishes.stop);
        }
        if self.args.until_empty { options.until_empty() } else { options }
    }

    /// Runs a command, tells the queue how it ended, and may have the next one.
    fn attempt(&self, mut claim: Claim) -> Result<Option<Claim>, CliError> {
        if self.wishes.stop.is_cancelled() {
            claim.release()?;
            return Ok(None);
        }
        let (id, attempt, token) = (claim.id().to_owned(), claim.attempt(), claim.token());
        let done = self.execute(&mut claim)?;
        let mut code = None;
        let (state, ended) = match done {
            Attempt::Exited(status) if status.success() => {
                code = Some(0);
                let outcome = Outcome::new().exit_code(0);
                let ended = if self.wishes.stop.is_cancelled() {
                    claim.complete(&outcome).map(|()| None)
                } else {
                    claim.complete_and_claim(&outcome, &self.options(false))
                };
                ("done", ended)
            }
            Attempt::Exited(status) => {
                let status = status_of(status);
                code = Some(i32::from(status));
                ("failed", self.failed(claim, status, None))
            }
            Attempt::NotStarted(status, why) => {
                output::warning(&format!("command {id}: {why}"));
                code = Some(i32::from(status));
                ("failed", self.failed(claim, status, Some(why)))
            }
            Attempt::Stopped => ("released", claim.release().map(|()| None)),
            Attempt::Lost => {
                drop(claim);
                ("lost", Ok(None))
            }
        };
        let (state, next) = match ended {
            Ok(next) => (state, next),
            Err(e) if is_lost(&e) => ("lost", None),
            Err(e) => return Err(e.into()),
        };
        let state =
            if state == "failed" { self.queue.get(&id).map_or(state, |command| command.state.word()) } else { state };
        if state == "lost" {
            output::warning(&format!(
                "command {id}: the claim was lost; somebody else has it by now, or it was removed"
            ));
        }
        if self.context.json {
            let line = json!({"id": id, "attempt": attempt, "token": token, "state": state, "exitCode": code});
            output::json(&line)?;
        }
        Ok(next)
    }

    fn failed(&self, claim: Claim, status: u8, why: Option<String>) -> filelatch::Result<Option<Claim>> {
        let mut outcome = Outcome::new().exit_code(i32::from(status)).retries(self.args.retries);
        outcome = outcome.retry_delay(self.args.retry_delay);
        if let Some(why) = why {
            outcome = outcome.result(why);
        }
        claim.fail(&outcome).map(|()| None)
    }

    fn execute(&self, claim: &mut Claim) -> Result<Attempt, CliError> {
        let Some((program, arguments)) = claim.command().split_first() else {
            return Ok(Attempt::NotStarted(exit::NOT_FOUND, "it has no words".to_owned()));
        };
        let program = program.clone();
        let mut command = Command::new(&program);
        command.args(arguments).stdin(Stdio::null());
        if let Some(dir) = &self.args.output {
            command.stdout(append(dir, claim.id(), "out")?).stderr(append(dir, claim.id(), "err")?);
        } else if self.context.json {
            // Standard output is for the lines about the commands.
            command.stdout(std::io::stderr());
        }
        let values = [
            self.queue.path().as_os_str().to_owned(),
            claim.id().into(),
            claim.attempt().to_string().into(),
            claim.token().to_string().into(),
        ];
        command.envs(env::QUEUE.into_iter().zip(values));
        group::separate(&mut command);
        let started = claim.hand_on(|| command.spawn())?;
        let child = match started {
            Ok(child) => child,
            Err(e) => {
                let error = super::run::not_started(program.as_ref(), &e);
                return Ok(Attempt::NotStarted(error.status(), error.message()));
            }
        };
        let wrong = |e| CliError::own("io", format!("cannot wait for the command: {e}"));
        let (group, ended) = group::watch(child).map_err(wrong)?;
        self.wishes.running().insert(claim.token(), group.clone());
        let done = self.wait(claim, &group, &ended);
        self.wishes.running().remove(&claim.token());
        done
    }

    /// Waits for the end of a command, and says in time that it goes on.
    fn wait(&self, claim: &Claim, group: &Group, ended: &Ended) -> Result<Attempt, CliError> {
        let now = || RealHost.monotonic();
        let lease = claim.lease();
        let (third, patience) = (lease / 3, lease / 6 * 5);
        let (mut heard, mut next) = (now(), now().saturating_add(third));
        loop {
            let wait = next.saturating_sub(now()).min(LOOK);
            match ended.recv_timeout(wait) {
                Ok(Ok(status)) if self.wishes.now.load(Ordering::Acquire) && !status.success() => {
                    return Ok(Attempt::Stopped);
                }
                Ok(Ok(status)) => return Ok(Attempt::Exited(status)),
                Ok(Err(e)) => return Err(CliError::own("io", format!("cannot wait for the command: {e}"))),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(CliError::own("internal", "the command was lost track of"));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.wishes.now.load(Ordering::Acquire) {
                return Ok(end(group, ended).filter(ExitStatus::success).map_or(Attempt::Stopped, Attempt::Exited));
            }
            if now() < next {
                continue;
            }
            match claim.beat() {
                Ok(()) => heard = now(),
                // One that failed is no loss (L12), unless it goes on so.
                Err(e) if !is_lost(&e) && now().saturating_sub(heard) < patience => {}
                Err(_) => {
                    end(group, ended);
                    return Ok(Attempt::Lost);
                }
            }
            next = now().saturating_add(third);
        }
    }
}

/// Asks a command to end, and sees to it that it does.
fn end(group: &Group, ended: &Ended) -> Option<ExitStatus> {
    group.end();
    let status = ended.recv_timeout(GRACE);
    // What it has started may still be there, whether or not it is.
    group.kill();
    match status {
        Ok(status) => status.ok(),
        Err(_) => ended.recv().ok()?.ok(),
    }
}

/// The command is somebody else's by now.
fn is_lost(error: &Error) -> bool {
    matches!(error.code(), "stale-token" | "wrong-state" | "no-such-item")
}

#[expect(clippy::disallowed_methods, reason = "a command's output, not filelatch's own file")]
fn append(dir: &Path, id: &str, what: &str) -> Result<File, CliError> {
    let path = dir.join(format!("{id}.{what}"));
    let opened = File::options().append(true).create(true).open(&path);
    opened.map_err(|e| CliError::own("io", format!("cannot write to `{}`: {e}", path.display())))
}
