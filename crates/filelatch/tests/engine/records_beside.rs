//! Records beside what else there is: fallback locks, lock files that may only be read, programs that inherit them (LOCK-17, P10).
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};

use filelatch::{
    Error, Expect, Filelatch, HardLinks, IfUnavailable, LatchFile, LockMode, LockOptions, LockScope, Policy, Version,
    Wait, WriteOptions,
};
use filelatch_fs::sim::{Dials, Fault, Flock, SimFs, Verb};
use filelatch_fs::{Access, Fs, FsFile, LockKind, RealFs};
use tempfile::tempdir;

use super::support::*;

/// As another owner, at once.
fn is_free(file: &LatchFile, record: &str) -> bool {
    match file.lock_record(record, &no_wait().scope(&LockScope::new())) {
        Ok(guard) => guard.is_held(),
        Err(Error::Locked { .. }) => false,
        Err(e) => panic!("{e}"),
    }
}

fn added(what: &[u8]) -> impl Fn(Option<&[u8]>) -> Result<Option<Vec<u8>>, Error> {
    move |old| Ok(Some([old.unwrap_or_default(), what].concat()))
}

/// P10, P12: a program that is started while another thread publishes inherits the records, and not the turn to publish: who waits for
/// it gets it, and so do others while that program runs.
#[test]
fn the_turn_to_publish_is_not_handed_on() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "0").unwrap();
    let (here, there) = (file(&path), file(&path));
    let guards = here.lock_records(["x", "y"], &no_wait()).unwrap();
    let theirs = there.lock_record("z", &no_wait().scope(&LockScope::new())).unwrap();
    let (waits, it_waits) = mpsc::channel();
    let mut program = None;
    std::thread::scope(|scope| {
        let mut waiter = None;
        let publish = |old: Option<&[u8]>| {
            let second = &guards[1];
            waiter = Some(scope.spawn(move || {
                let told = move |_: &filelatch::Waiting<'_>| {
                    waits.send(()).ok();
                };
                let options = WriteOptions::new().lock(LockOptions::new().wait(Wait::Forever).on_wait(&told));
                second.update_bytes(&options, added(b"y")).map(drop)
            }));
            it_waits.recv().unwrap();
            assert!(guards[0].make_inheritable().unwrap().is_some());
            program = Some(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap());
            added(b"x")(old)
        };
        guards[0].update_bytes(&WriteOptions::new(), publish).unwrap();
        waiter.unwrap().join().unwrap().unwrap();
    });
    let at_once = WriteOptions::new().lock(no_wait());
    theirs.update_bytes(&at_once, added(b"z")).unwrap();
    guards[0].update_bytes(&at_once, added(b"x")).unwrap();
    drop(guards);
    assert!(!is_free(&there, "x"), "the program has it");
    theirs.update_bytes(&at_once, added(b"z")).unwrap();
    assert_eq!(theirs.read().unwrap().bytes(), b"0xyzxz");
    let mut program = program.unwrap();
    drop(program.stdin.take());
    program.wait().unwrap();
    assert!(is_free(&there, "x"));
}

fn engine_by(fs: &SimFs, lock: LockMode) -> Filelatch {
    let mut policy = Policy::default();
    policy.lock = lock;
    let builder = Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).without_workspaces();
    builder.defaults(policy).session("test").build()
}

/// P4, P10: with a fallback lock, by policy or because whole-file locks are missing, a record's lock is the whole file's. A dead
/// holder's is taken over, and nothing is left.
#[test]
fn fallback_locks() {
    for (flock, mode) in [
        (Flock::Real, LockMode::File),
        (Flock::Missing, LockMode::File),
        (Flock::Lie, LockMode::File),
        (Flock::Missing, LockMode::Auto),
    ] {
        for range_locks in [true, false] {
            let fs = SimFs::new(Dials { flock, range_locks, ..Dials::default() });
            fs.foreign().create("/a", b"0").unwrap();
            let dying = fs.process();
            let here = engine_by(&fs, mode).file("/a").unwrap();
            let there = engine_by(&dying, mode).file("/a").unwrap();
            let guards = here.lock_records(["x", "y"], &no_wait()).unwrap();
            assert!(guards.iter().all(|guard| guard.locks_whole_file() && guard.is_held()), "{flock:?} {mode:?}");
            assert!(!is_free(&there, "z") && !is_free(&here, "z"), "{flock:?} {mode:?}");
            guards[1].update_bytes(&WriteOptions::new(), added(b"y")).unwrap();
            drop(guards);
            let theirs = there.lock_record("x", &no_wait()).unwrap();
            theirs.update_bytes(&WriteOptions::new(), added(b"x")).unwrap();
            assert!(!is_free(&here, "y"), "{flock:?} {mode:?}");
            dying.kill();
            drop(theirs);
            let ours = here.lock_record("y", &no_wait()).unwrap();
            assert_eq!(ours.read().unwrap().bytes(), b"0yx");
            drop(ours);
            assert_eq!(fs.foreign().names("/").unwrap(), [".a.lock", "a"], "{flock:?} {mode:?}");
        }
    }
}

/// P4, P10: where whole-file locks work, those who lock records of a file and those whose policy is the fallback lock exclude each other.
#[test]
fn fallback_locks_and_bytes() {
    let fs = SimFs::default();
    fs.foreign().create("/a", b"0").unwrap();
    let by_bytes = engine_by(&fs, LockMode::Auto).file("/a").unwrap();
    let by_file = engine_by(&fs.process(), LockMode::File).file("/a").unwrap();
    let byte = by_bytes.lock_record("x", &no_wait()).unwrap();
    assert!(!byte.locks_whole_file());
    assert!(!is_free(&by_file, "y"));
    drop(byte);
    let whole = by_file.lock_record("x", &no_wait()).unwrap();
    assert!(whole.locks_whole_file());
    assert!(!is_free(&by_bytes, "y"));
    drop(whole);
    assert!(is_free(&by_bytes, "y"));
}

/// P1, P10: with a lock file that may only be read a record's lock is the whole file's, and excludes those who lock bytes.
#[test]
fn read_only_lock_files() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "0").unwrap();
    let chmod = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    chmod(dir.path(), 0o755);
    let here = file(&path);
    let byte = here.lock_record("x", &no_wait()).unwrap();
    assert!(!byte.locks_whole_file());
    chmod(&here.lock_path(), if is_root() { 0o644 } else { 0o444 });
    let role = ["records-read-only", path.to_str().unwrap()];
    let worker = if is_root() { super::privileged::nobody(&role) } else { Some(Worker::start(&role)) };
    let Some(mut worker) = worker else { return };
    worker.expect("refused");
    drop(byte);
    worker.tell("hold");
    worker.expect("held");
    assert!(!is_free(&here, "z"));
    worker.tell("release");
    worker.expect("released");
    assert!(is_free(&here, "z"));
    worker.finish();
}

pub(crate) fn read_only(path: &str) {
    let file = file(Path::new(path));
    say(if is_free(&file, "y") { "got" } else { "refused" });
    hear();
    let guards = file.lock_records(["x", "y"], &LockOptions::new().wait(Wait::Forever)).unwrap();
    assert!(guards.iter().all(|guard| guard.locks_whole_file() && guard.is_held()));
    say("held");
    hear();
    drop(guards);
    say("released");
    hear();
}

/// P10, P12: an owner that has handed records on asks for another one past those who wait for the whole file: they wait for it.
#[test]
fn past_those_who_wait_for_the_whole_file() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let (here, there) = (file(&path), file(&path));
    let x = here.lock_record("x", &no_wait()).unwrap();
    x.make_inheritable().unwrap();
    std::thread::scope(|scope| {
        let whole = scope.spawn(|| there.lock(&LockOptions::new().wait(Wait::Forever)).map(drop));
        until("somebody waits for the whole file", || here.lock_state().unwrap().waiting > 0);
        assert!(!is_free(&here, "y"), "who holds none yet stands behind the one who waits");
        let y = here.lock_record("y", &no_wait()).unwrap();
        drop((x, y));
        whole.join().unwrap().unwrap();
    });
}

/// From a record's byte to its gate.
const TO_GATE: u64 = 1 << 61;

/// Another program that speaks the protocol: the open lock file, and the byte of the record `x`.
fn program(file: &LatchFile) -> (Box<dyn FsFile>, u64) {
    drop(file.lock_record("x", &no_wait()).unwrap());
    let name = file.record_resource_name("x");
    let byte = u64::from_str_radix(name.rsplit(':').next().unwrap(), 16).unwrap();
    let dir = RealFs.open_dir(file.lock_path().parent().unwrap()).unwrap();
    (dir.open(file.lock_path().file_name().unwrap(), Access::ReadWrite).unwrap(), byte)
}

/// P2, P10: nobody gets a record while another program stands at its gate, waiting or not.
#[test]
fn a_gate_that_is_taken() {
    let dir = tempdir().unwrap();
    let here = file(&dir.path().join("a"));
    let (other, byte) = program(&here);
    assert!(other.try_lock_range(byte + TO_GATE, 1, LockKind::Exclusive).unwrap());
    assert!(!is_free(&here, "x") && is_free(&here, "y"));
    assert!(matches!(here.lock_record("x", &waits(20)), Err(Error::Timeout { .. })), "past the gate");
    other.unlock_range(byte + TO_GATE, 1).unwrap();
    until("the wait that was left behind is over", || is_free(&here, "x"));
}

/// P2, P10: a wait takes the gate before the record; called off it opens the gate, also when it had yet to get it; wanted again it takes
/// it again; and had, it leaves it.
#[test]
fn gates_of_waits() {
    let dir = tempdir().unwrap();
    let here = file(&dir.path().join("a"));
    let (holder, byte) = program(&here);
    let (looker, _) = program(&here);
    let gate = byte + TO_GATE;
    let taken = || looker.range_is_locked(gate, 1).unwrap();
    // Called off before it came to the gate.
    assert!(holder.try_lock_range(byte, 1, LockKind::Exclusive).unwrap());
    assert!(holder.try_lock_range(gate, 1, LockKind::Exclusive).unwrap());
    here.lock_record("x", &waits(20)).unwrap_err();
    let waiting = || here.lock_state().unwrap().waiting;
    assert_eq!(waiting(), 1, "in the kernel, at the gate");
    holder.unlock_range(gate, 1).unwrap();
    until("it goes through the gate", || !taken());
    std::thread::scope(|scope| {
        let (tell, it_waits) = mpsc::channel();
        let waiter = scope.spawn(|| {
            let told = move |_: &filelatch::Waiting<'_>| {
                tell.send(()).ok();
            };
            here.lock_record("x", &LockOptions::new().wait(Wait::Forever).on_wait(&told)).map(drop)
        });
        it_waits.recv().unwrap();
        assert!(taken(), "wanted again, it keeps newcomers behind it");
        holder.unlock_range(byte, 1).unwrap();
        waiter.join().unwrap().unwrap();
    });
    assert!(!taken());
    // Called off when it was past the gate.
    assert!(holder.try_lock_range(byte, 1, LockKind::Exclusive).unwrap());
    here.lock_record("x", &waits(20)).unwrap_err();
    until("the gate is open", || !taken());
    holder.unlock_range(byte, 1).unwrap();
    until("what it got is given back", || looker.try_lock_range(byte, 1, LockKind::Exclusive).unwrap());
}

/// LOCK-15, P2: a process whose turn is over does not hand a record on among its threads while another program stands at the gate.
#[test]
fn turns() {
    let dir = tempdir().unwrap();
    let here = file(&dir.path().join("a"));
    let (other, byte) = program(&here);
    let held = here.lock_record("x", &no_wait()).unwrap();
    std::thread::scope(|scope| {
        let (tell, it_waits) = mpsc::channel();
        let waiter = scope.spawn(|| {
            let told = move |_: &filelatch::Waiting<'_>| {
                tell.send(()).ok();
            };
            here.lock_record("x", &LockOptions::new().wait(Wait::Forever).on_wait(&told)).map(drop)
        });
        // Much longer than a turn.
        it_waits.recv().unwrap();
        assert!(other.try_lock_range(byte + TO_GATE, 1, LockKind::Exclusive).unwrap());
        drop(held);
        assert!(other.try_lock_range(byte, 1, LockKind::Exclusive).unwrap(), "handed on inside the process");
        other.unlock_range(byte, 1).unwrap();
        other.unlock_range(byte + TO_GATE, 1).unwrap();
        waiter.join().unwrap().unwrap();
    });
}

/// P5.9, P10: a holder that dies half-way through a write in place leaves a torn file and a note: whoever locks any record afterwards, or
/// has one already and reads or publishes, finds the old or the new version.
#[test]
fn torn_writes_of_dead_holders() {
    let engine = |fs: &SimFs| {
        let mut policy = Policy::default();
        policy.hard_links = HardLinks::InPlace;
        let builder = Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).without_workspaces();
        builder.defaults(policy).session("test").build()
    };
    let (old, new) = (&b"the old version"[..], &b"the old version, and more"[..]);
    for fresh in [true, false] {
        let mut torn = 0;
        for call in 0.. {
            let fs = SimFs::default();
            fs.foreign().create("/a", old).unwrap();
            fs.foreign().link("/a", "/b").unwrap();
            let living = engine(&fs.process()).file("/a").unwrap();
            let other = (!fresh).then(|| living.try_lock_record("other").unwrap());
            fs.fail_verb(Verb::WriteAt, Fault::Short(3));
            let (dying, before) = (fs.process(), fs.calls());
            let victim = dying.clone();
            fs.on_call(before + call, move |_| victim.kill());
            let record = engine(&dying).file("/a").and_then(|file| file.lock_record("x", &no_wait()));
            let done = record
                .and_then(|guard| guard.update_bytes(&WriteOptions::new(), |_| Ok::<_, Error>(Some(new.to_vec()))));
            fs.unhook();
            fs.heal();
            torn += usize::from(![old, new].contains(&&fs.foreign().read("/a").unwrap()[..]));
            let other = other.unwrap_or_else(|| living.try_lock_record("other").unwrap());
            let found = if fresh { fs.foreign().read("/a").unwrap() } else { other.read().unwrap().bytes().to_vec() };
            assert!([old, new].contains(&&found[..]), "killed at call {call}: {:?}", String::from_utf8_lossy(&found));
            other.update_bytes(&WriteOptions::new(), added(b"!")).unwrap();
            assert_eq!(living.read().unwrap().bytes(), [&found[..], b"!"].concat());
            if done.is_ok() {
                break;
            }
        }
        assert!(torn > 0, "nothing was torn");
    }
}

/// LOCK-6, LOCK-17: each call of locking a record, or of reading the whole file, fails, also after it did its work: as soon as that is over,
/// others get the record and the file, although the lock file may still be open here.
#[test]
fn nothing_is_kept_after_errors() {
    for shared in [false, true] {
        for fault in [Fault::EIO, Fault::Late(std::io::ErrorKind::Other)] {
            for call in 0.. {
                let fs = SimFs::default();
                fs.foreign().create("/a", b"0").unwrap();
                let here = engine_by(&fs, LockMode::Auto).file("/a").unwrap();
                let there = engine_by(&fs.process(), LockMode::Auto).file("/a").unwrap();
                let before = fs.calls();
                fs.fail_call(before + call, fault);
                let taken = if shared {
                    here.lock_shared(&no_wait()).map(drop)
                } else {
                    here.lock_record("x", &no_wait()).map(drop)
                };
                let calls = fs.calls() - before;
                fs.heal();
                assert!(is_free(&there, "x"), "{fault:?} at call {call}, {taken:?}");
                drop(there.try_lock().unwrap_or_else(|e| panic!("{fault:?} at call {call}, {taken:?}: {e}")));
                if call >= calls {
                    assert!(call > 5, "nothing failed");
                    break;
                }
            }
        }
    }
}

/// LOCK-17: a reader of the whole file that is refused because of a record keeps nothing.
#[test]
fn refused_readers_keep_nothing() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let (here, there) = (file(&path), file(&path));
    let record = there.lock_record("x", &no_wait()).unwrap();
    assert!(matches!(here.lock_shared(&no_wait()), Err(Error::Locked { .. })));
    drop(record);
    drop(there.try_lock().unwrap());
}

/// P12: while other programs have some of its records, this process has others, and does not take those for its own; who waited for one
/// gets it when they have ended.
#[test]
fn beside_handed_on_records() {
    let dir = tempdir().unwrap();
    let here = file(&dir.path().join("a"));
    let x = here.lock_record("x", &no_wait()).unwrap();
    std::thread::scope(|scope| {
        let (tell, it_waits) = mpsc::channel();
        let waiter = scope.spawn(|| {
            let told = move |_: &filelatch::Waiting<'_>| {
                tell.send(()).ok();
            };
            here.lock_record("x", &LockOptions::new().wait(Wait::For(PATIENCE)).on_wait(&told)).map(drop)
        });
        it_waits.recv().unwrap();
        x.make_inheritable().unwrap();
        let mut program = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let y = here.lock_record("y", &no_wait()).unwrap();
        drop(x);
        assert!(!is_free(&here, "x"), "the program has it");
        drop(program.stdin.take());
        program.wait().unwrap();
        waiter.join().unwrap().unwrap();
        drop(y);
    });
}

/// P1, LOCK-17: an owner that went on without a lock for one record asks for the next one properly.
#[test]
fn after_going_on_without_a_lock() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let (here, there) = (file(&path), file(&path));
    let whole = there.lock(&no_wait().scope(&LockScope::new())).unwrap();
    let without = here.lock_record("x", &no_wait().if_unavailable(IfUnavailable::Proceed)).unwrap();
    assert!(!without.is_held() && without.warning().is_some());
    drop(whole);
    let y = here.lock_record("y", &no_wait()).unwrap();
    assert!(y.is_held() && y.warning().is_none());
    // A version that is not the newest any more is refused.
    let stale = WriteOptions::new().expect(Expect::Version(Version::of(b"stale")));
    assert!(matches!(y.update_bytes(&stale, added(b"y")), Err(Error::Conflict(_))));
}
