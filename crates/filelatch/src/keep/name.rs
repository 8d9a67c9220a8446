//! Names in `.filelatch/versions/`: one folder for each document, one file for each version.
//!
//! `versions/<document>/<milliseconds>-<generation>-<hash>`: everything that is known of a version without opening it is in its name, so
//! there is no index that could be torn or disagree with the files.
//!
//! The hash has 64 digits where the bytes were proved when the version was kept; 16 digits where only its attribution says so, and is the
//! word `unread` and a random number where nothing does. Whoever lists the versions reads such a one and gives it its full name.

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use crate::version::Version;

/// Longest name of a document's folder; a longer one is cut and hashed (P1).
const LONGEST: usize = 200;
const UNREAD: &str = "unread";

/// The name of a document's folder: its path below the workspace in one word. Two documents never share one.
///
/// Letters, digits, `.`, `_`, `-`, `+`, `@`, `~` and blanks stand for themselves, every other byte is written `%XX`.
pub(crate) fn document_key(relative: &Path) -> OsString {
    let mut key = String::new();
    for component in relative.components() {
        let Component::Normal(name) = component else { continue };
        if !key.is_empty() {
            key.push_str("%2F");
        }
        escape(name, &mut key);
    }
    // Windows drops these from the end of a name.
    if let Some(last @ (b'.' | b' ')) = key.as_bytes().last().copied() {
        key.pop();
        escape_byte(last, &mut key);
    }
    if key.len() > LONGEST {
        let hash = blake3::hash(key.as_bytes()).to_hex();
        let end = (0..=100).rev().find(|i| key.is_char_boundary(*i)).unwrap_or(0);
        // No name that was not cut has a `%` without digits behind it.
        key = format!("{}%~{}", &key[..end], &hash[..16]);
    }
    key.into()
}

fn escape(name: &OsStr, key: &mut String) {
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '@' | '~' | ' ') {
                key.push(c);
            } else {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| escape_byte(byte, key));
            }
        }
        chunk.invalid().iter().for_each(|byte| escape_byte(*byte, key));
    }
}

/// The document whose folder is called so; `None`: the name was cut, or is no document's.
pub(crate) fn document_of(key: &OsStr) -> Option<PathBuf> {
    let (mut path, mut rest) = (Vec::new(), key.to_str()?.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        (path, rest) = match (byte, after) {
            (b'%', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                path.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
                (path, after)
            }
            (b'%', _) => return None,
            (byte, after) => {
                path.push(*byte);
                (path, after)
            }
        };
    }
    let path = PathBuf::from(String::from_utf8(path).ok()?);
    (document_key(&path) == key).then_some(path)
}

fn escape_byte(byte: u8, key: &mut String) {
    let digit = |n: u8| char::from(b"0123456789ABCDEF"[usize::from(n & 15)]);
    key.extend(['%', digit(byte >> 4), digit(byte)]);
}

/// What is known of a version's hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    /// The bytes had it when they were kept.
    Proved(Version),
    /// Its first 16 digits, by the attribution that the bytes carried.
    Claimed(String),
    /// A random number tells such names apart.
    Unread(u32),
}

impl Hash {
    /// May it be this version?
    pub(crate) fn may_be(&self, version: &Version) -> bool {
        match self {
            Hash::Proved(own) => own == version,
            Hash::Claimed(digits) => version.starts_with(digits),
            Hash::Unread(_) => true,
        }
    }
}

/// The name of a kept version. Ordered by time, then generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VersionName {
    /// Milliseconds since the epoch: when it was written; of a version that filelatch did not write, when it was replaced.
    pub(crate) millis: u64,
    /// By its attribution; 0 where there is none.
    pub(crate) generation: u64,
    pub(crate) hash: Hash,
}

impl VersionName {
    pub(crate) fn order(&self) -> (u64, u64) {
        (self.millis, self.generation)
    }

    pub(crate) fn to_name(&self) -> OsString {
        let Self { millis, generation, hash } = self;
        match hash {
            Hash::Proved(version) => format!("{millis}-{generation}-{version}"),
            Hash::Claimed(digits) => format!("{millis}-{generation}-{digits}"),
            Hash::Unread(random) => format!("{millis}-{generation}-{UNREAD}{random:08x}"),
        }
        .into()
    }

    /// `None`: not a version's name.
    pub(crate) fn parse(name: &OsStr) -> Option<VersionName> {
        let mut words = name.to_str()?.splitn(3, '-');
        let number = |word: &str| word.parse::<u64>().ok().filter(|n| n.to_string() == word);
        let (millis, generation) = (number(words.next()?)?, number(words.next()?)?);
        let hash = words.next()?;
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if let Some(random) = hash.strip_prefix(UNREAD) {
            let random = Some(random).filter(|random| random.len() == 8 && digits(random))?;
            let hash = Hash::Unread(u32::from_str_radix(random, 16).ok()?);
            return Some(VersionName { millis, generation, hash });
        }
        let hash = match hash.len() {
            64 if digits(hash) => Hash::Proved(hash.parse().ok()?),
            16 if digits(hash) => Hash::Claimed(hash.to_owned()),
            _ => return None,
        };
        Some(VersionName { millis, generation, hash })
    }
}

/// A copy that is being made.
pub(crate) fn copy_name(random: u64) -> OsString {
    format!(".{random:016x}.copy").into()
}

/// Is it the name of a copy that is being made?
pub(crate) fn is_copy(name: &OsStr) -> bool {
    let inner = name.as_encoded_bytes().strip_prefix(b".").and_then(|rest| rest.strip_suffix(b".copy"));
    inner.is_some_and(|inner| inner.len() == 16 && inner.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// KEEP-1: the name says everything, and nothing else is taken for one.
    #[test]
    fn version_names() {
        let version = Version::of(b"x");
        let all = [Hash::Proved(version), Hash::Claimed(version.short()), Hash::Unread(0xab)];
        for hash in all {
            let name = VersionName { millis: 1_795_000_000_123, generation: 7, hash };
            assert_eq!(VersionName::parse(&name.to_name()), Some(name.clone()));
            assert!(name.hash.may_be(&version));
            assert_eq!(name.hash.may_be(&Version::of(b"y")), name.hash == Hash::Unread(0xab));
        }
        for foreign in [
            "",
            "1-2",
            "1-2-",
            "1-2-xyz",
            "1-2-0123",
            "1-2-unread",
            "01-2-unread000000ab",
            "-1-2-unread000000ab",
            "+1-2-unread000000ab",
            "1-2-unread000000AB",
        ] {
            assert_eq!(VersionName::parse(foreign.as_ref()), None, "{foreign}");
        }
        assert!(is_copy(&copy_name(7)) && !is_copy("a.copy".as_ref()) && !is_copy(".a.copy".as_ref()));
    }

    /// KEEP-1: different documents have different folders, with names that every file system takes.
    #[test]
    fn documents() {
        let key = |path: &str| document_key(Path::new(path)).into_string().unwrap();
        assert_eq!(key("config/app.json"), "config%2Fapp.json");
        assert_eq!(key(".env"), ".env");
        assert_eq!(key("a%2Fb"), "a%252Fb");
        assert_eq!(key("a:b?*\n"), "a%3Ab%3F%2A%0A");
        assert_eq!(key("Übung 1.md"), "Übung 1.md");
        assert_eq!((key("a."), key("a ")), ("a%2E".to_owned(), "a%20".to_owned()));
        let (a, b) = (key(&format!("{}/a", "ü/".repeat(150))), key(&format!("{}/b", "ü/".repeat(150))));
        assert!(a.len() <= LONGEST && a != b, "{a}");
        for path in ["config/app.json", ".env", "a%2Fb", "Übung 1.md", "a."] {
            assert_eq!(document_of(&document_key(Path::new(path))).as_deref(), Some(Path::new(path)));
        }
        assert_eq!((document_of(a.as_ref()), document_of("a%2".as_ref())), (None, None));
    }

    /// KEEP-1: names that are no text, too.
    #[cfg(unix)]
    #[test]
    fn names_that_are_no_text() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(document_key(Path::new(OsStr::from_bytes(b"a\xffb"))), "a%FFb");
    }
}
