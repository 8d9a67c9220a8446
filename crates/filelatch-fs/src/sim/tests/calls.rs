//! Counting, faults, hooks, processes, clocks.

use std::io::ErrorKind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::host::Host;
use crate::sim::{Fault, SimHost, Verb, is_killed};
use crate::types::{Access, WriterProbe};

/// TEST-3: every call is counted and told, also one that reads.
#[test]
fn calls_are_counted_and_traced() {
    let fs = with_file("/f", b"x");
    let file = root(&fs).open("f".as_ref(), Access::Read).unwrap();
    file.stat().unwrap();
    file.read_at(&mut [0; 4], 0).unwrap();
    assert_eq!(fs.calls(), 4);
    let wanted = ["#0 [1000] OpenDir /", "#1 [1000] Open /f", "#2 [1000] StatFile /f", "#3 [1000] ReadAt /f (0+4)"];
    assert_eq!(fs.trace(), wanted);
    fs.foreign().read("/f").unwrap();
    assert_eq!(fs.calls(), 4, "others are not counted");
}

/// TEST-3: errors once, from some call on where they are conceivable, and for a verb.
#[test]
fn faults_hit_what_they_were_ordered_for() {
    let fs = with_file("/f", b"x");
    let file = root(&fs).open("f".as_ref(), Access::ReadWrite).unwrap();
    fs.fail_call(fs.calls() + 1, Fault::EIO);
    file.stat().unwrap();
    let error = file.stat().unwrap_err();
    #[cfg(unix)]
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    assert!(!error.to_string().is_empty());
    file.stat().unwrap();

    fs.fail_from(0, ErrorKind::StorageFull);
    assert_eq!(file.write_at(b"y", 0).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.read_at(&mut [0; 4], 0).unwrap(), 1, "a full disk can be read");
    fs.heal();

    fs.fail_verb(Verb::Rename, ErrorKind::CrossesDevices);
    let dir = root(&fs);
    assert_eq!(dir.rename("f".as_ref(), "g".as_ref()).unwrap_err().kind(), ErrorKind::CrossesDevices);
    fs.heal();
    assert_eq!(fs.faults_hit(), 3);
    assert_eq!(fs.foreign().read("/f").unwrap(), b"x");
}

/// L29: an error may be reported although it happened.
#[test]
fn a_late_error_has_happened() {
    let fs = with_file("/f", b"x");
    fs.fail_verb(Verb::Rename, Fault::Late(ErrorKind::Other));
    root(&fs).rename("f".as_ref(), "g".as_ref()).unwrap_err();
    assert_eq!(fs.foreign().names("/").unwrap(), ["g"]);
    fs.fail_verb(Verb::Open, Fault::Late(ErrorKind::Other));
    root(&fs).open("g".as_ref(), Access::Read).unwrap_err();
}

/// L36: writes and reads may be short; who goes on loses nothing.
#[test]
fn short_writes() {
    let fs = with_file("/f", b"");
    fs.fail_from(0, Fault::Short(3));
    let file = root(&fs).open("f".as_ref(), Access::ReadWrite).unwrap();
    assert_eq!(file.write_at(b"1234567", 0).unwrap(), 3);
    write_all_at(&*file, b"1234567", 0).unwrap();
    assert_eq!(crate::fs::read_to_end(&*file, 100).unwrap(), b"1234567");
}

/// L36: a disk with an end takes what fits, and then nothing.
#[test]
fn capacity() {
    let fs = SimFs::new(Dials { capacity: Some(10), ..Dials::default() });
    fs.foreign().create("/a", b"1234").unwrap();
    let file = root(&fs).create_new("b".as_ref(), 0o600).unwrap();
    assert_eq!(file.write_at(b"12345678", 0).unwrap(), 6);
    assert_eq!(file.write_at(b"78", 6).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.write_at(b"zz", 0).unwrap(), 2, "what is there can be written over");
    fs.foreign().remove("/a").unwrap();
    assert_eq!(file.write_at(b"78", 6).unwrap(), 2);
}

/// TEST-3: another program acts exactly between two calls, uncounted.
#[test]
fn a_hook_interleaves() {
    let fs = with_file("/f", b"1");
    let dir = root(&fs);
    fs.on_call(fs.calls() + 1, |outside| outside.foreign().replace("/f", b"2").unwrap());
    let before = dir.open("f".as_ref(), Access::Read).unwrap();
    let after = dir.open("f".as_ref(), Access::Read).unwrap();
    assert_ne!(before.stat().unwrap().id, after.stat().unwrap().id);
    assert_eq!(crate::fs::read_to_end(&*before, 9).unwrap(), b"1");
    assert_eq!(crate::fs::read_to_end(&*after, 9).unwrap(), b"2");
    assert_eq!(before.stat().unwrap().nlink, 0);
}

/// TEST-3: an observer is told of each call before it happens, and may use the file system, by any handle.
#[test]
fn an_observer_sees_every_call() {
    let fs = with_file("/f", b"1");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (own, notes) = (fs.process(), Arc::clone(&seen));
    fs.observe(move |outside, call| {
        let there = outside.foreign().read("/f").is_ok();
        own.stat("/".as_ref()).unwrap();
        notes.lock().unwrap().push((call.verb, call.names("f"), there));
    });
    root(&fs).remove("f".as_ref()).unwrap();
    root(&fs);
    fs.unhook();
    root(&fs);
    let wanted = [(Verb::OpenDir, false, true), (Verb::Remove, true, true), (Verb::OpenDir, false, false)];
    assert_eq!(*seen.lock().unwrap(), wanted);
    assert_eq!(fs.calls(), 4);
}

/// A scheduler holds a process by blocking in the observer; meanwhile another one runs.
#[test]
fn an_observer_may_hold_a_process() {
    let fs = with_file("/f", b"1");
    let (held, other) = (fs.process(), fs.process());
    let gate = Arc::new(std::sync::Barrier::new(2));
    let (door, who) = (Arc::clone(&gate), held.pid());
    fs.observe(move |_, call| {
        if call.pid == who {
            door.wait();
            door.wait();
        }
    });
    std::thread::scope(|scope| {
        let stat = scope.spawn(|| held.stat("/f".as_ref()));
        gate.wait();
        root(&other).remove("f".as_ref()).unwrap();
        gate.wait();
        assert_eq!(stat.join().unwrap().unwrap_err().kind(), ErrorKind::NotFound);
    });
}

/// TEST-3: a killed process makes no more calls; what it wrote stays visible, and is as undurable as before.
#[test]
fn a_killed_process_is_gone() {
    let fs = with_file("/f", b"1");
    let file = root(&fs).open("f".as_ref(), Access::ReadWrite).unwrap();
    write_all_at(&*file, b"2", 0).unwrap();
    let start = fs.host().facts().start;
    fs.kill();
    assert!(is_killed(&file.stat().unwrap_err()));
    assert!(is_killed(&fs.open_dir("/".as_ref()).unwrap_err()));
    let next = fs.process();
    assert_eq!(next.foreign().read("/f").unwrap(), b"2");
    assert_eq!(outcomes(&next, "/f"), set([Some(b"1"), Some(b"2")]));

    let host = next.host();
    assert_eq!(host.start_of(fs.pid()).unwrap(), None);
    let heir = next.process_with_pid(fs.pid());
    assert_eq!(heir.pid(), fs.pid());
    assert_ne!(heir.host().facts().start, start, "L7: the same pid, another process");
}

/// VER-11 (P5.3): whoever can write is seen, whatever the file is called by now.
#[test]
fn writers_are_seen() {
    let fs = with_file("/f", b"1");
    let probe = root(&fs).open("f".as_ref(), Access::Read).unwrap();
    assert_eq!(probe.probe_writers().unwrap(), WriterProbe::None);
    let late = fs.foreign().open("/f", Access::ReadWrite).unwrap();
    fs.foreign().remove("/f").unwrap();
    assert_eq!(probe.probe_writers().unwrap(), WriterProbe::Some);
    drop(late);
    assert_eq!(probe.probe_writers().unwrap(), WriterProbe::None);
    let blind = SimFs::new(Dials { leases: false, ..Dials::default() });
    let file = root(&blind).create_new("f".as_ref(), 0o600).unwrap();
    assert_eq!(file.probe_writers().unwrap(), WriterProbe::Unknown);
}

/// L40: two changes within one tick carry one timestamp, also when the second is another size of step later.
#[test]
fn timestamps_are_coarse() {
    let fs = SimFs::new(Dials { timestamp_granule: Duration::from_secs(2), ..Dials::default() });
    let host = fs.host();
    host.set_now(UNIX_EPOCH + Duration::from_secs(10_001));
    let file = root(&fs).create_new("f".as_ref(), 0o600).unwrap();
    let stamp = || {
        file.write_at(b"x", 0).unwrap();
        file.stat().unwrap().mtime
    };
    let first = stamp();
    assert_eq!((first.secs, first.nanos), (10_000, 0));
    host.sleep(Duration::from_millis(900));
    assert_eq!(stamp(), first);
    host.sleep(Duration::from_millis(200));
    assert_eq!(stamp().secs, 10_002);
}

/// The host's clocks go as told, and its random numbers come from the seed.
#[test]
fn the_host_obeys() {
    let host = SimHost::new(3);
    let (now, up) = (host.now(), host.monotonic());
    host.sleep(Duration::from_secs(3600));
    assert_eq!((host.now(), host.monotonic()), (now + Duration::from_secs(3600), up + Duration::from_secs(3600)));
    host.set_now(now);
    assert_eq!((host.now(), host.monotonic()), (now, up + Duration::from_secs(3600)), "L10: only the wall clock jumps");
    host.park(Some(Duration::from_millis(1)));
    assert!(host.now() > now);
    assert_eq!(SimHost::new(3).random(), SimHost::new(3).random());
    let secret = |host: &SimHost| {
        let mut bytes = [0; 11];
        host.secret(&mut bytes).unwrap();
        bytes
    };
    assert_eq!(secret(&SimHost::new(3)), secret(&SimHost::new(3)));
    assert_ne!(secret(&host), secret(&host));
    assert_ne!(host.random(), host.random());
    host.set_start(77, 5);
    assert_eq!(host.start_of(77).unwrap(), Some(5));
    assert_eq!(host.as_process(77).facts().start, 5);
    let reboot = host.rebooted();
    assert_ne!(reboot.facts().boot, host.facts().boot);
    assert!(reboot.monotonic() < host.monotonic() && reboot.now() > host.now());
    assert_eq!(reboot.start_of(77).unwrap(), None);
}

/// Real threads may share a file system; calls get numbers of their own.
#[test]
fn threads_share_it() {
    let fs = with_file("/f", b"");
    let total = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for i in 0..4 {
            let (process, total) = (fs.process(), &total);
            scope.spawn(move || {
                let dir = root(&process);
                for n in 0..50 {
                    dir.create_new(format!("{i}-{n}").as_ref(), 0o600).unwrap();
                }
                total.fetch_add(51, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(fs.calls(), total.into_inner());
    assert_eq!(fs.foreign().names("/").unwrap().len(), 201);
}

/// SERVE-6: a test says who is inside a directory; who has ended is in none.
#[test]
fn processes_in_a_directory() {
    let host = SimHost::new(1);
    for (pid, dir) in [(7, "/a"), (8, "/a/b"), (9, "/ab")] {
        host.start_process(pid);
        host.set_place(pid, "editor", dir);
    }
    let inside = |dir: &str| -> Vec<u32> {
        let found = host.processes_in(dir.as_ref()).unwrap().unwrap();
        assert!(found.iter().all(|process| process.program.as_deref() == Some("editor")));
        found.iter().map(|process| process.pid).collect()
    };
    assert_eq!((inside("/a"), inside("/a/b")), (vec![7, 8], vec![8]));
    host.end_process(7);
    assert_eq!(inside("/a"), [8]);
    assert!(host.rebooted().processes_in("/".as_ref()).unwrap().unwrap().is_empty());
}
