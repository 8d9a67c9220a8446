//! Which changes are wanted.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use globset::{GlobBuilder, GlobMatcher};

use super::change::{Change, Written};
use crate::error::{Error, Result};

/// Which changes are wanted. The default: all.
#[derive(Clone, Debug, Default)]
pub struct ChangeFilter {
    paths: Vec<Pattern>,
    sessions: Vec<String>,
    since: Option<SystemTime>,
    until: Option<SystemTime>,
}

/// A file, a folder with all that is in it, or a glob.
#[derive(Clone, Debug)]
struct Pattern {
    exact: PathBuf,
    glob: GlobMatcher,
}

impl ChangeFilter {
    /// All changes.
    pub fn new() -> ChangeFilter {
        ChangeFilter::default()
    }

    /// Only those of this file, of files in this folder, or of files that match this glob, as globs of policies do: relative to the
    /// workspace's folder. Several: any of them.
    ///
    /// # Errors
    /// [`Error::Config`] for a glob that can't be read.
    pub fn path(mut self, path: impl AsRef<Path>) -> Result<ChangeFilter> {
        let exact = path.as_ref();
        let wrong = |e: globset::Error| Error::Config {
            path: exact.to_owned(),
            message: format!("the glob cannot be read: {}", e.kind()),
        };
        let text = exact.to_string_lossy();
        let glob = GlobBuilder::new(&text).literal_separator(true).build().map_err(wrong)?.compile_matcher();
        self.paths.push(Pattern { exact: exact.components().collect(), glob });
        Ok(self)
    }

    /// Only those of this session. Several: any of them.
    #[must_use]
    pub fn session(mut self, name: impl Into<String>) -> ChangeFilter {
        self.sessions.push(name.into());
        self
    }

    /// Only those that were made then or later, by the clocks of those who made them.
    #[must_use]
    pub fn since(mut self, time: SystemTime) -> ChangeFilter {
        self.since = Some(time);
        self
    }

    /// Only those that were made then or before.
    #[must_use]
    pub fn until(mut self, time: SystemTime) -> ChangeFilter {
        self.until = Some(time);
        self
    }

    /// Is this change wanted?
    pub fn admits(&self, change: &Change) -> bool {
        self.is_by(&change.by) && self.is_at(Some(change.at)) && self.is_of(&change.path)
    }

    /// The same, with as little reading as can be.
    pub(super) fn admits_written(&self, change: &Written<'_>) -> bool {
        let timed = || self.since.is_none() && self.until.is_none() || self.is_at(change.at());
        let placed = || self.paths.is_empty() || change.path().is_some_and(|path| self.is_of(&path));
        self.is_by(&change.by) && placed() && timed()
    }

    fn is_by(&self, by: &str) -> bool {
        self.sessions.is_empty() || self.sessions.iter().any(|name| name == by)
    }

    fn is_at(&self, at: Option<SystemTime>) -> bool {
        at.is_some_and(|at| self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at <= until))
    }

    fn is_of(&self, path: &Path) -> bool {
        let wanted = |pattern: &Pattern| path.starts_with(&pattern.exact) || pattern.glob.is_match(path);
        self.paths.is_empty() || self.paths.iter().any(wanted)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::changes::ChangeKind;

    /// STORE-5: a file, a folder, a glob; several of one sort are alternatives, of several sorts all count; both ends of a time belong to it.
    #[test]
    fn wanted() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let change = |path: &str, by: &str, seconds| Change::of_git(path, by, at(seconds), ChangeKind::Changed);
        let admits = |filter: &ChangeFilter, change: &Change| {
            let admitted = filter.admits(change);
            assert_eq!(filter.admits_written(&Written::of(change)), admitted, "{change:?}");
            admitted
        };
        let all = ChangeFilter::new();
        assert!(admits(&all, &change("a", "", 0)));
        for (pattern, path, is_wanted) in [
            ("src/a.rs", "src/a.rs", true),
            ("src", "src/a/b.rs", true),
            ("src/", "src/a.rs", true),
            ("sr", "src/a.rs", false),
            ("src/*.rs", "src/a.rs", true),
            ("src/*.rs", "src/a/b.rs", false),
            ("**/*.rs", "src/a/b.rs", true),
            ("a[1]", "a[1]", true),
            ("a[1]", "a1", true),
        ] {
            let filter = ChangeFilter::new().path(pattern).unwrap();
            assert_eq!(admits(&filter, &change(path, "s", 5)), is_wanted, "{pattern} {path}");
        }
        assert!(ChangeFilter::new().path("a[").is_err());
        let two = ChangeFilter::new().path("a").unwrap().path("b").unwrap().session("s").session("t");
        assert!(admits(&two, &change("b", "t", 1)) && admits(&two, &change("a", "s", 1)));
        assert!(!admits(&two, &change("c", "t", 1)) && !admits(&two, &change("a", "u", 1)));
        let times = ChangeFilter::new().since(at(3)).until(at(5));
        let admitted: Vec<_> = (0..9).filter(|n| admits(&times, &change("a", "s", *n))).collect();
        assert_eq!(admitted, [3, 4, 5]);
    }
}
