//! Kept versions under every mishap at every call, and under two writers in every order: the file keeps all its promises, no replaced
//! version is lost unsaid, and nothing that is kept is wrong.

use std::sync::Arc;

use filelatch::{
    Durability, Error, Filelatch, HardLinks, Keep, LatchFile, LockOptions, Notice, Policy, WriteOptions, Written,
};
use filelatch_fs::sim::{Dials, Foreign, Plan, Schedules, SimFs, Sweep};

const OLD: &[u8] = b"the old version";
const NEW: &[u8] = b"the new version, which is longer";
const FOREIGN: &[u8] = b"written by somebody else";

fn engine(fs: &SimFs, keep: Keep) -> Filelatch {
    engine_for(fs, keep, HardLinks::Replace)
}

fn engine_for(fs: &SimFs, keep: Keep, hard_links: HardLinks) -> Filelatch {
    let mut policy = Policy::default();
    policy.keep = keep;
    policy.hard_links = hard_links;
    let builder = Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host()));
    builder.defaults(policy).session("test").build()
}

/// A workspace, and a file that some program made.
fn with_foreign(fs: &SimFs) {
    fs.foreign().create_dirs("/.filelatch").unwrap();
    fs.foreign().create("/a", OLD).unwrap();
}

/// A workspace, and a file that filelatch wrote and that has a version before it.
fn with_ours(fs: &SimFs) {
    fs.foreign().create_dirs("/.filelatch").unwrap();
    let before = engine(&fs.process(), Keep::Displaced).file("/a").unwrap();
    before.write(b"the first version", &WriteOptions::new()).unwrap();
    before.write(OLD, &WriteOptions::new()).unwrap();
}

/// The same, and a further name.
fn with_links(fs: &SimFs) {
    with_ours(fs);
    fs.foreign().link("/a", "/b").unwrap();
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Done,
    /// Done, and something could not be kept.
    DoneUnkept,
    /// Done, and what was replaced is beside the file.
    DoneBeside,
    NotDurable,
    Failed,
}

fn told(result: Result<Written, Error>) -> Told {
    match result {
        Ok(written) if written.notices.iter().any(|n| matches!(n, Notice::NotKept { .. })) => Told::DoneUnkept,
        Ok(written) if written.notices.iter().any(|n| matches!(n, Notice::ForeignKept { .. })) => Told::DoneBeside,
        Ok(_) => Told::Done,
        Err(Error::PublishedNotDurable { .. }) => Told::NotDurable,
        Err(_) => Told::Failed,
    }
}

/// Replaces unseen.
fn write(fs: &SimFs) -> Told {
    told(engine(fs, Keep::Displaced).file("/a").and_then(|file| file.write(NEW, &WriteOptions::new())))
}

/// Replaces what was read and compared.
fn update(fs: &SimFs, keep: Keep) -> Told {
    let change = |_: Option<&[u8]>| Ok::<_, Error>(Some(NEW.to_vec()));
    told(engine(fs, keep).file("/a").and_then(|file| file.update_bytes(&WriteOptions::new(), change)))
}

/// What is kept, each verified, or known to be damaged.
fn kept(file: &LatchFile) -> Result<Vec<Vec<u8>>, String> {
    let mut all = Vec::new();
    for kept in file.history().map_err(|e| format!("no history: {e}"))? {
        match file.kept(&kept.version) {
            Ok(snapshot) if snapshot.version() == kept.version => all.push(snapshot.bytes().to_vec()),
            Ok(_) => return Err(format!("{kept:?} is something else")),
            Err(Error::DamagedVersion { .. }) => {}
            Err(e) => return Err(format!("{kept:?}: {e}")),
        }
    }
    Ok(all)
}

fn has(all: &[Vec<u8>], content: &[u8]) -> bool {
    all.iter().any(|own| own == content)
}

/// Under a name beside the file, or in a stored conflict.
fn is_beside(fs: &SimFs, content: &[u8]) -> bool {
    let foreign = fs.foreign();
    let in_folder = |dir: &str| {
        let names = foreign.names(dir).unwrap_or_default();
        names.iter().any(|name| *name != "a" && foreign.read(format!("{dir}/{name}")).is_ok_and(|own| own == content))
    };
    let conflicts = foreign.names("/.filelatch/conflicts").unwrap_or_default();
    in_folder("/") || conflicts.iter().any(|conflict| in_folder(&format!("/.filelatch/conflicts/{conflict}")))
}

/// What is known of a scenario.
#[derive(Clone, Copy)]
struct Known {
    /// The replaced version says who wrote it, so that it can be told from somebody's data.
    ours: bool,
    /// Calls failed, and not because the process or the machine came to its end: then a version may not have been kept, and nobody was
    /// there to be told.
    erred: bool,
    keep: Keep,
}

const OURS: Known = Known { ours: true, erred: false, keep: Keep::Displaced };

fn check(fs: &SimFs, told: Told, known: Known) -> Result<(), String> {
    let Known { ours, erred, keep } = known;
    let file = engine(fs, keep).file("/a").map_err(|e| e.to_string())?;
    drop(file.lock_shared(&LockOptions::new()).map_err(|e| format!("the next start is blocked: {e}"))?);
    let found = file.try_read().map_err(|e| e.to_string())?.ok_or("gone")?.bytes().to_vec();
    if found != OLD && found != NEW {
        return Err(format!("{told:?}, and the file is neither old nor new: {found:?}"));
    }
    let done = matches!(told, Told::Done | Told::DoneUnkept | Told::DoneBeside);
    if done && found != NEW {
        return Err(format!("{told:?}, and the file is {found:?}"));
    }
    let history = kept(&file)?;
    let known = [b"the first version", OLD, NEW];
    if let Some(strange) = history.iter().find(|own| !known.contains(&own.as_slice())) {
        return Err(format!("kept: {strange:?}"));
    }
    if told == Told::Done && !has(&history, OLD) {
        return Err("acknowledged, and the version before is not kept".to_owned());
    }
    if told == Told::Done && keep >= Keep::Current && !has(&history, NEW) {
        return Err("acknowledged, and the version itself is not kept".to_owned());
    }
    let unsaid = match told {
        Told::Done | Told::DoneBeside | Told::Failed => true,
        Told::NotDurable => !erred,
        Told::DoneUnkept => false,
    };
    if unsaid && found == NEW && !has(&history, OLD) && !is_beside(fs, OLD) {
        return Err(format!("{told:?}: the version before is neither kept nor beside the file"));
    }
    // The next process: keeps what is there now, and what a dead one did not come to keep.
    let written = file.write(b"next", &WriteOptions::new()).map_err(|e| format!("cannot write any more: {e}"))?;
    // A power cut may leave a second name where names can't be swapped.
    let known = |notice: &Notice| matches!(notice, Notice::NoSwap | Notice::HardLinks { .. });
    if !written.notices.iter().all(known) {
        return Err(format!("the next write has to tell {:?}", written.notices));
    }
    let history = kept(&file)?;
    if !has(&history, &found) {
        return Err(format!("the next write did not keep {found:?}"));
    }
    if ours && unsaid && told != Told::DoneBeside && found == NEW && !has(&history, OLD) {
        return Err("the version that a dead writer had replaced is not kept".to_owned());
    }
    Ok(())
}

/// KEEP-1, P5.3, P5.5: power cuts, kills and errors at every call of a publish that keeps: the file is old or new; what was acknowledged
/// without a notice has its predecessor in the history, whole, after any mishap; nothing in the history is wrong; and the next process keeps
/// what a killed one did not come to.
#[test]
fn every_mishap() {
    let sweep = Sweep::on(Dials::usual()[0]);
    let displaced = |fs: &SimFs| update(fs, Keep::Displaced);
    let foreign = Known { ours: false, ..OURS };
    sweep.cuts(with_ours, displaced, |fs, told| check(fs, *told, OURS)).assert_clean();
    sweep.kills(with_ours, displaced, |fs, told| check(fs, *told, OURS)).assert_clean();
    sweep.faults(with_ours, displaced, |fs, told| check(fs, *told, Known { erred: true, ..OURS })).assert_clean();
    // Without a folder for versions, and unseen.
    sweep.cuts(with_foreign, write, |fs, told| check(fs, *told, foreign)).assert_clean();
    sweep.kills(with_foreign, write, |fs, told| check(fs, *told, foreign)).assert_clean();
    sweep.faults(with_foreign, write, |fs, told| check(fs, *told, Known { erred: true, ..foreign })).assert_clean();
}

/// KEEP-1: the same where names can't be swapped, where nothing but POSIX is there, and without attributes.
#[test]
fn power_cuts_elsewhere() {
    for dials in &Dials::usual()[1..] {
        let known = Known { ours: dials.xattrs, ..OURS };
        let sweep = Sweep::on(*dials);
        let displaced = |fs: &SimFs| update(fs, Keep::Displaced);
        sweep.cuts(with_ours, displaced, |fs, told| check(fs, *told, known)).assert_clean();
        sweep.cuts(with_ours, write, |fs, told| check(fs, *told, known)).assert_clean();
    }
}

/// KEEP-1: where the file can't be moved: no reflinks, another file system; each version at once; and written in place.
#[test]
fn power_cuts_of_copies() {
    let sweep = Sweep::on(Dials::usual()[0]);
    let current = |fs: &SimFs| update(fs, Keep::Current);
    sweep.cuts(with_ours, current, |fs, told| check(fs, *told, Known { keep: Keep::Current, ..OURS })).assert_clean();
    let far = |fs: &SimFs| {
        fs.fail_verb(filelatch_fs::sim::Verb::MoveOver, std::io::ErrorKind::CrossesDevices);
        update(fs, Keep::Displaced)
    };
    for reflinks in [true, false] {
        let sweep = Sweep::on(Dials { reflinks, ..Dials::usual()[0] });
        sweep.cuts(with_ours, far, |fs, told| check(fs, *told, OURS)).assert_clean();
    }
    let in_place = |fs: &SimFs| {
        let file = engine_for(fs, Keep::Displaced, HardLinks::InPlace).file("/a");
        told(file.and_then(|file| file.write(NEW, &WriteOptions::new())))
    };
    sweep.cuts(with_links, in_place, |fs, told| check_in_place(fs, *told)).assert_clean();
}

/// Whoever locks completes the write; nothing is written after that, for the next write is in place, too.
fn check_in_place(fs: &SimFs, told: Told) -> Result<(), String> {
    let file = engine(fs, Keep::Displaced).file("/a").map_err(|e| e.to_string())?;
    let Ok(guard) = file.lock_shared(&LockOptions::new()) else {
        return Err("the next start is blocked".to_owned());
    };
    drop(guard);
    let found = file.read().map_err(|e| e.to_string())?.bytes().to_vec();
    if found != OLD && found != NEW {
        return Err(format!("{told:?}, and the file is neither old nor new: {found:?}"));
    }
    let history = kept(&file)?;
    if found == NEW && !has(&history, OLD) {
        return Err(format!("{told:?}: the version before is not kept"));
    }
    Ok(())
}

/// KEEP-1: no error of a call that keeps makes the write fail; it is told of, and nothing is left beside the file.
#[test]
fn keeping_never_fails_a_write() {
    let keeps = |call: &filelatch_fs::sim::Call| {
        call.paths.iter().any(|path| path.starts_with("/.filelatch/versions"))
            || call.verb == filelatch_fs::sim::Verb::MoveOver
    };
    let start = |build: fn(&SimFs)| {
        let fs = SimFs::new(Dials::usual()[0]);
        build(&fs);
        fs.settle();
        fs
    };
    let (mut hit, mut unkept) = (0, 0);
    for build in [with_ours as fn(&SimFs), with_foreign] {
        let fs = start(build);
        assert_eq!(update(&fs, Keep::Current), Told::Done);
        let calls: Vec<_> = fs.trace_calls().into_iter().filter(keeps).map(|call| call.number).collect();
        assert!(calls.len() > 5, "{calls:?}");
        for number in calls {
            for fault in Sweep::default().faults {
                let fs = start(build);
                fs.fail_call(number, fault);
                let told = update(&fs, Keep::Current);
                assert!(
                    matches!(told, Told::Done | Told::DoneUnkept),
                    "{fault:?} at #{number}: {told:?}\n{:#?}",
                    fs.trace()
                );
                fs.heal();
                let file = engine(&fs, Keep::Current).file("/a").unwrap();
                assert_eq!(file.read().unwrap().bytes(), NEW);
                let names = fs.foreign().names("/").unwrap();
                assert_eq!(names, [".a.lock", ".filelatch", "a"], "{fault:?} at #{number}: {told:?}");
                let history = kept(&file).unwrap();
                assert!(told == Told::DoneUnkept || has(&history, OLD) && has(&history, NEW), "{fault:?} at #{number}");
                hit += 1;
                unkept += usize::from(told == Told::DoneUnkept);
            }
        }
    }
    assert!(hit > 50 && unkept > 10 && unkept < hit, "{unkept} of {hit}");
}

/// VER-11, KEEP-1: a foreign program acts before every call of a change: what it wrote is under the name, or what the change was made
/// from, or beside the file, or among the kept versions.
#[test]
fn foreign_programs() {
    type Act = fn(&Foreign);
    let acts: [(&str, Act); 2] = [
        ("replaced", |f| f.replace("/a", FOREIGN).unwrap()),
        ("overwritten", |f| f.truncate_and_write("/a", FOREIGN).unwrap()),
    ];
    for (how, act) in acts {
        let append = |fs: &SimFs| {
            let change = |old: Option<&[u8]>| Ok::<_, Error>(Some([old.unwrap_or_default(), b"+"].concat()));
            let file = engine(fs, Keep::Displaced).file("/a");
            told(file.and_then(|file| file.update_bytes(&WriteOptions::new(), change)))
        };
        let somewhere = |fs: &SimFs, told: &Told| {
            // A foreign program does not sync; what a power cut takes of its writes is its own affair.
            if fs.boots() > 1 {
                return Ok(());
            }
            let file = engine(fs, Keep::Displaced).file("/a").map_err(|e| e.to_string())?;
            let history = kept(&file)?;
            let now = fs.foreign().read("/a").is_ok_and(|now| now.starts_with(FOREIGN));
            if now || has(&history, FOREIGN) || is_beside(fs, FOREIGN) {
                return Ok(());
            }
            Err(format!("{how}, told {told:?}, and lost"))
        };
        Sweep::on(Dials::usual()[0]).intrusions(with_ours, append, act, somewhere).assert_clean();
    }
}

/// KEEP-1, VER-7: two processes append, in every order with few preemptions: neither append is lost, and every version that was there before
/// the last is kept, in order.
#[test]
fn two_writers() {
    let plan = |plan: &mut Plan| {
        with_foreign(plan.fs());
        for name in ["1", "2"] {
            plan.process(name, move |fs| {
                let Ok(file) = engine(fs, Keep::Displaced).file("/a") else { return };
                let options = WriteOptions::new().durability(Durability::None);
                let change =
                    |old: Option<&[u8]>| Ok::<_, Error>(Some([old.unwrap_or_default(), name.as_bytes()].concat()));
                file.update_bytes(&options, change).unwrap();
            });
        }
        plan.at_end(|fs| {
            let file = engine(fs, Keep::Displaced).file("/a").map_err(|e| e.to_string())?;
            let now = file.read().map_err(|e| e.to_string())?.bytes().to_vec();
            let history = kept(&file)?;
            let before = &now[..now.len() - 1];
            if now.len() != OLD.len() + 2 || history != [before.to_vec(), OLD.to_vec()] {
                return Err(format!("{now:?} after {history:?}"));
            }
            Ok(())
        });
    };
    let dials = Dials { enumerate: 60, samples: 10, ..Dials::default() };
    let limits = Schedules { dials, steps: 3_000, ..Schedules::with_preemptions(1) };
    let explored = limits.explore(plan);
    println!("two writers that keep: {} schedules", explored.schedules);
    explored.assert_complete();
    limits.sample(1, 200, plan).assert_clean();
}

/// KEEP-1: a version that a killed writer had ready but never published is no version of the document.
#[test]
fn what_was_never_published_is_not_kept() {
    let trace = {
        let fs = SimFs::new(Dials::default());
        with_ours(&fs);
        fs.settle();
        update(&fs, Keep::Displaced);
        fs.trace_calls()
    };
    let swap = trace.iter().find(|call| call.verb == filelatch_fs::sim::Verb::Exchange).unwrap().number;
    let fs = SimFs::new(Dials::default());
    with_ours(&fs);
    fs.settle();
    let victim = fs.process();
    let pid = victim.pid();
    fs.on_call(swap, move |outside| outside.find_process(pid).unwrap().kill());
    update(&victim, Keep::Displaced);
    assert!(is_beside(&fs, NEW));
    // Another process that has swept already goes on, so that its generation is not the newest any more.
    for text in [&b"third"[..], b"fourth", b"fifth"] {
        let file = engine(&fs.process(), Keep::Displaced).file("/a").unwrap();
        file.write(text, &WriteOptions::new()).unwrap();
    }
    let file = engine(&fs.process(), Keep::Displaced).file("/a").unwrap();
    assert!(!is_beside(&fs, NEW), "it is removed");
    let expected = [&b"fourth"[..], b"third", OLD, b"the first version"].map(<[u8]>::to_vec);
    assert_eq!(kept(&file).unwrap(), expected);
}
