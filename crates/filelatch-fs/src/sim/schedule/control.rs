//! One run: holds every simulated thread where it stands, and lets one at a time go on.
//!
//! # Invariants
//! - At most one thread works between two stops, but for those that wait for a mutex of the program ([`asleep`](super::asleep)).
//! - The next step is decided only while no thread works, by what is on record here: where each thread stands, which locks are
//!   free, who was woken. Real time decides nothing but when to give up.
//! - Order of locks: this control's, then the world's, then the machine's. Hooks are called with none of them held.
//!
//! # Without a choice
//! A thread that has just been started or woken runs on to its next stop before anything is chosen: what it does until then is in
//! memory. A park with a timeout ends by time only when nobody else can go on; then the clock jumps there.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, ThreadId};
use std::time::Duration;

use super::asleep::{LOOKS, Task};
use super::search::{Choice, Search, Step};
use crate::sim::call::Call;
use crate::sim::host::SimHost;
use crate::sim::simfs::SimFs;

/// Between two looks at a thread that is not heard of.
pub(super) const LOOK: Duration = Duration::from_micros(250);
/// Looks after which a thread that neither stops nor sleeps is given up: ten seconds.
const HOPELESS: u32 = 40_000;

/// Unwinds a thread of a process that is dead.
struct Unwound;

/// Can a thread go on that waits for a lock?
pub(in crate::sim) type CanGo = Box<dyn Fn() -> bool + Send>;

enum Stand {
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
struct Unit {
    name: String,
    pid: u32,
    stand: Stand,
    /// An unpark that no park has seen.
    token: bool,
    dead: bool,
    /// Given up by itself when it is let go.
    unwinds: bool,
    /// One of the plan's, whose end is waited for.
    planned: bool,
    /// Started by somebody who did not tell: its end can't be seen.
    stray: bool,
    task: Task,
    go: Arc<Condvar>,
}

/// How a run ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) complaint: Option<String>,
    pub(super) trace: Vec<String>,
    pub(super) steps: usize,
    pub(super) search: Search,
}

struct Inner {
    overseer: ThreadId,
    units: Vec<Unit>,
    threads: HashMap<ThreadId, usize>,
    search: Search,
    /// Who made the last step that was chosen.
    current: Option<usize>,
    steps: usize,
    deaths: usize,
    trace: Vec<(usize, String)>,
    complaint: Option<String>,
    /// Everybody is dead and only has to come to an end.
    ending: bool,
    over: bool,
    /// The state before this step is to be looked at, or has been.
    look_due: bool,
    looked_at: Option<usize>,
    /// Stops so far, to see whether anything moves.
    stops: u64,
}

/// What limits a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) steps: usize,
    pub(super) deaths: usize,
    /// Each state is looked at.
    pub(super) looks: bool,
}

/// The scheduler of one run.
pub(in crate::sim) struct Control {
    inner: Mutex<Inner>,
    /// Something for the thread that oversees the run.
    told: Condvar,
    fs: SimFs,
    host: SimHost,
    limits: Limits,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Control")
    }
}

impl Control {
    pub(super) fn new(fs: &SimFs, search: Search, limits: Limits) -> Arc<Control> {
        let inner = Inner {
            overseer: std::thread::current().id(),
            units: Vec::new(),
            threads: HashMap::new(),
            search,
            current: None,
            steps: 0,
            deaths: limits.deaths,
            trace: Vec::new(),
            complaint: None,
            ending: false,
            over: false,
            look_due: false,
            looked_at: None,
            stops: 0,
        };
        Arc::new(Control { inner: Mutex::new(inner), told: Condvar::new(), fs: fs.clone(), host: fs.host(), limits })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a thread of the process with this pid and starts it; it does nothing before it is let go.
    pub(in crate::sim) fn start(
        self: &Arc<Self>,
        name: String,
        pid: u32,
        planned: bool,
        stack: Option<usize>,
        work: Box<dyn FnOnce() + Send>,
    ) -> io::Result<()> {
        let me = self.lock().add(name.clone(), pid, planned);
        let control = Arc::clone(self);
        let run = move || {
            control.settle_in(me);
            let ended = catch_unwind(AssertUnwindSafe(work));
            control.finish(me, ended.err());
        };
        let mut builder = Builder::new().name(name);
        if let Some(stack) = stack {
            builder = builder.stack_size(stack);
        }
        let started = builder.spawn(run).map(drop);
        if started.is_err() {
            self.lock().units[me].stand = Stand::Finished;
        }
        started
    }

    fn settle_in(&self, me: usize) {
        let mut inner = self.lock();
        inner.threads.insert(std::thread::current().id(), me);
        inner.units[me].task = Task::current();
        Control::wait(inner, me);
    }

    fn finish(&self, me: usize, panic: Option<Box<dyn Any + Send>>) {
        let mut inner = self.lock();
        inner.threads.remove(&std::thread::current().id());
        // What the dead say does not count.
        if let Some(panic) = panic.filter(|panic| !panic.is::<Unwound>() && !inner.units[me].dead) {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("with something that is no text");
            let complaint = format!("{} panicked: {text}", inner.units[me].name);
            self.end(&mut inner, Some(complaint));
        }
        self.stop(&mut inner, me, Stand::Finished);
    }

    // --- Hooks ---

    /// The calling thread stands here until it may go on. The one that oversees the run is not held.
    fn stand(&self, pid: u32, stand: impl FnOnce(&Inner) -> Stand) {
        let mut inner = self.lock();
        if inner.overseer == std::thread::current().id() {
            return;
        }
        let me = inner.here(pid);
        let stand = stand(&inner);
        self.stop(&mut inner, me, stand);
        Control::wait(inner, me);
    }

    /// The calling thread is about to make a call.
    pub(super) fn at_call(&self, call: &Call) {
        self.stand(call.pid, |_| Stand::Call(call.clone()));
    }

    /// The calling thread waits for a lock; comes back when it can be had, or never will.
    pub(in crate::sim) fn at_lock(&self, pid: u32, can_go: CanGo) {
        self.stand(pid, |_| Stand::Lock(can_go));
    }

    pub(in crate::sim) fn sleep(&self, pid: u32, time: Duration) {
        let until = self.host.clock().saturating_add(time);
        self.stand(pid, |inner| Stand::Sleep { after: inner.steps });
        self.host.advance_to(until);
    }

    pub(in crate::sim) fn park(&self, pid: u32, time: Option<Duration>) {
        let until = time.map(|time| self.host.clock().saturating_add(time));
        self.stand(pid, |_| Stand::Park { until });
    }

    pub(in crate::sim) fn idle(&self, pid: u32) {
        self.stand(pid, |_| Stand::Idle);
    }

    pub(in crate::sim) fn unpark(&self, thread: ThreadId) {
        let mut inner = self.lock();
        if let Some(unit) = inner.threads.get(&thread).copied() {
            inner.units[unit].token = true;
        }
    }

    // --- Going on ---

    fn stop(&self, inner: &mut Inner, me: usize, stand: Stand) {
        inner.stops += 1;
        inner.units[me].stand = stand;
        self.go_on(inner);
    }

    fn wait(mut inner: MutexGuard<'_, Inner>, me: usize) {
        let go = Arc::clone(&inner.units[me].go);
        while !matches!(inner.units[me].stand, Stand::Working) && !inner.over {
            inner = go.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        let gone = std::mem::take(&mut inner.units[me].unwinds) || inner.over;
        if gone && !std::thread::panicking() {
            drop(inner);
            resume_unwind(Box::new(Unwound));
        }
    }

    /// If nobody works: decides who goes on.
    fn go_on(&self, inner: &mut Inner) {
        if inner.over || inner.units.iter().any(|unit| matches!(unit.stand, Stand::Working)) {
            return;
        }
        loop {
            if let Some(next) = inner.without_choice() {
                return inner.let_go(next);
            }
            if inner.ending {
                inner.close();
                self.told.notify_all();
                return;
            }
            if self.limits.looks && inner.search.is_new() && inner.looked_at != Some(inner.steps) {
                inner.look_due = true;
                self.told.notify_all();
                return;
            }
            let mut ready = inner.ready();
            if ready.is_empty() {
                ready = inner.standing(|unit| matches!(unit.stand, Stand::Sleep { .. }));
            }
            let unfinished = inner.standing(|unit| unit.planned && !matches!(unit.stand, Stand::Finished));
            if ready.is_empty() {
                // Nobody could free the mutex that one of ours seems to wait for: it only takes its time.
                if inner.wakes_from_mutexes(|unit| !unit.stray) {
                    return;
                }
                if unfinished.is_empty() {
                    self.end(inner, None);
                    continue;
                }
                if let Some((next, until)) = inner.first_to_expire() {
                    self.host.advance_to(until);
                    let who = (next, "its time is over".to_owned());
                    inner.trace.push(who);
                    return inner.let_go(next);
                }
                let stand = |unit: &usize| format!("{} {}", inner.units[*unit].name, inner.units[*unit].stand);
                let stands: Vec<_> = unfinished.iter().map(stand).collect();
                let complaint = format!("deadlock: {}", stands.join("; "));
                self.end(inner, Some(complaint));
                continue;
            }
            if inner.steps >= self.limits.steps {
                let complaint = format!("no end after {} steps", inner.steps);
                self.end(inner, Some(complaint));
                continue;
            }
            let choices = inner.choices(&ready, &unfinished);
            match inner.search.choose(choices) {
                Step::Run(next) => {
                    let what = inner.units[next].stand.to_string();
                    inner.trace.push((next, what));
                    inner.steps += 1;
                    inner.current = Some(next);
                    return inner.let_go(next);
                }
                Step::Kill(victim) => {
                    inner.deaths -= 1;
                    inner.steps += 1;
                    inner.trace.push((victim, "KILLED".to_owned()));
                    let pid = inner.units[victim].pid;
                    self.kill(inner, pid);
                }
            }
        }
    }

    fn kill(&self, inner: &mut Inner, pid: u32) {
        if let Some(process) = self.fs.find_process(pid) {
            process.kill();
        }
        for unit in inner.units.iter_mut().filter(|unit| unit.pid == pid) {
            unit.dead = true;
        }
    }

    /// The run is over; everybody dies.
    fn end(&self, inner: &mut Inner, complaint: Option<String>) {
        if inner.complaint.is_none() && !inner.ending {
            inner.complaint = complaint;
        }
        inner.ending = true;
        let mut pids: Vec<u32> = inner.units.iter().filter(|unit| !unit.dead).map(|unit| unit.pid).collect();
        pids.dedup();
        for pid in pids {
            self.kill(inner, pid);
        }
    }

    /// Oversees the run until it is over; `look` looks at each new state, if that is wanted.
    pub(super) fn oversee(&self, look: &dyn Fn() -> Result<(), String>) -> Ended {
        let mut inner = self.lock();
        self.go_on(&mut inner);
        let (mut seen, mut silent, mut asleep) = (0, 0, 0);
        while !inner.over {
            if std::mem::take(&mut inner.look_due) {
                drop(inner);
                let complaint = super::checked(look).err();
                inner = self.lock();
                inner.looked_at = Some(inner.steps);
                if complaint.is_some() {
                    self.end(&mut inner, complaint);
                }
                self.go_on(&mut inner);
                continue;
            }
            let (back, waited) = self.told.wait_timeout(inner, LOOK).unwrap_or_else(PoisonError::into_inner);
            inner = back;
            if inner.stops != seen || !waited.timed_out() {
                (seen, silent, asleep) = (inner.stops, 0, 0);
                continue;
            }
            silent += 1;
            let mut working = inner.units.iter().filter(|unit| matches!(unit.stand, Stand::Working));
            asleep = if working.all(|unit| unit.task.is_asleep()) { asleep + 1 } else { 0 };
            if asleep >= LOOKS {
                for unit in &mut inner.units {
                    if matches!(unit.stand, Stand::Working) {
                        unit.stand = Stand::Mutex;
                    }
                }
                asleep = 0;
                self.go_on(&mut inner);
            }
            if silent >= HOPELESS {
                let stands: Vec<_> = inner.units.iter().map(|unit| format!("{} {}", unit.name, unit.stand)).collect();
                let complaint = format!("hangs outside the seam: {}", stands.join("; "));
                self.end(&mut inner, Some(complaint));
                inner.close();
            }
        }
        let trace = inner.trace.iter().map(|(unit, what)| format!("{}: {what}", inner.units[*unit].name)).collect();
        Ended {
            complaint: inner.complaint.take(),
            trace,
            steps: inner.steps,
            search: std::mem::replace(&mut inner.search, Search::random(0)),
        }
    }
}

impl Inner {
    fn add(&mut self, name: String, pid: u32, planned: bool) -> usize {
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
    fn close(&mut self) {
        self.over = true;
        for unit in &self.units {
            unit.go.notify_all();
        }
    }

    /// The calling thread.
    fn here(&mut self, pid: u32) -> usize {
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

    fn let_go(&mut self, next: usize) {
        let unit = &mut self.units[next];
        unit.token &= !unit.rests();
        unit.stand = Stand::Working;
        unit.go.notify_all();
        // What the next one does may free a mutex that another waits for.
        self.wakes_from_mutexes(|_| true);
    }

    /// Counts those who wait for mutexes as working again; are there any?
    fn wakes_from_mutexes(&mut self, which: impl Fn(&Unit) -> bool) -> bool {
        let mut any = false;
        for unit in self.units.iter_mut().filter(|unit| matches!(unit.stand, Stand::Mutex) && which(unit)) {
            unit.stand = Stand::Working;
            any = true;
        }
        any
    }

    fn standing(&self, which: impl Fn(&Unit) -> bool) -> Vec<usize> {
        self.units.iter().enumerate().filter(|(_, unit)| which(unit)).map(|(i, _)| i).collect()
    }

    /// Who goes on without being chosen: the newly started and woken; then the dead, who come to their end.
    fn without_choice(&mut self) -> Option<usize> {
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
    fn ready(&self) -> Vec<usize> {
        self.standing(|unit| match &unit.stand {
            Stand::Call(_) => true,
            Stand::Lock(can_go) => can_go(),
            Stand::Sleep { after, .. } => *after < self.steps,
            _ => false,
        })
    }

    /// The parked thread whose time is over first.
    fn first_to_expire(&self) -> Option<(usize, Duration)> {
        let times = self.units.iter().enumerate().filter_map(|(i, unit)| match unit.stand {
            Stand::Park { until } => until.map(|until| (i, until)),
            _ => None,
        });
        times.min_by_key(|(_, until)| *until)
    }

    fn choices(&self, ready: &[usize], unfinished: &[usize]) -> Vec<Choice> {
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
    fn rests(&self) -> bool {
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
