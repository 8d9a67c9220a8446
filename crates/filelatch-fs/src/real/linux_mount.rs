//! Which file system a directory is on, and how it is mounted: statfs(2) and `proc_pid_mountinfo(5)`.
#![expect(clippy::disallowed_methods, reason = "this is the other side of the seam")]

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp};

use super::unix::{COARSE, TICK, retry};
use crate::types::{Caps, FileId, FileKind, FsKind, Mount, Stat, Timestamp};

/// `FUSE_SUPER_MAGIC`, of every file system in user space and of virtiofs.
const FUSE: u32 = 0x6573_5546;

/// The types by number (statfs(2), `linux/magic.h`, and the headers of those that are built outside the kernel).
fn by_magic(magic: u32) -> Option<(&'static str, FsKind, bool, Duration)> {
    use FsKind::{Local, Network};
    Some(match magic {
        0xEF53 => ("ext4", Local, false, TICK),
        0x5846_5342 => ("xfs", Local, false, TICK),
        0x9123_683E => ("btrfs", Local, false, TICK),
        0x0102_1994 => ("tmpfs", Local, false, TICK),
        0x8584_58F6 => ("ramfs", Local, false, TICK),
        0xF2F5_2010 => ("f2fs", Local, false, TICK),
        0x2FC1_2FC1 => ("zfs", Local, false, TICK),
        0xCA45_1A4E => ("bcachefs", Local, false, TICK),
        0x794C_7630 => ("overlayfs", Local, false, TICK),
        0x3153_464A => ("jfs", Local, false, TICK),
        0x3434 => ("nilfs2", Local, false, TICK),
        0x2405_1905 => ("ubifs", Local, false, COARSE),
        0xF15F => ("ecryptfs", Local, false, COARSE),
        0x4D44 => ("vfat", Local, true, COARSE),
        0x2011_BAB0 => ("exfat", Local, true, COARSE),
        0x7366_746E => ("ntfs3", Local, false, COARSE),
        0x482B => ("hfsplus", Local, true, COARSE),
        0x7371_7368 => ("squashfs", Local, false, COARSE),
        0xE0F5_E1E2 => ("erofs", Local, false, COARSE),
        0x9660 => ("iso9660", Local, false, COARSE),
        0x6969 => ("nfs", Network, false, COARSE),
        0xFF53_4D42 => ("cifs", Network, true, COARSE),
        0xFE53_4D42 | 0x517B => ("smb", Network, true, COARSE),
        0x0102_1997 => ("9p", Network, false, COARSE),
        0x00C3_6400 => ("ceph", Network, false, COARSE),
        0x5346_414F | 0x6B41_4653 => ("afs", Network, false, COARSE),
        0x7375_7245 => ("coda", Network, false, COARSE),
        // Disks that several machines mount at once, and servers of clusters.
        0x0BD0_0BD0 => ("lustre", Network, false, COARSE),
        0x0116_1970 => ("gfs2", Network, false, COARSE),
        0x7461_636F => ("ocfs2", Network, false, COARSE),
        0x4750_4653 => ("gpfs", Network, false, COARSE),
        0x1983_0326 => ("beegfs", Network, false, COARSE),
        0x2003_0528 => ("orangefs", Network, false, COARSE),
        // Folders that a virtual machine's host shares with it.
        0x786F_4256 => ("vboxsf", Network, false, COARSE),
        0xBACB_ACBC => ("vmhgfs", Network, false, COARSE),
        0x7C7C_6673 => ("prl_fs", Network, false, COARSE),
        _ => return None,
    })
}

/// Those that answer as FUSE, by the type that the mount table tells.
fn by_fuse_type(fs_type: &str) -> (&'static str, FsKind) {
    use FsKind::{Local, Network, Unknown};
    match fs_type {
        "virtiofs" => ("virtiofs", Network),
        "fuse.sshfs" => ("fuse.sshfs", Network),
        "fuse.vmhgfs-fuse" => ("vmhgfs", Network),
        "fuse.glusterfs" => ("fuse.glusterfs", Network),
        "fuse.ceph" | "fuse.ceph-fuse" => ("fuse.ceph", Network),
        "fuse.rclone" => ("fuse.rclone", Network),
        "fuse.s3fs" | "fuse.mount-s3" | "fuse.gcsfuse" | "fuse.goofys" => ("fuse.objects", Network),
        "fuse.davfs" | "fuse.davfs2" => ("fuse.davfs", Network),
        "fuse.juicefs" | "fuse.JuiceFS" => ("fuse.juicefs", Network),
        // A block device of this machine: ntfs-3g, exfat-fuse.
        "fuseblk" => ("fuseblk", Local),
        "fuse.fuse-overlayfs" => ("fuse.overlayfs", Local),
        _ => ("fuse", Unknown),
    }
}

/// What the file system of an open directory can do.
pub(super) fn caps_of(dir: BorrowedFd<'_>) -> Caps {
    #[expect(
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        reason = "magic numbers are 32 bits, kept in a C long"
    )]
    let magic = rustix::fs::fstatfs(dir).map_or(0, |s| s.f_type as u32);
    let (name, kind, folds, timestamp_granule) = by_magic(magic).unwrap_or_else(|| {
        let (name, kind) = match mount_of(dir.as_raw_fd()) {
            Ok(Some(mount)) if magic == FUSE => by_fuse_type(&mount.fs_type),
            _ if magic == FUSE => ("fuse", FsKind::Unknown),
            _ => ("unknown", FsKind::Unknown),
        };
        (name, kind, false, COARSE)
    });
    // FS_CASEFOLD_FL of linux/fs.h: a directory of ext4, f2fs or tmpfs that folds case.
    let casefold = || rustix::fs::ioctl_getflags(dir.as_fd()).is_ok_and(|flags| flags.bits() & 0x4000_0000 != 0);
    Caps {
        kind,
        name,
        case_insensitive: folds || casefold(),
        timestamp_granule,
        // NFS turns flock into byte-range locks (L13): they would collide with ours.
        range_locks: kind == FsKind::Local,
    }
}

/// Facts of an entry, or of `file` itself if the name is empty, as the server knows them now (`AT_STATX_FORCE_SYNC`). Reading goes by
/// the length that the kernel remembers: with this it learns the new one (measured on sshfs: without it a longer
/// version, put in place by another machine, is read as if it ended where the one before did). `None`: no such call here.
pub(super) fn stat_at_server(file: BorrowedFd<'_>, name: &OsStr) -> io::Result<Option<Stat>> {
    let which = if name.is_empty() { AtFlags::EMPTY_PATH } else { AtFlags::SYMLINK_NOFOLLOW };
    match retry(|| rustix::fs::statx(file, name, which | AtFlags::STATX_FORCE_SYNC, StatxFlags::BASIC_STATS)) {
        Ok(s) => Ok(Some(stat_of(&s))),
        // Filters of older container systems refuse calls that they do not know.
        Err(e) if matches!(e.raw_os_error(), Some(libc::EPERM)) || e.kind() == io::ErrorKind::Unsupported => Ok(None),
        Err(e) => Err(e),
    }
}

fn stat_of(s: &Statx) -> Stat {
    let kind = match FileType::from_raw_mode(s.stx_mode.into()) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Dir,
        FileType::Symlink => FileKind::Symlink,
        _ => FileKind::Other,
    };
    let time = |t: StatxTimestamp| Timestamp { secs: t.tv_sec, nanos: t.tv_nsec };
    Stat {
        id: FileId { dev: rustix::fs::makedev(s.stx_dev_major, s.stx_dev_minor), ino: s.stx_ino },
        kind,
        size: s.stx_size,
        mode: u32::from(s.stx_mode) & 0o7777,
        uid: s.stx_uid,
        gid: s.stx_gid,
        nlink: s.stx_nlink.into(),
        mtime: time(s.stx_mtime),
        ctime: time(s.stx_ctime),
    }
}

/// The row of the mount table that an open directory belongs to: its descriptor tells the mount's number, which bind mounts and
/// subvolumes don't blur as device numbers do. `None` without `/proc`, and for a mount that can't be seen from here.
pub(super) fn mount_of(fd: RawFd) -> io::Result<Option<Mount>> {
    let read = |path: &str| match std::fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    };
    let (Some(facts), Some(table)) = (read(&format!("/proc/self/fdinfo/{fd}"))?, read("/proc/self/mountinfo")?) else {
        return Ok(None);
    };
    let facts = String::from_utf8_lossy(&facts);
    let number = facts.lines().find_map(|line| line.strip_prefix("mnt_id:")).map(str::trim);
    Ok(number.and_then(|number| find(&table, number)))
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn find(table: &[u8], number: &str) -> Option<Mount> {
    table.split(|b| *b == b'\n').find_map(|line| {
        let words: Vec<&[u8]> = line.split(|b| *b == b' ').collect();
        if words.first()? != &number.as_bytes() {
            return None;
        }
        let dash = words.iter().position(|word| *word == b"-")?;
        let text = |at: usize| words.get(at).map(|word| String::from_utf8_lossy(&plain(word)).into_owned());
        let mut options: Vec<String> = Vec::new();
        for option in [text(5)?, text(dash + 3)?].iter().flat_map(|list| list.split(',')) {
            // `ro` of the mount and `rw` of the file system: the first decides.
            let opposite = matches!(option, "rw" | "ro") && options.iter().any(|o| o == "rw" || o == "ro");
            if !opposite && !options.iter().any(|own| own == option) {
                options.push(option.to_owned());
            }
        }
        // A file system that is read-only as a whole is so through every mount.
        if text(dash + 3)?.split(',').any(|option| option == "ro") {
            options.retain(|option| option != "rw");
            options.insert(0, "ro".to_owned());
            options.dedup();
        }
        let point = OsString::from_vec(plain(words.get(4)?)).into();
        Some(Mount { point, fs_type: text(dash + 1)?, source: text(dash + 2)?, options })
    })
}

/// Blanks, tabs, line ends and backslashes stand there as `\040` and so on.
fn plain(word: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut at = 0;
    while at < word.len() {
        let octal = (word[at] == b'\\').then(|| word.get(at + 1..at + 4)).flatten();
        let value = octal.and_then(|digits| std::str::from_utf8(digits).ok()).map(|d| u8::from_str_radix(d, 8));
        if let Some(Ok(byte)) = value {
            bytes.push(byte);
            at += 4;
        } else {
            bytes.push(word[at]);
            at += 1;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"\
22 27 0:21 / /proc rw,relatime - proc proc rw
36 35 98:0 /mnt1 /mnt\\0402 rw,noatime shared:7 master:1 - ext3 /dev/root rw,errors=continue,barrier=0
37 35 0:50 / /home rw,relatime - nfs4 server:/home rw,vers=4.2,local_lock=none
38 35 0:51 / /far rw,nosuid - fuse.sshfs me@server:/data\\054x rw,user_id=0
39 35 98:1 / /cd ro,relatime - iso9660 /dev/sr0 rw
40 35 98:2 / /down rw,relatime - ext4 /dev/sdb1 ro,errors=remount-ro
";

    /// LOCK-20: rows with and without optional fields, escaped paths, options of the mount before those of the file system.
    #[test]
    fn rows_of_the_mount_table() {
        let of = |number| find(TABLE, number).unwrap();
        let ext = of("36");
        assert_eq!((ext.point.to_str(), ext.fs_type.as_str()), (Some("/mnt 2"), "ext3"));
        assert_eq!(ext.options, ["rw", "noatime", "errors=continue", "barrier=0"]);
        assert!(of("37").has("local_lock=none") && !of("37").has("local_lock"));
        assert_eq!((of("38").source.as_str(), of("38").fs_type.as_str()), ("me@server:/data,x", "fuse.sshfs"));
        for read_only in ["39", "40"] {
            assert!(of(read_only).has("ro") && !of(read_only).has("rw"), "{:?}", of(read_only));
        }
        assert_eq!(find(TABLE, "3"), None);
    }

    /// LOCK-20: what is reached through FUSE is told apart by its type; what is not known is treated with caution.
    #[test]
    fn fuse_types() {
        assert_eq!(by_fuse_type("fuse.sshfs"), ("fuse.sshfs", FsKind::Network));
        assert_eq!(by_fuse_type("virtiofs"), ("virtiofs", FsKind::Network));
        assert_eq!(by_fuse_type("fuseblk"), ("fuseblk", FsKind::Local));
        assert_eq!(by_fuse_type("fuse.something"), ("fuse", FsKind::Unknown));
    }

    /// LOCK-20: network, cluster and host-shared file systems are known by their numbers.
    #[test]
    fn numbers_of_networks() {
        for (magic, name) in [
            (0x6969, "nfs"),
            (0xFF53_4D42, "cifs"),
            (0x0102_1997, "9p"),
            (0x0BD0_0BD0, "lustre"),
            (0x7461_636F, "ocfs2"),
            (0x0116_1970, "gfs2"),
            (0x786F_4256, "vboxsf"),
            (0x00C3_6400, "ceph"),
            (0x6B41_4653, "afs"),
        ] {
            let known = by_magic(magic).unwrap();
            assert_eq!((known.0, known.1), (name, FsKind::Network));
        }
        assert_eq!(by_magic(0), None);
    }
}
