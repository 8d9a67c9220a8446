//! What a record may be called.
//!
//! In a collection an id is a key: any text without control characters. In a folder it is a file's name, on every system: lower-case
//! letters, digits, `-`, `_` and `.`, so that no id leads elsewhere, is another one where case does not count, or is a device.

use super::super::StoreError;
use super::options::Layout;

/// Longest id of a collection, in bytes.
const LONGEST: usize = 256;
/// Longest id that is a file's name; names of lock files and temporary files are longer.
const LONGEST_NAME: usize = 100;

/// Names that are devices on Windows, whatever follows a dot.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

pub(super) fn check(id: &str, layout: Layout) -> Result<(), StoreError> {
    match layout {
        Layout::Collection => check_key(id),
        Layout::Directory => check_name(id),
    }
}

fn check_key(id: &str) -> Result<(), StoreError> {
    if is_key(id) {
        return Ok(());
    }
    Err(StoreError::Invalid {
        problem: format!("`{}` can't be the id of a record", id.escape_debug()),
        hint: format!("an id has 1 to {LONGEST} bytes and no control characters"),
    })
}

fn check_name(id: &str) -> Result<(), StoreError> {
    if is_name(id) {
        return Ok(());
    }
    Err(StoreError::Invalid {
        problem: format!("`{}` can't be the id of a record with a file of its own", id.escape_debug()),
        hint: format!(
            "such an id has 1 to {LONGEST_NAME} lower-case letters, digits, `-`, `_` and `.`, begins with a letter or digit, does not end \
             in `.` and is no device of Windows; a collection takes any text"
        ),
    })
}

fn is_key(id: &str) -> bool {
    (1..=LONGEST).contains(&id.len()) && !id.chars().any(char::is_control)
}

/// Is it a record's name? Other files are left alone.
pub(super) fn is_name(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = id.as_bytes();
    (1..=LONGEST_NAME).contains(&bytes.len())
        && plain(bytes[0])
        && bytes[bytes.len() - 1] != b'.'
        && bytes.iter().all(|&byte| plain(byte) || matches!(byte, b'-' | b'_' | b'.'))
        && !is_device(id.split('.').next().unwrap_or_default())
}

fn is_device(stem: &str) -> bool {
    let numbered =
        |word| stem.strip_prefix(word).is_some_and(|n: &str| n.len() == 1 && n.as_bytes()[0].is_ascii_digit());
    DEVICES.contains(&stem) || numbered("com") || numbered("lpt")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// STORE-1: no id of a record with a file of its own leads elsewhere, is hidden, or means something else on another system.
    #[test]
    fn names() {
        let longest = "a".repeat(LONGEST_NAME);
        for good in ["a", "0", "a-b_c.d", "2026-11-21", "communication", "com", "com10", "nul1", longest.as_str()] {
            assert!(check(good, Layout::Directory).is_ok(), "{good}");
        }
        let long = "a".repeat(LONGEST_NAME + 1);
        let bad = [
            "",
            ".",
            "..",
            ".a",
            "a.",
            "-a",
            "_a",
            "a/b",
            "/a",
            "../a",
            "a\\b",
            "a:b",
            "C:a",
            "A",
            "aB",
            "ä",
            "a b",
            "a\n",
            "a\0",
            "con",
            "nul.x",
            "com1",
            "lpt9.a.b",
            "a?",
            "a*",
            long.as_str(),
        ];
        for bad in bad {
            let refused = check(bad, Layout::Directory);
            assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{bad:?}");
        }
    }

    /// STORE-1: an id of a collection is any text that can be shown on one line.
    #[test]
    fn keys() {
        for good in ["a", "A b", "../x", "ä/~1", "con", "records", &"a".repeat(LONGEST)] {
            assert!(check(good, Layout::Collection).is_ok(), "{good}");
        }
        for bad in ["", "a\nb", "\u{1b}[2J", "\0", "\u{85}", &"a".repeat(LONGEST + 1)] {
            assert!(check(bad, Layout::Collection).is_err(), "{bad:?}");
        }
    }
}
