//! The doctor: each thing that a file system lacks shows; what `fix` removes and what it leaves; nobody at work is disturbed.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::{fs, io};

use filelatch::doctor::{DoctorOptions, Finding, Kind, Level, OtherProcess, Outcome, Report, Verdict};
use filelatch::{Filelatch, LockMode, Policy, Version, Wait, WriteOptions};
use filelatch_fs::sim::{Dials, Fault, Flock, SimFs, Verb};
use filelatch_fs::{Access, FsFile, FsKind, LockKind};
use tempfile::tempdir;

use super::support::*;

// --- What a mount guarantees ---

/// Another simulated process.
struct Neighbour<'a>(&'a SimFs);

impl OtherProcess for Neighbour<'_> {
    fn can_lock(&self, file: &Path) -> io::Result<bool> {
        let process = self.0.process();
        let file = open(&process, file)?;
        file.try_lock(LockKind::Exclusive)
    }

    fn hold_and_die(&self, file: &Path, meanwhile: &mut dyn FnMut()) -> io::Result<bool> {
        let process = self.0.process();
        let file = open(&process, file)?;
        let had = file.try_lock(LockKind::Exclusive)?;
        meanwhile();
        process.kill();
        Ok(had)
    }
}

fn open(process: &SimFs, file: &Path) -> io::Result<Box<dyn FsFile>> {
    use filelatch_fs::Fs;
    process.open_dir(file.parent().unwrap())?.open(file.file_name().unwrap(), Access::ReadWrite)
}

fn sim_engine(fs: &SimFs) -> Filelatch {
    Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).without_workspaces().session("doctor").build()
}

fn examine(fs: &SimFs) -> Report {
    let report = sim_engine(fs).doctor("/", &DoctorOptions::new().other(&Neighbour(fs))).unwrap();
    assert_eq!(fs.foreign().names("/").unwrap(), [""; 0], "the probes leave something");
    report
}

fn verdict(report: &Report, name: &str) -> Verdict {
    report.fact(name).unwrap_or_else(|| panic!("no fact `{name}` in {report:#?}")).verdict
}

/// LOCK-20: on a file system that can do everything every probe is good, and the level is strict.
#[test]
fn a_file_system_that_can_do_everything() {
    let report = examine(&SimFs::default());
    assert!(report.facts.iter().all(|fact| fact.verdict == Verdict::Good), "{:#?}", report.facts);
    assert_eq!((report.overall.level, report.is_healthy()), (Level::Strict, true));
    assert!(report.facts.len() >= 18 && report.overall.advice.is_none());
    let granule = report.fact("timestamps").unwrap().value.as_deref();
    assert_eq!(granule, Some("20 ms or finer"));
}

/// LOCK-20, P5.6: each dial that is turned down shows as its own fact, changes no other, and weakens the level if a promise
/// depends on it.
#[test]
fn each_dial_shows() {
    let all = Dials::default();
    let full = examine(&SimFs::new(all));
    for (dials, shown, verdict, level) in [
        (Dials { exchange: false, ..all }, &["exchange"][..], Verdict::Missing, Level::Limited),
        (Dials { links: false, ..all }, &["hard-links"], Verdict::Missing, Level::Strict),
        (
            Dials { rename_new: false, links: false, ..all },
            &["rename-new", "hard-links"],
            Verdict::Missing,
            Level::Limited,
        ),
        (Dials { xattrs: false, ..all }, &["attributes"], Verdict::Missing, Level::Limited),
        (Dials { range_locks: false, ..all }, &["range-locks"], Verdict::Missing, Level::Limited),
        (Dials { leases: false, ..all }, &["late-writers"], Verdict::Missing, Level::Limited),
        (Dials { reflinks: false, ..all }, &["reflink"], Verdict::Missing, Level::Strict),
        (Dials { kind: FsKind::Network, ..all }, &["file-system"], Verdict::Limited, Level::Limited),
        (Dials { kind: FsKind::Unknown, ..all }, &["file-system"], Verdict::Unknown, Level::Limited),
        (Dials { mount_options: &["rw", "soft"], ..all }, &["mount-options"], Verdict::Limited, Level::Limited),
    ] {
        let report = examine(&SimFs::new(dials));
        for fact in &report.facts {
            let before = full.fact(fact.name).unwrap();
            let expected = if shown.contains(&fact.name) { verdict } else { before.verdict };
            assert_eq!(fact.verdict, expected, "{dials:?}: {fact:?}");
        }
        assert_eq!(report.overall.level, level, "{dials:?}: {:?}", report.overall);
        assert!(report.is_healthy(), "a poorer file system is nothing wrong: {report:#?}");
    }
    let exchange = |dials| examine(&SimFs::new(dials)).fact("exchange").unwrap().meaning.clone();
    assert!(exchange(Dials { exchange: false, ..all }).contains("kept, but not put back"));
    assert!(exchange(Dials { exchange: false, links: false, ..all }).contains("overwritten"));
    let folds = examine(&SimFs::new(Dials { case_insensitive: true, ..all }));
    assert_eq!(folds.fact("case").unwrap().value.as_deref(), Some("folded"));
    let coarse = Dials { timestamp_granule: std::time::Duration::from_secs(2), ..all };
    assert_eq!(examine(&SimFs::new(coarse)).fact("timestamps").unwrap().value.as_deref(), Some("2 s or finer"));
}

/// P4, LOCK-20: where locks are missing the level says what to set for everybody, and that is something wrong.
#[test]
fn locks_that_are_missing() {
    for flock in [Flock::Missing, Flock::Lie] {
        let fs = SimFs::new(Dials { flock, ..Dials::default() });
        let report = examine(&fs);
        assert_eq!(verdict(&report, "lock"), Verdict::Missing);
        assert_eq!((report.overall.level, report.is_healthy()), (Level::FileLock, false));
        assert!(report.overall.advice.as_ref().unwrap().contains("`lock = \"file\"`"), "{:?}", report.overall);
        // Who has set it is told so.
        let settled = file_mode(&fs).doctor("/", &DoctorOptions::new()).unwrap();
        assert!(settled.overall.settled && settled.is_healthy(), "{:?}", settled.overall);
        let without = SimFs::new(Dials { flock, links: false, ..Dials::default() });
        let advice = examine(&without).overall.advice.unwrap();
        assert!(advice.contains("keep the files elsewhere"), "{advice}");
    }
}

/// An engine whose policy is the fallback lock.
fn file_mode(fs: &SimFs) -> Filelatch {
    let mut policy = Policy::default();
    policy.lock = LockMode::File;
    let builder = Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).without_workspaces();
    builder.defaults(policy).build()
}

/// LOCK-10, LOCK-11: a fallback lock of a holder that lives is told of and stays; one of a dead holder is taken over and given back,
/// where the system's locks work and where they do not.
#[test]
fn fallback_locks() {
    for flock in [Flock::Real, Flock::Missing, Flock::Lie] {
        let fs = SimFs::new(Dials { flock, ..Dials::default() });
        fs.foreign().create("/a", b"x").unwrap();
        let holder = fs.process();
        let engine = file_mode(&holder);
        let guard = engine.file("/a").unwrap().lock(&no_wait()).unwrap();
        let fix = || sim_engine(&fs).doctor("/", &DoctorOptions::new().fix(true)).unwrap();
        let held = fix();
        let found = finding(&held, ".a.lock.held");
        assert_eq!((found.kind, found.problem), (Kind::FallbackLock, false), "{flock:?}: {found:?}");
        assert!(fs.foreign().read("/.a.lock.held").is_ok());
        holder.kill();
        drop(guard);
        let listed = sim_engine(&fs).doctor("/", &DoctorOptions::new()).unwrap();
        let found = finding(&listed, ".a.lock.held");
        assert!(found.problem && found.what.contains("its process is gone"), "{flock:?}: {found:?}");
        assert!(fs.foreign().read("/.a.lock.held").is_ok());
        let fixed = fix();
        assert_eq!(finding(&fixed, ".a.lock.held").outcome, Some(Outcome::Done), "{flock:?}: {fixed:#?}");
        assert_eq!(fs.foreign().names("/").unwrap(), [".a.lock", "a"], "{flock:?}");
    }
}

/// P4 (L13): locks that the mount keeps on this machine are not believed, though every probe on this machine is good.
#[test]
fn locks_that_are_known_to_be_local() {
    let nfs = Dials { kind: FsKind::Network, name: "nfs", range_locks: false, ..Dials::default() };
    for (options, level) in [(&["rw", "local_lock=none"][..], Level::Limited), (&["rw", "nolock"], Level::FileLock)] {
        let report = examine(&SimFs::new(Dials { mount_options: options, ..nfs }));
        assert_eq!(verdict(&report, "lock-processes"), Verdict::Good);
        assert_eq!(report.overall.level, level, "{options:?}: {:?}", report.overall);
    }
}

/// P4: a lock that another process gets too is a lie, and one that outlives its process is of no use.
#[test]
fn other_processes_that_are_not_kept_out() {
    let fs = SimFs::default();
    let report = sim_engine(&fs).doctor("/", &DoctorOptions::new().other(&Liar)).unwrap();
    assert_eq!(verdict(&report, "lock"), Verdict::Good);
    assert_eq!(verdict(&report, "lock-processes"), Verdict::Missing);
    assert_eq!(verdict(&report, "lock-death"), Verdict::Missing);
    assert_eq!(report.overall.level, Level::FileLock);
    // Without another process nothing is claimed about it.
    let alone = sim_engine(&fs).doctor("/", &DoctorOptions::new()).unwrap();
    assert_eq!(verdict(&alone, "lock-processes"), Verdict::Unknown);
    assert_eq!(alone.overall.level, Level::Strict);
}

/// ATOM-2: a sync that fails, and memory and mounts where it means little, are told.
#[test]
fn syncs_that_fail() {
    for (verb, name) in [(Verb::SyncFile, "sync-file"), (Verb::SyncDir, "sync-dir")] {
        let fs = SimFs::default();
        fs.fail_verb(verb, Fault::EIO);
        let report = examine(&fs);
        assert_eq!((verdict(&report, name), report.overall.level), (Verdict::Missing, Level::Limited));
    }
    for dials in [
        Dials { name: "tmpfs", ..Dials::default() },
        Dials { name: "ext4", mount_options: &["rw", "barrier=0"], ..Dials::default() },
    ] {
        assert_eq!(verdict(&examine(&SimFs::new(dials)), "durability"), Verdict::Limited);
    }
}

/// Each call of the probes fails, once and for good: the doctor answers, and leaves nothing that could be removed; what
/// failed is unknown or missing, never good.
#[test]
fn io_errors_while_probing() {
    let count = {
        let fs = SimFs::default();
        examine(&fs);
        fs.calls()
    };
    assert!(count > 100);
    for lasting in [false, true] {
        for call in 0..count {
            let fs = SimFs::default();
            if lasting {
                fs.fail_from(call, Fault::EIO);
            } else {
                fs.fail_call(call, Fault::EIO);
            }
            let report = sim_engine(&fs).doctor("/", &DoctorOptions::new().other(&Neighbour(&fs)));
            fs.heal();
            let left = fs.foreign().names("/").unwrap();
            let told = report.is_ok_and(|report| !report.is_healthy());
            assert!(left.is_empty() || told, "call {call}: {left:?} is left and not told of");
        }
    }
}

/// ATOM-4: where nothing can be written, what can be told is told, and that nothing was tried.
#[test]
fn nothing_can_be_written() {
    for (dials, fault) in [
        (Dials { mount_options: &["ro"], ..Dials::default() }, None),
        (Dials::default(), Some(io::ErrorKind::ReadOnlyFilesystem)),
        (Dials::default(), Some(io::ErrorKind::PermissionDenied)),
    ] {
        let fs = SimFs::new(dials);
        if let Some(kind) = fault {
            fs.fail_verb(Verb::CreateDir, Fault::Error(kind));
        }
        let report = examine(&fs);
        assert_eq!((report.overall.level, report.is_healthy()), (Level::Unknown, true));
        assert!(report.overall.why[0].contains("nothing was tried"), "{:?}", report.overall);
        assert_eq!(verdict(&report, "file-system"), Verdict::Good);
        assert!(report.fact("lock").is_none());
    }
}

// --- What is found, and what is put right ---

fn doctor(dir: &Path, fix: bool) -> Report {
    engine().doctor(dir, &DoctorOptions::new().fix(fix)).unwrap()
}

fn finding<'a>(report: &'a Report, name: &str) -> &'a Finding {
    let mut found = report.findings.iter().filter(|finding| finding.path.file_name().unwrap() == name);
    found.next().unwrap_or_else(|| panic!("`{name}` is not in {:#?}", report.findings))
}

/// Makes a lock file of ours: a record, nobody's lock.
fn lock_file_of(path: &Path) -> std::path::PathBuf {
    let here = file(path);
    drop(here.try_lock().unwrap());
    here.lock_path()
}

/// P1, P5.5, LOCK-19: one row for each thing: what it is called, whether it is a problem, and whether `fix` removes it.
#[test]
#[expect(clippy::too_many_lines, reason = "a table, one row for each thing")]
fn what_is_removed_and_what_is_not() {
    struct Row {
        make: fn(&Path),
        name: &'static str,
        kind: Kind,
        problem: bool,
        removed: bool,
    }
    let rows: [(&str, Row); 14] = [
        (
            "an empty file of a dead writer",
            Row {
                make: |dir| fs::write(dir.join(".a.4194304-00000000000000ab.tmp"), "").unwrap(),
                name: ".a.4194304-00000000000000ab.tmp",
                kind: Kind::Leftover,
                problem: true,
                removed: true,
            },
        ),
        (
            "marked as being prepared",
            Row {
                make: |dir| marked(&dir.join(".a.4194304-00000000000000ab.tmp"), "half", "0"),
                name: ".a.4194304-00000000000000ab.tmp",
                kind: Kind::Leftover,
                problem: true,
                removed: true,
            },
        ),
        (
            "an old version of ours",
            Row {
                make: |dir| {
                    let mark = format!("1 3 {} 1795000000000 s", Version::of(b"old").short());
                    marked(&dir.join(".a.4194304-00000000000000ab.tmp"), "old", &mark);
                },
                name: ".a.4194304-00000000000000ab.tmp",
                kind: Kind::Leftover,
                problem: true,
                removed: true,
            },
        ),
        (
            "an old version of ours that somebody wrote to",
            Row {
                make: |dir| {
                    let mark = format!("1 3 {} 1795000000000 s", Version::of(b"old").short());
                    marked(&dir.join(".a.4194304-00000000000000ab.tmp"), "other", &mark);
                },
                name: ".a.4194304-00000000000000ab.tmp",
                kind: Kind::KeptVersion,
                problem: true,
                removed: false,
            },
        ),
        (
            "somebody's data",
            Row {
                make: |dir| fs::write(dir.join(".a.4194304-00000000000000ab.tmp"), "data").unwrap(),
                name: ".a.4194304-00000000000000ab.tmp",
                kind: Kind::KeptVersion,
                problem: true,
                removed: false,
            },
        ),
        (
            "an empty file with a second name",
            Row {
                make: |dir| {
                    fs::write(dir.join(".a.4194304-00000000000000ab.tmp"), "").unwrap();
                    fs::hard_link(dir.join(".a.4194304-00000000000000ab.tmp"), dir.join("second")).unwrap();
                },
                name: ".a.4194304-00000000000000ab.tmp",
                kind: Kind::KeptVersion,
                problem: true,
                removed: false,
            },
        ),
        (
            "a lock file that never got its name",
            Row {
                make: |dir| fs::write(dir.join("..a.lock.4194304-00000000000000ab.tmp"), "{\"v\":1}\n").unwrap(),
                name: "..a.lock.4194304-00000000000000ab.tmp",
                kind: Kind::Leftover,
                problem: true,
                removed: true,
            },
        ),
        (
            "a leftover of a file that is gone",
            Row {
                make: |dir| fs::write(dir.join(".gone.4194304-00000000000000ab.tmp"), "").unwrap(),
                name: ".gone.4194304-00000000000000ab.tmp",
                kind: Kind::Leftover,
                problem: true,
                removed: true,
            },
        ),
        (
            "a lock file of ours whose file is gone",
            Row {
                make: |dir| drop(lock_file_of(&dir.join("gone"))),
                name: ".gone.lock",
                kind: Kind::OrphanedLockFile,
                problem: true,
                removed: true,
            },
        ),
        (
            "the same, its record zeroed by a power cut",
            Row {
                make: |dir| fs::write(dir.join(".gone.lock"), [0; 200]).unwrap(),
                name: ".gone.lock",
                kind: Kind::OrphanedLockFile,
                problem: true,
                removed: true,
            },
        ),
        (
            "an empty lock file of another program",
            Row {
                make: |dir| fs::write(dir.join(".gone.lock"), "").unwrap(),
                name: ".gone.lock",
                kind: Kind::ForeignLockFile,
                problem: false,
                removed: false,
            },
        ),
        (
            "another program's lock file with content",
            Row {
                make: |dir| fs::write(dir.join(".a.lock"), "4211\n").unwrap(),
                name: ".a.lock",
                kind: Kind::ForeignLockFile,
                problem: false,
                removed: false,
            },
        ),
        (
            "a lock file of a newer filelatch",
            Row {
                make: |dir| fs::write(dir.join(".gone.lock"), "{\"v\":9,\"pid\":77}\n").unwrap(),
                name: ".gone.lock",
                kind: Kind::NewerRecord,
                problem: true,
                removed: false,
            },
        ),
        (
            "a directory in the place of a lock file",
            Row {
                make: |dir| fs::create_dir(dir.join(".a.lock")).unwrap(),
                name: ".a.lock",
                kind: Kind::BadLockFile,
                problem: true,
                removed: false,
            },
        ),
    ];
    for (what, row) in rows {
        let dir = tempdir().unwrap();
        fs::write(dir.path().join("a"), "data").unwrap();
        (row.make)(dir.path());
        let before = names(dir.path());
        let listed = doctor(dir.path(), false);
        assert_eq!(names(dir.path()), before, "{what}: looking changes something");
        let found = finding(&listed, row.name);
        assert_eq!((found.kind, found.problem), (row.kind, row.problem), "{what}: {found:?}");
        assert_eq!(found.fix.is_some(), row.removed, "{what}: {found:?}");
        assert!(!row.problem || found.fix.is_some() || found.advice.is_some(), "{what}: nothing to do: {found:?}");
        let fixed = doctor(dir.path(), true);
        assert_eq!(dir.path().join(row.name).symlink_metadata().is_err(), row.removed, "{what}: {fixed:#?}");
        assert_eq!(fixed.is_healthy(), row.removed || !row.problem, "{what}: {fixed:#?}");
        assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"data");
        let extra: Vec<_> =
            names(dir.path()).into_iter().filter(|name| !before.contains(name) && name != ".a.lock").collect();
        assert!(extra.is_empty(), "{what}: made {extra:?}");
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A file with an attribution.
fn marked(path: &Path, bytes: &str, mark: &str) {
    fs::write(path, bytes).unwrap();
    let file = fs::File::open(path).unwrap();
    rustix::fs::fsetxattr(&file, "user.filelatch", mark.as_bytes(), rustix::fs::XattrFlags::empty()).unwrap();
}

/// P5.9, P9: a write in place that was interrupted is completed, and its journal is not taken for a leftover before.
#[test]
fn an_interrupted_write_in_place() {
    let dir = tempdir().unwrap();
    let journal = ".a.4194304-0123456789abcdef.tmp";
    let intent = format!("{{\"kind\":\"in-place\",\"journal\":\"{journal}\",\"hash\":\"{}\"}}", Version::of(b"new"));
    fs::write(dir.path().join("a"), "old, half").unwrap();
    fs::write(dir.path().join(".a.lock"), format!("{{\"v\":1,\"pid\":4194304,\"intent\":{intent}}}\n")).unwrap();
    marked(&dir.path().join(journal), "new", &format!("1 3 {} 1795000000000 s", Version::of(b"new").short()));
    let listed = doctor(dir.path(), false);
    assert_eq!(listed.findings.len(), 1, "{:#?}", listed.findings);
    assert_eq!((finding(&listed, ".a.lock").kind, listed.is_healthy()), (Kind::UnfinishedWrite, false));
    assert!(doctor(dir.path(), true).is_healthy());
    assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"new");
    assert_eq!(names(dir.path()), [".a.lock", "a"]);
    // Without its journal it can't be completed: everybody is refused, and the doctor says so.
    fs::write(dir.path().join("a"), "old, half").unwrap();
    fs::write(dir.path().join(".a.lock"), format!("{{\"v\":1,\"pid\":4194304,\"intent\":{intent}}}\n")).unwrap();
    let report = doctor(dir.path(), true);
    let outcome = finding(&report, ".a.lock").outcome.clone();
    assert!(matches!(&outcome, Some(Outcome::Left(why)) if why.contains("unfinished")), "{outcome:?}");
    assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"old, half");
}

/// LOCK-19, P1: lock files that let in too many or too few are named, with the command that puts them right.
#[test]
fn modes_of_lock_files() {
    use std::os::unix::fs::PermissionsExt;
    let chmod = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for (data, lock, advice) in [
        (0o600, 0o600, None),
        (0o664, 0o660, None),
        (0o666, 0o666, None),
        (0o644, 0o666, Some("chmod 664")),
        (0o664, 0o600, Some("chmod 660")),
        (0o666, 0o660, Some("chmod 666")),
    ] {
        let dir = tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "x").unwrap();
        let lock_path = lock_file_of(&path);
        chmod(&path, data);
        chmod(&lock_path, lock);
        let report = doctor(dir.path(), true);
        assert_eq!(fs::metadata(&lock_path).unwrap().permissions().mode() & 0o777, lock, "it is a person's to change");
        match advice {
            None => assert!(report.is_healthy(), "{data:o} {lock:o}: {report:#?}"),
            Some(advice) => {
                let found = finding(&report, ".a.lock");
                assert_eq!((found.kind, report.is_healthy()), (Kind::LockFileMode, false));
                assert!(found.advice.as_ref().unwrap().starts_with(advice), "{found:?}");
            }
        }
    }
}

/// P16, LOCK-19: names that were too long for a suffix, files reached by links, folders of version control.
#[test]
fn names_of_all_kinds() {
    let dir = tempdir().unwrap();
    let long = dir.path().join("n".repeat(254));
    fs::write(&long, "x").unwrap();
    let lock = lock_file_of(&long);
    fs::create_dir(dir.path().join(".git")).unwrap();
    fs::write(dir.path().join(".git/.a.4194304-00000000000000ab.tmp"), "").unwrap();
    fs::create_dir(dir.path().join("below")).unwrap();
    fs::write(dir.path().join("below/.a.4194304-00000000000000ab.tmp"), "").unwrap();
    std::os::unix::fs::symlink("below", dir.path().join("link")).unwrap();
    let report = doctor(dir.path(), false);
    assert_eq!(report.findings.len(), 1, "{:#?}", report.findings);
    assert!(report.findings[0].path.ends_with("below/.a.4194304-00000000000000ab.tmp"));
    let shallow = engine().doctor(dir.path(), &DoctorOptions::new().recursive(false)).unwrap();
    assert!(shallow.findings.is_empty());
    // With its file gone nobody can tell the long name any more: a person has to.
    fs::remove_file(&long).unwrap();
    let report = doctor(dir.path(), true);
    let found = finding(&report, lock.file_name().unwrap().to_str().unwrap());
    assert!(found.kind == Kind::OrphanedLockFile && found.fix.is_none() && lock.exists(), "{found:?}");
}

/// What a killed doctor left is removed once its lock is free; the folder of one at work is not.
#[test]
fn scratch_folders() {
    let dir = tempdir().unwrap();
    let scratch = dir.path().join(".filelatch-doctor-4194304-00000000000000ab");
    fs::create_dir(&scratch).unwrap();
    let alive = fs::File::create(scratch.join("alive")).unwrap();
    fs::write(scratch.join("lock"), "").unwrap();
    rustix::fs::flock(&alive, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let report = doctor(dir.path(), true);
    assert!(matches!(report.findings[0].outcome, Some(Outcome::Left(_))), "{:#?}", report.findings);
    assert!(scratch.join("lock").exists());
    drop(alive);
    assert!(doctor(dir.path(), true).is_healthy());
    assert!(!scratch.exists());
    // Somebody's files in a folder of such a name stay.
    fs::create_dir(&scratch).unwrap();
    fs::write(scratch.join("alive"), "").unwrap();
    fs::write(scratch.join("mine"), "data").unwrap();
    assert!(!doctor(dir.path(), true).is_healthy());
    assert_eq!(fs::read(scratch.join("mine")).unwrap(), b"data");
}

struct Liar;

impl OtherProcess for Liar {
    fn can_lock(&self, _: &Path) -> io::Result<bool> {
        Ok(true)
    }

    fn hold_and_die(&self, _: &Path, meanwhile: &mut dyn FnMut()) -> io::Result<bool> {
        meanwhile();
        Ok(true)
    }
}

/// P5.5: where locks exclude nobody they prove nothing, and nothing is removed.
#[test]
fn nothing_is_proved_without_locks() {
    let fs = SimFs::default();
    let foreign = fs.foreign();
    foreign.create("/a", b"x").unwrap();
    foreign.create("/.a.77-00000000000000ab.tmp", b"").unwrap();
    foreign.create("/.gone.lock", b"{\"v\":1}\n").unwrap();
    let before = foreign.names("/").unwrap();
    let report = sim_engine(&fs).doctor("/", &DoctorOptions::new().fix(true).other(&Liar)).unwrap();
    assert_eq!(foreign.names("/").unwrap(), before);
    assert_eq!(report.findings.iter().filter(|f| matches!(f.outcome, Some(Outcome::Left(_)))).count(), 2);
    let report = sim_engine(&fs).doctor("/", &DoctorOptions::new().fix(true)).unwrap();
    assert!(report.is_healthy(), "{:#?}", report.findings);
    assert_eq!(foreign.names("/").unwrap(), [".a.lock", "a"]);
}

/// LOCK-13, LOCK-20: leases are told of, live or over, and what stands in the place of one; `fix` removes none of them, and takes only
/// what never became one.
#[test]
fn lease_files() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "data").unwrap();
    let lease = file(&path).lease(&filelatch::LeaseOptions::new().purpose("nightly")).unwrap();
    let told = |name: &str| {
        let before = fs::read(dir.path().join(name)).ok();
        let report = doctor(dir.path(), true);
        assert_eq!(fs::read(dir.path().join(name)).ok(), before, "{name} was changed");
        let found = finding(&report, name);
        assert!(found.fix.is_none() && found.outcome.is_none(), "{found:?}");
        (found.kind, found.problem, found.what.clone())
    };
    let (kind, problem, what) = told(".a.lease");
    assert_eq!((kind, problem), (Kind::Lease, false));
    let me = format!("leased by pid {} (nightly)", std::process::id());
    assert!(what.starts_with(&me) && what.contains("; over in "), "{what}");
    let token = lease.token();
    lease.release().unwrap();
    assert_eq!(told(".a.lease"), (Kind::Lease, false, format!("no lease: the last one, number {token}, is over")));
    // Its file is gone: still a person's business.
    fs::rename(&path, dir.path().join("b")).unwrap();
    let (kind, problem, what) = told(".a.lease");
    assert!(kind == Kind::Lease && !problem && what.contains("is gone"), "{what}");
    for (content, kind, problem, text) in [
        ("{\"v\":1,\"tok", Kind::Lease, false, "damaged"),
        ("{\"v\":9,\"token\":5}\n", Kind::NewerRecord, true, "newer"),
        ("somebody's", Kind::Lease, true, "cannot be leased"),
    ] {
        fs::write(dir.path().join(".b.lease"), content).unwrap();
        let told = told(".b.lease");
        assert!(told.0 == kind && told.1 == problem && told.2.contains(text), "{content}: {told:?}");
    }
    fs::remove_file(dir.path().join(".b.lease")).unwrap();
    fs::create_dir(dir.path().join(".b.lease")).unwrap();
    assert!(told(".b.lease").1);
    // Another program's, of a name that is no file of ours.
    fs::write(dir.path().join(".c.lease"), "dhcp").unwrap();
    assert!(!doctor(dir.path(), true).findings.iter().any(|finding| finding.path.ends_with(".c.lease")));
    // Never got their names: the record of a dead writer, and what nobody can tell.
    let temps = ["..b.lease.4194304-00000000000000ab.tmp", "..b.lease.4194304-00000000000000ac.tmp"];
    fs::write(dir.path().join(temps[0]), "{\"v\":1,\"token\":").unwrap();
    fs::write(dir.path().join(temps[1]), "somebody's").unwrap();
    let report = doctor(dir.path(), true);
    assert_eq!(finding(&report, temps[0]).outcome, Some(Outcome::Done));
    assert_eq!((finding(&report, temps[1]).kind, finding(&report, temps[1]).fix), (Kind::KeptVersion, None));
    assert!(!dir.path().join(temps[0]).exists() && dir.path().join(temps[1]).exists());
}

// --- Nobody is disturbed ---

/// ATOM-4, VER-7: eight processes update files while doctors put right what they can: no update is lost, no writer fails, and
/// nothing of theirs is removed.
#[test]
fn eight_updaters_and_a_doctor() {
    let dir = tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let mut workers: Vec<_> =
        (0..8).map(|i| (i % 2, Worker::start(&["count-until-told", [&a, &b][i % 2].to_str().unwrap()]))).collect();
    for (_, worker) in &mut workers {
        worker.expect("busy");
    }
    for round in 0..20 {
        fs::write(dir.path().join(format!(".a.4194304-{round:016x}.tmp")), "").unwrap();
        let report = engine().doctor(dir.path(), &DoctorOptions::new().fix(true).wait(Wait::For(PATIENCE))).unwrap();
        let left: Vec<_> = report.findings.iter().filter(|found| found.is_open()).collect();
        assert!(left.is_empty(), "{left:#?}");
    }
    let mut counted = [0, 0];
    for (of, mut worker) in workers {
        worker.tell("stop");
        counted[of] += worker.hear().unwrap().parse::<u64>().unwrap();
        worker.finish();
    }
    assert_eq!([count(&a), count(&b)], counted);
    doctor(dir.path(), true);
    assert_eq!(names(dir.path()), [".a.lock", ".b.lock", "a", "b"]);
}

pub(crate) fn count_until_told(path: &str) {
    let file = engine().file(path).unwrap();
    let counted = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let options = WriteOptions::new().durability(filelatch::Durability::None);
            while !stop.load(Ordering::Relaxed) {
                increment(&file, &options).unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        until("it is busy", || counted.load(Ordering::Relaxed) > 3);
        say("busy");
        hear();
        stop.store(true, Ordering::Relaxed);
    });
    say(counted.into_inner());
    hear();
}
