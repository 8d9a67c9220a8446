//! One run: holds every simulated thread where it stands, and lets one at a time go on.
//!
//! # Invariants
//! - At most one thread works between two stops, but for those that wait for a mutex of the program ([`asleep`](super::asleep)).
//! - The next step is decided only while no thread works, by what is on record here: where each thread stands, which locks are
//!   free, who was woken. Real time decides nothing but when to give up.
//! - Order of locks: this control's, then the world's, then the machine's. Hooks are called with none of them held. Hints of
//!   files that a killed process had open are told with the first held: who is told may wake others (`killing`) and make calls (not hooked).
//!
//! # Without a choice
//! A thread that has just been started or woken runs on to its next stop before anything is chosen: what it does until then is in
//! memory. A park with a timeout ends by time only when nobody else can go on; then the clock jumps there.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, ThreadId};
use std::time::Duration;

use super::asleep::{LOOKS, Task};
use super::search::{Search, Step};
use super::units::{CanGo, Inner, Stand};
use crate::sim::call::Call;
use crate::sim::host::SimHost;
use crate::sim::simfs::SimFs;

/// Between two looks at a thread that is not heard of.
pub(super) const LOOK: Duration = Duration::from_micros(250);
/// Looks after which a thread that neither stops nor sleeps is given up: ten seconds.
const HOPELESS: u32 = 40_000;

/// Unwinds a thread of a process that is dead.
struct Unwound;

/// How a run ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) complaint: Option<String>,
    pub(super) trace: Vec<String>,
    pub(super) steps: usize,
    pub(super) search: Search,
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
    /// A thread that kills a process, holding `inner`, and whom those have woken who were told of files that are closed so.
    killing: Mutex<Option<(ThreadId, Vec<ThreadId>)>>,
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
        let inner = Inner::new(search, limits.deaths);
        Arc::new(Control {
            inner: Mutex::new(inner),
            killing: Mutex::default(),
            told: Condvar::new(),
            fs: fs.clone(),
            host: fs.host(),
            limits,
        })
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

    fn killing(&self) -> MutexGuard<'_, Option<(ThreadId, Vec<ThreadId>)>> {
        self.killing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::sim) fn unpark(&self, thread: ThreadId) {
        if let Some((killer, woken)) = &mut *self.killing()
            && *killer == std::thread::current().id()
        {
            woken.push(thread);
            return;
        }
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
            *self.killing() = Some((std::thread::current().id(), Vec::new()));
            process.kill();
            let woken = self.killing().take();
            for thread in woken.into_iter().flat_map(|(_, woken)| woken) {
                if let Some(unit) = inner.threads.get(&thread).copied() {
                    inner.units[unit].token = true;
                }
            }
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
