//! What a power cut ends: processes, open files, locks; and the script of a test.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use crate::events::Happened;
use crate::types::{Access, LockKind, Timestamp};

use super::call::Call;
use super::errors;
use super::faults::Faults;
use super::hints::{Hints, Way};
use super::host::SimHost;
use super::locks::{RangeLock, Waiter};
use super::simfs::SimFs;
use super::store::{Ino, Store};

/// Told of each call before it happens.
pub(super) type Observer = Arc<dyn Fn(&SimFs, &Call) + Send + Sync>;
/// Acts once, before one call.
pub(super) type Act = Box<dyn FnOnce(&SimFs) + Send>;

/// Which process; never used again, unlike its pid.
pub(super) type ProcessId = u64;
/// Which open file description.
pub(super) type Handle = u64;

/// The process that foreign programs and hooks act as; its calls are neither counted nor hooked nor made to fail.
pub(super) const FOREIGN: ProcessId = 0;

#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) alive: bool,
}

#[derive(Debug)]
pub(super) struct Open {
    pub(super) ino: Ino,
    pub(super) process: ProcessId,
    pub(super) access: Access,
    /// The name that it was opened by.
    pub(super) by: Way,
    pub(super) lock: Option<LockKind>,
}

impl Open {
    pub(super) fn writable(&self) -> bool {
        self.access != Access::Read
    }
}

pub(super) struct State {
    pub(super) store: Store,
    pub(super) host: SimHost,
    pub(super) processes: BTreeMap<ProcessId, Process>,
    pub(super) opens: BTreeMap<Handle, Open>,
    pub(super) ranges: Vec<RangeLock>,
    pub(super) waiters: Vec<Waiter>,
    next_handle: Handle,

    pub(super) faults: Faults,
    pub(super) hints: Hints,
    pub(super) observer: Option<Observer>,
    pub(super) acts: BTreeMap<u64, Vec<Act>>,
    /// Threads that are inside a hook.
    pub(super) backstage: Vec<ThreadId>,

    pub(super) calls: u64,
    pub(super) trace: Vec<Call>,
    pub(super) cut_before: Option<u64>,
    pub(super) cut: bool,
}

/// State and the waits for it to change.
pub(super) struct World {
    state: Mutex<State>,
    /// A lock was given back, a process died, the power went.
    pub(super) changed: Condvar,
}

impl World {
    pub(super) fn new(state: State) -> Self {
        World { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// A test that failed in another thread must not hide what it found behind a poisoned mutex.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World")
    }
}

impl State {
    pub(super) fn new(store: Store, host: SimHost) -> Self {
        let foreign = Process { pid: 1, alive: true };
        State {
            store,
            host,
            processes: BTreeMap::from([(FOREIGN, foreign)]),
            opens: BTreeMap::new(),
            ranges: Vec::new(),
            waiters: Vec::new(),
            next_handle: 3,
            faults: Faults::default(),
            hints: Hints::default(),
            observer: None,
            acts: BTreeMap::new(),
            backstage: Vec::new(),
            calls: 0,
            trace: Vec::new(),
            cut_before: None,
            cut: false,
        }
    }

    pub(super) fn start_process(&mut self, pid: u32) -> ProcessId {
        let id = self.processes.keys().last().map_or(FOREIGN, |last| *last) + 1;
        self.processes.insert(id, Process { pid, alive: true });
        self.host.start_process(pid);
        id
    }

    /// Ends a process: its open files are closed and with them its locks are gone.
    pub(super) fn kill(&mut self, process: ProcessId) {
        if let Some(process) = self.processes.get_mut(&process) {
            process.alive = false;
            self.host.end_process(process.pid);
        }
        self.hints.end_process(process);
        let handles: Vec<Handle> =
            self.opens.iter().filter(|(_, open)| open.process == process).map(|(handle, _)| *handle).collect();
        for handle in handles {
            self.close(handle);
        }
    }

    /// Is there power, and does the process live?
    pub(super) fn admit(&self, process: ProcessId) -> io::Result<()> {
        if self.cut {
            return Err(errors::power_cut());
        }
        if self.processes.get(&process).is_some_and(|process| process.alive) { Ok(()) } else { Err(errors::killed()) }
    }

    /// Lets the file system's clock tick.
    pub(super) fn tick(&mut self) {
        let granule = self.store.dials.timestamp_granule.as_nanos().max(1);
        let since = self.host.since_epoch().as_nanos() / granule * granule;
        self.store.now = Timestamp {
            secs: i64::try_from(since / 1_000_000_000).unwrap_or(i64::MAX),
            nanos: u32::try_from(since % 1_000_000_000).unwrap_or_default(),
        };
    }

    /// Opens what has a name, for somebody.
    pub(super) fn open(&mut self, process: ProcessId, ino: Ino, by: Way, access: Access) -> Handle {
        let handle = self.next_handle;
        self.next_handle += 1;
        self.store.inode_mut(ino).opens += 1;
        self.opens.insert(handle, Open { ino, process, access, by, lock: None });
        handle
    }

    pub(super) fn close(&mut self, handle: Handle) {
        if self.opens.get(&handle).is_some_and(Open::writable) {
            self.note_open(handle, Happened::Closed);
        }
        if let Some(open) = self.opens.remove(&handle) {
            self.store.inode_mut(open.ino).opens -= 1;
            self.ranges.retain(|range| range.handle != handle);
        }
    }

    pub(super) fn opened(&self, handle: Handle) -> io::Result<&Open> {
        self.opens.get(&handle).ok_or_else(errors::killed)
    }
}
