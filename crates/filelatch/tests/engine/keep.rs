//! Kept versions on the real file system: what is kept, found, brought back, bounded, and what happens where nothing can be.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use filelatch::{
    Author, Error, Expect, Filelatch, KeptVersion, LatchFile, LockOptions, Strategy, Version, WriteOptions,
};

/// A project with a workspace of this configuration.
fn project(config: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    fs::create_dir(root.join(".filelatch")).unwrap();
    fs::write(root.join(".filelatch/config.toml"), config).unwrap();
    (dir, root)
}

fn engine(session: &str) -> Filelatch {
    Filelatch::builder().session(session).build()
}

fn open(path: &Path) -> LatchFile {
    engine("tester").file(path).unwrap()
}

fn write(file: &LatchFile, text: &str) -> filelatch::Written {
    file.write(text.as_bytes(), &WriteOptions::new()).unwrap()
}

fn append(file: &LatchFile, text: &str) -> filelatch::Written {
    let change = |old: Option<&[u8]>| Ok::<_, Error>(Some([old.unwrap_or_default(), text.as_bytes()].concat()));
    file.update_bytes(&WriteOptions::new(), change).unwrap()
}

/// The kept contents, newest first, each verified.
fn contents(file: &LatchFile) -> Vec<String> {
    let text = |kept: &KeptVersion| String::from_utf8(file.kept(&kept.version).unwrap().bytes().to_vec()).unwrap();
    file.history().unwrap().iter().map(text).collect()
}

/// Where the versions of `path`, which lies at the top of its workspace, are.
fn folder(path: &Path) -> PathBuf {
    path.parent().unwrap().join(".filelatch/versions").join(path.file_name().unwrap())
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// KEEP-1: each way to publish keeps what it replaces; newest first, with author, size and generation.
#[test]
fn every_publish_keeps_what_it_replaces() {
    let (_dir, root) = project("");
    let path = root.join("a.txt");
    let file = open(&path);
    write(&file, "1");
    write(&file, "12");
    append(&file, "3");
    file.write(b"1234", &WriteOptions::new().expect(Expect::Version(Version::of(b"123")))).unwrap();
    let guard = file.lock(&LockOptions::new()).unwrap();
    guard.write(b"12345", &WriteOptions::new()).unwrap();
    guard.release();
    let mut writer = file.writer(&WriteOptions::new()).unwrap();
    writer.write_all(b"123456").unwrap();
    writer.commit(&LockOptions::new()).unwrap();
    let overwrites = WriteOptions::new().expect(Expect::Version(Version::of(b"1"))).strategy(Strategy::LastWriteWins);
    file.write(b"1234567", &overwrites).unwrap();
    // Unchanged content is no publish.
    write(&file, "1234567");
    assert_eq!(contents(&file), ["123456", "12345", "1234", "123", "12", "1"]);
    let history = file.history().unwrap();
    for (i, kept) in history.iter().rev().enumerate() {
        assert_eq!((kept.size, kept.generation), (i as u64 + 1, Some(i as u64 + 1)));
        assert_eq!(kept.by, Author::Session("tester".into()));
    }
    assert!(history.is_sorted_by_key(|kept| std::cmp::Reverse(kept.at)), "{history:?}");
    assert_eq!(names(&root), [".a.txt.lock", ".filelatch", "a.txt"], "nothing is left beside it");
}

/// KEEP-1: the replaced file itself is kept: the same inode, so nothing is written a second time.
#[cfg(unix)]
#[test]
fn kept_by_renaming() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let (_dir, root) = project("");
    let path = root.join("a.txt");
    let file = open(&path);
    write(&file, "one");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    append(&file, " two");
    let kept = folder(&path).join(&names(&folder(&path))[0]);
    let facts = fs::metadata(kept).unwrap();
    assert_eq!((facts.ino(), facts.mode() & 0o777), (inode, 0o640));
    for dir in [folder(&path), root.join(".filelatch/versions")] {
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700, "{}", dir.display());
    }
}

/// KEEP-1: bringing a version back is a write: it can be refused, and what it replaces is kept in turn.
#[test]
fn restored() {
    let (_dir, root) = project("");
    let file = open(&root.join("a.txt"));
    for text in ["one", "two", "three"] {
        write(&file, text);
    }
    let one = Version::of(b"one");
    let stale = WriteOptions::new().expect(Expect::Version(Version::of(b"two")));
    assert!(matches!(file.restore(&one, &stale), Err(Error::Conflict(_))));
    let written = file.restore(&one, &WriteOptions::new()).unwrap();
    assert_eq!(written.version, Some(one));
    assert_eq!(file.read().unwrap().bytes(), b"one");
    assert_eq!(contents(&file), ["three", "two", "one"]);
    let missing = file.restore(&Version::of(b"four"), &WriteOptions::new());
    assert!(matches!(missing, Err(Error::NoSuchVersion { .. })), "{missing:?}");
    fs::remove_file(file.path()).unwrap();
    file.restore(&Version::of(b"two"), &WriteOptions::new().expect(Expect::Absent)).unwrap();
    assert_eq!(file.read().unwrap().bytes(), b"two", "a file that was removed comes back");
}

/// KEEP-1 (P16): a file that was removed comes back as it was protected, not as new files are.
#[cfg(unix)]
#[test]
fn restored_as_it_was_protected() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let (_dir, root) = project("");
    let file = open(&root.join("a.txt"));
    write(&file, "one");
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();
    write(&file, "two");
    fs::remove_file(file.path()).unwrap();
    file.restore(&Version::of(b"one"), &WriteOptions::new()).unwrap();
    assert_eq!(fs::metadata(file.path()).unwrap().mode() & 0o777, 0o600);
}
