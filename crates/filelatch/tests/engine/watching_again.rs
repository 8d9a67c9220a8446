//! Watches that go on where another one ended.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::path::Path;
use std::time::Duration;

use filelatch::Error;
use filelatch::watch::{Cursor, Event, RescanCause, Resumed, Watch, WatchOptions};

use crate::support::{PATIENCE, Worker, hear, say};
use crate::watching::{Believer, drain, engine, seen};

const NONE: Option<Duration> = Some(Duration::ZERO);

fn named(dir: &Path, name: &str) -> Result<Watch, Error> {
    engine("watcher").watch([dir], &WatchOptions::new().resume(name))
}

fn workspace() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    engine("watcher").init(dir.path()).unwrap();
    dir
}

fn is_reset(event: Option<&Event>) -> bool {
    matches!(event, Some(Event::Reset { .. }))
}

/// WATCH-1: what changed while nobody watched is reported, and cursors lead across the gap.
#[test]
fn nothing_is_missed_in_between() {
    let dir = workspace();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("stays", "x");
    write("changes", "x");
    write("goes", "x");
    let first = named(dir.path(), "tests").unwrap();
    assert_eq!(*first.resumed(), Resumed::No);
    let begin = first.cursor();
    write("stays", "y");
    let mut believer = Believer::of_disk(dir.path());
    let heard = seen(&first).len();
    assert!(heard > 0);
    let middle = first.cursor();
    drop(first);

    write("changes", "z");
    write("comes", "x");
    std::fs::remove_file(dir.path().join("goes")).unwrap();
    let second = named(dir.path(), "tests").unwrap();
    assert_eq!(*second.resumed(), Resumed::Yes { after_kill: false });
    let events = drain(&second);
    assert_eq!(events.len(), 4, "{events:?}");
    assert!(matches!(events[3], Event::Rescanned { cause: RescanCause::Resumed, .. }));
    believer.hear(events.clone());
    assert_eq!(believer, Believer::of_disk(dir.path()));
    let read = |cursor| {
        let reader = second.reader(Some(cursor));
        std::iter::from_fn(|| reader.next(NONE).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(read(middle), events);
    let all = read(begin);
    assert_eq!((all.len(), all[heard..].to_vec()), (heard + 4, events));
    // The cursors of both are known to a third one.
    let end = second.cursor();
    drop(second);
    let third = named(dir.path(), "tests").unwrap();
    let since = |cursor: Cursor| third.reader(Some(cursor.to_string().parse().unwrap())).next(NONE).unwrap();
    assert!([begin, middle, end].into_iter().all(|cursor| !is_reset(since(cursor).as_ref())));
}

/// WATCH-1: a name belongs to one watch at a time; who comes second learns who has it. Afterwards it is free.
#[test]
fn one_watch_of_a_name() {
    let dir = workspace();
    let mut worker = Worker::start(&["watch-named", dir.path().to_str().unwrap(), "tests"]);
    worker.expect("watching");
    let refused = named(dir.path(), "tests").unwrap_err();
    assert!(matches!(&refused, Error::Locked { holders, .. } if holders[0].pid == Some(worker.pid())), "{refused}");
    drop(named(dir.path(), "others").unwrap());
    worker.kill();
    drop(named(dir.path(), "tests").unwrap());
    drop(named(dir.path(), "tests").unwrap());
}

/// Watches until its input ends or it is killed; tells what it has reported.
pub(crate) fn watch_named(dir: &Path, name: &str) {
    let watch = named(dir, name).unwrap();
    say("watching");
    while hear().is_some() {
        watch.sync(PATIENCE).unwrap();
        say(drain(&watch).len());
    }
}

/// WATCH-1: a watch is killed at some moment, and files change before, meanwhile and after: the next one reports every difference from what
/// was saved, and says first that more may have been reported.
#[test]
fn killed_watches() {
    let dir = workspace();
    let write = |name: &str, n: usize| std::fs::write(dir.path().join(name), n.to_string()).unwrap();
    // It knows what every state was saved with, and hears nothing of what a killed watch had told.
    let mut believer = Believer::of_disk(dir.path());
    for round in 0..20 {
        let mut worker = Worker::start(&["watch-named", dir.path().to_str().unwrap(), "tests"]);
        worker.expect("watching");
        for n in 0..round % 4 {
            write(&format!("f{n}"), round);
            worker.tell("?");
            assert!(worker.hear().is_some());
        }
        worker.kill();
        write("meanwhile", round);
        let watch = named(dir.path(), "tests").unwrap();
        assert_eq!(*watch.resumed(), Resumed::Yes { after_kill: true });
        let events = drain(&watch);
        assert!(is_reset(events.first()), "round {round}: {events:?}");
        believer.hear(events);
        assert_eq!(believer, Believer::of_disk(dir.path()), "round {round}");
        write("meanwhile", round + 1000);
        believer.hear(seen(&watch));
    }
}

/// WATCH-1: what was saved on demand is known after a kill.
#[test]
fn checkpoints() {
    let dir = workspace();
    let watch = named(dir.path(), "tests").unwrap();
    std::fs::write(dir.path().join("a"), "x").unwrap();
    assert!(!seen(&watch).is_empty());
    watch.checkpoint(PATIENCE).unwrap();
    let saved = watch.cursor();
    std::fs::copy(state(dir.path()), dir.path().join(".filelatch/saved")).unwrap();
    drop(watch);
    // As a kill would have left it.
    std::fs::rename(dir.path().join(".filelatch/saved"), state(dir.path())).unwrap();
    let watch = named(dir.path(), "tests").unwrap();
    assert_eq!(*watch.resumed(), Resumed::Yes { after_kill: true });
    let reader = watch.reader(Some(saved));
    let next = reader.next(NONE).unwrap();
    assert!(matches!(next, Some(Event::Rescanned { .. })), "{next:?}");
}

fn state(dir: &Path) -> std::path::PathBuf {
    dir.join(".filelatch/watch/tests.json")
}

/// WATCH-1: a state that can't be read is set aside, is said to be lost, and the next one begins anew.
#[test]
fn damaged_states() {
    let dir = workspace();
    drop(named(dir.path(), "tests").unwrap());
    let good = std::fs::read(state(dir.path())).unwrap();
    for bad in [b"".as_slice(), b"{}", b"\xff\xff", &good[..good.len() / 2], &vec![b'['; 100_000]] {
        std::fs::write(state(dir.path()), bad).unwrap();
        let watch = named(dir.path(), "tests").unwrap();
        assert!(matches!(watch.resumed(), Resumed::Unusable { .. }), "{:?}", watch.resumed());
        assert!(is_reset(watch.next(NONE).unwrap().as_ref()));
        assert_eq!(watch.next(NONE).unwrap(), None);
        drop(watch);
        let aside = state(dir.path()).with_extension("json.damaged");
        assert_eq!(std::fs::read(aside).unwrap(), bad);
        assert_eq!(*named(dir.path(), "tests").unwrap().resumed(), Resumed::Yes { after_kill: false });
    }
}

/// WATCH-1: what is known of other paths, or under other options, is of no use, and that is said.
#[test]
fn other_paths() {
    let dir = workspace();
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    drop(named(dir.path(), "tests").unwrap());
    let watch = named(&dir.path().join("sub"), "tests").unwrap();
    assert!(matches!(watch.resumed(), Resumed::Unusable { .. }));
    assert!(is_reset(watch.next(NONE).unwrap().as_ref()));
}

/// WATCH-1: without a workspace there is no place for a state.
#[test]
fn no_workspace() {
    let dir = tempfile::tempdir().unwrap();
    let error = named(dir.path(), "tests").unwrap_err();
    assert_eq!((error.code(), error.hints().len()), ("no-workspace", 1));
    let error = named(workspace().path(), "").unwrap_err();
    assert!(error.to_string().contains("1 to 64 bytes"), "{error}");
}
