//! How a version is published, and what there was to say about it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::lock::Recovered;

/// What a successful write has survived when the call returns (ATOM-2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// The write is atomic for readers; a power cut may lose it, or leave an empty file on some file systems (L24, L27).
    None,
    /// The bytes are on the medium before the name points to them: after a power cut the file is whole, old or new.
    File,
    /// The bytes and the name are on the medium before the call returns: an acknowledged write survives a power cut.
    #[default]
    Full,
}

impl FromStr for Durability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Durability::None),
            "file" => Ok(Durability::File),
            "full" => Ok(Durability::Full),
            other => Err(format!("`{other}` is not a durability: none, file or full")),
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Durability::None => "none",
            Durability::File => "file",
            Durability::Full => "full",
        })
    }
}

/// What to do with a file that has several names (hard links).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HardLinks {
    /// Replace this name; the others keep the old version. The result carries [`Notice::HardLinks`].
    #[default]
    Replace,
    /// Write into the shared file, so that all names see it. Only readers that lock are kept from seeing a mix; a journal
    /// completes the write after a crash.
    InPlace,
}

impl FromStr for HardLinks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "replace" => Ok(HardLinks::Replace),
            "in-place" => Ok(HardLinks::InPlace),
            other => Err(format!("`{other}` is not a policy for hard links: replace or in-place")),
        }
    }
}

/// Something a successful write has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The file had further names; they keep the old version.
    HardLinks {
        /// How many.
        others: u64,
    },
    /// Metadata that could not be carried over to the new version.
    NotCopied {
        /// `owner`, `mode`, or the name of an extended attribute.
        what: Vec<String>,
    },
    /// Some program still had the replaced version open for writing. It is kept in case more is written to it.
    LateWriter {
        /// Where.
        kept: PathBuf,
    },
    /// A foreign program went on writing while its version was put back; one of its versions is kept here.
    ForeignKept {
        /// Where.
        kept: PathBuf,
    },
    /// The name is a mount point, or shares its file with other names by policy: it was written in place.
    InPlace,
    /// The file was written without its lock, as the policy or the caller has it: other writers may have been lost.
    Unlocked {
        /// Why there was none.
        why: String,
    },
    /// The fallback lock was taken over from a holder that was proved dead (LOCK-10).
    LockTakenOver(Recovered),
    /// The version that was replaced, or the new one, could not be kept as the policy has it. The write is as durable as was asked for.
    NotKept {
        /// The system's words.
        why: String,
    },
    /// The audit log of the workspace can't be written: of this write, or of some before it, it has no record so far.
    NotAudited {
        /// The system's words.
        why: String,
    },
    /// The system can't swap names here: a foreign write within the last microseconds could not have been seen.
    NoSwap,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::HardLinks { others: 1 } => {
                f.write_str("another name of the file (a hard link) keeps the old version")
            }
            Notice::HardLinks { others } => {
                write!(f, "{others} other names of the file (hard links) keep the old version")
            }
            Notice::NotCopied { what } => {
                write!(f, "could not be carried over to the new version: {}", what.join(", "))
            }
            Notice::LateWriter { kept } => {
                write!(f, "a program still has the old version open for writing; it is kept in `{}`", kept.display())
            }
            Notice::ForeignKept { kept } => {
                write!(f, "another program wrote at the same time; its version is kept in `{}`", kept.display())
            }
            Notice::NotKept { why } => write!(f, "a version could not be kept: {why}"),
            Notice::NotAudited { why } => write!(f, "the audit log cannot be written: {why}"),
            Notice::Unlocked { why } => f.write_str(why),
            Notice::LockTakenOver(recovered) => recovered.fmt(f),
            Notice::InPlace => f.write_str("the file was written in place: only readers that lock it see old or new"),
            Notice::NoSwap => {
                f.write_str("the file system cannot swap names: a write that ignored the lock might be missed")
            }
        }
    }
}
