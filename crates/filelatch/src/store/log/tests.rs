//! The log under every mishap at every call, with everything that can be left looked at.

use std::sync::Arc;

use filelatch_fs::sim::{Dials, Fault, SimFs, Sweep};

use super::journal::Fold;
use super::{Log, LogOptions};
use crate::engine::Filelatch;
use crate::error::Error;
use crate::lock::LockOptions;
use crate::store::StoreError;

fn engine(fs: &SimFs) -> Filelatch {
    Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).session("test").build()
}

fn log(fs: &SimFs) -> Log {
    engine(fs).log("/a.log").unwrap()
}

/// All records, with their offsets.
#[derive(Debug, Default, PartialEq)]
struct All(Vec<(u64, String)>);

impl Fold for All {
    fn apply(&mut self, offset: u64, record: &[u8]) -> Result<(), StoreError> {
        self.0.push((offset, String::from_utf8(record.to_vec()).unwrap()));
        Ok(())
    }

    fn begin_again(&mut self) {
        self.0.clear();
    }
}

fn all(log: &Log) -> Result<Vec<String>, String> {
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
    let sweep = Sweep {
        faults: vec![Fault::EIO, Fault::Short(3)],
        ..Sweep::on(Dials { enumerate: 16, samples: 8, ..Dials::default() })
    };
    sweep.everything(|_| (), scenario, |fs, acknowledged| goes_on(fs, acknowledged, 3)).assert_clean();
}

/// STORE-8: a store that makes its own snapshot: who comes later reads that, and who was there goes on where it was.
#[test]
fn own_snapshots() {
    let fs = SimFs::default();
    let (one, two) = (log(&fs), log(&fs.process()));
    let (mine, theirs) = (one.journal(), two.journal());
    let (mut fold, mut other, mut late) = (All::default(), All::default(), All::default());
    one.append(b"1", &LogOptions::default()).unwrap();
    theirs.refresh(&mut other).unwrap();
    let far = two.append(b"2", &LogOptions::default()).unwrap();
    let done = mine
        .compact_with(&mut fold, &LockOptions::new(), &mut |fold, take| take(far, fold.0.len().to_string().as_bytes()));
    assert_eq!(done.unwrap().unwrap().kept, 1);
    let third = one.append(b"3", &LogOptions::default()).unwrap();
    log(&fs).journal().refresh(&mut late).unwrap();
    assert_eq!(late.0, [(far, "2".to_owned()), (third, "3".to_owned())]);
    // One had read all that the snapshot replaced; the other has the old file open and reads it to its end.
    for (journal, fold) in [(&mine, &mut fold), (&theirs, &mut other)] {
        journal.refresh(fold).unwrap();
        assert_eq!(fold.0.iter().map(|(_, record)| record.as_str()).collect::<Vec<_>>(), ["1", "2", "3"]);
    }
}
