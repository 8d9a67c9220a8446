//! Hints on macOS: `FSEvents` by the crate `notify`, one stream for each directory that was added, with all that is below it.
//!
//! One watcher of `notify` (8.2.1) for several directories would begin its stream anew for each that is added, and forget what happens
//! meanwhile; so each has its own.
//!
//! # What is told
//! - A rename is told of both names as [`Happened::Other`]: the system does not say which name is the new one, or that the two
//!   belong together.
//! - Flags of several changes of one file come together, and late ones repeat earlier ones: [`Happened::Created`] of a file that is old,
//!   [`Happened::Gone`] of one that is there again.
//! - Streams go by path. Whatever has the path of a directory that was added is watched; its removal is told, and of its
//!   renaming only what the system tells of the entry itself.
//! - `notify` ends its thread, without a word, when the system uses a flag that it does not know.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use super::raw_unix::pid;
use crate::events::{Events, Happened, Hint, Tell};

/// A source by `FSEvents`.
pub(super) struct FsEvents {
    tell: Tell,
    /// By the path as it was added.
    streams: Mutex<HashMap<PathBuf, Stream>>,
    /// The process that made it.
    owner: u32,
}

struct Stream {
    /// The path by which the system tells.
    canonical: PathBuf,
    watcher: RecommendedWatcher,
}

impl FsEvents {
    pub(super) fn new(tell: Tell) -> FsEvents {
        FsEvents { tell: super::safe(tell), streams: Mutex::default(), owner: pid() }
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<PathBuf, Stream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_inherited(&self) -> bool {
        pid() != self.owner
    }
}

impl fmt::Debug for FsEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FsEvents").field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// The crate's error as one of the system.
fn plain(error: notify::Error) -> io::Error {
    match error.kind {
        notify::ErrorKind::Io(e) => e,
        notify::ErrorKind::PathNotFound => io::ErrorKind::NotFound.into(),
        notify::ErrorKind::MaxFilesWatch => io::ErrorKind::StorageFull.into(),
        _ => io::Error::other(error),
    }
}

/// What one event means, by paths as the directory was added.
fn hints(event: notify::Result<Event>, canonical: &Path, added: &Path) -> Vec<Hint> {
    let Ok(event) = event else { return vec![Hint::Lost] };
    // First: it may come with a path or with none, and with any kind.
    if event.need_rescan() {
        return vec![Hint::Lost];
    }
    let what = match event.kind {
        // Who reads.
        EventKind::Access(_) => return Vec::new(),
        EventKind::Create(_) => Happened::Created,
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => Happened::Gone,
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Happened::MovedIn,
        EventKind::Modify(ModifyKind::Data(_)) => Happened::Written,
        EventKind::Modify(_) | EventKind::Any | EventKind::Other => Happened::Other,
    };
    if event.paths.is_empty() {
        return vec![Hint::Lost];
    }
    let hint = |path: &PathBuf| match path.strip_prefix(canonical) {
        Ok(below) if below.as_os_str().is_empty() => Hint::At { path: added.to_owned(), what },
        Ok(below) => Hint::At { path: added.join(below), what },
        // Of something else than was asked for.
        Err(_) => Hint::Lost,
    };
    event.paths.iter().map(hint).collect()
}

impl Events for FsEvents {
    fn covers_trees(&self) -> bool {
        true
    }

    fn tells_close(&self) -> bool {
        false
    }

    #[expect(clippy::disallowed_methods, reason = "this is the other side of the seam")]
    fn add(&self, dir: &Path) -> io::Result<()> {
        if self.is_inherited() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "this source belongs to the parent process"));
        }
        let canonical = std::fs::canonicalize(dir)?;
        if !std::fs::metadata(&canonical)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let mut streams = self.streams();
        if streams.get(dir).is_some_and(|stream| stream.canonical == canonical) {
            return Ok(());
        }
        let (tell, prefix, added) = (Arc::clone(&self.tell), canonical.clone(), dir.to_owned());
        let told = move |event| hints(event, &prefix, &added).into_iter().for_each(|hint| tell(hint));
        let mut watcher = notify::recommended_watcher(told).map_err(plain)?;
        watcher.watch(&canonical, RecursiveMode::Recursive).map_err(plain)?;
        streams.insert(dir.to_owned(), Stream { canonical, watcher });
        Ok(())
    }

    fn remove(&self, dir: &Path) {
        if !self.is_inherited() {
            let stream = self.streams().remove(dir);
            drop(stream.map(|stream| stream.watcher));
        }
    }
}

impl Drop for FsEvents {
    fn drop(&mut self) {
        // The streams wait for their threads, which a forked child has not got.
        if self.is_inherited() {
            std::mem::forget(std::mem::take(&mut *self.streams()));
        }
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, CreateKind, DataChange, Flag, RemoveKind};

    use super::*;

    /// WATCH-1 (L42): what may have been lost is said first; reading tells nothing; paths are those that were asked for.
    #[test]
    fn events_mean() {
        let mean = |event: Event| hints(Ok(event), Path::new("/private/tmp/d"), Path::new("/tmp/d"));
        let event = |kind| Event::new(kind).add_path("/private/tmp/d/f".into());
        let at = |what| vec![Hint::At { path: "/tmp/d/f".into(), what }];
        assert_eq!(mean(event(EventKind::Other).set_flag(Flag::Rescan)), [Hint::Lost]);
        assert_eq!(mean(Event::new(EventKind::Other).set_flag(Flag::Rescan)), [Hint::Lost]);
        assert_eq!(mean(Event::new(EventKind::Any)), [Hint::Lost]);
        assert_eq!(mean(event(EventKind::Access(AccessKind::Any))), []);
        assert_eq!(mean(event(EventKind::Create(CreateKind::File))), at(Happened::Created));
        assert_eq!(mean(event(EventKind::Remove(RemoveKind::File))), at(Happened::Gone));
        assert_eq!(mean(event(EventKind::Modify(ModifyKind::Data(DataChange::Any)))), at(Happened::Written));
        assert_eq!(mean(event(EventKind::Modify(ModifyKind::Name(RenameMode::Any)))), at(Happened::Other));
        let root = Event::new(EventKind::Remove(RemoveKind::Folder)).add_path("/private/tmp/d".into());
        assert_eq!(mean(root), [Hint::At { path: "/tmp/d".into(), what: Happened::Gone }]);
        assert_eq!(mean(Event::new(EventKind::Any).add_path("/elsewhere".into())), [Hint::Lost]);
    }
}
