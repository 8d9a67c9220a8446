//! API tokens: made once, shown once, verified often, revoked at any time (STORE-3).
//!
//! A token is the text `flt_<id>_<secret>`: `id` has 12 letters and digits and is no secret, `secret` has 43, drawn from the system's random
//! source (256 bits). The file has the id and a hash.
//!
//! # Promise
//! - The file, and everything that is made of it, lets nobody find a token: it has only BLAKE3 hashes of texts with 256 random bits. A slow
//!   hash (scrypt, Argon2) makes guessing dear; nothing of this length is guessed, so it would only make verifying dear.
//! - Verifying takes no lock, and one stat(2) while the file has not changed. The answer is the file's as of that moment: a token that was
//!   revoked before the call is refused, in every process.
//! - Comparing takes the same time wherever two hashes differ (`blake3::Hash`, by its documentation), and an unknown id is compared too. A
//!   bearer is not told whether a token is unknown, expired or revoked; the owner's list tells.
//! - What is created or revoked is durable when the call returns. Mode 0600: see [`privacy`](crate::Filelatch::tokens).
//! - A file that is damaged is an error that names the line, not an empty list.
//!
//! # Non-promise
//! - *Last used* is a hint, exact to a minute: it is noted by a thread of its own, and is lost with a process that ends before.
//! - Expiry goes by the machine's clock: who sets it back makes tokens valid again.
//! - Which request is which is not logged.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use filelatch_fs::Host;
use serde::{Deserialize, Serialize};

use super::sheet::{Form, NONCE};
use super::{Secret, StoreError};
use crate::engine::Filelatch;
use crate::error::{Error, Result};
use crate::file::{LatchFile, WriteOptions};
use crate::lock::resource::locked;
use crate::lock::{LockOptions, Wait};
use crate::parts::{epoch_millis, parse_rfc3339, rfc3339};
use crate::policy::Strategy;
use crate::snapshot::Content;
use crate::write::Durability;

const FORM: Form = Form { name: "tokens", version: 1 };
/// What every token begins with, for those who look for tokens in what should have none.
const PREFIX: &str = "flt_";
const ID: usize = 12;
/// 62 to the power of 43 is more than 2 to the power of 256.
const SECRET: usize = 43;
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// What the hash is for, so that it is no hash of the same text elsewhere.
const CONTEXT: &str = "filelatch 2026-11-21 hash of an API token";
/// Longer names are refused.
const NAME: usize = 200;
/// More tokens are refused: the file is read as a whole.
const MOST: usize = 10_000;
/// *Last used* is that exact.
const USED: Duration = Duration::from_secs(60);
const STACK: usize = 512 << 10;

/// What a token allows; each allows what is before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Looking.
    Read,
    /// Changing.
    Write,
    /// Changing what others may do.
    Admin,
}

impl Scope {
    /// As it is typed and stored.
    pub fn word(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Write => "write",
            Scope::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Scope::Read, Scope::Write, Scope::Admin]
            .into_iter()
            .find(|scope| scope.word() == text)
            .ok_or_else(|| format!("`{text}` is no scope: read, write or admin"))
    }
}

/// A token that was just made. The only moment at which it is known.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its id.
    pub id: String,
    /// The token itself, for its bearer.
    pub token: Secret,
}

/// What the bearer of a token may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The token's id.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
}

impl Verified {
    /// May the bearer do what needs this scope?
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|own| *own >= scope)
    }
}

/// Whether a token is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It is.
    Active,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

impl TokenState {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            TokenState::Active => "active",
            TokenState::Expired => "expired",
            TokenState::Revoked => "revoked",
        }
    }
}

/// What the owner sees of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// Its id.
    pub id: String,
    /// Its name, which need not be unique.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// Is it good?
    pub state: TokenState,
    /// When it was made.
    pub created: SystemTime,
    /// When it ends; `None`: not by itself.
    pub expires: Option<SystemTime>,
    /// When it was revoked.
    pub revoked: Option<SystemTime>,
    /// When it was verified last, exact to a minute or so; `None`: never, as far as is known.
    pub last_used: Option<SystemTime>,
}

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    id: String,
    name: String,
    scopes: Vec<Scope>,
    hash: Hash,
    created: When,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<When>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked: Option<When>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    used: Option<When>,
}

/// A moment, exact to a millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) struct When(pub(super) SystemTime);

impl When {
    /// As it is read again.
    pub(super) fn of(time: SystemTime) -> When {
        When(SystemTime::UNIX_EPOCH + Duration::from_millis(epoch_millis(time)))
    }
}

impl From<When> for String {
    fn from(when: When) -> String {
        rfc3339(when.0)
    }
}

impl TryFrom<String> for When {
    type Error = &'static str;

    fn try_from(text: String) -> Result<When, &'static str> {
        parse_rfc3339(&text).map(When).ok_or("no point in time")
    }
}

/// The hash of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
struct Hash(blake3::Hash);

impl From<Hash> for String {
    fn from(hash: Hash) -> String {
        hash.0.to_hex().to_string()
    }
}

impl TryFrom<String> for Hash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Hash, &'static str> {
        blake3::Hash::from_hex(text).map(Hash).map_err(|_| "no hash")
    }
}

impl Hash {
    fn of(token: &[u8]) -> Hash {
        Hash(blake3::derive_key(CONTEXT, token).into())
    }
}

impl Record {
    fn state(&self, now: SystemTime) -> TokenState {
        match (self.revoked, self.expires) {
            (Some(_), _) => TokenState::Revoked,
            (None, Some(expires)) if expires.0 <= now => TokenState::Expired,
            _ => TokenState::Active,
        }
    }

    fn info(&self, now: SystemTime) -> TokenInfo {
        let at = |when: Option<When>| when.map(|when| when.0);
        TokenInfo {
            id: self.id.clone(),
            name: self.name.clone(),
            scopes: self.scopes.clone(),
            state: self.state(now),
            created: self.created.0,
            expires: at(self.expires),
            revoked: at(self.revoked),
            last_used: at(self.used),
        }
    }
}

/// All tokens, by id.
type Table = BTreeMap<String, Record>;

/// Tokens in one file, from [`Filelatch::tokens`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tokens {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: LatchFile,
    host: Arc<dyn Host>,
    read: Mutex<Option<(Arc<Content>, Arc<Table>)>>,
    /// Uses that are not in the file yet, and those that were noted last.
    uses: Mutex<BTreeMap<String, Use>>,
    noting: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
struct Use {
    last: SystemTime,
    noted: Option<SystemTime>,
}

impl Filelatch {
    /// The tokens in a file, which need not exist. It is private: made with mode 0600, of which no versions and no conflicts are kept; one that
    /// others may open, that belongs to another user, or a symbolic link is refused. (Windows: the rights that its directory hands down.)
    ///
    /// [`Filelatch::own_store`] names the workspace's.
    pub fn tokens(&self, path: impl AsRef<Path>) -> Result<Tokens> {
        let file = self.private_file(path.as_ref())?;
        let host = Arc::clone(&self.parts().host);
        let (read, uses, noting) = Default::default();
        Ok(Tokens { inner: Arc::new(Inner { file, host, read, uses, noting }) })
    }
}

impl Tokens {
    /// The file.
    pub fn path(&self) -> PathBuf {
        self.inner.file.path().to_owned()
    }

    /// Makes a token. Nobody can show it again.
    ///
    /// The name is for people and need not be unique; no scope at all is [`Scope::Read`].
    pub fn create(
        &self,
        name: &str,
        scopes: &[Scope],
        expires: Option<SystemTime>,
        lock: &LockOptions<'_>,
    ) -> Result<NewToken> {
        let inner = &*self.inner;
        let now = inner.host.now();
        let mut scopes = if scopes.is_empty() { vec![Scope::Read] } else { scopes.to_vec() };
        scopes.sort_unstable();
        scopes.dedup();
        let refuse =
            |problem: String, hint: &str| Err(inner.wrong(StoreError::Invalid { problem, hint: hint.to_owned() }));
        if name.trim().is_empty() || name.len() > NAME || name.chars().any(char::is_control) {
            return refuse(
                format!("`{}` is no name for a token", shown(name)),
                "a name has 1 to 200 bytes and no control characters",
            );
        }
        if expires.is_some_and(|expires| expires <= now) {
            return refuse("the token would have ended already".to_owned(), "give a time to come");
        }
        let secret = inner.letters(SECRET)?;
        let mut made = None;
        inner.update(lock, |table| {
            if table.len() >= MOST {
                let hint = "`token prune` removes those that ended".to_owned();
                return Err(StoreError::Invalid { problem: format!("there are {MOST} tokens already"), hint }.into());
            }
            let id = loop {
                let id = inner.letters(ID)?;
                let id = String::from_utf8_lossy(id.expose()).into_owned();
                if !table.contains_key(&id) {
                    break id;
                }
            };
            let mut token = Vec::with_capacity(PREFIX.len() + ID + 1 + SECRET);
            token.extend_from_slice(PREFIX.as_bytes());
            token.extend_from_slice(id.as_bytes());
            token.push(b'_');
            token.extend_from_slice(secret.expose());
            let token = Secret::new(token);
            let record = Record {
                id: id.clone(),
                name: name.to_owned(),
                scopes: scopes.clone(),
                hash: Hash::of(token.expose()),
                created: When::of(now),
                expires: expires.map(When::of),
                revoked: None,
                used: None,
            };
            table.insert(id.clone(), record);
            made = Some(NewToken { id, token });
            Ok(true)
        })?;
        made.ok_or_else(|| inner.file.unanswered())
    }

    /// What the bearer of this text may do; `None`: nothing, whether the token is unknown, expired or revoked. An error: the file can't be read.
    pub fn verify(&self, bearer: &str) -> Result<Option<Verified>> {
        let inner = &*self.inner;
        let table = inner.table()?;
        let now = inner.host.now();
        let hash = Hash::of(bearer.as_bytes());
        let record = id_of(bearer).and_then(|id| table.get(id));
        // Compared in any case: whether there is such an id is not told by how long it takes.
        let known = record.map_or(Hash([0; 32].into()), |record| record.hash);
        if known != hash {
            return Ok(None);
        }
        let Some(record) = record.filter(|record| record.state(now) == TokenState::Active) else { return Ok(None) };
        self.used(record, now);
        let Record { id, name, scopes, .. } = record.clone();
        Ok(Some(Verified { id, name, scopes }))
    }

    /// All tokens, the oldest first.
    pub fn list(&self) -> Result<Vec<TokenInfo>> {
        let now = self.inner.host.now();
        let mut list: Vec<_> = self.inner.table()?.values().map(|record| record.info(now)).collect();
        list.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        Ok(list)
    }

    /// Ends a token. It stays in the list, as revoked; once revoked, it stays as it was.
    pub fn revoke(&self, id: &str, lock: &LockOptions<'_>) -> Result<TokenInfo> {
        let now = self.inner.host.now();
        let mut revoked = None;
        self.inner.update(lock, |table| {
            let missing = || StoreError::NotFound { what: "token", id: shown(id) };
            let record = table.get_mut(id).ok_or_else(missing)?;
            let changed = record.revoked.is_none();
            record.revoked.get_or_insert(When::of(now));
            revoked = Some(record.info(now));
            Ok(changed)
        })?;
        revoked.ok_or_else(|| self.inner.file.unanswered())
    }

    /// Removes the tokens that expired or were revoked before this moment; how many.
    pub fn prune(&self, before: SystemTime, lock: &LockOptions<'_>) -> Result<usize> {
        let mut removed = 0;
        self.inner.update(lock, |table| {
            let there = table.len();
            let ended = |record: &Record| {
                let first = [record.revoked, record.expires].into_iter().flatten().min();
                first.is_some_and(|ended| ended.0 < before)
            };
            table.retain(|_, record| !ended(record));
            removed = there - table.len();
            Ok(removed > 0)
        })?;
        Ok(removed)
    }

    /// Writes down when tokens were used, as far as it is not in the file yet: for programs that end soon. Others need not care. Does not wait
    /// for the lock: what can't be written now is written with the next use.
    pub fn note_uses(&self) -> Result<()> {
        let inner = &*self.inner;
        let new: Vec<_> = locked(&inner.uses)
            .iter()
            .filter(|(_, used)| used.noted.is_none_or(|noted| noted < used.last))
            .map(|(id, used)| (id.clone(), used.last))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        inner.update(&LockOptions::new().wait(Wait::No), |table| {
            let mut changed = false;
            for (id, last) in &new {
                let Some(record) = table.get_mut(id) else { continue };
                if record.used.is_none_or(|used| used.0 < *last) {
                    record.used = Some(When::of(*last));
                    changed = true;
                }
            }
            Ok(changed)
        })?;
        let mut uses = locked(&inner.uses);
        for (id, last) in new {
            if let Some(used) = uses.get_mut(&id) {
                used.noted = Some(last);
            }
        }
        Ok(())
    }

    /// Remembers that a token was used; once a minute a thread writes that down.
    fn used(&self, record: &Record, now: SystemTime) {
        let due = {
            let mut uses = locked(&self.inner.uses);
            let used = uses.entry(record.id.clone()).or_insert(Use { last: now, noted: record.used.map(|at| at.0) });
            used.last = used.last.max(now);
            let since = |noted: SystemTime| used.last.duration_since(noted).unwrap_or_default();
            used.noted.is_none_or(|noted| since(noted) >= USED)
        };
        if due && !self.inner.noting.swap(true, Ordering::AcqRel) {
            let tokens = self.clone();
            let note = move || {
                // The next use tries again.
                tokens.note_uses().ok();
                tokens.inner.noting.store(false, Ordering::Release);
            };
            if self.inner.host.spawn("filelatch-token-use", STACK, Box::new(note)).is_err() {
                self.inner.noting.store(false, Ordering::Release);
            }
        }
    }
}

impl Inner {
    fn wrong(&self, source: StoreError) -> Error {
        Error::Store { path: self.file.path().to_owned(), source }
    }

    /// The newest tokens; parsed again only when the file is another.
    fn table(&self) -> Result<Arc<Table>> {
        let Some(snapshot) = self.file.try_read()? else { return Ok(Arc::default()) };
        let content = snapshot.into_content();
        let mut read = locked(&self.read);
        if let Some((known, table)) = &*read
            && (Arc::ptr_eq(known, &content) || known.bytes[..] == content.bytes[..])
        {
            return Ok(Arc::clone(table));
        }
        let table = Arc::new(parse(&content.bytes).map_err(|e| self.wrong(e))?);
        *read = Some((content, Arc::clone(&table)));
        Ok(table)
    }

    /// Changes the table under the lock, durably; `change` says whether it did.
    fn update(
        &self,
        lock: &LockOptions<'_>,
        mut change: impl FnMut(&mut Table) -> Result<bool, Refused>,
    ) -> Result<()> {
        // Whatever a policy says of documents.
        let options = WriteOptions::new().strategy(Strategy::FailFast).durability(Durability::Full).lock(lock.clone());
        let updated = self.file.update_bytes(&options, |old| {
            let mut table = old.map(parse).transpose()?.unwrap_or_default();
            if !change(&mut table)? {
                return Ok(None);
            }
            let mut nonce = [0; NONCE];
            self.host.secret(&mut nonce).map_err(Refused::Random)?;
            let records: Vec<_> = table.into_values().collect();
            Ok::<_, Refused>(Some(FORM.write(nonce, &records)?))
        });
        updated.map(drop).map_err(|refused| self.refusal(refused))
    }

    fn refusal(&self, refused: Refused) -> Error {
        match refused {
            Refused::Error(error) => error,
            Refused::Store(source) => self.wrong(source),
            Refused::Random(source) => Error::io("draw random bytes for", self.file.path(), source),
        }
    }

    /// So many letters and digits that nobody can guess.
    fn letters(&self, count: usize) -> Result<Secret, Error> {
        let mut letters = Vec::with_capacity(count);
        let mut drawn = zeroize::Zeroizing::new([0; 64]);
        while letters.len() < count {
            self.host.secret(&mut *drawn).map_err(|e| self.refusal(Refused::Random(e)))?;
            // 248 is 4 × 62: what is above would make some letters likelier.
            let good = drawn.iter().filter(|byte| **byte < 248).map(|byte| LETTERS[usize::from(*byte) % LETTERS.len()]);
            letters.extend(good.take(count - letters.len()));
        }
        Ok(Secret::new(letters))
    }
}

/// Why a change was not made.
enum Refused {
    Error(Error),
    Store(StoreError),
    Random(std::io::Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        Refused::Error(error)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Refused {
        Refused::Store(error)
    }
}

fn parse(bytes: &[u8]) -> Result<Table, StoreError> {
    let records: Vec<Record> = FORM.read(bytes)?;
    Ok(records.into_iter().map(|record| (record.id.clone(), record)).collect())
}

/// The id in a text of the right form.
fn id_of(bearer: &str) -> Option<&str> {
    let (id, secret) = bearer.strip_prefix(PREFIX)?.split_once('_')?;
    let plain = |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (plain(id, ID) && plain(secret, SECRET)).then_some(id)
}

/// For messages: short, and without control characters.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(60).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if shown.len() < text.len() && text.chars().count() > 60 {
        shown.push('…');
    }
    shown
}
