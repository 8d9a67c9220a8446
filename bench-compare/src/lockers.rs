//! The contenders, each behind the same few verbs.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use filelatch::{Error, Filelatch, Guard, LatchFile, LockOptions, SharedGuard, WriteOptions};

use crate::raw::{Combined, RawDir, RawLock, patch};

/// What one thread of a contender does on `doc.json` of a directory.
pub trait Locker: Send {
    fn lock(&mut self);
    /// Only of those that take part in contests of readers.
    fn lock_shared(&mut self) {
        panic!("no contest of readers");
    }
    fn unlock(&mut self);
    /// Adds one to a record's count, durably.
    fn update(&mut self, record: usize);
}

type Make = Box<dyn Fn() -> Box<dyn Locker> + Send + Sync>;

/// Contenders in this language. The others are scripts.
pub const NAMES: [&str; 5] = ["filelatch", "raw", "combined", "naive", "fs4"];

/// Makes the parts of a contender for threads of this process.
pub fn contender(name: &str, dir: &Path) -> Make {
    let dir = dir.to_owned();
    match name {
        "filelatch" => {
            let file = Filelatch::new().file(dir.join("doc.json")).unwrap();
            Box::new(move || Box::new(Latch { file: file.clone(), guard: None, shared: None }))
        }
        "raw" => {
            Box::new(move || Box::new(Raw { lock: RawLock::open(&dir.join("raw.lock")), dir: RawDir::open(&dir) }))
        }
        "combined" => {
            let shared = Arc::new(Combined::open(&dir));
            Box::new(move || Box::new(Shared(Arc::clone(&shared))))
        }
        "naive" => Box::new(move || Box::new(Naive { dir: dir.clone(), held: None })),
        "fs4" => Box::new(move || {
            Box::new(Fs4 { file: File::create(dir.join("fs4.lock")).unwrap(), dir: RawDir::open(&dir) })
        }),
        other => panic!("no contender `{other}`"),
    }
}

struct Latch {
    file: LatchFile,
    guard: Option<Guard>,
    shared: Option<SharedGuard>,
}

impl Locker for Latch {
    fn lock(&mut self) {
        // With the default timeout of 30 s.
        self.guard = Some(self.file.lock(&LockOptions::new()).unwrap());
    }

    fn lock_shared(&mut self) {
        self.shared = Some(self.file.lock_shared(&LockOptions::new()).unwrap());
    }

    fn unlock(&mut self) {
        drop(self.shared.take());
        drop(self.guard.take());
    }

    fn update(&mut self, record: usize) {
        let pointer = format!("/records/{record}/count");
        self.file
            .update_document(&WriteOptions::new(), |doc| {
                let wrong = |e: filelatch::doc::DocError| Error::Document { path: PathBuf::new(), source: e };
                let count = doc.get(&pointer).map_err(wrong)?.and_then(|v| v.as_u64()).unwrap();
                doc.set(&pointer, (count + 1).into()).map_err(wrong)
            })
            .unwrap();
    }
}

struct Raw {
    lock: RawLock,
    dir: RawDir,
}

impl Locker for Raw {
    fn lock(&mut self) {
        self.lock.lock();
    }

    fn lock_shared(&mut self) {
        self.lock.lock_shared();
    }

    fn unlock(&mut self) {
        self.lock.unlock();
    }

    fn update(&mut self, record: usize) {
        self.lock.lock();
        let mut bytes = self.dir.read("doc.json").unwrap();
        patch(&mut bytes, record);
        self.dir.replace("doc.json", &bytes, true);
        self.lock.unlock();
    }
}

struct Shared(Arc<Combined>);

impl Locker for Shared {
    fn lock(&mut self) {
        panic!("the combining reference takes no part in lock contests");
    }

    fn unlock(&mut self) {}

    fn update(&mut self, record: usize) {
        self.0.update(record);
    }
}

/// What people write: `File::lock` on a lock file, `serde_json`, `tempfile`, one fsync.
struct Naive {
    dir: PathBuf,
    held: Option<File>,
}

impl Locker for Naive {
    fn lock(&mut self) {
        let file = File::create(self.dir.join("naive.lock")).unwrap();
        file.lock().unwrap();
        self.held = Some(file);
    }

    fn unlock(&mut self) {
        drop(self.held.take());
    }

    fn update(&mut self, record: usize) {
        self.lock();
        let path = self.dir.join("doc.json");
        let mut value: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let count = &mut value["records"][record]["count"];
        *count = (count.as_u64().unwrap() + 1).into();
        let mut temp = tempfile::NamedTempFile::new_in(&self.dir).unwrap();
        temp.write_all(&serde_json::to_vec_pretty(&value).unwrap()).unwrap();
        temp.as_file().sync_all().unwrap();
        temp.persist(&path).unwrap();
        self.unlock();
    }
}

struct Fs4 {
    file: File,
    dir: RawDir,
}

impl Locker for Fs4 {
    fn lock(&mut self) {
        fs4::FileExt::lock(&self.file).unwrap();
    }

    fn unlock(&mut self) {
        fs4::FileExt::unlock(&self.file).unwrap();
    }

    fn update(&mut self, record: usize) {
        self.lock();
        let mut bytes = self.dir.read("doc.json").unwrap();
        patch(&mut bytes, record);
        self.dir.replace("doc.json", &bytes, true);
        self.unlock();
    }
}
