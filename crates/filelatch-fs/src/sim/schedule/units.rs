//! Where every thread of a run stands, and who can go on.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Condvar};
use std::thread::ThreadId;
use std::time::Duration;

use super::asleep::Task;
use super::search::{Choice, Search, Step};
use crate::sim::call::Call;

/// Can a thread go on that waits for a lock?
pub(in crate::sim) type CanGo = Box<dyn Fn() -> bool + Send>;

pub(super) enum Stand {
    /// Started, and has done nothing yet.
    Begin,
    Working,
    /// About to make a call.
    Call(Call),
    /// Waits for a lock, in the kernel.
    Lock(CanGo),
    /// Until there have been more steps than so many, or nobody else can go on.
    Sleep {
        after: usize,
    },
    Park {
        until: Option<Duration>,
    },
    /// Has no work.
    Idle,
    /// Waits for a mutex of the program; counts as working as soon as anybody does.
    Mutex,
    Finished,
}

/// One thread of a simulated process.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) pid: u32,
    pub(super) stand: Stand,
    /// An unpark that no park has seen.
    pub(super) token: bool,
    pub(super) dead: bool,
    /// Given up by itself when it is let go.
    pub(super) unwinds: bool,
    /// One of the plan's, whose end is waited for.
    pub(super) planned: bool,
    /// Started by somebody who did not tell: its end can't be seen.
    pub(super) stray: bool,
    pub(super) task: Task,
    pub(super) go: Arc<Condvar>,
}

/// The state of a run.
pub(super) struct Inner {
    pub(super) overseer: ThreadId,
    pub(super) units: Vec<Unit>,
    pub(super) threads: HashMap<ThreadId, usize>,
    pub(super) search: Search,
    /// Who made the last step that was chosen.
    pub(super) current: Option<usize>,
    pub(super) steps: usize,
    pub(super) deaths: usize,
    pub(super) trace: Vec<(usize, String)>,
    pub(super) complaint: Option<String>,
    /// Everybody is dead and only has to come to an end.
    pub(super) ending: bool,
    pub(super) over: bool,
    /// The state before this step is to be looked at, or has been.
    pub(super) look_due: bool,
    pub(super) looked_at: Option<usize>,
    /// Stops so far, to see whether anything moves.
    pub(super) stops: u64,
}

impl Inner {
    /// The calling thread oversees the run.
    pub(super) fn new(search: Search, deaths: usize) -> Inner {
        Inner {
            overseer: std::thread::current().id(),
            units: Vec::new(),
            threads: HashMap::new(),
            search,
            current: None,
            steps: 0,
            deaths,
            trace: Vec::new(),
            complaint: None,
            ending: false,
            over: false,
            look_due: false,
            looked_at: None,
            stops: 0,
        }
    }

    pub(super) fn add(&mut self, name: String, pid: u32, planned: bool) -> usize {
        self.units.push(Unit {
            name,
            pid,
            stand: Stand::Begin,
            token: false,
            dead: self.ending || self.units.iter().any(|unit| unit.pid == pid && unit.dead),
            unwinds: false,
            planned,
            stray: false,
            task: Task::default(),
            go: Arc::new(Condvar::new()),
        });
        self.units.len() - 1
    }

    /// The run is over; who has not come to its end does so whenever it comes back.
    pub(super) fn close(&mut self) {
        self.over = true;
        for unit in &self.units {
            unit.go.notify_all();
        }
    }

    /// The calling thread.
    pub(super) fn here(&mut self, pid: u32) -> usize {
        let thread = std::thread::current();
        if let Some(me) = self.threads.get(&thread.id()) {
            return *me;
        }
        let me = self.add(thread.name().unwrap_or("a thread").to_owned(), pid, false);
        self.units[me].stray = true;
        self.units[me].task = Task::current();
        self.threads.insert(thread.id(), me);
        me
    }

    pub(super) fn let_go(&mut self, next: usize) {
        let unit = &mut self.units[next];
        unit.token &= !unit.rests();
        unit.stand = Stand::Working;
        unit.go.notify_all();
        // What the next one does may free a mutex that another waits for.
        self.wakes_from_mutexes(|_| true);
    }

    /// Counts those who wait for mutexes as working again; are there any?
    pub(super) fn wakes_from_mutexes(&mut self, which: impl Fn(&Unit) -> bool) -> bool {
        let mut any = false;
        for unit in self.units.iter_mut().filter(|unit| matches!(unit.stand, Stand::Mutex) && which(unit)) {
            unit.stand = Stand::Working;
            any = true;
        }
        any
    }

    pub(super) fn standing(&self, which: impl Fn(&Unit) -> bool) -> Vec<usize> {
        self.units.iter().enumerate().filter(|(_, unit)| which(unit)).map(|(i, _)| i).collect()
    }

    /// Who goes on without being chosen: the newly started and woken; then the dead, who come to their end.
    pub(super) fn without_choice(&mut self) -> Option<usize> {
        let at_once = |unit: &Unit| matches!(unit.stand, Stand::Begin) || (unit.token && unit.rests());
        if let Some(next) = self.units.iter().position(at_once) {
            return Some(next);
        }
        let ended = |unit: &Unit| matches!(unit.stand, Stand::Finished | Stand::Mutex | Stand::Working);
        let dying = self.units.iter().position(|unit| unit.dead && !ended(unit) && !unit.rests());
        let next = dying.or_else(|| self.units.iter().position(|unit| unit.dead && unit.rests()))?;
        let unit = &mut self.units[next];
        unit.unwinds = unit.rests() || matches!(unit.stand, Stand::Sleep { .. });
        Some(next)
    }

    /// Who can make a step.
    pub(super) fn ready(&self) -> Vec<usize> {
        self.standing(|unit| match &unit.stand {
            Stand::Call(_) => true,
            Stand::Lock(can_go) => can_go(),
            Stand::Sleep { after, .. } => *after < self.steps,
            _ => false,
        })
    }

    /// The parked thread whose time is over first.
    pub(super) fn first_to_expire(&self) -> Option<(usize, Duration)> {
        let times = self.units.iter().enumerate().filter_map(|(i, unit)| match unit.stand {
            Stand::Park { until } => until.map(|until| (i, until)),
            _ => None,
        });
        times.min_by_key(|(_, until)| *until)
    }

    pub(super) fn choices(&self, ready: &[usize], unfinished: &[usize]) -> Vec<Choice> {
        let goes_on = |unit: &usize| ready.contains(unit) && !matches!(self.units[*unit].stand, Stand::Sleep { .. });
        let current = self.current.filter(goes_on);
        let others = ready.iter().filter(|unit| Some(**unit) != current);
        let run = |unit: &usize| {
            let verb = match &self.units[*unit].stand {
                Stand::Call(call) => Some(call.verb),
                _ => None,
            };
            Choice { step: Step::Run(*unit), verb, preempts: current.is_some_and(|it| it != *unit) }
        };
        let mut choices: Vec<_> = current.iter().chain(others).map(run).collect();
        if self.deaths > 0 {
            let mut pids = Vec::new();
            for victim in unfinished {
                let pid = self.units[*victim].pid;
                if !pids.contains(&pid) {
                    pids.push(pid);
                    let preempts = current.is_some_and(|it| self.units[it].pid != pid);
                    choices.push(Choice { step: Step::Kill(*victim), verb: None, preempts });
                }
            }
        }
        choices
    }
}

impl Unit {
    pub(super) fn rests(&self) -> bool {
        matches!(self.stand, Stand::Park { .. } | Stand::Idle)
    }
}

impl fmt::Display for Stand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stand::Begin => f.write_str("begins"),
            Stand::Working => f.write_str("works"),
            Stand::Call(call) => call.action().fmt(f),
            Stand::Lock(_) => f.write_str("in the kernel, waiting for a lock"),
            Stand::Sleep { .. } => f.write_str("sleeps"),
            Stand::Park { until: None } => f.write_str("is parked"),
            Stand::Park { until: Some(_) } => f.write_str("is parked with a timeout"),
            Stand::Idle => f.write_str("has no work"),
            Stand::Mutex => f.write_str("waits for a mutex"),
            Stand::Finished => f.write_str("has finished"),
        }
    }
}
