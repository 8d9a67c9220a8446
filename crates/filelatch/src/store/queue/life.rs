//! Signs of life: files that are locked as long as a runner lives, or a command that it started (P14).
//!
//! # Promise
//! - The kernel holds the lock, and frees it when the last process that has the open file is gone, however it went. From then on the claim
//!   is over, at once.
//! - A number is drawn once and never used again: who is dead stays dead.
//!
//! # Non-promise
//! - Where there are no locks, or they are known to end at one machine although others reach the file, there are no signs of life, and
//!   claims end by their leases.
//! - A sign that somebody has removed says nothing: the lease decides.
//!
//! # How
//! The sign is an empty file beside the queue, `.NAME.<number>.lock`, locked exclusively (flock(2), `LockFileEx`). Whoever wants to know
//! asks for a shared lock, and gives it back: several can ask at once without taking each other for the runner. The name looks like
//! that of other lock files, so that watches, git and `status` treat it as one.
//!
//! # Order of operations
//! Created → locked → is it still the file of that name? → named in a claim. It is removed when no claim names it any more: by its
//! runner, by whoever took its command over, or by the next runner that starts.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};

use filelatch_fs::{Access, FsDir, FsFile, FsKind, LockKind};

use super::decide::{Life, Now};
use super::state::Hold;
use crate::lock::locality::local_locks;
use crate::lock::resource::locked;
use crate::parts::Parts;
use crate::path::{Place, life_name, life_of};

/// Names that are tried.
const TRIES: usize = 8;
/// Open files of others that are kept for the next question.
const KNOWN: usize = 256;
/// Threads that wait in the kernel for somebody's end.
const WATCHERS: usize = 16;
/// Their stack: a system call and little else.
const STACK: usize = 64 << 10;

/// The signs of life of one queue, as this process has and sees them.
#[derive(Debug)]
pub(crate) struct Lives {
    parts: Arc<Parts>,
    dir: Arc<dyn FsDir>,
    name: OsString,
    /// Locks here exclude everybody who can reach the queue.
    usable: bool,
    known: Mutex<HashMap<u64, Seen>>,
    /// Own ones without a claim.
    idle: Mutex<Vec<Sign>>,
    watched: Mutex<Vec<u64>>,
}

#[derive(Debug)]
enum Seen {
    Open(Box<dyn FsFile>),
    Dead,
}

/// An own sign of life. Dropped, it is over; the file stays for others to see that.
#[derive(Debug)]
pub(crate) struct Sign {
    pub(crate) number: u64,
    file: Box<dyn FsFile>,
    /// Programs that were started have it, too.
    handed_on: bool,
}

impl Lives {
    pub(crate) fn new(parts: Arc<Parts>, place: &Place) -> Lives {
        let dir = Arc::clone(&place.dir);
        let mount = dir.mount().ok().flatten().unwrap_or_default();
        let usable = local_locks(&mount, dir.caps()).is_none();
        let (known, idle, watched) = (Mutex::default(), Mutex::default(), Mutex::default());
        Lives { parts, dir, name: place.name.clone(), usable, known, idle, watched }
    }

    /// A sign that no claim names. `None`: there are none here.
    pub(crate) fn take(&self) -> io::Result<Option<Sign>> {
        if !self.usable {
            return Ok(None);
        }
        let idle = locked(&self.idle).pop();
        match idle {
            Some(sign) => Ok(Some(sign)),
            None => self.create(),
        }
    }

    fn create(&self) -> io::Result<Option<Sign>> {
        // Whoever may read the queue may ask.
        let mode = self.dir.stat(&self.name).map_or(0o600, |queue| 0o600 | queue.mode & 0o444);
        for _ in 0..TRIES {
            let number = self.parts.host.random();
            let name = life_name(&self.name, number);
            let file = match self.dir.create_new(&name, mode) {
                Ok(file) => file,
                Err(e) if e.kind() == ErrorKind::AlreadyExists => continue,
                Err(e) => return Err(e),
            };
            match file.try_lock(LockKind::Exclusive) {
                Ok(true) => {}
                // Somebody who clears up took it for a dead one's.
                Ok(false) => continue,
                Err(e) => {
                    self.dir.remove(&name).ok();
                    return if e.kind() == ErrorKind::Unsupported { Ok(None) } else { Err(e) };
                }
            }
            let own = file.stat()?.id;
            if self.dir.stat(&name).is_ok_and(|found| found.id == own) {
                return Ok(Some(Sign { number, file, handed_on: false }));
            }
        }
        Err(ErrorKind::ResourceBusy.into())
    }

    /// Back from a claim that has come to its end.
    pub(crate) fn put_back(&self, sign: Sign) {
        if sign.handed_on {
            // What the command left running would pass for the next one.
            self.remove(sign.number);
        } else {
            locked(&self.idle).push(sign);
        }
    }

    /// Removes the file of a sign that no claim names. One that stays harms nobody.
    pub(crate) fn remove(&self, number: u64) {
        locked(&self.known).remove(&number);
        self.dir.remove(&life_name(&self.name, number)).ok();
    }

    /// Does whoever has this claim live?
    pub(crate) fn judge(&self, hold: &Hold, now: Now) -> Life {
        let (Some(number), true) = (hold.life, self.usable) else { return Life::Unknown };
        let mut known = locked(&self.known);
        let file = match known.remove(&number) {
            Some(Seen::Dead) => {
                known.insert(number, Seen::Dead);
                return Life::Dead;
            }
            Some(Seen::Open(file)) => file,
            None => match self.dir.open(&life_name(&self.name, number), Access::Read) {
                Ok(file) => file,
                // A power cut has taken it along with the runner. What another machine has, it would not.
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    let gone = hold.boot != now.boot && self.dir.caps().kind == FsKind::Local;
                    return if gone { Life::Dead } else { Life::Unknown };
                }
                Err(_) => return Life::Unknown,
            },
        };
        if known.len() >= KNOWN {
            known.clear();
        }
        match file.try_lock(LockKind::Shared) {
            Ok(true) => {
                // The lock ends with the file.
                drop(file);
                known.insert(number, Seen::Dead);
                Life::Dead
            }
            Ok(false) => {
                known.insert(number, Seen::Open(file));
                Life::Alive
            }
            Err(_) => Life::Unknown,
        }
    }

    /// Has `wake` called when whoever has this sign is gone, by a thread that waits in the kernel. False: there are too many of them, or
    /// none can be started, and somebody has to look again.
    pub(crate) fn watch(self: &Arc<Self>, number: u64, wake: impl FnOnce() + Send + 'static) -> bool {
        let mut watched = locked(&self.watched);
        if watched.contains(&number) {
            return true;
        }
        if !self.usable || watched.len() >= WATCHERS {
            return false;
        }
        let Ok(file) = self.dir.open(&life_name(&self.name, number), Access::Read) else { return false };
        let lives = Arc::clone(self);
        let wait = move || {
            // After an error the lease decides.
            file.lock(LockKind::Shared).ok();
            drop(file);
            locked(&lives.watched).retain(|other| *other != number);
            wake();
        };
        let started = self.parts.host.spawn("filelatch-life", STACK, Box::new(wait)).is_ok();
        if started {
            watched.push(number);
        }
        started
    }

    /// Removes what killed runners left that had no claim. `is_named` is asked once it is sure that they are dead.
    pub(crate) fn sweep(&self, is_named: impl FnOnce(&[u64]) -> Vec<u64>) {
        if !self.usable {
            return;
        }
        let mut found = Vec::new();
        let mut each = |entry: OsString| {
            found.extend(life_of(&entry, &self.name));
            true
        };
        if self.dir.list(&mut each).is_err() {
            return;
        }
        // Held until they are gone: whoever has just created one finds out, and takes another.
        let dead = |number: &u64| {
            let file = self.dir.open(&life_name(&self.name, *number), Access::Read).ok()?;
            file.try_lock(LockKind::Shared).is_ok_and(|free| free).then_some((*number, file))
        };
        let dead: Vec<_> = found.iter().filter_map(dead).collect();
        if dead.is_empty() {
            return;
        }
        let numbers: Vec<_> = dead.iter().map(|(number, _)| *number).collect();
        let named = is_named(&numbers);
        for number in numbers.iter().filter(|number| !named.contains(number)) {
            self.dir.remove(&life_name(&self.name, *number)).ok();
        }
    }

    /// No more claims of this process.
    pub(crate) fn close(&self) {
        for sign in std::mem::take(&mut *locked(&self.idle)) {
            self.dir.remove(&life_name(&self.name, sign.number)).ok();
        }
    }
}

impl Sign {
    pub(crate) fn is_handed_on(&self) -> bool {
        self.handed_on
    }

    /// Programs that `start` starts live for this sign, too.
    pub(crate) fn hand_on<R>(&mut self, start: impl FnOnce() -> R) -> io::Result<R> {
        self.handed_on = true;
        self.file.make_inheritable()?;
        let started = start();
        // If it does not end, what is started next has it, too: the claim may seem to be alive for longer than it is.
        self.file.end_inheritance().ok();
        Ok(started)
    }
}
