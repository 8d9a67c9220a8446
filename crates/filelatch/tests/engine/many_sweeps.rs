//! Writes of several files under every mishap at every call, of the write itself and of those who complete it; and in every order of two
//! processes' calls.

use std::io::ErrorKind;
use std::sync::Arc;

use filelatch::{
    Error, Expect, FileChange, Filelatch, HardLinks, Keep, LockOptions, ManyOptions, Policy, Version, WriteOptions,
};
use filelatch_fs::sim::{Call, Dials, Fault, Foreign, Plan, SimFs, Sweep, Verb};

use super::schedules::{few, run};
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
    let kinds = Dials::usual();
    for dials in &kinds[..if is_full() { kinds.len() } else { 2 }] {
        let sweep = Sweep::on(*dials);
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

/// Where an applier may die, by calls from its beginning: before it is decided, right after that, with one file in, with all of them in, with one
/// note taken back.
fn deaths() -> Vec<(u64, bool)> {
    let fs = SimFs::new(Dials::usual()[0]);
    build(&fs);
    let before = fs.trace_calls().len();
    assert_eq!(apply(&fs.process()), Told::Done);
    let calls = fs.trace_calls().split_off(before);
    let after =
        |wanted: &dyn Fn(&str) -> bool| calls.iter().position(|call| wanted(&call.to_string())).unwrap() as u64 + 1;
    let decided = after(&|call| call.contains("Rename") && call.ends_with(".committed"));
    let one = after(&|call| call.contains("Exchange /w/a"));
    let all = after(&|call| call.contains("RenameNew /w/d/c"));
    let is_note = |call: &&Call| call.verb == Verb::SyncFile && call.to_string().ends_with(".a.lock");
    let forgotten = calls.iter().rfind(is_note).unwrap().number - before as u64 + 1;
    assert!(decided < one && one < all && all < forgotten, "{calls:#?}");
    vec![(decided - 1, false), (decided, true), (one, true), (all, true), (forgotten, true)]
}

/// What an applier leaves that dies before this call.
fn dead(fs: &SimFs, call: u64) {
    build(fs);
    let before = fs.trace_calls().len() as u64;
    let victim = fs.process();
    let killed = victim.clone();
    fs.on_call(before + call, move |_| killed.kill());
    apply(&victim);
    fs.unhook();
}

/// Locks one file after the other.
fn recover(fs: &SimFs) -> bool {
    let latch = engine(fs);
    let lock = |path: &&str| latch.file(path).and_then(|file| file.lock(&LockOptions::new())).is_ok();
    ALL.iter().all(lock)
}

fn check_recovery(fs: &SimFs, done: bool, decided: bool, erred: bool) -> Result<(), String> {
    let wanted = if decided { Told::Done } else { Told::Failed };
    if done && fs.boots() == 1 && !is(&shown(fs), if decided { &AFTER } else { &BEFORE }) {
        return Err(format!("locked by one after the other, and {:?}", shown(fs)));
    }
    check_with(fs, &engine(fs), Some(wanted), erred)
}

/// P9: power cuts, kills and errors at every call of those who complete what a dead applier left, wherever it died: the next goes on, and in
/// the end there is all of it, or nothing if it was never decided.
#[test]
fn recovery_dies_too() {
    let deaths = deaths();
    for &(call, decided) in if is_full() { &deaths[..] } else { &deaths[2..3] } {
        let sweep = Sweep::on(Dials::usual()[0]);
        let build = |fs: &SimFs| dead(fs, call);
        sweep.cuts(build, recover, |fs, done| check_recovery(fs, *done, decided, false)).assert_clean();
        sweep.kills(build, recover, |fs, done| check_recovery(fs, *done, decided, false)).assert_clean();
        let faults = if is_full() { sweep.faults.clone() } else { vec![Fault::EIO] };
        let sweep = Sweep { faults, ..sweep };
        sweep.faults(build, recover, |fs, done| check_recovery(fs, *done, decided, true)).assert_clean();
    }
}

/// P9: the applier dies when it has committed and nobody has made that durable yet; another process completes it, and the power is cut at any
/// point of all that.
#[test]
fn power_cut_after_a_death() {
    let (call, _) = deaths()[1];
    let both = |fs: &SimFs| {
        let victim = fs.process();
        let killed = victim.clone();
        fs.on_call(call, move |_| killed.kill());
        apply(&victim);
        recover(fs).then_some(Told::Done)
    };
    let sweep = Sweep::on(Dials::usual()[0]);
    sweep.cuts(build, both, |fs, told| check_with(fs, &engine(fs), *told, false)).assert_clean();
}

/// P9: each kind of acquisition completes what a dead applier left before anybody sees the file.
#[test]
fn whoever_comes() {
    type Come = fn(&Filelatch) -> Result<(), Error>;
    let comers: [(&str, Come); 8] = [
        ("a lock", |latch| latch.file(A)?.lock(&LockOptions::new()).map(drop)),
        ("a shared lock", |latch| latch.file(A)?.lock_shared(&LockOptions::new()).map(drop)),
        ("a record's lock", |latch| latch.file(A)?.lock_record("7", &LockOptions::new()).map(drop)),
        ("a lease", |latch| latch.file(A)?.lease(&filelatch::LeaseOptions::new()).map(drop)),
        ("a write", |latch| latch.file(A)?.update_bytes(&WriteOptions::new(), |_| Ok::<_, Error>(None)).map(drop)),
        ("the streaming writer", |latch| {
            let new = WriteOptions::new().expect(Expect::Version(Version::of(AFTER[0].unwrap())));
            let writer = latch.file(A)?.writer(&new)?;
            drop(writer.commit(&LockOptions::new())?);
            latch.file(A)?.write(AFTER[0].unwrap(), &WriteOptions::new()).map(drop)
        }),
        ("several", |latch| latch.lock_all([A.as_ref(), B.as_ref()], &LockOptions::new()).map(drop)),
        ("a write of several", |latch| {
            latch.update_many([A, B], &ManyOptions::new(), |_| Ok::<_, Error>(())).map(drop)
        }),
    ];
    let (call, _) = deaths()[1];
    for (who, come) in comers {
        let fs = SimFs::new(Dials::usual()[0]);
        dead(&fs, call);
        assert!(is(&shown(&fs), &BEFORE));
        let latch = engine(&fs);
        come(&latch).unwrap_or_else(|e| panic!("{who}: {e}"));
        assert_eq!(shown(&fs)[0].as_deref(), AFTER[0], "{who}");
        let others = fs.foreign().names("/w/.filelatch/intents").unwrap();
        assert_eq!(others.len(), 1, "{who}: the others still need it");
        // Bytes are the dead one's.
        check_with(&fs, &latch, Some(Told::Done), false).unwrap_or_else(|e| panic!("{who}: {e}"));
    }
}

/// P9, L20: under the fallback lock the same.
#[test]
fn fallback_locks() {
    let latch = |fs: &SimFs| {
        let mut policy = Policy::default();
        policy.lock = filelatch::LockMode::File;
        Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).defaults(policy).session("test").build()
    };
    let apply = |fs: &SimFs| apply_with(&latch(fs));
    Sweep::on(Dials::usual()[0])
        .kills(build, apply, |fs, told| check_with(fs, &latch(fs), Some(*told), false))
        .assert_clean();
}

/// P9: any byte of the intent changed, and the intent cut off anywhere: everybody is refused, with an error that names it, or all is
/// completed; never half of it.
#[test]
fn damaged_intents() {
    let (call, _) = deaths()[2];
    let start = || {
        let fs = SimFs::new(Dials::usual()[0]);
        dead(&fs, call);
        let name = fs.foreign().names("/w/.filelatch/intents").unwrap().remove(0);
        let path = format!("/w/.filelatch/intents/{name}");
        let bytes = fs.foreign().read(&path).unwrap();
        (fs, path, bytes)
    };
    let len = start().2.len();
    assert!(len > 500);
    for at in 0..2 * len {
        let (fs, path, mut bytes) = start();
        if at < len {
            bytes[at] ^= 1;
        } else {
            bytes.truncate(at - len);
        }
        fs.foreign().truncate_and_write(&path, &bytes).unwrap();
        let latch = engine(&fs);
        // One was in before its applier died; the others must not be touched, and nobody gets a lock of any.
        for path in ALL {
            let refused = latch.file(path).unwrap().lock_shared(&LockOptions::new());
            let Err(Error::Unrecovered { problem, .. }) = refused else { panic!("{at}: {refused:?}") };
            assert!(problem.contains(".committed`"), "{at}: {problem}");
        }
        let found = shown(&fs);
        assert_eq!(found[1..], [None, BEFORE[2].map(<[u8]>::to_vec)], "{at}");
    }
}

/// P9: one that is gone, or is the content of another, is refused; one that never was complete, or that nobody named, is cleared away.
#[test]
fn lost_intents() {
    let (call, _) = deaths()[1];
    let fs = SimFs::new(Dials::usual()[0]);
    dead(&fs, call);
    let names = fs.foreign().names("/w/.filelatch/intents").unwrap();
    let path = format!("/w/.filelatch/intents/{}", names[0]);
    fs.foreign().rename(&path, "/w/aside").unwrap();
    let latch = engine(&fs);
    let refused = latch.file(A).unwrap().lock(&LockOptions::new());
    assert!(
        matches!(&refused, Err(e @ Error::Unrecovered { .. }) if e.hints().iter().any(|h| h.contains("doctor --fix")))
    );
    // Another one's content under its name.
    fs.foreign().create(&path, b"filelatch-intent 1").unwrap();
    assert!(matches!(latch.file(A).unwrap().lock(&LockOptions::new()), Err(Error::Unrecovered { .. })));
    fs.foreign().remove(&path).unwrap();
    fs.foreign().rename("/w/aside", &path).unwrap();
    check(&fs, Told::Done).unwrap();
    // What a kill or a power cut leaves of one that nothing names.
    for (name, bytes) in [("new", &b"filelatch-in"[..]), ("prepared", &[0; 300]), ("dropped", b"")] {
        fs.foreign().create(format!("/w/.filelatch/intents/00112233445566aa.{name}"), bytes).unwrap();
        let next = ALL.map(|path| FileChange::write(path, name));
        engine(&fs).apply_many(next, &ManyOptions::new()).unwrap();
        assert_eq!(fs.foreign().names("/w/.filelatch/intents").unwrap(), [""; 0], "{name}");
    }
}

const FOREIGN: &[u8] = b"written by somebody else";

/// P9, VER-11: a program that ignores locks changes one of the files before every call: what it wrote is under the name, among the kept
/// versions, or in a stored conflict; the content that gave way to it is in the conflict; the others are written, or none is.
#[test]
fn foreign_changes() {
    type Act = fn(&Foreign);
    let acts: [(&str, usize, Act); 4] = [
        ("replaced a", 0, |f| f.replace(A, FOREIGN).unwrap()),
        ("overwrote a", 0, |f| f.truncate_and_write(A, FOREIGN).unwrap()),
        ("replaced c, which is to go", 2, |f| f.replace(C, FOREIGN).unwrap()),
        ("created b", 1, |f| f.replace(B, FOREIGN).unwrap()),
    ];
    let partly = |fs: &SimFs| match engine(fs).apply_many(changes(), &ManyOptions::new()) {
        Ok(_) => Some(None),
        Err(Error::Partial(applied)) => Some(Some(*applied)),
        Err(_) => None,
    };
    for (how, at, act) in acts {
        let somewhere = |fs: &SimFs, told: &Option<Option<filelatch::Applied>>| {
            if fs.boots() > 1 {
                return Ok(());
            }
            let latch = engine(fs);
            drop(latch.lock_all_shared(ALL.map(std::path::Path::new), &LockOptions::new()).map_err(|e| e.to_string())?);
            let found = shown(fs);
            let stored = latch.conflicts("/w").map_err(|e| e.to_string())?.stored;
            let side = |wanted: &[u8]| {
                stored.iter().any(|conflict| {
                    let contents = latch.conflict_contents(conflict).unwrap();
                    [contents.ours, contents.theirs].iter().flatten().any(|own| own == wanted)
                })
            };
            let kept = latch.file(ALL[at]).and_then(|file| file.history()).map_err(|e| e.to_string())?;
            let theirs = found[at].as_deref() == Some(FOREIGN)
                || kept.iter().any(|kept| kept.version == Version::of(FOREIGN))
                || side(FOREIGN);
            if !theirs {
                return Err(format!("{how}: lost; {found:?}"));
            }
            let others = |wanted: &[Option<&[u8]>; 3]| {
                (0..3).filter(|other| *other != at).all(|other| found[other].as_deref() == wanted[other])
            };
            match told {
                Some(None) if others(&AFTER) => Ok(()),
                Some(Some(applied)) if others(&AFTER) && applied.is_partial() => {
                    let ours = AFTER[at].is_none_or(|ours| side(ours) || found[at].as_deref() == Some(ours));
                    if ours { Ok(()) } else { Err(format!("{how}: what was to be written is lost")) }
                }
                None if others(&BEFORE) => Ok(()),
                _ => Err(format!("{how}: told {told:?}, and {found:?}")),
            }
        };
        Sweep::on(Dials::usual()[0]).intrusions(build, partly, act, somewhere).assert_clean();
    }
}

/// P9, P5.9: one of the files has another name and is written in place: after any end locked readers see all or nothing.
#[test]
fn in_place() {
    let build = |fs: &SimFs| {
        build(fs);
        fs.foreign().link(A, "/w/link").unwrap();
    };
    let latch = |fs: &SimFs| engine_with(fs, Keep::Displaced, HardLinks::InPlace);
    let apply = |fs: &SimFs| apply_with(&latch(fs));
    let check = |fs: &SimFs, told: Told, erred: bool| {
        check_with(fs, &latch(fs), Some(told), erred)?;
        let both = (fs.foreign().read(A).unwrap(), fs.foreign().read("/w/link").unwrap());
        if both.0 == both.1 { Ok(()) } else { Err(format!("two files: {both:?}")) }
    };
    let sweep = Sweep::on(Dials::usual()[0]);
    sweep.cuts(build, apply, |fs, told| check(fs, *told, false)).assert_clean();
    sweep.kills(build, apply, |fs, told| check(fs, *told, false)).assert_clean();
    let faults = if is_full() { sweep.faults.clone() } else { vec![ErrorKind::StorageFull.into()] };
    Sweep { faults, ..sweep }.faults(build, apply, |fs, told| check(fs, *told, true)).assert_clean();
}

fn pair(fs: &SimFs) {
    fs.foreign().create_dirs("/w/.filelatch/sessions").unwrap();
    fs.foreign().create("/w/1", b"0").unwrap();
    fs.foreign().create("/w/2", b"0").unwrap();
}

fn quick(fs: &SimFs) -> Filelatch {
    engine_with(fs, Keep::None, HardLinks::Replace)
}

/// P9, LOCK-14: two processes write the same two files as one, named in opposite order: both are told that they wrote, no order of their
/// calls hangs, and readers with both locks see one or the other, also after a power cut.
#[test]
fn crossing_writers() {
    run("crossing writes of two files", &few(1), 30, |plan: &mut Plan| {
        pair(plan.fs());
        for (name, paths) in [("x", ["/w/1", "/w/2"]), ("y", ["/w/2", "/w/1"])] {
            plan.process(name, move |fs| {
                let changes = paths.map(|path| FileChange::write(path, name));
                quick(fs).apply_many(changes, &ManyOptions::new()).unwrap();
            });
        }
        plan.at_end(same);
        plan.on_disks(|fs| {
            let latch = quick(fs);
            let paths = ["/w/1".as_ref(), "/w/2".as_ref()];
            drop(latch.lock_all_shared(paths, &LockOptions::new()).map_err(|e| e.to_string())?);
            same(fs)
        });
    });
}

fn same(fs: &SimFs) -> Result<(), String> {
    let both = ["/w/1", "/w/2"].map(|path| fs.foreign().read(path).unwrap_or_default());
    if both[0] == both[1] { Ok(()) } else { Err(format!("{both:?}")) }
}

/// P9: a reader with shared locks on both sees both old or both new, whatever the order of calls.
#[test]
fn writer_and_reader() {
    run("a write of two files and a reader of both", &few(1), 30, |plan: &mut Plan| {
        pair(plan.fs());
        plan.process("writer", |fs| {
            let changes = ["/w/1", "/w/2"].map(|path| FileChange::write(path, "1"));
            quick(fs).apply_many(changes, &ManyOptions::new()).unwrap();
        });
        plan.process("reader", |fs| {
            let latch = quick(fs);
            let guards = latch.lock_all_shared(["/w/1".as_ref(), "/w/2".as_ref()], &LockOptions::new()).unwrap();
            let [one, two] = [&guards[0], &guards[1]].map(|guard| guard.read().unwrap().bytes().to_vec());
            assert_eq!(one, two);
        });
        plan.at_end(same);
    });
}

/// P9, VER-7: a write of two files and an update of one of them: the update is on top of what was there, or of what was written.
#[test]
fn writer_and_updater() {
    run("a write of two files and an update of one", &few(1), 30, |plan: &mut Plan| {
        pair(plan.fs());
        plan.process("writer", |fs| {
            let changed = quick(fs).update_many(["/w/1", "/w/2"], &ManyOptions::new(), |files| {
                for file in files {
                    let bytes = [file.bytes().unwrap_or_default(), b"x"].concat();
                    file.write(bytes);
                }
                Ok::<_, Error>(())
            });
            changed.unwrap();
        });
        plan.process("updater", |fs| {
            let change = |old: Option<&[u8]>| Ok::<_, Error>(Some([old.unwrap_or_default(), b"y"].concat()));
            quick(fs).file("/w/2").unwrap().update_bytes(&WriteOptions::new(), change).unwrap();
        });
        plan.at_end(|fs| {
            let both = ["/w/1", "/w/2"].map(|path| fs.foreign().read(path).unwrap_or_default());
            let fits = both[0] == b"0x" && (both[1] == b"0xy" || both[1] == b"0yx");
            if fits { Ok(()) } else { Err(format!("{both:?}")) }
        });
    });
}

fn doctor(fs: &SimFs, fix: bool) -> Vec<filelatch::doctor::Finding> {
    let options = filelatch::doctor::DoctorOptions::new().fix(fix);
    engine(fs).doctor("/w", &options).unwrap().findings
}

/// P9, LOCK-20: the doctor tells of what a dead applier left, completes it, and clears it away; what can't be completed because it is gone
/// is given up only by it.
#[test]
fn the_doctor() {
    use filelatch::doctor::{Finding, Fix, Kind};
    let (call, _) = deaths()[2];
    let fs = SimFs::new(Dials::usual()[0]);
    dead(&fs, call);
    let found = doctor(&fs, false);
    let unfinished = found.iter().filter(|finding| finding.kind == Kind::UnfinishedWrite);
    assert_eq!(unfinished.clone().count(), 4, "three files and the intent: {found:#?}");
    assert_eq!(unfinished.filter(|finding| finding.fix == Some(Fix::Complete)).count(), 3);
    let fixed = doctor(&fs, true);
    assert!(!fixed.iter().any(Finding::is_open), "{fixed:#?}");
    assert!(is(&shown(&fs), &AFTER));
    assert_eq!(fs.foreign().names("/w/.filelatch/intents").unwrap(), [""; 0]);
    // Gone, by somebody's hand.
    let fs = SimFs::new(Dials::usual()[0]);
    dead(&fs, call);
    let name = fs.foreign().names("/w/.filelatch/intents").unwrap().remove(0);
    fs.foreign().remove(format!("/w/.filelatch/intents/{name}")).unwrap();
    engine(&fs).file(C).unwrap().try_lock().unwrap_err();
    let found = doctor(&fs, false);
    assert!(found.iter().any(|finding| finding.what.contains("`--fix` keeps the file as it is")), "{found:#?}");
    let fixed = doctor(&fs, true);
    assert!(!fixed.iter().any(Finding::is_open), "{fixed:#?}");
    assert_eq!(shown(&fs)[2].as_deref(), BEFORE[2]);
    drop(engine(&fs).file(C).unwrap().try_lock().unwrap());
    // Of one that was never decided nobody but the doctor, or the next write of several, takes notice.
    fs.foreign().create("/w/.filelatch/intents/00112233445566aa.new", b"filelatch-in").unwrap();
    let fixed = doctor(&fs, true);
    assert!(fixed.iter().any(|finding| finding.fix == Some(Fix::Remove)) && !fixed.iter().any(Finding::is_open));
    assert_eq!(fs.foreign().names("/w/.filelatch/intents").unwrap(), [""; 0]);
}
