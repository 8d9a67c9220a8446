//! Granting a lease: the number first made durable, then given out.

use std::sync::Arc;
use std::time::Duration;

use filelatch_fs::LockKind;

use super::LeaseState;
use super::desk::Look;
use super::held::{Core, Lease};
use super::options::LeaseOptions;
use super::record::LeaseRecord;
use super::wait::Patience;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::file::LatchFile;
use crate::guard::{Guard, Held};
use crate::lock::owner::Owner;
use crate::lock::resource::Tenure;
use crate::lock::{LockOptions, LockScope};
use crate::parts::epoch_millis;
use crate::write::current;

/// What the clock must show later than a number that was taken from it.
const TICK: Duration = Duration::from_millis(1);

impl LatchFile {
    /// Takes the strict lock to write under a lease that is known by its number alone: for a program that writes for the lease's holder. Each
    /// write of the guard compares the number, as [`Lease::lock`](crate::Lease::lock)'s do; nothing else of the lease is this program's.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the lease of that number is over, and as [`LatchFile::lock`].
    pub fn lock_under(&self, token: u64, options: &LockOptions<'_>) -> Result<Guard> {
        let entry = self.entry()?;
        let mut tenure = self.tenure(&entry, LockKind::Exclusive, options)?;
        entry.leases.current(entry.parts(), entry.place(), token)?;
        tenure.fence = Some(token);
        Ok(Guard::new(Held { entry, tenure: Some(tenure), warning: None }))
    }

    /// The lease of this number, if it lasts: for a program that took it for somebody else and was started again, or that lets others name
    /// theirs. It is renewed and given back through what this returns, and given back when that is dropped.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if it is over, and as [`LatchFile::lock`].
    pub fn resume_lease(&self, token: u64, options: &LockOptions<'_>) -> Result<Lease> {
        let entry = self.entry()?;
        let tenure = self.tenure(&entry, LockKind::Exclusive, options)?;
        let (record, _) = entry.leases.current(entry.parts(), entry.place(), token)?;
        drop(tenure);
        Ok(Lease::resumed(self.clone(), entry, &record))
    }

    /// Takes the lease of this file: the right to write it, for a time. The file need not exist.
    ///
    /// While it lasts, writes of others through filelatch wait for its end or fail with [`Error::Leased`]; so do requests for
    /// a lease. Reads, and locks that nobody writes under, are free.
    ///
    /// # Errors
    /// [`Error::Leased`] when somebody has it and it was not had in time, [`Error::Timeout`] and [`Error::Locked`] when the short
    /// lock under which it is noted was not, [`Error::Reentrant`] when the same owner has it already.
    pub fn lease(&self, options: &LeaseOptions<'_>) -> Result<Lease> {
        let entry = self.entry()?;
        let place = entry.place();
        if !entry.policy.locks {
            let why = "locks are switched off by configuration, and a lease needs them";
            let source = std::io::Error::new(std::io::ErrorKind::Unsupported, why);
            return Err(Error::io("lease", &place.spelled, source));
        }
        let owner = options.scope.as_ref().map_or_else(Owner::current, LockScope::owner);
        let wait = options.wait.unwrap_or(entry.policy.wait);
        let mut patience = Patience::new(&entry, wait, options.on_wait, options.cancel.as_ref());
        let mut lock = LockOptions { on_wait: options.on_wait, ..LockOptions::new() };
        (lock.scope, lock.cancel) = (options.scope.clone(), options.cancel.clone());
        loop {
            let tenure = self.tenure(&entry, LockKind::Exclusive, &lock.clone().wait(patience.left()))?;
            match entry.leases.look(entry.parts(), place)? {
                Look::Free { last, over } => {
                    let record = grant(&entry, &tenure, last, over, options)?;
                    if let Some(trail) = entry.trail() {
                        trail.leased("granted", record.token, Some(options.max_hold));
                    }
                    drop(tenure);
                    return self.hand_out(&entry, &record, owner, options);
                }
                Look::Foreign(what) => {
                    return Err(Error::BadLeaseFile { path: entry.leases.file.path.clone(), what });
                }
                Look::Live(live) => {
                    drop(tenure);
                    if entry.leases.is_own(&live, Some(owner)) {
                        return Err(Error::Reentrant { path: place.spelled.clone() });
                    }
                    if entry.leases.inherited() == Some(live.record.token) {
                        return Err(Error::HeldByParent { path: place.spelled.clone() });
                    }
                    patience.until_over().inspect_err(|e| entry.refused(e))?;
                }
            }
        }
    }

    fn hand_out(
        &self,
        entry: &Arc<Entry>,
        record: &LeaseRecord,
        owner: Owner,
        options: &LeaseOptions<'_>,
    ) -> Result<Lease> {
        entry.leases.granted(record.token, owner);
        let scope = options.scope.clone();
        let core = Arc::new(Core::new(self.clone(), Arc::clone(entry), record, scope, options.renewed));
        let lease = Lease::new(Arc::clone(&core));
        let host = &entry.parts().host;
        if options.renewed
            && let Err(e) = self.keeper().keep(&core, host)
        {
            let message = format!("cannot start a thread to renew the lease: {e}");
            return Err(Error::Internal { path: entry.place().spelled.clone(), message });
        }
        // Should the lease file get lost, the next number comes from the clock: it must be greater than this one.
        if epoch_millis(host.now()) == record.token {
            host.sleep(TICK);
        }
        Ok(lease)
    }

    /// Who has the lease of this file, if anybody has. Takes no lock.
    pub fn lease_state(&self) -> Result<Option<LeaseState>> {
        let entry = self.entry()?;
        let parts = entry.parts();
        Ok(match entry.leases.look(parts, entry.place())? {
            Look::Free { .. } | Look::Foreign(_) => None,
            Look::Live(live) => {
                let (holder, token) = (live.holder(parts), live.record.token);
                Some(LeaseState { holder, token, remaining: live.remaining })
            }
        })
    }
}

fn grant(
    entry: &Entry,
    tenure: &Tenure,
    last: u64,
    over: Option<filelatch_fs::FileId>,
    options: &LeaseOptions<'_>,
) -> Result<LeaseRecord> {
    let (parts, place, file) = (entry.parts(), entry.place(), &entry.leases.file);
    // The attribution has the number of the last lease that wrote (and grows with other writes), should the lease file be lost.
    let written = current::open(place)?.and_then(|current| current.attribution).map_or(0, |a| a.generation);
    let Some(next) = last.max(entry.leases.greatest()).checked_add(1) else {
        let problem = "the number in its lease file cannot grow any more".to_owned();
        return Err(Error::Unrecovered { path: place.spelled.clone(), problem });
    };
    let token = next.max(written.saturating_add(1)).max(epoch_millis(parts.host.now()));
    let record = LeaseRecord::new(parts, token, options.max_hold, options.purpose.as_deref());
    let record = match &options.session {
        Some(session) => record.of(session),
        None => record,
    };
    let record = if options.detached { record.detached() } else { record };
    let record = record.renewed(parts.host.monotonic());
    let noted = file.write(&tenure.resource, &record, over).and_then(|()| place.dir.sync());
    noted.map_err(|e| {
        // It may be there, and nobody has it.
        if let Ok((record, over)) = entry.leases.current(parts, place, token) {
            file.write(&tenure.resource, &record.given_back(), Some(over)).ok();
        }
        Error::io("write the lease file", &file.path, e)
    })?;
    Ok(record)
}
