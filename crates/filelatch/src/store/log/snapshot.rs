//! The snapshot of a log: what a compaction has left of the records before an offset.
//!
//! `FILE.snapshot` has a head, `{"snapshot":1,"base":N,…}`; a line for each record, `{"at":OFFSET,"len":…,"sum":…,"rec":…}`, the sum being of the
//! offset and the record; and an end, `{"end":COUNT,"sum":…}`, the sum being of all sums. So nothing can be missing, doubled or moved without being found out.
//! It is published whole, by a rename, and never changed.

use std::io;

use filelatch_fs::fs::write_all_at;
use filelatch_fs::{Access, FsFile};

use super::line::{RECORD_LIMIT, sum};
use super::segment::{FORM, beside, refuse};
use crate::error::{Error, Result};
use crate::path::Place;
use crate::store::StoreError;

/// Places in a damaged line where another may begin that are looked at.
const TRIES: usize = 16;
const CHUNK: usize = 256 << 10;
const HEAD: &str = "{\"snapshot\":";
const END: &str = "{\"end\":";
const AT: &str = "{\"at\":";

/// Writes one.
pub(super) struct Writer<'f> {
    file: &'f dyn FsFile,
    buf: Vec<u8>,
    written: u64,
    count: u64,
    sums: blake3::Hasher,
}

impl<'f> Writer<'f> {
    pub(super) fn begin(file: &'f dyn FsFile, base: u64) -> Writer<'f> {
        let text = format!("{HEAD}{FORM},\"base\":{base}");
        let sum = sum(&[text.as_bytes()]);
        let mut sums = blake3::Hasher::new();
        sums.update(&sum);
        let buf = format!("{text},\"sum\":\"{}\"}}\n", String::from_utf8_lossy(&sum)).into_bytes();
        Writer { file, buf, written: 0, count: 0, sums }
    }

    pub(super) fn add(&mut self, at: u64, record: &[u8]) -> io::Result<()> {
        let at = at.to_string();
        let sum = sum(&[at.as_bytes(), b":", record]);
        self.sums.update(&sum);
        self.count += 1;
        let len = record.len().to_string();
        for part in [
            AT.as_bytes(),
            at.as_bytes(),
            b",\"len\":",
            len.as_bytes(),
            b",\"sum\":\"",
            &sum,
            b"\",\"rec\":",
            record,
            b"}\n",
        ] {
            self.buf.extend_from_slice(part);
        }
        if self.buf.len() >= CHUNK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        write_all_at(self.file, &self.buf, self.written)?;
        self.written += self.buf.len() as u64;
        self.buf.clear();
        Ok(())
    }

    /// The end, durable; answers the number of records.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        let all = self.sums.finalize().to_hex();
        self.buf.extend_from_slice(format!("{END}{},\"sum\":\"{}\"}}\n", self.count, &all[..16]).as_bytes());
        self.flush()?;
        self.file.sync()?;
        Ok(self.count)
    }
}

/// Reads one, line by line.
#[derive(Debug)]
pub(super) struct Snapshot {
    file: Box<dyn FsFile>,
    place: Place,
    pub(super) base: u64,
    buf: Vec<u8>,
    start: usize,
    read_to: u64,
    line: u64,
    count: u64,
    sums: blake3::Hasher,
    record: (usize, usize),
    done: bool,
}

/// What a line of a snapshot is.
pub(super) enum Line {
    Record {
        at: u64,
    },
    /// Everything was there.
    End,
    /// Not what was written; the next call goes on behind it.
    Damaged {
        at: u64,
        problem: &'static str,
    },
    /// It ends without an end.
    Cut,
}

impl Snapshot {
    /// `None`: there is none.
    pub(super) fn open(place: &Place) -> Result<Option<Snapshot>> {
        let Some(mut snapshot) = Snapshot::begin(place)? else { return Ok(None) };
        let line = snapshot.next_line().map_err(|e| snapshot.io(e))?;
        let head = line.and_then(|(from, to)| snapshot.read_head(from, to));
        snapshot.base = head.ok_or_else(|| snapshot.damaged(0, "its first line is not what was written"))?;
        Ok(Some(snapshot))
    }

    /// Whatever its first line is.
    pub(super) fn begin(place: &Place) -> Result<Option<Snapshot>> {
        let name = beside(place, super::SNAPSHOT);
        let file = match place.dir.open(&name, Access::Read) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("open the snapshot of", &place.spelled, e)),
        };
        Ok(Some(Snapshot {
            file,
            place: place.clone(),
            base: 0,
            buf: Vec::new(),
            start: 0,
            read_to: 0,
            line: 1,
            count: 0,
            sums: blake3::Hasher::new(),
            record: (0, 0),
            done: false,
        }))
    }

    fn io(&self, e: io::Error) -> Error {
        Error::io("read the snapshot of", &self.place.spelled, e)
    }

    fn read_head(&mut self, from: usize, to: usize) -> Option<u64> {
        let text = std::str::from_utf8(&self.buf[from..to]).ok()?;
        let rest = text.strip_prefix(HEAD)?.strip_prefix("1,\"base\":")?;
        let base: u64 = rest.split(',').next()?.parse().ok()?;
        let wanted = Writer::begin(&*self.file, base);
        let good = wanted.buf.strip_suffix(b"\n") == Some(text.as_bytes());
        self.sums = wanted.sums;
        good.then_some(base)
    }

    /// What is wrong with it, for people.
    pub(super) fn damaged(&self, at: u64, problem: &str) -> Error {
        let name = beside(&self.place, super::SNAPSHOT);
        let problem = format!("the snapshot `{}` is damaged: {problem}", name.display());
        let way_out = format!(
            "bring it back from a backup; or `filelatch log repair {}` keeps what is intact of it",
            self.place.spelled.display()
        );
        refuse(&self.place, StoreError::Damaged { line: Some(self.line), offset: Some(at), problem, way_out })
    }

    /// The next line without its newline, as a part of the buffer; `None`: the file ends before one.
    fn next_line(&mut self) -> io::Result<Option<(usize, usize)>> {
        let mut searched = 0;
        loop {
            if let Some(found) = self.buf[self.start + searched..].iter().position(|byte| *byte == b'\n') {
                let from = self.start;
                let to = from + searched + found;
                self.start = to + 1;
                return Ok(Some((from, to)));
            }
            searched = self.buf.len() - self.start;
            if searched > 2 * RECORD_LIMIT {
                // No line of ours: what follows is read as another.
                let from = self.start;
                self.start = self.buf.len();
                return Ok(Some((from, self.buf.len())));
            }
            self.buf.drain(..self.start);
            self.start = 0;
            let len = self.buf.len();
            self.buf.resize(len + CHUNK, 0);
            let read = self.file.read_at(&mut self.buf[len..], self.read_to);
            self.buf.truncate(len + *read.as_ref().unwrap_or(&0));
            let read = read?;
            self.read_to += read as u64;
            if read == 0 {
                return Ok(None);
            }
        }
    }

    /// Where the next line begins.
    pub(super) fn here(&self) -> u64 {
        self.read_to - (self.buf.len() - self.start) as u64
    }

    /// The record that was read last.
    pub(super) fn record(&self) -> &[u8] {
        &self.buf[self.record.0..self.record.1]
    }

    pub(super) fn next(&mut self) -> Result<Line> {
        let at = self.here();
        self.line += 1;
        let Some((from, to)) = self.next_line().map_err(|e| self.io(e))? else {
            let cut = !self.done || self.start < self.buf.len();
            return Ok(if cut { Line::Cut } else { Line::End });
        };
        if self.done {
            return Ok(Line::Damaged { at, problem: "there is something behind its end" });
        }
        let line = &self.buf[from..to];
        if line.starts_with(END.as_bytes()) {
            let all = self.sums.finalize().to_hex();
            let wanted = format!("{END}{},\"sum\":\"{}\"}}", self.count, &all[..16]);
            if line != wanted.as_bytes() {
                return Ok(Line::Damaged { at, problem: "records are missing, doubled or moved" });
            }
            self.done = true;
            return self.next();
        }
        let Some((offset, sum, record)) = parse(line) else {
            // A line that lost its newline keeps no other from being read.
            let (own, other) = split(line);
            if let Some(other) = other {
                self.start = from + other;
            }
            if let Some((offset, end, record)) = own {
                self.start = from + end;
                self.record = (from + record.0, from + record.1);
                self.count += 1;
                return Ok(Line::Record { at: offset });
            }
            return Ok(Line::Damaged { at, problem: "a record is not what was written" });
        };
        self.sums.update(&sum);
        self.count += 1;
        self.record = (from + record.0, from + record.1);
        Ok(Line::Record { at: offset })
    }
}

/// A record at the beginning of a line with something behind it, and where in the line another begins.
fn split(line: &[u8]) -> (Option<Own>, Option<usize>) {
    let ats = (1..line.len()).filter(|at| line[*at..].starts_with(AT.as_bytes())).take(TRIES);
    let mut first = None;
    for at in ats {
        let own = [at - 1, at]
            .into_iter()
            .find_map(|end| parse(&line[..end]).map(|(offset, _, record)| (offset, end, record)));
        if own.is_some() {
            return (own, None);
        }
        if first.is_none() && parse(&line[at..]).is_some() {
            first = Some(at);
        }
    }
    (None, first)
}

/// Offset of a record, where it ends in the line, and its place.
type Own = (u64, usize, (usize, usize));
/// Offset, sum and place of a record.
type Parsed = (u64, [u8; 16], (usize, usize));

/// Offset, sum and place of the record in a line.
fn parse(line: &[u8]) -> Option<Parsed> {
    let rest = line.strip_prefix(AT.as_bytes())?;
    let (at, rest) = number(rest)?;
    let (len, rest) = number(rest.strip_prefix(b",\"len\":")?)?;
    let (digits, rest) = rest.strip_prefix(b",\"sum\":\"")?.split_at_checked(16)?;
    let rest = rest.strip_prefix(b"\",\"rec\":")?;
    let record = rest.strip_suffix(b"}")?;
    let mut found = [0; 16];
    found.copy_from_slice(digits);
    let good = record.len() as u64 == len && sum(&[at.to_string().as_bytes(), b":", record]) == found;
    let from = line.len() - rest.len();
    good.then_some((at, found, (from, from + record.len())))
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = std::str::from_utf8(&bytes[..digits]).ok()?;
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then(|| (number, &bytes[digits..]))
}
