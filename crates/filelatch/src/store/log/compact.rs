//! Compaction: a snapshot of what still counts, and a new segment behind it, while appends go on.
//!
//! # Promise
//! - Records that are appended meanwhile are kept, with their offsets. Appenders stop for one small copy and three calls that make it durable.
//! - One compaction at a time: it holds the ordinary lock of `FILE.snapshot`.
//! - A crash anywhere leaves the log as it was or as it is to be: offsets tell which records the snapshot has already.
//!
//! # Order of operations
//! 1. The exclusive lock for a moment: what is irregular is put right.
//! 2. Without a lock: everything before an offset is read twice (what was written does not change), and what is to stay goes to a new snapshot,
//!    durable under a temporary name.
//! 3. Without a lock: what the snapshot stands for is made durable in the log; what was appended since goes to a new segment, durable, again
//!    and again until little is left.
//! 4. Under the exclusive lock: the rest; the snapshot gets its name, then the segment; the directory is synced.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use filelatch_fs::{Access, LockKind};

use super::core::Core;
use super::handle::{Log, Triggers};
use super::keyed::{Op, key_of};
use super::reader::{Next, Reader};
use super::renew::{NewSegment, wear};
use super::repair::{copy, place_of_damage};
use super::scan::{Found, Scanner};
use super::segment::{Segment, beside};
use super::snapshot::Writer;
use crate::error::{Error, Result};
use crate::guard::Guard;
use crate::lock::{LockOptions, Wait};
use crate::parts::epoch_millis;
use crate::path::temp_name;

/// So little is copied under the lock.
const LITTLE: u64 = 256 << 10;
/// Rounds without the lock.
const ROUNDS: usize = 8;
/// How often another inode may come while one is compacted: a failed sync makes one.
const TRIES: usize = 3;

/// Takes a record for the snapshot: the offset that it is to have, and itself.
pub(crate) type Take<'t> = dyn FnMut(u64, &[u8]) -> Result<()> + 't;

/// What a compaction has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compacted {
    /// Records in the snapshot.
    pub kept: u64,
    /// Everything before this offset is in the snapshot or gone.
    pub upto: u64,
    /// Bytes of the log before, with its snapshot.
    pub before: u64,
    /// And afterwards.
    pub after: u64,
    /// For so long nobody could append.
    pub stopped: Duration,
}

/// The right to compact.
pub(super) struct Compaction<'l> {
    log: &'l Log,
    #[expect(dead_code, reason = "held until the compaction is over")]
    right: Guard,
}

impl Log {
    /// Compacts the log: of records `{"op":"create"|"update"|"delete","key":K,"value":V}` the last of each key is kept, and none of a key that
    /// was deleted; all others are kept as they are. Their offsets and their order stay. `None`: another compaction is under way.
    ///
    /// Memory: about 60 bytes for each key. Appends go on, but for the last few milliseconds.
    pub fn compact(&self, lock: &LockOptions<'_>) -> Result<Option<Compacted>> {
        let Some(compaction) = Compaction::begin(self, lock)? else { return Ok(None) };
        let entry = self.entry()?;
        let core = Log::core(&entry);
        let mut last: HashMap<[u64; 2], u64, foldhash::fast::RandomState> = HashMap::default();
        let mut reader = Reader::new(core.place.clone(), 0);
        loop {
            match reader.next()? {
                Next::Record { offset } => {
                    if let Some(op) = Op::parse(reader.record()) {
                        last.insert(key_of(&op.key), offset);
                    }
                }
                Next::Anew => last.clear(),
                Next::Nothing => break,
            }
        }
        let upto = reader.position();
        let mut again = Reader::new(core.place.clone(), 0);
        let done = compaction.run(upto, lock, &mut |take| {
            loop {
                match again.next()? {
                    Next::Record { offset } if offset >= upto => return Ok(()),
                    Next::Record { offset } => {
                        let record = again.record();
                        let stays = Op::parse(record)
                            .is_none_or(|op| !op.deletes && last.get(&key_of(&op.key)) == Some(&offset));
                        if stays {
                            take(offset, record)?;
                        }
                    }
                    Next::Anew => {}
                    Next::Nothing => return Ok(()),
                }
            }
        });
        done.map(Some)
    }

    /// Compacts the log if one of the triggers says so.
    pub fn compact_if(&self, when: Triggers, lock: &LockOptions<'_>) -> Result<Option<Compacted>> {
        if self.is_due(when)? { self.compact(lock) } else { Ok(None) }
    }

    /// Does a trigger say so? A log that was never compacted, and has records, counts as old.
    pub fn is_due(&self, when: Triggers) -> Result<bool> {
        if when == Triggers::default() {
            return Ok(false);
        }
        let entry = self.entry()?;
        let core = Log::core(&entry);
        let Some(segment) = Segment::open(&core.place, Access::Read)? else { return Ok(false) };
        let long = segment.opened_at - segment.base;
        let now = epoch_millis(core.parts.host.now());
        let age = segment.made.map_or(Duration::MAX, |made| Duration::from_millis(now.saturating_sub(made)));
        Ok(long > 0 && (when.bytes.is_some_and(|bytes| long > bytes) || when.age.is_some_and(|limit| age > limit)))
    }
}

impl<'l> Compaction<'l> {
    /// `None`: another is under way.
    pub(super) fn begin(log: &'l Log, lock: &LockOptions<'_>) -> Result<Option<Compaction<'l>>> {
        let entry = log.entry()?;
        let core = Log::core(&entry);
        let snapshot = log.engine_file(&beside(&core.place, super::SNAPSHOT))?;
        let right = match snapshot.lock(&lock.clone().wait(Wait::No)) {
            Ok(right) => right,
            Err(Error::Locked { .. }) => return Ok(None),
            Err(e) => return Err(e),
        };
        let held = log.file.hold_to_append(LockKind::Exclusive, lock)?;
        core.bring_up(&mut core.disk(), true)?;
        drop(held);
        Ok(Some(Compaction { log, right }))
    }

    /// Everything before `upto` becomes what `write` gives.
    pub(super) fn run(
        &self,
        upto: u64,
        lock: &LockOptions<'_>,
        write: &mut dyn FnMut(&mut Take<'_>) -> Result<()>,
    ) -> Result<Compacted> {
        let entry = self.log.entry()?;
        let core = Log::core(&entry);
        let dir = &core.place.dir;
        let host = &core.parts.host;
        let Some(now) = Segment::open(&core.place, Access::Read)? else {
            return Err(Error::NotFound { path: core.place.spelled.clone() });
        };
        let snapshot_name = beside(&core.place, super::SNAPSHOT);
        let size_of = |name| dir.stat(name).map_or(0, |stat| stat.size);
        let before = size_of(&core.place.name) + size_of(&snapshot_name);
        let temp = Temp { core, name: temp_name(&snapshot_name, host.pid(), host.random()) };
        let file = dir.create_new(&temp.name, 0o600).map_err(core.io("make a snapshot of"))?;
        file.try_lock(LockKind::Exclusive).ok();
        wear(&*file, &*now.file).map_err(core.io("make a snapshot of"))?;
        drop(now);
        let mut writer = Writer::begin(&*file, upto);
        write(&mut |at, record| writer.add(at, record).map_err(core.io("write the snapshot of")))?;
        let kept = writer.finish().map_err(core.io("write the snapshot of"))?;
        drop(file);
        for _ in 0..TRIES {
            if let Some(stopped) = Self::replace(self.log, core, upto, lock, &temp)? {
                let after = size_of(&core.place.name) + size_of(&snapshot_name);
                return Ok(Compacted { kept, upto, before, after, stopped });
            }
        }
        Err(core.io("compact")(io::Error::other("the file is replaced again and again")))
    }

    /// `None`: another inode has come meanwhile.
    fn replace(
        log: &Log,
        core: &Core,
        upto: u64,
        lock: &LockOptions<'_>,
        snapshot: &Temp<'_>,
    ) -> Result<Option<Duration>> {
        let fail = |e| Error::io("compact", &core.place.spelled, e);
        let Some(old) = Segment::open(&core.place, Access::Read)? else { return Ok(None) };
        // No snapshot survives a power cut that its log does not.
        core.sync.join(&old, old.base, upto)?;
        let new = NewSegment::begin(core, &*old.file, upto).map_err(fail)?;
        let mut copied = upto;
        for _ in 0..ROUNDS {
            let end = whole_lines(core, &old, copied)?;
            copy(&*old.file, old.place(copied), old.place(end), &*new.file, new.place(copied)).map_err(fail)?;
            new.file.sync().map_err(fail)?;
            let came = end - copied;
            copied = end;
            if came <= LITTLE {
                break;
            }
        }
        let host = &core.parts.host;
        let held = log.file.hold_to_append(LockKind::Exclusive, lock)?;
        let began = host.monotonic();
        let mut disk = core.disk();
        match core.bring_up(&mut disk, true)? {
            Some(segment) if segment.id == old.id => {}
            _ => return Ok(None),
        }
        let end = whole_lines(core, &old, copied)?;
        copy(&*old.file, old.place(copied), old.place(end), &*new.file, new.place(copied)).map_err(fail)?;
        new.finish(&*old.file).map_err(fail)?;
        core.place.dir.rename(&snapshot.name, &beside(&core.place, super::SNAPSHOT)).map_err(fail)?;
        // The log's own rename must not survive a power cut without this one.
        core.place.dir.sync().map_err(fail)?;
        new.publish(end).map_err(fail)?;
        drop((disk, held));
        Ok(Some(host.monotonic().saturating_sub(began)))
    }
}

/// Where the last whole line from here on ends.
fn whole_lines(core: &Core, segment: &Segment, from: u64) -> Result<u64> {
    let mut scanner = Scanner::new(segment.place(from), u64::MAX);
    loop {
        match scanner.next(&*segment.file).map_err(core.io("read"))? {
            Found::End { at } | Found::Tail { at, .. } => return Ok(segment.offset(at)),
            Found::Damaged { at, problem, .. } => return Err(place_of_damage(&core.place, segment, at, problem)),
            Found::Record { .. } | Found::Passed { .. } => {}
        }
    }
}

/// A temporary file; removed unless it was renamed.
struct Temp<'c> {
    core: &'c Core,
    name: std::ffi::OsString,
}

impl Drop for Temp<'_> {
    fn drop(&mut self) {
        self.core.place.dir.remove(&self.name).ok();
    }
}
