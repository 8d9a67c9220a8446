//! The system calls that the safe wrappers do not offer. The only unsafe code for Unix.
#![expect(unsafe_code, reason = "fcntl commands and process facts that rustix does not wrap")]
#![expect(clippy::disallowed_methods, reason = "this is the other side of the seam")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// This process's id without a system call for each question: guards ask at every lock and unlock. Forgotten in a forked child
/// (`pthread_atfork(3)`); a child made by the bare system call, behind the C library's back, is not noticed.
pub(super) fn pid() -> u32 {
    static PID: AtomicU32 = AtomicU32::new(0);
    static WATCHED: OnceLock<bool> = OnceLock::new();
    extern "C" fn forget() {
        PID.store(0, Ordering::Relaxed);
    }
    match PID.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: the handler does nothing but store to an atomic, which is allowed between fork and exec.
            let watched = *WATCHED.get_or_init(|| unsafe { libc::pthread_atfork(None, None, Some(forget)) } == 0);
            let pid = std::process::id();
            if watched {
                PID.store(pid, Ordering::Relaxed);
            }
            pid
        }
        pid => pid,
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::{RangeCommand, probe_writers, range_command};

#[cfg(target_os = "linux")]
mod linux {
    use super::{AsRawFd, BorrowedFd, io};
    use crate::types::{LockKind, WriterProbe};

    /// fcntl(2); not among libc's constants. The number is the same on every architecture that Rust's std supports.
    const F_SETSIG: libc::c_int = 10;

    /// What to do with a byte range of the open file description (fcntl(2), "Open file description locks").
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(in super::super) enum RangeCommand {
        TryLock(LockKind),
        Lock(LockKind),
        Unlock,
        /// Would an exclusive lock be refused?
        Query,
    }

    /// Runs one command; true: done (or, for a query, somebody else holds a lock there); false: refused (or nobody does).
    pub(in super::super) fn range_command(
        fd: BorrowedFd<'_>,
        start: u64,
        len: u64,
        command: RangeCommand,
    ) -> io::Result<bool> {
        let of = |kind| match kind {
            LockKind::Shared => libc::F_RDLCK,
            LockKind::Exclusive => libc::F_WRLCK,
        };
        let (number, lock_type) = match command {
            RangeCommand::TryLock(kind) => (libc::F_OFD_SETLK, of(kind)),
            RangeCommand::Lock(kind) => (libc::F_OFD_SETLKW, of(kind)),
            RangeCommand::Unlock => (libc::F_OFD_SETLK, libc::F_UNLCK),
            RangeCommand::Query => (libc::F_OFD_GETLK, libc::F_WRLCK),
        };
        let to_offset = |n: u64| libc::off_t::try_from(n).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
        // SAFETY: `flock` is a plain C struct for which all-zero bytes are a valid value (and `l_pid` must be 0 for OFD).
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        #[expect(clippy::cast_possible_truncation, reason = "the constants are small and the C fields are short")]
        {
            lock.l_type = lock_type as libc::c_short;
            lock.l_whence = libc::SEEK_SET as libc::c_short;
        }
        lock.l_start = to_offset(start)?;
        lock.l_len = to_offset(len)?;
        loop {
            // SAFETY: the descriptor is open (borrowed) and the third argument is what these commands take: a pointer to a
            // `flock` that lives through the call.
            if unsafe { libc::fcntl(fd.as_raw_fd(), number, &raw mut lock) } == 0 {
                let free = i32::from(lock.l_type) == libc::F_UNLCK;
                return Ok(command != RangeCommand::Query || !free);
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN | libc::EACCES) if matches!(command, RangeCommand::TryLock(_)) => return Ok(false),
                _ => return Err(error),
            }
        }
    }

    /// Asks with a read lease whether a writable descriptor of the inode exists (fcntl(2), "Leases"), and gives it back.
    pub(in super::super) fn probe_writers(fd: BorrowedFd<'_>) -> WriterProbe {
        let call = |command: libc::c_int, argument: libc::c_int| {
            // SAFETY: the descriptor is open (borrowed), and each of these commands takes one int.
            match unsafe { libc::fcntl(fd.as_raw_fd(), command, argument) } {
                -1 => Err(io::Error::last_os_error()),
                _ => Ok(()),
            }
        };
        // Should somebody open the file for writing within these microseconds, the kernel tells the lease's owner with a
        // signal. The default, SIGIO, would end the process; SIGURG is ignored unless somebody asked for it.
        if call(F_SETSIG, libc::SIGURG).is_err() {
            return WriterProbe::Unknown;
        }
        match call(libc::F_SETLEASE, libc::F_RDLCK) {
            Ok(()) => match call(libc::F_SETLEASE, libc::F_UNLCK) {
                Ok(()) => WriterProbe::None,
                Err(_) => WriterProbe::Unknown,
            },
            Err(e) if e.raw_os_error() == Some(libc::EAGAIN) => WriterProbe::Some,
            Err(_) => WriterProbe::Unknown,
        }
    }
}

/// A descriptor of our own for the open file behind a number that somebody told us; `EBADF` when there is none.
pub(super) fn duplicate(number: u64) -> io::Result<OwnedFd> {
    let number = libc::c_int::try_from(number).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
    // SAFETY: this command takes an int and answers `EBADF` for a number that is not open; no memory is touched.
    let own = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if own == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just made this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(own) })
}

/// Does the directory's file system tell names apart by case (`_PC_CASE_SENSITIVE`)?
#[cfg(target_vendor = "apple")]
pub(super) fn is_case_insensitive(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: the descriptor is open (borrowed); fpathconf only reads.
    let answer = unsafe { libc::fpathconf(fd.as_raw_fd(), libc::_PC_CASE_SENSITIVE) };
    answer == 0
}

/// Makes bytes reach the medium, not only the drive's cache (`F_FULLFSYNC`, L28); plain fsync where a file system has not
/// got it.
#[cfg(target_vendor = "apple")]
pub(super) fn full_sync(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is open (borrowed); the command takes no argument.
    if unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_FULLFSYNC) } != -1 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENOTSUP | libc::EINVAL | libc::ENOTTY) => Ok(rustix::fs::fsync(fd)?),
        _ => Err(error),
    }
}

/// Start of a process in microseconds since the epoch (`proc_pidinfo`).
///
/// A process that has ended and was not yet waited for is not found any more, as on Linux: the call looks among the living only.
/// Of one of another user the system tells nothing (`EPERM`): an error, and so no proof that it is gone.
#[cfg(target_vendor = "apple")]
pub(super) fn start_of(pid: u32) -> io::Result<Option<u64>> {
    let Ok(pid) = libc::c_int::try_from(pid) else { return Ok(None) };
    // SAFETY: `proc_bsdinfo` is a plain C struct for which all-zero bytes are a valid value.
    let mut info: libc::proc_bsdinfo = unsafe { std::mem::zeroed() };
    let size = libc::c_int::try_from(size_of::<libc::proc_bsdinfo>()).unwrap_or_default();
    // SAFETY: the buffer is as large as `size` says and lives through the call.
    let n = unsafe { libc::proc_pidinfo(pid, libc::PROC_PIDTBSDINFO, 0, (&raw mut info).cast(), size) };
    if n == size {
        return Ok(Some(info.pbi_start_tvsec * 1_000_000 + info.pbi_start_tvusec));
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ESRCH) { Ok(None) } else { Err(error) }
}

/// Identity of this boot (`kern.bootsessionuuid`).
#[cfg(target_vendor = "apple")]
pub(super) fn boot_id() -> Option<String> {
    let mut buf = [0_u8; 64];
    let mut len = buf.len();
    // SAFETY: the name is a C string, the buffer is `len` bytes long, and nothing is set.
    let status = unsafe {
        libc::sysctlbyname(
            c"kern.bootsessionuuid".as_ptr(),
            buf.as_mut_ptr().cast(),
            &raw mut len,
            std::ptr::null_mut(),
            0,
        )
    };
    let text = std::str::from_utf8(buf.get(..len)?).ok()?.trim_end_matches('\0');
    (status == 0).then(|| text.to_owned())
}

/// Bytes from the kernel's random source (getentropy(3): at most 256 at a time).
#[cfg(not(target_os = "linux"))]
pub(super) fn entropy(bytes: &mut [u8]) -> io::Result<()> {
    for piece in bytes.chunks_mut(256) {
        // SAFETY: the buffer is as long as the call is told, and lives through it.
        if unsafe { libc::getentropy(piece.as_mut_ptr().cast(), piece.len()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
