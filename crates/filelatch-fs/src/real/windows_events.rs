//! Hints on Windows: `ReadDirectoryChangesW`, asked directly, one thread for each directory that was added, with all that is below it.
//!
//! # Why not the crate `notify`
//! When the system's buffer overflows, its watch (8.2.1) loses the changes without a word, or ends without a word, depending on
//! the version of Windows (notify#963, #968).
//!
//! # What is told
//! - `MODIFIED` is [`Happened::Written`], though it may be attributes; of a directory it says that entries came or went.
//! - A file that comes from elsewhere is [`Happened::Created`]; [`Happened::MovedIn`] is a rename within a directory.
//! - The system may call an entry by its short name (`LONGNA~1.TXT`). That is made long while the entry is there. When such a name is
//!   gone, nobody can say whose it was: [`Hint::Lost`].
//! - A directory that was added and is removed is told; one that is renamed is not, and its watch goes with it, by the old path,
//!   until the path is added again.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use windows_sys::Win32::Foundation::ERROR_ACCESS_DENIED;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ACTION_ADDED, FILE_ACTION_MODIFIED, FILE_ACTION_REMOVED, FILE_ACTION_RENAMED_NEW_NAME,
    FILE_ACTION_RENAMED_OLD_NAME, FILE_ATTRIBUTE_DIRECTORY, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OVERLAPPED,
    FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, SYNCHRONIZE,
};

use super::raw_windows;
use super::raw_windows_events::{Changes, Event, Reader, long_path};
use super::windows::{RealFs, id_of, unify};
use crate::events::{Events, Happened, Hint, Tell};
use crate::fs::Fs;
use crate::types::FileId;

/// A source by `ReadDirectoryChangesW`.
pub(super) struct DirectoryChanges {
    tell: Tell,
    watches: Mutex<HashMap<PathBuf, Watch>>,
}

/// One directory that was added.
struct Watch {
    id: FileId,
    /// Ends the thread.
    over: Arc<Event>,
    thread: JoinHandle<()>,
}

impl DirectoryChanges {
    pub(super) fn new(tell: Tell) -> DirectoryChanges {
        DirectoryChanges { tell: super::safe(tell), watches: Mutex::default() }
    }

    fn watches(&self) -> MutexGuard<'_, HashMap<PathBuf, Watch>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for DirectoryChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectoryChanges").finish_non_exhaustive()
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the other side of the seam")]
fn open(dir: &Path) -> io::Result<(File, FileId)> {
    let mut options = std::fs::OpenOptions::new();
    options
        .access_mode(FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES | SYNCHRONIZE)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OVERLAPPED);
    let handle = options.open(dir)?;
    let info = raw_windows::information(&handle)?;
    if info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY == 0 {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let id = id_of(&info);
    Ok((handle, id))
}

impl Watch {
    /// Returns when the system remembers changes.
    fn start(dir: &Path, handle: File, id: FileId, tell: &Tell) -> io::Result<Watch> {
        let (began, begins) = sync_channel(1);
        let over = Arc::new(Event::new()?);
        let (end, tell, path) = (Arc::clone(&over), Arc::clone(tell), dir.to_owned());
        let work = move || match Reader::new(handle) {
            Ok(reader) => {
                drop(began.send(Ok(())));
                listen(reader, &end, &path, &tell);
            }
            Err(e) => drop(began.send(Err(e))),
        };
        let thread = Builder::new().name("filelatch-events".to_owned()).spawn(work)?;
        match begins.recv() {
            Ok(Ok(())) => Ok(Watch { id, over, thread }),
            Ok(Err(e)) => Err(unify(e)),
            // The thread has panicked.
            Err(e) => Err(io::Error::other(e)),
        }
    }
}

/// The thread.
fn listen(mut reader: Reader, over: &Event, dir: &Path, tell: &Tell) {
    loop {
        match reader.next(over) {
            Ok(Changes::Over) => return,
            Ok(Changes::Overflow) => tell(Hint::Lost),
            Ok(Changes::Some(records)) => {
                for (action, name) in records {
                    translate(action, dir.join(name), tell);
                }
            }
            // The directory is being removed.
            Err(e) if e.raw_os_error().map(i32::cast_unsigned) == Some(ERROR_ACCESS_DENIED) => {
                return tell(Hint::At { path: dir.to_owned(), what: Happened::Gone });
            }
            // The drive is gone, the server is: this watch has ended.
            Err(_) => {
                tell(Hint::At { path: dir.to_owned(), what: Happened::Gone });
                return tell(Hint::Lost);
            }
        }
    }
}

/// Tells what one record means.
fn translate(action: u32, path: PathBuf, tell: &Tell) {
    let what = match action {
        FILE_ACTION_ADDED => Happened::Created,
        FILE_ACTION_REMOVED | FILE_ACTION_RENAMED_OLD_NAME => Happened::Gone,
        FILE_ACTION_MODIFIED => Happened::Written,
        FILE_ACTION_RENAMED_NEW_NAME => Happened::MovedIn,
        _ => Happened::Other,
    };
    if !may_be_short(&path) {
        return tell(Hint::At { path, what });
    }
    // Wine makes a long name of one that is not there.
    if let Ok(path) = long_path(&path)
        && RealFs.stat(&path).is_ok()
    {
        return tell(Hint::At { path, what });
    }
    tell(Hint::At { path, what });
    if what == Happened::Gone {
        tell(Hint::Lost);
    }
}

/// Short names have at most eight characters, a `~` and a digit among them, and an extension of at most three.
fn may_be_short(path: &Path) -> bool {
    let Some(name) = path.file_name().map(|name| name.as_encoded_bytes()) else { return false };
    name.len() <= 12 && name.windows(2).any(|pair| pair[0] == b'~' && pair[1].is_ascii_digit())
}

impl Events for DirectoryChanges {
    fn covers_trees(&self) -> bool {
        true
    }

    fn tells_close(&self) -> bool {
        false
    }

    fn add(&self, dir: &Path) -> io::Result<()> {
        let (handle, id) = open(dir)?;
        let mut watches = self.watches();
        if watches.get(dir).is_some_and(|watch| watch.id == id && !watch.thread.is_finished()) {
            return Ok(());
        }
        let watch = Watch::start(dir, handle, id, &self.tell)?;
        if let Some(old) = watches.insert(dir.to_owned(), watch) {
            old.over.signal()?;
        }
        Ok(())
    }

    fn remove(&self, dir: &Path) {
        if let Some(watch) = self.watches().remove(dir) {
            // Can't fail for an event that is open (the thread has it too); at worst hints for nothing go on.
            drop(watch.over.signal());
        }
    }
}

impl Drop for DirectoryChanges {
    fn drop(&mut self) {
        for (_, watch) in self.watches().drain() {
            // A thread that could not be told to end is not waited for, nor is one that drops its own source.
            if watch.over.signal().is_ok() && watch.thread.thread().id() != std::thread::current().id() {
                drop(watch.thread.join());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use super::*;
    use crate::real::tests::{put, scratch};

    fn source() -> (DirectoryChanges, Receiver<Hint>) {
        let (sender, told) = channel();
        (DirectoryChanges::new(Arc::new(move |hint| drop(sender.send(hint)))), told)
    }

    /// Hints until one is wanted; the system tells more of a change than one.
    fn until(told: &Receiver<Hint>, path: &Path, what: Happened) -> Vec<Hint> {
        let mut heard = Vec::new();
        while heard.last() != Some(&Hint::At { path: path.to_owned(), what }) {
            heard.push(
                told.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("{path:?} {what:?}: {heard:?}")),
            );
        }
        heard
    }

    /// WATCH-1: changes are told from when the directory was added, whatever the names.
    #[test]
    fn changes_are_told() {
        let (_tmp, dir) = scratch();
        let (source, told) = source();
        assert!(source.covers_trees() && !source.tells_close());
        source.add(dir.path()).unwrap();
        source.add(dir.path()).unwrap();
        let at = |name: &str| dir.path().join(name);
        put(&dir, "ä €", b"text");
        until(&told, &at("ä €"), Happened::Created);
        until(&told, &at("ä €"), Happened::Written);
        dir.rename("ä €".as_ref(), "b".as_ref()).unwrap();
        until(&told, &at("ä €"), Happened::Gone);
        until(&told, &at("b"), Happened::MovedIn);
        dir.remove("b".as_ref()).unwrap();
        until(&told, &at("b"), Happened::Gone);
    }

    /// WATCH-1: and below it.
    #[test]
    #[ignore = "Wine tells of the directory itself only"]
    fn changes_below_are_told() {
        let (_tmp, dir) = scratch();
        dir.create_dir("d".as_ref(), 0).unwrap();
        let (source, told) = source();
        source.add(dir.path()).unwrap();
        put(&dir.open_dir("d".as_ref()).unwrap(), "f", b"text");
        until(&told, &dir.path().join("d").join("f"), Happened::Created);
    }

    /// WATCH-1: another directory at the same path is watched instead; what is no directory is not.
    #[test]
    fn a_path_is_what_it_names_now() {
        let (_tmp, dir) = scratch();
        let (source, told) = source();
        let path = dir.path().join("d");
        assert_eq!(source.add(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        put(&dir, "d", b"");
        assert_eq!(source.add(&path).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        dir.remove("d".as_ref()).unwrap();
        for name in ["a", "b"] {
            dir.create_dir("d".as_ref(), 0).unwrap();
            source.add(&path).unwrap();
            put(&dir.open_dir("d".as_ref()).unwrap(), name, b"");
            until(&told, &path.join(name), Happened::Created);
            dir.rename("d".as_ref(), format!("was {name}").as_ref()).unwrap();
        }
    }

    /// WATCH-1: dropped, a source has told its last, and its threads have ended.
    #[test]
    fn dropped_it_tells_nothing_more() {
        let (_tmp, dir) = scratch();
        let tell: Tell = Arc::new(|_| ());
        let source = DirectoryChanges::new(Arc::clone(&tell));
        source.add(dir.path()).unwrap();
        put(&dir, "a", b"");
        drop(source);
        assert_eq!(Arc::strong_count(&tell), 1);
    }

    /// WATCH-1: what may be a short name is looked up; when it is gone, something else may be.
    #[test]
    fn short_names() {
        for (name, short) in
            [("LONGNA~1.TXT", true), ("a~1", true), ("a~", false), ("a long name~1", false), ("ab.txt", false)]
        {
            assert_eq!(may_be_short(Path::new(name)), short, "{name}");
        }
        let (_tmp, dir) = scratch();
        let (sender, told) = channel();
        let tell: Tell = Arc::new(move |hint| drop(sender.send(hint)));
        let gone = dir.path().join("GONEFI~1.TXT");
        translate(FILE_ACTION_REMOVED, gone.clone(), &tell);
        let heard = [told.recv().unwrap(), told.recv().unwrap()];
        assert_eq!(heard, [Hint::At { path: gone, what: Happened::Gone }, Hint::Lost]);
        put(&dir, "a~1", b"");
        let there = Hint::At { path: dir.path().join("a~1"), what: Happened::Created };
        translate(FILE_ACTION_ADDED, dir.path().join("a~1"), &tell);
        drop(tell);
        assert_eq!(told.iter().collect::<Vec<_>>(), [there]);
    }
}
