//! Looking through an audit file as a writer does: where does the good part end, and what is behind it?

use std::io;

use blake3::Hash;
use filelatch_fs::FsFile;
use serde::Deserialize;

use super::key::Key;
use super::line::{LONGEST, Link, is_chained, split};

/// How far from the end a writer looks that finds a file as it was left.
const WINDOW: u64 = 8 << 10;
/// A file longer than this is looked at from its end only, whatever is said about it.
pub(super) const LONGEST_FILE: u64 = 256 << 20;

/// What the first record of a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The log that it belongs to.
    pub(super) log: String,
    /// The chain value of the last record of the file before.
    pub(super) after: Option<Hash>,
    /// Which key the chain is computed with.
    pub(super) key: Option<String>,
    /// The file before is broken at this record.
    pub(super) broken: Option<u64>,
}

#[derive(Deserialize)]
struct RawHead {
    event: String,
    v: u64,
    log: String,
    after: Option<String>,
    key: Option<String>,
    broken: Option<u64>,
}

/// The version of the form of records.
pub(super) const FORM: u64 = 1;

impl Head {
    /// `None`: the line is not the first record of a file, or of a later form.
    pub(super) fn parse(line: &[u8]) -> Option<Head> {
        let raw: RawHead = serde_json::from_slice(line).ok()?;
        if raw.event != "begin" || raw.v != FORM {
            return None;
        }
        let after = match raw.after {
            Some(hex) => Some(Hash::from_hex(hex).ok()?),
            None => None,
        };
        Some(Head { log: raw.log, after, key: raw.key, broken: raw.broken })
    }
}

/// What a look through a file found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// The last record of the good part.
    pub(super) last: Option<Link>,
    /// It says that another file follows.
    pub(super) is_closed: bool,
    /// Where the good part ends.
    pub(super) end: u64,
    pub(super) fault: Option<Fault>,
}

/// What is behind the good part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// What a writer that was killed, or a power cut, leaves: a line without its end, or zeros.
    Torn,
    /// A whole line that is not what follows. `resume`: the last one that has the form of a record, to go on behind it.
    Broken { n: u64, resume: Option<Link> },
}

/// Looks through bytes that begin at `offset` in the file. `before`: the chain value before them; without one the first line is
/// taken as it is.
pub(super) fn scan(bytes: &[u8], offset: u64, key: Option<&Key>, before: Before) -> Scan {
    let mut found = Scan { end: offset, ..Scan::default() };
    let mut expected = before;
    let mut at = 0;
    while at < bytes.len() {
        let Some(len) = bytes[at..].iter().position(|b| *b == b'\n') else {
            found.fault = Some(Fault::Torn);
            return found;
        };
        let line = &bytes[at..at + len];
        let good = split(line).filter(|(link, head)| expected.admits(key, link, head, line));
        let Some((link, _)) = good else {
            let n = found.last.map_or_else(|| split(line).map_or(0, |(link, _)| link.n), |last| last.n + 1);
            found.fault = Some(if line.contains(&0) {
                Fault::Torn
            } else {
                let rest = bytes[at..].split(|b| *b == b'\n').rev();
                Fault::Broken { n, resume: rest.filter_map(split).map(|(link, _)| link).next() }
            });
            return found;
        };
        found.last = Some(link);
        found.is_closed = closes(line);
        expected = Before::Link(link);
        at += len + 1;
        found.end = offset + at as u64;
    }
    found
}

/// Does this record say that another file follows?
pub(super) fn closes(line: &[u8]) -> bool {
    // Its place is fixed by the form: behind the number and the time, and no other text can stand there.
    let mut parts = line.splitn(4, |b| *b == b',');
    parts.nth(2) == Some(b"\"event\":\"next\"".as_slice())
}

/// What the first line of a scan has to follow.
#[derive(Clone, Copy, Debug)]
pub(super) enum Before {
    /// It is the first of a file, which says itself what it follows.
    File,
    /// Not known.
    Anything,
    Link(Link),
}

impl Before {
    fn admits(self, key: Option<&Key>, link: &Link, head: &[u8], line: &[u8]) -> bool {
        match self {
            Before::Anything => true,
            Before::Link(before) => link.n == before.n + 1 && is_chained(key, Some(&before.chain), link, head),
            Before::File => Head::parse(line).is_some_and(|first| is_chained(key, first.after.as_ref(), link, head)),
        }
    }
}

/// Reads from `from` to the end.
pub(super) fn read_from(file: &dyn FsFile, from: u64, size: u64) -> io::Result<Vec<u8>> {
    let len = usize::try_from(size.saturating_sub(from)).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; len];
    let mut done = 0;
    while done < len {
        match file.read_at(&mut bytes[done..], from + done as u64)? {
            0 => break,
            n => done += n,
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}

/// The first line of a file, without its end; `None`: it has none that is whole.
pub(super) fn first_line(file: &dyn FsFile, size: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = read_from(file, 0, size.min(LONGEST as u64))?;
    let end = bytes.iter().position(|b| *b == b'\n');
    Ok(end.map(|end| {
        bytes.truncate(end);
        bytes
    }))
}

/// Finds the end of a file: by its last lines if they are as they should be, else, or if `all`, by all of it.
pub(super) fn look(file: &dyn FsFile, size: u64, key: Option<&Key>, all: bool) -> io::Result<Scan> {
    if size > WINDOW && (!all || size > LONGEST_FILE) {
        let mut window = WINDOW;
        while window < size {
            let bytes = read_from(file, size - window, size)?;
            // From the first line that begins in the window.
            let lines = bytes.iter().position(|b| *b == b'\n').map_or(&[][..], |end| &bytes[end + 1..]);
            let found = scan(lines, size - lines.len() as u64, key, Before::Anything);
            // The first line is not checked, only what follows it.
            let checked = lines.split(|b| *b == b'\n').count() > 3;
            if found.fault.is_none() && checked {
                return Ok(found);
            }
            if window >= LONGEST as u64 * 2 {
                break;
            }
            window *= 4;
        }
        if size > LONGEST_FILE {
            return Ok(Scan { end: size, fault: Some(Fault::Broken { n: 0, resume: None }), ..Scan::default() });
        }
    }
    Ok(scan(&read_from(file, 0, size)?, 0, key, Before::File))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::line::{Body, append};

    fn log(lines: u64) -> (Vec<u8>, Vec<Link>) {
        let at = std::time::SystemTime::UNIX_EPOCH;
        let (mut out, mut links) = (Vec::new(), Vec::new());
        let begin = Body::new(at, "begin").number("v", FORM).text("log", "x");
        links.push(append(&mut out, None, None, &begin));
        for n in 1..lines {
            let body = Body::new(at, if n + 1 == lines { "next" } else { "write" }).number("generation", n);
            links.push(append(&mut out, None, links.last(), &body));
        }
        (out, links)
    }

    /// KEEP-2: what a killed writer or a power cut leaves is told from what somebody changed.
    #[test]
    fn torn_or_broken() {
        let (whole, links) = log(4);
        let good = scan(&whole, 0, None, Before::File);
        let end = whole.len() as u64;
        assert_eq!(good, Scan { last: links.last().copied(), is_closed: true, end, fault: None });
        let ends: Vec<_> = (0..whole.len()).filter(|i| whole[*i] == b'\n').map(|i| i + 1).collect();
        for cut in 0..whole.len() {
            let found = scan(&whole[..cut], 0, None, Before::File);
            let lines = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(found.last, lines.checked_sub(1).map(|i| links[i]));
            let at_a_line = cut == 0 || ends.contains(&cut);
            assert_eq!(found.fault, (!at_a_line).then_some(Fault::Torn), "{cut}");
            let mut zeros = whole.clone();
            zeros[cut..].fill(0);
            let found = scan(&zeros, 0, None, Before::File);
            assert_eq!(
                (found.fault, found.end),
                (Some(Fault::Torn), lines.checked_sub(1).map_or(0, |i| ends[i] as u64))
            );
            let mut flipped = whole.clone();
            flipped[cut] ^= 1;
            let found = scan(&flipped, 0, None, Before::File);
            assert!(found.fault.is_some(), "{cut}");
            if !whole[cut..=cut].contains(&b'\n') && flipped[cut] != b'\n' {
                assert!(matches!(found.fault, Some(Fault::Broken { .. })), "{cut}: {found:?}");
            }
        }
        // A hole, and whole lines behind it.
        let mut hole = whole.clone();
        hole[ends[0]..ends[1] + 5].fill(0);
        let found = scan(&hole, 0, None, Before::File);
        assert_eq!((found.fault, found.end, found.last), (Some(Fault::Torn), ends[0] as u64, Some(links[0])));
        // From the middle, as a writer looks.
        let found = scan(&whole[ends[1]..], ends[1] as u64, None, Before::Anything);
        assert_eq!((found.last, found.fault), (links.last().copied(), None));
    }
}
