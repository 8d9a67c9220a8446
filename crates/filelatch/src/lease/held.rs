//! A lease that was had: renewed, given back, written under.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use filelatch_fs::{Host, LockKind};
use serde_json::Value;

use super::record::LeaseRecord;
use crate::doc::Document;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::file::{LatchFile, WriteOptions};
use crate::guard::{Guard, Held, Validity};
use crate::lock::resource::{Tenure, locked};
use crate::lock::{LockOptions, LockScope, Wait};
use crate::snapshot::Snapshot;
use crate::write_path::Written;

/// How long giving a lease back waits for the lock.
const RELEASE_WAIT: Duration = Duration::from_secs(5);
/// The same when a lease is dropped.
const DROP_WAIT: Duration = Duration::from_secs(1);
/// How long the thread that renews waits for one file's lock while others may be due.
const RENEW_WAIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Longest pause of a wait for the loss: the machine may sleep meanwhile.
const LOOK: Duration = Duration::from_secs(1);

/// An exclusive right to write one file, for a time: from [`LatchFile::lease`].
///
/// It can be lost, and says so: its time is over, or its file says that it is somebody else's. Lost is for good. What is written
/// through it is compared with the file's number under the lock, so a holder that was stopped and wakes late is refused
/// ([`Error::LeaseLost`]) and nothing of the new holder's is overwritten. Dropped it is given back, as far as that is possible within
/// a second.
#[must_use = "dropping the lease gives it back at once"]
#[derive(Debug)]
pub struct Lease {
    core: Arc<Core>,
}

#[derive(Debug)]
pub(crate) struct Core {
    file: LatchFile,
    entry: Arc<Entry>,
    token: u64,
    hold: Duration,
    scope: Option<LockScope>,
    renewed: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// It is lost from then on.
    until: Duration,
    /// When it is to be renewed next.
    due: Duration,
    /// Somebody was told that it is lost: it stays so.
    lost: bool,
    given_back: bool,
}

impl Core {
    pub(crate) fn new(
        file: LatchFile,
        entry: Arc<Entry>,
        record: &LeaseRecord,
        scope: Option<LockScope>,
        renewed: bool,
    ) -> Core {
        let hold = record.hold();
        let due = record.expires().saturating_sub(hold) + hold / 3;
        let state = State { until: record.until(), due, lost: false, given_back: false };
        Core { file, entry, token: record.token, hold, scope, renewed, state: Mutex::new(state) }
    }

    fn host(&self) -> &Arc<dyn Host> {
        &self.entry.parts().host
    }

    fn is_forked(&self) -> bool {
        self.entry.resource.is_foreign_process()
    }

    fn is_lost(&self) -> bool {
        let now = self.host().monotonic();
        let mut state = locked(&self.state);
        state.lost |= now >= state.until;
        state.lost
    }

    /// What is known without looking at the file.
    fn check(&self) -> Result<()> {
        let path = || self.entry.place().spelled.clone();
        if self.is_forked() {
            return Err(Error::Forked { path: path() });
        }
        if self.is_lost() {
            return Err(Error::LeaseLost { path: path(), token: self.token, current: None, holder: None });
        }
        Ok(())
    }

    fn lock(&self, options: &LockOptions<'_>) -> Result<Tenure> {
        let mut options = options.clone();
        options.scope = options.scope.or_else(|| self.scope.clone());
        self.file.tenure(&self.entry, LockKind::Exclusive, &options)
    }

    /// The record under the lock. That it is not ours any more is final.
    fn current(&self) -> Result<(Box<LeaseRecord>, filelatch_fs::FileId)> {
        let current = self.entry.leases.current(self.entry.parts(), self.entry.place(), self.token);
        if matches!(current, Err(Error::LeaseLost { .. })) {
            locked(&self.state).lost = true;
        }
        current
    }

    fn put(&self, tenure: &Tenure, record: &LeaseRecord, over: filelatch_fs::FileId) -> Result<()> {
        let file = &self.entry.leases.file;
        let put = file.write(&tenure.resource, record, Some(over));
        put.map_err(|e| Error::io("write the lease file", &file.path, e))
    }

    /// Its number is durable already, and after a power cut it is over anyway: the name need not be durable.
    fn renew(&self, wait: Wait) -> Result<()> {
        self.renew_as(wait, None)
    }

    fn renew_as(&self, wait: Wait, hold: Option<Duration>) -> Result<()> {
        self.check()?;
        let tenure = self.lock(&LockOptions::new().wait(wait))?;
        let (record, over) = self.current()?;
        let record = hold.map_or_else(|| LeaseRecord::clone(&record), |hold| record.lasting(hold));
        let renewed = record.renewed(self.host().monotonic());
        self.put(&tenure, &renewed, over)?;
        let mut state = locked(&self.state);
        state.lost |= self.host().monotonic() >= state.until;
        if !state.lost {
            state.until = renewed.until();
            let hold = renewed.hold();
            state.due = renewed.expires().saturating_sub(hold) + hold / 3;
            return Ok(());
        }
        drop(state);
        // Too late: somebody may have been told. What was just renewed is given back.
        if let Ok((record, over)) = self.current() {
            self.put(&tenure, &record.given_back(), over).ok();
        }
        self.check()
    }

    fn give_back(&self, wait: Duration) -> Result<()> {
        if self.is_forked() || std::mem::replace(&mut locked(&self.state).given_back, true) {
            return Ok(());
        }
        self.entry.leases.ended(self.token);
        let tenure = self.lock(&LockOptions::new().wait(Wait::For(wait)))?;
        match self.entry.leases.file.read(&*self.entry.place().dir)? {
            super::file::Found::Record(record, over) if record.token == self.token => {
                if record.released {
                    Ok(())
                } else {
                    self.put(&tenure, &record.given_back(), over)?;
                    self.entry.trail().inspect(|trail| trail.leased("returned", self.token, None));
                    Ok(())
                }
            }
            // Somebody else's by now, or gone: not ours to touch.
            _ => self.current().map(drop),
        }
    }

    /// Renews it if that is due; how long until the next time. `None`: never again.
    pub(crate) fn keep(&self) -> Option<Duration> {
        if !self.is_kept() {
            return None;
        }
        let due = locked(&self.state).due;
        let now = self.host().monotonic();
        if now < due {
            return Some(due.saturating_sub(now));
        }
        let wait = (self.hold / 6).clamp(RENEW_WAIT.0, RENEW_WAIT.1);
        let renewed = self.renew(Wait::For(wait));
        let now = self.host().monotonic();
        let mut state = locked(&self.state);
        if renewed.is_err() {
            state.due = now + self.hold / 12;
        }
        Some(state.due.saturating_sub(now))
    }

    /// Is it to be renewed in the background?
    pub(crate) fn is_kept(&self) -> bool {
        self.renewed && !locked(&self.state).given_back && !self.is_lost()
    }
}

impl Lease {
    pub(crate) fn new(core: Arc<Core>) -> Lease {
        Lease { core }
    }

    /// Goes on with a lease of this number, of this session's process or of one before it, as long as it lasts.
    pub(crate) fn resumed(file: LatchFile, entry: Arc<Entry>, record: &LeaseRecord) -> Lease {
        Lease { core: Arc::new(Core::new(file, entry, record, Some(LockScope::new()), false)) }
    }

    /// The leased file, as it was asked for.
    pub fn path(&self) -> &Path {
        &self.core.entry.place().spelled
    }

    /// The resource's name on this machine, as nested programs are told of it.
    pub fn resource_name(&self) -> String {
        self.core.entry.place().id.to_string()
    }

    /// The number that grows with each lease of this file: for stores of your own that refuse smaller ones than they have seen (L9).
    pub fn token(&self) -> u64 {
        self.core.token
    }

    /// Is it lost? By this machine's clock, which also runs while the machine sleeps, and by what the file said at the last look.
    /// Makes no call to the file system. Once true it stays true.
    pub fn lost(&self) -> bool {
        self.core.is_forked() || self.core.is_lost()
    }

    /// Time until it is lost, unless it is renewed.
    pub fn remaining(&self) -> Duration {
        if self.lost() {
            return Duration::ZERO;
        }
        let until = locked(&self.core.state).until;
        until.saturating_sub(self.core.host().monotonic())
    }

    /// Waits at most so long for the loss; true: it is lost.
    pub fn wait_lost(&self, timeout: Duration) -> bool {
        let host = self.core.host();
        let end = host.monotonic().saturating_add(timeout);
        loop {
            let left = end.saturating_sub(host.monotonic());
            if self.lost() || left.is_zero() {
                return self.lost();
            }
            host.park(Some(self.remaining().min(left).min(LOOK)));
        }
    }

    /// Whether, and if not why, it protects the file.
    pub fn validity(&self) -> Validity {
        match () {
            () if self.core.is_forked() => Validity::Forked,
            () if self.core.is_lost() => Validity::Lost,
            () => Validity::Held,
        }
    }

    /// Begins its time anew. An error other than [`Error::LeaseLost`] is no loss: it lasts as long as before.
    ///
    /// A lease whose time is over is not renewed even if nobody has taken it: others may have written since.
    pub fn renew(&self) -> Result<()> {
        self.core.renew(Wait::For(self.remaining()))
    }

    /// As [`Lease::renew`], and from now on it lasts so long from each renewal.
    pub fn renew_for(&self, max_hold: Duration) -> Result<()> {
        self.core.renew_as(Wait::For(self.remaining()), Some(max_hold))
    }

    /// Lets go of it without giving it back, and answers its number. A lease that is [detached](crate::LeaseOptions::detached) lasts on; any
    /// other ends with this process, at the latest.
    pub fn detach(self) -> u64 {
        locked(&self.core.state).given_back = true;
        self.core.entry.leases.ended(self.core.token);
        self.core.token
    }

    /// Gives it back. [`Error::LeaseLost`]: it was somebody else's, or gone, before.
    pub fn release(self) -> Result<()> {
        self.core.give_back(RELEASE_WAIT)
    }

    /// Takes the strict lock, to write several times in a row under this lease: each write of the guard compares the number. The lock
    /// keeps others out for as long as it is held, whatever becomes of the lease: hold it for moments.
    pub fn lock(&self, options: &LockOptions<'_>) -> Result<Guard> {
        self.core.check()?;
        let mut tenure = self.core.lock(options)?;
        self.core.current()?;
        tenure.fence = Some(self.core.token);
        Ok(Guard::new(Held { entry: Arc::clone(&self.core.entry), tenure: Some(tenure), warning: None }))
    }

    /// Reads the file. Reading is free to everybody.
    pub fn read(&self) -> Result<Snapshot> {
        self.core.file.read()
    }

    /// Replaces the file's content under the lease, as [`Guard::write`] does.
    pub fn write(&self, bytes: &[u8], options: &WriteOptions<'_>) -> Result<Written> {
        self.lock(&options.lock)?.write(bytes, options)
    }

    /// Reads, changes and writes under the lease, as [`Guard::update_bytes`] does.
    pub fn update_bytes<E: From<Error>>(
        &self,
        options: &WriteOptions<'_>,
        change: impl FnOnce(Option<&[u8]>) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Written, E> {
        self.lock(&options.lock)?.update_bytes(options, change)
    }

    /// Changes a document under the lease, as [`Guard::update_document`] does.
    pub fn update_document<R, E: From<Error>>(
        &self,
        options: &WriteOptions<'_>,
        change: impl FnOnce(&mut Document) -> Result<R, E>,
    ) -> Result<(Written, R), E> {
        self.lock(&options.lock)?.update_document(options, change)
    }

    /// Changes a document as a dynamic value under the lease, as [`Guard::update_value`] does.
    pub fn update_value<E: From<Error>>(
        &self,
        options: &WriteOptions<'_>,
        change: impl FnOnce(&mut Value) -> Result<(), E>,
    ) -> Result<Written, E> {
        self.lock(&options.lock)?.update_value(options, change)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Best effort: without it the lease ends by its time, or with the process.
        self.core.give_back(DROP_WAIT).ok();
    }
}
