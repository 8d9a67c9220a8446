//! What the exclusive holder of a log puts right before anything is added: tails, holes of a power cut, a failed sync.
//!
//! # Promise
//! - Cut off or blanked is only what is no record: the beginning of a line at the end, and zeros with what a power cut left around them,
//!   and both only where nothing was known to be durable. Where records build on each other, everything behind a hole is cut off, too.
//!   The bytes are kept in `FILE.torn-<n>` first, durably.
//! - Everything else is an error, and nothing is changed.
//! - After a failed sync everything that is intact goes to a fresh inode, which is durable before it gets the name; the old one is kept as
//!   `FILE.failed-<n>`. Offsets stay.
//!
//! # Order of operations
//! A hole is filled with zeros, synced, then filled with blanks and a newline: however a power cut tears either, what is left has zeros in
//! it and is a hole again.

use std::ffi::OsString;
use std::io;
use std::sync::atomic::Ordering;

use filelatch_fs::fs::write_all_at;
use filelatch_fs::{Access, FsFile};

use super::core::Core;
use super::mark::{Evidence, MarkFile};
use super::reader::shorter;
use super::renew::{NewSegment, wear};
use super::scan::{Found, Scanner, Tail};
use super::segment::{Segment, beside, refuse};
use super::snapshot::Snapshot;
use super::verify::damage_at_first;
use crate::error::{Error, Result};
use crate::path::{Place, temp_name};
use crate::store::StoreError;

/// Bytes that are copied at once.
const CHUNK: usize = 1 << 20;
/// Names `.torn-1`, `.torn-2`… that are tried.
const NAMES: u32 = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    Right,
    /// The name stands for another inode now.
    Moved,
}

impl Core {
    /// See the head of this module. For the holder of the exclusive lock.
    pub(super) fn put_right(&self, segment: &Segment) -> Result<Put> {
        if self.sync.has_failed(segment.id) {
            self.begin_again(segment)?;
            return Ok(Put::Moved);
        }
        let evidence = MarkFile::look(&self.place);
        let size = segment.file.stat().map_err(self.io("examine"))?.size;
        self.long_enough(segment, &evidence, size)?;
        self.not_behind_snapshot(segment)?;
        let open_from = evidence.open_from(segment);
        if segment.start == 0
            && let Some((_, zeros)) = damage_at_first(self, segment)?
            && !may_be_lost(segment, open_from, zeros)
        {
            return Err(place_of_damage(&self.place, segment, 0, "this is no record of a log"));
        }
        let from = segment.place(open_from.unwrap_or(0).max(segment.base));
        let mut scanner = Scanner::new(from, u64::MAX);
        let file = || self.place.dir.open(&self.place.name, Access::ReadWrite);
        loop {
            match scanner.next(&*segment.file).map_err(self.io("read"))? {
                Found::Record { .. } | Found::Passed { .. } => {}
                Found::End { .. } => return Ok(Put::Right),
                Found::Tail { at, what } => {
                    let put = file().and_then(|file| {
                        if what == Tail::Whole {
                            return write_all_at(&*file, b"\n", size);
                        }
                        self.save(&*segment.file, at, size, ".torn-")?;
                        file.set_len(at)
                    });
                    put.map_err(self.io("put right the end of"))?;
                    return Ok(Put::Right);
                }
                Found::Damaged { at, until, zeros, problem } => {
                    if !may_be_lost(segment, open_from, zeros) {
                        return Err(place_of_damage(&self.place, segment, at, problem));
                    }
                    let in_order = self.in_order.load(Ordering::Relaxed);
                    let put = file().and_then(|file| {
                        self.save(&*segment.file, at, if in_order { size } else { until }, ".torn-")?;
                        if in_order { file.set_len(at) } else { blank(&*file, at, until) }
                    });
                    put.map_err(self.io("put right"))?;
                    if in_order {
                        return Ok(Put::Right);
                    }
                }
            }
        }
    }

    /// Is everything there that was known to be durable?
    pub(super) fn long_enough(&self, segment: &Segment, evidence: &Evidence, size: u64) -> Result<()> {
        let least = evidence.least(segment.id);
        if segment.offset(size) >= least {
            return Ok(());
        }
        let problem = format!("the file is shorter than it was: {} bytes are missing", least - segment.offset(size));
        let way_out = format!(
            "bring the file back from a backup; or `filelatch log repair {}` goes on with what is there",
            self.place.spelled.display()
        );
        Err(refuse(&self.place, StoreError::Damaged { line: None, offset: Some(size), problem, way_out }))
    }

    /// A first compaction that was interrupted leaves a snapshot beside a file without a head; then the file is at least as long.
    pub(super) fn not_behind_snapshot(&self, segment: &Segment) -> Result<()> {
        if segment.start > 0 || self.place.dir.stat(&beside(&self.place, super::SNAPSHOT)).is_err() {
            return Ok(());
        }
        let end = segment.end().map_err(self.io("examine"))?;
        match Snapshot::open(&self.place)? {
            Some(snapshot) if snapshot.base > end => Err(shorter(&self.place, end)),
            _ => Ok(()),
        }
    }

    /// Keeps bytes of the log in a file beside it, durably.
    pub(super) fn save(&self, file: &dyn FsFile, from: u64, to: u64, suffix: &str) -> io::Result<OsString> {
        let dir = &self.place.dir;
        let (name, kept) = self.numbered(suffix, |name| dir.create_new(name, 0o600))?;
        copy(file, from, to, &*kept, 0)?;
        kept.sync()?;
        dir.sync()?;
        Ok(name)
    }

    /// The first free name `FILE<suffix><n>`.
    pub(super) fn numbered<T>(
        &self,
        suffix: &str,
        make: impl Fn(&OsString) -> io::Result<T>,
    ) -> io::Result<(OsString, T)> {
        for n in 1..NAMES {
            let name = beside(&self.place, &format!("{suffix}{n}"));
            match make(&name) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.map(|made| (name, made)),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Puts what is intact into a fresh inode, under the same offsets, and keeps the old one.
    fn begin_again(&self, old: &Segment) -> Result<()> {
        let made = (|| {
            let mut new = NewSegment::begin(self, &*old.file, old.base)?;
            let in_order = self.in_order.load(Ordering::Relaxed);
            let end = new.copy_intact(old, in_order, &mut |_, _| Ok(false))?;
            new.finish(&*old.file)?;
            if old.base > 0 {
                self.renew_snapshot(&*old.file)?;
            }
            let kept = self.numbered(".failed-", |name| self.place.dir.link(&self.place.name, name));
            match kept {
                // No hard links here: then it is kept by moving it, and for a moment nothing has the name.
                Err(e) if e.kind() != io::ErrorKind::StorageFull => {
                    self.numbered(".failed-", |name| self.place.dir.rename_new(&self.place.name, name))?;
                }
                kept => drop(kept?),
            }
            Ok::<_, io::Error>((new, end))
        })();
        let (new, end) = made.map_err(|e| self.not_renewed(&e))?;
        new.publish(end).map_err(|e| self.not_renewed(&e))
    }

    /// What has failed may have been the sync of the directory after a compaction: then the snapshot's name is in doubt, too, and only another rename
    /// makes it safe.
    fn renew_snapshot(&self, like: &dyn FsFile) -> io::Result<()> {
        let (dir, host) = (&self.place.dir, &self.parts.host);
        let name = beside(&self.place, super::SNAPSHOT);
        let old = dir.open(&name, Access::Read)?;
        let temp = temp_name(&name, host.pid(), host.random());
        let new = dir.create_new(&temp, 0o600)?;
        let made = wear(&*new, like)
            .and_then(|()| copy(&*old, 0, old.stat()?.size, &*new, 0))
            .and_then(|()| new.sync())
            .and_then(|()| dir.rename(&temp, &name));
        made.inspect_err(|_| drop(dir.remove(&temp)))
    }

    fn not_renewed(&self, e: &io::Error) -> Error {
        let problem = format!("a sync of the log has failed, and no new file could be made for it: {e}");
        refuse(&self.place, StoreError::NotDurable { problem })
    }
}

/// What is wrong at a place in the file, for people.
pub(super) fn place_of_damage(place: &Place, segment: &Segment, at: u64, problem: &str) -> Error {
    let line = lines_before(&*segment.file, at).ok().map(|lines| lines + 1);
    let path = place.spelled.display();
    let way_out = format!(
        "`filelatch log verify {path}` lists all damage; `filelatch log repair {path}` moves it aside and keeps every intact record"
    );
    let problem = problem.to_owned();
    refuse(place, StoreError::Damaged { line, offset: Some(at), problem, way_out })
}

/// Can a power cut have taken this? Only what was not durable yet, and then there are zeros.
pub(super) fn may_be_lost(segment: &Segment, open_from: Option<u64>, zeros: Option<u64>) -> bool {
    match (open_from, zeros) {
        (Some(open_from), Some(zeros)) => segment.offset(zeros) >= open_from,
        _ => false,
    }
}

fn blank(file: &dyn FsFile, at: u64, until: u64) -> io::Result<()> {
    let zeros = vec![0; CHUNK];
    let mut here = at;
    while here < until {
        let len = usize::try_from(until - here).unwrap_or(CHUNK).min(CHUNK);
        write_all_at(file, &zeros[..len], here)?;
        here += len as u64;
    }
    file.sync()?;
    fill(file, at, until)
}

/// A line of blanks.
pub(super) fn fill(file: &dyn FsFile, at: u64, until: u64) -> io::Result<()> {
    let blanks = vec![b' '; CHUNK];
    let mut here = at;
    while here + 1 < until {
        let len = usize::try_from(until - 1 - here).unwrap_or(CHUNK).min(CHUNK);
        write_all_at(file, &blanks[..len], here)?;
        here += len as u64;
    }
    write_all_at(file, b"\n", until - 1)
}

/// Copies a part of a file.
pub(super) fn copy(from: &dyn FsFile, mut at: u64, to: u64, into: &dyn FsFile, mut place: u64) -> io::Result<()> {
    let mut buf = vec![0; CHUNK.min(usize::try_from(to.saturating_sub(at)).unwrap_or(CHUNK))];
    while at < to {
        let len = usize::try_from(to - at).unwrap_or(CHUNK).min(buf.len());
        let n = from.read_at(&mut buf[..len], at)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        write_all_at(into, &buf[..n], place)?;
        at += n as u64;
        place += n as u64;
    }
    Ok(())
}

/// How many lines end before a place.
pub(super) fn lines_before(file: &dyn FsFile, at: u64) -> io::Result<u64> {
    let (mut lines, mut here, mut buf) = (0, 0, vec![0; CHUNK]);
    while here < at {
        let len = usize::try_from(at - here).unwrap_or(CHUNK).min(CHUNK);
        let n = file.read_at(&mut buf[..len], here)?;
        if n == 0 {
            break;
        }
        lines += buf[..n].iter().filter(|byte| **byte == b'\n').count() as u64;
        here += n as u64;
    }
    Ok(lines)
}
