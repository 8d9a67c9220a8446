//! Is a lease over? A decision without system calls (L7, L8, L10).
//!
//! | the record is… | over when |
//! |---|---|
//! | given back | at once |
//! | of this boot and PID namespace, its process gone or another by now | at once |
//! | of this boot | this machine's clock, which runs on in suspend, is past its end |
//! | of another boot of this machine, on a file system of this machine | at once |
//! | of another machine, or of a clock that can't be this one | it stood unchanged for its length and a margin, on our own clock |
//!
//! That it is over does not prove that its holder stopped: both may run, and only the number keeps the late one from writing (L9).

use std::time::Duration;

use filelatch_fs::ProcessFacts;

use super::record::LeaseRecord;
use crate::lock::stale;

/// What is known beside the record.
pub(crate) struct Known<'a> {
    /// Of this process.
    pub(crate) facts: &'a ProcessFacts,
    /// This machine's clock.
    pub(crate) now: Duration,
    /// Nobody but this machine can write to the file system.
    pub(crate) local: bool,
    /// Start time of the process that has the holder's id; `None`: there is none. An error: not known.
    pub(crate) start_of: &'a dyn Fn(u32) -> std::io::Result<Option<u64>>,
    /// For how long this process has seen the record as it is.
    pub(crate) unchanged: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Over,
    Live {
        /// At most so long, unless it is renewed.
        remaining: Duration,
        /// Its process is one of this machine, and lives.
        seen_alive: bool,
    },
}

pub(crate) fn judge(record: &LeaseRecord, known: &Known<'_>) -> Verdict {
    if record.released {
        return Verdict::Over;
    }
    let facts = known.facts;
    let same_host = !record.host.is_empty() && record.host == facts.host;
    let same_boot = record.boot == facts.boot && (!record.boot.is_empty() || (same_host && known.local));
    if same_boot {
        let mut seen_alive = false;
        if record.pidns == facts.pid_ns && record.pid != 0 {
            match stale::process(&(known.start_of)(record.pid), record.start) {
                stale::Verdict::Dead(_) => return Verdict::Over,
                stale::Verdict::Alive => seen_alive = true,
                stale::Verdict::Unknown(_) => {}
            }
        }
        // An end further away than the length is one of another clock: a time namespace, or a boot that nobody can tell apart.
        let remaining = record.expires().saturating_sub(known.now);
        if remaining <= record.hold() {
            return if remaining.is_zero() { Verdict::Over } else { Verdict::Live { remaining, seen_alive } };
        }
        if record.boot.is_empty() {
            return Verdict::Over;
        }
    } else if same_host && known.local {
        return Verdict::Over;
    }
    let margin = (record.hold() / 10).max(Duration::from_secs(1));
    let remaining = record.hold().saturating_add(margin).saturating_sub(known.unchanged);
    if remaining.is_zero() { Verdict::Over } else { Verdict::Live { remaining, seen_alive: false } }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 500;

    fn facts() -> ProcessFacts {
        ProcessFacts { pid: 1, pid_ns: 4, start: 1, boot: "now".into(), host: "here".into(), user: "me".into() }
    }

    fn record() -> LeaseRecord {
        LeaseRecord {
            token: 9,
            pid: 77,
            pidns: 4,
            start: START,
            boot: "now".into(),
            host: "here".into(),
            hold: 10_000,
            expires: 100_000,
            ..LeaseRecord::default()
        }
    }

    struct Case {
        record: LeaseRecord,
        facts: ProcessFacts,
        now: u64,
        local: bool,
        start: Option<u64>,
        unchanged: u64,
    }

    fn case() -> Case {
        Case { record: record(), facts: facts(), now: 95_000, local: true, start: Some(START), unchanged: 0 }
    }

    fn remaining(case: &Case) -> Option<u64> {
        let known = Known {
            facts: &case.facts,
            now: Duration::from_millis(case.now),
            local: case.local,
            start_of: &|_| Ok(case.start),
            unchanged: Duration::from_millis(case.unchanged),
        };
        match judge(&case.record, &known) {
            Verdict::Over => None,
            Verdict::Live { remaining, .. } => u64::try_from(remaining.as_millis()).ok(),
        }
    }

    /// LOCK-13 (L10): of this boot the clock decides, to the millisecond.
    #[test]
    fn by_the_clock() {
        assert_eq!(remaining(&case()), Some(5000));
        assert_eq!(remaining(&Case { now: 99_999, ..case() }), Some(1));
        assert_eq!(remaining(&Case { now: 100_000, ..case() }), None);
        // That it stood unchanged says nothing here.
        assert_eq!(remaining(&Case { unchanged: 90_000, ..case() }), Some(5000));
        let released = LeaseRecord { released: true, ..record() };
        assert_eq!(remaining(&Case { record: released, ..case() }), None);
    }

    /// LOCK-13 (L7): a dead holder's lease is over at once, a pid alone proves nothing, what can't be seen is alive.
    #[test]
    fn by_death() {
        assert_eq!(remaining(&Case { start: None, ..case() }), None);
        assert_eq!(remaining(&Case { start: Some(START + 1), ..case() }), None);
        // A start time that one of them does not know.
        assert_eq!(remaining(&Case { start: Some(0), ..case() }), Some(5000));
        let unknown = LeaseRecord { start: 0, ..record() };
        assert_eq!(remaining(&Case { record: unknown, ..case() }), Some(5000));
        let nobody = LeaseRecord { pid: 0, ..record() };
        assert_eq!(remaining(&Case { record: nobody, start: None, ..case() }), Some(5000));
        let elsewhere = LeaseRecord { pidns: 5, ..record() };
        assert_eq!(remaining(&Case { record: elsewhere, start: None, ..case() }), Some(5000));
        let facts = facts();
        let blind = Known {
            facts: &facts,
            now: Duration::from_secs(95),
            local: true,
            start_of: &|_| Err(std::io::ErrorKind::PermissionDenied.into()),
            unchanged: Duration::ZERO,
        };
        assert!(matches!(judge(&record(), &blind), Verdict::Live { seen_alive: false, .. }));
    }

    /// LOCK-13: another boot of this machine has ended every lease of the one before, if the files are its own.
    #[test]
    fn by_boot() {
        let before = LeaseRecord { boot: "before".into(), ..record() };
        assert_eq!(remaining(&Case { record: before.clone(), ..case() }), None);
        assert_eq!(remaining(&Case { record: before, local: false, ..case() }), Some(11_000));
    }

    /// LOCK-13 (L10): another machine's clock says nothing here; only that nothing happened for its length and a margin does.
    #[test]
    fn of_another_machine() {
        let other = LeaseRecord { boot: "theirs".into(), host: "there".into(), ..record() };
        for local in [true, false] {
            for (unchanged, left) in [(0, Some(11_000)), (10_999, Some(1)), (11_000, None)] {
                let case = Case { record: other.clone(), local, unchanged, now: 999_999, start: None, ..case() };
                assert_eq!(remaining(&case), left);
            }
        }
        // No names at all are nobody's.
        let nameless = LeaseRecord { boot: "theirs".into(), host: String::new(), ..record() };
        let mut nobody = case();
        nobody.facts.host = String::new();
        assert_eq!(remaining(&Case { record: nameless, ..nobody }), Some(11_000));
    }

    /// LOCK-13: an end further away than the lease is long is no time of this clock.
    #[test]
    fn of_another_clock() {
        // A time namespace: watched.
        assert_eq!(remaining(&Case { now: 89_999, ..case() }), Some(11_000));
        assert_eq!(remaining(&Case { now: 89_999, unchanged: 11_000, ..case() }), None);
        // A machine that can't tell its boots apart was started again.
        let mut unknown = case();
        (unknown.facts.boot, unknown.record.boot) = (String::new(), String::new());
        assert_eq!(remaining(&unknown), Some(5000));
        assert_eq!(remaining(&Case { now: 10, ..unknown }), None);
    }
}
