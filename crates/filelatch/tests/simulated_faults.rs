//! Single faults at single calls, on a simulated file system: what once went wrong, or would if a line of the engine were missing.
#![expect(clippy::unwrap_used, reason = "a test that fails says so")]

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use filelatch::{
    Error, Expect, Filelatch, HardLinks, LatchFile, LockOptions, Notice, Outcome, Policy, Wait, WriteOptions,
};
use filelatch_fs::sim::{Dials, Fault, SimFs, Verb};

fn engine(fs: &SimFs, policy: Policy) -> Filelatch {
    Filelatch::builder()
        .fs(fs.as_fs())
        .host(Arc::new(fs.host()))
        .session("me")
        .defaults(policy)
        .without_workspaces()
        .build()
}

fn scratch(dials: Dials) -> (SimFs, LatchFile) {
    let fs = SimFs::new(dials);
    fs.foreign().create("/f", b"old").unwrap();
    fs.settle();
    let file = engine(&fs, Policy::default()).file("/f").unwrap();
    (fs, file)
}

fn append(text: &'static str) -> impl FnMut(Option<&[u8]>) -> Result<Option<Vec<u8>>, Error> {
    move |old| Ok(Some([old.unwrap_or_default(), text.as_bytes()].concat()))
}

fn names(fs: &SimFs) -> Vec<String> {
    fs.foreign().names("/").unwrap()
}

/// Number of the call, from 0, whose trace holds `text`, in a run of `scenario` without faults.
fn call_with(text: &str, dials: Dials, scenario: impl Fn(&SimFs, &LatchFile)) -> u64 {
    let (fs, file) = scratch(dials);
    let before = fs.calls();
    scenario(&fs, &file);
    let trace = fs.trace();
    let found = trace.iter().enumerate().skip(usize::try_from(before).unwrap()).find(|(_, call)| call.contains(text));
    u64::try_from(found.unwrap_or_else(|| panic!("no call with {text:?} in {trace:#?}")).0).unwrap()
}

/// ATOM-1 (L29): an exchange that happened and reports an error is found to have happened: nothing is lost, nothing is doubled.
#[test]
fn an_exchange_that_happened_all_the_same() {
    let (fs, file) = scratch(Dials::default());
    fs.fail_verb(Verb::Exchange, Fault::Late(ErrorKind::TimedOut));
    let written = file.update_bytes(&WriteOptions::new(), append("+1")).unwrap();
    assert_eq!(written.outcome, Outcome::Written);
    assert_eq!(fs.foreign().read("/f").unwrap(), b"old+1");
    assert_eq!(names(&fs), [".f.lock", "f"], "the displaced version is gone, and only it");
}

/// ATOM-1 (L29): the same for the rename that creates a file.
#[test]
fn a_creation_that_happened_all_the_same() {
    let (fs, _) = scratch(Dials::default());
    let file = engine(&fs, Policy::default()).file("/new").unwrap();
    // The lock file first, so that the fault hits the data file's rename only.
    drop(file.try_lock().unwrap());
    fs.fail_verb(Verb::RenameNew, Fault::Late(ErrorKind::TimedOut));
    file.write(b"x", &WriteOptions::new().expect(Expect::Absent)).unwrap();
    assert_eq!(fs.foreign().read("/new").unwrap(), b"x");
}

/// ATOM-4, ATOM-7 ⚠ (L26): after a failed fsync nothing is tried again on the same file: the error surfaces, the old version stays, the
/// temporary file is gone. The next write starts afresh and succeeds.
#[test]
fn a_failed_fsync_is_final() {
    let write = |_: &SimFs, file: &LatchFile| drop(file.write(b"new", &WriteOptions::new()));
    let sync = call_with("SyncFile /.f.", Dials::default(), write);
    let (fs, file) = scratch(Dials::default());
    fs.fail_call(sync, Fault::EIO);
    assert!(matches!(file.write(b"new", &WriteOptions::new()), Err(Error::Io { .. })));
    assert_eq!(fs.foreign().read("/f").unwrap(), b"old");
    assert_eq!(names(&fs), [".f.lock", "f"]);
    let syncs = fs.trace().iter().filter(|call| call.contains("SyncFile /.f.")).count();
    assert_eq!(syncs, 1, "no second fsync of the same file: {:#?}", fs.trace());
    file.write(b"new", &WriteOptions::new()).unwrap();
    assert_eq!(fs.foreign().read("/f").unwrap(), b"new");
}

/// VER-11 (P5.6): without an exchange a foreign write at the very last moment can't be put back. The new version is in place and is
/// reported so; the foreign one is kept; and the change is made once, not twice.
#[test]
fn a_foreign_write_at_the_last_moment_without_exchange() {
    let dials = || Dials { exchange: false, ..Dials::default() };
    let update = |_: &SimFs, file: &LatchFile| drop(file.update_bytes(&WriteOptions::new(), append("+1")).unwrap());
    let rename = call_with("Rename /.f.", dials(), update);
    let (fs, file) = scratch(dials());
    fs.on_call(rename, |outside| outside.foreign().overwrite("/f", b"theirs").unwrap());
    let written = file.update_bytes(&WriteOptions::new(), append("+1")).unwrap();
    assert_eq!(fs.foreign().read("/f").unwrap(), b"old+1");
    let kept = written.notices.iter().find_map(|notice| match notice {
        Notice::ForeignKept { kept } => Some(kept.clone()),
        _ => None,
    });
    assert_eq!(fs.foreign().read(kept.expect("a notice of what is kept")).unwrap(), b"theirs");
}

/// ATOM-4 (P5.9): whatever single call fails while a file is written in place, the next writer is not kept out, and the file is one
/// of the versions.
#[test]
fn in_place_never_locks_everybody_out() {
    let mut policy = Policy::default();
    policy.hard_links = HardLinks::InPlace;
    let build = || {
        let fs = SimFs::new(Dials::default());
        fs.foreign().create("/f", b"old").unwrap();
        fs.foreign().link("/f", "/other").unwrap();
        fs.settle();
        let file = engine(&fs, policy).file("/f").unwrap();
        drop(file.try_lock().unwrap());
        (fs, file)
    };
    let (fs, file) = build();
    let first = fs.calls();
    file.write(b"new and longer", &WriteOptions::new()).unwrap();
    let last = fs.calls();
    assert!(last > first + 15, "a write in place makes many calls");
    for call in first..last {
        for fault in [Fault::EIO, Fault::Error(ErrorKind::StorageFull), Fault::Late(ErrorKind::TimedOut)] {
            let (fs, file) = build();
            fs.fail_call(call, fault);
            let result = file.write(b"new and longer", &WriteOptions::new());
            fs.heal();
            let story = || format!("call {call} {fault:?} gave {result:?}: {:#?}", fs.trace());
            let lock = LockOptions::new().wait(Wait::For(Duration::from_secs(5)));
            let again = engine(&fs, policy).file("/f").unwrap().lock(&lock);
            let guard = again.unwrap_or_else(|e| panic!("{e}: {}", story()));
            let now = fs.foreign().read("/f").unwrap();
            assert!([&b"old"[..], b"new and longer"].contains(&&now[..]), "torn: {}", story());
            assert!(result.is_err() || now == b"new and longer", "acknowledged, but not there: {}", story());
            drop(guard);
        }
    }
}

/// LOCK-19 (L20): a lock file of a newer filelatch is not understood, so the lock is refused and the file left as it is.
#[test]
fn a_newer_record_is_respected() {
    let (fs, file) = scratch(Dials::default());
    let newer = b"{\"v\":2,\"mode\":\"something new\"}\n";
    fs.foreign().create("/.f.lock", newer).unwrap();
    for _ in 0..2 {
        assert_eq!(file.try_lock().unwrap_err().code(), "unrecovered");
        assert_eq!(file.write(b"new", &WriteOptions::new()).unwrap_err().code(), "unrecovered");
    }
    assert_eq!(fs.foreign().read("/.f.lock").unwrap(), newer);
    assert_eq!(fs.foreign().read("/f").unwrap(), b"old");
}

/// LOCK-4: how to wait is a value: not at all, so long, so many tries, without limit; 30 s unless something else is said.
#[test]
fn ways_to_wait() {
    assert_eq!(Wait::default(), Wait::For(Duration::from_secs(30)));
    assert_eq!(Policy::default().wait, Wait::default());
    assert_eq!(Wait::No.limit(), Some(Duration::ZERO));
    assert_eq!(
        Wait::Retry { interval: Duration::from_millis(100), times: 5 }.limit(),
        Some(Duration::from_millis(500))
    );
    assert_eq!(Wait::Forever.limit(), None);
    let dir = tempfile::tempdir().unwrap();
    let (holder, waiter) = (Filelatch::new(), Filelatch::new());
    let _guard = holder.file(dir.path().join("f")).unwrap().try_lock().unwrap();
    let file = waiter.file(dir.path().join("f")).unwrap();
    let few = LockOptions::new().wait(Wait::Retry { interval: Duration::from_millis(5), times: 4 });
    match file.lock(&few) {
        Err(Error::Timeout { waited, .. }) => assert!(waited >= Duration::from_millis(20), "{waited:?}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(file.lock(&LockOptions::new().wait(Wait::No)), Err(Error::Locked { .. })));
}
