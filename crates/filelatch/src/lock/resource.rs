//! One file's lock inside one process: a first-come-first-served queue over one OS-level lock.
//!
//! # Invariants
//! - At most one thread of the process works on the OS lock of a file at a time (`Os::Busy`): the caller that found it free,
//!   or one helper. Everybody else is in the queue.
//! - `holders` is non-empty exactly while `Os::Held`.
//! - A waiter is in the queue or has its answer, never both, and both change only under the state's mutex: whoever takes
//!   itself out of the queue in time can't be granted the lock later (LOCK-8).
//! - The OS lock changes kind only by being released first: converting could silently drop it (P1).
//!
//! # Waits that were called off
//! A wait in the kernel can't be ended from outside. When the last exclusive waiter leaves while a helper waits for it, the gate is
//! opened at once, so that the helper keeps no reader out any more; a reader of this process that comes then tries with an open
//! file of its own and leaves that wait behind as a *stray*, which gives the lock back as soon as it has it, or serves the next
//! exclusive waiter that comes before.
//!
//! # Hand-over
//! The last holder passes an exclusive lock on to the next exclusive waiter without a system call. While another process waits at
//! the gate, a process's *turn* is [`HANDOVERS`] hand-overs or [`TURN`], whichever ends first (P2); a caller that finds the lock free
//! within it may take it past the gate, which saves waking somebody for every microsecond of work. Then the lock goes back to the
//! system, and a helper queues.

mod attempt;
mod strays;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Duration;

use filelatch_fs::{FsFile, Host, LockKind};

use self::attempt::{Attempt, How, Signature};
use self::strays::KernelWait;
use super::acquire::Queued;
use super::held::Recovery;
use super::helpers::{Helpers, Work};
use super::options::LockMode;
use super::owner::Owner;
use super::record::{Found, Intent, NEWEST, Record};
use super::sidecar::{LockPath, Sidecar};
use super::waiter::{Grant, Waiter};
use crate::audit::trail::Trail;
use crate::error::{Error, Result};
use crate::parts::{Parts, rfc3339};
use crate::path::Place;

/// Hand-overs inside the process while another process waits.
pub(super) const HANDOVERS: u32 = 32;
/// Time for such hand-overs.
pub(super) const TURN: Duration = Duration::from_millis(2);
/// Holders who take less than this are waited for awake by the next in line: sleeping and waking would take longer.
pub(super) const QUICK: Duration = Duration::from_micros(20);
/// One file's lock, as this process shares it.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) parts: Arc<Parts>,
    pub(crate) place: Place,
    pub(crate) lock: LockPath,
    mode: Mutex<LockMode>,
    helpers: Arc<Helpers>,
    /// The process that built it; in a forked child everything here is inert (L21).
    born_in: u32,
    /// Its holders lock records, each of them its own (P10): a shared lock for all of them, which one owner may have several times.
    for_records: bool,
    /// Where is recorded what happens to the file; not set: nowhere.
    trail: OnceLock<Trail>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    os: Os,
    holders: Vec<Tenant>,
    queue: VecDeque<Arc<Waiter>>,
    /// Kept open between tenures.
    sidecar: Option<Arc<Sidecar>>,
    signature: Option<Signature>,
    /// An unfinished in-place write that the next exclusive holder completes.
    intent: Option<Intent>,
    /// The dead holder from whom the lock was taken over, until somebody is told.
    recovery: Option<Recovery>,
    handovers: u32,
    turn_began: Duration,
    /// Time of the last hand-over inside the process, and whether the holders take less than [`QUICK`].
    handed_over: Duration,
    quick: bool,
    next_id: u64,
    /// The wait in the kernel that a helper is in.
    kernel: Option<KernelWait>,
    /// Such waits that nobody here wants any more.
    strays: Vec<KernelWait>,
    /// Programs that this process started may have the lock file open, and the lock is theirs, too.
    handed_on: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Os {
    Free,
    Busy,
    Held(LockKind),
}

#[derive(Debug)]
struct Tenant {
    id: u64,
    owner: Owner,
}

/// How a request begins.
pub(crate) enum Begin<H = Tenure, T = Ticket> {
    Got(H),
    /// In the queue.
    Queued(T),
    /// Held, and the caller would not wait.
    Held,
    /// Held elsewhere, and the caller would not wait; or just on its way from one holder to the next, or taken for a moment by a
    /// wait that was called off (P1): worth another look.
    HeldElsewhere,
}

/// A held lock. Dropping it releases.
#[must_use = "dropping the tenure releases the lock at once"]
#[derive(Debug)]
pub(crate) struct Tenure {
    pub(crate) resource: Arc<Resource>,
    id: u64,
    /// Set when the last holder left an in-place write unfinished; must be completed before anything else.
    pub(crate) intent: Option<Intent>,
    /// The dead holder from whom the lock was taken over (LOCK-10).
    pub(crate) recovery: Option<Box<Recovery>>,
    /// False: the directory can't be written and nobody can lock here; a shared lock only.
    pub(crate) enforced: bool,
    /// The lease that is written under, by its number: every publish compares it (P11).
    pub(crate) fence: Option<u64>,
    /// How long it was waited for, if it was.
    pub(crate) waited: Option<Duration>,
    /// It is a caller's own, of this kind, since then: told of when it is released.
    pub(crate) kept: Option<(LockKind, Duration)>,
}

/// A place in the queue. Dropping it leaves the queue, or gives back what was granted meanwhile.
#[must_use = "dropping the ticket leaves the queue"]
#[derive(Debug)]
pub(crate) struct Ticket {
    resource: Arc<Resource>,
    waiter: Arc<Waiter>,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Resource {
    pub(crate) fn new(
        parts: Arc<Parts>,
        helpers: Arc<Helpers>,
        place: Place,
        lock: LockPath,
        mode: LockMode,
    ) -> Resource {
        let state = State {
            os: Os::Free,
            holders: Vec::new(),
            queue: VecDeque::new(),
            sidecar: None,
            signature: None,
            intent: None,
            recovery: None,
            handovers: 0,
            turn_began: Duration::ZERO,
            handed_over: Duration::ZERO,
            quick: false,
            next_id: 0,
            kernel: None,
            strays: Vec::new(),
            handed_on: false,
        };
        let born_in = parts.host.pid();
        let (mode, state) = (Mutex::new(mode), Mutex::new(state));
        let trail = OnceLock::new();
        Resource { parts, place, lock, mode, helpers, born_in, for_records: false, trail, state }
    }

    /// The lock that those share who lock records of this file: another open file, so that the system keeps them and the holders
    /// of the whole file apart.
    pub(crate) fn for_records(&self) -> Resource {
        let (parts, helpers) = (Arc::clone(&self.parts), Arc::clone(&self.helpers));
        let resource = Resource::new(parts, helpers, self.place.clone(), self.lock.clone(), self.mode());
        let trail = self.trail.clone();
        Resource { for_records: true, trail, ..resource }
    }

    /// Says where is recorded what happens to the file.
    pub(crate) fn set_trail(&self, trail: Trail) {
        self.trail.set(trail).ok();
    }

    pub(crate) fn trail(&self) -> Option<&Trail> {
        self.trail.get()
    }

    pub(crate) fn helpers(&self) -> &Arc<Helpers> {
        &self.helpers
    }

    pub(crate) fn is_foreign_process(&self) -> bool {
        self.parts.host.pid() != self.born_in
    }

    /// Asks for the lock: at once if it can be had at once, else in the queue if `wait`. `past`: past those who wait for it, for they
    /// wait for this owner.
    pub(crate) fn begin(self: &Arc<Self>, kind: LockKind, owner: Owner, wait: bool, past: bool) -> Result<Begin> {
        if self.is_foreign_process() {
            return Err(Error::Forked { path: self.place.spelled.clone() });
        }
        let mut state = locked(&self.state);
        if !self.for_records && state.holders.iter().any(|tenant| tenant.owner == owner) {
            return Err(Error::Reentrant { path: self.place.spelled.clone() });
        }
        let both_shared = state.os == Os::Held(LockKind::Shared) && kind == LockKind::Shared;
        if both_shared && (past || state.queue.is_empty() && !self.somebody_waits(&state)?) {
            let grant = state.admit(owner);
            return Ok(Begin::Got(self.tenure(grant)));
        }
        let stray = kind == LockKind::Shared && state.leave_stray();
        if (state.os == Os::Free || stray) && state.queue.is_empty() {
            state.os = Os::Busy;
            let sidecar = state.sidecar.clone();
            let how = How::Try { overtake: past || state.turn_goes_on(self.parts.host.monotonic()) };
            drop(state);
            return self.first_try(kind, owner, wait, sidecar, how);
        }
        if !wait {
            let here = !state.holders.is_empty();
            return Ok(if here { Begin::Held } else { Begin::HeldElsewhere });
        }
        let ticket = self.queue_up(&mut state, kind, owner, false);
        state.call_back();
        Ok(Begin::Queued(ticket))
    }

    fn first_try(
        self: &Arc<Self>,
        kind: LockKind,
        owner: Owner,
        wait: bool,
        sidecar: Option<Arc<Sidecar>>,
        how: How,
    ) -> Result<Begin> {
        let attempt = self.attempt(kind, sidecar, how);
        let mut state = locked(&self.state);
        match attempt {
            Ok(Attempt::Got { sidecar, head }) => match self.settle(&mut state, kind, &sidecar, &head) {
                Ok(()) => {
                    let grant = state.admit(owner);
                    state.admit_followers();
                    Ok(Begin::Got(self.tenure(grant)))
                }
                Err(e) => {
                    self.retreat(&mut state);
                    Err(e)
                }
            },
            Ok(Attempt::Held) if wait => {
                let ticket = self.queue_up(&mut state, kind, owner, true);
                self.call_helper(&mut state);
                Ok(Begin::Queued(ticket))
            }
            Ok(Attempt::Held | Attempt::Stray | Attempt::CalledOff) => {
                self.retreat(&mut state);
                Ok(Begin::HeldElsewhere)
            }
            Ok(Attempt::Impossible(e)) => {
                if kind == LockKind::Exclusive {
                    self.retreat(&mut state);
                    let dir = self.place.dir.path();
                    return Err(Error::io("create a lock file in", dir, e));
                }
                // Readers go on without a lock and say so (P1). The resource stays free: there is nothing to share.
                self.retreat(&mut state);
                let grant = Grant { id: state.next(), intent: None, recovery: None, enforced: false };
                Ok(Begin::Got(self.tenure(grant)))
            }
            Err(e) => {
                self.retreat(&mut state);
                Err(e)
            }
        }
    }

    /// Gives up being the one who works on the OS lock; whoever queued meanwhile gets a helper.
    fn retreat(self: &Arc<Self>, state: &mut State) {
        state.os = Os::Free;
        if !state.queue.is_empty() {
            self.call_helper(state);
        }
    }

    fn call_helper(self: &Arc<Self>, state: &mut State) {
        state.os = Os::Busy;
        if state.adopt_stray() {
            return;
        }
        if let Err(e) = self.helpers.submit(Work::File(Arc::clone(self)), true) {
            self.fail_all(state, &format!("cannot start a thread to wait for the lock: {e}"));
        }
    }

    /// Nobody may wait for ever.
    fn fail_all(&self, state: &mut State, message: &str) {
        state.os = Os::Free;
        for waiter in std::mem::take(&mut state.queue) {
            let path = self.place.spelled.clone();
            waiter.answer(Err(Error::Internal { path, message: message.to_owned() }));
        }
    }

    pub(crate) fn mode(&self) -> LockMode {
        *locked(&self.mode)
    }

    /// Is the lock still had, by the disk's word? Only a fallback lock can be lost.
    pub(crate) fn is_still_held(&self) -> Result<bool> {
        let sidecar = locked(&self.state).sidecar.clone();
        let held = sidecar.map_or(Ok(true), |sidecar| sidecar.is_held());
        held.map_err(|e| Error::io("examine the lock of", &self.place.spelled, e))
    }

    /// Has the lock been found to be lost?
    pub(crate) fn is_lost(&self) -> bool {
        locked(&self.state).sidecar.as_ref().is_some_and(|sidecar| sidecar.is_lost())
    }

    /// The record of this process's tenure.
    pub(crate) fn record(&self) -> Record {
        let facts = self.parts.facts();
        Record {
            v: NEWEST,
            mode: "flock".to_owned(),
            pid: facts.pid.into(),
            pidns: facts.pid_ns,
            start: facts.start,
            boot: facts.boot,
            host: facts.host,
            session: self.parts.session.clone(),
            purpose: self.parts.purpose.clone(),
            since: rfc3339(self.parts.host.now()),
            ..Record::default()
        }
    }

    fn queue_up(self: &Arc<Self>, state: &mut State, kind: LockKind, owner: Owner, first: bool) -> Ticket {
        let waiter = Arc::new(Waiter::new(state.next(), kind, owner));
        if first {
            state.queue.push_front(Arc::clone(&waiter));
        } else {
            state.queue.push_back(Arc::clone(&waiter));
        }
        Ticket { resource: Arc::clone(self), waiter }
    }

    fn tenure(self: &Arc<Self>, grant: Grant) -> Tenure {
        Tenure {
            resource: Arc::clone(self),
            id: grant.id,
            intent: grant.intent,
            recovery: grant.recovery,
            enforced: grant.enforced,
            fence: None,
            waited: None,
            kept: None,
        }
    }

    fn somebody_waits(&self, state: &State) -> Result<bool> {
        match &state.sidecar {
            Some(sidecar) => sidecar.somebody_waits().map_err(|e| Error::io("examine", &self.lock.path, e)),
            None => Ok(false),
        }
    }

    /// A helper's work: waits for the OS lock on behalf of the queue until the first in it has an answer. False: the lock
    /// is still held by others (only when not blocking).
    pub(crate) fn serve_queue(self: &Arc<Self>, block: bool) -> bool {
        loop {
            let (kind, sidecar) = {
                let mut state = locked(&self.state);
                let Some(first) = state.queue.front().map(|waiter| waiter.kind) else {
                    state.os = Os::Free;
                    return true;
                };
                (first, state.sidecar.clone())
            };
            let attempt = self.attempt(kind, sidecar, if block { How::Wait } else { How::Try { overtake: false } });
            let mut state = locked(&self.state);
            let wanted = state.queue.front().map(|waiter| waiter.kind);
            match attempt {
                Ok(Attempt::Got { sidecar, head }) if wanted == Some(kind) => {
                    let settled = self.settle(&mut state, kind, &sidecar, &head);
                    let Some(first) = state.queue.pop_front() else { return true };
                    match settled {
                        Ok(()) => {
                            let grant = state.admit(first.owner);
                            first.answer(Ok(grant));
                            state.admit_followers();
                            return true;
                        }
                        Err(e) => {
                            state.os = Os::Busy;
                            first.answer(Err(e));
                        }
                    }
                }
                // Whoever waited for this has left: give it back before anybody sees it, and look again.
                Ok(Attempt::Got { sidecar, .. }) => match sidecar.unlock() {
                    Ok(()) => state.sidecar = Some(sidecar),
                    Err(_) => state.sidecar = None,
                },
                Ok(Attempt::Held) => return false,
                Ok(Attempt::Stray) => return true,
                Ok(Attempt::CalledOff) => {}
                Ok(Attempt::Impossible(e)) => {
                    let Some(first) = state.queue.pop_front() else { continue };
                    // Readers go on without a lock, as they do when they need not queue.
                    first.answer(match first.kind {
                        LockKind::Shared => {
                            Ok(Grant { id: state.next(), intent: None, recovery: None, enforced: false })
                        }
                        LockKind::Exclusive => Err(Error::io("create a lock file in", self.place.dir.path(), e)),
                    });
                }
                Err(e) => {
                    let Some(first) = state.queue.pop_front() else { continue };
                    first.answer(Err(e));
                }
            }
        }
    }

    /// A helper panicked.
    pub(crate) fn fail_queue(&self, message: &str) {
        self.fail_all(&mut locked(&self.state), message);
    }

    fn release(self: &Arc<Self>, id: u64) {
        if self.is_foreign_process() {
            return;
        }
        let mut state = locked(&self.state);
        let before = state.holders.len();
        state.holders.retain(|tenant| tenant.id != id);
        if state.holders.len() == before || !state.holders.is_empty() {
            return;
        }
        let next = state.queue.front().map(|waiter| waiter.kind);
        let stays = state.os == Os::Held(LockKind::Exclusive)
            && !state.handed_on
            && next == Some(LockKind::Exclusive)
            && self.may_hand_over(&mut state);
        if stays {
            let Some(waiter) = state.queue.pop_front() else { return };
            let grant = state.admit(waiter.owner);
            let next = state.queue.front().filter(|_| state.quick).cloned();
            let waker = waiter.settle(Ok(grant));
            // Woken while the mutex is held, it would run into it and sleep again.
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
            if let Some(next) = next {
                next.come_near();
            }
            return;
        }
        state.unlock();
        self.retreat(&mut state);
    }

    fn may_hand_over(&self, state: &mut State) -> bool {
        state.handovers += 1;
        let now = self.parts.host.monotonic();
        state.quick = now.saturating_sub(state.handed_over) < QUICK;
        state.handed_over = now;
        if state.turn_goes_on(now) {
            return true;
        }
        // A lock file that was removed is a lock that others do not see: the next holder must have the one that is there.
        let current = |sidecar: &Arc<Sidecar>| matches!(sidecar.current(&*self.place.dir, &self.lock), Ok(Some(_)));
        let alone = !self.somebody_waits(state).unwrap_or(true) && state.sidecar.as_ref().is_some_and(current);
        if alone {
            state.handovers = 0;
            state.turn_began = now;
        }
        alone
    }

    /// Does this owner hold the lock?
    pub(crate) fn is_held_by(&self, owner: Owner) -> bool {
        locked(&self.state).holders.iter().any(|tenant| tenant.owner == owner)
    }

    /// Is the held lock the one that others see? Not any more when somebody has removed the lock file, or taken a fallback lock over.
    pub(crate) fn stands(&self) -> bool {
        let sidecar = locked(&self.state).sidecar.clone();
        let current = |sidecar: &Sidecar| matches!(sidecar.current(&*self.place.dir, &self.lock), Ok(Some(_)));
        sidecar.is_some_and(|sidecar| current(&sidecar) && matches!(sidecar.is_held(), Ok(true)))
    }

    /// In a forked child: closes the inherited lock file. The parent's lock stays (closing one of two references releases
    /// nothing); what another thread of the parent was just working on is left alone.
    pub(crate) fn close_after_fork(&self) {
        if let Ok(mut state) = self.state.try_lock() {
            state.kernel = None;
            state.strays.clear();
            state.sidecar = None;
        }
    }

    /// Closes a replaced file, off the caller's path: the last close of an unlinked file frees its blocks.
    pub(crate) fn retire(&self, file: Box<dyn FsFile>) {
        self.helpers.close(file);
    }

    /// Could an unfinished write be recorded? Only in a lock file of our own.
    pub(crate) fn can_be_noted(&self) -> Result<()> {
        self.noted_in(locked(&self.state).sidecar.as_ref()).map(drop)
    }

    /// The lock file that an unfinished write is recorded in, and how much of it there is.
    fn noted_in(&self, sidecar: Option<&Arc<Sidecar>>) -> Result<(Arc<Sidecar>, usize)> {
        let fail = |action, e| Error::io(action, &self.lock.path, e);
        let Some(sidecar) = sidecar else {
            return Err(fail("write", std::io::ErrorKind::NotConnected.into()));
        };
        let (bytes, len) = sidecar.read_head().map_err(|e| fail("read", e))?;
        let foreign = Record::find(&bytes[..len], len as u64) == Found::Foreign;
        if foreign || !sidecar.is_writable() {
            let problem = "the lock file is not filelatch's, so an interrupted write could not be recovered";
            return Err(fail("note an unfinished write in", std::io::Error::other(problem)));
        }
        Ok((Arc::clone(sidecar), len))
    }

    /// Records an unfinished write, durably, before it begins; `None` takes the note back after it.
    pub(crate) fn set_intent(&self, intent: Option<Intent>) -> Result<()> {
        let mut state = locked(&self.state);
        let fail = |action, e| Error::io(action, &self.lock.path, e);
        let (sidecar, len) = self.noted_in(state.sidecar.as_ref())?;
        let record = Record { intent: intent.clone(), ..self.record() };
        let line = record.line(len);
        state.signature = None;
        // From the first byte on the note may be there, whatever the system answers.
        if intent.is_some() {
            state.intent.clone_from(&intent);
        }
        sidecar.write_line(&line).and_then(|()| sidecar.sync()).map_err(|e| fail("write", e))?;
        state.intent = intent;
        state.signature = Some(Signature { line, at: self.parts.host.monotonic(), seen: None });
        Ok(())
    }

    /// The open lock file, for the holder of the exclusive lock who is about to remove it. The lock then ends with this tenure: it is
    /// not handed over inside the process, and the file is not kept open.
    pub(crate) fn end_with_this_tenure(&self) -> Option<Arc<Sidecar>> {
        let mut state = locked(&self.state);
        state.handed_on = true;
        state.signature = None;
        state.sidecar.clone().filter(|_| state.os == Os::Held(LockKind::Exclusive))
    }

    /// Uses the lock that was inherited with a descriptor (P12). False: the descriptor is not this file's lock, or holds none.
    pub(crate) fn adopt(&self, number: u64) -> bool {
        let adopted = Sidecar::adopt(&self.parts, &self.place, &self.lock, number);
        let Ok(Some(sidecar)) = adopted else { return false };
        locked(&self.state).sidecar = Some(Arc::new(sidecar));
        true
    }

    /// The lock file, while somebody holds the lock.
    pub(crate) fn sidecar(&self) -> Option<Arc<Sidecar>> {
        locked(&self.state).sidecar.clone()
    }

    /// The lock that came with an inherited descriptor, if there is one.
    pub(crate) fn inherited(&self) -> Option<LockKind> {
        locked(&self.state).sidecar.as_ref().and_then(|sidecar| sidecar.inherited())
    }

    /// Closes the lock file when the last holder has left, instead of unlocking it.
    pub(crate) fn close_at_the_end(&self) {
        locked(&self.state).handed_on = true;
    }

    /// What the lock file promises now. Others who share the lock may have written to it since.
    pub(crate) fn look_for_intent(&self) -> Result<Option<Intent>> {
        let Some(sidecar) = self.sidecar() else { return Ok(None) };
        let (bytes, len) = sidecar.read_head().map_err(|e| Error::io("read", &self.lock.path, e))?;
        let intent = match Record::find(&bytes[..len], len as u64) {
            Found::Record(record) => record.intent,
            Found::Damaged | Found::Foreign => None,
        };
        locked(&self.state).intent.clone_from(&intent);
        Ok(intent)
    }

    /// Lets programs that are started from now on inherit the held lock; answers the descriptor's number. Releasing it then
    /// leaves it to them.
    pub(crate) fn make_inheritable(&self) -> Result<Option<u64>> {
        let mut state = locked(&self.state);
        state.handed_on = true;
        let number = state.sidecar.as_ref().map(|sidecar| sidecar.make_inheritable()).transpose();
        number.map_err(|e| Error::io("hand on the lock", &self.lock.path, e))
    }
}

impl State {
    /// May this process take the lock past others who wait at the gate? As often as its threads may hand it to each other.
    fn turn_goes_on(&self, now: Duration) -> bool {
        self.handovers < HANDOVERS && now.saturating_sub(self.turn_began) < TURN
    }

    fn next(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Readers behind the reader that was just admitted come along.
    fn admit_followers(&mut self) {
        let comes = |waiter: &Arc<Waiter>| waiter.kind == LockKind::Shared;
        while self.os == Os::Held(LockKind::Shared) && self.queue.front().is_some_and(comes) {
            let Some(waiter) = self.queue.pop_front() else { break };
            let grant = self.admit(waiter.owner);
            waiter.answer(Ok(grant));
        }
    }

    fn unlock(&mut self) {
        // Closing gives up our part of a lock that others share. It also releases for certain what can't be unlocked.
        let handed_on = std::mem::take(&mut self.handed_on);
        if handed_on || self.sidecar.as_ref().is_some_and(|sidecar| sidecar.unlock().is_err()) {
            self.sidecar = None;
        }
        self.os = Os::Free;
    }

    fn admit(&mut self, owner: Owner) -> Grant {
        let id = self.next();
        self.holders.push(Tenant { id, owner });
        Grant { id, intent: self.intent.clone(), recovery: self.recovery.take().map(Box::new), enforced: true }
    }
}

impl Queued for Ticket {
    type Held = Tenure;

    fn is_for_thread(&self) {
        self.waiter.is_for_thread();
    }

    fn spin_if_near(&self, host: &dyn Host) {
        self.waiter.spin_if_near(host, QUICK);
    }

    fn poll(&self, waker: &Waker) -> Option<Result<Tenure>> {
        Some(self.waiter.poll(waker)?.map(|grant| self.resource.tenure(grant)))
    }

    fn leave(&self) -> bool {
        let mut state = locked(&self.resource.state);
        let before = state.queue.len();
        state.queue.retain(|waiter| waiter.id != self.waiter.id);
        let was_in = state.queue.len() < before;
        if was_in && state.call_off() {
            self.resource.call_helper(&mut state);
        }
        // Readers that waited behind a writer who has left may join the readers that hold the lock.
        if was_in && state.os == Os::Held(LockKind::Shared) && !self.resource.somebody_waits(&state).unwrap_or(true) {
            state.admit_followers();
        }
        was_in
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.resource.is_foreign_process() || self.leave() {
            return;
        }
        if let Some(Ok(grant)) = self.waiter.take() {
            drop(self.resource.tenure(grant));
        }
    }
}

impl Tenure {
    /// Makes the lock somebody else's, in this process.
    pub(crate) fn give_to(&self, owner: Owner) {
        let mut state = locked(&self.resource.state);
        if let Some(tenant) = state.holders.iter_mut().find(|tenant| tenant.id == self.id) {
            tenant.owner = owner;
        }
    }
}

impl Drop for Tenure {
    fn drop(&mut self) {
        self.resource.release(self.id);
        if let Some(trail) = self.resource.trail() {
            if let Some((kind, since)) = self.kept {
                trail.locked(kind, self.waited, self.resource.parts.host.monotonic().saturating_sub(since));
            }
            trail.flush();
        }
    }
}
