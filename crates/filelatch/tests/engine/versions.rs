//! What was read, what was expected, what is there.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::fs;
use std::io::Write;
#[cfg(target_os = "linux")]
use std::os::unix::fs::MetadataExt;
#[cfg(target_os = "linux")]
use std::path::Path;
#[cfg(target_os = "linux")]
use std::time::{Duration, SystemTime};

use filelatch::{Author, Durability, Error, Expect, Outcome, Strategy, Version, WriteOptions};
use tempfile::tempdir;

use super::support::*;

fn expecting<'a>(bytes: &[u8]) -> WriteOptions<'a> {
    WriteOptions::new().durability(Durability::None).expect(Expect::Version(Version::of(bytes)))
}

/// VER-1, VER-2 ⚠, VER-3: a write that names what it expects is refused when a program that knows nothing of filelatch has
/// changed, created or removed the file; the answer says what is there, by whom, since when.
#[test]
fn conflicts_are_with_the_disk() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let here = file(&path);
    here.write(b"one", &WriteOptions::new()).unwrap();
    let snapshot = here.read().unwrap();
    assert_eq!((snapshot.version(), snapshot.bytes()), (Version::of(b"one"), &b"one"[..]));
    fs::write(&path, "two").unwrap();
    let error = here.write(b"mine", &expecting(b"one")).unwrap_err();
    let Error::Conflict(conflict) = &error else { panic!("{error}") };
    assert_eq!(conflict.expected, Expect::Version(Version::of(b"one")));
    assert_eq!(conflict.current, Some(Version::of(b"two")));
    assert_ne!(conflict.last_modified_by, Author::Session(String::new()));
    assert!(conflict.last_modified_at.is_some() && conflict.path == path);
    assert_eq!(fs::read(&path).unwrap(), b"two");

    fs::remove_file(&path).unwrap();
    let error = here.write(b"mine", &expecting(b"two")).unwrap_err();
    assert!(matches!(&error, Error::Conflict(c) if c.current.is_none()), "{error}");
    assert!(!path.exists());
    fs::write(&path, "three").unwrap();
    let error = here.write(b"mine", &WriteOptions::new().expect(Expect::Absent)).unwrap_err();
    assert!(matches!(&error, Error::Conflict(c) if c.current == Some(Version::of(b"three"))), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"three");
    assert_eq!(litter(dir.path(), &["a"]), [""; 0]);

    let mine = filelatch::Filelatch::builder().without_workspaces().session("agent-7").build().file(&path).unwrap();
    mine.write(b"four", &expecting(b"three")).unwrap();
    let error = here.write(b"x", &expecting(b"three")).unwrap_err();
    // Where there are no extended attributes nobody knows.
    let by = if cfg!(windows) { Author::Unknown } else { Author::Session("agent-7".into()) };
    assert!(matches!(&error, Error::Conflict(c) if c.last_modified_by == by), "{error:?}");
}

/// VER-1: every way to write obeys the expectation.
#[test]
fn expectations_everywhere() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.json");
    fs::write(&path, "{}").unwrap();
    let here = file(&path);
    let stale = expecting(b"something else");
    let conflict = |result: Result<(), Error>| assert!(matches!(result, Err(Error::Conflict(_))), "{result:?}");
    conflict(here.write(b"x", &stale).map(drop));
    conflict(here.update_bytes(&stale, |_| -> Result<_, Error> { panic!("must not run") }).map(drop));
    conflict(here.update_value(&stale, |_| -> Result<_, Error> { panic!("must not run") }).map(drop));
    conflict(here.writer(&stale).unwrap().commit(&stale.lock).map(drop).map_err(Error::from));
    let guard = here.try_lock().unwrap();
    conflict(guard.write(b"x", &stale).map(drop));
    conflict(guard.update_bytes(&stale, |_| -> Result<_, Error> { panic!("must not run") }).map(drop));
    conflict(guard.update_bytes(&WriteOptions::new().expect(Expect::Absent), |_| Ok::<_, Error>(None)).map(drop));
    assert_eq!(fs::read(&path).unwrap(), b"{}");
    guard.update_bytes(&expecting(b"{}"), |_| Ok::<_, Error>(Some(b"{\"a\":1}".to_vec()))).unwrap();
    drop(guard);
    here.write(b"{}", &WriteOptions::new().expect(Expect::Prefix(Version::of(b"{\"a\":1}").short()))).unwrap();
}

/// P7: the table of strategies and expectations.
#[test]
fn strategies() {
    for strategy in [Strategy::FailFast, Strategy::Queue, Strategy::LastWriteWins] {
        for (expected, content) in
            [(None, "disk"), (Some("disk"), "new"), (Some("other"), "new"), (Some("other"), "disk")]
        {
            let dir = tempdir().unwrap();
            let path = dir.path().join("a");
            fs::write(&path, "disk").unwrap();
            let expect = expected.map_or(Expect::Any, |e| Expect::Version(Version::of(e.as_bytes())));
            let options = WriteOptions::new().expect(expect).strategy(strategy);
            let result = file(&path).write(content.as_bytes(), &options);
            if expected == Some("other") && strategy != Strategy::LastWriteWins {
                assert!(matches!(result, Err(Error::Conflict(_))));
                assert_eq!(fs::read(&path).unwrap(), b"disk");
                continue;
            }
            let written = result.unwrap();
            let outcome = if content == "disk" { Outcome::Unchanged } else { Outcome::Written };
            assert_eq!((written.outcome, written.version), (outcome, Some(Version::of(content.as_bytes()))));
            let overwrote = (expected == Some("other")).then(|| Version::of(b"disk"));
            assert_eq!(written.overwrote, overwrote, "{strategy:?} {expected:?}");
            assert_eq!(fs::read(&path).unwrap(), content.as_bytes());
        }
    }
}

/// VER-9: a change within one tick of the clock, of the same length, is seen by the next read; again and again.
#[test]
fn changes_within_a_tick() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let here = file(&path);
    for i in 0..2000_u32 {
        let text = format!("{i:08}");
        // In place: the inode stays the same.
        let mut f = fs::OpenOptions::new().write(true).create(true).truncate(false).open(&path).unwrap();
        f.write_all(text.as_bytes()).unwrap();
        assert_eq!(here.read().unwrap().bytes(), text.as_bytes());
        assert_eq!(here.read().unwrap().bytes(), text.as_bytes());
    }
    for i in 0..300_u32 {
        here.write(format!("{i:08}").as_bytes(), &WriteOptions::new().durability(Durability::None)).unwrap();
        assert_eq!(here.read().unwrap().bytes(), format!("{i:08}").as_bytes(), "read your writes");
    }
}

/// Makes the file look as if nothing had happened since long ago.
#[cfg(target_os = "linux")]
fn set_times(path: &Path, time: SystemTime) {
    fs::File::open(path).unwrap().set_times(fs::FileTimes::new().set_modified(time).set_accessed(time)).unwrap();
}

/// VER-2 ⚠, VER-9: a change that hides (same length, time put back) does not deceive a comparing write, nor a read.
#[cfg(target_os = "linux")]
#[test]
fn restored_times() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    fs::write(&path, "one").unwrap();
    set_times(&path, long_ago);
    let here = file(&path);
    until("the version is cached", || {
        here.read().unwrap();
        let changed = fs::metadata(&path).unwrap();
        let changed = SystemTime::UNIX_EPOCH
            + Duration::new(changed.ctime().unsigned_abs(), u32::try_from(changed.ctime_nsec()).unwrap());
        changed.elapsed().is_ok_and(|age| age > Duration::from_millis(50))
    });
    here.read().unwrap();
    let f = fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&f, b"two", 0).unwrap();
    drop(f);
    set_times(&path, long_ago);
    assert!(matches!(here.write(b"mine", &expecting(b"one")), Err(Error::Conflict(_))));
    assert_eq!(here.read().unwrap().bytes(), b"two", "the change time tells");
}

/// VER-2 ⚠, P5.10: a store through a mapping touches no time; a comparing write sees it all the same.
#[cfg(target_os = "linux")]
#[test]
fn stores_through_a_mapping() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "one").unwrap();
    let here = file(&path);
    let mapped = super::fork::Mapping::of(&path);
    mapped.store(0, b'O');
    here.read().unwrap();
    mapped.store(1, b'N');
    mapped.store(0, b'o');
    assert!(matches!(here.write(b"mine", &expecting(b"One")), Err(Error::Conflict(_))));
    assert!(matches!(here.write(b"mine", &expecting(b"one")), Err(Error::Conflict(_))));
    drop(mapped);
    here.write(b"mine", &expecting(b"oNe")).unwrap();
}

/// VER-9: a read under a shared lock excludes writers for its time.
#[test]
fn reading_under_a_lock() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    file(&path).write(b"one", &WriteOptions::new()).unwrap();
    let guard = file(&path).lock_shared(&no_wait()).unwrap();
    let refused = file(&path).write(b"two", &WriteOptions::new().lock(no_wait())).unwrap_err();
    assert!(matches!(refused, Error::Locked { .. }), "{refused}");
    assert_eq!(guard.read().unwrap().bytes(), b"one");
}
