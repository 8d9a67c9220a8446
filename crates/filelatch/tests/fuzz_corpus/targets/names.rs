//! Names of lock and temporary files (DESIGN §3, P1, ATOM-6): there and back, within the limit, never mistaken for another file's.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use filelatch::fuzzing;

use super::source::Source;

/// The longest name of the file systems in use.
const NAME_MAX: usize = 255;

pub(crate) fn run(data: &[u8]) {
    let (name, mut source) = Source::split(data);
    let pid = u32::from_le_bytes(std::array::from_fn(|_| source.byte()));
    let random = u64::from_le_bytes(std::array::from_fn(|_| source.byte()));
    let other = source.rest();
    let fine = |name: &[u8]| (1..=NAME_MAX).contains(&name.len()) && !name.contains(&b'/') && !name.contains(&0);
    // Any entry of a directory may be asked about.
    if fine(name) && fine(other) {
        let (name, entry) = (OsStr::from_bytes(name), OsStr::from_bytes(other));
        if fuzzing::is_temp_of(entry, name) {
            assert!(other.starts_with(b".") && other.ends_with(b".tmp") && entry != name);
        }
        if let Some(locked) = fuzzing::locked_by(entry) {
            assert_eq!([b".", locked.as_bytes(), b".lock"].concat(), other);
        }
        let (one, two) = (fuzzing::lock_name(name), fuzzing::lock_name(entry));
        assert!(name == entry || one != two, "two files, one lock file");
    }
    if !fine(name) {
        return;
    }
    let name = OsStr::from_bytes(name);
    let lock = fuzzing::lock_name(name);
    assert!(lock.len() <= NAME_MAX && lock != name);
    if name.len() + ".".len() + ".lock".len() <= NAME_MAX {
        assert_eq!(fuzzing::locked_by(&lock).as_deref(), Some(name));
    }
    let temp = fuzzing::temp_name(name, pid, random);
    assert!(temp.len() <= NAME_MAX && fuzzing::is_temp_of(&temp, name), "{}", temp.display());
    assert!(!fuzzing::is_temp_of(&lock, name), "{}", lock.display());
    let other = OsStr::from_bytes(other);
    if fine(other.as_bytes()) && other != name {
        assert!(!fuzzing::is_temp_of(&temp, other), "{} of {}", temp.display(), other.display());
    }
}
