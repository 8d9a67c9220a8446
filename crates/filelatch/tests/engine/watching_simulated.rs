//! Watching where the system tells little or nothing, on a simulated disk.

use std::sync::Arc;
use std::time::Duration;

use filelatch::watch::{ChangeKind, Event, Mode, PollReason, Polling, Watch, WatchOptions};
use filelatch::{Error, Filelatch, Version};
use filelatch_fs::FsKind;
use filelatch_fs::sim::{Dials, HintFault, SimFs, Watching};

/// Of simulated time.
const PATIENCE: Duration = Duration::from_secs(600);

fn engine(fs: &SimFs) -> Filelatch {
    Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).session("watcher").build()
}

fn watch(fs: &SimFs, options: &WatchOptions) -> Result<Watch, Error> {
    engine(fs).watch(["/d"], options)
}

fn disk(dials: Dials) -> SimFs {
    let fs = SimFs::new(dials);
    fs.foreign().create_dirs("/d/sub").unwrap();
    fs.foreign().create("/d/a", b"one").unwrap();
    fs
}

fn why(watch: &Watch) -> &'static str {
    match watch.mode() {
        Mode::Events => "events",
        Mode::Polling { why, .. } => match why {
            PollReason::Asked => "asked",
            PollReason::NoEvents(_) => "no-events",
            PollReason::Remote(_) => "remote",
            PollReason::Silent => "silent",
            PollReason::Limit => "limit",
            _ => "another",
        },
    }
}

/// The next change, with nobody but time to bring it about.
#[track_caller]
fn next(watch: &Watch) -> (ChangeKind, String, Option<Version>) {
    match watch.next(Some(PATIENCE)).unwrap() {
        Some(Event::Change(change)) => (change.kind, change.path.display().to_string(), change.version),
        other => panic!("{other:?}"),
    }
}

fn changes_are_seen(fs: &SimFs, watch: &Watch) {
    fs.foreign().replace("/d/a", b"two").unwrap();
    assert_eq!(next(watch), (ChangeKind::Modified, "/d/a".to_owned(), Some(Version::of(b"two"))));
    fs.foreign().create("/d/sub/b", b"new").unwrap();
    assert_eq!(next(watch), (ChangeKind::Created, "/d/sub/b".to_owned(), Some(Version::of(b"new"))));
    fs.foreign().remove("/d/sub/b").unwrap();
    assert_eq!(next(watch), (ChangeKind::Deleted, "/d/sub/b".to_owned(), None));
}

/// WATCH-1, WATCH-4: how changes are heard of is found out, and on each way they are seen.
#[test]
fn every_mode_sees_changes() {
    let all = Dials::default();
    for (dials, reason) in [
        (all, "events"),
        (Dials { events: Watching::Missing, ..all }, "no-events"),
        (Dials { kind: FsKind::Network, name: "nfs", ..all }, "remote"),
        (Dials { kind: FsKind::Unknown, name: "unknown", ..all }, "remote"),
        (Dials { watches: Some(1), ..all }, "limit"),
    ] {
        let fs = disk(dials);
        let watch = watch(&fs, &WatchOptions::new()).unwrap();
        assert_eq!(why(&watch), reason);
        changes_are_seen(&fs, &watch);
    }
    let fs = disk(all);
    let asked = watch(&fs, &WatchOptions::new().polling(Polling::Always(None))).unwrap();
    assert_eq!(why(&asked), "asked");
    changes_are_seen(&fs, &asked);
}

/// WATCH-4: a file system that takes watches and tells nothing is found out by trial.
#[test]
fn silence_is_found_out() {
    let fs = disk(Dials::default());
    fs.disturb_hints(HintFault::LoseAll);
    let watch = watch(&fs, &WatchOptions::new()).unwrap();
    assert_eq!(why(&watch), "silent");
    changes_are_seen(&fs, &watch);
}

/// WATCH-4: who does not want to be polled for is refused where nothing is told.
#[test]
fn never_polling() {
    let never = WatchOptions::new().polling(Polling::Never);
    assert!(watch(&disk(Dials::default()), &never).is_ok());
    let error = watch(&disk(Dials { events: Watching::Missing, ..Dials::default() }), &never).unwrap_err();
    assert_eq!(error.code(), "not-watchable");
}

/// WATCH-4: the limit of watches is reached while it watches: it begins to look again and again.
#[test]
fn the_limit_is_reached_later() {
    let fs = disk(Dials { watches: Some(8), ..Dials::default() });
    let watch = watch(&fs, &WatchOptions::new()).unwrap();
    assert_eq!(why(&watch), "events");
    for n in 0..10 {
        fs.foreign().create_dirs(format!("/d/more{n}")).unwrap();
    }
    watch.sync(PATIENCE).unwrap();
    assert_eq!(why(&watch), "limit");
    fs.foreign().create("/d/more9/b", b"new").unwrap();
    assert_eq!(next(&watch).1, "/d/more9/b");
}

/// WATCH-1 (L44): a barrier whose cookie is not heard of looks at everything, so it is right although hints are late or lost.
#[test]
fn barriers_do_not_trust_hints() {
    for fault in [HintFault::LoseAll, HintFault::Hold, HintFault::Overflow(1000), HintFault::Double] {
        let fs = disk(Dials::default());
        let watch = watch(&fs, &WatchOptions::new()).unwrap();
        fs.disturb_hints(fault);
        // A second of simulated time each, where the cookie is waited for in vain.
        for n in 0..5 {
            fs.foreign().replace("/d/a", n.to_string().as_bytes()).unwrap();
            watch.sync(PATIENCE).unwrap();
            let mut last = None;
            while let Some(event) = watch.next(Some(Duration::ZERO)).unwrap() {
                // A look may have come while the new version still had its temporary name, which is then gone.
                if let Event::Change(change) = event
                    && change.path.ends_with("a")
                {
                    last = change.version;
                }
            }
            assert_eq!(last, Some(Version::of(n.to_string().as_bytes())), "{fault:?}, round {n}");
        }
    }
}

/// WATCH-1: what a killed watch left in the directory is removed by the next one; a watch itself leaves nothing.
#[test]
fn no_cookies_are_left() {
    let fs = disk(Dials::default());
    let left = "/d/.filelatch-watch.77-0123456789abcdef.tmp";
    fs.foreign().create(left, b"").unwrap();
    let watch = watch(&fs, &WatchOptions::new()).unwrap();
    watch.sync(PATIENCE).unwrap();
    drop(watch);
    assert_eq!(fs.foreign().names("/d").unwrap(), ["a", "sub"]);
}
