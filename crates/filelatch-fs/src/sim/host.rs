//! The simulated machine: a clock that a test sets, processes that it starts and ends, random numbers from a seed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder, Thread};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::host::{Host, ProcessFacts, ProcessIn};

use super::dials::Rng;
use super::image::USER;
use super::schedule::Control;

/// 2026-01-01 00:00:00 UTC, when simulations begin.
const BEGIN: Duration = Duration::from_secs(1_767_225_600);
/// How long the machine has been up by then.
const UPTIME: Duration = Duration::from_secs(1000);
/// The longest real time of one park; a longer one returns early, which parks may.
const LONGEST_PARK: Duration = Duration::from_millis(10);
/// What a look at the clock takes while a scheduler holds everybody else: who waits awake must see time pass.
const READING: Duration = Duration::from_micros(1);
/// Clock ticks in a second, the unit of start times on Linux.
const TICKS: u128 = 100;

#[derive(Debug)]
struct Machine {
    /// Wall clock, since the epoch.
    now: Duration,
    monotonic: Duration,
    boots: u32,
    name: String,
    pid_ns: u64,
    /// Start times of the processes that live.
    processes: BTreeMap<u32, u64>,
    /// Program and current directory of processes, where a test said so.
    places: BTreeMap<u32, (String, PathBuf)>,
    seed: u64,
    rng: Rng,
    /// Decides who runs, if anybody does.
    control: Option<Arc<Control>>,
}

/// A simulated machine, as one process on it sees it. Clones are the same process.
#[derive(Clone, Debug)]
pub struct SimHost {
    machine: Arc<Mutex<Machine>>,
    pid: u32,
}

impl SimHost {
    /// A machine without processes; this handle speaks as pid 1.
    pub fn new(seed: u64) -> Self {
        let machine = Machine {
            now: BEGIN,
            monotonic: UPTIME,
            boots: 1,
            name: "sim".into(),
            pid_ns: 1,
            processes: BTreeMap::new(),
            places: BTreeMap::new(),
            seed,
            rng: Rng::new(seed),
            control: None,
        };
        SimHost { machine: Arc::new(Mutex::new(machine)), pid: 1 }
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same machine, as the process with this pid sees it.
    #[must_use = "this handle stays what it is"]
    pub fn as_process(&self, pid: u32) -> SimHost {
        SimHost { machine: Arc::clone(&self.machine), pid }
    }

    /// The machine after a power cut: a minute later, another boot, no processes, other random numbers.
    #[must_use = "the machine itself goes on"]
    pub fn rebooted(&self) -> SimHost {
        let old = self.machine();
        let (boots, seed) = (old.boots + 1, old.seed.wrapping_add(1));
        let machine = Machine {
            now: old.now + Duration::from_secs(60),
            monotonic: Duration::from_secs(10),
            boots,
            name: old.name.clone(),
            pid_ns: old.pid_ns,
            processes: BTreeMap::new(),
            places: BTreeMap::new(),
            seed,
            rng: Rng::new(seed),
            control: None,
        };
        SimHost { machine: Arc::new(Mutex::new(machine)), pid: self.pid }
    }

    /// Lets time pass on both clocks.
    pub fn advance(&self, time: Duration) {
        let mut machine = self.machine();
        machine.now += time;
        machine.monotonic += time;
    }

    /// Sets the wall clock, as an administrator or a time server would, also backwards.
    pub fn set_now(&self, now: SystemTime) {
        self.machine().now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    }

    /// Sets the clock of this boot.
    pub fn set_monotonic(&self, time: Duration) {
        self.machine().monotonic = time;
    }

    /// Names the machine and its PID namespace.
    pub fn set_identity(&self, name: &str, pid_ns: u64) {
        let mut machine = self.machine();
        machine.name = name.into();
        machine.pid_ns = pid_ns;
    }

    /// Starts a process now; a pid that was used before gets a new start time. A tick passes, so that the two differ.
    pub fn start_process(&self, pid: u32) {
        let mut machine = self.machine();
        machine.monotonic += Duration::from_millis(10);
        machine.now += Duration::from_millis(10);
        let start = u64::try_from(machine.monotonic.as_millis() * TICKS / 1000).unwrap_or(u64::MAX);
        machine.processes.insert(pid, start);
    }

    /// Says that a process has, or had, this start time.
    pub fn set_start(&self, pid: u32, start: u64) {
        self.machine().processes.insert(pid, start);
    }

    /// Ends a process; its pid is free.
    pub fn end_process(&self, pid: u32) {
        let mut machine = self.machine();
        machine.processes.remove(&pid);
        machine.places.remove(&pid);
    }

    /// Says what a process runs and which directory it is in.
    pub fn set_place(&self, pid: u32, program: &str, dir: impl Into<PathBuf>) {
        self.machine().places.insert(pid, (program.to_owned(), dir.into()));
    }

    pub(super) fn boots(&self) -> u32 {
        self.machine().boots
    }

    /// Puts the machine under a scheduler, or takes it away.
    pub(super) fn set_control(&self, control: Option<Arc<Control>>) {
        self.machine().control = control;
    }

    pub(super) fn control(&self) -> Option<Arc<Control>> {
        self.machine().control.clone()
    }

    /// The clock of this boot, without the time that it takes to look.
    pub(super) fn clock(&self) -> Duration {
        self.machine().monotonic
    }

    /// Lets time pass until then, if it is not later already.
    pub(super) fn advance_to(&self, until: Duration) {
        let mut machine = self.machine();
        let passes = until.saturating_sub(machine.monotonic);
        machine.monotonic += passes;
        machine.now += passes;
    }

    pub(super) fn since_epoch(&self) -> Duration {
        self.machine().now
    }
}

impl Host for SimHost {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + self.machine().now
    }

    fn monotonic(&self) -> Duration {
        let mut machine = self.machine();
        if machine.control.is_some() {
            machine.monotonic += READING;
            machine.now += READING;
        }
        machine.monotonic
    }

    /// Time passes on the simulated clocks only; other threads get a chance to run.
    fn sleep(&self, time: Duration) {
        if let Some(control) = self.control() {
            return control.sleep(self.pid, time);
        }
        self.advance(time);
        thread::yield_now();
    }

    /// Parks the real thread, at most 10 ms at a time, and lets as much simulated time pass: a wait with a timeout ends, and
    /// simulated time does not outrun threads that really work. Under a scheduler the time is over when nobody else can go on.
    fn park(&self, timeout: Option<Duration>) {
        if let Some(control) = self.control() {
            return control.park(self.pid, timeout);
        }
        match timeout {
            None => thread::park(),
            Some(timeout) => {
                let timeout = timeout.min(LONGEST_PARK);
                thread::park_timeout(timeout);
                self.advance(timeout);
            }
        }
    }

    fn unpark(&self, thread: &Thread) {
        if let Some(control) = self.control() {
            control.unpark(thread.id());
        }
        thread.unpark();
    }

    /// In real time: the simulated clock belongs to those who work.
    #[expect(clippy::disallowed_methods, reason = "how long a real thread has had no work")]
    fn idle(&self, time: Duration) -> bool {
        if let Some(control) = self.control() {
            control.idle(self.pid);
            return true;
        }
        let began = Instant::now();
        thread::park_timeout(time);
        began.elapsed() < time
    }

    fn spawn(&self, name: &str, stack: usize, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        if let Some(control) = self.control() {
            return control.start(name.to_owned(), self.pid, false, Some(stack), work);
        }
        Builder::new().name(name.to_owned()).stack_size(stack).spawn(work).map(drop)
    }

    /// The owner of all files of the simulation.
    fn uid(&self) -> u32 {
        USER
    }

    fn pid(&self) -> u32 {
        self.pid
    }

    fn facts(&self) -> ProcessFacts {
        let machine = self.machine();
        ProcessFacts {
            pid: self.pid,
            pid_ns: machine.pid_ns,
            start: machine.processes.get(&self.pid).copied().unwrap_or_default(),
            boot: format!("sim-boot-{}", machine.boots),
            host: machine.name.clone(),
            user: "sim".into(),
        }
    }

    fn start_of(&self, pid: u32) -> io::Result<Option<u64>> {
        Ok(self.machine().processes.get(&pid).copied())
    }

    fn program_of(&self, pid: u32) -> Option<String> {
        self.machine().places.get(&pid).map(|(program, _)| program.clone())
    }

    /// Those of which a test said where they are ([`SimHost::set_place`]).
    fn processes_in(&self, dir: &Path) -> io::Result<Option<Vec<ProcessIn>>> {
        let machine = self.machine();
        let inside = machine.places.iter().filter(|(_, (_, place))| place.starts_with(dir));
        let process = |(pid, (program, dir)): (&u32, &(String, PathBuf))| ProcessIn {
            pid: *pid,
            program: Some(program.clone()),
            dir: dir.clone(),
        };
        Ok(Some(inside.map(process).collect()))
    }

    fn random(&self) -> u64 {
        self.machine().rng.next()
    }

    fn secret(&self, bytes: &mut [u8]) -> io::Result<()> {
        let mut machine = self.machine();
        for piece in bytes.chunks_mut(size_of::<u64>()) {
            piece.copy_from_slice(&machine.rng.next().to_ne_bytes()[..piece.len()]);
        }
        Ok(())
    }
}
