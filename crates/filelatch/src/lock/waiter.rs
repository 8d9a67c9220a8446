//! One who waits in the queue of a [`Resource`](super::resource::Resource): a thread or a task.
//!
//! # Invariant
//! The answer is given once, under the resource's mutex, and taken once. Waking may follow after that mutex is free.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::Duration;

use filelatch_fs::{Host, LockKind};

use super::held::Recovery;
use super::owner::Owner;
use super::record::Intent;
use super::resource::locked;
use crate::error::Result;

#[derive(Debug)]
pub(crate) struct Waiter {
    pub(super) id: u64,
    pub(super) kind: LockKind,
    pub(super) owner: Owner,
    answer: Mutex<Answer>,
    answered: AtomicBool,
    /// A thread waits, and may be woken a little early.
    is_thread: AtomicBool,
    /// Next in line behind a holder who will not take long.
    near: AtomicBool,
}

#[derive(Debug)]
enum Answer {
    Pending(Option<Waker>),
    Ready(Result<Grant>),
    Taken,
}

/// The right to the lock, not yet wrapped: whoever gets one must release it.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(super) id: u64,
    pub(super) intent: Option<Intent>,
    pub(super) recovery: Option<Box<Recovery>>,
    pub(super) enforced: bool,
}

impl Waiter {
    pub(super) fn new(id: u64, kind: LockKind, owner: Owner) -> Waiter {
        Waiter {
            id,
            kind,
            owner,
            answer: Mutex::new(Answer::Pending(None)),
            answered: AtomicBool::new(false),
            is_thread: AtomicBool::new(false),
            near: AtomicBool::new(false),
        }
    }

    pub(super) fn answer(&self, result: Result<Grant>) {
        if let Some(waker) = self.settle(result) {
            waker.wake();
        }
    }

    /// Answers; whom to wake.
    pub(super) fn settle(&self, result: Result<Grant>) -> Option<Waker> {
        let before = std::mem::replace(&mut *locked(&self.answer), Answer::Ready(result));
        self.answered.store(true, Ordering::Release);
        match before {
            Answer::Pending(waker) => waker,
            Answer::Ready(_) | Answer::Taken => None,
        }
    }

    /// The answer if it is there; else `waker` is told when it is.
    pub(super) fn poll(&self, waker: &Waker) -> Option<Result<Grant>> {
        if let Answer::Pending(slot) = &mut *locked(&self.answer) {
            if !slot.as_ref().is_some_and(|known| known.will_wake(waker)) {
                *slot = Some(waker.clone());
            }
            return None;
        }
        self.take()
    }

    /// The answer, if it is there and nobody has taken it.
    pub(super) fn take(&self) -> Option<Result<Grant>> {
        match std::mem::replace(&mut *locked(&self.answer), Answer::Taken) {
            Answer::Ready(result) => Some(result),
            Answer::Pending(_) | Answer::Taken => None,
        }
    }

    pub(super) fn is_for_thread(&self) {
        self.is_thread.store(true, Ordering::Relaxed);
    }

    /// Wakes a thread that will be next, so that it is awake when its turn comes.
    pub(super) fn come_near(&self) {
        if !self.is_thread.load(Ordering::Relaxed) {
            return;
        }
        self.near.store(true, Ordering::Relaxed);
        let waker = match &*locked(&self.answer) {
            Answer::Pending(waker) => waker.clone(),
            Answer::Ready(_) | Answer::Taken => None,
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits awake for at most so long if the turn is said to be near.
    pub(super) fn spin_if_near(&self, host: &dyn Host, time: Duration) {
        if !self.near.swap(false, Ordering::Relaxed) {
            return;
        }
        let end = host.monotonic() + time;
        while host.monotonic() < end {
            for _ in 0..16 {
                if self.answered.load(Ordering::Acquire) {
                    return;
                }
                std::hint::spin_loop();
            }
        }
    }
}
