//! Documents that the workspace's configuration names, and the routes that it gives them.

use std::path::Path;

use filelatch::show::slashed;
use filelatch::{Error, Filelatch, Hidden, NamedDocument, WORKSPACE_DIR};

use crate::extract::FilePath;

/// Paths that are the server's own: each, and what begins with it and `/`.
const RESERVED: [&str; 7] = ["/files", "/login", "/healthz", "/metrics", "/openapi.json", "/assets", "/index.html"];
/// The same for what stands first after `/api/`.
const RESERVED_API: [&str; 17] = [
    "files",
    "documents",
    "writes",
    "tree",
    "me",
    "logout",
    "login-links",
    "locks",
    "history",
    "conflicts",
    "merge",
    "sessions",
    "queues",
    "tokens",
    "audit",
    "status",
    "events",
];

/// A document with a name.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) name: String,
    pub(crate) path: FilePath,
    pub(crate) route: Option<String>,
}

/// The documents below the root, by name. Those of the workspace that lie elsewhere are left out, and told of.
pub(crate) fn of(latch: &Filelatch, root: &Path, hidden: &Hidden) -> Result<Vec<Document>, Error> {
    let (Some(folder), named) = latch.documents(root)? else { return Ok(Vec::new()) };
    let config = folder.join(WORKSPACE_DIR).join("config.toml");
    let wrong = |message: String| Error::Config { path: config.clone(), message };
    let mut documents = Vec::new();
    for NamedDocument { name, path, route, .. } in &named {
        let whole = folder.join(path);
        let Ok(below) = whole.strip_prefix(root) else {
            tracing::warn!(name, "the document lies outside the served folder and is not offered");
            continue;
        };
        let path =
            FilePath::parse(&slashed(below)).map_err(|e| wrong(format!("the document `{name}`: {}", e.detail)))?;
        if hidden.hides(path.as_str()) {
            let path = path.as_str();
            return Err(wrong(format!(
                "the document `{name}` is `{path}`, which is hidden; `--allow {path}` shows it, if it can be shown"
            )));
        }
        if let Some(route) = route {
            check_route(route).map_err(|why| wrong(format!("the route `{route}` of the document `{name}` {why}")))?;
        }
        documents.push(Document { name: name.clone(), path, route: route.clone() });
    }
    documents.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(documents)
}

/// May this be a document's route? Else why not.
fn check_route(route: &str) -> Result<(), &'static str> {
    let names: Vec<_> = route.split('/').skip(1).collect();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let good = |name: &&str| !name.is_empty() && *name != "." && *name != ".." && name.bytes().all(plain);
    if !route.starts_with('/') || route.len() > 200 || !names.iter().all(good) {
        return Err("is not made of `/` and names of letters, digits, `-`, `_`, `.` and `~`");
    }
    let first = format!("/{}", names.first().copied().unwrap_or_default());
    let api = first == "/api" && names.get(1).is_none_or(|name| RESERVED_API.contains(name));
    if RESERVED.contains(&first.as_str()) || api || crate::page::has(route) {
        return Err("is one of the server's own; choose another, such as `/api/era/NAME`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SERVE-3: routes that may be given, and those that are the server's own or none.
    #[test]
    fn routes() {
        for good in ["/api/era/directives", "/api/mcp-config", "/governance", "/x/y.json", "/api/filesystem", "/filesx"]
        {
            assert_eq!(check_route(good), Ok(()), "{good}");
        }
        for wrong in [
            "/",
            "/api",
            "/api/",
            "/api/files",
            "/api/files/a.json",
            "/files",
            "/files/a",
            "/login",
            "/healthz",
            "/api/events",
            "/api/locks/x",
            "/assets/x",
            "//x",
            "/x/",
            "/x//y",
            "/{x}",
            "/x/*",
            "/x/:y",
            "/a b",
            "/a?b",
            "/a%2fb",
            "/../x",
            "/x/./y",
            "x",
            "/é",
        ] {
            assert!(check_route(wrong).is_err(), "{wrong}");
        }
    }

    /// SERVE-3: every route of the server is reserved: a document's can't take its place.
    #[test]
    fn all_reserved() {
        for path in crate::open_api().paths.paths.keys() {
            let concrete = path.replace(['{', '}'], "");
            assert!(check_route(&concrete).is_err(), "{path}");
        }
    }
}
