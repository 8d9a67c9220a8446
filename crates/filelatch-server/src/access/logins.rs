//! Logins of browsers: a code that works once makes a session, which a cookie carries.
//!
//! # Promise
//! - Codes and cookies have 256 random bits. The server keeps their BLAKE3 hashes, in memory only: with the server all logins end.
//! - A code works once, for [`CODE_TIME`]. A session ends when it is logged out, or was not used for [`IDLE`].
//! - There are at most [`MOST`] of each; the oldest give way.
//!
//! # Non-promise
//! A session is not bound to an address or a browser: who has the cookie is logged in.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use filelatch::store::Scope;
use filelatch_fs::Host;

/// How long a code can be used.
pub(crate) const CODE_TIME: Duration = Duration::from_secs(600);
/// How long a session lasts that nobody uses.
const IDLE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Codes, and sessions, at the same time.
const MOST: usize = 1000;
/// Random bytes of a secret.
const BYTES: usize = 32;

/// All logins.
#[derive(Debug, Default)]
pub(crate) struct Logins(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    /// Until when.
    codes: HashMap<blake3::Hash, (Duration, Vec<Scope>)>,
    /// When it was used last.
    sessions: HashMap<blake3::Hash, (Duration, Vec<Scope>)>,
}

impl Logins {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new code.
    pub(crate) fn code(&self, host: &dyn Host, scopes: &[Scope]) -> io::Result<String> {
        let (text, hash) = secret(host)?;
        let now = host.monotonic();
        let mut table = self.table();
        table.codes.retain(|_, (until, _)| *until > now);
        make_room(&mut table.codes);
        table.codes.insert(hash, (now.saturating_add(CODE_TIME), scopes.to_vec()));
        Ok(text)
    }

    /// Turns a code into a session; `None`: it is none, was used, or is too old.
    pub(crate) fn redeem(&self, host: &dyn Host, code: &str) -> io::Result<Option<String>> {
        let (text, hash) = secret(host)?;
        let now = host.monotonic();
        let mut table = self.table();
        let Some((until, scopes)) = table.codes.remove(&blake3::hash(code.as_bytes())) else { return Ok(None) };
        if until <= now {
            return Ok(None);
        }
        table.sessions.retain(|_, (used, _)| now.saturating_sub(*used) < IDLE);
        make_room(&mut table.sessions);
        table.sessions.insert(hash, (now, scopes));
        Ok(Some(text))
    }

    /// What a session allows; `None`: there is none.
    pub(crate) fn session(&self, host: &dyn Host, cookie: &str) -> Option<Vec<Scope>> {
        let now = host.monotonic();
        let mut table = self.table();
        // Looked up by its hash: how long that takes says nothing of the secret.
        let (used, scopes) = table.sessions.get_mut(&blake3::hash(cookie.as_bytes()))?;
        if now.saturating_sub(*used) >= IDLE {
            return None;
        }
        *used = now;
        Some(scopes.clone())
    }

    /// Ends a session.
    pub(crate) fn end(&self, cookie: &str) {
        self.table().sessions.remove(&blake3::hash(cookie.as_bytes()));
    }
}

fn make_room(entries: &mut HashMap<blake3::Hash, (Duration, Vec<Scope>)>) {
    while entries.len() >= MOST {
        let oldest = entries.iter().min_by_key(|(_, (when, _))| *when).map(|(hash, _)| *hash);
        oldest.and_then(|oldest| entries.remove(&oldest));
    }
}

/// Letters and digits that nobody can guess, and their hash.
fn secret(host: &dyn Host) -> io::Result<(String, blake3::Hash)> {
    let mut bytes = [0; BYTES];
    host.secret(&mut bytes)?;
    let text = blake3::Hash::from(bytes).to_hex().to_string();
    let hash = blake3::hash(text.as_bytes());
    Ok((text, hash))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use filelatch_fs::RealHost;

    use super::*;

    /// SERVE-7: a code works once; a session lasts until it is ended; what is made up works never.
    #[test]
    fn once() {
        let host: Arc<dyn Host> = Arc::new(RealHost);
        let logins = Logins::default();
        let code = logins.code(&*host, &[Scope::Write]).unwrap();
        assert_eq!(logins.redeem(&*host, "x").unwrap(), None);
        let cookie = logins.redeem(&*host, &code).unwrap().unwrap();
        assert_eq!(logins.redeem(&*host, &code).unwrap(), None);
        assert_eq!(logins.session(&*host, &cookie), Some(vec![Scope::Write]));
        assert_eq!(logins.session(&*host, &code), None);
        logins.end(&cookie);
        assert_eq!(logins.session(&*host, &cookie), None);
    }

    /// SERVE-7: however many codes are asked for, they take a bounded room, and the newest works.
    #[test]
    fn bounded() {
        let logins = Logins::default();
        let codes: Vec<_> = (0..MOST + 5).map(|_| logins.code(&RealHost, &[]).unwrap()).collect();
        assert_eq!(logins.table().codes.len(), MOST);
        assert!(logins.redeem(&RealHost, codes.last().unwrap()).unwrap().is_some());
    }
}
