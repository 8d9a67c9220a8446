//! Writes of several files on the real file system: what is promised to callers, and what is refused.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::fs;
use std::path::Path;

use filelatch::audit::{AuditFilter, VerifyOptions};
use filelatch::many::FileOutcome::{Removed, Unchanged, Written};
use filelatch::{Error, Expect, FileChange, Filelatch, LockOptions, ManyOptions, Wait, WriteOptions};
use tempfile::TempDir;

use super::support::{Worker, is_full, say};

fn workspace() -> (TempDir, Filelatch) {
    let dir = tempfile::tempdir().unwrap();
    let latch = Filelatch::builder().session("test").build();
    latch.init(dir.path()).unwrap();
    fs::create_dir(dir.path().join("d")).unwrap();
    (dir, latch)
}

fn intents(dir: &TempDir) -> Vec<String> {
    let read = fs::read_dir(dir.path().join(".filelatch/intents"));
    read.into_iter().flatten().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// P9: replace, create and remove in one call, over two folders; what is unchanged is left alone; nothing is left over.
#[test]
fn one_call() {
    let (dir, latch) = workspace();
    let path = |name: &str| dir.path().join(name);
    for name in ["a", "d/gone", "same"] {
        fs::write(path(name), "old").unwrap();
    }
    let changes = [
        FileChange::write(path("a"), "new"),
        FileChange::write(path("d/made"), "made").expect(Expect::Absent),
        FileChange::remove(path("d/gone")),
        FileChange::write(path("same"), "old"),
        FileChange::remove(path("never")),
    ];
    let applied = latch.apply_many(changes, &ManyOptions::new()).unwrap();
    let outcomes: Vec<_> = applied.files.iter().map(|file| file.outcome.clone()).collect();
    assert_eq!(outcomes, [Written, Written, Removed, Unchanged, Unchanged]);
    assert!(applied.intent.is_some() && !applied.is_partial());
    assert_eq!(fs::read(path("a")).unwrap(), b"new");
    assert_eq!(fs::read(path("d/made")).unwrap(), b"made");
    assert!(!path("d/gone").exists());
    assert_eq!(applied.files[0].version, Some(latch.file(path("a")).unwrap().read().unwrap().version()));
    assert_eq!(applied.files[2].version, None);
    assert_eq!(intents(&dir), Vec::<String>::new());
    // What was replaced and what was removed is kept, as after any write.
    let kept = |name: &str| latch.file(path(name)).unwrap().history().unwrap().len();
    assert_eq!((kept("a"), kept("d/gone")), (1, 1));
}

/// P9, VER-1: if one of the files is not what is expected, none is written, and no lock stays.
#[test]
fn one_conflict_refuses_all() {
    let (dir, latch) = workspace();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("a"), "old").unwrap();
    fs::write(path("b"), "there").unwrap();
    let changes = [FileChange::write(path("a"), "new"), FileChange::write(path("b"), "new").expect(Expect::Absent)];
    let refused = latch.apply_many(changes, &ManyOptions::new());
    let Err(Error::Conflict(conflict)) = refused else { panic!("{refused:?}") };
    assert_eq!(conflict.path, path("b"));
    assert_eq!(fs::read(path("a")).unwrap(), b"old");
    assert_eq!(intents(&dir), Vec::<String>::new());
    drop(latch.file(path("a")).unwrap().try_lock().unwrap());
}

/// P9, LOCK-12: the closure sees the newest contents in the order given; its error is passed on and nothing is written.
#[test]
fn closures() {
    let (dir, latch) = workspace();
    let path = |name: &str| dir.path().join(name);
    let paths = [path("z"), path("a")];
    fs::write(&paths[0], "7").unwrap();
    let failed: Result<_, Error> = latch.update_many(&paths, &ManyOptions::new(), |files| {
        files[1].write("1");
        files[0].remove();
        Err::<(), _>(Error::NotFound { path: "mine".into() })
    });
    assert!(matches!(failed, Err(Error::NotFound { path }) if path.ends_with("mine")));
    assert_eq!(fs::read(&paths[0]).unwrap(), b"7");
    let moved = latch.update_many(&paths, &ManyOptions::new(), |files| {
        assert_eq!((files[0].bytes(), files[1].bytes()), (Some(&b"7"[..]), None));
        assert_eq!(files[1].version(), None);
        let bytes = files[0].bytes().unwrap_or_default().to_vec();
        files[0].remove();
        files[1].write(bytes);
        Ok::<_, Error>(7)
    });
    assert_eq!(moved.unwrap().1, 7);
    assert!(!paths[0].exists());
    assert_eq!(fs::read(&paths[1]).unwrap(), b"7");
}

/// P9: without a workspace several files are refused before anything is written, and one is written; files of two workspaces are refused;
/// and so is a file that is named twice.
#[test]
fn refused() {
    let (dir, latch) = workspace();
    let outside = tempfile::tempdir().unwrap();
    let path = |name: &str| outside.path().join(name);
    let none = latch
        .apply_many([FileChange::write(path("a"), "new"), FileChange::write(path("b"), "new")], &ManyOptions::new());
    assert!(matches!(none, Err(Error::NoWorkspace { .. })), "{none:?}");
    assert!(!path("a").exists() && !path("b").exists());
    let one = latch.apply_many([FileChange::write(path("a"), "new")], &ManyOptions::new()).unwrap();
    assert_eq!((one.intent, fs::read(path("a")).unwrap()), (None, b"new".to_vec()));
    latch.init(outside.path()).unwrap();
    let two = [FileChange::write(path("b"), "new"), FileChange::write(dir.path().join("b"), "new")];
    let two = latch.apply_many(two, &ManyOptions::new()).unwrap_err();
    assert!(two.to_string().contains("another workspace"), "{two}");
    let twice = [FileChange::write(path("b"), "1"), FileChange::write(outside.path().join("./b"), "2")];
    let twice = latch.apply_many(twice, &ManyOptions::new()).unwrap_err();
    assert!(twice.to_string().contains("twice"), "{twice}");
    assert!(!path("b").exists());
}

/// P9, P1: a lock file of another program is never written, so nothing could be noted there: refused before anything is written.
#[test]
fn foreign_lock_file() {
    let (dir, latch) = workspace();
    fs::write(dir.path().join(".b.lock"), "").unwrap();
    let changes = ["a", "b"].map(|name| FileChange::write(dir.path().join(name), "new"));
    let refused = latch.apply_many(changes, &ManyOptions::new()).unwrap_err();
    assert!(refused.to_string().contains(".b.lock"), "{refused}");
    assert!(!dir.path().join("a").exists());
    assert_eq!(fs::read(dir.path().join(".b.lock")).unwrap(), b"");
    assert_eq!(intents(&dir), Vec::<String>::new());
}

/// P9, LOCK-14: somebody has one of the locks: no lock stays with us, and nothing is written.
#[test]
fn locked() {
    let (dir, latch) = workspace();
    let path = |name: &str| dir.path().join(name);
    let other = Filelatch::new();
    let guard = other.file(path("b")).unwrap().lock(&LockOptions::new()).unwrap();
    let changes = || ["a", "b"].map(|name| FileChange::write(path(name), "new"));
    let options = ManyOptions::new().lock(LockOptions::new().wait(Wait::No));
    let refused = latch.apply_many(changes(), &options);
    assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
    drop(other.file(path("a")).unwrap().try_lock().unwrap());
    guard.write(b"mine", &WriteOptions::new()).unwrap();
    drop(guard);
    latch.apply_many(changes(), &options).unwrap();
    assert_eq!(fs::read(path("b")).unwrap(), b"new");
}

/// A worker: adds its line to all of its files as one, again and again, and says which is in.
pub(crate) fn appends_to_all(dir: &Path, who: &str, names: &str) {
    let latch = Filelatch::builder().session(who).build();
    let paths: Vec<_> = names.split(',').map(|name| dir.join(name)).collect();
    loop {
        let applied = latch.update_many(&paths, &ManyOptions::new(), |files| {
            let next = own_lines(files[0].bytes().unwrap_or_default(), who).len();
            for file in files {
                let mut text = file.bytes().unwrap_or_default().to_vec();
                text.extend_from_slice(format!("{who} {next}\n").as_bytes());
                file.write(text);
            }
            Ok::<_, Error>(next)
        });
        say(applied.unwrap().1);
    }
}

fn own_lines(text: &[u8], who: &str) -> Vec<String> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    text.lines().filter(|line| line.starts_with(who)).map(str::to_owned).collect()
}

/// P9: three processes write overlapping sets of files, named in different orders, and are killed at random: whoever has the locks sees each
/// write in all of its files or in none, every acknowledged one once, and in order.
#[test]
fn killed_writers() {
    let (dir, latch) = workspace();
    let sets = [("a", "1,2,3"), ("b", "3,2,4"), ("c", "4,1")];
    let mut least = [0; 3];
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..if is_full() { 300 } else { 12 } {
        let start = |(who, names)| Worker::start(&["many-aloud", dir.path().to_str().unwrap(), who, names]);
        let mut workers = sets.map(start);
        for worker in &mut workers {
            worker.hear().unwrap();
        }
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        for _ in 0..random % 200_000 {
            std::hint::spin_loop();
        }
        for (worker, least) in workers.iter_mut().zip(&mut least) {
            worker.kill();
            while let Some(said) = worker.hear() {
                *least = said.parse::<usize>().unwrap() + 1;
            }
        }
        let paths = ["1", "2", "3", "4"].map(|name| dir.path().join(name));
        let guards = latch.lock_all_shared(paths.iter().map(|path| &**path), &LockOptions::new()).unwrap();
        for ((who, names), least) in sets.iter().zip(&mut least) {
            let lines = |name: &str| own_lines(&fs::read(dir.path().join(name)).unwrap(), who);
            let all: Vec<_> = names.split(',').map(lines).collect();
            assert!(all.iter().all(|lines| *lines == all[0]), "round {round}: {who} is in some of its files: {all:?}");
            let wanted: Vec<_> = (0..all[0].len()).map(|n| format!("{who} {n}")).collect();
            assert_eq!(all[0], wanted, "round {round}");
            assert!(all[0].len() >= *least, "round {round}: {who}: acknowledged {least}, found {}", all[0].len());
            *least = all[0].len();
        }
        drop(guards);
    }
    let end = ["1", "2"].map(|name| FileChange::write(dir.path().join(name), "end"));
    latch.apply_many(end, &ManyOptions::new()).unwrap();
    assert_eq!(intents(&dir), Vec::<String>::new());
}

/// P9, KEEP-2: the audit log says what belongs together, and who completed what.
#[test]
fn audited() {
    let (dir, latch) = workspace();
    fs::write(dir.path().join("gone"), "old").unwrap();
    let changes = [FileChange::write(dir.path().join("a"), "new"), FileChange::remove(dir.path().join("gone"))];
    let intent = latch.apply_many(changes, &ManyOptions::new()).unwrap().intent.unwrap();
    let audit = latch.audit(dir.path()).unwrap();
    let found = audit.records(&AuditFilter::default()).unwrap().records;
    let records: Vec<_> = found.iter().map(|r| (r.event().to_owned(), r.text("intent").map(str::to_owned))).collect();
    let ours = |event: &str| records.contains(&(event.to_owned(), Some(intent.clone())));
    assert!(ours("write") && ours("remove"), "{records:?}");
    assert!(audit.verify(&VerifyOptions::new()).unwrap().problems.is_empty());
}
