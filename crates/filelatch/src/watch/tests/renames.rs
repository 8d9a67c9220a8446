//! Names that change: files, directories, links on the way.

use filelatch_fs::sim::{SimFs, Verb};
use filelatch_fs::{Fs, Hint};

use super::super::options::WatchOptions;
use super::world::{Op, World, sorted, words};

/// WATCH-1: one rename is one report, also across directories and over a known file; two files that swap their names have other contents.
#[test]
fn files() {
    let mut world = World::begun(&[("/t/a", "a"), ("/t/d/b", "b"), ("/t/c", "c")], &["/t"]);
    world.run(&[Op::Rename("/t/a", "/t/a2")]);
    assert_eq!(words(&world.settle()), ["renamed /t/a /t/a2"]);
    world.run(&[Op::Rename("/t/a2", "/t/d/a")]);
    assert_eq!(words(&world.settle()), ["renamed /t/a2 /t/d/a"]);
    world.run(&[Op::Rename("/t/d/a", "/t/d/b")]);
    assert_eq!(words(&world.settle()), ["renamed /t/d/a /t/d/b"]);
    world.run(&[Op::Rename("/t/c", "/t/d/c")]);
    assert_eq!(words(&world.settle()), ["renamed /t/c /t/d/c"]);
    world.run(&[Op::Exchange("/t/d/b", "/t/d/c")]);
    assert_eq!(words(&world.settle()), ["modified /t/d/b", "modified /t/d/c"]);
    world.assert_true(&"");
}

/// WATCH-1: a directory that is moved takes its files along; what comes into it afterwards is told under its new name.
#[test]
fn directories() {
    let mut world = World::begun(&[("/t/d/a", "a"), ("/t/d/e/b", "b"), ("/u/", "")], &["/t"]);
    world.run(&[Op::Rename("/t/d", "/t/f")]);
    assert_eq!(words(&world.settle()), ["renamed /t/d/a /t/f/a", "renamed /t/d/e/b /t/f/e/b"]);
    world.run(&[Op::Append("/t/f/e/b", "x"), Op::Close("/t/f/e/b")]);
    assert_eq!(words(&world.settle()), ["modified /t/f/e/b"]);
    world.run(&[Op::Rename("/t/f", "/u/f")]);
    assert_eq!(words(&world.settle()), ["deleted /t/f/a", "deleted /t/f/e/b"]);
    assert!(!world.watched().iter().any(|dir| dir.starts_with("/t/f") || dir.starts_with("/t/d")));
    world.run(&[Op::Rename("/u/f", "/t/g")]);
    assert_eq!(words(&world.settle()), ["created /t/g/a", "created /t/g/e/b"]);
    world.assert_true(&"");
}

/// WATCH-1: a file whose inode number another one had is no renamed one.
#[test]
fn numbers_used_again() {
    let mut world = World::begun(&[("/t/a", "a")], &["/t"]);
    world.run(&[Op::Remove("/t/a"), Op::Create("/t/b"), Op::Write("/t/b", "b"), Op::Close("/t/b")]);
    assert_eq!(sorted(words(&world.settle())), ["created /t/b", "deleted /t/a"]);
}

/// WATCH-1 (L40): nor is it the file that had the name before, though number and length are the same.
#[test]
fn numbers_used_again_for_the_same_name() {
    let mut world = World::begun(&[("/t/a", "one")], &["/t"]);
    let id = |world: &World| world.fs.stat("/t/a".as_ref()).unwrap().id;
    let before = id(&world);
    world.run(&[Op::Remove("/t/a"), Op::Create("/t/b"), Op::Write("/t/b", "two"), Op::Close("/t/b")]);
    world.run(&[Op::Rename("/t/b", "/t/a")]);
    assert_eq!(id(&world), before, "what this is about");
    assert_eq!(words(&world.settle()), ["modified /t/a"]);
    world.assert_true(&"");
}

/// WATCH-1 (L42): what comes into a directory before it is watched is found by the listing, which comes afterwards.
#[test]
fn watched_before_it_is_listed() {
    let fs = SimFs::default();
    fs.observe(|fs, call| {
        if call.verb == Verb::AddWatch {
            let dir = &call.paths[0];
            if dir.starts_with("/t") {
                fs.foreign().create(dir.join("late"), b"").ok();
            }
        }
    });
    let mut world = World::with(&fs, &[("/t/a/", "")], &["/t"], &WatchOptions::new());
    world.begin();
    world.run(&[Op::Mkdir("/t/new")]);
    assert_eq!(words(&world.settle()), ["created /t/new/late"]);
    world.hint(Hint::Lost);
    assert_eq!(words(&world.settle()), ["rescanned /t Overflow"]);
    world.assert_true(&"");
}

/// WATCH-1: nothing is told under a path that does not lead there any more.
#[test]
fn a_link_that_is_gone() {
    let mut world = World::new(&[("/r/7/conf", "seven")], &["/r/current"]);
    world.fs.foreign().symlink("7", "/r/current").unwrap();
    world.begin();
    drop(world.act(&Op::Remove("/r/current")));
    world.run(&[Op::Append("/r/7/conf", "!"), Op::Close("/r/7/conf")]);
    assert_eq!(words(&world.settle()), ["deleted /r/current/conf"]);
}

/// WATCH-1: a link on the way that is replaced (`current -> releases/7`, the `..data` of Kubernetes) leads to another file; so does a link that
/// is the file's own name.
#[test]
fn links_on_the_way() {
    let files = [("/r/7/conf", "seven"), ("/r/8/conf", "eight"), ("/r/8/b", "b")];
    let mut world = World::new(&files, &["/r/current/conf", "/r/link", "/r/current"]);
    world.fs.foreign().symlink("7", "/r/current").unwrap();
    world.fs.foreign().symlink("current/conf", "/r/link").unwrap();
    world.begin();
    world.run(&[Op::Symlink("8", "/r/tmp"), Op::Rename("/r/tmp", "/r/current")]);
    let said = words(&world.settle());
    assert_eq!(
        said,
        ["modified /r/current/conf", "modified /r/link", "created /r/current/b", "rescanned /r/current Replaced"]
    );
    world.run(&[Op::Append("/r/8/conf", "!"), Op::Close("/r/8/conf"), Op::Append("/r/7/conf", "?")]);
    assert_eq!(words(&world.settle()), ["modified /r/current/conf", "modified /r/link"]);
    world.assert_true(&"");
}

/// WATCH-1: a link leads to the same directories by another way; they are watched by that.
#[test]
fn the_same_tree_elsewhere() {
    let mut world = World::new(&[("/r/7/d/x", "x")], &["/r/current"]);
    world.fs.foreign().symlink("7", "/r/current").unwrap();
    world.begin();
    world.run(&[Op::Rename("/r/7", "/r/8"), Op::Symlink("8", "/r/tmp"), Op::Rename("/r/tmp", "/r/current")]);
    assert_eq!(words(&world.settle()), ["rescanned /r/current Replaced"]);
    world.run(&[Op::Append("/r/8/d/x", "!"), Op::Close("/r/8/d/x")]);
    assert_eq!(words(&world.settle()), ["modified /r/current/d/x"]);
    assert!(!world.watched().iter().any(|dir| dir.starts_with("/r/7")), "{:?}", world.watched());
}

/// WATCH-1: links inside a tree are not followed: they are what they say.
#[test]
fn links_in_a_tree() {
    let mut world = World::begun(&[("/t/a", "a"), ("/o/b", "b")], &["/t"]);
    world.run(&[Op::Symlink("/o", "/t/l"), Op::Symlink("../t", "/t/loop")]);
    assert_eq!(words(&world.settle()), ["created /t/l", "created /t/loop"]);
    world.run(&[Op::Symlink("/p", "/t/m"), Op::Rename("/t/m", "/t/l")]);
    assert_eq!(words(&world.settle()), ["modified /t/l"]);
    // A directory gives way to a link to itself.
    world.run(&[Op::Mkdir("/t/d"), Op::Create("/t/d/c")]);
    assert_eq!(words(&world.settle()), ["created /t/d/c"]);
    world.run(&[Op::Rename("/t/d", "/o/d"), Op::Symlink("/o/d", "/t/d")]);
    assert_eq!(sorted(words(&world.settle())), ["created /t/d", "deleted /t/d/c"]);
    world.assert_true(&"");
}
