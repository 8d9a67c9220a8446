//! The page: files that are built from `ui/` and embedded here.
//!
//! # Promise
//! Names in `assets/` have the hash of their content in them and are cached for ever; everything else is asked for again each time. The
//! page runs no script but its own (Content Security Policy).

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse as _, Response};

use crate::mime;

/// Each file's name and content, sorted by name.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// Nothing but the page's own files, and nothing inline. (Its editors make style sheets by script, which is no inline style.)
const POLICY: &str =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

fn find(path: &str) -> Option<(&'static str, &'static [u8])> {
    let name = path.strip_prefix('/')?;
    FILES.binary_search_by(|(known, _)| (*known).cmp(name)).ok().map(|i| FILES[i])
}

/// Is this the path of one of the page's files? They are no secret.
pub(crate) fn has(path: &str) -> bool {
    find(path).is_some()
}

/// One of the page's files.
pub(crate) fn file(path: &str, headers: &HeaderMap) -> Option<Response> {
    let (name, bytes) = find(path)?;
    let etag = format!("\"{}\"", blake3::hash(bytes).to_hex());
    let cached = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let fields = [
        (CACHE_CONTROL, HeaderValue::from_static(cached)),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (CONTENT_TYPE, HeaderValue::from_static(mime::of_page(name))),
        (ETAG, HeaderValue::try_from(&etag).unwrap_or_else(|_| HeaderValue::from_static(""))),
    ];
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return Some((StatusCode::NOT_MODIFIED, fields).into_response());
    }
    Some((fields, bytes).into_response())
}

/// The page itself, for somebody who is logged in; for others how to log in.
pub(crate) fn index(logged_in: bool, headers: &HeaderMap) -> Response {
    let no_store = [
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        ),
    ];
    if !logged_in {
        return (StatusCode::UNAUTHORIZED, no_store, Html(LOG_IN)).into_response();
    }
    file("/index.html", headers).unwrap_or_else(|| (no_store, Html(NO_PAGE)).into_response())
}

const LOG_IN: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
<title>filelatch: log in</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:4em auto;padding:0 1em;\
color-scheme:light dark}</style><h1>Not logged in</h1>\
<p>Open the link that <code>filelatch serve</code> printed when it started. It works once, for ten minutes, and ends with the server.</p>\
<p>A new one: start the server again, or ask it with a token that has the scope <code>admin</code>:</p>\
<pre>curl -X POST -H \"Authorization: Bearer $TOKEN\" -H \"Content-Type: application/json\" -d {} ADDRESS/api/login-links</pre>\
<p>If you have just followed such a link from another page, <a href=\"/\">try again</a>: the browser kept the login back.</p></html>";

const NO_PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>filelatch</title>\
<h1>filelatch</h1><p>This program was built without the page. The API is there: <a href=\"/openapi.json\">/openapi.json</a>.</p></html>";

#[cfg(test)]
mod tests {
    use super::*;

    /// SERVE-5: what is embedded is sorted, as it is searched; only built files are in it, and names in `assets/` carry a hash.
    #[test]
    fn embedded() {
        assert!(FILES.is_sorted_by_key(|(name, _)| *name));
        for (name, bytes) in FILES {
            assert!(has(&format!("/{name}")) && !bytes.is_empty(), "{name}");
            assert!(!name.starts_with("assets/") || name.contains('-'), "{name} has no hash");
        }
        for absent in ["", "/", "/..", "/assets", "/assets/", "//index.html"] {
            assert!(!has(absent), "{absent}");
        }
    }
}
