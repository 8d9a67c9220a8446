//! What a path from outside may consist of.

use std::ffi::OsStr;
use std::path::{Component, Path};

use crate::error::{Error, Result};

/// `PATH_MAX` of Linux, which is longer than others'.
const LONGEST_PATH: usize = 4096;
/// The longest name of the file systems in use, in bytes.
const LONGEST_NAME: usize = 255;

/// The names that a path consists of, the file's last.
pub(super) fn check(path: &Path) -> Result<Vec<&OsStr>> {
    check_as(path, cfg!(windows))
}

fn check_as(path: &Path, windows: bool) -> Result<Vec<&OsStr>> {
    let bad = |problem| Error::BadPath { path: path.to_owned(), problem };
    let outside = |why| Error::OutsideRoot { path: path.to_owned(), why };
    let text = path.as_os_str().as_encoded_bytes();
    if text.is_empty() {
        return Err(bad("it is empty"));
    }
    if text.len() > LONGEST_PATH {
        return Err(bad("it is too long"));
    }
    let mut names = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => names.push(name),
            Component::ParentDir => return Err(outside("`..` is not allowed in it")),
            Component::RootDir | Component::Prefix(_) => return Err(outside("it is absolute")),
            Component::CurDir => return Err(bad("it begins with `.`")),
        }
    }
    if text.contains(&0) {
        return Err(bad("there is a NUL in it"));
    }
    if names.iter().any(|name| name.len() > LONGEST_NAME) {
        return Err(bad("a name in it is too long"));
    }
    // `a//b`, `a/./b`, `a/`: other spellings of what has one already.
    let separators = text.iter().filter(|byte| **byte == b'/' || (windows && **byte == b'\\')).count();
    if separators + 1 != names.len() {
        return Err(bad("it has an empty name or a `.` in it"));
    }
    if windows && let Some(problem) = names.iter().find_map(|name| windows_problem(&name.to_string_lossy())) {
        return Err(bad(problem));
    }
    Ok(names)
}

/// What Windows takes for something else than a file's name: devices, streams, names that end in what it cuts off.
fn windows_problem(name: &str) -> Option<&'static str> {
    if name.contains(':') {
        return Some("`:` names a drive or a stream of a file");
    }
    if name.chars().any(|c| c < ' ' || "<>\"|?*".contains(c)) {
        return Some("it has a character that no name has");
    }
    if name.ends_with(['.', ' ']) {
        return Some("a name ends in a dot or a blank, which the system cuts off");
    }
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = |kind: &str| {
        let number = stem.strip_prefix(kind).map(|rest| rest.chars().collect::<Vec<_>>());
        number.is_some_and(|digits| matches!(digits[..], ['0'..='9' | '¹' | '²' | '³']))
    };
    let device = matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$");
    (device || numbered("COM") || numbered("LPT")).then_some("a name is that of a device")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(path: &str, windows: bool) -> String {
        match check_as(Path::new(path), windows) {
            Ok(names) => format!("{}", names.len()),
            Err(e) => e.code().to_owned(),
        }
    }

    /// SERVE-7: what is no path beneath a root is refused before the disk is asked.
    #[test]
    fn what_is_refused() {
        for (path, is) in [
            ("a", "1"),
            ("a/b.json", "2"),
            (".hidden/...", "2"),
            ("a\\b:c*?", "1"),
            ("con", "1"),
            ("a.", "1"),
            ("", "bad-path"),
            (".", "bad-path"),
            ("./a", "bad-path"),
            ("a/", "bad-path"),
            ("a//b", "bad-path"),
            ("a/./b", "bad-path"),
            ("a\0b", "bad-path"),
            ("a/b\0", "bad-path"),
            ("..", "outside-root"),
            ("../a", "outside-root"),
            ("a/../b", "outside-root"),
            ("a/..", "outside-root"),
            ("/a", "outside-root"),
            ("//a", "outside-root"),
            ("/", "outside-root"),
        ] {
            assert_eq!(code(path, false), is, "{path:?}");
        }
        assert_eq!(code(&"n".repeat(255), false), "1");
        assert_eq!(code(&"n".repeat(256), false), "bad-path");
        assert_eq!(code(&"n/".repeat(3000), false), "bad-path");
    }

    /// SERVE-7: names that Windows takes for devices, drives or streams, or changes.
    #[test]
    fn names_of_windows() {
        for name in [
            "con",
            "NUL",
            "nul.txt",
            "Com1",
            "lpt9.tar.gz",
            "COM\u{b9}",
            "aux ",
            "aux .txt",
            "conin$",
            "a.txt:stream",
            "c:",
            "a.",
            "a ",
            "a*",
            "a?b",
            "a<b",
            "a\u{1}",
            "d/con/e",
        ] {
            assert_eq!(code(name, true), "bad-path", "{name:?}");
        }
        for name in ["console", "com", "com10", "null", "a.con", "lpt", ".con.txt"] {
            assert_eq!(code(name, true), "1", "{name:?}");
        }
    }
}
