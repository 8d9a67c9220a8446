//! The audit log on the real file system: what is recorded, in which order, and what becomes of a log that somebody changes.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use filelatch::audit::{Audit, AuditFilter, AuditRecord, ProblemKind, VerifyOptions};
use filelatch::{
    Durability, Error, Expect, Filelatch, KeepLimits, LeaseOptions, LockOptions, Resolution, Strategy, Wait,
    WriteOptions,
};

use super::support::{Worker, is_full, say};

/// A workspace whose log has files of so many bytes.
fn workspace(config: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    Filelatch::new().init(&root).unwrap();
    std::fs::write(root.join(".filelatch/config.toml"), config).unwrap();
    (dir, root)
}

fn engine(session: &str) -> Filelatch {
    Filelatch::builder().session(session).build()
}

fn log_of(root: &Path) -> Audit {
    Filelatch::new().audit(root).unwrap()
}

fn records(root: &Path, filter: &AuditFilter) -> Vec<AuditRecord> {
    let read = log_of(root).records(filter).unwrap();
    assert_eq!(read.damaged, 0);
    read.records
}

#[track_caller]
fn assert_whole(root: &Path) {
    let found = log_of(root).verify(&VerifyOptions::new()).unwrap();
    assert!(found.is_ok(), "{:#?}", found.problems);
}

/// KEEP-2: each publish has one record, with what was there before and what is there now.
#[test]
fn writes() {
    let (_dir, root) = workspace("");
    let file = engine("one").file(root.join("a.json")).unwrap();
    let first = file.write(b"1", &WriteOptions::new()).unwrap();
    let second = file.write(b"2", &WriteOptions::new()).unwrap();
    file.write(b"2", &WriteOptions::new()).unwrap();
    let all = records(&root, &AuditFilter::new());
    let events: Vec<_> = all.iter().map(|record| (record.number(), record.event().to_owned())).collect();
    let named = |n, event: &str| (n, event.to_owned());
    assert_eq!(events, [named(1, "begin"), named(2, "write"), named(3, "write")]);
    let (one, two) = (&all[1], &all[2]);
    assert_eq!((one.path(), one.session()), (Some("a.json".into()), Some("one")));
    let hash = |record: &AuditRecord, field: &str| record.text(field).map(str::to_owned);
    assert_eq!(hash(one, "hash"), first.version.map(|v| v.to_string()));
    assert_eq!(hash(two, "hash"), second.version.map(|v| v.to_string()));
    assert!(one.to_json()["before"].is_null());
    // Overwritten unseen: by the word of its attribution, which has 16 digits.
    assert_eq!(hash(two, "before"), first.version.map(|v| v.short()));
    assert_eq!(two.count("generation"), one.count("generation").map(|generation| generation + 1));
    assert_whole(&root);
}

fn quick<'a>() -> WriteOptions<'a> {
    WriteOptions::new().durability(Durability::None)
}

/// Body of a worker: writes, and says what was acknowledged.
pub(crate) fn writes_of(dir: &str, who: &str, times: &str) {
    let latch = engine(who);
    for n in 0..times.parse().unwrap() {
        let file = latch.file(Path::new(dir).join(format!("{}.txt", n % 3))).unwrap();
        let written = file.write(format!("{who} {n}").as_bytes(), &quick()).unwrap();
        assert_eq!(written.notices, []);
        say(written.version.unwrap());
    }
}

/// Body of a worker that is killed: says each write when it is acknowledged.
pub(crate) fn writes_aloud(dir: &str) {
    let latch = engine("aloud");
    let file = latch.file(Path::new(dir).join("a.txt")).unwrap();
    for n in 0.. {
        let written = file.write(format!("{n}").as_bytes(), &quick()).unwrap();
        say(written.version.unwrap());
    }
}

/// KEEP-2: eight processes write three files with a log of many small files: the chain is whole, each acknowledged publish has exactly one
/// record, and generations of one file are all different.
#[test]
fn eight_processes() {
    let (_dir, root) = workspace("keep = \"none\"\n[audit]\nfile_bytes = \"4KB\"");
    let times = if is_full() { "400" } else { "40" };
    let text = root.to_str().unwrap();
    let names: Vec<_> = (0..8).map(|n| format!("w{n}")).collect();
    let workers: Vec<_> = names.iter().map(|name| Worker::start(&["audited", text, name, times])).collect();
    let told: Vec<_> = workers.into_iter().flat_map(Worker::finish).collect();
    assert_eq!(told.len(), 8 * times.parse::<usize>().unwrap());
    assert_whole(&root);
    let all = records(&root, &AuditFilter::new().event("write"));
    let mut recorded: Vec<_> = all.iter().map(|record| record.text("hash").unwrap().to_owned()).collect();
    let mut told = told;
    recorded.sort();
    told.sort();
    assert_eq!(recorded, told);
    let mut generations: BTreeMap<PathBuf, Vec<u64>> = BTreeMap::new();
    for record in &all {
        generations.entry(record.path().unwrap()).or_default().push(record.count("generation").unwrap());
    }
    for (path, mut of_one) in generations {
        let count = of_one.len();
        of_one.sort_unstable();
        of_one.dedup();
        assert_eq!((of_one.len(), of_one.last().copied()), (count, Some(count as u64)), "{}", path.display());
    }
}

/// KEEP-2: writers are killed at random moments: the chain is whole, what was acknowledged is recorded, and a publish without a record, if
/// there is one, is named.
#[test]
fn kills() {
    let (_dir, root) = workspace("[audit]\nfile_bytes = \"2KB\"");
    let text = root.to_str().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..if is_full() { 60 } else { 12 } {
        let mut worker = Worker::start(&["audited-aloud", text]);
        for _ in 0..=(round * 7 % 20) {
            acknowledged.insert(worker.hear().unwrap());
        }
        worker.kill();
        let found = log_of(&root).verify(&VerifyOptions::new()).unwrap();
        let attack = found.problems.iter().find(|problem| problem.kind != ProblemKind::Unrecorded);
        assert!(attack.is_none(), "{attack:?}");
    }
    let recorded: BTreeSet<_> = records(&root, &AuditFilter::new())
        .iter()
        .filter_map(|record| record.text("hash").map(str::to_owned))
        .collect();
    let missing: Vec<_> = acknowledged.difference(&recorded).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// KEEP-2: a publish whose record was cut off is named by what the file says of itself; the next write that is recorded settles it.
#[test]
fn a_publish_without_a_record() {
    let (_dir, root) = workspace("keep = \"none\"");
    let file = engine("one").file(root.join("a")).unwrap();
    file.write(b"1", &WriteOptions::new()).unwrap();
    let log = root.join(".filelatch/audit/00000000000000000001.jsonl");
    let before = std::fs::read(&log).unwrap();
    file.write(b"2", &WriteOptions::new()).unwrap();
    let anchor = log_of(&root).head().unwrap().unwrap();
    std::fs::write(&log, before).unwrap();
    let found = log_of(&root).verify(&VerifyOptions::new()).unwrap();
    let kinds: Vec<_> = found.problems.iter().map(|problem| (problem.kind, &*problem.file)).collect();
    assert_eq!(kinds, [(ProblemKind::Unrecorded, "a")]);
    let found = log_of(&root).verify(&VerifyOptions::new().anchor(anchor).log_only()).unwrap();
    assert_eq!(found.problems.iter().map(|problem| problem.kind).collect::<Vec<_>>(), [ProblemKind::Truncated]);
    // The writer that has it open goes on behind what is there; a copy under another name is no publish.
    file.write(b"3", &WriteOptions::new()).unwrap();
    std::fs::rename(root.join("a"), root.join("b")).unwrap();
    assert_whole(&root);
}

/// KEEP-2: what happens besides writes is recorded, too: locks that were not had, leases, conflicts and their resolution, restores, prunes.
#[test]
fn other_events() {
    let (_dir, root) = workspace("[audit]\nlocks = \"all\"");
    let (latch, other) = (engine("one"), engine("two"));
    let file = latch.file(root.join("a.txt")).unwrap();
    let first = file.write(b"a\n", &WriteOptions::new()).unwrap().version.unwrap();
    let guard = file.lock(&LockOptions::new()).unwrap();
    let wait = LockOptions::new().wait(Wait::For(Duration::from_millis(20)));
    let late = other.file(root.join("a.txt")).unwrap().lock(&wait);
    assert!(matches!(late, Err(Error::Timeout { .. })));
    drop(guard);
    let lease = file.lease(&LeaseOptions::new()).unwrap();
    lease.write(b"b\n", &WriteOptions::new()).unwrap();
    lease.release().unwrap();
    let merge = WriteOptions::new().strategy(Strategy::Merge).expect(Expect::Version(first));
    let Err(Error::Conflict(conflict)) = file.write(b"c\n", &merge) else { panic!("they fit") };
    let id = conflict.unmerged.unwrap().id.unwrap();
    file.resolve(&id, &Resolution::Mine, &WriteOptions::new()).unwrap();
    file.restore(&first, &WriteOptions::new()).unwrap();
    file.prune(&KeepLimits { versions: 0, ..KeepLimits::none() }).unwrap();
    assert_whole(&root);
    let all = records(&root, &AuditFilter::new());
    let of = |event: &str| all.iter().filter(|record| record.event() == event).collect::<Vec<_>>();
    assert_eq!((of("refused")[0].text("why"), of("refused")[0].session()), (Some("timeout"), Some("two")));
    assert_eq!(of("refused")[0].to_json()["holders"][0]["session"], "one");
    assert_eq!(
        of("lease").iter().map(|record| record.text("outcome").unwrap()).collect::<Vec<_>>(),
        ["granted", "returned"]
    );
    assert_eq!(of("lease")[0].count("token"), of("write")[1].count("token"));
    assert!(of("lock").iter().any(|record| record.text("kind") == Some("exclusive")));
    assert_eq!((of("conflict")[0].text("id"), of("conflict")[0].text("cause")), (Some(&*id), Some("merge")));
    assert_eq!(
        (of("resolve")[0].text("how"), of("restore")[0].text("hash")),
        (Some("mine"), Some(&*first.to_string()))
    );
    assert!(of("prune")[0].count("versions") > Some(0));
    let public = of("refused")[0].for_remote().to_json().to_string();
    assert!(!public.contains("\"pid\"") && !public.contains("\"host\""), "{public}");
}

/// KEEP-2: without contention locks are recorded only where that is asked for, and `enabled = false` records nothing at all.
#[test]
fn what_is_recorded() {
    for (config, events) in [("", vec!["begin", "write"]), ("[audit]\nlocks = \"all\"", vec!["begin", "lock", "write"])]
    {
        let (_dir, root) = workspace(config);
        let file = engine("one").file(root.join("a")).unwrap();
        drop(file.lock(&LockOptions::new()).unwrap());
        file.write(b"1", &WriteOptions::new()).unwrap();
        let all = records(&root, &AuditFilter::new());
        assert_eq!(all.iter().map(AuditRecord::event).collect::<Vec<_>>(), events);
    }
    let (_dir, root) = workspace("[audit]\nenabled = false");
    engine("one").file(root.join("a")).unwrap().write(b"1", &WriteOptions::new()).unwrap();
    assert!(!root.join(".filelatch/audit").exists());
}

/// KEEP-2: the log keeps its bounds, says what it removed, and stays whole; an oldest file that somebody else removed is missed.
#[test]
fn bounds() {
    let (_dir, root) = workspace("keep = \"none\"\n[audit]\nfile_bytes = \"1KB\"\nkeep_bytes = \"4KB\"");
    let file = engine("one").file(root.join("a")).unwrap();
    for n in 0..60 {
        file.write(format!("{n}").as_bytes(), &quick()).unwrap();
    }
    let audit = root.join(".filelatch/audit");
    let files = || {
        let names = std::fs::read_dir(&audit).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")).collect::<BTreeSet<_>>()
    };
    let bytes: u64 = files().iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(files().len() > 2 && bytes < 8000, "{bytes} in {:?}", files());
    assert_whole(&root);
    assert!(records(&root, &AuditFilter::new()).iter().any(|record| record.event() == "dropped"));
    std::fs::remove_file(files().first().unwrap()).unwrap();
    let found = log_of(&root).verify(&VerifyOptions::new().log_only()).unwrap();
    assert_eq!(found.problems.iter().map(|problem| problem.kind).collect::<Vec<_>>(), [ProblemKind::MissingFile]);
}

/// KEEP-2: with a key nobody without it writes a chain that holds; whoever has another one or none writes nothing into it, and says so.
#[test]
fn keys() {
    let (_dir, root) = workspace("");
    let elsewhere = tempfile::tempdir().unwrap();
    let key = |name: &str, secret: &str| {
        let path = elsewhere.path().join(name);
        std::fs::write(&path, secret).unwrap();
        path
    };
    let (good, bad, short) = (key("good", "0123456789abcdef\n"), key("bad", "a different secret"), key("short", "x"));
    let with = |path: &Path| Filelatch::builder().audit_key_file(path).build();
    let write = |latch: &Filelatch, text: &str| {
        latch.file(root.join("a")).unwrap().write(text.as_bytes(), &WriteOptions::new()).unwrap().notices
    };
    assert_eq!(write(&with(&good), "1"), []);
    assert_eq!(write(&with(&good), "2"), []);
    let inside = root.join("key");
    std::fs::write(&inside, "0123456789abcdef").unwrap();
    for other in [Filelatch::new(), with(&bad), with(&short), with(&inside)] {
        assert_eq!(write(&other, "3").len(), 1);
        std::fs::remove_file(root.join("a")).unwrap();
    }
    let verify = |options: VerifyOptions| log_of(&root).verify(&options.log_only()).unwrap();
    assert!(verify(VerifyOptions::new().key_file(&good)).is_ok());
    assert_eq!(verify(VerifyOptions::new().key_file(&bad)).problems[0].kind, ProblemKind::WrongKey);
    assert_eq!(verify(VerifyOptions::new()).problems[0].kind, ProblemKind::WrongKey);
}

/// KEEP-2: a reader follows the log through all its files.
#[test]
fn following() {
    let (_dir, root) = workspace("keep = \"none\"\n[audit]\nfile_bytes = \"600B\"");
    let file = engine("one").file(root.join("a")).unwrap();
    let mut tail = log_of(&root).follow().unwrap();
    let mut seen = Vec::new();
    for n in 0..12 {
        file.write(format!("{n}").as_bytes(), &quick()).unwrap();
        if n % 3 == 0 {
            seen.extend(tail.read().unwrap().records);
        }
    }
    seen.extend(tail.read().unwrap().records);
    assert_eq!(seen, records(&root, &AuditFilter::new()));
    assert!(tail.read().unwrap().records.is_empty());
    let last = records(&root, &AuditFilter::new().event("write").last(2));
    assert_eq!(last.iter().filter_map(|record| record.count("generation")).collect::<Vec<_>>(), [11, 12]);
    let path = |glob: &str| records(&root, &AuditFilter::new().path(glob).unwrap()).len();
    assert_eq!((path("*"), path("b"), records(&root, &AuditFilter::new().session("two")).len()), (12, 0, 0));
}

/// KEEP-2, P7: of queued writes that share a publish each version is in the record.
#[test]
fn queued_writes() {
    let (_dir, root) = workspace("keep = \"none\"");
    let latch = engine("one");
    let shared = |root: &Path| {
        let all = records(root, &AuditFilter::new().event("write"));
        all.into_iter().find(|record| record.count("changes") > Some(1))
    };
    super::support::until("two writes share a publish", || {
        let guard = latch.file(root.join("a")).unwrap().lock(&LockOptions::new()).unwrap();
        std::thread::scope(|scope| {
            for n in 0..4 {
                let (latch, root) = (&latch, &root);
                scope.spawn(move || {
                    let options = quick().strategy(Strategy::Queue);
                    latch.file(root.join("a")).unwrap().write(format!("{n}").as_bytes(), &options).unwrap();
                });
            }
            std::thread::yield_now();
            drop(guard);
        });
        shared(&root).is_some()
    });
    let record = shared(&root).unwrap();
    let passed = record.to_json()["passed"].as_array().unwrap().clone();
    assert_eq!(Some(passed.len() as u64), record.count("changes"));
    assert_eq!(passed.last().and_then(|last| last.as_str()), record.text("hash"));
    assert_whole(&root);
}
