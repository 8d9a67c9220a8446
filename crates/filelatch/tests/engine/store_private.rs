//! Private files: who may open what the stores of secrets make, and what is kept of it (P16).
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::Thread;
use std::time::{Duration, SystemTime};

use filelatch::{Error, Filelatch, LockOptions, WriteOptions};
use filelatch_fs::sim::SimFs;
use filelatch_fs::{Access, FileKind, Host, ProcessFacts, RealHost};

/// A file or folder of a simulated disk, with everything that can be read in it.
pub(crate) struct Seen {
    pub(crate) path: PathBuf,
    pub(crate) mode: u32,
    /// Bytes and extended attributes.
    pub(crate) bytes: Vec<u8>,
}

/// All files below the root.
pub(crate) fn tree(fs: &SimFs) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut folders = vec![PathBuf::from("/")];
    let foreign = fs.foreign();
    while let Some(folder) = folders.pop() {
        for name in foreign.names(&folder).unwrap() {
            let path = folder.join(name);
            let Ok(file) = foreign.open(&path, Access::Read) else { continue };
            let Ok(stat) = file.stat() else { continue };
            if stat.kind == FileKind::Dir {
                folders.push(path);
                continue;
            }
            let mut bytes = foreign.read(&path).unwrap_or_default();
            for name in file.list_xattrs().unwrap_or_default() {
                bytes.extend(file.get_xattr(&name).unwrap().unwrap_or_default());
            }
            seen.push(Seen { path, mode: stat.mode & 0o7777, bytes });
        }
    }
    seen
}

/// What is wrong with what lies around: a file that others may open, beside the workspace's own; a text where it must not be.
pub(crate) fn leak(fs: &SimFs, secrets: &[&[u8]]) -> Result<(), String> {
    for seen in tree(fs) {
        let path = seen.path.display();
        let ours = seen.path.starts_with("/.filelatch") && !seen.path.starts_with("/.filelatch/stores");
        if seen.mode & 0o077 != 0 && !ours {
            return Err(format!("{path} has mode {:o}", seen.mode));
        }
        for secret in secrets {
            if seen.bytes.windows(secret.len()).any(|part| part == *secret) {
                return Err(format!("{path} has {:?}", String::from_utf8_lossy(secret)));
            }
        }
    }
    Ok(())
}

pub(crate) fn simulated(fs: &SimFs) -> Filelatch {
    Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).session("test").build()
}

/// A workspace that keeps everything, and makes nothing durable.
pub(crate) fn hoarder(fs: &SimFs) {
    fs.foreign().create_dirs("/.filelatch").unwrap();
    let careless = "[[policy]]\nglob = \"**\"\ndurability = \"none\"\nstrategy = \"merge\"\n";
    let config = format!("keep = \"every\"\n{careless}[audit]\nlocks = \"all\"\n");
    fs.foreign().create("/.filelatch/config.toml", config.as_bytes()).unwrap();
}

/// Everything in a folder and those below it, as bytes: names and contents.
pub(crate) fn everything_below(dir: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        all.extend(path.as_os_str().as_encoded_bytes());
        if path.is_dir() {
            all.extend(everything_below(&path));
        } else {
            all.extend(std::fs::read(&path).unwrap());
        }
    }
    all
}

pub(crate) fn has(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

/// P16: of a private file nothing is kept, by no handle of the engine, also if one was opened the ordinary way before; and one that is opened
/// later is no way around it.
#[test]
fn nothing_is_kept_of_it() {
    let fs = SimFs::new(filelatch_fs::sim::Dials::default());
    hoarder(&fs);
    let latch = simulated(&fs.process());
    let options = WriteOptions::new().strategy(filelatch::Strategy::FailFast);
    let write = |file: &filelatch::LatchFile, text: &str| file.write(text.as_bytes(), &options).unwrap();
    let ordinary = latch.file("/t.json").unwrap();
    write(&ordinary, "first");
    write(&ordinary, "second");
    assert_eq!(ordinary.history().unwrap().len(), 2, "of every other file versions are kept");
    fs.foreign().remove("/t.json").unwrap();
    let tokens = latch.tokens("/t.json").unwrap();
    tokens.create("one", &[], None, &LockOptions::new()).unwrap();
    let kept = |fs: &SimFs| tree(fs).iter().filter(|seen| seen.path.starts_with("/.filelatch/versions")).count();
    let before = kept(&fs);
    tokens.create("two", &[], None, &LockOptions::new()).unwrap();
    let text = ordinary.read().unwrap();
    write(&ordinary, &String::from_utf8_lossy(text.bytes()).replace("\"two\"", "\"2\""));
    let later = latch.file("/t.json").unwrap();
    write(&later, "third");
    assert_eq!(kept(&fs), before);
    assert!(matches!(later.history(), Err(Error::NoWorkspace { .. })));
    let seen = tree(&fs);
    let file = seen.iter().find(|seen| seen.path == Path::new("/t.json")).unwrap();
    assert_eq!((file.mode, &file.bytes[..5]), (0o600, &b"third"[..]));
}

/// P16: a file that others may open, that is another user's, or is reached by a link, is refused, and left as it is.
#[test]
#[cfg(unix)]
fn open_files_are_refused() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.json");
    let latch = super::support::engine();
    let lock = LockOptions::new();
    latch.tokens(&path).unwrap().create("one", &[], None, &lock).unwrap();
    let before = std::fs::read(&path).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o777] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        // A handle that is open already, and has the file in memory, and a new engine.
        for tokens in [latch.tokens(&path).unwrap(), super::support::engine().tokens(&path).unwrap()] {
            for error in [tokens.list().unwrap_err(), tokens.create("two", &[], None, &lock).unwrap_err()] {
                assert_eq!(error.code(), "not-private", "{mode:o}: {error}");
                assert!(error.hints()[0].contains("chmod 600"), "{:?}", error.hints());
            }
        }
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    for mode in [0o600, 0o400, 0o700] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        assert_eq!(latch.tokens(&path).unwrap().list().unwrap().len(), 1, "{mode:o}");
    }
    symlink("t.json", dir.path().join("link")).unwrap();
    symlink("nowhere", dir.path().join("loose")).unwrap();
    for (name, code) in [("link", "not-a-file"), ("loose", "not-a-file"), (".", "not-a-file"), ("no/t.json", "io")] {
        let error = latch.tokens(dir.path().join(name)).unwrap_err();
        assert_eq!(error.code(), code, "{name}: {error}");
    }
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(1234), Some(1234)).unwrap();
        let error = latch.tokens(&path).unwrap().list().unwrap_err();
        assert!(error.code() == "not-private" && error.to_string().contains("1234"), "{error}");
    }
}

/// P16: private whatever the umask and the default access list of the directory say.
#[test]
#[cfg(target_os = "linux")]
fn any_umask() {
    use super::support::Worker;
    use std::os::unix::fs::PermissionsExt;
    // With an access list the umask does not count.
    for (umask, listed) in [("0", false), ("022", false), ("0777", false), ("0", true)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.json");
        if listed {
            let mut acl = std::process::Command::new("setfacl");
            acl.args(["-d", "-m", "u:1234:rwx,g::rwx,o::rwx,m::rwx"]).arg(dir.path()).status().ok();
        }
        let wrap = ["sh", "-c", "umask \"$0\"; exec \"$@\"", umask];
        Worker::start_as(&wrap, &["make-tokens", path.to_str().unwrap(), "3"]).finish();
        assert_eq!(super::support::engine().tokens(&path).unwrap().list().unwrap().len(), 3);
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
            assert_eq!(mode, 0o600, "{:?} with umask {umask}", entry.path());
        }
    }
}

/// A machine where this process is another user than the one that its files get, as on a server that maps users.
#[derive(Debug)]
struct Mapped;

impl Host for Mapped {
    fn now(&self) -> SystemTime {
        RealHost.now()
    }

    fn monotonic(&self) -> Duration {
        RealHost.monotonic()
    }

    fn sleep(&self, time: Duration) {
        RealHost.sleep(time);
    }

    fn park(&self, timeout: Option<Duration>) {
        RealHost.park(timeout);
    }

    fn unpark(&self, thread: &Thread) {
        RealHost.unpark(thread);
    }

    fn uid(&self) -> u32 {
        RealHost.uid() + 1
    }

    fn pid(&self) -> u32 {
        RealHost.pid()
    }

    fn facts(&self) -> ProcessFacts {
        RealHost.facts()
    }

    fn start_of(&self, pid: u32) -> std::io::Result<Option<u64>> {
        RealHost.start_of(pid)
    }

    fn random(&self) -> u64 {
        RealHost.random()
    }

    fn secret(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        RealHost.secret(bytes)
    }
}

/// P16: where a file can't be made private no byte is written into it, and none is left.
#[test]
#[cfg(unix)]
fn nothing_where_it_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let latch = Filelatch::builder().without_workspaces().host(Arc::new(Mapped)).build();
    let tokens = latch.tokens(dir.path().join("t.json")).unwrap();
    let error = tokens.create("one", &[], None, &LockOptions::new()).unwrap_err();
    assert!(error.to_string().contains("can't make a file private"), "{error}");
    assert_eq!(super::support::litter(dir.path(), &[]), [""; 0]);
}
