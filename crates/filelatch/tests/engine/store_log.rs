//! Append logs as users have them: a plain list as the model, damage byte by byte, compaction, following.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use filelatch::store::log::{Log, LogOptions, Triggers};
use filelatch::{Durability, Error, Filelatch, LockOptions};
use filelatch_fs::sim::SimFs;
use filelatch_fs::{Access, LockKind};
use serde_json::{Value, json};

use super::support::is_full;

fn engine(fs: &SimFs) -> Filelatch {
    Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).session("test").build()
}

fn log(fs: &SimFs) -> Log {
    engine(fs).log("/a.log").unwrap()
}

fn records(log: &Log) -> Result<Vec<(u64, String)>, Error> {
    let text =
        |record: filelatch::store::log::LogRecord| (record.offset, String::from_utf8_lossy(&record.bytes).into_owned());
    log.read(0)?.map(|record| record.map(text)).collect()
}

fn hasty() -> LogOptions<'static> {
    LogOptions { durability: Some(Durability::None), ..LogOptions::default() }
}

/// A small generator (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }
}

/// STORE-8: appends, compactions and rewrites by several handles are what a plain list and a plain map would be; offsets stay.
#[test]
fn like_a_list() {
    for seed in 0..if is_full() { 200 } else { 12 } {
        let mut dice = Dice(seed);
        let fs = SimFs::default();
        let (one, two) = (log(&fs), log(&fs.process()));
        let mut model: Vec<(u64, String)> = Vec::new();
        let mut state: BTreeMap<String, Value> = BTreeMap::new();
        for step in 0..60 {
            let log = if dice.below(2) == 0 { &one } else { &two };
            let key = format!("k{}", dice.below(5));
            let record = match dice.below(8) {
                0 => json!({"note": step, "text": "x".repeat(usize::try_from(dice.below(900)).unwrap())}),
                1 => {
                    state.remove(&key);
                    json!({"op": "delete", "key": key})
                }
                2 => json!({"op": "rename", "key": key, "value": 1}),
                3 => json!({"op": "update", "key": key, "value": 1, "more": 1}),
                4 | 5 => {
                    state.insert(key.clone(), json!([step]));
                    json!({"op": "update", "key": key, "value": [step]})
                }
                6 => {
                    let done = log.compact(&LockOptions::new()).unwrap().unwrap();
                    let last = |wanted: &str| {
                        model.iter().rev().find(|(_, text)| {
                            let value: Value = serde_json::from_str(text).unwrap();
                            is_op(&value) && value["key"] == wanted
                        })
                    };
                    let kept: Vec<_> = model
                        .iter()
                        .filter(|(offset, text)| {
                            let value: Value = serde_json::from_str(text).unwrap();
                            !is_op(&value)
                                || (value["op"] != "delete"
                                    && last(value["key"].as_str().unwrap()).unwrap().0 == *offset)
                        })
                        .cloned()
                        .collect();
                    assert_eq!(done.kept, kept.len() as u64);
                    model = kept;
                    continue;
                }
                _ => json!(step),
            };
            let text = record.to_string();
            let offset = log.append(text.as_bytes(), &hasty()).unwrap();
            assert!(model.last().is_none_or(|(last, _)| *last < offset));
            model.push((offset, text));
        }
        assert_eq!(records(&one).unwrap(), model, "seed {seed}");
        assert_eq!(records(&log(&fs.process())).unwrap(), model, "seed {seed}");
        assert_eq!(two.state().unwrap(), state, "seed {seed}");
        for (offset, _) in &model {
            let rest: Vec<_> = one.read(*offset).unwrap().map(|record| record.unwrap().offset).collect();
            assert_eq!(rest, model.iter().map(|(at, _)| *at).filter(|at| at >= offset).collect::<Vec<_>>());
        }
        assert!(one.verify().unwrap().is_ok());
    }
}

/// STORE-8 (P13): who leads a sync and is stopped meanwhile is not waited for without end: others sync without it.
#[test]
fn a_stopped_leader() {
    let fs = SimFs::default();
    let one = log(&fs);
    one.append(b"1", &LogOptions::default()).unwrap();
    let stopped = fs.process().as_fs().open_dir("/".as_ref()).unwrap();
    let mark = stopped.open(".a.log.sync".as_ref(), Access::ReadWrite).unwrap();
    assert!(mark.try_lock(LockKind::Exclusive).unwrap());
    one.append(b"2", &LogOptions::default()).unwrap();
    assert_eq!(records(&one).unwrap().len(), 2);
    drop(mark);
}

/// By the convention, and by nothing more.
fn is_op(value: &Value) -> bool {
    let known =
        value.as_object().is_some_and(|object| object.keys().all(|key| ["op", "key", "value"].contains(&&**key)));
    known && value["key"].is_string() && ["create", "update", "delete"].contains(&value["op"].as_str().unwrap_or(""))
}

/// A log that was compacted and went on.
fn built() -> (SimFs, Vec<String>) {
    let fs = SimFs::default();
    let log = log(&fs);
    for record in
        ["{\"op\":\"create\",\"key\":\"a\",\"value\":1}", "\"kept\"", "{\"op\":\"update\",\"key\":\"a\",\"value\":2}"]
    {
        log.append(record.as_bytes(), &LogOptions::default()).unwrap();
    }
    log.compact(&LockOptions::new()).unwrap().unwrap();
    for record in ["{\"op\":\"create\",\"key\":\"b\",\"value\":3}", "[\"last\"]"] {
        log.append(record.as_bytes(), &LogOptions::default()).unwrap();
    }
    let all = records(&log).unwrap().into_iter().map(|(_, text)| text).collect();
    (fs, all)
}

/// STORE-8: every byte of the log, its snapshot and its mark changed, zeroed, taken out, doubled, and every cut: what is read was written, and if
/// not all of it is read, that is an error or told by `verify`; `repair` keeps all that is intact, and then the log goes on.
#[test]
fn damage_byte_by_byte() {
    let (fs, all) = built();
    for name in ["a.log", "a.log.snapshot", ".a.log.sync"] {
        let good = fs.foreign().read(format!("/{name}")).unwrap();
        for at in 0..good.len() {
            let mut versions: Vec<(&str, Vec<u8>)> = Vec::new();
            for (what, byte) in [("flipped", good[at] ^ 1), ("zeroed", 0), ("a newline", b'\n'), ("a brace", b'{')] {
                let mut bad = good.clone();
                bad[at] = byte;
                versions.push((what, bad));
            }
            // The rest of them at every byte takes minutes.
            if !is_full() && at % 5 != 0 {
                versions.truncate(1);
            }
            versions.push(("taken out", [&good[..at], &good[at + 1..]].concat()));
            versions.push(("doubled", [&good[..=at], &good[at..]].concat()));
            versions.push(("cut", good[..at].to_vec()));
            for (what, bad) in versions {
                if bad == good {
                    continue;
                }
                fs.foreign().overwrite(format!("/{name}"), &bad).unwrap();
                check_damage(&fs, name, &all, is_full() || at % 35 == 0, &format!("{name}, byte {at} {what}"));
                fs.foreign().overwrite(format!("/{name}"), &good).unwrap();
            }
        }
    }
}

fn check_damage(fs: &SimFs, name: &str, all: &[String], repair: bool, what: &str) {
    let damaged = log(&fs.process());
    let found: Vec<_> = damaged.read(0).unwrap().collect();
    let error = found.iter().any(Result::is_err);
    let read: Vec<_> = found
        .iter()
        .filter_map(|found| found.as_ref().ok())
        .map(|r| String::from_utf8_lossy(&r.bytes).into_owned())
        .collect();
    assert!(read.iter().all(|record| all.contains(record)), "{what}: {read:?}");
    let told = damaged.verify().map_or(true, |found| !found.problems.is_empty());
    assert!(read == all || error || told, "{what}: {read:?}");
    if name == ".a.log.sync" {
        assert_eq!(read, all, "{what}");
    }
    if !error || !repair {
        return;
    }
    // On a copy, for `repair` puts another inode in its place.
    let copy = SimFs::default();
    for other in ["a.log", "a.log.snapshot", ".a.log.sync"] {
        copy.foreign().create(format!("/{other}"), &fs.foreign().read(format!("/{other}")).unwrap()).unwrap();
    }
    let repaired = log(&copy);
    repaired.repair(&LockOptions::new()).unwrap_or_else(|e| panic!("{what}: {e}"));
    let kept = records(&repaired).unwrap_or_else(|e| panic!("{what}: after the repair: {e}"));
    let kept: Vec<_> = kept.into_iter().map(|(_, text)| text).collect();
    assert!(kept.iter().all(|record| all.contains(record)), "{what}: {kept:?}");
    // One place was damaged, so at most one record is lost; a cut loses what it cuts.
    let lost = all.iter().filter(|record| !kept.contains(record)).count();
    assert!(lost <= 1 || what.ends_with("cut"), "{what}: {kept:?}");
    assert!(read.iter().all(|record| kept.contains(record)), "{what}: {read:?} {kept:?}");
    repaired.append(b"\"again\"", &LogOptions::default()).unwrap_or_else(|e| panic!("{what}: after the repair: {e}"));
    assert!(repaired.verify().unwrap().is_ok(), "{what}: {:?}", repaired.verify());
}

/// STORE-8: following goes on through compactions; what was compacted is not shown again.
#[test]
fn following() {
    let fs = SimFs::default();
    let (writer, reader) = (log(&fs), log(&fs.process()));
    let mut follow = reader.follow(0).unwrap();
    let soon = Some(Duration::ZERO);
    let mut next = || follow.next(soon).unwrap().map(|record| String::from_utf8_lossy(&record.bytes).into_owned());
    assert_eq!(next(), None);
    let set = |n: u32| {
        writer.append(json!({"op": "update", "key": "k", "value": n}).to_string().as_bytes(), &LogOptions::default())
    };
    set(1).unwrap();
    assert_eq!(next().unwrap(), "{\"op\":\"update\",\"key\":\"k\",\"value\":1}");
    set(2).unwrap();
    set(3).unwrap();
    writer.compact(&LockOptions::new()).unwrap().unwrap();
    set(4).unwrap();
    let mut seen = Vec::new();
    while let Some(record) = next() {
        seen.push(record.chars().rev().nth(1).unwrap());
    }
    assert!(seen.ends_with(&['4']) && seen.contains(&'3'), "{seen:?}");
    assert_eq!(next(), None);
}

/// STORE-8: triggers by size and age; a second compaction beside the first is refused, not queued.
#[test]
fn triggers() {
    let fs = SimFs::default();
    let log = log(&fs);
    let when = Triggers { bytes: Some(500), age: None };
    let options = LogOptions { compact_when: when, ..LogOptions::default() };
    for n in 0..100 {
        log.append(json!({"op": "update", "key": "k", "value": n}).to_string().as_bytes(), &options).unwrap();
    }
    assert!(fs.foreign().read("/a.log").unwrap().len() < 800);
    assert!(records(&log).unwrap().len() < 12);
    assert_eq!(log.state().unwrap()["k"], 99);
    let old = Triggers { bytes: None, age: Some(Duration::from_secs(3600)) };
    assert_eq!(log.compact_if(old, &LockOptions::new()).unwrap(), None);
    fs.host().advance(Duration::from_secs(3601));
    assert!(log.compact_if(old, &LockOptions::new()).unwrap().is_some());
    let other = engine(&fs.process()).file("/a.log.snapshot").unwrap();
    let held = other.lock(&LockOptions::new()).unwrap();
    assert_eq!(log.compact(&LockOptions::new()).unwrap(), None);
    drop(held);
}

/// STORE-8: what is no record is refused, and nothing is written.
#[test]
fn what_is_no_record() {
    let fs = SimFs::default();
    let log = log(&fs);
    for bad in [&b"{"[..], b"", b"1 2", b"{\"a\":\n1}", b"\xff\xfe", b"'x'"] {
        let refused = log.append(bad, &LogOptions::default()).unwrap_err();
        assert_eq!(refused.code(), "invalid", "{refused}");
    }
    assert!(fs.foreign().read("/a.log").is_err());
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    log.append(deep.as_bytes(), &LogOptions::default()).unwrap();
    log.append(b" {\"a\" : 1}\r", &LogOptions::default()).unwrap();
    assert_eq!(records(&log).unwrap()[1].1, " {\"a\" : 1}\r");
    assert_eq!(records(&log).unwrap()[0].1, deep);
}

/// STORE-8: the typed map reads, decides and writes under the lock.
#[test]
fn keyed() {
    let fs = SimFs::default();
    let (mut one, mut two) = (log(&fs).keyed::<u32>(), log(&fs.process()).keyed::<u32>());
    let options = LogOptions::default();
    for _ in 0..10 {
        for counter in [&mut one, &mut two] {
            counter.update("n", &options, |n| Ok::<_, Error>(Some(n.unwrap_or(0) + 1))).unwrap();
        }
    }
    assert_eq!(one.get("n").unwrap(), Some(20));
    one.set("m", &7, &options).unwrap();
    log(&fs).compact(&LockOptions::new()).unwrap().unwrap();
    assert_eq!(two.all().unwrap(), [("m".to_owned(), 7), ("n".to_owned(), 20)]);
    two.remove("n", &options).unwrap();
    assert_eq!(one.get("n").unwrap(), None);
    one.remove("n", &options).unwrap();
}
