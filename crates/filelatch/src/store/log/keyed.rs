//! A log as a map: records that create, change and delete values by key.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::handle::{Log, LogOptions};
use super::journal::{Fold, Journal};
use crate::error::{Error, Result};
use crate::store::StoreError;
use crate::write::Durability;

/// What a record says of a key, if it says something.
pub(super) struct Op<'r> {
    pub(super) key: Cow<'r, str>,
    pub(super) deletes: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form<'r, V> {
    #[serde(borrow)]
    op: Cow<'r, str>,
    #[serde(borrow)]
    key: Cow<'r, str>,
    value: Option<V>,
}

impl<'r> Op<'r> {
    pub(super) fn parse(record: &'r [u8]) -> Option<Op<'r>> {
        let form: Form<'r, IgnoredAny> = serde_json::from_slice(record).ok()?;
        let deletes = match &*form.op {
            "create" | "update" => false,
            "delete" => true,
            _ => return None,
        };
        Some(Op { key: form.key, deletes })
    }
}

/// Keys by their hashes: two of 2^64 keys may meet.
pub(super) fn key_of(key: &str) -> [u64; 2] {
    let hash = blake3::hash(key.as_bytes());
    let part = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash.as_bytes()[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    [part(0), part(8)]
}

/// The last value of each key, as JSON.
#[derive(Debug, Default)]
struct Values(BTreeMap<String, Value>);

impl Fold for Values {
    fn apply(&mut self, _offset: u64, record: &[u8]) -> Result<(), StoreError> {
        let Some(op) = Op::parse(record) else { return Ok(()) };
        if op.deletes {
            self.0.remove(&*op.key);
            return Ok(());
        }
        let form: Form<'_, Value> = serde_json::from_slice(record).map_err(|e| StoreError::Invalid {
            problem: format!("the value of `{}` cannot be read: {e}", op.key),
            hint: "values nest at most 128 deep".to_owned(),
        })?;
        self.0.insert(op.key.into_owned(), form.value.unwrap_or_default());
        Ok(())
    }

    fn begin_again(&mut self) {
        self.0.clear();
    }
}

impl Log {
    /// The last value of each key, by the records `{"op":"create"|"update"|"delete","key":K,"value":V}`; others are passed over. Takes no lock.
    pub fn state(&self) -> Result<BTreeMap<String, Value>> {
        let mut values = Values::default();
        self.journal().refresh(&mut values)?;
        Ok(values.0)
    }

    /// The log as a map of values of one type.
    pub fn keyed<T: Serialize + DeserializeOwned>(&self) -> Keyed<T> {
        Keyed { journal: self.journal(), values: Values::default(), of: PhantomData }
    }
}

/// A log as a map, which follows the file. Others may use the same log meanwhile, in this process or another.
#[derive(Debug)]
pub struct Keyed<T> {
    journal: Journal,
    values: Values,
    of: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> Keyed<T> {
    /// The value of a key, as of now. Takes no lock.
    pub fn get(&mut self, key: &str) -> Result<Option<T>> {
        self.journal.refresh(&mut self.values)?;
        self.value(key)
    }

    /// All keys with their values, as of now.
    pub fn all(&mut self) -> Result<Vec<(String, T)>> {
        self.journal.refresh(&mut self.values)?;
        let keys: Vec<_> = self.values.0.keys().cloned().collect();
        keys.into_iter().filter_map(|key| self.value(&key).map(|value| Some((key, value?))).transpose()).collect()
    }

    /// Sets a key.
    pub fn set(&mut self, key: &str, value: &T, options: &LogOptions<'_>) -> Result<()> {
        let value = self.to_json(value)?;
        self.change(key, options, |_| Ok::<_, Error>(Some(value.clone())))
    }

    /// Removes a key; nothing if there is none.
    pub fn remove(&mut self, key: &str, options: &LogOptions<'_>) -> Result<()> {
        self.change(key, options, |_| Ok::<_, Error>(None))
    }

    /// Reads a key, decides and writes under the lock: nobody comes in between. `None`: there is no value; no value afterwards.
    pub fn update<E: From<Error>>(
        &mut self,
        key: &str,
        options: &LogOptions<'_>,
        mut change: impl FnMut(Option<T>) -> Result<Option<T>, E>,
    ) -> Result<(), E> {
        let path = self.journal.log().path().to_owned();
        self.change(key, options, |old| {
            let old = old.map(|value| T::deserialize(value)).transpose().map_err(|e| unreadable(&path, key, &e))?;
            match change(old)? {
                Some(new) => Ok(Some(serde_json::to_value(&new).map_err(|e| unreadable(&path, key, &e))?)),
                None => Ok(None),
            }
        })
    }

    fn to_json(&self, value: &T) -> Result<Value> {
        serde_json::to_value(value).map_err(|e| unreadable(self.journal.log().path(), "", &e))
    }

    fn value(&self, key: &str) -> Result<Option<T>> {
        let value = self.values.0.get(key).map(T::deserialize).transpose();
        value.map_err(|e| unreadable(self.journal.log().path(), key, &e))
    }

    fn change<E: From<Error>>(
        &mut self,
        key: &str,
        options: &LogOptions<'_>,
        mut change: impl FnMut(Option<&Value>) -> Result<Option<Value>, E>,
    ) -> Result<(), E> {
        let policy = self.journal.log().file().policy().durability;
        let durable = options.durability.unwrap_or(policy) != Durability::None;
        self.journal.transact(&mut self.values, durable, &options.lock, |values, records| {
            let old = values.0.get(key);
            let record = match (change(old)?, old) {
                (None, None) => return Ok(()),
                (None, Some(_)) => serde_json::json!({"op": "delete", "key": key}),
                (Some(new), None) => serde_json::json!({"op": "create", "key": key, "value": new}),
                (Some(new), Some(_)) => serde_json::json!({"op": "update", "key": key, "value": new}),
            };
            records.push(record.to_string().into_bytes());
            Ok::<_, E>(())
        })?;
        self.journal.log().compact_if(options.compact_when, &options.lock)?;
        Ok(())
    }
}

fn unreadable(path: &std::path::Path, key: &str, e: &serde_json::Error) -> Error {
    let problem = format!("the value of `{key}` is not of the type that is asked for: {e}");
    let hint = "read it with another type, or set it anew".to_owned();
    Error::Store { path: path.to_owned(), source: StoreError::Invalid { problem, hint } }
}
