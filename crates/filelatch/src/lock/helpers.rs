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
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use filelatch_fs::FsFile;

use super::resource::{Resource, locked};

/// Threads that may block in the kernel.
const MAX: usize = 32;
/// Files that may wait to be closed.
const CLOSING: usize = 8;
/// How long an idle thread stays.
const IDLE: Duration = Duration::from_secs(1);
/// Their stack: system calls and little else.
const STACK: usize = 256 << 10;

#[derive(Debug, Default)]
pub(crate) struct Helpers {
    pool: Mutex<Pool>,
    work: Condvar,
}

#[derive(Debug, Default)]
struct Pool {
    threads: usize,
    idle: usize,
    jobs: VecDeque<Job>,
    closing: usize,
    polled: Vec<Arc<Resource>>,
    polling: bool,
}

#[derive(Debug)]
enum Job {
    Wait(Arc<Resource>),
    Close(Box<dyn FsFile>),
}

impl Helpers {
    /// Closes a file on a helper thread; here and now when there are many already, or no thread.
    pub(crate) fn close(self: &Arc<Self>, file: Box<dyn FsFile>) {
        let mut pool = locked(&self.pool);
        if pool.closing < CLOSING {
            if pool.idle > pool.jobs.len() {
                self.work.notify_one();
            } else if pool.threads < MAX && self.start("filelatch-wait", Helpers::work).is_ok() {
                pool.threads += 1;
            } else {
                return;
            }
            pool.closing += 1;
            pool.jobs.push_back(Job::Close(file));
        }
    }

    /// Has the queue of `resource` served by some thread. The caller must have set it busy, and may hold its mutex; after an
    /// error nobody serves it.
    pub(crate) fn submit(self: &Arc<Self>, resource: &Arc<Resource>) -> io::Result<()> {
        let mut pool = locked(&self.pool);
        if pool.idle > pool.jobs.len() {
            pool.jobs.push_back(Job::Wait(Arc::clone(resource)));
            self.work.notify_one();
        } else if pool.threads < MAX {
            self.start("filelatch-wait", Helpers::work)?;
            pool.threads += 1;
            pool.jobs.push_back(Job::Wait(Arc::clone(resource)));
        } else {
            if !pool.polling {
                self.start("filelatch-poll", Helpers::poll)?;
                pool.polling = true;
            }
            pool.polled.push(Arc::clone(resource));
        }
        Ok(())
    }

    fn start(self: &Arc<Self>, name: &str, run: fn(&Helpers)) -> io::Result<()> {
        let helpers = Arc::clone(self);
        let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK);
        builder.spawn(move || run(&helpers)).map(drop)
    }

    fn work(&self) {
        let mut pool = locked(&self.pool);
        loop {
            if let Some(job) = pool.jobs.pop_front() {
                pool.closing -= usize::from(matches!(job, Job::Close(_)));
                drop(pool);
                match job {
                    Job::Wait(resource) => drop(serve(&resource, true)),
                    Job::Close(file) => drop(file),
                }
                pool = locked(&self.pool);
                continue;
            }
            pool.idle += 1;
            let (guard, timed_out) = self.work.wait_timeout(pool, IDLE).unwrap_or_else(PoisonError::into_inner);
            pool = guard;
            pool.idle -= 1;
            if timed_out.timed_out() && pool.jobs.is_empty() {
                pool.threads -= 1;
                return;
            }
        }
    }

    fn poll(&self) {
        let mut pause = Duration::from_millis(1);
        loop {
            let round = std::mem::take(&mut locked(&self.pool).polled);
            let host = round.first().map(|resource| Arc::clone(&resource.parts.host));
            let before = round.len();
            let open: Vec<_> = round.into_iter().filter(|resource| !serve(resource, false)).collect();
            pause =
                if open.len() < before { Duration::from_millis(1) } else { (pause * 2).min(Duration::from_millis(10)) };
            let mut pool = locked(&self.pool);
            pool.polled.extend(open);
            if pool.polled.is_empty() {
                pool.polling = false;
                return;
            }
            drop(pool);
            if let Some(host) = host {
                host.sleep(pause);
            }
        }
    }
}

/// True: the queue needs no more help.
fn serve(resource: &Arc<Resource>, block: bool) -> bool {
    catch_unwind(AssertUnwindSafe(|| resource.serve_queue(block))).unwrap_or_else(|_| {
        resource.fail_queue("the thread that waited for the lock panicked");
        true
    })
}
