//! A program that ignores every lock, as fast as it can (VER-11).
//!
//! # The oracle
//! Everything is numbered, and nobody but the foreign program ever takes anything out of the file: updates only append. What the
//! foreign program destroys it knows exactly: it swaps its file in (renameat2 `EXCHANGE`) and reads what came out, or it reads
//! through the descriptor that it then writes through. So each of its finished writes, and each acknowledged update, must be
//! among what it destroyed, in the file at the end, or in a file that was kept.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use filelatch::{Durability, Error, Expect, WriteOptions};
use rustix::fs::{CWD, RenameFlags};
use tempfile::tempdir;

use super::support::*;

const HOSTILE_WRITES: u32 = 20_000;
const UPDATES: usize = 400;

/// The numbers in a content: `H7` of the foreign program, `U7` of updates.
fn note(content: &[u8], into: &mut HashSet<String>) {
    for word in content.split(|b| *b == b'\n').filter(|w| !w.is_empty()) {
        into.insert(String::from_utf8_lossy(word).into_owned());
    }
}

/// Random enough, and the same each time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

fn read_all(file: &fs::File) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap() + 1];
    let n = file.read_at(&mut bytes, 0).unwrap();
    bytes.truncate(n);
    bytes
}

/// One finished write of the foreign program; what it destroyed goes into `destroyed`.
fn strike(dir: &Path, path: &Path, content: &[u8], random: &mut Random, destroyed: &mut HashSet<String>) {
    match random.below(4) {
        0 | 1 => {
            let mine = dir.join("hostile");
            fs::write(&mine, content).unwrap();
            rustix::fs::renameat_with(CWD, &mine, CWD, path, RenameFlags::EXCHANGE).unwrap();
            note(&fs::read(&mine).unwrap(), destroyed);
            fs::remove_file(&mine).unwrap();
        }
        how => {
            let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
            note(&read_all(&file), destroyed);
            if how == 2 {
                // As an editor: cut, then write.
                file.set_len(0).unwrap();
                std::thread::yield_now();
                file.write_all_at(content, 0).unwrap();
            } else {
                // As a careless program: over the old bytes, then cut to length.
                file.write_all_at(content, 0).unwrap();
                file.set_len(content.len() as u64).unwrap();
            }
        }
    }
}

/// VER-11, VER-7: 20,000 foreign writes against updates from two engines (threads of one combine) and comparing writes from a
/// third: nothing finished is lost, nothing acknowledged is lost.
#[test]
fn nothing_finished_is_lost() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "start\n").unwrap();
    let (over, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
    let engines = [engine(), engine(), engine()];
    let began = Instant::now();
    let (mut found, wanted) = std::thread::scope(|scope| {
        let hostile = scope.spawn(|| {
            let mut random = Random(0x1234_5678_9abc_def1);
            let mut destroyed = HashSet::new();
            let mut n = 0;
            while n < HOSTILE_WRITES || acknowledged.load(Ordering::Relaxed) < UPDATES {
                strike(dir.path(), &path, format!("H{n}\n").as_bytes(), &mut random, &mut destroyed);
                n += 1;
                if n % 8 == 0 {
                    // A moment for the others, or they would never get through.
                    std::thread::park_timeout(Duration::from_micros(random.below(300)));
                }
                if began.elapsed() > PATIENCE {
                    break;
                }
            }
            over.store(true, Ordering::Relaxed);
            (destroyed, n)
        });
        let writers: Vec<_> = (0..4)
            .map(|t| {
                let file = engines[[0, 0, 1, 2][t]].file(&path).unwrap();
                let (over, acknowledged) = (&over, &acknowledged);
                scope.spawn(move || {
                    let mut mine = Vec::new();
                    for i in 0.. {
                        if over.load(Ordering::Relaxed) {
                            break;
                        }
                        let token = format!("U{t}.{i}");
                        let appended = |old: &[u8]| [old, token.as_bytes(), b"\n"].concat();
                        let options = WriteOptions::new().durability(Durability::None);
                        let result = if t == 3 {
                            let before = file.read().unwrap();
                            let options = options.expect(Expect::Version(before.version()));
                            file.write(&appended(before.bytes()), &options)
                        } else {
                            file.update_bytes(&options, |old| Ok::<_, Error>(Some(appended(old.unwrap()))))
                        };
                        match result {
                            Ok(_) => {
                                acknowledged.fetch_add(1, Ordering::Relaxed);
                                mine.push(token);
                            }
                            Err(Error::Conflict(_)) => {}
                            Err(e) => panic!("{e}"),
                        }
                    }
                    mine
                })
            })
            .collect();
        let (destroyed, n) = hostile.join().unwrap();
        let mut wanted: Vec<String> = (0..n).map(|i| format!("H{i}")).collect();
        for writer in writers {
            wanted.extend(writer.join().unwrap());
        }
        (destroyed, wanted)
    });
    let mut kept = 0;
    for entry in fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "lock") {
            note(&fs::read(&path).unwrap(), &mut found);
            kept += 1;
        }
    }
    let lost: Vec<_> = wanted.iter().filter(|w| !found.contains(*w)).collect();
    let updates = acknowledged.load(Ordering::Relaxed);
    println!(
        "{} foreign writes, {updates} updates, {} files kept, {:?}",
        wanted.len() - updates,
        kept - 1,
        began.elapsed()
    );
    assert!(lost.is_empty(), "{} of {} lost: {:?}", lost.len(), wanted.len(), &lost[..lost.len().min(20)]);
    assert!(updates >= UPDATES, "only {updates} updates got through");
}
