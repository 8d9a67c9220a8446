//! Who waits for a lease, in which order.
//!
//! The library has no queue for leases: whoever asks when one is over gets it. Agents ask, are refused, do something else and ask again; so
//! that the one who asked first is next, places are noted.
//!
//! # Promise
//! - First come, first served among the sessions that ask through servers like this one: of the root's workspace all, without a workspace those of
//!   this process.
//! - A place is kept while its session waits, and after a refusal for [`GRACE`] beyond the time that it was told to come back in. A session has
//!   one place for a file. A killed server's places end by themselves.
//!
//! # Non-promise
//! Places are no locks: whoever takes leases by other ways (`filelatch run --max-hold`, the HTTP API) does not stand in line. If the line can't
//! be read or written, nobody has a place, and the lease goes to whoever comes when it is over.
//!
//! # Order of operations
//! place noted → lease asked for, if nobody is before → place given up: when it is had, and when its client calls the wait off.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use filelatch::store::OwnStore;
use filelatch::{Durability, Error, LatchFile, LockOptions, Wait, WriteOptions};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::work::Call;

/// How long a place is kept beyond the time in which its session was told to come back.
pub(crate) const GRACE: Duration = Duration::from_secs(15);
/// Places in one line; who comes later has none.
const MOST: usize = 256;
/// Files with lines in memory.
const FILES: usize = 4096;

/// Lines of this process, where there is no workspace.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    here: Mutex<HashMap<PathBuf, Line>>,
}

/// One file's line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    #[serde(default)]
    waiters: Vec<Waiter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Waiter {
    session: String,
    /// Milliseconds since the epoch.
    until: u64,
}

impl Line {
    /// Takes or keeps a place until then; counted from 0. `None`: the line is full.
    fn stand(&mut self, session: &str, now: u64, until: u64) -> Option<usize> {
        self.tidy(now);
        if let Some(at) = self.waiters.iter().position(|waiter| waiter.session == session) {
            self.waiters[at].until = until;
            return Some(at);
        }
        if self.waiters.len() >= MOST {
            return None;
        }
        self.waiters.push(Waiter { session: session.to_owned(), until });
        Some(self.waiters.len() - 1)
    }

    fn leave(&mut self, session: &str, now: u64) {
        self.tidy(now);
        self.waiters.retain(|waiter| waiter.session != session);
    }

    fn tidy(&mut self, now: u64) {
        // A clock that was set back must not keep a place for ever.
        let latest = now + 24 * 3600 * 1000;
        self.waiters.retain(|waiter| (now..=latest).contains(&waiter.until));
    }
}

/// What is done to a line.
#[derive(Clone, Copy)]
enum Step {
    Stand(Duration),
    Leave,
    Look,
}

/// Takes or keeps the place of the call's session for so long, and answers how many stand before it. `None`: it has none.
pub(crate) fn stand(call: &Call, file: &LatchFile, keep: Duration) -> Option<usize> {
    step(call, file, Step::Stand(keep))
}

/// Gives the place up.
pub(crate) fn leave(call: &Call, file: &LatchFile) {
    step(call, file, Step::Leave);
}

/// How many stand in the line.
pub(crate) fn length(call: &Call, file: &LatchFile) -> usize {
    step(call, file, Step::Look).unwrap_or(0)
}

fn step(call: &Call, file: &LatchFile, what: Step) -> Option<usize> {
    let now = u64::try_from(call.server().host().now().duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()?;
    let apply = |line: &mut Line| match what {
        Step::Stand(keep) => {
            let until = now.saturating_add(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX));
            line.stand(call.session(), now, until)
        }
        Step::Leave => {
            line.leave(call.session(), now);
            None
        }
        Step::Look => {
            line.tidy(now);
            Some(line.waiters.len())
        }
    };
    if let Some(store) = store(call, file) {
        return in_workspace(call, &store, what, apply);
    }
    let mut here = call.server().lines().here.lock().unwrap_or_else(PoisonError::into_inner);
    if here.len() >= FILES {
        here.retain(|_, line| !line.waiters.is_empty());
    }
    let line = here.entry(file.canonical_path().to_owned()).or_default();
    let place = apply(line);
    if line.waiters.is_empty() {
        here.remove(file.canonical_path());
    }
    place
}

/// Where the workspace has a file's line.
fn store(call: &Call, file: &LatchFile) -> Option<PathBuf> {
    let workspace = call.server().workspace()?;
    let relative = file.canonical_path().strip_prefix(workspace).ok()?;
    let name = blake3::hash(relative.as_os_str().as_encoded_bytes()).to_hex();
    let folder = call.latch().own_store(workspace, OwnStore::Agents, false).ok()?;
    Some(folder.join("waiting").join(format!("{}.json", &name[..32])))
}

fn in_workspace(
    call: &Call,
    path: &std::path::Path,
    what: Step,
    apply: impl Fn(&mut Line) -> Option<usize>,
) -> Option<usize> {
    // Most leases are waited for by nobody: then nothing is written.
    if !matches!(what, Step::Stand(_)) {
        let read = call.latch().file(path).and_then(|line| line.try_read()).ok()??;
        let mut line: Line = serde_json::from_slice(read.bytes()).unwrap_or_default();
        if matches!(what, Step::Look) || line.waiters.is_empty() {
            return apply(&mut line);
        }
    }
    let file = call.latch().file_with_dirs(path).ok()?;
    let mut place = None;
    // A place is given up also when the client has called the call off.
    let lock = LockOptions::new().wait(Wait::For(Duration::from_secs(1))).scope(call.scope());
    let options =
        WriteOptions::new().session(&**call.session()).lock(lock).create(json!({})).durability(Durability::None);
    let written = file.update_value(&options, |value| {
        let mut line: Line = serde_json::from_value(value.clone()).unwrap_or_default();
        place = apply(&mut line);
        *value = serde_json::to_value(line).unwrap_or(Value::Null);
        Ok::<_, Error>(())
    });
    written.ok().and(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AGENT-5: the first to come is the first in line; a place ends when it is given up or its time is over, and coming back in time keeps it.
    #[test]
    fn places() {
        let mut line = Line::default();
        assert_eq!(
            [line.stand("a", 0, 10), line.stand("b", 1, 30), line.stand("c", 2, 40)],
            [Some(0), Some(1), Some(2)]
        );
        assert_eq!(line.stand("a", 10, 20), Some(0));
        // Too late: back to the end.
        assert_eq!(line.stand("a", 21, 50), Some(2));
        line.leave("b", 22);
        assert_eq!([line.stand("c", 23, 40), line.stand("a", 24, 50)], [Some(0), Some(1)]);
        line.leave("nobody", 25);
        assert_eq!(line.waiters.len(), 2);
        // Of a clock that was ahead nothing is left.
        line.waiters[0].until = u64::MAX;
        line.tidy(26);
        assert_eq!(line.waiters.len(), 1);
        let mut full = Line::default();
        assert_eq!((0..MOST).filter(|n| full.stand(&n.to_string(), 0, 1).is_some()).count(), MOST);
        assert_eq!(full.stand("late", 0, 1), None);
    }
}
