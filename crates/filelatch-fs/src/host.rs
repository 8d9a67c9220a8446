//! The machine and this process: time, identity, life and death, waiting.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{Builder, Thread};
use std::time::{Duration, SystemTime};

/// Facts of this process that a lock record carries (P1) and that decide, later, whether its writer is dead (L7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Process id, in this process's own PID namespace.
    pub pid: u32,
    /// Identity of the PID namespace; 0 where the system has none.
    pub pid_ns: u64,
    /// Start time of the process in the system's own unit (Linux: clock ticks since boot, proc(5) field 22).
    pub start: u64,
    /// Identity of this boot; empty where the system has none.
    pub boot: String,
    /// Name of the machine.
    pub host: String,
    /// Name of the user, or the number where there is no name.
    pub user: String,
}

/// A process that is inside a directory (see [`Host::processes_in`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessIn {
    /// Its id, in this process's own PID namespace.
    pub pid: u32,
    /// Name of the program that it runs, if the system tells; chosen by the program itself.
    pub program: Option<String>,
    /// Its current directory, or its root.
    pub dir: PathBuf,
}

/// A machine, as one process on it sees it.
pub trait Host: Debug + Send + Sync + 'static {
    /// Wall-clock time: for people and records, never for deciding who is dead (L8, L11).
    fn now(&self) -> SystemTime;

    /// Time since some fixed moment of this boot, also running while the machine sleeps (`CLOCK_BOOTTIME`, L10).
    fn monotonic(&self) -> Duration;

    /// Waits.
    fn sleep(&self, time: Duration);

    /// Parks the calling thread until [`Host::unpark`] or the time is over; may also return early for no reason.
    fn park(&self, timeout: Option<Duration>);

    /// Wakes a parked thread; a call before the park makes the next park return at once.
    fn unpark(&self, thread: &Thread);

    /// Parks a thread that has no work, until [`Host::unpark`] or so long; may also return early. False: the time is over.
    /// Unlike a [`Host::park`] with a timeout this is no wait that something depends on: a simulated clock does not move.
    fn idle(&self, time: Duration) -> bool {
        let began = self.monotonic();
        self.park(Some(time));
        self.monotonic().saturating_sub(began) < time
    }

    /// Starts another thread of this process with a stack of so many bytes. It ends when `work` returns; nobody joins it.
    fn spawn(&self, name: &str, stack: usize, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        Builder::new().name(name.to_owned()).stack_size(stack).spawn(work).map(drop)
    }

    /// The user whose permissions this process has; 0 where there are no numbers.
    fn uid(&self) -> u32 {
        0
    }

    /// This process's id; differs after a fork.
    fn pid(&self) -> u32;

    /// Everything a record says about this process.
    fn facts(&self) -> ProcessFacts;

    /// Start time of a process of this machine and PID namespace, in the unit of [`ProcessFacts::start`]; `None` when there
    /// is no such process.
    fn start_of(&self, pid: u32) -> io::Result<Option<u64>>;

    /// Name of the program that a process runs; `None` where the system does not tell.
    fn program_of(&self, pid: u32) -> Option<String> {
        let _ = pid;
        None
    }

    /// The processes whose current directory or root is `dir`, which should be canonical, or below it; this process too, if it is one.
    /// `None` where the system does not tell.
    ///
    /// Who is not listed may be inside all the same: processes of other users (only root sees all), of other PID namespaces, those
    /// that see the directory by another path (bind mounts, containers), a thread with a directory of its own, and whoever has only
    /// files open there. For telling people, not for deciding that nobody is there. (proc(5), `/proc/<pid>/cwd` and `root`)
    fn processes_in(&self, dir: &Path) -> io::Result<Option<Vec<ProcessIn>>> {
        let _ = dir;
        Ok(None)
    }

    /// Random bits that no other process will draw. Not for secrets: see [`Host::secret`].
    fn random(&self) -> u64;

    /// Fills the buffer with bytes that nobody can guess, from the system's random source (getrandom(2), getentropy(3),
    /// `BCryptGenRandom`). Waits where that source is not ready yet, early in a boot. A simulated machine draws them from its seed.
    fn secret(&self, bytes: &mut [u8]) -> io::Result<()>;
}
