//! What kind of file system is simulated.

use std::time::Duration;

use crate::types::{Caps, FsKind, Mount};

/// The properties of a simulated file system. The default is a local Linux one that can do everything; a test turns down
/// what it is about:
///
/// ```
/// # use filelatch_fs::sim::{Dials, SimFs};
/// let fat = SimFs::new(Dials { case_insensitive: true, exchange: false, links: false, ..Dials::default() });
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, set by name")]
pub struct Dials {
    /// Local or network. On a network an exclusive whole-file lock needs a writable descriptor (L13).
    pub kind: FsKind,
    /// What the system calls its type.
    pub name: &'static str,
    /// What it is mounted with.
    pub mount_options: &'static [&'static str],
    /// Lookups fold ASCII case; a name is shown as it was created.
    pub case_insensitive: bool,
    /// `exchange` works.
    pub exchange: bool,
    /// `rename_new` is one atomic operation; otherwise it is link + unlink, which a power cut may part.
    pub rename_new: bool,
    /// Links work, hard (`EPERM` otherwise) and symbolic. Without them and without `rename_new` a file can't be created by renaming.
    pub links: bool,
    /// Extended attributes work.
    pub xattrs: bool,
    /// What whole-file locks do.
    pub flock: Flock,
    /// Byte-range locks work.
    pub range_locks: bool,
    /// The system shows its lock table.
    pub lock_table: bool,
    /// `probe_writers` knows the answer.
    pub leases: bool,
    /// `clone_from` works.
    pub reflinks: bool,
    /// What the system tells of changes.
    pub events: Watching,
    /// How many directories one source may watch.
    pub watches: Option<usize>,
    /// The number of a file that is gone (no name, not open) is given to the next new one.
    pub reuse_numbers: bool,
    /// Timestamps are rounded down to this.
    pub timestamp_granule: Duration,
    /// Bytes that fit on the disk.
    pub capacity: Option<u64>,
    /// What `mode` of new files and directories is reduced by.
    pub umask: u32,
    /// Up to so many possible disks are enumerated, each of them.
    pub enumerate: usize,
    /// Where there are more, so many are drawn.
    pub samples: usize,
    /// What the drawing and the host's random numbers start from.
    pub seed: u64,
}

/// What whole-file locks do on a simulated file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flock {
    /// They exclude.
    #[default]
    Real,
    /// There are none: every call is [`Unsupported`](std::io::ErrorKind::Unsupported).
    Missing,
    /// Every call succeeds and excludes nobody.
    Lie,
}

/// What a simulated system tells of changes ([`Fs::events`](crate::Fs::events)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Watching {
    /// Nothing: [`Unsupported`](std::io::ErrorKind::Unsupported).
    Missing,
    /// As Linux does: of the entries of a directory, and when a file that was written to is closed.
    #[default]
    Entries,
    /// As macOS and Windows do: of everything below a directory, and not of closing.
    Trees,
}

impl Default for Dials {
    fn default() -> Self {
        Dials {
            kind: FsKind::Local,
            name: "sim",
            mount_options: &["rw"],
            case_insensitive: false,
            exchange: true,
            rename_new: true,
            links: true,
            xattrs: true,
            flock: Flock::Real,
            range_locks: true,
            lock_table: true,
            leases: true,
            reflinks: true,
            events: Watching::Entries,
            watches: None,
            reuse_numbers: true,
            timestamp_granule: Duration::from_millis(20),
            capacity: None,
            umask: 0o022,
            enumerate: 2_000,
            samples: 500,
            seed: 7,
        }
    }
}

impl Dials {
    pub(super) fn mount(&self) -> Mount {
        let options = self.mount_options.iter().map(|option| (*option).to_owned()).collect();
        Mount { point: "/".into(), fs_type: self.name.to_owned(), source: "sim".to_owned(), options }
    }

    /// The kinds of file systems that every protocol is tried on: one that can do everything; one without exchange; one without
    /// anything that is not POSIX; one without extended attributes. Few disks are drawn for each power cut, so that a sweep
    /// takes seconds; raise `enumerate` and `samples` for a thorough one.
    pub fn usual() -> [Dials; 4] {
        let all = Dials { enumerate: 60, samples: 25, ..Dials::default() };
        let exchange = false;
        [
            all,
            Dials { exchange, ..all },
            Dials { exchange, rename_new: false, leases: false, range_locks: false, lock_table: false, ..all },
            Dials { xattrs: false, ..all },
        ]
    }

    pub(super) fn caps(&self) -> Caps {
        Caps {
            kind: self.kind,
            name: self.name,
            case_insensitive: self.case_insensitive,
            timestamp_granule: self.timestamp_granule,
            range_locks: self.range_locks,
        }
    }
}

/// Small random numbers with a seed (splitmix64, Steele and others 2014): equal on every system and in every version.
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Rng(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or_default()
    }

    pub(super) fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}
