//! A new version takes the old one's place: whole, kept, tidied up.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::fs;
use std::io::Write;
#[cfg(target_os = "linux")]
use std::os::unix::ffi::OsStrExt;
#[cfg(target_os = "linux")]
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(target_os = "linux")]
use filelatch::Author;
use filelatch::{
    Durability, Error, Expect, Filelatch, HardLinks, LatchFile, LockOptions, Notice, Outcome, Policy, Version,
    WriteOptions,
};
use tempfile::tempdir;

use super::support::*;

const KILLS: u64 = if cfg!(target_os = "linux") { 500 } else { 50 };
const IN_PLACE_KILLS: u64 = if cfg!(target_os = "linux") { 100 } else { 20 };

/// What lies before the record in a lock file: the byte that is locked, where nobody else can read such a byte.
const LOCKED: &str = if cfg!(windows) { "\n" } else { "" };

fn quick<'a>() -> WriteOptions<'a> {
    WriteOptions::new().durability(Durability::None)
}

pub(crate) fn in_place_engine() -> Filelatch {
    let mut policy = Policy::default();
    policy.hard_links = HardLinks::InPlace;
    Filelatch::builder().without_workspaces().defaults(policy).build()
}

/// Content that shows any mix: one number, again and again.
fn pattern(n: u64, words: usize) -> Vec<u8> {
    n.to_le_bytes().repeat(words)
}

fn number_of(content: &[u8]) -> u64 {
    let words: Vec<_> = content.chunks(8).collect();
    assert!(!words.is_empty() && words.iter().all(|w| *w == words[0]), "a mix, or half a version");
    u64::from_le_bytes(words[0].try_into().unwrap())
}

/// A worker that writes one version after the other and acknowledges each.
pub(crate) fn write_loop(path: &Path, words: &str, in_place: bool) {
    let engine = if in_place { in_place_engine() } else { engine() };
    let file = engine.file(path).unwrap();
    let words = words.parse().unwrap();
    let mut n = file.lock_shared(&LockOptions::new()).unwrap().read().map_or(0, |s| number_of(s.bytes()));
    loop {
        n += 1;
        file.write(&pattern(n, words), &quick()).unwrap();
        say(n);
    }
}

/// ATOM-1: readers without any lock see one version or the next, never a mix, while another process writes.
#[test]
fn readers_see_no_mix() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, pattern(0, 1 << 17)).unwrap();
    let mut writer = Worker::start(&["write-loop", path.to_str().unwrap(), "131072"]);
    let here = file(&path);
    let (mut last, mut versions, mut reads) = (0, 0, 0);
    while versions < 100 || reads < 300 {
        let n =
            if reads % 2 == 0 { number_of(&fs::read(&path).unwrap()) } else { number_of(here.read().unwrap().bytes()) };
        assert!(n >= last, "an older version came back");
        versions += u64::from(n > last);
        last = n;
        reads += 1;
    }
    writer.kill();
}

/// ATOM-1, ATOM-4: a writer killed at any moment leaves one of its versions, the acknowledged one or a newer; the next writer
/// sweeps what it left, and nothing that only looks like it.
#[test]
fn killed_writers() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let lookalikes = [".a.tmp", ".a.12-xyz.tmp", ".a.4711-0123456789abcdef.tmp", ".b.4711-0123456789abcdef.tmp"];
    for name in lookalikes {
        fs::write(dir.path().join(name), "somebody's").unwrap();
    }
    kill_writers(&path, "512", KILLS);
    file(&path).write(b"end", &quick()).unwrap();
    let mut known = lookalikes.to_vec();
    known.push("a");
    // Where there are no attributes nobody can tell what a dead writer left from somebody's only copy: it stays.
    if !cfg!(windows) {
        assert_eq!(litter(dir.path(), &known), [""; 0]);
    }
    for name in lookalikes {
        assert_eq!(fs::read(dir.path().join(name)).unwrap(), b"somebody's", "{name}");
    }
}

/// ATOM-1, P5.9: a writer in place killed at any moment leaves one version to whoever locks.
#[test]
fn killed_writers_in_place() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, pattern(0, 40_000)).unwrap();
    fs::hard_link(&path, dir.path().join("b")).unwrap();
    kill_writers(&path, "40000", IN_PLACE_KILLS);
    in_place_engine().file(&path).unwrap().write(b"end", &quick()).unwrap();
    assert_eq!(fs::read(dir.path().join("b")).unwrap(), b"end");
    assert_eq!(litter(dir.path(), &["a", "b"]), [""; 0]);
}

fn kill_writers(path: &Path, words: &str, kills: u64) {
    let role = if words == "512" { "write-loop" } else { "write-loop-in-place" };
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut least = 0;
    for _ in 0..kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut worker = Worker::start(&[role, path.to_str().unwrap(), words]);
        for _ in 0..=random % 4 {
            least = worker.hear().unwrap().parse().unwrap();
        }
        // Somewhere within the next write.
        for _ in 0..random % 30_000 {
            std::hint::spin_loop();
        }
        worker.kill();
        while let Some(n) = worker.hear() {
            least = n.parse().unwrap();
        }
        let guard = file(path).lock_shared(&LockOptions::new()).unwrap();
        let found = number_of(guard.read().unwrap().bytes());
        assert!(found == least || found == least + 1, "acknowledged {least}, found {found}");
        least = found;
    }
}

/// ATOM-3: mode, owner, access control list and attributes stay; the attribution is renewed.
#[cfg(target_os = "linux")]
#[test]
fn metadata_stays() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "old").unwrap();
    let opened = fs::File::open(&path).unwrap();
    let xattrs = rustix::fs::fsetxattr(&opened, "user.mine", b"value", rustix::fs::XattrFlags::empty()).is_ok();
    if is_root() {
        std::os::unix::fs::chown(&path, Some(1234), Some(5678)).unwrap();
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let acl = std::process::Command::new("setfacl").args(["-m", "u:4242:rw"]).arg(&path).status();
    let acl = acl.is_ok_and(|status| status.success());
    let facl = || std::process::Command::new("getfacl").arg("-cpn").arg(&path).output().map(|o| o.stdout).ok();
    let before = (fs::metadata(&path).unwrap(), acl.then(facl));
    let written = file(&path).write(b"new", &WriteOptions::new()).unwrap();
    assert_eq!(written.notices, []);
    let after = (fs::metadata(&path).unwrap(), acl.then(facl));
    assert_ne!(before.0.ino(), after.0.ino(), "not replaced");
    assert_eq!(
        (before.0.mode(), before.0.uid(), before.0.gid(), before.1),
        (after.0.mode(), after.0.uid(), after.0.gid(), after.1)
    );
    if xattrs {
        let mut buf = [0; 100];
        let opened = fs::File::open(&path).unwrap();
        let n = rustix::fs::fgetxattr(&opened, "user.mine", &mut buf[..]).unwrap();
        assert_eq!(&buf[..n], b"value");
        let n = rustix::fs::fgetxattr(&opened, "user.filelatch", &mut buf[..]).unwrap();
        assert!(n <= 60 && buf[..n].starts_with(b"1 1 "), "{:?}", String::from_utf8_lossy(&buf[..n]));
        assert!(matches!(file(&path).read().unwrap().author(), Author::Session(_)));
        fs::write(&path, "by somebody").unwrap();
        assert_eq!(file(&path).read().unwrap().author(), &Author::External);
    }
}

/// ATOM-3: a set-id bit is only for the owner it was given by.
#[cfg(target_os = "linux")]
#[test]
fn mode_of_a_new_file_obeys_the_umask() {
    let dir = tempdir().unwrap();
    let (path, plain) = (dir.path().join("a"), dir.path().join("plain"));
    fs::write(&plain, "x").unwrap();
    file(&path).write(b"x", &quick()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode(), fs::metadata(&plain).unwrap().mode());
}

/// ATOM-3: the target of a link is replaced, the link stays.
#[cfg(target_os = "linux")]
#[test]
fn symbolic_links_stay() {
    let dir = tempdir().unwrap();
    fs::create_dir(dir.path().join("real")).unwrap();
    fs::write(dir.path().join("real/a"), "old").unwrap();
    symlink("real/a", dir.path().join("one")).unwrap();
    symlink("one", dir.path().join("two")).unwrap();
    file(&dir.path().join("two")).write(b"new", &quick()).unwrap();
    assert_eq!(fs::read_link(dir.path().join("two")).unwrap(), Path::new("one"));
    assert_eq!(fs::read(dir.path().join("real/a")).unwrap(), b"new");
    assert_eq!(litter(dir.path(), &["one", "two", "real"]), [""; 0]);
    assert_eq!(litter(&dir.path().join("real"), &["a"]), [""; 0]);
}

/// ATOM-3: other names of a file are noticed; by policy they see the change.
#[test]
fn hard_links() {
    let dir = tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    fs::write(&a, "old").unwrap();
    fs::hard_link(&a, &b).unwrap();
    let written = file(&a).write(b"new", &WriteOptions::new()).unwrap();
    let swap = if cfg!(windows) { &[Notice::NoSwap][..] } else { &[] };
    assert_eq!(written.notices, [&[Notice::HardLinks { others: 1 }], swap].concat());
    assert_eq!((fs::read(&a).unwrap(), fs::read(&b).unwrap()), (b"new".to_vec(), b"old".to_vec()));

    fs::remove_file(&b).unwrap();
    fs::hard_link(&a, &b).unwrap();
    let in_place = in_place_engine().file(&a).unwrap();
    for content in [&b"longer than it was"[..], b"short", b""] {
        let written = in_place.write(content, &WriteOptions::new()).unwrap();
        assert_eq!(written.notices, [Notice::InPlace]);
        assert_eq!(fs::read(&b).unwrap(), content);
    }
    assert_eq!(litter(dir.path(), &["a", "b"]), [""; 0]);
    assert!(!fs::read_to_string(in_place.lock_path()).unwrap().contains("intent"));
}

/// What a holder that died in the middle of a write in place leaves: `data` in the file, the journal, the record.
fn unfinished(dir: &Path, data: &str, journal: Option<&str>, hash_of: &str, kind: &str) -> LatchFile {
    let path = dir.join("a");
    fs::write(&path, data).unwrap();
    let name = ".a.77-0123456789abcdef.tmp";
    fs::remove_file(dir.join(name)).ok();
    if let Some(journal) = journal {
        fs::write(dir.join(name), journal).unwrap();
    }
    let hash = Version::of(hash_of.as_bytes());
    let intent = format!("{{\"kind\":\"{kind}\",\"journal\":\"{name}\",\"hash\":\"{hash}\"}}");
    let record = format!("{LOCKED}{{\"v\":1,\"mode\":\"flock\",\"pid\":77,\"host\":\"h\",\"intent\":{intent}}}\n");
    fs::write(dir.join(".a.lock"), record).unwrap();
    file(&path)
}

/// P5.9, P9: whoever locks next, for reading or writing, first completes what a dead holder left unfinished.
#[test]
fn unfinished_writes_are_completed() {
    type Use = fn(&LatchFile);
    let uses: [Use; 5] = [
        |f| assert_eq!(f.lock_shared(&no_wait()).unwrap().read().unwrap().bytes(), b"the new text"),
        |f| assert_eq!(f.lock(&no_wait()).unwrap().read().unwrap().bytes(), b"the new text"),
        |f| drop(f.write(b"the new text", &WriteOptions::new()).unwrap()),
        |f| {
            f.update_bytes(&WriteOptions::new(), |old| {
                assert_eq!(old, Some(&b"the new text"[..]));
                Ok::<_, Error>(None)
            })
            .map(drop)
            .unwrap();
        },
        |f| drop(f.writer(&WriteOptions::new()).unwrap().commit(&LockOptions::new()).unwrap()),
    ];
    for (i, at_work) in uses.into_iter().enumerate() {
        for data in ["the old", "the new", "the new text"] {
            let dir = tempdir().unwrap();
            let file = unfinished(dir.path(), data, Some("the new text"), "the new text", "in-place");
            at_work(&file);
            let expected: &[u8] = if i == 4 { b"" } else { b"the new text" };
            assert_eq!(fs::read(file.path()).unwrap(), expected, "use {i} of {data}");
            assert_eq!(litter(dir.path(), &["a"]), [""; 0]);
            assert!(!fs::read_to_string(file.lock_path()).unwrap().contains("intent"));
        }
    }
}

/// P9: what can't be completed stops everybody, and changes nothing; a journal that is gone because the write was complete does
/// not.
#[test]
fn unfinished_writes_that_cannot_be_completed() {
    let cases = [
        (Some("damaged"), "in-place", "is damaged"),
        (None, "in-place", "can't be read"),
        (Some("the new text"), "of-the-future", "not known to this version"),
    ];
    for (journal, kind, says) in cases {
        let dir = tempdir().unwrap();
        let file = unfinished(dir.path(), "the new", journal, "the new text", kind);
        for _ in 0..2 {
            let errors = [
                file.lock(&no_wait()).map(drop).unwrap_err(),
                file.lock_shared(&no_wait()).map(drop).unwrap_err(),
                file.write(b"x", &WriteOptions::new()).map(drop).unwrap_err(),
            ];
            for error in errors {
                assert!(error.code() == "unrecovered" && error.to_string().contains(says), "{error}");
            }
        }
        assert_eq!(fs::read(file.path()).unwrap(), b"the new");
        assert!(fs::read_to_string(file.lock_path()).unwrap().contains("intent"));
    }
    let dir = tempdir().unwrap();
    let file = unfinished(dir.path(), "the new text", None, "the new text", "in-place");
    drop(file.lock_shared(&no_wait()).unwrap());
    assert!(!fs::read_to_string(file.lock_path()).unwrap().contains("intent"));
}

/// ATOM-5: the streaming writer publishes on commit only, leaves nothing when dropped, and comes back when the lock or the
/// expectation refuses it.
#[test]
fn streaming() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let here = file(&path);
    fs::write(&path, "old").unwrap();
    let mut writer = here.writer(&WriteOptions::new()).unwrap();
    for i in 0..1000 {
        writeln!(writer, "line {i}").unwrap();
    }
    assert_eq!(fs::read(&path).unwrap(), b"old");
    drop(writer);
    assert_eq!(litter(dir.path(), &["a"]), [""; 0]);

    let mut writer = here.writer(&WriteOptions::new()).unwrap();
    writer.write_all(b"new").unwrap();
    let held = file(&path).try_lock().unwrap();
    let failed = writer.commit(&no_wait()).unwrap_err();
    assert!(matches!(failed.error, Error::Locked { .. }));
    drop(held);
    let mut writer = failed.writer.unwrap();
    writer.write_all(b"er").unwrap();
    let written = writer.commit(&LockOptions::new()).unwrap();
    assert_eq!((written.version, fs::read(&path).unwrap()), (Some(Version::of(b"newer")), b"newer".to_vec()));

    let expect = WriteOptions::new().expect(Expect::Version(Version::of(b"newer")));
    let mut writer = here.writer(&expect).unwrap();
    writer.write_all(b"mine").unwrap();
    fs::write(&path, "theirs").unwrap();
    let failed = writer.commit(&LockOptions::new()).unwrap_err();
    assert!(matches!(failed.error, Error::Conflict(_)) && failed.writer.is_some());
    assert_eq!(fs::read(&path).unwrap(), b"theirs");
    drop(failed);
    assert_eq!(litter(dir.path(), &["a"]), [""; 0]);
    // While somebody writes a stream, another writer's sweep leaves its temporary file alone.
    let mut writer = here.writer(&WriteOptions::new()).unwrap();
    writer.write_all(b"streamed").unwrap();
    file(&path).write(b"swept", &WriteOptions::new()).unwrap();
    writer.commit(&LockOptions::new()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"streamed");
}

/// VER-1: of many that create the same file at once, threads and processes, exactly one wins, and its content stands.
#[test]
fn one_creator_wins() {
    for _ in 0..5 {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a");
        let mut workers: Vec<_> = (0..8)
            .map(|i| {
                let mut worker = Worker::start(&["create", path.to_str().unwrap(), &format!("process {i}")]);
                worker.expect("ready");
                worker
            })
            .collect();
        let (start, engine) = (Barrier::new(9), engine());
        let mut winners: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|i| {
                    let (path, start, engine) = (&path, &start, &engine);
                    scope.spawn(move || {
                        let me = format!("thread {i}");
                        // Some share an engine and so a batch, some do not.
                        let file = if i < 4 { engine.file(path).unwrap() } else { file(path) };
                        start.wait();
                        match file.write(me.as_bytes(), &quick().expect(Expect::Absent)) {
                            Ok(_) => Some(me),
                            Err(Error::Conflict(_)) => None,
                            Err(e) => panic!("{e}"),
                        }
                    })
                })
                .collect();
            start.wait();
            for worker in &mut workers {
                worker.tell("go");
            }
            threads.into_iter().filter_map(|t| t.join().unwrap()).collect()
        });
        for (i, mut worker) in workers.into_iter().enumerate() {
            match worker.hear().unwrap().as_str() {
                "won" => winners.push(format!("process {i}")),
                other => assert_eq!(other, "conflict"),
            }
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), winners[0]);
    }
}

/// LOCK-19, ATOM-6: names of 255 bytes and names that are no text work like any other.
#[cfg(target_os = "linux")]
#[test]
fn odd_names() {
    let dir = tempdir().unwrap();
    let long = "x".repeat(255);
    let raw = std::ffi::OsStr::from_bytes(b"caf\xe9 \xff\n");
    for name in [std::ffi::OsStr::new(&long), raw, ".hidden".as_ref(), "-".as_ref(), "a b%:".as_ref()] {
        let path = dir.path().join(name);
        let here = file(&path);
        here.write(b"1", &WriteOptions::new().expect(Expect::Absent)).unwrap();
        here.write(b"2", &WriteOptions::new()).unwrap();
        let guard = here.try_lock().unwrap();
        assert!(file(&path).try_lock().is_err());
        guard.write(b"3", &WriteOptions::new()).unwrap();
        drop(guard);
        assert_eq!(fs::read(&path).unwrap(), b"3");
        fs::remove_file(&path).unwrap();
        fs::remove_file(here.lock_path()).unwrap();
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// ATOM-4: what is no regular file is refused, by name, and stays.
#[cfg(target_os = "linux")]
#[test]
fn no_regular_file() {
    let dir = tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)
        .unwrap();
    let socket = dir.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for path in [&fifo, &socket] {
        let here = file(path);
        for error in [
            here.read().map(drop).unwrap_err(),
            here.write(b"x", &WriteOptions::new()).map(drop).unwrap_err(),
            here.writer(&WriteOptions::new()).map(drop).unwrap_err(),
        ] {
            assert!(error.code() == "not-a-file", "{error}");
        }
    }
    // A directory that comes to be after the handle.
    let path = dir.path().join("a");
    let here = file(&path);
    fs::create_dir(&path).unwrap();
    assert_eq!(here.read().map(drop).unwrap_err().code(), "not-a-file");
    assert_eq!(here.write(b"x", &WriteOptions::new()).map(drop).unwrap_err().code(), "not-a-file");
    fs::remove_dir(&path).unwrap();
    // Nor is a link that comes to be after the handle followed.
    fs::write(dir.path().join("secret"), "s").unwrap();
    symlink("secret", &path).unwrap();
    assert!(here.write(b"x", &WriteOptions::new()).is_err());
    assert_eq!(fs::read(dir.path().join("secret")).unwrap(), b"s");
    assert_eq!(litter(dir.path(), &["a", "fifo", "socket", "secret"]), [""; 0]);
}

/// ATOM-1: empty files, before and after.
#[test]
fn empty_files() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let here = file(&path);
    assert!(matches!(here.read(), Err(Error::NotFound { .. })) && here.try_read().unwrap().is_none());
    assert_eq!(here.write(b"", &WriteOptions::new()).unwrap().outcome, Outcome::Written);
    assert_eq!(here.read().unwrap().bytes(), b"");
    assert_eq!(here.write(b"", &WriteOptions::new()).unwrap().outcome, Outcome::Unchanged);
    here.write(b"x", &WriteOptions::new().expect(Expect::Version(Version::of(b"")))).unwrap();
    here.write(b"", &WriteOptions::new()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    assert_eq!(here.read_durable().unwrap().bytes(), b"");
}

/// ATOM-3: directories on request.
#[test]
fn directories_on_request() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("x/y/z/a");
    assert!(engine().file(&path).is_err());
    engine().file_with_dirs(&path).unwrap().write(b"x", &WriteOptions::new()).unwrap();
    engine().file_with_dirs(&path).unwrap().write(b"y", &WriteOptions::new()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"y");
    assert!(engine().file_with_dirs(path.join("under a file")).is_err());
}

/// VER-1: a file that is larger than the limit is refused before it is read.
#[test]
fn limits() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, vec![b'x'; 1001]).unwrap();
    let small = Filelatch::builder().without_workspaces().read_limit(1000).build();
    let here = small.file(&path).unwrap();
    assert_eq!(here.read().map(drop).unwrap_err().code(), "too-large");
    assert_eq!(
        here.update_bytes(&WriteOptions::new(), |_| Ok::<_, Error>(None)).map(drop).unwrap_err().code(),
        "too-large"
    );
    assert_eq!(fs::metadata(&path).unwrap().len(), 1001);
}

/// VER-11, P5.3: a program that has the replaced version open, and writes to it after the swap, loses nothing: its version is
/// kept, the writer is told where, and no later sweep takes it while the program may still write.
#[cfg(target_os = "linux")]
#[test]
fn late_writer() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let here = file(&path);
    here.write(b"one", &WriteOptions::new()).unwrap();
    let mut late = fs::OpenOptions::new().append(true).open(&path).unwrap();
    let written = here.write(b"two", &WriteOptions::new().expect(Expect::Version(Version::of(b"one")))).unwrap();
    let [Notice::LateWriter { kept }] = &written.notices[..] else { panic!("{:?}", written.notices) };
    // Others publish, sweep, go on.
    for text in [&b"three"[..], b"four"] {
        file(&path).write(text, &WriteOptions::new()).unwrap();
    }
    assert!(kept.exists(), "swept while a program has it open for writing");
    late.write_all(b" and late").unwrap();
    drop(late);
    file(&path).write(b"five", &WriteOptions::new()).unwrap();
    assert_eq!(fs::read(kept).unwrap(), b"one and late");
    let leftovers = engine().leftovers(dir.path()).unwrap();
    assert!(leftovers.len() == 1 && leftovers[0].path == *kept && !leftovers[0].disposable, "{leftovers:?}");
}

/// VER-11, P5.3: the same when the late writer stores through a mapping and has closed its descriptor.
#[cfg(target_os = "linux")]
#[test]
fn late_writer_through_a_mapping() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let here = file(&path);
    here.write(b"one", &WriteOptions::new()).unwrap();
    let mapped = super::fork::Mapping::of(&path);
    let written = here.write(b"two", &WriteOptions::new().expect(Expect::Version(Version::of(b"one")))).unwrap();
    mapped.store(0, b'O');
    let [Notice::LateWriter { kept }] = &written.notices[..] else { panic!("{:?}", written.notices) };
    assert_eq!(fs::read(kept).unwrap(), b"One");
}

/// ATOM-4: a lock file that was never finished (its maker died) is swept like any temporary file.
#[test]
fn unfinished_lock_files_are_swept() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let record = format!("{LOCKED}{{\"v\":1}}\n");
    for (name, text) in [("..a.lock.77-0123456789abcdef.tmp", &record[..]), ("..a.lock.78-0123456789abcdef.tmp", "")] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    fs::write(dir.path().join("..a.lock.79-0123456789abcdef.tmp"), "somebody's").unwrap();
    file(&path).write(b"x", &WriteOptions::new()).unwrap();
    assert_eq!(litter(dir.path(), &["a"]), ["..a.lock.79-0123456789abcdef.tmp"]);
}

/// P2, ATOM-6: writers in one process and several engines never meet at one temporary name.
#[test]
fn many_writers() {
    let dir = tempdir().unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for t in 0..4 {
            let (dir, over) = (dir.path(), &over);
            scope.spawn(move || {
                let file = file(&dir.join("a"));
                for i in 0..100 {
                    file.write(format!("{t} {i}").as_bytes(), &quick()).unwrap();
                }
                over.store(true, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(litter(dir.path(), &["a"]), [""; 0]);
}
