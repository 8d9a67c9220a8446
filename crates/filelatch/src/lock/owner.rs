//! Who holds: ownership as a value, not a thread (P3).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::ThreadId;

/// An owner of locks. Asking again for what the same owner holds is refused at once, for waiting would never end.
///
/// Calls that name no scope belong to the calling thread. Work that moves between threads (an async task, a guard that is
/// handed on) takes a scope of its own, clones of which are the same owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LockScope(Arc<u64>);

static NEXT: AtomicU64 = AtomicU64::new(1);

impl LockScope {
    /// A new owner.
    #[expect(clippy::new_without_default, reason = "each is another owner; a default would look like a value")]
    pub fn new() -> Self {
        LockScope(Arc::new(NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    pub(crate) fn owner(&self) -> Owner {
        Owner::Scope(*self.0)
    }
}

/// The identity behind a scope or a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    Thread(ThreadId),
    Scope(u64),
}

impl Owner {
    /// No scope has this number.
    pub(crate) const NOBODY: Owner = Owner::Scope(0);

    pub(crate) fn current() -> Owner {
        Owner::Thread(std::thread::current().id())
    }

    /// A name that is unique on this machine and compares the same everywhere: the greatest in a circle gives up.
    pub(crate) fn name(self, pid: u32, start: u64) -> String {
        match self {
            Owner::Thread(id) => {
                let digits: String = format!("{id:?}").chars().filter(char::is_ascii_digit).collect();
                format!("{pid}-{start}-t{digits}")
            }
            Owner::Scope(id) => format!("{pid}-{start}-s{id}"),
        }
    }
}
