//! Hints on Linux: inotify(7), asked directly.
//!
//! # Why not the crate `notify`
//! Its watches always ask for `IN_OPEN` (8.2.1): every program that opens a file in a watched directory to read it, ourselves while we
//! look at what has changed, wakes the thread and fills the queue that real changes need. Measured, 10,000 files read once: 10,000
//! events there, none here. It also drops an event whose directory was watched again under another path, and an unmount.
//!
//! # Order of operations
//! The thread waits in poll(2) for the queue or the end; each event is told before the next is looked at. A watch is set and noted under
//! the lock that the thread needs to name its events, so none comes too early to be named. No lock is held while somebody is told.
//!
//! # Invariants
//! - A watch belongs to an inode, not a path: one descriptor may have several paths (bind mounts, links), each is told.
//! - Descriptors are not used again before 2^31 others, so what is left in the queue of one that was removed names nobody.
//! - Only the process that made the source uses it. In a forked child, where its thread is missing, nothing is told, adding fails,
//!   and dropping leaves the two descriptors open until the child ends or executes another program.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::raw_unix::pid;
use super::unix::retry;
use crate::events::{Events, Happened, Hint, Tell};

/// What is asked for. Nothing that reading makes: `IN_OPEN`, `IN_ACCESS`, `IN_CLOSE_NOWRITE`. And not `IN_EXCL_UNLINK`: where a
/// network file system drops its idea of a name, open files would count as unlinked, and writes to them not be told.
const ASKED: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// Bytes read at once: about a thousand events.
const BUFFER: usize = 64 << 10;

/// A source by inotify.
pub(super) struct Inotify {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// The process that made it.
    owner: u32,
}

#[derive(Debug)]
struct Shared {
    queue: OwnedFd,
    /// Becomes readable when the source is dropped.
    end: OwnedFd,
    over: AtomicBool,
    watches: Mutex<Watches>,
}

/// Which directories are watched, by both names.
#[derive(Debug, Default)]
struct Watches {
    by_path: HashMap<Arc<Path>, i32>,
    by_descriptor: HashMap<i32, Watch>,
}

#[derive(Debug, Default)]
struct Watch {
    /// As it was added; several when several paths lead to one directory.
    paths: Vec<Arc<Path>>,
    /// That the directory is gone was told.
    gone: bool,
}

impl Inotify {
    /// [`io::ErrorKind::QuotaExceeded`] when the user has no instance left.
    pub(super) fn new(tell: Tell) -> io::Result<Inotify> {
        let queue = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(no_instance)?;
        let end = retry(|| eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK))?;
        let shared = Arc::new(Shared { queue, end, over: AtomicBool::new(false), watches: Mutex::default() });
        let (work, tell) = (Arc::clone(&shared), super::safe(tell));
        let thread = Builder::new().name("filelatch-events".to_owned()).spawn(move || work.listen(&*tell))?;
        Ok(Inotify { shared, thread: Some(thread), owner: pid() })
    }

    fn is_inherited(&self) -> bool {
        pid() != self.owner
    }
}

/// `EMFILE` has two meanings here, and neither is "too many open files" to somebody who looks at his open files only.
fn no_instance(errno: Errno) -> io::Error {
    match errno {
        Errno::MFILE => io::Error::new(
            io::ErrorKind::QuotaExceeded,
            "no further inotify instance: either fs.inotify.max_user_instances of this user or the open files of this process \
             (ulimit -n) are used up",
        ),
        other => other.into(),
    }
}

/// `ENOSPC` means no disk here.
fn no_watch(errno: Errno) -> io::Error {
    match errno {
        Errno::NOSPC => io::Error::new(
            io::ErrorKind::StorageFull,
            "no further inotify watch: fs.inotify.max_user_watches of this user is used up",
        ),
        other => other.into(),
    }
}

impl fmt::Debug for Inotify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inotify").field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl Events for Inotify {
    fn covers_trees(&self) -> bool {
        false
    }

    fn tells_close(&self) -> bool {
        true
    }

    fn add(&self, dir: &Path) -> io::Result<()> {
        if self.is_inherited() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "this source belongs to the parent process"));
        }
        let mut watches = self.shared.watches();
        let descriptor = loop {
            match inotify::add_watch(&self.shared.queue, dir, ASKED) {
                Err(Errno::INTR) => {}
                other => break other.map_err(no_watch)?,
            }
        };
        match watches.by_path.get(dir) {
            Some(known) if *known == descriptor => return Ok(()),
            Some(_) => self.shared.forget(&mut watches, dir),
            None => {}
        }
        let path: Arc<Path> = dir.into();
        watches.by_path.insert(Arc::clone(&path), descriptor);
        watches.by_descriptor.entry(descriptor).or_default().paths.push(path);
        Ok(())
    }

    fn remove(&self, dir: &Path) {
        if !self.is_inherited() {
            let mut watches = self.shared.watches();
            self.shared.forget(&mut watches, dir);
        }
    }
}

impl Drop for Inotify {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if self.is_inherited() {
            // The descriptors are shared with the parent's thread, which must not be woken, and there is none here to wait for.
            std::mem::forget(thread);
            return;
        }
        self.shared.over.store(true, Ordering::Release);
        // Can't fail: the counter, never added to before, has room (eventfd(2)).
        drop(retry(|| rustix::io::write(&self.shared.end, &1_u64.to_ne_bytes())));
        // Dropped by the one who is being told: the thread ends when he returns.
        if thread.thread().id() != std::thread::current().id() {
            drop(thread.join());
        }
    }
}

impl Shared {
    fn watches(&self) -> MutexGuard<'_, Watches> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a path off its watch, and the watch away with the last one.
    fn forget(&self, watches: &mut Watches, dir: &Path) {
        let Some(descriptor) = watches.by_path.remove(dir) else { return };
        let Some(watch) = watches.by_descriptor.get_mut(&descriptor) else { return };
        watch.paths.retain(|path| &**path != dir);
        if watch.paths.is_empty() {
            watches.by_descriptor.remove(&descriptor);
            match inotify::remove_watch(&self.queue, descriptor) {
                // EINVAL: it has ended by itself meanwhile.
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// The thread.
    fn listen(&self, tell: &dyn Fn(Hint)) {
        let mut buffer = vec![MaybeUninit::uninit(); BUFFER];
        let mut reader = inotify::Reader::new(&self.queue, &mut buffer);
        loop {
            let mut ready = [PollFd::new(&self.queue, PollFlags::IN), PollFd::new(&self.end, PollFlags::IN)];
            // The only error left is ENOMEM (poll(2)); the queue waits.
            if retry(|| poll(&mut ready, None)).is_err() {
                std::thread::yield_now();
            }
            loop {
                if self.over.load(Ordering::Acquire) {
                    return;
                }
                match reader.next() {
                    Ok(event) => {
                        let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                        self.translate(event.wd(), event.events(), name, tell);
                    }
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => break,
                    // None that inotify(7) knows. What the queue held may be gone.
                    Err(_) => {
                        tell(Hint::Lost);
                        break;
                    }
                }
            }
        }
    }

    /// Tells what one event means.
    fn translate(&self, descriptor: i32, event: ReadFlags, name: Option<&OsStr>, tell: &dyn Fn(Hint)) {
        if event.contains(ReadFlags::QUEUE_OVERFLOW) {
            return tell(Hint::Lost);
        }
        let ended = event.contains(ReadFlags::IGNORED);
        let (paths, known_gone) = {
            let mut watches = self.watches();
            let Some(watch) = watches.by_descriptor.get_mut(&descriptor) else { return };
            let known_gone = watch.gone;
            watch.gone |= event.contains(ReadFlags::DELETE_SELF);
            let paths = watch.paths.clone();
            if ended {
                watches.by_descriptor.remove(&descriptor);
                for path in &paths {
                    watches.by_path.remove(path);
                }
            }
            (paths, known_gone)
        };
        let at = |path: &Arc<Path>| name.map_or_else(|| path.to_path_buf(), |name| path.join(name));
        if let Some(what) = meaning(event) {
            for path in &paths {
                tell(Hint::At { path: at(path), what });
            }
        }
        if ended && !known_gone {
            // Unmounted: below the path may be anything now, and watches on it are gone as this one is.
            tell(Hint::Lost);
        }
    }
}

/// Each event has one meaning: the kernel merges equal events only (inotify(7)).
fn meaning(event: ReadFlags) -> Option<Happened> {
    const MEANINGS: [(ReadFlags, Happened); 7] = [
        (ReadFlags::CREATE, Happened::Created),
        (ReadFlags::MOVED_TO, Happened::MovedIn),
        (ReadFlags::MOVED_FROM.union(ReadFlags::DELETE), Happened::Gone),
        (ReadFlags::MODIFY, Happened::Written),
        (ReadFlags::CLOSE_WRITE, Happened::Closed),
        (ReadFlags::ATTRIB, Happened::Other),
        // Of the directory itself; after an unmount the path stands for another one, or none.
        (ReadFlags::DELETE_SELF.union(ReadFlags::MOVE_SELF).union(ReadFlags::UNMOUNT), Happened::Gone),
    ];
    MEANINGS.iter().find(|(flags, _)| event.intersects(*flags)).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests;
