//! What survives a power cut.

use std::io::ErrorKind;

use super::*;
use crate::host::Host;
use crate::sim::{Fault, Verb, is_power_cut};
use crate::types::Access;

fn open(fs: &SimFs, name: &str) -> Box<dyn crate::FsFile> {
    root(fs).open(name.as_ref(), Access::ReadWrite).unwrap()
}

/// TEST-3: what was synced is there on every disk, and nothing else may be.
#[test]
fn synced_survives() {
    let fs = SimFs::default();
    replace(&fs, b"new", true, true).unwrap();
    assert_eq!(outcomes(&fs, "/f"), set([Some(b"new")]));
    assert_eq!(fs.possible_disks().len(), 1);
}

/// TEST-3: a small write that was not synced is lost, kept, or there in length only.
#[test]
fn an_unsynced_write_is_anything() {
    let fs = with_file("/f", b"ab");
    write_all_at(&*open(&fs, "f"), b"wxyz", 0).unwrap();
    assert_eq!(outcomes(&fs, "/f"), set([Some(b"ab"), Some(b"wxyz"), Some(b"ab\0\0")]));
    open(&fs, "f").sync().unwrap();
    assert_eq!(outcomes(&fs, "/f"), set([Some(b"wxyz")]));
}

/// TEST-3: a long write tears between sectors, at both ends, with and without its length; never inside one.
#[test]
fn a_long_write_tears_between_sectors() {
    let fs = with_file("/f", b"");
    write_all_at(&*open(&fs, "f"), &[b'x'; 1200], 0).unwrap();
    let outcomes = outcomes(&fs, "/f");
    let file = |parts: &[(u8, usize)]| Some(parts.iter().flat_map(|(byte, n)| vec![*byte; *n]).collect::<Vec<u8>>());
    for wanted in [
        file(&[]),
        file(&[(b'x', 1200)]),
        file(&[(0, 1200)]),
        file(&[(b'x', 512)]),
        file(&[(b'x', 512), (0, 688)]),
        file(&[(0, 512), (b'x', 688)]),
        file(&[(b'x', 1024), (0, 176)]),
    ] {
        assert!(outcomes.contains(&wanted));
    }
    for bytes in outcomes.into_iter().flatten() {
        assert!(bytes.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
    }
}

/// TEST-3: two writes, two files: each has a fate of its own.
#[test]
fn fates_are_independent() {
    let fs = with_file("/a", b"1");
    fs.foreign().create("/b", b"1").unwrap();
    fs.settle();
    for name in ["a", "b"] {
        write_all_at(&*open(&fs, name), b"2", 0).unwrap();
    }
    let read = |fs: &SimFs| (fs.foreign().read("/a").unwrap(), fs.foreign().read("/b").unwrap());
    let seen: BTreeSet<_> = fs.possible_disks().map(|disk| read(&disk.fs)).collect();
    assert_eq!(seen.len(), 4);
}

/// L24: a name is durable by the sync of its directory only.
#[test]
fn a_name_without_its_directory_may_be_gone() {
    let fs = SimFs::default();
    root(&fs).create_new("f".as_ref(), 0o600).unwrap().sync().unwrap();
    assert_eq!(outcomes(&fs, "/f"), set([None, Some(b"")]));

    let fs = SimFs::default();
    replace(&fs, b"new", true, false).unwrap();
    assert_eq!(outcomes(&fs, "/f"), set([None, Some(b"new")]));
    assert_eq!(outcomes(&fs, "/.f.tmp"), set([None, Some(b"new")]), "created, but not renamed yet");
    root(&fs).sync().unwrap();
    assert_eq!(outcomes(&fs, "/f"), set([Some(b"new")]));
}

/// L24: a rename that overtakes the bytes leaves an empty file, also after the directory's sync.
#[test]
fn a_rename_may_overtake_the_bytes() {
    let fs = with_file("/f", b"old");
    replace(&fs, b"new", false, true).unwrap();
    assert_eq!(outcomes(&fs, "/f"), set([Some(b""), Some(b"\0\0\0"), Some(b"new")]));
}

/// P5.2: an exchange is there on both sides or on none.
#[test]
fn an_exchange_is_atomic() {
    let fs = with_file("/a", b"1");
    fs.foreign().create("/b", b"2").unwrap();
    fs.settle();
    root(&fs).exchange("a".as_ref(), "b".as_ref()).unwrap();
    let read = |fs: &SimFs| [fs.foreign().read("/a").unwrap(), fs.foreign().read("/b").unwrap()].concat();
    let seen: BTreeSet<_> = fs.possible_disks().map(|disk| read(&disk.fs)).collect();
    assert_eq!(seen, BTreeSet::from([b"12".to_vec(), b"21".to_vec()]));
}

/// TEST-3: operations on different names of one directory reach the disk in any order; those on one name or file do not.
#[test]
fn names_are_reordered_unless_they_depend() {
    let fs = SimFs::default();
    let dir = root(&fs);
    dir.create_new("a".as_ref(), 0o600).unwrap();
    dir.create_new("b".as_ref(), 0o600).unwrap();
    let listings = |fs: &SimFs| -> BTreeSet<Vec<String>> {
        fs.possible_disks().map(|disk| disk.fs.foreign().names("/").unwrap()).collect()
    };
    let lists = |lists: &[&[&str]]| -> BTreeSet<Vec<String>> {
        lists.iter().map(|names| names.iter().map(|name| (*name).to_owned()).collect()).collect()
    };
    assert_eq!(listings(&fs), lists(&[&[], &["a"], &["b"], &["a", "b"]]));

    let fs = with_file("/a", b"");
    let dir = root(&fs);
    dir.link("a".as_ref(), "b".as_ref()).unwrap();
    dir.remove("a".as_ref()).unwrap();
    assert_eq!(listings(&fs), lists(&[&["a"], &["a", "b"], &["b"]]), "the file is never without a name");

    let fs = with_file("/a", b"");
    let dir = root(&fs);
    dir.link("a".as_ref(), "b".as_ref()).unwrap();
    dir.link("a".as_ref(), "c".as_ref()).unwrap();
    assert_eq!(listings(&fs), lists(&[&["a"], &["a", "b"], &["a", "c"], &["a", "b", "c"]]), "links of one file");

    let fs = SimFs::default();
    let dir = root(&fs);
    dir.create_new("a".as_ref(), 0o600).unwrap();
    dir.link("a".as_ref(), "b".as_ref()).unwrap();
    assert_eq!(listings(&fs), lists(&[&[], &["a"], &["a", "b"]]), "a link needs what it was made from");
}

/// P5.8: the sync of a new directory says nothing of its own name.
#[test]
fn a_new_directory_needs_its_parent() {
    let fs = SimFs::default();
    fs.create_dir("/d".as_ref()).unwrap();
    let dir = fs.open_dir("/d".as_ref()).unwrap();
    dir.create_new("f".as_ref(), 0o600).unwrap();
    dir.sync().unwrap();
    assert_eq!(outcomes(&fs, "/d/f"), set([None, Some(b"")]));
    root(&fs).sync().unwrap();
    assert_eq!(outcomes(&fs, "/d/f"), set([Some(b"")]));
}

/// A move between directories is atomic, and durable with either of them.
#[test]
fn a_move_is_durable_with_either_directory() {
    let fs = with_file("/f", b"x");
    fs.foreign().create_dirs("/d").unwrap();
    fs.settle();
    let (from, to) = (root(&fs), fs.open_dir("/d".as_ref()).unwrap());
    from.move_to("f".as_ref(), &*to, "g".as_ref()).unwrap();
    for disk in fs.possible_disks() {
        let eyes = disk.fs.foreign();
        assert_ne!(eyes.read("/f").is_ok(), eyes.read("/d/g").is_ok(), "{}", disk.story);
    }
    to.sync().unwrap();
    assert_eq!(outcomes(&fs, "/f"), set([None]));
    assert_eq!(outcomes(&fs, "/d/g"), set([Some(b"x")]));

    from.create_new("new".as_ref(), 0o600).unwrap();
    from.move_to("new".as_ref(), &*to, "moved".as_ref()).unwrap();
    to.sync().unwrap();
    assert_eq!(outcomes(&fs, "/new"), set([None]), "a sync takes along what it depends on");
    assert_eq!(outcomes(&fs, "/d/moved"), set([Some(b"")]));
}

/// L26: after a failed sync a later one answers "ok" over bytes that may be lost; only what is written again is safe.
#[test]
fn a_failed_sync_loses_silently() {
    let fs = with_file("/f", b"1");
    let file = open(&fs, "f");
    write_all_at(&*file, b"2", 0).unwrap();
    fs.fail_verb(Verb::SyncFile, Fault::EIO);
    file.sync().unwrap_err();
    fs.heal();
    file.sync().unwrap();
    assert_eq!(fs.foreign().read("/f").unwrap(), b"2", "programs still see it");
    assert_eq!(outcomes(&fs, "/f"), set([Some(b"1"), Some(b"2")]));
    write_all_at(&*file, b"2", 0).unwrap();
    file.sync().unwrap();
    assert_eq!(outcomes(&fs, "/f"), set([Some(b"2")]));
}

/// L26, for names: a failed sync of a directory leaves them in doubt; a later change of the same name settles it.
#[test]
fn a_failed_directory_sync_leaves_names_in_doubt() {
    let fs = SimFs::default();
    let dir = root(&fs);
    dir.create_new("a".as_ref(), 0o600).unwrap();
    fs.fail_verb(Verb::SyncDir, ErrorKind::Other);
    dir.sync().unwrap_err();
    fs.heal();
    dir.sync().unwrap();
    assert_eq!(outcomes(&fs, "/a"), set([None, Some(b"")]));
    dir.rename("a".as_ref(), "b".as_ref()).unwrap();
    dir.sync().unwrap();
    assert_eq!(outcomes(&fs, "/b"), set([Some(b"")]));
    assert_eq!(outcomes(&fs, "/a"), set([None]));
}

/// Attributes and modes are as durable as bytes.
#[test]
fn metadata_needs_a_sync() {
    let fs = with_file("/f", b"");
    let file = open(&fs, "f");
    file.set_xattr("user.x".as_ref(), b"v").unwrap();
    file.set_mode(0o600).unwrap();
    let look = |fs: &SimFs| {
        let file = open(fs, "f");
        (file.get_xattr("user.x".as_ref()).unwrap().is_some(), file.stat().unwrap().mode)
    };
    let seen = |fs: &SimFs| -> BTreeSet<_> { fs.possible_disks().map(|disk| look(&disk.fs)).collect() };
    assert_eq!(seen(&fs), BTreeSet::from([(false, 0o644), (false, 0o600), (true, 0o644), (true, 0o600)]));
    file.sync().unwrap();
    assert_eq!(seen(&fs), BTreeSet::from([(true, 0o600)]));
}

/// TEST-3: too many disks are drawn by a seed, the same each time, with the extremes among them.
#[test]
fn many_disks_are_sampled() {
    let sampled = |seed| {
        let fs = SimFs::new(Dials { seed, ..Dials::default() });
        for name in ["a", "b", "c", "d", "e", "f", "g"] {
            write_all_at(&*root(&fs).create_new(name.as_ref(), 0o600).unwrap(), &[1; 4000], 0).unwrap();
        }
        let disks = fs.possible_disks();
        assert!(!disks.is_complete());
        let sizes = |fs: &SimFs| -> Vec<usize> {
            let eyes = fs.foreign();
            eyes.names("/").unwrap().iter().map(|name| eyes.read(format!("/{name}")).unwrap().len()).collect()
        };
        disks.map(|disk| (sizes(&disk.fs), disk.story)).collect::<Vec<_>>()
    };
    let first = sampled(1);
    assert_eq!(first, sampled(1));
    assert_ne!(first, sampled(2));
    assert!(first.len() > 400, "{}", first.len());
    for extreme in [vec![], vec![0; 7], vec![4000; 7]] {
        assert!(first.iter().any(|(sizes, _)| *sizes == extreme));
    }
}

/// TEST-3: after the cut nothing changes any more, and the disks boot another machine without locks or open files.
#[test]
fn a_cut_is_the_end() {
    let fs = with_file("/f", b"old");
    let file = open(&fs, "f");
    assert!(file.try_lock(crate::LockKind::Exclusive).unwrap());
    fs.power_cut_before(fs.calls());
    let error = write_all_at(&*file, b"new", 0).unwrap_err();
    assert!(is_power_cut(&error), "{error}");
    assert!(fs.is_cut());
    assert!(is_power_cut(&fs.foreign().create("/g", b"").unwrap_err()));
    assert!(fs.process().open_dir("/".as_ref()).is_err());

    let disk = fs.possible_disks().next().unwrap().fs;
    assert_eq!(disk.foreign().read("/f").unwrap(), b"old");
    assert!(open(&disk, "f").try_lock(crate::LockKind::Exclusive).unwrap());
    assert_ne!(disk.host().facts().boot, fs.host().facts().boot);
    assert_ne!(disk.host().random(), fs.host().random());
    assert_eq!(disk.host().facts().pid, fs.host().facts().pid, "pids are used again");
}

/// A removal that was lost and a creation that was not must not meet on one inode number.
#[test]
fn disks_have_unique_numbers() {
    let fs = with_file("/old", b"1");
    let dir = root(&fs);
    let number = dir.stat("old".as_ref()).unwrap().id;
    dir.remove("old".as_ref()).unwrap();
    dir.create_new("new".as_ref(), 0o600).unwrap();
    assert_eq!(dir.stat("new".as_ref()).unwrap().id, number, "numbers are used again at once");
    let mut both = 0;
    for disk in fs.possible_disks() {
        let dir = root(&disk.fs);
        if let (Ok(old), Ok(new)) = (dir.stat("old".as_ref()), dir.stat("new".as_ref())) {
            assert_ne!(old.id, new.id);
            both += 1;
        }
    }
    assert!(both > 0);
}
