//! The file of a log: one inode, and where its records stand in the log.
//!
//! An *offset* counts the bytes of all lines that the log has ever had, so it keeps its meaning when a compaction or a failed sync puts a
//! new inode under the name. Such a *segment* begins with a head, `{"log":1,"base":N,"made":…,"id":…,"sum":…}`: its first line has the
//! offset N. A file without a head begins at 0.

use std::ffi::OsString;
use std::io;

use filelatch_fs::{Access, FileId, FileKind, FsFile};

use super::line;
use crate::error::{Error, Result};
use crate::path::Place;
use crate::store::StoreError;

/// The newest form that this program knows.
pub(super) const FORM: u64 = 1;
const HEAD: &[u8] = b"{\"log\":";
/// Longest head: three long numbers and two hashes.
const HEAD_LIMIT: usize = 160;

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: Box<dyn FsFile>,
    pub(super) id: FileId,
    /// Offset of the first line.
    pub(super) base: u64,
    /// Its place in the file.
    pub(super) start: u64,
    /// When it was begun, in milliseconds since the epoch; a first one does not say.
    pub(super) made: Option<u64>,
    /// Offset of the end when the file was opened: what was written later, a sync of this open file covers (L26).
    pub(super) opened_at: u64,
}

/// The head of a segment that is made then, in milliseconds since the epoch.
pub(super) fn head(base: u64, made: u64, id: u64) -> Vec<u8> {
    let text = format!("{{\"log\":{FORM},\"base\":{base},\"made\":{made},\"id\":\"{id:016x}\"");
    let sum = line::sum(&[text.as_bytes()]);
    format!("{text},\"sum\":\"{}\"}}\n", String::from_utf8_lossy(&sum)).into_bytes()
}

/// What a head says.
struct Head {
    base: u64,
    made: u64,
    len: u64,
}

/// `None`: this is no head.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>, StoreError> {
    if !bytes.starts_with(HEAD) {
        return Ok(None);
    }
    let damaged = || StoreError::Damaged {
        line: Some(1),
        offset: Some(0),
        problem: "the head of the log is not what was written".to_owned(),
        way_out: "`filelatch log repair` makes another, if its snapshot says where the log goes on".to_owned(),
    };
    let text = bytes.split(|byte| *byte == b'\n').next().and_then(|line| std::str::from_utf8(line).ok());
    let value: serde_json::Value = text.and_then(|text| serde_json::from_str(text).ok()).ok_or_else(damaged)?;
    let number = |name: &str| value[name].as_u64().ok_or_else(damaged);
    let (form, base, made) = (number("log")?, number("base"), number("made"));
    if form > FORM {
        return Err(StoreError::Newer { found: form, known: FORM });
    }
    let (base, made) = (base?, made?);
    let id = value["id"].as_str().and_then(|id| u64::from_str_radix(id, 16).ok()).ok_or_else(damaged)?;
    let wanted = head(base, made, id);
    if bytes.starts_with(&wanted) { Ok(Some(Head { base, made, len: wanted.len() as u64 })) } else { Err(damaged()) }
}

impl Segment {
    /// Opens what has the log's name; `None`: nothing has.
    pub(super) fn open(place: &Place, access: Access) -> Result<Option<Segment>> {
        let fail = |e| Error::io("open", &place.spelled, e);
        let file = match place.dir.open(&place.name, access) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => {
                return Err(match place.dir.stat(&place.name).map(|stat| stat.kind) {
                    Ok(FileKind::Dir) => not_a_file(place, "a directory"),
                    Ok(FileKind::Symlink) => not_a_file(place, "a symbolic link by now"),
                    Ok(FileKind::Other) => not_a_file(place, "a FIFO, socket or device"),
                    _ => fail(e),
                });
            }
        };
        Segment::of(place, file).map(Some)
    }

    /// What was opened or made.
    pub(super) fn of(place: &Place, file: Box<dyn FsFile>) -> Result<Segment> {
        let fail = |e| Error::io("read", &place.spelled, e);
        let stat = file.stat().map_err(fail)?;
        if !stat.is_file() {
            let what = if stat.kind == FileKind::Dir { "a directory" } else { "a FIFO, socket or device" };
            return Err(not_a_file(place, what));
        }
        let mut bytes = [0; HEAD_LIMIT];
        let mut len = 0;
        while len < HEAD_LIMIT && !bytes[..len].contains(&b'\n') {
            match file.read_at(&mut bytes[len..], len as u64).map_err(fail)? {
                0 => break,
                n => len += n,
            }
        }
        let head = parse_head(&bytes[..len]).map_err(|source| Error::Store { path: place.spelled.clone(), source })?;
        let made = head.as_ref().map(|head| head.made);
        let (base, start) = head.map_or((0, 0), |head| (head.base, head.len));
        Ok(Segment { made, file, id: stat.id, base, start, opened_at: base + stat.size.saturating_sub(start) })
    }

    /// The offset of a place in the file.
    pub(super) fn offset(&self, at: u64) -> u64 {
        self.base + at.saturating_sub(self.start)
    }

    /// The place of an offset in the file.
    pub(super) fn place(&self, offset: u64) -> u64 {
        self.start + offset.saturating_sub(self.base)
    }

    /// The offset of the end.
    pub(super) fn end(&self) -> io::Result<u64> {
        Ok(self.offset(self.file.stat()?.size))
    }
}

fn not_a_file(place: &Place, what: &'static str) -> Error {
    Error::NotAFile { path: place.spelled.clone(), what }
}

/// A file beside the log: its name and something behind it.
pub(super) fn beside(place: &Place, suffix: &str) -> OsString {
    let mut name = place.name.clone();
    name.push(suffix);
    name
}

/// An error of this log.
pub(super) fn refuse(place: &Place, source: StoreError) -> Error {
    Error::Store { path: place.spelled.clone(), source }
}
