//! Append logs under every mishap at every call, and in every order of two writers: what was acknowledged is there, nothing is half there, and the
//! log goes on.

use std::sync::Arc;

use filelatch::store::log::{Keyed, Log, LogOptions};
use filelatch::{Durability, Error, Filelatch, LockOptions};
use filelatch_fs::sim::{Dials, Fault, Plan, Schedules, SimFs, Sweep, Verb};

use super::support::is_full;

fn engine(fs: &SimFs) -> Filelatch {
    Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).session("test").build()
}

fn log(fs: &SimFs) -> Log {
    engine(fs).log("/a.log").unwrap()
}

fn all(log: &Log) -> Result<Vec<String>, String> {
    let text = |record: filelatch::store::log::LogRecord| String::from_utf8_lossy(&record.bytes).into_owned();
    let records: Result<Vec<_>, Error> = log.read(0).and_then(|read| read.map(|record| record.map(text)).collect());
    records.map_err(|e| format!("it cannot be read: {e}"))
}

/// A record of some length, so that some do not fit into a sector.
fn record(n: usize) -> String {
    format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(n * 400))
}

/// On all kinds of file systems, or on the usual one with fewer samples.
fn sweep<A>(build: impl Fn(&SimFs), scenario: impl Fn(&SimFs) -> A, check: impl Fn(&SimFs, &A) -> Result<(), String>) {
    let all = Dials::usual();
    let kinds = if is_full() { all.to_vec() } else { vec![Dials { enumerate: 16, samples: 8, ..all[0] }] };
    for dials in kinds {
        let mut sweep = Sweep::on(dials);
        if !is_full() {
            sweep.faults = vec![Fault::EIO, Fault::Short(3)];
        }
        sweep.everything(&build, &scenario, &check).assert_clean();
    }
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
    let verified = log.verify().map_err(|e| e.to_string())?;
    if verified.is_ok() { Ok(()) } else { Err(format!("damaged: {:?}", verified.problems)) }
}

/// STORE-8, P13: appends by a process each.
#[test]
fn appends() {
    let scenario = |fs: &SimFs| {
        let append = |n: &usize| {
            let log = engine(fs).log("/a.log")?;
            log.append(record(*n).as_bytes(), &LogOptions::default())
        };
        (0..3).filter(|n| append(n).is_ok()).collect::<Vec<_>>()
    };
    sweep(|_| (), scenario, |fs, acknowledged| goes_on(fs, acknowledged, 3));
}

/// STORE-8: appends by one process that keeps the file open; several records by one write.
#[test]
fn appends_of_one_process() {
    let scenario = |fs: &SimFs| {
        let Ok(log) = engine(fs).log("/a.log") else { return Vec::new() };
        let mut done = Vec::new();
        for n in [0, 2] {
            let records = [record(n), record(n + 1)];
            let both = records.iter().map(String::as_bytes);
            if log.append_many(both, &LogOptions::default()).is_ok() {
                done.extend([n, n + 1]);
            }
        }
        done
    };
    sweep(|_| (), scenario, |fs, acknowledged| goes_on(fs, acknowledged, 4));
}

/// STORE-8: what is durable takes along what was before it and was not.
#[test]
fn hasty_appends() {
    let build = |fs: &SimFs| assert!(log(fs).append(record(0).as_bytes(), &LogOptions::default()).is_ok());
    let scenario = |fs: &SimFs| {
        let Ok(log) = engine(fs).log("/a.log") else { return vec![0] };
        let hasty = LogOptions { durability: Some(Durability::None), ..LogOptions::default() };
        let hastily = |n: usize| log.append(record(n).as_bytes(), &hasty).is_ok();
        let (one, two) = (hastily(1), hastily(2));
        let last = log.append(record(3).as_bytes(), &LogOptions::default()).is_ok();
        let done = [(0, true), (1, one), (2, two), (3, true)];
        if last { done.into_iter().filter(|(_, done)| *done).map(|(n, _)| n).collect() } else { vec![0] }
    };
    sweep(build, scenario, |fs, acknowledged| goes_on(fs, acknowledged, 4));
}

/// A map that is compacted twice; the values that were acknowledged.
fn compacted(fs: &SimFs) -> (u32, u32) {
    let Ok(log) = engine(fs).log("/a.log") else { return (0, 0) };
    let mut map: Keyed<u32> = log.keyed();
    let (mut a, mut b) = (0, 0);
    for n in 1..if is_full() { 3 } else { 2 } {
        if map.set("a", &n, &LogOptions::default()).is_ok() {
            a = n;
        }
        log.compact(&LockOptions::new()).ok();
        if map.set("b", &n, &LogOptions::default()).is_ok() {
            b = n;
        }
    }
    (a, b)
}

/// STORE-8: compactions: no value goes back behind what was acknowledged, and what was appended meanwhile stays.
#[test]
fn compactions() {
    let check = |fs: &SimFs, (a, b): &(u32, u32)| {
        let log = log(fs);
        let mut map: Keyed<u32> = log.keyed();
        let get = |map: &mut Keyed<u32>, key| map.get(key).map(Option::unwrap_or_default).map_err(|e| e.to_string());
        let found = (get(&mut map, "a")?, get(&mut map, "b")?);
        if found.0 < *a || found.1 < *b {
            return Err(format!("{found:?} although ({a}, {b}) was acknowledged"));
        }
        map.set("c", &7, &LogOptions::default()).map_err(|e| format!("it cannot go on: {e}"))?;
        log.compact(&LockOptions::new()).map_err(|e| format!("it cannot be compacted: {e}"))?;
        let after = (get(&mut map, "a")?, get(&mut map, "b")?, get(&mut map, "c")?);
        if after != (found.0, found.1, 7) {
            return Err(format!("{after:?} after {found:?}"));
        }
        let verified = log.verify().map_err(|e| e.to_string())?;
        if verified.is_ok() { Ok(()) } else { Err(format!("damaged: {:?}", verified.problems)) }
    };
    sweep(|_| (), compacted, check);
}

/// STORE-8: a repair that is interrupted has lost nothing that was intact, and can be made again.
#[test]
fn repairs() {
    let build = |fs: &SimFs| {
        let log = log(fs);
        for n in 0..3 {
            log.append(record(n).as_bytes(), &LogOptions::default()).unwrap();
        }
        let mut bytes = fs.foreign().read("/a.log").unwrap();
        let at = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 60;
        bytes[at] ^= 1;
        fs.foreign().overwrite("/a.log", &bytes).unwrap();
    };
    let scenario = |fs: &SimFs| engine(fs).log("/a.log").and_then(|log| log.repair(&LockOptions::new())).is_ok();
    sweep(build, scenario, |fs, done| {
        let log = log(fs);
        if *done {
            let kept = all(&log)?;
            if kept != [record(0), record(2)] {
                return Err(format!("after the repair: {kept:?}"));
            }
        }
        log.repair(&LockOptions::new()).map_err(|e| format!("it cannot be repaired: {e}"))?;
        let kept = all(&log)?;
        if kept == [record(0), record(2)] { Ok(()) } else { Err(format!("repaired again: {kept:?}")) }
    });
}

/// STORE-8, L26: after a sync that failed nothing is acknowledged from that file; the next append, of whichever process, puts all that is intact into
/// another.
#[test]
fn syncs_that_fail() {
    let fs = SimFs::default();
    let (one, two) = (log(&fs), log(&fs.process()));
    one.append(b"1", &LogOptions::default()).unwrap();
    two.append(b"2", &LogOptions::default()).unwrap();
    fs.fail_verb(Verb::SyncData, Fault::EIO);
    assert_eq!(one.append(b"3", &LogOptions::default()).unwrap_err().code(), "not-durable");
    fs.heal();
    two.append(b"4", &LogOptions::default()).unwrap();
    assert_eq!(all(&one).unwrap(), ["1", "2", "3", "4"]);
    one.append(b"5", &LogOptions::default()).unwrap();
    for disk in fs.possible_disks() {
        assert_eq!(all(&log(&disk.fs)).unwrap().len(), 5, "{}", disk.story);
    }
    assert!(fs.foreign().names("/").unwrap().contains(&"a.log.failed-1".to_owned()));
}

/// STORE-8: a log that is removed and begun again by others, under a process that has it open: what it acknowledges is durable in the new one.
#[test]
fn removed_and_begun_again() {
    let fs = SimFs::default();
    let one = log(&fs);
    for _ in 0..5 {
        one.append(b"\"old\"", &LogOptions::default()).unwrap();
    }
    fs.foreign().remove("/a.log").unwrap();
    log(&fs.process()).append(b"\"new\"", &LogOptions::default()).unwrap();
    one.append(b"\"newer\"", &LogOptions::default()).unwrap();
    for disk in fs.possible_disks() {
        assert_eq!(all(&log(&disk.fs)).unwrap(), ["\"new\"", "\"newer\""], "{}", disk.story);
    }
    // Emptied is not removed: that is damage.
    fs.foreign().overwrite("/a.log", b"").unwrap();
    let refused = log(&fs.process()).append(b"1", &LogOptions::default()).unwrap_err();
    assert_eq!(refused.code(), "damaged", "{refused}");
    log(&fs.process()).repair(&LockOptions::new()).unwrap();
    one.append(b"1", &LogOptions::default()).unwrap();
    assert_eq!(all(&one).unwrap(), ["1"]);
}

/// Two processes that append twice each, and what they were told.
fn two_writers(plan: &mut Plan) {
    log(plan.fs()).append(b"\"begin\"", &LogOptions::default()).unwrap();
    let acknowledged = Arc::new(std::sync::Mutex::new(Vec::new()));
    for name in ["a", "b"] {
        let acknowledged = Arc::clone(&acknowledged);
        plan.process(name, move |fs| {
            let log = engine(fs).log("/a.log").unwrap();
            for n in 0..2 {
                let record = format!("\"{name}{n}\"");
                if log.append(record.as_bytes(), &LogOptions::default()).is_ok() {
                    acknowledged.lock().unwrap().push(record);
                }
            }
        });
    }
    let check = move |fs: &SimFs| {
        let found = all(&log(fs))?;
        let told = acknowledged.lock().unwrap();
        let missing = told.iter().find(|record| found.iter().filter(|found| found == record).count() != 1);
        if let Some(missing) = missing {
            return Err(format!("{missing} is not there once: {found:?}"));
        }
        let place = |record: &str| found.iter().position(|found| found == record);
        for name in ["a", "b"] {
            if place(&format!("\"{name}1\""))
                .is_some_and(|second| place(&format!("\"{name}0\"")).is_some_and(|first| first > second))
            {
                return Err(format!("out of order: {found:?}"));
            }
        }
        Ok(())
    };
    let check = Arc::new(check);
    let again = Arc::clone(&check);
    plan.at_end(move |fs| check(fs));
    plan.on_disks(move |fs| again(fs));
}

/// STORE-8: two writers, in orders drawn by chance: each acknowledged record is there once, in its writer's order, also after a power cut.
#[test]
fn two_writers_in_any_order() {
    let schedules = Schedules::default();
    schedules.sample(1, if is_full() { 3000 } else { 60 }, two_writers).assert_clean();
}

/// STORE-8: a writer and a compaction, in orders drawn by chance: nothing that was acknowledged is lost.
#[test]
fn writer_and_compaction_in_any_order() {
    let plan = |plan: &mut Plan| {
        log(plan.fs()).append(b"{\"op\":\"create\",\"key\":\"k\",\"value\":0}", &LogOptions::default()).unwrap();
        let told = Arc::new(std::sync::Mutex::new(0));
        let says = Arc::clone(&told);
        plan.process("writer", move |fs| {
            let log = engine(fs).log("/a.log").unwrap();
            for n in 1..4 {
                let record = format!("{{\"op\":\"update\",\"key\":\"k\",\"value\":{n}}}");
                if log.append(record.as_bytes(), &LogOptions::default()).is_ok() {
                    *says.lock().unwrap() = n;
                }
            }
        });
        plan.process("compactor", |fs| {
            let log = engine(fs).log("/a.log").unwrap();
            log.compact(&LockOptions::new()).unwrap();
        });
        let check = move |fs: &SimFs| {
            let state = log(fs).state().map_err(|e| e.to_string())?;
            let told = *told.lock().unwrap();
            let found = state.get("k").and_then(serde_json::Value::as_i64).unwrap_or(-1);
            if found >= told { Ok(()) } else { Err(format!("{found}, although {told} was acknowledged")) }
        };
        let check = Arc::new(check);
        let again = Arc::clone(&check);
        plan.at_end(move |fs| check(fs));
        plan.on_disks(move |fs| again(fs));
    };
    Schedules::default().sample(1, if is_full() { 3000 } else { 60 }, plan).assert_clean();
}
