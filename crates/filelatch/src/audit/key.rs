//! A key for the chain: with it, nobody who has not got it can write a chain that holds.

use std::fmt;
use std::io;
use std::path::Path;

use filelatch_fs::fs::read_to_end;
use filelatch_fs::{Access, Fs};

/// What a key is good for, and nothing else (BLAKE3's key derivation).
const CONTEXT: &str = "filelatch 2026-11-21 audit chain";
/// Fewer bytes are no secret.
const SHORTEST: usize = 16;
/// A file longer than this is no key.
const LONGEST: u64 = 4096;

/// The key of a log. It is never shown or stored.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key([u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// From the secret: the bytes of the key file without blanks and line ends around them.
    pub(crate) fn new(secret: &[u8]) -> Option<Key> {
        let secret = secret.trim_ascii();
        (secret.len() >= SHORTEST).then(|| Key(blake3::derive_key(CONTEXT, secret)))
    }

    /// Reads a key file. It must not lie in the workspace, where whoever can change the log could read it.
    pub(crate) fn read(fs: &dyn Fs, path: &Path, workspace: &Path) -> io::Result<Key> {
        let wrong = |message: &str| io::Error::new(io::ErrorKind::InvalidInput, message.to_owned());
        let path = fs.canonicalize(path)?;
        if path.starts_with(workspace) {
            return Err(wrong("the key lies in the workspace: put it where only its writers can read it"));
        }
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return Err(wrong("it is no file")) };
        let file = fs.open_dir(dir)?.open(name, Access::Read)?;
        if !file.stat()?.is_file() {
            return Err(wrong("it is no file"));
        }
        let secret = read_to_end(&*file, LONGEST)?;
        Key::new(&secret).ok_or_else(|| wrong("the key is too short: at least 16 bytes"))
    }

    pub(super) fn hasher(&self) -> blake3::Hasher {
        blake3::Hasher::new_keyed(&self.0)
    }

    /// Tells keys apart without giving them away.
    pub(super) fn id(&self) -> String {
        self.hasher().update(b"id").finalize().to_hex()[..16].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// KEEP-2: a key is told from another, and is not shown.
    #[test]
    fn keys() {
        let key = Key::new(b" 0123456789abcdef\n").unwrap();
        assert_eq!(Some(&key), Key::new(b"0123456789abcdef").as_ref());
        assert_ne!(key.id(), Key::new(b"0123456789abcdeg").unwrap().id());
        assert_eq!(Key::new(b"   0123456789abcde   "), None);
        assert_eq!(format!("{key:?}"), "Key(…)");
    }
}
