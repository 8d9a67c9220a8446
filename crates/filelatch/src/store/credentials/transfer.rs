//! Credentials from and to other files.
//!
//! The form is a JSON object, by key:
//!
//! ```json
//! {
//!   "credentials": {
//!     "github": {"text": "ghp_…", "expires": "2027-01-01T00:00:00Z", "note": "read only"},
//!     "signing key": {"base64": "MIIEvQ…"},
//!     "short": "also as a mere text"
//!   }
//! }
//! ```
//!
//! Who stored one and when is not part of it: whoever imports it does.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use super::record::{Base64, Credential, NewCredential, Table, Text, admit, forms, secret_of};
use super::{Credentials, Refused, options};
use crate::error::{Error, Result};
use crate::file::WriteOptions;
use crate::lock::LockOptions;
use crate::store::tokens::{When, shown};
use crate::store::{Secret, StoreError};
use crate::version::Expect;
use crate::write::Durability;

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// New ones.
    pub added: usize,
    /// Those that stand in the place of others.
    pub replaced: usize,
    /// Those that were there already, just so.
    pub unchanged: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Transfer {
    credentials: Items,
}

/// By key; a key that stands there twice is an error.
#[derive(Serialize)]
#[serde(transparent)]
struct Items(BTreeMap<String, Item>);

#[derive(Serialize)]
struct Item {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<Base64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<When>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    text: Option<Text>,
    base64: Option<Base64>,
    expires: Option<When>,
    note: Option<String>,
}

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Items;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("credentials by key")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Items, A::Error> {
                let mut items = BTreeMap::new();
                while let Some((key, item)) = map.next_entry::<String, Item>()? {
                    if items.insert(key, item).is_some() {
                        return Err(de::Error::custom("a key stands there twice"));
                    }
                }
                Ok(Items(items))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Item;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a credential: a text, or an object with `text` or `base64`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Item, E> {
                let (text, base64) = forms(&Secret::new(text));
                Ok(Item { text, base64, expires: None, note: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Item, A::Error> {
                let Whole { text, base64, expires, note } =
                    Whole::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Item { text, base64, expires, note })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Credentials {
    /// Stores all credentials of a JSON text (see the head of the module), or none. A key that has another credential already is refused
    /// ([`StoreError::Exists`]) unless `replace`. Refreshes that have begun are waited for.
    pub fn import(&self, json: &[u8], replace: bool, lock: &LockOptions<'_>) -> Result<Imported> {
        let items = read(json).map_err(|e| self.wrong(e))?;
        let nonce = self.nonce()?;
        let mut done = Imported::default();
        let written = self.file.update_bytes(&options(lock), |old| {
            done = Imported::default();
            let table = old.map(|old| self.decode(old)).transpose()?;
            let mut table = table.map(std::sync::Arc::unwrap_or_clone).unwrap_or_default();
            for (key, new) in &items {
                self.bring(&mut table, key, new, replace, &mut done)?;
            }
            let changed = done.added + done.replaced > 0;
            Ok::<_, Refused<Error>>(if changed { Some(self.encode(&table, old, nonce)?) } else { None })
        });
        self.forget();
        written.map_err(|refused| self.refusal(refused))?;
        Ok(done)
    }

    /// As [`Credentials::import`], of a file, which must be private: one that others may open, that belongs to another user, or a symbolic link is
    /// refused.
    pub fn import_file(&self, path: impl AsRef<Path>, replace: bool, lock: &LockOptions<'_>) -> Result<Imported> {
        let file = self.latch.private_file(path.as_ref())?;
        let read = file.read();
        file.entry()?.forget();
        let imported = self.import(read?.bytes(), replace, lock);
        // What is wrong with its content is about that file.
        imported.map_err(|e| match e {
            Error::Store { source: source @ StoreError::Damaged { .. }, path: own } if own == self.path() => {
                let path = if self.table().is_ok() { file.path().to_owned() } else { own };
                Error::Store { path, source }
            }
            e => e,
        })
    }

    /// All credentials as JSON, secrets included.
    pub fn export(&self) -> Result<Secret> {
        let item = |credential: &Credential| {
            let (text, base64) = forms(&credential.secret);
            Item { text, base64, expires: credential.expires.map(When::of), note: credential.note.clone() }
        };
        let items = self.table()?.iter().map(|(key, credential)| (key.clone(), item(credential))).collect();
        let transfer = Transfer { credentials: Items(items) };
        let json = serde_json::to_vec_pretty(&transfer).map(Zeroizing::new);
        let mut json = json.map_err(|e| Error::Internal { path: self.path(), message: e.to_string() })?;
        json.push(b'\n');
        Ok(Secret::new(std::mem::take(&mut *json)))
    }

    /// Writes all credentials to a file with mode 0600, secrets as they are. One that exists is refused unless `force`; one that others may open,
    /// that belongs to another user, or a symbolic link in any case.
    pub fn export_file(&self, path: impl AsRef<Path>, force: bool, lock: &LockOptions<'_>) -> Result<()> {
        let json = self.export()?;
        let file = self.latch.private_file(path.as_ref())?;
        if file.id() == self.file.id() {
            let (problem, hint) = ("credentials can't be exported to their own file", "name another");
            return Err(self.wrong(StoreError::Invalid { problem: problem.to_owned(), hint: hint.to_owned() }));
        }
        let expect = if force { Expect::Any } else { Expect::Absent };
        let options = WriteOptions::new().expect(expect).durability(Durability::Full).lock(lock.clone());
        file.write(json.expose(), &options).map(drop)
    }

    fn bring(
        &self,
        table: &mut Table,
        key: &str,
        new: &NewCredential,
        replace: bool,
        done: &mut Imported,
    ) -> Result<(), StoreError> {
        match table.get(key) {
            Some(old)
                if old.secret.expose() == new.secret.expose()
                    && old.expires.map(When::of) == new.expires.map(When::of)
                    && (new.note.is_none() || old.note == new.note) =>
            {
                done.unchanged += 1;
                return Ok(());
            }
            Some(_) if !replace => return Err(StoreError::Exists { what: "credential", id: shown(key) }),
            Some(_) => done.replaced += 1,
            None => done.added += 1,
        }
        self.put(table, key, new.clone());
        Ok(())
    }
}

/// The credentials of a JSON text.
fn read(json: &[u8]) -> Result<BTreeMap<String, NewCredential>, StoreError> {
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    let transfer: Transfer = serde_json::from_slice(json).map_err(|e| {
        // Of the parser's message only the place: the rest may have a piece of a secret in it.
        StoreError::Damaged {
            line: Some(e.line() as u64),
            offset: None,
            problem: match e.classify() {
                serde_json::error::Category::Data => "this is JSON, but no list of credentials",
                _ => "this is not JSON",
            }
            .to_owned(),
            way_out: "the form is {\"credentials\": {\"KEY\": {\"text\": \"…\"}}}".to_owned(),
        }
    })?;
    let mut items = BTreeMap::new();
    for (key, Item { text, base64, expires, note }) in transfer.credentials.0 {
        let secret = secret_of(text, base64).ok_or_else(|| StoreError::Invalid {
            problem: format!("`{}` has not one secret", shown(&key)),
            hint: "give it either `text` or `base64`".to_owned(),
        })?;
        let new = NewCredential { secret, expires: expires.map(|when| when.0), note };
        admit(&key, &new)?;
        items.insert(key, new);
    }
    Ok(items)
}
