//! What needs root: full and read-only disks, mount points, other users. Skipped, and said so, without.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use filelatch::{Durability, Error, Expect, HardLinks, LockOptions, Notice, Policy, Version, WriteOptions};
use tempfile::tempdir;

use super::support::*;

/// A worker in a mount namespace of its own, where `mounts` was run with the directory as `$D`; `None`: not possible here.
fn mounted(mounts: &str, dir: &Path, role: &[&str]) -> Option<Worker> {
    let script = format!("mount --make-rprivate / && {mounts} && exec \"$@\"");
    let wrap = ["env", &format!("D={}", dir.display()), "unshare", "-m", "sh", "-c", &script, "sh"].map(str::to_owned);
    let possible = is_root()
        && std::process::Command::new("unshare")
            .args(["-m", "sh", "-c", "mount --make-rprivate / && mount -t tmpfs none /tmp"])
            .status()
            .is_ok_and(|status| status.success());
    if !possible {
        eprintln!("skipped: no mounts here");
        return None;
    }
    Some(Worker::start_as(&wrap.each_ref().map(String::as_str), role))
}

/// A worker as a user without rights; `None`: not possible here.
pub(crate) fn nobody(role: &[&str]) -> Option<Worker> {
    let wrap = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let reachable = command(&wrap, &["reachable"])
        .output()
        .is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains("@reachable"));
    if !is_root() || !reachable {
        eprintln!("skipped: cannot become another user");
        return None;
    }
    Some(Worker::start_as(&wrap, role))
}

fn run(worker: Option<Worker>) {
    if let Some(mut worker) = worker {
        worker.expect("fine");
        worker.finish();
    }
}

/// ATOM-4, VER-8: on a full disk the old file stays untouched, no temporary file stays, the error says so; a batch fails as one.
#[test]
fn full_disk() {
    let dir = tempdir().unwrap();
    run(mounted("mount -t tmpfs -o size=256k none \"$D\"", dir.path(), &["full-disk", dir.path().to_str().unwrap()]));
}

pub(crate) fn full_disk_worker(dir: &Path) {
    let path = dir.join("a");
    let here = file(&path);
    here.write(b"old", &WriteOptions::new()).unwrap();
    let big = vec![b'x'; 1 << 20];
    let full = |error: Error| {
        assert_eq!(error.code(), "disk-full", "{error}");
        assert!(error.hints().join(" ").contains("space"), "{:?}", error.hints());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(litter(dir, &["a"]), [""; 0]);
    };
    full(here.write(&big, &WriteOptions::new()).unwrap_err());
    full(here.update_bytes(&WriteOptions::new(), |_| Ok::<_, Error>(Some(big.clone()))).unwrap_err());
    full(file(&dir.join("new")).write(&big, &WriteOptions::new()).unwrap_err());
    let mut writer = here.writer(&WriteOptions::new()).unwrap();
    assert!(std::io::Write::write_all(&mut writer, &big).is_err());
    drop(writer);
    assert_eq!(litter(dir, &["a"]), [""; 0]);

    // Two changes, one of them too large: both are told, none is written.
    let (inside, is_inside) = std::sync::mpsc::channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let errors: Vec<_> = std::thread::scope(|scope| {
        let (first, second) = (here.clone(), here.clone());
        let first = scope.spawn(move || {
            first.update_bytes(&WriteOptions::new(), |_| {
                inside.send(()).unwrap();
                gone.recv().unwrap();
                Ok::<_, Error>(Some(vec![b'y'; 1 << 20]))
            })
        });
        is_inside.recv().unwrap();
        let second = scope.spawn(move || {
            second.update_bytes(&WriteOptions::new(), |old| Ok::<_, Error>(Some([old.unwrap(), b"z"].concat())))
        });
        until("the second queues", || second.is_finished() || sleeping_threads() >= 3);
        go.send(()).unwrap();
        vec![first.join().unwrap().unwrap_err(), second.join().unwrap().unwrap_err()]
    });
    errors.into_iter().for_each(full);

    // Not even a full disk keeps anybody from locking.
    let filler = fs::File::create(dir.join("filler")).unwrap();
    let mut offset = 0;
    while std::os::unix::fs::FileExt::write_at(&filler, &[0; 1024], offset).is_ok_and(|n| n > 0) {
        offset += 1024;
    }
    drop(here.lock(&LockOptions::new()).unwrap());
    let error = file(&dir.join("other")).lock(&LockOptions::new()).map(drop).unwrap_err();
    assert_eq!(error.code(), "disk-full");
    assert_eq!(litter(dir, &["a", "filler"]), [""; 0]);
    drop(filler);
    fs::remove_file(dir.join("filler")).unwrap();
    here.write(b"new", &WriteOptions::new().expect(Expect::Version(Version::of(b"old")))).unwrap();
}

fn sleeping_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let futex = |call: String| call.starts_with("202 ") || call.starts_with("98 ");
    tasks.filter(|task| fs::read_to_string(task.path().join("syscall")).is_ok_and(futex)).count()
}

/// ATOM-4, P5.9: a write in place that fails half-way on a full disk does not stay half done.
#[test]
fn full_disk_in_place() {
    let dir = tempdir().unwrap();
    run(mounted(
        "mount -t tmpfs -o size=256k none \"$D\"",
        dir.path(),
        &["full-disk-in-place", dir.path().to_str().unwrap()],
    ));
}

pub(crate) fn full_disk_in_place_worker(dir: &Path) {
    let (path, old) = (dir.join("a"), vec![b'o'; 1000]);
    fs::write(&path, &old).unwrap();
    fs::hard_link(&path, dir.join("b")).unwrap();
    let mut policy = Policy::default();
    policy.hard_links = HardLinks::InPlace;
    let engine = filelatch::Filelatch::builder().without_workspaces().defaults(policy).build();
    let here = engine.file(&path).unwrap();
    // The journal fits, the longer file beside it does not.
    let error = here.write(&vec![b'n'; 140 << 10], &WriteOptions::new()).unwrap_err();
    assert_eq!(error.code(), "disk-full", "{error}");
    let guard = here.lock_shared(&LockOptions::new()).unwrap();
    assert!(guard.read().unwrap().bytes() == old, "half written: {} bytes", guard.read().unwrap().bytes().len());
    drop(guard);
    assert_eq!(litter(dir, &["a", "b"]), [""; 0]);
    here.write(b"small", &WriteOptions::new()).unwrap();
    assert_eq!(fs::read(dir.join("b")).unwrap(), b"small");
}

/// P5.9: a single file that is a mount point (bound into a container) is written in place, and says so.
#[test]
fn bound_file() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("outside"), "old").unwrap();
    fs::write(dir.path().join("a"), "").unwrap();
    run(mounted("mount --bind \"$D/outside\" \"$D/a\"", dir.path(), &["bound", dir.path().to_str().unwrap()]));
}

pub(crate) fn bound_worker(dir: &Path) {
    let here = file(&dir.join("a"));
    let inode = fs::metadata(dir.join("outside")).unwrap().ino();
    let written = here.write(b"new and longer", &WriteOptions::new()).unwrap();
    assert_eq!(written.notices, [Notice::InPlace]);
    let expect = WriteOptions::new().expect(Expect::Version(Version::of(b"new and longer")));
    here.write(b"short", &expect).unwrap();
    assert!(matches!(here.write(b"x", &expect), Err(Error::Conflict(_))));
    for _ in 0..20 {
        here.update_bytes(&WriteOptions::new().durability(Durability::None), |old| {
            Ok::<_, Error>(Some([old.unwrap(), b"+"].concat()))
        })
        .unwrap();
    }
    let mut writer = here.writer(&WriteOptions::new()).unwrap();
    std::io::Write::write_all(&mut writer, b"streamed").unwrap();
    writer.commit(&LockOptions::new()).unwrap();
    assert_eq!(fs::read(dir.join("outside")).unwrap(), b"streamed");
    assert_eq!(fs::metadata(dir.join("outside")).unwrap().ino(), inode);
    assert_eq!(litter(dir, &["a", "outside"]), [""; 0]);
}

/// KEEP-1: the versions are on another file system than the file: they are copied. Where that is full or read-only, the write succeeds, says so,
/// and leaves nothing behind.
#[test]
fn kept_on_another_disk() {
    let dir = tempdir().unwrap();
    fs::create_dir_all(dir.path().join(".filelatch/versions")).unwrap();
    let mounts = "mount -t tmpfs -o size=64k none \"$D/.filelatch/versions\"";
    run(mounted(mounts, dir.path(), &["kept-on-another-disk", dir.path().to_str().unwrap()]));
}

pub(crate) fn kept_on_another_disk_worker(dir: &Path) {
    let engine = filelatch::Filelatch::builder().session("tester").build();
    let here = engine.file(dir.join("a")).unwrap();
    let write = |content: &[u8]| here.write(content, &WriteOptions::new()).unwrap().notices;
    let unkept = |notices: &[Notice]| assert!(matches!(notices, [Notice::NotKept { .. }]), "{notices:?}");
    let big = vec![b'x'; 1 << 20];
    assert_eq!([write(b"one"), write(b"two"), write(&big)], [const { Vec::new() }; 3]);
    unkept(&write(b"three"));
    let history = || here.history().unwrap().into_iter().map(|kept| (kept.version, kept.by)).collect::<Vec<_>>();
    let by = filelatch::Author::Session("tester".to_owned());
    let expected = [b"two", b"one"].map(|content| (Version::of(content), by.clone()));
    assert_eq!(history(), expected);
    assert_eq!(here.kept(&Version::of(b"one")).unwrap().bytes(), b"one");
    let remount = std::process::Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(dir.join(".filelatch/versions"))
        .status()
        .unwrap();
    assert!(remount.success());
    unkept(&write(b"four"));
    assert_eq!((fs::read(dir.join("a")).unwrap(), history()), (b"four".to_vec(), expected.to_vec()));
    assert_eq!(litter(dir, &["a", ".filelatch"]), [""; 0]);
}

/// ATOM-4: on a read-only file system reading works, a shared lock says that there is none, everything else says why not.
#[test]
fn read_only_mount() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("a"), "old").unwrap();
    let mounts = "mount --bind \"$D\" \"$D\" && mount -o remount,ro,bind \"$D\"";
    run(mounted(mounts, dir.path(), &["no-rights", dir.path().to_str().unwrap(), "read-only"]));
}

/// P1: the same in a directory that this user may not write.
#[test]
fn directory_without_rights() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("a"), "old").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    run(nobody(&["no-rights", dir.path().to_str().unwrap(), "permission-denied"]));
}

pub(crate) fn no_rights_worker(dir: &Path, code: &str) {
    let here = file(&dir.join("a"));
    assert_eq!(here.read().unwrap().bytes(), b"old");
    assert!(!here.is_locked().unwrap());
    let guard = here.lock_shared(&LockOptions::new()).unwrap();
    assert!(!guard.is_held() && guard.read().unwrap().bytes() == b"old");
    assert!(guard.warning().unwrap().contains(&*dir.to_string_lossy()), "{:?}", guard.warning());
    drop(guard);
    for error in [
        here.lock(&LockOptions::new()).map(drop).unwrap_err(),
        here.write(b"x", &WriteOptions::new()).map(drop).unwrap_err(),
        here.writer(&WriteOptions::new()).map(drop).unwrap_err(),
    ] {
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(&*dir.to_string_lossy()), "{error}");
    }
    // Many readers at once: none of them is refused because another one just tries.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..200 {
                    assert!(!here.lock_shared(&LockOptions::new()).unwrap().is_held());
                }
            });
        }
    });
    assert_eq!(fs::read_dir(dir).unwrap().count(), 1);
}

/// LOCK-19, P1: root and the owner use one lock file, whoever made it; another user's file in an open directory can be replaced
/// only with what can be carried over said, and never with a set-id bit that would now be another user's.
#[test]
fn two_users() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(&path, "old").unwrap();
    if !is_root() {
        return eprintln!("skipped: not root");
    }
    std::os::unix::fs::chown(&path, Some(65534), Some(65534)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let held = file(&path).try_lock().unwrap();
    let name = path.to_str().unwrap();
    let Some(mut worker) = nobody(&["try", "exclusive", name]) else { return };
    assert!(worker.hear().unwrap().starts_with("locked"));
    drop(held);
    let mut worker = nobody(&["try", "exclusive", name]).unwrap();
    assert_eq!(worker.hear().unwrap(), "got ");
    let mut worker = nobody(&["write", name, "theirs"]).unwrap();
    assert_eq!(worker.hear().unwrap(), "written []");
    file(&path).write(b"root's", &WriteOptions::new()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().uid(), 65534);

    let other = dir.path().join("b");
    fs::write(&other, "old").unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o6755)).unwrap();
    let mut worker = nobody(&["write", other.to_str().unwrap(), "new"]).unwrap();
    let said = worker.hear().unwrap();
    assert!(said.starts_with("written") && said.contains("owner"), "{said}");
    let after = fs::metadata(&other).unwrap();
    assert_eq!((after.uid(), after.mode() & 0o7777), (65534, 0o755), "a set-id bit for another user");
}

/// LOCK-20, ATOM-4: the doctor on real mounts: memory, read-only (nothing is tried), FAT where this machine can make one.
#[test]
fn doctor_on_mounts() {
    let has_fat = std::process::Command::new("mkfs.vfat").arg("--help").output().is_ok()
        && fs::read_to_string("/proc/filesystems").is_ok_and(|list| list.contains("vfat"));
    let fat = "truncate -s 16M \"$D.img\" && mkfs.vfat \"$D.img\" >/dev/null && mount -o loop \"$D.img\" \"$D\" && rm \"$D.img\"";
    for (mounts, fs_type, level) in [
        ("mount -t tmpfs none \"$D\"", "tmpfs", "Limited"),
        ("mount -t tmpfs none \"$D\" && mount -o remount,ro \"$D\"", "tmpfs", "Unknown"),
        (fat, "vfat", "Limited"),
    ] {
        if fs_type == "vfat" && !has_fat {
            eprintln!("skipped: no FAT here");
            continue;
        }
        let dir = tempdir().unwrap();
        run(mounted(mounts, dir.path(), &["doctor", dir.path().to_str().unwrap(), fs_type, level]));
    }
}

pub(crate) fn doctor_worker(dir: &Path, fs_type: &str, level: &str) {
    let report = engine().doctor(dir, &filelatch::doctor::DoctorOptions::new().fix(true)).unwrap();
    assert_eq!(report.fact("file-system").unwrap().value.as_deref(), Some(fs_type));
    assert_eq!(format!("{:?}", report.overall.level), level, "{:#?}", report.overall);
    assert!(report.is_healthy(), "{report:#?}");
    let missing = |name| report.fact(name).map(|fact| fact.verdict == filelatch::doctor::Verdict::Missing);
    let fat = fs_type == "vfat";
    let tried = level != "Unknown";
    assert_eq!(missing("attributes"), tried.then_some(fat));
    assert_eq!(missing("hard-links"), tried.then_some(fat));
    assert_eq!(fs::read_dir(dir).unwrap().count(), 0, "the probes leave something");
}
