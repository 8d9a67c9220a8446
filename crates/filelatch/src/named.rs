//! Documents that a workspace gives names (`[[document]]`), for faces that offer them by name.
//!
//! ```toml
//! [[document]]
//! name = "directives"
//! path = "config/directives.json"     # relative to the folder that holds .filelatch
//! route = "/api/era/directives"       # of the server's, besides /api/documents/directives
//! ```

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use crate::engine::Filelatch;
use crate::error::{Error, Result};

/// Longest name.
const NAME: usize = 100;

/// A document that a workspace gives a name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct NamedDocument {
    /// Its name: letters, digits, `-`, `_` and `.`, unique in the workspace.
    pub name: String,
    /// Its file, relative to the workspace's folder, without `..`.
    pub path: PathBuf,
    /// A path of its own in the server's address, beginning with `/`.
    pub route: Option<String>,
}

/// What is wrong with these, if something is.
pub(crate) fn check(documents: &[NamedDocument]) -> Result<(), String> {
    for (i, NamedDocument { name, path, route }) in documents.iter().enumerate() {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !(1..=NAME).contains(&name.len()) || !name.bytes().all(plain) || name.starts_with('.') {
            return Err(format!("`{name}` is no name for a document: letters, digits, `-`, `_` and `.`, not first"));
        }
        let before = &documents[..i];
        if before.iter().any(|other| other.name == *name) {
            return Err(format!("two documents are called `{name}`"));
        }
        if path.as_os_str().is_empty() || !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(format!(
                "the path of the document `{name}`, `{}`, does not stay below the folder",
                path.display()
            ));
        }
        let Some(route) = route else { continue };
        if !route.starts_with('/') || route.len() < 2 {
            return Err(format!("the route of the document `{name}`, `{route}`, does not begin with `/` and a name"));
        }
        if before.iter().any(|other| other.route.as_ref() == Some(route)) {
            return Err(format!("two documents have the route `{route}`"));
        }
    }
    Ok(())
}

impl Filelatch {
    /// The documents that the workspace of a directory gives names, and its folder, to which their paths are relative. None without a workspace.
    pub fn documents(&self, dir: impl AsRef<Path>) -> Result<(Option<PathBuf>, Vec<NamedDocument>), Error> {
        let workspace = self.find_workspace(dir.as_ref())?;
        Ok(workspace.map_or((None, Vec::new()), |found| (Some(found.root), found.policies.documents.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(name: &str, path: &str, route: Option<&str>) -> NamedDocument {
        NamedDocument { name: name.to_owned(), path: path.into(), route: route.map(str::to_owned) }
    }

    /// SERVE-3: what a configuration may name, and what it says of the rest.
    #[test]
    fn checked() {
        let good = [document("a", "x/a.json", Some("/api/era/a")), document("b.c-d_9", "a.json", None)];
        assert_eq!(check(&good), Ok(()));
        for (wrong, told) in [
            (document("", "a", None), "no name"),
            (document(".a", "a", None), "no name"),
            (document("a/b", "a", None), "no name"),
            (document("a", "", None), "does not stay"),
            (document("a", "../a", None), "does not stay"),
            (document("a", "/etc/passwd", None), "does not stay"),
            (document("a", "a", Some("a")), "does not begin"),
            (document("a", "a", Some("/")), "does not begin"),
        ] {
            let said = check(std::slice::from_ref(&wrong)).unwrap_err();
            assert!(said.contains(told), "{wrong:?}: {said}");
        }
        assert!(check(&[document("a", "a", None), document("a", "b", None)]).unwrap_err().contains("two documents"));
        let route = Some("/x");
        assert!(check(&[document("a", "a", route), document("b", "b", route)]).unwrap_err().contains("two documents"));
    }
}
