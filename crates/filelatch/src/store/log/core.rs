//! Appending: what one process shares about one log.
//!
//! # Order of operations
//! 1. Callers queue; the first takes the log's lock, shared with other appenders, and then the bytes of all who stand behind it. (Whoever
//!    needs no durable record goes alone.)
//! 2. Does the name still stand for the open inode, and does the file end with a line? Else 1 with the exclusive lock, and it is put right
//!    (`repair`).
//! 3. One write for all. A short one: what is incomplete is cut off again under the exclusive lock, if nobody has written behind it.
//! 4. The lock is released, and the leader joins a sync (`sync`), while the next ones queue. Then all are answered, and the next one leads.
//!
//! # Invariants
//! - A line that is whole is never cut off: a sync may have covered it, and other processes know of that sync.
//! - On network file systems appending is not atomic (L37): there 1 takes the exclusive lock.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::thread::Thread;

use filelatch_fs::{Access, FsKind};

use super::reader::missing;
use super::repair::Put;
use super::segment::{Segment, beside};
use super::sync::Syncer;
use crate::error::{Error, Result};
use crate::file::LatchFile;
use crate::lock::resource::locked;
use crate::lock::{LockKind, LockOptions, Wait};
use crate::parts::Parts;
use crate::path::Place;

/// What one write takes from the queue.
const BATCH: usize = 1 << 20;
/// How often the file may change under us while it is opened.
const TRIES: u32 = 100;

#[derive(Debug)]
pub(crate) struct Core {
    pub(super) parts: Arc<Parts>,
    pub(super) place: Place,
    pub(super) sync: Syncer,
    /// Its records build on each other: behind one that a power cut has taken, none counts. Nothing is lost by that which anybody was told is
    /// durable, for a sync covers all that was written before.
    pub(super) in_order: AtomicBool,
    disk: Mutex<Disk>,
    line: Mutex<Line>,
}

/// The file that is appended to.
#[derive(Debug, Default)]
pub(super) struct Disk {
    segment: Option<Arc<Segment>>,
    /// How long it was when this process left it, with a line at its end.
    left: u64,
}

#[derive(Debug, Default)]
struct Line {
    queue: VecDeque<Arc<Slot>>,
    led: bool,
}

#[derive(Debug)]
struct Slot {
    bytes: Vec<u8>,
    durable: bool,
    thread: Thread,
    message: Mutex<Message>,
}

#[derive(Debug)]
enum Message {
    None,
    Lead,
    Done(Result<u64>),
}

/// Lines that were written: from offset to offset.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) segment: Arc<Segment>,
    pub(super) from: u64,
    /// Behind the last line that is whole.
    pub(super) upto: u64,
    /// Why not all was written.
    pub(super) short: bool,
}

impl Core {
    pub(crate) fn new(parts: Arc<Parts>, place: Place) -> Core {
        let sync = Syncer::new(Arc::clone(&parts), place.clone());
        Core { parts, place, sync, in_order: AtomicBool::new(false), disk: Mutex::default(), line: Mutex::default() }
    }

    pub(super) fn io(&self, action: &'static str) -> impl Fn(io::Error) -> Error + '_ {
        move |e| Error::io(action, &self.place.spelled, e)
    }

    /// Appends whole lines; answers the offset of the first.
    pub(super) fn append(
        &self,
        file: &LatchFile,
        lock: &LockOptions<'_>,
        bytes: Vec<u8>,
        durable: bool,
    ) -> Result<u64> {
        let slot =
            Arc::new(Slot { bytes, durable, thread: std::thread::current(), message: Mutex::new(Message::None) });
        // Whoever has wishes about the wait waits on its own, and whoever waits for no sync gains nothing by company.
        if !durable || lock.scope.is_some() || lock.cancel.is_some() || lock.on_wait.is_some() {
            return self.alone(file, lock, &slot);
        }
        {
            let mut line = locked(&self.line);
            if line.led {
                line.queue.push_back(Arc::clone(&slot));
            } else {
                line.led = true;
                drop(line);
                return self.lead(file, lock, &slot);
            }
        }
        let host = &self.parts.host;
        let limit = lock.wait.unwrap_or(file.policy().wait).limit();
        let began = host.monotonic();
        loop {
            match std::mem::replace(&mut *locked(&slot.message), Message::None) {
                Message::Done(answer) => return answer,
                Message::Lead => return self.lead(file, lock, &slot),
                Message::None => {}
            }
            let left = limit.map(|limit| limit.saturating_sub(host.monotonic().saturating_sub(began)));
            if left.is_some_and(|left| left.is_zero()) && self.leave(&slot) {
                return self.alone(file, &lock.clone().wait(Wait::No), &slot);
            }
            host.park(left.filter(|left| !left.is_zero()));
        }
    }

    /// Leaves the queue; false: its bytes have been taken already, or it is to lead.
    fn leave(&self, slot: &Arc<Slot>) -> bool {
        let mut line = locked(&self.line);
        let before = line.queue.len();
        line.queue.retain(|other| !Arc::ptr_eq(other, slot));
        line.queue.len() < before
    }

    fn alone(&self, file: &LatchFile, lock: &LockOptions<'_>, slot: &Slot) -> Result<u64> {
        let written = self.write(file, lock, &mut || slot.bytes.clone())?;
        self.answer(&written, written.from + slot.bytes.len() as u64)?;
        if slot.durable {
            self.sync.join(&written.segment, written.from, written.upto)?;
        }
        Ok(written.from)
    }

    fn lead(&self, file: &LatchFile, lock: &LockOptions<'_>, own: &Arc<Slot>) -> Result<u64> {
        let mut members = vec![Arc::clone(own)];
        let written = self.write(file, lock, &mut || {
            let mut bytes = own.bytes.clone();
            let mut line = locked(&self.line);
            while let Some(next) = line.queue.front()
                && bytes.len() + next.bytes.len() <= BATCH.max(own.bytes.len())
            {
                bytes.extend_from_slice(&next.bytes);
                members.extend(line.queue.pop_front());
            }
            bytes
        });
        let answers = match written {
            Ok(written) => self.answers(&written, members),
            Err(e) => members.into_iter().map(|slot| (slot, Err(e.share()))).collect(),
        };
        let mut own = None;
        for (at, (slot, answer)) in answers.into_iter().enumerate() {
            if at == 0 {
                own = Some(answer);
            } else {
                self.tell(&slot, Message::Done(answer));
            }
        }
        // After those who were answered: what they append next may go with the next batch.
        let mut line = locked(&self.line);
        match line.queue.pop_front() {
            Some(next) => self.tell(&next, Message::Lead),
            None => line.led = false,
        }
        drop(line);
        own.unwrap_or_else(|| Err(file.unanswered()))
    }

    /// What was written is made durable; what each of them is told.
    fn answers(&self, written: &Written, members: Vec<Arc<Slot>>) -> Vec<(Arc<Slot>, Result<u64>)> {
        let synced = self.sync.join(&written.segment, written.from, written.upto);
        let mut from = written.from;
        let each = members.into_iter().map(|slot| {
            let at = from;
            from += slot.bytes.len() as u64;
            let answer = self.answer(written, from).and(synced.as_ref().map_err(Error::share).copied());
            (slot, answer.map(|()| at))
        });
        each.collect()
    }

    fn tell(&self, slot: &Slot, message: Message) {
        *locked(&slot.message) = message;
        self.parts.host.unpark(&slot.thread);
    }

    /// Were the lines up to here written?
    fn answer(&self, written: &Written, upto: u64) -> Result<()> {
        if written.short && upto > written.upto {
            return Err(self.io("append to")(io::ErrorKind::StorageFull.into()));
        }
        Ok(())
    }

    /// Locks and writes. The bytes are asked for when the lock is had.
    fn write(&self, file: &LatchFile, lock: &LockOptions<'_>, bytes: &mut dyn FnMut() -> Vec<u8>) -> Result<Written> {
        let mut taken = None;
        if self.place.dir.caps().kind == FsKind::Local {
            let held = file.hold_to_append(LockKind::Shared, lock)?;
            let enforced = held.tenure.as_ref().is_none_or(|tenure| tenure.enforced);
            let mut disk = locked(&self.disk);
            if enforced && let Some(segment) = self.bring_up(&mut disk, false)? {
                let bytes = taken.insert(bytes());
                let mut written = self.write_to(&mut disk, &segment, bytes)?;
                drop(disk);
                drop(held);
                if written.short {
                    let again = file.hold_to_append(LockKind::Exclusive, lock);
                    self.cut_short(&mut written, again.is_ok());
                }
                return Ok(written);
            }
        }
        let held = file.hold_to_append(LockKind::Exclusive, lock)?;
        let mut disk = locked(&self.disk);
        let Some(segment) = self.bring_up(&mut disk, true)? else { return Err(file.unanswered()) };
        let mut written = self.write_to(&mut disk, &segment, taken.get_or_insert_with(bytes))?;
        self.cut_short(&mut written, true);
        drop(held);
        Ok(written)
    }

    fn write_to(&self, disk: &mut Disk, segment: &Arc<Segment>, bytes: &[u8]) -> Result<Written> {
        let done = segment.file.append(bytes).map_err(self.io("append to"))?;
        let whole = bytes[..done.len].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let short = done.len < bytes.len();
        disk.left = if short { u64::MAX } else { done.at + done.len as u64 };
        let from = segment.offset(done.at);
        Ok(Written { segment: Arc::clone(segment), from, upto: from + whole as u64, short })
    }

    /// Cuts off what of a write is incomplete. What can't be cut off is found by the next one who appends.
    fn cut_short(&self, written: &mut Written, alone: bool) {
        if !(written.short && alone) {
            return;
        }
        let segment = &written.segment;
        let cut = || {
            let file = self.place.dir.open(&self.place.name, Access::ReadWrite)?;
            let stat = file.stat()?;
            let at = segment.place(written.upto);
            let mut rest =
                vec![0; usize::try_from(stat.size.saturating_sub(at)).unwrap_or(0).min(super::line::LINE_LIMIT)];
            let read = file.read_at(&mut rest, at)?;
            // Nobody has written behind it.
            if stat.id == segment.id && at + read as u64 == stat.size && super::line::are_pieces(&rest[..read]) {
                file.set_len(at)?;
            }
            Ok::<_, io::Error>(())
        };
        cut().ok();
    }

    /// The segment to write to, with a line at its end. `None`: for that one must be alone.
    pub(super) fn bring_up(&self, disk: &mut Disk, alone: bool) -> Result<Option<Arc<Segment>>> {
        let dir = &self.place.dir;
        for _ in 0..TRIES {
            let stat = match dir.stat(&self.place.name) {
                Ok(stat) => stat,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    self.create()?;
                    continue;
                }
                Err(e) => return Err(self.io("examine")(e)),
            };
            let known = disk.segment.as_ref().filter(|segment| segment.id == stat.id).cloned();
            let fresh = known.is_none();
            let segment = if let Some(segment) = known {
                segment
            } else {
                let Some(segment) = Segment::open(&self.place, Access::Append)? else { continue };
                if segment.id != stat.id {
                    continue;
                }
                disk.left = u64::MAX;
                Arc::new(segment)
            };
            let wrong = self.sync.has_failed(segment.id)
                || (fresh && self.sync.known(segment.id).is_none_or(|upto| segment.offset(stat.size) < upto))
                || !self.ends_with_line(&segment, stat.size, disk.left)?;
            if wrong && !alone {
                return Ok(None);
            }
            if wrong {
                disk.segment = None;
                if self.put_right(&segment)? == Put::Moved {
                    continue;
                }
            }
            disk.segment = Some(Arc::clone(&segment));
            return Ok(Some(segment));
        }
        Err(self.io("open")(io::Error::other("it is replaced again and again by somebody who does not lock it")))
    }

    fn ends_with_line(&self, segment: &Segment, size: u64, left: u64) -> Result<bool> {
        if size == left || size <= segment.start {
            return Ok(size >= segment.start);
        }
        let mut last = [0];
        let read = segment.file.read_at(&mut last, size - 1).map_err(self.io("read"))?;
        Ok(read == 1 && last[0] == b'\n' && (left == u64::MAX || size > left))
    }

    fn create(&self) -> Result<()> {
        if self.place.dir.stat(&beside(&self.place, super::SNAPSHOT)).is_ok() {
            return Err(missing(&self.place));
        }
        match self.place.dir.create_new(&self.place.name, 0o666) {
            Ok(file) => {
                self.sync.begin(file.stat().map_err(self.io("create"))?.id);
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(e) => Err(self.io("create")(e)),
        }
    }

    /// For whoever holds the exclusive lock.
    pub(super) fn disk(&self) -> std::sync::MutexGuard<'_, Disk> {
        locked(&self.disk)
    }

    /// Writes under the exclusive lock.
    pub(super) fn write_alone(&self, disk: &mut Disk, segment: &Arc<Segment>, bytes: &[u8]) -> Result<Written> {
        let mut written = self.write_to(disk, segment, bytes)?;
        self.cut_short(&mut written, true);
        Ok(written)
    }
}
