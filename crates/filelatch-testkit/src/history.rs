//! Who held what, and did two hold it at once? (TEST-2)

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use filelatch::LockKind;

/// What happened with locks, in order, by a logical clock.
///
/// A task notes "acquired" *after* it has the lock and "released" *before* it lets go. What is noted lies inside what was held,
/// so two notes that overlap are two holders, however the threads were scheduled.
///
/// ```
/// use filelatch::{LockKind, LockOptions};
/// use filelatch_testkit::{History, run_concurrent};
///
/// # let dir = tempfile::tempdir().unwrap();
/// # let file = filelatch::Filelatch::new().file(dir.path().join("f")).unwrap();
/// let history = History::new();
/// run_concurrent(8, |task| {
///     let guard = file.lock(&LockOptions::new()).unwrap();
///     let noted = history.acquired(task, "f", LockKind::Exclusive);
///     // … the work …
///     drop(noted);
///     guard.release();
/// });
/// history.check().unwrap();
/// ```
#[derive(Debug, Default)]
pub struct History {
    events: Mutex<Vec<Event>>,
}

/// One event. Its time is its place in [`History::events`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which task; any number that is its own.
    pub task: usize,
    /// What was locked.
    pub resource: String,
    /// How.
    pub lock: LockKind,
    /// What happened.
    pub kind: EventKind,
}

/// What happened with a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It was had.
    Acquired,
    /// It is about to be given back.
    Released,
}

/// Notes the release when it is dropped.
#[must_use = "dropping this notes the release"]
#[derive(Debug)]
pub struct Within<'a> {
    history: &'a History,
    release: Event,
}

/// Two held a lock at once that excludes that, or one released what it did not hold.
#[derive(Clone, PartialEq, Eq)]
pub struct Overlap {
    /// Logical time of the event that breaks the rule.
    pub at: usize,
    /// That event.
    pub event: Event,
    /// Who held the lock then, and since which logical time.
    pub holders: Vec<(usize, LockKind, usize)>,
}

impl History {
    /// An empty history.
    pub fn new() -> History {
        History::default()
    }

    /// A history from elsewhere: of other processes, merged in the order of a clock they share.
    pub fn from_events(events: impl IntoIterator<Item = Event>) -> History {
        History { events: Mutex::new(events.into_iter().collect()) }
    }

    /// Notes that `task` has the lock; drop the result before it is given back.
    pub fn acquired(&self, task: usize, resource: &str, lock: LockKind) -> Within<'_> {
        let event = Event { task, resource: resource.to_owned(), lock, kind: EventKind::Acquired };
        let release = Event { kind: EventKind::Released, ..event.clone() };
        self.record(event);
        Within { history: self, release }
    }

    /// Notes an event.
    pub fn record(&self, event: Event) {
        self.lock().push(event);
    }

    /// What was noted so far, in order.
    pub fn events(&self) -> Vec<Event> {
        self.lock().clone()
    }

    /// The rule of readers and writers: an exclusive holder is alone, on each resource for itself; and nobody releases what it
    /// does not hold. The first event that breaks it.
    pub fn check(&self) -> Result<(), Overlap> {
        let mut held: BTreeMap<&str, Vec<(usize, LockKind, usize)>> = BTreeMap::new();
        let events = self.lock();
        for (at, event) in events.iter().enumerate() {
            let holders = held.entry(&event.resource).or_default();
            let fits = match event.kind {
                EventKind::Acquired => {
                    let fits = match event.lock {
                        LockKind::Exclusive => holders.is_empty(),
                        LockKind::Shared => holders.iter().all(|(_, lock, _)| *lock == LockKind::Shared),
                    };
                    if fits {
                        holders.push((event.task, event.lock, at));
                    }
                    fits
                }
                EventKind::Released => {
                    let place = holders.iter().position(|(task, lock, _)| (*task, *lock) == (event.task, event.lock));
                    place.map(|place| holders.remove(place)).is_some()
                }
            };
            if !fits {
                return Err(Overlap { at, event: event.clone(), holders: holders.clone() });
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Within<'_> {
    fn drop(&mut self) {
        self.history.record(self.release.clone());
    }
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Event { task, resource, lock, kind } = &self.event;
        let did = match kind {
            EventKind::Acquired => "got",
            EventKind::Released => "released",
        };
        write!(f, "event {}: task {task} {did} `{resource}` ({lock:?}) while ", self.at)?;
        if self.holders.is_empty() {
            return f.write_str("nobody held it");
        }
        for (i, (task, lock, since)) in self.holders.iter().enumerate() {
            let and = if i == 0 { "" } else { " and " };
            write!(f, "{and}task {task} held it ({lock:?}, since event {since})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Overlap {
    /// As displayed: this is what `unwrap` prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Overlap {}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(task: usize, lock: LockKind, kind: EventKind) -> Event {
        Event { task, resource: "f".to_owned(), lock, kind }
    }

    fn check(events: impl IntoIterator<Item = Event>) -> Result<(), String> {
        History::from_events(events).check().map_err(|overlap| overlap.to_string())
    }

    /// TEST-2
    #[test]
    fn test_2_overlaps_are_found() {
        use EventKind::{Acquired, Released};
        use LockKind::{Exclusive, Shared};

        let readers = [event(1, Shared, Acquired), event(2, Shared, Acquired), event(1, Shared, Released)];
        assert_eq!(check(readers.clone()), Ok(()));
        let writer = readers.into_iter().chain([event(3, Exclusive, Acquired)]);
        assert_eq!(
            check(writer).unwrap_err(),
            "event 3: task 3 got `f` (Exclusive) while task 2 held it (Shared, since event 1)"
        );
        let twice = [event(1, Exclusive, Acquired), event(2, Exclusive, Acquired)];
        assert!(check(twice).is_err());
        let stolen = [event(1, Exclusive, Acquired), event(2, Exclusive, Released)];
        assert_eq!(
            check(stolen).unwrap_err(),
            "event 1: task 2 released `f` (Exclusive) while task 1 held it (Exclusive, since event 0)"
        );
    }

    /// TEST-2: other files are other locks.
    #[test]
    fn test_2_resources_are_independent() {
        let history = History::new();
        let one = history.acquired(1, "a", LockKind::Exclusive);
        let two = history.acquired(2, "b", LockKind::Exclusive);
        drop((one, two));
        history.check().unwrap();
        assert_eq!(history.events().len(), 4);
    }
}
