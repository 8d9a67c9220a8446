//! What a watch is asked for: values, not flags.

use std::path::Path;
use std::time::Duration;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::error::{Error, Result};

/// Folders of version control: not watched unless asked for.
const VERSION_CONTROL: [&str; 4] = [".git", ".hg", ".jj", ".svn"];
/// Larger files are reported without a version.
const HASH_LIMIT: u64 = 256 << 20;
/// Reports that are kept for readers.
const KEPT: usize = 65_536;

/// How long a file is left alone before it is looked at: an editor's save is several calls, and is to be one change. Each time counts from
/// the last that was heard of the file; what is heard of others plays no part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settle {
    /// After a file was moved to its name or closed by its writer: it is whole.
    pub whole: Duration,
    /// After a name has come to be, and was not moved there whole.
    pub created: Duration,
    /// After a write to a file that is still open, where the system tells when it is closed.
    pub open: Duration,
    /// After a write, where the system says nothing of closing.
    pub written: Duration,
    /// After a name has gone: editors move the old file away before the new one comes.
    pub gone: Duration,
    /// A file that never comes to rest is looked at so often.
    pub longest: Duration,
    /// And so often if somebody keeps it open and goes on writing. So long he has, too, to fill what he has created or emptied.
    pub longest_open: Duration,
}

impl Default for Settle {
    /// 1 ms, 3 ms, 50 ms, 10 ms, 10 ms; 100 ms and 250 ms.
    fn default() -> Self {
        let ms = Duration::from_millis;
        Settle {
            whole: ms(1),
            created: ms(3),
            open: ms(50),
            written: ms(10),
            gone: ms(10),
            longest: ms(100),
            longest_open: ms(250),
        }
    }
}

/// Is everything looked at again and again?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Polling {
    /// Where a trial shows that no events come, on file systems where other machines' changes bring none, and when the system's limit of
    /// watches is reached. The pause is 20 times as long as the look took, between 250 ms and 5 s.
    #[default]
    Auto,
    /// Never: where there are no events the watch does not begin.
    Never,
    /// With this pause; for `None` with the one of [`Polling::Auto`]. Events are used as well where they come.
    Always(Option<Duration>),
}

/// Options of a watch. The defaults: trees with all that is below, own writes as well as others', no memory of former watches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own; the methods name it")]
pub struct WatchOptions {
    pub(crate) recursive: bool,
    pub(crate) ignore: Vec<String>,
    pub(crate) version_control: bool,
    pub(crate) own: bool,
    pub(crate) missing: bool,
    pub(crate) hash_limit: u64,
    pub(crate) settle: Settle,
    pub(crate) polling: Polling,
    pub(crate) resume: Option<String>,
    pub(crate) kept: usize,
    pub(crate) locks: bool,
}

impl Default for WatchOptions {
    fn default() -> Self {
        WatchOptions {
            recursive: true,
            ignore: Vec::new(),
            version_control: false,
            own: true,
            missing: true,
            hash_limit: HASH_LIMIT,
            settle: Settle::default(),
            polling: Polling::default(),
            resume: None,
            kept: KEPT,
            locks: false,
        }
    }
}

impl WatchOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of a directory: everything below it, or only its own entries? Everything by default.
    #[must_use]
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.recursive = recursive;
        self
    }

    /// A glob of what is not watched, relative to the directory that is. One without `/` is for names at any depth; a directory that
    /// matches is left out with all that is below it. To be called several times.
    #[must_use]
    pub fn ignore(mut self, glob: impl Into<String>) -> Self {
        self.ignore.push(glob.into());
        self
    }

    /// Also what is below `.git`, `.hg`, `.jj` and `.svn`? By default not. A directory that is named itself is always watched.
    #[must_use]
    pub fn version_control(mut self, watched: bool) -> Self {
        self.version_control = watched;
        self
    }

    /// Are changes reported that this engine made itself ([`Origin::Own`](super::Origin::Own))? By default yes.
    #[must_use]
    pub fn own(mut self, reported: bool) -> Self {
        self.own = reported;
        self
    }

    /// May a path be missing when the watch begins? By default yes, if its directory is there: its creation is then reported.
    #[must_use]
    pub fn missing(mut self, allowed: bool) -> Self {
        self.missing = allowed;
        self
    }

    /// Files with more bytes are not hashed: their changes are found by size, times and identity, and are reported without a version.
    /// 256 MiB by default.
    #[must_use]
    pub fn hash_limit(mut self, bytes: u64) -> Self {
        self.hash_limit = bytes;
        self
    }

    /// How long files are left alone before they are looked at.
    #[must_use]
    pub fn settle(mut self, settle: Settle) -> Self {
        self.settle = settle;
        self
    }

    /// Is everything looked at again and again, without being told of changes?
    #[must_use]
    pub fn polling(mut self, polling: Polling) -> Self {
        self.polling = polling;
        self
    }

    /// Goes on where the last watch of this name ended, in the workspace of the first path: what changed meanwhile is reported, and
    /// cursors of former watches stay good as long as their reports are kept. One watch at a time has the name.
    #[must_use]
    pub fn resume(mut self, name: impl Into<String>) -> Self {
        self.resume = Some(name.into());
        self
    }

    /// How many reports are kept for readers that fall behind; 65,536 by default, at least 16.
    #[must_use]
    pub fn kept(mut self, reports: usize) -> Self {
        self.kept = reports.max(16);
        self
    }

    /// Is it noted whose lock and lease files something happens to ([`Watch::touched_locks`](super::Watch::touched_locks))? By default not.
    #[must_use]
    pub fn locks(mut self, noted: bool) -> Self {
        self.locks = noted;
        self
    }

    /// What is not watched, compiled.
    pub(crate) fn ignored(&self) -> Result<Ignored> {
        let mut globs = GlobSetBuilder::new();
        for text in &self.ignore {
            let wrong = |e: &globset::Error| Error::BadGlob { glob: text.clone(), problem: e.kind().to_string() };
            // As in .gitignore: with a slash it is a path, without a name; one at the end marks a directory.
            let path = text.strip_suffix('/').unwrap_or(text);
            let glob = match path.strip_prefix('/') {
                Some(path) => path.to_owned(),
                None if path.contains('/') => path.to_owned(),
                None => format!("**/{path}"),
            };
            globs.add(GlobBuilder::new(&glob).literal_separator(true).build().map_err(|e| wrong(&e))?);
        }
        let all = || self.ignore.join(", ");
        let globs = globs.build().map_err(|e| Error::BadGlob { glob: all(), problem: e.kind().to_string() })?;
        Ok(Ignored { globs, version_control: !self.version_control })
    }
}

/// What is not watched.
#[derive(Clone, Debug)]
pub(crate) struct Ignored {
    globs: GlobSet,
    version_control: bool,
}

impl Ignored {
    /// Is this entry itself left out? By its path below the watched directory. Whoever goes down a tree asks at every step.
    pub(crate) fn entry(&self, relative: &Path) -> bool {
        let own = |name| VERSION_CONTROL.iter().any(|folder| name == *folder);
        (self.version_control && relative.file_name().is_some_and(own)) || self.globs.is_match(relative)
    }

    /// Is this entry left out, or a directory above it?
    pub(crate) fn covers(&self, relative: &Path) -> bool {
        relative.ancestors().filter(|path| !path.as_os_str().is_empty()).any(|path| self.entry(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WATCH-1: a glob without a slash is for names, one with a slash for paths; directories hide what is below them.
    #[test]
    fn what_is_ignored() {
        let options = WatchOptions::new().ignore("*.log").ignore("target/").ignore("docs/*.html").ignore("/top.txt");
        let ignored = options.ignored().unwrap();
        let is = |path: &str| ignored.covers(Path::new(path));
        for path in ["a.log", "a/b.log", "target", "target/x/y", "a/target/b", "docs/a.html", "top.txt", "a/.git/HEAD"]
        {
            assert!(is(path), "{path}");
        }
        for path in ["a.logs", "targets", "docs/a/b.html", "a/docs/a.html", "a/top.txt", "a", ".gitignore"] {
            assert!(!is(path), "{path}");
        }
        assert!(!options.version_control(true).ignored().unwrap().covers(Path::new(".git/HEAD")));
    }

    /// WATCH-1: a glob that is none is refused, by name.
    #[test]
    fn bad_globs() {
        let error = WatchOptions::new().ignore("a[").ignored().unwrap_err();
        assert_eq!(error.code(), "bad-glob");
        assert!(error.to_string().contains("`a[`"), "{error}");
    }
}
