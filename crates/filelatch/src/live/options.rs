//! What a live document is asked for.

use crate::merge::MergeOptions;
use crate::watch::WatchOptions;

/// Options of a live document. The default: merged by the file's policy without being asked.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    pub(super) automatic: bool,
    pub(super) merge: Option<MergeOptions>,
    pub(super) watch: WatchOptions,
}

impl Default for LiveOptions {
    fn default() -> Self {
        LiveOptions { automatic: true, merge: None, watch: WatchOptions::default() }
    }
}

impl LiveOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Is a draft merged with what others write, where it fits? By default yes. Otherwise every other version is a conflict, and
    /// [`Resolution::Merged`](crate::Resolution::Merged) merges.
    #[must_use]
    pub fn automatic(mut self, merged: bool) -> Self {
        self.automatic = merged;
        self
    }

    /// How to merge; by default as the file's name and its policy say.
    #[must_use]
    pub fn merge(mut self, options: MergeOptions) -> Self {
        self.merge = Some(options);
        self
    }

    /// How to watch, where the document has a watch of its own ([`Filelatch::live`](crate::Filelatch::live)).
    #[must_use]
    pub fn watch(mut self, options: WatchOptions) -> Self {
        self.watch = options;
        self
    }
}
