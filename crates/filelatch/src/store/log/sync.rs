//! Making records durable, one sync for all who wait: threads of this process, and other processes.
//!
//! # Promise
//! [`Syncer::join`] returns without an error only when everything between two offsets, and all that the log had before, has been covered by
//! a sync that began after it was written, through a file that was opened before (P13).
//!
//! # How
//! One thread of each process asks for the rest ([`State::busy`]). Among processes whoever gets the lock of the mark file leads: it notes
//! the length of the log, syncs, writes the mark, lets go, and wakes the others. They sleep until the mark covers their records, or they get
//! the lock, or the leader has taken [`PATIENCE`] (it may be stopped): then they sync without it. A sync needs no right, only the mark does.
//!
//! # Failures
//! A sync that failed is noted in the mark, and nobody acknowledges anything of this inode from then on (L26): see `repair`.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use filelatch_fs::{Access, FileId, LockKind};

use super::mark::{Mark, MarkFile};
use super::segment::{Segment, refuse};
use crate::error::{Error, Result};
use crate::lock::resource::locked;
use crate::parts::Parts;
use crate::path::Place;
use crate::store::StoreError;

/// A leader that takes longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// A leader that was killed does not wake those who wait: so soon one of them leads.
const RING: Duration = Duration::from_millis(2);
/// Where nobody can be woken: between two looks at the mark, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_micros(20), Duration::from_millis(1));

#[derive(Debug)]
pub(super) struct Syncer {
    parts: Arc<Parts>,
    place: Place,
    boot: OnceLock<String>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// A thread of this process is at it.
    busy: bool,
    waiting: Vec<Thread>,
    file: Option<Arc<MarkFile>>,
    /// The last that this process knows.
    known: Option<Mark>,
    failed: Option<FileId>,
}

impl Syncer {
    pub(super) fn new(parts: Arc<Parts>, place: Place) -> Syncer {
        Syncer { parts, place, boot: OnceLock::new(), state: Mutex::default() }
    }

    fn boot(&self) -> &str {
        self.boot.get_or_init(|| self.parts.facts().boot)
    }

    /// Has a sync of this inode failed, as far as anybody has noted?
    pub(super) fn has_failed(&self, id: FileId) -> bool {
        if locked(&self.state).failed == Some(id) {
            return true;
        }
        let Some(mark) = self.file().and_then(|file| file.read()) else { return false };
        mark.failed && mark.is_of(id) && mark.is_of_boot(self.boot())
    }

    /// How much of this inode is durable by a mark of this boot; `None`: nobody has looked at its end since the machine was started.
    pub(super) fn known(&self, id: FileId) -> Option<u64> {
        let mark = self.file().and_then(|file| file.read())?;
        (mark.is_of(id) && mark.is_of_boot(self.boot())).then_some(mark.upto)
    }

    /// A new file was made: what is known of one with the same number, which is gone, is not true of it.
    pub(super) fn begin(&self, id: FileId) {
        if let Some(file) = self.file() {
            file.write(&Mark::new(self.boot(), id, 0, 0)).ok();
        }
        let mut state = locked(&self.state);
        state.known = None;
        state.failed = None;
    }

    fn file(&self) -> Option<Arc<MarkFile>> {
        let mut state = locked(&self.state);
        if state.file.is_none() {
            state.file = MarkFile::open(&self.place).map(Arc::new);
        }
        state.file.clone()
    }

    /// See the head of this module.
    pub(super) fn join(&self, segment: &Segment, from: u64, upto: u64) -> Result<()> {
        let boot = self.boot();
        let mut state = locked(&self.state);
        loop {
            if state.known.as_ref().is_some_and(|known| known.covers(boot, segment.id, from, upto)) {
                return Ok(());
            }
            if state.failed == Some(segment.id) {
                return Err(self.unsure("a sync of the log has failed"));
            }
            if !state.busy {
                break;
            }
            let me = std::thread::current();
            if !state.waiting.iter().any(|thread| thread.id() == me.id()) {
                state.waiting.push(me);
            }
            drop(state);
            self.parts.host.park(None);
            state = locked(&self.state);
        }
        state.busy = true;
        drop(state);
        let file = self.file();
        let ended = self.share(file.as_deref(), segment, boot, from, upto);
        let mut state = locked(&self.state);
        state.busy = false;
        let answer = match ended {
            Ok(Some(mark)) => {
                state.known = Some(mark);
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(Trouble::Failed(problem)) => {
                state.failed = Some(segment.id);
                state.known = None;
                Err(self.unsure(&problem))
            }
            Err(Trouble::Unsure(problem)) => Err(self.unsure(&problem)),
        };
        for thread in std::mem::take(&mut state.waiting) {
            self.parts.host.unpark(&thread);
        }
        answer
    }

    fn unsure(&self, problem: &str) -> Error {
        refuse(&self.place, StoreError::NotDurable { problem: problem.to_owned() })
    }

    /// Among processes. `None`: the records have moved to another inode, durably.
    fn share(
        &self,
        file: Option<&MarkFile>,
        segment: &Segment,
        boot: &str,
        from: u64,
        upto: u64,
    ) -> Result<Option<Mark>, Trouble> {
        let host = &self.parts.host;
        let Some(file) = file else { return self.sync(None, segment, boot, upto) };
        let began = host.monotonic();
        let mut pause = PAUSES.0;
        let told = |mark: Option<&Mark>| match mark? {
            mark if mark.covers(boot, segment.id, from, upto) => Some(Ok(Some(mark.clone()))),
            mark if mark.failed && mark.is_of(segment.id) && mark.is_of_boot(boot) => {
                Some(Err(Trouble::Failed("a sync of the log has failed in another process".to_owned())))
            }
            _ => None,
        };
        loop {
            match file.file.try_lock(LockKind::Exclusive) {
                Ok(true) => {
                    let ended = match file.read() {
                        Some(mark) if mark.covers(boot, segment.id, from, upto) => Ok(Some(mark)),
                        mark => self.sync(Some((file, mark)), segment, boot, upto),
                    };
                    // What can't be given back is given back by closing.
                    if file.file.unlock().is_err() {
                        locked(&self.state).file = None;
                    }
                    file.ring();
                    return ended;
                }
                Ok(false) => {}
                Err(_) => return self.sync(None, segment, boot, upto),
            }
            // What was seen last will do: if it is old, there is no waiting.
            let seen = file.last_seen().or_else(|| file.look_at());
            if let Some(ended) = told(seen.as_ref().and_then(|seen| seen.mark.as_ref())) {
                return ended;
            }
            if host.monotonic().saturating_sub(began) >= PATIENCE {
                return self.sync(None, segment, boot, upto);
            }
            if !file.wait(seen.as_ref(), RING) {
                host.sleep(pause);
                pause = (pause * 2).min(PAUSES.1);
            }
            if let Some(ended) = told(file.read().as_ref()) {
                return ended;
            }
        }
    }

    /// Syncs, and writes the mark if there is one to be written.
    fn sync(
        &self,
        file: Option<(&MarkFile, Option<Mark>)>,
        segment: &Segment,
        boot: &str,
        upto: u64,
    ) -> Result<Option<Mark>, Trouble> {
        let (file, before) = file.unzip();
        let before = before.flatten().filter(|mark| mark.is_of(segment.id) && mark.is_of_boot(boot));
        if before.as_ref().is_some_and(|mark| mark.failed) {
            return Err(Trouble::Failed("a sync of the log has failed in another process".to_owned()));
        }
        let dir = &self.place.dir;
        let stat = |e: io::Error| Trouble::Unsure(format!("it cannot be examined: {e}"));
        let named = dir.stat(&self.place.name).map_err(stat)?;
        if named.id != segment.id {
            return self.moved(upto);
        }
        let least = upto.max(before.as_ref().map_or(0, |mark| mark.upto));
        let end = Self::boundary(segment, named.size, least).map_err(stat)?;
        // Then nobody of this boot has synced the name yet.
        let first = before.as_ref().is_none_or(|mark| mark.upto == 0);
        let synced = segment.file.sync_data();
        if let Err(e) = synced.and_then(|()| if first { dir.sync() } else { Ok(()) }) {
            if let Some(file) = file {
                let mark = Mark::failed(boot, segment.id);
                // Who opens the file from now on would not be told; who has it open is, by its own sync.
                file.write(&mark).ok();
            }
            return Err(Trouble::Failed(e.to_string()));
        }
        let from = match &before {
            Some(before) if before.from <= segment.opened_at && segment.opened_at <= before.upto => before.from,
            _ => segment.opened_at,
        };
        let mark = Mark::new(boot, segment.id, from, end);
        if let Some(file) = file {
            // Without it others sync again; no more than that.
            file.write(&mark).ok();
            if first {
                // So that after a power cut there is a mark of this inode, whatever became of the later ones.
                file.file.sync_data().ok();
            }
        }
        Ok(Some(mark))
    }

    /// The end of the log, of this size, if a line ends there; else another is being written, or will be cut off, and so far is known: `least`.
    fn boundary(segment: &Segment, size: u64, least: u64) -> io::Result<u64> {
        let mut last = [0];
        // A line of ours ends at `least`.
        let whole =
            size <= segment.place(least) || (segment.file.read_at(&mut last, size - 1)? == 1 && last[0] == b'\n');
        Ok(if whole { segment.offset(size).max(least) } else { least })
    }

    /// The name stands for another inode by now. If it is a later segment, it holds what this one held, durably; its name may not be yet.
    fn moved(&self, upto: u64) -> Result<Option<Mark>, Trouble> {
        let later = Segment::open(&self.place, Access::Read).ok().flatten().filter(|later| later.start > 0);
        match later.map(|later| later.end()) {
            Some(Ok(end)) if upto <= end => {
                let synced = self.place.dir.sync();
                synced.map(|()| None).map_err(|e| Trouble::Unsure(format!("its directory cannot be made durable: {e}")))
            }
            _ => Err(Trouble::Unsure("the file was replaced by another one meanwhile".to_owned())),
        }
    }
}

enum Trouble {
    /// The inode must not be trusted any more.
    Failed(String),
    Unsure(String),
}
