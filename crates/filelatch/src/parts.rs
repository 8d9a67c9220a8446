//! The parts that an engine is built from: what it runs on and who it is (TEST-3).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use filelatch_fs::{Fs, Host, ProcessFacts};

use crate::conflict::BaseSource;
use crate::policy::LastParsed;

/// Everything below the engine, injected: no global state anywhere.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) host: Arc<dyn Host>,
    /// Who writes: shown to others as the author of changes.
    pub(crate) session: String,
    /// What for: shown to those who wait.
    pub(crate) purpose: String,
    /// Who may know former versions of files.
    pub(crate) base_sources: Vec<Arc<dyn BaseSource>>,
    #[cfg(feature = "watch")]
    pub(crate) own_writes: Arc<crate::watch::own::OwnWrites>,
    /// The configuration that was read last.
    pub(crate) policies: LastParsed,
    facts: Mutex<Option<ProcessFacts>>,
}

impl Parts {
    pub(crate) fn new(fs: Arc<dyn Fs>, host: Arc<dyn Host>, session: Option<String>, purpose: String) -> Parts {
        let session = session.unwrap_or_else(|| default_session(&*host));
        Parts {
            #[cfg(feature = "watch")]
            own_writes: crate::watch::own::OwnWrites::new(&host),
            fs,
            host,
            session,
            purpose,
            base_sources: Vec::new(),
            policies: LastParsed::default(),
            facts: Mutex::new(None),
        }
    }

    /// Facts of this process, found out once (and again after a fork).
    pub(crate) fn facts(&self) -> ProcessFacts {
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        match &*facts {
            Some(known) if known.pid == self.host.pid() => known.clone(),
            _ => facts.insert(self.host.facts()).clone(),
        }
    }
}

/// `user@host#random`: says who to ask, and differs between two runs of one program (P1).
fn default_session(host: &dyn Host) -> String {
    let facts = host.facts();
    format!("{}@{}#{:04x}", facts.user, facts.host, host.random() & 0xffff)
}

/// `2026-11-21T10:00:00.123Z` (RFC 3339, UTC).
pub(crate) fn rfc3339(time: SystemTime) -> String {
    match jiff::Timestamp::try_from(time) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => String::new(),
    }
}

/// The moment an RFC 3339 text names.
pub(crate) fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    text.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
}

/// Milliseconds since the epoch.
pub(crate) fn epoch_millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
