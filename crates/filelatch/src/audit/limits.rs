//! What a workspace says about its audit log: `[audit]` in its configuration.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Which locks are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuditLocks {
    /// Those that were waited for, taken over from a dead holder, lost, or not had in time.
    #[default]
    Contended,
    /// Every lock that a caller holds. Those that a write takes for itself are part of its record.
    All,
}

impl FromStr for AuditLocks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "contended" => Ok(AuditLocks::Contended),
            "all" => Ok(AuditLocks::All),
            other => Err(format!("`{other}` does not say which locks are recorded: contended or all")),
        }
    }
}

/// How a workspace's audit log is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditPolicy {
    /// False: nothing is recorded.
    pub enabled: bool,
    /// Which locks are.
    pub locks: AuditLocks,
    /// A file that has become so long is followed by a new one.
    pub file_bytes: u64,
    /// The oldest files go when all of them together are longer; the one that is written to stays.
    pub keep_bytes: u64,
    /// A file goes when its last record is so old.
    pub keep_age: Option<Duration>,
    /// A file with a secret, outside the workspace, that the chain is computed with.
    pub key_file: Option<PathBuf>,
}

impl Default for AuditPolicy {
    /// On; files of 8 MiB, 64 MiB altogether; no key.
    fn default() -> Self {
        AuditPolicy {
            enabled: true,
            locks: AuditLocks::default(),
            file_bytes: 8 << 20,
            keep_bytes: 64 << 20,
            keep_age: None,
            key_file: None,
        }
    }
}
