//! The index of changed files: taken in bit by bit or made anew, by one or several, whatever happens to it and to the audit log.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use filelatch::store::StoreError;
use filelatch::store::changes::{
    Change, ChangeFilter, ChangeKind, Changes, CompactOptions, SessionChanges, SessionTaken,
};
use filelatch::store::generated::{Owner, PublishOptions, RemoveOptions};
use filelatch::{Error, Filelatch, LockOptions, WriteOptions};
use filelatch_fs::sim::{Dials, Plan, SimFs, Sweep};

use super::schedules::few;
use super::support::{PATIENCE, Worker};

struct World {
    dir: tempfile::TempDir,
}

fn latch(session: &str) -> Filelatch {
    Filelatch::builder().session(session).build()
}

impl World {
    /// With files of the audit log that long.
    fn new(audit: &str) -> World {
        let dir = tempfile::tempdir().unwrap();
        latch("x").init(dir.path()).unwrap();
        let world = World { dir };
        world.put(".filelatch/config.toml", audit.as_bytes());
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    #[expect(clippy::disallowed_methods, reason = "somebody who knows nothing of locks")]
    fn put(&self, name: &str, content: &[u8]) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn write(&self, session: &str, name: &str, content: &str) {
        let file = latch(session).file_with_dirs(self.path(name)).unwrap();
        file.write(content.as_bytes(), &WriteOptions::new().durability(filelatch::Durability::None)).unwrap();
    }

    fn changes(&self) -> Changes {
        latch("index").changes(self.dir.path()).unwrap()
    }

    fn update(&self) -> u64 {
        self.changes().update(&LockOptions::new()).unwrap().changes
    }

    fn told(&self, filter: &ChangeFilter) -> Vec<String> {
        self.changes().list(filter).unwrap().iter().map(told).collect()
    }

    fn all(&self) -> Vec<String> {
        self.told(&ChangeFilter::new())
    }
}

fn told(change: &Change) -> String {
    format!("{} {} {}", change.kind, change.path.display(), change.by)
}

/// What is in it, without regard to the order: each change with all that is known of it, and how often.
fn counted(changes: &Changes) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for change in changes.list(&ChangeFilter::new()).unwrap() {
        *all.entry(change.to_json().to_string()).or_default() += 1;
    }
    all
}

fn git_change(path: &str, by: &str, seconds: u64) -> Change {
    Change::of_git(path, by, SystemTime::UNIX_EPOCH + Duration::from_secs(seconds), ChangeKind::Changed)
}

/// STORE-5: who has created, changed and removed which file when, by path, session and time; each publish once, however often it is taken in.
#[test]
fn what_was_published() {
    let world = World::new("");
    assert_eq!(world.all(), Vec::<String>::new());
    assert_eq!(world.update(), 0);
    world.write("ada", "a", "one");
    world.write("bob", "sub/b", "one");
    assert_eq!(world.update(), 2);
    world.write("bob", "a", "two");
    assert_eq!((world.update(), world.update()), (1, 0));
    let generated = latch("ada").generated(world.dir.path()).unwrap();
    let owner = Owner::Session("ada".to_owned());
    generated.publish(&owner, world.path("g"), b"g", &PublishOptions::new()).unwrap();
    generated.remove(&owner, &RemoveOptions::new()).unwrap();
    assert_eq!(world.update(), 2);
    let all = ["created a ada", "created sub/b bob", "changed a bob", "created g ada", "deleted g ada"];
    assert_eq!(world.all(), all);
    let by_path = |path: &str| world.told(&ChangeFilter::new().path(path).unwrap());
    assert_eq!(
        (by_path("a"), by_path("sub"), by_path("*")),
        (
            vec![all[0].to_owned(), all[2].to_owned()],
            vec![all[1].to_owned()],
            [0, 2, 3, 4].map(|i| all[i].to_owned()).to_vec(),
        )
    );
    assert_eq!(world.told(&ChangeFilter::new().session("bob")), [all[1], all[2]]);
    assert_eq!(world.told(&ChangeFilter::new().since(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 33))).len(), 0);
    let changes = world.changes().list(&ChangeFilter::new().path("a").unwrap()).unwrap();
    let version = |text: &str| Some(filelatch::Version::of(text.as_bytes()).to_string());
    assert_eq!((changes[0].before.clone(), changes[0].after.clone()), (None, version("one")));
    assert_eq!(changes[1].after, version("two"));
    assert!(matches!(latch("x").changes("/"), Err(Error::NoWorkspace { .. })));
}

/// STORE-5: files of the audit log that were removed keep their changes in the index; what was removed before it was taken in is told; a log that
/// was begun anew, or has lost its end and goes on otherwise, is taken in without anything being there twice.
#[test]
#[expect(clippy::disallowed_methods, reason = "somebody changes the audit log")]
fn other_audit_logs() {
    let world = World::new("[audit]\nfile_bytes = \"1KiB\"\nkeep_bytes = \"4KiB\"\n");
    for n in 0..40 {
        world.write("ada", "a", &n.to_string());
        if n % 7 == 0 {
            world.update();
        }
    }
    world.update();
    assert_eq!(world.all().len(), 40);
    for n in 0..60 {
        world.write("ada", "b", &n.to_string());
    }
    let updated = world.changes().update(&LockOptions::new()).unwrap();
    assert!(updated.missed > 0 && updated.changes < 60, "{updated:?}");
    let before = world.all().len();
    // The end is lost, as by a power cut, and others are written in its place.
    let newest = {
        let mut names: Vec<_> = std::fs::read_dir(world.path(".filelatch/audit"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
            .collect();
        names.sort();
        names.pop().unwrap()
    };
    let text = std::fs::read_to_string(&newest).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let cut = lines[..lines.len() - 1].iter().fold(String::new(), |text, line| text + line + "\n");
    std::fs::write(&newest, cut).unwrap();
    assert_eq!(world.update(), 0);
    for n in 0..3 {
        world.write("bob", "c", &n.to_string());
    }
    assert_eq!((world.update(), world.all().len()), (3, before + 3));
    // All of it is another one.
    std::fs::remove_dir_all(world.path(".filelatch/audit")).unwrap();
    assert_eq!(world.update(), 0);
    world.write("carol", "d", "1");
    world.write("carol", "d", "2");
    assert_eq!((world.update(), world.update(), world.all().len()), (2, 0, before + 5));
    assert_eq!(counted(&world.changes()).values().copied().max(), Some(1));
}

/// STORE-5: a session is taken in bit by bit: each commit once, told up to where it is; interrupted, or with somebody faster, it goes on.
#[test]
fn sessions() {
    let world = World::new("");
    let changes = world.changes();
    let commits = ["c1", "c2", "c3"];
    let find = |upto: usize| {
        move |taken: &SessionTaken| {
            let from = taken.since.as_ref().map_or(0, |since| 1 + commits.iter().position(|id| id == since).unwrap());
            let changes = (from..upto).map(|n| git_change(&format!("f{n}"), "fix", n as u64)).collect();
            Ok::<_, Error>(Some(SessionChanges { tip: commits[upto - 1].to_owned(), changes }))
        }
    };
    let lock = LockOptions::new();
    assert_eq!(changes.take_session("fix", &lock, find(1)).unwrap(), 1);
    assert_eq!(changes.take_session("fix", &lock, find(1)).unwrap(), 0);
    // Somebody is faster.
    let mut asked = 0;
    let slow = |taken: &SessionTaken| {
        asked += 1;
        if asked == 1 {
            world.changes().take_session("fix", &LockOptions::new(), find(2)).unwrap();
        }
        find(3)(taken)
    };
    assert_eq!(changes.take_session("fix", &lock, slow).unwrap(), 1);
    assert_eq!(asked, 3);
    assert_eq!(changes.take_session("other", &lock, find(2)).unwrap(), 2);
    assert_eq!(changes.take_session::<Error>("gone", &lock, |_| Ok(None)).unwrap(), 0);
    let names: Vec<_> = changes.list(&ChangeFilter::new()).unwrap().into_iter().map(|change| change.path).collect();
    assert_eq!(names, ["f0", "f0", "f1", "f1", "f2"].map(PathBuf::from));
    // An index that was made anew knows how far each is.
    changes.rebuild(&lock).unwrap();
    assert_eq!(
        (changes.take_session("fix", &lock, find(3)).unwrap(), changes.list(&ChangeFilter::new()).unwrap().len()),
        (0, 5)
    );
}

/// STORE-5: taken in bit by bit is what is made anew, for random histories of publishes, sessions, files of the audit log that end and are removed,
/// rebuilds and compactions in between.
#[test]
#[expect(clippy::disallowed_methods, reason = "the index is moved away")]
fn bit_by_bit_is_anew() {
    for seed in 0..if super::support::is_full() { 60 } else { 6 } {
        let mut random: u64 = 0x9e37_79b9_7f4a_7c15 ^ (seed << 17) | 1;
        let mut draw = |most: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % most
        };
        let keep = if seed % 2 == 0 { "64MiB" } else { "3KiB" };
        let world = World::new(&format!("[audit]\nfile_bytes = \"1KiB\"\nkeep_bytes = \"{keep}\"\n"));
        let (mut written, mut tip) = (0, 0_u64);
        for step in 0..60 {
            match draw(10) {
                0..=5 => {
                    let session = ["ada", "bob"][usize::try_from(draw(2)).unwrap()];
                    world.write(session, ["a", "b", "c"][usize::try_from(draw(3)).unwrap()], &step.to_string());
                    written += 1;
                    if keep != "64MiB" {
                        world.update();
                    }
                }
                6 | 7 => drop(world.update()),
                8 => {
                    tip += 1;
                    let changes = vec![git_change("g", "fix", tip), git_change("h", "fix", tip)];
                    let found = SessionChanges { tip: tip.to_string(), changes };
                    let taken = world.changes().take_session("fix", &LockOptions::new(), |taken| {
                        let is_new = taken.since.as_ref() != Some(&found.tip);
                        Ok::<_, Error>(is_new.then(|| found.clone()))
                    });
                    assert_eq!(taken.unwrap(), 2);
                }
                _ => drop(world.changes().rebuild(&LockOptions::new()).unwrap()),
            }
        }
        world.update();
        let bit_by_bit = counted(&world.changes());
        assert_eq!(bit_by_bit.values().sum::<usize>() as u64, written + 2 * tip, "seed {seed}");
        assert!(bit_by_bit.values().all(|count| *count == 1), "seed {seed}");
        let rebuilt = world.changes().rebuild(&LockOptions::new()).unwrap();
        assert_eq!(counted(&world.changes()), bit_by_bit, "seed {seed}");
        assert_eq!(rebuilt.from_audit + rebuilt.taken_over, written + 2 * tip);
        assert_eq!((world.update(), counted(&world.changes())), (0, bit_by_bit.clone()), "seed {seed}");
        // From the audit log alone, where it has all.
        if keep == "64MiB" {
            std::fs::rename(world.changes().path(), world.path("moved")).unwrap();
            std::fs::remove_file(world.path(".filelatch/stores/changes.jsonl.snapshot")).unwrap();
            assert_eq!(world.changes().rebuild(&LockOptions::new()).unwrap().from_audit, written);
            let mut alone = counted(&world.changes());
            alone.extend(
                bit_by_bit.iter().filter(|(change, _)| change.contains("\"git\"")).map(|(c, n)| (c.clone(), *n)),
            );
            assert_eq!(alone, bit_by_bit, "seed {seed}");
        }
    }
}

/// STORE-5: a compaction leaves the last change of each file by each session, and bounds the rest; what comes after is taken in.
#[test]
fn compacted() {
    let world = World::new("");
    for n in 0..5 {
        world.write("ada", "a", &n.to_string());
        world.write("bob", "a", &format!("b{n}"));
        world.write("ada", "b", &n.to_string());
    }
    world.update();
    let all = world.changes().list(&ChangeFilter::new()).unwrap();
    let compacted = world.changes().compact(&CompactOptions::new(), &LockOptions::new()).unwrap();
    assert_eq!((compacted.kept, compacted.removed), (3, 12));
    assert_eq!(world.changes().list(&ChangeFilter::new()).unwrap(), all[12..]);
    assert_eq!(world.update(), 0);
    world.write("ada", "c", "1");
    assert_eq!(world.update(), 1);
    let compacted = world.changes().compact(&CompactOptions::new().keep_changes(2), &LockOptions::new()).unwrap();
    assert_eq!((compacted.kept, compacted.removed), (2, 2));
    assert_eq!(world.all(), ["changed b ada", "created c ada"]);
    let old = CompactOptions::new().keep_age(Duration::ZERO);
    world.changes().compact(&old, &LockOptions::new()).unwrap();
    assert_eq!((world.all().len(), world.update()), (0, 0));
}

/// STORE-5: more changes than are sorted at once come by time, too, each once.
#[test]
fn many() {
    let world = World::new("");
    let count = 150_000_u64;
    // Not in the order of their times.
    let all = (0..count).map(|n| git_change(&format!("f{n}"), "fix", n * 7919 % count)).collect();
    let found = SessionChanges { tip: "t".to_owned(), changes: all };
    let taken = world
        .changes()
        .take_session("fix", &LockOptions::new(), |taken| Ok::<_, Error>(taken.since.is_none().then(|| found.clone())));
    assert_eq!(taken.unwrap(), count);
    let (mut last, mut seen) = (SystemTime::UNIX_EPOCH, 0);
    world
        .changes()
        .for_each(&ChangeFilter::new(), &mut |change| {
            assert!(change.at >= last);
            (last, seen) = (change.at, seen + 1);
        })
        .unwrap();
    assert_eq!(seen, count);
    assert_eq!(world.told(&ChangeFilter::new().path("f77").unwrap()).len(), 1);
}

/// STORE-5: every byte of an index changed: an error that names the place and the way out, nothing is written to it; or it is what a power cut leaves,
/// and what was lost is taken in again. Made anew it has everything.
#[test]
#[expect(clippy::disallowed_methods, reason = "somebody damages the index")]
fn damaged() {
    let world = World::new("");
    for n in 0..3 {
        world.write("ada", "a", &n.to_string());
        world.update();
    }
    let changes = world.changes();
    let whole = counted(&changes);
    let good = std::fs::read(changes.path()).unwrap();
    let mut errors = 0;
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(changes.path(), &bad).unwrap();
        std::fs::remove_file(changes.path().with_extension("jsonl.snapshot")).ok();
        match world.changes().update(&LockOptions::new()) {
            Err(error @ Error::Store { source: StoreError::Damaged { .. }, .. }) => {
                errors += 1;
                assert!(error.to_string().contains("byte ") || error.to_string().contains("line "), "{at}: {error}");
                assert!(error.hints().iter().any(|hint| hint.contains("changes rebuild")), "{at}: {:?}", error.hints());
                assert!(world.changes().list(&ChangeFilter::new()).is_err());
                assert_eq!(std::fs::read(changes.path()).unwrap(), bad, "{at}");
            }
            Ok(_) => assert_eq!(counted(&world.changes()), whole, "{at}"),
            Err(error) => panic!("{at}: {error}"),
        }
        if at % 16 == 0 {
            world.changes().rebuild(&LockOptions::new()).unwrap();
            assert_eq!(counted(&world.changes()), whole, "{at}");
        }
    }
    assert!(errors > good.len() / 2, "{errors} of {}", good.len());
}

fn engine(fs: &SimFs) -> Filelatch {
    Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).session("test").build()
}

/// A workspace with an index, and publishes that it has not.
fn build(fs: &SimFs) {
    fs.foreign().create_dirs("/w/.filelatch/stores").unwrap();
    let latch = engine(&fs.process());
    let write = |text: &[u8]| drop(latch.file("/w/a").unwrap().write(text, &WriteOptions::new()).unwrap());
    write(b"one");
    latch.changes("/w").unwrap().update(&LockOptions::new()).unwrap();
    write(b"two");
    write(b"three");
}

/// All three are there once, now or when the next one takes in.
fn complete(fs: &SimFs, acknowledged: usize) -> Result<(), String> {
    let changes = engine(fs).changes("/w").map_err(|e| e.to_string())?;
    let count = || changes.list(&ChangeFilter::new()).map(|all| all.len()).map_err(|e| e.to_string());
    let before = count()?;
    if before < acknowledged {
        return Err(format!("{acknowledged} were acknowledged, {before} are there"));
    }
    changes.update(&LockOptions::new()).map_err(|e| format!("cannot take in: {e}"))?;
    let records: Vec<_> = changes.list(&ChangeFilter::new()).map_err(|e| e.to_string())?;
    let records: Vec<_> = records.iter().map(|change| change.after.clone().unwrap_or_default()).collect();
    // The audit log itself may have lost its end.
    let mut once = records.clone();
    once.sort();
    once.dedup();
    if once.len() != records.len() || records.len() > 3 || records.is_empty() {
        return Err(format!("there are {records:?}"));
    }
    Ok(())
}

/// STORE-5: power cut, kill and error at every call of taking in and of making anew: what was acknowledged is there, nothing twice, and the next one
/// goes on.
#[test]
fn every_mishap() {
    let sweep = Sweep::on(Dials::usual()[0]);
    let update = |fs: &SimFs| {
        let updated = engine(fs).changes("/w").and_then(|changes| changes.update(&LockOptions::new()));
        if updated.is_ok() { 3 } else { 0 }
    };
    sweep.cuts(build, update, |fs, told| complete(fs, *told)).assert_clean();
    sweep.kills(build, update, |fs, told| complete(fs, *told)).assert_clean();
    sweep.faults(build, update, |fs, told| complete(fs, *told)).assert_clean();
    let rebuild = |fs: &SimFs| {
        let rebuilt = engine(fs).changes("/w").and_then(|changes| changes.rebuild(&LockOptions::new()));
        if rebuilt.is_ok() { 3 } else { 1 }
    };
    sweep.cuts(build, rebuild, |fs, told| complete(fs, *told)).assert_clean();
    sweep.kills(build, rebuild, |fs, told| complete(fs, *told)).assert_clean();
    sweep.faults(build, rebuild, |fs, told| complete(fs, *told)).assert_clean();
}

/// Some orders of the calls. Beside other tests a run may come out otherwise when it is made again (threads that wait for memory look as if they
/// waited for a mutex); most must not.
#[track_caller]
fn sampled(plan: impl Fn(&mut Plan)) {
    let explored = few(0).sample(1, if super::support::is_full() { 300 } else { 30 }, &plan);
    if let Some(violation) = &explored.violation {
        panic!("{violation}");
    }
    assert!(explored.diverged < explored.schedules / 2, "{explored:?}");
}

/// STORE-5: two that take in at once, and one beside one that makes anew, in many orders: everything is there once.
#[test]
fn schedules() {
    for anew in [false, true] {
        sampled(|plan: &mut Plan| {
            build(plan.fs());
            plan.process("one", |fs| {
                engine(fs).changes("/w").unwrap().update(&LockOptions::new()).unwrap();
            });
            plan.process("two", move |fs| {
                let changes = engine(fs).changes("/w").unwrap();
                if anew {
                    changes.rebuild(&LockOptions::new()).unwrap();
                } else {
                    changes.update(&LockOptions::new()).unwrap();
                }
            });
            plan.at_end(|fs| {
                let changes = engine(fs).changes("/w").unwrap();
                match changes.list(&ChangeFilter::new()).map(|all| all.len()) {
                    Ok(3) => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            });
        });
    }
}

/// A worker that publishes so many times, or takes in until it is told to end.
pub(crate) fn worker(role: &str, dir: &Path, name: &str) -> Result<(), Error> {
    let latch = latch(name);
    if role == "changes-writer" {
        let file = latch.file(dir.join(name))?;
        let options = WriteOptions::new().durability(filelatch::Durability::None);
        for n in 0..100 {
            file.write(format!("{name} {n}").as_bytes(), &options)?;
        }
        return Ok(());
    }
    let changes = latch.changes(dir)?;
    let lock = LockOptions::new().wait(filelatch::Wait::For(PATIENCE));
    while filelatch_fs::Fs::stat(&filelatch_fs::RealFs, &dir.join("end")).is_err() {
        if role == "changes-rebuilder" {
            changes.rebuild(&lock)?;
        } else {
            changes.update(&lock)?;
        }
    }
    Ok(())
}

/// STORE-5: a session that is taken in while the index is made anew is in the new one: nothing else has it any more.
#[test]
fn a_session_meanwhile() {
    let world = World::new("");
    world.write("ada", "a", "1");
    let count = 200;
    std::thread::scope(|scope| {
        let taking = scope.spawn(|| {
            for n in 0..count {
                let name = format!("s{n}");
                let taken = world.changes().take_session(&name, &LockOptions::new(), |taken| {
                    let found = SessionChanges { tip: "t".to_owned(), changes: vec![git_change("g", &name, n)] };
                    Ok::<_, Error>(taken.since.is_none().then_some(found))
                });
                assert_eq!(taken.unwrap(), 1);
            }
        });
        while !taking.is_finished() {
            world.changes().rebuild(&LockOptions::new()).unwrap();
        }
    });
    world.update();
    let all = counted(&world.changes());
    assert_eq!((all.len() as u64, all.values().copied().max()), (count + 1, Some(1)));
}

/// STORE-5: 8 processes publish, 2 take in and one makes anew, all the while: each publish is there once.
#[test]
fn processes() {
    let world = World::new("[audit]\nfile_bytes = \"32KiB\"\n");
    let dir = world.dir.path().to_str().unwrap().to_owned();
    let start = |role: &str, name: &str| Worker::start(&[role, &dir, name]);
    let mut others = [start("changes-updater", "u1"), start("changes-updater", "u2"), start("changes-rebuilder", "r")];
    let mut writers: Vec<_> = (0..8).map(|n| start("changes-writer", &format!("w{n}"))).collect();
    for writer in &mut writers {
        writer.expect("done");
    }
    world.put("end", b"");
    for other in &mut others {
        other.expect("done");
    }
    world.update();
    let filter = ChangeFilter::new().path("w*").unwrap();
    let all = world.changes().list(&filter).unwrap();
    let mut versions: Vec<_> = all.iter().map(|change| (change.path.clone(), change.after.clone())).collect();
    versions.sort();
    versions.dedup();
    assert_eq!((all.len(), versions.len()), (800, 800));
}
