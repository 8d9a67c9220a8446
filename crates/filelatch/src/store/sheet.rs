//! The form of small stores that are read as a whole: a JSON document with one record on each line, each line with a checksum.
//!
//! ```text
//! {"form":"tokens","version":1,"count":2,"nonce":"…","records":[
//! {"id":"…","name":"…","check":"0123456789abcdef"},
//! {"id":"…","name":"…","check":"0123456789abcdef"}
//! ]}
//! ```
//!
//! # Promise
//! One wrong byte anywhere, a line too few or too many, or an end that is missing is an error that names the line. Only in the nonce, and in
//! the commas between the lines, it goes unnoticed, and harms nothing. Nothing is read half.
//!
//! # Invariants
//! - `check` is the first 16 digits of the BLAKE3 hash of the line before it. It finds damage, not forgery.
//! - `nonce` is drawn anew for each version: nobody who has a hash of the file can try out what short secrets in it may be.
//! - A way out by hand is left: a line may be removed if `count` is lowered.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use zeroize::Zeroizing;

use super::StoreError;

const CHECK: &str = ",\"check\":\"";
const DIGITS: usize = 16;
const LAST: &[u8] = b"]}";
pub(super) const NONCE: usize = 16;

/// What a sheet holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) version: u64,
}

impl Form {
    /// The bytes of these records. To be wiped by whoever gets them, if there are secrets in them.
    pub(super) fn write<R: Serialize>(self, nonce: [u8; NONCE], records: &[R]) -> Result<Vec<u8>, StoreError> {
        let nonce = format!("{:032x}", u128::from_be_bytes(nonce));
        let mut lines = Vec::with_capacity(records.len());
        for record in records {
            let line = serde_json::to_vec(record).map_err(|_| StoreError::Invalid {
                problem: "a record has no form as JSON".to_owned(),
                hint: "it was not stored".to_owned(),
            })?;
            lines.push(Zeroizing::new(line));
        }
        let head = self.head(records.len() as u64, &nonce);
        // Of the right size at once: a vector that grows leaves copies of what was in it.
        let size = lines.iter().map(|line| line.len() + CHECK.len() + DIGITS + 4).sum::<usize>() + head.len() + 8;
        let mut out = Vec::with_capacity(size);
        out.extend_from_slice(head.as_bytes());
        out.push(b'\n');
        for (i, line) in lines.iter().enumerate() {
            let inner = line.strip_suffix(b"}").unwrap_or(line);
            out.extend_from_slice(inner);
            out.extend_from_slice(CHECK.as_bytes());
            out.extend_from_slice(check(inner).as_bytes());
            out.extend_from_slice(if i + 1 == lines.len() { b"\"}\n" } else { b"\"},\n" });
        }
        out.extend_from_slice(LAST);
        out.push(b'\n');
        Ok(out)
    }

    fn head(self, count: u64, nonce: &str) -> String {
        let Form { name, version } = self;
        format!("{{\"form\":\"{name}\",\"version\":{version},\"count\":{count},\"nonce\":\"{nonce}\",\"records\":[")
    }

    /// The records in these bytes.
    pub(super) fn read<R: DeserializeOwned>(self, bytes: &[u8]) -> Result<Vec<R>, StoreError> {
        if bytes.is_empty() {
            return Err(damaged(1, "the file is empty", "restore it from a backup, or remove it to begin anew"));
        }
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let count = self.count(lines.next().unwrap_or_default())?;
        let mut records = Vec::new();
        let mut number = 1;
        loop {
            number += 1;
            let line = match lines.next() {
                None => return Err(cut(number)),
                Some(LAST) => break,
                Some(line) => line,
            };
            if records.len() as u64 == count {
                let way_out =
                    format!("put the number of records into `count` in line 1 (it says {count}) if they are all yours");
                return Err(damaged(number, "here is more than was written", &way_out));
            }
            let wrong = |problem: &str| {
                let lower = "or remove the line (what it held is lost) and put the number of lines that are left into `count` in line 1";
                damaged(number, problem, &format!("restore the file from a backup, {lower}"))
            };
            // Whoever has removed the last line by hand may have left the comma before it.
            let inner = line.strip_suffix(b",").unwrap_or(line).strip_suffix(b"\"}").and_then(checked);
            let inner = inner.ok_or_else(|| wrong("it is not what was written"))?;
            let json = Zeroizing::new([inner, b"}"].concat());
            // The parser's message may have a piece of the content in it.
            records.push(serde_json::from_slice(&json).map_err(|_| wrong("it is no record of this store"))?);
        }
        if records.len() as u64 != count {
            let problem = format!("{count} records are announced, and {} are there", records.len());
            let way_out = "restore the file from a backup, or put the number of lines that are left into `count`";
            return Err(damaged(1, &problem, way_out));
        }
        match (lines.next(), lines.next()) {
            (Some(b""), None) => Ok(records),
            (None, _) => Err(cut(number)),
            _ => Err(damaged(number + 1, "something follows the end", "remove what follows the line `]}`")),
        }
    }

    /// The number of records that the first line announces.
    fn count(self, line: &[u8]) -> Result<u64, StoreError> {
        let wrong =
            |problem: String| damaged(1, &problem, "restore the file from a backup, or move it away to begin anew");
        let not_ours = || wrong(format!("it does not begin a file of {}", self.name));
        let json = line.strip_suffix(b",\"records\":[").ok_or_else(not_ours)?;
        let value: Value = serde_json::from_slice(&[json, b"}"].concat()).map_err(|_| not_ours())?;
        let number = |field: &str| value.get(field).and_then(Value::as_u64);
        if value.get("form").and_then(Value::as_str) != Some(self.name) {
            return Err(not_ours());
        }
        match number("version") {
            Some(found) if found > self.version => return Err(StoreError::Newer { found, known: self.version }),
            Some(found) if found == self.version => {}
            _ => return Err(wrong("there is no such version of its form".to_owned())),
        }
        let nonce = value.get("nonce").and_then(Value::as_str).unwrap_or_default();
        let count = number("count").unwrap_or_default();
        if nonce.len() != 2 * NONCE
            || !nonce.bytes().all(|b| b.is_ascii_hexdigit())
            || self.head(count, nonce).as_bytes() != line
        {
            return Err(not_ours());
        }
        Ok(count)
    }
}

fn check(inner: &[u8]) -> String {
    blake3::hash(inner).to_hex()[..DIGITS].to_owned()
}

/// What stands before a checksum that fits.
fn checked(line: &[u8]) -> Option<&[u8]> {
    let (line, digits) = line.split_at_checked(line.len().checked_sub(DIGITS)?)?;
    let inner = line.strip_suffix(CHECK.as_bytes())?;
    (check(inner).as_bytes() == digits).then_some(inner)
}

fn damaged(line: u64, problem: &str, way_out: &str) -> StoreError {
    StoreError::Damaged { line: Some(line), offset: None, problem: problem.to_owned(), way_out: way_out.to_owned() }
}

fn cut(line: u64) -> StoreError {
    damaged(
        line,
        "the end of the file is missing",
        "restore it from a backup, or write `]}` as its last line after its last whole record",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    const FORM: Form = Form { name: "things", version: 3 };

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Thing {
        name: String,
        n: u64,
    }

    fn things(n: u64) -> Vec<Thing> {
        (0..n).map(|n| Thing { name: format!("thing \"{n}\"\n}},"), n }).collect()
    }

    /// STORE-3, STORE-6: what is written is read again, is JSON as a whole, and differs by its nonce only.
    #[test]
    fn round_trip() {
        for n in [0, 1, 2, 5] {
            let bytes = FORM.write([7; NONCE], &things(n)).unwrap();
            assert_eq!(FORM.read::<Thing>(&bytes).unwrap(), things(n));
            let value: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(value["records"].as_array().unwrap().len() as u64, n);
            let other = FORM.write([8; NONCE], &things(n)).unwrap();
            assert_eq!(bytes.iter().zip(&other).filter(|(a, b)| a != b).count(), NONCE);
        }
    }

    /// STORE-3, STORE-6: every byte changed in every way that matters or left out, every cut and every line removed or doubled is an error that
    /// names a line and a way out; what goes unnoticed (the nonce, a comma) means nothing.
    #[test]
    fn every_damage() {
        let whole = FORM.write([7; NONCE], &things(3)).unwrap();
        let mut unnoticed = 0;
        let mut refused = |bytes: &[u8], what: &str| match FORM.read::<Thing>(bytes) {
            Err(StoreError::Damaged { line: Some(line), way_out, .. }) => {
                assert!((1..=6).contains(&line) && !way_out.is_empty(), "{what}");
            }
            Err(StoreError::Newer { known: 3, .. }) => {}
            Ok(read) if read == things(3) => unnoticed += 1,
            other => panic!("{what}: {other:?}"),
        };
        for at in 0..whole.len() {
            for new in [whole[at] ^ 1, whole[at] ^ 0x20, whole[at] ^ 0x80, b'\n', b'"', b' ', b'0', 0] {
                let mut bytes = whole.clone();
                bytes[at] = new;
                if bytes != whole {
                    refused(&bytes, &format!("{new:#x} at {at}"));
                }
            }
            refused(&whole[..at], &format!("cut at {at}"));
            refused(&[&whole[..at], &whole[at + 1..]].concat(), &format!("without {at}"));
        }
        let lines: Vec<_> = whole.split_inclusive(|byte| *byte == b'\n').collect();
        for i in 0..lines.len() {
            refused(&[&lines[..i], &lines[i + 1..]].concat().concat(), &format!("without line {i}"));
            refused(&[&lines[..=i], &lines[i..]].concat().concat(), &format!("line {i} twice"));
        }
        refused(&[&whole[..], b"x"].concat(), "more at the end");
        let text = String::from_utf8(whole.clone()).unwrap();
        refused(text.replace('\n', "\r\n").as_bytes(), "other ends of lines");
        // Digits of the nonce that were changed into others, and the two commas left out.
        assert_eq!(unnoticed, 2 * NONCE + NONCE + 2, "{}", String::from_utf8_lossy(&whole));
    }

    /// STORE-3, STORE-6: the way out that messages speak of is one.
    #[test]
    fn mended_by_hand() {
        let whole = String::from_utf8(FORM.write([7; NONCE], &things(3)).unwrap()).unwrap();
        let lines: Vec<_> = whole.lines().collect();
        let head = lines[0].replace("\"count\":3", "\"count\":2");
        for lost in 0..3 {
            let mut left: Vec<_> = lines[1..].to_vec();
            left.remove(lost);
            let mended = [&[head.as_str()], &left[..], &[""]].concat().join("\n");
            let mut wanted = things(3);
            wanted.remove(lost);
            assert_eq!(FORM.read::<Thing>(mended.as_bytes()).unwrap(), wanted);
        }
    }
}
