//! What is printed: data to standard output, talk to standard error.

use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use filelatch::{Author, LatchFile, Notice, Written};
use serde_json::{Map, Value, json};

use crate::render::{CliError, stderr_line};

/// Writes bytes to standard output.
pub(crate) fn data(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(CliError::Stdout)
}

/// Writes one line to standard output.
pub(crate) fn line(text: &str) -> Result<(), CliError> {
    data(format!("{text}\n").as_bytes())
}

/// Writes text with styles, which only a terminal is shown.
pub(crate) fn styled(text: &[u8]) -> Result<(), CliError> {
    let mut out = anstream::stdout().lock();
    out.write_all(text).and_then(|()| out.flush()).map_err(CliError::Stdout)
}

/// Writes one line of JSON to standard output.
pub(crate) fn json(value: &Value) -> Result<(), CliError> {
    line(&value.to_string())
}

/// A path in JSON; what is not text is shown with replacement characters.
pub(crate) fn path(path: &Path) -> Value {
    path.to_string_lossy().into()
}

/// RFC 3339, UTC.
pub(crate) fn time(time: SystemTime) -> Value {
    Some(filelatch::show::time(time)).filter(|text| !text.is_empty()).into()
}

/// A moment for people: UTC, to the second.
pub(crate) fn moment(time: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(time).map_or_else(|_| String::new(), |time| format!("{time:.0}"));
    time.replacen('T', " ", 1)
}

/// `lastModifiedBy`.
pub(crate) fn author(author: &Author) -> Value {
    author.to_string().into()
}

/// Content for JSON: text as it is, else base64 with a note of it.
pub(crate) fn content(object: &mut Map<String, Value>, bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        object.insert("content".to_owned(), text.into());
    } else {
        object.insert("content".to_owned(), base64(bytes).into());
        object.insert("encoding".to_owned(), "base64".into());
    }
}

/// RFC 4648 §4, with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |i: usize| u32::from(chunk.get(i).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= chunk.len() { digit as char } else { '=' });
        }
    }
    text
}

/// Tells of a successful change: its hash, or all of it in JSON; notices on standard error.
pub(crate) fn written(file: &LatchFile, written: &Written, as_json: bool) -> Result<(), CliError> {
    notices(file, written);
    let hash = written.version.map(|version| version.to_string());
    if !as_json {
        if let Some(overwrote) = &written.overwrote {
            note(&format!("overwrote the version {overwrote}"));
        }
        return hash.map_or(Ok(()), |hash| line(&hash));
    }
    let mut object = Map::new();
    object.insert("success".to_owned(), true.into());
    object.insert("path".to_owned(), path(file.path()));
    object.insert("hash".to_owned(), hash.into());
    object.insert("outcome".to_owned(), written.outcome.to_string().into());
    if let Some(overwrote) = &written.overwrote {
        object.insert("overwrote".to_owned(), overwrote.to_string().into());
    }
    let notices: Vec<_> = written.notices.iter().map(ToString::to_string).collect();
    object.insert("notices".to_owned(), json!(notices));
    json(&Value::Object(object))
}

/// What a change could not keep, on standard error.
pub(crate) fn notices(file: &LatchFile, written: &Written) {
    for notice in &written.notices {
        match notice {
            // Told before already, when it is the configuration's wish.
            // Told once for all, at the end.
            Notice::NotAudited { .. } => {}
            Notice::Unlocked { .. } if !file.policy().locks => {}
            Notice::Unlocked { why } => warning(why),
            other => note(&other.to_string()),
        }
    }
}

/// Something that is good to know.
pub(crate) fn note(text: &str) {
    stderr_line("note", anstyle::AnsiColor::Cyan.on_default().bold(), text);
}

/// Something that puts data at risk.
pub(crate) fn warning(text: &str) {
    stderr_line("warning", anstyle::AnsiColor::Yellow.on_default().bold(), text);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648 §10.
    #[test]
    fn base64_vectors() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
    }
}
