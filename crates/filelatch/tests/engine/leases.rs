//! Leases: one holder at a time, lost in time, and a late holder's write refused (LOCK-13, P11).
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::fs;
#[cfg(target_os = "linux")]
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use filelatch::{
    CancelToken, Error, Filelatch, InheritedLease, LatchFile, Lease, LeaseOptions, Leases, LockScope, LockService,
    Validity, Wait, WriteOptions,
};
use filelatch_fs::sim::{Dials, SimFs};
use filelatch_fs::{FsKind, Host};
#[cfg(target_os = "linux")]
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::tempdir;

use super::support::*;

const SECOND: Duration = Duration::from_secs(1);

fn at_once<'a>() -> LeaseOptions<'a> {
    LeaseOptions::new().wait(Wait::No)
}

fn for_seconds<'a>(seconds: u64) -> LeaseOptions<'a> {
    at_once().max_hold(SECOND * u32::try_from(seconds).unwrap())
}

/// A write that does not wait.
fn write_now(file: &LatchFile, text: &str) -> Result<(), Error> {
    file.write(text.as_bytes(), &WriteOptions::new().lock(no_wait())).map(drop)
}

fn code<T>(result: Result<T, Error>) -> &'static str {
    result.map_or_else(|e| e.code(), |_| "ok")
}

// --- on a simulated machine: its clocks are the test's ---

struct Sim {
    fs: SimFs,
}

impl Sim {
    fn new(dials: Dials) -> Sim {
        let fs = SimFs::new(dials);
        fs.foreign().create("/f", b"old").unwrap();
        fs.settle();
        Sim { fs }
    }

    /// The file, as another process sees it.
    fn process(&self) -> LatchFile {
        on(&self.fs.process())
    }

    fn text(&self) -> String {
        String::from_utf8(self.fs.foreign().read("/f").unwrap()).unwrap()
    }

    fn record(&self) -> Value {
        serde_json::from_slice(&self.fs.foreign().read("/.f.lease").unwrap()).unwrap()
    }
}

fn on(fs: &SimFs) -> LatchFile {
    let engine = Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).session("me").without_workspaces();
    engine.build().file("/f").unwrap()
}

/// LOCK-13: one live lease, for processes and for threads; it is over by the clock, lost to its holder a margin before.
#[test]
fn one_at_a_time() {
    let sim = Sim::new(Dials::default());
    let (one, two) = (sim.process(), sim.process());
    let lease = one.lease(&for_seconds(10).purpose("import")).unwrap();
    assert_eq!((lease.validity(), lease.lost()), (Validity::Held, false));
    // A tenth is the margin, a second at most; and a tick has passed, so that the number lies in the past.
    let tick = Duration::from_millis(1);
    assert_eq!(lease.remaining(), (SECOND * 9).saturating_sub(tick));
    match two.lease(&at_once()) {
        Err(Error::Leased { holder, remaining, .. }) => {
            assert_eq!((holder.purpose.as_deref(), holder.confirmed), (Some("import"), true));
            assert_eq!(remaining, (SECOND * 10).saturating_sub(tick));
        }
        other => panic!("{other:?}"),
    }
    let state = two.lease_state().unwrap().unwrap();
    assert_eq!((state.token, state.remaining), (lease.token(), (SECOND * 10).saturating_sub(tick)));
    // Another owner of the same process is somebody else; the same one would wait for itself.
    assert_eq!(code(one.lease(&at_once().scope(&LockScope::new()))), "leased");
    assert!(matches!(one.lease(&LeaseOptions::new()), Err(Error::Reentrant { .. })));

    sim.fs.host().advance(lease.remaining().saturating_sub(tick));
    assert!(!lease.lost());
    sim.fs.host().advance(tick);
    assert!(lease.lost() && lease.validity() == Validity::Lost && lease.remaining().is_zero());
    assert_eq!(code(two.lease(&at_once())), "leased");
    assert_eq!(code(lease.write(b"late", &WriteOptions::new())), "lease-lost");
    assert_eq!(code(lease.renew()), "lease-lost");
    sim.fs.host().advance(SECOND);
    let next = two.lease(&at_once()).unwrap();
    assert!(next.token() > lease.token());
    next.write(b"next", &WriteOptions::new()).unwrap();
    match lease.write(b"late", &WriteOptions::new()) {
        Err(Error::LeaseLost { token, .. }) => assert_eq!(token, lease.token()),
        other => panic!("{other:?}"),
    }
    // Giving back what was lost does not touch the next holder's (LOCK-11).
    assert_eq!(code(lease.release()), "lease-lost");
    assert!(!next.lost());
    next.write(b"next again", &WriteOptions::new()).unwrap();
    assert_eq!(sim.text(), "next again");
    next.release().unwrap();
    assert_eq!(one.lease_state().unwrap(), None);
    write_now(&one, "free").unwrap();
}

/// LOCK-13: while a lease is live others' writes are refused or wait; its holder's go through; reads and strict locks are free.
#[test]
fn others_do_not_write() {
    let sim = Sim::new(Dials::default());
    let (holder, other) = (sim.process(), sim.process());
    let lease = holder.lease(&for_seconds(10)).unwrap();
    lease.write(b"1", &WriteOptions::new()).unwrap();
    for refused in [
        write_now(&other, "x"),
        other.update_bytes(&WriteOptions::new().lock(no_wait()), |_| Ok::<_, Error>(Some(b"x".to_vec()))).map(drop),
        other.writer(&WriteOptions::new()).unwrap().commit(&no_wait()).map(drop).map_err(|failed| failed.error),
        other.lock(&no_wait()).unwrap().write(b"x", &WriteOptions::new()).map(drop),
    ] {
        match refused {
            Err(Error::Leased { holder, .. }) => assert_eq!(holder.session.as_deref(), Some("me")),
            other => panic!("{other:?}"),
        }
    }
    // The holder itself, but not through its lease: waiting for itself would never end.
    assert!(matches!(holder.write(b"x", &WriteOptions::new()), Err(Error::Reentrant { .. })));
    assert_eq!(other.read().unwrap().bytes(), b"1");
    drop(other.lock_shared(&no_wait()).unwrap());
    lease.update_bytes(&WriteOptions::new(), |old| Ok::<_, Error>(Some([old.unwrap(), b"2"].concat()))).unwrap();
    {
        let guard = lease.lock(&no_wait()).unwrap();
        assert_eq!(guard.token(), Some(lease.token()));
        guard.write(b"{\n  // one\n  \"a\": 1\n}\n", &WriteOptions::new()).unwrap();
    }
    let json = WriteOptions::new().format(filelatch::doc::Format::Jsonc);
    let add = |document: &mut filelatch::doc::Document| {
        document.set("/b", 2.into()).unwrap();
        Ok::<_, Error>(())
    };
    lease.update_document(&json, add).unwrap();
    let set = |value: &mut Value| {
        value["a"] = 3.into();
        Ok::<_, Error>(())
    };
    lease.update_value(&json, set).unwrap();
    assert_eq!(sim.text(), "{\n  // one\n  \"a\": 3,\n  \"b\": 2\n}\n");

    // A wait ends with the lease: given back, or over (here its holder does nothing for ten seconds).
    let began = sim.fs.host().monotonic();
    let told = std::sync::Mutex::new(Vec::new());
    let tell = |waiting: &filelatch::Waiting<'_>| told.lock().unwrap().push(waiting.holders[0].pid);
    let options = WriteOptions::new().lock(waits(20_000).on_wait(&tell));
    other.write(b"mine", &options).unwrap();
    let waited = sim.fs.host().monotonic().saturating_sub(began);
    assert!(waited >= SECOND * 9 && waited < SECOND * 15, "{waited:?}");
    assert!(told.lock().unwrap().len() > 5, "{told:?}");
    assert_eq!(code(lease.write(b"late", &WriteOptions::new())), "lease-lost");
    assert_eq!(sim.text(), "mine");

    let lease = holder.lease(&for_seconds(10)).unwrap();
    assert!(matches!(
        other.write(b"x", &WriteOptions::new().lock(waits(500))),
        Err(Error::Leased { remaining, .. }) if remaining < SECOND * 10
    ));
    let cancelled = CancelToken::new();
    cancelled.cancel();
    assert_eq!(code(other.write(b"x", &WriteOptions::new().lock(waits(500).cancel(&cancelled)))), "cancelled");
    assert_eq!(code(other.lease(&LeaseOptions::new().cancel(&cancelled))), "cancelled");
    drop(lease);
    write_now(&other, "y").unwrap();
}

/// LOCK-13: a renewal begins the time anew; a lease is renewed past its first end as often as one likes, and not once it is lost.
#[test]
fn renewal() {
    let sim = Sim::new(Dials::default());
    let (one, two) = (sim.process(), sim.process());
    let lease = one.lease(&for_seconds(10)).unwrap();
    for _ in 0..5 {
        sim.fs.host().advance(SECOND * 8);
        lease.renew().unwrap();
        assert_eq!(lease.remaining(), SECOND * 9);
        assert_eq!(code(two.lease(&at_once())), "leased");
    }
    // L12: a renewal that fails is no loss.
    sim.fs.host().advance(SECOND * 5);
    sim.fs.fail_verb(filelatch_fs::sim::Verb::SyncFile, filelatch_fs::sim::Fault::EIO);
    assert_eq!(code(lease.renew()), "io");
    sim.fs.heal();
    assert_eq!(lease.remaining(), SECOND * 4);
    lease.renew().unwrap();
    assert_eq!(lease.remaining(), SECOND * 9);
    // Nobody else came, but others may have written: what is over stays over.
    sim.fs.host().advance(SECOND * 9);
    assert_eq!(code(lease.renew()), "lease-lost");
    sim.fs.host().advance(SECOND * 9);
    write_now(&two, "other").unwrap();
    assert_eq!(code(lease.renew()), "lease-lost");
    assert_eq!(code(lease.write(b"late", &WriteOptions::new())), "lease-lost");
}

/// LOCK-13 (L10): the wall clock is nobody's judge: set back or forward it ends no lease, makes none longer, and the number grows.
#[test]
fn wall_clock() {
    let sim = Sim::new(Dials::default());
    let (one, two) = (sim.process(), sim.process());
    let host = sim.fs.host();
    let now = host.now();
    let first = one.lease(&for_seconds(10)).unwrap();
    host.set_now(now + SECOND * 100_000);
    assert!(!first.lost() && two.lease(&at_once()).is_err());
    host.set_now(SystemTime::UNIX_EPOCH + SECOND);
    assert!(!first.lost() && two.lease(&at_once()).is_err());
    host.set_monotonic(host.monotonic() + SECOND * 10);
    assert!(first.lost());
    let second = two.lease(&for_seconds(10)).unwrap();
    assert!(second.token() > first.token(), "{} {}", first.token(), second.token());
}

/// LOCK-13 (L10): the machine sleeps: the clock that runs on in suspend jumps, and the lease is over when it wakes.
#[test]
fn suspend() {
    let sim = Sim::new(Dials::default());
    let (one, two) = (sim.process(), sim.process());
    let lease = one.lease(&for_seconds(30)).unwrap();
    let host = sim.fs.host();
    host.set_monotonic(host.monotonic() + SECOND * 3600);
    assert!(lease.lost());
    assert_eq!(
        code(lease.update_bytes(&WriteOptions::new(), |_| -> Result<_, Error> { panic!("must not run") })),
        "lease-lost"
    );
    two.lease(&at_once()).unwrap().write(b"two", &WriteOptions::new()).unwrap();
    assert_eq!(sim.text(), "two");
}

/// LOCK-13: the number grows across releases, restarts and reboots, a lost lease file, and a clock that was set back.
#[test]
fn numbers_only_grow() {
    let sim = Sim::new(Dials::default());
    let host = sim.fs.host();
    let mut last = 0;
    let mut grows = |lease: &Lease, what: &str| {
        assert!(lease.token() > last, "{what}: {} after {last}", lease.token());
        last = lease.token();
    };
    let one = sim.process();
    for _ in 0..20 {
        grows(&one.lease(&at_once()).unwrap(), "released");
    }
    grows(&sim.process().lease(&at_once()).unwrap(), "another process");
    sim.fs.foreign().remove("/.f.lease").unwrap();
    grows(&sim.process().lease(&at_once()).unwrap(), "the file is lost, the clock is right");
    sim.fs.foreign().remove("/.f.lease").unwrap();
    grows(&one.lease(&at_once()).unwrap(), "the file is lost again");
    // The clock is set back as well: this process remembers…
    host.set_now(SystemTime::UNIX_EPOCH + SECOND);
    sim.fs.foreign().remove("/.f.lease").unwrap();
    let lease = one.lease(&at_once()).unwrap();
    grows(&lease, "the file is lost, the clock set back, the process the same");
    // …and what was written under a lease does.
    lease.write(b"fenced", &WriteOptions::new()).unwrap();
    lease.release().unwrap();
    sim.fs.foreign().remove("/.f.lease").unwrap();
    grows(&sim.process().lease(&at_once()).unwrap(), "nobody remembers but the file that was written");
    // Torn, zeroed: as if lost.
    for damaged in [&b"{\"v\":1,\"tok"[..], &[0; 100]] {
        let lease = one.lease(&at_once()).unwrap();
        grows(&lease, "before damage");
        sim.fs.foreign().overwrite("/.f.lease", damaged).unwrap();
        assert_eq!(code(lease.write(b"late", &WriteOptions::new())), "lease-lost");
        drop(lease);
        let lease = one.lease(&at_once()).unwrap();
        grows(&lease, "after damage");
    }
    // A reboot, the clock still wrong; a holder of the boot before is dead.
    let held = one.lease(&for_seconds(3600)).unwrap();
    grows(&held, "before the reboot");
    sim.fs.power_cut();
    let disks: Vec<_> = sim.fs.possible_disks().collect();
    assert!(!disks.is_empty());
    for disk in disks {
        disk.fs.host().set_now(SystemTime::UNIX_EPOCH + SECOND);
        let lease = on(&disk.fs).lease(&at_once()).unwrap();
        assert!(lease.token() > last, "{} after {last}: {}", lease.token(), disk.story);
    }
}

/// LOCK-13: a number that can't grow any more is an error, not a second grant of the same one.
#[test]
fn the_last_number() {
    let sim = Sim::new(Dials::default());
    drop(sim.process().lease(&at_once()).unwrap());
    let mut record = sim.record();
    record["token"] = u64::MAX.into();
    sim.fs.foreign().overwrite("/.f.lease", record.to_string().as_bytes()).unwrap();
    assert_eq!(code(sim.process().lease(&at_once())), "unrecovered");
}

/// LOCK-13 (L7): a holder that was killed has no lease any more, at once; a pid that another process has by now proves nothing.
#[test]
fn dead_holders() {
    let sim = Sim::new(Dials::default());
    for reuse in [false, true] {
        let process = sim.fs.process();
        let lease = on(&process).lease(&for_seconds(3600)).unwrap();
        let other = sim.process();
        assert_eq!(code(other.lease(&at_once())), "leased");
        process.kill();
        if reuse {
            sim.fs.host().start_process(process.pid());
        }
        write_now(&other, "mine").unwrap();
        let next = other.lease(&at_once()).unwrap();
        assert!(next.token() > lease.token());
        sim.fs.host().end_process(process.pid());
    }
}

/// LOCK-13 (L10): the holder is on another machine: its clock and its pids say nothing here. Only when its record stood still for its
/// length and a margin, by our clock, is it over; each renewal begins that anew.
#[test]
fn another_machine() {
    let sim = Sim::new(Dials { kind: FsKind::Network, ..Dials::default() });
    let there = sim.process();
    // Its boot is another, and its clock far ahead.
    let lease = there.lease(&for_seconds(10)).unwrap();
    let mut record = sim.record();
    (record["boot"], record["host"]) = ("theirs".into(), "there".into());
    let publish = |record: &Value| sim.fs.foreign().overwrite("/.f.lease", record.to_string().as_bytes()).unwrap();
    for expires in [1u64, 999_999_999] {
        record["expires"] = expires.into();
        publish(&record);
        let here = sim.process();
        let host = sim.fs.host();
        assert_eq!(code(here.lease(&at_once())), "leased");
        host.advance(SECOND * 10);
        assert_eq!(code(write_now(&here, "x")), "leased");
        record["expires"] = (expires + 1).into();
        publish(&record);
        assert_eq!(code(here.lease(&at_once())), "leased", "renewed");
        host.advance((SECOND * 11).saturating_sub(Duration::from_millis(1)));
        assert_eq!(code(here.lease(&at_once())), "leased");
        host.advance(Duration::from_millis(1));
        let mine = here.lease(&at_once()).unwrap();
        assert!(mine.token() > lease.token());
        record["token"] = (mine.token() + 1).into();
        drop(mine);
    }
}

/// LOCK-13, LOCK-19: what is not ours at the lease file's name is never followed, written or replaced, and keeps nobody from writing;
/// only a lease can't be had.
#[test]
fn foreign_lease_files() {
    let sim = Sim::new(Dials::default());
    let foreign = sim.fs.foreign();
    let refused = |what: &str| {
        let file = sim.process();
        match file.lease(&at_once()) {
            Err(Error::BadLeaseFile { what: said, path }) => {
                assert_eq!((said, path.to_str()), (what, Some("/.f.lease")));
            }
            other => panic!("{other:?}"),
        }
        write_now(&file, what).unwrap();
        assert_eq!(file.lease_state().unwrap(), None);
    };
    for content in [&b""[..], b"my own notes on leases", &[b'x'; 5000], &[0; 5000]] {
        foreign.create("/.f.lease", content).unwrap();
        refused("no lease file of filelatch's");
        assert_eq!(foreign.read("/.f.lease").unwrap(), content);
        foreign.remove("/.f.lease").unwrap();
    }
    foreign.create("/victim", b"precious").unwrap();
    for target in ["victim", "nowhere"] {
        foreign.symlink(target, "/.f.lease").unwrap();
        refused("a symbolic link");
        foreign.remove("/.f.lease").unwrap();
    }
    assert_eq!(foreign.read("/victim").unwrap(), b"precious");
    foreign.mkfifo("/.f.lease").unwrap();
    refused("a FIFO, socket or device");
    foreign.remove("/.f.lease").unwrap();
    foreign.create_dirs("/.f.lease").unwrap();
    refused("a directory");
}

/// LOCK-13 (L20): a lease of a newer filelatch is not understood, so nothing is written or leased, and it stays as it is.
#[test]
fn newer_lease_files() {
    let sim = Sim::new(Dials::default());
    let newer = b"{\"v\":2,\"token\":5,\"shape\":\"something new\"}\n";
    sim.fs.foreign().create("/.f.lease", newer).unwrap();
    let file = sim.process();
    assert_eq!(code(file.lease(&at_once())), "unrecovered");
    assert_eq!(code(write_now(&file, "x")), "unrecovered");
    assert_eq!(sim.fs.foreign().read("/.f.lease").unwrap(), newer);
    assert_eq!(sim.text(), "old");
}

/// LOCK-13: a program that removes or replaces the lease file takes the lease away: what is written under it afterwards is refused.
#[test]
fn a_lease_file_that_vanishes() {
    let sim = Sim::new(Dials::default());
    let file = sim.process();
    for what in ["removed", "replaced"] {
        let lease = file.lease(&for_seconds(10)).unwrap();
        if what == "removed" {
            sim.fs.foreign().remove("/.f.lease").unwrap();
        } else {
            sim.fs.foreign().replace("/.f.lease", b"mine").unwrap();
        }
        assert_eq!(code(lease.write(b"x", &WriteOptions::new())), "lease-lost", "{what}");
        assert!(lease.lost(), "known from then on");
        drop(lease);
        assert_eq!(sim.text(), "old");
    }
    assert_eq!(sim.fs.foreign().read("/.f.lease").unwrap(), b"mine");
}

/// LOCK-13: a write that takes so long that the lease is over before the swap is refused at the swap.
#[test]
fn lost_while_writing() {
    let sim = Sim::new(Dials::default());
    let lease = sim.process().lease(&for_seconds(10)).unwrap();
    let host = sim.fs.host();
    let late = lease.update_bytes(&WriteOptions::new(), |_| {
        host.advance(SECOND * 9);
        Ok::<_, Error>(Some(b"late".to_vec()))
    });
    assert_eq!(code(late), "lease-lost");
    assert_eq!(sim.text(), "old");
    let names = sim.fs.foreign().names("/").unwrap();
    assert_eq!(names, [".f.lease", ".f.lock", "f"], "nothing is left of it");
}

/// LOCK-13: a program that was started under a lease writes under it, for as long as it is the current one.
#[test]
fn inherited() {
    let sim = Sim::new(Dials::default());
    let lease = sim.process().lease(&for_seconds(10)).unwrap();
    let heir = || {
        let fs = sim.fs.process();
        let engine = Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).without_workspaces().build();
        engine.inherit_leases([InheritedLease { resource: lease.resource_name(), token: lease.token() }]);
        engine.file("/f").unwrap()
    };
    let file = heir();
    write_now(&file, "heir").unwrap();
    file.lock(&no_wait()).unwrap().write(b"heir 2", &WriteOptions::new()).unwrap();
    assert!(matches!(file.lease(&LeaseOptions::new()), Err(Error::HeldByParent { .. })));
    assert_eq!(code(write_now(&sim.process(), "stranger")), "leased");
    sim.fs.host().advance(SECOND * 10);
    assert_eq!(code(write_now(&file, "late")), "lease-lost");
    assert_eq!(code(file.lock(&no_wait()).unwrap().write(b"late", &WriteOptions::new())), "lease-lost");
    let next = sim.process().lease(&at_once()).unwrap();
    match write_now(&heir(), "late") {
        Err(Error::LeaseLost { current, holder: Some(_), .. }) => assert_eq!(current, Some(next.token())),
        other => panic!("{other:?}"),
    }
    drop(next);
    assert_eq!(code(write_now(&heir(), "late")), "lease-lost");
    assert_eq!(sim.text(), "heir 2");
}

/// LOCK-13 (P12): what a command left running does not write through a lease that was given back, although its time is not over.
#[test]
fn inherited_and_given_back() {
    let sim = Sim::new(Dials::default());
    let lease = sim.process().lease(&for_seconds(10)).unwrap();
    let fs = sim.fs.process();
    let engine = Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).without_workspaces().build();
    engine.inherit_leases([InheritedLease { resource: lease.resource_name(), token: lease.token() }]);
    let heir = engine.file("/f").unwrap();
    write_now(&heir, "in time").unwrap();
    drop(lease);
    assert_eq!(code(write_now(&heir, "late")), "lease-lost");
    assert_eq!(sim.text(), "in time");
}

/// LOCK-13 (P11): code that is written for locks as a service runs with leases; a number comes with them.
#[test]
fn as_a_service() {
    let sim = Sim::new(Dials::default());
    let engine = Filelatch::builder().fs(sim.fs.as_fs()).host(Arc::new(sim.fs.host())).without_workspaces().build();
    let service: Box<dyn LockService> = Box::new(Leases::new(&engine, SECOND * 10));
    let path = Path::new("/f");
    let held = service.acquire(path, &no_wait()).unwrap();
    assert!(held.is_held() && held.token().is_some() && held.path() == path);
    assert!(service.is_locked(path).unwrap());
    let other = no_wait().scope(&LockScope::new());
    assert_eq!(code(service.acquire(path, &other)), "leased");
    assert_eq!(code(service.acquire(path, &no_wait())), "held-by-parent");
    assert_eq!(code(service.acquire_shared(path, &other)), "io");
    sim.fs.host().advance(SECOND * 9);
    assert_eq!((held.validity(), held.is_held()), (Validity::Lost, false));
    sim.fs.host().advance(SECOND);
    let next = service.acquire(path, &other).unwrap();
    assert!(next.token() > held.token());
}

/// LOCK-13: with locks switched off there are no leases, and nothing is compared.
#[test]
fn locks_off() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    let lease = file(&path).lease(&at_once()).unwrap();
    let mut policy = filelatch::Policy::default();
    policy.locks = false;
    let off = Filelatch::builder().without_workspaces().defaults(policy).build().file(&path).unwrap();
    assert_eq!(code(off.lease(&at_once())), "io");
    off.write(b"emergency", &WriteOptions::new()).unwrap();
    drop(lease);
}

// --- on the real machine ---

/// The lease of a worker, which writes when it is told to.
pub(crate) fn holder(path: &str, hold: &str) {
    let file = file(Path::new(path));
    let hold = Duration::from_millis(hold.parse().unwrap());
    let lease = file.lease(&LeaseOptions::new().max_hold(hold)).unwrap();
    say(format!("leased {}", lease.token()));
    while let Some(order) = hear() {
        match order.as_str() {
            "write" => say(code(lease.write(b"the worker's", &WriteOptions::new()))),
            "slow" => say(code(lease.update_bytes(&WriteOptions::new(), |_| {
                say("inside");
                hear();
                Ok::<_, Error>(Some(b"the worker's".to_vec()))
            }))),
            "lost" => say(lease.wait_lost(PATIENCE)),
            _ => break,
        }
    }
}

fn leased(path: &Path, hold: &str) -> (Worker, u64) {
    let mut worker = Worker::start(&["lease", path.to_str().unwrap(), hold]);
    let said = worker.hear().unwrap();
    let token = said.strip_prefix("leased ").unwrap().parse().unwrap();
    (worker, token)
}

/// Stops a worker, and waits until each of its threads is.
#[cfg(target_os = "linux")]
fn stop(worker: &Worker) {
    kill_process(Pid::from_child(&worker.child), Signal::STOP).unwrap();
    until("all its threads are stopped", || {
        let threads = fs::read_dir(format!("/proc/{}/task", worker.pid())).unwrap();
        threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("stat")).unwrap()).all(|stat| {
            // The name in parentheses may hold anything.
            stat.rsplit_once(") ").unwrap().1.starts_with('T')
        })
    });
}

#[cfg(target_os = "linux")]
fn go_on(worker: &Worker) {
    kill_process(Pid::from_child(&worker.child), Signal::CONT).unwrap();
}

/// LOCK-13: a holder is stopped (SIGSTOP) past the end of its lease; another takes over and writes; the holder goes on and its write is
/// refused: the file has the other's content.
#[cfg(target_os = "linux")]
#[test]
fn stopped_and_overtaken() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    let here = file(&path);
    let (mut worker, token) = leased(&path, "300");
    assert_eq!(code(here.lease(&at_once())), "leased");
    stop(&worker);
    // Waits for it in the pipe.
    worker.tell("write");
    let mine = here.lease(&LeaseOptions::new().wait(Wait::For(PATIENCE))).unwrap();
    assert!(mine.token() > token);
    mine.write(b"mine", &WriteOptions::new()).unwrap();
    go_on(&worker);
    worker.expect("lease-lost");
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    mine.write(b"mine, still", &WriteOptions::new()).unwrap();
    worker.finish();
    assert_eq!(fs::read(&path).unwrap(), b"mine, still");
}

/// LOCK-13 (P11): a holder that is stopped while it writes has the strict lock: nobody takes over, they time out and name it. When it
/// goes on its time is over, and its write is refused all the same.
#[cfg(target_os = "linux")]
#[test]
fn stopped_inside_a_write() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "old").unwrap();
    let here = file(&path);
    let (mut worker, _) = leased(&path, "300");
    worker.tell("slow");
    worker.expect("inside");
    stop(&worker);
    until("its time is over", || here.lease_state().unwrap().is_none());
    match here.lease(&LeaseOptions::new().wait(Wait::For(Duration::from_millis(50)))) {
        Err(Error::Timeout { holders, .. }) => assert_eq!(holders[0].pid, Some(worker.pid())),
        other => panic!("{other:?}"),
    }
    go_on(&worker);
    worker.tell("go on");
    worker.expect("lease-lost");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    drop(here.lease(&LeaseOptions::new()).unwrap());
    worker.finish();
}

/// LOCK-13: a holder that is killed leaves its lease to the next at once, however long it was for.
#[test]
fn killed_holder() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    let here = file(&path);
    let (mut worker, token) = leased(&path, "3600000");
    let refused = here.lease(&at_once()).unwrap_err();
    assert!(refused.to_string().contains(&format!("pid {}", worker.pid())), "{refused}");
    worker.kill();
    write_now(&here, "x").unwrap();
    assert!(here.lease(&at_once()).unwrap().token() > token);
}

/// LOCK-13: the loss is told in time: before anybody else can have the lease.
#[test]
fn told_of_the_loss() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    let (mut worker, _) = leased(&path, "400");
    worker.tell("lost");
    let mine = file(&path).lease(&LeaseOptions::new().wait(Wait::For(PATIENCE))).unwrap();
    worker.expect("true");
    worker.finish();
    assert!(!mine.wait_lost(Duration::ZERO));
}

/// LOCK-13: renewed in the background, a lease has its end put off again and again, until it is given back. Several share one thread.
#[test]
fn kept_renewed() {
    let dir = tempdir().unwrap();
    let engine = engine();
    let kept = LeaseOptions::new().max_hold(SECOND * 6).keep_renewed();
    let files: Vec<_> = (0..3).map(|i| engine.file(dir.path().join(format!("f{i}"))).unwrap()).collect();
    let leases: Vec<_> = files.iter().map(|file| file.lease(&kept).unwrap()).collect();
    let end = |i: usize| {
        let record: Value =
            serde_json::from_slice(&fs::read(dir.path().join(format!(".f{i}.lease"))).unwrap()).unwrap();
        record["expires"].as_u64().unwrap()
    };
    for _ in 0..2 {
        let before = [0, 1, 2].map(end);
        until("each is renewed", || (0..3).all(|i| end(i) > before[i]));
    }
    let other = file(&dir.path().join("f1"));
    assert_eq!(code(other.lease(&at_once())), "leased");
    for lease in leases {
        lease.write(b"x", &WriteOptions::new()).unwrap();
        lease.release().unwrap();
    }
    let mine = other.lease(&at_once().max_hold(Duration::from_millis(100))).unwrap();
    until("nobody renews what was given back", || mine.lost());
}

/// Takes and gives back leases, and leaves its mark under each: nobody else's may come in between.
fn rounds(file: &LatchFile, rounds: u32) {
    let options = LeaseOptions::new().wait(Wait::For(PATIENCE));
    let write = WriteOptions::new().durability(filelatch::Durability::None);
    for _ in 0..rounds {
        let lease = file.lease(&options).unwrap();
        let mark = lease.token().to_string();
        let last = file.try_read().unwrap().map_or(0, |s| std::str::from_utf8(s.bytes()).unwrap().parse().unwrap());
        assert!(lease.token() > last, "{} after {last}", lease.token());
        lease.write(mark.as_bytes(), &write).unwrap();
        assert_eq!(lease.read().unwrap().bytes(), mark.as_bytes(), "two holders");
        lease.release().unwrap();
    }
}

pub(crate) fn racer(path: &str, times: &str) {
    rounds(&file(Path::new(path)), times.parse().unwrap());
}

/// LOCK-13: two processes want one lease a thousand times: each number is greater than all before, and nobody is inside with another.
#[test]
fn race() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("f");
    let workers: Vec<_> = (0..2).map(|_| Worker::start(&["lease-race", path.to_str().unwrap(), "500"])).collect();
    for worker in workers {
        worker.finish();
    }
    assert_eq!(litter(dir.path(), &["f", ".f.lease"]), [""; 0]);
}

/// LOCK-13: the lease file belongs to those who may use the lock file; a name too long for a suffix is shortened as there; a link or
/// another's file is not followed.
#[cfg(target_os = "linux")]
#[test]
fn lease_files() {
    let dir = tempdir().unwrap();
    for (data, mode) in [(None, 0o600), (Some(0o644), 0o600), (Some(0o664), 0o660), (Some(0o666), 0o666)] {
        let path = dir.path().join(format!("f{:o}", data.unwrap_or(0)));
        if let Some(data) = data {
            fs::write(&path, "x").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(data)).unwrap();
            if is_root() {
                std::os::unix::fs::chown(&path, Some(1234), Some(5678)).unwrap();
            }
        }
        let lease = file(&path).lease(&at_once()).unwrap();
        lease.renew().unwrap();
        let name = format!(".{}.lease", path.file_name().unwrap().to_str().unwrap());
        let made = fs::metadata(dir.path().join(name)).unwrap();
        assert_eq!(made.mode() & 0o7777, mode);
        if data.is_some() && is_root() {
            assert_eq!((made.uid(), made.gid()), (1234, 5678));
        }
    }
    let long = dir.path().join("x".repeat(255));
    let lease = file(&long).lease(&at_once()).unwrap();
    lease.write(b"x", &WriteOptions::new()).unwrap();
    assert_eq!(code(file(&long).lease(&at_once())), "leased");
    let path = dir.path().join("linked");
    symlink("victim", dir.path().join(".linked.lease")).unwrap();
    assert_eq!(code(file(&path).lease(&at_once())), "bad-lease-file");
    assert!(!dir.path().join("victim").exists());
}
