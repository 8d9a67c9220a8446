//! Signals while the command of `run` runs: its exit status must not get lost. And what `torture` does about them.
//!
//! Ctrl-C and Ctrl-\ reach the whole foreground group, the command included, so they are only survived here. A request to end
//! that reaches this process alone is passed on. Signals are handled, not ignored: ignoring would be inherited by the command.

use std::io;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

/// From now on none of these ends this process; what arrives is kept until [`Caught::pass_on_to`].
pub(crate) struct Caught(Signals);

pub(crate) fn catch() -> io::Result<Caught> {
    Signals::new([SIGINT, SIGQUIT, SIGTERM, SIGHUP]).map(Caught)
}

/// From now on a wish that this process ends is noted, instead of ending it. The first one; a second one ends it at once.
pub(crate) fn note(wished: &Arc<AtomicBool>) -> io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_conditional_default(signal, Arc::clone(wished))?;
        signal_hook::flag::register(signal, Arc::clone(wished))?;
    }
    Ok(())
}

/// The first wish that this process ends is told to `heard`, on a thread of its own; a second one ends it at once.
pub(crate) fn on_wish_to_end(heard: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    note(&Arc::default())?;
    let wait = move || signals.forever().next().is_some().then(heard);
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

/// Each wish that this process ends is told to `heard`, with its number from 0, on a thread of its own; none ends it.
pub(crate) fn on_each_wish_to_end(mut heard: impl FnMut(usize) + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let wait = move || signals.forever().enumerate().for_each(|(n, _)| heard(n));
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

/// From now on Ctrl-C and Ctrl-\\ end this process only while `ends` says so.
pub(crate) fn end_if(ends: &Arc<AtomicBool>) -> io::Result<()> {
    for signal in [SIGINT, SIGQUIT] {
        signal_hook::flag::register_conditional_default(signal, Arc::clone(ends))?;
    }
    Ok(())
}

impl Caught {
    /// Passes requests to end on to the command, on a thread of its own that ends with the process.
    pub(crate) fn pass_on_to(self, child: &Child) -> io::Result<()> {
        self.pass_on(child, false)
    }

    /// Passes requests to end, and what the terminal sends, on to the command's process group, which is not this one's.
    pub(crate) fn pass_on_to_group(self, child: &Child) -> io::Result<()> {
        self.pass_on(child, true)
    }

    fn pass_on(mut self, child: &Child, group: bool) -> io::Result<()> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let forward = move || {
            for signal in self.0.forever() {
                let signal = match signal {
                    SIGTERM => Signal::TERM,
                    SIGHUP => Signal::HUP,
                    SIGINT if group => Signal::INT,
                    SIGQUIT if group => Signal::QUIT,
                    _ => continue,
                };
                let Some(pid) = pid else { continue };
                // A command that has just ended needs no signal.
                if group { kill_process_group(pid, signal) } else { kill_process(pid, signal) }.ok();
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(forward).map(drop)
    }
}
