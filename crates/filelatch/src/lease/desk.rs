//! What one process knows of the leases on one file, and who may write now.
//!
//! # Invariants
//! - A lease is granted, renewed and given back under the exclusive lock. So whoever has the lock and saw that no lease is in the
//!   way needs no second look, and a number that was current under the lock stays so until it is released.
//! - Numbers that this process has seen never come again, whatever happens to the file.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use filelatch_fs::{FileId, FsKind};

use super::file::{Found, LeaseFile};
use super::judge::{Known, Verdict, judge};
use super::record::LeaseRecord;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::lock::Holder;
use crate::lock::owner::Owner;
use crate::lock::resource::locked;
use crate::parts::Parts;
use crate::path::Place;

/// Part of an [`Entry`].
#[derive(Debug)]
pub(crate) struct LeaseDesk {
    pub(crate) file: LeaseFile,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// The greatest number seen.
    greatest: u64,
    /// A record that this process judges by how long it stays as it is, and since when.
    watched: Option<(LeaseRecord, Duration)>,
    /// Leases of this process, by number, and whose they are.
    own: HashMap<u64, Option<Owner>>,
    /// The lease of the program that started this one: what is written here is written under it.
    inherited: Option<u64>,
}

/// A lease that is not over.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) record: Box<LeaseRecord>,
    pub(crate) remaining: Duration,
    seen_alive: bool,
}

/// Whether the file is free to be leased or written.
#[derive(Debug)]
pub(crate) enum Look {
    Free {
        /// The number that the next one must exceed.
        last: u64,
        /// The file to replace.
        over: Option<FileId>,
    },
    Live(Live),
    /// The name is taken by what is not a lease: nobody has one.
    Foreign(&'static str),
}

impl Live {
    pub(crate) fn holder(&self, parts: &Parts) -> Holder {
        self.record.holder(&*parts.host, self.seen_alive)
    }

    /// The error of somebody else who wants to write.
    pub(crate) fn refusal(&self, parts: &Parts, place: &Place) -> Error {
        let (path, remaining) = (place.spelled.clone(), self.remaining);
        Error::Leased { path, holder: Box::new(self.holder(parts)), remaining }
    }
}

impl LeaseDesk {
    pub(crate) fn new(place: &Place) -> LeaseDesk {
        LeaseDesk { file: LeaseFile::of(place), memory: Mutex::default() }
    }

    /// The lease as it is now. Also without the lock, for those who wait or ask.
    pub(crate) fn look(&self, parts: &Parts, place: &Place) -> Result<Look> {
        let (record, id) = match self.file.read(&*place.dir)? {
            Found::Absent => return Ok(Look::Free { last: 0, over: None }),
            Found::Damaged(id) => return Ok(Look::Free { last: 0, over: Some(id) }),
            Found::Foreign(what) => return Ok(Look::Foreign(what)),
            Found::Newer(v) => {
                let problem = format!("its lease file is of a newer filelatch (record version {v})");
                return Err(Error::Unrecovered { path: place.spelled.clone(), problem });
            }
            Found::Record(record, id) => (record, id),
        };
        let now = parts.host.monotonic();
        let unchanged = self.see(&record, now);
        let facts = parts.facts();
        let known = Known {
            facts: &facts,
            now,
            local: place.dir.caps().kind == FsKind::Local,
            start_of: &|pid| parts.host.start_of(pid),
            unchanged,
        };
        Ok(match judge(&record, &known) {
            Verdict::Over => Look::Free { last: record.token, over: Some(id) },
            Verdict::Live { remaining, seen_alive } => Look::Live(Live { record, remaining, seen_alive }),
        })
    }

    /// For how long the record has been seen as it is.
    fn see(&self, record: &LeaseRecord, now: Duration) -> Duration {
        let mut memory = locked(&self.memory);
        memory.greatest = memory.greatest.max(record.token);
        match &memory.watched {
            Some((seen, since)) if seen == record => now.saturating_sub(*since),
            _ => {
                memory.watched = Some((record.clone(), now));
                Duration::ZERO
            }
        }
    }

    /// May somebody who has the lock, but no lease of this file, write? `owner`: whose own lease is not waited for.
    pub(crate) fn admits(&self, parts: &Parts, place: &Place, owner: Option<Owner>) -> Result<()> {
        match self.look(parts, place)? {
            Look::Free { .. } | Look::Foreign(_) => Ok(()),
            Look::Live(live) if owner.is_some() && self.is_own(&live, owner) => {
                Err(Error::Reentrant { path: place.spelled.clone() })
            }
            Look::Live(live) => Err(live.refusal(parts, place)),
        }
    }

    /// Is this lease still the one that everybody goes by, and not over? Only under the lock.
    pub(crate) fn current(&self, parts: &Parts, place: &Place, token: u64) -> Result<(Box<LeaseRecord>, FileId)> {
        let lost = |current, holder| Error::LeaseLost { path: place.spelled.clone(), token, current, holder };
        match self.file.read(&*place.dir)? {
            Found::Record(record, id) => {
                self.see(&record, parts.host.monotonic());
                let (current, ours) = (Some(record.token), record.token == token && !record.released);
                // By this boot's clock: whoever uses a number is on its holder's machine.
                let runs = record.boot == parts.facts().boot && parts.host.monotonic() < record.until();
                if ours && runs {
                    return Ok((record, id));
                }
                let holder = (record.token != token && !record.released).then(|| record.holder(&*parts.host, false));
                Err(lost(current, holder.map(Box::new)))
            }
            Found::Absent | Found::Damaged(_) | Found::Newer(_) | Found::Foreign(_) => Err(lost(None, None)),
        }
    }

    /// Is it a lease of this owner's (or, without one, of this process's)?
    pub(crate) fn is_own(&self, live: &Live, owner: Option<Owner>) -> bool {
        let memory = locked(&self.memory);
        memory.own.get(&live.record.token).is_some_and(|whose| owner.is_none() || *whose == owner)
    }

    pub(crate) fn granted(&self, token: u64, owner: Owner) {
        let mut memory = locked(&self.memory);
        memory.greatest = memory.greatest.max(token);
        memory.own.insert(token, Some(owner));
    }

    pub(crate) fn ended(&self, token: u64) {
        locked(&self.memory).own.remove(&token);
    }

    /// The greatest number that this process has seen for this file.
    pub(crate) fn greatest(&self) -> u64 {
        locked(&self.memory).greatest
    }

    pub(crate) fn inherit(&self, token: u64) {
        locked(&self.memory).inherited = Some(token);
    }

    pub(crate) fn inherited(&self) -> Option<u64> {
        locked(&self.memory).inherited
    }
}

impl Entry {
    /// May this process, which has the lock, write? Under the lease with this number, or without one.
    pub(crate) fn may_write(&self, fence: Option<u64>, owner: Option<Owner>) -> Result<()> {
        let (parts, place) = (self.parts(), self.place());
        match fence {
            Some(token) => self.leases.current(parts, place, token).map(drop),
            None if !self.policy.locks => Ok(()),
            None => self.leases.admits(parts, place, owner),
        }
    }
}
