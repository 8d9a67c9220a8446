//! Writing the log: a queue in this process, one lock among processes, one write for all that is queued.
//!
//! # Promise
//! - A record is handed to the system before the call that made it returns, unless another thread is about to write it.
//! - Records of all processes are one chain, in the order in which they were written.
//! - A log that can't be written makes nothing fail. Records wait in memory, so many of them; those that were given up are counted, and
//!   the next record that can be written says how many.
//!
//! # Non-promise
//! Not every record is synced: a power cut may take the newest, and a process that is killed between a publish and its record leaves
//! none. [`verify`](super::Audit::verify) finds such publishes by what the files say of themselves.
//!
//! # Invariants
//! - Under the lock of the folder the newest file ends where its last writer left it, or is looked at and repaired first.
//! - Only what a killed writer or a power cut leaves is cut off, and kept beside the file; what somebody changed is left as it is, and
//!   a new file begins.
//! - A file is closed by a record that names the next one before that is made: whoever has the old one open sees its length change.
//! - Files are removed oldest first, and only when the record of it is durable.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use filelatch_fs::{Access, FsFile, LockKind};

use super::append::{InDoubt, Open, create};
use super::key::Key;
use super::limits::AuditPolicy;
use super::line::{Body, Link, quoted};
use crate::error::plain;
use crate::lock::resource::locked;
use crate::parts::Parts;
use crate::workspace::{WORKSPACE_DIR, Workspace};

/// Name of the folder in the workspace's own.
pub(super) const AUDIT: &str = "audit";
/// The file whose lock is the log's.
const LOCK: &str = ".lock";
/// Records that wait while the log can't be written.
const MOST_WAITING: usize = 4096;
/// So many are written although the lock under which they were made is still held.
const BATCH: usize = 256;
/// How long the log's lock is waited for. Its holders take microseconds; one that was stopped takes for ever.
const BUSY: Duration = Duration::from_secs(2);
/// Between two tries, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_micros(20), Duration::from_millis(1));
/// Rounds in which the folder is removed under a writer.
const ROUNDS: u32 = 10;

/// The audit log of one workspace, as one process writes it.
#[derive(Debug)]
pub(crate) struct Log {
    pub(super) parts: Arc<Parts>,
    workspace: Arc<Workspace>,
    pub(crate) policy: AuditPolicy,
    /// Where the key is, if there is one.
    key_file: Option<PathBuf>,
    session: String,
    born_in: u32,
    queue: Mutex<Queue>,
    waiting: AtomicBool,
    file: Mutex<Writer>,
}

#[derive(Debug, Default)]
struct Queue {
    bodies: VecDeque<Body>,
    /// Records that were given up.
    lost: u64,
    /// Why the log can't be written.
    trouble: Option<String>,
}

#[derive(Debug, Default)]
struct Writer {
    open: Option<Open>,
    /// The lock was not had the last time: it is not waited for again.
    impatient: bool,
}

impl Log {
    pub(crate) fn new(parts: Arc<Parts>, workspace: Arc<Workspace>, policy: AuditPolicy, key: Option<PathBuf>) -> Log {
        let session = quoted(&parts.session);
        let born_in = parts.host.pid();
        let key_file = key.or_else(|| policy.key_file.clone());
        let (queue, waiting, file) = (Mutex::default(), AtomicBool::new(false), Mutex::default());
        Log { parts, workspace, policy, key_file, session, born_in, queue, waiting, file }
    }

    /// Is this log kept by this policy?
    pub(crate) fn is_by(&self, policy: &AuditPolicy, workspace: &Workspace) -> bool {
        self.policy == *policy && self.workspace.is(workspace)
    }

    /// A record that begins now.
    pub(crate) fn body(&self, event: &'static str) -> Body {
        Body::new(self.parts.host.now(), event)
    }

    /// The session's name, as JSON.
    pub(crate) fn session(&self) -> &str {
        &self.session
    }

    /// Queues a record. It is written by the next [`Log::flush`].
    pub(crate) fn note(&self, body: Body) {
        let mut queue = locked(&self.queue);
        if queue.bodies.len() >= MOST_WAITING {
            queue.bodies.pop_front();
            queue.lost += 1;
        }
        queue.bodies.push_back(body);
        let full = queue.bodies.len() >= BATCH && queue.trouble.is_none();
        drop(queue);
        self.waiting.store(true, Ordering::Release);
        if full {
            self.flush();
        }
    }

    /// Writes what is queued, unless another thread is at it: it looks at the queue again when it is done.
    pub(crate) fn flush(&self) {
        loop {
            // Whoever finds the file in use has said before that there is something; whoever lets go of it looks again after.
            fence(Ordering::SeqCst);
            if !self.waiting.load(Ordering::Acquire) || self.parts.host.pid() != self.born_in {
                return;
            }
            let Ok(mut writer) = self.file.try_lock() else { return };
            if !self.write(&mut writer) {
                return;
            }
        }
    }

    /// Why records wait or were given up, if they were.
    pub(crate) fn trouble(&self) -> Option<String> {
        locked(&self.queue).trouble.clone()
    }

    /// Closes what a forked child has inherited. What another thread of the parent was just working on is left alone.
    pub(crate) fn close_after_fork(&self) {
        if let Ok(mut writer) = self.file.try_lock() {
            writer.open = None;
        }
    }

    /// Writes everything and makes it durable; the newest record's place.
    pub(crate) fn synced_head(&self) -> io::Result<Option<Link>> {
        self.flush();
        let mut writer = locked(&self.file);
        self.locked_newest(&mut writer, |log, open| {
            match log.bring_up(open)? {
                Some(new) if new.before.is_some() || new.number.is_some() => log.begin(open, &new, &[])?,
                _ => {}
            }
            let Some(newest) = &open.newest else { return Ok(None) };
            newest.file.sync()?;
            open.dir.sync()?;
            Ok(Some(newest.last))
        })
    }

    /// False: it did not work.
    fn write(&self, writer: &mut Writer) -> bool {
        self.waiting.store(false, Ordering::Release);
        let (batch, lost) = {
            let mut queue = locked(&self.queue);
            (std::mem::take(&mut queue.bodies), std::mem::take(&mut queue.lost))
        };
        if batch.is_empty() && lost == 0 {
            return true;
        }
        let mut bodies: Vec<&Body> = Vec::with_capacity(batch.len() + 1);
        let told = (lost > 0).then(|| self.body("lost").number("records", lost));
        bodies.extend(&told);
        bodies.extend(&batch);
        let written = self.locked_newest(writer, |log, open| log.append(open, &bodies));
        let mut queue = locked(&self.queue);
        match written {
            Ok(()) => {
                queue.trouble = None;
                true
            }
            Err(failed) => {
                queue.trouble = Some(plain(&failed));
                let in_doubt = failed.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<InDoubt>);
                // Written again they might be there twice.
                queue.lost += lost + if in_doubt { batch.len() as u64 } else { 0 };
                if !in_doubt {
                    let newer = std::mem::replace(&mut queue.bodies, batch);
                    queue.bodies.extend(newer);
                    let over = queue.bodies.len().saturating_sub(MOST_WAITING);
                    queue.bodies.drain(..over);
                    queue.lost += over as u64;
                }
                drop(queue);
                self.waiting.store(true, Ordering::Release);
                false
            }
        }
    }

    /// Runs `work` under the log's lock, with the newest file as it is.
    fn locked_newest<T>(
        &self,
        writer: &mut Writer,
        work: impl FnOnce(&Log, &mut Open) -> io::Result<T>,
    ) -> io::Result<T> {
        for _ in 0..ROUNDS {
            let mut open = match writer.open.take() {
                Some(open) => open,
                None => self.open()?,
            };
            self.lock(&*open.lock, &mut writer.impatient)?;
            // Dropping `open` unlocks, too.
            if open.lock.stat()?.nlink == 0 {
                continue;
            }
            let done = work(self, &mut open)?;
            // What can't be unlocked is closed.
            if open.lock.unlock().is_ok() {
                writer.open = Some(open);
            }
            return Ok(done);
        }
        Err(io::Error::other("its folder is removed as fast as it is made"))
    }

    fn open(&self) -> io::Result<Open> {
        let folder = self.workspace.private_folder(&self.parts, &[AUDIT.as_ref()], true)?;
        let dir = folder.ok_or(io::ErrorKind::NotFound)?;
        // Open to the group if its folder is.
        let own = self.workspace.folder(&self.parts)?.open_dir(WORKSPACE_DIR.as_ref())?;
        let mode = own.stat(AUDIT.as_ref())?.mode & 0o060 | 0o600;
        let key = self.key_file.as_ref().map(|key| Key::read(&*self.parts.fs, key, &self.workspace.root));
        let key = key.transpose().map_err(|e| io::Error::new(e.kind(), format!("the key file: {}", plain(&e))))?;
        let lock = match dir.open(LOCK.as_ref(), Access::ReadWrite) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => match create(&*dir, LOCK.as_ref(), mode) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => dir.open(LOCK.as_ref(), Access::ReadWrite),
                made => made,
            },
            opened => opened,
        }?;
        Ok(Open { dir, mode, lock, key, newest: None })
    }

    fn lock(&self, lock: &dyn FsFile, impatient: &mut bool) -> io::Result<()> {
        let host = &self.parts.host;
        let (mut pause, mut began) = (PAUSES.0, None);
        loop {
            if lock.try_lock(LockKind::Exclusive)? {
                *impatient = false;
                return Ok(());
            }
            let now = host.monotonic();
            if *impatient || now.saturating_sub(*began.get_or_insert(now)) >= BUSY {
                *impatient = true;
                let problem = "another process has its lock and does not give it back";
                return Err(io::Error::new(io::ErrorKind::TimedOut, problem));
            }
            host.sleep(pause);
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}

/// The folder of a workspace's log.
pub(super) fn folder_of(root: &Path) -> PathBuf {
    root.join(super::own_folder())
}
