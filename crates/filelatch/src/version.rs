//! Versions: what a file's bytes are, by content.
//!
//! A version is the BLAKE3 hash of the bytes (`b3sum FILE` prints the same). Two files with one version have the same bytes;
//! time stamps, inode numbers and names play no part (L40). It says nothing about order: which of two versions is newer is
//! the attribution's business.

use std::fmt;
use std::str::FromStr;

/// The version of some bytes: their BLAKE3 hash, 64 lower-case hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version([u8; 32]);

impl Version {
    /// The version of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Version(*blake3::hash(bytes).as_bytes())
    }

    /// The first 16 digits: enough for people and for an attribution, not for a proof.
    pub fn short(&self) -> String {
        self.to_string()[..16].to_owned()
    }

    /// Does the version begin with these digits? At least 16 are asked for by every interface that takes a prefix.
    pub fn starts_with(&self, prefix: &str) -> bool {
        self.to_string().starts_with(&prefix.to_ascii_lowercase())
    }

    /// The hash itself.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<blake3::Hash> for Version {
    fn from(hash: blake3::Hash) -> Self {
        Version(*hash.as_bytes())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({})", self.short())
    }
}

/// The text is not a version: 64 hexadecimal digits were expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a version has 64 hexadecimal digits")]
pub struct ParseVersionError;

impl FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hash = blake3::Hash::from_hex(text).map_err(|_| ParseVersionError)?;
        Ok(hash.into())
    }
}

/// What a writer expects to replace (VER-1).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Expect {
    /// Whatever is there, or nothing.
    #[default]
    Any,
    /// Nothing: the file must not exist.
    Absent,
    /// Exactly these bytes.
    Version(Version),
    /// A version that begins with these digits (16 or more).
    Prefix(String),
}

impl Expect {
    /// Does what is on disk (`None`: nothing) fit?
    pub fn admits(&self, current: Option<&Version>) -> bool {
        match (self, current) {
            (Expect::Any, _) | (Expect::Absent, None) => true,
            (Expect::Version(expected), Some(current)) => expected == current,
            (Expect::Prefix(prefix), Some(current)) => prefix.len() >= 16 && current.starts_with(prefix),
            (Expect::Absent, Some(_)) | (Expect::Version(_) | Expect::Prefix(_), None) => false,
        }
    }
}

impl FromStr for Expect {
    type Err = ParseVersionError;

    /// `any`, `absent`, a version, or 16 or more digits of one.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "any" => Ok(Expect::Any),
            "absent" => Ok(Expect::Absent),
            _ if text.len() == 64 => text.parse().map(Expect::Version),
            _ if (16..64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Ok(Expect::Prefix(text.to_ascii_lowercase()))
            }
            _ => Err(ParseVersionError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// VER-1: the hash is BLAKE3's, as `b3sum` prints it.
    #[test]
    fn known_hash() {
        let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(Version::of(b"").to_string(), empty);
        assert_eq!(empty.parse(), Ok(Version::of(b"")));
        assert_eq!(Version::of(b"").short(), "af1349b9f5f9a1a6");
    }

    /// VER-1: any, absent, whole version, prefix of 16 digits; shorter prefixes are refused.
    #[test]
    fn expectations() {
        let (a, b) = (Version::of(b"a"), Version::of(b"b"));
        assert!(Expect::Any.admits(None) && Expect::Any.admits(Some(&a)));
        assert!(Expect::Absent.admits(None) && !Expect::Absent.admits(Some(&a)));
        assert!(Expect::Version(a).admits(Some(&a)));
        assert!(!Expect::Version(a).admits(Some(&b)) && !Expect::Version(a).admits(None));
        let prefix: Expect = a.short().to_uppercase().parse().unwrap();
        assert!(prefix.admits(Some(&a)) && !prefix.admits(Some(&b)) && !prefix.admits(None));
        assert_eq!("abc".parse::<Expect>(), Err(ParseVersionError));
        assert_eq!("absent".parse(), Ok(Expect::Absent));
    }
}
