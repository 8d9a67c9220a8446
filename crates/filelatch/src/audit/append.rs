//! The files of the log, under its lock: where the chain goes on, the next record, the next file, and which file goes.
//!
//! Everything here is done by who holds the lock of the folder. What is found irregular is looked at as [`scan`](super::scan) does.

use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use filelatch_fs::fs::write_all_at;
use filelatch_fs::{Access, FileId, FsDir, FsFile};

use super::key::Key;
use super::line::{Body, Link, append, append_as, file_name, number_of};
use super::log::Log;
use super::scan::{FORM, Fault, Head, first_line, look, read_from};

/// What a file's name ends with that holds what was cut off.
const TORN: &str = ".torn-";
/// Boot ids are shorter.
const BOOT: usize = 128;
/// Files without a record that are passed over to find the last one.
const LOOK_BACK: usize = 16;

#[derive(Debug)]
pub(super) struct Open {
    pub(super) dir: Arc<dyn FsDir>,
    pub(super) mode: u32,
    pub(super) lock: Box<dyn FsFile>,
    pub(super) key: Option<Key>,
    pub(super) newest: Option<Newest>,
}

/// The file that is written to, as this process left it.
#[derive(Debug)]
pub(super) struct Newest {
    pub(super) file: Box<dyn FsFile>,
    pub(super) id: FileId,
    pub(super) log: String,
    pub(super) len: u64,
    pub(super) last: Link,
    pub(super) is_closed: bool,
}

/// Where the chain goes on.
pub(super) struct Resumed {
    pub(super) newest: Option<Newest>,
    /// Of a new file: what it follows.
    pub(super) before: Option<Link>,
    pub(super) log: Option<String>,
    pub(super) broken: Option<u64>,
    /// Its number, where it is there already and empty.
    pub(super) number: Option<u64>,
    pub(super) notes: Vec<Body>,
}

impl Log {
    pub(super) fn append(&self, open: &mut Open, bodies: &[&Body]) -> io::Result<()> {
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
    pub(super) fn bring_up(&self, open: &mut Open) -> io::Result<Option<Resumed>> {
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
        // So that only the end of the newest file is ever missing after a power cut. (What failed to be synced may be missing all the same, and
        // then looks like damage.)
        newest.file.sync().ok();
        Ok(Resumed { before: Some(newest.last), log: Some(newest.log), ..Resumed::nothing() })
    }

    /// Begins a file: its first record, what is removed for it, and what is to be recorded, in one write.
    pub(super) fn begin(&self, open: &mut Open, new: &Resumed, bodies: &[&Body]) -> io::Result<()> {
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
        let older = &older[older.len().saturating_sub(LOOK_BACK)..];
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
pub(super) struct InDoubt(io::Error);

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
pub(super) fn create(dir: &dyn FsDir, name: &OsStr, mode: u32) -> io::Result<Box<dyn FsFile>> {
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
