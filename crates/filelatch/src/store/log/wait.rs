//! Being woken by appends.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use std::time::Duration;

use filelatch_fs::{Events, FileId, Hint, Host};

use super::handle::Log;
use crate::error::Result;
use crate::path::Place;

/// Between two looks where the system tells of no changes.
const LOOK: Duration = Duration::from_millis(100);
/// And where it does: of changes by other machines nothing is told.
const LOOK_AT_TIMES: Duration = Duration::from_secs(5);

/// Waits for a log to change: records that any process appends, a compaction, a removal. Belongs to the thread that made it.
#[derive(Debug)]
pub(crate) struct LogWaiter {
    place: Place,
    host: Arc<dyn Host>,
    /// Dropped first: it tells nothing any more then.
    events: Option<Box<dyn Events>>,
    bell: Arc<Bell>,
    seen: Option<(FileId, u64)>,
}

#[derive(Debug)]
struct Bell {
    rung: AtomicBool,
    thread: Thread,
}

impl LogWaiter {
    pub(super) fn new(log: &Log) -> Result<LogWaiter> {
        let entry = log.entry()?;
        let (place, parts) = (entry.place().clone(), Arc::clone(entry.parts()));
        let bell = Arc::new(Bell { rung: AtomicBool::new(false), thread: std::thread::current() });
        let path: PathBuf = place.dir.path().join(&place.name);
        let tell = {
            let (bell, host) = (Arc::clone(&bell), Arc::clone(&parts.host));
            Arc::new(move |hint: Hint| {
                let ours = match &hint {
                    Hint::At { path: at, .. } => *at == path || path.parent() == Some(at),
                    Hint::Lost => true,
                };
                if ours {
                    bell.rung.store(true, Ordering::Release);
                    host.unpark(&bell.thread);
                }
            })
        };
        // Without events, or without room for another watch, it is looked at.
        let events = parts.fs.events(tell).ok().filter(|events| events.add(place.dir.path()).is_ok());
        let seen = look(&place);
        Ok(LogWaiter { place, host: Arc::clone(&parts.host), events, bell, seen })
    }

    /// Waits until the log is not what it was when this returned true last, or when the waiter was made; false: the time is over.
    /// So whoever makes the waiter, reads, and then waits misses nothing.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> Result<bool> {
        self.wait_unless(timeout, &|| false)
    }

    /// As [`LogWaiter::wait`]; true also when `stop` says so, which is asked whenever the thread is woken.
    pub(crate) fn wait_unless(&mut self, timeout: Option<Duration>, stop: &dyn Fn() -> bool) -> Result<bool> {
        let began = self.host.monotonic();
        loop {
            self.bell.rung.store(false, Ordering::Release);
            let now = look(&self.place);
            if now != self.seen {
                self.seen = now;
                return Ok(true);
            }
            if stop() {
                return Ok(true);
            }
            let left = timeout.map(|timeout| timeout.saturating_sub(self.host.monotonic().saturating_sub(began)));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(false);
            }
            let look = if self.events.is_some() { LOOK_AT_TIMES } else { LOOK };
            if !self.bell.rung.load(Ordering::Acquire) {
                self.host.park(Some(left.unwrap_or(look).min(look)));
            }
        }
    }
}

/// What can't be seen is nothing new.
fn look(place: &Place) -> Option<(FileId, u64)> {
    place.dir.stat(&place.name).ok().map(|stat| (stat.id, stat.size))
}
