//! Every mishap at every call while a conflict is stored and while it is resolved: nothing lost, nothing half there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use filelatch::conflict::{Cause, ConflictContents};
use filelatch::{
    Durability, Error, Expect, Filelatch, LatchFile, Outcome, Resolution, StoredConflict, Strategy, Version,
    WriteOptions,
};
use filelatch_fs::sim::{Dials, Foreign, SimFs, Sweep, for_each_mishap};

use super::support::is_full;

const BASE: &[u8] = b"1\n2\n3\n4\n5\n";
const OURS: &[u8] = b"1\n2\nours\n4\n5\n";
const THEIRS: &[u8] = b"1\n2\ntheirs\n4\n5\n";
const EDITED: &[u8] = b"1\n2\nboth\n4\n5\n";

fn engine(fs: &SimFs) -> Filelatch {
    Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).session("test").build()
}

fn with_workspace(fs: &SimFs) {
    fs.foreign().create_dirs("/.filelatch/sessions").unwrap();
    fs.foreign().create("/a", THEIRS).unwrap();
}

fn merging<'a>() -> WriteOptions<'a> {
    let options = WriteOptions::new().strategy(Strategy::Merge).durability(Durability::Full);
    options.expect(Expect::Version(Version::of(BASE))).base(BASE)
}

/// As `merging`, and what it was made from is not given.
fn seen<'a>() -> WriteOptions<'a> {
    WriteOptions { base: None, ..merging() }
}

/// The id of the stored conflict, if one was told.
fn refused(fs: &SimFs) -> Option<String> {
    match engine(fs).file("/a").and_then(|file| file.write(OURS, &merging())) {
        Err(Error::Conflict(conflict)) => conflict.unmerged.and_then(|unmerged| unmerged.id),
        Err(_) => None,
        Ok(written) => panic!("{written:?}"),
    }
}

/// Every conflict that can be seen is whole.
fn whole(engine: &Filelatch) -> Result<Vec<(StoredConflict, ConflictContents)>, String> {
    let listed = engine.conflicts("/").map_err(|e| format!("cannot list: {e}"))?;
    if let Some(damaged) = listed.damaged.first() {
        return Err(format!("half a conflict is to be seen: {damaged:?}"));
    }
    // What a publish displaced and could not look at is stored as well, without need.
    let ours = listed.stored.into_iter().filter(|stored| stored.cause == Cause::Merge);
    let whole = ours.map(|stored| {
        let contents = engine.conflict_contents(&stored).map_err(|e| format!("not whole: {e}"))?;
        let sides = (contents.base.as_deref(), contents.ours.as_deref(), contents.theirs.as_deref());
        if sides != (Some(BASE), Some(OURS), Some(THEIRS)) {
            return Err(format!("not what was stored: {contents:?}"));
        }
        Ok((stored, contents))
    });
    whole.collect()
}

/// Every mishap at every call. Unless all is wanted: errors on the usual file system only, and of the disks that a power cut can leave
/// a sample.
#[track_caller]
fn everywhere<A>(
    build: impl Fn(&SimFs),
    scenario: impl Fn(&SimFs) -> A,
    check: impl Fn(&SimFs, &A) -> Result<(), String>,
) {
    if is_full() {
        return for_each_mishap(build, scenario, check);
    }
    for (i, dials) in Dials::usual().into_iter().enumerate() {
        let sweep = Sweep::on(Dials { enumerate: 8, samples: 4, ..dials });
        sweep.cuts(&build, &scenario, &check).assert_clean();
        sweep.kills(&build, &scenario, &check).assert_clean();
        if i == 0 {
            let once = Dials { enumerate: 1, samples: 1, ..dials };
            Sweep::on(once).faults(&build, &scenario, &check).assert_clean();
        }
    }
}

fn file(engine: &Filelatch) -> Result<LatchFile, String> {
    engine.file("/a").map_err(|e| e.to_string())
}

/// MERGE-4: whatever happens while a conflict is stored, on every kind of file system: who was told an id finds it whole, half ones are
/// not to be seen, the file is as it was, and the same write can be tried and resolved afterwards.
#[test]
fn storing() {
    everywhere(with_workspace, refused, |fs, told| {
        let engine = engine(fs);
        let stored = whole(&engine)?;
        if let Some(id) = told
            && !stored.iter().any(|(stored, _)| stored.id == *id && stored.is_open())
        {
            return Err(format!("told {id}, and it is not there: {stored:?}"));
        }
        if fs.foreign().read("/a").ok().as_deref() != Some(THEIRS) {
            return Err("a refused write changed the file".to_owned());
        }
        let again = refused(fs).ok_or("it cannot be stored any more")?;
        let file = file(&engine)?;
        file.resolve(&again, &Resolution::Mine, &WriteOptions::new()).map_err(|e| format!("unresolvable: {e}"))?;
        match fs.foreign().read("/a") {
            Ok(found) if found == OURS => Ok(()),
            other => Err(format!("resolved, and the file is {other:?}")),
        }
    });
}

/// MERGE-4: whatever happens while a conflict is resolved: the file is as it was or as it was decided; both versions are still there; who
/// was told that it is done finds it so, with the file as it was before in the backup; and it can be resolved afterwards.
#[test]
fn resolving() {
    let build = |fs: &SimFs| {
        with_workspace(fs);
        refused(fs).expect("stored");
    };
    let resolve = |fs: &SimFs| {
        let engine = engine(fs);
        let Ok(file) = engine.file("/a") else { return false };
        let Ok(stored) = file.conflicts() else { return false };
        let [stored] = &stored[..] else { return false };
        file.resolve(&stored.id, &Resolution::Content(EDITED.to_vec()), &WriteOptions::new()).is_ok()
    };
    everywhere(build, resolve, |fs, done| {
        let engine = engine(fs);
        let found = fs.foreign().read("/a").map_err(|e| e.to_string())?;
        if found != THEIRS && found != EDITED {
            return Err(format!("the file is neither: {found:?}"));
        }
        let stored = whole(&engine)?;
        let [(stored, _)] = &stored[..] else { return Err(format!("one was stored: {stored:?}")) };
        let backup = || fs.foreign().read(stored.dir.join("backup"));
        if found == EDITED && backup().ok().as_deref() != Some(THEIRS) {
            return Err(format!("written over without a backup: {:?}", backup()));
        }
        if *done && (found != EDITED || stored.is_open()) {
            return Err(format!("done, and yet {found:?}, {:?}", stored.state));
        }
        if !stored.is_open() && found != EDITED {
            return Err("it counts as resolved, and the file is as it was".to_owned());
        }
        if stored.is_open() {
            file(&engine)?
                .resolve(&stored.id, &Resolution::Content(EDITED.to_vec()), &WriteOptions::new())
                .map_err(|e| format!("cannot be resolved any more: {e}"))?;
        }
        Ok(())
    });
}

/// VER-11, MERGE-4: a foreign program writes before any call of a merging write. Its change and ours are in the file at the end, or ours is
/// stored as a conflict, or both are; what it wrote is never lost.
#[test]
fn foreign_programs_meet_a_merge() {
    type Act = fn(&Foreign);
    type Way = fn(&LatchFile) -> Result<Outcome, Error>;
    const FOREIGN: &[u8] = b"1\n2\n3\n4\nforeign\n";
    const BOTH: &[u8] = b"ours\n2\n3\n4\nforeign\n";
    const MINE: &[u8] = b"ours\n2\n3\n4\n5\n";
    let acts: [(&str, Act); 3] = [
        ("replaced", |f| f.replace("/a", FOREIGN).unwrap()),
        ("overwritten", |f| f.overwrite("/a", FOREIGN).unwrap()),
        ("cut and written", |f| f.truncate_and_write("/a", FOREIGN).unwrap()),
    ];
    let build = |fs: &SimFs| {
        fs.foreign().create_dirs("/.filelatch/sessions").unwrap();
        fs.foreign().create("/a", BASE).unwrap();
    };
    for (how, act) in acts {
        let ways: [(&str, Way); 4] = [
            ("write", |file| file.write(MINE, &merging()).map(|written| written.outcome)),
            ("write without a base", |file| file.write(MINE, &seen()).map(|written| written.outcome)),
            ("guard", |file| {
                file.lock(&filelatch::LockOptions::new())?.write(MINE, &seen()).map(|written| written.outcome)
            }),
            ("once", |file| {
                let options = WriteOptions::new().strategy(Strategy::Merge).run_once();
                let mut runs = 0;
                let change = |old: Option<&[u8]>| {
                    runs += 1;
                    let old = old.unwrap_or_default();
                    Ok::<_, Error>(Some([b"ours\n", old.strip_prefix(b"1\n").unwrap_or(old)].concat()))
                };
                let written = file.update_bytes(&options, change)?;
                assert_eq!(runs, 1);
                Ok(written.outcome)
            }),
        ];
        for (way, write) in ways {
            let merged = AtomicUsize::new(0);
            let scenario = |fs: &SimFs| {
                let outcome = engine(fs).file("/a").and_then(|file| write(&file)).ok();
                merged.fetch_add(usize::from(outcome == Some(Outcome::Merged)), Relaxed);
                outcome
            };
            let check = |fs: &SimFs, told: &Option<Outcome>| {
                if fs.boots() > 1 {
                    return Ok(());
                }
                let found = fs.foreign().read("/a").map_err(|e| e.to_string())?;
                let stored = engine(fs).conflicts("/").map_err(|e| e.to_string())?;
                let keeps = |bytes: &[u8]| {
                    let version = Version::of(bytes);
                    let sides = |stored: &StoredConflict| {
                        [&stored.ours, &stored.theirs].into_iter().flatten().any(|side| side.version == version)
                    };
                    stored.stored.iter().any(sides)
                };
                let beside = fs.foreign().names("/").map_err(|e| e.to_string())?.into_iter().any(|name| {
                    name.starts_with(".a.") && fs.foreign().read(format!("/{name}")).is_ok_and(|bytes| bytes == FOREIGN)
                });
                if !(found == BOTH || found == FOREIGN || keeps(FOREIGN) || beside) {
                    return Err(format!("{how}, {way}: the foreign change is lost: {told:?} {found:?}"));
                }
                let ours = found == BOTH || found == MINE || keeps(MINE) || found == FOREIGN && beside;
                match told {
                    // Written, and after that the foreign program wrote over it.
                    Some(Outcome::Written) => Ok(()),
                    Some(Outcome::Merged) if found == BOTH || found == FOREIGN => Ok(()),
                    None if ours => Ok(()),
                    told => Err(format!("{how}, {way}: told {told:?}, and {found:?}")),
                }
            };
            let report = Sweep::on(Dials::usual()[0]).intrusions(build, scenario, act, check);
            report.assert_clean();
            // What was compared is the base, also where nobody gave one.
            assert!(merged.load(Relaxed) > 0, "{how}, {way}: never merged");
        }
    }
}
