//! The handle on a queue: wishes, decided under the log's lock.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::Thread;
use std::time::Duration;

use super::claim::{Claim, LeaseClaim};
use super::decide::{self, Now, Runner};
use super::event::{Beside, Event, FORM};
use super::life::{Lives, Sign};
use super::options::{
    ClaimOptions, CommandUpdate, LEASE, LEASE_ONLY, NewCommand, Outcome, PruneOptions, QueuedCommand, millis,
};
use super::state::State;
use crate::engine::Filelatch;
use crate::error::{Error, Result};
use crate::lock::cancel::Watched;
use crate::lock::resource::locked;
use crate::lock::{LockOptions, Wait};
use crate::parts::epoch_millis;
use crate::store::StoreError;
use crate::store::log::Triggers;
use crate::store::log::journal::{Fold, Journal};

/// A log that is shorter is not compacted.
const COMPACT: u64 = 1 << 20;
/// Between two looks at what nothing tells of.
const LOOK: Duration = Duration::from_secs(1);

/// A queue of commands, shared by any number of runners, command lines and threads. Cheap to clone.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// use filelatch::Filelatch;
/// use filelatch::store::queue::{ClaimOptions, NewCommand, Outcome};
///
/// let queue = Filelatch::new().queue(dir.path().join("jobs.queue"))?;
/// let id = queue.add(NewCommand::new(["make", "test"]))?;
/// let claim = queue.claim(&ClaimOptions::new())?.ok_or("nothing to do")?;
/// assert_eq!((claim.id(), claim.command()), (&*id, &["make".to_owned(), "test".to_owned()][..]));
/// claim.complete(&Outcome::new().exit_code(0))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Queue {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    latch: Filelatch,
    path: PathBuf,
    journal: Journal,
    folded: Mutex<Folded>,
    pub(super) lives: Arc<Lives>,
    boot: u64,
    swept: AtomicBool,
    /// Threads of this process that wait for something to claim.
    waiting: Mutex<Vec<Thread>>,
    /// How many watched runners have gone.
    gone: AtomicU64,
    /// One program is started at a time, so that none inherits another's sign of life.
    pub(super) starting: Mutex<()>,
}

/// The state as far as the log was read.
#[derive(Debug, Default)]
struct Folded {
    state: State,
    /// Bytes of the events that it was made of.
    bytes: u64,
}

impl Fold for Folded {
    fn apply(&mut self, offset: u64, record: &[u8]) -> std::result::Result<(), StoreError> {
        let damaged = |problem: String| StoreError::Damaged {
            line: None,
            offset: Some(offset),
            problem,
            way_out:
                "move the file away and add what is missing to a new queue; `filelatch log read` shows its records"
                    .to_owned(),
        };
        let event = Event::parse(record).map_err(|e| damaged(format!("this is no event of a queue: {e}")))?;
        if let Some(found) = event.form.filter(|form| *form > FORM) {
            return Err(StoreError::Newer { found, known: FORM });
        }
        self.bytes += record.len() as u64;
        self.state.apply(event).map_err(damaged)
    }

    fn begin_again(&mut self) {
        *self = Folded::default();
    }
}

impl Filelatch {
    /// A queue of commands in a file. The file is made by the first [`Queue::add`]; its directory must exist.
    pub fn queue(&self, path: impl AsRef<Path>) -> Result<Queue> {
        let path = path.as_ref();
        let journal = self.log(path)?.journal_in_order();
        let entry = journal.log().file().entry()?;
        let parts = self.parts();
        let boot = crate::version::Version::of(parts.facts().boot.as_bytes());
        let boot = boot.as_bytes().iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte));
        let inner = Inner {
            latch: self.clone(),
            path: path.to_owned(),
            lives: Arc::new(Lives::new(Arc::clone(parts), entry.place())),
            journal,
            folded: Mutex::default(),
            boot,
            swept: AtomicBool::new(false),
            waiting: Mutex::default(),
            gone: AtomicU64::new(0),
            starting: Mutex::default(),
        };
        Ok(Queue { inner: Arc::new(inner) })
    }
}

impl Queue {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Adds a command at the end of its priority; answers its name. When it returns the command survives a power cut.
    pub fn add(&self, command: NewCommand) -> Result<String> {
        let mut ids = self.add_all([command])?;
        ids.pop().ok_or_else(|| self.inner.internal("nothing was added"))
    }

    /// Adds several commands, one after the other: all of them, or on an error none. One write and one sync.
    pub fn add_all(&self, commands: impl IntoIterator<Item = NewCommand>) -> Result<Vec<String>> {
        let now = self.inner.now();
        let wished = |command: NewCommand| {
            let NewCommand { id, mut wish, delay } = command;
            wish.not_before = delay.map(|delay| now.wall.saturating_add(millis(delay))).filter(|at| *at > now.wall);
            (id, wish)
        };
        let commands: Vec<_> = commands.into_iter().map(wished).collect();
        self.inner.change_or_create(true, true, |state, now| {
            let events = decide::add(state, commands.iter().cloned(), now)?;
            let ids = events.iter().map(|event| event.id.to_string()).collect();
            Ok((ids, decide::begin(state).into_iter().chain(events).collect()))
        })
    }

    /// Changes a pending command.
    pub fn update(&self, id: &str, update: CommandUpdate) -> Result<()> {
        let CommandUpdate { wish, delay } = update;
        self.inner.change_one(|state, now| {
            let mut wish = wish.clone();
            wish.not_before = delay.map(|delay| match millis(delay) {
                0 => 0,
                delay => now.wall.saturating_add(delay),
            });
            decide::update(state, id, wish)
        })
    }

    /// Removes a command that nobody has.
    pub fn remove(&self, id: &str) -> Result<()> {
        self.inner.change_one(|state, _| decide::remove(state, id, false))
    }

    /// Removes a command also from a runner, which goes on until it asks next, and is then refused.
    pub fn remove_by_force(&self, id: &str) -> Result<()> {
        self.inner.change_one(|state, _| decide::remove(state, id, true))
    }

    /// Moves a command beside another one, whose priority it takes.
    pub fn move_to(&self, id: &str, to: &Beside) -> Result<()> {
        self.inner.change_one(|state, _| decide::shift(state, id, to.clone()))
    }

    /// Makes a command that has ended pending once more.
    pub fn again(&self, id: &str) -> Result<()> {
        self.inner.change_one(|state, _| decide::again(state, id))
    }

    /// All commands, in order: by priority, then place. Takes no lock.
    pub fn list(&self) -> Result<Vec<QueuedCommand>> {
        self.inner.look(|inner, state| {
            let now = inner.now();
            state.iter().map(|command| inner.told(command, now)).collect()
        })
    }

    /// One command. Takes no lock.
    pub fn get(&self, id: &str) -> Result<QueuedCommand> {
        let found = self.inner.look(|inner, state| state.get(id).map(|command| inner.told(command, inner.now())))?;
        let missing = || StoreError::NotFound { what: "command", id: id.to_owned() };
        found.ok_or_else(|| self.inner.refused(missing()))
    }

    /// How many are pending, and how many claimed. Takes no lock.
    pub fn counts(&self) -> Result<(usize, usize)> {
        self.inner.look(|_, state| (state.pending_count(), state.claimed_count()))
    }

    /// Claims the first command that may be claimed: one that is pending and whose time has come, or one whose runner is gone or has not
    /// been heard of for its lease. `None`: there is none (with a wait: not in time; with [`ClaimOptions::until_empty`]: nor will be).
    ///
    /// As long as the claim is held, a lock tells others that its runner lives, and the kernel frees that when this process dies.
    pub fn claim(&self, options: &ClaimOptions) -> Result<Option<Claim>> {
        let sign = self.inner.sign()?;
        let claimed = self.inner.claim(options, LEASE, sign.as_ref());
        self.inner.claimed(claimed, sign)
    }

    /// Claims as [`Queue::claim`] does, for somebody who is not this process: nothing tells whether he lives, and the claim ends with its
    /// lease (5 minutes by default) unless [`Queue::beat`] makes it longer.
    pub fn claim_by_lease(&self, options: &ClaimOptions) -> Result<Option<LeaseClaim>> {
        self.inner.claim(options, LEASE_ONLY, None)
    }

    /// Makes a claim last for its lease from now on, or for another one.
    pub fn beat(&self, id: &str, token: u64, lease: Option<Duration>) -> Result<()> {
        self.inner.beat(id, token, lease)
    }

    /// The command was run, and it went well. Accepted for the newest claim only, and once.
    pub fn complete(&self, id: &str, token: u64, outcome: &Outcome) -> Result<()> {
        self.inner.change_one(|state, now| decide::complete(state, id, token, outcome.ending.clone(), now))
    }

    /// The command was run, and it went wrong: it is pending again, or failed. Accepted for the newest claim only.
    pub fn fail(&self, id: &str, token: u64, outcome: &Outcome) -> Result<()> {
        let Outcome { ending, retrying } = outcome;
        self.inner.change_one(|state, now| decide::fail(state, id, token, ending.clone(), *retrying, now))
    }

    /// Gives a claim back: the command is pending, at its place. Accepted for the newest claim only.
    pub fn release(&self, id: &str, token: u64) -> Result<()> {
        self.inner.change_one(|state, _| decide::release(state, id, token, 0))
    }

    /// Writes the file anew with what the queue is now; others go on meanwhile. Done by itself when the file is longer than 1 MiB and
    /// twice what is needed. False: somebody else is at it.
    pub fn compact(&self) -> Result<bool> {
        self.inner.look(|_, _| ())?;
        self.inner.compact(&mut locked(&self.inner.folded))
    }

    /// Forgets commands that have ended; answers how many.
    pub fn prune(&self, options: &PruneOptions) -> Result<usize> {
        let PruneOptions { keep, older_than, failed } = *options;
        self.inner.change(true, |state, now| {
            let before = older_than.map(|time| now.wall.saturating_sub(millis(time)));
            let events = decide::prune(state, keep, before, failed);
            Ok((events.len(), events))
        })
    }
}

impl Inner {
    pub(super) fn now(&self) -> Now {
        let host = &self.latch.parts().host;
        Now { wall: epoch_millis(host.now()), clock: millis(host.monotonic()), boot: self.boot }
    }

    pub(super) fn refused(&self, source: StoreError) -> Error {
        Error::Store { path: self.path.clone(), source }
    }

    fn internal(&self, message: &str) -> Error {
        Error::Internal { path: self.path.clone(), message: message.to_owned() }
    }

    fn told(&self, command: &super::state::Command, now: Now) -> QueuedCommand {
        let over = |hold| decide::is_over(hold, now, |hold| self.lives.judge(hold, now));
        QueuedCommand::of(command, command.hold().is_some_and(over))
    }

    /// What is there now, by a look without a lock.
    fn look<R>(&self, look: impl FnOnce(&Inner, &State) -> R) -> Result<R> {
        let mut folded = locked(&self.folded);
        self.journal.refresh(&mut *folded)?;
        if !folded.state.begun {
            self.exists()?;
        }
        Ok(look(self, &folded.state))
    }

    /// A name that was mistyped is no new queue.
    fn exists(&self) -> Result<()> {
        let place = self.journal.log().file().canonical_path();
        match self.latch.parts().fs.stat(place) {
            Err(e) if e.kind() == ErrorKind::NotFound => Err(Error::NotFound { path: self.path.clone() }),
            _ => Ok(()),
        }
    }

    /// Decides under the log's lock what is to be done, and does it.
    fn change<R>(
        &self,
        durable: bool,
        decide: impl FnMut(&State, Now) -> std::result::Result<(R, Vec<Event<'static>>), StoreError>,
    ) -> Result<R> {
        self.change_or_create(durable, false, decide)
    }

    fn change_or_create<R>(
        &self,
        durable: bool,
        create: bool,
        mut decide: impl FnMut(&State, Now) -> std::result::Result<(R, Vec<Event<'static>>), StoreError>,
    ) -> Result<R> {
        let mut folded = locked(&self.folded);
        if !(folded.state.begun || create) {
            self.exists()?;
        }
        folded.state.promote(self.now().wall);
        let begun = self.journal.begin(&mut *folded, &LockOptions::new(), |folded: &Folded, records| {
            let (answer, events) = decide(&folded.state, self.now()).map_err(|e| self.refused(e))?;
            for event in &events {
                records.push(event.to_bytes().map_err(|e| self.refused(e))?);
            }
            Ok::<R, Error>(answer)
        });
        let (answer, pending) = begun?;
        // Other threads decide while this one waits for the disk.
        drop(folded);
        if durable {
            pending.wait()?;
        }
        self.compact_if_due();
        Ok(answer)
    }

    /// Whoever finds that the log is more than twice as long as its state puts a snapshot in its place.
    fn compact_if_due(&self) {
        let mut folded = locked(&self.folded);
        let limit = COMPACT.max(2 * folded.state.size());
        if folded.bytes <= limit {
            return;
        }
        // What is too long stays so until somebody tries again; what was acknowledged is not taken back.
        let due = self.journal.log().is_due(Triggers { bytes: Some(limit), ..Triggers::default() });
        if due.is_ok_and(|due| due) {
            self.compact(&mut folded).ok();
        }
        folded.bytes = limit / 2;
    }

    fn compact(&self, folded: &mut Folded) -> Result<bool> {
        let compacted = self.journal.compact_with(folded, &LockOptions::new(), &mut |folded, take| {
            for (at, event) in folded.state.snapshot().enumerate() {
                take(at as u64, &event.to_bytes().map_err(|e| self.refused(e))?)?;
            }
            Ok(())
        })?;
        Ok(compacted.is_some())
    }

    fn change_one(
        &self,
        mut decide: impl FnMut(&State, Now) -> std::result::Result<Event<'static>, StoreError>,
    ) -> Result<()> {
        self.change(true, |state, now| Ok(((), vec![decide(state, now)?])))
    }

    pub(super) fn beat(&self, id: &str, token: u64, lease: Option<Duration>) -> Result<()> {
        // A power cut ends the claim, too: there is nothing to be kept.
        self.change(false, |state, now| Ok(((), vec![decide::beat(state, id, token, lease.map(millis), now)?])))
    }

    /// A sign of life for the next claim.
    pub(super) fn sign(&self) -> Result<Option<Sign>> {
        let sign = self.lives.take().map_err(|e| Error::io("create a lock file beside", &self.path, e))?;
        if sign.is_some() && !self.swept.swap(true, Ordering::Relaxed) {
            self.lives.sweep(|dead| {
                let named = self.look(|_, state| {
                    let named = state.claimed().filter_map(|(.., hold)| hold.life);
                    named.filter(|life| dead.contains(life)).collect()
                });
                named.unwrap_or_else(|_| dead.to_vec())
            });
        }
        Ok(sign)
    }

    /// The claim with its sign, or the sign back.
    pub(super) fn claimed(
        self: &Arc<Self>,
        claimed: Result<Option<LeaseClaim>>,
        sign: Option<Sign>,
    ) -> Result<Option<Claim>> {
        match claimed {
            Ok(Some(told)) => Ok(Some(Claim::new(self, told, sign))),
            Ok(None) => {
                if let Some(sign) = sign {
                    self.lives.put_back(sign);
                }
                Ok(None)
            }
            // There may be a claim with it, which nobody has: the sign ends here, and its file tells that.
            Err(e) => Err(e),
        }
    }

    /// Claims, after a wait if there is nothing to claim.
    fn claim(
        self: &Arc<Self>,
        options: &ClaimOptions,
        lease: Duration,
        sign: Option<&Sign>,
    ) -> Result<Option<LeaseClaim>> {
        let watched = Watched::new(options.cancel.as_ref());
        if watched.is_cancelled() {
            return Err(Error::Cancelled { path: self.path.clone() });
        }
        let wait = options.wait.unwrap_or(Wait::No);
        let began = self.latch.parts().host.monotonic();
        if let Some(told) = self.end_and_claim_now(options, lease, sign, None)? {
            return Ok(Some(told));
        }
        if wait == Wait::No {
            return Ok(None);
        }
        let _waiting = Waiting::new(self);
        let mut waiter = self.journal.waiter()?;
        loop {
            let gone = self.gone.load(Ordering::Acquire);
            // Nothing is missed: the waiter was there before this look, which needs no lock.
            if self.look(Inner::has_chance)?
                && let Some(told) = self.end_and_claim_now(options, lease, sign, None)?
            {
                return Ok(Some(told));
            }
            if watched.is_cancelled() {
                return Err(Error::Cancelled { path: self.path.clone() });
            }
            let spent = self.latch.parts().host.monotonic().saturating_sub(began);
            let left = wait.limit().map(|limit| limit.saturating_sub(spent));
            let (empty, next) = self.look(|_, state| {
                let empty = state.pending_count() == 0 && state.claimed_count() == 0;
                (empty, self.next_chance(state))
            })?;
            if (empty && options.until_empty) || left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
            let time = [left, next].into_iter().flatten().min();
            waiter.wait_unless(time, &|| watched.is_cancelled() || self.gone.load(Ordering::Acquire) != gone)?;
        }
    }

    fn has_chance(&self, state: &State) -> bool {
        let now = self.now();
        decide::first_claimable(state, None, now, |hold| self.lives.judge(hold, now)).is_some()
    }

    /// When something may be claimable that nobody tells of. Has the runners watched.
    fn next_chance(self: &Arc<Self>, state: &State) -> Option<Duration> {
        let now = self.now();
        let mut next = state.next_ready().map(|at| at.saturating_sub(now.wall));
        let mut sooner = |time: u64| next = Some(next.map_or(time, |next| next.min(time)));
        for (.., hold) in state.claimed() {
            sooner(decide::remaining(hold, now));
            if let Some(life) = hold.life {
                let inner = Arc::downgrade(self);
                let wake = move || {
                    if let Some(inner) = inner.upgrade() {
                        inner.wake();
                    }
                };
                if !self.lives.watch(life, wake) {
                    sooner(millis(LOOK));
                }
            }
        }
        next.map(|millis| Duration::from_millis(millis.max(1)))
    }

    fn wake(&self) {
        self.gone.fetch_add(1, Ordering::Release);
        let host = &self.latch.parts().host;
        locked(&self.waiting).iter().for_each(|thread| host.unpark(thread));
    }

    pub(super) fn end_and_claim(
        self: &Arc<Self>,
        options: &ClaimOptions,
        lease: Duration,
        sign: Option<&Sign>,
        end: impl Fn(&State, Now) -> std::result::Result<Event<'static>, StoreError>,
    ) -> Result<Option<LeaseClaim>> {
        self.end_and_claim_now(options, lease, sign, Some(&end))
    }

    #[expect(clippy::type_complexity, reason = "one closure, named once")]
    fn end_and_claim_now(
        &self,
        options: &ClaimOptions,
        lease: Duration,
        sign: Option<&Sign>,
        end: Option<&dyn Fn(&State, Now) -> std::result::Result<Event<'static>, StoreError>>,
    ) -> Result<Option<LeaseClaim>> {
        let lease = options.lease.unwrap_or(lease).max(Duration::from_millis(1));
        let name = options.runner.as_deref().unwrap_or(&self.latch.parts().session);
        let runner = Runner { name: name.into(), life: sign.map(|sign| sign.number), lease: millis(lease) };
        let (told, over) = self.change(end.is_some(), |state, now| {
            let mut events = Vec::new();
            if let Some(end) = end {
                events.push(end(state, now)?);
            }
            let except = events.first().map(|event| &*event.id);
            let claim = decide::claim(state, &runner, except, now, |hold| self.lives.judge(hold, now));
            let Some(event) = claim else { return Ok(((None, None), events)) };
            let command = state.get(&event.id);
            let told = command.map(|command| LeaseClaim {
                id: command.id.to_string(),
                token: event.token.unwrap_or_default(),
                command: command.words.clone(),
                attempt: command.attempts.saturating_add(1),
                lease,
            });
            let over = command.and_then(|command| command.hold()?.life);
            events.push(event);
            Ok(((told, over), events))
        })?;
        if let Some(over) = over {
            // No claim names it any more.
            self.lives.remove(over);
        }
        Ok(told)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.lives.close();
    }
}

/// This thread waits: it is woken when a runner is gone.
struct Waiting<'a> {
    inner: &'a Inner,
}

impl<'a> Waiting<'a> {
    fn new(inner: &'a Inner) -> Waiting<'a> {
        locked(&inner.waiting).push(std::thread::current());
        Waiting { inner }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let me = std::thread::current().id();
        let mut waiting = locked(&self.inner.waiting);
        if let Some(at) = waiting.iter().position(|thread| thread.id() == me) {
            waiting.swap_remove(at);
        }
    }
}
