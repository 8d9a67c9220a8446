//! The form of a record: one line of JSON, bound to the line before it.
//!
//! ```text
//! {"n":17,"at":"2026-11-21T10:00:00.123Z","event":"write",…,"chain":"<64 digits>"}
//! ```
//! The chain is the BLAKE3 hash over the 64 digits of the chain before (nothing before the first record) and the line's bytes up to
//! `,"chain":`, exactly as they lie on the disk; with a key its keyed hash. So `{ printf %s "$before"; printf %s "$line"; } | b3sum`
//! checks a record by hand, and nothing is ever serialised again to check it.

use std::ffi::OsString;
use std::path::Path;
use std::time::SystemTime;

use blake3::Hash;

use super::key::Key;
use crate::conflict::exact;
use crate::parts::rfc3339;
use crate::version::Version;

/// What a line begins with, before its number.
const HEAD: &str = "{\"n\":";
/// What stands between the body and the chain.
const CHAIN: &str = ",\"chain\":\"";
/// What a line ends with.
const END: &str = "\"}";
/// Bytes of a line from the body's end on.
const TAIL: usize = CHAIN.len() + 64 + END.len();
/// Longest line. Paths and names that would make a longer one are cut before.
pub(super) const LONGEST: usize = 128 << 10;
/// Longest name of a session in a record; more of it is cut off.
const LONGEST_NAME: usize = 1 << 10;
/// Most versions that one record lists.
pub(super) const MOST_VERSIONS: usize = 256;

/// A place in the chain: the number of a record and its chain value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) n: u64,
    pub(crate) chain: Hash,
}

/// The chain value of a record whose line up to the chain is `head`, behind `before`.
pub(super) fn chain(key: Option<&Key>, before: Option<&Hash>, head: &[u8]) -> Hash {
    let mut hasher = key.map_or_else(blake3::Hasher::new, Key::hasher);
    if let Some(before) = before {
        hasher.update(before.to_hex().as_bytes());
    }
    hasher.update(head).finalize()
}

/// Appends the line of a record to `out`, with its end; answers its place.
pub(super) fn append(out: &mut Vec<u8>, key: Option<&Key>, before: Option<&Link>, body: &Body) -> Link {
    let n = before.map_or(1, |before| before.n.saturating_add(1));
    append_as(out, key, n, before.map(|before| &before.chain), body)
}

/// The same with a number of one's own.
pub(super) fn append_as(out: &mut Vec<u8>, key: Option<&Key>, n: u64, before: Option<&Hash>, body: &Body) -> Link {
    let from = out.len();
    out.extend_from_slice(HEAD.as_bytes());
    digits(out, n);
    out.extend_from_slice(body.text.as_bytes());
    let chain = chain(key, before, &out[from..]);
    out.extend_from_slice(CHAIN.as_bytes());
    out.extend_from_slice(chain.to_hex().as_bytes());
    out.extend_from_slice(END.as_bytes());
    out.push(b'\n');
    Link { n, chain }
}

/// A line without its end, taken apart. `None`: it has not the form of a record.
pub(super) fn split(line: &[u8]) -> Option<(Link, &[u8])> {
    let at = line.len().checked_sub(TAIL)?;
    let (head, tail) = line.split_at(at);
    let hex = tail.strip_prefix(CHAIN.as_bytes())?.strip_suffix(END.as_bytes())?;
    // Only as it is written: capital digits would be another line with the same chain value.
    if !hex.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b)) {
        return None;
    }
    let chain = Hash::from_hex(hex).ok()?;
    let rest = head.strip_prefix(HEAD.as_bytes())?;
    let end = rest.iter().position(|b| !b.is_ascii_digit())?;
    let number = std::str::from_utf8(&rest[..end]).ok().filter(|digits| !digits.starts_with('0'))?;
    Some((Link { n: number.parse().ok()?, chain }, head))
}

/// The chain value that a line should have behind `before`.
pub(super) fn is_chained(key: Option<&Key>, before: Option<&Hash>, link: &Link, head: &[u8]) -> bool {
    chain(key, before, head) == link.chain
}

fn digits(out: &mut Vec<u8>, mut n: u64) {
    let mut text = [0; 20];
    let mut at = text.len();
    loop {
        at -= 1;
        text[at] = b'0' + u8::try_from(n % 10).unwrap_or_default();
        n /= 10;
        if n == 0 {
            return out.extend_from_slice(&text[at..]);
        }
    }
}

/// What a record says, from its time on: the text between its number and its chain value.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    text: String,
}

impl Body {
    pub(crate) fn new(at: SystemTime, event: &'static str) -> Body {
        let mut text = String::with_capacity(320);
        text.push_str(",\"at\":\"");
        text.push_str(&rfc3339(at));
        text.push_str("\",\"event\":\"");
        text.push_str(event);
        text.push('"');
        Body { text }
    }

    /// As somebody writes it who forges a record.
    #[cfg(test)]
    pub(crate) fn of_text(text: String) -> Body {
        Body { text }
    }

    fn name(&mut self, name: &'static str) {
        self.text.push_str(",\"");
        self.text.push_str(name);
        self.text.push_str("\":");
    }

    /// A value that is JSON already.
    pub(crate) fn raw(mut self, name: &'static str, json: &str) -> Body {
        self.name(name);
        self.text.push_str(json);
        self
    }

    pub(crate) fn text(mut self, name: &'static str, value: &str) -> Body {
        self.name(name);
        quote(&mut self.text, value);
        self
    }

    pub(crate) fn hash(mut self, name: &'static str, version: &Version) -> Body {
        self.name(name);
        self.text.push('"');
        self.text.push_str(blake3::Hash::from_bytes(*version.as_bytes()).to_hex().as_str());
        self.text.push('"');
        self
    }

    pub(crate) fn number(mut self, name: &'static str, value: u64) -> Body {
        self.name(name);
        let mut text = Vec::with_capacity(20);
        digits(&mut text, value);
        self.text.extend(text.into_iter().map(char::from));
        self
    }

    /// A path relative to the workspace's folder, with `/` between its parts, and where it is no text its bytes as well.
    pub(crate) fn path(mut self, name: &'static str, path: &Path) -> Body {
        self.name(name);
        let text = path.to_string_lossy();
        if cfg!(windows) {
            quote(&mut self.text, &text.replace('\\', "/"));
        } else {
            quote(&mut self.text, &text);
        }
        if let Some(bytes) = exact(path) {
            self.name("path_bytes");
            quote(&mut self.text, &bytes);
        }
        self
    }

    pub(crate) fn texts(mut self, name: &'static str, values: impl Iterator<Item = String>) -> Body {
        self.name(name);
        self.text.push('[');
        for (i, value) in values.take(MOST_VERSIONS).enumerate() {
            if i > 0 {
                self.text.push(',');
            }
            quote(&mut self.text, &value);
        }
        self.text.push(']');
        self
    }

    pub(crate) fn flag(self, name: &'static str, value: bool) -> Body {
        if value { self.raw(name, "true") } else { self }
    }

    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }
}

/// A name as JSON, no longer than records have it.
pub(super) fn quoted(name: &str) -> String {
    let mut end = name.len().min(LONGEST_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let mut json = String::with_capacity(end + 2);
    quote(&mut json, &name[..end]);
    json
}

/// Appends a JSON text. It never has a line's end in it.
fn quote(out: &mut String, value: &str) {
    out.push('"');
    let mut rest = value;
    while let Some(at) = rest.bytes().position(|b| b < 0x20 || b == b'"' || b == b'\\' || b == 0x7f) {
        out.push_str(&rest[..at]);
        let byte = rest.as_bytes()[at];
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\r' => out.push_str("\\r"),
            _ => {
                let digit = |n: u8| char::from(b"0123456789abcdef"[usize::from(n & 15)]);
                out.push_str("\\u00");
                out.extend([digit(byte >> 4), digit(byte)]);
            }
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// The name of the file whose first record has this number.
pub(super) fn file_name(n: u64) -> OsString {
    format!("{n:020}.jsonl").into()
}

/// The number in the name of an audit file; `None`: it is none.
pub(super) fn number_of(name: &std::ffi::OsStr) -> Option<u64> {
    let digits = name.to_str()?.strip_suffix(".jsonl").filter(|digits| digits.len() == 20)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> Body {
        Body::new(SystemTime::UNIX_EPOCH, "write")
    }

    /// KEEP-2: the chain can be computed by hand from what lies on the disk.
    #[test]
    fn form() {
        let mut out = Vec::new();
        let first = append(&mut out, None, None, &body().text("path", "a"));
        let second = append(&mut out, None, Some(&first), &body().number("generation", 0).flag("f", true));
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let head = "{\"n\":1,\"at\":\"1970-01-01T00:00:00.000Z\",\"event\":\"write\",\"path\":\"a\"";
        let chain = blake3::hash(head.as_bytes()).to_hex();
        assert_eq!(lines[0], format!("{head},\"chain\":\"{chain}\"}}"));
        let (head, tail) = lines[1].split_once(",\"chain\":\"").unwrap();
        assert_eq!(tail, format!("{}\"}}", blake3::hash(format!("{chain}{head}").as_bytes()).to_hex()));
        assert_eq!((first.n, second.n), (1, 2));
        for (line, link) in lines.iter().zip([first, second]) {
            assert_eq!(split(line.as_bytes()).unwrap().0, link);
        }
    }

    /// KEEP-2: whatever a name is made of, a record is one line, and JSON.
    #[test]
    fn any_name() {
        let odd = "a\"b\\c\nd\re\tf\u{0}\u{1f}\u{7f}\u{2028}ü";
        let mut out = Vec::new();
        append(&mut out, None, None, &body().text("path", odd).raw("session", &quoted(&"ü\n".repeat(9999))));
        assert_eq!(out.iter().filter(|b| **b == b'\n').count(), 1);
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["path"], odd);
        let session = value["session"].as_str().unwrap();
        assert!(session.len() <= LONGEST_NAME && session.starts_with("ü\nü"), "{}", session.len());
    }

    /// KEEP-2: the longest record has a bound.
    #[cfg(unix)]
    #[test]
    fn longest() {
        use std::os::unix::ffi::OsStringExt;
        let path = std::path::PathBuf::from(OsString::from_vec(vec![0xff; 4096]));
        let versions = (0..9999_u32).map(|n| blake3::hash(&n.to_le_bytes()).to_hex().to_string());
        let long = body().path("path", &path).raw("session", &quoted(&"\u{1}".repeat(9999)));
        let long = long.texts("passed", versions);
        let mut out = Vec::new();
        append(&mut out, None, None, &long);
        assert!(out.len() < LONGEST && long.len() > 4096, "{}", out.len());
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["path_bytes"], "ff".repeat(4096));
        assert_eq!(value["passed"].as_array().unwrap().len(), MOST_VERSIONS);
    }

    /// KEEP-2: what is no record is none.
    #[test]
    fn foreign_lines() {
        let mut out = Vec::new();
        append(&mut out, None, None, &body());
        let good = out.strip_suffix(b"\n").unwrap();
        assert!(split(good).is_some());
        for n in 0..good.len() {
            assert_eq!(split(&good[..n]), None);
        }
        let text = std::str::from_utf8(good).unwrap();
        for bad in [text.replace("\"n\":1", "\"n\":01"), text.replace("\"n\":1", "\"n\":"), text.to_uppercase()] {
            assert_eq!(split(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(number_of(&file_name(7)), Some(7));
        assert_eq!(file_name(u64::MAX).len(), 26);
        for name in ["7.jsonl", "0000000000000000000x.jsonl", "00000000000000000007.json", "99999999999999999999.jsonl"]
        {
            assert_eq!(number_of(name.as_ref()), None, "{name}");
        }
    }
}
