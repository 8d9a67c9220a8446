//! The errors of the simulation: those of an operating system, and two that no operating system has.

use std::io::{self, ErrorKind};

/// Why a call failed that no system would have answered any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gone {
    PowerCut,
    Killed,
}

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Gone::PowerCut => "the power was cut (simulated)",
            Gone::Killed => "this process was killed (simulated)",
        })
    }
}

impl std::error::Error for Gone {}

fn is(error: &io::Error, why: Gone) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Gone>()).is_some_and(|gone| *gone == why)
}

/// Did the call fail because the simulated power is off? The program that sees this does not exist any more.
pub fn is_power_cut(error: &io::Error) -> bool {
    is(error, Gone::PowerCut)
}

/// Did the call fail because its simulated process was killed? The program that sees this does not exist any more.
pub fn is_killed(error: &io::Error) -> bool {
    is(error, Gone::Killed)
}

pub(super) fn power_cut() -> io::Error {
    io::Error::other(Gone::PowerCut)
}

pub(super) fn killed() -> io::Error {
    io::Error::other(Gone::Killed)
}

/// An error as the system would report it, with its number where it has one. [`ErrorKind::Other`] stands for `EIO`, which
/// has no kind of its own in std.
pub(super) fn os(kind: ErrorKind) -> io::Error {
    #[cfg(unix)]
    {
        let number = match kind {
            ErrorKind::Other => libc::EIO,
            ErrorKind::StorageFull => libc::ENOSPC,
            ErrorKind::QuotaExceeded => libc::EDQUOT,
            ErrorKind::ReadOnlyFilesystem => libc::EROFS,
            ErrorKind::CrossesDevices => libc::EXDEV,
            ErrorKind::ResourceBusy => libc::EBUSY,
            ErrorKind::PermissionDenied => libc::EACCES,
            ErrorKind::NotFound => libc::ENOENT,
            ErrorKind::AlreadyExists => libc::EEXIST,
            ErrorKind::IsADirectory => libc::EISDIR,
            ErrorKind::NotADirectory => libc::ENOTDIR,
            ErrorKind::DirectoryNotEmpty => libc::ENOTEMPTY,
            ErrorKind::InvalidFilename => libc::ENAMETOOLONG,
            ErrorKind::InvalidInput => libc::EINVAL,
            ErrorKind::StaleNetworkFileHandle => libc::ESTALE,
            _ => return kind.into(),
        };
        io::Error::from_raw_os_error(number)
    }
    #[cfg(not(unix))]
    if kind == ErrorKind::Other { io::Error::other("input/output error (simulated)") } else { kind.into() }
}

/// `ELOOP`: the last component is a symbolic link, or there are too many on the way.
pub(super) fn link_loop() -> io::Error {
    #[cfg(unix)]
    return io::Error::from_raw_os_error(libc::ELOOP);
    #[cfg(not(unix))]
    io::Error::other("too many symbolic links")
}

/// `EPERM`: a hard link to a directory, or on a file system without hard links.
pub(super) fn not_permitted() -> io::Error {
    #[cfg(unix)]
    return io::Error::from_raw_os_error(libc::EPERM);
    #[cfg(not(unix))]
    ErrorKind::PermissionDenied.into()
}

/// `EBADF`: the open file was not opened for this.
pub(super) fn bad_descriptor() -> io::Error {
    #[cfg(unix)]
    return io::Error::from_raw_os_error(libc::EBADF);
    #[cfg(not(unix))]
    io::Error::other("not opened for this")
}
