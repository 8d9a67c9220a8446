//! The log under every mishap at every call, with everything that can be left looked at.

use std::sync::Arc;

use filelatch_fs::sim::{Fault, SimFs, Verb, for_each_mishap};

use super::journal::Fold;
use super::{Log, LogOptions};
use crate::engine::Filelatch;
use crate::error::Error;
use crate::lock::LockOptions;
use crate::store::StoreError;
use crate::write::Durability;

pub(super) fn engine(fs: &SimFs) -> Filelatch {
    Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).session("test").build()
}

pub(super) fn log(fs: &SimFs) -> Log {
    engine(fs).log("/a.log").unwrap()
}

/// All records, with their offsets.
#[derive(Debug, Default, PartialEq)]
pub(super) struct All(pub(super) Vec<(u64, String)>);

impl Fold for All {
    fn apply(&mut self, offset: u64, record: &[u8]) -> Result<(), StoreError> {
        self.0.push((offset, String::from_utf8(record.to_vec()).unwrap()));
        Ok(())
    }

    fn begin_again(&mut self) {
        self.0.clear();
    }
}

pub(super) fn all(log: &Log) -> Result<Vec<String>, String> {
    let mut all = All::default();
    log.journal().refresh(&mut all).map_err(|e| e.to_string())?;
    Ok(all.0.into_iter().map(|(_, record)| record).collect())
}

/// A record of some length, so that some do not fit into a sector.
fn record(n: usize) -> String {
    format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(n * 400))
}

/// Those that were acknowledged are there, in order; further ones only in the order in which they were tried, whole.
fn in_order(found: &[String], acknowledged: &[usize], tried: usize) -> Result<(), String> {
    let tried: Vec<_> = (0..tried).map(record).collect();
    let mut at = 0;
    for one in found {
        match tried[at..].iter().position(|tried| tried == one) {
            Some(passed) => at += passed + 1,
            None => return Err(format!("{found:?} is not in order")),
        }
    }
    match acknowledged.iter().find(|n| !found.contains(&record(**n))) {
        Some(lost) => Err(format!("record {lost} was acknowledged and is lost: {found:?}")),
        None => Ok(()),
    }
}

/// What was acknowledged of three appends by a process each.
fn three(fs: &SimFs) -> Vec<usize> {
    let append = |n: &usize| {
        let log = engine(fs).log("/a.log")?;
        log.append(record(*n).as_bytes(), &LogOptions::default())
    };
    (0..3).filter(|n| append(n).is_ok()).collect()
}

/// It can be read, and it goes on.
fn goes_on(fs: &SimFs, acknowledged: &[usize], tried: usize) -> Result<(), String> {
    let log = log(fs);
    let before = all(&log)?;
    in_order(&before, acknowledged, tried)?;
    log.append(b"\"last\"", &LogOptions::default()).map_err(|e| format!("it cannot go on: {e}"))?;
    let mut after = all(&log)?;
    if after.pop().as_deref() != Some("\"last\"") || after != before {
        return Err(format!("after an append: {after:?} instead of {before:?}"));
    }
    Ok(())
}

/// STORE-8, P13: whatever happens at whichever call of three appends, what was acknowledged is there, nothing is half there, and the log goes on.
#[test]
fn appends_survive_everything() {
    for_each_mishap(|_| (), three, |fs, acknowledged| goes_on(fs, acknowledged, 3));
}

/// STORE-8: the same for one process that keeps the file open.
#[test]
fn one_writer_survives_everything() {
    let scenario = |fs: &SimFs| {
        let Ok(log) = engine(fs).log("/a.log") else { return Vec::new() };
        let append = |n: &usize| log.append(record(*n).as_bytes(), &LogOptions::default()).is_ok();
        (0..3).filter(append).collect::<Vec<_>>()
    };
    for_each_mishap(|_| (), scenario, |fs, acknowledged| goes_on(fs, acknowledged, 3));
}

/// STORE-8: several that were not to be durable, then one that is: it takes those before it along.
#[test]
fn what_is_durable_takes_along_what_was_before() {
    let build = |fs: &SimFs| assert!(log(fs).append(record(0).as_bytes(), &LogOptions::default()).is_ok());
    let scenario = |fs: &SimFs| {
        let Ok(log) = engine(fs).log("/a.log") else { return vec![0] };
        let hasty = LogOptions { durability: Some(Durability::None), ..LogOptions::default() };
        let mut done = vec![0];
        for n in [1, 2] {
            if log.append(record(n).as_bytes(), &hasty).is_err() {
                return vec![0];
            }
            done.push(n);
        }
        let last = log.append(record(3).as_bytes(), &LogOptions::default());
        done.push(3);
        if last.is_ok() { done } else { vec![0] }
    };
    for_each_mishap(build, scenario, |fs, acknowledged| goes_on(fs, acknowledged, 4));
}

/// STORE-8: deciding under the lock: the decision sees everything, and what it appends is there whole or not at all.
#[test]
fn decisions_survive_everything() {
    let scenario = |fs: &SimFs| {
        let Ok(log) = engine(fs).log("/a.log") else { return Vec::new() };
        let journal = log.journal();
        let mut fold = All::default();
        let mut decide = |n: &usize| {
            let done = journal.transact(&mut fold, true, &LockOptions::new(), |_, records| {
                records.push(record(*n).into_bytes());
                Ok::<_, Error>(())
            });
            done.is_ok()
        };
        let acknowledged: Vec<_> = (0..3).filter(|n| decide(n)).collect();
        let seen: Vec<_> = fold.0.into_iter().map(|(_, record)| record).collect();
        assert!(in_order(&seen, &acknowledged, 3).is_ok(), "{seen:?} {acknowledged:?}");
        acknowledged
    };
    for_each_mishap(|_| (), scenario, |fs, acknowledged| goes_on(fs, acknowledged, 3));
}

/// STORE-8, L26: after a sync that failed nothing is acknowledged from that inode; the next append begins a new one with all that is intact, and
/// the offsets stay.
#[test]
fn a_failed_sync() {
    let fs = SimFs::default();
    let log = log(&fs);
    let first = log.append(b"1", &LogOptions::default()).unwrap();
    fs.fail_verb(Verb::SyncData, Fault::EIO);
    let refused = log.append(b"2", &LogOptions::default()).unwrap_err();
    assert_eq!(refused.code(), "not-durable", "{refused}");
    fs.heal();
    let third = engine(&fs.process()).log("/a.log").unwrap().append(b"3", &LogOptions::default()).unwrap();
    let mut found = All::default();
    log.journal().refresh(&mut found).unwrap();
    assert_eq!(found.0.iter().map(|(_, record)| record.as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
    assert_eq!((found.0[0].0, found.0[2].0), (first, third));
    assert!(fs.foreign().names("/").unwrap().contains(&"a.log.failed-1".to_owned()));
    for disk in fs.possible_disks() {
        assert_eq!(all(&super::tests::log(&disk.fs)).unwrap().len(), 3, "{}", disk.story);
    }
}
