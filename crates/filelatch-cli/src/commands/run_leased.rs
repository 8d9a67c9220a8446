//! `filelatch run --max-hold`: a command under leases, ended when they are over (P11).
//!
//! Whatever the command does by itself is not fenced: all that can be done is to end it. It gets a process group of its own, so that what
//! it has started ends with it.

use std::io;
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use filelatch::{InheritedLease, Lease, LeaseOptions, Wait};

use super::run::{not_started, status_of};
use crate::args::Run;
use crate::context::{Context, with_waiting};
use crate::render::CliError;
use crate::{env, exit, leases, output};

/// How long a command that was asked to end has until it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// Longest time between two looks at the clock: the machine may sleep meanwhile.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) fn run(context: &Context, args: &Run, command: &mut Command, max_hold: Duration) -> Result<u8, CliError> {
    let held = lease(context, args, max_hold).map_err(|error| match error.status() {
        exit::NO_LOCK => CliError::WithStatus(Box::new(error), args.conflict_exit_code),
        _ => error,
    })?;
    if let [only] = &held[..] {
        command.env(env::TOKEN, only.token().to_string());
    } else {
        command.env_remove(env::TOKEN);
    }
    let mine = held.iter().map(|lease| InheritedLease { resource: lease.resource_name(), token: lease.token() });
    let mut inherited = context.leases.clone();
    inherited.extend(mine);
    command.env(env::LEASE, leases::to_value(&inherited));
    let ended = execute(command, &held)?;
    let ended = ended.ok_or_else(|| over(&held, max_hold));
    for lease in held {
        let path = lease.path().to_owned();
        if let Err(e) = lease.release()
            && ended.is_ok()
        {
            output::warning(&format!("the lease of `{}` was not given back: {e}", path.display()));
        }
    }
    ended.map(status_of)
}

/// In one global order, as locks are.
fn lease(context: &Context, args: &Run, max_hold: Duration) -> Result<Vec<Lease>, CliError> {
    let mut files = args.files.iter().map(|path| context.file(path)).collect::<Result<Vec<_>, _>>()?;
    files.sort_by(|a, b| a.id().cmp(b.id()));
    files.dedup_by(|a, b| a.id() == b.id());
    for file in &files {
        context.check_held(file, None, true)?;
    }
    let wait = if args.no_wait { Wait::No } else { args.timeout.map_or(Wait::Forever, Wait::For) };
    with_waiting(Some(wait), |options| {
        let mut lease = LeaseOptions::new().max_hold(max_hold).wait(wait);
        if let Some(on_wait) = options.asked_on_wait() {
            lease = lease.on_wait(on_wait);
        }
        files.iter().map(|file| Ok(file.lease(&lease)?)).collect()
    })
}

fn over(held: &[Lease], max_hold: Duration) -> CliError {
    let paths: Vec<_> =
        held.iter().filter(|lease| lease.lost()).map(|lease| format!("`{}`", lease.path().display())).collect();
    let time = crate::waiting::length(max_hold);
    let message = format!("the lease of {} is over after {time}: the command was ended", paths.join(", "));
    let error = CliError::own("lease-lost", message);
    let hint = "what it wrote by itself may be incomplete; a longer --max-hold gives it more time";
    CliError::WithStatus(Box::new(error.hint(hint)), exit::OVER)
}

/// `None`: it was ended because a lease was over.
fn execute(command: &mut Command, held: &[Lease]) -> Result<Option<ExitStatus>, CliError> {
    let signals = |e| CliError::own("io", format!("cannot handle signals: {e}")).hint("the command was not run");
    let caught = group::prepare(command).map_err(signals)?;
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            return Err(not_started(command.get_program(), &error));
        }
    };
    let wrong = |e| CliError::own("io", format!("cannot wait for the command: {e}"));
    let (group, ended) = group::watch(child, caught).map_err(wrong)?;
    while let Some(left) = held.iter().map(Lease::remaining).min().filter(|left| !left.is_zero()) {
        match ended.recv_timeout(left.min(LOOK)) {
            Ok(status) => return status.map(Some).map_err(wrong),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(CliError::own("internal", "the command was lost track of"));
            }
        }
    }
    group.end();
    if matches!(ended.recv_timeout(GRACE), Err(RecvTimeoutError::Timeout)) {
        output::note("the command did not end when it was asked to: killing it");
    }
    // What it has started may still be there, whether or not it is.
    group.kill();
    ended.recv().ok();
    Ok(None)
}

type Ended = Receiver<io::Result<ExitStatus>>;

/// The command with all that it has started.
#[cfg(unix)]
mod group {
    use std::io;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};
    use std::sync::mpsc::channel;
    use std::thread;

    use rustix::process::{Pid, Signal, kill_process_group};

    use super::Ended;
    use crate::signals::{self, Caught};

    pub(super) struct Group(Option<Pid>);

    pub(super) fn prepare(command: &mut Command) -> io::Result<Caught> {
        command.process_group(0);
        signals::catch()
    }

    /// Waits for the command on a thread of its own, which tells how it ended. What asks this process to end is passed on.
    pub(super) fn watch(mut child: Child, caught: Caught) -> io::Result<(Group, Ended)> {
        // Without the thread a request to end does not reach the command; that is no reason to leave it.
        caught.pass_on_to_group(&child).ok();
        let group = Group(i32::try_from(child.id()).ok().and_then(Pid::from_raw));
        let (tell, ended) = channel();
        thread::Builder::new().name("wait".to_owned()).spawn(move || tell.send(child.wait()).ok())?;
        Ok((group, ended))
    }

    impl Group {
        pub(super) fn end(&self) {
            self.send(Signal::TERM);
            // One that is stopped hears nothing until it goes on.
            self.send(Signal::CONT);
        }

        pub(super) fn kill(&self) {
            self.send(Signal::KILL);
        }

        fn send(&self, signal: Signal) {
            if let Some(group) = self.0 {
                // One that has just ended needs no signal.
                kill_process_group(group, signal).ok();
            }
        }
    }
}

/// The command alone: here a program can't be asked to end, and what it has started is not known.
#[cfg(not(unix))]
mod group {
    use std::io;
    use std::process::{Child, Command};
    use std::sync::mpsc::channel;
    use std::sync::{Arc, Mutex};
    use std::thread;
    use std::time::Duration;

    use super::Ended;

    const LOOK: Duration = Duration::from_millis(20);

    pub(super) struct Group(Arc<Mutex<Child>>);

    pub(super) fn prepare(_: &mut Command) -> io::Result<()> {
        Ok(())
    }

    /// Waits for the command on a thread of its own, which tells how it ended.
    pub(super) fn watch(child: Child, (): ()) -> io::Result<(Group, Ended)> {
        let child = Arc::new(Mutex::new(child));
        let (tell, ended) = channel();
        let group = Group(Arc::clone(&child));
        let look = move || {
            loop {
                let looked =
                    child.lock().map_err(|_| io::ErrorKind::Other.into()).and_then(|mut child| child.try_wait());
                match looked.transpose() {
                    Some(end) => return tell.send(end).ok(),
                    None => thread::park_timeout(LOOK),
                }
            }
        };
        thread::Builder::new().name("wait".to_owned()).spawn(look)?;
        Ok((group, ended))
    }

    impl Group {
        pub(super) fn end(&self) {
            self.kill();
        }

        pub(super) fn kill(&self) {
            if let Ok(mut child) = self.0.lock() {
                child.kill().ok();
            }
        }
    }
}
