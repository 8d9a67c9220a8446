//! Making the index anew, from its sources or from itself.
//!
//! # Order of operations
//! One at a time (its own lock). A new file is written beside the index, which goes on being used: what the sources have, what of the old one
//! they have not any more, how far the sources are taken in. Then, under the index's exclusive lock: what was taken in meanwhile → sync →
//! rename over the index → sync of the folder. So there is the old index or the new one, and none of its readers sees a mix.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use filelatch_fs::fs::write_all_at;
use filelatch_fs::{Access, FileId, FsDir, FsFile};

use super::change::{Change, Written};
use super::feed;
use super::index::{Changes, unreadable};
use super::record::{self, Take, WAY_OUT};
use super::state::State;
use crate::audit::place::Place;
use crate::error::{Error, Result};
use crate::lock::LockOptions;
use crate::parts::epoch_millis;
use crate::store::log::{append_line, record_of_line};
use crate::store::{OwnStore, StoreError};

/// Bytes that are read and written at once.
const CHUNK: usize = 1 << 20;
/// Changes in one record of a new index.
const BATCH: usize = 256;
/// No line is longer than this.
const LONGEST: usize = 32 << 20;
/// The name of a new index, beside the old one.
const NEW: &str = "changes.jsonl.new";
/// Whose lock says that one is being made.
const TURN: &str = "changes.rebuild";

/// What became of a rebuild.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebuilt {
    /// Changes that the audit log has.
    pub from_audit: u64,
    /// Changes of the old index that were taken over, because their sources are not there to be read again: of removed files of the audit log,
    /// and of sessions.
    pub taken_over: u64,
    /// Lines of the old index that can't be read. What was in them is lost where no source has it any more.
    pub damaged: u64,
    /// Lines of the audit log that are no records.
    pub audit_damaged: u64,
    /// Records that the audit log had before the first one that it has now.
    pub audit_removed: u64,
}

/// What stays when the index is compacted. The default: the last change of each file by each session.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct CompactOptions {
    /// Older ones go.
    pub keep_age: Option<Duration>,
    /// Of the others the newest so many.
    pub keep_changes: Option<usize>,
}

impl CompactOptions {
    /// The last change of each file by each session.
    pub fn new() -> CompactOptions {
        CompactOptions::default()
    }

    /// Older changes go.
    #[must_use]
    pub fn keep_age(mut self, age: Duration) -> CompactOptions {
        self.keep_age = Some(age);
        self
    }

    /// The newest so many stay.
    #[must_use]
    pub fn keep_changes(mut self, count: usize) -> CompactOptions {
        self.keep_changes = Some(count);
        self
    }
}

/// What a compaction left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compacted {
    /// Changes that are there.
    pub kept: u64,
    /// Changes that are gone.
    pub removed: u64,
}

impl Changes {
    /// Makes the index anew from the audit log, and takes over what the old one has and the audit log has not any more. Damage of the old one is
    /// counted, not an error. Until the new index is there, whole and durable, the old one is.
    ///
    /// # Errors
    /// Of the audit log, the disk, the locks. Then the old index is there.
    pub fn rebuild(&self, lock: &LockOptions<'_>) -> Result<Rebuilt> {
        let mut rebuilt = Rebuilt::default();
        self.replace(lock, &mut |new, old| {
            rebuilt = Rebuilt::default();
            let (mut place, mut known, mut first) = (None::<Place>, HashSet::new(), true);
            loop {
                let step = feed::step(&self.audit, place.as_ref()).map_err(|e| self.audit_failed(e))?;
                // Its files were removed under us: what was read of them is there.
                let Some(step) = step else { break };
                if std::mem::take(&mut first) {
                    rebuilt.audit_removed = step.missed;
                }
                rebuilt.audit_damaged += step.damaged;
                place = step.to.or(place);
                for change in step.changes {
                    known.extend(Written::of(&change).identity());
                    rebuilt.from_audit += 1;
                    new.add(change).map_err(|e| self.not_made(e))?;
                }
                if !step.more {
                    break;
                }
            }
            let mut salvage = Salvage::default();
            let damaged = old.each(&mut |record| {
                salvage.read(record, &mut |change| {
                    if change.identity().is_none_or(|identity| !known.contains(&identity)) {
                        rebuilt.taken_over += 1;
                        new.add(change.change().ok_or_else(|| io::Error::other(unreadable()))?)?;
                    }
                    Ok(())
                })
            });
            rebuilt.damaged = damaged.map_err(|e| self.not_made(e))?;
            Ok(State { place, sessions: salvage.state.sessions })
        })?;
        Ok(rebuilt)
    }

    /// Removes changes that newer ones of the same session and file have superseded, and those that are too many or too old.
    ///
    /// # Errors
    /// Of an index that is damaged, with the way out; of the disk and the locks. Then the old index is there.
    pub fn compact(&self, options: &CompactOptions, lock: &LockOptions<'_>) -> Result<Compacted> {
        let mut compacted = Compacted::default();
        self.replace(lock, &mut |new, old| {
            compacted = Compacted::default();
            // The last of each, by time and then by place.
            let mut last: HashMap<[u8; 16], (u64, u64)> = HashMap::new();
            let mut count = 0_u64;
            let mut salvage = Salvage::default();
            let damaged = old.each(&mut |record| {
                salvage.read(record, &mut |change| {
                    count += 1;
                    let key = (time_of(change)?, count);
                    let newest = last.entry(name_of(change)).or_insert(key);
                    *newest = key.max(*newest);
                    Ok(())
                })
            });
            if damaged.map_err(|e| self.not_made(e))? > 0 {
                let problem = "some of its lines can't be read".to_owned();
                let source = StoreError::Damaged { line: None, offset: None, problem, way_out: WAY_OUT.to_owned() };
                return Err(Error::Store { path: self.path.clone(), source });
            }
            let oldest = options.keep_age.and_then(|age| self.latch.parts().host.now().checked_sub(age));
            let oldest = oldest.map_or(0, epoch_millis);
            let mut kept: Vec<_> = last.into_values().filter(|(time, _)| *time >= oldest).collect();
            kept.sort_unstable();
            let over = options.keep_changes.map_or(0, |most| kept.len().saturating_sub(most));
            let kept: HashSet<_> = kept.into_iter().skip(over).map(|(_, count)| count).collect();
            let mut again = Salvage::default();
            let mut at = 0;
            let copied = old.each(&mut |record| {
                again.read(record, &mut |change| {
                    at += 1;
                    if kept.contains(&at) {
                        new.add(change.change().ok_or_else(|| io::Error::other(unreadable()))?)?;
                    }
                    Ok(())
                })
            });
            copied.map_err(|e| self.not_made(e))?;
            compacted = Compacted { kept: kept.len() as u64, removed: count - kept.len() as u64 };
            Ok(salvage.state)
        })?;
        Ok(compacted)
    }

    fn not_made(&self, e: io::Error) -> Error {
        match e.downcast::<StoreError>() {
            Ok(source) => Error::Store { path: self.path.clone(), source },
            Err(e) => Error::io("make anew", &self.path, e),
        }
    }

    /// Puts a new index in the place of the old one. `fill` is called once.
    fn replace(&self, lock: &LockOptions<'_>, fill: &mut dyn FnMut(&mut New, &Old) -> Result<State>) -> Result<()> {
        self.latch.own_store(self.root(), OwnStore::Changes, true)?;
        let folder = self.path.with_file_name(TURN);
        let _turn = self.latch.file(folder)?.lock(lock)?;
        let fail = |e| self.not_made(e);
        let index = self.latch.file(&self.path)?;
        let entry = index.entry()?;
        let (dir, name) = (Arc::clone(&entry.place().dir), entry.place().name.clone());
        // One that was killed has left it.
        match dir.remove(NEW.as_ref()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(fail(e)),
            _ => {}
        }
        let made = (|| {
            let old = Old::open(&*dir, &name).map_err(fail)?;
            let mut new = New::create(&*dir).map_err(fail)?;
            let state = fill(&mut new, &old)?;
            new.finish(&state).map_err(fail)?;
            let guard = index.lock(lock)?;
            old.rest(&*dir, &name, &mut new).map_err(fail)?;
            new.file.sync().map_err(fail)?;
            dir.rename(NEW.as_ref(), &name).map_err(fail)?;
            dir.sync().map_err(fail)?;
            drop(guard);
            Ok(())
        })();
        if made.is_err() {
            dir.remove(NEW.as_ref()).ok();
        }
        made
    }
}

/// A change's time for comparing.
fn time_of(change: &Written<'_>) -> io::Result<u64> {
    change.at().map(epoch_millis).ok_or_else(|| io::Error::other(unreadable()))
}

/// File and session, as one short name.
fn name_of(change: &Written<'_>) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    let path = change.path().unwrap_or_default();
    hasher.update(path.as_os_str().as_encoded_bytes()).update(&[0]).update(change.by.as_bytes());
    let mut name = [0; 16];
    name.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    name
}

/// Reads the records of an old index, also behind damage.
#[derive(Default)]
struct Salvage {
    state: State,
    /// Something can't be read: what goes on from there is not known to be from the audit log, or a session, out of turn.
    broken: bool,
    broken_audit: bool,
}

impl Salvage {
    /// False: it can't be read.
    fn read(
        &mut self,
        record: Option<&[u8]>,
        each: &mut dyn FnMut(&Written<'_>) -> io::Result<()>,
    ) -> io::Result<bool> {
        let Some((record, take)) = record.and_then(|record| Some((record, record::head(record).ok()?))) else {
            (self.broken, self.broken_audit) = (true, true);
            return Ok(false);
        };
        if !self.accept(take) {
            return Ok(true);
        }
        let mut failed = None;
        let read = record::changes(record, &mut |change| {
            if failed.is_none() {
                failed = each(change).err();
            }
            Ok(())
        });
        match failed {
            Some(e) => Err(e),
            None => Ok(read.is_ok()),
        }
    }

    fn accept(&mut self, take: Take) -> bool {
        match take {
            Take::Audit { to, .. } if std::mem::take(&mut self.broken_audit) => {
                self.state.place = Some(to);
                true
            }
            Take::Session(part) if self.broken && self.state.sessions.get(&part.name) != Some(&part) => {
                self.state.sessions.insert(part.name.clone(), part);
                true
            }
            take => self.state.accept(take),
        }
    }
}

/// The index as it is.
struct Old {
    file: Option<(FileId, Box<dyn FsFile>)>,
    /// Up to where it is read: a line's end.
    end: u64,
}

impl Old {
    fn open(dir: &dyn FsDir, name: &OsStr) -> io::Result<Old> {
        let file = match dir.open(name, Access::Read) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Old { file: None, end: 0 }),
            opened => opened?,
        };
        let stat = file.stat()?;
        if !stat.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        Ok(Old { file: Some((stat.id, file)), end: stat.size })
    }

    /// Each line with an end: its record, or `None` for what is none. Answers how many could not be read, by the word of `each`.
    fn each(&self, each: &mut dyn FnMut(Option<&[u8]>) -> io::Result<bool>) -> io::Result<u64> {
        let mut damaged = 0;
        self.lines(0, self.end, &mut |line| {
            damaged += u64::from(!each(record_of_line(line))?);
            Ok(())
        })?;
        Ok(damaged)
    }

    /// Under the index's lock: what was taken in since it was opened goes behind what is in the new one.
    fn rest(&self, dir: &dyn FsDir, name: &OsStr, new: &mut New) -> io::Result<()> {
        let now = match dir.open(name, Access::Read) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let stat = now.stat()?;
        let from = match &self.file {
            Some((id, _)) if *id == stat.id => self.end.min(stat.size),
            _ => 0,
        };
        let now = Old { file: Some((stat.id, now)), end: stat.size };
        // The end of the part that was read may have been within a line.
        let from = now.line_before(from)?;
        now.lines(from, stat.size, &mut |line| match record_of_line(line) {
            Some(record) => new.put(record),
            None => Ok(()),
        })?;
        new.flush()
    }

    /// Where the line begins that a place is in.
    fn line_before(&self, place: u64) -> io::Result<u64> {
        let Some((_, file)) = &self.file else { return Ok(0) };
        let mut at = place;
        while at > 0 {
            let from = at.saturating_sub(CHUNK as u64);
            let bytes = read_at(&**file, from, at)?;
            match bytes.iter().rposition(|byte| *byte == b'\n') {
                Some(newline) => return Ok(from + newline as u64 + 1),
                None => at = from,
            }
        }
        Ok(0)
    }

    fn lines(&self, from: u64, to: u64, each: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let Some((_, file)) = &self.file else { return Ok(()) };
        let (mut at, mut carry) = (from, Vec::new());
        while at < to {
            let bytes = read_at(&**file, at, to.min(at + CHUNK as u64))?;
            if bytes.is_empty() {
                break;
            }
            at += bytes.len() as u64;
            let mut rest = &bytes[..];
            while let Some(newline) = rest.iter().position(|byte| *byte == b'\n') {
                let (line, after) = rest.split_at(newline + 1);
                rest = after;
                if carry.is_empty() {
                    each(line)?;
                } else {
                    carry.extend_from_slice(line);
                    each(&carry)?;
                    carry.clear();
                }
            }
            // What is longer than any record is none.
            if carry.len() <= LONGEST {
                carry.extend_from_slice(rest);
            }
        }
        Ok(())
    }
}

fn read_at(file: &dyn FsFile, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(to - from).map_err(|_| io::ErrorKind::FileTooLarge)?];
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], from + done as u64)? {
            0 => break,
            n => done += n,
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}

/// A new index, under a name of its own.
struct New {
    file: Box<dyn FsFile>,
    len: u64,
    lines: Vec<u8>,
    batch: Vec<Change>,
}

impl New {
    fn create(dir: &dyn FsDir) -> io::Result<New> {
        Ok(New { file: dir.create_new(NEW.as_ref(), 0o600)?, len: 0, lines: Vec::new(), batch: Vec::new() })
    }

    fn add(&mut self, change: Change) -> io::Result<()> {
        self.batch.push(change);
        if self.batch.len() < BATCH { Ok(()) } else { self.put_batch() }
    }

    fn put_batch(&mut self) -> io::Result<()> {
        let batch = std::mem::take(&mut self.batch);
        for portion in record::portions(&batch).into_iter().filter(|portion| !portion.is_empty()) {
            self.put(&record::write(&Take::Kept { place: None, sessions: Vec::new() }, portion))?;
        }
        Ok(())
    }

    fn put(&mut self, record: &[u8]) -> io::Result<()> {
        append_line(&mut self.lines, record);
        if self.lines.len() < CHUNK { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> io::Result<()> {
        write_all_at(&*self.file, &self.lines, self.len)?;
        self.len += self.lines.len() as u64;
        self.lines.clear();
        Ok(())
    }

    /// How far its sources are taken in.
    fn finish(&mut self, state: &State) -> io::Result<()> {
        self.put_batch()?;
        let sessions: Vec<_> = state.sessions.values().cloned().collect();
        for part in sessions.chunks(BATCH) {
            self.put(&record::write(&Take::Kept { place: None, sessions: part.to_vec() }, &[]))?;
        }
        self.put(&record::write(&Take::Kept { place: state.place, sessions: Vec::new() }, &[]))?;
        self.flush()
    }
}
