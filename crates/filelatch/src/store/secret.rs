//! A secret in memory.

use std::fmt;

use zeroize::Zeroizing;

/// Bytes that are not shown and are wiped when they are dropped. `Debug` prints none of them, and there is no `Display`.
///
/// What is wiped is this value: buffers that the bytes went through on their way from and to a file, and pages that the system has swapped
/// out, are not.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over; what else the caller has of them is his to wipe.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Secret {
        Secret(Zeroizing::new(bytes.into()))
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, if they are.
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Is there nothing in it?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// STORE-6: a secret is in no message.
    #[test]
    fn not_shown() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "Secret(…) Some(Secret(…))");
        assert_eq!((secret.expose_text(), secret.len()), (Some("hunter2"), 7));
        assert_eq!(Secret::new([0xff]).expose_text(), None);
    }
}
