//! Watching for real: what programs do to files, and what is told of it.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::Thread;
use std::time::{Duration, SystemTime};

use filelatch::watch::{Change, ChangeKind, Event, Mode, Origin, Polling, Watch, WatchOptions};
use filelatch::{Durability, Filelatch, Version, WriteOptions};
use filelatch_fs::{Host, ProcessFacts, RealHost};

use crate::support::{PATIENCE, Worker, is_full, say, until};

pub(crate) fn engine(session: &str) -> Filelatch {
    Filelatch::builder().session(session).build()
}

fn watch(dir: &Path) -> Watch {
    engine("watcher").watch([dir], &WatchOptions::new()).unwrap()
}

/// Everything that is there to read.
pub(crate) fn drain(watch: &Watch) -> Vec<Event> {
    std::iter::from_fn(|| watch.next(Some(Duration::ZERO)).unwrap()).collect()
}

/// Everything that was done before.
pub(crate) fn seen(watch: &Watch) -> Vec<Event> {
    watch.sync(PATIENCE).unwrap();
    drain(watch)
}

fn next_change(watch: &Watch) -> Change {
    match watch.next(Some(PATIENCE)).unwrap() {
        Some(Event::Change(change)) => change,
        other => panic!("{other:?}"),
    }
}

/// Somebody who knows only what was reported.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Believer(pub(crate) BTreeMap<PathBuf, Option<Version>>);

impl Believer {
    pub(crate) fn of_disk(dir: &Path) -> Believer {
        let mut all = Believer::default();
        all.look(dir);
        all
    }

    fn look(&mut self, dir: &Path) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type().unwrap())).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if kind.is_dir() && !matches!(name.as_str(), ".filelatch" | ".git") {
                self.look(&path);
            } else if kind.is_file() && !(name.starts_with('.') && name.strip_suffix(".lock").is_some()) {
                let version = Version::of(&std::fs::read(&path).unwrap());
                self.0.insert(path, Some(version));
            }
        }
    }

    pub(crate) fn hear(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            let Event::Change(change) = event else { continue };
            match change.kind {
                ChangeKind::Created | ChangeKind::Modified => drop(self.0.insert(change.path, change.version)),
                ChangeKind::Deleted => drop(self.0.remove(&change.path)),
                ChangeKind::Renamed { from } => {
                    self.0.remove(&from);
                    self.0.insert(change.path, change.version);
                }
            }
        }
    }
}

/// WATCH-1, WATCH-2: each program's change is told once, with what is there now, and whose it was.
#[test]
fn everybody_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("a.txt"), dir.path().join("b.txt"));
    let own = engine("watcher");
    let watch = own.watch([dir.path()], &WatchOptions::new()).unwrap();
    assert_eq!(watch.mode(), Mode::Events);
    let expect = |kind, path: &Path, bytes: Option<&[u8]>, origin| {
        let change = next_change(&watch);
        let version = bytes.map(Version::of);
        let size = bytes.map(|bytes| bytes.len() as u64);
        assert_eq!((change.kind, change.path.as_path()), (kind, path));
        assert_eq!((change.version, change.size, change.origin), (version, size, origin));
    };
    let file = own.file(&path).unwrap();
    file.write(b"by us", &WriteOptions::new()).unwrap();
    expect(ChangeKind::Created, &path, Some(b"by us"), Origin::Own);
    engine("agent-7").file(&path).unwrap().write(b"by them", &WriteOptions::new()).unwrap();
    expect(ChangeKind::Modified, &path, Some(b"by them"), Origin::Session("agent-7".to_owned()));
    // Whole: what is written there may be seen before it is done, which is told as two changes.
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("new"), "by an editor").unwrap();
    std::fs::rename(elsewhere.path().join("new"), &path).unwrap();
    expect(ChangeKind::Modified, &path, Some(b"by an editor"), Origin::External);
    std::fs::rename(&path, &moved).unwrap();
    expect(ChangeKind::Renamed { from: path.clone() }, &moved, Some(b"by an editor"), Origin::External);
    std::fs::remove_file(&moved).unwrap();
    expect(ChangeKind::Deleted, &moved, None, Origin::External);
    assert_eq!(seen(&watch), []);
}

/// WATCH-1: changes of this engine are left out if that was asked for; others' of the same file are not.
#[test]
fn own_changes_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.txt");
    let own = engine("watcher");
    let watch = own.watch([dir.path()], &WatchOptions::new().own(false)).unwrap();
    own.file(&path).unwrap().write(b"by us", &WriteOptions::new()).unwrap();
    assert_eq!(seen(&watch), []);
    std::fs::write(&path, "by an editor").unwrap();
    assert_eq!(next_change(&watch).origin, Origin::External);
}

/// WATCH-1: 1,000 changes at once among 10,000 files by 4 threads: the sum of the reports is the disk.
#[test]
fn a_burst_among_many_files() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..10_000 {
        let sub = dir.path().join(format!("d{}", n % 100));
        if n < 100 {
            std::fs::create_dir(&sub).unwrap();
        }
        std::fs::write(sub.join(format!("f{n}")), n.to_string()).unwrap();
    }
    let mut believer = Believer::of_disk(dir.path());
    let watch = watch(dir.path());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let dir = dir.path();
            scope.spawn(move || {
                for i in 0..250 {
                    let n = thread * 2500 + i * 7;
                    let path = dir.join(format!("d{}/f{n}", n % 100));
                    match i % 4 {
                        0 => std::fs::write(&path, format!("new {n}")).unwrap(),
                        1 => std::fs::rename(&path, dir.join(format!("d{}/moved{n}", (n + 1) % 100))).unwrap(),
                        2 => std::fs::remove_file(&path).unwrap(),
                        _ => std::fs::write(path.with_extension("new"), format!("more {n}")).unwrap(),
                    }
                }
            });
        }
    });
    let events = seen(&watch);
    assert!(events.iter().all(|event| matches!(event, Event::Change(_))), "nothing was lost on the way");
    assert!(events.len() >= 1000, "a file may be seen before it is done: {}", events.len());
    believer.hear(events);
    assert_eq!(believer, Believer::of_disk(dir.path()));
}

/// WATCH-1: whatever was done before a barrier is reported when it returns; 1,000 times.
#[test]
fn barriers() {
    for seed in 1..=if is_full() { 30 } else { 2 } {
        rounds_of_barriers(seed);
    }
}

fn rounds_of_barriers(seed: u64) {
    let dir = tempfile::tempdir().unwrap();
    let watch = watch(dir.path());
    let mut believer = Believer::default();
    let mut random = seed;
    for round in 0..500 {
        for _ in 0..3 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let pick = |n: u64, of: u64| (random >> n) % of;
            let sub = dir.path().join(format!("d{}", pick(20, 3)));
            let path = |n| sub.join(format!("f{}", pick(n, 4)));
            // What can't be done is not done.
            match pick(40, 6) {
                0 => drop(std::fs::create_dir(&sub)),
                1 => drop(std::fs::remove_dir_all(&sub)),
                2 => drop(std::fs::rename(path(30), path(50))),
                3 => drop(std::fs::rename(&sub, dir.path().join(format!("d{}", pick(30, 3))))),
                _ => drop(std::fs::write(path(30), random.to_string())),
            }
        }
        believer.hear(seen(&watch));
        assert_eq!(believer, Believer::of_disk(dir.path()), "seed {seed}, round {round}");
    }
}

/// WATCH-1: hints beyond what is kept of them while the thread is held up: everything is looked at, and that is said.
#[test]
fn more_hints_than_fit() {
    let dir = tempfile::tempdir().unwrap();
    let watch = watch(dir.path());
    let (held, go) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let hold = {
        let (held, go) = (Arc::clone(&held), Arc::clone(&go));
        watch.on_event(move || {
            held.store(true, Ordering::SeqCst);
            until("the burst is over", || go.load(Ordering::SeqCst));
        })
    };
    std::fs::write(dir.path().join("first"), "x").unwrap();
    until("the thread is held", || held.load(Ordering::SeqCst));
    // Created, closed, moved away, moved in: each of them four hints at least.
    for n in 0..10_000 {
        std::fs::write(dir.path().join("x"), n.to_string()).unwrap();
        std::fs::rename(dir.path().join("x"), dir.path().join(format!("f{}", n % 50))).unwrap();
    }
    go.store(true, Ordering::SeqCst);
    drop(hold);
    let events = seen(&watch);
    assert!(events.iter().any(|event| matches!(event, Event::Rescanned { .. })));
    let mut believer = Believer::default();
    believer.hear(events);
    assert_eq!(believer, Believer::of_disk(dir.path()));
}

/// WATCH-1: who reads too late is told that something is missing, and reads on.
#[test]
fn slow_readers() {
    let dir = tempfile::tempdir().unwrap();
    let watch = engine("watcher").watch([dir.path()], &WatchOptions::new().kept(16)).unwrap();
    let (early, begin) = (watch.reader(None), watch.cursor());
    for n in 0..100 {
        std::fs::write(dir.path().join(format!("f{n:02}")), "x").unwrap();
    }
    watch.sync(PATIENCE).unwrap();
    let none = Some(Duration::ZERO);
    assert!(matches!(early.next(none), Ok(Some(Event::Reset { .. }))));
    let left = std::iter::from_fn(|| early.next(none).unwrap()).count();
    assert_eq!(left, 16);
    assert!(matches!(watch.reader(Some(begin)).next(none), Ok(Some(Event::Reset { .. }))));
    let end = watch.cursor();
    assert_eq!(watch.reader(Some(end)).next(none).unwrap(), None);
}

/// WATCH-1: readers learn that a watch has ended.
#[test]
fn the_end() {
    let dir = tempfile::tempdir().unwrap();
    let watch = watch(dir.path());
    let reader = watch.reader(None);
    std::fs::write(dir.path().join("a"), "x").unwrap();
    let waits = std::thread::spawn(move || {
        let mut events = Vec::new();
        loop {
            match reader.next(None) {
                Ok(event) => events.extend(event),
                Err(end) => return (events.len(), end.code(), reader.next(None).unwrap_err().code()),
            }
        }
    });
    // What the system has not told of by its end, a watch does not tell either.
    watch.sync(PATIENCE).unwrap();
    drop(watch);
    assert_eq!(waits.join().unwrap(), (1, "cancelled", "cancelled"));
}

/// A real machine that notes for how long the thread of a watch has asked to rest.
#[derive(Debug, Default)]
struct Rests(Mutex<Duration>);

/// Until something comes.
const NO_TIME: Duration = Duration::MAX;

impl Rests {
    fn note(&self, time: Duration) {
        if std::thread::current().name() == Some("filelatch-watch") {
            *self.0.lock().unwrap() = time;
        }
    }

    fn last(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

impl Host for Rests {
    fn now(&self) -> SystemTime {
        RealHost.now()
    }

    fn monotonic(&self) -> Duration {
        RealHost.monotonic()
    }

    fn sleep(&self, time: Duration) {
        self.note(time);
        RealHost.sleep(time);
    }

    fn park(&self, timeout: Option<Duration>) {
        self.note(timeout.unwrap_or(NO_TIME));
        RealHost.park(timeout);
    }

    fn idle(&self, time: Duration) -> bool {
        self.note(time);
        RealHost.idle(time)
    }

    fn unpark(&self, thread: &Thread) {
        RealHost.unpark(thread);
    }

    fn uid(&self) -> u32 {
        RealHost.uid()
    }

    fn pid(&self) -> u32 {
        RealHost.pid()
    }

    fn facts(&self) -> ProcessFacts {
        RealHost.facts()
    }

    fn start_of(&self, pid: u32) -> std::io::Result<Option<u64>> {
        RealHost.start_of(pid)
    }

    fn secret(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        RealHost.secret(bytes)
    }

    fn random(&self) -> u64 {
        RealHost.random()
    }
}

/// WATCH-4: a watch with nothing to do rests until it is told of something: no time is set after which it would wake up. Only what it has
/// heard of and not looked at yet, or not saved, sets one; and polling.
#[test]
fn idle_is_idle() {
    let dir = tempfile::tempdir().unwrap();
    let rests = Arc::new(Rests::default());
    let latch = Filelatch::builder().host(Arc::clone(&rests) as Arc<dyn Host>).build();
    latch.init(dir.path()).unwrap();
    let watch = latch.watch([dir.path()], &WatchOptions::new()).unwrap();
    until("it rests", || rests.last() == NO_TIME);
    for round in 0..20 {
        std::fs::write(dir.path().join("a"), round.to_string()).unwrap();
        assert!(!seen(&watch).is_empty());
        until("it rests again", || rests.last() == NO_TIME);
    }
    drop(watch);
    let named = latch.watch([dir.path()], &WatchOptions::new().resume("tests")).unwrap();
    std::fs::write(dir.path().join("a"), "saved").unwrap();
    assert!(!seen(&named).is_empty());
    until("it has saved", || rests.last() == NO_TIME);
    drop(named);
    let polls = WatchOptions::new().polling(Polling::Always(Some(Duration::from_secs(5))));
    let polling = latch.watch([dir.path()], &polls).unwrap();
    until("it rests", || rests.last() > Duration::from_secs(1) && rests.last() < NO_TIME);
    drop(polling);
}

/// WATCH-2: a writer that is killed at any moment, also between making its bytes visible and everything after, is named all the same.
#[test]
fn killed_writers_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.txt");
    let watch = watch(dir.path());
    let mut believer = Believer::default();
    for round in 0..30 {
        let session = format!("writer-{round}");
        let mut worker = Worker::start(&["write-as", path.to_str().unwrap(), &session]);
        worker.expect("ready");
        // It goes on writing while what it has written is reported.
        for _ in 0..round % 7 {
            let change = next_change(&watch);
            assert_eq!(change.origin, Origin::Session(session.clone()), "round {round}");
            believer.hear([Event::Change(change)]);
        }
        worker.kill();
        let events = seen(&watch);
        for event in &events {
            let Event::Change(change) = event else { panic!("{event:?}") };
            let known = matches!(&change.origin, Origin::Session(name) if *name == session);
            assert!(known, "round {round}: {change:?}");
        }
        let read = std::fs::read(&path).ok().map(|bytes| Version::of(&bytes));
        believer.hear(events);
        assert_eq!(believer.0.get(&path).copied().flatten(), read, "round {round}");
    }
}

/// Writes as fast as it can until it is killed.
pub(crate) fn write_as(path: &Path, session: &str) {
    let file = engine(session).file(path).unwrap();
    say("ready");
    let options = WriteOptions::new().durability(Durability::None);
    for n in 0_u64.. {
        file.write(format!("{session} {n}").as_bytes(), &options).unwrap();
    }
}
