//! The thread that renews leases: one for each engine, while it has any to renew.
//!
//! A lease is renewed when a third of its time is over. A renewal that fails is tried again (L12): it is lost when its time is over,
//! or the file says that it is somebody else's.

use std::io;
use std::sync::{Arc, Mutex, Weak};
use std::thread::Thread;
use std::time::Duration;

use filelatch_fs::Host;

use super::held::Core;
use crate::lock::resource::locked;

/// Its stack: system calls and little else.
const STACK: usize = 512 << 10;

#[derive(Debug, Default)]
pub(crate) struct Keeper(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    leases: Vec<Weak<Core>>,
    running: bool,
    /// It registers itself.
    thread: Option<Thread>,
}

impl Keeper {
    /// Renews a lease from now on, until it is lost or nobody has it any more.
    pub(crate) fn keep(self: &Arc<Self>, core: &Arc<Core>, host: &Arc<dyn Host>) -> io::Result<()> {
        let mut kept = locked(&self.0);
        if !kept.running {
            let (keeper, host_of_thread) = (Arc::clone(self), Arc::clone(host));
            host.spawn("filelatch-renew", STACK, Box::new(move || keeper.run(&*host_of_thread)))?;
            kept.running = true;
        }
        kept.leases.push(Arc::downgrade(core));
        if let Some(thread) = &kept.thread {
            host.unpark(thread);
        }
        Ok(())
    }

    fn run(&self, host: &dyn Host) {
        loop {
            let leases: Vec<_> = {
                let mut kept = locked(&self.0);
                kept.thread.get_or_insert_with(std::thread::current);
                kept.leases.iter().filter_map(Weak::upgrade).collect()
            };
            let mut next: Option<Duration> = None;
            for lease in &leases {
                if let Some(pause) = lease.keep() {
                    next = Some(next.map_or(pause, |next| next.min(pause)));
                }
            }
            drop(leases);
            let mut kept = locked(&self.0);
            kept.leases.retain(|lease| lease.upgrade().is_some_and(|lease| lease.is_kept()));
            if kept.leases.is_empty() {
                (kept.running, kept.thread) = (false, None);
                return;
            }
            drop(kept);
            host.park(Some(next.unwrap_or_default().max(Duration::from_millis(1))));
        }
    }
}
