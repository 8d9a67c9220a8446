//! The record of a conflict: `conflict.json`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::parts::{parse_rfc3339, rfc3339};
use crate::version::Version;
use crate::write::Author;

/// Places that are named in a record; a list of more helps nobody.
const PLACES: usize = 200;
/// Longest name of a place.
const PLACE: usize = 500;

/// Why two versions did not become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Cause {
    /// Both sides changed the same places.
    Merge,
    /// It is not known what both versions were made from.
    NoBase,
    /// One side removed the file, the other changed it.
    Deleted,
    /// A program that takes no part in locks wrote at the moment of a publish, and its version could be neither merged nor put back.
    Foreign,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Merge => "both changed the same places",
            Cause::NoBase => "what both were made from is not known",
            Cause::Deleted => "one side removed the file, the other changed it",
            Cause::Foreign => "another program wrote at the moment of a publish",
        })
    }
}

/// One of the two versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sides {
    /// The one that was to be written.
    Ours,
    /// The other one.
    Theirs,
}

/// One content of a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Side {
    /// Its version.
    pub version: Version,
    /// Its length in bytes.
    pub size: u64,
    /// Who wrote it.
    pub author: Author,
    /// When.
    pub at: Option<SystemTime>,
}

/// How a conflict was resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum HowResolved {
    /// With our version.
    Mine,
    /// With their version.
    Theirs,
    /// With the merged document, as it was edited.
    Merged,
    /// With another content.
    Content,
}

impl fmt::Display for HowResolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HowResolved::Mine => "mine",
            HowResolved::Theirs => "theirs",
            HowResolved::Merged => "merged",
            HowResolved::Content => "content",
        })
    }
}

/// Whether a conflict still waits for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConflictState {
    /// It does.
    Open,
    /// It was resolved.
    Resolved {
        /// How.
        how: HowResolved,
        /// By which session.
        by: String,
        /// When.
        at: Option<SystemTime>,
        /// The version that the file had then; `None`: it was gone, and stayed so.
        version: Option<Version>,
    },
}

/// A conflict that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredConflict {
    /// Its id.
    pub id: String,
    /// The file.
    pub path: PathBuf,
    /// Why the versions did not become one.
    pub cause: Cause,
    /// What both were made from. `None`: not known, or there was no file.
    pub base: Option<Side>,
    /// What was to be written. `None`: the file was to be removed.
    pub ours: Option<Side>,
    /// What it met. `None`: the file was gone.
    pub theirs: Option<Side>,
    /// Which of the two the file showed.
    pub on_disk: Sides,
    /// When it was stored.
    pub stored_at: Option<SystemTime>,
    /// How many places do not fit together; 0 when there was nothing to compare place by place.
    pub conflicts: usize,
    /// What the places are about, where the document has names for them (JSON pointers and the like).
    pub places: Vec<String>,
    /// How many characters the markers in the merged document have.
    pub marker_size: usize,
    /// Open, or how it was resolved.
    pub state: ConflictState,
    /// Its folder: contents for people to look at, and the merged document to edit.
    pub dir: PathBuf,
}

impl StoredConflict {
    /// Does it still wait for somebody?
    pub fn is_open(&self) -> bool {
        self.state == ConflictState::Open
    }

    /// The merged document with markers, to be edited; not there for binary files and where one side removed the file.
    pub fn merged_path(&self) -> PathBuf {
        self.dir.join(self.file_name("merged"))
    }

    /// Where one of its contents lies: `base`, `ours`, `theirs`.
    pub(crate) fn side_path(&self, what: &str) -> PathBuf {
        self.dir.join(self.file_name(what))
    }

    /// What the file showed when the conflict was stored.
    pub fn seen(&self) -> Option<&Side> {
        match self.on_disk {
            Sides::Ours => self.ours.as_ref(),
            Sides::Theirs => self.theirs.as_ref(),
        }
    }

    /// The name of one of its files: with the extension of the file it is about, so that editors know what they show.
    pub(super) fn file_name(&self, what: &str) -> String {
        file_name(what, &self.path)
    }
}

pub(super) fn file_name(what: &str, path: &Path) -> String {
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension.filter(|text| text.len() <= 16 && text.bytes().all(|b| b.is_ascii_alphanumeric())) {
        Some(extension) => format!("{what}.{extension}"),
        None => what.to_owned(),
    }
}

/// A stored conflict that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damaged {
    /// Its folder.
    pub dir: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    v: u32,
    /// Relative to the workspace.
    path: String,
    /// The exact bytes, where the path is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    cause: Cause,
    base: Option<RawSide>,
    ours: Option<RawSide>,
    theirs: Option<RawSide>,
    on_disk: Sides,
    stored_at: String,
    conflicts: usize,
    places: Vec<String>,
    marker_size: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resolved: Option<RawResolved>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSide {
    hash: String,
    size: u64,
    author: RawAuthor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum RawAuthor {
    Session(String),
    External,
    Unknown,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawResolved {
    how: HowResolved,
    by: String,
    at: String,
    hash: Option<String>,
}

impl RawSide {
    fn of(side: &Side) -> RawSide {
        let author = match &side.author {
            Author::Session(name) => RawAuthor::Session(name.clone()),
            Author::External => RawAuthor::External,
            Author::Unknown => RawAuthor::Unknown,
        };
        RawSide { hash: side.version.to_string(), size: side.size, author, at: side.at.map(rfc3339) }
    }

    fn read(self) -> Result<Side, String> {
        let author = match self.author {
            RawAuthor::Session(name) => Author::Session(name),
            RawAuthor::External => Author::External,
            RawAuthor::Unknown => Author::Unknown,
        };
        let at = self.at.and_then(|at| parse_rfc3339(&at));
        Ok(Side { version: version(&self.hash)?, size: self.size, author, at })
    }
}

fn version(text: &str) -> Result<Version, String> {
    text.parse().map_err(|e| format!("`{text}`: {e}"))
}

/// The record's bytes.
pub(super) fn write(conflict: &StoredConflict, root: &Path) -> Vec<u8> {
    let relative = conflict.path.strip_prefix(root).unwrap_or(&conflict.path);
    let side = |side: &Option<Side>| side.as_ref().map(RawSide::of);
    let resolved = match &conflict.state {
        ConflictState::Open => None,
        ConflictState::Resolved { how, by, at, version } => {
            let hash = version.map(|version| version.to_string());
            Some(RawResolved { how: *how, by: by.clone(), at: at.map(rfc3339).unwrap_or_default(), hash })
        }
    };
    let places = conflict.places.iter().take(PLACES).map(|place| place.chars().take(PLACE).collect());
    let raw = Raw {
        v: 1,
        path: relative.to_string_lossy().into_owned(),
        path_bytes: exact(relative),
        cause: conflict.cause,
        base: side(&conflict.base),
        ours: side(&conflict.ours),
        theirs: side(&conflict.theirs),
        on_disk: conflict.on_disk,
        stored_at: conflict.stored_at.map(rfc3339).unwrap_or_default(),
        conflicts: conflict.conflicts,
        places: places.collect(),
        marker_size: conflict.marker_size,
        resolved,
    };
    // Of texts and numbers: that can't fail. An empty record would be seen as damaged.
    let mut bytes = serde_json::to_vec_pretty(&raw).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// Reads a record. `dir` is the conflict's folder, `root` the workspace's.
pub(super) fn read(bytes: &[u8], id: &str, dir: &Path, root: &Path) -> Result<StoredConflict, String> {
    let raw: Raw = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if raw.v != 1 {
        return Err(format!("it was made by a newer filelatch (version {})", raw.v));
    }
    let side = |side: Option<RawSide>| side.map(RawSide::read).transpose();
    let state = match raw.resolved {
        None => ConflictState::Open,
        Some(resolved) => ConflictState::Resolved {
            how: resolved.how,
            by: resolved.by,
            at: parse_rfc3339(&resolved.at),
            version: resolved.hash.as_deref().map(version).transpose()?,
        },
    };
    let relative = path_of(&raw.path, raw.path_bytes.as_deref()).ok_or("its path can't be read")?;
    // A record is data, not an order: it must not lead out of the workspace.
    let inside = relative.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if !inside || relative.as_os_str().is_empty() {
        return Err(format!("`{}` is no path inside the workspace", relative.display()));
    }
    Ok(StoredConflict {
        id: id.to_owned(),
        path: root.join(relative),
        cause: raw.cause,
        base: side(raw.base)?,
        ours: side(raw.ours)?,
        theirs: side(raw.theirs)?,
        on_disk: raw.on_disk,
        stored_at: parse_rfc3339(&raw.stored_at),
        conflicts: raw.conflicts,
        places: raw.places,
        marker_size: raw.marker_size,
        state,
        dir: dir.to_owned(),
    })
}

#[cfg(unix)]
pub(crate) fn exact(path: &Path) -> Option<String> {
    use std::fmt::Write;
    use std::os::unix::ffi::OsStrExt;

    path.to_str().is_none().then(|| {
        path.as_os_str().as_bytes().iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").ok();
            text
        })
    })
}

/// A path of Windows that is no text stays what can be shown of it.
#[cfg(not(unix))]
pub(crate) fn exact(_: &Path) -> Option<String> {
    None
}

#[cfg(unix)]
pub(crate) fn path_of(text: &str, bytes: Option<&str>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;

    let Some(hex) = bytes else { return Some(text.into()) };
    let digits: Option<Vec<u8>> = hex.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    let bytes = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    Some(std::ffi::OsString::from_vec(bytes).into())
}

#[cfg(not(unix))]
pub(crate) fn path_of(text: &str, _: Option<&str>) -> Option<PathBuf> {
    Some(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> StoredConflict {
        let at = parse_rfc3339("2026-11-21T10:00:00.123Z");
        let side = |text: &[u8], author| Side { version: Version::of(text), size: text.len() as u64, author, at };
        StoredConflict {
            id: "0123456789ab".to_owned(),
            path: "/w/conf/a.json".into(),
            cause: Cause::Merge,
            base: Some(side(b"base", Author::Unknown)),
            ours: Some(side(b"ours", Author::Session("alice".to_owned()))),
            theirs: Some(side(b"theirs", Author::External)),
            on_disk: Sides::Theirs,
            stored_at: at,
            conflicts: 2,
            places: vec!["/a".to_owned(), "/b".to_owned()],
            marker_size: 7,
            state: ConflictState::Open,
            dir: "/w/.filelatch/conflicts/0123456789ab".into(),
        }
    }

    fn round(conflict: &StoredConflict) -> Result<StoredConflict, String> {
        read(&write(conflict, Path::new("/w")), &conflict.id, &conflict.dir, Path::new("/w"))
    }

    /// MERGE-4: what is written is read again, open and resolved, and with a path that is no text.
    #[test]
    fn round_trip() {
        let mut conflict = sample();
        assert_eq!(round(&conflict).as_ref(), Ok(&conflict));
        conflict.state = ConflictState::Resolved {
            how: HowResolved::Content,
            by: "bob".to_owned(),
            at: conflict.stored_at,
            version: Some(Version::of(b"new")),
        };
        (conflict.theirs, conflict.base) = (None, None);
        assert_eq!(round(&conflict).as_ref(), Ok(&conflict));
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStringExt;
            conflict.path = std::ffi::OsString::from_vec(b"/w/\xff.json".to_vec()).into();
            assert_eq!(round(&conflict).as_ref(), Ok(&conflict));
        }
    }

    /// MERGE-4: a record that was cut short or changed anywhere is refused or means something readable; it never panics, and never leads
    /// out of the workspace.
    #[test]
    fn every_byte() {
        let bytes = write(&sample(), Path::new("/w"));
        let look = |bytes: &[u8]| {
            if let Ok(read) = read(bytes, "id", Path::new("/w/.filelatch/conflicts/id"), Path::new("/w")) {
                let up = read.path.components().any(|part| part == std::path::Component::ParentDir);
                assert!(read.path.starts_with("/w") && !up, "{read:?}");
            }
        };
        for i in 0..bytes.len() {
            if !bytes[i..].trim_ascii().is_empty() {
                assert!(read(&bytes[..i], "id", Path::new("/d"), Path::new("/w")).is_err(), "cut at {i}");
            }
            for wrong in [0, b'.', b'/', b'"', 0xff, bytes[i] ^ 1] {
                let mut bytes = bytes.clone();
                bytes[i] = wrong;
                look(&bytes);
            }
        }
        for path in ["../a", "/etc/a", "", "a/../../b"] {
            let text = String::from_utf8(bytes.clone()).unwrap().replace("conf/a.json", path);
            assert!(read(text.as_bytes(), "id", Path::new("/d"), Path::new("/w")).is_err(), "{path}");
        }
    }

    /// Names that editors can do something with, and nothing else of the path.
    #[test]
    fn names() {
        assert_eq!(file_name("merged", Path::new("/a/b.json")), "merged.json");
        for path in ["/a/b", "/a/.b", "/a/b.x y", "/a/b.ü"] {
            assert_eq!(file_name("merged", Path::new(path)), "merged", "{path}");
        }
    }
}
