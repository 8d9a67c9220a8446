//! A new inode for a log: made beside it, durable before it gets the name.
//!
//! # Order of operations
//! The head, the lines, metadata of the old inode, fsync; rename over the log; fsync of the directory; the mark. A power cut before the fsync of the
//! directory leaves one of the two inodes under the name, and until then nobody writes to either: the caller has the exclusive lock. If that
//! fsync fails, the new inode is noted as failed, so that the next one to append makes another: a second fsync would prove nothing (L26).

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use filelatch_fs::fs::write_all_at;
use filelatch_fs::{FsFile, LockKind};

use super::core::Core;
use super::mark::{Mark, MarkFile};
use super::repair::{copy, fill};
use super::scan::{Found, Passed, Scanner, Tail};
use super::segment::{self, Segment};
use crate::parts::epoch_millis;
use crate::path::temp_name;

/// How long the mark is waited for; after that it is written all the same.
const PATIENCE: Duration = Duration::from_millis(20);
const PAUSE: Duration = Duration::from_millis(1);

/// A segment in preparation. Dropped without [`NewSegment::publish`] it is removed.
pub(super) struct NewSegment<'c> {
    core: &'c Core,
    pub(super) file: Box<dyn FsFile>,
    pub(super) name: OsString,
    pub(super) start: u64,
    pub(super) base: u64,
    armed: bool,
}

impl<'c> NewSegment<'c> {
    pub(super) fn begin(core: &'c Core, like: &dyn FsFile, base: u64) -> io::Result<NewSegment<'c>> {
        let host = &core.parts.host;
        let name = temp_name(&core.place.name, host.pid(), host.random());
        let file = core.place.dir.create_new(&name, 0o600)?;
        let head = segment::head(base, epoch_millis(host.now()), host.random());
        let new = NewSegment { core, file, name, start: head.len() as u64, base, armed: true };
        // A sign of life for those who look for leftovers.
        new.file.try_lock(LockKind::Exclusive).ok();
        wear(&*new.file, like)?;
        write_all_at(&*new.file, &head, 0)?;
        Ok(new)
    }

    /// The place of an offset.
    pub(super) fn place(&self, offset: u64) -> u64 {
        self.start + (offset - self.base)
    }

    /// Copies a segment of the same base, with blanks for what holds no record; answers the offset of its end. Damage is left as it is, unless
    /// `blanked` says that it was put aside. With `in_order` only what stands before the first hole.
    pub(super) fn copy_intact(
        &mut self,
        old: &Segment,
        in_order: bool,
        blanked: &mut dyn FnMut(u64, u64) -> io::Result<bool>,
    ) -> io::Result<u64> {
        let mut scanner = Scanner::new(old.start, u64::MAX);
        let mut copied = old.start;
        let (from, new, start) = (&*old.file, &*self.file, self.start);
        let place = |at: u64| at - old.start + start;
        loop {
            let (at, until) = match scanner.next(from)? {
                Found::Passed { at, len, what: Passed::Piece } => (at, at + len),
                Found::Damaged { at, zeros: Some(_), .. } if in_order => {
                    copy(from, copied, at, new, place(copied))?;
                    return Ok(old.offset(at));
                }
                Found::Damaged { at, until, zeros, .. } => {
                    if !blanked(at, until)? && zeros.is_none() {
                        continue;
                    }
                    (at, until)
                }
                Found::Record { .. } | Found::Passed { .. } => continue,
                Found::Tail { what: Tail::Whole, .. } => {
                    let size = from.stat()?.size;
                    copy(from, copied, size, new, place(copied))?;
                    write_all_at(new, b"\n", place(size))?;
                    return Ok(old.offset(size) + 1);
                }
                Found::End { at } | Found::Tail { at, .. } => {
                    copy(from, copied, at, new, place(copied))?;
                    return Ok(old.offset(at));
                }
            };
            copy(from, copied, at, new, place(copied))?;
            fill(new, place(at), place(until))?;
            copied = until;
        }
    }

    pub(super) fn finish(&self, like: &dyn FsFile) -> io::Result<()> {
        wear(&*self.file, like)?;
        self.file.sync()
    }

    /// Gives it the log's name. For the holder of the exclusive lock. `end`: offset of its end.
    pub(super) fn publish(mut self, end: u64) -> io::Result<()> {
        let core = self.core;
        let dir = &core.place.dir;
        let id = self.file.stat()?.id;
        self.file.unlock().ok();
        dir.rename(&self.name, &core.place.name)?;
        self.armed = false;
        let boot = core.parts.facts().boot;
        let synced = dir.sync();
        let mark = if synced.is_ok() { Mark::new(&boot, id, 0, end) } else { Mark::failed(&boot, id) };
        // Where it can't be noted, the next one to append looks at all of it again.
        if let Some(file) = MarkFile::open(&core.place) {
            let host = &core.parts.host;
            let began = host.monotonic();
            while !matches!(file.file.try_lock(LockKind::Exclusive), Ok(true)) {
                if host.monotonic().saturating_sub(began) > PATIENCE {
                    break;
                }
                host.sleep(PAUSE);
            }
            file.write(&mark).ok();
        }
        synced
    }
}

impl Drop for NewSegment<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.core.place.dir.remove(&self.name).ok();
        }
    }
}

/// Owner and mode of another file, as far as they may be given.
pub(super) fn wear(file: &dyn FsFile, like: &dyn FsFile) -> io::Result<()> {
    let (like, own) = (like.stat()?, file.stat()?);
    if (like.uid, like.gid) != (own.uid, own.gid) && file.set_owner(like.uid, like.gid).is_err() {
        // Nobody gets rights by it that he had not.
        return file.set_mode(like.mode & 0o700);
    }
    if like.mode == own.mode { Ok(()) } else { file.set_mode(like.mode) }
}
