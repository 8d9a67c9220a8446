//! Threads that wait in the kernel, and close replaced files, so that callers don't have to (P1).
//!
//! # Promise
//! One wait for each file and process, whatever number of callers wait; at most [`MAX`] threads for that, further files are
//! polled by one more thread every 1 to 10 ms. A thread that has nothing to do for a second ends.
//!
//! # Non-promise
//! A wait in the kernel can't be called off. When everybody it was for has left, it takes the lock once it is free and gives
//! it back at once, unsigned; no caller ever sees that.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::Thread;
use std::time::Duration;

use filelatch_fs::{FsFile, Host};

use super::heart::Heart;
use super::resource::{Resource, locked};
use super::slots::Slots;

/// Threads that may block in the kernel.
const MAX: usize = 32;
/// Files that may wait to be closed.
const CLOSING: usize = 8;
/// How long an idle thread stays.
const IDLE: Duration = Duration::from_secs(1);
/// Their stack: system calls and little else.
const STACK: usize = 256 << 10;

#[derive(Debug)]
pub(crate) struct Helpers {
    pool: Mutex<Pool>,
    host: Arc<dyn Host>,
    pub(super) heart: Arc<Heart>,
}

#[derive(Debug, Default)]
struct Pool {
    threads: usize,
    /// Parked for want of work; whoever brings some takes one out and wakes it.
    idle: Vec<Thread>,
    jobs: VecDeque<Job>,
    closing: usize,
    polled: Vec<Work>,
    polling: bool,
}

#[derive(Debug)]
enum Job {
    Wait(Work),
    Close(Box<dyn FsFile>),
}

/// Whose queue is to be served.
#[derive(Debug)]
pub(crate) enum Work {
    File(Arc<Resource>),
    /// The record that has this byte.
    Record(Arc<Slots>, u64),
}

impl Work {
    /// True: the queue needs no more help.
    fn serve(&self, block: bool) -> bool {
        let served = catch_unwind(AssertUnwindSafe(|| match self {
            Work::File(resource) => resource.serve_queue(block),
            Work::Record(slots, byte) => slots.serve_queue(*byte, block),
        }));
        served.unwrap_or_else(|_| {
            let message = "the thread that waited for the lock panicked";
            match self {
                Work::File(resource) => resource.fail_queue(message),
                Work::Record(slots, byte) => slots.fail_queue(*byte, message),
            }
            true
        })
    }
}

impl Helpers {
    pub(crate) fn new(host: Arc<dyn Host>) -> Arc<Helpers> {
        let heart = Heart::new(Arc::clone(&host));
        Arc::new(Helpers { pool: Mutex::default(), host, heart })
    }

    /// Closes a file on a helper thread; here and now when there are many already, or no thread.
    pub(crate) fn close(self: &Arc<Self>, file: Box<dyn FsFile>) {
        let mut pool = locked(&self.pool);
        if pool.closing < CLOSING && self.find_thread(&mut pool).is_ok_and(|found| found) {
            pool.closing += 1;
            pool.jobs.push_back(Job::Close(file));
        }
    }

    /// Has a queue served by some thread, in the kernel if it may block there. The caller must have set it busy, and may hold its
    /// mutex; after an error nobody serves it.
    pub(crate) fn submit(self: &Arc<Self>, work: Work, may_block: bool) -> io::Result<()> {
        let mut pool = locked(&self.pool);
        if may_block && self.find_thread(&mut pool)? {
            pool.jobs.push_back(Job::Wait(work));
            return Ok(());
        }
        if !pool.polling {
            self.start("filelatch-poll", Helpers::poll)?;
            pool.polling = true;
        }
        pool.polled.push(work);
        Ok(())
    }

    /// Wakes or starts a thread for a job that is about to be in the pool. False: there are too many.
    fn find_thread(self: &Arc<Self>, pool: &mut Pool) -> io::Result<bool> {
        if let Some(thread) = pool.idle.pop() {
            self.host.unpark(&thread);
        } else if pool.threads < MAX {
            self.start("filelatch-wait", Helpers::work)?;
            pool.threads += 1;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn start(self: &Arc<Self>, name: &str, run: fn(&Helpers)) -> io::Result<()> {
        let helpers = Arc::clone(self);
        self.host.spawn(name, STACK, Box::new(move || run(&helpers)))
    }

    fn work(&self) {
        let mut pool = locked(&self.pool);
        loop {
            let Some(job) = pool.jobs.pop_front() else {
                match self.idle(pool) {
                    Some(again) => pool = again,
                    None => return,
                }
                continue;
            };
            pool.closing -= usize::from(matches!(job, Job::Close(_)));
            drop(pool);
            match job {
                Job::Wait(work) => drop(work.serve(true)),
                Job::Close(file) => drop(file),
            }
            pool = locked(&self.pool);
        }
    }

    /// Waits for work; `None` when none came for long.
    fn idle<'a>(&'a self, mut pool: MutexGuard<'a, Pool>) -> Option<MutexGuard<'a, Pool>> {
        let me = std::thread::current();
        pool.idle.push(me.clone());
        loop {
            drop(pool);
            let in_time = self.host.idle(IDLE);
            pool = locked(&self.pool);
            let Some(at) = pool.idle.iter().position(|thread| thread.id() == me.id()) else { return Some(pool) };
            if !in_time {
                pool.idle.swap_remove(at);
                pool.threads -= 1;
                return None;
            }
        }
    }

    fn poll(&self) {
        let mut pause = Duration::from_millis(1);
        loop {
            let round = std::mem::take(&mut locked(&self.pool).polled);
            let before = round.len();
            let open: Vec<_> = round.into_iter().filter(|work| !work.serve(false)).collect();
            pause =
                if open.len() < before { Duration::from_millis(1) } else { (pause * 2).min(Duration::from_millis(10)) };
            let mut pool = locked(&self.pool);
            pool.polled.extend(open);
            if pool.polled.is_empty() {
                pool.polling = false;
                return;
            }
            drop(pool);
            self.host.sleep(pause);
        }
    }
}
