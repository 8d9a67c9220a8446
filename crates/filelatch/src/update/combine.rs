//! Combining: the changes of one document in one process share one lock, one reading and one publish (P8).
//!
//! # How
//! Callers queue. The first leads: it takes the file's lock and reads. Then the *baton* — the lock and the pending head — goes
//! from caller to caller in order, each applying its change on its own thread; whoever finds nobody behind it publishes for
//! all. While it waits for the disk, the next callers gather. Each is answered after the publish, and gives its result only then.
//!
//! # Invariants
//! - A caller is in the queue, or has the baton, or has applied its change and waits for the answer; it leaves on its own only
//!   from the queue (P8: cancelled before its start a change is removed, after it is published all the same).
//! - Exactly one caller leads or has the baton while `led`.
//! - The lock belongs to the caller whose closure runs: a nested request for the same file is refused, not a hang.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};
use std::thread::Thread;
use std::time::Duration;

use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::lock::Wait;
use crate::lock::acquire::{Look, Request, Watch, holders};
use crate::lock::cancel::{CancelToken, Watched};
use crate::lock::owner::Owner;
use crate::lock::resource::{Resource, Tenure, locked};
use crate::snapshot::Content;
use crate::update::head::Head;
use crate::version::Version;
use crate::write::{Durability, Notice};

/// Changes in one publish, so that the first of them is not kept waiting for ever.
const BATCH: usize = 256;
/// A wait that is over before is not watched.
const SHORT: Duration = Duration::from_millis(20);
/// Times a change is applied again because a foreign program wrote in between.
pub(crate) const ATTEMPTS: u32 = 100;

/// The queue of one document.
#[derive(Debug, Default)]
pub(crate) struct Combiner(Mutex<Line>);

#[derive(Debug, Default)]
struct Line {
    queue: VecDeque<Arc<Slot>>,
    led: bool,
    /// Whose closure runs. The lock knows it too, but there need not be one.
    running: Option<Owner>,
}

#[derive(Debug)]
struct Slot {
    message: Mutex<Message>,
    thread: Thread,
    durability: Durability,
    newest_wins: bool,
}

#[derive(Debug)]
enum Message {
    None,
    /// Take the lock and begin.
    Lead,
    /// Apply your change, pass on.
    Turn(Box<Batch>),
    Done(Result<Ended>),
}

#[derive(Debug)]
struct Batch {
    /// `None` with locks switched off.
    tenure: Option<Tenure>,
    head: Head,
    members: Vec<Arc<Slot>>,
    attempts: u32,
    /// Of attempts before this one.
    notices: Vec<Notice>,
    /// What each change made of the document, where the policy keeps every version.
    passed: Vec<Arc<Content>>,
    /// The versions that queued changes made.
    queued: Vec<Version>,
}

impl Batch {
    fn new(tenure: Option<Tenure>, head: Head, attempts: u32, notices: Vec<Notice>) -> Batch {
        Batch { tenure, head, members: Vec::new(), attempts, notices, passed: Vec::new(), queued: Vec::new() }
    }
}

/// What a change is told when its batch is on disk.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts of one publish, independent of each other")]
pub(crate) struct Ended {
    /// Version on disk.
    pub(crate) version: Option<Version>,
    /// Nothing had to be written.
    pub(crate) unchanged: bool,
    /// There was no file before.
    pub(crate) created: bool,
    /// This change was the last of the batch: the version is its own.
    pub(crate) last: bool,
    /// A newer write of the batch that overwrites without looking took this one's place.
    pub(crate) superseded: bool,
    pub(crate) notices: Vec<Notice>,
    /// What an unchecked write overwrote.
    pub(crate) displaced: Option<Version>,
}

/// How a caller takes part.
pub(crate) struct Part<'a> {
    pub(crate) owner: Owner,
    pub(crate) wait: Wait,
    pub(crate) durability: Durability,
    /// Last-write-wins: a later one of these supersedes it.
    pub(crate) newest_wins: bool,
    /// Its version is recorded although a later change shares its publish (P7).
    pub(crate) queued: bool,
    /// Never apply it twice: a foreign write in between is a conflict.
    pub(crate) once: bool,
    pub(crate) cancel: Option<&'a CancelToken>,
    /// Takes the file's lock.
    pub(crate) lock: &'a dyn Fn(Wait) -> Result<Option<Tenure>>,
    /// What a long wait in the queue tells and looks for, as a wait for the lock does.
    pub(crate) watch: &'a Request<'a>,
}

/// Applies `change` to the newest content and publishes it, together with what others do meanwhile. `change` answers false when
/// it failed and keeps its error to itself: then `None`.
pub(crate) fn combine(
    entry: &Arc<Entry>,
    part: &Part<'_>,
    change: &mut dyn FnMut(&mut Head) -> bool,
) -> Result<Option<Ended>> {
    let resource = &entry.resource;
    if resource.is_held_by(part.owner)
        || entry.records.is_held_by(part.owner)
        || locked(&entry.combiner.0).running == Some(part.owner)
    {
        return Err(Error::Reentrant { path: resource.place.spelled.clone() });
    }
    let host = &resource.parts.host;
    let slot = Arc::new(Slot {
        message: Mutex::new(Message::None),
        thread: std::thread::current(),
        durability: part.durability,
        newest_wins: part.newest_wins,
    });
    let began = host.monotonic();
    let deadline = part.wait.limit().map(|limit| began.saturating_add(limit));
    let mut leads = {
        let mut line = locked(&entry.combiner.0);
        let leads = !line.led;
        line.led = true;
        if !leads {
            line.queue.push_back(Arc::clone(&slot));
        }
        leads
    };
    let mut ran = false;
    let mut patience = Patience { since: began, watch: None };
    let cancel = Watched::new(part.cancel);
    loop {
        let message = if std::mem::take(&mut leads) { Message::Lead } else { slot.take() };
        if !matches!(message, Message::None) {
            patience.watch = None;
        }
        let called_off = !ran && cancel.is_cancelled();
        let batch = match message {
            Message::Lead if called_off => {
                entry.combiner.next_leader(host);
                return Err(Error::Cancelled { path: resource.place.spelled.clone() });
            }
            Message::Lead => {
                let left = part.wait.limit().map_or(part.wait, |limit| match part.wait {
                    Wait::No => Wait::No,
                    _ => Wait::For(limit.saturating_sub(host.monotonic().saturating_sub(began))),
                });
                let begun = (part.lock)(left).and_then(|tenure| Ok((tenure, entry.read_head()?)));
                match begun {
                    Ok((tenure, head)) => Box::new(Batch::new(tenure, head, 0, Vec::new())),
                    Err(e) => {
                        entry.combiner.next_leader(host);
                        return Err(e);
                    }
                }
            }
            Message::Turn(batch) => batch,
            Message::Done(result) => return result.map(Some),
            Message::None if called_off && entry.combiner.leave(&slot) => {
                return Err(Error::Cancelled { path: resource.place.spelled.clone() });
            }
            Message::None => {
                let now = host.monotonic();
                let deadline = deadline.filter(|_| !ran);
                let error = match patience.look(resource, part, ran, now) {
                    _ if deadline.is_some_and(|deadline| now >= deadline) => {
                        let path = resource.place.spelled.clone();
                        let (waited, holders) = (now.saturating_sub(began), holders(resource));
                        match part.wait {
                            Wait::No => Error::Locked { path, holders },
                            _ => Error::Timeout { path, waited, holders },
                        }
                    }
                    Look::Wait(pause) => {
                        let left = deadline.map(|deadline| deadline.saturating_sub(now));
                        host.park([pause, left].into_iter().flatten().min());
                        continue;
                    }
                    Look::GiveUp(e) => e,
                };
                if !ran && entry.combiner.leave(&slot) {
                    entry.refused(&error);
                    return Err(error);
                }
                // On its way already: wait for it without a limit.
                host.park(None);
                continue;
            }
        };
        // Called off while the lock was waited for.
        if !ran && cancel.is_cancelled() {
            pass_on(entry, batch);
            return Err(Error::Cancelled { path: resource.place.spelled.clone() });
        }
        match turn(entry, part, &slot, batch, &mut ran, change) {
            Turn::Member => patience.since = host.monotonic(),
            Turn::Failed => return Ok(None),
            Turn::Refused(e) => return Err(e),
        }
    }
}

/// A wait in the queue, or for the answer. It is watched like a wait for a lock, for its owner may hold others; but not from the
/// first moment, for nearly all of them are short.
struct Patience<'a> {
    since: Duration,
    watch: Option<Watch<'a>>,
}

impl<'a> Patience<'a> {
    fn look(&mut self, resource: &Arc<Resource>, part: &Part<'a>, ran: bool, now: Duration) -> Look {
        if let Some(left) = SHORT.checked_sub(now.saturating_sub(self.since)).filter(|left| !left.is_zero()) {
            return Look::Wait(Some(left));
        }
        let watch = self.watch.get_or_insert_with(|| Watch::begin(resource, part.watch, now, !ran));
        watch.look(resource, now)
    }
}

enum Turn {
    /// Applied; the answer comes.
    Member,
    /// The change failed by itself.
    Failed,
    Refused(Error),
}

fn turn(
    entry: &Arc<Entry>,
    part: &Part<'_>,
    slot: &Arc<Slot>,
    mut batch: Box<Batch>,
    ran: &mut bool,
    change: &mut dyn FnMut(&mut Head) -> bool,
) -> Turn {
    if *ran && part.once {
        let refused = entry.foreign_change(&mut batch.head);
        pass_on(entry, batch);
        return Turn::Refused(refused);
    }
    *ran = true;
    if let Some(tenure) = &batch.tenure {
        tenure.give_to(part.owner);
    }
    locked(&entry.combiner.0).running = Some(part.owner);
    let outcome = catch_unwind(AssertUnwindSafe(|| change(&mut batch.head)));
    // Nobody's until the next turn begins: this caller may come back before that.
    locked(&entry.combiner.0).running = None;
    if let Some(tenure) = &batch.tenure {
        tenure.give_to(Owner::NOBODY);
    }
    let member = matches!(outcome, Ok(true));
    if member {
        batch.members.push(Arc::clone(slot));
        // What can't be rendered fails at the publish, for all.
        if entry.keeps_every()
            && let Ok(Some(content)) = batch.head.content(&entry.resource.place)
        {
            batch.passed.push(content);
        }
        if part.queued
            && entry.trail().is_some()
            && let Ok(Some(version)) = batch.head.version(&entry.resource.place)
        {
            batch.queued.push(version);
        }
    }
    pass_on(entry, batch);
    match outcome {
        Ok(true) => Turn::Member,
        Ok(false) => Turn::Failed,
        Err(panic) => resume_unwind(panic),
    }
}

/// Gives the baton to the next in the queue, or publishes for all.
fn pass_on(entry: &Arc<Entry>, mut batch: Box<Batch>) {
    let host = Arc::clone(&entry.resource.parts.host);
    loop {
        let next = if batch.members.len() < BATCH { locked(&entry.combiner.0).queue.pop_front() } else { None };
        if let Some(next) = next {
            return next.send(&*host, Message::Turn(batch));
        }
        let Batch { tenure, mut head, members, attempts, mut notices, passed, queued } = *batch;
        if members.is_empty() {
            drop(tenure);
            return entry.combiner.next_leader(&host);
        }
        let durability = members.iter().map(|slot| slot.durability).max().unwrap_or_default();
        let newest = members.iter().rposition(|slot| slot.newest_wins);
        head.passage.changes = members.len();
        if members.len() > 1 {
            head.passage.passed = queued;
        }
        head.passage.superseded = members.iter().take(newest.unwrap_or(0)).filter(|slot| slot.newest_wins).count();
        let result = entry.publish_head(tenure.as_ref(), head, durability, newest.is_some(), &passed);
        match result {
            Err(Error::Conflict(conflict)) if attempts < ATTEMPTS => {
                notices.extend(conflict.kept.clone().map(|kept| Notice::ForeignKept { kept }));
                // A foreign program wrote in between: all of them once more, on what is there now.
                match entry.read_head() {
                    Ok(mut head) => {
                        head.kept = conflict.kept;
                        let mut line = locked(&entry.combiner.0);
                        for member in members.into_iter().rev() {
                            line.queue.push_front(member);
                        }
                        batch = Box::new(Batch::new(tenure, head, attempts + 1, notices));
                    }
                    Err(e) => return finish(entry, tenure, &members, &Err(e), newest),
                }
            }
            mut result => {
                if let Ok(ended) = &mut result {
                    ended.notices.append(&mut notices);
                }
                return finish(entry, tenure, &members, &result, newest);
            }
        }
    }
}

fn finish(
    entry: &Arc<Entry>,
    tenure: Option<Tenure>,
    members: &[Arc<Slot>],
    result: &Result<Ended>,
    newest: Option<usize>,
) {
    let host = Arc::clone(&entry.resource.parts.host);
    // Released before anybody is told, so that whoever is told may lock again at once.
    drop(tenure);
    let told = entry.trail().and_then(|trail| {
        trail.flush();
        trail.notice()
    });
    for (i, member) in members.iter().enumerate() {
        let answer = match result {
            Ok(ended) => Ok(Ended {
                last: i + 1 == members.len(),
                superseded: member.newest_wins && newest.is_some_and(|newest| i < newest),
                notices: ended.notices.iter().cloned().chain(told.clone()).collect(),
                ..ended.clone()
            }),
            Err(e) => Err(e.share()),
        };
        member.send(&*host, Message::Done(answer));
    }
    entry.combiner.next_leader(&host);
}

impl Slot {
    fn take(&self) -> Message {
        std::mem::replace(&mut *locked(&self.message), Message::None)
    }

    fn send(&self, host: &dyn filelatch_fs::Host, message: Message) {
        *locked(&self.message) = message;
        host.unpark(&self.thread);
    }
}

impl Combiner {
    /// Whoever is first in the queue begins the next batch.
    fn next_leader(&self, host: &Arc<dyn filelatch_fs::Host>) {
        let mut line = locked(&self.0);
        match line.queue.pop_front() {
            Some(next) => next.send(&**host, Message::Lead),
            None => line.led = false,
        }
    }

    /// Leaves the queue; false: it is this one's turn.
    fn leave(&self, slot: &Arc<Slot>) -> bool {
        let mut line = locked(&self.0);
        let before = line.queue.len();
        line.queue.retain(|other| !Arc::ptr_eq(other, slot));
        line.queue.len() < before
    }
}
