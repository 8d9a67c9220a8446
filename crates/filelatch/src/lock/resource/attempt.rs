//! One round with the system: open the lock file, lock, recheck, look at the record, sign. Without the state's mutex up to the
//! moment when the lock is noted.
//!
//! # Invariants
//! - After an error, or when the name stands for another file, the lock is given back; it never stays with a file that is kept open.
//! - A record with an unfinished write is not signed over.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use filelatch_fs::{LockKind, Stat, Timestamp};

use super::super::options::LockMode;
use super::super::record::{Found, NEWEST, Record};
use super::super::sidecar::{Opened, Sidecar, Try, Waited};
use super::strays::KernelWait;
use super::{Os, Resource, State, locked};
use crate::error::{Error, Result};

/// A record older than this is written anew when the process locks again: "since" is right to this much.
const SIGNATURE_AGE: Duration = Duration::from_secs(1);

/// The record as this process last wrote it.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) line: Vec<u8>,
    pub(super) at: Duration,
    /// Time of change and length of the lock file, once they can be told apart from those of any later change.
    pub(super) seen: Option<(Timestamp, u64)>,
}

/// How to ask the system.
#[derive(Clone, Copy)]
pub(super) enum How {
    Wait,
    /// At once or not at all; past those who wait at the gate, or not.
    Try {
        overtake: bool,
    },
}

pub(super) enum Attempt {
    Got {
        sidecar: Arc<Sidecar>,
        head: Head,
    },
    Held,
    /// The wait has become a stray, and is over.
    Stray,
    /// The wait was called off, and is over.
    CalledOff,
    /// No lock can be had here at all.
    Impossible(io::Error),
}

/// The head of the lock file as found after locking.
pub(super) struct Head {
    found: Option<Found>,
    len: usize,
    ours_already: bool,
    /// Others wait at the gate, and it is still this process's turn.
    overtook: bool,
}

impl Resource {
    /// One round with the system, without the state's mutex: open, lock, recheck, look at the record.
    pub(super) fn attempt(&self, kind: LockKind, sidecar: Option<Arc<Sidecar>>, how: How) -> Result<Attempt> {
        let fail = |action, e| Error::io(action, &self.lock.path, e);
        let mut kept = sidecar;
        loop {
            let sidecar = match kept.take() {
                Some(sidecar) if kind == LockKind::Exclusive && sidecar.inherited() == Some(LockKind::Shared) => {
                    return Err(Error::HeldByParent { path: self.place.spelled.clone() });
                }
                Some(sidecar) => sidecar,
                None => match Sidecar::open(&self.parts, &self.place, &self.lock, self.mode(), &self.helpers.heart)? {
                    Opened::Sidecar(sidecar) if self.for_records => Arc::new(sidecar),
                    Opened::Sidecar(sidecar) => Arc::new(sidecar.excluding_records(&*self.place.dir)),
                    Opened::Impossible(e) => return Ok(Attempt::Impossible(e)),
                },
            };
            let mut overtook = false;
            if let How::Try { overtake } = how {
                match sidecar.try_lock(kind, overtake) {
                    Err(e) if self.falls_back(&e) => continue,
                    Err(e) => return Err(self.abandon(&sidecar, fail("lock", e))),
                    Ok(Try::Had) => {}
                    Ok(Try::Overtook) => overtook = true,
                    Ok(Try::Refused) => {
                        // A file that was replaced tells nothing about who holds the lock.
                        let current = sidecar.current(&*self.place.dir, &self.lock);
                        if current.map_err(|e| fail("examine", e))?.is_none() {
                            continue;
                        }
                        locked(&self.state).sidecar = Some(sidecar);
                        return Ok(Attempt::Held);
                    }
                }
            } else {
                let wait = KernelWait { sidecar: Arc::clone(&sidecar), kind, called_off: false };
                {
                    let mut state = locked(&self.state);
                    sidecar.expect_wait();
                    state.kernel = Some(wait);
                }
                let had = sidecar.lock(kind);
                if !locked(&self.state).came_back(&sidecar) {
                    return Ok(Attempt::Stray);
                }
                match had {
                    Ok(Waited::Had) => {}
                    Ok(Waited::CalledOff) => {
                        locked(&self.state).sidecar = Some(sidecar);
                        return Ok(Attempt::CalledOff);
                    }
                    Err(e) if self.falls_back(&e) => continue,
                    Err(e) => return Err(self.abandon(&sidecar, fail("lock", e))),
                }
            }
            let current = sidecar.current(&*self.place.dir, &self.lock);
            let Some(stat) = current.map_err(|e| self.abandon(&sidecar, fail("examine", e)))? else {
                // The file may be open elsewhere in this process: closing it here would not do.
                sidecar.unlock().ok();
                continue;
            };
            let head = self.look(&sidecar, &stat).map_err(|e| self.abandon(&sidecar, fail("read", e)))?;
            return Ok(Attempt::Got { sidecar, head: Head { overtook, ..head } });
        }
    }

    /// Whole-file locks are missing here: from now on it is done without them, if the policy leaves the choice.
    pub(super) fn falls_back(&self, error: &io::Error) -> bool {
        let mut mode = locked(&self.mode);
        let falls = *mode == LockMode::Auto && error.kind() == io::ErrorKind::Unsupported;
        if falls {
            *mode = LockMode::File;
        }
        falls
    }

    /// After an error nobody knows whether the lock was had: it must not stay with a file that is kept open.
    pub(super) fn abandon(&self, sidecar: &Sidecar, error: Error) -> Error {
        sidecar.unlock().ok();
        locked(&self.state).sidecar = None;
        error
    }

    /// Is the record still the one that this process wrote? Usually its time of change tells; the rule is the cache's: it must
    /// have been older than one tick of the clock when the record was last read.
    pub(super) fn look(&self, sidecar: &Sidecar, stat: &Stat) -> io::Result<Head> {
        let seen = (stat.mtime, stat.size);
        let trusts = !sidecar.is_shared_by_machines();
        if trusts && locked(&self.state).signature.as_ref().is_some_and(|s| s.seen == Some(seen)) {
            let len = usize::try_from(stat.size).unwrap_or_default();
            return Ok(Head { found: None, len, ours_already: true, overtook: false });
        }
        let now = self.parts.host.now();
        let (bytes, len) = sidecar.read_head()?;
        let mut state = locked(&self.state);
        let signature = state.signature.as_mut().filter(|s| s.line == bytes[..len]);
        let ours_already = signature.is_some();
        if let Some(signature) = signature {
            let granule = self.place.dir.caps().timestamp_granule;
            let settled = now.duration_since(stat.mtime.to_system_time()).is_ok_and(|age| age > granule);
            signature.seen = settled.then_some(seen);
        }
        let found = (!ours_already).then(|| Record::find(&bytes[..len], len as u64));
        Ok(Head { found, len, ours_already, overtook: false })
    }

    /// The OS lock is ours: note it, find out what the last holder left, sign.
    pub(super) fn settle(&self, state: &mut State, kind: LockKind, sidecar: &Arc<Sidecar>, head: &Head) -> Result<()> {
        state.os = Os::Held(kind);
        state.recovery = sidecar.recovery();
        let now = self.parts.host.monotonic();
        if head.overtook {
            state.handovers += 1;
        } else {
            state.handovers = 0;
            state.turn_began = now;
        }
        if let Some(Found::Record(record)) = &head.found
            && record.v > NEWEST
        {
            state.sidecar = Some(Arc::clone(sidecar));
            state.unlock();
            let problem = format!("its lock file is of a newer filelatch (record version {})", record.v);
            return Err(Error::Unrecovered { path: self.place.spelled.clone(), problem });
        }
        if !head.ours_already {
            state.signature = None;
            state.intent = match &head.found {
                Some(Found::Record(record)) => record.intent.clone(),
                _ => None,
            };
        }
        // An inherited lock is signed already, by the one it comes from.
        let signs = sidecar.inherited().is_none();
        let writable = signs && sidecar.is_writable() && !matches!(head.found, Some(Found::Foreign));
        let fresh = |s: &Signature| now.saturating_sub(s.at) < SIGNATURE_AGE;
        let signed = state.signature.as_ref().is_some_and(fresh);
        state.sidecar = Some(Arc::clone(sidecar));
        // A record with an unfinished write stays until the write is done.
        if kind == LockKind::Exclusive && writable && !signed && state.intent.is_none() {
            let line = self.record().line(head.len);
            if let Err(e) = sidecar.write_line(&line) {
                // A full disk must not make locking fail, but a torn record must not stay in the way of being ours.
                state.signature = None;
                if e.kind() != io::ErrorKind::StorageFull {
                    state.unlock();
                    return Err(Error::io("sign the lock file", &self.lock.path, e));
                }
            } else {
                state.signature = Some(Signature { line, at: now, seen: None });
            }
        }
        Ok(())
    }
}
