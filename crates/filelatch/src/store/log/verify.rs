//! Looking at all of a log, and putting damage aside.

use std::fmt;

use filelatch_fs::{Access, LockKind};

use super::core::Core;
use super::handle::Log;
use super::mark::MarkFile;
use super::reader::missing;
use super::renew::{NewSegment, wear};
use super::repair::{lines_before, may_be_lost};
use super::scan::{Found, Passed, Scanner, Tail};
use super::segment::{Segment, beside};
use super::snapshot::{Line, Snapshot, Writer};
use crate::error::{Error, Result};
use crate::lock::LockOptions;
use crate::path::temp_name;

/// Problems that are listed.
const LISTED: usize = 1000;

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct LogProblem {
    /// The file: the log's name, or its snapshot's.
    pub file: String,
    /// Line, counted from 1.
    pub line: Option<u64>,
    /// First byte in the file, counted from 0.
    pub byte: Option<u64>,
    /// Nothing that was acknowledged is missing because of it: the beginning of a record whose writer was killed.
    pub harmless: bool,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for LogProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if let Some(byte) = self.byte {
            write!(f, " (byte {byte})")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// What [`Log::verify`] has found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct VerifiedLog {
    /// Intact records.
    pub records: u64,
    /// Offset of the end.
    pub end: u64,
    /// What is wrong; at most 1,000.
    pub problems: Vec<LogProblem>,
    /// How many problems there are that are not harmless.
    pub damaged: u64,
}

impl VerifiedLog {
    /// Is everything there that was acknowledged, as far as the file can tell?
    pub fn is_ok(&self) -> bool {
        self.damaged == 0
    }

    fn add(&mut self, problem: LogProblem) {
        self.damaged += u64::from(!problem.harmless);
        if self.problems.len() < LISTED {
            self.problems.push(problem);
        }
    }
}

/// What [`Log::repair`] has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RepairedLog {
    /// Intact records; all of them are in the log.
    pub records: u64,
    /// Damaged places, and the file that has the bytes now.
    pub moved: Vec<String>,
}

impl Log {
    /// Reads everything and lists what is not as it was written. Takes no lock: what is being written is not damage.
    pub fn verify(&self) -> Result<VerifiedLog> {
        let entry = self.entry()?;
        let core = Log::core(&entry);
        let mut found = VerifiedLog::default();
        let Some(segment) = Segment::open(&core.place, Access::Read)? else {
            if core.place.dir.stat(&beside(&core.place, super::SNAPSHOT)).is_ok() {
                return Err(missing(&core.place));
            }
            return Err(Error::NotFound { path: core.place.spelled.clone() });
        };
        let skip = verify_snapshot(core, &segment, &mut found)?;
        verify_segment(core, &segment, skip, &mut found)?;
        Ok(found)
    }

    /// Moves damage aside, to `FILE.damaged-<n>`, and keeps everything that is intact, with its offsets; accepts that what is missing is missing.
    /// Under the exclusive lock.
    pub fn repair(&self, lock: &LockOptions<'_>) -> Result<RepairedLog> {
        let entry = self.entry()?;
        let core = Log::core(&entry);
        let held = self.file.hold_to_append(LockKind::Exclusive, lock)?;
        let disk = core.disk();
        let fail = |e| Error::io("repair", &core.place.spelled, e);
        let mut done = RepairedLog::default();
        let snapshot = repair_snapshot(core, &mut done)?;
        let old = match Segment::open(&core.place, Access::Read) {
            Ok(Some(old)) if old.start == 0 && has_lost_head(core, &old, snapshot)? => {
                without_head(core, snapshot.unwrap_or(0), &mut done)?
            }
            Ok(Some(old)) => old,
            Ok(None) => return Err(Error::NotFound { path: core.place.spelled.clone() }),
            Err(Error::Store { .. }) => without_head(core, snapshot.unwrap_or(0), &mut done)?,
            Err(e) => return Err(e),
        };
        let mut new = NewSegment::begin(core, &*old.file, old.base).map_err(fail)?;
        let mut moved = Vec::new();
        let end = new.copy_intact(&old, false, &mut |at, until| {
            moved.push(core.save(&*old.file, at, until, ".damaged-")?.display().to_string());
            Ok(true)
        });
        let end = end.map_err(fail)?;
        let size = old.file.stat().map_err(fail)?.size;
        if old.place(end) < size {
            moved.push(core.save(&*old.file, old.place(end), size, ".torn-").map_err(fail)?.display().to_string());
        }
        done.moved.append(&mut moved);
        if snapshot.is_none_or(|base| base < old.base) && old.base > 0 {
            make_snapshot(core, &old, &mut |_| Ok(()))?;
        }
        new.finish(&*old.file).map_err(fail)?;
        new.publish(end).map_err(fail)?;
        drop((disk, held));
        done.records = self.verify()?.records;
        Ok(done)
    }
}

fn verify_snapshot(core: &Core, segment: &Segment, found: &mut VerifiedLog) -> Result<u64> {
    let name = beside(&core.place, super::SNAPSHOT).display().to_string();
    let problem = |byte: Option<u64>, message: &str| LogProblem {
        file: name.clone(),
        line: None,
        byte,
        harmless: false,
        message: message.to_owned(),
    };
    let snapshot = match Snapshot::open(&core.place) {
        Ok(snapshot) => snapshot,
        Err(Error::Store { .. }) => {
            found.add(problem(Some(0), "its first line is not what was written"));
            return Ok(segment.base);
        }
        Err(e) => return Err(e),
    };
    let Some(mut snapshot) = snapshot else {
        if segment.base > 0 {
            found.add(problem(None, "it is missing, with all records before the last compaction"));
        }
        return Ok(segment.base);
    };
    if snapshot.base < segment.base {
        found.add(problem(None, "it is older than the log"));
    }
    loop {
        match snapshot.next()? {
            Line::Record { .. } => found.records += 1,
            Line::End => return Ok(snapshot.base),
            Line::Damaged { at, problem: what } => found.add(problem(Some(at), what)),
            Line::Cut => {
                found.add(problem(Some(snapshot.here()), "its end is missing"));
                return Ok(snapshot.base);
            }
        }
    }
}

/// `skip`: what is before this offset is in the snapshot.
fn verify_segment(core: &Core, segment: &Segment, skip: u64, found: &mut VerifiedLog) -> Result<()> {
    let file = &*segment.file;
    let name = core.place.name.display().to_string();
    let problem = |at: u64, harmless: bool, message: &str| {
        let line = lines_before(file, at).ok().map(|lines| lines + 1);
        LogProblem { file: name.clone(), line, byte: Some(at), harmless, message: message.to_owned() }
    };
    let evidence = MarkFile::look(&core.place);
    let open_from = evidence.open_from(segment);
    let mut scanner = Scanner::new(segment.start, u64::MAX);
    loop {
        match scanner.next(file).map_err(core.io("read"))? {
            Found::Record { at, .. } => found.records += u64::from(segment.offset(at) >= skip),
            Found::Passed { at, what: Passed::Piece, .. } => {
                found.add(problem(at, true, "the beginning of a record whose writer was killed"));
            }
            Found::Passed { .. } => {}
            Found::Damaged { at, zeros, problem: what, .. } => {
                let lost = may_be_lost(segment, open_from, zeros);
                found.add(problem(at, lost, if lost { "lost by a power cut before it was durable" } else { what }));
            }
            Found::Tail { at, what } => {
                found.end = segment.offset(at);
                if evidence.least(segment.id) > found.end {
                    found.add(problem(at, false, "the end is missing: more than this was durable"));
                } else if what != Tail::Whole {
                    found.add(problem(
                        at,
                        true,
                        "the last record is incomplete: it is being written, or its writer was killed",
                    ));
                }
                return Ok(());
            }
            Found::End { at } => {
                found.end = segment.offset(at);
                if evidence.least(segment.id) > found.end {
                    found.add(problem(at, false, "the end is missing: more than this was durable"));
                }
                return Ok(());
            }
        }
    }
}

/// Answers the base of the snapshot that is there afterwards.
fn repair_snapshot(core: &Core, done: &mut RepairedLog) -> Result<Option<u64>> {
    let fail = |e| Error::io("repair the snapshot of", &core.place.spelled, e);
    let name = beside(&core.place, super::SNAPSHOT);
    let mut damaged = false;
    let mut kept = Vec::new();
    let base = match Snapshot::open(&core.place) {
        Ok(None) => return Ok(None),
        Ok(Some(mut snapshot)) => {
            loop {
                match snapshot.next()? {
                    Line::Record { .. } => {}
                    Line::End => break,
                    Line::Damaged { .. } => damaged = true,
                    Line::Cut => {
                        damaged = true;
                        break;
                    }
                }
            }
            if !damaged {
                return Ok(Some(snapshot.base));
            }
            Some(snapshot.base)
        }
        Err(Error::Store { .. }) => None,
        Err(e) => return Err(e),
    };
    let file = core.place.dir.open(&name, Access::Read).map_err(fail)?;
    let size = file.stat().map_err(fail)?.size;
    kept.push(core.save(&*file, 0, size, ".snapshot.damaged-").map_err(fail)?.display().to_string());
    done.moved.append(&mut kept);
    let Some(segment) = Segment::open(&core.place, Access::Read).ok().flatten() else { return Ok(base) };
    let Some(mut old) = Snapshot::begin(&core.place)? else { return Ok(base) };
    let base = base.unwrap_or(segment.base).max(segment.base);
    make_snapshot_at(core, &segment, base, &mut |writer| {
        loop {
            match old.next()? {
                Line::Record { at } => writer.add(at, old.record()).map_err(fail)?,
                Line::Damaged { .. } => {}
                Line::End | Line::Cut => return Ok(()),
            }
        }
    })?;
    Ok(Some(base))
}

fn make_snapshot(core: &Core, like: &Segment, write: &mut dyn FnMut(&mut Writer<'_>) -> Result<()>) -> Result<()> {
    make_snapshot_at(core, like, like.base, write)
}

fn make_snapshot_at(
    core: &Core,
    like: &Segment,
    base: u64,
    write: &mut dyn FnMut(&mut Writer<'_>) -> Result<()>,
) -> Result<()> {
    let fail = |e| Error::io("make a snapshot of", &core.place.spelled, e);
    let (dir, host) = (&core.place.dir, &core.parts.host);
    let name = beside(&core.place, super::SNAPSHOT);
    let temp = temp_name(&name, host.pid(), host.random());
    let made = dir.create_new(&temp, 0o600).map_err(fail).and_then(|file| {
        wear(&*file, &*like.file).map_err(fail)?;
        let mut writer = Writer::begin(&*file, base);
        write(&mut writer)?;
        writer.finish().map_err(fail)
    });
    let named = made.and_then(|_| dir.rename(&temp, &name).and_then(|()| dir.sync()).map_err(fail));
    if named.is_err() {
        dir.remove(&temp).ok();
    }
    named
}

/// Is the first line damaged? Then where the next begins, and its first zero, if it has one.
pub(super) fn damage_at_first(core: &Core, segment: &Segment) -> Result<Option<(u64, Option<u64>)>> {
    let mut scanner = Scanner::new(segment.start, u64::MAX);
    loop {
        match scanner.next(&*segment.file).map_err(core.io("read"))? {
            Found::Passed { what: Passed::Blank, .. } => {}
            Found::Damaged { until, zeros, .. } => return Ok(Some((until, zeros))),
            _ => return Ok(None),
        }
    }
}

/// Only a crash between the two renames of a first compaction leaves a file without a head beside a snapshot. Then it begins with a record and is
/// as long as the snapshot says.
fn has_lost_head(core: &Core, segment: &Segment, snapshot: Option<u64>) -> Result<bool> {
    let Some(base) = snapshot else { return Ok(false) };
    Ok(damage_at_first(core, segment)?.is_some() || segment.opened_at < base)
}

/// A log whose head is damaged: it goes on where the snapshot ends. The head goes to a file of its own.
fn without_head(core: &Core, base: u64, done: &mut RepairedLog) -> Result<Segment> {
    let fail = |e| Error::io("repair", &core.place.spelled, e);
    let file = core.place.dir.open(&core.place.name, Access::ReadWrite).map_err(fail)?;
    let stat = file.stat().map_err(fail)?;
    let mut whole = Segment { file, id: stat.id, base, start: 0, made: None, opened_at: base };
    let start = damage_at_first(core, &whole)?.map_or(0, |(until, _)| until);
    if start > 0 {
        let moved = core.save(&*whole.file, 0, start, ".damaged-").map_err(fail)?;
        done.moved.push(moved.display().to_string());
    }
    whole.start = start;
    whole.opened_at = base + stat.size.saturating_sub(start);
    Ok(whole)
}
