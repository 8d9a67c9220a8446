//! Who holds, who waits, in which order.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
#[cfg(target_os = "linux")]
use std::sync::{Arc, atomic::AtomicU64};
use std::sync::{Barrier, Mutex, mpsc};
use std::time::Duration;
#[cfg(target_os = "linux")]
use std::time::Instant;

use filelatch::{CancelToken, Error, IfUnavailable, LockOptions, LockScope, Policy, Validity, Wait};
use tempfile::tempdir;

use super::support::*;

/// LOCK-1, LOCK-2, LOCK-5: exclusive excludes everybody, shared excludes writers only, in other processes too; the answers tell
/// acquired, locked and timed out apart, and who holds it.
#[test]
fn kinds_across_processes() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let name = path.to_str().unwrap();
    let here = file(&path);

    let mut holder = Worker::start(&["hold", "exclusive", name]);
    holder.expect("held");
    assert!(matches!(here.try_lock(), Err(Error::Locked { holders, .. }) if holders[0].pid == Some(holder.pid())));
    assert!(matches!(here.lock_shared(&no_wait()), Err(Error::Locked { .. })));
    let timed_out = here.lock(&waits(20)).unwrap_err();
    assert!(
        matches!(&timed_out, Error::Timeout { holders, waited, .. }
            if holders[0].pid == Some(holder.pid()) && holders[0].since.is_some() && *waited >= Duration::from_millis(20)),
        "{timed_out:?}"
    );
    assert!(timed_out.to_string().contains(&format!("held by pid {}", holder.pid())), "{timed_out}");
    holder.tell("release");
    holder.expect("released");
    here.try_lock().unwrap().release();

    let mut reader = Worker::start(&["hold", "shared", name]);
    reader.expect("held");
    let shared = here.lock_shared(&no_wait()).unwrap();
    assert!(matches!(file(&path).try_lock(), Err(Error::Locked { .. })));
    drop(shared);
    assert!(matches!(here.try_lock(), Err(Error::Locked { .. })), "the other reader still holds it");
    reader.finish();
    here.try_lock().unwrap().release();
}

/// LOCK-1: threads of one engine, threads of several engines and processes never hold together. Each holder writes its mark
/// without any care and must find it again.
#[test]
fn exclusion() {
    let dir = tempdir().unwrap();
    let (path, inside) = (dir.path().join("a"), dir.path().join("inside"));
    fs::write(&inside, "").unwrap();
    let workers: Vec<_> = (0..4)
        .map(|_| Worker::start(&["exclusion", path.to_str().unwrap(), inside.to_str().unwrap(), "300"]))
        .collect();
    let engine = engine();
    std::thread::scope(|scope| {
        for t in 0..4 {
            let file = if t < 2 { engine.file(&path).unwrap() } else { file(&path) };
            let inside = &inside;
            scope.spawn(move || exclusive_rounds(&file, inside, 300));
        }
    });
    for worker in workers {
        worker.finish();
    }
}

fn exclusive_rounds(file: &filelatch::LatchFile, inside: &Path, rounds: usize) {
    let me = format!("{}-{:?}", std::process::id(), std::thread::current().id());
    for round in 0..rounds {
        if round % 5 == 4 {
            let guard = file.lock_shared(&LockOptions::new()).unwrap();
            assert_eq!(fs::read_to_string(inside).unwrap(), "", "a reader beside a writer");
            drop(guard);
            continue;
        }
        let guard = file.lock(&LockOptions::new()).unwrap();
        assert_eq!(fs::read_to_string(inside).unwrap(), "", "two writers");
        fs::write(inside, &me).unwrap();
        std::thread::yield_now();
        assert_eq!(fs::read_to_string(inside).unwrap(), me, "two writers");
        fs::write(inside, "").unwrap();
        drop(guard);
    }
}

pub(crate) fn exclusion_worker(path: &str, inside: &str, times: &str) {
    exclusive_rounds(&file(Path::new(path)), Path::new(inside), times.parse().unwrap());
}

/// A caller's own error.
#[derive(Debug, PartialEq)]
enum Mine {
    Own(u32),
    Latch,
}

impl From<Error> for Mine {
    fn from(_: Error) -> Mine {
        Mine::Latch
    }
}

/// LOCK-6, LOCK-12: a guard releases on drop, by `release`, and on panic; `with_lock` returns the body's value or its error
/// unchanged, and runs it once.
#[test]
fn guards() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let (here, other) = (file(&path), file(&path));
    let guard = here.try_lock().unwrap();
    assert!(guard.is_held() && guard.validity() == Validity::Held && guard.warning().is_none());
    assert_eq!(guard.lock_path(), fs::canonicalize(dir.path()).unwrap().join(".a.lock"));
    assert!(other.try_lock().is_err());
    guard.release();
    drop(other.try_lock().unwrap());

    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        here.with_lock(&LockOptions::new(), |_| -> Result<(), Error> { panic!("in the critical section") })
    }));
    assert!(panicked.is_err());
    drop(other.try_lock().unwrap());

    let mut runs = 0;
    let result = here.with_lock(&LockOptions::new(), |guard| {
        runs += 1;
        assert!(guard.is_held());
        Err::<(), _>(Mine::Own(7))
    });
    assert_eq!((result, runs), (Err(Mine::Own(7)), 1));
    assert_eq!(here.with_lock(&LockOptions::new(), |_| Ok::<_, Mine>(5)), Ok(5));
    let held = other.try_lock().unwrap();
    let refused = here.with_lock(&no_wait(), |_| -> Result<(), Mine> { panic!("must not run without the lock") });
    assert_eq!(refused, Err(Mine::Latch));
    drop(held);
}

/// LOCK-7: holders are told by the system, not by the record: a `flock(1)` without a record counts, a record without a lock
/// does not, and asking does not get in anybody's way.
#[cfg(target_os = "linux")]
#[test]
fn holders_are_the_systems() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let here = file(&path);
    assert!(!here.is_locked().unwrap());
    assert!(!here.lock_path().exists(), "asking made a lock file");

    let guard = here.try_lock().unwrap();
    let state = file(&path).lock_state().unwrap();
    assert_eq!((state.holders.len(), state.holders[0].pid), (1, Some(std::process::id())));
    assert!(state.holders[0].confirmed && state.holders[0].session.is_some() && !state.holders[0].shared);
    drop(guard);
    assert!(!here.is_locked().unwrap(), "the record outlives the lock, but is no lock");

    let readers = [file(&path), file(&path)].map(|f| f.lock_shared(&no_wait()).unwrap());
    // The system's table is not read in one piece while other tests change it.
    until("both are told", || here.lock_state().unwrap().holders.len() == 2);
    let state = here.lock_state().unwrap();
    assert!(state.holders.iter().all(|h| h.shared && h.session.is_none()), "{state:?}");
    drop(readers);

    // Somebody who knows nothing of records, on a lock file that says somebody else.
    let foreign = fs::File::open(here.lock_path()).unwrap();
    rustix::fs::flock(&foreign, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut record = fs::read_to_string(here.lock_path()).unwrap();
    record = record.replace(&format!("\"pid\":{}", std::process::id()), "\"pid\":1");
    fs::write(here.lock_path(), record).unwrap();
    let state = here.lock_state().unwrap();
    assert_eq!(state.holders.len(), 1);
    assert_eq!((state.holders[0].pid, &state.holders[0].session), (Some(std::process::id()), &None));
    drop(foreign);
}

/// LOCK-7: an own lock file of `flock(1)` (empty, not ours) is locked but never written; its holder is "a program that keeps no
/// record" as far as the system does not say more.
#[cfg(target_os = "linux")]
#[test]
fn flock_program_as_holder() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let here = file(&path);
    let lock = here.lock_path();
    let Ok(mut flock) = std::process::Command::new("flock")
        .args([lock.to_str().unwrap(), "sh", "-c", "echo held; read x"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
    else {
        return eprintln!("skipped: no flock program");
    };
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(flock.stdout.take().unwrap()), &mut line).unwrap();
    assert_eq!(line, "held\n");
    assert!(here.is_locked().unwrap());
    let error = here.try_lock().unwrap_err();
    assert!(matches!(&error, Error::Locked { holders, .. } if holders[0].session.is_none()), "{error}");
    drop(flock.stdin.take());
    flock.wait().unwrap();
    here.try_lock().unwrap().release();
    assert_eq!(fs::read(&lock).unwrap(), b"", "a foreign lock file was written");
}

/// LOCK-8 ⚠: of many waiters most give up, by timeout or cancellation, while the holder changes. Nobody who gave up holds
/// later, everybody who did not is served, and at the end the lock is free.
#[test]
fn leavers_never_hold() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let shared_engine = engine();
    let other = file(&path);
    let (inside, granted, gone) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let enter = || {
        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
        std::thread::yield_now();
        inside.fetch_sub(1, Ordering::SeqCst);
        granted.fetch_add(1, Ordering::SeqCst);
    };
    std::thread::scope(|scope| {
        for t in 0..8_u64 {
            let file = shared_engine.file(&path).unwrap();
            let (enter, gone) = (&enter, &gone);
            scope.spawn(move || {
                let mut random = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(t + 1);
                for _ in 0..125 {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let wait = Wait::For(Duration::from_micros(random % 400));
                    match file.lock(&LockOptions::new().wait(wait)) {
                        Ok(guard) => {
                            enter();
                            drop(guard);
                        }
                        Err(Error::Timeout { .. }) => drop(gone.fetch_add(1, Ordering::SeqCst)),
                        Err(e) => panic!("{e}"),
                    }
                }
            });
        }
        // Another engine, as another process: waits without limit and must always get its turn.
        scope.spawn(|| {
            for _ in 0..200 {
                let guard = other.lock(&LockOptions::new()).unwrap();
                enter();
                drop(guard);
            }
        });
    });
    assert_eq!(granted.load(Ordering::SeqCst) + gone.load(Ordering::SeqCst), 8 * 125 + 200);
    assert!(gone.load(Ordering::SeqCst) > 0 && granted.load(Ordering::SeqCst) > 200);
    until("the lock is free", || !other.is_locked().unwrap());
    file(&path).try_lock().unwrap().release();
}

/// LOCK-8 ⚠: who gives up does not end the others' waits, nor change their order.
#[test]
fn a_leaver_leaves_the_queue_intact() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let engine = engine();
    let here = engine.file(&path).unwrap();
    let outside = file(&path);
    let held = outside.try_lock().unwrap();
    let (order, got) = mpsc::channel();
    std::thread::scope(|scope| {
        for i in 0..6 {
            let (here, order) = (here.clone(), order.clone());
            let (begun, begin) = mpsc::channel();
            scope.spawn(move || {
                begun.send(()).unwrap();
                let wait = if i % 2 == 0 { Wait::Forever } else { Wait::For(Duration::from_millis(30)) };
                match here.lock(&LockOptions::new().wait(wait)) {
                    Ok(guard) => {
                        order.send(Some(i)).unwrap();
                        drop(guard);
                    }
                    Err(Error::Timeout { .. }) => order.send(None).unwrap(),
                    Err(e) => panic!("{e}"),
                }
            });
            begin.recv().unwrap();
        }
        for _ in 0..3 {
            assert_eq!(got.recv_timeout(PATIENCE).unwrap(), None);
        }
        drop(held);
        let mut served: Vec<_> = (0..3).map(|_| got.recv_timeout(PATIENCE).unwrap().unwrap()).collect();
        served.sort_unstable();
        assert_eq!(served, [0, 2, 4]);
    });
}

/// LOCK-9 ⚠: spellings of one file meet at one lock; hard links and names that differ in case do not.
#[cfg(target_os = "linux")]
#[test]
fn spellings() {
    let dir = tempdir().unwrap();
    let root = dir.path();
    fs::create_dir_all(root.join("d/sub")).unwrap();
    let real = root.join("d/a");
    fs::write(&real, "x").unwrap();
    std::os::unix::fs::symlink("d", root.join("linked")).unwrap();
    std::os::unix::fs::symlink(&real, root.join("link")).unwrap();
    std::os::unix::fs::symlink("link", root.join("link2")).unwrap();
    fs::hard_link(&real, root.join("d/b")).unwrap();
    let engine = engine();
    let first = engine.file(&real).unwrap();
    let text = root.to_str().unwrap();
    for same in
        ["d/./a", "d//a", "d/sub/../a", "linked/a", "link", "link2", "linked/../d/a", "./d/a", "linked/sub/../a"]
    {
        let spelled = engine.file(format!("{text}//{same}")).unwrap();
        assert_eq!(spelled.id(), first.id(), "{same}");
        let guard = spelled.try_lock().unwrap();
        assert!(file(&real).try_lock().is_err(), "{same} is another lock");
        drop(guard);
    }
    for different in ["d/b", "d/A", "d/a ", "d/a.lock"] {
        assert_ne!(engine.file(root.join(different)).unwrap().id(), first.id(), "{different}");
    }

    // A dangling link: the file to be.
    std::os::unix::fs::symlink("d/new", root.join("dangling")).unwrap();
    let through = engine.file(root.join("dangling")).unwrap();
    assert_eq!(through.id(), engine.file(root.join("d/new")).unwrap().id());
    through.write(b"made", &filelatch::WriteOptions::new()).unwrap();
    assert_eq!(fs::read(root.join("d/new")).unwrap(), b"made");
    assert!(fs::symlink_metadata(root.join("dangling")).unwrap().is_symlink());

    // Relative to the current directory of the process.
    let up: String = "../".repeat(32);
    let relative = format!("{up}{}", real.strip_prefix("/").unwrap().display());
    assert_eq!(engine.file(relative).unwrap().id(), first.id());

    for (bad, code) in [("d", "not-a-file"), ("d/", "not-a-file"), ("d/..", "not-a-file"), ("none/a", "io"), ("", "io")]
    {
        let path = if bad.is_empty() { bad.to_owned() } else { format!("{text}/{bad}") };
        assert_eq!(engine.file(path).unwrap_err().code(), code, "{bad}");
    }
    std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();
    assert!(engine.file(root.join("loop")).unwrap_err().to_string().contains("symbolic links"));
}

/// LOCK-9: a directory that was renamed is the same directory; handles from before and after meet at one lock and see one file.
#[cfg(target_os = "linux")]
#[test]
fn a_renamed_directory_is_the_same() {
    let dir = tempdir().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    fs::create_dir(&old).unwrap();
    let engine = engine();
    let before = engine.file(old.join("a")).unwrap();
    before.write(b"1", &filelatch::WriteOptions::new()).unwrap();
    fs::rename(&old, &new).unwrap();
    let after = engine.file(new.join("a")).unwrap();
    assert_eq!(after.id(), before.id());
    assert_eq!(after.read().unwrap().bytes(), b"1");
    let (done, answer) = mpsc::channel();
    let worker = before.clone();
    std::thread::spawn(move || {
        let guard = worker.try_lock().unwrap();
        worker.clone().read().unwrap();
        drop(guard);
        done.send(worker.write(b"2", &filelatch::WriteOptions::new()).map(drop)).unwrap();
    });
    answer.recv_timeout(PATIENCE).expect("locking in a renamed directory never ends").unwrap();
    assert_eq!(after.read().unwrap().bytes(), b"2");
    let guard = file(&new.join("a")).try_lock().unwrap();
    assert!(before.try_lock().is_err() && after.try_lock().is_err());
    drop(guard);
}

/// LOCK-11 ⚠: a guard that was dropped late, or a waiter that leaves late, never releases the lock of the next holder.
#[test]
fn release_is_ones_own() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let engine = engine();
    let (a, b) = (engine.file(&path).unwrap(), file(&path));
    let scope_of_other = LockScope::new();
    for _ in 0..50 {
        let guard = a.try_lock().unwrap();
        // In one process: refused requests and timed-out waits come and go while it is held.
        assert!(a.lock(&no_wait().scope(&scope_of_other)).is_err());
        assert!(a.lock(&waits(1).scope(&scope_of_other)).is_err());
        assert!(b.lock(&waits(1)).is_err());
        assert!(guard.is_held() && file(&path).try_lock().is_err(), "somebody released what is mine");
        drop(guard);
    }
    until("free", || b.try_lock().is_ok());
}

/// LOCK-14: asking again for what the same owner holds is refused at once, also for a shared lock; another scope is another
/// owner.
#[test]
fn self_deadlock_is_refused() {
    let dir = tempdir().unwrap();
    let engine = engine();
    let (a, b) = (engine.file(dir.path().join("a")).unwrap(), engine.file(dir.path().join("b")).unwrap());
    let forever = LockOptions::new().wait(Wait::Forever);
    let guard = a.lock(&forever).unwrap();
    assert!(matches!(a.lock(&forever), Err(Error::Reentrant { .. })));
    assert!(matches!(a.lock_shared(&forever), Err(Error::Reentrant { .. })));
    assert!(matches!(engine.lock_all([b.path(), a.path()], &forever), Err(Error::Reentrant { .. })));
    assert!(b.try_lock().is_ok(), "lock_all kept a lock although it failed");
    drop(guard);
    let shared = a.lock_shared(&forever).unwrap();
    assert!(matches!(a.lock_shared(&forever), Err(Error::Reentrant { .. })));
    assert!(matches!(a.lock(&forever), Err(Error::Reentrant { .. })));
    let scope = LockScope::new();
    assert!(a.lock_shared(&no_wait().scope(&scope)).is_ok());
    drop(shared);
}

/// LOCK-14: many paths in one call: duplicates and spellings are one, and opposite orders of the arguments never deadlock.
#[test]
fn lock_all() {
    let dir = tempdir().unwrap();
    let names = ["a", "b", "c"].map(|n| dir.path().join(n));
    let twice = [names[0].clone(), dir.path().join("./a"), names[1].clone()];
    let guards = engine().lock_all(twice.iter().map(std::path::PathBuf::as_path), &LockOptions::new()).unwrap();
    assert_eq!(guards.len(), 2);
    drop(guards);
    let engines = [engine(), engine()];
    std::thread::scope(|scope| {
        for t in 0..4 {
            let (engine, names) = (&engines[t % 2], &names);
            scope.spawn(move || {
                let wait = LockOptions::new().wait(Wait::Forever);
                for round in 0..100 {
                    let mut paths: Vec<_> = names.iter().map(std::path::PathBuf::as_path).collect();
                    paths.rotate_left((round + t) % 3);
                    if t % 2 == 0 {
                        paths.reverse();
                    }
                    assert_eq!(engine.lock_all(paths, &wait).unwrap().len(), 3);
                }
            });
        }
    });
}

/// LOCK-15: threads of one process are served in the order in which they came.
#[cfg(target_os = "linux")]
#[test]
fn first_come_first_served() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let engine = engine();
    let here = engine.file(&path).unwrap();
    for outside_holds in [false, true] {
        let outside = file(&path);
        let held = if outside_holds { outside.try_lock().unwrap() } else { here.try_lock().unwrap() };
        let order = Arc::new(Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for i in 0..20 {
                let (here, order) = (here.clone(), Arc::clone(&order));
                let asleep = Arc::new(AtomicU64::new(0));
                let tid = Arc::clone(&asleep);
                scope.spawn(move || {
                    tid.store(rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned().into(), Ordering::SeqCst);
                    let guard = here.lock(&LockOptions::new().wait(Wait::For(PATIENCE))).unwrap();
                    order.lock().unwrap().push(i);
                    drop(guard);
                });
                // In the queue: the thread has gone to sleep inside `lock`, for a limited time. On its way there it may sleep at a mutex, without one.
                until("the thread sleeps", || {
                    let tid = asleep.load(Ordering::SeqCst);
                    let call = fs::read_to_string(format!("/proc/self/task/{tid}/syscall")).unwrap_or_default();
                    let words: Vec<_> = call.split(' ').collect();
                    // `futex` of x86-64 or ARM: address, operation, value, time limit.
                    tid != 0 && matches!(words[..], ["202" | "98", _, _, _, limit, ..] if limit != "0x0")
                });
            }
            drop(held);
        });
        assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
    }
}

/// LOCK-16: a wait that lasts tells the file, the time and the holder; one that does not stays silent.
#[test]
fn on_wait() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let mut holder = Worker::start(&["hold", "exclusive", path.to_str().unwrap()]);
    holder.expect("held");
    let here = file(&path);
    let told = Mutex::new(Vec::new());
    let tell = |waiting: &filelatch::Waiting<'_>| {
        told.lock().unwrap().push((waiting.path.to_owned(), waiting.elapsed, waiting.holders[0].pid));
        holder_may_go().store(true, Ordering::SeqCst);
    };
    assert!(here.lock(&waits(50).on_wait(&tell)).is_err());
    assert!(told.lock().unwrap().is_empty(), "told before 200 ms");
    let pid = holder.pid();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            until("told", || holder_may_go().load(Ordering::SeqCst));
            holder.finish();
        });
        here.lock(&LockOptions::new().on_wait(&tell)).unwrap().release();
    });
    let told = told.lock().unwrap();
    assert_eq!((&told[0].0, told[0].2), (&path, Some(pid)));
    assert!(told[0].1 >= Duration::from_millis(200));
}

fn holder_may_go() -> &'static AtomicBool {
    static GO: AtomicBool = AtomicBool::new(false);
    &GO
}

/// LOCK-18: going on without the lock is said in as many words, and only when asked for.
#[test]
fn proceed() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let held = file(&path).try_lock().unwrap();
    let here = file(&path);
    assert!(here.try_lock().is_err());
    let guard = here.lock(&no_wait().if_unavailable(IfUnavailable::Proceed)).unwrap();
    assert!(!guard.is_held() && guard.validity() == Validity::Unenforced);
    assert!(guard.warning().unwrap().contains("without the lock"), "{:?}", guard.warning());
    drop(guard);
    assert!(held.is_held() && here.try_lock().is_err(), "the guard without a lock released somebody's");
}

/// LOCK-21: locks that are switched off lock nothing, make no lock file, and warn.
#[test]
fn switched_off() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let mut policy = Policy::default();
    policy.locks = false;
    let off = filelatch::Filelatch::builder().without_workspaces().defaults(policy).build();
    let here = off.file(&path).unwrap();
    let (one, two) = (here.try_lock().unwrap(), here.try_lock().unwrap());
    assert!(one.warning().unwrap().contains("switched off") && !two.is_held());
    one.write(b"x", &filelatch::WriteOptions::new()).unwrap();
    here.write(b"y", &filelatch::WriteOptions::new()).unwrap();
    assert_eq!(here.read().unwrap().bytes(), b"y");
    assert!(!here.lock_path().exists());
    // The emergency switch works for locks that others hold, too.
    let held = file(&path).try_lock().unwrap();
    here.write(b"z", &filelatch::WriteOptions::new()).unwrap();
    drop(held);
}

/// LOCK-2: the kernel takes the lock back from a killed holder; who waits in another process has it within a moment, and the
/// next after that, too.
#[cfg(target_os = "linux")]
#[test]
fn killed_holder() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let mut first = Worker::start(&["hold", "exclusive", path.to_str().unwrap()]);
    first.expect("held");
    let here = file(&path);
    let mut others: Vec<_> = (0..3).map(|_| Worker::start(&["hold", "exclusive", path.to_str().unwrap()])).collect();
    until("all wait", || {
        // At the gate or at the lock.
        let id = std::os::unix::fs::MetadataExt::ino(&fs::metadata(here.lock_path()).unwrap());
        let table = fs::read_to_string("/proc/locks").unwrap();
        table.lines().filter(|l| l.contains("->") && l.contains(&format!(":{id} "))).count() == 3
    });
    first.kill();
    let began = Instant::now();
    while !others.is_empty() {
        let mut holder = None;
        until("the next holds", || {
            let state = here.lock_state().unwrap();
            holder = state.holders.first().and_then(|h| others.iter().position(|o| Some(o.pid()) == h.pid));
            holder.is_some()
        });
        let mut holder = others.remove(holder.unwrap());
        holder.expect("held");
        holder.kill();
    }
    assert!(began.elapsed() < Duration::from_secs(10), "the lock was not handed on at once");
    here.lock(&LockOptions::new()).unwrap().release();
}

/// P1, P2: more contended files than there are helper threads are all served, also when the threads are stuck.
#[cfg(target_os = "linux")]
#[test]
fn more_contended_files_than_helpers() {
    let dir = tempdir().unwrap();
    let paths: Vec<_> = (0..80).map(|i| dir.path().join(format!("f{i}"))).collect();
    let (outside, here) = (engine(), engine());
    let mut held: Vec<_> = paths.iter().map(|p| Some(outside.file(p).unwrap().try_lock().unwrap())).collect();
    let (served, serve) = mpsc::channel();
    std::thread::scope(|scope| {
        for (i, path) in paths.iter().enumerate() {
            let (file, served) = (here.file(path).unwrap(), served.clone());
            scope.spawn(move || {
                let guard = file.lock(&LockOptions::new()).unwrap();
                served.send(i).unwrap();
                drop(guard);
            });
        }
        until("many threads wait", || here_waits(dir.path()) >= 32);
        // The last first: those are the ones that had no helper.
        for i in (0..paths.len()).rev() {
            held[i] = None;
            assert_eq!(serve.recv_timeout(PATIENCE).unwrap(), i);
        }
    });
}

/// How many waits for lock files of a directory the system sees.
#[cfg(target_os = "linux")]
fn here_waits(dir: &Path) -> usize {
    let inodes: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|e| format!(":{} ", std::os::unix::fs::MetadataExt::ino(&e.unwrap().metadata().unwrap())))
        .collect();
    let table = fs::read_to_string("/proc/locks").unwrap();
    table.lines().filter(|l| l.contains("->") && inodes.iter().any(|i| l.contains(i.as_str()))).count()
}

/// P2: readers that come one after the other, always some of them holding, do not keep a writer out; neither in one process nor
/// from others.
#[test]
fn readers_do_not_starve_a_writer() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let same = engine();
    for writer in [same.file(&path).unwrap(), file(&path)] {
        let (over, begun) = (AtomicBool::new(false), Barrier::new(5));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let reader = same.file(&path).unwrap();
                let (over, begun) = (&over, &begun);
                scope.spawn(move || {
                    begun.wait();
                    while !over.load(Ordering::Relaxed) {
                        let guard = reader.lock_shared(&LockOptions::new()).unwrap();
                        std::thread::yield_now();
                        drop(guard);
                    }
                });
            }
            begun.wait();
            for _ in 0..20 {
                let got = writer.lock(&waits(20_000));
                if got.is_err() {
                    over.store(true, Ordering::Relaxed);
                }
                got.unwrap().release();
            }
            over.store(true, Ordering::Relaxed);
        });
    }
}

/// LOCK-8, P2: a reader queued behind a writer is let in when the writer gives up: in one process, and when writer and readers are
/// in different processes.
#[test]
fn a_writer_that_gave_up_blocks_no_reader() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    for outside_holds in [false, true] {
        let here = file(&path);
        let holder = if outside_holds { file(&path) } else { here.clone() };
        let shared = holder.lock_shared(&no_wait()).unwrap();
        std::thread::scope(|scope| {
            let (writer, give_up) = (here.clone(), CancelToken::new());
            let gave_up = scope.spawn({
                let give_up = give_up.clone();
                move || writer.lock(&waits(20_000).cancel(&give_up)).unwrap_err()
            });
            until("the writer waits", || here.lock_shared(&no_wait().scope(&LockScope::new())).is_err());
            let reader = here.clone();
            let (got, had) = mpsc::channel();
            scope.spawn(move || {
                let guard = reader.lock_shared(&waits(20_000)).unwrap();
                got.send(()).unwrap();
                drop(guard);
            });
            give_up.cancel();
            assert!(matches!(gave_up.join().unwrap(), Error::Cancelled { .. }));
            had.recv_timeout(Duration::from_secs(15)).expect("the reader waits for a writer that has left");
            // And in any other process.
            until("readers of other processes come in", || file(&path).lock_shared(&no_wait()).is_ok());
        });
        drop(shared);
    }
}

/// P1: ten thousand contended rounds leave no descriptor, no thread and no memory behind.
#[cfg(target_os = "linux")]
#[test]
fn nothing_leaks() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    // Alone in its process, so that other tests' threads do not count.
    let mut worker = Worker::start(&["leaks", path.to_str().unwrap()]);
    worker.expect("fine");
}

#[cfg(target_os = "linux")]
pub(crate) fn leaks(path: &str) {
    let entries = |dir: &str| fs::read_dir(dir).unwrap().count();
    let resident = || {
        let statm = fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    };
    let engines = [engine(), engine()];
    let rounds = |n: usize| {
        std::thread::scope(|scope| {
            for t in 0..4 {
                let file = engines[t % 2].file(path).unwrap();
                scope.spawn(move || {
                    for i in 0..n / 4 {
                        if i % 7 == 0 {
                            drop(file.lock(&LockOptions::new().wait(Wait::For(Duration::from_micros(50)))));
                        } else {
                            drop(file.lock(&LockOptions::new()).unwrap());
                        }
                    }
                });
            }
        });
    };
    rounds(2000);
    // Idle helpers go after a second.
    until("idle helpers end", || entries("/proc/self/task") <= 2);
    let before = (entries("/proc/self/fd"), resident());
    rounds(10_000);
    until("idle helpers end", || entries("/proc/self/task") <= 2);
    let after = (entries("/proc/self/fd"), resident());
    assert!(after.0 <= before.0, "descriptors: {before:?} {after:?}");
    assert!(after.1 < before.1 + (4 << 20), "memory: {before:?} {after:?}");
    say("fine");
}

/// P2: a process whose threads hand the lock to each other does not keep it from another process, in either direction.
#[test]
fn processes_take_turns() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let (ours, over) = (engine(), AtomicBool::new(false));
    let rounds = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let file = ours.file(&path).unwrap();
            let (over, rounds) = (&over, &rounds);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    drop(file.lock(&LockOptions::new()).unwrap());
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let outside = file(&path);
        let mut most = 0;
        for _ in 0..100 {
            let before = rounds.load(Ordering::Relaxed);
            let got = outside.lock(&waits(20_000));
            if got.is_err() {
                over.store(true, Ordering::Relaxed);
            }
            drop(got.unwrap());
            most = most.max(rounds.load(Ordering::Relaxed) - before);
        }
        over.store(true, Ordering::Relaxed);
        assert!(most < 5000, "{most} rounds of one process while another waited");
    });
}
