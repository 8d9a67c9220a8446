//! Every mishap at every call: power cuts, kills, I/O errors, foreign programs, on a simulated disk.
//!
//! After each one the next process, and a machine that mounts each disk which could be left, start afresh, look, and write.

use std::sync::Arc;

use filelatch::{
    Durability, Error, Expect, Filelatch, HardLinks, LatchFile, LockOptions, Policy, Version, WriteOptions,
};
use filelatch_fs::sim::{Dials, Foreign, SimFs, Sweep, for_each_mishap};

const OLD: &[u8] = b"the old version";
const NEW: &[u8] = b"the new version, which is longer";
const FOREIGN: &[u8] = b"written by somebody else";

fn engine_on(fs: &SimFs, in_place: bool) -> Filelatch {
    let mut policy = Policy::default();
    policy.hard_links = if in_place { HardLinks::InPlace } else { HardLinks::Replace };
    Filelatch::builder()
        .fs(fs.as_fs())
        .host(Arc::new(fs.host()))
        .without_workspaces()
        .defaults(policy)
        .session("test")
        .build()
}

fn with_old(fs: &SimFs) {
    fs.foreign().create("/a", OLD).unwrap();
}

/// The file and a second name for it.
fn with_links(fs: &SimFs) {
    with_old(fs);
    fs.foreign().link("/a", "/b").unwrap();
}

fn nothing(_: &SimFs) {}

/// What a scenario was told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Done,
    /// In place and visible, but perhaps not durable.
    NotDurable,
    Failed,
}

#[expect(clippy::needless_pass_by_value, reason = "a result is told and done with")]
fn told<T>(result: Result<T, Error>) -> Told {
    match result {
        Ok(_) => Told::Done,
        Err(Error::PublishedNotDurable { .. }) => Told::NotDurable,
        Err(_) => Told::Failed,
    }
}

fn write(fs: &SimFs, durability: Durability, in_place: bool) -> Told {
    let file = engine_on(fs, in_place).file("/a");
    told(file.and_then(|file| file.write(NEW, &WriteOptions::new().durability(durability))))
}

/// The content that the next process finds, under a lock.
fn found(file: &LatchFile) -> Result<Option<Vec<u8>>, String> {
    let guard = file.lock_shared(&LockOptions::new()).map_err(|e| format!("the next start is blocked: {e}"))?;
    drop(guard);
    file.try_read().map(|s| s.map(|s| s.bytes().to_vec())).map_err(|e| format!("cannot read: {e}"))
}

/// Is this the machine that the scenario ran on, and not one that was started again after a power cut?
fn is_live(fs: &SimFs) -> bool {
    fs.boots() == 1
}

/// Writes once more, as the next process does; the leftovers.
fn goes_on(fs: &SimFs, file: &LatchFile) -> Result<Vec<String>, String> {
    file.write(b"next", &WriteOptions::new()).map_err(|e| format!("cannot write any more: {e}"))?;
    if fs.foreign().read("/a").ok().as_deref() != Some(b"next") {
        return Err("the next write is not there".to_owned());
    }
    let names = fs.foreign().names("/").map_err(|e| e.to_string())?;
    // The replaced version, which some other program had made, is kept when nobody lived to look at it or could remove it (P5.5).
    let replaced = |name: &String| fs.foreign().read(format!("/{name}")).is_ok_and(|content| content == OLD);
    let known = |name: &String| matches!(name.as_str(), "a" | "b" | ".a.lock");
    Ok(names.into_iter().filter(|name| !known(name) && !replaced(name)).collect())
}

#[expect(clippy::struct_excessive_bools, reason = "independent expectations, set by name")]
struct Wanted {
    before: Option<&'static [u8]>,
    /// An acknowledged version is on every disk.
    durable: bool,
    /// A torn version may be there after a power cut (durability none).
    may_tear: bool,
    tidy: bool,
    in_place: bool,
}

fn check(fs: &SimFs, told: Told, wanted: &Wanted) -> Result<(), String> {
    let live = is_live(fs);
    let file = engine_on(fs, wanted.in_place).file("/a").map_err(|e| e.to_string())?;
    let found = found(&file)?;
    let (old, new) = (found.as_deref() == wanted.before, found.as_deref() == Some(NEW));
    if !old && !new && !wanted.may_tear {
        return Err(format!("{told:?}, and the file is neither old nor new: {found:?}"));
    }
    if told == Told::Done && wanted.durable && !new {
        return Err(format!("acknowledged, and the file is {found:?}"));
    }
    if !live && wanted.in_place && fs.foreign().read("/.a.lock").is_ok_and(|lock| lock.len() < 5) {
        // Known limit: a lock file whose first bytes a power cut took is not known as ours any more (P1), and without a record
        // nothing is written in place.
        return Ok(());
    }
    let left = goes_on(fs, &file)?;
    // A power cut may part a leftover's bytes from its attribution: then it can't be told from somebody's data, and stays.
    if live && wanted.tidy && !left.is_empty() {
        return Err(format!("left behind: {left:?}"));
    }
    Ok(())
}

/// ATOM-1, ATOM-2, ATOM-4, ATOM-7: whatever happens at any call of a *full* write (power cut, kill, every error, once and for
/// good), on every kind of file system: the file is old or new, what was acknowledged is there, nothing blocks the next start
/// or is left behind that it could not sweep.
#[test]
fn full_writes() {
    for (build, before) in [(with_old as fn(&SimFs), Some(OLD)), (nothing, None)] {
        for_each_mishap(
            build,
            |fs| write(fs, Durability::Full, false),
            |fs, told| {
                // Without attributes a leftover can't be told from somebody's data, and stays.
                let tidy = fs.dials().xattrs;
                check(fs, *told, &Wanted { before, durable: true, may_tear: false, tidy, in_place: false })
            },
        );
    }
}

/// ATOM-1, ATOM-2: the power is cut before every call of a publish that waits for less: the file is old or new (without any
/// sync perhaps torn), and nothing blocks the next start.
#[test]
fn power_cuts_at_lower_durability() {
    for dials in Dials::usual() {
        for durability in [Durability::File, Durability::None] {
            for (build, before) in [(with_old as fn(&SimFs), Some(OLD)), (nothing, None)] {
                let may_tear = durability == Durability::None;
                let wanted = Wanted { before, durable: false, may_tear, tidy: false, in_place: false };
                let scenario = |fs: &SimFs| write(fs, durability, false);
                Sweep::on(dials).cuts(build, scenario, |fs, told| check(fs, *told, &wanted)).assert_clean();
            }
        }
    }
}

/// P5.9: the same in place: whoever locks afterwards sees old or new.
#[test]
fn in_place() {
    let wanted = Wanted { before: Some(OLD), durable: true, may_tear: false, tidy: true, in_place: true };
    let scenario = |fs: &SimFs| write(fs, Durability::Full, true);
    let sweep = Sweep::on(Dials::usual()[0]);
    sweep.everything(with_links, scenario, |fs, told| check(fs, *told, &wanted)).assert_clean();
}

/// P5.9: a program that wipes the lock file (`O_TRUNC` before it has the lock, as filelock for Python up to 3.9 does it) comes before
/// any call of a write in place, and the writer is killed before any later one: the file is old or new, or the journal with the
/// new version is there, listed, and stays.
#[test]
fn in_place_with_a_wiped_record() {
    // Shorter than the old one: between the bytes and the new length the file is neither.
    const SHORT: &[u8] = b"new";
    let write = |fs: &SimFs| {
        let options = WriteOptions::new().durability(Durability::Full);
        told(engine_on(fs, true).file("/a").and_then(|file| file.write(SHORT, &options)))
    };
    let calls = {
        let fs = SimFs::new(Dials::default());
        with_links(&fs);
        let before = fs.calls();
        assert_eq!(write(&fs), Told::Done);
        fs.calls() - before
    };
    let (mut whole, mut kept) = (0, 0);
    for wiped in 0..calls {
        for killed in wiped..calls {
            let fs = SimFs::new(Dials::default());
            with_links(&fs);
            fs.settle();
            let (victim, begin) = (fs.process(), fs.calls());
            fs.on_call(begin + wiped, |outside| drop(outside.foreign().truncate_and_write("/.a.lock", b"")));
            let pid = victim.pid();
            fs.on_call(begin + killed, move |outside| outside.find_process(pid).unwrap().kill());
            write(&victim);
            fs.unhook();
            let next = engine_on(&fs.process(), false);
            let file = next.file("/a").unwrap();
            let found = found(&file).unwrap().unwrap();
            if found == OLD || found == SHORT {
                whole += 1;
                continue;
            }
            // Whoever writes now sweeps.
            file.write(b"next", &WriteOptions::new()).unwrap();
            let left = next.leftovers("/").unwrap();
            let journal = left.iter().find(|left| fs.foreign().read(&left.path).is_ok_and(|bytes| bytes == SHORT));
            let journal = journal
                .unwrap_or_else(|| panic!("wiped before #{wiped}, killed before #{killed}: {found:?}, {left:?}"));
            assert!(!journal.disposable, "{journal:?}");
            kept += 1;
        }
    }
    assert!(whole > 100 && kept > 0, "{whole} {kept}");
}

/// VER-11: a foreign program acts before every call of a change: what it wrote is under the name, or what the change was made
/// from, or kept. Where names can't be swapped, or nobody tells of open writers, the last moment is not covered (P5.6).
#[test]
fn foreign_programs() {
    type Act = fn(&Foreign);
    let acts: [(&str, Act); 3] = [
        ("replaced", |f| f.replace("/a", FOREIGN).unwrap()),
        ("overwritten", |f| f.overwrite("/a", FOREIGN).unwrap()),
        ("cut and written", |f| f.truncate_and_write("/a", FOREIGN).unwrap()),
    ];
    let dials = Dials::usual()[0];
    for (how, act) in acts {
        let somewhere = |fs: &SimFs, told: &Told| {
            // A foreign program does not sync; what a power cut takes of its writes is its own affair.
            if !is_live(fs) {
                return Ok(());
            }
            let foreign = fs.foreign();
            let names = foreign.names("/").map_err(|e| e.to_string())?;
            let kept = |name: &String| {
                let content = foreign.read(format!("/{name}")).unwrap_or_default();
                content.starts_with(FOREIGN)
            };
            if names.iter().any(kept) {
                return Ok(());
            }
            Err(format!("{how}, told {told:?}, and lost: {names:?}"))
        };
        let append = |fs: &SimFs| {
            let change = |old: Option<&[u8]>| Ok::<_, Error>(Some([old.unwrap_or_default(), b"+"].concat()));
            told(engine_on(fs, false).file("/a").and_then(|f| f.update_bytes(&WriteOptions::new(), change)))
        };
        Sweep::on(dials)
            .intrusions(with_old, append, act, |fs, told| {
                // With the power on nothing may be missing; the next process is the first to look.
                somewhere(fs, told)
            })
            .assert_clean();
        let compare = |fs: &SimFs| {
            let options = WriteOptions::new().expect(Expect::Version(Version::of(OLD)));
            told(engine_on(fs, false).file("/a").and_then(|f| f.write(NEW, &options)))
        };
        Sweep::on(dials)
            .intrusions(with_old, compare, act, |fs, told| {
                let foreign = fs.foreign().read("/a").is_ok_and(|a| a == FOREIGN);
                if is_live(fs) && *told == Told::Failed && !foreign && fs.foreign().read("/a").is_ok_and(|a| a == NEW) {
                    return Err(format!("{how}, refused, and ours is there all the same"));
                }
                somewhere(fs, told)
            })
            .assert_clean();
    }
}

/// VER-2: a foreign program removes the file before any call: a change makes it anew or is refused; a comparing write never
/// brings it back once it was seen to be gone; nothing blocks the next start.
#[test]
fn removed_by_a_foreign_program() {
    for dials in Dials::usual() {
        let wanted = Wanted { before: None, durable: false, may_tear: true, tidy: dials.xattrs, in_place: false };
        let compare = |fs: &SimFs| {
            let options = WriteOptions::new().expect(Expect::Version(Version::of(OLD)));
            told(engine_on(fs, false).file("/a").and_then(|f| f.write(NEW, &options)))
        };
        let remove = |f: &Foreign| drop(f.remove("/a"));
        Sweep::on(dials).intrusions(with_old, compare, remove, |fs, told| check(fs, *told, &wanted)).assert_clean();
    }
}

/// P5.5: whatever happens to a publish, somebody's file that only looks like a leftover stays.
#[test]
fn foreign_leftovers_stay() {
    let build = |fs: &SimFs| {
        with_old(fs);
        fs.foreign().create("/.a.77-0123456789abcdef.tmp", FOREIGN).unwrap();
        fs.foreign().create("/.a.78-0123456789abcdef.tmp", b"").unwrap();
    };
    let scenario = |fs: &SimFs| write(fs, Durability::Full, false);
    let check = |fs: &SimFs, told: &Told| {
        let wanted = Wanted { before: Some(OLD), durable: true, may_tear: false, tidy: false, in_place: false };
        check(fs, *told, &wanted)?;
        match fs.foreign().read("/.a.77-0123456789abcdef.tmp") {
            Ok(kept) if kept == FOREIGN => Ok(()),
            other => Err(format!("somebody's file: {other:?}")),
        }
    };
    Sweep::on(Dials::usual()[0]).everything(build, scenario, check).assert_clean();
}

/// VER-8: of two changes, one after the other, every acknowledged one is on every disk, in order.
#[test]
fn two_changes() {
    let scenario = |fs: &SimFs| {
        let engine = engine_on(fs, false);
        let add = |token: &'static str| {
            let change =
                move |old: Option<&[u8]>| Ok::<_, Error>(Some([old.unwrap_or_default(), token.as_bytes()].concat()));
            told(engine.file("/a").and_then(|f| f.update_bytes(&WriteOptions::new(), change)))
        };
        [add("1"), add("2")]
    };
    let check = |fs: &SimFs, told: &[Told; 2]| {
        let file = engine_on(fs, false).file("/a").map_err(|e| e.to_string())?;
        let found = found(&file)?.ok_or("gone")?;
        let text = found.strip_prefix(OLD).ok_or("the beginning is gone")?;
        let fine = match told {
            [Told::Done, Told::Done] => text == b"12",
            [Told::Done, _] => text == b"1" || text == b"12",
            [_, Told::Done] => text == b"2" || text == b"12",
            _ => [&b""[..], b"1", b"2", b"12"].contains(&text),
        };
        if !fine {
            return Err(format!("{told:?}, and found {:?}", String::from_utf8_lossy(text)));
        }
        goes_on(fs, &file).map(drop)
    };
    for dials in &Dials::usual()[..2] {
        Sweep::on(*dials).everything(with_old, scenario, check).assert_clean();
    }
}

/// P5.9, P9: a record that is read in pieces is read whole: the unfinished write that it names is completed.
#[test]
fn short_reads_of_a_record() {
    let fs = SimFs::new(Dials::usual()[0]);
    let name = ".a.77-0123456789abcdef.tmp";
    let intent = format!("{{\"kind\":\"in-place\",\"journal\":\"{name}\",\"hash\":\"{}\"}}", Version::of(NEW));
    let record = format!("{{\"v\":1,\"mode\":\"flock\",\"pid\":77,\"host\":\"h\",\"intent\":{intent}}}\n");
    fs.foreign().create("/a", OLD).unwrap();
    fs.foreign().create("/.a.lock", record.as_bytes()).unwrap();
    fs.foreign().create(format!("/{name}"), NEW).unwrap();
    fs.fail_verb(filelatch_fs::sim::Verb::ReadAt, filelatch_fs::sim::Fault::Short(3));
    let file = engine_on(&fs, false).file("/a").unwrap();
    assert_eq!(file.lock_shared(&LockOptions::new()).unwrap().read().unwrap().bytes(), NEW);
}

/// VER-9: where the clock of the file system is coarse, two changes within a tick look alike; the next read sees the second all the
/// same, and a version that has settled is told from a later change.
#[test]
fn changes_within_a_coarse_tick() {
    let fs = SimFs::new(Dials::usual()[0]);
    fs.foreign().create("/a", b"one").unwrap();
    let file = engine_on(&fs, false).file("/a").unwrap();
    for settled in [false, true] {
        for content in [b"two", b"six", b"ten"] {
            if settled {
                fs.host().advance(std::time::Duration::from_secs(1));
            }
            file.read().unwrap();
            fs.foreign().overwrite("/a", content).unwrap();
            assert_eq!(file.read().unwrap().bytes(), content);
        }
    }
}
