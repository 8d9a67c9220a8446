//! The fallback lock: a file whose existence is the lock, for file systems without whole-file locks (P4, LOCK-3).
//!
//! # Promise
//! - `.name.lock.held` appears complete, by link(2), and exists once: whoever made it is the holder. On file systems that keep
//!   link(2) atomic (L18) that includes other machines.
//! - It is taken over only from a holder that is proved dead, or, on another machine, silent for as long as its record allows
//!   ([`stale`](super::stale)); of any number that try at once, one succeeds (LOCK-10).
//! - It is removed by its owner only, after a look (LOCK-11).
//!
//! # Non-promise
//! A shared lock is exclusive among processes here; readers share it inside one process. Heirs of a holder (`run`) do not keep it.
//! A holder of another machine that was silent for too long and comes back is refused at its next publish, but not stopped.
//!
//! # Invariants
//! - Each tenure has a number of its own (`id`) that never comes again.
//! - **The right to remove or replace the lock `X` is itself a file that can be made only once: `.name.lock.held.X`.** The owner makes
//!   it to release, whoever finds the owner dead to take over. After making it one looks again whether the lock is still `X`; from
//!   then on nobody else can change it.
//! - Whoever dies with a right leaves it to be had the same way: the right over a dead taker `W` (`.name.lock.held.W`) includes
//!   the right over what `W` had the right over.
//! - Rights of the dead are removed only by who has taken the lock over: then nobody can be misled by their absence.
//!
//! # Order of operations
//! Taking: candidate written and synced under a temporary name → link → done. Taking over: judge → right → look again → the candidate is
//! renamed over the dead lock, so there is no moment without one → rights of the dead removed. Releasing: right → look → lock removed →
//! right removed. Cut anywhere, what is left is a lock or a right of a dead process.

use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use filelatch_fs::{Access, FsDir, FsFile, FsKind, LockKind};

use super::heart::Heart;
use super::record::{Found, NEWEST, RECORD_LIMIT, Record};
use super::resource::locked;
use super::sidecar::{another_has, share_with_writers_of};
use super::stale::{Proof, Verdict, View, judge};
use crate::parts::{Parts, rfc3339};
use crate::path::{Place, held_name, is_right_over, is_temp_of, right_name, temp_name};

/// For so long a heartbeat may stop.
pub(crate) const LEASE: Duration = Duration::from_secs(30);
/// A look that comes later than this after the last one can't tell silence from its own absence (L10).
const GAP: Duration = Duration::from_secs(10);
/// Rounds of a try in which the lock changes hands under it.
const ROUNDS: usize = 100;
/// Refused links, each with nobody there, that count as an error.
const REFUSALS: usize = 10;
/// Takers that may have died one after the other, each while taking over from the one before.
const DEATHS: usize = 16;
/// Digits of the heartbeat, with the end of its line.
const BEAT: usize = 21;

/// The fallback lock of one file, as one open lock file of this process uses it.
#[derive(Debug)]
pub(crate) struct Fallback {
    parts: Arc<Parts>,
    place: Place,
    lock: OsString,
    held: OsString,
    heart: Arc<Heart>,
    born_in: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Arc<HeldFile>>,
    /// Made for a wait that goes on.
    candidate: Option<Candidate>,
    watched: Vec<Watched>,
    recovery: Option<Recovery>,
}

/// A lock that was taken over: its holder was proved dead (LOCK-10).
#[derive(Clone, Debug)]
pub(crate) struct Recovery {
    pub(crate) from: Record,
    pub(crate) proof: Proof,
}

/// The lock, while this process has it.
#[derive(Debug)]
pub(crate) struct HeldFile {
    dir: Arc<dyn FsDir>,
    name: OsString,
    file: Box<dyn FsFile>,
    record: Record,
    beat_at: u64,
    beats: AtomicU64,
    lost: AtomicBool,
}

/// A lock file in waiting, under a temporary name.
#[derive(Debug)]
struct Candidate {
    name: OsString,
    file: Box<dyn FsFile>,
    record: Record,
    beat_at: u64,
}

/// A heartbeat as it was last seen.
#[derive(Debug)]
struct Watched {
    id: String,
    beat: Vec<u8>,
    since: Duration,
    last: Duration,
}

/// A lock or a right, as found.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) record: Option<Record>,
    beat: Vec<u8>,
}

enum Right {
    /// Over all of these tenures; by this file, and those of the dead.
    Had {
        over: Vec<String>,
        mine: OsString,
        of_the_dead: Vec<OsString>,
    },
    Refused,
}

/// Reads a lock or a right. `None`: there is none.
pub(crate) fn look(dir: &dyn FsDir, name: &OsStr) -> io::Result<Option<Seen>> {
    let file = match dir.open(name, Access::Read) {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::StaleNetworkFileHandle) => {
            return Ok(None);
        }
        // Another owner's: it is there, and more can't be told.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            return Ok(Some(Seen { record: None, beat: Vec::new() }));
        }
        Err(e) => {
            let foreign = dir.stat(name).is_ok_and(|stat| !stat.is_file());
            return Err(if foreign { not_ours(name) } else { e });
        }
    };
    let bytes = match content_of(&*file) {
        Ok(bytes) => bytes,
        // File servers that know files by name only (SFTP): removed since it was opened.
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::StaleNetworkFileHandle) => {
            return Ok(None);
        }
        Err(_) if file.stat().is_ok_and(|stat| !stat.is_file()) => return Err(not_ours(name)),
        Err(e) => return Err(e),
    };
    let (record, beat) = read(bytes);
    Ok(Some(Seen { record, beat }))
}

fn not_ours(name: &OsStr) -> io::Error {
    let name = name.display();
    io::Error::other(format!(
        "`{name}` beside it is not a regular file; look at it and move it away if it is not needed"
    ))
}

fn content_of(file: &dyn FsFile) -> io::Result<Vec<u8>> {
    // Before the bytes: reads go by the length that it finds (see `FsFile::stat`).
    if !file.stat()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = vec![0; RECORD_LIMIT + BEAT];
    let mut len = 0;
    while len < bytes.len() {
        match file.read_at(&mut bytes[len..], len as u64)? {
            0 => break,
            n => len += n,
        }
    }
    bytes.truncate(len);
    Ok(bytes)
}

/// The record in the head of a lock or right, if it is one, and the heartbeat behind it.
pub(crate) fn read(mut bytes: Vec<u8>) -> (Option<Record>, Vec<u8>) {
    let end = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |end| end + 1);
    let record = match Record::find(&bytes[..end], end as u64) {
        Found::Record(record) if is_id(&record.id) => Some(*record),
        _ => None,
    };
    let beat = bytes.split_off(end);
    (record, beat)
}

/// What a new lock or right holds, and where its heartbeat is. The line has room to be marked as given back: a late beat must not write
/// into it.
pub(crate) fn written(record: &Record) -> (Vec<u8>, u64) {
    let mut bytes = record.line(given_back(record, 0).len());
    let beat_at = bytes.len() as u64;
    bytes.extend(beat_line(0));
    (bytes, beat_at)
}

/// What is known when a link was refused and nobody is there: somebody was. SFTP has one number for all that went wrong (sshfs makes
/// `EPERM` of it), so any error may mean that, until it has come so often that nobody can have been so quick.
fn note_refusal(linked: io::Result<()>, refusals: &mut usize) -> io::Result<()> {
    match linked {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            *refusals += 1;
            if *refusals < REFUSALS { Ok(()) } else { Err(e) }
        }
        _ => Ok(()),
    }
}

/// Does the name stand for this tenure? Asked of the content: not every file server has numbers for its files that can be compared.
fn stands_for(dir: &dyn FsDir, name: &OsStr, id: &str) -> io::Result<bool> {
    Ok(look(dir, name)?.and_then(|seen| seen.record).is_some_and(|record| record.id == id))
}

/// What can be told of a holder by one look, without having its locks.
pub(crate) fn verdict_at_once(parts: &Parts, place: &Place, seen: &Seen) -> Verdict {
    let me = parts.facts();
    let view = View { me: &me, kind: place.dir.caps().kind, silent_for: Duration::ZERO, flock: 0 };
    judge(seen.record.as_ref(), &view, |pid| parts.host.start_of(pid))
}

/// Ids become parts of file names.
fn is_id(id: &str) -> bool {
    id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit())
}

impl Fallback {
    pub(crate) fn new(parts: &Arc<Parts>, place: &Place, lock: &OsStr, heart: &Arc<Heart>) -> Fallback {
        Fallback {
            parts: Arc::clone(parts),
            place: place.clone(),
            lock: lock.to_owned(),
            held: held_name(lock),
            heart: Arc::clone(heart),
            born_in: parts.host.pid(),
            state: Mutex::default(),
        }
    }

    fn dir(&self) -> &dyn FsDir {
        &*self.place.dir
    }

    /// Waits for about so long: a random part of it is left out, so that waiters do not keep step.
    pub(crate) fn pause(&self, time: Duration) {
        let part = u32::try_from(self.parts.host.random() % 512).unwrap_or_default();
        self.parts.host.sleep(time.saturating_sub(time * part / 1024));
    }

    /// Could another open file have the whole-file lock now?
    pub(crate) fn another_has(&self, kind: LockKind) -> io::Result<bool> {
        another_has(self.dir(), &self.lock, kind)
    }

    /// Takes the lock if it is free, or its holder is proved dead. `flock`: inode of the lock file whose whole-file lock this
    /// process has, 0 if none; `alone`: it has it exclusively, and such locks are no lie.
    ///
    /// A candidate that was of no use is kept for the next try, until [`Fallback::give_up`].
    pub(crate) fn try_take(&self, flock: u64, alone: &dyn Fn() -> bool) -> io::Result<bool> {
        let mut state = locked(&self.state);
        let taken = self.take(&mut state, flock, alone);
        if taken.is_err()
            && let Some(candidate) = state.candidate.take()
        {
            // Nobody knows whether it has become the lock, or a right: it must not look held while this process lives.
            say_released(&*candidate.file, &candidate.record, candidate.beat_at).ok();
            self.dir().remove(&candidate.name).ok();
        }
        taken
    }

    fn take(&self, state: &mut State, flock: u64, alone: &dyn Fn() -> bool) -> io::Result<bool> {
        let mut refusals = 0;
        for _ in 0..ROUNDS {
            let Some(seen) = look(self.dir(), &self.held)? else {
                let candidate = self.candidate(state, flock)?;
                let linked = self.dir().link(&candidate.name, &self.held);
                if stands_for(self.dir(), &self.held, &candidate.record.id)? {
                    self.dir().remove(&candidate.name).ok();
                    return self.taken(state, None);
                }
                note_refusal(linked, &mut refusals)?;
                continue;
            };
            let Verdict::Dead(proof) = self.verdict(state, &seen, flock, alone) else { return Ok(false) };
            let Some(dead) = seen.record else { return Ok(false) };
            let id = self.candidate(state, flock)?.record.id.clone();
            let Right::Had { over, mine, of_the_dead } = self.right_over(state, &dead.id, flock, alone)? else {
                return Ok(false);
            };
            if self.replace(state, &over).inspect_err(|_| drop(self.dir().remove(&mine)))? {
                for name in of_the_dead.iter().chain([&mine]) {
                    self.dir().remove(name).ok();
                }
                let taken = self.taken(state, Some(Recovery { from: dead, proof }))?;
                // Where one has died others may have; what can't be removed harms nobody.
                self.tidy(&id).ok();
                return Ok(taken);
            }
            self.dir().remove(&mine)?;
        }
        Ok(false)
    }

    /// Puts the candidate in the place of the lock, if that is still one of those over which the right was had.
    fn replace(&self, state: &State, over: &[String]) -> io::Result<bool> {
        let Some(candidate) = &state.candidate else { return Ok(false) };
        let now = look(self.dir(), &self.held)?;
        let still = now.and_then(|seen| seen.record).is_some_and(|record| over.contains(&record.id));
        if !still {
            return Ok(false);
        }
        let renamed = self.dir().rename(&candidate.name, &self.held);
        // A rename may have happened and report an error (L29).
        let there = stands_for(self.dir(), &self.held, &candidate.record.id)?;
        if there { Ok(true) } else { renamed.map(|()| false) }
    }

    /// Removes what the dead have left beside the lock: rights over tenures that are over, and candidates. Only for the holder, `id`; a
    /// right over that one means something to who has followed it.
    fn tidy(&self, id: &str) -> io::Result<()> {
        let over_us = right_name(&self.held, id);
        let mut names = Vec::new();
        self.dir().list(&mut |name| {
            if name != over_us && is_right_over(&name, &self.held) || is_temp_of(&name, &self.held) {
                names.push(name);
            }
            true
        })?;
        for name in names {
            let Some(seen) = look(self.dir(), &name)? else { continue };
            if let Verdict::Dead(_) = verdict_at_once(&self.parts, &self.place, &seen) {
                self.dir().remove(&name)?;
            }
        }
        Ok(())
    }

    /// The lock is ours.
    fn taken(&self, state: &mut State, recovery: Option<Recovery>) -> io::Result<bool> {
        let Some(Candidate { file, record, beat_at, .. }) = state.candidate.take() else { return Ok(false) };
        let dir = Arc::clone(&self.place.dir);
        let (beats, lost) = (AtomicU64::new(0), AtomicBool::new(false));
        let held = Arc::new(HeldFile { dir, name: self.held.clone(), file, record, beat_at, beats, lost });
        state.watched.clear();
        state.recovery = recovery;
        state.held = Some(Arc::clone(&held));
        if held.record.lease != 0
            && let Err(e) = self.heart.keep(&held)
        {
            self.release_held(state)?;
            return Err(e);
        }
        Ok(true)
    }

    /// What became of the last holder, once.
    pub(crate) fn recovery(&self) -> Option<Recovery> {
        locked(&self.state).recovery.take()
    }

    /// Makes a right over the tenure `id`, following those who died with one.
    fn right_over(&self, state: &mut State, id: &str, flock: u64, alone: &dyn Fn() -> bool) -> io::Result<Right> {
        let Some((from, me)) = state.candidate.as_ref().map(|c| (c.name.clone(), c.record.id.clone())) else {
            return Ok(Right::Refused);
        };
        let (mut key, mut over, mut of_the_dead) = (id.to_owned(), vec![id.to_owned()], Vec::new());
        let mut refusals = 0;
        for _ in 0..ROUNDS {
            let mine = right_name(&self.held, &key);
            let linked = self.dir().link(&from, &mine);
            let Some(seen) = look(self.dir(), &mine)? else {
                note_refusal(linked, &mut refusals)?;
                continue;
            };
            if seen.record.as_ref().is_some_and(|record| record.id == me) {
                return Ok(Right::Had { over, mine, of_the_dead });
            }
            let Verdict::Dead(_) = self.verdict(state, &seen, flock, alone) else { return Ok(Right::Refused) };
            let Some(dead) = seen.record else { return Ok(Right::Refused) };
            // A holder that died while it released has the right over itself; the next one needs another name.
            key = if over.contains(&dead.id) { format!("{}r", dead.id) } else { dead.id.clone() };
            if over.len() > DEATHS || of_the_dead.contains(&right_name(&self.held, &key)) {
                return Ok(Right::Refused);
            }
            over.push(dead.id);
            of_the_dead.push(mine);
        }
        Ok(Right::Refused)
    }

    fn verdict(&self, state: &mut State, seen: &Seen, flock: u64, alone: &dyn Fn() -> bool) -> Verdict {
        let me = self.parts.facts();
        let silent_for = seen.record.as_ref().map_or(Duration::ZERO, |record| self.watch(state, record, &seen.beat));
        // Only worth asking where the process can't be looked for.
        let elsewhere = seen.record.as_ref().is_some_and(|record| record.flock == flock && record.pidns != me.pid_ns);
        let flock = if elsewhere && alone() { flock } else { 0 };
        let view = View { me: &me, kind: self.dir().caps().kind, silent_for, flock };
        judge(seen.record.as_ref(), &view, |pid| self.parts.host.start_of(pid))
    }

    /// For how long the heartbeat has not changed, as far as this process has looked.
    fn watch(&self, state: &mut State, record: &Record, beat: &[u8]) -> Duration {
        let now = self.parts.host.monotonic();
        match state.watched.iter_mut().find(|watched| watched.id == record.id) {
            Some(watched) if watched.beat == beat && now.saturating_sub(watched.last) < GAP => {
                watched.last = now;
                now.saturating_sub(watched.since)
            }
            Some(watched) => {
                (watched.since, watched.last, watched.beat) = (now, now, beat.to_owned());
                Duration::ZERO
            }
            None => {
                state.watched.truncate(DEATHS);
                let (id, beat) = (record.id.clone(), beat.to_owned());
                state.watched.insert(0, Watched { id, beat, since: now, last: now });
                Duration::ZERO
            }
        }
    }

    fn candidate<'a>(&self, state: &'a mut State, flock: u64) -> io::Result<&'a Candidate> {
        let candidate = match state.candidate.take() {
            Some(kept) if kept.record.flock == flock => kept,
            outdated => {
                if let Some(outdated) = outdated {
                    self.dir().remove(&outdated.name)?;
                }
                self.make_candidate(flock)?
            }
        };
        Ok(state.candidate.insert(candidate))
    }

    fn make_candidate(&self, flock: u64) -> io::Result<Candidate> {
        let (parts, dir) = (&self.parts, self.dir());
        // On a disk of this machine nobody needs a heartbeat.
        let lease = if dir.caps().kind == FsKind::Local { Duration::ZERO } else { LEASE };
        let facts = parts.facts();
        let record = Record {
            v: NEWEST,
            mode: "file".to_owned(),
            pid: facts.pid.into(),
            pidns: facts.pid_ns,
            start: facts.start,
            boot: facts.boot,
            host: facts.host,
            session: parts.session.clone(),
            purpose: parts.purpose.clone(),
            since: rfc3339(parts.host.now()),
            id: format!("{:016x}", parts.host.random()),
            flock,
            lease: u64::try_from(lease.as_millis()).unwrap_or(u64::MAX),
            ..Record::default()
        };
        let (bytes, beat_at) = written(&record);
        let name = temp_name(&self.held, parts.host.pid(), parts.host.random());
        let file = dir.create_new(&name, 0o600)?;
        let written = (|| {
            filelatch_fs::fs::write_all_at(&*file, &bytes, 0)?;
            share_with_writers_of(dir.stat(&self.place.name).ok(), &*file)?;
            // A lock that a power cut leaves empty would be nobody's, and would stay.
            file.sync()
        })();
        match written {
            Ok(()) => Ok(Candidate { name, file, record, beat_at }),
            Err(e) => {
                drop(file);
                dir.remove(&name).ok();
                Err(e)
            }
        }
    }

    /// Ends a wait: what was made for it goes.
    pub(crate) fn give_up(&self) {
        if let Some(candidate) = locked(&self.state).candidate.take() {
            self.dir().remove(&candidate.name).ok();
        }
    }

    /// Gives the lock back, if it is still ours.
    pub(crate) fn release(&self) -> io::Result<()> {
        self.release_held(&mut locked(&self.state))
    }

    fn release_held(&self, state: &mut State) -> io::Result<()> {
        let Some(held) = state.held.take() else { return Ok(()) };
        let right = right_name(&self.held, &held.record.id);
        let linked = self.dir().link(&self.held, &right);
        let stands = |name: &OsStr| stands_for(self.dir(), name, &held.record.id);
        match (stands(&right), linked) {
            (Ok(true), _) => {
                let removed = match stands(&self.held) {
                    Ok(true) => self.dir().remove(&self.held),
                    Ok(false) => Ok(()),
                    Err(e) => Err(e),
                };
                // What can't be removed must not look held while this process lives.
                let gone = removed.is_ok() || matches!(stands(&self.held), Ok(false));
                let said = if gone { Ok(()) } else { held.say_released() };
                self.dir().remove(&right).ok();
                said
            }
            // Another lock has the name: it has been taken over, and the right is over nothing.
            (Ok(false), Ok(())) => self.dir().remove(&right),
            (Ok(false), Err(e)) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            // Being taken over. Should that come to nothing, it must not look held while this process lives.
            (Ok(false), Err(e)) if e.kind() == io::ErrorKind::AlreadyExists => {
                held.say_released().ok();
                Ok(())
            }
            // No right can be made, or nobody knows whose it is: the record, which is ours whatever its name, says it.
            (Ok(false), Err(_)) | (Err(_), _) => held.say_released(),
        }
    }

    /// Is the lock still ours? It may have been taken over while this machine was silent.
    pub(crate) fn is_held(&self) -> io::Result<bool> {
        let held = locked(&self.state).held.clone();
        held.map_or(Ok(false), |held| held.is_there())
    }

    /// Has it been found to be lost?
    pub(crate) fn is_lost(&self) -> bool {
        locked(&self.state).held.as_ref().is_some_and(|held| held.lost.load(Ordering::Relaxed))
    }
}

impl Drop for Fallback {
    fn drop(&mut self) {
        // In a forked child it is the parent's.
        if self.parts.host.pid() == self.born_in {
            self.give_up();
            self.release().ok();
        }
    }
}

impl HeldFile {
    /// One beat, and a look. A beat that fails is not a loss (L12).
    pub(crate) fn beat(&self) {
        let beats = self.beats.fetch_add(1, Ordering::Relaxed) + 1;
        filelatch_fs::fs::write_all_at(&*self.file, &beat_line(beats), self.beat_at).ok();
        self.is_there().ok();
    }

    /// Does the lock's name still stand for our tenure? Opened anew, because a network file system may answer from memory
    /// otherwise (L45).
    fn is_there(&self) -> io::Result<bool> {
        let there = stands_for(&*self.dir, &self.name, &self.record.id)?;
        if !there {
            self.lost.store(true, Ordering::Relaxed);
        }
        Ok(there)
    }

    fn say_released(&self) -> io::Result<()> {
        say_released(&*self.file, &self.record, self.beat_at)
    }
}

/// Marks a lock or right as given back: whoever wants it need not wait for this process to end.
fn say_released(file: &dyn FsFile, record: &Record, len: u64) -> io::Result<()> {
    filelatch_fs::fs::write_all_at(file, &given_back(record, len), 0)
}

/// What is written over the first `len` bytes, which are the record's.
pub(crate) fn given_back(record: &Record, len: u64) -> Vec<u8> {
    let record = Record { released: true, ..record.clone() };
    record.line(usize::try_from(len).unwrap_or_default())
}

fn beat_line(beats: u64) -> Vec<u8> {
    format!("{beats:020}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use filelatch_fs::{Fs, RealFs};

    use super::*;

    /// LOCK-10 (P4): a heart that was just about to beat when the lock was given back, or a later one, does not make the mark unreadable,
    /// however long the record is.
    #[test]
    fn a_late_beat_spares_the_mark() {
        let temp = tempfile::tempdir().unwrap();
        let dir = RealFs.open_dir(temp.path()).unwrap();
        for text in (0..RECORD_LIMIT).step_by(7) {
            let (id, session) = ("00000000000000aa".to_owned(), "s".repeat(text));
            let record = Record { v: NEWEST, pid: 77, id, session, ..Record::default() };
            let name = OsString::from(format!("{text}"));
            let file = dir.create_new(&name, 0o600).unwrap();
            let (bytes, beat_at) = written(&record);
            filelatch_fs::fs::write_all_at(&*file, &bytes, 0).unwrap();
            say_released(&*file, &record, beat_at).unwrap();
            filelatch_fs::fs::write_all_at(&*file, &beat_line(7), beat_at).unwrap();
            let seen = look(&*dir, &name).unwrap().unwrap();
            assert!(seen.record.is_some_and(|record| record.released), "{text}");
            assert_eq!(seen.beat, beat_line(7), "{text}");
        }
    }
}
