//! What the kernel tells, on a real directory.
#![expect(clippy::disallowed_methods, reason = "the kernel's own view of what is watched and open")]

use std::ffi::OsString;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::*;
use crate::fs::Fs;
use crate::real::tests::{content, put, scratch};

fn at(path: &Path, what: Happened) -> Hint {
    Hint::At { path: path.to_owned(), what }
}

/// A source, and what it tells.
fn source() -> (Inotify, Receiver<Hint>) {
    let (sender, told) = channel();
    (Inotify::new(Arc::new(move |hint| drop(sender.send(hint)))).unwrap(), told)
}

fn next(told: &Receiver<Hint>) -> Hint {
    told.recv_timeout(Duration::from_secs(60)).expect("a hint comes")
}

/// The watches that the kernel has for a source: what each asks for.
fn masks(source: &Inotify) -> Vec<WatchFlags> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", source.shared.queue.as_raw_fd())).unwrap();
    let mask = |line: &str| u32::from_str_radix(line.split_once(" mask:")?.1.split(' ').next()?, 16).ok();
    let lines = info.lines().filter(|line| line.starts_with("inotify "));
    lines.map(|line| WatchFlags::from_bits_retain(mask(line).expect(line))).collect()
}

fn watches(source: &Inotify) -> usize {
    masks(source).len()
}

/// Runs one of the tests below that are marked `ignore`, alone in a process of its own.
fn alone(test: &str) {
    let name = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    let out = Command::new(std::env::current_exe().unwrap()).args(["--ignored", "--exact", &name]).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&out.stderr));
}

/// WATCH-1 (L42): who reads, ourselves included, wakes nobody.
#[test]
fn reading_tells_nothing() {
    let (_tmp, dir) = scratch();
    for n in 0..50 {
        put(&dir, &n.to_string(), b"text");
    }
    let (source, told) = source();
    source.add(dir.path()).unwrap();
    let reading = WatchFlags::OPEN | WatchFlags::ACCESS | WatchFlags::CLOSE_NOWRITE;
    let [asked] = masks(&source)[..] else { panic!("one watch") };
    assert!(asked.contains(WatchFlags::CLOSE_WRITE) && !asked.intersects(reading), "{asked:?}");
    for n in 0..50 {
        assert_eq!(content(&dir, &n.to_string()), b"text");
    }
    dir.list(&mut |_| true).unwrap();
    drop(dir.open_dir(".".as_ref()));
    dir.symlink("0".as_ref(), "last".as_ref()).unwrap();
    assert_eq!(next(&told), at(&dir.path().join("last"), Happened::Created));
}

/// WATCH-1: a name that is no text is told as it is.
#[test]
fn any_name_is_told() {
    let (_tmp, dir) = scratch();
    let (source, told) = source();
    source.add(dir.path()).unwrap();
    for bytes in [vec![0xFF, b'\n', 0xC3], vec![b'x'; 255]] {
        let name = OsString::from_vec(bytes);
        dir.symlink("nowhere".as_ref(), &name).unwrap();
        assert_eq!(next(&told), at(&dir.path().join(&name), Happened::Created));
    }
}

/// WATCH-1: a path that was added again stands for the directory that has it now; the kernel watches that one only.
#[test]
fn a_path_is_what_it_names_now() {
    let (_tmp, dir) = scratch();
    let (source, told) = source();
    let [path, moved] = ["d", "moved"].map(|name| dir.path().join(name));
    dir.create_dir("d".as_ref(), 0o700).unwrap();
    source.add(&path).unwrap();
    source.add(&path).unwrap();
    assert_eq!(watches(&source), 1);
    dir.rename("d".as_ref(), "moved".as_ref()).unwrap();
    dir.create_dir("d".as_ref(), 0o700).unwrap();
    assert_eq!(next(&told), at(&path, Happened::Gone));
    source.add(&path).unwrap();
    assert_eq!(watches(&source), 1);
    let [there, here] = [&moved, &path].map(|path| crate::RealFs.open_dir(path).unwrap());
    there.symlink("x".as_ref(), "untold".as_ref()).unwrap();
    here.symlink("x".as_ref(), "told".as_ref()).unwrap();
    assert_eq!(next(&told), at(&path.join("told"), Happened::Created));
    // Two paths of one directory; it is watched until both are of no interest.
    source.add(&moved).unwrap();
    dir.symlink("moved".as_ref(), "link".as_ref()).unwrap();
    source.add(&dir.path().join("link")).unwrap();
    assert_eq!(watches(&source), 2);
    source.remove(&moved);
    there.symlink("x".as_ref(), "once".as_ref()).unwrap();
    assert_eq!(next(&told), at(&dir.path().join("link/once"), Happened::Created));
    source.remove(&dir.path().join("link"));
    source.remove(&dir.path().join("never added"));
    assert_eq!(watches(&source), 1);
}

/// WATCH-1: while others add, remove and change, whatever comes into a directory after it was added is told.
#[test]
fn nothing_is_missed_while_watches_come_and_go() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 150;
    let (_tmp, dir) = scratch();
    let (source, told) = source();
    std::thread::scope(|scope| {
        for n in 0..THREADS {
            let (dir, source) = (&dir, &source);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let name = format!("{n}-{round}");
                    dir.create_dir(name.as_ref(), 0o700).unwrap();
                    let path = dir.path().join(&name);
                    source.add(&path).unwrap();
                    let here = dir.open_dir(name.as_ref()).unwrap();
                    here.symlink("x".as_ref(), "told".as_ref()).unwrap();
                    if round >= 20 {
                        source.remove(&dir.path().join(format!("{n}-{}", round - 20)));
                    }
                }
            });
        }
    });
    // What was removed may have been forgotten before its hint was told; the last twenty of each thread were not removed.
    let mut heard = std::collections::HashSet::new();
    while heard.len() < THREADS * 20 {
        if let Hint::At { path, what: Happened::Created } = next(&told) {
            let round =
                path.parent().unwrap().file_name().unwrap().to_string_lossy().split_once('-').unwrap().1.parse();
            if round.is_ok_and(|round: usize| round >= ROUNDS - 20) {
                heard.insert(path);
            }
        }
    }
    assert_eq!(watches(&source), THREADS * 20);
    let noted = source.shared.watches();
    assert_eq!((noted.by_path.len(), noted.by_descriptor.len()), (THREADS * 20, THREADS * 20));
}

/// WATCH-1: a directory that is removed is told, its watch is forgotten, and its path can be added again.
#[test]
fn a_directory_ends() {
    let (_tmp, dir) = scratch();
    let (source, told) = source();
    let path = dir.path().join("d");
    for _ in 0..3 {
        dir.create_dir("d".as_ref(), 0o700).unwrap();
        source.add(&path).unwrap();
        dir.remove_dir("d".as_ref()).unwrap();
        assert_eq!(next(&told), at(&path, Happened::Gone));
        assert_eq!(source.add(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
    put(&dir, "d", b"");
    assert_eq!(source.add(&path).unwrap_err().kind(), io::ErrorKind::NotADirectory);
    source.add(dir.path()).unwrap();
    put(&dir, "x", b"");
    assert_eq!(next(&told), at(&dir.path().join("x"), Happened::Created));
    let noted = source.shared.watches();
    assert_eq!((noted.by_path.len(), noted.by_descriptor.len()), (1, 1), "{noted:?}");
}

/// WATCH-1 (L42): a watch that ends while its directory may be there (an unmount) says that anything may have changed.
#[test]
fn an_unmount_loses() {
    let (_tmp, dir) = scratch();
    let (source, told) = source();
    source.add(dir.path()).unwrap();
    let descriptor = source.shared.watches().by_path[dir.path()];
    let (sender, heard) = channel();
    let tell = |hint| sender.send(hint).unwrap();
    source.shared.translate(descriptor, ReadFlags::UNMOUNT, None, &tell);
    source.shared.translate(descriptor, ReadFlags::IGNORED, None, &tell);
    source.shared.translate(descriptor, ReadFlags::CREATE, Some("late".as_ref()), &tell);
    drop(sender);
    assert_eq!(heard.iter().collect::<Vec<_>>(), [at(dir.path(), Happened::Gone), Hint::Lost]);
    // It is added anew.
    source.add(dir.path()).unwrap();
    put(&dir, "x", b"");
    assert_eq!(next(&told), at(&dir.path().join("x"), Happened::Created));
}

/// WATCH-1 (L42): when more happens than the kernel remembers, that is said, and hints go on.
#[test]
fn an_overflow_loses() {
    let (_tmp, dir) = scratch();
    let (sender, told) = channel();
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    // The first hint is told for as long as it takes to fill the queue.
    let source = Inotify::new(Arc::new(move |hint| {
        drop(sender.send(hint));
        // An error, at once, when the other end is dropped.
        wait.lock().unwrap().recv().unwrap_or_default();
    }));
    let source = source.unwrap();
    source.add(dir.path()).unwrap();
    let most: usize =
        std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    for _ in 0..=most / 2 + BUFFER / 32 {
        dir.symlink("x".as_ref(), "a".as_ref()).unwrap();
        dir.remove("a".as_ref()).unwrap();
    }
    drop(go);
    while next(&told) != Hint::Lost {}
    dir.symlink("x".as_ref(), "last".as_ref()).unwrap();
    assert_eq!(next(&told), at(&dir.path().join("last"), Happened::Created));
}

/// WATCH-1: who panics while being told is told the next one.
#[test]
fn a_panic_is_one_hint() {
    let (_tmp, dir) = scratch();
    let (sender, told) = channel();
    let tell = move |hint: Hint| {
        let bad = matches!(&hint, Hint::At { path, .. } if path.ends_with("bad"));
        drop(sender.send(hint));
        assert!(!bad, "one who is told panics, on purpose");
    };
    let source = Inotify::new(Arc::new(tell)).unwrap();
    source.add(dir.path()).unwrap();
    for name in ["bad", "good"] {
        dir.symlink("x".as_ref(), name.as_ref()).unwrap();
        assert_eq!(next(&told), at(&dir.path().join(name), Happened::Created));
    }
}

/// WATCH-1: a source that is dropped has told its last: nobody holds what it would tell with.
#[test]
fn dropped_it_tells_nothing_more() {
    let (_tmp, dir) = scratch();
    let tell: Tell = Arc::new(|_| ());
    let source = Inotify::new(Arc::clone(&tell)).unwrap();
    source.add(dir.path()).unwrap();
    dir.symlink("x".as_ref(), "a".as_ref()).unwrap();
    let shared = Arc::downgrade(&source.shared);
    drop(source);
    assert_eq!((Arc::strong_count(&tell), shared.strong_count()), (1, 0));
}

/// WATCH-1: dropped by the one who is told, it does not wait for itself.
#[test]
fn dropped_while_told() {
    let (_tmp, dir) = scratch();
    let (sender, over) = channel();
    let own: Arc<Mutex<Option<Inotify>>> = Arc::default();
    let held = Arc::clone(&own);
    let source = Inotify::new(Arc::new(move |_| {
        drop(held.lock().unwrap().take());
        sender.send(()).unwrap();
    }));
    let source = source.unwrap();
    source.add(dir.path()).unwrap();
    *own.lock().unwrap() = Some(source);
    dir.symlink("x".as_ref(), "a".as_ref()).unwrap();
    over.recv_timeout(Duration::from_secs(60)).expect("the drop returns");
}

/// WATCH-1: threads and descriptors of a source end with it.
#[test]
fn nothing_is_left() {
    alone("nothing_is_left_alone");
}

#[test]
#[ignore = "counts what the process has open: run by nothing_is_left"]
fn nothing_is_left_alone() {
    let (_tmp, dir) = scratch();
    let count = || ["fd", "task"].map(|kind| std::fs::read_dir(format!("/proc/self/{kind}")).unwrap().count());
    let before = count();
    for _ in 0..50 {
        let (source, told) = source();
        source.add(dir.path()).unwrap();
        put(&dir, "a", b"");
        assert_eq!(next(&told), at(&dir.path().join("a"), Happened::Created));
        dir.remove("a".as_ref()).unwrap();
    }
    // A thread that was waited for may be listed for a moment longer.
    for _ in 0..100_000 {
        if count() == before {
            break;
        }
        std::thread::yield_now();
    }
    assert_eq!(count(), before);
}

/// WATCH-1: in a forked child a source is inert, and the parent's goes on.
#[test]
fn inert_after_a_fork() {
    alone("inert_after_a_fork_alone");
}

#[test]
#[ignore = "forks: run by inert_after_a_fork"]
#[expect(unsafe_code, reason = "fork(2) has no safe form")]
fn inert_after_a_fork_alone() {
    let (_tmp, dir) = scratch();
    let (source, told) = source();
    source.add(dir.path()).unwrap();
    let mut source = Some(source);
    // SAFETY: the other threads of this process (this test runs alone) wait, and hold no lock that the child needs.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let fine = catch_unwind(AssertUnwindSafe(|| {
            let inherited = source.take().unwrap();
            assert_eq!(inherited.add(dir.path()).unwrap_err().kind(), io::ErrorKind::Unsupported);
            inherited.remove(dir.path());
            drop(inherited);
            let (own, told) = super::tests::source();
            own.add(dir.path()).unwrap();
            put(&dir, "child", b"");
            assert_eq!(next(&told), at(&dir.path().join("child"), Happened::Created));
        }));
        // SAFETY: ends the child without running the parent's exit handlers.
        unsafe { libc::_exit(i32::from(fine.is_err())) }
    }
    let mut status = -1;
    // SAFETY: waits for the child just made.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    let heard = [next(&told), next(&told)];
    assert_eq!(heard, [Happened::Created, Happened::Closed].map(|what| at(&dir.path().join("child"), what)));
    put(&dir, "parent", b"");
    assert_eq!(next(&told), at(&dir.path().join("parent"), Happened::Created));
    drop(source);
}

/// WATCH-1: limits are named; "no space left on device" would send people to their disk.
#[test]
fn limits_have_names() {
    let full = no_watch(Errno::NOSPC);
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    assert!(full.to_string().contains("max_user_watches"), "{full}");
    let none = no_instance(Errno::MFILE);
    assert!(none.to_string().contains("max_user_instances"), "{none}");
    assert_eq!(no_watch(Errno::ACCESS).kind(), io::ErrorKind::PermissionDenied);
}
