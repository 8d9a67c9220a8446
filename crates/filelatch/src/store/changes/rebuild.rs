//! Making the index anew, from its sources or from itself.
//!
//! # Order of operations
//! What is damaged is moved aside ([`Log::repair`](crate::store::log::Log::repair)). Then the log is compacted: a snapshot of what the sources have, of
//! what of the old index they have not any more, and of how far they are taken in, takes the place of all records; what is taken in
//! meanwhile stays behind it, and counts if it goes on from there. So there is the old index or the new one, and none of its readers sees a mix.

use std::collections::{HashMap, HashSet};
use std::io;
use std::time::Duration;

use super::change::{Change, Written};
use super::feed;
use super::index::{Changes, unreadable};
use super::record::{self, Take as Takes, WAY_OUT};
use super::state::State;
use crate::audit::place::Place;
use crate::error::{Error, Result};
use crate::lock::LockOptions;
use crate::parts::epoch_millis;
use crate::store::StoreError;
use crate::store::log::Log;
use crate::store::log::compact::Take;
use crate::store::log::journal::Fold;

/// Changes in one record of a new index.
const BATCH: usize = 4096;
/// How often somebody else may be at it, and between two looks.
const TRIES: usize = 3000;
const PAUSE: Duration = Duration::from_millis(10);

/// What became of a rebuild.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebuilt {
    /// Changes that the audit log has.
    pub from_audit: u64,
    /// Changes of the old index that were taken over, because their sources are not there to be read again: of removed files of the audit log,
    /// and of sessions.
    pub taken_over: u64,
    /// Places of the old index that can't be read; they are beside it, in `….damaged-N`. What was in them is lost where no source has it any more.
    pub damaged: u64,
    /// Lines of the audit log that are no records.
    pub audit_damaged: u64,
    /// Records that the audit log had before the first one that it has now.
    pub audit_removed: u64,
}

/// What stays when the index is compacted. The default: the last change of each file by each session.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct CompactOptions {
    /// Older ones go.
    pub keep_age: Option<Duration>,
    /// Of the others the newest so many.
    pub keep_changes: Option<usize>,
}

impl CompactOptions {
    /// The last change of each file by each session.
    pub fn new() -> CompactOptions {
        CompactOptions::default()
    }

    /// Older changes go.
    #[must_use]
    pub fn keep_age(mut self, age: Duration) -> CompactOptions {
        self.keep_age = Some(age);
        self
    }

    /// The newest so many stay.
    #[must_use]
    pub fn keep_changes(mut self, count: usize) -> CompactOptions {
        self.keep_changes = Some(count);
        self
    }
}

/// What a compaction left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compacted {
    /// Changes that are there.
    pub kept: u64,
    /// Changes that are gone.
    pub removed: u64,
}

impl Changes {
    /// Makes the index anew from the audit log, and takes over what the old one has and the audit log has not any more. Damage of the old one is
    /// counted, not an error. Until the new index is there, whole and durable, the old one is.
    ///
    /// # Errors
    /// Of the audit log, the disk, the locks. Then the old index is there.
    pub fn rebuild(&self, lock: &LockOptions<'_>) -> Result<Rebuilt> {
        let Some(log) = self.existing_file()? else {
            let updated = self.update(lock)?;
            let (from_audit, audit_removed, audit_damaged) = (updated.changes, updated.missed, updated.damaged);
            return Ok(Rebuilt { from_audit, audit_damaged, audit_removed, ..Rebuilt::default() });
        };
        let moved = match log.journal().refresh(&mut Passed::default()) {
            Err(Error::Store { source: StoreError::Damaged { .. }, .. }) => log.repair(lock)?.moved.len() as u64,
            read => read.map(|()| 0)?,
        };
        let mut rebuilt = Rebuilt::default();
        self.replace(lock, &mut |new, old| {
            rebuilt = Rebuilt::default();
            let (mut place, mut known, mut first) = (None::<Place>, HashSet::new(), true);
            loop {
                let step = feed::step(&self.audit, place.as_ref()).map_err(|e| self.audit_failed(e))?;
                // Its files were removed under us: what was read of them is there.
                let Some(step) = step else { break };
                if std::mem::take(&mut first) {
                    rebuilt.audit_removed = step.missed;
                }
                rebuilt.audit_damaged += step.damaged;
                place = step.to.or(place);
                for change in step.changes {
                    known.extend(Written::of(&change).identity());
                    rebuilt.from_audit += 1;
                    new.add(change).map_err(|e| self.not_made(e))?;
                }
                if !step.more {
                    break;
                }
            }
            let mut salvage = Salvage { broken: moved > 0, broken_audit: moved > 0, ..Salvage::default() };
            let damaged = old.each(&mut |record| {
                salvage.read(record, &mut |change| {
                    if change.identity().is_none_or(|identity| !known.contains(&identity)) {
                        rebuilt.taken_over += 1;
                        new.add(change.change().ok_or_else(|| io::Error::other(unreadable()))?)?;
                    }
                    Ok(())
                })
            });
            rebuilt.damaged = moved + damaged.map_err(|e| self.not_made(e))?;
            Ok(State { place, sessions: salvage.state.sessions })
        })?;
        Ok(rebuilt)
    }

    /// Removes changes that newer ones of the same session and file have superseded, and those that are too many or too old.
    ///
    /// # Errors
    /// Of an index that is damaged, with the way out; of the disk and the locks. Then the old index is there.
    pub fn compact(&self, options: &CompactOptions, lock: &LockOptions<'_>) -> Result<Compacted> {
        let mut compacted = Compacted::default();
        self.replace(lock, &mut |new, old| {
            compacted = Compacted::default();
            // The last of each, by time and then by place.
            let mut last: HashMap<[u8; 16], (u64, u64)> = HashMap::new();
            let mut count = 0_u64;
            let mut salvage = Salvage::default();
            let damaged = old.each(&mut |record| {
                salvage.read(record, &mut |change| {
                    count += 1;
                    let key = (time_of(change)?, count);
                    let newest = last.entry(name_of(change)).or_insert(key);
                    *newest = key.max(*newest);
                    Ok(())
                })
            });
            if damaged.map_err(|e| self.not_made(e))? > 0 {
                let problem = "some of its lines can't be read".to_owned();
                let source = StoreError::Damaged { line: None, offset: None, problem, way_out: WAY_OUT.to_owned() };
                return Err(Error::Store { path: self.path.clone(), source });
            }
            let oldest = options.keep_age.and_then(|age| self.latch.parts().host.now().checked_sub(age));
            let oldest = oldest.map_or(0, epoch_millis);
            let mut kept: Vec<_> = last.into_values().filter(|(time, _)| *time >= oldest).collect();
            kept.sort_unstable();
            let over = options.keep_changes.map_or(0, |most| kept.len().saturating_sub(most));
            let kept: HashSet<_> = kept.into_iter().skip(over).map(|(_, count)| count).collect();
            let mut again = Salvage::default();
            let mut at = 0;
            let copied = old.each(&mut |record| {
                again.read(record, &mut |change| {
                    at += 1;
                    if kept.contains(&at) {
                        new.add(change.change().ok_or_else(|| io::Error::other(unreadable()))?)?;
                    }
                    Ok(())
                })
            });
            copied.map_err(|e| self.not_made(e))?;
            compacted = Compacted { kept: kept.len() as u64, removed: count - kept.len() as u64 };
            Ok(salvage.state)
        })?;
        Ok(compacted)
    }

    fn not_made(&self, e: io::Error) -> Error {
        match e.downcast::<StoreError>() {
            Ok(source) => Error::Store { path: self.path.clone(), source },
            Err(e) => e.downcast::<Error>().unwrap_or_else(|e| Error::io("make anew", &self.path, e)),
        }
    }

    /// Puts what `fill` gives in the place of all that there is.
    fn replace(&self, lock: &LockOptions<'_>, fill: &mut Fill<'_>) -> Result<()> {
        let Some(log) = self.existing_file()? else { return Ok(()) };
        let journal = log.journal();
        for _ in 0..TRIES {
            let done = journal.compact_with(&mut Passed::default(), lock, &mut |passed, take| {
                let old = Old { log: &log, last: passed.last };
                let mut new = New { take, at: 0, batch: Vec::new() };
                let state = fill(&mut new, &old)?;
                new.finish(&state).map_err(|e| self.not_made(e))
            })?;
            if done.is_some() {
                return Ok(());
            }
            self.latch.parts().host.sleep(PAUSE);
        }
        Err(self.not_made(io::Error::new(io::ErrorKind::TimedOut, "somebody else makes it anew and does not end")))
    }
}

type Fill<'a> = dyn FnMut(&mut New<'_, '_>, &Old<'_>) -> Result<State> + 'a;

/// Reads all and remembers where the last record was.
#[derive(Default)]
struct Passed {
    last: Option<u64>,
}

impl Fold for Passed {
    fn apply(&mut self, offset: u64, _: &[u8]) -> Result<(), StoreError> {
        self.last = Some(offset);
        Ok(())
    }

    fn begin_again(&mut self) {
        self.last = None;
    }
}

/// A change's time for comparing.
fn time_of(change: &Written<'_>) -> io::Result<u64> {
    change.at().map(epoch_millis).ok_or_else(|| io::Error::other(unreadable()))
}

/// File and session, as one short name.
fn name_of(change: &Written<'_>) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    let path = change.path().unwrap_or_default();
    hasher.update(path.as_os_str().as_encoded_bytes()).update(&[0]).update(change.by.as_bytes());
    let mut name = [0; 16];
    name.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    name
}

/// Reads the records of an old index, also behind damage.
#[derive(Default)]
struct Salvage {
    state: State,
    /// Something can't be read: what goes on from there is not known to be from the audit log, or a session, out of turn.
    broken: bool,
    broken_audit: bool,
}

impl Salvage {
    /// False: it can't be read.
    fn read(
        &mut self,
        record: Option<&[u8]>,
        each: &mut dyn FnMut(&Written<'_>) -> io::Result<()>,
    ) -> io::Result<bool> {
        let Some((record, take)) = record.and_then(|record| Some((record, record::head(record).ok()?))) else {
            (self.broken, self.broken_audit) = (true, true);
            return Ok(false);
        };
        if !self.accept(take) {
            return Ok(true);
        }
        let mut failed = None;
        let read = record::changes(record, &mut |change| {
            if failed.is_none() {
                failed = each(change).err();
            }
            Ok(())
        });
        match failed {
            Some(e) => Err(e),
            None => Ok(read.is_ok()),
        }
    }

    fn accept(&mut self, take: Takes) -> bool {
        match take {
            Takes::Audit { to, .. } if std::mem::take(&mut self.broken_audit) => {
                self.state.place = Some(to);
                true
            }
            Takes::Session(part) if self.broken && self.state.sessions.get(&part.name) != Some(&part) => {
                self.state.sessions.insert(part.name.clone(), part);
                true
            }
            take => self.state.accept(take),
        }
    }
}

/// The index as it is.
struct Old<'a> {
    log: &'a Log,
    /// Up to this record. What was taken in since stays behind the new one: taken over, it could be there twice.
    last: Option<u64>,
}

/// What is done with each record: false, it can't be read.
type EachRecord<'a> = dyn FnMut(Option<&[u8]>) -> io::Result<bool> + 'a;

struct Each<'a> {
    last: Option<u64>,
    tell: &'a mut EachRecord<'a>,
    damaged: u64,
    failed: Option<io::Error>,
}

impl Fold for Each<'_> {
    fn apply(&mut self, offset: u64, record: &[u8]) -> Result<(), StoreError> {
        if self.failed.is_none() && self.last.is_some_and(|last| offset <= last) {
            match (self.tell)(Some(record)) {
                Ok(is_read) => self.damaged += u64::from(!is_read),
                Err(e) => self.failed = Some(e),
            }
        }
        Ok(())
    }

    /// Nobody else can make it anew meanwhile.
    fn begin_again(&mut self) {}
}

impl Old<'_> {
    /// Answers how many could not be read, by the word of `each`.
    fn each(&self, each: &mut EachRecord<'_>) -> io::Result<u64> {
        let mut fold = Each { last: self.last, tell: &mut |record| each(record), damaged: 0, failed: None };
        self.log.journal().refresh(&mut fold).map_err(io::Error::other)?;
        match fold.failed {
            Some(e) => Err(e),
            None => Ok(fold.damaged),
        }
    }
}

/// A new index.
struct New<'a, 't> {
    take: &'a mut Take<'t>,
    at: u64,
    batch: Vec<Change>,
}

impl New<'_, '_> {
    fn add(&mut self, change: Change) -> io::Result<()> {
        self.batch.push(change);
        if self.batch.len() < BATCH { Ok(()) } else { self.put_batch() }
    }

    fn put_batch(&mut self) -> io::Result<()> {
        let batch = std::mem::take(&mut self.batch);
        for portion in record::portions(&batch).into_iter().filter(|portion| !portion.is_empty()) {
            self.put(&record::write(&Takes::Kept { place: None, sessions: Vec::new() }, portion))?;
        }
        Ok(())
    }

    fn put(&mut self, record: &[u8]) -> io::Result<()> {
        (self.take)(self.at, record).map_err(io::Error::other)?;
        self.at += 1;
        Ok(())
    }

    /// How far its sources are taken in.
    fn finish(&mut self, state: &State) -> io::Result<()> {
        self.put_batch()?;
        let sessions: Vec<_> = state.sessions.values().cloned().collect();
        for part in sessions.chunks(BATCH) {
            self.put(&record::write(&Takes::Kept { place: None, sessions: part.to_vec() }, &[]))?;
        }
        self.put(&record::write(&Takes::Kept { place: state.place, sessions: Vec::new() }, &[]))
    }
}
