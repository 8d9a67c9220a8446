//! What is kept, and how much of it.

use std::str::FromStr;
use std::time::Duration;

/// Which versions of a workspace's files are kept (KEEP-1, P5.3, P7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    /// None: for files with secrets (P16).
    None,
    /// Each version that a publish replaces. Its file is renamed, not copied, whatever its size.
    #[default]
    Displaced,
    /// Each published version as well, as a reflink where the file system can and as a copy elsewhere: a foreign program that replaces
    /// the file does not destroy the last one.
    Current,
    /// Also the versions in between that changes of one process pass through when they share one publish.
    Every,
}

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Keep::None),
            "displaced" => Ok(Keep::Displaced),
            "current" => Ok(Keep::Current),
            "every" => Ok(Keep::Every),
            other => Err(format!("`{other}` is not a way to keep versions: none, displaced, current or every")),
        }
    }
}

/// Bounds for the kept versions of one file.
///
/// They are looked at now and then, not at each publish: at most [`PRUNE_EVERY`](super::PRUNE_EVERY) versions are there beyond them. The
/// newest kept version stays whatever its age and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepLimits {
    /// So many versions.
    pub versions: u32,
    /// A version goes so long after it was replaced.
    pub age: Duration,
    /// So many bytes altogether, by the lengths of the files.
    pub bytes: u64,
}

impl Default for KeepLimits {
    /// 50 versions, 30 days, 256 MB.
    fn default() -> Self {
        KeepLimits { versions: 50, age: Duration::from_secs(30 * 24 * 3600), bytes: 256_000_000 }
    }
}

/// A number of bytes as people write it: `4096`, `64KB`, `256MB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not a number of bytes: a number, alone or with KB, MB, GB, KiB, MiB or GiB");
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let factor = match unit {
            "" | "B" => 1,
            "KB" => 1000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        number.checked_mul(factor).map(Size).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// KEEP-1: sizes as they stand in a configuration.
    #[test]
    fn sizes() {
        for (text, bytes) in [("0", 0), ("4096", 4096), ("64KB", 64_000), ("256MB", 256_000_000), ("1GiB", 1 << 30)] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for wrong in ["", "MB", "1.5MB", "1 MB", "-1", "1TB", "1mb", "99999999999GB"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }
}
