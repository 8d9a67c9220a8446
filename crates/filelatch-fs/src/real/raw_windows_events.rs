//! Reading the changes of a directory: the unsafe part.
#![expect(unsafe_code, reason = "std reads no changes of directories and waits for no events")]

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::ptr::null;

use windows_sys::Win32::Foundation::{ERROR_NOTIFY_ENUM_DIR, WAIT_FAILED, WAIT_OBJECT_0};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_NOTIFY_CHANGE_ATTRIBUTES, FILE_NOTIFY_CHANGE_CREATION, FILE_NOTIFY_CHANGE_DIR_NAME,
    FILE_NOTIFY_CHANGE_FILE_NAME, FILE_NOTIFY_CHANGE_LAST_WRITE, FILE_NOTIFY_CHANGE_SECURITY, FILE_NOTIFY_CHANGE_SIZE,
    FILE_NOTIFY_INFORMATION, GetLongPathNameW, ReadDirectoryChangesW,
};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Threading::{CreateEventW, INFINITE, ResetEvent, SetEvent, WaitForMultipleObjects};

use super::raw_windows::check;

/// Everything but the time of the last access, which reading changes.
const FILTER: u32 = FILE_NOTIFY_CHANGE_FILE_NAME
    | FILE_NOTIFY_CHANGE_DIR_NAME
    | FILE_NOTIFY_CHANGE_ATTRIBUTES
    | FILE_NOTIFY_CHANGE_SIZE
    | FILE_NOTIFY_CHANGE_LAST_WRITE
    | FILE_NOTIFY_CHANGE_CREATION
    | FILE_NOTIFY_CHANGE_SECURITY;

/// The most that a network share takes; the system keeps as much for what happens between two reads.
const BYTES: usize = 64 << 10;

/// Something that is signalled once and stays so.
#[derive(Debug)]
pub(super) struct Event(OwnedHandle);

impl Event {
    pub(super) fn new() -> io::Result<Event> {
        // SAFETY: no security attributes and no name; a manual-reset event that is not signalled.
        let handle = unsafe { CreateEventW(null(), 1, 0, null()) };
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call succeeded, so this is a new handle that nobody else owns.
        Ok(Event(unsafe { OwnedHandle::from_raw_handle(handle) }))
    }

    pub(super) fn signal(&self) -> io::Result<()> {
        // SAFETY: the handle is open.
        check(unsafe { SetEvent(self.0.as_raw_handle()) })
    }
}

/// What a read came to.
pub(super) enum Changes {
    /// Actions (`FILE_ACTION_*`) and paths relative to the directory.
    Some(Vec<(u32, OsString)>),
    /// More happened than the system remembers.
    Overflow,
    /// The event that ends the reading was signalled.
    Over,
}

/// What the system writes to while a read is under way.
struct Memory {
    overlapped: OVERLAPPED,
    /// Records are aligned to 4 bytes.
    buffer: [u32; BYTES / size_of::<u32>()],
}

/// A directory whose changes are read.
///
/// The reader stays in the thread that made it (the pointer sees to that): the system calls a thread's reads off when it ends.
pub(super) struct Reader {
    dir: File,
    arrived: Event,
    /// From a `Box`; freed by `drop`, when no read is under way any more. Not touched while one is.
    memory: *mut Memory,
    reading: bool,
    /// Why the next read could not begin.
    failed: Option<io::Error>,
}

impl Reader {
    /// Of a directory that was opened with `FILE_LIST_DIRECTORY` for overlapped calls. From when this returns, changes below it are
    /// remembered.
    pub(super) fn new(dir: File) -> io::Result<Reader> {
        let arrived = Event::new()?;
        let memory = Memory { overlapped: OVERLAPPED::default(), buffer: [0; BYTES / size_of::<u32>()] };
        let memory = Box::into_raw(Box::new(memory));
        let mut reader = Reader { dir, arrived, memory, reading: false, failed: None };
        reader.begin()?;
        Ok(reader)
    }

    fn begin(&mut self) -> io::Result<()> {
        let (mut unused, bytes) = (0, u32::try_from(BYTES).unwrap_or(u32::MAX));
        // SAFETY: the handles are open, that of the directory for overlapped calls; no read is under way (only `new` and `next` come here),
        // so the memory is ours, and it is not touched or freed before this read is over.
        unsafe {
            check(ResetEvent(self.arrived.0.as_raw_handle()))?;
            let Memory { overlapped, buffer } = &mut *self.memory;
            *overlapped = OVERLAPPED { hEvent: self.arrived.0.as_raw_handle(), ..OVERLAPPED::default() };
            let (overlapped, buffer) = (&raw mut *overlapped, buffer.as_mut_ptr().cast());
            let dir = self.dir.as_raw_handle();
            check(ReadDirectoryChangesW(dir, buffer, bytes, 1, FILTER, &raw mut unused, overlapped, None))?;
        }
        self.reading = true;
        Ok(())
    }

    /// How many bytes a read has brought, which is over or waited for.
    fn result(&mut self, wait: bool) -> io::Result<u32> {
        let mut bytes = 0;
        // SAFETY: the handle is open, and `overlapped` is that of the read; the system writes to it at most until the call returns.
        let read = check(unsafe {
            let overlapped = &raw const (*self.memory).overlapped;
            GetOverlappedResult(self.dir.as_raw_handle(), overlapped, &raw mut bytes, i32::from(wait))
        });
        self.reading = false;
        read.map(|()| bytes)
    }

    /// Waits for changes, or for `over`. The next read is under way when this returns changes.
    pub(super) fn next(&mut self, over: &Event) -> io::Result<Changes> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let handles = [over.0.as_raw_handle(), self.arrived.0.as_raw_handle()];
        // SAFETY: both handles are open.
        match unsafe { WaitForMultipleObjects(2, handles.as_ptr(), 0, INFINITE) } {
            WAIT_OBJECT_0 => return Ok(Changes::Over),
            WAIT_FAILED => return Err(io::Error::last_os_error()),
            _ => {}
        }
        let changes = match self.result(false) {
            Ok(0) => Changes::Overflow,
            Ok(bytes) => Changes::Some(self.records(bytes as usize)),
            Err(e) if e.raw_os_error().map(i32::cast_unsigned) == Some(ERROR_NOTIFY_ENUM_DIR) => Changes::Overflow,
            Err(e) => return Err(e),
        };
        // What has been read comes first.
        self.failed = self.begin().err();
        Ok(changes)
    }

    /// The records in the first bytes of the buffer. No read may be under way.
    fn records(&self, bytes: usize) -> Vec<(u32, OsString)> {
        debug_assert!(!self.reading);
        // SAFETY: no read is under way, so nobody else writes to the memory, which lives as long as the reader.
        let buffer = unsafe { &(*self.memory).buffer };
        parse(buffer, bytes)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.reading {
            // SAFETY: the handle is open and `overlapped` is that of the read under way. Nothing to call off: it is over already.
            unsafe { CancelIoEx(self.dir.as_raw_handle(), &raw const (*self.memory).overlapped) };
            // Waits until the system is done with the memory, whatever came of the read.
            drop(self.result(true));
        }
        // SAFETY: made by `Box::into_raw` in `new`; no read is under way any more.
        drop(unsafe { Box::from_raw(self.memory) });
    }
}

/// The records (`FILE_NOTIFY_INFORMATION`) in the first bytes of a buffer; none beyond them, whatever lengths they claim.
fn parse(buffer: &[u32], bytes: usize) -> Vec<(u32, OsString)> {
    const NAME: usize = offset_of!(FILE_NOTIFY_INFORMATION, FileName);
    let bytes = bytes.min(size_of_val(buffer));
    let word = |at: usize| buffer.get(at / 4).copied().unwrap_or_default();
    // Wine aligns records to 2 bytes only.
    let unit = |at: usize| {
        let [a, b, c, d] = word(at).to_ne_bytes();
        u16::from_ne_bytes(if at.is_multiple_of(4) { [a, b] } else { [c, d] })
    };
    let number = |at: usize| {
        let ([a, b], [c, d]) = (unit(at).to_ne_bytes(), unit(at + 2).to_ne_bytes());
        u32::from_ne_bytes([a, b, c, d])
    };
    let (mut records, mut at) = (Vec::new(), 0);
    while at + NAME <= bytes {
        let next = number(at + offset_of!(FILE_NOTIFY_INFORMATION, NextEntryOffset)) as usize;
        let action = number(at + offset_of!(FILE_NOTIFY_INFORMATION, Action));
        let len = number(at + offset_of!(FILE_NOTIFY_INFORMATION, FileNameLength)) as usize;
        let end = (at + NAME).saturating_add(len).min(bytes);
        let name: Vec<u16> = (at + NAME..end.saturating_sub(1)).step_by(2).map(unit).collect();
        records.push((action, OsString::from_wide(&name)));
        if next == 0 {
            break;
        }
        at = at.saturating_add(next);
    }
    records
}

/// The path with all its components in their long form; an error when there is nothing of the name.
pub(super) fn long_path(path: &Path) -> io::Result<PathBuf> {
    let short: Vec<u16> = path.as_os_str().encode_wide().chain([0]).collect();
    let mut long = vec![0_u16; 512];
    loop {
        let room = u32::try_from(long.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidFilename))?;
        // SAFETY: the path ends with 0, and the buffer has room for `room` units; both live through the call.
        let len = unsafe { GetLongPathNameW(short.as_ptr(), long.as_mut_ptr(), room) } as usize;
        if len == 0 {
            return Err(io::Error::last_os_error());
        }
        if len < long.len() {
            return Ok(OsString::from_wide(&long[..len]).into());
        }
        long.resize(len, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(next: u32, action: u32, name: &str) -> Vec<u8> {
        let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_ne_bytes).collect();
        let len = u32::try_from(units.len()).unwrap();
        [next, action, len].iter().flat_map(|n| n.to_ne_bytes()).chain(units).collect()
    }

    fn words(bytes: &[u8]) -> Vec<u32> {
        let word =
            |chunk: &[u8]| u32::from_ne_bytes(std::array::from_fn(|i| chunk.get(i).copied().unwrap_or_default()));
        bytes.chunks(4).map(word).collect()
    }

    /// WATCH-1: records one after the other, also where they are aligned to two bytes; lengths that lie lead nowhere.
    #[test]
    fn records() {
        let bytes = [record(18, 1, "abc"), record(0, 3, "é")].concat();
        let expected = [(1, OsString::from("abc")), (3, OsString::from("é"))];
        assert_eq!(parse(&words(&bytes), bytes.len()), expected);
        assert_eq!(parse(&words(&bytes), 17), [(1, OsString::from("ab"))][..].to_vec());
        let mut liar = record(u32::MAX, 2, "abc");
        liar[8..12].fill(0xFF);
        assert_eq!(parse(&words(&liar), liar.len()), [(2, OsString::from("abc"))]);
        assert!(parse(&words(&bytes), 11).is_empty());
    }
}
