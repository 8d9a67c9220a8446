//! What is known to be durable: one line in `.FILE.sync`, written over in place by whoever has just synced.
//!
//! # Promise
//! A mark is believed only as it was written (it carries a hash), only in the boot it was written in, and a `failed` one only of its own
//! inode. Of another boot it still proves one thing: so much had been durable, so if it is missing, it is damage and not a power cut.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use filelatch_fs::fs::write_all_at;
use filelatch_fs::{Access, FileId, FsFile};
use serde::{Deserialize, Serialize};

use super::line;
use super::segment::Segment;
use crate::lock::resource::locked;
use crate::lock::sidecar::share_with_writers_of;
use crate::path::{Place, sync_name};

/// The mark always has this length: writing it needs no new space.
const LEN: usize = 384;
/// Where in the mark its hash begins: four bytes that are others after each writing, or nearly so.
const WORD: usize = 8;
const OPENING: &[u8] = b"{\"sum\":\"";
/// Longer names of boots are cut.
const BOOT: usize = 64;

/// Positions are offsets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    v: u64,
    boot: String,
    dev: u64,
    ino: u64,
    /// From here to `upto` everything is durable, names and all that.
    pub(super) from: u64,
    pub(super) upto: u64,
    /// A sync of this inode has failed: nobody may acknowledge anything in it any more (L26).
    pub(super) failed: bool,
}

impl Mark {
    pub(super) fn new(boot: &str, id: FileId, from: u64, upto: u64) -> Mark {
        let boot = boot.chars().take(BOOT).collect();
        Mark { v: 1, boot, dev: id.dev, ino: id.ino, from, upto, failed: false }
    }

    pub(super) fn failed(boot: &str, id: FileId) -> Mark {
        Mark { failed: true, ..Mark::new(boot, id, 0, 0) }
    }

    pub(super) fn is_of_boot(&self, boot: &str) -> bool {
        !boot.is_empty() && self.boot.chars().eq(boot.chars().take(BOOT))
    }

    pub(super) fn is_of(&self, id: FileId) -> bool {
        (self.dev, self.ino) == (id.dev, id.ino)
    }

    /// Is everything between these offsets of this inode durable? Of another inode a mark says nothing: it may be another log's.
    pub(super) fn covers(&self, boot: &str, id: FileId, from: u64, upto: u64) -> bool {
        !self.failed && self.is_of(id) && self.is_of_boot(boot) && self.from <= from && upto <= self.upto
    }

    fn render(&self) -> io::Result<Vec<u8>> {
        let body = serde_json::to_string(self)?;
        let sum = line::sum(&[body.as_bytes()]);
        let mut text = [OPENING, &sum[..], b"\",\"mark\":", body.as_bytes(), b"}"].concat();
        if text.len() >= LEN {
            return Err(io::Error::other("the mark is too long"));
        }
        text.resize(LEN - 1, b' ');
        text.push(b'\n');
        Ok(text)
    }

    fn parse(bytes: &[u8]) -> Option<Mark> {
        let rest = bytes.strip_prefix(OPENING)?;
        let (sum, rest) = rest.split_at_checked(16)?;
        let body = rest.strip_prefix(b"\",\"mark\":")?.trim_ascii_end().strip_suffix(b"}")?;
        if line::sum(&[body]) != sum {
            return None;
        }
        serde_json::from_slice(body).ok().filter(|mark: &Mark| mark.v == 1)
    }
}

/// An open `.FILE.sync`.
#[derive(Debug)]
pub(super) struct MarkFile {
    pub(super) file: Box<dyn FsFile>,
    /// What was read or written last: it mostly has not changed, and need not be parsed again.
    last: Mutex<Option<([u8; LEN], Option<Mark>)>>,
}

/// A mark as it was found.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) mark: Option<Mark>,
    word: [u8; 4],
}

impl MarkFile {
    /// Opens or makes it; `None`: there is none to be had, and everybody syncs alone. What is not ours is left alone.
    pub(super) fn open(place: &Place) -> Option<MarkFile> {
        let name = sync_name(&place.name);
        let file = match place.dir.open(&name, Access::ReadWrite) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => match place.dir.create_new(&name, 0o600) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => place.dir.open(&name, Access::ReadWrite).ok()?,
                made => {
                    let made = made.ok()?;
                    // Others than the owner then sync alone.
                    share_with_writers_of(place.dir.stat(&place.name).ok(), &*made).ok();
                    made
                }
            },
            opened => opened.ok()?,
        };
        let stat = file.stat().ok()?;
        let file = MarkFile::of(file);
        let is_ours = stat.is_file() && stat.nlink == 1 && stat.size <= LEN as u64;
        (is_ours && (stat.size < LEN as u64 || file.begins_as_ours())).then_some(file)
    }

    /// Only to look.
    pub(super) fn look(place: &Place) -> Evidence {
        match place.dir.open(&sync_name(&place.name), Access::Read) {
            Ok(file) => MarkFile::of(file).read().map_or(Evidence::Unreadable, Evidence::Mark),
            Err(_) => Evidence::None,
        }
    }

    fn of(file: Box<dyn FsFile>) -> MarkFile {
        MarkFile { file, last: Mutex::default() }
    }

    fn begins_as_ours(&self) -> bool {
        let mut begin = [0; OPENING.len()];
        let read = self.file.read_at(&mut begin, 0);
        matches!(read, Ok(OPENING_LEN)) && (begin == OPENING || begin == [0; OPENING.len()])
    }

    pub(super) fn read(&self) -> Option<Mark> {
        self.look_at()?.mark
    }

    /// What was read last, by whichever thread.
    pub(super) fn last_seen(&self) -> Option<Seen> {
        let last = locked(&self.last);
        let (bytes, mark) = last.as_ref()?;
        Some(Seen { mark: mark.clone(), word: bytes[WORD..WORD + 4].try_into().ok()? })
    }

    /// `None`: it cannot be read, or has not the length of a mark.
    pub(super) fn look_at(&self) -> Option<Seen> {
        let mut bytes = [0; LEN + 1];
        let mut len = 0;
        while len < LEN {
            match self.file.read_at(&mut bytes[len..], len as u64).ok()? {
                0 => return None,
                n => len += n,
            }
        }
        let bytes: &[u8; LEN] = bytes[..len].try_into().ok()?;
        let word = bytes[WORD..WORD + 4].try_into().ok()?;
        let mut last = locked(&self.last);
        if let Some((known, mark)) = &*last
            && known == bytes
        {
            return Some(Seen { mark: mark.clone(), word });
        }
        let mark = Mark::parse(bytes);
        *last = Some((*bytes, mark.clone()));
        Some(Seen { mark, word })
    }

    /// Sleeps until somebody has let go of the mark, at most so long; not at all if it is not what was seen.
    /// False: there is no waiting here.
    pub(super) fn wait(&self, seen: Option<&Seen>, time: Duration) -> bool {
        seen.is_some_and(|seen| self.file.wait_at(WORD as u64, seen.word, time).is_ok())
    }

    /// Wakes those who wait in other processes. Where that can't be, they look again soon.
    pub(super) fn ring(&self) {
        self.file.ring(WORD as u64).ok();
    }

    pub(super) fn write(&self, mark: &Mark) -> io::Result<()> {
        write_all_at(&*self.file, &mark.render()?, 0)
    }
}

const OPENING_LEN: usize = OPENING.len();

/// What a mark tells of a log in which something is irregular.
#[derive(Debug)]
pub(super) enum Evidence {
    /// There is no mark: nothing is known.
    None,
    /// There is one, and a power cut may have made it unreadable.
    Unreadable,
    Mark(Mark),
}

impl Evidence {
    /// From which offset on something may be missing because of a power cut; `None`: nowhere. Of an earlier inode a mark holds for a later
    /// segment, too, for that begins with all that was durable; a file without a head is no later segment, but one that nobody has synced here.
    pub(super) fn open_from(&self, segment: &Segment) -> Option<u64> {
        match self {
            Evidence::Mark(mark) if mark.is_of(segment.id) || segment.start > 0 => Some(mark.upto),
            Evidence::Unreadable => Some(0),
            Evidence::None | Evidence::Mark(_) => None,
        }
    }

    /// How long the log was at least.
    pub(super) fn least(&self, id: FileId) -> u64 {
        match self {
            Evidence::Mark(mark) if mark.is_of(id) => mark.upto,
            _ => 0,
        }
    }
}
