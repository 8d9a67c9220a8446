//! The reference of the append targets: one of those who wait syncs for all of them, threads and processes alike. It checks nothing, repairs
//! nothing, and a leader that is killed leaves the others waiting for ever.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::fs::{Mode, OFlags, open};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use rustix::thread::futex;

#[repr(C)]
struct Shared {
    /// Counted up after each sync: what is waited on.
    round: AtomicU32,
    busy: AtomicU32,
    synced: AtomicU64,
}

pub struct Group {
    file: OwnedFd,
    shared: &'static Shared,
}

impl Group {
    pub fn open(dir: &Path) -> Group {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o600);
        let words = File::from(open(dir.join("group.words"), flags, mode).unwrap());
        words.set_len(4096).unwrap();
        // SAFETY: a fresh mapping of a file that is one page long, never unmapped; its words are only used as atomics.
        let shared = unsafe {
            let at = mmap(std::ptr::null_mut(), 4096, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &words, 0);
            &*at.unwrap().cast::<Shared>()
        };
        Group { file: open(dir.join("group.jsonl"), flags | OFlags::APPEND, mode).unwrap(), shared }
    }

    pub fn append(&self, line: &[u8]) {
        assert_eq!(rustix::io::write(&self.file, line).unwrap(), line.len());
        // At least as far as its own end.
        let end = self.len();
        loop {
            let round = self.shared.round.load(Ordering::Acquire);
            if self.shared.synced.load(Ordering::Acquire) >= end {
                return;
            }
            if self.shared.busy.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                let len = self.len();
                rustix::fs::fdatasync(self.file.as_fd()).unwrap();
                self.shared.synced.fetch_max(len, Ordering::AcqRel);
                self.shared.busy.store(0, Ordering::Release);
                self.shared.round.fetch_add(1, Ordering::AcqRel);
                futex::wake(&self.shared.round, futex::Flags::empty(), u32::MAX >> 1).unwrap();
                return;
            }
            futex::wait(&self.shared.round, futex::Flags::empty(), round, None).ok();
        }
    }

    fn len(&self) -> u64 {
        u64::try_from(rustix::fs::fstat(&self.file).unwrap().st_size).unwrap()
    }
}
