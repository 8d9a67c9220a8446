//! One credential: in memory, and as a line of the file.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::store::sheet::Form;
use crate::store::tokens::{When, shown};
use crate::store::{Secret, StoreError};

pub(super) const FORM: Form = Form { name: "credentials", version: 1 };
/// Longer keys and notes are refused.
const KEY: usize = 500;
/// Longer secrets are refused: certificates with their chains are shorter.
const LARGEST: usize = 1 << 20;
/// More are refused: the file is read as a whole.
const MOST: usize = 10_000;

/// A credential, as it is stored.
#[derive(Clone, Debug)]
pub struct Credential {
    /// What it is found by.
    pub key: String,
    /// The secret.
    pub secret: Secret,
    /// When it ends; `None`: not by itself, or nobody has said.
    pub expires: Option<SystemTime>,
    /// When it was stored.
    pub updated: SystemTime,
    /// By which session.
    pub by: String,
    /// What people want to know of it. No secret: it is listed.
    pub note: Option<String>,
}

impl Credential {
    /// Is it good for this long from `now` on? One that does not expire is.
    pub fn lasts(&self, now: SystemTime, margin: Duration) -> bool {
        self.expires.is_none_or(|end| end.duration_since(now).is_ok_and(|left| left > margin))
    }
}

/// A credential without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialInfo {
    /// What it is found by.
    pub key: String,
    /// When it ends.
    pub expires: Option<SystemTime>,
    /// When it was stored.
    pub updated: SystemTime,
    /// By which session.
    pub by: String,
    /// What people want to know of it.
    pub note: Option<String>,
}

/// What is to be stored.
#[derive(Clone, Debug)]
pub struct NewCredential {
    pub(super) secret: Secret,
    pub(super) expires: Option<SystemTime>,
    pub(super) note: Option<String>,
}

impl NewCredential {
    /// This secret, which does not expire by itself.
    pub fn new(secret: Secret) -> NewCredential {
        NewCredential { secret, expires: None, note: None }
    }

    /// It ends then.
    #[must_use]
    pub fn expires(mut self, at: SystemTime) -> Self {
        self.expires = Some(at);
        self
    }

    /// A note, which everybody who may list sees. Without one, that of the credential before stays; an empty one removes it.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

/// One line of the file. Exactly one of `text` and `base64` is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<Base64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<When>,
    updated: When,
    by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// All credentials, by key.
pub(super) type Table = BTreeMap<String, Credential>;

pub(super) fn parse(bytes: &[u8]) -> Result<Table, StoreError> {
    let records: Vec<Record> = FORM.read(bytes)?;
    let mut table = Table::new();
    for (i, record) in records.into_iter().enumerate() {
        let Record { key, text, base64, expires, updated, by, note } = record;
        let secret = secret_of(text, base64).ok_or_else(|| StoreError::Damaged {
            line: Some(i as u64 + 2),
            offset: None,
            problem: "it has not one secret".to_owned(),
            way_out: "restore the file from a backup, or remove the line and lower `count` in line 1 by one".to_owned(),
        })?;
        let expires = expires.map(|when| when.0);
        table.insert(key.clone(), Credential { key, secret, expires, updated: updated.0, by, note });
    }
    Ok(table)
}

/// The bytes of the file. To be wiped.
pub(super) fn print(table: &Table, nonce: [u8; super::NONCE]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    if table.len() > MOST {
        let hint = "delete what is not needed, or use another file".to_owned();
        return Err(StoreError::Invalid { problem: format!("{MOST} credentials is the most a file may have"), hint });
    }
    let record = |credential: &Credential| {
        let (text, base64) = forms(&credential.secret);
        Record {
            key: credential.key.clone(),
            text,
            base64,
            expires: credential.expires.map(When::of),
            updated: When::of(credential.updated),
            by: credential.by.clone(),
            note: credential.note.clone(),
        }
    };
    let records: Vec<_> = table.values().map(record).collect();
    FORM.write(nonce, &records).map(Zeroizing::new)
}

/// A secret as text if it is, else in base64.
pub(super) fn forms(secret: &Secret) -> (Option<Text>, Option<Base64>) {
    match secret.expose_text() {
        Some(_) => (Some(Text(secret.clone())), None),
        None => (None, Some(Base64(secret.clone()))),
    }
}

/// The one of both that is there.
pub(super) fn secret_of(text: Option<Text>, base64: Option<Base64>) -> Option<Secret> {
    match (text, base64) {
        (Some(Text(secret)), None) | (None, Some(Base64(secret))) => Some(secret),
        _ => None,
    }
}

/// Can this be stored?
pub(super) fn admit(key: &str, new: &NewCredential) -> Result<(), StoreError> {
    let refuse = |problem: String, hint: &str| Err(StoreError::Invalid { problem, hint: hint.to_owned() });
    if key.is_empty() || key.len() > KEY || key.chars().any(char::is_control) {
        return refuse(format!("`{}` is no key", shown(key)), "a key has 1 to 500 bytes and no control characters");
    }
    if new.secret.is_empty() {
        return refuse(format!("the secret of `{}` is empty", shown(key)), "to be rid of a credential, delete it");
    }
    if new.secret.len() > LARGEST {
        return refuse(format!("the secret of `{}` is longer than 1 MiB", shown(key)), "keep it in a file of its own");
    }
    if new.note.as_ref().is_some_and(|note| note.len() > KEY || note.chars().any(char::is_control)) {
        return refuse("this is no note".to_owned(), "a note has up to 500 bytes and no control characters");
    }
    Ok(())
}

/// A secret that is text.
#[derive(Clone, Debug)]
pub(super) struct Text(Secret);

/// A secret that need not be text: RFC 4648 §4, with padding.
#[derive(Clone, Debug)]
pub(super) struct Base64(Secret);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_text().unwrap_or_default())
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(encode(self.0.expose())))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Taken(|text| Some(Text(Secret::new(text)))))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Taken(|text| decode(text).map(|bytes| Base64(Secret::new(bytes)))))
    }
}

/// Takes a text without another copy of it, and keeps it out of messages.
struct Taken<T>(fn(&str) -> Option<T>);

impl<T> Visitor<'_> for Taken<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).ok_or_else(|| E::custom("not base64"))
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode(bytes: &[u8]) -> String {
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

fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for chunk in digits.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for digit in chunk {
            bits = bits << 6 | u32::try_from(DIGITS.iter().position(|known| known == digit)?).ok()?;
        }
        let count = match chunk.len() {
            4 => 3,
            3 => 2,
            2 => 1,
            _ => return None,
        };
        bits <<= 6 * (4 - chunk.len());
        let all = bits.to_be_bytes();
        bytes.extend_from_slice(&all[1..=count]);
        // What is cut off must have been nothing.
        if all[1 + count..].iter().any(|byte| *byte != 0) {
            return None;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// STORE-6: RFC 4648 §10, and what is not in its form.
    #[test]
    fn base64() {
        for (bytes, text) in [("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy"), ("", "")] {
            assert_eq!((encode(bytes.as_bytes()), decode(text)), (text.to_owned(), Some(bytes.as_bytes().to_vec())));
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)), Some(all));
        for wrong in ["Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zg==Zg==", "Z g=", "Zg-_", "====", "Zä=="] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }

    /// STORE-6: secrets that are text, or not, come back; messages of the parser have none of them.
    #[test]
    fn lines() {
        let mut table = Table::new();
        for (key, secret) in
            [("a", &b"two\nlines \"quoted\" \\ \xc3\xa4"[..]), ("b", b"\xff\x00\xfe"), ("\u{e4} x", b"{}")]
        {
            let (expires, note) =
                (Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_000_000_123)), Some("n".to_owned()));
            let (secret, updated) = (Secret::new(secret), SystemTime::UNIX_EPOCH);
            table.insert(
                key.to_owned(),
                Credential { key: key.to_owned(), secret, expires, updated, by: "me".to_owned(), note },
            );
        }
        let bytes = print(&table, [1; 16]).unwrap();
        let again = parse(&bytes).unwrap();
        assert_eq!(print(&again, [1; 16]).unwrap(), bytes);
        let secrets: Vec<_> = again.values().map(|credential| credential.secret.expose().to_vec()).collect();
        assert_eq!(secrets[1], b"\xff\x00\xfe");
        for (text, error) in [
            (r#"{"key":"k","text":"hunter2","updated":"x","by":"b"}"#, "no point in time"),
            (r#"{"key":"k","text":"a","hunter2":"b"}"#, ""),
            (r#"{"key":"k","base64":"hunter2"}"#, "not base64"),
        ] {
            let told = serde_json::from_str::<Record>(text).unwrap_err().to_string();
            assert!(told.contains(error), "{told}");
        }
        let both = r#"{"key":"k","text":"a","base64":"Zg==","updated":"2026-01-01T00:00:00Z","by":"b"}"#;
        let record: Record = serde_json::from_str(both).unwrap();
        let bytes = FORM.write([0; 16], &[record]).unwrap();
        assert!(matches!(parse(&bytes), Err(StoreError::Damaged { line: Some(2), .. })));
    }

    /// STORE-6: what lasts how long.
    #[test]
    fn lasting() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let of = |expires: Option<u64>| Credential {
            key: String::new(),
            secret: Secret::new("x"),
            expires: expires.map(|at| SystemTime::UNIX_EPOCH + Duration::from_secs(at)),
            updated: now,
            by: String::new(),
            note: None,
        };
        let margin = Duration::from_secs(10);
        assert!(of(None).lasts(now, margin) && of(Some(111)).lasts(now, margin));
        assert!(!of(Some(110)).lasts(now, margin) && !of(Some(99)).lasts(now, Duration::ZERO));
        assert!(of(Some(101)).lasts(now, Duration::ZERO) && !of(Some(u64::from(u32::MAX))).lasts(now, Duration::MAX));
    }
}
