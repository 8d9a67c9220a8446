//! A command with all that it has started, so far as the system lets that be known.

use std::io;
use std::process::ExitStatus;
use std::sync::mpsc::Receiver;

pub(crate) use system::{Group, separate, watch};

/// How the command ended.
pub(crate) type Ended = Receiver<io::Result<ExitStatus>>;

/// A process group of its own.
#[cfg(unix)]
mod system {
    use std::io;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};
    use std::sync::mpsc::channel;
    use std::thread;

    use rustix::process::{Pid, Signal, kill_process_group};

    use super::Ended;

    #[derive(Clone, Debug)]
    pub(crate) struct Group(Option<Pid>);

    /// What is started becomes a group.
    pub(crate) fn separate(command: &mut Command) {
        command.process_group(0);
    }

    /// Waits for the command on a thread of its own, which tells how it ended.
    pub(crate) fn watch(mut child: Child) -> io::Result<(Group, Ended)> {
        let group = Group(i32::try_from(child.id()).ok().and_then(Pid::from_raw));
        let (tell, ended) = channel();
        thread::Builder::new().name("wait".to_owned()).spawn(move || tell.send(child.wait()).ok())?;
        Ok((group, ended))
    }

    impl Group {
        pub(crate) fn end(&self) {
            self.send(Signal::TERM);
            // One that is stopped hears nothing until it goes on.
            self.send(Signal::CONT);
        }

        pub(crate) fn kill(&self) {
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
mod system {
    use std::io;
    use std::process::{Child, Command};
    use std::sync::mpsc::channel;
    use std::sync::{Arc, Mutex};
    use std::thread;
    use std::time::Duration;

    use super::Ended;

    const LOOK: Duration = Duration::from_millis(20);

    #[derive(Clone, Debug)]
    pub(crate) struct Group(Arc<Mutex<Child>>);

    pub(crate) fn separate(_: &mut Command) {}

    /// Waits for the command on a thread of its own, which tells how it ended.
    pub(crate) fn watch(child: Child) -> io::Result<(Group, Ended)> {
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
        pub(crate) fn end(&self) {
            self.kill();
        }

        pub(crate) fn kill(&self) {
            if let Ok(mut child) = self.0.lock() {
                child.kill().ok();
            }
        }
    }
}
