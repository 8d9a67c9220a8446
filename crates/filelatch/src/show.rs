//! How faces tell what the library says: each of them the same.
//!
//! # Promise
//! A value is told the same on the command line, over HTTP and to agents, and as it stands in records on disk.

use std::path::{MAIN_SEPARATOR, Path};
use std::time::SystemTime;

use crate::parts::rfc3339;
use crate::write::Author;

/// A moment: RFC 3339, UTC, with milliseconds. Empty beyond the years that can be written so.
pub fn time(time: SystemTime) -> String {
    rfc3339(time)
}

/// The name of a session, `external`, or nothing where nobody can tell.
pub fn author(author: &Author) -> Option<String> {
    match author {
        Author::Unknown => None,
        known => Some(known.to_string()),
    }
}

/// A path with `/` between its names, on every system; what is not text with replacement characters. For relative paths.
pub fn slashed(path: &Path) -> String {
    let names: Vec<_> = path.components().map(|name| name.as_os_str().to_string_lossy()).collect();
    names.join("/")
}

/// How a file is named to whoever knows only a root: relative to it, with `/`. `None`: it is the root itself, or not in it.
pub fn inside(path: &Path, root: &Path) -> Option<String> {
    let inside = path.strip_prefix(root).ok().or_else(|| path.is_relative().then_some(path));
    inside.map(slashed).filter(|path| !path.is_empty())
}

/// A message or a hint of the library's for whoever need not know where a root lies: paths in it are relative to that.
pub fn without_root(text: &str, root: &Path) -> String {
    let root = root.to_string_lossy();
    text.replace(&format!("{root}{MAIN_SEPARATOR}"), "").replace(&*root, ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SERVE-7: whoever knows only the root is told of no path above it.
    #[test]
    fn relative_to_a_root() {
        let root = Path::new("/srv/files");
        assert_eq!(inside(Path::new("/srv/files/a/b"), root).as_deref(), Some("a/b"));
        assert_eq!(inside(Path::new("a/b"), root).as_deref(), Some("a/b"));
        assert_eq!(inside(root, root), None);
        assert_eq!(inside(Path::new("/srv/other"), root), None);
        assert_eq!(without_root("`/srv/files/a` is not in /srv/files", root), "`a` is not in .");
    }
}
