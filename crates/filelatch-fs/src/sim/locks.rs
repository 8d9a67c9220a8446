//! Whole-file and byte-range locks, both owned by the open file (flock(2), OFD locks).

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::types::{FileId, FsKind, LockEntry, LockKind, LockTable};

use super::dials::Flock;
use super::errors;
use super::simfs::Turn;
use super::state::{Handle, ProcessId, State, World};
use super::store::Ino;

/// A wait without end in a simulation is a deadlock of the test: it ends after this real time.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug)]
pub(super) struct RangeLock {
    pub(super) handle: Handle,
    ino: Ino,
    start: u64,
    /// Past the last byte.
    end: u64,
    kind: LockKind,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    handle: Handle,
    ino: Ino,
    process: ProcessId,
    wish: Wish,
}

/// What somebody asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wish {
    Whole(LockKind),
    Range { start: u64, len: u64, kind: LockKind },
}

impl Wish {
    fn kind(self) -> LockKind {
        match self {
            Wish::Whole(kind) | Wish::Range { kind, .. } => kind,
        }
    }
}

fn collide(a: LockKind, b: LockKind) -> bool {
    a == LockKind::Exclusive || b == LockKind::Exclusive
}

/// fcntl(2): length 0 reaches to the end of all files.
fn end_of(start: u64, len: u64) -> u64 {
    if len == 0 { u64::MAX } else { start.saturating_add(len) }
}

impl State {
    /// May this open file ask for this lock at all?
    fn check(&self, handle: Handle, wish: Wish) -> io::Result<Ino> {
        let open = self.opened(handle)?;
        let needs_writable = match wish {
            Wish::Whole(_) if self.store.dials.flock == Flock::Missing => return Err(io::ErrorKind::Unsupported.into()),
            Wish::Whole(_) => self.store.dials.kind == FsKind::Network,
            Wish::Range { .. } if !self.store.dials.range_locks => return Err(io::ErrorKind::Unsupported.into()),
            Wish::Range { .. } => true,
        };
        if wish.kind() == LockKind::Exclusive && needs_writable && !open.writable() {
            return Err(errors::bad_descriptor());
        }
        Ok(open.ino)
    }

    fn is_free(&self, handle: Handle, ino: Ino, wish: Wish) -> bool {
        match wish {
            Wish::Whole(_) if self.store.dials.flock == Flock::Lie => true,
            Wish::Whole(kind) => !self.opens.iter().any(|(other, open)| {
                *other != handle && open.ino == ino && open.lock.is_some_and(|held| collide(held, kind))
            }),
            Wish::Range { start, len, kind } => self.colliding_range(handle, ino, start, len, kind).is_none(),
        }
    }

    /// Is there a process that waits, and nothing but somebody else's lock that it waits for?
    fn must_wait(&self, process: ProcessId, handle: Handle, ino: Ino, wish: Wish) -> bool {
        self.admit(process).is_ok() && self.opens.contains_key(&handle) && !self.is_free(handle, ino, wish)
    }

    fn colliding_range(&self, handle: Handle, ino: Ino, start: u64, len: u64, kind: LockKind) -> Option<&RangeLock> {
        let end = end_of(start, len);
        self.ranges.iter().find(|range| {
            range.ino == ino
                && range.handle != handle
                && range.start < end
                && start < range.end
                && collide(range.kind, kind)
        })
    }

    fn grant(&mut self, handle: Handle, ino: Ino, wish: Wish) {
        match wish {
            Wish::Whole(kind) => {
                if let Some(open) = self.opens.get_mut(&handle) {
                    open.lock = Some(kind);
                }
            }
            Wish::Range { start, len, kind } => {
                self.unlock_range(handle, start, len);
                self.ranges.push(RangeLock { handle, ino, start, end: end_of(start, len), kind });
            }
        }
    }

    /// flock(2): a whole-file lock that is held already is given up before the other is asked for (L3).
    fn give_up_first(&mut self, handle: Handle, wish: Wish) -> bool {
        match (wish, self.opens.get_mut(&handle)) {
            (Wish::Whole(_), Some(open)) => open.lock.take().is_some(),
            _ => false,
        }
    }

    pub(super) fn unlock(&mut self, handle: Handle) {
        if let Some(open) = self.opens.get_mut(&handle) {
            open.lock = None;
        }
    }

    pub(super) fn unlock_range(&mut self, handle: Handle, start: u64, len: u64) {
        let end = end_of(start, len);
        let mut left = Vec::new();
        for range in std::mem::take(&mut self.ranges) {
            if range.handle != handle || range.end <= start || end <= range.start {
                left.push(range);
                continue;
            }
            if range.start < start {
                left.push(RangeLock { end: start, ..range });
            }
            if end < range.end {
                left.push(RangeLock { start: end, ..range });
            }
        }
        self.ranges = left;
    }

    pub(super) fn range_is_locked(&self, handle: Handle, start: u64, len: u64) -> io::Result<bool> {
        let ino = self.check(handle, Wish::Range { start, len, kind: LockKind::Shared })?;
        Ok(self.colliding_range(handle, ino, start, len, LockKind::Exclusive).is_some())
    }

    /// As `/proc/locks`: OFD locks name no process.
    pub(super) fn lock_table(&self, file: FileId) -> LockTable {
        let here = |ino: Ino| self.store.id(ino) == file;
        let pid = |process: ProcessId| self.processes.get(&process).map(|process| process.pid);
        let whole = self.opens.values().filter(|open| here(open.ino)).filter_map(|open| {
            Some(LockEntry { pid: pid(open.process), kind: open.lock?, waiting: false, range: false, start: 0 })
        });
        let ranges = self.ranges.iter().filter(|range| here(range.ino));
        let ranges = ranges.map(|range| LockEntry {
            pid: None,
            kind: range.kind,
            waiting: false,
            range: true,
            start: range.start,
        });
        let waiting = self.waiters.iter().filter(|waiter| here(waiter.ino)).map(|waiter| {
            let (pid, range, start) = match waiter.wish {
                Wish::Whole(_) => (pid(waiter.process), false, 0),
                Wish::Range { start, .. } => (None, true, start),
            };
            LockEntry { pid, kind: waiter.wish.kind(), waiting: true, range, start }
        });
        LockTable { entries: whole.chain(ranges).chain(waiting).collect() }
    }
}

impl Turn<'_> {
    pub(super) fn try_lock(self, world: &World, handle: Handle, wish: Wish) -> io::Result<bool> {
        self.run(|state| {
            let ino = state.check(handle, wish)?;
            if state.give_up_first(handle, wish) {
                world.changed.notify_all();
            }
            let free = state.is_free(handle, ino, wish);
            if free {
                state.grant(handle, ino, wish);
            }
            Ok(free)
        })
    }

    pub(super) fn lock(self, world: &Arc<World>, process: ProcessId, handle: Handle, wish: Wish) -> io::Result<()> {
        let (mut state, ino) = match self.verdict {
            super::faults::Verdict::Fail(error) | super::faults::Verdict::GoThenFail(error) => return Err(error),
            _ => {
                let ino = self.state.check(handle, wish)?;
                (self.state, ino)
            }
        };
        if state.give_up_first(handle, wish) {
            world.changed.notify_all();
        }
        if !state.is_free(handle, ino, wish) {
            state.waiters.push(Waiter { handle, ino, process, wish });
            let control = state.host.control();
            let mut in_time = true;
            if let Some(control) = control {
                let pid = state.processes.get(&process).map_or(0, |process| process.pid);
                drop(state);
                let seen = Arc::clone(world);
                control.at_lock(pid, Box::new(move || !seen.lock().must_wait(process, handle, ino, wish)));
                state = world.lock();
            } else {
                let (after, timeout) = world
                    .changed
                    .wait_timeout_while(state, PATIENCE, |state| state.must_wait(process, handle, ino, wish))
                    .unwrap_or_else(PoisonError::into_inner);
                state = after;
                in_time = !timeout.timed_out();
            }
            state.waiters.retain(|waiter| waiter.handle != handle);
            state.admit(process)?;
            state.opened(handle)?;
            if !in_time || !state.is_free(handle, ino, wish) {
                return Err(io::Error::new(io::ErrorKind::Deadlock, "nobody gave the simulated lock back"));
            }
        }
        state.grant(handle, ino, wish);
        Ok(())
    }
}
