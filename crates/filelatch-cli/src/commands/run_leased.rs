//! `filelatch run --max-hold`: a command under leases, ended when they are over (P11).
//!
//! Whatever the command does by itself is not fenced: all that can be done is to end it. It gets a process group of its own, so that what
//! it has started ends with it.

use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use filelatch::{InheritedLease, Lease, LeaseOptions, Wait};

use super::run::{not_started, status_of};
use crate::args::Run;
use crate::context::{Context, with_waiting};
use crate::render::CliError;
use crate::{env, exit, group, leases, output};

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
    group::separate(command);
    let caught = catch().map_err(signals)?;
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            return Err(not_started(command.get_program(), &error));
        }
    };
    let wrong = |e| CliError::own("io", format!("cannot wait for the command: {e}"));
    pass_on(caught, &child);
    let (group, ended) = group::watch(child).map_err(wrong)?;
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

#[cfg(unix)]
fn catch() -> io::Result<crate::signals::Caught> {
    crate::signals::catch()
}

/// What asks this process to end is passed on.
#[cfg(unix)]
fn pass_on(caught: crate::signals::Caught, child: &Child) {
    // Without the thread a request to end does not reach the command; that is no reason to leave it.
    caught.pass_on_to_group(child).ok();
}

#[cfg(not(unix))]
fn catch() -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn pass_on((): (), _: &Child) {}
