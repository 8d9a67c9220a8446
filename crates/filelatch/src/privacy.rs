//! Private files: what stores keep secrets in (P16, STORE-3, STORE-6).
//!
//! # Promise
//! - A private file and everything that is written beside it under another name (temporary files, journals) has mode 0600 from its first
//!   moment on, before a byte is in it, whatever the umask, a default access list of the directory or the replaced version say.
//! - Nothing of its content is kept: no versions, no stored conflicts, no copy in this process between two calls. That holds for all handles
//!   of one engine, also for those that were opened the ordinary way before.
//! - A file that others may read or write, that belongs to another user or is reached through a symbolic link is refused, and left as it is.
//!
//! # Non-promise
//! - Another program, or another process that opens the path the ordinary way, treats it as any file. What lies in `.filelatch/` is kept
//!   by nobody; elsewhere in a workspace, `keep = "none"` in a policy says the same of a file to everybody.
//! - Who may write to the directory can remove the file, or put another of the same user's in its place.
//! - Content goes through buffers that are not wiped.
//! - The hash of the content is public: the audit log and the file's own attribution have it. Who stores something short or guessable adds
//!   random bytes to the file, as credentials do.
//! - Group, access lists and extended attributes of a replaced version are not carried over.
//! - Windows: there are no modes. The file has the rights that its directory hands down, which below a user's profile are his own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use filelatch_fs::{FsFile, Stat};

use crate::error::Result;
use crate::parts::Parts;
use crate::path::Place;

/// Whether a file is private; shared by all that one engine knows of it. Never taken back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Privacy(Arc<AtomicBool>);

impl Privacy {
    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn new(on: bool) -> Privacy {
        Privacy(Arc::new(AtomicBool::new(on)))
    }

    pub(crate) fn switch_on(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// May this file be used?
    pub(crate) fn admits(&self, parts: &Parts, place: &Place, stat: &Stat) -> Result<()> {
        if !self.is_on() {
            return Ok(());
        }
        check(parts, place, stat)
    }
}

#[cfg(feature = "store")]
fn check(parts: &Parts, place: &Place, stat: &Stat) -> Result<()> {
    use crate::error::Error;
    use crate::store::StoreError;

    let Some(problem) = openness(parts, stat) else { return Ok(()) };
    let path = place.spelled.clone();
    let way_out = match problem {
        Open::Others(_) => {
            format!("`chmod 600 {}` closes it; what it holds may have been read: replace it", path.display())
        }
        Open::Owner(_) => "use it as the user it belongs to".to_owned(),
    };
    Err(Error::Store { path, source: StoreError::NotPrivate { problem: problem.to_string(), way_out } })
}

/// Without stores nothing is private.
#[cfg(not(feature = "store"))]
#[expect(clippy::unnecessary_wraps, reason = "with stores it may fail")]
fn check(_: &Parts, _: &Place, _: &Stat) -> Result<()> {
    Ok(())
}

/// Why a file is not its user's alone.
#[derive(Debug, thiserror::Error)]
enum Open {
    #[error("other users may open it (mode {0:04o})")]
    Others(u32),
    #[error("it belongs to another user (number {0})")]
    Owner(u32),
}

fn openness(parts: &Parts, stat: &Stat) -> Option<Open> {
    if stat.uid != parts.host.uid() {
        return Some(Open::Owner(stat.uid));
    }
    (!cfg!(windows) && stat.mode & 0o077 != 0).then_some(Open::Others(stat.mode & 0o7777))
}

/// Makes an empty file that was just created private. An error where the file system can't.
pub(crate) fn close(parts: &Parts, file: &dyn FsFile) -> io::Result<()> {
    if cfg!(windows) {
        return Ok(());
    }
    if file.stat()?.mode & 0o7777 != 0o600 {
        file.set_mode(0o600)?;
    }
    match openness(parts, &file.stat()?) {
        None => Ok(()),
        Some(open) => {
            let problem = format!("the file system can't make a file private: of a new one it says that {open}");
            Err(io::Error::new(io::ErrorKind::Unsupported, problem))
        }
    }
}
