//! Credentials: secrets that several programs use, and renew, from one file (STORE-6).
//!
//! # Promise
//! - The file is private ([`Filelatch::credentials`]): mode 0600, no versions, no stored conflicts. No error, no log record, no name of a file
//!   and no `Debug` output has a secret in it, nor a hash by which a short one could be found: the file has random bytes besides.
//! - What was set is durable when the call returns, whatever a policy says.
//! - [`Credentials::refresh_with`] renews a credential once, however many threads and processes meet it expired at one time (see there).
//! - Changes of one key exclude each other; changes of other keys go on meanwhile, also while a refresh of the first is waiting for its server.
//!   (On network file systems and on macOS, where there are no locks on parts of a file, they wait.)
//! - A damaged file is an error that names the line and a way out, and is not written over.
//! - With a passphrase (feature `encryption`) the whole file is encrypted.
//!
//! # Non-promise
//! - Without a passphrase secrets lie in the file as they are: its mode keeps other users out, and nobody else.
//! - A [`Secret`](super::Secret) is wiped when it is dropped; what it was copied through is not.
//!
//! # Order of operations of a change
//! lock of the key → the newest file, read and checked → the change → lock for publishing → the file as it is by then, with this key changed →
//! published, durable → answered.

mod cipher;
mod record;
mod refresh;
mod transfer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use filelatch_fs::Host;
use zeroize::Zeroizing;

#[cfg(feature = "encryption")]
pub use cipher::Passphrase;
pub use record::{Credential, CredentialInfo, NewCredential};
pub use refresh::Refreshed;
pub use transfer::Imported;

use super::StoreError;
use super::sheet::NONCE;
use super::tokens::shown;
use crate::engine::Filelatch;
use crate::error::{Error, Result};
use crate::file::{LatchFile, WriteOptions};
use crate::lock::LockOptions;
use crate::policy::Strategy;
use crate::record_guard::RecordGuard;
use crate::write::Durability;
use record::{Table, admit, parse, print};

/// Credentials in one file, from [`Filelatch::credentials`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Credentials {
    latch: Filelatch,
    file: LatchFile,
    host: Arc<dyn Host>,
    cipher: Option<Arc<cipher::Cipher>>,
}

impl Filelatch {
    /// The credentials in a file, which need not exist. It is private: made with mode 0600, of which no versions and no conflicts are kept; one
    /// that others may open, that belongs to another user, or a symbolic link is refused. (Windows: the rights that its directory hands down.)
    ///
    /// [`Filelatch::own_store`] names the workspace's.
    pub fn credentials(&self, path: impl AsRef<Path>) -> Result<Credentials> {
        Ok(Credentials {
            latch: self.clone(),
            file: self.private_file(path.as_ref())?,
            host: Arc::clone(&self.parts().host),
            cipher: None,
        })
    }
}

/// Why a change was not made.
enum Refused<E> {
    Error(E),
    Store(StoreError),
}

impl<E: From<Error>> From<Error> for Refused<E> {
    fn from(error: Error) -> Self {
        Refused::Error(error.into())
    }
}

impl<E> From<StoreError> for Refused<E> {
    fn from(error: StoreError) -> Self {
        Refused::Store(error)
    }
}

impl Credentials {
    /// With the passphrase that the file is encrypted with; one that does not exist yet is encrypted with it when it is made. A file that is
    /// not encrypted stays so: [`Credentials::encrypt`].
    #[cfg(feature = "encryption")]
    #[must_use]
    pub fn passphrase(mut self, passphrase: Passphrase) -> Self {
        self.cipher = Some(Arc::new(cipher::Cipher::new(passphrase)));
        self
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.file.path().to_owned()
    }

    /// Is the file encrypted? `None`: there is none.
    pub fn is_encrypted(&self) -> Result<Option<bool>> {
        Ok(self.bytes()?.map(|bytes| cipher::is_encrypted(&bytes)))
    }

    /// A credential, as it is now.
    pub fn get(&self, key: &str) -> Result<Option<Credential>> {
        Ok(self.table()?.get(key).cloned())
    }

    /// What there is, without the secrets, by key.
    pub fn list(&self) -> Result<Vec<CredentialInfo>> {
        let info = |credential: &Credential| {
            let Credential { key, expires, updated, by, note, .. } = credential.clone();
            CredentialInfo { key, expires, updated, by, note }
        };
        Ok(self.table()?.values().map(info).collect())
    }

    /// Stores a credential, in place of the one of this key. A refresh of it that has begun is waited for.
    pub fn set(&self, key: &str, new: NewCredential, lock: &LockOptions<'_>) -> Result<()> {
        admit(key, &new).map_err(|e| self.wrong(e))?;
        let guard = self.file.lock_record(key, lock)?;
        self.publish(&guard, lock, |table| {
            self.put(table, key, new);
            Ok(())
        })
    }

    /// Removes a credential. A refresh of it that has begun is waited for.
    pub fn delete(&self, key: &str, lock: &LockOptions<'_>) -> Result<()> {
        let guard = self.file.lock_record(key, lock)?;
        self.publish(&guard, lock, |table| match table.remove(key) {
            Some(_) => Ok(()),
            None => Err(StoreError::NotFound { what: "credential", id: shown(key) }),
        })
    }

    /// Encrypts the file with this passphrase, which need not be the one it has. Refreshes that have begun are waited for.
    #[cfg(feature = "encryption")]
    pub fn encrypt(&self, passphrase: &Passphrase, lock: &LockOptions<'_>) -> Result<()> {
        self.rewrite(lock, |plain, _| cipher::seal(plain, passphrase))
    }

    /// Puts the file back as it is without a passphrase. False: it was not encrypted.
    #[cfg(feature = "encryption")]
    pub fn decrypt(&self, lock: &LockOptions<'_>) -> Result<bool> {
        let mut was = false;
        self.rewrite(lock, |plain, encrypted| {
            was = encrypted;
            Ok(plain.to_vec())
        })?;
        Ok(was)
    }

    #[cfg(feature = "encryption")]
    fn rewrite(
        &self,
        lock: &LockOptions<'_>,
        mut form: impl FnMut(&[u8], bool) -> Result<Vec<u8>, StoreError>,
    ) -> Result<()> {
        let nonce = self.nonce()?;
        let written = self.file.update_bytes(&options(lock), |old| {
            let old = old.ok_or_else(|| Error::NotFound { path: self.path() })?;
            let table = self.decode(old)?;
            Ok::<_, Refused<Error>>(Some(form(&print(&table, nonce)?, cipher::is_encrypted(old))?))
        });
        self.forget();
        written.map(drop).map_err(|refused| self.refusal(refused))
    }

    fn wrong(&self, source: StoreError) -> Error {
        Error::Store { path: self.path(), source }
    }

    fn refusal<E: From<Error>>(&self, refused: Refused<E>) -> E {
        match refused {
            Refused::Error(error) => error,
            Refused::Store(source) => self.wrong(source).into(),
        }
    }

    /// What was read lies in no cache.
    fn forget(&self) {
        if let Ok(entry) = self.file.entry() {
            entry.forget();
        }
    }

    fn bytes(&self) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let read = self.file.try_read();
        self.forget();
        Ok(read?.map(|snapshot| Zeroizing::new(snapshot.bytes().to_vec())))
    }

    fn decode(&self, bytes: &[u8]) -> Result<Arc<Table>, StoreError> {
        if !cipher::is_encrypted(bytes) {
            return parse(bytes).map(Arc::new);
        }
        self.cipher.as_ref().ok_or_else(cipher::refused)?.open(bytes)
    }

    /// The newest credentials, without a lock.
    fn table(&self) -> Result<Arc<Table>> {
        let Some(bytes) = self.bytes()? else { return Ok(Arc::default()) };
        match self.decode(&bytes) {
            // Where the file is written in place (a mount point), readers without a lock may see a mix.
            Err(StoreError::Damaged { .. }) => {
                let guard = self.file.lock_shared(&LockOptions::new())?;
                let bytes = self.bytes()?;
                drop(guard);
                let table = bytes.map(|bytes| self.decode(&bytes)).transpose();
                table.map(Option::unwrap_or_default).map_err(|e| self.wrong(e))
            }
            read => read.map_err(|e| self.wrong(e)),
        }
    }

    fn nonce(&self) -> Result<[u8; NONCE]> {
        let mut nonce = [0; NONCE];
        let drawn = self.host.secret(&mut nonce);
        drawn.map_err(|e| Error::io("draw random bytes for", self.path(), e))?;
        Ok(nonce)
    }

    /// The bytes of a table, encrypted if the file is, or if it is new and there is a passphrase.
    fn encode(&self, table: &Table, old: Option<&[u8]>, nonce: [u8; NONCE]) -> Result<Vec<u8>, StoreError> {
        let mut plain = print(table, nonce)?;
        match &self.cipher {
            Some(cipher) if old.is_none_or(cipher::is_encrypted) => cipher.seal(&plain),
            _ => Ok(std::mem::take(&mut *plain)),
        }
    }

    /// Changes the newest table under a record's lock that is held; durable when it returns.
    fn publish<T>(
        &self,
        guard: &RecordGuard,
        lock: &LockOptions<'_>,
        change: impl FnOnce(&mut Table) -> Result<T, StoreError>,
    ) -> Result<T> {
        let nonce = self.nonce()?;
        let mut result = None;
        let written = guard.update_bytes(&options(lock), |old| {
            let mut table = old.map(|old| self.decode(old)).transpose()?.map(Arc::unwrap_or_clone).unwrap_or_default();
            result = Some(change(&mut table)?);
            Ok::<_, Refused<Error>>(Some(self.encode(&table, old, nonce)?))
        });
        self.forget();
        written.map_err(|refused| self.refusal(refused))?;
        result.ok_or_else(|| self.file.unanswered())
    }

    fn put(&self, table: &mut Table, key: &str, new: NewCredential) {
        let NewCredential { secret, expires, note } = new;
        let note = note.or_else(|| table.get(key).and_then(|old| old.note.clone())).filter(|note| !note.is_empty());
        let (updated, by) = (self.host.now(), self.latch.session().to_owned());
        table.insert(key.to_owned(), Credential { key: key.to_owned(), secret, expires, updated, by, note });
    }
}

/// Whatever a policy says of documents.
fn options<'a>(lock: &LockOptions<'a>) -> WriteOptions<'a> {
    WriteOptions::new().strategy(Strategy::FailFast).durability(Durability::Full).lock(lock.clone())
}
