//! Who holds a lock, by the system's word and the record's (LOCK-7).

use std::fmt;
use std::io;
use std::time::{Duration, SystemTime};

use filelatch_fs::real::LOCK_RECORD_OFFSET;
use filelatch_fs::{Access, FsFile, LockEntry, LockKind};

use super::held::{self, Recovery};
use super::record::{Found, RECORD_LIMIT, Record};
use super::records::{FIRST, RECORDS};
use super::sidecar::LockPath;
use super::stale::Verdict;
use crate::error::{Error, Result};
use crate::parts::{Parts, parse_rfc3339};
use crate::path::{Place, held_name};

/// A holder of a lock. What is not known is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Process id, as this process numbers it. The process may have ended and left the lock to programs that it started.
    pub pid: Option<u32>,
    /// Name of its program, if the system tells.
    pub program: Option<String>,
    /// What it is doing, in its own words.
    pub purpose: Option<String>,
    /// The session that it writes as.
    pub session: Option<String>,
    /// Its machine.
    pub host: Option<String>,
    /// Since when, to a second.
    pub since: Option<SystemTime>,
    /// Shared locks have many holders.
    pub shared: bool,
    /// It shares the file with others who lock records of it, and holds some of them or waits for one (P10).
    pub records: bool,
    /// The system confirmed that this process holds the lock. Otherwise it is what the record says, which may be old.
    pub confirmed: bool,
    /// How long, when this was found out.
    pub held_for: Option<Duration>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pid, self.purpose.as_ref().or(self.program.as_ref()), &self.session) {
            (Some(pid), Some(what), _) => write!(f, "pid {pid} ({what})")?,
            (Some(pid), None, _) => write!(f, "pid {pid}")?,
            // A lease need not belong to a process: a server grants it to whoever asked.
            (None, Some(what), Some(session)) => write!(f, "session {session} ({what})")?,
            (None, None, Some(session)) => write!(f, "session {session}")?,
            (None, _, None) if !self.confirmed => return f.write_str("a lock file whose record cannot be read"),
            (None, _, None) => f.write_str("a program that keeps no record")?,
        }
        if self.records {
            f.write_str(" with records of it")?;
        }
        if let Some(host) = &self.host {
            write!(f, " on {host}")?;
        }
        if let Some(time) = self.held_for {
            write!(f, " for {}", crate::error::seconds(time))?;
        }
        if !self.confirmed {
            f.write_str(" (by its record; the system cannot confirm it)")?;
        }
        Ok(())
    }
}

/// A file's lock as everybody sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockState {
    /// Who holds it; empty when it is free.
    pub holders: Vec<Holder>,
    /// How many wait, as far as the system tells.
    pub waiting: usize,
    /// How many records are locked, as far as the system tells. It does not say by which of the holders.
    pub records: usize,
}

/// A lock that was taken over from a dead holder (LOCK-10).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// The dead holder, by its record.
    pub from: Holder,
    /// What proves its death, as a clause: `its process is gone`.
    pub proof: String,
}

impl Recovered {
    pub(crate) fn of(parts: &Parts, recovery: &Recovery) -> Recovered {
        Recovered { from: from_record(parts, &recovery.from), proof: recovery.proof.to_string() }
    }
}

impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lock was taken over")?;
        if let Some(pid) = self.from.pid {
            write!(f, " from pid {pid}")?;
        }
        if let Some(host) = &self.from.host {
            write!(f, " on {host}")?;
        }
        write!(f, ": {}", self.proof)
    }
}

/// Asks the system who holds the lock. Takes no lock where the system has a table; elsewhere tries a shared and then an exclusive one
/// for a moment.
pub(crate) fn lock_state(parts: &Parts, place: &Place, lock: &LockPath) -> Result<LockState> {
    let mut state = flock_state(parts, place, lock)?;
    // A fallback lock, if there is one; its holder may have the whole-file lock as well.
    let name = held_name(&lock.name);
    let fail = |e| Error::io("examine the lock", place.dir.path().join(&name), e);
    if let Some(seen) = held::look(&*place.dir, &name).map_err(fail)? {
        let holder = match held::verdict_at_once(parts, place, &seen) {
            Verdict::Dead(_) => None,
            verdict => {
                let mut holder = seen.record.as_ref().map(|r| from_record(parts, r)).unwrap_or_default();
                holder.confirmed = verdict == Verdict::Alive;
                Some(holder)
            }
        };
        let known = |holder: &Holder| holder.pid.is_some() && state.holders.iter().any(|h| h.pid == holder.pid);
        if let Some(holder) = holder.filter(|holder| !known(holder)) {
            state.holders.push(holder);
        }
    }
    Ok(state)
}

fn flock_state(parts: &Parts, place: &Place, lock: &LockPath) -> Result<LockState> {
    let fail = |e| Error::io("examine the lock file", &lock.path, e);
    let file = match place.dir.open(&lock.name, Access::Read) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(LockState::default()),
        // Not readable (another owner's 0600): the table needs only its identity.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            let id = place.dir.stat(&lock.name).map_err(fail)?.id;
            let table = parts.fs.lock_table(id).map_err(fail)?.unwrap_or_default();
            return Ok(from_table(parts, &table, None));
        }
        Err(e) => return Err(fail(e)),
    };
    // The stat comes first: reads go by the length that it finds (see [`FsFile::stat`]).
    let id = file.stat().map_err(fail)?.id;
    let record = read_record(&*file).map_err(fail)?;
    match parts.fs.lock_table(id).map_err(fail)? {
        Some(table) => Ok(from_table(parts, &table, record.as_ref())),
        None => match by_probe(parts, &*file, record.as_ref()) {
            // No such locks here; then there is a fallback lock, or none at all.
            Err(e) if e.kind() == io::ErrorKind::Unsupported => Ok(LockState::default()),
            state => state.map_err(fail),
        },
    }
}

fn read_record(file: &dyn FsFile) -> io::Result<Option<Record>> {
    let mut head = [0; RECORD_LIMIT];
    let len = file.read_at(&mut head, LOCK_RECORD_OFFSET)?;
    Ok(match Record::find(&head[..len], len as u64) {
        Found::Record(record) => Some(*record),
        Found::Damaged | Found::Foreign => None,
    })
}

fn from_table(parts: &Parts, table: &filelatch_fs::LockTable, record: Option<&Record>) -> LockState {
    let facts = parts.facts();
    // Nobody else locks bytes there for writing, and nobody shares the whole file while records are locked.
    let is_record = |e: &&LockEntry| {
        let (start, kind) = (e.start, e.kind);
        e.range && !e.waiting && kind == LockKind::Exclusive && (FIRST..FIRST + RECORDS).contains(&start)
    };
    let records = table.entries.iter().filter(is_record).count();
    let holders = table.holders().map(|entry| {
        let exclusive = entry.kind == LockKind::Exclusive;
        // A record speaks for an exclusive holder of this machine and PID namespace.
        let record = record.filter(|r| {
            exclusive
                && entry.pid.is_some_and(|pid| r.pid == u64::from(pid))
                && r.pidns == facts.pid_ns
                && r.host == facts.host
        });
        let mut holder = record.map(|r| from_record(parts, r)).unwrap_or_default();
        holder.pid = entry.pid;
        holder.shared = !exclusive;
        holder.records = holder.shared && records > 0;
        holder.confirmed = true;
        holder.program = entry.pid.and_then(|pid| parts.host.program_of(pid));
        holder
    });
    LockState { holders: holders.collect(), waiting: table.entries.iter().filter(|e| e.waiting).count(), records }
}

/// No table (or one that can't show everybody): a shared lock is refused exactly while somebody holds an exclusive one, and
/// an exclusive one while anybody holds any.
fn by_probe(parts: &Parts, file: &dyn FsFile, record: Option<&Record>) -> io::Result<LockState> {
    let shared = file.try_lock(LockKind::Shared)?;
    if shared {
        file.unlock()?;
    }
    let free =
        shared && file.try_lock(LockKind::Exclusive).inspect(|had| drop(had.then(|| file.unlock()))).unwrap_or(true);
    if free {
        return Ok(LockState::default());
    }
    let holder = match record.filter(|r| r.pid != 0 && !shared) {
        Some(record) => from_record(parts, record),
        None => Holder { shared, confirmed: true, ..Holder::default() },
    };
    Ok(LockState { holders: vec![holder], ..LockState::default() })
}

fn from_record(parts: &Parts, record: &Record) -> Holder {
    let text = |s: &String| (!s.is_empty()).then(|| s.clone());
    let since = parse_rfc3339(&record.since);
    Holder {
        pid: u32::try_from(record.pid).ok().filter(|pid| *pid != 0),
        program: None,
        purpose: text(&record.purpose),
        session: text(&record.session),
        host: text(&record.host),
        since,
        shared: false,
        records: false,
        confirmed: false,
        held_for: since.and_then(|since| parts.host.now().duration_since(since).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LOCK-7: whoever is known is named, by the process or, where a lease belongs to none, by the session.
    #[test]
    fn names() {
        let nobody = Holder::default();
        let session = |purpose: Option<&str>| Holder {
            session: Some("ci".to_owned()),
            purpose: purpose.map(str::to_owned),
            confirmed: true,
            ..Holder::default()
        };
        assert_eq!(nobody.to_string(), "a lock file whose record cannot be read");
        assert_eq!(Holder { confirmed: true, ..nobody }.to_string(), "a program that keeps no record");
        assert_eq!(session(None).to_string(), "session ci");
        assert_eq!(session(Some("deploy")).to_string(), "session ci (deploy)");
        let process = Holder { pid: Some(7), ..session(Some("deploy")) };
        assert_eq!(process.to_string(), "pid 7 (deploy)");
    }
}
