//! Is the holder of a fallback lock dead? The decision, and nothing but the decision (LOCK-10, P4, L6–L8).
//!
//! # Promise
//! `Dead` is said only with a proof: the process is gone, its number belongs to another one, its machine has started again, or the
//! kernel has given back the whole-file lock that it held. Of another machine there is no proof, only silence: its heartbeat
//! has not been seen to change for as long as its record allows. Age never counts.
//!
//! # Non-promise
//! A machine that is suspended or cut off and comes back is silent, too: its lock may have been taken over. It finds out
//! before its next publish ([`Error::LockLost`](crate::Error::LockLost)), not before its next instruction (L8).
//!
//! The table with a test for each row is in `docs/design/stale.md`.

use std::fmt;
use std::io;
use std::time::Duration;

use filelatch_fs::{FsKind, ProcessFacts};

use super::record::{NEWEST, Record};

/// What the one who asks knows besides the record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) me: &'a ProcessFacts,
    /// What the directory is on.
    pub(crate) kind: FsKind,
    /// For how long this process has seen the heartbeat unchanged, by its own clock.
    pub(crate) silent_for: Duration,
    /// Inode of the lock file whose whole-file lock this process holds exclusively; 0: none.
    pub(crate) flock: u64,
}

/// Why somebody is dead, or counts as dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// No process has its number.
    Gone,
    /// Another process has its number.
    NumberReused,
    /// Its machine has been started again since.
    Rebooted,
    /// The kernel gave back the whole-file lock that it held for as long as it lived.
    LockGivenBack,
    /// It says so itself: given back, but the file could not be removed.
    Released,
    /// Its heartbeat stopped. Of another machine this is all that can be known.
    Silent,
}

/// Why somebody counts as alive without having been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// The record can't be read, or does not name a process.
    NoRecord,
    /// A newer filelatch wrote the record (L20).
    Newer,
    /// It is in another PID namespace of this machine.
    OtherNamespace,
    /// The system does not tell.
    NotTold,
    /// It is on another machine, which writes no heartbeat.
    NoHeartbeat,
    /// It is on another machine, and has not been silent for long enough.
    Heartbeat,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Alive,
    Dead(Proof),
    /// Counts as alive.
    Unknown(Doubt),
}

/// Decides. `start_of` answers the start time of a process of this machine and PID namespace, `None` when there is none; it is
/// asked only if the answer counts.
pub(crate) fn judge(
    record: Option<&Record>,
    view: &View<'_>,
    start_of: impl FnOnce(u32) -> io::Result<Option<u64>>,
) -> Verdict {
    let Some(record) = record.filter(|record| record.pid != 0) else { return Verdict::Unknown(Doubt::NoRecord) };
    if record.v > NEWEST {
        return Verdict::Unknown(Doubt::Newer);
    }
    if record.released {
        return Verdict::Dead(Proof::Released);
    }
    let me = view.me;
    let boots_known = !record.boot.is_empty() && !me.boot.is_empty();
    let same_host = record.host == me.host;
    // A boot's identity is drawn at random; a host's name is not. Where a system has none, the name must do.
    let same_boot = if boots_known { record.boot == me.boot } else { same_host && record.boot == me.boot };
    if same_boot {
        return on_this_machine(record, view, start_of);
    }
    // A local disk is in one running machine only. On a network two machines may have one name.
    if boots_known && same_host && view.kind == FsKind::Local {
        return Verdict::Dead(Proof::Rebooted);
    }
    match Duration::from_millis(record.lease) {
        Duration::ZERO => Verdict::Unknown(Doubt::NoHeartbeat),
        lease if view.silent_for >= lease => Verdict::Dead(Proof::Silent),
        _ => Verdict::Unknown(Doubt::Heartbeat),
    }
}

fn on_this_machine(record: &Record, view: &View<'_>, start_of: impl FnOnce(u32) -> io::Result<Option<u64>>) -> Verdict {
    if record.pidns != view.me.pid_ns {
        // Its number means nobody, or somebody else, here. But it keeps the whole-file lock while it lives: if that is ours on
        // the very same lock file, it does not.
        let given_back = record.flock != 0 && record.flock == view.flock;
        return if given_back { Verdict::Dead(Proof::LockGivenBack) } else { Verdict::Unknown(Doubt::OtherNamespace) };
    }
    let Ok(pid) = u32::try_from(record.pid) else { return Verdict::Unknown(Doubt::NoRecord) };
    process(&start_of(pid), record.start)
}

/// What the system's answer says of a process of this boot and PID namespace that began at `start`. 0, on either side, is a start time
/// that is not known, and proves nothing (L7).
pub(crate) fn process(told: &io::Result<Option<u64>>, start: u64) -> Verdict {
    match told {
        Err(_) => Verdict::Unknown(Doubt::NotTold),
        Ok(None) => Verdict::Dead(Proof::Gone),
        Ok(Some(now)) if *now != 0 && start != 0 && *now != start => Verdict::Dead(Proof::NumberReused),
        Ok(Some(_)) => Verdict::Alive,
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Proof::Gone => "its process is gone",
            Proof::NumberReused => "its process is gone and another one has its number",
            Proof::Rebooted => "its machine has been started again since",
            Proof::LockGivenBack => "the system has given back the whole-file lock that it held while it lived",
            Proof::Released => "it was given back, but its file could not be removed",
            Proof::Silent => "it is on another machine and its heartbeat has stopped",
        })
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Doubt::NoRecord => "its record cannot be read",
            Doubt::Newer => "a newer filelatch wrote it",
            Doubt::OtherNamespace => "its process is in another container of this machine",
            Doubt::NotTold => "the system does not say whether its process lives",
            Doubt::NoHeartbeat => "it is on another machine and writes no heartbeat",
            Doubt::Heartbeat => "it is on another machine and has not been silent for long enough",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(30);

    fn me() -> ProcessFacts {
        ProcessFacts { pid: 1, pid_ns: 5, start: 10, boot: "boot-1".into(), host: "here".into(), user: "u".into() }
    }

    fn holder() -> Record {
        Record {
            v: NEWEST,
            pid: 77,
            pidns: 5,
            start: 700,
            boot: "boot-1".into(),
            host: "here".into(),
            flock: 9,
            lease: 30_000,
            ..Record::default()
        }
    }

    /// Asks with a system that knows one process, 77, started at 700.
    fn ask(record: &Record, change: impl FnOnce(&mut View<'_>)) -> Verdict {
        let me = me();
        let mut view = View { me: &me, kind: FsKind::Network, silent_for: Duration::ZERO, flock: 0 };
        change(&mut view);
        judge(Some(record), &view, |pid| Ok((pid == 77).then_some(700)))
    }

    fn age(view: &mut View<'_>) {
        view.silent_for = Duration::from_secs(1_000_000);
    }

    /// LOCK-10, row 1: same boot, the process lives.
    #[test]
    fn row_1_alive() {
        assert_eq!(ask(&holder(), |_| {}), Verdict::Alive);
    }

    /// LOCK-10 (L8), row 1: it lives, however long it has been silent, and although its whole-file lock is not where it was.
    #[test]
    fn row_1_never_by_age_while_it_lives() {
        assert_eq!(ask(&holder(), age), Verdict::Alive);
        assert_eq!(ask(&holder(), |view| view.flock = 9), Verdict::Alive);
    }

    /// LOCK-10, row 2: same boot, no such process.
    #[test]
    fn row_2_gone() {
        assert_eq!(ask(&Record { pid: 78, ..holder() }, |_| {}), Verdict::Dead(Proof::Gone));
    }

    /// LOCK-10 (L7), row 3: same boot, another process has the number.
    #[test]
    fn row_3_number_reused() {
        assert_eq!(ask(&Record { start: 699, ..holder() }, |_| {}), Verdict::Dead(Proof::NumberReused));
    }

    /// LOCK-10 (L7), row 4: a start time that is not known proves nothing.
    #[test]
    fn row_4_start_unknown() {
        assert_eq!(ask(&Record { start: 0, ..holder() }, |_| {}), Verdict::Alive);
        let me = me();
        let view = View { me: &me, kind: FsKind::Local, silent_for: LEASE * 9, flock: 0 };
        assert_eq!(judge(Some(&holder()), &view, |_| Ok(Some(0))), Verdict::Alive);
    }

    /// LOCK-10 (L7), row 5: the system does not tell.
    #[test]
    fn row_5_not_told() {
        let me = me();
        let view = View { me: &me, kind: FsKind::Local, silent_for: LEASE * 9, flock: 9 };
        let told = judge(Some(&holder()), &view, |_| Err(io::ErrorKind::PermissionDenied.into()));
        assert_eq!(told, Verdict::Unknown(Doubt::NotTold));
    }

    /// LOCK-10 (L7), row 6: same boot, another PID namespace: the number means nothing here, silence neither.
    #[test]
    fn row_6_other_namespace() {
        for pid in [77, 78] {
            let record = Record { pidns: 6, pid, ..holder() };
            assert_eq!(ask(&record, age), Verdict::Unknown(Doubt::OtherNamespace));
            assert_eq!(ask(&record, |view| view.flock = 10), Verdict::Unknown(Doubt::OtherNamespace));
            let without = Record { flock: 0, ..record };
            assert_eq!(ask(&without, |view| view.flock = 0), Verdict::Unknown(Doubt::OtherNamespace));
        }
    }

    /// LOCK-10, row 7: same boot, another PID namespace, and its whole-file lock is ours.
    #[test]
    fn row_7_lock_given_back() {
        let record = Record { pidns: 6, ..holder() };
        assert_eq!(ask(&record, |view| view.flock = 9), Verdict::Dead(Proof::LockGivenBack));
    }

    /// LOCK-10, row 8: same host name, another boot, a disk of this machine; also when a process has the number by chance.
    #[test]
    fn row_8_rebooted() {
        for pid in [77, 78] {
            let record = Record { boot: "boot-0".into(), pid, ..holder() };
            assert_eq!(ask(&record, |view| view.kind = FsKind::Local), Verdict::Dead(Proof::Rebooted));
        }
    }

    /// LOCK-10, row 9: same host name, another boot, a network: two machines may have one name, so silence decides.
    #[test]
    fn row_9_namesake() {
        let record = Record { boot: "boot-0".into(), ..holder() };
        for kind in [FsKind::Network, FsKind::Unknown] {
            assert_eq!(ask(&record, |view| view.kind = kind), Verdict::Unknown(Doubt::Heartbeat));
            let silent = |view: &mut View<'_>| (view.kind, view.silent_for) = (kind, LEASE);
            assert_eq!(ask(&record, silent), Verdict::Dead(Proof::Silent));
        }
    }

    /// LOCK-10, row 10: another host that is heard of.
    #[test]
    fn row_10_other_host_with_heartbeat() {
        let record = Record { boot: "boot-7".into(), host: "there".into(), ..holder() };
        let almost = |view: &mut View<'_>| view.silent_for = LEASE.saturating_sub(Duration::from_millis(1));
        assert_eq!(ask(&record, almost), Verdict::Unknown(Doubt::Heartbeat));
    }

    /// LOCK-10, row 11: another host that has been silent for as long as its record allows.
    #[test]
    fn row_11_other_host_silent() {
        let record = Record { boot: "boot-7".into(), host: "there".into(), ..holder() };
        assert_eq!(ask(&record, |view| view.silent_for = LEASE), Verdict::Dead(Proof::Silent));
    }

    /// LOCK-10 (L8), row 12: another host without a heartbeat is never silent for long enough.
    #[test]
    fn row_12_other_host_without_heartbeat() {
        let record = Record { boot: "boot-7".into(), host: "there".into(), lease: 0, ..holder() };
        assert_eq!(ask(&record, age), Verdict::Unknown(Doubt::NoHeartbeat));
    }

    /// LOCK-10, row 13: systems without an identity of their boot: the host's name, number and start time decide.
    #[test]
    fn row_13_no_boot_identity() {
        let mut me = me();
        me.boot = String::new();
        let view = View { me: &me, kind: FsKind::Local, silent_for: Duration::ZERO, flock: 0 };
        let start_of = |pid| Ok((pid == 77).then_some(700));
        let record = Record { boot: String::new(), ..holder() };
        assert_eq!(judge(Some(&record), &view, start_of), Verdict::Alive);
        assert_eq!(judge(Some(&Record { pid: 78, ..record.clone() }), &view, start_of), Verdict::Dead(Proof::Gone));
        let there = Record { host: "there".into(), pid: 78, ..record };
        assert_eq!(judge(Some(&there), &view, start_of), Verdict::Unknown(Doubt::Heartbeat));
        // One side knows its boot, the other does not: another system, whatever its name.
        assert_eq!(judge(Some(&holder()), &view, start_of), Verdict::Unknown(Doubt::Heartbeat));
    }

    /// LOCK-10, row 15: given back by a holder who lives on, here or elsewhere.
    #[test]
    fn row_15_released() {
        assert_eq!(ask(&Record { released: true, ..holder() }, |_| {}), Verdict::Dead(Proof::Released));
        let there = Record { boot: "boot-7".into(), released: true, ..holder() };
        assert_eq!(ask(&there, |_| {}), Verdict::Dead(Proof::Released));
    }

    /// LOCK-10 (L20), row 14: what can't be read, names nobody, or is of a newer version counts as alive.
    #[test]
    fn row_14_no_record() {
        let me = me();
        let view = View { me: &me, kind: FsKind::Local, silent_for: LEASE * 9, flock: 9 };
        assert_eq!(judge(None, &view, |_| Ok(None)), Verdict::Unknown(Doubt::NoRecord));
        let newer = Record { v: NEWEST + 1, pid: 78, ..holder() };
        assert_eq!(ask(&newer, age), Verdict::Unknown(Doubt::Newer));
        assert_eq!(ask(&Record { pid: 0, ..holder() }, age), Verdict::Unknown(Doubt::NoRecord));
        assert_eq!(ask(&Record { pid: u64::MAX, ..holder() }, age), Verdict::Unknown(Doubt::NoRecord));
    }
}
