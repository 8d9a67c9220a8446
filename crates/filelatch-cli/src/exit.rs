//! Exit statuses: a contract with scripts.

/// Done.
pub(crate) const DONE: u8 = 0;
/// An error that none of the others names.
pub(crate) const ERROR: u8 = 1;
/// The command line was wrong; nothing was tried.
pub(crate) const USAGE: u8 = 2;
/// The file is not what the writer expected, or its lease is lost; nothing was written.
pub(crate) const CONFLICT: u8 = 3;
/// The lock was not had in time: held by another, a deadlock, or held by the command that started this one; or another has a lease.
pub(crate) const NO_LOCK: u8 = 4;
/// There is no such file.
pub(crate) const NO_FILE: u8 = 5;
/// `run --max-hold`: the lease was over and the command was ended, as timeout(1) has it.
pub(crate) const OVER: u8 = 124;
/// `run`: the command was found but could not be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// `run`: the command was not found.
pub(crate) const NOT_FOUND: u8 = 127;
/// `run`: added to the number of the signal that ended the command.
#[cfg(unix)]
pub(crate) const SIGNALLED: u8 = 128;

/// `merge --git`, `merge-driver`: the command line was wrong, as git has it.
pub(crate) const GIT_USAGE: u8 = 129;
/// `merge --git`, `merge-driver`: any other error. A lower status would be a number of conflicts.
pub(crate) const GIT_ERROR: u8 = 255;

/// The status for a kind of error ([`filelatch::Error::code`]).
pub(crate) fn of_kind(kind: &str) -> u8 {
    match kind {
        "usage" | "bad-glob" => USAGE,
        "partial" | "conflict" | "unresolved" | "lease-lost" | "stale-token" | "wrong-state" | "exists" | "edited" => {
            CONFLICT
        }
        "timeout" | "locked" | "git-locked" | "deadlock" | "leased" | "held-by-parent" => NO_LOCK,
        "not-found" | "no-such-conflict" | "no-such-session" | "no-such-item" => NO_FILE,
        _ => ERROR,
    }
}
