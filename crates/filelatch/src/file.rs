//! A handle on one file: read, lock, write, update.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use filelatch_fs::LockKind;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::conflict;
use crate::doc::{Document, Format};
use crate::engine::Filelatch;
use crate::entry::{Entry, make_durable};
use crate::error::{Error, Result};
use crate::guard::{Guard, Held, SharedGuard};
use crate::lease::keeper::Keeper;
use crate::lease::wait::Patience;
use crate::lock::acquire::{Request, acquire};
use crate::lock::holder::{LockState, lock_state};
use crate::lock::owner::Owner;
use crate::lock::records::{self, PUBLISH, RecordTenure, byte_of, in_order};
use crate::lock::resource::{Tenure, locked};
use crate::lock::slots::{ByteTenure, Wanted, name_of};
use crate::lock::{LockOptions, Recovered, Wait};
use crate::merge::{self, ConflictStyle, Merged};
use crate::merge_path::{self, Writing, apart};
use crate::path::{Place, ResourceId};
use crate::policy::{Policy, Strategy};
use crate::record_guard::RecordGuard;
use crate::snapshot::Snapshot;
use crate::update::combine::{Ended, Part, combine};
use crate::update::head::{Head, doc_error};
use crate::version::Expect;
use crate::write::current::Current;
use crate::write::{Durability, Notice, current};
use crate::write_path::{Outcome, Written};
use crate::writer::FileWriter;

/// A shorter wait is not told of.
const WAITED: Duration = Duration::from_millis(1);

/// A handle on one file, from [`Filelatch::file`]. The file need not exist. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LatchFile {
    engine: Filelatch,
    place: Place,
    entry: Arc<Entry>,
}

/// Options of a write or update. The default: whatever is there is replaced, and the rest is as the policy says.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions<'a> {
    /// What must be there.
    pub expect: Expect,
    /// What to do when it is not; else the policy's.
    pub strategy: Option<Strategy>,
    /// For [`Strategy::Merge`]: what the content was made from, where it need not be looked for. Without an expectation it is the
    /// expected version.
    pub base: Option<Arc<[u8]>>,
    /// What the write has survived when it returns; else the policy's.
    pub durability: Option<Durability>,
    /// How to wait for the lock; else as the policy says.
    pub lock: LockOptions<'a>,
    /// For documents: the format; else told from the name.
    pub format: Option<Format>,
    /// For documents: what a file that does not exist begins with; else it is an error.
    pub create: Option<Value>,
    /// Never apply a change twice: a foreign write in between is then a conflict.
    pub run_once: bool,
    /// Who writes; else the engine's session.
    pub session: Option<Arc<str>>,
}

impl<'a> WriteOptions<'a> {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// What must be there for the write to happen.
    #[must_use]
    pub fn expect(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }

    /// What to do when the file is not what was expected.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = Some(strategy);
        self
    }

    /// What the content was made from, for [`Strategy::Merge`].
    #[must_use]
    pub fn base(mut self, bytes: impl Into<Arc<[u8]>>) -> Self {
        self.base = Some(bytes.into());
        self
    }

    /// What the write has survived when it returns.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// How to wait for the lock.
    #[must_use]
    pub fn lock(mut self, lock: LockOptions<'a>) -> Self {
        self.lock = lock;
        self
    }

    /// The document's format, where the name does not tell.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// Create the document with this value first if the file does not exist.
    #[must_use]
    pub fn create(mut self, value: Value) -> Self {
        self.create = Some(value);
        self
    }

    /// Who writes, for a program that writes for others: the author of the version, of its record in the audit log and of a stored conflict.
    /// Locks stay the engine's. Of changes that share a publish the last one's session is the author, as of every version.
    #[must_use]
    pub fn session(mut self, name: impl Into<Arc<str>>) -> Self {
        self.session = Some(name.into());
        self
    }

    /// Never apply a change twice.
    #[must_use]
    pub fn run_once(mut self) -> Self {
        self.run_once = true;
        self
    }
}

impl LatchFile {
    pub(crate) fn new(engine: Filelatch, place: Place, entry: Arc<Entry>) -> Self {
        LatchFile { engine, place, entry }
    }

    /// In a forked child the handle begins afresh.
    pub(crate) fn entry(&self) -> Result<Arc<Entry>> {
        if self.entry.resource.is_foreign_process() {
            let place = self.place.clone();
            return if self.entry.privacy.is_on() {
                self.engine.private_entry(place)
            } else {
                self.engine.entry(place)
            };
        }
        Ok(Arc::clone(&self.entry))
    }

    #[cfg(any(feature = "tokio", feature = "store", all(feature = "watch", test)))]
    pub(crate) fn engine(&self) -> &Filelatch {
        &self.engine
    }

    /// The file, as it was asked for.
    pub fn path(&self) -> &Path {
        &self.place.spelled
    }

    /// The file's absolute path without symbolic links.
    pub fn canonical_path(&self) -> &Path {
        &self.place.path
    }

    /// The identity by which locks meet.
    pub fn id(&self) -> &ResourceId {
        &self.place.id
    }

    /// The lock file.
    pub fn lock_path(&self) -> PathBuf {
        self.entry.resource.lock.path.clone()
    }

    /// How the file is treated.
    pub fn policy(&self) -> &Policy {
        &self.entry.policy
    }

    /// How changes of this file are merged, as its workspace says (`[policy.merge]`), else as the builder does.
    pub fn merge_rules(&self) -> &crate::merge::Rules {
        &self.entry.merge.rules
    }

    /// Reads the file, without a lock: it is whole, some version that was published, and never older than what this engine has
    /// written. A power cut may take back a version that was not durable yet; see [`LatchFile::read_durable`].
    pub fn read(&self) -> Result<Snapshot> {
        self.try_read()?.ok_or_else(|| Error::NotFound { path: self.place.spelled.clone() })
    }

    /// Reads the file; `None` when it does not exist.
    pub fn try_read(&self) -> Result<Option<Snapshot>> {
        self.entry()?.read()
    }

    /// Is there such a file? Reads nothing and takes no lock: the answer may be old when it is given.
    ///
    /// [`Error::NotAFile`] for what is none.
    pub fn exists(&self) -> Result<bool> {
        current::exists(&self.place)
    }

    /// Makes durable what is there, then reads it: what this returns survives a power cut.
    pub fn read_durable(&self) -> Result<Snapshot> {
        let entry = self.entry()?;
        loop {
            let Some(before) = entry.current()? else {
                return Err(Error::NotFound { path: self.place.spelled.clone() });
            };
            make_durable(&self.place, &before, Durability::Full)?;
            let snapshot = self.read()?;
            // Replaced meanwhile: then it was not this version that was synced.
            let after = current::open(&self.place)?;
            if after.is_some_and(|after| after.stat.id == before.stat.id && after.stat.ctime == before.stat.ctime) {
                return Ok(snapshot);
            }
        }
    }

    /// Brings two contents of this file together, as a write with [`Strategy::Merge`] would, by the rules of its workspace. Without what both
    /// were made from, nothing is settled. Reads and writes nothing.
    pub fn merge(&self, base: Option<&[u8]>, ours: &[u8], theirs: &[u8]) -> Result<Merged> {
        let options = self.entry()?.merge_options();
        Ok(base.map_or_else(|| apart(ours, theirs), |base| merge::merge(base, ours, theirs, &options)))
    }

    /// Looks for a version of this file where a merge looks for its base: among the kept versions, then where the builder's sources look
    /// ([`BaseSource`](crate::BaseSource), git for example). `None`: it is nowhere.
    pub fn find_base(&self, wanted: &Expect) -> Result<Option<Vec<u8>>> {
        Ok(conflict::find(&*self.entry()?, wanted).ok())
    }

    /// How the workspace wants what does not fit together to be shown in the document.
    pub fn conflict_style(&self) -> ConflictStyle {
        self.entry.merge.style
    }

    /// Takes the exclusive lock.
    pub fn lock(&self, options: &LockOptions<'_>) -> Result<Guard> {
        Ok(Guard::new(self.hold_on(LockKind::Exclusive, options)?))
    }

    /// Takes a shared lock: many readers at once, no writer among them.
    pub fn lock_shared(&self, options: &LockOptions<'_>) -> Result<SharedGuard> {
        Ok(SharedGuard::new(self.hold_on(LockKind::Shared, options)?))
    }

    /// Takes the exclusive lock if it can be had at once; [`Error::Locked`] otherwise.
    pub fn try_lock(&self) -> Result<Guard> {
        self.lock(&LockOptions::new().wait(Wait::No))
    }

    /// Runs `body` under the exclusive lock, once, and returns what it returns. Its error is passed on unchanged; the lock is
    /// released in any case, also when it panics (LOCK-6, LOCK-12).
    pub fn with_lock<T, E: From<Error>>(
        &self,
        options: &LockOptions<'_>,
        body: impl FnOnce(&Guard) -> Result<T, E>,
    ) -> Result<T, E> {
        let guard = self.lock(options)?;
        body(&guard)
    }

    /// Does anybody hold the lock, in this process or another, by the system's word?
    pub fn is_locked(&self) -> Result<bool> {
        Ok(!self.lock_state()?.holders.is_empty())
    }

    /// Who holds the lock and how many wait.
    pub fn lock_state(&self) -> Result<LockState> {
        let resource = &self.entry.resource;
        lock_state(&resource.parts, &resource.place, &resource.lock)
    }

    /// Locks one record of the file: nobody else has it, or the whole file, while others lock and change other records.
    ///
    /// The name is any text; two names are two records unless their 60-bit hashes are equal. See [`RecordGuard`] for what can be done
    /// under it. Fails as [`LatchFile::lock`] does; an owner that asks for the record again, or for the whole file while it holds one of
    /// its records, gets [`Error::Reentrant`]. In errors and to `on_wait` the path is `FILE#RECORD`.
    pub fn lock_record(&self, name: &str, options: &LockOptions<'_>) -> Result<RecordGuard> {
        let mut guards = self.lock_records([name], options)?;
        guards.pop().ok_or_else(|| self.unanswered())
    }

    /// Locks several records of the file, in one order for all callers, so that such calls can't deadlock with each other. One guard
    /// for each name, in the order given, a repeated name once. If one can't be had, none is held afterwards.
    pub fn lock_records<'n>(
        &self,
        names: impl IntoIterator<Item = &'n str>,
        options: &LockOptions<'_>,
    ) -> Result<Vec<RecordGuard>> {
        let entry = self.entry()?;
        let began = entry.parts().host.monotonic();
        let wait = options.wait.unwrap_or(entry.policy.wait);
        let mut guards = Vec::new();
        for (place, name) in in_order(names) {
            let left = wait.after(entry.parts().host.monotonic().saturating_sub(began));
            let tenure = self.record(&entry, &name, &options.clone().wait(left))?;
            guards.push((place, RecordGuard::new(self.clone(), Arc::clone(&entry), name, tenure)));
        }
        guards.sort_by_key(|(place, _)| *place);
        Ok(guards.into_iter().map(|(_, guard)| guard).collect())
    }

    /// The name of a record's lock on this machine, as nested programs are told of it.
    pub fn record_resource_name(&self, record: &str) -> String {
        name_of(&self.entry.resource, byte_of(record))
    }

    /// Locks one record if it can be had at once; [`Error::Locked`] otherwise.
    pub fn try_lock_record(&self, name: &str) -> Result<RecordGuard> {
        self.lock_record(name, &LockOptions::new().wait(Wait::No))
    }

    /// Runs `body` under the lock of one record, once, and returns what it returns, as [`LatchFile::with_lock`] does.
    pub fn with_record_lock<T, E: From<Error>>(
        &self,
        name: &str,
        options: &LockOptions<'_>,
        body: impl FnOnce(&RecordGuard) -> Result<T, E>,
    ) -> Result<T, E> {
        let guard = self.lock_record(name, options)?;
        body(&guard)
    }

    fn record(&self, entry: &Arc<Entry>, name: &Arc<str>, options: &LockOptions<'_>) -> Result<RecordTenure> {
        let owner = options.scope.as_ref().map_or_else(Owner::current, crate::lock::LockScope::owner);
        if let Some(tenure) = entry.without_waiting(name, owner)? {
            return Ok(tenure);
        }
        let lock = match self.byte(entry, name, owner, options) {
            Ok(Some(byte)) => return Ok(RecordTenure::Byte(byte)),
            Ok(None) => self.tenure(entry, LockKind::Exclusive, options),
            Err(e) => Err(e),
        };
        let held = Held::of(Arc::clone(entry), lock, options)?;
        Ok(entry.records.add_whole(name, owner, Arc::new(held)))
    }

    /// Takes a record's byte. `None`: there are no such locks here.
    fn byte(
        &self,
        entry: &Arc<Entry>,
        name: &Arc<str>,
        owner: Owner,
        options: &LockOptions<'_>,
    ) -> Result<Option<ByteTenure>> {
        let began = entry.parts().host.monotonic();
        let wait = options.wait.unwrap_or(entry.policy.wait);
        let left = || wait.after(entry.parts().host.monotonic().saturating_sub(began));
        let holdings = || self.engine.holdings(owner);
        loop {
            let Some(mut door) = entry.records.door(name, owner) else { return Ok(None) };
            let tenure = match door.tenure.take() {
                Some(tenure) => tenure,
                None => Arc::new(acquire(&door, &self.request(owner, left(), options, &holdings))?),
            };
            let unfinished = tenure.intent.is_some();
            let Some(wanted) = door.wanted(byte_of(name), tenure) else { return Ok(None) };
            let Some(byte) = acquire(&wanted, &self.request(owner, left(), options, &holdings))? else { continue };
            if unfinished {
                drop(self.publishing_turn(entry, &byte, owner, &options.clone().wait(left()))?);
            }
            return Ok(Some(byte));
        }
    }

    /// Waits until nobody else publishes under a record lock, and completes what a dead holder left unfinished.
    pub(crate) fn publishing_turn(
        &self,
        entry: &Arc<Entry>,
        record: &ByteTenure,
        owner: Owner,
        options: &LockOptions<'_>,
    ) -> Result<ByteTenure> {
        let wanted = Wanted {
            slots: Arc::clone(record.slots()),
            byte: PUBLISH,
            name: Arc::default(),
            tenure: Arc::clone(record.shared()),
        };
        let held = || {
            let mut held = self.engine.holdings(owner);
            held.push(name_of(&entry.resource, record.byte()));
            held
        };
        let wait = options.wait.unwrap_or(entry.policy.wait);
        let turn = acquire(&wanted, &self.request(owner, wait, options, &held))?;
        let turn = turn.ok_or_else(|| self.unanswered())?;
        records::complete(entry, &turn)?;
        Ok(turn)
    }

    /// For a caller to hold.
    fn hold_on(&self, kind: LockKind, options: &LockOptions<'_>) -> Result<Held> {
        let mut held = self.hold(kind, options)?;
        if held.entry.trail().is_some()
            && let Some(tenure) = &mut held.tenure
        {
            tenure.kept = Some((kind, held.entry.parts().host.monotonic()));
        }
        Ok(held)
    }

    pub(crate) fn hold(&self, kind: LockKind, options: &LockOptions<'_>) -> Result<Held> {
        let entry = self.entry()?;
        if !entry.policy.locks {
            return Ok(Held::off(entry));
        }
        let tenure = self.tenure(&entry, kind, options);
        Held::of(entry, tenure, options)
    }

    /// Takes the exclusive lock for a write, once no lease of somebody else's is in the way. The lock is not held while that is
    /// waited for.
    pub(crate) fn hold_to_write(&self, options: &LockOptions<'_>) -> Result<Held> {
        let entry = self.entry()?;
        let wait = options.wait.unwrap_or(entry.policy.wait);
        let owner = options.scope.as_ref().map_or_else(Owner::current, crate::lock::LockScope::owner);
        let mut patience = Patience::new(&entry, wait, options.on_wait, options.cancel.as_ref());
        loop {
            let held = self.hold(LockKind::Exclusive, &options.clone().wait(patience.left()))?;
            match held.may_write(Some(owner)) {
                Ok(()) => return Ok(held),
                Err(Error::Leased { .. }) => {}
                Err(e) => return Err(e),
            }
            drop(held);
            patience.until_over().inspect_err(|e| entry.refused(e))?;
        }
    }

    /// Takes a lock for appending to a store; unlike a publish it is no business of the audit log. While somebody else has a lease it fails at
    /// once.
    #[cfg(feature = "store")]
    pub(crate) fn hold_to_append(&self, kind: LockKind, options: &LockOptions<'_>) -> Result<Held> {
        if kind == LockKind::Exclusive {
            return self.hold_to_write(options);
        }
        let owner = options.scope.as_ref().map_or_else(Owner::current, crate::lock::LockScope::owner);
        let held = self.hold(kind, options)?;
        held.may_write(Some(owner))?;
        Ok(held)
    }

    pub(crate) fn keeper(&self) -> &Arc<Keeper> {
        self.engine.keeper()
    }

    /// Takes the lock and completes what a dead holder left unfinished.
    pub(crate) fn tenure(&self, entry: &Entry, kind: LockKind, options: &LockOptions<'_>) -> Result<Tenure> {
        let wait = options.wait.unwrap_or(entry.policy.wait);
        let owner = options.scope.as_ref().map_or_else(Owner::current, crate::lock::LockScope::owner);
        entry.records.allow_whole(owner)?;
        let holdings = || self.engine.holdings(owner);
        let queued = AtomicBool::new(false);
        let request = |kind| Request { kind, queued: Some(&queued), ..self.request(owner, wait, options, &holdings) };
        let take = |kind| acquire(&entry.resource, &request(kind));
        let host = &entry.parts().host;
        let began = entry.trail().map(|_| host.monotonic());
        loop {
            let mut tenure = take(kind).inspect_err(|e| entry.refused(e))?;
            if let Some((trail, began)) = entry.trail().zip(began) {
                let waited = host.monotonic().saturating_sub(began);
                tenure.waited = Some(waited).filter(|waited| queued.load(Ordering::Relaxed) && *waited >= WAITED);
                if let Some(recovery) = &tenure.recovery {
                    trail.took_over(&Recovered::of(entry.parts(), recovery));
                }
            }
            if tenure.intent.is_none() {
                return Ok(tenure);
            }
            if kind == LockKind::Exclusive {
                return entry.recovered(tenure);
            }
            // A reader has to let go first: converting could silently drop its lock.
            drop(tenure);
            drop(entry.recovered(take(LockKind::Exclusive)?)?);
        }
    }

    /// A request for an exclusive lock.
    pub(crate) fn request<'a>(
        &'a self,
        owner: Owner,
        wait: Wait,
        options: &'a LockOptions<'_>,
        holdings: &'a (dyn Fn() -> Vec<String> + Sync),
    ) -> Request<'a> {
        Request {
            kind: LockKind::Exclusive,
            owner,
            wait,
            on_wait: options.on_wait,
            cancel: options.cancel.as_ref(),
            waits: self.engine.waits(),
            holdings,
            queued: None,
        }
    }

    /// Replaces the file's content, or creates it, under the exclusive lock.
    ///
    /// Nothing is written unless the file is what `options.expect` says ([`Error::Conflict`] otherwise, or as the strategy has
    /// it). Writes of one process that wait for the same file share one publish.
    ///
    /// With [`Strategy::Merge`] the content is brought together with what is there by then ([`Outcome::Merged`]); what does not fit is
    /// stored, and the error's [`Conflict::unmerged`](crate::Conflict::unmerged) names the stored conflict.
    pub fn write(&self, bytes: &[u8], options: &WriteOptions<'_>) -> Result<Written> {
        self.write_like(bytes, options, None)
    }

    /// As [`LatchFile::write`]; a file that does not exist gets the metadata of `like`.
    pub(crate) fn write_like(
        &self,
        bytes: &[u8],
        options: &WriteOptions<'_>,
        like: Option<&Arc<Current>>,
    ) -> Result<Written> {
        let entry = self.entry()?;
        let mut writing = Writing::new(&entry, bytes, options);
        loop {
            let mut decided = None;
            let ended = self.combined(&entry, options, &mut |head| {
                let result = writing.decide(head);
                let accepted = result.is_ok();
                if accepted && head.disk.is_none() {
                    head.like = like.cloned();
                }
                decided = Some(result);
                accepted
            })?;
            match (decided, ended) {
                (Some(Ok(decided)), Some(ended)) => return Ok(decided.written(&ended)),
                (Some(Err(refused)), _) => writing.after(refused)?,
                _ => return Err(self.unanswered()),
            }
        }
    }

    /// Reads, changes and writes under the lock: `change` is given the newest bytes (`None`: no such file) and answers the new
    /// ones, or `None` to leave the file as it is.
    ///
    /// It may run more than once (see [`WriteOptions::run_once`]); an error of its own leaves the file as it is and is returned
    /// unchanged. The answer comes when the change is durable.
    pub fn update_bytes<E: From<Error>>(
        &self,
        options: &WriteOptions<'_>,
        mut change: impl FnMut(Option<&[u8]>) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Written, E> {
        let place = &self.place;
        self.update_with(options, |head| {
            let old = head.content(place)?;
            if let Some(new) = change(old.as_ref().map(|content| &content.bytes[..]))? {
                head.replace(new, true);
            }
            Ok(())
        })
        .map(|(written, ())| written)
    }

    /// Changes a document (JSON, YAML, TOML, text) by its nodes. Comments, order and formatting outside the changed nodes stay
    /// byte for byte. As [`LatchFile::update_bytes`] otherwise.
    pub fn update_document<R, E: From<Error>>(
        &self,
        options: &WriteOptions<'_>,
        mut change: impl FnMut(&mut Document) -> Result<R, E>,
    ) -> Result<(Written, R), E> {
        let place = &self.place;
        self.update_with(options, |head| {
            head.with_document(place, options.format, options.create.as_ref(), &mut change)
        })
    }

    /// Changes a document as a dynamic value. As [`LatchFile::update_document`] otherwise.
    pub fn update_value<E: From<Error>>(
        &self,
        options: &WriteOptions<'_>,
        mut change: impl FnMut(&mut Value) -> Result<(), E>,
    ) -> Result<Written, E> {
        let wrong = |source| Error::Document { path: self.place.spelled.clone(), source };
        self.update_document(options, |document| {
            let mut value = document.value().map_err(wrong)?.clone();
            change(&mut value)?;
            Ok::<_, E>(document.replace(value).map_err(wrong)?)
        })
        .map(|(written, ())| written)
    }

    /// Changes a document as a value of the caller's own type. Fields that the type does not know stay as they are.
    pub fn update<T: Serialize + DeserializeOwned, R, E: From<Error>>(
        &self,
        options: &WriteOptions<'_>,
        mut change: impl FnMut(&mut T) -> Result<R, E>,
    ) -> Result<(Written, R), E> {
        let wrong = |source| doc_error(&self.place, source);
        self.update_document(options, |document| {
            let mut value: T = document.read().map_err(wrong)?;
            let result = change(&mut value)?;
            document.write(&value).map_err(wrong)?;
            Ok::<_, E>(result)
        })
    }

    /// Reads a document as a value of the caller's own type.
    pub fn read_as<T: DeserializeOwned>(&self) -> Result<T> {
        let snapshot = self.read()?;
        let format = Format::from_path(&self.place.path).unwrap_or(Format::Text);
        let parsed = Document::parse(snapshot.bytes(), format).and_then(|document| document.read());
        parsed.map_err(|source| doc_error(&self.place, source))
    }

    /// A writer for content of any size: what is written goes to a temporary file, and [`FileWriter::commit`] publishes it.
    pub fn writer(&self, options: &WriteOptions<'_>) -> Result<FileWriter> {
        FileWriter::new(self.clone(), self.entry()?, options)
    }

    fn update_with<R, E: From<Error>>(
        &self,
        options: &WriteOptions<'_>,
        mut change: impl FnMut(&mut Head) -> Result<R, E>,
    ) -> Result<(Written, R), E> {
        let mut result = None;
        let entry = self.entry()?;
        let strategy = options.strategy.unwrap_or(entry.policy.strategy);
        // A change that must not run twice is merged instead with what a foreign program wrote in between.
        let merges = options.run_once && strategy == Strategy::Merge;
        let mut once = None;
        let (mut merged, mut refused) = (false, None);
        let ended = self.combined(&entry, options, &mut |head| {
            if let Some((before, after)) = &once {
                let again = merge_path::again(&entry, head, Option::as_ref(before), Option::as_ref(after));
                merged = matches!(again, Ok(true));
                refused = again.err();
                return refused.is_none();
            }
            let changed = entry.expected(head, &options.expect).map_err(E::from).and_then(|()| {
                let before = if merges { head.content(&self.place)? } else { None };
                let changed = change(head)?;
                if merges {
                    once = Some((before, head.content(&self.place)?));
                }
                head.author.clone_from(&options.session);
                Ok(changed)
            });
            let accepted = changed.is_ok();
            result = Some(changed);
            accepted
        })?;
        if let Some(refused) = refused {
            return Err(merge_path::refusal(&entry, refused).into());
        }
        match (result, ended) {
            (Some(Ok(result)), Some(ended)) => {
                let outcome = if merged { Outcome::Merged } else { Written::of(&ended).outcome };
                Ok((Written { outcome, ..Written::of(&ended) }, result))
            }
            (Some(Err(e)), _) => Err(e),
            _ => Err(self.unanswered().into()),
        }
    }

    fn combined(
        &self,
        entry: &Arc<Entry>,
        options: &WriteOptions<'_>,
        change: &mut dyn FnMut(&mut Head) -> bool,
    ) -> Result<Option<Ended>> {
        let strategy = options.strategy.unwrap_or(entry.policy.strategy);
        let told = Mutex::new(Vec::new());
        let owner = options.lock.scope.as_ref().map_or_else(Owner::current, crate::lock::LockScope::owner);
        let holdings = || self.engine.holdings(owner);
        let part = Part {
            owner,
            wait: options.lock.wait.unwrap_or(entry.policy.wait),
            durability: options.durability.unwrap_or(entry.policy.durability),
            newest_wins: strategy == Strategy::LastWriteWins,
            queued: strategy == Strategy::Queue,
            once: options.run_once && strategy != Strategy::Merge,
            cancel: options.lock.cancel.as_ref(),
            lock: &|wait| {
                let lock = options.lock.clone().wait(wait);
                let held = self.hold_to_write(&lock)?;
                let mut told = locked(&told);
                told.extend(held.warning.map(|why| Notice::Unlocked { why }));
                let recovery = held.tenure.as_ref().and_then(|tenure| tenure.recovery.as_ref());
                told.extend(recovery.map(|r| Notice::LockTakenOver(Recovered::of(entry.parts(), r))));
                Ok(held.tenure)
            },
            watch: &Request { cancel: None, ..self.request(owner, Wait::Forever, &options.lock, &holdings) },
        };
        let mut ended = combine(entry, &part, change)?;
        if let Some(ended) = &mut ended {
            ended.notices.append(&mut locked(&told));
        }
        Ok(ended)
    }

    pub(crate) fn unanswered(&self) -> Error {
        let message = "the change was neither made nor refused".to_owned();
        Error::Internal { path: self.place.spelled.clone(), message }
    }
}
