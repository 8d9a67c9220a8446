//! Steps of several records under every mishap at every call, and two of them in every order of their calls.

use std::sync::{Arc, Mutex};

use filelatch::store::{Repository, RepositoryOptions, StoreError};
use filelatch::{Error, Filelatch, LockOptions};
use filelatch_fs::sim::{Dials, Plan, Schedules, SimFs, Sweep, for_each_mishap};

use super::schedules::{few, run};
use super::support::is_full;

fn engine(fs: &SimFs) -> Filelatch {
    Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).session("test").build()
}

fn collection(fs: &SimFs) -> Result<Repository<u64>, Error> {
    Repository::open(&engine(fs), "/w/a.json", &RepositoryOptions::collection())
}

fn directory(fs: &SimFs) -> Result<Repository<u64>, Error> {
    Repository::open(&engine(fs), "/w/a", &RepositoryOptions::directory())
}

type Open = fn(&SimFs) -> Result<Repository<u64>, Error>;

const OLD: [(&str, u64); 2] = [("a", 1), ("b", 2)];
const NEW: [(&str, u64); 2] = [("a", 10), ("c", 3)];

fn with_records(fs: &SimFs, open: Open) {
    fs.foreign().create_dirs("/w/.filelatch").unwrap();
    let records = open(&fs.process()).unwrap();
    for (id, value) in OLD {
        records.insert(id, &value).unwrap();
    }
}

/// Changes one, removes one and adds one.
fn step(fs: &SimFs, open: Open) -> bool {
    let step = open(fs).and_then(|records| {
        records.modify(|records| {
            records.update("a", |value| {
                *value *= 10;
                Ok::<_, Error>(())
            })?;
            records.delete("b")?;
            records.insert("c", &3).map(drop)
        })
    });
    step.is_ok()
}

/// As the next one finds it who looks at all.
fn all(fs: &SimFs, open: Open) -> Result<Vec<(String, u64)>, String> {
    let listed = open(fs).and_then(|records| records.modify(|records| records.list()));
    let listed = listed.map_err(|e| format!("cannot be read: {e}"))?;
    Ok(listed.into_iter().map(|record| (record.id, record.value)).collect())
}

fn is(found: &[(String, u64)], wanted: [(&str, u64); 2]) -> bool {
    found.iter().map(|(id, value)| (id.as_str(), *value)).eq(wanted)
}

fn check(fs: &SimFs, done: bool, open: Open) -> Result<(), String> {
    let found = all(fs, open)?;
    if !is(&found, NEW) && (done || !is(&found, OLD)) {
        return Err(format!("done: {done}, and found {found:?}"));
    }
    let next = open(fs).and_then(|records| records.insert("next", &4));
    next.map_err(|e| format!("cannot be changed any more: {e}"))?;
    match all(fs, open)?.len() {
        3 => Ok(()),
        n => Err(format!("{n} records after one more")),
    }
}

/// The first kind of file system, and few disks for each power cut: the full set has all.
fn usual() -> Sweep {
    Sweep::on(Dials { enumerate: 12, samples: 3, ..Dials::usual()[0] })
}

/// STORE-1: power cuts, kills and errors at every call of a step of three records in one file, on every kind of file system: all of it, or
/// nothing; what was acknowledged is there; and the next one goes on.
#[test]
fn every_mishap_in_one_file() {
    let build = |fs: &SimFs| with_records(fs, collection);
    let scenario = |fs: &SimFs| step(fs, collection);
    let check = |fs: &SimFs, done: &bool| check(fs, *done, collection);
    if is_full() {
        return for_each_mishap(build, scenario, check);
    }
    usual().everything(build, scenario, check).assert_clean();
}

/// STORE-1: the same with a file for each record.
#[test]
fn every_mishap_in_files_of_their_own() {
    let build = |fs: &SimFs| with_records(fs, directory);
    let scenario = |fs: &SimFs| step(fs, directory);
    let check = |fs: &SimFs, done: &bool| check(fs, *done, directory);
    if is_full() {
        return for_each_mishap(build, scenario, check);
    }
    let sweep = usual();
    sweep.kills(build, scenario, check).assert_clean();
    sweep.cuts(build, scenario, check).assert_clean();
}

/// STORE-1: power cuts, kills and errors at every call of the first insert, which makes the file, or the folder and the file; and of a
/// removal.
#[test]
fn every_mishap_of_one_record() {
    for open in [collection as Open, directory] {
        let sweep = usual();
        let empty = |fs: &SimFs| fs.foreign().create_dirs("/w/.filelatch").unwrap();
        let insert = |fs: &SimFs| open(fs).and_then(|records| records.insert("a", &1)).is_ok();
        let inserted = |fs: &SimFs, done: &bool| match &all(fs, open)?[..] {
            [] if !done => Ok(()),
            [(id, 1)] if id == "a" => Ok(()),
            other => Err(format!("done: {done}, and found {other:?}")),
        };
        sweep.everything(empty, insert, inserted).assert_clean();
        let remove = |fs: &SimFs| open(fs).and_then(|records| records.delete("a")).is_ok();
        let removed = |fs: &SimFs, done: &bool| match all(fs, open)?.len() {
            2 if !done => Ok(()),
            1 => Ok(()),
            n => Err(format!("done: {done}, and {n} are left")),
        };
        sweep.everything(|fs| with_records(fs, open), remove, removed).assert_clean();
    }
}

/// STORE-1: two that move something between records at once: nothing is lost or made, in every order with few preemptions.
#[test]
fn two_movers() {
    for (name, open) in [("movers in one file", collection as Open), ("movers in files", directory)] {
        run(name, &brief(), 20, |plan: &mut Plan| {
            with_records(plan.fs(), open);
            for amount in [1, 100] {
                plan.process(&amount.to_string(), move |fs| {
                    let Ok(records) = open(fs) else { return };
                    let moved = records.modify(|records| {
                        records.update("a", |value| {
                            *value += amount;
                            Ok::<_, Error>(())
                        })?;
                        records.update("b", |value| {
                            *value += amount;
                            Ok::<_, Error>(())
                        })
                    });
                    moved.unwrap();
                });
            }
            plan.at_end(move |fs| match all(fs, open)? {
                found if is(&found, [("a", 102), ("b", 103)]) => Ok(()),
                found => Err(format!("{found:?}")),
            });
        });
    }
}

/// STORE-1: of two that add a record where there is room for one, each having looked at all, one is refused; also
/// where there is nothing yet that both could lock.
#[test]
fn two_that_look_at_all() {
    // In one file a step is a change like any other.
    for (name, open, looks) in [("room in one file", collection as Open, few(0)), ("room in files", directory, few(1))]
    {
        run(name, &looks, 20, |plan: &mut Plan| {
            plan.fs().foreign().create_dirs("/w/a").unwrap();
            let added = Arc::new(Mutex::new(0));
            for id in ["c", "d"] {
                let added = Arc::clone(&added);
                plan.process(id, move |fs| {
                    let Ok(records) = open(fs) else { return };
                    let more = records.modify(|records| {
                        let room = records.list()?.is_empty();
                        if room {
                            records.insert(id, &7)?;
                        }
                        Ok::<_, Error>(room)
                    });
                    *added.lock().unwrap() += u32::from(more.unwrap());
                });
            }
            plan.at_end(move |fs| match (all(fs, open)?.len(), *added.lock().unwrap()) {
                (1, 1) => Ok(()),
                other => Err(format!("{other:?}")),
            });
        });
    }
}

/// STORE-1: who holds a record and who saves it: one after the other, and the save is the last.
#[test]
fn a_holder_and_a_saver() {
    for (name, open) in [("holder in one file", collection as Open), ("holder in files", directory)] {
        run(name, &brief(), 20, |plan: &mut Plan| {
            with_records(plan.fs(), open);
            plan.process("holder", move |fs| {
                let Ok(records) = open(fs) else { return };
                let held = records.lock_record("a", &LockOptions::new()).unwrap();
                let before = held.get().unwrap();
                held.save(&(before + 1)).unwrap();
                assert_eq!(held.get().unwrap(), before + 1, "nobody else changes it");
            });
            plan.process("saver", move |fs| {
                let Ok(records) = open(fs) else { return };
                records
                    .update("a", |value| {
                        *value += 10;
                        Ok::<_, Error>(())
                    })
                    .unwrap();
                records
                    .update("b", |value| {
                        *value += 10;
                        Ok::<_, Error>(())
                    })
                    .unwrap();
            });
            plan.at_end(move |fs| match all(fs, open)? {
                found if is(&found, [("a", 12), ("b", 12)]) => Ok(()),
                found => Err(format!("{found:?}")),
            });
        });
    }
}

/// STORE-1: of two that insert one id, one is told that it is there.
#[test]
fn two_that_insert_one_id() {
    for (name, open) in [("one id in one file", collection as Open), ("one id in files", directory)] {
        run(name, &brief(), 20, |plan: &mut Plan| {
            fs_with_workspace(plan.fs());
            let told = Arc::new(Mutex::new(Vec::new()));
            for value in [1_u64, 2] {
                let told = Arc::clone(&told);
                plan.process(&value.to_string(), move |fs| {
                    let Ok(records) = open(fs) else { return };
                    match records.insert("x", &value) {
                        Ok(_) => told.lock().unwrap().push(value),
                        Err(Error::Store { source: StoreError::Exists { .. }, .. }) => {}
                        Err(e) => panic!("{e}"),
                    }
                });
            }
            plan.at_end(move |fs| {
                let (found, told) = (all(fs, open)?, told.lock().unwrap().clone());
                match (&found[..], &told[..]) {
                    ([(id, value)], [told]) if id == "x" && value == told => Ok(()),
                    _ => Err(format!("{found:?}, told {told:?}")),
                }
            });
        });
    }
}

/// Every order without preemption; the full set has those with one.
fn brief() -> Schedules {
    few(0)
}

fn fs_with_workspace(fs: &SimFs) {
    fs.foreign().create_dirs("/w/.filelatch").unwrap();
}
