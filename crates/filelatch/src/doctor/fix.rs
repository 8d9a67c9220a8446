//! Putting right what is proved to be nobody's: each file under its own exclusive lock, by the rules that every writer follows.
//!
//! # Invariants
//! - No second rule: temporary files go by the [`sweep`](crate::write::sweep), interrupted writes are completed by whoever takes the
//!   lock, lock files by [`removal`](crate::lock::removal).
//! - Where locks exclude nobody they prove nothing: nothing is removed there.
//! - Nothing depends on what the search has seen: everything is looked at again under the lock.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::report::{Fix, Kind, Outcome};
use super::{Case, Spot, intents, scratch};
use crate::engine::Filelatch;
use crate::error::Error;
use crate::lock::stale::Verdict;
use crate::lock::{LockMode, LockOptions, Wait, held, removal};
use crate::path::{LockFileName, held_name};
use crate::policy::Policy;
use crate::write::sweep;

const NO_PROOF: &str = "locks exclude nobody here, so nothing proves that nobody needs it";

pub(super) fn fix(latch: &Filelatch, cases: &mut [Case], wait: Wait, locks_exclude: bool) {
    let mut files: BTreeMap<&Path, Vec<usize>> = BTreeMap::new();
    let mut outcomes: Vec<Option<Outcome>> = vec![None; cases.len()];
    let mut unneeded = Vec::new();
    for (at, case) in cases.iter().enumerate().filter(|(_, case)| case.finding.fix.is_some()) {
        match &case.place {
            // Its own rules prove the death of its holder, whatever the system's locks do.
            Some(Spot::Fallback { path, lock }) => {
                outcomes[at] = Some(take_over(latch, path, lock, &case.finding.path, wait));
            }
            _ if !locks_exclude => outcomes[at] = Some(left(NO_PROOF)),
            Some(Spot::File { path, .. }) => files.entry(path).or_default().push(at),
            Some(Spot::Scratch { dir, name }) => outcomes[at] = Some(abandoned(latch, dir, name)),
            Some(Spot::Intent { .. }) => unneeded.push(at),
            None => outcomes[at] = Some(left("the file that it belongs to cannot be told")),
        }
    }
    for (path, members) in files {
        let group: Vec<_> = members.iter().map(|at| &cases[*at]).collect();
        for (at, outcome) in members.iter().zip(put_right(latch, path, &group, wait)) {
            outcomes[*at] = Some(outcome);
        }
    }
    // When the files are complete: they may be what it was needed for.
    for at in unneeded {
        if let Some(Spot::Intent { root, id, state }) = &cases[at].place {
            outcomes[at] = Some(intents::clear(latch, root, id, *state));
        }
    }
    for (case, outcome) in cases.iter_mut().zip(outcomes) {
        if outcome == Some(Outcome::Done)
            && let Some(trail) = latch.trail_of(&case.finding.path)
        {
            trail.fixed(case.finding.kind);
            trail.flush();
        }
        case.finding.outcome = outcome;
    }
}

fn left(why: &str) -> Outcome {
    Outcome::Left(why.to_owned())
}

/// Everything that is to be done about one file; an outcome for each of the cases.
fn put_right(latch: &Filelatch, path: &Path, cases: &[&Case], wait: Wait) -> Vec<Outcome> {
    under_lock(latch, path, cases, wait).unwrap_or_else(|why| vec![Outcome::Left(why); cases.len()])
}

fn under_lock(latch: &Filelatch, path: &Path, cases: &[&Case], wait: Wait) -> Result<Vec<Outcome>, String> {
    let text = |e: Error| e.to_string();
    let file = latch.file(path).map_err(text)?;
    if file.canonical_path() != path {
        return Err("its name is a link by now, and leads elsewhere".to_owned());
    }
    let options = LockOptions::new().wait(wait);
    let guard = match file.lock(&options) {
        // What would complete it does not exist any more, and so was told.
        Err(Error::Unrecovered { .. }) if file.forget_lost_intent(&options).map_err(text)? => file.lock(&options),
        locked => locked,
    };
    let guard = guard.map_err(text)?;
    let Some(tenure) = guard.tenure().filter(|_| guard.is_held()) else {
        let why = guard.warning().unwrap_or("there is no lock here");
        return Err(format!("nothing proves that nobody needs it: {why}"));
    };
    // From here on whoever wrote it is dead, and what was interrupted is complete.
    let resource = &tenure.resource;
    let entry = file.entry().map_err(text)?;
    let (put_away, rescue) = (|name: &OsStr| entry.put_away(name), |name: &OsStr| entry.rescue(name).is_some());
    let swept = sweep::sweep(&resource.place, &resource.lock, usize::MAX, &|| resource.stands(), &put_away, &rescue);
    let removed = removal::remove_lock_file(tenure);
    let outcome = |case: &&Case| {
        let own = lock_of(case).is_some_and(|lock| *lock == resource.lock.name);
        match (case.finding.fix, case.finding.kind) {
            (Some(Fix::Complete), _) if own => Outcome::Done,
            (Some(Fix::Complete), _) => {
                left("the policy gives the file another lock file, and this one is used no more")
            }
            (_, Kind::OrphanedLockFile) => match &removed {
                Ok(None) if own => Outcome::Done,
                Ok(None) => left("the policy gives the file another lock file"),
                Ok(Some(why)) => left(why),
                Err(e) => Outcome::Left(e.to_string()),
            },
            _ => match (&resource.place.dir.stat(case.finding.path.file_name().unwrap_or_default()), &swept) {
                (Err(e), _) if e.kind() == io::ErrorKind::NotFound => Outcome::Done,
                (Err(e), _) | (_, Err(e)) => Outcome::Left(crate::error::plain(e)),
                (Ok(_), Ok(_)) => left("under the lock it is not proved to be nobody's"),
            },
        }
    };
    Ok(cases.iter().map(outcome).collect())
}

fn lock_of(case: &Case) -> Option<&OsString> {
    match &case.place {
        Some(Spot::File { lock, .. }) => Some(lock),
        _ => None,
    }
}

fn abandoned(latch: &Filelatch, dir: &Path, name: &OsStr) -> Outcome {
    let parts = latch.parts();
    let removed = parts.fs.open_dir(dir).and_then(|parent| scratch::remove_abandoned(parts, &*parent, name));
    match removed {
        Ok(true) => Outcome::Done,
        Ok(false) => left("nothing proves that its doctor is dead; remove it if none is at work"),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Outcome::Done,
        Err(e) => Outcome::Left(crate::error::plain(&e)),
    }
}

/// Takes the file's lock as those do whose policy is the fallback lock, which takes a dead holder's over, and gives it back.
fn take_over(latch: &Filelatch, path: &Path, lock: &OsStr, shown: &Path, wait: Wait) -> Outcome {
    let hidden = path.file_name().is_some_and(|name| LockFileName::Hidden.of(name) == lock);
    let lock_file = if hidden { LockFileName::Hidden } else { LockFileName::Suffix };
    let policy = Policy { lock: LockMode::File, lock_file, ..Policy::default() };
    let parts = latch.parts();
    let engine = Filelatch::builder().fs(Arc::clone(&parts.fs)).host(Arc::clone(&parts.host)).without_workspaces();
    let engine = engine.session(&*parts.session).purpose(&*parts.purpose).defaults(policy).build();
    let taken = engine.file(path).and_then(|file| {
        let guard = file.lock(&LockOptions::new().wait(wait))?;
        let (Some(tenure), Some(name)) = (guard.tenure(), shown.file_name()) else { return Ok(false) };
        let place = &tenure.resource.place;
        let fail = |e| Error::io("remove", shown, e);
        // What its dead owner left over a lock that is gone: with the lock in hand nobody is misled by its absence.
        let is_right = name != held_name(lock);
        if is_right
            && let Some(seen) = held::look(&*place.dir, name).map_err(fail)?
            && matches!(held::verdict_at_once(parts, place, &seen), Verdict::Dead(_))
        {
            place.dir.remove(name).map_err(fail)?;
        }
        let dir = Arc::clone(&place.dir);
        drop(guard);
        Ok(matches!(dir.stat(name), Err(e) if e.kind() == io::ErrorKind::NotFound))
    });
    match taken {
        Ok(true) => Outcome::Done,
        Ok(false) => left("it is somebody else's by now"),
        Err(e) => Outcome::Left(e.to_string()),
    }
}
