//! Encryption of the whole file by a passphrase, in the format of age (<https://age-encryption.org/v1>), which `age --decrypt` reads as well.
//!
//! # Promise
//! - Every changed, missing or added byte of an encrypted file is an error: head and content are authenticated.
//! - The passphrase is turned into a key by scrypt with N = 2^17, r = 8, p = 1, what OWASP's *Password Storage Cheat Sheet* asks for: about half a
//!   second and 128 MiB for each try. A file that asks for more than 2^18 is refused before anything is computed.
//!
//! # Non-promise
//! - A wrong passphrase and a damaged key in the file's head can't be told apart.
//! - An older version of the file that somebody puts back is not noticed.

use crate::store::StoreError;

/// How an encrypted file begins.
pub(super) const MAGIC: &[u8] = b"age-encryption.org/";

pub(super) fn is_encrypted(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Without a passphrase, or without the feature `encryption`.
pub(super) fn refused() -> StoreError {
    StoreError::Encrypted { can: cfg!(feature = "encryption") }
}

#[cfg(feature = "encryption")]
pub use with_age::Passphrase;
#[cfg(feature = "encryption")]
pub(super) use with_age::{Cipher, seal};

/// Without the feature there is no passphrase to be given.
#[cfg(not(feature = "encryption"))]
#[derive(Debug)]
pub(super) enum Cipher {}

#[cfg(not(feature = "encryption"))]
impl Cipher {
    pub(super) fn open(&self, _: &[u8]) -> Result<std::sync::Arc<super::Table>, StoreError> {
        match *self {}
    }

    pub(super) fn seal(&self, _: &[u8]) -> Result<Vec<u8>, StoreError> {
        match *self {}
    }
}

#[cfg(feature = "encryption")]
mod with_age {
    use std::io::{Read, Write};
    use std::iter;
    use std::sync::{Arc, Mutex};

    use age::secrecy::SecretString;
    use age::{DecryptError, Decryptor, Encryptor, Identity, Recipient, scrypt};
    use zeroize::Zeroizing;

    use super::super::record::{Table, parse};
    use crate::lock::resource::locked;
    use crate::store::{Secret, StoreError};
    use crate::version::Version;

    /// The binary logarithm of scrypt's N, for files that are written.
    const WORK: u8 = 17;
    /// The most that is computed for a file that is read. The age command writes 18.
    const MOST_WORK: u8 = 18;
    /// Shorter ones are refused: they are guessed.
    const SHORTEST: usize = 8;

    /// What a file of credentials is encrypted with.
    #[derive(Clone, Debug)]
    pub struct Passphrase {
        text: Secret,
        work: u8,
    }

    impl Passphrase {
        /// A passphrase; any text, without the end of its line. What is new must have 8 bytes or more; a file that has a shorter one is read.
        pub fn new(text: Secret) -> Passphrase {
            Passphrase { text, work: WORK }
        }

        /// How much work a try is: the binary logarithm of scrypt's N, 17 by default, at most 18. Less is for tests.
        #[must_use]
        pub fn work_factor(mut self, log_n: u8) -> Self {
            self.work = log_n.clamp(1, MOST_WORK);
            self
        }

        fn secret(&self) -> Result<SecretString, StoreError> {
            let text = self.text.expose_text().filter(|text| !text.is_empty()).ok_or_else(|| StoreError::Invalid {
                problem: "the passphrase is empty, or is not text".to_owned(),
                hint: "a passphrase is UTF-8".to_owned(),
            })?;
            Ok(SecretString::from(text.to_owned()))
        }
    }

    /// The passphrase of a file, and what it was decrypted to last: a try costs half a second.
    #[derive(Debug)]
    pub(in super::super) struct Cipher {
        passphrase: Passphrase,
        last: Mutex<Option<(Version, Arc<Table>)>>,
    }

    impl Cipher {
        pub(in super::super) fn new(passphrase: Passphrase) -> Cipher {
            Cipher { passphrase, last: Mutex::default() }
        }

        pub(in super::super) fn open(&self, bytes: &[u8]) -> Result<Arc<Table>, StoreError> {
            let version = Version::of(bytes);
            // Not under the mutex: others need not wait for half a second of work.
            if let Some((known, table)) = &*locked(&self.last)
                && *known == version
            {
                return Ok(Arc::clone(table));
            }
            let table = Arc::new(parse(&decrypt(bytes, &self.passphrase)?)?);
            *locked(&self.last) = Some((version, Arc::clone(&table)));
            Ok(table)
        }

        pub(in super::super) fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
            encrypt(plain, &self.passphrase)
        }
    }

    /// For a file that gets a new passphrase.
    pub(in super::super) fn seal(plain: &[u8], passphrase: &Passphrase) -> Result<Vec<u8>, StoreError> {
        if passphrase.text.len() < SHORTEST {
            return Err(StoreError::Invalid {
                problem: "the new passphrase is too short".to_owned(),
                hint: format!("take {SHORTEST} bytes or more: several words"),
            });
        }
        encrypt(plain, passphrase)
    }

    fn encrypt(plain: &[u8], passphrase: &Passphrase) -> Result<Vec<u8>, StoreError> {
        let mut recipient = scrypt::Recipient::new(passphrase.secret()?);
        recipient.set_work_factor(passphrase.work);
        let recipient: &dyn Recipient = &recipient;
        let sealed = || {
            let mut sealed = Vec::with_capacity(plain.len() + 1024);
            let encryptor = Encryptor::with_recipients(iter::once(recipient)).map_err(std::io::Error::other)?;
            let mut writer = encryptor.wrap_output(&mut sealed)?;
            writer.write_all(plain)?;
            writer.finish()?;
            Ok::<_, std::io::Error>(sealed)
        };
        sealed().map_err(|e| StoreError::Invalid {
            problem: format!("the file can't be encrypted: {e}"),
            hint: "what is stored is as it was".to_owned(),
        })
    }

    fn decrypt(bytes: &[u8], passphrase: &Passphrase) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let damaged = |problem: &str| StoreError::Damaged {
            line: None,
            offset: None,
            problem: problem.to_owned(),
            way_out: "restore the file from a backup: what is damaged of an encrypted file is lost as a whole"
                .to_owned(),
        };
        let mut identity = scrypt::Identity::new(passphrase.secret()?);
        identity.set_max_work_factor(MOST_WORK);
        let identity: &dyn Identity = &identity;
        let wrong = |e: DecryptError| match e {
            DecryptError::ExcessiveWork { required, .. } => StoreError::Invalid {
                problem: format!("its passphrase asks for too much work (2^{required}, at most 2^{MOST_WORK} is done)"),
                hint: "decrypt it with the age command, if you know where it comes from".to_owned(),
            },
            DecryptError::KeyDecryptionFailed | DecryptError::DecryptionFailed => StoreError::WrongPassphrase,
            DecryptError::NoMatchingKeys => damaged("it is encrypted, but not by a passphrase"),
            DecryptError::InvalidMac => damaged("the head of the encrypted file is not what was written"),
            DecryptError::UnknownFormat => damaged("it is encrypted in a version of the format that is not known"),
            _ => damaged("the head of the encrypted file is damaged"),
        };
        let decryptor = Decryptor::new_buffered(bytes).map_err(wrong)?;
        let mut reader = decryptor.decrypt(iter::once(identity)).map_err(wrong)?;
        // Of the right size at once: a vector that grows leaves copies of what was in it.
        let mut plain = Zeroizing::new(Vec::with_capacity(bytes.len()));
        reader.read_to_end(&mut plain).map_err(|_| damaged("the encrypted content is not what was written"))?;
        Ok(plain)
    }
}
