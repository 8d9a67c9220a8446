//! A root under attack: directories that become links to other places while files are read, written and listed through it (SERVE-7).
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use filelatch::{Durability, Filelatch, LockOptions, Wait, WriteOptions};
use rustix::fs::{CWD, RenameFlags};
use tempfile::tempdir;

use super::support::*;

const SWAPS: usize = 10_000;
const SECRET: &[u8] = b"what nobody inside may see";

/// Everything below a directory, with contents and times of change.
fn picture(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        let bytes = if meta.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        if meta.is_dir() {
            all.extend(picture(&path));
        }
        all.insert(path, (bytes, meta.modified().unwrap()));
    }
    all
}

fn swap(a: &Path, b: &Path) {
    rustix::fs::renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).unwrap();
}

/// SERVE-7: 10,000 times a directory and a link to the outside change places, at two depths, and so do a file and a link, while threads
/// read, write, lock, list and make directories through the root. Nothing outside is read or changed.
#[test]
fn nothing_leaves() {
    let tmp = tempdir().unwrap();
    let (inside, outside) = (tmp.path().join("in"), tmp.path().join("out"));
    fs::create_dir_all(inside.join("d/e")).unwrap();
    fs::create_dir_all(outside.join("e/.filelatch/sessions")).unwrap();
    fs::create_dir_all(outside.join(".filelatch/sessions")).unwrap();
    Filelatch::new().init(&inside).unwrap();
    for place in [&inside, &outside] {
        let bytes = if *place == inside { b"inside" } else { SECRET };
        for name in ["f", "e/f"] {
            fs::write(if *place == inside { place.join("d").join(name) } else { place.join(name) }, bytes).unwrap();
        }
    }
    symlink("../out", inside.join("bad-d")).unwrap();
    symlink("../../out/e", inside.join("d/bad-e")).unwrap();
    symlink("../../out/f", inside.join("d/bad-f")).unwrap();
    let before = picture(&outside);

    let root = Filelatch::new().root(&inside).unwrap();
    let (swaps, over, done) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicUsize::new(0));
    let wanted = if is_full() { 10 * SWAPS } else { SWAPS };
    std::thread::scope(|scope| {
        let (root, swaps, over, done, inside) = (&root, &swaps, &over, &done, &inside);
        scope.spawn(move || {
            let pairs =
                [("d", "bad-d"), ("d/e", "d/bad-e"), ("d/f", "d/bad-f")].map(|(a, b)| (inside.join(a), inside.join(b)));
            for n in 0..wanted {
                let (a, b) = &pairs[n % pairs.len()];
                // There and back, so that each name is what it should be half of the time.
                swap(a, b);
                if n % 7 == 0 {
                    std::thread::yield_now();
                }
                swap(a, b);
                swaps.fetch_add(1, Ordering::Relaxed);
            }
            over.store(true, Ordering::Relaxed);
        });
        for n in 0..4_usize {
            scope.spawn(move || {
                let write = WriteOptions::new()
                    .durability(Durability::None)
                    .lock(LockOptions::new().wait(Wait::For(Duration::from_millis(50))));
                while !over.load(Ordering::Relaxed) {
                    for path in ["d/f", "d/e/f", "bad-d/f", "bad-d/e/f", "d/bad-e/f", "d/bad-f", "d/e/new"] {
                        let file =
                            if n % 2 == 0 { root.file(path) } else { root.file_with_dirs(format!("d/e/made/{n}/f")) };
                        let Ok(file) = file else { continue };
                        if let Ok(Some(read)) = file.try_read() {
                            assert_ne!(read.bytes(), SECRET, "{path}");
                        }
                        if file.write(format!("by {n}").as_bytes(), &write).is_ok() {
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                        file.lock_state().ok();
                        file.history().ok();
                    }
                    let listed = root.list("", true, 1000, |_| true).unwrap();
                    assert!(listed.files.iter().all(|file| file.size != SECRET.len() as u64), "{listed:?}");
                }
            });
        }
    });
    assert_eq!(swaps.load(Ordering::Relaxed), wanted);
    assert!(done.load(Ordering::Relaxed) > 100, "most writes found their directory");
    assert_eq!(picture(&outside), before);
}

/// SERVE-4: a tree of 20,000 files is listed whole, in order.
#[test]
fn many_files() {
    let tmp = tempdir().unwrap();
    for dir in 0..100 {
        let dir = tmp.path().join(format!("{dir:02}"));
        fs::create_dir(&dir).unwrap();
        (0..200).for_each(|n| fs::write(dir.join(format!("{n:03}")), b"").unwrap());
    }
    let root = Filelatch::new().root(tmp.path()).unwrap();
    let all = root.list("", true, 20_000, |_| true).unwrap();
    assert_eq!((all.files.len(), all.truncated), (20_000, false));
    assert!(all.files.is_sorted_by(|a, b| a.path < b.path));
    let fewer = root.list("", true, 19_999, |_| true).unwrap();
    assert_eq!((fewer.files.len(), fewer.truncated), (19_999, true));
}
