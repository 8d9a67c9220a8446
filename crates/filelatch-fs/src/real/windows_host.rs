//! Time and process facts on Windows.
//!
//! - Start times are the creation times of processes (100 ns since 1601): they tell processes apart over reboots too.
//! - There is no identity of a boot: the moment it happened moves with the clock, and start times do without.
#![expect(clippy::disallowed_methods, reason = "this is the other side of the seam")]

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::thread::Thread;
use std::time::{Duration, SystemTime};

use super::raw_windows;
use crate::host::{Host, ProcessFacts};

/// This machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealHost;

impl Host for RealHost {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    // The performance counter counts from boot for all processes alike and, by its documentation, through standby and
    // hibernation; the tick count would too, but in steps of 16 ms.
    fn monotonic(&self) -> Duration {
        let (ticks, frequency) = raw_windows::counter();
        let nanos = u128::from(ticks % frequency) * 1_000_000_000 / u128::from(frequency);
        Duration::new(ticks / frequency, u32::try_from(nanos).unwrap_or_default())
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn park(&self, timeout: Option<Duration>) {
        match timeout {
            Some(timeout) => std::thread::park_timeout(timeout),
            None => std::thread::park(),
        }
    }

    fn unpark(&self, thread: &Thread) {
        thread.unpark();
    }

    fn pid(&self) -> u32 {
        std::process::id()
    }

    fn facts(&self) -> ProcessFacts {
        let pid = self.pid();
        ProcessFacts {
            pid,
            pid_ns: 0,
            start: self.start_of(pid).ok().flatten().unwrap_or_default(),
            boot: String::new(),
            host: raw_windows::host_name().unwrap_or_else(|_| "unknown".to_owned()),
            user: raw_windows::user_name().unwrap_or_else(|_| "unknown".to_owned()),
        }
    }

    fn start_of(&self, pid: u32) -> io::Result<Option<u64>> {
        raw_windows::start_of(pid)
    }

    fn random(&self) -> u64 {
        // Keys from the system's random source, drawn once for each thread and then counted up.
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u32(self.pid());
        hasher.write_u128(self.monotonic().as_nanos());
        hasher.finish()
    }

    fn secret(&self, bytes: &mut [u8]) -> io::Result<()> {
        raw_windows::entropy(bytes)
    }
}
