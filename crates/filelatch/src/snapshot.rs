//! What was read: bytes and their version, and a cache of the last of them (VER-1, VER-9).
//!
//! A cached version is used again only while identity, length and both times of the file are the same *and* they were already
//! older than one tick of the file system's clock when the bytes were read: two changes within a tick look alike ("racy
//! git", L40). It serves local file systems only: elsewhere the system itself may answer from a cache (sshfs: for 20 seconds), so
//! the bytes are read. Comparing before a write never uses the cache: a store through
//! a memory mapping may change bytes and leave the times (P5.10).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use filelatch_fs::{Stat, Timestamp};

use crate::bytes::Bytes;
use crate::lock::resource::locked;
use crate::version::Version;
use crate::write::Author;

/// A file as it was at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    path: PathBuf,
    content: Arc<Content>,
    author: Author,
    modified_at: SystemTime,
}

#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) bytes: Bytes,
    version: OnceLock<Version>,
}

impl Content {
    pub(crate) fn new(bytes: impl Into<Bytes>) -> Arc<Content> {
        Arc::new(Content { bytes: bytes.into(), version: OnceLock::new() })
    }

    /// The version, if somebody has asked for it before: it costs a look at all bytes.
    pub(crate) fn known_version(&self) -> Option<Version> {
        self.version.get().copied()
    }

    pub(crate) fn version(&self) -> Version {
        *self.version.get_or_init(|| Version::of(&self.bytes))
    }
}

impl Snapshot {
    pub(crate) fn new(path: PathBuf, content: Arc<Content>, author: Author, modified_at: SystemTime) -> Self {
        Snapshot { path, content, author, modified_at }
    }

    /// The file, as it was asked for.
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[cfg(feature = "watch")]
    pub(crate) fn into_content(self) -> Arc<Content> {
        self.content
    }

    /// The content.
    pub fn bytes(&self) -> &[u8] {
        &self.content.bytes
    }

    /// The content's version: what a conditional write expects. Computed at the first call.
    pub fn version(&self) -> Version {
        self.content.version()
    }

    /// Who wrote these bytes.
    pub fn author(&self) -> &Author {
        &self.author
    }

    /// When these bytes were written.
    pub fn modified_at(&self) -> SystemTime {
        self.modified_at
    }
}

/// The last version read or written of one file.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<Option<Cached>>);

#[derive(Debug)]
struct Cached {
    stat: Key,
    snapshot: Snapshot,
}

type Key = (filelatch_fs::FileId, u64, Timestamp, Timestamp);

fn key(stat: &Stat) -> Key {
    (stat.id, stat.size, stat.mtime, stat.ctime)
}

impl Cache {
    pub(crate) fn get(&self, stat: &Stat) -> Option<Snapshot> {
        let cached = locked(&self.0);
        cached.as_ref().filter(|cached| cached.stat == key(stat)).map(|cached| cached.snapshot.clone())
    }

    /// Remembers what was read while `stat` was true, if it can be told apart from a later change. `read_at` is the time
    /// before the read.
    pub(crate) fn put(&self, stat: &Stat, snapshot: &Snapshot, read_at: SystemTime, granule: Duration) {
        let settled = |time: Timestamp| read_at.duration_since(time.to_system_time()).is_ok_and(|age| age > granule);
        let trusted = settled(stat.mtime) && settled(stat.ctime);
        *locked(&self.0) = trusted.then(|| Cached { stat: key(stat), snapshot: snapshot.clone() });
    }

    pub(crate) fn forget(&self) {
        *locked(&self.0) = None;
    }
}
