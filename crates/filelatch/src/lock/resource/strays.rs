//! The wait in the kernel: it can't be ended from outside, only called off, left behind, and made use of again (the head of
//! [`resource`](super) says when).

use std::sync::Arc;

use filelatch_fs::LockKind;

use super::super::sidecar::Sidecar;
use super::State;

#[derive(Debug)]
pub(super) struct KernelWait {
    pub(super) sidecar: Arc<Sidecar>,
    pub(super) kind: LockKind,
    /// Nobody wants it at the moment.
    pub(super) called_off: bool,
}

impl State {
    pub(super) fn front(&self) -> Option<LockKind> {
        self.queue.front().map(|waiter| waiter.kind)
    }

    /// A wait in the kernel is over. False: it is a stray's, and the lock, if it came, has been given back.
    pub(super) fn came_back(&mut self, sidecar: &Arc<Sidecar>) -> bool {
        if let Some(i) = self.strays.iter().position(|stray| Arc::ptr_eq(&stray.sidecar, sidecar)) {
            self.strays.swap_remove(i);
            sidecar.unlock().ok();
            return false;
        }
        self.kernel = None;
        true
    }

    /// The first in the queue is another, or nobody is: a wait that nobody wants must keep no one out. True: the queue needs another
    /// helper.
    pub(super) fn call_off(&mut self) -> bool {
        let front = self.front();
        if let Some(wait) = self.kernel.as_mut().filter(|wait| front != Some(wait.kind)) {
            wait.called_off = true;
            wait.sidecar.open_gate();
        }
        front.is_some() && self.leave_stray()
    }

    /// Somebody wants the lock again that was being waited for.
    pub(super) fn call_back(&mut self) {
        let front = self.front();
        if let Some(wait) = self.kernel.as_mut().filter(|wait| wait.called_off && front == Some(wait.kind)) {
            wait.called_off = false;
            wait.sidecar.shut_gate();
        }
    }

    /// Leaves a wait that was called off to itself.
    pub(super) fn leave_stray(&mut self) -> bool {
        let stray = self.kernel.take_if(|wait| wait.called_off);
        let left = stray.is_some();
        if left {
            self.sidecar = None;
        }
        self.strays.extend(stray);
        left
    }

    /// Makes a stray wait the queue's again.
    pub(super) fn adopt_stray(&mut self) -> bool {
        let front = self.front();
        let Some(i) = self.strays.iter().rposition(|stray| Some(stray.kind) == front) else { return false };
        let mut wait = self.strays.swap_remove(i);
        wait.called_off = false;
        wait.sidecar.shut_gate();
        self.kernel = Some(wait);
        true
    }
}
