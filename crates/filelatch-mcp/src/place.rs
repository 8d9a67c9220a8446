//! The path of a request → a file of the root.
//!
//! # Promise
//! - A path is relative to the root, its names joined by `/`; absolute paths and `file://` URIs are taken where they lie in the root. What they
//!   lead to is looked up in the open root ([`Root`](filelatch::Root)): nothing leads out.
//! - What is hidden is refused, by its name and by where a link leads to.
//! - Where the client has named roots of its own within the root, only what is in them is shown.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use filelatch::show::slashed;
use filelatch::{Error, LatchFile};

use crate::refusal::Refusal;
use crate::state::Server;

/// A file of the root, as answers name it: relative, with `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    text: String,
}

impl Place {
    /// Takes a path from a request. Hidden files are refused; links are looked at when the file is opened.
    pub(crate) fn parse(server: &Server, asked: &str) -> Result<Place, Refusal> {
        let path = match asked.strip_prefix("file://") {
            Some(rest) => from_uri(rest).ok_or_else(|| outside(asked, "it is not a URI of a file on this machine"))?,
            None => PathBuf::from(asked),
        };
        let mut path = if path.is_absolute() {
            let inside = server.prefixes().find_map(|root| path.strip_prefix(root).ok());
            inside.ok_or_else(|| outside(asked, "it is absolute, and not in the root"))?.to_owned()
        } else {
            path
        };
        while let Ok(rest) = path.strip_prefix("./") {
            path = rest.to_owned();
        }
        let text =
            path.to_str().map(|text| if cfg!(windows) { Cow::Owned(text.replace('\\', "/")) } else { text.into() });
        let text = text.ok_or_else(|| Refusal::new("bad-path", "the path is not UTF-8"))?.into_owned();
        if text.is_empty() || text.chars().any(char::is_control) {
            let what = if text.is_empty() { "names no file" } else { "has a control character" };
            return Err(Refusal::new("bad-path", format!("the path `{}` {what}", asked.escape_debug()))
                .hint("give a path relative to the root: names joined by `/`"));
        }
        let place = Place { text };
        place.check_shown(server)?;
        Ok(place)
    }

    /// The file itself. With `make`, directories that are missing are made.
    pub(crate) fn open(&self, server: &Server, make: bool) -> Result<LatchFile, Refusal> {
        let root = server.root();
        let may_be = |place: &Path| !server.hidden().hides(&slashed(place));
        let file = if make { root.file_with_dirs_where(&self.text, may_be) } else { root.file(&self.text) };
        let file = file.map_err(|e| match e {
            Error::NotFound { .. } if make => self.hidden(),
            e => Refusal::of(&e, root.path()).about(&self.text),
        })?;
        // A link to a hidden file is hidden, too.
        Place { text: slashed(root.place_of(&file)) }.check_shown(server).map_err(|_| self.hidden())?;
        Ok(file)
    }

    /// As answers name it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    fn check_shown(&self, server: &Server) -> Result<(), Refusal> {
        if server.hidden().hides(&self.text) { Err(self.hidden()) } else { Ok(()) }
    }

    fn hidden(&self) -> Refusal {
        let text = &self.text;
        Refusal::new("hidden", format!("`{text}` is hidden: it is filelatch's own, or may hold secrets"))
            .about(text)
            .not_done("nothing was read or changed")
            .hint("leave it alone; whoever runs the server can show it with `--allow`, unless it is filelatch's own")
    }
}

fn outside(asked: &str, why: &str) -> Refusal {
    Refusal::new("outside-root", format!("`{}` leads out of the root: {why}", asked.escape_debug()))
        .not_done("nothing was read or changed")
        .hint("give a path relative to the root: names joined by `/`, no `..`")
}

/// What follows `file://`: an empty host or `localhost`, then a percent-encoded path.
pub(crate) fn from_uri(rest: &str) -> Option<PathBuf> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    let path = percent_decoded(path.strip_prefix('/').map(|_| path)?)?;
    // `file:///C:/a`
    let drive = cfg!(windows).then(|| path.get(1..3).filter(|drive| drive.ends_with(':'))).flatten();
    Some(PathBuf::from(if drive.is_some() { &path[1..] } else { &path }))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'%' {
            let digit = |at: usize| char::from(*rest.get(at)?).to_digit(16);
            bytes.push(u8::try_from(digit(0)? * 16 + digit(1)?).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AGENT-6: URIs of files, and what is none.
    #[test]
    #[cfg(unix)]
    fn uris() {
        let path = |text: &str| from_uri(text).map(|path| path.to_string_lossy().into_owned());
        assert_eq!(path("/a/b%20c.md").as_deref(), Some("/a/b c.md"));
        assert_eq!(path("localhost/a").as_deref(), Some("/a"));
        assert_eq!(path("/%C3%A9").as_deref(), Some("/é"));
        for bad in ["host/a", "a", "", "/%", "/%1", "/%zz", "/%ff", "/%+1"] {
            assert_eq!(path(bad), None, "{bad}");
        }
    }
}
