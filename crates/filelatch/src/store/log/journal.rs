//! Deciding under the lock of a log: for stores whose state is what their records make of it.

use std::sync::{Mutex, MutexGuard};

use filelatch_fs::Access;

use super::core::{Core, Written};
use super::handle::Log;
use super::line;
use super::mark::MarkFile;
use super::repair::may_be_lost;
use super::scan::{Found, Scanner};
use super::segment::{Segment, refuse};
use super::wait::LogWaiter;
use crate::error::{Error, Result};
use crate::lock::resource::locked;
use crate::lock::{LockKind, LockOptions};
use crate::store::StoreError;

/// The state that the records of a log make.
pub(crate) trait Fold {
    /// Called once for each record, in order. An error ends the reading; the same record comes first the next time.
    fn apply(&mut self, offset: u64, record: &[u8]) -> Result<(), StoreError>;

    /// The state is made anew from the beginning: records that it has not seen were compacted.
    fn begin_again(&mut self);
}

/// A log, and how far the one fold that is used with it has read.
#[derive(Debug)]
pub(crate) struct Journal {
    log: Log,
    cursor: Mutex<Cursor>,
}

#[derive(Debug, Default)]
struct Cursor {
    segment: Option<Segment>,
    /// Offset of what comes next.
    next: u64,
    begun: bool,
}

/// Records that were written and may not be durable yet.
#[must_use = "what is not waited for may not be durable"]
#[derive(Debug)]
pub(crate) struct Pending<'j> {
    journal: &'j Journal,
    written: Option<Written>,
}

impl Pending<'_> {
    /// Joins a sync shared with other threads and processes.
    pub(crate) fn wait(self) -> Result<()> {
        let Some(written) = &self.written else { return Ok(()) };
        let entry = self.journal.log.entry()?;
        Log::core(&entry).sync.join(&written.segment, written.from, written.upto)
    }
}

impl Log {
    /// For one fold.
    pub(crate) fn journal(&self) -> Journal {
        Journal { log: self.clone(), cursor: Mutex::default() }
    }
}

impl Journal {
    /// The log.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Takes the exclusive lock of the log, reads what is new into `fold`, lets `decide` look at the state and answer the records to append (or
    /// none), writes them at once, applies them, releases the lock, and, if `durable`, joins a sync. What was decided on is then durable, too.
    ///
    /// An error of `decide` appends nothing. Of several records a kill or a power cut may leave the first without the rest: what must not
    /// be parted belongs in one record.
    pub(crate) fn transact<F: Fold, R, E: From<Error>>(
        &self,
        fold: &mut F,
        durable: bool,
        lock: &LockOptions<'_>,
        decide: impl FnMut(&F, &mut Vec<Vec<u8>>) -> Result<R, E>,
    ) -> Result<R, E> {
        let (answer, pending) = self.begin(fold, lock, decide)?;
        if durable {
            pending.wait()?;
        }
        Ok(answer)
    }

    /// As [`Journal::transact`] up to the release of the lock: who shares its fold with other threads lets go of it, then waits.
    pub(crate) fn begin<F: Fold, R, E: From<Error>>(
        &self,
        fold: &mut F,
        lock: &LockOptions<'_>,
        mut decide: impl FnMut(&F, &mut Vec<Vec<u8>>) -> Result<R, E>,
    ) -> Result<(R, Pending<'_>), E> {
        let entry = self.log.entry()?;
        let core = Log::core(&entry);
        let held = self.log.file.hold_to_append(LockKind::Exclusive, lock)?;
        let mut disk = core.disk();
        let Some(segment) = core.bring_up(&mut disk, true)? else { return Err(self.log.file.unanswered().into()) };
        let mut cursor = locked(&self.cursor);
        Self::catch_up(core, &mut cursor, fold)?;
        let mut records = Vec::new();
        let answer = decide(fold, &mut records)?;
        let mut bytes = Vec::new();
        for record in &records {
            self.log.check(record)?;
            line::append(&mut bytes, record);
        }
        let written = if records.is_empty() {
            let end = cursor.next;
            Written { segment, from: end, upto: end, short: false }
        } else {
            core.write_alone(&mut disk, &segment, &bytes)?
        };
        for record in &records {
            let whole = line::len_of(record.len());
            if cursor.next + whole > written.upto {
                break;
            }
            fold.apply(cursor.next, record).map_err(|source| refuse(&core.place, source))?;
            cursor.next += whole;
        }
        drop((cursor, disk, held));
        if written.short {
            return Err(core.io("append to")(std::io::ErrorKind::StorageFull.into()).into());
        }
        Ok((answer, Pending { journal: self, written: Some(written) }))
    }

    /// Reads what is new into `fold`, without a lock. Nothing of it need be durable yet.
    pub(crate) fn refresh<F: Fold>(&self, fold: &mut F) -> Result<()> {
        let entry = self.log.entry()?;
        let mut cursor = locked(&self.cursor);
        Self::catch_up(Log::core(&entry), &mut cursor, fold)
    }

    /// What is woken by appends of any process.
    pub(crate) fn waiter(&self) -> Result<LogWaiter> {
        LogWaiter::new(&self.log)
    }

    fn catch_up<F: Fold>(core: &Core, cursor: &mut MutexGuard<'_, Cursor>, fold: &mut F) -> Result<()> {
        let place = &core.place;
        let now = match place.dir.stat(&place.name) {
            Ok(stat) => Some(stat.id),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(core.io("examine")(e)),
        };
        if cursor.segment.as_ref().map(|segment| segment.id) != now || now.is_none() {
            let segment = Segment::open(place, Access::Read)?;
            Self::enter(cursor, segment, fold);
        }
        let cursor = &mut **cursor;
        let Some(segment) = &cursor.segment else { return Ok(()) };
        let size = segment.file.stat().map_err(core.io("examine"))?.size;
        if segment.offset(size) < cursor.next {
            let problem = "the file is shorter than it was".to_owned();
            let way_out = "bring it back from a backup, or begin again with what is there".to_owned();
            return Err(refuse(place, StoreError::Damaged { line: None, offset: Some(size), problem, way_out }));
        }
        let mut scanner = Scanner::new(&*segment.file, segment.place(cursor.next), u64::MAX);
        loop {
            match scanner.next().map_err(core.io("read"))? {
                Found::Record { at, next } => {
                    let offset = segment.offset(at);
                    fold.apply(offset, scanner.record()).map_err(|source| refuse(place, source))?;
                    cursor.next = segment.offset(next);
                }
                Found::Passed { at, len, .. } => cursor.next = segment.offset(at + len),
                Found::End { .. } | Found::Tail { .. } => return Ok(()),
                Found::Damaged { at, until, zeros, problem } => {
                    let evidence = MarkFile::look(place);
                    if !may_be_lost(segment, evidence.open_from(segment.id), zeros) {
                        return Err(core.damaged(segment, at, problem));
                    }
                    cursor.next = segment.offset(until);
                }
            }
        }
    }

    /// Another inode has the name.
    fn enter<F: Fold>(cursor: &mut Cursor, segment: Option<Segment>, fold: &mut F) {
        let goes_on = segment.as_ref().is_some_and(|new| {
            let first = cursor.segment.is_none() && !cursor.begun && new.base == 0;
            first || (new.start > 0 && cursor.begun && new.base <= cursor.next)
        });
        if !goes_on {
            if cursor.begun {
                fold.begin_again();
            }
            cursor.next = segment.as_ref().map_or(0, |segment| segment.base);
        }
        cursor.begun = segment.is_some();
        cursor.segment = segment;
    }
}
