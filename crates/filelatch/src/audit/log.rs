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
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use filelatch_fs::fs::write_all_at;
use filelatch_fs::{Access, FileId, FsDir, FsFile, LockKind};

use super::key::Key;
use super::limits::AuditPolicy;
use super::line::{Body, Link, append, append_as, file_name, number_of, quoted};
use super::scan::{FORM, Fault, Head, first_line, look, read_from};
use crate::error::plain;
use crate::lock::resource::locked;
use crate::parts::Parts;
use crate::workspace::Workspace;

/// Name of the folder in the workspace's own.
pub(super) const AUDIT: &str = "audit";
/// The file whose lock is the log's.
const LOCK: &str = ".lock";
/// What a file's name ends with that holds what was cut off.
const TORN: &str = ".torn-";
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
/// Boot ids are shorter.
const BOOT: usize = 128;

/// The audit log of one workspace, as one process writes it.
#[derive(Debug)]
pub(crate) struct Log {
    parts: Arc<Parts>,
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

#[derive(Debug)]
struct Open {
    dir: Arc<dyn FsDir>,
    mode: u32,
    lock: Box<dyn FsFile>,
    key: Option<Key>,
    newest: Option<Newest>,
}

/// The file that is written to, as this process left it.
#[derive(Debug)]
struct Newest {
    file: Box<dyn FsFile>,
    id: FileId,
    log: String,
    len: u64,
    last: Link,
    is_closed: bool,
}

/// Where the chain goes on.
struct Resumed {
    newest: Option<Newest>,
    /// Of a new file: what it follows.
    before: Option<Link>,
    log: Option<String>,
    broken: Option<u64>,
    /// Its number, where it is there already and empty.
    number: Option<u64>,
    notes: Vec<Body>,
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
    pub(crate) fn is_by(&self, policy: &AuditPolicy) -> bool {
        self.policy == *policy
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
        while self.waiting.load(Ordering::Acquire) && self.parts.host.pid() == self.born_in {
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
        let path = self.workspace.own_path().join(AUDIT);
        // Open to the group if its folder is.
        let mode = self.parts.fs.stat(&path)?.mode & 0o060 | 0o600;
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

    fn append(&self, open: &mut Open, bodies: &[&Body]) -> io::Result<()> {
        let new = match (self.bring_up(open)?, open.newest.take()) {
            (None, Some(newest)) if newest.len < self.policy.file_bytes.max(1) => {
                open.newest = Some(Self::write_to(newest, open.key.as_ref(), bodies)?);
                return Ok(());
            }
            (None, Some(newest)) => self.close(newest, open.key.as_ref())?,
            (new, _) => new.unwrap_or_else(Resumed::nothing),
        };
        self.begin(open, &new, bodies)
    }

    /// Makes `open.newest` the file to write to. `Some`: that one has to be begun first.
    fn bring_up(&self, open: &mut Open) -> io::Result<Option<Resumed>> {
        if let Some(newest) = open.newest.take()
            && is_as_left(&newest)?
        {
            open.newest = Some(newest);
            return Ok(None);
        }
        let mut resumed = self.resume(open)?;
        let Some(newest) = resumed.newest.take() else { return Ok(Some(resumed)) };
        let notes: Vec<_> = resumed.notes.iter().collect();
        open.newest = Some(if notes.is_empty() { newest } else { Self::write_to(newest, open.key.as_ref(), &notes)? });
        Ok(None)
    }

    /// Writes behind what is there. On an error nothing of it is left, or the error says that there is doubt.
    fn write_to(mut newest: Newest, key: Option<&Key>, bodies: &[&Body]) -> io::Result<Newest> {
        let mut out = Vec::with_capacity(bodies.iter().map(|body| body.len() + 128).sum());
        let mut last = newest.last;
        for body in bodies {
            last = append(&mut out, key, Some(&last), body);
        }
        write_or_take_back(&*newest.file, &out, newest.len)?;
        newest.len += out.len() as u64;
        newest.last = last;
        Ok(newest)
    }

    /// The last record of a file that is long enough.
    fn close(&self, newest: Newest, key: Option<&Key>) -> io::Result<Resumed> {
        let newest = if newest.is_closed {
            newest
        } else {
            let name = file_name(newest.last.n + 2);
            let next = self.body("next").text("file", &name.to_string_lossy());
            Self::write_to(newest, key, &[&next])?
        };
        // So that only the end of the newest file is ever missing after a power cut. What can't be synced is not lost for that, (But what failed to be synced
        // may be missing all the same, and then looks like damage.)
        newest.file.sync().ok();
        Ok(Resumed { before: Some(newest.last), log: Some(newest.log), ..Resumed::nothing() })
    }

    /// Begins a file: its first record, what is removed for it, and what is to be recorded, in one write.
    fn begin(&self, open: &mut Open, new: &Resumed, bodies: &[&Body]) -> io::Result<()> {
        let host = &self.parts.host;
        let n = new.number.unwrap_or_else(|| new.before.map_or(1, |before| before.n + 1));
        let name = file_name(n);
        let log = new.log.clone().unwrap_or_else(|| format!("{:016x}{:016x}", host.random(), host.random()));
        let mut begin = self.body("begin").number("v", FORM).text("log", &log);
        if let Some(before) = &new.before {
            begin = begin.text("after", before.chain.to_hex().as_str());
        }
        if let Some(key) = &open.key {
            begin = begin.text("key", &key.id());
        }
        if let Some(broken) = new.broken {
            begin = begin.number("broken", broken);
        }
        let dropped = self.beyond(open, n)?;
        let told = dropped.iter().map(|old| {
            let body = self.body("dropped").text("file", &old.name.to_string_lossy()).number("bytes", old.bytes);
            body.number("through", old.last.n).text("last", old.last.chain.to_hex().as_str())
        });
        let told: Vec<_> = new.notes.iter().cloned().chain(told).collect();
        let mut out = Vec::new();
        let mut last =
            append_as(&mut out, open.key.as_ref(), n, new.before.as_ref().map(|before| &before.chain), &begin);
        for body in told.iter().chain(bodies.iter().copied()) {
            last = append(&mut out, open.key.as_ref(), Some(&last), body);
        }
        let file = match create(&*open.dir, &name, open.mode) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && new.number.is_some() => {
                open.dir.open(&name, Access::ReadWrite)?
            }
            made => made?,
        };
        let id = file.stat()?.id;
        write_or_take_back(&*file, &out, 0)?;
        let durable = file.sync().and_then(|()| open.dir.sync()).is_ok();
        open.newest = Some(Newest { file, id, log, len: out.len() as u64, last, is_closed: false });
        if durable {
            for old in dropped {
                remove(&*open.dir, &old.name);
            }
        }
        Ok(())
    }

    /// Looks at what is there, puts right what a killed writer or a power cut has left, and says where to go on.
    fn resume(&self, open: &mut Open) -> io::Result<Resumed> {
        let numbers = numbers(&*open.dir)?;
        let all = self.is_first_of_this_boot(&*open.lock)?;
        let mut resumed = self.resume_at(open, &numbers, all)?;
        if let Some(newest) = &resumed.newest
            && newest.is_closed
        {
            // Its writer did not come to make the next one.
            (resumed.before, resumed.log) = (Some(newest.last), Some(newest.log.clone()));
            resumed.newest = None;
        }
        if all {
            self.note_boot(&*open.lock)?;
        }
        Ok(resumed)
    }

    fn resume_at(&self, open: &Open, numbers: &[u64], all: bool) -> io::Result<Resumed> {
        let Some((&number, older)) = numbers.split_last() else { return Ok(Resumed::nothing()) };
        let name = file_name(number);
        let file = open.dir.open(&name, Access::ReadWrite)?;
        let stat = file.stat()?;
        if !stat.is_file() {
            return Err(io::Error::other(format!("`{}` is not a regular file", name.display())));
        }
        let head = first_line(&*file, stat.size)?.and_then(|line| Head::parse(&line));
        if let Some(head) = &head
            && head.key != open.key.as_ref().map(Key::id)
        {
            let problem = match (&head.key, &open.key) {
                (Some(_), None) => "the log has a key, and this program was given none",
                (None, Some(_)) => "the log was begun without a key: move its folder away to begin one with it",
                _ => "the log was begun with another key",
            };
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let found = look(&*file, stat.size, open.key.as_ref(), all)?;
        let mut resumed = Resumed::nothing();
        let mut len = found.end;
        match found.fault {
            None => {}
            Some(Fault::Torn) => {
                let n = found.last.map_or(number, |last| last.n + 1);
                let kept = Self::cut(open, &*file, &name, found.end, stat.size, n)?;
                let cut = self.body("repaired").text("file", &name.to_string_lossy());
                resumed.notes.push(cut.number("bytes", stat.size - found.end).text("kept", &kept.to_string_lossy()));
            }
            Some(Fault::Broken { n, resume }) => {
                // What follows is a new file, and whoever has this one open must see that: it gets longer.
                let last = resume.or(found.last);
                len = stat.size;
                resumed.broken = Some(n);
                let last = last.map_or(Link { n: number, chain: blake3::hash(b"") }, |last| last);
                let log = head.map(|head| head.log);
                let broken = Newest { file, id: stat.id, log: String::new(), len, last, is_closed: false };
                let closed = self.close(broken, open.key.as_ref())?;
                return Ok(Resumed { before: closed.before, log, ..resumed });
            }
        }
        if let (Some(last), Some(head)) = (found.last, head) {
            let log = head.log;
            resumed.newest = Some(Newest { file, id: stat.id, log, len, last, is_closed: found.is_closed });
            return Ok(resumed);
        }
        // Nothing in it is whole: it is begun again.
        let before = self.resume_before(open, older)?;
        let follows = before.before.is_none_or(|before| before.n < number);
        let notes = resumed.notes.into_iter().chain(before.notes).collect();
        Ok(Resumed { number: follows.then_some(number), notes, ..before })
    }

    /// What a file that has no record follows.
    fn resume_before(&self, open: &Open, older: &[u64]) -> io::Result<Resumed> {
        if older.is_empty() {
            return Ok(Resumed::nothing());
        }
        let before = self.resume_at(open, older, false)?;
        Ok(match before {
            Resumed { newest: Some(newest), notes, .. } => {
                Resumed { before: Some(newest.last), log: Some(newest.log), notes, ..Resumed::nothing() }
            }
            other => other,
        })
    }

    /// Cuts off what is not whole, and keeps it.
    fn cut(open: &Open, file: &dyn FsFile, name: &OsStr, end: u64, size: u64, n: u64) -> io::Result<OsString> {
        let mut kept = name.to_owned();
        kept.push(format!("{TORN}{n}"));
        let bytes = read_from(file, end, size)?;
        let put = match create(&*open.dir, &kept, open.mode) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                open.dir.remove(&kept)?;
                create(&*open.dir, &kept, open.mode)
            }
            made => made,
        };
        write_all_at(&*put?, &bytes, 0)?;
        file.set_len(end)?;
        Ok(kept)
    }

    /// After a power cut there may be zeros in the middle, too: who comes first looks at all of the newest file.
    fn is_first_of_this_boot(&self, lock: &dyn FsFile) -> io::Result<bool> {
        let boot = self.parts.facts().boot;
        if boot.is_empty() || boot.len() > BOOT {
            return Ok(false);
        }
        Ok(read_from(lock, 0, BOOT as u64)? != boot.as_bytes())
    }

    fn note_boot(&self, lock: &dyn FsFile) -> io::Result<()> {
        lock.set_len(0)?;
        write_all_at(lock, self.parts.facts().boot.as_bytes(), 0)
    }

    /// The oldest files, as far as they are beyond the limits. `next`: the one that is about to be made.
    fn beyond(&self, open: &Open, next: u64) -> io::Result<Vec<Old>> {
        let mut numbers = numbers(&*open.dir)?;
        numbers.retain(|n| *n < next);
        let mut stats = Vec::with_capacity(numbers.len());
        for number in numbers {
            stats.push((number, open.dir.stat(&file_name(number))?));
        }
        let mut bytes: u64 = stats.iter().map(|(_, stat)| stat.size).sum();
        let now = self.parts.host.now();
        let is_old = |mtime: SystemTime| {
            self.policy.keep_age.is_some_and(|age| now.duration_since(mtime).is_ok_and(|since| since > age))
        };
        let mut beyond = Vec::new();
        for (number, stat) in stats {
            if bytes <= self.policy.keep_bytes && !is_old(stat.mtime.to_system_time()) {
                break;
            }
            let name = file_name(number);
            let file = open.dir.open(&name, Access::Read)?;
            // What nobody can explain is not removed: it is what an inquiry begins with.
            let found = look(&*file, stat.size, open.key.as_ref(), false)?;
            let Some(last) = found.last.filter(|_| found.fault.is_none()) else { break };
            bytes = bytes.saturating_sub(stat.size);
            beyond.push(Old { name, bytes: stat.size, last });
        }
        Ok(beyond)
    }
}

/// A file that goes.
struct Old {
    name: OsString,
    bytes: u64,
    last: Link,
}

impl Resumed {
    fn nothing() -> Resumed {
        Resumed { newest: None, before: None, log: None, broken: None, number: None, notes: Vec::new() }
    }
}

/// An error after which records may be there, or not.
#[derive(Debug)]
struct InDoubt(io::Error);

impl std::fmt::Display for InDoubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for InDoubt {}

fn write_or_take_back(file: &dyn FsFile, bytes: &[u8], at: u64) -> io::Result<()> {
    let Err(e) = write_all_at(file, bytes, at) else { return Ok(()) };
    match file.set_len(at) {
        Ok(()) => Err(e),
        Err(_) => Err(io::Error::new(e.kind(), InDoubt(e))),
    }
}

/// Is the file as this process left it, and still there?
fn is_as_left(newest: &Newest) -> io::Result<bool> {
    let stat = newest.file.stat()?;
    Ok(stat.nlink > 0 && stat.size == newest.len && stat.id == newest.id)
}

/// Creates a file with this mode, whatever the umask says about the group.
fn create(dir: &dyn FsDir, name: &OsStr, mode: u32) -> io::Result<Box<dyn FsFile>> {
    let file = dir.create_new(name, mode)?;
    if mode & 0o060 != 0 {
        file.set_mode(mode)?;
    }
    Ok(file)
}

/// Removes a file, and what was cut off it. Best effort: it is told of already, and goes the next time.
fn remove(dir: &dyn FsDir, name: &OsStr) {
    let mut prefix = name.as_encoded_bytes().to_vec();
    prefix.extend_from_slice(TORN.as_bytes());
    let mut parts = Vec::new();
    let listed = dir.list(&mut |entry| {
        if entry.as_encoded_bytes().starts_with(&prefix) {
            parts.push(entry);
        }
        true
    });
    listed.ok();
    for part in parts {
        dir.remove(&part).ok();
    }
    dir.remove(name).ok();
}

/// The numbers of the files, in order.
pub(super) fn numbers(dir: &dyn FsDir) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    dir.list(&mut |name| {
        numbers.extend(number_of(&name));
        true
    })?;
    numbers.sort_unstable();
    Ok(numbers)
}

/// The folder of a workspace's log.
pub(super) fn folder_of(root: &Path) -> PathBuf {
    root.join(super::own_folder())
}
