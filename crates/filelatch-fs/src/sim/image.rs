//! The content of one inode, the changes made to it, and what a power cut can make of each change.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

use crate::types::Timestamp;

use super::dials::Rng;

/// What a disk writes whole or not at all.
pub(super) const SECTOR: usize = 512;

/// Owner and group of what is created.
pub(super) const USER: u32 = 1000;

/// Everything a file has besides names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Image {
    pub(super) bytes: Arc<Vec<u8>>,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) xattrs: BTreeMap<OsString, Vec<u8>>,
    pub(super) mtime: Timestamp,
    pub(super) ctime: Timestamp,
}

impl Image {
    pub(super) fn new(mode: u32, now: Timestamp) -> Self {
        Image { bytes: Arc::default(), mode, uid: 1000, gid: 1000, xattrs: BTreeMap::new(), mtime: now, ctime: now }
    }

    /// Is it the same to everybody who does not look at the clock?
    pub(super) fn is_like(&self, other: &Image) -> bool {
        self.bytes == other.bytes
            && (self.mode, self.uid, self.gid) == (other.mode, other.uid, other.gid)
            && self.xattrs == other.xattrs
    }

    /// Applies as much of a change as its fate leaves.
    pub(super) fn apply(&mut self, change: &Change, fate: &Fate) {
        match (change, fate) {
            (_, Fate::Lost) => {}
            (Change::Write { offset, data }, fate) => self.write(*offset, data, fate),
            (Change::SetLen(len), _) => Arc::make_mut(&mut self.bytes).resize(*len, 0),
            (Change::Content(bytes), _) => self.bytes = Arc::clone(bytes),
            (Change::Mode(mode), _) => self.mode = *mode,
            (Change::Owner(uid, gid), _) => (self.uid, self.gid) = (*uid, *gid),
            (Change::Xattr(name, value), _) => {
                self.xattrs.insert(name.clone(), value.clone());
            }
        }
    }

    fn write(&mut self, offset: usize, data: &[u8], fate: &Fate) {
        let bytes = Arc::make_mut(&mut self.bytes);
        match fate {
            Fate::Lost => {}
            Fate::Zeroed => grow_to(bytes, offset + data.len()),
            Fate::Kept => {
                grow_to(bytes, offset + data.len());
                bytes[offset..offset + data.len()].copy_from_slice(data);
            }
            Fate::Torn { sectors, full_length } => {
                if *full_length {
                    grow_to(bytes, offset + data.len());
                }
                let kept = pieces(offset, data.len()).into_iter().zip(sectors).filter(|(_, kept)| **kept);
                for ((start, end), _) in kept {
                    grow_to(bytes, end);
                    bytes[start..end].copy_from_slice(&data[start - offset..end - offset]);
                }
            }
        }
    }
}

fn grow_to(bytes: &mut Vec<u8>, len: usize) {
    if bytes.len() < len {
        bytes.resize(len, 0);
    }
}

/// The parts of a write that lie in one sector each, as positions in the file.
fn pieces(offset: usize, len: usize) -> Vec<(usize, usize)> {
    let end = offset + len;
    let mut pieces = Vec::new();
    let mut start = offset;
    while start < end {
        let stop = end.min((start / SECTOR + 1) * SECTOR);
        pieces.push((start, stop));
        start = stop;
    }
    pieces
}

/// One change of an inode.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { offset: usize, data: Arc<[u8]> },
    SetLen(usize),
    Content(Arc<Vec<u8>>),
    Mode(u32),
    Owner(u32, u32),
    Xattr(OsString, Vec<u8>),
}

/// What became of a change that was not synced.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Fate {
    /// Not a trace of it.
    Lost,
    /// As if it had been synced.
    Kept,
    /// The new length reached the disk, the bytes did not.
    Zeroed,
    /// Some sectors of a write reached the disk; the length with them (zeros in between), or only as far as they go.
    Torn { sectors: Vec<bool>, full_length: bool },
}

impl Change {
    /// The fates worth trying one by one: the extremes, and the tears next to them.
    pub(super) fn fates(&self) -> Vec<Fate> {
        let mut fates = vec![Fate::Lost, Fate::Kept];
        if let Change::Write { offset, data } = self {
            fates.push(Fate::Zeroed);
            let n = pieces(*offset, data.len()).len();
            let mut tear = |full_length: bool, kept: &dyn Fn(usize) -> bool| {
                let fate = Fate::Torn { sectors: (0..n).map(kept).collect(), full_length };
                if !fates.contains(&fate) {
                    fates.push(fate);
                }
            };
            if n >= 2 {
                tear(false, &|i| i == 0);
                tear(true, &|i| i == 0);
                tear(true, &|i| i != 0);
            }
            if n >= 3 {
                tear(false, &|i| i + 1 < n);
                tear(true, &|i| i + 1 < n);
            }
        }
        fates
    }

    /// Any fate.
    pub(super) fn draw_fate(&self, rng: &mut Rng) -> Fate {
        let fates = self.fates();
        match self {
            Change::Write { offset, data } if fates.len() > 3 && rng.coin() => Fate::Torn {
                sectors: pieces(*offset, data.len()).iter().map(|_| rng.coin()).collect(),
                full_length: rng.coin(),
            },
            _ => fates[rng.below(fates.len())].clone(),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Write { offset, data } => write!(f, "write {offset}+{}", data.len()),
            Change::SetLen(len) => write!(f, "set_len {len}"),
            Change::Content(bytes) => write!(f, "clone of {} bytes", bytes.len()),
            Change::Mode(mode) => write!(f, "mode {mode:o}"),
            Change::Owner(uid, gid) => write!(f, "owner {uid}:{gid}"),
            Change::Xattr(name, value) => {
                write!(f, "xattr {} = {:?}", name.display(), String::from_utf8_lossy(value))
            }
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fate::Lost => f.write_str("lost"),
            Fate::Kept => f.write_str("kept"),
            Fate::Zeroed => f.write_str("zeros only"),
            Fate::Torn { sectors, full_length } => {
                let map: String = sectors.iter().map(|kept| if *kept { '#' } else { '.' }).collect();
                write!(f, "torn {map}{}", if *full_length { "" } else { ", short" })
            }
        }
    }
}
