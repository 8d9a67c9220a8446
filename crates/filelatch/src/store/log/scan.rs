//! Reading the lines of a segment one after the other, and telling what is irregular apart.
//!
//! # What can stand in a file
//! | | is | and |
//! |---|---|---|
//! | a line that is whole and right | [`Found::Record`] | is read |
//! | the beginning of a line, directly followed by a right line | [`Passed::Piece`] | a writer was killed, and another had written behind it: passed over, told |
//! | blanks | [`Passed::Blank`] | what had been lost there was put aside: passed over |
//! | at the end, the beginning of a line | [`Tail::Short`] | is being written, or its writer was killed |
//! | at the end, zeros with whatever before and after | [`Tail::Zeros`] | a power cut |
//! | anything else | [`Found::Damaged`] | an error; `zeros` tells that a power cut may have made it, and where it is right again |
//!
//! # Invariants
//! - Memory: two lines of the longest kind, whatever stands in the file.
//! - Time: linear, but for at most [`TRIES`] hashes of one irregular line and [`BUDGET`] bytes of hashing behind zeros.
//! - A record is never passed over: whatever hashes right is found, if it begins where a line may begin.

use std::io;

use filelatch_fs::FsFile;

use super::line::{self, Begin, ENDING, HEAD_LIMIT, LINE_LIMIT, OPENING};

/// Bytes that are read at once.
const CHUNK: usize = 128 << 10;
/// Candidates for a record behind pieces that are hashed.
const TRIES: usize = 16;
/// Bytes of candidates behind zeros that are hashed.
const BUDGET: usize = 64 << 20;

/// Positions are those of the file, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// See [`Scanner::record`].
    Record {
        at: u64,
        next: u64,
    },
    Passed {
        at: u64,
        len: u64,
        what: Passed,
    },
    /// The file ends here, with a line.
    End {
        at: u64,
    },
    /// The file ends within a line, which begins here.
    Tail {
        at: u64,
        what: Tail,
    },
    Damaged {
        at: u64,
        /// Reading goes on here.
        until: u64,
        /// Where the first zero in it is, if there is one.
        zeros: Option<u64>,
        problem: &'static str,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    Piece,
    Blank,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    Short,
    /// Only the newline is missing.
    Whole,
    /// The first zero is here.
    Zeros(u64),
}

/// Reads a file that it is given at each step.
#[derive(Debug)]
pub(super) struct Scanner {
    /// Nothing behind this is looked at.
    limit: u64,
    /// Where the file continues behind the buffer.
    read_to: u64,
    buf: Vec<u8>,
    /// What of the buffer was passed.
    start: usize,
    /// The last record, in the buffer.
    record: (usize, usize),
}

impl Scanner {
    /// Reads from a place where a line begins, to `limit`.
    pub(super) fn new(from: u64, limit: u64) -> Scanner {
        Scanner { limit, read_to: from, buf: Vec::new(), start: 0, record: (0, 0) }
    }

    /// The record that was found last.
    pub(super) fn record(&self) -> &[u8] {
        &self.buf[self.record.0..self.record.1]
    }

    fn here(&self) -> u64 {
        self.read_to - self.rest().len() as u64
    }

    fn rest(&self) -> &[u8] {
        &self.buf[self.start..]
    }

    /// Reads until there are so many bytes, if the file has them; answers how many there are.
    fn fill(&mut self, file: &dyn FsFile, wanted: usize) -> io::Result<usize> {
        while self.rest().len() < wanted {
            if self.start > 0 {
                self.buf.drain(..self.start);
                self.start = 0;
            }
            let len = self.buf.len();
            let left = usize::try_from(self.limit.saturating_sub(self.read_to)).unwrap_or(usize::MAX);
            self.buf.resize(len + (wanted - len).max(CHUNK).min(left), 0);
            let read = file.read_at(&mut self.buf[len..], self.read_to);
            self.buf.truncate(len + *read.as_ref().unwrap_or(&0));
            let read = read?;
            self.read_to += read as u64;
            if read == 0 {
                break;
            }
        }
        Ok(self.rest().len())
    }

    /// What comes next. After [`Found::End`] and [`Found::Tail`] it may be asked again: more may have been written.
    pub(super) fn next(&mut self, file: &dyn FsFile) -> io::Result<Found> {
        let at = self.here();
        let have = self.fill(file, HEAD_LIMIT)?;
        if have == 0 {
            return Ok(Found::End { at });
        }
        if let Begin::Head(head) = line::begin(&self.rest()[..have.min(HEAD_LIMIT)])
            && self.fill(file, head.whole())? + 1 >= head.whole()
        {
            let rest = self.rest();
            let end = head.size + head.len;
            if rest[end] == ENDING[0] && head.is_of(&rest[head.size..end]) {
                let len = match rest.get(end + 1) {
                    Some(b'\n') => end + 2,
                    // Its newline is missing, and it is all there nevertheless. What stands there is looked at next.
                    Some(byte) if *byte != 0 => end + 1,
                    Some(_) => return self.irregular(file, at),
                    None => return Ok(Found::Tail { at, what: Tail::Whole }),
                };
                self.record = (self.start + head.size, self.start + end);
                self.start += len;
                return Ok(Found::Record { at, next: at + len as u64 });
            }
        }
        self.irregular(file, at)
    }

    fn irregular(&mut self, file: &dyn FsFile, at: u64) -> io::Result<Found> {
        let mut searched = 0;
        let newline = loop {
            if let Some(found) = self.rest()[searched..].iter().position(|byte| *byte == b'\n') {
                break Some(searched + found);
            }
            searched = self.rest().len();
            if searched > 2 * LINE_LIMIT {
                return self.skip_line(file, at);
            }
            if self.fill(file, searched + CHUNK)? == searched {
                break None;
            }
        };
        let len = newline.map_or(self.rest().len(), |newline| newline + 1);
        let line = &self.rest()[..len];
        if let Some(zeros) = line.iter().position(|byte| *byte == 0) {
            return self.zeros(file, at, zeros);
        }
        if newline.is_none() && line::are_pieces(line) {
            return Ok(Found::Tail { at, what: Tail::Short });
        }
        if newline.is_some() && line[..len - 1].iter().all(|byte| *byte == b' ') {
            self.start += len;
            return Ok(Found::Passed { at, len: len as u64, what: Passed::Blank });
        }
        let problem = problem_of(line);
        let before = if newline.is_some() { before_record(line) } else { None };
        let len = before.unwrap_or(len);
        if before.is_some() && line::are_pieces(&line[..len]) {
            self.start += len;
            return Ok(Found::Passed { at, len: len as u64, what: Passed::Piece });
        }
        self.start += len;
        Ok(Found::Damaged { at, until: at + len as u64, zeros: None, problem })
    }

    /// A line that is longer than two could be.
    fn skip_line(&mut self, file: &dyn FsFile, at: u64) -> io::Result<Found> {
        let mut zeros = None;
        let until = loop {
            let newline = self.rest().iter().position(|byte| *byte == b'\n');
            let passed = newline.map_or(self.rest().len(), |newline| newline + 1);
            let zero = self.rest()[..passed].iter().position(|byte| *byte == 0);
            zeros = zeros.or(zero.map(|zero| self.here() + zero as u64));
            self.start += passed;
            if newline.is_some() || self.fill(file, CHUNK)? == 0 {
                break self.here();
            }
        };
        Ok(Found::Damaged { at, until, zeros, problem: "a line longer than a record can be" })
    }

    /// Looks for the next right line behind zeros.
    fn zeros(&mut self, file: &dyn FsFile, at: u64, first: usize) -> io::Result<Found> {
        let mut budget = BUDGET;
        self.start += first;
        let zero = self.here();
        loop {
            match self.rest().iter().position(|byte| *byte == OPENING[0]) {
                None => {
                    self.start = self.buf.len();
                    if self.fill(file, CHUNK)? == 0 {
                        return Ok(Found::Tail { at, what: Tail::Zeros(zero) });
                    }
                    continue;
                }
                Some(passed) => self.start += passed,
            }
            self.fill(file, HEAD_LIMIT)?;
            if let Begin::Head(head) = line::begin(self.rest())
                && self.fill(file, head.whole())? >= head.whole()
            {
                if line::record(&self.rest()[..head.whole()]).is_some() {
                    let problem = "zeros instead of a record";
                    return Ok(Found::Damaged { at, until: self.here(), zeros: Some(zero), problem });
                }
                budget = budget.saturating_sub(head.len);
                if budget == 0 {
                    let problem = "zeros, and behind them what only looks like records";
                    self.start = self.buf.len();
                    self.read_to = self.limit.min(file.stat()?.size).max(self.read_to);
                    self.buf.clear();
                    self.start = 0;
                    return Ok(Found::Damaged { at, until: self.read_to, zeros: None, problem });
                }
            }
            self.start += 1;
        }
    }
}

/// How much of a line stands before a right one at its end.
fn before_record(line: &[u8]) -> Option<usize> {
    let mut tries = 0;
    for at in 1..line.len() {
        if !line[at..].starts_with(OPENING) {
            continue;
        }
        let Begin::Head(head) = line::begin(&line[at..line.len().min(at + HEAD_LIMIT)]) else { continue };
        if head.whole() != line.len() - at {
            continue;
        }
        tries += 1;
        if line::record(&line[at..]).is_some() {
            return Some(at);
        }
        if tries == TRIES {
            return None;
        }
    }
    None
}

fn problem_of(line: &[u8]) -> &'static str {
    match line::begin(&line[..line.len().min(HEAD_LIMIT)]) {
        Begin::Head(head) if head.whole() == line.len() => {
            "the record is not what was written: its checksum is another"
        }
        Begin::Head(head) if head.whole() < line.len() => "the record is longer than it was when it was written",
        Begin::Head(_) => "the record is shorter than it was when it was written",
        Begin::Short | Begin::Foreign => "this is no record of a log",
    }
}

#[cfg(test)]
mod tests {
    use filelatch_fs::sim::SimFs;
    use filelatch_fs::{Access, Fs};

    use super::*;

    fn lines(records: &[&str]) -> Vec<Vec<u8>> {
        let line = |record: &&str| {
            let mut out = Vec::new();
            line::append(&mut out, record.as_bytes());
            out
        };
        records.iter().map(line).collect()
    }

    fn scan(bytes: &[u8]) -> (Vec<String>, Vec<Found>) {
        let fs = SimFs::default();
        fs.foreign().create("/log", bytes).unwrap();
        let file = fs.open_dir("/".as_ref()).unwrap().open("log".as_ref(), Access::Read).unwrap();
        let mut scanner = Scanner::new(0, u64::MAX);
        let (mut records, mut others) = (Vec::new(), Vec::new());
        loop {
            match scanner.next(&*file).unwrap() {
                Found::Record { at, next } => {
                    let record = scanner.record().to_vec();
                    assert!(
                        bytes[usize::try_from(at).unwrap()..usize::try_from(next).unwrap()]
                            .windows(record.len())
                            .any(|window| window == record)
                    );
                    records.push(String::from_utf8(record).unwrap());
                }
                found @ (Found::End { .. } | Found::Tail { .. }) => {
                    others.push(found);
                    return (records, others);
                }
                found => others.push(found),
            }
        }
    }

    /// STORE-8: a log cut anywhere gives the records before the cut, and the rest is a tail.
    #[test]
    fn cut_anywhere() {
        let all = lines(&["1", "{\"a\":\"b\"}", "[1,2,3]"]);
        let bytes = all.concat();
        for end in 0..=bytes.len() {
            let whole = all.iter().scan(0, |at, line| Some((*at += line.len(), *at).1)).filter(|at| *at <= end).count();
            let (records, others) = scan(&bytes[..end]);
            assert_eq!(records.len(), whole, "{end}");
            let at: usize = all[..whole].iter().map(Vec::len).sum();
            let at = at as u64;
            let wanted = match &all.get(whole) {
                _ if at == end as u64 => Found::End { at },
                Some(line) if line.len() - 1 == end - usize::try_from(at).unwrap() => {
                    Found::Tail { at, what: Tail::Whole }
                }
                _ => Found::Tail { at, what: Tail::Short },
            };
            assert_eq!(others, [wanted], "{end}");
            let mut zeros = bytes[..end].to_vec();
            zeros.resize(end + 700, 0);
            let (records, others) = scan(&zeros);
            assert!(matches!(others[..], [Found::Tail { what: Tail::Zeros(_), .. }]), "{end}: {others:?}");
            assert_eq!(records.len(), whole);
        }
    }

    /// STORE-8: what a killed writer leaves and others have written behind is passed over, wherever the kill came.
    #[test]
    fn pieces_before_records() {
        let all = lines(&["\"first\"", "\"killed\"", "\"second\""]);
        for first in 0..all[1].len() {
            for second in 0..all[1].len() {
                let bytes = [&all[0][..], &all[1][..first], &all[1][..second], &all[2]].concat();
                let (records, others) = scan(&bytes);
                let whole_but_newline =
                    usize::from(first == all[1].len() - 1) + usize::from(second == all[1].len() - 1);
                if whole_but_newline == 0 {
                    assert_eq!(records, ["\"first\"", "\"second\""], "{first} {second}: {others:?}");
                } else {
                    assert!(records.len() >= 2 && records.last().unwrap() == "\"second\"", "{first} {second}");
                }
                assert!(
                    !others.iter().any(|found| matches!(found, Found::Damaged { .. })),
                    "{first} {second}: {others:?}"
                );
            }
        }
    }

    /// STORE-8: no changed byte goes unnoticed: whatever is read was written, and if not all is read, it is said.
    #[test]
    fn every_byte_changed() {
        let all = lines(&["1", "{\"k\":\"{\\\"len\\\":\"}", "[\"x\"]"]);
        let bytes = all.concat();
        let texts = scan(&bytes).0;
        for at in 0..bytes.len() {
            for new in [0, b'{', b'}', b'\n', b' ', b'0', b'9', bytes[at] ^ 1] {
                let mut bad = bytes.clone();
                bad[at] = new;
                let (records, others) = scan(&bad);
                assert!(records.iter().all(|record| texts.contains(record)), "{at} {new}: {records:?}");
                let told = others.iter().any(|found| !matches!(found, Found::End { .. }));
                assert!(records == texts || told, "{at} {new}: {records:?} {others:?}");
            }
        }
    }

    /// STORE-8: zeros in the middle are damage, and everything behind them is found again.
    #[test]
    fn zeros_in_the_middle() {
        let all = lines(&["\"a\"", "\"lost\"", "\"b\"", "\"c\""]);
        for from in 0..all[1].len() {
            let mut bad = all.clone();
            bad[1][from..].fill(0);
            let (records, others) = scan(&bad.concat());
            assert_eq!(records, ["\"a\"", "\"b\"", "\"c\""], "{from}");
            let at = all[0].len() as u64;
            let until = at + all[1].len() as u64;
            let problem = "zeros instead of a record";
            let zeros = Some(at + from as u64);
            assert_eq!(others[0], Found::Damaged { at, until, zeros, problem }, "{from}");
        }
    }

    /// STORE-8: lines that are no log, of any length, end; nothing is kept of them.
    #[test]
    fn foreign_lines() {
        let long = vec![b'x'; 2 * LINE_LIMIT + 3 * CHUNK];
        let good = lines(&["7"]).concat();
        let (records, others) = scan(&[&b"hello\r\n{}\n"[..], &long, b"\n", &good].concat());
        assert_eq!(records, ["7"]);
        assert_eq!(others.len(), 4, "two short ones, a long one, the end");
        let (records, others) = scan(&long);
        assert!(records.is_empty() && matches!(others[0], Found::Damaged { .. }));
    }
}
