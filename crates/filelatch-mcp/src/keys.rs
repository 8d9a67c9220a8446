//! Idempotency keys: a call that is repeated with the key of one that was made is not made again.
//!
//! # Promise
//! - In a workspace the key and the answer are published together with the change, as one write of several files (P9): after `kill -9` at any
//!   point either both are there, for every server, or neither is.
//! - A key that comes with other arguments is refused, and nothing is done.
//! - Of each of 256 parts, by the key's hash, the newest 128 of the last 24 hours stay: some ten thousand keys.
//!
//! # Non-promise
//! Without a workspace keys are remembered by this server, until it ends. Answers say so.
//!
//! # On disk
//! `.filelatch/stores/mcp/keys-XX.json`, XX the first byte of the key's BLAKE3 hash: `{"v":1,"keys":[{key, call, at, answer}]}`, oldest first; `call`
//! is the hash of the tool and its arguments, `at` milliseconds since the epoch.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::refusal::Refusal;

/// How long a key is remembered.
const LIFE: Duration = Duration::from_secs(24 * 3600);
/// Keys of one file.
const EACH: usize = 128;
/// Keys that a server remembers without a workspace.
const OURS: usize = 10_000;
/// Bytes of a key.
const LENGTH: usize = 200;
/// The form of the files.
const FORM: u32 = 1;

/// The key of a call, and what it was made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    key: String,
    /// The hash of the tool's name and its arguments.
    call: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Sheet {
    v: u32,
    keys: Vec<Record>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    key: String,
    call: String,
    /// Milliseconds since the epoch.
    at: u64,
    answer: Value,
}

impl Key {
    /// The key of these arguments, if they have one. How long the call waits is no part of what it is.
    pub(crate) fn of(tool: &str, arguments: &Map<String, Value>) -> Result<Option<Key>, Refusal> {
        let key = match arguments.get("idempotency_key") {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(key)) if (1..=LENGTH).contains(&key.len()) => key.clone(),
            Some(_) => {
                return Err(Refusal::malformed(format!("`idempotency_key` is a text of 1 to {LENGTH} bytes")));
            }
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(tool.as_bytes());
        let mut names: Vec<_> =
            arguments.keys().filter(|name| *name != "idempotency_key" && *name != "wait_ms").collect();
        names.sort();
        for name in names {
            hasher.update(b"\0").update(name.as_bytes()).update(b"\0");
            let value = arguments.get(name).map(sorted).unwrap_or_default();
            hasher.update(value.to_string().as_bytes());
        }
        Ok(Some(Key { key, call: hasher.finalize().to_hex().to_string() }))
    }

    /// The file that the key belongs to, in a workspace's folder for agents.
    pub(crate) fn path(&self, folder: &Path) -> PathBuf {
        let part = &blake3::hash(self.key.as_bytes()).to_hex()[..2];
        folder.join(format!("keys-{part}.json"))
    }

    /// The answer to the call that was made with this key, if one was.
    pub(crate) fn answered(&self, sheet: Option<&[u8]>) -> Result<Option<Value>, Refusal> {
        let sheet = parse(sheet)?;
        match sheet.keys.into_iter().rev().find(|record| record.key == self.key) {
            Some(record) if record.call == self.call => Ok(Some(record.answer)),
            Some(_) => Err(self.reused()),
            None => Ok(None),
        }
    }

    /// The file with this call's answer in it.
    pub(crate) fn with_answer(&self, sheet: Option<&[u8]>, answer: Value, now: SystemTime) -> Result<Vec<u8>, Refusal> {
        let mut sheet = parse(sheet)?;
        let at = millis(now);
        let oldest = at.saturating_sub(u64::try_from(LIFE.as_millis()).unwrap_or(u64::MAX));
        sheet.v = FORM;
        sheet.keys.retain(|record| record.at >= oldest && record.key != self.key);
        let surplus = (sheet.keys.len() + 1).saturating_sub(EACH);
        sheet.keys.drain(..surplus);
        sheet.keys.push(Record { key: self.key.clone(), call: self.call.clone(), at, answer });
        let mut bytes = serde_json::to_vec(&sheet).map_err(|e| damaged(&e.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The file without this key; `None`: it has not got it.
    pub(crate) fn without(&self, sheet: Option<&[u8]>) -> Result<Option<Vec<u8>>, Refusal> {
        let mut sheet = parse(sheet)?;
        let all = sheet.keys.len();
        sheet.keys.retain(|record| record.key != self.key);
        if sheet.keys.len() == all {
            return Ok(None);
        }
        serde_json::to_vec(&sheet).map(Some).map_err(|e| damaged(&e.to_string()))
    }

    fn reused(&self) -> Refusal {
        Refusal::new(
            "key-reused",
            format!("the key `{}` was used for a call with other arguments", self.key.escape_debug()),
        )
        .hint("give each call a new key, and the same key only to the same call again")
    }
}

fn parse(bytes: Option<&[u8]>) -> Result<Sheet, Refusal> {
    let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { return Ok(Sheet::default()) };
    let sheet: Sheet = serde_json::from_slice(bytes).map_err(|e| damaged(&e.to_string()))?;
    if sheet.v > FORM {
        return Err(damaged("it was written by a newer version"));
    }
    Ok(sheet)
}

fn damaged(why: &str) -> Refusal {
    Refusal::new("keys-damaged", format!("the record of keys cannot be read: {why}"))
        .hint("make the call without a key; somebody should look at `.filelatch/stores/mcp`")
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A value with the names of its objects in order, so that equal ones are written the same.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut names: Vec<_> = object.iter().collect();
            names.sort_by_key(|(name, _)| *name);
            Value::Object(names.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect())
        }
        Value::Array(values) => Value::Array(values.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// The keys that a server remembers by itself, where there is no workspace.
#[derive(Debug, Default)]
pub(crate) struct Keys(Mutex<HashMap<String, Ours>>);

#[derive(Debug)]
struct Ours {
    call: String,
    at: u64,
    /// `None`: the call is under way.
    answer: Option<Value>,
}

/// A call under way: without an answer the key is free again.
pub(crate) struct Reserved<'a> {
    keys: &'a Keys,
    key: &'a Key,
}

impl Keys {
    /// The answer to the call that was made with this key, or the right to make it.
    pub(crate) fn reserve<'a>(&'a self, key: &'a Key, now: SystemTime) -> Result<Result<Value, Reserved<'a>>, Refusal> {
        let mut keys = self.lock();
        match keys.get(&key.key) {
            Some(ours) if ours.call != key.call => return Err(key.reused()),
            Some(Ours { answer: Some(answer), .. }) => return Ok(Ok(answer.clone())),
            Some(_) => {
                return Err(Refusal::new("busy", "the call with this key is under way")
                    .not_done("nothing was done a second time")
                    .retry(Duration::from_millis(100))
                    .hint("make the same call again to get its answer"));
            }
            None => {}
        }
        if keys.len() >= OURS {
            let mut ages: Vec<_> = keys.values().filter(|ours| ours.answer.is_some()).map(|ours| ours.at).collect();
            ages.sort_unstable();
            let middle = ages.get(ages.len() / 2).copied().unwrap_or(0);
            keys.retain(|_, ours| ours.answer.is_none() || ours.at > middle);
        }
        let ours = Ours { call: key.call.clone(), at: millis(now), answer: None };
        keys.insert(key.key.clone(), ours);
        Ok(Err(Reserved { keys: self, key }))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Ours>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reserved<'_> {
    /// The call was made.
    pub(crate) fn answer(self, answer: Value) {
        if let Some(ours) = self.keys.lock().get_mut(&self.key.key) {
            ours.answer = Some(answer);
        }
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut keys = self.keys.lock();
        if keys.get(&self.key.key).is_some_and(|ours| ours.answer.is_none()) {
            keys.remove(&self.key.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(tool: &str, arguments: &Value) -> Key {
        Key::of(tool, arguments.as_object().unwrap()).unwrap().unwrap()
    }

    /// AGENT-3: what a call is: its tool and its arguments, in any order, without how long it waits.
    #[test]
    fn the_same_call() {
        let first = key("edit", &json!({"idempotency_key": "k", "path": "a", "edits": [{"x": 1, "y": 2}]}));
        let again =
            key("edit", &json!({"edits": [{"y": 2, "x": 1}], "wait_ms": 7, "path": "a", "idempotency_key": "k"}));
        assert_eq!(first, again);
        for other in [
            key("write", &json!({"idempotency_key": "k", "path": "a", "edits": [{"x": 1, "y": 2}]})),
            key("edit", &json!({"idempotency_key": "k", "path": "b", "edits": [{"x": 1, "y": 2}]})),
            key("edit", &json!({"idempotency_key": "k", "path": "a", "edits": [{"x": 1, "y": 3}]})),
        ] {
            assert_ne!(first.call, other.call);
        }
        assert_eq!(Key::of("edit", json!({"path": "a"}).as_object().unwrap()), Ok(None));
        for wrong in [json!(""), json!(7), json!("k".repeat(201))] {
            let arguments = json!({"idempotency_key": wrong});
            assert_eq!(Key::of("edit", arguments.as_object().unwrap()).unwrap_err().kind, "malformed");
        }
    }

    /// AGENT-3: an answer is found by its key, refused for other arguments, and forgotten after a day.
    #[test]
    fn sheets() {
        let (k, other) =
            (key("t", &json!({"idempotency_key": "k", "a": 1})), key("t", &json!({"idempotency_key": "k", "a": 2})));
        assert_eq!(k.answered(None), Ok(None));
        let day = UNIX_EPOCH + LIFE * 100;
        let sheet = k.with_answer(None, json!({"ok": true}), day).unwrap();
        assert_eq!(k.answered(Some(&sheet)), Ok(Some(json!({"ok": true}))));
        assert_eq!(other.answered(Some(&sheet)).unwrap_err().kind, "key-reused");
        let next = key("t", &json!({"idempotency_key": "n"}));
        let sheet = next.with_answer(Some(&sheet), json!(2), day + LIFE).unwrap();
        assert_eq!(
            (k.answered(Some(&sheet)).unwrap().is_some(), next.answered(Some(&sheet)).unwrap().is_some()),
            (true, true)
        );
        let sheet = next.with_answer(Some(&sheet), json!(2), day + LIFE + Duration::from_millis(1)).unwrap();
        assert_eq!(k.answered(Some(&sheet)), Ok(None));
        assert_eq!(k.answered(Some(b"{")).unwrap_err().kind, "keys-damaged");
        assert_eq!(k.answered(Some(b"{\"v\":9,\"keys\":[]}")).unwrap_err().kind, "keys-damaged");
    }

    /// AGENT-3: the newest stay.
    #[test]
    fn bounded() {
        let mut sheet = None;
        for n in 0..EACH + 10 {
            let key = key("t", &json!({"idempotency_key": n.to_string()}));
            sheet = Some(key.with_answer(sheet.as_deref(), json!(n), UNIX_EPOCH + LIFE).unwrap());
        }
        let have = |n: usize| key("t", &json!({"idempotency_key": n.to_string()})).answered(sheet.as_deref()).unwrap();
        assert_eq!((have(9), have(10), have(EACH + 9)), (None, Some(json!(10)), Some(json!(EACH + 9))));
    }

    /// AGENT-3: without a workspace: one call at a time, its answer afterwards, and the key is free again if it failed.
    #[test]
    fn in_this_process() {
        let keys = Keys::default();
        let k = key("t", &json!({"idempotency_key": "k"}));
        let Ok(Err(reserved)) = keys.reserve(&k, UNIX_EPOCH) else { panic!("it is free") };
        assert_eq!(keys.reserve(&k, UNIX_EPOCH).err().unwrap().kind, "busy");
        drop(reserved);
        let Ok(Err(reserved)) = keys.reserve(&k, UNIX_EPOCH) else { panic!("it is free again") };
        reserved.answer(json!(1));
        assert!(matches!(keys.reserve(&k, UNIX_EPOCH), Ok(Ok(answer)) if answer == json!(1)));
        for n in 0..OURS as u64 * 2 {
            let k = key("t", &json!({"idempotency_key": n.to_string()}));
            if let Ok(Err(reserved)) = keys.reserve(&k, UNIX_EPOCH + Duration::from_millis(n)) {
                reserved.answer(json!(n));
            }
            assert!(n % 500 > 0 || keys.lock().len() <= OURS);
        }
    }
}
