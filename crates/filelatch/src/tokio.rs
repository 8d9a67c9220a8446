//! The async face (feature `tokio`): the same engine, waited for by tasks.
//!
//! # Promise
//! No wait for a lock and no reading, writing or syncing of files runs on a runtime's thread (the first try for a lock makes its few
//! system calls there, and does not wait). Every future is cancel-safe: dropped while it waits, it leaves the
//! queue and is never granted the lock later; a change that was applied already when its future was dropped is published all the
//! same, with nobody to hear of it (P8).
//!
//! # Non-promise
//! A task is not an owner: tasks move between threads. Give nested requests one [`LockScope`] if they are to be refused instead of
//! waiting for each other until the timeout.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use filelatch_fs::LockKind;
use tokio::task::spawn_blocking;

use crate::doc::Document;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::file::{LatchFile, WriteOptions};
use crate::guard::{Guard, Held, SharedGuard};
use crate::lock::acquire::{Begun, Look, Looks, Queued, Request, Target, Watch, begin};
use crate::lock::owner::Owner;
use crate::lock::records::{RecordTenure, byte_of, in_order};
use crate::lock::resource::Tenure;
use crate::lock::slots::ByteTenure;
use crate::lock::{CancelToken, LockOptions, LockScope};
use crate::record_guard::RecordGuard;
use crate::snapshot::Snapshot;
use crate::write_path::Written;

/// A handle on one file for tasks, from [`LatchFile::tokio`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AsyncFile {
    file: LatchFile,
}

/// Cancels when the future that owns it is dropped.
struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl LatchFile {
    /// The same file for tasks.
    pub fn tokio(&self) -> AsyncFile {
        AsyncFile { file: self.clone() }
    }
}

impl AsyncFile {
    /// The handle for threads.
    pub fn blocking(&self) -> &LatchFile {
        &self.file
    }

    /// As [`LatchFile::lock`]. The guard may be held across awaits and dropped anywhere.
    pub async fn lock(&self, options: &LockOptions<'_>) -> Result<Guard> {
        Ok(Guard::new(self.hold(LockKind::Exclusive, options).await?))
    }

    /// As [`LatchFile::lock_shared`].
    pub async fn lock_shared(&self, options: &LockOptions<'_>) -> Result<SharedGuard> {
        Ok(SharedGuard::new(self.hold(LockKind::Shared, options).await?))
    }

    /// As [`LatchFile::lock_record`]. What the guard writes and reads blocks: run it on a thread for blocking work.
    pub async fn lock_record(&self, name: &str, options: &LockOptions<'_>) -> Result<RecordGuard> {
        let mut guards = self.lock_records([name], options).await?;
        guards.pop().ok_or_else(|| self.file.unanswered())
    }

    /// As [`LatchFile::lock_records`].
    pub async fn lock_records<'n>(
        &self,
        names: impl IntoIterator<Item = &'n str>,
        options: &LockOptions<'_>,
    ) -> Result<Vec<RecordGuard>> {
        let entry = self.file.entry()?;
        let host = &entry.parts().host;
        let began = host.monotonic();
        let wait = options.wait.unwrap_or(entry.policy.wait);
        // One owner for all of them: records with one byte must not exclude each other.
        let options = options.clone().scope(&options.scope.clone().unwrap_or_else(LockScope::new));
        let names = in_order(names);
        let mut guards = Vec::with_capacity(names.len());
        for (place, name) in names {
            let left = wait.after(host.monotonic().saturating_sub(began));
            let tenure = self.record(&entry, &name, &options.clone().wait(left)).await?;
            guards.push((place, RecordGuard::new(self.file.clone(), Arc::clone(&entry), name, tenure)));
        }
        guards.sort_by_key(|(place, _)| *place);
        Ok(guards.into_iter().map(|(_, guard)| guard).collect())
    }

    /// As [`LatchFile::read`].
    pub async fn read(&self) -> Result<Snapshot> {
        let file = self.file.clone();
        self.run(move |_| file.read()).await
    }

    /// As [`LatchFile::write`].
    pub async fn write(&self, bytes: Vec<u8>, options: WriteOptions<'static>) -> Result<Written> {
        let file = self.file.clone();
        self.run(move |cancel| file.write(&bytes, &cancellable(options, cancel))).await
    }

    /// As [`LatchFile::update_bytes`]; `change` runs on a thread for blocking work.
    pub async fn update_bytes<E, F>(&self, options: WriteOptions<'static>, change: F) -> Result<Written, E>
    where
        E: From<Error> + Send + 'static,
        F: FnMut(Option<&[u8]>) -> Result<Option<Vec<u8>>, E> + Send + 'static,
    {
        let file = self.file.clone();
        self.run(move |cancel| file.update_bytes(&cancellable(options, cancel), change)).await
    }

    /// As [`LatchFile::update_document`]; `change` runs on a thread for blocking work.
    pub async fn update_document<R, E, F>(&self, options: WriteOptions<'static>, change: F) -> Result<(Written, R), E>
    where
        R: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnMut(&mut Document) -> Result<R, E> + Send + 'static,
    {
        let file = self.file.clone();
        self.run(move |cancel| file.update_document(&cancellable(options, cancel), change)).await
    }

    /// Runs blocking work on a thread for that; dropped, it calls off the work's wait.
    async fn run<T, E>(&self, work: impl FnOnce(&CancelToken) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let token = CancelToken::new();
        let guard = CancelOnDrop(token.clone());
        let result = spawn_blocking(move || work(&token)).await;
        drop(guard);
        match result {
            Ok(result) => result,
            Err(join) => match join.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(join) => {
                    let path = self.file.path().to_owned();
                    Err(Error::Internal { path, message: join.to_string() }.into())
                }
            },
        }
    }

    async fn hold(&self, kind: LockKind, options: &LockOptions<'_>) -> Result<Held> {
        let entry = self.file.entry()?;
        if !entry.policy.locks {
            return Ok(Held::off(entry));
        }
        let tenure = self.tenure(&entry, kind, options).await;
        Held::of(entry, tenure, options)
    }

    async fn tenure(&self, entry: &Arc<Entry>, kind: LockKind, options: &LockOptions<'_>) -> Result<Tenure> {
        // Each call is an owner of its own, unless the caller says who asks.
        let scope = options.scope.clone().unwrap_or_else(LockScope::new);
        let owner = scope.owner();
        entry.records.allow_whole(owner)?;
        let wait = options.wait.unwrap_or(entry.policy.wait);
        let holdings = || self.file.engine().holdings(owner);
        let request = |kind| Request { kind, ..self.file.request(owner, wait, options, &holdings) };
        loop {
            let tenure = acquire(&entry.resource, &request(kind)).await?;
            if tenure.intent.is_none() {
                return Ok(tenure);
            }
            let exclusive = if kind == LockKind::Exclusive {
                tenure
            } else {
                // A reader has to let go first: converting could silently drop its lock.
                drop(tenure);
                acquire(&entry.resource, &request(LockKind::Exclusive)).await?
            };
            let of = Arc::clone(entry);
            let exclusive = self.run(move |_| of.recovered(exclusive)).await?;
            if kind == LockKind::Exclusive {
                return Ok(exclusive);
            }
        }
    }

    async fn record(&self, entry: &Arc<Entry>, name: &Arc<str>, options: &LockOptions<'_>) -> Result<RecordTenure> {
        let owner = options.scope.clone().unwrap_or_else(LockScope::new).owner();
        if let Some(tenure) = entry.without_waiting(name, owner)? {
            return Ok(tenure);
        }
        let lock = match self.byte(entry, name, owner, options).await {
            Ok(Some(byte)) => return Ok(RecordTenure::Byte(byte)),
            Ok(None) => self.tenure(entry, LockKind::Exclusive, options).await,
            Err(e) => Err(e),
        };
        let held = Held::of(Arc::clone(entry), lock, options)?;
        Ok(entry.records.add_whole(name, owner, Arc::new(held)))
    }

    async fn byte(
        &self,
        entry: &Arc<Entry>,
        name: &Arc<str>,
        owner: Owner,
        options: &LockOptions<'_>,
    ) -> Result<Option<ByteTenure>> {
        let host = &entry.parts().host;
        let began = host.monotonic();
        let wait = options.wait.unwrap_or(entry.policy.wait);
        let left = || wait.after(host.monotonic().saturating_sub(began));
        let holdings = || self.file.engine().holdings(owner);
        loop {
            let Some(mut door) = entry.records.door(name, owner) else { return Ok(None) };
            let tenure = match door.tenure.take() {
                Some(tenure) => tenure,
                None => Arc::new(acquire(&door, &self.file.request(owner, left(), options, &holdings)).await?),
            };
            let unfinished = tenure.intent.is_some();
            let Some(wanted) = door.wanted(byte_of(name), tenure) else { return Ok(None) };
            let request = self.file.request(owner, left(), options, &holdings);
            let Some(byte) = acquire(&wanted, &request).await? else { continue };
            if !unfinished {
                return Ok(Some(byte));
            }
            let (file, entry, wait) = (self.file.clone(), Arc::clone(entry), left());
            let completed = self.run(move |cancel| {
                let options = LockOptions::new().wait(wait).cancel(cancel);
                drop(file.publishing_turn(&entry, &byte, owner, &options)?);
                Ok::<_, Error>(byte)
            });
            return completed.await.map(Some);
        }
    }
}

async fn acquire<T: Target>(target: &T, request: &Request<'_>) -> Result<T::Held> {
    let mut looks = Looks::default();
    let ticket = loop {
        match begin(target, request, &mut looks)? {
            Begun::Got(held) => return Ok(held),
            Begun::Queued(ticket) => break ticket,
            Begun::Again(pause) => tokio::time::sleep(pause).await,
        }
    };
    let host = Arc::clone(&target.resource().parts.host);
    let mut watch = Watch::begin(target, request, host.monotonic(), true);
    loop {
        let look = match answered(&ticket).await {
            Some(result) => return result,
            None => watch.look(target.resource(), host.monotonic()),
        };
        match look {
            Look::Wait(None) => return until_answered(&ticket).await,
            Look::Wait(Some(time)) => {
                if let Ok(result) = tokio::time::timeout(time, until_answered(&ticket)).await {
                    return result;
                }
            }
            Look::GiveUp(error) => {
                if ticket.leave() {
                    return Err(error);
                }
            }
        }
    }
}

fn cancellable(mut options: WriteOptions<'static>, cancel: &CancelToken) -> WriteOptions<'static> {
    // A blocking thread is not the task: it must not look like an owner that the task's other requests share.
    if options.lock.scope.is_none() {
        options.lock = options.lock.scope(&LockScope::new());
    }
    options.lock = options.lock.cancel(cancel);
    options
}

/// The answer, if it is there.
async fn answered<T: Queued>(ticket: &T) -> Option<Result<T::Held>> {
    poll_fn(|cx| Poll::Ready(ticket.poll(cx.waker()))).await
}

async fn until_answered<T: Queued>(ticket: &T) -> Result<T::Held> {
    poll_fn(|cx| ticket.poll(cx.waker()).map_or(Poll::Pending, Poll::Ready)).await
}
