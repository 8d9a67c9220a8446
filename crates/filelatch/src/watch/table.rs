//! What is known of each watched file: kept between looks, and from one watch to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use filelatch_fs::{Caps, FileId, FileKind, FsKind, Stat, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::version::Version;

/// Clocks of file servers tick as coarsely as this, as far as is known (L11).
const NETWORK_GRANULE: Duration = Duration::from_secs(2);

/// What tells two states of a file apart without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) id: FileId,
    pub(crate) size: u64,
    pub(crate) mtime: Timestamp,
    pub(crate) ctime: Timestamp,
}

impl Stamp {
    pub(crate) fn of(stat: &Stat) -> Stamp {
        Stamp { id: stat.id, size: stat.size, mtime: stat.mtime, ctime: stat.ctime }
    }

    /// May a change after `at`, when this was true, leave it as it is? (L40, as in `snapshot`.)
    pub(crate) fn is_racy(&self, at: SystemTime, caps: &Caps) -> bool {
        let granule = match caps.kind {
            FsKind::Local => caps.timestamp_granule,
            FsKind::Network | FsKind::Unknown => caps.timestamp_granule.max(NETWORK_GRANULE),
        };
        let settled = |time: Timestamp| at.duration_since(time.to_system_time()).is_ok_and(|age| age > granule);
        !settled(self.mtime) || !settled(self.ctime)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    File,
    Dir,
    Link,
    Other,
}

impl From<FileKind> for Kind {
    fn from(kind: FileKind) -> Kind {
        match kind {
            FileKind::File => Kind::File,
            FileKind::Dir => Kind::Dir,
            FileKind::Symlink => Kind::Link,
            FileKind::Other => Kind::Other,
        }
    }
}

/// What a name stood for when it was looked at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) stamp: Stamp,
    /// Of a link: of its text. `None`: not read.
    pub(crate) version: Option<Version>,
    /// The same stamp proves nothing.
    pub(crate) racy: bool,
}

impl Entry {
    /// It was reported without its version, which could not be found out at the time. (Above the limit it never is.)
    pub(super) fn is_owed(&self, limit: u64) -> bool {
        self.kind == Kind::File && self.version.is_none() && self.racy && self.stamp.size <= limit
    }
}

/// The watched files by the paths that are reported, directories among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// The paths that were asked for.
    pub(super) roots: BTreeSet<PathBuf>,
    pub(super) entries: BTreeMap<Arc<Path>, Entry>,
}

impl Table {
    pub(crate) fn get(&self, path: &Path) -> Option<&Entry> {
        self.entries.get(path)
    }

    pub(super) fn is_dir(&self, path: &Path) -> bool {
        self.get(path).is_some_and(|entry| entry.kind == Kind::Dir)
    }

    /// What is below a path, however deep. Paths are ordered by components, so this is one piece of the map.
    pub(super) fn below<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = (&'a Arc<Path>, &'a Entry)> {
        let after = (Bound::Excluded(path), Bound::Unbounded);
        self.entries.range::<Path, _>(after).take_while(move |(below, _)| below.starts_with(path))
    }

    /// Device numbers change when a file system is mounted again; files are the same all the same. To be called with what the
    /// paths that were asked for are now.
    pub(super) fn renumber(&mut self, now: &BTreeMap<PathBuf, FileId>) {
        let mut devices = BTreeMap::new();
        for (root, id) in now {
            if let Some(old) = self.get(root).map(|entry| entry.stamp.id)
                && old.ino == id.ino
                && old.dev != id.dev
            {
                devices.insert(old.dev, id.dev);
            }
        }
        if !devices.is_empty() {
            for id in self.entries.values_mut().map(|entry| &mut entry.stamp.id) {
                id.dev = devices.get(&id.dev).copied().unwrap_or(id.dev);
            }
        }
    }
}

/// A path as text, whatever its bytes: `=` and the text, or `x` and hexadecimal digits of what the system has.
pub(super) struct PathText;

#[cfg(unix)]
fn units(path: &Path) -> Vec<u8> {
    path.as_os_str().as_encoded_bytes().to_vec()
}

#[cfg(unix)]
fn from_units(units: Vec<u8>) -> OsString {
    use std::os::unix::ffi::OsStringExt;
    OsString::from_vec(units)
}

#[cfg(windows)]
fn units(path: &Path) -> Vec<u8> {
    use std::os::windows::ffi::OsStrExt;
    path.as_os_str().encode_wide().flat_map(u16::to_le_bytes).collect()
}

#[cfg(windows)]
fn from_units(units: Vec<u8>) -> OsString {
    use std::os::windows::ffi::OsStringExt;
    let wide: Vec<u16> = units.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    OsString::from_wide(&wide)
}

impl PathText {
    pub(super) fn of(path: &Path) -> String {
        match path.to_str() {
            Some(text) => format!("={text}"),
            None => units(path).iter().fold(String::from("x"), |hex, byte| hex + &format!("{byte:02x}")),
        }
    }

    pub(super) fn parse(text: &str) -> Option<PathBuf> {
        if let Some(text) = text.strip_prefix('=') {
            return Some(text.into());
        }
        let hex = text.strip_prefix('x')?.as_bytes();
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let byte = |pair: &[u8]| match pair {
            [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
            _ => None,
        };
        Some(from_units(hex.chunks(2).map(byte).collect::<Option<_>>()?).into())
    }
}

#[derive(Serialize, Deserialize)]
struct RawTable {
    roots: Vec<String>,
    entries: Vec<RawEntry>,
}

/// Path, kind, device, inode, size, times, version, racy.
#[derive(Serialize, Deserialize)]
struct RawEntry(String, Kind, u64, u64, u64, (i64, u32), (i64, u32), Option<String>, bool);

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = |time: Timestamp| (time.secs, time.nanos);
        let entries = self.entries.iter().map(|(path, entry)| {
            let Stamp { id, size, mtime, ctime } = entry.stamp;
            let version = entry.version.map(|version| version.to_string());
            let (mtime, ctime) = (time(mtime), time(ctime));
            RawEntry(PathText::of(path), entry.kind, id.dev, id.ino, size, mtime, ctime, version, entry.racy)
        });
        let roots = self.roots.iter().map(|path| PathText::of(path)).collect();
        RawTable { roots, entries: entries.collect() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Table, D::Error> {
        let raw = RawTable::deserialize(deserializer)?;
        let path = |text: &str| PathText::parse(text).ok_or_else(|| de::Error::custom("not a path"));
        let time = |(secs, nanos)| Timestamp { secs, nanos };
        let roots = raw.roots.iter().map(|text| path(text)).collect::<Result<_, _>>()?;
        let mut entries = BTreeMap::new();
        for RawEntry(text, kind, dev, ino, size, mtime, ctime, version, racy) in raw.entries {
            let version = version.map(|version| version.parse().map_err(de::Error::custom)).transpose()?;
            let stamp = Stamp { id: FileId { dev, ino }, size, mtime: time(mtime), ctime: time(ctime) };
            entries.insert(Arc::from(path(&text)?), Entry { kind, stamp, version, racy });
        }
        Ok(Table { roots, entries })
    }
}
