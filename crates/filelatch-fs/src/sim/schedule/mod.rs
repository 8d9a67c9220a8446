//! Schedules: every order in which simulated processes can make their calls.
//!
//! # Promise
//! [`Schedules::explore`] runs a plan of several threads, in one or more simulated processes, again and again on a fresh file system,
//! each time in another order, until every order has been: exactly one thread is let go at a time, from one call of the seam to its
//! next. Where the orders are too many, those with few *preemptions* are all run (a switch away from a thread that could have gone on;
//! most bugs need one or two: Musuvathi and Qadeer, *Iterative context bounding*, 2007), and [`Schedules::sample`] draws from the
//! rest. A run that fails is told by the calls in their order and a short text, from which [`Schedules::replay`] makes it again.
//!
//! ```
//! use filelatch_fs::fs::{Fs, FsDir, read_to_end, write_all_at};
//! use filelatch_fs::sim::{Plan, Schedules, SimFs};
//! use filelatch_fs::types::Access;
//!
//! // Reads a number, adds one, writes it; nobody locks.
//! fn count(fs: &SimFs) {
//!     let file = fs.open_dir("/".as_ref()).unwrap().open("n".as_ref(), Access::ReadWrite).unwrap();
//!     let n = read_to_end(&*file, 1).unwrap()[0];
//!     write_all_at(&*file, &[n + 1], 0).unwrap();
//! }
//! let plan = |plan: &mut Plan| {
//!     plan.fs().foreign().create("/n", &[0]).unwrap();
//!     plan.process("one", count);
//!     plan.process("two", count);
//!     plan.at_end(|fs| match fs.foreign().read("/n").unwrap()[..] {
//!         [2] => Ok(()),
//!         ref other => Err(format!("counted {other:?}")),
//!     });
//! };
//! let found = Schedules::default().explore(plan).violation.expect("one of the two is lost");
//! assert!(found.complaint.contains("counted [1]"));
//! assert!(Schedules::default().replay(&found.schedule, plan).violation.is_some());
//! ```
//!
//! # What is a step
//! - A call of the seam, with everything in memory before the next one. Where calls are under way in two threads of one process, the
//!   code in memory between them is not interleaved any finer.
//! - Being granted a lock that was waited for in the kernel. Whoever waits, any of them may be next: more than flock(2) does, which
//!   wakes the first.
//! - The end of a sleep: once somebody else has made a step, or nobody else can.
//! - A park ends when it is told to, at once and without a choice. Its timeout comes only when nobody else can go on; then time jumps.
//!   So a wait never gives up while the holder makes progress.
//! - With [`Schedules::deaths`], at any point, a SIGKILL.
//!
//! What is wrong without any check: a panic; a deadlock (nobody can go on, nobody waits for a time); a run of more than
//! [`Schedules::steps`] steps; a thread that for ten seconds neither stops at the seam nor sleeps.
//!
//! # Not promised
//! - Threads must do the same each time, given the same order: no real time, no random numbers but the host's, no state that
//!   outlives the run. A run that comes out otherwise is run again, and counted in [`Explored::diverged`] if that does not help.
//! - Threads are started by the plan or by [`Host::spawn`](crate::Host::spawn), and wait through the host or for a lock. One that waits for a mutex
//!   is recognised ([`asleep`]). A real unpark does not wake a simulated park.
//! - Orders that differ only by calls that commute are all run.

mod asleep;
mod control;
mod search;
mod units;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

pub(in crate::sim) use control::Control;
use control::{Ended, Limits};
use search::Search;

use super::dials::Dials;
use super::simfs::SimFs;

type Check = Box<dyn Fn(&SimFs) -> Result<(), String>>;
type Work = Box<dyn FnOnce() + Send>;

/// Times a run is made again that did not do what it did before.
const AGAIN: usize = 200;

/// What to explore.
#[derive(Clone, Debug)]
pub struct Schedules {
    /// The file system.
    pub dials: Dials,
    /// Up to so many preemptions in one schedule; `None`: every order there is.
    pub preemptions: Option<usize>,
    /// So many processes may be killed in one schedule, at any point.
    pub deaths: usize,
    /// [`Plan::on_disks`] is asked after every step, not only at the end.
    pub cuts: bool,
    /// A run of more steps has no end.
    pub steps: usize,
    /// After so many schedules the exploration is cut short.
    pub most: usize,
}

impl Default for Schedules {
    /// All orders, no deaths, no power cuts but at the end, 10,000 steps, 100,000 schedules.
    fn default() -> Self {
        Schedules { dials: Dials::default(), preemptions: None, deaths: 0, cuts: false, steps: 10_000, most: 100_000 }
    }
}

/// What runs together, on a fresh file system, and what must hold.
pub struct Plan {
    fs: SimFs,
    threads: Vec<(String, u32, Work)>,
    always: Vec<Check>,
    at_end: Vec<Check>,
    on_disks: Vec<Check>,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("fs", &self.fs).finish_non_exhaustive()
    }
}

impl Plan {
    /// The file system before everything; what is on it when the plan is made is durable.
    pub fn fs(&self) -> &SimFs {
        &self.fs
    }

    /// A process of one thread.
    pub fn process(&mut self, name: &str, work: impl FnOnce(&SimFs) + Send + 'static) {
        let process = self.fs.process();
        self.thread(&process, name, work);
    }

    /// A thread of this process.
    pub fn thread(&mut self, process: &SimFs, name: &str, work: impl FnOnce(&SimFs) + Send + 'static) {
        let fs = process.clone();
        self.threads.push((name.to_owned(), process.pid(), Box::new(move || work(&fs))));
    }

    /// Must hold after each step. `check` makes no calls but those of [`SimFs::foreign`].
    pub fn always(&mut self, check: impl Fn(&SimFs) -> Result<(), String> + 'static) {
        self.always.push(Box::new(check));
    }

    /// Must hold when all threads have come to their end; `check` gets the next process.
    pub fn at_end(&mut self, check: impl Fn(&SimFs) -> Result<(), String> + 'static) {
        self.at_end.push(Box::new(check));
    }

    /// Must hold on every disk that a power cut could leave: at the end, or after each step ([`Schedules::cuts`]).
    pub fn on_disks(&mut self, check: impl Fn(&SimFs) -> Result<(), String> + 'static) {
        self.on_disks.push(Box::new(check));
    }

    fn check_disks(&self) -> Result<(), String> {
        if self.on_disks.is_empty() {
            return Ok(());
        }
        for disk in self.fs.possible_disks() {
            for check in &self.on_disks {
                check(&disk.fs).map_err(|complaint| format!("{complaint}\n  after a power cut: {}", disk.story))?;
            }
        }
        Ok(())
    }
}

/// What an exploration saw.
#[derive(Debug)]
pub struct Explored {
    /// Runs.
    pub schedules: usize,
    /// Steps of all runs.
    pub steps: usize,
    /// Every schedule within the limits was run.
    pub complete: bool,
    /// Runs that would not do again what they had done before; what lies behind them was not explored.
    pub diverged: usize,
    /// The first thing that was wrong; the exploration ended there.
    pub violation: Option<BadSchedule>,
}

/// A schedule in which something went wrong.
#[derive(Clone, Debug)]
pub struct BadSchedule {
    /// What.
    pub complaint: String,
    /// For [`Schedules::replay`].
    pub schedule: String,
    /// What [`Schedules::sample`] drew it from.
    pub seed: Option<u64>,
    /// Who did what, in order.
    pub trace: Vec<String>,
}

impl fmt::Display for BadSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  schedule: \"{}\"", self.complaint, self.schedule)?;
        if let Some(seed) = self.seed {
            write!(f, ", from seed {seed}")?;
        }
        writeln!(f, "\n  steps:")?;
        self.trace.iter().try_for_each(|step| writeln!(f, "    {step}"))
    }
}

impl Explored {
    /// # Panics
    /// When something was wrong, with the schedule; or when runs diverged, so that nobody knows.
    #[track_caller]
    pub fn assert_clean(&self) {
        if let Some(found) = &self.violation {
            panic!("in schedule number {}: {found}", self.schedules);
        }
        assert!(self.diverged == 0, "{} of {} runs did not do the same twice", self.diverged, self.schedules);
    }

    /// [`Explored::assert_clean`], and nothing was left out.
    ///
    /// # Panics
    /// When it was.
    #[track_caller]
    pub fn assert_complete(&self) {
        self.assert_clean();
        assert!(self.complete, "only {} schedules were run", self.schedules);
    }
}

/// What a check says; one that panics says that.
fn checked(check: &dyn Fn() -> Result<(), String>) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|_| Err("the check panicked".to_owned()))
}

impl Schedules {
    /// Every order with at most so many preemptions.
    pub fn with_preemptions(preemptions: usize) -> Self {
        Schedules { preemptions: Some(preemptions), ..Schedules::default() }
    }

    /// Runs every schedule within the limits, until something is wrong.
    pub fn explore(&self, plan: impl Fn(&mut Plan)) -> Explored {
        let mut search = Search::all(self.preemptions.unwrap_or(usize::MAX));
        let mut explored = Explored { schedules: 0, steps: 0, complete: false, diverged: 0, violation: None };
        let mut again = 0;
        loop {
            let before = search.checkpoint();
            let (ended, complaint) = self.run(&plan, search);
            search = ended.search;
            explored.schedules += 1;
            explored.steps += ended.steps;
            if let Some(complaint) = complaint {
                let schedule = search.text();
                explored.violation = Some(BadSchedule { complaint, schedule, seed: None, trace: ended.trace });
                return explored;
            }
            if search.has_diverged() && again < AGAIN {
                again += 1;
                search.restore(before);
                continue;
            }
            explored.diverged += usize::from(search.has_diverged());
            again = 0;
            if !search.next() {
                explored.complete = explored.diverged == 0;
                return explored;
            }
            if explored.schedules >= self.most {
                return explored;
            }
        }
    }

    /// Runs so many schedules drawn by chance, from this seed and the numbers after it.
    pub fn sample(&self, seed: u64, runs: usize, plan: impl Fn(&mut Plan)) -> Explored {
        let mut explored = Explored { schedules: 0, steps: 0, complete: false, diverged: 0, violation: None };
        for seed in (0..runs as u64).map(|run| seed.wrapping_add(run)) {
            let (ended, complaint) = self.run(&plan, Search::random(seed));
            explored.schedules += 1;
            explored.steps += ended.steps;
            if let Some(complaint) = complaint {
                let (schedule, trace) = (ended.search.text(), ended.trace);
                explored.violation = Some(BadSchedule { complaint, schedule, seed: Some(seed), trace });
                break;
            }
        }
        explored
    }

    /// Runs one schedule, as a [`BadSchedule`] names it. That it goes other ways than it did is a violation, too.
    pub fn replay(&self, schedule: &str, plan: impl Fn(&mut Plan)) -> Explored {
        let mut explored = Explored { schedules: 0, steps: 0, complete: false, diverged: 0, violation: None };
        let bad = |complaint: &str, trace| {
            let (complaint, schedule) = (complaint.to_owned(), schedule.to_owned());
            Some(BadSchedule { complaint, schedule, seed: None, trace })
        };
        let Some(search) = Search::given(schedule) else {
            explored.violation = bad("this is no schedule", Vec::new());
            return explored;
        };
        let (ended, complaint) = self.run(&plan, search);
        (explored.schedules, explored.steps) = (1, ended.steps);
        explored.diverged = usize::from(ended.search.has_diverged());
        let other_way = "the schedule does not fit what the program does";
        let complaint = complaint.or_else(|| ended.search.has_diverged().then(|| other_way.to_owned()));
        explored.violation = complaint.and_then(|complaint| bad(&complaint, ended.trace.clone()));
        explored
    }

    /// One run.
    fn run(&self, make: &impl Fn(&mut Plan), mut search: Search) -> (Ended, Option<String>) {
        search.begin();
        let fs = SimFs::new(self.dials);
        let none = Vec::new;
        let mut plan = Plan { fs: fs.clone(), threads: Vec::new(), always: none(), at_end: none(), on_disks: none() };
        make(&mut plan);
        fs.settle();

        let looks = !plan.always.is_empty() || (self.cuts && !plan.on_disks.is_empty());
        let control = Control::new(&fs, search, Limits { steps: self.steps, deaths: self.deaths, looks });
        fs.host().set_control(Some(Arc::clone(&control)));
        let observer = Arc::clone(&control);
        fs.observe(move |_, call| observer.at_call(call));
        let mut started = Ok(());
        for (name, pid, work) in std::mem::take(&mut plan.threads) {
            started = started.and(control.start(name, pid, true, None, work));
        }
        let look = || {
            plan.always.iter().try_for_each(|check| check(&fs))?;
            if self.cuts { plan.check_disks() } else { Ok(()) }
        };
        let mut ended = control.oversee(&look);
        fs.unhook();
        fs.host().set_control(None);

        let mut complaint = ended.complaint.take();
        complaint = complaint.or_else(|| started.err().map(|e| format!("cannot start a thread: {e}")));
        let last = || {
            plan.at_end.iter().try_for_each(|check| check(&fs.process()))?;
            plan.check_disks()
        };
        let complaint = complaint.or_else(|| checked(&last).err());
        (ended, complaint)
    }
}
