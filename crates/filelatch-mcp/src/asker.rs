//! Who makes a call: the name it writes under, and what it may see and change.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use filelatch::show::slashed;

use crate::place::from_uri;

/// Who sends the requests of a connection, where the transport knows: put into the extensions of an HTTP request by whoever has checked it.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The name it writes under; else its client's.
    pub session: Option<String>,
    /// May it change anything? A server that only reads lets nobody.
    pub may_write: bool,
}

/// Who makes a call.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) session: Arc<str>,
    pub(crate) may_write: bool,
    /// What the client wants to be kept to; `None`: the whole root.
    pub(crate) roots: Option<Arc<[String]>>,
}

impl Asker {
    /// Is a file, by its path relative to the root, one that the client wants to see?
    pub(crate) fn covers(&self, path: &str) -> bool {
        let Some(roots) = &self.roots else { return true };
        roots
            .iter()
            .any(|root| path.strip_prefix(root.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }
}

/// What a client's roots are in the server's, relative to it. `None`: they do not narrow it, because one of them has all of it, or none has
/// anything of it.
pub(crate) fn narrowed(uris: &[String], root: &Path, prefixes: &[PathBuf]) -> Option<Arc<[String]>> {
    let paths: Vec<_> = uris.iter().filter_map(|uri| from_uri(uri.strip_prefix("file://")?)).collect();
    let holds_all = |path: &PathBuf| prefixes.iter().chain([&root.to_owned()]).any(|prefix| prefix.starts_with(path));
    if paths.iter().any(holds_all) {
        return None;
    }
    let inside = paths.iter().filter_map(|path| {
        let relative =
            prefixes.iter().map(PathBuf::as_path).chain([root]).find_map(|root| path.strip_prefix(root).ok())?;
        Some(slashed(relative))
    });
    let inside: Vec<_> = inside.collect();
    if inside.is_empty() { None } else { Some(inside.into()) }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    /// AGENT-6: a client's roots narrow what it sees, and never widen it.
    #[test]
    fn roots() {
        let (root, given) = (Path::new("/real/project"), [PathBuf::from("/link/project")]);
        let narrowed = |uris: &[&str]| {
            let uris: Vec<_> = uris.iter().map(|uri| (*uri).to_owned()).collect();
            narrowed(&uris, root, &given).map(|roots| roots.to_vec())
        };
        assert_eq!(
            narrowed(&["file:///real/project/a", "file:///link/project/b/c", "file:///etc"]),
            Some(vec!["a".into(), "b/c".into()])
        );
        for all in [
            &["file:///real/project"][..],
            &["file:///"],
            &["file:///real/project/a", "file:///link"],
            &[],
            &["file:///etc"],
            &["x"],
        ] {
            assert_eq!(narrowed(all), None, "{all:?}");
        }
        let roots = Some(vec!["src".to_owned()].into());
        let asker = Asker { session: "a".into(), may_write: true, roots };
        assert!(asker.covers("src/x") && asker.covers("src") && !asker.covers("srcs") && !asker.covers("x"));
    }
}
