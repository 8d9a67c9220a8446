//! The system calls that std does not offer. The only unsafe code for Windows.
#![expect(unsafe_code, reason = "std has no opening relative to a directory, no POSIX renames and no byte-range locks")]

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::PathBuf;
use std::ptr::{null, null_mut};

use windows_sys::Wdk::Foundation::OBJECT_ATTRIBUTES;
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_CREATE, FILE_OPEN, FILE_OPEN_FOR_BACKUP_INTENT, FILE_OPEN_REPARSE_POINT,
    FILE_RENAME_IGNORE_READONLY_ATTRIBUTE, FILE_RENAME_POSIX_SEMANTICS, FILE_RENAME_REPLACE_IF_EXISTS,
    FILE_SYNCHRONOUS_IO_NONALERT, FILE_WRITE_THROUGH, FileFsDeviceInformation, NTCREATEFILE_CREATE_OPTIONS,
    NtCreateFile, NtQueryVolumeInformationFile,
};
use windows_sys::Wdk::System::SystemServices::{FILE_FS_DEVICE_INFORMATION, FILE_REMOTE_DEVICE};
use windows_sys::Win32::Foundation::{
    ERROR_CALL_NOT_IMPLEMENTED, ERROR_INVALID_FUNCTION, ERROR_INVALID_PARAMETER, ERROR_IO_PENDING,
    ERROR_LOCK_VIOLATION, ERROR_NOT_LOCKED, ERROR_NOT_SUPPORTED, FILETIME, HANDLE, HANDLE_FLAG_INHERIT,
    INVALID_HANDLE_VALUE, NTSTATUS, OBJ_CASE_INSENSITIVE, RtlNtStatusToDosError, STILL_ACTIVE, SetHandleInformation,
    UNICODE_STRING,
};
use windows_sys::Win32::Security::Cryptography::{BCRYPT_USE_SYSTEM_PREFERRED_RNG, BCryptGenRandom};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, DELETE, FILE_ATTRIBUTE_NORMAL, FILE_ATTRIBUTE_READONLY, FILE_ATTRIBUTE_TAG_INFO,
    FILE_CASE_SENSITIVE_INFO, FILE_DISPOSITION_FLAG_DELETE, FILE_DISPOSITION_FLAG_IGNORE_READONLY_ATTRIBUTE,
    FILE_DISPOSITION_FLAG_POSIX_SEMANTICS, FILE_DISPOSITION_INFO, FILE_DISPOSITION_INFO_EX, FILE_GENERIC_READ,
    FILE_GENERIC_WRITE, FILE_INFO_BY_HANDLE_CLASS, FILE_READ_ATTRIBUTES, FILE_RENAME_INFO, FILE_SHARE_DELETE,
    FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_WRITE_DATA, FileAttributeTagInfo, FileCaseSensitiveInfo,
    FileDispositionInfo, FileDispositionInfoEx, FileRenameInfo, FileRenameInfoEx, GetFileInformationByHandle,
    GetFileInformationByHandleEx, GetFinalPathNameByHandleW, GetVolumeInformationByHandleW, LOCKFILE_EXCLUSIVE_LOCK,
    LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, ReOpenFile, SYNCHRONIZE, SetFileInformationByHandle, UnlockFileEx,
};
use windows_sys::Win32::System::IO::{IO_STATUS_BLOCK, OVERLAPPED};
use windows_sys::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};
use windows_sys::Win32::System::SystemInformation::{ComputerNamePhysicalDnsHostname, GetComputerNameExW};
use windows_sys::Win32::System::Threading::{
    GetExitCodeProcess, GetProcessId, GetProcessTimes, OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION,
};
use windows_sys::Win32::System::WindowsProgramming::GetUserNameW;

/// Everybody may do everything meanwhile, as on Unix.
const SHARE_ALL: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

/// What a name is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Read,
    ReadWrite,
    /// Reading, and writing behind the end (`FILE_APPEND_DATA` without `FILE_WRITE_DATA`).
    Append,
    /// A new file, for reading and writing.
    Create {
        readonly: bool,
    },
    /// Facts only: no sharing rule of another opener is in the way.
    Look,
    /// Renaming, with the new name on the medium before the call returns (what `MOVEFILE_WRITE_THROUGH` asks for).
    Rename,
    Remove,
}

pub(super) fn check(ok: i32) -> io::Result<()> {
    if ok == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn check_status(status: NTSTATUS) -> io::Result<()> {
    if status >= 0 {
        return Ok(());
    }
    // SAFETY: translates a number; no memory is involved.
    let code = unsafe { RtlNtStatusToDosError(status) };
    Err(io::Error::from_raw_os_error(code.cast_signed()))
}

fn length<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}

/// Opens `name` in an open directory. A reparse point is opened itself, unless `follow`. The handle is synchronous and not
/// inheritable.
pub(super) fn open_at(dir: &File, name: &[u16], purpose: Purpose, follow: bool) -> io::Result<File> {
    let bytes = u16::try_from(name.len() * 2).map_err(|_| io::Error::from(io::ErrorKind::InvalidFilename))?;
    let name = UNICODE_STRING { Length: bytes, MaximumLength: bytes, Buffer: name.as_ptr().cast_mut() };
    let attributes = OBJECT_ATTRIBUTES {
        Length: length::<OBJECT_ATTRIBUTES>(),
        RootDirectory: dir.as_raw_handle(),
        ObjectName: &raw const name,
        // What every Win32 call sets; directories marked case-sensitive stay so.
        Attributes: OBJ_CASE_INSENSITIVE,
        SecurityDescriptor: null(),
        SecurityQualityOfService: null(),
    };
    let access = match purpose {
        Purpose::Read => FILE_GENERIC_READ,
        Purpose::ReadWrite | Purpose::Create { .. } => FILE_GENERIC_READ | FILE_GENERIC_WRITE,
        Purpose::Append => FILE_GENERIC_READ | (FILE_GENERIC_WRITE & !FILE_WRITE_DATA),
        Purpose::Look => FILE_READ_ATTRIBUTES | SYNCHRONIZE,
        Purpose::Rename | Purpose::Remove => DELETE | FILE_READ_ATTRIBUTES | SYNCHRONIZE,
    };
    let (disposition, file_attributes) = match purpose {
        Purpose::Create { readonly: true } => (FILE_CREATE, FILE_ATTRIBUTE_READONLY),
        Purpose::Create { readonly: false } => (FILE_CREATE, FILE_ATTRIBUTE_NORMAL),
        _ => (FILE_OPEN, FILE_ATTRIBUTE_NORMAL),
    };
    // Without "backup intent" directories can't be opened at all.
    let mut options: NTCREATEFILE_CREATE_OPTIONS = FILE_SYNCHRONOUS_IO_NONALERT | FILE_OPEN_FOR_BACKUP_INTENT;
    if !follow {
        options |= FILE_OPEN_REPARSE_POINT;
    }
    if purpose == Purpose::Rename {
        options |= FILE_WRITE_THROUGH;
    }
    let mut handle: HANDLE = null_mut();
    let mut block = IO_STATUS_BLOCK::default();
    // SAFETY: the directory's handle is open (borrowed); the attributes, the name they point to, the status block and the
    // place for the handle live through the call, which is over when it returns (synchronous handle); the system only reads
    // the name.
    let status = unsafe {
        NtCreateFile(
            &raw mut handle,
            access,
            &raw const attributes,
            &raw mut block,
            null(),
            file_attributes,
            SHARE_ALL,
            disposition,
            options,
            null(),
            0,
        )
    };
    check_status(status)?;
    // SAFETY: the call succeeded, so this is a new handle that nobody else owns.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) }.into())
}

/// The same file once more, opened for writing.
pub(super) fn reopen_for_writing(file: &File) -> io::Result<File> {
    // SAFETY: the handle is open (borrowed); the other arguments are plain numbers.
    let handle = unsafe { ReOpenFile(file.as_raw_handle(), FILE_GENERIC_WRITE, SHARE_ALL, 0) };
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so this is a new handle that nobody else owns.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) }.into())
}

/// Attributes, identity, times, length and number of names.
pub(super) fn information(file: &File) -> io::Result<BY_HANDLE_FILE_INFORMATION> {
    let mut information = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open (borrowed) and the struct lives through the call.
    check(unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut information) })?;
    Ok(information)
}

/// One of the fixed-size classes of `GetFileInformationByHandleEx`.
///
/// # Safety
/// `T` must be the struct of `class`, and all-zero bytes a valid value of it.
unsafe fn information_ex<T: Default>(file: &File, class: FILE_INFO_BY_HANDLE_CLASS) -> io::Result<T> {
    let mut information = T::default();
    let place = (&raw mut information).cast();
    // SAFETY: the handle is open (borrowed); the buffer is as long as said, lives through the call, and is of the type that
    // the class fills (promised by the caller).
    check(unsafe { GetFileInformationByHandleEx(file.as_raw_handle(), class, place, length::<T>()) })?;
    Ok(information)
}

/// The tag of a reparse point.
pub(super) fn reparse_tag(file: &File) -> io::Result<u32> {
    // SAFETY: the struct belongs to the class and consists of numbers.
    unsafe { information_ex::<FILE_ATTRIBUTE_TAG_INFO>(file, FileAttributeTagInfo) }.map(|info| info.ReparseTag)
}

/// Is the directory marked as one whose names differ by case? Wrong where the system can't tell.
pub(super) fn is_case_sensitive(dir: &File) -> bool {
    // SAFETY: the struct belongs to the class and consists of one number.
    unsafe { information_ex::<FILE_CASE_SENSITIVE_INFO>(dir, FileCaseSensitiveInfo) }
        .is_ok_and(|info| info.Flags & 1 != 0)
}

/// The path an open directory has now, in the `\\?\` form.
pub(super) fn final_path(dir: &File) -> io::Result<PathBuf> {
    let text = grow(512, |buf, len| {
        // SAFETY: the handle is open (borrowed) and the buffer has room for `len` units.
        unsafe { GetFinalPathNameByHandleW(dir.as_raw_handle(), buf, len, 0) }
    })?;
    Ok(OsString::from_wide(&text).into())
}

/// Calls with a buffer of UTF-16 units until it is long enough; the call answers the length without the final NUL, or what
/// it needs when that does not fit, or 0 after an error.
fn grow(first: u32, mut call: impl FnMut(*mut u16, u32) -> u32) -> io::Result<Vec<u16>> {
    let mut len = first;
    loop {
        let mut buf = vec![0_u16; len as usize];
        match call(buf.as_mut_ptr(), len) {
            0 => return Err(io::Error::last_os_error()),
            n if n < len => {
                buf.truncate(n as usize);
                return Ok(buf);
            }
            n => len = n + 1,
        }
    }
}

/// The file system's own name ("NTFS"), as far as the system tells.
pub(super) fn file_system_name(dir: &File) -> io::Result<String> {
    let mut buf = [0_u16; 64];
    // SAFETY: the handle is open (borrowed), the buffer is as long as said; what is not wanted is null, as documented.
    check(unsafe {
        GetVolumeInformationByHandleW(
            dir.as_raw_handle(),
            null_mut(),
            0,
            null_mut(),
            null_mut(),
            null_mut(),
            buf.as_mut_ptr(),
            64,
        )
    })?;
    Ok(text_of(&buf))
}

fn text_of(buf: &[u16]) -> String {
    String::from_utf16_lossy(buf.split(|unit| *unit == 0).next().unwrap_or_default())
}

/// Is the directory on another machine?
pub(super) fn is_remote(dir: &File) -> io::Result<bool> {
    let mut device = FILE_FS_DEVICE_INFORMATION::default();
    let mut block = IO_STATUS_BLOCK::default();
    // SAFETY: the handle is open (borrowed) and synchronous; the struct belongs to the class, is as long as said and lives
    // through the call, as does the status block.
    let status = unsafe {
        NtQueryVolumeInformationFile(
            dir.as_raw_handle(),
            &raw mut block,
            (&raw mut device).cast(),
            length::<FILE_FS_DEVICE_INFORMATION>(),
            FileFsDeviceInformation,
        )
    };
    check_status(status)?;
    Ok(device.Characteristics & FILE_REMOTE_DEVICE != 0)
}

/// Does the error say that the system or file system has no such call or flag?
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(i32::cast_unsigned);
    matches!(
        code,
        Some(ERROR_INVALID_FUNCTION | ERROR_NOT_SUPPORTED | ERROR_INVALID_PARAMETER | ERROR_CALL_NOT_IMPLEMENTED)
    )
}

/// Gives an open file (opened for [`Purpose::Rename`]) another full path.
pub(super) fn rename(file: &File, path: &[u16], replace: bool) -> io::Result<()> {
    if !replace {
        return rename_with(file, path, FileRenameInfo, 0);
    }
    let posix = FILE_RENAME_REPLACE_IF_EXISTS | FILE_RENAME_POSIX_SEMANTICS;
    // Windows 10 1809 and later; 1607 and later; everything else (FAT, servers).
    let tries = [
        (FileRenameInfoEx, posix | FILE_RENAME_IGNORE_READONLY_ATTRIBUTE),
        (FileRenameInfoEx, posix),
        (FileRenameInfo, FILE_RENAME_REPLACE_IF_EXISTS),
    ];
    let mut result = Ok(());
    for (class, flags) in tries {
        result = rename_with(file, path, class, flags);
        if !matches!(&result, Err(e) if is_unsupported(e)) {
            break;
        }
    }
    result
}

fn rename_with(file: &File, path: &[u16], class: FILE_INFO_BY_HANDLE_CLASS, flags: u32) -> io::Result<()> {
    const NAME: usize = offset_of!(FILE_RENAME_INFO, FileName);
    // The name and a NUL after it; whole words, so that the struct is aligned in them.
    let bytes = (NAME + (path.len() + 1) * size_of::<u16>()).max(size_of::<FILE_RENAME_INFO>());
    let mut buf = vec![0_u64; bytes.div_ceil(size_of::<u64>())];
    let too_long = |_| io::Error::from(io::ErrorKind::InvalidFilename);
    let name_bytes = u32::try_from(size_of_val(path)).map_err(too_long)?;
    let buf_bytes = u32::try_from(bytes).map_err(too_long)?;
    let info = buf.as_mut_ptr().cast::<FILE_RENAME_INFO>();
    // SAFETY: the buffer is zeroed, aligned to 8 and at least as long as the struct and as the name from its offset on, so
    // all places written to are inside; `path` is another piece of memory.
    unsafe {
        (*info).Anonymous.Flags = flags;
        (*info).FileNameLength = name_bytes;
        let name = (&raw mut (*info).FileName).cast::<u16>();
        std::ptr::copy_nonoverlapping(path.as_ptr(), name, path.len());
    }
    // SAFETY: the handle is open (borrowed); the buffer holds the struct of both classes and is as long as said.
    check(unsafe { SetFileInformationByHandle(file.as_raw_handle(), class, info.cast(), buf_bytes) })
}

/// Removes the name by which an open file (opened for [`Purpose::Remove`]) was opened: at once where the file system can,
/// else when everybody has closed the file.
pub(super) fn remove(file: &File) -> io::Result<()> {
    let posix = FILE_DISPOSITION_FLAG_DELETE | FILE_DISPOSITION_FLAG_POSIX_SEMANTICS;
    for flags in [posix | FILE_DISPOSITION_FLAG_IGNORE_READONLY_ATTRIBUTE, posix] {
        let info = FILE_DISPOSITION_INFO_EX { Flags: flags };
        let len = length::<FILE_DISPOSITION_INFO_EX>();
        // SAFETY: the handle is open (borrowed); the struct belongs to the class and is as long as said.
        let ok = unsafe {
            SetFileInformationByHandle(file.as_raw_handle(), FileDispositionInfoEx, (&raw const info).cast(), len)
        };
        match check(ok) {
            Err(e) if is_unsupported(&e) => {}
            other => return other,
        }
    }
    let info = FILE_DISPOSITION_INFO { DeleteFile: true };
    let len = length::<FILE_DISPOSITION_INFO>();
    // SAFETY: the handle is open (borrowed); the struct belongs to the class and is as long as said.
    check(unsafe {
        SetFileInformationByHandle(file.as_raw_handle(), FileDispositionInfo, (&raw const info).cast(), len)
    })
}

fn overlapped_at(offset: u64) -> OVERLAPPED {
    let mut overlapped = OVERLAPPED::default();
    let (low, high) = halves(offset);
    overlapped.Anonymous.Anonymous.Offset = low;
    overlapped.Anonymous.Anonymous.OffsetHigh = high;
    overlapped
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of a number")]
fn halves(n: u64) -> (u32, u32) {
    (n as u32, (n >> 32) as u32)
}

/// Locks a byte range (`LockFileEx`); false: somebody holds a conflicting lock. With `wait` it is never false.
pub(super) fn lock(file: &File, start: u64, len: u64, exclusive: bool, wait: bool) -> io::Result<bool> {
    let mut flags = 0;
    if exclusive {
        flags |= LOCKFILE_EXCLUSIVE_LOCK;
    }
    if !wait {
        flags |= LOCKFILE_FAIL_IMMEDIATELY;
    }
    let (low, high) = halves(len);
    let mut overlapped = overlapped_at(start);
    // SAFETY: the handle is open (borrowed) and was opened for synchronous calls (by `open_at`), so the call is over when it
    // returns, and `overlapped` lives as long.
    match check(unsafe { LockFileEx(file.as_raw_handle(), flags, 0, low, high, &raw mut overlapped) }) {
        Ok(()) => Ok(true),
        Err(e) => match e.raw_os_error().map(i32::cast_unsigned) {
            Some(ERROR_LOCK_VIOLATION | ERROR_IO_PENDING) if !wait => Ok(false),
            _ => Err(e),
        },
    }
}

/// Unlocks exactly a range that was locked; one that is not locked is no error.
pub(super) fn unlock(file: &File, start: u64, len: u64) -> io::Result<()> {
    let (low, high) = halves(len);
    let mut overlapped = overlapped_at(start);
    // SAFETY: as for `LockFileEx` above.
    match check(unsafe { UnlockFileEx(file.as_raw_handle(), 0, low, high, &raw mut overlapped) }) {
        Err(e) if e.raw_os_error().map(i32::cast_unsigned) == Some(ERROR_NOT_LOCKED) => Ok(()),
        other => other,
    }
}

/// Whether programs started from now on inherit the handle.
pub(super) fn set_inheritable(file: &File, heirs: bool) -> io::Result<()> {
    let flag = if heirs { HANDLE_FLAG_INHERIT } else { 0 };
    // SAFETY: the handle is open (borrowed); the other arguments are flags.
    check(unsafe { SetHandleInformation(file.as_raw_handle(), HANDLE_FLAG_INHERIT, flag) })
}

/// The performance counter and how often it ticks in a second.
pub(super) fn counter() -> (u64, u64) {
    let (mut ticks, mut frequency) = (0_i64, 0_i64);
    // SAFETY: each call writes one number that lives through it. They never fail on the systems that Rust supports.
    unsafe {
        QueryPerformanceCounter(&raw mut ticks);
        QueryPerformanceFrequency(&raw mut frequency);
    }
    (ticks.cast_unsigned(), frequency.cast_unsigned().max(1))
}

/// When a living process was created, in 100 ns since 1601; `None` when there is none of this number or it has ended.
pub(super) fn start_of(pid: u32) -> io::Result<Option<u64>> {
    // SAFETY: the arguments are plain numbers.
    let handle = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid) };
    if handle.is_null() {
        let error = io::Error::last_os_error();
        let unknown = error.raw_os_error().map(i32::cast_unsigned) == Some(ERROR_INVALID_PARAMETER);
        return if unknown { Ok(None) } else { Err(error) };
    }
    // SAFETY: the call succeeded, so this is a new handle that nobody else owns.
    let process = unsafe { OwnedHandle::from_raw_handle(handle) };
    // The system rounds numbers down to the next process id.
    // SAFETY: the handle is open.
    if unsafe { GetProcessId(process.as_raw_handle()) } != pid {
        return Ok(None);
    }
    let mut code = 0;
    // SAFETY: the handle is open and the number lives through the call.
    check(unsafe { GetExitCodeProcess(process.as_raw_handle(), &raw mut code) })?;
    // A process that ended with exactly this code counts as living while somebody has it open: the careful mistake.
    if code != STILL_ACTIVE.cast_unsigned() {
        return Ok(None);
    }
    let mut times = [FILETIME::default(); 4];
    let [created, exited, kernel, user] = &mut times;
    // SAFETY: the handle is open and the four structs live through the call.
    check(unsafe { GetProcessTimes(process.as_raw_handle(), created, exited, kernel, user) })?;
    Ok(Some(u64::from(created.dwHighDateTime) << 32 | u64::from(created.dwLowDateTime)))
}

/// The machine's name.
pub(super) fn host_name() -> io::Result<String> {
    let mut buf = [0_u16; 256];
    let mut len = 256;
    // SAFETY: the buffer has room for `len` units and lives through the call.
    check(unsafe { GetComputerNameExW(ComputerNamePhysicalDnsHostname, buf.as_mut_ptr(), &raw mut len) })?;
    Ok(text_of(&buf))
}

/// The user's name.
pub(super) fn user_name() -> io::Result<String> {
    let mut buf = [0_u16; 257];
    let mut len = 257;
    // SAFETY: the buffer has room for `len` units (`UNLEN` + 1) and lives through the call.
    check(unsafe { GetUserNameW(buf.as_mut_ptr(), &raw mut len) })?;
    Ok(text_of(&buf))
}

/// Bytes from the system's random source.
pub(super) fn entropy(bytes: &mut [u8]) -> io::Result<()> {
    for piece in bytes.chunks_mut(1 << 20) {
        let len = u32::try_from(piece.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        // SAFETY: the buffer is `len` bytes long and lives through the call; no algorithm is named, as this flag asks for.
        check_status(unsafe { BCryptGenRandom(null_mut(), piece.as_mut_ptr(), len, BCRYPT_USE_SYSTEM_PREFERRED_RNG) })?;
    }
    Ok(())
}
