//! The reports of one watch, in order, for any number of readers.
//!
//! # Promise
//! A reader gets every report once and in order, or [`Event::Reset`] in the place of those that it will not get: it was so slow that they
//! are not kept any longer, or its cursor is not known. There is no third way.
//!
//! # Invariants
//! - Reports are numbered from 1 without gaps, through all watches of a chain that resumed each other. The number after a cursor is what its
//!   reader gets next.
//! - Nobody who adds reports waits for a reader.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::Thread;
use std::time::Duration;

use filelatch_fs::Host;

use super::event::{ChangeKind, Cursor, Event, Origin};
use crate::error::{Error, Result};
use crate::lock::resource::locked;

/// Bytes that kept reports may take, roughly.
const BYTES: usize = 8 << 20;
/// Former watches whose cursors are known. Those of older ones are too old in any case.
const FORMER: usize = 64;

/// Called whenever there is something to read. On the watch's own thread: must not block.
pub(crate) type Listener = Arc<dyn Fn() + Send + Sync>;

/// A watch that ended, and whose reports were numbered `from + 1` to `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Former {
    pub(crate) run: u64,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// All that a later watch must know of the reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The last one of these is of the watch itself.
    pub(crate) runs: Vec<Former>,
    pub(crate) events: Vec<Event>,
}

pub(crate) struct Feed {
    host: Arc<dyn Host>,
    pid: u32,
    /// For errors.
    path: PathBuf,
    ring: Mutex<Ring>,
}

struct Ring {
    run: u64,
    /// Number of the last report before this watch.
    began: u64,
    /// Number of the last report.
    last: u64,
    events: VecDeque<Event>,
    bytes: usize,
    kept: usize,
    former: Vec<Former>,
    waiting: Vec<Thread>,
    listeners: Vec<(u64, Listener)>,
    problem: Option<Error>,
    end: Option<Error>,
}

/// Where somebody reads.
#[derive(Debug)]
pub(crate) struct Position {
    /// Number of the last report that was read.
    at: u64,
    /// What comes next is to be [`Event::Reset`].
    reset: bool,
}

impl Feed {
    /// With the reports of former watches, if this one goes on where they ended.
    pub(crate) fn new(host: Arc<dyn Host>, path: PathBuf, kept: usize, before: Option<Tail>) -> Feed {
        let Tail { runs: mut former, events } = before.unwrap_or(Tail { runs: Vec::new(), events: Vec::new() });
        former.drain(..former.len().saturating_sub(FORMER));
        let last = former.last().map_or(0, |run| run.to);
        let mut ring = Ring {
            run: host.random(),
            began: last,
            last,
            events: VecDeque::new(),
            bytes: 0,
            kept,
            former,
            waiting: Vec::new(),
            listeners: Vec::new(),
            problem: None,
            end: None,
        };
        ring.bytes = events.iter().map(size_of).sum();
        ring.events = events.into();
        ring.trim();
        Feed { pid: host.pid(), host, path, ring: Mutex::new(ring) }
    }

    /// Adds reports; `make` gets the cursor of each.
    pub(crate) fn add<R>(&self, reports: impl IntoIterator<Item = R>, make: impl Fn(R, Cursor) -> Event) {
        let mut ring = locked(&self.ring);
        let before = ring.last;
        for report in reports {
            ring.last += 1;
            let event = make(report, Cursor { run: ring.run, number: ring.last });
            ring.bytes += size_of(&event);
            ring.events.push_back(event);
        }
        if ring.last > before {
            ring.trim();
            self.wake(ring);
        }
    }

    /// Something went wrong that does not end the watch. It is told once; a later one takes the place of one that was not.
    pub(crate) fn problem(&self, problem: Error) {
        let mut ring = locked(&self.ring);
        ring.problem = Some(problem);
        self.wake(ring);
    }

    /// There will be no more reports. The first reason counts.
    pub(crate) fn end(&self, why: Error) {
        let mut ring = locked(&self.ring);
        ring.end.get_or_insert(why);
        self.wake(ring);
    }

    /// There is something for listeners that is no report.
    pub(crate) fn nudge(&self) {
        let listeners: Vec<_> = locked(&self.ring).listeners.iter().map(|(_, listener)| Arc::clone(listener)).collect();
        for listener in listeners {
            listener();
        }
    }

    fn wake(&self, mut ring: std::sync::MutexGuard<'_, Ring>) {
        let waiting = std::mem::take(&mut ring.waiting);
        let listeners: Vec<_> = ring.listeners.iter().map(|(_, listener)| Arc::clone(listener)).collect();
        drop(ring);
        for thread in waiting {
            self.host.unpark(&thread);
        }
        for listener in listeners {
            listener();
        }
    }

    /// Where reading goes on after a cursor; [`Event::Reset`] comes first if reports are missing.
    pub(crate) fn position(&self, since: Cursor) -> Position {
        let ring = locked(&self.ring);
        match ring.number_of(since) {
            Some(at) if at + 1 >= ring.first() => Position { at, reset: false },
            _ => Position { at: ring.last, reset: true },
        }
    }

    /// At the end: only what is reported from now on.
    pub(crate) fn now(&self) -> Position {
        Position { at: locked(&self.ring).last, reset: false }
    }

    /// Where this watch began; with `reset` its reader is told that it does not know what came before.
    pub(crate) fn beginning(&self, reset: bool) -> Position {
        Position { at: locked(&self.ring).began, reset }
    }

    pub(crate) fn cursor(&self) -> Cursor {
        let ring = locked(&self.ring);
        ring.cursor(ring.last)
    }

    /// What comes next for a reader, if it is there. `problems`: is this the reader that is told of what went wrong?
    fn poll(&self, position: &mut Position, problems: bool, wake: bool) -> Result<Option<Event>> {
        let mut ring = locked(&self.ring);
        if std::mem::take(&mut position.reset) || position.at + 1 < ring.first() {
            // Those that are still kept are of use, unless the reader does not know where it is.
            position.at = position.at.max(ring.first() - 1);
            return Ok(Some(Event::Reset { cursor: ring.cursor(position.at) }));
        }
        let index = usize::try_from(position.at + 1 - ring.first()).unwrap_or(usize::MAX);
        if let Some(event) = ring.events.get(index) {
            position.at += 1;
            return Ok(Some(event.clone()));
        }
        if problems && let Some(problem) = ring.problem.take() {
            return Err(problem);
        }
        if let Some(end) = &ring.end {
            return Err(end.share());
        }
        if wake {
            let thread = std::thread::current();
            if ring.waiting.iter().all(|other| other.id() != thread.id()) {
                ring.waiting.push(thread);
            }
        }
        Ok(None)
    }

    /// Waits for what comes next. `None`: nothing within that time.
    pub(crate) fn next(
        &self,
        position: &Mutex<Position>,
        problems: bool,
        wait: Option<Duration>,
    ) -> Result<Option<Event>> {
        let until = wait.map(|wait| self.host.monotonic().saturating_add(wait));
        loop {
            let left = until.map(|until| until.saturating_sub(self.host.monotonic()));
            let may_wait = left != Some(Duration::ZERO);
            let found = self.poll(&mut locked(position), problems, may_wait)?;
            if found.is_some() || !may_wait {
                return Ok(found);
            }
            // There is no thread that could report anything (L21).
            if self.host.pid() != self.pid {
                let message = "the watch belongs to the parent process".to_owned();
                return Err(Error::Internal { path: self.path.clone(), message });
            }
            self.host.park(left);
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        locked(&self.ring).end.is_some()
    }

    pub(crate) fn listen(&self, listener: Listener) -> u64 {
        let mut ring = locked(&self.ring);
        let id = ring.listeners.last().map_or(0, |(id, _)| id + 1);
        ring.listeners.push((id, listener));
        id
    }

    pub(crate) fn stop_listening(&self, id: u64) {
        locked(&self.ring).listeners.retain(|(other, _)| *other != id);
    }

    /// For a later watch: so many of the last reports, and whose they were.
    pub(crate) fn tail(&self, events: usize) -> Tail {
        let ring = locked(&self.ring);
        let mut runs = ring.former.clone();
        runs.push(Former { run: ring.run, from: ring.began, to: ring.last });
        Tail { runs, events: ring.events.iter().skip(ring.events.len().saturating_sub(events)).cloned().collect() }
    }

    /// What was watched, for errors.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Ring {
    /// Number of the oldest report that is kept, or of the next one.
    fn first(&self) -> u64 {
        self.last + 1 - self.events.len() as u64
    }

    fn trim(&mut self) {
        while self.events.len() > self.kept || (self.bytes > BYTES && self.events.len() > 1) {
            if let Some(event) = self.events.pop_front() {
                self.bytes -= size_of(&event);
            }
        }
    }

    /// `None`: not known, or beyond what the watch had saved when it was killed. What its readers have seen of it may not be true any
    /// more, and would not be reported again.
    fn number_of(&self, cursor: Cursor) -> Option<u64> {
        let own = Former { run: self.run, from: self.began, to: self.last };
        let run = self.former.iter().chain([&own]).find(|run| run.run == cursor.run)?;
        (run.from..=run.to).contains(&cursor.number).then_some(cursor.number)
    }

    fn cursor(&self, number: u64) -> Cursor {
        if number >= self.began {
            return Cursor { run: self.run, number };
        }
        // Of the watch that reported it: this one may end before it has saved that it was there.
        let run = self.former.iter().rev().find(|run| (run.from..=run.to).contains(&number));
        Cursor { run: run.map_or(self.run, |run| run.run), number }
    }
}

/// What it takes, roughly.
fn size_of(event: &Event) -> usize {
    let more = match event {
        Event::Change(change) => {
            let from = if let ChangeKind::Renamed { from } = &change.kind { from.as_os_str().len() } else { 0 };
            let session = if let Origin::Session(name) = &change.origin { name.len() } else { 0 };
            change.path.as_os_str().len() + from + session
        }
        Event::Rescanned { path, .. } => path.as_os_str().len(),
        Event::Reset { .. } => 0,
    };
    size_of_val(event) + more
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ring = locked(&self.ring);
        f.debug_struct("Feed").field("last", &ring.last).field("kept", &ring.events.len()).finish_non_exhaustive()
    }
}

/// One who reads the reports of a watch, at a place of its own.
#[derive(Debug)]
pub struct Reader {
    feed: Arc<Feed>,
    position: Mutex<Position>,
}

impl Reader {
    pub(crate) fn new(feed: Arc<Feed>, position: Position) -> Reader {
        Reader { feed, position: Mutex::new(position) }
    }

    /// What was reported next; waits for it at most so long, without limit for `None`. `Ok(None)`: nothing within that time.
    ///
    /// An error says that the watch has ended ([`Error::Cancelled`] when it was dropped): it comes after all that was reported, and
    /// every time.
    pub fn next(&self, wait: Option<Duration>) -> Result<Option<Event>> {
        self.feed.next(&self.position, false, wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::RescanCause;
    use filelatch_fs::sim::SimHost;

    fn feed(kept: usize, before: Option<Tail>) -> Feed {
        static SEED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let seed = SEED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Feed::new(Arc::new(SimHost::new(seed)), "/".into(), kept, before)
    }

    fn add(feed: &Feed, names: impl IntoIterator<Item = u64>) {
        feed.add(names, |name, cursor| Event::Rescanned {
            cursor,
            path: name.to_string().into(),
            cause: RescanCause::Overflow,
        });
    }

    fn all(feed: &Feed, position: &mut Position) -> Vec<String> {
        let next = || feed.poll(position, false, false).unwrap();
        let name = |event| match event {
            Event::Rescanned { path, .. } => path.display().to_string(),
            _ => "reset".to_owned(),
        };
        std::iter::from_fn(next).map(name).collect()
    }

    /// WATCH-1: each reader gets everything in order from its own place; a cursor leads to what came after it.
    #[test]
    fn readers_have_places_of_their_own() {
        let feed = feed(100, None);
        let mut early = feed.now();
        add(&feed, 1..=3);
        let cursor = feed.cursor();
        let mut late = feed.now();
        add(&feed, 4..=5);
        assert_eq!(all(&feed, &mut early), ["1", "2", "3", "4", "5"]);
        assert_eq!(all(&feed, &mut late), ["4", "5"]);
        assert_eq!(all(&feed, &mut feed.position(cursor)), ["4", "5"]);
        assert_eq!(all(&feed, &mut feed.position(feed.cursor())), [""; 0]);
    }

    /// WATCH-1: who is so slow that reports are gone is told so, once, and gets those that are left.
    #[test]
    fn slow_readers_are_reset() {
        let feed = feed(16, None);
        let mut slow = feed.now();
        let old = feed.cursor();
        add(&feed, 1..=16);
        assert_eq!(all(&feed, &mut feed.position(old)).len(), 16, "just kept");
        add(&feed, 17..=18);
        let got = all(&feed, &mut slow);
        assert_eq!((got[0].as_str(), got[1].as_str(), got.len()), ("reset", "3", 17));
        assert_eq!(
            all(&feed, &mut feed.position(old)),
            ["reset"],
            "with a cursor that is too old reading begins at the end"
        );
        add(&feed, 19..=19);
        assert_eq!(all(&feed, &mut slow), ["19"]);
    }

    /// WATCH-1: a cursor of nobody's, or of what was never reported, is not taken for another place.
    #[test]
    fn unknown_cursors_are_reset() {
        let feed = feed(16, None);
        add(&feed, 1..=2);
        let Cursor { run, number } = feed.cursor();
        for unknown in [Cursor { run: run ^ 1, number }, Cursor { run, number: 3 }, Cursor { run, number: u64::MAX }] {
            assert_eq!(all(&feed, &mut feed.position(unknown)), ["reset"], "{unknown}");
        }
    }

    /// WATCH-1: through a chain of watches cursors stay good as far as they were saved; what a killed one reported later is not known.
    #[test]
    fn cursors_survive_restarts() {
        let first = feed(100, None);
        add(&first, 1..=3);
        let (begin, saved) = (first.position(first.cursor()).at, first.tail(100));
        assert_eq!(begin, 3);
        let kept = Cursor { number: 2, ..first.cursor() };
        add(&first, 4..=4);
        let lost = first.cursor();
        let second = feed(100, Some(saved));
        add(&second, 10..=11);
        assert_eq!(all(&second, &mut second.position(kept)), ["3", "10", "11"]);
        assert_eq!(all(&second, &mut second.position(lost)), ["reset"]);
        let mut own = second.beginning(false);
        assert_eq!(all(&second, &mut own), ["10", "11"]);
        // Of the third watch, which has only the last two reports.
        let third = feed(100, Some(second.tail(2)));
        assert_eq!(all(&third, &mut third.position(kept)), ["reset"]);
        let of_second = Cursor { number: 4, ..second.cursor() };
        assert_eq!(all(&third, &mut third.position(of_second)), ["11"]);
    }

    /// WATCH-1: the place of a reader that stands among a former watch's reports has that watch's cursor.
    #[test]
    fn resets_name_a_cursor_that_is_known() {
        let first = feed(100, None);
        add(&first, 1..=30);
        let old = Cursor { number: 1, ..first.cursor() };
        let second = feed(16, Some(first.tail(100)));
        let mut position = Position { at: 1, reset: false };
        let Some(Event::Reset { cursor }) = second.poll(&mut position, false, false).unwrap() else { panic!() };
        assert_eq!(cursor, Cursor { number: 14, ..old });
        assert_eq!(all(&second, &mut second.position(cursor)).first().map(String::as_str), Some("15"));
    }

    /// WATCH-1: what went wrong is told once and to one; the end is told to all, after what was reported, every time.
    #[test]
    fn errors_are_told() {
        let feed = feed(16, None);
        let (mut own, mut other) = (feed.now(), feed.now());
        add(&feed, 1..=1);
        feed.problem(Error::Internal { path: "/".into(), message: "a problem".to_owned() });
        feed.end(Error::Cancelled { path: "/".into() });
        assert_eq!(all_but_end(&feed, &mut other, false), ["1", "cancelled", "cancelled"]);
        assert_eq!(all_but_end(&feed, &mut own, true), ["1", "internal", "cancelled"]);
    }

    fn all_but_end(feed: &Feed, position: &mut Position, problems: bool) -> Vec<String> {
        let next = |_| match feed.poll(position, problems, false) {
            Ok(Some(Event::Rescanned { path, .. })) => path.display().to_string(),
            Ok(other) => format!("{other:?}"),
            Err(e) => e.code().to_owned(),
        };
        (0..3).map(next).collect()
    }

    /// WATCH-1 (L21): in a forked child, where nobody reports, what was reported can be read, and nobody waits for more.
    #[test]
    fn after_a_fork() {
        let mut feed = feed(16, None);
        let position = Mutex::new(feed.now());
        add(&feed, 1..=1);
        feed.pid += 1;
        assert!(matches!(feed.next(&position, true, None), Ok(Some(Event::Rescanned { .. }))));
        let error = feed.next(&position, true, None).unwrap_err();
        assert!(error.to_string().contains("parent process"), "{error}");
    }

    /// WATCH-1: kept reports are bounded in bytes, too.
    #[test]
    fn long_names_are_bounded() {
        let feed = feed(1 << 30, None);
        let path = PathBuf::from("x".repeat(1 << 20));
        feed.add(0..100, |_, cursor| Event::Rescanned { cursor, path: path.clone(), cause: RescanCause::Overflow });
        assert_eq!(locked(&feed.ring).events.len(), 7);
    }
}
