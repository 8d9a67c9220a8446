//! How a server is to behave: values that the command line fills in.

use std::time::Duration;

/// What a [`Server`](crate::Server) is made from, besides its root.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The name of the writer; else each client's own name with a few characters that tell it from others of that name.
    pub session: Option<String>,
    /// Files that are shown although they are hidden by default: globs relative to the root.
    pub allow: Vec<String>,
    /// Files that are hidden besides.
    pub deny: Vec<String>,
    /// Nothing is written, and tools that only write are not offered.
    pub read_only: bool,
    /// The command that merges the files of sessions, as gitattributes(5) has it of `merge.*.driver`; `None`: git merges them.
    pub merge_driver: Option<String>,
    /// What one call, and all of them together, may take.
    pub limits: Limits,
}

/// What one call, and all of them together, may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one message; a longer one is refused and skipped.
    pub message: usize,
    /// Bytes of a file that is read or written.
    pub content: u64,
    /// Edits of one call.
    pub edits: usize,
    /// Files of one call.
    pub files: usize,
    /// How long a call waits for a lock unless it says otherwise…
    pub wait: Duration,
    /// …and at most.
    pub max_wait: Duration,
    /// Calls that may wait for locks at the same time; more are refused.
    pub changes: usize,
    /// Calls that wait for something to happen, at the same time; more are refused.
    pub waits: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            message: 16 << 20,
            content: 10 << 20,
            edits: 1000,
            files: 256,
            wait: Duration::from_secs(5),
            max_wait: Duration::from_secs(60),
            changes: 128,
            waits: 64,
        }
    }
}
