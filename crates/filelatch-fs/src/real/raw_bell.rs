//! Waiting for other processes at a word of a file (futex(2), not private: whoever has mapped the file meets there).
//!
//! The mapped page is never read or written from here: only the kernel looks at it, and answers `EFAULT` where an access would be `SIGBUS`,
//! when somebody has cut the file off.
#![expect(unsafe_code, reason = "mmap and futex on an address of another process's choosing")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Smaller than a page of any system: what is mapped.
const PAGE: usize = 4096;

/// The first page of a file, mapped for as long as this lives.
#[derive(Debug)]
pub(super) struct Bell(*const u8);

// SAFETY: the pointer is only handed to the kernel, which may be asked by any thread.
unsafe impl Send for Bell {}
// SAFETY: as above; nothing changes in it.
unsafe impl Sync for Bell {}

impl Bell {
    pub(super) fn map(fd: BorrowedFd<'_>) -> io::Result<Bell> {
        // SAFETY: a new mapping at an address that the kernel chooses; the descriptor is open (borrowed).
        let at =
            unsafe { libc::mmap(std::ptr::null_mut(), PAGE, libc::PROT_READ, libc::MAP_SHARED, fd.as_raw_fd(), 0) };
        if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(Bell(at.cast_const().cast())) }
    }

    fn word(&self, offset: u64) -> io::Result<*const u8> {
        let offset = usize::try_from(offset).ok().filter(|offset| offset + 4 <= PAGE && offset % 4 == 0);
        let offset = offset.ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: inside of the mapped page.
        Ok(unsafe { self.0.add(offset) })
    }

    /// Sleeps unless the word is another one.
    pub(super) fn wait(&self, offset: u64, seen: [u8; 4], time: Duration) -> io::Result<()> {
        let timeout = libc::timespec {
            tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: time.subsec_nanos().into(),
        };
        // SAFETY: the address is mapped as long as `self` lives, and the kernel checks it; the time lives through the call.
        let answer = unsafe {
            let word = self.word(offset)?;
            libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, u32::from_ne_bytes(seen), &raw const timeout)
        };
        if answer == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR | libc::ETIMEDOUT) => Ok(()),
            _ => Err(error),
        }
    }

    pub(super) fn ring(&self, offset: u64) -> io::Result<()> {
        // SAFETY: as in `wait`.
        let answer = unsafe { libc::syscall(libc::SYS_futex, self.word(offset)?, libc::FUTEX_WAKE, i32::MAX) };
        if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length, and nobody uses it any more.
        unsafe { libc::munmap(self.0.cast_mut().cast(), PAGE) };
    }
}
