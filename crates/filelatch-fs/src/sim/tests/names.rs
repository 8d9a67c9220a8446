//! Names, links, what a file system can't do.

use std::io::ErrorKind;
use std::path::Path;

use super::*;
use crate::types::{Access, FileKind};

/// PATH: a directory that folds case finds a name however it is written, and shows it as it was created.
#[test]
fn case_folds() {
    let fs = SimFs::new(Dials { case_insensitive: true, ..Dials::default() });
    let dir = root(&fs);
    dir.create_new("Read.Me".as_ref(), 0o600).unwrap();
    assert!(dir.caps().case_insensitive);
    assert_eq!(dir.create_new("READ.ME".as_ref(), 0o600).unwrap_err().kind(), ErrorKind::AlreadyExists);
    dir.open("read.me".as_ref(), Access::Read).unwrap();
    assert_eq!(fs.canonicalize("/read.me".as_ref()).unwrap(), Path::new("/Read.Me"));
    dir.rename("read.me".as_ref(), "README".as_ref()).unwrap();
    assert_eq!(fs.foreign().names("/").unwrap(), ["README"]);
    assert_eq!(dir.stat("readme".as_ref()).unwrap().nlink, 1);

    let fs = with_file("/a", b"");
    assert_eq!(root(&fs).stat("A".as_ref()).unwrap_err().kind(), ErrorKind::NotFound);
}

/// LOCK-19 (L19, L31): the last component is never followed when opened; on the way links are.
#[test]
fn symbolic_links() {
    let fs = SimFs::default();
    let hand = fs.foreign();
    hand.create_dirs("/d/e").unwrap();
    hand.create("/d/e/f", b"x").unwrap();
    hand.symlink("../d/e", "/d/link").unwrap();
    hand.symlink("/d/link/f", "/to-f").unwrap();
    hand.symlink("loop", "/loop").unwrap();
    assert_eq!(fs.canonicalize("/to-f".as_ref()).unwrap(), Path::new("/d/e/f"));
    assert_eq!(fs.canonicalize("/d/link/../e/./f".as_ref()).unwrap(), Path::new("/d/e/f"));
    assert_eq!(fs.read_link("/to-f".as_ref()).unwrap(), Path::new("/d/link/f"));
    assert_eq!(fs.stat("/to-f".as_ref()).unwrap().kind, FileKind::Symlink);
    assert_eq!(fs.stat("/d/link/f".as_ref()).unwrap().kind, FileKind::File);
    let error = root(&fs).open("to-f".as_ref(), Access::Read).unwrap_err();
    #[cfg(unix)]
    assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
    assert_ne!(error.kind(), ErrorKind::NotFound);
    assert!(fs.canonicalize("/loop".as_ref()).is_err());
    assert_eq!(fs.open_dir("/d/e/f".as_ref()).unwrap_err().kind(), ErrorKind::NotADirectory);
    assert_eq!(fs.open_dir("/d/link".as_ref()).unwrap().id(), fs.open_dir("/d/e".as_ref()).unwrap().id());
}

/// L19: what is no regular file opens without blocking and says what it is.
#[test]
fn fifos() {
    let fs = SimFs::default();
    fs.foreign().mkfifo("/p").unwrap();
    let file = root(&fs).open("p".as_ref(), Access::Read).unwrap();
    assert_eq!(file.stat().unwrap().kind, FileKind::Other);
}

/// An open directory stays the same whatever happens to its path.
#[test]
fn directories_are_held_not_looked_up() {
    let fs = SimFs::default();
    fs.foreign().create_dirs("/d").unwrap();
    let dir = fs.open_dir("/d".as_ref()).unwrap();
    fs.foreign().rename("/d", "/e").unwrap();
    fs.foreign().create_dirs("/d").unwrap();
    dir.create_new("f".as_ref(), 0o600).unwrap();
    assert_eq!(fs.foreign().names("/e").unwrap(), ["f"]);
    assert!(fs.foreign().names("/d").unwrap().is_empty());
}

/// ATOM-1 (L33): renames replace or do not, as said; two names of one file stay two.
#[test]
fn renames() {
    let fs = with_file("/a", b"1");
    fs.foreign().create("/b", b"2").unwrap();
    fs.foreign().create_dirs("/d").unwrap();
    let dir = root(&fs);
    let kind = |result: io::Result<()>| result.unwrap_err().kind();
    assert_eq!(kind(dir.rename_new("a".as_ref(), "b".as_ref())), ErrorKind::AlreadyExists);
    assert_eq!(kind(dir.link("a".as_ref(), "b".as_ref())), ErrorKind::AlreadyExists);
    assert_eq!(kind(dir.rename("a".as_ref(), "d".as_ref())), ErrorKind::IsADirectory);
    assert_eq!(kind(dir.rename("d".as_ref(), "a".as_ref())), ErrorKind::NotADirectory);
    assert_eq!(kind(dir.exchange("a".as_ref(), "absent".as_ref())), ErrorKind::NotFound);
    assert_eq!(kind(dir.remove("d".as_ref())), ErrorKind::IsADirectory);
    assert_eq!(kind(dir.rename("a".as_ref(), "d/a".as_ref())), ErrorKind::InvalidInput);
    assert_eq!(kind(dir.rename("a".as_ref(), "x".repeat(256).as_ref())), ErrorKind::InvalidFilename);

    dir.link("a".as_ref(), "c".as_ref()).unwrap();
    assert_eq!(dir.stat("a".as_ref()).unwrap().nlink, 2);
    dir.rename("a".as_ref(), "c".as_ref()).unwrap();
    assert_eq!(fs.foreign().names("/").unwrap(), ["a", "b", "c", "d"], "rename(2): nothing happens");
    dir.rename("a".as_ref(), "b".as_ref()).unwrap();
    assert_eq!(fs.foreign().read("/b").unwrap(), b"1");
    assert_eq!(fs.foreign().names("/").unwrap(), ["b", "c", "d"]);
    let elsewhere = SimFs::default();
    assert_eq!(kind(dir.move_to("b".as_ref(), &*root(&elsewhere), "b".as_ref())), ErrorKind::CrossesDevices);
}

/// P5.6: where the system can't, the verbs say so; `rename_new` goes on as link + unlink, in two steps.
#[test]
fn poorer_file_systems() {
    let dials = Dials { exchange: false, rename_new: false, xattrs: false, reflinks: false, ..Dials::default() };
    let fs = SimFs::new(dials);
    fs.foreign().create("/a", b"1").unwrap();
    fs.foreign().create("/b", b"2").unwrap();
    fs.settle();
    let dir = root(&fs);
    let unsupported = |result: io::Result<()>| assert_eq!(result.unwrap_err().kind(), ErrorKind::Unsupported);
    unsupported(dir.exchange("a".as_ref(), "b".as_ref()));
    let a = dir.open("a".as_ref(), Access::ReadWrite).unwrap();
    unsupported(a.set_xattr("user.x".as_ref(), b"v"));
    unsupported(a.list_xattrs().map(drop));
    unsupported(a.clone_from(&*dir.open("b".as_ref(), Access::Read).unwrap()));
    assert_eq!(a.get_xattr("user.x".as_ref()).unwrap(), None);
    dir.rename_new("a".as_ref(), "c".as_ref()).unwrap();
    let both = |fs: &SimFs| fs.foreign().read("/a").is_ok() && fs.foreign().read("/c").is_ok();
    assert!(fs.possible_disks().any(|disk| both(&disk.fs)), "a power cut parts the two steps");
    let fat = SimFs::new(Dials { links: false, ..dials });
    fat.foreign().create("/a", b"1").unwrap();
    let refused = root(&fat).rename_new("a".as_ref(), "b".as_ref()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
}

/// L34: a clone is the content of one moment.
#[test]
fn clones() {
    let fs = with_file("/a", b"1");
    let dir = root(&fs);
    let copy = dir.create_new("b".as_ref(), 0o600).unwrap();
    copy.clone_from(&*dir.open("a".as_ref(), Access::Read).unwrap()).unwrap();
    fs.foreign().append("/a", b"2").unwrap();
    assert_eq!(fs.foreign().read("/a").unwrap(), b"12");
    assert_eq!(fs.foreign().read("/b").unwrap(), b"1");
}

/// A file that was opened for reading is not written to.
#[test]
fn readers_do_not_write() {
    let fs = with_file("/a", b"1");
    let file = root(&fs).open("a".as_ref(), Access::Read).unwrap();
    file.write_at(b"2", 0).unwrap_err();
    file.set_len(0).unwrap_err();
    file.sync().unwrap();
    assert_eq!(fs.foreign().read("/a").unwrap(), b"1");
}

/// The ways in which other programs write.
#[test]
fn foreign_programs() {
    let fs = with_file("/f", b"12345");
    let hand = fs.foreign();
    let id = || fs.stat("/f".as_ref()).unwrap().id;
    let before = id();
    hand.overwrite("/f", b"abc").unwrap();
    assert_eq!(hand.read("/f").unwrap(), b"abc");
    hand.truncate_and_write("/f", b"defg").unwrap();
    hand.append("/f", b"h").unwrap();
    assert_eq!((hand.read("/f").unwrap(), id()), (b"defgh".to_vec(), before));
    hand.link("/f", "/old").unwrap();
    hand.replace("/f", b"new").unwrap();
    assert_eq!((hand.read("/f").unwrap(), hand.read("/old").unwrap()), (b"new".to_vec(), b"defgh".to_vec()));
    assert_ne!(id(), before);
    assert_eq!(hand.names("/").unwrap(), ["f", "old"]);
}
