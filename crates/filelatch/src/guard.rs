//! Guards: what a held lock allows.
//!
//! Writing under a lock exists only on the exclusive [`Guard`]. A guard belongs to the process that took it: in a forked child it
//! is inert and releases nothing (L21).

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::doc::Document;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::file::WriteOptions;
use crate::lock::owner::Owner;
use crate::lock::resource::Tenure;
use crate::lock::{IfUnavailable, LockOptions, Recovered};
use crate::merge_path::{self, Writing};
use crate::snapshot::Snapshot;
use crate::update::head::{Head, doc_error};
use crate::write_path::Written;

/// Whether a guard still protects what it was taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Validity {
    /// It does.
    Held,
    /// It does not: this is another process than the one that took it.
    Forked,
    /// It does no longer: a fallback lock was taken over by another machine while this one was silent, or somebody removed it
    /// (P4, L8); or a [`Lease`](crate::Lease) whose time is over, or that somebody else has by now.
    Lost,
    /// It never did: there was no lock to be had, and the caller chose to go on ([`Guard::warning`]).
    Unenforced,
}

/// An exclusive lock on one file. Dropping it releases the lock at once.
#[must_use = "dropping the guard releases the lock at once"]
#[derive(Debug)]
pub struct Guard {
    held: Held,
}

/// A shared lock on one file: others may read, nobody may write. Dropping it releases the lock at once.
#[must_use = "dropping the guard releases the lock at once"]
#[derive(Debug)]
pub struct SharedGuard {
    held: Held,
}

#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) entry: Arc<Entry>,
    /// `None`: the caller went on without a lock.
    pub(crate) tenure: Option<Tenure>,
    pub(crate) warning: Option<String>,
}

impl Held {
    /// Locks are switched off (LOCK-21).
    pub(crate) fn off(entry: Arc<Entry>) -> Held {
        let warning = "locks are switched off by configuration: nothing excludes other writers".to_owned();
        Held { entry, tenure: None, warning: Some(warning) }
    }

    /// The lock, or what the caller and the policy have chosen to do without one (LOCK-18).
    pub(crate) fn of(entry: Arc<Entry>, tenure: Result<Tenure>, options: &LockOptions<'_>) -> Result<Held> {
        let proceed = [options.if_unavailable, entry.policy.if_unavailable].contains(&IfUnavailable::Proceed);
        match tenure {
            Ok(mut tenure) => {
                tenure.fence = entry.leases.inherited();
                let warning = (!tenure.enforced).then(|| {
                    let dir = entry.place().dir.path().display();
                    format!("`{dir}` cannot be written, so there is no lock: a writer with more rights is not kept out")
                });
                Ok(Held { entry, tenure: Some(tenure), warning })
            }
            Err(e) if proceed && matches!(e, Error::Locked { .. } | Error::Timeout { .. } | Error::Io { .. }) => {
                Ok(Held { entry, tenure: None, warning: Some(format!("going on without the lock: {e}")) })
            }
            Err(e) => Err(e),
        }
    }

    pub(crate) fn validity(&self) -> Validity {
        match &self.tenure {
            Some(tenure) if tenure.resource.is_foreign_process() => Validity::Forked,
            Some(tenure) if tenure.enforced && tenure.resource.is_lost() => Validity::Lost,
            Some(tenure) if tenure.enforced => Validity::Held,
            _ => Validity::Unenforced,
        }
    }

    fn check(&self) -> Result<()> {
        match self.validity() {
            Validity::Forked => Err(Error::Forked { path: self.entry.place().spelled.clone() }),
            Validity::Lost => Err(Error::LockLost { path: self.entry.place().spelled.clone() }),
            Validity::Held | Validity::Unenforced => Ok(()),
        }
    }

    fn fence(&self) -> Option<u64> {
        self.tenure.as_ref().and_then(|tenure| tenure.fence)
    }

    /// May be written under it: nobody else has a lease, and ours, if there is one, is not lost.
    pub(crate) fn may_write(&self, owner: Option<Owner>) -> Result<()> {
        self.check()?;
        self.entry.may_write(self.fence(), owner)
    }

    fn read(&self) -> Result<Snapshot> {
        self.check()?;
        self.entry.read()?.ok_or_else(|| Error::NotFound { path: self.entry.place().spelled.clone() })
    }
}

macro_rules! common {
    ($guard:ty) => {
        impl $guard {
            pub(crate) fn new(held: Held) -> Self {
                Self { held }
            }

            /// The locked file, as it was asked for.
            pub fn path(&self) -> &Path {
                &self.held.entry.place().spelled
            }

            /// The lock file.
            pub fn lock_path(&self) -> &Path {
                &self.held.entry.resource.lock.path
            }

            /// The resource's name on this machine, as nested programs are told of it.
            pub fn resource_name(&self) -> String {
                self.held.entry.place().id.to_string()
            }

            /// Does the lock still protect the file?
            pub fn is_held(&self) -> bool {
                self.held.validity() == Validity::Held
            }

            /// Whether, and if not why, the lock protects the file.
            pub fn validity(&self) -> Validity {
                self.held.validity()
            }

            /// The number of the lease that is written under, if there is one ([`Lease::lock`](crate::Lease::lock)): a strict lock
            /// itself can't be lost while its process lives.
            pub fn token(&self) -> Option<u64> {
                self.held.fence()
            }

            /// Why there is no lock although there is a guard.
            pub fn warning(&self) -> Option<&str> {
                self.held.warning.as_deref()
            }

            /// The dead holder from whom the lock was taken over; usually nobody (LOCK-10).
            pub fn recovered(&self) -> Option<Recovered> {
                let tenure = self.held.tenure.as_ref()?;
                tenure.recovery.as_ref().map(|recovery| Recovered::of(&tenure.resource.parts, recovery))
            }

            /// Reads the file as it is under the lock.
            pub fn read(&self) -> Result<Snapshot> {
                self.held.read()
            }

            /// Releases the lock; the same as dropping, but says so.
            pub fn release(self) {
                drop(self);
            }

            /// Lets programs that this process starts from now on inherit the lock: it is then held until they have ended, too
            /// (P12). Answers the descriptor's number; `None` when there is no lock.
            pub fn make_inheritable(&self) -> Result<Option<u64>> {
                match &self.held.tenure {
                    Some(tenure) => tenure.resource.make_inheritable(),
                    None => Ok(None),
                }
            }
        }
    };
}

common!(Guard);
common!(SharedGuard);

impl Guard {
    /// Writes under the lock that is held. The same promises as [`LatchFile::write`](crate::LatchFile::write); but while somebody has
    /// a lease of the file it fails with [`Error::Leased`] at once: under the lock nobody could give it back.
    pub fn write(&self, bytes: &[u8], options: &WriteOptions<'_>) -> Result<Written> {
        self.held.may_write(None)?;
        let entry = &self.held.entry;
        let durability = options.durability.unwrap_or(entry.policy.durability);
        Writing::new(entry, bytes, options).under(self.held.tenure.as_ref(), durability)
    }

    /// Removes the file under the lock that is held; false: there is none. Nothing is removed unless it is what `options.expect` says
    /// ([`Error::Conflict`]), nor if a program that ignores locks writes to it at the same time. What was there is kept as any replaced version.
    pub fn remove(&self, options: &WriteOptions<'_>) -> Result<bool> {
        self.held.may_write(None)?;
        let entry = &self.held.entry;
        let mut head = entry.read_head()?;
        entry.expected(&mut head, &options.expect)?;
        let Some(disk) = &head.disk else { return Ok(false) };
        let durability = options.durability.unwrap_or(entry.policy.durability);
        let (tenure, by) = (self.held.tenure.as_ref(), options.session.as_deref());
        entry.remove(tenure, &disk.current, disk.content(entry.place())?, durability, None, by)?;
        Ok(true)
    }

    /// Reads, changes and writes under the lock that is held; `change` answers the new bytes, or `None` to leave the file as it
    /// is. It is given `None` when the file does not exist.
    pub fn update_bytes<E: From<Error>>(
        &self,
        options: &WriteOptions<'_>,
        change: impl FnOnce(Option<&[u8]>) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Written, E> {
        let place = self.held.entry.place();
        let changed = self.update_with(options, |head| {
            let old = head.content(place)?;
            if let Some(new) = change(old.as_ref().map(|content| &content.bytes[..]))? {
                head.replace(new, true);
            }
            Ok(())
        });
        changed.map(|(written, ())| written)
    }

    /// Changes a document (JSON, YAML, TOML, text) by its nodes, under the lock that is held. As
    /// [`LatchFile::update_document`](crate::LatchFile::update_document), but once: a foreign write in between is a conflict.
    pub fn update_document<R, E: From<Error>>(
        &self,
        options: &WriteOptions<'_>,
        change: impl FnOnce(&mut Document) -> Result<R, E>,
    ) -> Result<(Written, R), E> {
        let place = self.held.entry.place();
        self.update_with(options, |head| head.with_document(place, options.format, options.create.as_ref(), change))
    }

    /// Changes a document as a dynamic value. As [`Guard::update_document`] otherwise.
    pub fn update_value<E: From<Error>>(
        &self,
        options: &WriteOptions<'_>,
        change: impl FnOnce(&mut Value) -> Result<(), E>,
    ) -> Result<Written, E> {
        let wrong = |source| doc_error(self.held.entry.place(), source);
        let changed = self.update_document(options, |document| {
            let mut value = document.value().map_err(wrong)?.clone();
            change(&mut value)?;
            Ok::<_, E>(document.replace(value).map_err(wrong)?)
        });
        changed.map(|(written, ())| written)
    }

    fn update_with<R, E: From<Error>>(
        &self,
        options: &WriteOptions<'_>,
        change: impl FnOnce(&mut Head) -> Result<R, E>,
    ) -> Result<(Written, R), E> {
        self.held.may_write(None)?;
        let entry = &self.held.entry;
        merge_path::change(entry, self.held.tenure.as_ref(), options, change)
    }

    pub(crate) fn tenure(&self) -> Option<&Tenure> {
        self.held.tenure.as_ref()
    }
}
