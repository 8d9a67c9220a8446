//! Time and process facts on Unix.
#![expect(clippy::disallowed_methods, reason = "this is the other side of the seam")]

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
#[cfg(target_os = "linux")]
use std::path::Path;
use std::thread::Thread;
use std::time::{Duration, SystemTime};

#[cfg(target_os = "linux")]
use crate::host::ProcessIn;
use crate::host::{Host, ProcessFacts};

/// This machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealHost;

impl Host for RealHost {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    #[cfg(target_os = "linux")]
    fn monotonic(&self) -> Duration {
        since(rustix::time::clock_gettime(rustix::time::ClockId::Boottime))
    }

    // macOS: CLOCK_MONOTONIC goes on while the machine sleeps. The BSDs' stands still: their leases last longer.
    #[cfg(not(target_os = "linux"))]
    fn monotonic(&self) -> Duration {
        since(rustix::time::clock_gettime(rustix::time::ClockId::Monotonic))
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

    fn uid(&self) -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn pid(&self) -> u32 {
        super::raw_unix::pid()
    }

    fn facts(&self) -> ProcessFacts {
        let pid = self.pid();
        ProcessFacts {
            pid,
            #[cfg(target_os = "linux")]
            pid_ns: super::linux::pid_namespace().unwrap_or_default(),
            #[cfg(not(target_os = "linux"))]
            pid_ns: 0,
            start: self.start_of(pid).ok().flatten().unwrap_or_default(),
            boot: boot_id(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            user: user_name(rustix::process::geteuid().as_raw()),
        }
    }

    fn start_of(&self, pid: u32) -> io::Result<Option<u64>> {
        #[cfg(target_os = "linux")]
        return super::linux::start_of(pid);
        #[cfg(target_vendor = "apple")]
        return super::raw_unix::start_of(pid);
        #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
        {
            let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return Ok(None) };
            match rustix::process::test_kill_process(pid) {
                Err(rustix::io::Errno::SRCH) => Ok(None),
                _ => Ok(Some(0)),
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn program_of(&self, pid: u32) -> Option<String> {
        super::linux::program_of(pid)
    }

    #[cfg(target_os = "linux")]
    fn processes_in(&self, dir: &Path) -> io::Result<Option<Vec<ProcessIn>>> {
        super::linux::processes_in(dir)
    }

    fn random(&self) -> u64 {
        // Keys from the system's random source, drawn once for each thread and then counted up; a forked child would go on
        // with its parent's, so process and time go in too.
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u32(self.pid());
        hasher.write_u128(self.monotonic().as_nanos());
        hasher.finish()
    }

    #[cfg(target_os = "linux")]
    fn secret(&self, bytes: &mut [u8]) -> io::Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            match rustix::rand::getrandom(&mut *left, rustix::rand::GetRandomFlags::empty()) {
                Ok(n) => left = &mut left[n..],
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn secret(&self, bytes: &mut [u8]) -> io::Result<()> {
        super::raw_unix::entropy(bytes)
    }
}

fn since(time: rustix::time::Timespec) -> Duration {
    let secs = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(secs, u32::try_from(time.tv_nsec).unwrap_or_default())
}

fn boot_id() -> String {
    #[cfg(target_os = "linux")]
    let id = super::linux::boot_id();
    #[cfg(target_vendor = "apple")]
    let id = super::raw_unix::boot_id();
    #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
    let id: Option<String> = None;
    id.unwrap_or_default()
}

/// passwd(5); users that only a directory service knows stay numbers.
fn user_name(uid: u32) -> String {
    let number = uid.to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    });
    name.unwrap_or(number)
}
