//! Many files. (As many as the simulation can bear: it takes a step for each file to create one.)

use std::path::PathBuf;

use filelatch_fs::Hint;
use filelatch_fs::sim::SimFs;

use super::super::options::WatchOptions;
use super::super::table::Entry;
use super::super::tracker::Report;
use super::world::World;

const DIRS: usize = 20;
const FILES: usize = 50;
const CHANGES: usize = 500;

fn path(dir: usize, file: usize) -> PathBuf {
    format!("/t/dir{dir:02}/file-number-{file:02}.json").into()
}

/// WATCH-1, WATCH-4: of many changes in one go none is lost, without an overflow and with one; beginning reads no file, and what is kept of one
/// is small.
#[test]
fn none_is_lost() {
    let fs = SimFs::default();
    let foreign = fs.foreign();
    for dir in 0..DIRS {
        foreign.create_dirs(format!("/t/dir{dir:02}")).unwrap();
        for file in 0..FILES {
            foreign.create(path(dir, file), b"old").unwrap();
        }
    }
    let mut world = World::with(&fs, &[], &["/t"], &WatchOptions::new());
    world.begin();
    assert!(!fs.trace().iter().any(|call| call.contains("ReadAt")), "files were read");
    assert_eq!(world.tracker.table().entries.len(), DIRS * FILES + DIRS + 1);
    // A pointer and a length, two counts and the path; the entry; and as much again for the room that a B-tree leaves.
    let key = 16 + 16 + path(0, 0).as_os_str().len();
    assert!(key + size_of::<Entry>() * 3 / 2 <= 300, "{} bytes for each file", key + size_of::<Entry>());

    for overflow in [false, true] {
        drop(world.told());
        for change in 0..CHANGES {
            let path = path(change % DIRS, change / DIRS * 2);
            foreign.truncate_and_write(&path, format!("new {change} {overflow}").as_bytes()).unwrap();
        }
        let mut hints = world.told();
        if overflow {
            hints = hints.split_off(hints.len() / 2);
            hints.insert(0, Hint::Lost);
        }
        for hint in hints {
            world.hint(hint);
        }
        let changes = world.settle().into_iter().filter(|report| matches!(report, Report::Change(_))).count();
        assert_eq!(changes, CHANGES);
        world.assert_true(&overflow);
    }
    // A directory with all that is in it.
    foreign.rename("/t/dir00", "/t/moved").unwrap();
    world.hear_all();
    assert_eq!(world.settle().len(), FILES);
    world.assert_true(&"");
}
