//! What only Linux has: what `/proc` tells, and openat2(2).
#![expect(clippy::disallowed_methods, reason = "this is the other side of the seam")]

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::host::ProcessIn;
use crate::types::{FileId, LockEntry, LockKind, LockTable};

/// `PROC_PID_INIT_INO` of `linux/proc_ns.h`.
const INITIAL_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// The table is read a page at a time, and rows may be missed or seen twice when locks come and go between two pages. What fits
/// into one is complete.
const PAGE: usize = 3 << 10;
/// How often a longer table is read until two readings agree; one that has no holder of the file is always read so often.
const READINGS: usize = 5;

/// Who has locks on a file: the rows of `/proc/locks` (proc(5)) with its inode.
pub(super) fn lock_table(file: FileId) -> io::Result<Option<LockTable>> {
    let mut table = LockTable::default();
    for _ in 0..READINGS {
        let text = match std::fs::read_to_string("/proc/locks") {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let before = std::mem::replace(&mut table, parse(&text, file, has_open));
        if text.len() < PAGE || (table.is_held() && table == before) {
            break;
        }
    }
    if table.is_held() {
        return Ok(Some(table));
    }
    // Inside a container the table leaves out processes that can't be seen from there: no row proves nothing.
    Ok((pid_namespace() == Some(INITIAL_PID_NAMESPACE)).then_some(table))
}

/// The flock(2) lock of one open file: the kernel lists it with the descriptor (proc(5), `fdinfo`).
pub(super) fn held_lock(fd: std::os::fd::RawFd) -> io::Result<Option<LockKind>> {
    let text = match std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(io::ErrorKind::Unsupported.into()),
        Err(e) => return Err(e),
    };
    // `lock:	1: FLOCK  ADVISORY  WRITE 4211 08:01:262146 0 EOF`
    let mut kinds = text.lines().filter_map(|line| line.strip_prefix("lock:")).filter_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        match (words.next()?, words.nth(1)?) {
            ("FLOCK", "WRITE") => Some(LockKind::Exclusive),
            ("FLOCK", "READ") => Some(LockKind::Shared),
            _ => None,
        }
    });
    Ok(kinds.next_back())
}

/// The device numbers there are the superblock's, on btrfs others than stat(2) tells: a row with the right inode number and
/// another device counts when its process really has the file open (`confirm`).
fn parse(text: &str, file: FileId, confirm: impl Fn(u32, FileId) -> bool) -> LockTable {
    let device = (u64::from(rustix::fs::major(file.dev)), u64::from(rustix::fs::minor(file.dev)));
    let mut table = LockTable::default();
    for line in text.lines() {
        // `1: -> FLOCK  ADVISORY  WRITE 4211 08:01:262146 0 EOF`
        let mut words = line.split_ascii_whitespace().skip(1).peekable();
        let waiting = words.next_if_eq(&"->").is_some();
        let (Some(class), Some(_), Some(kind), Some(pid), Some(place)) =
            (words.next(), words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let range = match class {
            "FLOCK" => false,
            "OFDLCK" | "POSIX" => true,
            _ => continue,
        };
        let start = words.next().and_then(|start| start.parse().ok()).unwrap_or_default();
        let mut place = place.split(':');
        let hex = |s: Option<&str>| s.and_then(|s| u64::from_str_radix(s, 16).ok());
        let (major, minor) = (hex(place.next()), hex(place.next()));
        if place.next().and_then(|s| s.parse().ok()) != Some(file.ino) {
            continue;
        }
        let pid = pid.parse::<u32>().ok().filter(|pid| *pid != 0);
        if (major, minor) != (Some(device.0), Some(device.1)) && !pid.is_some_and(|pid| confirm(pid, file)) {
            continue;
        }
        let kind = if kind == "READ" { LockKind::Shared } else { LockKind::Exclusive };
        table.entries.push(LockEntry { pid, kind, waiting, range, start });
    }
    table
}

fn has_open(pid: u32, file: FileId) -> bool {
    let Ok(entries) = std::fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd")) else { return false };
    entries
        .flatten()
        .filter_map(|entry| std::fs::metadata(entry.path()).ok())
        .any(|m| m.ino() == file.ino && m.dev() == file.dev)
}

/// How often openat2(2) is asked again after `EAGAIN`: something was renamed meanwhile, and the kernel can't be sure.
const ATTEMPTS: usize = 16;

const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS).union(ResolveFlags::NO_SYMLINKS);

/// Opens what is below `dir`; no symbolic link is followed, and what was moved elsewhere meanwhile is not opened.
pub(super) fn open_beneath(dir: BorrowedFd<'_>, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    opened_beneath(dir, path, flags, BENEATH)
}

/// A descriptor for looking at what is below `dir` and on its mount; a symbolic link at the end is that itself.
pub(super) fn look_beneath(dir: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<OwnedFd> {
    opened_beneath(dir, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, BENEATH | ResolveFlags::NO_XDEV)
}

fn opened_beneath(
    dir: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    resolve: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    let mut opened = Err(Errno::AGAIN);
    for _ in 0..ATTEMPTS {
        opened = rustix::fs::openat2(dir, path, flags, Mode::empty(), resolve);
        if !matches!(opened, Err(Errno::AGAIN)) {
            break;
        }
    }
    opened.map_err(super::unix::link_is_no_dir)
}

/// Is it an answer of kernels before 5.6, of filters that refuse calls that they do not know, or of a kernel that gave up?
pub(super) fn is_kept_from_openat2(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EAGAIN | libc::EINVAL | libc::E2BIG))
        || error.kind() == io::ErrorKind::Unsupported
}

/// Start time of a process in clock ticks since boot (proc(5), field 22).
pub(super) fn start_of(pid: u32) -> io::Result<Option<u64>> {
    let stat = match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        Err(e) if e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(libc::ESRCH) => return unseen(pid),
        Err(e) => return Err(e),
    };
    Ok(start_in(&stat))
}

/// A process without a directory there: gone, or of another user and hidden (`hidepid`, proc(5)), or `/proc` is not mounted.
fn unseen(pid: u32) -> io::Result<Option<u64>> {
    let Some(id) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else { return Ok(None) };
    match rustix::process::test_kill_process(id) {
        Err(rustix::io::Errno::SRCH) => Ok(None),
        _ => Err(io::Error::new(io::ErrorKind::PermissionDenied, "the process exists, and nothing is told of it")),
    }
}

/// The start time in a line of `/proc/<pid>/stat`; `None` for a process that is dead and only not yet waited for: its files are
/// closed. (The first thread of a living process may be dead, too; then there are others.)
fn start_in(stat: &str) -> Option<u64> {
    // The second field is the program's name in parentheses and may hold anything; count from its end.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let threads: u32 = fields.get(17)?.parse().ok()?;
    let dead = matches!(*fields.first()?, "Z" | "X" | "x") && threads <= 1;
    if dead { None } else { fields.get(19)?.parse().ok() }
}

/// Name of the program that a process runs: 15 bytes of it (proc(5)).
pub(super) fn program_of(pid: u32) -> Option<String> {
    let name = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(&name).trim_end().to_owned())
}

/// Processes by their current directories and roots; what can't be read is left out.
pub(super) fn processes_in(dir: &Path) -> io::Result<Option<Vec<ProcessIn>>> {
    let entries = match std::fs::read_dir("/proc") {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let (mut found, mut any) = (Vec::new(), false);
    for entry in entries {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        any = true;
        let mut places =
            ["cwd", "root"].into_iter().filter_map(|kind| std::fs::read_link(entry.path().join(kind)).ok());
        if let Some(inside) = places.find(|place| place.starts_with(dir)) {
            found.push(ProcessIn { pid, program: program_of(pid), dir: inside });
        }
    }
    found.sort_by_key(|process| process.pid);
    // An empty directory: nothing is mounted there.
    Ok(any.then_some(found))
}

/// Identity of this boot.
pub(super) fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

/// Identity of this process's PID namespace: the inode number of its handle (namespaces(7)).
pub(super) fn pid_namespace() -> Option<u64> {
    Some(std::fs::metadata("/proc/self/ns/pid").ok()?.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
1: FLOCK  ADVISORY  WRITE 4211 08:01:262146 0 EOF
1: -> FLOCK  ADVISORY  READ 4212 08:01:262146 0 EOF
2: OFDLCK ADVISORY  WRITE -1 08:01:262146 5 5
3: FLOCK  ADVISORY  READ 77 00:2a:262146 0 EOF
4: FLOCK  ADVISORY  READ 78 08:01:9 0 EOF
5: LEASE  ACTIVE    READ 79 08:01:262146 0 EOF
nonsense
";

    /// LOCK-10 (L7): a process that has ended and was not waited for is dead; one whose first thread has ended is not.
    #[test]
    fn the_dead_have_no_start_time() {
        let line = |state: &str, threads: &str| {
            format!("7 (a) b) {state} 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 {threads} 0 4711 0 0")
        };
        assert_eq!(start_in(&line("S", "1")), Some(4711));
        assert_eq!(start_in(&line("Z", "1")), None);
        assert_eq!(start_in(&line("Z", "4")), Some(4711));
        assert_eq!(start_in("nonsense"), None);
    }

    /// LOCK-7: holders, waiters and ranges of one file are told apart from the system's table.
    #[test]
    fn rows_of_one_inode() {
        let file = FileId { dev: rustix::fs::makedev(8, 1), ino: 262_146 };
        let table = parse(TEXT, file, |_, _| false);
        let row = |pid, kind, waiting, range| LockEntry { pid, kind, waiting, range, start: if range { 5 } else { 0 } };
        assert_eq!(
            table.entries,
            [
                row(Some(4211), LockKind::Exclusive, false, false),
                row(Some(4212), LockKind::Shared, true, false),
                row(None, LockKind::Exclusive, false, true),
            ]
        );
        assert!(table.is_held());
    }

    /// LOCK-7: on btrfs the device of the table is not the file's; the process's open files decide.
    #[test]
    fn other_device_counts_only_when_confirmed() {
        let file = FileId { dev: rustix::fs::makedev(0, 0x2b), ino: 262_146 };
        assert_eq!(parse(TEXT, file, |pid, _| pid == 77).holders().count(), 1);
        assert!(!parse(TEXT, file, |_, _| false).is_held());
    }
}
