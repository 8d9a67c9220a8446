//! Identity: which file a path means (LOCK-9).
//!
//! # Promise
//! Every spelling of one file — relative, with `..`, through symbolic links, with doubled slashes, in another case where the
//! file system does not tell case apart — becomes one [`ResourceId`], and different files become different ones. The file need
//! not exist; its directory must.
//!
//! # Non-promise
//! Hard links are different resources: they are different names, and replacing one leaves the other (ATOM-3 reports them).
//! A path is resolved once; whoever turns a symbolic link elsewhere afterwards does not move a handle that exists.
//!
//! # Order of operations
//! 1. Follow symbolic links of the last component one by one (the link's target is replaced, not the link, L31).
//! 2. Canonicalize the directory and open it; from here on names are looked up relative to it.
//! 3. On case-insensitive directories take the name as the disk has it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use filelatch_fs::{FileId, FileKind, Fs, FsDir};

use crate::error::{Error, Result};
use crate::lock::resource::locked;

/// Links that may follow one another before it counts as a loop (`path_resolution(7)`).
pub(crate) const MAX_LINKS: usize = 40;
/// Directories that stay open for the next file in them.
const KNOWN_DIRS: usize = 16;
/// Longest file name, in bytes, of the file systems in use.
const NAME_MAX: usize = 255;

/// The identity of a file by name: directory and name. Ordered, and locks on several files are taken in this order: text
/// would not do, because containers mount one directory at different paths (P3).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceId {
    dir: FileId,
    name: OsString,
}

impl ResourceId {
    /// Of a name in a directory, spelled as the directory has it.
    pub(crate) fn of(dir: &dyn FsDir, name: &OsStr) -> ResourceId {
        let folds = dir.caps().case_insensitive;
        let name = if folds { name.to_string_lossy().to_lowercase().into() } else { name.to_owned() };
        ResourceId { dir: dir.id(), name }
    }
}

impl std::fmt::Display for ResourceId {
    /// `DEVICE:INODE:NAME`, one word: bytes that are not printable ASCII, blanks and `%` are written `%XX`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}:{}:", self.dir.dev, self.dir.ino)?;
        for &byte in self.name.as_encoded_bytes() {
            if byte.is_ascii_graphic() && byte != b'%' && byte != b':' {
                write!(f, "{}", byte as char)?;
            } else {
                write!(f, "%{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// A resolved path.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) dir: Arc<dyn FsDir>,
    /// Name in the directory.
    pub(crate) name: OsString,
    pub(crate) id: ResourceId,
    /// Absolute, without links.
    pub(crate) path: PathBuf,
    /// As the caller wrote it: errors speak the user's language.
    pub(crate) spelled: PathBuf,
    /// The directory that nothing about the file may leave ([`Root`](crate::Root)).
    pub(crate) root: Option<Arc<dyn FsDir>>,
}

/// The directories that were opened last: finding out what one is takes ten times the calls of asking whether it is still the same.
#[derive(Debug, Default)]
pub(crate) struct Dirs(Mutex<VecDeque<(PathBuf, Arc<dyn FsDir>)>>);

impl Dirs {
    /// Opens a directory by its canonical path.
    pub(crate) fn open(&self, fs: &dyn Fs, spelled: &Path) -> io::Result<Arc<dyn FsDir>> {
        let known = locked(&self.0).iter().find(|(path, _)| path == spelled).map(|(_, dir)| Arc::clone(dir));
        if let Some(dir) = known {
            // The spelling still leads to it, and it still has the path that it was opened by.
            let is_there = |path: &Path| fs.stat(path).is_ok_and(|stat| stat.id == dir.id());
            if is_there(&spelled.join(".")) && (spelled == dir.path() || is_there(dir.path())) {
                return Ok(dir);
            }
        }
        let dir = fs.open_dir(&fs.canonicalize(spelled)?)?;
        let mut dirs = locked(&self.0);
        dirs.retain(|(path, _)| path != spelled);
        dirs.push_front((spelled.to_owned(), Arc::clone(&dir)));
        dirs.truncate(KNOWN_DIRS);
        Ok(dir)
    }
}

impl Place {
    /// Resolves a path. Nothing is created.
    pub(crate) fn resolve(fs: &dyn Fs, dirs: &Dirs, spelled: &Path) -> Result<Place> {
        Place::find(fs, dirs, spelled, true)
    }

    /// Resolves the path of what must be the file itself, not a link to it.
    #[cfg(feature = "store")]
    pub(crate) fn resolve_itself(fs: &dyn Fs, dirs: &Dirs, spelled: &Path) -> Result<Place> {
        Place::find(fs, dirs, spelled, false)
    }

    fn find(fs: &dyn Fs, dirs: &Dirs, spelled: &Path, follow: bool) -> Result<Place> {
        let fail = |source| match source {
            e if io::Error::kind(&e) == io::ErrorKind::NotFound => Error::NotFound { path: spelled.to_owned() },
            e => Error::io("resolve", spelled, e),
        };
        let mut path = spelled.to_owned();
        for _ in 0..MAX_LINKS {
            if path.as_os_str().is_empty() {
                return Err(Error::io("resolve", spelled, io::Error::other("the path is empty")));
            }
            let Some(name) = last_name(&path) else {
                return Err(Error::NotAFile { path: spelled.to_owned(), what: "a directory" });
            };
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let dir = match dirs.open(fs, parent) {
                Ok(dir) => dir,
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(missing_dir(spelled, parent)),
                Err(e) => return Err(fail(e)),
            };
            let full = dir.path().join(&name);
            match dir.stat(&name) {
                Ok(stat) if stat.kind == FileKind::Symlink && !follow => {
                    return Err(Error::NotAFile { path: spelled.to_owned(), what: "a symbolic link" });
                }
                Ok(stat) if stat.kind == FileKind::Symlink => {
                    let target = fs.read_link(&full).map_err(fail)?;
                    path = dir.path().join(target);
                }
                Ok(stat) if stat.kind == FileKind::Dir => {
                    return Err(Error::NotAFile { path: spelled.to_owned(), what: "a directory" });
                }
                Ok(_) => {
                    let name = if dir.caps().case_insensitive { name_on_disk(&*dir, name) } else { name };
                    return Ok(Place::new(dir, name, spelled));
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Place::new(dir, name, spelled)),
                Err(e) => return Err(fail(e)),
            }
        }
        Err(Error::io("resolve", spelled, io::Error::other("too many symbolic links follow one another")))
    }

    fn new(dir: Arc<dyn FsDir>, name: OsString, spelled: &Path) -> Place {
        let id = ResourceId::of(&*dir, &name);
        let path = dir.path().join(&name);
        Place { dir, name, id, path, spelled: spelled.to_owned(), root: None }
    }

    /// A name in a directory beneath a root.
    pub(crate) fn beneath(root: &Arc<dyn FsDir>, dir: Arc<dyn FsDir>, name: OsString, spelled: &Path) -> Place {
        let name = if dir.caps().case_insensitive { name_on_disk(&*dir, name) } else { name };
        Place { root: Some(Arc::clone(root)), ..Place::new(dir, name, spelled) }
    }
}

/// The last component, also of `dir/link` with a trailing `.`; none for `/`, `.`, `..` and what ends in a slash.
fn last_name(path: &Path) -> Option<OsString> {
    let text = path.as_os_str().as_encoded_bytes();
    let ends_as_dir = text.ends_with(b"/") || text.ends_with(b"/.") || (cfg!(windows) && text.ends_with(b"\\"));
    path.file_name().filter(|_| !ends_as_dir).map(OsStr::to_owned)
}

pub(crate) fn missing_dir(spelled: &Path, parent: &Path) -> Error {
    let source =
        io::Error::new(io::ErrorKind::NotFound, format!("its directory `{}` does not exist", parent.display()));
    Error::io("find", spelled, source)
}

/// The spelling that the directory has; the given one when nothing can be found out.
pub(crate) fn name_on_disk(dir: &dyn FsDir, name: OsString) -> OsString {
    let folded = name.to_string_lossy().to_lowercase();
    let mut found = None;
    let listed = dir.list(&mut |entry| {
        if entry == name {
            found = Some(entry);
            return false;
        }
        if found.is_none() && entry.to_string_lossy().to_lowercase() == folded {
            found = Some(entry);
        }
        true
    });
    listed.ok().and(found).unwrap_or(name)
}

/// How the lock file of a file is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LockFileName {
    /// `.name.lock`
    #[default]
    Hidden,
    /// `name.lock`, for sharing a lock with scripts that use it already.
    Suffix,
}

impl LockFileName {
    /// The lock file's name for a file's name.
    pub(crate) fn of(self, name: &OsStr) -> OsString {
        match self {
            LockFileName::Hidden => around(".", name, ".lock"),
            LockFileName::Suffix => around("", name, ".lock"),
        }
    }
}

/// The name of the fallback lock beside a lock file (P4).
pub(crate) fn held_name(lock: &OsStr) -> OsString {
    around("", lock, ".held")
}

/// The name of the right over one tenure of a fallback lock.
pub(crate) fn right_name(held: &OsStr, tenure: &str) -> OsString {
    around("", held, &format!(".{tenure}"))
}

/// Is `entry` the name of a right over a tenure of this fallback lock?
pub(crate) fn is_right_over(entry: &OsStr, held: &OsStr) -> bool {
    let entry = entry.as_encoded_bytes();
    let tenure = entry.strip_prefix(held.as_encoded_bytes()).and_then(|rest| rest.strip_prefix(b"."));
    let id = tenure.map(|tenure| tenure.strip_suffix(b"r").unwrap_or(tenure));
    id.is_some_and(|id| id.len() == 16 && id.iter().all(u8::is_ascii_hexdigit))
}

/// The file whose hidden lock file is called so, if it can be one.
pub(crate) fn locked_by(entry: &OsStr) -> Option<OsString> {
    let name = entry.as_encoded_bytes().strip_prefix(b".")?.strip_suffix(b".lock")?;
    (!name.is_empty()).then(|| cut(entry, 1, name.len()))
}

/// The name of a sign of life beside a queue: `.name.<16 digits>.lock`.
#[cfg(feature = "store")]
pub(crate) fn life_name(name: &OsStr, number: u64) -> OsString {
    around(".", name, &format!(".{number:016x}.lock"))
}

/// The number of a sign of life beside the queue `name`, if `entry` is called so.
#[cfg(feature = "store")]
pub(crate) fn life_of(entry: &OsStr, name: &OsStr) -> Option<u64> {
    let bytes = entry.as_encoded_bytes().strip_suffix(b".lock")?;
    let digits = bytes.get(bytes.len().checked_sub(16)?..)?;
    let number = std::str::from_utf8(digits).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok())?;
    (life_name(name, number) == entry).then_some(number)
}

/// The name of a file's lease file: `.name.lease`.
pub(crate) fn lease_name(name: &OsStr) -> OsString {
    around(".", name, ".lease")
}

/// The file whose lease file is called so, if it can be one.
pub(crate) fn leased_by(entry: &OsStr) -> Option<OsString> {
    let name = entry.as_encoded_bytes().strip_prefix(b".")?.strip_suffix(b".lease")?;
    (!name.is_empty()).then(|| cut(entry, 1, name.len()))
}

/// The file whose lock, fallback lock or lease is in a file of this name, if it can be one; the lock file hidden, as it usually is.
pub(crate) fn guarded_by(entry: &OsStr) -> Option<OsString> {
    let held = || {
        let lock = OsStr::new(entry.to_str()?.strip_suffix(".held")?);
        locked_by(lock).filter(|_| held_name(lock) == entry)
    };
    locked_by(entry).or_else(|| leased_by(entry)).or_else(held)
}

/// The name of the file that says how much of a log is durable: `.name.sync`.
#[cfg(feature = "store")]
pub(crate) fn sync_name(name: &OsStr) -> OsString {
    around(".", name, ".sync")
}

/// Is this the name of such a file?
#[cfg(feature = "watch")]
pub(crate) fn is_sync_name(entry: &OsStr) -> bool {
    let inner = entry.as_encoded_bytes().strip_prefix(b".").and_then(|rest| rest.strip_suffix(b".sync"));
    inner.is_some_and(|inner| !inner.is_empty())
}

/// A name for a temporary file beside `name`: `.name.<pid>-<random>.tmp` (ATOM-6: a pid alone is not unique among
/// threads, containers and hosts).
pub(crate) fn temp_name(name: &OsStr, pid: u32, random: u64) -> OsString {
    around(".", name, &format!(".{pid}-{random:016x}.tmp"))
}

/// Is `entry` the name of a temporary file beside `name`?
pub(crate) fn is_temp_of(entry: &OsStr, name: &OsStr) -> bool {
    let Some(base) = temp_base(entry) else { return false };
    base == name.as_encoded_bytes() || (name.len() > 100 && base == shortened(name).as_encoded_bytes())
}

/// The (possibly shortened) name between the decorations of a temporary file's name.
pub(crate) fn temp_base(entry: &OsStr) -> Option<&[u8]> {
    let inner = entry.as_encoded_bytes().strip_prefix(b".")?.strip_suffix(b".tmp")?;
    let dot = inner.iter().rposition(|b| *b == b'.')?;
    let (base, tail) = (&inner[..dot], &inner[dot + 1..]);
    let dash = tail.iter().position(|b| *b == b'-')?;
    let (pid, random) = (&tail[..dash], &tail[dash + 1..]);
    let ours = !base.is_empty()
        && !pid.is_empty()
        && pid.iter().all(u8::is_ascii_digit)
        && random.len() == 16
        && random.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
    ours.then_some(base)
}

/// `prefix + name + suffix`, the name shortened if they would be too long together.
fn around(prefix: &str, name: &OsStr, suffix: &str) -> OsString {
    let fits = prefix.len() + name.len() + suffix.len() <= NAME_MAX;
    let mut whole = OsString::from(prefix);
    whole.push(if fits { name.to_owned() } else { shortened(name) });
    whole.push(suffix);
    whole
}

/// The first 100 bytes of a name, `~` and 16 digits of its hash (P1).
fn shortened(name: &OsStr) -> OsString {
    let mut short = first_bytes(name, 100);
    short.push("~");
    short.push(&blake3::hash(name.as_encoded_bytes()).to_hex()[..16]);
    short
}

#[cfg(unix)]
fn first_bytes(name: &OsStr, n: usize) -> OsString {
    use std::os::unix::ffi::OsStrExt;
    OsStr::from_bytes(&name.as_bytes()[..n]).to_owned()
}

/// A part of a name.
#[cfg(unix)]
pub(crate) fn cut(name: &OsStr, start: usize, len: usize) -> OsString {
    use std::os::unix::ffi::OsStrExt;
    OsStr::from_bytes(&name.as_bytes()[start..start + len]).to_owned()
}

/// A part of a name.
#[cfg(not(unix))]
pub(crate) fn cut(name: &OsStr, start: usize, len: usize) -> OsString {
    let text = name.to_string_lossy();
    text.get(start..start + len).unwrap_or(&text).into()
}

#[cfg(not(unix))]
fn first_bytes(name: &OsStr, n: usize) -> OsString {
    let text = name.to_string_lossy();
    let end = (0..=n.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    text[..end].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DESIGN §3: names of lock and temporary files.
    #[test]
    fn names() {
        assert_eq!(LockFileName::Hidden.of("a.json".as_ref()), ".a.json.lock");
        assert_eq!(LockFileName::Suffix.of("a.json".as_ref()), "a.json.lock");
        let temp = temp_name("a.json".as_ref(), 42, 0xabc);
        assert_eq!(temp, ".a.json.42-0000000000000abc.tmp");
        assert!(is_temp_of(&temp, "a.json".as_ref()));
        assert!(!is_temp_of(&temp, "b.json".as_ref()));
        for foreign in [".a.json.tmp", ".a.json.42-xyz.tmp", "a.json.42-0000000000000abc.tmp", ".a.json.42-0abc.tmp"] {
            assert!(!is_temp_of(foreign.as_ref(), "a.json".as_ref()), "{foreign}");
        }
    }

    /// LOCK-3, LOCK-10 (P4): the fallback lock, and rights over it.
    #[test]
    fn fallback_locks() {
        let held = held_name(".a.lock".as_ref());
        assert_eq!(held, ".a.lock.held");
        let right = right_name(&held, "00000000000000aar");
        assert_eq!(right, ".a.lock.held.00000000000000aar");
        assert!(is_right_over(&right, &held) && is_right_over(&right_name(&held, "00000000000000aa"), &held));
        for foreign in [
            ".a.lock.held",
            ".a.lock.held.",
            ".a.lock.held.x",
            ".a.lock.held.00000000000000aa.tmp",
            ".b.lock.held.00000000000000aa",
        ] {
            assert!(!is_right_over(foreign.as_ref(), &held), "{foreign}");
        }
        assert!(right_name(&held_name("x".repeat(255).as_ref()), "00000000000000aar").len() <= NAME_MAX);
    }

    /// LOCK-7: from the name of a lock file back to the file's.
    #[test]
    fn locked_files() {
        assert_eq!(locked_by(".a.json.lock".as_ref()), Some("a.json".into()));
        assert_eq!(locked_by("..lock".as_ref()), None);
        assert_eq!(locked_by("a.lock".as_ref()), None);
    }

    /// P1: a name too long for the suffix is cut and hashed, within the limit, and different names stay different.
    #[test]
    fn long_names() {
        let (a, b) = (format!("{}a", "x".repeat(254)), format!("{}b", "x".repeat(254)));
        let (la, lb) = (LockFileName::Hidden.of(a.as_ref()), LockFileName::Hidden.of(b.as_ref()));
        assert_ne!(la, lb);
        assert_eq!(la.len(), 1 + 100 + 1 + 16 + 5);
        let temp = temp_name(a.as_ref(), 4_194_304, 7);
        assert!(temp.len() <= NAME_MAX && is_temp_of(&temp, a.as_ref()) && !is_temp_of(&temp, b.as_ref()));
        assert_eq!(LockFileName::Hidden.of("x".repeat(249).as_ref()).len(), 255, "just fits");
    }
}
