//! Files on Windows: names opened relative to a directory's handle, locks by `LockFileEx`.
//!
//! What differs from Unix:
//! - Locks are mandatory: byte 0, the whole-file lock, can't be read while another open file holds it exclusively. The rest
//!   of the file can.
//! - All handles are synchronous, and the system serves one call on such a handle after the other: while one thread waits in
//!   [`FsFile::lock`], calls of other threads on the same open file wait too. A file that is waited on belongs to the waiter.
//! - Locks belong to the process too: an heir of the handle does not hold the lock, and it ends with the process that took it.
//! - A directory's handle shares deletion: others may rename or remove the directory meanwhile. NTFS refuses to rename it
//!   while a file in it is open, so the target's path, asked for with the source open, is the right one.
//! - Renames are written through, like `MOVEFILE_WRITE_THROUGH`: that is what [`FsDir::sync`] leaves to do nothing.
//! - Rename, link and remove are tried again for about a second while somebody (a virus scanner, an indexer) is in the way
//!   (L35). A refusal by the access rights looks the same and takes as long.
//! - A file marked read-only is replaced and removed like any other, as on Unix, where the system can (Windows 10 1809).
#![expect(
    clippy::disallowed_methods,
    reason = "this is the other side of the seam: the calls that everybody else is kept from"
)]

use std::any::Any;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::os::windows::io::AsRawHandle;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_CANT_RESOLVE_FILENAME, ERROR_LOCK_VIOLATION, ERROR_SHARING_VIOLATION, FILETIME,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_READONLY, FILE_ATTRIBUTE_REPARSE_POINT,
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, FILE_TRAVERSE,
    SYNCHRONIZE,
};

use super::raw_windows::{self, Purpose};
use crate::fs::{Fs, FsDir, FsFile};
use crate::types::{
    Access, Appended, Caps, FileId, FileKind, FsKind, LockKind, LockTable, Mount, RangeKind, Stat, Timestamp,
    WriterProbe,
};

/// Where the holder record starts in a lock file (P1): byte 0 is the locked byte and can't be read.
pub const LOCK_RECORD_OFFSET: u64 = 1;

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFs;

#[derive(Debug)]
struct Dir {
    handle: std::fs::File,
    path: PathBuf,
    id: FileId,
    caps: Caps,
}

#[derive(Debug)]
struct File {
    handle: std::fs::File,
    writable: bool,
    /// The byte ranges that this open file holds, in ascending order, never overlapping: the system answers for them as if
    /// they were somebody else's.
    ranges: Mutex<Vec<Range>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    start: u64,
    /// Exclusive.
    end: u64,
    kind: RangeKind,
}

impl Range {
    fn new(start: u64, len: u64, kind: RangeKind) -> io::Result<Range> {
        let end = start.checked_add(len).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Range { start, end, kind })
    }

    fn overlaps(&self, other: &Range) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// The pauses after tries that failed, in milliseconds; about one second altogether.
const PAUSES: [u64; 10] = [1, 2, 5, 10, 20, 50, 100, 200, 300, 300];

/// Tries again, a bounded number of times, while somebody is in the way.
fn patiently(mut call: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    for pause in PAUSES {
        match call() {
            Err(e) if is_in_the_way(&e) => std::thread::sleep(Duration::from_millis(pause)),
            other => return other,
        }
    }
    call()
}

fn is_in_the_way(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(i32::cast_unsigned),
        Some(ERROR_ACCESS_DENIED | ERROR_SHARING_VIOLATION | ERROR_LOCK_VIOLATION)
    )
}

/// "Not supported" has several numbers.
pub(super) fn unify(error: io::Error) -> io::Error {
    if raw_windows::is_unsupported(&error) { io::Error::new(io::ErrorKind::Unsupported, error) } else { error }
}

/// The name of an entry as the system takes it: one component, no stream of a file.
fn units(name: &OsStr) -> io::Result<Vec<u16>> {
    let units: Vec<u16> = name.encode_wide().collect();
    let forbidden = |unit: &u16| *unit == 0 || [b'\\', b'/', b':'].iter().any(|c| *unit == u16::from(*c));
    if units.is_empty() || name == "." || name == ".." || units.iter().any(forbidden) {
        return Err(io::ErrorKind::InvalidFilename.into());
    }
    Ok(units)
}

pub(super) fn id_of(info: &BY_HANDLE_FILE_INFORMATION) -> FileId {
    FileId {
        dev: u64::from(info.dwVolumeSerialNumber),
        ino: u64::from(info.nFileIndexHigh) << 32 | u64::from(info.nFileIndexLow),
    }
}

/// 100 ns since 1601 as seconds and nanoseconds since 1970.
fn timestamp(time: FILETIME) -> Timestamp {
    let ticks = u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    let secs = i64::try_from(ticks / 10_000_000).unwrap_or(i64::MAX) - 11_644_473_600;
    Timestamp { secs, nanos: u32::try_from(ticks % 10_000_000 * 100).unwrap_or_default() }
}

/// The tag matters only for reparse points.
pub(super) fn kind_of(attributes: u32, tag: impl FnOnce() -> io::Result<u32>) -> io::Result<FileKind> {
    /// Bit of a tag: the entry stands for another name (`IsReparseTagNameSurrogate`): links, junctions, mount points.
    const NAME_SURROGATE: u32 = 0x2000_0000;
    /// `IO_REPARSE_TAG_AF_UNIX`, `IO_REPARSE_TAG_LX_FIFO`, `IO_REPARSE_TAG_LX_CHR`, `IO_REPARSE_TAG_LX_BLK`.
    const SPECIAL: [u32; 4] = [0x8000_0023, 0x8000_0024, 0x8000_0025, 0x8000_0026];
    if attributes & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
        let tag = tag()?;
        if tag & NAME_SURROGATE != 0 {
            return Ok(FileKind::Symlink);
        }
        if SPECIAL.contains(&tag) {
            return Ok(FileKind::Other);
        }
    }
    Ok(if attributes & FILE_ATTRIBUTE_DIRECTORY != 0 { FileKind::Dir } else { FileKind::File })
}

fn stat_of(handle: &std::fs::File) -> io::Result<Stat> {
    let info = raw_windows::information(handle)?;
    let kind = kind_of(info.dwFileAttributes, || raw_windows::reparse_tag(handle))?;
    let mtime = timestamp(info.ftLastWriteTime);
    Ok(Stat {
        id: id_of(&info),
        kind,
        size: u64::from(info.nFileSizeHigh) << 32 | u64::from(info.nFileSizeLow),
        mode: if info.dwFileAttributes & FILE_ATTRIBUTE_READONLY == 0 { 0o666 } else { 0o444 },
        uid: 0,
        gid: 0,
        nlink: u64::from(info.nNumberOfLinks),
        mtime,
        ctime: mtime,
    })
}

impl Fs for RealFs {
    fn open_dir(&self, path: &Path) -> io::Result<Arc<dyn FsDir>> {
        let open = |access| {
            let mut options = std::fs::OpenOptions::new();
            // The default is to share everything.
            options.access_mode(access).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)
        };
        let enter = FILE_TRAVERSE | FILE_READ_ATTRIBUTES | SYNCHRONIZE;
        let handle = match open(enter | FILE_LIST_DIRECTORY) {
            // A directory that may be entered but not listed still serves.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => open(enter)?,
            other => other?,
        };
        let info = raw_windows::information(&handle)?;
        if info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY == 0 {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let caps = caps_of(&handle);
        Ok(Arc::new(Dir { handle, path: path.to_owned(), id: id_of(&info), caps }))
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        std::fs::canonicalize(path)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let mut options = std::fs::OpenOptions::new();
        options
            .access_mode(FILE_READ_ATTRIBUTES)
            .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT);
        stat_of(&options.open(path)?)
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        std::fs::read_link(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir(path)
    }

    fn current_dir(&self) -> io::Result<PathBuf> {
        std::env::current_dir()
    }

    fn lock_table(&self, _file: FileId) -> io::Result<Option<LockTable>> {
        Ok(None)
    }

    #[cfg(feature = "events")]
    fn events(&self, tell: crate::events::Tell) -> io::Result<Box<dyn crate::events::Events>> {
        Ok(Box::new(super::windows_events::DirectoryChanges::new(tell)))
    }
}

impl Dir {
    /// The directory's path at this moment; some virtual drives can't tell, and the path it was opened by must do.
    fn path_now(&self) -> PathBuf {
        raw_windows::final_path(&self.handle).unwrap_or_else(|_| self.path.clone())
    }

    /// An entry itself, whatever kind it is of.
    fn open_entry(&self, name: &OsStr, purpose: Purpose) -> io::Result<std::fs::File> {
        raw_windows::open_at(&self.handle, &units(name)?, purpose, false)
    }

    fn move_entry(&self, from: &OsStr, dir: &Dir, to: &OsStr, replace: bool) -> io::Result<()> {
        units(to)?;
        patiently(|| {
            let source = self.open_entry(from, Purpose::Rename)?;
            let path: Vec<u16> = dir.path_now().join(to).as_os_str().encode_wide().collect();
            match raw_windows::rename(&source, &path, replace) {
                Err(e) if is_in_the_way(&e) && dir.stat(to).is_ok_and(|stat| stat.kind == FileKind::Dir) => {
                    Err(io::ErrorKind::IsADirectory.into())
                }
                other => other,
            }
        })
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
        stat_of(&self.open_entry(name, Purpose::Look)?)
    }

    fn open(&self, name: &OsStr, access: Access) -> io::Result<Box<dyn FsFile>> {
        let purpose = match access {
            Access::Read => Purpose::Read,
            Access::ReadWrite => Purpose::ReadWrite,
            Access::Append => Purpose::Append,
        };
        let mut handle = self.open_entry(name, purpose)?;
        let info = raw_windows::information(&handle)?;
        let not_followed = || io::Error::from_raw_os_error(ERROR_CANT_RESOLVE_FILENAME.cast_signed());
        match kind_of(info.dwFileAttributes, || raw_windows::reparse_tag(&handle))? {
            FileKind::Symlink => return Err(not_followed()),
            FileKind::Dir if access != Access::Read => return Err(io::ErrorKind::IsADirectory.into()),
            // A file whose bytes are kept elsewhere (deduplicated, in a cloud): opened as itself it would read as if empty.
            FileKind::File if info.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT != 0 => {
                handle = raw_windows::open_at(&self.handle, &units(name)?, purpose, true)?;
                if id_of(&raw_windows::information(&handle)?) != id_of(&info) {
                    return Err(not_followed());
                }
            }
            _ => {}
        }
        Ok(Box::new(File::new(handle, access != Access::Read)))
    }

    fn create_new(&self, name: &OsStr, mode: u32) -> io::Result<Box<dyn FsFile>> {
        let handle = self.open_entry(name, Purpose::Create { readonly: mode & 0o222 == 0 })?;
        Ok(Box::new(File::new(handle, true)))
    }

    fn open_dir(&self, name: &OsStr) -> io::Result<Arc<dyn FsDir>> {
        // Held open, so that the directory keeps its path; and what is opened by path must be what was looked at.
        let entry = self.open_entry(name, Purpose::Look)?;
        let stat = stat_of(&entry)?;
        if stat.kind != FileKind::Dir {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let dir = RealFs.open_dir(&self.path_now().join(name))?;
        if dir.id() != stat.id {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        drop(entry);
        Ok(dir)
    }

    fn read_link(&self, name: &OsStr) -> io::Result<PathBuf> {
        // Held open, so that the directory keeps its path.
        let entry = self.open_entry(name, Purpose::Look)?;
        if stat_of(&entry)?.kind != FileKind::Symlink {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let text = std::fs::read_link(self.path_now().join(name));
        drop(entry);
        text
    }

    fn create_dir(&self, name: &OsStr, _mode: u32) -> io::Result<()> {
        units(name)?;
        std::fs::create_dir(self.path_now().join(name))
    }

    fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        self.move_entry(from, self, to, true)
    }

    fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        self.move_entry(from, self, to, false)
    }

    fn exchange(&self, _a: &OsStr, _b: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn link(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        units(to)?;
        patiently(|| {
            // Held open, so that the directory keeps its path.
            let source = self.open_entry(from, Purpose::Look)?;
            let dir = self.path_now();
            let result = std::fs::hard_link(dir.join(from), dir.join(to));
            drop(source);
            result.map_err(|e| if is_in_the_way(&e) { e } else { unify(e) })
        })
    }

    fn move_to(&self, from: &OsStr, dir: &dyn FsDir, to: &OsStr) -> io::Result<()> {
        let Some(dir) = dir.as_any().downcast_ref::<Dir>() else { return Err(io::ErrorKind::CrossesDevices.into()) };
        self.move_entry(from, dir, to, false)
    }

    fn move_over(&self, from: &OsStr, dir: &dyn FsDir, to: &OsStr) -> io::Result<()> {
        let Some(dir) = dir.as_any().downcast_ref::<Dir>() else { return Err(io::ErrorKind::CrossesDevices.into()) };
        self.move_entry(from, dir, to, true)
    }

    fn remove(&self, name: &OsStr) -> io::Result<()> {
        patiently(|| {
            let entry = self.open_entry(name, Purpose::Remove)?;
            if stat_of(&entry)?.kind == FileKind::Dir {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            raw_windows::remove(&entry)
        })
    }

    fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        patiently(|| {
            let entry = self.open_entry(name, Purpose::Remove)?;
            if stat_of(&entry)?.kind != FileKind::Dir {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            raw_windows::remove(&entry)
        })
    }

    fn symlink(&self, _text: &Path, _name: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn mount(&self) -> io::Result<Option<Mount>> {
        let fs_type = raw_windows::file_system_name(&self.handle)?;
        Ok(Some(Mount { fs_type, ..Mount::default() }))
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, each: &mut dyn FnMut(OsString) -> bool) -> io::Result<()> {
        for entry in std::fs::read_dir(self.path_now())? {
            if !each(entry?.file_name()) {
                break;
            }
        }
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl File {
    fn new(handle: std::fs::File, writable: bool) -> File {
        File { handle, writable, ranges: Mutex::default() }
    }

    fn ranges(&self) -> MutexGuard<'_, Vec<Range>> {
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_bytes(&self, range: Range, wait: bool) -> io::Result<bool> {
        let len = range.end - range.start;
        raw_windows::lock(&self.handle, range.start, len, range.kind == LockKind::Exclusive, wait).map_err(unify)
    }

    fn unlock_bytes(&self, range: Range) -> io::Result<()> {
        raw_windows::unlock(&self.handle, range.start, range.end - range.start)
    }

    /// Does somebody else hold a lock there? The system has no question for this, so the lock is taken for a moment.
    fn probe(&self, start: u64, end: u64) -> io::Result<bool> {
        let range = Range { start, end, kind: LockKind::Exclusive };
        if start >= end {
            return Ok(false);
        }
        let free = self.lock_bytes(range, false)?;
        if free {
            self.unlock_bytes(range)?;
        }
        Ok(!free)
    }
}

/// Is the range one that this open file holds already? The system would take the second lock for a stranger's, so what
/// isn't exactly the same lock is refused.
fn is_held(ranges: &[Range], range: &Range) -> io::Result<bool> {
    match ranges.iter().find(|own| own.overlaps(range)) {
        None => Ok(false),
        Some(own) if own == range => Ok(true),
        Some(_) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "this open file already holds a lock on a part of the range or of another kind",
        )),
    }
}

fn insert(ranges: &mut Vec<Range>, range: Range) {
    let at = ranges.partition_point(|own| own.start < range.start);
    ranges.insert(at, range);
}

impl FsFile for File {
    fn stat(&self) -> io::Result<Stat> {
        stat_of(&self.handle)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.handle.seek_read(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.handle.seek_write(buf, offset)
    }

    fn append(&self, buf: &[u8]) -> io::Result<Appended> {
        use std::io::{Seek, Write};
        // The right to append is all that this handle has: the system itself finds the end, and leaves the position behind the write.
        let mut handle = &self.handle;
        let len = handle.write(buf)?;
        if len == 0 {
            return Ok(Appended { at: self.stat()?.size, len });
        }
        Ok(Appended { at: handle.stream_position()? - len as u64, len })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.handle.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        if self.writable {
            return self.handle.sync_all();
        }
        // Only who may write may flush.
        raw_windows::reopen_for_writing(&self.handle)?.sync_all()
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        let mut permissions = self.handle.metadata()?.permissions();
        permissions.set_readonly(mode & 0o222 == 0);
        self.handle.set_permissions(permissions)
    }

    fn set_owner(&self, _uid: u32, _gid: u32) -> io::Result<()> {
        Ok(())
    }

    fn list_xattrs(&self) -> io::Result<Vec<OsString>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn get_xattr(&self, _name: &OsStr) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn set_xattr(&self, _name: &OsStr, _value: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn lock(&self, kind: LockKind) -> io::Result<()> {
        self.lock_bytes(Range { start: 0, end: 1, kind }, true).map(drop)
    }

    fn try_lock(&self, kind: LockKind) -> io::Result<bool> {
        self.lock_bytes(Range { start: 0, end: 1, kind }, false)
    }

    fn unlock(&self) -> io::Result<()> {
        self.unlock_bytes(Range { start: 0, end: 1, kind: LockKind::Exclusive })
    }

    fn lock_range(&self, start: u64, len: u64, kind: RangeKind) -> io::Result<()> {
        let range = Range::new(start, len, kind)?;
        if is_held(&self.ranges(), &range)? {
            return Ok(());
        }
        // The list stays free while the system waits.
        self.lock_bytes(range, true)?;
        insert(&mut self.ranges(), range);
        Ok(())
    }

    fn try_lock_range(&self, start: u64, len: u64, kind: RangeKind) -> io::Result<bool> {
        let range = Range::new(start, len, kind)?;
        let mut ranges = self.ranges();
        if is_held(&ranges, &range)? {
            return Ok(true);
        }
        let taken = self.lock_bytes(range, false)?;
        if taken {
            insert(&mut ranges, range);
        }
        Ok(taken)
    }

    fn unlock_range(&self, start: u64, len: u64) -> io::Result<()> {
        let mut ranges = self.ranges();
        let wanted = Range::new(start, len, LockKind::Exclusive)?;
        let Some(at) = ranges.iter().position(|own| own.overlaps(&wanted)) else { return Ok(()) };
        let own = ranges[at];
        if (own.start, own.end) != (wanted.start, wanted.end) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a range is given back as it was taken"));
        }
        self.unlock_bytes(own)?;
        ranges.remove(at);
        Ok(())
    }

    fn range_is_locked(&self, start: u64, len: u64) -> io::Result<bool> {
        let wanted = Range::new(start, len, LockKind::Exclusive)?;
        let ranges = self.ranges();
        let mut at = wanted.start;
        for own in ranges.iter().filter(|own| own.overlaps(&wanted)) {
            if own.kind == LockKind::Shared {
                let text = "this system can't tell who shares a byte range with this open file";
                return Err(io::Error::new(io::ErrorKind::Unsupported, text));
            }
            if self.probe(at, own.start)? {
                return Ok(true);
            }
            at = own.end;
        }
        self.probe(at, wanted.end)
    }

    fn probe_writers(&self) -> io::Result<WriterProbe> {
        // Opening without sharing writes would tell, and would make everybody's opening for writing fail meanwhile.
        Ok(WriterProbe::Unknown)
    }

    fn clone_from(&self, _source: &dyn FsFile) -> io::Result<()> {
        // ReFS can share blocks; this is not used yet.
        Err(io::ErrorKind::Unsupported.into())
    }

    fn make_inheritable(&self) -> io::Result<u64> {
        raw_windows::set_inheritable(&self.handle, true)?;
        Ok(self.handle.as_raw_handle().addr() as u64)
    }

    fn end_inheritance(&self) -> io::Result<()> {
        raw_windows::set_inheritable(&self.handle, false)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// NTFS stores steps of 100 ns of a clock that ticks at least every 16 ms.
const TICK: Duration = Duration::from_millis(40);
/// FAT stores even seconds; servers have their own clocks (L11).
const COARSE: Duration = Duration::from_millis(2100);

fn caps_of(dir: &std::fs::File) -> Caps {
    let kind = match raw_windows::is_remote(dir) {
        Ok(false) => FsKind::Local,
        Ok(true) => FsKind::Network,
        Err(_) => FsKind::Unknown,
    };
    // A server gives the name of its own file system; that is not what one talks to.
    let name = match raw_windows::file_system_name(dir).as_deref() {
        _ if kind == FsKind::Network => "network share",
        Ok("NTFS") => "ntfs",
        Ok("ReFS") => "refs",
        Ok("FAT" | "FAT32") => "vfat",
        Ok("exFAT") => "exfat",
        _ => "unknown",
    };
    let fine = kind == FsKind::Local && matches!(name, "ntfs" | "refs");
    Caps {
        kind,
        name,
        case_insensitive: !raw_windows::is_case_sensitive(dir),
        timestamp_granule: if fine { TICK } else { COARSE },
        range_locks: kind == FsKind::Local,
    }
}
