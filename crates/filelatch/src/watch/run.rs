//! The thread of a watch: hints in, reports out, parked in between.
//!
//! # Invariants
//! - While nothing is pending it is parked without a time: no wake-up that nobody caused. Only polling needs one.
//! - It alone looks at files, adds reports and saves, so what is saved of files is what the last report says of them.
//! - Whatever ends it, a panic too, ends the feed and answers all wishes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use filelatch_fs::{Fs, Host};

use super::cookie;
use super::event::{Change, Event, Origin};
use super::feed::Feed;
use super::inbox::{Due, Inbox, Wish};
use super::poll::{Mode, Pauses, PollReason};
use super::state::{EVENTS, Store};
use super::touched::Touched;
use super::tracker::{Report, Tracker};
use crate::error::{Error, Result};
use crate::lock::resource::locked;

/// How long after a change the state is saved, at least.
const SAVE: Duration = Duration::from_secs(2);
/// And how many times as long as the last time took.
const SAVE_TIMES: u32 = 20;
/// How long a file that is made for trial may go unheard.
const TRIAL: Duration = Duration::from_millis(250);

pub(super) struct Runner {
    pub(super) host: Arc<dyn Host>,
    pub(super) tracker: Tracker,
    pub(super) inbox: Arc<Inbox>,
    pub(super) feed: Arc<Feed>,
    pub(super) mode: Arc<Mutex<Mode>>,
    pub(super) looks: Looks,
    pub(super) saver: Option<Saver>,
    /// Are own changes reported?
    pub(super) own: bool,
    /// Whose locks may be others now, if anybody wants to know.
    pub(super) touched: Option<Arc<Touched>>,
}

/// Looking again and again.
pub(super) struct Looks {
    pub(super) pauses: Pauses,
    /// When to look next; `None`: the system tells.
    pub(super) next: Option<Duration>,
}

/// Saving what is known.
pub(super) struct Saver {
    pub(super) store: Store,
    pub(super) pause: Duration,
    /// When to save next; `None`: it is saved.
    pub(super) next: Option<Duration>,
}

impl Saver {
    pub(super) fn new(store: Store) -> Saver {
        Saver { store, pause: SAVE, next: None }
    }

    pub(super) fn save(&mut self, host: &dyn Host, feed: &Feed, tracker: &Tracker, ended: bool) -> Result<()> {
        let began = host.monotonic();
        let saved = self.store.save(&feed.tail(EVENTS), tracker.table(), ended);
        let now = host.monotonic();
        self.pause = now.saturating_sub(began).saturating_mul(SAVE_TIMES).max(SAVE);
        // What could not be saved is tried again.
        self.next = saved.is_err().then_some(now + self.pause);
        saved
    }
}

impl Runner {
    /// Are changes in these directories told of? A file is made in each for trial. Where it can't be made, they are believed to be.
    ///
    /// Only before [`Runner::run`], on the thread that [`Inbox::attend`]s.
    pub(super) fn hears(&mut self, fs: &dyn Fs, dirs: &[PathBuf]) -> bool {
        dirs.iter().all(|dir| {
            cookie::sweep(fs, dir);
            let name = cookie::name(&*self.host);
            let inbox = Arc::clone(&self.inbox);
            let _wish = inbox.ask(Wish::Seen(vec![name.clone()]));
            cookie::make(fs, dir, &name).is_err() || self.hears_before(self.host.monotonic() + TRIAL)
        })
    }

    fn hears_before(&mut self, until: Duration) -> bool {
        loop {
            let now = self.host.monotonic();
            self.take_hints(now);
            if !self.inbox.due().seen.is_empty() {
                return true;
            }
            if now >= until {
                return false;
            }
            self.host.park(Some(until.saturating_sub(now)));
        }
    }

    /// From now on looks again and again.
    pub(super) fn look_again(&mut self, why: PollReason) {
        let interval = self.looks.pauses.pause();
        self.looks.next = Some(self.host.monotonic() + interval);
        *locked(&self.mode) = Mode::Polling { why, interval };
    }

    /// True: the thread is to end.
    fn take_hints(&mut self, now: Duration) -> bool {
        let work = self.inbox.take();
        let mut news = false;
        for hint in work.hints {
            news |= self.touched.as_ref().is_some_and(|touched| touched.note(&hint));
            if !self.inbox.is_seen(&hint) {
                self.tracker.hint(hint, now);
            }
        }
        if news {
            self.feed.nudge();
        }
        work.stop
    }

    pub(super) fn run(mut self) {
        self.inbox.attend();
        let ended = catch_unwind(AssertUnwindSafe(|| self.work()));
        let path = self.feed.path().to_owned();
        let why = match ended {
            Ok(()) => Error::Cancelled { path },
            Err(_) => Error::Internal { path, message: "the thread that watches it has panicked".to_owned() },
        };
        self.feed.end(why.share());
        let inbox = Arc::clone(&self.inbox);
        // The source of hints, and the lock of the name, before anybody hears that it is over.
        drop(self);
        inbox.end(&why);
    }

    fn work(&mut self) {
        let mut reports = Vec::new();
        loop {
            let now = self.host.monotonic();
            let stop = self.take_hints(now);
            let due = self.inbox.due();
            if stop {
                self.tracker.settle_all(&mut reports);
                self.publish(&mut reports);
                self.save(true).ok();
                return;
            }
            self.look(now, &due, &mut reports);
            if !due.seen.is_empty() {
                self.tracker.settle_all(&mut reports);
            }
            if self.tracker.due().is_some_and(|due| due <= now) {
                self.tracker.step(now, &mut reports);
            }
            self.publish(&mut reports);
            if self.looks.next.is_none() && self.tracker.unwatched() {
                self.look_again(PollReason::Limit);
            }
            self.inbox.answer(&due.seen, &Ok(()));
            self.inbox.answer(&due.rescan, &Ok(()));
            let save_is_due = self.saver.as_ref().and_then(|saver| saver.next).is_some_and(|next| next <= now);
            if save_is_due || !due.save.is_empty() {
                let saved = self.save(false);
                self.inbox.answer(&due.save, &saved);
            }
            self.rest();
        }
    }

    /// Until something comes, or is due.
    fn rest(&self) {
        let saver = self.saver.as_ref().and_then(|saver| saver.next);
        let next = [self.tracker.due(), self.looks.next, saver].into_iter().flatten().min();
        match next {
            None => drop(self.host.idle(Duration::MAX)),
            Some(next) => {
                let left = next.saturating_sub(self.host.monotonic());
                if !left.is_zero() {
                    self.host.park(Some(left));
                }
            }
        }
    }

    /// Looks at everything, if it is time or somebody wants it.
    fn look(&mut self, now: Duration, due: &Due, reports: &mut Vec<Report>) {
        let is_time = self.looks.next.is_some_and(|next| next <= now);
        if !is_time && due.rescan.is_empty() {
            return;
        }
        self.tracker.poll(reports);
        let after = self.host.monotonic();
        self.looks.pauses.looked(after.saturating_sub(now));
        if self.looks.next.is_some() {
            let pause = self.looks.pauses.pause();
            self.looks.next = Some(after + pause);
            if let Mode::Polling { interval, .. } = &mut *locked(&self.mode) {
                *interval = pause;
            }
        }
    }

    pub(super) fn publish(&mut self, reports: &mut Vec<Report>) {
        if reports.is_empty() {
            return;
        }
        let at = self.host.now();
        let own = self.own;
        let wanted = reports.drain(..).filter(|report| match report {
            Report::Change(seen) => own || seen.origin != Origin::Own,
            Report::Rescanned { .. } => true,
        });
        self.feed.add(wanted, |report, cursor| match report {
            Report::Change(seen) => Event::Change(Change {
                cursor,
                kind: seen.kind,
                path: seen.path,
                version: seen.version,
                size: seen.size,
                origin: seen.origin,
                at,
            }),
            Report::Rescanned { path, cause } => Event::Rescanned { cursor, path, cause },
        });
        if let Some(saver) = &mut self.saver {
            saver.next.get_or_insert(self.host.monotonic() + saver.pause);
        }
    }

    pub(super) fn save(&mut self, ended: bool) -> Result<()> {
        let Some(saver) = &mut self.saver else { return Ok(()) };
        let saved = saver.save(&*self.host, &self.feed, &self.tracker, ended);
        if let Err(problem) = &saved {
            self.feed.problem(problem.share());
        }
        saved
    }
}
