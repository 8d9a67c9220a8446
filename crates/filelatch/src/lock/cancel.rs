//! Calling a wait off from outside (LOCK-8).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{Thread, ThreadId};

use super::resource::locked;

/// Ends waits early. Clones are the same token; once cancelled it stays so.
///
/// A wait that is called off leaves its queue and can't be granted the lock later. A change that has been applied already is
/// published all the same (P8).
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    cancelled: AtomicBool,
    waiting: Mutex<Vec<Thread>>,
}

impl CancelToken {
    /// A token that has not been cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls off every wait with this token, those under way and those to come.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
        for thread in locked(&self.0.waiting).iter() {
            thread.unpark();
        }
    }

    /// Was it cancelled?
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }
}

/// The calling thread's registration: it is woken by a cancellation until this is dropped.
pub(crate) struct Watched<'a> {
    token: Option<&'a CancelToken>,
    thread: ThreadId,
}

impl<'a> Watched<'a> {
    pub(crate) fn new(token: Option<&'a CancelToken>) -> Self {
        let thread = std::thread::current();
        let watched = Watched { token, thread: thread.id() };
        if let Some(token) = token {
            locked(&token.0.waiting).push(thread);
        }
        watched
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.token.is_some_and(CancelToken::is_cancelled)
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            let mut waiting = locked(&token.0.waiting);
            if let Some(i) = waiting.iter().position(|thread| thread.id() == self.thread) {
                waiting.swap_remove(i);
            }
        }
    }
}
