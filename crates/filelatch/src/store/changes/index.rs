//! The index: taking in, asking.

use std::path::{Path, PathBuf};

use super::change::{Change, Written};
use super::feed::{self, Step};
use super::filter::ChangeFilter;
use super::record::{self, SessionPart, Take};
use super::state::{Known, State};
use crate::audit::Audit;
use crate::audit::place::Place;
use crate::engine::Filelatch;
use crate::error::{Error, Result};
use crate::lock::LockOptions;
use crate::parts::epoch_millis;
use crate::store::log::Log;
use crate::store::log::journal::{Fold, Journal};
use crate::store::{OwnStore, StoreError};

/// How often the audit log may become another one while it is read.
const TRIES: usize = 100;
/// Changes that are sorted in memory at once.
const AT_ONCE: usize = 1 << 16;

/// The index of changed files of a workspace. From [`Filelatch::changes`].
#[derive(Clone, Debug)]
pub struct Changes {
    pub(super) latch: Filelatch,
    pub(super) audit: Audit,
    pub(super) path: PathBuf,
}

/// What was taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Updated {
    /// Changes that the index has now and had not before.
    pub changes: u64,
    /// Records of the audit log that were removed by its policy before they were taken in.
    pub missed: u64,
    /// Lines of the audit log that are no records.
    pub damaged: u64,
}

/// How far a session is taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionTaken {
    /// The commit up to which all of it is.
    pub since: Option<String>,
    /// The commit up to which somebody was taking it in when he was interrupted: up to there it should be gone on.
    pub until: Option<String>,
}

/// What a session has changed between two commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionChanges {
    /// The last commit.
    pub tip: String,
    /// All that is different by it from the commit up to which it had been taken in.
    pub changes: Vec<Change>,
}

impl Filelatch {
    /// The index of changed files of the workspace that a directory belongs to. It need not have been begun.
    ///
    /// # Errors
    /// [`Error::NoWorkspace`].
    pub fn changes(&self, dir: impl AsRef<Path>) -> Result<Changes> {
        let path = self.own_store(dir.as_ref(), OwnStore::Changes, false)?;
        Ok(Changes { latch: self.clone(), audit: self.audit(dir)?, path })
    }
}

/// What is done with each change that is wanted: by time and ordinal, both from the index.
type EachKey<'a> = dyn FnMut((u64, u64), &Written<'_>) -> Result<(), StoreError> + 'a;

/// What a reader of the index wants to know of each change.
struct Reader<'a> {
    state: State,
    each: &'a mut dyn FnMut(&Written<'_>) -> Result<(), StoreError>,
}

impl Fold for Reader<'_> {
    fn apply(&mut self, _: u64, record: &[u8]) -> Result<(), StoreError> {
        self.state.read(record, self.each)
    }

    fn begin_again(&mut self) {
        self.state = State::default();
    }
}

impl Fold for State {
    fn apply(&mut self, _: u64, record: &[u8]) -> Result<(), StoreError> {
        self.accept(record::head(record)?);
        Ok(())
    }

    fn begin_again(&mut self) {
        *self = State::default();
    }
}

impl Changes {
    /// The index's file. It need not exist.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The workspace's folder, which the paths of changes are relative to.
    pub fn root(&self) -> &Path {
        self.audit.root()
    }

    /// `None`: it has not been begun.
    pub(super) fn existing(&self) -> Result<Option<Log>> {
        match self.latch.log(&self.path) {
            Ok(log) => Ok(Some(log)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `None`: there is no file.
    pub(super) fn existing_file(&self) -> Result<Option<Log>> {
        match self.latch.parts().fs.stat(&self.path) {
            Ok(_) => self.existing(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("look for", &self.path, e)),
        }
    }

    fn open(&self) -> Result<Log> {
        self.latch.own_store(self.root(), OwnStore::Changes, true)?;
        self.latch.log(&self.path)
    }

    pub(super) fn audit_failed(&self, e: std::io::Error) -> Error {
        Error::io("read the audit log in", self.audit.path(), e)
    }

    /// Takes in what the audit log has recorded since the last time. Several programs may do this at once: nothing is there twice, and nothing
    /// is missing. What was taken in is durable when this returns.
    ///
    /// Of an audit log that has lost its end (a power cut) or was begun anew, what the index has not yet is taken in; what it has stays.
    ///
    /// # Errors
    /// Of the index, with a way out; of the audit log. What was taken in before the error stays.
    pub fn update(&self, lock: &LockOptions<'_>) -> Result<Updated> {
        let journal = self.open()?.journal();
        let mut state = State::default();
        let mut updated = Updated::default();
        let mut restless = 0;
        while restless < TRIES {
            journal.refresh(&mut state).map_err(with_way_out)?;
            let from = state.place;
            let (mut step, read_from) = if let Some(step) = self.step(from.as_ref())? {
                (step, from)
            } else {
                let start = self.last_known()?;
                // While it is looked for the log may change once more.
                restless += 1;
                let Some(step) = self.step(start.as_ref())? else { continue };
                (step, start)
            };
            updated.damaged += step.damaged;
            // The index may stand at another place although there is nothing new.
            step.to = step.to.or(read_from).filter(|to| Some(*to) != from);
            let Some(to) = step.to.filter(|_| step.counts || read_from != from) else { return Ok(updated) };
            let taken = self.transact(&journal, &mut state, lock, |state, records| {
                let is_ours = state.place == from;
                records.extend(is_ours.then(|| record::write(&Take::Audit { from, to }, &step.changes)));
                is_ours
            })?;
            if taken {
                updated.changes += step.changes.len() as u64;
                updated.missed += step.missed;
                if !step.more {
                    return Ok(updated);
                }
            }
        }
        Ok(updated)
    }

    fn step(&self, from: Option<&Place>) -> Result<Option<Step>> {
        feed::step(&self.audit, from).map_err(|e| self.audit_failed(e))
    }

    /// The last record of the audit log that the index has.
    fn last_known(&self) -> Result<Option<Place>> {
        let mut known = Known::default();
        self.scan(&mut |change| {
            known.add(change);
            Ok(())
        })?;
        self.audit.last_known(&|n, chain| known.has(n, chain)).map_err(|e| self.audit_failed(e))
    }

    /// Takes in what a session has changed. `find` is told how far the session is taken in and answers what follows, up to the newest
    /// commit; it is asked again when somebody else was faster, or when somebody was interrupted. Answers how many changes were taken in,
    /// durably. The same commit is never taken in twice.
    ///
    /// # Errors
    /// Of `find`; of the index.
    pub fn take_session<E: From<Error>>(
        &self,
        name: &str,
        lock: &LockOptions<'_>,
        mut find: impl FnMut(&SessionTaken) -> Result<Option<SessionChanges>, E>,
    ) -> Result<u64, E> {
        let journal = self.open()?.journal();
        let mut state = State::default();
        let mut count = 0;
        loop {
            journal.refresh(&mut state).map_err(with_way_out)?;
            let known = state.sessions.get(name).cloned();
            let told = match &known {
                None => SessionTaken::default(),
                Some(known) if known.is_last() => SessionTaken { since: Some(known.tip.clone()), until: None },
                Some(known) => SessionTaken { since: known.since.clone(), until: Some(known.tip.clone()) },
            };
            let Some(mut found) = find(&told)? else { return Ok(count) };
            let goes_on = known.as_ref().filter(|known| known.tip == found.tip);
            if goes_on.is_some_and(SessionPart::is_last) {
                return Ok(count);
            }
            found.changes.sort_by(|a, b| a.path.cmp(&b.path));
            let portions = record::portions(&found.changes);
            let done = goes_on.map_or(0, |known| known.part);
            let parts = portions.iter().enumerate().skip(done);
            let records: Vec<_> = parts
                .map(|(i, portion)| {
                    let (since, tip) = (told.since.clone(), found.tip.clone());
                    let part = SessionPart { name: name.to_owned(), since, tip, part: i + 1, parts: portions.len() };
                    record::write(&Take::Session(part), portion)
                })
                .collect();
            let is_taken = self.transact(&journal, &mut state, lock, |state, out| {
                let is_ours = state.sessions.get(name) == known.as_ref();
                if is_ours {
                    out.extend(records.iter().cloned());
                }
                is_ours
            })?;
            if is_taken {
                count += portions.iter().skip(done).map(|portion| portion.len() as u64).sum::<u64>();
            }
        }
    }

    /// Decides under the index's lock, writes, and makes durable. Answers what `decide` did.
    fn transact(
        &self,
        journal: &Journal,
        state: &mut State,
        lock: &LockOptions<'_>,
        mut decide: impl FnMut(&State, &mut Vec<Vec<u8>>) -> bool,
    ) -> Result<bool> {
        let id = || self.latch.parts().fs.stat(&self.path).ok().map(|stat| stat.id);
        let before = id();
        let done = journal.transact(state, true, lock, |state, records| Ok::<_, Error>(decide(state, records)));
        match done {
            // Made anew between the write and its sync: what was written under the lock is in the new one, which was synced before it was put here.
            Err(Error::Store { source: StoreError::NotDurable { .. }, .. })
                if id().is_some_and(|now| Some(now) != before) =>
            {
                Ok(true)
            }
            done => done.map_err(with_way_out),
        }
    }

    /// Reads all of it, as it is now.
    pub(super) fn scan(&self, each: &mut dyn FnMut(&Written<'_>) -> Result<(), StoreError>) -> Result<()> {
        let Some(log) = self.existing()? else { return Ok(()) };
        log.journal().refresh(&mut Reader { state: State::default(), each }).map_err(with_way_out)
    }

    /// Tells of the changes that are wanted, by time, those of one time in the order in which they were taken in. However many there are, the
    /// memory that it takes is 16 bytes for each, and 65,536 of them.
    ///
    /// While there are more than that nobody takes anything in: the index is read several times.
    ///
    /// # Errors
    /// Of the index, with a way out.
    pub fn for_each(&self, filter: &ChangeFilter, each: &mut dyn FnMut(Change)) -> Result<()> {
        let mut some = Vec::new();
        let mut count = 0;
        self.wanted(filter, &mut |key, change| {
            count += 1;
            if count <= AT_ONCE {
                some.push((key, change.change().ok_or_else(unreadable)?));
            } else {
                some = Vec::new();
            }
            Ok(())
        })?;
        if count <= AT_ONCE {
            some.sort_by_key(|(key, _)| *key);
            for (_, change) in some {
                each(change);
            }
            return Ok(());
        }
        let Some(log) = self.existing()? else { return Ok(()) };
        let _still = log.file().lock_shared(&LockOptions::new())?;
        let mut keys = Vec::with_capacity(count);
        self.wanted(filter, &mut |key, _| {
            keys.push(key);
            Ok(())
        })?;
        keys.sort_unstable();
        for part in keys.chunks(AT_ONCE) {
            let (Some(first), Some(last)) = (part.first(), part.last()) else { continue };
            let mut some = Vec::with_capacity(part.len());
            self.wanted(filter, &mut |key, change| {
                if (*first..=*last).contains(&key) {
                    some.push((key, change.change().ok_or_else(unreadable)?));
                }
                Ok(())
            })?;
            some.sort_by_key(|(key, _)| *key);
            for (_, change) in some {
                each(change);
            }
        }
        Ok(())
    }

    /// The changes that are wanted, by time. All of them are in memory then.
    ///
    /// # Errors
    /// As [`Changes::for_each`].
    pub fn list(&self, filter: &ChangeFilter) -> Result<Vec<Change>> {
        let mut all = Vec::new();
        self.for_each(filter, &mut |change| all.push(change))?;
        Ok(all)
    }

    fn wanted(&self, filter: &ChangeFilter, each: &mut EachKey<'_>) -> Result<()> {
        let mut ordinal = 0;
        self.scan(&mut |change| {
            ordinal += 1;
            if !filter.admits_written(change) {
                return Ok(());
            }
            each((epoch_millis(change.at().ok_or_else(unreadable)?), ordinal), change)
        })
    }
}

/// Of a damaged index there is a better way out than of any log.
fn with_way_out(error: Error) -> Error {
    match error {
        Error::Store { path, source: StoreError::Damaged { line, offset, problem, .. } } => {
            let way_out = record::WAY_OUT.to_owned();
            Error::Store { path, source: StoreError::Damaged { line, offset, problem, way_out } }
        }
        other => other,
    }
}

/// What JSON is and no change.
pub(super) fn unreadable() -> StoreError {
    record::damaged("a change in it has no time or no path".to_owned())
}
