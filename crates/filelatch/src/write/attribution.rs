//! Who wrote these bytes: a note that travels with them (P6).
//!
//! The extended attribute `user.filelatch` is set on the temporary file before it gets its name, at most 60 bytes so that it
//! fits into an ext4 inode. It names the writer of *bytes*: its hash differs from the content as soon as somebody else writes
//! into the file, and a replacement by a foreign program has none. It is a hint that anyone with write access can forge.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use filelatch_fs::FsFile;

use crate::parts::epoch_millis;
use crate::version::Version;

pub(crate) const XATTR: &str = "user.filelatch";
/// The mark of a temporary file that is being prepared.
const PREPARING: &[u8] = b"0";
/// The mark of the journal of a write in place that is not done.
const JOURNAL: &[u8] = b"j";
/// Bytes of the session in an attribution.
const SESSION_MAX: usize = 12;

/// Who wrote a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Author {
    /// A session of filelatch's, by name.
    Session(String),
    /// A program that is not filelatch.
    External,
    /// The file system has no extended attributes, so nobody can tell.
    #[default]
    Unknown,
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Author::Session(session) => session,
            Author::External => "external",
            Author::Unknown => "unknown",
        })
    }
}

/// A parsed attribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribution {
    pub(crate) generation: u64,
    hash16: String,
    pub(crate) at: SystemTime,
    pub(crate) session: String,
}

/// What a file carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Nothing of ours.
    None,
    /// A temporary file whose bytes mean nothing yet.
    Preparing,
    By(Attribution),
}

impl Attribution {
    pub(crate) fn new(previous: Option<&Attribution>, version: &Version, now: SystemTime, session: &str) -> Self {
        let generation = previous.map_or(0, |a| a.generation).wrapping_add(1);
        Attribution { generation, hash16: version.short(), at: now, session: short_session(session) }
    }

    /// Of a version that was made on the way to the one that `published` speaks of.
    pub(crate) fn between(published: &Attribution, generation: u64, version: &Version) -> Self {
        Attribution { generation, hash16: version.short(), ..published.clone() }
    }

    /// The generation is this one if it would be less: the number of the lease that writes (P11).
    pub(crate) fn at_least(mut self, generation: u64) -> Self {
        self.generation = self.generation.max(generation);
        self
    }

    pub(crate) fn text(&self) -> String {
        format!("1 {} {} {} {}", self.generation, self.hash16, epoch_millis(self.at), self.session)
    }

    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut words = text.splitn(5, ' ');
        if words.next() != Some("1") {
            return None;
        }
        let generation = words.next()?.parse().ok()?;
        let hash16 = words.next().filter(|h| h.len() == 16)?.to_owned();
        let at = UNIX_EPOCH.checked_add(Duration::from_millis(words.next()?.parse().ok()?))?;
        Some(Attribution { generation, hash16, at, session: words.next()?.to_owned() })
    }

    /// The first digits of the version that it speaks of.
    pub(crate) fn digits(&self) -> &str {
        &self.hash16
    }

    /// Does it speak of these bytes?
    pub(crate) fn is_of(&self, version: &Version) -> bool {
        version.starts_with(&self.hash16)
    }

    pub(crate) fn write(&self, file: &dyn FsFile) -> io::Result<()> {
        file.set_xattr(OsStr::new(XATTR), self.text().as_bytes())
    }
}

/// What the file carries; unreadable counts as nothing.
pub(crate) fn read(file: &dyn FsFile) -> io::Result<Mark> {
    Ok(match file.get_xattr(OsStr::new(XATTR))? {
        None => Mark::None,
        Some(text) if text == PREPARING => Mark::Preparing,
        Some(text) => Attribution::parse(&text).map_or(Mark::None, Mark::By),
    })
}

/// Marks a file whose bytes mean nothing yet. Whether the file system can carry marks at all.
pub(crate) fn mark_preparing(file: &dyn FsFile) -> io::Result<bool> {
    match file.set_xattr(OsStr::new(XATTR), PREPARING) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::Unsupported => Ok(false),
        Err(e) => Err(e),
    }
}

/// Marks a version that is being written in place: whoever finds it must keep it.
pub(crate) fn mark_journal(file: &dyn FsFile) -> io::Result<()> {
    match file.set_xattr(OsStr::new(XATTR), JOURNAL) {
        // Without marks nothing is taken for disposable.
        Err(e) if e.kind() == io::ErrorKind::Unsupported => Ok(()),
        set => set,
    }
}

/// Is this the attribute that a copy of metadata leaves out?
pub(crate) fn is_own_xattr(name: &OsStr) -> bool {
    name == XATTR
}

/// A session's name as it fits into an attribution: itself, or a short id.
///
/// `user@host#1f3a`, the default, becomes `user#1f3a` cut to fit; any other long name `~` and 11 digits of its hash, which a
/// workspace resolves.
pub(crate) fn short_session(name: &str) -> String {
    let printable = |s: &str| !s.is_empty() && s.chars().all(|c| !c.is_control());
    if name.len() <= SESSION_MAX && printable(name) {
        return name.to_owned();
    }
    if let Some((user, random)) = default_form(name) {
        let room = SESSION_MAX - 1 - random.len();
        let end = (0..=room.min(user.len())).rev().find(|i| user.is_char_boundary(*i)).unwrap_or(0);
        return format!("{}#{random}", &user[..end]);
    }
    format!("~{}", &blake3::hash(name.as_bytes()).to_hex()[..SESSION_MAX - 1])
}

/// Is `short` an id that a workspace has to resolve?
pub(crate) fn is_session_id(short: &str) -> bool {
    short.len() == SESSION_MAX && short.starts_with('~')
}

fn default_form(name: &str) -> Option<(&str, &str)> {
    let (user, rest) = name.split_once('@')?;
    let (_, random) = rest.rsplit_once('#')?;
    let hex = random.len() == 4 && random.bytes().all(|b| b.is_ascii_hexdigit());
    (hex && !user.is_empty() && user.chars().all(|c| !c.is_control())).then_some((user, random))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P6: the text's form, and that it never exceeds 60 bytes.
    #[test]
    fn form_and_length() {
        let version = Version::of(b"x");
        let at = UNIX_EPOCH + Duration::from_millis(1_795_000_000_123);
        let first = Attribution::new(None, &version, at, "agent-7");
        assert_eq!(first.text(), format!("1 1 {} 1795000000123 agent-7", version.short()));
        let last = Attribution { generation: 99_999_999_999_999, ..first.clone() };
        let last = Attribution { session: short_session(&"long".repeat(30)), ..last };
        assert!(last.text().len() <= 60, "{} bytes", last.text().len());
        assert_eq!(Attribution::parse(first.text().as_bytes()), Some(first.clone()));
        assert!(first.is_of(&version) && !first.is_of(&Version::of(b"y")));
        assert_eq!(Attribution::new(Some(&first), &version, at, "b").generation, 2);
    }

    /// P6: names that fit stay, the default stays readable, long ones become ids; a name can't break the line.
    #[test]
    fn sessions() {
        assert_eq!(short_session("deploy"), "deploy");
        assert_eq!(short_session("alice@build-3#1f3a"), "alice#1f3a");
        assert_eq!(short_session("administrator@h#1f3a"), "adminis#1f3a");
        assert!(is_session_id(&short_session("the nightly import of customers")));
        assert!(is_session_id(&short_session("a\nb")));
        assert_eq!(Attribution::parse(b"2 1 0123456789abcdef 5 x"), None);
        assert_eq!(Attribution::parse(b"garbage"), None);
    }
}
