//! The write of several files: locks, comparison, intent, publish.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::change::{Applied, AppliedFile, FileChange, FileContent, FileOutcome, ManyOptions};
use super::intent::{ABSENT, Intents, NewPart, Own, State};
use super::recover::{ROUNDS, store};
use super::{KIND, Several};
use crate::engine::Filelatch;
use crate::entry::{Entry, Extra, make_durable};
use crate::error::{Error, Result};
use crate::file::LatchFile;
use crate::guard::Held;
use crate::lease::wait::Patience;
use crate::lock::owner::Owner;
use crate::lock::record::Intent;
use crate::lock::resource::Tenure;
use crate::lock::{LockKind, LockScope, Recovered};
use crate::snapshot::Content;
use crate::version::Expect;
use crate::workspace::Workspace;
use crate::write::publish::Base;
use crate::write::temp::Temp;
use crate::write::{Durability, Notice, current};

/// Names in the folder of intents that are looked at for what dead makers left.
const SWEEP: usize = 256;

impl Filelatch {
    /// Writes several files as one: all changes or none, also after a crash in the middle of it ([`many`](crate::many)).
    ///
    /// The locks of all files are taken in one order, so that such calls can't deadlock with each other. If one of the files is not what
    /// its change expects, nothing is written ([`Error::Conflict`]). Files that would not change are left alone, and if no more than one is
    /// left, this is an ordinary write. Otherwise the files must belong to one workspace ([`Error::NoWorkspace`]), and each must be
    /// named once.
    ///
    /// # Errors
    /// Unless it is one of these two, nothing was written and nothing will be:
    /// - [`Error::Partial`]: a program that ignores locks changed some of the files meanwhile; the others are written.
    /// - [`Error::Unfinished`]: the disk failed after the point of no return; whoever locks the files next goes on.
    ///
    /// ```
    /// # fn main() -> Result<(), filelatch::Error> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = |name| dir.path().join(name);
    /// use filelatch::{Expect, FileChange, Filelatch, ManyOptions};
    ///
    /// let latch = Filelatch::new();
    /// latch.init(dir.path())?;
    /// let changes = [
    ///     FileChange::write(path("index.json"), "{\"tasks\": [1]}\n").expect(Expect::Absent),
    ///     FileChange::write(path("task-1.json"), "{\"title\": \"write\"}\n"),
    ///     FileChange::remove(path("draft.json")),
    /// ];
    /// let applied = latch.apply_many(changes, &ManyOptions::new())?;
    /// assert_eq!(applied.files.len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn apply_many(
        &self,
        changes: impl IntoIterator<Item = FileChange>,
        options: &ManyOptions<'_>,
    ) -> Result<Applied> {
        let mut changes: Vec<_> = changes.into_iter().collect();
        let files = changes.iter_mut().map(|change| self.file(std::mem::take(&mut change.path)));
        let files = files.collect::<Result<Vec<_>>>()?;
        let any: Vec<_> = changes.iter().map(|change| change.expect == Expect::Any).collect();
        let applied = Self::change_many(&files, options, &any, |files, entries| {
            for ((file, entry), change) in files.iter_mut().zip(entries).zip(changes) {
                let version = if change.expect == Expect::Any { None } else { file.version() };
                if !change.expect.admits(version.as_ref()) {
                    let shown = current::open(entry.place())?;
                    return Err(entry.conflict(&change.expect, version, shown.as_ref()));
                }
                file.after = change.new.map(Content::new);
            }
            Ok(())
        });
        applied.map(|(applied, ())| applied)
    }

    /// Reads several files under the locks of all, lets `change` say what becomes of each, and writes that as [`Filelatch::apply_many`] does.
    ///
    /// `change` sees the newest contents, in the order of `paths`, and runs once. If it fails, nothing is written, and its error is returned
    /// unchanged.
    ///
    /// ```
    /// # fn main() -> Result<(), filelatch::Error> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    /// use filelatch::{Filelatch, ManyOptions};
    ///
    /// let latch = Filelatch::new();
    /// latch.init(dir.path())?;
    /// # std::fs::write(&from, "one\n").unwrap();
    /// latch.update_many([&from, &to], &ManyOptions::new(), |files| {
    ///     let text = files[0].bytes().unwrap_or_default().to_vec();
    ///     files[0].remove();
    ///     files[1].write(text);
    ///     Ok::<_, filelatch::Error>(())
    /// })?;
    /// assert!(!from.exists());
    /// # assert_eq!(std::fs::read(&to).unwrap(), b"one\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn update_many<P: AsRef<Path>, R, E: From<Error>>(
        &self,
        paths: impl IntoIterator<Item = P>,
        options: &ManyOptions<'_>,
        change: impl FnOnce(&mut [FileContent]) -> Result<R, E>,
    ) -> Result<(Applied, R), E> {
        let files = paths.into_iter().map(|path| self.file(path)).collect::<Result<Vec<_>>>()?;
        self.update_files(&files, options, change)
    }

    /// As [`Filelatch::update_many`], of files that were looked up already: through a [`Root`](crate::Root), for example.
    pub fn update_files<R, E: From<Error>>(
        &self,
        files: &[LatchFile],
        options: &ManyOptions<'_>,
        change: impl FnOnce(&mut [FileContent]) -> Result<R, E>,
    ) -> Result<(Applied, R), E> {
        let any = vec![false; files.len()];
        Self::change_many(files, options, &any, |files, _| change(files))
    }

    /// `any`: where whatever is there may be replaced.
    fn change_many<R, E: From<Error>>(
        files: &[LatchFile],
        options: &ManyOptions<'_>,
        any: &[bool],
        change: impl FnOnce(&mut [FileContent], &[Arc<Entry>]) -> Result<R, E>,
    ) -> Result<(Applied, R), E> {
        let held = lock_all(files, options)?;
        let entries: Vec<_> = held.iter().map(|held| Arc::clone(&held.entry)).collect();
        let mut contents = Vec::with_capacity(files.len());
        for (file, entry) in files.iter().zip(&entries) {
            entry.register(options.session.as_deref());
            contents.push(FileContent::new(file.path().to_owned(), read(entry)?));
        }
        let result = change(&mut contents, &entries)?;
        let parts = held.iter().zip(contents).zip(any);
        let parts: Vec<_> = parts
            .map(|((held, file), any)| Part { held, file, any: *any, session: options.session.as_deref() })
            .collect();
        let applied = apply(&parts, options);
        drop(parts);
        if let Err(e) = &applied
            && let Some(entry) = entries.first()
        {
            entry.refused(e);
        }
        drop(held);
        let mut applied = applied?;
        for (entry, file) in entries.iter().zip(&mut applied.files) {
            file.notices.extend(entry.trail().and_then(|trail| {
                trail.flush();
                trail.notice()
            }));
        }
        if applied.is_partial() {
            return Err(Error::Partial(Box::new(applied)).into());
        }
        Ok((applied, result))
    }
}

/// One file, locked, and what is to become of it.
struct Part<'a> {
    held: &'a Held,
    file: FileContent,
    any: bool,
    /// Who writes, if it is not the engine's session.
    session: Option<&'a str>,
}

/// Takes the exclusive locks in the order of all; answers them in the order given. Not while somebody has a lease of one of them: that is
/// waited for without any of the locks.
fn lock_all(files: &[LatchFile], options: &ManyOptions<'_>) -> Result<Vec<Held>> {
    let mut order: BTreeMap<_, usize> = BTreeMap::new();
    for (at, file) in files.iter().enumerate() {
        if order.insert(file.id(), at).is_some() {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "it is named twice in one write");
            return Err(Error::io("change", file.path(), source));
        }
    }
    let owner = options.lock.scope.as_ref().map_or_else(Owner::current, LockScope::owner);
    let Some(first) = files.first() else { return Ok(Vec::new()) };
    let host = Arc::clone(&first.entry()?.parts().host);
    let began = host.monotonic();
    loop {
        let mut all: Vec<Option<Held>> = files.iter().map(|_| None).collect();
        let mut leased = None;
        for at in order.values().copied() {
            let file = &files[at];
            let wait = options.lock.wait.unwrap_or(file.policy().wait);
            let left = wait.after(host.monotonic().saturating_sub(began));
            let mut held = file.hold(LockKind::Exclusive, &options.lock.clone().wait(left))?;
            if let Some((_, token)) = options.leases.iter().find(|(file, _)| *file == at) {
                held.entry.leases.current(held.entry.parts(), held.entry.place(), *token)?;
                if let Some(tenure) = &mut held.tenure {
                    tenure.fence = Some(*token);
                }
                all[at] = Some(held);
                continue;
            }
            match held.may_write(Some(owner)) {
                Ok(()) => all[at] = Some(held),
                Err(Error::Leased { .. }) => {
                    leased = Some((Arc::clone(&held.entry), left));
                    break;
                }
                Err(e) => return Err(e),
            }
        }
        let Some((entry, left)) = leased else { return Ok(all.into_iter().flatten().collect()) };
        drop(all);
        let mut patience = Patience::new(&entry, left, options.lock.on_wait, options.lock.cancel.as_ref());
        patience.until_over().inspect_err(|e| entry.refused(e))?;
    }
}

fn read(entry: &Entry) -> Result<Option<Arc<Content>>> {
    let place = entry.place();
    let bytes = entry.current()?.map(|current| current.read(place, entry.read_limit)).transpose()?;
    Ok(bytes.map(Content::new))
}

fn apply(parts: &[Part<'_>], options: &ManyOptions<'_>) -> Result<Applied> {
    let changed: Vec<usize> = (0..parts.len()).filter(|at| parts[*at].file.is_changed()).collect();
    let durability = |part: &Part<'_>| match changed.len() {
        0 | 1 => options.durability.unwrap_or(part.held.entry.policy.durability),
        _ => Durability::Full,
    };
    let mut results: Vec<_> = parts.iter().map(|part| part.result(FileOutcome::Unchanged)).collect();
    for part in parts.iter().filter(|part| !part.file.is_changed()) {
        let place = part.held.entry.place();
        if let Some(current) = current::open(place)? {
            make_durable(place, &current, durability(part))?;
        }
    }
    let mut intent = None;
    match changed[..] {
        [] => {}
        [at] => {
            let temp = parts[at].prepare()?;
            let notices = parts[at].publish(temp, durability(&parts[at]), None)?;
            results[at].written(&parts[at], notices);
        }
        _ => {
            let several: Vec<_> = changed.iter().map(|at| &parts[*at]).collect();
            let (id, outcomes) = write_several(&several)?;
            for (at, outcome) in changed.iter().zip(outcomes) {
                match outcome {
                    Ok(notices) => results[*at].written(&parts[*at], notices),
                    Err(conflict) => results[*at].outcome = conflict,
                }
            }
            intent = Some(id);
        }
    }
    Ok(Applied { files: results, intent })
}

/// What became of a part that is settled: its notices, or the conflict.
type Settled = std::result::Result<Vec<Notice>, FileOutcome>;

fn write_several(parts: &[&Part<'_>]) -> Result<(String, Vec<Settled>)> {
    let (workspace, tenures) = check(parts)?;
    let Some(first) = parts.first() else { return Ok(Default::default()) };
    let engine = first.held.entry.parts();
    // A lock file that was made just now must not lose its name in a power cut: nobody would find what its record says. Before anything
    // else is made in the directories: usually there is nothing to sync.
    let mut unsynced = None;
    sync_dirs(parts, &mut [], &mut unsynced);
    unsynced.map_or(Ok(()), Err)?;
    let mut temps = parts.iter().map(|part| part.prepare()).collect::<Result<Vec<_>>>()?;
    let fail = |e| Error::io("keep what is to be written in", workspace.own_path(), e);
    let intents = Intents::create(engine, workspace).map_err(fail)?;
    intents.sweep(engine, SWEEP);
    let own = {
        let new = parts.iter().map(|part| part.new_part(workspace)).collect::<Result<Vec<_>>>()?;
        intents.prepare(engine, &new, first.session).map_err(fail)?
    };
    for (at, (part, tenure)) in parts.iter().zip(&tenures).enumerate() {
        let after = part.file.after.as_ref().map_or(ABSENT.to_owned(), |content| content.version().to_string());
        let note = Intent { kind: KIND.to_owned(), journal: own.id.clone(), hash: after, part: at as u64 };
        if let Err(e) = tenure.resource.set_intent(Some(note)) {
            return Err(drop_it(own, first, &tenures[..=at], e));
        }
    }
    // As late as possible: a fallback lock may have been taken over while this machine was silent.
    let lost = |tenure: &&Tenure| !matches!(tenure.resource.is_still_held(), Ok(true));
    let lost = tenures.iter().find(|tenure| lost(tenure));
    let lost = lost.map(|tenure| Error::LockLost { path: tenure.resource.place.spelled.clone() });
    let committed = lost.map_or(Ok(()), Err).and_then(|()| own.commit().map_err(fail));
    if let Err(e) = committed {
        return Err(drop_it(own, first, &tenures, e));
    }
    // The point of no return.
    let mut settled = Vec::with_capacity(parts.len());
    let mut failed = None;
    for (at, (part, temp)) in parts.iter().zip(temps.drain(..)).enumerate() {
        let several = Several { intents: own.intents(), id: &own.id, part: at };
        let done = match part.publish(temp, Durability::File, Some(&several)) {
            Err(Error::Conflict(_)) => part.store().map(Err),
            done => done.map(Ok),
        };
        settled.push(match done {
            Ok(done) => Some(done),
            Err(e) => {
                failed.get_or_insert(e);
                None
            }
        });
    }
    sync_dirs(parts, &mut settled, &mut failed);
    let mut forgotten = true;
    for (tenure, _) in tenures.iter().zip(&settled).filter(|(_, settled)| settled.is_some()) {
        // A note that can't be taken back makes the next holder look again, to no harm.
        forgotten &= tenure.resource.set_intent(None).is_ok();
    }
    if let Some(e) = failed {
        return Err(unfinished(first, &own, e));
    }
    let id = own.id.clone();
    if forgotten {
        own.remove(State::Committed);
    }
    Ok((id, settled.into_iter().flatten().collect()))
}

/// May these files be written as one? Their workspace and their locks.
fn check<'a>(parts: &[&Part<'a>]) -> Result<(&'a Workspace, Vec<&'a Tenure>)> {
    let mut common: Option<&Workspace> = None;
    let mut tenures = Vec::with_capacity(parts.len());
    for part in parts {
        let held = part.held;
        let spelled = || held.entry.place().spelled.clone();
        let problem = |text: &str| Error::io("write as one of several files", spelled(), io::Error::other(text));
        // Whoever completes the write would not know that nobody else may see the content.
        if held.entry.privacy.is_on() {
            return Err(problem("it holds secrets, and those are written one by one"));
        }
        let Some(tenure) = held.tenure.as_ref() else {
            return Err(problem("it is not locked, and nobody would complete the write after a crash"));
        };
        tenure.resource.can_be_noted()?;
        tenures.push(tenure);
        let workspace = held.entry.workspace.as_deref().filter(|workspace| workspace.is_trusted);
        let workspace = workspace.ok_or_else(|| Error::NoWorkspace {
            path: spelled(),
            without: "there is no place to keep what is to be written to several files until all of them have it",
        })?;
        if common.is_some_and(|common| common.root != workspace.root) {
            return Err(problem("it belongs to another workspace than the others"));
        }
        common = Some(workspace);
    }
    let common = common.ok_or_else(|| Error::Internal { path: PathBuf::new(), message: "no files".to_owned() })?;
    Ok((common, tenures))
}

/// Before the point of no return: nothing is written. If even that can't be made sure, whoever locks one of the files next decides.
fn drop_it(own: Own, first: &Part<'_>, noted: &[&Tenure], why: Error) -> Error {
    if own.drop_it().is_err() {
        return unfinished(first, &own, why);
    }
    let mut forgotten = true;
    for tenure in noted {
        forgotten &= tenure.resource.set_intent(None).is_ok();
    }
    if forgotten {
        own.remove(State::Dropped);
    }
    why
}

fn unfinished(first: &Part<'_>, own: &Own, source: Error) -> Error {
    let path = match source.path() {
        path if path.as_os_str().is_empty() => first.held.entry.place().spelled.clone(),
        path => path.to_owned(),
    };
    Error::Unfinished { path, intent: own.id.clone(), source: Box::new(source) }
}

/// Each directory once; what can't be synced is not settled.
fn sync_dirs(parts: &[&Part<'_>], settled: &mut [Option<Settled>], failed: &mut Option<Error>) {
    let mut synced = BTreeMap::new();
    for (at, part) in parts.iter().enumerate() {
        let place = part.held.entry.place();
        let ok = *synced.entry(place.dir.id()).or_insert_with(|| match place.dir.sync() {
            Ok(()) => true,
            Err(e) => {
                failed.get_or_insert(Error::io("make durable", &place.spelled, e));
                false
            }
        });
        if let Some(settled) = settled.get_mut(at).filter(|_| !ok) {
            *settled = None;
        }
    }
}

impl Part<'_> {
    fn result(&self, outcome: FileOutcome) -> AppliedFile {
        let version = self.file.before.as_ref().map(|content| content.version());
        let entry = &self.held.entry;
        let recovery = self.held.tenure.as_ref().and_then(|tenure| tenure.recovery.as_ref());
        let mut notices: Vec<_> = self.held.warning.clone().map(|why| Notice::Unlocked { why }).into_iter().collect();
        notices.extend(recovery.map(|recovery| Notice::LockTakenOver(Recovered::of(entry.parts(), recovery))));
        AppliedFile { path: self.file.path.clone(), outcome, version, notices }
    }

    /// The temporary file of the new content; none if the file goes.
    fn prepare(&self) -> Result<Option<Temp>> {
        let replaces = self.file.before.is_some();
        let Some(content) = &self.file.after else { return Ok(None) };
        let mut temp = self.held.entry.prepare(content, replaces)?;
        if let Some(session) = self.session {
            temp.written_by(session);
        }
        Ok(Some(temp))
    }

    fn new_part<'a>(&'a self, workspace: &Workspace) -> Result<NewPart<'a>> {
        let place = self.held.entry.place();
        let path = place.path.strip_prefix(&workspace.root).map_err(|_| {
            let problem = io::Error::other("it does not lie in its workspace");
            Error::io("write as one of several files", &place.spelled, problem)
        })?;
        Ok(NewPart {
            path,
            lock: self.held.entry.policy.lock_file,
            before: self.file.version(),
            after: self.file.after.as_deref(),
        })
    }

    /// Publishes the part, if the file is still what it was, or whatever it is if that does not matter.
    fn publish(
        &self,
        mut temp: Option<Temp>,
        durability: Durability,
        several: Option<&Several<'_>>,
    ) -> Result<Vec<Notice>> {
        let mut before = self.file.before.clone();
        let mut notices = Vec::new();
        for round in 1.. {
            match self.publish_on(before.as_ref(), temp, durability, several) {
                Err(Error::Conflict(conflict)) if self.any && round < ROUNDS => {
                    notices.extend(conflict.kept.map(|kept| Notice::ForeignKept { kept }));
                    before = read(&self.held.entry)?;
                    temp = self.prepare()?;
                }
                done => {
                    return done.map(|mut more| {
                        more.append(&mut notices);
                        more
                    });
                }
            }
        }
        Ok(notices)
    }

    fn publish_on(
        &self,
        before: Option<&Arc<Content>>,
        temp: Option<Temp>,
        durability: Durability,
        several: Option<&Several<'_>>,
    ) -> Result<Vec<Notice>> {
        let (entry, tenure) = (&self.held.entry, self.held.tenure.as_ref());
        let shown = current::open(entry.place())?;
        let base = match (before, &shown, &temp) {
            (Some(before), Some(shown), _) => Base::Bytes(shown, before),
            (None, _, Some(_)) => Base::Absent,
            (Some(before), None, Some(_)) => {
                return Err(entry.conflict(&Expect::Version(before.version()), None, None));
            }
            // Gone already.
            (_, None, None) => return Ok(Vec::new()),
            (None, Some(shown), None) => {
                return Err(entry.conflict(&Expect::Absent, None, Some(shown)));
            }
        };
        match (temp, base) {
            (None, Base::Bytes(shown, before)) => {
                entry.remove(tenure, shown, before, durability, several, self.session)
            }
            (None, _) => Ok(Vec::new()),
            (Some(temp), base) => {
                let extra = Extra { several, ..Extra::default() };
                entry.publish(tenure, temp, &base, durability, &extra).map(|published| published.notices)
            }
        }
    }

    /// What could not be published for a foreign change becomes a conflict.
    fn store(&self) -> Result<FileOutcome> {
        let (entry, file) = (&self.held.entry, &self.file);
        let by = self.session.unwrap_or(&entry.parts().session);
        let stored = store(entry, file.before.as_ref(), file.after.as_ref(), by)?;
        Ok(match stored {
            Ok(stored) => FileOutcome::Conflict { id: Some(stored.id), not_stored: None },
            Err(why) => FileOutcome::Conflict { id: None, not_stored: Some(why) },
        })
    }
}

impl AppliedFile {
    fn written(&mut self, part: &Part<'_>, notices: Vec<Notice>) {
        self.version = part.file.after.as_ref().map(|content| content.version());
        self.outcome = if self.version.is_some() { FileOutcome::Written } else { FileOutcome::Removed };
        self.notices.extend(notices);
    }
}
