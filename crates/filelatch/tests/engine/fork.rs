//! What needs calls that the standard library does not offer: fork without exec, shared mappings.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]
#![expect(unsafe_code, reason = "fork(2) and mmap(2) have no safe form")]

use std::fs;
use std::os::fd::AsRawFd;
use std::path::Path;

use filelatch::{Error, Validity, WriteOptions};
use tempfile::tempdir;

use super::support::*;

/// A file of less than a page, mapped for shared writing; its descriptor is closed.
pub(crate) struct Mapping(*mut u8);

impl Mapping {
    pub(crate) fn of(path: &Path) -> Mapping {
        let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: a new mapping of one page at an address of the kernel's choice, of a file that is open.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), 4096, prot, flags, file.as_raw_fd(), 0) };
        assert_ne!(at, libc::MAP_FAILED);
        Mapping(at.cast())
    }

    pub(crate) fn store(&self, offset: usize, byte: u8) {
        assert!(offset < 4096);
        // SAFETY: within the mapped page, which the file covers; nobody has references into it.
        unsafe { self.0.add(offset).write_volatile(byte) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping made above, once.
        unsafe { libc::munmap(self.0.cast(), 4096) };
    }
}

/// Runs `child` in a forked child of a worker process; whether it returned true.
fn in_child(child: impl FnOnce() -> bool) -> bool {
    // SAFETY: the worker runs this test only, and its other threads hold no lock that the child's code needs (they sleep).
    match unsafe { libc::fork() } {
        -1 => panic!("fork"),
        0 => {
            let fine = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(false);
            // SAFETY: ends the child without running the parent's exit handlers.
            unsafe { libc::_exit(i32::from(!fine)) }
        }
        pid => {
            let mut status = 0;
            // SAFETY: waits for the child just made.
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
            status == 0
        }
    }
}

/// LOCK-11, L21: a guard is inert in a forked child; its drop there releases nothing of the parent's, and the child's own engine
/// and handles work.
#[test]
fn guards_in_a_forked_child() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let mut worker = Worker::start(&["fork", path.to_str().unwrap()]);
    worker.expect("fine");
}

pub(crate) fn fork(path: &str) {
    let path = Path::new(path);
    let engine = engine();
    let here = engine.file(path).unwrap();
    here.write(b"one", &WriteOptions::new()).unwrap();
    let other = engine.file(path.with_file_name("b")).unwrap();
    let mut guard = Some(here.try_lock().unwrap());
    assert!(in_child(|| {
        let inherited = guard.take().unwrap();
        assert!(!inherited.is_held() && inherited.validity() == Validity::Forked);
        assert!(matches!(inherited.write(b"x", &WriteOptions::new()), Err(Error::Forked { .. })));
        assert!(matches!(inherited.read(), Err(Error::Forked { .. })));
        drop(inherited);
        assert!(matches!(here.try_lock(), Err(Error::Locked { .. })), "the parent's lock is gone");
        assert!(here.is_locked().unwrap());
        // The child's own work, on other files and old handles.
        other.write(b"child", &WriteOptions::new()).unwrap();
        drop(other.try_lock().unwrap());
        here.read().unwrap().bytes() == b"one"
    }));
    // The child has ended; the parent's guard is untouched.
    assert!(guard.as_ref().unwrap().is_held());
    assert!(file(path).try_lock().is_err(), "the child's end released the parent's lock");
    guard.as_ref().unwrap().write(b"two", &WriteOptions::new()).unwrap();
    drop(guard.take());
    drop(file(path).try_lock().unwrap());
    assert!(in_child(|| {
        let held = here.try_lock().unwrap();
        held.write(b"three", &WriteOptions::new()).unwrap();
        engine.file(path).unwrap().read().unwrap().bytes() == b"three"
    }));
    drop(here.try_lock().unwrap());
    assert_eq!(other.read().unwrap().bytes(), b"child");
    say("fine");
}

pub(crate) fn fork_with_records(path: &str) {
    let engine = engine();
    let here = engine.file(path).unwrap();
    here.write(b"one", &WriteOptions::new()).unwrap();
    let mut guard = Some(here.try_lock_record("x").unwrap());
    assert!(in_child(|| {
        let inherited = guard.take().unwrap();
        assert!(!inherited.is_held() && inherited.validity() == Validity::Forked);
        assert!(matches!(inherited.write(b"x", &WriteOptions::new()), Err(Error::Forked { .. })));
        assert!(matches!(inherited.read(), Err(Error::Forked { .. })));
        drop(inherited);
        assert!(matches!(here.try_lock_record("x"), Err(Error::Locked { .. })), "the parent's lock is gone");
        let own = here.try_lock_record("y").unwrap();
        own.write(b"two", &WriteOptions::new()).unwrap();
        own.is_held()
    }));
    assert!(guard.as_ref().unwrap().is_held());
    assert!(file(Path::new(path)).try_lock_record("x").is_err(), "the child's end released the parent's lock");
    drop(file(Path::new(path)).try_lock_record("y").unwrap());
    guard.as_ref().unwrap().update_bytes(&WriteOptions::new(), |old| Ok::<_, Error>(old.map(<[u8]>::to_vec))).unwrap();
    drop(guard);
    drop(file(Path::new(path)).try_lock_record("x").unwrap());
    assert_eq!(here.read().unwrap().bytes(), b"two");
    say("fine");
}

/// P12: a lock that was handed to a program lasts until the guard is dropped *and* the program has ended; meanwhile no thread of
/// this process gets it either.
#[test]
fn an_inherited_lock_lasts() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let here = file(&path);
    let guard = here.try_lock().unwrap();
    assert!(guard.make_inheritable().unwrap().is_some());
    let mut program = std::process::Command::new("cat")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::scope(|scope| {
        // One waits in this process already; it must not be handed what the program still has.
        let waiter = scope.spawn(|| here.lock(&waits(300)).map(drop));
        until("one waits", || waiter.is_finished() || waiting_threads() > 0);
        drop(guard);
        let waited = waiter.join().unwrap();
        assert!(matches!(waited, Err(Error::Timeout { .. })), "{waited:?}");
    });
    for who in [&file(&path), &here] {
        assert!(matches!(who.try_lock(), Err(Error::Locked { .. })), "the program's lock ended with the guard");
    }
    drop(program.stdin.take());
    program.wait().unwrap();
    here.lock(&waits(20_000)).unwrap().release();
    // And what is started later inherits nothing.
    let mut later = std::process::Command::new("cat")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let guard = here.try_lock().unwrap();
    drop(guard);
    file(&path).try_lock().unwrap().release();
    let fds = fs::read_dir(format!("/proc/{}/fd", later.id())).unwrap();
    let lock = here.lock_path();
    assert!(fds.flatten().all(|fd| fs::read_link(fd.path()).ok().as_deref() != Some(&lock)), "inherited for good");
    drop(later.stdin.take());
    later.wait().unwrap();
}

/// Threads of this process that sleep for the answer of a queue (or for something else: a hint only).
fn waiting_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let futex = |call: String| call.starts_with("202 ") || call.starts_with("98 ");
    tasks.filter(|task| fs::read_to_string(task.path().join("syscall")).is_ok_and(futex)).count()
}
