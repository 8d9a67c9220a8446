//! `flock(1)` of util-linux.

use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::{Tool, Waiting, refused, until_waiting};
use crate::sandbox::{Running, Sandbox};

const LOCK: &str = ".f.json.lock";

/// `flock` that holds the lock file until its input ends. `-o`: the lock is its own, not its command's.
fn flock(s: &Sandbox, kind: &str) -> Running {
    s.start(&format!("exec flock -o {kind} {LOCK} sh -c 'echo ready; cat >/dev/null'"))
}

fn sandbox() -> Option<Sandbox> {
    let s = Sandbox::new();
    s.write("f.json", "{\"n\":0}");
    // A record of ours is there, of somebody long gone; or no lock file at all: see `their_own_lock_file`.
    s.run(["update", "f.json", "."]).exits(0);
    Tool::Flock.is_here(&s).then_some(s)
}

/// LOCK-2, LOCK-5, LOCK-7: while flock holds, exclusively or shared, a writer of ours is refused and told who; it gets in when flock
/// releases, and when flock is killed.
#[test]
fn they_hold_we_wait() {
    let Some(s) = sandbox() else { return };
    for kind in ["-x", "-s"] {
        for killed in [false, true] {
            let mut holder = flock(&s, kind);
            refused(&s, "f.json", holder.pid(), "flock");
            let waiter = Waiting::start(s.command(["update", "f.json", ".n += 1", "--timeout", "60s"]));
            assert!(waiter.line.contains(&format!("held by pid {}", holder.pid())), "{}", waiter.line);
            if killed {
                holder.signal(Signal::KILL);
                assert_eq!(holder.wait().1, Some(9));
            } else {
                holder.end_input();
            }
            waiter.gets_in();
        }
    }
    assert_eq!(s.value("f.json")["n"], 4);
}

/// LOCK-2: what flock's command inherited keeps us out after flock itself was killed; the kernel frees it with the last of them.
#[test]
fn their_heirs_hold() {
    let Some(s) = sandbox() else { return };
    let mut holder = s.start(&format!("exec flock {LOCK} sh -c 'echo ready; cat >/dev/null'"));
    holder.signal(Signal::KILL);
    assert_eq!(holder.wait().1, Some(9));
    s.run(["update", "f.json", ".n = 99", "--no-wait"]).exits(4).says("locked");
    holder.end_input();
    holder.rest();
    s.run(["update", "f.json", ".n = 1", "--timeout", "60s"]).exits(0);
}

/// LOCK-2: while we hold exclusively, flock fails at once and after its time; a flock that waits gets in when we release or are killed.
#[test]
fn we_hold_they_wait() {
    let Some(s) = sandbox() else { return };
    for killed in [false, true] {
        let args = ["run", "--close", "f.json", "--", "sh", "-c", "echo ready; cat >/dev/null"];
        let mut holder = Running::start(&mut s.command(args));
        for kind in ["-x", "-s"] {
            s.sh(&format!("flock {kind} -n {LOCK} true")).exits(1);
            s.sh(&format!("flock {kind} -w 0.02 {LOCK} true")).exits(1);
            s.sh(&format!("flock {kind} -n -E 7 {LOCK} true")).exits(7);
        }
        let waiter = s.program("flock").args([LOCK, "echo", "in"]).stdout(Stdio::piped()).spawn().unwrap();
        until_waiting(&s, "f.json", 1);
        if killed {
            holder.signal(Signal::KILL);
            assert_eq!(holder.wait().1, Some(9));
        } else {
            assert_eq!(holder.finish(), Some(0));
        }
        let output = waiter.wait_with_output().unwrap();
        assert!(output.status.success() && output.stdout == b"in\n", "{output:?}");
        s.run(["update", "f.json", ".n += 1", "--timeout", "60s"]).exits(0);
    }
    assert_eq!(s.value("f.json")["n"], 2);
}

/// LOCK-1: readers of both kinds hold together, whoever comes first; a writer of either kind stays out until the last of them has gone.
#[test]
fn readers_together() {
    let Some(s) = sandbox() else { return };
    let ours = || Running::start(&mut s.command(["run", "--shared", "f.json", "--", "sh", "-c", "echo ready; cat"]));
    for ours_first in [false, true] {
        let (first, second) = if ours_first { (ours(), flock(&s, "-s")) } else { (flock(&s, "-s"), ours()) };
        s.run(["read", "--shared", "--no-wait", "f.json"]).exits(0);
        s.sh(&format!("flock -s -n {LOCK} true")).exits(0);
        let refused = || {
            s.run(["update", "--no-wait", "f.json", ".n = 99"]).exits(4);
            s.sh(&format!("flock -x -n {LOCK} true")).exits(1);
        };
        refused();
        assert_eq!(first.finish(), Some(0));
        refused();
        let writer = Waiting::start(s.command(["update", "f.json", ".n += 1", "--timeout", "60s"]));
        assert_eq!(second.finish(), Some(0));
        writer.gets_in();
        s.sh(&format!("flock -x -n {LOCK} true")).exits(0);
    }
    assert_eq!(s.value("f.json")["n"], 2);
}

/// LOCK-2, LOCK-15: flock's waiters and ours on one file all get in, whoever holds before them. (They lie outside the bound on fairness:
/// flock does not pass our gate.)
#[test]
fn waiters_of_both_kinds() {
    let Some(s) = sandbox() else { return };
    for ours_holds in [false, true] {
        let holder = if ours_holds { s.holder("f.json") } else { flock(&s, "-x") };
        s.write("log", "");
        let spawn = |i: usize| {
            let kind = if i.is_multiple_of(2) { "-x" } else { "-s" };
            let mut command: Command = s.program("flock");
            command.args([kind, LOCK, "sh", "-c", "echo flock >>log"]).spawn().unwrap()
        };
        let mut theirs: Vec<_> = (0..4).map(spawn).collect();
        let waiter = |_| Waiting::start(s.command(["run", "f.json", "--", "sh", "-c", "echo ours >>log"]));
        let ours: Vec<_> = (0..4).map(waiter).collect();
        // Ours queue at the gate, all but the first.
        until_waiting(&s, "f.json", 5);
        assert_eq!(s.text("log"), "");
        assert_eq!(holder.finish(), Some(0));
        ours.into_iter().for_each(Waiting::gets_in);
        for child in &mut theirs {
            assert!(child.wait().unwrap().success());
        }
        let mut log: Vec<_> = s.text("log").lines().map(str::to_owned).collect();
        log.sort();
        assert_eq!(log, [["flock"; 4], ["ours"; 4]].concat());
    }
}

/// LOCK-19 (P1): a lock file that flock made is locked but never written; the holder is named all the same.
#[test]
fn their_own_lock_file() {
    let Some(s) = sandbox() else { return };
    s.sh(&format!("rm {LOCK}")).exits(0);
    let holder = flock(&s, "-x");
    refused(&s, "f.json", holder.pid(), "flock");
    assert_eq!(holder.finish(), Some(0));
    s.run(["update", "f.json", ".n += 1"]).exits(0);
    assert_eq!(s.text(LOCK), "");
    let ours = s.holder("f.json");
    s.sh(&format!("flock -n {LOCK} true")).exits(1);
    s.run(["write", "f.json", "--no-wait"]).exits(4).says(&format!("held by pid {}", ours.pid()));
    assert_eq!(ours.finish(), Some(0));
    assert_eq!(s.text(LOCK), "");
}

/// LOCK-2, DESIGN §3: with `lock_file = "suffix"` the lock is the one that scripts take as `flock name.lock`.
#[test]
fn suffix_policy() {
    let Some(s) = sandbox() else { return };
    s.run(["init", "--no-git"]).exits(0);
    s.write(".filelatch/config.toml", "[[policy]]\nglob = \"*.json\"\nlock_file = \"suffix\"\n");
    let holder = s.start("exec flock -o f.json.lock sh -c 'echo ready; cat >/dev/null'");
    refused(&s, "f.json", holder.pid(), "flock");
    let waiter = Waiting::start(s.command(["update", "f.json", ".n += 1", "--timeout", "60s"]));
    assert_eq!(holder.finish(), Some(0));
    waiter.gets_in();
    let ours = s.holder("f.json");
    s.sh("flock -n f.json.lock true").exits(1);
    s.sh(&format!("flock -n {LOCK} true")).exits(0);
    assert_eq!(ours.finish(), Some(0));
    s.sh("flock -n f.json.lock true").exits(0);
}
