//! A place in the log that can be kept elsewhere and read on from: for those who take records in bit by bit.
//!
//! A place is the last record that was taken in, by number, chain value and where its line is. As long as the same line is there the log is the
//! same up to it: everything before is in its chain value. A file that was removed by policy takes the place with it; then the oldest
//! file goes on with a greater number. Anything else is another log, or the end of this one was lost (a power cut takes records that
//! were not synced) and written anew.

use std::io;

use blake3::Hash;
use filelatch_fs::{Access, FsDir};

use super::append::numbers;
use super::line::{LONGEST, Link, file_name, split};
use super::read::{Audit, whole_lines};
use super::scan::read_from;

/// What one call reads at most, in bytes. Lines are shorter.
const WINDOW: u64 = 1 << 20;

/// A record, and where its line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) n: u64,
    pub(crate) chain: Hash,
    /// The number of its file.
    pub(crate) file: u64,
    /// Where its line begins.
    pub(crate) at: u64,
}

/// A part of the log, as [`Audit::read_on`] found it.
#[derive(Debug)]
pub(crate) enum ReadOn {
    /// The log has not what the place says.
    Elsewhere,
    /// This follows.
    Part(Part),
}

/// Some records behind a place.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// The last of them; `None`: there are none.
    pub(crate) last: Option<Place>,
    /// Records before them that were removed unread.
    pub(crate) missed: u64,
    /// Lines among them that are no records.
    pub(crate) damaged: u64,
    /// There may be more.
    pub(crate) more: bool,
    /// Bytes that were looked at.
    pub(crate) bytes: u64,
}

impl Audit {
    /// Reads records behind a place, or from the beginning, about a megabyte at most, and tells `each` of them: where it is, and its line.
    /// Without the log's lock: a line without its end is not there yet.
    pub(crate) fn read_on(
        &self,
        behind: Option<&Place>,
        each: &mut dyn FnMut(&Place, &[u8]) -> io::Result<()>,
    ) -> io::Result<ReadOn> {
        let mut part = Part::default();
        let Some(dir) = self.folder()? else { return Ok(ReadOn::Part(part)) };
        // Listed before it is read: when another file is there already, nothing more is written to this one.
        let files = numbers(&*dir)?;
        let Some(&oldest) = files.first() else { return Ok(ReadOn::Part(part)) };
        let (mut file, mut at) = match behind {
            None => (oldest, 0),
            Some(place) if files.contains(&place.file) => match end_of(&*dir, place)? {
                Some(end) => (place.file, end),
                None => return Ok(ReadOn::Elsewhere),
            },
            Some(place) if oldest > place.n => (oldest, 0),
            Some(_) => return Ok(ReadOn::Elsewhere),
        };
        let mut before = behind.map_or(0, |place| place.n);
        loop {
            let (mut missed, mut first) = (0, at == 0);
            let read = read_window(&*dir, file, at, &mut part, &mut |place, line| {
                if std::mem::take(&mut first) {
                    missed = place.n.saturating_sub(before + 1);
                }
                before = place.n;
                each(place, line)
            })?;
            part.missed += missed;
            if part.last.is_some() {
                part.more = true;
                return Ok(ReadOn::Part(part));
            }
            match files.iter().find(|number| **number > file) {
                _ if read > 0 => at += read,
                Some(next) => (file, at) = (*next, 0),
                None => return Ok(ReadOn::Part(part)),
            }
        }
    }

    /// The last record that the caller knows by number and chain value. Since everything before a record is in its chain value, what is before
    /// it is known, too, and nothing behind it is.
    pub(crate) fn last_known(&self, is_known: &dyn Fn(u64, &Hash) -> bool) -> io::Result<Option<Place>> {
        let Some(dir) = self.folder()? else { return Ok(None) };
        for file in numbers(&*dir)?.into_iter().rev() {
            let (mut at, mut last) = (0, None);
            loop {
                let mut part = Part::default();
                let read = read_window(&*dir, file, at, &mut part, &mut |place, _| {
                    if is_known(place.n, &place.chain) {
                        last = Some(*place);
                    }
                    Ok(())
                })?;
                if read == 0 {
                    break;
                }
                at += read;
            }
            if last.is_some() {
                return Ok(last);
            }
        }
        Ok(None)
    }
}

/// Where the line of a place ends; `None`: something else is there.
fn end_of(dir: &dyn FsDir, place: &Place) -> io::Result<Option<u64>> {
    let file = match dir.open(&file_name(place.file), Access::Read) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let bytes = read_from(&*file, place.at, file.stat()?.size.min(place.at.saturating_add(LONGEST as u64)))?;
    let Some(line) = whole_lines(&bytes).next() else { return Ok(None) };
    let found = split(line).map(|(link, _)| link);
    Ok((found == Some(Link { n: place.n, chain: place.chain })).then(|| place.at + line.len() as u64 + 1))
}

/// Reads whole lines of one file from `at` on; answers how many bytes they have. 0: there are none.
fn read_window(
    dir: &dyn FsDir,
    number: u64,
    at: u64,
    part: &mut Part,
    each: &mut dyn FnMut(&Place, &[u8]) -> io::Result<()>,
) -> io::Result<u64> {
    let file = match dir.open(&file_name(number), Access::Read) {
        // Removed by policy meanwhile.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        opened => opened?,
    };
    let stat = file.stat()?;
    if !stat.is_file() {
        return Err(io::Error::other(format!("`{}` is not a regular file", file_name(number).display())));
    }
    let bytes = read_from(&*file, at, stat.size.min(at.saturating_add(WINDOW)))?;
    if !bytes.contains(&b'\n') {
        if bytes.len() as u64 == WINDOW {
            // No line is so long.
            part.damaged += 1;
            part.bytes += WINDOW;
            return Ok(WINDOW);
        }
        return Ok(0);
    }
    let mut done = 0;
    for line in whole_lines(&bytes) {
        match split(line) {
            Some((Link { n, chain }, _)) => {
                let place = Place { n, chain, file: number, at: at + done };
                each(&place, line)?;
                part.last = Some(place);
            }
            None => part.damaged += 1,
        }
        done += line.len() as u64 + 1;
    }
    part.bytes += done;
    Ok(done)
}
