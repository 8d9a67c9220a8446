//! The audit log under every mishap at every call, and under two writers in every order: writes keep their promises whatever becomes of
//! it, and nothing but an attack looks like one.

use std::sync::Arc;

use filelatch::audit::{AuditFilter, ProblemKind, Verified, VerifyOptions};
use filelatch::{Durability, Error, Filelatch, Notice, WriteOptions};
use filelatch_fs::sim::{Dials, Plan, Schedules, SimFs, Sweep};

use super::support::is_full;

/// A record is longer: each write begins a file, and removes one.
const TINY: &str = "keep = \"none\"\n[audit]\nfile_bytes = \"64B\"\nkeep_bytes = \"2KB\"\n";
const USUAL: &str = "keep = \"none\"\n";

fn engine(fs: &SimFs) -> Filelatch {
    Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).session("test").build()
}

/// A workspace, and a file whose first version is recorded.
fn with_log(fs: &SimFs, config: &str) {
    fs.foreign().create_dirs("/.filelatch").unwrap();
    fs.foreign().create("/.filelatch/config.toml", config.as_bytes()).unwrap();
    engine(&fs.process()).file("/a").unwrap().write(b"0", &WriteOptions::new()).unwrap();
}

fn verify(fs: &SimFs) -> Result<Verified, String> {
    let audit = engine(fs).audit("/").map_err(|e| e.to_string())?;
    audit.verify(&VerifyOptions::new()).map_err(|e| format!("cannot be verified: {e}"))
}

/// Nothing is wrong but publishes without a record.
fn whole(fs: &SimFs) -> Result<Verified, String> {
    let found = verify(fs)?;
    match found.problems.iter().find(|problem| problem.kind != ProblemKind::Unrecorded) {
        Some(problem) => Err(format!("it looks like an attack: {problem}")),
        None => Ok(found),
    }
}

/// Two writes; the versions that were acknowledged.
fn two_writes(fs: &SimFs) -> Vec<u8> {
    let mut acknowledged = Vec::new();
    for text in [b'1', b'2'] {
        let file = engine(fs).file("/a");
        let written = file.and_then(|file| file.write(&[text], &WriteOptions::new()));
        if written.is_ok() {
            acknowledged.push(text);
        }
    }
    acknowledged
}

/// The log is whole but for the end, and goes on: the next write has its record, and then all is well.
fn goes_on(fs: &SimFs, acknowledged: &[u8]) -> Result<(), String> {
    let found = whole(fs)?;
    let file = engine(fs).file("/a").map_err(|e| e.to_string())?;
    let now = file.try_read().map_err(|e| e.to_string())?.map(|now| now.bytes().to_vec());
    let last = acknowledged.last().copied().unwrap_or(b'0');
    if !now.as_ref().is_some_and(|now| now.len() == 1 && now[0] >= last) {
        return Err(format!("acknowledged {acknowledged:?}, and found {now:?}"));
    }
    let written = file.write(b"next", &WriteOptions::new()).map_err(|e| format!("cannot write any more: {e}"))?;
    if let Some(notice) = written.notices.iter().find(|notice| matches!(notice, Notice::NotAudited { .. })) {
        return Err(format!("the log does not go on: {notice}; it was {found:?}"));
    }
    let found = verify(fs)?;
    if !found.is_ok() {
        return Err(format!("after the next write: {:?}", found.problems));
    }
    let all = engine(fs).audit("/").and_then(|audit| audit.records(&AuditFilter::new())).map_err(|e| e.to_string())?;
    let last = all.records.iter().rev().find(|record| record.event() == "write");
    let hash = written.version.map(|version| version.to_string());
    if last.and_then(|record| record.text("hash")) != hash.as_deref() {
        return Err(format!("the next write has no record: {:?}", all.records));
    }
    Ok(())
}

/// Whatever is the matter with it, the next write is made and recorded.
fn goes_on_damaged(fs: &SimFs) -> Result<(), String> {
    let written = engine(fs).file("/a").and_then(|file| file.write(b"next", &WriteOptions::new()));
    let written = written.map_err(|e| format!("cannot write any more: {e}"))?;
    let all = engine(fs).audit("/").and_then(|audit| audit.records(&AuditFilter::new())).map_err(|e| e.to_string())?;
    let last = all.records.iter().rev().find(|record| record.event() == "write");
    let hash = written.version.map(|version| version.to_string());
    if last.and_then(|record| record.text("hash")) != hash.as_deref() || !written.notices.is_empty() {
        return Err(format!("{:?}, and recorded is {:?}", written.notices, all.records));
    }
    Ok(())
}

/// KEEP-2, P15: the power is cut and the process killed before every call, and each call fails in every way, in a log with one file and in
/// one that begins and removes a file with each write: what is left of it looks like no attack, the next writer goes on, and files keep
/// what was promised of them.
#[test]
fn every_mishap() {
    for config in [USUAL, TINY] {
        let kinds = if is_full() { 4 } else { 1 };
        for dials in &Dials::usual()[..kinds] {
            let few = Dials { enumerate: 8, samples: 4, ..*dials };
            let sweep = Sweep::on(if is_full() { *dials } else { few });
            let build = |fs: &SimFs| with_log(fs, config);
            sweep.cuts(build, two_writes, |fs, told| goes_on(fs, told)).assert_clean();
            sweep.kills(build, two_writes, |fs, told| goes_on(fs, told)).assert_clean();
            // A disk that fails to sync and then loses power has damaged the log, and that is what verifying says.
            let on = |fs: &SimFs, told: &Vec<u8>| if fs.boots() > 1 { goes_on_damaged(fs) } else { goes_on(fs, told) };
            sweep.faults(build, two_writes, on).assert_clean();
        }
    }
}

/// KEEP-2: an audit log that can't be written makes no write fail, whatever the error; the writer is told, and what could not be written is
/// counted or written later: no publish has two records.
#[test]
fn errors_of_the_log_alone() {
    let mut hit = 0;
    for config in [USUAL, TINY] {
        let start = || {
            let fs = SimFs::new(Dials::default());
            with_log(&fs, config);
            fs.settle();
            fs
        };
        let write = |fs: &SimFs| {
            let latch = engine(fs);
            let file = latch.file("/a").unwrap();
            let notices = [b"1", b"2"].map(|text| file.write(text, &WriteOptions::new()).unwrap().notices);
            (notices.concat(), latch)
        };
        let fs = start();
        let (notices, _) = write(&fs);
        assert_eq!(notices, []);
        let of_the_log =
            |call: &filelatch_fs::sim::Call| call.paths.iter().any(|path| path.starts_with("/.filelatch/audit"));
        let calls: Vec<_> = fs.trace_calls().into_iter().filter(of_the_log).collect();
        assert!(calls.len() > 10, "{calls:?}");
        for call in calls {
            for fault in Sweep::default().faults.into_iter().filter(|fault| fault.may_hit(call.verb)) {
                let fs = start();
                fs.fail_call(call.number, fault);
                let (_, latch) = write(&fs);
                fs.heal();
                assert_eq!(fs.foreign().read("/a").unwrap(), b"2", "{fault:?} at {call:?}");
                // What waits is written with the next.
                latch.file("/a").unwrap().write(b"3", &WriteOptions::new()).unwrap();
                assert_eq!(latch.audit_trouble(), []);
                let found = whole(&fs).unwrap_or_else(|e| panic!("{fault:?} at {call:?}: {e}"));
                let lost = found.notes.iter().any(|note| note.contains("could not be written"));
                assert!(found.is_ok() || lost, "{fault:?} at {call:?}: {found:?}");
                assert_once(&fs, &format!("{fault:?} at {call:?}"));
                hit += 1;
            }
        }
    }
    assert!(hit > 100, "{hit}");
}

/// No version has two records.
#[track_caller]
fn assert_once(fs: &SimFs, how: &str) {
    let audit = engine(fs).audit("/").unwrap();
    let all = audit.records(&AuditFilter::new().event("write")).unwrap().records;
    let mut seen: Vec<_> = all.iter().map(|record| (record.count("generation"), record.text("hash"))).collect();
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), count, "{how}: {all:?}");
}

/// KEEP-2: a log whose folder can't be made: each write says so, and what waits is written when it can be, or counted.
#[test]
fn a_log_that_cannot_be_written() {
    let fs = SimFs::new(Dials::default());
    fs.foreign().create_dirs("/.filelatch").unwrap();
    fs.foreign().create("/.filelatch/config.toml", USUAL.as_bytes()).unwrap();
    fs.foreign().create("/.filelatch/audit", b"in the way").unwrap();
    let latch = engine(&fs);
    let file = latch.file("/a").unwrap();
    let options = WriteOptions::new().durability(Durability::None);
    for n in 0..5000 {
        let written = file.write(format!("{n}").as_bytes(), &options).unwrap();
        let told = written.notices.iter().any(|notice| matches!(notice, Notice::NotAudited { .. }));
        assert!(told, "{:?}", written.notices);
    }
    fs.foreign().remove("/.filelatch/audit").unwrap();
    assert_eq!(file.write(b"last", &options).unwrap().notices, []);
    let all = latch.audit("/").unwrap().records(&AuditFilter::new()).unwrap().records;
    let lost = all.iter().find(|record| record.event() == "lost").and_then(|record| record.count("records")).unwrap();
    let recorded = all.iter().filter(|record| record.event() == "write").count() as u64;
    assert_eq!((recorded + lost, recorded), (5001, 4096));
    assert_eq!(latch.audit_trouble(), []);
}

/// KEEP-2: a process that was stopped has the log's lock: no write fails, each says so, and all is made up for as far as it can be.
#[test]
fn a_lock_that_is_not_given_back() {
    let fs = SimFs::new(Dials::default());
    with_log(&fs, USUAL);
    let stopped = fs.process();
    let lock = stopped.as_fs().open_dir("/.filelatch/audit".as_ref()).unwrap();
    let lock = lock.open(".lock".as_ref(), filelatch_fs::Access::ReadWrite).unwrap();
    assert!(lock.try_lock(filelatch_fs::LockKind::Exclusive).unwrap());
    let latch = engine(&fs);
    let file = latch.file("/a").unwrap();
    for text in [b"1", b"2"] {
        let written = file.write(text, &WriteOptions::new()).unwrap();
        assert!(matches!(written.notices[..], [Notice::NotAudited { .. }]), "{:?}", written.notices);
    }
    assert_eq!(latch.audit_trouble().len(), 1);
    drop(lock);
    assert_eq!(latch.audit_trouble(), []);
    let found = verify(&fs).unwrap();
    assert!(found.is_ok() && found.records == 4, "{found:?}");
}

/// KEEP-2: two processes write two files, each with a log file of its own for every record, in every order with one preemption: the chain is
/// whole, and each publish has one record.
#[test]
fn two_writers() {
    for config in [USUAL.to_owned(), TINY.replace("2KB", "1MB")] {
        let plan = |plan: &mut Plan| {
            plan.fs().foreign().create_dirs("/.filelatch").unwrap();
            plan.fs().foreign().create("/.filelatch/config.toml", config.as_bytes()).unwrap();
            for name in ["1", "2"] {
                plan.process(name, move |fs| {
                    let options = WriteOptions::new().durability(Durability::None);
                    let Ok(file) = engine(fs).file(format!("/{name}")) else { return };
                    for text in [b"1", b"2"] {
                        if let Ok(written) = file.write(text, &options) {
                            assert_eq!(written.notices, []);
                        }
                    }
                });
            }
            plan.at_end(|fs| {
                let found = verify(fs)?;
                if !found.is_ok() {
                    return Err(format!("{:?}", found.problems));
                }
                let filter = AuditFilter::new().event("write");
                let all =
                    engine(fs).audit("/").and_then(|audit| audit.records(&filter)).map_err(|e: Error| e.to_string())?;
                let mut paths: Vec<_> = all.records.iter().filter_map(filelatch::audit::AuditRecord::path).collect();
                paths.sort();
                if paths != ["1", "1", "2", "2"].map(std::path::PathBuf::from) {
                    return Err(format!("recorded are {paths:?}"));
                }
                Ok(())
            });
        };
        let dials = Dials { enumerate: 20, samples: 5, ..Dials::default() };
        let limits = Schedules { dials, steps: 12_000, ..Schedules::with_preemptions(1) };
        let explored = limits.explore(plan);
        println!("two writers of a log: {} schedules", explored.schedules);
        explored.assert_complete();
        limits.sample(1, 100, plan).assert_clean();
    }
}
