//! Reading a log from an offset on: its snapshot, then the file, and on through compactions.

use std::io;

use filelatch_fs::Access;

use super::mark::MarkFile;
use super::repair::{may_be_lost, place_of_damage};
use super::scan::{Found, Scanner};
use super::segment::{Segment, beside, refuse};
use super::snapshot::{Line, Snapshot};
use crate::error::{Error, Result};
use crate::path::Place;
use crate::store::StoreError;

/// How often a log may be compacted while it is opened.
const TRIES: u32 = 100;

/// Reads records without a lock, one after the other. Memory: a record or two.
#[derive(Debug)]
pub(super) struct Reader {
    place: Place,
    /// Offset of what comes next.
    next: u64,
    /// It is what somebody asked for, who may have asked for anything.
    asked: bool,
    /// It ends at a hole that a power cut has left.
    in_order: bool,
    part: Part,
}

#[derive(Debug)]
enum Part {
    None,
    Snapshot(Box<Snapshot>),
    Segment(Segment, Scanner),
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// See [`Reader::record`].
    Record { offset: u64 },
    /// What had come before was compacted, and more with it: the records of the snapshot follow, from the first.
    Anew,
    /// Nothing for now.
    Nothing,
}

impl Reader {
    pub(super) fn new(place: Place, from: u64) -> Reader {
        Reader { place, next: from, asked: from > 0, in_order: false, part: Part::None }
    }

    /// As long as nothing is missing.
    pub(super) fn in_order(self) -> Reader {
        Reader { in_order: true, ..self }
    }

    /// Offset of what comes next.
    pub(super) fn position(&self) -> u64 {
        self.next
    }

    pub(super) fn is_in_snapshot(&self) -> bool {
        matches!(self.part, Part::Snapshot(_))
    }

    /// This was read already.
    pub(super) fn pass(&mut self, to: u64) {
        if let Part::Segment(segment, scanner) = &mut self.part {
            *scanner = Scanner::new(segment.place(to), u64::MAX);
        }
        self.next = to;
    }

    /// What was read last was not used: it comes again, with what came before it in a snapshot.
    pub(super) fn again(&mut self, offset: u64) {
        match &self.part {
            Part::Segment(..) => self.pass(offset),
            Part::None | Part::Snapshot(_) => self.part = Part::None,
        }
    }

    /// The record that was read last.
    pub(super) fn record(&self) -> &[u8] {
        match &self.part {
            Part::None => &[],
            Part::Snapshot(snapshot) => snapshot.record(),
            Part::Segment(_, scanner) => scanner.record(),
        }
    }

    fn io(&self, action: &'static str) -> impl Fn(io::Error) -> Error + '_ {
        move |e| Error::io(action, &self.place.spelled, e)
    }

    /// Reads on. After an error it may be asked again, and begins where it was.
    pub(super) fn next(&mut self) -> Result<Next> {
        let mut tries = 0;
        while tries < TRIES {
            match &mut self.part {
                Part::None => {
                    tries += 1;
                    if let Some(next) = self.enter()? {
                        return Ok(next);
                    }
                }
                Part::Snapshot(snapshot) => match snapshot.next() {
                    Ok(Line::Record { at }) => return Ok(Next::Record { offset: at }),
                    Ok(Line::End) => {
                        self.next = self.next.max(snapshot.base);
                        self.part = Part::None;
                    }
                    Ok(Line::Damaged { at, problem }) => {
                        let error = snapshot.damaged(at, problem);
                        self.part = Part::None;
                        return Err(error);
                    }
                    Ok(Line::Cut) => {
                        let error = snapshot.damaged(snapshot.here(), "its end is missing");
                        self.part = Part::None;
                        return Err(error);
                    }
                    Err(e) => {
                        self.part = Part::None;
                        return Err(e);
                    }
                },
                Part::Segment(segment, scanner) => {
                    let found = scanner.next(&*segment.file);
                    let fail = |e| Error::io("read", &self.place.spelled, e);
                    match found.map_err(fail)? {
                        Found::Record { at, next } => {
                            self.next = segment.offset(next);
                            return Ok(Next::Record { offset: segment.offset(at) });
                        }
                        Found::Passed { at, len, .. } => self.next = segment.offset(at + len),
                        Found::Damaged { at, until, zeros, problem } => {
                            let evidence = MarkFile::look(&self.place);
                            if !may_be_lost(segment, evidence.open_from(segment), zeros) {
                                let error = place_of_damage(&self.place, segment, at, problem);
                                *scanner = Scanner::new(segment.place(self.next), u64::MAX);
                                return Err(error);
                            }
                            if self.in_order {
                                *scanner = Scanner::new(segment.place(self.next), u64::MAX);
                                if self.is_current()? {
                                    return Ok(Next::Nothing);
                                }
                                self.part = Part::None;
                                continue;
                            }
                            self.next = segment.offset(until);
                        }
                        Found::End { at } | Found::Tail { at, .. } => {
                            *scanner = Scanner::new(at, u64::MAX);
                            if self.is_current()? {
                                return Ok(Next::Nothing);
                            }
                            self.part = Part::None;
                        }
                    }
                }
            }
        }
        Err(self.io("read")(io::Error::other("it is replaced again and again")))
    }

    /// Is the open inode the one that has the name, and as long as it was?
    fn is_current(&self) -> Result<bool> {
        let Part::Segment(segment, _) = &self.part else { return Ok(false) };
        match self.place.dir.stat(&self.place.name) {
            Ok(stat) if stat.id == segment.id => {
                if segment.offset(stat.size) < self.next {
                    return Err(shorter(&self.place, stat.size));
                }
                Ok(true)
            }
            Ok(_) => Ok(false),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(self.io("examine")(e)),
        }
    }

    /// Opens what comes next. `None`: it is open.
    fn enter(&mut self) -> Result<Option<Next>> {
        let Some(segment) = Segment::open(&self.place, Access::Read)? else {
            if self.place.dir.stat(&beside(&self.place, super::SNAPSHOT)).is_ok() {
                return Err(missing(&self.place));
            }
            // Removed: what comes next is the beginning of another.
            let anew = self.next > 0;
            self.next = 0;
            return Ok(Some(if anew { Next::Anew } else { Next::Nothing }));
        };
        if self.next < segment.base {
            let Some(snapshot) = Snapshot::open(&self.place)? else {
                let problem = "its snapshot is missing, with all records before the last compaction".to_owned();
                let way_out = format!(
                    "bring `{}` back; or `filelatch log repair {}` goes on without them",
                    beside(&self.place, super::SNAPSHOT).display(),
                    self.place.spelled.display()
                );
                let (line, offset) = (None, None);
                return Err(refuse(&self.place, StoreError::Damaged { line, offset, problem, way_out }));
            };
            if snapshot.base < segment.base {
                return Err(snapshot.damaged(0, "it is older than the log"));
            }
            self.part = Part::Snapshot(Box::new(snapshot));
            return Ok(Some(Next::Anew));
        }
        let end = segment.end().map_err(self.io("examine"))?;
        if segment.start == 0
            && let Ok(Some(snapshot)) = Snapshot::open(&self.place)
            && snapshot.base > end
        {
            return Err(shorter(&self.place, end));
        }
        if self.asked {
            // Not known to be the beginning of a line, nor to be there at all.
            match line_from(&segment, self.next).map_err(self.io("read"))? {
                Some(next) => self.next = next,
                None => return Ok(Some(Next::Nothing)),
            }
            self.asked = false;
        }
        if end < self.next {
            if segment.start > 0 {
                return Err(shorter(&self.place, segment.place(end)));
            }
            // Another log: it was removed and begun again, or somebody has cut it.
            let evidence = MarkFile::look(&self.place);
            if evidence.least(segment.id) > end {
                return Err(shorter(&self.place, segment.place(end)));
            }
            self.next = 0;
            let scanner = Scanner::new(0, u64::MAX);
            self.part = Part::Segment(segment, scanner);
            return Ok(Some(Next::Anew));
        }
        let scanner = Scanner::new(segment.place(self.next), u64::MAX);
        self.part = Part::Segment(segment, scanner);
        Ok(None)
    }
}

/// The first line that begins at an offset or behind it; `None`: there is none yet.
fn line_from(segment: &Segment, offset: u64) -> io::Result<Option<u64>> {
    if offset <= segment.base {
        return Ok(Some(offset.max(segment.base)));
    }
    let (mut at, mut buf) = (segment.place(offset) - 1, [0; 4096]);
    loop {
        let read = segment.file.read_at(&mut buf, at)?;
        if let Some(newline) = buf[..read].iter().position(|byte| *byte == b'\n') {
            return Ok(Some(segment.offset(at + newline as u64 + 1)));
        }
        if read == 0 {
            return Ok(None);
        }
        at += read as u64;
    }
}

pub(super) fn shorter(place: &Place, size: u64) -> Error {
    let problem = "the file is shorter than it was".to_owned();
    let way_out = format!(
        "bring it back from a backup; or `filelatch log repair {}` goes on with what is there",
        place.spelled.display()
    );
    refuse(place, StoreError::Damaged { line: None, offset: Some(size), problem, way_out })
}

pub(super) fn missing(place: &Place) -> Error {
    let snapshot = beside(place, super::SNAPSHOT);
    let problem = format!("the log is missing, but not its snapshot `{}`", snapshot.display());
    let way_out = "bring the log back, or move the snapshot away to begin anew".to_owned();
    refuse(place, StoreError::Damaged { line: None, offset: None, problem, way_out })
}
