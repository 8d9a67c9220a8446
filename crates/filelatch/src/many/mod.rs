//! Writes of several files as one (P9).
//!
//! # Promise
//! - [`Filelatch::apply_many`](crate::Filelatch::apply_many) and [`Filelatch::update_many`](crate::Filelatch::update_many) replace, create and
//!   remove any number of files of one workspace: all of them or none, also when the process is killed or the power is cut at any point. What
//!   has been decided is completed by whoever locks one of the files next, in any process; nothing is ever taken back.
//! - All are compared with what was expected, under the locks of all, before the first is written. If one does not fit, nothing is.
//! - Who holds shared locks on all of them ([`Filelatch::lock_all_shared`](crate::Filelatch::lock_all_shared)) sees all of the new contents or
//!   none.
//! - A program that ignores locks and writes to one of the files in the middle of it loses nothing: what it wrote stays, the content that was
//!   to be written there is a stored conflict, the others are written, and the caller is told ([`Error::Partial`](crate::Error::Partial)).
//!
//! # Non-promise
//! - Readers without locks may see some files new and others old: while they are published, and after a crash until each has been
//!   locked again. So may `flock(1)` and other programs that take the locks without knowing of intents.
//! - If somebody wipes the lock file of a file after a crash, its part is completed by nobody; `doctor` lists the intent.
//! - Strategies are not asked: several files are not merged.
//!
//! # Order of operations
//! 1. The exclusive locks of all files, in the order of [`ResourceId`](crate::ResourceId); what dead holders left is completed.
//! 2. Read, compare, decide. Files that are to stay as they are stand aside. If one is left, it is written as any file is: no intent, no
//!    workspace needed.
//! 3. A temporary file for each new content: a full disk shows here.
//! 4. The intent: new contents, old and new versions, in one file of the workspace, durable (`intent`).
//! 5. Each lock file's record names the intent, durably.
//! 6. The intent is committed by a rename, durably. Up to here an error or a death means that nothing is written, from here on that
//!    everything will be.
//! 7. Each file is published, with the look at what it displaces; then each directory is synced once.
//! 8. The records forget the intent, durably; the intent is removed; the locks are released.
//!
//! Whoever takes a lock and finds a record that names an intent does for this file what was left of 6 to 8 (`recover`), or drops the intent if it
//! was never committed. The record is read at every lock anyway, so that files which have nothing to do with this pay nothing for it.

mod apply;
mod change;
pub(crate) mod intent;
mod recover;

pub use change::{Applied, AppliedFile, FileChange, FileContent, FileOutcome, ManyOptions};

use std::io;

use intent::Intents;
pub(crate) use recover::is_lost;

/// What a lock file's record calls an intent for several files.
pub(crate) const KIND: &str = "several";

/// Which part of which intent a publish is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Several<'a> {
    intents: &'a Intents,
    pub(crate) id: &'a str,
    part: usize,
}

impl Several<'_> {
    /// Says durably that the file is going to be written in place: from then on a mix in it is no foreign change.
    pub(crate) fn begin_in_place(&self) -> io::Result<()> {
        self.intents.begin_in_place(self.id, self.part)
    }
}
