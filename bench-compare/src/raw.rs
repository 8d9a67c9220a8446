//! The bare system calls: what everything else is measured against.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Condvar, Mutex};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};

/// A lock file that stays open.
pub struct RawLock(OwnedFd);

impl RawLock {
    pub fn open(path: &Path) -> RawLock {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
        RawLock(open(path, flags, Mode::from_raw_mode(0o600)).unwrap())
    }

    pub fn lock(&self) {
        flock(&self.0, FlockOperation::LockExclusive).unwrap();
    }

    pub fn lock_shared(&self) {
        flock(&self.0, FlockOperation::LockShared).unwrap();
    }

    pub fn unlock(&self) {
        flock(&self.0, FlockOperation::Unlock).unwrap();
    }
}

/// A directory that stays open, in which files are replaced.
pub struct RawDir {
    fd: OwnedFd,
    next: u64,
}

impl RawDir {
    pub fn open(path: &Path) -> RawDir {
        let fd = open(path, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        RawDir { fd, next: 0 }
    }

    /// Temporary file, write, fsync, rename, fsync of the directory. Keeps nothing of the old file.
    pub fn replace(&mut self, name: &str, bytes: &[u8], durable: bool) {
        self.next += 1;
        let temp = format!(".{name}.{}.{}.tmp", std::process::id(), self.next);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.fd, &temp, flags, Mode::from_raw_mode(0o600)).unwrap();
        let mut left = bytes;
        while !left.is_empty() {
            left = &left[rustix::io::write(&file, left).unwrap()..];
        }
        if durable {
            rustix::fs::fsync(&file).unwrap();
        }
        drop(file);
        rustix::fs::renameat(&self.fd, &temp, &self.fd, name).unwrap();
        if durable {
            rustix::fs::fsync(&self.fd).unwrap();
        }
    }

    pub fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&self.fd, name, flags, Mode::empty())?);
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut &file, &mut bytes)?;
        Ok(bytes)
    }
}

/// A document of 1,000 records, about 200 KB.
pub fn document() -> Vec<u8> {
    let mut text = String::from("{\n  \"name\": \"bench\",\n  \"records\": [\n");
    for id in 0..RECORDS {
        let comma = if id + 1 < RECORDS { "," } else { "" };
        let note = format!("record number {id} of a document that many programs change, with some text to fill it");
        text += &format!(
            "    {{\n      \"id\": {id},\n      \"title\": \"Task {id}\",\n      \"count\": 0,\n      \"note\": \"{note}\"\n    }}{comma}\n"
        );
    }
    text += "  ]\n}\n";
    text.into_bytes()
}

pub const RECORDS: usize = 1000;

/// Where a record's count stands: its digits.
fn count_of(bytes: &[u8], record: usize) -> std::ops::Range<usize> {
    let id = format!("\"id\": {record},");
    let at = memchr::memmem::find(bytes, id.as_bytes()).unwrap();
    let from = at + memchr::memmem::find(&bytes[at..], b"\"count\": ").unwrap() + 9;
    from..from + bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count()
}

/// Adds one to a record's count, by changing just those bytes.
pub fn patch(bytes: &mut Vec<u8>, record: usize) {
    let digits = count_of(bytes, record);
    let count: u64 = std::str::from_utf8(&bytes[digits.clone()]).unwrap().parse().unwrap();
    bytes.splice(digits, (count + 1).to_string().into_bytes());
}

/// The reference of the targets: threads of one process whose updates are combined into one publish.
pub struct Combined {
    state: Mutex<CombinedState>,
    changed: Condvar,
    lock: RawLock,
    dir: Mutex<RawDir>,
}

#[derive(Default)]
struct CombinedState {
    /// Records to be counted up by the next batch.
    pending: Vec<usize>,
    /// Number of the batch that collects, and of the last one that is durable.
    batch: u64,
    done: u64,
    busy: bool,
}

impl Combined {
    pub fn open(dir: &Path) -> Combined {
        Combined {
            state: Mutex::new(CombinedState { batch: 1, ..CombinedState::default() }),
            changed: Condvar::new(),
            lock: RawLock::open(&dir.join("raw.lock")),
            dir: Mutex::new(RawDir::open(dir)),
        }
    }

    pub fn update(&self, record: usize) {
        let mut state = self.state.lock().unwrap();
        state.pending.push(record);
        let mine = state.batch;
        loop {
            if state.done >= mine {
                return;
            }
            if !state.busy {
                state.busy = true;
                let records = std::mem::take(&mut state.pending);
                let batch = state.batch;
                state.batch += 1;
                drop(state);
                self.publish(&records);
                state = self.state.lock().unwrap();
                state.busy = false;
                state.done = batch;
                self.changed.notify_all();
                continue;
            }
            state = self.changed.wait(state).unwrap();
        }
    }

    fn publish(&self, records: &[usize]) {
        let mut dir = self.dir.lock().unwrap();
        self.lock.lock();
        let mut bytes = dir.read("doc.json").unwrap();
        for record in records {
            patch(&mut bytes, *record);
        }
        dir.replace("doc.json", &bytes, true);
        self.lock.unlock();
    }
}
