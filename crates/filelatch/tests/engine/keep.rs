//! Kept versions on the real file system: what is kept, found, brought back, bounded, and what happens where nothing can be.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::Duration;

use filelatch::{
    Author, Error, Expect, Filelatch, KeepLimits, KeptVersion, LatchFile, LockOptions, Notice, Strategy, Version,
    WriteOptions,
};

use super::support::{Worker, say};

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

/// KEEP-1: bytes that were changed since, through an old descriptor or in the folder, are no version any more, and that is said.
#[test]
fn damaged() {
    let (_dir, root) = project("");
    let path = root.join("a.txt");
    let file = open(&path);
    write(&file, "one");
    let late = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write(b"two", &WriteOptions::new()).unwrap();
    // The version is read, and so known by its hash, before the other program goes on.
    assert_eq!(contents(&file), ["one"]);
    (&late).write_all(b"ONE").unwrap();
    drop(late);
    let one = Version::of(b"one");
    let error = file.restore(&one, &WriteOptions::new()).unwrap_err();
    assert!(matches!(&error, Error::DamagedVersion { version, .. } if *version == one), "{error}");
    assert_eq!((error.code(), file.read().unwrap().bytes()), ("damaged-version", &b"two"[..]));
    // The same content once more: the newer file of it is whole.
    write(&file, "one");
    write(&file, "three");
    assert_eq!(file.kept(&one).unwrap().bytes(), b"one");
}

/// KEEP-1: a version is named by 16 digits or more; fewer, and unknown ones, are errors.
#[test]
fn named_by_digits() {
    let (_dir, root) = project("");
    let file = open(&root.join("a.txt"));
    write(&file, "one");
    write(&file, "two");
    let one = Version::of(b"one");
    let digits = one.to_string();
    for prefix in [&digits[..16], &digits[..40], &digits[..], &digits[..16].to_uppercase()] {
        assert_eq!(file.find_kept(prefix).unwrap(), one, "{prefix}");
    }
    for wrong in ["", &digits[..15], "zzzzzzzzzzzzzzzzzz", &Version::of(b"two").to_string(), &format!("{digits}0")] {
        assert!(matches!(file.find_kept(wrong), Err(Error::NoSuchVersion { .. })), "{wrong}");
    }
}

/// KEEP-1: what a foreign program wrote is kept when it is replaced, as its work.
#[test]
fn foreign_versions() {
    let (_dir, root) = project("");
    let path = root.join("a.txt");
    let file = open(&path);
    write(&file, "ours");
    fs::write(&path, "theirs").unwrap();
    append(&file, " and ours");
    fs::write(root.join("new"), "renamed over").unwrap();
    fs::rename(root.join("new"), &path).unwrap();
    // Unseen: nobody has read what it is.
    write(&file, "ours again");
    append(&file, "!");
    assert_eq!(contents(&file), ["ours again", "renamed over", "theirs"]);
    let by: Vec<_> = file.history().unwrap().into_iter().map(|kept| (kept.by, kept.generation)).collect();
    let tester = Author::Session("tester".into());
    assert_eq!(by, [(tester, Some(1)), (Author::External, None), (Author::External, None)]);
}

/// KEEP-1: a file with further names is copied: who writes through them does not change what is kept.
#[cfg(unix)]
#[test]
fn hard_links() {
    let (_dir, root) = project("");
    let (path, other) = (root.join("a.txt"), root.join("b.txt"));
    let file = open(&path);
    write(&file, "one");
    for replace in [append, |file: &LatchFile, text: &str| write(file, text)] {
        fs::remove_file(&other).ok();
        fs::hard_link(&path, &other).unwrap();
        let before = fs::read_to_string(&path).unwrap();
        let written = replace(&file, "+");
        assert_eq!(written.notices, [Notice::HardLinks { others: 1 }]);
        fs::write(&other, "changed by the other name").unwrap();
        assert_eq!(contents(&file)[0], before);
        assert_eq!(file.history().unwrap()[0].by, Author::Session("tester".into()));
    }
    let (_dir, root) = project("[[policy]]\nglob = \"*\"\nhard_links = \"in-place\"\n");
    let path = root.join("a.txt");
    let file = open(&path);
    write(&file, "one");
    fs::hard_link(&path, root.join("b.txt")).unwrap();
    write(&file, "two");
    append(&file, "+");
    assert_eq!(contents(&file), ["two", "one"], "what was written over in place is kept, too");
    assert_eq!(fs::read_to_string(root.join("b.txt")).unwrap(), "two+");
}

/// KEEP-1, P5.3: a program that still has the replaced file open may write to it: it stays beside the file, a copy of what it was is kept.
#[cfg(target_os = "linux")]
#[test]
fn late_writers() {
    let (_dir, root) = project("");
    let path = root.join("a.txt");
    let file = open(&path);
    write(&file, "one");
    let late = fs::OpenOptions::new().append(true).open(&path).unwrap();
    let written = append(&file, " two");
    let [Notice::LateWriter { kept }] = &written.notices[..] else { panic!("{:?}", written.notices) };
    (&late).write_all(b" late").unwrap();
    assert_eq!(fs::read_to_string(kept).unwrap(), "one late");
    assert_eq!(contents(&file), ["one"]);
}

/// KEEP-1: by count, age and bytes, per glob; the newest stays; on demand by other bounds.
#[test]
fn bounds() {
    let config = "keep_versions = 3\n[[policy]]\nglob = \"big*\"\nkeep_bytes = \"1KB\"\n[[policy]]\nglob = \"no*\"\nkeep = \"none\"\n";
    let (_dir, root) = project(config);
    let options = WriteOptions::new().durability(filelatch::Durability::None);
    let small = open(&root.join("small"));
    for i in 0..100 {
        small.write(format!("{i}").as_bytes(), &options).unwrap();
        let kept = if i == 0 { 0 } else { names(&folder(small.path())).len() };
        assert!(kept <= 3 + 16, "{kept} after {i}");
    }
    let pruned = small.prune(&small.policy().keep_limits).unwrap();
    assert_eq!(pruned.left, 3);
    assert_eq!(contents(&small), ["98", "97", "96"]);
    let big = open(&root.join("big"));
    for i in 0..10 {
        big.write(format!("{i}{}", "x".repeat(600)).as_bytes(), &options).unwrap();
    }
    assert_eq!(big.history().unwrap().len(), 1, "more than the bound: looked at each time, and the newest stays");
    let no = open(&root.join("no"));
    write(&no, "one");
    write(&no, "two");
    assert_eq!((no.history().unwrap().len(), root.join(".filelatch/versions/no").exists()), (0, false));
    let none = KeepLimits { versions: 0, ..KeepLimits::none() };
    let pruned = small.prune(&none).unwrap();
    assert_eq!((pruned.versions, pruned.bytes, pruned.left), (3, 6, 0));
    assert!(small.history().unwrap().is_empty());
}

/// KEEP-1: a version's age counts from when it was replaced: one that was the file for a year is not old when it goes.
#[test]
fn age() {
    let (_dir, root) = project("");
    let path = root.join("a");
    let file = open(&path);
    for text in ["1", "2", "3", "4"] {
        write(&file, text);
    }
    assert_eq!(contents(&file), ["3", "2", "1"]);
    // As if they had been written 90, 60 and 1 days ago: the first was replaced 60 days ago, the second yesterday.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    for (name, days) in names(&folder(&path)).iter().zip([90, 60, 1]) {
        let (_, rest) = name.split_once('-').unwrap();
        let dated = format!("{}-{rest}", now - days * 24 * 3600 * 1000);
        fs::rename(folder(&path).join(name), folder(&path).join(dated)).unwrap();
    }
    let days = |n: u64| KeepLimits { age: Duration::from_secs(n * 24 * 3600), ..KeepLimits::none() };
    assert_eq!(file.prune(&days(30)).unwrap().versions, 1);
    assert_eq!(contents(&file), ["3", "2"]);
    assert_eq!(file.prune(&days(0)).unwrap().left, 1, "the newest stays");
}

/// KEEP-1, P7: with `current` a foreign rename does not destroy what was acknowledged; each version is listed once.
#[test]
fn current_versions() {
    let (_dir, root) = project("keep = \"current\"");
    let path = root.join("a");
    let file = open(&path);
    write(&file, "one");
    append(&file, " two");
    write(&file, "three");
    assert_eq!(contents(&file), ["three", "one two", "one"]);
    fs::write(root.join("new"), "theirs").unwrap();
    fs::rename(root.join("new"), &path).unwrap();
    file.restore(&Version::of(b"three"), &WriteOptions::new()).unwrap();
    assert_eq!(contents(&file), ["three", "theirs", "three", "one two", "one"]);
}

/// KEEP-1, P7: with `every` nothing that was acknowledged is coalesced away: each change of a batch is a version.
#[test]
fn every_version() {
    let (_dir, root) = project("keep = \"every\"\nkeep_versions = 1000");
    let path = root.join("a");
    let file = open(&path);
    write(&file, "");
    let start = Barrier::new(8);
    std::thread::scope(|scope| {
        for who in 0..8 {
            let (file, start) = (&file, &start);
            scope.spawn(move || {
                start.wait();
                for i in 0..20 {
                    append(file, &format!("{who}.{i};"));
                }
            });
        }
    });
    let history = contents(&file);
    assert_eq!(history.len(), 161, "one for each change, and the first");
    for pair in history.windows(2) {
        assert!(pair[0].starts_with(&pair[1]) && pair[0].len() > pair[1].len(), "{pair:?}");
    }
    let generations: Vec<_> = file.history().unwrap().iter().map(|kept| kept.generation.unwrap()).collect();
    assert!(generations.iter().eq((1..=161).rev().collect::<Vec<_>>().iter()), "{generations:?}");
}

/// KEEP-1 (P16): nothing is kept of the workspace's own files, nor without a workspace.
#[test]
fn where_nothing_is_kept() {
    let (_dir, root) = project("");
    fs::create_dir(root.join(".filelatch/stores")).unwrap();
    let secret = open(&root.join(".filelatch/stores/tokens.json"));
    write(&secret, "one");
    write(&secret, "two");
    assert!(matches!(secret.history(), Err(Error::NoWorkspace { .. })));
    assert!(!root.join(".filelatch/versions").exists());
    let dir = tempfile::tempdir().unwrap();
    let alone = Filelatch::builder().without_workspaces().build().file(dir.path().join("a")).unwrap();
    write(&alone, "one");
    write(&alone, "two");
    let error = alone.history().unwrap_err();
    assert!(error.hints()[0].contains("filelatch init"), "{error}");
}

/// KEEP-1 (L19, ATOM-4): whatever stands where versions should go, the write succeeds, says so, leaves nothing behind and is led nowhere.
#[test]
fn nowhere_to_keep() {
    type Make = fn(&Path, &Path);
    let cases: &[(&str, Make)] = &[
        ("a file", |versions, _| fs::write(versions, "x").unwrap()),
        #[cfg(unix)]
        ("a link", |versions, outside| std::os::unix::fs::symlink(outside, versions).unwrap()),
        #[cfg(unix)]
        ("a folder that is a link", |versions, outside| {
            fs::create_dir(versions).unwrap();
            std::os::unix::fs::symlink(outside, versions.join("a")).unwrap();
        }),
        ("a folder that is a file", |versions, _| {
            fs::create_dir(versions).unwrap();
            fs::write(versions.join("a"), "x").unwrap();
        }),
    ];
    for (what, make) in cases {
        let (_dir, root) = project("");
        let outside = tempfile::tempdir().unwrap();
        make(&root.join(".filelatch/versions"), outside.path());
        let file = open(&root.join("a"));
        write(&file, "one");
        for text in ["two", "three"] {
            let written = write(&file, text);
            assert!(matches!(&written.notices[..], [Notice::NotKept { .. }]), "{what}: {:?}", written.notices);
        }
        assert_eq!(file.read().unwrap().bytes(), b"three");
        assert_eq!(names(&root), [".a.lock", ".filelatch", "a"], "{what}");
        assert_eq!(names(outside.path()), [""; 0], "{what}");
        assert!(file.history().is_err(), "{what}");
    }
}

/// KEEP-1: a folder of versions that was removed meanwhile is made again.
#[test]
fn the_folder_is_removed() {
    let (_dir, root) = project("");
    let file = open(&root.join("a"));
    for text in ["one", "two"] {
        write(&file, text);
    }
    fs::remove_dir_all(root.join(".filelatch/versions")).unwrap();
    assert_eq!(append(&file, "+").notices, []);
    assert_eq!(contents(&file), ["two"]);
}

/// KEEP-1, VER-7: eight processes append; every version is there, whole, each a continuation of the one before, in order.
#[test]
fn many_processes() {
    let (_dir, root) = project("keep_versions = 1000");
    let path = root.join("a");
    write(&open(&path), "");
    let mut workers: Vec<_> =
        (0..8).map(|who| Worker::start(&["keep-appending", path.to_str().unwrap(), &format!("{who}"), "15"])).collect();
    for worker in &mut workers {
        worker.expect("ready");
    }
    for worker in &mut workers {
        worker.tell("go");
    }
    for worker in workers {
        assert_eq!(worker.finish(), ["done"]);
    }
    let file = open(&path);
    let mut all = vec![String::from_utf8(file.read().unwrap().bytes().to_vec()).unwrap()];
    all.extend(contents(&file));
    assert_eq!(all.len(), 8 * 15 + 1);
    for pair in all.windows(2) {
        let more = pair[0].strip_prefix(&pair[1]).unwrap_or_else(|| panic!("{pair:?}"));
        assert_eq!(more.matches(';').count(), 1, "{pair:?}");
    }
    assert_eq!(names(&root), [".a.lock", ".filelatch", "a"]);
}

/// KEEP-1: the doctor finds versions whose bytes were changed, and more of them than the policy allows; others it passes over.
#[cfg(target_os = "linux")]
#[test]
fn the_doctor() {
    use filelatch::doctor::{DoctorOptions, Kind};
    let (_dir, root) = project("");
    fs::create_dir(root.join("sub")).unwrap();
    let path = root.join("sub/a");
    let options = WriteOptions::new().durability(filelatch::Durability::None);
    for i in 0..20 {
        open(&path).update_bytes(&options, |_| Ok::<_, Error>(Some(format!("{i}").into_bytes()))).unwrap();
    }
    let found = || {
        let report = engine("doctor").doctor(&root, &DoctorOptions::default()).unwrap();
        let mut found: Vec<_> = report.findings.into_iter().map(|finding| (finding.path, finding.kind)).collect();
        found.retain(|(_, kind)| matches!(kind, Kind::DamagedVersion | Kind::KeptVersions));
        found
    };
    assert_eq!(found(), []);
    let folder = root.join(".filelatch/versions/sub%2Fa");
    let damaged = folder.join(&names(&folder)[3]);
    fs::write(&damaged, "changed").unwrap();
    assert_eq!(found(), [(damaged.clone(), Kind::DamagedVersion)]);
    fs::write(root.join(".filelatch/config.toml"), "keep_versions = 2").unwrap();
    assert_eq!(found(), [(folder, Kind::KeptVersions), (damaged, Kind::DamagedVersion)]);
}

pub(crate) fn appends(path: &str, who: &str, times: &str) {
    let file = engine(who).file(path).unwrap();
    say("ready");
    super::support::hear();
    for i in 0..times.parse().unwrap() {
        let change = |old: Option<&[u8]>| {
            Ok::<_, Error>(Some([old.unwrap_or_default(), format!("{who}.{i};").as_bytes()].concat()))
        };
        let options = WriteOptions::new().durability(filelatch::Durability::None);
        file.update_bytes(&options, change).unwrap();
    }
    say("done");
}
