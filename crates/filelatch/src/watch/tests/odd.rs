//! What can't be read, is too large, or is no file at all; other file systems.

use std::io::ErrorKind;
use std::time::Duration;

use filelatch_fs::sim::{Dials, Fault, SimFs, Verb};

use super::super::options::WatchOptions;
use super::super::tracker::{Report, Seen};
use super::world::{Op, World, sorted, words};

/// WATCH-1: a file that may not be read is reported without a version, and harms nobody else.
#[test]
fn unreadable_files() {
    let mut world = World::begun(&[("/t/a", "a"), ("/t/b", "b")], &["/t"]);
    world.run(&[Op::Append("/t/a", "x"), Op::Close("/t/a"), Op::Remove("/t/b")]);
    world.fs.fail_verb(Verb::Open, Fault::from(ErrorKind::PermissionDenied));
    let mut out = Vec::new();
    world.tracker.settle_all(&mut out);
    world.fs.heal();
    assert_eq!(words(&out), ["modified /t/a", "deleted /t/b"]);
    assert!(matches!(&out[0], Report::Change(Seen { version: None, size: Some(2), .. })), "{out:?}");
    world.believe(&out);
    // It may be read again, and is written to.
    world.run(&[Op::Append("/t/a", "y"), Op::Close("/t/a")]);
    assert_eq!(words(&world.settle()), ["modified /t/a"]);
    world.assert_true(&"");
}

/// WATCH-1: a directory that may not be searched leaves what is known as it was; when it may again, what changed meanwhile is found.
#[test]
fn unsearchable_directories() {
    let mut world = World::begun(&[("/t/d/a", "a"), ("/t/b", "b")], &["/t"]);
    world.fs.fail_verb(Verb::OpenDir, Fault::from(ErrorKind::PermissionDenied));
    world.run(&[Op::Append("/t/d/a", "x"), Op::Close("/t/d/a")]);
    assert_eq!(words(&world.settle()), [""; 0]);
    world.fs.heal();
    world.hint(filelatch_fs::Hint::At { path: "/t/d".into(), what: filelatch_fs::Happened::Other });
    assert_eq!(words(&world.settle()), ["modified /t/d/a"]);
    world.assert_true(&"");
}

/// WATCH-1: larger files are reported without a version, by what their facts say and the system tells.
#[test]
fn large_files() {
    let options = WatchOptions::new().hash_limit(4);
    let mut world = World::with(&SimFs::default(), &[("/t/a", "large file")], &["/t", "/t/a"], &options);
    world.begin();
    for op in [Op::Append("/t/a", "!"), Op::Write("/t/a", "LARGE")] {
        world.run(&[op, Op::Close("/t/a")]);
        let out = world.settle();
        assert!(matches!(out[..], [Report::Change(Seen { version: None, .. })]), "{out:?}");
        world.pass(Duration::from_secs(1));
    }
    world.run(&[Op::Chmod("/t/a", 0o600), Op::Close("/t/a")]);
    assert_eq!(words(&world.settle()), [""; 0]);
    world.run(&[Op::Truncate("/t/a"), Op::Close("/t/a")]);
    let out = world.settle();
    assert!(matches!(out[..], [Report::Change(Seen { version: Some(_), .. })]), "{out:?}");
}

/// WATCH-1: a FIFO is told of, and never opened.
#[test]
fn fifos() {
    let mut world = World::begun(&[("/t/a", "a")], &["/t"]);
    world.fs.foreign().mkfifo("/t/p").unwrap();
    world.hear_all();
    assert_eq!(words(&world.settle()), ["created /t/p"]);
    world.run(&[Op::Remove("/t/a")]);
    world.fs.foreign().mkfifo("/t/a").unwrap();
    world.hear_all();
    assert_eq!(words(&world.settle()), ["modified /t/a"]);
    world.assert_true(&"");
}

/// WATCH-1: where case is not told apart, a file is the same by every spelling of its name, and a change of case is a rename.
#[test]
fn case_is_not_told_apart() {
    let fs = SimFs::new(Dials { case_insensitive: true, ..Dials::default() });
    let mut world =
        World::with(&fs, &[("/t/Read.me", "a"), ("/d/File", "f")], &["/t", "/D/file"], &WatchOptions::new());
    world.begin();
    world.run(&[Op::Append("/d/File", "x"), Op::Close("/d/File")]);
    assert_eq!(words(&world.settle()), ["modified /D/file"]);
    world.run(&[Op::Rename("/t/Read.me", "/t/README")]);
    let said = sorted(words(&world.settle()));
    assert!(said.len() <= 1, "{said:?}");
    world.run(&[Op::Append("/t/README", "x"), Op::Close("/t/README")]);
    assert_eq!(words(&world.settle()), ["modified /t/README"]);
}

/// WATCH-1: only the entries of a directory.
#[test]
fn not_recursive() {
    let options = WatchOptions::new().recursive(false).ignore("*.log");
    let mut world = World::with(&SimFs::default(), &[("/t/a", "a"), ("/t/d/b", "b")], &["/t"], &options);
    world.begin();
    world.run(&[
        Op::Append("/t/d/b", "x"),
        Op::Create("/t/x.log"),
        Op::Mkdir("/t/e"),
        Op::Create("/t/e/c"),
        Op::Append("/t/a", "x"),
    ]);
    assert_eq!(words(&world.settle()), ["modified /t/a"]);
    assert_eq!(world.watched(), ["/", "/t"].map(std::path::PathBuf::from));
}
