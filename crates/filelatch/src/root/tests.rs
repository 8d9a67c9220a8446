//! Links and directories, in the simulation: what is reached, what is made, and what a power cut leaves.

use std::sync::Arc;
use std::time::Duration;

use filelatch_fs::sim::{Dials, SimFs};

use super::*;
use crate::{Durability, WriteOptions};

fn engine(fs: &SimFs) -> Filelatch {
    Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).session("me").build()
}

/// `/in` is the root; `/out/secret` is not to be seen.
fn world() -> SimFs {
    let fs = SimFs::default();
    let hand = fs.foreign();
    for dir in ["/in/a/b", "/in/c", "/out"] {
        hand.create_dirs(dir).unwrap();
    }
    hand.create("/out/secret", b"secret").unwrap();
    for (text, link) in [
        ("b/f", "/in/a/near"),
        ("a/b", "/in/dir"),
        ("../a/near", "/in/c/twice"),
        ("../../out/secret", "/in/a/far"),
        ("../out", "/in/away"),
        ("/in/c", "/in/absolute"),
        ("..", "/in/up"),
        ("../..", "/in/a/upup"),
        ("round", "/in/round"),
        ("a/../c/./new", "/in/winding"),
        (".", "/in/self"),
    ] {
        hand.symlink(text, link).unwrap();
    }
    hand.create("/in/a/b/f", b"inside").unwrap();
    fs.settle();
    fs
}

/// SERVE-7: links are followed where they stay inside, and the file is known by its own place then.
#[test]
fn links_that_stay() {
    let fs = world();
    let root = engine(&fs).root("/in").unwrap();
    for path in ["a/b/f", "a/near", "dir/f", "c/twice", "self/a/near", "self/self/dir/f"] {
        let file = root.file(path).unwrap();
        assert_eq!(file.read().unwrap().bytes(), b"inside", "{path}");
        assert_eq!(root.place_of(&file), Path::new("a/b/f"), "{path}");
        assert_eq!(file.path(), Path::new(path));
        assert_eq!(file.id(), engine(&fs).file("/in/a/b/f").unwrap().id());
    }
    let new = root.file("winding").unwrap();
    new.write(b"x", &WriteOptions::new()).unwrap();
    assert_eq!(fs.foreign().read("/in/c/new").unwrap(), b"x");
}

/// SERVE-2: what was read is known by a look at its name, until anything there is another: then nothing is said.
#[test]
fn a_glance() {
    let fs = world();
    let root = engine(&fs).root("/in").unwrap();
    let seen = |path: &str| root.glance(path).map(|known| known.bytes().to_vec());
    fs.host().advance(Duration::from_secs(60));
    assert_eq!(seen("a/b/f"), None, "nobody has read it");
    let handle = root.file("a/b/f").unwrap();
    assert_eq!(seen("a/b/f"), None);
    handle.read().unwrap();
    assert_eq!(seen("a/b/f").as_deref(), Some(&b"inside"[..]));
    for other in ["a/near", "dir/f", "a/b", "a/b/g", "", "..", "../in/a/b/f", "/in/a/b/f"] {
        assert_eq!(seen(other), None, "{other}");
    }
    root.file("a/near").unwrap().read().unwrap();
    assert_eq!(seen("a/near"), None, "a link is followed every time");

    let hand = fs.foreign();
    let reread = || {
        handle.read().unwrap();
        fs.host().advance(Duration::from_secs(60));
        handle.read().unwrap();
        seen("a/b/f")
    };
    hand.overwrite("/in/a/b/f", b"INSIDE").unwrap();
    assert_eq!(seen("a/b/f"), None, "other bytes in the same inode");
    assert_eq!(reread().as_deref(), Some(&b"INSIDE"[..]));
    hand.replace("/in/a/b/f", b"INSIDE").unwrap();
    assert_eq!(seen("a/b/f"), None, "another inode");
    assert!(reread().is_some());
    hand.rename("/in/a/b", "/in/a/c").unwrap();
    assert_eq!(seen("a/b/f"), None, "its directory has another name");
    hand.symlink("c", "/in/a/b").unwrap();
    assert_eq!(seen("a/b/f"), None, "there is a link on its way");
    hand.rename("/in/a/c", "/out/c").unwrap();
    hand.remove("/in/a/b").unwrap();
    hand.symlink("../../out/c", "/in/a/b").unwrap();
    assert_eq!(seen("a/b/f"), None, "and it leads out");
}

/// SERVE-7: what leads out is refused, and so are loops and directories.
#[test]
fn links_that_leave() {
    let fs = world();
    let root = engine(&fs).root("/in").unwrap();
    for path in [
        "a/far",
        "away/secret",
        "away",
        "absolute/x",
        "absolute",
        "up",
        "up/out/secret",
        "up/in/a/b/f",
        "a/upup/out/secret",
        "a/upup",
    ] {
        for made in [root.file(path), root.file_with_dirs(path)] {
            assert_eq!(made.unwrap_err().code(), "outside-root", "{path}");
        }
    }
    for path in ["a", "dir", "self"] {
        assert_eq!(root.file(path).unwrap_err().code(), "not-a-file", "{path}");
    }
    for path in ["round", "round/x", "a/b/f/x", "gone/x"] {
        assert_eq!(root.file(path).unwrap_err().code(), "io", "{path}");
    }
    assert_eq!(fs.foreign().names("/out").unwrap(), ["secret"]);
}

/// SERVE-7: directories are made beneath the root, through links that stay there, and nowhere else.
#[test]
fn directories_are_made() {
    let fs = world();
    let root = engine(&fs).root("/in").unwrap();
    root.file_with_dirs("dir/x/y/f").unwrap().write(b"1", &WriteOptions::new()).unwrap();
    assert_eq!(fs.foreign().read("/in/a/b/x/y/f").unwrap(), b"1");
    assert_eq!(root.file_with_dirs("away/x/f").unwrap_err().code(), "outside-root");
    assert_eq!(fs.foreign().names("/out").unwrap(), ["secret"]);
}

/// SERVE-7 (L24): after every power cut a durable write is found, with the directories that were made for it, also by one who died over it.
#[test]
fn directories_are_durable() {
    let written = WriteOptions::new().durability(Durability::Full);
    for others in 0..3 {
        let fs = SimFs::default();
        fs.foreign().create_dirs("/in").unwrap();
        fs.settle();
        let root = engine(&fs).root("/in").unwrap();
        if others > 0 {
            fs.foreign().create_dirs("/in/x").unwrap();
        }
        if others > 1 {
            fs.settle();
            fs.foreign().create_dirs("/in/x/y").unwrap();
        }
        root.file_with_dirs("x/y/f").unwrap().write(b"1", &written).unwrap();
        let disks = fs.possible_disks();
        assert!(disks.is_complete());
        for disk in disks {
            assert_eq!(disk.fs.foreign().read("/in/x/y/f").unwrap(), b"1", "{}", disk.story);
        }
    }
}

/// SERVE-7: before each call of opening, writing and listing, somebody swaps the directory for a link that leads out. Nothing outside is read or
/// changed, and if the call succeeds it was done in the directory that was there.
#[test]
fn a_swap_before_every_call() {
    let mut swaps = 0;
    for at in 0.. {
        let fs = SimFs::default();
        let hand = fs.foreign();
        hand.create_dirs("/in/d/e").unwrap();
        hand.create_dirs("/out/e").unwrap();
        hand.create("/in/d/e/f", b"inside").unwrap();
        hand.create("/out/e/f", b"secret").unwrap();
        hand.create_dirs("/out/.filelatch/sessions").unwrap();
        hand.create_dirs("/in/d/.filelatch/sessions").unwrap();
        hand.create("/in/d/.filelatch/config.toml", b"").unwrap();
        hand.create("/out/.filelatch/config.toml", b"nonsense").unwrap();
        let root = engine(&fs).root("/in").unwrap();
        fs.settle();
        let outside = tree(&fs, "/out");
        fs.on_call(at, |fs| {
            let hand = fs.foreign();
            hand.rename("/in/d", "/in/was").unwrap();
            hand.symlink("../out", "/in/d").unwrap();
        });
        let read = root.file("d/e/f").and_then(|file| {
            let read = file.read()?.bytes().to_vec();
            file.write(b"written", &WriteOptions::new())?;
            file.write(b"once more", &WriteOptions::new())?;
            Ok(read)
        });
        match read {
            Ok(bytes) => assert_eq!(bytes, b"inside", "call {at}"),
            Err(e) => assert!(matches!(e.code(), "outside-root" | "io" | "not-found"), "call {at}: {e}"),
        }
        root.list("", true, 100, |_| true).unwrap();
        root.list("d", true, 100, |_| true).ok();
        assert_eq!(tree(&fs, "/out"), outside, "call {at}");
        if fs.calls() <= at {
            break;
        }
        swaps += 1;
    }
    assert!(swaps > 50, "{swaps}");
}

/// Every file below a directory with its content.
fn tree(fs: &SimFs, dir: &str) -> Vec<(String, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    for name in fs.foreign().names(dir).unwrap() {
        let path = format!("{dir}/{name}");
        let bytes = fs.foreign().read(&path).ok();
        if bytes.is_none() {
            found.extend(tree(fs, &path));
        }
        found.push((path, bytes));
    }
    found
}

/// SERVE-7: a folder's own workspace counts beneath a root as it does by path, and a root's own, and one above it.
#[test]
fn workspaces_beneath() {
    for workspace in ["/in/a/b", "/in/a", "/in", "/"] {
        let fs = world();
        let latch = engine(&fs);
        latch.init(Path::new(workspace)).unwrap();
        let root = latch.root("/in").unwrap();
        let file = root.file("dir/f").unwrap();
        file.write(b"new", &WriteOptions::new()).unwrap();
        assert_eq!(file.history().unwrap().len(), 1, "{workspace}");
        assert_eq!(latch.file("/in/a/b/f").unwrap().history().unwrap().len(), 1, "{workspace}");
    }
}

/// SERVE-4, SERVE-7: files and links to files beneath, sorted, within the limit; nothing that is hidden or lies outside.
#[test]
fn listing() {
    let fs = world();
    let hand = fs.foreign();
    hand.create("/in/z", b"12345").unwrap();
    hand.create("/in/a.txt", b"").unwrap();
    hand.create_dirs("/in/.git/deep").unwrap();
    hand.create("/in/.git/deep/config", b"").unwrap();
    hand.symlink(".git/deep/config", "/in/innocent").unwrap();
    hand.mkfifo("/in/pipe").unwrap();
    let root = engine(&fs).root("/in").unwrap();
    let admit = |path: &Path| path.file_name().is_none_or(|name| name != ".git");
    let all = root.list("", true, 100, admit).unwrap();
    let paths: Vec<_> = all.files.iter().map(|file| file.path.to_str().unwrap()).collect();
    assert_eq!(paths, ["a/b/f", "a/near", "a.txt", "c/twice", "z"]);
    assert_eq!(all.files.iter().map(|file| file.size).collect::<Vec<_>>(), [6, 6, 0, 6, 5]);
    assert!(!all.truncated);
    let few = root.list("", true, 2, admit).unwrap();
    assert_eq!((few.files.len(), few.truncated), (2, true));
    let flat = root.list("a", false, 100, admit).unwrap();
    assert_eq!(flat.files.len(), 1, "{flat:?}");
    assert_eq!(root.list("gone", true, 1, admit).unwrap_err().code(), "not-found");
    for dir in ["away", "dir"] {
        assert_eq!(root.list(dir, true, 1, admit).unwrap_err().code(), "io", "{dir}");
    }
    assert_eq!(root.list("..", true, 1, admit).unwrap_err().code(), "outside-root");
}

/// PATH, SERVE-7: where case is folded, the file is known by the names on the disk.
#[test]
fn case() {
    let fs = SimFs::new(Dials { case_insensitive: true, ..Dials::default() });
    fs.foreign().create_dirs("/in/Dir").unwrap();
    fs.foreign().create("/in/Dir/Read.Me", b"x").unwrap();
    let root = engine(&fs).root("/in").unwrap();
    let file = root.file("dir/READ.me").unwrap();
    assert_eq!(root.place_of(&file), Path::new("Dir/Read.Me"));
    assert_eq!(file.read().unwrap().bytes(), b"x");
}

/// LOCK-7, SERVE-4: what is locked or leased now is found; what was, is not.
#[test]
fn locked_files() {
    let fs = world();
    let latch = engine(&fs);
    let root = latch.root("/in").unwrap();
    for path in ["a/b/f", "c/was", "c/is"] {
        root.file(path).unwrap().write(b"1", &WriteOptions::new()).unwrap();
    }
    let other = engine(&fs.process());
    let guard = other.file("/in/a/b/f").unwrap().lock(&crate::LockOptions::new()).unwrap();
    let lease = other.file("/in/c/is").unwrap().lease(&crate::LeaseOptions::new()).unwrap();
    let held = root.locked(100, |_| true).unwrap();
    let paths: Vec<_> = held.iter().map(|file| file.path.to_str().unwrap()).collect();
    assert_eq!(paths, ["a/b/f", "c/is"]);
    assert_eq!(held[0].lock.holders[0].pid, Some(other.parts().host.pid()));
    assert_eq!(held[1].lease.as_ref().map(|lease| lease.token), Some(lease.token()));
    assert_eq!(root.locked(100, |path| path != Path::new("c")).unwrap().len(), 1);
    assert_eq!(root.locked(1, |_| true).unwrap().len(), 1);
    drop((guard, lease));
    assert_eq!(root.locked(100, |_| true).unwrap(), []);
}
