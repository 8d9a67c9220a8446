//! Files and trees: what is reported, and what is not.

use std::time::Duration;

use filelatch_fs::{Happened, Hint};

use super::super::event::{Origin, RescanCause};
use super::super::table::Table;
use super::super::tracker::Report;
use super::world::{Op, World, sorted, words};
use crate::file::WriteOptions;
use crate::version::Version;

/// WATCH-1: a file that was asked for: created, changed, deleted, with the version that is there.
#[test]
fn one_file() {
    let mut world = World::begun(&[("/d/", "")], &["/d/a"]);
    world.run(&[Op::Create("/d/a"), Op::Write("/d/a", "one"), Op::Close("/d/a")]);
    let reports = world.settle();
    assert_eq!(words(&reports), ["created /d/a"]);
    let Report::Change(seen) = &reports[0] else { panic!("{reports:?}") };
    assert_eq!((seen.version, seen.size, &seen.origin), (Some(Version::of(b"one")), Some(3), &Origin::External));
    world.run(&[Op::Truncate("/d/a"), Op::Write("/d/a", "two"), Op::Close("/d/a")]);
    assert_eq!(words(&world.settle()), ["modified /d/a"]);
    world.run(&[Op::Create("/d/b"), Op::Close("/d/b"), Op::Remove("/d/a")]);
    assert_eq!(words(&world.settle()), ["deleted /d/a"]);
    world.assert_true(&"");
}

/// WATCH-1: what leaves the bytes as they are is no change: permissions, the same bytes again, a replacement by the same bytes.
#[test]
fn same_bytes() {
    let mut world = World::begun(&[("/d/a", "one")], &["/d/a"]);
    for ops in [
        &[Op::Chmod("/d/a", 0o600)][..],
        &[Op::Truncate("/d/a"), Op::Write("/d/a", "one"), Op::Close("/d/a")],
        &[Op::Create("/d/t"), Op::Write("/d/t", "one"), Op::Close("/d/t"), Op::Rename("/d/t", "/d/a")],
        &[Op::Remove("/d/a"), Op::Create("/d/a"), Op::Write("/d/a", "one"), Op::Close("/d/a")],
    ] {
        world.run(ops);
        assert_eq!(words(&world.settle()), [""; 0], "{ops:?}");
        world.pass(Duration::from_secs(1));
    }
}

/// WATCH-1: a tree: files at any depth, also in directories that come later; what filelatch and git put there is left out.
#[test]
fn a_tree() {
    let mut world = World::begun(&[("/t/a", "a"), ("/t/sub/b", "b"), ("/t/.git/HEAD", "x")], &["/t"]);
    world.run(&[
        Op::Append("/t/a", "!"),
        Op::Close("/t/a"),
        Op::Remove("/t/sub/b"),
        Op::Create("/t/sub/.b.lock"),
        Op::Create("/t/sub/.b.7-0123456789abcdef.tmp"),
        Op::Append("/t/.git/HEAD", "y"),
    ]);
    assert_eq!(words(&world.settle()), ["modified /t/a", "deleted /t/sub/b"]);
    world.run(&[Op::Mkdir("/t/new")]);
    // Its watch is not set yet: what comes into it now is found by the look that follows.
    world.run(&[
        Op::Create("/t/new/c"),
        Op::Mkdir("/t/new/deep"),
        Op::Create("/t/new/deep/d"),
        Op::Write("/t/new/deep/d", "d"),
    ]);
    assert_eq!(words(&world.settle()), ["created /t/new/c", "created /t/new/deep/d"]);
    world.run(&[Op::Append("/t/new/deep/d", "e"), Op::Close("/t/new/deep/d")]);
    assert_eq!(words(&world.settle()), ["modified /t/new/deep/d"]);
}

/// WATCH-1 (L42): after an overflow everything is looked at, what differs is reported, and then that it was looked at.
#[test]
fn overflow() {
    let mut world = World::begun(&[("/t/a", "a"), ("/t/sub/b", "b"), ("/t/c", "c"), ("/f", "f")], &["/t", "/f"]);
    for op in [
        Op::Append("/t/a", "!"),
        Op::Remove("/t/sub/b"),
        Op::Mkdir("/t/new"),
        Op::Create("/t/new/d"),
        Op::Append("/f", "g"),
    ] {
        drop(world.act(&op));
    }
    world.hint(Hint::Lost);
    let said = words(&world.settle());
    let (changes, rescans) = said.split_at(4);
    assert_eq!(changes, ["modified /f", "modified /t/a", "created /t/new/d", "deleted /t/sub/b"]);
    assert_eq!(rescans, ["rescanned /t Overflow", "rescanned /f Overflow"]);
    assert!(world.watched().iter().any(|dir| dir == "/t/new"), "{:?}", world.watched());
    world.assert_true(&"");
    let mut out = Vec::new();
    world.tracker.rescan(RescanCause::Overflow, &mut out);
    assert_eq!(out.len(), 2, "nothing more: {out:?}");
}

/// WATCH-2: the engine's own way of writing is one change of one file.
#[test]
fn own_writes() {
    let mut world = World::begun(&[("/d/a", "one")], &["/d"]);
    let file = world.engine.file("/d/a").unwrap();
    file.write(b"two", &WriteOptions::new()).unwrap();
    for what in [Happened::MovedIn, Happened::Other] {
        world.hint(Hint::At { path: "/d/a".into(), what });
    }
    assert_eq!(words(&world.settle()), ["modified /d/a"]);
    world.assert_true(&"");
}

/// WATCH-1: a root that is not there yet, nor its directories; that vanishes with them, and comes back.
#[test]
fn missing_roots() {
    let mut world = World::begun(&[("/d/", "")], &["/d/e/a", "/d/t"]);
    world.run(&[Op::Mkdir("/d/e")]);
    assert_eq!(words(&world.settle()), [""; 0]);
    world.run(&[Op::Create("/d/e/a"), Op::Close("/d/e/a"), Op::Mkdir("/d/t"), Op::Create("/d/t/b")]);
    assert_eq!(words(&world.settle()), ["created /d/e/a", "created /d/t/b"]);
    world.run(&[Op::Rename("/d/e", "/d/old"), Op::Rename("/d/t", "/d/u")]);
    assert_eq!(sorted(words(&world.settle())), ["deleted /d/e/a", "deleted /d/t/b"]);
    world.run(&[Op::Append("/d/old/a", "x"), Op::Append("/d/u/b", "x")]);
    assert_eq!(words(&world.settle()), [""; 0], "not watched any more");
    world.run(&[Op::Rename("/d/old", "/d/e"), Op::Rename("/d/u", "/d/t")]);
    assert_eq!(words(&world.settle()), ["created /d/e/a", "created /d/t/b"]);
    world.run(&[Op::Append("/d/e/a", "y"), Op::Append("/d/t/b", "y")]);
    assert_eq!(words(&world.settle()), ["modified /d/e/a", "modified /d/t/b"]);
    world.assert_true(&"");
}

/// WATCH-1: directories that the system will not watch are told of, and found by looking at everything.
#[test]
fn limit_of_watches() {
    let mut world = World::new(&[("/t/a/f", "f"), ("/t/b/g", "g")], &["/t"]);
    world.limit_watches(3);
    world.begin();
    assert!(world.tracker.unwatched());
    world.run(&[Op::Append("/t/a/f", "x"), Op::Append("/t/b/g", "x")]);
    assert_eq!(words(&world.settle()).len(), 1, "one of the two is watched");
    assert_eq!(words(&world.poll()).len(), 1);
    world.assert_true(&"");
    world.limit_watches(usize::MAX);
    assert_eq!(words(&world.poll()), [""; 0]);
    assert!(!world.tracker.unwatched());
    world.run(&[Op::Append("/t/a/f", "y"), Op::Append("/t/b/g", "y")]);
    assert_eq!(words(&world.settle()), ["modified /t/a/f", "modified /t/b/g"]);
}

/// WATCH-1: what is known survives being written down, whatever the bytes of names, and a watch that goes on from it reports what changed
/// meanwhile.
#[cfg(unix)]
#[test]
fn resumed() {
    use std::os::unix::ffi::OsStringExt;

    let mut world = World::begun(&[("/t/a", "a"), ("/t/b", "b"), ("/t/c", "c"), ("/f", "f")], &["/t", "/f", "/none"]);
    let odd = std::path::PathBuf::from(std::ffi::OsString::from_vec(b"/t/\xff\n=x".to_vec()));
    world.fs.foreign().create(&odd, b"odd").unwrap();
    world.run(&[Op::Link("/t/b", "/t/b2"), Op::Mkdir("/t/d"), Op::Rmdir("/t/d")]);
    world.hint(Hint::Lost);
    assert_eq!(words(&world.settle()).len(), 4);
    let text = serde_json::to_string(world.tracker.table()).unwrap();
    let known: Table = serde_json::from_str(&text).unwrap();
    assert_eq!(known, *world.tracker.table());
    assert!(known.get(&odd).is_some_and(|entry| entry.version == Some(Version::of(b"odd"))));

    for op in [
        Op::Append("/t/a", "!"),
        Op::Rename("/t/b", "/t/e"),
        Op::Remove("/f"),
        Op::Create("/none"),
        Op::Create("/t/new"),
    ] {
        drop(world.act(&op));
    }
    let said = sorted(words(&world.resume(known)));
    let changes = ["created /none", "created /t/new", "deleted /f", "modified /t/a", "renamed /t/b /t/e"];
    let rescans = ["rescanned / Resumed", "rescanned /t Resumed"];
    assert_eq!(said, [&changes[..], &rescans[..]].concat());
    world.assert_true(&"");
    world.run(&[Op::Append("/t/e", "!")]);
    assert_eq!(words(&world.settle()), ["modified /t/e"]);
}
