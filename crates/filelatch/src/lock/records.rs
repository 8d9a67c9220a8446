//! Locks on records of a file: `state.json#task-7` (LOCK-17, P10).
//!
//! # Promise
//! - One holder for each record among all that use this protocol, and as many records held at once as there are. Who holds the whole
//!   file, exclusive or shared, excludes all records, and is excluded by each.
//! - The kernel holds the locks: those of a process that dies are free, and nothing is left of them. There is no file for a record.
//! - Waiting is first come, first served inside a process, nobody starves among processes (P2), and whoever gave up waiting never
//!   holds the record later (LOCK-8).
//! - Publishing under record locks is one at a time, reads what is there then, and loses nobody's change.
//!
//! # Non-promise
//! - Two records whose names have the same hash (60 bits) are one lock. One owner that holds both is not stopped by that.
//! - `flock -s` on the lock file does not exclude those who lock records; `flock -x` does.
//! - Where there are no byte-range locks beside flock (network file systems, macOS), with a fallback lock (P4), or where the lock file may only be read, a
//!   record's lock is the exclusive lock of the whole file ([`RecordGuard::locks_whole_file`](crate::RecordGuard::locks_whole_file)).
//!
//! # How
//! All who hold records share the lock file's flock. Each record is one byte far beyond the end of the lock file, locked exclusively by a
//! byte-range lock that belongs to the open file. Readers of the whole file share flock, too, and lock the bytes of all records for
//! reading; whoever wants the whole file exclusively asks flock and waits for all of them.
//!
//! | byte | what |
//! |---|---|
//! | [`PUBLISH`] | held while a new version is made and published under record locks |
//! | [`FIRST`] + (hash mod [`RECORDS`]) | a record; the hash is the first eight bytes of the name's BLAKE3 hash, most significant first |
//! | these + 2^61 | their gates: see [`slots`](super::slots) |
//!
//! # Order of operations
//! flock, shared (with those of this process who have it already) → the record's byte → … → [`PUBLISH`] → complete what a dead holder
//! left unfinished → read, change, publish → [`PUBLISH`] back → the byte back → flock back with the last.
//!
//! An owner that holds a record goes past those who wait for the whole file when it asks for another: they wait for it.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};

use filelatch_fs::{Access, LockKind};

use super::Wait;
use super::acquire::{Request, Target};
use super::options::LockMode;
use super::owner::Owner;
use super::resource::{Begin, Resource, Tenure, Ticket, locked};
use super::slots::{ByteTenure, Slots, Wanted, path_of};
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::guard::Held;
use crate::version::Version;

/// The byte of the first record.
pub(crate) const FIRST: u64 = 1 << 62;
/// Bytes for records.
pub(crate) const RECORDS: u64 = 1 << 60;
/// Who has this byte publishes.
pub(crate) const PUBLISH: u64 = FIRST - 1;

/// The byte of a record.
pub(crate) fn byte_of(record: &str) -> u64 {
    let hash = Version::of(record.as_bytes());
    let first = hash.as_bytes().iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte));
    FIRST + first % RECORDS
}

/// Names in the order in which they are locked everywhere, each once, with their places as given.
pub(crate) fn in_order<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<(usize, Arc<str>)> {
    let mut names: Vec<(usize, &str)> = names.into_iter().enumerate().collect();
    names.sort_by_key(|(place, name)| (byte_of(name), *name, *place));
    names.dedup_by_key(|(_, name)| *name);
    names.into_iter().map(|(place, name)| (place, Arc::from(name))).collect()
}

/// The records of one file, as far as this process has locked them.
#[derive(Debug)]
pub(crate) struct Records {
    whole: Arc<Resource>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Arc<Slots>>,
    /// Those whose open lock file other programs have as well: nothing new is locked with them.
    handed_on: Vec<Weak<Slots>>,
    /// Records that are locked with the whole file.
    whole: Vec<(Owner, Weak<WithWhole>)>,
    /// Records that the process which started this one holds for us (P12).
    inherited: Vec<u64>,
}

/// A record that is locked with the whole file, perhaps together with others of one owner.
#[derive(Debug)]
pub(crate) struct WithWhole {
    name: Arc<str>,
    pub(crate) held: Arc<Held>,
}

/// A record's lock.
#[derive(Debug)]
pub(crate) enum RecordTenure {
    Byte(ByteTenure),
    Whole(Arc<WithWhole>),
}

/// The way to a record's byte: the shared lock that everybody has who has one.
pub(crate) struct Door {
    slots: Arc<Slots>,
    name: Arc<str>,
    /// The owner has it already.
    pub(crate) tenure: Option<Arc<Tenure>>,
    /// The owner holds records of this file elsewhere: who waits, waits for it.
    pub(crate) past: bool,
}

impl Target for Door {
    type Held = Tenure;
    type Ticket = Ticket;

    fn begin(&self, request: &Request<'_>) -> Result<Begin> {
        let resource = self.slots.resource();
        resource.begin(LockKind::Shared, request.owner, request.wait != Wait::No, self.past)
    }

    fn resource(&self) -> &Arc<Resource> {
        self.slots.resource()
    }

    fn name(&self) -> String {
        self.resource().place.id.to_string()
    }

    fn path(&self) -> PathBuf {
        path_of(self.resource(), &self.name)
    }
}

impl Door {
    /// Asks for a byte with the shared lock. `None`: it is of no use for that, and the whole file has to be locked.
    pub(crate) fn wanted(&self, byte: u64, tenure: Arc<Tenure>) -> Option<Wanted> {
        let fit = self.resource().sidecar().is_some_and(|sidecar| sidecar.has_records());
        let (slots, name) = (Arc::clone(&self.slots), Arc::clone(&self.name));
        (tenure.enforced && fit).then_some(Wanted { slots, byte, name, tenure })
    }
}

impl Records {
    pub(crate) fn new(whole: Arc<Resource>) -> Records {
        Records { whole, state: Mutex::default() }
    }

    /// The way to a record. `None`: it is locked with the whole file.
    pub(crate) fn door(&self, name: &Arc<str>, owner: Owner) -> Option<Door> {
        let by_file = self.whole.mode() == LockMode::File;
        if by_file || !self.whole.place.dir.caps().range_locks || self.whole.inherited().is_some() {
            return None;
        }
        let mut state = locked(&self.state);
        let State { current, handed_on, inherited, .. } = &mut *state;
        let new = || Arc::new(Slots::new(self.whole.for_records(), inherited.clone()));
        let slots = Arc::clone(current.get_or_insert_with(new));
        handed_on.retain(|slots| slots.strong_count() > 0);
        let elsewhere = handed_on.iter().filter_map(Weak::upgrade).any(|slots| slots.is_held_by(owner));
        let past = elsewhere || !inherited.is_empty();
        drop(state);
        let tenure = slots.tenure_of(owner);
        Some(Door { slots, name: Arc::clone(name), tenure, past })
    }

    /// A record of an owner that has locked the whole file for another one.
    pub(crate) fn with_whole(&self, name: &Arc<str>, owner: Owner) -> Result<Option<RecordTenure>> {
        let mut state = locked(&self.state);
        state.whole.retain(|(_, record)| record.strong_count() > 0);
        let own = state.whole.iter().filter(|(other, _)| *other == owner).filter_map(|(_, record)| record.upgrade());
        // What went on without a lock helps nobody else.
        let own: Vec<_> = own.filter(|record| record.held.tenure.is_some()).collect();
        if own.iter().any(|record| record.name == *name) {
            return Err(Error::Reentrant { path: path_of(&self.whole, name) });
        }
        let Some(first) = own.first() else {
            if self.whole.is_held_by(owner) {
                return Err(Error::Reentrant { path: path_of(&self.whole, name) });
            }
            return Ok(None);
        };
        let record = Arc::new(WithWhole { name: Arc::clone(name), held: Arc::clone(&first.held) });
        state.whole.push((owner, Arc::downgrade(&record)));
        Ok(Some(RecordTenure::Whole(record)))
    }

    /// The whole file was locked for a record.
    pub(crate) fn add_whole(&self, name: &Arc<str>, owner: Owner, held: Arc<Held>) -> RecordTenure {
        let record = Arc::new(WithWhole { name: Arc::clone(name), held });
        locked(&self.state).whole.push((owner, Arc::downgrade(&record)));
        RecordTenure::Whole(record)
    }

    fn all(&self) -> Vec<Arc<Slots>> {
        let state = locked(&self.state);
        state.current.iter().cloned().chain(state.handed_on.iter().filter_map(Weak::upgrade)).collect()
    }

    /// Does this owner hold a record?
    pub(crate) fn is_held_by(&self, owner: Owner) -> bool {
        self.all().iter().any(|slots| slots.is_held_by(owner))
    }

    /// Names of what an owner holds.
    pub(crate) fn holdings(&self, owner: Owner) -> Vec<String> {
        self.all().iter().flat_map(|slots| slots.holdings(owner)).collect()
    }

    /// May an owner ask for the whole file? Waiting for its own records, or for those of the process that started this one, would never
    /// end.
    pub(crate) fn allow_whole(&self, owner: Owner) -> Result<()> {
        let path = || self.whole.place.spelled.clone();
        if !locked(&self.state).inherited.is_empty() {
            return Err(Error::HeldByParent { path: path() });
        }
        if self.is_held_by(owner) { Err(Error::Reentrant { path: path() }) } else { Ok(()) }
    }

    /// Lets programs that are started from now on inherit the held records; answers the descriptor's number.
    pub(crate) fn hand_on(&self, slots: &Arc<Slots>) -> Result<Option<u64>> {
        let number = slots.hand_on()?;
        let mut state = locked(&self.state);
        if state.current.take_if(|current| Arc::ptr_eq(current, slots)).is_some() {
            state.handed_on.push(Arc::downgrade(slots));
        }
        Ok(number)
    }

    /// Uses the record's lock that was inherited with a descriptor (P12). False: the descriptor holds no such lock.
    pub(crate) fn adopt(&self, byte: u64, number: u64) -> bool {
        let holds = self.inherited_file_has(byte, number).unwrap_or(false);
        if holds {
            locked(&self.state).inherited.push(byte);
        }
        holds
    }

    /// Somebody has the byte, and asking the inherited file for it succeeds: then it is that file that has it.
    fn inherited_file_has(&self, byte: u64, number: u64) -> io::Result<bool> {
        let (dir, lock) = (&self.whole.place.dir, &self.whole.lock.name);
        let file = self.whole.parts.fs.inherited(number)?;
        if file.stat()?.id != dir.stat(lock)?.id {
            return Ok(false);
        }
        let taken = dir.open(lock, Access::Read)?.range_is_locked(byte, 1)?;
        Ok(taken && file.try_lock_range(byte, 1, LockKind::Exclusive)?)
    }

    /// In a forked child: closes the inherited lock files.
    pub(crate) fn close_after_fork(&self) {
        let Ok(state) = self.state.try_lock() else { return };
        for slots in state.current.iter().cloned().chain(state.handed_on.iter().filter_map(Weak::upgrade)) {
            slots.close_after_fork();
        }
    }
}

/// What a dead holder left unfinished is completed before anybody builds on it. Only with the byte [`PUBLISH`].
pub(crate) fn complete(entry: &Entry, turn: &ByteTenure) -> Result<()> {
    match turn.shared().resource.look_for_intent()? {
        Some(intent) => entry.complete(turn.shared(), &intent),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LOCK-17 (P10): the bytes are a contract between versions and programs.
    #[test]
    fn bytes_of_records() {
        assert_eq!(PUBLISH, (1 << 62) - 1);
        let seven = byte_of("task-7");
        assert!((FIRST..FIRST + RECORDS).contains(&seven));
        assert_ne!(seven, byte_of("task-8"));
        // `printf task-7 | b3sum | cut -c2-16`: the first digit is what the modulus takes off.
        let text = Version::of(b"task-7").to_string();
        assert_eq!(format!("{:015x}", seven - FIRST), text[1..16]);
    }
}
