//! Deciding under the lock of a log: for stores whose state is what their records make of it.

use std::sync::Mutex;
use std::sync::atomic::Ordering;

use super::compact::{Compacted, Compaction, Take};
use super::core::{Core, Written};
use super::handle::Log;
use super::line;
use super::reader::{Next, Reader};
use super::segment::refuse;
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
    in_order: bool,
    reader: Mutex<Option<Reader>>,
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
        Journal { log: self.clone(), in_order: false, reader: Mutex::default() }
    }

    /// For one fold whose records build on each other: behind one that a power cut has taken none counts, and they are cut off with it.
    pub(crate) fn journal_in_order(&self) -> Journal {
        Journal { in_order: true, ..self.journal() }
    }
}

impl Journal {
    /// The log.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Reads what there is into `fold` if nothing was read yet, takes the exclusive lock of the log, reads what is new, lets `decide` look at the state and answer the records to append (or
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
        // All that there is is read while others may go on; under the lock only what has come since.
        if locked(&self.reader).is_none() {
            self.refresh(fold)?;
        }
        let held = self.log.file.hold_to_append(LockKind::Exclusive, lock)?;
        core.in_order.fetch_or(self.in_order, Ordering::Relaxed);
        let mut disk = core.disk();
        let Some(segment) = core.bring_up(&mut disk, true)? else { return Err(self.log.file.unanswered().into()) };
        let mut reader = locked(&self.reader);
        let reader = reader.get_or_insert_with(|| self.new_reader(core));
        Self::catch_up(core, reader, fold)?;
        let mut records = Vec::new();
        let answer = decide(fold, &mut records)?;
        let mut bytes = Vec::new();
        for record in &records {
            self.log.check(record)?;
            line::append(&mut bytes, record);
        }
        let end = reader.position();
        let written = if records.is_empty() {
            Written { segment, from: end, upto: end, short: false }
        } else {
            core.write_alone(&mut disk, &segment, &bytes)?
        };
        drop(disk);
        let mut at = end;
        for record in &records {
            let next = at + line::len_of(record.len());
            if next > written.upto {
                break;
            }
            fold.apply(at, record).map_err(|source| refuse(&core.place, source))?;
            reader.pass(next);
            at = next;
        }
        drop(held);
        if written.short {
            return Err(core.io("append to")(std::io::ErrorKind::StorageFull.into()).into());
        }
        Ok((answer, Pending { journal: self, written: Some(written) }))
    }

    fn new_reader(&self, core: &Core) -> Reader {
        let reader = Reader::new(core.place.clone(), 0);
        if self.in_order { reader.in_order() } else { reader }
    }

    /// Reads what is new into `fold`, without a lock. Nothing of it need be durable yet.
    pub(crate) fn refresh<F: Fold>(&self, fold: &mut F) -> Result<()> {
        let entry = self.log.entry()?;
        let core = Log::core(&entry);
        let mut reader = locked(&self.reader);
        Self::catch_up(core, reader.get_or_insert_with(|| self.new_reader(core)), fold)
    }

    /// Puts a snapshot in the place of all that `fold` has read, made of the records that `write` gives, in order, with the offsets that they are
    /// to have; appends go on meanwhile. `None`: another compaction is under way.
    pub(crate) fn compact_with<F: Fold>(
        &self,
        fold: &mut F,
        lock: &LockOptions<'_>,
        write: &mut dyn FnMut(&F, &mut Take<'_>) -> Result<()>,
    ) -> Result<Option<Compacted>> {
        let Some(compaction) = Compaction::begin(&self.log, lock)? else { return Ok(None) };
        self.refresh(fold)?;
        let upto = locked(&self.reader).as_ref().map_or(0, Reader::position);
        compaction.run(upto, lock, &mut |take| write(fold, take)).map(Some)
    }

    /// What is woken by appends of any process.
    pub(crate) fn waiter(&self) -> Result<LogWaiter> {
        LogWaiter::new(&self.log)
    }

    fn catch_up<F: Fold>(core: &Core, reader: &mut Reader, fold: &mut F) -> Result<()> {
        loop {
            match reader.next()? {
                Next::Record { offset } => {
                    if let Err(source) = fold.apply(offset, reader.record()) {
                        reader.again(offset);
                        return Err(refuse(&core.place, source));
                    }
                }
                Next::Anew => fold.begin_again(),
                Next::Nothing => return Ok(()),
            }
        }
    }
}
