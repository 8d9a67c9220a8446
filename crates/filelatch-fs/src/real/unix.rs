//! Files on Unix: rustix calls relative to directory descriptors.
//!
//! Linux has everything the seam names. macOS and the BSDs have no byte-range locks beside flock (there both live in one
//! table and collide, L4), no lock table and no leases; their verbs answer [`io::ErrorKind::Unsupported`] or `Unknown`.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the other side of the seam: the calls that everybody else is kept from"
)]

use std::any::Any;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, XattrFlags};
use rustix::io::{Errno, FdFlags};

use crate::fs::{Fs, FsDir, FsFile};
use crate::types::{
    Access, Appended, Caps, FileId, FileKind, FsKind, LockKind, LockTable, Mount, RangeKind, Stat, Timestamp,
    WriterProbe,
};

/// Where the holder record starts in a lock file (P1; on Windows byte 0 is the locked byte and can't be read).
pub const LOCK_RECORD_OFFSET: u64 = 0;

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFs;

#[derive(Debug)]
struct Dir {
    fd: OwnedFd,
    path: PathBuf,
    id: FileId,
    caps: Caps,
}

#[derive(Debug)]
struct File {
    fd: OwnedFd,
    /// Opened for appending: the kernel would append whatever place `pwrite` names (pwrite(2), "BUGS").
    appends: bool,
    /// Its facts may come from a cache of this machine's, and others change the file. Only Linux can be made to ask the server.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "nothing to ask with"))]
    cached: bool,
    #[cfg(target_os = "linux")]
    bell: std::sync::OnceLock<super::raw_bell::Bell>,
}

impl File {
    fn new(fd: OwnedFd, appends: bool, cached: bool) -> File {
        File {
            fd,
            appends,
            cached,
            #[cfg(target_os = "linux")]
            bell: std::sync::OnceLock::new(),
        }
    }

    #[cfg(target_os = "linux")]
    fn bell(&self) -> io::Result<&super::raw_bell::Bell> {
        if let Some(bell) = self.bell.get() {
            return Ok(bell);
        }
        let bell = super::raw_bell::Bell::map(self.fd.as_fd())?;
        Ok(self.bell.get_or_init(|| bell))
    }
}

pub(super) fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other.map_err(unify),
        }
    }
}

/// "Not supported" has several numbers; `ENOLCK` is what a network file system without a lock service says.
fn unify(errno: Errno) -> io::Error {
    match errno {
        Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOTTY | Errno::NOLCK => {
            io::Error::new(io::ErrorKind::Unsupported, io::Error::from(errno))
        }
        other => other.into(),
    }
}

#[expect(clippy::unnecessary_cast, reason = "the C types differ between systems")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the C types differ between systems")]
#[cfg_attr(target_vendor = "apple", expect(clippy::cast_lossless, reason = "the C types differ between systems"))]
fn stat_of(s: &rustix::fs::Stat) -> Stat {
    let kind = match FileType::from_raw_mode(s.st_mode as _) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Dir,
        FileType::Symlink => FileKind::Symlink,
        _ => FileKind::Other,
    };
    Stat {
        id: FileId { dev: s.st_dev as u64, ino: s.st_ino as u64 },
        kind,
        size: s.st_size as u64,
        mode: s.st_mode as u32 & 0o7777,
        uid: s.st_uid,
        gid: s.st_gid,
        nlink: s.st_nlink as u64,
        mtime: Timestamp { secs: s.st_mtime as i64, nanos: s.st_mtime_nsec as u32 },
        ctime: Timestamp { secs: s.st_ctime as i64, nanos: s.st_ctime_nsec as u32 },
    }
}

/// Systems differ in what they call a link that is to be opened as a directory and not to be followed.
pub(super) fn link_is_no_dir(errno: Errno) -> Errno {
    if errno == Errno::LOOP { Errno::NOTDIR } else { errno }
}

/// Opens a directory by `open`, which is told the flags.
fn open_dir(path: &Path, open: impl Fn(OFlags) -> rustix::io::Result<OwnedFd>) -> io::Result<Arc<dyn FsDir>> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = match retry(|| open(flags | OFlags::RDONLY)) {
        // A directory that may be entered but not listed still serves, except for listing and syncing.
        #[cfg(target_os = "linux")]
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => retry(|| open(flags | OFlags::PATH))?,
        other => other?,
    };
    let id = stat_of(&retry(|| rustix::fs::fstat(&fd))?).id;
    #[cfg(target_os = "linux")]
    let caps = super::linux_mount::caps_of(fd.as_fd());
    #[cfg(not(target_os = "linux"))]
    let caps = caps_of(&fd);
    Ok(Arc::new(Dir { fd, path: path.to_owned(), id, caps }))
}

impl Fs for RealFs {
    fn open_dir(&self, path: &Path) -> io::Result<Arc<dyn FsDir>> {
        open_dir(path, |flags| rustix::fs::open(path, flags, Mode::empty()))
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        std::fs::canonicalize(path)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        Ok(stat_of(&retry(|| rustix::fs::lstat(path))?))
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        let text = retry(|| rustix::fs::readlink(path, Vec::new()))?;
        Ok(OsString::from_vec(text.into_bytes()).into())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        retry(|| rustix::fs::mkdir(path, Mode::from_raw_mode(0o777)))
    }

    fn current_dir(&self) -> io::Result<PathBuf> {
        std::env::current_dir()
    }

    fn inherited(&self, number: u64) -> io::Result<Box<dyn FsFile>> {
        Ok(Box::new(File::new(super::raw_unix::duplicate(number)?, false, false)))
    }

    #[cfg(target_os = "linux")]
    fn lock_table(&self, file: FileId) -> io::Result<Option<LockTable>> {
        super::linux::lock_table(file)
    }

    #[cfg(not(target_os = "linux"))]
    fn lock_table(&self, _file: FileId) -> io::Result<Option<LockTable>> {
        Ok(None)
    }

    #[cfg(all(feature = "events", target_os = "macos"))]
    fn events(&self, tell: crate::events::Tell) -> io::Result<Box<dyn crate::events::Events>> {
        Ok(Box::new(super::fsevents::FsEvents::new(tell)))
    }

    #[cfg(all(feature = "events", target_os = "linux"))]
    fn events(&self, tell: crate::events::Tell) -> io::Result<Box<dyn crate::events::Events>> {
        Ok(Box::new(super::inotify::Inotify::new(tell)?))
    }
}

impl Dir {
    /// May the system answer from memory what others have changed meanwhile?
    fn is_cached(&self) -> bool {
        self.caps.kind != FsKind::Local
    }
}

impl FsDir for Dir {
    fn path(&self) -> &Path {
        &self.path
    }

    fn id(&self) -> FileId {
        self.id
    }

    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        #[cfg(target_os = "linux")]
        if self.is_cached()
            && let Some(stat) = super::linux_mount::stat_at_server(self.fd.as_fd(), name)?
        {
            return Ok(stat);
        }
        Ok(stat_of(&retry(|| rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW))?))
    }

    fn open(&self, name: &OsStr, access: Access) -> io::Result<Box<dyn FsFile>> {
        let flags = match access {
            Access::Read => OFlags::RDONLY,
            Access::ReadWrite => OFlags::RDWR,
            Access::Append => OFlags::RDWR | OFlags::APPEND,
        };
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let fd = retry(|| rustix::fs::openat(&self.fd, name, flags, Mode::empty()))?;
        Ok(Box::new(File::new(fd, access == Access::Append, self.is_cached())))
    }

    fn create_new(&self, name: &OsStr, mode: u32) -> io::Result<Box<dyn FsFile>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        #[cfg_attr(target_os = "linux", expect(clippy::useless_conversion, reason = "mode_t differs between systems"))]
        let mode = Mode::from_raw_mode(mode.try_into().unwrap_or_default());
        let fd = retry(|| rustix::fs::openat(&self.fd, name, flags, mode))?;
        Ok(Box::new(File::new(fd, false, self.is_cached())))
    }

    fn open_dir(&self, name: &OsStr) -> io::Result<Arc<dyn FsDir>> {
        let open = |flags| rustix::fs::openat(&self.fd, name, flags | OFlags::NOFOLLOW, Mode::empty());
        open_dir(&self.path.join(name), |flags| open(flags).map_err(link_is_no_dir))
    }

    #[cfg(target_os = "linux")]
    fn open_beneath(&self, path: &Path) -> io::Result<Arc<dyn FsDir>> {
        crate::fs::names_of(path)?;
        match open_dir(&self.path.join(path), |flags| super::linux::open_beneath(self.fd.as_fd(), path, flags)) {
            Err(e) if super::linux::is_kept_from_openat2(&e) => crate::fs::descend(path, |name| self.open_dir(name)),
            other => other,
        }
    }

    #[cfg(target_os = "linux")]
    fn stat_beneath(&self, path: &Path) -> io::Result<Stat> {
        let names = crate::fs::names_of(path)?;
        if let [name] = names[..] {
            return self.stat(name);
        }
        match retry(|| super::linux::look_beneath(self.fd.as_fd(), path)) {
            Ok(fd) => Ok(stat_of(&retry(|| rustix::fs::fstat(&fd))?)),
            Err(e) if super::linux::is_kept_from_openat2(&e) => {
                let dirs: PathBuf = names[..names.len() - 1].iter().collect();
                self.open_beneath(&dirs)?.stat(names[names.len() - 1])
            }
            Err(e) => Err(e),
        }
    }

    fn read_link(&self, name: &OsStr) -> io::Result<PathBuf> {
        let text = retry(|| rustix::fs::readlinkat(&self.fd, name, Vec::new()))?;
        Ok(OsString::from_vec(text.into_bytes()).into())
    }

    fn create_dir(&self, name: &OsStr, mode: u32) -> io::Result<()> {
        #[cfg_attr(target_os = "linux", expect(clippy::useless_conversion, reason = "mode_t differs between systems"))]
        let mode = Mode::from_raw_mode(mode.try_into().unwrap_or_default());
        retry(|| rustix::fs::mkdirat(&self.fd, name, mode))
    }

    fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        retry(|| rustix::fs::renameat(&self.fd, from, &self.fd, to))
    }

    fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        rename_new(self, from, self, to)
    }

    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    fn exchange(&self, a: &OsStr, b: &OsStr) -> io::Result<()> {
        // The kernel reports the move of the second name last: `b -> a` ends with MOVED_TO for `a` (P5.2).
        match retry(|| rustix::fs::renameat_with(&self.fd, a, &self.fd, b, rustix::fs::RenameFlags::EXCHANGE)) {
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => Err(io::Error::new(io::ErrorKind::Unsupported, e)),
            other => other,
        }
    }

    #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
    fn exchange(&self, _a: &OsStr, _b: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn link(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        retry(|| rustix::fs::linkat(&self.fd, from, &self.fd, to, AtFlags::empty()))
    }

    fn move_to(&self, from: &OsStr, dir: &dyn FsDir, to: &OsStr) -> io::Result<()> {
        let Some(dir) = dir.as_any().downcast_ref::<Dir>() else { return Err(io::ErrorKind::CrossesDevices.into()) };
        rename_new(self, from, dir, to)
    }

    fn move_over(&self, from: &OsStr, dir: &dyn FsDir, to: &OsStr) -> io::Result<()> {
        let Some(dir) = dir.as_any().downcast_ref::<Dir>() else { return Err(io::ErrorKind::CrossesDevices.into()) };
        retry(|| rustix::fs::renameat(&self.fd, from, &dir.fd, to))
    }

    fn remove(&self, name: &OsStr) -> io::Result<()> {
        retry(|| rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()))
    }

    fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        retry(|| rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR))
    }

    fn symlink(&self, text: &Path, name: &OsStr) -> io::Result<()> {
        match retry(|| rustix::fs::symlinkat(text, &self.fd, name)) {
            // FAT, and what else has no links.
            Err(e) if e.raw_os_error() == Some(libc::EPERM) => Err(io::Error::new(io::ErrorKind::Unsupported, e)),
            other => other,
        }
    }

    #[cfg(target_os = "linux")]
    fn mount(&self) -> io::Result<Option<Mount>> {
        super::linux_mount::mount_of(self.fd.as_raw_fd())
    }

    #[cfg(target_vendor = "apple")]
    fn mount(&self) -> io::Result<Option<Mount>> {
        let facts = retry(|| rustix::fs::fstatfs(&self.fd))?;
        let text = |units: &[libc::c_char]| {
            units.iter().take_while(|c| **c != 0).map(|c| c.cast_unsigned()).collect::<Vec<u8>>()
        };
        let read_only = facts.f_flags & libc::MNT_RDONLY.cast_unsigned() != 0;
        Ok(Some(Mount {
            point: OsString::from_vec(text(&facts.f_mntonname)).into(),
            fs_type: String::from_utf8_lossy(&text(&facts.f_fstypename)).into_owned(),
            source: String::from_utf8_lossy(&text(&facts.f_mntfromname)).into_owned(),
            options: if read_only { vec!["ro".to_owned()] } else { Vec::new() },
        }))
    }

    #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
    fn mount(&self) -> io::Result<Option<Mount>> {
        Ok(None)
    }

    fn sync(&self) -> io::Result<()> {
        retry(|| rustix::fs::fsync(&self.fd))
    }

    fn list(&self, each: &mut dyn FnMut(OsString) -> bool) -> io::Result<()> {
        // A descriptor of its own: the position in a directory belongs to the open file.
        let mut entries = rustix::fs::Dir::read_from(&self.fd).map_err(io::Error::from)?;
        while let Some(entry) = entries.read() {
            let entry = entry.map_err(io::Error::from)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." && !each(OsStr::from_bytes(name).to_owned()) {
                break;
            }
        }
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn rename_new(from_dir: &Dir, from: &OsStr, to_dir: &Dir, to: &OsStr) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    {
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        match retry(|| rustix::fs::renameat_with(&from_dir.fd, from, &to_dir.fd, to, flags)) {
            // No such flag on this file system (L33): the portable way follows.
            Err(e) if e.kind() == io::ErrorKind::Unsupported || e.raw_os_error() == Some(libc::EINVAL) => {}
            other => return other,
        }
    }
    retry(|| rustix::fs::linkat(&from_dir.fd, from, &to_dir.fd, to, AtFlags::empty()))?;
    retry(|| rustix::fs::unlinkat(&from_dir.fd, from, AtFlags::empty()))
}

impl FsFile for File {
    fn stat(&self) -> io::Result<Stat> {
        #[cfg(target_os = "linux")]
        if self.cached
            && let Some(stat) = super::linux_mount::stat_at_server(self.fd.as_fd(), OsStr::new(""))?
        {
            return Ok(stat);
        }
        Ok(stat_of(&retry(|| rustix::fs::fstat(&self.fd))?))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        retry(|| rustix::io::pread(&self.fd, &mut *buf, offset))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        if self.appends {
            return Err(Errno::BADF.into());
        }
        retry(|| rustix::io::pwrite(&self.fd, buf, offset))
    }

    fn append(&self, buf: &[u8]) -> io::Result<Appended> {
        if !self.appends {
            return Err(Errno::BADF.into());
        }
        let len = retry(|| rustix::io::write(&self.fd, buf))?;
        if len == 0 {
            return Ok(Appended { at: self.stat()?.size, len });
        }
        // The write has left the position behind what it wrote.
        let end = retry(|| rustix::fs::tell(&self.fd))?;
        Ok(Appended { at: end - len as u64, len })
    }

    #[cfg(target_os = "linux")]
    fn wait_at(&self, offset: u64, seen: [u8; 4], time: std::time::Duration) -> io::Result<()> {
        self.bell()?.wait(offset, seen, time)
    }

    #[cfg(target_os = "linux")]
    fn ring(&self, offset: u64) -> io::Result<()> {
        self.bell()?.ring(offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if self.appends {
            return Err(Errno::INVAL.into());
        }
        retry(|| rustix::fs::ftruncate(&self.fd, len))
    }

    #[cfg(not(target_vendor = "apple"))]
    fn sync(&self) -> io::Result<()> {
        retry(|| rustix::fs::fsync(&self.fd))
    }

    #[cfg(target_vendor = "apple")]
    fn sync(&self) -> io::Result<()> {
        super::raw_unix::full_sync(self.fd.as_fd())
    }

    #[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd", target_os = "openbsd"))]
    fn sync_data(&self) -> io::Result<()> {
        retry(|| rustix::fs::fdatasync(&self.fd))
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        #[cfg_attr(target_os = "linux", expect(clippy::useless_conversion, reason = "mode_t differs between systems"))]
        let mode = Mode::from_raw_mode((mode & 0o7777).try_into().unwrap_or_default());
        retry(|| rustix::fs::fchmod(&self.fd, mode))
    }

    fn set_owner(&self, uid: u32, gid: u32) -> io::Result<()> {
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        retry(|| rustix::fs::fchown(&self.fd, Some(uid), Some(gid)))
    }

    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    fn list_xattrs(&self) -> io::Result<Vec<OsString>> {
        // Nearly always there is nothing, or next to nothing, to list: one call then.
        let mut buf = vec![0_u8; 256];
        loop {
            match retry(|| rustix::fs::flistxattr(&self.fd, &mut buf[..])) {
                Ok(n) => {
                    let names = buf[..n].split(|b| *b == 0).filter(|name| !name.is_empty());
                    return Ok(names.map(|name| OsStr::from_bytes(name).to_owned()).collect());
                }
                Err(e) if e.raw_os_error() == Some(libc::ERANGE) && buf.len() < 1 << 20 => buf.resize(buf.len() * 4, 0),
                Err(e) => return Err(e),
            }
        }
    }

    #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
    fn list_xattrs(&self) -> io::Result<Vec<OsString>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    fn get_xattr(&self, name: &OsStr) -> io::Result<Option<Vec<u8>>> {
        let mut buf = vec![0_u8; 256];
        loop {
            match retry(|| rustix::fs::fgetxattr(&self.fd, name, &mut buf[..])) {
                Ok(n) => {
                    buf.truncate(n);
                    return Ok(Some(buf));
                }
                Err(e) => match e.raw_os_error() {
                    Some(libc::ERANGE) if buf.len() < 1 << 20 => buf.resize(buf.len() * 8, 0),
                    #[cfg(target_os = "linux")]
                    Some(libc::ENODATA) => return Ok(None),
                    #[cfg(target_vendor = "apple")]
                    Some(libc::ENOATTR) => return Ok(None),
                    _ if e.kind() == io::ErrorKind::Unsupported => return Ok(None),
                    _ => return Err(e),
                },
            }
        }
    }

    #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
    fn get_xattr(&self, _name: &OsStr) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    fn set_xattr(&self, name: &OsStr, value: &[u8]) -> io::Result<()> {
        retry(|| rustix::fs::fsetxattr(&self.fd, name, value, XattrFlags::empty()))
    }

    #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
    fn set_xattr(&self, _name: &OsStr, _value: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn lock(&self, kind: LockKind) -> io::Result<()> {
        retry(|| rustix::fs::flock(&self.fd, operation(kind, true)))
    }

    fn try_lock(&self, kind: LockKind) -> io::Result<bool> {
        match retry(|| rustix::fs::flock(&self.fd, operation(kind, false))) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn unlock(&self) -> io::Result<()> {
        retry(|| rustix::fs::flock(&self.fd, FlockOperation::Unlock))
    }

    #[cfg(target_os = "linux")]
    fn lock_range(&self, start: u64, len: u64, kind: RangeKind) -> io::Result<()> {
        use super::raw_unix::{RangeCommand, range_command};
        range_command(self.fd.as_fd(), start, len, RangeCommand::Lock(kind)).map(drop)
    }

    #[cfg(target_os = "linux")]
    fn try_lock_range(&self, start: u64, len: u64, kind: RangeKind) -> io::Result<bool> {
        use super::raw_unix::{RangeCommand, range_command};
        range_command(self.fd.as_fd(), start, len, RangeCommand::TryLock(kind))
    }

    #[cfg(target_os = "linux")]
    fn unlock_range(&self, start: u64, len: u64) -> io::Result<()> {
        use super::raw_unix::{RangeCommand, range_command};
        range_command(self.fd.as_fd(), start, len, RangeCommand::Unlock).map(drop)
    }

    #[cfg(target_os = "linux")]
    fn range_is_locked(&self, start: u64, len: u64) -> io::Result<bool> {
        use super::raw_unix::{RangeCommand, range_command};
        range_command(self.fd.as_fd(), start, len, RangeCommand::Query)
    }

    #[cfg(target_os = "linux")]
    fn probe_writers(&self) -> io::Result<WriterProbe> {
        Ok(super::raw_unix::probe_writers(self.fd.as_fd()))
    }

    #[cfg(target_os = "linux")]
    fn clone_from(&self, source: &dyn FsFile) -> io::Result<()> {
        let Some(source) = source.as_any().downcast_ref::<File>() else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        match retry(|| rustix::fs::ioctl_ficlone(&self.fd, &source.fd)) {
            Err(e) if matches!(e.raw_os_error(), Some(libc::EINVAL | libc::EXDEV)) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, e))
            }
            other => other,
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn lock_range(&self, _start: u64, _len: u64, _kind: RangeKind) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[cfg(not(target_os = "linux"))]
    fn try_lock_range(&self, _start: u64, _len: u64, _kind: RangeKind) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[cfg(not(target_os = "linux"))]
    fn unlock_range(&self, _start: u64, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[cfg(not(target_os = "linux"))]
    fn range_is_locked(&self, _start: u64, _len: u64) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[cfg(not(target_os = "linux"))]
    fn probe_writers(&self) -> io::Result<WriterProbe> {
        Ok(WriterProbe::Unknown)
    }

    #[cfg(not(target_os = "linux"))]
    fn clone_from(&self, _source: &dyn FsFile) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[cfg(target_os = "linux")]
    fn held_lock(&self) -> io::Result<Option<LockKind>> {
        super::linux::held_lock(self.fd.as_raw_fd())
    }

    fn make_inheritable(&self) -> io::Result<u64> {
        retry(|| rustix::io::fcntl_setfd(&self.fd, FdFlags::empty()))?;
        Ok(u64::try_from(self.fd.as_raw_fd()).unwrap_or_default())
    }

    fn end_inheritance(&self) -> io::Result<()> {
        retry(|| rustix::io::fcntl_setfd(&self.fd, FdFlags::CLOEXEC))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn operation(kind: LockKind, wait: bool) -> FlockOperation {
    match (kind, wait) {
        (LockKind::Shared, true) => FlockOperation::LockShared,
        (LockKind::Shared, false) => FlockOperation::NonBlockingLockShared,
        (LockKind::Exclusive, true) => FlockOperation::LockExclusive,
        (LockKind::Exclusive, false) => FlockOperation::NonBlockingLockExclusive,
    }
}

/// Timestamps of local Linux file systems come from a clock that ticks at least every 10 ms; APFS stores nanoseconds.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
pub(super) const TICK: Duration = Duration::from_millis(20);
/// FAT stores even seconds; servers have their own clocks (L11).
pub(super) const COARSE: Duration = Duration::from_millis(2100);

#[cfg(target_vendor = "apple")]
fn caps_of(dir: &OwnedFd) -> Caps {
    let (name, kind) = rustix::fs::fstatfs(dir).map_or(("unknown", FsKind::Unknown), |facts| {
        let letters: String =
            facts.f_fstypename.iter().take_while(|c| **c != 0).map(|c| c.cast_unsigned() as char).collect();
        let name =
            ["apfs", "hfs", "msdos", "exfat", "smbfs", "nfs", "afpfs", "webdav"].into_iter().find(|n| *n == letters);
        let local = facts.f_flags & libc::MNT_LOCAL.cast_unsigned() != 0;
        (name.unwrap_or("unknown"), if local { FsKind::Local } else { FsKind::Network })
    });
    Caps {
        kind,
        name,
        case_insensitive: super::raw_unix::is_case_insensitive(dir.as_fd()),
        timestamp_granule: if name == "apfs" { TICK } else { COARSE },
        range_locks: false,
    }
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn caps_of(_dir: &OwnedFd) -> Caps {
    let (kind, name) = (FsKind::Unknown, "unknown");
    Caps { kind, name, case_insensitive: false, timestamp_granule: COARSE, range_locks: false }
}
