//! The guard of a record: what a lock on a part of a file allows (LOCK-17).

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::doc::Document;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::file::{LatchFile, WriteOptions};
use crate::guard::Validity;
use crate::lock::owner::Owner;
use crate::lock::records::RecordTenure;
use crate::lock::resource::Tenure;
use crate::lock::slots::name_of;
use crate::lock::{HeldLock, LockOptions};
use crate::merge_path::{self, Writing};
use crate::snapshot::Snapshot;
use crate::update::head::{Head, doc_error};
use crate::write_path::Written;

/// The lock on one record of a file, from [`LatchFile::lock_record`]. Dropping it releases the lock at once.
///
/// Nobody else holds this record, or the whole file; others may hold other records and publish. So what was read before may be old:
/// change the file with [`RecordGuard::update_bytes`] or [`RecordGuard::update_document`], whose closure sees the newest content. Which
/// part of the file a record stands for is a matter between the programs that lock it; nothing checks it.
///
/// On network file systems, on macOS, and with a lock file that may only be read, it is the exclusive lock of the whole file
/// ([`RecordGuard::locks_whole_file`]); several records of one owner share it there.
#[must_use = "dropping the guard releases the lock at once"]
#[derive(Debug)]
pub struct RecordGuard {
    file: LatchFile,
    entry: Arc<Entry>,
    record: Arc<str>,
    tenure: RecordTenure,
}

impl RecordGuard {
    pub(crate) fn new(file: LatchFile, entry: Arc<Entry>, record: Arc<str>, tenure: RecordTenure) -> RecordGuard {
        RecordGuard { file, entry, record, tenure }
    }

    /// The file, as it was asked for.
    pub fn path(&self) -> &Path {
        &self.entry.place().spelled
    }

    /// The record's name.
    pub fn record(&self) -> &str {
        &self.record
    }

    /// The lock file.
    pub fn lock_path(&self) -> &Path {
        &self.entry.resource.lock.path
    }

    /// The lock's name on this machine, as nested programs are told of it.
    pub fn resource_name(&self) -> String {
        match &self.tenure {
            RecordTenure::Byte(byte) => name_of(&self.entry.resource, byte.byte()),
            RecordTenure::Whole(_) => self.entry.place().id.to_string(),
        }
    }

    /// Is the whole file locked, because there are no locks on parts of it here? Then other records exclude this one.
    pub fn locks_whole_file(&self) -> bool {
        matches!(&self.tenure, RecordTenure::Whole(record) if record.held.tenure.is_some())
    }

    /// Does the lock still protect the record?
    pub fn is_held(&self) -> bool {
        self.validity() == Validity::Held
    }

    /// Whether, and if not why, the lock protects the record.
    pub fn validity(&self) -> Validity {
        match &self.tenure {
            RecordTenure::Byte(byte) if byte.shared().resource.is_foreign_process() => Validity::Forked,
            RecordTenure::Byte(_) => Validity::Held,
            RecordTenure::Whole(record) => record.held.validity(),
        }
    }

    /// The fencing token, which only leases have.
    pub fn token(&self) -> Option<u64> {
        None
    }

    /// Why there is no lock although there is a guard.
    pub fn warning(&self) -> Option<&str> {
        match &self.tenure {
            RecordTenure::Byte(_) => None,
            RecordTenure::Whole(record) => record.held.warning.as_deref(),
        }
    }

    /// Releases the lock; the same as dropping, but says so.
    pub fn release(self) {
        drop(self);
    }

    /// Reads the file: the newest version that was published, this record's part of it as its last holder left it.
    pub fn read(&self) -> Result<Snapshot> {
        let missing = || Error::NotFound { path: self.path().to_owned() };
        // Not while somebody publishes: who writes in place shows readers without a lock a mix.
        match self.in_turn(&LockOptions::new(), |_| self.entry.read()) {
            // Inside a change of this very thread.
            Err(Error::Reentrant { .. }) => self.entry.read()?.ok_or_else(missing),
            read => read?.ok_or_else(missing),
        }
    }

    /// Replaces the whole file's content under the lock that is held. Others may have changed their records since it was read: give
    /// the version that was read as `options.expect`, or use [`RecordGuard::update_bytes`].
    pub fn write(&self, bytes: &[u8], options: &WriteOptions<'_>) -> Result<Written> {
        self.in_turn(&options.lock, |tenure| {
            self.may_write()?;
            let durability = options.durability.unwrap_or(self.entry.policy.durability);
            Writing::new(&self.entry, bytes, options).under(tenure, durability)
        })
    }

    /// Reads, changes and writes under the lock that is held. `change` gets the newest content, with what the holders of other records
    /// have made of it, and answers the new bytes, or `None` to leave the file as it is. It is given `None` when the file does not
    /// exist. Others wait with their publishing while it runs; the options' `lock` says how to wait for them.
    pub fn update_bytes<E: From<Error>>(
        &self,
        options: &WriteOptions<'_>,
        change: impl FnOnce(Option<&[u8]>) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Written, E> {
        self.update_with(options, |head| {
            let old = head.content(self.entry.place())?;
            if let Some(new) = change(old.as_ref().map(|content| &content.bytes[..]))? {
                head.replace(new, true);
            }
            Ok(())
        })
        .map(|(written, ())| written)
    }

    /// Changes a document by its nodes, as [`LatchFile::update_document`] does, under the lock that is held. As
    /// [`RecordGuard::update_bytes`] otherwise.
    pub fn update_document<R, E: From<Error>>(
        &self,
        options: &WriteOptions<'_>,
        change: impl FnOnce(&mut Document) -> Result<R, E>,
    ) -> Result<(Written, R), E> {
        self.update_with(options, |head| {
            head.with_document(self.entry.place(), options.format, options.create.as_ref(), change)
        })
    }

    /// Changes a document as a dynamic value. As [`RecordGuard::update_document`] otherwise.
    pub fn update_value<E: From<Error>>(
        &self,
        options: &WriteOptions<'_>,
        change: impl FnOnce(&mut Value) -> Result<(), E>,
    ) -> Result<Written, E> {
        let wrong = |source| doc_error(self.entry.place(), source);
        self.update_document(options, |document| {
            let mut value = document.value().map_err(wrong)?.clone();
            change(&mut value)?;
            Ok::<_, E>(document.replace(value).map_err(wrong)?)
        })
        .map(|(written, ())| written)
    }

    /// Lets programs that this process starts from now on inherit the lock, with all other records of this file that it holds now
    /// (P12): they are then held until these programs have ended, too. Answers the descriptor's number; `None` when there is no lock
    /// of this process's own to hand on.
    pub fn make_inheritable(&self) -> Result<Option<u64>> {
        match &self.tenure {
            RecordTenure::Byte(byte) if byte.is_inherited() => Ok(None),
            RecordTenure::Byte(byte) => self.entry.records.hand_on(byte.slots()),
            RecordTenure::Whole(record) => {
                record.held.tenure.as_ref().map_or(Ok(None), |tenure| tenure.resource.make_inheritable())
            }
        }
    }

    fn update_with<R, E: From<Error>>(
        &self,
        options: &WriteOptions<'_>,
        change: impl FnOnce(&mut Head) -> Result<R, E>,
    ) -> Result<(Written, R), E> {
        self.in_turn(&options.lock, |tenure| {
            self.may_write()?;
            merge_path::change(&self.entry, tenure, options, change)
        })
    }

    /// Runs `body` while nobody else publishes.
    fn in_turn<T, E: From<Error>>(
        &self,
        options: &LockOptions<'_>,
        body: impl FnOnce(Option<&Tenure>) -> Result<T, E>,
    ) -> Result<T, E> {
        if self.validity() == Validity::Forked {
            return Err(Error::Forked { path: self.path().to_owned() }.into());
        }
        match &self.tenure {
            RecordTenure::Whole(record) => body(record.held.tenure.as_ref()),
            RecordTenure::Byte(byte) => {
                // A guard may be used by other threads than the one that locked: whose turn it is, is a matter of who publishes.
                let owner = options.asked_scope().map_or_else(Owner::current, crate::lock::LockScope::owner);
                let turn = self.file.publishing_turn(&self.entry, byte, owner, options)?;
                let done = body(Some(turn.shared()));
                drop(turn);
                if let Some(trail) = self.entry.trail() {
                    trail.flush();
                }
                done
            }
        }
    }

    /// Not against somebody else's lease: it is for the whole file, and can't begin while a record is held.
    fn may_write(&self) -> Result<()> {
        match &self.tenure {
            RecordTenure::Byte(_) => self.entry.may_write(self.entry.leases.inherited(), None),
            RecordTenure::Whole(record) => record.held.may_write(None),
        }
    }
}

impl HeldLock for RecordGuard {
    fn path(&self) -> &Path {
        self.path()
    }

    fn validity(&self) -> Validity {
        self.validity()
    }

    fn token(&self) -> Option<u64> {
        self.token()
    }
}
