//! `filelatch torture`: clean where nothing is wrong, and seen to find each kind of wrong.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::sandbox::{Ran, Sandbox};

/// Names in the folder that is tried.
fn left(s: &Sandbox) -> Vec<String> {
    s.names().into_iter().filter(|name| name != "plain").collect()
}

/// TEST-2: a short run with kills finds nothing, measures, and leaves nothing behind.
#[test]
fn test_2_a_run_is_clean() {
    let s = Sandbox::new();
    let ran = s.run(["torture", ".", "--seconds", "2", "--kill", "--seed", "7", "--json"]).exits(0);
    let told = ran.json();
    assert_eq!((&told["success"], &told["seed"], &told["kept"]), (&true.into(), &7.into(), &serde_json::Value::Null));
    assert_eq!(told["violations"], serde_json::json!([]));
    assert!(ran.err.is_empty(), "{ran:?}");
    for name in ["append", "update", "write", "write-locked", "lock", "lock-shared", "read", "read-locked"] {
        assert!(told["operations"][name]["count"].as_u64().unwrap() > 0, "{name}: {told}");
    }
    assert!(told["kills"].as_u64().unwrap() > 0 && told["stops"].as_u64().unwrap() > 0, "{told}");
    assert!(told["verified"]["acknowledged"].as_u64().unwrap() > 0, "{told}");
    assert!(left(&s).is_empty(), "{:?}", left(&s));
}

/// LOCK-3, LOCK-10: the same where the lock is a file that exists, with holders that are killed.
#[test]
fn lock_3_a_run_with_lock_files_is_clean() {
    let s = Sandbox::new();
    let ran = s.run(["torture", ".", "--lock", "file", "--seconds", "3", "--kill", "--json"]).exits(0);
    let told = ran.json();
    assert!(told["kills"].as_u64().unwrap() > 0 && told["verified"]["holds"].as_u64().unwrap() > 0, "{told}");
    assert!(left(&s).is_empty(), "{:?}", left(&s));
}

/// TEST-2: as people see it; without kills unless they are asked for.
#[test]
fn test_2_a_run_as_text() {
    let s = Sandbox::new();
    let ran = s.run(["torture", ".", "--seconds", "1", "--processes", "3", "--durability", "none", "-v"]).exits(0);
    let text = ran.text();
    assert!(text.starts_with("seed ") && text.contains(": 3 processes, "), "{ran:?}");
    assert!(text.contains("\n0 kills, ") && text.contains("\nnothing lost: "), "{ran:?}");
    assert!(text.ends_with(" acknowledged changes verified\n"), "{ran:?}");
    assert!(ran.says(" s left").err.contains("0 violations"));
}

/// What a run finds when its processes do something wrong on purpose.
#[track_caller]
fn sabotaged(how: &str) -> (Sandbox, Ran) {
    let s = Sandbox::new();
    let args = ["torture", ".", "--seconds", "30", "--durability", "none", "--json"];
    let output = s.command(args).env("FILELATCH_TORTURE_SABOTAGE", how).output().unwrap();
    (s, Ran::of(output).exits(1))
}

/// TEST-2: each kind of wrong is found, called by its name, and shown by a few operations; what was there is kept.
#[test]
fn test_2_sabotage_is_found() {
    for (how, kinds) in [
        ("locks", &["double-holder", "lost-update"][..]),
        ("torn", &["torn-read"]),
        ("stale", &["stale-read"]),
        ("forget", &["lost-update"]),
    ] {
        let (s, ran) = sabotaged(how);
        let told = ran.json();
        assert_eq!(told["success"], false);
        assert!(told["seconds"].as_f64().unwrap() < 20.0, "found in the first rounds: {told}");
        let found = told["violations"].as_array().unwrap();
        for kind in kinds {
            let violation = found.iter().find(|violation| violation["kind"] == **kind);
            let violation = violation.unwrap_or_else(|| panic!("{how}: no {kind} in {told}"));
            let history = violation["history"].as_array().unwrap();
            assert!((2..=40).contains(&history.len()), "{how}: {violation}");
            assert!(history.iter().any(|event| event.as_str().unwrap().contains("begins: ")), "{how}: {violation}");
        }
        let kept = told["kept"].as_str().unwrap();
        let notes = std::fs::read_dir(s.path(kept)).unwrap().flat_map(|round| {
            let files = std::fs::read_dir(round.unwrap().path()).unwrap();
            files.map(|file| file.unwrap().file_name().into_string().unwrap())
        });
        assert!(notes.into_iter().any(|name| name.starts_with("process-")), "{how}");
    }
}

/// TEST-2: a violation as text.
#[test]
fn test_2_a_violation_as_text() {
    let s = Sandbox::new();
    let mut command = s.command(["torture", ".", "--durability", "none"]);
    let ran = Ran::of(command.env("FILELATCH_TORTURE_SABOTAGE", "forget").output().unwrap()).exits(1);
    let text = ran.text();
    assert!(text.contains("lost update: `log-") && text.contains(" was acknowledged, but "), "{ran:?}");
    assert!(text.contains("VIOLATED: files and notes of all processes are kept in `./filelatch-torture-"), "{ran:?}");
    let mut wrong = s.command(["torture", "."]);
    let ran = Ran::of(wrong.env("FILELATCH_TORTURE_SABOTAGE", "lokcs").output().unwrap());
    drop(ran.exits(2).says("`lokcs` is no sabotage"));
}

/// Errors say what is wrong with the folder.
#[test]
fn wrong_folders() {
    let s = Sandbox::new();
    s.write("plain", "");
    drop(s.run(["torture", "nowhere"]).exits(5).says("`nowhere` does not exist"));
    drop(s.run(["torture", "plain"]).exits(1).says("`plain` is not a folder"));
    drop(s.run(["torture", ".", "--processes", "0"]).exits(2));
    drop(s.run(["torture", ".", "--seconds", "0"]).exits(2));
    drop(s.run(["torture"]).exits(2));
    assert!(left(&s).is_empty());
}

/// A full disk and a read-only one end the run with the reason.
#[test]
fn full_and_read_only_disks() {
    let s = Sandbox::new();
    let possible = s.sh("unshare -m sh -c 'mount -t tmpfs none /tmp'").code == Some(0);
    if !possible {
        eprintln!("skipped: no mounts here");
        return;
    }
    let script = |options: &str| {
        let mount = format!("mount -t tmpfs -o {options} none \"$D\"");
        let script = format!("mkdir disk; D=$PWD/disk; {mount} && cd disk && filelatch torture . --seconds 2");
        s.sh(&format!("unshare -m sh -c '{script}; code=$?; ls -A; exit $code'"))
    };
    let full = script("size=128k")
        .exits(1)
        .says("no space left on device")
        .says("the test ended here; until then nothing was lost");
    assert_eq!(full.text(), "", "the folder is removed: {full:?}");
    std::fs::remove_dir(s.path("disk")).unwrap();
    drop(script("ro").exits(1).says("read-only file system"));
}

/// The processes of a run, by the folder in their command lines.
fn workers(s: &Sandbox) -> Vec<u32> {
    let folder = s.path("").to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap() {
        let entry = entry.unwrap();
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.contains("torture-worker") && line.contains(&folder) {
            found.push(pid);
        }
    }
    found
}

/// Stopped, or killed by its run meanwhile. proc(5), the third field of `stat`: behind the name, which is in brackets.
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| stat.rsplit_once(')').unwrap().1.starts_with(" T"))
}

/// A run that works.
fn begin(s: &Sandbox) -> Child {
    // A session of its own, as from a terminal.
    let mut command = s.program("setsid");
    command.args([
        "filelatch",
        "torture",
        s.path("").to_str().unwrap(),
        "--seconds",
        "600",
        "-v",
        "--durability",
        "none",
    ]);
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The second line comes after a second of work.
    let mut lines = BufReader::new(run.stderr.as_mut().unwrap()).lines();
    for _ in 0..2 {
        assert!(lines.next().unwrap().unwrap().contains(" operations, "));
    }
    run
}

/// Ctrl-C ends the run early, checks what there is and cleans up; nobody is left.
#[test]
fn an_interrupted_run_is_checked() {
    let s = Sandbox::new();
    let run = begin(&s);
    assert_eq!(workers(&s).len(), 8);
    kill_process(Pid::from_child(&run), Signal::INT).unwrap();
    let ran = Ran::of(run.wait_with_output().unwrap()).exits(0);
    assert!(ran.text().contains("\nnothing lost: "), "{ran:?}");
    assert!(workers(&s).is_empty() && left(&s).is_empty());
}

/// When the run itself is killed, its processes end, also one that is stopped at that moment.
#[test]
fn a_killed_run_leaves_no_processes() {
    let s = Sandbox::new();
    let mut run = begin(&s);
    let pids = workers(&s);
    kill_process(Pid::from_raw(i32::try_from(pids[0]).unwrap()).unwrap(), Signal::STOP).unwrap();
    // The system continues and ends it only if it stands by then.
    while !is_stopped(pids[0]) {
        std::thread::yield_now();
    }
    run.kill().unwrap();
    run.wait().unwrap();
    // Ends only if they do; a hanging test is how this complains.
    while !workers(&s).is_empty() {
        std::thread::yield_now();
    }
}
