//! Contents that clients have been shown or have written: what a difference begins from, and what an edit is merged on, also without a workspace.
//!
//! # Promise
//! A content is found by its hash, so it is the one that was asked for or none. Memory is bounded: what was used longest ago goes first.
//!
//! # Non-promise
//! It is a convenience. What is not here is looked for in the workspace's kept versions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use filelatch::Version;

/// Bytes of all contents together.
const ALL: usize = 32 << 20;
/// Bytes of one.
const ONE: usize = 2 << 20;
/// How many.
const COUNT: usize = 1024;

/// The contents, by version.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<Contents>);

#[derive(Debug, Default)]
struct Contents {
    by_version: HashMap<Version, (u64, Arc<[u8]>)>,
    bytes: usize,
    uses: u64,
}

impl Known {
    /// Remembers a content.
    pub(crate) fn put(&self, version: Version, bytes: impl AsRef<[u8]> + Into<Arc<[u8]>>) {
        let len = bytes.as_ref().len();
        if len > ONE {
            return;
        }
        let mut contents = self.lock();
        contents.uses += 1;
        let use_ = contents.uses;
        if let Some((used, _)) = contents.by_version.get_mut(&version) {
            *used = use_;
            return;
        }
        contents.by_version.insert(version, (use_, bytes.into()));
        contents.bytes += len;
        if contents.bytes > ALL || contents.by_version.len() > COUNT {
            contents.shrink();
        }
    }

    /// The content of this version, if it is remembered.
    pub(crate) fn get(&self, version: &Version) -> Option<Arc<[u8]>> {
        let mut contents = self.lock();
        contents.uses += 1;
        let use_ = contents.uses;
        let (used, bytes) = contents.by_version.get_mut(version)?;
        *used = use_;
        Some(Arc::clone(bytes))
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    /// Drops the half that was used longest ago: seldom, and then enough.
    fn shrink(&mut self) {
        let mut uses: Vec<_> = self.by_version.iter().map(|(version, (used, _))| (*used, *version)).collect();
        uses.sort_unstable();
        for (_, version) in uses.iter().take(uses.len().div_ceil(2)) {
            if let Some((_, bytes)) = self.by_version.remove(version) {
                self.bytes -= bytes.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AGENT-4: what was used last stays, and memory is bounded.
    #[test]
    fn bounded() {
        let known = Known::default();
        let first = Version::of(b"first");
        known.put(first, *b"first");
        for n in 0..200u32 {
            let mut bytes = vec![0; 1 << 20];
            bytes[..4].copy_from_slice(&n.to_le_bytes());
            known.put(Version::of(&bytes), bytes);
            assert_eq!(known.get(&first).as_deref(), Some(&b"first"[..]), "{n}");
        }
        let contents = known.lock();
        assert!(contents.bytes <= ALL);
        assert_eq!(contents.bytes, contents.by_version.values().map(|(_, bytes)| bytes.len()).sum::<usize>());
    }

    /// AGENT-4: one that is too large for it is not remembered, and one that is there is not counted twice.
    #[test]
    fn large_and_twice() {
        let known = Known::default();
        let large = vec![1; ONE + 1];
        known.put(Version::of(&large), large.clone());
        assert!(known.get(&Version::of(&large)).is_none());
        for _ in 0..3 {
            known.put(Version::of(b"a"), *b"a");
        }
        assert_eq!(known.lock().bytes, 1);
    }
}
