//! The lease file's content: one line of JSON that says who has the file until when, and the number that only grows.
//!
//! Unlike the record in a lock file it is the lease, not a hint: whoever writes compares with it, under the lock.

use std::time::Duration;

use filelatch_fs::Host;
use serde::{Deserialize, Serialize};

use crate::lock::Holder;
use crate::parts::{Parts, parse_rfc3339, rfc3339};

/// How ours begin.
pub(crate) const BEGIN: &[u8] = b"{\"v\":";
/// A longer file is somebody's data, not a lease.
pub(crate) const LIMIT: u64 = 4096;
/// Characters of a session or purpose that are kept, so that the line stays below the limit however they are escaped.
const TEXT: usize = 200;
/// The newest form that this version understands.
const NEWEST: u32 = 1;

/// A lease as its file has it. Unknown fields of later versions are kept out of the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LeaseRecord {
    pub(crate) v: u32,
    pub(crate) token: u64,
    pub(crate) pid: u32,
    pub(crate) pidns: u64,
    pub(crate) start: u64,
    pub(crate) boot: String,
    pub(crate) host: String,
    pub(crate) session: String,
    pub(crate) purpose: String,
    pub(crate) since: String,
    /// How long it lasts from each renewal, in milliseconds.
    pub(crate) hold: u64,
    /// When it is over, in milliseconds of [`Host::monotonic`] of that boot.
    pub(crate) expires: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) released: bool,
}

/// What a lease file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Record(Box<LeaseRecord>),
    /// Ours, but torn or zeroed: no number in it was ever given out, for it is durable before that.
    Damaged,
    /// Of a version that we do not understand.
    Newer(u32),
    /// Not ours: never written.
    Foreign,
}

impl LeaseRecord {
    /// A new lease of this process.
    pub(crate) fn new(parts: &Parts, token: u64, hold: Duration, purpose: Option<&str>) -> LeaseRecord {
        let facts = parts.facts();
        let short = |text: &str| text.chars().take(TEXT).collect();
        LeaseRecord {
            v: NEWEST,
            token,
            pid: facts.pid,
            pidns: facts.pid_ns,
            start: facts.start,
            boot: facts.boot,
            host: short(&facts.host),
            session: short(&parts.session),
            purpose: short(purpose.unwrap_or(&parts.purpose)),
            since: rfc3339(parts.host.now()),
            hold: millis(hold),
            expires: 0,
            released: false,
        }
    }

    /// The same lease, of another session.
    pub(crate) fn of(mut self, session: &str) -> LeaseRecord {
        self.session = session.chars().take(TEXT).collect();
        self
    }

    /// The same lease from now on.
    pub(crate) fn renewed(&self, now: Duration) -> LeaseRecord {
        LeaseRecord { expires: millis(now).saturating_add(self.hold), ..self.clone() }
    }

    /// The same lease, of another length from its next renewal on.
    pub(crate) fn lasting(&self, hold: Duration) -> LeaseRecord {
        LeaseRecord { hold: millis(hold), ..self.clone() }
    }

    /// The same lease, of no process.
    pub(crate) fn detached(self) -> LeaseRecord {
        LeaseRecord { pid: 0, start: 0, ..self }
    }

    /// The same lease, given back.
    pub(crate) fn given_back(&self) -> LeaseRecord {
        LeaseRecord { released: true, ..self.clone() }
    }

    pub(crate) fn hold(&self) -> Duration {
        Duration::from_millis(self.hold)
    }

    pub(crate) fn expires(&self) -> Duration {
        Duration::from_millis(self.expires)
    }

    /// The moment from which its holder treats it as lost: a margin before it is over for others (L12).
    pub(crate) fn until(&self) -> Duration {
        self.expires().saturating_sub((self.hold() / 10).min(Duration::from_secs(1)))
    }

    pub(crate) fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    pub(crate) fn find(bytes: &[u8]) -> Content {
        if !bytes.starts_with(BEGIN) && bytes.first() != Some(&0) {
            return Content::Foreign;
        }
        match serde_json::from_slice::<LeaseRecord>(bytes) {
            Ok(record) if record.v > NEWEST => Content::Newer(record.v),
            Ok(record) if record.token > 0 => Content::Record(Box::new(record)),
            _ => Content::Damaged,
        }
    }

    /// Its holder, for messages. Confirmed: a process of this machine that lives.
    pub(crate) fn holder(&self, host: &dyn Host, confirmed: bool) -> Holder {
        let text = |s: &String| (!s.is_empty()).then(|| s.clone());
        let since = parse_rfc3339(&self.since);
        let pid = (self.pid != 0).then_some(self.pid);
        Holder {
            pid,
            program: pid.filter(|_| confirmed).and_then(|pid| host.program_of(pid)),
            purpose: text(&self.purpose),
            session: text(&self.session),
            host: text(&self.host),
            since,
            shared: false,
            records: false,
            confirmed,
            held_for: since.and_then(|since| host.now().duration_since(since).ok()),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LOCK-13: what counts as a lease of ours, and what must never be written.
    #[test]
    fn ours_or_not() {
        let whole = LeaseRecord { v: 1, token: 7, ..LeaseRecord::default() }.line();
        assert!(matches!(LeaseRecord::find(&whole), Content::Record(record) if record.token == 7));
        assert_eq!(LeaseRecord::find(&whole[..20]), Content::Damaged);
        assert_eq!(LeaseRecord::find(&[0; 90]), Content::Damaged);
        assert_eq!(LeaseRecord::find(b"{\"v\":1}\n"), Content::Damaged);
        assert_eq!(LeaseRecord::find(b"{\"v\":2,\"token\":9}\n"), Content::Newer(2));
        for foreign in [&b""[..], b"my lease\n", b"{\"token\":7}"] {
            assert_eq!(LeaseRecord::find(foreign), Content::Foreign);
        }
    }

    /// LOCK-13: names of any length and kind leave the line below the limit.
    #[test]
    fn long_names() {
        for long in ["\u{1}", "é", "\u{1f600}"].map(|c| c.repeat(5000)) {
            let session = Some(long.clone());
            let parts = Parts::new(
                std::sync::Arc::new(filelatch_fs::RealFs),
                std::sync::Arc::new(filelatch_fs::RealHost),
                session,
                long,
            );
            let record = LeaseRecord::new(&parts, u64::MAX, Duration::MAX, None);
            assert!((record.line().len() as u64) < LIMIT);
            assert_eq!(LeaseRecord::find(&record.line()), Content::Record(Box::new(record)));
        }
    }
}
