//! The lines in a file of attributes: pure text.
//!
//! Our lines stand at the top. There the user's own lines count more, because the last match does; and nothing else has to change,
//! not even a missing line end at the end of the file, so taking our lines out gives back what was there.

use std::path::Path;

use crate::output;

/// Files whose kind `filelatch merge` knows by their name.
pub(super) const PATTERNS: &[&str] = &[
    "*.json",
    "*.jsonc",
    "*.json5",
    "*.geojson",
    "*.webmanifest",
    "*.code-workspace",
    "*.yaml",
    "*.yml",
    "*.toml",
    "*.md",
    "*.mdx",
    "*.markdown",
    "*.ini",
    "*.cfg",
    "*.conf",
    "*.properties",
    ".editorconfig",
    ".env",
    ".env.*",
    "*.txt",
    "*.rst",
    "*.adoc",
    ".gitignore",
    ".dockerignore",
];

const HEADING: &str = "# Merged by filelatch; `filelatch git-setup --remove` takes these lines out.";
/// Above the lines of a file that was not there before.
const HEADING_OF_NEW: &str =
    "# Merged by filelatch; `filelatch git-setup --remove` takes these lines out, and the file if it is empty then.";
const ATTRIBUTE: &str = "merge=filelatch";
const BOM: &[u8] = b"\xef\xbb\xbf";

/// What becomes of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Edited {
    /// The new content; `None`: stays as it is.
    pub(super) content: Option<Vec<u8>>,
    /// The file goes, once it has the new content, which is none.
    pub(super) delete: bool,
    pub(super) added: Vec<String>,
    pub(super) removed: Vec<String>,
}

impl Edited {
    pub(super) fn is_nothing(&self) -> bool {
        self.content.is_none()
    }

    /// For people, before it is done.
    pub(super) fn show(&self, file: &Path) {
        let file = file.display();
        for (verb, lines) in [("gets at its top, as", &self.added), ("loses, of", &self.removed)] {
            if !lines.is_empty() {
                let patterns: Vec<_> = lines.iter().map(|line| line.trim_end_matches(ATTRIBUTE).trim_end()).collect();
                output::note(&format!("`{file}` {verb} `PATTERN {ATTRIBUTE}`: {}", patterns.join(" ")));
            }
        }
        if self.delete {
            output::note(&format!("`{file}` is removed: nothing else is in it"));
        }
    }
}

/// Adds the lines that are not there.
pub(super) fn with(old: Option<&[u8]>, patterns: &[impl AsRef<str>]) -> Edited {
    let bytes = old.unwrap_or_default();
    let has = |wanted: &str| lines(bytes).any(|line| trimmed(line) == wanted.as_bytes());
    let wanted = patterns.iter().map(|pattern| format!("{} {ATTRIBUTE}", pattern.as_ref()));
    let added: Vec<String> = wanted.filter(|line| !has(line)).collect();
    if added.is_empty() {
        return Edited::default();
    }
    let end: &[u8] = if lines(bytes).next().is_some_and(|line| line.ends_with(b"\r\n")) { b"\r\n" } else { b"\n" };
    // Below our heading, if it is there; else at the top.
    let mut at = if bytes.starts_with(BOM) { BOM.len() } else { 0 };
    let mut heading = Some(if old.is_none() { HEADING_OF_NEW } else { HEADING });
    let mut offset = 0;
    for line in lines(bytes) {
        offset += line.len();
        if is_heading(line) && line.ends_with(b"\n") {
            (at, heading) = (offset, None);
            break;
        }
    }
    let mut content = bytes[..at].to_vec();
    for line in heading.into_iter().chain(added.iter().map(String::as_str)) {
        content.extend_from_slice(line.as_bytes());
        content.extend_from_slice(end);
    }
    content.extend_from_slice(&bytes[at..]);
    Edited { content: Some(content), added, ..Edited::default() }
}

/// Takes our lines out, wherever they stand by now. A line that somebody has changed is no longer ours.
pub(super) fn without(old: &[u8]) -> Edited {
    let mut content = Vec::with_capacity(old.len());
    let mut removed = Vec::new();
    let mut is_made = false;
    let rest = old.strip_prefix(BOM).unwrap_or(old);
    content.extend_from_slice(&old[..old.len() - rest.len()]);
    for line in lines(rest) {
        if is_heading(line) || is_ours(line) {
            is_made |= trimmed(line) == HEADING_OF_NEW.as_bytes();
            if is_ours(line) {
                removed.push(String::from_utf8_lossy(trimmed(line)).into_owned());
            }
        } else {
            content.extend_from_slice(line);
        }
    }
    if content.len() == old.len() {
        return Edited::default();
    }
    let delete = is_made && content.is_empty();
    Edited { content: Some(content), delete, removed, ..Edited::default() }
}

/// With their ends.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.strip_prefix(BOM).unwrap_or(bytes).split_inclusive(|&byte| byte == b'\n')
}

/// Without the end of the line, which a checkout may have changed.
fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn is_heading(line: &[u8]) -> bool {
    let line = trimmed(line);
    line == HEADING.as_bytes() || line == HEADING_OF_NEW.as_bytes()
}

/// `PATTERN merge=filelatch` and nothing else.
fn is_ours(line: &[u8]) -> bool {
    let pattern = trimmed(line).strip_suffix(ATTRIBUTE.as_bytes()).and_then(|rest| rest.strip_suffix(b" "));
    pattern.is_some_and(|pattern| !pattern.is_empty() && !pattern.starts_with(b"#") && !pattern.contains(&b' '))
}

#[cfg(test)]
mod tests {
    use filelatch::merge::Kind;

    use super::*;

    fn added(old: Option<&str>, patterns: &[&str]) -> String {
        let content = with(old.map(str::as_bytes), patterns).content;
        content.map_or(old.unwrap_or_default().to_owned(), |content| String::from_utf8(content).unwrap())
    }

    fn taken_out(old: &str) -> (String, bool) {
        let edited = without(old.as_bytes());
        let content = edited.content.map_or(old.to_owned(), |content| String::from_utf8(content).unwrap());
        (content, edited.delete)
    }

    /// MERGE-5: what was added is taken out to the byte, whatever the file looked like.
    #[test]
    fn there_and_back() {
        let olds = [
            "",
            "\n",
            "*.rs text",
            "*.rs text\n",
            "* text=auto\r\n*.png binary\r\n",
            "\u{feff}*.x diff\n",
            "# c\n\n",
            "*.json merge=union\n",
            "*.json  merge=filelatch\n*.yaml merge=filelatch text\n",
        ];
        for old in olds {
            let new = added(Some(old), &["*.json", "a/*.toml"]);
            assert_eq!(taken_out(&new), (old.to_owned(), false));
            assert!(new.ends_with(old.trim_start_matches('\u{feff}')), "{new:?}");
            assert_eq!(new.starts_with('\u{feff}'), old.starts_with('\u{feff}'));
            assert_eq!(added(Some(&new), &["*.json", "a/*.toml"]), new);
        }
        assert_eq!(taken_out(&added(None, &["*.json"])), (String::new(), true));
    }

    /// MERGE-5: what was changed meanwhile stays; lines that became somebody's own, too.
    #[test]
    fn changed_meanwhile() {
        let new = added(None, &["*.json", "*.toml"]);
        let changed = new.replace("*.toml merge", "*.toml text merge") + "*.png binary\n";
        assert_eq!(taken_out(&changed), ("*.toml text merge=filelatch\n*.png binary\n".to_owned(), false));
        let crlf = new.replace('\n', "\r\n");
        assert_eq!(taken_out(&crlf), (String::new(), true));
        assert_eq!(added(Some(&crlf), &["*.json", "*.toml"]), crlf);
        let more = added(Some(&new), &["*.json", "*.md"]);
        assert_eq!(more.lines().count(), 4);
        assert_eq!(taken_out(&more), (String::new(), true));
        assert_eq!(taken_out("*.rs text\n").0, "*.rs text\n");
    }

    /// Each pattern names files that have a kind.
    #[test]
    fn patterns_have_kinds() {
        for pattern in PATTERNS {
            let name = pattern.replace('*', "x");
            assert_ne!(Kind::of_path(Path::new(&name)), Kind::Lines, "{pattern}");
        }
    }
}
