//! Writes of several files under every mishap at every call, of the write itself and of those who complete it; and in every order of two
//! processes' calls.

use std::io::ErrorKind;
use std::sync::Arc;

use filelatch::{
    Error, Expect, FileChange, Filelatch, HardLinks, Keep, LockOptions, ManyOptions, Policy, Version, WriteOptions,
};
use filelatch_fs::sim::{Dials, Fault, SimFs, Sweep};

use super::support::is_full;

const A: &str = "/w/a";
const B: &str = "/w/d/b";
const C: &str = "/w/d/c";
const ALL: [&str; 3] = [A, B, C];
/// What they hold before and after: one is replaced, one created, one removed.
const BEFORE: [Option<&[u8]>; 3] = [Some(b"old a"), None, Some(b"old c")];
const AFTER: [Option<&[u8]>; 3] = [Some(b"new a, longer"), Some(b"new b"), None];

fn engine_with(fs: &SimFs, keep: Keep, hard_links: HardLinks) -> Filelatch {
    let mut policy = Policy::default();
    policy.keep = keep;
    policy.hard_links = hard_links;
    Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).defaults(policy).session("test").build()
}

fn engine(fs: &SimFs) -> Filelatch {
    engine_with(fs, Keep::Displaced, HardLinks::Replace)
}

/// A workspace with two folders, and files that filelatch has written.
fn build(fs: &SimFs) {
    fs.foreign().create_dirs("/w/.filelatch/sessions").unwrap();
    fs.foreign().create_dirs("/w/d").unwrap();
    let latch = engine(&fs.process());
    for (path, bytes) in ALL.into_iter().zip(BEFORE) {
        if let Some(bytes) = bytes {
            latch.file(path).unwrap().write(bytes, &WriteOptions::new()).unwrap();
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Done,
    /// It will be completed, or dropped as a whole.
    Unfinished,
    /// Nothing was written.
    Failed,
}

fn changes() -> Vec<FileChange> {
    let change = |at: usize| {
        let change = AFTER[at].map_or_else(|| FileChange::remove(ALL[at]), |after| FileChange::write(ALL[at], after));
        change.expect(BEFORE[at].map_or(Expect::Absent, |before| Expect::Version(Version::of(before))))
    };
    (0..ALL.len()).map(change).collect()
}

fn apply_with(latch: &Filelatch) -> Told {
    match latch.apply_many(changes(), &ManyOptions::new()) {
        Ok(_) => Told::Done,
        Err(Error::Unfinished { .. }) => Told::Unfinished,
        Err(_) => Told::Failed,
    }
}

fn apply(fs: &SimFs) -> Told {
    apply_with(&engine(fs))
}

fn shown(fs: &SimFs) -> Vec<Option<Vec<u8>>> {
    ALL.iter().map(|path| fs.foreign().read(path).ok()).collect()
}

fn is(found: &[Option<Vec<u8>>], wanted: &[Option<&[u8]>; 3]) -> bool {
    found.iter().zip(wanted).all(|(found, wanted)| found.as_deref() == *wanted)
}

/// What readers with shared locks on all files see, and that life goes on.
fn check_with(fs: &SimFs, latch: &Filelatch, told: Option<Told>, erred: bool) -> Result<(), String> {
    let guards = latch.lock_all_shared(ALL.map(std::path::Path::new), &LockOptions::new());
    let guards = guards.map_err(|e| format!("{told:?}, and the next start is blocked: {e}"))?;
    let found = shown(fs);
    drop(guards);
    let (old, new) = (is(&found, &BEFORE), is(&found, &AFTER));
    match told {
        _ if !old && !new => return Err(format!("{told:?}, and neither all old nor all new: {found:?}")),
        Some(Told::Done) if !new => return Err("acknowledged, and not there".to_owned()),
        Some(Told::Failed) if !old => return Err("refused, and written all the same".to_owned()),
        _ => {}
    }
    let conflicts = latch.conflicts("/w").map_err(|e| e.to_string())?;
    // After a power cut a temporary file may have lost the mark that it means nothing yet; and what was displaced and can't be looked at is
    // kept as if it were foreign.
    if !erred && fs.boots() == 1 && !conflicts.stored.is_empty() {
        return Err(format!("a conflict with nobody: {:?}", conflicts.stored));
    }
    // A lock file that was made just before a power cut may be empty, as one of flock(1): nothing can be noted there.
    for lock in ["/w/.a.lock", "/w/d/.b.lock", "/w/d/.c.lock"] {
        if fs.foreign().read(lock).is_ok_and(|bytes| bytes.is_empty()) {
            fs.foreign().remove(lock).unwrap();
        }
    }
    // The next ones find nothing in the way, and clear up what was left.
    let next = ALL.map(|path| FileChange::write(path, "next"));
    latch.apply_many(next, &ManyOptions::new()).map_err(|e| format!("the next write fails: {e}"))?;
    let left = fs.foreign().names("/w/.filelatch/intents").unwrap_or_default();
    if left.is_empty() { Ok(()) } else { Err(format!("{told:?}: left over: {left:?}")) }
}

fn check(fs: &SimFs, told: Told) -> Result<(), String> {
    check_with(fs, &engine(fs), Some(told), false)
}

/// P9, ATOM-1: power cuts and kills at every call of a write of three files, one replaced, one created, one removed: who has shared
/// locks on all of them sees all or nothing; what was acknowledged is there, and what was refused is not.
#[test]
fn every_end() {
    for dials in Dials::usual() {
        let sweep = Sweep::on(dials);
        sweep.cuts(build, apply, |fs, told| check(fs, *told)).assert_clean();
        sweep.kills(build, apply, |fs, told| check(fs, *told)).assert_clean();
    }
}

/// P9, ATOM-4: the same with errors, once and lasting.
#[test]
fn every_error() {
    let sweep = Sweep::on(Dials::usual()[0]);
    let short = vec![Fault::EIO, ErrorKind::StorageFull.into(), Fault::Late(ErrorKind::Other)];
    let faults = if is_full() { sweep.faults.clone() } else { short };
    Sweep { faults, ..sweep }
        .faults(build, apply, |fs, told| check_with(fs, &engine(fs), Some(*told), true))
        .assert_clean();
}
