//! The fallback lock, whose existence is the lock (LOCK-3, LOCK-10, LOCK-11, LOCK-20; P4): simulated machines that die, restart and
//! fall silent, and real processes that meet one stale lock.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use filelatch::{Error, Filelatch, LatchFile, LockMode, LockOptions, Notice, Policy, Validity, Wait, WriteOptions};
use filelatch_fs::sim::{Dials, Fault, Flock, SimFs, Sweep, Verb};
use filelatch_fs::{FsKind, Host};

use super::support::{Worker, hear, is_full, litter, no_wait, say};

const HELD: &str = "/.a.lock.held";
const LEASE: Duration = Duration::from_secs(30);

fn engine_in(fs: &SimFs, lock: LockMode) -> Filelatch {
    let mut policy = Policy::default();
    policy.lock = lock;
    let builder = Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).session("test").purpose("job");
    builder.without_workspaces().defaults(policy).build()
}

fn engine_on(fs: &SimFs) -> Filelatch {
    engine_in(fs, LockMode::File)
}

fn file_on(fs: &SimFs) -> LatchFile {
    engine_on(fs).file("/a").unwrap()
}

fn with_old(fs: &SimFs) {
    fs.foreign().create("/a", b"old").unwrap();
}

fn names(fs: &SimFs) -> Vec<String> {
    fs.foreign().names("/").unwrap()
}

/// The record of a holder that the simulated machine does not know, changed as the test wants it.
fn record(change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut record = serde_json::json!({
        "v": 1, "mode": "file", "pid": 77, "pidns": 1, "start": 5, "boot": "sim-boot-1", "host": "sim",
        "session": "the other", "since": "2025-12-31T23:00:00.000Z", "id": "00000000000000aa", "lease": 30_000
    });
    change(&mut record);
    format!("{record}\n{:020}\n", 0)
}

fn elsewhere(record: &mut serde_json::Value) {
    record["host"] = "there".into();
    record["boot"] = "another boot".into();
}

fn every_kind() -> [Dials; 4] {
    let few = Dials { enumerate: 8, samples: 4, ..Dials::default() };
    [
        few,
        Dials { flock: Flock::Missing, kind: FsKind::Network, range_locks: false, lock_table: false, ..few },
        Dials { flock: Flock::Lie, kind: FsKind::Network, range_locks: false, lock_table: false, ..few },
        Dials { flock: Flock::Missing, exchange: false, rename_new: false, lock_table: false, xattrs: false, ..few },
    ]
}

/// LOCK-3: its existence is the lock, for everybody: exclusive, complete when it appears, gone after the release; the holder is named.
#[test]
fn one_holder() {
    for dials in every_kind() {
        let fs = SimFs::new(dials);
        with_old(&fs);
        let (one, two) = (file_on(&fs), file_on(&fs.process()));
        let guard = one.lock(&no_wait()).unwrap();
        let record = String::from_utf8(fs.foreign().read(HELD).unwrap()).unwrap();
        let record: serde_json::Value = serde_json::from_str(record.lines().next().unwrap()).unwrap();
        assert_eq!(
            (&record["mode"], &record["pid"], &record["host"]),
            (&"file".into(), &fs.pid().into(), &"sim".into())
        );
        assert!(record["since"].as_str().unwrap().ends_with('Z'), "{record}");
        let Err(Error::Locked { holders, .. }) = two.lock(&no_wait()) else { panic!("two holders: {dials:?}") };
        assert_eq!(holders.len(), 1, "{holders:?}");
        assert_eq!((holders[0].pid, holders[0].confirmed), (Some(fs.pid()), true));
        assert!(two.is_locked().unwrap() && one.is_locked().unwrap());
        // Readers, too: there is nothing weaker.
        assert!(matches!(two.lock_shared(&no_wait()), Err(Error::Locked { .. })));
        drop(guard);
        assert!(!two.is_locked().unwrap());
        let guard = two.lock(&no_wait()).unwrap();
        assert!(guard.recovered().is_none() && one.try_lock().is_err());
        drop(guard);
        assert_eq!(names(&fs), [".a.lock", "a"], "{dials:?}");
    }
}

/// LOCK-3, LOCK-20: chosen by itself where whole-file locks are missing, on whatever it is, where they exclude nobody on a network, and where
/// they are known to end at this machine; not where they work.
#[test]
fn chosen_by_itself() {
    let network = Dials { kind: FsKind::Network, range_locks: false, lock_table: false, ..Dials::default() };
    let cases = [
        (Dials { flock: Flock::Missing, lock_table: false, ..Dials::default() }, true),
        (Dials { flock: Flock::Missing, ..network }, true),
        (Dials { flock: Flock::Lie, ..network }, true),
        (Dials { flock: Flock::Lie, kind: FsKind::Unknown, ..network }, true),
        (network, false),
        (Dials { name: "fuse.sshfs", ..network }, true),
        (Dials { name: "nfs", mount_options: &["rw", "nolock"], ..network }, true),
        (Dials { name: "nfs", mount_options: &["rw"], ..network }, false),
        (Dials::default(), false),
    ];
    for (dials, falls_back) in cases {
        let fs = SimFs::new(dials);
        with_old(&fs);
        let one = engine_in(&fs, LockMode::Auto).file("/a").unwrap();
        let two = engine_in(&fs.process(), LockMode::Auto).file("/a").unwrap();
        for round in 0..2 {
            let guard = one.lock(&no_wait()).unwrap();
            assert_eq!(fs.foreign().read(HELD).is_ok(), falls_back, "round {round} on {dials:?}");
            assert!(matches!(two.lock(&no_wait()), Err(Error::Locked { .. })), "round {round} on {dials:?}");
            guard.release();
            drop(two.lock(&no_wait()).unwrap());
        }
    }
}

/// LOCK-20: by policy nothing but the system's locks: where there are none, an error that says what to do.
#[test]
fn the_systems_locks_or_an_error() {
    let fs = SimFs::new(Dials { flock: Flock::Missing, lock_table: false, ..Dials::default() });
    let error = engine_in(&fs, LockMode::Os).file("/a").unwrap().lock(&no_wait()).unwrap_err();
    assert!(error.hints()[0].contains("lock = \"auto\""), "{:?}", error.hints());
    assert_eq!(names(&fs), [".a.lock"]);
}

/// LOCK-20: what nobody has chosen is four times as long on a network.
#[test]
fn longer_waits_on_a_network() {
    for (kind, seconds) in [(FsKind::Local, 30), (FsKind::Network, 120)] {
        let fs = SimFs::new(Dials { kind, ..Dials::default() });
        let file = engine_in(&fs, LockMode::Auto).file("/a").unwrap();
        assert_eq!(file.policy().wait, Wait::For(Duration::from_secs(seconds)));
    }
}

/// LOCK-10: a holder that was killed is found to be dead, at once; whoever takes over is told from whom.
#[test]
fn a_killed_holder() {
    for dials in every_kind() {
        let fs = SimFs::new(dials);
        with_old(&fs);
        let victim = fs.process();
        let guard = file_on(&victim).lock(&no_wait()).unwrap();
        let pid = victim.pid();
        victim.kill();
        drop(guard);
        assert!(fs.foreign().read(HELD).is_ok(), "the dead remove nothing");
        let file = file_on(&fs);
        assert!(!file.is_locked().unwrap(), "a dead holder holds nothing");
        let guard = file.lock(&no_wait()).unwrap();
        let recovered = guard.recovered().expect("told");
        assert_eq!((recovered.from.pid, recovered.from.session.as_deref()), (Some(pid), Some("test")));
        assert_eq!(
            recovered.to_string(),
            format!("the lock was taken over from pid {pid} on sim: its process is gone")
        );
        drop(guard);
        assert!(file.lock(&no_wait()).unwrap().recovered().is_none(), "told once");
        assert_eq!(names(&fs), [".a.lock", "a"], "{dials:?}");
    }
}

/// LOCK-10: the same through an update: its result tells.
#[test]
fn an_update_tells_of_a_recovery() {
    let fs = SimFs::new(Dials::default());
    with_old(&fs);
    fs.foreign().create(HELD, record(|_| {}).as_bytes()).unwrap();
    let written = file_on(&fs).write(b"new", &WriteOptions::new()).unwrap();
    let told =
        written.notices.iter().any(|notice| matches!(notice, Notice::LockTakenOver(from) if from.from.pid == Some(77)));
    assert!(told, "{:?}", written.notices);
}

/// LOCK-10 (L7, L8): what is not proved to be dead is held, however long one waits: a living process, one of another container, one
/// of another machine without a heartbeat, a record of a newer version, or none that can be read.
#[test]
fn never_on_suspicion() {
    type Change = fn(&mut serde_json::Value);
    let cases: [(&str, Change); 6] = [
        ("alive", |r| (r["pid"], r["start"]) = (1000.into(), serde_json::Value::Null)),
        ("another container", |r| r["pidns"] = 2.into()),
        ("another machine, no heartbeat", |r| {
            elsewhere(r);
            r["lease"] = 0.into();
        }),
        ("newer", |r| r["v"] = 2.into()),
        ("nobody", |r| r["pid"] = 0.into()),
        ("no id", |r| r["id"] = "../../x".into()),
    ];
    let texts = cases.iter().map(|(what, change)| (*what, record(change)));
    let texts = texts.chain([("empty", String::new()), ("foreign", "4711\n".to_owned()), ("zeros", "\0".repeat(200))]);
    for (what, text) in texts {
        let text = text.replace("\"start\":null,", "");
        for dials in every_kind() {
            let fs = SimFs::new(dials);
            with_old(&fs);
            fs.foreign().create(HELD, text.as_bytes()).unwrap();
            let waits = LockOptions::new().wait(Wait::For(LEASE * 20));
            let file = file_on(&fs.process());
            assert!(matches!(file.lock(&waits), Err(Error::Timeout { .. })), "{what} on {dials:?}");
            assert_eq!(fs.foreign().read(HELD).unwrap(), text.as_bytes(), "{what}");
            assert_eq!(names(&fs), [".a.lock", ".a.lock.held", "a"], "{what} on {dials:?}");
        }
    }
}

/// LOCK-5, LOCK-10: a fallback lock that nobody can be told of is named as what it is.
#[test]
fn an_unreadable_record_is_named() {
    let fs = SimFs::new(Dials::default());
    with_old(&fs);
    fs.foreign().create(HELD, b"").unwrap();
    let error = file_on(&fs).lock(&no_wait()).unwrap_err();
    assert_eq!(error.to_string(), "`/a` is locked: held by a lock file whose record cannot be read");
}

/// LOCK-10, LOCK-20: a holder on another machine whose heartbeat has stopped for as long as its record allows loses the lock; whoever
/// does not wait for so long does not get it.
#[test]
fn another_machine_falls_silent() {
    for dials in every_kind() {
        let fs = SimFs::new(dials);
        with_old(&fs);
        fs.foreign().create(HELD, record(elsewhere).as_bytes()).unwrap();
        let file = file_on(&fs);
        let began = fs.host().monotonic();
        assert!(matches!(file.lock(&no_wait()), Err(Error::Locked { .. })));
        let guard = file.lock(&LockOptions::new().wait(Wait::For(LEASE * 10))).unwrap();
        let waited = fs.host().monotonic().saturating_sub(began);
        assert!(waited >= LEASE, "robbed after {waited:?}");
        assert_eq!(guard.recovered().unwrap().proof, "it is on another machine and its heartbeat has stopped");
        drop(guard);
        assert_eq!(names(&fs), [".a.lock", "a"]);
    }
}

/// LOCK-10 (L8): as long as the heartbeat of another machine goes on, its lock stays, however old it is; and a waiter that was away itself
/// begins to watch anew (L10).
#[test]
fn another_machine_is_heard_of() {
    let fs = SimFs::new(Dials { kind: FsKind::Network, range_locks: false, ..Dials::default() });
    with_old(&fs);
    let beats = Arc::new(AtomicU64::new(0));
    fs.foreign().create(HELD, record(elsewhere).as_bytes()).unwrap();
    let beating = Arc::clone(&beats);
    fs.observe(move |outside, call| {
        if call.verb == Verb::Open && call.names(".a.lock.held") {
            let n = beating.fetch_add(1, Ordering::Relaxed);
            // A beat at each fiftieth look: every five seconds.
            let text = record(elsewhere).replace(&format!("{:020}", 0), &format!("{:020}", n / 50));
            outside.foreign().overwrite(HELD, text.as_bytes()).unwrap();
        }
    });
    let waits = LockOptions::new().wait(Wait::For(LEASE * 6));
    assert!(matches!(file_on(&fs).lock(&waits), Err(Error::Timeout { .. })));
    assert!(beats.load(Ordering::Relaxed) > 200);
    fs.unhook();

    // The waiter's machine sleeps for an hour after each look: it has seen nothing in between.
    let host = fs.host();
    fs.observe(move |_, call| {
        if call.verb == Verb::Open && call.names(".a.lock.held") {
            host.advance(Duration::from_secs(3600));
        }
    });
    let waits = LockOptions::new().wait(Wait::For(Duration::from_secs(24 * 3600)));
    assert!(matches!(file_on(&fs.process()).lock(&waits), Err(Error::Timeout { .. })));
}

/// LOCK-10: a machine that was started again holds nothing, on its own disk; also on every disk that a power cut leaves.
#[test]
fn after_a_power_cut() {
    for dials in every_kind() {
        let fs = SimFs::new(dials);
        with_old(&fs);
        fs.settle();
        let _guard = file_on(&fs).lock(&no_wait()).unwrap();
        fs.power_cut();
        for disk in fs.possible_disks() {
            let waits = LockOptions::new().wait(Wait::For(LEASE * 3));
            let file = file_on(&disk.fs);
            drop(file.lock(&waits).unwrap_or_else(|e| panic!("{e}; {} on {dials:?}", disk.story)));
            if dials.kind == FsKind::Local {
                drop(file.lock(&no_wait()).unwrap());
            }
        }
    }
}

/// LOCK-11: nobody's release removes another's lock, and a guard whose lock was lost says so and writes nothing.
#[test]
fn a_release_looks_first() {
    for dials in every_kind() {
        let fs = SimFs::new(dials);
        with_old(&fs);
        let file = file_on(&fs);
        let guard = file.lock(&no_wait()).unwrap();
        let theirs = record(|_| {});
        fs.foreign().remove(HELD).unwrap();
        fs.foreign().create(HELD, theirs.as_bytes()).unwrap();
        let refused = guard.write(b"late", &WriteOptions::new());
        assert!(matches!(refused, Err(Error::LockLost { .. })), "{refused:?}");
        assert_eq!(guard.validity(), Validity::Lost);
        assert_eq!(fs.foreign().read("/a").unwrap(), b"old");
        drop(guard);
        assert_eq!(fs.foreign().read(HELD).unwrap(), theirs.as_bytes());
        assert_eq!(names(&fs), [".a.lock", ".a.lock.held", "a"], "{dials:?}");
    }
}

/// LOCK-11 (L8): a process that was stopped while its lock went to somebody else, and back to nobody, does not write either.
#[test]
fn a_late_holder_is_refused() {
    let fs = SimFs::new(Dials { flock: Flock::Missing, kind: FsKind::Network, range_locks: false, ..Dials::default() });
    with_old(&fs);
    let guard = file_on(&fs).lock(&no_wait()).unwrap();
    fs.foreign().remove(HELD).unwrap();
    let other = file_on(&fs.process());
    other.write(b"theirs", &WriteOptions::new()).unwrap();
    assert!(matches!(guard.write(b"late", &WriteOptions::new()), Err(Error::LockLost { .. })));
    drop(guard);
    assert_eq!(fs.foreign().read("/a").unwrap(), b"theirs");
    assert_eq!(names(&fs), [".a.lock", "a"]);
}

/// LOCK-10: whoever took the holder for dead, made the right over it and died itself, does not keep its lock held after the release, while
/// its process lives.
#[test]
fn a_release_under_a_dead_takers_right() {
    for dials in every_kind() {
        let fs = SimFs::new(dials);
        with_old(&fs);
        let guard = file_on(&fs).lock(&no_wait()).unwrap();
        let held = String::from_utf8(fs.foreign().read(HELD).unwrap()).unwrap();
        let held: serde_json::Value = serde_json::from_str(held.lines().next().unwrap()).unwrap();
        let right = format!("{HELD}.{}", held["id"].as_str().unwrap());
        fs.foreign().create(&right, record(|_| {}).as_bytes()).unwrap();
        drop(guard);
        let next = file_on(&fs.process()).lock(&no_wait()).unwrap_or_else(|e| panic!("{e}: {dials:?}"));
        drop(next);
        assert_eq!(names(&fs), [".a.lock", "a"], "{dials:?}");
    }
}

/// LOCK-10: takers that died one after the other, each with a right, and a holder that died while it released: the next one gets in, and
/// what they left is gone.
#[test]
fn the_dead_with_rights() {
    let dead = |id: &str| record(|r| r["id"] = id.into());
    let (a, b, c) = ("00000000000000aa", "00000000000000bb", "00000000000000cc");
    // What stands for what, in the order of the deaths: name, and whose record it is.
    let cases: [&[(&str, &str)]; 4] = [
        &[("", a), (a, b)],
        &[("", a), (a, b), (b, c)],
        // The holder's own right: it died before, or after, the first of the two was removed.
        &[("", a), (a, a)],
        &[("", a), (a, a), ("00000000000000aar", b)],
    ];
    for case in cases {
        for dials in every_kind() {
            let fs = SimFs::new(dials);
            with_old(&fs);
            for (over, id) in case {
                let name = if over.is_empty() { HELD.to_owned() } else { format!("{HELD}.{over}") };
                fs.foreign().create(name, dead(id).as_bytes()).unwrap();
            }
            let file = file_on(&fs);
            let guard = file.lock(&no_wait()).unwrap_or_else(|e| panic!("{e}: {case:?} on {dials:?}"));
            assert!(guard.recovered().is_some());
            drop(guard);
            assert_eq!(names(&fs), [".a.lock", "a"], "{case:?} on {dials:?}");
        }
    }
}

/// LOCK-10: what takers left who died before their end, and were in nobody's way since, goes when the next lock is taken over; what may be
/// somebody's stays.
#[test]
fn what_the_dead_left() {
    let fs = SimFs::new(Dials::default());
    with_old(&fs);
    let record = |id: &str, pid: u32| record(|r| (r["id"], r["pid"], r["start"]) = (id.into(), pid.into(), 0.into()));
    fs.foreign().create(HELD, record("00000000000000aa", 77).as_bytes()).unwrap();
    for (name, pid) in [("00000000000000cc", 78), ("00000000000000ddr", 79), ("00000000000000ee", 1000)] {
        fs.foreign().create(format!("{HELD}.{name}"), record("00000000000000bb", pid).as_bytes()).unwrap();
    }
    fs.foreign().create("/..a.lock.held.77-0123456789abcdef.tmp", record("00000000000000bb", 77).as_bytes()).unwrap();
    fs.foreign().create("/..a.lock.held.78-0123456789abcdef.tmp", b"").unwrap();
    fs.foreign().create(format!("{HELD}.note"), record("00000000000000bb", 77).as_bytes()).unwrap();
    drop(file_on(&fs.process()).lock(&no_wait()).unwrap());
    let left =
        ["..a.lock.held.78-0123456789abcdef.tmp", ".a.lock", ".a.lock.held.00000000000000ee", ".a.lock.held.note", "a"];
    assert_eq!(names(&fs), left);
}

/// LOCK-10: a living taker is not disturbed: who finds its right waits.
#[test]
fn a_living_taker_is_waited_for() {
    for dials in every_kind() {
        let fs = SimFs::new(dials);
        with_old(&fs);
        fs.foreign().create(HELD, record(|_| {}).as_bytes()).unwrap();
        let living = record(|r| (r["id"], r["pid"], r["start"]) = ("00000000000000bb".into(), 1000.into(), 0.into()));
        fs.foreign().create(format!("{HELD}.00000000000000aa"), living.as_bytes()).unwrap();
        let file = file_on(&fs.process());
        let waits = LockOptions::new().wait(Wait::For(LEASE * 3));
        assert!(matches!(file.lock(&waits), Err(Error::Timeout { .. })), "{dials:?}");
        assert_eq!(fs.foreign().read(HELD).unwrap(), record(|_| {}).as_bytes());
        fs.foreign().remove(format!("{HELD}.00000000000000aa")).unwrap();
        drop(file.lock(&LockOptions::new()).unwrap());
    }
}

/// LOCK-8: a wait that timed out leaves nothing behind, and does not get the lock later.
#[test]
fn a_wait_leaves_nothing() {
    for dials in every_kind() {
        let fs = SimFs::new(dials);
        with_old(&fs);
        let guard = file_on(&fs).lock(&no_wait()).unwrap();
        let late = file_on(&fs.process());
        let waits = LockOptions::new().wait(Wait::For(Duration::from_secs(2)));
        assert!(matches!(late.lock(&waits), Err(Error::Timeout { .. })));
        drop(guard);
        // The wait in the kernel may have the whole-file lock for a moment, and then gives it back.
        drop(file_on(&fs).lock(&LockOptions::new()).unwrap());
        super::support::until("the wait is gone", || names(&fs) == [".a.lock", "a"]);
    }
}

/// Locks, writes, releases; then once more.
fn scenario(fs: &SimFs) -> [bool; 2] {
    let file = engine_on(fs).file("/a");
    let write = |bytes: &[u8]| {
        let Ok(file) = &file else { return false };
        file.write(bytes, &WriteOptions::new()).is_ok()
    };
    [write(b"one"), write(b"two")]
}

fn check(fs: &SimFs, told: [bool; 2]) -> Result<(), String> {
    let found = fs.foreign().read("/a").map_err(|e| e.to_string())?;
    let allowed: &[&[u8]] = match told {
        [_, true] => &[b"two"],
        [true, false] => &[b"one", b"two"],
        [false, false] => &[b"old", b"one", b"two"],
    };
    if !allowed.contains(&&found[..]) {
        return Err(format!("{told:?}, and found {:?}", String::from_utf8_lossy(&found)));
    }
    let file = engine_on(fs).file("/a").map_err(|e| e.to_string())?;
    // Long enough for the silence of a machine on a network.
    let waits = WriteOptions::new().lock(LockOptions::new().wait(Wait::For(LEASE * 4)));
    file.write(b"next", &waits).map_err(|e| format!("the next start is blocked: {e}"))?;
    let left: Vec<_> = names(fs).into_iter().filter(|name| name.starts_with(".a.lock.held")).collect();
    if fs.calls() > 0 && left.iter().any(|name| name == ".a.lock.held") {
        return Err(format!("held for ever: {left:?}"));
    }
    Ok(())
}

/// Power cuts and kills on every kind of file system; errors, of which there are many more, on one of them in the quick set.
fn sweep(build: fn(&SimFs), with_errors: usize) {
    for dials in every_kind() {
        Sweep::on(dials).cuts(build, scenario, |fs, told| check(fs, *told)).assert_clean();
        Sweep::on(dials).kills(build, scenario, |fs, told| check(fs, *told)).assert_clean();
    }
    let kinds = every_kind();
    for dials in if is_full() { &kinds[..2] } else { &kinds[with_errors..=with_errors] } {
        // What was synced is on the disk; which of the rest are, is the other sweeps' affair.
        let dials = Dials { enumerate: 1, samples: 1, ..*dials };
        Sweep::on(dials).faults(build, scenario, |fs, told| check(fs, *told)).assert_clean();
    }
}

/// LOCK-10, LOCK-11, ATOM-4: power cut, kill and every error at every call of taking, writing under, and releasing a fallback lock: what was
/// acknowledged is there and the next one gets in. The quick set has the errors where there is a whole-file lock, too.
#[test]
fn mishaps() {
    sweep(with_old, 0);
}

/// LOCK-10: the same while a stale lock is taken over: two of the dead before. The quick set has the errors where there is no whole-file
/// lock; the scenario's second lock is a fresh one.
#[test]
fn mishaps_while_taking_over() {
    let two_of_the_dead = |fs: &SimFs| {
        with_old(fs);
        fs.foreign().create(HELD, record(|_| {}).as_bytes()).unwrap();
        let taker = record(|r| r["id"] = "00000000000000bb".into());
        fs.foreign().create(format!("{HELD}.00000000000000aa"), taker.as_bytes()).unwrap();
    };
    sweep(two_of_the_dead, 1);
}

/// LOCK-11, LOCK-3: whatever single call of taking, taking over or releasing fails, or reports a failure of what it did: when this process has
/// let go, another one gets in while this one lives.
#[test]
fn one_error_locks_nobody_out() {
    let builds: [fn(&SimFs); 2] = [with_old, |fs| {
        with_old(fs);
        fs.foreign().create(HELD, record(|_| {}).as_bytes()).unwrap();
    }];
    for dials in &every_kind()[..2] {
        for build in builds {
            let calls = |fault: Option<(u64, Fault)>| {
                let fs = SimFs::new(*dials);
                build(&fs);
                let file = file_on(&fs);
                fs.settle();
                if let Some((n, fault)) = fault {
                    fs.fail_call(n, fault);
                }
                let locked = file.lock(&no_wait()).map(drop);
                let calls = fs.calls();
                fs.heal();
                let next = file_on(&fs.process()).lock(&LockOptions::new().wait(Wait::For(Duration::from_secs(2))));
                assert!(
                    next.is_ok(),
                    "{fault:?} on {dials:?}: told {locked:?}, and the next: {next:?}\n{:#?}",
                    fs.trace()
                );
                calls
            };
            for n in 0..calls(None) {
                for fault in
                    [Fault::EIO, Fault::Late(std::io::ErrorKind::Other), Fault::Late(std::io::ErrorKind::AlreadyExists)]
                {
                    calls(Some((n, fault)));
                }
            }
        }
    }
}

/// LOCK-3 (L18): a link that happened and reports an error is found to have happened.
#[test]
fn a_link_that_happened_all_the_same() {
    let fs = SimFs::new(Dials { flock: Flock::Missing, kind: FsKind::Network, range_locks: false, ..Dials::default() });
    with_old(&fs);
    let file = file_on(&fs);
    fs.fail_verb(Verb::Link, Fault::Late(std::io::ErrorKind::AlreadyExists));
    let guard = file.lock(&no_wait()).unwrap();
    fs.heal();
    drop(guard);
    assert_eq!(names(&fs), [".a.lock", "a"]);
}

// --- Real processes ---

fn real(path: &Path) -> LatchFile {
    let mut policy = Policy::default();
    policy.lock = LockMode::File;
    Filelatch::builder().without_workspaces().defaults(policy).build().file(path).unwrap()
}

/// Takes the lock once for each line that it hears, and says what it saw.
pub(crate) fn meets(path: &str) {
    let path = Path::new(path);
    let (file, inside) = (real(path), path.with_extension("inside"));
    let options = LockOptions::new().wait(Wait::Forever);
    say("ready");
    while hear().is_some() {
        let guard = file.lock(&options).unwrap();
        // Whoever is alone in there can make it.
        let alone = std::fs::OpenOptions::new().write(true).create_new(true).open(&inside).is_ok();
        let recovered = guard.recovered().is_some();
        if alone {
            std::fs::remove_file(&inside).unwrap();
        }
        drop(guard);
        say(format!("{} {recovered}", if alone { "alone" } else { "NOT ALONE" }));
    }
}

/// LOCK-10 ⚠: eight processes meet one stale lock, again and again: one takes it over, never two hold it, and no living holder is robbed.
/// 400 rounds; 10,000 with `FILELATCH_FULL=1`.
#[test]
fn eight_processes_meet_a_stale_lock() {
    let rounds = if is_full() { 10_000 } else { 400 };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    std::fs::write(&path, "old").unwrap();
    // A lock as the dead leave it: taken by a process that was killed.
    let mut victim = Worker::start(&["hold-by-file", path.to_str().unwrap()]);
    victim.expect("held");
    victim.kill();
    let held = dir.path().join(".a.lock.held");
    let stale = std::fs::read_to_string(&held).unwrap();
    let mut workers: Vec<_> = (0..8).map(|_| Worker::start(&["meet", path.to_str().unwrap()])).collect();
    for worker in &mut workers {
        worker.expect("ready");
    }
    let old_id = stale.split("\"id\":\"").nth(1).unwrap()[..16].to_owned();
    for round in 0..rounds {
        if round > 0 {
            let id = format!("{round:016x}");
            std::fs::write(dir.path().join("made"), stale.replace(&old_id, &id)).unwrap();
            std::fs::rename(dir.path().join("made"), &held).unwrap();
        }
        for worker in &mut workers {
            worker.tell("go");
        }
        let said: Vec<_> = workers.iter_mut().map(|worker| worker.hear().unwrap()).collect();
        assert!(said.iter().all(|said| said.starts_with("alone ")), "round {round}: {said:?}");
        let recovered = said.iter().filter(|said| said.ends_with("true")).count();
        assert_eq!(recovered, 1, "round {round}: taken over by so many: {said:?}");
    }
    drop(workers);
    assert_eq!(litter(dir.path(), &["a"]), Vec::<String>::new());
}

/// LOCK-10: a process that is stopped in the middle of its work keeps its lock, however long.
#[cfg(target_os = "linux")]
#[test]
fn a_stopped_holder_is_alive() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let mut holder = Worker::start(&["hold-by-file", path.to_str().unwrap()]);
    holder.expect("held");
    let pid = rustix::process::Pid::from_raw(holder.pid().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let error = real(&path).lock(&super::support::waits(300)).unwrap_err();
    assert!(error.to_string().contains(&format!("pid {}", holder.pid())), "{error}");
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    holder.tell("release");
    holder.expect("released");
    drop(real(&path).lock(&LockOptions::new()).unwrap());
}

/// LOCK-3, P4: a holder of the fallback lock has the whole-file lock, too: those who use either exclude each other.
#[test]
fn beside_the_systems_lock() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let by_file = real(&path);
    let guard = by_file.lock(&no_wait()).unwrap();
    assert!(matches!(super::support::file(&path).lock(&no_wait()), Err(Error::Locked { .. })));
    drop(guard);
    let guard = super::support::file(&path).lock(&no_wait()).unwrap();
    assert!(matches!(real(&path).lock(&no_wait()), Err(Error::Locked { .. })));
    drop(guard);
}

/// VER-7: four processes and four threads in each add to one file under fallback locks; some are killed; nothing is lost.
#[test]
fn updates_under_fallback_locks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let mut workers: Vec<_> = (0..4).map(|_| Worker::start(&["count-by-file", path.to_str().unwrap(), "50"])).collect();
    let mut acknowledged = 0;
    for (i, worker) in workers.iter_mut().enumerate() {
        if i == 0 {
            for _ in 0..10 {
                worker.expect("counted");
            }
            worker.kill();
        }
        while let Some(said) = worker.hear() {
            assert_eq!(said, "counted");
            acknowledged += 1;
        }
    }
    acknowledged += 10;
    let count = super::support::count(&path);
    // The one that was killed may have had one change more in each of its threads.
    assert!((acknowledged..=acknowledged + 4).contains(&count), "{count} of {acknowledged}");
    assert!(acknowledged >= 3 * 200 + 10);
}

pub(crate) fn hold(path: &str) {
    let guard = real(Path::new(path)).lock(&LockOptions::new().wait(Wait::Forever)).unwrap();
    say("held");
    hear();
    drop(guard);
    say("released");
    hear();
}

pub(crate) fn count(path: &str, times: &str) {
    let file = real(Path::new(path));
    let times: usize = times.parse().unwrap();
    let options = WriteOptions::new().durability(filelatch::Durability::None);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..times {
                    super::support::increment(&file, &options).unwrap();
                    say("counted");
                }
            });
        }
    });
}
