//! The wait of a thread: from a request to a held lock or an error.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use filelatch_fs::{Host, LockKind};

use super::cancel::{CancelToken, Watched};
use super::holder::lock_state;
use super::options::{OnWait, Wait, Waiting};
use super::owner::Owner;
use super::resource::{Begin, Resource, Tenure, Ticket};
use super::waits::{Edge, WaitNote, Waits};
use crate::error::{Error, Result};

/// When a wait is told of, and looked at for deadlocks, for the first time.
const FIRST_LOOK: Duration = Duration::from_millis(200);
/// Between later looks.
const LATER_LOOKS: Duration = Duration::from_secs(1);
/// Between the two looks that a deadlock must survive.
const SECOND_LOOK: Duration = Duration::from_millis(20);
/// A request that does not wait looks so often before it believes that the lock is held: a wait of somebody else that was called
/// off may have it for a moment (P1).
const MOMENTS: u32 = 10;
/// For so long it looks when the holder has not signed.
const UNSIGNED: Duration = Duration::from_millis(20);
/// Between two looks.
const MOMENT: Duration = Duration::from_micros(200);

/// Everything about one request but the file.
pub(crate) struct Request<'a> {
    pub(crate) kind: LockKind,
    pub(crate) owner: Owner,
    pub(crate) wait: Wait,
    pub(crate) on_wait: Option<OnWait<'a>>,
    pub(crate) cancel: Option<&'a CancelToken>,
    pub(crate) waits: &'a Waits,
    /// What the owner holds already; asked only when it has to wait.
    pub(crate) holdings: &'a (dyn Fn() -> Vec<String> + Sync),
    /// Told when it was not had at once.
    pub(crate) queued: Option<&'a AtomicBool>,
}

struct ThreadWaker {
    thread: Thread,
    host: Arc<dyn Host>,
}

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.host.unpark(&self.thread);
    }
}

/// Something that is asked for: a file, or a record in it.
pub(crate) trait Target {
    type Held;
    type Ticket: Queued<Held = Self::Held>;

    fn begin(&self, request: &Request<'_>) -> Result<Begin<Self::Held, Self::Ticket>>;
    fn resource(&self) -> &Arc<Resource>;
    /// As those who look for circles call it.
    fn name(&self) -> String;
    /// As errors call it.
    fn path(&self) -> PathBuf;
}

/// A place in a queue. Dropping it leaves the queue, or gives back what was granted meanwhile.
pub(crate) trait Queued {
    type Held;

    /// The answer if it is there; else `waker` is told when it is.
    fn poll(&self, waker: &Waker) -> Option<Result<Self::Held>>;
    /// Leaves the queue. True: it was still in it, and no answer will come.
    fn leave(&self) -> bool;
    /// Says that a thread waits, not a task.
    fn is_for_thread(&self);
    /// Waits awake for a moment if the turn is said to be near.
    fn spin_if_near(&self, host: &dyn Host);
}

impl Target for Arc<Resource> {
    type Held = Tenure;
    type Ticket = Ticket;

    fn begin(&self, request: &Request<'_>) -> Result<Begin> {
        Resource::begin(self, request.kind, request.owner, request.wait != Wait::No, false)
    }

    fn resource(&self) -> &Arc<Resource> {
        self
    }

    fn name(&self) -> String {
        self.place.id.to_string()
    }

    fn path(&self) -> PathBuf {
        self.place.spelled.clone()
    }
}

/// How a request goes on after its first step.
pub(crate) enum Begun<H, T> {
    Got(H),
    Queued(T),
    /// Perhaps only held for a moment: begin again after so long.
    Again(Duration),
}

/// How often, and since when, a request that does not wait has found the lock held.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    tries: u32,
    since: Option<Duration>,
}

/// The first step of a request. It makes system calls but does not wait.
pub(crate) fn begin<T: Target>(
    target: &T,
    request: &Request<'_>,
    looks: &mut Looks,
) -> Result<Begun<T::Held, T::Ticket>> {
    match target.begin(request)? {
        Begin::Got(tenure) => Ok(Begun::Got(tenure)),
        Begin::Queued(ticket) => Ok(Begun::Queued(ticket)),
        Begin::HeldElsewhere if looks.tries < MOMENTS => {
            looks.tries += 1;
            Ok(Begun::Again(MOMENT))
        }
        held => {
            let now = target.resource().parts.host.monotonic();
            let since = *looks.since.get_or_insert(now);
            let holders = holders(target.resource());
            // A holder of ours has signed; whoever has not may be a wait that was called off, about to give the lock back.
            let signed = holders.iter().any(|holder| holder.session.is_some());
            if matches!(held, Begin::HeldElsewhere) && !signed && now.saturating_sub(since) < UNSIGNED {
                return Ok(Begun::Again(MOMENT));
            }
            Err(Error::Locked { path: target.path(), holders })
        }
    }
}

/// Takes the lock, waiting on the calling thread.
pub(crate) fn acquire<T: Target>(target: &T, request: &Request<'_>) -> Result<T::Held> {
    let mut looks = Looks::default();
    loop {
        if request.cancel.is_some_and(CancelToken::is_cancelled) {
            return Err(Error::Cancelled { path: target.path() });
        }
        match begin(target, request, &mut looks)? {
            Begun::Got(held) => return Ok(held),
            Begun::Queued(ticket) => {
                request.queued.inspect(|queued| queued.store(true, Ordering::Relaxed));
                return wait(target, &ticket, request);
            }
            Begun::Again(pause) => target.resource().parts.host.sleep(pause),
        }
    }
}

fn wait<T: Target>(target: &T, ticket: &T::Ticket, request: &Request<'_>) -> Result<T::Held> {
    let host = Arc::clone(&target.resource().parts.host);
    let waker = Waker::from(Arc::new(ThreadWaker { thread: std::thread::current(), host: Arc::clone(&host) }));
    let mut watch = Watch::begin(target, request, host.monotonic(), true);
    let cancel = Watched::new(request.cancel);
    ticket.is_for_thread();
    loop {
        if let Some(result) = ticket.poll(&waker) {
            return result;
        }
        if cancel.is_cancelled() && ticket.leave() {
            return Err(Error::Cancelled { path: target.path() });
        }
        match watch.look(target.resource(), host.monotonic()) {
            Look::Wait(time) => {
                host.park(time);
                ticket.spin_if_near(&*host);
            }
            Look::GiveUp(error) => {
                // Leaving and being granted exclude each other: whoever is no longer in the queue has an answer.
                if ticket.leave() {
                    return Err(error);
                }
            }
        }
    }
}

/// What a wait does besides waiting: telling, looking for deadlocks, giving up. Shared by threads and tasks.
pub(crate) struct Watch<'a> {
    path: PathBuf,
    began: Duration,
    deadline: Option<Duration>,
    next_look: Duration,
    note: Option<WaitNote<'a>>,
    on_wait: Option<OnWait<'a>>,
}

pub(crate) enum Look {
    /// Nothing to do for so long.
    Wait(Option<Duration>),
    /// Leave the queue with this error, unless the answer has come.
    GiveUp(Error),
}

impl<'a> Watch<'a> {
    /// `may_leave`: this owner can give up its wait to end a deadlock.
    pub(crate) fn begin<T: Target>(target: &T, request: &Request<'a>, now: Duration, may_leave: bool) -> Watch<'a> {
        let (resource, path) = (target.resource(), target.path());
        let facts = resource.parts.facts();
        let owner = request.owner.name(facts.pid, facts.start);
        let note = request.waits.publish(Edge {
            // Before every name of one who may: the greatest in a circle has to give up.
            owner: if may_leave { owner } else { format!("+{owner}") },
            holds: (request.holdings)(),
            waits: target.name(),
            path: path.display().to_string(),
            who: format!("pid {} ({})", facts.pid, resource.parts.purpose),
        });
        let deadline = request.wait.limit().map(|limit| now.saturating_add(limit));
        Watch { path, began: now, deadline, next_look: now + FIRST_LOOK, note, on_wait: request.on_wait }
    }

    pub(crate) fn look(&mut self, resource: &Resource, now: Duration) -> Look {
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            let waited = now.saturating_sub(self.began);
            return Look::GiveUp(Error::Timeout { path: self.path.clone(), waited, holders: holders(resource) });
        }
        if now >= self.next_look {
            if let Some(cycle) = self.note.as_ref().and_then(WaitNote::deadlock) {
                return Look::GiveUp(Error::Deadlock { path: self.path.clone(), cycle });
            }
            let suspects = self.note.as_ref().is_some_and(WaitNote::suspects);
            if let Some(on_wait) = self.on_wait.filter(|_| !suspects) {
                let elapsed = now.saturating_sub(self.began);
                on_wait(&Waiting { path: &self.path, elapsed, holders: &holders(resource) });
            }
            self.next_look = now
                + if suspects {
                    SECOND_LOOK
                } else if self.note.is_some() {
                    FIRST_LOOK
                } else {
                    LATER_LOOKS
                };
        }
        let looks = self.note.is_some() || self.on_wait.is_some();
        let next = [self.deadline, looks.then_some(self.next_look)].into_iter().flatten().min();
        Look::Wait(next.map(|next| next.saturating_sub(now)))
    }
}

/// For messages: an empty list when the system does not answer.
pub(crate) fn holders(resource: &Resource) -> Vec<super::Holder> {
    lock_state(&resource.parts, &resource.place, &resource.lock).map(|state| state.holders).unwrap_or_default()
}
